//! What goes wrong between any two steps: owners end, stand still, are overtaken; clocks jump.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use bus::PartitionId;
use rand::Rng;

use super::{Owner, World, flight::What};
use crate::{load::pick, mix::Weights, toy};

impl World {
    /// Begins a take-over.
    pub(super) fn take(&mut self, partition: PartitionId, node: usize) {
        self.next_owner += 1;
        let owner = Owner {
            partition,
            node,
            machine: None,
            lives: BTreeMap::new(),
            said: BTreeMap::new(),
            calls: BTreeMap::new(),
            frozen_until_ms: 0,
            parked_read: None,
            door_closed: false,
            releasing: false,
        };
        let id = self.next_owner;
        self.owners.insert(id, owner);
        self.fly(id, 0, What::TakeLast);
    }

    /// Every partition that nobody owns gets an owner.
    pub(super) fn revive(&mut self) {
        if self.owners.values().any(|owner| owner.releasing) {
            return;
        }
        for partition in (0..self.mix.partitions).map(PartitionId) {
            if !self.owners.values().any(|owner| owner.partition == partition) {
                let node = self.rng.random_range(0..self.nodes.len());
                self.take(partition, node);
            }
        }
    }

    pub(super) fn was_killed(&self) -> bool {
        self.killed.swap(false, Ordering::SeqCst)
    }

    /// A process ends: its owners, its calls, and what it had not yet sent.
    pub(super) fn crash_node(&mut self, node: usize) {
        let now_ms = self.now_ms;
        let report = &mut self.checker().report;
        report.note(now_ms, || format!("n{node} ends"));
        report.count("nodes killed");
        let ended: Vec<_> = self.owners.iter().filter(|(_, owner)| owner.node == node).collect();
        let ended: Vec<_> = ended.into_iter().map(|(id, owner)| (*id, owner.partition)).collect();
        for (id, partition) in ended {
            self.owners.remove(&id);
            self.orphan_requests(id, partition);
        }
    }

    pub(super) fn harm(&mut self) {
        let node = self.rng.random_range(0..self.nodes.len());
        let partition = PartitionId(self.rng.random_range(0..self.mix.partitions));
        let Weights { kill, take, release, pause, skew, spoil, quiet, .. } = self.mix.weights;
        match pick(&mut self.rng, &[quiet, kill, take, release, pause, skew, spoil]) {
            0 => {}
            1 => self.crash_node(node),
            2 => {
                self.checker().report.count("partitions taken by force");
                self.take(partition, node);
            }
            3 => {
                let owner = self.owners.iter().find(|(_, owner)| owner.partition == partition);
                if let Some(id) = owner.map(|(id, _)| *id) {
                    self.fly(id, 0, What::Answer(runtime::shard::Notice::Release));
                }
            }
            4 => {
                self.checker().report.count("owners paused");
                let most_ms = if self.rng.random_ratio(1, 2) { 100 } else { 30_000 };
                let until_ms = self.now_ms + self.rng.random_range(0..most_ms);
                for owner in self.owners.values_mut().filter(|owner| owner.node == node) {
                    owner.frozen_until_ms = until_ms;
                }
            }
            6 => {
                let n = self.rng.random_range(0..self.mix.accounts);
                let entity = toy::account(partition.0, n, self.mix.partitions);
                match self.rng.random_ratio(1, 2) {
                    true => self.host.shared.unspoil_all(),
                    false => {
                        self.checker().on_spoiled(entity);
                        self.host.shared.spoil(entity);
                        self.spoiled = true;
                    }
                }
            }
            _ => {
                self.checker().report.count("clock jumps");
                self.nodes[node].skew_ms = self.rng.random_range(-8_000..=2_000);
            }
        }
    }
}
