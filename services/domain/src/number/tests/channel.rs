//! A channel account: fetched in order, again until confirmed, and nothing of WhatsApp's rules.

use super::kit::{
    CALL_OVER_MS, HOUR_MS, START_BY_MS, START_MS, conversation, id, me, message, request,
};
use crate::{
    Millis, RequestId, Sealed, ToEntity,
    conversation::{ConversationInput, SendOutcome},
    effect::OutSignal,
    number::{
        ASKS_FROM_LEVEL, Lane, Number, NumberAnswer, NumberConfig, NumberInput, NumberMode,
        Occasion, Part, Reply, SendRequest,
    },
    persist,
};

#[derive(Default)]
struct Account {
    number: Number,
    now_ms: Millis,
    told: Vec<(RequestId, SendOutcome)>,
    signals: usize,
}

impl Account {
    fn new() -> Self {
        let mut account = Self { now_ms: START_MS, ..Self::default() };
        account.input(&NumberInput::Configure(NumberConfig {
            business: "shop".into(),
            mode: NumberMode::Channel,
            rate_per_s: 20,
            reconcile_ms: 30_000,
            call_over_ms: CALL_OVER_MS,
            start_by_ms: START_BY_MS,
        }));
        account
    }

    fn input(&mut self, input: &NumberInput) -> Option<NumberAnswer> {
        self.decide(Occasion::Input { key: [0; 16], input })
    }

    fn decide(&mut self, occasion: Occasion<'_>) -> Option<NumberAnswer> {
        let outcome = self.number.decide(me(), occasion, self.now_ms, 0, ASKS_FROM_LEVEL);
        outcome.events.iter().for_each(|event| self.number.apply(event));
        assert_eq!(outcome.calls, [], "a channel account calls nobody");
        for sent in outcome.messages {
            let ToEntity::Conversation(_, input) = sent else { panic!("{sent:?}") };
            let ConversationInput::SendOutcome { request, outcome } = *input else { panic!() };
            self.told.push((request, outcome));
        }
        self.signals += outcome.signals.len();
        assert!(outcome.signals.iter().all(|signal| *signal == OutSignal::Replies(me())));
        outcome.reply
    }

    fn ask(&mut self, request: SendRequest) {
        self.input(&NumberInput::Request(Box::new(request)));
    }

    fn fetch(&mut self, after: u64) -> (Vec<Reply>, bool) {
        match self.input(&NumberInput::Fetch { after }) {
            Some(NumberAnswer::Replies { replies, more }) => (replies, more),
            other => panic!("{other:?}"),
        }
    }

    fn confirm(&mut self, request: RequestId, failed: Option<u32>) {
        let at_ms = self.now_ms;
        let (message, wamid) = (message(1), Sealed::default());
        self.input(&NumberInput::StatusSeen { request, message, wamid, failed, at_ms });
    }

    fn pass(&mut self, ms: Millis) {
        let until_ms = self.now_ms + ms;
        let mut steps = 0;
        while let Some(wake_ms) = self.number.wake_ms().filter(|wake_ms| *wake_ms <= until_ms) {
            steps += 1;
            assert!(steps < 100, "asks to be woken without end");
            self.now_ms = self.now_ms.max(wake_ms);
            self.decide(Occasion::Wake);
        }
        self.now_ms = until_ms;
    }

    /// The same account from its saved parts.
    fn reload(&mut self) {
        let mut loaded = Number::default();
        for name in self.number.part_names() {
            let Some(part) = self.number.part(&name) else { continue };
            let bytes = persist::encode(&part).unwrap();
            assert!(loaded.put_part(&name, persist::decode::<Part>(&bytes).unwrap()));
        }
        self.number = loaded;
    }

    fn outcome(&self, request: RequestId) -> Option<&SendOutcome> {
        self.told.iter().rev().find(|(of, _)| *of == request).map(|(_, outcome)| outcome)
    }
}

fn ids(replies: &[Reply]) -> Vec<(RequestId, bool)> {
    replies.iter().map(|reply| (reply.request, reply.again)).collect()
}

#[test]
fn replies_are_fetched_in_order_and_again_until_they_are_confirmed() {
    let mut account = Account::new();
    account.ask(request(2, 1, Lane::Bot));
    account.ask(request(1, 1, Lane::Agent));
    assert_eq!(account.signals, 2);
    let (first, _) = account.fetch(0);
    assert_eq!(ids(&first), [(id(2, 1), false), (id(1, 1), false)]);
    assert!(first[0].sequence < first[1].sequence);
    // The platform crashed before it wrote anything down.
    account.reload();
    assert_eq!(ids(&account.fetch(0).0), [(id(2, 1), true), (id(1, 1), true)]);
    // It goes on after what it had stored.
    assert_eq!(ids(&account.fetch(first[0].sequence).0), [(id(1, 1), true)]);
    account.confirm(id(2, 1), None);
    account.confirm(id(1, 1), Some(17));
    assert!(matches!(account.outcome(id(2, 1)), Some(SendOutcome::Accepted { .. })));
    assert!(matches!(account.outcome(id(1, 1)), Some(SendOutcome::Failed { code: 17, .. })));
    assert_eq!(account.fetch(0), (Vec::new(), false));
}

/// A counter of what is kept would begin anew once everything is forgotten, and a platform that goes on after what it
/// stored would be given nothing.
#[test]
fn sequences_rise_also_when_everything_before_is_forgotten() {
    let mut account = Account::new();
    account.ask(request(1, 1, Lane::Bot));
    let (first, _) = account.fetch(0);
    account.confirm(id(1, 1), None);
    account.pass(HOUR_MS);
    account.reload();
    assert_eq!(account.number.n_parts(), 1, "the request is forgotten");
    let later = SendRequest { not_after_ms: account.now_ms + HOUR_MS, ..request(1, 2, Lane::Bot) };
    account.ask(later);
    assert_eq!(ids(&account.fetch(first[0].sequence).0), [(id(1, 2), false)]);
}

#[test]
fn what_nobody_fetched_is_cancelled_and_what_nobody_confirmed_is_unknown() {
    let mut account = Account::new();
    account.ask(request(1, 1, Lane::Bot));
    account.fetch(0);
    account.ask(request(2, 1, Lane::Bot));
    account.pass(HOUR_MS + 1);
    assert_eq!(account.outcome(id(1, 1)), Some(&SendOutcome::Unknown));
    assert_eq!(account.outcome(id(2, 1)), Some(&SendOutcome::Cancelled));
    // A late confirmation corrects it.
    account.confirm(id(1, 1), None);
    assert!(matches!(account.outcome(id(1, 1)), Some(SendOutcome::Accepted { .. })));
}

#[test]
fn what_is_taken_back_is_not_fetched_any_more() {
    let mut account = Account::new();
    account.ask(request(1, 1, Lane::Bot));
    account.ask(request(2, 1, Lane::Bot));
    let fetched = account.fetch(0).0.remove(0).request;
    assert_eq!(fetched, id(1, 1));
    account.ask(request(3, 1, Lane::Bot));
    for customer in [1, 3] {
        let not_after_ms = START_MS + HOUR_MS;
        account.input(&NumberInput::Cancel { request: id(customer, 1), not_after_ms });
    }
    assert_eq!(account.outcome(id(3, 1)), Some(&SendOutcome::Cancelled), "it never left");
    assert_eq!(account.outcome(id(1, 1)), None, "it may have been sent");
    assert_eq!(ids(&account.fetch(0).0), [(id(2, 1), true)]);
    account.confirm(id(1, 1), None);
    assert!(matches!(account.outcome(id(1, 1)), Some(SendOutcome::Accepted { .. })));
}

#[test]
fn an_answer_is_bounded_and_says_that_there_is_more() {
    let mut account = Account::new();
    for customer in 1..=70 {
        account.ask(request(customer, 1, Lane::Bot));
    }
    let (mut seen, mut after, mut pages) = (Vec::new(), 0, 0);
    loop {
        let (replies, more) = account.fetch(after);
        after = replies.last().unwrap().sequence;
        seen.extend(ids(&replies));
        pages += 1;
        if !more {
            break;
        }
    }
    let all: Vec<_> = (1..=70).map(|customer| (id(customer, 1), false)).collect();
    assert_eq!((seen, pages), (all, 3));
    let large = Sealed { key_id: 1, bytes: vec![0; 50 * 1024] };
    let mut account = Account::new();
    for customer in 1..=2 {
        account.ask(SendRequest { content: large.clone(), ..request(customer, 1, Lane::Agent) });
    }
    let (replies, more) = account.fetch(0);
    assert_eq!((replies.len(), more), (1, true));
}

#[test]
fn there_are_no_templates_and_other_numbers_are_not_fetched_from() {
    let mut account = Account::new();
    account.ask(request(1, 1, Lane::Utility));
    let told = account.outcome(id(1, 1));
    assert!(matches!(told, Some(SendOutcome::Failed { told, .. }) if told.contains("free-form")));
    assert_eq!((account.fetch(0), account.signals), ((Vec::new(), false), 0));
    assert_eq!(conversation(1), id(1, 1).conversation_entity());
    let number = Number::default();
    let input = NumberInput::Fetch { after: 0 };
    let occasion = Occasion::Input { key: [0; 16], input: &input };
    assert_eq!(
        number.decide(me(), occasion, START_MS, 0, ASKS_FROM_LEVEL).reply,
        Some(NumberAnswer::NoChannel)
    );
}
