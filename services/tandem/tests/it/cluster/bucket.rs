//! A bucket for the segments of a fleet's archive: it is away while the archive dies, and outlives its directory.

use std::{path::Path, sync::Arc, time::Duration};

use testkit::{
    s3::{Gate, S3Server},
    wait_for,
};

use super::{fleet::Fleet, traffic};
use crate::command::{succeeds, text};

/// Longest until the archive has seen that the bucket is away, or has stored everything.
const SEEN_WITHIN: Duration = Duration::from_secs(60);
const FAILING: &str = "tandem_archive_bucket_failing";
const WAITING: &str = "tandem_archive_bucket_waiting_segments";
const TRIMMED: &str = "tandem_archive_trimmed_total{what=\"log\"";

pub(super) struct Bucket {
    _server: Arc<S3Server>,
    gate: Gate,
}

impl Bucket {
    pub(super) async fn open() -> Self {
        let server = S3Server::shared().await.unwrap();
        server.make_bucket("cluster").unwrap();
        let gate = Gate::before(server.address()).await.unwrap();
        Self { _server: server, gate }
    }

    /// Segments of seconds, stored here, and trimmed from the logs as soon as they are.
    pub(super) fn config(&self) -> String {
        format!(
            "[archive]\nsegment_age_ms = 2000\ntrim_interval_ms = 1000\n[archive.s3]\nbucket = \"cluster\"\nregion = \
             \"us-east-1\"\nendpoint = {:?}\naccess_key_id = \"id\"\nsecret_access_key = \"secret\"\n",
            self.gate.url()
        )
    }

    /// The archive is killed while the bucket is away. It goes on without it, trims nothing, and stores what waited once the
    /// bucket is back.
    pub(super) async fn is_away_when_the_archive_dies(&self, fleet: &mut Fleet) {
        let archive = "archive-1";
        self.gate.let_through(0);
        println!("cluster: the bucket is away, and {archive} is killed");
        fleet.kill_and_restart(archive).await;
        traffic(fleet, 200).await;
        let failing = async || (fleet.metric(archive, FAILING).await > 0.5).then_some(());
        wait_for(SEEN_WITHIN, "the archive to miss its bucket", failing).await.unwrap();
        assert!(fleet.metric(archive, TRIMMED).await < 0.5, "it trimmed what no bucket has");
        self.gate.open();
        let stored = async || {
            let missed =
                fleet.metric(archive, FAILING).await + fleet.metric(archive, WAITING).await;
            (missed < 0.5 && fleet.metric(archive, TRIMMED).await > 0.5).then_some(())
        };
        wait_for(SEEN_WITHIN, "the archive to store and trim", stored).await.unwrap();
    }

    /// The archive's directory is lost, its logs are trimmed: a backup has the history from the bucket.
    pub(super) async fn has_the_history_of(fleet: &Fleet, dir: &Path) {
        let lost = fleet.stage.role_dir("archive-1").join("segments");
        std::fs::remove_dir_all(lost).unwrap();
        let backup = dir.join("backup");
        let said = fleet.archive(&["backup", "--to", text(&backup)]).await;
        println!("cluster: {}", said.trim());
        assert!(said.contains("were fetched from s3://cluster"), "{said}");
        let segments = backup.join("segments");
        let said = succeeds(&["segments", "verify", text(&segments)]).await;
        assert!(said.contains("complete and linked"), "{said}");
    }
}
