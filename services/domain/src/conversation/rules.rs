//! What configuration says about conversations of one number. Given to `decide`, never persisted.

use std::sync::Arc;

use crate::{AgentId, Millis, QueueId, flow::Flow};

/// A bot outside: a program that is asked for each turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExternalBot {
    /// When nothing came back for so long, its call was lost, ms: longer than any call can take.
    pub over_ms: Millis,
}

/// The rules of one number's conversations.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The bot outside; where it fails, the other bot takes over for the episode, or people.
    pub external: Option<ExternalBot>,
    /// The bot; absent: every need goes to people at once.
    pub bot: Option<Arc<Flow>>,
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
    /// A customer's edit opens the window. Not documented either; a deletion never does.
    pub edit_opens_window: bool,
    /// A requested send lapses after this, ms.
    pub send_not_after_ms: Millis,
}

impl Rules {
    /// The defaults of design.md section 5, without a bot.
    #[must_use]
    pub fn new(default_queue: QueueId) -> Self {
        Self {
            external: None,
            bot: None,
            default_queue,
            phone_owner: None,
            window_ms: 24 * 3_600_000,
            phone_answer_timeout_ms: 600_000,
            phone_floor_timeout_ms: 1_800_000,
            join_timeout_ms: 5_000,
            compare_every_ms: 300_000,
            reaction_opens_window: false,
            edit_opens_window: false,
            send_not_after_ms: 600_000,
        }
    }
}
