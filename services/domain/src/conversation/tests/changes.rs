//! Meta says that a customer changed number or user id (design.md section 5). Numbers are recycled.

use super::world::*;
use crate::{MessageId, Millis, conversation::*};

/// Another phone, and another BSUID that ranks higher than [`B`] (the smaller id does).
const Q: u8 = 2;
const A: u8 = 4;

fn change(kind: ChangeKind, other: u8, n: u32, at_ms: Millis) -> ConversationInput {
    ConversationInput::Changed(Change {
        via: via(),
        kind,
        other: address(other),
        changed_at: (at_ms, message(n)),
        who: sealed("who now"),
    })
}

fn texts(world: &World, of: u8) -> Vec<MessageId> {
    let recorded = world.recorded_by.iter().filter(|(by, _)| *by == address(of));
    recorded.map(|(_, message)| *message).collect()
}

#[test]
fn two_user_ids_are_one_conversation_after_a_change_and_only_then() {
    for (old, new) in [(B, A), (A, B)] {
        let mut world = World::new(plain_rules());
        world.say(old, inbound(1, T0), "hi");
        world.at(T0 + S).say(new, inbound(2, T0 + S), "me again");
        assert_eq!((world.get(old).forwards_to(), world.get(new).forwards_to()), (None, None));
        world.at(T0 + 2 * S).give(old, change(ChangeKind::UserId, new, 3, T0 + 2 * S));
        // The smaller id keeps it, whichever is the new one.
        assert_eq!(world.get(B).forwards_to(), Some(address(A)), "{old} {new}");
        assert_eq!(world.get(A).forwards_to(), None);
        assert_eq!(world.get(A).waiting_since_ms(), Some(T0));
        let open = world.get(A).item().map(|(item, _)| item);
        assert!(open.is_some(), "one item survives");
        // What comes to either is one thread, and answers go to who the customer is now.
        world.at(T0 + 3 * S).say(B, inbound(4, T0 + 3 * S), "by either");
        assert!(texts(&world, A).contains(&message(4)));
        assert_eq!(world.get(A).core.contact.as_ref().unwrap().who, sealed("who"));
        // A repeat changes nothing.
        let (events, channels) = (world.events.len(), world.channels.len());
        world.give(old, change(ChangeKind::UserId, new, 3, T0 + 2 * S));
        assert_eq!((world.events.len(), world.channels.len()), (events, channels));
    }
}

#[test]
fn answers_go_to_the_new_user_id_before_the_customer_writes_again() {
    let mut world = World::new(plain_rules());
    world.say(A, inbound(1, T0), "hi");
    world.at(T0 + S).give(A, change(ChangeKind::UserId, B, 2, T0 + S));
    let CommandAnswer::Sent { .. } = world.command_n(A, Some("ann"), 1, send_of(false)) else {
        panic!()
    };
    assert_eq!(world.requests().last().unwrap().recipient, sealed("who now"));
    // A change that comes late does not undo what was seen since.
    let mut world = World::new(plain_rules());
    world.at(T0 + H).say(A, inbound(1, T0 + H), "hi");
    world.give(A, change(ChangeKind::UserId, B, 2, T0));
    assert_eq!(world.get(A).core.contact.as_ref().unwrap().who, sealed("who"));
}

#[test]
fn a_chain_of_changed_user_ids_ends_in_one_conversation_in_any_order() {
    let ids = [C, A, B];
    let orders: [[usize; 4]; 6] =
        [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2], [3, 0, 2, 1], [0, 3, 1, 2]];
    for order in orders {
        let mut world = World::new(plain_rules());
        world.at(T0 + MIN);
        for step in order {
            match step {
                0 => world.say(ids[0], inbound(1, T0), "first"),
                1 => world.give(ids[0], change(ChangeKind::UserId, ids[1], 2, T0 + S)),
                2 => world.give(ids[1], change(ChangeKind::UserId, ids[2], 3, T0 + 2 * S)),
                _ => world.say(ids[2], inbound(4, T0 + 3 * S), "last"),
            }
        }
        assert_eq!(world.get(A).forwards_to(), None, "{order:?}");
        for lower in [C, B] {
            assert_eq!(world.get(lower).forwards_to(), Some(address(A)), "{order:?}");
        }
        assert_eq!(world.get(A).window_until_ms(), T0 + 3 * S + 24 * H);
        assert_eq!(world.get(A).waiting_since_ms(), Some(T0), "{order:?}");
    }
}

/// Known by phone only: the thread goes to the new number.
#[test]
fn a_changed_number_takes_the_thread_along_and_leaves_the_old_one_to_its_next_owner() {
    let mut world = World::new(plain_rules());
    world.say(P, inbound(1, T0), "hi");
    world.at(T0 + H).give(P, change(ChangeKind::Number, Q, 2, T0 + H));
    assert_eq!(world.get(P).forwards_to(), Some(address(Q)));
    assert_eq!(world.get(Q).waiting_since_ms(), Some(T0));
    assert_eq!(world.get(Q).window_until_ms(), T0 + 24 * H);
    world.at(T0 + 2 * H).say(Q, inbound(3, T0 + 2 * H), "from the new one");
    assert!(texts(&world, Q).contains(&message(3)));
    // What the old owner wrote before comes late: it is the old owner's.
    world.say(P, inbound(4, T0 + 30 * MIN), "late");
    assert!(texts(&world, Q).contains(&message(4)));
    // Whoever writes from the old number now is somebody else.
    let before = world.get(Q);
    world.at(T0 + 3 * H).say(P, inbound(5, T0 + 3 * H), "I am new here");
    assert_eq!(world.get(Q), before, "nothing of the next owner reaches the thread");
    let (owner, _) = *world.recorded_by.iter().find(|(_, m)| *m == message(5)).unwrap();
    assert!(owner != address(P) && owner != address(Q));
    world.at(T0 + 4 * H).say(P, inbound(6, T0 + 4 * H), "still me");
    assert!(world.recorded_by.contains(&(owner, message(6))), "one conversation of the next owner");
    // The next owner is named by a user id: joined to what came since, not to what was before.
    let named = Inbound { paired: Some(address(P)), ..inbound(7, T0 + 5 * H) };
    world.at(T0 + 5 * H).say(C, named, "me too");
    assert_eq!(world.conversations[&owner].forwards_to(), Some(address(C)));
    assert_eq!(world.get(Q).forwards_to(), None);
    assert_eq!(world.get(C).waiting_since_ms(), Some(T0 + 3 * H));
}

/// The customer is known by user id: the conversation stays, the new number joins it, the old one is left.
#[test]
fn a_changed_number_of_a_known_user_id_joins_the_new_number() {
    let mut world = World::new(plain_rules());
    world.say(B, Inbound { paired: Some(address(P)), ..inbound(1, T0) }, "hi");
    world.at(T0 + H).give(P, change(ChangeKind::Number, Q, 2, T0 + H));
    assert_eq!(world.get(Q).forwards_to(), Some(address(B)));
    world.at(T0 + 2 * H).say(Q, inbound(3, T0 + 2 * H), "by the new number");
    assert!(texts(&world, B).contains(&message(3)));
    world.say(P, inbound(4, T0 + 2 * H), "somebody else");
    assert!(!texts(&world, B).contains(&message(4)));
}

#[test]
fn a_customer_who_comes_back_to_the_old_number_is_known_there() {
    let mut world = World::new(plain_rules());
    world.say(P, inbound(1, T0), "hi");
    world.at(T0 + H).give(P, change(ChangeKind::Number, Q, 2, T0 + H));
    world.at(T0 + 2 * H).give(Q, change(ChangeKind::Number, P, 3, T0 + 2 * H));
    world.at(T0 + 3 * H).say(P, inbound(4, T0 + 3 * H), "back");
    assert!(texts(&world, Q).contains(&message(4)), "{:?}", world.recorded_by);
    // And the number left meanwhile is somebody else's.
    world.say(Q, inbound(5, T0 + 3 * H), "new here");
    assert!(!texts(&world, Q).contains(&message(5)));
}

#[test]
fn statuses_of_what_was_sent_before_find_their_conversation() {
    let mut world = World::new(plain_rules());
    world.say(P, inbound(1, T0), "hi");
    world.at(T0 + H).give(P, change(ChangeKind::Number, Q, 2, T0 + H));
    world
        .at(T0 + 2 * H)
        .give(P, ConversationInput::Status(status(50, StatusKind::Read, T0 + 2 * H)));
    assert!(world.get(Q).core.recents.get(message(50)).is_some());
}
