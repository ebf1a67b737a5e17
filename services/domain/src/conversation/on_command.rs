//! A person or a program of the business acts on the conversation.

use super::{
    Author, CommandAnswer, CommandKind, ConversationCommand, ConversationEvent, ConversationTimer,
    Floor, FloorCause, OutboundSend, Refusal, ResolvedBy, RoutingAct, answers::Known, decide::Step,
    floor::ToSend, on_routing,
};
use crate::{
    AgentId, QueueId, RequestId, Sealed,
    content::ContentKind,
    number::{Lane, NumberInput},
};

pub(super) fn on_command(step: &mut Step<'_>, command: &ConversationCommand) {
    match step.base.answers.look_up(command.id) {
        Known::Answered(answer) => {
            step.out.reply = Some(answer.clone());
            return;
        }
        Known::TooOld => {
            step.out.reply = Some(CommandAnswer::Refused(Refusal::TooOld));
            return;
        }
        Known::New => {}
    }
    let agent = command.agent.as_ref();
    let answer = match &command.kind {
        CommandKind::Send { kind, content, take_floor, marketing } => {
            let (kind, content, marketing) = (kind.clone(), content.clone(), *marketing);
            send(step, agent, Words { kind, content, marketing }, *take_floor)
        }
        CommandKind::Outbound(send) => outbound(step, send),
        CommandKind::MarkRead { message, typing } => mark_read(step, message, *typing),
        CommandKind::Note { content } => note(step, agent, content),
        CommandKind::Resolve => resolve(step, agent, "", false),
        CommandKind::Close { code, wrap_up } => resolve(step, agent, code, *wrap_up),
        CommandKind::Transfer { to, note, overrule } => {
            on_routing::transfer(step, agent, to, note.as_ref(), *overrule)
        }
        CommandKind::Requeue { queue, overrule } => {
            on_routing::requeue(step, agent, queue.as_ref(), *overrule)
        }
        CommandKind::Force { agent: to, reason } => on_routing::force(step, agent, to, reason),
        CommandKind::Snooze { until_ms, overrule } => {
            on_routing::snooze(step, agent, *until_ms, *overrule)
        }
        CommandKind::SetVip { vip } => on_routing::set_vip(step, agent, *vip),
        CommandKind::Assign { agent: to } => assign(step, to),
        CommandKind::Queue { queue } => requeue(step, agent, queue),
    };
    let answer = answer.unwrap_or_else(CommandAnswer::Refused);
    step.emit(ConversationEvent::CommandAnswered { id: command.id, answer: answer.clone() });
    step.out.reply = Some(answer);
}

pub(super) type Answer = Result<CommandAnswer, Refusal>;

/// What somebody wants to say.
struct Words {
    kind: ContentKind,
    content: Sealed,
    marketing: bool,
}

fn send(step: &mut Step<'_>, agent: Option<&AgentId>, words: Words, take_floor: bool) -> Answer {
    let Words { kind, content, marketing } = words;
    if step.core.contact.is_none() {
        return Err(Refusal::UnknownConversation);
    }
    not_unwanted(step, marketing)?;
    if !take_floor {
        may_speak(step, agent)?;
    }
    let template = kind == ContentKind::Template;
    if !template && !step.window_is_open() {
        return Err(Refusal::WindowClosed { closed_ms: step.core.window_until_ms });
    }
    if !step.may_request() {
        let pending = u32::try_from(step.core.pending.len()).unwrap_or(u32::MAX);
        return Err(Refusal::Busy { pending });
    }
    take_the_floor(step, agent, take_floor);
    let lane = match (template, agent) {
        (true, _) => Lane::Utility,
        (false, Some(_)) => Lane::Agent,
        // A program's words never stand before a person's.
        (false, None) => Lane::Bot,
    };
    let author = agent.map_or(Author::Api, |agent| Author::Agent(agent.clone()));
    let to_send = ToSend { author, lane, kind, content, marketing };
    let request = step.request(to_send).ok_or(Refusal::UnknownConversation)?;
    step.set_waiting(None);
    Ok(CommandAnswer::Sent { request })
}

/// A program begins. A template says its word whoever has the floor, and takes it from nobody; nor does it answer a customer
/// who waits. Everything else needs the floor and the window as any other send.
fn outbound(step: &mut Step<'_>, send: &OutboundSend) -> Answer {
    not_unwanted(step, send.marketing || send.lane == Lane::Campaign)?;
    let template = send.kind == ContentKind::Template;
    if !template {
        may_speak(step, None)?;
        if !step.window_is_open() {
            return Err(Refusal::WindowClosed { closed_ms: step.core.window_until_ms });
        }
    }
    if step.core.contact.is_none() {
        let (via, who, at_ms) = (send.via, send.who.clone(), step.now_ms);
        step.emit(ConversationEvent::IdentitySeen { via, who, at_ms });
    }
    if !step.may_request() {
        let pending = u32::try_from(step.core.pending.len()).unwrap_or(u32::MAX);
        return Err(Refusal::Busy { pending });
    }
    let to_send = ToSend {
        author: Author::Api,
        lane: send.lane,
        kind: send.kind.clone(),
        content: send.content.clone(),
        marketing: send.marketing,
    };
    let request = step.request_until(to_send, send.not_after_ms);
    Ok(CommandAnswer::Sent { request: request.ok_or(Refusal::UnknownConversation)? })
}

/// No marketing to who wants none. Said at once where it is known; the Number looks again when it is about to leave.
fn not_unwanted(step: &Step<'_>, marketing: bool) -> Result<(), Refusal> {
    match step.core.marketing.filter(|wish| marketing && wish.stopped) {
        Some(wish) => Err(Refusal::MarketingStopped { since_ms: wish.at_ms }),
        None => Ok(()),
    }
}

fn mark_read(step: &mut Step<'_>, message: &Sealed, typing: bool) -> Answer {
    let Some(via) = step.core.via() else { return Err(Refusal::UnknownConversation) };
    // Of no request: its number is taken so that no call has the same id.
    let request = RequestId { conversation: step.me.hash, n: u64::MAX - step.now_ms };
    let mark = NumberInput::Mark { request, message: message.clone(), typing };
    step.tell_number(via.number, mark);
    Ok(CommandAnswer::Done)
}

/// Whether `agent` (or a program) may speak without taking the floor from somebody.
fn may_speak(step: &Step<'_>, agent: Option<&AgentId>) -> Result<(), Refusal> {
    match (&step.core.floor, agent) {
        (Floor::Phone, _) => {
            let since_ms = step.core.phone.as_ref().map_or(0, |phone| phone.last_ms);
            Err(Refusal::PhoneHasFloor { since_ms })
        }
        (Floor::Desk { agent: holder }, _) if agent != Some(holder) => {
            Err(Refusal::HeldByAnother { agent: holder.clone() })
        }
        (Floor::Bot { turn }, None) => Err(Refusal::BotHasFloor { turn: *turn }),
        (Floor::Nobody | Floor::Bot { .. }, Some(agent)) => match step.core.assigned() {
            Some(holder) if holder != agent => {
                Err(Refusal::HeldByAnother { agent: holder.clone() })
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// An agent who speaks in an open episode has the conversation and its item from then on. Outside an episode,
/// and for programs, a send is a single word: nobody has the floor after it.
fn take_the_floor(step: &mut Step<'_>, agent: Option<&AgentId>, take_floor: bool) {
    match agent.filter(|_| step.core.episode.open) {
        Some(agent) => {
            if step.core.assigned() != Some(agent) {
                step.claim_item(agent.clone());
            }
            step.change_floor(Floor::Desk { agent: agent.clone() }, FloorCause::TakeFloor);
        }
        None if take_floor => step.change_floor(Floor::Nobody, FloorCause::TakeFloor),
        None => {}
    }
}

fn note(step: &mut Step<'_>, agent: Option<&AgentId>, content: &Sealed) -> Answer {
    if step.core.contact.is_none() {
        return Err(Refusal::UnknownConversation);
    }
    add_note(step, agent, content);
    Ok(CommandAnswer::Done)
}

/// Adds a note; says its number.
pub(super) fn add_note(step: &mut Step<'_>, agent: Option<&AgentId>, content: &Sealed) -> u64 {
    let n = step.core.note_n.saturating_add(1);
    step.emit(ConversationEvent::NoteAdded {
        n,
        agent: agent.cloned(),
        content: content.clone(),
        at_ms: step.now_ms,
    });
    n
}

fn resolve(step: &mut Step<'_>, agent: Option<&AgentId>, code: &str, wrap_up: bool) -> Answer {
    let n = step.core.open_episode().ok_or(Refusal::NothingOpen)?;
    not_held_by_another(step, agent)?;
    if !code.is_empty() {
        on_routing::record(step, agent, RoutingAct::WrapUp { code: code.to_owned() }, None);
    }
    step.set_waiting(None);
    match agent.filter(|agent| step.core.assigned() == Some(*agent)).cloned() {
        Some(agent) => step.finish_item(agent, wrap_up),
        None => step.drop_item(),
    }
    step.set_timer(ConversationTimer::Snooze, None);
    step.change_floor(Floor::Nobody, FloorCause::Resolved);
    let by = agent.map_or(ResolvedBy::Api, |agent| ResolvedBy::Agent(agent.clone()));
    step.emit(ConversationEvent::EpisodeResolved { n, by, at_ms: step.now_ms });
    Ok(CommandAnswer::Done)
}

/// Overrules whoever has the conversation, except that the phone keeps the floor.
fn assign(step: &mut Step<'_>, to: &AgentId) -> Answer {
    step.core.open_episode().ok_or(Refusal::NothingOpen)?;
    if step.core.assigned() != Some(to) {
        step.claim_item(to.clone());
    }
    step.give_to_agent(to.clone(), FloorCause::Assigned);
    Ok(CommandAnswer::Done)
}

fn requeue(step: &mut Step<'_>, agent: Option<&AgentId>, queue: &QueueId) -> Answer {
    step.core.open_episode().ok_or(Refusal::NothingOpen)?;
    not_held_by_another(step, agent)?;
    let cause = match &step.core.floor {
        Floor::Bot { .. } => FloorCause::HandOff,
        _ => FloorCause::Unassigned,
    };
    step.change_floor(Floor::Nobody, cause);
    step.want_item(Some(queue.clone()));
    Ok(CommandAnswer::Done)
}

/// Agents do not close or move what another has; programs may.
pub(super) fn not_held_by_another(step: &Step<'_>, agent: Option<&AgentId>) -> Result<(), Refusal> {
    match (agent, step.core.assigned()) {
        (Some(agent), Some(holder)) if agent != holder => {
            Err(Refusal::HeldByAnother { agent: holder.clone() })
        }
        _ => Ok(()),
    }
}
