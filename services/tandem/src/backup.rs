//! What a backup consists of, and writing one.
//!
//! A backup is a directory: `bus.db` (states, checkpoints, inboxes and logs of all partitions, as of one moment),
//! `segments/` (what was trimmed from the logs), with the operator's consent `installation.key`, and `backup.json`,
//! which names every file with its hash. The read model is not in it: it is built anew.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use archive::segments::{Segment, Segments, copy};
use bus::{
    PartitionId,
    sqlite::{DATABASE_FILE, Store},
};
use chassis::seal::KEY_FILE;
use serde::{Deserialize, Serialize};

/// File that describes the backup; written last, so that half a backup has none.
const MANIFEST_FILE: &str = "backup.json";
/// Directory of the segments within a backup.
pub(crate) const SEGMENTS_DIR: &str = "segments";
/// Version of the layout.
const FORMAT: u32 = 1;

/// What the operator is told of the key.
const WITH_KEY: &str = "the backup holds installation.key: whoever reads the directory can read every customer's \
                        messages; keep it where nobody else reads it";
const WITHOUT_KEY: &str = "the backup does not hold installation.key: keep a copy of that file (in key_dir or data_dir) in another \
                           safe place; without it nothing of the backup can ever be read";

/// `backup.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    /// Partitions of the installation.
    pub(crate) partitions: u16,
    /// When it was made, epoch milliseconds.
    pub(crate) cut_ms: u64,
    /// Fingerprint of the key that everything is sealed with.
    pub(crate) key_fingerprint: String,
    files: Vec<ManifestFile>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct ManifestFile {
    path: String,
    bytes: u64,
    blake3: String,
}

/// What is backed up.
pub(crate) struct Source<'a> {
    /// Where its key is.
    pub(crate) key_dir: &'a Path,
    pub(crate) partitions: u16,
    pub(crate) cut_ms: u64,
    pub(crate) key_fingerprint: [u8; 8],
}

/// What was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    pub(crate) segments: usize,
    pub(crate) key_notice: &'static str,
}

/// Checks and makes the directory of a backup.
pub(crate) fn prepare(to: &Path, data_dir: &Path) -> anyhow::Result<()> {
    ensure!(to.is_absolute(), "{} is relative: give an absolute path", to.display());
    let data_dir = data_dir.canonicalize().context("cannot look at the data directory")?;
    let nearest = to.ancestors().find_map(|above| above.canonicalize().ok());
    ensure!(
        !nearest.is_some_and(|nearest| nearest.starts_with(&data_dir)),
        "{} is within the data directory: choose another one, best on another disk",
        to.display()
    );
    empty_dir(to)
}

/// Makes a directory that nobody else reads, or checks that it is empty.
pub(crate) fn empty_dir(dir: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot create {}", dir.display()))?;
    let mut entries =
        fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    ensure!(entries.next().is_none(), "{} is not empty: choose another one", dir.display());
    Ok(())
}

/// All complete segments, to be asked for while nothing is trimmed and before the database is copied: a later one may
/// hold records that are not in the copy.
pub(crate) fn segments_now(segments: Option<&Segments>, partitions: u16) -> Vec<Segment> {
    let of = |segments: &Segments| {
        (0..partitions).map(PartitionId).flat_map(|p| segments.of(p)).collect::<Vec<_>>()
    };
    segments.map(of).unwrap_or_default()
}

/// Copies the database as it is now. Blocks.
pub(crate) fn copy_database(store: &Store, to: &Path) -> anyhow::Result<()> {
    store.snapshot(&to.join(DATABASE_FILE)).context("cannot copy the database")
}

/// Copies the rest and writes what names it all. Blocks.
pub(crate) fn complete(
    source: &Source<'_>,
    segments: &[Segment],
    to: &Path,
    include_key: bool,
) -> anyhow::Result<Written> {
    copy(segments, &to.join(SEGMENTS_DIR))?;
    finish(source, segments.len(), to, include_key)
}

/// Adds the key, where it is wanted, to a database and segments that are there, and writes what names it all. Blocks.
pub(crate) fn finish(
    source: &Source<'_>,
    segments: usize,
    to: &Path,
    include_key: bool,
) -> anyhow::Result<Written> {
    if include_key {
        copy_key(&source.key_dir.join(KEY_FILE), &to.join(KEY_FILE))?;
    }
    let mut files = Vec::new();
    list(to, to, &mut files)?;
    let bytes = files.iter().map(|file| file.bytes).sum();
    let manifest = Manifest {
        format: FORMAT,
        partitions: source.partitions,
        cut_ms: source.cut_ms,
        key_fingerprint: hex(&source.key_fingerprint),
        files,
    };
    let text = serde_json::to_string_pretty(&manifest).context("the manifest has no JSON form")?;
    write_durably(&to.join(MANIFEST_FILE), text.as_bytes())?;
    sync_dir(to)?;
    let key_notice = if include_key { WITH_KEY } else { WITHOUT_KEY };
    Ok(Written { bytes, segments, key_notice })
}

/// Reads what a backup consists of, and checks every file against its hash.
pub(crate) fn verified(from: &Path) -> anyhow::Result<Manifest> {
    let path = from.join(MANIFEST_FILE);
    let text = fs::read_to_string(&path).with_context(|| {
        format!("cannot read {}: it is no backup, or an incomplete one", path.display())
    })?;
    let manifest: Manifest = serde_json::from_str(&text)
        .with_context(|| format!("{} was not written by Tandem", path.display()))?;
    ensure!(
        manifest.format <= FORMAT,
        "the backup has format {}, newer than the {FORMAT} this build knows: upgrade Tandem",
        manifest.format
    );
    for file in &manifest.files {
        let plain = |part| matches!(part, std::path::Component::Normal(_));
        ensure!(Path::new(&file.path).components().all(plain), "{} leads elsewhere", file.path);
        let path = from.join(&file.path);
        let found = hash_of(&path).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(
            found == file.blake3,
            "{} is not what it was when the backup was made: use another copy of the backup",
            path.display()
        );
    }
    Ok(manifest)
}

impl Manifest {
    /// Files of the backup, as paths within it.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| Path::new(&file.path))
    }
}

/// Copies a key so that only its owner reads it.
pub(crate) fn copy_key(from: &Path, to: &Path) -> anyhow::Result<()> {
    let key = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    write_durably(to, &key)
}

fn list(root: &Path, dir: &Path, into: &mut Vec<ManifestFile>) -> anyhow::Result<()> {
    let entries: io::Result<Vec<PathBuf>> =
        fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = entries?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            list(root, &path, into)?;
            continue;
        }
        let name = path.strip_prefix(root)?.to_str().context("a file name is not UTF-8")?;
        into.push(ManifestFile {
            path: name.to_owned(),
            bytes: path.metadata()?.len(),
            blake3: hash_of(&path)?,
        });
    }
    Ok(())
}

fn hash_of(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Writes a file that only its owner reads.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

pub(crate) fn sync_dir(dir: &Path) -> anyhow::Result<()> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.with_context(|| format!("cannot make {} durable", dir.display()))
}

/// Fills with random bytes.
pub(crate) fn randomize(bytes: &mut [u8]) -> anyhow::Result<()> {
    getrandom::fill(bytes)
        .map_err(|error| anyhow::anyhow!("the system gives no randomness: {error}"))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
