//! What is due, lost or left over. Runs after every input and on wake, in pieces that fit a step; what is left makes the
//! workspace due again at once. Everything here is found from the state itself, so a crash forgets nothing.

use super::{
    OfferEnd, WorkspaceChange, WorkspaceEvent,
    decide::Turn,
    index::{Key, Timer, due_range, forget_range, has_live, holds_range, lost_range},
    matching,
    news::tell,
    offers, reserve,
    state::{LiveItem, Place, Workspace},
    wrap_up,
};
use crate::{AgentId, EntityId, ItemId, Millis, conversation::WorkspaceNews};

/// How often the slow comparison with the conversations goes on, ms.
const CHECK_EVERY_MS: Millis = 60_000;
/// Items changed more recently than this are not compared, ms.
const CHECK_AGE_MS: Millis = 60_000;
/// Conversations asked in one step.
const CHECKED_MAX: usize = 64;
/// Items looked at for it in one step.
const LOOKED_AT_MAX: usize = 512;
/// Conversations of one agent that are told at once that it is gone or back.
const TOLD_MAX: usize = 256;
/// Gone items forgotten in one step.
const FORGOTTEN_MAX: usize = 64;
/// Gone items are forgotten this much late, many at a time, ms.
const FORGET_TOGETHER_MS: Millis = 30_000;

/// Everything that follows from the state as it is now.
pub(super) fn settle(turn: &mut Turn<'_>) {
    find_lost(turn);
    run_timers(turn);
    reserve::end_failed(turn);
    matching::match_touched(turn);
}

/// What only time brings.
pub(super) fn on_wake(turn: &mut Turn<'_>) {
    forget_gone(turn);
    compare(turn);
}

/// When something is due.
pub(super) fn wake_ms(workspace: &Workspace) -> Option<Millis> {
    let index = &workspace.index;
    let lost = index.range(lost_range()).next().map(|_| workspace.clock_ms);
    let due = index.range(due_range(Millis::MAX)).next().and_then(due_ms);
    let forget = index.range(forget_range(Millis::MAX)).next().and_then(due_ms);
    let forget = forget.map(|at_ms| at_ms.saturating_add(FORGET_TOGETHER_MS));
    let compares = workspace.plan.is_some() && has_live(index);
    let check = compares.then(|| workspace.check.next_ms.max(workspace.clock_ms));
    [lost, due, forget, check, matching::leftover_ms(workspace)].into_iter().flatten().min()
}

fn due_ms(key: &Key) -> Option<Millis> {
    match key {
        Key::Due(at_ms, _) | Key::Forget(at_ms, _) => Some(*at_ms),
        _ => None,
    }
}

/// Sends home what the configuration no longer knows: sessions and items of removed agents, items of removed queues.
fn find_lost(turn: &mut Turn<'_>) {
    repeat(turn, |turn| {
        let lost = turn.draft.keys(lost_range()).next().cloned();
        match lost {
            Some(Key::LostItem(item)) => on_lost_item(turn, item),
            Some(Key::LostAgent(agent)) => on_lost_agent(turn, &agent),
            _ => {}
        }
    });
}

fn on_lost_item(turn: &mut Turn<'_>, item: ItemId) {
    let Some(live) = turn.draft.live(item) else { return };
    if matches!(live.place, Place::Assigned { .. }) {
        return_item(turn, item);
        return;
    }
    let plan = turn.draft.plan();
    let routable = plan.is_some_and(|plan| plan.config.queues.contains_key(&live.queue));
    if routable {
        offers::end(turn, item, OfferEnd::Rescinded);
    } else {
        let why = format!("no queue named {}", live.queue);
        offers::refuse(turn, item, why);
    }
}

fn on_lost_agent(turn: &mut Turn<'_>, agent: &AgentId) {
    let session = turn.draft.agent(agent).and_then(|agent| agent.session.as_ref());
    let Some(session) = session.map(|session| session.id) else { return };
    turn.signal(agent, WorkspaceChange::Replaced);
    let at_ms = turn.now_ms;
    turn.record(WorkspaceEvent::SignedOut { agent: agent.clone(), session, at_ms });
}

/// Takes an assigned item back: it waits again with its age, and its conversation is told.
fn return_item(turn: &mut Turn<'_>, item: ItemId) {
    offers::release(turn, item);
    let Some(live) = turn.draft.live(item) else { return };
    let (conversation, version) = (live.conversation, live.version);
    tell(turn, conversation, item, version, WorkspaceNews::Unassigned);
}

/// Offers whose deadline passed, conversations held long enough.
fn run_timers(turn: &mut Turn<'_>) {
    let now_ms = turn.now_ms;
    repeat(turn, |turn| {
        let due = turn.draft.keys(due_range(now_ms)).next().cloned();
        match due {
            Some(Key::Due(_, Timer::Offer(item))) => on_deadline(turn, item),
            Some(Key::Due(_, Timer::Hold(agent))) => on_hold_over(turn, &agent),
            Some(Key::Due(_, Timer::Stranded(agent))) => on_stranded_over(turn, &agent),
            Some(Key::Due(_, Timer::Reserved(item))) => reserve::end(turn, item),
            Some(Key::Due(_, Timer::WrapUp(agent))) => wrap_up::on_over(turn, &agent),
            _ => {}
        }
    });
}

/// Acts while the step has room and the action finds something to record.
fn repeat(turn: &mut Turn<'_>, action: impl Fn(&mut Turn<'_>)) {
    while turn.has_room() {
        let before = turn.out.events.len();
        action(turn);
        if turn.out.events.len() == before {
            return;
        }
    }
}

fn on_deadline(turn: &mut Turn<'_>, item: ItemId) {
    let place = turn.draft.live(item).map(|live| &live.place);
    let Some(Place::Offered { delivered, .. }) = place else { return };
    let end = if *delivered { OfferEnd::Missed } else { OfferEnd::Undeliverable };
    offers::end(turn, item, end);
}

/// The agent did not come back within the hold. Its conversations know whether a customer waits: those ask for another
/// agent, the others stay. Where nothing is to stay, everything is returned.
fn on_hold_over(turn: &mut Turn<'_>, agent: &AgentId) {
    let left_ms = turn.draft.agent(agent).and_then(|agent| agent.left_ms);
    let Some(left_ms) = left_ms else { return };
    let keep_ms = turn.draft.plan().map_or(0, |plan| plan.config.stranded_keep_ms);
    let holds_any = assigned_to(turn, agent).next().is_some();
    if keep_ms == 0 || !holds_any {
        return return_held(turn, agent, left_ms);
    }
    let at_ms = turn.now_ms;
    let until_ms = at_ms.saturating_add(keep_ms);
    turn.record(WorkspaceEvent::Stranded { agent: agent.clone(), until_ms, at_ms });
    tell_holder(turn, agent, &WorkspaceNews::Stranded { agent: agent.clone() });
}

/// It did not come back at all.
fn on_stranded_over(turn: &mut Turn<'_>, agent: &AgentId) {
    if turn.draft.agent(agent).is_some_and(|agent| agent.stranded_until_ms.is_some()) {
        return_held(turn, agent, Millis::MAX);
    }
}

/// The conversations of an agent who was gone learn that it is there again.
pub(super) fn tell_holder_is_back(turn: &mut Turn<'_>, agent: &AgentId) {
    tell_holder(turn, agent, &WorkspaceNews::Assigned { agent: agent.clone() });
}

/// Tells the conversations an agent has. Those beyond the bound learn it from the slow comparison.
fn tell_holder(turn: &mut Turn<'_>, agent: &AgentId, news: &WorkspaceNews) {
    let held: Vec<(ItemId, EntityId, u32)> = assigned_to(turn, agent)
        .filter_map(|item| {
            let live = turn.draft.live(item)?;
            Some((item, live.conversation, live.version))
        })
        .take(TOLD_MAX)
        .collect();
    for (item, conversation, version) in held {
        tell(turn, conversation, item, version, news.clone());
    }
}

fn assigned_to<'t>(turn: &'t Turn<'_>, agent: &AgentId) -> impl Iterator<Item = ItemId> + 't {
    turn.draft.keys(holds_range(agent)).filter_map(|key| match key {
        Key::Holds(_, true, item) => Some(*item),
        _ => None,
    })
}

/// Returns what the agent had when its connection was lost; what it was given since (by phone) stays.
fn return_held(turn: &mut Turn<'_>, agent: &AgentId, left_ms: Millis) {
    let had_then = |live: &LiveItem| match live.place {
        Place::Assigned { at_ms, .. } => at_ms <= left_ms,
        _ => false,
    };
    let held: Vec<ItemId> = assigned_to(turn, agent)
        .filter(|item| turn.draft.live(*item).is_some_and(had_then))
        .collect();
    for item in held {
        if !turn.has_room() {
            return;
        }
        return_item(turn, item);
    }
    turn.record(WorkspaceEvent::HoldEnded { agent: agent.clone() });
}

/// Forgets gone items whose time is over, many at a time.
fn forget_gone(turn: &mut Turn<'_>) {
    let over: Vec<ItemId> = turn
        .draft
        .keys(forget_range(turn.now_ms))
        .filter_map(|key| match key {
            Key::Forget(_, item) => Some(*item),
            _ => None,
        })
        .take(FORGOTTEN_MAX)
        .collect();
    for item in over {
        turn.record(WorkspaceEvent::ItemForgotten { item });
    }
}

/// Asks the conversations of a batch of older items whether they still are what we think, so that nothing stays
/// forgotten on either side.
fn compare(turn: &mut Turn<'_>) {
    let check = turn.draft.check();
    if turn.now_ms < check.next_ms || turn.draft.plan().is_none() {
        return;
    }
    let mut asked = Vec::new();
    let mut cursor = None;
    for (looked_at, item) in turn.draft.items_after(check.cursor).enumerate() {
        if looked_at == LOOKED_AT_MAX || asked.len() == CHECKED_MAX {
            break;
        }
        cursor = Some(item);
        let old = |live: &&LiveItem| live.changed_ms.saturating_add(CHECK_AGE_MS) <= turn.now_ms;
        let live = turn.draft.live(item).filter(old);
        asked.extend(live.map(|live| (item, live.conversation, live.version)));
    }
    let more = turn.draft.items_after(cursor.or(check.cursor)).next().is_some();
    for (item, conversation, version) in asked {
        tell(turn, conversation, item, version, WorkspaceNews::Check);
    }
    let next_ms = turn.now_ms.saturating_add(CHECK_EVERY_MS);
    turn.record(WorkspaceEvent::Checked { cursor: cursor.filter(|_| more), next_ms });
}
