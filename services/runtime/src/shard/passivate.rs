//! Passivation: an idle entity leaves memory after its saves are confirmed.

use bus::EntityId;

use super::{Action, Now, Phase, Shard, entity::Stand};

/// Candidates are looked for this often at most.
const LOOK_EVERY_MS: u64 = 1_000;

impl Shard {
    pub(super) fn on_tick(&mut self, now: Now, out: &mut Vec<Action>) {
        self.verify_if_idle(now, out);
        self.passivate(now, out);
    }

    fn passivate(&mut self, now: Now, out: &mut Vec<Action>) {
        let excess = self.live.saturating_sub(self.settings.live_max);
        if excess == 0
            || !matches!(self.phase, Phase::Serving)
            || now.boot_ms.saturating_sub(self.looked_boot_ms) < LOOK_EVERY_MS
        {
            return;
        }
        self.looked_boot_ms = now.boot_ms;
        let idle = |(entity, slot): (&EntityId, &super::Slot)| {
            let idle_ms = now.boot_ms.saturating_sub(slot.used_boot_ms);
            let is_idle = slot.stand == Stand::Live
                && slot.undurable.is_empty()
                && idle_ms >= self.settings.idle_ms;
            is_idle.then_some((slot.used_boot_ms, *entity))
        };
        let mut candidates: Vec<_> = self.entities.iter().filter_map(idle).collect();
        candidates.sort_unstable();
        for (_, entity) in candidates.into_iter().take(excess) {
            self.slot(entity).leaving = true;
            self.passivate_if_asked(now, entity, out);
            if self.entities.get(&entity).is_some_and(|slot| slot.leaving) {
                self.want_snapshot(now, entity, out);
            }
        }
    }

    /// Drops an entity that is to leave, has nothing unsaved and was not used meanwhile.
    pub(super) fn passivate_if_asked(&mut self, now: Now, entity: EntityId, out: &mut Vec<Action>) {
        let Some(slot) = self.entities.get_mut(&entity) else { return };
        if !slot.leaving {
            return;
        }
        let idle_ms = now.boot_ms.saturating_sub(slot.used_boot_ms);
        if !slot.undurable.is_empty() || idle_ms < self.settings.idle_ms {
            slot.leaving = false;
        } else if slot.dirty.is_empty() {
            slot.leaving = false;
            let life = slot.life;
            self.end_life(entity, life, out);
        }
    }
}
