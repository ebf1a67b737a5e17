//! A real server that speaks S3 (moto), and a gate before it that can be shut, or cut a connection in the middle.

use std::{
    env,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream as BlockingStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{free_port, process, repository_root, temp_dir, wait_until_blocking};

/// Environment variable that names the server's executable.
pub const SERVER_VARIABLE: &str = "TANDEM_S3_SERVER";
/// Longest a server may take until it answers: it is Python.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Longest an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// Ports that are tried: another process may take a free one first.
const PORTS_MAX: usize = 5;
/// Whose the buckets are. The server looks at the form, not at the signature.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/s3/aws4_request, \
                             SignedHeaders=host, Signature=0";
/// Bytes at once through the gate.
const CHUNK_BYTES: usize = 16 * 1024;

/// Why there is no server, or no answer of it.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// No executable in any of the known places.
    #[error(
        "no S3 server: run scripts/setup-s3-server.sh, or set {SERVER_VARIABLE} to a moto_server"
    )]
    NotFound,
    /// The process, one of its files or a connection failed.
    #[error("the S3 server cannot be run")]
    Io(#[from] io::Error),
    /// It did not become ready.
    #[error("the S3 server is not ready ({log})")]
    NotReady {
        /// The end of what it logged.
        log: String,
    },
    /// It answered, and not with success.
    #[error("the S3 server answered {0}")]
    Refused(String),
}

/// A running server, whose buckets are in its memory; it is killed when this is dropped.
#[derive(Debug)]
pub struct S3Server {
    port: u16,
    child: Child,
    dir: TempDir,
}

impl S3Server {
    /// The server that the tests of this process share, started by the first who asks; it ends with the last who has it.
    ///
    /// # Errors
    /// When there is no executable, or it does not become ready.
    pub async fn shared() -> Result<Arc<Self>, S3Error> {
        static SHARED: Mutex<Weak<S3Server>> = Mutex::new(Weak::new());
        let shared = tokio::task::spawn_blocking(|| {
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(running) = shared.upgrade() {
                return Ok(running);
            }
            let started = Arc::new(Self::start_blocking()?);
            *shared = Arc::downgrade(&started);
            Ok(started)
        });
        shared.await.map_err(io::Error::other)?
    }

    fn start_blocking() -> Result<Self, S3Error> {
        let executable = find_server()?;
        for _ in 1..PORTS_MAX {
            match Self::launch(&executable) {
                Err(S3Error::NotReady { log }) if log.contains("in use") => {}
                launched => return launched,
            }
        }
        Self::launch(&executable)
    }

    fn launch(executable: &Path) -> Result<Self, S3Error> {
        let (port, dir) = (free_port()?, temp_dir()?);
        let log = File::create(dir.path().join("server.log"))?;
        let mut command = process::command(executable);
        command
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = process::spawn(command)?;
        let mut server = Self { port, child, dir };
        let address = server.address();
        let is_over = || {
            !matches!(server.child.try_wait(), Ok(None)) || BlockingStream::connect(address).is_ok()
        };
        let waited = wait_until_blocking(READY_WITHIN, "the S3 server to answer", is_over);
        // Whoever else listens there is not it.
        if waited.is_ok() && matches!(server.child.try_wait(), Ok(None)) {
            return Ok(server);
        }
        let log = fs::read_to_string(server.dir.path().join("server.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        Err(S3Error::NotReady { log: lines.join(" | ") })
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Makes a bucket; each test has one of its own.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn make_bucket(&self, bucket: &str) -> Result<(), S3Error> {
        self.put(bucket, &[])
    }

    /// Puts an object, whatever is there under its name: what a bucket's owner can do, and the product never does.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn overwrite(&self, bucket: &str, object: &str, bytes: &[u8]) -> Result<(), S3Error> {
        self.put(&format!("{bucket}/{object}"), bytes)
    }

    fn put(&self, path: &str, body: &[u8]) -> Result<(), S3Error> {
        let mut connection = BlockingStream::connect(self.address())?;
        connection.set_read_timeout(Some(ANSWER_WITHIN))?;
        let head = format!(
            "PUT /{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {AUTHORIZATION}\r\nContent-Type: \
             application/octet-stream\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.address(),
            body.len()
        );
        connection.write_all(head.as_bytes())?;
        connection.write_all(body)?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.lines().next().unwrap_or_default();
        if status.contains(" 200") { Ok(()) } else { Err(S3Error::Refused(status.to_owned())) }
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // Nothing can be done about a process that cannot be killed.
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }
}

fn find_server() -> Result<PathBuf, S3Error> {
    let named = env::var_os(SERVER_VARIABLE).map(PathBuf::from);
    let paths = env::var_os("PATH").unwrap_or_default();
    let folders = [repository_root().join(".tools/s3/venv/bin")]
        .into_iter()
        .chain(env::split_paths(&paths))
        .map(|folder| folder.join("moto_server"));
    named.into_iter().chain(folders).find(|path| path.is_file()).ok_or(S3Error::NotFound)
}

/// A way to a server that lets through so many bytes and then ends every connection. Its connections end with it.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    /// Bytes that may still go to the server.
    left: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Gate {
    /// An open gate before `server`.
    ///
    /// # Errors
    /// When the system has no free port.
    pub async fn before(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let left = Arc::new(AtomicU64::new(u64::MAX));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, Arc::clone(&left)));
        Ok(Self { address, left, _tasks: tasks })
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets so many more bytes go to the server; 0 shuts the gate.
    pub fn let_through(&self, bytes: u64) {
        self.left.store(bytes, Ordering::SeqCst);
    }

    /// Lets everything through.
    pub fn open(&self) {
        self.let_through(u64::MAX);
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, left: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    let left = Arc::clone(&left);
                    connections.spawn(async move { drop(pass(client, server, &left).await) });
                }
                Err(_) => return,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn pass(client: TcpStream, server: SocketAddr, left: &AtomicU64) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let forth = async {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = from_client.read(&mut chunk).await?;
            let allowed = take(left, read);
            to_server.write_all(chunk.get(..allowed).unwrap_or_default()).await?;
            if allowed < read || read == 0 {
                return Ok(());
            }
        }
    };
    let back = async { tokio::io::copy(&mut from_server, &mut to_client).await.map(drop) };
    // Whichever ends first ends both.
    tokio::select! {
        done = forth => done,
        done = back => done,
    }
}

/// How many of `wanted` bytes may pass.
fn take(left: &AtomicU64, wanted: usize) -> usize {
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    let less = |left: u64| if left == u64::MAX { left } else { left.saturating_sub(wanted) };
    let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(less(left)));
    usize::try_from(before.unwrap_or(0).min(wanted)).unwrap_or(0)
}
