//! The configuration as inputs: every workspace and every number is told, at each start, what it is configured as.
//! An equal configuration changes nothing.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use chassis::{
    config::{Business, Channel, Config, Number, NumberMode as ConfigMode, WrapUpMode as WrapUp},
    seal::Sealer,
};
use domain::{
    AgentId, BusinessId, DeskId, QueueId, SessionId, SkillId, naming,
    number::{NumberConfig, NumberInput, NumberMode},
    persist::{self, PersistError},
    workspace::{
        AgentConfig, DeskCommand, QueueConfig, SkillNeed, WorkspaceConfig, WorkspaceInput,
        WrapUpConfig, WrapUpMode,
    },
};
use runtime::bus::{
    self, AppendError, Bus, Cause, CodecError, Header, InboxEntry, Input, Key, PartitionId,
};

use crate::bridge::to_bus;

/// Inputs in one entry; the largest, a workspace's configuration, is well below a quarter of the limit.
const ENTRY_INPUTS: usize = 64;
/// Pause before an append is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Why the configuration was not told.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// An entry has no encoded form.
    #[error("the configuration cannot be encoded")]
    Encode(#[from] CodecError),
    /// The bus refused it for good.
    #[error("the configuration cannot be stored")]
    Append(#[from] AppendError),
}

/// Capacity units that one WhatsApp conversation takes (routing.md 2.5: live messaging 20 of 100).
const CONVERSATION_WEIGHT: u32 = 20;
/// The same item is not offered to the same agent again within this, unless nobody else can take it.
const RE_OFFER_AFTER_MS: u64 = 600_000;
/// An agent who rejected rests this long.
const REJECT_COOL_DOWN_MS: u64 = 10_000;

/// One `Configure` input per workspace and number.
///
/// # Errors
/// [`PersistError`] when an input has no encoded form.
pub fn inputs(config: &Config, sealer: &Sealer, now_ms: u64) -> Result<Vec<Input>, PersistError> {
    let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
    let mut inputs = Vec::new();
    for business in &config.businesses {
        let id = BusinessId(business.id.clone());
        let workspace = naming::workspace_id(&hash, &id, &business.workspace.id);
        let body = persist::encode(&WorkspaceInput::Configure(Box::new(workspace_of(business))))?;
        inputs.push(input(&hash, &id, workspace, body, now_ms));
        for number in &business.numbers {
            let target = naming::number_id(&hash, &number.phone_number_id);
            let body =
                persist::encode(&NumberInput::Configure(number_of(config, business, number)))?;
            inputs.push(input(&hash, &id, target, body, now_ms));
        }
        for channel in &business.channels {
            let account = naming::channel_account(&id, &channel.id);
            let told = NumberInput::Configure(channel_of(config, business, channel));
            let target = naming::number_id(&hash, &account);
            inputs.push(input(&hash, &id, target, persist::encode(&told)?, now_ms));
        }
    }
    Ok(inputs)
}

/// Per agent the news that connections of before `started_ms` are gone: the one process that holds any started then.
///
/// # Errors
/// [`PersistError`] when an input has no encoded form.
pub fn desk_restarted(
    config: &Config,
    sealer: &Sealer,
    started_ms: u64,
) -> Result<Vec<Input>, PersistError> {
    let command = DeskCommand::DeskRestarted { before_ms: started_ms };
    to_agents(config, sealer, &command, started_ms)
}

/// Per agent the news that the connections which `desk` held are gone.
///
/// # Errors
/// [`PersistError`] when an input has no encoded form.
pub fn desk_gone(
    config: &Config,
    sealer: &Sealer,
    desk: DeskId,
    now_ms: u64,
) -> Result<Vec<Input>, PersistError> {
    to_agents(config, sealer, &DeskCommand::DeskGone { desk }, now_ms)
}

fn to_agents(
    config: &Config,
    sealer: &Sealer,
    command: &DeskCommand,
    now_ms: u64,
) -> Result<Vec<Input>, PersistError> {
    let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
    let mut inputs = Vec::new();
    for business in &config.businesses {
        let id = BusinessId(business.id.clone());
        let workspace = naming::workspace_id(&hash, &id, &business.workspace.id);
        for agent in &business.workspace.agents {
            let (agent, session) = (AgentId(agent.id.clone()), SessionId::default());
            let told = WorkspaceInput::Desk { agent, session, command: command.clone() };
            inputs.push(input(&hash, &id, workspace, persist::encode(&told)?, now_ms));
        }
    }
    Ok(inputs)
}

/// Appends inputs to the inboxes of their entities, as often as it takes to know that they are stored.
///
/// # Errors
/// When one is refused for good. A full store is no error: what was accepted before is served meanwhile, and the next
/// start tells it again.
pub async fn append(bus: &Bus, inputs: Vec<Input>) -> Result<(), ConfigureError> {
    let mut by_partition: BTreeMap<PartitionId, Vec<Input>> = BTreeMap::new();
    for input in inputs {
        by_partition.entry(input.target.partition(bus.partitions)).or_default().push(input);
    }
    for (partition, inputs) in by_partition {
        for inputs in inputs.chunks(ENTRY_INPUTS) {
            append_entry(bus, partition, InboxEntry::new(inputs.to_vec()).encode()?).await?;
        }
    }
    Ok(())
}

async fn append_entry(
    bus: &Bus,
    partition: PartitionId,
    entry: Bytes,
) -> Result<(), ConfigureError> {
    loop {
        match bus.inbox.append(partition, entry.clone()).await {
            Ok(_) => return Ok(()),
            Err(AppendError::Full(why)) => {
                tracing::warn!(why, "the configuration could not be stored");
                return Ok(());
            }
            Err(AppendError::Unknown(why)) => {
                tracing::warn!(why, "the configuration is stored again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn input(
    hash: &impl naming::KeyedHash,
    business: &BusinessId,
    target: domain::EntityId,
    body: Vec<u8>,
    now_ms: u64,
) -> Input {
    // A start is told once, and the next start again: its time tells the two apart.
    let key = naming::input_key(hash, "configure", &[&target.hash.0, &body, &now_ms.to_be_bytes()]);
    Input {
        header: Header {
            key: Key(key),
            business: bus::BusinessId(business.0.clone()),
            cause: Cause::Command,
            trace: None,
            received_ms: now_ms,
        },
        target: to_bus(target),
        body: body.into(),
        reply_to: None,
    }
}

fn workspace_of(business: &Business) -> WorkspaceConfig {
    let queues = business.workspace.queues.iter().map(|queue| {
        let title = if queue.title.is_empty() { &queue.id } else { &queue.title };
        let needs = queue
            .required_skills
            .iter()
            .map(|need| SkillNeed { skill: SkillId(need.name.clone()), level: need.level })
            .collect();
        let config = QueueConfig {
            title: title.clone(),
            priority: i32::from(queue.priority),
            needs,
            offer_timeout_ms: queue.offer_timeout_ms,
            weight: CONVERSATION_WEIGHT,
            answer_target_ms: queue.answer_target_ms,
            wrap_up: WrapUpConfig {
                mode: match queue.wrap_up.mode {
                    WrapUp::None => WrapUpMode::None,
                    WrapUp::Optional => WrapUpMode::Optional,
                    WrapUp::Timed => WrapUpMode::Timed,
                },
                for_ms: queue.wrap_up.for_ms,
                holds_capacity: queue.wrap_up.holds_capacity,
            },
        };
        (QueueId(queue.id.clone()), config)
    });
    let agents = business.workspace.agents.iter().map(|agent| {
        let config = AgentConfig {
            name: agent.id.clone(),
            skills: agent.skills.iter().map(|(s, level)| (SkillId(s.clone()), *level)).collect(),
            capacity: agent.capacity_units,
            queues: agent.queues.iter().map(|queue| QueueId(queue.clone())).collect(),
        };
        (AgentId(agent.id.clone()), config)
    });
    WorkspaceConfig {
        business: BusinessId(business.id.clone()),
        queues: queues.collect(),
        agents: agents.collect(),
        re_offer_after_ms: RE_OFFER_AFTER_MS,
        reject_cool_down_ms: REJECT_COOL_DOWN_MS,
        misses_max: business.workspace.misses_max,
        lost_connection_hold_ms: business.workspace.lost_connection_hold_ms,
        stranded_keep_ms: business.workspace.stranded_keep_ms,
        sticky_ttl_ms: business.workspace.sticky_ttl_ms,
    }
}

fn channel_of(config: &Config, business: &Business, channel: &Channel) -> NumberConfig {
    NumberConfig {
        business: BusinessId(business.id.clone()),
        mode: NumberMode::Channel,
        rate_per_s: channel.rate_per_second,
        reconcile_ms: config.limits.reconcile_ms,
        call_over_ms: config.limits.start_by_ms + config.limits.call_hard_limit_ms,
        start_by_ms: config.limits.start_by_ms,
    }
}

fn number_of(config: &Config, business: &Business, number: &Number) -> NumberConfig {
    NumberConfig {
        business: BusinessId(business.id.clone()),
        mode: match number.mode {
            ConfigMode::Api => NumberMode::Api,
            ConfigMode::Coexistence => NumberMode::Coexistence,
        },
        rate_per_s: number.rate(),
        reconcile_ms: config.limits.reconcile_ms,
        call_over_ms: config.limits.start_by_ms + config.limits.call_hard_limit_ms,
        start_by_ms: config.limits.start_by_ms,
    }
}
