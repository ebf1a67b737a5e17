//! Phone and BSUID of one customer: pairing, joining, forwarding.

use std::collections::BTreeMap;

use super::world::*;
use crate::{
    EntityId, ItemId, Millis, content::ContentKind, conversation::*, number::NumberInput, persist,
    workspace::WorkspaceInput,
};

/// A message to the BSUID that names the phone too.
fn paired(n: u32, at_ms: Millis) -> Inbound {
    Inbound { paired: Some(address(P)), who: sealed("both"), ..inbound(n, at_ms) }
}

#[test]
fn a_new_customer_with_both_identities_is_asked_after_one_round_trip() {
    let mut world = World::new(bot_rules());
    world.hold_channels = true;
    world.say(B, paired(1, T0), "hi");
    let held = world.get(B);
    assert_eq!(held.window_until_ms(), T0 + 24 * H, "windows open at once");
    assert!(world.thread.messages.contains_key(&message(1)));
    assert!(world.said().is_empty() && world.workspace.is_empty(), "no turn, no item");
    world.hold_channels = false;
    world.pump();
    assert_eq!(world.said(), ["question"]);
    assert_eq!(world.get(P).forwards_to(), Some(address(B)));
    assert_eq!(world.get(B).wake_ms(), None);
    // The pairing is known now: nothing is asked again.
    world.at(T0 + MIN).say(B, paired(2, T0 + MIN), "buy");
    assert_eq!(world.last_wanted().2, "sales".into());
}

#[test]
fn without_an_answer_it_goes_on_after_five_seconds_and_a_late_state_still_joins() {
    let mut world = World::new(bot_rules());
    world.say(P, inbound(1, T0), "hi");
    world.hold_channels = true;
    world.at(T0 + MIN).say(B, paired(2, T0 + MIN), "hi");
    world.pass(T0 + MIN + 5 * S - 1);
    assert_eq!(world.said(), ["question"], "of the phone only");
    world.pass(T0 + MIN + 5 * S);
    assert_eq!(world.said(), ["question", "question"]);
    world.hold_channels = false;
    world.pump();
    assert_eq!(world.floor(), Floor::Bot { turn: 2 });
    assert_eq!(world.said().len(), 2, "its question stands");
    assert_eq!(world.get(B).waiting_since_ms(), Some(T0));
    assert_eq!(world.get(P).floor(), &Floor::Nobody);
}

#[test]
fn the_whole_state_of_the_phone_is_taken_over() {
    let mut world = World::new(plain_rules());
    world.give_keyed(P, 7, ConversationInput::Inbound(inbound(1, T0)), Some("hi"));
    let (item, version, ..) = world.last_wanted();
    let news = WorkspaceNews::Assigned { agent: agent("ann") };
    world.give(P, ConversationInput::Workspace { item, version, news });
    let note = CommandKind::Note { content: sealed("note") };
    let first = world.command_n(P, Some("ann"), 3, note.clone());

    world.at(T0 + MIN).say(B, paired(2, T0 + MIN), "more");
    assert_eq!(world.floor(), Floor::Desk { agent: agent("ann") });
    assert_eq!(world.get(B).item(), Some((item, Some(&agent("ann")))));
    assert_eq!(world.get(B).waiting_since_ms(), Some(T0));
    let claimed = world.workspace.last().unwrap();
    assert!(matches!(claimed, WorkspaceInput::Claimed { version: 2, conversation, .. }
        if *conversation == address(B)));
    // Its memories too: of messages, and of commands, which are sent on to the caller's own door.
    let events = world.events.len();
    world.give_keyed(P, 7, ConversationInput::Inbound(inbound(1, T0)), Some("hi"));
    assert_eq!(world.events.len(), events);
    let moved = world.command_n(P, Some("ann"), 3, note.clone());
    assert_eq!(moved, CommandAnswer::Moved { to: address(B) });
    assert_eq!(world.command_n(B, Some("ann"), 3, note), first);
    // What comes to the phone from now on.
    world.say(P, inbound(3, T0 + MIN), "by phone");
    assert!(world.thread.messages.contains_key(&message(3)));
    assert_eq!(world.get(P).wake_ms(), None);
    assert!(persist::encode(&world.get(P)).unwrap().len() < 1_000, "it keeps the pointer only");
}

/// An automatic greeting while the join is under way has not answered, nor taken the bot's chance.
#[test]
fn a_greeting_during_a_join_leaves_the_bot_its_question() {
    let mut world = World::new(bot_rules());
    world.hold_channels = true;
    world.say(B, paired(1, T0), "hi");
    world.at(T0 + 2 * S).echo(2, T0 + 2 * S);
    world.give(B, ConversationInput::EchoWasAutomatic { message: message(2) });
    assert_eq!((world.floor(), world.said().len()), (Floor::Nobody, 0));
    world.hold_channels = false;
    world.pump();
    assert_eq!(world.said(), ["question"]);
    assert_eq!(world.floor(), Floor::Bot { turn: 1 });
}

/// The normal path after every send that was begun by phone number.
#[test]
fn outcomes_and_statuses_of_the_phones_sends_find_the_conversation() {
    let mut world = World::new(plain_rules());
    world.say(P, inbound(1, T0), "hi");
    let CommandAnswer::Sent { request } = world.command_n(P, Some("ann"), 1, send_of(false)) else {
        panic!()
    };
    world.at(T0 + MIN).say(B, paired(2, T0 + MIN), "more");
    let of_request = Status { request: Some(request), ..status(50, StatusKind::Sent, T0 + S) };
    world.give(P, ConversationInput::Status(of_request));
    let seen = world.number.last().unwrap();
    assert!(matches!(seen, NumberInput::StatusSeen { request: r, .. } if *r == request));
    let outcome = accepted(50, T0 + S);
    world.give(P, ConversationInput::SendOutcome { request, outcome: outcome.clone() });
    assert_eq!(world.thread.outcomes[&request], outcome);
    assert!(world.cancelled().is_empty(), "an agent's accepted words are not thrown away");
    assert_eq!(world.sent(Some("ann"), false).n, 2, "counters exceed both");
}

#[test]
fn the_phones_bot_is_taken_back_and_asks_in_the_new_place() {
    let mut world = World::new(bot_rules());
    world.say(P, inbound(1, T0), "hi");
    let question = world.requests()[0].request;
    world.at(T0 + MIN).say(B, paired(2, T0 + MIN), "buy");
    assert_eq!(world.cancelled(), [question]);
    assert!(world.events.contains(&ConversationEvent::SendCancelled { request: question }));
    assert_eq!(world.said(), ["question", "question"]);
    assert_eq!(world.floor(), Floor::Bot { turn: 2 });
    world.at(T0 + 2 * MIN).say(B, inbound(3, T0 + 2 * MIN), "buy");
    assert_eq!(world.last_wanted().2, "sales".into());
}

/// Floor: phone over desk over bot. Items: assigned before waiting, then the older.
#[test]
fn what_survives_a_join() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Had {
        Waiting,
        Desk,
        Phone,
        Resolved,
    }
    let prepare = |world: &mut World, n: u8, had: Had, first: u32| {
        let at_ms = world.now_ms;
        world.say(n, inbound(first, at_ms), "hi");
        let (item, version, ..) = world.last_wanted();
        match had {
            Had::Waiting => {}
            Had::Desk => {
                let news = WorkspaceNews::Assigned { agent: agent(&format!("agent {n}")) };
                world.give(n, ConversationInput::Workspace { item, version, news });
            }
            Had::Phone => world.give(n, ConversationInput::Echo(echo(first + 1, at_ms + S))),
            Had::Resolved => {
                world.command_n(n, None, u64::from(first), CommandKind::Resolve);
            }
        }
        item
    };
    let all = [Had::Waiting, Had::Desk, Had::Phone, Had::Resolved];
    for (lower, upper) in all.iter().flat_map(|a| all.iter().map(move |b| (*a, *b))) {
        let mut world = World::new(plain_rules());
        let lower_item = prepare(&mut world, P, lower, 10);
        world.at(T0 + MIN);
        let upper_item = prepare(&mut world, B, upper, 20);
        world.at(T0 + 2 * MIN);
        let last = Inbound { kind: ContentKind::Reaction, ..paired(30, T0 + 2 * MIN) };
        world.give(B, ConversationInput::Inbound(last));
        let case = format!("{lower:?} into {upper:?}");
        let joined = world.get(B);
        let floor = match (lower, upper) {
            (Had::Phone, _) | (_, Had::Phone) => Floor::Phone,
            (Had::Desk, _) => Floor::Desk { agent: agent("agent 1") },
            (_, Had::Desk) => Floor::Desk { agent: agent("agent 9") },
            _ => Floor::Nobody,
        };
        assert_eq!(joined.floor(), &floor, "{case}");
        let item = match (lower, upper) {
            (Had::Desk, _) => Some(lower_item),
            (_, Had::Desk) => Some(upper_item),
            (Had::Phone, _) | (_, Had::Phone) => None,
            (Had::Waiting, _) => Some(lower_item),
            (_, Had::Waiting) => Some(upper_item),
            _ => None,
        };
        assert_eq!(joined.item().map(|item| item.0), item, "{case}");
        // The workspace knows of one item at most, at this address.
        let known: Vec<_> = item.map(|item| (item, address(B))).into_iter().collect();
        assert_eq!(open_items(&world), known, "{case}");
    }
}

/// What the workspace was told to have.
fn open_items(world: &World) -> Vec<(ItemId, EntityId)> {
    let mut open = BTreeMap::new();
    for input in &world.workspace {
        match input {
            WorkspaceInput::Wanted { item, conversation, .. }
            | WorkspaceInput::Claimed { item, conversation, .. } => {
                open.insert(*item, *conversation);
            }
            WorkspaceInput::Dropped { item, .. } => {
                open.remove(item);
            }
            other => panic!("{other:?}"),
        }
    }
    open.into_iter().collect()
}

/// Who waits at one address may have been answered on the phone at the other.
#[test]
fn the_phones_answer_at_one_address_answers_the_other() {
    for (asks, answers) in [(P, B), (B, P)] {
        let mut world = World::new(plain_rules());
        world.say(asks, inbound(1, T0), "hi");
        world.at(T0 + MIN).give(answers, ConversationInput::Echo(echo(2, T0 + MIN)));
        world.at(T0 + 2 * MIN);
        let last = Inbound { kind: ContentKind::Reaction, ..paired(3, T0 + 2 * MIN) };
        world.give(B, ConversationInput::Inbound(last));
        let joined = world.get(B);
        assert_eq!((joined.floor(), joined.waiting_since_ms()), (&Floor::Phone, None));
        assert_eq!(open_items(&world), [], "asked at {asks}");
    }
}

#[test]
fn the_agent_who_loses_the_floor_in_a_join_is_silenced() {
    let mut world = World::new(plain_rules());
    world.say(P, inbound(1, T0), "hi");
    let CommandAnswer::Sent { request: kept } = world.command_n(P, Some("ann"), 1, send_of(false))
    else {
        panic!()
    };
    world.at(T0 + S);
    world.inbound(2, T0 + S);
    let lost = world.sent(Some("bob"), false);
    world.at(T0 + 2 * S).say(B, paired(3, T0 + 2 * S), "more");
    assert_eq!(world.floor(), Floor::Desk { agent: agent("ann") });
    assert_eq!(world.cancelled(), [lost]);
    assert_ne!(kept, lost);
}

fn pair_with(world: &mut World, upper: u8, n: u32, at_ms: Millis) {
    let inbound = Inbound { paired: Some(address(P)), ..inbound(n, at_ms) };
    world.give(upper, ConversationInput::Inbound(inbound));
}

/// Numbers are recycled: the phone follows the greatest pairing, and joins nothing a second time.
#[test]
fn a_recycled_phone_points_to_the_latest_pairing_in_any_order() {
    let times = [(B, T0), (C, T0 + 300 * H), (B, T0 + 100 * H)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut world = World::new(plain_rules());
        world.at(T0 + 400 * H);
        for (n, place) in (1..).zip(order) {
            let (upper, at_ms) = times[place];
            pair_with(&mut world, upper, n, at_ms);
        }
        assert_eq!(world.get(P).forwards_to(), Some(address(C)), "{order:?}");
        world.say(P, inbound(50, T0 + 399 * H), "hi");
        let before = world.get(C);
        assert!(before.window_until_ms() >= T0 + 399 * H + 24 * H);
        // And the earlier one gets it back by a still later pairing.
        pair_with(&mut world, B, 60, T0 + 399 * H);
        assert_eq!(world.get(P).forwards_to(), Some(address(B)), "{order:?}");
    }
}

#[test]
fn who_loses_a_phone_is_told_and_asks_for_it_again_at_once() {
    let mut world = World::new(plain_rules());
    world.at(T0 + 3 * H);
    for (n, upper, hour) in [(1, B, 0), (2, C, 1), (3, B, 2), (4, C, 3)] {
        pair_with(&mut world, upper, n, T0 + hour * H);
        assert_eq!(world.get(P).forwards_to(), Some(address(upper)));
    }
}

/// What the phone asked for while it was the first customer's goes to the first customer, for ever.
#[test]
fn outcomes_of_a_recycled_phone_go_to_its_heir() {
    let mut world = World::new(plain_rules());
    world.say(P, inbound(1, T0), "hi");
    let CommandAnswer::Sent { request } = world.command_n(P, Some("ann"), 1, send_of(false)) else {
        panic!()
    };
    let ours = world.get(P).item().unwrap().0;
    world.at(T0 + MIN);
    pair_with(&mut world, B, 2, T0 + MIN);
    world.at(T0 + 2_000 * H);
    pair_with(&mut world, C, 3, T0 + 2_000 * H);
    let other = world.get(C);
    world.give(P, ConversationInput::SendOutcome { request, outcome: accepted(50, T0 + S) });
    let check = ConversationInput::Workspace { item: ours, version: 2, news: WorkspaceNews::Check };
    world.give(P, check);
    assert_eq!(world.get(C), other, "nothing of the first customer reaches the second");
    assert_eq!(world.thread.outcomes.len(), 1);
    assert!(
        matches!(world.workspace.last(), Some(WorkspaceInput::Claimed { item, version: 3, .. })
        if *item == ours)
    );
    let moved = world.command_n(P, Some("ann"), 9, send_of(false));
    assert_eq!(moved, CommandAnswer::Moved { to: address(B) });
}

#[test]
fn nobody_is_forwarded_in_a_circle() {
    let mut world = World::new(plain_rules());
    pair_with(&mut world, B, 1, T0);
    let join =
        ConversationInput::Join { from: address(P), paired_at: (T0 + H, message(9)), via: via() };
    world.give(B, join);
    assert_eq!(world.get(B).forwards_to(), None);
    world.say(P, inbound(2, T0), "hi");
    assert!(world.thread.messages.contains_key(&message(2)));
    let own = Inbound { paired: Some(address(B)), ..inbound(3, T0) };
    world.give(B, ConversationInput::Inbound(own));
    assert_eq!(world.get(B).forwards_to(), None);
}

#[test]
fn a_chain_of_forwards_ends_at_the_top() {
    let mut world = World::new(plain_rules());
    pair_with(&mut world, B, 1, T0);
    let join =
        ConversationInput::Join { from: address(C), paired_at: (T0 + H, message(9)), via: via() };
    world.give(B, join);
    assert_eq!(world.get(B).forwards_to(), Some(address(C)));
    world.at(T0 + H).say(P, inbound(2, T0 + H), "hi");
    assert_eq!(world.get(C).window_until_ms(), T0 + 25 * H);
    assert_eq!(world.thread.messages.len(), 2);
}

#[test]
fn a_state_that_cannot_be_read_ends_the_join() {
    let mut world = World::new(plain_rules());
    world.hold_channels = true;
    pair_with(&mut world, B, 1, T0);
    world.channels.clear();
    world.give(B, ConversationInput::Absorb { from: address(P), state: vec![0xc1] });
    assert_eq!(world.last_wanted().3, T0);
}
