//! Between the domain's types and the runtime's bytes.

use std::sync::Arc;

use chassis::seal::Sealer;
use domain::{
    EntityKind, Hash16, Outcome, Sealed, Sealing, ToEntity,
    effect::{BotCall, BotKey, Call, CallKey, OutSignal},
    persist::{self, PersistError},
};
use runtime::{
    bus::{BusinessId, EntityId, Event, Key, PartName},
    host::{CallRequest, DecideInput, Decision, EntityError, OutMessage, OutSignal as BusSignal},
};
use serde::{Deserialize, Serialize};

/// The bus's form of a domain id.
pub(crate) fn to_bus(id: domain::EntityId) -> EntityId {
    EntityId { kind: id.kind.code(), hash: id.hash.0 }
}

/// The domain's form of a bus id; `None` for a kind this build does not host.
pub(crate) fn to_domain(id: EntityId) -> Option<domain::EntityId> {
    Some(domain::EntityId { kind: EntityKind::from_code(id.kind)?, hash: Hash16(id.hash) })
}

/// The runtime's id of a call attempt. Unkeyed: a [`CallKey`] holds no personal data.
pub(crate) fn call_id(key: CallKey) -> Key {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&key.request.conversation.0);
    hasher.update(&key.request.n.to_be_bytes());
    hasher.update(&key.attempt.to_be_bytes());
    Key(first16(&hasher.finalize()))
}

/// The runtime's id of an attempt of a bot's turn. Unkeyed, too.
pub(crate) fn bot_call_id(key: BotKey) -> Key {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"bot");
    hasher.update(&key.conversation.0);
    hasher.update(&key.turn.to_be_bytes());
    hasher.update(&key.attempt.to_be_bytes());
    Key(first16(&hasher.finalize()))
}

/// What an executor is given. Never persisted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Outside {
    /// A message to send.
    Send(Box<Call>),
    /// A turn of an external bot.
    Bot(Box<BotCall>),
}

fn first16(hash: &blake3::Hash) -> [u8; 16] {
    let mut out = [0; 16];
    out.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
    out
}

/// The domain's error in the runtime's words.
pub(crate) fn refused(error: PersistError) -> EntityError {
    match error {
        PersistError::UnknownVersion { found, known } => {
            EntityError::UnknownVersion { found, known }
        }
        PersistError::Unwritable(why) | PersistError::Unreadable(why) => {
            EntityError::Unreadable(why)
        }
    }
}

/// Opens sealed values of one business.
#[derive(Clone, Debug)]
pub(crate) struct Opener {
    sealer: Arc<Sealer>,
}

impl Opener {
    pub(crate) fn new(sealer: Arc<Sealer>) -> Self {
        Self { sealer }
    }

    /// The value, or `None` when its key is gone or it was damaged: what cannot be read is treated as unreadable
    /// content, never as an error of the decision.
    pub(crate) fn open<T: serde::de::DeserializeOwned>(
        &self,
        business: &str,
        sealed: &Sealed,
    ) -> Option<T> {
        let plain = self.sealer.open(business.as_bytes(), sealed.key_id, &sealed.bytes).ok()?;
        persist::decode(&plain).ok()
    }
}

/// Seals what a decision makes. Which decision it is (input, entity, time) and which of its values stand in the
/// nonce, so that it needs no randomness.
#[derive(Debug)]
pub(crate) struct DecisionSealing<'a> {
    sealer: &'a Sealer,
    input: &'a DecideInput,
}

impl Opener {
    pub(crate) fn sealing<'a>(&'a self, input: &'a DecideInput) -> DecisionSealing<'a> {
        DecisionSealing { sealer: &self.sealer, input }
    }
}

impl Sealing for DecisionSealing<'_> {
    fn seal(&self, n: u32, plain: &[u8]) -> Sealed {
        let DecideInput { header, entity, now_ms, .. } = self.input;
        let context: [&[u8]; 5] =
            [&header.key.0, &[entity.kind], &entity.hash, &now_ms.to_be_bytes(), &n.to_be_bytes()];
        let sealed = self.sealer.seal_derived(header.business.0.as_bytes(), &context, plain);
        Sealed { key_id: sealed.key_id, bytes: sealed.bytes }
    }

    fn open(&self, sealed: &Sealed) -> Option<Vec<u8>> {
        let business = self.input.header.business.0.as_bytes();
        self.sealer.open(business, sealed.key_id, &sealed.bytes).ok()
    }
}

/// Turns a domain outcome into a runtime decision. `part` names the part an event changes.
pub(crate) fn decision<E: Serialize, R: Serialize>(
    input: &DecideInput,
    outcome: Outcome<E, R>,
    part: impl Fn(&E) -> PartName,
) -> Result<Decision, EntityError> {
    let business = &input.header.business;
    let events = outcome
        .events
        .iter()
        .map(|event| Ok(Event { part: part(event), body: encode(event)? }))
        .collect::<Result<_, EntityError>>()?;
    let messages = (0u32..)
        .zip(&outcome.messages)
        .map(|(index, message)| out_message(input, business, index, message))
        .collect::<Result<_, _>>()?;
    let sends = outcome
        .calls
        .into_iter()
        .map(|call| call_request(business, call_id(call.key), &Outside::Send(Box::new(call))));
    let turns = outcome
        .bot_calls
        .into_iter()
        .map(|call| call_request(business, bot_call_id(call.key), &Outside::Bot(Box::new(call))));
    let calls = sends.chain(turns).collect::<Result<_, _>>()?;
    let cancels = outcome.cancels.into_iter().map(call_id);
    let cancels = cancels.chain(outcome.bot_cancels.into_iter().map(bot_call_id)).collect();
    let signals = outcome.signals.iter().map(out_signal).collect::<Result<_, _>>()?;
    Ok(Decision {
        events,
        messages,
        calls,
        cancels,
        signals,
        reply: outcome.reply.as_ref().map(encode).transpose()?,
    })
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<bytes::Bytes, EntityError> {
    persist::encode(value).map(Into::into).map_err(refused)
}

fn out_message(
    input: &DecideInput,
    business: &BusinessId,
    index: u32,
    message: &ToEntity,
) -> Result<OutMessage, EntityError> {
    let (target, body) = match message {
        ToEntity::Conversation(id, input) => (*id, encode(input)?),
        ToEntity::Workspace(id, input) => (*id, encode(input)?),
        ToEntity::Number(id, input) => (*id, encode(input)?),
    };
    let target = to_bus(target);
    // A message has no natural key: what caused it and its place among its siblings name it. Its time is part of
    // it because a wake has the same cause every time.
    let mut hasher = blake3::Hasher::new();
    hasher.update(&input.header.key.0);
    hasher.update(&[input.entity.kind]);
    hasher.update(&input.entity.hash);
    hasher.update(&input.now_ms.to_be_bytes());
    hasher.update(&index.to_be_bytes());
    let key = Key(first16(&hasher.finalize()));
    Ok(OutMessage { target, business: business.clone(), key, body })
}

fn call_request(
    business: &BusinessId,
    call: Key,
    outside: &Outside,
) -> Result<CallRequest, EntityError> {
    Ok(CallRequest { call, business: business.clone(), body: encode(outside)? })
}

fn out_signal(signal: &OutSignal) -> Result<BusSignal, EntityError> {
    Ok(match signal {
        OutSignal::Session(session, body) => {
            BusSignal { topic: format!("session.{}", session.0), body: encode(body)? }
        }
        OutSignal::Replies(id) => {
            BusSignal { topic: format!("replies.{}", id.hash), body: bytes::Bytes::new() }
        }
        OutSignal::Conversation(id, body) => {
            BusSignal { topic: format!("conversation.{}", id.hash), body: encode(body)? }
        }
    })
}
