//! The bus of a cluster: NATS JetStream.
//!
//! Owns the streams (names and subjects in `names.rs`) and says nothing of how the servers are run. They are
//! made once, by [`init`]; [`connect`] never makes one, and refuses what could lose or hide an acknowledged
//! write; [`check`] says all of that without a bus, and of every server. An inbox or a log is one subject of a stream; its sequences
//! are the stream's, hence shared by the partitions in it. The log is fenced by
//! `Nats-Expected-Last-Subject-Sequence`; saved parts lie in buckets (`states.rs`).
//!
//! What the bus promises is answered by stream leaders: publishes, and reads of a subject's last or
//! next message (`STREAM.MSG.GET`; direct get, which any replica may answer late, is off). Consumers only carry
//! entries to readers: they lie in memory, have no acknowledgements, count what they deliver, and
//! are rebuilt when a number is missing or neither a message nor a heartbeat comes. Every request has
//! its own deadline; an unanswered publish is `Unknown`, and so is every refusal that is not a comparison with
//! what is stored (`codes.rs`). Publishes of inputs, of records, reads, trimming, leases, and the rest
//! travel on connections of their own; leases in a thread of their own, too (`apart.rs`).

mod apart;
mod check;
mod codes;
mod connection;
mod cursor;
mod findings;
mod follower;
mod leases;
mod monitor;
mod names;
mod options;
mod publish;
mod reads;
mod signals;
mod states;
mod streams;
mod writes;

use std::{sync::Arc, time::Duration};

use crate::Bus;
use connection::Connections;
use reads::Reads;

pub use check::{InitReport, check, init};
pub use findings::{Finding, Level, Report};
pub use options::{Auth, ClientCertificate, ConnectError, Options, Tls};

/// Longest a request may go without its answer. Shorter than an election of a stream's leader
/// sometimes takes (4 to 9 s), on purpose: waiting longer would only delay the caller's own repeat.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Connects to the servers of an installation that [`init`] made.
///
/// # Errors
/// See [`ConnectError`]; what is [`ConnectError::Refused`] is what [`check`] would refuse.
pub async fn connect(options: Options) -> Result<Bus, ConnectError> {
    let connections = Connections::open(&options).await?;
    let names = Arc::new(check::verified(&connections.rest, &options).await?);
    let partitions = options.partitions;
    let reads = Arc::new(Reads::new(
        connections.reads.clone(),
        connections.trimmer.as_ref(),
        Arc::clone(&names),
        partitions,
        options.recent_bytes,
    ));
    let rest = connections.rest;
    let leases = leases::JetLeases::open(options, Arc::clone(&names)).await?;
    Ok(Bus {
        inbox: Arc::new(writes::JetInbox {
            ingress: connections.ingress,
            reads: Arc::clone(&reads),
        }),
        log: Arc::new(writes::JetLog { commit: connections.commit, reads }),
        states: Arc::new(states::JetStates::new(rest.clone(), Arc::clone(&names), partitions)),
        leases: Arc::new(leases),
        signals: Arc::new(signals::JetSignals { client: rest, names }),
        partitions,
    })
}
