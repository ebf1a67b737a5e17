//! The desk as a full screen, for people: offers, conversations, the thread of one of them, and a line to type in.
//!
//! `desk` is what is on the screen and what keys do to it, `input` the line, `thread` wraps what was said, `draw` makes the frame;
//! none of them knows a terminal. Here is the loop that does.

mod desk;
mod draw;
mod input;
#[cfg(test)]
mod tests;
mod thread;

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use crossterm::event::EventStream;
use futures::StreamExt as _;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::desk::{Desk, Wish};
use super::{
    link::{Door, Link},
    now_ms,
};

/// Countdowns go on although nothing happens.
const DRAW_EVERY: Duration = Duration::from_millis(500);

/// Shows the desk until the agent leaves or the desk is closed for good. The terminal is given back as it was, whatever happens:
/// ratatui's own hook does it on a panic.
pub(super) async fn run(door: Door) -> anyhow::Result<ExitCode> {
    let mut desk = Desk::new(&door.agent);
    let mut link = Link::open(door)?;
    let mut ends = Ends::new()?;
    let mut terminal = ratatui::try_init().context("the terminal cannot show the desk")?;
    let result = serve(&mut desk, &mut link, &mut ends, &mut terminal).await;
    ratatui::try_restore().context("the terminal cannot be given back")?;
    result?;
    if let Some(why) = &desk.model.over {
        anyhow::bail!("the desk is closed: {why}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What ends a program from outside, while the terminal is still to be given back.
struct Ends {
    terminated: Signal,
    hung_up: Signal,
}

impl Ends {
    fn new() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { terminated: on(SignalKind::terminate())?, hung_up: on(SignalKind::hangup())? })
    }
}

async fn serve(
    desk: &mut Desk,
    link: &mut Link,
    ends: &mut Ends,
    terminal: &mut DefaultTerminal,
) -> anyhow::Result<()> {
    let mut keys = EventStream::new();
    let mut due = tokio::time::interval(DRAW_EVERY);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while desk.model.over.is_none() {
        desk.now_ms = now_ms();
        terminal.draw(|frame| desk.draw(frame))?;
        tokio::select! {
            _ = due.tick() => {}
            news = link.news.recv() => desk.take(news.context("the desk is gone")?),
            event = keys.next() => {
                let event = event.context("the terminal is gone")?.context("no keys can be read")?;
                match desk.press(&event) {
                    None => {}
                    Some(Wish::Ask(ask)) => link.ask(*ask).await?,
                    Some(Wish::Redraw) => terminal.clear()?,
                    Some(Wish::Leave) => return Ok(()),
                }
            }
            _ = ends.terminated.recv() => return Ok(()),
            _ = ends.hung_up.recv() => return Ok(()),
        }
    }
    Ok(())
}
