//! The publisher: the shard's signals and replies, in the order they left the gate. Best effort.

use std::sync::Arc;

use bytes::Bytes;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::context::Context;

pub(crate) struct Publisher;

/// Publish this body on this topic.
pub(crate) struct PublishMsg(pub(crate) String, pub(crate) Bytes);

impl Actor for Publisher {
    type Msg = PublishMsg;
    type State = Arc<Context>;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        _myself: ActorRef<PublishMsg>,
        context: Arc<Context>,
    ) -> Result<Arc<Context>, ActorProcessingErr> {
        Ok(context)
    }

    async fn handle(
        &self,
        _myself: ActorRef<PublishMsg>,
        PublishMsg(topic, body): PublishMsg,
        context: &mut Arc<Context>,
    ) -> Result<(), ActorProcessingErr> {
        if let Err(error) = context.bus.signals.publish(&topic, body).await {
            tracing::debug!(%error, "signal not published");
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<PublishMsg>,
        _event: SupervisionEvent,
        _context: &mut Arc<Context>,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}
