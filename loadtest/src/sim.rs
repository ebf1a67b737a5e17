//! The simulated Meta world: its state behind one lock, held for microseconds, and the driver that lets due events happen.

mod customers;
mod deliveries;
pub(crate) mod desks;
mod sends;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Uri;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{Notify, Semaphore, watch};

use crate::agenda::Agenda;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::judge::Ledger;
use crate::outbox::{DeliveryId, Outbox, UpdateId};
use crate::rules::pair::PairDebt;
use crate::rules::rate::{RateRule, RateWindow};
use crate::sabotage::{Proxy, Sabotage};
use crate::scenario::{Mode, Scenario};
use crate::stats::Stats;
use crate::table::Table;
use crate::world::{AgentId, BusinessId, ChatId, NumberId, World, share};

pub(crate) use customers::ChatState;
pub(crate) use deliveries::{Outcome, Post};
use desks::Desk;
pub(crate) use sends::Reply;

/// Something that happens at a time.
#[derive(Debug)]
pub(crate) enum Event {
    /// The next customer begins to write.
    Arrival,
    /// A customer answers the menu.
    Choose { chat: ChatId },
    /// A customer who chose already is asked once more.
    ChooseAgain { chat: ChatId },
    /// A customer who saw no menu loses patience.
    Patience { chat: ChatId, turn: u32 },
    /// The owner of the phone answers.
    PhoneAnswers { chat: ChatId },
    /// The owner of some phone writes unasked.
    PhoneWrites,
    /// Meta reports something.
    Report { report: UpdateId },
    /// Whatever was gathered for a batch leaves.
    Flush { business: BusinessId },
    /// A delivery is tried (again).
    Deliver { delivery: DeliveryId },
    /// The misbehaving proxy lets go.
    ReleaseTurns,
}

/// Where the product is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) webhook: Option<Uri>,
    /// Rises with every change, so that connections to a former product are dropped.
    pub(crate) version: u64,
}

/// A time in which customers write more.
#[derive(Clone, Copy, Debug)]
struct Storm {
    factor: f64,
    until_us: u64,
}

/// All that changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: Arc<World>,
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) faults: Faults,
    pub(crate) rng: StdRng,
    pub(crate) agenda: Agenda<Event>,
    pub(crate) ledger: Ledger,
    pub(crate) chats: Table<ChatId, ChatState>,
    desks: Table<AgentId, Desk>,
    pub(crate) rates: Table<NumberId, RateWindow>,
    pub(crate) pairs: Table<ChatId, PairDebt>,
    pub(crate) outbox: Outbox,
    pub(crate) stats: Stats,
    pub(crate) proxy: Proxy,
    pub(crate) target: Target,
    /// Customers begin conversations.
    pub(crate) talking: bool,
    /// Customers will not come back: agents clear their desks.
    pub(crate) closing: bool,
    pub(crate) sends_unanswered: usize,
    /// More customers than usual until then.
    storm: Option<Storm>,
    /// Nobody looks at the phones.
    pub(crate) phones_silent: bool,
    epoch_us: u64,
    /// Numbers texts, so that each is unique.
    written: u64,
}

impl State {
    pub(crate) fn new(
        scenario: Arc<Scenario>,
        world: Arc<World>,
        sabotage: Option<Sabotage>,
        epoch_us: u64,
    ) -> Self {
        let rules = &scenario.judge;
        let rate = |mode: Mode, rate_per_s| RateRule {
            rate_per_s,
            counts_inbound: mode == Mode::Coexistence,
            jitter_us: rules.rate_jitter_ms * 1_000,
            tolerance_calls: rules.rate_tolerance_calls,
            known_after_us: rules.inbound_known_after_ms * 1_000,
        };
        let ledger = Ledger::new(rules.clone(), &scenario.product, &world);
        Self {
            rates: world
                .numbers
                .iter()
                .map(|(_, n)| RateWindow::new(rate(n.mode, n.rate_per_s)))
                .collect(),
            chats: world.customers.iter().map(|_| ChatState::default()).collect(),
            desks: world.agents.iter().map(|_| Desk::default()).collect(),
            pairs: world.customers.iter().map(|_| PairDebt::default()).collect(),
            faults: scenario.faults.clone(),
            // Another stream of random numbers than the one that built the world.
            rng: StdRng::seed_from_u64(scenario.seed ^ 0x5eed),
            agenda: Agenda::new(),
            ledger,
            outbox: Outbox::new(),
            stats: Stats::new(),
            proxy: Proxy::new(sabotage),
            target: Target::default(),
            talking: false,
            closing: false,
            sends_unanswered: 0,
            storm: None,
            phones_silent: false,
            epoch_us,
            written: 0,
            world,
            scenario,
        }
    }

    /// Lets everything happen that is due.
    pub(crate) fn advance(&mut self, now_us: u64) {
        while let Some((due_us, event)) = self.agenda.pop_due(now_us) {
            match event {
                Event::Arrival => self.on_arrival(due_us, now_us),
                Event::Choose { chat } => self.on_choose(chat, now_us),
                Event::ChooseAgain { chat } => self.on_choose_again(chat, now_us),
                Event::Patience { chat, turn } => self.on_patience(chat, turn, now_us),
                Event::PhoneAnswers { chat } => self.on_phone_answers(chat, now_us),
                Event::PhoneWrites => self.on_phone_writes(due_us, now_us),
                Event::Report { report } => self.on_report(report, now_us),
                Event::Flush { business } => self.on_flush(business),
                Event::Deliver { delivery } => self.outbox.make_ready(delivery),
                Event::ReleaseTurns => self.on_release_turns(now_us),
            }
        }
    }

    /// Meta time.
    pub(crate) fn epoch_s(&self, at_us: u64) -> i64 {
        i64::try_from((self.epoch_us + at_us) / 1_000_000).unwrap_or(i64::MAX)
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(share(probability))
    }

    /// A time around `ms`: from half of it to one and a half.
    pub(crate) fn around_us(&mut self, ms: u64) -> u64 {
        let us = ms * 1_000;
        us / 2 + self.rng.random_range(0..=us)
    }

    pub(crate) fn next_text(&mut self) -> u64 {
        self.written += 1;
        self.written
    }

    /// Nothing is on its way from Meta's side and nothing will begin by itself.
    pub(crate) fn is_quiet(&self) -> bool {
        let idle = |event: &Event| {
            matches!(event, Event::Arrival | Event::PhoneWrites | Event::Patience { .. })
        };
        !self.talking
            && self.sends_unanswered == 0
            && self.outbox.is_quiet()
            && self.agenda.events().all(idle)
    }

    fn on_release_turns(&mut self, now_us: u64) {
        let ledger = &self.ledger;
        if self.proxy.release_turns(now_us, |chat| ledger.bot_is_late(chat, now_us)) {
            self.agenda.add(now_us + sends::TURN_CHECK_US, Event::ReleaseTurns);
        }
    }
}

/// The world, shared by all tasks.
#[derive(Debug)]
pub(crate) struct Sim {
    pub(crate) clock: Clock,
    pub(crate) world: Arc<World>,
    pub(crate) scenario: Arc<Scenario>,
    state: Mutex<State>,
    wake: Notify,
    /// One permit for every delivery that is ready.
    pub(crate) posts: Semaphore,
    /// Where the agents connect to.
    pub(crate) desk: watch::Sender<Option<String>>,
    /// Agents' commands without an answer.
    pub(crate) commands_open: AtomicUsize,
    /// Things agents are about to do.
    pub(crate) intentions: AtomicUsize,
}

impl Sim {
    pub(crate) fn new(scenario: Scenario, sabotage: Option<Sabotage>) -> Arc<Self> {
        let (clock, scenario) = (Clock::start(), Arc::new(scenario));
        let world = Arc::new(World::build(&scenario));
        let state =
            State::new(Arc::clone(&scenario), Arc::clone(&world), sabotage, clock.epoch_us());
        Arc::new(Self {
            clock,
            world,
            scenario,
            state: Mutex::new(state),
            wake: Notify::new(),
            posts: Semaphore::new(0),
            desk: watch::Sender::new(None),
            commands_open: AtomicUsize::new(0),
            intentions: AtomicUsize::new(0),
        })
    }

    /// Looks at or changes the state, and wakes whom that concerns. A panic under the lock is counted by its task; the state
    /// stays usable for the report.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut State, u64) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.agenda.next_us();
        let result = act(&mut state, self.clock.now_us());
        let ready = state.outbox.take_newly_ready();
        let next = state.agenda.next_us();
        let sooner = next.is_some() && before.is_none_or(|before| next < Some(before));
        drop(state);
        if ready > 0 {
            self.posts.add_permits(ready);
        }
        if sooner {
            self.wake.notify_one();
        }
        result
    }

    /// Lets due events happen for as long as the process lives.
    pub(crate) async fn drive(self: Arc<Self>) {
        loop {
            let wait_us = self.with(|state, now_us| {
                state.advance(now_us);
                state.agenda.next_us().map_or(IDLE_US, |next_us| next_us.saturating_sub(now_us))
            });
            let wait = Duration::from_micros(wait_us.clamp(200, IDLE_US));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    /// The product is at a new place, or is a new process at the old one.
    pub(crate) fn product(&self, webhook: Option<Uri>, desk: Option<String>) {
        self.with(|state, now_us| {
            state.ledger.replaced(now_us);
            state.target.version += 1;
            if webhook.is_some() {
                state.target.webhook = webhook;
            }
        });
        if desk.is_some() {
            self.desk.send_replace(desk);
        }
    }

    pub(crate) fn agents_are_quiet(&self) -> bool {
        self.commands_open.load(Ordering::Relaxed) == 0
            && self.intentions.load(Ordering::Relaxed) == 0
    }
}

const IDLE_US: u64 = 100_000;
