//! Messages to an address, as programs submit them.

use domain::number::Lane;

use super::send::{Invalid, Outgoing, check_send, invalid};
use crate::v1::{self, OutboundLane, outbound_message, send_message};

/// Longest key of a message, bytes.
const KEY_BYTES_MAX: usize = 64;
/// A message may wait this long, ms.
const AHEAD_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// It waits this long where nothing is said, ms.
const DEFAULT_MS: u64 = 600_000;
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
const USER_ID_CHARS_MAX: usize = 140;

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// E.164 digits.
    Phone(String),
    /// Business-scoped user id.
    UserId(String),
}

/// A message to an address, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Whom it is for.
    pub to: Address,
    /// Class.
    pub lane: Lane,
    /// Not to be started after this.
    pub not_after_ms: u64,
    /// What it says.
    pub outgoing: Outgoing,
}

/// Checks a message.
///
/// # Errors
/// [`Invalid`].
pub fn check_submit(message: &v1::OutboundMessage, now_ms: u64) -> Result<Submitted, Invalid> {
    use outbound_message::Content as Wire;
    check_key(&message.key)?;
    let content = match message.content.clone() {
        None => return invalid("content: set template, text, media, location or interactive"),
        Some(Wire::Template(it)) => send_message::Content::Template(it),
        Some(Wire::Text(it)) => send_message::Content::Text(it),
        Some(Wire::Media(it)) => send_message::Content::Media(it),
        Some(Wire::Location(it)) => send_message::Content::Location(it),
        Some(Wire::Interactive(it)) => send_message::Content::Interactive(it),
    };
    let send = v1::SendMessage { content: Some(content), ..v1::SendMessage::default() };
    let lane = match message.lane() {
        OutboundLane::Campaign => Lane::Campaign,
        OutboundLane::Unspecified | OutboundLane::Utility | OutboundLane::Authentication => {
            Lane::Utility
        }
    };
    Ok(Submitted {
        to: address(message)?,
        lane,
        not_after_ms: not_after(message.not_after_ms, now_ms)?,
        outgoing: check_send(&send)?,
    })
}

/// Checks the key of a message.
///
/// # Errors
/// [`Invalid`].
pub fn check_key(key: &str) -> Result<(), Invalid> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return invalid(format!("key: use 1 to {KEY_BYTES_MAX} bytes"));
    }
    Ok(())
}

fn not_after(given_ms: i64, now_ms: u64) -> Result<u64, Invalid> {
    if given_ms == 0 {
        return Ok(now_ms.saturating_add(DEFAULT_MS));
    }
    let given = u64::try_from(given_ms).unwrap_or(0);
    if given <= now_ms || given > now_ms.saturating_add(AHEAD_MS_MAX) {
        return invalid("not_after_ms: use a time in the next seven days, Unix ms, or 0");
    }
    Ok(given)
}

fn address(message: &v1::OutboundMessage) -> Result<Address, Invalid> {
    match &message.to {
        None => invalid("to: set phone or user_id"),
        Some(outbound_message::To::Phone(phone)) => {
            let plain = |c: char| matches!(c, '+' | '-' | '(' | ')' | '.' | '/' | ' ');
            let digits: String = phone.chars().filter(|c| !plain(*c)).collect();
            let digits = digits.strip_prefix("00").unwrap_or(&digits);
            let right = digits.bytes().all(|byte| byte.is_ascii_digit())
                && PHONE_DIGITS.contains(&digits.len())
                && !digits.starts_with('0');
            if !right {
                return invalid("phone: use an international number, such as +12125550123");
            }
            Ok(Address::Phone(digits.to_owned()))
        }
        Some(outbound_message::To::UserId(id)) => {
            let right = id.split_once('.').is_some_and(|(country, tail)| {
                country.len() == 2
                    && country.bytes().all(|byte| byte.is_ascii_uppercase())
                    && !tail.is_empty()
                    && tail.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
            });
            if !right || id.len() > USER_ID_CHARS_MAX {
                return invalid("user_id: use the business-scoped user id, such as US.1349120865");
            }
            Ok(Address::UserId(id.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_795_176_000_000;

    fn message(change: impl Fn(&mut v1::OutboundMessage)) -> Result<Submitted, Invalid> {
        let mut message = v1::OutboundMessage {
            key: "order-4711".to_owned(),
            to: Some(outbound_message::To::Phone("+1 (212) 555-0123".to_owned())),
            content: Some(outbound_message::Content::Text("ready".to_owned())),
            ..v1::OutboundMessage::default()
        };
        change(&mut message);
        check_submit(&message, NOW_MS)
    }

    #[test]
    fn a_message_to_an_address_is_taken_as_it_is() {
        let submitted = message(|_| {}).unwrap();
        assert_eq!(submitted.to, Address::Phone("12125550123".to_owned()));
        assert_eq!((submitted.lane, submitted.not_after_ms), (Lane::Utility, NOW_MS + DEFAULT_MS));
        let campaign = message(|it| it.lane = OutboundLane::Campaign.into()).unwrap();
        assert_eq!(campaign.lane, Lane::Campaign);
    }

    #[test]
    fn what_is_wrong_is_named() {
        use outbound_message::To;
        let to = |to: To| message(move |it| it.to = Some(to.clone()));
        let table = [
            (message(|it| it.key.clear()), "key:"),
            (message(|it| it.key = "k".repeat(65)), "key:"),
            (message(|it| it.to = None), "to:"),
            (to(To::Phone("0123456789".to_owned())), "phone:"),
            (to(To::Phone("US.1".to_owned())), "phone:"),
            (to(To::UserId("12125550123".to_owned())), "user_id:"),
            (message(|it| it.content = None), "content:"),
            (message(|it| it.not_after_ms = 5), "not_after_ms:"),
            (message(|it| it.not_after_ms = i64::MAX), "not_after_ms:"),
        ];
        for (result, field) in table {
            let Err(Invalid(text)) = result else { panic!("{field} passed: {result:?}") };
            assert!(text.starts_with(field), "{text}");
        }
    }
}
