//! How an agent behaves: accepts or not, answers each customer message, resolves after some replies, repeats what was not answered.

use std::collections::{BTreeMap, BTreeSet};

use api::v1::command_result::Result as Answer;
use api::v1::desk_request::Request;
use api::v1::send_message::Content;
use api::v1::{
    AcceptOffer, CommandId, CommandResult, DeskRequest, OfferDelivered, Presence, RefusalReason,
    RejectOffer, Resolve, SendMessage, SetPresence,
};

use crate::agenda::Agenda;
use crate::judge::{Asker, CommandFate};
use crate::sim::Sim;
use crate::sim::desks::{less, more};
use crate::world::{AgentId, ChatId};

/// Something the agent is about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Intention {
    Accept { offer: String, conversation: String },
    Reject { offer: String },
    Reply { conversation: String, take_floor: bool },
    Resolve { conversation: String },
    Repeat { number: u64 },
    BecomeAvailable,
}

/// A command without an answer.
#[derive(Clone, Debug)]
struct Open {
    asked_us: u64,
    repeats: u32,
    request: Request,
    what: Intention,
}

/// A conversation the agent has.
#[derive(Clone, Debug, Default)]
struct Held {
    chat: Option<ChatId>,
    replies: u32,
    reply_planned: bool,
    resolving: bool,
}

/// One agent's mind; it outlives connections.
#[derive(Debug)]
pub(super) struct Brain {
    agent: AgentId,
    client: String,
    numbered: u64,
    open: BTreeMap<u64, Open>,
    plans: Agenda<Intention>,
    held: BTreeMap<String, Held>,
    chats: BTreeMap<String, ChatId>,
    offers_seen: BTreeSet<String>,
}

impl Brain {
    pub(super) fn new(agent: AgentId, client: String) -> Self {
        Self {
            agent,
            client,
            numbered: 0,
            open: BTreeMap::new(),
            plans: Agenda::new(),
            held: BTreeMap::new(),
            chats: BTreeMap::new(),
            offers_seen: BTreeSet::new(),
        }
    }

    pub(super) fn knows(&self, conversation: &str) -> Option<ChatId> {
        self.chats.get(conversation).copied()
    }

    pub(super) fn learn(&mut self, conversation: &str, chat: ChatId) {
        self.chats.insert(conversation.to_owned(), chat);
    }

    /// Everything unanswered, to be sent again on a new connection, oldest first, under the same ids.
    pub(super) fn unanswered(&self) -> Vec<DeskRequest> {
        self.open
            .iter()
            .map(|(number, open)| self.numbered(*number, open.request.clone()))
            .collect()
    }

    pub(super) fn next_us(&self) -> Option<u64> {
        self.plans.next_us()
    }

    /// An offer is on the screen. Gives the confirmation.
    pub(super) fn on_offer(
        &mut self,
        sim: &Sim,
        offer: String,
        conversation: String,
        received_us: u64,
    ) -> DeskRequest {
        let delivered = Request::OfferDelivered(OfferDelivered { offer_id: offer.clone() });
        let confirmation = DeskRequest { command_id: None, request: Some(delivered) };
        if !self.offers_seen.insert(offer.clone()) {
            return confirmation;
        }
        let (agent, chat) = (self.agent, self.knows(&conversation));
        let desk = &sim.scenario.desk;
        let (draw, wait_us) = sim.with(|state, _| {
            state.on_offer(agent, chat, &conversation, received_us);
            let draw = (state.chance(desk.ignore_share), state.chance(desk.reject_share));
            (draw, state.around_us(desk.accept_think_ms))
        });
        match draw {
            (true, _) => {}
            (false, true) => self.plan(sim, received_us + wait_us, Intention::Reject { offer }),
            (false, false) => {
                self.plan(sim, received_us + wait_us, Intention::Accept { offer, conversation });
            }
        }
        confirmation
    }

    pub(super) fn on_assigned(&mut self, sim: &Sim, conversation: &str) {
        let chat = self.knows(conversation);
        let held = self.held.entry(conversation.to_owned()).or_default();
        held.chat = chat;
        let (agent, count) = (self.agent, self.held.len());
        sim.with(|state, now_us| state.on_given(agent, count, chat, conversation, now_us));
        self.plan_reply(sim, conversation, false);
    }

    pub(super) fn on_unassigned(&mut self, sim: &Sim, conversation: &str) {
        if let Some(held) = self.held.remove(conversation) {
            let (agent, count) = (self.agent, self.held.len());
            sim.with(|state, now_us| state.on_desk_lost(agent, count, held.chat, now_us));
        }
    }

    /// The episode is over, whoever asked for that.
    pub(super) fn on_episode_resolved(&mut self, sim: &Sim, conversation: &str) {
        self.on_unassigned(sim, conversation);
        if let Some(chat) = self.knows(conversation) {
            sim.with(|state, now_us| state.ledger.resolved(chat, now_us));
        }
    }

    /// What the agent has now, after a connection was lost. Every customer may have written meanwhile.
    pub(super) fn on_snapshot(&mut self, sim: &Sim, assigned: &[String]) {
        let lost: Vec<String> =
            self.held.keys().filter(|held| !assigned.contains(*held)).cloned().collect();
        for conversation in lost {
            self.on_unassigned(sim, &conversation);
        }
        for conversation in assigned {
            self.on_assigned(sim, conversation);
        }
    }

    pub(super) fn on_customer_message(&mut self, sim: &Sim, conversation: &str) {
        if self.held.contains_key(conversation) {
            self.plan_reply(sim, conversation, false);
        }
    }

    /// An offer was missed: the desk may have set the agent away.
    pub(super) fn on_missed(&mut self, sim: &Sim) {
        self.plan(sim, sim.clock.now_us(), Intention::BecomeAvailable);
    }

    /// Does what is due and gives the requests for it.
    pub(super) fn act(&mut self, sim: &Sim, now_us: u64) -> Vec<DeskRequest> {
        self.clear_desk(sim, now_us);
        let mut requests = Vec::new();
        while let Some((_, intention)) = self.plans.pop_due(now_us) {
            requests.extend(self.carry_out(sim, intention));
            less(&sim.intentions);
        }
        requests
    }

    fn carry_out(&mut self, sim: &Sim, intention: Intention) -> Option<DeskRequest> {
        let request = match &intention {
            Intention::Accept { offer, .. } => {
                Request::AcceptOffer(AcceptOffer { offer_id: offer.clone() })
            }
            Intention::Reject { offer } => Request::RejectOffer(RejectOffer {
                offer_id: offer.clone(),
                reason: "busy".to_owned(),
            }),
            Intention::Reply { conversation, take_floor } => {
                let held = self.held.get_mut(conversation)?;
                held.reply_planned = false;
                let (chat, key) = (held.chat?, (Asker::Agent(self.agent), self.numbered + 1));
                let text = sim.with(|state, _| state.on_reply_asked(key, chat));
                Request::Send(SendMessage {
                    conversation_id: conversation.clone(),
                    content: Some(Content::Text(text)),
                    take_floor: *take_floor,
                    ..SendMessage::default()
                })
            }
            Intention::Resolve { conversation } => {
                let chat = self.held.get(conversation)?.chat?;
                sim.with(|state, now_us| state.on_resolve_asked(chat, now_us));
                Request::Resolve(Resolve {
                    conversation_id: conversation.clone(),
                    ..Default::default()
                })
            }
            Intention::BecomeAvailable => {
                Request::SetPresence(SetPresence { presence: Presence::Available.into() })
            }
            Intention::Repeat { number } => {
                let open = self.open.get(number)?;
                return Some(self.numbered(*number, open.request.clone()));
            }
        };
        Some(self.command(sim, request, intention))
    }

    /// The product answered a command.
    pub(super) fn on_result(&mut self, sim: &Sim, result: CommandResult) {
        let number = result.command_id.map_or(0, |id| id.number);
        let refusal = match &result.result {
            Some(Answer::Refused(refused)) => Some(refused.reason()),
            _ => None,
        };
        if refusal.is_some_and(is_not_the_last_word) {
            self.ask_again(sim, number);
            return;
        }
        let key = (Asker::Agent(self.agent), number);
        let fate = if refusal.is_some() { CommandFate::Refused } else { CommandFate::Done };
        // Also for an answer to a repeat: it must be the first answer again. "Too old" says nothing of what became of it.
        if refusal != Some(RefusalReason::CommandTooOld) {
            sim.with(|state, _| state.on_reply_answered(key, fate));
        }
        let Some(open) = self.open.remove(&number) else { return };
        less(&sim.commands_open);
        match (open.what, refusal) {
            (Intention::Accept { conversation, .. }, None) => {
                let chat = self.knows(&conversation);
                sim.with(|state, now_us| state.on_accepted(chat, open.asked_us, now_us));
            }
            (Intention::Reply { conversation, .. }, None) => {
                self.on_reply_taken(sim, &conversation)
            }
            (
                Intention::Reply { conversation, take_floor: false },
                Some(RefusalReason::PhoneHasFloor),
            ) => {
                self.plan_reply(sim, &conversation, true);
            }
            (Intention::Resolve { conversation }, refusal) => {
                self.on_resolve_answered(sim, &conversation, refusal);
            }
            _ => {}
        }
    }

    fn on_resolve_answered(
        &mut self,
        sim: &Sim,
        conversation: &str,
        refusal: Option<RefusalReason>,
    ) {
        self.held.remove(conversation);
        let (agent, count, chat) = (self.agent, self.held.len(), self.knows(conversation));
        // "Too old" does not say that it was not done.
        let done = refusal.is_none_or(|reason| reason == RefusalReason::CommandTooOld);
        sim.with(|state, now_us| state.on_resolve_answered(agent, count, chat, done, now_us));
    }

    /// The same command under the same id, for a while. After that its fate stays unknown.
    fn ask_again(&mut self, sim: &Sim, number: u64) {
        let Some(open) = self.open.get_mut(&number) else { return };
        open.repeats += 1;
        if open.repeats <= REPEATS_MAX {
            self.plan(sim, sim.clock.now_us() + REPEAT_US, Intention::Repeat { number });
        } else {
            self.open.remove(&number);
            less(&sim.commands_open);
        }
    }

    fn on_reply_taken(&mut self, sim: &Sim, conversation: &str) {
        let desk = &sim.scenario.desk;
        let (open, wait_us) =
            sim.with(|state, _| (!state.closing, state.around_us(desk.reply_think_ms)));
        let Some(held) = self.held.get_mut(conversation) else { return };
        held.replies += 1;
        // When customers have gone home, agents clear their desks.
        let enough = held.replies >= desk.resolve_after || !open;
        if enough && !std::mem::replace(&mut held.resolving, true) {
            let resolve = Intention::Resolve { conversation: conversation.to_owned() };
            self.plan(sim, sim.clock.now_us() + wait_us, resolve);
        }
    }

    /// When customers have gone home, agents resolve what is not about to be answered: it uses the room that others wait for.
    fn clear_desk(&mut self, sim: &Sim, now_us: u64) {
        if !sim.with(|state, _| state.closing) {
            return;
        }
        let answering = |conversation: &String| {
            self.open.values().any(|open| {
                matches!(&open.what, Intention::Reply { conversation: of, .. } if of == conversation)
            })
        };
        let idle = self.held.iter().filter(|(conversation, held)| {
            let busy = held.resolving || held.reply_planned || answering(conversation);
            held.chat.is_some() && !busy
        });
        let idle: Vec<String> = idle.map(|(conversation, _)| conversation.clone()).collect();
        for conversation in idle {
            if let Some(held) = self.held.get_mut(&conversation) {
                held.resolving = true;
            }
            self.plan(sim, now_us, Intention::Resolve { conversation });
        }
    }

    fn plan_reply(&mut self, sim: &Sim, conversation: &str, take_floor: bool) {
        let Some(held) = self.held.get_mut(conversation) else { return };
        if held.resolving || std::mem::replace(&mut held.reply_planned, true) {
            return;
        }
        let wait_us = sim.with(|state, _| state.around_us(sim.scenario.desk.reply_think_ms));
        let reply = Intention::Reply { conversation: conversation.to_owned(), take_floor };
        self.plan(sim, sim.clock.now_us() + wait_us, reply);
    }

    fn plan(&mut self, sim: &Sim, at_us: u64, intention: Intention) {
        more(&sim.intentions);
        self.plans.add(at_us, intention);
    }

    fn command(&mut self, sim: &Sim, request: Request, what: Intention) -> DeskRequest {
        self.numbered += 1;
        more(&sim.commands_open);
        let asked_us = sim.clock.now_us();
        self.open
            .insert(self.numbered, Open { asked_us, repeats: 0, request: request.clone(), what });
        self.numbered(self.numbered, request)
    }

    fn numbered(&self, number: u64, request: Request) -> DeskRequest {
        let command_id = Some(CommandId { client: self.client.clone(), number });
        DeskRequest { command_id, request: Some(request) }
    }
}

/// Refusals after which the same command is to be asked again.
fn is_not_the_last_word(reason: RefusalReason) -> bool {
    matches!(reason, RefusalReason::Unavailable | RefusalReason::StaleSession | RefusalReason::Busy)
}

/// A command that could not be answered in time is repeated after so long.
const REPEAT_US: u64 = 500_000;
const REPEATS_MAX: u32 = 60;

#[cfg(test)]
mod tests;
