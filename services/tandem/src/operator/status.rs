//! `tandem status`.

use std::process::ExitCode;

use api::v1::{PartitionState, StatusRequest};

use super::Reach;
use crate::cli::say;

pub(super) async fn run(reach: &Reach) -> anyhow::Result<ExitCode> {
    let mut connection = reach.running().await?;
    let call =
        connection.call(StatusRequest {}, async |admin, request| admin.status(request).await);
    let status = call.await?;
    status.partitions.iter().for_each(|partition| say(&line(partition)));
    for number in &status.paused_numbers {
        let until = match number.until_ms {
            0 => String::new(),
            until_ms => format!(" until {until_ms}"),
        };
        let (id, business) = (&number.phone_number_id, &number.business_id);
        say(&format!("number {id} of {business} sends nothing{until}: {}", number.reason));
    }
    for (name, why) in &status.not_ready {
        say(&format!("not ready: {name}: {why}"));
    }
    for (name, warning) in &status.warnings {
        say(&format!("warning: {name}: {warning}"));
    }
    if !status.segments {
        say("no segments are written: the log is not trimmed");
    }
    Ok(if status.not_ready.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn line(state: &PartitionState) -> String {
    if !state.serving {
        return format!("partition {}: is being taken over", state.partition);
    }
    let alarms: String =
        state.alarms.iter().map(|(name, times)| format!("  alarm {name} {times}x")).collect();
    format!(
        "partition {}: generation {} epoch {}  log {} (checkpoint {}, segments {}, trimmed {})  inbox {} of {} (trimmed \
         {})  read model {} behind  live {}  unconfirmed {}  dead letters {}{alarms}",
        state.partition,
        state.generation,
        state.epoch,
        state.log_last,
        state.checkpoint,
        state.segment_through,
        state.log_trimmed,
        state.inbox_decided,
        state.inbox_last,
        state.inbox_trimmed,
        state.read_model_lag,
        state.live_entities,
        state.unconfirmed_messages,
        state.dead_letters
    )
}
