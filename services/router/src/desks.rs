//! Watches the leases of desk processes, and tells the workspaces whose connections are gone (design.md 4.6).
//!
//! Every router watches and tells: who hears it twice changes nothing the second time.

use std::{collections::BTreeMap, time::Duration};

use chassis::{
    clock::Clock,
    config::Config,
    seal::Sealer,
    task::{Shutdown, TaskKind},
};
use domain::{DeskId, DeskLease, desk::is_lease_name, persist};
use runtime::bus::{Bus, NodeLease};

use crate::configure::{self, append};

/// Between two looks at the leases.
const LOOK_EVERY: Duration = Duration::from_millis(1_000);

/// What was seen of one desk process.
#[derive(Debug)]
struct Seen {
    desk: DeskId,
    renewal: u64,
    /// When the renewal was first seen.
    since_ms: u64,
    /// Its connections were told gone.
    told: bool,
}

/// Leases of desks, judged by our own clock: a desk is dead after a full lease period without a renewal in which we could
/// read the leases all the time.
#[derive(Debug)]
struct Desks {
    lease_ms: u64,
    seen: BTreeMap<String, Seen>,
    sound_since_ms: Option<u64>,
}

impl Desks {
    fn new(lease_ms: u64) -> Self {
        Self { lease_ms, seen: BTreeMap::new(), sound_since_ms: None }
    }

    /// The leases could not be read.
    fn failed(&mut self) {
        self.sound_since_ms = None;
    }

    /// The lives that have ended, as the leases of `now_ms` show.
    fn observe(&mut self, now_ms: u64, leases: &BTreeMap<String, NodeLease>) -> Vec<DeskId> {
        let sound_ms = *self.sound_since_ms.get_or_insert(now_ms);
        let mut gone = Vec::new();
        self.seen.retain(|name, seen| {
            let released = !leases.contains_key(name);
            gone.extend((released && !seen.told).then_some(seen.desk));
            !released
        });
        for (name, lease) in leases.iter().filter(|(name, _)| is_lease_name(name)) {
            let Ok(DeskLease { desk }) = persist::decode(&lease.info) else { continue };
            let renewal = lease.renewal;
            let now = Seen { desk, renewal, since_ms: now_ms, told: false };
            let Some(seen) = self.seen.get_mut(name) else {
                self.seen.insert(name.clone(), now);
                continue;
            };
            if seen.desk != desk {
                gone.extend((!seen.told).then_some(seen.desk));
                *seen = now;
            } else if seen.renewal != renewal {
                // A life that was told gone ends itself before it renews again.
                (seen.renewal, seen.since_ms) = (renewal, now_ms);
            } else if !seen.told
                && now_ms.saturating_sub(seen.since_ms.max(sound_ms)) >= self.lease_ms
            {
                seen.told = true;
                gone.push(desk);
            }
        }
        gone
    }
}

/// Starts the watch: a desk without a renewal for `lease` is dead.
pub fn watch(
    config: &Config,
    sealer: &Sealer,
    bus: &Bus,
    clock: &Clock,
    lease: Duration,
    shutdown: &Shutdown,
) {
    let (config, sealer) = (config.clone(), sealer.clone());
    let (bus, clock, ending) = (bus.clone(), clock.clone(), shutdown.clone());
    let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
    let watching = async move {
        let mut desks = Desks::new(lease_ms);
        loop {
            match bus.leases.list().await {
                Ok(leases) => {
                    for desk in desks.observe(clock.boot_ms(), &leases) {
                        tell_gone(&config, &sealer, &bus, &clock, desk).await;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "the leases of desks cannot be read");
                    desks.failed();
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = ending.begun() => return,
            }
        }
    };
    shutdown.spawn(TaskKind::Follower, "desk leases", watching).detach();
}

/// Tells every workspace that the connections of `desk` are gone.
pub async fn tell_gone(config: &Config, sealer: &Sealer, bus: &Bus, clock: &Clock, desk: DeskId) {
    tracing::info!(%desk, "a desk is gone: its connections are told gone");
    let told = match configure::desk_gone(config, sealer, desk, clock.wall_ms()) {
        Ok(inputs) => append(bus, inputs).await,
        Err(error) => {
            tracing::error!(%error, "that a desk is gone has no encoded form");
            return;
        }
    };
    if let Err(error) = told {
        tracing::warn!(%error, "that a desk is gone could not be told");
    }
}

#[cfg(test)]
mod tests {
    use domain::desk::lease_name;

    use super::*;

    const LEASE_MS: u64 = 3_000;

    fn leases(list: &[(&str, u64, u64)]) -> BTreeMap<String, NodeLease> {
        let lease = |(node, desk, renewal): &(&str, u64, u64)| {
            let info = persist::encode(&DeskLease { desk: DeskId(*desk) }).unwrap().into();
            let node = lease_name(node);
            (node.clone(), NodeLease { node, info, renewal: *renewal, ..NodeLease::default() })
        };
        list.iter().map(lease).collect()
    }

    #[test]
    fn a_desk_is_gone_after_a_full_period_without_a_renewal_and_told_once() {
        let mut desks = Desks::new(LEASE_MS);
        assert_eq!(desks.observe(0, &leases(&[("a", 1, 1), ("b", 2, 2)])), []);
        assert_eq!(desks.observe(2_000, &leases(&[("a", 1, 3), ("b", 2, 2)])), []);
        assert_eq!(desks.observe(3_000, &leases(&[("a", 1, 3), ("b", 2, 2)])), [DeskId(2)]);
        assert_eq!(desks.observe(4_000, &leases(&[("a", 1, 4), ("b", 2, 2)])), []);
        // Its next life is another desk's; the former one was told.
        assert_eq!(desks.observe(5_000, &leases(&[("a", 1, 5), ("b", 9, 6)])), []);
    }

    #[test]
    fn a_released_or_replaced_lease_is_gone_at_once() {
        let mut desks = Desks::new(LEASE_MS);
        assert_eq!(desks.observe(0, &leases(&[("a", 1, 1), ("b", 2, 2)])), []);
        assert_eq!(desks.observe(500, &leases(&[("b", 7, 3)])), [DeskId(1), DeskId(2)]);
        assert_eq!(desks.observe(600, &leases(&[("b", 7, 3)])), []);
    }

    /// An election of the stream's leader silences everybody: nobody is dead because nobody could be heard.
    #[test]
    fn a_period_in_which_the_leases_could_not_be_read_does_not_count() {
        let mut desks = Desks::new(LEASE_MS);
        let all = leases(&[("a", 1, 1)]);
        assert_eq!(desks.observe(0, &all), []);
        desks.failed();
        assert_eq!(desks.observe(9_000, &all), []);
        assert_eq!(desks.observe(11_000, &all), []);
        assert_eq!(desks.observe(12_000, &all), [DeskId(1)]);
    }
}
