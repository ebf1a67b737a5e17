//! The configured one-question menu as a flow.

use std::collections::BTreeMap;

use super::{
    fold::{Phrase, fold},
    model::{Choice, Choices, Flow, HandOffNode, HandOffRules, Menu, Node, Retry, Style},
    render::{Template, Text},
    words,
};
use crate::QueueId;

/// The only language of a flow that names none.
const LANGUAGE: &str = "any";

/// The question of a business's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OneQuestion {
    /// The question, without its options.
    pub question: String,
    /// The options, in the order of their numbers.
    pub options: Vec<MenuOption>,
    /// Said when people take over; empty: nothing.
    pub hand_off: String,
    /// Said when an answer matches nothing, before the options.
    pub fallback: String,
    /// Buttons or a list in place of a numbered text.
    pub buttons: bool,
    /// What opens the list, where there are more options than buttons.
    pub opener: String,
}

/// One option of the question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MenuOption {
    /// Title as the customer reads it; answering with it, or with the option's number, chooses it.
    pub title: String,
    /// Words, or word sequences, anywhere in the answer that choose it too.
    pub keywords: Vec<String>,
    /// Queue it leads to.
    pub queue: QueueId,
}

/// Most reply buttons (whatsapp.md 4.1).
const BUTTONS_MAX: usize = 3;

impl Flow {
    /// The flow of one question: its options lead to queues, the second answer that matches none to people.
    #[must_use]
    pub fn one_question(question: &OneQuestion) -> Self {
        let text =
            |plain: &str| Text(BTreeMap::from([(LANGUAGE.to_owned(), Template::plain(plain))]));
        let hand_off = (!question.hand_off.is_empty()).then(|| text(&question.hand_off));
        let mut nodes = BTreeMap::new();
        let mut list = Vec::new();
        for (n, option) in (1..).zip(&question.options) {
            let next = format!("option {n}");
            let node = HandOffNode {
                queue: Some(option.queue.clone()),
                reason: String::new(),
                priority: 0,
                vip: false,
                text: None,
            };
            nodes.insert(next.clone(), Node::HandOff(node));
            list.push(Choice {
                key: fold(&option.title),
                title: text(&option.title),
                description: None,
                phrases: option.keywords.iter().filter_map(|k| Phrase::new(k)).collect(),
                next,
                language: None,
                set: Vec::new(),
                value: String::new(),
            });
        }
        let style = match (question.buttons, list.len()) {
            (true, 1..=BUTTONS_MAX) => Style::Buttons,
            (true, 1..) => Style::List,
            _ => Style::Text,
        };
        let opener = (!question.opener.is_empty()).then(|| text(&question.opener));
        let menu = Menu {
            text: text(&question.question),
            offer: Choices { style, opener, list },
            faq: None,
            retry: Retry { text: Some(text(&question.fallback)), tries: 2, otherwise: None },
        };
        nodes.insert("question".to_owned(), Node::Menu(menu));
        Self {
            name: "question".to_owned(),
            version: "1".to_owned(),
            languages: vec![LANGUAGE.to_owned()],
            phone_languages: BTreeMap::new(),
            greeting: None,
            restart: None,
            start: "question".to_owned(),
            hears_first: false,
            variables: BTreeMap::new(),
            calendars: BTreeMap::new(),
            nodes,
            rules: Vec::new(),
            hand_off: HandOffRules {
                phrases: words::HUMAN.iter().filter_map(|word| Phrase::new(word)).collect(),
                queue: None,
                text: hand_off,
                tries: 2,
            },
        }
    }
}
