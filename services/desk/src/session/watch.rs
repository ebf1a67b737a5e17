//! News of the conversations an agent has.

use std::collections::{BTreeMap, BTreeSet};

use bus::{BusError, SignalStream, Signals};
use bytes::Bytes;
use chassis::task::{self, AbortOnDrop, TaskKind};
use domain::Hash16;
use tokio::sync::mpsc;

/// News that wait for the session's loop: it takes them at once, so a few are plenty.
const NEWS_MAX: usize = 64;

/// One piece of news.
#[derive(Debug)]
pub(super) enum News {
    /// A signal of a conversation.
    Signal(Hash16, Bytes),
    /// Some were lost: the client must look again.
    Lost,
}

/// The conversations that are watched.
pub(super) struct Watches {
    sender: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
    watched: BTreeMap<Hash16, AbortOnDrop<()>>,
}

impl Watches {
    pub(super) fn new() -> Self {
        let (sender, news) = mpsc::channel(NEWS_MAX);
        Self { sender, news, watched: BTreeMap::new() }
    }

    /// The next piece of news.
    pub(super) async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }

    /// Begins to watch a conversation; once this answers, nothing is missed.
    pub(super) async fn add(
        &mut self,
        signals: &dyn Signals,
        conversation: Hash16,
    ) -> Result<(), BusError> {
        if self.watched.contains_key(&conversation) {
            return Ok(());
        }
        let stream = signals.subscribe(&format!("conversation.{conversation}")).await?;
        let pump = pump(conversation, stream, self.sender.clone());
        let watch = task::spawn_abort_on_drop(TaskKind::Connection, "desk_watch", pump);
        self.watched.insert(conversation, watch);
        Ok(())
    }

    pub(super) fn remove(&mut self, conversation: Hash16) {
        self.watched.remove(&conversation);
    }

    /// Watches these and no others.
    pub(super) async fn set(
        &mut self,
        signals: &dyn Signals,
        conversations: &BTreeSet<Hash16>,
    ) -> Result<(), BusError> {
        self.watched.retain(|conversation, _| conversations.contains(conversation));
        for conversation in conversations {
            self.add(signals, *conversation).await?;
        }
        Ok(())
    }
}

async fn pump(conversation: Hash16, mut stream: Box<dyn SignalStream>, news: mpsc::Sender<News>) {
    while let Some(signal) = stream.next().await {
        let piece = match signal {
            Ok(signal) => News::Signal(conversation, signal.body),
            Err(_) => News::Lost,
        };
        if news.send(piece).await.is_err() {
            return;
        }
    }
}
