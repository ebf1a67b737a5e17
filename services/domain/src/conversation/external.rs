//! An external bot: a program outside that decides the bot's turns, asked by a call.
//!
//! Its answer counts as a whole, once, and only while the turn it was asked for is the conversation's turn: whatever
//! the customer says next, or whoever else takes the floor, makes it stale. What nobody has answered goes along with
//! the next turn. Where it fails, the other bot takes over for the episode, or people.

use serde::{Deserialize, Serialize};

use super::{ConversationEvent, Floor, Inbound, Opened, decide::Step, state::Conversation};
use crate::{
    EntityId, MessageId, Millis, Sealed,
    content::{Content, ContentKind},
    effect::{BotCall, BotKey},
    flow::{Answer, HandOff, Heard, Outcome, Why},
    persist,
};

/// How often a turn is asked for: the second time where the first call is known, or must be taken, to be lost.
const ATTEMPTS_MAX: u32 = 2;
/// Messages that a turn is told of: the newest.
const HEARD_MAX: usize = 8;
/// Their content together, bytes: they stand in the state. Older ones are left out first.
const HEARD_BYTES_MAX: usize = 3 * 1024;
/// Content of one message, bytes; a larger one is shortened.
const ONE_BYTES_MAX: usize = 1_536;
/// What is left of the text of such a message, bytes.
const TEXT_BYTES_MAX: usize = 1_200;

/// Something the customer said, as an external bot is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeardMessage {
    /// The message.
    pub message: MessageId,
    /// Kind of content.
    pub kind: ContentKind,
    /// [`Content`].
    pub content: Sealed,
    /// Meta timestamp.
    pub at_ms: Millis,
    /// It was too large to go along as it is: the beginning of its text is left. All of it is in the thread.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shortened: bool,
}

/// What came of asking an external bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BotResult {
    /// It answered in full.
    Answered(Answer),
    /// It did not, and asking again is of no use.
    Failed(BotFault),
    /// It was certainly not asked.
    NotStarted,
}

/// Why an external bot did not do its work. Also a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BotFault {
    /// No complete answer within the deadline.
    Deadline,
    /// It could not be reached within the deadline.
    Unreachable,
    /// It answered with an error status.
    Refused,
    /// What it said cannot be carried out.
    Unusable,
    /// Too many turns were under way.
    Busy,
    /// None is configured any more.
    NotConfigured,
    /// Its call could not start, or nothing came back.
    Lost,
}

impl BotFault {
    /// A short word for people and labels.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Unusable => "unusable",
            Self::Busy => "busy",
            Self::NotConfigured => "not_configured",
            Self::Lost => "lost",
        }
    }
}

/// A turn that the bot is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Awaited {
    pub(super) turn: u64,
    pub(super) attempt: u32,
    pub(super) due_ms: Millis,
}

/// What an external bot is asked in this episode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct External {
    /// Present exactly while an answer for the current turn counts.
    pub(super) awaited: Option<Awaited>,
    /// What the turn is about, oldest first.
    pub(super) heard: Vec<HeardMessage>,
    /// The bot has answered it, as far as it knows.
    pub(super) answered: bool,
    /// It is not asked again in this episode.
    pub(super) failed: bool,
}

impl External {
    /// Nothing is known of it: the usual case, without a form in the state.
    pub(super) fn is_idle(&self) -> bool {
        *self == Self::default()
    }

    /// Something waits for its answer.
    pub(super) fn is_open(&self) -> bool {
        self.awaited.is_some() || (!self.heard.is_empty() && !self.answered)
    }

    pub(super) fn apply(&mut self, event: &ConversationEvent) {
        use ConversationEvent as E;
        match event {
            E::BotHeard { message } => {
                self.awaited = None;
                self.hear(message.clone());
            }
            E::BotAsked { turn, attempt, due_ms } => {
                let (turn, attempt, due_ms) = (*turn, *attempt, *due_ms);
                self.awaited = Some(Awaited { turn, attempt, due_ms });
                self.answered = false;
            }
            E::BotAnswered { .. } => {
                self.awaited = None;
                self.answered = true;
            }
            E::BotFailed { .. } => *self = Self { failed: true, ..Self::default() },
            E::TurnTaken { .. } => self.awaited = None,
            E::FloorChanged { floor, .. } if !matches!(floor, Floor::Bot { .. }) => {
                self.awaited = None;
            }
            // People are to answer. (An answer on the phone may turn out to be an automatic one.)
            E::ItemWanted { .. } => self.heard.clear(),
            E::EpisodeOpened { .. } | E::EpisodeResolved { .. } => *self = Self::default(),
            _ => {}
        }
    }

    /// Another conversation of the same customer becomes part of this one. What it was asked is asked anew.
    pub(super) fn absorb(&mut self, lower: Self) {
        self.failed |= lower.failed;
        if !lower.answered {
            lower.heard.into_iter().for_each(|message| self.hear(message));
        }
    }

    fn hear(&mut self, message: HeardMessage) {
        if std::mem::take(&mut self.answered) {
            self.heard.clear();
        }
        if self.heard.iter().any(|known| known.message == message.message) {
            return;
        }
        let later =
            |known: &HeardMessage| (known.at_ms, known.message) <= (message.at_ms, message.message);
        let place = self.heard.iter().take_while(|known| later(known)).count();
        self.heard.insert(place, message);
        while self.heard.len() > HEARD_MAX || self.heard_bytes() > HEARD_BYTES_MAX {
            self.heard.remove(0);
        }
    }

    fn heard_bytes(&self) -> usize {
        self.heard.iter().map(|heard| heard.content.bytes.len()).sum()
    }
}

impl Conversation {
    /// The attempt of the external bot's turn that is awaited.
    #[must_use]
    pub fn awaited_turn(&self, me: EntityId) -> Option<BotKey> {
        self.core.external.awaited.map(|awaited| key_of(me, awaited))
    }
}

fn key_of(me: EntityId, Awaited { turn, attempt, .. }: Awaited) -> BotKey {
    BotKey { conversation: me.hash, turn, attempt }
}

impl Step<'_> {
    /// Whether an external bot decides the turns.
    pub(super) fn is_external(&self) -> bool {
        self.rules.external.is_some() && !self.core.external.failed
    }

    /// Keeps what the customer says for the next turn, unless people have the conversation already.
    pub(super) fn keep_for_external(&mut self, inbound: &Inbound, opened: &Opened, at_ms: Millis) {
        let people = matches!(self.core.floor, Floor::Desk { .. }) || self.core.item.is_some();
        if !self.is_external() || people {
            return;
        }
        self.drop_awaited();
        let shortened = inbound.content.bytes.len() > ONE_BYTES_MAX;
        let content = if shortened { self.shorten(opened) } else { inbound.content.clone() };
        let (message, kind) = (inbound.message, inbound.kind.clone());
        let message = HeardMessage { message, kind, content, at_ms, shortened };
        self.emit(ConversationEvent::BotHeard { message });
    }

    fn shorten(&mut self, opened: &Opened) -> Sealed {
        let text = opened.text.as_deref();
        let text = text.map(|it| it.get(..it.floor_char_boundary(TEXT_BYTES_MAX)));
        let text = text.flatten().map(str::to_owned);
        self.seal(&Content { text, choice: opened.choice.clone(), ..Content::default() })
    }

    /// A new turn: the bot is told what nobody has answered.
    pub(super) fn ask_external(&mut self) {
        if !self.window_is_open() || !self.may_request() {
            return self.give_up();
        }
        self.take_back_bot();
        let turn = self.begin_turn(0);
        self.ask(turn, 1);
    }

    fn ask(&mut self, turn: u64, attempt: u32) {
        let (Some(rules), Some(contact)) = (self.rules.external, &self.core.contact) else {
            return self.fail(turn, BotFault::NotConfigured);
        };
        let (number, who) = (contact.via.number, contact.who.clone());
        let due_ms = self.now_ms.saturating_add(rules.over_ms);
        self.emit(ConversationEvent::BotAsked { turn, attempt, due_ms });
        let key = key_of(self.me, Awaited { turn, attempt, due_ms });
        let heard = self.core.external.heard.clone();
        self.out.bot_calls.push(BotCall { key, number, who, heard });
    }

    fn ask_once_more(&mut self, Awaited { turn, attempt, .. }: Awaited) {
        self.drop_awaited();
        if attempt < ATTEMPTS_MAX {
            self.ask(turn, attempt.saturating_add(1));
        } else {
            self.fail(turn, BotFault::Lost);
        }
    }

    /// The call under way, if any, need not start any more. Whoever calls this records why.
    pub(super) fn drop_awaited(&mut self) {
        if let Some(awaited) = self.core.external.awaited {
            self.out.bot_cancels.push(key_of(self.me, awaited));
        }
    }

    /// The other bot takes over with the customer's last words, or people do.
    fn fail(&mut self, turn: u64, why: BotFault) {
        let said = self.last_words();
        self.emit(ConversationEvent::BotFailed { turn, why });
        if self.rules.bot.is_none() {
            let failed = HandOff { why: Why::Failed, ..HandOff::default() };
            return self.hand_off(&failed, &[]);
        }
        self.said = said;
        self.ask_first();
    }

    fn last_words(&self) -> Option<Heard> {
        let heard = self.core.external.heard.last()?;
        let plain = self.sealing.open(&heard.content)?;
        let content: Content = persist::decode(&plain).ok()?;
        let (text, choice) = (content.text, content.choice);
        Some(Heard { text, choice, kind: heard.kind.beyond_words(), early: false })
    }
}

/// The bot answered, or it did not. What is not for the current turn is dropped.
pub(super) fn on_result(step: &mut Step<'_>, key: BotKey, result: &BotResult) {
    let awaited = step
        .core
        .external
        .awaited
        .filter(|awaited| (step.me.hash, awaited.turn) == (key.conversation, key.turn));
    let Some(awaited) = awaited else { return };
    match result {
        // Of whichever attempt: it is the same question.
        BotResult::Answered(answer) => answered(step, key.turn, answer),
        // Another attempt is under way.
        _ if awaited.attempt != key.attempt => {}
        BotResult::Failed(why) => step.fail(key.turn, *why),
        BotResult::NotStarted => step.ask_once_more(awaited),
    }
}

fn answered(step: &mut Step<'_>, turn: u64, answer: &Answer) {
    if answer.outcome == Outcome::Wait && answer.replies.is_empty() {
        return step.fail(turn, BotFault::Unusable); // The customer would wait for ever.
    }
    step.drop_awaited();
    step.emit(ConversationEvent::BotAnswered { turn });
    step.carry_out(answer);
}

/// Nothing came back in time, not even that there is nothing: the call was lost with its process.
pub(super) fn on_time(step: &mut Step<'_>) {
    let awaited = step.core.external.awaited.filter(|awaited| awaited.due_ms <= step.now_ms);
    if let Some(awaited) = awaited {
        step.ask_once_more(awaited);
    }
}
