//! The screen to a frame. Knows no terminal and no clock.

use api::v1::Presence;
use ratatui::{
    Frame,
    buffer::Buffer,
    layout::{Constraint, Layout, Position, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Paragraph, Widget},
};

use super::{
    desk::{Desk, Mode, Prompt},
    thread,
};
use crate::agent::{model::Talk, words};

/// Below this nothing can be read.
const SMALLEST: (u16, u16) = (60, 16);
/// Columns of the lists beside the thread.
const LISTS: u16 = 28;
/// Lines and columns of a block that are borders.
const BORDERS: u16 = 2;
/// A refusal says what happened and what to do.
const NOTICE_ROWS_MAX: u16 = 3;
/// Offers shown at once, two rows each.
const OFFERS_MAX: usize = 4;
/// An offer that ends within this is urgent.
const URGENT_MS: i64 = 10_000;
/// A window that is longer is a channel's, which has none.
const WINDOWS_MS: i64 = 365 * 86_400_000;

pub(super) const DIM: Style = Style::new().fg(Color::DarkGray);
pub(super) const GOOD: Style = Style::new().fg(Color::Green);
pub(super) const ODD: Style = Style::new().fg(Color::Yellow);
pub(super) const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
pub(super) const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);

const KEYS: &str = " a           accept the offer that is looked at, or the most urgent one
 r           reject it, with a reason
 Tab         next; Shift-Tab: back. PgUp, PgDn: scroll the thread
 Enter       answer. Alt-Enter: a line break. Esc: keep it for later
 !           answer although the phone or nobody has the floor
 n           note, for colleagues only
 t           transfer: QUEUE or @AGENT, then a note
 s           snooze: 30m, 2h, 1d; or until the customer writes
 e           resolve, with a code or none
 E           the same, with work after it where the queue leaves that to you
 w           end the work after a conversation
 p           available or away
 :           a command by its name: requeue [QUEUE], open N, list, quit
 q q         leave; Ctrl-C: at once. Ctrl-L: draw everything anew
";

impl Desk {
    /// Draws everything.
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            let text = format!("make the terminal at least {} x {}", SMALLEST.0, SMALLEST.1);
            return frame.render_widget(Paragraph::new(text), area);
        }
        let told = self.notice_lines(usize::from(area.width));
        let notice_rows = u16::try_from(told.len()).unwrap_or(1).clamp(1, NOTICE_ROWS_MAX);
        let rows = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(1),
            Constraint::Length(1),
            Constraint::Length(notice_rows),
            Constraint::Length(1),
        ]);
        let [header, body, input, notice, keys] = rows.areas(area);
        frame.render_widget(self.header(), header);
        if matches!(self.mode, Mode::Help) {
            panel(body, frame.buffer_mut(), "keys", KEYS.lines().map(Line::raw).collect());
        } else {
            self.draw_body(body, frame.buffer_mut());
        }
        if let Some(cursor) = self.draw_input(input, frame.buffer_mut()) {
            frame.set_cursor_position(cursor);
        }
        frame.render_widget(Paragraph::new(told), notice);
        frame.render_widget(Line::styled(self.keys(), DIM), keys);
    }

    fn notice_lines(&self, columns: usize) -> Vec<Line<'static>> {
        let Some(told) = &self.notice else { return Vec::new() };
        let style = if told.wrong { BAD } else { ODD };
        let rows = thread::wrap(&told.text, columns.saturating_sub(2)).into_iter();
        rows.map(|row| Line::styled(format!(" {row}"), style)).collect()
    }

    fn header(&self) -> Line<'static> {
        let model = &self.model;
        let mut spans = vec![Span::styled(format!(" {}  ", model.agent), STRONG)];
        if model.signed_in {
            spans.extend(self.standing());
        } else {
            spans.push(match &model.lost {
                None => Span::styled("connecting", ODD),
                Some(why) => {
                    let why = words::one_line(why);
                    Span::styled(format!("NO CONNECTION, trying again: {why}"), BAD)
                }
            });
        }
        if model.unanswered > 0 {
            spans.push(Span::styled(format!("  {} unanswered", model.unanswered), ODD));
        }
        Line::from(spans)
    }

    /// What a connected agent is to the desk.
    fn standing(&self) -> Vec<Span<'static>> {
        let model = &self.model;
        let presence = match (model.presence, model.missed_too_many) {
            (_, true) => Span::styled("too many offers missed: p goes on", BAD),
            (Presence::Away, _) => Span::styled("away: nothing new is offered", ODD),
            _ => Span::styled("available", GOOD),
        };
        let (used, all) = model.units;
        let full = if used >= all { ODD } else { Style::new() };
        let units = Span::styled(format!("  {used} of {all} units in use"), full);
        vec![presence, units, Span::styled("  connected", GOOD)]
    }

    fn draw_body(&self, area: Rect, buffer: &mut Buffer) {
        let order = self.order();
        let talks = || order.iter().filter_map(|n| self.model.talks.get(*n).map(|talk| (*n, talk)));
        let offered = |talk: &Talk| talk.offer.is_some() && !talk.assigned;
        let offers: Vec<_> = talks().filter(|(_, talk)| offered(talk)).collect();
        let mine: Vec<_> = talks().filter(|(_, talk)| !offered(talk)).collect();
        let shown = offers.len().clamp(1, OFFERS_MAX);
        let rows = u16::try_from(shown * 2).unwrap_or(u16::MAX);
        let [lists, right] =
            Layout::horizontal([Constraint::Length(LISTS), Constraint::Min(1)]).areas(area);
        let [upper, lower] =
            Layout::vertical([Constraint::Length(rows + BORDERS), Constraint::Min(1)]).areas(lists);
        let lines = offers.iter().flat_map(|(n, talk)| self.offer_rows(*n, talk)).collect();
        panel(upper, buffer, &format!("offers {}", offers.len()), lines);
        let room = usize::from(lower.height.saturating_sub(BORDERS));
        let at = mine.iter().position(|(n, _)| Some(*n) == self.focus).unwrap_or(0);
        let skipped = (at + 1).saturating_sub(room);
        let lines = mine.iter().skip(skipped).map(|(n, talk)| self.talk_row(*n, talk)).collect();
        panel(lower, buffer, &format!("conversations {}", mine.len()), lines);
        self.draw_thread(right, buffer);
    }

    fn offer_rows(&self, n: usize, talk: &Talk) -> Vec<Line<'static>> {
        let Some(offer) = &talk.offer else { return Vec::new() };
        let left_ms = offer.deadline_ms - self.now_ms;
        let style = if left_ms < URGENT_MS { BAD } else { ODD };
        let waits = words::span(self.now_ms - offer.waiting_since_ms);
        vec![
            self.row(n, &talk.name, Span::styled(words::span(left_ms), style)),
            Line::styled(
                format!("   {}", thread::fit(&format!("{}, waits {waits}", offer.queue_id), 23)),
                DIM,
            ),
        ]
    }

    fn talk_row(&self, n: usize, talk: &Talk) -> Line<'static> {
        let right = match (&talk.wrap_up, talk.unread) {
            (Some(wrap_up), _) => {
                let left = words::span(wrap_up.until_ms - self.now_ms);
                Span::styled(format!("wrap-up {left}"), ODD)
            }
            (None, 0) if talk.floor == "you" || !talk.assigned => Span::raw(""),
            (None, 0) => Span::styled(talk.floor.clone(), DIM),
            (None, unread) => Span::styled(format!("{unread} new"), BAD),
        };
        self.row(n, &talk.name, right)
    }

    /// Number and name, and something at the right end.
    fn row(&self, n: usize, name: &str, right: Span<'static>) -> Line<'static> {
        let columns = usize::from(LISTS - BORDERS);
        let (mark, style) = if self.focus == Some(n) { (">", STRONG) } else { (" ", Style::new()) };
        let left = format!("{mark}{} {name}", n + 1);
        let room = columns.saturating_sub(right.width() + 1);
        Line::from(vec![Span::styled(thread::fit(&left, room) + " ", style), right])
    }

    fn draw_thread(&self, area: Rect, buffer: &mut Buffer) {
        let Some((n, talk)) = self.focused() else {
            let text = "  nothing offered, nothing yours";
            return panel(area, buffer, "nobody", vec![Line::styled(text, DIM)]);
        };
        let columns = usize::from(area.width.saturating_sub(BORDERS));
        let rows = usize::from(area.height.saturating_sub(BORDERS));
        let mut lines = self.facts(talk, columns);
        let said = thread::lines(talk, &self.model.agent, self.now_ms, columns);
        let room = rows.saturating_sub(lines.len());
        let last = said.len().saturating_sub(self.scroll).max(room.min(said.len()));
        let first = last.saturating_sub(room);
        lines.extend(said.into_iter().take(last).skip(first));
        panel(area, buffer, &format!("[{}] {}", n + 1, talk.name), lines);
    }

    /// What to know before the thread.
    fn facts(&self, talk: &Talk, columns: usize) -> Vec<Line<'static>> {
        let mut facts = Vec::new();
        match &talk.offer {
            Some(offer) if !talk.assigned => {
                let left = words::span(offer.deadline_ms - self.now_ms);
                facts.push((format!("offered in {}, {left} left: a accepts", offer.queue_id), ODD));
                let why = [&offer.reason, &offer.handoff_why, &offer.handoff_reason];
                let why: Vec<&str> =
                    why.into_iter().map(String::as_str).filter(|why| !why.is_empty()).collect();
                if !why.is_empty() {
                    facts.push((format!("why: {}", words::one_line(&why.join(", "))), DIM));
                }
                for field in &offer.fields {
                    let fact = format!("{}: {}", field.name, field.value);
                    facts.push((words::one_line(&fact), Style::new()));
                }
            }
            _ => {
                let left_ms = talk.window_until_ms - self.now_ms;
                let window = match left_ms {
                    ..=0 => ", window closed: only templates".to_owned(),
                    1..WINDOWS_MS => format!(", window {}", words::span(left_ms)),
                    _ => String::new(),
                };
                facts.push((format!("floor: {}{window}", talk.floor), DIM));
            }
        }
        let rows = facts.into_iter().flat_map(|(fact, style)| {
            thread::wrap(&fact, columns).into_iter().map(move |row| Line::styled(row, style))
        });
        rows.collect()
    }

    /// The line that is typed; where the cursor is.
    fn draw_input(&self, area: Rect, buffer: &mut Buffer) -> Option<Position> {
        let Mode::Typing(prompt, input) = &self.mode else {
            let (_, talk) = self.focused()?;
            if !talk.draft.is_empty() {
                let draft = format!(" not sent: {}", words::one_line(&talk.draft));
                Line::styled(draft, DIM).render(area, buffer);
            }
            return None;
        };
        let label = Span::styled(format!(" {}> ", label(*prompt)), STRONG);
        let begins = u16::try_from(label.width()).unwrap_or(area.width);
        let (shown, column) = input.window(usize::from(area.width.saturating_sub(begins)));
        Line::from(vec![label, Span::raw(shown)]).render(area, buffer);
        let column = u16::try_from(column).unwrap_or(area.width);
        Some(Position { x: area.x + begins + column, y: area.y })
    }

    fn keys(&self) -> &'static str {
        if matches!(self.mode, Mode::Typing(..)) {
            return " Enter does it  Alt-Enter line break  Ctrl-U empties  Esc leaves it";
        }
        if matches!(self.mode, Mode::Help) {
            return " any key goes back";
        }
        match self.focused().map(|(_, talk)| (talk.assigned, talk.offer.is_some())) {
            None => " p available/away  : command  ? help  q leave",
            Some((false, true)) => {
                " a accept  r reject  Tab next  p available/away  ? help  q leave"
            }
            Some((true, _)) => {
                " Enter answer  n note  t transfer  s snooze  e resolve  Tab next  ? help"
            }
            Some((false, false)) => " w end the wrap-up  Tab next  ? help  q leave",
        }
    }
}

fn label(prompt: Prompt) -> &'static str {
    match prompt {
        Prompt::Answer { take_floor: false } => "answer",
        Prompt::Answer { take_floor: true } => "answer, taking the floor",
        Prompt::Note => "note",
        Prompt::Transfer => "transfer to QUEUE or @AGENT, NOTE",
        Prompt::Snooze => "snooze for 30m, 2h, 1d",
        Prompt::Resolve { wrap_up: false } => "resolve, with a code or none",
        Prompt::Resolve { wrap_up: true } => "resolve with wrap-up, with a code or none",
        Prompt::Reject => "reject, because (may be empty)",
        Prompt::Line => ":",
    }
}

fn panel(area: Rect, buffer: &mut Buffer, title: &str, lines: Vec<Line<'static>>) {
    let block =
        Block::bordered().border_style(DIM).title(Span::styled(format!(" {title} "), STRONG));
    Paragraph::new(lines).block(block).render(area, buffer);
}
