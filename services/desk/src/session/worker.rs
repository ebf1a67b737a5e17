//! Carries out a client's commands: appended in the order they came, answered as the answers come.

use std::{collections::BTreeSet, sync::Arc};

use api::{
    convert,
    v1::{self, CommandResult, DeskEvent, command_result, desk_event::Event},
};
use domain::{
    Hash16,
    workspace::{DeskCommand, Presence},
};
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::mpsc;

use crate::{
    command::{Act, SessionKey, decode_workspace, position},
    fault::Fault,
    metrics, routing,
    server::Shared,
    tokens::Principal,
};

/// Commands that wait to be appended.
const QUEUE_MAX: usize = 64;
/// Commands that wait for their answer.
const UNANSWERED_MAX: usize = 64;
/// Answers that wait for the session's loop.
const ANSWERS_MAX: usize = 64;

/// One thing to do.
#[derive(Debug)]
pub(super) enum Job {
    /// A command with an id; its answer goes to the client.
    Command { id: v1::CommandId, what: What, trusted: Arc<BTreeSet<Hash16>> },
    /// Something the workspace is told without an answer.
    Tell(DeskCommand),
}

/// What a command asks.
#[derive(Debug)]
pub(super) enum What {
    /// Of a conversation.
    Act(Act),
    /// Of the workspace.
    Presence(Presence),
    /// Of the workspace.
    Accept(String),
    /// Of the workspace.
    Reject(String, String),
    /// Of the workspace.
    EndWrapUp(String),
}

impl What {
    fn kind(&self) -> &'static str {
        match self {
            Self::Act(act) => act.kind(),
            Self::Presence(_) => "presence",
            Self::Accept(_) => "accept",
            Self::Reject(..) => "reject",
            Self::EndWrapUp(_) => "end_wrap_up",
        }
    }
}

/// The session's end of the worker.
pub(super) struct Jobs {
    pub(super) queue: mpsc::Sender<Job>,
    pub(super) answers: mpsc::Receiver<DeskEvent>,
}

/// The worker of one session.
pub(super) struct Worker {
    shared: Arc<Shared>,
    principal: Arc<Principal>,
    session: SessionKey,
    queue: mpsc::Receiver<Job>,
    answers: mpsc::Sender<DeskEvent>,
    told: u64,
}

pub(super) fn channel(
    shared: Arc<Shared>,
    principal: Arc<Principal>,
    session: SessionKey,
) -> (Worker, Jobs) {
    let (jobs, queue) = mpsc::channel(QUEUE_MAX);
    let (sender, answers) = mpsc::channel(ANSWERS_MAX);
    let worker = Worker { shared, principal, session, queue, answers: sender, told: 0 };
    (worker, Jobs { queue: jobs, answers })
}

type Answer = (command_result::Result, Option<v1::Position>);

impl Worker {
    /// Works until the session drops its end.
    pub(super) async fn run(mut self) {
        let mut unanswered: FuturesUnordered<BoxFuture<'static, DeskEvent>> =
            FuturesUnordered::new();
        loop {
            tokio::select! {
                job = self.queue.recv(), if unanswered.len() < UNANSWERED_MAX => match job {
                    Some(Job::Command { id, what, trusted }) => {
                        let answer = self.command(id, what, &trusted).await;
                        unanswered.push(answer);
                    }
                    Some(Job::Tell(command)) => self.tell(command).await,
                    None => return,
                },
                Some(event) = unanswered.next() => {
                    if self.answers.send(event).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn tell(&mut self, command: DeskCommand) {
        self.told += 1;
        let key = tell_key(&self.shared, &self.session, self.told);
        if let Err(fault) = self.shared.commands.tell_desk(&self.session, command, key).await {
            // What was told is asked for again by the client (resync) or ends by its deadline (offers).
            tracing::warn!(why = fault.label(), "the workspace was not told");
        }
    }

    /// Appends a command; the future brings its answer.
    async fn command(
        &self,
        id: v1::CommandId,
        what: What,
        trusted: &BTreeSet<Hash16>,
    ) -> BoxFuture<'static, DeskEvent> {
        let kind = what.kind();
        let pending = match what {
            What::Act(act) => self.act(&id, &act, trusted).await,
            What::Presence(presence) => {
                self.desk(&id, |id| Ok(DeskCommand::SetPresence { id, presence })).await
            }
            What::Accept(offer) => {
                self.desk(&id, |id| Ok(DeskCommand::Accept { id, offer: offer_of(&offer)? })).await
            }
            What::EndWrapUp(id_of) => {
                self.desk(&id, |id| {
                    let conversation =
                        convert::parse_conversation_id(&id_of).ok_or(Fault::NoConversation)?;
                    Ok(DeskCommand::EndWrapUp { id, conversation })
                })
                .await
            }
            What::Reject(offer, reason) => {
                self.desk(&id, |id| {
                    routing::code("reject_offer.reason", &reason)?;
                    Ok(DeskCommand::Reject { id, offer: offer_of(&offer)?, reason })
                })
                .await
            }
        };
        Box::pin(async move {
            let answered = match pending {
                Ok(answer) => answer.await,
                Err(fault) => Err(fault),
            };
            let (result, position) = answered.unwrap_or_else(|fault| {
                metrics::command(kind, fault.label());
                (fault.to_answer(), None)
            });
            let refused = matches!(result, command_result::Result::Refused(_));
            metrics::command(kind, if refused { "refused" } else { "done" });
            let result = CommandResult { command_id: Some(id), result: Some(result) };
            DeskEvent { number: 0, position, event: Some(Event::CommandResult(result)) }
        })
    }

    async fn act(
        &self,
        id: &v1::CommandId,
        act: &Act,
        trusted: &BTreeSet<Hash16>,
    ) -> Result<BoxFuture<'static, Result<Answer, Fault>>, Fault> {
        let commands = &self.shared.commands;
        if let Some(business) = self.shared.context.businesses.get(&self.principal.business) {
            routing::check(business, &self.principal, act, commands.clock.wall_ms())?;
        }
        let known = |conversation: Hash16| trusted.contains(&conversation);
        let pending = commands.act(&self.principal, Some(id), act, known).await?;
        let shared = Arc::clone(&self.shared);
        Ok(Box::pin(async move {
            let decided = shared.commands.decided(pending).await?;
            Ok((convert::command_answer(&decided.answer), decided.position))
        }))
    }

    async fn desk(
        &self,
        id: &v1::CommandId,
        command: impl FnOnce(domain::CommandId) -> Result<DeskCommand, Fault>,
    ) -> Result<BoxFuture<'static, Result<Answer, Fault>>, Fault> {
        let commands = &self.shared.commands;
        let id = commands.command_id(&self.principal, Some(id))?;
        let key = commands.command_key(id, self.session.workspace);
        let pending = commands.desk(&self.session, command(id)?, key).await?;
        Ok(Box::pin(async move {
            let answered = pending.answer().await?;
            let answer = decode_workspace(&answered)?;
            Ok((convert::workspace_answer(&answer), position(&answered)))
        }))
    }
}

/// Key of what a session tells without a command id.
pub(super) fn tell_key(shared: &Shared, session: &SessionKey, n: u64) -> bus::Key {
    shared.commands.key("session", &[&session.id.0.0, &n.to_be_bytes()])
}

fn offer_of(id: &str) -> Result<domain::OfferId, Fault> {
    convert::parse_offer_id(id).ok_or_else(|| Fault::invalid("offer_id: it is no offer's id"))
}
