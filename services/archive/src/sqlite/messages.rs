//! Messages, sends and statuses. Facts only accumulate, so that rows come to the same end whichever of a send's
//! answer, its statuses and its echo is known first.

use domain::{
    CommandId, MessageId, RequestId, Sealed,
    conversation::{MessageRecord, SendOutcome, SendRecord, StatusKind},
};
use rusqlite::{OptionalExtension, Row, params};

use super::{
    apply::At,
    codes::{unsigned, unsigned32},
    forward,
};
use crate::{
    ArchiveError,
    codes::{author_columns, direction_code, int, kind_text},
    delivery::{Outcome, Report, StatusTimes, merge_error},
};

/// A message joined the thread.
pub(super) fn recorded(at: &At<'_>, record: &MessageRecord) -> Result<(), ArchiveError> {
    let thread = at.thread()?;
    let (author, agent, turn) = author_columns(&record.author);
    let sealed = &record.content;
    // A message that two addresses recorded stands once, as the one with the smaller id recorded it. One that we
    // sent ourselves keeps what we know of it and takes Meta's time.
    let written = at.changed(
        "INSERT INTO messages (business, conversation, thread, message, direction, author, author_agent,
             author_turn, kind, at_ms, recorded, content_key, content, target, episode)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, ?11, ?12, ?13, ?14)
         ON CONFLICT (business, message) WHERE message IS NOT NULL DO UPDATE SET
             at_ms = excluded.at_ms, recorded = 1
         WHERE recorded = 0",
        params![
            at.business.0,
            at.id.0,
            thread.0,
            record.message.0.0,
            direction_code(record.direction),
            author,
            agent,
            turn,
            kind_text(&record.kind),
            int(record.at_ms),
            sealed.key_id,
            sealed.bytes,
            record.target.map(|target| target.0.0),
            record.episode.unwrap_or(0)
        ],
    )?;
    if written > 0 {
        return Ok(());
    }
    at.update(
        "UPDATE messages SET conversation = ?2, thread = ?3, direction = ?5, author = ?6, author_agent = ?7,
             author_turn = ?8, kind = ?9, at_ms = ?10, content_key = ?11, content = ?12, target = ?13,
             episode = ?14
         WHERE business = ?1 AND message = ?4 AND request_n IS NULL AND conversation > ?2",
        params![
            at.business.0,
            at.id.0,
            thread.0,
            record.message.0.0,
            direction_code(record.direction),
            author,
            agent,
            turn,
            kind_text(&record.kind),
            int(record.at_ms),
            sealed.key_id,
            sealed.bytes,
            record.target.map(|target| target.0.0),
            record.episode.unwrap_or(0)
        ],
    )
}

/// A send was asked.
pub(super) fn requested(at: &At<'_>, record: &SendRecord) -> Result<(), ArchiveError> {
    let (author, agent, turn) = author_columns(&record.author);
    at.update(
        "INSERT INTO messages (business, conversation, thread, request_conversation, request_n, direction,
             author, author_agent, author_turn, kind, at_ms, recorded, content_key, content, episode)
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, ?9, ?10, 0, ?11, ?12, ?13)
         ON CONFLICT DO NOTHING",
        params![
            at.business.0,
            at.id.0,
            at.thread()?.0,
            record.request.conversation.0,
            int(record.request.n),
            author,
            agent,
            turn,
            kind_text(&record.kind),
            int(record.at_ms),
            record.content.key_id,
            record.content.bytes,
            record.episode.unwrap_or(0)
        ],
    )
}

/// A command was answered with a send. Messages of programs are each the first command of a client of its own, named after
/// the program's key; of all other clients only one send is noted.
pub(super) fn submitted(
    at: &At<'_>,
    id: CommandId,
    request: RequestId,
) -> Result<(), ArchiveError> {
    if id.n != 1 {
        return Ok(());
    }
    at.update(
        "UPDATE messages SET client = ?4
         WHERE business = ?1 AND request_conversation = ?2 AND request_n = ?3",
        params![at.business.0, request.conversation.0, int(request.n), id.client.0],
    )
}

/// A send came to an end.
pub(super) fn resolved(
    at: &At<'_>,
    request: RequestId,
    outcome: &SendOutcome,
) -> Result<(), ArchiveError> {
    match outcome {
        SendOutcome::Accepted { message, wamid, at_ms, repeated } => {
            ended(at, request, Outcome::Accepted)?;
            at.update(
                "UPDATE messages SET accepted_ms = ?4, repeated = ?5,
                     at_ms = CASE recorded WHEN 0 THEN ?4 ELSE at_ms END
                 WHERE business = ?1 AND request_conversation = ?2 AND request_n = ?3",
                params![
                    at.business.0,
                    request.conversation.0,
                    int(request.n),
                    int(*at_ms),
                    repeated
                ],
            )?;
            forward::raise(at, "last_message_ms", *at_ms)?;
            link(at, request, *message, wamid)
        }
        SendOutcome::Failed { code, told } => {
            ended(at, request, Outcome::Failed)?;
            at.update(
                "UPDATE messages SET error_code = ?4, told = ?5
                 WHERE business = ?1 AND request_conversation = ?2 AND request_n = ?3",
                params![at.business.0, request.conversation.0, int(request.n), code, told],
            )
        }
        SendOutcome::Cancelled => ended(at, request, Outcome::Cancelled),
        SendOutcome::Unknown => ended(at, request, Outcome::Unknown),
    }
}

/// Of several outcomes the one that says most counts.
fn ended(at: &At<'_>, request: RequestId, outcome: Outcome) -> Result<(), ArchiveError> {
    at.update(
        "UPDATE messages SET outcome = max(outcome, ?4)
         WHERE business = ?1 AND request_conversation = ?2 AND request_n = ?3",
        params![at.business.0, request.conversation.0, int(request.n), outcome.code()],
    )
}

/// A status was merged; its message may not be known yet.
pub(super) fn status(
    at: &At<'_>,
    message: MessageId,
    request: Option<RequestId>,
    report: Report,
    content: &Sealed,
) -> Result<(), ArchiveError> {
    let (mut times, mut error) = at
        .db
        .prepare_cached("SELECT * FROM statuses WHERE business = ?1 AND message = ?2")?
        .query_and_then(params![at.business.0, message.0.0], |row| {
            Ok::<_, ArchiveError>((status_times(row)?, unsigned32(row, "error_code")?))
        })?
        .next()
        .transpose()?
        .unwrap_or_default();
    if report.status == StatusKind::Failed {
        error = merge_error((times.failed_ms, error), (report.at_ms, report.error.unwrap_or(0)));
    }
    times.merge(report.status, report.at_ms);
    at.update(
        "INSERT OR REPLACE INTO statuses VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            at.business.0,
            message.0.0,
            int(times.accepted_ms),
            int(times.sent_ms),
            int(times.delivered_ms),
            int(times.read_ms),
            int(times.played_ms),
            int(times.failed_ms),
            int(times.deleted_ms),
            error
        ],
    )?;
    if let Some(request) = request {
        link_if_unlinked(at, request, message, content)?;
    }
    take_metas_time(at, message)
}

/// The answer to a send may come long after Meta took it, or never; a status says when that was, to the second. The
/// message then stands within that second, after what the customer wrote in it (thread order is by Meta's time).
fn take_metas_time(at: &At<'_>, message: MessageId) -> Result<(), ArchiveError> {
    at.update(
        "UPDATE messages SET at_ms = max(s.sent_ms, min(
             iif(messages.accepted_ms = 0, s.latest_ms, messages.accepted_ms), s.latest_ms))
         FROM (SELECT sent_ms, 999 + min(coalesce(nullif(sent_ms, 0), nullif(delivered_ms, 0),
                 nullif(read_ms, 0)), 9223372036854774808) AS latest_ms
             FROM statuses WHERE business = ?1 AND message = ?2) AS s
         WHERE business = ?1 AND message = ?2 AND recorded = 0 AND s.latest_ms IS NOT NULL",
        params![at.business.0, message.0.0],
    )
}

fn link_if_unlinked(
    at: &At<'_>,
    request: RequestId,
    message: MessageId,
    wamid: &Sealed,
) -> Result<(), ArchiveError> {
    let unlinked: Option<bool> = at
        .db
        .prepare_cached(
            "SELECT message IS NULL FROM messages
             WHERE business = ?1 AND request_conversation = ?2 AND request_n = ?3",
        )?
        .query_row(params![at.business.0, request.conversation.0, int(request.n)], |row| row.get(0))
        .optional()?;
    if unlinked == Some(true) { link(at, request, message, wamid) } else { Ok(()) }
}

/// The send is this message. Where the message was recorded by itself (an echo of our own send), the two
/// become one row: ours, with Meta's time.
fn link(
    at: &At<'_>,
    request: RequestId,
    message: MessageId,
    wamid: &Sealed,
) -> Result<(), ArchiveError> {
    let of_message = params![at.business.0, message.0.0];
    let recorded_ms: Option<u64> = at
        .db
        .prepare_cached(
            "SELECT at_ms FROM messages WHERE business = ?1 AND message = ?2 AND request_n IS NULL",
        )?
        .query_and_then(of_message, |row| unsigned(row, "at_ms"))?
        .next()
        .transpose()?;
    at.update(
        "DELETE FROM messages WHERE business = ?1 AND message = ?2 AND request_n IS NULL",
        of_message,
    )?;
    at.update(
        "UPDATE OR IGNORE messages SET message = ?4, wamid_key = ?5, wamid = ?6
         WHERE business = ?1 AND request_conversation = ?2 AND request_n = ?3",
        params![
            at.business.0,
            request.conversation.0,
            int(request.n),
            message.0.0,
            wamid.key_id,
            wamid.bytes
        ],
    )?;
    if let Some(recorded_ms) = recorded_ms {
        at.update(
            "UPDATE messages SET at_ms = ?3, recorded = 1 WHERE business = ?1 AND message = ?2",
            params![at.business.0, message.0.0, int(recorded_ms)],
        )?;
    }
    take_metas_time(at, message)
}

/// The times of a row that has the columns of `statuses`.
pub(super) fn status_times(row: &Row<'_>) -> Result<StatusTimes, ArchiveError> {
    Ok(StatusTimes {
        accepted_ms: unsigned(row, "accepted_ms")?,
        sent_ms: unsigned(row, "sent_ms")?,
        delivered_ms: unsigned(row, "delivered_ms")?,
        read_ms: unsigned(row, "read_ms")?,
        played_ms: unsigned(row, "played_ms")?,
        failed_ms: unsigned(row, "failed_ms")?,
        deleted_ms: unsigned(row, "deleted_ms")?,
    })
}
