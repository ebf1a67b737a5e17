//! Connections to the database: one that writes, some that read, each with a limit on how long anybody waits for it.
//!
//! Nothing here is connected before it is needed, and whatever fails is tried again by whoever asks next: a database that is
//! down takes nothing down with it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
    Transaction,
};
use tokio::sync::OnceCell;
use tokio_postgres::{IsolationLevel, NoTls, config::Host};

use super::{PostgresOptions, PostgresTls, migrate, tls};
use crate::ArchiveError;

/// So much longer than a read a group of batches may take, its turn included.
const WRITE_FACTOR: u32 = 5;
/// How long making or emptying the tables may take.
const PREPARE_WITHIN: Duration = Duration::from_secs(120);
/// A connection is kept open by this while a firewall between may forget it.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// One database.
pub(super) struct Database {
    writer: Pool,
    readers: Pool,
    /// How long a read may take.
    within: Duration,
    installation: [u8; 8],
    /// Host and name, for messages.
    name: String,
    /// The tables were looked at, and are ours.
    prepared: OnceCell<()>,
    /// The last attempt did not reach it; told once.
    is_down: AtomicBool,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Database {
    pub(super) fn new(
        options: &PostgresOptions,
        installation: [u8; 8],
    ) -> Result<Self, ArchiveError> {
        let mut config = parse(&options.url)?;
        if config.get_application_name().is_none() {
            config.application_name("tandem");
        }
        config.connect_timeout(options.timeout).keepalives_idle(KEEPALIVE_IDLE);
        let name = name_of(&config);
        let readers = options.pool_size.saturating_sub(1).max(1);
        let writer = pool(&config, options, 1)?;
        let readers = pool(&config, options, readers)?;
        let (prepared, is_down) = (OnceCell::new(), AtomicBool::new(false));
        let within = options.timeout;
        Ok(Self { writer, readers, within, installation, name, prepared, is_down })
    }

    /// Runs `work` on the writing connection.
    pub(super) async fn write<T>(
        &self,
        work: impl AsyncFnOnce(&mut Object) -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        self.prepare().await?;
        self.told(on(&self.writer, self.within * WRITE_FACTOR, work).await)
    }

    /// As [`Database::write`], with time to empty the tables.
    pub(super) async fn maintain<T>(
        &self,
        work: impl AsyncFnOnce(&mut Object) -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        self.prepare().await?;
        self.told(on(&self.writer, PREPARE_WITHIN, work).await)
    }

    /// Runs `work` in one read transaction, which sees one state of the tables.
    pub(super) async fn read<T>(
        &self,
        work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        self.prepare().await?;
        let done = on(&self.readers, self.within, async |client| {
            let builder = client.build_transaction().read_only(true);
            let builder = builder.isolation_level(IsolationLevel::RepeatableRead);
            let transaction = builder.start().await?;
            let value = work(&transaction).await?;
            transaction.commit().await?;
            Ok(value)
        });
        self.told(done.await)
    }

    /// Makes or checks the tables, once.
    async fn prepare(&self) -> Result<(), ArchiveError> {
        let migrate = || {
            on(&self.writer, PREPARE_WITHIN, async |client| {
                migrate::migrate(client, &self.name, self.installation).await
            })
        };
        let prepared = self.prepared.get_or_try_init(migrate).await.map(|()| ());
        if prepared.is_err() { self.told(prepared) } else { Ok(()) }
    }

    /// Says once that the database went away, and once that it is back.
    fn told<T>(&self, done: Result<T, ArchiveError>) -> Result<T, ArchiveError> {
        let is_down = matches!(done, Err(ArchiveError::Unreachable(_)));
        if self.is_down.swap(is_down, Ordering::Relaxed) != is_down {
            match &done {
                Err(error) => {
                    tracing::warn!(database = self.name, %error, "the read model waits");
                }
                Ok(_) => tracing::info!(database = self.name, "the read model's database is back"),
            }
        }
        done
    }
}

/// Runs `work` on a connection. One that failed, or did not answer in time, is closed: what it was doing is rolled back,
/// or was committed, and whoever asks again finds out which.
async fn on<T>(
    pool: &Pool,
    within: Duration,
    work: impl AsyncFnOnce(&mut Object) -> Result<T, ArchiveError>,
) -> Result<T, ArchiveError> {
    let mut client = pool.get().await?;
    let done = tokio::time::timeout(within, work(&mut client)).await.unwrap_or_else(|_| {
        Err(ArchiveError::Unreachable(format!("it did not answer within {within:?}")))
    });
    if done.is_err() {
        drop(Object::take(client));
    }
    done
}

fn parse(url: &str) -> Result<tokio_postgres::Config, ArchiveError> {
    let refused = |why: String| ArchiveError::Setting(why);
    // Its encryption is a setting of its own, which says more than this parameter can.
    if url.contains("sslmode=") {
        return Err(refused(
            "the database's URL must not carry sslmode: set archive.postgres.tls and archive.postgres.ca_file"
                .to_owned(),
        ));
    }
    let config: tokio_postgres::Config = url.parse().map_err(|error| {
        // The parser quotes nothing of what it was given.
        let why = crate::error::chain_text(&error);
        refused(format!(
            "the database's URL cannot be read ({why}): write postgres://user:password@host:5432/database"
        ))
    })?;
    if config.get_hosts().is_empty() {
        return Err(refused("the database's URL names no host".to_owned()));
    }
    Ok(config)
}

fn pool(
    config: &tokio_postgres::Config,
    options: &PostgresOptions,
    size: usize,
) -> Result<Pool, ArchiveError> {
    let mut config = config.clone();
    let recycle = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let is_local = config.get_hosts().iter().all(is_local);
    let connector = match &options.tls {
        PostgresTls::Off => None,
        PostgresTls::UnlessLocal if is_local => None,
        PostgresTls::UnlessLocal => Some(tls::connector(None)?),
        PostgresTls::Verify { ca_file } => Some(tls::connector(ca_file.as_deref())?),
    };
    let manager = match connector {
        None => {
            config.ssl_mode(tokio_postgres::config::SslMode::Disable);
            Manager::from_config(config, NoTls, recycle)
        }
        Some(connector) => {
            config.ssl_mode(tokio_postgres::config::SslMode::Require);
            Manager::from_config(config, connector, recycle)
        }
    };
    let built = Pool::builder(manager)
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(options.timeout * WRITE_FACTOR))
        .create_timeout(Some(options.timeout))
        .recycle_timeout(Some(options.timeout))
        .build();
    built.map_err(|error| ArchiveError::Setting(error.to_string()))
}

/// What is sent to this host stays on this machine.
fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

fn name_of(config: &tokio_postgres::Config) -> String {
    let host = config.get_hosts().first().map_or_else(String::new, |host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("{host}:{port}/{}", config.get_dbname().unwrap_or_default())
}

impl From<tokio_postgres::Error> for ArchiveError {
    fn from(error: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::SqlState;
        let Some(refusal) = error.as_db_error() else {
            return Self::Unreachable(crate::error::chain_text(&error));
        };
        // Without its detail, which quotes rows.
        let why = format!("{} ({})", refusal.message(), refusal.code().code());
        let is_passing = [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ];
        if is_passing.contains(refusal.code()) {
            Self::Unreachable(why)
        } else {
            Self::Refused(why)
        }
    }
}

impl From<PoolError> for ArchiveError {
    fn from(error: PoolError) -> Self {
        match error {
            // Whatever the server says while connecting (a wrong password, an unknown database), it may say otherwise later.
            PoolError::Backend(error) => match Self::from(error) {
                Self::Refused(why) => Self::Unreachable(why),
                other => other,
            },
            PoolError::Timeout(TimeoutType::Wait) => {
                Self::Unreachable("no connection to it was free in time".to_owned())
            }
            PoolError::Timeout(_) => Self::Unreachable("it did not answer in time".to_owned()),
            other => Self::Unreachable(other.to_string()),
        }
    }
}
