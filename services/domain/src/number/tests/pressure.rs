//! The Number and its door together, in virtual time: what leaves when, measured at departure.

use std::collections::{BTreeMap, VecDeque};

use super::kit::{START_MS, accepted, config, me, request};
use crate::{
    Millis,
    effect::{Call, CallKey},
    number::{
        ASKS_FROM_LEVEL, Lane, Number, NumberInput, Occasion, SendRequest,
        door::DoorQueue,
        limiter::{SlidingLog, StartAt},
    },
};

const SECOND_US: u64 = 1_000_000;
/// The door's margin, as the executor uses it.
const MARGIN_US: u64 = 10_000;
/// A record is durable after this, ms.
const COMMIT_MS: Millis = 10;
/// Departures are told together, ms.
const NOTICE_MS: Millis = 25;

/// What happens at a time.
enum Event {
    AtTheDoor(Box<Call>),
    Told(NumberInput),
    Result(CallKey),
}

struct Sim {
    number: Number,
    door: DoorQueue<Call>,
    log: SlidingLog,
    now_ms: Millis,
    answer_ms: Millis,
    agenda: BTreeMap<(Millis, u64), Event>,
    events: u64,
    /// Departures, µs since the start, with their calls' lanes.
    left: Vec<(u64, Lane, CallKey)>,
    gone: Vec<CallKey>,
    /// Calls that waited at the door at once, at most.
    most_at_door: usize,
}

impl Sim {
    fn new(rate: u32, answer_ms: Millis) -> Self {
        let mut sim = Self {
            number: Number::default(),
            door: DoorQueue::default(),
            log: SlidingLog::new(rate, false, 0).with_margin(MARGIN_US),
            now_ms: START_MS,
            answer_ms,
            agenda: BTreeMap::new(),
            events: 0,
            left: Vec::new(),
            gone: Vec::new(),
            most_at_door: 0,
        };
        sim.decide(&Event::Told(NumberInput::Configure(config(rate))));
        sim
    }

    fn at(&mut self, after_ms: Millis, event: Event) {
        self.events += 1;
        self.agenda.insert((self.now_ms + after_ms, self.events), event);
    }

    fn decide(&mut self, event: &Event) {
        let answer = accepted(1);
        let occasion = match event {
            Event::Told(input) => Occasion::Input { key: [0; 16], input },
            Event::Result(key) => Occasion::CallResult { key: *key, answer: &answer },
            Event::AtTheDoor(_) => return,
        };
        self.take(occasion);
    }

    fn take(&mut self, occasion: Occasion<'_>) {
        let outcome = self.number.decide(me(), occasion, self.now_ms, 0, ASKS_FROM_LEVEL);
        for event in &outcome.events {
            self.number.apply(event);
        }
        for call in outcome.calls {
            self.at(COMMIT_MS, Event::AtTheDoor(Box::new(call)));
        }
    }

    fn ask(&mut self, request: SendRequest) {
        self.decide(&Event::Told(NumberInput::Request(Box::new(request))));
    }

    /// One millisecond.
    fn tick(&mut self) {
        while let Some(entry) = self.agenda.first_entry().filter(|it| it.key().0 <= self.now_ms) {
            match entry.remove() {
                Event::AtTheDoor(call) => self.door.push(call.lane, *call),
                event => self.decide(&event),
            }
        }
        if self.number.wake_ms().is_some_and(|wake_ms| wake_ms <= self.now_ms) {
            self.take(Occasion::Wake);
        }
        self.most_at_door = self.most_at_door.max(self.door.len());
        let mut now_us = (self.now_ms - START_MS) * 1_000;
        let end_us = now_us + 1_000;
        while now_us < end_us {
            let Some(first) = self.door.first(|_| true) else { break };
            match self.log.next_start(now_us) {
                StartAt::Now => {
                    self.left.push((now_us, first.call.lane, first.call.key));
                    self.gone.push(first.call.key);
                    self.at(self.answer_ms, Event::Result(first.call.key));
                }
                StartAt::At(at_us) => {
                    self.door.put_back(first);
                    now_us = at_us;
                }
            }
        }
        if self.now_ms.is_multiple_of(NOTICE_MS) && !self.gone.is_empty() {
            let calls = std::mem::take(&mut self.gone);
            self.at(COMMIT_MS, Event::Told(NumberInput::Departed { calls }));
        }
        self.now_ms += 1;
    }

    /// The most departures in one closed second.
    fn fullest(&self) -> usize {
        let (mut within, mut most) = (VecDeque::new(), 0);
        for (at_us, ..) in &self.left {
            within.push_back(*at_us);
            while within.front().is_some_and(|first| first + SECOND_US < *at_us) {
                within.pop_front();
            }
            most = most.max(within.len());
        }
        most
    }
}

/// A campaign that never runs dry.
struct Backlog {
    asked: u64,
}

impl Backlog {
    fn fill(&mut self, sim: &mut Sim, ahead: u64) {
        while self.asked < sim.left.len() as u64 + ahead {
            self.asked += 1;
            let number = self.asked;
            let mut one = request(0, number, Lane::Campaign);
            // Every message goes to another customer.
            one.customer.0 = (u128::from(number) + 1_000).to_be_bytes();
            one.request.conversation = one.customer;
            one.conversation.hash = one.customer;
            one.not_after_ms = sim.now_ms + 3_600_000;
            sim.ask(one);
        }
    }
}

#[test]
fn under_full_pressure_a_number_reaches_its_rate_and_no_second_exceeds_it() {
    for (rate, answer_ms) in [(1, 40), (5, 700), (20, 40), (20, 3_000), (80, 40), (80, 1_500)] {
        let mut sim = Sim::new(rate, answer_ms);
        let mut backlog = Backlog { asked: 0 };
        for _ in 0..60_000 {
            backlog.fill(&mut sim, u64::from(rate) + 20);
            sim.tick();
        }
        let possible = 60 * u64::from(rate);
        let left = sim.left.len() as u64;
        assert!(left * 100 >= possible * 98, "{rate}/s, {answer_ms} ms: {left} of {possible}");
        assert!(sim.fullest() <= rate as usize, "{rate}/s: {} in one second", sim.fullest());
        let most = (rate as usize / 4).max(2);
        assert!(sim.most_at_door <= most, "{} wait at the door", sim.most_at_door);
    }
}

#[test]
fn an_agents_reply_waits_at_most_a_quarter_of_a_second_behind_a_campaign() {
    for (rate, answer_ms) in [(8, 500), (20, 40), (20, 2_000), (80, 300)] {
        let mut sim = Sim::new(rate, answer_ms);
        let mut backlog = Backlog { asked: 0 };
        let mut asked = BTreeMap::new();
        for ms in 0..30_000_u64 {
            backlog.fill(&mut sim, 500);
            if ms % 1_310 == 700 {
                let customer = u8::try_from(ms / 1_310 + 1).unwrap();
                let one = request(customer, 1, Lane::Agent);
                asked.insert(one.request, ms * 1_000);
                sim.ask(one);
            }
            sim.tick();
        }
        let agents = sim.left.iter().filter(|(_, lane, _)| *lane == Lane::Agent);
        let waits: Vec<u64> = agents.map(|(at_us, _, key)| at_us - asked[&key.request]).collect();
        assert!(waits.len() + 1 >= asked.len(), "{} of {}", waits.len(), asked.len());
        let longest = waits.iter().max().copied().unwrap();
        assert!(longest <= 250_000, "{rate}/s, {answer_ms} ms: {longest} us");
        assert!(sim.fullest() <= rate as usize);
    }
}
