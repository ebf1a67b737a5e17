//! The `Outbound` service: messages to an address. The conversation decides each one, as for every other send; the number says
//! first whether it has room.

mod state;
mod stream;

use std::{pin::Pin, sync::Arc};

use api::{
    convert::{self, Address},
    v1::{
        self, GetOutboundRequest, GetOutboundResponse, SubmitAccepted, SubmitRefused,
        SubmitRequest, SubmitResponse, SubmitResult, SubmitStreamRequest, SubmitStreamResponse,
        command_result, outbound_server::Outbound, submit_result,
    },
};
use domain::{
    BusinessId, CommandId, EntityId, EntityKind,
    content::Identity,
    conversation::{CommandAnswer, CommandKind, ConversationCommand, OutboundSend, Via},
    naming::{self, IdentityKey},
    number::{NumberAnswer, NumberInput},
    persist,
};
use futures::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    BusinessContext,
    ask::AskError,
    command::{Commands, Decided, raw_json, unreadable},
    fault::{self, Fault},
    metrics,
    server::Shared,
    tokens::Principal,
};

/// Messages in one request.
const MESSAGES_MAX: usize = 100;

/// The service.
#[derive(Clone)]
pub(crate) struct OutboundService(pub(crate) Arc<Shared>);

/// The number that a request is for.
struct Sender<'a> {
    principal: &'a Principal,
    via: Via,
    phone_number_id: &'a str,
}

/// How full a number is.
struct Room {
    waiting: u32,
    limit: u32,
    /// There is room then, ms; 0: now.
    retry_after_ms: u64,
}

#[tonic::async_trait]
impl Outbound for OutboundService {
    type SubmitStreamStream =
        Pin<Box<dyn Stream<Item = Result<SubmitStreamResponse, Status>> + Send>>;

    async fn submit(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        let principal = self.program(&request)?;
        let business = self.0.business(&principal)?;
        let request = request.into_inner();
        let count = request.messages.len();
        if count == 0 || count > MESSAGES_MAX {
            return Err(Fault::invalid(format!("messages: use 1 to {MESSAGES_MAX}")).into());
        }
        let sender = sender(&principal, business, &request.phone_number_id)?;
        self.check_room(&sender, count).await?;
        let submitting = request.messages.iter().map(|message| self.submit_one(&sender, message));
        let results = futures::future::join_all(submitting).await;
        Ok(Response::new(SubmitResponse { results }))
    }

    async fn submit_stream(
        &self,
        request: Request<Streaming<SubmitStreamRequest>>,
    ) -> Result<Response<Self::SubmitStreamStream>, Status> {
        let principal = self.program(&request)?;
        let answers = stream::answers(self.clone(), principal, request.into_inner());
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get(
        &self,
        request: Request<GetOutboundRequest>,
    ) -> Result<Response<GetOutboundResponse>, Status> {
        let principal = self.program(&request)?;
        self.states(&principal, request.get_ref()).await.map(Response::new)
    }
}

fn sender<'a>(
    principal: &'a Principal,
    business: &BusinessContext,
    phone_number_id: &'a str,
) -> Result<Sender<'a>, Fault> {
    let number = business.numbers.iter().find(|(_, id)| *id == phone_number_id);
    let (hash, _) =
        number.ok_or_else(|| Fault::invalid("phone_number_id: the business has no such number"))?;
    let number = EntityId { kind: EntityKind::Number, hash: *hash };
    Ok(Sender { principal, via: Via { number, workspace: business.workspace }, phone_number_id })
}

impl OutboundService {
    /// Lets only programs of a business in.
    fn program<T>(&self, request: &Request<T>) -> Result<Arc<Principal>, Status> {
        let principal = self.0.tokens.check(request.metadata())?;
        if principal.agent.is_some() {
            let text = "outbound messages are for programs: use the token of the business";
            return Err(Fault::Forbidden(text).into());
        }
        Ok(principal)
    }

    /// Refuses the whole request while too much waits on the number.
    async fn check_room(&self, sender: &Sender<'_>, count: usize) -> Result<(), Fault> {
        let wanted = u32::try_from(count).unwrap_or(u32::MAX);
        let Room { waiting, limit, retry_after_ms } = self.room(sender, wanted).await?;
        if retry_after_ms == 0 {
            return Ok(());
        }
        metrics::command("submit", "full");
        Err(Fault::NoRoom { waiting, limit, retry_after_ms })
    }

    /// Asks the number whether `wanted` more may wait.
    async fn room(&self, sender: &Sender<'_>, wanted: u32) -> Result<Room, Fault> {
        let (commands, business) = (&self.0.commands, &sender.principal.business);
        let random = self.0.random().map_err(|_| Fault::Ask(AskError::Closed))?;
        let input = NumberInput::Room { wanted };
        match ask_number(commands, business, sender.via.number, &input, random).await? {
            NumberAnswer::Room { waiting, limit, retry_after_ms } => {
                Ok(Room { waiting, limit, retry_after_ms })
            }
            // Only a build that does not know the question answers anything else.
            _ => Err(Fault::Ask(AskError::SetAside)),
        }
    }

    async fn submit_one(&self, sender: &Sender<'_>, message: &v1::OutboundMessage) -> SubmitResult {
        let commands = &self.0.commands;
        let decided = match command(commands, sender, message) {
            Ok((conversation, command)) => {
                commands.outbound(&sender.principal.business, conversation, command).await
            }
            Err(fault) => Err(fault),
        };
        let result = match decided {
            Ok((conversation, decided)) => answer(conversation, decided),
            Err(fault) => {
                metrics::command("submit", fault.label());
                submit_result::Result::Refused(refused(&fault))
            }
        };
        SubmitResult { key: message.key.clone(), result: Some(result) }
    }
}

fn answer(conversation: EntityId, decided: Decided) -> submit_result::Result {
    let Decided { answer, position } = decided;
    match &answer {
        CommandAnswer::Sent { request } => {
            metrics::command("submit", "done");
            submit_result::Result::Accepted(SubmitAccepted {
                opaque_id: convert::opaque_id(*request),
                conversation_id: convert::conversation_id(conversation.hash),
                position,
            })
        }
        _ => {
            metrics::command("submit", "refused");
            submit_result::Result::Refused(refusal(&convert::command_answer(&answer)))
        }
    }
}

fn refused(fault: &Fault) -> SubmitRefused {
    refusal(&fault.to_answer())
}

fn refusal(answer: &command_result::Result) -> SubmitRefused {
    let nothing = v1::Refused::default();
    let why = match answer {
        command_result::Result::Refused(why) => why,
        _ => &nothing,
    };
    let reason = fault::reason_name(why.reason()).to_owned();
    SubmitRefused { reason, text: why.text.clone(), retry_after: None }
}

/// The command that asks the conversation of the address.
fn command(
    commands: &Commands,
    sender: &Sender<'_>,
    message: &v1::OutboundMessage,
) -> Result<(EntityId, ConversationCommand), Fault> {
    let business = &sender.principal.business;
    let submitted = convert::check_submit(message, commands.clock.wall_ms())
        .map_err(|wrong| Fault::Invalid(wrong.0))?;
    let hash = |purpose: &str, parts: &[&[u8]]| commands.sealer.hash16(purpose, parts);
    let (conversation, who) = match submitted.to {
        Address::Phone(digits) => {
            let key = naming::phone_key(&digits);
            let key = IdentityKey::Phone(&key);
            let id = naming::conversation_id(&hash, sender.phone_number_id, key);
            (id, Identity { phone: Some(digits), ..Identity::default() })
        }
        Address::UserId(bsuid) => {
            let key = IdentityKey::Bsuid(&bsuid);
            let id = naming::conversation_id(&hash, sender.phone_number_id, key);
            (id, Identity { bsuid: Some(bsuid), ..Identity::default() })
        }
    };
    let mut content = submitted.outgoing.content;
    content.raw_json = raw_json(&content, &convert::kind(&submitted.outgoing.kind));
    let send = OutboundSend {
        via: sender.via,
        who: commands.seal(business, &who)?,
        lane: submitted.lane,
        kind: submitted.outgoing.kind,
        content: commands.seal(business, &content)?,
        not_after_ms: submitted.not_after_ms,
        marketing: submitted.outgoing.marketing,
    };
    // Each key is a client of its own with one command.
    let client = naming::command_client(&hash, business, "outbound", &message.key);
    let id = CommandId { client, n: 1 };
    let kind = CommandKind::Outbound(Box::new(send));
    Ok((conversation, ConversationCommand { id, agent: None, kind }))
}

/// Asks a number something that changes nothing.
async fn ask_number(
    commands: &Commands,
    business: &BusinessId,
    number: EntityId,
    question: &NumberInput,
    random: [u8; 16],
) -> Result<NumberAnswer, Fault> {
    let key = commands.key("ask_number", &[&random]);
    let answered = commands.ask(business, number, key, question).await?;
    persist::decode(&answered.body).map_err(|error| unreadable(&error))
}
