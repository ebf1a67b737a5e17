//! The commands as an operator runs them.

use std::{path::Path, process::Output, time::Duration};

use api::v1::{Conversation, Message};
use tandem::stage::Stage;
use tokio::process::Command;

use super::{
    command::{run, said, text},
    conversations::Conversations,
    ordeal::{Ordeal, business_tokens},
    play::{Play, assert_clean, get, programs, scenario, set, settled},
    shop::{CLINIC_SECRET, SECRET, TOKEN, config},
};

const SCENARIO: &str = include_str!("../../../../loadtest/scenarios/demo.toml");

const BOUND: Duration = Duration::from_secs(60);

/// Runs a command with this configuration.
async fn tandem(args: &[&str], config: &Path) -> Output {
    run(&[args, &["--config", text(config)]].concat(), BOUND).await
}

#[tokio::test]
async fn a_bad_configuration_is_refused_with_every_fault() {
    let play = Play::begin("config check").await;
    let file = play.dir().join("tandem.toml");
    std::fs::write(&file, config(play.dir(), "http://127.0.0.1:9")).unwrap();
    let good = tandem(&["config", "check"], &file).await;
    assert!(good.status.success(), "{}", said(&good));
    assert!(said(&good).contains("businesses 2, numbers 2"), "{}", said(&good));

    let text =
        config(play.dir(), "http://127.0.0.1:9").replace("mode = \"api\"", "mode = \"telegraph\"");
    std::fs::write(&file, text).unwrap();
    let bad = tandem(&["config", "check"], &file).await;
    assert_eq!(bad.status.code(), Some(1));
    assert!(said(&bad).contains("telegraph"), "{}", said(&bad));

    let text = config(play.dir(), "http://127.0.0.1:9")
        .replacen(
            "phone_number_id = \"200000000000303\"",
            "phone_number_id = \"200000000000202\"",
            1,
        )
        .replace("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:0\"");
    std::fs::write(&file, text).unwrap();
    let bad = tandem(&["config", "check"], &file).await;
    assert_eq!(bad.status.code(), Some(1));
    for fault in ["gateway.listen", "desk.listen", "admin.listen", "phone_number_id"] {
        assert!(said(&bad).contains(fault), "no {fault} in: {}", said(&bad));
    }
    let missing = tandem(&["up"], &play.dir().join("no-such-file.toml")).await;
    assert_eq!(missing.status.code(), Some(1));
    assert!(said(&missing).contains("no-such-file.toml"), "{}", said(&missing));
}

#[tokio::test]
async fn a_printed_configuration_has_no_secrets() {
    let play = Play::begin("config print").await;
    let file = play.dir().join("tandem.toml");
    std::fs::write(&file, config(play.dir(), "http://127.0.0.1:9")).unwrap();
    let printed = tandem(&["config", "print"], &file).await;
    assert!(printed.status.success(), "{}", said(&printed));
    let text = said(&printed);
    assert!(text.contains("[redacted]") && text.contains("200000000000202"), "{text}");
    for secret in [SECRET, CLINIC_SECRET, TOKEN, "shop-verify", "graph-token"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_per_directory_a_good_stop_under_load_and_a_rebuild() {
    let mut play = Play::begin("up").await;
    let lively = scenario(SCENARIO, |table| set(table, "traffic", "inbound_per_s", 60.0));
    let stage = Stage::open(programs(), play.dir(), &lively).await.unwrap();
    let mut ordeal = Ordeal::begin("up", stage, Vec::new()).await;
    ordeal.traffic(300).await;
    let config = ordeal.stage.config_file();
    for command in [&["up"][..], &["archive", "rebuild"]] {
        let second = tandem(command, &config).await;
        assert_eq!(second.status.code(), Some(1), "{}", said(&second));
        let holder = ordeal.product.id().unwrap().to_string();
        assert!(said(&second).contains(&holder), "{command:?}: {}", said(&second));
    }
    for (path, part) in [("healthz", ""), ("readyz", ""), ("metrics", "tandem_gateway_posts_total")]
    {
        let url = format!("http://{}/{path}", ordeal.product.addresses.admin);
        assert!(get(&url).await.contains(part), "{path}");
    }
    let flight = ordeal.control().in_flight().await.unwrap();
    let status = ordeal.product.stop(Duration::from_secs(30)).await.unwrap();
    println!("up: SIGTERM with {flight} in flight: {status}");
    assert!(status.success(), "{status}");
    ordeal.restart(&[]).await;
    ordeal.traffic(200).await;
    let report = play.rest(ordeal.control(), Duration::from_secs(90)).await;
    assert_clean("up", &report);

    // Agents who come back would go on answering.
    ordeal.stage.simulator.stop().await.unwrap();
    let before = settled(async || everything(&ordeal).await).await;
    assert!(before.len() > 20);
    ordeal.product.stop(Duration::from_secs(30)).await.unwrap();
    let rebuilt = tandem(&["archive", "rebuild"], &config).await;
    assert!(rebuilt.status.success(), "{}", said(&rebuilt));
    ordeal.product = ordeal.stage.start_product(&[]).await.unwrap();
    assert_eq!(settled(async || everything(&ordeal).await).await, before);

    ordeal.product.stop(Duration::from_secs(30)).await.unwrap();
    std::fs::remove_file(play.dir().join("data/installation.key")).unwrap();
    let keyless = tandem(&["up"], &config).await;
    assert_eq!(keyless.status.code(), Some(1));
    assert!(said(&keyless).contains("installation.key is missing"), "{}", said(&keyless));
}

type Everything = Vec<(Conversation, Vec<Message>)>;

/// All conversations of all businesses with their threads, without what changes when agents are gone.
async fn everything(ordeal: &Ordeal) -> Everything {
    let mut all = Vec::new();
    for token in business_tokens(&ordeal.stage.config_file()) {
        let mut api = Conversations::connect(ordeal.product.addresses.desk, &token).await;
        all.extend(api.everything().await);
    }
    for (conversation, _) in &mut all {
        conversation.position = None;
        conversation.floor = None;
        conversation.assigned_agent_id = String::new();
        conversation.waiting_queue_id = String::new();
        conversation.waiting_since_ms = 0;
    }
    all
}

const EXAMPLES: [&str; 3] = ["bank", "shop", "clinic"];

fn example(name: &str) -> String {
    format!("{}/../../flows/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

/// Runs a command that takes no configuration.
async fn plain(args: &[&str], input: &str) -> Output {
    use tokio::io::AsyncWriteExt as _;
    let mut command = Command::new(programs().tandem);
    command.env_remove("TANDEM_CONFIG").args(args).kill_on_drop(true);
    command.stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output = tokio::time::timeout(BOUND, child.wait_with_output()).await;
    output.expect("the command ends").unwrap()
}

#[tokio::test]
async fn the_example_flows_are_usable_and_a_bad_one_is_told_with_its_places() {
    let files: Vec<String> = EXAMPLES.map(example).into();
    let mut args = vec!["flow", "check"];
    args.extend(files.iter().map(String::as_str));
    let good = plain(&args, "").await;
    assert!(good.status.success(), "{}", said(&good));
    assert_eq!(said(&good).matches("is usable").count(), 3);

    let play = Play::begin("flow check").await;
    let file = play.dir().join("bad.toml");
    let text = std::fs::read_to_string(example("clinic")).unwrap();
    std::fs::write(&file, text.replace("next = \"day\"", "next = \"dya\"")).unwrap();
    let bad = plain(&["flow", "check", &file.display().to_string()], "").await;
    assert_eq!(bad.status.code(), Some(1));
    let lines = said(&bad);
    assert!(lines.contains("bad.toml:") && lines.contains("there is no node `dya`"), "{lines}");
    assert!(lines.contains("nothing leads to node `day`"), "all at once: {lines}");
    // The product does not start on it either.
    let config_file = play.dir().join("tandem.toml");
    let text = config(play.dir(), "http://127.0.0.1:9");
    let flow = format!("mode = \"api\"\nflow = '{}'", file.display());
    std::fs::write(&config_file, text.replace("mode = \"api\"", &flow)).unwrap();
    let bad = tandem(&["config", "check"], &config_file).await;
    assert_eq!(bad.status.code(), Some(1));
    assert!(said(&bad).contains("there is no node `dya`"), "{}", said(&bad));
}

#[tokio::test]
async fn a_flow_is_tried_in_the_terminal() {
    let file = example("clinic");
    let said_by_customer = "こんにちは\n予約\n山田\n2099年1月20日\n0312345678\n";
    let args = ["flow", "chat", &file, "--name", "Ana", "--phone", "+819012345678"];
    let chat = plain(&args, said_by_customer).await;
    let lines = said(&chat);
    assert!(chat.status.success(), "{lines}");
    for part in [
        "Ana様、こんにちは",
        "[1] 予約",
        "お名前",
        "-- to people: reception, rule",
        "phone = 0312345678",
    ] {
        assert!(lines.contains(part), "{part}\n{lines}");
    }
    assert!(!lines.contains("> "), "no prompt where it is piped");
}
