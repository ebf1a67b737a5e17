//! What the world notes when agents see and do things.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::Rng;

use crate::judge::{Asker, CommandFate, CommandKey};
use crate::world::{AgentId, BusinessId, ChatId};

use super::State;

/// A message that a program asks for.
#[derive(Clone, Debug)]
pub(crate) struct Bulk {
    pub(crate) chat: ChatId,
    pub(crate) text: String,
}

impl State {
    /// An offer reached an agent's screen.
    pub(crate) fn on_offer(&mut self, agent: AgentId, chat: Option<ChatId>, received_us: u64) {
        self.stats.offers += 1;
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

    /// An agent lost a conversation without having asked for it.
    pub(crate) fn on_desk_lost(&mut self, chat: ChatId, now_us: u64) {
        self.ledger.desk_left(chat, now_us);
        self.on_resolved(chat);
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
