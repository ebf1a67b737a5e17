//! What people and programs do to where conversations are routed: who may, what the fields must be, and the command it
//! becomes.

use api::v1::{self, transfer};
use domain::{
    AgentId, QueueId, Sealed,
    conversation::{CommandKind, TransferTo},
};

use crate::{BusinessContext, command::Act, fault::Fault, tokens::Principal};

/// Longest code, bytes.
const CODE_BYTES_MAX: usize = 64;
/// Longest note and reason, characters.
const NOTE_CHARS_MAX: usize = 4_096;
const REASON_CHARS_MAX: usize = 512;
/// Longest snooze, ms.
const SNOOZE_MS_MAX: u64 = 30 * 86_400_000;

/// Checks what can be checked before a conversation decides: rights, names, lengths, times.
pub(crate) fn check(
    business: &BusinessContext,
    principal: &Principal,
    act: &Act,
    now_ms: u64,
) -> Result<(), Fault> {
    match act {
        Act::Send(_) | Act::Note(_) | Act::MarkRead(_) => Ok(()),
        Act::Resolve(resolve) => code("resolve.code", &resolve.code),
        Act::Assign(assign) => check_assign(business, principal, assign),
        Act::Transfer(transfer) => check_transfer(business, transfer),
        Act::Requeue(requeue) if requeue.queue_id.is_empty() => Ok(()),
        Act::Requeue(requeue) => queue(business, "requeue.queue_id", &requeue.queue_id),
        Act::Snooze(snooze) => {
            let ahead = u64::try_from(snooze.until_ms).unwrap_or(0).checked_sub(now_ms);
            match ahead.filter(|ms| (1..=SNOOZE_MS_MAX).contains(ms)) {
                Some(_) => Ok(()),
                None => Err(Fault::invalid(
                    "snooze.until_ms: use a time in the future, at most 30 days away (Unix ms)",
                )),
            }
        }
        Act::SetVip(_) if principal.may_overrule() => Ok(()),
        Act::SetVip(_) => Err(Fault::Forbidden(
            "an agent's token does not make VIPs: use a supervisor's or the business's token",
        )),
    }
}

fn check_assign(
    business: &BusinessContext,
    principal: &Principal,
    assign: &v1::AssignTo,
) -> Result<(), Fault> {
    agent(business, "agent_id", &assign.agent_id)?;
    let to_other = principal.agent.as_ref().is_some_and(|own| own.0 != assign.agent_id);
    if to_other && !principal.supervisor {
        return Err(Fault::Forbidden(
            "an agent's token assigns to that agent only: use a supervisor's or the business's token",
        ));
    }
    if to_other && assign.reason.trim().is_empty() {
        return Err(Fault::invalid("reason: say why, it is recorded as a note"));
    }
    length("reason", &assign.reason, REASON_CHARS_MAX)
}

fn check_transfer(business: &BusinessContext, transfer: &v1::Transfer) -> Result<(), Fault> {
    match &transfer.to {
        Some(transfer::To::QueueId(id)) => queue(business, "transfer.queue_id", id)?,
        Some(transfer::To::AgentId(id)) => agent(business, "transfer.agent_id", id)?,
        None => return Err(Fault::invalid("transfer.to: name a queue_id or an agent_id")),
    }
    length("transfer.note", &transfer.note, NOTE_CHARS_MAX)
}

fn queue(business: &BusinessContext, field: &str, id: &str) -> Result<(), Fault> {
    let known = business.queues.contains(&QueueId::from(id));
    let unknown = || Fault::invalid(format!("{field}: the business has no such queue"));
    known.then_some(()).ok_or_else(unknown)
}

fn agent(business: &BusinessContext, field: &str, id: &str) -> Result<(), Fault> {
    let known = business.agents.contains(&AgentId::from(id));
    let unknown = || Fault::invalid(format!("{field}: the business has no such agent"));
    known.then_some(()).ok_or_else(unknown)
}

fn length(field: &str, text: &str, chars_max: usize) -> Result<(), Fault> {
    let fits = text.chars().count() <= chars_max;
    let long = || Fault::invalid(format!("{field}: use at most {chars_max} characters"));
    fits.then_some(()).ok_or_else(long)
}

/// A short code for reports.
pub(crate) fn code(field: &str, code: &str) -> Result<(), Fault> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if code.len() > CODE_BYTES_MAX || !code.bytes().all(plain) {
        return Err(Fault::invalid(format!(
            "{field}: use a short code of letters, digits, - and _; no personal data"
        )));
    }
    Ok(())
}

/// The command that an act becomes; notes and reasons are sealed by `seal`.
pub(crate) fn command_kind(
    principal: &Principal,
    act: &Act,
    seal: impl Fn(&str) -> Result<Sealed, Fault>,
) -> Result<CommandKind, Fault> {
    let overrule = principal.may_overrule();
    Ok(match act {
        Act::Resolve(resolve) if resolve.code.is_empty() && !resolve.wrap_up => {
            CommandKind::Resolve
        }
        Act::Resolve(resolve) => {
            CommandKind::Close { code: resolve.code.clone(), wrap_up: resolve.wrap_up }
        }
        Act::Assign(assign) => {
            let agent = AgentId::from(assign.agent_id.as_str());
            match assign.reason.trim() {
                "" => CommandKind::Assign { agent },
                reason => CommandKind::Force { agent, reason: seal(reason)? },
            }
        }
        Act::Transfer(transfer) => {
            let to = match &transfer.to {
                Some(transfer::To::QueueId(id)) => TransferTo::Queue(QueueId::from(id.as_str())),
                Some(transfer::To::AgentId(id)) => TransferTo::Agent(AgentId::from(id.as_str())),
                None => return Err(Fault::invalid("transfer.to: name a queue_id or an agent_id")),
            };
            let note = Some(transfer.note.trim()).filter(|note| !note.is_empty());
            CommandKind::Transfer { to, note: note.map(&seal).transpose()?, overrule }
        }
        Act::Requeue(requeue) => {
            let id = requeue.queue_id.as_str();
            let queue = (!id.is_empty()).then(|| QueueId::from(id));
            CommandKind::Requeue { queue, overrule }
        }
        Act::Snooze(snooze) => {
            let until_ms = u64::try_from(snooze.until_ms).unwrap_or(0);
            CommandKind::Snooze { until_ms, overrule }
        }
        Act::SetVip(set) => CommandKind::SetVip { vip: set.vip },
        Act::Send(_) | Act::Note(_) | Act::MarkRead(_) => {
            return Err(Fault::invalid("a message, a mark or a note does not change the routing"));
        }
    })
}
