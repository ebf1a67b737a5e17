//! Two conversations become one. The floor is the phone's before the desk's before the bot's; one item survives,
//! assigned before waiting, then the older.

use super::{
    Author, ConversationEvent, Floor, FloorCause, RoutingAct,
    decide::Step,
    state::{Conversation, Core, Item},
};
use crate::{EntityId, MessageId, RequestId, persist, workspace::WorkspaceInput};

/// Takes over the whole state of `from`. What is seen from outside is recorded as ordinary events; memories and
/// counters follow from `Absorbed` itself.
pub(super) fn absorb(step: &mut Step<'_>, from: EntityId, state: &[u8]) {
    let absorbed = ConversationEvent::Absorbed { from, state: state.to_vec() };
    let Ok(Conversation { core: lower, .. }) = persist::decode::<Conversation>(state) else {
        // Kept in the log all the same.
        return step.emit(absorbed);
    };
    let own = step.core.clone();
    if lower.episode.open && !own.episode.open {
        let (n, at_ms) = (own.episode.n.saturating_add(1), lower.episode.opened_ms);
        step.emit(ConversationEvent::EpisodeOpened { n, at_ms });
    }
    step.emit(absorbed);
    if lower.window_until_ms > own.window_until_ms {
        let until_ms = lower.window_until_ms;
        step.emit(ConversationEvent::WindowMoved { until_ms });
    }
    if let Some(changed) = lower.contact.as_ref().filter(|contact| contact.thin)
        && own.contact.as_ref().is_some_and(|known| changed.at_ms > known.at_ms)
    {
        let (via, who, at_ms) = (changed.via, changed.who.clone(), changed.at_ms);
        step.emit(ConversationEvent::IdentityChanged { via, who, at_ms });
    }
    tell_routing(step, &own, &lower);
    step.absorb_billing(&lower.billing);
    match lower.marketing.filter(|wish| Some(*wish) > own.marketing) {
        Some(wish) => step.wish_marketing(wish),
        None if lower.marketing != own.marketing => step.tell_wish(),
        None => {}
    }
    // What one address waits for, the phone may have answered on the other.
    let own_since_ms = own.waiting_since_ms.filter(|_| own.last_in_ms >= lower.last_phone_ms);
    let lower_since_ms = lower.waiting_since_ms.filter(|_| lower.last_in_ms >= own.last_phone_ms);
    step.set_waiting([own_since_ms, lower_since_ms].into_iter().flatten().min());
    // The lower address takes the bot's words back where it asked for them.
    for request in lower.pending_bot() {
        step.emit(ConversationEvent::SendCancelled { request });
    }
    if let Some(item) = &lower.item {
        merge_items(step, item);
    }
    step.time_snooze();
    merge_floor(step, &own, &lower);
    silence_who_lost_the_floor(step, &own, &lower);
}

/// A VIP and a snooze that came along are told again, for those who read this conversation's events only.
fn tell_routing(step: &mut Step<'_>, own: &Core, lower: &Core) {
    let vip = (lower.routing.vip && !own.routing.vip).then_some(RoutingAct::Vip { vip: true });
    let snooze = lower.routing.snooze.as_ref().filter(|_| own.routing.snooze.is_none());
    let snooze = snooze.map(|snooze| RoutingAct::Snooze { until_ms: snooze.until_ms });
    for act in [vip, snooze].into_iter().flatten() {
        let (by, from, note, at_ms) = (None, None, None, step.now_ms);
        step.emit(ConversationEvent::RoutingActed { act, by, from, note, at_ms });
    }
}

fn merge_items(step: &mut Step<'_>, theirs: &Item) {
    let rank = |item: &Item| (item.agent.is_none(), item.since_ms);
    let own = step.core.item.clone();
    let mut survivor = theirs.clone();
    if let Some(own) = own {
        let since_ms = own.since_ms.min(theirs.since_ms);
        if rank(&own) <= rank(theirs) {
            let (item, version) = (theirs.id, theirs.version.saturating_add(1));
            step.emit(ConversationEvent::ItemEnded { item, at_ms: step.now_ms });
            let conversation = step.me;
            step.tell_workspace(WorkspaceInput::Dropped { item, version, conversation });
            survivor = own;
        } else {
            step.drop_item();
        }
        survivor.since_ms = since_ms;
    }
    let Item { id, version, queue, since_ms, agent } = survivor;
    let version = version.saturating_add(1);
    step.emit(ConversationEvent::ItemWanted { item: id, version, queue, since_ms });
    if let Some(agent) = agent {
        step.emit(ConversationEvent::ItemAssigned { item: id, agent, at_ms: step.now_ms });
    }
    // With our address: the workspace answers here from now on.
    step.tell_item();
}

fn merge_floor(step: &mut Step<'_>, own: &Core, lower: &Core) {
    if own.floor == Floor::Phone || lower.floor == Floor::Phone {
        return merge_phone(step, lower);
    }
    let is_desk = |floor: &Floor| matches!(floor, Floor::Desk { .. });
    let is_bot = |floor: &Floor| matches!(floor, Floor::Bot { .. });
    let assigned = step.core.assigned().cloned();
    match assigned.filter(|_| is_desk(&own.floor) || is_desk(&lower.floor)) {
        Some(agent) => step.change_floor(Floor::Desk { agent }, FloorCause::Joined),
        None if (is_bot(&own.floor) || is_bot(&lower.floor)) && step.core.item.is_none() => {
            let cut = !is_bot(&own.floor) && !lower.pending_bot().is_empty();
            // A turn that either half's external bot was asked for is nobody's now.
            let asked = lower.external.is_open() || step.core.external.is_open();
            if step.core.unheard || cut || asked {
                step.ask_again();
            } else {
                step.begin_turn(step.core.misses);
            }
        }
        None => step.change_floor(Floor::Nobody, FloorCause::Joined),
    }
}

fn merge_phone(step: &mut Step<'_>, lower: &Core) {
    if let Some(phone) = &lower.phone {
        // An echo that no webhook will ever name stands for those beyond the bound: a person for certain.
        let beyond = phone.certain || phone.causes.is_empty();
        let beyond = beyond.then(MessageId::default);
        for message in phone.causes.iter().copied().chain(beyond) {
            let at_ms = phone.last_ms;
            step.emit(ConversationEvent::PhoneSpoke { message, at_ms, untold: None });
        }
    }
    step.change_floor(Floor::Phone, FloorCause::Joined);
    step.yield_item_to_phone();
    step.time_phone(step.core.last_phone_ms);
}

/// Two agents held the two halves: what the one without the floor still had to say is taken back, and that
/// agent sees it.
fn silence_who_lost_the_floor(step: &mut Step<'_>, own: &Core, lower: &Core) {
    let Floor::Desk { agent: winner } = step.core.floor.clone() else { return };
    let held = |floor: &Floor, author: &Author| match (floor, author) {
        (Floor::Desk { agent }, Author::Agent(author)) => agent == author && *agent != winner,
        _ => false,
    };
    let lost = |author: &Author| held(&own.floor, author) || held(&lower.floor, author);
    let pending = step.core.pending.iter();
    let requests: Vec<RequestId> =
        pending.filter(|(_, p)| lost(&p.author)).map(|(request, _)| *request).collect();
    for request in requests {
        step.cancel(request);
    }
}
