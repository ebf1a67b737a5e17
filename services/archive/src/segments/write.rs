//! Writing one segment: records into a temporary file, then a footer, then its name.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use bus::PartitionId;
use bytes::Bytes;

use super::{
    ENDING, Footer, HEAD_FILE, Hash, OPEN_ENDING, Segment, SegmentError,
    format::{Header, Kind, VERSION, trailer, write_frame},
    partition_dir,
};
use crate::chain::Cursor;

/// Bytes gathered before they go to the file.
const BUFFER_BYTES: usize = 256 * 1024;

/// A segment that is being written.
pub(super) struct SegmentWriter {
    dir: PathBuf,
    open: PathBuf,
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    header: Header,
    first_seq: u64,
    last_seq: u64,
    count: u64,
    bytes: u64,
    scratch: Vec<u8>,
}

impl SegmentWriter {
    /// Begins the segment whose first record is `first_seq`.
    pub(super) fn begin(
        segments_dir: &Path,
        partition: PartitionId,
        generation: u32,
        first_seq: u64,
        previous: Option<Hash>,
    ) -> Result<Self, SegmentError> {
        let dir = partition_dir(segments_dir, partition);
        create_dir(&dir)?;
        let open = dir.join(format!("{}.{OPEN_ENDING}", stem(generation, first_seq)));
        let file = create_file(&open).map_err(SegmentError::io("create", &open))?;
        let header = Header { version: VERSION, partition, generation, previous };
        let mut writer = Self {
            dir,
            open,
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            hasher: blake3::Hasher::new(),
            header,
            first_seq,
            last_seq: first_seq,
            count: 0,
            bytes: 0,
            scratch: Vec::new(),
        };
        let body = encoded(&writer.header, &writer.open)?;
        write_frame(&mut writer.scratch, Kind::Header, &[&body]);
        writer.put()?;
        Ok(writer)
    }

    pub(super) fn generation(&self) -> u32 {
        self.header.generation
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a record.
    pub(super) fn record(&mut self, seq: u64, record: &[u8]) -> Result<(), SegmentError> {
        write_frame(&mut self.scratch, Kind::Record, &[&seq.to_le_bytes(), record]);
        self.last_seq = seq;
        self.count += 1;
        self.put()
    }

    fn put(&mut self) -> Result<(), SegmentError> {
        self.hasher.update(&self.scratch);
        self.bytes += u64::try_from(self.scratch.len()).unwrap_or(0);
        let written = self.file.write_all(&self.scratch);
        self.scratch.clear();
        written.map_err(SegmentError::io("write", &self.open))
    }

    /// Closes the segment: from now on it exists, and nobody changes it.
    pub(super) fn finish(mut self, chain: Cursor) -> Result<Segment, SegmentError> {
        let Header { partition, generation, previous, .. } = self.header;
        let footer = Footer {
            version: VERSION,
            partition,
            generation,
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            count: self.count,
            chain: chain.into(),
            hash: Hash(*self.hasher.finalize().as_bytes()),
            previous,
        };
        let mut end = Vec::new();
        write_frame(&mut end, Kind::Footer, &[&encoded(&footer, &self.open)?]);
        let trailer = trailer(end.len());
        end.extend_from_slice(&trailer);
        let bytes = self.bytes + u64::try_from(end.len()).unwrap_or(0);
        let written = self.file.write_all(&end).and_then(|()| self.file.flush());
        written.map_err(SegmentError::io("write", &self.open))?;
        self.file.get_ref().sync_all().map_err(SegmentError::io("make durable", &self.open))?;
        let path = self.open.with_extension(ENDING);
        fs::rename(&self.open, &path).map_err(SegmentError::io("rename", &self.open))?;
        sync_dir(&self.dir)?;
        write_head(&self.dir, &path, footer.hash)?;
        Ok(Segment { path, bytes, footer })
    }
}

/// Writes a segment that was complete elsewhere, as one is written here: its name is there when it is durable.
pub(super) fn store(dir: &Path, file: &str, bytes: &[u8]) -> Result<PathBuf, SegmentError> {
    create_dir(dir)?;
    let path = dir.join(file);
    let open = path.with_extension(OPEN_ENDING);
    let write = || -> std::io::Result<()> {
        let mut file = create_file(&open)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(SegmentError::io("write", &open))?;
    fs::rename(&open, &path).map_err(SegmentError::io("rename", &open))?;
    sync_dir(dir)?;
    Ok(path)
}

/// Name of the segment that begins with this record, without its ending.
pub(super) fn stem(generation: u32, first_seq: u64) -> String {
    format!("{generation:010}-{first_seq:020}")
}

pub(super) fn create_dir(dir: &Path) -> Result<(), SegmentError> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    created.map_err(SegmentError::io("create", dir))
}

/// A file that only its owner reads.
fn create_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Names the newest segment. A crash before this leaves the name of the one before it, which exists as well.
pub(super) fn write_head(dir: &Path, newest: &Path, hash: Hash) -> Result<(), SegmentError> {
    let name = newest.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let draft = dir.join(format!("{HEAD_FILE}.{OPEN_ENDING}"));
    let write = || -> std::io::Result<()> {
        let mut file = create_file(&draft)?;
        writeln!(file, "{name} {hash}")?;
        file.sync_all()
    };
    write().map_err(SegmentError::io("write", &draft))?;
    let head = dir.join(HEAD_FILE);
    fs::rename(&draft, &head).map_err(SegmentError::io("rename", &draft))?;
    sync_dir(dir)
}

/// Makes names survive a power cut: those in the directory, and its own and its parent's.
pub(super) fn sync_dir(dir: &Path) -> Result<(), SegmentError> {
    let chain = [Some(dir), dir.parent(), dir.parent().and_then(Path::parent)];
    chain.into_iter().flatten().filter(|dir| !dir.as_os_str().is_empty()).try_for_each(|dir| {
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(SegmentError::io("make durable", dir))
    })
}

fn encoded<T: serde::Serialize>(value: &T, path: &Path) -> Result<Bytes, SegmentError> {
    bus::encode(value)
        .map_err(|error| SegmentError::Damaged { path: path.to_owned(), why: error.to_string() })
}
