//! The live view on a real terminal: keys are pressed, and what they do is seen.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tokio::process::Command;

use super::play::{Play, programs};

const BOUND: Duration = Duration::from_secs(90);

/// A terminal with somebody in front of it.
struct Screen {
    keyboard: File,
    slave: File,
    /// Everything ever drawn; each word stands together, because only cells that change are drawn.
    drawn: Arc<Mutex<String>>,
    seen: usize,
}

impl Screen {
    fn open() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let size = Winsize { ws_row: 50, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size).unwrap();
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().unwrap();
        let drawn = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&drawn);
        std::thread::spawn(move || {
            let mut bytes = [0_u8; 4096];
            // Ends with an error once nobody has the other side open.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                written.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { keyboard, slave, drawn, seen: 0 }
    }

    fn side(&self) -> Stdio {
        Stdio::from(self.slave.try_clone().unwrap())
    }

    fn press(&mut self, key: &str) {
        self.seen = self.drawn.lock().unwrap().len();
        self.keyboard.write_all(key.as_bytes()).unwrap();
    }

    /// Waits until a word is drawn after the last key.
    async fn see(&self, word: &str) {
        let drawn = || self.drawn.lock().unwrap()[self.seen..].to_owned();
        let seen = testkit::wait_until(BOUND, word, || drawn().contains(word)).await;
        assert!(seen.is_ok(), "{word} was not drawn: {:?}", drawn());
    }
}

#[tokio::test]
async fn keys_on_a_terminal_do_what_the_bottom_line_says() {
    let play = Play::begin("view").await;
    let mut screen = Screen::open();
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
