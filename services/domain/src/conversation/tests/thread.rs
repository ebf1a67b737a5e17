//! What joins the thread, once, and what it moves.

use super::world::*;
use crate::{content::ContentKind, conversation::*};

#[test]
fn the_first_message_opens_an_episode_a_window_and_an_item() {
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    let conversation = world.get(B);
    assert_eq!(conversation.window_until_ms(), T0 + 24 * H);
    assert_eq!(conversation.waiting_since_ms(), Some(T0));
    let (item, version, queue, since_ms) = world.last_wanted();
    assert_eq!((item.conversation, item.n, version), (address(B).hash, 1, 1));
    assert_eq!((queue, since_ms), ("general".into(), T0));
    let opened = ConversationEvent::EpisodeOpened { n: 1, at_ms: T0 };
    assert!(world.events.contains(&opened));
    assert!(matches!(world.signals.first(), Some(ConversationSignal::Message(_))));
}

/// whatsapp.md P3: the same wamid in several POSTs, also forwarded, is one message.
#[test]
fn a_repeat_changes_nothing() {
    let mut world = World::new(bot_rules());
    let input = ConversationInput::Inbound(inbound(1, T0));
    world.give_keyed(B, 7, input.clone(), Some("hi"));
    let (events, state) = (world.events.len(), world.get(B));
    world.at(T0 + 3 * H).give_keyed(B, 7, input.clone(), Some("hi"));
    let mut key = [0; 16];
    key[..8].copy_from_slice(&7_u64.to_be_bytes());
    let forwarded = ConversationInput::Forwarded { from: address(P), key, input: Box::new(input) };
    world.give(B, forwarded);
    assert_eq!((world.events.len(), world.get(B)), (events, state));
}

/// whatsapp.md P4: an album is five messages in one episode with one question, and no wrong answers.
#[test]
fn an_album_of_a_new_contact_is_one_episode_and_one_question() {
    let mut world = World::new(bot_rules());
    for n in 1..=5 {
        let image = Inbound { kind: ContentKind::Image, ..inbound(n, T0) };
        world.give(B, ConversationInput::Inbound(image));
    }
    assert_eq!(world.thread.messages.len(), 5);
    assert_eq!(world.said(), ["question"]);
    assert_eq!(world.floor(), Floor::Bot { turn: 1 });
}

/// Which kinds open episodes and windows.
#[test]
fn kinds_move_what_they_should() {
    let table = [
        (ContentKind::Text, true, true),
        (ContentKind::Audio, true, true),
        (ContentKind::Unsupported { code: 131_051 }, true, true),
        // whatsapp.md P7: the first message of an ad opens the conversation with a placeholder.
        (ContentKind::Unsupported { code: 131_060 }, true, true),
        (ContentKind::Other("poll".into()), true, true),
        (ContentKind::Reaction, false, false),
        (ContentKind::Edit, false, false),
        (ContentKind::Revoke, false, false),
        (ContentKind::System, false, false),
        (ContentKind::Other("request_welcome".into()), false, false),
    ];
    for (kind, episode, window) in table {
        let mut world = World::new(plain_rules());
        let inbound = Inbound { kind: kind.clone(), target: Some(message(9)), ..inbound(1, T0) };
        world.give(B, ConversationInput::Inbound(inbound));
        assert_eq!(world.thread.messages[&message(1)].kind, kind);
        assert_eq!(world.thread.messages[&message(1)].target, Some(message(9)));
        assert_eq!(!world.workspace.is_empty(), episode, "{kind:?}");
        assert_eq!(world.get(B).window_until_ms() > 0, window, "{kind:?}");
    }
    let mut world = World::new(Rules { reaction_opens_window: true, ..plain_rules() });
    let reaction = Inbound { kind: ContentKind::Reaction, ..inbound(1, T0) };
    world.give(B, ConversationInput::Inbound(reaction));
    assert!(world.get(B).window_until_ms() > 0 && world.workspace.is_empty());
}

#[test]
fn an_edit_of_the_same_wamid_is_not_a_repeat() {
    let mut world = World::new(plain_rules());
    world.give_keyed(B, 7, ConversationInput::Inbound(inbound(1, T0)), Some("hi"));
    let edit = Inbound { kind: ContentKind::Edit, target: Some(message(1)), ..inbound(2, T0 + S) };
    world.give_keyed(B, 8, ConversationInput::Inbound(edit), Some("ho"));
    assert_eq!(world.thread.messages.len(), 2);
}

#[test]
fn an_echo_opens_no_window() {
    let mut world = World::new(plain_rules());
    world.echo(1, T0);
    assert_eq!(world.get(B).window_until_ms(), 0);
    assert_eq!(world.floor(), Floor::Phone);
}

#[test]
fn the_window_follows_the_latest_message_whatever_the_order() {
    let mut world = World::new(plain_rules());
    world.at(T0 + H);
    world.inbound(2, T0 + H);
    world.inbound(1, T0);
    assert_eq!(world.get(B).window_until_ms(), T0 + 25 * H);
}

/// design.md 4.4: below the horizon a message is stored by its id, and nothing moves.
#[test]
fn below_the_horizon_a_message_is_stored_and_nothing_moves() {
    let mut world = World::new(plain_rules());
    world.at(T0 + 9_000 * S);
    for n in 1..=4_097 {
        let input = ConversationInput::Inbound(inbound(n, T0 + u64::from(n) * S));
        world.give_keyed(B, u64::from(n), input, None);
    }
    world.command(None, CommandKind::Resolve);
    let (state, left) = (world.get(B), (world.workspace.len(), world.number.len()));
    // A repeat of the forgotten one, and an unknown one of the same age.
    for n in [1, 9_999] {
        let input = ConversationInput::Inbound(inbound(n, T0 + S));
        world.give_keyed(B, u64::from(n), input, None);
        let input = ConversationInput::Echo(echo(n + 1, T0 + S));
        world.give_keyed(B, u64::from(n) + 50_000, input, None);
    }
    assert_eq!(world.get(B), state);
    assert_eq!((world.workspace.len(), world.number.len()), left);
    assert!(world.thread.messages.contains_key(&message(9_999)));
    // Statuses still merge.
    let delivered = status(9_999, StatusKind::Delivered, T0 + S);
    world.give(B, ConversationInput::Status(delivered));
    assert_eq!(world.thread.statuses[&message(9_999)].delivered_ms, Some(T0 + S));
}

/// A timestamp from the far future neither opens the window for years nor hides what comes after it.
#[test]
fn a_timestamp_of_the_future_is_not_believed() {
    let mut world = World::new(plain_rules());
    world.inbound(1, T0 * 1_000);
    assert_eq!(world.get(B).window_until_ms(), T0 + 24 * H);
    for n in 2..300 {
        world.inbound(n, T0 + S);
    }
    assert_eq!(world.get(B).window_until_ms(), T0 + 24 * H + S);
}

#[test]
fn a_resolved_episode_opens_again_with_a_newer_message_only() {
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    world.at(T0 + 10 * S).inbound(2, T0 + 8 * S);
    assert_eq!(world.command(None, CommandKind::Resolve), CommandAnswer::Done);
    assert_eq!(world.get(B).waiting_since_ms(), None);
    // Late: older than what was seen when it was resolved.
    world.at(T0 + 20 * S).inbound(3, T0 + 5 * S);
    assert_eq!(world.get(B).waiting_since_ms(), None);
    assert!(world.thread.messages.contains_key(&message(3)));
    // Written before the resolution but not seen by it: nobody has dealt with it.
    world.inbound(4, T0 + 9 * S);
    let opened = ConversationEvent::EpisodeOpened { n: 2, at_ms: T0 + 9 * S };
    assert!(world.events.contains(&opened));
    assert_eq!(world.last_wanted().0.n, 2);
}
