//! The `Events` service: the log of one business, partition by partition, from where the reader is.

mod follow;
mod map;

use std::{collections::BTreeMap, sync::Arc};

use api::{
    convert::{self, Place},
    v1::{TailRequest, TailResponse, events_server::Events},
};
use bus::PartitionId;
use chassis::task::TaskKind;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::{fault::Fault, metrics, server::Shared};
use follow::Follow;

/// Events that wait for the reader, of all partitions together; a slow reader makes the reading of logs wait.
const QUEUE_MAX: usize = 256;

/// The service.
#[derive(Clone)]
pub(crate) struct EventsService(pub(crate) Arc<Shared>);

#[tonic::async_trait]
impl Events for EventsService {
    type TailStream = ReceiverStream<Result<TailResponse, Status>>;

    async fn tail(
        &self,
        request: Request<TailRequest>,
    ) -> Result<Response<Self::TailStream>, Status> {
        let principal = self.0.tokens.check(request.metadata())?;
        self.0.business(&principal)?;
        if principal.agent.is_some() {
            let text = "events are for programs: use the token of the business";
            return Err(Fault::Forbidden(text).into());
        }
        let request = request.into_inner();
        let partitions = self.0.commands.bus.partitions;
        let mut from = places(&request, partitions)?;
        let (sender, events) = mpsc::channel(QUEUE_MAX);
        let open = Arc::new(metrics::Open::new(metrics::TAILS));
        for partition in (0..partitions).map(PartitionId) {
            let follow = Follow {
                shared: Arc::clone(&self.0),
                business: principal.business.clone(),
                partition,
                events: sender.clone(),
                stop_at_end: request.stop_at_end,
            };
            let from = from.remove(&partition);
            let open = Arc::clone(&open);
            let following = async move {
                let _open = open;
                follow.run(from).await;
            };
            self.0.shutdown.spawn(TaskKind::Connection, "desk_tail", following).detach();
        }
        Ok(Response::new(ReceiverStream::new(events)))
    }
}

/// Where each partition begins.
fn places(request: &TailRequest, partitions: u16) -> Result<BTreeMap<PartitionId, Place>, Fault> {
    let mut places = BTreeMap::new();
    for position in &request.from_position {
        let known =
            convert::parse_position(position).filter(|(partition, _)| *partition < partitions);
        let (partition, place) = known.ok_or_else(|| {
            Fault::invalid(format!(
                "from_position: there is no partition {}; use the positions of events",
                position.partition
            ))
        })?;
        if places.insert(PartitionId(partition), place).is_some() {
            return Err(Fault::invalid(format!(
                "from_position: partition {partition} is given twice; give the last one"
            )));
        }
    }
    Ok(places)
}
