//! Requests reach the store, or do not, and are answered, or are not.

use bus::{PartPut, PartitionId};
use bytes::Bytes;
use rand::Rng;
use runtime::shard::{AppendAnswer, Notice};

use super::{
    World,
    flight::{Landing, What},
};

/// How long ago a leader that still answers may have been deposed.
const STALE_MS_MAX: u64 = 10_000;

/// What becomes of one request that changes the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    Lost,
    Unanswered,
    Late,
}

impl World {
    fn fate(&mut self) -> Fate {
        if !self.chance() {
            return Fate::Answered;
        }
        [Fate::Lost, Fate::Unanswered, Fate::Late][self.rng.random_range(0..3)]
    }

    fn land_late(&mut self, landing: Landing) {
        let delay_ms = self.rng.random_range(0..15_000);
        self.fly(u64::MAX, delay_ms, What::Late(landing));
    }

    /// The last record as an owner is told. A former leader knows an older one, and answers once: then the owner is led to its
    /// successor.
    pub(super) fn ask_last(&mut self, id: u64, partition: PartitionId) -> Option<(u64, Bytes)> {
        let last = self.store.last_record(partition);
        if !self.faulty || self.mix.stale_reads <= 0.0 || self.former.remove(&id) {
            return last;
        }
        let probability = self.leaders.random_range(0.0..=self.mix.stale_reads);
        if !self.leaders.random_bool(probability) {
            return last;
        }
        self.former.insert(id);
        let ago_ms = self.leaders.random_range(0..=STALE_MS_MAX);
        let answer = match self.leaders.random() {
            true => self.store.last_before_take_over(partition),
            false => self.store.last_known(partition, self.now_ms.saturating_sub(ago_ms)),
        };
        if answer != last {
            self.checker().report.count("stale last reads");
        }
        answer
    }

    fn answer(&mut self, id: u64, notice: Notice) {
        self.fly(id, 0, What::Answer(notice));
    }

    /// One request of a machine is at the store.
    pub(super) fn request(&mut self, id: u64, what: What) {
        let Some(owner) = self.owners.get(&id) else { return };
        let (partition, node) = (owner.partition, owner.node);
        let sent_boot_ms = self.clocks(node).boot_ms;
        match what {
            What::Read { after, limit } => {
                let entries = self.store.read_inbox(partition, after, limit);
                if entries.is_empty() {
                    if let Some(owner) = self.owners.get_mut(&id) {
                        owner.parked_read = Some((after, limit));
                    }
                } else {
                    self.answer(id, Notice::Entries(entries));
                }
            }
            What::Load { entity, life } => {
                if self.chance() {
                    let delay_ms = self.rng.random_range(1..500);
                    return self.fly(id, delay_ms, What::Load { entity, life });
                }
                let parts = self.store.load(entity);
                self.answer(id, Notice::Loaded { entity, life, parts });
            }
            What::ReadLast(why) => {
                let failed = self.chance();
                let last = self.ask_last(id, partition);
                let answer = if failed { Err("refused".to_owned()) } else { Ok(last) };
                self.answer(id, Notice::Last { why, answer, sent_boot_ms });
            }
            What::Append { number, expected_last, record } => {
                let landing = Landing::Log(partition, expected_last, record.clone());
                let answer = match self.fate() {
                    Fate::Lost => AppendAnswer::Unknown,
                    Fate::Late => {
                        self.land_late(landing);
                        AppendAnswer::Unknown
                    }
                    Fate::Unanswered => {
                        self.land(landing);
                        AppendAnswer::Unknown
                    }
                    Fate::Answered => {
                        let appended = self.store.append_log(partition, expected_last, record);
                        appended.map_or(AppendAnswer::Conflict, AppendAnswer::Stored)
                    }
                };
                self.answer(id, Notice::Appended { number, answer, sent_boot_ms });
            }
            What::Send { target, entry } => {
                let stored = self.deliver(Landing::Inbox(target, entry));
                self.answer(id, Notice::Sent { target, stored });
            }
            What::Save(puts) => {
                let stored = self.deliver(Landing::Save(partition, puts));
                self.answer(id, Notice::Saved { stored });
            }
            What::PutCheckpoint(checkpoint) => {
                let stored = self.deliver(Landing::Checkpoint(partition, checkpoint));
                self.answer(id, Notice::Checkpointed { stored });
            }
            _ => {}
        }
    }

    /// Whether it is certainly stored.
    fn deliver(&mut self, landing: Landing) -> bool {
        match self.fate() {
            Fate::Answered => {
                self.land(landing);
                true
            }
            Fate::Lost => false,
            Fate::Unanswered => {
                self.land_in_part(landing);
                false
            }
            Fate::Late => {
                self.land_late(landing);
                false
            }
        }
    }

    /// A save without an answer may be stored in part.
    fn land_in_part(&mut self, landing: Landing) {
        let landing = match landing {
            Landing::Save(partition, mut puts) => {
                puts.truncate(self.rng.random_range(0..=puts.len()));
                let puts: Vec<PartPut> = puts;
                Landing::Save(partition, puts)
            }
            other => other,
        };
        self.land(landing);
    }
}
