//! The chain of records and what the last record proves (design.md 4.2, 4.3).

use bus::{CodecError, FormatLevel, Incarnation, Record, RecordBody, RecordHead, check_version};
use serde::{Deserialize, Serialize};

/// Last record of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its sequence.
    pub seq: u64,
    /// Its head.
    pub head: RecordHead,
}

/// Reads a record and its plain size, as a build does that knows format levels up to `known`.
///
/// # Errors
/// When the bytes are no record, or were written at a later level.
pub(crate) fn read_record(bytes: &[u8], known: FormatLevel) -> Result<(Record, usize), CodecError> {
    let (record, plain_bytes) = Record::decode_sized(bytes)?;
    check_version(record.version, known.0)?;
    Ok((record, plain_bytes))
}

/// Whether a record continues the chain that ends at `last` (`None`: an empty log).
#[must_use]
pub fn continues(last: Option<&Link>, head: &RecordHead, body: &RecordBody) -> bool {
    let takes_over = matches!(body, RecordBody::Epoch { .. }) && head.number == 0;
    let Some(last) = last else {
        return takes_over && head.previous_seq == 0;
    };
    if head.generation != last.head.generation {
        return takes_over && head.generation > last.head.generation;
    }
    if head.previous_seq != last.seq {
        return false;
    }
    if takes_over {
        return head.epoch == last.head.epoch + 1;
    }
    head.epoch == last.head.epoch
        && head.incarnation == last.head.incarnation
        && head.number == last.head.number + 1
}

/// What the last record says of an append that met a Conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is our record: the append had worked, with this sequence.
    Worked(u64),
    /// Another incarnation wrote after us.
    Fenced,
    /// The log still ends where the append expects it: send the same bytes again.
    SendAgain,
    /// Older than a record we know to be stored: ask again, then alarm.
    Older,
}

/// Judges the last record, read from the leader, for the append of record `number` of `own` that
/// expects the log to end at `expected`.
#[must_use]
pub fn judge(
    own: Incarnation,
    number: u64,
    expected: u64,
    last: Option<(u64, &RecordHead)>,
) -> Verdict {
    let Some((seq, head)) = last else {
        return if expected == 0 { Verdict::SendAgain } else { Verdict::Older };
    };
    if head.incarnation == own && head.number == number {
        return Verdict::Worked(seq);
    }
    match seq.cmp(&expected) {
        std::cmp::Ordering::Less => Verdict::Older,
        std::cmp::Ordering::Equal => Verdict::SendAgain,
        std::cmp::Ordering::Greater => Verdict::Fenced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Incarnation = Incarnation([1; 16]);
    const B: Incarnation = Incarnation([2; 16]);

    fn head(epoch: u64, incarnation: Incarnation, number: u64, previous_seq: u64) -> RecordHead {
        RecordHead { generation: 1, epoch, incarnation, number, previous_seq }
    }

    #[test]
    fn the_last_record_decides_an_unknown_append() {
        let own = head(3, A, 7, 70);
        let before = head(3, A, 6, 60);
        let other = head(4, B, 0, 70);
        // (last, verdict) for our record 7, which expects the log to end at 70.
        let table = [
            (Some((75, &own)), Verdict::Worked(75)),
            (Some((70, &before)), Verdict::SendAgain),
            (Some((71, &other)), Verdict::Fenced),
            (Some((69, &before)), Verdict::Older),
            (Some((69, &other)), Verdict::Older),
            (None, Verdict::Older),
        ];
        for (last, verdict) in table {
            assert_eq!(judge(A, 7, 70, last), verdict, "{last:?}");
        }
        assert_eq!(judge(A, 0, 0, None), Verdict::SendAgain);
        let same_epoch = head(3, B, 7, 70);
        assert_eq!(judge(A, 7, 70, Some((75, &same_epoch))), Verdict::Fenced);
    }

    #[test]
    fn only_records_that_continue_the_chain_count() {
        let last = Link { seq: 40, head: head(3, A, 6, 30) };
        let epoch = RecordBody::Epoch { node: "n".to_owned(), now_ms: 1 };
        let table = [
            (head(3, A, 7, 40), RecordBody::Released, true),
            (head(3, A, 7, 39), RecordBody::Released, false),
            (head(3, A, 8, 40), RecordBody::Released, false),
            (head(3, B, 7, 40), RecordBody::Released, false),
            (head(4, A, 7, 40), RecordBody::Released, false),
            (head(4, B, 0, 40), epoch.clone(), true),
            (head(5, B, 0, 40), epoch.clone(), false),
            (head(4, B, 0, 30), epoch.clone(), false),
            (head(4, B, 1, 40), epoch.clone(), false),
            (RecordHead { generation: 2, ..head(1, B, 0, 0) }, epoch.clone(), true),
            (RecordHead { generation: 0, ..head(4, B, 0, 40) }, epoch.clone(), false),
        ];
        for (next, body, expected) in table {
            assert_eq!(continues(Some(&last), &next, &body), expected, "{next:?} {body:?}");
        }
        assert!(continues(None, &head(1, A, 0, 0), &epoch));
        assert!(!continues(None, &head(1, A, 1, 0), &RecordBody::Released));
        assert!(!continues(None, &head(1, A, 0, 9), &epoch));
    }
}
