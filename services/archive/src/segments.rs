//! Archive segments: a partition's log records in immutable files, hash-linked (design.md 4.7).
//!
//! What is in a segment may be trimmed from the log. A segment holds the records as the log has them: personal
//! content in it stays sealed. It is written under a temporary name, made durable, renamed, and the directory
//! made durable; from then on nobody changes it. Layout: `<directory>/<partition>/<generation>-<first
//! sequence>.segment`, and beside them `HEAD`, which names the newest one, so that its loss is noticed too.
//! With a bucket, each complete segment is stored there as well and counts as kept only then, and the directory gets
//! back from there what it lost.

mod bucket;
mod complete;
mod copy;
mod fetch;
mod format;
mod keeper;
mod kept;
mod lock;
mod read;
mod shipper;
mod verify;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use bus::PartitionId;
use tokio::sync::watch;

pub use bucket::{Bucket, BucketOptions};
pub use complete::copy_history;
pub use copy::copy;
pub use fetch::Fetched;
pub use format::{Footer, Hash};
pub use keeper::{Keeper, KeeperError, KeeperOptions};
pub use lock::Lock;
pub use shipper::Shipper;
pub use verify::{Report, verify};

pub(crate) use read::SegmentReader;

use self::kept::InBucket;
use crate::chain::Cursor;

/// Ending of a complete segment.
const ENDING: &str = "segment";
/// Ending of one that is being written.
const OPEN_ENDING: &str = "open";
/// Ending of a complete one whose records another archive stored first, cut elsewhere. It is not used any more.
const ASIDE_ENDING: &str = "aside";
/// File that names a partition's newest segment.
const HEAD_FILE: &str = "HEAD";

/// Why segments cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The file system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A segment is not what it was when it was written.
    #[error(
        "the segment {} is damaged ({why}): run `tandem segments verify` and restore it from a backup",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The bucket's server refused, or does not answer.
    #[error("cannot {doing} {bucket}")]
    Bucket {
        /// What was tried.
        doing: &'static str,
        /// Which bucket.
        bucket: String,
        /// What was said.
        source: object_store::Error,
    },
    /// What the bucket holds under a name is not the segment that was stored there.
    #[error(
        "{object} is damaged or was exchanged ({why}); nothing of it is used: bring back its earlier version, or \
         delete it if the directory still has the segment, and start again"
    )]
    Tampered {
        /// The object's address.
        object: String,
        /// What is wrong.
        why: String,
    },
    /// The bucket holds another history than the directory.
    #[error(
        "{object} does not belong to the segments of this installation ({why}); nothing is overwritten: give each \
         installation, and each restored one, an archive.s3.prefix of its own"
    )]
    Foreign {
        /// The object's address.
        object: String,
        /// What does not fit.
        why: String,
    },
    /// The bucket holds the same records under a segment's name, cut elsewhere: another archive stored them first.
    #[error("{object} was stored by another archive first, cut elsewhere; it is gone on from")]
    Overtaken {
        /// The object's address.
        object: String,
    },
    /// Another process writes there.
    #[error("another process writes the segments in {}", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// What is asked for may be in the bucket, which could not be read yet.
    #[error("the segments that the directory lacks are still being fetched from the bucket")]
    Fetching,
    /// The thread that did the work ended.
    #[error("the archive is shutting down")]
    Closed,
}

impl SegmentError {
    /// The same attempt may succeed later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Io { .. } | Self::Bucket { .. } | Self::Overtaken { .. } | Self::Fetching
        )
    }

    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    fn damaged(path: &Path) -> impl FnOnce(format::FormatError) -> Self {
        let path = path.to_owned();
        move |error| Self::Damaged { path, why: error.to_string() }
    }
}

/// One complete segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// What its footer says.
    pub footer: Footer,
}

impl Segment {
    /// Last record, generation first.
    fn end(&self) -> (u32, u64) {
        (self.footer.generation, self.footer.last_seq)
    }

    /// Where the chain stands after it.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.footer.chain.into()
    }
}

type Index = BTreeMap<PartitionId, Vec<Segment>>;

/// The segments of one installation; clones share what is known of them.
#[derive(Clone, Debug)]
pub struct Segments {
    dir: PathBuf,
    index: Arc<RwLock<Index>>,
    /// `None` where there is no bucket.
    bucket: Arc<watch::Sender<Option<InBucket>>>,
}

impl Segments {
    /// Looks into `dir`, which need not exist yet.
    ///
    /// # Errors
    /// When the directory cannot be read, or a segment has no footer.
    pub fn open(dir: &Path) -> Result<Self, SegmentError> {
        let mut index = Index::new();
        for (partition, partition_dir) in partition_dirs(dir)? {
            let mut segments = Vec::new();
            for path in files(&partition_dir)? {
                if has_ending(&path, ENDING) {
                    segments.push(read::open_footer(&path)?);
                }
            }
            segments.sort_by_key(Segment::end);
            index.insert(partition, segments);
        }
        Ok(Self {
            dir: dir.to_owned(),
            index: Arc::new(RwLock::new(index)),
            bucket: Arc::new(watch::Sender::new(None)),
        })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All complete segments of a partition, oldest first.
    #[must_use]
    pub fn of(&self, partition: PartitionId) -> Vec<Segment> {
        self.look(|index| index.get(&partition).cloned().unwrap_or_default())
    }

    /// The newest complete segment of a partition.
    #[must_use]
    pub fn last(&self, partition: PartitionId) -> Option<Segment> {
        self.look(|index| index.get(&partition)?.last().cloned())
    }

    /// The generations that any partition has segments of.
    pub(crate) fn generations(&self) -> BTreeSet<u32> {
        let of = |segment: &Segment| segment.footer.generation;
        self.look(|index| index.values().flatten().map(of).collect())
    }

    /// The first segment with a record after (generation, sequence).
    fn after(&self, partition: PartitionId, after: (u32, u64)) -> Option<Segment> {
        self.look(|index| {
            let segments = index.get(&partition)?;
            let first = segments.partition_point(|segment| segment.end() <= after);
            segments.get(first).cloned()
        })
    }

    fn add(&self, segment: Segment) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let segments = index.entry(segment.footer.partition).or_default();
        // One that was fetched may be older than what is there.
        let at = segments.partition_point(|other| other.end() < segment.end());
        segments.insert(at, segment);
    }

    /// Adds one that was just written here.
    fn append(&self, segment: Segment) -> Result<(), SegmentError> {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let segments = index.entry(segment.footer.partition).or_default();
        if segments.last().map(|last| last.footer.hash) != segment.footer.previous {
            // Those before it gave way meanwhile.
            put_aside(&segment)?;
            return Err(SegmentError::Fetching);
        }
        segments.push(segment);
        Ok(())
    }

    /// Takes a segment and all after it out of use: another archive stored these records first, cut elsewhere. Nobody has trimmed
    /// them by these, which are in no bucket. The files stay, under another name.
    fn set_aside(&self, from: &Segment) -> Result<(), SegmentError> {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let segments = index.entry(from.footer.partition).or_default();
        // The last one first: what a crash leaves is without a hole.
        while let Some(segment) = segments.pop_if(|segment| segment.end() >= from.end()) {
            put_aside(&segment)?;
        }
        Ok(())
    }

    fn look<T>(&self, at: impl FnOnce(&Index) -> T) -> T {
        at(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn put_aside(segment: &Segment) -> Result<(), SegmentError> {
    let aside = segment.path.with_extension(ASIDE_ENDING);
    tracing::info!(file = %segment.path.display(), "a segment is put aside");
    fs::rename(&segment.path, aside).map_err(SegmentError::io("rename", &segment.path))
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|it| it == ending)
}

fn partition_dir(dir: &Path, partition: PartitionId) -> PathBuf {
    dir.join(format!("{:05}", partition.0))
}

/// Directories of partitions below `dir`; none when it does not exist.
fn partition_dirs(dir: &Path) -> Result<Vec<(PartitionId, PathBuf)>, SegmentError> {
    let mut dirs = Vec::new();
    for path in files(dir)? {
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(Ok(number)) = name.map(str::parse::<u16>)
            && path.is_dir()
        {
            dirs.push((PartitionId(number), path));
        }
    }
    Ok(dirs)
}

/// What is in a directory, by name; nothing when it does not exist.
fn files(dir: &Path) -> Result<Vec<PathBuf>, SegmentError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(SegmentError::io("read the directory", dir)(error)),
    };
    let paths: io::Result<Vec<PathBuf>> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(SegmentError::io("read the directory", dir))?;
    paths.sort();
    Ok(paths)
}
