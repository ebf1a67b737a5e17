//! Versions of needs: what is late is answered and changes nothing.

use super::kit::{START_MS, World, conversation, item, plain, queue_config};
use crate::{
    conversation::WorkspaceNews,
    workspace::{OfferEnd, WorkspaceInput},
};

#[test]
fn a_need_that_comes_after_its_drop_is_late() {
    let mut world = World::new(&plain(&["ana"]));
    world.sign_in("ana", 1);
    world.dropped(1, 2);
    world.wanted_version(1, 1, "q", START_MS);
    assert_eq!(world.offered, []);
    assert_eq!(world.told, [(item(1), 2, WorkspaceNews::NotKnown)]);
    world.wanted_version(1, 3, "q", START_MS);
    assert_eq!(world.offers(), [(item(1), "ana")], "a newer need is a need");
}

#[test]
fn the_memory_of_a_drop_ends() {
    let mut world = World::new(&plain(&["ana"]));
    world.dropped(1, 2);
    assert_eq!(world.workspace.n_items(), 1);
    world.pass(400_000);
    assert_eq!(world.workspace.n_items(), 0);
    assert_eq!(world.workspace.wake_ms(), None);
}

#[test]
fn a_late_drop_is_answered_and_not_applied() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    world.wanted_version(1, 5, "q", START_MS);
    world.dropped(1, 4);
    assert_eq!(world.told, [(item(1), 5, WorkspaceNews::Check)]);
    world.accept_newest(1, on);
    world.told.clear();
    world.dropped(1, 4);
    let assigned = WorkspaceNews::Assigned { agent: "ana".into() };
    assert_eq!(world.told, [(item(1), 5, assigned)]);
}

#[test]
fn a_repeated_need_changes_nothing_and_a_newer_one_keeps_the_offer() {
    let mut world = World::new(&plain(&["ana"]));
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    assert_eq!(world.wanted(1, "q", START_MS).events, []);
    assert_eq!(
        world.told,
        [(item(1), 1, WorkspaceNews::Unassigned)],
        "a repeat learns that it waits"
    );
    world.wanted_version(1, 2, "q", START_MS);
    assert_eq!(world.offered.len(), 1);
    world.accept_newest(1, on);
    assert_eq!(world.told.last().map(|(_, version, _)| *version), Some(2));
    world.told.clear();
    world.wanted_version(1, 2, "q", START_MS);
    let assigned = WorkspaceNews::Assigned { agent: "ana".into() };
    assert_eq!(world.told, [(item(1), 2, assigned)], "a repeat learns who has it");
}

#[test]
fn a_need_moved_to_another_queue_takes_its_offer_back() {
    let mut config = plain(&["ana"]);
    config.queues.insert("other".into(), queue_config(&[], 10, 0));
    let mut world = World::new(&config);
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    let (offer, _) = world.offer_of(1);
    world.wanted_version(1, 2, "other", START_MS);
    assert_eq!(world.end_told(on, offer), Some(OfferEnd::Rescinded));
    assert_eq!(world.model.used(&"ana".into()), 10);
}

#[test]
fn a_need_for_an_unknown_queue_is_refused_every_time_and_taken_once_it_exists() {
    let mut world = World::new(&plain(&["ana"]));
    for _ in 0..2 {
        world.wanted(1, "later", START_MS);
    }
    assert_eq!(world.told.len(), 2);
    assert!(world.told.iter().all(|(.., news)| matches!(news, WorkspaceNews::Refused(_))));
    let mut config = plain(&["ana"]);
    config.queues.insert("later".into(), queue_config(&[], 10, 0));
    world.input(&WorkspaceInput::Configure(Box::new(config)));
    world.wanted(1, "later", START_MS);
    world.sign_in("ana", 1);
    assert_eq!(world.offers(), [(item(1), "ana")]);
}

#[test]
fn a_claim_for_an_unknown_agent_is_refused() {
    let mut world = World::new(&plain(&["ana"]));
    world.wanted(1, "q", START_MS);
    world.claimed(1, 2, "zoe");
    let Some((_, 2, WorkspaceNews::Refused(_))) = world.told.last() else {
        panic!("{:?}", world.told)
    };
    world.sign_in("ana", 1);
    assert_eq!(world.offers(), [(item(1), "ana")], "it goes on waiting");
}

#[test]
fn both_sides_compare_on_a_slow_timer() {
    let mut world = World::new(&plain(&[]));
    for n in 0..100 {
        world.wanted(n, "q", START_MS);
    }
    world.told.clear();
    world.pass(59_999);
    assert_eq!(world.told, [], "young items are not asked about");
    world.pass(125_000);
    let mut asked: Vec<_> = world.told.iter().map(|(item, ..)| *item).collect();
    assert!(
        world.told.iter().all(|(_, version, news)| (*version, news) == (1, &WorkspaceNews::Check))
    );
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 100, "every item is asked about, in batches");
}

#[test]
fn an_answer_goes_to_the_address_that_asked() {
    let mut world = World::new(&plain(&[]));
    world.dropped(1, 2);
    let late = WorkspaceInput::Wanted {
        item: item(1),
        version: 1,
        conversation: conversation(9),
        queue: "q".into(),
        since_ms: START_MS,
        priority: 0,
        hints: <_>::default(),
    };
    let messages = world.input(&late).messages;
    let [crate::ToEntity::Conversation(to, _)] = messages.as_slice() else {
        panic!("{messages:?}")
    };
    assert_eq!(*to, conversation(9));
}

/// What the bot told is in the offer, also when it is made again.
#[test]
fn an_offer_says_what_the_bot_told() {
    let mut world = World::new(&plain(&["ana"]));
    let brief = Box::new(crate::conversation::Brief {
        why: crate::flow::Why::Requested,
        reason: "order".into(),
        fields: Some(crate::Sealed { key_id: 1, bytes: vec![7] }),
        priority: 0,
    });
    let hints = crate::workspace::RoutingHints { brief: Some(brief.clone()), ..<_>::default() };
    world.wanted_with(1, 1, "q", START_MS, hints);
    let on = world.sign_in("ana", 1);
    let offered = world.changes(on).into_iter().find_map(|change| match change {
        crate::workspace::WorkspaceChange::Offered(view) => Some(view.brief),
        _ => None,
    });
    assert_eq!(offered, Some(Some(brief)));
}
