//! What conversations are told.

use super::{
    decide::Turn,
    state::{Item, LiveItem, Place},
};
use crate::{
    EntityId, ItemId, ToEntity,
    conversation::{ConversationInput, WorkspaceNews},
};

/// Tells a conversation about an item.
pub(super) fn tell(
    turn: &mut Turn<'_>,
    conversation: EntityId,
    item: ItemId,
    version: u32,
    news: WorkspaceNews,
) {
    let input = ConversationInput::Workspace { item, version, news };
    turn.out.messages.push(ToEntity::Conversation(conversation, Box::new(input)));
}

/// Answers a message that named an older version than the one known: says where the item is, at the version known. The
/// conversation drops the answer if it has moved on itself.
pub(super) fn answer_stale(
    turn: &mut Turn<'_>,
    conversation: EntityId,
    item: ItemId,
    known: &Item,
) {
    let (version, news) = match known {
        Item::Gone(gone) => (gone.version, WorkspaceNews::NotKnown),
        Item::Live(live) => (live.version, place_of(live)),
    };
    tell(turn, conversation, item, version, news);
}

fn place_of(live: &LiveItem) -> WorkspaceNews {
    match &live.place {
        Place::Assigned { agent, .. } => WorkspaceNews::Assigned { agent: agent.clone() },
        Place::Waiting | Place::Offered { .. } => WorkspaceNews::Check,
    }
}
