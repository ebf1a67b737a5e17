//! Asking an entity: an input is appended to its inbox, and the answer comes as a signal once the decision is
//! durable. Signals are best effort, so an input without an answer is appended again under the same key; deciding
//! is idempotent, and the answer is the remembered one.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bus::{AppendError, Bus, InboxEntry, Input, Key, PartitionId, Position, Reply, SignalStream};
use bytes::Bytes;
use chassis::task::{self, AbortOnDrop, TaskKind};
use tokio::{
    sync::{Notify, oneshot},
    time::Sleep,
};

use crate::{Options, metrics};

/// Pause before an append of unknown outcome is repeated.
const APPEND_PAUSE: Duration = Duration::from_millis(100);
/// Pause before the subscription is renewed.
const SUBSCRIBE_PAUSE: Duration = Duration::from_millis(500);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    /// The store takes nothing now; nothing was stored.
    #[error(
        "the system is overloaded or its disk is full; nothing was stored: repeat later with the same command id"
    )]
    Full,
    /// The input is larger than an entry may be; nothing was stored.
    #[error("it is too large; nothing was stored")]
    TooLarge,
    /// This process is stopping.
    #[error("the server is stopping: repeat with the same command id on a new connection")]
    Closed,
    /// It may have been carried out.
    #[error("no answer in time, it may have been carried out: repeat with the same command id")]
    NoAnswer,
    /// It was set aside as a dead letter.
    #[error("it could not be decided and was set aside for an operator: do not repeat it")]
    SetAside,
}

/// An entity's answer.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) body: Bytes,
    pub(crate) partition: PartitionId,
    pub(crate) position: Option<Position>,
}

type Waiting = BTreeMap<Key, Vec<(u64, oneshot::Sender<Reply>)>>;

#[derive(Default)]
struct Waiters {
    waiting: Mutex<(u64, Waiting)>,
    /// Answers were lost: whoever waits asks again.
    lost: Notify,
}

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, (u64, Waiting)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(self: &Arc<Self>, key: Key) -> Registered {
        let (sender, reply) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.0 += 1;
        let id = waiting.0;
        waiting.1.entry(key).or_default().push((id, sender));
        Registered { key, id, reply, waiters: Arc::clone(self) }
    }

    fn answer(&self, reply: &Reply) {
        let waiting = self.lock().1.remove(&reply.key).unwrap_or_default();
        for (_, sender) in waiting {
            // Who gave up meanwhile does not want it.
            let _ = sender.send(reply.clone());
        }
    }
}

/// A place among the waiting, given up when dropped.
struct Registered {
    key: Key,
    id: u64,
    reply: oneshot::Receiver<Reply>,
    waiters: Arc<Waiters>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut waiting = self.waiters.lock();
        if let Some(same) = waiting.1.get_mut(&self.key) {
            same.retain(|(id, _)| *id != self.id);
            if same.is_empty() {
                waiting.1.remove(&self.key);
            }
        }
    }
}

/// Asks entities for this process.
pub(crate) struct Asker {
    bus: Bus,
    topic: String,
    waiters: Arc<Waiters>,
    options: Options,
    _listener: AbortOnDrop<()>,
}

impl Asker {
    /// Subscribes to the answers of this process: one topic of its own, whoever else has the node's name.
    pub(crate) async fn start(
        bus: Bus,
        node: &str,
        instance: [u8; 16],
        options: Options,
    ) -> Result<Self, bus::BusError> {
        let topic = format!("reply.{node}.{:032x}", u128::from_be_bytes(instance));
        let waiters = Arc::new(Waiters::default());
        let answers = bus.signals.subscribe(&topic).await?;
        let listen = listen(bus.clone(), topic.clone(), Arc::clone(&waiters), answers);
        let listener = task::spawn_abort_on_drop(TaskKind::Follower, "desk_answers", listen);
        Ok(Self { bus, topic, waiters, options, _listener: listener })
    }

    pub(crate) fn partitions(&self) -> u16 {
        self.bus.partitions
    }

    /// Appends an input; its answer is then waited for by [`Pending::answer`].
    pub(crate) async fn ask(&self, mut input: Input) -> Result<Pending, AskError> {
        input.reply_to = Some(self.topic.clone());
        let registered = self.waiters.add(input.header.key);
        let entry = Entry::of(&self.bus, input)?;
        let mut deadline = Box::pin(tokio::time::sleep(self.options.answer_max));
        entry.append(&mut deadline).await?;
        Ok(Pending { entry, registered, deadline, repeat_after: self.options.repeat_after })
    }

    /// Appends an input that nobody waits for.
    pub(crate) async fn tell(&self, input: Input) -> Result<(), AskError> {
        let mut deadline = Box::pin(tokio::time::sleep(self.options.answer_max));
        Entry::of(&self.bus, input)?.append(&mut deadline).await
    }
}

async fn listen(
    bus: Bus,
    topic: String,
    waiters: Arc<Waiters>,
    mut answers: Box<dyn SignalStream>,
) {
    loop {
        match answers.next().await {
            Some(Ok(signal)) => match Reply::decode(&signal.body) {
                Ok(reply) => waiters.answer(&reply),
                Err(error) => tracing::error!(%error, "an answer cannot be read"),
            },
            Some(Err(_)) => waiters.lost.notify_waiters(),
            None => match bus.signals.subscribe(&topic).await {
                Ok(renewed) => {
                    answers = renewed;
                    waiters.lost.notify_waiters();
                }
                Err(bus::BusError::Closed) => return,
                Err(_) => tokio::time::sleep(SUBSCRIBE_PAUSE).await,
            },
        }
    }
}

struct Entry {
    bus: Bus,
    partition: PartitionId,
    bytes: Bytes,
}

impl Entry {
    fn of(bus: &Bus, input: Input) -> Result<Self, AskError> {
        let partition = input.target.partition(bus.partitions);
        let bytes = InboxEntry::new(vec![input]).encode().map_err(|_| AskError::TooLarge)?;
        Ok(Self { bus: bus.clone(), partition, bytes })
    }

    /// Appends until the outcome is known. At the deadline it may or may not be stored.
    async fn append(&self, deadline: &mut Pin<Box<Sleep>>) -> Result<(), AskError> {
        loop {
            let appended = tokio::select! {
                appended = self.bus.inbox.append(self.partition, self.bytes.clone()) => appended,
                () = deadline.as_mut() => return Err(AskError::NoAnswer),
            };
            match appended {
                Ok(_) => return Ok(()),
                Err(AppendError::Full(_)) => return Err(AskError::Full),
                Err(AppendError::TooLarge { .. }) => return Err(AskError::TooLarge),
                Err(AppendError::Closed) => return Err(AskError::Closed),
                Err(AppendError::Unknown(_)) => tokio::select! {
                    () = tokio::time::sleep(APPEND_PAUSE) => {}
                    () = deadline.as_mut() => return Err(AskError::NoAnswer),
                },
            }
        }
    }
}

/// An input that is in the inbox and not answered yet.
pub(crate) struct Pending {
    entry: Entry,
    registered: Registered,
    deadline: Pin<Box<Sleep>>,
    repeat_after: Duration,
}

impl Pending {
    /// The answer. Without one the input is appended again from time to time, until the deadline.
    pub(crate) async fn answer(mut self) -> Result<Answered, AskError> {
        loop {
            let waiters = Arc::clone(&self.registered.waiters);
            tokio::select! {
                biased;
                reply = &mut self.registered.reply => {
                    let reply = reply.map_err(|_| AskError::Closed)?;
                    let body = reply.result.map_err(|_| AskError::SetAside)?;
                    let partition = self.entry.partition;
                    return Ok(Answered { body, partition, position: reply.position });
                }
                () = self.deadline.as_mut() => return Err(AskError::NoAnswer),
                () = waiters.lost.notified() => {}
                () = tokio::time::sleep(self.repeat_after) => {}
            }
            ::metrics::counter!(metrics::REPEATED_TOTAL).increment(1);
            match self.entry.append(&mut self.deadline).await {
                // It was stored once already; the repetition only asks for the answer.
                Ok(()) | Err(AskError::Full) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
