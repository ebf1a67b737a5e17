//! What is on the screen, and what keys do to it. Pure: events in, wishes out.

use api::v1::{OfferEnd, Presence, command_result, desk_event, desk_request::Request as Ask};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::input::Input;
use crate::agent::{
    command::Command,
    link::News,
    model::{Done, Model, Talk},
};

/// Rows that a page key moves the thread by.
const PAGE: usize = 8;

/// What the loop is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    Ask(Box<Ask>),
    Redraw,
    Leave,
}

/// What the line is typed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    Answer {
        take_floor: bool,
    },
    Note,
    Transfer,
    Snooze,
    Resolve {
        wrap_up: bool,
    },
    Reject,
    /// A command as in the desk by lines.
    Line,
}

/// What keys mean now.
#[derive(Clone, Debug)]
pub(super) enum Mode {
    Keys,
    Help,
    Typing(Prompt, Input),
}

/// What is told below the line: words, and whether something went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) wrong: bool,
}

/// The screen.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) model: Model,
    pub(super) now_ms: i64,
    /// Index of the conversation whose thread is shown.
    pub(super) focus: Option<usize>,
    pub(super) mode: Mode,
    /// Rows of the thread below the shown ones.
    pub(super) scroll: usize,
    pub(super) notice: Option<Notice>,
    /// Leaving was asked for once.
    leaving: bool,
}

impl Desk {
    pub(super) fn new(agent: &str) -> Self {
        Self {
            model: Model::new(agent),
            now_ms: 0,
            focus: None,
            mode: Mode::Keys,
            scroll: 0,
            notice: None,
            leaving: false,
        }
    }

    /// Takes news of the desk.
    pub(super) fn take(&mut self, news: News) {
        let worth = worth_telling(&news);
        let done = done_word(&news);
        let told = self.model.take(news).pop();
        match (worth, told, done) {
            (Some(wrong), Some(text), _) => self.notice = Some(Notice { text, wrong }),
            (None, _, Some(word)) => self.tell(word, false),
            _ => {}
        }
        self.settle();
    }

    /// Offers, the most urgent first; what is the agent's; work after conversations.
    pub(super) fn order(&self) -> Vec<usize> {
        let place = |talk: &Talk| match (&talk.offer, talk.assigned) {
            (Some(offer), false) => (0, offer.deadline_ms),
            (_, true) => (1, 0),
            (None, false) => (2, 0),
        };
        let at_hand = self.model.talks.iter().enumerate().filter(|(_, talk)| talk.is_at_hand());
        let mut order: Vec<_> = at_hand.map(|(n, talk)| (place(talk), n)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, n)| n).collect()
    }

    /// The conversation whose thread is shown.
    pub(super) fn focused(&self) -> Option<(usize, &Talk)> {
        let n = self.focus?;
        self.model.talks.get(n).map(|talk| (n, talk))
    }

    /// Looks at something that is there; while something is typed, at what it is typed for.
    fn settle(&mut self) {
        let typing = matches!(self.mode, Mode::Typing(..));
        let there = self.focused().is_some_and(|(_, talk)| talk.is_at_hand());
        if !there && !typing {
            self.focus_on(self.order().first().copied());
        } else if let Some(n) = self.focus {
            self.model.look_at(n);
        }
    }

    fn focus_on(&mut self, n: Option<usize>) {
        (self.focus, self.scroll) = (n, 0);
        if let Some(n) = n {
            self.model.look_at(n);
        }
    }

    fn step(&mut self, forward: bool) {
        let order = self.order();
        let at = order.iter().position(|n| Some(*n) == self.focus);
        let next = match (at, forward) {
            (None, _) => 0,
            (Some(at), true) => (at + 1) % order.len(),
            (Some(at), false) => at.checked_sub(1).unwrap_or(order.len() - 1),
        };
        self.focus_on(order.get(next).copied());
    }

    fn tell(&mut self, text: &str, wrong: bool) {
        self.notice = Some(Notice { text: text.to_owned(), wrong });
    }

    /// Does what an event of the terminal asks for.
    pub(super) fn press(&mut self, event: &Event) -> Option<Wish> {
        let Event::Key(key) = event else { return None };
        if key.kind == KeyEventKind::Release {
            return None;
        }
        match (key.code, key.modifiers.contains(KeyModifiers::CONTROL)) {
            (KeyCode::Char('c'), true) => return Some(Wish::Leave),
            (KeyCode::Char('l'), true) => return Some(Wish::Redraw),
            _ => {}
        }
        match &self.mode {
            Mode::Help => self.mode = Mode::Keys,
            Mode::Keys => return self.press_key(key),
            Mode::Typing(prompt, _) => return self.press_typing(*prompt, key),
        }
        None
    }

    fn press_key(&mut self, key: &KeyEvent) -> Option<Wish> {
        self.notice = None;
        let leaving = std::mem::take(&mut self.leaving);
        match key.code {
            KeyCode::Tab | KeyCode::Down => self.step(true),
            KeyCode::BackTab | KeyCode::Up => self.step(false),
            KeyCode::PageUp => self.scroll += PAGE,
            KeyCode::PageDown => self.scroll = self.scroll.saturating_sub(PAGE),
            KeyCode::Enter => self.begin(Prompt::Answer { take_floor: false }),
            KeyCode::Char('!') => self.begin(Prompt::Answer { take_floor: true }),
            KeyCode::Char('n') => self.begin(Prompt::Note),
            KeyCode::Char('t') => self.begin(Prompt::Transfer),
            KeyCode::Char('s') => self.begin(Prompt::Snooze),
            KeyCode::Char('e') => self.begin(Prompt::Resolve { wrap_up: false }),
            KeyCode::Char('E') => self.begin(Prompt::Resolve { wrap_up: true }),
            KeyCode::Char('r') => self.begin(Prompt::Reject),
            KeyCode::Char(':') => self.begin(Prompt::Line),
            KeyCode::Char('?') => self.mode = Mode::Help,
            KeyCode::Char('a') => return self.accept(),
            KeyCode::Char('w') => return self.carry_out(&Command::Done(None)),
            KeyCode::Char('p') => return self.carry_out(&self.other_presence()),
            KeyCode::Char('q') if leaving => return Some(Wish::Leave),
            KeyCode::Char('q') => {
                self.leaving = true;
                self.tell(&self.leave_taking(), false);
            }
            _ => {}
        }
        None
    }

    /// The offer that is looked at; the most urgent one while looking at something else.
    fn accept(&mut self) -> Option<Wish> {
        let offered = |n: &usize| {
            self.model.talks.get(*n).is_some_and(|talk| talk.offer.is_some() && !talk.assigned)
        };
        let n = self.focus.filter(offered).or_else(|| self.order().into_iter().find(offered));
        let Some(n) = n else {
            self.tell("nothing is offered", true);
            return None;
        };
        self.focus_on(Some(n));
        self.carry_out(&Command::Accept(Some(n + 1)))
    }

    fn other_presence(&self) -> Command {
        let goes_on = self.model.presence != Presence::Available || self.model.missed_too_many;
        if goes_on { Command::Available } else { Command::Away }
    }

    fn leave_taking(&self) -> String {
        let has = self.model.talks.iter().filter(|talk| talk.assigned).count();
        match (has, self.model.unanswered) {
            (0, 0) => "q again leaves".to_owned(),
            (has, 0) => {
                format!("you have {has} conversations: q again leaves them waiting for you")
            }
            (_, waiting) => format!("{waiting} commands have no answer yet: q again leaves"),
        }
    }

    /// Opens the line, if there is anything to type it for.
    fn begin(&mut self, prompt: Prompt) {
        let talk = self.focused().map(|(_, talk)| talk);
        let input = match (prompt, talk) {
            (Prompt::Line, _) => Input::default(),
            (Prompt::Reject, Some(talk)) if talk.offer.is_some() && !talk.assigned => {
                Input::default()
            }
            (Prompt::Reject, _) => return self.tell("this is no offer", true),
            (Prompt::Answer { .. }, Some(talk)) if talk.assigned => Input::of(&talk.draft),
            (_, Some(talk)) if talk.assigned => Input::default(),
            (_, Some(talk)) if talk.offer.is_some() => {
                return self.tell("accept it first: a", true);
            }
            _ => return self.tell("no conversation of yours is open", true),
        };
        self.mode = Mode::Typing(prompt, input);
    }

    fn press_typing(&mut self, prompt: Prompt, key: &KeyEvent) -> Option<Wish> {
        let Mode::Typing(_, input) = &mut self.mode else { return None };
        let plain = key.modifiers.is_empty();
        match key.code {
            KeyCode::Esc => {
                let text = input.text();
                self.mode = Mode::Keys;
                self.keep_draft(prompt, text);
                self.settle();
                None
            }
            KeyCode::Enter if plain => {
                let text = input.text();
                self.submit(prompt, &text)
            }
            _ => {
                input.press(key);
                None
            }
        }
    }

    fn keep_draft(&mut self, prompt: Prompt, text: String) {
        let talk = self.focus.and_then(|n| self.model.talks.get_mut(n));
        if let (Prompt::Answer { .. }, Some(talk)) = (prompt, talk) {
            talk.draft = text;
        }
    }

    fn submit(&mut self, prompt: Prompt, text: &str) -> Option<Wish> {
        self.notice = None;
        let words = text.trim();
        let about = self.focused().map_or(0, |(n, _)| n + 1);
        let command = match prompt {
            Prompt::Answer { .. } | Prompt::Note if words.is_empty() => Ok(None),
            Prompt::Answer { take_floor } => {
                Ok(Some(Command::Say { text: words.to_owned(), take_floor }))
            }
            Prompt::Note => Ok(Some(Command::Note(words.to_owned()))),
            Prompt::Transfer => Command::parse(&format!("transfer {words}")),
            Prompt::Snooze => Command::parse(&format!("snooze {words}")),
            Prompt::Resolve { wrap_up } => {
                Ok(Some(Command::Resolve { code: words.to_owned(), wrap_up }))
            }
            Prompt::Reject => Ok(Some(Command::Reject(Some(about), words.to_owned()))),
            Prompt::Line => Command::parse(words),
        };
        let command = match command {
            Ok(command) => command,
            Err(why) => {
                // Stays on the line, to be mended.
                self.tell(&why, true);
                return None;
            }
        };
        let mine = self.focused().is_some_and(|(_, talk)| talk.assigned);
        if !mine && !matches!(prompt, Prompt::Reject | Prompt::Line) {
            self.tell("it is no longer yours; Esc leaves the line", true);
            return None;
        }
        self.mode = Mode::Keys;
        self.keep_draft(prompt, String::new());
        self.settle();
        command.and_then(|command| self.carry_out(&command))
    }

    fn carry_out(&mut self, command: &Command) -> Option<Wish> {
        match command {
            Command::Quit => return Some(Wish::Leave),
            Command::Help => self.mode = Mode::Help,
            Command::Wait(_) => self.tell("wait is for scripts", true),
            Command::Open(n) if self.model.talk(*n).is_ok() => self.focus_on(Some(n - 1)),
            command => match self.model.command(command, self.now_ms) {
                Ok(Done::Ask(ask)) => return Some(Wish::Ask(ask)),
                Ok(Done::Lines(lines)) => self.tell(&lines.join(";  "), false),
                Err(why) => self.tell(&why, true),
            },
        }
        None
    }
}

/// Whether the last line that tells these news belongs on the screen, and whether something went wrong; the rest is seen in its
/// place.
fn worth_telling(news: &News) -> Option<bool> {
    use desk_event::Event as Told;
    match news {
        News::Answered(_, Some(command_result::Result::Refused(_))) => Some(true),
        News::Event(event) => match &event.event {
            Some(Told::OfferEnded(ended)) if ended.end() != OfferEnd::Accepted => Some(false),
            Some(Told::Unassigned(_) | Told::EpisodeResolved(_)) => Some(false),
            Some(Told::Snapshot(snapshot)) if !snapshot.taken_conversation_ids.is_empty() => {
                Some(true)
            }
            _ => None,
        },
        _ => None,
    }
}

/// What was done, where nothing else on the screen shows it.
fn done_word(news: &News) -> Option<&'static str> {
    let News::Answered(ask, _) = news else { return None };
    match **ask {
        Ask::Note(_) => Some("the note is kept"),
        Ask::Transfer(_) => Some("handed on"),
        Ask::Requeue(_) => Some("it waits again"),
        Ask::Snooze(_) => Some("put aside"),
        _ => None,
    }
}
