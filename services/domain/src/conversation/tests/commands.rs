//! Commands, their refusals, and repeats.

use super::world::*;
use crate::{content::ContentKind, conversation::*, number::Lane, workspace::WorkspaceInput};

fn held_by_ann() -> World {
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    world.assign("ann");
    world
}

fn refused(answer: CommandAnswer) -> Refusal {
    match answer {
        CommandAnswer::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_desk_send_is_asked_of_the_number_and_ends_the_wait() {
    let mut world = held_by_ann();
    let request = world.at(T0 + MIN).sent(Some("ann"), false);
    let asked = world.requests()[0].clone();
    assert_eq!((asked.request, asked.lane, asked.free_form), (request, Lane::Agent, true));
    assert_eq!(asked.window_until_ms, T0 + 24 * H);
    assert_eq!(asked.not_after_ms, T0 + 11 * MIN);
    assert_eq!((asked.recipient, asked.customer), (sealed("who"), address(B).hash));
    assert_eq!(world.get(B).waiting_since_ms(), None);
    assert!(matches!(world.signals.last(), Some(ConversationSignal::Requested(_))));
}

/// whatsapp.md P20: a weak connection sends the same command twice.
#[test]
fn a_repeated_command_gets_the_first_answer_and_sends_nothing() {
    let mut world = held_by_ann();
    let first = world.command_n(B, Some("ann"), 5, send_of(false));
    let again = world.command_n(B, Some("ann"), 5, send_of(false));
    assert_eq!(first, again);
    assert_eq!(world.requests().len(), 1);
    // A refusal is remembered too, though by now it would be done.
    let refusal = world.command_n(B, Some("bob"), 6, send_of(false));
    world.command(None, CommandKind::Assign { agent: agent("bob") });
    assert_eq!(world.command_n(B, Some("bob"), 6, send_of(false)), refusal);
    for n in 7..20 {
        world.command_n(B, Some("bob"), n, CommandKind::Note { content: sealed("n") });
    }
    let old = world.command_n(B, Some("ann"), 5, send_of(false));
    assert_eq!(refused(old), Refusal::TooOld);
    assert_eq!(world.requests().len(), 1);
}

#[test]
fn nobody_speaks_over_another() {
    let held = Refusal::HeldByAnother { agent: agent("ann") };
    let mut world = held_by_ann();
    assert_eq!(refused(world.send(Some("bob"), false)), held);
    assert_eq!(refused(world.send(None, false)), held);
    assert_eq!(refused(world.command(Some("bob"), CommandKind::Resolve)), held);
    let queue = CommandKind::Queue { queue: "sales".into() };
    assert_eq!(refused(world.command(Some("bob"), queue)), held);
    assert!(world.requests().is_empty());

    world.echo(2, T0);
    let phone = Refusal::PhoneHasFloor { since_ms: T0 };
    assert_eq!(refused(world.send(Some("ann"), false)), phone);
    assert_eq!(refused(world.send(None, false)), phone);
    world.sent(Some("bob"), true);
    assert_eq!(world.floor(), Floor::Desk { agent: agent("bob") });
    let claimed = world.workspace.last().cloned();
    assert!(
        matches!(claimed, Some(WorkspaceInput::Claimed { agent: a, version: 2, .. }) if a == agent("bob"))
    );
}

#[test]
fn a_program_speaks_when_nobody_has_the_floor() {
    let mut world = World::new(bot_rules());
    world.inbound(1, T0);
    assert_eq!(refused(world.send(None, false)), Refusal::BotHasFloor { turn: 1 });
    world.sent(None, true);
    assert_eq!(world.floor(), Floor::Nobody);
    world.sent(None, false);
    assert_eq!(world.requests().last().unwrap().lane, Lane::Bot);
}

#[test]
fn free_form_needs_the_window_and_templates_do_not() {
    let mut world = held_by_ann();
    world.at(T0 + 24 * H);
    let closed = Refusal::WindowClosed { closed_ms: T0 + 24 * H };
    assert_eq!(refused(world.send(Some("ann"), false)), closed);
    let template = CommandKind::Send {
        kind: ContentKind::Template,
        content: sealed("template"),
        take_floor: false,
        marketing: false,
    };
    assert!(matches!(world.command(Some("ann"), template), CommandAnswer::Sent { .. }));
    let asked = world.requests()[0];
    assert_eq!((asked.lane, asked.free_form), (Lane::Utility, false));
    assert_eq!(asked.not_after_ms, T0 + 24 * H + 10 * MIN);
}

#[test]
fn nothing_is_sent_after_the_window_even_when_asked_in_time() {
    let mut world = held_by_ann();
    world.at(T0 + 24 * H - S).sent(Some("ann"), false);
    assert_eq!(world.requests()[0].not_after_ms, T0 + 24 * H);
}

#[test]
fn an_unknown_conversation_refuses_everything() {
    let mut world = World::new(plain_rules());
    assert_eq!(refused(world.send(Some("ann"), false)), Refusal::UnknownConversation);
    let note = CommandKind::Note { content: sealed("note") };
    assert_eq!(refused(world.command(None, note)), Refusal::UnknownConversation);
    assert_eq!(refused(world.command(None, CommandKind::Resolve)), Refusal::NothingOpen);
    let assign = CommandKind::Assign { agent: agent("ann") };
    assert_eq!(refused(world.command(None, assign)), Refusal::NothingOpen);
}

#[test]
fn too_many_sends_without_an_outcome_are_refused() {
    let mut world = held_by_ann();
    for _ in 0..32 {
        world.sent(Some("ann"), false);
    }
    assert_eq!(refused(world.send(Some("ann"), false)), Refusal::Busy { pending: 32 });
    let request = world.requests()[0].request;
    world.outcome(request, accepted(50, T0));
    world.sent(Some("ann"), false);
}

#[test]
fn resolving_ends_the_item_and_the_floor() {
    let mut world = held_by_ann();
    assert_eq!(world.command(Some("ann"), CommandKind::Resolve), CommandAnswer::Done);
    assert_eq!(world.floor(), Floor::Nobody);
    let finished = world.workspace.last().cloned();
    assert!(
        matches!(finished, Some(WorkspaceInput::Finished { version: 2, agent: a, wrap_up: false, .. }) if a == agent("ann"))
    );
    assert_eq!(world.get(B).wake_ms(), None);
    assert!(matches!(world.signals.last(), Some(ConversationSignal::EpisodeResolved { .. })));
    assert_eq!(refused(world.command(Some("ann"), CommandKind::Resolve)), Refusal::NothingOpen);
    // A word after it is a single word: nobody has the floor, and the next message opens an episode.
    world.sent(Some("bob"), false);
    assert_eq!((world.floor(), world.get(B).item()), (Floor::Nobody, None));
    world.at(T0 + MIN).inbound(2, T0 + MIN);
    assert_eq!(world.last_wanted().0.n, 2);
}

#[test]
fn assigning_and_queueing_keep_the_age() {
    let mut world = held_by_ann();
    world.command(None, CommandKind::Assign { agent: agent("bob") });
    assert_eq!(world.floor(), Floor::Desk { agent: agent("bob") });
    let claimed = world.workspace.last().unwrap();
    assert!(matches!(claimed, WorkspaceInput::Claimed { version: 2, since_ms: T0, .. }));
    world.at(T0 + MIN);
    world.command(Some("bob"), CommandKind::Queue { queue: "sales".into() });
    let (item, version, queue, since_ms) = world.last_wanted();
    assert_eq!((item.n, version, queue, since_ms), (1, 3, "sales".into(), T0));
    assert_eq!(world.floor(), Floor::Nobody);
}

#[test]
fn notes_are_numbered() {
    let mut world = held_by_ann();
    for n in 1..=2 {
        world.command(Some("ann"), CommandKind::Note { content: sealed("note") });
        let noted = world.events.iter().rev().find_map(|event| match event {
            ConversationEvent::NoteAdded { n, .. } => Some(*n),
            _ => None,
        });
        assert_eq!(noted, Some(n));
    }
}

fn outbound(kind: ContentKind, lane: Lane) -> CommandKind {
    CommandKind::Outbound(Box::new(OutboundSend {
        via: via(),
        who: sealed("who"),
        lane,
        kind,
        content: sealed("offer"),
        not_after_ms: T0 + 3 * H,
        marketing: false,
    }))
}

#[test]
fn a_program_begins_with_a_template_and_the_answer_joins_its_conversation() {
    let mut world = World::new(plain_rules());
    world.at(T0);
    let template = outbound(ContentKind::Template, Lane::Campaign);
    let first = world.command_n(B, None, 1, template.clone());
    assert_eq!(world.command_n(B, None, 1, template), first, "a repeat gets the first answer");
    let asked = world.requests()[0].clone();
    assert_eq!(world.requests().len(), 1);
    assert_eq!(
        (asked.lane, asked.free_form, asked.not_after_ms),
        (Lane::Campaign, false, T0 + 3 * H)
    );
    assert_eq!(world.floor(), Floor::Nobody);
    let free = world.command_n(B, None, 2, outbound(ContentKind::Text, Lane::Utility));
    assert_eq!(refused(free), Refusal::WindowClosed { closed_ms: 0 });
    world.inbound(1, T0 + MIN);
    assert!(world.get(B).waiting_since_ms().is_some(), "the customer's answer is cared for");
    world.at(T0 + 2 * MIN);
    world.command_n(B, None, 3, outbound(ContentKind::Template, Lane::Utility));
    assert!(world.get(B).waiting_since_ms().is_some(), "a template answers nobody");
}

#[test]
fn a_programs_free_form_message_needs_the_floor() {
    let mut world = held_by_ann();
    let answer = world.at(T0 + MIN).command(None, outbound(ContentKind::Text, Lane::Utility));
    assert_eq!(refused(answer), Refusal::HeldByAnother { agent: agent("ann") });
    let template = world.command(None, outbound(ContentKind::Template, Lane::Utility));
    assert!(matches!(template, CommandAnswer::Sent { .. }));
    assert_eq!(world.floor(), Floor::Desk { agent: agent("ann") });
}
