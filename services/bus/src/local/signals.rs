//! Signals in memory: one bounded ring per subscribed pattern, so that a busy topic never makes the
//! readers of another one lag.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;

use crate::{BusError, Signal, SignalStream, Signals};

/// Signals a reader may be behind before it loses the oldest.
pub(crate) const SIGNALS_BEHIND_MAX: usize = 1024;

/// Signals between the nodes of this process.
#[derive(Debug, Default)]
pub(crate) struct LocalSignals {
    patterns: Mutex<BTreeMap<String, broadcast::Sender<Signal>>>,
}

impl LocalSignals {
    fn patterns(&self) -> MutexGuard<'_, BTreeMap<String, broadcast::Sender<Signal>>> {
        self.patterns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every subscription.
    pub(crate) fn close(&self) {
        self.patterns().clear();
    }
}

/// Refuses topics that not every adapter can carry: tokens of letters, digits, `-`, `_`, separated by
/// dots; a subscription may end in `>`.
pub(crate) fn check_topic(topic: &str, subscription: bool) -> Result<(), BusError> {
    let tokens = match topic.strip_suffix('>') {
        Some("") if subscription => return Ok(()),
        Some(prefix) if subscription => prefix.strip_suffix('.'),
        Some(_) => None,
        None => Some(topic),
    };
    let token_is_plain = |token: &str| {
        !token.is_empty()
            && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if tokens.is_some_and(|tokens| tokens.split('.').all(token_is_plain)) {
        return Ok(());
    }
    Err(BusError::Unavailable(format!("{topic:?} is no signal topic")))
}

/// `a.b.c` is delivered to `a.b.c`, `a.b.>`, `a.>` and `>`.
fn patterns_of(topic: &str) -> impl Iterator<Item = String> + '_ {
    let prefixes = topic.match_indices('.').map(|(dot, _)| {
        let (prefix, _) = topic.split_at(dot);
        format!("{prefix}.>")
    });
    [topic.to_owned(), ">".to_owned()].into_iter().chain(prefixes)
}

#[async_trait]
impl Signals for LocalSignals {
    async fn publish(&self, topic: &str, body: Bytes) -> Result<(), BusError> {
        check_topic(topic, false)?;
        let signal = Signal { topic: topic.to_owned(), body };
        let mut patterns = self.patterns();
        for pattern in patterns_of(topic) {
            if patterns.get(&pattern).is_some_and(|readers| readers.send(signal.clone()).is_err()) {
                // Nobody listens any more.
                patterns.remove(&pattern);
            }
        }
        Ok(())
    }

    fn is_heard(&self, topic: &str) -> bool {
        let patterns = self.patterns();
        patterns_of(topic).any(|pattern| patterns.contains_key(&pattern))
    }

    async fn subscribe(&self, topic: &str) -> Result<Box<dyn SignalStream>, BusError> {
        check_topic(topic, true)?;
        let mut patterns = self.patterns();
        patterns.retain(|_, readers| readers.receiver_count() > 0);
        let readers = patterns
            .entry(topic.to_owned())
            .or_insert_with(|| broadcast::channel(SIGNALS_BEHIND_MAX).0);
        Ok(Box::new(LocalSignalStream::new(readers.subscribe())))
    }
}

/// A reader of one ring.
pub(crate) struct LocalSignalStream {
    signals: broadcast::Receiver<Signal>,
}

impl LocalSignalStream {
    pub(crate) fn new(signals: broadcast::Receiver<Signal>) -> Self {
        Self { signals }
    }
}

#[async_trait]
impl SignalStream for LocalSignalStream {
    async fn next(&mut self) -> Option<Result<Signal, u64>> {
        match self.signals.recv().await {
            Ok(signal) => Some(Ok(signal)),
            Err(broadcast::error::RecvError::Lagged(lost)) => Some(Err(lost)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
