//! A read model of either kind, for tests that must hold on both.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tempfile::TempDir;
use testkit::postgres::PostgresServer;
use tokio_postgres::Client;

use super::support::sealer;
use crate::{
    PostgresOptions, PostgresRepository, PostgresTls, Repository, SqliteRepository, tables::TABLES,
};

/// Which database keeps the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

/// Makes two tests of each function, one on each kind of read model.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::tests::tables::Kind;

            #[tokio::test]
            async fn sqlite() {
                super::$name(Kind::Sqlite).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::$name(Kind::Postgres).await;
            }
        }
    )+};
}
pub(super) use on_both;

/// The tables, empty at first.
pub(super) enum Tables {
    Sqlite(SqliteRepository, Arc<TempDir>),
    Postgres(PostgresRepository, String, Arc<PostgresServer>),
}

impl Tables {
    pub(super) async fn new(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => Self::sqlite(Arc::new(tempfile::tempdir().unwrap())),
            Kind::Postgres => {
                let server = PostgresServer::shared().await.unwrap();
                let url = schema(&server).await;
                Self::Postgres(postgres(&url), url, server)
            }
        }
    }

    fn sqlite(dir: Arc<TempDir>) -> Self {
        let path = dir.path().join("archive.sqlite");
        Self::Sqlite(SqliteRepository::open(&path, sealer().fingerprint()).unwrap(), dir)
    }

    /// The same tables, opened by another process.
    pub(super) fn reopen(&self) -> Self {
        match self {
            Self::Sqlite(_, dir) => Self::sqlite(Arc::clone(dir)),
            Self::Postgres(_, url, server) => {
                Self::Postgres(postgres(url), url.clone(), Arc::clone(server))
            }
        }
    }

    pub(super) fn repository(&self) -> Arc<dyn Repository> {
        match self {
            Self::Sqlite(repository, _) => Arc::new(repository.clone()),
            Self::Postgres(repository, ..) => Arc::new(repository.clone()),
        }
    }

    /// Takes all rows out, some hundred times in a test. In Postgres not by `clear`: TRUNCATE makes a new file of each table and
    /// index, which takes longer than all that the test is about.
    pub(super) async fn empty(&self) {
        match self {
            Self::Sqlite(repository, _) => repository.clear().await.unwrap(),
            Self::Postgres(repository, url, _) => {
                // Makes them, the first time.
                repository.cursors().await.unwrap();
                let filled = TABLES.iter().filter(|table| **table != "installation");
                let sql: String = filled.map(|table| format!("DELETE FROM {table};")).collect();
                execute(url, &sql).await;
            }
        }
    }

    pub(super) async fn dump(&self) -> BTreeMap<String, Vec<String>> {
        match self {
            Self::Sqlite(repository, _) => repository.dump().await.unwrap(),
            Self::Postgres(repository, ..) => repository.dump().await.unwrap(),
        }
    }
}

/// The URL of an empty schema of its own.
pub(super) async fn schema(server: &PostgresServer) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("of_test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    execute(&server.url("postgres"), &format!("CREATE SCHEMA {name}")).await;
    format!("{}?options=-csearch_path%3D{name}", server.url("postgres"))
}

/// Statements on a connection of their own.
pub(super) async fn execute(url: &str, sql: &str) {
    connected(url, async |client| client.batch_execute(sql).await.unwrap()).await;
}

/// What is done on a connection of its own, which ends with its client.
pub(super) async fn connected<T>(url: &str, work: impl AsyncFnOnce(Client) -> T) -> T {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    let (ended, done) = tokio::join!(connection, work(client));
    ended.unwrap();
    done
}

pub(super) fn options(url: &str) -> PostgresOptions {
    PostgresOptions {
        url: url.to_owned(),
        pool_size: 3,
        tls: PostgresTls::UnlessLocal,
        timeout: std::time::Duration::from_secs(20),
    }
}

pub(super) fn postgres(url: &str) -> PostgresRepository {
    PostgresRepository::new(&options(url), sealer().fingerprint()).unwrap()
}
