//! What customers and the owners of phones do.

use std::sync::Arc;

use rand::Rng;

use crate::judge::{Arrival, Asker, MessageId, Speech};
use crate::outbox::UpdateId;
use crate::sabotage::Sabotage;
use crate::scenario::Mode;
use crate::wamid::{self, Direction};
use crate::webhook::{Content, What};
use crate::world::{ChatId, NumberId};

use super::{Event, State, Storm};

/// Where a customer is in the talk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing open: the next message begins an episode.
    #[default]
    Silent,
    /// Wrote, and expects the bot's question.
    Waiting { asked: bool },
    /// Chose, or was answered by a person.
    Talking,
}

/// One customer.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChatState {
    pub(crate) stage: Stage,
    turn: u32,
    /// When the customer last wrote: opens the window.
    pub(crate) last_inbound_us: Option<u64>,
    /// The webhook with the customer's choice, until an agent sees the offer.
    pub(crate) chosen: Option<UpdateId>,
    /// How often the customer chose in this turn.
    choices: u32,
    /// Something a reaction can point at.
    last_from_business: Option<String>,
}

const TRIES: usize = 8;
/// A customer who is asked again and again gives up.
const CHOICES_MAX: u32 = 3;

impl State {
    /// Starts or stops what customers and phones begin by themselves.
    pub(crate) fn talk(&mut self, talking: bool, now_us: u64) {
        let pending = |state: &Self, kind: fn(&Event) -> bool| state.agenda.events().any(kind);
        if talking && !pending(self, |event| matches!(event, Event::Arrival)) {
            self.agenda.add(now_us, Event::Arrival);
        }
        let phones = self.scenario.traffic.phone_per_s > 0.0;
        if talking && phones && !pending(self, |event| matches!(event, Event::PhoneWrites)) {
            self.agenda.add(now_us, Event::PhoneWrites);
        }
        self.talking = talking;
        self.closing &= !talking;
    }

    /// Customers write `factor` times more for this long.
    pub(crate) fn storm(&mut self, factor: f64, span: std::time::Duration, now_us: u64) {
        let until_us = now_us + u64::try_from(span.as_micros()).unwrap_or(u64::MAX / 2);
        self.storm = Some(Storm { factor, until_us });
    }

    /// The factor of a storm that goes on, and how many milliseconds it still has.
    pub(crate) fn storming(&self, now_us: u64) -> Option<(f64, u64)> {
        let storm = self.storm.filter(|storm| now_us < storm.until_us)?;
        Some((storm.factor, (storm.until_us - now_us) / 1_000))
    }

    /// A random gap between events that come `per_s` times a second.
    fn gap_us(&mut self, per_s: f64) -> u64 {
        let gap_s = -(1.0 - self.rng.random::<f64>()).ln() / per_s.max(0.001);
        let gap = std::time::Duration::from_secs_f64(gap_s.min(3_600.0));
        u64::try_from(gap.as_micros()).unwrap_or(u64::MAX / 2)
    }

    /// Open loop: the next arrival waits for nothing that the product does, nor for our own being late.
    pub(super) fn on_arrival(&mut self, due_us: u64, now_us: u64) {
        if !self.talking {
            return;
        }
        let (factor, _) = self.storming(now_us).unwrap_or((1.0, 0));
        let gap_us = self.gap_us(self.scenario.traffic.inbound_per_s * factor);
        self.agenda.add(due_us + gap_us, Event::Arrival);
        if self.is_held_back() {
            self.stats.held_back += 1;
        } else if let Some(chat) = self.pick_chat() {
            self.begin_to_write(chat, now_us);
        }
    }

    fn is_held_back(&self) -> bool {
        let unacked_max = self.scenario.traffic.unacked_max;
        unacked_max > 0 && self.outbox.unacked() >= unacked_max
    }

    fn pick_chat(&mut self) -> Option<ChatId> {
        let number = self.pick_number()?;
        for _ in 0..TRIES {
            let count = self.world.numbers[number].chats.len();
            let row = self.rng.random_range(0..count.max(1));
            let chat = self.world.numbers[number].chats.get(row).copied()?;
            if !matches!(self.chats[chat].stage, Stage::Waiting { .. }) {
                return Some(chat);
            }
        }
        None
    }

    fn pick_number(&mut self) -> Option<NumberId> {
        let total: f64 = self.world.numbers.iter().map(|(_, number)| number.weight).sum();
        let mut left = self.rng.random::<f64>() * total;
        let mut numbers = self.world.numbers.iter();
        numbers
            .find(|(_, number)| {
                left -= number.weight;
                left < 0.0
            })
            .map(|(id, _)| id)
    }

    fn begin_to_write(&mut self, chat: ChatId, now_us: u64) {
        let n = self.next_text();
        if self.chats[chat].stage == Stage::Silent {
            let state = &mut self.chats[chat];
            state.turn += 1;
            state.choices = 0;
            state.stage = Stage::Waiting { asked: false };
            let patience_us = self.scenario.traffic.menu_patience_ms * 1_000;
            let turn = state.turn;
            self.agenda.add(now_us + patience_us, Event::Patience { chat, turn });
            let text = format!(
                "Hello, is my order {n} ready? \u{f1}\u{1f600} see https://shop.test/o/{n}"
            );
            self.customer_writes(chat, Content::Text(text), now_us);
        } else {
            let content = self.later_content(chat, n);
            self.customer_writes(chat, content, now_us);
        }
    }

    fn later_content(&mut self, chat: ChatId, n: u64) -> Content {
        let traffic = &self.scenario.traffic;
        let (image, location, reaction) =
            (traffic.image_share, traffic.location_share, traffic.reaction_share);
        let draw = self.rng.random::<f64>();
        let target = self.chats[chat].last_from_business.clone();
        if draw < image {
            return Content::Image { caption: format!("photo {n}") };
        }
        if draw < image + location {
            return Content::Location { name: format!("place {n}") };
        }
        match target.filter(|_| draw < image + location + reaction) {
            Some(target) => Content::Reaction { target, emoji: "\u{1f44d}".to_owned() },
            None => Content::Text(format!("one more thing, number {n} \u{2026}")),
        }
    }

    pub(crate) fn on_choose(&mut self, chat: ChatId, now_us: u64) {
        let business = self.world.business_of(chat);
        let keywords = &self.world.businesses[business].queues;
        let row = self.rng.random_range(0..keywords.len().max(1));
        let Some(queue) = keywords.get(row) else { return };
        let text = queue.keyword.clone();
        let report = self.customer_writes(chat, Content::Text(text), now_us);
        let state = &mut self.chats[chat];
        (state.stage, state.chosen) = (Stage::Talking, Some(report));
        state.choices += 1;
        let message = self.outbox.reports[report].message;
        if let Some(message) = message.filter(|_| !self.scenario.desk.absent) {
            self.ledger.chose(chat, message);
        }
        if self.proxy.strikes(Sabotage::ForgottenItem) {
            self.proxy.forget(chat);
        }
    }

    /// The choice came before the question that it answers, or the product began anew.
    pub(super) fn on_choose_again(&mut self, chat: ChatId, now_us: u64) {
        let state = &self.chats[chat];
        if state.stage == Stage::Talking && state.chosen.is_some() {
            self.on_choose(chat, now_us);
        }
    }

    pub(super) fn on_patience(&mut self, chat: ChatId, turn: u32, now_us: u64) {
        let state = &self.chats[chat];
        if state.turn == turn && state.stage == (Stage::Waiting { asked: false }) {
            self.on_choose(chat, now_us);
        }
    }

    /// A message of the business reached the customer.
    pub(super) fn on_business_message(
        &mut self,
        chat: ChatId,
        speech: Speech,
        wamid: &str,
        now_us: u64,
    ) {
        let think_us = self.around_us(self.scenario.traffic.menu_think_ms);
        let state = &mut self.chats[chat];
        state.last_from_business = Some(wamid.to_owned());
        match (speech, state.stage) {
            (Speech::Bot, Stage::Waiting { asked: false }) => {
                state.stage = Stage::Waiting { asked: true };
                self.stats.bot_answered += 1;
                self.agenda.add(now_us + think_us, Event::Choose { chat });
            }
            (Speech::Asked((Asker::Agent(_), _)), Stage::Waiting { asked: false }) => {
                state.stage = Stage::Talking
            }
            (Speech::Bot, Stage::Talking)
                if state.chosen.is_some() && state.choices < CHOICES_MAX =>
            {
                self.agenda.add(now_us + think_us, Event::ChooseAgain { chat });
            }
            _ => {}
        }
    }

    /// The agent is done with this customer.
    pub(crate) fn on_resolved(&mut self, chat: ChatId) {
        if self.chats[chat].stage == Stage::Talking {
            self.chats[chat].stage = Stage::Silent;
        }
    }

    pub(crate) fn customer_writes(
        &mut self,
        chat: ChatId,
        content: Content,
        now_us: u64,
    ) -> UpdateId {
        let number = self.world.customers[chat].number;
        let arrival = self.arrival(chat, &content, Direction::FromCustomer, now_us);
        let (wamid, ts_s) = (arrival.wamid.clone(), arrival.ts_s);
        let message = self.ledger.customer_wrote(arrival);
        self.stats.inbound += 1;
        self.chats[chat].last_inbound_us = Some(now_us);
        self.rates[number].on_inbound(now_us);
        self.maybe_phone(chat, number, now_us);
        self.report(chat, wamid, ts_s, What::Message(content), Some(message), now_us)
    }

    fn maybe_phone(&mut self, chat: ChatId, number: NumberId, now_us: u64) {
        let on_phone = self.world.numbers[number].mode == Mode::Coexistence;
        let (share, think_ms) =
            (self.scenario.traffic.phone_echo_share, self.scenario.traffic.phone_think_ms);
        if on_phone && self.chance(share) {
            let at_us = now_us + self.around_us(think_ms);
            self.agenda.add(at_us, Event::PhoneAnswers { chat });
        }
    }

    /// Open loop, like the customers.
    pub(super) fn on_phone_writes(&mut self, due_us: u64, now_us: u64) {
        if !self.talking {
            return;
        }
        let gap_us = self.gap_us(self.scenario.traffic.phone_per_s);
        self.agenda.add(due_us + gap_us, Event::PhoneWrites);
        if self.is_held_back() {
            return;
        }
        let world = Arc::clone(&self.world);
        let phones = world.numbers.iter().filter(|(_, number)| number.mode == Mode::Coexistence);
        let chats: Vec<ChatId> =
            phones.flat_map(|(_, number)| number.chats.iter().copied()).collect();
        let row = self.rng.random_range(0..chats.len().max(1));
        let known = chats.get(row).filter(|chat| self.chats[**chat].last_inbound_us.is_some());
        if let Some(chat) = known.copied() {
            self.on_phone_answers(chat, now_us);
        }
    }

    pub(super) fn on_phone_answers(&mut self, chat: ChatId, now_us: u64) {
        if self.phones_silent {
            return;
        }
        // Every text differs: the same text to several customers would be an automatic reply.
        let content = Content::Text(format!("From the phone: we are on it ({})", self.next_text()));
        self.phone_writes(chat, content, now_us);
    }

    pub(crate) fn phone_writes(&mut self, chat: ChatId, content: Content, now_us: u64) {
        let arrival = self.arrival(chat, &content, Direction::FromBusiness, now_us);
        let (wamid, ts_s) = (arrival.wamid.clone(), arrival.ts_s);
        let message: MessageId = self.ledger.phone_wrote(arrival);
        self.stats.phone_echoes += 1;
        let state = &mut self.chats[chat];
        state.last_from_business = Some(wamid.clone());
        if state.stage == (Stage::Waiting { asked: false }) {
            state.stage = Stage::Talking;
        }
        self.report(chat, wamid, ts_s, What::Echo(content), Some(message), now_us);
    }

    fn arrival(
        &mut self,
        chat: ChatId,
        content: &Content,
        direction: Direction,
        now_us: u64,
    ) -> Arrival {
        let wamid = wamid::draw(&mut self.rng, &self.world.customers[chat].phone, direction);
        let ts_s = self.epoch_s(now_us);
        let (plain, text) = (content.plain(), content.text().to_owned());
        Arrival { chat, wamid, ts_s, at_us: now_us, plain, text }
    }
}
