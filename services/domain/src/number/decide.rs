//! One decision: the handler of the input, then what is due, then what may leave.

use super::{
    CallAnswer, NumberAnswer, NumberEvent, NumberInput, draft::Draft, lanes, look, on_echo,
    on_fetch, on_request, on_result, on_status, reconcile, settle, state::Number,
};
use crate::{
    EntityId, Millis, Outcome, RequestId, ToEntity,
    conversation::{ConversationInput, SendOutcome},
    effect::CallKey,
};

/// Events after which a decision takes up nothing new (a step may have 256).
const EVENTS_SOFT_MAX: usize = 150;

/// Why a number decides.
#[derive(Clone, Copy, Debug)]
pub enum Occasion<'a> {
    /// Something was told.
    Input {
        /// Idempotency key of the input.
        key: [u8; 16],
        /// The input.
        input: &'a NumberInput,
    },
    /// The result of a call.
    CallResult {
        /// Which attempt of which request.
        key: CallKey,
        /// What came of it.
        answer: &'a CallAnswer,
    },
    /// The time stated by [`Number::wake_ms`] has come. Deciding too early is harmless.
    Wake,
}

/// A decision in the making.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) me: EntityId,
    pub(super) now_ms: Millis,
    /// Until then calls asked for by an earlier owner may run.
    pub(super) foreign_calls_over_ms: Millis,
    /// Format level of what is written.
    pub(super) level: u16,
    pub(super) draft: Draft<'a>,
    pub(super) out: Outcome<NumberEvent, NumberAnswer>,
}

impl Number {
    /// Decides. Changes nothing: the events do, by [`apply`](Self::apply).
    ///
    /// `foreign_calls_over_ms`: earliest moment at which a call asked for by an earlier owner of the partition can be
    /// over, 0 when none can be running. An attempt without a result is not judged before.
    ///
    /// `level`: the format level of the installation; below [`ASKS_FROM_LEVEL`](super::ASKS_FROM_LEVEL) nobody is asked.
    #[must_use]
    pub fn decide(
        &self,
        me: EntityId,
        occasion: Occasion<'_>,
        now_ms: Millis,
        foreign_calls_over_ms: Millis,
        level: u16,
    ) -> Outcome<NumberEvent, NumberAnswer> {
        let draft = Draft::new(self);
        let out = Outcome::default();
        let mut turn = Turn { me, now_ms, foreign_calls_over_ms, level, draft, out };
        match occasion {
            Occasion::Input { input, .. } => turn.on_input(input),
            Occasion::CallResult { key, answer } => on_result::on_result(&mut turn, key, answer),
            Occasion::Wake => settle::on_wake(&mut turn),
        }
        settle::let_go_of_inherited(&mut turn);
        settle::run_timers(&mut turn);
        lanes::grant(&mut turn);
        turn.out
    }

    /// When the number wants to decide again by itself.
    #[must_use]
    pub fn wake_ms(&self) -> Option<Millis> {
        settle::wake_ms(self)
    }
}

impl Turn<'_> {
    fn on_input(&mut self, input: &NumberInput) {
        match input {
            NumberInput::Configure(config) => {
                let core = self.draft.core();
                // A stopped number starts again with any configuration: the operator has acted.
                let stopped = core.paused_until_ms == Millis::MAX || core.pause.is_some();
                if core.config.as_ref() != Some(config) || stopped || !core.lanes.is_empty() {
                    self.record(NumberEvent::Configured(config.clone()));
                }
            }
            NumberInput::Request(request) => on_request::on_request(self, request),
            NumberInput::Cancel { request, not_after_ms } => {
                on_request::on_cancel(self, *request, *not_after_ms);
            }
            NumberInput::StatusSeen { request, message, wamid, failed, at_ms } => {
                let seen = on_status::Seen { message: *message, wamid, at_ms: *at_ms };
                on_status::on_status(self, *request, &seen, *failed);
            }
            NumberInput::MarketingWished { requests, stopped } => {
                on_request::on_marketing_wished(self, requests, *stopped);
            }
            NumberInput::Room { wanted } => {
                self.out.reply = Some(lanes::room(&self.draft, *wanted, self.now_ms));
            }
            NumberInput::Look { requests } => {
                self.out.reply = Some(look::waits(&self.draft, requests, self.now_ms));
            }
            NumberInput::Departed { calls } => on_request::on_departed(self, calls),
            NumberInput::Mark { request, message, typing } => {
                on_request::on_mark(self, *request, message, *typing);
            }
            NumberInput::EchoSeen { conversation, message, text_hash, at_ms } => {
                on_echo::on_echo(self, *conversation, *message, *text_hash, *at_ms);
            }
            NumberInput::Fetch { after } => on_fetch::on_fetch(self, *after),
            NumberInput::Parked(parked) => self.record(NumberEvent::Parked(parked.clone())),
            NumberInput::Heard { call, anything } => reconcile::on_heard(self, *call, *anything),
            NumberInput::GiveUp => on_request::on_give_up(self),
        }
    }

    /// Records an event and sees it at once.
    pub(super) fn record(&mut self, event: NumberEvent) {
        self.draft.apply(&event);
        self.out.events.push(event);
    }

    /// Whether the step has room for another action.
    pub(super) fn has_room(&self) -> bool {
        self.out.events.len() < EVENTS_SOFT_MAX
    }

    /// Ends a request (or corrects its end) and tells its conversation.
    pub(super) fn end(&mut self, request: RequestId, outcome: SendOutcome) {
        use super::state::Request;
        let conversation = match self.draft.request(request) {
            Some(Request::Live(live)) => live.request.conversation,
            Some(Request::Ended(ended)) => ended.conversation,
            None => return,
        };
        let at_ms = self.now_ms;
        self.record(NumberEvent::Ended { request, outcome: outcome.clone(), at_ms });
        self.tell(conversation, request, outcome);
    }

    /// Ends a request of which no attempt is known to have left: with `outcome`, or as unknown when an earlier attempt's
    /// outcome was never found out.
    pub(super) fn end_unsent(&mut self, request: RequestId, outcome: SendOutcome) {
        let doubtful = self.draft.live(request).is_some_and(|live| live.tries.unknown > 0);
        self.end(request, if doubtful { SendOutcome::Unknown } else { outcome });
    }

    /// Ends a request whose time has passed: with why it had to wait, where that is known.
    pub(super) fn end_lapsed(&mut self, request: RequestId) {
        let refused = self.draft.live(request).and_then(|live| live.refused.clone());
        let outcome = match (refused, lanes::why_it_waited(self.draft.core())) {
            (_, Some((code, reason))) => {
                SendOutcome::Failed { code, told: reason.told().to_owned() }
            }
            (Some(it), None) => SendOutcome::Failed { code: it.code, told: it.told },
            (None, None) => SendOutcome::Cancelled,
        };
        self.end_unsent(request, outcome);
    }

    /// Tells a conversation what came of a request.
    pub(super) fn tell(&mut self, to: EntityId, request: RequestId, outcome: SendOutcome) {
        self.tell_conversation(to, ConversationInput::SendOutcome { request, outcome });
    }

    /// Tells a conversation something.
    pub(super) fn tell_conversation(&mut self, to: EntityId, input: ConversationInput) {
        self.out.messages.push(ToEntity::Conversation(to, Box::new(input)));
    }
}
