//! Bulk: messages one after another on a stream, each answered by itself.
//!
//! A bounded number is worked on at once; what comes faster stays in HTTP/2's window, so a fast client is slowed down and nothing
//! is kept here. Room is asked for many messages at a time. What is refused for want of room was given to nobody; what
//! was given to its conversation is durable there, and answered again under the same key.

use std::{sync::Arc, time::Duration};

use api::v1::{
    OutboundMessage, SubmitRefused, SubmitResult, SubmitStreamRequest, SubmitStreamResponse,
    submit_result,
};
use futures::{Stream, StreamExt as _, stream};
use tonic::{Status, Streaming};

use super::{OutboundService, Room, Sender, refused, sender};
use crate::{metrics, tokens::Principal};

/// Messages worked on at once.
const IN_FLIGHT_MAX: usize = 64;
/// Room asked for at a time.
const ROOM_CHUNK: u32 = 64;
/// A full number is asked again after this long at most, ms.
const ASK_AGAIN_MS: u64 = 1_000;

/// One stream of messages.
struct Intake {
    service: OutboundService,
    principal: Arc<Principal>,
    incoming: Streaming<SubmitStreamRequest>,
    /// The number of the message before.
    phone_number_id: String,
    /// Messages for which the number has room, as it said.
    left: u32,
    /// The number was full, and is asked again then (our time since boot).
    full_until_ms: u64,
    /// The stream has ended with an error.
    broken: bool,
}

/// A message, and whether it may go on to its conversation.
struct Admitted {
    phone_number_id: String,
    message: OutboundMessage,
    refused: Option<SubmitRefused>,
}

/// The answers, in the order of the messages.
pub(super) fn answers(
    service: OutboundService,
    principal: Arc<Principal>,
    incoming: Streaming<SubmitStreamRequest>,
) -> impl Stream<Item = Result<SubmitStreamResponse, Status>> + Send + 'static {
    let intake = Intake {
        service: service.clone(),
        principal: Arc::clone(&principal),
        incoming,
        phone_number_id: String::new(),
        left: 0,
        full_until_ms: 0,
        broken: false,
    };
    let admitted = stream::unfold(intake, |mut intake| async move {
        let next = intake.next().await?;
        Some((next, intake))
    });
    admitted
        .map(move |admitted| submit(service.clone(), Arc::clone(&principal), admitted))
        .buffered(IN_FLIGHT_MAX)
}

async fn submit(
    service: OutboundService,
    principal: Arc<Principal>,
    admitted: Result<Admitted, Status>,
) -> Result<SubmitStreamResponse, Status> {
    let Admitted { phone_number_id, message, refused } = admitted?;
    let result = match refused {
        Some(refused) => {
            SubmitResult { key: message.key, result: Some(submit_result::Result::Refused(refused)) }
        }
        None => {
            let business = service.0.business(&principal)?;
            let sender = sender(&principal, business, &phone_number_id)?;
            service.submit_one(&sender, &message).await
        }
    };
    Ok(SubmitStreamResponse { result: Some(result) })
}

impl Intake {
    /// The next message; none when the client has sent all of them, or the server stops.
    async fn next(&mut self) -> Option<Result<Admitted, Status>> {
        if self.broken {
            return None;
        }
        let shutdown = self.service.0.shutdown.clone();
        let next = tokio::select! {
            next = self.incoming.next() => next?,
            () = shutdown.begun() => {
                Err(Status::unavailable("the server is stopping: repeat what has no answer"))
            }
        };
        self.broken = next.is_err();
        match next {
            Ok(request) => Some(self.admit(request).await),
            Err(status) => Some(Err(status)),
        }
    }

    async fn admit(&mut self, request: SubmitStreamRequest) -> Result<Admitted, Status> {
        let SubmitStreamRequest { phone_number_id, message } = request;
        if !phone_number_id.is_empty() && phone_number_id != self.phone_number_id {
            self.phone_number_id = phone_number_id;
            (self.left, self.full_until_ms) = (0, 0);
        }
        let refused = self.refusal().await?;
        if refused.is_some() {
            metrics::command("submit", "refused");
        }
        let (phone_number_id, message) =
            (self.phone_number_id.clone(), message.unwrap_or_default());
        Ok(Admitted { phone_number_id, message, refused })
    }

    /// Why the next message may not go on; what has room uses it up.
    async fn refusal(&mut self) -> Result<Option<SubmitRefused>, Status> {
        let (service, principal) = (self.service.clone(), Arc::clone(&self.principal));
        let business = service.0.business(&principal)?;
        let phone_number_id = self.phone_number_id.clone();
        let sender = match sender(&principal, business, &phone_number_id) {
            Ok(sender) => sender,
            Err(fault) => return Ok(Some(refused(&fault))),
        };
        if self.left == 0 {
            let now_ms = service.0.commands.clock.boot_us() / 1_000;
            if let Some(wait_ms) = self.full_until_ms.checked_sub(now_ms).filter(|ms| *ms > 0) {
                return Ok(Some(no_room(wait_ms)));
            }
            let refused = self.ask_room(&sender, now_ms).await;
            if refused.is_some() {
                return Ok(refused);
            }
        }
        self.left = self.left.saturating_sub(1);
        Ok(None)
    }

    /// Asks the number for room; says why there is none.
    async fn ask_room(&mut self, sender: &Sender<'_>, now_ms: u64) -> Option<SubmitRefused> {
        let room = match self.service.room(sender, ROOM_CHUNK).await {
            Ok(room) => room,
            Err(fault) => return Some(refused(&fault)),
        };
        let Room { waiting, limit, retry_after_ms } = room;
        self.left = match retry_after_ms {
            0 => ROOM_CHUNK,
            _ => limit.saturating_sub(waiting).min(ROOM_CHUNK),
        };
        if self.left > 0 {
            return None;
        }
        let wait_ms = retry_after_ms.min(ASK_AGAIN_MS);
        self.full_until_ms = now_ms.saturating_add(wait_ms);
        Some(no_room(wait_ms))
    }
}

/// The refusal of one message for which the number has no room.
fn no_room(wait_ms: u64) -> SubmitRefused {
    SubmitRefused {
        reason: "RESOURCE_EXHAUSTED".to_owned(),
        text: format!("the number has no room; nothing was taken on: repeat it in {wait_ms} ms"),
        retry_after: prost_types::Duration::try_from(Duration::from_millis(wait_ms)).ok(),
    }
}
