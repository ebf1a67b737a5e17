//! The installation's key, opened with care.

use std::path::Path;

use chassis::{
    config::Config,
    seal::{KEY_FILE, Sealer},
};

use crate::restore::INCOMPLETE_FILE;

/// Opens the key of `dir`, or makes one for a fresh directory. With a new key nothing stored before could be read, and
/// every customer would be a stranger: where there are decisions, the key must be there.
///
/// # Errors
/// When the key is missing beside a database, or cannot be used.
pub(crate) fn open(dir: &Path) -> anyhow::Result<Sealer> {
    anyhow::ensure!(
        !dir.join(INCOMPLETE_FILE).exists(),
        "a restore into {} did not come to its end: empty the directory and restore again",
        dir.display()
    );
    let key = dir.join(KEY_FILE);
    anyhow::ensure!(
        key.exists() || !dir.join(bus::sqlite::DATABASE_FILE).exists(),
        "{} is missing: restore it from a backup (what is stored beside it can be read with nothing else)",
        key.display()
    );
    Ok(Sealer::open_dir(dir)?)
}

/// Opens the key of a cluster's installation, which every process is given: none is made here, because what one process
/// sealed with a key of its own, no other could read.
///
/// # Errors
/// When the key is missing or cannot be used.
pub(crate) fn of_cluster(config: &Config) -> anyhow::Result<Sealer> {
    let key = config.key_dir().join(KEY_FILE);
    anyhow::ensure!(
        key.exists(),
        "{} is missing: `tandem cluster init` makes it once; give every process the same file (key_dir)",
        key.display()
    );
    Ok(Sealer::open_dir(config.key_dir())?)
}
