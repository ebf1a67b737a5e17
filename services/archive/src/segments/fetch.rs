//! Bringing into the directory what the bucket has and the directory has not, before anybody goes on from there.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use bus::PartitionId;

use super::{
    Bucket, ENDING, Hash, Segment, SegmentError, Segments,
    bucket::{OTHER, file_name, whole},
    format::same_log,
    partition_dir, verify,
    write::{stem, store, write_head},
};

/// What was found in the bucket.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Segments that the directory did not have.
    pub segments: usize,
    /// Partitions whose segments in the bucket cannot be used, and why.
    pub refused: BTreeMap<PartitionId, SegmentError>,
}

impl Bucket {
    /// Compares directory and bucket, and brings what is stored and not in the directory there, checked, whole and durably.
    /// From then on what the bucket has counts as kept.
    ///
    /// # Errors
    /// When server or file system refuse, or do not answer: to be repeated; what was fetched by then stays.
    pub async fn fetch(
        &self,
        segments: &Segments,
        partitions: u16,
    ) -> Result<Fetched, SegmentError> {
        segments.expect_bucket();
        let mut listed = self.list().await?;
        let mut found = Fetched::default();
        for partition in (0..partitions).map(PartitionId) {
            let stored = listed.remove(&partition).unwrap_or_default();
            match self.fetch_partition(segments, partition, &stored).await {
                Ok(fetched) => found.segments += fetched,
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => drop(found.refused.insert(partition, error)),
            }
        }
        for (partition, stored) in listed {
            let file = stored.into_keys().next().unwrap_or_default();
            let why = format!("there are {partitions} partitions");
            found.refused.insert(partition, self.foreign(partition, &file, &why));
        }
        segments.set_fetched();
        Ok(found)
    }

    /// Walks through the names of both, which are in the order of the records.
    async fn fetch_partition(
        &self,
        segments: &Segments,
        partition: PartitionId,
        listed: &BTreeMap<String, u64>,
    ) -> Result<usize, SegmentError> {
        let here = segments.of(partition).into_iter();
        let mut here: BTreeMap<_, _> = here.map(|it| (file_name(&it.path), it)).collect();
        let files: BTreeSet<_> = here.keys().chain(listed.keys()).cloned().collect();
        let (mut last, mut stored, mut fetched): (Option<Segment>, Option<Segment>, _) =
            (None, None, 0);
        let mut all_stored = true;
        for file in &files {
            let previous = last.as_ref().map(|last| last.footer.hash);
            let there = listed.get(file);
            if let (Some(segment), Some(bytes)) = (here.get(file), there)
                && *bytes != segment.bytes
            {
                self.same_log(segment, file).await?;
                // Another archive was first. What it stored is for ever, and is gone on from.
                segments.set_aside(segment)?;
                here.split_off(file);
            }
            let segment = match (here.get(file), there) {
                (Some(segment), there) => {
                    all_stored &= there.is_some();
                    linked(segment, previous)?
                }
                (None, Some(_)) => {
                    fetched += 1;
                    let segment =
                        self.bring(segments.dir().to_owned(), partition, file, previous).await?;
                    segments.add(segment.clone());
                    segment
                }
                (None, None) => continue,
            };
            if all_stored {
                stored = Some(segment.clone());
            }
            last = Some(segment);
        }
        if let Some(stored) = stored {
            self.compare(&stored).await?;
            segments.set_stored(stored);
        }
        if let Some(newest) = last.filter(|_| fetched > 0) {
            name_newest(newest).await?;
        }
        Ok(fetched)
    }

    /// Sizes and names are equal; by its hash the newest one says it of all before it.
    async fn compare(&self, segment: &Segment) -> Result<(), SegmentError> {
        let (partition, file) = (segment.footer.partition, file_name(&segment.path));
        if self.footer(partition, &file, segment.bytes).await? == segment.footer {
            return Ok(());
        }
        Err(self.foreign(partition, &file, OTHER))
    }

    /// Refuses an object that is no other cut of what the directory's segment of its name holds.
    async fn same_log(&self, segment: &Segment, file: &str) -> Result<(), SegmentError> {
        let partition = segment.footer.partition;
        let (ours, theirs) = (whole(segment.clone()).await?, self.get(partition, file).await?);
        match same_log(&ours, &theirs) {
            true => Ok(()),
            false => Err(self.foreign(partition, file, OTHER)),
        }
    }

    /// Fetches one segment. It gets its name in the directory once it is known to be what was stored, and to follow
    /// the one before it.
    async fn bring(
        &self,
        dir: PathBuf,
        partition: PartitionId,
        file: &str,
        previous: Option<Hash>,
    ) -> Result<Segment, SegmentError> {
        let bytes = self.get(partition, file).await?;
        let (object, file) = (self.address_of(partition, file), file.to_owned());
        let brought = tokio::task::spawn_blocking(move || {
            let footer = match verify::check(&bytes) {
                Ok(footer) => footer,
                Err(why) => return Err(SegmentError::Tampered { object, why }),
            };
            let named = format!("{}.{ENDING}", stem(footer.generation, footer.first_seq));
            if footer.partition != partition || named != file {
                let why = format!("it is {named} of partition {}", footer.partition);
                return Err(SegmentError::Tampered { object, why });
            }
            if previous.is_some() && footer.previous != previous {
                let why = "it does not follow the segment before it".to_owned();
                return Err(SegmentError::Foreign { object, why });
            }
            let path = store(&partition_dir(&dir, partition), &file, &bytes)?;
            Ok(Segment { path, bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX), footer })
        });
        brought.await.map_err(|_| SegmentError::Closed)?
    }
}

/// A segment of the directory, if it follows the one before it.
fn linked(segment: &Segment, previous: Option<Hash>) -> Result<Segment, SegmentError> {
    match (previous, segment.footer.previous) {
        (Some(before), Some(named)) if before != named => Err(SegmentError::Damaged {
            path: segment.path.clone(),
            why: "it does not follow the segment before it".to_owned(),
        }),
        _ => Ok(segment.clone()),
    }
}

async fn name_newest(segment: Segment) -> Result<(), SegmentError> {
    let named = tokio::task::spawn_blocking(move || {
        let dir = segment.path.parent().unwrap_or(&segment.path);
        write_head(dir, &segment.path, segment.footer.hash)
    });
    named.await.map_err(|_| SegmentError::Closed)?
}
