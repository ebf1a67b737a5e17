//! Metrics of the entities and of the doors.

use domain::{EntityId, QueueId};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Sends that left, by lane and result.
pub const SENDS_TOTAL: &str = "tandem_router_sends_total";
/// Time a send waited at its number's door, seconds.
pub const DOOR_SECONDS: &str = "tandem_router_door_seconds";
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
/// Flow files read again while running, by result (`taken`, `refused`).
pub const FLOW_RELOADS_TOTAL: &str = "tandem_router_flow_reloads_total";

/// Describes them to the recorder.
pub fn describe() {
    describe_counter!(SENDS_TOTAL, "sends by lane and result");
    describe_histogram!(DOOR_SECONDS, "seconds a send waited at its number's door");
    describe_gauge!(WAITING, "conversations that wait for an agent, by queue and reason");
    describe_counter!(BOT_TURNS_TOTAL, "turns that bots took");
    describe_counter!(BOT_MISSES_TOTAL, "turns repeating a question that was not answered");
    describe_counter!(BOT_HANDOFFS_TOTAL, "hand-overs of bots to people, by why");
    describe_counter!(FLOW_RELOADS_TOTAL, "flow files read again while running, by result");
    describe_counter!(CROSS_BUSINESS_TOTAL, "inputs refused: their entity is another business's");
}

pub(crate) fn send(lane: &'static str, result: &'static str) {
    counter!(SENDS_TOTAL, "lane" => lane, "result" => result).increment(1);
}

pub(crate) fn waited_at_door(seconds: f64) {
    histogram!(DOOR_SECONDS).record(seconds);
}

/// Queues of two workspaces may have one name; the keyed hash tells them apart and names nobody.
pub(crate) fn waiting(workspace: EntityId, (queue, reason): &(QueueId, &'static str), n: u64) {
    let workspace: String = workspace.hash.to_string().chars().take(8).collect();
    let n = f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    gauge!(WAITING, "workspace" => workspace, "queue" => queue.0.clone(), "reason" => *reason)
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

pub(crate) fn flow_reload(result: &'static str) {
    counter!(FLOW_RELOADS_TOTAL, "result" => result).increment(1);
}

pub(crate) fn cross_business() {
    counter!(CROSS_BUSINESS_TOTAL).increment(1);
}
