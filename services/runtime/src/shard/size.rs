//! Upper bounds of encoded sizes, so that records can be cut without encoding anything twice.

use bus::{BusinessId, DeadLetter, Event, Input};

use crate::host::{Decision, OutMessage};

/// Most events of one step (design.md 4.1).
pub(super) const STEP_EVENTS_MAX: usize = 256;
/// Most bytes of one step's events and messages (design.md 4.1).
pub(super) const STEP_BYTES_MAX: usize = 128 * 1024;
/// Room in a record for all that is not a step.
pub(super) const RECORD_OVERHEAD: usize = 4 * 1024;
/// Room in a record for one entry of `taken`.
pub(super) const TAKEN_BYTES: usize = 16;
/// Largest saved part (design.md 4.1).
pub(super) const PART_BYTES_MAX: usize = 64 * 1024;

const HEADER: usize = 360;
const STEP: usize = 300;
const INPUT: usize = HEADER + 160;
const EVENT: usize = 32;

pub(super) fn message(message: &OutMessage) -> usize {
    INPUT + message.business.0.len() + message.body.len()
}

/// An input without a topic for its answer, as channels carry them.
pub(crate) fn input(input: &Input) -> usize {
    INPUT + input.header.business.0.len() + input.body.len()
}

fn event(event: &Event) -> usize {
    EVENT + event.part.0.len() + event.body.len()
}

/// Bytes of the events and messages of `decision`, or why they are too many.
pub(super) fn check(decision: &Decision) -> Result<usize, String> {
    let events = decision.events.len();
    if events > STEP_EVENTS_MAX {
        return Err(format!("{events} events in one step, at most {STEP_EVENTS_MAX}"));
    }
    let bytes = decision.events.iter().map(event).sum::<usize>()
        + decision.messages.iter().map(message).sum::<usize>();
    if bytes > STEP_BYTES_MAX {
        return Err(format!("{bytes} bytes in one step, at most {STEP_BYTES_MAX}"));
    }
    Ok(bytes)
}

/// A step without its events and messages.
pub(super) fn bare_step(business: &BusinessId, dead: Option<&DeadLetter>) -> usize {
    let letter = dead.map_or(0, |d| {
        INPUT
            + d.error.len()
            + d.input.header.business.0.len()
            + d.input.body.len()
            + d.input.reply_to.as_ref().map_or(0, String::len)
    });
    HEADER + STEP + business.0.len() + letter
}

#[cfg(test)]
mod tests {
    use bus::{
        Cause, ChannelMessage, EntityId, Header, Input, Key, PartitionId, Place, Position, Step,
        TraceContext, encode,
    };
    use bytes::Bytes;

    use super::*;

    fn header(business: &str) -> Header {
        let position = Some(Position { generation: u32::MAX, seq: u64::MAX, index: u32::MAX });
        Header {
            key: Key([9; 16]),
            business: BusinessId(business.to_owned()),
            cause: Cause::Channel {
                source: PartitionId(u16::MAX),
                generation: u32::MAX,
                number: u64::MAX,
                position,
            },
            trace: Some(TraceContext { trace: [1; 16], span: [2; 8], flags: 1 }),
            received_ms: u64::MAX,
        }
    }

    #[test]
    fn estimates_are_never_below_the_encoded_size() {
        let entity = EntityId { kind: 255, hash: [255; 16] };
        for body in [0, 1, 300, 70_000] {
            let body = Bytes::from(vec![1_u8; body]);
            let event = Event { part: "queue/17".into(), body: body.clone() };
            let out = OutMessage {
                target: entity,
                business: BusinessId("acme".to_owned()),
                key: Key([1; 16]),
                body: body.clone(),
            };
            let input = Input {
                header: header("acme"),
                target: entity,
                body: body.clone(),
                reply_to: Some("reply.node-1".to_owned()),
            };
            let sent = Input { reply_to: None, ..input.clone() };
            assert!(super::input(&sent) >= encode(&sent).unwrap().len());
            let letter = DeadLetter { error: "no such thing".to_owned(), input };
            let number = u64::MAX;
            let message_step =
                ChannelMessage { target: PartitionId(u16::MAX), number, input: sent };
            let step = Step {
                header: header("acme"),
                entity,
                place: Some(Place { seq: u64::MAX, index: u32::MAX }),
                now_ms: u64::MAX,
                events: vec![event.clone(); 3],
                messages: vec![message_step; 3],
                wake_ms: Some(u64::MAX),
                dead_letter: Some(letter.clone()),
            };
            let estimate = bare_step(&step.header.business, Some(&letter))
                + 3 * super::event(&event)
                + 3 * super::message(&out);
            let encoded = encode(&step).unwrap().len();
            assert!(estimate >= encoded, "{estimate} < {encoded}");
        }
    }

    #[test]
    fn a_step_too_large_is_refused() {
        let event = |n: usize| Event { part: "p".into(), body: Bytes::from(vec![0_u8; n]) };
        let decision = |events| Decision { events, ..Decision::default() };
        assert!(check(&decision(vec![event(1); STEP_EVENTS_MAX])).is_ok());
        assert!(check(&decision(vec![event(1); STEP_EVENTS_MAX + 1])).is_err());
        assert!(check(&decision(vec![event(STEP_BYTES_MAX - 100)])).is_ok());
        assert!(check(&decision(vec![event(STEP_BYTES_MAX)])).is_err());
    }
}
