//! A terminal with somebody in front of it: keys go in, and what a person would see is known.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use ratatui::text::Span;
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

const BOUND: Duration = Duration::from_secs(90);

pub(crate) struct Terminal {
    keyboard: File,
    slave: File,
    shown: Arc<Mutex<Shown>>,
    /// Bytes drawn before the last key.
    seen: usize,
}

#[derive(Default)]
struct Shown {
    /// Everything ever drawn; each word stands together, because only cells that change are drawn.
    drawn: String,
    cells: Cells,
}

impl Terminal {
    pub(crate) fn open(columns: u16, rows: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size).unwrap();
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().unwrap();
        let shown = Arc::new(Mutex::new(Shown::default()));
        let written = Arc::clone(&shown);
        std::thread::spawn(move || {
            let (mut bytes, mut rest) = ([0_u8; 4096], Vec::new());
            // Ends with an error once nobody has the other side open.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                rest.extend_from_slice(&bytes[..count]);
                // A letter may be cut in two.
                let whole = std::str::from_utf8(&rest).map_or_else(|e| e.valid_up_to(), str::len);
                let text: Vec<u8> = rest.drain(..whole).collect();
                let text = String::from_utf8(text).unwrap();
                let mut shown = written.lock().unwrap();
                shown.cells.draw(&text);
                shown.drawn.push_str(&text);
            }
        });
        Self { keyboard, slave, shown, seen: 0 }
    }

    /// For a program's input, output and errors.
    pub(crate) fn side(&self) -> Stdio {
        Stdio::from(self.slave.try_clone().unwrap())
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.seen = self.shown.lock().unwrap().drawn.len();
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until a word is drawn after the last key.
    pub(crate) async fn see(&self, word: &str) {
        let drawn = || self.shown.lock().unwrap().drawn[self.seen..].to_owned();
        let seen = testkit::wait_until(BOUND, word, || drawn().contains(word)).await;
        assert!(seen.is_ok(), "{word} was not drawn: {:?}", drawn());
    }

    /// Waits until words stand on the screen.
    pub(crate) async fn find(&self, words: &str) {
        self.find_any(&[words]).await;
    }

    /// Waits until one of these stands on the screen: the first may have given way to the next already.
    pub(crate) async fn find_any(&self, words: &[&str]) {
        let screen = || self.shown.lock().unwrap().cells.text();
        let any = || words.iter().any(|words| screen().contains(words));
        let found = testkit::wait_until(BOUND, "words on the screen", any).await;
        assert!(found.is_ok(), "{words:?} is not on the screen:\n{}", screen());
    }

    /// Whether it is as a shell left it: typed lines are edited and echoed, and what was shown before is shown again.
    pub(crate) fn is_given_back(&self) -> bool {
        let modes = tcgetattr(&self.slave).unwrap().local_modes;
        let left = self.shown.lock().unwrap().drawn.rfind("\u{1b}[?1049l").is_some();
        left && modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }
}

/// The second half of a wide letter.
const HALF: char = '\0';

/// What stands where: as much of a terminal as crossterm uses.
#[derive(Default)]
struct Cells {
    cells: BTreeMap<(usize, usize), char>,
    row: usize,
    column: usize,
    /// A control sequence that is not complete yet.
    sequence: Option<String>,
}

impl Cells {
    fn draw(&mut self, text: &str) {
        for letter in text.chars() {
            match (self.sequence.take(), letter) {
                (None, '\u{1b}') => self.sequence = Some(String::new()),
                (None, letter) => self.put(letter),
                (Some(begun), '[') if begun.is_empty() => self.sequence = Some("[".to_owned()),
                (Some(begun), end) if begun.starts_with('[') && end.is_ascii_alphabetic() => {
                    self.obey(&begun[1..], end);
                }
                (Some(begun), letter) if begun.starts_with('[') => {
                    self.sequence = Some(format!("{begun}{letter}"));
                }
                _ => {}
            }
        }
    }

    fn put(&mut self, letter: char) {
        self.cells.insert((self.row, self.column), letter);
        let wide = Span::raw(letter.to_string()).width();
        for covered in 1..wide {
            self.cells.insert((self.row, self.column + covered), HALF);
        }
        self.column += wide;
        // Of a wide letter that is drawn over, the other half goes, too.
        if self.cells.get(&(self.row, self.column)) == Some(&HALF) {
            self.cells.remove(&(self.row, self.column));
        }
    }

    fn obey(&mut self, numbers: &str, end: char) {
        match end {
            'H' => {
                let mut at = numbers.split(';').map(|number| number.parse().unwrap_or(1));
                (self.row, self.column) = (at.next().unwrap_or(1), at.next().unwrap_or(1));
            }
            'J' => self.cells.clear(),
            _ => {}
        }
    }

    fn text(&self) -> String {
        let (mut text, mut at) = (String::new(), (0, 0));
        for ((row, column), letter) in &self.cells {
            while at.0 < *row {
                text.push('\n');
                at = (at.0 + 1, 1);
            }
            while at.1 < *column {
                text.push(' ');
                at.1 += 1;
            }
            if *letter != HALF {
                text.push(*letter);
            }
            at.1 = column + 1;
        }
        text
    }
}
