//! Work items: what the workspace is told, and what of its news is applied.

use super::world::*;
use crate::{conversation::*, workspace::WorkspaceInput};

fn waiting() -> World {
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    world
}

#[test]
fn an_assignment_gives_the_floor_and_its_end_takes_it() {
    let mut world = waiting();
    let (item, version, ..) = world.last_wanted();
    world.assign("ann");
    assert_eq!(world.floor_changes().last().unwrap().1, FloorCause::Assigned);
    let told = world.workspace.len();
    world.news(item, version, WorkspaceNews::Unassigned);
    assert_eq!(world.floor(), Floor::Nobody);
    assert_eq!(world.workspace.len(), told, "it waits there already");
    assert_eq!(world.get(B).item(), Some((item, None)));
    world.news(item, version, WorkspaceNews::Assigned { agent: agent("bob") });
    assert_eq!(world.floor(), Floor::Desk { agent: agent("bob") });
}

#[test]
fn stale_news_is_answered_and_not_applied() {
    let mut world = waiting();
    let (item, version, ..) = world.last_wanted();
    world.command(None, CommandKind::Queue { queue: "sales".into() });
    let state = world.get(B);
    world.news(item, version, WorkspaceNews::Assigned { agent: agent("ann") });
    assert_eq!(world.get(B), state);
    assert_eq!((world.last_wanted().1, world.last_wanted().2), (2, "sales".into()));

    // Of an item that is not wanted any more.
    world.command(None, CommandKind::Resolve);
    world.news(item, 2, WorkspaceNews::Assigned { agent: agent("ann") });
    assert_eq!(world.floor(), Floor::Nobody);
    let dropped = WorkspaceInput::Dropped { item, version: 3, conversation: address(B) };
    assert_eq!(world.workspace.last(), Some(&dropped));
    let told = world.workspace.len();
    world.news(item, 3, WorkspaceNews::NotKnown);
    assert_eq!(world.workspace.len(), told, "both agree: no more talk");
}

#[test]
fn an_assignment_under_the_phone_leaves_it_the_floor() {
    let mut world = World::new(Rules { phone_owner: Some(agent("boss")), ..plain_rules() });
    world.inbound(1, T0);
    world.at(T0 + MIN).echo(2, T0 + MIN);
    let (item, version) = (world.get(B).item().unwrap().0, 2);
    world.news(item, version, WorkspaceNews::Assigned { agent: agent("ann") });
    assert_eq!(world.floor(), Floor::Phone);
    assert_eq!(world.get(B).item(), Some((item, Some(&agent("ann")))));
}

#[test]
fn an_open_item_is_compared_on_a_slow_timer_without_naming_its_agent() {
    let mut world = waiting();
    world.assign("ann");
    let told = world.workspace.len();
    world.pass(T0 + 5 * MIN);
    world.pass(T0 + 10 * MIN);
    assert_eq!(world.workspace.len(), told + 2);
    assert_eq!(world.last_wanted().1, 1);
}

#[test]
fn a_workspace_that_lost_the_item_is_told_again() {
    let mut world = waiting();
    let (item, version, ..) = world.last_wanted();
    let told = world.workspace.len();
    world.news(item, version, WorkspaceNews::Check);
    world.news(item, version, WorkspaceNews::NotKnown);
    assert_eq!(world.workspace.len(), told + 2);
    world.assign("ann");
    world.news(item, version, WorkspaceNews::NotKnown);
    assert!(matches!(world.workspace.last(), Some(WorkspaceInput::Claimed { version: 1, .. })));
}

/// The workspace threw away a newer version than ours: repeating ours would be called stale for ever.
#[test]
fn news_of_a_newer_version_is_overtaken_not_repeated() {
    let mut world = waiting();
    let (item, ..) = world.last_wanted();
    world.news(item, 7, WorkspaceNews::NotKnown);
    assert_eq!(world.last_wanted().1, 8);
    world.news(item, 9, WorkspaceNews::Assigned { agent: agent("ann") });
    assert_eq!(world.floor(), Floor::Desk { agent: agent("ann") });
}

#[test]
fn a_refused_need_goes_to_the_default_queue_and_is_never_given_up() {
    let mut world = waiting();
    world.command(None, CommandKind::Queue { queue: "nowhere".into() });
    let (item, version, ..) = world.last_wanted();
    world.news(item, version, WorkspaceNews::Refused("no queue".into()));
    assert_eq!((world.last_wanted().1, world.last_wanted().2), (3, "general".into()));
    let told = world.workspace.len();
    world.news(item, 3, WorkspaceNews::Refused("no queue".into()));
    assert_eq!(world.workspace.len(), told);
    world.pass(T0 + 5 * MIN);
    assert_eq!(world.last_wanted().2, "general".into());

    world.command(None, CommandKind::Assign { agent: agent("nobody") });
    let claimed = world.workspace.last().cloned();
    let Some(WorkspaceInput::Claimed { item, version, .. }) = claimed else { panic!() };
    world.news(item, version, WorkspaceNews::Refused("no agent".into()));
    assert_eq!((world.floor(), world.last_wanted().1), (Floor::Nobody, version + 1));
}
