//! Hosts a conversation (or an address that forwards to one).

use std::sync::Arc;

use bytes::Bytes;
use chassis::failpoint;
use domain::{
    EntityId,
    content::{Content, Identity},
    conversation::{
        BotFault, BotResult, CommandKind, Conversation, ConversationEvent, ConversationInput,
        Occasion, Opened, Rules,
    },
    effect::BotKey,
    flow::Answer,
    persist,
};
use runtime::{
    bus::{Event, FormatLevel, Key, PartName, SavedPart},
    host::{
        CallResult, DecideInput, Decision, EntityError, LiveEntity, Occasion as RuntimeOccasion,
    },
};

use crate::{
    bot::{BotReport, Reported},
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
        self.decide_on(input, &rules, occasion)
    }

    fn decide_on(
        &self,
        input: &DecideInput,
        rules: &Rules,
        occasion: Occasion<'_>,
    ) -> Result<Decision, EntityError> {
        let sealing = self.opener.sealing(input);
        let outcome = self.state.decide(rules, self.id, occasion, input.now_ms, &sealing);
        count_bot(&outcome.events);
        bridge::decision(input, outcome, |_: &ConversationEvent| PartName::from(PART))
    }

    /// An external bot's answer, or that there is none.
    fn decide_result(
        &self,
        input: &DecideInput,
        call: Key,
        result: &CallResult,
    ) -> Result<Decision, EntityError> {
        let Some((key, result)) = self.report(&input.header.business.0, call, result)? else {
            metrics::external_bot_stale();
            return Ok(Decision::default());
        };
        let rules = self.rules.of(self.state.number());
        let decision = self.decide_on(input, &rules, Occasion::Bot { key, result: &result })?;
        if decision.events.is_empty() {
            metrics::external_bot_stale();
        }
        Ok(decision)
    }

    /// What the executor reported; where the runtime answered for it (hard limit, door), the attempt is the awaited one,
    /// or nobody's any more.
    fn report(
        &self,
        business: &str,
        call: Key,
        result: &CallResult,
    ) -> Result<Option<(BotKey, BotResult)>, EntityError> {
        let result = match result {
            CallResult::Done(bytes) => {
                let report: BotReport = persist::decode(bytes).map_err(bridge::refused)?;
                return Ok(Some((report.key, self.opened(business, report.reported))));
            }
            CallResult::NotStarted(_) => BotResult::NotStarted,
            CallResult::Unknown(_) => BotResult::Failed(BotFault::Lost),
        };
        let awaited = self.state.awaited_turn(self.id);
        let key = awaited.filter(|key| bridge::bot_call_id(*key) == call);
        Ok(key.map(|key| (key, result)))
    }

    fn opened(&self, business: &str, reported: Reported) -> BotResult {
        match reported {
            Reported::Failed(why) => BotResult::Failed(why),
            Reported::NotStarted => BotResult::NotStarted,
            // Its key was destroyed in between.
            Reported::Answered(sealed) => match self.opener.open::<Answer>(business, &sealed) {
                Some(answer) => BotResult::Answered(answer),
                None => BotResult::Failed(BotFault::Lost),
            },
        }
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
        ConversationInput::HeardOf { number, .. } => Some(*number),
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
                self.decide_on(input, &rules, Occasion::Wake)
            }
            RuntimeOccasion::CallResult { call, result } => {
                self.decide_result(input, *call, result)
            }
        }
    }

    fn apply(&mut self, event: &Event) -> Result<(), EntityError> {
        let event: ConversationEvent = persist::decode(&event.body).map_err(bridge::refused)?;
        self.state.apply(&event);
        Ok(())
    }

    fn part(&self, name: &PartName, _: FormatLevel) -> Result<Option<Bytes>, EntityError> {
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

#[cfg(test)]
mod tests;
