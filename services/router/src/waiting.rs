//! Tells metrics who waits and why.

use std::collections::BTreeMap;

use domain::{
    EntityId, QueueId,
    workspace::{Look, Waits, Workspace},
};

use crate::metrics;

/// The counts of one workspace, and what metrics were told of them.
pub(crate) struct Waiting {
    workspace: EntityId,
    waits: Waits,
    told: BTreeMap<QueueId, BTreeMap<&'static str, u64>>,
}

impl Waiting {
    pub(crate) fn of(id: EntityId, workspace: &Workspace) -> Self {
        let mut waiting = Self { workspace: id, waits: Waits::default(), told: BTreeMap::new() };
        waiting.count_anew(workspace);
        waiting
    }

    /// The configuration says anew which queues there are, and who serves them.
    pub(crate) fn count_anew(&mut self, workspace: &Workspace) {
        self.waits = Waits::of(workspace);
        self.tell(workspace.clock_ms());
    }

    /// A part changed.
    pub(crate) fn moved(&mut self, workspace: &Workspace, before: &Look, after: &Look) {
        self.waits.moved(workspace, before, after);
        self.tell(workspace.clock_ms());
    }

    fn tell(&mut self, now_ms: u64) {
        for (queue, counts) in self.waits.changed(now_ms) {
            let told = self.told.entry(queue.clone()).or_default();
            for reason in told.keys().filter(|reason| !counts.contains_key(*reason)) {
                metrics::waiting(self.workspace, &queue, reason, 0);
            }
            for (reason, n) in counts.iter().filter(|(reason, n)| told.get(*reason) != Some(*n)) {
                metrics::waiting(self.workspace, &queue, reason, *n);
            }
            *told = counts;
        }
    }
}
