//! `tandem cluster backup`: the cluster as an embedded database in a directory, with its history as segments beside it.
//!
//! It is what `tandem backup` makes of an embedded installation, read and written by the same code; so either kind of
//! installation can be made of it.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context as _, bail};
use archive::segments::{Segments, copy_history};
use bus::sqlite::{LOCK_FILE, Options, Store};
use chassis::config::Config;
use runtime::transfer;

use super::{import, placement};
use crate::{
    backup::{self, SEGMENTS_DIR, Source},
    cli::say,
};

/// Copies the cluster into the directory `to`.
pub(super) async fn backup(
    config: &Config,
    to: &Path,
    include_key: bool,
) -> anyhow::Result<ExitCode> {
    let to = std::path::absolute(to).context("cannot tell where that is")?;
    let sealer = crate::keys::of_cluster(config)?;
    let bus = placement::connect_as(config, "archive").await?;
    let seen = placement::look(config, &bus).await?;
    if let Some((name, node)) =
        seen.nodes.iter().find(|(_, node)| node.lives && !node.owned.is_empty())
    {
        bail!(
            "router {name} lives and owns {} partitions: stop the routers (SIGTERM), and repeat; gateways may go on",
            node.owned.len()
        );
    }
    backup::empty_dir(&to)?;
    let mover = import::mover(config);
    let segments = Segments::open(&config.segments_dir())?;
    crate::bucket::fetch(config, &segments).await?;
    let segments = copy_history(&bus, &segments, &to.join(SEGMENTS_DIR)).await.context(
        "the history is not complete: run this where the archive's segments are (archive.segments_dir, or [archive.s3])",
    )?;
    let options = Options { partitions: bus.partitions, min_free_bytes: 0, ..Options::default() };
    let store = Store::open(&to, options)?;
    transfer::transfer(&bus, &store.bus(), &mover).await?;
    store.close();
    fs::remove_file(to.join(LOCK_FILE)).context("cannot tidy the backup")?;
    let source = Source {
        key_dir: config.key_dir(),
        partitions: bus.partitions,
        cut_ms: mover.now_ms,
        key_fingerprint: sealer.fingerprint(),
    };
    let written = backup::finish(&source, segments, &to, include_key)?;
    say(&format!(
        "{}: {} bytes, {} segments of history; {}",
        to.display(),
        written.bytes,
        written.segments,
        written.key_notice
    ));
    Ok(ExitCode::SUCCESS)
}
