//! Leases: the last message of a node's subject; its stream sequence is the renewal number.

use std::{collections::BTreeMap, sync::Arc};

use async_nats::Client;
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    apart::Apart,
    connection,
    names::Names,
    options::{ConnectError, Options},
    publish::{Refusal, next_of, publish},
    streams,
};
use crate::{BusError, FORMAT_VERSION, Leases, NodeLease, decode, encode};

pub(super) struct JetLeases {
    apart: Apart,
    at: At,
}

/// Where leases are kept.
#[derive(Clone)]
struct At {
    client: Client,
    names: Arc<Names>,
}

/// A renewal as it is stored; `info` is `None` where the lease was given up.
#[derive(Debug, Serialize, Deserialize)]
struct Renewal {
    version: u16,
    node: String,
    info: Option<Bytes>,
}

impl JetLeases {
    /// With a connection of their own.
    pub(super) async fn open(options: Options, names: Arc<Names>) -> Result<Self, ConnectError> {
        let apart = Apart::start()?;
        let opened = apart.run(async move { connection::open(&options, "leases").await }).await;
        let ended = |error| ConnectError::Thread { source: std::io::Error::other(error) };
        let client = opened.map_err(ended)??;
        Ok(Self { apart, at: At { client, names } })
    }

    async fn write(&self, node: &str, info: Option<Bytes>) -> Result<u64, BusError> {
        let (at, node) = (self.at.clone(), node.to_owned());
        self.apart.run(async move { at.write(node, info).await }).await?
    }
}

impl At {
    async fn write(&self, node: String, info: Option<Bytes>) -> Result<u64, BusError> {
        let (stream, subject) = (self.names.leases_stream(), self.names.lease(&node));
        let renewal = Renewal { version: FORMAT_VERSION, node, info };
        let payload = encode(&renewal).map_err(|error| BusError::Unavailable(error.to_string()))?;
        publish(&self.client, &stream, subject, None, payload).await.map_err(Refusal::unavailable)
    }

    async fn list(&self) -> Result<BTreeMap<String, NodeLease>, BusError> {
        let context = streams::context(&self.client);
        let (stream, subjects) = (self.names.leases_stream(), self.names.leases());
        let mut leases = BTreeMap::new();
        let mut from = 1;
        while let Some(message) = next_of(&context, &stream, &subjects, from).await? {
            from = message.sequence + 1;
            let found: Renewal = decode(&message.payload)
                .map_err(|error| BusError::Corrupt(format!("a lease: {error}")))?;
            match found.info {
                Some(info) => {
                    let node = found.node;
                    let stored_ms = message.time.unix_timestamp_nanos() / 1_000_000;
                    let lease = NodeLease {
                        node: node.clone(),
                        info,
                        renewal: message.sequence,
                        renewed_wall_ms: u64::try_from(stored_ms).ok(),
                    };
                    leases.insert(node, lease);
                }
                None => drop(leases.remove(&found.node)),
            }
        }
        Ok(leases)
    }
}

#[async_trait]
impl Leases for JetLeases {
    async fn renew(&self, node: &str, info: Bytes) -> Result<u64, BusError> {
        self.write(node, Some(info)).await
    }

    async fn list(&self) -> Result<BTreeMap<String, NodeLease>, BusError> {
        let at = self.at.clone();
        self.apart.run(async move { at.list().await }).await?
    }

    async fn release(&self, node: &str) -> Result<(), BusError> {
        self.write(node, None).await.map(drop)
    }
}
