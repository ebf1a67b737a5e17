//! A workspace with the events of one decision on top.
//!
//! `decide` must see what its own earlier events changed (a freed agent is matched in the same decision) without
//! changing the workspace. A draft copies a part when it is first touched and keeps the difference of the
//! index; reads look through both. `Workspace::apply` is a draft of one event, taken over.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeBounds,
    sync::Arc,
};

use super::{
    WorkspaceConfig,
    index::{Key, agent_keys, item_keys},
    plan::Plan,
    state::{Agent, Check, Item, LiveItem, Workspace},
};
use crate::{AgentId, ItemId, Millis, QueueId, layered::Difference};

/// A workspace and changes on top of it.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    base: &'a Workspace,
    changes: Changes,
    /// Queues in which an item began to wait or an agent became free since they were last matched.
    pub(super) touched: BTreeSet<QueueId>,
}

/// What differs from the workspace below.
#[derive(Debug, Default)]
pub(super) struct Changes {
    plan: Option<Arc<Plan>>,
    check: Option<Check>,
    agents: BTreeMap<AgentId, Agent>,
    items: BTreeMap<ItemId, Option<Item>>,
    index: Difference<Key>,
    clock_ms: Millis,
}

impl<'a> Draft<'a> {
    /// A draft without changes.
    pub(super) fn new(base: &'a Workspace) -> Self {
        let changes = Changes { clock_ms: base.clock_ms, ..Changes::default() };
        Self { base, changes, touched: BTreeSet::new() }
    }

    /// The changes.
    pub(super) fn finish(self) -> Changes {
        self.changes
    }

    /// The configuration, worked out.
    pub(super) fn plan(&self) -> Option<&Arc<Plan>> {
        self.changes.plan.as_ref().or(self.base.plan.as_ref())
    }

    /// The slow comparison.
    pub(super) fn check(&self) -> Check {
        self.changes.check.unwrap_or(self.base.check)
    }

    /// An agent that ever did something.
    pub(super) fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.changes.agents.get(id).or_else(|| self.base.agents.get(id))
    }

    /// An item, live or remembered.
    pub(super) fn item(&self, id: ItemId) -> Option<&Item> {
        match self.changes.items.get(&id) {
            Some(changed) => changed.as_ref(),
            None => self.base.items.get(&id),
        }
    }

    /// A live item.
    pub(super) fn live(&self, id: ItemId) -> Option<&LiveItem> {
        self.item(id).and_then(Item::live)
    }

    /// Items after `cursor` as the decision found them, in order of id.
    pub(super) fn items_after(&self, cursor: Option<ItemId>) -> impl Iterator<Item = ItemId> + '_ {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = cursor.map_or(Unbounded, Excluded);
        self.base.items.range((from, Unbounded)).map(|(id, _)| *id)
    }

    /// Index entries of a range, in order.
    pub(super) fn keys<R>(&self, range: R) -> impl Iterator<Item = &Key>
    where
        R: RangeBounds<Key> + Clone,
    {
        self.changes.index.range(&self.base.index, range)
    }

    /// Notes the time of an event.
    pub(super) fn saw(&mut self, at_ms: Millis) {
        self.changes.clock_ms = self.changes.clock_ms.max(at_ms);
    }

    /// Replaces the slow comparison's place.
    pub(super) fn set_check(&mut self, check: Check) {
        self.changes.check = Some(check);
    }

    /// Changes an agent; the index follows.
    pub(super) fn change_agent(&mut self, id: &AgentId, change: impl FnOnce(&mut Agent)) {
        let plan = self.plan().cloned();
        let mut agent = match self.changes.agents.remove(id) {
            Some(agent) => agent,
            None => self.base.agents.get(id).cloned().unwrap_or_default(),
        };
        let before = agent_keys(id, &agent, plan.as_deref());
        change(&mut agent);
        let after = agent_keys(id, &agent, plan.as_deref());
        self.changes.agents.insert(id.clone(), agent);
        self.reindex(before, after);
    }

    /// Changes an item; the index follows.
    pub(super) fn change_item(&mut self, id: ItemId, change: impl FnOnce(&mut Option<Item>)) {
        let plan = self.plan().cloned();
        let mut item = match self.changes.items.remove(&id) {
            Some(item) => item,
            None => self.base.items.get(&id).cloned(),
        };
        let keys = |item: &Option<Item>| {
            item.as_ref().map_or_else(Vec::new, |item| item_keys(id, item, plan.as_deref()))
        };
        let before = keys(&item);
        change(&mut item);
        let after = keys(&item);
        self.changes.items.insert(id, item);
        self.reindex(before, after);
    }

    /// Replaces the configuration: every key may change.
    pub(super) fn set_config(&mut self, config: WorkspaceConfig) {
        let before = self.all_keys();
        self.changes.plan = Some(Arc::new(Plan::new(config)));
        let after = self.all_keys();
        let gone = before.difference(&after).cloned().collect();
        let new = after.difference(&before).cloned().collect();
        self.move_keys(gone, new);
    }

    fn all_keys(&self) -> BTreeSet<Key> {
        let plan = self.plan().map(Arc::as_ref);
        let mut keys = BTreeSet::new();
        for id in self.base.agents.keys().chain(self.changes.agents.keys()) {
            let agent = self.agent(id);
            keys.extend(agent.map_or_else(Vec::new, |agent| agent_keys(id, agent, plan)));
        }
        for id in self.base.items.keys().chain(self.changes.items.keys()) {
            let item = self.item(*id);
            keys.extend(item.map_or_else(Vec::new, |item| item_keys(*id, item, plan)));
        }
        keys
    }

    fn reindex(&mut self, before: Vec<Key>, after: Vec<Key>) {
        if before == after {
            return;
        }
        let gone = before.iter().filter(|key| !after.contains(key)).cloned().collect();
        let new = after.into_iter().filter(|key| !before.contains(key)).collect();
        self.move_keys(gone, new);
    }

    /// Takes keys away and adds others; no key is in both.
    fn move_keys(&mut self, gone: Vec<Key>, new: Vec<Key>) {
        for key in gone {
            self.changes.index.remove(key);
        }
        for key in new {
            if let Key::Waiting(queue, _) | Key::Free(queue, ..) = &key {
                self.touched.insert(queue.clone());
            }
            self.changes.index.insert(key);
        }
    }
}

impl Workspace {
    /// Takes over what a draft changed.
    pub(super) fn absorb(&mut self, changes: Changes) {
        if changes.plan.is_some() {
            self.plan = changes.plan;
        }
        if let Some(check) = changes.check {
            self.check = check;
        }
        self.agents.extend(changes.agents);
        for (id, item) in changes.items {
            match item {
                Some(item) => self.items.insert(id, item),
                None => self.items.remove(&id),
            };
        }
        changes.index.merge_into(&mut self.index);
        self.clock_ms = changes.clock_ms;
    }
}
