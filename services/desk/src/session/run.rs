//! The life of an open session: one loop over everything that can happen to it.

use std::{collections::BTreeSet, pin::pin, sync::Arc};

use api::{
    convert,
    v1::{
        CommandResult, DeskEvent, DeskRequest, Presence, ServerHeartbeat, desk_event::Event,
        desk_request::Request,
    },
};
use bus::Signal;
use chassis::task::{self, TaskKind};
use domain::{
    Hash16, Sealed,
    conversation::ConversationSignal,
    persist,
    workspace::{DeskCommand, WorkspaceChange, WorkspaceSignal},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep},
};
use tonic::{Status, Streaming};

use super::{
    End, Session,
    open::Opened,
    outbox::Outbox,
    relay::{Relay, Verdict},
    watch::{News, Watches},
    worker::{self, Job, What},
};
use crate::{command::Act, fault::Fault, metrics, wire};

/// What a running session knows.
struct Live<'a> {
    session: &'a Session,
    outbox: &'a Outbox,
    relay: Relay,
    watches: Watches,
    jobs: mpsc::Sender<Job>,
    /// Conversations the agent was offered or has: they are its business's.
    trusted: Arc<BTreeSet<Hash16>>,
}

impl Session {
    /// Serves an open session until it ends.
    pub(super) async fn run(
        &self,
        opened: Opened,
        mut requests: Streaming<DeskRequest>,
        outbox: &Outbox,
    ) -> End {
        let options = &self.shared.options;
        let (worker, mut jobs) = worker::channel(
            Arc::clone(&self.shared),
            Arc::clone(&self.principal),
            self.key.clone(),
        );
        let _worker =
            task::spawn_abort_on_drop(TaskKind::Connection, "desk_commands", worker.run());
        let mut live = Live {
            session: self,
            outbox,
            relay: Relay::new(),
            watches: Watches::new(),
            jobs: jobs.queue.clone(),
            trusted: Arc::default(),
        };
        let mut signals = opened.signals;
        let mut heartbeat = interval(options.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Not at once: the snapshot of the sign-in is on its way.
        heartbeat.reset();
        let mut resync = interval(options.resync_after);
        resync.reset();
        let mut silence = pin!(sleep(options.silence_max));
        let mut life = self.life.clone();
        loop {
            let step = tokio::select! {
                request = requests.message() => {
                    silence.set(sleep(options.silence_max));
                    live.on_request(request)
                }
                signal = signals.next() => live.on_signal(signal).await,
                Some(news) = live.watches.next() => live.on_news(news),
                Some(answer) = jobs.answers.recv() => outbox.push(answer),
                _ = heartbeat.tick() => live.on_heartbeat(),
                _ = resync.tick() => live.tell(DeskCommand::Resync),
                () = silence.as_mut() => Err(End::Silent),
                () = outbox.closed() => Err(End::Left),
                // Its end is this session's end, and so is the process'.
                _ = life.changed() => Err(End::Stopping),
                () = self.shared.shutdown.begun() => Err(End::Stopping),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }
}

type Step = Result<(), End>;

impl Live<'_> {
    fn on_heartbeat(&mut self) -> Step {
        if !self.session.shared.tokens.is_current(&self.session.principal) {
            return Err(End::Revoked);
        }
        if self.relay.waits() {
            self.resync()?;
        }
        let last_number = self.relay.last();
        self.outbox.push_plain(Event::Heartbeat(ServerHeartbeat { last_number }))
    }

    fn resync(&mut self) -> Step {
        ::metrics::counter!(metrics::RESYNCS_TOTAL).increment(1);
        self.tell(DeskCommand::Resync)
    }

    fn tell(&self, command: DeskCommand) -> Step {
        self.jobs.try_send(Job::Tell(command)).map_err(|_| {
            End::Refused(Status::resource_exhausted("too many requests at once; connect again"))
        })
    }

    async fn on_signal(&mut self, signal: Option<Result<Signal, u64>>) -> Step {
        let signal = match signal {
            Some(Ok(signal)) => signal,
            Some(Err(_)) => {
                self.relay.lost();
                return self.resync();
            }
            None => return Err(End::Stopping),
        };
        let signal: WorkspaceSignal = match persist::decode(&signal.body) {
            Ok(signal) => signal,
            Err(error) => {
                tracing::error!(%error, "a signal of the workspace cannot be read");
                return Ok(());
            }
        };
        if signal.change == WorkspaceChange::Replaced {
            self.forward(&signal)?;
            return Err(End::Replaced);
        }
        let is_snapshot = matches!(signal.change, WorkspaceChange::Snapshot { .. });
        match self.relay.admit(signal.n, is_snapshot) {
            Verdict::Drop => Ok(()),
            Verdict::Resync => self.resync(),
            Verdict::Forward => {
                // Watched before the client is told, so that what follows is not missed.
                if self.watch(&signal.change).await.is_err() {
                    return Err(End::Stopping);
                }
                self.forward(&signal)
            }
        }
    }

    fn forward(&self, signal: &WorkspaceSignal) -> Step {
        let commands = &self.session.shared.commands;
        let business = &self.session.principal.business;
        let fields = |sealed: &Sealed| commands.collected(business, sealed);
        let event = Some(convert::workspace_change(&signal.change, &fields));
        self.outbox.push(DeskEvent { number: signal.n, position: None, event })
    }

    async fn watch(&mut self, change: &WorkspaceChange) -> Result<(), bus::BusError> {
        let signals = self.session.shared.commands.bus.signals.as_ref();
        match change {
            WorkspaceChange::Snapshot { offers, assigned, .. } => {
                let assigned: BTreeSet<_> =
                    assigned.iter().map(|(_, conversation)| conversation.hash).collect();
                self.watches.set(signals, &assigned).await?;
                let offered = offers.iter().map(|offer| offer.conversation.hash);
                self.trusted = Arc::new(assigned.iter().copied().chain(offered).collect());
            }
            WorkspaceChange::Offered(offer) => {
                Arc::make_mut(&mut self.trusted).insert(offer.conversation.hash);
            }
            WorkspaceChange::Assigned { conversation, .. } => {
                self.watches.add(signals, conversation.hash).await?;
                Arc::make_mut(&mut self.trusted).insert(conversation.hash);
            }
            WorkspaceChange::Unassigned { conversation, .. } => {
                self.watches.remove(conversation.hash);
            }
            WorkspaceChange::OfferEnded { .. }
            | WorkspaceChange::Replaced
            | WorkspaceChange::Missed
            | WorkspaceChange::WrapUpBegan(_)
            | WorkspaceChange::WrapUpEnded { .. } => {}
        }
        Ok(())
    }

    fn on_news(&mut self, news: News) -> Step {
        let (conversation, body) = match news {
            News::Signal(conversation, body) => (conversation, body),
            // The snapshot tells the client to look at its threads again.
            News::Lost => return self.resync(),
        };
        let signal: ConversationSignal = match persist::decode(&body) {
            Ok(signal) => signal,
            Err(error) => {
                tracing::error!(%error, "a signal of a conversation cannot be read");
                return Ok(());
            }
        };
        let commands = &self.session.shared.commands;
        let business = &self.session.key.business;
        let event = wire::news(&commands.archive, business, conversation, &signal);
        self.outbox.push_plain(event)
    }

    fn on_request(&mut self, request: Result<Option<DeskRequest>, Status>) -> Step {
        let request = match request {
            Ok(Some(request)) => request,
            Ok(None) | Err(_) => return Err(End::Left),
        };
        let what = match request.request {
            None => {
                let status = Status::invalid_argument("a request without content; see desk.proto");
                return Err(End::Refused(status));
            }
            Some(Request::SignIn(_)) => {
                let status = Status::invalid_argument("sign_in comes once, first");
                return Err(End::Refused(status));
            }
            Some(Request::Heartbeat(_)) => return Ok(()),
            Some(Request::Resync(_)) => return self.resync(),
            Some(Request::OfferDelivered(delivered)) => {
                return match convert::parse_offer_id(&delivered.offer_id) {
                    Some(offer) => self.tell(DeskCommand::Delivered { offer }),
                    None => {
                        Err(End::Refused(Status::invalid_argument("offer_id: it is no offer's id")))
                    }
                };
            }
            Some(Request::SetPresence(set)) => {
                let wire = Presence::try_from(set.presence).unwrap_or(Presence::Unspecified);
                convert::presence_from_wire(wire)
                    .map(What::Presence)
                    .ok_or_else(|| Fault::invalid("presence: use AVAILABLE or AWAY"))
            }
            Some(Request::AcceptOffer(accept)) => Ok(What::Accept(accept.offer_id)),
            Some(Request::RejectOffer(reject)) => Ok(What::Reject(reject.offer_id, reject.reason)),
            Some(Request::Send(send)) => Ok(What::Act(Act::Send(Box::new(send)))),
            Some(Request::Note(note)) => Ok(What::Act(Act::Note(note))),
            Some(Request::EndWrapUp(end)) => Ok(What::EndWrapUp(end.conversation_id)),
            Some(Request::Resolve(resolve)) => Ok(What::Act(Act::Resolve(resolve))),
            Some(Request::Transfer(transfer)) => Ok(What::Act(Act::Transfer(transfer))),
            Some(Request::Requeue(requeue)) => Ok(What::Act(Act::Requeue(requeue))),
            Some(Request::Snooze(snooze)) => Ok(What::Act(Act::Snooze(snooze))),
            Some(Request::Assign(assign)) => Ok(What::Act(Act::Assign(assign))),
            Some(Request::SetVip(set)) => Ok(What::Act(Act::SetVip(set))),
        };
        let id = request.command_id.unwrap_or_default();
        let refused = match what {
            Err(fault) => fault,
            Ok(what) => {
                let job = Job::Command { id: id.clone(), what, trusted: Arc::clone(&self.trusted) };
                match self.jobs.try_send(job) {
                    Ok(()) => return Ok(()),
                    Err(_) => Fault::Ask(crate::ask::AskError::Full),
                }
            }
        };
        let result = CommandResult { command_id: Some(id), result: Some(refused.to_answer()) };
        self.outbox.push_plain(Event::CommandResult(result))
    }
}
