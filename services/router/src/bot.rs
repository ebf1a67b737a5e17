//! The executor of external bots: opens what is sealed, asks `Bot.Turn` within the deadline, and says what came of it.
//! Whether a turn is asked for again, and whether its answer still counts, is the conversation's decision.
//!
//! Bounds: turns under way per bot, bytes and messages of an answer, and the deadline over everything: the wait for
//! room, connecting, repeats after UNAVAILABLE (none starts after `start_by`), and the whole stream.

mod client;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{
    convert,
    v1::{TurnRequest, turn_response::Step},
};
use chassis::{clock::Clock, config::Config, seal::Sealer};
use domain::{
    BusinessId, EntityId, Sealed,
    content::{Content, Identity},
    conversation::BotFault,
    effect::{BotCall, BotKey},
    flow::{Answer, Outcome},
    naming, persist,
};
use runtime::host::{CallResult, Door};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tonic::{Code, Status};

use self::client::Client;
use crate::metrics;

/// First pause before a bot that was unavailable is asked again; doubles.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest such pause.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// What the executor reports. It may travel through the inbox: personal content is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BotReport {
    /// Which attempt of which turn.
    pub(crate) key: BotKey,
    /// What came of it.
    pub(crate) reported: Reported,
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reported {
    /// The whole [`Answer`].
    Answered(Sealed),
    /// There is none.
    Failed(BotFault),
    /// It was certainly not asked.
    NotStarted,
}

/// Why external bots cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum BotError {
    /// The endpoint cannot be used.
    #[error("business {business}: the endpoint of its external bot cannot be used")]
    Endpoint {
        /// The business.
        business: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The token cannot stand in a header.
    #[error("business {business}: the token of its external bot: use printable ASCII")]
    Token {
        /// The business.
        business: String,
    },
}

/// Where a conversation takes place, and who is asked there.
struct Account {
    phone_number_id: String,
    channel_id: String,
    client: Arc<Client>,
}

/// Asks external bots.
pub struct BotExecutor {
    accounts: BTreeMap<EntityId, Account>,
    sealer: Arc<Sealer>,
    clock: Clock,
}

impl std::fmt::Debug for BotExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BotExecutor")
            .field("accounts", &self.accounts.len())
            .finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Fault(BotFault),
    NotStarted,
}

impl BotExecutor {
    /// An executor for the external bots of `config`; connections are made when they are needed.
    ///
    /// # Errors
    /// [`BotError`] when an endpoint or token cannot be used.
    pub fn new(config: &Config, sealer: Arc<Sealer>, clock: Clock) -> Result<Self, BotError> {
        let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
        let (mut clients, mut accounts) = (client::Clients::default(), BTreeMap::new());
        for business in &config.businesses {
            for number in &business.numbers {
                let own = number.external.as_ref();
                let Some(bot) = business.external_bot(own, number.flow.as_deref()) else {
                    continue;
                };
                let client = clients.of(business, bot)?;
                let (phone_number_id, channel_id) = (number.phone_number_id.clone(), String::new());
                let id = naming::number_id(&hash, &number.phone_number_id);
                accounts.insert(id, Account { phone_number_id, channel_id, client });
            }
            for channel in &business.channels {
                let own = channel.external.as_ref();
                let Some(bot) = business.external_bot(own, channel.flow.as_deref()) else {
                    continue;
                };
                let client = clients.of(business, bot)?;
                let (phone_number_id, channel_id) = (String::new(), channel.id.clone());
                let account =
                    naming::channel_account(&BusinessId(business.id.clone()), &channel.id);
                let id = naming::number_id(&hash, &account);
                accounts.insert(id, Account { phone_number_id, channel_id, client });
            }
        }
        Ok(Self { accounts, sealer, clock })
    }

    /// Carries out one call.
    pub(crate) async fn carry_out(
        &self,
        business: &str,
        call: &BotCall,
        door: &Door,
    ) -> CallResult {
        let begun_us = self.clock.boot_us();
        let asked = self.ask(business, call, door).await;
        let took_us = self.clock.boot_us().saturating_sub(begun_us);
        let outcome = outcome_name(&asked);
        metrics::external_bot_turn(outcome, Duration::from_micros(took_us).as_secs_f64());
        tracing::debug!(business, outcome, "external bot asked");
        let reported = match asked {
            Ok(answer) => self.seal(business, &answer),
            Err(Missing::Fault(why)) => Reported::Failed(why),
            Err(Missing::NotStarted) => Reported::NotStarted,
        };
        match persist::encode(&BotReport { key: call.key, reported }) {
            Ok(report) => CallResult::Done(report.into()),
            Err(error) => CallResult::Unknown(error.to_string()),
        }
    }

    async fn ask(&self, business: &str, call: &BotCall, door: &Door) -> Result<Answer, Missing> {
        let account = self.accounts.get(&call.number);
        let account = account.ok_or(Missing::Fault(BotFault::NotConfigured))?;
        let limit = account.client.deadline;
        let end_ms = self.clock.wall_ms().saturating_add(whole_ms(limit));
        let request = self.request(business, call, account, end_ms);
        // What is known when the deadline passes says why.
        let mut late = Missing::Fault(BotFault::Busy);
        let steps = tokio::time::timeout(limit, async {
            let room = account.client.room().await;
            late = Missing::Fault(BotFault::Deadline);
            let steps = persistent(&account.client, &request, door, &mut late).await;
            drop(room);
            steps
        });
        let steps = match steps.await {
            Ok(steps) => steps?,
            Err(_) => return Err(late),
        };
        convert::check_turn(steps, &account.client.queues).map_err(|wrong| {
            tracing::warn!(business, wrong = wrong.0, "an external bot's answer is not usable");
            Missing::Fault(BotFault::Unusable)
        })
    }

    fn request(
        &self,
        business: &str,
        call: &BotCall,
        account: &Account,
        end_ms: u64,
    ) -> TurnRequest {
        let heard = call.heard.iter().map(|heard| {
            let content: Content = self.open(business, &heard.content).unwrap_or_default();
            let told = convert::heard_message(heard.message, &heard.kind, heard.at_ms, content);
            api::v1::HeardMessage { shortened: heard.shortened, ..told }
        });
        let who: Identity = self.open(business, &call.who).unwrap_or_default();
        TurnRequest {
            conversation_id: convert::conversation_id(call.key.conversation),
            turn: call.key.turn,
            contact: Some(convert::contact(who)),
            phone_number_id: account.phone_number_id.clone(),
            channel_id: account.channel_id.clone(),
            heard: heard.collect(),
            deadline_ms: convert::ms(end_ms),
        }
    }

    fn open<T: DeserializeOwned>(&self, business: &str, sealed: &Sealed) -> Option<T> {
        let plain = self.sealer.open(business.as_bytes(), sealed.key_id, &sealed.bytes).ok()?;
        persist::decode(&plain).ok()
    }

    fn seal(&self, business: &str, answer: &Answer) -> Reported {
        match persist::encode(answer) {
            Ok(plain) => {
                let sealed = self.sealer.seal(business.as_bytes(), &plain);
                Reported::Answered(Sealed { key_id: sealed.key_id, bytes: sealed.bytes })
            }
            // Cannot happen for this type.
            Err(_) => Reported::Failed(BotFault::Unusable),
        }
    }
}

/// Asks until the bot is there. The caller bounds it by the deadline; `late` is what that means then.
async fn persistent(
    client: &Client,
    request: &TurnRequest,
    door: &Door,
    late: &mut Missing,
) -> Result<Vec<Step>, Missing> {
    let mut pause = PAUSE_MIN;
    let mut asked = Missing::NotStarted;
    loop {
        if door.check().is_err() {
            return Err(asked);
        }
        let status = match client.turn(request.clone()).await {
            Ok(steps) => return Ok(steps),
            Err(status) => status,
        };
        asked = Missing::Fault(fault_of(&status));
        if status.code() != Code::Unavailable {
            return Err(asked);
        }
        *late = asked;
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// A status's own text may hold personal data: its code says enough.
fn fault_of(status: &Status) -> BotFault {
    match status.code() {
        Code::Unavailable => BotFault::Unreachable,
        Code::DeadlineExceeded | Code::Cancelled => BotFault::Deadline,
        // A message above the limit of the client.
        Code::OutOfRange => BotFault::Unusable,
        _ => BotFault::Refused,
    }
}

fn outcome_name(asked: &Result<Answer, Missing>) -> &'static str {
    match asked {
        Err(Missing::NotStarted) => "not_started",
        Err(Missing::Fault(why)) => why.code(),
        Ok(answer) => match answer.outcome {
            Outcome::Wait => "answered",
            Outcome::HandOff(_) => "handed_off",
            Outcome::End => "resolved",
        },
    }
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
