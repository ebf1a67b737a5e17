//! The load: which commands are sent to which accounts, drawn from the seed.

use bus::{EntityId, InboxEntry, Input, Key, PartitionId};
use bytes::Bytes;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{
    mix::{Commands, Mix, rng},
    toy::{self, Command, Lane, Poison},
};

/// One inbox entry with the keys of its inputs.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) partition: PartitionId,
    pub(crate) bytes: Bytes,
    pub(crate) keys: Vec<Key>,
}

/// What one client sends.
#[derive(Debug)]
pub(crate) struct Load {
    number: u8,
    pub(crate) rng: ChaCha8Rng,
    mix: Mix,
    commands: u32,
    sent: Vec<Entry>,
}

impl Load {
    pub(crate) fn new(number: u8, mix: &Mix) -> Self {
        let rng = rng(mix.seed, 100 + u64::from(number));
        Self { number, rng, mix: mix.clone(), commands: 0, sent: Vec::new() }
    }

    /// The next entry, and perhaps an earlier one that is sent again after it.
    pub(crate) fn next(&mut self) -> (Entry, Option<Entry>) {
        let entry = self.draw_entry();
        self.sent.push(entry.clone());
        let again = self.rng.random_ratio(self.mix.commands.repeats, 100);
        let again = again.then(|| self.sent[self.rng.random_range(0..self.sent.len())].clone());
        (entry, again)
    }

    fn draw_entry(&mut self) -> Entry {
        let partition = self.rng.random_range(0..self.mix.partitions);
        let count = if self.rng.random_ratio(1, 3) { self.rng.random_range(2..=5) } else { 1 };
        let inputs: Vec<Input> = (0..count).map(|_| self.draw_input(partition)).collect();
        let keys = inputs.iter().map(|input| input.header.key).collect();
        let bytes = InboxEntry::new(inputs).encode().unwrap();
        Entry { partition: PartitionId(partition), bytes, keys }
    }

    fn draw_input(&mut self, partition: u16) -> Input {
        let target = self.draw_account(partition);
        let command = self.draw_command();
        self.commands += 1;
        let key = toy::key(self.number, self.commands);
        toy::input(key, target, &command, self.rng.random_ratio(1, 2))
    }

    fn draw_account(&mut self, partition: u16) -> EntityId {
        toy::account(partition, self.rng.random_range(0..self.mix.accounts), self.mix.partitions)
    }

    fn draw_any_account(&mut self) -> EntityId {
        let partition = self.rng.random_range(0..self.mix.partitions);
        self.draw_account(partition)
    }

    fn draw_command(&mut self) -> Command {
        let Commands { deposit, pay, call, alarm, job, poison, kill, large, .. } =
            self.mix.commands;
        let weights = [deposit, pay, call, alarm, job, poison, kill, large];
        let amount = self.rng.random_range(1..1_000);
        match pick(&mut self.rng, &weights) {
            0 => Command::Deposit(amount),
            1 => {
                let count = self.rng.random_range(1..=3);
                Command::Pay {
                    to: (0..count).map(|_| (self.draw_any_account(), amount)).collect(),
                    pad: 0,
                }
            }
            2 => Command::Call(if self.rng.random() { Lane::Repeat } else { Lane::Never }),
            3 => {
                let broken_ms = if self.rng.random_ratio(1, 4) { 1_500 } else { 0 };
                let pay = self.rng.random_ratio(1, 2).then(|| (self.draw_any_account(), amount));
                Command::Alarm { after_ms: self.rng.random_range(0..10_000), broken_ms, pay }
            }
            4 => Command::Job { left: self.rng.random_range(1..6) },
            5 => Command::Poison(match self.rng.random_range(0..5) {
                0 => Poison::Panic,
                1 => Poison::PanicOnce,
                2 => Poison::PanicInApply,
                3 => Poison::Refuse,
                _ => Poison::TooManyEvents,
            }),
            6 => Command::Kill { times: if self.rng.random_ratio(1, 4) { 1_000 } else { 1 } },
            _ => Command::Pay {
                to: vec![(self.draw_any_account(), amount), (self.draw_any_account(), amount)],
                pad: self.rng.random_range(10_000..40_000),
            },
        }
    }
}

/// Index drawn by weight; 0 when all weights are.
pub(crate) fn pick(rng: &mut ChaCha8Rng, weights: &[u32]) -> usize {
    let sum: u32 = weights.iter().sum();
    let mut left = rng.random_range(0..sum.max(1));
    for (index, weight) in weights.iter().enumerate() {
        match left.checked_sub(*weight) {
            Some(rest) => left = rest,
            None => return index,
        }
    }
    0
}
