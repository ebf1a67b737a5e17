//! Reading and replacing buckets.

use std::{collections::BTreeMap, sync::Arc};

use async_nats::{Client, jetstream::Context};
use bytes::Bytes;
use chassis::task::{TaskKind, spawn};
use futures::{
    StreamExt, TryStreamExt,
    future::{BoxFuture, FutureExt},
    stream,
};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, oneshot};

use super::{
    super::{
        names::Names,
        publish::{Refusal, last_of, publish},
        streams,
    },
    bucket::{Bucket, By, Content, Entry, FAN_OUT, digit, merge, root_of, split, spread},
};
use crate::{BusError, EntityId, PartName, PartitionId};

/// Buckets of one process that are being written at the same time.
const WRITES_AT_ONCE: usize = 32;
/// Attempts of one replacement; each lost one means that somebody else replaced the bucket meanwhile.
const ATTEMPTS_MAX: usize = 8;

type Root = (PartitionId, u16);

/// Puts that wait for the write before them.
struct Waiting {
    entries: Vec<Entry>,
    done: oneshot::Sender<Result<(), BusError>>,
}

pub(super) struct Buckets {
    client: Client,
    context: Context,
    names: Arc<Names>,
    writes: Semaphore,
    /// A root that is being written has an entry here.
    queues: Mutex<BTreeMap<Root, Vec<Waiting>>>,
}

/// A bucket's place: its root and the digits of the splits above it.
#[derive(Clone, Debug)]
struct Place {
    root: Root,
    path: Vec<u8>,
}

impl Place {
    fn below(&self, digit: u8) -> Self {
        let path = self.path.iter().copied().chain([digit]).collect();
        Self { root: self.root, path }
    }
}

fn unavailable(error: impl ToString) -> BusError {
    BusError::Unavailable(error.to_string())
}

impl Buckets {
    pub(super) fn new(client: Client, names: Arc<Names>) -> Self {
        Self {
            context: streams::context(&client),
            client,
            names,
            writes: Semaphore::new(WRITES_AT_ONCE),
            queues: Mutex::default(),
        }
    }

    /// Every part of an entity, in no order.
    pub(super) async fn load(
        &self,
        partition: PartitionId,
        entity: EntityId,
    ) -> Result<Vec<Entry>, BusError> {
        let mut parts = Vec::new();
        let mut places = vec![Place { root: (partition, root_of(entity)), path: Vec::new() }];
        while !places.is_empty() {
            let reads = places.iter().map(|place| self.read(place)).collect::<Vec<_>>();
            let found: Vec<_> =
                stream::iter(reads).buffered(usize::from(FAN_OUT)).try_collect().await?;
            let mut next = Vec::new();
            for (place, (_, content)) in places.iter().zip(found) {
                match content {
                    Content::Parts(entries) => {
                        parts.extend(entries.into_iter().filter(|entry| entry.entity == entity));
                    }
                    Content::Split(By::Entity) => {
                        let any = PartName::default();
                        let digit = digit(By::Entity, place.path.len(), entity, &any);
                        next.push(place.below(digit));
                    }
                    Content::Split(By::Part) => {
                        next.extend((0..FAN_OUT).map(|digit| place.below(digit)));
                    }
                }
            }
            places = next;
        }
        Ok(parts)
    }

    /// Saves each entry whose stored position is lower. Entries of one root that come while it is being
    /// written go together into the next write.
    pub(super) async fn save(
        self: &Arc<Self>,
        partition: PartitionId,
        entries: Vec<Entry>,
    ) -> Result<(), BusError> {
        let mut by_root: BTreeMap<u16, Vec<Entry>> = BTreeMap::new();
        for entry in entries {
            by_root.entry(root_of(entry.entity)).or_default().push(entry);
        }
        let waits: Vec<_> = by_root
            .into_iter()
            .map(|(root, entries)| self.enqueue((partition, root), entries))
            .collect();
        let mut outcome = Ok(());
        for wait in waits {
            let saved = wait.await.unwrap_or_else(|_| Err(unavailable("a save was given up")));
            outcome = outcome.and(saved);
        }
        outcome
    }

    fn queues(&self) -> MutexGuard<'_, BTreeMap<Root, Vec<Waiting>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(
        self: &Arc<Self>,
        root: Root,
        entries: Vec<Entry>,
    ) -> oneshot::Receiver<Result<(), BusError>> {
        let (done, wait) = oneshot::channel();
        let mut queues = self.queues();
        let is_idle = !queues.contains_key(&root);
        queues.entry(root).or_default().push(Waiting { entries, done });
        drop(queues);
        if is_idle {
            // A task of its own: a caller that gives up does not leave the others without a writer.
            spawn(TaskKind::Call, "bus-save", Arc::clone(self).drain(root)).detach();
        }
        wait
    }

    /// Takes the puts that wait at a root; `None`, and the root is idle again, when there are none.
    fn take(&self, root: Root) -> Option<Vec<Waiting>> {
        let mut queues = self.queues();
        let waiting = std::mem::take(queues.get_mut(&root)?);
        if waiting.is_empty() {
            queues.remove(&root);
            return None;
        }
        Some(waiting)
    }

    async fn drain(self: Arc<Self>, root: Root) {
        loop {
            let permit = self.writes.acquire().await;
            let Some(waiting) = self.take(root) else { return };
            let (entries, done): (Vec<_>, Vec<_>) =
                waiting.into_iter().map(|waiting| (waiting.entries, waiting.done)).unzip();
            let place = Place { root, path: Vec::new() };
            let saved = self.write(place, entries.concat()).await;
            drop(permit);
            for done in done {
                // A caller that gave up does not want to know.
                drop(done.send(saved.clone()));
            }
        }
    }

    /// Joins entries into a bucket or into those below it.
    fn write(&self, place: Place, new: Vec<Entry>) -> BoxFuture<'_, Result<(), BusError>> {
        async move {
            for _ in 0..ATTEMPTS_MAX {
                let (seq, content) = self.read(&place).await?;
                let stored = match content {
                    Content::Parts(stored) => stored,
                    Content::Split(by) => return self.write_below(&place, by, new).await,
                };
                let Some(merged) = merge(&stored, &new) else { return Ok(()) };
                match self.replace(&place, seq, merged).await {
                    Ok(()) => return Ok(()),
                    Err(Refusal::Conflict) => {}
                    Err(refusal) => return Err(refusal.unavailable()),
                }
            }
            Err(Refusal::Conflict.unavailable())
        }
        .boxed()
    }

    async fn write_below(
        &self,
        place: &Place,
        by: By,
        entries: Vec<Entry>,
    ) -> Result<(), BusError> {
        let writes = spread(entries, by, place.path.len())
            .into_iter()
            .map(|(digit, entries)| self.write(place.below(digit), entries))
            .collect::<Vec<_>>();
        stream::iter(writes).buffer_unordered(usize::from(FAN_OUT)).try_collect().await
    }

    /// Replaces a bucket that ended at `seq`. One that grew too large is split: first everything is joined into
    /// the buckets below, then the bucket says so. Until then it is the truth, and whoever gives up in
    /// between leaves nothing but early copies.
    async fn replace(&self, place: &Place, seq: u64, merged: Vec<Entry>) -> Result<(), Refusal> {
        let unknown = |error: String| Refusal::Unknown(error);
        let encode =
            |content| Bucket::new(content).encode().map_err(|error| unknown(error.to_string()));
        let content = Content::Parts(merged);
        let mut payload = encode(content.clone())?;
        if let Content::Parts(merged) = content
            && let Some(by) = split(&merged, payload.len(), place.path.len())
        {
            let below = self.write_below(place, by, merged).await;
            below.map_err(|error| unknown(error.to_string()))?;
            payload = encode(Content::Split(by))?;
        }
        self.publish(place, seq, payload).await
    }

    async fn publish(&self, place: &Place, seq: u64, payload: Bytes) -> Result<(), Refusal> {
        let (partition, root) = place.root;
        let stream = self.names.states_stream(partition);
        let subject = self.names.bucket(partition, root, &place.path);
        publish(&self.client, &stream, subject, Some(seq), payload).await.map(drop)
    }

    /// A bucket and its sequence (0: there is none), from the stream's leader.
    async fn read(&self, place: &Place) -> Result<(u64, Content), BusError> {
        let (partition, root) = place.root;
        let stream = self.names.states_stream(partition);
        let subject = self.names.bucket(partition, root, &place.path);
        let Some(message) = last_of(&self.context, &stream, &subject).await? else {
            return Ok((0, Content::Parts(Vec::new())));
        };
        let bucket = Bucket::decode(&message.payload).map_err(|error| {
            BusError::Corrupt(format!("bucket at sequence {}: {error}", message.sequence))
        })?;
        Ok((message.sequence, bucket.content))
    }
}
