//! What nodes tell each other at once, so that a move need not wait for the next renewal. Any of it may be lost: the leases
//! say the same a little later.

use std::sync::Arc;

use bus::{Bus, FormatLevel, PartitionId, decode, encode};
use chassis::task::TaskKind;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{NodeError, placement::Event};
use crate::shell::context::{Context, sleep_ms};

const TOPIC: &str = "placement";

/// One signal on the topic of placement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Word {
    /// A partition was let go by `from`; it is `to`'s to take now.
    Handed {
        partition: PartitionId,
        to: String,
        #[serde(default)]
        from: Option<String>,
    },
    /// A partition that was handed over is served.
    Served { partition: PartitionId, node: String },
    /// An operator wants the partition at `to` for as long as that node lives.
    Move { partition: PartitionId, to: String },
    /// An operator wants a node to hand everything over and to take nothing, or takes that back.
    Drain { node: String, drains: bool },
    /// An operator wants the installation's format level raised. Only routers may write it.
    Raise { level: FormatLevel },
    /// The lease of a node says something new that others should act on.
    Look,
}

/// Asks the nodes of an installation to move a partition to the node `to`, for as long as that one lives or until it
/// is moved again. It is a signal: [`crate::survey()`] tells whether it is done; ask again if it is not.
///
/// # Errors
/// When there is no such partition, or the bus cannot be reached.
pub async fn move_partition(bus: &Bus, partition: PartitionId, to: &str) -> Result<(), NodeError> {
    if partition.0 >= bus.partitions {
        return Err(NodeError::NoSuchPartition(partition));
    }
    let body = encode(&Word::Move { partition, to: to.to_owned() })?;
    bus.signals.publish(TOPIC, body).await.map_err(NodeError::Signal)
}

/// Asks a node to hand everything over and to take nothing while it lives, or takes that back. It is a signal, as [`move_partition`].
///
/// # Errors
/// When the bus cannot be reached.
pub async fn drain_node(bus: &Bus, node: &str, drains: bool) -> Result<(), NodeError> {
    let body = encode(&Word::Drain { node: node.to_owned(), drains })?;
    bus.signals.publish(TOPIC, body).await.map_err(NodeError::Signal)
}

/// Asks the nodes to raise the installation's format level, which they do if all of them know it. It is a signal, as
/// [`move_partition`]: [`crate::format_level()`] tells whether it is done.
///
/// # Errors
/// When the bus cannot be reached.
pub async fn raise_format_level(bus: &Bus, level: FormatLevel) -> Result<(), NodeError> {
    let body = encode(&Word::Raise { level })?;
    bus.signals.publish(TOPIC, body).await.map_err(NodeError::Signal)
}

/// Says it in the background: whoever places partitions does not wait for it.
pub(super) fn say(context: &Arc<Context>, word: Word) {
    let of_task = Arc::clone(context);
    context.spawn(TaskKind::Maintenance, "placement-signal", async move {
        let Ok(body) = encode(&word) else { return };
        if let Err(error) = of_task.bus.signals.publish(TOPIC, body).await {
            tracing::debug!(%error, "not signalled; the lease says it too");
        }
    });
}

/// Hears what others say, until the follower is gone.
pub(super) async fn listen(context: Arc<Context>, events: mpsc::Sender<Event>) {
    while !events.is_closed() {
        if let Ok(mut signals) = context.bus.signals.subscribe(TOPIC).await {
            while let Some(signal) = signals.next().await {
                // What was lost, or cannot be read, is in the leases.
                let word = signal.ok().and_then(|signal| decode(&signal.body).ok());
                if events.send(Event::Heard(word.unwrap_or(Word::Look))).await.is_err() {
                    return;
                }
            }
        }
        sleep_ms(context.settings.lease_ms).await;
    }
}
