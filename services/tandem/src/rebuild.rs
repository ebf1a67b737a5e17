//! `tandem archive rebuild`: the read model anew, from the segments and then from the log.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::Context as _;
use archive::segments::Segments;
use chassis::{clock::Clock, config::Config};

/// Opens the directory (refused while a process has it) and projects every partition from its beginning.
pub(crate) fn run(path: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Config::load(path)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let store = crate::embedded::open_stopped(&config)?;
    let sealer = crate::keys::open(&config.data_dir)?;
    let repository = crate::read_model::open(&config, &sealer, Duration::ZERO)?;
    let segments = Segments::open(&config.segments_dir())?;
    runtime.block_on(crate::bucket::fetch(&config, &segments))?;
    let clock = Clock::system();
    runtime.block_on(archive::rebuild(&store.bus(), repository, clock, Some(segments)))?;
    store.close();
    crate::cli::say("the read model was built anew from segments and log");
    Ok(ExitCode::SUCCESS)
}
