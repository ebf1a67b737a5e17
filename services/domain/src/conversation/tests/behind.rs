//! A conversation and its Number whose partitions may be behind in deciding what was acknowledged for them.

use std::collections::VecDeque;

use super::world::*;
use crate::{
    Call, Millis, ToEntity,
    conversation::*,
    number::{Number, NumberConfig, NumberInput, Occasion as Why},
};

pub(super) const RECONCILE_MS: Millis = 30 * S;
const TICK_MS: Millis = 250;

pub(super) struct Behind {
    pub(super) world: World,
    pub(super) number: Number,
    pub(super) level: u16,
    /// How far the conversation's partition is behind, and the Number's.
    pub(super) behind_ms: (Millis, Millis),
    /// What was acknowledged for each, and when.
    pub(super) for_conversation: VecDeque<(Millis, ConversationInput)>,
    pub(super) for_number: VecDeque<(Millis, NumberInput)>,
    /// All calls that the Number asked for.
    pub(super) calls: Vec<Call>,
}

impl Behind {
    pub(super) fn new(world: World, level: u16, behind_ms: (Millis, Millis)) -> Self {
        let mut behind = Self {
            world,
            number: Number::default(),
            level,
            behind_ms,
            for_conversation: VecDeque::new(),
            for_number: VecDeque::new(),
            calls: Vec::new(),
        };
        behind.number(Why::Input {
            key: [0; 16],
            input: &NumberInput::Configure(NumberConfig {
                rate_per_s: 20,
                reconcile_ms: RECONCILE_MS,
                call_over_ms: 12 * S,
                start_by_ms: 2 * S,
                ..NumberConfig::default()
            }),
        });
        behind
    }

    pub(super) fn now_ms(&self) -> Millis {
        self.world.now_ms
    }

    /// Something is acknowledged for the conversation.
    pub(super) fn acknowledge(&mut self, input: ConversationInput) {
        self.for_conversation.push_back((self.now_ms(), input));
    }

    pub(super) fn number(&mut self, why: Why<'_>) {
        let out = self.number.decide(via().number, why, self.now_ms(), 0, self.level);
        out.events.iter().for_each(|event| self.number.apply(event));
        self.calls.extend(out.calls);
        for message in out.messages {
            let ToEntity::Conversation(to, input) = message else { panic!("{message:?}") };
            assert_eq!(to, address(B));
            self.acknowledge(*input);
        }
    }

    /// Both decide what is theirs by now.
    pub(super) fn decide(&mut self) {
        let now_ms = self.now_ms();
        let (conversation_ms, number_ms) = (now_ms - self.behind_ms.0, now_ms - self.behind_ms.1);
        while let Some((_, input)) =
            self.for_conversation.pop_front_if(|(at_ms, _)| *at_ms <= conversation_ms)
        {
            self.world.give(B, input);
        }
        let asked = std::mem::take(&mut self.world.number);
        self.for_number.extend(asked.into_iter().map(|input| (now_ms, input)));
        while let Some((_, input)) = self.for_number.pop_front_if(|(at_ms, _)| *at_ms <= number_ms)
        {
            self.number(Why::Input { key: [0; 16], input: &input });
        }
        self.number(Why::Wake);
    }

    /// A moment passes.
    pub(super) fn advance(&mut self) {
        self.world.at(self.now_ms() + TICK_MS);
    }
}
