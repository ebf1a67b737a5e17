//! Hosts a number.

use bytes::Bytes;
use domain::{
    EntityId,
    effect::CallKey,
    number::{CallAnswer, Number, NumberEvent, NumberInput, Occasion, Part},
    persist,
};
use runtime::{
    bus::{Event, FormatLevel, Key, PartName, SavedPart},
    host::{
        CallResult, DecideInput, Decision, EntityError, LiveEntity, Occasion as RuntimeOccasion,
    },
};

use crate::{bridge, metrics, send::Report};

/// Memory of one part, about, bytes.
const PART_WEIGHT: usize = 1024;

pub(crate) struct HostedNumber {
    id: EntityId,
    state: Number,
    /// Meta's id of it; none where it is not configured, or a channel.
    phone_number_id: Option<String>,
}

impl HostedNumber {
    pub(crate) fn load(
        id: EntityId,
        parts: &[SavedPart],
        phone_number_id: Option<String>,
    ) -> Result<Self, EntityError> {
        let mut state = Number::default();
        for part in parts {
            if let Some(bytes) = &part.bytes {
                let value: Part = persist::decode(bytes).map_err(bridge::refused)?;
                state.put_part(&part.name.0, value);
            }
        }
        let number = Self { id, state, phone_number_id };
        number.tell_state();
        Ok(number)
    }

    /// Tells metrics whether it sends.
    fn tell_state(&self) {
        if let Some(number) = &self.phone_number_id {
            metrics::number_state(number, state_of(&self.state));
        }
    }

    /// What the executor reported; where the runtime answered for it (hard limit, door), the attempt is found by
    /// its id among those in flight. An attempt that is over is nobody's any more.
    fn report(&self, call: Key, result: &CallResult) -> Result<Option<Report>, EntityError> {
        let answer = match result {
            CallResult::Done(bytes) => {
                return persist::decode(bytes).map(Some).map_err(bridge::refused);
            }
            CallResult::NotStarted(why) => {
                CallAnswer::NotStarted { why: why.clone(), overtaken: false }
            }
            CallResult::Unknown(why) => CallAnswer::Unknown { why: why.clone() },
        };
        let key = self.state.in_flight().find(|key: &CallKey| bridge::call_id(*key) == call);
        Ok(key.map(|key| Report { key, answer }))
    }
}

/// The state of a number, for metrics.
fn state_of(number: &Number) -> &'static str {
    number.paused().map_or("sending", |(cause, _)| cause.reason.name())
}

fn part_of(event: &NumberEvent) -> PartName {
    PartName(event.part())
}

impl LiveEntity for HostedNumber {
    fn decide(&self, input: &DecideInput) -> Result<Decision, EntityError> {
        let decide = |occasion: Occasion<'_>| {
            let foreign_ms = input.foreign_calls_over_ms;
            self.state.decide(self.id, occasion, input.now_ms, foreign_ms, input.format.0)
        };
        let outcome = match &input.occasion {
            RuntimeOccasion::Input(body) => {
                let told: NumberInput = persist::decode(body).map_err(bridge::refused)?;
                decide(Occasion::Input { key: input.header.key.0, input: &told })
            }
            RuntimeOccasion::Wake => decide(Occasion::Wake),
            RuntimeOccasion::CallResult { call, result } => {
                let Some(report) = self.report(*call, result)? else {
                    return Ok(Decision::default());
                };
                decide(Occasion::CallResult { key: report.key, answer: &report.answer })
            }
        };
        bridge::decision(input, outcome, part_of)
    }

    fn apply(&mut self, event: &Event) -> Result<(), EntityError> {
        let event: NumberEvent = persist::decode(&event.body).map_err(bridge::refused)?;
        self.state.apply(&event);
        if let NumberEvent::Paused { .. } | NumberEvent::Resumed | NumberEvent::Configured(_) =
            event
        {
            self.tell_state();
        }
        Ok(())
    }

    fn part(&self, name: &PartName, _: FormatLevel) -> Result<Option<Bytes>, EntityError> {
        self.state.part(&name.0).map(|part| bridge::encode(&part)).transpose()
    }

    fn wake_ms(&self) -> Option<u64> {
        self.state.wake_ms()
    }

    fn weight(&self) -> usize {
        self.state.n_parts() * PART_WEIGHT
    }
}

#[cfg(test)]
mod tests {
    use domain::number::{PauseCause, PauseReason};

    use super::*;

    #[test]
    fn a_number_is_in_the_state_of_its_pause_until_it_goes_on() {
        let mut number = Number::default();
        assert_eq!(state_of(&number), "sending");
        let paused = |cause| NumberEvent::Paused { until_ms: 9, cause };
        number.apply(&paused(None));
        assert_eq!(state_of(&number), "sending", "a throttle ends by itself");
        for reason in [
            PauseReason::Token,
            PauseReason::Permission,
            PauseReason::Policy,
            PauseReason::Registration,
            PauseReason::Payment,
        ] {
            number.apply(&paused(Some(PauseCause { reason, code: 1, times: 1 })));
            assert_eq!(state_of(&number), reason.name());
            assert!(metrics::NUMBER_STATES.contains(&reason.name()));
        }
        number.apply(&NumberEvent::Resumed);
        assert_eq!(state_of(&number), "sending");
    }
}
