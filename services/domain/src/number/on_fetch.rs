//! A channel account: nothing is called; the platform fetches what it is to send, in order, and confirms it by statuses.

use super::{
    NumberAnswer, NumberEvent, NumberMode, Reply, SendRequest,
    decide::Turn,
    state::{LiveRequest, Stage},
};
use crate::{RequestId, conversation::SendOutcome, effect::OutSignal};

/// Replies of one answer.
const REPLIES_MAX: usize = 32;
/// Content of one answer, bytes; the first reply goes whatever its size.
const CONTENT_BYTES_MAX: usize = 64 * 1024;
/// Sequences per millisecond: a sequence begins with its time, so that none comes twice after all that were given
/// are forgotten.
const SEQUENCE_BITS: u32 = 10;

/// Whether this number is a channel account.
pub(super) fn is_channel(turn: &Turn<'_>) -> bool {
    let config = turn.draft.core().config.as_ref();
    config.is_some_and(|config| config.mode == NumberMode::Channel)
}

/// The sequence of the next request; rises for as long as the account lives.
pub(super) fn next_sequence(turn: &Turn<'_>) -> u64 {
    turn.draft.next_order().max(turn.now_ms << SEQUENCE_BITS)
}

/// A request waits to be fetched.
pub(super) fn on_queued(turn: &mut Turn<'_>, id: RequestId, request: &SendRequest) {
    if request.free_form {
        turn.out.signals.push(OutSignal::Replies(turn.me));
        return;
    }
    let told = "This channel has no templates. Send a free-form message.".to_owned();
    turn.end(id, SendOutcome::Failed { code: 0, told });
}

/// Hands out what was never fetched, and again what is not confirmed.
pub(super) fn on_fetch(turn: &mut Turn<'_>, after: u64) {
    if !is_channel(turn) {
        turn.out.reply = Some(NumberAnswer::NoChannel);
        return;
    }
    let (now_ms, open) = (turn.now_ms, |live: &LiveRequest| {
        matches!(live.stage, Stage::Waiting | Stage::Fetched)
            && !live.cancelled
            && live.order > after
    });
    let mut waiting: Vec<&LiveRequest> = turn
        .draft
        .all_live()
        .filter(|(_, live)| open(live) && now_ms <= live.request.not_after_ms)
        .map(|(_, live)| live)
        .collect();
    waiting.sort_by_key(|live| live.order);
    let (mut replies, mut bytes) = (Vec::new(), 0_usize);
    for live in &waiting {
        bytes += live.request.content.bytes.len() + live.request.recipient.bytes.len();
        let full = replies.len() >= REPLIES_MAX || bytes > CONTENT_BYTES_MAX;
        if full && !replies.is_empty() {
            break;
        }
        replies.push(reply(live));
    }
    let more = replies.len() < waiting.len();
    for reply in replies.iter().filter(|reply| !reply.again) {
        turn.record(NumberEvent::Fetched { request: reply.request, at_ms: now_ms });
    }
    turn.out.reply = Some(NumberAnswer::Replies { replies, more });
}

fn reply(live: &LiveRequest) -> Reply {
    let request = &live.request;
    Reply {
        request: request.request,
        sequence: live.order,
        lane: request.lane,
        recipient: request.recipient.clone(),
        content: request.content.clone(),
        kind: request.kind.clone(),
        not_after_ms: request.not_after_ms,
        again: live.stage == Stage::Fetched,
    }
}
