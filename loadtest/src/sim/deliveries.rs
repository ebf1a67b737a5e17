//! Webhooks from "Meta knows" to "the product acknowledged": delay, batching, retries, repeats.

use bytes::Bytes;
use hyper::Uri;
use rand::Rng;

use crate::judge::{MessageId, Origin};
use crate::outbox::{DeliveryId, Report, UpdateId};
use crate::sabotage::Sabotage;
use crate::webhook::{self, Update, What};
use crate::world::{BusinessId, ChatId, NumberId};

use super::{Event, State, Target};

/// A POST to perform.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) delivery: DeliveryId,
    pub(crate) uri: Uri,
    pub(crate) target: Target,
    pub(crate) body: Bytes,
    pub(crate) signature: String,
}

/// How a POST ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Only 200 counts.
    Acked {
        took_us: u64,
    },
    Refused,
    Unreachable,
}

impl State {
    /// Meta will report this, now or after the knobs' delay.
    pub(super) fn report(
        &mut self,
        chat: ChatId,
        wamid: String,
        ts_s: i64,
        what: What,
        message: Option<MessageId>,
        at_us: u64,
    ) -> UpdateId {
        let (hide, profile) = (self.faults.hide_phone, self.faults.profile_missing);
        let (hide_phone, hide_profile) = (self.chance(hide), self.chance(profile));
        let update = Update { chat, wamid, ts_s, what, hide_phone, hide_profile };
        let report = self.outbox.reports.push(Report {
            update,
            message,
            first_posted_us: None,
            acked_us: None,
        });
        let delayed = self.faults.webhook_delay;
        let delay_us = if self.chance(delayed) {
            self.rng.random_range(0..=self.faults.webhook_delay_ms * 1_000)
        } else {
            0
        };
        self.agenda.add(at_us + delay_us, Event::Report { report });
        report
    }

    pub(super) fn on_report(&mut self, report: UpdateId, now_us: u64) {
        let business = self.world.business_of(self.outbox.reports[report].update.chat);
        let batch = self.faults.batch;
        let gathering = self.outbox.gathered.contains_key(&business);
        if !gathering && !self.chance(batch) {
            self.make_delivery(vec![report]);
            return;
        }
        let gathered = self.outbox.gathered.entry(business).or_default();
        gathered.push(report);
        if gathered.len() >= self.faults.batch_max.max(1) {
            self.on_flush(business);
        } else if !gathering {
            self.agenda.add(now_us + self.faults.batch_wait_ms * 1_000, Event::Flush { business });
        }
    }

    pub(super) fn on_flush(&mut self, business: BusinessId) {
        if let Some(reports) = self.outbox.gathered.remove(&business) {
            self.make_delivery(reports);
        }
    }

    fn make_delivery(&mut self, reports: Vec<UpdateId>) {
        let Some(first) = reports.first() else { return };
        let mut business = self.world.business_of(self.outbox.reports[*first].update.chat);
        let elsewhere = self.elsewhere(&reports, business);
        if let Some(number) = elsewhere {
            business = self.world.numbers[number].business;
        }
        let updates: Vec<(NumberId, &Update)> = reports
            .iter()
            .map(|report| {
                let update = &self.outbox.reports[*report].update;
                (elsewhere.unwrap_or(self.world.customers[update.chat].number), update)
            })
            .collect();
        let body = webhook::meta_bytes(&webhook::body(&self.world, &updates));
        let signature = webhook::signature(&self.world.businesses[business].app_secret, &body);
        self.outbox.add(reports, body, signature);
    }

    /// Sabotage: the number of another business.
    fn elsewhere(&mut self, reports: &[UpdateId], business: BusinessId) -> Option<NumberId> {
        let message =
            |id: &UpdateId| matches!(self.outbox.reports[*id].update.what, What::Message(_));
        if !reports.iter().all(message) || !self.proxy.strikes(Sabotage::CrossBusiness) {
            return None;
        }
        self.world.numbers.iter().find(|(_, number)| number.business != business).map(|(id, _)| id)
    }

    /// The next POST, if one is ready and the product has an address.
    pub(crate) fn begin_post(&mut self, now_us: u64) -> Option<Post> {
        let delivery = self.outbox.begin(now_us)?;
        self.note_posted(delivery, now_us);
        let Some(uri) = self.target.webhook.clone() else {
            self.outbox.finish();
            self.retry(delivery, now_us);
            return None;
        };
        if self.is_dropped(delivery) {
            self.outbox.finish();
            self.acknowledged(delivery, now_us);
            return None;
        }
        self.stats.posts += 1;
        let row = &self.outbox.deliveries[delivery];
        let (body, signature) = (row.body.clone(), row.signature.clone());
        Some(Post { delivery, uri, target: self.target.clone(), body, signature })
    }

    fn note_posted(&mut self, delivery: DeliveryId, now_us: u64) {
        let row = &self.outbox.deliveries[delivery];
        if row.attempts == 1 {
            let messages = row.reports.iter().filter_map(|id| self.outbox.reports[*id].message);
            messages.for_each(|message| self.ledger.posted(message, now_us));
        }
    }

    fn is_dropped(&mut self, delivery: DeliveryId) -> bool {
        let row = &self.outbox.deliveries[delivery];
        let message = |id: &UpdateId| {
            matches!(self.outbox.reports[*id].update.what, What::Message(_) | What::Echo(_))
        };
        !row.acked && row.reports.iter().any(message) && self.proxy.strikes(Sabotage::Drop)
    }

    /// A POST ended.
    pub(crate) fn end_post(&mut self, delivery: DeliveryId, outcome: Outcome, now_us: u64) {
        self.outbox.finish();
        match outcome {
            Outcome::Acked { took_us } => {
                self.stats.webhook_us.record(took_us);
                self.acknowledged(delivery, now_us);
            }
            Outcome::Refused | Outcome::Unreachable => {
                self.stats.posts_failed += 1;
                let reports = self.outbox.deliveries[delivery].reports.iter();
                let chats = reports.map(|id| self.outbox.reports[*id].update.chat);
                self.ledger.post_failed(chats, now_us);
                if !self.outbox.deliveries[delivery].acked {
                    self.retry(delivery, now_us);
                }
            }
        }
    }

    fn retry(&mut self, delivery: DeliveryId, now_us: u64) {
        let attempts = self.outbox.deliveries[delivery].attempts.clamp(1, 16);
        let wait_ms = (self.faults.retry_ms << (attempts - 1)).min(self.faults.retry_ms_max);
        let at_us = now_us + self.around_us(wait_ms);
        self.agenda.add(at_us, Event::Deliver { delivery });
    }

    fn acknowledged(&mut self, delivery: DeliveryId, now_us: u64) {
        for id in self.outbox.acknowledge(delivery, now_us) {
            self.report_acknowledged(id, now_us);
        }
        let repeat = self.faults.webhook_repeat;
        if !self.outbox.deliveries[delivery].again && self.chance(repeat) {
            self.outbox.deliveries[delivery].again = true;
            let wait_us = self.rng.random_range(0..=self.faults.webhook_repeat_ms * 1_000);
            self.agenda.add(now_us + wait_us, Event::Deliver { delivery });
        } else if self.outbox.deliveries[delivery].acked {
            self.outbox.deliveries[delivery].body = Bytes::new();
        }
    }

    fn report_acknowledged(&mut self, id: UpdateId, now_us: u64) {
        let report = &self.outbox.reports[id];
        if let Some(first_us) = report.first_posted_us {
            self.stats.ack_us.record(now_us.saturating_sub(first_us));
        }
        let Some(message) = report.message else { return };
        if let What::Status { progress, .. } = report.update.what {
            self.ledger.status_acked(message, progress, now_us);
            return;
        }
        self.ledger.arrival_acked(message, now_us);
        let truth = self.ledger.message(message);
        if truth.origin == Origin::Customer {
            let (chat, at_us) = (truth.chat, truth.at_us);
            self.stats.acked += 1;
            self.rates[self.world.customers[chat].number].on_inbound_known(at_us, now_us);
        }
    }
}
