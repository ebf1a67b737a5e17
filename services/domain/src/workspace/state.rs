//! What a workspace keeps: its configuration, its agents and its items, each a part saved by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    OfferEnd, Presence, ReservedFor, RoutingHints, WorkspaceAnswer, WorkspaceConfig, draft::Draft,
    index::Key, plan::Plan,
};
use crate::{AgentId, CommandId, EntityId, Hash16, ItemId, Millis, QueueId, SessionId};

/// Ended offers an item remembers: who not to ask again, and what to answer to a late accept.
pub(super) const ENDED_OFFERS_MAX: usize = 8;
/// Clients of one agent whose command answers are kept (a browser tab each).
pub(super) const CLIENTS_MAX: usize = 4;
/// Answers kept per client.
pub(super) const ANSWERS_MAX: usize = 16;
/// Misses an agent remembers; bounds `misses_max`.
pub(super) const MISSES_MAX: usize = 16;
/// Wrap-ups of one agent at once; a further one does not begin.
pub(super) const WRAP_UPS_MAX: usize = 16;
/// Conversations lost with a connection that an agent is told of.
pub(super) const TAKEN_MAX: usize = 64;
/// Misses count within this time.
pub(super) const MISS_WINDOW_MS: Millis = 600_000;

/// One routing domain. `Default` is a workspace that was never configured: items wait in it, nobody is matched.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    pub(super) plan: Option<Arc<Plan>>,
    pub(super) check: Check,
    pub(super) agents: BTreeMap<AgentId, Agent>,
    pub(super) items: BTreeMap<ItemId, Item>,
    /// Derived: everything that is looked up in an order.
    pub(super) index: BTreeSet<Key>,
    /// Derived: the latest time seen in an event or part; what is due at once is due then.
    pub(super) clock_ms: Millis,
}

/// What one part is saved as (encoded with [`persist`](crate::persist), which carries the version).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// `config`.
    Config(Box<WorkspaceConfig>),
    /// `check`.
    Check(Check),
    /// `agent/<id>`.
    Agent(Box<Agent>),
    /// `item/<conversation hex>.<n>`.
    Item(Box<Item>),
}

/// Where the slow comparison with the conversations stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub(super) cursor: Option<ItemId>,
    pub(super) next_ms: Millis,
}

/// An item: a need for an agent, or the memory of one that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item {
    /// Somebody needs an agent.
    Live(LiveItem),
    /// Gone; kept for some minutes so that what comes late is known to be late.
    Gone(GoneItem),
}

/// A need for an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveItem {
    pub(super) version: u32,
    pub(super) conversation: EntityId,
    pub(super) queue: QueueId,
    pub(super) since_ms: Millis,
    pub(super) priority: i32,
    /// When its place changed last.
    pub(super) changed_ms: Millis,
    pub(super) place: Place,
    pub(super) offers: OfferHistory,
    #[serde(default)]
    pub(super) hints: Box<RoutingHints>,
    /// For whom it waits first.
    #[serde(default)]
    pub(super) reserved: Option<Reserved>,
}

/// An item is kept for one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reserved {
    pub(super) agent: AgentId,
    pub(super) why: ReservedFor,
    pub(super) until_ms: Millis,
}

/// The memory of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoneItem {
    pub(super) version: u32,
    pub(super) refused: bool,
    pub(super) at_ms: Millis,
    pub(super) offers: OfferHistory,
}

/// Where an item is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    Waiting,
    Offered { n: u32, agent: AgentId, weight: u32, deadline_ms: Millis, delivered: bool },
    Assigned { agent: AgentId, weight: u32, at_ms: Millis },
}

/// The offers made of an item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OfferHistory {
    /// How many were made; the number of the last.
    pub(super) made: u32,
    /// The newest that ended, oldest first, at most [`ENDED_OFFERS_MAX`].
    pub(super) ended: Vec<EndedOffer>,
}

/// How an offer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EndedOffer {
    pub(super) n: u32,
    pub(super) agent: AgentId,
    pub(super) end: OfferEnd,
    pub(super) at_ms: Millis,
}

/// An agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    pub(super) session: Option<Session>,
    /// The newest connection ever, open or not: an older one is stale.
    pub(super) newest: Option<(Millis, SessionId)>,
    pub(super) presence: Presence,
    /// Without work since then (meaningful while `used` is 0).
    pub(super) idle_since_ms: Millis,
    /// Units taken by offers and assignments.
    pub(super) used: u32,
    /// When the connection was lost, while its conversations are still held for it.
    pub(super) left_ms: Option<Millis>,
    /// Misses since the last activity, at most [`MISSES_MAX`].
    pub(super) misses_ms: Vec<Millis>,
    /// The last rejection.
    pub(super) rejected_ms: Option<Millis>,
    /// Answers by client, the least recently used first, at most [`CLIENTS_MAX`].
    pub(super) clients: Vec<ClientMemory>,
    /// It did not come back: what nobody waits for stays until then.
    #[serde(default)]
    pub(super) stranded_until_ms: Option<Millis>,
    /// What was taken from it while it was gone, at most [`TAKEN_MAX`].
    #[serde(default)]
    pub(super) taken: Vec<ItemId>,
    /// Work after conversations, at most [`WRAP_UPS_MAX`].
    #[serde(default)]
    pub(super) wrap_ups: Vec<WrapUp>,
}

/// Work after a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WrapUp {
    pub(super) item: ItemId,
    pub(super) conversation: EntityId,
    pub(super) weight: u32,
    pub(super) until_ms: Millis,
}

/// An open connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) id: SessionId,
    /// Number of the last signal.
    pub(super) signals: u64,
}

/// What one client was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClientMemory {
    pub(super) client: Hash16,
    /// By command number.
    pub(super) answers: BTreeMap<u64, WorkspaceAnswer>,
    /// The greatest number ever forgotten; what is not above it and not kept is too old to execute.
    pub(super) forgotten: u64,
}

/// What is known of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remembered {
    Never,
    Answered(WorkspaceAnswer),
    TooOld,
}

impl Item {
    /// The live item.
    pub(super) fn live(&self) -> Option<&LiveItem> {
        match self {
            Self::Live(live) => Some(live),
            Self::Gone(_) => None,
        }
    }

    /// When its place changed last.
    pub(super) fn changed_ms(&self) -> Millis {
        match self {
            Self::Live(live) => live.changed_ms,
            Self::Gone(gone) => gone.at_ms,
        }
    }

    /// Its offers.
    pub(super) fn offers(&self) -> &OfferHistory {
        match self {
            Self::Live(live) => &live.offers,
            Self::Gone(gone) => &gone.offers,
        }
    }
}

impl LiveItem {
    /// Whether it comes before ordinary items.
    pub(super) fn is_ahead(&self) -> bool {
        self.hints.vip || self.hints.returning
    }

    /// The agent who is offered or has it, and the units it takes.
    pub(super) fn holder(&self) -> Option<(&AgentId, u32)> {
        match &self.place {
            Place::Waiting => None,
            Place::Offered { agent, weight, .. } | Place::Assigned { agent, weight, .. } => {
                Some((agent, *weight))
            }
        }
    }
}

impl Agent {
    /// What this agent's client was answered to a command.
    pub(super) fn remembered(&self, id: CommandId) -> Remembered {
        let Some(memory) = self.clients.iter().find(|memory| memory.client == id.client) else {
            return Remembered::Never;
        };
        match memory.answers.get(&id.n) {
            Some(answer) => Remembered::Answered(answer.clone()),
            None if id.n <= memory.forgotten => Remembered::TooOld,
            None => Remembered::Never,
        }
    }
}

impl Workspace {
    /// The named part as it is to be saved; `None` when there is none (any more).
    #[must_use]
    pub fn part(&self, name: &str) -> Option<Part> {
        match PartKey::parse(name)? {
            PartKey::Config => {
                self.plan.as_ref().map(|plan| Part::Config(Box::new(plan.config.clone())))
            }
            PartKey::Check => Some(Part::Check(self.check)),
            PartKey::Agent(id) => {
                self.agents.get(&id).map(|agent| Part::Agent(Box::new(agent.clone())))
            }
            PartKey::Item(id) => self.items.get(&id).map(|item| Part::Item(Box::new(item.clone()))),
        }
    }

    /// Takes a saved part; the indexes follow. `false` when the name and the part do not belong together.
    pub fn put_part(&mut self, name: &str, part: Part) -> bool {
        let mut draft = Draft::new(self);
        match (PartKey::parse(name), part) {
            (Some(PartKey::Config), Part::Config(config)) => draft.set_config(*config),
            (Some(PartKey::Check), Part::Check(check)) => draft.set_check(check),
            (Some(PartKey::Agent(id)), Part::Agent(agent)) => {
                draft.saw(agent.idle_since_ms);
                draft.change_agent(&id, |kept| *kept = *agent);
            }
            (Some(PartKey::Item(id)), Part::Item(item)) => {
                draft.saw(item.changed_ms());
                draft.change_item(id, |kept| *kept = Some(*item));
            }
            _ => return false,
        }
        let changes = draft.finish();
        self.absorb(changes);
        true
    }

    /// The names of all parts.
    #[must_use]
    pub fn part_names(&self) -> Vec<String> {
        let config = self.plan.iter().map(|_| PartKey::Config);
        let agents = self.agents.keys().map(|id| PartKey::Agent(id.clone()));
        let items = self.items.keys().map(|id| PartKey::Item(*id));
        let check = std::iter::once(PartKey::Check);
        config.chain(check).chain(agents).chain(items).map(|key| key.name()).collect()
    }

    /// How many items wait, are offered or assigned, or are remembered; for metrics.
    #[must_use]
    pub fn n_items(&self) -> usize {
        self.items.len()
    }
}

/// A part, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PartKey {
    Config,
    Check,
    Agent(AgentId),
    Item(ItemId),
}

impl PartKey {
    /// Its name on the bus.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Config => "config".to_owned(),
            Self::Check => "check".to_owned(),
            Self::Agent(id) => format!("agent/{id}"),
            Self::Item(id) => format!("item/{}.{}", id.conversation, id.n),
        }
    }

    /// Reads a name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "config" => return Some(Self::Config),
            "check" => return Some(Self::Check),
            _ => {}
        }
        if let Some(id) = name.strip_prefix("agent/") {
            return Some(Self::Agent(AgentId::from(id)));
        }
        let (conversation, n) = name.strip_prefix("item/")?.split_once('.')?;
        Some(Self::Item(ItemId { conversation: conversation.parse().ok()?, n: n.parse().ok()? }))
    }
}
