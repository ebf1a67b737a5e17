//! Deciding: a flat dispatch, and the step that handlers write into.

use super::{
    BotResult, CommandAnswer, ConversationEvent, ConversationInput, ConversationSignal,
    ConversationTimer, Opened, external, on_address, on_change, on_command, on_echo, on_inbound,
    on_preference, on_send_outcome, on_status, on_wake, on_workspace,
    rules::Rules,
    state::{Conversation, Core},
};
use crate::{
    EntityId, Millis, Outcome, Sealing, ToEntity,
    effect::{BotKey, OutSignal},
    flow::Heard,
    number::NumberInput,
    workspace::WorkspaceInput,
};

/// How far Meta's clock may run ahead of ours before a timestamp is taken as wrong and replaced by our time, ms.
/// A wrong one would otherwise hold a window open, or put every later message below the dedupe horizon.
const AHEAD_MS_MAX: Millis = 300_000;

/// What a conversation decides on.
#[derive(Clone, Copy, Debug)]
pub enum Occasion<'a> {
    /// An input of the inbox.
    Input {
        /// Its idempotency key; of a [`ConversationInput::Forwarded`], the key of that message (the inner key
        /// is taken from inside).
        key: [u8; 16],
        /// The input.
        input: &'a ConversationInput,
        /// What could be opened of it; of a forwarded one, of the inner input.
        opened: &'a Opened,
    },
    /// What came of asking an external bot.
    Bot {
        /// Which attempt of which turn.
        key: BotKey,
        /// What came of it.
        result: &'a BotResult,
    },
    /// A timer may be due.
    Wake,
}

impl Conversation {
    /// Decides. Pure: no clock, no randomness, nothing changed; the events are to be applied by the caller.
    /// What the bot says is sealed by `sealing`, a pure function too.
    #[must_use]
    pub fn decide(
        &self,
        rules: &Rules,
        me: EntityId,
        occasion: Occasion<'_>,
        now_ms: Millis,
        sealing: &dyn Sealing,
    ) -> Outcome<ConversationEvent, CommandAnswer> {
        let core = self.core.clone();
        let out = Outcome::default();
        let mut step =
            Step { base: self, rules, me, now_ms, sealing, sealed_n: 0, said: None, core, out };
        match occasion {
            Occasion::Bot { key, result } => external::on_result(&mut step, key, result),
            Occasion::Wake => on_wake::on_wake(&mut step),
            Occasion::Input { key, input, opened } => dispatch(&mut step, key, input, opened),
        }
        step.out
    }
}

/// An input as a handler sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    /// 64 bits of its key, for the dedupe memory.
    pub(super) key: u64,
    pub(super) opened: &'a Opened,
    /// It came here itself, not through an address that forwards.
    pub(super) direct: bool,
}

fn dispatch(step: &mut Step<'_>, key: [u8; 16], input: &ConversationInput, opened: &Opened) {
    if let ConversationInput::Join { from, paired_at, via } = input {
        return on_address::on_join(step, *from, *paired_at, *via);
    }
    let (key, input, direct) = match input {
        ConversationInput::Forwarded { key, input, .. } => (*key, &**input, false),
        _ => (key, input, true),
    };
    if let Some(to) = on_change::successor(step, input).filter(|_| direct) {
        let (from, input) = (step.me, Box::new(input.clone()));
        return step.tell_conversation(to, ConversationInput::Forwarded { from, key, input });
    }
    if let ConversationInput::Changed(change) = input {
        let arrival = Arrival { key: short(key), opened, direct };
        return on_change::on_change(step, arrival, key, change);
    }
    if let Some(forward) = step.core.forward {
        return on_address::forward_on(step, &forward, key, input);
    }
    let arrival = Arrival { key: short(key), opened, direct };
    match input {
        ConversationInput::Inbound(inbound) => on_inbound::on_inbound(step, arrival, inbound),
        ConversationInput::Echo(echo) => on_echo::on_echo(step, arrival, echo),
        ConversationInput::Status(status) => on_status::on_status(step, status),
        ConversationInput::Command(command) => on_command::on_command(step, command),
        ConversationInput::SendOutcome { request, outcome } => {
            on_send_outcome::on_send_outcome(step, *request, outcome);
        }
        ConversationInput::Workspace { item, version, news } => {
            on_workspace::on_workspace(step, *item, *version, news);
        }
        ConversationInput::EchoWasAutomatic { message } => {
            on_echo::on_echo_was_automatic(step, *message);
        }
        ConversationInput::Absorb { from, state } => on_address::on_absorb(step, *from, state),
        ConversationInput::NothingToJoin { from, forwards } => {
            on_address::on_nothing_to_join(step, *from, *forwards);
        }
        ConversationInput::Preference(preference) => {
            on_preference::on_preference(step, preference);
        }
        ConversationInput::HeardOf { call, number } => {
            on_status::on_heard_of(step, *call, *number);
        }
        // Addresses unwrap before they forward, and nobody forwards a `Join`; changes were dealt with.
        ConversationInput::Forwarded { .. }
        | ConversationInput::Join { .. }
        | ConversationInput::Changed(_) => {}
    }
}

fn short(key: [u8; 16]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = key;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// One decision under way: the small state with this decision's events applied, and what came of it so far.
pub(super) struct Step<'a> {
    /// The state before this decision, for its memories.
    pub(super) base: &'a Conversation,
    pub(super) rules: &'a Rules,
    pub(super) me: EntityId,
    pub(super) now_ms: Millis,
    pub(super) sealing: &'a dyn Sealing,
    /// Values sealed so far.
    pub(super) sealed_n: u32,
    /// What the customer says in this decision, until a bot hears it.
    pub(super) said: Option<Heard>,
    pub(super) core: Core,
    pub(super) out: Outcome<ConversationEvent, CommandAnswer>,
}

impl Step<'_> {
    /// Records an event, and signals it where watchers want it.
    pub(super) fn emit(&mut self, event: ConversationEvent) {
        if let Some(signal) = signal_of(&event) {
            self.signal(signal);
        }
        self.core.apply(&event);
        self.out.events.push(event);
    }

    pub(super) fn signal(&mut self, signal: ConversationSignal) {
        self.out.signals.push(OutSignal::Conversation(self.me, signal));
    }

    pub(super) fn tell_number(&mut self, number: EntityId, input: NumberInput) {
        self.out.messages.push(ToEntity::Number(number, Box::new(input)));
    }

    pub(super) fn tell_conversation(&mut self, to: EntityId, input: ConversationInput) {
        self.out.messages.push(ToEntity::Conversation(to, Box::new(input)));
    }

    /// Nothing is sent while no message has told which workspace it is.
    pub(super) fn tell_workspace(&mut self, input: WorkspaceInput) {
        if let Some(via) = self.core.via() {
            self.out.messages.push(ToEntity::Workspace(via.workspace, Box::new(input)));
        }
    }

    pub(super) fn set_timer(&mut self, timer: ConversationTimer, at_ms: Option<Millis>) {
        if self.core.timers.get(&timer).copied() != at_ms {
            self.emit(ConversationEvent::TimerSet { timer, at_ms });
        }
    }

    /// A Meta timestamp as far as it can be believed.
    pub(super) fn believable(&self, at_ms: Millis) -> Millis {
        if at_ms > self.now_ms.saturating_add(AHEAD_MS_MAX) { self.now_ms } else { at_ms }
    }

    /// Whether free-form messages may be sent now.
    pub(super) fn window_is_open(&self) -> bool {
        self.now_ms < self.core.window_until_ms
    }
}

/// Statuses are signalled by their handler, which knows whether they moved anything.
fn signal_of(event: &ConversationEvent) -> Option<ConversationSignal> {
    Some(match event {
        ConversationEvent::MessageRecorded(record) => ConversationSignal::Message(record.clone()),
        ConversationEvent::SendRequested(record) => ConversationSignal::Requested(record.clone()),
        ConversationEvent::SendResolved { request, outcome, .. } => {
            ConversationSignal::Resolved { request: *request, outcome: outcome.clone() }
        }
        ConversationEvent::FloorChanged { floor, .. } => ConversationSignal::Floor(floor.clone()),
        ConversationEvent::EpisodeResolved { at_ms, .. } => {
            ConversationSignal::EpisodeResolved { at_ms: *at_ms }
        }
        _ => return None,
    })
}
