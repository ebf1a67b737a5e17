//! What configuration says about conversations of one number. Given to `decide`, never persisted.

use crate::{AgentId, Millis, QueueId, Sealed};

/// A text of the configuration, sealed once at start: sealing draws randomness, which `decide` must not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedText {
    /// The text.
    pub plain: String,
    /// The same as sealed [`Content`](crate::content::Content).
    pub sealed: Sealed,
}

/// One choice of the bot's question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuOption {
    /// Title as the customer reads it; answering with it, or with the option's place in the list, chooses it.
    pub title: String,
    /// Words, or word sequences, anywhere in the answer that choose it too.
    pub keywords: Vec<String>,
    /// Queue it leads to.
    pub queue: QueueId,
}

/// The one-question triage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotRules {
    /// The question, with its options spelled out.
    pub question: SealedText,
    /// The choices, in the order of their numbers.
    pub options: Vec<MenuOption>,
    /// Words by which a customer asks for a person ("agent", "human", "人"); lead to the default queue.
    pub human_keywords: Vec<String>,
    /// Said when people take over; nothing is said when absent.
    pub handoff_text: Option<SealedText>,
    /// Said when an answer matches nothing, with the options spelled out.
    pub fallback_text: SealedText,
    /// The fallback is said so many times; the next answer that matches nothing hands over to people.
    pub misses_max: u32,
}

/// The rules of one number's conversations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The bot; absent: every need goes to people at once.
    pub bot: Option<BotRules>,
    /// Queue of whatever has no other.
    pub default_queue: QueueId,
    /// Agent who answers on the phone, when the number names one.
    pub phone_owner: Option<AgentId>,
    /// Length of the customer service window (whatsapp.md 5.3), ms.
    pub window_ms: Millis,
    /// How long the phone may leave a customer's message unanswered, ms.
    pub phone_answer_timeout_ms: Millis,
    /// Silence on both sides after which the phone no longer has the floor, ms.
    pub phone_floor_timeout_ms: Millis,
    /// How long the answer of a lower address is waited for, ms.
    pub join_timeout_ms: Millis,
    /// How often an open item is compared with the workspace, ms.
    pub compare_every_ms: Millis,
    /// A customer's reaction opens the window. Not documented by Meta (whatsapp.md 5.3); off until observed.
    pub reaction_opens_window: bool,
    /// A requested send lapses after this, ms.
    pub send_not_after_ms: Millis,
}

impl Rules {
    /// The defaults of design.md section 5, without a bot.
    #[must_use]
    pub fn new(default_queue: QueueId) -> Self {
        Self {
            bot: None,
            default_queue,
            phone_owner: None,
            window_ms: 24 * 3_600_000,
            phone_answer_timeout_ms: 600_000,
            phone_floor_timeout_ms: 1_800_000,
            join_timeout_ms: 5_000,
            compare_every_ms: 300_000,
            reaction_opens_window: false,
            send_not_after_ms: 600_000,
        }
    }
}
