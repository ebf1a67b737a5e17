//! Take-over, one request at a time (design.md 4.3).

use bus::{Incarnation, PartitionId, Record, RecordBody, RecordHead};
use bytes::Bytes;
use rand::Rng;
use runtime::shard::{Action, Link, Owned, Recovery, StopReason, Verdict, judge, own_entity};

use super::{
    World,
    flight::{Claim, What},
};

/// Wait before a request of a take-over is repeated.
const AGAIN_MS: u64 = 50;

fn head_of(last: Option<&(u64, Bytes)>) -> Option<(u64, RecordHead)> {
    last.map(|(seq, bytes)| (*seq, Record::decode(bytes).unwrap().head))
}

impl World {
    pub(super) fn take_last(&mut self, id: u64) {
        let owner = &self.owners[&id];
        let (partition, node) = (owner.partition, owner.node);
        let last = head_of(self.ask_last(id, partition).as_ref());
        let head = RecordHead {
            generation: 1,
            epoch: last.map_or(0, |(_, head)| head.epoch) + 1,
            incarnation: Incarnation(self.rng.random()),
            number: 0,
            previous_seq: last.map_or(0, |(seq, _)| seq),
        };
        let now_ms = self.clocks(node).wall_ms;
        let body = RecordBody::Epoch { node: format!("n{node}"), now_ms };
        let record = Record::at(self.mix.format, head, body).encode().unwrap();
        let had_owner = last.is_some();
        let claim = Claim { head, record, had_owner, sent_boot_ms: None };
        self.fly(id, 0, What::TakeEpoch(claim));
    }

    fn last_epoch(&self, partition: PartitionId) -> u64 {
        head_of(self.store.last_record(partition).as_ref()).map_or(0, |(_, head)| head.epoch)
    }

    pub(super) fn take_epoch(&mut self, id: u64, mut claim: Claim) {
        let owner = &self.owners[&id];
        let (partition, boot_ms) = (owner.partition, self.clocks(owner.node).boot_ms);
        claim.sent_boot_ms.get_or_insert(boot_ms);
        let lost = self.chance();
        let unanswered = self.chance();
        if !lost {
            let previous_seq = claim.head.previous_seq;
            let appended = self.store.append_log(partition, previous_seq, claim.record.clone());
            match appended {
                _ if unanswered => {}
                Some(seq) => {
                    let what = What::TakeReadBack { claim, seq, asked_boot_ms: None };
                    return self.fly(id, 0, what);
                }
                None => return self.fly(id, 0, What::TakeJudge(claim)),
            }
        }
        self.fly(id, AGAIN_MS, What::TakeEpoch(claim));
    }

    pub(super) fn take_judge(&mut self, id: u64, claim: Claim) {
        let partition = self.owners[&id].partition;
        let last = head_of(self.ask_last(id, partition).as_ref());
        let found = last.as_ref().map(|(seq, head)| (*seq, head));
        let head = claim.head;
        match judge(head.incarnation, head.number, head.previous_seq, found) {
            Verdict::Worked(seq) => {
                self.fly(id, 0, What::TakeReadBack { claim, seq, asked_boot_ms: None });
            }
            Verdict::Fenced => self.owner_ends(id, &StopReason::Fenced),
            Verdict::SendAgain | Verdict::Older => {
                self.fly(id, AGAIN_MS, What::TakeEpoch(claim));
            }
        }
    }

    /// First the moment of asking, then the moment of the answer.
    pub(super) fn take_read_back(
        &mut self,
        id: u64,
        claim: Claim,
        seq: u64,
        asked_boot_ms: Option<u64>,
    ) {
        let owner = &self.owners[&id];
        let (partition, node) = (owner.partition, owner.node);
        let boot_ms = self.clocks(node).boot_ms;
        let Some(asked_boot_ms) = asked_boot_ms else {
            let asked_boot_ms = Some(boot_ms);
            return self.fly(id, 0, What::TakeReadBack { claim, seq, asked_boot_ms });
        };
        let last = head_of(self.ask_last(id, partition).as_ref());
        if last.is_none_or(|(found, _)| found < seq) {
            // Older than what was acknowledged.
            return self.fly(id, AGAIN_MS, What::TakeReadBack { claim, seq, asked_boot_ms: None });
        }
        let Claim { head, had_owner, sent_boot_ms, .. } = claim;
        if last != Some((seq, head)) {
            return self.owner_ends(id, &StopReason::Fenced);
        }
        let shown_boot_ms = match self.mix.breaks.leader_reads {
            true => asked_boot_ms,
            false => sent_boot_ms.unwrap_or_default(),
        };
        let owned = Owned {
            partition,
            partitions: self.mix.partitions,
            epoch: Link { seq, head },
            had_owner,
            shown_boot_ms,
            acked_boot_ms: boot_ms,
            inbox_last: self.store.last_input(partition),
            format: self.mix.format,
        };
        self.fly(id, 0, What::TakeReplay(owned));
    }

    pub(super) fn take_replay(&mut self, id: u64, owned: Owned) {
        let (partition, node) = (owned.partition, self.owners[&id].node);
        let own = owned.epoch.head;
        let checkpoint = self.store.checkpoint(partition);
        let own_parts = self.store.load(own_entity(partition));
        let replayed = Recovery::begin(owned, checkpoint, &own_parts).and_then(|mut recovery| {
            for (seq, bytes) in self.store.records_after(partition, recovery.read_after()) {
                if !recovery.record(seq, &bytes)? {
                    break;
                }
            }
            recovery.finish(self.settings())
        });
        let (mut shard, alarms) = match replayed {
            Ok(replayed) => replayed,
            // Where another owner came after us meanwhile, it stored what does not fit our view.
            Err(_) if self.last_epoch(partition) > own.epoch => {
                return self.owner_ends(id, &StopReason::Fenced);
            }
            Err(reason) => return self.owner_ends(id, &reason),
        };
        let mut actions: Vec<Action> = alarms.into_iter().map(Action::Alarm).collect();
        shard.start(self.clocks(node), &mut actions);
        if let Some(owner) = self.owners.get_mut(&id) {
            owner.machine = Some(Box::new(shard));
        }
        self.fly(id, 0, What::Tick);
        self.perform_all(id, actions);
    }
}
