//! Cases of the inbox.

use std::time::Duration;

use futures::future::{join, join_all};
use tokio::time::timeout;

use super::{QUIET, Verdict, blob, bodies, bytes, ensure, must, read_n, rising};
use crate::{AppendError, Bus, INBOX_ENTRY_BYTES_MAX, PartitionId, ReadLimit};

const P0: PartitionId = PartitionId(0);
const P1: PartitionId = PartitionId(1);

/// Sequences start above 0 and rise; `last` follows them.
pub async fn inbox_sequences_rise(bus: Bus) -> Verdict {
    ensure!(must(bus.inbox.last(P0).await)? == 0, "an empty inbox has a last entry");
    let mut before = 0;
    for n in 0..20 {
        let seq = must(bus.inbox.append(P0, bytes(&format!("{n}"))).await)?;
        ensure!(seq > before, "sequence {seq} after {before}");
        ensure!(must(bus.inbox.last(P0).await)? == seq, "last is not {seq}");
        before = seq;
    }
    Ok(())
}

/// Everything acknowledged is read, in order, from any place.
pub async fn inbox_reads_what_was_appended(bus: Bus) -> Verdict {
    let mut appended = Vec::new();
    for n in 0..10 {
        let body = bytes(&format!("entry {n}"));
        let seq = must(bus.inbox.append(P0, body.clone()).await)?;
        appended.push((seq, body));
        let read = |after, limit| bus.inbox.read(P0, after, limit);
        let found = read_n(appended.len(), ReadLimit::default(), read).await?;
        ensure!(found == appended, "after {} appends: {found:?}", appended.len());
    }
    for (n, (seq, _)) in appended.iter().enumerate().take(9) {
        let found = must(bus.inbox.read(P0, *seq, ReadLimit::default()).await)?;
        ensure!(appended.get(n + 1..) == Some(&found), "after sequence {seq}: {found:?}");
    }
    Ok(())
}

/// A waiting read wakes on the append, also behind entries already there.
pub async fn inbox_read_wakes(bus: Bus) -> Verdict {
    let mut after = 0;
    for n in 0..5 {
        let body = bytes(&format!("{n}"));
        let wait = bus.inbox.read(P0, after, ReadLimit::default());
        let append = async {
            tokio::task::yield_now().await;
            bus.inbox.append(P0, body.clone()).await
        };
        let (found, seq) = join(wait, append).await;
        let seq = must(seq)?;
        ensure!(must(found)? == [(seq, body)], "the read did not bring the append");
        after = seq;
    }
    let empty = timeout(QUIET, bus.inbox.read(P0, after, ReadLimit::default())).await;
    ensure!(empty.is_err(), "a read with nothing to read answered {empty:?}");
    Ok(())
}

/// A read that is given up loses nothing.
pub async fn inbox_read_is_cancelled_safely(bus: Bus) -> Verdict {
    for n in 0..10_u64 {
        let patience = Duration::from_millis(n % 3);
        let given_up = timeout(patience, bus.inbox.read(P0, u64::MAX >> 20, ReadLimit::default()));
        ensure!(given_up.await.is_err(), "a read beyond the end answered");
        must(bus.inbox.append(P0, bytes(&format!("{n}"))).await)?;
    }
    read_n(10, ReadLimit::default(), |after, limit| bus.inbox.read(P0, after, limit)).await?;
    Ok(())
}

/// A page keeps both limits, but brings at least one entry.
pub async fn inbox_read_keeps_its_limits(bus: Bus) -> Verdict {
    for n in 0..6 {
        must(bus.inbox.append(P0, blob(10_000, n)).await)?;
    }
    let page = |values, bytes| bus.inbox.read(P0, 0, ReadLimit { values, bytes });
    ensure!(must(page(2, 1 << 20).await)?.len() == 2, "two values were asked for");
    ensure!(must(page(100, 25_000).await)?.len() == 2, "25,000 bytes hold two entries");
    ensure!(must(page(100, 1).await)?.len() == 1, "one entry must come whatever its size");
    let one_by_one = ReadLimit { values: 1, bytes: 1 };
    let all = read_n(6, one_by_one, |after, limit| bus.inbox.read(P0, after, limit)).await?;
    ensure!(bodies(&all) == (0..6).map(|n| blob(10_000, n)).collect::<Vec<_>>(), "bodies differ");
    Ok(())
}

/// The largest entry is stored and comes back; a larger one is refused and leaves no trace.
pub async fn inbox_limits_its_entries(bus: Bus) -> Verdict {
    let refused = bus.inbox.append(P0, blob(INBOX_ENTRY_BYTES_MAX + 1, 1)).await;
    ensure!(matches!(refused, Err(AppendError::TooLarge { .. })), "too large: {refused:?}");
    let largest = blob(INBOX_ENTRY_BYTES_MAX, 2);
    let seq = must(bus.inbox.append(P0, largest.clone()).await)?;
    let found = must(bus.inbox.read(P0, 0, ReadLimit::default()).await)?;
    ensure!(found == [(seq, largest)], "the largest entry did not come back");
    Ok(())
}

/// Appends at the same time are all stored, each once.
pub async fn inbox_takes_concurrent_appends(bus: Bus) -> Verdict {
    let appends = (0..200).map(|n| bus.inbox.append(P0, bytes(&format!("{n:03}"))));
    let mut acknowledged = Vec::new();
    for (n, seq) in join_all(appends).await.into_iter().enumerate() {
        acknowledged.push((must(seq)?, bytes(&format!("{n:03}"))));
    }
    acknowledged.sort();
    ensure!(rising(&acknowledged), "a sequence was given twice");
    let page = ReadLimit { values: 64, ..ReadLimit::default() };
    let found = read_n(200, page, |after, limit| bus.inbox.read(P0, after, limit)).await?;
    ensure!(found == acknowledged, "what is read is not what was acknowledged");
    Ok(())
}

/// An entry of one partition is never read in another.
pub async fn inbox_keeps_partitions_apart(bus: Bus) -> Verdict {
    let waiting = bus.inbox.read(P1, 0, ReadLimit::default());
    let append = async {
        must(bus.inbox.append(P0, bytes("zero")).await)?;
        let quiet = timeout(QUIET, bus.inbox.read(P1, 0, ReadLimit::default())).await;
        ensure!(quiet.is_err(), "partition 1 read an entry of partition 0");
        must(bus.inbox.append(P1, bytes("one")).await)
    };
    let (found, appended) = join(waiting, append).await;
    ensure!(must(found)? == [(appended?, bytes("one"))], "partition 1 read something else");
    let zero = must(bus.inbox.read(P0, 0, ReadLimit::default()).await)?;
    ensure!(bodies(&zero) == [bytes("zero")], "partition 0 holds {zero:?}");
    Ok(())
}

/// What is trimmed is gone for every reader, the rest stays, and the last entry is never trimmed.
pub async fn inbox_is_trimmed(bus: Bus) -> Verdict {
    ensure!(must(bus.inbox.trim(P0, 10).await)? == 0, "an empty inbox had something to trim");
    ensure!(must(bus.inbox.first(P0).await)? == 0, "an empty inbox has a first entry");
    let mut appended = Vec::new();
    for n in 0..600 {
        let body = bytes(&format!("{n}"));
        appended.push((must(bus.inbox.append(P0, body.clone()).await)?, body));
    }
    let other = must(bus.inbox.append(P1, bytes("other")).await)?;
    let (through, _) = appended.get(399).cloned().unwrap_or_default();
    let removed = must(bus.inbox.trim(P0, through).await)?;
    ensure!(removed == 400, "{removed} of 400 entries are gone");
    ensure!(must(bus.inbox.trim(P0, through).await)? == 0, "they went twice");
    let first = must(bus.inbox.first(P0).await)?;
    ensure!(appended.get(400).is_some_and(|(seq, _)| *seq == first), "the first left is {first}");
    let read = |after, limit| bus.inbox.read(P0, after, limit);
    let left = read_n(200, ReadLimit::default(), read).await?;
    ensure!(appended.get(400..) == Some(&left), "what is left differs");
    let (last, body) = left.last().cloned().unwrap_or_default();
    ensure!(must(bus.inbox.trim(P0, u64::MAX >> 20).await)? == 199, "the last entry is not left");
    let found = must(bus.inbox.read(P0, 0, ReadLimit::default()).await)?;
    ensure!(found == [(last, body)], "left is {found:?}");
    let next = must(bus.inbox.append(P0, bytes("next")).await)?;
    ensure!(next > last, "sequence {next} after {last}");
    let untouched = must(bus.inbox.read(P1, 0, ReadLimit::default()).await)?;
    ensure!(untouched == [(other, bytes("other"))], "the other partition holds {untouched:?}");
    Ok(())
}
