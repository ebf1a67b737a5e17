//! The line that is typed: letters by the cursor, and what of it fits.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::text::Span;

/// Stands for a line break within the line.
const BREAK: char = '⏎';

/// A line of text with a cursor.
#[derive(Clone, Debug, Default)]
pub(super) struct Input {
    letters: Vec<char>,
    /// Letters before the cursor.
    cursor: usize,
}

impl Input {
    /// A line that says this already, to go on with.
    pub(super) fn of(text: &str) -> Self {
        let letters: Vec<char> = text.chars().collect();
        Self { cursor: letters.len(), letters }
    }

    pub(super) fn text(&self) -> String {
        self.letters.iter().collect()
    }

    /// Takes a key that edits; any other does nothing.
    pub(super) fn press(&mut self, key: &KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('j') if control => self.insert('\n'),
            KeyCode::Char('u') if control => *self = Self::default(),
            KeyCode::Char(_) if control => {}
            KeyCode::Char(letter) => self.insert(letter),
            KeyCode::Enter => self.insert('\n'),
            KeyCode::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.letters.remove(self.cursor);
            }
            KeyCode::Delete if self.cursor < self.letters.len() => {
                self.letters.remove(self.cursor);
            }
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = (self.cursor + 1).min(self.letters.len()),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.letters.len(),
            _ => {}
        }
    }

    fn insert(&mut self, letter: char) {
        self.letters.insert(self.cursor, letter);
        self.cursor += 1;
    }

    /// The part around the cursor that fits into so many columns, and the cursor's column in it.
    pub(super) fn window(&self, columns: usize) -> (String, usize) {
        let (before, after) = self.letters.split_at(self.cursor.min(self.letters.len()));
        // The cursor itself takes a column.
        let mut room = columns.saturating_sub(1);
        let mut shown = Vec::new();
        for letter in before.iter().rev().map_while(|c| fitting(*c, &mut room)) {
            shown.insert(0, letter);
        }
        let column = shown.iter().map(|c| width(*c)).sum();
        room += 1;
        shown.extend(after.iter().map_while(|c| fitting(*c, &mut room)));
        (shown.into_iter().collect(), column)
    }
}

/// The letter as it is shown, if there is still room for it.
fn fitting(letter: char, room: &mut usize) -> Option<char> {
    let shown = if letter == '\n' { BREAK } else { letter };
    *room = room.checked_sub(width(shown))?;
    Some(shown)
}

/// Columns of a letter: a Japanese one takes two.
fn width(letter: char) -> usize {
    Span::raw(letter.encode_utf8(&mut [0; 4]) as &str).width()
}
