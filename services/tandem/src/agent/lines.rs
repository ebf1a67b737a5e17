//! The desk as lines: what is typed or piped in, and what happens. Made to be scripted.

use std::{process::ExitCode, time::Duration};

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};

use super::{
    command::Command,
    link::{Door, Link},
    model::{Done, Model},
    now_ms,
};
use crate::cli::say;

/// How long `wait` waits, and how long the last commands may take after the end of the input.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Runs until `quit` or the end of the input. Fails when the desk is closed for good or a `wait` waits in vain; the exit
/// status is not zero when a command was refused.
pub(super) async fn run(door: Door) -> anyhow::Result<ExitCode> {
    let mut model = Model::new(&door.agent);
    let mut link = Link::open(door)?;
    let mut typed = BufReader::new(tokio::io::stdin()).lines();
    // Words that a script waits for; at the start, to be signed in.
    let mut awaited = Some("signed in as ".to_owned());
    let mut deadline = Box::pin(tokio::time::sleep(WAIT_MAX));
    let mut ended = false;
    loop {
        let idle = awaited.is_none() && model.unanswered == 0;
        if ended && idle {
            let clean = model.refused == 0;
            return Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        tokio::select! {
            news = link.news.recv() => {
                let Some(news) = news else { anyhow::bail!("the desk is gone") };
                for line in model.take(news) {
                    say(&line);
                    if awaited.as_ref().is_some_and(|words| line.contains(words.as_str())) {
                        awaited = None;
                    }
                }
                anyhow::ensure!(model.over.is_none(), "signed out");
            }
            line = next(&mut typed), if awaited.is_none() && !ended => match line? {
                None => (ended, deadline) = (true, Box::pin(tokio::time::sleep(WAIT_MAX))),
                Some(line) => match Command::parse(&line) {
                    Err(why) => complain(&mut model, &why),
                    Ok(None) => {}
                    Ok(Some(Command::Quit)) => {
                        (ended, deadline) = (true, Box::pin(tokio::time::sleep(WAIT_MAX)));
                    }
                    Ok(Some(Command::Wait(words))) => {
                        (awaited, deadline) = (Some(words), Box::pin(tokio::time::sleep(WAIT_MAX)));
                    }
                    Ok(Some(command)) => carry_out(&mut model, &link, &command).await?,
                },
            },
            () = &mut deadline, if awaited.is_some() || ended => {
                anyhow::bail!("waited {} s in vain for {awaited:?} and answers", WAIT_MAX.as_secs());
            }
        }
    }
}

async fn next(typed: &mut Lines<BufReader<Stdin>>) -> anyhow::Result<Option<String>> {
    Ok(typed.next_line().await?)
}

async fn carry_out(model: &mut Model, link: &Link, command: &Command) -> anyhow::Result<()> {
    match model.command(command, now_ms()) {
        Ok(Done::Ask(ask)) => link.ask(*ask).await?,
        Ok(Done::Lines(lines)) => lines.iter().for_each(|line| say(line)),
        Err(why) => complain(model, &why),
    }
    Ok(())
}

/// A command that cannot be carried out counts as refused.
fn complain(model: &mut Model, why: &str) {
    model.refused += 1;
    say(&format!("refused: {why}"));
}
