//! What a number says of its pauses and of what waits.

use domain::number::{NumberEvent, PauseCause, Refused, SendWait};

use super::thread::ms;
use crate::v1::{self, OutboundWaitReason as Reason};

/// What a message without an outcome waits for.
#[must_use]
pub fn send_wait(wait: &SendWait) -> v1::OutboundWait {
    let plain = |reason: Reason, until_ms: u64, text: &str| v1::OutboundWait {
        reason: reason.into(),
        until_ms: until(until_ms),
        error_code: 0,
        text: text.to_owned(),
    };
    match wait {
        SendWait::Turn => plain(Reason::Turn, 0, "others go first"),
        SendWait::Number { until_ms, cause: Some(cause) } => v1::OutboundWait {
            error_code: cause.code,
            ..plain(Reason::ChannelPaused, *until_ms, advice(Some(*cause)))
        },
        SendWait::Number { until_ms: u64::MAX, cause: None } => {
            plain(Reason::ChannelPaused, u64::MAX, advice(None))
        }
        SendWait::Number { until_ms, cause: None } => {
            plain(Reason::NumberPaused, *until_ms, "WhatsApp refused the number's throughput")
        }
        SendWait::Lane { until_ms } => {
            plain(Reason::LanePaused, *until_ms, "WhatsApp stopped messages of this lane")
        }
        SendWait::Customer { until_ms } => {
            plain(Reason::CustomerLimit, *until_ms, "too many messages to this customer for now")
        }
        SendWait::Retry { at_ms, refused } => {
            let (code, told) = match refused {
                Some(Refused { code, told }) => (*code, told.as_str()),
                None => (0, "the last attempt did not leave"),
            };
            v1::OutboundWait { error_code: code, ..plain(Reason::Retry, *at_ms, told) }
        }
        SendWait::Calling => plain(Reason::Call, 0, "WhatsApp was called and has not answered"),
        SendWait::Status { until_ms } => plain(
            Reason::Status,
            *until_ms,
            "whether WhatsApp has it is not known; a status of it is waited for",
        ),
        SendWait::Confirmation => {
            plain(Reason::Confirmation, 0, "the platform has fetched it and not confirmed it")
        }
    }
}

/// What an event says of whether a number or channel sends, for those that a person has to act on; its ids and time are the
/// caller's.
#[must_use]
pub fn channel_state(event: &NumberEvent) -> Option<v1::ChannelState> {
    match event {
        NumberEvent::Paused { until_ms, cause } if cause.is_some() || *until_ms == u64::MAX => {
            Some(v1::ChannelState {
                paused: true,
                reason: cause.map(|cause| cause.reason.name().to_owned()).unwrap_or_default(),
                error_code: cause.map_or(0, |cause| cause.code),
                until_ms: until(*until_ms),
                text: advice(*cause).to_owned(),
                ..v1::ChannelState::default()
            })
        }
        // A configuration sets a paused number going again; of one that was not paused it says the same.
        NumberEvent::Resumed | NumberEvent::Configured(_) => {
            let text = "it sends".to_owned();
            Some(v1::ChannelState { text, ..v1::ChannelState::default() })
        }
        _ => None,
    }
}

/// What happened to a paused channel and what to do, for an operator.
#[must_use]
pub fn advice(cause: Option<PauseCause>) -> &'static str {
    use domain::number::PauseReason as Why;
    match cause.map(|cause| cause.reason) {
        Some(Why::Token) => {
            "WhatsApp refuses the access token: put a valid one into the configuration and restart"
        }
        Some(Why::Permission) => {
            "the access token lacks a permission at WhatsApp: grant it, then restart or wait"
        }
        Some(Why::Policy) => {
            "WhatsApp has blocked or locked the account: look into the Business Manager, then restart or wait"
        }
        Some(Why::Registration) => {
            "the number is not registered at WhatsApp: register it, then restart or wait"
        }
        Some(Why::Payment) => {
            "WhatsApp has a payment problem with the account: settle it, then restart or wait"
        }
        None => "WhatsApp refuses the access token or the account: put it right, then restart",
    }
}

/// A time that may be "until configured again", which is 0 on the wire.
fn until(at_ms: u64) -> i64 {
    if at_ms == u64::MAX { 0 } else { ms(at_ms) }
}

#[cfg(test)]
mod tests {
    use domain::number::{NumberConfig, PauseReason};

    use super::*;

    #[test]
    fn a_pause_that_a_person_ends_is_told_and_one_that_ends_by_itself_is_not() {
        let cause = |reason| Some(PauseCause { reason, code: 190, times: 1 });
        let paused = |until_ms, cause| channel_state(&NumberEvent::Paused { until_ms, cause });
        for (reason, name) in [
            (PauseReason::Token, "token"),
            (PauseReason::Permission, "permission"),
            (PauseReason::Policy, "policy"),
            (PauseReason::Registration, "registration"),
            (PauseReason::Payment, "payment"),
        ] {
            let state = paused(7, cause(reason)).unwrap();
            assert_eq!((state.paused, state.reason.as_str(), state.until_ms), (true, name, 7));
            assert!(!state.text.is_empty());
        }
        assert_eq!(paused(u64::MAX, None).unwrap().until_ms, 0);
        assert_eq!(paused(7, None), None);
        for event in [NumberEvent::Resumed, NumberEvent::Configured(NumberConfig::default())] {
            assert!(!channel_state(&event).unwrap().paused);
        }
    }

    #[test]
    fn a_wait_says_what_it_is_for() {
        let cause = PauseCause { reason: PauseReason::Payment, code: 131_042, times: 1 };
        let refused = Refused { code: 131_049, told: "tomorrow".to_owned() };
        let table = [
            (SendWait::Turn, Reason::Turn, 0, 0),
            (
                SendWait::Number { until_ms: 9, cause: Some(cause) },
                Reason::ChannelPaused,
                9,
                131_042,
            ),
            (SendWait::Number { until_ms: u64::MAX, cause: None }, Reason::ChannelPaused, 0, 0),
            (SendWait::Number { until_ms: 9, cause: None }, Reason::NumberPaused, 9, 0),
            (SendWait::Lane { until_ms: 9 }, Reason::LanePaused, 9, 0),
            (SendWait::Customer { until_ms: 9 }, Reason::CustomerLimit, 9, 0),
            (SendWait::Retry { at_ms: 9, refused: Some(refused) }, Reason::Retry, 9, 131_049),
            (SendWait::Calling, Reason::Call, 0, 0),
            (SendWait::Status { until_ms: 9 }, Reason::Status, 9, 0),
            (SendWait::Confirmation, Reason::Confirmation, 0, 0),
        ];
        for (wait, reason, until_ms, code) in table {
            let told = send_wait(&wait);
            assert_eq!((told.reason(), told.until_ms, told.error_code), (reason, until_ms, code));
            assert!(!told.text.is_empty(), "{wait:?}");
        }
    }
}
