//! Metrics of the entities and of the doors.

use metrics::{
    Counter, Gauge, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

/// Sends that left, by lane and result.
pub const SENDS_TOTAL: &str = "tandem_router_sends_total";
/// Time a send waited at its number's door, seconds.
pub const DOOR_SECONDS: &str = "tandem_router_door_seconds";
/// Inputs refused because they named an entity of another business.
pub const CROSS_BUSINESS_TOTAL: &str = "tandem_router_cross_business_total";

/// Calls that departed by a number's door, label `number` (Meta's id of it, not the phone number).
pub const DEPARTURES_TOTAL: &str = "tandem_router_departures_total";
/// Configured rate of a number, calls per second, label `number`.
pub const RATE_PER_SECOND: &str = "tandem_router_rate_per_second";
/// Work items, labels `business`, `queue` and `place` (waiting, offered, assigned).
pub const ITEMS: &str = "tandem_router_items";
/// Since when the longest waiting or offered customer of a queue waits, Unix time in seconds, 0 when nobody does; labels
/// `business` and `queue`.
pub const WAITING_SINCE_SECONDS: &str = "tandem_router_waiting_since_timestamp_seconds";

/// Describes them to the recorder.
pub fn describe() {
    describe_counter!(SENDS_TOTAL, "sends by lane and result");
    describe_histogram!(DOOR_SECONDS, "seconds a send waited at its number's door");
    describe_counter!(DEPARTURES_TOTAL, "calls that departed by a number's door");
    describe_gauge!(RATE_PER_SECOND, "configured rate of a number, calls per second");
    describe_gauge!(ITEMS, "work items by queue and place");
    describe_gauge!(
        WAITING_SINCE_SECONDS,
        "since when the longest waiting customer waits, Unix time"
    );
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

/// What counts the departures of a number; tells its rate.
pub(crate) fn door(phone_number_id: &str, rate_per_second: u32) -> Counter {
    gauge!(RATE_PER_SECOND, "number" => phone_number_id.to_owned()).set(rate_per_second);
    counter!(DEPARTURES_TOTAL, "number" => phone_number_id.to_owned())
}

pub(crate) fn items(business: &str, queue: &str, place: &'static str) -> Gauge {
    gauge!(ITEMS, "business" => business.to_owned(), "queue" => queue.to_owned(), "place" => place)
}

pub(crate) fn waiting_since(business: &str, queue: &str) -> Gauge {
    gauge!(WAITING_SINCE_SECONDS, "business" => business.to_owned(), "queue" => queue.to_owned())
}
