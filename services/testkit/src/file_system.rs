//! Places on the disk.

use std::{
    io,
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
