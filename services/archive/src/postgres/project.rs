//! What events do to the rows in memory: the same as the SQLite read model does, statement by statement, to its tables.
//! Lower and higher address of a conversation may live in different partitions; what is here comes to the same end in
//! whichever order their logs are applied.

use bus::PartitionId;
use domain::{
    BusinessId, Hash16, ItemId, Sealed,
    conversation::{
        CommandAnswer, ConversationEvent as Event, Floor, Pricing, ResolvedBy, RoutingAct,
    },
};

use super::{
    codes::text,
    messages,
    work::{Assignment, Conversation, Episode, Hash, Key, Letter, Note, Place, Price, Work},
};
use crate::{
    ArchiveError,
    codes::{HOPS_MAX, floor_columns, int, raised},
    delivery::Report,
    repository::{Batch, DecodedStep},
};

/// Applies a batch to the rows.
pub(super) fn batch(work: &mut Work, batch: &Batch) -> Result<(), ArchiveError> {
    batch.steps.iter().try_for_each(|step| apply_step(work, batch.partition, step))
}

/// The conversation whose events are applied.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) business: u32,
    pub(super) id: Hash,
    now_ms: u64,
}

impl At {
    pub(super) fn key(&self) -> Key {
        (self.business, self.id)
    }

    pub(super) fn of(&self, hash: Hash16) -> Key {
        (self.business, hash.0)
    }
}

/// The business as it stands in columns.
pub(super) fn business(work: &mut Work, business: &BusinessId) -> u32 {
    work.names.number(&text(&business.0))
}

fn apply_step(
    work: &mut Work,
    partition: PartitionId,
    step: &DecodedStep,
) -> Result<(), ArchiveError> {
    let business = business(work, &step.business);
    if let Some(letter) = &step.dead_letter {
        let input = bus::encode(&letter.input).map_err(|e| ArchiveError::Row(e.to_string()))?;
        work.letters.push(Letter {
            business,
            partition: i32::from(partition.0),
            position: step.position,
            entity_kind: i64::from(step.entity.kind),
            entity: step.entity.hash.to_vec(),
            error: text(&letter.error).into_owned(),
            at_ms: int(step.now_ms),
            input: input.to_vec(),
        });
    }
    if let Some(letter) = step.replays {
        work.replays.push((i32::from(partition.0), letter, int(step.now_ms.max(1))));
    }
    if step.events.is_empty() {
        return Ok(());
    }
    let at = At { business, id: step.entity.hash, now_ms: step.now_ms };
    begin(work, at, partition, step);
    step.events.iter().for_each(|event| apply(work, at, event));
    Ok(())
}

/// The row of a conversation, which is there from now on and differs from what is stored.
pub(super) fn row(work: &mut Work, key: Key) -> &mut Conversation {
    let fresh = || Conversation { root: key.1, ..Conversation::default() };
    let row = work.conversations.entry(key).or_insert_with(fresh);
    row.dirty = true;
    row
}

/// What a step says of its conversation as a whole: that it is there, where it stands, and what its messages and windows
/// raise. Raising is a maximum, so it does not matter that other events come later.
fn begin(work: &mut Work, at: At, partition: PartitionId, step: &DecodedStep) {
    let (message_ms, window_ms) = raised(&step.events);
    let row = row(work, at.key());
    row.place = Some(Place {
        partition: i32::from(partition.0),
        generation: i64::from(step.position.generation),
        seq: int(step.position.seq),
        step: i64::from(step.position.index),
    });
    raise(work, at.key(), int(message_ms), int(window_ms));
}

/// Raises newest message and window of a conversation, and of every one it became part of, to at least these: each holds the
/// greatest of all that joined it.
pub(super) fn raise(work: &mut Work, key: Key, message_ms: i64, window_ms: i64) {
    let mut next = Some(key);
    for _ in 0..HOPS_MAX {
        let Some(row) = next.and_then(|key| work.conversations.get_mut(&key)) else { return };
        if message_ms > row.last_message_ms || window_ms > row.window_until_ms {
            row.last_message_ms = row.last_message_ms.max(message_ms);
            row.window_until_ms = row.window_until_ms.max(window_ms);
            row.dirty = true;
        }
        next = row.joined_to.map(|joined| (key.0, joined));
    }
}

/// The conversation that holds the thread of this one.
pub(super) fn root(work: &Work, key: Key) -> Hash {
    work.conversations.get(&key).map_or(key.1, |row| row.root)
}

/// A conversation forwards to `to` from now on.
fn forwarding(work: &mut Work, at: At, to: Hash16) {
    // An address that is forwarded to has a row, which may be all there is of it.
    row(work, at.of(to));
    let target = root(work, at.of(to));
    let row = row(work, at.key());
    row.forwarded_to = Some(to.0);
    // A phone that pointed elsewhere before only points: what it was joined to stays where it is.
    if row.joined_to.is_some() || target == at.id {
        return;
    }
    row.joined_to = Some(to.0);
    let (message_ms, window_ms) = (row.last_message_ms, row.window_until_ms);
    for (key, row) in &mut work.conversations {
        if key.0 == at.business && row.root == at.id {
            row.root = target;
        }
    }
    work.messages.move_thread(at.business, at.id, target);
    work.moves.push((at.business, at.id, target));
    raise(work, at.key(), message_ms, window_ms);
}

fn apply(work: &mut Work, at: At, event: &Event) {
    match event {
        Event::IdentitySeen { via, who, .. } | Event::IdentityChanged { via, who, .. } => {
            row(work, at.key()).number = Some(via.number.hash.0);
            work.contacts.insert(at.key(), who.clone());
        }
        Event::MessageRecorded(record) => messages::recorded(work, at, record),
        Event::StatusMerged { message, request, status, at_ms, error, content } => {
            let report = Report { status: *status, at_ms: *at_ms, error: *error };
            messages::status(work, at, *message, *request, report, content);
        }
        Event::EchoAutomatic { message } => messages::automatic(work, at, *message),
        Event::SendRequested(record) => messages::requested(work, at, record),
        Event::SendResolved { request, outcome, .. } => {
            messages::resolved(work, at, *request, outcome);
        }
        Event::CommandAnswered { id, answer: CommandAnswer::Sent { request } } => {
            messages::submitted(work, at, *id, *request);
        }
        Event::Forwarding { to, .. } => forwarding(work, at, to.hash),
        Event::FloorChanged { floor, .. } => floor_changed(work, at, floor),
        Event::BillingRecorded { message, pricing, .. } => {
            priced(work, at, at.of(message.0), pricing);
        }
        Event::BillingWindowMoved { category, until_ms } => {
            let key = (at.key(), text(category).into_owned());
            let until = work.windows.entry(key).or_default();
            *until = int(*until_ms).max(*until);
        }
        Event::FreeEntryMoved { until_ms } => {
            row(work, at.key()).free_entry_until_ms = int(*until_ms);
        }
        Event::MarketingWished { allowed, at_ms } => {
            let row = row(work, at.key());
            (row.marketing, row.marketing_ms) = (if *allowed { 1 } else { 2 }, int(*at_ms));
        }
        Event::NoteAdded { n, agent, content, at_ms } => {
            let agent = agent.as_ref().map(|agent| agent.0.as_str());
            noted(work, at, int(*n), agent, content, int(*at_ms));
        }
        routing => apply_routing(work, at, routing),
    }
}

fn apply_routing(work: &mut Work, at: At, event: &Event) {
    match event {
        Event::EpisodeOpened { n, at_ms } => {
            episode(work, at, *n).opened_ms = Some(int(*at_ms));
        }
        Event::EpisodeResolved { n, by, at_ms } => {
            let agent = match by {
                ResolvedBy::Agent(agent) => Some(text(&agent.0).into_owned()),
                ResolvedBy::Api | ResolvedBy::Bot => None,
            };
            row(work, at.key()).snoozed_until_ms = 0;
            episode(work, at, *n).resolved = Some((int(*at_ms), agent));
        }
        Event::ItemWanted { item, queue, since_ms, .. } => {
            end_assignment(work, at, *item, at.now_ms);
            let row = row(work, at.key());
            (row.item_conversation, row.item_n) = (Some(item.conversation.0), i64::from(item.n));
            row.assigned_agent = None;
            row.waiting_queue = Some(text(&queue.0).into_owned());
            row.waiting_since_ms = int(*since_ms);
        }
        Event::ItemAssigned { item, agent, at_ms } => {
            assigned(work, at, *item, &text(&agent.0), *at_ms);
        }
        Event::ItemEnded { item, at_ms } => {
            end_assignment(work, at, *item, *at_ms);
            let row = row(work, at.key());
            let open = (row.item_conversation, row.item_n);
            // The end of an older item says nothing about the one that is open now.
            if open == (Some(item.conversation.0), i64::from(item.n)) {
                (row.item_conversation, row.item_n) = (None, 0);
                (row.assigned_agent, row.waiting_queue) = (None, None);
                row.waiting_since_ms = 0;
            }
        }
        Event::RoutingActed { act: RoutingAct::Vip { vip }, .. } => row(work, at.key()).vip = *vip,
        Event::RoutingActed { act: RoutingAct::Snooze { until_ms }, .. } => {
            row(work, at.key()).snoozed_until_ms = int(*until_ms);
        }
        Event::SnoozeEnded { .. } => row(work, at.key()).snoozed_until_ms = 0,
        // Told with the step as a whole, by events of their own, or not shown.
        _ => {}
    }
}

fn floor_changed(work: &mut Work, at: At, floor: &Floor) {
    let (code, agent, turn) = floor_columns(floor);
    let row = row(work, at.key());
    (row.floor, row.floor_turn) = (i16::from(code), turn);
    row.floor_agent = agent.map(|agent| text(agent).into_owned());
}

/// What a message costs. Two addresses may have been told, each in a log of its own: which of two prices stands does
/// not depend on the order they are read in.
fn priced(work: &mut Work, at: At, message: Key, pricing: &Pricing) {
    let fresh = || Price { conversation: at.id, pricing: pricing.clone(), dirty: true };
    let price = work.prices.entry(message).or_insert_with(fresh);
    price.conversation = price.conversation.min(at.id);
    if pricing.replaces(&price.pricing) {
        price.pricing = pricing.clone();
    }
    price.dirty = true;
}

fn noted(work: &mut Work, at: At, n: i64, agent: Option<&str>, content: &Sealed, at_ms: i64) {
    let agent = agent.map(|agent| text(agent).into_owned());
    let note = || Note { agent, content: content.clone(), at_ms };
    work.notes.entry((at.key(), n)).or_insert_with(note);
}

fn episode(work: &mut Work, at: At, n: u32) -> &mut Episode {
    work.episodes.entry((at.key(), i64::from(n))).or_default()
}

fn item_key(at: At, item: ItemId) -> (Key, Hash, i64) {
    (at.key(), item.conversation.0, i64::from(item.n))
}

fn assigned(work: &mut Work, at: At, item: ItemId, agent: &str, at_ms: u64) {
    end_assignment(work, at, item, at_ms);
    work.assignments.entry(item_key(at, item)).or_default().push(Assignment {
        agent: agent.to_owned(),
        assigned_ms: int(at_ms),
        ended_ms: 0,
        dirty: true,
    });
    let row = row(work, at.key());
    (row.item_conversation, row.item_n) = (Some(item.conversation.0), i64::from(item.n));
    row.assigned_agent = Some(agent.to_owned());
    (row.waiting_queue, row.waiting_since_ms) = (None, 0);
}

fn end_assignment(work: &mut Work, at: At, item: ItemId, at_ms: u64) {
    let assignments = work.assignments.get_mut(&item_key(at, item));
    for assignment in assignments.into_iter().flatten().filter(|open| open.ended_ms == 0) {
        assignment.ended_ms = int(at_ms).max(1);
        assignment.dirty = true;
    }
}
