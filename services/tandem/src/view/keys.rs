//! Keys of the live view.

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};

/// The bottom line.
pub(super) const HELP: &str =
    " p pause  s storm x10  k kill -9, restart  g Graph 5xx  f forget phone  q quit";

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Pause,
    Storm,
    Kill,
    FailGraph,
    ForgetPhone,
    Quit,
    /// The terminal has another size.
    Redraw,
}

impl Key {
    /// What an event of the terminal asks for, if anything.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let key = match event {
            Event::Resize(..) => return Some(Self::Redraw),
            Event::Key(key) if key.kind != KeyEventKind::Release => key,
            _ => return None,
        };
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return (key.code == KeyCode::Char('c')).then_some(Self::Quit);
        }
        match key.code {
            KeyCode::Char('p') => Some(Self::Pause),
            KeyCode::Char('s') => Some(Self::Storm),
            KeyCode::Char('k') => Some(Self::Kill),
            KeyCode::Char('g') => Some(Self::FailGraph),
            KeyCode::Char('f') => Some(Self::ForgetPhone),
            KeyCode::Char('q') | KeyCode::Esc => Some(Self::Quit),
            _ => None,
        }
    }
}
