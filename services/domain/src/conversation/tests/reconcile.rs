//! A conversation and its Number, with the conversation's partition behind in deciding: is anything sent twice whose status
//! was acknowledged?

use std::collections::VecDeque;

use proptest::prelude::*;

use super::world::*;
use crate::{
    Millis, RequestId, ToEntity,
    conversation::*,
    effect::CallKey,
    number::{
        self, ASKS_FROM_LEVEL, CallAnswer, Number, NumberConfig, NumberInput, Occasion as Why,
    },
};

const RECONCILE_MS: Millis = 30 * S;
const TICK_MS: Millis = 250;

struct Both {
    world: World,
    number: Number,
    level: u16,
    /// What was acknowledged for the conversation, and when.
    inbox: VecDeque<(Millis, ConversationInput)>,
    /// How far the conversation's partition is behind.
    behind_ms: Millis,
    attempts: Vec<CallKey>,
}

impl Both {
    /// An agent has sent something.
    fn new(level: u16, behind_ms: Millis) -> Self {
        let mut world = World::new(plain_rules());
        world.inbound(1, T0);
        world.sent(Some("ann"), false);
        let number = Number::default();
        let inbox = VecDeque::new();
        let mut both = Self { world, number, level, inbox, behind_ms, attempts: Vec::new() };
        both.number(Why::Input {
            key: [0; 16],
            input: &NumberInput::Configure(NumberConfig {
                rate_per_s: 20,
                reconcile_ms: RECONCILE_MS,
                call_over_ms: 12 * S,
                start_by_ms: 2 * S,
                ..NumberConfig::default()
            }),
        });
        both.tick();
        both
    }

    fn number(&mut self, why: Why<'_>) {
        let out = self.number.decide(via().number, why, self.world.now_ms, 0, self.level);
        out.events.iter().for_each(|event| self.number.apply(event));
        self.attempts.extend(out.calls.iter().map(|call| call.key));
        for message in out.messages {
            let ToEntity::Conversation(to, input) = message else { panic!("{message:?}") };
            assert_eq!(to, address(B));
            self.inbox.push_back((self.world.now_ms, *input));
        }
    }

    fn result(&mut self, attempt: usize, answer: &CallAnswer) {
        let key = self.attempts[attempt];
        self.number(Why::CallResult { key, answer });
    }

    fn tick(&mut self) {
        let decided_ms = self.world.now_ms - self.behind_ms;
        while let Some((_, input)) = self.inbox.pop_front_if(|(at_ms, _)| *at_ms <= decided_ms) {
            self.world.give(B, input);
        }
        for input in std::mem::take(&mut self.world.number) {
            self.number(Why::Input { key: [0; 16], input: &input });
        }
        self.number(Why::Wake);
        self.world.at(self.world.now_ms + TICK_MS);
    }

    fn pass(&mut self, ms: Millis) {
        let until_ms = self.world.now_ms + ms;
        while self.world.now_ms < until_ms {
            self.tick();
        }
    }

    fn request(&self) -> RequestId {
        self.attempts[0].request
    }

    /// WhatsApp says that the send reached it.
    fn status(&mut self) {
        let request = Some(self.request());
        let status = Status { request, ..status(50, StatusKind::Sent, self.world.now_ms) };
        self.inbox.push_back((self.world.now_ms, ConversationInput::Status(status)));
    }

    /// The answer to the call was lost, and the status came so long after.
    fn answer_lost(level: u16, behind_ms: Millis, status_ms: Millis) -> Self {
        let mut both = Self::new(level, behind_ms);
        both.result(0, &CallAnswer::Unknown { why: "connection lost".to_owned() });
        both.pass(status_ms);
        both.status();
        both.pass(4 * RECONCILE_MS + 4 * behind_ms);
        both
    }

    fn outcome(&self) -> Option<&SendOutcome> {
        self.world.thread.outcomes.get(&self.request())
    }
}

/// What a Number did that only waited: time overtakes the inbox.
#[test]
fn without_the_question_an_acknowledged_status_does_not_keep_a_send_from_leaving_twice() {
    let naive = Both::answer_lost(ASKS_FROM_LEVEL - 1, 60 * S, S);
    assert_eq!(naive.attempts.len(), 2);
}

#[test]
fn what_whatsapp_never_had_is_sent_again_by_a_conversation_that_is_behind() {
    let mut both = Both::new(ASKS_FROM_LEVEL, 60 * S);
    both.result(0, &CallAnswer::Unknown { why: "connection lost".to_owned() });
    both.pass(4 * RECONCILE_MS);
    assert_eq!(both.attempts.len(), 2);
    let message = message(50);
    both.result(1, &CallAnswer::Accepted { message, wamid: sealed("wamid") });
    both.pass(4 * RECONCILE_MS);
    assert!(matches!(both.outcome(), Some(SendOutcome::Accepted { repeated: true, .. })));
    assert_eq!(both.attempts.len(), 2);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_an_acknowledged_status_proves_is_never_sent_twice(
        behind_ms in 0..200 * S,
        status_ms in 0..RECONCILE_MS,
    ) {
        let both = Both::answer_lost(number::ASKS_FROM_LEVEL, behind_ms, status_ms);
        prop_assert_eq!(both.attempts.len(), 1);
        let accepted = matches!(both.outcome(), Some(SendOutcome::Accepted { repeated: false, .. }));
        prop_assert!(accepted, "{:?}", both.outcome());
    }
}
