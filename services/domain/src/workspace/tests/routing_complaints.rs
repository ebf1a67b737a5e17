//! Complaints about assignment (numbered as in the collection of complaints), each with its circumstances, told apart from
//! a router with the flaw that the complaint is about.

use super::{
    kit::{START_MS, World, item, plain, queue_config},
    naive::{Flaw, Router, end_wrap_up, resync, tell_apart},
};
use crate::workspace::{
    WorkspaceAnswer, WorkspaceChange, WorkspaceConfig, WrapUpConfig, WrapUpMode,
};

type Holder = Option<(String, bool)>;

fn has(agent: &str) -> Holder {
    Some((agent.to_owned(), true))
}

fn offered(agent: &str) -> Holder {
    Some((agent.to_owned(), false))
}

/// Agents with room for `n` conversations each.
fn room_for(n: u32, agents: &[&str]) -> WorkspaceConfig {
    let mut config = plain(agents);
    config.agents.values_mut().for_each(|agent| agent.capacity = 50 * n);
    config
}

/// Ana serves `q` only, ben `billing` only.
fn two_teams() -> WorkspaceConfig {
    let mut config = room_for(1, &["ana", "ben"]);
    config.queues.insert("billing".into(), queue_config(&[], 50, 0));
    config.agents.get_mut(&"ana".into()).unwrap().queues = vec!["q".into()];
    config.agents.get_mut(&"ben".into()).unwrap().queues = vec!["billing".into()];
    config
}

/// chatwoot 15275: the assignee flips within seconds because automation, auto-assign and manual clicks race.
#[test]
fn complaint_1_a_late_automation_does_not_flip_the_assignee() {
    let circumstances = |router: &mut dyn Router| {
        router.sign_in("ana");
        router.sign_in("ben");
        router.arrives(1);
        router.is_taken(1);
        // A person gives it to ben; what automation decided before comes after.
        router.gives(1, 3, "ben");
        router.gives(1, 2, "ana");
        router.wants(1, 1, "q", None);
        router.holder(1)
    };
    let config = room_for(2, &["ana", "ben"]);
    tell_apart(&config, Flaw::WritesCarryNoVersion, circumstances, &has("ben"));
}

/// chatwoot 15524: assignments decided from a snapshot; a conversation goes to somebody outside its team.
#[test]
fn complaint_2_nobody_outside_the_team_gets_what_moved_on() {
    let circumstances = |router: &mut dyn Router| {
        router.sign_in("ana");
        router.sign_in("ben");
        router.arrives(1);
        // It moves to the other team while ana's click is under way.
        router.wants(1, 2, "billing", None);
        let taken = router.accepts("ana", 1);
        (taken, router.holder(1))
    };
    tell_apart(&two_teams(), Flaw::AcceptsFromASnapshot, circumstances, &(false, offered("ben")));
}

/// chatwoot 11034: one agent gets far more than the limit of four.
#[test]
fn complaint_3_nobody_is_given_more_than_the_limit() {
    let circumstances = |router: &mut dyn Router| {
        router.sign_in("ana");
        // A burst, before the first click.
        (1..=10).for_each(|n| router.arrives(n));
        let first = (1..=10).filter(|n| router.holder(*n).is_some()).count();
        (1..=4).for_each(|n| router.is_taken(n));
        (first, (1..=10).filter(|n| router.holder(*n).is_some()).count())
    };
    let config = room_for(4, &["ana"]);
    tell_apart(&config, Flaw::LimitCountsOnlyTaken, circumstances, &(4, 4));
}

/// chatwoot 4158, 9587: a returning customer sticks to an agent who is offline.
#[test]
fn complaint_6_a_returning_customer_does_not_wait_for_the_absent() {
    let circumstances = |router: &mut dyn Router| {
        router.sign_in("ana");
        router.sign_in("ben");
        router.sign_out("ana");
        router.wants(1, 1, "q", Some("ana"));
        router.holder(1)
    };
    let config = room_for(2, &["ana", "ben"]);
    tell_apart(&config, Flaw::SticksToTheAbsent, circumstances, &offered("ben"));
}

/// libredesk 385: automatic assignment overrides a manual one.
#[test]
fn complaint_7_automation_does_not_override_a_person() {
    let circumstances = |router: &mut dyn Router| {
        router.sign_in("ana");
        router.arrives(1);
        router.gives(1, 2, "ana");
        // Whatever makes automation look again.
        router.sign_in("ben");
        router.arrives(2);
        router.holder(1)
    };
    let config = room_for(1, &["ana", "ben"]);
    tell_apart(&config, Flaw::ManualLooksUnassigned, circumstances, &has("ana"));
}

/// Rocket.Chat 13134: load counts what an agent ever had, so that who returns is flooded.
#[test]
fn complaint_10_load_is_what_is_open_now() {
    let circumstances = |router: &mut dyn Router| {
        router.sign_in("ana");
        for n in 1..=4 {
            router.arrives(n);
            router.is_taken(n);
            router.resolves("ana", n, 2);
        }
        router.sign_in("ben");
        for n in 5..=8 {
            router.arrives(n);
            router.is_taken(n);
        }
        (5..=8).filter(|n| router.holder(*n) == has("ben")).count()
    };
    let config = room_for(4, &["ana", "ben"]);
    tell_apart(&config, Flaw::LifetimeLoad, circumstances, &2);
}

/// Rocket.Chat 20090: an agent who does not answer keeps the chat.
#[test]
fn complaint_11_who_does_not_answer_does_not_keep_it() {
    let circumstances = |router: &mut dyn Router| {
        router.sign_in("ana");
        router.sign_in("ben");
        router.arrives(1);
        let first = router.holder(1);
        router.passes(36_000);
        (first, router.holder(1))
    };
    let config = room_for(1, &["ana", "ben"]);
    let expected = (offered("ana"), offered("ben"));
    tell_apart(&config, Flaw::NoDeadline, circumstances, &expected);
}

/// Rocket.Chat 20090 (review): the timer of the first agent takes the chat from the second.
#[test]
fn complaint_12_an_old_timer_takes_nothing_from_the_next_agent() {
    let circumstances = |router: &mut dyn Router| {
        router.sign_in("ana");
        router.sign_in("ben");
        router.arrives(1);
        router.passes(20_000);
        router.rejects("ana", 1);
        // The offer to ana would have ended here, ben's is young.
        router.passes(20_000);
        router.holder(1)
    };
    let config = room_for(1, &["ana", "ben"]);
    tell_apart(&config, Flaw::TimerWithoutEpoch, circumstances, &offered("ben"));
}

/// Rocket.Chat 23404: a forwarded chat stays with the previous agent and never leaves the queue.
#[test]
fn complaint_13_a_forwarded_chat_leaves_one_and_reaches_the_other() {
    let circumstances = |router: &mut dyn Router| {
        router.sign_in("ana");
        router.sign_in("ben");
        router.arrives(1);
        router.is_taken(1);
        router.wants(1, 2, "billing", None);
        let holder = router.holder(1);
        // Ana is free for the next one.
        router.arrives(2);
        (holder, router.holder(2))
    };
    let expected = (offered("ben"), offered("ana"));
    tell_apart(&two_teams(), Flaw::TransferInTwoSteps, circumstances, &expected);
}

/// Rocket.Chat 23642, 22105, 19837: a new chat is in nobody's list until the page is loaded again.
#[test]
fn complaint_14_a_lost_change_is_noticed_and_asked_for() {
    // What a client shows that was given all changes but one, with and without looking at their numbers.
    let shows = |looks_at_numbers: bool| {
        let mut world = World::new(&room_for(2, &["ana"]));
        let on = world.sign_in("ana", 1);
        world.wanted(1, "q", START_MS);
        world.wanted(2, "q", START_MS + 1);
        let (mut last, mut shown) = (0, Vec::new());
        let mut at = 0;
        while let Some((number, change)) = world.signals[&on].get(at).cloned() {
            at += 1;
            // The first offer gets lost on its way.
            if matches!(&change, WorkspaceChange::Offered(view) if view.offer.item == item(1)) {
                continue;
            }
            if looks_at_numbers
                && number > last + 1
                && !matches!(change, WorkspaceChange::Snapshot { .. })
            {
                resync(&mut world, "ana");
            }
            last = number;
            match change {
                WorkspaceChange::Snapshot { offers, .. } => {
                    shown = offers.iter().map(|view| view.offer.item).collect();
                }
                WorkspaceChange::Offered(view) => shown.push(view.offer.item),
                _ => {}
            }
        }
        shown
    };
    assert_eq!(shows(true), [item(1), item(2)]);
    assert_eq!(shows(false), [item(2)], "the circumstances are about this alone");
}

/// freeswitch 2540, 2530, 1973: who loses a race stays reserved.
#[test]
fn complaint_19_who_loses_a_race_is_free() {
    let circumstances = |router: &mut dyn Router| {
        router.sign_in("ana");
        router.arrives(1);
        // The customer goes to the other team while ana clicks.
        router.sign_in("ben");
        router.wants(1, 2, "billing", None);
        let taken = router.accepts("ana", 1);
        router.arrives(2);
        (taken, router.holder(2))
    };
    let expected = (false, offered("ana"));
    tell_apart(&two_teams(), Flaw::LoserStaysReserved, circumstances, &expected);
}

/// freeswitch 800: a change of state during an offer makes a tight loop of offers and cancellations.
#[test]
fn complaint_20_changes_of_presence_make_no_loop_of_offers() {
    let circumstances = |router: &mut dyn Router| {
        router.sign_in("ana");
        router.arrives(1);
        for _ in 0..10 {
            router.available("ana", false);
            router.available("ana", true);
        }
        router.offers().len()
    };
    let config = room_for(1, &["ana"]);
    tell_apart(&config, Flaw::CancelsOnPresence, circumstances, &1);
}

/// opensips 3123: an agent is locked in a call that is long over.
#[test]
fn complaint_22_what_is_over_is_found_out() {
    let circumstances = |router: &mut dyn Router| {
        router.sign_in("ana");
        router.arrives(1);
        router.is_taken(1);
        router.ends_silently(1);
        router.arrives(2);
        let before = router.holder(2);
        router.passes(180_000);
        (before, router.holder(2).map(|(agent, _)| agent))
    };
    let config = room_for(1, &["ana"]);
    let expected = (None, Some("ana".to_owned()));
    tell_apart(&config, Flaw::NeverCompares, circumstances, &expected);
}

/// opensips 2920: the state of agents is not shared between the nodes of a cluster.
#[test]
fn complaint_23_another_node_knows_who_has_what() {
    let circumstances = |router: &mut dyn Router| {
        router.sign_in("ana");
        router.arrives(1);
        router.is_taken(1);
        router.moves_to_another_node();
        router.arrives(2);
        let while_busy = router.holder(2);
        router.resolves("ana", 1, 2);
        (while_busy, router.holder(2))
    };
    let config = room_for(1, &["ana"]);
    tell_apart(&config, Flaw::LoadInMemory, circumstances, &(None, offered("ana")));
}

/// flex-project-template 290, 153: the break an agent declared is overwritten when its task ends.
#[test]
fn complaint_24_a_break_lasts_until_the_agent_ends_it() {
    let circumstances = |router: &mut dyn Router| {
        router.sign_in("ana");
        router.arrives(1);
        router.is_taken(1);
        router.available("ana", false);
        router.arrives(2);
        router.resolves("ana", 1, 2);
        let during = router.holder(2);
        router.available("ana", true);
        (during, router.holder(2))
    };
    let config = room_for(1, &["ana"]);
    tell_apart(&config, Flaw::AvailableAfterTask, circumstances, &(None, offered("ana")));
}

/// plugin-queued-callbacks-and-voicemail 35, dialpad 31: a task that moved on can be neither cancelled nor wrapped up, and
/// its agent is stuck with it.
#[test]
fn complaint_25_a_command_about_what_moved_on_is_answered_and_harmless() {
    /// The way of the complaint: the state of the task is not looked at, and the error locks the agent.
    #[derive(Default)]
    struct Unchecked {
        wrapping: bool,
        locked: bool,
    }
    impl Unchecked {
        fn time_passes(&mut self) {
            self.wrapping = false;
        }
        fn end_wrap_up(&mut self) {
            self.locked |= !std::mem::take(&mut self.wrapping);
        }
    }
    let mut config = room_for(1, &["ana"]);
    let rule = WrapUpConfig { mode: WrapUpMode::Timed, for_ms: 10_000, holds_capacity: true };
    config.queues.get_mut(&"q".into()).unwrap().wrap_up = rule;
    let mut world = World::new(&config);
    let on = world.sign_in("ana", 1);
    world.wanted(1, "q", START_MS);
    world.accept_newest(1, on);
    world.finished(1, 2, "ana", false);
    // Its time is over before the click arrives; the same end comes twice, and late.
    world.pass(10_000);
    for _ in 0..2 {
        assert!(matches!(end_wrap_up(&mut world, on, 1), WorkspaceAnswer::Unknown(_)));
    }
    world.finished(1, 2, "ana", false);
    world.wanted(2, "q", START_MS);
    assert_eq!(world.accept_newest(2, on).0, "ana", "she is not stuck");
    world.dropped(2, 2);
    world.dropped(2, 2);
    assert_eq!(world.model.used(&"ana".into()), 0);

    let mut naive = Unchecked { wrapping: true, locked: false };
    naive.time_passes();
    naive.end_wrap_up();
    assert!(naive.locked, "the circumstances are about this");
}
