//! Webhooks on their way: what waits for a batch, what is ready to post, what was acknowledged.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::judge::MessageId;
use crate::table::{Table, key};
use crate::webhook::Update;
use crate::world::BusinessId;

key!(
    /// One update that Meta reports.
    UpdateId
);
key!(
    /// One POST body with its signature.
    DeliveryId
);

/// An update, whom it is about, and what became of it.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) update: Update,
    /// The message in the customer's chat, if it is one.
    pub(crate) message: Option<MessageId>,
    pub(crate) first_posted_us: Option<u64>,
    pub(crate) acked_us: Option<u64>,
}

/// A POST that is repeated until it is acknowledged.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) reports: Vec<UpdateId>,
    pub(crate) body: Bytes,
    pub(crate) signature: String,
    pub(crate) attempts: u32,
    pub(crate) acked: bool,
    /// One more delivery of what was acknowledged, on purpose.
    pub(crate) again: bool,
}

/// All webhooks of a run.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) reports: Table<UpdateId, Report>,
    pub(crate) deliveries: Table<DeliveryId, Delivery>,
    pub(crate) gathered: BTreeMap<BusinessId, Vec<UpdateId>>,
    ready: VecDeque<DeliveryId>,
    newly_ready: usize,
    unacked: usize,
    in_flight: usize,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            reports: Table::new(),
            deliveries: Table::new(),
            gathered: BTreeMap::new(),
            ready: VecDeque::new(),
            newly_ready: 0,
            unacked: 0,
            in_flight: 0,
        }
    }

    /// A new POST, ready to go.
    pub(crate) fn add(&mut self, reports: Vec<UpdateId>, body: Vec<u8>, signature: String) {
        let body = Bytes::from(body);
        let delivery =
            Delivery { reports, body, signature, attempts: 0, acked: false, again: false };
        let id = self.deliveries.push(delivery);
        self.unacked += 1;
        self.make_ready(id);
    }

    pub(crate) fn make_ready(&mut self, id: DeliveryId) {
        self.ready.push_back(id);
        self.newly_ready += 1;
    }

    /// How many became ready since this was last asked.
    pub(crate) fn take_newly_ready(&mut self) -> usize {
        std::mem::take(&mut self.newly_ready)
    }

    /// Takes a POST to perform; `finish` must follow.
    pub(crate) fn begin(&mut self, now_us: u64) -> Option<DeliveryId> {
        let id = self.ready.pop_front()?;
        self.in_flight += 1;
        let delivery = &mut self.deliveries[id];
        delivery.attempts += 1;
        for report in &delivery.reports {
            self.reports[*report].first_posted_us.get_or_insert(now_us);
        }
        Some(id)
    }

    pub(crate) fn finish(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// The first acknowledgement of a delivery; gives its reports that were not acknowledged before.
    pub(crate) fn acknowledge(&mut self, id: DeliveryId, now_us: u64) -> Vec<UpdateId> {
        let delivery = &mut self.deliveries[id];
        if std::mem::replace(&mut delivery.acked, true) {
            return Vec::new();
        }
        self.unacked = self.unacked.saturating_sub(1);
        let reports = delivery.reports.clone();
        for report in &reports {
            self.reports[*report].acked_us = Some(now_us);
        }
        reports
    }

    /// POSTs that were sent and are not answered yet.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// POSTs without a 200 so far.
    pub(crate) fn unacked(&self) -> usize {
        self.unacked
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.unacked == 0
            && self.in_flight == 0
            && self.ready.is_empty()
            && self.gathered.is_empty()
    }
}
