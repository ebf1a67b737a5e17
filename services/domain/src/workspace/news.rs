//! What conversations are told.

use super::{
    decide::Turn,
    state::{Item, LiveItem, Place},
};
use crate::{
    AgentId, EntityId, ItemId, ToEntity,
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
        Item::Live(live) => (live.version, place_of(turn, live)),
    };
    tell(turn, conversation, item, version, news);
}

/// Who has an item, and whether that agent is gone.
pub(super) fn holder_news(turn: &Turn<'_>, agent: AgentId) -> WorkspaceNews {
    let known = turn.draft.agent(&agent);
    match known.is_some_and(|agent| agent.stranded_until_ms.is_some()) {
        true => WorkspaceNews::Stranded { agent },
        false => WorkspaceNews::Assigned { agent },
    }
}

fn place_of(turn: &Turn<'_>, live: &LiveItem) -> WorkspaceNews {
    match &live.place {
        Place::Assigned { agent, .. } => holder_news(turn, agent.clone()),
        Place::Waiting | Place::Offered { .. } => WorkspaceNews::Check,
    }
}
