//! What no entity decides on yet: kept sealed in the log of its number, in pieces.

use std::borrow::Cow;

use domain::{
    Hash16,
    number::{NumberInput, Parked},
    persist::PersistError,
};
use whatsapp::webhook::{
    AsideItem, AsideReason, Kind,
    field::Field,
    history::{HistoryChunk, HistoryMessage},
    message::Message,
    wire_error::WireError,
};

use super::Target;
use crate::metrics;

/// Size of a piece in clear, bytes: a sealed piece with its envelope stays well below one inbox entry.
const PIECE_BYTES: usize = 48 * 1024;

pub(super) fn park(target: &mut Target<'_>, kind: &Kind, field: Field) -> Result<(), PersistError> {
    let (what, raw) = facts(kind, field);
    match raw {
        Some(raw) => park_raw(target, what, &raw).map(|_| ()),
        None => {
            metrics::item(what);
            Ok(())
        }
    }
}

pub(super) fn park_message(
    target: &mut Target<'_>,
    what: &'static str,
    message: &Message,
) -> Result<(), PersistError> {
    park_raw(target, what, message.raw.as_str()).map(|_| ())
}

/// Parks `raw` and answers the hash it can be found under.
pub(super) fn park_raw(
    target: &mut Target<'_>,
    what: &'static str,
    raw: &str,
) -> Result<Hash16, PersistError> {
    metrics::item(what);
    let hash = Hash16(target.sealer.hash16("parked", &[what.as_bytes(), raw.as_bytes()]));
    let pieces: Vec<&[u8]> = raw.as_bytes().chunks(PIECE_BYTES).collect();
    let chunks = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
    for (chunk, piece) in (0u32..).zip(pieces) {
        let content = target.seal(&serde_bytes::Bytes::new(piece))?;
        let input =
            NumberInput::Parked(Parked { what: what.to_owned(), hash, chunk, chunks, content });
        let number = target.number.via.number;
        target.push("parked", &[&hash.0, &chunk.to_be_bytes()], number, &input)?;
    }
    Ok(hash)
}

/// A closed name and the JSON to keep.
fn facts(kind: &Kind, field: Field) -> (&'static str, Option<Cow<'_, str>>) {
    let (what, raw) = match kind {
        Kind::Inbound(m) | Kind::Echo(m) => ("message", &m.raw),
        Kind::Status(s) => ("status", &s.raw),
        Kind::History(h) => return ("history", Some(with_thread(h).into())),
        Kind::HistoryMedia(h) => ("history_media", &h.raw),
        Kind::HistoryProgress(chunk) => return ("history_progress", Some(progress(chunk).into())),
        Kind::HistoryRefused(refused) => {
            return ("history_refused", Some(errors(&refused.errors).into()));
        }
        Kind::StateSync(s) => ("state_sync", &s.raw),
        Kind::Account(a) => ("account_update", &a.raw),
        Kind::Preference(p) => ("user_preferences", &p.raw),
        Kind::UserIdUpdate(u) => ("user_id_update", &u.raw),
        Kind::Call(c) => ("call", &c.raw),
        Kind::CallStatus(c) => ("call_status", &c.raw),
        Kind::UserAction(a) => ("user_action", &a.raw),
        Kind::Errors(list) => return ("errors", Some(errors(list).into())),
        Kind::Aside { why, what } => {
            let name = match why {
                AsideReason::Group => "group",
                AsideReason::Standby => "standby",
            };
            match what {
                AsideItem::Inbound(m) | AsideItem::Echo(m) => (name, &m.raw),
                AsideItem::Status(s) => (name, &s.raw),
            }
        }
        Kind::Sample(_) => return ("sample", None),
        // A whole value: templates, qualities, names, groups, … by the name of its field.
        Kind::Other { key: None, raw } => (field.label(), raw),
        Kind::Other { raw, .. } => ("other", raw),
        Kind::Malformed(m) => match &m.raw {
            Some(raw) => ("malformed", raw),
            None => return ("malformed", None),
        },
    };
    (what, Some(raw.as_str().into()))
}

fn progress(chunk: &HistoryChunk) -> String {
    serde_json::json!({
        "phase": chunk.phase,
        "chunk_order": chunk.chunk_order,
        "progress": chunk.progress,
    })
    .to_string()
}

fn errors(errors: &[WireError]) -> String {
    let facts = |error: &WireError| serde_json::json!({"code": error.code, "title": error.title, "details": error.details});
    serde_json::Value::Array(errors.iter().map(facts).collect()).to_string()
}

/// A message of the history with what only its thread says: whose it is, which way, in which chunk.
fn with_thread(history: &HistoryMessage) -> String {
    let customer = &history.message.customer;
    let thread = serde_json::json!({
        "phone": customer.phone,
        "user_id": customer.bsuid,
        "direction": format!("{:?}", history.direction),
        "phase": history.chunk.phase,
        "chunk_order": history.chunk.chunk_order,
    });
    format!(r#"{{"thread":{thread},"message":{}}}"#, history.message.raw.as_str())
}
