//! What clients read: content opened, contacts merged, threads in thread order, and waiting for a decision the
//! client knows of.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bus::{Bus, PartitionId, Position};
use chassis::{seal::Sealer, task::Shutdown};
use domain::{
    BusinessId, Hash16, MessageId, Sealed,
    content::{Content, Identity},
    persist,
};

use crate::{
    ArchiveError, Repository,
    marks::Marks,
    metrics,
    model::{
        ConversationCursor, ConversationFilter, ConversationRow, ConversationView, EpisodeRow,
        LetterId, LetterRow, MessageRow, MessageView, StoredConversation, ThreadCursor,
        UnsettledSend,
    },
    progress::{self, Progress, Reached},
};

/// Rows read beyond what was asked, so that a page boundary within one second rarely costs a second read.
const SLACK: usize = 16;
/// How long a query waits for the position it names (design.md 4.6).
const WAIT: Duration = Duration::from_millis(500);
/// Pause before a database that did not answer is asked again, within that time.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// An answer, and whether the read model had reached the position that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh<T> {
    /// The answer.
    pub value: T,
    /// The read model is behind the position asked for.
    pub stale: bool,
}

/// Reads the read model.
#[derive(Clone)]
pub struct Archive {
    repository: Arc<dyn Repository>,
    sealer: Sealer,
    progress: Progress,
    wait: Duration,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").finish_non_exhaustive()
    }
}

impl Archive {
    pub(crate) fn new(repository: Arc<dyn Repository>, sealer: Sealer, progress: Progress) -> Self {
        Self { repository, sealer, progress, wait: WAIT }
    }

    /// A reader of a read model that another process projects; it learns how far that is until `shutdown`.
    #[must_use]
    pub fn follow(
        bus: &Bus,
        repository: Arc<dyn Repository>,
        sealer: Sealer,
        shutdown: &Shutdown,
    ) -> Self {
        let progress = Progress::new(bus.partitions);
        progress.follow(bus, Arc::clone(&repository), shutdown);
        Self::new(repository, sealer, progress)
    }

    /// Sets how long a query waits for the position it names (500 ms unless set).
    #[must_use]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Waits, within bounds, until the record of `position` is applied; says whether it is.
    pub async fn reach(&self, partition: PartitionId, position: Position) -> bool {
        let wanted = (position.generation, position.seq);
        let stored = self.until_stored(partition, wanted);
        tokio::time::timeout(self.wait, stored).await.unwrap_or(false)
    }

    /// What was heard may be of before the database crashed, or a standby took its place: what is stored counts.
    async fn until_stored(&self, partition: PartitionId, wanted: Reached) -> bool {
        loop {
            let Some(heard) = self.progress.reach(partition, wanted).await else { return false };
            match self.repository.cursor(partition).await.map(progress::reached) {
                Ok(stored) if stored >= wanted => return true,
                Ok(stored) => self.progress.correct(partition, heard, stored),
                // Who reads on is told why.
                Err(_) => tokio::time::sleep(ASK_AGAIN).await,
            }
        }
    }

    async fn is_stale(&self, at_least: Option<(PartitionId, Position)>) -> bool {
        match at_least {
            Some((partition, position)) => !self.reach(partition, position).await,
            None => false,
        }
    }

    /// Dead letters of all businesses, for the operator.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn dead_letters(
        &self,
        after: Option<LetterId>,
        limit: usize,
    ) -> Result<Vec<LetterRow>, ArchiveError> {
        self.repository.dead_letters(after, limit).await
    }

    /// One dead letter, for the operator.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn dead_letter(&self, id: LetterId) -> Result<Option<LetterRow>, ArchiveError> {
        self.repository.dead_letter(id).await
    }

    /// Sends of all businesses without a known outcome, or those that may still leave, for the operator.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unsettled_sends(
        &self,
        open_only: bool,
        limit: usize,
    ) -> Result<Vec<UnsettledSend>, ArchiveError> {
        self.repository.unsettled_sends(open_only, limit).await
    }

    /// How far each partition is applied: generation and sequence of the last record.
    #[must_use]
    pub fn applied(&self) -> Vec<(u32, u64)> {
        self.progress.all()
    }

    /// What a sealed value of a business holds, whatever it is; `None` when its key is gone.
    #[must_use]
    pub fn opened(&self, business: &BusinessId, key_id: u32, bytes: &[u8]) -> Option<Vec<u8>> {
        self.sealer.open(business.0.as_bytes(), key_id, bytes).ok()
    }

    /// Whether the business has a conversation of this id, as far as the read model knows.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn knows(&self, business: &BusinessId, id: Hash16) -> Result<bool, ArchiveError> {
        Ok(self.repository.thread(business, id, u64::MAX, 1).await?.is_some())
    }

    /// One conversation. The id of one that became part of another answers with that one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn conversation(
        &self,
        business: &BusinessId,
        id: Hash16,
        at_least: Option<(PartitionId, Position)>,
    ) -> Result<Fresh<Option<ConversationView>>, ArchiveError> {
        let stale = self.is_stale(at_least).await;
        let stored = self.repository.conversation(business, id).await?;
        let value = stored.map(|stored| self.view(business, stored));
        Ok(Fresh { value, stale })
    }

    /// Conversations, newest message first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn conversations(
        &self,
        business: &BusinessId,
        filter: &ConversationFilter,
        after: Option<ConversationCursor>,
        limit: usize,
    ) -> Result<Vec<ConversationView>, ArchiveError> {
        let stored = self.repository.conversations(business, filter, after, limit).await?;
        Ok(stored.into_iter().map(|stored| self.view(business, stored)).collect())
    }

    fn view(&self, business: &BusinessId, stored: StoredConversation) -> ConversationView {
        let notes = stored.notes.into_iter().map(|note| {
            let text = self.content(business, &note.content).text.unwrap_or_default();
            (note, text)
        });
        ConversationView {
            contact: self.contact(business, &stored.row),
            episodes: fold_episodes(stored.row.id, stored.episodes),
            notes: notes.collect(),
            row: stored.row,
        }
    }

    /// At most `limit` messages after `after` in thread order, and whether there are more. `None` when the
    /// business has no such conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn messages(
        &self,
        business: &BusinessId,
        id: Hash16,
        after: Option<&ThreadCursor>,
        limit: usize,
        at_least: Option<(PartitionId, Position)>,
    ) -> Result<Fresh<Option<(Vec<MessageView>, bool)>>, ArchiveError> {
        let stale = self.is_stale(at_least).await;
        let from_ms = after.map_or(0, |cursor| cursor.at_ms);
        let mut wanted = limit.saturating_add(SLACK);
        loop {
            let thread = self.repository.thread(business, id, from_ms, wanted).await?;
            let Some(thread) = thread else { return Ok(Fresh { value: None, stale }) };
            let mut views: Vec<MessageView> =
                thread.rows.into_iter().map(|row| self.message_view(business, row)).collect();
            views.sort_by(|a, b| a.cursor.cmp(&b.cursor));
            if let Some(after) = after {
                views.retain(|view| view.cursor > *after);
            }
            if views.len() > limit || !thread.more {
                let more = views.len() > limit || thread.more;
                views.truncate(limit);
                self.mark(business, id, &mut views).await?;
                return Ok(Fresh { value: Some((views, more)), stale });
            }
            wanted = wanted.saturating_mul(2);
        }
    }

    /// Lets reactions, edits and deletions act on the messages of a page.
    async fn mark(
        &self,
        business: &BusinessId,
        id: Hash16,
        views: &mut [MessageView],
    ) -> Result<(), ArchiveError> {
        let targets: Vec<MessageId> = views.iter().filter_map(|view| view.row.message).collect();
        let mut by_target: BTreeMap<MessageId, Vec<_>> = BTreeMap::new();
        for row in self.repository.marks(business, id, targets).await? {
            let Some(target) = row.target else { continue };
            let MessageView { row, content, cursor, .. } = self.message_view(business, row);
            by_target.entry(target).or_default().push((cursor, row, content));
        }
        for view in views {
            let marks = view.row.message.and_then(|message| by_target.remove(&message));
            view.marks =
                marks.map_or_else(Marks::default, |marks| Marks::fold(view.row.direction, marks));
        }
        Ok(())
    }

    /// One message of a conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn message(
        &self,
        business: &BusinessId,
        conversation: Hash16,
        message: MessageId,
    ) -> Result<Option<MessageView>, ArchiveError> {
        let row = self.repository.message(business, conversation, message).await?;
        Ok(row.map(|row| self.message_view(business, row)))
    }

    /// What a program submitted under one key (the client its command named), at most `limit`, the newest first: one message
    /// for each customer it used the key for.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn submitted(
        &self,
        business: &BusinessId,
        client: Hash16,
        limit: usize,
        at_least: Option<(PartitionId, Position)>,
    ) -> Result<Fresh<Vec<MessageView>>, ArchiveError> {
        let stale = self.is_stale(at_least).await;
        let rows = self.repository.submitted(business, client, limit).await?;
        let value = rows.into_iter().map(|row| self.message_view(business, row)).collect();
        Ok(Fresh { value, stale })
    }

    /// Opens sealed content of a business; empty when its key was destroyed.
    #[must_use]
    pub fn content(&self, business: &BusinessId, sealed: &Sealed) -> Content {
        self.open(business, sealed).unwrap_or_default()
    }

    /// The wamid inside a sealed outcome.
    #[must_use]
    pub fn wamid(&self, business: &BusinessId, sealed: &Sealed) -> Option<String> {
        self.content(business, sealed).wamid
    }

    fn open<T: serde::de::DeserializeOwned>(
        &self,
        business: &BusinessId,
        sealed: &Sealed,
    ) -> Option<T> {
        let aad = business.0.as_bytes();
        let plain = self.sealer.open(aad, sealed.key_id, &sealed.bytes).ok();
        let value = plain.and_then(|plain| persist::decode(&plain).ok());
        if value.is_none() {
            ::metrics::counter!(metrics::UNREADABLE_TOTAL).increment(1);
        }
        value
    }

    fn message_view(&self, business: &BusinessId, row: MessageRow) -> MessageView {
        let mut content = self.content(business, &row.content);
        if content.wamid.is_none() {
            content.wamid = row.wamid.as_ref().and_then(|sealed| self.wamid(business, sealed));
        }
        let cursor = ThreadCursor {
            at_ms: row.at_ms,
            wamid: content.wamid.clone().unwrap_or_default(),
            request: row.request,
        };
        MessageView { row, content, cursor, marks: Marks::default() }
    }

    /// What the conversation's own address knows counts; the addresses that joined it fill what it lacks.
    fn contact(&self, business: &BusinessId, row: &ConversationRow) -> Identity {
        let mut contact = Identity::default();
        for seen in row.contacts.iter().filter_map(|who| self.open::<Identity>(business, who)) {
            contact.phone = contact.phone.or(seen.phone);
            contact.bsuid = contact.bsuid.or(seen.bsuid);
            contact.name = contact.name.or(seen.name);
            contact.username = contact.username.or(seen.username);
            contact.email = contact.email.or(seen.email);
            contact.visitor = contact.visitor.or(seen.visitor);
            contact.external = contact.external.or(seen.external);
        }
        contact
    }
}

/// One list of episodes out of those of all addresses. An episode that was open when its address joined goes on
/// in the conversation: it ends where the conversation's next one ends, and is not listed twice.
fn fold_episodes(root: Hash16, stored: Vec<EpisodeRow>) -> Vec<EpisodeRow> {
    let (mut own, others): (Vec<_>, Vec<_>) =
        stored.into_iter().partition(|episode| episode.conversation == root);
    let (mut joined, ended): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|episode| episode.resolved_ms == 0);
    joined.sort_by_key(|episode| episode.opened_ms);
    for open in joined {
        let goes_on = own
            .iter_mut()
            .find(|episode| episode.resolved_ms == 0 || episode.resolved_ms >= open.opened_ms);
        match goes_on {
            Some(episode) if episode.opened_ms == 0 || episode.opened_ms > open.opened_ms => {
                episode.opened_ms = open.opened_ms;
            }
            Some(_) => {}
            None => own.push(open),
        }
    }
    own.extend(ended);
    own.sort_by_key(|episode| (episode.opened_ms, episode.n));
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode(conversation: u8, n: u32, opened_ms: u64, resolved_ms: u64) -> EpisodeRow {
        let conversation = Hash16([conversation; 16]);
        EpisodeRow { conversation, n, opened_ms, resolved_ms, resolved_by: None }
    }

    #[test]
    fn an_episode_that_was_open_at_the_join_goes_on_in_the_conversation() {
        let root = Hash16([1; 16]);
        let joined = [episode(2, 1, 50, 0), episode(2, 0, 10, 20)];
        let ended = fold_episodes(root, [&joined[..], &[episode(1, 2, 0, 90)]].concat());
        assert_eq!(ended, [episode(2, 0, 10, 20), episode(1, 2, 50, 90)]);
        let open = fold_episodes(root, [&joined[..], &[episode(1, 2, 60, 0)]].concat());
        assert_eq!(open, [episode(2, 0, 10, 20), episode(1, 2, 50, 0)]);
        let alone = fold_episodes(root, joined.to_vec());
        assert_eq!(alone, [episode(2, 0, 10, 20), episode(2, 1, 50, 0)]);
    }
}
