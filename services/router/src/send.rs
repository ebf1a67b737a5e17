//! The executor of sends: opens what is sealed, waits at the number's door, calls the Graph API once, and says
//! what came of it. It never retries: whether a message is sent again is the Number's decision.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chassis::{clock::Clock, config::Config, seal::Sealer};
use domain::{
    EntityId, Sealed,
    content::{Content, ContentKind, Identity},
    effect::{self, Call, CallKey},
    naming,
    number::{CallAnswer, Lane, PauseReason, Retry, Wait, WaitScope},
    persist,
};
use runtime::{
    bus::PartitionId,
    host::{CallResult, Door},
};
use serde::{Deserialize, Serialize};
use whatsapp::{
    errors::{ErrorClass, Scope},
    graph::{
        CallResult as GraphResult, GraphClient, OutboundMessage, Recipient, SendCall,
        request::mark_read,
    },
};

use crate::{
    departures::{Departure, Departures},
    door::{Doors, Leave, Overtaking},
    metrics,
    outbound::outbound,
};

/// What the executor reports: which attempt, and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) key: CallKey,
    pub(crate) answer: CallAnswer,
}

struct Account {
    phone_number_id: String,
    token: String,
}

/// Sends messages by the Graph API.
pub struct SendExecutor {
    accounts: BTreeMap<EntityId, Account>,
    graph: GraphClient,
    doors: Doors,
    departures: Departures,
    sealer: Arc<Sealer>,
    clock: Clock,
    hard_limit: Duration,
}

impl std::fmt::Debug for SendExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendExecutor")
            .field("numbers", &self.accounts.len())
            .finish_non_exhaustive()
    }
}

impl SendExecutor {
    /// An executor for the numbers of `config`.
    #[must_use]
    pub fn new(
        config: &Config,
        graph: GraphClient,
        doors: Doors,
        departures: Departures,
        sealer: Arc<Sealer>,
        clock: Clock,
    ) -> Self {
        let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
        let accounts = config
            .businesses
            .iter()
            .flat_map(|business| &business.numbers)
            .map(|number| {
                let account = Account {
                    phone_number_id: number.phone_number_id.clone(),
                    token: number.access_token.expose().to_owned(),
                };
                (naming::number_id(&hash, &number.phone_number_id), account)
            })
            .collect();
        let hard_limit = Duration::from_millis(config.graph.timeout_ms);
        Self { accounts, graph, doors, departures, sealer, clock, hard_limit }
    }

    /// This process has just become the owner of a partition.
    pub(crate) fn taken(&self, partition: PartitionId) {
        self.doors.taken(partition);
    }

    async fn send(&self, business: &str, call: &Call, door: Door) -> CallAnswer {
        let Some(account) = self.accounts.get(&call.number) else {
            return never(0, "this number is not configured any more");
        };
        if let Some(typing) = mark_of(&call.kind) {
            return self.mark(business, account, call, typing, door).await;
        }
        let message = match self.message(business, call) {
            Ok(message) => message,
            Err(told) => return never(0, told),
        };
        let body = match message.to_body() {
            Ok(body) => body,
            Err(invalid) => return never(100, &invalid.to_string()),
        };
        let overtaking = self.doors.overtaking(call);
        if overtaking.has_happened() {
            return overtaken();
        }
        let begun_us = self.clock.boot_us();
        let leave = match self.doors.wait(call.number, call.lane, call.rate_per_s, &door).await {
            Ok(leave) => leave,
            Err(why) => return not_started(why),
        };
        let waited_us = self.clock.boot_us().saturating_sub(begun_us);
        metrics::waited_at_door(Duration::from_micros(waited_us).as_secs_f64());
        let result = self
            .graph
            .send_message(SendCall {
                phone_number_id: &account.phone_number_id,
                token: &account.token,
                body,
                hard_limit: self.hard_limit,
                before_first_byte: last_check(
                    door,
                    overtaking.clone(),
                    leave,
                    self.departures.of(business, call),
                ),
            })
            .await;
        match result {
            GraphResult::NotSent(_) if overtaking.has_happened() => overtaken(),
            result => self.answer(business, account, result),
        }
    }

    /// Best effort: whatever comes of it, it is not repeated.
    async fn mark(
        &self,
        business: &str,
        account: &Account,
        call: &Call,
        typing: bool,
        door: Door,
    ) -> CallAnswer {
        let content: Option<Content> = self.open(business, &call.content);
        let Some(wamid) = content.and_then(|content| content.target_wamid) else {
            return never(0, "the message's content was erased");
        };
        let result = self
            .graph
            .mark_read(SendCall {
                phone_number_id: &account.phone_number_id,
                token: &account.token,
                body: mark_read(&wamid, typing),
                hard_limit: self.hard_limit,
                before_first_byte: move || door.check().is_ok(),
            })
            .await;
        match result {
            GraphResult::Accepted(()) => not_started("no message"),
            GraphResult::Refused(_) => never(0, "refused"),
            GraphResult::Unknown(why) => CallAnswer::Unknown { why: why.to_string() },
            GraphResult::NotSent(why) => not_started(why),
        }
    }

    fn message(&self, business: &str, call: &Call) -> Result<OutboundMessage, &'static str> {
        let identity: Identity =
            self.open(business, &call.recipient).ok_or("the customer's data was erased")?;
        let content: Content =
            self.open(business, &call.content).ok_or("the message's content was erased")?;
        // A BSUID in `to` is accepted and then fails (131026); the phone is preferred where it is known.
        let to = match (identity.phone, identity.bsuid) {
            (Some(phone), _) => Recipient::Phone(phone),
            (None, Some(bsuid)) => Recipient::Bsuid(bsuid),
            (None, None) => return Err("neither phone nor user id of the customer is known"),
        };
        let (content, reply_to) = outbound(&call.kind, content)?;
        Ok(OutboundMessage {
            to,
            reply_to,
            content,
            biz_opaque_callback_data: Some(call.key.request.to_opaque()),
        })
    }

    fn open<T: serde::de::DeserializeOwned>(&self, business: &str, sealed: &Sealed) -> Option<T> {
        let plain = self.sealer.open(business.as_bytes(), sealed.key_id, &sealed.bytes).ok()?;
        persist::decode(&plain).ok()
    }

    fn answer<T: Into<SentId>>(
        &self,
        business: &str,
        account: &Account,
        result: GraphResult<T>,
    ) -> CallAnswer {
        let verdict = result.verdict();
        match result {
            GraphResult::Accepted(sent) => self.accepted(business, account, sent.into()),
            GraphResult::Refused(refusal) => {
                let (retry, told) =
                    verdict.map_or((Retry::Never, ""), |v| (retry_of(v.class), v.for_agent));
                let code = refusal.code.and_then(|code| u32::try_from(code).ok()).unwrap_or(0);
                CallAnswer::Refused { code, retry, told: told.to_owned() }
            }
            GraphResult::Unknown(why) => CallAnswer::Unknown { why: why.to_string() },
            GraphResult::NotSent(why) => not_started(why),
        }
    }

    fn accepted(&self, business: &str, account: &Account, sent: SentId) -> CallAnswer {
        let hash = |purpose: &str, parts: &[&[u8]]| self.sealer.hash16(purpose, parts);
        let message = naming::message_id(&hash, &account.phone_number_id, &sent.0);
        let content = Content { wamid: Some(sent.0), ..Content::default() };
        match persist::encode(&content) {
            Ok(plain) => {
                let sealed = self.sealer.seal(business.as_bytes(), &plain);
                let wamid = Sealed { key_id: sealed.key_id, bytes: sealed.bytes };
                CallAnswer::Accepted { message, wamid }
            }
            // Cannot happen for this type; the status with our opaque id tells the outcome.
            Err(error) => CallAnswer::Unknown { why: error.to_string() },
        }
    }
}

/// wamid of an accepted message.
struct SentId(String);

impl From<whatsapp::graph::Accepted> for SentId {
    fn from(accepted: whatsapp::graph::Accepted) -> Self {
        Self(accepted.wamid)
    }
}

fn not_started(why: impl ToString) -> CallAnswer {
    CallAnswer::NotStarted { why: why.to_string(), overtaken: false }
}

/// The Number asks the conversation.
fn overtaken() -> CallAnswer {
    metrics::overtaken();
    CallAnswer::NotStarted { why: "the phone has spoken meanwhile".to_owned(), overtaken: true }
}

/// Asked immediately before the first byte: may the call still start? Then the departure is entered in the log
/// of the number's door.
fn last_check(
    door: Door,
    overtaking: Overtaking,
    mut leave: Leave,
    departure: Departure,
) -> impl FnMut() -> bool + Send + Sync + Unpin + 'static {
    move || {
        let leaves = door.check().is_ok() && !overtaking.has_happened() && leave.depart();
        if leaves {
            departure.tell();
        }
        leaves
    }
}

/// Whether a call marks a message read, and whether it shows a typing indicator.
fn mark_of(kind: &ContentKind) -> Option<bool> {
    match kind {
        ContentKind::Other(name) if name == effect::MARK_READ => Some(false),
        ContentKind::Other(name) if name == effect::MARK_TYPING => Some(true),
        _ => None,
    }
}

fn never(code: u32, told: &str) -> CallAnswer {
    CallAnswer::Refused { code, retry: Retry::Never, told: told.to_owned() }
}

/// The domain's retry class of Meta's error class.
fn retry_of(class: ErrorClass) -> Retry {
    match class {
        ErrorClass::StopChannel => Retry::Stop(PauseReason::Token),
        ErrorClass::NoPermission => Retry::Stop(PauseReason::Permission),
        ErrorClass::AccountLocked => Retry::Stop(PauseReason::Policy),
        ErrorClass::NumberNotRegistered => Retry::Stop(PauseReason::Registration),
        ErrorClass::PaymentNeeded => Retry::Stop(PauseReason::Payment),
        ErrorClass::Throttled => Retry::NumberBackoff,
        ErrorClass::Backoff(backoff) => Retry::Wait(Wait {
            scope: match backoff.scope {
                Scope::Message => WaitScope::Message,
                // Other numbers of the account and the app find out by themselves.
                Scope::Number | Scope::Account | Scope::App => WaitScope::Number,
            },
            first_ms: backoff.first_ms,
            attempts_max: backoff.attempts_max.map(u32::from),
        }),
        ErrorClass::PairBackoff => Retry::PairBackoff,
        ErrorClass::RetryOnceInWindow => Retry::OnceIfWindowOpen,
        ErrorClass::SpamLimited => wait(WaitScope::Lane(Lane::Campaign), HOUR_MS),
        ErrorClass::MisclassificationCap => wait(WaitScope::Lane(Lane::Utility), HOUR_MS),
        ErrorClass::MarketingHeld => wait(WaitScope::Message, 24 * HOUR_MS),
        ErrorClass::TemplatePaused => wait(WaitScope::Message, 3 * HOUR_MS),
        _ => Retry::Never,
    }
}

const HOUR_MS: u64 = 3_600_000;

/// As long as the message is wanted, longer each time.
fn wait(scope: WaitScope, first_ms: u64) -> Retry {
    Retry::Wait(Wait { scope, first_ms, attempts_max: None })
}

fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Agent => "agent",
        Lane::Bot => "bot",
        Lane::Utility => "utility",
        Lane::Campaign => "campaign",
    }
}

fn answer_name(answer: &CallAnswer) -> &'static str {
    match answer {
        CallAnswer::Accepted { .. } => "accepted",
        CallAnswer::Refused { .. } => "refused",
        CallAnswer::NotStarted { .. } => "not_started",
        CallAnswer::Unknown { .. } => "unknown",
    }
}

impl SendExecutor {
    /// Carries out one call.
    pub(crate) async fn carry_out(&self, business: &str, call: &Call, door: Door) -> CallResult {
        let answer = self.send(business, call, door).await;
        metrics::send(lane_name(call.lane), answer_name(&answer));
        match persist::encode(&Report { key: call.key, answer }) {
            Ok(report) => CallResult::Done(report.into()),
            Err(error) => CallResult::Unknown(error.to_string()),
        }
    }
}

#[cfg(test)]
mod at_the_door;
#[cfg(test)]
mod tests {
    use whatsapp::errors::{Backoff, ErrorClass as Class};

    use super::*;

    /// Every class, with what becomes of the message, its lane and its channel. A class that is added to the fact sheet is
    /// decided here: the match below does not compile without it.
    fn expected(class: Class) -> Retry {
        match class {
            Class::StopChannel => Retry::Stop(PauseReason::Token),
            Class::NoPermission => Retry::Stop(PauseReason::Permission),
            Class::AccountLocked => Retry::Stop(PauseReason::Policy),
            Class::NumberNotRegistered => Retry::Stop(PauseReason::Registration),
            Class::PaymentNeeded => Retry::Stop(PauseReason::Payment),
            Class::Throttled => Retry::NumberBackoff,
            Class::PairBackoff => Retry::PairBackoff,
            Class::RetryOnceInWindow => Retry::OnceIfWindowOpen,
            Class::SpamLimited => wait(WaitScope::Lane(Lane::Campaign), 3_600_000),
            Class::MisclassificationCap => wait(WaitScope::Lane(Lane::Utility), 3_600_000),
            Class::MarketingHeld => wait(WaitScope::Message, 86_400_000),
            Class::TemplatePaused => wait(WaitScope::Message, 10_800_000),
            Class::Backoff(backoff) => Retry::Wait(Wait {
                scope: match backoff.scope {
                    Scope::Message => WaitScope::Message,
                    Scope::Number | Scope::Account | Scope::App => WaitScope::Number,
                },
                first_ms: backoff.first_ms,
                attempts_max: backoff.attempts_max.map(u32::from),
            }),
            // Sending the same again gives the same answer, or must not happen.
            Class::CountryBlocked
            | Class::MarketingOptedOut
            | Class::Undeliverable
            | Class::NeedsPhone
            | Class::WrongApi
            | Class::TemplateDisabled
            | Class::TemplateWrong
            | Class::IdentityChanged
            | Class::AlreadyDone
            | Class::InboundNotice
            | Class::NoRetry
            | Class::Reconcile => Retry::Never,
        }
    }

    #[test]
    fn every_class_of_error_has_what_follows() {
        let scopes = [Scope::Message, Scope::Number, Scope::Account, Scope::App];
        let backoffs = scopes.into_iter().flat_map(|scope| {
            [Some(3), None].map(|attempts_max| {
                Class::Backoff(Backoff { first_ms: 5_000, attempts_max, scope })
            })
        });
        let plain = [
            Class::StopChannel,
            Class::AccountLocked,
            Class::NumberNotRegistered,
            Class::NoPermission,
            Class::PaymentNeeded,
            Class::CountryBlocked,
            Class::Throttled,
            Class::PairBackoff,
            Class::SpamLimited,
            Class::MisclassificationCap,
            Class::MarketingHeld,
            Class::MarketingOptedOut,
            Class::RetryOnceInWindow,
            Class::Undeliverable,
            Class::NeedsPhone,
            Class::WrongApi,
            Class::TemplatePaused,
            Class::TemplateDisabled,
            Class::TemplateWrong,
            Class::IdentityChanged,
            Class::AlreadyDone,
            Class::InboundNotice,
            Class::NoRetry,
            Class::Reconcile,
        ];
        for class in backoffs.chain(plain) {
            assert_eq!(retry_of(class), expected(class), "{class:?}");
        }
    }
}
