//! What Meta does with a send request: authenticate, validate, limit, take or refuse, answer or not, and report statuses.

use rand::Rng;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::graph::{GraphError, Request, SendRequest, validate};
use crate::judge::{Arrival, Asker, MessageId, Progress, SendFacts, Speech};
use crate::rules::window;
use crate::sabotage::Sabotage;
use crate::wamid::{self, Direction};
use crate::webhook::What;
use crate::world::{BusinessId, ChatId, NumberId};

use super::{Event, State};

/// What happens on the caller's connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Answer {
        status: u16,
        body: Value,
        after_us: u64,
    },
    /// No answer: the connection closes after this time.
    Close {
        after_us: u64,
    },
}

/// How the answer and statuses of a taken send are kept back.
#[derive(Clone, Copy, Debug, Default)]
struct Withheld {
    answer: Option<u64>,
    status_us: u64,
}

pub(super) const TURN_CHECK_US: u64 = 200_000;
/// Calls above the rate in one burst of the proxy.
const BURST_OVER: u32 = 5;
/// A `sent` status that must be first leaves so much before the answer.
const STATUS_FIRST_US: u64 = 150_000;

impl State {
    /// Sabotage: whether the proxy holds this request, and until when.
    pub(crate) fn hold(
        &mut self,
        path_number: &str,
        body: &[u8],
        now_us: u64,
    ) -> Option<oneshot::Receiver<()>> {
        if self.proxy.kind != Some(Sabotage::StaleBotTurn) {
            return None;
        }
        let number = self.world.number_by_meta_id(path_number)?;
        let Ok(Request::Send(request)) = validate(body) else { return None };
        if self.ledger.speech_of(&request.text) != Speech::Bot {
            return None;
        }
        let chat = self.recipient(number, &request)?;
        if !self.proxy.strikes(Sabotage::StaleBotTurn) {
            return None;
        }
        self.agenda.add(now_us + TURN_CHECK_US, Event::ReleaseTurns);
        Some(self.proxy.hold_turn(chat, now_us))
    }

    /// A call of `POST /{version}/{phone_number_id}/messages` arrived at `now_us`.
    pub(crate) fn on_send(
        &mut self,
        path_number: &str,
        token: Option<&str>,
        body: &[u8],
        now_us: u64,
    ) -> Reply {
        self.stats.graph_calls += 1;
        let after_us = self.answer_after_us();
        let result = self.take(path_number, token, body, now_us);
        match result {
            Ok(reply) => reply,
            Err(error) => {
                let body = error.body(self.stats.graph_calls);
                Reply::Answer { status: error.status, body, after_us }
            }
        }
    }

    fn take(
        &mut self,
        path_number: &str,
        token: Option<&str>,
        body: &[u8],
        now_us: u64,
    ) -> Result<Reply, GraphError> {
        let (number, business) = self.authenticate(path_number, token)?;
        let request = match validate(body) {
            Ok(Request::Send(request)) => request,
            Ok(Request::Read { wamid }) => return self.mark_read(number, &wamid),
            Err(error) => {
                let example = || format!("({}) {}", error.code, error.details);
                self.ledger.violation("a malformed request", example);
                return Err(error);
            }
        };
        if self.is_refused_for_its_rate(number, now_us) {
            return Err(GraphError::new(130_429, "Cloud API message throughput has been reached."));
        }
        self.injected()?;
        let request = self.divert(number, request, now_us);
        let chat = self.reachable(number, &request)?;
        self.check_template(&request)?;
        if !self.pairs[chat].take(now_us) {
            return Err(GraphError::new(131_056, "Too many messages to this recipient."));
        }
        self.check_window(chat, &request, now_us)?;
        Ok(self.accept(business, chat, request, now_us))
    }

    fn is_refused_for_its_rate(&mut self, number: NumberId, now_us: u64) -> bool {
        let size = self.world.numbers[number].rate_per_s.saturating_add(BURST_OVER);
        let mut refused = false;
        for _ in 0..self.proxy.departing(number, size) {
            let verdict = self.rates[number].on_call(now_us);
            refused |= verdict.refused;
            if verdict.over {
                let id = &self.world.numbers[number].phone_number_id;
                let example = || format!("number {id} at {now_us} us");
                self.ledger.violation("calls departed above the number's rate", example);
            }
        }
        refused
    }

    fn authenticate(
        &mut self,
        path_number: &str,
        token: Option<&str>,
    ) -> Result<(NumberId, BusinessId), GraphError> {
        let expired = || GraphError::new(190, "Session has expired.");
        let business =
            token.and_then(|token| self.world.business_by_token(token)).ok_or_else(expired)?;
        let unknown = || GraphError::new(100, "Object does not exist or is not accessible.");
        let number = self.world.number_by_meta_id(path_number).ok_or_else(unknown)?;
        if self.world.numbers[number].business != business {
            let example = || format!("number {path_number}");
            self.ledger.violation("a send with another business's token", example);
            return Err(unknown());
        }
        Ok((number, business))
    }

    fn mark_read(&mut self, number: NumberId, wamid: &str) -> Result<Reply, GraphError> {
        let chat = self.ledger.by_wamid(wamid).map(|message| message.chat);
        if chat.is_none_or(|chat| self.world.customers[chat].number != number) {
            return Err(GraphError::new(131_009, "message_id is not a message of this number."));
        }
        let after_us = self.answer_after_us();
        Ok(Reply::Answer { status: 200, body: json!({"success": true}), after_us })
    }

    /// Errors by the knobs: nothing was taken.
    fn injected(&mut self) -> Result<(), GraphError> {
        let faults = &self.faults;
        let odds = [
            (faults.error_130429, 130_429, "Cloud API message throughput has been reached."),
            (faults.error_131000, 131_000, "Something went wrong."),
            (faults.error_131056, 131_056, "Too many messages to this recipient."),
            (
                faults.error_131047,
                131_047,
                "More than 24 hours have passed since the recipient last replied.",
            ),
            (faults.error_190, 190, "Session has expired."),
            (faults.http_5xx, 2, "Service temporarily unavailable."),
        ];
        for (probability, code, details) in odds {
            if probability > 0.0 && self.chance(probability) {
                self.stats.errors_injected += 1;
                return Err(GraphError::new(code, details));
            }
        }
        Ok(())
    }

    /// Sabotage: another customer of the number, whose window is open.
    fn divert(&mut self, number: NumberId, mut request: SendRequest, now_us: u64) -> SendRequest {
        let Some(meant) = self.recipient(number, &request) else { return request };
        let window_us = self.scenario.judge.window_s * 1_000_000;
        let open = |chat: &&ChatId| {
            **chat != meant && window::open(self.chats[**chat].last_inbound_us, now_us, window_us)
        };
        let other = self.world.numbers[number].chats.iter().find(open).copied();
        if let Some(other) = other
            && self.proxy.strikes(Sabotage::WrongRecipient)
        {
            (request.to, request.recipient) =
                (None, Some(self.world.customers[other].bsuid.clone()));
        }
        request
    }

    /// `to` wins over `recipient` (whatsapp.md 4.1).
    fn recipient(&self, number: NumberId, request: &SendRequest) -> Option<ChatId> {
        match (&request.to, &request.recipient) {
            (Some(to), _) => {
                let digits: String = to.chars().filter(char::is_ascii_digit).collect();
                let is_phone = to.chars().all(|c| c.is_ascii_digit() || " +-()".contains(c));
                self.world.chat(number, if is_phone { &digits } else { to })
            }
            (None, Some(recipient)) => self.world.chat(number, recipient),
            (None, None) => None,
        }
    }

    fn reachable(&mut self, number: NumberId, request: &SendRequest) -> Result<ChatId, GraphError> {
        let undeliverable = || GraphError::new(131_026, "Message undeliverable.");
        if request.to.as_deref().is_some_and(|to| to.starts_with("US.")) {
            self.ledger.violation("a user id in `to`", || format!("opaque {:?}", request.opaque));
            return Err(undeliverable());
        }
        let chat = self.recipient(number, request);
        let known = chat.filter(|chat| self.chats[*chat].last_inbound_us.is_some());
        if known.is_none() {
            let example = || format!("opaque {:?} on number {number:?}", request.opaque);
            self.ledger.violation("a send to someone who never wrote to this number", example);
        }
        if let Some(chat) = chat
            && request.to.is_some()
            && self.world.customers[chat].hidden
        {
            let example = || format!("opaque {:?} in {chat:?}", request.opaque);
            self.ledger.violation("a send to a phone number the business was never told", example);
        }
        known.ok_or_else(undeliverable)
    }

    fn check_template(&self, request: &SendRequest) -> Result<(), GraphError> {
        // No template is approved in this world.
        if request.kind == "template" {
            return Err(GraphError::new(
                132_001,
                "Template name does not exist in the translation.",
            ));
        }
        Ok(())
    }

    fn check_window(
        &mut self,
        chat: ChatId,
        request: &SendRequest,
        now_us: u64,
    ) -> Result<(), GraphError> {
        let (last, rules) = (self.chats[chat].last_inbound_us, &self.scenario.judge);
        let window_us = rules.window_s * 1_000_000;
        if window::open(last, now_us, window_us) {
            return Ok(());
        }
        if !window::open(last, now_us, window_us + rules.window_grace_ms * 1_000) {
            let example = || format!("opaque {:?} in {chat:?}", request.opaque);
            self.ledger.violation("a free-form message outside the window", example);
        }
        if self.faults.window_async {
            return Ok(());
        }
        Err(late())
    }

    fn accept(
        &mut self,
        business: BusinessId,
        chat: ChatId,
        request: SendRequest,
        now_us: u64,
    ) -> Reply {
        let wamid =
            wamid::draw(&mut self.rng, &self.world.customers[chat].phone, Direction::FromBusiness);
        let window_us = self.scenario.judge.window_s * 1_000_000;
        let window_open = window::open(self.chats[chat].last_inbound_us, now_us, window_us);
        let withheld = self.withhold();
        let ts_s = self.epoch_s(now_us);
        self.stats.sends += 1;
        let body = self.accepted_body(chat, &request, &wamid);
        let mut after_us = self.answer_after_us();
        if window_open {
            let plain = request.kind == "text";
            let text = request.text.clone();
            let arrival = Arrival { chat, wamid: wamid.clone(), ts_s, at_us: now_us, plain, text };
            let facts = SendFacts {
                arrival,
                opaque: request.opaque.clone(),
                answer_withheld: withheld.answer.is_some(),
                status_held: withheld.status_us > 0,
            };
            let message = self.ledger.send_accepted(business, facts);
            let speech = self.ledger.speech_of(&request.text);
            let by_agent = matches!(speech, Speech::Asked((Asker::Agent(_), _)));
            self.stats.desk_replies += u64::from(by_agent);
            self.on_business_message(chat, speech, &wamid, now_us);
            let first = self.faults.status_first;
            let sent_us = if self.chance(first) {
                after_us += STATUS_FIRST_US;
                Some(now_us)
            } else {
                None
            };
            self.statuses(message, request.opaque, sent_us, withheld.status_us, now_us);
        } else {
            self.ledger.send_undelivered(wamid.clone(), chat);
            let what = What::Status {
                progress: Progress::Failed,
                opaque: request.opaque,
                error: Some(late()),
            };
            let at_us = now_us + self.around_us(self.faults.sent_ms);
            self.report(chat, wamid, ts_s, what, None, at_us);
        }
        match withheld.answer {
            Some(after_us) => Reply::Close { after_us },
            None => Reply::Answer { status: 200, body, after_us },
        }
    }

    fn accepted_body(&self, chat: ChatId, request: &SendRequest, wamid: &str) -> Value {
        let customer = &self.world.customers[chat];
        let contact = match (&request.to, &request.recipient) {
            (Some(to), _) => json!({"input": to, "wa_id": customer.phone}),
            (None, recipient) => json!({"input": recipient, "user_id": customer.bsuid}),
        };
        json!({"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": wamid}]})
    }

    fn withhold(&mut self) -> Withheld {
        let (close, hang) = (self.faults.withhold_close, self.faults.withhold_hang);
        let answer = if self.chance(close) {
            Some(0)
        } else if self.chance(hang) {
            Some(self.faults.hang_ms * 1_000)
        } else {
            return Withheld::default();
        };
        self.stats.answers_withheld += 1;
        let hold = self.faults.withhold_status;
        let status_us = if self.chance(hold) { self.faults.withhold_status_ms * 1_000 } else { 0 };
        Withheld { answer, status_us }
    }

    /// Plans sent, delivered and read of a message, spoilt by the knobs.
    fn statuses(
        &mut self,
        message: MessageId,
        opaque: Option<String>,
        sent_us: Option<u64>,
        hold_us: u64,
        now_us: u64,
    ) {
        let base_us = now_us + hold_us;
        let sent_us = sent_us
            .map_or_else(|| base_us + self.around_us(self.faults.sent_ms), |us| us + hold_us);
        let delivered_us = sent_us + self.around_us(self.faults.delivered_ms);
        let read_us = delivered_us + self.around_us(self.faults.read_ms);
        let (reorder, drop, read) =
            (self.faults.status_reorder, self.faults.drop_delivered, self.faults.read_share);
        let (report_sent_us, report_delivered_us) =
            if self.chance(reorder) { (delivered_us, sent_us) } else { (sent_us, delivered_us) };
        let accepted_s = self.epoch_s(now_us);
        let mut plan = vec![(Progress::Sent, accepted_s, report_sent_us)];
        if !self.chance(drop) {
            plan.push((Progress::Delivered, self.epoch_s(delivered_us), report_delivered_us));
        }
        if self.chance(read) {
            plan.push((Progress::Read, self.epoch_s(read_us), read_us));
        }
        let (delay, repeat) = (self.faults.status_delay, self.faults.status_repeat);
        for (progress, ts_s, mut at_us) in plan {
            if self.chance(delay) {
                at_us += self.rng.random_range(0..=self.faults.status_delay_ms * 1_000);
            }
            self.status(message, progress, opaque.clone(), ts_s, at_us);
            if self.chance(repeat) {
                let again_us = at_us + self.around_us(self.faults.delivered_ms);
                self.status(message, progress, opaque.clone(), ts_s, again_us);
            }
        }
    }

    fn status(
        &mut self,
        id: MessageId,
        progress: Progress,
        opaque: Option<String>,
        ts_s: i64,
        at_us: u64,
    ) {
        let (chat, wamid) = (self.ledger.message(id).chat, self.ledger.message(id).wamid.clone());
        let what = What::Status { progress, opaque, error: None };
        self.report(chat, wamid, ts_s, what, Some(id), at_us);
    }

    fn answer_after_us(&mut self) -> u64 {
        let slow = self.faults.slow_answer;
        let ms = if self.chance(slow) { self.faults.slow_answer_ms } else { self.faults.answer_ms };
        self.around_us(ms)
    }
}

fn late() -> GraphError {
    GraphError::new(131_047, "More than 24 hours have passed since the recipient last replied.")
}
