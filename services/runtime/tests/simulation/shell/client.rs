//! Clients: they append commands to inboxes, send again what is not answered, and repeat at will.

use std::time::Duration;

use bus::{AppendError, Bus};
use rand::Rng;
use tokio::time::sleep;

use crate::{
    check::Judge,
    load::{Entry, Load},
    mix::Mix,
};

/// Longest a client goes on trying to append one entry.
const TRIES_MAX: u32 = 2_000;

pub(crate) struct Client {
    bus: Bus,
    judge: Judge,
    load: Load,
    entries: u32,
    mean_ms: u64,
}

impl Client {
    pub(crate) fn new(number: u8, bus: Bus, judge: Judge, mix: &Mix) -> Self {
        let (load, entries) = (Load::new(number, mix), mix.entries);
        Self { bus, judge, load, entries, mean_ms: mix.faulty_ms / u64::from(entries) }
    }

    /// Sends everything it has to send; true when all of it is acknowledged.
    pub(crate) async fn run(mut self) -> bool {
        for _ in 0..self.entries {
            let is_burst = self.load.rng.random_ratio(1, 2);
            let wait_ms = if is_burst { 3 } else { 4 * self.mean_ms };
            let wait_ms = self.load.rng.random_range(0..=wait_ms);
            sleep(Duration::from_millis(wait_ms)).await;
            let (entry, again) = self.load.next();
            if !self.append(&entry).await {
                return false;
            }
            if let Some(again) = again {
                self.judge.count("entries repeated");
                if !self.append(&again).await {
                    return false;
                }
            }
        }
        true
    }

    async fn append(&mut self, entry: &Entry) -> bool {
        for _ in 0..TRIES_MAX {
            match self.bus.inbox.append(entry.partition, entry.bytes.clone()).await {
                Ok(seq) => {
                    let Entry { partition, keys, .. } = entry;
                    self.judge.with(|checker| checker.on_acked(*partition, seq, keys));
                    return true;
                }
                Err(AppendError::Full(_)) => self.judge.count("inbox full"),
                Err(_) => self.judge.count("client appends not answered"),
            }
            let wait_ms = self.load.rng.random_range(1..500);
            sleep(Duration::from_millis(wait_ms)).await;
        }
        false
    }
}
