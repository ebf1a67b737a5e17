//! The end of a run: wait until nothing moves any more, read the product's threads, and judge.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::agents::{ReadError, probe_isolation, read_threads, read_waiting};
use crate::judge::{
    Findings, Neglect, SendState, Side, Thread, Unmet, Verdict, Wish, compare, decided,
};
use crate::sim::Sim;

/// How a run came to rest and what the comparison found.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) findings: Findings,
    pub(crate) decided: usize,
    pub(crate) rest: Rest,
}

/// Whether everything came to rest in the time given.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rest {
    pub(crate) settled: bool,
    pub(crate) waited_ms: u64,
    /// What was still moving at the end.
    pub(crate) still_open: Vec<String>,
    pub(crate) threads: usize,
    pub(crate) thread_messages: usize,
}

const POLL: Duration = Duration::from_millis(100);
/// Readings that are the same so long apart have stopped changing.
const STABLE_US: u64 = 1_000_000;

/// Stops the customers, waits at most `timeout`, and judges. Customers stay silent afterwards.
pub(crate) async fn settle(sim: &Arc<Sim>, timeout: Duration) -> Judged {
    let began_us = sim.with(|state, now_us| {
        state.talk(false, now_us);
        state.closing = true;
        now_us
    });
    let deadline_us = began_us + u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX / 2);
    let mut stable = Stable::default();
    let mut still_open = Vec::new();
    let mut verdict = None;
    while verdict.is_none() && sim.clock.now_us() < deadline_us {
        let moves = sim.with(|state, _| state.ledger.moves());
        still_open = moving(sim);
        if still_open.is_empty() {
            match Reading::take(sim).await {
                Err(error) => still_open.push(error.to_string()),
                Ok(reading) => {
                    still_open.extend(pending(&reading.threads));
                    still_open.extend(passing(&reading.unmet));
                    let patience_us = patience_us(sim, &reading.unmet);
                    let at_rest = stable.take(reading, sim.clock.now_us()) >= patience_us;
                    if at_rest && still_open.is_empty() {
                        verdict = stable.judge(sim, Some(moves));
                    }
                }
            }
        }
        tokio::time::sleep(POLL).await;
    }
    let settled = verdict.is_some();
    let (mut findings, decided) = match verdict {
        Some(verdict) => verdict,
        // Not at rest: judge by the newest reading all the same.
        None => {
            match Reading::take(sim).await {
                Ok(reading) => drop(stable.take(reading, sim.clock.now_us())),
                Err(error) => still_open.push(error.to_string()),
            }
            stable.judge(sim, None).unwrap_or_default()
        }
    };
    let threads = &stable.reading.threads;
    for leak in probe_isolation(sim, threads).await.unwrap_or_default() {
        let kind = "a conversation of one business read by another";
        findings.add(Verdict::Violation, kind, || leak);
    }
    let rest = Rest {
        settled,
        waited_ms: (sim.clock.now_us() - began_us) / 1_000,
        still_open: if settled { Vec::new() } else { still_open },
        threads: threads.len(),
        thread_messages: threads.iter().map(|thread| thread.messages.len()).sum(),
    };
    Judged { findings, decided, rest }
}

/// What the product shows: its threads, and of those who chose to speak to a person and nobody has, what it says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reading {
    threads: Vec<Thread>,
    unmet: Unmet,
}

impl Reading {
    async fn take(sim: &Sim) -> Result<Self, ReadError> {
        let wishes = sim.with(|state, now_us| state.ledger.wishes(now_us));
        let threads = read_threads(sim).await?;
        if wishes.is_empty() {
            return Ok(Self { threads, unmet: Unmet::default() });
        }
        let mut waiting = read_waiting(sim).await?;
        let unmet = sim.with(|state, _| {
            let forgets = |thread: &Thread| {
                thread.chat(&state.world).is_some_and(|chat| state.proxy.forgets(chat))
            };
            let hidden: BTreeSet<&str> = threads
                .iter()
                .filter(|thread| forgets(thread))
                .map(|thread| thread.conversation.as_str())
                .collect();
            waiting.retain(|item| !hidden.contains(item.conversation.as_str()));
            let has_room = |wish: &Wish| state.has_room(wish);
            state.ledger.unmet(&state.world, &wishes, (&threads, &waiting), has_room)
        });
        Ok(Self { threads, unmet })
    }
}

/// The newest reading, and since when it is the same.
#[derive(Default)]
struct Stable {
    reading: Reading,
    since_us: Option<u64>,
}

impl Stable {
    /// Takes a reading and gives how long it has been the same.
    fn take(&mut self, reading: Reading, now_us: u64) -> u64 {
        let since_us = self.since_us.filter(|_| self.reading == reading).unwrap_or(now_us);
        (self.reading, self.since_us) = (reading, Some(since_us));
        now_us - since_us
    }

    /// Compares the reading with the ledger. With `moves`, only while the ledger still stands where it stood before it was
    /// taken: what happened since cannot be in them (an offer missed earlier may be answered by now).
    fn judge(&self, sim: &Sim, moves: Option<u64>) -> Option<(Findings, usize)> {
        sim.with(|state, _| {
            if moves.is_some_and(|moves| moves != state.ledger.moves()) {
                return None;
            }
            let Reading { threads, unmet } = &self.reading;
            let mut findings = compare(&state.world, &state.ledger, threads);
            for Neglect { kind, example } in &unmet.neglected {
                findings.add(Verdict::Violation, kind, || example.clone());
            }
            Some((findings, decided(&state.ledger, threads)))
        })
    }
}

/// What still moves on our side.
fn moving(sim: &Sim) -> Vec<String> {
    let mut open = sim.with(|state, _| {
        if state.is_quiet() {
            return Vec::new();
        }
        let (unacked, sends) = (state.outbox.unacked(), state.sends_unanswered);
        vec![format!(
            "{unacked} webhooks not acknowledged, {sends} sends not answered, or events to come"
        )]
    });
    if !sim.agents_are_quiet() {
        open.push("agents with unanswered commands or something to do".to_owned());
    }
    open
}

/// Sends that the product has not finished.
fn pending(threads: &[Thread]) -> Option<String> {
    let messages = threads.iter().flat_map(|thread| &thread.messages);
    let count = messages.filter(|m| m.side == Side::Ours && m.state == SendState::Pending).count();
    (count > 0).then(|| format!("{count} messages pending in the product's threads"))
}

/// Customers whom the product will offer in a moment, as it says.
fn passing(unmet: &Unmet) -> Option<String> {
    let count = unmet.passing;
    (count > 0).then(|| format!("{count} customers who chose are offered, or about to be"))
}

/// How long a reading must have been the same: a customer whom nobody knows of may be on the way between the product's parts.
fn patience_us(sim: &Sim, unmet: &Unmet) -> u64 {
    let forgotten_us = sim.scenario.judge.forgotten_after_ms * 1_000;
    if unmet.neglected.is_empty() { STABLE_US } else { forgotten_us.max(STABLE_US) }
}

#[cfg(test)]
mod tests {
    use crate::judge::{Arrival, Progress, SendFacts};
    use crate::table::Key;
    use crate::world::{BusinessId, ChatId};

    use super::*;

    /// A missed offer comes again after the threads stood still for a second: its answer left between their reading and the
    /// verdict, and only "sent" of it was acknowledged.
    fn answered_late(sim: &Sim) {
        sim.with(|state, now_us| {
            let arrival = Arrival {
                chat: ChatId::from_row(0),
                wamid: "wamid.late".to_owned(),
                ts_s: 0,
                at_us: now_us,
                plain: true,
                text: "late".to_owned(),
            };
            let opaque = Some("o".to_owned());
            let facts = SendFacts { arrival, opaque, answer_withheld: false, status_held: false };
            let id = state.ledger.send_accepted(BusinessId::from_row(0), facts);
            state.ledger.status_acked(id, Progress::Sent, now_us);
        });
    }

    #[tokio::test]
    async fn a_message_sent_while_the_threads_are_read_is_not_called_lost() {
        let sim = Sim::new(crate::fixture::scenario(), None);
        let moves = sim.with(|state, _| state.ledger.moves());
        let mut stable = Stable::default();
        stable.take(Reading::default(), 0);
        assert!(stable.judge(&sim, Some(moves)).is_some(), "nothing moved");
        answered_late(&sim);
        assert!(stable.judge(&sim, Some(moves)).is_none(), "it is read again");
        // The naive judge compares what it has.
        let (findings, _) = stable.judge(&sim, None).unwrap();
        assert_eq!(findings.count(Verdict::Lost), 1);
    }

    #[test]
    fn a_reading_is_stable_since_the_first_that_was_the_same() {
        let mut stable = Stable::default();
        let mut take = |now_us, neglected: &[&'static str]| {
            let neglect = |kind: &&'static str| Neglect { kind, example: String::new() };
            let neglected = neglected.iter().map(neglect).collect();
            let unmet = Unmet { passing: 0, neglected };
            stable.take(Reading { threads: Vec::new(), unmet }, now_us)
        };
        assert_eq!([take(5, &[]), take(9, &[])], [0, 4]);
        assert_eq!([take(10, &["x"]), take(13, &["x"]), take(14, &["y"])], [0, 3, 0]);
    }
}
