//! Who may speak, what is taken back when that changes, and the timers of the phone.

use super::{
    Author, ConversationEvent, ConversationTimer, Floor, FloorCause, SendRecord, decide::Step,
    state::PENDING_MAX,
};
use crate::{
    AgentId, MessageId, Millis, RequestId, Sealed,
    content::ContentKind,
    number::{Lane, NumberInput, SendRequest},
};

/// A message as it is to be sent.
pub(super) struct ToSend {
    pub(super) author: Author,
    pub(super) lane: Lane,
    pub(super) kind: ContentKind,
    pub(super) content: Sealed,
    pub(super) marketing: bool,
}

impl Step<'_> {
    /// Gives the floor to `floor`. Who speaks from now on is not disturbed by what the bot still had to say,
    /// except that it may finish handing over, or taking its leave.
    pub(super) fn change_floor(&mut self, floor: Floor, cause: FloorCause) {
        if self.core.floor == floor {
            return;
        }
        let to_bot = matches!(floor, Floor::Bot { .. });
        if !to_bot {
            self.drop_awaited();
        }
        let to_phone = floor == Floor::Phone;
        let at_ms = self.now_ms;
        self.emit(ConversationEvent::FloorChanged { floor, cause, at_ms });
        let says_last = matches!(cause, FloorCause::HandOff | FloorCause::BotEnded);
        if !to_bot && !says_last {
            for request in self.core.pending_bot() {
                self.cancel(request);
            }
        }
        if !to_phone {
            self.set_timer(ConversationTimer::PhoneAnswer, None);
            self.set_timer(ConversationTimer::PhoneFloor, None);
        }
    }

    /// The agent speaks from now on, unless the phone does.
    pub(super) fn give_to_agent(&mut self, agent: AgentId, cause: FloorCause) {
        if self.core.floor != Floor::Phone {
            self.change_floor(Floor::Desk { agent }, cause);
        }
    }

    /// The phone spoke: it has the floor.
    pub(super) fn take_for_phone(
        &mut self,
        message: MessageId,
        at_ms: Millis,
        untold: Option<u64>,
    ) {
        self.emit(ConversationEvent::PhoneSpoke { message, at_ms, untold });
        self.change_floor(Floor::Phone, FloorCause::PhoneEcho);
        // Of the same second nobody knows which was first; then the customer still waits.
        if at_ms > self.core.last_in_ms {
            self.set_waiting(None);
        }
        self.yield_item_to_phone();
        self.time_phone(at_ms);
    }

    /// Timers under the phone after somebody spoke at `at_ms`.
    pub(super) fn time_phone(&mut self, at_ms: Millis) {
        let silence_ms = at_ms.saturating_add(self.rules.phone_floor_timeout_ms);
        let known = self.core.timers.get(&ConversationTimer::PhoneFloor).copied();
        self.set_timer(ConversationTimer::PhoneFloor, Some(known.unwrap_or(0).max(silence_ms)));
        let answer = self.core.waiting_since_ms.map(|since_ms| {
            let known = self.core.timers.get(&ConversationTimer::PhoneAnswer).copied();
            known.unwrap_or_else(|| since_ms.saturating_add(self.rules.phone_answer_timeout_ms))
        });
        self.set_timer(ConversationTimer::PhoneAnswer, answer);
    }

    pub(super) fn set_waiting(&mut self, since_ms: Option<Millis>) {
        if self.core.waiting_since_ms != since_ms {
            self.emit(ConversationEvent::WaitChanged { since_ms });
        }
    }

    /// Whether another send can be taken on.
    pub(super) fn may_request(&self) -> bool {
        self.core.pending.len() < PENDING_MAX && self.core.contact.is_some()
    }

    /// Asks the Number for a send; `None` when nothing is known of the customer.
    pub(super) fn request(&mut self, send: ToSend) -> Option<RequestId> {
        let lapses_ms = self.now_ms.saturating_add(self.rules.send_not_after_ms);
        self.request_until(send, lapses_ms)
    }

    /// As [`Step::request`]; it is not to be started after `lapses_ms`.
    pub(super) fn request_until(&mut self, send: ToSend, lapses_ms: Millis) -> Option<RequestId> {
        let contact = self.core.contact.as_ref()?;
        let (number, recipient) = (contact.via.number, contact.who.clone());
        let ToSend { author, lane, kind, content, marketing } = send;
        let request =
            RequestId { conversation: self.me.hash, n: self.core.request_n.saturating_add(1) };
        let free_form = kind != ContentKind::Template;
        let window_until_ms = self.core.window_until_ms;
        let not_after_ms = if free_form { lapses_ms.min(window_until_ms) } else { lapses_ms };
        self.emit(ConversationEvent::SendRequested(SendRecord {
            request,
            author,
            lane,
            kind: kind.clone(),
            at_ms: self.now_ms,
            content: content.clone(),
            not_after_ms,
            episode: self.core.open_episode(),
        }));
        let send = SendRequest {
            request,
            conversation: self.me,
            customer: self.me.hash,
            lane,
            free_form,
            window_until_ms,
            not_after_ms,
            recipient,
            content,
            kind,
            marketing,
            marketing_stopped: self.core.marketing.is_some_and(|wish| wish.stopped),
        };
        self.tell_number(number, NumberInput::Request(Box::new(send)));
        Some(request)
    }

    /// Takes a send back, if it has not left.
    pub(super) fn cancel(&mut self, request: RequestId) {
        let Some(via) = self.core.via() else { return };
        let Some(pending) = self.core.pending.get(&request).filter(|p| !p.cancelled) else {
            return;
        };
        let not_after_ms = pending.not_after_ms;
        self.emit(ConversationEvent::SendCancelled { request });
        self.tell_number(via.number, NumberInput::Cancel { request, not_after_ms });
    }
}
