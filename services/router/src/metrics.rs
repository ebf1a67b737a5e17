//! Metrics of the entities and of the doors.

use domain::{EntityId, QueueId};
use metrics::{
    Counter, Gauge, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

/// Sends that left, by lane and result.
pub const SENDS_TOTAL: &str = "tandem_router_sends_total";
/// Time a send waited at its number's door, seconds.
pub const DOOR_SECONDS: &str = "tandem_router_door_seconds";
/// Messages of bots that were stopped at the door because the phone had spoken to the customer meanwhile; the conversation is asked
/// whether they may still leave.
pub const OVERTAKEN_TOTAL: &str = "tandem_router_overtaken_total";
/// Inputs refused because they named an entity of another business.
pub const CROSS_BUSINESS_TOTAL: &str = "tandem_router_cross_business_total";

/// Conversations that wait for an agent, by workspace, queue and reason.
pub const WAITING: &str = "tandem_routing_waiting";
/// Turns bots took.
pub const BOT_TURNS_TOTAL: &str = "tandem_router_bot_turns_total";
/// Turns that repeated a question because the answer was not understood.
pub const BOT_MISSES_TOTAL: &str = "tandem_router_bot_misses_total";
/// Hand-overs of bots to people, by why (`requested`, `not_understood`, `rule`, `failed`).
pub const BOT_HANDOFFS_TOTAL: &str = "tandem_router_bot_handoffs_total";
/// Turns that external bots were asked for, by outcome: `answered`, `handed_off`, `resolved`, `not_started`, or why it
/// failed (`deadline`, `unreachable`, `refused`, `unusable`, `busy`, `not_configured`).
pub const EXTERNAL_BOT_TURNS_TOTAL: &str = "tandem_router_external_bot_turns_total";
/// Time from asking an external bot to its outcome, seconds.
pub const EXTERNAL_BOT_SECONDS: &str = "tandem_router_external_bot_seconds";
/// Answers of external bots dropped because their turn was not the conversation's any more.
pub const EXTERNAL_BOT_STALE_TOTAL: &str = "tandem_router_external_bot_stale_total";
/// Flow files read again while running, by result (`taken`, `refused`).
pub const FLOW_RELOADS_TOTAL: &str = "tandem_router_flow_reloads_total";
/// Calls that departed by a number's door, label `number` (Meta's id of it, not the phone number).
pub const DEPARTURES_TOTAL: &str = "tandem_router_departures_total";
/// Configured rate of a number, calls per second, label `number`.
pub const RATE_PER_SECOND: &str = "tandem_router_rate_per_second";
/// Work items, labels `business`, `queue` and `place` (waiting, offered, assigned).
pub const ITEMS: &str = "tandem_router_items";
/// Since when the longest waiting or offered customer of a queue waits, Unix time in seconds, 0 when nobody does; labels
/// `business` and `queue`.
pub const WAITING_SINCE_SECONDS: &str = "tandem_router_waiting_since_timestamp_seconds";

/// Whether a number sends: 1 for the state it is in and 0 for the others; labels `number` (Meta's id of it) and `state`
/// (`sending`, or what a person has to mend: `token`, `permission`, `policy`, `registration`, `payment`).
pub const NUMBER_STATE: &str = "tandem_router_number_state";

/// Every state of a number.
pub(crate) const NUMBER_STATES: [&str; 6] =
    ["sending", "token", "permission", "policy", "registration", "payment"];

/// Describes them to the recorder.
pub fn describe() {
    describe_counter!(SENDS_TOTAL, "sends by lane and result");
    describe_histogram!(DOOR_SECONDS, "seconds a send waited at its number's door");
    describe_counter!(OVERTAKEN_TOTAL, "bot messages stopped at the door: the phone had spoken");
    describe_gauge!(WAITING, "conversations that wait for an agent, by queue and reason");
    describe_counter!(BOT_TURNS_TOTAL, "turns that bots took");
    describe_counter!(BOT_MISSES_TOTAL, "turns repeating a question that was not answered");
    describe_counter!(BOT_HANDOFFS_TOTAL, "hand-overs of bots to people, by why");
    describe_counter!(EXTERNAL_BOT_TURNS_TOTAL, "turns external bots were asked for, by outcome");
    describe_histogram!(EXTERNAL_BOT_SECONDS, "seconds from asking an external bot to its outcome");
    describe_counter!(EXTERNAL_BOT_STALE_TOTAL, "answers of external bots for a turn that is over");
    describe_counter!(FLOW_RELOADS_TOTAL, "flow files read again while running, by result");
    describe_counter!(DEPARTURES_TOTAL, "calls that departed by a number's door");
    describe_gauge!(RATE_PER_SECOND, "configured rate of a number, calls per second");
    describe_gauge!(NUMBER_STATE, "1 for the state a number is in: sending, or why it is paused");
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

pub(crate) fn overtaken() {
    counter!(OVERTAKEN_TOTAL).increment(1);
}

pub(crate) fn waited_at_door(seconds: f64) {
    histogram!(DOOR_SECONDS).record(seconds);
}

/// Queues of two workspaces may have one name; the keyed hash tells them apart and names nobody.
pub(crate) fn waiting(workspace: EntityId, queue: &QueueId, reason: &'static str, n: u64) {
    let workspace: String = workspace.hash.to_string().chars().take(8).collect();
    let n = f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    gauge!(WAITING, "workspace" => workspace, "queue" => queue.0.clone(), "reason" => reason)
        .set(n);
}

pub(crate) fn bot_turn(missed: bool) {
    counter!(BOT_TURNS_TOTAL).increment(1);
    if missed {
        counter!(BOT_MISSES_TOTAL).increment(1);
    }
}

pub(crate) fn bot_handoff(why: &'static str) {
    counter!(BOT_HANDOFFS_TOTAL, "why" => why).increment(1);
}

pub(crate) fn external_bot_turn(outcome: &'static str, seconds: f64) {
    counter!(EXTERNAL_BOT_TURNS_TOTAL, "outcome" => outcome).increment(1);
    histogram!(EXTERNAL_BOT_SECONDS).record(seconds);
}

pub(crate) fn external_bot_stale() {
    counter!(EXTERNAL_BOT_STALE_TOTAL).increment(1);
}

pub(crate) fn flow_reload(result: &'static str) {
    counter!(FLOW_RELOADS_TOTAL, "result" => result).increment(1);
}

pub(crate) fn cross_business() {
    counter!(CROSS_BUSINESS_TOTAL).increment(1);
}

/// What counts the departures of a number; tells its rate.
pub(crate) fn door(phone_number_id: &str, rate_per_second: u32) -> Counter {
    gauge!(RATE_PER_SECOND, "number" => phone_number_id.to_owned()).set(rate_per_second);
    counter!(DEPARTURES_TOTAL, "number" => phone_number_id.to_owned())
}

/// The state a number is in now.
pub(crate) fn number_state(phone_number_id: &str, now: &'static str) {
    for state in NUMBER_STATES {
        let is_now = if state == now { 1.0 } else { 0.0 };
        gauge!(NUMBER_STATE, "number" => phone_number_id.to_owned(), "state" => state).set(is_now);
    }
}

pub(crate) fn items(business: &str, queue: &str, place: &'static str) -> Gauge {
    gauge!(ITEMS, "business" => business.to_owned(), "queue" => queue.to_owned(), "place" => place)
}

pub(crate) fn waiting_since(business: &str, queue: &str) -> Gauge {
    gauge!(WAITING_SINCE_SECONDS, "business" => business.to_owned(), "queue" => queue.to_owned())
}
