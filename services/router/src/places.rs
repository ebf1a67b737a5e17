//! Tells the metrics where the items of a workspace are: adjusted by what an event moved, so that it costs what changes, not
//! what waits.

use std::collections::{BTreeMap, BTreeSet};

use ::metrics::Gauge;
use domain::{
    BusinessId, ItemId, QueueId,
    workspace::{Standing, Standpoint, Workspace},
};

use crate::metrics;

/// The items of one workspace, counted. Counts nothing until the workspace knows whose it is.
#[derive(Default)]
pub(crate) struct Places {
    business: Option<BusinessId>,
    queues: BTreeMap<QueueId, Queue>,
}

/// The items of one queue.
struct Queue {
    counts: BTreeMap<Standing, u32>,
    /// Who waits or is offered, the longest first.
    unheld: BTreeSet<(u64, ItemId)>,
    gauges: BTreeMap<Standing, Gauge>,
    since: Gauge,
}

impl Places {
    /// Counts everything anew.
    pub(crate) fn of(workspace: &Workspace) -> Self {
        let mut places = Self { business: workspace.business().cloned(), ..Self::default() };
        for item in workspace.standpoints() {
            places.moved(None, Some(item));
        }
        places
    }

    /// Whether it knows whose workspace it counts.
    pub(crate) fn is_named(&self) -> bool {
        self.business.is_some()
    }

    /// An item moved, came or went.
    pub(crate) fn moved(&mut self, before: Option<Standpoint>, after: Option<Standpoint>) {
        if before == after {
            return;
        }
        let Some(business) = &self.business else { return };
        for (item, comes) in [(before, false), (after, true)] {
            let Some(item) = item else { continue };
            let queue = self
                .queues
                .entry(item.queue.clone())
                .or_insert_with(|| Queue::new(business, &item.queue));
            queue.count(&item, comes);
        }
    }
}

impl Queue {
    fn new(business: &BusinessId, queue: &QueueId) -> Self {
        let standings = [Standing::Waiting, Standing::Offered, Standing::Assigned];
        let gauge = |standing| metrics::items(&business.0, &queue.0, label(standing));
        Self {
            counts: BTreeMap::new(),
            unheld: BTreeSet::new(),
            gauges: standings.into_iter().map(|standing| (standing, gauge(standing))).collect(),
            since: metrics::waiting_since(&business.0, &queue.0),
        }
    }

    fn count(&mut self, item: &Standpoint, comes: bool) {
        let count = self.counts.entry(item.standing).or_default();
        *count = if comes { count.saturating_add(1) } else { count.saturating_sub(1) };
        if let Some(gauge) = self.gauges.get(&item.standing) {
            gauge.set(*count);
        }
        if item.standing == Standing::Assigned {
            return;
        }
        let key = (item.since_ms, item.item);
        if comes {
            self.unheld.insert(key);
        } else {
            self.unheld.remove(&key);
        }
        let since_ms = self.unheld.first().map_or(0, |(since_ms, _)| *since_ms);
        self.since.set(std::time::Duration::from_millis(since_ms).as_secs_f64());
    }
}

fn label(standing: Standing) -> &'static str {
    match standing {
        Standing::Waiting => "waiting",
        Standing::Offered => "offered",
        Standing::Assigned => "assigned",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Hash16;

    fn at(n: u32, since_ms: u64, standing: Standing) -> Option<Standpoint> {
        let item = ItemId { conversation: Hash16([1; 16]), n };
        Some(Standpoint {
            item,
            queue: QueueId("sales".to_owned()),
            since_ms,
            standing,
            reserved: false,
        })
    }

    fn state(places: &Places) -> (u32, u32, u32, Option<u64>) {
        let queue = &places.queues[&QueueId("sales".to_owned())];
        let count = |standing| queue.counts.get(&standing).copied().unwrap_or(0);
        let first = queue.unheld.first().map(|(since_ms, _)| *since_ms);
        (count(Standing::Waiting), count(Standing::Offered), count(Standing::Assigned), first)
    }

    #[test]
    fn items_are_counted_where_they_are_and_the_longest_wait_ends_with_an_agent() {
        let mut places =
            Places { business: Some(BusinessId("shop".to_owned())), ..Places::default() };
        let [one, two] = [|standing| at(1, 50, standing), |standing| at(2, 20, standing)];
        places.moved(None, one(Standing::Waiting));
        places.moved(None, two(Standing::Waiting));
        assert_eq!(state(&places), (2, 0, 0, Some(20)));
        places.moved(two(Standing::Waiting), two(Standing::Offered));
        assert_eq!(state(&places), (1, 1, 0, Some(20)), "who is offered waits on");
        places.moved(two(Standing::Offered), two(Standing::Assigned));
        assert_eq!(state(&places), (1, 0, 1, Some(50)));
        places.moved(two(Standing::Assigned), None);
        places.moved(one(Standing::Waiting), None);
        assert_eq!(state(&places), (0, 0, 0, None));
    }

    #[test]
    fn a_workspace_that_is_nobodys_counts_nothing() {
        let mut places = Places::default();
        places.moved(None, at(1, 50, Standing::Waiting));
        assert!(places.queues.is_empty() && !places.is_named());
    }
}
