//! Notes, episodes, work items and assignments.

use domain::{
    AgentId, ItemId, Millis, QueueId, Sealed,
    conversation::{ResolvedBy, RoutingAct},
};
use rusqlite::params;

use super::apply::At;
use crate::{ArchiveError, codes::int};

pub(super) fn note(
    at: &At<'_>,
    n: u64,
    agent: Option<&str>,
    content: &Sealed,
    at_ms: Millis,
) -> Result<(), ArchiveError> {
    at.update(
        "INSERT INTO notes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        params![at.business.0, at.id.0, int(n), agent, content.key_id, content.bytes, int(at_ms)],
    )
}

pub(super) fn episode_opened(at: &At<'_>, n: u32, at_ms: Millis) -> Result<(), ArchiveError> {
    at.update(
        "INSERT INTO episodes VALUES (?1, ?2, ?3, ?4, 0, NULL)
         ON CONFLICT DO UPDATE SET opened_ms = excluded.opened_ms",
        params![at.business.0, at.id.0, n, int(at_ms)],
    )
}

pub(super) fn episode_resolved(
    at: &At<'_>,
    n: u32,
    by: &ResolvedBy,
    at_ms: Millis,
) -> Result<(), ArchiveError> {
    let agent = match by {
        ResolvedBy::Agent(agent) => Some(agent.0.as_str()),
        ResolvedBy::Api | ResolvedBy::Bot => None,
    };
    snoozed(at, 0)?;
    // Without a row the episode began at an address that joined this one.
    at.update(
        "INSERT INTO episodes VALUES (?1, ?2, ?3, 0, ?4, ?5)
         ON CONFLICT DO UPDATE SET resolved_ms = excluded.resolved_ms, resolved_by = excluded.resolved_by",
        params![at.business.0, at.id.0, n, int(at_ms), agent],
    )
}

/// What somebody did to the routing, as far as no other event tells it.
pub(super) fn acted(at: &At<'_>, act: &RoutingAct) -> Result<(), ArchiveError> {
    match act {
        RoutingAct::Vip { vip } => at.update(
            "UPDATE conversations SET vip = ?3 WHERE business = ?1 AND id = ?2",
            params![at.business.0, at.id.0, vip],
        ),
        RoutingAct::Snooze { until_ms } => snoozed(at, *until_ms),
        RoutingAct::Transfer { .. }
        | RoutingAct::Assign { .. }
        | RoutingAct::Requeue { .. }
        | RoutingAct::WrapUp { .. } => Ok(()),
    }
}

/// Put aside until then; 0: no longer.
pub(super) fn snoozed(at: &At<'_>, until_ms: Millis) -> Result<(), ArchiveError> {
    at.update(
        "UPDATE conversations SET snoozed_until_ms = ?3 WHERE business = ?1 AND id = ?2",
        params![at.business.0, at.id.0, int(until_ms)],
    )
}

pub(super) fn item_wanted(
    at: &At<'_>,
    item: ItemId,
    queue: &QueueId,
    since_ms: Millis,
) -> Result<(), ArchiveError> {
    end_assignment(at, item, at.now_ms)?;
    at.update(
        "UPDATE conversations SET item_conversation = ?3, item_n = ?4, assigned_agent = NULL,
         waiting_queue = ?5, waiting_since_ms = ?6 WHERE business = ?1 AND id = ?2",
        params![at.business.0, at.id.0, item.conversation.0, item.n, queue.0, int(since_ms)],
    )
}

pub(super) fn item_assigned(
    at: &At<'_>,
    item: ItemId,
    agent: &AgentId,
    at_ms: Millis,
) -> Result<(), ArchiveError> {
    end_assignment(at, item, at_ms)?;
    at.update(
        "INSERT INTO assignments SELECT ?1, ?2, ?3, ?4, count(*) + 1, ?5, ?6, 0 FROM assignments
         WHERE business = ?1 AND conversation = ?2 AND item_conversation = ?3 AND item_n = ?4",
        params![at.business.0, at.id.0, item.conversation.0, item.n, agent.0, int(at_ms)],
    )?;
    at.update(
        "UPDATE conversations SET item_conversation = ?3, item_n = ?4, assigned_agent = ?5,
         waiting_queue = NULL, waiting_since_ms = 0 WHERE business = ?1 AND id = ?2",
        params![at.business.0, at.id.0, item.conversation.0, item.n, agent.0],
    )
}

pub(super) fn item_ended(at: &At<'_>, item: ItemId, at_ms: Millis) -> Result<(), ArchiveError> {
    end_assignment(at, item, at_ms)?;
    // The end of an older item says nothing about the one that is open now.
    at.update(
        "UPDATE conversations SET item_conversation = NULL, item_n = 0, assigned_agent = NULL,
         waiting_queue = NULL, waiting_since_ms = 0
         WHERE business = ?1 AND id = ?2 AND item_conversation = ?3 AND item_n = ?4",
        params![at.business.0, at.id.0, item.conversation.0, item.n],
    )
}

fn end_assignment(at: &At<'_>, item: ItemId, at_ms: Millis) -> Result<(), ArchiveError> {
    at.update(
        "UPDATE assignments SET ended_ms = max(?5, 1) WHERE business = ?1 AND conversation = ?2
         AND item_conversation = ?3 AND item_n = ?4 AND ended_ms = 0",
        params![at.business.0, at.id.0, item.conversation.0, item.n, int(at_ms)],
    )
}
