//! Segments in a bucket that speaks S3: each complete segment of the directory is stored there once, under its name, and is
//! never overwritten. The directory is what is read; the bucket outlives it.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    ClientOptions, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RetryConfig,
    aws::AmazonS3Builder, path::Path as Key,
};

use super::{
    ENDING, OPEN_ENDING, Segment, SegmentError, read,
    write::{sync_dir, write_head},
};

/// How long a request may take; a segment is sent as one, so that it is visible only when it is whole.
const REQUEST_WITHIN: Duration = Duration::from_secs(300);
/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Which bucket, and how.
#[derive(Clone)]
pub struct BucketOptions {
    /// Scheme and host of the server; `None`: Amazon's, of the region.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// The bucket, which exists.
    pub bucket: String,
    /// What all names in it begin with; empty for nothing.
    pub prefix: String,
    /// Key id and secret key; `None`: what the environment says (variables, the machine's role).
    pub credentials: Option<(String, String)>,
    /// Plain `http` is allowed.
    pub allow_http: bool,
}

impl std::fmt::Debug for BucketOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BucketOptions")
            .field("endpoint", &self.endpoint)
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Where segments are stored; clones are the same.
#[derive(Clone, Debug)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    name: String,
    prefix: String,
}

impl Bucket {
    /// The bucket that `options` name. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When the options cannot be used.
    pub fn open(options: &BucketOptions) -> Result<Self, SegmentError> {
        // The client takes whichever is the process's; where one is installed already, it is this one.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = ClientOptions::new()
            .with_timeout(REQUEST_WITHIN)
            .with_connect_timeout(CONNECT_WITHIN)
            .with_allow_http(options.allow_http);
        // Whoever calls tries again, and says so.
        let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let builder = match &options.credentials {
            Some((id, key)) => {
                AmazonS3Builder::new().with_access_key_id(id).with_secret_access_key(key)
            }
            None => AmazonS3Builder::from_env(),
        };
        let mut builder = builder
            .with_client_options(client)
            .with_retry(retry)
            .with_region(&options.region)
            .with_bucket_name(&options.bucket);
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let name = format!("s3://{}", options.bucket);
        let prefix = options.prefix.trim_matches('/').to_owned();
        let unusable = |source| SegmentError::Bucket { doing: "use", name: name.clone(), source };
        let store = Arc::new(builder.build().map_err(unusable)?);
        Ok(Self { store, name, prefix })
    }

    /// What is stored, by name below the prefix, with sizes.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn list(&self) -> Result<BTreeMap<String, u64>, SegmentError> {
        let prefix = (!self.prefix.is_empty()).then(|| Key::from(self.prefix.as_str()));
        let listed: Vec<_> =
            self.store.list(prefix.as_ref()).try_collect().await.map_err(self.failed("list"))?;
        let below = |key: &Key| {
            let name = key.as_ref().strip_prefix(&self.prefix)?.trim_start_matches('/');
            name.ends_with(ENDING).then(|| name.to_owned())
        };
        Ok(listed
            .into_iter()
            .filter_map(|meta| Some((below(&meta.location)?, meta.size)))
            .collect())
    }

    /// Stores a segment, unless it is there.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] when another one is there under its name; else when the server refuses or does not answer.
    pub(super) async fn put(&self, segment: &Segment) -> Result<(), SegmentError> {
        let path = segment.path.clone();
        let bytes = tokio::task::spawn_blocking(move || {
            fs::read(&path).map_err(SegmentError::io("read", &path))
        });
        let bytes = Bytes::from(bytes.await.map_err(|_| SegmentError::Closed)??);
        let key = self.key(&name_of(&segment.path));
        let create = PutMode::Create.into();
        match self.store.put_opts(&key, PutPayload::from(bytes.clone()), create).await {
            Ok(_) => Ok(()),
            // By an earlier attempt whose answer was lost, or by another process.
            Err(object_store::Error::AlreadyExists { .. }) => {
                let stored = self.get(&key).await?;
                if stored == bytes {
                    return Ok(());
                }
                let why = format!("{} holds another segment under the name {key}", self.name);
                Err(SegmentError::Damaged { path: segment.path.clone(), why })
            }
            Err(error) => Err(self.failed("write to")(error)),
        }
    }

    /// Brings what is stored and not in `dir` into it, whole and durably, before anybody opens it; answers how many
    /// segments that were.
    ///
    /// # Errors
    /// When server or file system refuse, or a segment is damaged.
    pub async fn fetch_missing(&self, dir: &Path) -> Result<usize, SegmentError> {
        let mut newest: BTreeMap<PathBuf, Segment> = BTreeMap::new();
        let mut fetched = 0;
        // By name, which is by generation and sequence.
        for name in self.list().await?.into_keys() {
            let path = dir.join(&name);
            // Only ours: a directory that is a number, and a file in it.
            let is_ours = name.split_once('/').is_some_and(|(partition, file)| {
                partition.parse::<u16>().is_ok() && !file.contains('/') && !file.starts_with('.')
            });
            if !is_ours || path.exists() {
                continue;
            }
            let bytes = self.get(&self.key(&name)).await?;
            let written = tokio::task::spawn_blocking(move || write(&path, &bytes));
            let segment = written.await.map_err(|_| SegmentError::Closed)??;
            fetched += 1;
            if let Some(parent) = segment.path.parent() {
                newest.insert(parent.to_owned(), segment);
            }
        }
        for (dir, segment) in newest {
            let named = tokio::task::spawn_blocking(move || name_newest(&dir, &segment));
            named.await.map_err(|_| SegmentError::Closed)??;
        }
        Ok(fetched)
    }

    async fn get(&self, key: &Key) -> Result<Bytes, SegmentError> {
        let found = self.store.get(key).await.map_err(self.failed("read from"))?;
        found.bytes().await.map_err(self.failed("read from"))
    }

    fn key(&self, name: &str) -> Key {
        match self.prefix.as_str() {
            "" => Key::from(name),
            prefix => Key::from(format!("{prefix}/{name}")),
        }
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(object_store::Error) -> SegmentError {
        let name = self.name.clone();
        move |source| SegmentError::Bucket { doing, name, source }
    }
}

/// Partition and file: what a segment is called in a bucket.
pub(super) fn name_of(path: &Path) -> String {
    let part = |path: Option<&Path>| {
        let name = path.and_then(Path::file_name).and_then(|name| name.to_str());
        name.unwrap_or_default().to_owned()
    };
    format!("{}/{}", part(path.parent()), part(Some(path)))
}

/// Under a temporary name first, as a segment is written; the footer is read before it gets its own.
fn write(path: &Path, bytes: &[u8]) -> Result<Segment, SegmentError> {
    let dir = path.parent().unwrap_or(path);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(SegmentError::io("create", dir))?;
    let open = path.with_extension(OPEN_ENDING);
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&open)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(SegmentError::io("write", &open))?;
    let read = read::open_footer(&open)?;
    fs::rename(&open, path).map_err(SegmentError::io("rename", &open))?;
    sync_dir(dir)?;
    Ok(Segment { path: path.to_owned(), ..read })
}

/// Names the newest segment of a directory, unless the directory has a newer one of its own.
fn name_newest(dir: &Path, fetched: &Segment) -> Result<(), SegmentError> {
    let all = super::files(dir)?;
    let ours = |path: &PathBuf| path.extension().is_some_and(|ending| ending == ENDING);
    match all.into_iter().rfind(ours) {
        Some(newest) if newest != fetched.path => {
            let newest = read::open_footer(&newest)?;
            write_head(dir, &newest.path, newest.footer.hash)
        }
        _ => write_head(dir, &fetched.path, fetched.footer.hash),
    }
}
