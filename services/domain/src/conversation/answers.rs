//! Remembered answers to commands: a repeat gets the first answer, and what is too old to tell is refused.

use serde::{Deserialize, Serialize};

use super::CommandAnswer;
use crate::{CommandId, Hash16};

/// Clients of which at least the highest forgotten id is known. A client is one browser tab or program run; one
/// that is evicted is long gone.
const CLIENTS_MAX: usize = 64;
/// Clients whose answers are kept: those that may still be waiting for one.
const CLIENTS_ANSWERED_MAX: usize = 8;
/// Answers kept per client: more commands than a client has open at once in one conversation.
const ANSWERS_MAX: usize = 8;

/// What is known of a command's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known<'a> {
    /// Never seen.
    New,
    /// Answered before.
    Answered(&'a CommandAnswer),
    /// Below the kept range: executed or not, nobody can tell.
    TooOld,
}

/// Answers by client, most recently used last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Answers(Vec<Client>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Client {
    client: Hash16,
    /// Highest id whose answer was forgotten.
    forgotten: u64,
    /// Ascending by id.
    answers: Vec<(u64, CommandAnswer)>,
}

impl Client {
    fn keep_newest(&mut self, answers_max: usize) {
        let gone = self.answers.len().saturating_sub(answers_max);
        if let Some((n, _)) = self.answers.drain(..gone).next_back() {
            self.forgotten = self.forgotten.max(n);
        }
    }
}

impl Answers {
    pub(super) fn look_up(&self, id: CommandId) -> Known<'_> {
        let Some(client) = self.0.iter().find(|c| c.client == id.client) else { return Known::New };
        match client.answers.iter().find(|(n, _)| *n == id.n) {
            Some((_, answer)) => Known::Answered(answer),
            None if id.n <= client.forgotten => Known::TooOld,
            None => Known::New,
        }
    }

    pub(super) fn remember(&mut self, id: CommandId, answer: CommandAnswer) {
        let place = self.0.iter().position(|c| c.client == id.client);
        let mut client = place.map_or_else(
            || Client { client: id.client, forgotten: 0, answers: Vec::new() },
            |place| self.0.remove(place),
        );
        let place = client.answers.partition_point(|(n, _)| *n < id.n);
        client.answers.insert(place, (id.n, answer));
        client.keep_newest(ANSWERS_MAX);
        self.0.push(client);
        self.bound();
    }

    /// Takes over what a joined address answered; its clients count as used less recently.
    pub(super) fn absorb(&mut self, lower: Self) {
        let own = std::mem::replace(self, lower);
        for client in own.0 {
            let place = self.0.iter().position(|c| c.client == client.client);
            let mut merged = place.map_or_else(
                || Client { client: client.client, forgotten: 0, answers: Vec::new() },
                |place| self.0.remove(place),
            );
            merged.forgotten = merged.forgotten.max(client.forgotten);
            merged.answers.extend(client.answers);
            merged.answers.sort_by_key(|(n, _)| *n);
            merged.keep_newest(ANSWERS_MAX);
            self.0.push(merged);
        }
        self.bound();
    }

    fn bound(&mut self) {
        let gone = self.0.len().saturating_sub(CLIENTS_MAX);
        self.0.drain(..gone);
        let silent = self.0.len().saturating_sub(CLIENTS_ANSWERED_MAX);
        for client in self.0.iter_mut().take(silent) {
            client.keep_newest(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(client: u8, n: u64) -> CommandId {
        CommandId { client: Hash16([client; 16]), n }
    }

    #[test]
    fn a_repeat_gets_the_first_answer() {
        let mut answers = Answers::default();
        assert_eq!(answers.look_up(id(1, 5)), Known::New);
        answers.remember(id(1, 5), CommandAnswer::Done);
        assert_eq!(answers.look_up(id(1, 5)), Known::Answered(&CommandAnswer::Done));
        assert_eq!(answers.look_up(id(2, 5)), Known::New);
        // Ids rise over all conversations of the client: gaps are ordinary, also downwards.
        assert_eq!(answers.look_up(id(1, 4)), Known::New);
    }

    #[test]
    fn below_the_kept_range_nothing_is_executed_again() {
        let mut answers = Answers::default();
        for n in 1..=9 {
            answers.remember(id(1, n), CommandAnswer::Done);
        }
        assert_eq!(answers.look_up(id(1, 1)), Known::TooOld);
        assert_eq!(answers.look_up(id(1, 2)), Known::Answered(&CommandAnswer::Done));
    }

    #[test]
    fn clients_are_bounded_and_a_forgotten_one_is_refused_not_executed() {
        let mut answers = Answers::default();
        for client in 0..=200 {
            answers.remember(id(client, 7), CommandAnswer::Done);
        }
        assert_eq!(answers.0.len(), CLIENTS_MAX);
        assert_eq!(answers.look_up(id(200, 7)), Known::Answered(&CommandAnswer::Done));
        assert_eq!(answers.look_up(id(190, 7)), Known::TooOld);
        assert_eq!(answers.look_up(id(190, 8)), Known::New);
    }

    #[test]
    fn a_join_keeps_both_memories() {
        let (mut upper, mut lower) = (Answers::default(), Answers::default());
        upper.remember(id(1, 2), CommandAnswer::Done);
        lower.remember(id(1, 1), CommandAnswer::Done);
        lower.remember(id(2, 1), CommandAnswer::Done);
        upper.absorb(lower);
        for known in [id(1, 1), id(1, 2), id(2, 1)] {
            assert_eq!(upper.look_up(known), Known::Answered(&CommandAnswer::Done));
        }
    }
}
