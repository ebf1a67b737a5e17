//! Which chat a conversation of the product is.

use std::time::Duration;

use api::v1::conversations_client::ConversationsClient;
use api::v1::{Conversation, GetConversationRequest, Position};
use tonic::Request;
use tonic::transport::Channel;

use crate::sim::Sim;
use crate::world::ChatId;

use super::bearer;

const TRIES: u32 = 20;
const WAIT: Duration = Duration::from_millis(100);

/// Asks the product for a conversation. The read model may be behind the event that named it, so it is asked again for a while.
pub(super) async fn find(
    sim: &Sim,
    channel: &Channel,
    token: &str,
    conversation: &str,
    at_least: Option<Position>,
) -> Option<ChatId> {
    let mut client = ConversationsClient::new(channel.clone());
    for _ in 0..TRIES {
        let mut request = Request::new(GetConversationRequest {
            conversation_id: conversation.to_owned(),
            at_least,
            read_mask: None,
        });
        request.metadata_mut().insert("authorization", bearer(token)?);
        if let Ok(answer) = client.get(request).await
            && let Some(found) = answer.into_inner().conversation
            && let Some(chat) = chat_of(sim, &found)
        {
            return Some(chat);
        }
        tokio::time::sleep(WAIT).await;
    }
    None
}

fn chat_of(sim: &Sim, conversation: &Conversation) -> Option<ChatId> {
    let number = sim.world.number_by_meta_id(&conversation.phone_number_id)?;
    let contact = conversation.contact.as_ref()?;
    let by = |identity: &str| sim.world.chat(number, identity);
    by(&contact.user_id).or_else(|| by(&contact.phone))
}
