//! A phone echo followed a customer's message within seconds: is it the app's greeting or away message?

use super::{NumberEvent, decide::Turn, state::EchoNote};
use crate::{EntityId, MessageId, Millis, conversation::ConversationInput};

/// The same text to this many customers is automatic.
const CUSTOMERS: usize = 3;
/// Echoes further apart than this are not compared, ms.
const COMPARED_MS: Millis = 24 * 3_600_000;
/// Echoes noted of one text at most while it goes to the same customers: one may be written to several times before the
/// third customer appears.
const NOTED_PER_TEXT_MAX: usize = 8;

/// Notes the echo's text. Once three customers got it, all echoes noted so far are called automatic, and each later
/// one at once.
pub(super) fn on_echo(
    turn: &mut Turn<'_>,
    conversation: EntityId,
    message: MessageId,
    text_hash: u64,
    at_ms: Millis,
) {
    let same =
        |note: &&EchoNote| note.text_hash == text_hash && note.at_ms.abs_diff(at_ms) <= COMPARED_MS;
    let noted: Vec<EchoNote> = turn.draft.core().echoes.iter().filter(same).cloned().collect();
    if noted.iter().any(|note| note.message == message) {
        return;
    }
    let known = n_customers(noted.iter().map(|note| note.conversation));
    if known >= CUSTOMERS {
        tell(turn, conversation, message);
        return;
    }
    let another = !noted.iter().any(|note| note.conversation == conversation);
    if another || noted.len() < NOTED_PER_TEXT_MAX {
        turn.record(NumberEvent::EchoNoted { text_hash, conversation, message, at_ms });
    }
    let all = noted.iter().map(|note| note.conversation).chain([conversation]);
    if n_customers(all) >= CUSTOMERS {
        for note in &noted {
            tell(turn, note.conversation, note.message);
        }
        tell(turn, conversation, message);
    }
}

fn n_customers(conversations: impl Iterator<Item = EntityId>) -> usize {
    conversations.collect::<std::collections::BTreeSet<_>>().len()
}

fn tell(turn: &mut Turn<'_>, conversation: EntityId, message: MessageId) {
    turn.tell_conversation(conversation, ConversationInput::EchoWasAutomatic { message });
}
