//! The life of an offer.

use super::kit::{
    COOL_DOWN_MS, OFFER_TIMEOUT_MS, START_MS, World, agent_config, item, plain, queue_config,
};
use crate::{
    conversation::WorkspaceNews,
    workspace::{DeskCommand, OfferEnd, Presence, WorkspaceAnswer, WorkspaceChange},
};

#[test]
fn an_accepted_offer_is_told_to_the_agent_and_the_conversation() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    let (offer, _) = world.offer_of(1);
    assert_eq!(world.accept("ana", on, offer), WorkspaceAnswer::Done);
    let assigned = WorkspaceNews::Assigned { agent: "ana".into() };
    assert_eq!(world.told, [(item(1), 1, assigned)]);
    assert_eq!(world.end_told(on, offer), Some(OfferEnd::Accepted));
    world.pass(10 * OFFER_TIMEOUT_MS);
    assert_eq!(world.offered.len(), 1, "an accepted offer has no deadline");
}

#[test]
fn a_repeated_accept_gets_the_first_answer_and_changes_nothing() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    let (offer, _) = world.offer_of(1);
    let accept = DeskCommand::Accept { id: world.command(), offer };
    assert_eq!(world.desk("ana", on, accept.clone()), WorkspaceAnswer::Done);
    let before = world.parts();
    assert_eq!(world.desk("ana", on, accept), WorkspaceAnswer::Done);
    assert_eq!(world.parts(), before);
    let other_command = world.accept("ana", on, offer);
    assert_eq!(other_command, WorkspaceAnswer::OfferEnded(OfferEnd::Accepted));
}

#[test]
fn a_command_below_the_kept_range_is_refused() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    let first = world.command();
    let set = |id| DeskCommand::SetPresence { id, presence: Presence::Away };
    assert_eq!(world.desk("ana", on, set(first)), WorkspaceAnswer::Done);
    for _ in 0..40 {
        world.presence("ana", on, Presence::Available);
    }
    assert_eq!(world.desk("ana", on, set(first)), WorkspaceAnswer::TooOld);
    world.wanted(1, "q", START_MS);
    assert_eq!(world.offers(), [(item(1), "ana")], "the old command was not carried out");
}

#[test]
fn the_clock_of_an_offer_starts_when_it_is_delivered() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    let (offer, _) = world.offer_of(1);
    world.pass(10_000);
    assert_eq!(world.delivered("ana", on, offer), WorkspaceAnswer::Done);
    world.pass(10_000);
    assert_eq!(world.delivered("ana", on, offer), WorkspaceAnswer::Done);
    world.pass(OFFER_TIMEOUT_MS - 10_001);
    assert_eq!(world.end_told(on, offer), None, "within the timeout");
    world.pass(1);
    assert_eq!(
        world.end_told(on, offer),
        Some(OfferEnd::Missed),
        "a second delivery moves nothing"
    );
}

#[test]
fn an_offer_nobody_confirms_is_undeliverable() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    let (offer, _) = world.offer_of(1);
    world.pass(OFFER_TIMEOUT_MS + 4_999);
    assert_eq!(world.end_told(on, offer), None);
    world.pass(1);
    assert_eq!(world.end_told(on, offer), Some(OfferEnd::Undeliverable));
    let late = world.accept("ana", on, offer);
    assert_eq!(late, WorkspaceAnswer::OfferEnded(OfferEnd::Undeliverable));
}

#[test]
fn a_missed_item_goes_to_somebody_else_with_its_age() {
    let mut world = World::new(&plain(&["ana", "ben"]));
    world.sign_in("ana", 1);
    world.pass(1);
    world.sign_in("ben", 2);
    world.wanted(1, "q", START_MS - 5_000);
    world.pass(OFFER_TIMEOUT_MS + 5_000);
    assert_eq!(world.offers(), [(item(1), "ana"), (item(1), "ben")]);
    assert_eq!(world.model.items[&item(1)].since_ms, START_MS - 5_000);
}

#[test]
fn an_agent_who_misses_too_often_is_not_asked_until_it_shows_activity() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    world.pass(5 * OFFER_TIMEOUT_MS);
    assert_eq!(world.offered.len(), 2, "misses_max is 2");
    world.presence("ana", on, Presence::Available);
    assert_eq!(world.offered.len(), 3);
    // Taking it counts as activity, too: one more miss does not silence the agent.
    world.accept_newest(1, on);
    world.wanted(2, "q", START_MS);
    world.pass(OFFER_TIMEOUT_MS + 5_000);
    assert_eq!(world.offered.len(), 5);
}

#[test]
fn misses_long_ago_do_not_count() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    world.pass(OFFER_TIMEOUT_MS + 5_000);
    world.dropped(1, 2);
    world.pass(700_000);
    world.wanted(2, "q", world.now_ms);
    world.pass(OFFER_TIMEOUT_MS + 5_000);
    assert_eq!(world.offered.len(), 4, "{:?}", world.signals.get(&on));
}

#[test]
fn a_rejection_cools_the_agent_down() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    let (offer, _) = world.offer_of(1);
    assert_eq!(world.reject("ana", on, offer), WorkspaceAnswer::Done);
    world.pass(COOL_DOWN_MS - 1);
    assert_eq!(world.offered.len(), 1);
    world.pass(1);
    assert_eq!(world.offered.len(), 2, "nobody else is there: the same agent is asked again");
}

#[test]
fn a_dropped_item_takes_its_offer_back() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    let (offer, _) = world.offer_of(1);
    world.dropped(1, 2);
    assert_eq!(world.end_told(on, offer), Some(OfferEnd::Rescinded));
    let answer = world.accept("ana", on, offer);
    assert_eq!(answer, WorkspaceAnswer::OfferEnded(OfferEnd::Rescinded));
    assert_eq!(world.told, []);
}

#[test]
fn nobody_accepts_for_somebody_else() {
    let mut world = World::new(&plain(&["ana", "ben"]));
    world.sign_in("ana", 1);
    let ben = world.sign_in("ben", 2);
    world.wanted(1, "q", START_MS);
    let (offer, agent) = world.offer_of(1);
    assert_eq!(agent.0, "ana");
    assert!(matches!(world.accept("ben", ben, offer), WorkspaceAnswer::Unknown(_)));
}

#[test]
fn a_claim_may_exceed_capacity_and_then_nothing_new_is_offered() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    for n in 1..=3 {
        world.claimed(n, 1, "ana");
    }
    assert_eq!(world.model.used(&"ana".into()), 150);
    world.wanted(4, "q", START_MS);
    world.dropped(1, 2);
    assert_eq!(world.offered, [], "100 of 100 are still taken");
    world.dropped(2, 2);
    assert_eq!(world.offers(), [(item(4), "ana")]);
    assert!(world.signals[&on].iter().any(|(_, change)| matches!(
        change,
        WorkspaceChange::Assigned { item: claimed, .. } if *claimed == item(3)
    )));
}

#[test]
fn a_claim_takes_a_waiting_offer_away() {
    let mut world = World::new(&plain(&["ana", "ben"]));
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    let (offer, _) = world.offer_of(1);
    world.claimed(1, 1, "ben");
    assert_eq!(world.end_told(on, offer), Some(OfferEnd::Rescinded));
    let assigned = WorkspaceNews::Assigned { agent: "ben".into() };
    assert_eq!(world.told, [(item(1), 1, assigned)]);
}

#[test]
fn skills_and_levels_decide_who_is_asked() {
    let mut config = plain(&[]);
    config.queues.insert("es".into(), queue_config(&[("spanish", 3)], 50, 0));
    config.agents.insert("ana".into(), agent_config(&[("spanish", 2)], 100));
    config.agents.insert("ben".into(), agent_config(&[("spanish", 3)], 100));
    let mut world = World::new(&config);
    world.sign_in("ana", 1);
    world.pass(1);
    let ben = world.sign_in("ben", 2);
    world.wanted(1, "es", START_MS);
    assert_eq!(world.offers(), [(item(1), "ben")]);
    let reason = world.signals[&ben].iter().find_map(|(_, change)| match change {
        WorkspaceChange::Offered(view) => Some(view.reason.clone()),
        _ => None,
    });
    assert_eq!(reason.as_deref(), Some("spanish 3 of 3"));
}

#[test]
fn a_large_backlog_is_offered_in_steps_that_fit() {
    let names: Vec<String> = (0..150).map(|n| format!("agent{n:03}")).collect();
    let mut config = plain(&names.iter().map(String::as_str).collect::<Vec<_>>());
    config.queues.insert("other".into(), queue_config(&[("none", 1)], 50, 0));
    let mut world = World::new(&config);
    for n in 0..150 {
        world.wanted(n, "other", START_MS + u64::from(n));
    }
    for (n, name) in names.iter().enumerate() {
        world.sign_in(name, u8::try_from(n).unwrap());
    }
    assert_eq!(world.offered, []);
    for agent in config.agents.values_mut() {
        agent.skills.insert("none".into(), 1);
    }
    world.input(&crate::workspace::WorkspaceInput::Configure(Box::new(config)));
    assert!(world.offered.len() < 150, "one step cannot hold all of them");
    world.pass(0);
    assert_eq!(world.offered.len(), 150);
}
