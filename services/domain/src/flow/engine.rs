//! Playing a flow: one turn is a pure function of the flow, where the customer is, what was said and the facts.

use super::{
    Answer, Facts, HandOff, Heard, Outcome, Reply, State, Why,
    fold::Said,
    model::{Choices, Flow, HandOffNode, Node, Retry, Test},
    render::Text,
    words,
};
use crate::QueueId;

mod choose;
mod show;

pub(super) use show::{
    BUTTON_BODY_MAX, BUTTON_TITLE_MAX, DESCRIPTION_MAX, OPENER_MAX, ROW_TITLE_MAX,
};

/// Nodes passed in one turn; a checked flow has no circle without the customer, so this never stops one.
const HOPS_MAX: usize = 64;
/// Messages of one turn.
pub(super) const REPLIES_MAX: usize = 8;
/// Characters of a text message (whatsapp.md 4.1).
pub(super) const TEXT_CHARS_MAX: usize = 4_096;

/// One turn of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Where the customer is now.
    pub state: State,
    /// What the bot says and what becomes of the conversation.
    pub answer: Answer,
    /// What was said could not be used.
    pub missed: bool,
    /// What was said asks for nothing (a second tap on the same button, words written before the question was
    /// read): nothing is to be done, and the turn is none.
    pub ignored: bool,
}

impl Flow {
    /// Plays one turn. Without words the question is put again, or the flow begins.
    #[must_use]
    pub fn turn(&self, state: &State, heard: Option<&Heard>, facts: &Facts) -> Turn {
        let mut run = Run::new(self, state.clone(), facts);
        let waits = state.node.as_ref().is_some_and(|node| {
            state.flow == self.name && self.nodes.get(node).is_some_and(Node::waits)
        });
        let outcome = match (state.node.as_deref().filter(|_| waits), heard) {
            (Some(node), Some(heard)) => run.hear(node, heard),
            (Some(node), None) => {
                run.ask(node, None, false);
                Outcome::Wait
            }
            (None, heard) => run.begin(state.node.is_some(), heard),
        };
        run.finish(outcome)
    }
}

struct Run<'a> {
    flow: &'a Flow,
    facts: &'a Facts,
    state: State,
    replies: Vec<Reply>,
    missed: bool,
    ignored: bool,
    /// Words of the customer that a first menu may answer.
    first: Option<Said>,
}

impl<'a> Run<'a> {
    fn new(flow: &'a Flow, state: State, facts: &'a Facts) -> Self {
        Self { flow, facts, state, replies: Vec::new(), missed: false, ignored: false, first: None }
    }

    fn finish(self, outcome: Outcome) -> Turn {
        let Self { flow, mut state, mut replies, missed, ignored, .. } = self;
        state.flow.clone_from(&flow.name);
        state.version.clone_from(&flow.version);
        if outcome != Outcome::Wait {
            state = state.afresh();
        }
        replies.truncate(REPLIES_MAX);
        Turn { state, answer: Answer { replies, outcome }, missed, ignored }
    }

    /// A new dialogue. `lost`: the customer was at a node that the flow no longer has.
    fn begin(&mut self, lost: bool, heard: Option<&Heard>) -> Outcome {
        let fields = if lost { std::mem::take(&mut self.state.fields) } else { Vec::new() };
        self.state = State { fields, ..std::mem::take(&mut self.state).afresh() };
        match (&self.flow.restart, &self.flow.greeting) {
            (Some(restart), _) if lost => self.say(restart),
            (_, Some(greeting)) => self.say(greeting),
            _ => {}
        }
        if let Some(heard) = heard.filter(|_| self.flow.hears_first) {
            if let Some((choices, place)) = self.tapped_choice(heard) {
                return self.take(&choices, place);
            }
            let said = Said::new(heard.text.as_deref().unwrap_or_default());
            if let Some(next) = self.rule(&said, heard, false) {
                return self.enter(&next);
            }
            if self.asks_for_a_person(&said, false) {
                return self.hand_off(None, Why::Requested);
            }
            self.first = Some(said);
        }
        let start = self.flow.start.clone();
        self.enter(&start)
    }

    /// The customer answered the node that waits.
    fn hear(&mut self, node: &str, heard: &Heard) -> Outcome {
        if heard.choice.is_some() && heard.choice == self.state.tapped {
            self.ignored = true; // The same button twice.
            return Outcome::Wait;
        }
        if let Some((choices, place)) = self.tapped_choice(heard) {
            self.state.tapped.clone_from(&heard.choice);
            return self.take(&choices, place);
        }
        let said = Said::new(heard.text.as_deref().unwrap_or_default());
        match self.flow.nodes.get(node) {
            Some(Node::Menu(menu)) => {
                if let Some(outcome) = self.hear_choices(node, &menu.offer, &said, heard) {
                    return outcome;
                }
                if let Some(outcome) = self.hear_faq(node, menu.faq.as_deref(), &said) {
                    return outcome;
                }
                self.miss(node, &menu.retry, heard)
            }
            Some(Node::Faq(faq)) => {
                if let Some(next) = self.rule(&said, heard, false) {
                    return self.enter(&next);
                }
                if let Some(outcome) = self.hear_faq(node, Some(node), &said) {
                    return outcome;
                }
                if self.asks_for_a_person(&said, false) {
                    return self.hand_off(None, Why::Requested);
                }
                self.miss(node, &faq.retry, heard)
            }
            Some(Node::Ask(ask)) => {
                let free = ask.kind.is_free();
                if free && let Some(outcome) = self.hear_wish(&said, heard, true) {
                    return outcome;
                }
                if let super::fields::Kind::Choice(choices) = &ask.kind {
                    if let Some(outcome) = self.hear_choices(node, choices, &said, heard) {
                        return outcome;
                    }
                    return self.miss(node, &ask.retry, heard);
                }
                let text = heard.text.as_deref().filter(|_| heard.kind.is_none() && !heard.early);
                let value = text.and_then(|text| ask.kind.read(text, self.facts.now_ms));
                if let Some(value) = value
                    && self.state.put(&ask.field, &value)
                {
                    self.state.misses = 0;
                    return self.enter(&ask.next);
                }
                if !free && let Some(outcome) = self.hear_wish(&said, heard, false) {
                    return outcome;
                }
                self.miss(node, &ask.retry, heard)
            }
            _ => self.begin(true, None),
        }
    }

    /// Rules and the wish for a person.
    fn hear_wish(&mut self, said: &Said, heard: &Heard, alone: bool) -> Option<Outcome> {
        if let Some(next) = self.rule(said, heard, alone) {
            return Some(self.enter(&next));
        }
        self.asks_for_a_person(said, alone).then(|| self.hand_off(None, Why::Requested))
    }

    fn rule(&self, said: &Said, heard: &Heard, alone: bool) -> Option<String> {
        let rule = self.flow.rules.iter().find(|rule| {
            heard.kind.as_ref().is_some_and(|kind| rule.kinds.contains(kind))
                || rule.phrases.iter().any(|phrase| match alone {
                    true => phrase.is_all_of(said),
                    false => phrase.is_in(said),
                })
        });
        rule.map(|rule| rule.next.clone())
    }

    fn asks_for_a_person(&self, said: &Said, alone: bool) -> bool {
        self.flow.hand_off.phrases.iter().any(|phrase| match alone {
            true => phrase.is_all_of(said),
            false => phrase.is_in(said),
        })
    }

    /// An answer of a node of questions and answers; the waiting node's question is put again after it.
    fn hear_faq(&mut self, node: &str, faq: Option<&str>, said: &Said) -> Option<Outcome> {
        let Some(Node::Faq(faq)) = self.flow.nodes.get(faq?) else { return None };
        let answer =
            faq.answers.iter().find(|a| a.phrases.iter().any(|phrase| phrase.is_in(said)))?;
        self.state.misses = 0;
        self.say(&answer.text);
        Some(match &answer.next {
            Some(next) => self.enter(next),
            None => {
                // A menu is shown again; who asks questions goes on asking without being told to.
                if !matches!(self.flow.nodes.get(node), Some(Node::Faq(_))) {
                    self.ask(node, None, false);
                }
                Outcome::Wait
            }
        })
    }

    fn miss(&mut self, node: &str, retry: &Retry, heard: &Heard) -> Outcome {
        if heard.early {
            self.ignored = true;
            return Outcome::Wait;
        }
        self.missed = true;
        self.state.misses = self.state.misses.saturating_add(1);
        if self.state.misses < retry.tries {
            self.ask(node, retry.text.as_ref(), true);
            return Outcome::Wait;
        }
        self.state.misses = 0;
        match &retry.otherwise {
            Some(next) => self.enter(next),
            None => self.hand_off(None, Why::NotUnderstood),
        }
    }

    /// Goes on from a node to the next that waits for the customer, or to an end.
    fn enter(&mut self, from: &str) -> Outcome {
        let flow = self.flow;
        let mut at = from;
        for _ in 0..HOPS_MAX {
            match flow.nodes.get(at) {
                Some(Node::Message { text, set, next }) => {
                    self.say(text);
                    self.set(set);
                    at = next;
                }
                Some(Node::Hours { calendar, open, closed }) => {
                    let calendar = flow.calendars.get(calendar);
                    let is_open = calendar.is_some_and(|c| c.is_open(self.facts.now_ms));
                    at = if is_open { open } else { closed };
                }
                Some(Node::Condition { cases, otherwise }) => {
                    let case = cases.iter().find(|case| self.holds(&case.variable, &case.test));
                    at = case.map_or(otherwise, |case| &case.next);
                }
                Some(Node::HandOff(node)) => return self.hand_off(Some(node), Why::Rule),
                Some(Node::End { text }) => {
                    if let Some(text) = text {
                        self.say(text);
                    }
                    return Outcome::End;
                }
                Some(Node::Menu(menu)) => {
                    if let Some(outcome) = self.first_choice(&menu.offer) {
                        return outcome;
                    }
                    return self.wait_at(at);
                }
                Some(Node::Faq(_)) => {
                    self.state.node = Some(at.to_owned());
                    let said = self.first.take();
                    let answered = said.and_then(|said| self.hear_faq(at, Some(at), &said));
                    if let Some(outcome) = answered {
                        return outcome;
                    }
                    return self.wait_at(at);
                }
                Some(Node::Ask(_)) => return self.wait_at(at),
                None => break,
            }
        }
        self.hand_off(None, Why::Failed)
    }

    fn wait_at(&mut self, node: &str) -> Outcome {
        self.first = None;
        self.state.node = Some(node.to_owned());
        self.state.misses = 0;
        self.ask(node, None, false);
        Outcome::Wait
    }

    fn hand_off(&mut self, node: Option<&HandOffNode>, why: Why) -> Outcome {
        let rules = &self.flow.hand_off;
        if let Some(text) = node.and_then(|node| node.text.as_ref()).or(rules.text.as_ref()) {
            self.say(text);
        }
        let queue: Option<QueueId> =
            node.and_then(|node| node.queue.clone()).or_else(|| rules.queue.clone());
        Outcome::HandOff(HandOff {
            queue,
            why,
            reason: node.map(|node| node.reason.clone()).unwrap_or_default(),
            fields: std::mem::take(&mut self.state.fields),
            priority: node.map_or(0, |node| node.priority),
            vip: node.is_some_and(|node| node.vip),
        })
    }

    fn set(&mut self, values: &[(String, String)]) {
        for (name, value) in values {
            // The check counts what a flow can hold.
            self.state.put(name, value);
        }
    }

    fn holds(&self, variable: &str, test: &Test) -> bool {
        let value = self.value(variable).filter(|value| !value.is_empty());
        let number = || value.as_ref().and_then(|value| value.parse::<f64>().ok());
        match test {
            Test::IsSet(wanted) => value.is_some() == *wanted,
            Test::Equals(values) => value.is_some_and(|value| values.contains(&value)),
            Test::AtLeast(least) => number().is_some_and(|number| number >= *least),
            Test::AtMost(most) => number().is_some_and(|number| number <= *most),
            Test::Matches(regex) => value.is_some_and(|value| regex.is_match(&value)),
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        match name {
            "customer.name" => self.facts.name.clone(),
            "customer.phone" => self.facts.phone.clone(),
            "customer.language" => Some(self.language().to_owned()),
            _ => {
                let value = self.state.get(name);
                value
                    .or_else(|| self.flow.variables.get(name).map(String::as_str))
                    .map(str::to_owned)
            }
        }
    }

    /// The language chosen before, else that of the phone's calling code, else the first.
    fn language(&self) -> &str {
        let speaks = |language: &str| self.flow.languages.iter().find(|known| *known == language);
        if let Some(chosen) = self.state.language.as_deref().and_then(speaks) {
            return chosen;
        }
        let phone = self.facts.phone.as_deref().unwrap_or_default();
        let own = self.flow.phone_languages.iter().filter(|(code, _)| phone.starts_with(*code));
        let own = own.max_by_key(|(code, _)| code.len()).map(|(_, language)| language.as_str());
        let language = own.or_else(|| words::language_of(phone)).and_then(speaks);
        language.map_or_else(|| self.flow.default_language(), String::as_str)
    }

    fn say(&mut self, text: &Text) {
        let said = self.render(text, TEXT_CHARS_MAX);
        if !said.trim().is_empty() {
            self.replies.push(Reply::Text(said));
        }
    }

    fn render(&self, text: &Text, chars_max: usize) -> String {
        let template = text.of(self.language());
        template.map(|t| t.render(|name| self.value(name), chars_max)).unwrap_or_default()
    }

    fn first_choice(&mut self, choices: &Choices) -> Option<Outcome> {
        let said = self.first.take()?;
        let place = choose::by_phrase(choices, &said)?;
        Some(self.take(choices, place))
    }
}
