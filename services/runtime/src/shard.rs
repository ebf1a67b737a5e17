//! The shard machine: one partition's sequencing, without I/O, clock, threads or randomness.
//!
//! A driver owns it, performs its [`Action`]s and tells it what came of them ([`Notice`]). The shell of
//! this crate is one driver, the simulation another. Everything it keeps is ordered, so the same notices
//! give the same actions.
//!
//! The path of an input: read with credit, given a [`Ticket`] and a `now`, dispatched to its entity (loaded first
//! if cold), decided, *staged* strictly in ticket order, appended with whatever was staged meanwhile, and
//! only when that record is durable its effects leave.

mod action;
mod chain;
mod channel;
mod checkpoint;
mod commit;
mod entity;
mod gate;
mod intake;
mod logical_clock;
mod passivate;
mod poison;
mod quarantine;
mod recovery;
mod release;
mod retention;
mod save;
mod size;
mod stage;
mod status;
mod summary;
mod suspect;
mod ticket;
mod timers;
mod wake;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bus::{Checkpoint, CodecError, EntityId, FormatLevel, PartitionId, Place, Position};

pub use action::{
    Action, Alarm, AppendAnswer, Decided, Life, Notice, Outcome, StopReason, Ticket, Why,
};
pub(crate) use chain::read_record;
pub use chain::{Link, Verdict, continues, judge};
pub use logical_clock::LogicalClock;
pub use recovery::Recovery;
pub(crate) use recovery::Remainder;
pub use retention::Retention;
pub(crate) use size::input as input_bytes_max;
pub use status::{Phase, ShardStatus};
pub(crate) use timers::buckets_of;
pub use timers::own_entity;

use crate::settings::ShardSettings;
use channel::Channel;
use checkpoint::Checkpoints;
use commit::Commit;
use entity::Slot;
use intake::Intake;
use save::Saves;
use status::Counts;
use summary::Summary;
use suspect::Suspicion;
use ticket::{Pending, Staged};
use timers::Timers;

/// The checkpoint of a partition that begins at `link`: nothing of its inbox is decided, and `arrived` messages of its channel to
/// itself are in it.
pub(crate) fn first_checkpoint(
    link: Link,
    partition: PartitionId,
    arrived: u64,
    last_now_ms: u64,
) -> Result<Checkpoint, CodecError> {
    let summary = Summary::beginning(link, partition, arrived, last_now_ms);
    let position = Position { generation: link.head.generation, seq: link.seq, index: 0 };
    Ok(Checkpoint { position, bytes: summary.encode()? })
}

/// Kinds from here up are the runtime's own; no host may use them.
pub const RESERVED_KINDS: u8 = 0xF0;

/// What the clocks say; read by the driver for each notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, Unix ms. It may jump.
    pub wall_ms: u64,
    /// Clock that never goes back and counts suspension, ms.
    pub boot_ms: u64,
}

/// Facts of a take-over that was won.
#[derive(Clone, Debug)]
pub struct Owned {
    /// The partition.
    pub partition: PartitionId,
    /// Partitions of the installation.
    pub partitions: u16,
    /// Our `Epoch` record.
    pub epoch: Link,
    /// Whether the log held a record before it: an earlier owner's calls may still be running.
    pub had_owner: bool,
    /// Boot clock when our `Epoch` was sent: nobody had taken over when it was stored...
    pub shown_boot_ms: u64,
    /// ...and when it was read back: it was stored by then.
    pub acked_boot_ms: u64,
    /// Sequence of the inbox's last entry when the partition was taken.
    pub inbox_last: u64,
    /// The installation's format level, read before the partition was taken.
    pub format: FormatLevel,
}

/// One partition being served.
#[derive(Debug)]
pub struct Shard {
    owned: Owned,
    settings: ShardSettings,
    clock: LogicalClock,
    phase: Phase,
    next_ticket: Ticket,
    pending: BTreeMap<Ticket, Pending>,
    next_life: Life,
    intake: Intake,
    entities: BTreeMap<EntityId, Slot>,
    poisoned: BTreeSet<EntityId>,
    live: usize,
    staged: VecDeque<Staged>,
    commit: Commit,
    place: Place,
    taken: BTreeMap<PartitionId, u64>,
    channels: BTreeMap<PartitionId, Channel>,
    timers: Timers,
    saves: Saves,
    checkpoints: Checkpoints,
    suspicion: Suspicion,
    counts: Counts,
    /// When candidates for passivation were last looked for.
    looked_boot_ms: u64,
    /// When entities hear that no call of an earlier owner starts any more, boot clock; `None`: they have, or there was none.
    heirs_boot_ms: Option<u64>,
}

impl Shard {
    /// Begins to serve; call once, before any notice.
    pub fn start(&mut self, now: Now, out: &mut Vec<Action>) {
        self.checkpoints.started(now, self.owned.partition, self.settings.checkpoint_interval_ms);
        self.suspect_on_start();
        self.pump(now, out);
    }

    /// Takes one notice and says what to do now.
    pub fn step(&mut self, now: Now, notice: Notice, out: &mut Vec<Action>) {
        if self.is_stopped() {
            return;
        }
        match notice {
            Notice::Entries(entries) => self.on_entries(now, entries, out),
            Notice::Loaded { entity, life, parts } => self.on_loaded(now, entity, life, parts, out),
            Notice::OpenFailed { entity, life, error } => {
                self.on_open_failed(now, entity, life, &error, out);
            }
            Notice::Decided { life, ticket, outcome } => {
                self.on_decided(now, life, ticket, outcome, out);
            }
            Notice::Snapshot { entity, life, through, parts } => {
                self.on_snapshot(now, entity, life, through, parts, out);
            }
            Notice::EntityGone { entity, life, error } => {
                self.on_entity_gone(now, entity, life, error, out);
            }
            Notice::Appended { number, answer, sent_boot_ms } => {
                self.on_appended(now, number, &answer, sent_boot_ms, out);
            }
            Notice::Last { why, answer, sent_boot_ms } => {
                self.on_last(now, why, answer, sent_boot_ms, out);
            }
            Notice::Sent { target, stored } => self.on_sent(target, stored, out),
            Notice::Saved { stored } => self.on_saved(now, stored, out),
            Notice::Checkpointed { stored } => self.on_checkpointed(stored, out),
            Notice::CallResult(result) => self.on_call_result(now, result, out),
            Notice::Verify => self.verify(out),
            // It never falls; and one that this build does not know lets the node hand the partition over.
            Notice::Format(level) => self.owned.format = self.owned.format.max(level),
            Notice::Tick => self.on_tick(now, out),
            Notice::Release => self.on_release(out),
            Notice::BusClosed => self.stop(StopReason::BusClosed, out),
        }
        self.pump(now, out);
    }

    /// Moves everything on that can move.
    fn pump(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.is_stopped() {
            return;
        }
        self.wake_due(now, out);
        self.stage(now, out);
        self.append_next(out);
        self.send_channels(out);
        self.checkpoint_on(now, out);
        self.save_next(out);
        self.release_on(now, out);
        self.read_more(out);
    }

    /// The level at which this owner writes.
    fn format(&self) -> FormatLevel {
        match self.settings.breaks.format_level {
            true => self.settings.format_known,
            false => self.owned.format.min(self.settings.format_known),
        }
    }

    /// Whether the machine has ended.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Stopped)
    }

    fn stop(&mut self, reason: StopReason, out: &mut Vec<Action>) {
        if !self.is_stopped() {
            self.phase = Phase::Stopped;
            out.push(Action::Stop(reason));
        }
    }

    fn alarm(&mut self, alarm: Alarm, out: &mut Vec<Action>) {
        self.counts.alarm(alarm);
        out.push(Action::Alarm(alarm));
    }

    fn new_ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// `Occasion` time for which an earlier owner's calls may still run, 0 when none can.
    fn foreign_calls_over_ms(&self, now: Now, now_ms: u64) -> u64 {
        if !self.owned.had_owner {
            return 0;
        }
        let bound = self.settings.start_by_ms.saturating_add(self.settings.hard_limit_ms);
        let passed = now.boot_ms.saturating_sub(self.owned.acked_boot_ms);
        match bound.saturating_sub(passed) {
            0 => 0,
            left_ms => now_ms.saturating_add(left_ms),
        }
    }
}
