//! What became of what a program submitted: the read model says how far it came, the number why it waits.

use api::{
    convert,
    v1::{GetOutboundRequest, GetOutboundResponse, OutboundState, OutboundWait},
};
use archive::{Delivery, model::MessageView};
use domain::{
    EntityId, EntityKind, RequestId, naming,
    number::{NumberAnswer, NumberInput},
};
use tonic::Status;

use super::{OutboundService, ask_number};
use crate::{fault::Fault, tokens::Principal, wire};

/// Messages told of one key.
const STATES_MAX: usize = 100;

impl OutboundService {
    pub(super) async fn states(
        &self,
        principal: &Principal,
        request: &GetOutboundRequest,
    ) -> Result<GetOutboundResponse, Status> {
        convert::check_key(&request.key).map_err(|wrong| Fault::Invalid(wrong.0))?;
        let commands = &self.0.commands;
        let business = &principal.business;
        let hash = |purpose: &str, parts: &[&[u8]]| commands.sealer.hash16(purpose, parts);
        let client = naming::command_client(&hash, business, "outbound", &request.key);
        let at_least = wire::at_least(request.at_least.as_ref());
        let found = commands.archive.submitted(business, client, STATES_MAX, at_least).await;
        let found = found.map_err(Fault::from)?;
        if found.value.is_empty() {
            return Err(Fault::NothingSubmitted.into());
        }
        let mut messages = Vec::with_capacity(found.value.len());
        for view in found.value {
            messages.push(self.state(principal, view).await?);
        }
        Ok(GetOutboundResponse { messages, stale: found.stale })
    }

    async fn state(
        &self,
        principal: &Principal,
        view: MessageView,
    ) -> Result<OutboundState, Status> {
        let waits = view.row.delivery.delivery() == Delivery::Pending;
        let request = view.row.request;
        let waits_for = match request.filter(|_| waits) {
            Some(request) => self.waits_for(principal, request).await?,
            None => None,
        };
        let message = wire::message(view);
        Ok(OutboundState {
            opaque_id: message.opaque_id,
            conversation_id: request
                .map(|request| convert::conversation_id(request.conversation))
                .unwrap_or_default(),
            message_id: message.message_id,
            delivery: message.delivery,
            delivery_times: message.delivery_times,
            error_code: message.error_code,
            error_text: message.error_text,
            waits_for,
        })
    }

    /// What the number knows. One that does not answer now is no reason to say nothing at all.
    async fn waits_for(
        &self,
        principal: &Principal,
        request: RequestId,
    ) -> Result<Option<OutboundWait>, Status> {
        let (commands, business) = (&self.0.commands, &principal.business);
        let read = commands.archive.conversation(business, request.conversation, None).await;
        let Some(hash) = read.map_err(Fault::from)?.value.and_then(|view| view.row.number) else {
            return Ok(None);
        };
        let number = EntityId { kind: EntityKind::Number, hash };
        let input = NumberInput::Look { requests: vec![request] };
        let answer = ask_number(commands, business, number, &input, self.0.random()?).await;
        Ok(match answer {
            Ok(NumberAnswer::Waits { waits }) => {
                waits.first().map(|(_, wait)| convert::send_wait(wait))
            }
            Ok(_) | Err(_) => None,
        })
    }
}
