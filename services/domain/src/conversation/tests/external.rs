//! An external bot's turns: fenced by their number, and never the end of anybody's care.

use super::world::*;
use crate::{
    Sealing,
    content::{Content, ContentKind},
    conversation::*,
    effect::BotKey,
    flow::{Answer, Field, HandOff, Outcome, Reply, Why},
    persist,
};

fn world() -> World {
    World::new(external_rules(plain_rules()))
}

fn world_with_fallback() -> World {
    World::new(external_rules(bot_rules()))
}

fn says(texts: &[&str], outcome: Outcome) -> BotResult {
    let replies = texts.iter().map(|text| Reply::Text((*text).to_owned())).collect();
    BotResult::Answered(Answer { replies, outcome })
}

fn key(turn: u64, attempt: u32) -> BotKey {
    BotKey { conversation: address(B).hash, turn, attempt }
}

/// What the last call told the bot.
fn told(world: &World) -> Vec<String> {
    let heard = &world.bot_calls.last().unwrap().heard;
    heard.iter().map(|it| String::from_utf8(it.content.bytes.clone()).unwrap()).collect()
}

fn faults(world: &World) -> Vec<BotFault> {
    let why = |event: &ConversationEvent| match event {
        ConversationEvent::BotFailed { why, .. } => Some(*why),
        _ => None,
    };
    world.events.iter().filter_map(why).collect()
}

#[test]
fn it_is_asked_turn_by_turn_and_hands_over_with_reason_and_fields() {
    let mut world = world();
    world.inbound(1, T0);
    assert_eq!((world.floor(), world.said().len()), (Floor::Bot { turn: 1 }, 0));
    let call = &world.bot_calls[0];
    assert_eq!((call.key, call.number, &call.who), (key(1, 1), via().number, &sealed("who")));
    world.bot(key(1, 1), &says(&["hello", "which order?"], Outcome::Wait));
    assert_eq!(
        (world.said(), world.floor()),
        (vec!["hello".to_owned(), "which order?".to_owned()], Floor::Bot { turn: 1 })
    );
    world.at(T0 + MIN).inbound(2, T0 + MIN);
    assert_eq!((world.bot_calls[1].key, told(&world)), (key(2, 1), vec!["in 2".to_owned()]));
    let fields = vec![Field { name: "order".into(), value: "7".into() }];
    let hand_off = HandOff {
        queue: Some("billing".into()),
        reason: "refund".into(),
        fields: fields.clone(),
        ..HandOff::default()
    };
    world.bot(key(2, 1), &says(&["a colleague comes"], Outcome::HandOff(hand_off)));
    assert_eq!((world.floor(), world.said().len()), (Floor::Nobody, 3));
    assert_eq!((world.last_wanted().2, world.last_wanted().3), ("billing".into(), T0));
    let last = world.requests().last().unwrap().request;
    assert!(!world.cancelled().contains(&last), "its last words may leave");
    let brief = world.events.iter().find_map(|event| match event {
        ConversationEvent::HandedOver { brief, .. } => Some(brief.clone()),
        _ => None,
    });
    let brief = brief.unwrap();
    assert_eq!((brief.why, brief.reason.as_str()), (Why::Rule, "refund"));
    let kept: Vec<Field> = persist::decode(&Open.open(&brief.fields.unwrap()).unwrap()).unwrap();
    assert_eq!(kept, fields);
}

/// The bot is slow and the customer writes on: the naive way (send whatever answer comes) answers the first message after
/// the second.
#[test]
fn a_stale_turn_is_dropped_and_the_next_brings_what_nobody_answered() {
    let mut world = world();
    world.inbound(1, T0);
    world.at(T0 + S).inbound(2, T0 + S);
    assert_eq!(world.bot_cancels, [key(1, 1)]);
    assert_eq!(told(&world), ["in 1", "in 2"]);
    world.bot(key(1, 1), &says(&["stale"], Outcome::End));
    assert_eq!((world.said().len(), world.floor()), (0, Floor::Bot { turn: 2 }));
    world.bot(key(3, 1), &says(&["of a turn that never was"], Outcome::End));
    world.bot(key(2, 1), &says(&["fresh"], Outcome::Wait));
    // The result comes once more.
    world.bot(key(2, 1), &says(&["fresh"], Outcome::Wait));
    assert_eq!(world.said(), ["fresh"]);
    // What was answered is not told again.
    world.at(T0 + MIN).inbound(3, T0 + MIN);
    assert_eq!(told(&world), ["in 3"]);
}

/// Sends what comes back from the call that it made.
#[derive(Default)]
struct Naive {
    thread: Vec<String>,
}

impl Naive {
    fn on_result(&mut self, result: &BotResult) {
        let BotResult::Answered(answer) = result else { return };
        for reply in &answer.replies {
            self.thread.extend(reply.content().1.text);
        }
    }
}

/// chatwoot/chatwoot#13673: the person has answered while the bot's words were being generated, and they follow seconds
/// later.
#[test]
fn complaint_47_a_bots_late_answer_does_not_follow_the_persons() {
    type TakesOver = fn(&mut World);
    let by_phone: TakesOver = |world| world.echo(50, T0 + S);
    let by_agent: TakesOver = |world| {
        world.sent(Some("ann"), false);
    };
    let by_program: TakesOver = |world| {
        world.sent(None, true);
    };
    for takes_over in [by_phone, by_agent, by_program] {
        let mut world = world();
        world.inbound(1, T0);
        let asked = world.bot_calls[0].key;
        let mut naive = Naive::default();
        naive.thread.push("the person's".to_owned());
        world.at(T0 + S);
        takes_over(&mut world);
        assert_eq!(world.bot_cancels, [asked], "it need not be asked any more");
        let (said, floor) = (world.said(), world.floor());
        for outcome in [Outcome::Wait, Outcome::HandOff(HandOff::default()), Outcome::End] {
            let late = says(&["late"], outcome);
            world.bot(asked, &late);
            naive.on_result(&late);
        }
        assert_eq!(naive.thread, ["the person's", "late", "late", "late"], "the complaint");
        assert_eq!((world.said(), world.floor()), (said, floor));
        let resolved =
            |e: &ConversationEvent| matches!(e, ConversationEvent::EpisodeResolved { .. });
        assert!(!world.events.iter().any(resolved), "nor does it close what the person has");
    }
}

/// The app's away message takes the floor for a moment; what the bot was asked is not lost over it.
#[test]
fn after_an_automatic_echo_it_is_asked_again_for_what_it_was_asked() {
    let mut world = world();
    world.inbound(1, T0);
    world.at(T0 + S).echo(50, T0 + S);
    world.give(B, ConversationInput::EchoWasAutomatic { message: message(50) });
    assert_eq!((world.bot_calls.len(), told(&world)), (2, vec!["in 1".to_owned()]));
    let key = world.bot_calls[1].key;
    assert_eq!(world.floor(), Floor::Bot { turn: key.turn });
    world.bot(key, &says(&["hello"], Outcome::Wait));
    assert_eq!(world.said(), ["hello"]);
}

/// The first message of a customer who is known by phone and user id begins with a join.
#[test]
fn what_is_said_during_a_join_is_told_after_it() {
    let mut world = world();
    world.hold_channels = true;
    let paired = Some(address(P));
    world.say(B, Inbound { paired, ..inbound(1, T0) }, "hello");
    assert!(world.bot_calls.is_empty(), "no turn begins during a join");
    world.say(B, inbound(2, T0 + S), "hello");
    world.hold_channels = false;
    world.pump();
    assert_eq!((world.bot_calls.len(), told(&world).len()), (1, 2));
}

/// Both halves of a customer were talking to the bot: it is asked once, for everything.
#[test]
fn turns_of_two_addresses_become_one() {
    let mut world = world();
    world.say(P, inbound(1, T0), "by phone");
    world.at(T0 + S).inbound(2, T0 + S);
    let [by_phone, by_id] = world.bot_calls.clone().try_into().unwrap();
    let paired = Some(address(P));
    world.at(T0 + 2 * S).say(B, Inbound { paired, ..inbound(3, T0 + 2 * S) }, "both");
    assert_eq!(told(&world), ["in 1", "in 2", "in 3"]);
    let joined = world.bot_calls.last().unwrap().key;
    for stale in [by_phone.key, by_id.key] {
        world.bot(stale, &says(&["stale"], Outcome::Wait));
    }
    assert_eq!((world.bot_calls.len(), world.said().len()), (3, 0));
    world.bot(joined, &says(&["hello"], Outcome::Wait));
    assert_eq!(world.said(), ["hello"]);
}

#[test]
fn what_was_certainly_not_asked_is_asked_once_more_under_the_same_turn() {
    let mut world = world();
    world.inbound(1, T0);
    world.bot(key(1, 1), &BotResult::NotStarted);
    assert_eq!((world.bot_calls[1].key, told(&world)), (key(1, 2), vec!["in 1".to_owned()]));
    world.bot(key(1, 1), &BotResult::NotStarted);
    assert_eq!(world.bot_calls.len(), 2, "an attempt is over once");
    world.bot(key(1, 2), &BotResult::NotStarted);
    assert_eq!((world.floor(), faults(&world)), (Floor::Nobody, vec![BotFault::Lost]));
    assert_eq!(world.last_wanted().2, "general".into());
}

/// The process that asked was killed: nothing comes back. The next one asks again, and either answer counts.
#[test]
fn a_lost_call_is_asked_again_and_of_two_answers_the_first_counts() {
    for first in [1, 2] {
        let mut world = world();
        world.inbound(1, T0);
        world.pass(T0 + 8 * S);
        assert_eq!((world.bot_calls.len(), world.bot_calls[1].key), (2, key(1, 2)));
        world.bot(key(1, first), &says(&["first"], Outcome::Wait));
        world.bot(key(1, 3 - first), &says(&["second"], Outcome::End));
        assert_eq!(
            (world.said(), world.floor()),
            (vec!["first".to_owned()], Floor::Bot { turn: 1 })
        );
        world.pass(T0 + MIN);
        assert_eq!(world.bot_calls.len(), 2, "the timer ended with the answer");
    }
    let mut world = world();
    world.inbound(1, T0);
    world.pass(T0 + 16 * S);
    assert_eq!((world.floor(), faults(&world)), (Floor::Nobody, vec![BotFault::Lost]));
}

#[test]
fn where_it_fails_the_fallback_takes_over_for_the_episode() {
    let every = [
        BotFault::Deadline,
        BotFault::Unreachable,
        BotFault::Refused,
        BotFault::Unusable,
        BotFault::Busy,
        BotFault::NotConfigured,
        BotFault::Lost,
    ];
    for why in every {
        let mut world = world_with_fallback();
        world.inbound(1, T0);
        world.bot(key(1, 1), &BotResult::Failed(why));
        assert_eq!((world.said(), faults(&world)), (vec!["question".to_owned()], vec![why]));
        assert_eq!(world.floor(), Floor::Bot { turn: 2 });
        world.at(T0 + MIN).say(B, inbound(2, T0 + MIN), "buy");
        assert_eq!((world.bot_calls.len(), world.last_wanted().2), (1, "sales".into()));
        // The next episode asks it again.
        world.command(None, CommandKind::Resolve);
        world.at(T0 + H).inbound(3, T0 + H);
        assert_eq!((world.bot_calls.len(), told(&world)), (2, vec!["in 3".to_owned()]));
    }
}

/// The fallback hears what the customer wrote last, as far as it can be read.
#[test]
fn the_fallback_goes_on_with_the_customers_words() {
    let flow = "name = \"f\"\nversion = 1\nlanguages = [\"en\"]\nstart = \"menu\"\n\
        [nodes.menu]\ntype = \"menu\"\ntext = \"choose\"\n\
        choices = [{ title = \"Order\", keywords = [\"order\"], next = \"desk\" }, { title = \"Other\", next = \"desk\" }]\n\
        [nodes.desk]\ntype = \"handoff\"\nqueue = \"sales\"\n";
    let bot = crate::flow::Flow::read(flow, None).unwrap();
    let mut world = World::new(external_rules(Rules { bot: Some(bot.into()), ..plain_rules() }));
    let words = Content { text: Some("order".into()), ..Content::default() };
    let content = Open.seal(0, &persist::encode(&words).unwrap());
    world.say(B, Inbound { content, ..inbound(1, T0) }, "order");
    world.bot(key(1, 1), &BotResult::Failed(BotFault::Unreachable));
    assert_eq!(world.last_wanted().2, "sales".into());
}

#[test]
fn without_a_fallback_people_take_over_with_the_reason() {
    let mut world = world();
    world.inbound(1, T0);
    world.bot(key(1, 1), &BotResult::Failed(BotFault::Refused));
    assert_eq!((world.floor(), world.last_wanted().2), (Floor::Nobody, "general".into()));
    let failed = |event: &ConversationEvent| matches!(event, ConversationEvent::HandedOver { brief, .. } if brief.why == Why::Failed);
    assert!(world.events.iter().any(failed));
}

#[test]
fn who_waits_and_says_nothing_has_failed() {
    let mut world = world();
    world.inbound(1, T0);
    world.bot(key(1, 1), &says(&[], Outcome::Wait));
    assert_eq!((world.floor(), faults(&world)), (Floor::Nobody, vec![BotFault::Unusable]));
}

#[test]
fn it_may_resolve_what_needs_nobody() {
    let mut world = world();
    world.inbound(1, T0);
    world.bot(key(1, 1), &says(&["open until six"], Outcome::End));
    assert_eq!((world.said(), world.floor()), (vec!["open until six".to_owned()], Floor::Nobody));
    assert!(world.workspace.is_empty() && world.cancelled().is_empty());
    assert_eq!(world.get(B).waiting_since_ms(), None);
    world.at(T0 + MIN).inbound(2, T0 + MIN);
    assert_eq!((world.bot_calls.len(), told(&world)), (2, vec!["in 2".to_owned()]));
}

/// What it said has not left when the customer goes on: it is taken back, and its loss is no failure of the new turn.
#[test]
fn words_that_are_taken_back_do_not_end_the_next_turn() {
    let mut world = world();
    world.inbound(1, T0);
    world.bot(key(1, 1), &says(&["slow"], Outcome::Wait));
    let slow = world.requests()[0].request;
    world.at(T0 + S).inbound(2, T0 + S);
    assert_eq!(world.cancelled(), [slow]);
    world.outcome(slow, SendOutcome::Cancelled);
    assert_eq!(world.floor(), Floor::Bot { turn: 2 });
    world.bot(key(2, 1), &says(&["fresh"], Outcome::Wait));
    let fresh = world.requests()[1].request;
    world.outcome(fresh, SendOutcome::Unknown);
    assert_eq!(world.last_wanted().2, "general".into(), "what did not arrive is people's");
}

#[test]
fn what_a_turn_is_told_is_bounded_and_says_so() {
    let mut world = world();
    for n in 1..=20 {
        let at_ms = T0 + u64::from(n) * S;
        let content = sealed(&"x".repeat(400));
        world.at(at_ms).say(B, Inbound { content, ..inbound(n, at_ms) }, "x");
    }
    assert_eq!(told(&world).len(), 7, "3 KiB");
    let last = world.bot_calls.last().unwrap().heard.last().unwrap();
    assert_eq!((last.message, last.shortened), (message(20), false));
    let huge = Inbound { content: sealed(&"x".repeat(40_000)), ..inbound(21, T0 + MIN) };
    world.at(T0 + MIN).say(B, huge, &"語".repeat(1_000));
    let last = world.bot_calls.last().unwrap().heard.last().unwrap();
    let words: Content = persist::decode(&last.content.bytes).unwrap();
    assert_eq!((last.shortened, words.text), (true, Some("語".repeat(400))));
    assert_eq!(last.kind, ContentKind::Text);
}
