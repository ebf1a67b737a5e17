//! What was said, as lines that fit: who, when, the words, and what became of them.

use api::v1::{Delivery, Message, Note};
use ratatui::{
    style::{Color, Style},
    text::{Line, Span},
};

use super::draw::{BAD, DIM, GOOD, ODD, STRONG};
use crate::agent::{model::Talk, words};

/// Columns of who and when, before the words.
const WHO: usize = 9;
const AGE: usize = 7;
const MARGIN: usize = WHO + AGE;

/// The whole thread with the notes of colleagues in their places, oldest first.
pub(super) fn lines(talk: &Talk, agent: &str, now_ms: i64, columns: usize) -> Vec<Line<'static>> {
    let mut entries: Vec<(i64, Vec<Line<'static>>)> = Vec::new();
    for message in &talk.thread {
        entries.push((message.timestamp_ms, said(message, agent, now_ms, columns)));
    }
    for note in &talk.notes {
        entries.push((note.timestamp_ms, noted(note, now_ms, columns)));
    }
    // A stable sort: the thread's own order stays.
    entries.sort_by_key(|(at_ms, _)| *at_ms);
    entries.into_iter().flat_map(|(_, lines)| lines).collect()
}

fn said(message: &Message, agent: &str, now_ms: i64, columns: usize) -> Vec<Line<'static>> {
    let who = words::who(message);
    let style = match who {
        "customer" => STRONG,
        "bot" | "program" => Style::new().fg(Color::Cyan),
        "phone" => Style::new().fg(Color::Magenta),
        _ => Style::new().fg(Color::Green),
    };
    let who = if who == agent { "you" } else { who };
    let text = words::harmless(&words::said(message));
    let mut lines = paragraph((who, style), message.timestamp_ms, now_ms, &text, columns);
    let Some(fate) = words::fate(message) else { return lines };
    let style = match message.delivery() {
        Delivery::Failed | Delivery::Unknown | Delivery::Cancelled => BAD,
        Delivery::Read | Delivery::Played => GOOD,
        _ => DIM,
    };
    // In the same line where it fits.
    match lines.last_mut().filter(|last| last.width() + width(&fate) + 4 <= columns) {
        Some(last) => last.push_span(Span::styled(format!("  [{fate}]"), style)),
        None => lines.extend(
            wrap(&format!("[{fate}]"), columns.saturating_sub(MARGIN)).into_iter().map(|row| {
                Line::from(vec![Span::raw(" ".repeat(MARGIN)), Span::styled(row, style)])
            }),
        ),
    }
    lines
}

fn noted(note: &Note, now_ms: i64, columns: usize) -> Vec<Line<'static>> {
    let text = format!("{}: {}", note.agent_id, words::harmless(&note.text));
    let mut lines = paragraph(("note", ODD), note.timestamp_ms, now_ms, &text, columns);
    lines.iter_mut().for_each(|line| line.style = ODD);
    lines
}

fn paragraph(
    (who, style): (&str, Style),
    at_ms: i64,
    now_ms: i64,
    text: &str,
    columns: usize,
) -> Vec<Line<'static>> {
    let age = words::span(now_ms - at_ms);
    let mut margin = vec![
        Span::styled(fit(who, WHO - 1) + " ", style),
        Span::styled(format!("{age:>width$} ", width = AGE - 1), DIM),
    ];
    let rows = wrap(text, columns.saturating_sub(MARGIN));
    let line = |row: String| {
        let mut spans = std::mem::replace(&mut margin, vec![Span::raw(" ".repeat(MARGIN))]);
        spans.push(Span::raw(row));
        Line::from(spans)
    };
    rows.into_iter().map(line).collect()
}

/// Rows of at most so many columns: broken at spaces where there are any, else between letters, as Japanese is.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut rows = Vec::new();
    for line in text.split('\n') {
        let (mut row, mut used) = (String::new(), 0);
        for word in line.split_inclusive(' ') {
            let wide = width(word.trim_end());
            if used > 0 && used + wide > columns && wide <= columns {
                rows.push(std::mem::take(&mut row).trim_end().to_owned());
                used = 0;
            }
            for letter in Span::raw(word).styled_graphemes(Style::new()) {
                let wide = width(letter.symbol);
                if used + wide > columns.max(2) {
                    rows.push(std::mem::take(&mut row));
                    used = 0;
                }
                row.push_str(letter.symbol);
                used += wide;
            }
        }
        rows.push(row.trim_end().to_owned());
    }
    rows
}

/// Exactly so many columns: cut with a mark, or filled.
pub(super) fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned() + &" ".repeat(columns - width(text));
    }
    let (mut cut, mut used) = (String::new(), 0);
    for letter in Span::raw(text).styled_graphemes(Style::new()) {
        if used + width(letter.symbol) + 1 > columns {
            break;
        }
        cut.push_str(letter.symbol);
        used += width(letter.symbol);
    }
    cut + "…" + &" ".repeat(columns.saturating_sub(used + 1))
}

fn width(text: &str) -> usize {
    Span::raw(text).width()
}
