//! Putting a node's question to the customer.

use super::{Run, TEXT_CHARS_MAX};
use crate::{
    content::{Menu, MenuChoice},
    flow::{
        Reply,
        fields::Kind,
        model::{Choices, Node, Style},
        render::{Text, cut},
    },
};

/// Meta's limits (whatsapp.md 4.1), characters.
pub(crate) const BUTTON_BODY_MAX: usize = 1_024;
pub(crate) const BUTTON_TITLE_MAX: usize = 20;
pub(crate) const ROW_TITLE_MAX: usize = 24;
pub(crate) const DESCRIPTION_MAX: usize = 72;
pub(crate) const OPENER_MAX: usize = 20;
const CHOICE_ID_MAX: usize = 200;

impl Run<'_> {
    /// Puts the question of a waiting node, with `lead` in place of its text. `typed`: the customer types rather
    /// than taps, perhaps because the app shows no buttons: choices are numbered in the text then.
    pub(super) fn ask(&mut self, node: &str, lead: Option<&Text>, typed: bool) {
        let flow = self.flow;
        match flow.nodes.get(node) {
            Some(Node::Menu(menu)) => {
                self.offer(node, lead.unwrap_or(&menu.text), &menu.offer, typed);
            }
            Some(Node::Faq(faq)) => self.say(lead.unwrap_or(&faq.text)),
            Some(Node::Ask(ask)) => match &ask.kind {
                Kind::Choice(choices) => {
                    self.offer(node, lead.unwrap_or(&ask.text), choices, typed);
                }
                _ => self.say(lead.unwrap_or(&ask.text)),
            },
            _ => {}
        }
    }

    fn offer(&mut self, node: &str, text: &Text, choices: &Choices, typed: bool) {
        self.state.shown = self.state.shown.saturating_add(1);
        let style = if typed { Style::Text } else { choices.style };
        let reply = match style {
            Style::Text => Reply::Text(self.numbered(text, choices)),
            Style::Buttons => Reply::Menu(Menu {
                body: self.render(text, BUTTON_BODY_MAX),
                opener: None,
                choices: self.choices(node, choices, BUTTON_TITLE_MAX, false),
            }),
            Style::List => Reply::Menu(Menu {
                body: self.render(text, TEXT_CHARS_MAX),
                opener: Some(match &choices.opener {
                    Some(opener) => self.render(opener, OPENER_MAX),
                    None => "☰".to_owned(),
                }),
                choices: self.choices(node, choices, ROW_TITLE_MAX, true),
            }),
        };
        self.replies.push(reply);
    }

    fn numbered(&self, text: &Text, choices: &Choices) -> String {
        let mut listed = String::new();
        for (n, choice) in (1..).zip(&choices.list) {
            listed.push_str(&format!("\n{n}. {}", self.render(&choice.title, TEXT_CHARS_MAX)));
            if let Some(description) = &choice.description {
                listed.push_str(&format!(" – {}", self.render(description, DESCRIPTION_MAX)));
            }
        }
        let room = TEXT_CHARS_MAX.saturating_sub(listed.chars().count());
        cut(&format!("{}{listed}", self.render(text, room)), TEXT_CHARS_MAX)
    }

    fn choices(
        &self,
        node: &str,
        choices: &Choices,
        title_max: usize,
        descriptions: bool,
    ) -> Vec<MenuChoice> {
        let shown = self.state.shown;
        let choice = |choice: &crate::flow::model::Choice| MenuChoice {
            id: cut(&format!("{node}/{}#{shown}", choice.key), CHOICE_ID_MAX),
            title: self.render(&choice.title, title_max),
            description: choice
                .description
                .as_ref()
                .filter(|_| descriptions)
                .map(|text| self.render(text, DESCRIPTION_MAX)),
        };
        choices.list.iter().map(choice).collect()
    }
}
