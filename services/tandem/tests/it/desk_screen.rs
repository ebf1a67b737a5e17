//! The desk on a real terminal: an agent works with keys, and the terminal is given back.

use tokio::process::Command;

use super::{
    by_hand::{BOUND, CUSTOMER, demo_by_hand, loadtest, told},
    play::{Play, programs},
    terminal::Terminal,
};

#[tokio::test]
async fn an_agent_accepts_answers_transfers_and_resolves_with_keys() {
    let play = Play::begin("desk-screen").await;
    let (demo, instructions) = demo_by_hand(&play).await;
    let control = told(&instructions, "--control");

    let mut terminal = Terminal::open(80, 24);
    let mut agent = Command::new(programs().tandem);
    agent.args(["agent", "--agent", &told(&instructions, "--agent")]);
    agent.args(["--desk", &told(&instructions, "--desk")]);
    agent.args(["--config", &told(&instructions, "--config")]).env("TERM", "xterm-256color");
    agent.stdin(terminal.side()).stdout(terminal.side()).stderr(terminal.side());
    let mut agent = agent.kill_on_drop(true).spawn().unwrap();
    terminal.find("shop-agent-001  available").await;
    terminal.find("connected").await;

    let say = ["customer", "say", "--from", CUSTOMER, "--wait"];
    loadtest(&control, &[&say[..], &["30", "りんごはありますか"]].concat()).await;
    loadtest(&control, &[&say[..], &["0", "sales"]].concat()).await;
    terminal.find("offers 1").await;
    terminal.find("offered in sales").await;
    terminal.find("りんごはありますか").await;
    terminal.press("a");
    terminal.find("conversations 1").await;
    terminal.find("floor: you").await;
    terminal.press("\rはい、あります\r");
    terminal.find_any(&["はい、あります  [delivered]", "はい、あります  [read]"]).await;

    // Nobody else is there: it comes back, with the note.
    terminal.press("tbilling mind the bill\r");
    terminal.find("offered in billing").await;
    terminal.find("mind the bill").await;
    terminal.press("a");
    terminal.find("floor: you").await;
    terminal.press("esold\r");
    terminal.find("[1] resolved").await;
    terminal.find("conversations 0").await;
    terminal.press("qq");
    let status = tokio::time::timeout(BOUND, agent.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    assert!(terminal.is_given_back());
    demo.interrupt();
    assert!(demo.bye().await);
}
