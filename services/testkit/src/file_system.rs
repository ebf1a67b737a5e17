//! Places on the disk.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// An empty directory that is removed when the value is dropped.
///
/// # Errors
/// When the system has no room for one.
pub fn temp_dir() -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("tandem-test-").tempdir()
}

/// The root of this repository.
#[must_use]
pub fn repository_root() -> PathBuf {
    let this_crate = Path::new(env!("CARGO_MANIFEST_DIR"));
    this_crate.ancestors().nth(2).unwrap_or(this_crate).to_owned()
}

/// Bytes of all files below a directory. What vanishes meanwhile does not count.
#[must_use]
pub fn bytes_below(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let bytes_of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(bytes_of).sum()
}
