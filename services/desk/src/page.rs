//! Page tokens: where a listing goes on, as text that clients hand back. Each kind of listing has its own letter;
//! what does not parse is refused. They need no signature: every query is bound to the caller's business.

use archive::model::{ConversationCursor, ThreadCursor};
use domain::{AgentId, Hash16, ItemId, QueueId, RequestId, workspace::WaitingCursor};

use crate::fault::Fault;

const WRONG: &str =
    "page_token: it is not one of this listing; use next_page_token of the page before";

/// Longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 2048;

pub(crate) fn size(asked: u32, default: usize, max: usize) -> usize {
    match usize::try_from(asked).unwrap_or(usize::MAX) {
        0 => default,
        asked => asked.min(max),
    }
}

pub(crate) fn conversations_token(cursor: ConversationCursor) -> String {
    format!("c.{}.{}", cursor.last_message_ms, cursor.id)
}

pub(crate) fn conversations_cursor(token: &str) -> Result<Option<ConversationCursor>, Fault> {
    if token.is_empty() {
        return Ok(None);
    }
    let cursor = || {
        let (ms, id) = token.strip_prefix("c.")?.split_once('.')?;
        Some(ConversationCursor { last_message_ms: ms.parse().ok()?, id: hash(id)? })
    };
    cursor().map(Some).ok_or_else(|| Fault::invalid(WRONG))
}

pub(crate) fn thread_token(cursor: &ThreadCursor) -> String {
    let wamid: String = cursor.wamid.bytes().map(|byte| format!("{byte:02x}")).collect();
    let request = cursor.request.map(RequestId::to_opaque).unwrap_or_default();
    format!("m.{}.{wamid}.{request}", cursor.at_ms)
}

pub(crate) fn thread_cursor(token: &str) -> Result<Option<ThreadCursor>, Fault> {
    if token.is_empty() {
        return Ok(None);
    }
    let cursor = || {
        let mut parts = token.strip_prefix("m.")?.splitn(3, '.');
        let at_ms = parts.next()?.parse().ok()?;
        let wamid = String::from_utf8(bytes(parts.next()?)?).ok()?;
        let request = match parts.next()? {
            "" => None,
            opaque => Some(RequestId::from_opaque(opaque)?),
        };
        Some(ThreadCursor { at_ms, wamid, request })
    };
    let cursor = (token.len() <= TOKEN_BYTES_MAX).then(cursor).flatten();
    cursor.map(Some).ok_or_else(|| Fault::invalid(WRONG))
}

pub(crate) fn waiting_token(cursor: &WaitingCursor) -> String {
    let WaitingCursor { queue, since_ms, item } = cursor;
    format!("w.{}.{since_ms}.{}.{}", hex(queue.0.as_bytes()), item.conversation, item.n)
}

pub(crate) fn waiting_cursor(token: &str) -> Result<Option<WaitingCursor>, Fault> {
    if token.is_empty() {
        return Ok(None);
    }
    let cursor = || {
        let mut parts = token.strip_prefix("w.")?.splitn(4, '.');
        let queue = QueueId(String::from_utf8(bytes(parts.next()?)?).ok()?);
        let since_ms = parts.next()?.parse().ok()?;
        let item = ItemId { conversation: hash(parts.next()?)?, n: parts.next()?.parse().ok()? };
        Some(WaitingCursor { queue, since_ms, item })
    };
    let cursor = (token.len() <= TOKEN_BYTES_MAX).then(cursor).flatten();
    cursor.map(Some).ok_or_else(|| Fault::invalid(WRONG))
}

pub(crate) fn agents_token(last: &AgentId) -> String {
    format!("a.{}", hex(last.0.as_bytes()))
}

pub(crate) fn agents_cursor(token: &str) -> Result<Option<AgentId>, Fault> {
    if token.is_empty() {
        return Ok(None);
    }
    let cursor = || Some(AgentId(String::from_utf8(bytes(token.strip_prefix("a.")?)?).ok()?));
    let cursor = (token.len() <= TOKEN_BYTES_MAX).then(cursor).flatten();
    cursor.map(Some).ok_or_else(|| Fault::invalid(WRONG))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(text: &str) -> Option<Hash16> {
    bytes(text)?.try_into().ok().map(Hash16)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? * 16 + digit(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_were_written() {
        let conversation = ConversationCursor { last_message_ms: 7, id: Hash16([0xab; 16]) };
        let token = conversations_token(conversation);
        assert_eq!(conversations_cursor(&token), Ok(Some(conversation)));
        let request = Some(RequestId { conversation: Hash16([1; 16]), n: 4 });
        for (wamid, request) in [("", request), ("wamid.HBgN=.é", None), ("wamid.1", request)] {
            let cursor = ThreadCursor { at_ms: 9, wamid: wamid.to_owned(), request };
            assert_eq!(thread_cursor(&thread_token(&cursor)), Ok(Some(cursor)));
        }
        assert_eq!((conversations_cursor(""), thread_cursor("")), (Ok(None), Ok(None)));
        let item = ItemId { conversation: Hash16([3; 16]), n: 4 };
        let waiting = WaitingCursor { queue: "sales.é".into(), since_ms: 9, item };
        assert_eq!(waiting_cursor(&waiting_token(&waiting)), Ok(Some(waiting)));
        assert_eq!(agents_cursor(&agents_token(&"ana".into())), Ok(Some("ana".into())));
        assert_eq!((waiting_cursor(""), agents_cursor("")), (Ok(None), Ok(None)));
    }

    #[test]
    fn anything_else_is_refused() {
        let cursor = ThreadCursor { at_ms: 9, wamid: "w".to_owned(), request: None };
        let long = format!("m.1.{}.", "61".repeat(TOKEN_BYTES_MAX));
        for token in ["x", "c.1", "c.x.00", "m.1.6.", "m.1.zz.", "m.1.61.t1.00", "m..61.", &long] {
            assert!(conversations_cursor(token).is_err(), "{token}");
            assert!(thread_cursor(token).is_err(), "{token}");
            assert!(waiting_cursor(token).is_err(), "{token}");
            assert!(agents_cursor(token).is_err(), "{token}");
        }
        assert!(conversations_cursor(&thread_token(&cursor)).is_err());
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!([size(0, 50, 500), size(7, 50, 500), size(u32::MAX, 50, 500)], [50, 7, 500]);
    }
}
