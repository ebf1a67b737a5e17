//! A number under test: every event it records is watched and checked against its part's name.

use std::collections::BTreeMap;

use super::watch::Watch;
use crate::{
    EntityId, EntityKind, Hash16, MessageId, Millis, Outcome, RequestId, Sealed, ToEntity,
    content::ContentKind,
    conversation::{ConversationInput, SendOutcome},
    effect::{Call, CallKey},
    number::{
        ASKS_FROM_LEVEL, CallAnswer, Lane, Number, NumberAnswer, NumberConfig, NumberEvent,
        NumberInput, NumberMode, Occasion, Part, Retry, SendRequest,
    },
    persist,
};

pub(super) const START_MS: Millis = 1_700_000_000_000;
pub(super) const RECONCILE_MS: Millis = 30_000;
pub(super) const CALL_OVER_MS: Millis = 12_000;
pub(super) const START_BY_MS: Millis = 2_000;
pub(super) const HOUR_MS: Millis = 3_600_000;

pub(super) struct World {
    pub(super) number: Number,
    pub(super) watch: Watch,
    pub(super) now_ms: Millis,
    pub(super) foreign_calls_over_ms: Millis,
    /// Format level.
    pub(super) level: u16,
    /// Conversations have decided everything that came in: they answer at once that they heard nothing.
    pub(super) up_to_date: bool,
    /// Attempts that conversations were asked about so far.
    pub(super) questions: Vec<CallKey>,
    /// Calls asked for so far.
    pub(super) calls: Vec<Call>,
    /// When each of them was asked for.
    pub(super) asked_ms: Vec<Millis>,
    /// Calls taken back so far.
    pub(super) cancels: Vec<CallKey>,
    /// Outcomes told so far.
    pub(super) told: Vec<(RequestId, SendOutcome)>,
    /// Echoes called automatic so far.
    pub(super) automatic: Vec<(EntityId, MessageId)>,
}

pub(super) fn me() -> EntityId {
    EntityId { kind: EntityKind::Number, hash: Hash16([9; 16]) }
}

pub(super) fn conversation(n: u8) -> EntityId {
    EntityId { kind: EntityKind::Conversation, hash: Hash16([n; 16]) }
}

/// Request `n` of customer `customer`.
pub(super) fn id(customer: u8, n: u64) -> RequestId {
    RequestId { conversation: Hash16([customer; 16]), n }
}

pub(super) fn message(n: u8) -> MessageId {
    MessageId(Hash16([n; 16]))
}

pub(super) fn config(rate_per_s: u32) -> NumberConfig {
    NumberConfig {
        business: "shop".into(),
        mode: NumberMode::Api,
        rate_per_s,
        reconcile_ms: RECONCILE_MS,
        call_over_ms: CALL_OVER_MS,
        start_by_ms: START_BY_MS,
    }
}

pub(super) fn request(customer: u8, n: u64, lane: Lane) -> SendRequest {
    SendRequest {
        request: id(customer, n),
        conversation: conversation(customer),
        customer: Hash16([customer; 16]),
        lane,
        free_form: matches!(lane, Lane::Agent | Lane::Bot),
        window_until_ms: START_MS + 20 * HOUR_MS,
        not_after_ms: START_MS + HOUR_MS,
        recipient: Sealed::default(),
        content: Sealed { key_id: 1, bytes: vec![customer; 10] },
        kind: ContentKind::Text,
        marketing: false,
        marketing_stopped: false,
    }
}

pub(super) fn accepted(n: u8) -> CallAnswer {
    CallAnswer::Accepted { message: message(n), wamid: Sealed::default() }
}

pub(super) fn refused(code: u32, retry: Retry) -> CallAnswer {
    CallAnswer::Refused { code, retry, told: format!("refused {code}") }
}

pub(super) fn unknown() -> CallAnswer {
    CallAnswer::Unknown { why: "connection lost".to_owned() }
}

pub(super) fn not_started() -> CallAnswer {
    CallAnswer::NotStarted { why: "too late".to_owned(), overtaken: false }
}

/// The phone spoke before it could leave.
pub(super) fn overtaken() -> CallAnswer {
    CallAnswer::NotStarted { why: "the phone has spoken".to_owned(), overtaken: true }
}

pub(super) fn key(customer: u8, n: u64, attempt: u32) -> CallKey {
    CallKey { request: id(customer, n), attempt }
}

impl World {
    pub(super) fn new(rate_per_s: u32) -> Self {
        let mut world = Self {
            number: Number::default(),
            watch: Watch::default(),
            now_ms: START_MS,
            foreign_calls_over_ms: 0,
            level: ASKS_FROM_LEVEL,
            up_to_date: true,
            questions: Vec::new(),
            calls: Vec::new(),
            asked_ms: Vec::new(),
            cancels: Vec::new(),
            told: Vec::new(),
            automatic: Vec::new(),
        };
        world.input(&NumberInput::Configure(config(rate_per_s)));
        world
    }

    pub(super) fn input(&mut self, input: &NumberInput) {
        self.decide(Occasion::Input { key: [0; 16], input });
    }

    pub(super) fn result(&mut self, key: CallKey, answer: &CallAnswer) {
        self.decide(Occasion::CallResult { key, answer });
    }

    fn decide(&mut self, occasion: Occasion<'_>) {
        let (now_ms, foreign_ms) = (self.now_ms, self.foreign_calls_over_ms);
        let outcome = self.number.decide(me(), occasion, now_ms, foreign_ms, self.level);
        let asked = self.questions.len();
        assert!(outcome.events.len() <= 256, "a step of {} events", outcome.events.len());
        self.take(&outcome);
        for call in &outcome.calls {
            assert_eq!(call.number, me());
        }
        self.calls.extend(outcome.calls);
        self.asked_ms.resize(self.calls.len(), self.now_ms);
        self.cancels.extend(outcome.cancels);
        for sent in outcome.messages {
            let ToEntity::Conversation(to, input) = sent else { panic!("{sent:?}") };
            match *input {
                ConversationInput::SendOutcome { request, outcome } => {
                    assert_eq!(to, request.conversation_entity());
                    self.watch.told(request, &outcome);
                    self.told.push((request, outcome));
                }
                ConversationInput::EchoWasAutomatic { message } => {
                    self.automatic.push((to, message));
                }
                ConversationInput::HeardOf { call, number } => {
                    assert_eq!((to, number), (call.request.conversation_entity(), me()));
                    self.questions.push(call);
                }
                other => panic!("{other:?}"),
            }
        }
        self.watch.check_settled(&self.number, self.now_ms);
        if self.up_to_date {
            let unanswered = self.questions[asked..].to_vec();
            unanswered.into_iter().for_each(|call| self.heard(call, false));
        }
    }

    fn take(&mut self, outcome: &Outcome<NumberEvent, NumberAnswer>) {
        let mut calls = outcome.calls.iter();
        for event in &outcome.events {
            let call = match event {
                NumberEvent::Intended { .. } => calls.next(),
                _ => None,
            };
            let before = self.parts();
            self.watch.take(event, call, self.now_ms);
            self.number.apply(event);
            let mut after = self.parts();
            for (name, part) in before {
                if name != event.part() {
                    assert_eq!(after.get(&name), Some(&part), "{event:?} changed {name}");
                }
                after.remove(&name);
            }
            after.remove(&event.part());
            assert!(after.is_empty(), "{event:?} made {after:?}");
        }
        assert_eq!(calls.next(), None, "a call without an intent");
    }

    pub(super) fn parts(&self) -> BTreeMap<String, Part> {
        let names = self.number.part_names();
        names
            .into_iter()
            .filter_map(|name| Some((name.clone(), self.number.part(&name)?)))
            .collect()
    }

    /// The same number from its saved parts, in another order.
    pub(super) fn reload(&mut self) {
        let mut loaded = Number::default();
        for (name, part) in self.parts().into_iter().rev() {
            let bytes = persist::encode(&part).unwrap();
            assert!(loaded.put_part(&name, persist::decode(&bytes).unwrap()), "part {name}");
        }
        assert_eq!(loaded.index, self.number.index, "the index from the saved parts differs");
        assert_eq!(loaded.ahead, self.number.ahead);
        assert_eq!(loaded.calling, self.number.calling);
        // What is paid off may be remembered or not.
        let owed = |number: &Number| {
            let mut pairs = number.pairs.clone();
            pairs.retain(|_, mark| mark.clear_ms > self.now_ms);
            pairs
        };
        assert_eq!(owed(&loaded), owed(&self.number), "pair debts from the saved parts differ");
        self.number = loaded;
    }

    /// Lets time pass; the number is woken whenever it asks for it.
    pub(super) fn pass(&mut self, ms: Millis) {
        let until_ms = self.now_ms + ms;
        let mut at_once = 0;
        while let Some(wake_ms) = self.number.wake_ms().filter(|wake_ms| *wake_ms <= until_ms) {
            at_once = if wake_ms > self.now_ms { 0 } else { at_once + 1 };
            assert!(at_once < 200, "asks to be woken without end");
            self.now_ms = self.now_ms.max(wake_ms);
            self.decide(Occasion::Wake);
        }
        self.now_ms = until_ms;
    }

    /// The door let these calls out.
    pub(super) fn depart(&mut self, calls: &[CallKey]) {
        self.input(&NumberInput::Departed { calls: calls.to_vec() });
    }

    pub(super) fn ask(&mut self, request: SendRequest) {
        self.input(&NumberInput::Request(Box::new(request)));
    }

    pub(super) fn cancel(&mut self, request: RequestId) {
        self.input(&NumberInput::Cancel { request, not_after_ms: START_MS + HOUR_MS });
    }

    pub(super) fn status(&mut self, request: RequestId, failed: Option<u32>) {
        self.input(&NumberInput::StatusSeen {
            request,
            message: message(1),
            wamid: Sealed::default(),
            failed,
            at_ms: self.now_ms,
        });
    }

    /// The conversation answers what it heard of an attempt.
    pub(super) fn heard(&mut self, call: CallKey, anything: bool) {
        self.input(&NumberInput::Heard { call, anything });
    }

    /// Which attempts were asked for so far.
    pub(super) fn attempts(&self) -> Vec<CallKey> {
        self.calls.iter().map(|call| call.key).collect()
    }

    /// Requests asked for so far, in order.
    pub(super) fn left(&self) -> Vec<RequestId> {
        self.calls.iter().map(|call| call.key.request).collect()
    }

    /// What was told last of a request.
    pub(super) fn outcome(&self, request: RequestId) -> Option<&SendOutcome> {
        self.told.iter().rev().find(|(of, _)| *of == request).map(|(_, outcome)| outcome)
    }

    pub(super) fn is_accepted(&self, request: RequestId, flagged: bool) -> bool {
        matches!(
            self.outcome(request),
            Some(SendOutcome::Accepted { repeated, .. }) if *repeated == flagged
        )
    }

    pub(super) fn is_failed(&self, request: RequestId, with: u32) -> bool {
        matches!(self.outcome(request), Some(SendOutcome::Failed { code, .. }) if *code == with)
    }
}
