//! The rows that a group of batches touches, in memory: read from the database at once, changed by the events, written at
//! once.

use std::collections::{BTreeMap, HashMap, HashSet};

use bus::Position;
use domain::{Sealed, conversation::Pricing};

use crate::delivery::StatusTimes;

pub(super) type Hash = [u8; 16];
/// A business, by its number in [`Names`], and an id of it.
pub(super) type Key = (u32, Hash);
/// A business, and a request of it.
pub(super) type RequestKey = (u32, Hash, i64);
/// A conversation, and a work item of it.
pub(super) type ItemKey = (Key, Hash, i64);

/// Businesses by number, so that keys are small.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Names {
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    pub(super) fn name(&self, number: u32) -> &str {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        self.names.get(index).map_or("", String::as_str)
    }
}

/// A row of `conversations`.
#[derive(Clone, Debug, Default)]
pub(super) struct Conversation {
    pub(super) root: Hash,
    pub(super) joined_to: Option<Hash>,
    pub(super) forwarded_to: Option<Hash>,
    pub(super) number: Option<Hash>,
    pub(super) floor: i16,
    pub(super) floor_agent: Option<String>,
    pub(super) floor_turn: i64,
    pub(super) window_until_ms: i64,
    pub(super) item_conversation: Option<Hash>,
    pub(super) item_n: i64,
    pub(super) assigned_agent: Option<String>,
    pub(super) waiting_queue: Option<String>,
    pub(super) waiting_since_ms: i64,
    pub(super) last_message_ms: i64,
    pub(super) free_entry_until_ms: i64,
    pub(super) marketing: i16,
    pub(super) marketing_ms: i64,
    pub(super) vip: bool,
    pub(super) snoozed_until_ms: i64,
    pub(super) place: Option<Place>,
    /// It differs from what is stored.
    pub(super) dirty: bool,
}

/// The newest decision that a conversation contains.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) partition: i32,
    pub(super) generation: i64,
    pub(super) seq: i64,
    pub(super) step: i64,
}

/// A row of `messages`.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    /// Its row, where it is stored.
    pub(super) ord: Option<i64>,
    pub(super) business: u32,
    pub(super) conversation: Hash,
    pub(super) thread: Hash,
    pub(super) message: Option<Hash>,
    /// What is stored as `message`.
    pub(super) stored_message: Option<Hash>,
    pub(super) request: Option<(Hash, i64)>,
    pub(super) direction: i16,
    pub(super) author: i16,
    pub(super) author_agent: Option<String>,
    pub(super) author_turn: i64,
    pub(super) kind: String,
    pub(super) at_ms: i64,
    pub(super) recorded: bool,
    /// New content; `None`: as it is stored.
    pub(super) content: Option<Sealed>,
    /// A new wamid; `None`: as it is stored.
    pub(super) wamid: Option<Sealed>,
    pub(super) target: Option<Hash>,
    pub(super) episode: i64,
    pub(super) outcome: i16,
    pub(super) accepted_ms: i64,
    pub(super) error_code: i64,
    pub(super) told: String,
    pub(super) repeated: bool,
    pub(super) client: Option<Hash>,
    pub(super) dirty: bool,
    pub(super) deleted: bool,
}

/// Messages, found by their id and by the request that made them.
#[derive(Debug, Default)]
pub(super) struct Messages {
    rows: Vec<Message>,
    by_message: HashMap<Key, usize>,
    by_request: HashMap<RequestKey, usize>,
    known: HashSet<i64>,
}

impl Messages {
    pub(super) fn rows(&self) -> &[Message] {
        &self.rows
    }

    /// Adds a row, unless it is the stored one that is already here.
    pub(super) fn add(&mut self, row: Message) {
        let at = self.rows.len();
        if row.ord.is_some_and(|ord| !self.known.insert(ord)) {
            return;
        }
        if let Some(message) = row.message {
            self.by_message.insert((row.business, message), at);
        }
        if let Some((conversation, n)) = row.request {
            self.by_request.insert((row.business, conversation, n), at);
        }
        self.rows.push(row);
    }

    pub(super) fn of_message(&mut self, key: Key) -> Option<&mut Message> {
        self.by_message.get(&key).and_then(|at| self.rows.get_mut(*at))
    }

    pub(super) fn of_request(&mut self, key: RequestKey) -> Option<&mut Message> {
        self.by_request.get(&key).and_then(|at| self.rows.get_mut(*at))
    }

    /// Takes the row of a message that no request of ours made; answers when it was.
    pub(super) fn take_unrequested(&mut self, key: Key) -> Option<i64> {
        let row = self.of_message(key).filter(|row| row.request.is_none())?;
        row.deleted = true;
        let at_ms = row.at_ms;
        self.by_message.remove(&key);
        Some(at_ms)
    }

    /// Says which message a request became, unless that one has a row already.
    pub(super) fn link(&mut self, request: RequestKey, message: Hash, wamid: &Sealed) {
        let key = (request.0, message);
        let Some(at) = self.by_request.get(&request).copied() else { return };
        if self.by_message.get(&key).is_some_and(|other| *other != at) {
            return;
        }
        let Some(row) = self.rows.get_mut(at) else { return };
        if let Some(before) = row.message.replace(message) {
            self.by_message.remove(&(row.business, before));
        }
        row.wamid = Some(wamid.clone());
        row.dirty = true;
        self.by_message.insert(key, at);
    }

    /// Moves what is here of one thread into another.
    pub(super) fn move_thread(&mut self, business: u32, from: Hash, to: Hash) {
        let rows = self.rows.iter_mut();
        for row in rows.filter(|row| row.business == business && row.thread == from) {
            row.thread = to;
        }
    }
}

/// A row of `statuses`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Status {
    pub(super) times: StatusTimes,
    pub(super) error_code: u32,
    pub(super) dirty: bool,
}

/// A row of `billing_facts`.
#[derive(Clone, Debug)]
pub(super) struct Price {
    pub(super) conversation: Hash,
    pub(super) pricing: Pricing,
    pub(super) dirty: bool,
}

/// What is new of a row of `episodes`.
#[derive(Clone, Debug, Default)]
pub(super) struct Episode {
    pub(super) opened_ms: Option<i64>,
    pub(super) resolved: Option<(i64, Option<String>)>,
}

/// A row of `assignments`; its number is its place in the list, from 1.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) agent: String,
    pub(super) assigned_ms: i64,
    pub(super) ended_ms: i64,
    pub(super) dirty: bool,
}

/// A row of `notes`.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) agent: Option<String>,
    pub(super) content: Sealed,
    pub(super) at_ms: i64,
}

/// A row of `dead_letters`.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) business: u32,
    pub(super) partition: i32,
    pub(super) position: Position,
    pub(super) entity_kind: i64,
    pub(super) entity: Vec<u8>,
    pub(super) error: String,
    pub(super) at_ms: i64,
    pub(super) input: Vec<u8>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) names: Names,
    pub(super) conversations: BTreeMap<Key, Conversation>,
    pub(super) messages: Messages,
    pub(super) statuses: BTreeMap<Key, Status>,
    pub(super) prices: BTreeMap<Key, Price>,
    pub(super) assignments: BTreeMap<ItemKey, Vec<Assignment>>,
    /// What is only written, never read: the last of each, the first of notes.
    pub(super) contacts: BTreeMap<Key, Sealed>,
    pub(super) windows: BTreeMap<(Key, String), i64>,
    pub(super) episodes: BTreeMap<(Key, i64), Episode>,
    pub(super) notes: BTreeMap<(Key, i64), Note>,
    pub(super) letters: Vec<Letter>,
    /// Letters that were decided once more: partition, position, when.
    pub(super) replays: Vec<(i32, Position, i64)>,
    /// Threads that became part of another: business, which, where. In this order.
    pub(super) moves: Vec<(u32, Hash, Hash)>,
}
