//! Invariant 4: the same webhooks in any order, late or repeated, end in the same thread, statuses and window.

use proptest::{prelude::*, sample::select};

use super::world::*;
use crate::{
    content::ContentKind,
    conversation::*,
    flow::{Answer, Outcome, Reply},
};

/// One webhook or outcome; its place in the list is its key.
#[derive(Clone, Debug)]
enum Hook {
    In {
        second: u64,
        kind: ContentKind,
        referral: bool,
    },
    Echo {
        second: u64,
        automatic: bool,
    },
    /// Of the program's send, of a message of the phone, or of one nobody knows.
    Status {
        of: u32,
        kind: StatusKind,
        second: u64,
        opaque: bool,
        /// What it says of the price and the billing window, by number.
        price: u8,
    },
    Wish {
        second: u64,
        allowed: bool,
    },
    Outcome {
        accepted: bool,
    },
    OwnEcho,
}

const SENT: u32 = 900;

fn hook() -> impl Strategy<Value = Hook> {
    let kinds = [
        ContentKind::Text,
        ContentKind::Image,
        ContentKind::Reaction,
        ContentKind::Edit,
        ContentKind::Unsupported { code: 131_060 },
    ];
    let statuses = [StatusKind::Sent, StatusKind::Delivered, StatusKind::Read, StatusKind::Failed];
    prop_oneof![
        4 => (0..4_000_u64, select(kinds.to_vec()), any::<bool>())
            .prop_map(|(second, kind, referral)| Hook::In { second, kind, referral }),
        1 => (0..4_000_u64, any::<bool>())
            .prop_map(|(second, allowed)| Hook::Wish { second, allowed }),
        2 => (0..4_000_u64, any::<bool>())
            .prop_map(|(second, automatic)| Hook::Echo { second, automatic }),
        4 => (
            select(vec![SENT, 1, 2, 555]),
            select(statuses.to_vec()),
            0..4_000_u64,
            any::<bool>(),
            0..4_u8,
        )
            .prop_map(|(of, kind, second, opaque, price)| {
                Hook::Status { of, kind, second, opaque, price }
            }),
    ]
}

fn hooks() -> impl Strategy<Value = Vec<Hook>> {
    (prop::collection::vec(hook(), 1..12), any::<bool>(), any::<bool>()).prop_map(
        |(mut hooks, accepted, own_echo)| {
            hooks.push(Hook::Outcome { accepted });
            if accepted && own_echo {
                hooks.push(Hook::OwnEcho);
            }
            hooks
        },
    )
}

fn give(world: &mut World, n: u32, hook: &Hook) {
    let at = |second: u64| T0 + second * S;
    let request = world.requests().iter().find(|r| r.content == sealed("desk")).unwrap().request;
    let input = match hook.clone() {
        Hook::In { second, kind, referral } => {
            ConversationInput::Inbound(Inbound { kind, referral, ..inbound(n, at(second)) })
        }
        Hook::Wish { second, allowed } => ConversationInput::Preference(Preference {
            via: via(),
            allowed,
            at_ms: at(second),
            paired: None,
            who: sealed("who"),
        }),
        Hook::Echo { second, automatic } => {
            ConversationInput::Echo(Echo { configured_automatic: automatic, ..echo(n, at(second)) })
        }
        Hook::Status { of, kind, second, opaque, price } => {
            let request = (opaque && of == SENT).then_some(request);
            let (pricing, window) = price_of(price, at(second));
            let told = Status { request, pricing, window, ..status(of, kind, at(second)) };
            ConversationInput::Status(told)
        }
        Hook::Outcome { accepted: true } => {
            ConversationInput::SendOutcome { request, outcome: accepted(SENT, at(1)) }
        }
        Hook::Outcome { accepted: false } => {
            ConversationInput::SendOutcome { request, outcome: SendOutcome::Unknown }
        }
        Hook::OwnEcho => ConversationInput::Echo(echo(SENT, at(1))),
    };
    world.give_keyed(B, u64::from(n), input, Some("hello"));
}

/// Statuses of one message may say nothing, the same, or contradict each other.
fn price_of(price: u8, at_ms: u64) -> (Option<Box<Pricing>>, Option<BillingWindow>) {
    let kinds = ["regular", "free_customer_service"];
    let Some(kind) = usize::from(price).checked_sub(1).and_then(|price| kinds.get(price)) else {
        let category = "utility".to_owned();
        let window = BillingWindow { category, until_ms: at_ms + 24 * H };
        return (None, (price == 3).then_some(window));
    };
    let pricing = Pricing { kind: Some((*kind).to_owned()), ..Pricing::default() };
    (Some(Box::new(pricing)), None)
}

/// A conversation with a send under way.
fn begun(rules: Rules) -> World {
    let mut world = World::new(rules);
    world.give_keyed(B, 1 << 50, ConversationInput::Inbound(inbound(1_000, T0)), Some("hi"));
    world.sent(None, true);
    world.at(T0 + 4_100 * S);
    world
}

/// Thread with statuses, prices and billing windows; customer service window; wish about marketing.
type Run = (Thread, u64, Option<(u64, bool)>);

fn run(rules: Rules, hooks: &[Hook], order: &[(usize, u64)]) -> Run {
    let mut world = begun(rules);
    for (place, delay_s) in order {
        // An external bot answers whatever it was asked last, in time or not.
        if let Some(key) = world.bot_calls.last().map(|call| call.key) {
            let replies = vec![Reply::Text("external".into())];
            let answer = Answer { replies, outcome: Outcome::Wait };
            world.bot(key, &BotResult::Answered(answer));
        }
        let now_ms = world.now_ms + delay_s * S;
        world.pass(now_ms);
        give(&mut world, u32::try_from(*place).unwrap() + 10, &hooks[*place]);
    }
    let mut thread = world.thread.clone().settled();
    // What the business itself did is no webhook: the bot and timers may have acted differently.
    thread.sends.retain(|_, record| record.author == Author::Api);
    thread.outcomes.retain(|request, _| thread.sends.contains_key(request));
    let conversation = world.get(B);
    let wish = conversation.core.marketing.map(|wish| (wish.at_ms, wish.stopped));
    (thread, conversation.window_until_ms(), wish)
}

/// Everything once, in a random order, with repeats and delays thrown in.
fn orders(len: usize) -> impl Strategy<Value = Vec<(usize, u64)>> {
    let places: Vec<usize> = (0..len).collect();
    let repeats = prop::collection::vec(0..len, 0..6);
    (Just(places), repeats)
        .prop_map(|(places, repeats)| [places, repeats].concat())
        .prop_shuffle()
        .prop_flat_map(|places| {
            let delays = prop::collection::vec(select(vec![0, 1, 30, 700, 3_000]), places.len());
            (Just(places), delays).prop_map(|(p, d)| p.into_iter().zip(d).collect())
        })
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn any_order_ends_in_the_same_thread_statuses_and_window(
        (hooks, first, second) in hooks().prop_flat_map(|hooks| {
            let len = hooks.len();
            (Just(hooks), orders(len), orders(len))
        }),
        bot in any::<bool>(),
        external in any::<bool>(),
    ) {
        let rules = if bot { bot_rules() } else { plain_rules() };
        let rules = if external { external_rules(rules) } else { rules };
        let one = run(rules.clone(), &hooks, &first);
        let other = run(rules, &hooks, &second);
        prop_assert_eq!(one, other);
    }

    /// The same over two addresses: some webhooks name the phone only, some both.
    #[test]
    fn joined_addresses_end_in_the_same_thread_and_window(
        times in prop::collection::vec((0..4_000_u64, any::<bool>(), any::<bool>()), 1..8),
        shuffled in any::<prop::sample::Index>(),
        seed in prop::collection::vec(any::<prop::sample::Index>(), 16),
    ) {
        let hooks: Vec<(u8, ConversationInput)> = (10..).zip(&times).map(|(n, (second, both, is_echo))| {
            let at_ms = T0 + second * S;
            let paired = both.then_some(address(P));
            let to = if *both { B } else { P };
            let input = if *is_echo {
                ConversationInput::Echo(Echo { paired, ..echo(n, at_ms) })
            } else {
                ConversationInput::Inbound(Inbound { paired, ..inbound(n, at_ms) })
            };
            (to, input)
        }).collect();
        let run = |order: &[usize]| {
            let mut world = World::new(bot_rules());
            let join = Inbound { paired: Some(address(P)), ..inbound(5, T0) };
            let mut joined = false;
            for (step, place) in order.iter().chain(order.first()).enumerate() {
                if step == shuffled.index(order.len()) {
                    world.give_keyed(B, 5, ConversationInput::Inbound(join.clone()), Some("hi"));
                    joined = true;
                }
                let (to, input) = hooks[*place].clone();
                world.give_keyed(to, *place as u64 + 100, input, Some("hi"));
            }
            assert!(joined);
            let messages = world.thread.settled().messages;
            (messages, world.conversations[&address(B)].window_until_ms())
        };
        let straight: Vec<usize> = (0..hooks.len()).collect();
        let mut mixed = straight.clone();
        for (place, other) in seed.iter().enumerate() {
            let (a, b) = (place % mixed.len(), other.index(mixed.len()));
            mixed.swap(a, b);
        }
        prop_assert_eq!(run(&straight), run(&mixed));
    }
}
