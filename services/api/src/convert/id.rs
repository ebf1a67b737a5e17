//! Ids and positions as text and numbers that clients compare and never parse.

use domain::{EntityId, EntityKind, Hash16, ItemId, MessageId, OfferId, RequestId};

use crate::v1;

/// Events of one step have places 0 to 510 on the wire; 511 stands for all of the step.
const PLACES_PER_STEP: u32 = 512;

/// A place in a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Generation of the log.
    pub generation: u32,
    /// Sequence of the record.
    pub seq: u64,
    /// Step in the record.
    pub step: u32,
    /// Event in the step; `None` is the whole step.
    pub event: Option<u32>,
}

/// A place on the wire.
#[must_use]
pub fn position(partition: u16, place: Place) -> v1::Position {
    let whole = PLACES_PER_STEP - 1;
    let event = place.event.map_or(whole, |event| event.min(whole - 1));
    v1::Position {
        partition: partition.into(),
        generation: place.generation,
        sequence: place.seq,
        index: place.step.saturating_mul(PLACES_PER_STEP).saturating_add(event),
    }
}

/// Partition and place of a client's position; `None` when there can be no such partition.
#[must_use]
pub fn parse_position(position: &v1::Position) -> Option<(u16, Place)> {
    let event = position.index % PLACES_PER_STEP;
    let place = Place {
        generation: position.generation,
        seq: position.sequence,
        step: position.index / PLACES_PER_STEP,
        event: (event != PLACES_PER_STEP - 1).then_some(event),
    };
    Some((u16::try_from(position.partition).ok()?, place))
}

/// A conversation's id.
#[must_use]
pub fn conversation_id(hash: Hash16) -> String {
    hash.to_string()
}

/// The conversation of an id; `None` when it is no id of ours.
#[must_use]
pub fn parse_conversation_id(text: &str) -> Option<EntityId> {
    Some(EntityId { kind: EntityKind::Conversation, hash: parse_hash(text)? })
}

/// A message's id.
#[must_use]
pub fn message_id(message: MessageId) -> String {
    message.0.to_string()
}

/// The message of an id.
#[must_use]
pub fn parse_message_id(text: &str) -> Option<MessageId> {
    parse_hash(text).map(MessageId)
}

/// Our opaque id of a send, as Meta's statuses carry it.
#[must_use]
pub fn opaque_id(request: RequestId) -> String {
    request.to_opaque()
}

/// An offer's id.
#[must_use]
pub fn offer_id(offer: OfferId) -> String {
    format!("{}.{}.{}", offer.item.conversation, offer.item.n, offer.n)
}

/// The offer of an id.
#[must_use]
pub fn parse_offer_id(text: &str) -> Option<OfferId> {
    let mut parts = text.split('.');
    let conversation = parse_hash(parts.next()?)?;
    let item = ItemId { conversation, n: parts.next()?.parse().ok()? };
    let offer = OfferId { item, n: parts.next()?.parse().ok()? };
    parts.next().is_none().then_some(offer)
}

/// 32 lower-case hexadecimal digits and nothing else, so that one thing has one id.
fn parse_hash(text: &str) -> Option<Hash16> {
    let plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == 32 && text.bytes().all(plain)).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_were_written() {
        let hash = Hash16([0x0a; 16]);
        let offer = OfferId { item: ItemId { conversation: hash, n: 3 }, n: 7 };
        assert_eq!(parse_offer_id(&offer_id(offer)), Some(offer));
        let conversation = parse_conversation_id(&conversation_id(hash));
        assert_eq!(conversation.map(|entity| entity.hash), Some(hash));
        assert_eq!(parse_message_id(&message_id(MessageId(hash))), Some(MessageId(hash)));
    }

    #[test]
    fn what_is_no_id_is_none() {
        let digits = "0a".repeat(16);
        for text in
            ["", "x", "+a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a", &digits.to_uppercase(), &digits[1..]]
        {
            assert_eq!(parse_conversation_id(text), None, "{text}");
        }
        for text in [
            digits.clone(),
            format!("{digits}.1"),
            format!("{digits}.1.2.3"),
            format!("{digits}.1.-2"),
        ] {
            assert_eq!(parse_offer_id(&text), None, "{text}");
        }
    }

    #[test]
    fn positions_keep_the_order_of_events_and_a_whole_step_comes_after_its_events() {
        let place = |step, event| Place { generation: 1, seq: 9, step, event };
        let places = [
            place(0, Some(0)),
            place(0, Some(1)),
            place(0, None),
            place(1, Some(0)),
            place(1, None),
        ];
        let wire: Vec<_> = places.iter().map(|place| position(4, *place).index).collect();
        assert!(wire.is_sorted() && wire.windows(2).all(|pair| pair[0] != pair[1]), "{wire:?}");
        for place in places {
            assert_eq!(parse_position(&position(4, place)), Some((4, place)));
        }
        let foreign = v1::Position { partition: 70_000, ..v1::Position::default() };
        assert_eq!(parse_position(&foreign), None);
    }
}
