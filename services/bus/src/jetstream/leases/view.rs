//! Looks at the leases: a consumer brings renewals here, and the leader is asked how far they go.
//!
//! A look shows what the leader knew when it was asked, or later, for one request however many nodes there are. Asked for lease by
//! lease, the leader would be asked by every node for every node, twice a second.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, jetstream::Context};
use chassis::clock::Clock;
use tokio::time::timeout;

use super::roll::{Leases, Roll};
use crate::{
    BusError,
    jetstream::{
        cursor::{Cursor, Lost, Next, lost},
        names::Names,
        publish::{last_of, next_of, wall_ms},
        streams,
    },
};

/// Longest a look waits for the consumer. It is a part of the time in which a node must have renewed and looked (half a lease
/// period); what is missing then is asked of the leader, lease by lease.
const BROUGHT_WITHIN: Duration = Duration::from_millis(400);
/// Pause before a consumer is made again after one that was of no use.
const CONSUMER_AGAIN_AFTER_MS: u64 = 5_000;
/// Every subject of a stream.
const EVERY: &str = ">";

/// The looks of one process.
pub(super) struct Looks {
    client: Client,
    context: Context,
    stream: String,
    subjects: String,
    clock: Clock,
    /// What the last look left; none while another one goes on, and then the next begins anew.
    left: Mutex<Option<View>>,
    /// No consumer is made before.
    leader_only_until_ms: AtomicU64,
}

/// The leases, and the consumer that brings what follows.
#[derive(Default)]
struct View {
    roll: Roll,
    cursor: Option<Cursor>,
}

impl Looks {
    pub(super) fn new(client: Client, names: &Names) -> Self {
        Self {
            context: streams::context(&client),
            client,
            stream: names.leases_stream(),
            subjects: names.leases(),
            clock: Clock::system(),
            left: Mutex::default(),
            leader_only_until_ms: AtomicU64::new(0),
        }
    }

    /// Every lease that is not released. A look that is given up costs the next one a new consumer.
    pub(super) async fn look(&self) -> Result<Leases, BusError> {
        let mut end = self.last().await?;
        let mut view = self.left().take().unwrap_or_default();
        if end < view.roll.position() {
            // A look that began later was faster; or the stream was made anew, or has lost everything for its age.
            end = self.last().await?;
        }
        if end < view.roll.position() {
            view = View::default();
        }
        if !view.roll.shows(end) && self.clock.boot_ms() >= self.leader_only_until_ms() {
            self.follow(&mut view, end).await;
        }
        if !view.roll.shows(end) {
            self.ask_the_leader(&mut view).await?;
        }
        let leases = view.roll.leases();
        let mut left = self.left();
        if left.as_ref().is_none_or(|left| left.roll.position() < view.roll.position()) {
            *left = Some(view);
        }
        Ok(leases)
    }

    fn left(&self) -> MutexGuard<'_, Option<View>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leader_only_until_ms(&self) -> u64 {
        self.leader_only_until_ms.load(Ordering::Relaxed)
    }

    /// Sequence of the last renewal, from the leader; 0 where there is none.
    async fn last(&self) -> Result<u64, BusError> {
        let last = last_of(&self.context, &self.stream, EVERY).await?;
        Ok(last.map_or(0, |message| message.sequence))
    }

    /// Takes what the consumer brings; one that does not show `end` in time is given up.
    async fn follow(&self, view: &mut View, end: u64) {
        let twice = async {
            match self.bring(view, end).await {
                // The servers forget a consumer that nobody asked for a while: the second one is new.
                Err(_) => self.bring(view, end).await,
                brought => brought,
            }
        };
        let given_up = match timeout(BROUGHT_WITHIN, twice).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(late) => late.to_string(),
        };
        tracing::debug!(given_up, "no consumer brings the leases: the leader is asked for each");
        let again_ms = self.clock.boot_ms() + CONSUMER_AGAIN_AFTER_MS;
        self.leader_only_until_ms.store(again_ms, Ordering::Relaxed);
    }

    /// Keeps the cursor only where it was of use.
    async fn bring(&self, view: &mut View, end: u64) -> Result<(), Lost> {
        let View { roll, cursor } = view;
        let mut following = match cursor.take() {
            Some(cursor) => cursor,
            None => {
                let position = roll.position();
                Cursor::open(&self.client, &self.stream, &self.subjects, position).await?
            }
        };
        while !roll.shows(end) {
            if let Next::Entry(entry) = following.next().await? {
                let goes_on = entry.pending > 0;
                let taken = roll.take(entry.seq, entry.stored_ms, &entry.body, goes_on);
                taken.map_err(lost)?;
            }
        }
        *cursor = Some(following);
        Ok(())
    }

    async fn ask_the_leader(&self, view: &mut View) -> Result<(), BusError> {
        let View { roll, cursor } = view;
        // It would bring again what is known from here on.
        *cursor = None;
        loop {
            let next = next_of(&self.context, &self.stream, EVERY, roll.position() + 1).await?;
            let Some(message) = next else { break };
            roll.take(message.sequence, wall_ms(message.time), &message.payload, true)?;
        }
        roll.ends();
        Ok(())
    }
}
