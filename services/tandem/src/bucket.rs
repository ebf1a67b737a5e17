//! The bucket of an installation's segments, where its configuration names one.

use archive::segments::{Bucket, BucketOptions};
use chassis::config::Config;

/// The bucket of `[archive.s3]`; it is asked when it is first needed.
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
    Ok(Some(Bucket::open(&options)?))
}
