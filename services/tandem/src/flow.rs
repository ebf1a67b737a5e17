//! `tandem flow check` and `tandem flow chat`.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use chassis::{clock::Clock, config::Config};
use clap::{Args, Subcommand};
use domain::{
    QueueId,
    flow::{Facts, Flow, Heard, Outcome, Reply, State},
};
use router::{flows, rules};

use crate::cli::say;

#[derive(Debug, Subcommand)]
pub(crate) enum FlowCommand {
    /// Reads flow files and says everything that is wrong with them, with line and column.
    Check(CheckArgs),
    /// Plays a flow in the terminal: reads what a customer says line by line, prints what the bot answers.
    Chat(ChatArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Configuration whose queues the flows may name; without it any queue passes.
    #[arg(long, env = "TANDEM_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    /// The file.
    file: PathBuf,
    /// The customer's profile name.
    #[arg(long)]
    name: Option<String>,
    /// The customer's phone, whose calling code may choose the language.
    #[arg(long)]
    phone: Option<String>,
}

pub(crate) fn run(command: &FlowCommand) -> anyhow::Result<ExitCode> {
    match command {
        FlowCommand::Check(args) => check(args),
        FlowCommand::Chat(args) => chat(args),
    }
}

fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let queues = match &args.config {
        None => None,
        Some(path) => {
            let config = Config::load(Some(path))?;
            Some(config.businesses.iter().flat_map(rules::queues_of).collect::<BTreeSet<QueueId>>())
        }
    };
    let mut wrong = false;
    for file in &args.files {
        match flows::read(file, queues.as_ref()) {
            Ok(flow) => say(&format!(
                "{}: {} version {} is usable: nodes {}",
                file.display(),
                flow.name(),
                flow.version(),
                flow.nodes()
            )),
            Err(error) => {
                wrong = true;
                say(&error.0);
            }
        }
    }
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn chat(args: &ChatArgs) -> anyhow::Result<ExitCode> {
    let flow = read(&args.file)?;
    let phone = args.phone.as_deref().map(|phone| phone.trim_start_matches('+').to_owned());
    let clock = Clock::system();
    let mut state = State::default();
    let prompt = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if prompt {
        say("Write as a customer. A number, a title or words choose; end with Ctrl-D.");
    }
    let mut lines = std::io::stdin().lock().lines();
    loop {
        if prompt {
            let mut out = std::io::stdout().lock();
            write!(out, "> ").and_then(|()| out.flush()).context("cannot write to the terminal")?;
        }
        let Some(line) = lines.next() else { return Ok(ExitCode::SUCCESS) };
        let line = line.context("cannot read what the customer says")?;
        let facts =
            Facts { now_ms: clock.wall_ms(), name: args.name.clone(), phone: phone.clone() };
        let turn = flow.turn(&state, Some(&Heard::text(&line)), &facts);
        state = turn.state;
        for reply in &turn.answer.replies {
            say(&shown(reply));
        }
        if let Some(ending) = ending(&turn.answer.outcome) {
            say(&ending);
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Flow> {
    Ok(flows::read(file, None)?)
}

fn shown(reply: &Reply) -> String {
    match reply {
        Reply::Text(text) => format!("bot: {text}"),
        Reply::Media { kind, caption, .. } => {
            format!("bot: <{kind:?}> {}", caption.as_deref().unwrap_or_default())
        }
        Reply::Menu(menu) => {
            let mut shown = format!("bot: {}", menu.body);
            for (n, choice) in (1..).zip(&menu.choices) {
                shown.push_str(&format!("\n     [{n}] {}", choice.title));
                if let Some(description) = &choice.description {
                    shown.push_str(&format!(" – {description}"));
                }
            }
            shown
        }
    }
}

/// What becomes of the conversation, where the bot does not wait.
fn ending(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Wait => None,
        Outcome::End => Some("-- the episode is over".to_owned()),
        Outcome::HandOff(told) => {
            let queue = told.queue.as_ref().map_or("the number's queue", |queue| &queue.0);
            let mut ending = format!("-- to people: {queue}, {}", told.why.code());
            if !told.reason.is_empty() {
                ending.push_str(&format!(", reason {}", told.reason));
            }
            if told.priority != 0 {
                ending.push_str(&format!(", priority {}", told.priority));
            }
            for field in &told.fields {
                ending.push_str(&format!("\n   {} = {}", field.name, field.value));
            }
            Some(ending)
        }
    }
}
