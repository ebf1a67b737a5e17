//! What was said before an agent came: read over `Conversations`.

use api::v1::{
    Conversation, GetConversationRequest, ListMessagesRequest, Message, Note, Position,
    conversations_client::ConversationsClient,
};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

/// Pages read of one thread; a longer one shows its newest part.
const PAGES_MAX: usize = 10;
const PAGE_SIZE: u32 = 200;

/// A conversation with its thread.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct History {
    pub(super) conversation: Conversation,
    pub(super) messages: Vec<Message>,
    pub(super) notes: Vec<Note>,
}

/// Reads it; none where it cannot be read (the offer is shown without).
pub(super) async fn read(
    client: &mut ConversationsClient<Channel>,
    bearer: &MetadataValue<Ascii>,
    id: &str,
    at_least: Option<Position>,
) -> Option<History> {
    let get = GetConversationRequest { conversation_id: id.to_owned(), at_least, read_mask: None };
    let got = client.get(with_token(get, bearer)).await.ok()?.into_inner();
    let mut messages = Vec::new();
    let mut page_token = String::new();
    for _ in 0..PAGES_MAX {
        let list = ListMessagesRequest {
            conversation_id: id.to_owned(),
            page_size: PAGE_SIZE,
            page_token,
            at_least,
        };
        let page = client.list_messages(with_token(list, bearer)).await.ok()?.into_inner();
        messages.extend(page.messages);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Some(History { conversation: got.conversation?, messages, notes: got.notes })
}

fn with_token<T>(message: T, bearer: &MetadataValue<Ascii>) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer.clone());
    request
}
