//! Rules of a configuration, and flow files that change while the process runs.

use std::fs;

use domain::naming;

use super::*;

const FLOW: &str = "name = \"f\"\nversion = 1\nlanguages = [\"en\"]\nstart = \"desk\"\n[nodes.desk]\ntype = \"handoff\"\nqueue = \"sales\"\n";

fn config(bot: &str) -> Config {
    let text = format!(
        r#"
[[business]]
id = "shop"
app_secrets = ["secret"]
verify_token = "verify"
bot = {bot}
[business.workspace]
id = "desk"
queue = [{{ id = "sales", title = "Sales", keywords = ["buy"] }}]
[[business.number]]
phone_number_id = "1065"
display_phone_number = "+1 555"
waba_id = "1"
access_token = "token"
mode = "api"
"#
    );
    Config::from_toml(&text, []).unwrap()
}

fn sealer() -> Sealer {
    Sealer::deterministic_from_key([1; 32])
}

fn version(book: &RuleBook) -> Option<String> {
    let sealer = sealer();
    let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
    let rules = book.of(Some(naming::number_id(&hash, "1065")));
    rules.bot.as_ref().map(|flow| format!("{} {}", flow.name(), flow.version()))
}

#[test]
fn the_old_configuration_is_a_generated_flow_and_none_is_none() {
    let book = RuleBook::new(&config("{ enabled = true }"), &sealer()).unwrap();
    assert_eq!(version(&book).as_deref(), Some("question 1"));
    let book = RuleBook::new(&config("{ enabled = false }"), &sealer()).unwrap();
    assert_eq!(version(&book), None);
}

#[test]
fn an_external_bot_stands_before_the_question_and_its_call_is_over_before_it_is_taken_as_lost() {
    let bot = "{ enabled = true, external = { endpoint = \"https://x\", token = \"bot-token-0123456789\" } }";
    let config = config(bot);
    let book = RuleBook::new(&config, &sealer()).unwrap();
    let sealer = sealer();
    let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
    let rules = book.of(Some(naming::number_id(&hash, "1065")));
    let over_ms = rules.external.unwrap().over_ms;
    assert!(over_ms > config.limits.start_by_ms + 5_000, "{over_ms}");
    assert_eq!(version(&book).as_deref(), Some("question 1"), "the fallback");
}

#[test]
fn a_changed_file_is_taken_and_a_bad_one_leaves_what_is_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f.toml");
    fs::write(&file, FLOW).unwrap();
    let bot = format!("{{ flow = '{}' }}", file.display());
    let book = RuleBook::new(&config(&bot), &sealer()).unwrap();
    assert_eq!(version(&book).as_deref(), Some("f 1"));
    fs::write(&file, FLOW.replace("version = 1", "version = 22")).unwrap();
    book.reload();
    assert_eq!(version(&book).as_deref(), Some("f 22"));
    fs::write(&file, FLOW.replace("sales", "nobody's")).unwrap();
    book.reload();
    assert_eq!(version(&book).as_deref(), Some("f 22"));
    assert!(book.files[0].read_if_changed().is_none(), "said once");
    fs::remove_file(&file).unwrap();
    book.reload();
    assert_eq!(version(&book).as_deref(), Some("f 22"));
    fs::write(&file, FLOW.replace("version = 1", "version = \"three\"")).unwrap();
    book.reload();
    assert_eq!(version(&book).as_deref(), Some("f three"));
}

#[test]
fn a_file_that_cannot_be_used_is_told_with_its_place_and_nothing_starts() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f.toml");
    fs::write(&file, FLOW.replace("sales", "nobody's")).unwrap();
    let bot = format!("{{ flow = '{}' }}", file.display());
    let FlowsError(told) = RuleBook::new(&config(&bot), &sealer()).unwrap_err();
    assert!(told.contains("f.toml:7:9: there is no queue `nobody's`"), "{told}");
}
