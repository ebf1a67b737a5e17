//! One renewal of the lease and the reading of all: who lives, whether our clock is right, whether our name is ours.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bus::{BusError, NodeLease};
use metrics::{counter, histogram};

use super::{
    super::{info::NodeInfo, owners, root::RootMsg},
    Follower,
};
use crate::metrics::{ALARMS_TOTAL, LEASE_GAP_SECONDS, LEASE_SECONDS};

/// The leases, and whether our clock agrees with the bus's.
struct Seen {
    leases: BTreeMap<String, NodeLease>,
    clock_is_off: bool,
}

impl Follower {
    /// Renews and reads the leases; false when that failed, and then nothing is known and nothing done.
    pub(super) async fn look(&mut self, mine: &NodeInfo) -> bool {
        // Not longer: who waited for an answer that an election swallowed must renew before the others, whose renewals
        // are acknowledged again, have watched for a whole lease period.
        let within_ms = self.context.settings.lease_ms / 2;
        let clock = self.context.clock.clone();
        let begun_ms = clock.boot_ms();
        let within = Duration::from_millis(within_ms);
        let asked = async {
            self.look_for_a_namesake(begun_ms).await?;
            self.renew_and_list(mine).await
        };
        let seen = match tokio::time::timeout(within, asked).await {
            Ok(Ok(seen)) => Some(seen),
            Ok(Err(error)) => {
                tracing::warn!(%error, "lease not renewed");
                None
            }
            Err(_) => {
                tracing::warn!(within_ms, "lease not renewed in time");
                None
            }
        };
        let now_ms = clock.boot_ms();
        let touched = seen.is_some();
        if let Some(seen) = seen {
            self.time_lease(begun_ms, now_ms);
            self.neighbours.observe(begun_ms, now_ms, &self.context.name, &seen.leases);
            let living = self.neighbours.living(now_ms);
            for node in self.others.keys().filter(|node| !living.contains_key(*node)) {
                let silent_ms = self.neighbours.silent_ms(now_ms, node);
                tracing::info!(node, silent_ms, "another node has ended, or counts as dead");
            }
            self.others = living;
            self.mind_clock(seen.clock_is_off);
            let others = self.others.iter().map(|(node, member)| (node.as_str(), &member.info));
            let owners = owners::of(others.chain([(self.context.name.as_str(), mine)]));
            self.owners.send_if_modified(|known| {
                let changed = *known != owners;
                *known = owners;
                changed
            });
        } else {
            self.neighbours.failed();
        }
        self.mind_touch(now_ms);
        touched
    }

    fn time_lease(&mut self, begun_ms: u64, now_ms: u64) {
        histogram!(LEASE_SECONDS).record(Duration::from_millis(now_ms.saturating_sub(begun_ms)));
        if let Some(before_ms) = self.touched_ms.replace(now_ms) {
            let gap = Duration::from_millis(now_ms.saturating_sub(before_ms));
            histogram!(LEASE_GAP_SECONDS).record(gap);
        }
    }

    /// Before we renew, while we are young: what stands under our name.
    async fn look_for_a_namesake(&mut self, now_ms: u64) -> Result<(), BusError> {
        if self.namesake.is_watching(now_ms) {
            let leases = self.context.bus.leases.list().await?;
            let not_ours = |lease: &&NodeLease| {
                let info = NodeInfo::decode(&lease.info).unwrap_or_default();
                info.life != Some(self.life)
            };
            let theirs = leases.get(&self.context.name).filter(not_ours);
            self.name_is = self.namesake.look(now_ms, theirs.map(|lease| lease.renewal));
        }
        Ok(())
    }

    /// Another process lives under our name: each would count itself alone, and take from the other without end.
    pub(super) fn leave_the_name(&self) -> bool {
        counter!(ALARMS_TOTAL, "name" => "name_taken").increment(1);
        tracing::error!(
            node = self.context.name,
            "another process runs under this name: this one ends; give each process a `node` of its own"
        );
        self.root.kill();
        false
    }

    async fn renew_and_list(&self, mine: &NodeInfo) -> Result<Seen, BusError> {
        let (leases, me) = (Arc::clone(&self.context.bus.leases), &self.context.name);
        let info = mine.encode().map_err(|error| BusError::Unavailable(error.to_string()))?;
        let before_ms = self.context.clock.wall_ms();
        leases.renew(me, info).await?;
        let after_ms = self.context.clock.wall_ms();
        let leases = leases.list().await?;
        let renewed_ms = leases.get(me).and_then(|lease| lease.renewed_wall_ms);
        let max_ms = self.context.settings.clock_off_max_ms;
        let clock_is_off = renewed_ms.is_some_and(|at| is_off(at, before_ms, after_ms, max_ms));
        Ok(Seen { leases, clock_is_off })
    }

    fn mind_clock(&mut self, is_off: bool) {
        if is_off && !self.clock_is_off {
            counter!(ALARMS_TOTAL, "name" => "clock_off").increment(1);
            tracing::error!(
                "this machine's clock differs from the bus's by more than {} ms: the node takes no partition until it is set right",
                self.context.settings.clock_off_max_ms
            );
        } else if !is_off && self.clock_is_off {
            tracing::info!("this machine's clock agrees with the bus's again");
        }
        self.clock_is_off = is_off;
    }

    /// Out of touch is who has not read the leases for a lease period: one answer that is late is none.
    fn mind_touch(&mut self, now_ms: u64) {
        let lease_ms = self.context.settings.lease_ms;
        let in_touch = self.touched_ms.is_some_and(|at| now_ms.saturating_sub(at) < lease_ms);
        if in_touch != self.in_touch {
            self.in_touch = in_touch;
            self.tell_root(RootMsg::InTouch(in_touch));
        }
    }
}

/// Whether a clock that showed `before_ms` and `after_ms` around a moment that the bus dates at `at_ms` is off by more
/// than `max_ms`, however long the request travelled.
fn is_off(at_ms: u64, before_ms: u64, after_ms: u64, max_ms: u64) -> bool {
    at_ms > after_ms.saturating_add(max_ms) || at_ms.saturating_add(max_ms) < before_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_is_no_wrong_clock() {
        assert!(!is_off(10_000, 10_000, 10_000, 2_000));
        assert!(!is_off(12_000, 10_000, 10_000, 2_000));
        assert!(is_off(12_001, 10_000, 10_000, 2_000));
        assert!(!is_off(14_000, 10_000, 15_000, 2_000), "stored while the request travelled");
        assert!(is_off(7_999, 10_000, 15_000, 2_000));
    }
}
