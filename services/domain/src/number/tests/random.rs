//! A random world: conversations ask and cancel, the provider answers or does not, owners change, time passes. The
//! watcher looks at every event; here the world looks at what really left.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::kit::{
    CALL_OVER_MS, START_MS, World, accepted, conversation, id, not_started, overtaken, refused,
    request, unknown,
};
use crate::{
    RequestId,
    conversation::SendOutcome,
    effect::CallKey,
    number::{CallAnswer, Lane, NumberInput, PauseReason, Retry, SendRequest, Wait, WaitScope},
};

const CUSTOMERS: u8 = 6;
const HOUR_MS: u64 = 3_600_000;

/// What becomes of a call: whether it leaves, and what is answered.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Accepted,
    Refused(Retry),
    NotStarted,
    /// The phone spoke before it could leave.
    Overtaken,
    Unknown {
        left: bool,
    },
    Silent {
        left: bool,
    },
}

#[derive(Clone, Debug)]
enum Act {
    Ask {
        customer: u8,
        lane: Lane,
        template: bool,
        lasts_ms: u64,
        window_ms: u64,
    },
    AskAgain {
        pick: usize,
    },
    Cancel {
        pick: usize,
    },
    CancelEarly {
        customer: u8,
    },
    /// The call picked meets its fate (calls meet it late, too).
    Meet {
        pick: usize,
        fate: Fate,
    },
    /// The status of something that left.
    Status {
        pick: usize,
        failed: bool,
    },
    LateResult {
        pick: usize,
    },
    /// A customer says whether marketing is welcome.
    Wish {
        customer: u8,
        stopped: bool,
    },
    /// The door tells that a call has left.
    Depart {
        pick: usize,
    },
    Pass(u64),
    Configure {
        rate: u32,
    },
    TakeOver,
}

fn fates() -> impl Strategy<Value = Fate> {
    let retry = prop::sample::select(vec![
        Retry::Never,
        Retry::NumberBackoff,
        Retry::PairBackoff,
        Retry::ServiceBackoff,
        Retry::OnceIfWindowOpen,
        Retry::StopNumber,
        Retry::Stop(PauseReason::Token),
        Retry::Wait(Wait { scope: WaitScope::Message, first_ms: 5_000, attempts_max: Some(2) }),
        Retry::Wait(Wait { scope: WaitScope::Number, first_ms: 2_000, attempts_max: None }),
        Retry::Wait(Wait {
            scope: WaitScope::Lane(Lane::Campaign),
            first_ms: 60_000,
            attempts_max: None,
        }),
    ]);
    prop_oneof![
        5 => Just(Fate::Accepted),
        3 => retry.prop_map(Fate::Refused),
        2 => Just(Fate::NotStarted),
        1 => Just(Fate::Overtaken),
        2 => any::<bool>().prop_map(|left| Fate::Unknown { left }),
        1 => any::<bool>().prop_map(|left| Fate::Silent { left }),
    ]
}

fn acts() -> impl Strategy<Value = Act> {
    let lane = prop::sample::select(vec![Lane::Agent, Lane::Bot, Lane::Utility, Lane::Campaign]);
    let lasts = prop_oneof![1 => 0_u64..2_000, 2 => 20_000_u64..HOUR_MS];
    let window = prop_oneof![1 => 0_u64..60_000, 3 => HOUR_MS..20 * HOUR_MS];
    prop_oneof![
        8 => (0..CUSTOMERS, lane, prop::bool::weighted(0.2), lasts, window).prop_map(
            |(customer, lane, template, lasts_ms, window_ms)| {
                Act::Ask { customer, lane, template, lasts_ms, window_ms }
            }
        ),
        1 => (0_usize..20).prop_map(|pick| Act::AskAgain { pick }),
        2 => (0_usize..20).prop_map(|pick| Act::Cancel { pick }),
        1 => (0..CUSTOMERS).prop_map(|customer| Act::CancelEarly { customer }),
        9 => (0_usize..20, fates()).prop_map(|(pick, fate)| Act::Meet { pick, fate }),
        2 => (0_usize..20, prop::bool::weighted(0.2))
            .prop_map(|(pick, failed)| Act::Status { pick, failed }),
        1 => (0_usize..20).prop_map(|pick| Act::LateResult { pick }),
        1 => (0..CUSTOMERS, any::<bool>())
            .prop_map(|(customer, stopped)| Act::Wish { customer, stopped }),
        3 => (0_usize..20).prop_map(|pick| Act::Depart { pick }),
        4 => prop_oneof![0_u64..500, 500_u64..5_000, 12_000_u64..90_000].prop_map(Act::Pass),
        1 => prop::sample::select(vec![1_u32, 8, 20, 80]).prop_map(|rate| Act::Configure { rate }),
        1 => Just(Act::TakeOver),
    ]
}

struct Run {
    world: World,
    asked: Vec<SendRequest>,
    /// Calls not yet met by their fate, oldest first, and when they were asked for.
    open: Vec<(CallKey, u64)>,
    seen_calls: usize,
    /// Really sent: how often per request, and by which attempt last.
    left: BTreeMap<RequestId, u32>,
    /// Sent without the result having arrived.
    withheld: Vec<CallKey>,
    counters: [u64; CUSTOMERS as usize],
}

impl Run {
    fn take_calls(&mut self) {
        let new =
            self.world.calls.iter().map(|call| call.key).zip(self.world.asked_ms.iter().copied());
        self.open.extend(new.skip(self.seen_calls));
        self.seen_calls = self.world.calls.len();
        // A call has a hard limit: by then it has left or never will, and its result is lost.
        let now_ms = self.world.now_ms;
        let over = |asked_ms: u64| asked_ms + CALL_OVER_MS <= now_ms;
        while let Some(at) = self.open.iter().position(|(_, asked_ms)| over(*asked_ms)) {
            self.meet(at, Fate::Silent { left: at % 2 == 0 });
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Ask { customer, lane, template, lasts_ms, window_ms } => {
                let n = self.next_id(*customer);
                let now_ms = self.world.now_ms;
                let asked = SendRequest {
                    free_form: !template && matches!(lane, Lane::Agent | Lane::Bot),
                    not_after_ms: now_ms + lasts_ms,
                    window_until_ms: now_ms + window_ms,
                    marketing: *template && *lane == Lane::Utility,
                    ..request(*customer, n, *lane)
                };
                self.asked.push(asked.clone());
                self.world.ask(asked);
            }
            Act::AskAgain { pick } => {
                if let Some(asked) = self.asked.iter().rev().nth(*pick).cloned() {
                    // Forgotten ids are not asked again: conversations count up.
                    let part =
                        format!("request/{}.{}", asked.request.conversation, asked.request.n);
                    if self.world.number.part(&part).is_some() {
                        self.world.ask(asked);
                    }
                }
            }
            Act::Cancel { pick } => {
                if let Some(asked) = self.asked.iter().rev().nth(*pick) {
                    let request = asked.request;
                    let not_after_ms = asked.not_after_ms;
                    self.world.input(&NumberInput::Cancel { request, not_after_ms });
                }
            }
            Act::CancelEarly { customer } => {
                let request = id(*customer, self.counters[*customer as usize] + 1);
                let not_after_ms = self.world.now_ms + HOUR_MS;
                self.world.input(&NumberInput::Cancel { request, not_after_ms });
            }
            Act::Meet { pick, fate } => self.meet(*pick, *fate),
            Act::Status { pick, failed } => {
                // A conversation passes a status on only while it does not know the outcome.
                let open = |request: &&RequestId| {
                    !matches!(
                        self.world.outcome(**request),
                        Some(SendOutcome::Accepted { .. } | SendOutcome::Failed { .. })
                    )
                };
                if let Some(request) = self.left.keys().filter(open).nth(*pick).copied() {
                    self.world.status(request, failed.then_some(131_026));
                }
            }
            Act::LateResult { pick } => {
                if let Some(key) = self.withheld.iter().rev().nth(*pick).copied() {
                    self.world.result(key, &accepted(1));
                }
            }
            Act::Wish { customer, stopped } => {
                let of = |asked: &&SendRequest| asked.customer == conversation(*customer).hash;
                let requests = self.asked.iter().filter(of).map(|asked| asked.request).collect();
                let stopped = *stopped;
                self.world.input(&NumberInput::MarketingWished { requests, stopped });
            }
            Act::Depart { pick } => {
                if let Some((key, _)) = self.open.get(*pick).copied() {
                    self.world.depart(&[key]);
                }
            }
            Act::Pass(ms) => self.world.pass(*ms),
            Act::Configure { rate } => {
                self.world.input(&NumberInput::Configure(super::kit::config(*rate)));
            }
            Act::TakeOver => self.take_over(),
        }
        self.take_calls();
    }

    fn next_id(&mut self, customer: u8) -> u64 {
        let counter = &mut self.counters[customer as usize];
        *counter += 1;
        *counter
    }

    fn meet(&mut self, pick: usize, fate: Fate) {
        if pick >= self.open.len() {
            return;
        }
        let (key, _) = self.open.remove(pick);
        // The door lets nothing out that was taken back.
        let taken_back = self.world.cancels.contains(&key);
        let fate = if taken_back { Fate::NotStarted } else { fate };
        let leaves = match fate {
            Fate::Accepted => true,
            Fate::Unknown { left } | Fate::Silent { left } => left,
            Fate::Refused(_) | Fate::NotStarted | Fate::Overtaken => false,
        };
        if leaves {
            *self.left.entry(key.request).or_default() += 1;
        }
        let answer: Option<CallAnswer> = match fate {
            Fate::Accepted => Some(accepted(1)),
            Fate::Refused(retry) => Some(refused(1, retry)),
            Fate::NotStarted => Some(not_started()),
            Fate::Overtaken => Some(overtaken()),
            Fate::Unknown { .. } => Some(unknown()),
            Fate::Silent { .. } => None,
        };
        if let Some(answer) = answer {
            self.world.result(key, &answer);
        }
        if leaves && !matches!(fate, Fate::Accepted) {
            self.withheld.push(key);
        }
    }

    /// Another owner loads what was saved; calls of the former one go on for a while, their results are lost.
    fn take_over(&mut self) {
        self.world.reload();
        self.world.foreign_calls_over_ms = self.world.now_ms + 14_000;
        for (at, (key, _)) in std::mem::take(&mut self.open).into_iter().enumerate() {
            if at % 2 == 0 && !self.world.cancels.contains(&key) {
                *self.left.entry(key.request).or_default() += 1;
                self.withheld.push(key);
            }
        }
    }

    /// What must hold of what really left.
    fn check(&self) {
        for customer in 0..CUSTOMERS {
            assert!(self.world.watch.in_flight_of(conversation(customer).hash) <= 1);
        }
        for asked in &self.asked {
            let left = self.left.get(&asked.request).copied().unwrap_or(0);
            let (_, repeated) =
                self.world.watch.attempts.get(&asked.request).copied().unwrap_or((0, 0));
            assert!(left <= 1 + repeated, "{:?} left {left} times", asked.request);
            if !asked.free_form {
                assert!(left <= 1, "a template left {left} times");
            }
        }
    }

    /// Everything comes to an end, and nothing is told that did not happen.
    fn finish(&mut self) {
        self.world.input(&NumberInput::Configure(super::kit::config(80)));
        for _ in 0..200 {
            self.world.pass(60_000);
            self.take_calls();
        }
        assert!(self.world.watch.live.is_empty(), "{} never ended", self.world.watch.live.len());
        for asked in &self.asked {
            let told = self.world.outcome(asked.request);
            let told = told.unwrap_or_else(|| panic!("{:?} was told nothing", asked.request));
            let left = self.left.contains_key(&asked.request);
            match told {
                SendOutcome::Cancelled => assert!(!left, "told unsent, but it left"),
                SendOutcome::Accepted { .. } => assert!(left, "told accepted, but it never left"),
                SendOutcome::Failed { .. } | SendOutcome::Unknown => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_invariants_hold_in_a_random_world(
        rate in prop::sample::select(vec![1_u32, 8, 20, 80]),
        acts in prop::collection::vec(acts(), 1..150),
    ) {
        let mut run = Run {
            world: World::new(rate),
            asked: Vec::new(),
            open: Vec::new(),
            seen_calls: 0,
            left: BTreeMap::new(),
            withheld: Vec::new(),
            counters: [0; CUSTOMERS as usize],
        };
        prop_assert!(run.world.now_ms == START_MS);
        for act in &acts {
            run.act(act);
            run.check();
        }
        run.finish();
        run.check();
    }
}
