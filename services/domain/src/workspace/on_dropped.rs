//! A conversation no longer needs an agent.

use super::{WorkspaceEvent, decide::Turn, news::answer_stale, offers, state::Item};
use crate::{EntityId, ItemId};

/// Takes the item from whoever has it and remembers the version, so that an older need that comes late is late.
pub(super) fn on_dropped(turn: &mut Turn<'_>, item: ItemId, version: u32, conversation: EntityId) {
    let known = turn.draft.item(item).cloned();
    let stale = match &known {
        None => false,
        Some(Item::Live(live)) => version < live.version,
        Some(Item::Gone(gone)) => version <= gone.version,
    };
    match known {
        Some(known) if stale => answer_stale(turn, conversation, item, &known),
        _ => {
            offers::release(turn, item);
            let at_ms = turn.now_ms;
            turn.record(WorkspaceEvent::ItemEnded { item, version, refused: false, at_ms });
        }
    }
}
