//! A business' program: sends in bulk to customers who wrote before, and repeats whatever was not answered under the same keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::v1::outbound_client::OutboundClient;
use api::v1::outbound_message::{Content, To};
use api::v1::submit_result::Result as Answer;
use api::v1::{OutboundLane, OutboundMessage, SubmitRequest, SubmitResponse, SubmitResult};
use rand::Rng;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::judge::{Asker, CommandFate, CommandKey};
use crate::sim::Sim;
use crate::sim::desks::{Bulk, less, more};
use crate::world::{BusinessId, NumberId};

use super::bearer;

/// What became due meanwhile is asked for together.
const BATCH_EVERY: Duration = Duration::from_millis(500);
/// Messages of one request: as many as the API takes.
const BATCH_MAX: usize = 100;
const CALL_MAX: Duration = Duration::from_secs(10);
/// Pause before what was not answered is asked for again.
const REPEAT_AFTER: Duration = Duration::from_millis(500);

/// A message and the number that names it.
type Asked = (u64, OutboundMessage);

/// One program's life.
pub(super) async fn live(sim: Arc<Sim>, business: BusinessId) {
    let run = sim.with(|state, _| state.rng.random::<u32>());
    let mut program = Program { sim, business, run, asked: 0, owed: 0.0, channel: None };
    let mut tick = tokio::time::interval(BATCH_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        for (number, messages) in program.due() {
            program.submit(number, messages).await;
        }
    }
}

struct Program {
    sim: Arc<Sim>,
    business: BusinessId,
    /// Keys of one run are no other's.
    run: u32,
    asked: u64,
    /// Messages that are due, and the fraction of the next one.
    owed: f64,
    channel: Option<(String, Channel)>,
}

impl Program {
    /// What is to be sent now, by number.
    fn due(&mut self) -> BTreeMap<NumberId, Vec<Asked>> {
        self.owed += self.sim.scenario.traffic.bulk_per_s * BATCH_EVERY.as_secs_f64();
        let mut due: BTreeMap<NumberId, Vec<Asked>> = BTreeMap::new();
        while self.owed >= 1.0 {
            self.owed -= 1.0;
            let (number, business) = (self.asked + 1, self.business);
            let bulk = self.sim.with(|state, _| {
                state.talking.then(|| state.on_bulk_asked(business, number)).flatten()
            });
            let Some(bulk) = bulk else { continue };
            self.asked = number;
            more(&self.sim.commands_open);
            let message = self.message(number, &bulk);
            due.entry(self.sim.world.customers[bulk.chat].number)
                .or_default()
                .push((number, message));
        }
        due
    }

    fn message(&self, number: u64, bulk: &Bulk) -> OutboundMessage {
        let customer = &self.sim.world.customers[bulk.chat];
        let to = if customer.hidden {
            To::UserId(customer.bsuid.clone())
        } else {
            To::Phone(customer.phone.clone())
        };
        OutboundMessage {
            key: format!("news-{:08x}-{number}", self.run),
            to: Some(to),
            lane: OutboundLane::Campaign.into(),
            not_after_ms: 0,
            content: Some(Content::Text(bulk.text.clone())),
        }
    }

    /// Asks until every message has an answer.
    async fn submit(&mut self, number: NumberId, messages: Vec<Asked>) {
        let mut open = messages;
        while !open.is_empty() {
            let batch = open.len().min(BATCH_MAX);
            let asked = open.iter().take(batch).map(|(_, message)| message.clone()).collect();
            match self.ask(number, asked).await {
                Ok(answer) => open = self.take(open, answer.results),
                Err(status) if is_passing(&status) => {}
                Err(status) => return self.give_up(&open, &status),
            }
            if !open.is_empty() {
                tokio::time::sleep(REPEAT_AFTER).await;
            }
        }
    }

    async fn ask(
        &mut self,
        number: NumberId,
        messages: Vec<OutboundMessage>,
    ) -> Result<SubmitResponse, Status> {
        let phone_number_id = self.sim.world.numbers[number].phone_number_id.clone();
        let mut request = Request::new(SubmitRequest { phone_number_id, messages });
        let token = &self.sim.world.businesses[self.business].api_token;
        let token = bearer(token).ok_or_else(|| Status::internal("the token is no metadata"))?;
        request.metadata_mut().insert("authorization", token);
        request.set_timeout(CALL_MAX);
        Ok(OutboundClient::new(self.channel()?).submit(request).await?.into_inner())
    }

    /// The connection to where the product is now.
    fn channel(&mut self) -> Result<Channel, Status> {
        let nowhere = || Status::unavailable("the desk's address is not known");
        let address = self.sim.desk.borrow().clone().ok_or_else(nowhere)?;
        if let Some((known, channel)) = &self.channel
            && *known == address
        {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(address.clone()).map_err(|_| nowhere())?;
        let channel = endpoint.timeout(CALL_MAX).connect_lazy();
        self.channel = Some((address, channel.clone()));
        Ok(channel)
    }

    /// Notes the answers; gives what is still open.
    fn take(&self, open: Vec<Asked>, results: Vec<SubmitResult>) -> Vec<Asked> {
        let answers: BTreeMap<String, Answer> =
            results.into_iter().filter_map(|it| Some((it.key, it.result?))).collect();
        let is_open = |(number, message): &Asked| {
            let fate = match answers.get(&message.key) {
                Some(Answer::Accepted(_)) => CommandFate::Done,
                Some(Answer::Refused(refused)) if !is_for_now(&refused.reason) => {
                    CommandFate::Refused
                }
                _ => return true,
            };
            self.answered(*number, fate);
            false
        };
        open.into_iter().filter(is_open).collect()
    }

    fn answered(&self, number: u64, fate: CommandFate) {
        let key: CommandKey = (Asker::Program(self.business), number);
        self.sim.with(|state, _| state.on_reply_answered(key, fate));
        less(&self.sim.commands_open);
    }

    /// The product calls the request itself wrong: no program could go on.
    fn give_up(&self, open: &[Asked], status: &Status) {
        for (number, _) in open {
            self.answered(*number, CommandFate::Refused);
        }
        let example = || status.to_string();
        self.sim.with(|state, _| state.ledger.violation("a program's request is refused", example));
    }
}

/// The same request may be taken on later.
fn is_passing(status: &Status) -> bool {
    !matches!(
        status.code(),
        Code::InvalidArgument
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::NotFound
            | Code::Unimplemented
    )
}

/// The same message may be taken on later.
fn is_for_now(reason: &str) -> bool {
    matches!(reason, "UNAVAILABLE" | "BUSY" | "RESOURCE_EXHAUSTED")
}

#[cfg(test)]
mod tests {
    use api::v1::{SubmitAccepted, SubmitRefused};

    use super::*;
    use crate::table::Key;
    use std::sync::atomic::Ordering;

    fn answer(key: &str, reason: Option<&str>) -> SubmitResult {
        let result = match reason {
            None => Answer::Accepted(SubmitAccepted::default()),
            Some(reason) => Answer::Refused(SubmitRefused {
                reason: reason.to_owned(),
                ..SubmitRefused::default()
            }),
        };
        SubmitResult { key: key.to_owned(), result: Some(result) }
    }

    #[test]
    fn what_has_no_last_answer_stays_open_under_its_key() {
        let mut scenario = crate::fixture::scenario();
        scenario.traffic.bulk_per_s = 8.0;
        let sim = Sim::new(scenario, None);
        let business = BusinessId::from_row(0);
        let mut program =
            Program { sim: Arc::clone(&sim), business, run: 7, asked: 0, owed: 0.0, channel: None };
        assert!(program.due().is_empty(), "nobody has written");
        sim.with(|state, now_us| {
            state.talking = true;
            state.on_choose(crate::world::ChatId::from_row(0), now_us);
        });
        let due: Vec<Asked> = program.due().into_values().flatten().collect();
        assert_eq!(due.len(), 4);
        assert_eq!(sim.commands_open.load(Ordering::Relaxed), 4);
        let keys: Vec<String> = due.iter().map(|(_, message)| message.key.clone()).collect();
        assert_eq!(keys[0], "news-00000007-1");
        let results = vec![
            answer(&keys[0], None),
            answer(&keys[1], Some("UNAVAILABLE")),
            answer(&keys[2], Some("WINDOW_CLOSED")),
        ];
        let open = program.take(due, results);
        let left: Vec<&str> = open.iter().map(|(_, message)| message.key.as_str()).collect();
        assert_eq!(left, [&keys[1], &keys[3]]);
        assert_eq!(sim.commands_open.load(Ordering::Relaxed), 2);
    }
}
