//! How fast a number goes, and whose turn it is among its lanes.

use serde::{Deserialize, Serialize};

use super::{
    Lane,
    state::{LANES, lane_at},
};
use crate::Millis;

/// A throttled number has at least this much of its rate, thousandths.
const PERMILLE_MIN: u32 = 100;
/// It recovers a thousandth of its rate in so long, ms: the half in 50 s.
const RECOVER_MS: Millis = 100;
/// Refusals closer together than this are one.
const ONE_REFUSAL_MS: Millis = 1_000;

/// A number that was told that it is too fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slowness {
    /// Thousandths of the configured rate,
    pub(super) permille: u32,
    /// as of then.
    pub(super) at_ms: Millis,
}

impl Slowness {
    fn permille_at(self, now_ms: Millis) -> u32 {
        let recovered = now_ms.saturating_sub(self.at_ms) / RECOVER_MS;
        let recovered = u32::try_from(recovered).unwrap_or(u32::MAX);
        self.permille.saturating_add(recovered).min(1_000)
    }
}

/// Messages a second now; at least one where any are configured.
pub(super) fn rate_now(configured: u32, slow: Option<Slowness>, now_ms: Millis) -> u32 {
    let permille = slow.map_or(1_000, |slow| slow.permille_at(now_ms));
    if permille >= 1_000 || configured == 0 {
        return configured;
    }
    let rate = u64::from(configured) * u64::from(permille) / 1_000;
    u32::try_from(rate).unwrap_or(configured).max(1)
}

/// How slow the number goes after another refusal for its throughput: half as fast. `None`: it has just slowed down.
pub(super) fn slower(slow: Option<Slowness>, now_ms: Millis) -> Option<u32> {
    if slow.is_some_and(|slow| now_ms.saturating_sub(slow.at_ms) < ONE_REFUSAL_MS) {
        return None;
    }
    let permille = slow.map_or(1_000, |slow| slow.permille_at(now_ms));
    Some((permille / 2).max(PERMILLE_MIN))
}

/// Whose turn it is among the lanes behind the agents': each has its share (4 : 2 : 1 for bots, utility and campaigns) of
/// what is left, in turn, however slow the number is. A lane that had nothing to send saves no turns up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turns {
    /// What each lane has used of its share.
    used: [u64; LANES],
    /// What the lane that went last had used.
    now: u64,
}

impl Turns {
    fn of(&self, lane: Lane) -> u64 {
        self.used.get(lane_at(lane)).copied().unwrap_or(0).max(self.now)
    }

    /// A lane went.
    pub(super) fn had(&mut self, lane: Lane) {
        let cost = match lane {
            Lane::Agent => return,
            Lane::Bot => 1,
            Lane::Utility => 2,
            Lane::Campaign => 4,
        };
        let used = self.of(lane);
        self.now = used;
        if let Some(kept) = self.used.get_mut(lane_at(lane)) {
            *kept = used.saturating_add(cost);
        }
    }

    /// The lanes behind the agents', in the order in which they may go.
    pub(super) fn order(&self) -> [Lane; LANES - 1] {
        let mut lanes = [Lane::Bot, Lane::Utility, Lane::Campaign];
        lanes.sort_by_key(|lane| self.of(*lane));
        lanes
    }
}
