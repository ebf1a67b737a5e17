//! Replay: from the checkpoint (or the start) along the chain to our own `Epoch`. It gathers; nothing is
//! decided, and entities apply their events when they are loaded (design.md 4.3).

mod remainder;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bus::{
    Checkpoint, CodecError, EntityId, FormatLevel, PartitionId, Place, Position, Record,
    RecordBody, SavedPart, Step, Steps,
};

use super::{
    Alarm, Link, LogicalClock, Owned, Phase, Shard, StopReason,
    channel::Channel,
    checkpoint::Checkpoints,
    commit::Commit,
    continues,
    entity::Slot,
    intake::Intake,
    quarantine, read_record,
    save::Saves,
    status::Counts,
    summary::Summary,
    suspect::{Ends, Suspicion},
    timers::TimerReplay,
};
use crate::settings::ShardSettings;

pub(crate) use remainder::Remainder;

/// A replay under way.
#[derive(Debug)]
pub struct Recovery {
    owned: Owned,
    /// Records of a later level are not read.
    known: FormatLevel,
    /// Last record of the chain read so far.
    link: Option<Link>,
    /// Where the checkpoint stands; records up to it only give their unconfirmed messages.
    checkpoint: Option<(Position, Link)>,
    /// The record that holds the oldest unconfirmed message: the chain is followed from it.
    from_seq: Option<u64>,
    /// The log begins after `from_seq`: a former owner's checkpoint, stored while the next owner was at work on its own, knew
    /// more messages to have arrived, and let their records be trimmed.
    begins_late: bool,
    place: Place,
    taken: BTreeMap<PartitionId, u64>,
    channels: BTreeMap<PartitionId, Channel>,
    entities: BTreeMap<EntityId, Slot>,
    timers: TimerReplay,
    last_now_ms: u64,
    ends: Ends,
    dead_letters: u64,
    log_bytes: usize,
    alarms: Vec<Alarm>,
}

impl Recovery {
    /// Begins with the checkpoint and the saved parts of [`super::own_entity`].
    ///
    /// # Errors
    /// When either cannot be read, or the checkpoint is later than the log.
    pub fn begin(
        owned: Owned,
        checkpoint: Option<Checkpoint>,
        own_parts: &[SavedPart],
    ) -> Result<Self, StopReason> {
        let timers = TimerReplay::from_parts(own_parts)
            .map_err(|error| unreadable("a timer bucket", &error))?;
        let entities = quarantine::restore(own_parts)
            .map_err(|error| unreadable("events set aside", &error))?;
        let mut recovery = Self {
            owned,
            known: FormatLevel::KNOWN,
            link: None,
            checkpoint: None,
            from_seq: None,
            begins_late: false,
            place: Place::default(),
            taken: BTreeMap::new(),
            channels: BTreeMap::new(),
            entities,
            timers,
            last_now_ms: 0,
            ends: Ends::default(),
            dead_letters: 0,
            log_bytes: 0,
            alarms: Vec::new(),
        };
        if let Some(checkpoint) = checkpoint {
            recovery.resume(&checkpoint)?;
        }
        Ok(recovery)
    }

    /// The same for a build that knows format levels up to `known`.
    #[must_use]
    pub fn knowing(self, known: FormatLevel) -> Self {
        Self { known, ..self }
    }

    fn resume(&mut self, checkpoint: &Checkpoint) -> Result<(), StopReason> {
        let summary = Summary::decode(&checkpoint.bytes)
            .map_err(|error| unreadable("the checkpoint", &error))?;
        let (own, found) = (self.owned.epoch, summary.link);
        let order = |link: Link| (link.head.generation, link.head.epoch);
        if order(found) > order(own) {
            // Another owner took the partition while this take-over stood still, and got this far.
            return Err(StopReason::Fenced);
        }
        if found.head.generation == own.head.generation && found.seq >= own.seq {
            let what = "the checkpoint is later than the log's last record";
            return Err(StopReason::Corrupt(what.to_owned()));
        }
        self.place = summary.place;
        self.taken = summary.taken.into_iter().collect();
        let resume =
            |c: super::summary::ChannelSummary| (c.target, Channel::resume(c.confirmed, c.durable));
        self.channels = summary.channels.into_iter().map(resume).collect();
        self.last_now_ms = summary.last_now_ms;
        self.ends = summary.ends;
        self.dead_letters = summary.dead_letters;
        self.checkpoint = Some((checkpoint.position, summary.link));
        match summary.oldest_unconfirmed_seq {
            Some(seq) if seq < summary.link.seq => self.from_seq = Some(seq),
            Some(seq) if seq == summary.link.seq => self.from_seq = Some(seq),
            _ => self.link = Some(summary.link),
        }
        Ok(())
    }

    /// Sequence to read the log after.
    #[must_use]
    pub fn read_after(&self) -> u64 {
        match (self.from_seq, &self.checkpoint) {
            (Some(seq), _) => seq.saturating_sub(1),
            (None, Some((_, link))) => link.seq,
            (None, None) => 0,
        }
    }

    /// Takes the next record of the log; false once our own `Epoch` was taken.
    ///
    /// # Errors
    /// When it cannot be read, or shows another owner.
    pub fn record(&mut self, seq: u64, bytes: &[u8]) -> Result<bool, StopReason> {
        let (record, plain_bytes) = read_record(bytes, self.known)
            .map_err(|error| unreadable(&format!("record {seq}"), &error))?;
        let is_first_of_chain = self.is_first_of_chain(seq);
        if !is_first_of_chain && !continues(self.link.as_ref(), &record.head, &record.body) {
            self.alarms.push(Alarm::RecordOutOfChain);
            return Ok(true);
        }
        self.begins_late |= is_first_of_chain && self.from_seq != Some(seq);
        let is_first = self.link.is_none() && self.from_seq.is_none();
        self.link = Some(Link { seq, head: record.head });
        match self.checkpoint {
            Some((_, at)) if seq < at.seq => self.messages_before(seq, record),
            Some((_, at)) if seq == at.seq => {
                if at.head != record.head {
                    let what = "the checkpoint names another record than the log holds";
                    return Err(StopReason::Corrupt(what.to_owned()));
                }
                self.messages_before(seq, record);
            }
            _ => self.take(seq, record, plain_bytes, is_first),
        }
        Ok(seq != self.owned.epoch.seq)
    }

    /// The record with the oldest unconfirmed message, or the first one after it that was not trimmed.
    fn is_first_of_chain(&self, seq: u64) -> bool {
        let (Some(from), Some((_, at))) = (self.from_seq, &self.checkpoint) else { return false };
        self.link.is_none() && (from..=at.seq).contains(&seq)
    }

    /// A record up to the checkpoint: only messages that may not have arrived.
    fn messages_before(&mut self, seq: u64, record: Record) {
        let generation = record.head.generation;
        if let RecordBody::Steps(Steps { steps, .. }) = record.body {
            for (index, step) in (0_u32..).zip(steps) {
                self.messages(step, Position { generation, seq, index });
            }
        }
    }

    fn messages(&mut self, step: Step, position: Position) {
        for message in step.messages {
            self.channels.entry(message.target).or_default().durable(message, position);
        }
    }

    fn take(&mut self, seq: u64, record: Record, bytes: usize, is_first: bool) {
        self.ends.record(&record.body, is_first);
        self.log_bytes = self.log_bytes.saturating_add(bytes);
        let generation = record.head.generation;
        match record.body {
            RecordBody::Epoch { now_ms, .. } => self.last_now_ms = self.last_now_ms.max(now_ms),
            RecordBody::Trying { .. } | RecordBody::Released => {}
            RecordBody::Steps(Steps { steps, place, taken }) => {
                self.place = self.place.max(place);
                self.taken.extend(taken);
                for (index, step) in (0_u32..).zip(steps) {
                    self.step(step, Position { generation, seq, index });
                }
            }
        }
    }

    fn step(&mut self, mut step: Step, position: Position) {
        self.last_now_ms = self.last_now_ms.max(step.now_ms);
        self.dead_letters += u64::from(step.dead_letter.is_some());
        self.timers.apply(step.entity, step.wake_ms, &step.header.business, position);
        let events = std::mem::take(&mut step.events);
        if !events.is_empty() {
            let slot = self.entities.entry(step.entity).or_insert_with(Slot::cold);
            slot.keep(0, position, events);
        }
        self.messages(step, position);
    }

    /// The shard, and what was alarming in its log. Call after [`Recovery::record`] answered false.
    ///
    /// # Errors
    /// When our own `Epoch` was not reached along the chain.
    pub fn finish(mut self, settings: ShardSettings) -> Result<(Shard, Vec<Alarm>), StopReason> {
        if self.link.is_none_or(|link| link != self.owned.epoch) {
            let what = "the chain of records does not reach our own epoch";
            return Err(StopReason::Corrupt(what.to_owned()));
        }
        if self.begins_late {
            self.channels.values_mut().for_each(Channel::begin_late);
        }
        let mut counts = Counts::after(self.dead_letters);
        for alarm in &self.alarms {
            counts.alarm(*alarm);
        }
        let mut checkpoints = Checkpoints::after(self.checkpoint.map(|(position, _)| position));
        checkpoints.logged(self.log_bytes);
        let shard = Shard {
            commit: Commit::after(self.owned.epoch, self.owned.shown_boot_ms),
            clock: LogicalClock::from_last(self.last_now_ms),
            phase: Phase::Serving,
            next_ticket: 0,
            pending: BTreeMap::new(),
            next_life: 0,
            intake: Intake::after(self.place, self.taken.clone()),
            entities: self.entities,
            poisoned: BTreeSet::new(),
            live: 0,
            staged: VecDeque::new(),
            place: self.place,
            taken: self.taken,
            channels: self.channels,
            timers: self.timers.finish(),
            saves: Saves::default(),
            checkpoints,
            suspicion: Suspicion::after(self.ends),
            counts,
            looked_boot_ms: 0,
            heirs_boot_ms: self
                .owned
                .had_owner
                .then(|| self.owned.acked_boot_ms.saturating_add(settings.start_by_ms)),
            owned: self.owned,
            settings,
        };
        Ok((shard, self.alarms))
    }
}

fn unreadable(what: &str, error: &CodecError) -> StopReason {
    match error {
        CodecError::UnknownVersion { .. } => StopReason::UnknownVersion(what.to_owned()),
        _ => StopReason::Corrupt(format!("{what} cannot be read: {error}")),
    }
}
