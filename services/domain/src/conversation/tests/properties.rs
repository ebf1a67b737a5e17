//! Invariant 5 over random histories, and the size of the state at its worst.
//!
//! That who waits is cared for is asserted after every step by the world itself; here a second, simpler account of
//! who waits is kept from the history alone and compared.

use proptest::{prelude::*, sample::select};

use super::world::*;
use crate::{
    CommandId, Hash16, Millis, RequestId,
    content::ContentKind,
    conversation::{state::Weight, *},
    flow::{Answer, HandOff, Outcome, Reply},
    persist,
    workspace::WorkspaceInput,
};

#[derive(Clone, Debug)]
enum Act {
    In {
        text: &'static str,
        age_s: u64,
        paired: bool,
    },
    Echo {
        age_s: u64,
        automatic: bool,
    },
    /// A message or echo by phone number alone.
    ByPhone {
        echo: bool,
    },
    EchoWasAutomatic {
        back: usize,
    },
    Send {
        by: Option<&'static str>,
        take: bool,
    },
    Resolve,
    Queue,
    Assign(&'static str),
    Transfer {
        by: Option<&'static str>,
        to: Option<&'static str>,
    },
    Requeue,
    Snooze(u64),
    Vip(bool),
    Close,
    News {
        back: usize,
        what: usize,
    },
    Outcome {
        back: usize,
        what: usize,
    },
    Failed {
        back: usize,
    },
    /// What comes of the `back`-th last call of the external bot.
    Bot {
        back: usize,
        what: usize,
    },
    Pass(u64),
    /// Messages between the two addresses wait, and go on.
    Hold,
    Release,
}

fn act() -> impl Strategy<Value = Act> {
    let by = || select(vec![None, Some("ann"), Some("bob")]);
    let texts = vec!["hi", "buy", "agent", "2", "what"];
    prop_oneof![
        6 => (select(texts), select(vec![0, 0, 0, 5, 60, 4_000, 90_000]), any::<bool>())
            .prop_map(|(text, age_s, paired)| Act::In { text, age_s, paired }),
        3 => (select(vec![0, 0, 5, 60, 4_000]), any::<bool>())
            .prop_map(|(age_s, automatic)| Act::Echo { age_s, automatic }),
        1 => any::<bool>().prop_map(|echo| Act::ByPhone { echo }),
        1 => (0..3_usize).prop_map(|back| Act::EchoWasAutomatic { back }),
        3 => (by(), any::<bool>()).prop_map(|(by, take)| Act::Send { by, take }),
        1 => Just(Act::Resolve),
        1 => Just(Act::Queue),
        1 => select(vec!["ann", "bob"]).prop_map(Act::Assign),
        4 => (0..3_usize, 0..7_usize).prop_map(|(back, what)| Act::News { back, what }),
        2 => (by(), select(vec![None, Some("ann"), Some("bob")]))
            .prop_map(|(by, to)| Act::Transfer { by, to }),
        1 => Just(Act::Requeue),
        2 => select(vec![1, 600, 4_000]).prop_map(Act::Snooze),
        1 => any::<bool>().prop_map(Act::Vip),
        1 => Just(Act::Close),
        4 => (0..3_usize, 0..4_usize).prop_map(|(back, what)| Act::Outcome { back, what }),
        1 => (0..3_usize).prop_map(|back| Act::Failed { back }),
        4 => (0..3_usize, 0..6_usize).prop_map(|(back, what)| Act::Bot { back, what }),
        3 => select(vec![1, 6, 60, 700, 2_000, 90_000]).prop_map(Act::Pass),
        1 => Just(Act::Hold),
        1 => Just(Act::Release),
    ]
}

/// What the history alone says of the customer's wait.
#[derive(Default)]
struct Account {
    last_in_ms: Millis,
    last_phone_ms: Millis,
    waits: bool,
    answered_by: Vec<RequestId>,
}

impl Account {
    /// Whether the last word is the customer's, as far as certain. Histories in which an answer got lost, an echo
    /// turned out to be no person's or conversations were joined are not accounted for.
    fn of(events: &[ConversationEvent]) -> Option<bool> {
        let mut account = Self::default();
        events.iter().all(|event| account.read(event)).then_some(account.waits)
    }

    /// Whether it can still tell.
    fn read(&mut self, event: &ConversationEvent) -> bool {
        match event {
            ConversationEvent::MessageRecorded(m)
                if m.direction == Direction::In
                    && m.episode.is_some()
                    && Weight::of(&m.kind) == Weight::Speaks =>
            {
                self.last_in_ms = self.last_in_ms.max(m.at_ms);
                self.waits |= m.at_ms >= self.last_phone_ms;
            }
            ConversationEvent::SendRequested(record)
                if !matches!(record.author, Author::Bot { .. }) =>
            {
                self.waits = false;
                self.answered_by.push(record.request);
            }
            ConversationEvent::PhoneSpoke { at_ms, .. } => {
                self.last_phone_ms = self.last_phone_ms.max(*at_ms);
                self.waits &= self.last_in_ms >= *at_ms;
            }
            ConversationEvent::EpisodeResolved { .. } => self.waits = false,
            ConversationEvent::SendResolved { request, outcome, .. } => {
                return matches!(outcome, SendOutcome::Accepted { .. })
                    || !self.answered_by.contains(request);
            }
            ConversationEvent::Absorbed { .. }
            | ConversationEvent::EchoAutomatic { .. }
            | ConversationEvent::StatusMerged { .. } => return false,
            _ => {}
        }
        true
    }
}

fn news_of(what: usize) -> WorkspaceNews {
    match what {
        0 | 1 => WorkspaceNews::Assigned { agent: agent(if what == 0 { "ann" } else { "bob" }) },
        2 => WorkspaceNews::Unassigned,
        3 => WorkspaceNews::Check,
        4 => WorkspaceNews::NotKnown,
        6 => WorkspaceNews::Stranded { agent: agent("ann") },
        _ => WorkspaceNews::Refused("no".into()),
    }
}

fn outcome_of(what: usize, n: u32, now_ms: Millis) -> SendOutcome {
    match what {
        0 | 1 => accepted(n, now_ms),
        2 => SendOutcome::Failed { code: 1, told: String::new() },
        _ => SendOutcome::Unknown,
    }
}

fn result_of(what: usize) -> BotResult {
    let says = |replies: Vec<Reply>, outcome| BotResult::Answered(Answer { replies, outcome });
    let text = || vec![Reply::Text("external".into())];
    match what {
        0 => says(text(), Outcome::Wait),
        1 => says(text(), Outcome::HandOff(HandOff::default())),
        2 => says(text(), Outcome::End),
        3 => says(Vec::new(), Outcome::Wait),
        4 => BotResult::Failed(BotFault::Deadline),
        _ => BotResult::NotStarted,
    }
}

/// With and without each kind of bot.
fn rules_of(bot: bool, external: bool) -> Rules {
    let rules = if bot { bot_rules() } else { plain_rules() };
    if external { external_rules(rules) } else { rules }
}

/// The `back`-th last thing of those that `of` finds.
fn find<T, U>(all: &[T], back: usize, of: impl Fn(&T) -> Option<U>) -> Option<U> {
    all.iter().rev().filter_map(of).nth(back)
}

fn act_on(world: &mut World, n: u32, act: &Act) {
    let now_ms = world.now_ms;
    match act.clone() {
        Act::In { text, age_s, paired } => {
            let paired = paired.then_some(address(P));
            world.say(B, Inbound { paired, ..inbound(n, now_ms - age_s * S) }, text);
        }
        Act::Echo { age_s, automatic } => {
            let echo = Echo { configured_automatic: automatic, ..echo(n, now_ms - age_s * S) };
            world.give(B, ConversationInput::Echo(echo));
        }
        Act::ByPhone { echo: true } => world.give(P, ConversationInput::Echo(echo(n, now_ms))),
        Act::ByPhone { echo: false } => world.say(P, inbound(n, now_ms), "by phone"),
        Act::Send { by, take } => drop(world.send(by, take)),
        Act::Resolve => drop(world.command(None, CommandKind::Resolve)),
        Act::Queue => drop(world.command(None, CommandKind::Queue { queue: "sales".into() })),
        Act::Assign(to) => drop(world.command(None, CommandKind::Assign { agent: agent(to) })),
        Act::Transfer { by, to } => {
            let to = match to {
                Some(to) => TransferTo::Agent(agent(to)),
                None => TransferTo::Queue("sales".into()),
            };
            let note = Some(sealed("see above"));
            drop(world.command(by, CommandKind::Transfer { to, note, overrule: by.is_none() }));
        }
        Act::Requeue => {
            drop(world.command(None, CommandKind::Requeue { queue: None, overrule: true }));
        }
        Act::Snooze(seconds) => {
            let until_ms = now_ms + seconds * S;
            drop(world.command(None, CommandKind::Snooze { until_ms, overrule: true }));
        }
        Act::Vip(vip) => drop(world.command(None, CommandKind::SetVip { vip })),
        Act::Close => {
            let close = CommandKind::Close { code: "done".into(), wrap_up: true };
            drop(world.command(Some("ann"), close));
        }
        Act::Bot { back, what } => {
            if let Some(key) = find(&world.bot_calls, back, |call| Some(call.key)) {
                world.bot(key, &result_of(what));
            }
        }
        Act::Pass(seconds) => world.pass(now_ms + seconds * S),
        Act::Hold => world.hold_channels = true,
        Act::Release => {
            world.hold_channels = false;
            world.pump();
        }
        Act::EchoWasAutomatic { .. }
        | Act::News { .. }
        | Act::Outcome { .. }
        | Act::Failed { .. } => hear_of(world, n, act),
    }
}

/// What the Number, the workspace and Meta say of things that happened before.
fn hear_of(world: &mut World, n: u32, act: &Act) {
    let now_ms = world.now_ms;
    let place = |to| if to == address(P) { P } else { B };
    let heard = match act {
        Act::EchoWasAutomatic { back } => find(&world.events, *back, |event| match event {
            ConversationEvent::PhoneSpoke { message, .. } => {
                Some((B, ConversationInput::EchoWasAutomatic { message: *message }))
            }
            _ => None,
        }),
        Act::News { back, what } => find(&world.workspace, *back, |input| match input {
            WorkspaceInput::Wanted { item, version, conversation, .. }
            | WorkspaceInput::Claimed { item, version, conversation, .. } => {
                let (item, version, news) = (*item, *version, news_of(*what));
                let input = ConversationInput::Workspace { item, version, news };
                Some((place(*conversation), input))
            }
            _ => None,
        }),
        Act::Outcome { back, what } => find(&world.requests(), *back, |asked| {
            let (request, outcome) = (asked.request, outcome_of(*what, n, now_ms));
            let input = ConversationInput::SendOutcome { request, outcome };
            Some((place(asked.conversation), input))
        }),
        Act::Failed { back } => find(&world.events, *back, |event| match event {
            ConversationEvent::SendResolved {
                outcome: SendOutcome::Accepted { message, .. },
                ..
            } => {
                let failed = status(0, StatusKind::Failed, now_ms);
                let failed = Status { message: *message, ..failed };
                Some((B, ConversationInput::Status(failed)))
            }
            _ => None,
        }),
        _ => None,
    };
    if let Some((to, input)) = heard {
        world.give(to, input);
    }
}

proptest! {
    #![proptest_config(config())]
    /// The world asserts after every step that nobody who waits is forgotten.
    #[test]
    fn whatever_happens_who_waits_is_cared_for(
        acts in prop::collection::vec(act(), 1..40),
        bot in any::<bool>(),
        external in any::<bool>(),
        owner in any::<bool>(),
    ) {
        let phone_owner = owner.then(|| agent("ann"));
        let mut world = World::new(Rules { phone_owner, ..rules_of(bot, external) });
        for (n, act) in (10..).zip(&acts) {
            act_on(&mut world, n, act);
        }
        act_on(&mut world, 0, &Act::Release);
        // And once everything is quiet, no timer runs for nothing.
        let quiet_ms = world.now_ms + 3 * H;
        world.pass(quiet_ms);
        for conversation in world.conversations.values() {
            prop_assert!(conversation.wake_ms().is_none() || conversation.item().is_some());
            prop_assert!(*conversation.floor() != Floor::Phone);
        }
    }

    /// The state's idea of who waits against the history's.
    #[test]
    fn the_wait_is_what_the_history_says(
        acts in prop::collection::vec(act(), 1..30),
        bot in any::<bool>(),
        external in any::<bool>(),
    ) {
        let mut world = World::new(rules_of(bot, external));
        for (n, act) in (10..).zip(&acts) {
            if matches!(act, Act::In { paired: true, .. } | Act::ByPhone { .. }) {
                continue;
            }
            act_on(&mut world, n, act);
            if let Some(waits) = Account::of(&world.events) {
                prop_assert_eq!(world.get(B).waiting_since_ms().is_some(), waits, "{:?}", act);
            }
        }
    }

    /// Replaying the events gives the state that deciding left.
    #[test]
    fn replay_gives_the_same_state(
        acts in prop::collection::vec(act(), 1..30),
        external in any::<bool>(),
    ) {
        let mut world = World::new(rules_of(true, external));
        for (n, act) in (10..).zip(&acts) {
            if matches!(act, Act::In { paired: true, .. } | Act::ByPhone { .. }) {
                continue;
            }
            act_on(&mut world, n, act);
        }
        let mut replayed = Conversation::default();
        for event in &world.events {
            let bytes = persist::encode(event).unwrap();
            replayed.apply(&persist::decode(&bytes).unwrap());
        }
        prop_assert_eq!(replayed, world.get(B));
    }
}

/// Everything full at once, on both sides of a join.
#[test]
fn the_state_fits_into_one_part_at_its_worst() {
    let fill = |n: u8| {
        let mut state = Conversation::default();
        let mut core = World::new(plain_rules());
        core.say(n, Inbound { who: sealed(&"w".repeat(600)), ..inbound(1, T0) }, "hi");
        for _ in 0..40 {
            core.command_n(
                n,
                Some("an agent of quite a long name"),
                1 + core.number.len() as u64,
                send_of(true),
            );
        }
        state.core = core.get(n).core;
        for key in 0..5_000_u64 {
            // 8 days, spread so that times take most room.
            let key = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(n);
            state.dedupe.insert(key, T0 + (key % 690_000) * S);
        }
        for client in 0..80 {
            for k in 0..10 {
                let id = CommandId { client: Hash16([client ^ (n << 7); 16]), n: T0 + k };
                let request = RequestId { conversation: Hash16([n; 16]), n: T0 };
                state.apply(&ConversationEvent::CommandAnswered {
                    id,
                    answer: CommandAnswer::Sent { request },
                });
            }
        }
        for m in 0..20 {
            let content = sealed(&"x".repeat(380));
            let message = message(m + 10_000 * u32::from(n));
            let kind = ContentKind::Other("a kind of quite a long name".to_owned());
            let message = HeardMessage { message, kind, content, at_ms: T0, shortened: true };
            state.apply(&ConversationEvent::BotHeard { message });
        }
        state.apply(&ConversationEvent::BotAsked { turn: T0, attempt: 2, due_ms: T0 });
        for m in 0..40 {
            for kind in
                [StatusKind::Sent, StatusKind::Delivered, StatusKind::Read, StatusKind::Failed]
            {
                state.core.apply(&ConversationEvent::StatusMerged {
                    message: message(m + 1_000 * u32::from(n)),
                    request: Some(RequestId { conversation: Hash16([n; 16]), n: T0 }),
                    status: kind,
                    at_ms: T0 + u64::from(m),
                    error: Some(131_026),
                    content: sealed(""),
                });
            }
        }
        state
    };
    let mut upper = fill(B);
    let lower = fill(P);
    let bytes = persist::encode(&upper).unwrap().len();
    assert!((50_000..63_000).contains(&bytes), "{bytes}");
    upper.apply(&ConversationEvent::Absorbed {
        from: address(P),
        state: persist::encode(&lower).unwrap(),
    });
    for n in 0..20 {
        upper.apply(&ConversationEvent::Joining { lower: address(n), paired_at: (T0, message(1)) });
    }
    let bytes = persist::encode(&upper).unwrap().len();
    assert!(bytes <= 64 * 1024, "{bytes}");
}

#[test]
fn an_ordinary_conversation_is_small() {
    let mut world = World::new(plain_rules());
    for n in 0..10 {
        let at_ms = T0 + u64::from(n) * MIN;
        world.at(at_ms).say(
            B,
            Inbound { who: sealed(&"w".repeat(150)), kind: ContentKind::Text, ..inbound(n, at_ms) },
            "hi",
        );
        let request = world.sent(Some("ann"), true);
        world.outcome(request, accepted(n + 100, at_ms));
        for kind in [StatusKind::Sent, StatusKind::Delivered, StatusKind::Read] {
            world.give(B, ConversationInput::Status(status(n + 100, kind, at_ms + S)));
        }
    }
    let bytes = persist::encode(&world.get(B)).unwrap().len();
    assert!(bytes <= 4 * 1024, "{bytes}");
}
