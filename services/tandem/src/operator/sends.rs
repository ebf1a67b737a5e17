//! `tandem sends`.

use std::process::ExitCode;

use api::v1::{ConfirmSendsRequest, ListUnknownSendsRequest};

use super::SendsCommand;
use crate::cli::say;

const PAGE: u32 = 1_000;

pub(super) async fn run(command: &SendsCommand) -> anyhow::Result<ExitCode> {
    match command {
        SendsCommand::ListUnknown(reach) => {
            let mut connection = reach.running_or_directory().await?;
            let request = ListUnknownSendsRequest { page_size: PAGE };
            let listed = connection
                .call(request, async |admin, request| admin.list_unknown_sends(request).await);
            let listed = listed.await;
            connection.close().await;
            let listed = listed?;
            for send in &listed.sends {
                let state = if send.ended { "unknown" } else { "waits" };
                say(&format!(
                    "{}  {}  {}  asked for at {}  {state}",
                    send.opaque_id, send.business_id, send.kind, send.timestamp_ms
                ));
            }
            let more = if listed.more { " and more" } else { "" };
            let held =
                if listed.held { "; nothing is sent until `tandem sends confirm`" } else { "" };
            say(&format!("{}{more} sends without a known outcome{held}", listed.sends.len()));
        }
        SendsCommand::Confirm { send_waiting, reach } => {
            // What waits is ended by the numbers themselves: the process must run.
            let mut connection = reach.running().await?;
            let request = ConfirmSendsRequest { send_waiting: *send_waiting };
            let done =
                connection.call(request, async |admin, request| admin.confirm_sends(request).await);
            let ended = done.await?.ended_unknown;
            say(&format!("{ended} sends ended as unknown; the process sends again"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
