//! Prices of messages, billing windows and wishes about marketing.

use domain::{
    BusinessId, Hash16, MessageId, Millis,
    conversation::{ConversationEvent, Pricing},
};
use rusqlite::{Connection, Row, params};

use super::{
    apply::At,
    codes::{hash, unsigned},
};
use crate::{ArchiveError, codes::int, model::BillingWindowRow};

/// What Meta told of prices, windows and wishes.
pub(super) fn told(at: &At<'_>, event: &ConversationEvent) -> Result<(), ArchiveError> {
    match event {
        ConversationEvent::BillingRecorded { message, pricing, .. } => {
            recorded(at, *message, pricing)
        }
        ConversationEvent::BillingWindowMoved { category, until_ms } => {
            window_moved(at, category, *until_ms)
        }
        ConversationEvent::FreeEntryMoved { until_ms } => free_entry_moved(at, *until_ms),
        ConversationEvent::MarketingWished { allowed, at_ms } => {
            marketing_wished(at, *allowed, *at_ms)
        }
        _ => Ok(()),
    }
}

/// What a message costs. Two addresses may have been told, each in a log of its own: which of two prices stands does
/// not depend on the order they are read in.
fn recorded(at: &At<'_>, message: MessageId, pricing: &Pricing) -> Result<(), ArchiveError> {
    let known = at
        .db
        .prepare_cached(
            "SELECT conversation, model AS price_model, type AS price_type, category AS price_category,
                 billable AS price_billable, subtype AS price_subtype
             FROM billing_facts WHERE business = ?1 AND message = ?2",
        )?
        .query_and_then(params![at.business.0, message.0.0], |row| {
            Ok::<_, ArchiveError>((hash(row, "conversation")?, pricing_of(row)?))
        })?
        .next()
        .transpose()?;
    let (conversation, pricing) = match &known {
        Some((conversation, known)) => {
            let kept = if pricing.replaces(known) { pricing } else { known };
            (at.id.min(*conversation), kept)
        }
        None => (at.id, pricing),
    };
    at.update(
        "INSERT OR REPLACE INTO billing_facts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            at.business.0,
            message.0.0,
            conversation.0,
            pricing.model,
            pricing.kind,
            pricing.category,
            pricing.billable,
            pricing.subtype
        ],
    )
}

/// The price in the columns `price_…` of a row.
pub(super) fn pricing_of(row: &Row<'_>) -> Result<Pricing, ArchiveError> {
    Ok(Pricing {
        model: row.get("price_model")?,
        kind: row.get("price_type")?,
        category: row.get("price_category")?,
        billable: row.get("price_billable")?,
        subtype: row.get("price_subtype")?,
    })
}

fn window_moved(at: &At<'_>, category: &str, until_ms: Millis) -> Result<(), ArchiveError> {
    at.update(
        "INSERT INTO billing_windows VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET until_ms = max(until_ms, excluded.until_ms)",
        params![at.business.0, at.id.0, category, int(until_ms)],
    )
}

fn free_entry_moved(at: &At<'_>, until_ms: Millis) -> Result<(), ArchiveError> {
    at.update(
        "UPDATE conversations SET free_entry_until_ms = ?3 WHERE business = ?1 AND id = ?2",
        params![at.business.0, at.id.0, int(until_ms)],
    )
}

fn marketing_wished(at: &At<'_>, allowed: bool, at_ms: Millis) -> Result<(), ArchiveError> {
    let code = if allowed { 1 } else { 2 };
    at.update(
        "UPDATE conversations SET marketing = ?3, marketing_ms = ?4 WHERE business = ?1 AND id = ?2",
        params![at.business.0, at.id.0, code, int(at_ms)],
    )
}

/// The billing windows of a conversation, the latest first. It has taken over those of what joined it.
pub(super) fn windows(
    db: &Connection,
    business: &BusinessId,
    conversation: Hash16,
) -> Result<Vec<BillingWindowRow>, ArchiveError> {
    db.prepare_cached(
        "SELECT category, until_ms FROM billing_windows WHERE business = ?1 AND conversation = ?2
         ORDER BY until_ms DESC, category",
    )?
    .query_and_then(params![business.0, conversation.0], |row| {
        Ok(BillingWindowRow {
            category: row.get("category")?,
            until_ms: unsigned(row, "until_ms")?,
        })
    })?
    .collect()
}
