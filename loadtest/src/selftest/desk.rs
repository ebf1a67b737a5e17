//! The little product's gRPC edge.

use std::pin::Pin;
use std::sync::Arc;

use api::v1::agent_desk_server::{AgentDesk, AgentDeskServer};
use api::v1::command_result::Result as Answer;
use api::v1::conversations_server::{Conversations, ConversationsServer};
use api::v1::desk_request::Request as Ask;
use api::v1::send_message::Content;
use api::v1::*;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::product::{Product, Talk};
use crate::task;
use crate::world::BusinessId;

pub(super) type Event = Result<DeskEvent, Status>;
type Events = Pin<Box<dyn Stream<Item = Event> + Send>>;

struct Desk(Arc<Product>);

pub(super) async fn start(product: Arc<Product>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    task::spawn("fake-desk", async move {
        tonic::transport::Server::builder()
            .add_service(AgentDeskServer::new(Desk(Arc::clone(&product))))
            .add_service(ConversationsServer::new(Desk(product)))
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await
            .unwrap();
    });
    format!("http://{address}")
}

fn event(event: desk_event::Event) -> Event {
    Ok(DeskEvent { number: 0, position: None, event: Some(event) })
}

pub(super) fn message(conversation: &str, message: Message) -> Event {
    let conversation_id = conversation.to_owned();
    event(desk_event::Event::Message(ThreadMessage { conversation_id, message: Some(message) }))
}

/// The `n`th offer.
pub(super) fn offer(n: u64, conversation: &str) -> Event {
    let offer = Offer {
        offer_id: format!("{n}:{conversation}"),
        conversation_id: conversation.to_owned(),
        ..Offer::default()
    };
    event(desk_event::Event::Offered(offer))
}

fn token<T>(request: &Request<T>) -> String {
    let value = request.metadata().get("authorization").unwrap().to_str().unwrap();
    value.trim_start_matches("Bearer ").to_owned()
}

#[tonic::async_trait]
impl AgentDesk for Desk {
    type SessionStream = Events;

    async fn session(
        &self,
        request: Request<Streaming<DeskRequest>>,
    ) -> Result<Response<Events>, Status> {
        let token = token(&request);
        let mut agents = self.0.world.agents.iter().map(|(_, agent)| agent.clone());
        let agent = agents
            .find(|agent| agent.token == token)
            .ok_or_else(|| Status::unauthenticated("?"))?;
        let (sender, receiver) = mpsc::channel(1_024);
        sender.send(event(desk_event::Event::Snapshot(Snapshot::default()))).await.unwrap();
        self.0.sessions.lock().unwrap().insert(agent.id.clone(), sender.clone());
        self.0.offer_to_newcomer(&agent);
        let (product, mut requests) = (Arc::clone(&self.0), request.into_inner());
        task::spawn("fake-session", async move {
            while let Some(Ok(request)) = requests.next().await {
                let Some(result) = product.on_request(&agent.id, request.request.unwrap()) else {
                    continue;
                };
                let result = CommandResult { command_id: request.command_id, result: Some(result) };
                drop(sender.send(event(desk_event::Event::CommandResult(result))).await);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

impl Product {
    fn on_request(self: &Arc<Self>, agent: &str, request: Ask) -> Option<Answer> {
        let done = Some(Answer::Done(Done {}));
        match request {
            Ask::AcceptOffer(accept) => {
                let id = accept.offer_id.split_once(':').unwrap().1.to_owned();
                self.talks.lock().unwrap().get_mut(&id).unwrap().agent = Some(agent.to_owned());
                self.tell(
                    agent,
                    event(desk_event::Event::Assigned(Assigned { conversation_id: id })),
                );
                done
            }
            Ask::RejectOffer(reject) => {
                let id = reject.offer_id.split_once(':').unwrap().1;
                self.talks.lock().unwrap().get_mut(id).unwrap().offered = false;
                done
            }
            Ask::Send(send) => {
                let Some(Content::Text(text)) = send.content else { panic!("agents send texts") };
                let opaque_id = self.send(&send.conversation_id, text, AuthorKind::Agent);
                Some(Answer::SendTaken(SendTaken { opaque_id }))
            }
            Ask::Resolve(resolve) => {
                let mut talks = self.talks.lock().unwrap();
                let talk = talks.get_mut(&resolve.conversation_id).unwrap();
                (talk.agent, talk.asked, talk.offered) = (None, false, false);
                done
            }
            Ask::SetPresence(_) => done,
            _ => None,
        }
    }

    fn business(&self, token: &str) -> BusinessId {
        let businesses = self.world.businesses.iter();
        let mut known =
            businesses.filter(|(_, business)| business.api_token == token).map(|(id, _)| id);
        let agents = self.world.agents.iter().map(|(_, agent)| agent);
        let mut agents = agents.filter(|agent| agent.token == token).map(|agent| agent.business);
        known.next().or_else(|| agents.next()).unwrap()
    }

    fn owns(&self, business: BusinessId, conversation: &Conversation) -> bool {
        let number = self.world.number_by_meta_id(&conversation.phone_number_id).unwrap();
        self.world.numbers[number].business == business
    }
}

#[tonic::async_trait]
impl Conversations for Desk {
    async fn get(
        &self,
        request: Request<GetConversationRequest>,
    ) -> Result<Response<GetConversationResponse>, Status> {
        let business = self.0.business(&token(&request));
        let talks = self.0.talks.lock().unwrap();
        let talk = talks.get(&request.get_ref().conversation_id);
        let own = talk.filter(|talk| self.0.leaky || self.0.owns(business, &talk.conversation));
        let talk = own.ok_or_else(|| Status::not_found("?"))?;
        let conversation = Some(talk.conversation.clone());
        Ok(Response::new(GetConversationResponse {
            conversation,
            ..GetConversationResponse::default()
        }))
    }

    async fn list(
        &self,
        request: Request<ListConversationsRequest>,
    ) -> Result<Response<ListConversationsResponse>, Status> {
        let business = self.0.business(&token(&request));
        let talks = self.0.talks.lock().unwrap();
        let all = talks.values().map(|talk| talk.conversation.clone());
        let conversations =
            all.filter(|conversation| self.0.owns(business, conversation)).collect();
        Ok(Response::new(ListConversationsResponse {
            conversations,
            ..ListConversationsResponse::default()
        }))
    }

    async fn list_messages(
        &self,
        request: Request<ListMessagesRequest>,
    ) -> Result<Response<ListMessagesResponse>, Status> {
        let business = self.0.business(&token(&request));
        let talks = self.0.talks.lock().unwrap();
        let talk = talks.get(&request.get_ref().conversation_id);
        let own = talk.filter(|talk| self.0.owns(business, &talk.conversation));
        let talk = own.ok_or_else(|| Status::not_found("?"))?;
        let mut messages = talk.messages.clone();
        messages.sort_by_key(|message| (message.timestamp_ms, message.wamid.clone()));
        Ok(Response::new(ListMessagesResponse { messages, ..ListMessagesResponse::default() }))
    }

    async fn send(&self, _: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }

    async fn mark_read(
        &self,
        _: Request<MarkReadRequest>,
    ) -> Result<Response<MarkReadResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }

    async fn assign(&self, _: Request<AssignRequest>) -> Result<Response<AssignResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }

    async fn resolve(
        &self,
        _: Request<ResolveRequest>,
    ) -> Result<Response<ResolveResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }

    async fn transfer_conversation(
        &self,
        _: Request<TransferConversationRequest>,
    ) -> Result<Response<TransferConversationResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }

    async fn requeue_conversation(
        &self,
        _: Request<RequeueConversationRequest>,
    ) -> Result<Response<RequeueConversationResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }

    async fn snooze_conversation(
        &self,
        _: Request<SnoozeConversationRequest>,
    ) -> Result<Response<SnoozeConversationResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }

    async fn set_conversation_vip(
        &self,
        _: Request<SetConversationVipRequest>,
    ) -> Result<Response<SetConversationVipResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }

    async fn list_waiting(
        &self,
        request: Request<ListWaitingRequest>,
    ) -> Result<Response<ListWaitingResponse>, Status> {
        let business = self.0.business(&token(&request));
        let talks = self.0.talks.lock().unwrap();
        let waits = |talk: &&Talk| {
            talk.offered && talk.agent.is_none() && self.0.owns(business, &talk.conversation)
        };
        let item = |talk: &Talk| WaitingItem {
            conversation_id: talk.conversation.conversation_id.clone(),
            reason: WaitReason::Offered.into(),
            ..WaitingItem::default()
        };
        let items = talks.values().filter(waits).map(item).collect();
        Ok(Response::new(ListWaitingResponse { items, ..ListWaitingResponse::default() }))
    }

    async fn list_agents(
        &self,
        _: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }
}
