//! A request body that asks, at the moment it is about to leave, whether it still may.
//!
//! HTTP/1 hands the head and the first piece of the body to the socket together, and no server acts
//! on half a body. So the moment the body is taken is the moment after which the message may have
//! been sent, and not before: looking at it later tells certainly-not-sent from unknown, whatever
//! went wrong and however long the connection took.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

const WAITING: u8 = 0;
const RELEASED: u8 = 1;
const REFUSED: u8 = 2;
const CLOSED: u8 = 3;

/// Where the body is, shared with whoever waits for the answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Departure(Arc<AtomicU8>);

/// What is certain about the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// It may have reached Meta.
    Left,
    /// The caller's check refused it.
    Refused,
    /// It never left and never will.
    Kept,
}

impl Departure {
    /// Closes the door. After this the answer does not change any more.
    pub(super) fn close(&self) -> Whereabouts {
        match self.0.compare_exchange(WAITING, CLOSED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) | Err(CLOSED) => Whereabouts::Kept,
            Err(REFUSED) => Whereabouts::Refused,
            Err(_) => Whereabouts::Left,
        }
    }

    fn pass(&self, may_start: bool) -> bool {
        let next = if may_start { RELEASED } else { REFUSED };
        self.0.compare_exchange(WAITING, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
            && may_start
    }
}

/// The error a refused body ends with; it only stops the connection.
#[derive(Debug, thiserror::Error)]
#[error("the request was held back")]
pub(super) struct HeldBack;

/// The body.
pub(super) struct GuardedBody<F> {
    content: Bytes,
    may_start: F,
    departure: Departure,
    is_done: bool,
}

impl<F> fmt::Debug for GuardedBody<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuardedBody({} bytes)", self.content.len())
    }
}

impl<F> GuardedBody<F> {
    pub(super) fn new(content: Bytes, may_start: F, departure: Departure) -> Self {
        Self { content, may_start, departure, is_done: false }
    }
}

impl<F: FnMut() -> bool + Unpin> Body for GuardedBody<F> {
    type Data = Bytes;
    type Error = HeldBack;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HeldBack>>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        self.is_done = true;
        let may_start = (self.may_start)();
        let frame = if self.departure.pass(may_start) {
            Ok(Frame::data(std::mem::take(&mut self.content)))
        } else {
            Err(HeldBack)
        };
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.is_done
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(
        body: &mut GuardedBody<impl FnMut() -> bool + Unpin>,
    ) -> Option<Result<Bytes, HeldBack>> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match Pin::new(body).poll_frame(&mut context) {
            Poll::Ready(frame) => frame.map(|frame| frame.map(|frame| frame.into_data().unwrap())),
            Poll::Pending => panic!("never pending"),
        }
    }

    #[test]
    fn released_once_and_then_gone() {
        let departure = Departure::default();
        let mut body = GuardedBody::new(Bytes::from_static(b"x"), || true, departure.clone());
        assert_eq!(body.size_hint().exact(), Some(1));
        assert_eq!(poll(&mut body).unwrap().unwrap(), "x");
        assert!(poll(&mut body).is_none());
        assert_eq!(departure.close(), Whereabouts::Left);
    }

    #[test]
    fn refused_by_the_check() {
        let departure = Departure::default();
        let mut body = GuardedBody::new(Bytes::from_static(b"x"), || false, departure.clone());
        assert!(poll(&mut body).unwrap().is_err());
        assert_eq!(departure.close(), Whereabouts::Refused);
    }

    #[test]
    fn closed_before_it_left_it_never_leaves() {
        let departure = Departure::default();
        let mut body = GuardedBody::new(Bytes::from_static(b"x"), || true, departure.clone());
        assert_eq!(departure.close(), Whereabouts::Kept);
        assert!(
            poll(&mut body).unwrap().is_err(),
            "a connection that comes up late must not send it"
        );
        assert_eq!(departure.close(), Whereabouts::Kept);
    }
}
