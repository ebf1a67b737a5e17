//! Hosts a workspace.

use bytes::Bytes;
use domain::{
    EntityId, persist,
    workspace::{Occasion, Part, Workspace, WorkspaceEvent, WorkspaceInput},
};
use runtime::{
    bus::{Event, FormatLevel, PartName, SavedPart},
    host::{DecideInput, Decision, EntityError, LiveEntity, Occasion as RuntimeOccasion},
};

use crate::{bridge, places::Places, waiting::Waiting};

/// Memory of one part, about, bytes.
const PART_WEIGHT: usize = 512;

pub(crate) struct HostedWorkspace {
    id: EntityId,
    state: Workspace,
    places: Places,
    waiting: Waiting,
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
        let (places, waiting) = (Places::of(&state), Waiting::of(id, &state));
        Ok(Self { id, state, places, waiting })
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
        let before = self.state.look(&part);
        self.state.apply(&event);
        let after = self.state.look(&part);
        if let WorkspaceEvent::Configured(_) = event {
            self.waiting.count_anew(&self.state);
        } else {
            self.waiting.moved(&self.state, &before, &after);
        }
        if self.state.business().is_some() && !self.places.is_named() {
            self.places = Places::of(&self.state);
        } else {
            self.places.moved(before.item, after.item);
        }
        Ok(())
    }

    fn part(&self, name: &PartName, _: FormatLevel) -> Result<Option<Bytes>, EntityError> {
        self.state.part(&name.0).map(|part| bridge::encode(&part)).transpose()
    }

    fn wake_ms(&self) -> Option<u64> {
        self.state.wake_ms()
    }

    fn weight(&self) -> usize {
        self.state.n_items() * PART_WEIGHT
    }
}
