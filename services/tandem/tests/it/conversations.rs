//! A program of one business that reads conversations over gRPC.

use std::net::SocketAddr;

use api::v1::{
    Conversation, ListConversationsRequest, ListMessagesRequest, Message, SendRequest,
    SendResponse, conversations_client::ConversationsClient,
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

pub(crate) struct Conversations {
    client: ConversationsClient<Channel>,
    bearer: MetadataValue<Ascii>,
}

impl Conversations {
    pub(crate) async fn connect(desk: SocketAddr, token: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{desk}")).unwrap();
        let channel = endpoint.connect().await.unwrap();
        let bearer = format!("Bearer {token}").parse().unwrap();
        Self { client: ConversationsClient::new(channel), bearer }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.clone());
        request
    }

    /// All conversations of the business.
    pub(crate) async fn list(&mut self) -> Vec<Conversation> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let listing =
                ListConversationsRequest { page_size: 500, page_token, ..Default::default() };
            let request = self.request(listing);
            let page = self.client.list(request).await.unwrap().into_inner();
            all.extend(page.conversations);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return all;
            }
        }
    }

    /// A conversation's whole thread.
    pub(crate) async fn thread(&mut self, conversation: &Conversation) -> Vec<Message> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = self.request(ListMessagesRequest {
                conversation_id: conversation.conversation_id.clone(),
                page_size: 1_000,
                page_token,
                at_least: conversation.position,
            });
            let page = self.client.list_messages(request).await.unwrap().into_inner();
            all.extend(page.messages);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return all;
            }
        }
    }

    /// All conversations with their threads, by id.
    pub(crate) async fn everything(&mut self) -> Vec<(Conversation, Vec<Message>)> {
        let mut all = Vec::new();
        for conversation in self.list().await {
            let thread = self.thread(&conversation).await;
            all.push((conversation, thread));
        }
        all.sort_by(|a, b| a.0.conversation_id.cmp(&b.0.conversation_id));
        all
    }

    pub(crate) async fn send(&mut self, send: SendRequest) -> Result<SendResponse, Status> {
        let request = self.request(send);
        self.client.send(request).await.map(tonic::Response::into_inner)
    }
}
