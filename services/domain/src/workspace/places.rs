//! Where items are, for metrics: how many of each queue wait, are offered, are held, and since when the longest waits.
//!
//! Kept up by whoever applies events: [`Workspace::look`] before and after each one says what moved.

use super::state::{LiveItem, PartKey, Place, Workspace};
use crate::{BusinessId, ItemId, Millis, QueueId};

/// Where a live item is, without to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nobody has it or is asked.
    Waiting,
    /// An agent is asked.
    Offered,
    /// An agent has it.
    Assigned,
}

/// A live item as metrics see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standpoint {
    /// The item.
    pub item: ItemId,
    /// Its queue.
    pub queue: QueueId,
    /// Since when the customer waits, Unix ms.
    pub since_ms: Millis,
    /// Where it is.
    pub standing: Standing,
    /// It is kept for one agent.
    pub reserved: bool,
}

impl Workspace {
    /// The item of a part (`item/…`), if the part is a live item.
    pub(super) fn item_of_part(&self, part: &str) -> Option<Standpoint> {
        let Some(PartKey::Item(id)) = PartKey::parse(part) else { return None };
        self.items.get(&id)?.live().map(|live| standpoint(id, live))
    }

    /// Every live item.
    pub fn standpoints(&self) -> impl Iterator<Item = Standpoint> {
        self.items.iter().filter_map(|(id, item)| item.live().map(|live| standpoint(*id, live)))
    }

    /// Whose workspace it is, once it was configured.
    #[must_use]
    pub fn business(&self) -> Option<&BusinessId> {
        self.plan.as_ref().map(|plan| &plan.config.business)
    }
}

fn standpoint(item: ItemId, live: &LiveItem) -> Standpoint {
    let standing = match live.place {
        Place::Waiting => Standing::Waiting,
        Place::Offered { .. } => Standing::Offered,
        Place::Assigned { .. } => Standing::Assigned,
    };
    let (queue, reserved) = (live.queue.clone(), live.reserved.is_some());
    Standpoint { item, queue, since_ms: live.since_ms, standing, reserved }
}
