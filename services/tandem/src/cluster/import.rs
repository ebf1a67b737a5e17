//! `tandem cluster import` and `tandem cluster restore`: an installation that lies in a directory moves into this cluster.
//!
//! States, timers and undecided inputs go by [`runtime::transfer`]; the history goes as segments, each partition's into the
//! partition of the same number, whose log of the new generation continues it. The read model is projected from both.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail, ensure};
use archive::segments::{Segments, copy_history};
use bus::{
    Bus,
    sqlite::{DATABASE_FILE, OpenError, Options, Store},
};
use chassis::{
    clock::Clock,
    config::Config,
    seal::{KEY_FILE, Sealer},
};
use router::configure;
use runtime::{
    Random,
    transfer::{self, Moved, Mover, Standing},
};

use super::placement;
use crate::{
    backup::{self, SEGMENTS_DIR},
    cli::say,
    restore::INCOMPLETE_FILE,
};

/// While this file is in a data directory, what is in it lives on in a cluster.
pub(crate) const MOVED_FILE: &str = "moved-to-cluster";
/// Within `data_dir`: a copy of a backup's database, which opening it would change.
const SCRATCH_DIR: &str = "restore-scratch";

/// Moves an embedded installation into the cluster.
pub(super) async fn import(
    config: &Config,
    data_dir: &Path,
    segments: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let shown = data_dir.display();
    ensure!(
        data_dir.join(DATABASE_FILE).is_file(),
        "there is no embedded installation in {shown}: give the data_dir of `tandem up`"
    );
    ensure!(
        !data_dir.join(INCOMPLETE_FILE).exists(),
        "a restore into {shown} did not come to its end: restore it again first"
    );
    let key = data_dir.join(KEY_FILE);
    ensure!(
        key.is_file(),
        "{} is missing: put the installation's key there (without it nothing can be read)",
        key.display()
    );
    // Held from here on: no process starts on the directory meanwhile.
    let store = open(data_dir)?;
    let fingerprint = backup::hex(&Sealer::open_dir(data_dir)?.fingerprint());
    let target = Target::open(config, &fingerprint, &key).await?;
    let segments = segments.map_or_else(|| data_dir.join(SEGMENTS_DIR), Path::to_owned);
    let moved = target.take(&store.bus(), &segments).await?;
    backup::write_durably(&data_dir.join(MOVED_FILE), b"")?;
    backup::sync_dir(data_dir)?;
    store.close();
    target.say_moved(&format!("imported {shown}"), &moved);
    say(&format!("{shown} stays as it is, and `tandem up` refuses it from now on"));
    Ok(ExitCode::SUCCESS)
}

/// Makes the cluster of a backup.
pub(super) async fn restore(config: &Config, from: &Path) -> anyhow::Result<ExitCode> {
    let manifest = backup::verified(from)?;
    let target = Target::open(config, &manifest.key_fingerprint, &from.join(KEY_FILE)).await?;
    let scratch = Scratch::make(&config.data_dir)?;
    let database = scratch.0.join(DATABASE_FILE);
    fs::copy(from.join(DATABASE_FILE), &database)
        .with_context(|| format!("cannot write {}", database.display()))?;
    let store = open(&scratch.0)?;
    let moved = target.take(&store.bus(), &from.join(SEGMENTS_DIR)).await?;
    store.close();
    target.say_moved(&format!("restored {}", from.display()), &moved);
    Ok(ExitCode::SUCCESS)
}

/// Opens a directory with whatever number of partitions it has.
fn open(dir: &Path) -> anyhow::Result<Store> {
    // The source is only read: that its disk is full is no reason against leaving it.
    let options = Options { min_free_bytes: 0, ..Options::default() };
    match Store::open(dir, options) {
        Err(OpenError::Partitions { stored, .. }) => {
            Ok(Store::open(dir, Options { partitions: stored, ..options })?)
        }
        opened => Ok(opened?),
    }
}

/// The cluster: its key is the source's, nobody serves it, and it holds nothing.
struct Target<'a> {
    config: &'a Config,
    bus: Bus,
    sealer: Sealer,
    segments_dir: PathBuf,
}

impl<'a> Target<'a> {
    /// Refuses, before anything is changed, what could not be moved into.
    async fn open(config: &'a Config, fingerprint: &str, key: &Path) -> anyhow::Result<Self> {
        let (key_dir, key) = (config.key_dir().display(), key.display());
        let sealer = crate::keys::of_cluster(config).with_context(|| {
            format!("the cluster must have the key of what comes into it, {key}")
        })?;
        ensure!(
            backup::hex(&sealer.fingerprint()) == fingerprint,
            "the key in {key_dir} is not the one that everything is sealed with: put {key} there, for every process \
             (nothing is sealed with the other one as long as the cluster is empty), and repeat"
        );
        let bus = placement::connect_as(config, "router").await?;
        let seen = placement::look(config, &bus).await?;
        if let Some((name, _)) = seen.nodes.iter().find(|(_, node)| node.lives) {
            bail!("router {name} lives: stop every process of the cluster, and repeat");
        }
        ensure!(
            transfer::standing(&bus).await? != Standing::Arriving,
            "an import or a restore into this cluster was cut off: {}",
            anew(config)
        );
        crate::bucket::ensure_unused(config).await?;
        transfer::check_empty(&bus)
            .await
            .with_context(|| format!("cannot move anything into this cluster: {}", anew(config)))?;
        Ok(Self { config, bus, sealer, segments_dir: config.segments_dir() })
    }

    /// Moves history and states.
    async fn take(&self, source: &Bus, segments: &Path) -> anyhow::Result<Moved> {
        ensure!(
            source.partitions <= self.bus.partitions,
            "the source has {} partitions and the cluster {}: its history needs as many; make a cluster with more \
             (`partitions`, fixed by `tandem cluster init`)",
            source.partitions,
            self.bus.partitions
        );
        backup::empty_dir(&self.segments_dir)
            .context("the archive's segments (archive.segments_dir) begin with the source's")?;
        let segments = Segments::open(segments)?;
        let history = copy_history(source, &segments, &self.segments_dir).await;
        let moved = match history.context(
            "the source's history is not complete (where its segments are in another directory, say so by --segments)",
        ) {
            Ok(_) => self.transfer(source).await,
            Err(error) => Err(error),
        };
        if moved.is_err() {
            // It was empty, and what is in it now is of no use.
            let _ = fs::remove_dir_all(&self.segments_dir);
        }
        moved
    }

    async fn transfer(&self, source: &Bus) -> anyhow::Result<Moved> {
        let mut mover = mover(self.config);
        // No lease of a desk tells the cluster that the connections which the source's desks held are gone.
        let gone = configure::desk_restarted(self.config, &self.sealer, mover.now_ms);
        mover.news = gone.context("cannot tell the workspaces that nobody is connected")?;
        let moved = transfer::transfer(source, &self.bus, &mover).await;
        let standing = transfer::standing(&self.bus).await;
        moved.with_context(|| match standing {
            Ok(Standing::Free) => "nothing was changed in the cluster".to_owned(),
            _ => format!("it was cut off: {}", anew(self.config)),
        })
    }

    fn say_moved(&self, what: &str, moved: &Moved) {
        let Moved { generation, parts, timers, inputs, .. } = moved;
        say(&format!(
            "{what} as generation {generation}: {parts} parts of states, {timers} timers, {inputs} inputs still to be \
             decided, in {} partitions",
            self.bus.partitions
        ));
        say(&format!(
            "the history is in {}: `tandem archive` must run with this directory (archive.segments_dir); without it the \
             read model does not begin, and names what is missing",
            self.segments_dir.display()
        ));
        say(
            "nothing is sent until you have confirmed: start the processes, look at `tandem sends list-unknown`, then \
             run `tandem sends confirm`",
        );
    }
}

/// In whose name things are moved.
pub(super) fn mover(config: &Config) -> Mover {
    let (now_ms, random) = (Clock::system().wall_ms(), Random::system());
    Mover { node: config.node.clone(), now_ms, random, news: Vec::new() }
}

/// How to get an empty cluster.
fn anew(config: &Config) -> String {
    let prefix = config.bus.nats.as_ref().map_or("tandem", |nats| nats.prefix.as_str());
    format!(
        "delete its streams (`nats stream rm`, names that begin with {}_) and run `tandem cluster init`, or give this \
         installation another bus.nats.prefix; then repeat",
        prefix.to_ascii_uppercase()
    )
}

/// A directory that goes with its value.
struct Scratch(PathBuf);

impl Scratch {
    fn make(data_dir: &Path) -> anyhow::Result<Self> {
        let dir = data_dir.join(SCRATCH_DIR);
        // Of an attempt that was cut off.
        let _ = fs::remove_dir_all(&dir);
        backup::empty_dir(&dir)?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed by the next attempt.
        let _ = fs::remove_dir_all(&self.0);
    }
}
