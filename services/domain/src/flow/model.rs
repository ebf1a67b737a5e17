//! A flow as it is played: everything checked, words folded, texts parsed.

use std::collections::BTreeMap;

use super::{calendar::Calendar, fields::Kind, fold::Phrase, render::Text};
use crate::{QueueId, content::ContentKind};

/// A bot written as data. Made by [`Flow::read`] from a file, or by
/// [`Flow::one_question`] from the configured question.
#[derive(Clone, Debug)]
pub struct Flow {
    pub(super) name: String,
    pub(super) version: String,
    /// The first is the default.
    pub(super) languages: Vec<String>,
    /// The file's own calling codes and their languages.
    pub(super) phone_languages: BTreeMap<String, String>,
    pub(super) greeting: Option<Text>,
    pub(super) restart: Option<Text>,
    pub(super) start: String,
    /// The customer's first words are heard, not only answered.
    pub(super) hears_first: bool,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) calendars: BTreeMap<String, Calendar>,
    pub(super) nodes: BTreeMap<String, Node>,
    pub(super) rules: Vec<Rule>,
    pub(super) hand_off: HandOffRules,
}

impl Flow {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version, as its author counts.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How many nodes it has.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn default_language(&self) -> &str {
        self.languages.first().map_or("", String::as_str)
    }
}

/// When and how people take over wherever the customer is in the flow.
#[derive(Clone, Debug, Default)]
pub(super) struct HandOffRules {
    pub(super) phrases: Vec<Phrase>,
    pub(super) queue: Option<QueueId>,
    pub(super) text: Option<Text>,
    /// How often a question is put before people take over, where the node says nothing else.
    pub(super) tries: u32,
}

/// Words or kinds of message that lead to a node from anywhere.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) phrases: Vec<Phrase>,
    pub(super) kinds: Vec<ContentKind>,
    pub(super) next: String,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Message { text: Text, set: Vec<(String, String)>, next: String },
    Menu(Menu),
    Faq(Faq),
    Ask(Ask),
    Hours { calendar: String, open: String, closed: String },
    Condition { cases: Vec<Case>, otherwise: String },
    HandOff(HandOffNode),
    End { text: Option<Text> },
}

impl Node {
    /// Whether it waits for the customer.
    pub(super) fn waits(&self) -> bool {
        matches!(self, Self::Menu(_) | Self::Faq(_) | Self::Ask(_))
    }
}

/// How a question is repeated, and what comes after the last try.
#[derive(Clone, Debug)]
pub(super) struct Retry {
    pub(super) text: Option<Text>,
    pub(super) tries: u32,
    pub(super) otherwise: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Buttons,
    List,
    Text,
}

#[derive(Clone, Debug)]
pub(super) struct Menu {
    pub(super) text: Text,
    pub(super) offer: Choices,
    /// A node of questions and answers that is tried where no choice matches.
    pub(super) faq: Option<String>,
    pub(super) retry: Retry,
}

/// Choices and how they are shown.
#[derive(Clone, Debug)]
pub(super) struct Choices {
    pub(super) style: Style,
    pub(super) opener: Option<Text>,
    pub(super) list: Vec<Choice>,
}

#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// What stands in its id: the title in the default language, folded.
    pub(super) key: String,
    pub(super) title: Text,
    pub(super) description: Option<Text>,
    pub(super) phrases: Vec<Phrase>,
    /// Where it leads; empty for the choices of a question.
    pub(super) next: String,
    pub(super) language: Option<String>,
    pub(super) set: Vec<(String, String)>,
    /// What a question stores.
    pub(super) value: String,
}

#[derive(Clone, Debug)]
pub(super) struct Faq {
    pub(super) text: Text,
    pub(super) answers: Vec<FaqAnswer>,
    pub(super) retry: Retry,
}

#[derive(Clone, Debug)]
pub(super) struct FaqAnswer {
    pub(super) phrases: Vec<Phrase>,
    pub(super) text: Text,
    pub(super) next: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) text: Text,
    pub(super) field: String,
    pub(super) kind: Kind,
    pub(super) next: String,
    pub(super) retry: Retry,
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) variable: String,
    pub(super) test: Test,
    pub(super) next: String,
}

#[derive(Clone, Debug)]
pub(super) enum Test {
    Equals(Vec<String>),
    AtLeast(f64),
    AtMost(f64),
    IsSet(bool),
    Matches(regex::Regex),
}

#[derive(Clone, Debug)]
pub(super) struct HandOffNode {
    pub(super) queue: Option<QueueId>,
    pub(super) reason: String,
    pub(super) priority: i32,
    pub(super) vip: bool,
    pub(super) text: Option<Text>,
}
