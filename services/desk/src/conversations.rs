//! The `Conversations` service: reading from the read model, and commands of programs and agents.

use std::sync::Arc;

use api::convert;
use api::v1::{
    self, AssignRequest, AssignResponse, GetConversationRequest, GetConversationResponse,
    ListAgentsRequest, ListAgentsResponse, ListConversationsRequest, ListConversationsResponse,
    ListMessagesRequest, ListMessagesResponse, ListWaitingRequest, ListWaitingResponse,
    MarkReadRequest, MarkReadResponse, RequeueConversationRequest, RequeueConversationResponse,
    ResolveRequest, ResolveResponse, SendRequest, SendResponse, SetConversationVipRequest,
    SetConversationVipResponse, SnoozeConversationRequest, SnoozeConversationResponse,
    TransferConversationRequest, TransferConversationResponse, command_result,
    conversations_server::Conversations,
};
use archive::model::{ConversationCursor, ConversationFilter, ConversationView};
use domain::{AgentId, EntityId, Hash16, conversation::CommandAnswer};
use tonic::{Request, Response, Status};

use crate::{
    BusinessContext, board,
    command::Act,
    fault::{self, Fault},
    mask::Mask,
    metrics, page, routing,
    server::Shared,
    tokens::Principal,
    wire,
};

const LIST_DEFAULT: usize = 50;
const LIST_MAX: usize = 500;
const MESSAGES_DEFAULT: usize = 100;
const MESSAGES_MAX: usize = 1000;

/// The service.
#[derive(Clone)]
pub(crate) struct ConversationsService(pub(crate) Arc<Shared>);

/// What `Send`, `Assign` and `Resolve` answer.
struct Done {
    opaque_id: String,
    position: Option<v1::Position>,
}

impl ConversationsService {
    fn caller<T>(
        &self,
        request: &Request<T>,
    ) -> Result<(Arc<Principal>, &BusinessContext), Status> {
        let principal = self.0.tokens.check(request.metadata())?;
        let business = self.0.business(&principal)?;
        Ok((principal, business))
    }

    async fn act(
        &self,
        principal: &Principal,
        id: Option<&v1::CommandId>,
        act: Act,
    ) -> Result<Done, Status> {
        let (kind, commands) = (act.kind(), &self.0.commands);
        let business = self.0.business(principal)?;
        let decided = async {
            routing::check(business, principal, &act, commands.clock.wall_ms())?;
            commands.decided(commands.act(principal, id, &act, |_| false).await?).await
        };
        let decided = decided.await;
        let decided = decided.inspect_err(|fault| metrics::command(kind, fault.label()))?;
        let opaque_id = match &decided.answer {
            CommandAnswer::Sent { request } => convert::opaque_id(*request),
            CommandAnswer::Done => String::new(),
            CommandAnswer::Refused(_) | CommandAnswer::Moved { .. } => {
                metrics::command(kind, "refused");
                return Err(match convert::command_answer(&decided.answer) {
                    command_result::Result::Refused(why) => fault::refused(why),
                    _ => Status::internal("the answer has no meaning here"),
                });
            }
        };
        metrics::command(kind, "done");
        Ok(Done { opaque_id, position: decided.position })
    }
}

fn conversation(id: &str) -> Result<EntityId, Fault> {
    convert::parse_conversation_id(id).ok_or(Fault::NoConversation)
}

fn filter(
    business: &BusinessContext,
    request: &ListConversationsRequest,
) -> Result<ConversationFilter, Fault> {
    let channel = request.channel_id.as_str();
    if !channel.is_empty() && !request.phone_number_id.is_empty() {
        return Err(Fault::invalid("channel_id: set it or phone_number_id, not both"));
    }
    let number = match request.phone_number_id.as_str() {
        "" if channel.is_empty() => None,
        "" => {
            let unknown = || Fault::invalid("channel_id: the business has no such channel");
            Some(business.channels.get(channel).ok_or_else(unknown)?.via.number.hash)
        }
        wanted => {
            let found = business.numbers.iter().find(|(_, id)| *id == wanted);
            let unknown = || Fault::invalid("phone_number_id: the business has no such number");
            Some(*found.ok_or_else(unknown)?.0)
        }
    };
    let agent = request.assigned_agent_id.as_str();
    let assigned = (!agent.is_empty()).then(|| AgentId::from(agent));
    Ok(ConversationFilter { number, assigned, vip: request.vip, snoozed: request.snoozed })
}

#[tonic::async_trait]
impl Conversations for ConversationsService {
    async fn get(
        &self,
        request: Request<GetConversationRequest>,
    ) -> Result<Response<GetConversationResponse>, Status> {
        let (principal, business) = self.caller(&request)?;
        let request = request.into_inner();
        let id = conversation(&request.conversation_id)?.hash;
        let mask = Mask::of_get(request.read_mask.as_ref())?;
        let at_least = wire::at_least(request.at_least.as_ref());
        let read = self.0.commands.archive.conversation(&principal.business, id, at_least).await;
        let read = read.map_err(Fault::from)?;
        let view = read.value.ok_or(Fault::NoConversation)?;
        let notes = view.notes.iter().map(|(note, text)| wire::note(note, text.clone()));
        let mut answer = GetConversationResponse {
            conversation: Some(wire::conversation(business, &view)),
            episodes: view.episodes.iter().map(wire::episode).collect(),
            notes: notes.collect(),
            stale: read.stale,
        };
        mask.leave_in_answer(&mut answer);
        Ok(Response::new(answer))
    }

    async fn list(
        &self,
        request: Request<ListConversationsRequest>,
    ) -> Result<Response<ListConversationsResponse>, Status> {
        let (principal, business) = self.caller(&request)?;
        let request = request.into_inner();
        let filter = filter(business, &request)?;
        let mask = Mask::of_list(request.read_mask.as_ref())?;
        let after = page::conversations_cursor(&request.page_token)?;
        let size = page::size(request.page_size, LIST_DEFAULT, LIST_MAX);
        let archive = &self.0.commands.archive;
        let views = archive.conversations(&principal.business, &filter, after, size + 1).await;
        let mut views = views.map_err(Fault::from)?;
        let more = views.len() > size;
        views.truncate(size);
        let next_page_token = match views.last().filter(|_| more) {
            Some(last) => page::conversations_token(cursor(last)),
            None => String::new(),
        };
        let conversations = views.iter().map(|view| {
            let mut conversation = wire::conversation(business, view);
            mask.leave(&mut conversation);
            conversation
        });
        let conversations = conversations.collect();
        Ok(Response::new(ListConversationsResponse { conversations, next_page_token }))
    }

    async fn list_messages(
        &self,
        request: Request<ListMessagesRequest>,
    ) -> Result<Response<ListMessagesResponse>, Status> {
        let (principal, _) = self.caller(&request)?;
        let request = request.into_inner();
        let id: Hash16 = conversation(&request.conversation_id)?.hash;
        let after = page::thread_cursor(&request.page_token)?;
        let size = page::size(request.page_size, MESSAGES_DEFAULT, MESSAGES_MAX);
        let at_least = wire::at_least(request.at_least.as_ref());
        let archive = &self.0.commands.archive;
        let read = archive.messages(&principal.business, id, after.as_ref(), size, at_least).await;
        let read = read.map_err(Fault::from)?;
        let (views, more) = read.value.ok_or(Fault::NoConversation)?;
        let next_page_token = match views.last().filter(|_| more) {
            Some(last) => page::thread_token(&last.cursor),
            None => String::new(),
        };
        let messages = views.into_iter().map(wire::message).collect();
        Ok(Response::new(ListMessagesResponse { messages, next_page_token, stale: read.stale }))
    }

    async fn send(&self, request: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        let (principal, _) = self.caller(&request)?;
        let request = request.into_inner();
        let message = request.message.ok_or_else(|| Fault::invalid("message: set it"))?;
        let act = Act::Send(Box::new(message));
        let done = self.act(&principal, request.command_id.as_ref(), act).await?;
        Ok(Response::new(SendResponse { opaque_id: done.opaque_id, position: done.position }))
    }

    async fn mark_read(
        &self,
        request: Request<MarkReadRequest>,
    ) -> Result<Response<MarkReadResponse>, Status> {
        let (principal, _) = self.caller(&request)?;
        let request = request.into_inner();
        let id = request.command_id.clone();
        let done = self.act(&principal, id.as_ref(), Act::MarkRead(request)).await?;
        Ok(Response::new(MarkReadResponse { position: done.position }))
    }

    async fn assign(
        &self,
        request: Request<AssignRequest>,
    ) -> Result<Response<AssignResponse>, Status> {
        let (principal, _) = self.caller(&request)?;
        let request = request.into_inner();
        let AssignRequest { command_id, conversation_id, agent_id, reason } = request;
        let act = Act::Assign(v1::AssignTo { conversation_id, agent_id, reason });
        let done = self.act(&principal, command_id.as_ref(), act).await?;
        Ok(Response::new(AssignResponse { position: done.position }))
    }

    async fn resolve(
        &self,
        request: Request<ResolveRequest>,
    ) -> Result<Response<ResolveResponse>, Status> {
        let (principal, _) = self.caller(&request)?;
        let ResolveRequest { command_id, conversation_id, code } = request.into_inner();
        let act = Act::Resolve(v1::Resolve { conversation_id, code, wrap_up: false });
        let done = self.act(&principal, command_id.as_ref(), act).await?;
        Ok(Response::new(ResolveResponse { position: done.position }))
    }

    async fn transfer_conversation(
        &self,
        request: Request<TransferConversationRequest>,
    ) -> Result<Response<TransferConversationResponse>, Status> {
        let (principal, _) = self.caller(&request)?;
        let TransferConversationRequest { command_id, transfer } = request.into_inner();
        let transfer = transfer.ok_or_else(|| Fault::invalid("transfer: set it"))?;
        let act = Act::Transfer(transfer);
        let done = self.act(&principal, command_id.as_ref(), act).await?;
        Ok(Response::new(TransferConversationResponse { position: done.position }))
    }

    async fn requeue_conversation(
        &self,
        request: Request<RequeueConversationRequest>,
    ) -> Result<Response<RequeueConversationResponse>, Status> {
        let (principal, _) = self.caller(&request)?;
        let RequeueConversationRequest { command_id, requeue } = request.into_inner();
        let act = Act::Requeue(requeue.ok_or_else(|| Fault::invalid("requeue: set it"))?);
        let done = self.act(&principal, command_id.as_ref(), act).await?;
        Ok(Response::new(RequeueConversationResponse { position: done.position }))
    }

    async fn snooze_conversation(
        &self,
        request: Request<SnoozeConversationRequest>,
    ) -> Result<Response<SnoozeConversationResponse>, Status> {
        let (principal, _) = self.caller(&request)?;
        let SnoozeConversationRequest { command_id, snooze } = request.into_inner();
        let act = Act::Snooze(snooze.ok_or_else(|| Fault::invalid("snooze: set it"))?);
        let done = self.act(&principal, command_id.as_ref(), act).await?;
        Ok(Response::new(SnoozeConversationResponse { position: done.position }))
    }

    async fn set_conversation_vip(
        &self,
        request: Request<SetConversationVipRequest>,
    ) -> Result<Response<SetConversationVipResponse>, Status> {
        let (principal, _) = self.caller(&request)?;
        let SetConversationVipRequest { command_id, set_vip } = request.into_inner();
        let act = Act::SetVip(set_vip.ok_or_else(|| Fault::invalid("set_vip: set it"))?);
        let done = self.act(&principal, command_id.as_ref(), act).await?;
        Ok(Response::new(SetConversationVipResponse { position: done.position }))
    }

    async fn list_waiting(
        &self,
        request: Request<ListWaitingRequest>,
    ) -> Result<Response<ListWaitingResponse>, Status> {
        let (principal, business) = self.caller(&request)?;
        let listed = board::waiting(&self.0, &principal, business, request.into_inner()).await?;
        Ok(Response::new(listed))
    }

    async fn list_agents(
        &self,
        request: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        let (principal, business) = self.caller(&request)?;
        let listed = board::agents(&self.0, &principal, business, request.into_inner()).await?;
        Ok(Response::new(listed))
    }
}

fn cursor(view: &ConversationView) -> ConversationCursor {
    ConversationCursor { last_message_ms: view.row.last_message_ms, id: view.row.id }
}
