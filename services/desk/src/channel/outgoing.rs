//! One platform's stream of replies: fetched from the account's entity, so that nothing leaves that is not durable,
//! and handed on at the channel's pace.

use std::{sync::Arc, time::Duration};

use api::{
    convert,
    v1::{AuthorKind, OutgoingResponse},
};
use bus::{BusError, SignalStream};
use domain::{
    BusinessId,
    content::Identity,
    number::{Lane, NumberAnswer, NumberInput, Reply},
    persist,
};
use tokio::sync::{mpsc, watch};
use tonic::Status;

use super::content;
use crate::{ChannelContext, ask::AskError, command::unreadable, fault::Fault, server::Shared};

/// Replies are looked for at least so often: signals are best effort, also the last one.
const FETCH_EVERY: Duration = Duration::from_secs(15);

/// One stream.
pub(super) struct Outbox {
    pub(super) shared: Arc<Shared>,
    pub(super) business: BusinessId,
    pub(super) channel: ChannelContext,
    pub(super) replies: mpsc::Sender<Result<OutgoingResponse, Status>>,
    /// Sequence of the last reply the platform has.
    pub(super) after: u64,
    /// Number of this stream, and of the channel's newest.
    pub(super) number: u64,
    pub(super) newest: watch::Receiver<u64>,
}

/// Why the stream ends.
enum Stop {
    /// The platform is gone.
    Left,
    /// The platform is told.
    Status(Status),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Status(fault.into())
    }
}

impl From<BusError> for Stop {
    fn from(_: BusError) -> Self {
        Self::Status(Fault::Ask(AskError::Closed).into())
    }
}

impl Outbox {
    pub(super) async fn run(mut self) {
        let (replies, shutdown) = (self.replies.clone(), self.shared.shutdown.clone());
        let (mut newest, number) = (self.newest.clone(), self.number);
        let stopped = tokio::select! {
            biased;
            _ = newest.wait_for(|newest| *newest != number) => Stop::Status(Status::aborted(
                "a newer stream of this channel took over; open one stream per channel",
            )),
            () = shutdown.begun() => Stop::from(Fault::Ask(AskError::Closed)),
            () = replies.closed() => Stop::Left,
            stopped = self.follow() => stopped,
        };
        if let Stop::Status(status) = stopped {
            // A platform that is gone needs no status.
            let _ = replies.send(Err(status)).await;
        }
    }

    async fn follow(&mut self) -> Stop {
        match self.hand_out_for_ever().await {
            Ok(never) => match never {},
            Err(stop) => stop,
        }
    }

    async fn hand_out_for_ever(&mut self) -> Result<std::convert::Infallible, Stop> {
        let topic = format!("replies.{}", self.channel.via.number.hash);
        let signals = Arc::clone(&self.shared.commands.bus.signals);
        let mut news: Box<dyn SignalStream> = signals.subscribe(&topic).await?;
        loop {
            while self.hand_out().await? {}
            let next = tokio::time::timeout(FETCH_EVERY, news.next()).await;
            if matches!(next, Ok(None)) {
                news = signals.subscribe(&topic).await?;
            }
        }
    }

    /// Hands out what one fetch brings; says whether there is more.
    async fn hand_out(&mut self) -> Result<bool, Stop> {
        let (replies, more) = self.fetch().await?;
        let pace = Duration::from_secs(1) / self.channel.rate_per_second.max(1);
        for reply in replies {
            self.after = reply.sequence;
            // Whose key was destroyed cannot be written to any more.
            if let Some(response) = self.response(reply) {
                self.replies.send(Ok(response)).await.map_err(|_| Stop::Left)?;
                tokio::time::sleep(pace).await;
            }
        }
        Ok(more)
    }

    async fn fetch(&self) -> Result<(Vec<Reply>, bool), Stop> {
        let commands = &self.shared.commands;
        // Fetching twice is harmless, so each has a key of its own.
        let key = bus::Key(self.shared.random().map_err(Stop::Status)?);
        let fetch = NumberInput::Fetch { after: self.after };
        let account = self.channel.via.number;
        let answered = commands.ask(&self.business, account, key, &fetch).await?;
        match persist::decode(&answered.body).map_err(|error| unreadable(&error))? {
            NumberAnswer::Replies { replies, more } => Ok((replies, more)),
            NumberAnswer::NoChannel | NumberAnswer::Room { .. } | NumberAnswer::Waits { .. } => {
                Err(Stop::Status(Status::unavailable(
                    "the channel is being configured; repeat in a moment",
                )))
            }
        }
    }

    fn response(&self, reply: Reply) -> Option<OutgoingResponse> {
        let commands = &self.shared.commands;
        let who = &reply.recipient;
        let plain = commands.sealer.open(self.business.0.as_bytes(), who.key_id, &who.bytes);
        let identity: Identity = persist::decode(&plain.ok()?).ok()?;
        let author = match reply.lane {
            Lane::Agent => AuthorKind::Agent,
            Lane::Bot | Lane::Utility | Lane::Campaign => AuthorKind::Bot,
        };
        let mut response = OutgoingResponse {
            sequence: reply.sequence,
            opaque_id: convert::opaque_id(reply.request),
            conversation_id: convert::conversation_id(reply.request.conversation),
            customer: Some(content::customer(identity)),
            author: author.into(),
            kind: convert::kind(&reply.kind),
            not_after_ms: convert::ms(reply.not_after_ms),
            again: reply.again,
            ..OutgoingResponse::default()
        };
        content::outbound(&mut response, commands.archive.content(&self.business, &reply.content));
        Some(response)
    }
}
