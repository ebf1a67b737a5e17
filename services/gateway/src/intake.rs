//! Everything of a POST into the inboxes of its partitions.
//!
//! One task per partition appends: what arrives while an append is under way goes into the next entry together (design.md
//! 4.1, inbox entry), so that under load one entry, one flush and one wake-up serve many POSTs, and without load nobody waits
//! for anybody.

use std::{collections::BTreeMap, time::Duration};

use bus::{AppendError, Bus, EntityId, INBOX_ENTRY_BYTES_MAX, InboxEntry, Input, PartitionId};
use bytes::Bytes;
use chassis::task::{self, TaskKind};
use domain::Hash16;
use futures::{TryStreamExt as _, stream::FuturesUnordered};
use tokio::sync::{mpsc, oneshot};

use crate::turns::Turn;

/// What an input takes in an entry beside its body, at most (header, names of fields), bytes.
const INPUT_OVERHEAD: usize = 1024;
/// POSTs that may wait for a partition's task; more wait at its door, within their time limit.
const WAITING_MAX: usize = 1024;

/// A POST's inputs of one partition, and who waits for them to be durable.
struct Waiting {
    inputs: Vec<Input>,
    stored: oneshot::Sender<Result<u64, AppendError>>,
}

/// The way into the inboxes.
pub(crate) struct Intake {
    partitions: Vec<mpsc::Sender<Waiting>>,
}

impl Intake {
    /// Starts a task per partition; they end when this is dropped and what was accepted is stored.
    /// An append without an answer within `append_timeout` counts as unknown, so that nobody waits behind it for longer than
    /// whoever asked for it.
    pub(crate) fn start(bus: &Bus, append_timeout: Duration) -> Self {
        let start = |partition| {
            let (sender, waiting) = mpsc::channel(WAITING_MAX);
            let collect = collect(bus.clone(), PartitionId(partition), append_timeout, waiting);
            // Without it the gateway can acknowledge nothing: the process must not go on.
            task::spawn(TaskKind::Core, "gateway intake", collect).detach();
            sender
        };
        Self { partitions: (0..bus.partitions).map(start).collect() }
    }

    /// Appends all inputs, in order within a partition, partitions side by side, and tells `turn`, if it had one, where. Answers when all
    /// are durable; on an error some may be, which the sender's repetition makes harmless (deciding is idempotent per key).
    pub(crate) async fn append_all(
        &self,
        by_partition: BTreeMap<PartitionId, Vec<Input>>,
        mut turn: Option<Turn>,
    ) -> Result<(), AppendError> {
        let append = |(partition, inputs): (PartitionId, Vec<Input>)| async move {
            let count = inputs.len();
            let seq = self.append(partition, inputs).await?;
            Ok((partition, seq, count))
        };
        let mut appends: FuturesUnordered<_> = by_partition.into_iter().map(append).collect();
        while let Some((partition, seq, inputs)) = appends.try_next().await? {
            if let Some(turn) = &mut turn {
                turn.stored(partition, seq, inputs);
            }
        }
        Ok(())
    }

    /// Sequence of the last entry the inputs are in.
    async fn append(&self, partition: PartitionId, inputs: Vec<Input>) -> Result<u64, AppendError> {
        let task = self.partitions.get(usize::from(partition.0)).ok_or(AppendError::Closed)?;
        let (stored, answer) = oneshot::channel();
        task.send(Waiting { inputs, stored }).await.map_err(|_| AppendError::Closed)?;
        answer.await.unwrap_or(Err(AppendError::Closed))
    }
}

/// Appends whatever waits, one entry at a time.
async fn collect(
    bus: Bus,
    partition: PartitionId,
    append_timeout: Duration,
    mut queue: mpsc::Receiver<Waiting>,
) {
    let mut waiting = Vec::new();
    while queue.recv_many(&mut waiting, WAITING_MAX).await > 0 {
        for group in groups(std::mem::take(&mut waiting)) {
            let (inputs, answers): (Vec<_>, Vec<_>) =
                group.into_iter().map(|waiting| (waiting.inputs, waiting.stored)).unzip();
            let append = append(&bus, partition, inputs.into_iter().flatten().collect());
            let stored = tokio::time::timeout(append_timeout, append).await.unwrap_or_else(|_| {
                Err(AppendError::Unknown("no answer within the time for it".to_owned()))
            });
            for answer in answers {
                // Who gave up waiting is answered already, and will ask again.
                drop(answer.send(stored.clone()));
            }
        }
    }
}

/// Cuts what waits into groups that fit one entry each; a POST that does not fit stands alone.
fn groups(waiting: Vec<Waiting>) -> Vec<Vec<Waiting>> {
    let mut groups: Vec<Vec<Waiting>> = Vec::new();
    let mut size = usize::MAX;
    for next in waiting {
        let bytes = next.inputs.iter().map(bytes_of).sum::<usize>();
        size = size.saturating_add(bytes);
        match groups.last_mut() {
            Some(group) if size <= INBOX_ENTRY_BYTES_MAX => group.push(next),
            _ => {
                groups.push(vec![next]);
                size = bytes;
            }
        }
    }
    groups
}

async fn append(bus: &Bus, partition: PartitionId, inputs: Vec<Input>) -> Result<u64, AppendError> {
    let mut last = 0;
    for entry in entries(inputs) {
        let bytes = entry.encode().map_err(|error| AppendError::Unknown(error.to_string()))?;
        last = bus.inbox.append(partition, bytes).await?;
    }
    Ok(last)
}

fn bytes_of(input: &Input) -> usize {
    input.body.len() + INPUT_OVERHEAD
}

/// Cuts inputs into entries of at most [`INBOX_ENTRY_BYTES_MAX`].
fn entries(inputs: Vec<Input>) -> Vec<InboxEntry> {
    let mut entries = Vec::new();
    let mut current = Vec::new();
    let mut size = 0;
    for input in inputs {
        let bytes = bytes_of(&input);
        if size + bytes > INBOX_ENTRY_BYTES_MAX && !current.is_empty() {
            entries.push(InboxEntry::new(std::mem::take(&mut current)));
            size = 0;
        }
        size += bytes;
        current.push(input);
    }
    if !current.is_empty() {
        entries.push(InboxEntry::new(current));
    }
    entries
}

/// Tells the doors of the numbers what was stored: inbound counts against a number's rate (design.md 4.5), and to whom the phone
/// spoke the bot is not to speak before the conversation has decided that.
pub(crate) async fn announce(
    bus: &Bus,
    inbound: &BTreeMap<EntityId, u32>,
    echoes: &BTreeMap<EntityId, Vec<Hash16>>,
) {
    for (number, conversations) in echoes {
        let hashes: Vec<u8> =
            conversations.iter().flat_map(|conversation| conversation.0).collect();
        tell_door(bus, "echo", number, hashes.into()).await;
    }
    for (number, count) in inbound {
        tell_door(bus, "inbound", number, Bytes::copy_from_slice(&count.to_be_bytes())).await;
    }
}

/// Best effort: doors keep their rules without it, only less closely.
async fn tell_door(bus: &Bus, what: &str, number: &EntityId, body: Bytes) {
    let topic = format!("{what}.{:032x}", u128::from_be_bytes(number.hash));
    if let Err(error) = bus.signals.publish(&topic, body).await {
        tracing::debug!(%error, what, "a door was not told");
    }
}

#[cfg(test)]
mod tests {
    use bus::{BusinessId, Cause, Header, Key};

    use super::*;

    fn post(bodies: &[usize]) -> Waiting {
        let input = |bytes: &usize| Input {
            header: Header {
                key: Key([0; 16]),
                business: BusinessId::default(),
                cause: Cause::Webhook,
                trace: None,
                received_ms: 0,
            },
            target: EntityId { kind: 1, hash: [0; 16] },
            body: Bytes::from(vec![0; *bytes]),
            reply_to: None,
        };
        Waiting { inputs: bodies.iter().map(input).collect(), stored: oneshot::channel().0 }
    }

    #[test]
    fn what_waits_shares_entries_as_far_as_they_hold() {
        let large = INBOX_ENTRY_BYTES_MAX / 2;
        let waiting = vec![
            post(&[10]),
            post(&[10, 20]),
            post(&[large]),
            post(&[large]),
            post(&[large, large, large]),
            post(&[10]),
        ];
        let groups = groups(waiting);
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1, 1, 1]);
        for group in groups {
            let alone = group.len() == 1;
            let inputs: Vec<Input> = group.into_iter().flat_map(|post| post.inputs).collect();
            let entries = entries(inputs);
            assert!(alone || entries.len() == 1, "a shared entry was cut");
            for entry in entries {
                assert!(entry.encode().unwrap().len() <= INBOX_ENTRY_BYTES_MAX);
            }
        }
    }
}
