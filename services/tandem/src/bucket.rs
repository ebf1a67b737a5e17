//! The bucket of an installation's segments, where its configuration names one.

use anyhow::{Context as _, ensure};
use archive::segments::{Bucket, BucketOptions, Segments};
use chassis::config::Config;

use crate::cli::say;

/// The bucket of `[archive.s3]`. Nothing is asked of it yet.
pub(crate) fn open(config: &Config) -> anyhow::Result<Option<Bucket>> {
    let Some(s3) = &config.archive.s3 else { return Ok(None) };
    let credentials = s3.access_key_id.as_ref().zip(s3.secret_access_key.as_ref());
    let options = BucketOptions {
        endpoint: s3.endpoint.clone(),
        region: s3.region.clone(),
        bucket: s3.bucket.clone(),
        prefix: s3.prefix.clone(),
        credentials: credentials.map(|(id, key)| (id.expose().to_owned(), key.expose().to_owned())),
        // The configuration was checked: to another machine only where it says so.
        allow_http: s3.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://")),
    };
    Bucket::open(&options).context("archive.s3 cannot be used").map(Some)
}

/// Brings into the directory what only the bucket has, for a command, and says how many segments that were.
pub(crate) async fn fetch(config: &Config, segments: &Segments) -> anyhow::Result<()> {
    let Some(bucket) = open(config)? else { return Ok(()) };
    let fetched = bucket.fetch(segments, config.partitions).await;
    let fetched = fetched.context("leave [archive.s3] out to go on with the directory alone")?;
    if let Some(error) = fetched.refused.into_values().next() {
        return Err(error.into());
    }
    if fetched.segments > 0 {
        say(&format!("{} segments were fetched from {}", fetched.segments, bucket.address()));
    }
    Ok(())
}

/// Refuses a bucket that holds segments already: an installation that was restored or moved goes on from another point than
/// they do.
pub(crate) async fn ensure_unused(config: &Config) -> anyhow::Result<()> {
    let Some(bucket) = open(config)? else { return Ok(()) };
    ensure!(
        bucket.is_empty().await?,
        "{} holds the segments of another installation, or of this one as it went on after the backup: set another \
         archive.s3.prefix",
        bucket.address()
    );
    Ok(())
}
