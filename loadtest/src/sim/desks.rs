//! What the world notes when agents see and do things.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::Rng;

use crate::judge::{Asker, CommandFate, CommandKey, Wish};
use crate::world::{AgentId, BusinessId, ChatId};

use super::State;

/// An agent's desk, as the simulator sees it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Desk {
    signed_in: bool,
    /// Conversations the agent has.
    held: usize,
}

/// A message that a program asks for.
#[derive(Clone, Debug)]
pub(crate) struct Bulk {
    pub(crate) chat: ChatId,
    pub(crate) text: String,
}

impl State {
    /// An offer reached an agent's screen.
    pub(crate) fn on_offer(
        &mut self,
        agent: AgentId,
        chat: Option<ChatId>,
        conversation: &str,
        received_us: u64,
    ) {
        self.stats.offers += 1;
        self.ledger.offered(chat, conversation, received_us);
        let Some(chat) = chat else { return };
        if self.world.business_of(chat) != self.world.agents[agent].business {
            let example = || format!("{agent:?} was offered {chat:?}");
            self.ledger
                .violation("a conversation offered to an agent of another business", example);
        }
        let chosen = self.chats[chat].chosen.take();
        let posted_us = chosen.and_then(|report| self.outbox.reports[report].first_posted_us);
        if let Some(posted_us) = posted_us {
            self.stats.offer_us.record(received_us.saturating_sub(posted_us));
        }
    }

    /// The product confirmed an acceptance asked for at `asked_us`.
    pub(crate) fn on_accepted(&mut self, chat: Option<ChatId>, asked_us: u64, now_us: u64) {
        self.stats.accepted += 1;
        if let Some(chat) = chat {
            self.ledger.offer_accepted(chat, asked_us, now_us);
        }
    }

    /// An agent's stream was opened, or is over.
    pub(crate) fn on_signed_in(&mut self, agent: AgentId, signed_in: bool) {
        self.desks[agent].signed_in = signed_in;
    }

    /// The product gave an agent a conversation; with it the agent has `held`.
    pub(crate) fn on_given(
        &mut self,
        agent: AgentId,
        held: usize,
        chat: Option<ChatId>,
        conversation: &str,
        now_us: u64,
    ) {
        self.desks[agent].held = held;
        self.ledger.given(agent, chat, conversation, now_us);
    }

    /// A message appeared on an agent's screen.
    pub(crate) fn on_seen(&mut self, agent: AgentId, wamid: &str) {
        let of = self.ledger.by_wamid(wamid).map(|message| self.world.business_of(message.chat));
        if of.is_some_and(|business| business != self.world.agents[agent].business) {
            let example = || format!("{agent:?} was shown {wamid}");
            self.ledger.violation("a message shown to an agent of another business", example);
        }
    }

    /// A program will ask for a message to a customer who wrote lately: whom it chooses, and a text like no other.
    pub(crate) fn on_bulk_asked(&mut self, business: BusinessId, number: u64) -> Option<Bulk> {
        let world = Arc::clone(&self.world);
        let wrote = |chat: &ChatId| self.chats[*chat].last_inbound_us.is_some();
        let of = |chat: &ChatId| world.business_of(*chat) == business;
        let chats: Vec<ChatId> =
            world.customers.iter().map(|(chat, _)| chat).filter(of).filter(wrote).collect();
        let chat = *chats.get(self.rng.random_range(0..chats.len().max(1)))?;
        let text = format!("News for you. No {}.", self.next_text());
        self.ledger.reply_asked((Asker::Program(business), number), chat, text.clone());
        Some(Bulk { chat, text })
    }

    /// An agent will ask for a reply: gives its text, which is like no other.
    pub(crate) fn on_reply_asked(&mut self, key: CommandKey, chat: ChatId) -> String {
        let text = format!("Thank you, looking into it. Ref {}.", self.next_text());
        self.ledger.reply_asked(key, chat, text.clone());
        text
    }

    pub(crate) fn on_reply_answered(&mut self, key: CommandKey, fate: CommandFate) {
        self.ledger.reply_answered(key, fate);
    }

    /// An agent lost a conversation without having asked for it; `held` are left.
    pub(crate) fn on_desk_lost(
        &mut self,
        agent: AgentId,
        held: usize,
        chat: Option<ChatId>,
        now_us: u64,
    ) {
        self.desks[agent].held = held;
        if let Some(chat) = chat {
            self.ledger.desk_left(chat, now_us);
            self.ledger.let_go(agent, chat);
            self.on_resolved(chat);
        }
    }

    /// An agent's request to resolve has its last answer; `held` are left.
    pub(crate) fn on_resolve_answered(
        &mut self,
        agent: AgentId,
        held: usize,
        chat: Option<ChatId>,
        done: bool,
        now_us: u64,
    ) {
        self.desks[agent].held = held;
        if let Some(chat) = chat {
            self.ledger.let_go(agent, chat);
            if done {
                self.ledger.resolved(chat, now_us);
            }
        }
    }

    /// Whether an agent with the skills for what was chosen is signed in and has room for one more.
    pub(crate) fn has_room(&self, wish: &Wish) -> bool {
        let business = self.world.business_of(wish.chat);
        let keyword = &self.ledger.message(wish.choice).text;
        let mut queues = self.world.businesses[business].queues.iter();
        let Some(queue) = queues.find(|queue| queue.keyword == *keyword) else { return false };
        self.world.agents.iter().any(|(id, agent)| {
            let (desk, capacity) = (self.desks[id], usize::try_from(agent.capacity));
            agent.business == business
                && queue.skills.iter().all(|skill| agent.skills.contains(skill))
                && desk.signed_in
                && capacity.is_ok_and(|capacity| desk.held < capacity)
        })
    }

    pub(crate) fn on_resolve_asked(&mut self, chat: ChatId, now_us: u64) {
        self.ledger.desk_left(chat, now_us);
        self.on_resolved(chat);
    }
}

/// Counts up; the counterpart of `less`.
pub(crate) fn more(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Counts down.
pub(crate) fn less(counter: &AtomicUsize) {
    counter.fetch_sub(1, Ordering::Relaxed);
}
