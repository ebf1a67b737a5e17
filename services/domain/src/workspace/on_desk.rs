//! An agent's client acts: which connections and commands count.

use super::{
    DeskCommand, WorkspaceAnswer, WorkspaceEvent, decide::Turn, offers, on_offer, on_session,
    state::Remembered, wrap_up,
};
use crate::{AgentId, CommandId, SessionId};

/// Carries out one command and gives its answer. A repeated command id gets its first answer and changes nothing.
pub(super) fn on_desk(
    turn: &mut Turn<'_>,
    agent: &AgentId,
    session: SessionId,
    command: &DeskCommand,
) -> WorkspaceAnswer {
    let plan = turn.draft.plan();
    if !plan.is_some_and(|plan| plan.config.agents.contains_key(agent)) {
        return WorkspaceAnswer::Unknown(format!("no agent named {agent}"));
    }
    let open = is_open(turn, agent, session);
    match command {
        DeskCommand::SignIn { opened_ms } => {
            on_session::on_sign_in(turn, agent, session, *opened_ms)
        }
        DeskCommand::SignOut if open => on_session::on_sign_out(turn, agent, session),
        // Its connection is gone already, or another took its place.
        DeskCommand::SignOut => WorkspaceAnswer::Done,
        DeskCommand::DeskRestarted { before_ms } => {
            on_session::on_desk_restarted(turn, agent, *before_ms)
        }
        DeskCommand::DeskGone { desk } => on_session::on_desk_gone(turn, agent, *desk),
        DeskCommand::Resync if open => {
            let snapshot = offers::snapshot(turn, agent);
            turn.signal(agent, snapshot);
            WorkspaceAnswer::Done
        }
        DeskCommand::Delivered { offer } if open => on_offer::on_delivered(turn, agent, *offer),
        DeskCommand::Delivered { .. } | DeskCommand::Resync => WorkspaceAnswer::StaleSession,
        DeskCommand::SetPresence { id, presence } => {
            once(turn, agent, *id, open, |turn| on_session::on_presence(turn, agent, *presence))
        }
        DeskCommand::Accept { id, offer } => {
            once(turn, agent, *id, open, |turn| on_offer::on_accept(turn, agent, *offer))
        }
        DeskCommand::Reject { id, offer, reason } => {
            once(turn, agent, *id, open, |turn| on_offer::on_reject(turn, agent, *offer, reason))
        }
        DeskCommand::EndWrapUp { id, conversation } => {
            once(turn, agent, *id, open, |turn| wrap_up::on_end(turn, agent, *conversation))
        }
    }
}

/// Carries a command out if its id is new. The answers of a stale session are not kept: nothing was executed, and the
/// client repeats the command on its next connection.
fn once(
    turn: &mut Turn<'_>,
    agent: &AgentId,
    id: CommandId,
    open: bool,
    execute: impl FnOnce(&mut Turn<'_>) -> WorkspaceAnswer,
) -> WorkspaceAnswer {
    let remembered =
        turn.draft.agent(agent).map_or(Remembered::Never, |agent| agent.remembered(id));
    match remembered {
        Remembered::Answered(answer) => answer,
        Remembered::TooOld => WorkspaceAnswer::TooOld,
        Remembered::Never if !open => WorkspaceAnswer::StaleSession,
        Remembered::Never => {
            let answer = execute(turn);
            turn.record(WorkspaceEvent::CommandAnswered {
                agent: agent.clone(),
                id,
                answer: answer.clone(),
            });
            answer
        }
    }
}

fn is_open(turn: &Turn<'_>, agent: &AgentId, session: SessionId) -> bool {
    let open = turn.draft.agent(agent).and_then(|agent| agent.session.as_ref());
    open.is_some_and(|open| open.id == session)
}
