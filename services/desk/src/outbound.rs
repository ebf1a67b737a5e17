//! The `Outbound` service: messages to an address. The conversation decides each one, as for every other send; the number says
//! first whether it has room.

use std::{sync::Arc, time::Duration};

use api::{
    convert::{self, Address},
    v1::{
        self, SubmitAccepted, SubmitBackpressure, SubmitRefused, SubmitRequest, SubmitResponse,
        SubmitResult, command_result, outbound_server::Outbound, submit_result,
    },
};
use domain::{
    CommandId, EntityId, EntityKind,
    content::Identity,
    conversation::{CommandAnswer, CommandKind, ConversationCommand, OutboundSend, Via},
    naming::{self, IdentityKey},
    number::{NumberAnswer, NumberInput},
    persist,
};
use prost::Message as _;
use tonic::{Request, Response, Status, metadata::MetadataValue};

use crate::{
    BusinessContext,
    command::{Commands, Decided, raw_json},
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

#[tonic::async_trait]
impl Outbound for OutboundService {
    async fn submit(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        let principal = self.0.tokens.check(request.metadata())?;
        let business = self.0.business(&principal)?;
        if principal.agent.is_some() {
            let text = "outbound messages are for programs: use the token of the business";
            return Err(Fault::Forbidden(text).into());
        }
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
    /// Refuses the whole request while too much waits on the number.
    async fn check_room(&self, sender: &Sender<'_>, count: usize) -> Result<(), Status> {
        let commands = &self.0.commands;
        let wanted = u32::try_from(count).unwrap_or(u32::MAX);
        let answer = room(commands, sender, wanted, self.0.random()?).await?;
        let NumberAnswer::Room { waiting, limit, retry_after_ms } = answer else {
            return Err(Status::unavailable("the number is being configured; repeat in a moment"));
        };
        if retry_after_ms == 0 {
            return Ok(());
        }
        metrics::command("submit", "full");
        let text = format!(
            "{waiting} messages wait on this number, {limit} may; nothing was taken on: repeat in {retry_after_ms} ms"
        );
        let mut status = Status::resource_exhausted(text);
        let retry_after =
            prost_types::Duration::try_from(Duration::from_millis(retry_after_ms)).ok();
        let full = SubmitBackpressure { waiting, limit, retry_after };
        let detail = MetadataValue::from_bytes(&full.encode_to_vec());
        status.metadata_mut().insert_bin("submit-backpressure-bin", detail);
        if let Ok(value) = retry_after_ms.to_string().parse() {
            status.metadata_mut().insert("retry-after-ms", value);
        }
        Err(status)
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
                match fault.to_answer() {
                    command_result::Result::Refused(why) => refused(&why),
                    _ => refused(&v1::Refused::default()),
                }
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
            match convert::command_answer(&answer) {
                command_result::Result::Refused(why) => refused(&why),
                _ => refused(&v1::Refused::default()),
            }
        }
    }
}

fn refused(why: &v1::Refused) -> submit_result::Result {
    let reason = fault::reason_name(why.reason()).to_owned();
    submit_result::Result::Refused(SubmitRefused { reason, text: why.text.clone() })
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

async fn room(
    commands: &Commands,
    sender: &Sender<'_>,
    wanted: u32,
    random: [u8; 16],
) -> Result<NumberAnswer, Fault> {
    let input = NumberInput::Room { wanted };
    let key = commands.key("room", &[&random]);
    let input = commands.input(&sender.principal.business, sender.via.number, key, &input)?;
    let answered = commands.asker.ask(input).await?.answer().await?;
    persist::decode(&answered.body).map_err(|error| {
        tracing::error!(%error, "a number's answer cannot be read");
        Fault::Ask(crate::ask::AskError::SetAside)
    })
}
