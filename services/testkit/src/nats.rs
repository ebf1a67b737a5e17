//! Real NATS servers: processes of one test, on ports of their own, with store directories of their own.

mod cluster;
mod keys;

pub use cluster::NatsCluster;
pub use keys::{ROLES, RoleKeys};

use std::{
    env,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use rustix::process::Signal;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::{TimedOut, process, repository_root, temp_dir, wait_until, wait_until_blocking};

/// Environment variable that names the server's executable.
pub const SERVER_VARIABLE: &str = "TANDEM_NATS_SERVER";

/// Files of `deploy/nats` that say where the store is.
const WITH_STORE: [&str; 2] = ["cluster.conf", "production.conf"];

/// Where monitoring listens: on a port that nobody else has.
const ANY_PORT: &str = "\"127.0.0.1:-1\"";

/// The file with a server's own configuration.
const CONFIGURATION: &str = "server.conf";

/// Longest a server may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Longest the system may take to stop all threads of a process.
const STOPPED_WITHIN: Duration = Duration::from_secs(5);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// No executable in any of the known places.
    #[error(
        "no nats-server: set {SERVER_VARIABLE}, put it on the PATH, or run scripts/install-nats-server.sh"
    )]
    NotFound,
    /// The process or one of its files failed.
    #[error("the NATS server cannot be run")]
    Io(#[from] io::Error),
    /// It did not become ready.
    #[error("the NATS server is not ready ({log})")]
    NotReady {
        /// The end of what it logged.
        log: String,
        /// What was waited for.
        source: TimedOut,
    },
    /// The servers do not form a cluster.
    #[error("the NATS servers do not form a cluster")]
    NoCluster(#[source] TimedOut),
}

/// What a server is started with, besides a port and a store of its own.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Text of its configuration; it may include the files of `deploy/nats`, which lie beside it.
    pub configuration: Option<String>,
    /// Variables that the configuration names.
    pub variables: Vec<(String, String)>,
    /// More arguments.
    pub arguments: Vec<String>,
}

impl Setup {
    /// A configuration that consists of files of `deploy/nats`.
    #[must_use]
    pub fn deployed(files: &[&str]) -> Self {
        let mut text: String = files.iter().map(|file| format!("include \"{file}\"\n")).collect();
        // A store named twice is refused.
        if !files.iter().any(|file| WITH_STORE.contains(file)) {
            text += "jetstream { store_dir: $NATS_STORE }\n";
        }
        Self { configuration: Some(text), ..Self::default() }
    }

    /// A server that belongs to no cluster, with a fsync policy (`sync_interval`), monitoring and limits as in `cluster.conf`.
    #[must_use]
    pub fn alone(sync_interval: &str) -> Self {
        let text = format!(
            "http: {ANY_PORT}\nmax_payload: 1MB\n\
             jetstream {{ store_dir: $NATS_STORE, sync_interval: {sync_interval:?} }}\n"
        );
        Self { configuration: Some(text), ..Self::default() }
    }

    /// With one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A running server; it is killed and its store removed when this is dropped.
#[derive(Debug)]
pub struct NatsServer {
    executable: PathBuf,
    dir: TempDir,
    setup: Setup,
    port: u16,
    route_port: u16,
    monitor_port: u16,
    child: Option<Child>,
}

/// What the server writes about its listeners.
#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
    #[serde(default)]
    cluster: Vec<String>,
    #[serde(default)]
    monitoring: Vec<String>,
}

impl Ports {
    fn read(file: &Path) -> Option<Self> {
        let ports: Self = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        (!ports.nats.is_empty()).then_some(ports)
    }
}

/// Where clients connect to a port: a server's, or a [`Link`](crate::Link)'s to it.
#[must_use]
pub fn url_at(port: u16) -> String {
    format!("nats://127.0.0.1:{port}")
}

fn port_of(addresses: &[String]) -> u16 {
    let port = addresses.first().and_then(|address| address.rsplit(':').next());
    port.and_then(|port| port.parse().ok()).unwrap_or_default()
}

/// The executable: `TANDEM_NATS_SERVER`, the `PATH`, `.tools/bin` of the repository, `~/go/bin`.
///
/// # Errors
/// [`NatsError::NotFound`] when none of them has it.
pub fn find_server() -> Result<PathBuf, NatsError> {
    let named = env::var_os(SERVER_VARIABLE).map(PathBuf::from);
    let paths = env::var_os("PATH").unwrap_or_default();
    let go = env::var_os("HOME").map(|home| Path::new(&home).join("go/bin"));
    let folders = env::split_paths(&paths)
        .chain([repository_root().join(".tools/bin")])
        .chain(go)
        .map(|folder| folder.join("nats-server"));
    named.into_iter().chain(folders).find(|path| path.is_file()).ok_or(NatsError::NotFound)
}

impl NatsServer {
    /// Starts a server with JetStream and waits until it answers.
    ///
    /// # Errors
    /// When there is no executable, or it does not become ready.
    pub async fn start() -> Result<Self, NatsError> {
        Self::start_with(Setup::default()).await
    }

    /// As [`NatsServer::start`], with a configuration.
    ///
    /// # Errors
    /// When there is no executable, the configuration is wrong, or it does not become ready.
    pub async fn start_with(setup: Setup) -> Result<Self, NatsError> {
        let (executable, dir) = (find_server()?, temp_dir()?);
        if let Some(configuration) = &setup.configuration {
            for file in fs::read_dir(repository_root().join("deploy/nats"))? {
                let file = file?;
                fs::copy(file.path(), dir.path().join(file.file_name()))?;
            }
            fs::write(dir.path().join(CONFIGURATION), configuration)?;
        }
        let (port, route_port, monitor_port, child) = (0, 0, 0, None);
        let mut server = Self { executable, dir, setup, port, route_port, monitor_port, child };
        server.launch().await?;
        Ok(server)
    }

    /// The port where other servers connect; 0 where there is none.
    fn route_port(&self) -> u16 {
        self.route_port
    }

    /// Where it tells what it does, if its configuration has it tell that.
    #[must_use]
    pub fn monitor(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitor_port)
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        url_at(self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The directory of its streams.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Kills the process (SIGKILL) and waits for its end. The store stays.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> io::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill()?;
        child.wait().map(drop)
    }

    /// Starts the server again on the same port and store, after [`NatsServer::kill`] or instead of it.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn restart(&mut self) -> Result<(), NatsError> {
        self.kill()?;
        self.launch().await
    }

    /// Stops the process in place (SIGSTOP): connections stay open and nothing is answered. Returns when every thread
    /// stands still: the signal alone lets a busy thread answer once more.
    ///
    /// # Errors
    /// When the system refuses, or a thread does not stop.
    pub fn pause(&self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        let stopped = || self.child.as_ref().is_some_and(|child| all_threads_stopped(child.id()));
        wait_until_blocking(STOPPED_WITHIN, "every thread of nats-server to stop", stopped)
            .map_err(|error| io::Error::new(io::ErrorKind::TimedOut, error.to_string()))
    }

    /// Lets a paused process go on (SIGCONT).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        process::signal(self.id().ok_or(io::ErrorKind::NotFound)?, signal)
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    async fn launch(&mut self) -> Result<(), NatsError> {
        let ports_dir = self.dir.path().join("ports");
        if ports_dir.exists() {
            fs::remove_dir_all(&ports_dir)?;
        }
        fs::create_dir(&ports_dir)?;
        // The first time the server chooses a port nobody else has; afterwards it keeps it.
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let store = self.store();
        let mut command = process::command(&self.executable);
        command
            .args(["--addr", "127.0.0.1", "--port", &port])
            .arg("--ports_file_dir")
            .arg(&ports_dir)
            .args(&self.setup.arguments)
            .env("NATS_STORE", &store)
            .envs(self.setup.variables.iter().map(|(name, value)| (name, value)));
        if self.setup.configuration.is_some() {
            command.arg("--config").arg(self.dir.path().join(CONFIGURATION));
        } else {
            command.args(["--jetstream", "--store_dir"]).arg(&store);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = process::spawn(command)?;
        let ports_file = ports_dir.join(format!("nats-server_{}.ports", child.id()));
        self.child = Some(child);
        let mut ports = None;
        let written = || {
            ports = Ports::read(&ports_file);
            ports.is_some()
        };
        let waited = wait_until(READY_WITHIN, "the server naming its port", written).await;
        waited.map_err(|source| self.not_ready(source))?;
        if let Some(ports) = ports {
            self.port = port_of(&ports.nats);
            self.route_port = port_of(&ports.cluster);
            self.monitor_port = port_of(&ports.monitoring);
        }
        self.wait_for_greeting().await
    }

    /// The server greets every connection; JetStream is up before it listens.
    async fn wait_for_greeting(&self) -> Result<(), NatsError> {
        let greeting = async {
            let connection = TcpStream::connect(("127.0.0.1", self.port)).await?;
            let mut line = String::new();
            BufReader::new(connection).read_line(&mut line).await?;
            Ok::<_, io::Error>(line)
        };
        let line = timeout(READY_WITHIN, greeting).await.map_err(io::Error::other)??;
        if line.contains("\"jetstream\":true") {
            return Ok(());
        }
        Err(io::Error::other(format!("the server greeted with {line}")).into())
    }

    /// The last lines that it logged.
    fn log_tail(&self, lines: usize) -> Vec<String> {
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        let mut tail: Vec<_> = log.lines().rev().take(lines).map(ToOwned::to_owned).collect();
        tail.reverse();
        tail
    }

    fn not_ready(&self, source: TimedOut) -> NatsError {
        NatsError::NotReady { log: self.log_tail(5).join(" | "), source }
    }
}

impl Drop for NatsServer {
    #[expect(clippy::print_stderr, reason = "a failing test shows it")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{} logged last:\n{}", self.url(), self.log_tail(40).join("\n"));
        }
        // Nothing can be done about a process that cannot be killed.
        drop(self.kill());
    }
}

/// Whether every thread of a process is stopped by a signal (state `T` in proc(5)).
fn all_threads_stopped(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    })
}
