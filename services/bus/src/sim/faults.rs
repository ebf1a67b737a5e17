//! What may go wrong between a node and the simulated store.

/// Probabilities (0 to 1) and durations of faults. The default has none.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// A request is lost: never applied; the caller gives up.
    pub lost: f64,
    /// A request is applied, its answer is lost; the caller gives up. A save is then stored in part.
    pub unanswered: f64,
    /// A request lands after its caller gave up.
    pub late: f64,
    /// A request and its answer travel slowly.
    pub slow: f64,
    /// An inbox append is refused because the store is full.
    pub full: f64,
    /// A read, a load or a lease request is refused.
    pub unavailable: f64,
    /// A former leader answers what the last record is: one before it, as it was when that leader was deposed (some time ago,
    /// or before the partition was last taken), or none. It learns of its successor by that: the node's next read of that log
    /// shows the last one.
    pub stale: f64,
    /// A signal is lost.
    pub signal_lost: f64,
    /// How long a caller waits for an answer before it gives up, ms.
    pub give_up_ms: u64,
    /// Longest slow travel in one direction, ms; shorter than `give_up_ms` to be answered.
    pub slow_ms_max: u64,
    /// How long after the caller gave up a late request may land, ms.
    pub late_ms_max: u64,
    /// How long ago a leader that still answers may have been deposed, ms.
    pub stale_ms_max: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            lost: 0.0,
            unanswered: 0.0,
            late: 0.0,
            slow: 0.0,
            full: 0.0,
            unavailable: 0.0,
            stale: 0.0,
            signal_lost: 0.0,
            give_up_ms: 2_000,
            slow_ms_max: 900,
            late_ms_max: 15_000,
            // By then a leader that hears of nobody steps down by itself.
            stale_ms_max: 10_000,
        }
    }
}

/// Test only: promises of the bus that a checker must notice being broken. The default breaks none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaks {
    /// Test only: a log append succeeds whatever the last record is (the fence is gone).
    pub ignore_expected_last: bool,
    /// Test only: a save replaces a part whatever its stored position is.
    pub unconditional_save: bool,
}

/// Streams that answer nobody, as while their leader is being elected: what is sent is lost, and reads that wait go on
/// waiting. Each is a stream of its own, so each may fall silent alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Silence {
    /// Log appends and reads.
    pub log: bool,
    /// Inbox appends and reads.
    pub inbox: bool,
    /// Saved states and checkpoints.
    pub states: bool,
    /// Leases.
    pub leases: bool,
}

/// State of a node's connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// Requests and answers travel.
    #[default]
    Up,
    /// New requests and the answers of old ones are lost; signals too.
    Cut,
    /// What the node sends arrives, and nothing comes back: requests land and are not answered, signals to it are lost.
    Deaf,
    /// The node stands still at its bus: requests wait to be sent, answers to be taken, until it is up.
    Paused,
}
