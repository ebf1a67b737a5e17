//! The publisher: the shard's signals and replies, in the order they left the gate. Best effort.

use std::sync::Arc;

use bytes::Bytes;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::context::Context;

pub(crate) struct Publisher;

/// Publish this body on this topic.
pub(crate) struct PublishMsg(pub(crate) String, pub(crate) Bytes);

impl Actor for Publisher {
    type Msg = PublishMsg;
    type State = (Arc<Context>, TaskTrackerToken);
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        _myself: ActorRef<PublishMsg>,
        context: Arc<Context>,
    ) -> Result<(Arc<Context>, TaskTrackerToken), ActorProcessingErr> {
        let alive = context.alive();
        Ok((context, alive))
    }

    async fn handle(
        &self,
        _myself: ActorRef<PublishMsg>,
        PublishMsg(topic, body): PublishMsg,
        (context, _): &mut (Arc<Context>, TaskTrackerToken),
    ) -> Result<(), ActorProcessingErr> {
        if context.is_dead() {
            return Ok(());
        }
        let published = context.mortal(context.bus.signals.publish(&topic, body)).await;
        if let Some(Err(error)) = published {
            tracing::debug!(%error, "signal not published");
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<PublishMsg>,
        _event: SupervisionEvent,
        _state: &mut (Arc<Context>, TaskTrackerToken),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}
