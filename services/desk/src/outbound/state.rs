//! What became of what a program submitted: the read model says how far it came, the number why it waits.

use std::collections::BTreeMap;

use api::{
    convert,
    v1::{GetOutboundRequest, GetOutboundResponse, OutboundState},
};
use archive::{Delivery, model::MessageView};
use domain::{
    EntityId, EntityKind, Hash16, RequestId, naming,
    number::{NumberAnswer, NumberInput, SendWait},
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
        let waits = self.waits(principal, &found.value).await?;
        let state = |view| state(view, &waits);
        Ok(GetOutboundResponse {
            messages: found.value.into_iter().map(state).collect(),
            stale: found.stale,
        })
    }

    /// What those without an outcome wait for: each number is asked once. One that does not answer now is no reason to say
    /// nothing at all.
    async fn waits(
        &self,
        principal: &Principal,
        views: &[MessageView],
    ) -> Result<BTreeMap<RequestId, SendWait>, Status> {
        let (commands, business) = (&self.0.commands, &principal.business);
        let mut by_number: BTreeMap<Hash16, Vec<RequestId>> = BTreeMap::new();
        let pending = views.iter().filter(|view| view.row.delivery.delivery() == Delivery::Pending);
        for request in pending.filter_map(|view| view.row.request) {
            let read = commands.archive.conversation(business, request.conversation, None).await;
            let view = read.map_err(Fault::from)?.value;
            if let Some(number) = view.and_then(|view| view.row.number) {
                by_number.entry(number).or_default().push(request);
            }
        }
        let mut all = BTreeMap::new();
        for (hash, requests) in by_number {
            let number = EntityId { kind: EntityKind::Number, hash };
            let input = NumberInput::Look { requests };
            let answer = ask_number(commands, business, number, &input, self.0.random()?).await;
            if let Ok(NumberAnswer::Waits { waits }) = answer {
                all.extend(waits);
            }
        }
        Ok(all)
    }
}

fn state(view: MessageView, waits: &BTreeMap<RequestId, SendWait>) -> OutboundState {
    let request = view.row.request;
    let message = wire::message(view);
    OutboundState {
        opaque_id: message.opaque_id,
        conversation_id: request
            .map(|request| convert::conversation_id(request.conversation))
            .unwrap_or_default(),
        message_id: message.message_id,
        delivery: message.delivery,
        delivery_times: message.delivery_times,
        error_code: message.error_code,
        error_text: message.error_text,
        waits_for: request.and_then(|request| waits.get(&request)).map(convert::send_wait),
    }
}
