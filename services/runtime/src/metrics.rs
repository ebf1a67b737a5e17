//! Metrics of the runtime: names, labels, descriptions.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Records appended.
pub const RECORDS_TOTAL: &str = "tandem_runtime_records_total";
/// Steps made durable.
pub const STEPS_TOTAL: &str = "tandem_runtime_steps_total";
/// Encoded size of a record.
pub const RECORD_BYTES: &str = "tandem_runtime_record_bytes";
/// Time of one log append request, label `answer`.
pub const APPEND_SECONDS: &str = "tandem_runtime_append_seconds";
/// Decisions staged and not in a record, label `partition`.
pub const STAGED: &str = "tandem_runtime_staged";
/// Inbox inputs read and not durable, label `partition`.
pub const IN_FLIGHT: &str = "tandem_runtime_in_flight";
/// Entities in memory, label `partition`.
pub const LIVE_ENTITIES: &str = "tandem_runtime_live_entities";
/// Entities with a timer, label `partition`.
pub const TIMERS: &str = "tandem_runtime_timers";
/// Channel messages not confirmed by their targets, label `partition`.
pub const CHANNEL_UNCONFIRMED: &str = "tandem_runtime_channel_unconfirmed";
/// Inputs dead-lettered.
pub const DEAD_LETTERS_TOTAL: &str = "tandem_runtime_dead_letters_total";
/// Channel appends sent again.
pub const CHANNEL_RESENDS_TOTAL: &str = "tandem_runtime_channel_resends_total";
/// Outside calls ended, label `result`.
pub const CALLS_TOTAL: &str = "tandem_runtime_calls_total";
/// Partitions served by this node.
pub const PARTITIONS: &str = "tandem_runtime_partitions";
/// Epoch by which this node owns a partition, 0 once it does not any more; labels `partition` and `node`.
pub const EPOCH: &str = "tandem_runtime_epoch";
/// Time from the release of a partition to its being served by the node it was handed to.
pub const HAND_OVER_SECONDS: &str = "tandem_runtime_hand_over_seconds";
/// Time in which the lease is renewed and all leases are read.
pub const LEASE_SECONDS: &str = "tandem_runtime_lease_seconds";
/// Time between two renewals that the bus acknowledged; the others count a node as dead when it reaches a lease period.
pub const LEASE_GAP_SECONDS: &str = "tandem_runtime_lease_gap_seconds";
/// Time from the decision to take a partition to its being served here.
pub const TAKE_SECONDS: &str = "tandem_runtime_take_seconds";
/// Things that must not happen, label `name` (see [`crate::shard::Alarm`]; `clock_off`, `format_behind` and `name_taken` are the node's own).
pub const ALARMS_TOTAL: &str = "tandem_runtime_alarms_total";

/// Describes every metric; call once per process.
pub fn describe() {
    describe_counter!(RECORDS_TOTAL, "records appended to logs");
    describe_counter!(STEPS_TOTAL, "steps made durable");
    describe_histogram!(RECORD_BYTES, Unit::Bytes, "encoded size of a record");
    describe_histogram!(APPEND_SECONDS, Unit::Seconds, "time of one log append request");
    describe_gauge!(STAGED, "decisions staged and not in a record");
    describe_gauge!(IN_FLIGHT, "inbox inputs read and not durable");
    describe_gauge!(LIVE_ENTITIES, "entities in memory");
    describe_gauge!(TIMERS, "entities with a timer");
    describe_gauge!(CHANNEL_UNCONFIRMED, "channel messages not confirmed by their targets");
    describe_counter!(DEAD_LETTERS_TOTAL, "inputs dead-lettered");
    describe_counter!(CHANNEL_RESENDS_TOTAL, "channel appends sent again");
    describe_counter!(CALLS_TOTAL, "outside calls ended, by result");
    describe_gauge!(PARTITIONS, "partitions served by this node");
    describe_gauge!(EPOCH, "epoch by which this node owns a partition, 0 when it does not");
    describe_histogram!(
        HAND_OVER_SECONDS,
        Unit::Seconds,
        "time from the release of a partition to its being served by the node it was handed to"
    );
    describe_histogram!(
        LEASE_SECONDS,
        Unit::Seconds,
        "time in which the lease is renewed and all leases are read"
    );
    describe_histogram!(
        LEASE_GAP_SECONDS,
        Unit::Seconds,
        "time between two renewals that the bus acknowledged"
    );
    describe_histogram!(
        TAKE_SECONDS,
        Unit::Seconds,
        "time from the decision to take a partition to its being served here"
    );
    describe_counter!(ALARMS_TOTAL, "things that must not happen, by name");
}
