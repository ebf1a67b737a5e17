//! Cases of the log.

use futures::future::{join, join_all};
use tokio::time::timeout;

use super::{QUIET, Verdict, blob, bodies, bytes, ensure, must, read_n};
use crate::{Bus, LogAppendError, PartitionId, RECORD_BYTES_MAX, ReadLimit};

const P0: PartitionId = PartitionId(0);
const P1: PartitionId = PartitionId(1);

fn is_conflict<T>(result: &Result<T, LogAppendError>) -> bool {
    matches!(result, Err(LogAppendError::Conflict))
}

/// Records follow each other; `last` and `read` see each as soon as it is acknowledged.
pub async fn log_appends_and_reads(bus: Bus) -> Verdict {
    ensure!(must(bus.log.last(P0).await)?.is_none(), "an empty log has a last record");
    let mut appended = Vec::new();
    let mut last = 0;
    for n in 0..20 {
        let body = bytes(&format!("record {n}"));
        let seq = must(bus.log.append(P0, last, body.clone()).await)?;
        ensure!(seq > last, "sequence {seq} after {last}");
        let seen = must(bus.log.last(P0).await)?;
        ensure!(seen == Some((seq, body.clone())), "last is {seen:?} after {seq}");
        let new = must(bus.log.read(P0, last, ReadLimit::default()).await)?;
        ensure!(new == [(seq, body.clone())], "the record is not read after {last}");
        appended.push((seq, body));
        last = seq;
    }
    let all = must(bus.log.read(P0, 0, ReadLimit::default()).await)?;
    ensure!(all == appended, "the log is {all:?}");
    Ok(())
}

/// An append that expects another last record changes nothing.
pub async fn log_refuses_a_wrong_last(bus: Bus) -> Verdict {
    let ahead = bus.log.append(P0, 1, bytes("x")).await;
    ensure!(is_conflict(&ahead), "an empty log took a record expecting 1: {ahead:?}");
    let first = must(bus.log.append(P0, 0, bytes("first")).await)?;
    let second = must(bus.log.append(P0, first, bytes("second")).await)?;
    for wrong in [0, first, second + 1, second + 1000] {
        let refused = bus.log.append(P0, wrong, bytes("wrong")).await;
        ensure!(is_conflict(&refused), "expecting {wrong} with last {second}: {refused:?}");
    }
    let all = must(bus.log.read(P0, 0, ReadLimit::default()).await)?;
    ensure!(bodies(&all) == [bytes("first"), bytes("second")], "the log is {all:?}");
    must(bus.log.append(P0, second, bytes("third")).await)?;
    Ok(())
}

/// The same bytes sent again after they were stored conflict, and `last` shows that they were.
pub async fn log_refuses_a_resent_record(bus: Bus) -> Verdict {
    let first = must(bus.log.append(P0, 0, bytes("first")).await)?;
    let body = bytes("incarnation 1 number 1");
    let second = must(bus.log.append(P0, first, body.clone()).await)?;
    for _ in 0..3 {
        let again = bus.log.append(P0, first, body.clone()).await;
        ensure!(is_conflict(&again), "the resent record: {again:?}");
        let last = must(bus.log.last(P0).await)?;
        ensure!(last == Some((second, body.clone())), "last is {last:?}");
    }
    Ok(())
}

/// Of appends that expect the same last record exactly one is stored.
pub async fn log_has_one_winner(bus: Bus) -> Verdict {
    let mut last = 0;
    for round in 0..10 {
        let record = |n: u64| bytes(&format!("round {round} writer {n}"));
        let appends = (0..8).map(|n| bus.log.append(P0, last, record(n)));
        let mut winners = Vec::new();
        for (result, n) in join_all(appends).await.into_iter().zip(0..) {
            match result {
                Ok(seq) => winners.push((seq, record(n))),
                Err(LogAppendError::Conflict) => {}
                // An adapter may not know; then the record itself tells.
                Err(LogAppendError::Unknown(_)) => {
                    let stored = must(bus.log.last(P0).await)?;
                    winners.extend(stored.filter(|(_, body)| *body == record(n)));
                }
                Err(other) => return Err(format!("writer {n}: {other}")),
            }
        }
        let stored = must(bus.log.last(P0).await)?;
        ensure!(winners.first() == stored.as_ref(), "winners {winners:?}, stored {stored:?}");
        ensure!(winners.len() == 1, "round {round} had the winners {winners:?}");
        last = winners.first().map_or(0, |(seq, _)| *seq);
    }
    let all = must(bus.log.read(P0, 0, ReadLimit::default()).await)?;
    ensure!(all.len() == 10, "{} records after ten rounds", all.len());
    Ok(())
}

/// `read` never waits: nothing there is an empty answer.
pub async fn log_read_answers_at_once(bus: Bus) -> Verdict {
    let empty = must(bus.log.read(P0, 0, ReadLimit::default()).await)?;
    ensure!(empty.is_empty(), "an empty log reads {empty:?}");
    let seq = must(bus.log.append(P0, 0, bytes("only")).await)?;
    let behind = must(bus.log.read(P0, seq, ReadLimit::default()).await)?;
    ensure!(behind.is_empty(), "behind the end it reads {behind:?}");
    let far = must(bus.log.read(P0, seq + 1_000, ReadLimit::default()).await)?;
    ensure!(far.is_empty(), "far behind the end it reads {far:?}");
    Ok(())
}

/// A waiting tail wakes on the append; several tails all see it.
pub async fn log_tail_wakes(bus: Bus) -> Verdict {
    let mut last = 0;
    for n in 0..5 {
        let body = bytes(&format!("{n}"));
        let tails = join_all((0..3).map(|_| bus.log.tail(P0, last, ReadLimit::default())));
        let append = async {
            tokio::task::yield_now().await;
            bus.log.append(P0, last, body.clone()).await
        };
        let (found, seq) = join(tails, append).await;
        last = must(seq)?;
        for tail in found {
            ensure!(must(tail)? == [(last, body.clone())], "a tail did not bring the append");
        }
    }
    let quiet = timeout(QUIET, bus.log.tail(P0, last, ReadLimit::default())).await;
    ensure!(quiet.is_err(), "a tail with nothing new answered {quiet:?}");
    Ok(())
}

/// A page keeps both limits, but brings at least one record.
pub async fn log_read_keeps_its_limits(bus: Bus) -> Verdict {
    let mut last = 0;
    for n in 0..6 {
        last = must(bus.log.append(P0, last, blob(10_000, n)).await)?;
    }
    let page = |values, bytes| bus.log.read(P0, 0, ReadLimit { values, bytes });
    ensure!(must(page(2, 1 << 20).await)?.len() == 2, "two values were asked for");
    ensure!(must(page(100, 25_000).await)?.len() == 2, "25,000 bytes hold two records");
    ensure!(must(page(100, 1).await)?.len() == 1, "one record must come whatever its size");
    let tail = must(bus.log.tail(P0, 0, ReadLimit { values: 3, bytes: 1 << 20 }).await)?;
    ensure!(tail.len() == 3, "the tail brought {} of three values", tail.len());
    Ok(())
}

/// The largest record is stored and comes back; a larger one is refused and leaves no trace.
pub async fn log_limits_its_records(bus: Bus) -> Verdict {
    let refused = bus.log.append(P0, 0, blob(RECORD_BYTES_MAX + 1, 1)).await;
    ensure!(matches!(refused, Err(LogAppendError::TooLarge { .. })), "too large: {refused:?}");
    let largest = blob(RECORD_BYTES_MAX, 2);
    let seq = must(bus.log.append(P0, 0, largest.clone()).await)?;
    let last = must(bus.log.last(P0).await)?;
    ensure!(last == Some((seq, largest.clone())), "the largest record is not the last");
    let read = must(bus.log.read(P0, 0, ReadLimit::default()).await)?;
    ensure!(read == [(seq, largest)], "the largest record did not come back");
    Ok(())
}

/// A history longer than any memory of the adapter is read completely, page by page, while it grows.
pub async fn log_reads_a_long_history(bus: Bus) -> Verdict {
    let mut last = 0;
    let mut written = Vec::new();
    for n in 0..400_u32 {
        let salt = u8::try_from(n % 256).unwrap_or(0);
        let body = blob(10_000, salt);
        last = must(bus.log.append(P0, last, body.clone()).await)?;
        written.push((last, body));
    }
    let page = ReadLimit { values: 50, bytes: 300_000 };
    let found = read_n(400, page, |after, limit| bus.log.read(P0, after, limit)).await?;
    ensure!(found == written, "the history differs");
    let (middle, _) = written.get(200).cloned().unwrap_or_default();
    let rest = read_n(400, page, |after, limit| bus.log.tail(P0, after, limit)).await?;
    ensure!(rest == written, "the tail's history differs");
    let next = must(bus.log.read(P0, middle, ReadLimit { values: 1, bytes: 1 }).await)?;
    ensure!(written.get(201..202) == Some(&next), "after {middle} comes another record");
    Ok(())
}

/// The logs of two partitions know nothing of each other.
pub async fn log_keeps_partitions_apart(bus: Bus) -> Verdict {
    let (mut zero, mut one) = (0, 0);
    for n in 0..10 {
        zero = must(bus.log.append(P0, zero, bytes(&format!("zero {n}"))).await)?;
        if n % 2 == 0 {
            one = must(bus.log.append(P1, one, bytes(&format!("one {n}"))).await)?;
        }
    }
    let in_one = must(bus.log.read(P1, 0, ReadLimit::default()).await)?;
    let expected: Vec<_> = (0..5).map(|n| bytes(&format!("one {}", 2 * n))).collect();
    ensure!(bodies(&in_one) == expected, "partition 1 holds {in_one:?}");
    let last = must(bus.log.last(P0).await)?;
    ensure!(last == Some((zero, bytes("zero 9"))), "partition 0 ends with {last:?}");
    Ok(())
}

/// What is trimmed is gone for every reader, the rest stays, and the last record is never trimmed.
pub async fn log_is_trimmed(bus: Bus) -> Verdict {
    ensure!(must(bus.log.trim(P0, 10).await)? == 0, "an empty log had something to trim");
    ensure!(must(bus.log.first(P0).await)? == 0, "an empty log has a first record");
    let (mut last, mut written) = (0, Vec::new());
    for n in 0..200 {
        let body = bytes(&format!("{n}"));
        last = must(bus.log.append(P0, last, body.clone()).await)?;
        written.push((last, body));
    }
    let other = must(bus.log.append(P1, 0, bytes("other")).await)?;
    let (through, _) = written.get(149).cloned().unwrap_or_default();
    ensure!(must(bus.log.trim(P0, through).await)? == 150, "150 records should be gone");
    let first = must(bus.log.first(P0).await)?;
    ensure!(written.get(150).is_some_and(|(seq, _)| *seq == first), "the first left is {first}");
    let left = read_n(50, ReadLimit::default(), |after, limit| bus.log.read(P0, after, limit));
    ensure!(written.get(150..) == Some(&left.await?), "what is left differs");
    let tailed = read_n(50, ReadLimit::default(), |after, limit| bus.log.tail(P0, after, limit));
    ensure!(written.get(150..) == Some(&tailed.await?), "what is left differs for a tail");
    ensure!(must(bus.log.trim(P0, u64::MAX >> 20).await)? == 49, "the last record is not left");
    let found = must(bus.log.read(P0, 0, ReadLimit::default()).await)?;
    ensure!(Some(&found) == written.get(199..).map(<[_]>::to_vec).as_ref(), "left is {found:?}");
    let untouched = must(bus.log.read(P1, 0, ReadLimit::default()).await)?;
    ensure!(untouched == [(other, bytes("other"))], "the other partition holds {untouched:?}");
    Ok(())
}

/// The fence holds over a trim: the log still ends where it ended.
pub async fn log_goes_on_after_a_trim(bus: Bus) -> Verdict {
    let first = must(bus.log.append(P0, 0, bytes("first")).await)?;
    let second = must(bus.log.append(P0, first, bytes("second")).await)?;
    must(bus.log.trim(P0, second).await)?;
    ensure!(must(bus.log.last(P0).await)? == Some((second, bytes("second"))), "another last");
    for wrong in [0, first] {
        let refused = bus.log.append(P0, wrong, bytes("wrong")).await;
        ensure!(is_conflict(&refused), "expecting {wrong} with last {second}: {refused:?}");
    }
    let third = must(bus.log.append(P0, second, bytes("third")).await)?;
    let found = must(bus.log.read(P0, 0, ReadLimit::default()).await)?;
    ensure!(found == [(second, bytes("second")), (third, bytes("third"))], "left is {found:?}");
    Ok(())
}
