//! Single rules of the engine.

use super::dialogues::{Player, example};
use crate::flow::*;

fn small(extra: &str) -> Flow {
    let text = format!(
        r#"
name = "small"
version = 1
languages = ["en"]
start = "menu"
restart = "changed"
{extra}
[nodes.menu]
type = "menu"
text = "choose"
choices = [
    {{ title = "Name", next = "name" }},
    {{ title = "Bye", next = "bye" }},
]
[nodes.name]
type = "ask"
field = "who"
kind = "name"
text = "who?"
next = "bye"
[nodes.bye]
type = "end"
text = "bye {{{{who|you}}}}"
"#
    );
    Flow::read(&text, None).unwrap_or_else(|problems| panic!("{}", problems.told("small")))
}

fn player(flow: Flow) -> Player {
    Player::new(flow, "15550100", 1_800_000_000_000)
}

#[test]
fn a_second_tap_on_the_same_button_is_nothing_and_one_on_an_old_menu_goes_there() {
    let mut player = player(small(""));
    player.say("hi");
    let old = player.buttons.clone();
    assert_eq!(player.say("[Name]").0, ["who?"]);
    let (said, turn) = player.say("[Name]");
    assert!(turn.ignored && said.is_empty() && player.state.node.as_deref() == Some("name"));
    player.buttons = old;
    let (said, turn) = player.say("[Bye]");
    assert_eq!((said, turn.answer.outcome), (vec!["bye you".to_owned()], Outcome::End));
}

#[test]
fn a_tap_that_nothing_knows_is_read_by_its_title() {
    let mut player = player(small(""));
    player.say("hi");
    let heard = Heard { text: Some("Name".into()), ..Heard::choice("someone else's id") };
    assert_eq!(player.hear(Some(&heard)).0, ["who?"]);
}

#[test]
fn words_written_before_the_question_was_read_are_no_wrong_answer_but_may_be_a_right_one() {
    let mut player = player(small(""));
    player.say("hi");
    let early = |text: &str| Heard { early: true, ..Heard::text(text) };
    assert!(player.hear(Some(&early("are you there"))).1.ignored);
    assert_eq!(player.hear(Some(&early("name"))).0, ["who?"]);
    assert!(player.hear(Some(&early("is anyone here"))).1.ignored, "no name is taken from it");
    let (said, _) = player.say("Ana");
    assert_eq!(said, ["bye Ana"]);
}

#[test]
fn a_changed_flow_goes_on_where_its_node_still_is_and_else_begins_politely() {
    let mut player = player(small(""));
    player.say("hi");
    player.say("[Name]");
    player.flow = small("[variables]\nx = \"1\"");
    player.flow.version = "2".into();
    let kept = player.state.clone();
    assert_eq!(player.say("Ana").0, ["bye Ana"]);
    player.state = kept;
    player.flow.nodes.remove("name");
    let (said, turn) = player.say("Ana");
    assert_eq!(said[0], "changed");
    assert!(said[1].starts_with("choose"));
    assert_eq!((turn.state.version.as_str(), turn.state.node.as_deref()), ("2", Some("menu")));
}

#[test]
fn the_question_is_put_again_without_words() {
    let mut player = player(small(""));
    player.say("hi");
    player.say("[Name]");
    assert_eq!(player.hear(None).0, ["who?"]);
    assert_eq!(player.state.node.as_deref(), Some("name"));
}

/// Repeated failure: the naive bot beside it repeats for ever.
#[test]
fn repeated_failure_ends_with_people_and_what_was_collected() {
    let mut player = player(example("bank"));
    player.say("hi");
    player.say("[Loans]");
    let naive = |turns: usize| (0..turns).map(|_| "What?").collect::<Vec<_>>();
    let mut asked = 0;
    let told = loop {
        asked += 1;
        match player.say("blah").1.answer.outcome {
            Outcome::HandOff(told) => break told,
            _ => assert!(asked < 5, "asks for ever, as {:?}", naive(asked)),
        }
    };
    assert_eq!((asked, told.why), (3, Why::NotUnderstood));
}

#[test]
fn a_state_stays_within_its_bound_whatever_is_collected() {
    let mut asks = String::new();
    for n in 0..24 {
        let next = if n == 23 { "bye".to_owned() } else { format!("q{}", n + 1) };
        asks.push_str(&format!(
            "[nodes.q{n}]\ntype = \"ask\"\nfield = \"a_field_of_some_length_{n}\"\nkind = \"text\"\nmax = 254\ntext = \"?\"\nnext = \"{next}\"\n"
        ));
    }
    let text = format!(
        "name = \"long\"\nversion = 1\nlanguages = [\"en\"]\nstart = \"q0\"\n{asks}[nodes.bye]\ntype = \"end\"\n"
    );
    let mut player = player(Flow::read(&text, None).unwrap());
    player.say("hi");
    let long = "界".repeat(254);
    for _ in 0..60 {
        // `hear` asserts the bound.
        if player.say(&long).1.answer.outcome != Outcome::Wait {
            return;
        }
    }
    panic!("what does not fit must end with people");
}

#[test]
fn numbers_of_the_text_menu_are_those_that_are_shown() {
    let options = ["Sales", "Billing & Payments", "الدعم"];
    let option = |title: &&str| MenuOption {
        title: (*title).to_owned(),
        keywords: vec![format!("word {title}")],
        queue: (*title).into(),
    };
    let question = OneQuestion {
        question: "How?".into(),
        options: options.iter().map(option).collect(),
        hand_off: "thanks".into(),
        fallback: "again".into(),
        ..OneQuestion::default()
    };
    for (answer, queue) in [
        ("1", "Sales"),
        (" 2. ", "Billing & Payments"),
        ("٣", "الدعم"),
        ("billing payments", "Billing & Payments"),
        ("الدعم", "الدعم"),
        ("the WORD sales", "Sales"),
    ] {
        let mut player = player(Flow::one_question(&question));
        let (said, _) = player.say("word sales");
        assert_eq!(
            said,
            ["How?\n1. Sales\n2. Billing & Payments\n3. الدعم"],
            "the first words are not heard"
        );
        let (said, turn) = player.say(answer);
        assert_eq!(said, ["thanks"], "{answer}");
        let Outcome::HandOff(told) = turn.answer.outcome else { panic!("{answer}") };
        assert_eq!(told.queue, Some(queue.into()), "{answer}");
    }
}
