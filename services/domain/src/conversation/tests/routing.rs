//! Transfer, requeue, assignment with a reason, snooze, VIP, and an agent who is gone.

use super::world::*;
use crate::{
    Millis,
    conversation::*,
    workspace::{AgentSince, RoutingHints, WorkspaceInput},
};

fn held_by_ann() -> World {
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    world.assign("ann");
    world
}

fn hints(world: &World) -> RoutingHints {
    match world.workspace.last() {
        Some(WorkspaceInput::Wanted { hints, .. }) => hints.clone(),
        other => panic!("{other:?}"),
    }
}

fn since(name: &str, at_ms: Millis) -> Option<AgentSince> {
    Some(AgentSince { agent: agent(name), at_ms })
}

fn transfer(to: TransferTo) -> CommandKind {
    CommandKind::Transfer { to, note: Some(sealed("speaks Spanish")), overrule: false }
}

#[test]
fn a_transfer_is_one_step_with_its_note_and_keeps_the_age() {
    let mut world = held_by_ann();
    world.at(T0 + MIN);
    let events = world.events.len();
    let to_bob = transfer(TransferTo::Agent(agent("bob")));
    assert_eq!(world.command(Some("ann"), to_bob), CommandAnswer::Done);
    let step = &world.events[events..];
    let noted = |event: &ConversationEvent| matches!(event, ConversationEvent::NoteAdded { n: 1, agent: Some(a), .. } if *a == agent("ann"));
    assert!(step.iter().any(noted));
    let act = RoutingAct::Transfer { queue: None, agent: Some(agent("bob")) };
    let acted = ConversationEvent::RoutingActed {
        act,
        by: Some(agent("ann")),
        from: Some(agent("ann")),
        note: Some(1),
        at_ms: T0 + MIN,
    };
    assert!(step.contains(&acted), "{step:?}");
    let (item, version, _, since_ms) = world.last_wanted();
    assert_eq!((item.n, version, since_ms), (1, 2, T0));
    assert_eq!((world.floor(), world.get(B).item()), (Floor::Nobody, Some((item, None))));
    let expected = RoutingHints {
        target: Some(agent("bob")),
        giver: since("ann", T0 + MIN),
        ..RoutingHints::default()
    };
    assert_eq!(hints(&world), expected);
    // Who gave it away no longer has it.
    let held = world.command(Some("ann"), CommandKind::Resolve);
    assert_eq!(held, CommandAnswer::Done, "nobody has it yet");
}

#[test]
fn only_who_has_it_moves_it_unless_it_may_overrule() {
    let mut world = held_by_ann();
    let held = CommandAnswer::Refused(Refusal::HeldByAnother { agent: agent("ann") });
    let to_queue = || transfer(TransferTo::Queue("sales".into()));
    let until_ms = T0 + H;
    let table = [
        to_queue(),
        CommandKind::Requeue { queue: None, overrule: false },
        CommandKind::Snooze { until_ms, overrule: false },
    ];
    for command in table {
        assert_eq!(world.command(Some("bob"), command), held);
    }
    let requeue = CommandKind::Requeue { queue: None, overrule: true };
    assert_eq!(world.command(Some("sue"), requeue), CommandAnswer::Done);
    assert_eq!(hints(&world).giver, since("ann", T0));
    assert_eq!(world.command(Some("bob"), to_queue()), CommandAnswer::Done);
    assert_eq!(world.last_wanted().2, "sales".into());
    let nobody = CommandAnswer::Refused(Refusal::NotAssigned);
    let snooze = CommandKind::Snooze { until_ms, overrule: true };
    assert_eq!(world.command(None, snooze.clone()), nobody);
    world.command(None, CommandKind::Resolve);
    let nothing = CommandAnswer::Refused(Refusal::NothingOpen);
    assert_eq!(world.command(None, snooze), nothing);
    assert_eq!(world.command(None, to_queue()), nothing);
}

#[test]
fn an_assignment_with_a_reason_is_recorded() {
    let mut world = held_by_ann();
    let force = CommandKind::Force { agent: agent("bob"), reason: sealed("knows the case") };
    assert_eq!(world.command(Some("sue"), force), CommandAnswer::Done);
    assert_eq!(world.floor(), Floor::Desk { agent: agent("bob") });
    let recorded = |event: &ConversationEvent| {
        matches!(
            event,
            ConversationEvent::RoutingActed { act: RoutingAct::Assign { .. }, note: Some(1), by: Some(by), from: Some(from), .. }
                if *by == agent("sue") && *from == agent("ann")
        )
    };
    assert!(world.events.iter().any(recorded));
}

#[test]
fn a_returning_customer_names_the_last_agent() {
    let mut world = held_by_ann();
    world.at(T0 + MIN).command(Some("ann"), CommandKind::Resolve);
    world.at(T0 + H).inbound(2, T0 + H);
    assert_eq!(hints(&world).last_agent, since("ann", T0 + MIN));
    // Not to who gave it away.
    world.assign("ann");
    world.command(Some("ann"), transfer(TransferTo::Queue("sales".into())));
    assert_eq!(hints(&world).last_agent, None);
}

fn snoozed(until_ms: Millis) -> World {
    let mut world = held_by_ann();
    world.sent(Some("ann"), false);
    let snooze = CommandKind::Snooze { until_ms, overrule: false };
    assert_eq!(world.command(Some("ann"), snooze), CommandAnswer::Done);
    assert!(matches!(world.workspace.last(), Some(WorkspaceInput::Dropped { version: 2, .. })));
    assert_eq!((world.floor(), world.get(B).item()), (Floor::Nobody, None));
    world
}

#[test]
fn a_snooze_ends_with_its_time_or_the_customers_word() {
    let mut world = snoozed(T0 + H);
    world.pass(T0 + H - 1);
    assert_eq!(world.get(B).item(), None);
    world.pass(T0 + H);
    let back = |world: &World| {
        let hints = hints(world);
        assert_eq!((hints.returning, hints.target), (true, Some(agent("ann"))));
        assert_eq!(world.last_wanted().0.n, 2);
    };
    back(&world);

    let mut world = snoozed(T0 + H);
    world.at(T0 + MIN).inbound(2, T0 + MIN);
    back(&world);
    world.assign("bob");
    world.pass(T0 + 2 * H);
    assert_eq!(world.floor(), Floor::Desk { agent: agent("bob") }, "it came back once");
    // Resolved meanwhile: nothing comes back.
    let mut world = snoozed(T0 + H);
    world.command(None, CommandKind::Resolve);
    let told = world.workspace.len();
    world.pass(T0 + 2 * H);
    assert_eq!(world.workspace.len(), told);
}

#[test]
fn a_vip_is_one_from_then_on() {
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    world.command(None, CommandKind::SetVip { vip: true });
    assert_eq!((world.last_wanted().1, hints(&world).vip), (2, true));
    let told = world.workspace.len();
    world.command(None, CommandKind::SetVip { vip: true });
    assert_eq!(world.workspace.len(), told, "nothing new");
    world.assign("ann");
    world.command(Some("ann"), CommandKind::Resolve);
    world.at(T0 + H).inbound(2, T0 + H);
    assert!(hints(&world).vip);
}

#[test]
fn a_customer_of_an_agent_who_is_gone_gets_another_only_when_it_waits() {
    let gone = || WorkspaceNews::Stranded { agent: agent("ann") };
    // It waits: at once.
    let mut world = held_by_ann();
    let (item, version, ..) = world.last_wanted();
    world.news(item, version, gone());
    assert_eq!((world.last_wanted().1, world.last_wanted().3), (2, T0));
    assert_eq!(world.floor(), Floor::Nobody);
    // It does not: when it writes.
    let mut world = held_by_ann();
    world.sent(Some("ann"), false);
    world.news(item, version, gone());
    assert_eq!(world.floor(), Floor::Desk { agent: agent("ann") });
    world.at(T0 + MIN).inbound(2, T0 + MIN);
    assert_eq!((world.floor(), world.last_wanted().1), (Floor::Nobody, 2));
    // Unless the agent is there again.
    let mut world = held_by_ann();
    world.sent(Some("ann"), false);
    world.news(item, version, gone());
    world.news(item, version, WorkspaceNews::Assigned { agent: agent("ann") });
    world.at(T0 + MIN).inbound(2, T0 + MIN);
    assert_eq!(world.floor(), Floor::Desk { agent: agent("ann") });
}

#[test]
fn closing_with_a_code_records_it_and_asks_for_wrap_up() {
    let mut world = held_by_ann();
    let close = CommandKind::Close { code: "refund".into(), wrap_up: true };
    assert_eq!(world.command(Some("ann"), close), CommandAnswer::Done);
    let coded = |event: &ConversationEvent| matches!(event, ConversationEvent::RoutingActed { act: RoutingAct::WrapUp { code }, .. } if code == "refund");
    assert!(world.events.iter().any(coded));
    let finished = world.workspace.last();
    assert!(matches!(finished, Some(WorkspaceInput::Finished { wrap_up: true, .. })));
}

/// Who reads only the conversation's own events knows of a VIP and a snooze that an address brought along.
#[test]
fn a_join_tells_again_what_the_other_address_was() {
    let mut world = World::new(plain_rules());
    world.say(P, inbound(1, T0), "hello");
    world.command_n(P, None, 1, CommandKind::SetVip { vip: true });
    world.say(B, inbound(2, T0), "hello");
    let before = world.events.len();
    world.say(B, Inbound { paired: Some(address(P)), ..inbound(3, T0 + S) }, "more");
    let told = world.events[before..].iter().filter(|event| {
        matches!(event, ConversationEvent::RoutingActed { act: RoutingAct::Vip { vip: true }, .. })
    });
    assert_eq!(told.count(), 1);
    assert!(hints(&world).vip);
}
