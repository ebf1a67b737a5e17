//! Reaching the running process, or the directory where none runs.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use api::v1::admin_client::AdminClient;
use chassis::config::Config;
use clap::Args;
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use super::offline::Directory;
use crate::desk_client::{client_tls, said, with_causes};

/// File in the data directory that says where the running process serves gRPC.
pub(crate) const ADDRESS_FILE: &str = "desk.address";
/// File in the data directory with the operator's token, where none is configured.
const TOKEN_FILE: &str = "admin.token";
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A backup copies as long as it takes.
const CALL_WITHIN: Duration = Duration::from_secs(3600);

/// How to reach a process.
#[derive(Clone, Debug, Args)]
pub(crate) struct Reach {
    #[command(flatten)]
    config: crate::cli::ConfigArgs,
    /// Where the process serves gRPC, `http://127.0.0.1:8081` or `https://…`; found out when not given.
    #[arg(long)]
    address: Option<String>,
}

/// A connection to the service `Admin`.
pub(crate) struct Connection {
    client: AdminClient<Channel>,
    bearer: MetadataValue<Ascii>,
    /// Open as long as the connection, where no process runs.
    directory: Option<Directory>,
}

impl Reach {
    pub(super) fn load(&self) -> anyhow::Result<Config> {
        Ok(Config::load(self.config.config.as_deref())?)
    }

    /// Connects to the running process.
    pub(super) async fn running(&self) -> anyhow::Result<Connection> {
        let config = self.load()?;
        let endpoint = self.endpoint(&config)?;
        let uri = endpoint.uri().to_string();
        let channel = endpoint.connect().await.map_err(|error| {
            let why = with_causes(&error);
            anyhow!("no process answers at {uri} ({why}): start `tandem up`, or give --address")
        })?;
        Connection::new(channel, &token(&config)?, None)
    }

    /// Connects to the running process; where none holds the directory, opens it.
    pub(super) async fn running_or_directory(&self) -> anyhow::Result<Connection> {
        let config = self.load()?;
        let endpoint = self.endpoint(&config)?;
        let uri = endpoint.uri().to_string();
        let why = match endpoint.connect().await {
            Ok(channel) => return Connection::new(channel, &token(&config)?, None),
            Err(error) => with_causes(&error),
        };
        if self.address.is_some() {
            bail!("no process answers at that address: {why}");
        }
        let directory = Directory::open(config).await.with_context(|| format!("{uri}: {why}"))?;
        let endpoint = Endpoint::from_shared(format!("http://{}", directory.address))?;
        let channel = endpoint.timeout(CALL_WITHIN).connect().await?;
        let token = directory.token.clone();
        Connection::new(channel, &token, Some(directory))
    }

    fn endpoint(&self, config: &Config) -> anyhow::Result<Endpoint> {
        let tls = config.desk.tls.as_ref();
        let told = std::fs::read_to_string(config.data_dir.join(ADDRESS_FILE)).ok();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let address = match (&self.address, told) {
            (Some(address), _) => address.clone(),
            (None, Some(told)) => format!("{scheme}://{}", told.trim()),
            (None, None) => format!("{scheme}://{}", config.desk.listen),
        };
        let endpoint = Endpoint::from_shared(address.clone())
            .with_context(|| format!("{address} is no address: write http://127.0.0.1:8081"))?
            .connect_timeout(CONNECT_WITHIN)
            .timeout(CALL_WITHIN);
        if !address.starts_with("https") {
            return Ok(endpoint);
        }
        endpoint.tls_config(client_tls(&config.desk.client, tls)?).context("cannot set up TLS")
    }
}

impl Connection {
    fn new(channel: Channel, token: &str, directory: Option<Directory>) -> anyhow::Result<Self> {
        let bearer =
            format!("Bearer {token}").parse().context("the admin token is not plain text")?;
        Ok(Self { client: AdminClient::new(channel), bearer, directory })
    }

    /// Calls the service with the operator's token.
    pub(super) async fn call<T, R>(
        &mut self,
        message: T,
        call: impl AsyncFnOnce(&mut AdminClient<Channel>, Request<T>) -> Result<Response<R>, Status>,
    ) -> anyhow::Result<R> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.clone());
        match call(&mut self.client, request).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => bail!(said(&status)),
        }
    }

    /// Whether a process runs.
    pub(super) fn is_running(&self) -> bool {
        self.directory.is_none()
    }

    /// Ends the work on a directory in good order.
    pub(super) async fn close(self) {
        if let Some(directory) = self.directory {
            directory.close().await;
        }
    }
}

/// The operator's token: the configured one, or the one in the data directory, made where there is none.
pub(crate) fn token(config: &Config) -> anyhow::Result<String> {
    if let Some(token) = &config.admin.token {
        return Ok(token.expose().to_owned());
    }
    let path = config.data_dir.join(TOKEN_FILE);
    match std::fs::read_to_string(&path) {
        Ok(token) => {
            let token = token.trim().to_owned();
            anyhow::ensure!(
                token.chars().count() >= 16,
                "{} holds no token: remove the file and start the process again",
                path.display()
            );
            Ok(token)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => make_token(&path),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn make_token(path: &Path) -> anyhow::Result<String> {
    let mut bytes = [0; 24];
    crate::backup::randomize(&mut bytes)?;
    let token = crate::backup::hex(&bytes);
    let draft: PathBuf = path.with_extension(format!("{}.draft", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(token.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(token)
}
