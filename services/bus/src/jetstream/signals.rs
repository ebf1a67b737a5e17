//! Signals on core NATS: nothing is stored.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, Subscriber};
use async_trait::async_trait;
use bytes::Bytes;
use chassis::task::{TaskKind, spawn};
use futures::StreamExt;
use tokio::{sync::broadcast, time::timeout};

use super::{ANSWER_WITHIN, names::Names, publish::unavailable};
use crate::{
    BusError, Signal, SignalStream, Signals,
    local::{LocalSignalStream, SIGNALS_BEHIND_MAX, check_topic},
};

/// How long a signal waits for room in the client, whose queue fills while there is no connection. It is worth no more: whoever
/// needs what it tells finds it elsewhere, later.
const SENT_WITHIN: Duration = Duration::from_millis(250);

pub(super) struct JetSignals {
    pub(super) client: Client,
    pub(super) names: Arc<Names>,
}

impl JetSignals {
    /// A signal to ourselves: when it is back the server has taken everything sent before it, so that a
    /// subscription is in force when its caller learns of it. It needs no permission beyond that of signals.
    async fn round_trip(&self) -> Result<(), BusError> {
        let topic = self.names.signal(&format!("round-trip.{:032x}", rand::random::<u128>()));
        let there_and_back = async {
            let mut ours = self.client.subscribe(topic.clone()).await.map_err(unavailable)?;
            self.client.publish(topic, Bytes::new()).await.map_err(unavailable)?;
            Ok(ours.next().await)
        };
        match timeout(ANSWER_WITHIN, there_and_back).await {
            Ok(Ok(Some(_))) => Ok(()),
            Ok(Err(error)) => Err(error),
            Ok(Ok(None)) | Err(_) => {
                Err(unavailable("the server did not confirm the subscription"))
            }
        }
    }
}

#[async_trait]
impl Signals for JetSignals {
    async fn publish(&self, topic: &str, body: Bytes) -> Result<(), BusError> {
        check_topic(topic, false)?;
        let published = timeout(SENT_WITHIN, self.client.publish(self.names.signal(topic), body));
        published.await.map_err(unavailable)?.map_err(unavailable)
    }

    async fn subscribe(&self, topic: &str) -> Result<Box<dyn SignalStream>, BusError> {
        check_topic(topic, true)?;
        let subscribed = timeout(ANSWER_WITHIN, self.client.subscribe(self.names.signal(topic)));
        let subscriber = subscribed.await.map_err(unavailable)?.map_err(unavailable)?;
        self.round_trip().await?;
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
