//! Real Postgres servers: one process on a port of its own, with a data directory of its own.

use std::{
    env,
    fs::{self, File},
    io,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use rustix::process::{Signal, getuid};
use tempfile::TempDir;

use crate::{
    free_port,
    process::{self, signal},
    temp_dir, wait_until_blocking,
};

/// Environment variable that names the directory of the server's executables.
pub const BIN_VARIABLE: &str = "TANDEM_POSTGRES_BIN";
/// Where Debian and its children put them, one directory a version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The superuser of every server, who needs no password.
const USER: &str = "tandem";
/// Users that a server may run as where the tests run as root, whom it refuses.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];
/// Longest a server may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Longest the system may take to stop all threads of a process.
const STOPPED_WITHIN: Duration = Duration::from_secs(5);
/// What it logs when it takes connections.
const READY: &str = "ready to accept connections";
/// Ports that are tried: another process may take a free one first.
const PORTS_MAX: usize = 5;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No executables in any of the known places.
    #[error(
        "no Postgres server: set {BIN_VARIABLE} to the directory of initdb and postgres, or run scripts/install-postgres.sh"
    )]
    NotFound,
    /// It refuses to run as root, and there is nobody else to run it as.
    #[error("Postgres does not run as root, and there is neither a user postgres nor nobody")]
    NoUser,
    /// The data directory could not be made.
    #[error("initdb failed: {0}")]
    Init(String),
    /// The process or one of its files failed.
    #[error("the Postgres server cannot be run")]
    Io(#[from] io::Error),
    /// It did not become ready.
    #[error("the Postgres server is not ready ({log})")]
    NotReady {
        /// The end of what it logged.
        log: String,
    },
}

/// A running server; it is killed and its data removed when this is dropped.
#[derive(Debug)]
pub struct PostgresServer {
    bin: PathBuf,
    dir: TempDir,
    port: u16,
    owner: Option<Owner>,
    child: Option<Child>,
    /// Further lines of its configuration.
    settings: Vec<String>,
}

/// Whom the server runs as, where that is not who runs the tests.
#[derive(Clone, Copy, Debug)]
struct Owner {
    user: u32,
    group: u32,
}

/// The directory of `initdb` and `postgres`: `TANDEM_POSTGRES_BIN`, the `PATH`, the newest of Debian's.
///
/// # Errors
/// [`PostgresError::NotFound`] when none of them has both.
pub fn find_bin() -> Result<PathBuf, PostgresError> {
    let named = env::var_os(BIN_VARIABLE).map(PathBuf::from);
    let paths = env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    debian.sort();
    let debian = debian.into_iter().rev().map(|(_, bin)| bin);
    let has_both = |bin: &PathBuf| bin.join("initdb").is_file() && bin.join("postgres").is_file();
    let mut bins = named.into_iter().chain(env::split_paths(&paths)).chain(debian);
    bins.find(has_both).ok_or(PostgresError::NotFound)
}

/// Where clients connect to a database at a port: a server's, or a [`Link`](crate::Link)'s to it.
#[must_use]
pub fn url_at(port: u16, database: &str) -> String {
    format!("postgres://{USER}@127.0.0.1:{port}/{database}")
}

impl PostgresServer {
    /// Makes a data directory, starts a server on it and waits until it answers.
    ///
    /// # Errors
    /// When there are no executables, or it does not become ready.
    pub async fn start() -> Result<Self, PostgresError> {
        blocking(|| Self::start_blocking(&[])).await
    }

    /// As [`PostgresServer::start`], with further lines of `postgresql.conf`.
    ///
    /// # Errors
    /// As [`PostgresServer::start`].
    pub async fn start_with(settings: &[&str]) -> Result<Self, PostgresError> {
        let settings: Vec<String> = settings.iter().map(|line| (*line).to_owned()).collect();
        blocking(move || Self::start_blocking(&settings)).await
    }

    /// The server that the tests of this process share, started by the first who asks; it ends with the last who has it.
    ///
    /// # Errors
    /// As [`PostgresServer::start`].
    pub async fn shared() -> Result<Arc<Self>, PostgresError> {
        static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
        blocking(|| {
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(running) = shared.upgrade() {
                return Ok(running);
            }
            let started = Arc::new(Self::start_blocking(&[])?);
            *shared = Arc::downgrade(&started);
            Ok(started)
        })
        .await
    }

    fn start_blocking(settings: &[String]) -> Result<Self, PostgresError> {
        let (bin, dir, owner) = (find_bin()?, temp_dir()?, owner()?);
        if let Some(owner) = owner {
            chown(dir.path(), Some(owner.user), Some(owner.group))?;
        }
        let settings = settings.to_vec();
        let mut server = Self { bin, dir, port: 0, owner, child: None, settings };
        server.init()?;
        let mut left = PORTS_MAX;
        loop {
            server.port = free_port()?;
            left -= 1;
            match server.launch() {
                Err(PostgresError::NotReady { log, .. })
                    if left > 0 && log.contains("Address already in use") => {}
                launched => return launched.map(|()| server),
            }
        }
    }

    /// Where clients connect, to this database.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url_at(self.port, database)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its data directory, for what a test wants to put beside the data (certificates).
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Gives a file in the data directory to whom the server runs as, readable by nobody else.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn own(&self, file: &Path) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
        match self.owner {
            Some(owner) => chown(file, Some(owner.user), Some(owner.group)),
            None => Ok(()),
        }
    }

    /// Kills the server (SIGKILL) and waits for its end; its other processes notice and end. The data stays.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> io::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let others = children(child.id());
        child.kill()?;
        child.wait()?;
        let gone = || others.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        // They look for their parent at once, unless they stand still; then they are killed as well.
        if wait_until_blocking(STOPPED_WITHIN, "the server's processes to end", gone).is_err() {
            others.iter().for_each(|pid| drop(signal(*pid, Signal::KILL)));
        }
        Ok(())
    }

    /// Starts the server again on the same port and data, after [`PostgresServer::kill`] or instead of it.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn restart(&mut self) -> Result<(), PostgresError> {
        self.kill()?;
        self.launch()
    }

    /// Stops all its processes in place (SIGSTOP): connections stay open and nothing is answered.
    ///
    /// # Errors
    /// When the system refuses, or a process does not stop.
    pub fn pause(&self) -> io::Result<()> {
        // The server first, so that it starts no more processes.
        let pid = self.pid()?;
        signal(pid, Signal::STOP)?;
        let others = children(pid);
        others.iter().for_each(|pid| drop(signal(*pid, Signal::STOP)));
        let stopped = || others.iter().chain([&pid]).all(|pid| is_stopped(*pid));
        wait_until_blocking(STOPPED_WITHIN, "every process of Postgres to stop", stopped)
            .map_err(|error| io::Error::new(io::ErrorKind::TimedOut, error.to_string()))
    }

    /// Lets a paused server go on (SIGCONT).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn resume(&self) -> io::Result<()> {
        let pid = self.pid()?;
        children(pid).iter().for_each(|pid| drop(signal(*pid, Signal::CONT)));
        signal(pid, Signal::CONT)
    }

    /// CPU time of the server and of its processes that still live.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        let Ok(pid) = self.pid() else { return Duration::ZERO };
        children(pid).into_iter().chain([pid]).filter_map(process::cpu).sum()
    }

    fn pid(&self) -> io::Result<u32> {
        let none = || io::Error::from(io::ErrorKind::NotFound);
        self.child.as_ref().map(Child::id).ok_or_else(none)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = process::command(&self.bin.join(name));
        command.current_dir(self.dir.path()).stdin(Stdio::null()).env("LC_ALL", "C");
        if let Some(owner) = self.owner {
            command.uid(owner.user).gid(owner.group);
        }
        command
    }

    fn init(&self) -> Result<(), PostgresError> {
        let data = self.data_dir();
        let made = self
            .command("initdb")
            .args([
                "--no-sync",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--username",
                USER,
            ])
            .arg("--pgdata")
            .arg(&data)
            .output()?;
        if !made.status.success() {
            return Err(PostgresError::Init(String::from_utf8_lossy(&made.stderr).into_owned()));
        }
        // A test loses no power: what a killed process wrote is still in the system's memory.
        let lines = ["fsync = off", "max_connections = 200", "shared_buffers = '32MB'"];
        let more = self.settings.iter().map(String::as_str);
        let text: String = lines.into_iter().chain(more).map(|line| format!("{line}\n")).collect();
        let file = data.join("postgresql.conf");
        let before = fs::read_to_string(&file)?;
        fs::write(&file, before + &text).map_err(PostgresError::from)
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    fn launch(&mut self) -> Result<(), PostgresError> {
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let from = log.metadata()?.len();
        let socket_dir = format!("unix_socket_directories={}", self.dir.path().display());
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(self.data_dir())
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-c", &socket_dir])
            .stdout(log.try_clone()?)
            .stderr(log);
        self.child = Some(process::spawn(command)?);
        let path = self.log_path();
        let child = &mut self.child;
        let over = || {
            let ended = child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            ended || said_since(&path, from).contains(READY)
        };
        let waited = wait_until_blocking(READY_WITHIN, READY, over);
        let log = said_since(&path, from);
        if waited.is_ok() && log.contains(READY) {
            return Ok(());
        }
        self.kill()?;
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        Err(PostgresError::NotReady { log: lines.join(" | ") })
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // Nothing can be done about a process that cannot be killed.
        drop(self.kill());
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PostgresError> + Send + 'static,
) -> Result<T, PostgresError> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// What was logged after the first `from` bytes.
fn said_since(log: &Path, from: u64) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
}

/// Nobody, unless the tests run as root.
fn owner() -> Result<Option<Owner>, PostgresError> {
    if !getuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(|field| field.parse().ok());
        Some(Owner { user: numbers.next()??, group: numbers.next()?? })
    };
    let found = UNPRIVILEGED.iter().find_map(|name| of(name));
    found.map(Some).ok_or(PostgresError::NoUser)
}

/// Processes that `parent` started, by proc(5).
fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

/// The fourth field; the second, a name in brackets, may hold spaces.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Whether a process, which has one thread, is stopped by a signal (state `T` in proc(5)) or has ended.
fn is_stopped(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 'Z']))
}
