//! What the desk is told of the installation.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chassis::{config::Config, seal::Sealer};
use domain::{AgentId, BusinessId, EntityId, Hash16, QueueId, conversation::Via, naming};

/// The installation as the desk sees it.
#[derive(Clone, Debug, Default)]
pub struct DeskContext {
    /// Name of this process; a part of the topic on which answers reach it.
    pub node: String,
    /// Businesses by id.
    pub businesses: BTreeMap<BusinessId, BusinessContext>,
}

/// One business.
#[derive(Clone, Debug)]
pub struct BusinessContext {
    /// Its routing domain.
    pub workspace: EntityId,
    /// Its agents.
    pub agents: BTreeSet<AgentId>,
    /// Its queues.
    pub queues: BTreeSet<QueueId>,
    /// Hash of each of its numbers, and its `phone_number_id`.
    pub numbers: BTreeMap<Hash16, String>,
    /// Its accounts on other channels, by id.
    pub channels: BTreeMap<String, ChannelContext>,
}

/// One account on another channel.
#[derive(Clone, Debug)]
pub struct ChannelContext {
    /// What stands for its `phone_number_id` in ids ([`naming::channel_account`]).
    pub account: String,
    /// Its account as an entity, and the workspace that routes its conversations.
    pub via: Via,
    /// Replies handed to its platform per second.
    pub rate_per_second: u32,
}

impl BusinessContext {
    /// The channel whose account has this hash.
    #[must_use]
    pub fn channel_of(&self, number: Hash16) -> Option<&str> {
        let mut channels = self.channels.iter();
        channels.find(|(_, channel)| channel.via.number.hash == number).map(|(id, _)| id.as_str())
    }
}

impl DeskContext {
    /// The installation of `config`.
    #[must_use]
    pub fn from_config(config: &Config, sealer: &Sealer) -> Self {
        let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
        let businesses = config.businesses.iter().map(|business| {
            let id = BusinessId(business.id.clone());
            let workspace = naming::workspace_id(&hash, &id, &business.workspace.id);
            let agents = business.workspace.agents.iter().map(|agent| AgentId(agent.id.clone()));
            let numbers = business.numbers.iter().map(|number| {
                let number_id = naming::number_id(&hash, &number.phone_number_id);
                (number_id.hash, number.phone_number_id.clone())
            });
            let queues = business.workspace.queues.iter().map(|queue| QueueId(queue.id.clone()));
            let channels = business.channels.iter().map(|channel| {
                let account = naming::channel_account(&id, &channel.id);
                let via = Via { number: naming::number_id(&hash, &account), workspace };
                let rate_per_second = channel.rate_per_second;
                (channel.id.clone(), ChannelContext { account, via, rate_per_second })
            });
            let context = BusinessContext {
                workspace,
                agents: agents.collect(),
                queues: queues.collect(),
                numbers: numbers.collect(),
                channels: channels.collect(),
            };
            (id, context)
        });
        Self { node: config.node.clone(), businesses: businesses.collect() }
    }
}

/// Timings and bounds.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Interval of the heartbeat on an agent's stream.
    pub heartbeat: Duration,
    /// A client that says nothing for so long is gone.
    pub silence_max: Duration,
    /// How long the first request of a session may take.
    pub sign_in_max: Duration,
    /// How long a command is waited for.
    pub answer_max: Duration,
    /// A command without an answer is sent again after this long, under the same key.
    pub repeat_after: Duration,
    /// A snapshot is asked for at least so often: signals are best effort, also the last one.
    pub resync_after: Duration,
    /// How often token files are looked at.
    pub token_poll: Duration,
    /// Events that wait for a slow client before its stream ends.
    pub queue_max: usize,
    /// Connections at once.
    pub connections_max: usize,
    /// Interval of the renewals of the desk's lease.
    pub renew: Duration,
    /// Without an acknowledged renewal for this long all connections end.
    pub lease: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(10),
            silence_max: Duration::from_secs(25),
            sign_in_max: Duration::from_secs(10),
            answer_max: Duration::from_secs(10),
            repeat_after: Duration::from_secs(3),
            resync_after: Duration::from_secs(60),
            token_poll: Duration::from_secs(5),
            queue_max: 256,
            connections_max: 4096,
            renew: Duration::from_millis(500),
            lease: Duration::from_secs(3),
        }
    }
}

impl Options {
    /// The options of `config`.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        Self {
            heartbeat: Duration::from_millis(config.desk.heartbeat_ms.max(1)),
            connections_max: usize::try_from(config.desk.connections_max).unwrap_or(usize::MAX),
            renew: Duration::from_millis(config.bus.renew_ms),
            lease: Duration::from_millis(config.bus.lease_ms),
            ..Self::default()
        }
    }
}
