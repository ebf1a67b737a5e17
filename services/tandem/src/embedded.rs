//! The directory of an installation on embedded storage.

use bus::sqlite::{DATABASE_FILE, Options, Store};
use chassis::config::Config;

/// How its store is opened.
pub(crate) fn options(config: &Config) -> Options {
    Options {
        partitions: config.partitions,
        min_free_bytes: config.limits.min_free_disk_bytes,
        ..Options::default()
    }
}

/// Opens one that is there already, for a command: refused while a process has it.
pub(crate) fn open_stopped(config: &Config) -> anyhow::Result<Store> {
    let dir = &config.data_dir;
    anyhow::ensure!(
        dir.join(DATABASE_FILE).is_file(),
        "there is no installation in {}: set data_dir, or [bus.nats] for a cluster",
        dir.display()
    );
    Ok(Store::open(dir, options(config))?)
}
