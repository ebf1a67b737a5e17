//! Who is asked first, what comes back, what follows a conversation, and why somebody waits.

use super::kit::*;
use crate::{
    AgentId, ItemId, Millis,
    conversation::WorkspaceNews,
    workspace::{
        AgentSince, DeskCommand, OfferEnd, Presence, ReservedFor, RoutingHints, WaitReason,
        WorkspaceAnswer, WorkspaceChange, WorkspaceConfig, WorkspaceEvent, WorkspaceInput,
        WrapUpConfig, WrapUpMode,
    },
};

fn last(agent: &str, at_ms: Millis) -> RoutingHints {
    let last_agent = Some(AgentSince { agent: agent.into(), at_ms });
    RoutingHints { last_agent, ..RoutingHints::default() }
}

fn to(agent: &str, from: &str, at_ms: Millis) -> RoutingHints {
    RoutingHints {
        target: Some(agent.into()),
        giver: Some(AgentSince { agent: from.into(), at_ms }),
        ..RoutingHints::default()
    }
}

fn newest(world: &World, n: u8) -> String {
    world.offer_of(n).1.0
}

/// Ana and ben with room for one each; ben has been without work for longer.
fn ben_is_next() -> (World, crate::SessionId, crate::SessionId) {
    let mut config = plain(&["ana", "ben"]);
    config.agents.values_mut().for_each(|agent| agent.capacity = 50);
    let mut world = World::new(&config);
    let ben = world.sign_in("ben", 2);
    world.pass(1_000);
    let ana = world.sign_in("ana", 1);
    (world, ana, ben)
}

#[test]
fn a_returning_customer_is_offered_to_the_last_agent_for_a_bounded_time() {
    let (mut world, ana, _) = ben_is_next();
    let now_ms = world.now_ms;
    world.wanted_with(1, 1, "q", now_ms, last("ana", now_ms - 6 * 24 * 3_600_000));
    assert_eq!(newest(&world, 1), "ana");
    let (offer, _) = world.offer_of(1);
    world.delivered("ana", ana, offer);
    let WaitReason::Offered { until_ms, .. } = world.reason(1) else { panic!("not offered") };
    assert_eq!(until_ms - now_ms, 20_000, "the queue's own offers stand for 30 s");
    world.pass(20_000);
    assert_eq!(newest(&world, 1), "ben");
    // The try was cut short for the customer: no miss of ana's.
    world.wanted_with(2, 1, "q", world.now_ms, last("ana", world.now_ms));
    assert_eq!(newest(&world, 2), "ana");
    assert!(!world.changes(ana).contains(&WorkspaceChange::Missed));
}

#[test]
fn a_fourth_of_a_short_target_bounds_the_try() {
    let mut config = plain(&["ana", "ben"]);
    config.queues.get_mut(&"q".into()).unwrap().answer_target_ms = 20_000;
    let mut world = World::new(&config);
    world.sign_in("ben", 2);
    world.sign_in("ana", 1);
    let now_ms = world.now_ms;
    world.wanted_with(1, 1, "q", now_ms, last("ana", now_ms));
    world.pass(4_999);
    assert_eq!(newest(&world, 1), "ana");
    world.pass(1);
    assert_eq!(newest(&world, 1), "ben");
}

#[test]
fn a_last_agent_who_cannot_take_it_is_skipped_at_once() {
    type Circumstance = fn(&mut World, crate::SessionId);
    let table: [(&str, Circumstance); 4] = [
        ("offline", |world, ana| drop(world.desk("ana", ana, DeskCommand::SignOut))),
        ("away", |world, ana| drop(world.presence("ana", ana, Presence::Away))),
        ("without room", |world, _| drop(world.claimed(9, 1, "ana"))),
        ("not there for long", |world, _| world.pass(7 * 24 * 3_600_000)),
    ];
    for (why, circumstance) in table {
        let (mut world, ana, _) = ben_is_next();
        let then_ms = world.now_ms;
        circumstance(&mut world, ana);
        world.wanted_with(1, 1, "q", world.now_ms, last("ana", then_ms));
        assert_eq!(newest(&world, 1), "ben", "{why}");
    }
    let mut config = plain(&["ana", "ben"]);
    let spanish = queue_config(&[("es", 1)], 50, 0);
    config.queues.insert("spanish".into(), spanish);
    config.agents.insert("ben".into(), agent_config(&[("es", 1)], 100));
    let mut world = World::new(&config);
    world.sign_in("ben", 2);
    world.sign_in("ana", 1);
    world.wanted_with(1, 1, "spanish", world.now_ms, last("ana", world.now_ms));
    assert_eq!(newest(&world, 1), "ben", "not skilled");
}

#[test]
fn a_last_agent_who_rests_is_waited_for() {
    let (mut world, ana, ben) = ben_is_next();
    world.presence("ben", ben, Presence::Away);
    world.wanted(1, "q", world.now_ms);
    let (offer, _) = world.offer_of(1);
    world.reject("ana", ana, offer);
    world.dropped(1, 2);
    world.presence("ben", ben, Presence::Available);
    let now_ms = world.now_ms;
    world.wanted_with(2, 1, "q", now_ms, last("ana", now_ms));
    let kept = WaitReason::Reserved {
        agent: "ana".into(),
        why: ReservedFor::LastAgent,
        until_ms: now_ms + 20_000,
    };
    assert_eq!(world.reason(2), kept);
    world.reload();
    world.pass(COOL_DOWN_MS);
    assert_eq!(newest(&world, 2), "ana");
    // Gone before: then it is for everybody.
    world.dropped(2, 2);
    world.pass(COOL_DOWN_MS);
    world.wanted(3, "q", world.now_ms);
    let (offer, first) = world.offer_of(3);
    let on = if first.0 == "ana" { ana } else { ben };
    world.reject(&first.0, on, offer);
    world.wanted_with(4, 1, "q", world.now_ms, last(&first.0, world.now_ms));
    world.presence(&first.0, on, Presence::Away);
    assert!(!matches!(world.reason(4), WaitReason::Reserved { .. }));
}

#[test]
fn a_transfer_to_an_agent_is_one_decision_and_falls_back_to_the_queue() {
    let mut config = plain(&["ana", "ben", "cai"]);
    // Cai serves nothing of this queue, but was chosen.
    config.queues.insert("other".into(), queue_config(&[], 50, 0));
    config.agents.get_mut(&"cai".into()).unwrap().queues = vec!["other".into()];
    let mut world = World::new(&config);
    let ana = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    world.accept_newest(1, ana);
    world.sign_in("ben", 2);
    let cai = world.sign_in("cai", 3);
    world.pass(1_000);
    let hints = to("cai", "ana", world.now_ms);
    let decided = world.wanted_with(1, 2, "q", START_MS, hints);
    let mine = |event: &&WorkspaceEvent| {
        matches!(event, WorkspaceEvent::ItemReturned { .. } | WorkspaceEvent::ItemOffered { .. })
    };
    assert_eq!(decided.events.iter().filter(mine).count(), 2, "released and offered together");
    assert_eq!(world.model.used(&"ana".into()), 0);
    assert!(
        world.changes(ana).contains(&WorkspaceChange::Unassigned {
            item: item(1),
            conversation: conversation(1)
        })
    );
    let (offer, agent) = world.offer_of(1);
    assert_eq!(agent.0, "cai");
    world.reject("cai", cai, offer);
    // Ana has been without work for longest, but gave it away.
    assert_eq!(newest(&world, 1), "ben");
    assert_eq!(world.model.items[&item(1)].since_ms, START_MS, "it keeps its age");
}

#[test]
fn a_chosen_agent_without_room_is_waited_for_and_one_who_left_is_not() {
    let (mut world, _, ben) = ben_is_next();
    world.claimed(9, 1, "ben");
    let now_ms = world.now_ms;
    world.wanted_with(1, 1, "q", now_ms, to("ben", "eva", now_ms));
    let reason = world.reason(1);
    assert!(
        matches!(&reason, WaitReason::Reserved { agent, why: ReservedFor::Transfer, .. } if agent.0 == "ben"),
        "{reason:?}"
    );
    world.dropped(9, 2);
    assert_eq!(newest(&world, 1), "ben");
    world.claimed(9, 3, "ana");
    world.desk("ben", ben, DeskCommand::SignOut);
    assert_eq!(world.reason(1), WaitReason::EverybodyFull);
    // Nor is anybody waited for without end.
    let (mut world, _, _) = ben_is_next();
    world.claimed(9, 1, "ben");
    world.wanted_with(1, 1, "q", world.now_ms, to("ben", "eva", world.now_ms));
    world.pass(60_000);
    assert_eq!(newest(&world, 1), "ana");
}

#[test]
fn what_comes_back_from_a_snooze_goes_first_and_to_its_agent() {
    let (mut world, ana, _) = ben_is_next();
    world.claimed(8, 1, "ana");
    world.claimed(9, 1, "ben");
    world.wanted(1, "q", START_MS);
    let target = Some("ana".into());
    let hints = RoutingHints { returning: true, target, ..RoutingHints::default() };
    world.wanted_with(2, 1, "q", world.now_ms, hints);
    world.dropped(8, 2);
    assert_eq!(world.offers().last(), Some(&(item(2), "ana")));
    // Nobody there to return to: still before the older, ordinary one.
    let (offer, _) = world.offer_of(2);
    world.reject("ana", ana, offer);
    world.dropped(9, 2);
    assert_eq!(world.offers().last(), Some(&(item(2), "ben")));
}

#[test]
fn a_vip_goes_first_until_somebody_has_waited_five_targets() {
    let one = || {
        let mut config = plain(&["ana"]);
        config.agents.get_mut(&"ana".into()).unwrap().capacity = 50;
        let mut world = World::new(&config);
        world.sign_in("ana", 1);
        world.claimed(9, 1, "ana");
        world
    };
    let vip = || RoutingHints { vip: true, ..RoutingHints::default() };
    let mut world = one();
    world.wanted(1, "q", world.now_ms);
    world.pass(600_000);
    world.wanted_with(2, 1, "q", world.now_ms, vip());
    world.dropped(9, 2);
    assert_eq!(newest(&world, 2), "ana");
    let mut world = one();
    world.wanted(1, "q", world.now_ms);
    world.pass(600_001);
    world.wanted_with(2, 1, "q", world.now_ms, vip());
    world.dropped(9, 2);
    assert_eq!(newest(&world, 1), "ana");
    // Made a VIP while it waits.
    let mut world = one();
    world.wanted(1, "q", world.now_ms);
    world.wanted(2, "q", world.now_ms + 1);
    world.wanted_with(2, 2, "q", world.now_ms + 1, vip());
    world.dropped(9, 2);
    assert_eq!(newest(&world, 2), "ana");
}

fn with_wrap_up(mode: WrapUpMode, holds_capacity: bool) -> WorkspaceConfig {
    let mut config = plain(&["ana"]);
    config.agents.get_mut(&"ana".into()).unwrap().capacity = 50;
    let rule = WrapUpConfig { mode, for_ms: 60_000, holds_capacity };
    config.queues.get_mut(&"q".into()).unwrap().wrap_up = rule;
    config
}

#[test]
fn wrap_up_by_the_rules_of_its_queue() {
    // Mode, holds capacity, asked for: whether it begins, and whether the next one is offered at once.
    let table = [
        (WrapUpMode::None, true, true, false, true),
        (WrapUpMode::Optional, true, false, false, true),
        (WrapUpMode::Optional, true, true, true, false),
        (WrapUpMode::Optional, false, true, true, true),
        (WrapUpMode::Timed, true, false, true, false),
        (WrapUpMode::Timed, false, false, true, true),
    ];
    for (mode, holds, asked, begins, offered) in table {
        let mut world = World::new(&with_wrap_up(mode, holds));
        let ana = world.sign_in("ana", 1);
        world.wanted(1, "q", START_MS);
        world.wanted(2, "q", START_MS + 1);
        world.accept_newest(1, ana);
        world.finished(1, 2, "ana", asked);
        let began = |change: &WorkspaceChange| matches!(change, WorkspaceChange::WrapUpBegan(_));
        assert_eq!(world.changes(ana).iter().any(began), begins, "{mode:?} {holds} {asked}");
        let is_offered = world.offered.iter().any(|(offer, _)| offer.item == item(2));
        assert_eq!(is_offered, offered, "{mode:?} {holds} {asked}");
        world.reload();
        if begins && !offered {
            // By itself.
            world.pass(59_999);
            assert_eq!(world.reason(2), WaitReason::EverybodyFull);
            world.pass(1);
            assert_eq!(newest(&world, 2), "ana");
        }
    }
}

#[test]
fn an_agent_ends_its_wrap_up_early_and_once() {
    let mut world = World::new(&with_wrap_up(WrapUpMode::Timed, true));
    let ana = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    world.accept_newest(1, ana);
    world.finished(1, 2, "ana", false);
    world.wanted(2, "q", world.now_ms);
    let id = world.command();
    let end = DeskCommand::EndWrapUp { id, conversation: conversation(1) };
    assert_eq!(world.desk("ana", ana, end.clone()), WorkspaceAnswer::Done);
    assert_eq!(newest(&world, 2), "ana");
    // A repeat gets its answer again; a new command finds nothing.
    assert_eq!(world.desk("ana", ana, end), WorkspaceAnswer::Done);
    let id = world.command();
    let again = DeskCommand::EndWrapUp { id, conversation: conversation(1) };
    assert!(matches!(world.desk("ana", ana, again), WorkspaceAnswer::Unknown(_)));
    // Whoever finished what it did not have gets no wrap-up.
    world.finished(2, 2, "ana", true);
    let began = world.changes(ana).into_iter();
    let began = began.filter(|change| matches!(change, WorkspaceChange::WrapUpBegan(_)));
    assert_eq!(began.count(), 1);
}

/// Ana has one conversation and loses her connection.
fn lost(keep_ms: Millis) -> World {
    let mut config = plain(&["ana", "ben"]);
    config.stranded_keep_ms = keep_ms;
    let mut world = World::new(&config);
    let ana = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    world.accept_newest(1, ana);
    world.desk("ana", ana, DeskCommand::SignOut);
    world.told.clear();
    world
}

#[test]
fn a_lost_connection_strands_conversations_and_each_decides_for_itself() {
    let mut world = lost(3_600_000);
    world.pass(HOLD_MS - 1);
    assert_eq!(world.told.iter().filter(|told| told.2 != WorkspaceNews::Check).count(), 0);
    world.pass(1);
    let stranded = WorkspaceNews::Stranded { agent: "ana".into() };
    assert!(world.told.contains(&(item(1), 1, stranded.clone())));
    let input = WorkspaceInput::ListAgents { after: None, limit: 10 };
    let Some(WorkspaceAnswer::Agents { agents, .. }) = world.input(&input).reply else { panic!() };
    assert_eq!(agents[0].assigned, [conversation(1)]);
    assert_eq!(agents[0].stranded_until_ms, Some(world.now_ms + 3_600_000));
    // A comparison is answered the same.
    world.told.clear();
    world.wanted(1, "q", START_MS);
    assert_eq!(world.told, [(item(1), 1, stranded)]);
    world.reload();
    // Its customer writes: the conversation asks for somebody else, with its age.
    world.sign_in("ben", 2);
    world.wanted_version(1, 2, "q", START_MS);
    assert_eq!(newest(&world, 1), "ben");
    // The agent who returns is told what is no longer its own.
    let back = world.sign_in("ana", 3);
    let WorkspaceChange::Snapshot { more, assigned, .. } = &world.changes(back)[0] else {
        panic!()
    };
    assert_eq!((more.taken.as_slice(), assigned.len()), ([item(1)].as_slice(), 0));
}

#[test]
fn an_agent_who_returns_keeps_what_nobody_waits_for() {
    let mut world = lost(3_600_000);
    world.pass(HOLD_MS + 1_000_000);
    world.told.clear();
    world.sign_in("ana", 2);
    let back = WorkspaceNews::Assigned { agent: "ana".into() };
    assert_eq!(world.told, [(item(1), 1, back)]);
    world.pass(7_200_000);
    assert_eq!(world.model.used(&"ana".into()), 50);
    // One who does not return loses it in the end.
    let mut world = lost(3_600_000);
    world.pass(HOLD_MS + 3_600_000);
    assert!(world.told.contains(&(item(1), 1, WorkspaceNews::Unassigned)));
    assert_eq!(world.model.used(&"ana".into()), 0);
}

#[test]
fn too_many_misses_are_told_and_ended_by_an_action() {
    let mut world = World::new(&plain(&["ana"]));
    let ana = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    for _ in 0..2 {
        let (offer, _) = world.offer_of(1);
        world.delivered("ana", ana, offer);
        world.pass(OFFER_TIMEOUT_MS);
        assert_eq!(world.end_told(ana, offer), Some(OfferEnd::Missed));
    }
    assert_eq!(world.changes(ana).last(), Some(&WorkspaceChange::Missed));
    assert_eq!(world.reason(1), WaitReason::EverybodyAway);
    world.desk("ana", ana, DeskCommand::Resync);
    let changes = world.changes(ana);
    let Some(WorkspaceChange::Snapshot { more, .. }) = changes.last() else { panic!() };
    assert!(more.missed);
    world.presence("ana", ana, Presence::Available);
    assert_eq!(world.offers().len(), 3);
}

#[test]
fn everybody_who_waits_says_why() {
    let mut config = plain(&["ana"]);
    config.queues.insert("spanish".into(), queue_config(&[("es", 1)], 50, 0));
    config.agents.get_mut(&"ana".into()).unwrap().capacity = 50;
    let mut world = World::new(&config);
    world.wanted(1, "q", START_MS);
    world.wanted(2, "q", START_MS + 1);
    world.wanted(3, "spanish", START_MS + 2);
    assert_eq!(world.reason(1), WaitReason::NobodySignedIn);
    let ana = session(1);
    world.desk("ana", ana, DeskCommand::SignIn { opened_ms: world.now_ms });
    assert_eq!(world.reason(1), WaitReason::EverybodyAway);
    assert_eq!(world.reason(3), WaitReason::NobodySkilled);
    world.presence("ana", ana, Presence::Available);
    assert!(matches!(world.reason(1), WaitReason::Offered { agent, .. } if agent.0 == "ana"));
    assert_eq!(world.reason(2), WaitReason::EverybodyFull);
    let (offer, _) = world.offer_of(1);
    world.reject("ana", ana, offer);
    let until_ms = world.now_ms + COOL_DOWN_MS;
    assert_eq!(world.reason(1), WaitReason::CoolingDown { until_ms });
    let order: Vec<ItemId> = world.reasons().into_iter().map(|(item, _)| item).collect();
    assert_eq!(order, [item(1), item(2), item(3)]);
    let counts = world.workspace.waiting_counts(world.now_ms);
    assert_eq!(counts[&("q".into(), "cooling_down")], 2);
    assert_eq!(counts[&("spanish".into(), "nobody_skilled")], 1);
}

#[test]
fn the_list_goes_on_where_the_page_ended() {
    let mut world = World::new(&plain(&[]));
    for n in 1..=5 {
        world.wanted(n, "q", START_MS + u64::from(n));
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let input = WorkspaceInput::ListWaiting { queue: Some("q".into()), after, limit: 2 };
        let Some(WorkspaceAnswer::Waiting { items, more }) = world.input(&input).reply else {
            panic!()
        };
        seen.extend(items.iter().map(|view| view.item));
        let last = items.last().unwrap();
        let (queue, since_ms, item) = (last.queue.clone(), last.since_ms, last.item);
        after = Some(crate::workspace::WaitingCursor { queue, since_ms, item });
        if !more {
            break;
        }
    }
    assert_eq!(seen, (1..=5).map(item).collect::<Vec<_>>());
    let agents: Vec<AgentId> = Vec::new();
    let input = WorkspaceInput::ListAgents { after: None, limit: 1 };
    let Some(WorkspaceAnswer::Agents { agents: listed, .. }) = world.input(&input).reply else {
        panic!()
    };
    assert_eq!(listed.into_iter().map(|view| view.agent).collect::<Vec<_>>(), agents);
}
