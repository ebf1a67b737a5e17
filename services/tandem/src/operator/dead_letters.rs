//! `tandem dead-letters`.

use std::process::ExitCode;

use api::v1::{DeadLetter, GetDeadLetterRequest, ListDeadLettersRequest, ReplayDeadLetterRequest};

use super::{Connection, DeadLettersCommand};
use crate::cli::say;

const PAGE: u32 = 500;

pub(super) async fn run(command: &DeadLettersCommand) -> anyhow::Result<ExitCode> {
    let (DeadLettersCommand::List(reach)
    | DeadLettersCommand::Show { reach, .. }
    | DeadLettersCommand::Replay { reach, .. }) = command;
    let mut connection = reach.running_or_directory().await?;
    let done = match command {
        DeadLettersCommand::List(_) => list(&mut connection).await,
        DeadLettersCommand::Show { id, personal_content, .. } => {
            show(&mut connection, id, *personal_content).await
        }
        DeadLettersCommand::Replay { id, again, .. } => replay(&mut connection, id, *again).await,
    };
    connection.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn list(connection: &mut Connection) -> anyhow::Result<()> {
    let (mut page_token, mut count) = (String::new(), 0);
    loop {
        let request = ListDeadLettersRequest { page_size: PAGE, page_token };
        let call =
            connection.call(request, async |admin, request| admin.list_dead_letters(request).await);
        let page = call.await?;
        page.dead_letters.iter().for_each(|letter| say(&line(letter)));
        count += page.dead_letters.len();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            say(&format!("{count} dead letters"));
            return Ok(());
        }
    }
}

fn line(letter: &DeadLetter) -> String {
    let replayed = if letter.replayed_ms > 0 { "  replayed" } else { "" };
    format!(
        "{}  {}  {} by {}  at {}{replayed}: {}",
        letter.dead_letter_id,
        letter.business_id,
        letter.entity_kind,
        letter.cause,
        letter.timestamp_ms,
        letter.error
    )
}

async fn show(connection: &mut Connection, id: &str, personal_content: bool) -> anyhow::Result<()> {
    let request = GetDeadLetterRequest { dead_letter_id: id.to_owned(), personal_content };
    let call =
        connection.call(request, async |admin, request| admin.get_dead_letter(request).await);
    let found = call.await?;
    if let Some(letter) = &found.dead_letter {
        say(&line(letter));
    }
    say(&found.input_json);
    if !personal_content {
        say("what people wrote is not shown: add --personal-content to see it");
    }
    Ok(())
}

async fn replay(connection: &mut Connection, id: &str, again: bool) -> anyhow::Result<()> {
    let request = ReplayDeadLetterRequest { dead_letter_id: id.to_owned(), again };
    let call =
        connection.call(request, async |admin, request| admin.replay_dead_letter(request).await);
    call.await?;
    say(&if connection.is_running() {
        format!("{id} is decided once more; `tandem dead-letters list` shows what came of it")
    } else {
        format!("{id} will be decided once more when the process is started")
    });
    Ok(())
}
