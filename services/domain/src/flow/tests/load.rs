//! Everything wrong with a file is told at once, with its place.

use std::collections::BTreeSet;

use crate::flow::*;

fn problems(text: &str) -> Vec<String> {
    let queues = BTreeSet::from(["sales".into()]);
    match Flow::read(text, Some(&queues)) {
        Ok(_) => Vec::new(),
        Err(Problems(found)) => found.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn all_problems_of_a_file_are_told_with_line_and_column() {
    let text = r#"name = "a b"
version = 1
languages = ["en", "ja"]
start = "main"
greetings = { en = "x" }
[nodes.main]
type = "menu"
text = { en = "choose" }
[[nodes.main.choices]]
title = { en = "A title that is far too long", ja = "い" }
next = "nowhere"
[[nodes.main.choices]]
title = { en = "Two", ja = "二" }
keywords = ["x", "..."]
next = "round"
[[nodes.main.choices]]
title = { en = "TWO", ja = "に" }
keywords = ["X"]
next = "desk"
[nodes.desk]
type = "handoff"
queue = "unknown"
text = { any = "bye {{nobody}}" }
[nodes.round]
type = "message"
text = { any = "…" }
next = "round2"
[nodes.round2]
type = "message"
text = { any = "…" }
next = "round"
[nodes.island]
type = "ask"
kind = "regex"
pattern = "["
field = "f"
text = { any = "?" }
next = "main"
"#;
    let found = problems(text);
    let expected = [
        ("1:8", "use 1 to 64 letters"),
        ("5:1", "no key `greetings`"),
        ("8:8", "`text` is missing in `ja`"),
        ("10:16", "28 characters; WhatsApp takes 20"),
        ("11:8", "no node `nowhere`"),
        ("14:18", "nothing to look for"),
        ("17:9", "two choices are called `two` in `en`"),
        ("18:13", "leads to two choices"),
        ("22:9", "no queue `unknown`"),
        ("23:16", "nothing fills the variable `nobody`"),
        ("24:8", "round → round2 → round goes round"),
        ("32:8", "nothing leads to node `island`"),
        ("35:11", "no regular expression"),
    ];
    for (place, part) in expected {
        assert!(
            found.iter().any(|told| told.starts_with(&format!("{place}: ")) && told.contains(part)),
            "{place} {part}\n{found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn limits_of_meta_and_of_sense_are_held() {
    let head = "name = \"x\"\nversion = 1\nlanguages = [\"en\"]\nstart = \"m\"\n";
    let choices = |n: usize| -> String {
        (0..n).map(|n| format!("{{ title = \"Choice {n}\", next = \"e\" }},")).collect()
    };
    let menu = |extra: &str, n: usize| {
        let choices = choices(n);
        format!(
            "{head}[nodes.m]\ntype = \"menu\"\ntext = \"t\"\n{extra}\nchoices = [{choices}]\n[nodes.e]\ntype = \"end\"\n"
        )
    };
    let table = [
        (menu("", 3), ""),
        (menu("", 4), "add `opener`"),
        (menu("opener = \"Open\"", 10), ""),
        (menu("opener = \"Open\"", 11), "11 choices"),
        (menu("style = \"text\"", 11), ""),
        (menu("style = \"buttons\"", 4), "4 choices"),
        (menu("style = \"fancy\"", 2), "auto, buttons, list or text"),
        (menu("", 0), "no choices"),
        (menu("opener = \"Open the list of all\"\n", 5), ""),
        (menu("opener = \"Open the list of everything\"\n", 5), "WhatsApp takes 20"),
        (menu("tries = 0", 2), "from 1 to 10"),
        (format!("{head}[nodes.m]\ntype = \"dance\"\n"), "no type of node"),
        (
            format!(
                "{head}[nodes.m]\ntype = \"hours\"\ncalendar = \"c\"\nopen = \"m\"\nclosed = \"m\"\n"
            ),
            "no [calendars.c]",
        ),
        (
            format!(
                "{head}[nodes.m]\ntype = \"end\"\n[calendars.c]\nzone = \"Mars/A\"\nmon = [\"9-5\"]\n"
            ),
            "no time zone",
        ),
        ("name = ".to_owned(), "not TOML"),
        (String::new(), "no `name`"),
    ];
    for (text, part) in table {
        let found = problems(&text).join("\n");
        assert_eq!(found.is_empty(), part.is_empty(), "{text}\n{found}");
        assert!(found.contains(part), "{text}\n{found}");
    }
}

#[test]
fn too_many_messages_in_a_row_are_refused() {
    let mut text = "name = \"x\"\nversion = 1\nlanguages = [\"en\"]\nstart = \"m0\"\n".to_owned();
    for n in 0..8 {
        text.push_str(&format!(
            "[nodes.m{n}]\ntype = \"message\"\ntext = \"x\"\nnext = \"m{}\"\n",
            n + 1
        ));
    }
    text.push_str("[nodes.m8]\ntype = \"end\"\n");
    assert!(problems(&text).iter().any(|told| told.contains("messages are sent in a row")));
}
