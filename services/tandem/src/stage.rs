//! Product and simulator as real processes on loopback, on a directory of their own: the stage of `tandem demo`
//! and of the process tests. Children die with the stage.

mod child;
mod control;
mod process;
mod product;
mod simulator;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;

pub use control::Control;
pub use process::Process;
pub use product::{Addresses, Product};
pub use simulator::Simulator;

/// The two programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The product's binary.
    pub tandem: PathBuf,
    /// The simulator's binary.
    pub loadtest: PathBuf,
}

impl Programs {
    /// The running binary, and `loadtest` beside it.
    ///
    /// # Errors
    /// When the simulator is not there.
    pub fn beside_this() -> anyhow::Result<Self> {
        let tandem = std::env::current_exe().context("cannot tell where this program is")?;
        let loadtest = tandem.with_file_name("loadtest");
        Self::at(tandem, loadtest)
    }

    /// The two programs at these paths.
    ///
    /// # Errors
    /// When one is missing.
    pub fn at(tandem: PathBuf, loadtest: PathBuf) -> anyhow::Result<Self> {
        for program in [&tandem, &loadtest] {
            anyhow::ensure!(
                program.exists(),
                "{} is missing: build both with `cargo build -p tandem -p loadtest`",
                program.display()
            );
        }
        Ok(Self { tandem, loadtest })
    }
}

/// A fresh directory with the simulator running and the product configured for its world.
#[derive(Debug)]
pub struct Stage {
    programs: Programs,
    dir: PathBuf,
    /// The simulator.
    pub simulator: Simulator,
}

impl Stage {
    /// Writes the scenario and the product's configuration below `dir` and starts the simulator.
    ///
    /// # Errors
    /// When a file cannot be written or the simulator does not start.
    pub async fn open(programs: Programs, dir: &Path, scenario: &str) -> anyhow::Result<Self> {
        Self::open_with(programs, dir, scenario, &[], "").await
    }

    /// As [`Stage::open`], with further arguments of the simulator and further top-level TOML of the product.
    ///
    /// # Errors
    /// As [`Stage::open`].
    pub async fn open_with(
        programs: Programs,
        dir: &Path,
        scenario: &str,
        simulator_args: &[&str],
        product_toml: &str,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let scenario_file = dir.join("scenario.toml");
        std::fs::write(&scenario_file, scenario).context("cannot write the scenario")?;
        let simulator =
            Simulator::start(&programs.loadtest, &scenario_file, dir, simulator_args).await?;
        let world: Value =
            simulator::export(&programs.loadtest, &scenario_file, &simulator.graph_url).await?;
        let config = product::config_toml(&world, &dir.join("data"), product_toml)?;
        std::fs::write(dir.join("tandem.toml"), config)
            .context("cannot write the configuration")?;
        Ok(Self { programs, dir: dir.to_path_buf(), simulator })
    }

    /// Starts the product and waits until it is ready. `environment` is added to its own.
    ///
    /// # Errors
    /// When it does not become ready in time; its log says why.
    pub async fn start_product(&self, environment: &[(&str, &str)]) -> anyhow::Result<Product> {
        Product::start(&self.programs.tandem, &self.dir, environment, Duration::from_secs(60)).await
    }

    /// Starts one process of a cluster, of the stage's program or another one, under a name of its own (also its data directory
    /// below `dir`, and its log), and waits until it is ready. `environment` is added to its own.
    ///
    /// # Errors
    /// When it does not become ready in time; its log says why.
    pub async fn start_role(
        &self,
        program: &Path,
        role: &str,
        node: &str,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Process> {
        let data_dir = self.role_dir(node);
        std::fs::create_dir_all(&data_dir)
            .with_context(|| format!("cannot create {}", data_dir.display()))?;
        let data_dir = data_dir.display().to_string();
        let own = [("TANDEM_NODE", node), ("TANDEM_DATA_DIR", data_dir.as_str())];
        let environment = [&own, environment].concat();
        let (log, bound) = (self.role_log(node), Duration::from_secs(60));
        Process::start(program, role, &self.config_file(), &log, &environment, bound).await
    }

    /// The data directory of a process of a cluster.
    #[must_use]
    pub fn role_dir(&self, node: &str) -> PathBuf {
        self.dir.join(node)
    }

    /// The log of a process of a cluster, all starts after one another.
    #[must_use]
    pub fn role_log(&self, node: &str) -> PathBuf {
        self.dir.join(format!("{node}.log"))
    }

    /// The product's configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.dir.join("tandem.toml")
    }

    /// The product's log, all starts after one another.
    #[must_use]
    pub fn product_log(&self) -> PathBuf {
        self.dir.join("product.log")
    }

    /// The two programs.
    #[must_use]
    pub fn programs(&self) -> &Programs {
        &self.programs
    }
}
