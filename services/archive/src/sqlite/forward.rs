//! Addresses that became part of another conversation. Lower and higher address may live in different
//! partitions, so everything here comes to the same end in whichever order their logs are applied.

use domain::Hash16;
use rusqlite::params;

use super::apply::At;
use crate::{
    ArchiveError,
    codes::{HOPS_MAX, int},
};

/// This conversation forwards to `to` from now on.
pub(super) fn forwarding(at: &At<'_>, to: Hash16) -> Result<(), ArchiveError> {
    at.ensure(to)?;
    at.update(
        "UPDATE conversations SET forwarded_to = ?3 WHERE business = ?1 AND id = ?2",
        params![at.business.0, at.id.0, to.0],
    )?;
    let (last_message_ms, window_until_ms, joined) = at
        .db
        .prepare_cached(
            "SELECT last_message_ms, window_until_ms, joined_to FROM conversations
             WHERE business = ?1 AND id = ?2",
        )?
        .query_row(params![at.business.0, at.id.0], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<[u8; 16]>>(2)?))
        })?;
    // A phone that pointed elsewhere before only points: what it was joined to stays where it is.
    let target = at.root(to)?;
    if joined.is_some() || target == at.id {
        return Ok(());
    }
    at.update(
        "UPDATE conversations SET joined_to = ?3 WHERE business = ?1 AND id = ?2",
        params![at.business.0, at.id.0, to.0],
    )?;
    for sql in [
        "UPDATE conversations SET root = ?3 WHERE business = ?1 AND root = ?2",
        "UPDATE messages SET thread = ?3 WHERE business = ?1 AND thread = ?2",
    ] {
        at.update(sql, params![at.business.0, at.id.0, target.0])?;
    }
    let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
    raise(at, "last_message_ms", unsigned(last_message_ms))?;
    raise(at, "window_until_ms", unsigned(window_until_ms))
}

/// Raises a column of this conversation, and of every one it became part of, to at least `value`: each holds the
/// greatest of all that joined it.
pub(super) fn raise(at: &At<'_>, column: &str, value: u64) -> Result<(), ArchiveError> {
    let mut id = at.id;
    for _ in 0..HOPS_MAX {
        at.update(
            &format!(
                "UPDATE conversations SET {column} = max({column}, ?3) WHERE business = ?1 AND id = ?2"
            ),
            params![at.business.0, id.0, int(value)],
        )?;
        let joined: Option<[u8; 16]> = at
            .db
            .prepare_cached("SELECT joined_to FROM conversations WHERE business = ?1 AND id = ?2")?
            .query_row(params![at.business.0, id.0], |row| row.get(0))?;
        match joined {
            Some(next) => id = Hash16(next),
            None => return Ok(()),
        }
    }
    Ok(())
}

/// The conversation that answers for `id`: where its forwards end. `None` when the business has no such one.
pub(super) fn resolve(
    db: &rusqlite::Connection,
    business: &domain::BusinessId,
    id: Hash16,
) -> Result<Option<Hash16>, ArchiveError> {
    let mut query = db
        .prepare_cached("SELECT forwarded_to FROM conversations WHERE business = ?1 AND id = ?2")?;
    let mut id = id;
    for _ in 0..HOPS_MAX {
        let mut rows = query.query(params![business.0, id.0])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        match row.get::<_, Option<[u8; 16]>>(0)? {
            Some(next) => id = Hash16(next),
            None => return Ok(Some(id)),
        }
    }
    Err(ArchiveError::Row("a loop of forwards".to_owned()))
}
