//! A client of another language: a Python program, generated from `proto/`, plays an agent and a channel's platform.

use std::{path::Path, process::Stdio, time::Duration};

use api::v1::{Delivery, Direction};
use serde_json::{Value, json};
use tandem::stage::Product;
use testkit::wait_for;
use tokio::process::Command;

use super::{
    conversations::Conversations,
    play::{Play, assert_no_errors, programs},
    shop::HEAD,
};

const AGENT_TOKEN: &str = "ana-agent-token-0001";
const CHANNEL_TOKEN: &str = "web-channel-token-0001";
const PROGRAM_TOKEN: &str = "shop-program-token-0001";
const BOUND: Duration = Duration::from_secs(60);

const CONFIG: &str = r#"
[[business]]
id = "shop"
app_secrets = ["shop-secret-0123456789abcdef0000"]
verify_token = "shop-verify"
api_token = "shop-program-token-0001"
[[business.channel]]
id = "web"
kind = "web_chat"
token = "web-channel-token-0001"
[business.workspace]
id = "shop-desk"
[[business.workspace.queue]]
id = "help"
[[business.workspace.queue]]
id = "sales"
keywords = ["sales"]
[[business.workspace.agent]]
id = "ana"
token = "ana-agent-token-0001"
[business.bot]
enabled = true
question = "Which department?"
handoff = "A colleague is with you in a moment."
"#;

/// A program of clients/python with the Python that `make test` set up.
pub(crate) fn python_program(program: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join(".tools/python/venv/bin/python");
    assert!(
        python.exists(),
        "the Python client is not set up: run scripts/setup-python-client.sh (make test does)"
    );
    let mut command = Command::new(python);
    command.arg(root.join("clients/python").join(program));
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("GRPC_VERBOSITY", "ERROR");
    command
}

/// Runs such a program, and gives what it printed.
async fn python(program: &str, arguments: &[String]) -> Value {
    let mut command = python_program(program);
    command.args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = tokio::time::timeout(BOUND, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{program} did not end in time")).unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program}: {}\n{said}\n{complained}", output.status);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{program}: {error}: {said}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_client_plays_an_agent_and_a_channel() {
    let play = Play::begin("clients").await;
    let text = [HEAD, CONFIG].concat().replace("DIR", &play.dir().display().to_string());
    std::fs::write(play.dir().join("tandem.toml"), text).unwrap();
    let tandem = programs().tandem;
    let started = Product::start(&tandem, play.dir(), &[], Duration::from_secs(30));
    let mut product = started.await.unwrap();
    let saw = python(
        "play.py",
        &[
            format!("--address={}", product.addresses.desk),
            format!("--agent-token={AGENT_TOKEN}"),
            format!("--channel-token={CHANNEL_TOKEN}"),
        ],
    )
    .await;
    // What the platform and the agent saw.
    assert_eq!(saw["repeat_is_the_same"], true, "{saw:#}");
    assert_eq!(saw["bot"]["author"], "AUTHOR_KIND_BOT");
    assert_eq!(saw["bot"]["visitor"], "visitor-1");
    assert!(saw["bot"]["text"].as_str().unwrap().starts_with("Which department?"), "{saw:#}");
    let offer = json!({"queue": "sales", "conversation_id": saw["conversation_id"]});
    assert_eq!(saw["offer"], offer);
    assert_eq!(saw["history"][0], "hello", "{saw:#}");
    assert_eq!(saw["answer"]["author"], "AUTHOR_KIND_AGENT");
    assert_eq!(saw["answer"]["text"], "How can I help?");
    assert_eq!(saw["answer"]["came_again"], true, "{saw:#}");
    let told = |what: &str, at: usize| saw["refusals"][what][at].as_str().unwrap().to_owned();
    assert_eq!(told("no_message_id", 0), "INVALID_ARGUMENT");
    assert!(told("no_message_id", 1).starts_with("message_id:"), "{saw:#}");
    assert_eq!(told("channel_token_elsewhere", 0), "PERMISSION_DENIED");
    // What the business has.
    let mut reader = Conversations::connect(product.addresses.desk, PROGRAM_TOKEN).await;
    // The read model follows within moments.
    let resolved = wait_for(BOUND, "the resolution to be read", async || {
        let all = reader.everything().await;
        all.iter().all(|(conversation, _)| conversation.episode.is_none()).then_some(all)
    });
    let all = resolved.await.unwrap();
    let [(conversation, thread)] = all.as_slice() else { panic!("{all:#?}") };
    assert_eq!(conversation.conversation_id, saw["conversation_id"]);
    assert_eq!(
        (conversation.channel_id.as_str(), conversation.phone_number_id.as_str()),
        ("web", "")
    );
    assert_eq!(conversation.contact.as_ref().unwrap().visitor_id, "visitor-1");
    assert_eq!(conversation.episode, None, "resolved: {conversation:#?}");
    let said: Vec<_> = thread.iter().map(|m| (m.direction(), m.delivery())).collect();
    let (inbound, outbound) = (Direction::Inbound, Direction::Outbound);
    assert_eq!(
        said,
        [
            (inbound, Delivery::Unspecified),
            (outbound, Delivery::Delivered),
            (inbound, Delivery::Unspecified),
            (outbound, Delivery::Delivered),
            (outbound, Delivery::Read),
        ],
        "{thread:#?}"
    );
    let answer = &thread[4];
    assert_eq!(answer.opaque_id, saw["answer"]["opaque_id"]);
    assert_eq!(answer.wamid, "web-7");
    assert_eq!(answer.author.as_ref().unwrap().agent_id, "ana");
    assert!(product.stop(Duration::from_secs(30)).await.unwrap().success());
    assert_no_errors(&play.dir().join("product.log"), &[]);
}
