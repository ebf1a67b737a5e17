//! The read model of an installation, where its configuration says it is.

use std::{sync::Arc, time::Duration};

use archive::{PostgresOptions, PostgresRepository, PostgresTls, Repository, SqliteRepository};
use chassis::{
    config::{Config, Postgres, PostgresTls as Tls},
    seal::Sealer,
};

/// Opens the file, or names the database, which is connected when it is first needed. `pace` is the least time between two
/// transactions.
pub(crate) fn open(
    config: &Config,
    sealer: &Sealer,
    pace: Duration,
) -> anyhow::Result<Arc<dyn Repository>> {
    let installation = sealer.fingerprint();
    Ok(match &config.archive.postgres {
        Some(postgres) => {
            let repository = PostgresRepository::new(&options(postgres), installation)?;
            Arc::new(repository.with_pace(pace))
        }
        None => {
            let file = config.data_dir.join(archive::sqlite::DATABASE_FILE);
            Arc::new(SqliteRepository::open(&file, installation)?.with_pace(pace))
        }
    })
}

fn options(postgres: &Postgres) -> PostgresOptions {
    PostgresOptions {
        url: postgres.url.expose().to_owned(),
        pool_size: usize::try_from(postgres.pool_size).unwrap_or(usize::MAX),
        tls: match (postgres.tls, &postgres.ca_file) {
            (Tls::Off, _) => PostgresTls::Off,
            (Tls::UnlessLocal, None) => PostgresTls::UnlessLocal,
            // Who names certificates wants them used.
            (Tls::UnlessLocal | Tls::Verify, ca_file) => {
                PostgresTls::Verify { ca_file: ca_file.clone() }
            }
        },
        timeout: Duration::from_millis(postgres.timeout_ms),
    }
}
