//! Hosts a conversation (or an address that forwards to one).

use std::sync::Arc;

use bytes::Bytes;
use chassis::failpoint;
use domain::{
    EntityId,
    content::{Content, Identity},
    conversation::{
        CommandKind, Conversation, ConversationEvent, ConversationInput, Occasion, Opened,
    },
    persist,
};
use runtime::{
    bus::{Event, PartName, SavedPart},
    host::{DecideInput, Decision, EntityError, LiveEntity, Occasion as RuntimeOccasion},
};

use crate::{
    bridge::{self, Opener},
    metrics,
    rules::RuleBook,
};

/// Name of the one part.
const PART: &str = "conversation";

pub(crate) struct HostedConversation {
    id: EntityId,
    state: Conversation,
    rules: Arc<RuleBook>,
    opener: Opener,
}

impl HostedConversation {
    pub(crate) fn load(
        id: EntityId,
        parts: &[SavedPart],
        rules: Arc<RuleBook>,
        opener: Opener,
    ) -> Result<Self, EntityError> {
        let saved =
            parts.iter().find(|part| part.name.0 == PART).and_then(|part| part.bytes.as_ref());
        let state = match saved {
            Some(bytes) => persist::decode(bytes).map_err(bridge::refused)?,
            None => Conversation::default(),
        };
        Ok(Self { id, state, rules, opener })
    }

    fn decide_input(&self, input: &DecideInput, body: &Bytes) -> Result<Decision, EntityError> {
        let told: ConversationInput = persist::decode(body).map_err(bridge::refused)?;
        if let ConversationInput::Inbound(_) = &told {
            failpoint::poison("inbound", input.header.key.0);
        }
        let number = number_of(&told).or_else(|| self.state.number());
        // Invariant 10: an input can name a conversation only through the number it belongs to.
        if let (Some(own), Some(named)) = (self.state.number(), number_of(&told))
            && own != named
        {
            metrics::cross_business();
            return Ok(Decision::default());
        }
        let rules = self.rules.of(number);
        let opened = self.open(&input.header.business.0, &told);
        let occasion = Occasion::Input { key: input.header.key.0, input: &told, opened: &opened };
        let sealing = self.opener.sealing(input);
        let outcome = self.state.decide(&rules, self.id, occasion, input.now_ms, &sealing);
        count_bot(&outcome.events);
        bridge::decision(input, outcome, |_: &ConversationEvent| PartName::from(PART))
    }

    fn open(&self, business: &str, input: &ConversationInput) -> Opened {
        let (who, content) = match input {
            ConversationInput::Inbound(inbound) => (&inbound.who, &inbound.content),
            ConversationInput::Echo(echo) => (&echo.who, &echo.content),
            ConversationInput::Forwarded { input, .. } => return self.open(business, input),
            _ => return Opened::default(),
        };
        let content: Option<Content> = self.opener.open(business, content);
        let identity: Option<Identity> = self.opener.open(business, who);
        let (text, choice) = content.map(|c| (c.text, c.choice)).unwrap_or_default();
        Opened { text, choice, reachable: identity.is_some_and(|who| who.is_reachable()) }
    }
}

/// What the bot did, for the metrics.
fn count_bot(events: &[ConversationEvent]) {
    for event in events {
        match event {
            ConversationEvent::TurnTaken { misses, .. } => metrics::bot_turn(*misses > 0),
            ConversationEvent::HandedOver { brief, .. } => metrics::bot_handoff(brief.why.code()),
            _ => {}
        }
    }
}

/// The number an input came in by, where it says so.
fn number_of(input: &ConversationInput) -> Option<EntityId> {
    match input {
        ConversationInput::Inbound(inbound) => Some(inbound.via.number),
        ConversationInput::Echo(echo) => Some(echo.via.number),
        ConversationInput::Status(status) => Some(status.via.number),
        ConversationInput::Preference(preference) => Some(preference.via.number),
        ConversationInput::Changed(change) => Some(change.via.number),
        ConversationInput::Join { via, .. } => Some(via.number),
        ConversationInput::Command(command) => match &command.kind {
            CommandKind::Outbound(send) => Some(send.via.number),
            _ => None,
        },
        ConversationInput::Forwarded { input, .. } => number_of(input),
        _ => None,
    }
}

impl LiveEntity for HostedConversation {
    fn decide(&self, input: &DecideInput) -> Result<Decision, EntityError> {
        match &input.occasion {
            RuntimeOccasion::Input(body) => self.decide_input(input, body),
            RuntimeOccasion::Wake => {
                let rules = self.rules.of(self.state.number());
                let sealing = self.opener.sealing(input);
                let (now_ms, wake) = (input.now_ms, Occasion::Wake);
                let outcome = self.state.decide(&rules, self.id, wake, now_ms, &sealing);
                count_bot(&outcome.events);
                bridge::decision(input, outcome, |_: &ConversationEvent| PartName::from(PART))
            }
            // Conversations ask for no calls.
            RuntimeOccasion::CallResult { .. } => Ok(Decision::default()),
        }
    }

    fn apply(&mut self, event: &Event) -> Result<(), EntityError> {
        let event: ConversationEvent = persist::decode(&event.body).map_err(bridge::refused)?;
        self.state.apply(&event);
        Ok(())
    }

    fn part(&self, name: &PartName) -> Result<Option<Bytes>, EntityError> {
        if name.0 != PART {
            return Ok(None);
        }
        bridge::encode(&self.state).map(Some)
    }

    fn wake_ms(&self) -> Option<u64> {
        self.state.wake_ms()
    }

    fn weight(&self) -> usize {
        bridge::encode(&self.state).map_or(0, |bytes| bytes.len())
    }
}
