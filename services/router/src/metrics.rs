//! Metrics of the entities and of the doors.

use metrics::{counter, describe_counter, describe_histogram, histogram};

/// Sends that left, by lane and result.
pub const SENDS_TOTAL: &str = "tandem_router_sends_total";
/// Time a send waited at its number's door, seconds.
pub const DOOR_SECONDS: &str = "tandem_router_door_seconds";
/// Inputs refused because they named an entity of another business.
pub const CROSS_BUSINESS_TOTAL: &str = "tandem_router_cross_business_total";

/// Describes them to the recorder.
pub fn describe() {
    describe_counter!(SENDS_TOTAL, "sends by lane and result");
    describe_histogram!(DOOR_SECONDS, "seconds a send waited at its number's door");
    describe_counter!(CROSS_BUSINESS_TOTAL, "inputs refused: their entity is another business's");
}

pub(crate) fn send(lane: &'static str, result: &'static str) {
    counter!(SENDS_TOTAL, "lane" => lane, "result" => result).increment(1);
}

pub(crate) fn waited_at_door(seconds: f64) {
    histogram!(DOOR_SECONDS).record(seconds);
}

pub(crate) fn cross_business() {
    counter!(CROSS_BUSINESS_TOTAL).increment(1);
}
