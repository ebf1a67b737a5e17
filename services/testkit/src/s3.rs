//! A real server that speaks S3, and a gate before it that can be shut, or cut a connection short.

use std::{
    env,
    fs::File,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{TimedOut, free_port, repository_root, temp_dir, wait_for};

/// Environment variable that names the server's executable.
pub const SERVER_VARIABLE: &str = "TANDEM_S3_SERVER";
/// Longest a server may take until it answers: it is Python.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Whose the bucket is. The server looks at the name, not at the signature.
const AUTHORIZATION: &str = "Authorization: AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/s3/aws4_request, \
     SignedHeaders=host, Signature=0\r\n";
/// Bytes at once through the gate.
const CHUNK_BYTES: usize = 16 * 1024;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// No executable in any of the known places.
    #[error(
        "no S3 server: set {SERVER_VARIABLE} to moto_server, or run scripts/setup-s3-server.sh"
    )]
    NotFound,
    /// The process or one of its files failed.
    #[error("the S3 server cannot be run")]
    Io(#[from] io::Error),
    /// It did not become ready.
    #[error("the S3 server is not ready")]
    NotReady(#[from] TimedOut),
}

/// A running server with one bucket; it is killed when this is dropped.
#[derive(Debug)]
pub struct S3Server {
    port: u16,
    child: Child,
    _dir: TempDir,
}

impl S3Server {
    /// The name of its bucket.
    pub const BUCKET: &str = "tandem";

    /// Starts a server and makes the bucket.
    ///
    /// # Errors
    /// When there is no executable, or it does not become ready.
    pub async fn start() -> Result<Self, S3Error> {
        let (executable, port, dir) = (find_server()?, free_port()?, temp_dir()?);
        let log = File::create(dir.path().join("server.log"))?;
        let child = Command::new(executable)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let server = Self { port, child, _dir: dir };
        let make = async || server.make_bucket().await.ok().filter(|made| *made);
        wait_for(READY_WITHIN, "the S3 server making a bucket", make).await?;
        Ok(server)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    async fn make_bucket(&self) -> io::Result<bool> {
        let mut connection = TcpStream::connect(self.address()).await?;
        let request = format!(
            "PUT /{} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n{AUTHORIZATION}Connection: close\r\n\r\n",
            Self::BUCKET,
            self.address()
        );
        connection.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer)
            .lines()
            .next()
            .is_some_and(|line| line.contains(" 200")))
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

/// A way to a server that lets through so many bytes and then cuts every connection.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    /// Bytes that may still go to the server.
    left: Arc<AtomicU64>,
    run: JoinHandle<()>,
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
        let allowed = Arc::clone(&left);
        let run = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let allowed = Arc::clone(&allowed);
                // It ends with its connection.
                drop(tokio::spawn(async move { drop(pass(client, server, &allowed).await) }));
            }
        });
        Ok(Self { address, left, run })
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

impl Drop for Gate {
    fn drop(&mut self) {
        self.run.abort();
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
            let wanted = u64::try_from(read).unwrap_or(u64::MAX);
            let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                Some(if left == u64::MAX { left } else { left.saturating_sub(wanted) })
            });
            let allowed = taken.unwrap_or(0).min(wanted);
            let allowed = usize::try_from(allowed).unwrap_or(0);
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
