//! Leases: the last message of a node's subject; its stream sequence is the renewal number.

mod roll;
mod view;

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
    publish::{Refusal, publish, unavailable},
};
use crate::{BusError, FORMAT_VERSION, FormatLevel, Leases, NodeLease, encode};
use view::Looks;

pub(super) struct JetLeases {
    apart: Apart,
    client: Client,
    names: Arc<Names>,
    looks: Arc<Looks>,
    format_known: FormatLevel,
}

/// A renewal as it is stored; `info` is `None` where the lease was given up.
#[derive(Debug, Serialize, Deserialize)]
struct Renewal {
    version: u16,
    node: String,
    info: Option<Bytes>,
    /// Newest format level that the process knows; builds that do not say it know the first.
    #[serde(default)]
    format_known: FormatLevel,
}

impl JetLeases {
    /// With a connection of their own.
    pub(super) async fn open(options: Options, names: Arc<Names>) -> Result<Self, ConnectError> {
        let (apart, format_known) = (Apart::start()?, options.format_known);
        let opened = apart.run(async move { connection::open(&options, "leases").await }).await;
        let ended = |error| ConnectError::Thread { source: std::io::Error::other(error) };
        let client = opened.map_err(ended)??;
        let looks = Arc::new(Looks::new(client.clone(), &names));
        Ok(Self { apart, client, names, looks, format_known })
    }

    async fn write(&self, node: &str, info: Option<Bytes>) -> Result<u64, BusError> {
        let (version, format_known) = (FORMAT_VERSION, self.format_known);
        let renewal = Renewal { version, node: node.to_owned(), info, format_known };
        let payload = encode(&renewal).map_err(unavailable)?;
        let (stream, subject) = (self.names.leases_stream(), self.names.lease(node));
        let client = self.client.clone();
        let publish = async move { publish(&client, &stream, subject, None, payload).await };
        self.apart.run(publish).await?.map_err(Refusal::unavailable)
    }
}

#[async_trait]
impl Leases for JetLeases {
    async fn renew(&self, node: &str, info: Bytes) -> Result<u64, BusError> {
        self.write(node, Some(info)).await
    }

    async fn list(&self) -> Result<BTreeMap<String, NodeLease>, BusError> {
        let looks = Arc::clone(&self.looks);
        self.apart.run(async move { looks.look().await }).await?
    }

    async fn release(&self, node: &str) -> Result<(), BusError> {
        self.write(node, None).await.map(drop)
    }
}
