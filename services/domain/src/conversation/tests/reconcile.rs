//! A conversation and its Number, with the conversation's partition behind in deciding: is anything sent twice whose status
//! was acknowledged?

use proptest::prelude::*;

use super::{
    behind::{Behind, RECONCILE_MS},
    world::*,
};
use crate::{
    Millis, RequestId,
    conversation::*,
    number::{self, ASKS_FROM_LEVEL, CallAnswer, Occasion as Why},
};

struct Both(Behind);

impl Both {
    /// An agent has sent something.
    fn new(level: u16, behind_ms: Millis) -> Self {
        let mut world = World::new(plain_rules());
        world.inbound(1, T0);
        world.sent(Some("ann"), false);
        let mut both = Self(Behind::new(world, level, (behind_ms, 0)));
        both.tick();
        both
    }

    fn attempts(&self) -> usize {
        self.0.calls.len()
    }

    fn result(&mut self, attempt: usize, answer: &CallAnswer) {
        let key = self.0.calls[attempt].key;
        self.0.number(Why::CallResult { key, answer });
    }

    fn tick(&mut self) {
        self.0.decide();
        self.0.advance();
    }

    fn pass(&mut self, ms: Millis) {
        let until_ms = self.0.now_ms() + ms;
        while self.0.now_ms() < until_ms {
            self.tick();
        }
    }

    fn request(&self) -> RequestId {
        self.0.calls[0].key.request
    }

    /// WhatsApp says that the send reached it.
    fn status(&mut self) {
        let request = Some(self.request());
        let status = Status { request, ..status(50, StatusKind::Sent, self.0.now_ms()) };
        self.0.acknowledge(ConversationInput::Status(status));
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
        self.0.world.thread.outcomes.get(&self.request())
    }
}

/// What a Number did that only waited: time overtakes the inbox.
#[test]
fn without_the_question_an_acknowledged_status_does_not_keep_a_send_from_leaving_twice() {
    let naive = Both::answer_lost(ASKS_FROM_LEVEL - 1, 60 * S, S);
    assert_eq!(naive.attempts(), 2);
}

#[test]
fn what_whatsapp_never_had_is_sent_again_by_a_conversation_that_is_behind() {
    let mut both = Both::new(ASKS_FROM_LEVEL, 60 * S);
    both.result(0, &CallAnswer::Unknown { why: "connection lost".to_owned() });
    both.pass(4 * RECONCILE_MS);
    assert_eq!(both.attempts(), 2);
    let message = message(50);
    both.result(1, &CallAnswer::Accepted { message, wamid: sealed("wamid") });
    both.pass(4 * RECONCILE_MS);
    assert!(matches!(both.outcome(), Some(SendOutcome::Accepted { repeated: true, .. })));
    assert_eq!(both.attempts(), 2);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_an_acknowledged_status_proves_is_never_sent_twice(
        behind_ms in 0..200 * S,
        status_ms in 0..RECONCILE_MS,
    ) {
        let both = Both::answer_lost(number::ASKS_FROM_LEVEL, behind_ms, status_ms);
        prop_assert_eq!(both.attempts(), 1);
        let accepted = matches!(both.outcome(), Some(SendOutcome::Accepted { repeated: false, .. }));
        prop_assert!(accepted, "{:?}", both.outcome());
    }
}
