//! The live view on a real terminal: keys are pressed, and what they do is seen.

use std::time::Duration;

use tokio::process::Command;

use super::{
    play::{Play, programs},
    terminal::Terminal,
};

const BOUND: Duration = Duration::from_secs(90);

#[tokio::test]
async fn keys_on_a_terminal_do_what_the_bottom_line_says() {
    let play = Play::begin("view").await;
    let mut screen = Terminal::open(100, 50);
    let mut demo = Command::new(programs().tandem);
    demo.args(["demo", "--seconds", "300"]).env("TMPDIR", play.dir()).env("TERM", "xterm-256color");
    demo.stdin(screen.side()).stdout(screen.side()).stderr(screen.side()).kill_on_drop(true);
    let mut demo = demo.spawn().unwrap();
    screen.see("acknowledged").await;
    for (key, words) in [
        ("p", ["stop", "paused"].as_slice()),
        ("p", &["go"]),
        ("s", &["STORM"]),
        ("g", &["503"]),
        ("g", &["answers"]),
        ("f", &["nobody"]),
        ("f", &["answered"]),
        ("k", &["directory", "ready"]),
    ] {
        screen.press(key);
        for word in words {
            screen.see(word).await;
        }
    }
    screen.press("q");
    screen.see("nothing was lost, doubled or against the rules").await;
    let status = tokio::time::timeout(BOUND, demo.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}
