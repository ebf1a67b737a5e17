//! Events on their way to one client: bounded, never waited for. A client that lets the queue fill up is cut off.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use api::v1::{DeskEvent, desk_event::Event};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::Status;

use super::End;

/// The session's end of the queue.
pub(super) struct Outbox {
    events: mpsc::Sender<DeskEvent>,
    end: oneshot::Sender<Option<Status>>,
}

/// What the client reads: the queue, then how it ended.
#[derive(Debug)]
pub(crate) struct EventStream {
    events: mpsc::Receiver<DeskEvent>,
    end: Option<oneshot::Receiver<Option<Status>>>,
}

pub(super) fn channel(queue_max: usize) -> (Outbox, EventStream) {
    let (sender, events) = mpsc::channel(queue_max.max(1));
    let (end, ended) = oneshot::channel();
    (Outbox { events: sender, end }, EventStream { events, end: Some(ended) })
}

impl Outbox {
    /// Queues an event.
    pub(super) fn push(&self, event: DeskEvent) -> Result<(), End> {
        self.events.try_send(event).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => End::Slow,
            mpsc::error::TrySendError::Closed(_) => End::Left,
        })
    }

    /// Queues an event that carries no number.
    pub(super) fn push_plain(&self, event: Event) -> Result<(), End> {
        self.push(DeskEvent { number: 0, position: None, event: Some(event) })
    }

    /// Resolves when nobody reads any more.
    pub(super) async fn closed(&self) {
        self.events.closed().await;
    }

    /// Ends the stream after what is queued.
    pub(super) fn end(self, status: Option<Status>) {
        // A client that is gone needs no status.
        let _ = self.end.send(status);
    }
}

impl Stream for EventStream {
    type Item = Result<DeskEvent, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = ready!(self.events.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(event)));
        }
        let Some(end) = &mut self.end else { return Poll::Ready(None) };
        let ended = ready!(Pin::new(end).poll(cx));
        self.end = None;
        Poll::Ready(match ended {
            Ok(status) => status.map(Err),
            Err(_) => Some(Err(Status::internal("the session failed; connect again"))),
        })
    }
}
