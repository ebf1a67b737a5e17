//! A bucket that speaks S3: each complete segment of the directory is stored there once, whole, under its name, and never
//! overwritten. The directory is what is read; the bucket outlives it.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use bus::PartitionId;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    ClientOptions, Error, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey as Setting, S3ConditionalPut},
    path::Path as Key,
};

use super::{ENDING, Footer, Segment, SegmentError, format::same_log, read, verify};

/// How long a request may take: a segment is sent and fetched as one, over a line that may be slow.
const REQUEST_WITHIN: Duration = Duration::from_secs(300);
/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// What is wrong with an object of another history.
pub(super) const OTHER: &str = "it is another one than the directory's";

/// Which bucket, and how.
#[derive(Clone)]
pub struct BucketOptions {
    /// Scheme and host of the server; `None`: Amazon's, of the region.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// The bucket, which exists.
    pub bucket: String,
    /// What all names in it begin with, without slashes around it; empty for nothing.
    pub prefix: String,
    /// Key id and secret key; `None`: the credentials of the environment (variables, the role of the machine or container).
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

/// What is stored: the segments of each partition by file name, with their sizes.
pub(super) type Listed = BTreeMap<PartitionId, BTreeMap<String, u64>>;

/// Where segments are stored; clones are the same.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    bucket: String,
    prefix: String,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Bucket").field(&self.address()).finish()
    }
}

impl Bucket {
    /// The bucket that `options` name. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When the options cannot be used.
    pub fn open(options: &BucketOptions) -> Result<Self, SegmentError> {
        // The client takes the TLS of the process; where one is set already, it is this one.
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
            None => with_credentials_of_environment(AmazonS3Builder::new()),
        };
        let mut builder = builder
            .with_client_options(client)
            .with_retry(retry)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_region(&options.region)
            .with_bucket_name(&options.bucket);
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let bucket = options.bucket.clone();
        let unusable =
            |source| SegmentError::Bucket { doing: "use", bucket: bucket.clone(), source };
        let store = Arc::new(builder.build().map_err(unusable)?);
        Ok(Self { store, bucket, prefix: options.prefix.clone() })
    }

    /// Whether no segment is stored.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn is_empty(&self) -> Result<bool, SegmentError> {
        Ok(self.list().await?.is_empty())
    }

    /// Where segments are stored, for people.
    #[must_use]
    pub fn address(&self) -> String {
        match self.prefix.as_str() {
            "" => format!("s3://{}", self.bucket),
            prefix => format!("s3://{}/{prefix}", self.bucket),
        }
    }

    /// The address of one segment.
    pub(super) fn address_of(&self, partition: PartitionId, file: &str) -> String {
        format!("{}/{:05}/{file}", self.address(), partition.0)
    }

    pub(crate) async fn list(&self) -> Result<Listed, SegmentError> {
        let prefix = (!self.prefix.is_empty()).then(|| Key::from(self.prefix.as_str()));
        let mut objects = self.store.list(prefix.as_ref());
        let mut listed = Listed::new();
        while let Some(object) = objects.try_next().await.map_err(self.failed("list"))? {
            if let Some((partition, file)) = self.parsed(&object.location) {
                listed.entry(partition).or_default().insert(file, object.size);
            }
        }
        Ok(listed)
    }

    /// Stores a segment, unless it is there already.
    ///
    /// # Errors
    /// [`SegmentError::Overtaken`] when one of the same records, cut elsewhere, is there under its name, [`SegmentError::Foreign`]
    /// when one of others is, [`SegmentError::Damaged`] when the file is not what was written; else when file system or server
    /// refuse, or the server does not answer.
    pub(super) async fn put(&self, segment: &Segment) -> Result<(), SegmentError> {
        let (partition, file) = (segment.footer.partition, file_name(&segment.path));
        let bytes = whole(segment.clone()).await?;
        let key = self.key(partition, &file);
        let create = PutMode::Create.into();
        match self.store.put_opts(&key, PutPayload::from(bytes.clone()), create).await {
            Ok(_) => Ok(()),
            // By an earlier attempt whose answer was lost, or by another process.
            Err(Error::AlreadyExists { .. }) => {
                let stored = self.get(partition, &file).await?;
                if stored == bytes {
                    return Ok(());
                }
                if same_log(&stored, &bytes) {
                    let object = self.address_of(partition, &file);
                    return Err(SegmentError::Overtaken { object });
                }
                Err(self.foreign(partition, &file, OTHER))
            }
            Err(error) => Err(self.failed("write to")(error)),
        }
    }

    pub(super) async fn get(
        &self,
        partition: PartitionId,
        file: &str,
    ) -> Result<Bytes, SegmentError> {
        let found = self.store.get(&self.key(partition, file)).await;
        found.map_err(self.failed("read from"))?.bytes().await.map_err(self.failed("read from"))
    }

    /// The footer of a stored segment, without the rest of it.
    pub(super) async fn footer(
        &self,
        partition: PartitionId,
        file: &str,
        bytes: u64,
    ) -> Result<Footer, SegmentError> {
        let from = bytes.saturating_sub(read::TAIL_BYTES);
        let tail = self.store.get_range(&self.key(partition, file), from..bytes).await;
        let tail = tail.map_err(self.failed("read from"))?;
        read::footer_in(&tail, from).map_err(|error| SegmentError::Tampered {
            object: self.address_of(partition, file),
            why: error.to_string(),
        })
    }

    pub(super) fn foreign(&self, partition: PartitionId, file: &str, why: &str) -> SegmentError {
        let object = self.address_of(partition, file);
        SegmentError::Foreign { object, why: why.to_owned() }
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(Error) -> SegmentError {
        let bucket = self.address();
        move |source| SegmentError::Bucket { doing, bucket, source }
    }

    fn key(&self, partition: PartitionId, file: &str) -> Key {
        let below = format!("{:05}/{file}", partition.0);
        match self.prefix.as_str() {
            "" => Key::from(below),
            prefix => Key::from(format!("{prefix}/{below}")),
        }
    }

    /// What an object holds, if it is one of ours.
    fn parsed(&self, key: &Key) -> Option<(PartitionId, String)> {
        let below = match self.prefix.as_str() {
            "" => key.as_ref(),
            prefix => key.as_ref().strip_prefix(prefix)?.strip_prefix('/')?,
        };
        let (partition, file) = below.split_once('/')?;
        let is_segment = Path::new(file).extension().is_some_and(|ending| ending == ENDING);
        let partition = partition.parse().ok().filter(|_| partition.len() == 5)?;
        (is_segment && !file.contains('/')).then(|| (PartitionId(partition), file.to_owned()))
    }
}

/// Credentials alone: where segments go, and how, is said by the configuration.
fn with_credentials_of_environment(builder: AmazonS3Builder) -> AmazonS3Builder {
    let credentials = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with("AWS_"))?;
        let setting: Setting = name.to_ascii_lowercase().parse().ok()?;
        is_credential(setting).then_some((setting, value.into_string().ok()?))
    });
    credentials.fold(builder, |builder, (setting, value)| builder.with_config(setting, value))
}

fn is_credential(setting: Setting) -> bool {
    matches!(
        setting,
        Setting::AccessKeyId
            | Setting::SecretAccessKey
            | Setting::Token
            | Setting::WebIdentityTokenFile
            | Setting::RoleArn
            | Setting::RoleSessionName
            | Setting::StsEndpoint
            | Setting::ContainerCredentialsRelativeUri
            | Setting::ContainerCredentialsFullUri
            | Setting::ContainerAuthorizationTokenFile
            | Setting::MetadataEndpoint
            | Setting::ImdsV1Fallback
    )
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned()
}

/// A segment's bytes, checked: what is stored for ever must be what was written.
pub(super) async fn whole(segment: Segment) -> Result<Bytes, SegmentError> {
    let read = tokio::task::spawn_blocking(move || {
        let path = segment.path;
        let bytes = fs::read(&path).map_err(SegmentError::io("read", &path))?;
        match verify::check(&bytes) {
            Ok(footer) if footer == segment.footer => Ok(Bytes::from(bytes)),
            Ok(_) => Err(SegmentError::Damaged { path, why: "it is another one".to_owned() }),
            Err(why) => Err(SegmentError::Damaged { path, why }),
        }
    });
    read.await.map_err(|_| SegmentError::Closed)?
}
