//! Connections come, go and are replaced.

use super::kit::{HOLD_MS, START_MS, World, item, plain, queue_config, session};
use crate::{
    conversation::WorkspaceNews,
    workspace::{
        DeskCommand, OfferEnd, Presence, WorkspaceAnswer, WorkspaceChange, WorkspaceInput,
    },
};

#[test]
fn a_newer_connection_replaces_the_older_and_gets_everything_open() {
    let mut world = World::new(&plain(&["ana"]));
    let old = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    world.wanted(2, "q", START_MS + 1);
    world.accept_newest(1, old);
    world.pass(1_000);
    let new = world.sign_in("ana", 2);
    let replaced = world.signals[&old].last().map(|(_, change)| change.clone());
    assert_eq!(replaced, Some(WorkspaceChange::Replaced));
    let Some((1, WorkspaceChange::Snapshot { offers, assigned, used, capacity, presence, .. })) =
        world.signals[&new].first()
    else {
        panic!("the first signal of a session is a snapshot")
    };
    assert_eq!(offers.iter().map(|view| view.offer.item).collect::<Vec<_>>(), [item(2)]);
    assert_eq!(assigned.iter().map(|(item, _)| *item).collect::<Vec<_>>(), [item(1)]);
    assert_eq!((*used, *capacity, *presence), (100, 100, Presence::Available));
    let (offer, _) = world.offer_of(2);
    assert_eq!(world.accept("ana", old, offer), WorkspaceAnswer::StaleSession);
    assert_eq!(world.accept("ana", new, offer), WorkspaceAnswer::Done);
    // The old connection's end comes late and takes nothing.
    assert_eq!(world.desk("ana", old, DeskCommand::SignOut), WorkspaceAnswer::Done);
    world.pass(2 * HOLD_MS);
    assert_eq!(world.model.used(&"ana".into()), 100);
}

#[test]
fn an_older_connection_that_comes_late_is_stale() {
    let mut world = World::new(&plain(&["ana"]));
    world.pass(1_000);
    let on = world.sign_in("ana", 1);
    let late = DeskCommand::SignIn { opened_ms: START_MS };
    assert_eq!(world.desk("ana", session(2), late), WorkspaceAnswer::StaleSession);
    assert_eq!(world.presence("ana", on, Presence::Away), WorkspaceAnswer::Done);
    // Nor does a repeated sign-in revive a connection that has gone.
    let again = DeskCommand::SignIn { opened_ms: world.now_ms };
    assert_eq!(world.desk("ana", on, again.clone()), WorkspaceAnswer::Done);
    world.desk("ana", on, DeskCommand::SignOut);
    assert_eq!(world.desk("ana", on, again), WorkspaceAnswer::StaleSession);
}

#[test]
fn a_command_refused_on_a_stale_connection_is_carried_out_on_the_next() {
    let mut world = World::new(&plain(&["ana"]));
    let old = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    world.pass(1_000);
    let new = world.sign_in("ana", 2);
    let (offer, _) = world.offer_of(1);
    let accept = DeskCommand::Accept { id: world.command(), offer };
    assert_eq!(world.desk("ana", old, accept.clone()), WorkspaceAnswer::StaleSession);
    assert_eq!(world.desk("ana", new, accept), WorkspaceAnswer::Done);
}

#[test]
fn a_lost_connection_gives_offers_back_at_once_and_conversations_after_the_hold() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS - 9_000);
    world.wanted(2, "q", START_MS);
    world.accept_newest(1, on);
    world.desk("ana", on, DeskCommand::SignOut);
    assert_eq!(world.model.items[&item(2)].holder, None);
    world.pass(HOLD_MS - 1);
    assert!(world.model.items[&item(1)].holder.is_some(), "held for the agent");
    world.told.clear();
    world.pass(1);
    world.told.retain(|(.., news)| *news != WorkspaceNews::Check);
    assert_eq!(world.told, [(item(1), 1, WorkspaceNews::Unassigned)]);
    assert_eq!(world.model.items[&item(1)].since_ms, START_MS - 9_000, "with its age");
    world.sign_in("ana", 2);
    let again = world.offers().into_iter().skip(2).collect::<Vec<_>>();
    assert_eq!(again, [(item(1), "ana"), (item(2), "ana")], "the older first");
}

#[test]
fn a_connection_back_within_the_hold_keeps_its_conversations() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    world.accept_newest(1, on);
    world.desk("ana", on, DeskCommand::SignOut);
    world.pass(HOLD_MS - 1);
    world.sign_in("ana", 2);
    world.pass(10 * HOLD_MS);
    assert!(!world.told.iter().any(|(.., news)| *news == WorkspaceNews::Unassigned));
}

#[test]
fn what_was_claimed_after_the_connection_was_lost_stays() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    world.desk("ana", on, DeskCommand::SignOut);
    world.pass(1);
    world.claimed(1, 1, "ana");
    world.pass(10 * HOLD_MS);
    assert!(world.model.items[&item(1)].holder.is_some(), "the phone's owner needs no desk");
}

#[test]
fn who_is_away_or_gone_is_not_asked() {
    let mut world = World::new(&plain(&["ana", "ben"]));
    let ana = world.sign_in("ana", 1);
    let ben = world.sign_in("ben", 2);
    world.presence("ana", ana, Presence::Away);
    world.desk("ben", ben, DeskCommand::SignOut);
    world.wanted(1, "q", START_MS);
    assert_eq!(world.offered, []);
    world.presence("ana", ana, Presence::Available);
    assert_eq!(world.offers(), [(item(1), "ana")]);
}

#[test]
fn a_gap_is_closed_by_a_snapshot() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    assert_eq!(world.desk("ana", on, DeskCommand::Resync), WorkspaceAnswer::Done);
    let Some((3, WorkspaceChange::Snapshot { offers, .. })) = world.signals[&on].last() else {
        panic!("{:?}", world.signals[&on])
    };
    assert_eq!(offers.len(), 1);
}

#[test]
fn a_removed_agent_is_signed_out_and_its_work_goes_on() {
    let mut world = World::new(&plain(&["ana", "ben"]));
    let ana = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    world.wanted(2, "q", START_MS + 1);
    world.accept_newest(1, ana);
    world.sign_in("ben", 2);
    world.input(&WorkspaceInput::Configure(Box::new(plain(&["ben"]))));
    assert!(world.signals[&ana].iter().any(|(_, change)| *change == WorkspaceChange::Replaced));
    assert_eq!(world.model.used(&"ana".into()), 0);
    assert!(world.told.contains(&(item(1), 1, WorkspaceNews::Unassigned)));
    assert_eq!(world.model.used(&"ben".into()), 100, "both are offered to who is left");
    let unknown = world.desk("ana", ana, DeskCommand::Resync);
    assert!(matches!(unknown, WorkspaceAnswer::Unknown(_)));
}

#[test]
fn items_of_a_removed_queue_are_refused() {
    let mut config = plain(&["ana"]);
    config.queues.insert("old".into(), queue_config(&[], 50, 0));
    let mut world = World::new(&config);
    let ana = world.sign_in("ana", 1);
    world.wanted(1, "old", START_MS);
    world.wanted(2, "old", START_MS + 1);
    world.wanted(3, "old", START_MS + 2);
    world.accept_newest(1, ana);
    world.told.clear();
    world.input(&WorkspaceInput::Configure(Box::new(plain(&["ana"]))));
    let refused: Vec<_> = world.told.iter().map(|(item, ..)| *item).collect();
    assert_eq!(refused, [item(2), item(3)], "{:?}", world.told);
    assert!(world.told.iter().all(|(.., news)| matches!(news, WorkspaceNews::Refused(_))));
    assert!(world.model.items[&item(1)].holder.is_some(), "who has it keeps it");
}

#[test]
fn items_wait_for_the_first_configuration() {
    let mut world = World::new(&plain(&[]));
    world.workspace = crate::workspace::Workspace::default();
    world.waits = crate::workspace::Waits::default();
    world.model = super::model::Model::default();
    world.wanted(1, "q", START_MS);
    world.wanted(2, "nowhere", START_MS);
    assert_eq!(world.told, []);
    world.input(&WorkspaceInput::Configure(Box::new(plain(&["ana"]))));
    let Some((refused, 1, WorkspaceNews::Refused(_))) = world.told.first() else {
        panic!("{:?}", world.told)
    };
    assert_eq!(*refused, item(2));
    world.sign_in("ana", 1);
    assert_eq!(world.offers(), [(item(1), "ana")]);
    let (offer, _) = world.offer_of(1);
    assert_ne!(world.end_told(session(1), offer), Some(OfferEnd::Rescinded));
}

/// Several desk processes: only the connections that the dead one took are gone.
#[test]
fn a_dead_desk_takes_its_own_connections_with_it_and_no_others() {
    let mut world = World::new(&plain(&["ana", "ben"]));
    // The kit's sessions are of one byte each, sixteen times: so are the desks that took them.
    let on = world.sign_in("ana", 1);
    let other = world.sign_in("ben", 2);
    assert_ne!(on.desk(), other.desk());
    let (offered, since_ms) = (world.presence("ben", other, Presence::Away), world.now_ms);
    assert_eq!(offered, WorkspaceAnswer::Done);
    world.wanted(1, "q", since_ms);
    assert_eq!(world.offer_of(1).1, "ana".into());
    assert_eq!(world.presence("ben", other, Presence::Available), WorkspaceAnswer::Done);
    for agent in ["ana", "ben"] {
        let gone = DeskCommand::DeskGone { desk: on.desk() };
        assert_eq!(world.desk(agent, session(9), gone), WorkspaceAnswer::Done);
    }
    assert_eq!(world.offer_of(1).1, "ben".into(), "what was offered goes to whoever is there");
    assert_eq!(world.presence("ana", on, Presence::Available), WorkspaceAnswer::StaleSession);
    assert_eq!(world.presence("ben", other, Presence::Available), WorkspaceAnswer::Done);
}

#[test]
fn connections_of_a_dead_desk_process_end_and_their_conversations_are_not_forgotten() {
    let mut world = World::new(&plain(&["ana", "ben"]));
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    world.accept_newest(1, on);
    world.pass(1_000);
    let before_ms = world.now_ms;
    world.pass(1_000);
    let newer = world.sign_in("ben", 2);
    for agent in ["ana", "ben"] {
        let restarted = DeskCommand::DeskRestarted { before_ms };
        assert_eq!(world.desk(agent, session(9), restarted), WorkspaceAnswer::Done);
    }
    // What ana had is held for a while, then offered to whoever is there; a connection opened since stays.
    world.pass(2 * HOLD_MS);
    assert_eq!(world.offer_of(1).1, "ben".into());
    assert_eq!(world.presence("ben", newer, Presence::Available), WorkspaceAnswer::Done);
}
