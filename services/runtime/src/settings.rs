//! Settings of a node and of its shards, with the reason for each default.

use bus::FormatLevel;

/// Settings of one shard.
#[derive(Clone, Debug)]
pub struct ShardSettings {
    /// Most inbox inputs read and not yet durable; the reader pulls no more until some are.
    pub inputs_in_flight_max: usize,
    /// Most bytes of them.
    pub input_bytes_in_flight_max: usize,
    /// Most timers being decided at once, so that an hour's worth of timers does not flood the actors.
    pub wakes_in_flight_max: usize,
    /// A call may start this long after the sending of the log request that showed us to be last.
    pub start_by_ms: u64,
    /// An owner that was shown to be last longer ago than this asks the leader: an idle one notices a fence.
    pub verify_ms: u64,
    /// A call is over this long after it was handed to its executor.
    pub hard_limit_ms: u64,
    /// A checkpoint is begun this long after the last one...
    pub checkpoint_interval_ms: u64,
    /// ...or after this many bytes of records, which bounds replay and the events kept in memory.
    pub checkpoint_log_bytes: usize,
    /// An entity may leave memory after this long without an input...
    pub idle_ms: u64,
    /// ...while more than this many are live.
    pub live_max: usize,
    /// First wait before a failed bus request is repeated; doubles.
    pub retry_ms_min: u64,
    /// Longest wait before a failed bus request is repeated.
    pub retry_ms_max: u64,
    /// First wait before a timer is tried again that changed nothing or was dead-lettered; doubles.
    pub wake_backoff_ms_min: u64,
    /// Longest such wait.
    pub wake_backoff_ms_max: u64,
    /// Most entities being asked for their parts at once.
    pub snapshots_in_flight_max: usize,
    /// Newest format level that this build knows; lower only to rehearse an upgrade.
    pub format_known: FormatLevel,
    /// Switches of the simulation's self-test; all off in a product.
    #[doc(hidden)]
    pub breaks: Breaks,
}

impl Default for ShardSettings {
    fn default() -> Self {
        Self {
            inputs_in_flight_max: 4_096,
            input_bytes_in_flight_max: 16 * 1024 * 1024,
            wakes_in_flight_max: 256,
            start_by_ms: 2_000,
            verify_ms: 10_000,
            hard_limit_ms: 10_000,
            checkpoint_interval_ms: 30_000,
            checkpoint_log_bytes: 16 * 1024 * 1024,
            idle_ms: 60_000,
            live_max: 10_000,
            retry_ms_min: 20,
            retry_ms_max: 2_000,
            wake_backoff_ms_min: 1_000,
            wake_backoff_ms_max: 600_000,
            snapshots_in_flight_max: 256,
            format_known: FormatLevel::KNOWN,
            breaks: Breaks::default(),
        }
    }
}

impl ShardSettings {
    /// Wait before attempt `attempts` + 1 of a bus request.
    #[must_use]
    pub fn retry_ms(&self, attempts: u32) -> u64 {
        backoff_ms(self.retry_ms_min, self.retry_ms_max, attempts)
    }

    /// Wait before a timer is tried again for the `times`-th time without success.
    #[must_use]
    pub fn wake_backoff_ms(&self, times: u32) -> u64 {
        backoff_ms(self.wake_backoff_ms_min, self.wake_backoff_ms_max, times)
    }
}

/// 0 for the first attempt, then `min`, doubled each time up to `max`.
fn backoff_ms(min: u64, max: u64, attempts: u32) -> u64 {
    match attempts {
        0 => 0,
        n => min.saturating_mul(1_u64.checked_shl(n - 1).unwrap_or(u64::MAX)).min(max),
    }
}

/// Rules of the runtime broken on purpose, so that the simulation can show that its checker bites.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaks {
    /// After a Conflict any last record counts as our own.
    pub incarnation: bool,
    /// Calls, signals and replies leave when staged, not when durable.
    pub gate: bool,
    /// Channel messages are neither deduplicated nor checked for gaps on receipt.
    pub channel: bool,
    /// Steps are staged in the order they complete.
    pub ordered_staging: bool,
    /// A load applies events that the saved part already holds.
    pub per_part_apply: bool,
    /// The door never closes.
    pub start_by: bool,
    /// A last record of our own that was read counts as proof that nobody has taken over.
    pub leader_reads: bool,
    /// Nodes are called dead though our own renewals failed too.
    pub sound_leases: bool,
    /// An owner moves partitions to a node that has not settled and does not want them.
    pub agreed_moves: bool,
    /// Nobody is woken when the calls of an earlier owner can start no more.
    pub heirs: bool,
    /// Everything is written at the newest level that the build knows, whatever the installation's.
    pub format_level: bool,
}

/// Which partitions a node takes of its own accord.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// Those that rendezvous hashing over the live nodes gives to it; a single node takes all. What another live node
    /// owns is moved by that one alone.
    #[default]
    Rendezvous,
    /// The free ones among them; nothing is ever moved for the sake of balance.
    All,
    /// None: only those it is told to take.
    Manual,
}

/// Settings of one node.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of each of its shards.
    pub shard: ShardSettings,
    /// Which partitions it takes.
    pub placement: Placement,
    /// How often it renews its lease and looks for partitions to take.
    pub renew_ms: u64,
    /// Another node counts as dead after its lease did not change for this long, while our own renewals
    /// were all acknowledged.
    pub lease_ms: u64,
    /// A node is given partitions of others only after it was seen alive for this long without a break.
    pub settle_ms: u64,
    /// Most partitions this node hands over at once; the next only when one is served elsewhere.
    pub moves_max: usize,
    /// A node that did not take what was handed to it is given nothing more for this long.
    pub avoid_ms: u64,
    /// A node whose clock differs from the bus's by more takes no partition (design.md 4.1).
    pub clock_off_max_ms: u64,
    /// A fenced owner waits this long, jittered by half, before it takes that partition again.
    pub fenced_wait_ms: u64,
    /// Wait before a take-over that failed is tried again, jittered by half.
    pub retake_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shard: ShardSettings::default(),
            placement: Placement::Rendezvous,
            // A killed node's partitions are taken after lease + renew at most, 3.5 s. An election of the bus (4 to 9 s)
            // is longer, and takes nothing over: nobody's renewals are acknowledged in it.
            renew_ms: 500,
            lease_ms: 3_000,
            // Longer than an election, so that a node behind one is not given partitions between two of its failures.
            settle_ms: 10_000,
            moves_max: 1,
            avoid_ms: 60_000,
            clock_off_max_ms: 2_000,
            fenced_wait_ms: 10_000,
            retake_ms: 1_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit() {
        let settings = ShardSettings { retry_ms_min: 20, retry_ms_max: 100, ..Default::default() };
        let waits: Vec<_> = [0, 1, 2, 3, 4, 70].map(|n| settings.retry_ms(n)).into();
        assert_eq!(waits, [0, 20, 40, 80, 100, 100]);
    }
}
