//! What the servers' error codes mean for a publish: the one place that knows them.

use async_nats::jetstream::ErrorCode;

/// What a refused publish means for whoever asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The subject's last sequence is not the expected one; nothing was stored.
    Conflict,
    /// It may or may not be stored, or could not be looked at now: send the same bytes again.
    Retry,
    /// Nothing was stored: no room.
    Full,
    /// Nothing was stored: larger than the servers take.
    TooLarge,
}

/// Codes with a meaning of their own (nats-server, `server/errors.json`); every other code is a `Retry`.
///
/// Only 10071 is a conflict: the leader compared with what is stored. 10164 says that another append of
/// the same subject is on its way through the replicas, 10163 that the leader cannot compare yet,
/// 10158 that the same message is in flight: what they hint at may still fail, so nothing is known.
const CODES: [(ErrorCode, Meaning); 12] = [
    (ErrorCode::STREAM_WRONG_LAST_SEQUENCE, Meaning::Conflict),
    (ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT, Meaning::Retry),
    (ErrorCode::STREAM_EXPECTED_LAST_SEQ_PER_SUBJECT_NOT_READY, Meaning::Retry),
    (ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT, Meaning::Retry),
    (ErrorCode::STREAM_TOO_MANY_REQUESTS, Meaning::Retry),
    (ErrorCode::ACCOUNT_RESOURCES_EXCEEDED, Meaning::Full),
    (ErrorCode::INSUFFICIENT_RESOURCES, Meaning::Full),
    (ErrorCode::STORAGE_RESOURCES_EXCEEDED, Meaning::Full),
    (ErrorCode::MEMORY_RESOURCES_EXCEEDED, Meaning::Full),
    (ErrorCode::STREAM_MAX_STREAM_BYTES_EXCEEDED, Meaning::Full),
    (ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM, Meaning::TooLarge),
    (ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM, Meaning::TooLarge),
];

/// Descriptions of a store's failure (10077) that mean no room. Any other failure may have left the message behind.
const NO_ROOM: [&str; 4] =
    ["maximum bytes exceeded", "maximum messages", "no space left", "resource limits exceeded"];

/// The meaning of a refused publish.
pub(super) fn meaning(code: ErrorCode, description: &str) -> Meaning {
    if code == ErrorCode::STREAM_STORE_FAILED && NO_ROOM.iter().any(|no| description.contains(no)) {
        return Meaning::Full;
    }
    let known = CODES.iter().find(|(known, _)| *known == code);
    known.map_or(Meaning::Retry, |(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_comparison_with_what_is_stored_is_a_conflict() {
        let conflicts: Vec<_> =
            CODES.iter().filter(|(_, meaning)| *meaning == Meaning::Conflict).collect();
        assert_eq!(conflicts.len(), 1);
        assert_eq!(meaning(ErrorCode::STREAM_WRONG_LAST_SEQUENCE, ""), Meaning::Conflict);
        // In flight, leaderless, unheard of: nothing is known.
        for code in [10_164, 10_163, 10_158, 10_008, 10_009, 10_118, 10_167, 99_999] {
            let error = serde_json::json!({"code": 503, "err_code": code, "description": ""});
            let error: async_nats::jetstream::Error = serde_json::from_value(error).unwrap();
            assert_eq!(meaning(error.error_code(), ""), Meaning::Retry, "{code}");
        }
    }

    #[test]
    fn a_failed_store_is_full_only_where_it_says_so() {
        let failed = ErrorCode::STREAM_STORE_FAILED;
        assert_eq!(meaning(failed, "maximum bytes exceeded"), Meaning::Full);
        assert_eq!(meaning(failed, "write: no space left on device"), Meaning::Full);
        assert_eq!(meaning(failed, "store is closed"), Meaning::Retry);
    }
}
