//! Every payload file becomes what `expected.txt` says, which was checked by hand against INDEX.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use whatsapp::errors::ErrorClass;
use whatsapp::graph::answer::read_send;
use whatsapp::graph::{CallResult, Refusal};
use whatsapp::media::MediaLocation;

use crate::describe;
use crate::signing::as_meta_escapes;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/payloads")
}

pub(crate) fn text_of(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

pub(crate) fn json_of(name: &str) -> Value {
    serde_json::from_str(&text_of(name)).unwrap()
}

fn names() -> BTreeSet<String> {
    let files = fs::read_dir(folder()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".json")).collect()
}

/// The names of the files that hold webhooks.
pub(crate) fn webhook_names() -> Vec<String> {
    names()
        .into_iter()
        .filter(|name| !name.starts_with("api_") && !name.starts_with("es_"))
        .collect()
}

/// The POST bodies in a file: one as it stands, or those of a sequence.
pub(crate) fn posts_of(name: &str) -> Vec<String> {
    if name.starts_with("seq_") {
        json_of(name).as_array().unwrap().iter().map(Value::to_string).collect()
    } else {
        vec![text_of(name)]
    }
}

fn expected() -> BTreeMap<&'static str, Vec<&'static str>> {
    let sections = concat!("\n", include_str!("expected.txt")).split("\n== ").skip(1);
    sections
        .map(|section| {
            let mut lines = section.lines();
            (lines.next().unwrap(), lines.collect())
        })
        .collect()
}

#[test]
fn every_webhook_file_becomes_what_the_table_says() {
    let mut expected = expected();
    for name in webhook_names() {
        let lines: Vec<_> =
            posts_of(&name).iter().flat_map(|post| describe::lines(post.as_bytes())).collect();
        assert_eq!(
            Some(lines.iter().map(String::as_str).collect()),
            expected.remove(name.as_str()),
            "{name}"
        );
    }
    assert!(expected.is_empty(), "no such files: {:?}", expected.keys());
}

#[test]
fn escaped_as_meta_escapes_it_means_the_same() {
    for name in webhook_names() {
        for post in posts_of(&name) {
            let escaped = as_meta_escapes(&post);
            assert_eq!(
                describe::lines(escaped.as_bytes()),
                describe::lines(post.as_bytes()),
                "{name}"
            );
        }
    }
}

#[test]
fn the_index_lists_every_file() {
    let index = fs::read_to_string(folder().join("INDEX.md")).unwrap();
    let rows = index.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let listed: BTreeSet<String> =
        rows.filter(|name| name.ends_with(".json")).map(str::to_owned).collect();
    assert_eq!(listed, names());
}

#[test]
fn a_browser_event_is_no_webhook() {
    let lines = describe::lines(text_of("es_session_event_finish_coexistence.json").as_bytes());
    assert_eq!(lines, ["- unknown malformed Envelope NothingInIt"]);
}

fn answer(name: &str) -> (u16, Vec<u8>) {
    let file = json_of(name);
    let status = file["response"]["status"].as_u64().unwrap();
    (u16::try_from(status).unwrap(), file["response"]["body"].to_string().into_bytes())
}

fn refusal(name: &str) -> Refusal {
    let (http, body) = answer(name);
    match read_send(http, &body) {
        CallResult::Refused(refusal) => *refusal,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn accepted_answers() {
    let accepted = |name| {
        let (http, body) = answer(name);
        let CallResult::Accepted(it) = read_send(http, &body) else { panic!("{name}") };
        assert!(it.wamid.starts_with("wamid."));
        (it.wa_id, it.user_id, it.message_status)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(accepted("api_send_text_ok.json"), (some("12125550123"), None, None));
    assert_eq!(
        accepted("api_send_text_to_bsuid_ok.json"),
        (None, some("US.7043115920486377215"), None)
    );
    assert_eq!(
        accepted("api_send_template_held.json"),
        (some("12125550123"), None, some("held_for_quality_assessment"))
    );
}

#[test]
fn refused_answers() {
    let class = |name| refusal(name).verdict().class;
    assert_eq!(class("api_error_130429_throughput.json"), ErrorClass::Throttled);
    assert_eq!(class("api_error_131056_pair_rate.json"), ErrorClass::PairBackoff);
    assert_eq!(class("api_error_132001_template_missing.json"), ErrorClass::TemplateWrong);
    assert_eq!(class("api_smb_app_data_error_2593107_already_used.json"), ErrorClass::AlreadyDone);
    assert_eq!(class("api_smb_app_data_error_2593108_window_passed.json"), ErrorClass::NoRetry);
    let expired = refusal("api_error_190_token_expired.json");
    assert_eq!(
        (expired.code, expired.subcode, expired.details.as_deref()),
        (Some(190), Some(463), None)
    );
    assert_eq!(expired.verdict().class, ErrorClass::StopChannel);
    let details = refusal("api_error_132001_template_missing.json").details;
    assert_eq!(details.as_deref(), Some("template name (nope) does not exist in en_US"));
}

#[test]
fn media_answer() {
    let (_, body) = answer("api_media_get_url.json");
    let it = MediaLocation::read(&body).unwrap();
    assert_eq!((it.id.as_deref(), it.file_size_bytes), (Some("900000000000001"), Some(183_942)));
    let webhook = json_of("in_image_with_url.json");
    let image = &webhook["entry"][0]["changes"][0]["value"]["messages"][0]["image"];
    let of_webhook = whatsapp::media::sha256_bytes(image["sha256"].as_str().unwrap());
    assert!(it.sha256.is_some());
    assert_eq!(it.sha256, of_webhook, "hexadecimal here, base64 there, the same bytes");
}

#[test]
fn other_answers_are_never_taken_for_a_sent_message() {
    for name in [
        "api_message_history_lookup.json",
        "api_phone_number_coexistence_check.json",
        "api_smb_app_data_history_ok.json",
        "api_media_get_url.json",
    ] {
        let (http, body) = answer(name);
        assert!(matches!(read_send(http, &body), CallResult::Unknown(_)), "{name}");
    }
}
