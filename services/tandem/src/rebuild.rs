//! `tandem archive rebuild`: the read model anew, from the segments and then from the log.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::Context as _;
use archive::segments::Segments;
use bus::sqlite::{Options, Store};
use chassis::{clock::Clock, config::Config};

/// Opens the directory (refused while a process has it) and projects every partition from its beginning.
pub(crate) fn run(path: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Config::load(path)?;
    anyhow::ensure!(
        config.data_dir.join(bus::sqlite::DATABASE_FILE).exists(),
        "there is no installation in {}: set data_dir",
        config.data_dir.display()
    );
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let options = Options { partitions: config.partitions, ..Options::default() };
    let store = Store::open(&config.data_dir, options)?;
    let sealer = crate::keys::open(&config.data_dir)?;
    let repository = crate::read_model::open(&config, &sealer, Duration::ZERO)?;
    let segments = Segments::open(&config.segments_dir())?;
    let fetched = crate::bucket::fetch(&config, &segments, &runtime)?;
    if fetched > 0 {
        crate::cli::say(&format!("{fetched} segments were fetched from the bucket"));
    }
    let clock = Clock::system();
    runtime.block_on(archive::rebuild(&store.bus(), repository, clock, Some(segments)))?;
    store.close();
    crate::cli::say("the read model was built anew from segments and log");
    Ok(ExitCode::SUCCESS)
}
