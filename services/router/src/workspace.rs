//! Hosts a workspace.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::{
    EntityId, QueueId, persist,
    workspace::{Occasion, Part, Workspace, WorkspaceEvent, WorkspaceInput},
};
use runtime::{
    bus::{Event, PartName, SavedPart},
    host::{DecideInput, Decision, EntityError, LiveEntity, Occasion as RuntimeOccasion},
};

use crate::{bridge, metrics, places::Places};

/// Memory of one part, about, bytes.
const PART_WEIGHT: usize = 512;

/// Where more waits than this, counting for metrics is done at most once a second.
const COUNTED_AT_ONCE: usize = 1_000;
const COUNTED_EVERY_MS: u64 = 1_000;

pub(crate) struct HostedWorkspace {
    id: EntityId,
    state: Workspace,
    counted: Counted,
    places: Places,
}

/// What metrics were told last, so that what no longer waits is told as 0.
#[derive(Default)]
struct Counted {
    at_ms: u64,
    known: BTreeMap<(QueueId, &'static str), u64>,
}

impl HostedWorkspace {
    pub(crate) fn load(id: EntityId, parts: &[SavedPart]) -> Result<Self, EntityError> {
        let mut state = Workspace::default();
        for part in parts {
            if let Some(bytes) = &part.bytes {
                let value: Part = persist::decode(bytes).map_err(bridge::refused)?;
                state.put_part(&part.name.0, value);
            }
        }
        let places = Places::of(&state);
        Ok(Self { id, state, counted: Counted::default(), places })
    }

    /// Tells metrics who waits and why, when that may have changed.
    fn count(&mut self) {
        let now_ms = self.state.clock_ms();
        let due_ms = self.counted.at_ms.saturating_add(COUNTED_EVERY_MS);
        if self.state.n_items() > COUNTED_AT_ONCE && now_ms < due_ms {
            return;
        }
        let counts = self.state.waiting_counts(now_ms);
        for gone in self.counted.known.keys().filter(|key| !counts.contains_key(key)) {
            metrics::waiting(self.id, gone, 0);
        }
        for (key, n) in counts.iter().filter(|(key, n)| self.counted.known.get(key) != Some(*n)) {
            metrics::waiting(self.id, key, *n);
        }
        self.counted = Counted { at_ms: now_ms, known: counts };
    }
}

fn part_of(event: &WorkspaceEvent) -> PartName {
    PartName(event.part())
}

impl LiveEntity for HostedWorkspace {
    fn decide(&self, input: &DecideInput) -> Result<Decision, EntityError> {
        let outcome = match &input.occasion {
            RuntimeOccasion::Input(body) => {
                let told: WorkspaceInput = persist::decode(body).map_err(bridge::refused)?;
                let occasion = Occasion::Input { key: input.header.key.0, input: &told };
                self.state.decide(self.id, occasion, input.now_ms)
            }
            RuntimeOccasion::Wake => self.state.decide(self.id, Occasion::Wake, input.now_ms),
            // Workspaces ask for no calls.
            RuntimeOccasion::CallResult { .. } => return Ok(Decision::default()),
        };
        bridge::decision(input, outcome, part_of)
    }

    fn apply(&mut self, event: &Event) -> Result<(), EntityError> {
        let event: WorkspaceEvent = persist::decode(&event.body).map_err(bridge::refused)?;
        let part = event.part();
        let before = self.state.item_of_part(&part);
        self.state.apply(&event);
        if self.state.business().is_some() && !self.places.is_named() {
            self.places = Places::of(&self.state);
        } else {
            self.places.moved(before, self.state.item_of_part(&part));
        }
        // Only these change who waits and why.
        if !matches!(
            event,
            WorkspaceEvent::Signalled { .. }
                | WorkspaceEvent::CommandAnswered { .. }
                | WorkspaceEvent::Checked { .. }
                | WorkspaceEvent::ItemForgotten { .. }
        ) {
            self.count();
        }
        Ok(())
    }

    fn part(&self, name: &PartName) -> Result<Option<Bytes>, EntityError> {
        self.state.part(&name.0).map(|part| bridge::encode(&part)).transpose()
    }

    fn wake_ms(&self) -> Option<u64> {
        self.state.wake_ms()
    }

    fn weight(&self) -> usize {
        self.state.n_items() * PART_WEIGHT
    }
}
