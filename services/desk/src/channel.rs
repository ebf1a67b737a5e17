//! The `Channel` service: a platform brings messages of another channel in and fetches the replies. What comes in is
//! the same input as a webhook's; what goes out waits in the account's entity until the platform confirms it.

mod content;
mod outgoing;

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use api::{
    convert,
    v1::{
        ConfirmRequest, ConfirmResponse, Confirmation, DeliverRequest, DeliverResponse,
        OutgoingRequest, OutgoingResponse, channel_server::Channel,
    },
};
use chassis::task::TaskKind;
use domain::{
    BusinessId, MessageId, RequestId,
    content::Content,
    conversation::{ConversationInput, Inbound, Status as DeliveryStatus, StatusKind},
    naming,
};
use tokio::sync::{mpsc, watch};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming, metadata::MetadataMap};

use crate::{ChannelContext, fault::Fault, metrics, server::Shared};
use outgoing::Outbox;

/// Replies that wait for the platform to read them.
const QUEUE_MAX: usize = 16;
/// Messages taken in and not yet answered, of one stream.
const ANSWERS_MAX: usize = 16;
/// Longest id that a platform may give, bytes.
const ID_BYTES_MAX: usize = 256;

/// The newest stream of each channel, by number.
type Newest = BTreeMap<(BusinessId, String), watch::Sender<u64>>;

/// The service.
#[derive(Clone)]
pub(crate) struct ChannelService {
    shared: Arc<Shared>,
    newest: Arc<Mutex<Newest>>,
}

/// Who calls: the platform of one channel.
struct Caller {
    business: BusinessId,
    id: String,
    channel: ChannelContext,
}

impl ChannelService {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, newest: Arc::default() }
    }

    fn caller(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let (business, id) = self.shared.tokens.check_channel(metadata)?;
        let known = self.shared.context.businesses.get(&business);
        let channel = known.and_then(|known| known.channels.get(&id)).cloned();
        let channel = channel.ok_or_else(|| Status::from(Fault::UnknownToken))?;
        Ok(Caller { business, id, channel })
    }

    /// Takes one message in; done when it is durable.
    async fn take(
        &self,
        caller: &Caller,
        request: DeliverRequest,
    ) -> Result<DeliverResponse, Fault> {
        let commands = &self.shared.commands;
        let account = &caller.channel.account;
        let hash = |purpose: &str, parts: &[&[u8]]| commands.sealer.hash16(purpose, parts);
        check_id("message_id", &request.message_id)?;
        let who = content::identity(request.customer.as_ref())?;
        let conversation = naming::conversation_id(&hash, account, who.key());
        let message = naming::message_id(&hash, account, &request.message_id);
        let target = match request.reply_to.as_str() {
            "" => None,
            reply_to => {
                check_id("reply_to", reply_to)?;
                Some(naming::message_id(&hash, account, reply_to))
            }
        };
        let (kind, content) = content::inbound(&request)?;
        let input = ConversationInput::Inbound(Inbound {
            via: caller.channel.via,
            message,
            at_ms: self.time_ms(request.timestamp_ms),
            kind,
            paired: None,
            who: commands.seal(&caller.business, &who.identity)?,
            content: commands.seal(&caller.business, &content)?,
            target,
            referral: false,
        });
        let key = commands.key("message", &[account.as_bytes(), request.message_id.as_bytes()]);
        commands.tell(&caller.business, conversation, key, &input).await?;
        Ok(DeliverResponse {
            conversation_id: convert::conversation_id(conversation.hash),
            message_id: convert::message_id(message),
        })
    }

    async fn confirmed(&self, caller: &Caller, request: &ConfirmRequest) -> Result<(), Fault> {
        let commands = &self.shared.commands;
        let reply = RequestId::from_opaque(&request.opaque_id).ok_or(Fault::NoReply)?;
        let status = status_of(request)?;
        if request.platform_message_id.len() > ID_BYTES_MAX {
            return Err(too_long("platform_message_id"));
        }
        self.check_reply(caller, reply).await?;
        let wamid = match request.platform_message_id.as_str() {
            "" => request.opaque_id.clone(),
            id => id.to_owned(),
        };
        let content = Content { wamid: Some(wamid), ..Content::default() };
        let failed = status == StatusKind::Failed;
        let input = ConversationInput::Status(DeliveryStatus {
            via: caller.channel.via,
            message: self.message_of(caller, &request.opaque_id),
            request: Some(reply),
            status,
            at_ms: self.time_ms(request.timestamp_ms),
            error: failed.then_some(request.error_code),
            content: commands.seal(&caller.business, &content)?,
            who: None,
            pricing: None,
            window: None,
        });
        let label = request.confirmation.to_be_bytes();
        let account = caller.channel.account.as_bytes();
        let key = commands.key("status", &[account, request.opaque_id.as_bytes(), &label]);
        commands.tell(&caller.business, reply.conversation_entity(), key, &input).await
    }

    /// A reply is one of a conversation of this channel.
    async fn check_reply(&self, caller: &Caller, reply: RequestId) -> Result<(), Fault> {
        let commands = &self.shared.commands;
        let conversation = reply.conversation_entity();
        let known = commands.check_conversation(&caller.business, conversation).await;
        known.map_err(|fault| match fault {
            Fault::NoConversation => Fault::NoReply,
            other => other,
        })?;
        let read = commands.archive.conversation(&caller.business, conversation.hash, None).await?;
        let number = read.value.and_then(|view| view.row.number);
        if number == Some(caller.channel.via.number.hash) { Ok(()) } else { Err(Fault::NoReply) }
    }

    /// A reply's message is named after our id of it: the platform may have no id, or tell it late.
    fn message_of(&self, caller: &Caller, opaque_id: &str) -> MessageId {
        let sealer = &self.shared.commands.sealer;
        let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
        naming::message_id(&hash, &caller.channel.account, opaque_id)
    }

    fn time_ms(&self, told_ms: i64) -> u64 {
        let told_ms = u64::try_from(told_ms).ok().filter(|told_ms| *told_ms > 0);
        told_ms.unwrap_or_else(|| self.shared.commands.clock.wall_ms())
    }

    /// Makes a stream the channel's newest; the older one sees it.
    fn begin_stream(&self, caller: &Caller) -> (u64, watch::Receiver<u64>) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (caller.business.clone(), caller.id.clone());
        let sender = newest.entry(key).or_insert_with(|| watch::Sender::new(0));
        sender.send_modify(|number| *number += 1);
        (*sender.borrow(), sender.subscribe())
    }
}

fn status_of(request: &ConfirmRequest) -> Result<StatusKind, Fault> {
    Ok(match request.confirmation() {
        Confirmation::Sent => StatusKind::Sent,
        Confirmation::Delivered => StatusKind::Delivered,
        Confirmation::Read => StatusKind::Read,
        Confirmation::Failed => StatusKind::Failed,
        Confirmation::Unspecified => {
            return Err(Fault::invalid("confirmation: set SENT, DELIVERED, READ or FAILED"));
        }
    })
}

fn check_id(field: &str, id: &str) -> Result<(), Fault> {
    if id.is_empty() {
        return Err(Fault::invalid(format!("{field}: set it to the platform's id")));
    }
    if id.len() > ID_BYTES_MAX { Err(too_long(field)) } else { Ok(()) }
}

fn too_long(field: &str) -> Fault {
    Fault::invalid(format!("{field}: use at most {ID_BYTES_MAX} bytes"))
}

#[tonic::async_trait]
impl Channel for ChannelService {
    type DeliverManyStream =
        Pin<Box<dyn Stream<Item = Result<DeliverResponse, Status>> + Send + 'static>>;
    type OutgoingStream = ReceiverStream<Result<OutgoingResponse, Status>>;

    async fn deliver(
        &self,
        request: Request<DeliverRequest>,
    ) -> Result<Response<DeliverResponse>, Status> {
        let caller = self.caller(request.metadata())?;
        let taken = self.take(&caller, request.into_inner()).await;
        metrics::command("deliver", taken.as_ref().map_or_else(Fault::label, |_| "done"));
        Ok(Response::new(taken?))
    }

    async fn deliver_many(
        &self,
        request: Request<Streaming<DeliverRequest>>,
    ) -> Result<Response<Self::DeliverManyStream>, Status> {
        let caller = self.caller(request.metadata())?;
        let mut messages = request.into_inner();
        let (answers, answered) = mpsc::channel(ANSWERS_MAX);
        let service = self.clone();
        let taking = async move {
            while let Some(message) = messages.next().await {
                let taken = match message {
                    Ok(message) => service.take(&caller, message).await.map_err(Status::from),
                    Err(status) => Err(status),
                };
                let refused = taken.is_err();
                // A platform that is gone needs no answer; it repeats what it was not answered.
                if answers.send(taken).await.is_err() || refused {
                    return;
                }
            }
        };
        let shutdown = self.shared.shutdown.clone();
        let ended = shutdown.clone();
        let bounded = async move {
            tokio::select! {
                () = taking => {}
                () = ended.begun() => {}
            }
        };
        shutdown.spawn(TaskKind::Connection, "desk_deliver", bounded).detach();
        Ok(Response::new(Box::pin(ReceiverStream::new(answered))))
    }

    async fn outgoing(
        &self,
        request: Request<OutgoingRequest>,
    ) -> Result<Response<Self::OutgoingStream>, Status> {
        let caller = self.caller(request.metadata())?;
        let (sender, replies) = mpsc::channel(QUEUE_MAX);
        let (number, newest) = self.begin_stream(&caller);
        let outbox = Outbox {
            shared: Arc::clone(&self.shared),
            business: caller.business,
            channel: caller.channel,
            replies: sender,
            after: request.into_inner().after_sequence,
            number,
            newest,
        };
        let open = metrics::Open::new(metrics::CHANNEL_STREAMS);
        let running = async move {
            let _open = open;
            outbox.run().await;
        };
        let shutdown = &self.shared.shutdown;
        shutdown.spawn(TaskKind::Connection, "desk_outgoing", running).detach();
        Ok(Response::new(ReceiverStream::new(replies)))
    }

    async fn confirm(
        &self,
        request: Request<ConfirmRequest>,
    ) -> Result<Response<ConfirmResponse>, Status> {
        let caller = self.caller(request.metadata())?;
        let confirmed = self.confirmed(&caller, request.get_ref()).await;
        metrics::command("confirm", confirmed.as_ref().map_or_else(Fault::label, |()| "done"));
        confirmed?;
        Ok(Response::new(ConfirmResponse {}))
    }
}
