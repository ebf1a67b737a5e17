//! A bot's conversation and its Number, both behind in deciding, and a door that hears of the phone at once: does the bot speak
//! after the phone did?

use proptest::prelude::*;

use super::{behind::Behind, world::*};
use crate::{
    Call, Millis,
    conversation::*,
    number::{ASKS_FROM_LEVEL, CallAnswer, Occasion as Why, recent_echoes::RecentEchoes},
};

struct Line {
    behind: Behind,
    door: Option<RecentEchoes>,
    /// Calls that came to the door so far.
    called: usize,
    /// When bot messages left.
    left_ms: Vec<Millis>,
}

impl Line {
    fn new(behind_ms: Millis, door: Option<RecentEchoes>) -> Self {
        let world = World::new(bot_rules());
        let behind = Behind::new(world, ASKS_FROM_LEVEL, (behind_ms, behind_ms));
        Self { behind, door, called: 0, left_ms: Vec::new() }
    }

    fn now_ms(&self) -> Millis {
        self.behind.now_ms()
    }

    fn customer(&mut self, n: u32) {
        self.behind.acknowledge(ConversationInput::Inbound(inbound(n, self.now_ms())));
    }

    /// Acknowledged, and the door told.
    fn phone(&mut self, echo: Echo) {
        self.behind.acknowledge(ConversationInput::Echo(echo));
        let now_ms = self.now_ms();
        if let Some(door) = &mut self.door {
            door.note(address(B).hash, now_ms);
        }
    }

    fn call(&mut self, call: &Call) {
        let (id, now_ms) = (call.key.request.conversation, self.now_ms());
        let stops = |door: &RecentEchoes| door.spoke_since(id, call.asked_ms, now_ms);
        let answer = if self.door.as_ref().is_some_and(stops) {
            CallAnswer::NotStarted { why: String::new(), overtaken: true }
        } else {
            self.left_ms.push(now_ms);
            let n = 1_000 + u32::try_from(self.left_ms.len()).unwrap();
            CallAnswer::Accepted { message: message(n), wamid: sealed("wamid") }
        };
        self.behind.number(Why::CallResult { key: call.key, answer: &answer });
    }

    fn tick(&mut self) {
        self.behind.decide();
        while let Some(call) = self.behind.calls.get(self.called).cloned() {
            self.called += 1;
            self.call(&call);
        }
        self.behind.advance();
        self.behind.world.wake();
    }

    fn pass(&mut self, ms: Millis) {
        let until_ms = self.now_ms() + ms;
        while self.now_ms() < until_ms {
            self.tick();
        }
    }

    /// A customer writes, and the phone answers so much later.
    fn answered_by_phone(behind_ms: Millis, after_ms: Millis, door: Option<RecentEchoes>) -> Self {
        let mut line = Self::new(behind_ms, door);
        line.customer(1);
        line.pass(after_ms);
        let spoke_ms = line.now_ms();
        line.phone(echo(2, spoke_ms));
        line.pass(6 * behind_ms + MIN);
        line.left_ms.retain(|at_ms| *at_ms >= spoke_ms);
        line
    }
}

/// What a door did that knows only what the conversation has decided.
#[test]
fn without_the_phones_word_at_the_door_a_bot_that_is_behind_speaks_after_it() {
    let naive = Line::answered_by_phone(20 * S, S, None);
    assert_eq!(naive.left_ms.len(), 1);
}

/// The phone's greeting is no answer: the bot is held up, not silenced.
#[test]
fn an_echo_that_takes_nothing_only_delays_the_bot() {
    let mut line = Line::new(20 * S, Some(RecentEchoes::default()));
    line.customer(1);
    line.pass(S);
    let now_ms = line.now_ms();
    line.phone(Echo { configured_automatic: true, ..echo(2, now_ms) });
    line.pass(39 * S);
    assert_eq!(line.left_ms.len(), 0, "the conversation is asked first");
    line.pass(60 * S);
    assert_eq!(line.left_ms.len(), 1);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_bot_is_silent_from_the_phones_word_on_however_far_deciding_is_behind(
        behind_ms in 0..60 * S,
        after_ms in 0..150 * S,
    ) {
        let line = Line::answered_by_phone(behind_ms, after_ms, Some(RecentEchoes::default()));
        prop_assert_eq!(&line.left_ms, &[] as &[Millis]);
    }
}
