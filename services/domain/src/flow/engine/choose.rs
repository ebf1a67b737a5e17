//! Which choice an answer means.

use super::{Outcome, Run};
use crate::flow::{
    Heard,
    fields::Kind,
    fold::Said,
    model::{Choices, Node},
};

/// A choice by its title or number: exactly this was meant. With the language, where the title is of another
/// than the one spoken.
fn exactly(choices: &Choices, said: &Said, language: &str) -> Option<(usize, Option<String>)> {
    if let Some(place) = said.number().and_then(|n| n.checked_sub(1))
        && place < choices.list.len()
    {
        return Some((place, None));
    }
    choices.list.iter().enumerate().find_map(|(place, choice)| {
        let is_title = |language: &str| {
            let title = choice.title.0.get(language);
            title.is_some_and(|title| said.is(&title.render(|_| None, usize::MAX)))
        };
        if is_title(language) {
            return Some((place, None));
        }
        let other = choice.title.0.keys().find(|language| is_title(language))?;
        Some((place, Some(other.clone())))
    })
}

/// A choice by words anywhere in the answer.
pub(super) fn by_phrase(choices: &Choices, said: &Said) -> Option<usize> {
    choices.list.iter().position(|choice| choice.phrases.iter().any(|phrase| phrase.is_in(said)))
}

impl<'a> Run<'a> {
    /// A typed answer to choices. What exactly one choice is called comes first, then the rules, the words of
    /// the choices, and the wish for a person, because a choice says more.
    pub(super) fn hear_choices(
        &mut self,
        node: &str,
        choices: &Choices,
        said: &Said,
        heard: &Heard,
    ) -> Option<Outcome> {
        if let Some((place, language)) = exactly(choices, said, self.language()) {
            if language.is_some() {
                self.state.language = language;
            }
            return Some(self.choose(node, choices, place));
        }
        if let Some(next) = self.rule(said, heard, false) {
            return Some(self.enter(&next));
        }
        if let Some(place) = by_phrase(choices, said) {
            return Some(self.choose(node, choices, place));
        }
        self.asks_for_a_person(said, false)
            .then(|| self.hand_off(None, crate::flow::Why::Requested))
    }

    fn choose(&mut self, node: &str, choices: &Choices, place: usize) -> Outcome {
        self.state.node = Some(node.to_owned());
        self.take(choices, place)
    }

    /// The choice that a tap names, also one of an earlier menu of this flow. The customer is at its node then.
    pub(super) fn tapped_choice(&mut self, heard: &Heard) -> Option<(Choices, usize)> {
        let id = heard.choice.as_deref()?;
        let (id, _) = id.rsplit_once('#')?;
        let (node, key) = id.split_once('/')?;
        let choices = match self.flow.nodes.get(node)? {
            Node::Menu(menu) => &menu.offer,
            Node::Ask(ask) => match &ask.kind {
                Kind::Choice(choices) => choices,
                _ => return None,
            },
            _ => return None,
        };
        let place = choices.list.iter().position(|choice| choice.key == key)?;
        self.state.node = Some(node.to_owned());
        Some((choices.clone(), place))
    }

    /// Does what a choice says.
    pub(super) fn take(&mut self, choices: &Choices, place: usize) -> Outcome {
        let Some(choice) = choices.list.get(place) else { return Outcome::Wait };
        self.state.misses = 0;
        if choice.language.is_some() {
            self.state.language.clone_from(&choice.language);
        }
        self.set(&choice.set);
        let node = self.state.node.clone().unwrap_or_default();
        if let Some(Node::Ask(ask)) = self.flow.nodes.get(&node) {
            self.state.put(&ask.field, &choice.value);
            return self.enter(&ask.next);
        }
        self.enter(&choice.next)
    }
}
