//! Reads every thread of every business, and who waits there, through the public API, for the judge.

use std::time::Duration;

use api::v1::conversations_client::ConversationsClient;
use api::v1::{
    AuthorKind, Conversation, Delivery, GetConversationRequest, ListConversationsRequest,
    ListMessagesRequest, ListWaitingRequest, Message, WaitReason as Reason, WaitingItem,
};
use thiserror::Error;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use crate::judge::{SendState, Side, Thread, ThreadMessage, WaitReason, Waiting};
use crate::sim::Sim;
use crate::world::BusinessId;

use super::bearer;

const PAGE_CONVERSATIONS: u32 = 500;
const PAGE_MESSAGES: u32 = 1_000;
const PAGE_WAITING: u32 = 200;
/// No listing has more pages; a server that goes on is not believed.
const PAGES_MAX: usize = 10_000;
/// Foreign conversations that each business asks for.
const PROBES: usize = 20;
const CALL_MAX: Duration = Duration::from_secs(10);

/// Why the threads could not be read.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    #[error("the desk's address is not known or not valid")]
    NoAddress,
    #[error("the desk cannot be reached: {0}")]
    Connect(#[from] tonic::transport::Error),
    #[error("the desk refused: {0}")]
    Refused(Box<tonic::Status>),
    #[error("the read model is behind")]
    Stale,
    #[error("a listing does not end")]
    Endless,
}

impl From<tonic::Status> for ReadError {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// All threads, as each business sees them.
pub(crate) async fn read_threads(sim: &Sim) -> Result<Vec<Thread>, ReadError> {
    let channel = connect(sim).await?;
    let mut threads = Vec::new();
    for (reader, business) in sim.world.businesses.iter() {
        let mut client = Reader {
            client: ConversationsClient::new(channel.clone()),
            token: &business.api_token,
        };
        for conversation in client.conversations().await? {
            threads.push(client.thread(reader, conversation).await?);
        }
    }
    Ok(threads)
}

/// Who waits for an agent, as each business sees it.
pub(crate) async fn read_waiting(sim: &Sim) -> Result<Vec<Waiting>, ReadError> {
    let channel = connect(sim).await?;
    let mut waiting = Vec::new();
    for (reader, business) in sim.world.businesses.iter() {
        let mut client = Reader {
            client: ConversationsClient::new(channel.clone()),
            token: &business.api_token,
        };
        let items = client.waiting().await?.into_iter();
        waiting.extend(items.map(|item| Waiting {
            reader,
            reason: wait_reason(item.reason()),
            conversation: item.conversation_id,
        }));
    }
    Ok(waiting)
}

/// Asks, in the name of each business, for a few conversations of the others. Gives those that were shown.
pub(crate) async fn probe_isolation(
    sim: &Sim,
    threads: &[Thread],
) -> Result<Vec<String>, ReadError> {
    let channel = connect(sim).await?;
    let mut leaks = Vec::new();
    for (reader, business) in sim.world.businesses.iter() {
        let mut client = Reader {
            client: ConversationsClient::new(channel.clone()),
            token: &business.api_token,
        };
        for thread in threads.iter().filter(|thread| thread.reader != reader).take(PROBES) {
            let conversation_id = thread.conversation.clone();
            let request =
                client.request(GetConversationRequest { conversation_id, ..Default::default() });
            if client.client.get(request).await.is_ok() {
                leaks.push(format!("{} was shown {}", business.id, thread.conversation));
            }
            let conversation_id = thread.conversation.clone();
            let request = client
                .request(ListMessagesRequest { conversation_id, ..ListMessagesRequest::default() });
            let page = client.client.list_messages(request).await;
            if page.is_ok_and(|page| !page.into_inner().messages.is_empty()) {
                leaks.push(format!(
                    "{} was shown the thread of {}",
                    business.id, thread.conversation
                ));
            }
        }
    }
    Ok(leaks)
}

async fn connect(sim: &Sim) -> Result<Channel, ReadError> {
    let address = sim.desk.borrow().clone().ok_or(ReadError::NoAddress)?;
    let endpoint = Endpoint::from_shared(address).map_err(|_| ReadError::NoAddress)?;
    Ok(endpoint.connect_timeout(CALL_MAX).timeout(CALL_MAX).connect().await?)
}

struct Reader<'a> {
    client: ConversationsClient<Channel>,
    token: &'a str,
}

impl Reader<'_> {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(bearer) = bearer(self.token) {
            request.metadata_mut().insert("authorization", bearer);
        }
        request
    }

    async fn conversations(&mut self) -> Result<Vec<Conversation>, ReadError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let request = self.request(ListConversationsRequest {
                page_size: PAGE_CONVERSATIONS,
                page_token,
                ..ListConversationsRequest::default()
            });
            let page = self.client.list(request).await?.into_inner();
            all.extend(page.conversations);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
        Err(ReadError::Endless)
    }

    async fn waiting(&mut self) -> Result<Vec<WaitingItem>, ReadError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let page_size = PAGE_WAITING;
            let request = ListWaitingRequest { page_size, page_token, queue_id: String::new() };
            let request = self.request(request);
            let page = self.client.list_waiting(request).await?.into_inner();
            all.extend(page.items);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
        Err(ReadError::Endless)
    }

    async fn thread(
        &mut self,
        reader: BusinessId,
        conversation: Conversation,
    ) -> Result<Thread, ReadError> {
        let (mut messages, mut page_token) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let request = self.request(ListMessagesRequest {
                conversation_id: conversation.conversation_id.clone(),
                page_size: PAGE_MESSAGES,
                page_token,
                at_least: conversation.position,
            });
            let page = self.client.list_messages(request).await?.into_inner();
            if page.stale {
                return Err(ReadError::Stale);
            }
            messages.extend(page.messages.into_iter().map(thread_message));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                let contact = conversation.contact.unwrap_or_default();
                return Ok(Thread {
                    reader,
                    conversation: conversation.conversation_id,
                    phone_number_id: conversation.phone_number_id,
                    identities: vec![contact.user_id, contact.phone],
                    messages,
                });
            }
        }
        Err(ReadError::Endless)
    }
}

/// What the reason of a wait means to the judge.
fn wait_reason(reason: Reason) -> WaitReason {
    match reason {
        Reason::Unspecified => WaitReason::Untold,
        Reason::CoolingDown
        | Reason::KeptForLastAgent
        | Reason::KeptForTransfer
        | Reason::KeptAfterSnooze
        | Reason::Offered
        | Reason::Matching => WaitReason::Passing,
        Reason::EverybodyAway => WaitReason::Away,
        Reason::NobodySignedIn
        | Reason::NobodySkilled
        | Reason::EverybodyFull
        | Reason::UnknownQueue => WaitReason::Nobody,
    }
}

fn thread_message(message: Message) -> ThreadMessage {
    let author = message.author.as_ref().map_or(AuthorKind::Unspecified, |author| author.kind());
    let side = match author {
        AuthorKind::Customer => Side::Customer,
        AuthorKind::Phone | AuthorKind::PhoneAutomatic => Side::Phone,
        AuthorKind::Bot | AuthorKind::Agent | AuthorKind::Api | AuthorKind::Unspecified => {
            Side::Ours
        }
    };
    let state = match message.delivery() {
        Delivery::Unspecified | Delivery::Pending => SendState::Pending,
        Delivery::Accepted => SendState::Accepted,
        Delivery::Sent => SendState::Sent,
        Delivery::Delivered => SendState::Delivered,
        Delivery::Read | Delivery::Played => SendState::Read,
        Delivery::Failed | Delivery::Cancelled => SendState::Failed,
        Delivery::Unknown => SendState::Unknown,
    };
    ThreadMessage {
        wamid: Some(message.wamid).filter(|wamid| !wamid.is_empty()),
        opaque: message.opaque_id,
        side,
        ts_s: message.timestamp_ms.div_euclid(1_000),
        text: message.text,
        state,
        repeated: message.repeated_after_unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::v1::Author;

    #[test]
    fn a_reason_that_passes_by_itself_is_no_rest() {
        for (reason, means) in [
            (Reason::Unspecified, WaitReason::Untold),
            (Reason::Offered, WaitReason::Passing),
            (Reason::CoolingDown, WaitReason::Passing),
            (Reason::EverybodyAway, WaitReason::Away),
            (Reason::EverybodyFull, WaitReason::Nobody),
        ] {
            assert_eq!(wait_reason(reason), means, "{reason:?}");
        }
    }

    #[test]
    fn a_message_of_the_api_becomes_one_of_the_judge() {
        let author = |kind: AuthorKind| Some(Author { kind: kind.into(), agent_id: String::new() });
        let message = Message {
            wamid: "wamid.x".to_owned(),
            author: author(AuthorKind::PhoneAutomatic),
            timestamp_ms: 5_999,
            delivery: Delivery::Played.into(),
            ..Message::default()
        };
        let read = thread_message(message);
        assert_eq!((read.side, read.ts_s, read.state), (Side::Phone, 5, SendState::Read));
        let pending =
            thread_message(Message { author: author(AuthorKind::Agent), ..Message::default() });
        assert_eq!(
            (pending.wamid, pending.side, pending.state),
            (None, Side::Ours, SendState::Pending)
        );
        let cancelled = Message { delivery: Delivery::Cancelled.into(), ..Message::default() };
        assert_eq!(thread_message(cancelled).state, SendState::Failed);
    }
}
