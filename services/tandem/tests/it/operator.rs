//! The operator's commands on a running process, and on its directory.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use api::v1::{Conversation, Message, SendMessage, SendRequest, send_message};
use serde_json::Value;
use tandem::stage::{Product, Stage};
use testkit::wait_for;

use super::{
    command::{BOUND, fails, run, said, succeeds, text},
    conversations::Conversations,
    kill,
    ordeal::{Ordeal, business_tokens},
    play::{Play, assert_clean, assert_no_errors, count, programs, scenario, set, settled, until},
    shop::{Shop, payload_of_today},
};

/// Segments of seconds, trimmed as soon as they are there.
pub(crate) const LIVELY_ARCHIVE: &str = "[archive]\nsegment_bytes = 65536\nsegment_age_ms = 500\n\
                              trim_interval_ms = 200\n[limits]\ncheckpoint_interval_ms = 500\n";

/// All threads by conversation; of a message what never changes any more.
type Threads = BTreeMap<String, BTreeSet<String>>;

async fn threads(product: &Product, config: &Path) -> Threads {
    let mut all = Threads::new();
    for token in business_tokens(config) {
        let mut api = Conversations::connect(product.addresses.desk, &token).await;
        for (conversation, messages) in api.everything().await {
            let known = messages.iter().filter(|message| !message.message_id.is_empty());
            let texts = known.map(|m| format!("{} {} {}", m.message_id, m.direction, m.text));
            all.insert(conversation.conversation_id, texts.collect());
        }
    }
    all
}

fn messages(threads: &Threads) -> usize {
    threads.values().map(BTreeSet::len).sum()
}

/// Every message of `part` is in `whole`, and in the same thread where there is still one of that id (two conversations
/// of one customer may have become one).
fn assert_within(part: &Threads, whole: &Threads, what: &str) {
    let all: BTreeSet<&String> = whole.values().flatten().collect();
    for (conversation, texts) in part {
        let missing: Vec<_> = texts.iter().filter(|text| !all.contains(text)).take(3).collect();
        assert!(missing.is_empty(), "{what} miss {missing:?} of {conversation}");
        if let Some(of_whole) = whole.get(conversation) {
            let strayed: Vec<_> = texts.difference(of_whole).take(3).collect();
            assert!(strayed.is_empty(), "in {what} {strayed:?} left {conversation}");
        }
    }
}

/// The configuration of a second installation with a data directory of its own.
fn second_config(config: &Path, dir: &Path) -> PathBuf {
    let mut table: toml::Table = std::fs::read_to_string(config).unwrap().parse().unwrap();
    let data = dir.join("data");
    table.insert("data_dir".to_owned(), data.display().to_string().into());
    std::fs::create_dir_all(dir).unwrap();
    let file = dir.join("tandem.toml");
    std::fs::write(&file, toml::to_string(&table).unwrap()).unwrap();
    file
}

async fn started(dir: &Path) -> Product {
    Product::start(&programs().tandem, dir, &[], Duration::from_secs(60)).await.unwrap()
}

/// A backup of a running process under load restores to the threads as of the cut, and the restored process sends nothing
/// until an operator has confirmed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_restores_to_equal_threads_and_sends_nothing_until_confirmed() {
    let mut play = Play::begin("backup").await;
    let busy = scenario(kill::SCENARIO, |table| set(table, "traffic", "inbound_per_s", 60.0));
    let stage = Stage::open_with(programs(), play.dir(), &busy, &[], LIVELY_ARCHIVE).await.unwrap();
    let mut ordeal = Ordeal::begin("backup", stage, Vec::new()).await;
    ordeal.traffic(1_500).await;
    let config = ordeal.stage.config_file();
    let backup = play.dir().join("backup");
    let before = threads(&ordeal.product, &config).await;
    let made = ["backup", "--config", text(&config), "--to", text(&backup), "--include-key"];
    println!("backup: {}", succeeds(&made).await.trim());
    fails(&made, "is not empty").await;
    ordeal.traffic(300).await;
    let report = play.rest(ordeal.control(), kill::SETTLE).await;
    assert_clean("backup", &report);
    let after = threads(&ordeal.product, &config).await;
    ordeal.product.stop(Duration::from_secs(30)).await.unwrap();
    assert_no_errors(&ordeal.log(), &[]);

    let second = play.dir().join("second");
    let config = second_config(&config, &second);
    let restore = ["restore", "--config", text(&config), "--from", text(&backup)];
    println!("restore: {}", succeeds(&restore).await.trim());
    fails(&restore, "is not empty").await;
    let sends = async || count(&ordeal.control().report().await.unwrap(), "sends");
    let sent_before = sends().await;
    let mut product = started(&second).await;
    let restored = settled(async || threads(&product, &config).await).await;
    println!(
        "backup: {} messages before, {} restored, {} at the end",
        messages(&before),
        messages(&restored),
        messages(&after)
    );
    assert!(messages(&before) > 500);
    assert_within(&before, &restored, "the restored threads");
    assert_within(&restored, &after, "the original's threads");
    let waiting = succeeds(&["sends", "list-unknown", "--config", text(&config)]).await;
    assert!(waiting.contains("waits") && waiting.contains("nothing is sent"), "{waiting}");
    let status = run(&["status", "--config", text(&config)], BOUND).await;
    assert!(said(&status).contains("generation 2"), "{}", said(&status));
    assert_eq!(sends().await, sent_before, "the restored process sent something");

    // Nor does it after another start.
    product.stop(Duration::from_secs(30)).await.unwrap();
    let mut product = started(&second).await;
    settled(async || threads(&product, &config).await).await;
    assert_eq!(sends().await, sent_before, "it sent something after another start");
    let confirmed = succeeds(&["sends", "confirm", "--config", text(&config)]).await;
    assert!(confirmed.contains("ended as unknown"), "{confirmed}");
    fails(&["sends", "confirm", "--config", text(&config)], "nothing is held").await;
    assert_eq!(sends().await, sent_before, "what waited was sent");
    let waiting = succeeds(&["sends", "list-unknown", "--config", text(&config)]).await;
    assert!(!waiting.contains("waits"), "{waiting}");
    // What is asked for from now on leaves.
    ordeal.control().product(&product.addresses).await.unwrap();
    send_something(&product, &config).await;
    let enough = |report: &Value| count(report, "sends") > sent_before;
    until(ordeal.control(), "a send", Duration::from_secs(30), enough).await;
    product.stop(Duration::from_secs(30)).await.unwrap();
}

/// A reply in the first conversation that takes one.
async fn send_something(product: &Product, config: &Path) {
    for token in business_tokens(config) {
        let mut api = Conversations::connect(product.addresses.desk, &token).await;
        for (n, conversation) in (1..).zip(api.list().await) {
            let message = SendMessage {
                conversation_id: conversation.conversation_id,
                content: Some(send_message::Content::Text("We are back".to_owned())),
                take_floor: true,
                ..SendMessage::default()
            };
            let command_id =
                Some(api::v1::CommandId { client: "operator-test".to_owned(), number: n });
            let send = SendRequest { command_id, message: Some(message) };
            if api.send(send).await.is_ok() {
                return;
            }
        }
    }
    panic!("no conversation takes a message");
}

/// Once its log is trimmed, the read model is rebuilt from segments and log to the same; tampered segments are named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_of_a_trimmed_directory_is_equal_and_tampered_segments_are_named() {
    let mut play = Play::begin("segments").await;
    let busy = scenario(kill::SCENARIO, |table| set(table, "traffic", "inbound_per_s", 60.0));
    let stage = Stage::open_with(programs(), play.dir(), &busy, &[], LIVELY_ARCHIVE).await.unwrap();
    let mut ordeal = Ordeal::begin("segments", stage, Vec::new()).await;
    ordeal.traffic(1_500).await;
    let report = play.rest(ordeal.control(), kill::SETTLE).await;
    assert_clean("segments", &report);
    let trimmed = ordeal.metric("tandem_archive_trimmed_total", "what=\"log\"").await;
    println!("segments: {trimmed} records trimmed");
    assert!(trimmed > 100.0, "only {trimmed} records were trimmed");
    ordeal.stage.simulator.stop().await.unwrap();
    let config = ordeal.stage.config_file();
    let before = settled(async || threads(&ordeal.product, &config).await).await;
    ordeal.product.stop(Duration::from_secs(30)).await.unwrap();
    assert_no_errors(&ordeal.log(), &[]);
    succeeds(&["archive", "rebuild", "--config", text(&config)]).await;
    let segments = play.dir().join("data/segments");
    let verify = ["segments", "verify", text(&segments)];
    assert!(succeeds(&verify).await.contains("complete and linked"));
    let mut product = ordeal.stage.start_product(&[]).await.unwrap();
    assert_eq!(settled(async || threads(&product, &config).await).await, before);
    product.stop(Duration::from_secs(30)).await.unwrap();

    let file = a_segment(&segments);
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let whole = std::fs::read(&file).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    std::fs::write(&file, &changed).unwrap();
    fails(&verify, &name).await;
    fails(&["archive", "rebuild", "--config", text(&config)], &name).await;
    std::fs::remove_file(&file).unwrap();
    fails(&verify, "missing").await;
    std::fs::write(&file, &whole).unwrap();
    succeeds(&verify).await;
}

/// The oldest segment of some partition that has several.
fn a_segment(dir: &Path) -> PathBuf {
    let partitions = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let segments = |partition: PathBuf| -> Vec<PathBuf> {
        let files = std::fs::read_dir(partition).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|e| e == "segment")).collect();
        files.sort();
        files
    };
    let mut several = partitions.map(segments).filter(|files| files.len() > 1);
    several.next().expect("a partition with several segments").remove(0)
}

/// An input that cannot be decided is set aside, shown without what the customer wrote, and decided when an operator
/// replays it after the fault is mended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisonous_message_is_set_aside_and_decided_when_it_is_replayed() {
    let poison = [("TANDEM_FAILPOINT_POISON", "inbound")];
    let mut shop = Shop::open_with("dead letters", &poison).await;
    let config = shop.config_file();
    let config = text(&config);
    shop.deliver(&payload_of_today("in_text")).await;
    let id = letter_of(config, &shop).await;
    assert!(shop.read(super::shop::TOKEN).await.iter().all(|(_, thread)| thread.is_empty()));
    let shown = succeeds(&["dead-letters", "show", &id, "--config", config]).await;
    assert!(shown.contains("sealed_bytes") && !shown.contains("12125550123"), "{shown}");
    let personal = ["dead-letters", "show", &id, "--personal-content", "--config", config];
    assert!(succeeds(&personal).await.contains("wamid."));
    fails(&["dead-letters", "show", "7.1.1.0", "--config", config], "there is no dead letter")
        .await;
    fails(&["up", "--config", config], "in use").await;

    // With nobody holding the directory it is opened itself.
    shop.stop().await;
    assert!(succeeds(&["dead-letters", "list", "--config", config]).await.contains(&id));
    let replayed = succeeds(&["dead-letters", "replay", &id, "--config", config]).await;
    assert!(replayed.contains("when the process is started"), "{replayed}");
    shop.start(&[]).await;
    let (_, thread): (Conversation, Vec<Message>) = shop.only(1).await;
    assert!(!thread[0].text.is_empty());
    let listed = succeeds(&["dead-letters", "list", "--config", config]).await;
    assert!(listed.contains("replayed") && listed.contains("1 dead letters"), "{listed}");
    fails(&["dead-letters", "replay", &id, "--config", config], "was replayed already").await;
    // Once more it changes nothing: the message is known.
    succeeds(&["dead-letters", "replay", &id, "--again", "--config", config]).await;
    shop.only(1).await;
    let ping = succeeds(&["ping", "--config", config]).await;
    assert!(ping.contains("node-1 lives"), "{ping}");
    let audit = std::fs::read_to_string(shop.log()).unwrap();
    assert!(audit.contains("replay dead letter") && audit.contains("with personal content"));
    shop.close_with(&["panicked", "dead", "poison", "failpoint"]).await;
}

async fn letter_of(config: &str, shop: &Shop) -> String {
    let listed = async || {
        let listed = succeeds(&["dead-letters", "list", "--config", config]).await;
        let line = listed.lines().find(|line| line.contains("conversation"))?;
        line.split_whitespace().next().map(str::to_owned)
    };
    let letter = wait_for(Duration::from_secs(30), "a dead letter", listed).await;
    letter.unwrap_or_else(|error| panic!("{error}; see {}", shop.log().display()))
}
