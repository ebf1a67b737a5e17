//! Complaints of users of other products, with their circumstances, and beside each the rule that caused it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::world::*;
use crate::{content::ContentKind, conversation::*};

/// A store that is read and then written, as a worker does that handles one webhook.
#[derive(Clone, Debug, Default)]
struct Naive {
    /// Conversations, each with its messages.
    conversations: Vec<Vec<u32>>,
    statuses: BTreeMap<u32, StatusKind>,
    assignee: Option<String>,
}

/// "An album of pictures creates one conversation per picture": five workers take one picture each, all look before
/// any of them has written.
#[test]
fn complaint_30_an_album_is_one_conversation() {
    let pictures = [1, 2, 3, 4, 5];
    let mut naive = Naive::default();
    let looked: Vec<bool> = pictures.iter().map(|_| naive.conversations.is_empty()).collect();
    for (picture, none_open) in pictures.into_iter().zip(looked) {
        match naive.conversations.last_mut() {
            Some(open) if !none_open => open.push(picture),
            _ => naive.conversations.push(vec![picture]),
        }
    }
    assert_eq!(naive.conversations.len(), 5, "the complaint");

    let mut world = World::new(plain_rules());
    for n in pictures {
        let picture = Inbound { kind: ContentKind::Image, ..inbound(n, T0) };
        world.give(B, ConversationInput::Inbound(picture));
    }
    let episodes = world.events.iter();
    let opened = episodes.filter(|event| matches!(event, ConversationEvent::EpisodeOpened { .. }));
    assert_eq!((opened.count(), world.thread.messages.len()), (1, 5));
    let wanted = world.workspace.iter();
    let items: std::collections::BTreeSet<_> = wanted
        .filter_map(|input| match input {
            crate::workspace::WorkspaceInput::Wanted { item, .. } => Some(*item),
            _ => None,
        })
        .collect();
    assert_eq!(items.len(), 1, "one agent is asked once");
}

/// "At-least-once delivery makes duplicates; the lock is freed before the commit": both workers find nothing.
#[test]
fn complaint_31_a_redelivered_message_is_recorded_once() {
    let mut naive = Naive { conversations: vec![Vec::new()], ..Naive::default() };
    let found: Vec<bool> = (0..2).map(|_| naive.conversations[0].contains(&7)).collect();
    for known in found {
        if !known {
            naive.conversations[0].push(7);
        }
    }
    assert_eq!(naive.conversations[0], [7, 7], "the complaint");

    let mut world = World::new(bot_rules());
    for _ in 0..3 {
        world.give_keyed(B, 7, ConversationInput::Inbound(inbound(7, T0)), Some("hi"));
        let later_ms = world.now_ms + S;
        world.at(later_ms);
    }
    assert_eq!(world.recorded_by, [(address(B), message(7))]);
    assert_eq!(world.said(), ["question"], "and answered once");
}

/// "Delivered falls back to sent": statuses are written in the order they come in.
#[test]
fn complaint_32_delivered_does_not_fall_back_to_sent() {
    let comes = [StatusKind::Delivered, StatusKind::Read, StatusKind::Sent, StatusKind::Delivered];
    let mut naive = Naive::default();
    let mut world = World::new(plain_rules());
    let mut shown = Vec::new();
    for kind in comes {
        naive.statuses.insert(1, kind);
        world.give(B, ConversationInput::Status(status(1, kind, T0)));
        shown.push(world.thread.statuses[&message(1)].shown().unwrap());
    }
    assert_eq!(naive.statuses[&1], StatusKind::Delivered, "the complaint");
    assert!(shown.is_sorted(), "{shown:?}");
    assert_eq!(shown.last(), Some(&StatusKind::Read));
    let told: Vec<_> = world
        .signals
        .iter()
        .filter_map(|signal| match signal {
            ConversationSignal::Status { status, .. } => Some(*status),
            _ => None,
        })
        .collect();
    assert_eq!(
        told,
        [StatusKind::Delivered, StatusKind::Read],
        "agents are told only of what moved"
    );
}

/// "Failed marked after it was delivered": one of the customer's devices could not take it.
#[test]
fn complaint_35_a_failure_after_delivery_does_not_undo_it() {
    let comes = [StatusKind::Sent, StatusKind::Delivered, StatusKind::Failed];
    let mut naive = Naive::default();
    let mut world = World::new(plain_rules());
    world.inbound(9, T0);
    let request = world.sent(Some("ann"), false);
    world.outcome(request, accepted(1, T0));
    for kind in comes {
        naive.statuses.insert(1, kind);
        world.give(B, ConversationInput::Status(status(1, kind, T0 + S)));
    }
    assert_eq!(naive.statuses[&1], StatusKind::Failed, "the complaint");
    let facts = world.thread.statuses[&message(1)];
    assert_eq!(facts.shown(), Some(StatusKind::Delivered));
    assert_eq!(facts.failed.map(|(_, code)| code), Some(131_026), "both facts are kept");
    assert_eq!(world.get(B).waiting_since_ms(), None, "the customer has the answer");
}

proptest! {
    #![proptest_config(config())]
    /// "Concurrent deliveries overwrite a local claim": a worker read the conversation before the claim and writes all
    /// of it back after. Whatever comes in around the claim, it stands.
    #[test]
    fn complaint_36_deliveries_do_not_overwrite_a_claim(
        kinds in prop::collection::vec(0..4_u8, 1..12),
        claimed_at in any::<prop::sample::Index>(),
    ) {
        let claim = claimed_at.index(kinds.len());
        let mut world = World::new(plain_rules());
        world.inbound(1, T0);
        let mut naive = Naive::default();
        let read_before_the_claim = naive.clone();
        for (n, kind) in (10..).zip(&kinds) {
            if n as usize - 10 == claim {
                let answer = world.command(None, CommandKind::Assign { agent: agent("ann") });
                prop_assert_eq!(answer, CommandAnswer::Done);
                naive.assignee = Some("ann".to_owned());
            }
            let input = match kind {
                0 => ConversationInput::Inbound(inbound(n, T0 + S)),
                1 => ConversationInput::Status(status(n, StatusKind::Sent, T0)),
                2 => ConversationInput::Inbound(inbound(1, T0)),
                _ => ConversationInput::Inbound(Inbound {
                    kind: ContentKind::Reaction,
                    ..inbound(n, T0 + S)
                }),
            };
            world.give(B, input);
        }
        naive.clone_from(&read_before_the_claim);
        prop_assert_eq!(naive.assignee, None, "the complaint");
        prop_assert_eq!(world.floor(), Floor::Desk { agent: agent("ann") });
        let open = world.get(B).item().map(|(_, agent)| agent.cloned());
        prop_assert_eq!(open, Some(Some(agent("ann"))));
    }
}

/// "Free text allowed outside 24 hours, fails silently": the composer was open, the message was shown as sent, and Meta's refusal
/// (131047) reached nobody.
#[test]
fn complaint_48_a_closed_window_is_said_and_not_found_out() {
    /// Shows whatever is typed as sent.
    #[derive(Default)]
    struct Composer {
        shown_as_sent: Vec<&'static str>,
    }
    let mut naive = Composer::default();
    naive.shown_as_sent.push("still there?");
    assert_eq!(naive.shown_as_sent, ["still there?"], "the complaint: the customer never gets it");

    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    world.assign("ann");
    let closed_ms = T0 + 24 * H;
    world.at(closed_ms);
    let answer = world.command(Some("ann"), send_of(false));
    assert_eq!(answer, CommandAnswer::Refused(Refusal::WindowClosed { closed_ms }));
    assert!(world.requests().is_empty(), "nothing was sent that cannot arrive");
    let template = CommandKind::Send {
        kind: ContentKind::Template,
        content: sealed("we are here"),
        take_floor: false,
        marketing: false,
    };
    let answer = world.command(Some("ann"), template);
    assert!(matches!(answer, CommandAnswer::Sent { .. }), "the way that is open: {answer:?}");

    // Asked in time and refused all the same: the agent is told what and why.
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    world.assign("ann");
    let request = world.sent(Some("ann"), false);
    let told = "More than 24 hours since the customer's last message. Send a template.";
    let outcome = SendOutcome::Failed { code: 131_047, told: told.to_owned() };
    world.outcome(request, outcome.clone());
    let signal = ConversationSignal::Resolved { request, outcome };
    assert!(world.signals.contains(&signal), "{:?}", world.signals);
    assert!(world.get(B).waiting_since_ms().is_some(), "the customer still waits");
}
