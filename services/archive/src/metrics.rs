//! Names of the read model's metrics. No label names a customer, a conversation or a business.

/// Gauge, label `partition`: age of the newest applied decision at the moment it was applied, ms.
pub const LAG_MS: &str = "tandem_archive_lag_ms";
/// Gauge, label `partition`: sequence of the last applied record.
pub const POSITION_SEQ: &str = "tandem_archive_position_seq";
/// Counter: records applied.
pub const RECORDS_TOTAL: &str = "tandem_archive_records_total";
/// Counter: decisions applied.
pub const STEPS_TOTAL: &str = "tandem_archive_steps_total";
/// Histogram: age of a batch's newest decision at the moment it was applied.
pub const LAG_SECONDS: &str = "tandem_archive_lag_seconds";
/// Counter: entries of the logs that are no record, and records that did not continue their chain. Anything but 0 is an alarm.
pub const IGNORED_RECORDS_TOTAL: &str = "tandem_archive_ignored_records_total";
/// Counter: partitions that met a higher generation.
pub const REBASED_TOTAL: &str = "tandem_archive_rebased_total";
/// Counter: partitions of which the database lost what was applied, and which are applied again from what it has.
pub const TAKEN_BACK_TOTAL: &str = "tandem_archive_taken_back_total";
/// Counter: attempts to apply a batch that failed and are repeated.
pub const RETRIES_TOTAL: &str = "tandem_archive_retries_total";
/// Counter: dead letters seen in the logs.
pub const DEAD_LETTERS_TOTAL: &str = "tandem_archive_dead_letters_total";
/// Counter: sealed values that did not open (their key was destroyed).
pub const UNREADABLE_TOTAL: &str = "tandem_archive_unreadable_total";

/// Gauge: 1 while this archive works; 0 while it stands by for another one, or cannot renew its lease.
pub const ON_DUTY: &str = "tandem_archive_on_duty";

/// Counter: segments closed.
pub const SEGMENTS_TOTAL: &str = "tandem_archive_segments_total";
/// Counter: bytes of closed segments.
pub const SEGMENT_BYTES_TOTAL: &str = "tandem_archive_segment_bytes_total";
/// Gauge: complete segments that are not in the bucket yet.
pub const BUCKET_WAITING: &str = "tandem_archive_bucket_waiting_segments";
/// Gauge: 1 while segments cannot be stored in the bucket; nothing more is trimmed from the logs meanwhile.
pub const BUCKET_FAILING: &str = "tandem_archive_bucket_failing";
/// Counter: attempts to write a segment, or to store segments in the bucket, that failed.
pub const SEGMENT_FAILURES_TOTAL: &str = "tandem_archive_segment_failures_total";
/// Counter, label `what` (`inbox`, `log`): entries trimmed.
pub const TRIMMED_TOTAL: &str = "tandem_archive_trimmed_total";

/// Describes them to the recorder; call once per process.
pub fn describe() {
    metrics::describe_gauge!(
        LAG_MS,
        metrics::Unit::Milliseconds,
        "age of the newest decision when applied"
    );
    metrics::describe_gauge!(POSITION_SEQ, "sequence of the last applied record");
    metrics::describe_counter!(RECORDS_TOTAL, "records applied to the read model");
    metrics::describe_counter!(STEPS_TOTAL, "decisions applied to the read model");
    metrics::describe_histogram!(
        LAG_SECONDS,
        metrics::Unit::Seconds,
        "age of a batch's newest decision when applied"
    );
    metrics::describe_counter!(
        IGNORED_RECORDS_TOTAL,
        "entries that are no record, and records that did not continue their chain"
    );
    metrics::describe_counter!(REBASED_TOTAL, "partitions that met a higher generation");
    metrics::describe_counter!(
        TAKEN_BACK_TOTAL,
        "partitions applied again, because the database lost what was applied"
    );
    metrics::describe_counter!(RETRIES_TOTAL, "failed attempts to apply a batch");
    metrics::describe_counter!(DEAD_LETTERS_TOTAL, "dead letters seen in the logs");
    metrics::describe_gauge!(ON_DUTY, "1 while this archive of a cluster works");
    metrics::describe_counter!(SEGMENTS_TOTAL, "archive segments closed");
    metrics::describe_counter!(SEGMENT_BYTES_TOTAL, "bytes of closed archive segments");
    metrics::describe_counter!(
        SEGMENT_FAILURES_TOTAL,
        "failed attempts to write or store a segment"
    );
    metrics::describe_gauge!(BUCKET_WAITING, "complete segments that are not in the bucket yet");
    metrics::describe_gauge!(BUCKET_FAILING, "1 while segments cannot be stored in the bucket");
    metrics::describe_counter!(TRIMMED_TOTAL, "inbox entries and log records trimmed");
    metrics::describe_counter!(UNREADABLE_TOTAL, "sealed values that did not open");
}
