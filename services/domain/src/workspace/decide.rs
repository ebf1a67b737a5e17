//! One decision: the handler of the input, then what is due, lost or left over.

use std::collections::BTreeMap;

use super::{
    DeskCommand, RoutingHints, WorkspaceAnswer, WorkspaceChange, WorkspaceEvent, WorkspaceInput,
    WorkspaceSignal, board, draft::Draft, matching, on_claimed, on_configure, on_desk, on_dropped,
    on_wanted, settle, state::Workspace, wrap_up,
};
use crate::{AgentId, EntityId, Millis, Outcome, SessionId, effect::OutSignal};

/// Events after which a decision takes up nothing new (a step may have 256; what one more action adds fits in the
/// rest).
const EVENTS_SOFT_MAX: usize = 150;

/// Why a workspace decides.
#[derive(Clone, Copy, Debug)]
pub enum Occasion<'a> {
    /// Something was told.
    Input {
        /// Idempotency key of the input.
        key: [u8; 16],
        /// The input.
        input: &'a WorkspaceInput,
    },
    /// The time stated by [`Workspace::wake_ms`] has come. Deciding too early is harmless.
    Wake,
}

/// A decision in the making.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) now_ms: Millis,
    pub(super) draft: Draft<'a>,
    pub(super) out: Outcome<WorkspaceEvent, WorkspaceAnswer>,
    /// Last signal numbers of sessions signalled in this decision.
    numbers: BTreeMap<AgentId, (SessionId, u64)>,
}

impl Workspace {
    /// Decides. Changes nothing: the events do, by [`apply`](Self::apply).
    ///
    /// `_me` is the workspace itself; nothing it decides needs it so far.
    #[must_use]
    pub fn decide(
        &self,
        _me: EntityId,
        occasion: Occasion<'_>,
        now_ms: Millis,
    ) -> Outcome<WorkspaceEvent, WorkspaceAnswer> {
        if let Occasion::Input { input, .. } = occasion
            && let Some(answer) = board::answer(self, input, now_ms)
        {
            return Outcome { reply: Some(answer), ..Outcome::default() };
        }
        let mut turn = Turn::new(self, now_ms);
        matching::touch_leftovers(&mut turn, self);
        match occasion {
            Occasion::Input { input, .. } => turn.on_input(input),
            Occasion::Wake => settle::on_wake(&mut turn),
        }
        settle::settle(&mut turn);
        turn.finish()
    }

    /// When the workspace wants to decide again by itself.
    #[must_use]
    pub fn wake_ms(&self) -> Option<Millis> {
        settle::wake_ms(self)
    }
}

impl<'a> Turn<'a> {
    fn new(workspace: &'a Workspace, now_ms: Millis) -> Self {
        Self {
            now_ms,
            draft: Draft::new(workspace),
            out: Outcome::default(),
            numbers: BTreeMap::new(),
        }
    }

    fn on_input(&mut self, input: &WorkspaceInput) {
        match input {
            WorkspaceInput::Configure(config) => on_configure::on_configure(self, config),
            WorkspaceInput::Wanted {
                item,
                version,
                conversation,
                queue,
                since_ms,
                priority,
                hints,
            } => {
                let wanted = on_wanted::Wanted {
                    item: *item,
                    version: *version,
                    conversation: *conversation,
                    queue,
                    since_ms: *since_ms,
                    priority: *priority,
                    hints,
                };
                on_wanted::on_wanted(self, &wanted);
            }
            WorkspaceInput::Dropped { item, version, conversation } => {
                on_dropped::on_dropped(self, *item, *version, *conversation);
            }
            WorkspaceInput::Finished { item, version, conversation, agent, wrap_up } => {
                let which = (*item, *version, *conversation);
                wrap_up::on_finished(self, which, agent, *wrap_up);
            }
            WorkspaceInput::Claimed { item, version, conversation, agent, queue, since_ms } => {
                let wanted = on_wanted::Wanted {
                    item: *item,
                    version: *version,
                    conversation: *conversation,
                    queue,
                    since_ms: *since_ms,
                    priority: 0,
                    hints: &RoutingHints::default(),
                };
                on_claimed::on_claimed(self, &wanted, agent);
            }
            WorkspaceInput::Desk { agent, session, command } => {
                self.on_desk(agent, *session, command);
            }
            // Answered before anything is decided.
            WorkspaceInput::ListWaiting { .. } | WorkspaceInput::ListAgents { .. } => {}
        }
    }

    fn on_desk(&mut self, agent: &AgentId, session: SessionId, command: &DeskCommand) {
        self.out.reply = Some(on_desk::on_desk(self, agent, session, command));
    }

    fn finish(mut self) -> Outcome<WorkspaceEvent, WorkspaceAnswer> {
        for (agent, (session, n)) in std::mem::take(&mut self.numbers) {
            self.record(WorkspaceEvent::Signalled { agent, session, n });
        }
        self.out
    }

    /// Records an event and sees it at once.
    pub(super) fn record(&mut self, event: WorkspaceEvent) {
        self.draft.apply(&event);
        self.out.events.push(event);
    }

    /// Whether the step has room for another action.
    pub(super) fn has_room(&self) -> bool {
        self.out.events.len() + self.numbers.len() < EVENTS_SOFT_MAX
    }

    /// Tells an agent's open session of a change; nobody, when none is open.
    pub(super) fn signal(&mut self, agent: &AgentId, change: WorkspaceChange) {
        let Some(open) = self.draft.agent(agent).and_then(|agent| agent.session.as_ref()) else {
            return;
        };
        let session = open.id;
        let last = match self.numbers.get(agent) {
            Some((numbered, n)) if *numbered == session => *n,
            _ => open.signals,
        };
        let n = last + 1;
        self.numbers.insert(agent.clone(), (session, n));
        self.out.signals.push(OutSignal::Session(session, WorkspaceSignal { n, change }));
    }
}
