//! The embedded bus against the conformance suite.
#![expect(clippy::unwrap_used, reason = "helpers of tests, outside a test function")]

use bus::{Bus, conformance::PARTITIONS, sqlite};
use tempfile::TempDir;

async fn make() -> (Bus, TempDir) {
    let dir = TempDir::new().unwrap();
    let options = sqlite::Options {
        partitions: PARTITIONS,
        min_free_bytes: 0,
        // Small, so that the suite also reads what memory no longer holds.
        recent_bytes: 64 * 1024,
        ..sqlite::Options::default()
    };
    (sqlite::open(dir.path(), options).unwrap(), dir)
}

bus::conformance_suite!(#[tokio::test], make);
