//! Playing by hand, every side through the commands a person types: customer, agent, phone.

use std::{process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::play::{Play, programs};

pub(crate) const CUSTOMER: &str = "15551000000";
/// Long enough for a loaded machine; every wait ends at once when the line comes.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// A command that runs on, and its lines.
pub(crate) struct Talking {
    child: Child,
    typed: Option<ChildStdin>,
    said: Lines<BufReader<ChildStdout>>,
    pub(crate) all: Vec<String>,
}

impl Talking {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { typed: child.stdin.take(), child, said, all: Vec::new() }
    }

    async fn type_line(&mut self, line: &str) {
        let typed = self.typed.as_mut().unwrap();
        typed.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next line with these words.
    pub(crate) async fn hear(&mut self, words: &str) -> String {
        let heard = tokio::time::timeout(BOUND, async {
            loop {
                let line = self.said.next_line().await.unwrap();
                let line =
                    line.unwrap_or_else(|| panic!("ended without {words:?}: {:#?}", self.all));
                self.all.push(line.clone());
                if line.contains(words) {
                    return line;
                }
            }
        });
        match heard.await {
            Ok(line) => line,
            Err(_) => panic!("{words:?} did not come: {:#?}", self.all),
        }
    }

    /// Lines with these words, in any order.
    async fn hear_all(&mut self, words: &[&str]) {
        let mut missing = words.to_vec();
        while !missing.is_empty() {
            let line = self.hear("").await;
            missing.retain(|words| !line.contains(words));
        }
    }

    /// Kills it.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }

    /// Ends its input. Answers whether it ended well.
    pub(crate) async fn bye(mut self) -> bool {
        self.typed = None;
        while let Some(line) = self.said.next_line().await.unwrap() {
            self.all.push(line);
        }
        let status = tokio::time::timeout(BOUND, self.child.wait()).await.unwrap().unwrap();
        status.success()
    }
}

pub(crate) async fn loadtest(control: &str, args: &[&str]) -> String {
    let mut command = Command::new(programs().loadtest);
    command.args(args).env("LOADTEST_CONTROL", control);
    let output = tokio::time::timeout(BOUND, command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    said
}

/// A demo with nobody in it, and the instructions it printed.
pub(crate) async fn demo_by_hand(play: &Play) -> (Talking, String) {
    let mut demo = Command::new(programs().tandem);
    demo.args(["demo", "--by-hand"]).env("TMPDIR", play.dir());
    let mut demo = Talking::start(demo);
    demo.hear("Ctrl-C here ends it").await;
    let instructions = demo.all.join("\n");
    (demo, instructions)
}

/// The word after `flag` in the instructions.
pub(crate) fn told(instructions: &str, flag: &str) -> String {
    let mut words = instructions.split_whitespace().skip_while(|word| *word != flag);
    words.nth(1).unwrap_or_else(|| panic!("no {flag} in {instructions}")).to_owned()
}

#[tokio::test]
async fn a_customer_an_agent_and_a_phone_talk_by_the_commands_that_the_demo_prints() {
    let play = Play::begin("by-hand").await;
    let (demo, instructions) = demo_by_hand(&play).await;
    let control = told(&instructions, "--control");

    let mut agent = Command::new(programs().tandem);
    agent.args(["agent", "--agent", &told(&instructions, "--agent")]);
    agent.args([
        "--desk",
        &told(&instructions, "--desk"),
        "--config",
        &told(&instructions, "--config"),
    ]);
    let mut agent = Talking::start(agent);
    agent.hear("signed in as shop-agent-001, 0 of").await;

    // The bot asks; the customer chooses; the agent is offered the talk with its history.
    let asked =
        loadtest(&control, &["customer", "say", "--from", CUSTOMER, "--wait", "30", "hello"]).await;
    assert!(asked.contains("shop  | "), "{asked}");
    loadtest(&control, &["customer", "say", "--from", CUSTOMER, "--wait", "0", "sales"]).await;
    agent.hear("offer [1]").await;
    agent.hear("    customer | sales").await;
    agent.type_line("accept 1").await;
    agent.hear("[1] yours").await;
    agent.type_line("say Good day, how many?").await;
    agent.hear("[1] delivered").await;
    let chat =
        loadtest(&control, &["customer", "say", "--from", CUSTOMER, "--wait", "0", "two"]).await;
    assert!(chat.contains("nothing came back"), "{chat}");
    agent.hear("[1] customer | two").await;

    // The phone speaks: the agent sees it.
    loadtest(&control, &["phone", "say", "--to", CUSTOMER, "I bring them myself"]).await;
    agent.hear_all(&["phone | I bring them myself", "[1] floor: phone"]).await;
    agent.type_line("say Too late").await;
    agent.hear("(phone_has_floor)").await;
    agent.type_line("say! Our colleague comes by").await;
    agent.hear("[1] delivered").await;
    agent.type_line("note likes apples").await;
    agent.hear("ok").await;
    agent.type_line("snooze 1h").await;
    agent.hear("[1] no longer yours").await;
    loadtest(&control, &["customer", "say", "--from", CUSTOMER, "--wait", "0", "three"]).await;
    agent.hear("offer [1]").await;
    agent.type_line("accept 1").await;
    agent.hear("[1] yours").await;
    agent.type_line("transfer billing mind the bill").await;
    agent.hear("offer [1]").await;
    agent.type_line("accept 1").await;
    agent.hear("[1] yours").await;
    agent.type_line("resolve sold").await;
    agent.hear("[1] resolved").await;
    assert!(!agent.bye().await, "a refused command shows in the exit status");

    // What the customer has on the screen, in order.
    let mut screen = Command::new(programs().loadtest);
    screen.args(["customer", "chat", "--from", CUSTOMER]).env("LOADTEST_CONTROL", &control);
    let mut screen = Talking::start(screen);
    for line in [
        "you   | hello",
        "you   | sales",
        "shop  | Good day, how many?",
        "you   | two",
        "phone | I bring them myself",
        "shop  | Our colleague comes by",
        "you   | three",
    ] {
        assert_eq!(screen.hear(line).await, line);
    }
    assert!(screen.bye().await);

    demo.interrupt();
    assert!(demo.bye().await);
}

#[tokio::test]
async fn a_mistyped_customer_is_answered_with_those_there_are() {
    let _play = Play::begin("by-hand-errors").await;
    let mut serve = Command::new(programs().loadtest);
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../../loadtest/scenarios/hand.toml");
    serve.args(["serve", "--scenario", scenario]);
    let mut serve = Talking::start(serve);
    let ready: Value = serde_json::from_str(&serve.hear("control_url").await).unwrap();
    let mut say = Command::new(programs().loadtest);
    say.args(["customer", "say", "--from", "4711", "hello", "--control"]);
    let output = say.arg(ready["control_url"].as_str().unwrap()).output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains(CUSTOMER), "{error}");
}
