//! `tandem restore`: a backup becomes a new installation in an empty directory.
//!
//! Every log goes on in a higher generation: whatever the process from which the backup was made decided after it has
//! positions that mean nothing here, and every reader re-bases. Whatever was to be sent at the cut may have
//! been sent since, so nothing is sent until an operator has confirmed (the file [`HOLD_FILE`] says so).

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, ensure};
use bus::{
    Bus, Incarnation, PartitionId, Record, RecordBody, RecordHead,
    sqlite::{Options, Store},
};
use chassis::{clock::Clock, config::Config, seal::KEY_FILE, seal::Sealer};
use clap::Args;

use crate::{
    backup::{self, SEGMENTS_DIR},
    cli::say,
};

/// While this file is in a data directory nothing is sent.
pub(crate) const HOLD_FILE: &str = "sends-held";
/// While this file is in a data directory the restore has not come to its end.
pub(crate) const INCOMPLETE_FILE: &str = "restore-incomplete";

/// Arguments of the restore.
#[derive(Clone, Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Directory of the backup.
    #[arg(long)]
    from: PathBuf,
    /// The installation's key, where the backup does not hold it.
    #[arg(long)]
    key: Option<PathBuf>,
}

/// Restores into the data directory of the configuration, which must be empty.
pub(crate) fn run(args: &RestoreArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Config::load(config)?;
    let manifest = backup::verified(&args.from)?;
    ensure!(
        manifest.partitions == config.partitions,
        "the backup has {} partitions, {} are configured: set partitions = {}",
        manifest.partitions,
        config.partitions,
        manifest.partitions
    );
    let key = key_of(args)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(crate::bucket::ensure_unused(&config))?;
    let (data_dir, segments_dir) = (&config.data_dir, config.segments_dir());
    backup::empty_dir(data_dir)?;
    if !segments_dir.starts_with(data_dir) {
        backup::empty_dir(&segments_dir)?;
    }
    backup::write_durably(&data_dir.join(INCOMPLETE_FILE), b"")?;
    backup::write_durably(&data_dir.join(HOLD_FILE), b"")?;
    for path in manifest.paths().filter(|path| *path != Path::new(KEY_FILE)) {
        let target = match path.strip_prefix(SEGMENTS_DIR) {
            Ok(within) => segments_dir.join(within),
            Err(_) => data_dir.join(path),
        };
        copy(&args.from.join(path), &target)?;
    }
    backup::copy_key(&key, &data_dir.join(KEY_FILE))?;
    let sealer = Sealer::open_dir(data_dir)?;
    ensure!(
        backup::hex(&sealer.fingerprint()) == manifest.key_fingerprint,
        "{} is not the key of this backup: give the right one by --key, and empty {}",
        key.display(),
        data_dir.display()
    );
    let generation = raise_generation(&config)?;
    fs::remove_file(data_dir.join(INCOMPLETE_FILE)).context("cannot end the restore")?;
    backup::sync_dir(data_dir)?;
    say(&format!(
        "restored into {} as generation {generation}. Nothing is sent until you have confirmed: start `tandem up`, \
         look at `tandem sends list-unknown`, then run `tandem sends confirm`",
        data_dir.display()
    ));
    Ok(ExitCode::SUCCESS)
}

fn key_of(args: &RestoreArgs) -> anyhow::Result<PathBuf> {
    let key = args.key.clone().unwrap_or_else(|| args.from.join(KEY_FILE));
    ensure!(
        key.is_file(),
        "{} is missing: give the installation's key by --key FILE (the backup was made without it)",
        key.display()
    );
    Ok(key)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let dir = to.parent().context("a file without a directory")?;
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    fs::copy(from, to).with_context(|| format!("cannot write {}", to.display()))?;
    fs::File::open(to).and_then(|file| file.sync_all()).context("cannot make a copy durable")?;
    backup::sync_dir(dir)
}

/// Begins a generation above every one in the logs; answers it.
fn raise_generation(config: &Config) -> anyhow::Result<u32> {
    let options =
        Options { partitions: config.partitions, min_free_bytes: 0, ..Options::default() };
    let store = Store::open(&config.data_dir, options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let raised = runtime.block_on(begin_generation(&store.bus(), &config.node));
    store.close();
    raised
}

async fn begin_generation(bus: &Bus, node: &str) -> anyhow::Result<u32> {
    let mut ends = Vec::new();
    for partition in (0..bus.partitions).map(PartitionId) {
        let last = match bus.log.last(partition).await? {
            Some((seq, bytes)) => Some((seq, Record::decode_head(&bytes)?)),
            None => None,
        };
        ends.push((partition, last));
    }
    let highest =
        ends.iter().filter_map(|(_, last)| last.as_ref().map(|(_, head)| head.generation));
    let generation = highest.max().unwrap_or(1) + 1;
    let now_ms = Clock::system().wall_ms();
    let format = runtime::format_level(bus).await?;
    for (partition, last) in ends {
        let mut incarnation = [0; 16];
        backup::randomize(&mut incarnation)?;
        let previous_seq = last.map_or(0, |(seq, _)| seq);
        let head = RecordHead {
            generation,
            epoch: last.map_or(0, |(_, head)| head.epoch) + 1,
            incarnation: Incarnation(incarnation),
            number: 0,
            previous_seq,
        };
        let body = RecordBody::Epoch { node: node.to_owned(), now_ms };
        let record = Record::at(format, head, body).encode()?;
        bus.log.append(partition, previous_seq, record).await?;
    }
    Ok(generation)
}
