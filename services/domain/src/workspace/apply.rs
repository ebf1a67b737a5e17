//! What an event changes. Each touches one part and sees nothing else.

use super::{
    OfferEnd, Presence, WorkspaceEvent,
    draft::Draft,
    state::{
        ANSWERS_MAX, Agent, CLIENTS_MAX, Check, ClientMemory, ENDED_OFFERS_MAX, EndedOffer,
        GoneItem, Item, LiveItem, MISS_WINDOW_MS, MISSES_MAX, OfferHistory, PartKey, Place,
        Reserved, Session, TAKEN_MAX, WRAP_UPS_MAX, Workspace, WrapUp,
    },
};
use crate::{CommandId, Millis};

impl Workspace {
    /// Applies one event to the part it names.
    pub fn apply(&mut self, event: &WorkspaceEvent) {
        let mut draft = Draft::new(self);
        draft.apply(event);
        let changes = draft.finish();
        self.absorb(changes);
    }
}

impl OfferEnd {
    /// The agent had the chance and did not take it.
    pub(super) fn turned_down(self) -> bool {
        matches!(self, Self::Rejected | Self::Missed | Self::Undeliverable)
    }
}

impl WorkspaceEvent {
    /// The name of the one part this event changes.
    #[must_use]
    pub fn part(&self) -> String {
        self.part_key().name()
    }

    fn part_key(&self) -> PartKey {
        match self {
            Self::Configured(_) => PartKey::Config,
            Self::Checked { .. } => PartKey::Check,
            Self::ItemQueued { item, .. }
            | Self::ItemAssigned { item, .. }
            | Self::ItemRenewed { item, .. }
            | Self::ItemReturned { item, .. }
            | Self::ItemEnded { item, .. }
            | Self::ItemReserved { item, .. }
            | Self::ReservationEnded { item, .. }
            | Self::ItemForgotten { item } => PartKey::Item(*item),
            Self::ItemOffered { offer, .. }
            | Self::OfferDelivered { offer, .. }
            | Self::OfferEnded { offer, .. } => PartKey::Item(offer.item),
            Self::AgentLoaded { agent, .. }
            | Self::AgentUnloaded { agent, .. }
            | Self::AgentMissed { agent, .. }
            | Self::AgentActive { agent, .. }
            | Self::SignedIn { agent, .. }
            | Self::SignedOut { agent, .. }
            | Self::HoldEnded { agent }
            | Self::Stranded { agent, .. }
            | Self::WrapUpBegan { agent, .. }
            | Self::WrapUpEnded { agent, .. }
            | Self::PresenceSet { agent, .. }
            | Self::Signalled { agent, .. }
            | Self::CommandAnswered { agent, .. } => PartKey::Agent(agent.clone()),
        }
    }

    fn at_ms(&self) -> Millis {
        match self {
            Self::ItemOffered { at_ms, .. }
            | Self::OfferEnded { at_ms, .. }
            | Self::ItemAssigned { at_ms, .. }
            | Self::ItemReturned { at_ms, .. }
            | Self::ItemEnded { at_ms, .. }
            | Self::AgentUnloaded { at_ms, .. }
            | Self::AgentMissed { at_ms, .. }
            | Self::AgentActive { at_ms, .. }
            | Self::SignedIn { at_ms, .. }
            | Self::SignedOut { at_ms, .. }
            | Self::ItemReserved { at_ms, .. }
            | Self::ReservationEnded { at_ms, .. }
            | Self::WrapUpBegan { at_ms, .. }
            | Self::WrapUpEnded { at_ms, .. }
            | Self::Stranded { at_ms, .. }
            | Self::PresenceSet { at_ms, .. } => *at_ms,
            _ => 0,
        }
    }
}

impl Draft<'_> {
    /// Applies one event.
    pub(super) fn apply(&mut self, event: &WorkspaceEvent) {
        self.saw(event.at_ms());
        match event.part_key() {
            PartKey::Config => {
                if let WorkspaceEvent::Configured(config) = event {
                    self.set_config(config.as_ref().clone());
                }
            }
            PartKey::Check => {
                if let WorkspaceEvent::Checked { cursor, next_ms } = event {
                    self.set_check(Check { cursor: *cursor, next_ms: *next_ms });
                }
            }
            PartKey::Agent(id) => self.change_agent(&id, |agent| apply_to_agent(agent, event)),
            PartKey::Item(id) => self.change_item(id, |item| apply_to_item(item, event)),
        }
    }
}

fn apply_to_item(item: &mut Option<Item>, event: &WorkspaceEvent) {
    match event {
        WorkspaceEvent::ItemQueued {
            version,
            conversation,
            queue,
            since_ms,
            priority,
            hints,
            ..
        } => {
            let offers = item.take().map_or_else(OfferHistory::default, into_offers);
            *item = Some(Item::Live(LiveItem {
                version: *version,
                conversation: *conversation,
                queue: queue.clone(),
                since_ms: *since_ms,
                priority: *priority,
                changed_ms: *since_ms,
                place: Place::Waiting,
                offers,
                hints: Box::new(hints.clone()),
                reserved: None,
            }));
        }
        WorkspaceEvent::ItemEnded { version, refused, at_ms, .. } => {
            let offers = item.take().map_or_else(OfferHistory::default, into_offers);
            let gone = GoneItem { version: *version, refused: *refused, at_ms: *at_ms, offers };
            *item = Some(Item::Gone(gone));
        }
        WorkspaceEvent::ItemForgotten { .. } => *item = None,
        _ => {
            if let Some(Item::Live(live)) = item {
                apply_to_live(live, event);
            }
        }
    }
}

fn into_offers(item: Item) -> OfferHistory {
    match item {
        Item::Live(live) => live.offers,
        Item::Gone(gone) => gone.offers,
    }
}

fn apply_to_live(live: &mut LiveItem, event: &WorkspaceEvent) {
    match event {
        WorkspaceEvent::ItemRenewed {
            version, conversation, since_ms, priority, hints, ..
        } => {
            live.version = *version;
            live.conversation = *conversation;
            live.since_ms = *since_ms;
            live.priority = *priority;
            *live.hints = hints.clone();
        }
        WorkspaceEvent::ItemReserved { agent, why, until_ms, .. } => {
            live.reserved = Some(Reserved { agent: agent.clone(), why: *why, until_ms: *until_ms });
        }
        WorkspaceEvent::ReservationEnded { .. } => live.reserved = None,
        WorkspaceEvent::ItemOffered { offer, agent, weight, at_ms, deadline_ms } => {
            live.offers.made = offer.n;
            live.changed_ms = *at_ms;
            live.place = Place::Offered {
                n: offer.n,
                agent: agent.clone(),
                weight: *weight,
                deadline_ms: *deadline_ms,
                delivered: false,
            };
        }
        WorkspaceEvent::OfferDelivered { deadline_ms: until_ms, .. } => {
            if let Place::Offered { deadline_ms, delivered, .. } = &mut live.place {
                *deadline_ms = *until_ms;
                *delivered = true;
            }
        }
        WorkspaceEvent::OfferEnded { offer, agent, end, at_ms } => {
            let ended = EndedOffer { n: offer.n, agent: agent.clone(), end: *end, at_ms: *at_ms };
            live.offers.ended.push(ended);
            let surplus = live.offers.ended.len().saturating_sub(ENDED_OFFERS_MAX);
            live.offers.ended.drain(..surplus);
            live.changed_ms = *at_ms;
            live.place = Place::Waiting;
        }
        WorkspaceEvent::ItemAssigned { agent, weight, at_ms, .. } => {
            live.changed_ms = *at_ms;
            live.reserved = None;
            live.place = Place::Assigned { agent: agent.clone(), weight: *weight, at_ms: *at_ms };
        }
        WorkspaceEvent::ItemReturned { at_ms, .. } => {
            live.changed_ms = *at_ms;
            live.place = Place::Waiting;
        }
        _ => {}
    }
}

fn apply_to_agent(agent: &mut Agent, event: &WorkspaceEvent) {
    match event {
        WorkspaceEvent::AgentLoaded { weight, .. } => {
            agent.used = agent.used.saturating_add(*weight);
        }
        WorkspaceEvent::AgentUnloaded { weight, at_ms, item, had, .. } => {
            agent.used = agent.used.saturating_sub(*weight);
            agent.idle_since_ms = *at_ms;
            if *had && agent.session.is_none() && agent.taken.len() < TAKEN_MAX {
                agent.taken.push(*item);
            }
        }
        WorkspaceEvent::AgentMissed { end: OfferEnd::Rejected, at_ms, .. } => {
            agent.rejected_ms = Some(*at_ms);
        }
        WorkspaceEvent::AgentMissed { at_ms, .. } => {
            let oldest_ms = at_ms.saturating_sub(MISS_WINDOW_MS);
            agent.misses_ms.retain(|missed_ms| *missed_ms > oldest_ms);
            agent.misses_ms.push(*at_ms);
            let surplus = agent.misses_ms.len().saturating_sub(MISSES_MAX);
            agent.misses_ms.drain(..surplus);
        }
        WorkspaceEvent::AgentActive { .. } => agent.misses_ms.clear(),
        WorkspaceEvent::SignedIn { session, opened_ms, at_ms, .. } => {
            agent.session = Some(Session { id: *session, signals: 0 });
            agent.newest = Some((*opened_ms, *session));
            agent.idle_since_ms = *at_ms;
            agent.left_ms = None;
            agent.stranded_until_ms = None;
            agent.misses_ms.clear();
        }
        WorkspaceEvent::SignedOut { at_ms, .. } => {
            agent.session = None;
            agent.left_ms = Some(*at_ms);
            agent.taken.clear();
        }
        WorkspaceEvent::HoldEnded { .. } => {
            agent.left_ms = None;
            agent.stranded_until_ms = None;
        }
        WorkspaceEvent::Stranded { until_ms, .. } => {
            agent.left_ms = None;
            agent.stranded_until_ms = Some(*until_ms);
        }
        WorkspaceEvent::PresenceSet { presence, at_ms, .. } => {
            if agent.presence == Presence::Away && *presence == Presence::Available {
                agent.idle_since_ms = *at_ms;
            }
            agent.presence = *presence;
            agent.misses_ms.clear();
        }
        WorkspaceEvent::Signalled { session, n, .. } => {
            if let Some(open) = agent.session.as_mut().filter(|open| open.id == *session) {
                open.signals = *n;
            }
        }
        WorkspaceEvent::CommandAnswered { id, answer, .. } => {
            remember(&mut agent.clients, *id, answer.clone());
        }
        _ => apply_wrap_up(&mut agent.wrap_ups, &mut agent.used, event),
    }
    if let WorkspaceEvent::WrapUpEnded { at_ms, .. } = event {
        agent.idle_since_ms = *at_ms;
    }
}

fn apply_wrap_up(wrap_ups: &mut Vec<WrapUp>, used: &mut u32, event: &WorkspaceEvent) {
    match event {
        WorkspaceEvent::WrapUpBegan { item, conversation, weight, until_ms, .. }
            if wrap_ups.len() < WRAP_UPS_MAX =>
        {
            let (item, conversation) = (*item, *conversation);
            let (weight, until_ms) = (*weight, *until_ms);
            *used = used.saturating_add(weight);
            wrap_ups.push(WrapUp { item, conversation, weight, until_ms });
        }
        WorkspaceEvent::WrapUpEnded { item, .. } => {
            let ended = wrap_ups.iter().position(|wrap_up| wrap_up.item == *item);
            if let Some(wrap_up) = ended.map(|at| wrap_ups.remove(at)) {
                *used = used.saturating_sub(wrap_up.weight);
            }
        }
        _ => {}
    }
}

/// Keeps an answer; what no longer fits raises the client's `forgotten`.
fn remember(clients: &mut Vec<ClientMemory>, id: CommandId, answer: super::WorkspaceAnswer) {
    let known = clients.iter().position(|memory| memory.client == id.client);
    let mut memory = match known {
        Some(at) => clients.remove(at),
        None => ClientMemory { client: id.client, answers: Default::default(), forgotten: 0 },
    };
    memory.answers.insert(id.n, answer);
    while memory.answers.len() > ANSWERS_MAX {
        if let Some((n, _)) = memory.answers.pop_first() {
            memory.forgotten = memory.forgotten.max(n);
        }
    }
    clients.push(memory);
    let surplus = clients.len().saturating_sub(CLIENTS_MAX);
    clients.drain(..surplus);
}
