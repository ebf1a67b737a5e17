//! Timers and call results: inputs without a place. Never refused, ticketed as they come.

use bus::{BusinessId, Cause, EntityId, Header, Key};

use super::{
    Action, Alarm, Now, Phase, Shard, Ticket,
    ticket::{Pending, Progress},
    timers::Back,
};
use crate::{
    call_return::{self, CallReturn},
    host::Occasion,
};

/// No tick is later than this: clocks may jump, and half speed makes waits longer.
const TICK_MS_MAX: u64 = 1_000;
/// Wait before an entity is woken again whose new timer is not durable yet.
const EARLY_RETRY_MS: u64 = 50;

impl Shard {
    /// Wakes entities whose timer is due.
    pub(super) fn wake_due(&mut self, now: Now, out: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Serving) || self.is_suspecting() {
            return;
        }
        self.wake_heirs(now);
        while self.timers.out() < self.settings.wakes_in_flight_max {
            let Some((entity, wake_ms, business)) = self.timers.take_due(self.clock.peek(now))
            else {
                return;
            };
            let header = wake_header(entity, wake_ms, business, self.clock.read(now));
            self.admit_own(now, entity, header, Occasion::Wake, out);
        }
    }

    /// What an earlier owner asked for starts within `start_by` of our own `Epoch` or never (design.md 4.5). Nothing else tells
    /// an entity that this moment has come, so each that may wait for such a call is woken then: a call's end is among
    /// its timers, at the latest `start_by` and the hard limit away.
    fn wake_heirs(&mut self, now: Now) {
        if self.settings.breaks.heirs {
            self.heirs_boot_ms = None;
        }
        if self.heirs_boot_ms.is_some_and(|at_ms| at_ms <= now.boot_ms) {
            self.heirs_boot_ms = None;
            let now_ms = self.clock.peek(now);
            let over_ms = self.settings.start_by_ms.saturating_add(self.settings.hard_limit_ms);
            self.timers.hasten(now_ms, now_ms.saturating_add(over_ms));
        }
    }

    pub(super) fn on_call_result(&mut self, now: Now, result: CallReturn, out: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Serving) {
            return out.push(Action::Refused(result.call));
        }
        if self.is_suspecting() {
            return self.suspicion.hold(result);
        }
        let CallReturn { entity, business, call, result } = result;
        let header = call_return::header(call, business, self.clock.read(now));
        self.admit_own(now, entity, header, Occasion::CallResult { call, result }, out);
    }

    fn admit_own(
        &mut self,
        now: Now,
        entity: EntityId,
        header: Header,
        occasion: Occasion,
        out: &mut Vec<Action>,
    ) {
        let now_ms = header.received_ms;
        let pending = Pending {
            entity,
            header,
            occasion,
            now_ms,
            foreign_calls_over_ms: self.foreign_calls_over_ms(now, now_ms),
            place: None,
            taken: None,
            reply_to: None,
            credit: 0,
            tries: 0,
            error: String::new(),
            progress: Progress::Waiting,
        };
        self.admit(now, pending, out);
    }

    /// A wake decided nothing: there is nothing to record.
    pub(super) fn wake_was_idle(
        &mut self,
        now: Now,
        ticket: Ticket,
        pending: &Pending,
        wake_ms: Option<u64>,
        out: &mut Vec<Action>,
    ) {
        let entity = pending.entity;
        if let Some(slot) = self.entities.get_mut(&entity) {
            slot.undurable.remove(&ticket);
        }
        let now_ms = self.clock.peek(now);
        // The entity's own timer is later than the index knows: the step that moved it is on its way.
        if wake_ms.is_none_or(|wake_ms| wake_ms > pending.now_ms) {
            let retry_ms = now_ms.saturating_add(EARLY_RETRY_MS);
            self.timers.came_back(entity, Back::Early { retry_ms });
        } else {
            self.wake_failed(now, entity, out);
        }
        self.release_held_snapshot(now, entity, out);
    }

    /// A wake's step is durable. One that changed nothing must not be tried again at once.
    pub(super) fn wake_is_durable(
        &mut self,
        now: Now,
        entity: EntityId,
        changed: bool,
        out: &mut Vec<Action>,
    ) {
        match changed {
            true => self.timers.came_back(entity, Back::Changed),
            false => self.wake_failed(now, entity, out),
        }
    }

    fn wake_failed(&mut self, now: Now, entity: EntityId, out: &mut Vec<Action>) {
        let now_ms = self.clock.peek(now);
        if self.timers.wake_of(entity).is_some_and(|wake_ms| wake_ms <= now_ms) {
            self.alarm(Alarm::WakeStuck, out);
        }
        let retry_ms = now_ms.saturating_add(self.next_wake_backoff_ms(entity));
        self.timers.came_back(entity, Back::Failed { retry_ms });
    }

    fn next_wake_backoff_ms(&self, entity: EntityId) -> u64 {
        self.settings.wake_backoff_ms(self.timers.failures_of(entity).saturating_add(1))
    }

    /// Earliest timer of an entity after a dead letter: a wake that failed is put off, and put off longer
    /// each time; any other input leaves the timer as it is.
    pub(super) fn wake_after_dead_letter(&self, pending: &Pending) -> Option<u64> {
        let staged = self.entities.get(&pending.entity).and_then(|slot| slot.staged_wake_ms);
        let wake_ms = staged.unwrap_or_else(|| self.timers.wake_of(pending.entity));
        if !pending.is_wake() {
            return wake_ms;
        }
        Some(pending.now_ms.saturating_add(self.next_wake_backoff_ms(pending.entity)))
    }

    /// How long the driver may wait before the next [`super::Notice::Tick`], ms.
    #[must_use]
    pub fn next_tick_ms(&self, now: Now) -> u64 {
        let due = self.timers.next_due_ms().filter(|_| !self.is_suspecting());
        let wait_ms = due.map_or(TICK_MS_MAX, |due| due.saturating_sub(self.clock.peek(now)));
        let heirs_ms = self.heirs_boot_ms.filter(|_| !self.is_suspecting());
        let heirs_ms = heirs_ms.map_or(TICK_MS_MAX, |at_ms| at_ms.saturating_sub(now.boot_ms));
        wait_ms.min(heirs_ms).clamp(1, TICK_MS_MAX)
    }
}

fn wake_header(entity: EntityId, wake_ms: u64, business: BusinessId, now_ms: u64) -> Header {
    let key = u128::from_le_bytes(entity.hash) ^ u128::from(wake_ms);
    Header {
        key: Key(key.to_le_bytes()),
        business,
        cause: Cause::Timer,
        trace: None,
        received_ms: now_ms,
    }
}
