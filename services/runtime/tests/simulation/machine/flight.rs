//! Everything that is outstanding, and which of it happens next.

use bus::{Checkpoint, EntityId, PartPut, PartitionId, ReadLimit, RecordHead};
use bytes::Bytes;
use rand::Rng;
use runtime::{
    CallReturn,
    host::CallRequest,
    shard::{Life, Notice, Owned, Why},
};

use super::World;

/// One outstanding thing of one owner.
pub(super) struct Flight {
    owner: u64,
    due_ms: u64,
    what: What,
}

pub(super) enum What {
    /// Steps of a take-over.
    TakeLast,
    TakeEpoch(Claim),
    TakeJudge(Claim),
    TakeReadBack {
        claim: Claim,
        seq: u64,
        asked_boot_ms: Option<u64>,
    },
    TakeReplay(Owned),
    /// Requests of a machine on their way to the store.
    Read {
        after: u64,
        limit: ReadLimit,
    },
    Load {
        entity: EntityId,
        life: Life,
    },
    Append {
        number: u64,
        expected_last: u64,
        record: Bytes,
    },
    ReadLast(Why),
    Send {
        target: PartitionId,
        entry: Bytes,
    },
    Save(Vec<PartPut>),
    PutCheckpoint(Checkpoint),
    /// An answer, or another notice, on its way to the machine.
    Answer(Notice),
    Tick,
    /// One message of this entity's mailbox.
    Entity(Life),
    /// The next of what this entity has said.
    Said(Life),
    /// A call before its first byte, and after its last.
    Door {
        entity: EntityId,
        request: CallRequest,
        start_by_boot_ms: u64,
    },
    Back(CallReturn),
    /// A request that reaches the store after its sender gave up or ended.
    Landing(Landing),
    /// The same, of one who gave up.
    Late(Landing),
}

/// An `Epoch` that is to be stored.
pub(super) struct Claim {
    pub(super) head: RecordHead,
    pub(super) record: Bytes,
    pub(super) had_owner: bool,
    /// When it was first sent, by the clock of its node.
    pub(super) sent_boot_ms: Option<u64>,
}

pub(super) enum Landing {
    Inbox(PartitionId, Bytes),
    Log(PartitionId, u64, Bytes),
    Save(PartitionId, Vec<PartPut>),
    Checkpoint(PartitionId, Checkpoint),
}

impl World {
    pub(super) fn fly(&mut self, owner: u64, delay_ms: u64, what: What) {
        self.flights.push(Flight { owner, due_ms: self.now_ms + delay_ms, what });
    }

    fn due_ms(&self, flight: &Flight) -> u64 {
        let frozen_ms = self.owners.get(&flight.owner).map_or(0, |owner| owner.frozen_until_ms);
        flight.due_ms.max(frozen_ms)
    }

    /// Lets one thing happen.
    pub(super) fn step(&mut self) {
        if self.rng.random_ratio(1, 3) {
            self.now_ms += self.rng.random_range(0..=4);
        }
        if !self.faulty || self.rng.random_ratio(1, 16) {
            self.revive();
        }
        let due: Vec<u64> = self.flights.iter().map(|flight| self.due_ms(flight)).collect();
        let Some(first_ms) = due.iter().min().copied() else {
            self.now_ms += 10;
            return self.revive();
        };
        self.now_ms = self.now_ms.max(first_ms);
        let ready: Vec<usize> = (0..due.len()).filter(|n| due[*n] <= self.now_ms).collect();
        let chosen = ready[self.rng.random_range(0..ready.len())];
        // In order of their beginning, so that a swap does not reorder what one owner asked for.
        let flight = self.flights.remove(chosen);
        self.happen(flight);
    }

    fn happen(&mut self, Flight { owner, what, .. }: Flight) {
        self.checker();
        match what {
            What::Landing(landing) => self.land(landing),
            What::Late(landing) => {
                self.checker().report.count("late landings");
                self.land(landing);
            }
            What::Back(returned) => self.call_back(owner, returned),
            _ if !self.owners.contains_key(&owner) => {}
            What::Answer(notice) => self.notice(owner, notice),
            What::Tick => self.tick(owner),
            What::Entity(life) => self.run_entity(owner, life),
            What::Said(life) => self.said(owner, life),
            What::Door { entity, request, start_by_boot_ms } => {
                self.door(owner, entity, request, start_by_boot_ms);
            }
            What::TakeLast => self.take_last(owner),
            What::TakeEpoch(claim) => self.take_epoch(owner, claim),
            What::TakeJudge(claim) => self.take_judge(owner, claim),
            What::TakeReadBack { claim, seq, asked_boot_ms } => {
                self.take_read_back(owner, claim, seq, asked_boot_ms);
            }
            What::TakeReplay(owned) => self.take_replay(owner, owned),
            request => self.request(owner, request),
        }
    }

    /// What an owner had on its way when it ended may land, or not.
    pub(super) fn orphan_requests(&mut self, id: u64, partition: PartitionId) {
        let (own, others): (Vec<Flight>, Vec<Flight>) =
            std::mem::take(&mut self.flights).into_iter().partition(|f| f.owner == id);
        self.flights = others;
        for flight in own {
            let landing = match flight.what {
                What::Append { expected_last, record, .. } => {
                    Landing::Log(partition, expected_last, record)
                }
                What::TakeEpoch(Claim { head, record, .. }) => {
                    Landing::Log(partition, head.previous_seq, record)
                }
                What::Send { target, entry } => Landing::Inbox(target, entry),
                What::Save(puts) => Landing::Save(partition, puts),
                What::PutCheckpoint(checkpoint) => Landing::Checkpoint(partition, checkpoint),
                What::Back(returned) => {
                    self.checker().on_call_over(returned.call);
                    continue;
                }
                _ => continue,
            };
            if self.rng.random_ratio(1, 2) && flight.due_ms <= self.now_ms {
                let delay_ms = self.rng.random_range(0..2_000);
                self.fly(u64::MAX, delay_ms, What::Landing(landing));
            }
        }
    }

    pub(super) fn land(&mut self, landing: Landing) {
        match landing {
            Landing::Inbox(partition, entry) => drop(self.append_inbox(partition, entry)),
            Landing::Log(partition, expected_last, record) => {
                self.store.append_log(partition, expected_last, record);
            }
            Landing::Save(partition, puts) => self.store.put(partition, &puts),
            Landing::Checkpoint(partition, checkpoint) => {
                self.store.put_checkpoint(partition, checkpoint);
            }
        }
    }
}
