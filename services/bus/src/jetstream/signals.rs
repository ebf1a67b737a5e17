//! Signals on core NATS: nothing is stored.

use std::sync::Arc;

use async_nats::{Client, Subscriber};
use async_trait::async_trait;
use bytes::Bytes;
use chassis::task::{TaskKind, spawn};
use futures::StreamExt;
use tokio::{sync::broadcast, time::timeout};

use super::{ANSWER_WITHIN, names::Names};
use crate::{
    BusError, Signal, SignalStream, Signals,
    local::{LocalSignalStream, SIGNALS_BEHIND_MAX, check_topic},
};

pub(super) struct JetSignals {
    pub(super) client: Client,
    pub(super) names: Arc<Names>,
}

impl JetSignals {
    /// A signal to ourselves: when it is back the server has taken everything sent before it, so that a
    /// subscription is in force when its caller learns of it. It needs no permission beyond that of signals.
    async fn round_trip(&self) -> Result<(), String> {
        let topic = self.names.signal(&format!("round-trip.{:032x}", rand::random::<u128>()));
        let ours = self.client.subscribe(topic.clone()).await;
        let mut ours = ours.map_err(|error| error.to_string())?;
        let sent = self.client.publish(topic, Bytes::new()).await;
        sent.map_err(|error| error.to_string())?;
        match timeout(ANSWER_WITHIN, ours.next()).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) | Err(_) => Err("the server did not confirm the subscription".to_owned()),
        }
    }
}

#[async_trait]
impl Signals for JetSignals {
    async fn publish(&self, topic: &str, body: Bytes) -> Result<(), BusError> {
        check_topic(topic, false)?;
        let published = self.client.publish(self.names.signal(topic), body).await;
        published.map_err(|error| BusError::Unavailable(error.to_string()))
    }

    async fn subscribe(&self, topic: &str) -> Result<Box<dyn SignalStream>, BusError> {
        check_topic(topic, true)?;
        let unavailable = |why: String| BusError::Unavailable(why);
        let subscribed = self.client.subscribe(self.names.signal(topic)).await;
        let subscriber = subscribed.map_err(|error| unavailable(error.to_string()))?;
        self.round_trip().await.map_err(unavailable)?;
        let (ring, signals) = broadcast::channel(SIGNALS_BEHIND_MAX);
        let pump = pump(subscriber, Arc::clone(&self.names), ring);
        spawn(TaskKind::Connection, "bus-signals", pump).detach();
        Ok(Box::new(LocalSignalStream::new(signals)))
    }
}

/// Moves what arrives into a ring that counts what its reader loses. Ends with its reader.
async fn pump(mut subscriber: Subscriber, names: Arc<Names>, ring: broadcast::Sender<Signal>) {
    loop {
        let message = tokio::select! {
            message = subscriber.next() => message,
            () = ring.closed() => None,
        };
        let Some(message) = message else { return };
        let Some(topic) = names.topic(&message.subject) else { continue };
        let signal = Signal { topic: topic.to_owned(), body: message.payload };
        if ring.send(signal).is_err() {
            return;
        }
    }
}
