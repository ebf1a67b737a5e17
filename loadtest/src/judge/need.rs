//! Nobody who asked for a person is forgotten: at rest an agent has had each of them, or the product says why not yet.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::{AgentId, BusinessId, ChatId, World};

use super::Thread;
use super::ledger::{Ledger, Message, MessageId, Origin};

/// What became of a customer's wish for a person.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Need {
    /// The message that said it; the newest counts.
    choice: Option<MessageId>,
    /// An agent saw an offer of the conversation last then.
    offered_us: Option<u64>,
    /// Who has the conversation, as the product told this agent.
    has: Option<AgentId>,
    /// An agent was given the conversation, or had finished it, last then.
    cared_us: Option<u64>,
}

impl Need {
    pub(super) fn cared(&mut self, now_us: u64) {
        self.cared_us = Some(now_us);
    }
}

/// Somebody who chose to speak to a person, whom no agent has had since, and whom no phone answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) chat: ChatId,
    pub(crate) choice: MessageId,
    pub(crate) at_us: u64,
    pub(crate) acked_us: u64,
    /// An agent saw an offer since.
    pub(crate) offered: bool,
}

/// An entry of the product's list of who waits for an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The business whose credentials read it.
    pub(crate) reader: BusinessId,
    pub(crate) conversation: String,
    pub(crate) reason: WaitReason,
}

/// Why somebody waits, as the product tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitReason {
    /// It tells nothing.
    Untold,
    /// Offered, kept for somebody, about to be offered: it has an end, and is no rest.
    Passing,
    /// Who could is away, which only the product knows.
    Away,
    /// There is no agent who could, or all who could are full.
    Nobody,
}

/// What is held against the product at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Neglect {
    pub(crate) kind: &'static str,
    pub(crate) example: String,
}

/// Who chose and waits, at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unmet {
    /// Listed with a reason that passes by itself.
    pub(crate) passing: usize,
    pub(crate) neglected: Vec<Neglect>,
}

impl Ledger {
    /// The customer chose to speak to a person.
    pub(crate) fn chose(&mut self, chat: ChatId, choice: MessageId) {
        self.needs[chat].choice = Some(choice);
    }

    /// An agent saw an offer. Where the chat could not be found out, the conversation is noted.
    pub(crate) fn offered(&mut self, chat: Option<ChatId>, conversation: &str, now_us: u64) {
        self.moves += 1;
        match chat {
            Some(chat) => self.needs[chat].offered_us = Some(now_us),
            None => drop(self.unplaced.insert(conversation.to_owned(), now_us)),
        }
    }

    /// An agent was told that it has a conversation.
    pub(crate) fn given(
        &mut self,
        agent: AgentId,
        chat: Option<ChatId>,
        conversation: &str,
        now_us: u64,
    ) {
        self.moves += 1;
        match chat {
            Some(chat) => {
                self.needs[chat].has = Some(agent);
                self.needs[chat].cared(now_us);
            }
            None => drop(self.unplaced.insert(conversation.to_owned(), now_us)),
        }
    }

    /// An agent no longer has a conversation. What its customer chose meanwhile is to be offered again.
    pub(crate) fn let_go(&mut self, agent: AgentId, chat: ChatId) {
        self.moves += 1;
        let need = &mut self.needs[chat];
        need.has = need.has.filter(|has| *has != agent);
    }

    /// An episode was resolved, before this became known at `now_us`: with all that its customer had written by then.
    pub(crate) fn resolved(&mut self, chat: ChatId, now_us: u64) {
        self.moves += 1;
        self.needs[chat].cared(now_us);
    }

    /// Whose choice the product acknowledged, and nobody cares for them.
    pub(crate) fn wishes(&self, now_us: u64) -> Vec<Wish> {
        let mut wishes: Vec<Wish> =
            self.needs.iter().filter_map(|(chat, need)| self.wish(chat, need)).collect();
        let chats: BTreeSet<ChatId> = wishes.iter().map(|wish| wish.chat).collect();
        let phones = self.phones(&chats);
        wishes.retain(|wish| {
            let phone = phones.get(&wish.chat);
            phone.is_none_or(|phone| !self.is_the_phones(*wish, phone, now_us))
        });
        wishes
    }

    fn wish(&self, chat: ChatId, need: &Need) -> Option<Wish> {
        let choice = need.choice?;
        let message = &self.messages[choice];
        let (at_us, acked_us) = (message.at_us, message.acked_us?);
        let since = |us: Option<u64>| us.is_some_and(|us| us >= at_us);
        let wanting = need.has.is_none() && !since(need.cared_us);
        let offered = since(need.offered_us);
        wanting.then_some(Wish { chat, choice, at_us, acked_us, offered })
    }

    /// The last message of the phone in each of these chats that the product acknowledged.
    fn phones(&self, chats: &BTreeSet<ChatId>) -> BTreeMap<ChatId, &Message> {
        let messages = self.messages.iter().map(|(_, message)| message);
        let told = messages.filter(|message| {
            message.origin == Origin::Phone
                && message.acked_us.is_some()
                && chats.contains(&message.chat)
        });
        told.map(|message| (message.chat, message)).collect()
    }

    /// The phone answered after the choice; or it had the floor then, and still has time to answer. Of one second nobody knows
    /// who spoke first.
    fn is_the_phones(&self, wish: Wish, phone: &Message, now_us: u64) -> bool {
        if phone.ts_s > self.messages[wish.choice].ts_s {
            return true;
        }
        let messages = self.messages.iter().map(|(_, message)| message);
        let first = messages
            .filter(|message| message.chat == wish.chat && message.origin == Origin::Customer)
            .find(|message| message.ts_s >= phone.ts_s);
        let late_us = self.rules.timers_late_ms * 1_000;
        first.is_some_and(|first| {
            let held = first.at_us < phone.at_us + self.phone_silence_us + late_us;
            held && now_us < first.at_us + self.phone_answer_us + late_us
        })
    }

    /// What the product's list of who waits says of them, given its threads, and for whom an agent has room.
    pub(crate) fn unmet(
        &self,
        world: &World,
        wishes: &[Wish],
        read: (&[Thread], &[Waiting]),
        has_room: impl Fn(&Wish) -> bool,
    ) -> Unmet {
        let (threads, waiting) = read;
        let placed = |thread: &Thread| Some((thread.chat(world)?, thread.conversation.clone()));
        let conversations: BTreeSet<(ChatId, String)> = threads.iter().filter_map(placed).collect();
        let is_of = |wish: &Wish, conversation: &str| {
            conversations.contains(&(wish.chat, conversation.to_owned()))
        };
        let cared = |wish: &Wish| {
            let mut since = self.unplaced.iter().filter(|(_, us)| **us >= wish.at_us);
            since.any(|(conversation, _)| is_of(wish, conversation))
        };
        let mut unmet = Unmet::default();
        for wish in wishes.iter().filter(|wish| !cared(wish)) {
            let business = world.business_of(wish.chat);
            let mut listed = waiting.iter().filter(|item| item.reader == business);
            let reason = listed.find(|item| is_of(wish, &item.conversation)).map(|i| i.reason);
            unmet.passing += usize::from(reason == Some(WaitReason::Passing));
            if let Some(kind) = neglect(wish, reason, &has_room) {
                let (chat, acked_ms) = (wish.chat, wish.acked_us / 1_000);
                let wamid = &self.messages[wish.choice].wamid;
                let example = format!("{chat:?}: {wamid} acknowledged at {acked_ms} ms");
                unmet.neglected.push(Neglect { kind, example });
            }
        }
        unmet
    }
}

/// What is wrong with the reason for which somebody waits, or with there being none.
fn neglect(
    wish: &Wish,
    reason: Option<WaitReason>,
    has_room: impl Fn(&Wish) -> bool,
) -> Option<&'static str> {
    match reason {
        None if wish.offered => Some("an offered item that nobody took and that does not wait"),
        None => Some("an item nobody was offered"),
        Some(WaitReason::Untold) => Some("an item that waits without a reason"),
        Some(WaitReason::Nobody) => {
            has_room(wish).then_some("an item that waits though an agent has room")
        }
        Some(WaitReason::Away | WaitReason::Passing) => None,
    }
}

#[cfg(test)]
mod tests;
