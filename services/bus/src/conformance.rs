//! One suite for every adapter: what the runtime relies on, case by case.
//!
//! [`conformance_suite!`](crate::conformance_suite) makes one test of each case for an adapter. A case
//! gets an empty bus of [`PARTITIONS`] partitions and answers what it found wrong.

mod inbox;
mod log;
mod presence;
mod states;

use std::{future::Future, time::Duration};

use bytes::Bytes;
use futures::future::LocalBoxFuture;

pub use inbox::*;
pub use log::*;
pub use presence::*;
pub use states::*;

use crate::{Bus, BusError, EntityId, ReadLimit};

/// Partitions that a case may use.
pub const PARTITIONS: u16 = 4;

/// Longest a case may take. None waits for time to pass, so only a hang reaches it.
const CASE_MAX: Duration = Duration::from_secs(60);

/// Longest a case waits to see that something does *not* happen.
pub(crate) const QUIET: Duration = Duration::from_millis(50);

/// What a case found wrong.
pub type Verdict = Result<(), String>;

/// Runs one case within its bound.
///
/// # Panics
/// When the adapter does not conform, with the case's name and finding.
pub async fn check(name: &str, case: impl Future<Output = Verdict>) {
    let verdict = match tokio::time::timeout(CASE_MAX, case).await {
        Ok(verdict) => verdict,
        Err(_) => Err(format!("not over within {CASE_MAX:?}")),
    };
    assert!(verdict.is_ok(), "{name}: {}", verdict.err().unwrap_or_default());
}

/// Makes a test of each conformance case: `conformance_suite!(#[tokio::test], make_bus);`, where
/// `make_bus` is an async function that answers an empty [`Bus`](crate::Bus) of
/// [`PARTITIONS`] partitions and whatever keeps it alive.
#[macro_export]
macro_rules! conformance_suite {
    (#[$test:meta], $make:path) => {
        $crate::conformance_suite!(@list @cases #[$test], $make;);
    };
    (@list $($then:tt)*) => {
        $crate::conformance_suite! { $($then)*
            inbox_sequences_rise, inbox_reads_what_was_appended, inbox_read_wakes,
            inbox_read_is_cancelled_safely, inbox_read_keeps_its_limits, inbox_limits_its_entries,
            inbox_takes_concurrent_appends, inbox_keeps_partitions_apart, inbox_is_trimmed,
            log_appends_and_reads, log_refuses_a_wrong_last, log_refuses_a_resent_record,
            log_has_one_winner, log_read_answers_at_once, log_tail_wakes, log_read_keeps_its_limits,
            log_limits_its_records, log_reads_a_long_history, log_keeps_partitions_apart,
            log_is_trimmed, log_goes_on_after_a_trim,
            states_keep_the_newest, states_keep_a_tombstone, states_load_one_entity,
            states_decide_part_by_part, states_take_big_parts, states_take_many_parts,
            states_keep_the_newest_checkpoint, states_keep_partitions_apart, states_are_scanned,
            signals_reach_their_topic, signals_reach_a_prefix, signals_count_what_a_slow_reader_lost,
            leases_rise_and_end,
        }
    };
    (@named $($case:ident),* $(,)?) => {
        vec![$(named(stringify!($case), $case)),*]
    };
    (@cases #[$test:meta], $make:path; $($case:ident),* $(,)?) => {
        $(
            #[$test]
            async fn $case() {
                let (bus, _alive) = $make().await;
                $crate::conformance::check(stringify!($case), $crate::conformance::$case(bus)).await;
            }
        )*
    };
}

/// A case that is yet to run.
pub type Case = Box<dyn FnOnce(Bus) -> LocalBoxFuture<'static, Verdict>>;

/// Every case by its name, for who runs them in a way of its own.
#[must_use]
pub fn cases() -> Vec<(&'static str, Case)> {
    crate::conformance_suite! { @list @named }
}

fn named<F: Future<Output = Verdict> + 'static>(
    name: &'static str,
    case: impl FnOnce(Bus) -> F + 'static,
) -> (&'static str, Case) {
    (name, Box::new(move |bus| Box::pin(case(bus))))
}

/// Fails the case with a sentence unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(format!($($why)+));
        }
    };
}
pub(crate) use ensure;

/// Fails the case when a request that must succeed does not.
pub(crate) fn must<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| format!("a request failed: {error}"))
}

pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// `len` bytes that differ from those of another `salt`.
pub(crate) fn blob(len: usize, salt: u8) -> Bytes {
    (0..len).map(|n| salt ^ u8::try_from(n % 251).unwrap_or(0)).collect()
}

pub(crate) fn entity(number: u8) -> EntityId {
    EntityId { kind: number, hash: [number; 16] }
}

pub(crate) fn bodies(entries: &[(u64, Bytes)]) -> Vec<Bytes> {
    entries.iter().map(|(_, body)| body.clone()).collect()
}

pub(crate) fn rising(entries: &[(u64, Bytes)]) -> bool {
    entries.iter().zip(entries.iter().skip(1)).all(|((a, _), (b, _))| a < b)
}

/// Reads page by page until `n` entries came, each page from where the last one ended.
pub(crate) async fn read_n<F, R>(
    n: usize,
    limit: ReadLimit,
    read: F,
) -> Result<Vec<(u64, Bytes)>, String>
where
    F: Fn(u64, ReadLimit) -> R,
    R: Future<Output = Result<Vec<(u64, Bytes)>, BusError>>,
{
    let mut all: Vec<(u64, Bytes)> = Vec::new();
    while all.len() < n {
        let after = all.last().map_or(0, |(seq, _)| *seq);
        let page = must(read(after, limit).await)?;
        ensure!(!page.is_empty(), "a page after {after} is empty with {} of {n} read", all.len());
        ensure!(page.len() <= limit.values, "{} values exceed {limit:?}", page.len());
        all.extend(page);
    }
    ensure!(all.len() == n, "{} entries instead of {n}", all.len());
    ensure!(rising(&all), "sequences do not rise");
    Ok(all)
}
