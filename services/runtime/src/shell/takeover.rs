//! Taking a partition over: last record → `Epoch` expecting exactly it → read it back → replay
//! (design.md 4.3).

use std::sync::Arc;

use bus::{
    BusError, FormatLevel, Incarnation, LogAppendError, PartitionId, ReadLimit, Record, RecordBody,
    RecordHead,
};
use bytes::Bytes;

use super::context::Context;
use crate::{
    format_level,
    shard::{
        Alarm, Link, Owned, Recovery, Shard, StopReason, Verdict, judge, own_entity, read_record,
    },
};

/// Generation of a log that no restore or import has touched.
const FIRST_GENERATION: u32 = 1;

/// Why a take-over came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TakeOverError {
    /// Another node took it at the same time.
    #[error("another node took the partition")]
    Lost,
    /// What is stored cannot be served by this node.
    #[error(transparent)]
    Stopped(#[from] StopReason),
}

/// A take-over under way.
pub(crate) struct TakeOver {
    context: Arc<Context>,
    partition: PartitionId,
    incarnation: Incarnation,
    attempts: u32,
}

struct Claimed {
    link: Link,
    had_owner: bool,
    /// When the `Epoch` was first sent.
    sent_boot_ms: u64,
}

impl TakeOver {
    pub(crate) fn new(context: Arc<Context>, partition: PartitionId) -> Self {
        let incarnation = context.random.incarnation();
        Self { context, partition, incarnation, attempts: 0 }
    }

    /// Takes the partition and replays it.
    pub(crate) async fn run(mut self) -> Result<(Shard, Vec<Alarm>), TakeOverError> {
        let format = self.format_level().await?;
        let claimed = self.claim(format).await?;
        let (read_boot_ms, acked_boot_ms) = self.read_back(claimed.link).await?;
        // A deposed leader would show it to be last, too, when it is not any more.
        let shown_boot_ms = match self.context.settings.shard.breaks.leader_reads {
            true => read_boot_ms,
            false => claimed.sent_boot_ms,
        };
        self.context.executor.taken(self.partition);
        let inbox_last = self.inbox_last().await?;
        let owned = Owned {
            partition: self.partition,
            partitions: self.context.bus.partitions,
            epoch: claimed.link,
            had_owner: claimed.had_owner,
            shown_boot_ms,
            acked_boot_ms,
            inbox_last,
            format,
        };
        let replayed = self.replay_untrimmed(owned).await;
        if let Err(TakeOverError::Stopped(StopReason::Corrupt(_))) = &replayed {
            // Where another owner came after us meanwhile, it stored what does not fit our view.
            self.read_back(claimed.link).await?;
        }
        replayed
    }

    /// The level to write at. Who does not know it must not even try: its `Epoch` would end an owner who does.
    async fn format_level(&mut self) -> Result<FormatLevel, TakeOverError> {
        let known = self.context.settings.shard.format_known;
        loop {
            let stored = format_level::stored(&self.context.bus).await;
            match stored.map(Option::unwrap_or_default) {
                Ok(level) if level > known => {
                    let what =
                        format!("at format level {level}, and this one knows those up to {known}");
                    return Err(StopReason::UnknownVersion(what).into());
                }
                Ok(level) => return Ok(level),
                Err(error) => self.again(error).await?,
            }
        }
    }

    async fn claim(&mut self, format: FormatLevel) -> Result<Claimed, TakeOverError> {
        let mut last = self.last().await?;
        if last.is_none() && self.checkpoint().await?.is_some() {
            // Another node may have begun the log and made the checkpoint in between.
            last = self.last().await?;
            if last.is_none() {
                let what = "there is a checkpoint but no last record: the log is gone".to_owned();
                return Err(StopReason::Corrupt(what).into());
            }
        }
        let head = RecordHead {
            generation: last.map_or(FIRST_GENERATION, |(_, head)| head.generation),
            epoch: last.map_or(0, |(_, head)| head.epoch) + 1,
            incarnation: self.incarnation,
            number: 0,
            previous_seq: last.map_or(0, |(seq, _)| seq),
        };
        let node = self.context.name.clone();
        let body = RecordBody::Epoch { node, now_ms: self.context.clock.wall_ms() };
        let record = Record::at(format, head, body)
            .encode()
            .map_err(|error| StopReason::Corrupt(error.to_string()))?;
        let sent_boot_ms = self.context.clock.boot_ms();
        let seq = self.append_epoch(head, record).await?;
        Ok(Claimed { link: Link { seq, head }, had_owner: last.is_some(), sent_boot_ms })
    }

    /// Appends the `Epoch`; an unknown outcome is resolved by writing (design.md 4.2).
    async fn append_epoch(
        &mut self,
        head: RecordHead,
        record: Bytes,
    ) -> Result<u64, TakeOverError> {
        loop {
            let log = Arc::clone(&self.context.bus.log);
            match log.append(self.partition, head.previous_seq, record.clone()).await {
                Ok(seq) => return Ok(seq),
                Err(LogAppendError::Unknown(_)) => self.pause().await,
                Err(LogAppendError::Closed) => return Err(StopReason::BusClosed.into()),
                Err(error @ LogAppendError::TooLarge { .. }) => {
                    return Err(StopReason::Corrupt(error.to_string()).into());
                }
                Err(LogAppendError::Conflict) => {
                    if let Some(seq) = self.judge_conflict(head).await? {
                        return Ok(seq);
                    }
                }
            }
        }
    }

    /// Sequence of our `Epoch` if the append had worked; `None`: send it again.
    async fn judge_conflict(&mut self, head: RecordHead) -> Result<Option<u64>, TakeOverError> {
        loop {
            let last = self.last().await?;
            let found = last.as_ref().map(|(seq, head)| (*seq, head));
            match judge(self.incarnation, head.number, head.previous_seq, found) {
                Verdict::Worked(seq) => return Ok(Some(seq)),
                Verdict::Fenced => return Err(TakeOverError::Lost),
                Verdict::SendAgain => {
                    self.pause().await;
                    return Ok(None);
                }
                Verdict::Older => self.pause().await,
            }
        }
    }

    /// Reads our `Epoch` back; answers when that request was sent and when its answer came.
    async fn read_back(&mut self, link: Link) -> Result<(u64, u64), TakeOverError> {
        loop {
            let sent_boot_ms = self.context.clock.boot_ms();
            match self.last().await? {
                Some((seq, head)) if seq == link.seq && head == link.head => {
                    return Ok((sent_boot_ms, self.context.clock.boot_ms()));
                }
                Some((seq, _)) if seq > link.seq => return Err(TakeOverError::Lost),
                // Older than what was acknowledged: ask again.
                _ => self.pause().await,
            }
        }
    }

    /// Replays; where a former owner stored a later checkpoint meanwhile, and the log was trimmed up to that
    /// one, replays from it.
    async fn replay_untrimmed(
        &mut self,
        owned: Owned,
    ) -> Result<(Shard, Vec<Alarm>), TakeOverError> {
        loop {
            let checkpoint = self.checkpoint().await?;
            let used = checkpoint.as_ref().map(|checkpoint| checkpoint.position);
            let replayed = self.replay(owned.clone(), checkpoint).await;
            let Err(TakeOverError::Stopped(StopReason::Corrupt(_))) = &replayed else {
                return replayed;
            };
            let stored = self.checkpoint().await?.map(|checkpoint| checkpoint.position);
            if stored <= used {
                return replayed;
            }
        }
    }

    async fn replay(
        &mut self,
        owned: Owned,
        checkpoint: Option<bus::Checkpoint>,
    ) -> Result<(Shard, Vec<Alarm>), TakeOverError> {
        let epoch_seq = owned.epoch.seq;
        let own_parts = self.own_parts().await?;
        let known = self.context.settings.shard.format_known;
        let mut recovery = Recovery::begin(owned, checkpoint, &own_parts)?.knowing(known);
        let mut after = recovery.read_after();
        while after < epoch_seq {
            let records = self.records(after).await?;
            for (seq, bytes) in records {
                after = seq;
                if !recovery.record(seq, &bytes)? {
                    after = epoch_seq;
                    break;
                }
            }
        }
        Ok(recovery.finish(self.context.settings.shard.clone())?)
    }

    async fn last(&mut self) -> Result<Option<(u64, RecordHead)>, TakeOverError> {
        loop {
            match self.context.bus.log.last(self.partition).await {
                Ok(None) => return Ok(None),
                Ok(Some((seq, bytes))) => {
                    let known = self.context.settings.shard.format_known;
                    let (record, _) = read_record(&bytes, known).map_err(|error| {
                        StopReason::UnknownVersion(format!("record {seq}: {error}"))
                    })?;
                    return Ok(Some((seq, record.head)));
                }
                Err(error) => self.again(error).await?,
            }
        }
    }

    async fn inbox_last(&mut self) -> Result<u64, TakeOverError> {
        loop {
            match self.context.bus.inbox.last(self.partition).await {
                Ok(seq) => return Ok(seq),
                Err(error) => self.again(error).await?,
            }
        }
    }

    async fn checkpoint(&mut self) -> Result<Option<bus::Checkpoint>, TakeOverError> {
        loop {
            match self.context.bus.states.checkpoint(self.partition).await {
                Ok(checkpoint) => return Ok(checkpoint),
                Err(error) => self.again(error).await?,
            }
        }
    }

    async fn own_parts(&mut self) -> Result<Vec<bus::SavedPart>, TakeOverError> {
        let entity = own_entity(self.partition);
        loop {
            match self.context.bus.states.load(self.partition, entity).await {
                Ok(parts) => return Ok(parts),
                Err(error) => self.again(error).await?,
            }
        }
    }

    /// Records after `after`; there is one at least, our own `Epoch`.
    async fn records(&mut self, after: u64) -> Result<Vec<(u64, Bytes)>, TakeOverError> {
        loop {
            match self.context.bus.log.read(self.partition, after, ReadLimit::default()).await {
                Ok(records) if !records.is_empty() => return Ok(records),
                Ok(_) => self.pause().await,
                Err(error) => self.again(error).await?,
            }
        }
    }

    /// Waits before a request is repeated; a closed or damaged bus is not asked again.
    async fn again(&mut self, error: BusError) -> Result<(), TakeOverError> {
        match error {
            BusError::Closed => Err(StopReason::BusClosed.into()),
            BusError::Corrupt(what) => Err(StopReason::Corrupt(what).into()),
            BusError::Unavailable(what) => {
                tracing::debug!(partition = %self.partition, what, "take-over waits for the bus");
                self.pause().await;
                Ok(())
            }
        }
    }

    async fn pause(&mut self) {
        self.attempts = self.attempts.saturating_add(1).min(16);
        self.context.pause(self.attempts).await;
    }
}
