//! The configuration as inputs: every workspace and every number is told, at each start, what it is configured as.
//! An equal configuration changes nothing.

use chassis::{
    config::{Business, Channel, Config, Number, NumberMode as ConfigMode, WrapUpMode as WrapUp},
    seal::Sealer,
};
use domain::{
    AgentId, BusinessId, QueueId, SessionId, SkillId, naming,
    number::{NumberConfig, NumberInput, NumberMode},
    persist::{self, PersistError},
    workspace::{
        AgentConfig, DeskCommand, QueueConfig, SkillNeed, WorkspaceConfig, WorkspaceInput,
        WrapUpConfig, WrapUpMode,
    },
};
use runtime::bus::{self, Cause, Header, Input, Key};

use crate::bridge::to_bus;

/// Capacity units that one WhatsApp conversation takes (routing.md 2.5: live messaging 20 of 100).
const CONVERSATION_WEIGHT: u32 = 20;
/// The same item is not offered to the same agent again within this, unless nobody else can take it.
const RE_OFFER_AFTER_MS: u64 = 600_000;
/// An agent who rejected rests this long.
const REJECT_COOL_DOWN_MS: u64 = 10_000;

/// One `Configure` input per workspace and number, and per agent the news that this process started at `started_ms`
/// (before it took any connection).
///
/// # Errors
/// [`PersistError`] when an input has no encoded form.
pub fn inputs(
    config: &Config,
    sealer: &Sealer,
    started_ms: u64,
) -> Result<Vec<Input>, PersistError> {
    let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
    let mut inputs = Vec::new();
    for business in &config.businesses {
        let id = BusinessId(business.id.clone());
        let workspace = naming::workspace_id(&hash, &id, &business.workspace.id);
        let body = persist::encode(&WorkspaceInput::Configure(Box::new(workspace_of(business))))?;
        inputs.push(input(&hash, &id, workspace, body, started_ms));
        for agent in &business.workspace.agents {
            // Connections of an earlier life of this process are gone.
            let restarted = WorkspaceInput::Desk {
                agent: AgentId(agent.id.clone()),
                session: SessionId::default(),
                command: DeskCommand::DeskRestarted { before_ms: started_ms },
            };
            let body = persist::encode(&restarted)?;
            inputs.push(input(&hash, &id, workspace, body, started_ms));
        }
        for number in &business.numbers {
            let target = naming::number_id(&hash, &number.phone_number_id);
            let body =
                persist::encode(&NumberInput::Configure(number_of(config, business, number)))?;
            inputs.push(input(&hash, &id, target, body, started_ms));
        }
        for channel in &business.channels {
            let account = naming::channel_account(&id, &channel.id);
            let told = NumberInput::Configure(channel_of(config, business, channel));
            let target = naming::number_id(&hash, &account);
            inputs.push(input(&hash, &id, target, persist::encode(&told)?, started_ms));
        }
    }
    Ok(inputs)
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
