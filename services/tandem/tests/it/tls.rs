//! A desk with mutual TLS, and the commands that connect to it. Its certificate is signed by an authority and names no address.

use std::{fs, path::Path, process::Stdio, time::Duration};

use tandem::stage::Product;
use testkit::certificates::Authority;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use super::{
    command::{BOUND, fails, said, succeeds, text},
    play::{Play, assert_no_errors, programs},
    shop::config,
};

const DESK: &str = "desk.example";
const TOKEN: &str = "ana-agent-token-0001";
/// An agent of the last business of the configuration.
const AGENT: &str =
    "[[business.workspace.agent]]\nid = \"ana\"\ntoken = \"ana-agent-token-0001\"\n";

/// `tandem agent`, which leaves as soon as it is signed in.
fn agent(args: &[&str]) -> Command {
    let mut command = Command::new(programs().tandem);
    testkit::process::without_settings(command.as_std_mut());
    command.args(["agent", "--agent", "ana"]).args(args).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn signs_in(mut agent: Command) {
    let output = tokio::time::timeout(BOUND, agent.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("signed in as ana"), "{}", said(&output));
}

/// The first line of an agent that does not get in.
async fn loses(mut agent: Command) -> String {
    let mut agent = agent.spawn().unwrap();
    let mut lines = BufReader::new(agent.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(BOUND, lines.next_line()).await.unwrap().unwrap();
    agent.kill().await.unwrap();
    line.unwrap()
}

fn write(dir: &Path, name: &str, content: &str) -> String {
    let file = dir.join(name);
    fs::write(&file, content).unwrap();
    text(&file).to_owned()
}

#[tokio::test]
async fn commands_and_agents_trust_an_authority_and_show_a_certificate() {
    let play = Play::begin("tls").await;
    let dir = play.dir();
    let (authority, clients) = (Authority::new("ours").unwrap(), Authority::new("them").unwrap());
    let ca = write(dir, "ca.pem", authority.pem());
    let client_ca = write(dir, "clients.pem", clients.pem());
    let desk = authority.issue(dir, "desk", &[DESK]).unwrap();
    let own = clients.issue(dir, "own", &["operator"]).unwrap();
    let (certificate, key) = (text(&own.cert_file), text(&own.key_file));

    let plain = config(dir, "http://127.0.0.1:9") + AGENT;
    let listener = format!(
        "[desk.tls]\ncert_file = {:?}\nkey_file = {:?}\nclient_ca_file = {client_ca:?}\n",
        desk.cert_file, desk.key_file
    );
    let trusts = format!("[desk.client]\nca_file = {ca:?}\nserver_name = {DESK:?}\n");
    let shows = format!("cert_file = {certificate:?}\nkey_file = {key:?}\n");
    let wary = write(dir, "wary.toml", &[plain.as_str(), &listener].concat());
    let nameless = write(dir, "nameless.toml", &[plain.as_str(), &listener, &trusts].concat());
    let full = [plain.as_str(), &listener, &trusts, &shows].concat();
    let full = write(dir, "tandem.toml", &full);
    let bound = Duration::from_secs(30);
    let mut product = Product::start(&programs().tandem, dir, &[], bound).await.unwrap();

    let backup = dir.join("backup");
    let backup = ["backup", "--to", text(&backup)];
    for command in [&["ping"][..], &["status"], &["dead-letters", "list"], &backup] {
        fails(&[command, &["--config", &wary]].concat(), "UnknownIssuer").await;
        fails(&[command, &["--config", &nameless]].concat(), "").await;
        succeeds(&[command, &["--config", &full]].concat()).await;
    }

    let at = format!("https://{}", product.addresses.desk);
    let there = ["--desk", &at, "--token", TOKEN, "--server-name", DESK];
    let (trusts, shows) = (["--ca", &ca], ["--cert", certificate, "--key", key]);
    signs_in(agent(&[&there[..], &trusts, &shows].concat())).await;
    signs_in(agent(&["--desk", &at, "--config", &full])).await;
    let mut by_the_system = agent(&[&there[..], &shows].concat());
    by_the_system.env("SSL_CERT_FILE", &ca);
    signs_in(by_the_system).await;
    let lost = loses(agent(&[&there[..], &trusts].concat())).await;
    assert!(lost.contains("tried again"), "{lost}");
    let lost = loses(agent(&[&there[..], &["--ca", &client_ca], &shows].concat())).await;
    assert!(lost.contains("UnknownIssuer"), "{lost}");

    let status = product.stop(bound).await.unwrap();
    assert!(status.success(), "{status}");
    assert_no_errors(&dir.join("product.log"), &[]);
}
