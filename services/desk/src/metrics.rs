//! Names of the desk's metrics. No label names a business, an agent or a conversation.

/// Gauge: open agents' sessions.
pub const SESSIONS: &str = "tandem_desk_sessions";
/// Counter, label `reason`: ended sessions.
pub const SESSIONS_ENDED_TOTAL: &str = "tandem_desk_sessions_ended_total";
/// Counter, labels `kind` and `result`: commands of agents and programs.
pub const COMMANDS_TOTAL: &str = "tandem_desk_commands_total";
/// Counter: commands sent again because no answer had come.
pub const REPEATED_TOTAL: &str = "tandem_desk_commands_repeated_total";
/// Counter: calls and streams without a valid token.
pub const UNAUTHENTICATED_TOTAL: &str = "tandem_desk_unauthenticated_total";
/// Counter: snapshots asked for because a change was missed.
pub const RESYNCS_TOTAL: &str = "tandem_desk_resyncs_total";
/// Gauge: open connections.
pub const CONNECTIONS: &str = "tandem_desk_connections";
/// Gauge: open event tails.
pub const TAILS: &str = "tandem_desk_tails";
/// Gauge: open streams of replies to channels' platforms.
pub const CHANNEL_STREAMS: &str = "tandem_desk_channel_streams";

/// Describes them to the recorder; call once per process.
pub fn describe() {
    ::metrics::describe_gauge!(SESSIONS, "open agents' sessions");
    ::metrics::describe_counter!(SESSIONS_ENDED_TOTAL, "ended sessions");
    ::metrics::describe_counter!(COMMANDS_TOTAL, "commands of agents and programs");
    ::metrics::describe_counter!(REPEATED_TOTAL, "commands sent again for want of an answer");
    ::metrics::describe_counter!(UNAUTHENTICATED_TOTAL, "calls without a valid token");
    ::metrics::describe_counter!(RESYNCS_TOTAL, "snapshots asked for after a gap");
    ::metrics::describe_gauge!(CONNECTIONS, "open connections");
    ::metrics::describe_gauge!(TAILS, "open event tails");
    ::metrics::describe_gauge!(CHANNEL_STREAMS, "open streams of replies to channels' platforms");
}

/// Counts something as open for as long as it lives.
#[derive(Debug)]
pub(crate) struct Open(&'static str);

impl Open {
    pub(crate) fn new(gauge: &'static str) -> Self {
        ::metrics::gauge!(gauge).increment(1.0);
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        ::metrics::gauge!(self.0).decrement(1.0);
    }
}

pub(crate) fn command(kind: &'static str, result: &'static str) {
    ::metrics::counter!(COMMANDS_TOTAL, "kind" => kind, "result" => result).increment(1);
}
