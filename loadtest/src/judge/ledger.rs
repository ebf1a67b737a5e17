//! What really happened: every message in every customer's chat, what was acknowledged of it, and what agents asked for.

use std::collections::BTreeMap;

use crate::scenario::ProductSettings;
use crate::table::{Table, key};
use crate::world::{AgentId, BusinessId, ChatId, World};

use super::finding::{Findings, Verdict};
use super::floor::{Floor, Patience, PhoneTimers};
use super::need::Need;
use super::{JudgeRules, SendState};

key!(
    /// A message in a customer's chat.
    MessageId
);

/// Who asks the product for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asker {
    Agent(AgentId),
    /// A program of the business, which sends in bulk.
    Program(BusinessId),
}

/// A command as the product knows it: who and the client's number for it.
pub(crate) type CommandKey = (Asker, u64);

/// Where a message of a chat came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Customer,
    Phone,
    Api { opaque: Option<String>, speech: Speech },
}

/// Who speaks through the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    Bot,
    Asked(CommandKey),
}

/// A message that is in the customer's chat.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) chat: ChatId,
    pub(crate) wamid: String,
    pub(crate) ts_s: i64,
    pub(crate) at_us: u64,
    pub(crate) origin: Origin,
    /// Whether the product is bound to show `text` as it is (texts and captions; not the words of a location).
    pub(crate) plain: bool,
    pub(crate) text: String,
    /// The product answered 200 to the webhook that carried it (customer and phone messages).
    pub(crate) acked_us: Option<u64>,
    /// The highest status the product acknowledged, and when the first one (API messages).
    pub(crate) progress: Option<Progress>,
    pub(crate) first_status_acked_us: Option<u64>,
    /// The simulator kept the answer back; and the statuses too.
    pub(crate) answer_withheld: bool,
    pub(crate) status_held: bool,
    /// It repeats another one allowedly, or is repeated so.
    pub(crate) excused: bool,
}

/// A status that left for the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Progress {
    Sent,
    Delivered,
    Read,
    Failed,
}

impl Progress {
    pub(crate) fn as_state(self) -> SendState {
        match self {
            Self::Sent => SendState::Sent,
            Self::Delivered => SendState::Delivered,
            Self::Read => SendState::Read,
            Self::Failed => SendState::Failed,
        }
    }
}

/// A message of the customer or of the phone.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) chat: ChatId,
    pub(crate) wamid: String,
    pub(crate) ts_s: i64,
    pub(crate) at_us: u64,
    pub(crate) plain: bool,
    pub(crate) text: String,
}

/// An API send that Meta accepted.
#[derive(Clone, Debug)]
pub(crate) struct SendFacts {
    pub(crate) arrival: Arrival,
    pub(crate) opaque: Option<String>,
    pub(crate) answer_withheld: bool,
    pub(crate) status_held: bool,
}

/// What became of a command, as the product told who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandFate {
    Unanswered,
    Done,
    Refused,
}

/// What an agent or a program asked for.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) chat: ChatId,
    pub(crate) text: String,
    pub(crate) fate: CommandFate,
    pub(crate) delivered: Vec<MessageId>,
}

/// The judge's truth.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(super) rules: JudgeRules,
    pub(super) messages: Table<MessageId, Message>,
    pub(super) by_wamid: BTreeMap<String, MessageId>,
    pub(super) undelivered: BTreeMap<String, ChatId>,
    pub(super) replies: BTreeMap<CommandKey, Reply>,
    pub(super) by_text: BTreeMap<String, CommandKey>,
    pub(super) by_opaque: BTreeMap<(BusinessId, String), Vec<MessageId>>,
    pub(super) floors: Table<ChatId, Floor>,
    pub(super) needs: Table<ChatId, Need>,
    /// Conversations whose chat could not be found out: when an agent last saw an offer of them, or was given them.
    pub(super) unplaced: BTreeMap<String, u64>,
    pub(super) findings: Findings,
    pub(super) patience: Patience,
    pub(super) timers: PhoneTimers,
    pub(super) phone_answer_us: u64,
    pub(super) phone_silence_us: u64,
    pub(super) moves: u64,
}

impl Ledger {
    pub(crate) fn new(rules: JudgeRules, product: &ProductSettings, world: &World) -> Self {
        let (answer_ms, silence_ms) =
            (product.phone_answer_timeout_ms, product.phone_floor_timeout_ms);
        let patience = Patience::new(&rules);
        Self {
            rules,
            messages: Table::new(),
            by_wamid: BTreeMap::new(),
            undelivered: BTreeMap::new(),
            replies: BTreeMap::new(),
            by_text: BTreeMap::new(),
            by_opaque: BTreeMap::new(),
            floors: world.customers.iter().map(|_| Floor::default()).collect(),
            needs: world.customers.iter().map(|_| Need::default()).collect(),
            unplaced: BTreeMap::new(),
            findings: Findings::default(),
            patience,
            timers: PhoneTimers::new(answer_ms, silence_ms),
            phone_answer_us: answer_ms * 1_000,
            phone_silence_us: silence_ms * 1_000,
            moves: 0,
        }
    }

    /// Grows with everything that a thread must show from then on.
    pub(crate) fn moves(&self) -> u64 {
        self.moves
    }

    pub(crate) fn customer_wrote(&mut self, arrival: Arrival) -> MessageId {
        self.record(arrival, Origin::Customer)
    }

    pub(crate) fn phone_wrote(&mut self, arrival: Arrival) -> MessageId {
        self.record(arrival, Origin::Phone)
    }

    /// A webhook with this message is posted for the first time.
    pub(crate) fn posted(&mut self, id: MessageId, now_us: u64) {
        let message = &self.messages[id];
        if message.origin == Origin::Customer {
            self.floors[message.chat].posted(now_us, self.timers);
        }
    }

    /// The product answered 200 to a webhook with this message.
    pub(crate) fn arrival_acked(&mut self, id: MessageId, now_us: u64) {
        let message = &mut self.messages[id];
        if message.acked_us.is_some() {
            return;
        }
        message.acked_us = Some(now_us);
        self.moves += 1;
        let (chat, ts_s, at_us) = (message.chat, message.ts_s, message.at_us);
        match message.origin {
            Origin::Customer => self.floors[chat].acked(),
            // A taking binds the product from when it has been told of it.
            Origin::Phone => self.floors[chat].phone(ts_s, at_us, now_us),
            Origin::Api { .. } => {}
        }
    }

    /// The product answered 200 to a webhook with this status.
    pub(crate) fn status_acked(&mut self, id: MessageId, progress: Progress, now_us: u64) {
        self.moves += 1;
        let message = &mut self.messages[id];
        message.first_status_acked_us.get_or_insert(now_us);
        message.progress = Some(message.progress.map_or(progress, |before| before.max(progress)));
    }

    /// Somebody is about to ask for a message with this unique text.
    pub(crate) fn reply_asked(&mut self, key: CommandKey, chat: ChatId, text: String) {
        self.by_text.insert(text.clone(), key);
        let reply = Reply { chat, text, fate: CommandFate::Unanswered, delivered: Vec::new() };
        self.replies.insert(key, reply);
    }

    /// The product answered whoever asked. A first answer stands.
    pub(crate) fn reply_answered(&mut self, key: CommandKey, fate: CommandFate) {
        self.moves += 1;
        if let Some(reply) = self.replies.get_mut(&key) {
            if reply.fate == CommandFate::Unanswered {
                reply.fate = fate;
            } else if reply.fate != fate {
                let example = || format!("command {} of {:?}: {fate:?}", key.1, key.0);
                self.findings.add(
                    Verdict::Violation,
                    "a repeated command got another answer",
                    example,
                );
            }
        }
    }

    pub(crate) fn offer_accepted(&mut self, chat: ChatId, asked_us: u64, now_us: u64) {
        self.floors[chat].desk(asked_us, now_us);
        self.needs[chat].cared(now_us);
    }

    /// An agent asked to resolve, or lost the conversation: from here on the bot may speak.
    pub(crate) fn desk_left(&mut self, chat: ChatId, now_us: u64) {
        self.floors[chat].left(now_us);
    }

    /// The product was replaced: what it had acknowledged may be decided late.
    pub(crate) fn replaced(&mut self, now_us: u64) {
        self.floors.iter_mut().for_each(|(_, floor)| floor.disturbed(now_us));
    }

    /// A POST about these chats failed.
    pub(crate) fn post_failed(&mut self, chats: impl IntoIterator<Item = ChatId>, now_us: u64) {
        chats.into_iter().for_each(|chat| self.floors[chat].disturbed(now_us));
    }

    /// A violation seen as it happens.
    pub(crate) fn violation(&mut self, kind: &'static str, example: impl FnOnce() -> String) {
        self.findings.add(Verdict::Violation, kind, example);
    }

    /// Every message, in the order in which they happened.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (MessageId, &Message)> {
        self.messages.iter()
    }

    pub(crate) fn message(&self, id: MessageId) -> &Message {
        &self.messages[id]
    }

    pub(crate) fn by_wamid(&self, wamid: &str) -> Option<&Message> {
        self.by_wamid.get(wamid).map(|id| &self.messages[*id])
    }

    pub(crate) fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Meta took a send that will never reach the customer: its id exists, no chat has it.
    pub(crate) fn send_undelivered(&mut self, wamid: String, chat: ChatId) {
        self.moves += 1;
        self.undelivered.insert(wamid, chat);
    }

    /// Sends whose delivery the product was told of.
    pub(crate) fn delivered(&self) -> usize {
        let told = |message: &&Message| {
            matches!(message.progress, Some(Progress::Delivered | Progress::Read))
        };
        self.messages.iter().map(|(_, message)| message).filter(told).count()
    }

    pub(super) fn record(&mut self, arrival: Arrival, origin: Origin) -> MessageId {
        let Arrival { chat, wamid, ts_s, at_us, plain, text } = arrival;
        let timers = self.timers;
        // What a program sends answers nobody and breaks no silence.
        let by_program =
            matches!(origin, Origin::Api { speech: Speech::Asked((Asker::Program(_), _)), .. });
        if !by_program {
            self.floors[chat].word(origin == Origin::Customer, at_us, timers);
        }
        self.moves += 1;
        let id = self.messages.push(Message {
            chat,
            wamid: wamid.clone(),
            ts_s,
            at_us,
            origin,
            plain,
            text,
            acked_us: None,
            progress: None,
            first_status_acked_us: None,
            answer_withheld: false,
            status_held: false,
            excused: false,
        });
        self.by_wamid.insert(wamid, id);
        id
    }
}
