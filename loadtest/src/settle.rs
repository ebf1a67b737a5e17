//! The end of a run: wait until nothing moves any more, read the product's threads, and judge.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::agents::{ReadError, probe_isolation, read_threads};
use crate::judge::{Findings, SendState, Side, Thread, Verdict, compare, decided};
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
/// Threads that are the same so long apart have stopped changing.
const STABLE_US: u64 = 1_000_000;

/// Stops the customers, waits at most `timeout`, and judges. Customers stay silent afterwards.
pub(crate) async fn settle(sim: &Arc<Sim>, timeout: Duration) -> Judged {
    let began_us = sim.with(|state, now_us| {
        state.talk(false, now_us);
        state.closing = true;
        now_us
    });
    let deadline_us = began_us + u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX / 2);
    let mut last: Option<(u64, Vec<Thread>)> = None;
    let mut still_open = Vec::new();
    let mut settled = false;
    while !settled && sim.clock.now_us() < deadline_us {
        still_open = moving(sim);
        if still_open.is_empty() {
            match read_threads(sim).await {
                Err(error) => still_open.push(error.to_string()),
                Ok(threads) => {
                    still_open.extend(pending(&threads));
                    let now_us = sim.clock.now_us();
                    match last.take().filter(|(_, before)| *before == threads) {
                        Some((since_us, before)) => {
                            settled = still_open.is_empty() && now_us - since_us >= STABLE_US;
                            last = Some((since_us, before));
                        }
                        None => last = Some((now_us, threads)),
                    }
                }
            }
        }
        tokio::time::sleep(POLL).await;
    }
    let threads = match last {
        Some((_, threads)) if settled => threads,
        // Not at rest: judge by the newest reading all the same.
        last => read_threads(sim).await.unwrap_or_else(|error: ReadError| {
            still_open.push(error.to_string());
            last.map(|(_, threads)| threads).unwrap_or_default()
        }),
    };
    let rest = Rest {
        settled,
        waited_ms: (sim.clock.now_us() - began_us) / 1_000,
        still_open: if settled { Vec::new() } else { still_open },
        threads: threads.len(),
        thread_messages: threads.iter().map(|thread| thread.messages.len()).sum(),
    };
    let leaks = probe_isolation(sim, &threads).await.unwrap_or_default();
    sim.with(|state, _| {
        let mut findings = compare(&state.world, &state.ledger, &threads);
        for leak in leaks {
            findings.add(
                Verdict::Violation,
                "a conversation of one business read by another",
                || leak,
            );
        }
        Judged { findings, decided: decided(&state.ledger, &threads), rest }
    })
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
