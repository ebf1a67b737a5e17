//! A flow in a conversation.

use std::sync::Arc;

use super::world::*;
use crate::{
    content::Content,
    conversation::*,
    flow::{Field, Flow, Why},
    persist,
    workspace::WorkspaceInput,
};

const FLOW: &str = r#"
name = "help"
version = 1
languages = ["en"]
start = "menu"
greeting = "hello"
handoff = { text = "people come" }
[nodes.menu]
type = "menu"
text = "choose"
choices = [{ title = "Order", next = "order" }, { title = "Bye", next = "bye" }]
[nodes.order]
type = "ask"
field = "order"
kind = "number"
text = "which?"
next = "desk"
[nodes.desk]
type = "handoff"
queue = "sales"
reason = "order"
vip = true
[nodes.bye]
type = "end"
text = "bye"
"#;

fn flow_rules() -> Rules {
    Rules { bot: Some(Arc::new(Flow::read(FLOW, None).unwrap())), ..plain_rules() }
}

/// The customer has the greeting and the menu.
fn greeted() -> World {
    let mut world = World::new(flow_rules());
    world.say(B, inbound(1, T0), "hi");
    assert_eq!(world.said(), ["hello", "choose"]);
    accept_all(&mut world, 100);
    world
}

fn accept_all(world: &mut World, first: u32) {
    let open: Vec<_> = world.get(B).core.pending.keys().copied().collect();
    for (n, request) in (first..).zip(open) {
        let at_ms = world.now_ms;
        world.outcome(request, accepted(n, at_ms));
    }
}

/// Id of a button of the last menu that was sent.
fn button(world: &World, title: &str) -> String {
    let menus = world
        .requests()
        .into_iter()
        .rev()
        .filter_map(|request| persist::decode::<Content>(&request.content.bytes).unwrap().menu);
    let choices = menus.flat_map(|menu| menu.choices);
    let id = choices.filter(|c| c.title == title).map(|c| c.id).next().unwrap();
    format!("tap:{id}")
}

fn brief(world: &World) -> Option<Brief> {
    world.events.iter().rev().find_map(|event| match event {
        ConversationEvent::HandedOver { brief, .. } => Some(brief.clone()),
        _ => None,
    })
}

#[test]
fn taps_lead_through_the_flow_and_people_get_reason_and_fields() {
    let mut world = greeted();
    let order = button(&world, "Order");
    world.at(T0 + MIN).say(B, inbound(2, T0 + MIN), &order);
    accept_all(&mut world, 110);
    world.at(T0 + 2 * MIN).say(B, inbound(3, T0 + 2 * MIN), "42");
    assert_eq!(world.said(), ["hello", "choose", "which?", "people come"]);
    assert_eq!(world.last_wanted().2, "sales".into());
    let told = brief(&world).unwrap();
    assert_eq!((told.why, told.reason.as_str(), told.priority), (Why::Rule, "order", 100));
    let Some(WorkspaceInput::Wanted { hints, .. }) = world.workspace.last() else { panic!() };
    assert_eq!(hints.brief.as_deref(), Some(&told), "the need carries it to the offer");
    let vip =
        |input: &WorkspaceInput| matches!(input, WorkspaceInput::Wanted { priority: 100, .. });
    assert!(world.workspace.iter().all(vip));
    assert!(hints.vip, "the item is a VIP's");
    let marked = world.events.iter().filter(|event| {
        matches!(
            event,
            ConversationEvent::RoutingActed { act: RoutingAct::Vip { vip: true }, by: None, .. }
        )
    });
    assert_eq!(marked.count(), 1, "and so is the customer, from now on");
    let fields: Vec<Field> = persist::decode(&told.fields.unwrap().bytes).unwrap();
    assert_eq!(fields, [Field { name: "order".into(), value: "42".into() }]);
    assert_eq!(world.floor(), Floor::Nobody);
}

/// The last button of an old turn, tapped once people have taken over, changes nothing for them.
#[test]
fn a_button_of_a_bot_that_has_handed_over_is_only_a_message() {
    let mut world = greeted();
    let bye = button(&world, "Bye");
    world.at(T0 + MIN).say(B, inbound(2, T0 + MIN), "agent");
    assert_eq!(world.last_wanted().2, "general".into());
    world.assign("ann");
    let said = world.said().len();
    world.at(T0 + 2 * MIN).say(B, inbound(3, T0 + 2 * MIN), &bye);
    assert_eq!((world.said().len(), world.floor()), (said, Floor::Desk { agent: agent("ann") }));
}

#[test]
fn a_second_tap_says_nothing_and_leaves_the_first_answer_under_way() {
    let mut world = greeted();
    let order = button(&world, "Order");
    world.at(T0 + MIN).say(B, inbound(2, T0 + MIN), &order);
    let turn = world.floor();
    world.at(T0 + MIN + S).say(B, inbound(3, T0 + MIN + S), &order);
    assert_eq!(world.said(), ["hello", "choose", "which?"]);
    assert_eq!(world.floor(), turn);
    assert!(world.cancelled().is_empty());
}

#[test]
fn a_message_while_a_turn_is_under_way_makes_that_turn_stale() {
    let mut world = World::new(flow_rules());
    world.say(B, inbound(1, T0), "hi");
    let open: Vec<_> = world.get(B).core.pending.keys().copied().collect();
    world.at(T0 + MIN).say(B, inbound(2, T0 + MIN), "Order");
    assert_eq!(world.cancelled(), open, "what the older turn had not said yet is taken back");
    assert_eq!(world.floor(), Floor::Bot { turn: 2 });
    for request in open {
        world.outcome(request, SendOutcome::Cancelled);
    }
    assert_eq!(world.floor(), Floor::Bot { turn: 2 });
}

#[test]
fn an_end_closes_the_episode_and_its_last_words_are_not_taken_back() {
    let mut world = greeted();
    world.at(T0 + MIN).say(B, inbound(2, T0 + MIN), "2");
    assert_eq!(world.said(), ["hello", "choose", "bye"]);
    assert!(world.cancelled().is_empty() && world.workspace.is_empty());
    assert_eq!(world.get(B).waiting_since_ms(), None);
    let by_bot = |event: &ConversationEvent| {
        matches!(event, ConversationEvent::EpisodeResolved { by: ResolvedBy::Bot, .. })
    };
    assert!(world.events.iter().any(by_bot));
    world.at(T0 + H).say(B, inbound(3, T0 + H), "hi again");
    assert_eq!(world.said()[3..], ["hello", "choose"]);
}

/// evolution-foundation/evo-crm-community#82, fazer-ai/agents#433: the owner answers on the phone in the middle of a
/// dialogue, and the bot goes on talking over him. The naive bot beside it answers every message.
#[test]
fn complaint_47_the_bot_does_not_talk_over_the_owner_on_the_phone() {
    let mut world = greeted();
    let (mut naive, flow) = (0, Flow::read(FLOW, None).unwrap());
    let mut naive_state = crate::flow::State::default();
    world.at(T0 + MIN).echo(50, T0 + MIN);
    assert_eq!(world.floor(), Floor::Phone);
    let before = world.said().len();
    for n in 0..3_u32 {
        let at_ms = T0 + MIN + u64::from(n + 1) * 10 * S;
        world.at(at_ms).say(B, inbound(10 + n, at_ms), "Order");
        let heard = crate::flow::Heard::text("Order");
        let turn = flow.turn(&naive_state, Some(&heard), &crate::flow::Facts::default());
        naive_state = turn.state;
        naive += turn.answer.replies.len();
    }
    assert!(naive > 0, "the naive bot talks on");
    assert_eq!(world.said().len(), before);
    // A turn that had not left yet is taken back by the echo.
    let mut world = World::new(flow_rules());
    world.say(B, inbound(1, T0), "hi");
    let open: Vec<_> = world.get(B).core.pending.keys().copied().collect();
    world.at(T0 + S).echo(50, T0 + S);
    assert_eq!(world.cancelled(), open);
}

#[test]
fn what_was_collected_reaches_people_also_when_the_bot_cannot_go_on() {
    let text = FLOW.replace("next = \"desk\"", "next = \"more\"");
    let more = "[nodes.more]\ntype = \"ask\"\nfield = \"x\"\nkind = \"text\"\ntext = \"more?\"\nnext = \"desk\"\n";
    let flow = Flow::read(&format!("{text}{more}"), None).unwrap();
    let mut world = World::new(Rules { bot: Some(Arc::new(flow)), ..plain_rules() });
    world.say(B, inbound(1, T0), "hi");
    accept_all(&mut world, 100);
    world.at(T0 + MIN).say(B, inbound(2, T0 + MIN), "1");
    accept_all(&mut world, 110);
    world.at(T0 + 2 * MIN).say(B, inbound(3, T0 + 2 * MIN), "7");
    let request = *world.get(B).core.pending.keys().last().unwrap();
    world.outcome(request, SendOutcome::Unknown);
    let told = brief(&world).unwrap();
    assert_eq!(told.why, Why::Failed);
    let fields: Vec<Field> = persist::decode(&told.fields.unwrap().bytes).unwrap();
    assert_eq!(fields[0].value, "7");
}
