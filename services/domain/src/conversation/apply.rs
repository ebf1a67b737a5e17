//! Applying events to the small part of the state. Replay runs only this.

use super::{
    Author, ConversationEvent, Direction, Floor, FloorCause, MessageRecord, ResolvedBy, RoutingAct,
    SendOutcome, SendRecord, StatusKind,
    state::{
        Answering, Asked, Contact, Conversation, Core, Forward, Item, Lower, LowerState, Marketing,
        PENDING_MAX, Pending, PhoneHold, Retired, Shelved, Snooze, Weight,
    },
};
use crate::{AgentId, EntityId, MessageId, Millis, RequestId};

impl Core {
    pub(super) fn apply(&mut self, event: &ConversationEvent) {
        use ConversationEvent as E;
        self.external.apply(event);
        match event {
            E::IdentitySeen { via, who, at_ms } => {
                let (via, who) = (*via, who.clone());
                self.contact = Some(Contact { via, who, at_ms: *at_ms, thin: false });
            }
            E::MessageRecorded(record) => self.apply_message(record),
            E::StatusMerged { message, request, status, at_ms, error, .. } => {
                self.apply_status(*message, *request, *status, *at_ms, *error);
            }
            E::WaitChanged { since_ms } => {
                self.waiting_since_ms = *since_ms;
                if since_ms.is_some() {
                    self.answering = None;
                }
            }
            E::PhoneSpoke { message, at_ms, untold } => self.apply_phone(*message, *at_ms, *untold),
            E::EchoAutomatic { message } => {
                if let Some(phone) = &mut self.phone {
                    phone.causes.retain(|cause| cause != message);
                }
            }
            E::SendRequested(record) => self.apply_requested(record),
            E::SendResolved { request, outcome, .. } => self.apply_resolved(*request, outcome),
            E::SendCancelled { request } => {
                if let Some(pending) = self.pending.get_mut(request) {
                    pending.cancelled = true;
                }
            }
            E::NoteAdded { n, .. } => self.note_n = *n,
            E::EpisodeOpened { n, at_ms } => self.apply_episode_opened(*n, *at_ms),
            E::EpisodeResolved { by, at_ms, .. } => self.apply_episode_resolved(by, *at_ms),
            E::FloorChanged { floor, cause, .. } => self.apply_floor(floor, *cause),
            E::WindowMoved { until_ms } => self.window_until_ms = *until_ms,
            E::ItemWanted { .. } | E::ItemAssigned { .. } | E::ItemEnded { .. } => {
                self.apply_item(event);
            }
            E::TurnTaken { .. }
            | E::BotMoved { .. }
            | E::BotHeard { .. }
            | E::BotAsked { .. }
            | E::HandedOver { .. } => self.apply_bot(event),
            E::TimerSet { timer, at_ms: Some(at_ms) } => {
                self.timers.insert(*timer, *at_ms);
            }
            E::TimerSet { timer, at_ms: None } => {
                self.timers.remove(timer);
            }
            E::Joining { .. } | E::JoinEnded { .. } | E::LowerMoved { .. } => {
                self.apply_join(event)
            }
            E::Absorbed { from, state } => self.apply_absorbed(*from, state),
            E::Forwarding { to, paired_at } => self.apply_forwarding(*to, *paired_at),
            E::RoutingActed { .. } | E::SnoozeEnded { .. } | E::AgentGone { .. } => {
                self.apply_routing(event);
            }
            E::BillingRecorded { .. }
            | E::BillingWindowMoved { .. }
            | E::ReferralSeen { .. }
            | E::FreeEntryMoved { .. }
            | E::MarketingWished { .. }
            | E::IdentityChanged { .. }
            | E::Retired { .. }
            | E::Unretired { .. } => self.apply_told(event),
            E::CommandAnswered { .. }
            | E::KeySeen { .. }
            | E::BotAnswered { .. }
            | E::BotFailed { .. } => {}
        }
    }

    fn apply_bot(&mut self, event: &ConversationEvent) {
        use ConversationEvent as E;
        match event {
            E::TurnTaken { turn, misses } => {
                self.turn = *turn;
                self.misses = *misses;
                self.unheard = false;
                self.episode.triaged = true;
            }
            E::BotMoved { place } => self.bot = Some(place.clone()),
            E::BotHeard { .. } => self.bound_heard(),
            // What it said before is answered, or taken back.
            E::BotAsked { .. } => self.asked = None,
            E::HandedOver { brief, .. } => self.brief = Some(brief.clone()),
            _ => {}
        }
    }

    /// Beside what two full halves still had to send there is no room; nor is a bot asked then.
    fn bound_heard(&mut self) {
        if self.pending.len() > PENDING_MAX {
            self.external.heard.clear();
        }
    }

    /// What Meta told of prices, wishes and changed addresses.
    fn apply_told(&mut self, event: &ConversationEvent) {
        use ConversationEvent as E;
        match event {
            E::IdentityChanged { via, who, at_ms } => {
                let (via, who) = (*via, who.clone());
                self.contact = Some(Contact { via, who, at_ms: *at_ms, thin: true });
            }
            E::BillingRecorded { message, pricing, at_ms, .. } => {
                self.recents.price(*message, pricing, *at_ms);
            }
            E::BillingWindowMoved { .. } | E::ReferralSeen { .. } | E::FreeEntryMoved { .. } => {
                self.billing.apply(event);
            }
            E::MarketingWished { allowed, at_ms } => {
                self.marketing = Some(Marketing { at_ms: *at_ms, stopped: !allowed });
            }
            E::Retired { at_ms, to } => self.retired = Some(Retired { at_ms: *at_ms, to: *to }),
            E::Unretired { at_ms } => {
                self.returned_ms = self.returned_ms.max(*at_ms);
                self.retired = self.retired.filter(|retired| retired.at_ms >= *at_ms);
            }
            _ => {}
        }
    }

    fn apply_message(&mut self, record: &MessageRecord) {
        let moves = record.episode.is_some() && Weight::of(&record.kind) == Weight::Speaks;
        if record.direction == Direction::In && moves {
            self.last_in_ms = self.last_in_ms.max(record.at_ms);
            self.unheard |= self.floor == Floor::Phone || self.is_joining();
        }
    }

    fn apply_status(
        &mut self,
        message: MessageId,
        request: Option<RequestId>,
        status: StatusKind,
        at_ms: Millis,
        error: Option<u32>,
    ) {
        let sent_ms = |core: &Self| core.recents.get(message).and_then(|r| r.facts.sent_ms);
        let before_ms = sent_ms(self);
        self.recents.merge(message, request, status, at_ms, error);
        // Of several reports the one that counts is the same in any order.
        let after_ms = sent_ms(self);
        if after_ms != before_ms {
            before_ms.into_iter().for_each(|at_ms| self.billing.left_not(at_ms));
            after_ms.into_iter().for_each(|at_ms| self.billing.left(at_ms));
        }
        if let Some(pending) = request.and_then(|request| self.pending.get_mut(&request)) {
            pending.shown = true;
        }
        if status == StatusKind::Failed
            && self.recents.get(message).is_none_or(|r| r.facts.shown() == Some(StatusKind::Failed))
        {
            self.forget_answer(|send| send.1 == Some(message) || Some(send.0) == request);
        }
    }

    fn apply_phone(&mut self, message: MessageId, at_ms: Millis, untold: Option<u64>) {
        let mut phone = self.phone.take().unwrap_or_else(|| PhoneHold {
            before: self.floor.clone(),
            waited_since_ms: self.waiting_since_ms,
            triaged_before: self.episode.triaged,
            last_phone_before_ms: self.last_phone_ms,
            bot_cut: !self.pending_bot().is_empty(),
            ..PhoneHold::default()
        });
        phone.speak(message, at_ms, untold);
        self.phone = Some(phone);
        self.last_phone_ms = self.last_phone_ms.max(at_ms);
        self.answering = None;
        self.episode.triaged = true;
    }

    fn apply_requested(&mut self, record: &SendRecord) {
        let request = record.request;
        self.request_n = self.request_n.max(request.n);
        self.pending.insert(
            request,
            Pending {
                author: record.author.clone(),
                not_after_ms: record.not_after_ms,
                cancelled: false,
                shown: false,
            },
        );
        if matches!(record.author, Author::Bot { .. }) {
            self.asked = Some(Asked { request, message: None, at_ms: record.at_ms });
            return;
        }
        self.last_desk_ms = self.last_desk_ms.max(record.at_ms);
        if let Author::Agent(agent) = &record.author {
            self.routing.active(agent, record.at_ms);
        }
        if let Some(since_ms) = self.waiting_since_ms {
            self.answering = Some(Answering { since_ms, sends: vec![(request, None)] });
        } else if let Some(answering) = &mut self.answering {
            answering.add(request);
        }
    }

    fn apply_resolved(&mut self, request: RequestId, outcome: &SendOutcome) {
        self.pending.remove(&request);
        let SendOutcome::Accepted { message, at_ms, .. } = outcome else {
            self.asked = self.asked.filter(|asked| asked.request != request);
            return self.forget_answer(|send| send.0 == request);
        };
        self.recents.merge(*message, Some(request), StatusKind::Accepted, *at_ms, None);
        self.billing.left(*at_ms);
        if self.recents.get(*message).is_some_and(|r| r.facts.shown() == Some(StatusKind::Failed)) {
            self.forget_answer(|send| send.0 == request);
        }
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.request == request) {
            asked.message = Some(*message);
        }
        let sends = self.answering.iter_mut().flat_map(|answering| &mut answering.sends);
        for send in sends.filter(|send| send.0 == request) {
            send.1 = Some(*message);
        }
    }

    fn forget_answer(&mut self, lost: impl Fn(&(RequestId, Option<MessageId>)) -> bool) {
        if let Some(answering) = &mut self.answering {
            answering.sends.retain(|send| !lost(send));
        }
    }

    /// Only the pointer stays, and whether the customer left.
    fn apply_forwarding(&mut self, to: EntityId, paired_at: (Millis, MessageId)) {
        let heir = self.forward.map_or(to, |forward| forward.heir);
        let forward = Some(Forward { to, paired_at, heir });
        let (retired, returned_ms) = (self.retired, self.returned_ms);
        *self = Self { forward, retired, returned_ms, ..Self::default() };
    }

    fn apply_episode_opened(&mut self, n: u32, at_ms: Millis) {
        self.episode.n = n;
        self.episode.open = true;
        self.episode.opened_ms = at_ms;
        self.episode.triaged = false;
    }

    fn apply_episode_resolved(&mut self, by: &ResolvedBy, at_ms: Millis) {
        if let ResolvedBy::Agent(agent) = by {
            self.routing.active(agent, at_ms);
        }
        self.episode.open = false;
        let seen_ms = self.last_in_ms.max(self.last_phone_ms).max(self.last_desk_ms);
        self.episode.settled_ms = self.episode.settled_ms.max(seen_ms);
        self.waiting_since_ms = None;
        self.answering = None;
        self.shelved = None;
        self.brief = None;
        self.unheard = false;
        self.misses = 0;
        self.routing.snooze = None;
    }

    fn apply_routing(&mut self, event: &ConversationEvent) {
        match event {
            ConversationEvent::RoutingActed { act, from, at_ms, .. } => {
                self.apply_act(act, from.as_ref(), *at_ms);
            }
            ConversationEvent::SnoozeEnded { .. } => {
                if let Some(snooze) = self.routing.snooze.take() {
                    self.routing.target = Some(snooze.agent);
                    self.routing.returning = true;
                }
            }
            ConversationEvent::AgentGone { gone, .. } => self.routing.agent_gone = *gone,
            _ => {}
        }
    }

    fn apply_act(&mut self, act: &RoutingAct, from: Option<&AgentId>, at_ms: Millis) {
        match act {
            RoutingAct::Transfer { agent, .. } => {
                self.routing.settle();
                self.routing.target.clone_from(agent);
                self.routing.giver = from.map(|from| (from.clone(), at_ms));
            }
            RoutingAct::Requeue { .. } => {
                self.routing.settle();
                self.routing.giver = from.map(|from| (from.clone(), at_ms));
            }
            RoutingAct::Snooze { until_ms } => {
                let queue = self.item.as_ref().map(|item| item.queue.clone());
                if let (Some(agent), Some(queue)) = (from.cloned(), queue) {
                    self.routing.snooze = Some(Snooze { agent, queue, until_ms: *until_ms });
                }
            }
            RoutingAct::Vip { vip } => self.routing.vip = *vip,
            RoutingAct::Assign { .. } | RoutingAct::WrapUp { .. } => {}
        }
    }

    fn apply_floor(&mut self, floor: &Floor, cause: FloorCause) {
        self.floor = floor.clone();
        if *floor == Floor::Phone {
            return;
        }
        let phone = self.phone.take();
        if let Some(phone) = phone.filter(|_| cause == FloorCause::EchoWasAutomatic) {
            self.episode.triaged = phone.triaged_before;
            self.last_phone_ms = phone.last_phone_before_ms;
        }
        if !matches!(floor, Floor::Bot { .. }) {
            self.asked = None;
            self.unheard = false;
        }
    }

    fn apply_item(&mut self, event: &ConversationEvent) {
        match event {
            ConversationEvent::ItemWanted { item, version, queue, since_ms } => {
                self.item_n = self.item_n.max(item.n);
                self.episode.triaged = true;
                self.shelved = None;
                self.routing.agent_gone = false;
                self.item = Some(Item {
                    id: *item,
                    version: *version,
                    queue: queue.clone(),
                    since_ms: *since_ms,
                    agent: None,
                });
            }
            ConversationEvent::ItemAssigned { item, agent, at_ms } => {
                self.routing.settle();
                self.routing.active(agent, *at_ms);
                if let Some(open) = self.item.as_mut().filter(|open| open.id == *item) {
                    open.agent = Some(agent.clone());
                }
            }
            ConversationEvent::ItemEnded { item, .. } => {
                if let Some(ended) = self.item.take_if(|open| open.id == *item) {
                    self.routing.settle();
                    self.shelved = Some(Shelved { queue: ended.queue, since_ms: ended.since_ms });
                }
            }
            _ => {}
        }
    }

    fn apply_join(&mut self, event: &ConversationEvent) {
        match event {
            ConversationEvent::Joining { lower, paired_at } => {
                let known = self.lowers.get(lower).map(|known| known.state);
                let state = known.unwrap_or(LowerState::Joining);
                self.lowers.insert(*lower, Lower { asked_at: *paired_at, state });
                self.bound_lowers();
            }
            ConversationEvent::JoinEnded { lower } => self.set_lower(*lower, LowerState::Joined),
            ConversationEvent::LowerMoved { lower } => {
                self.set_lower(*lower, LowerState::Elsewhere)
            }
            _ => {}
        }
    }

    fn set_lower(&mut self, lower: EntityId, state: LowerState) {
        let entry = self.lowers.entry(lower);
        entry.or_insert_with(|| Lower { asked_at: <_>::default(), state }).state = state;
        self.bound_lowers();
    }

    /// What nobody sees: memories and counters. Floor, item, wait, window and episode follow as events.
    fn apply_absorbed(&mut self, from: EntityId, state: &[u8]) {
        self.set_lower(from, LowerState::Joined);
        let Ok(Conversation { core: lower, .. }) = crate::persist::decode::<Conversation>(state)
        else {
            return;
        };
        self.contact = self.contact.take().or(lower.contact);
        self.episode.settled_ms = self.episode.settled_ms.max(lower.episode.settled_ms);
        self.episode.triaged |= lower.episode.open && lower.episode.triaged;
        self.turn = self.turn.max(lower.turn);
        self.misses = self.misses.max(lower.misses);
        self.unheard |= lower.unheard;
        self.asked = self.asked.or(lower.asked);
        if lower.bot.is_some() && !matches!(self.floor, Floor::Bot { .. }) {
            self.bot = lower.bot;
        }
        self.brief = self.brief.take().or(lower.brief);
        self.answering = self.answering.take().or(lower.answering);
        self.last_in_ms = self.last_in_ms.max(lower.last_in_ms);
        self.last_phone_ms = self.last_phone_ms.max(lower.last_phone_ms);
        self.last_desk_ms = self.last_desk_ms.max(lower.last_desk_ms);
        self.item_n = self.item_n.max(lower.item_n);
        self.shelved = self.shelved.take().or(lower.shelved);
        self.pending.extend(lower.pending);
        self.request_n = self.request_n.max(lower.request_n);
        self.note_n = self.note_n.max(lower.note_n);
        self.recents.absorb(&lower.recents);
        self.routing.absorb(lower.routing);
        self.billing.absorb(&lower.billing);
        self.external.absorb(lower.external);
        self.bound_heard();
    }
}
