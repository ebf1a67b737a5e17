//! The state of a conversation or address: one part, at most 64 KiB whatever happens.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Author, BotPlace, Brief, ConversationEvent, ConversationTimer, Floor, Via, answers::Answers,
    billing::Billing, dedupe::Dedupe, external::External, statuses::Recents,
};
use crate::{
    AgentId, EntityId, ItemId, MessageId, Millis, QueueId, RequestId, Sealed,
    content::ContentKind,
    workspace::{AgentSince, RoutingHints},
};

/// Sends without an outcome that a conversation holds before it refuses more: at Meta's pair rate of one message
/// in 6 s, minutes of work.
pub(super) const PENDING_MAX: usize = 32;
/// Lower addresses remembered: phones of one customer over the years.
const LOWERS_MAX: usize = 8;
/// Echoes of one phone hold that may still turn out automatic (a greeting and an away message, with room).
const CAUSES_MAX: usize = 4;
/// Sends that answer one wait and are watched for failure.
const ANSWERING_MAX: usize = 8;

/// A conversation, or an address that forwards to one. The default is an address nothing is known of.
///
/// Saved as one part, named [`Conversation::PART`], with [`crate::persist`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conversation {
    pub(super) core: Core,
    pub(super) dedupe: Dedupe,
    pub(super) answers: Answers,
}

impl Conversation {
    /// Name of its only part.
    pub const PART: &'static str = "conversation";

    /// Applies one event. Total: it never fails and never decides.
    pub fn apply(&mut self, event: &ConversationEvent) {
        match event {
            ConversationEvent::KeySeen { key, at_ms } => self.dedupe.insert(*key, *at_ms),
            ConversationEvent::CommandAnswered { id, answer } => {
                self.answers.remember(*id, answer.clone());
            }
            ConversationEvent::Absorbed { state, .. } => {
                if let Ok(lower) = crate::persist::decode::<Self>(state) {
                    self.dedupe.absorb(&lower.dedupe);
                    self.answers.absorb(lower.answers);
                }
            }
            // The first handed everything over; a later one only points elsewhere.
            ConversationEvent::Forwarding { .. } => {
                self.dedupe = Dedupe::default();
                self.answers = Answers::default();
            }
            _ => {}
        }
        self.core.apply(event);
    }

    /// When it wants to be woken next.
    #[must_use]
    pub fn wake_ms(&self) -> Option<Millis> {
        let awaited_ms = self.core.external.awaited.map(|awaited| awaited.due_ms);
        self.core.timers.values().copied().chain(awaited_ms).min()
    }

    /// The number it belongs to, once anything came in.
    #[must_use]
    pub fn number(&self) -> Option<EntityId> {
        self.core.contact.as_ref().map(|contact| contact.via.number)
    }

    /// Who may speak now.
    #[must_use]
    pub fn floor(&self) -> &Floor {
        &self.core.floor
    }

    /// The customer service window is open until then; 0 when it was never open.
    #[must_use]
    pub fn window_until_ms(&self) -> Millis {
        self.core.window_until_ms
    }

    /// Where this address forwards to, when it does.
    #[must_use]
    pub fn forwards_to(&self) -> Option<EntityId> {
        self.core.forward.map(|forward| forward.to)
    }

    /// Since when the customer waits for an answer (Meta timestamp).
    #[must_use]
    pub fn waiting_since_ms(&self) -> Option<Millis> {
        self.core.waiting_since_ms
    }

    /// The open work item and the agent who has it.
    #[must_use]
    pub fn item(&self) -> Option<(ItemId, Option<&AgentId>)> {
        self.core.item.as_ref().map(|item| (item.id, item.agent.as_ref()))
    }
}

/// All but the two memories: small enough to copy for every decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Core {
    pub(super) contact: Option<Contact>,
    pub(super) forward: Option<Forward>,
    pub(super) lowers: BTreeMap<EntityId, Lower>,
    pub(super) episode: Episode,
    pub(super) window_until_ms: Millis,
    pub(super) floor: Floor,
    /// Present exactly while the floor is `Phone`.
    pub(super) phone: Option<PhoneHold>,
    /// Last turn of the bot.
    pub(super) turn: u64,
    pub(super) misses: u32,
    /// Where the customer is in the bot's flow; its language outlives the episode.
    pub(super) bot: Option<BotPlace>,
    /// What an external bot is asked.
    #[serde(skip_serializing_if = "External::is_idle")]
    pub(super) external: External,
    /// What people were told when the bot handed over, for the open item and the next of the episode.
    pub(super) brief: Option<Brief>,
    /// What the bot last said in this turn; present only while it has the floor.
    pub(super) asked: Option<Asked>,
    /// The customer wrote something that the bot did not read (under the phone, or during a join).
    pub(super) unheard: bool,
    pub(super) waiting_since_ms: Option<Millis>,
    /// What answered the last wait, until it is known to have failed.
    pub(super) answering: Option<Answering>,
    /// Meta time of the customer's last message.
    pub(super) last_in_ms: Millis,
    /// Meta time of the phone's last message that took or held the floor.
    pub(super) last_phone_ms: Millis,
    /// Our time of the last send by an agent or a program.
    pub(super) last_desk_ms: Millis,
    pub(super) item: Option<Item>,
    /// Last number given to an item.
    pub(super) item_n: u32,
    /// What the episode's last item was, for the next one.
    pub(super) shelved: Option<Shelved>,
    pub(super) pending: BTreeMap<RequestId, Pending>,
    /// Last number given to a request.
    pub(super) request_n: u64,
    /// Last number given to a note.
    pub(super) note_n: u64,
    pub(super) recents: Recents,
    pub(super) timers: BTreeMap<ConversationTimer, Millis>,
    pub(super) routing: Routing,
    pub(super) billing: Billing,
    /// The customer's last wish about marketing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) marketing: Option<Marketing>,
    /// Set while the customer has left this address. It outlives forwarding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retired: Option<Retired>,
    /// When the customer last came back to this address (Meta time).
    pub(super) returned_ms: Millis,
}

/// A wish about marketing. Of two of one time, the refusal counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Marketing {
    pub(super) at_ms: Millis,
    pub(super) stopped: bool,
}

/// The customer has another phone number now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Retired {
    /// Since when (Meta time).
    pub(super) at_ms: Millis,
    /// Where everything newer goes.
    pub(super) to: EntityId,
}

/// What routing is told beside the need, and a snooze.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Routing {
    pub(super) vip: bool,
    /// Who had the conversation last, and when it last did something.
    pub(super) last_agent: Option<(AgentId, Millis)>,
    /// Who is to be asked first for the open need.
    pub(super) target: Option<AgentId>,
    /// Who gave it away.
    pub(super) giver: Option<(AgentId, Millis)>,
    /// It comes back from a snooze.
    pub(super) returning: bool,
    pub(super) snooze: Option<Snooze>,
    /// The agent who has the item is gone.
    pub(super) agent_gone: bool,
}

/// Put aside by an agent. Nothing is open at the workspace meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Snooze {
    pub(super) agent: AgentId,
    pub(super) queue: QueueId,
    pub(super) until_ms: Millis,
}

impl Routing {
    /// The need is over, or somebody took it: what was said about it is no longer true.
    pub(super) fn settle(&mut self) {
        self.target = None;
        self.giver = None;
        self.returning = false;
        self.agent_gone = false;
    }

    /// An agent did something.
    pub(super) fn active(&mut self, agent: &AgentId, at_ms: Millis) {
        let known_ms = self.last_agent.as_ref().map_or(0, |(_, at_ms)| *at_ms);
        self.last_agent = Some((agent.clone(), at_ms.max(known_ms)));
    }

    /// What the workspace is told.
    pub(super) fn hints(&self) -> RoutingHints {
        let since =
            |(agent, at_ms): &(AgentId, Millis)| AgentSince { agent: agent.clone(), at_ms: *at_ms };
        // Who gave it away, or was passed over, does not get it back for old times' sake.
        let chosen = self.target.is_some() || self.giver.is_some();
        RoutingHints {
            vip: self.vip,
            returning: self.returning,
            last_agent: self.last_agent.as_ref().filter(|_| !chosen).map(since),
            target: self.target.clone(),
            giver: self.giver.as_ref().map(since),
            brief: None,
        }
    }

    /// Another conversation of the same customer becomes part of this one.
    pub(super) fn absorb(&mut self, lower: Self) {
        self.vip |= lower.vip;
        self.snooze = self.snooze.take().or(lower.snooze);
        let at_ms = |last: &Option<(AgentId, Millis)>| last.as_ref().map_or(0, |last| last.1);
        if at_ms(&lower.last_agent) > at_ms(&self.last_agent) {
            self.last_agent = lower.last_agent;
        }
    }
}

/// Who the customer is and where the conversation takes place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contact {
    pub(super) via: Via,
    pub(super) who: Sealed,
    /// Meta time of what showed it.
    pub(super) at_ms: Millis,
    /// It comes from a change notice, which does not say the name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) thin: bool,
}

/// Where an address forwards to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Forward {
    /// What comes in newly goes there.
    pub(super) to: EntityId,
    pub(super) paired_at: (Millis, MessageId),
    /// Who was given the state: what concerns our earlier requests, items and commands goes there, also after
    /// the phone number got another owner.
    pub(super) heir: EntityId,
}

/// A lower address of the same customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lower {
    /// The latest pairing it was told.
    pub(super) asked_at: (Millis, MessageId),
    pub(super) state: LowerState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum LowerState {
    /// Asked for the first time; not answered yet.
    Joining,
    /// It forwards here (or never answered).
    Joined,
    /// It points to another conversation by a later pairing.
    Elsewhere,
}

/// The episode that is open, or the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Episode {
    /// Its number; 0 before the first.
    pub(super) n: u32,
    pub(super) open: bool,
    pub(super) opened_ms: Millis,
    /// Time of the newest message that who resolved the last episode could have seen. A customer's message that
    /// is older is late and opens nothing; one that is newer was not dealt with, whenever it comes.
    pub(super) settled_ms: Millis,
    /// The bot had its chance in this episode, or people have dealt with it.
    pub(super) triaged: bool,
}

/// How the phone holds the floor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PhoneHold {
    /// Meta time of its last message.
    pub(super) last_ms: Millis,
    /// Its echoes that may still turn out automatic.
    pub(super) causes: Vec<MessageId>,
    /// More echoes than `causes` holds: a person for certain.
    pub(super) certain: bool,
    /// Who had the floor before.
    pub(super) before: Floor,
    /// Since when the customer had waited before.
    pub(super) waited_since_ms: Option<Millis>,
    /// What an automatic echo must not change: [`Episode::triaged`] and [`Core::last_phone_ms`] before.
    pub(super) triaged_before: bool,
    pub(super) last_phone_before_ms: Millis,
    /// The bot was cut off before its words had left.
    pub(super) bot_cut: bool,
    /// Its last echo, and the hash of its text, while the customer's message it may follow within seconds has
    /// not come.
    pub(super) untold: Option<(MessageId, u64)>,
}

/// What the bot said last in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) request: RequestId,
    pub(super) message: Option<MessageId>,
    pub(super) at_ms: Millis,
}

/// The sends that answered a wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answering {
    pub(super) since_ms: Millis,
    pub(super) sends: Vec<(RequestId, Option<MessageId>)>,
}

/// The open work item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) id: ItemId,
    pub(super) version: u32,
    pub(super) queue: QueueId,
    pub(super) since_ms: Millis,
    pub(super) agent: Option<AgentId>,
}

/// Queue and age of an item that is no longer wanted, should the episode need another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shelved {
    pub(super) queue: QueueId,
    pub(super) since_ms: Millis,
}

/// A send without an outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) author: Author,
    pub(super) not_after_ms: Millis,
    pub(super) cancelled: bool,
    /// A status showed its message; the Number was told.
    pub(super) shown: bool,
}

impl Core {
    /// Whether a lower address has not answered its first `Join` yet.
    pub(super) fn is_joining(&self) -> bool {
        self.lowers.values().any(|lower| lower.state == LowerState::Joining)
    }

    pub(super) fn via(&self) -> Option<Via> {
        self.contact.as_ref().map(|contact| contact.via)
    }

    /// The number of the open episode.
    pub(super) fn open_episode(&self) -> Option<u32> {
        self.episode.open.then_some(self.episode.n)
    }

    /// The agent who has the open item.
    pub(super) fn assigned(&self) -> Option<&AgentId> {
        self.item.as_ref()?.agent.as_ref()
    }

    /// The bot's sends that have not left as far as is known.
    pub(super) fn pending_bot(&self) -> Vec<RequestId> {
        let is_bot = |p: &Pending| matches!(p.author, Author::Bot { .. }) && !p.cancelled;
        self.pending.iter().filter(|(_, p)| is_bot(p)).map(|(request, _)| *request).collect()
    }

    pub(super) fn bound_lowers(&mut self) {
        while self.lowers.len() > LOWERS_MAX {
            let rank = |lower: &Lower| (lower.state == LowerState::Joining, lower.asked_at);
            let oldest = self.lowers.iter().min_by_key(|(_, lower)| rank(lower));
            let Some(oldest) = oldest.map(|(id, _)| *id) else { return };
            self.lowers.remove(&oldest);
        }
    }
}

impl PhoneHold {
    pub(super) fn speak(&mut self, message: MessageId, at_ms: Millis, untold: Option<u64>) {
        self.last_ms = self.last_ms.max(at_ms);
        self.untold = untold.map(|hash| (message, hash));
        if self.causes.len() < CAUSES_MAX {
            self.causes.push(message);
        } else {
            self.certain = true;
        }
    }
}

impl Answering {
    pub(super) fn add(&mut self, request: RequestId) {
        if self.sends.len() >= ANSWERING_MAX {
            self.sends.remove(0);
        }
        self.sends.push((request, None));
    }
}

/// How much a kind of content moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// Somebody speaks: opens episodes and windows, needs an answer, takes the floor.
    Speaks,
    /// A reaction: joins the thread; opens the window by configuration.
    Reacts,
    /// Joins the thread and moves nothing: edits, deletions, notices.
    Silent,
}

impl Weight {
    pub(super) fn of(kind: &ContentKind) -> Self {
        match kind {
            ContentKind::Reaction => Self::Reacts,
            ContentKind::Edit | ContentKind::Revoke | ContentKind::System => Self::Silent,
            // The customer opened the chat and wrote nothing (removed by Meta in March 2026).
            ContentKind::Other(name) if name == "request_welcome" => Self::Silent,
            // 131060 and other content that cannot be shown is a message all the same (whatsapp.md 3.8).
            _ => Self::Speaks,
        }
    }
}
