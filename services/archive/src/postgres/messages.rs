//! Messages, sends and statuses. Facts only accumulate, so that rows come to the same end whichever of a send's
//! answer, its statuses and its echo is known first.

use domain::{
    CommandId, MessageId, RequestId, Sealed,
    conversation::{MessageRecord, SendOutcome, SendRecord, StatusKind},
};

use super::{
    codes::text,
    project::{At, raise, root},
    work::{Key, Message, RequestKey, Work},
};
use crate::{
    codes::{
        AUTHOR_AUTOMATIC, AUTHOR_PHONE, MILLIS_MAX, author_columns, direction_code, int, kind_text,
    },
    delivery::{Outcome, Report, merge_error},
};

/// A status names its second, so the message stands at the end of it at the latest.
const SECOND_REST_MS: i64 = 999;

/// A message joined the thread. One that two addresses recorded stands once, as the one with the smaller id recorded it. One
/// that we sent ourselves keeps what we know of it and takes Meta's time.
pub(super) fn recorded(work: &mut Work, at: At, record: &MessageRecord) {
    let thread = root(work, at.key());
    let key = at.of(record.message.0);
    let (author, agent, turn) = author_columns(&record.author);
    let write = |row: &mut Message| {
        (row.conversation, row.thread) = (at.id, thread);
        row.direction = i16::from(direction_code(record.direction));
        (row.author, row.author_turn) = (i16::from(author), turn);
        row.author_agent = agent.map(|agent| text(agent).into_owned());
        row.kind = text(&kind_text(&record.kind)).into_owned();
        row.at_ms = int(record.at_ms);
        row.content = Some(record.content.clone());
        row.target = record.target.map(|target| target.0.0);
        row.episode = i64::from(record.episode.unwrap_or(0));
        row.dirty = true;
    };
    match work.messages.of_message(key) {
        Some(row) if !row.recorded => {
            row.at_ms = int(record.at_ms);
            row.recorded = true;
            row.dirty = true;
        }
        Some(row) if row.request.is_none() && row.conversation > at.id => write(row),
        Some(_) => {}
        None => {
            let business = at.business;
            let mut row = Message { business, recorded: true, ..Message::default() };
            row.message = Some(record.message.0.0);
            write(&mut row);
            work.messages.add(row);
        }
    }
}

/// An echo turned out to be no person's.
pub(super) fn automatic(work: &mut Work, at: At, message: MessageId) {
    let row = work.messages.of_message(at.of(message.0));
    if let Some(row) = row.filter(|row| row.author == i16::from(AUTHOR_PHONE)) {
        row.author = i16::from(AUTHOR_AUTOMATIC);
        row.dirty = true;
    }
}

fn request_key(at: At, request: RequestId) -> RequestKey {
    (at.business, request.conversation.0, int(request.n))
}

/// A send was asked.
pub(super) fn requested(work: &mut Work, at: At, record: &SendRecord) {
    let key = request_key(at, record.request);
    if work.messages.of_request(key).is_some() {
        return;
    }
    let (author, agent, turn) = author_columns(&record.author);
    let row = Message {
        business: at.business,
        conversation: at.id,
        thread: root(work, at.key()),
        request: Some((key.1, key.2)),
        direction: 1,
        author: i16::from(author),
        author_agent: agent.map(|agent| text(agent).into_owned()),
        author_turn: turn,
        kind: text(&kind_text(&record.kind)).into_owned(),
        at_ms: int(record.at_ms),
        content: Some(record.content.clone()),
        episode: i64::from(record.episode.unwrap_or(0)),
        dirty: true,
        ..Message::default()
    };
    work.messages.add(row);
}

/// A command was answered with a send. Messages of programs are each the first command of a client of its own, named after
/// the program's key; of all other clients only one send is noted.
pub(super) fn submitted(work: &mut Work, at: At, id: CommandId, request: RequestId) {
    if id.n == 1
        && let Some(row) = work.messages.of_request(request_key(at, request))
    {
        row.client = Some(id.client.0);
        row.dirty = true;
    }
}

/// A send came to an end. Of several outcomes the one that says most counts.
pub(super) fn resolved(work: &mut Work, at: At, request: RequestId, outcome: &SendOutcome) {
    let code = match outcome {
        SendOutcome::Accepted { .. } => Outcome::Accepted,
        SendOutcome::Failed { .. } => Outcome::Failed,
        SendOutcome::Cancelled => Outcome::Cancelled,
        SendOutcome::Unknown => Outcome::Unknown,
    };
    let key = request_key(at, request);
    if let Some(row) = work.messages.of_request(key) {
        row.outcome = row.outcome.max(i16::from(code.code()));
        row.dirty = true;
        match outcome {
            SendOutcome::Accepted { at_ms, repeated, .. } => {
                row.accepted_ms = int(*at_ms);
                row.repeated = *repeated;
                if !row.recorded {
                    row.at_ms = int(*at_ms);
                }
            }
            SendOutcome::Failed { code, told } => {
                row.error_code = i64::from(*code);
                row.told = text(told).into_owned();
            }
            SendOutcome::Cancelled | SendOutcome::Unknown => {}
        }
    }
    if let SendOutcome::Accepted { message, wamid, at_ms, .. } = outcome {
        raise(work, at.key(), int(*at_ms), 0);
        link(work, key, *message, wamid);
    }
}

/// A status was merged; its message may not be known yet.
pub(super) fn status(
    work: &mut Work,
    at: At,
    message: MessageId,
    request: Option<RequestId>,
    report: Report,
    content: &Sealed,
) {
    let status = work.statuses.entry(at.of(message.0)).or_default();
    if report.status == StatusKind::Failed {
        let known = (status.times.failed_ms, status.error_code);
        status.error_code = merge_error(known, (report.at_ms, report.error.unwrap_or(0)));
    }
    status.times.merge(report.status, report.at_ms.min(MILLIS_MAX));
    status.dirty = true;
    if let Some(request) = request.map(|request| request_key(at, request)) {
        let unlinked = work.messages.of_request(request).is_some_and(|row| row.message.is_none());
        if unlinked {
            link(work, request, message, content);
        }
    }
    take_metas_time(work, at.of(message.0));
}

/// The send is this message. Where the message was recorded by itself (an echo of our own send), the two become one row:
/// ours, with Meta's time.
fn link(work: &mut Work, request: RequestKey, message: MessageId, wamid: &Sealed) {
    let key = (request.0, message.0.0);
    let recorded_ms = work.messages.take_unrequested(key);
    work.messages.link(request, message.0.0, wamid);
    if let (Some(recorded_ms), Some(row)) = (recorded_ms, work.messages.of_message(key)) {
        row.at_ms = recorded_ms;
        row.recorded = true;
        row.dirty = true;
    }
    take_metas_time(work, key);
}

/// The answer to a send may come long after Meta took it, or never; a status says when that was, to the second. The
/// message then stands within that second, after what the customer wrote in it (thread order is by Meta's time).
fn take_metas_time(work: &mut Work, key: Key) {
    let Some(status) = work.statuses.get(&key) else { return };
    let times = &status.times;
    let told = [times.sent_ms, times.delivered_ms, times.read_ms];
    let Some(told_ms) = told.into_iter().find(|ms| *ms > 0) else { return };
    let latest_ms = int(told_ms).saturating_add(SECOND_REST_MS);
    let sent_ms = int(times.sent_ms);
    if let Some(row) = work.messages.of_message(key).filter(|row| !row.recorded) {
        let answered_ms = if row.accepted_ms == 0 { latest_ms } else { row.accepted_ms };
        row.at_ms = sent_ms.max(answered_ms.min(latest_ms));
        row.dirty = true;
    }
}
