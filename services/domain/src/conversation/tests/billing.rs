//! Prices once per message, billing windows, the free entry point, and the wish about marketing.

use super::world::*;
use crate::{Millis, content::ContentKind, conversation::*};

fn pricing(kind: &str) -> Pricing {
    Pricing {
        model: Some("pmp".into()),
        kind: Some(kind.into()),
        category: Some("service".into()),
        billable: None,
        subtype: None,
    }
}

fn priced(n: u32, kind: StatusKind, at_ms: Millis) -> Status {
    Status { pricing: Some(Box::new(pricing("regular"))), ..status(n, kind, at_ms) }
}

fn give(world: &mut World, status: Status) {
    world.give(B, ConversationInput::Status(status));
}

fn facts(world: &World) -> Vec<(crate::MessageId, Pricing)> {
    let facts = world.events.iter().filter_map(|event| match event {
        ConversationEvent::BillingRecorded { message, pricing, .. } => {
            Some((*message, pricing.clone()))
        }
        _ => None,
    });
    facts.collect()
}

#[test]
fn a_price_told_by_several_statuses_is_recorded_once() {
    let mut world = World::new(plain_rules());
    give(&mut world, status(1, StatusKind::Sent, T0));
    assert!(facts(&world).is_empty());
    give(&mut world, priced(1, StatusKind::Read, T0 + 2 * S));
    give(&mut world, priced(1, StatusKind::Delivered, T0 + S));
    give(&mut world, priced(1, StatusKind::Read, T0 + 2 * S));
    assert_eq!(facts(&world), [(message(1), pricing("regular"))]);
    // The same status, first without and then with the price.
    give(&mut world, status(2, StatusKind::Delivered, T0));
    give(&mut world, priced(2, StatusKind::Delivered, T0));
    assert_eq!(facts(&world).len(), 2);
    // What failed costs nothing.
    give(&mut world, priced(3, StatusKind::Failed, T0));
    assert_eq!(facts(&world).len(), 2);
}

/// The naive rule, kept beside: every status that carries a price is booked.
#[test]
fn booking_every_status_charges_a_message_twice() {
    let statuses = [
        priced(1, StatusKind::Sent, T0),
        priced(1, StatusKind::Delivered, T0 + S),
        priced(1, StatusKind::Delivered, T0 + S),
    ];
    let naive = statuses.iter().filter(|status| status.pricing.is_some()).count();
    let mut world = World::new(plain_rules());
    statuses.into_iter().for_each(|status| give(&mut world, status));
    assert_eq!((naive, facts(&world).len()), (3, 1));
}

#[test]
fn a_contradicting_price_replaces_the_first_only_where_it_ranks_higher() {
    let mut world = World::new(plain_rules());
    give(&mut world, priced(1, StatusKind::Sent, T0));
    let free = Status {
        pricing: Some(Box::new(pricing("free_customer_service"))),
        ..status(1, StatusKind::Delivered, T0 + S)
    };
    give(&mut world, free.clone());
    assert_eq!(facts(&world).len(), 1);
    let mut other = World::new(plain_rules());
    give(&mut other, free);
    give(&mut other, priced(1, StatusKind::Sent, T0));
    assert_eq!(facts(&other).last(), facts(&world).last());
}

fn billing_windows(world: &World) -> Vec<(String, Millis)> {
    let moved = world.events.iter().filter_map(|event| match event {
        ConversationEvent::BillingWindowMoved { category, until_ms } => {
            Some((category.clone(), *until_ms))
        }
        _ => None,
    });
    moved.collect()
}

#[test]
fn windows_of_conversation_based_pricing_are_kept_by_category() {
    let mut world = World::new(plain_rules());
    let window =
        |category: &str, until_ms| Some(BillingWindow { category: category.into(), until_ms });
    let sent = |n, window| Status { window, ..status(n, StatusKind::Sent, T0) };
    give(&mut world, sent(1, window("marketing", T0 + 24 * H)));
    give(&mut world, sent(2, window("utility", T0 + 20 * H)));
    give(&mut world, sent(3, window("utility", T0 + 19 * H)));
    give(&mut world, sent(1, window("marketing", T0 + 24 * H)));
    // No window of Meta is that long.
    give(&mut world, sent(4, window("service", T0 + 1_000 * H)));
    let expected = [("marketing".to_owned(), T0 + 24 * H), ("utility".to_owned(), T0 + 20 * H)];
    assert_eq!(billing_windows(&world), expected);
    assert_eq!(world.get(B).window_until_ms(), 0, "none of them is the customer service window");
}

fn free_entry(world: &World) -> Option<Millis> {
    world.events.iter().rev().find_map(|event| match event {
        ConversationEvent::FreeEntryMoved { until_ms } => Some(*until_ms),
        _ => None,
    })
}

#[test]
fn a_free_entry_point_opens_with_the_answer_of_the_api_not_of_the_phone() {
    let mut world = World::new(plain_rules());
    world.say(B, Inbound { referral: true, ..inbound(1, T0) }, "I saw your ad");
    assert_eq!(free_entry(&world), None);
    world.at(T0 + H).echo(2, T0 + H);
    assert_eq!(free_entry(&world), None, "the phone's answers are free anyway and open nothing");
    let request = world.sent(Some("ann"), true);
    world.at(T0 + 2 * H).outcome(request, accepted(3, T0 + 2 * H));
    assert_eq!(free_entry(&world), Some(T0 + 74 * H));
    // Meta's own time of the same answer, a moment earlier.
    give(&mut world, status(3, StatusKind::Sent, T0 + 2 * H - S));
    assert_eq!(free_entry(&world), Some(T0 + 74 * H - S));
}

#[test]
fn too_late_an_answer_opens_no_free_entry_point() {
    let mut world = World::new(plain_rules());
    world.say(B, Inbound { referral: true, ..inbound(1, T0) }, "I saw your ad");
    world.at(T0 + 25 * H);
    give(&mut world, status(3, StatusKind::Sent, T0 + 24 * H + S));
    assert_eq!(free_entry(&world), None);
}

#[test]
fn reactions_and_edits_open_the_window_only_where_configured() {
    let until_ms = |rules: Rules, kind: ContentKind| {
        let mut world = World::new(rules);
        world.say(B, Inbound { kind, target: Some(message(9)), ..inbound(1, T0) }, "x");
        world.get(B).window_until_ms()
    };
    let reactions = Rules { reaction_opens_window: true, ..plain_rules() };
    let edits = Rules { edit_opens_window: true, ..plain_rules() };
    for (rules, kind, opens) in [
        (plain_rules(), ContentKind::Reaction, false),
        (reactions.clone(), ContentKind::Reaction, true),
        (reactions, ContentKind::Edit, false),
        (plain_rules(), ContentKind::Edit, false),
        (edits.clone(), ContentKind::Edit, true),
        (edits, ContentKind::Revoke, false),
        (plain_rules(), ContentKind::Text, true),
    ] {
        let expected = if opens { T0 + 24 * H } else { 0 };
        assert_eq!(until_ms(rules, kind.clone()), expected, "{kind:?}");
    }
}

pub(super) fn wish(allowed: bool, at_ms: Millis) -> ConversationInput {
    ConversationInput::Preference(Preference {
        via: via(),
        allowed,
        at_ms,
        paired: None,
        who: sealed("who"),
    })
}

#[test]
fn the_last_wish_about_marketing_goes_with_every_send_and_starts_nothing() {
    let mut world = World::new(bot_rules());
    world.give(B, wish(false, T0));
    world.give(B, wish(false, T0));
    assert!(world.said().is_empty() && world.workspace.is_empty());
    assert_eq!((world.get(B).window_until_ms(), world.floor()), (0, Floor::Nobody));
    // An older one that comes late, and one of the same second: the refusal counts.
    world.give(B, wish(true, T0 - H));
    world.give(B, wish(true, T0));
    world.inbound(1, T0);
    assert!(world.requests().iter().all(|request| request.marketing_stopped));
    world.at(T0 + H).give(B, wish(true, T0 + H));
    world.sent(None, true);
    assert!(!world.requests().last().unwrap().marketing_stopped);
    let wishes = world.events.iter();
    let wishes = wishes.filter(|event| matches!(event, ConversationEvent::MarketingWished { .. }));
    assert_eq!(wishes.count(), 2);
}

#[test]
fn what_two_addresses_know_is_one_after_their_join() {
    let mut world = World::new(plain_rules());
    world.say(P, Inbound { referral: true, ..inbound(1, T0) }, "I saw your ad");
    world.give(P, wish(false, T0));
    let utility = BillingWindow { category: "utility".into(), until_ms: T0 + 24 * H };
    let sent = Status { window: Some(utility), ..status(7, StatusKind::Sent, T0) };
    world.give(P, ConversationInput::Status(sent));
    world.at(T0 + H);
    give(&mut world, status(8, StatusKind::Sent, T0 + H));
    world.say(B, Inbound { paired: Some(address(P)), ..inbound(2, T0 + H) }, "more");
    let core = &world.get(B).core;
    assert_eq!(core.marketing.map(|wish| wish.stopped), Some(true));
    assert_eq!(free_entry(&world), Some(T0 + 72 * H), "the first answer was the phone's address's");
    assert_eq!(
        billing_windows(&world).len(),
        2,
        "told at the phone's address, taken over at the other"
    );
}
