//! Which segments are kept for good: all that are complete, or where there is a bucket those that it has.

use std::collections::BTreeMap;

use bus::PartitionId;

use super::{Segment, Segments};

/// What is known of the bucket.
#[derive(Debug, Default)]
pub(super) struct InBucket {
    /// The directory has whatever the bucket had when it was first read.
    is_fetched: bool,
    /// How often the bucket turned out to have what the directory had otherwise.
    overtaken: u64,
    /// The newest segment of each partition that is stored with all before it.
    stored: BTreeMap<PartitionId, Segment>,
}

impl Segments {
    /// The newest segment of a partition that is kept for good with all before it. What is in it may be trimmed from
    /// the log.
    #[must_use]
    pub fn kept(&self, partition: PartitionId) -> Option<Segment> {
        match &*self.bucket.borrow() {
            Some(bucket) => bucket.stored.get(&partition).cloned(),
            None => self.last(partition),
        }
    }

    /// From now on only what is in the bucket is kept for good, and the directory may lack what is there.
    pub(super) fn expect_bucket(&self) {
        self.bucket.send_modify(|bucket| {
            bucket.get_or_insert_default();
        });
    }

    /// A segment is in the bucket, and so are all before it.
    pub(super) fn set_stored(&self, segment: Segment) {
        let partition = segment.footer.partition;
        self.bucket.send_modify(|bucket| {
            bucket.get_or_insert_default().stored.insert(partition, segment);
        });
    }

    pub(super) fn set_fetched(&self) {
        self.bucket.send_modify(|bucket| bucket.get_or_insert_default().is_fetched = true);
    }

    /// The bucket turned out to have what the directory has otherwise: it is fetched before anybody goes on.
    pub(super) fn overtake(&self) {
        self.bucket.send_modify(|bucket| {
            let bucket = bucket.get_or_insert_default();
            bucket.is_fetched = false;
            bucket.overtaken += 1;
        });
    }

    /// How often that was so.
    pub(super) fn overtaken(&self) -> u64 {
        self.bucket.borrow().as_ref().map_or(0, |bucket| bucket.overtaken)
    }

    /// Waits until it is so once more.
    pub(super) async fn overtaken_since(&self, overtaken: u64) {
        let mut changes = self.bucket.subscribe();
        let is_later =
            |bucket: &Option<InBucket>| bucket.as_ref().is_some_and(|it| it.overtaken > overtaken);
        drop(changes.wait_for(is_later).await);
    }

    /// The bucket may have segments that the directory does not have yet.
    pub(crate) fn is_fetching(&self) -> bool {
        self.bucket.borrow().as_ref().is_some_and(|bucket| !bucket.is_fetched)
    }

    /// Waits until the directory has what the bucket has; not at all where there is none.
    pub(super) async fn fetched(&self) {
        let mut changes = self.bucket.subscribe();
        let is_whole = |bucket: &Option<InBucket>| bucket.as_ref().is_none_or(|it| it.is_fetched);
        // It fails only when nobody is left who could fetch: not while `self` is there.
        drop(changes.wait_for(is_whole).await);
    }

    /// The oldest complete segment that is not in the bucket yet.
    pub(super) fn next_to_store(&self, partition: PartitionId) -> Option<Segment> {
        self.after(partition, self.kept_through(partition))
    }

    /// How many complete segments are not in the bucket yet.
    pub(super) fn waiting(&self, partition: PartitionId) -> usize {
        let through = self.kept_through(partition);
        self.look(|index| {
            let segments = index.get(&partition).map(Vec::as_slice).unwrap_or_default();
            segments.len() - segments.partition_point(|segment| segment.end() <= through)
        })
    }

    fn kept_through(&self, partition: PartitionId) -> (u32, u64) {
        self.kept(partition).map_or((0, 0), |segment| segment.end())
    }
}
