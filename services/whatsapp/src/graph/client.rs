//! The client: one pool of connections, no retries, no redirects, a hard limit on everything.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};

use super::answer::{self, CallResult, NotSentWhy, SendResult, UnknownWhy};
use super::body::{Departure, GuardedBody, Whereabouts};

/// Longest answer read; Meta's are below 4 KiB.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Longest `Retry-After` believed.
const RETRY_AFTER_MAX_S: u64 = 24 * 60 * 60;

/// Where and how to call.
#[derive(Debug, Clone)]
pub struct GraphConfig {
    /// Without a slash at the end.
    pub base_url: String,
    /// `v26.0`, …
    pub version: String,
    /// For name, connection and TLS.
    pub connect_timeout: Duration,
    /// Idle connections kept per host.
    pub idle_connections_max: usize,
    /// How long an idle connection is kept; below Meta's own limit, so that few are found closed.
    pub idle_timeout: Duration,
}

impl Default for GraphConfig {
    fn default() -> Self {
        Self {
            base_url: "https://graph.facebook.com".to_owned(),
            version: "v26.0".to_owned(),
            connect_timeout: Duration::from_secs(3),
            idle_connections_max: 256,
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The process did not install a TLS crypto provider before.
    #[error("no TLS crypto provider is installed in this process")]
    NoCryptoProvider,
    /// The base address is no http(s) address, or the version is no path segment.
    #[error("the Graph API's address is not usable: {0}")]
    Address(String),
    /// TLS could not be set up.
    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
}

/// One call.
pub struct SendCall<'a, F> {
    /// The business's number.
    pub phone_number_id: &'a str,
    /// Bearer token of the channel.
    pub token: &'a str,
    /// The JSON body; see [`super::request`].
    pub body: Bytes,
    /// From now to the end of the answer.
    pub hard_limit: Duration,
    /// Asked at most once, with the connection up, immediately before the first byte; `false` means
    /// it is too late.
    pub before_first_byte: F,
}

impl<F> fmt::Debug for SendCall<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendCall")
            .field("phone_number_id", &self.phone_number_id)
            .field("body_bytes", &self.body.len())
            .field("hard_limit", &self.hard_limit)
            .finish_non_exhaustive()
    }
}

/// The client. Cheap to clone; clones share the connections.
#[derive(Debug, Clone)]
pub struct GraphClient {
    http: reqwest::Client,
    prefix: String,
}

/// A whole answer.
struct Answer {
    http: u16,
    body: BytesMut,
    retry_after_ms: Option<u64>,
}

impl GraphClient {
    /// # Errors
    /// When the address is unusable or TLS cannot be set up. The process must have installed
    /// rustls' crypto provider.
    pub fn new(config: &GraphConfig) -> Result<Self, BuildError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(BuildError::NoCryptoProvider);
        }
        let base_url = config.base_url.trim_end_matches('/');
        let is_http = reqwest::Url::parse(base_url)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_http || !is_path_segment(&config.version) {
            return Err(BuildError::Address(format!("{base_url}/{}", config.version)));
        }
        let http = reqwest::Client::builder()
            .http1_only()
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(config.connect_timeout)
            .pool_max_idle_per_host(config.idle_connections_max)
            .pool_idle_timeout(config.idle_timeout)
            .tcp_nodelay(true)
            .no_proxy()
            .build()
            .map_err(BuildError::Client)?;
        Ok(Self { http, prefix: format!("{base_url}/{}", config.version) })
    }

    /// Sends one message. Dropping the future is like a timeout whose outcome nobody learns: let it
    /// end.
    pub async fn send_message<F>(&self, call: SendCall<'_, F>) -> SendResult
    where
        F: FnMut() -> bool + Send + Sync + Unpin + 'static,
    {
        match self.post_messages(call).await {
            Ok(answer) => with_retry_after(
                answer::read_send(answer.http, &answer.body),
                answer.retry_after_ms,
            ),
            Err(lost) => lost.into_result(),
        }
    }

    /// Marks a message read, with all before it (body from [`super::request::mark_read`]).
    /// Repeating it is harmless.
    pub async fn mark_read<F>(&self, call: SendCall<'_, F>) -> CallResult<()>
    where
        F: FnMut() -> bool + Send + Sync + Unpin + 'static,
    {
        match self.post_messages(call).await {
            Ok(answer) => with_retry_after(
                answer::read_success(answer.http, &answer.body),
                answer.retry_after_ms,
            ),
            Err(lost) => lost.into_result(),
        }
    }

    async fn post_messages<F>(&self, call: SendCall<'_, F>) -> Result<Answer, Lost>
    where
        F: FnMut() -> bool + Send + Sync + Unpin + 'static,
    {
        if !is_path_segment(call.phone_number_id) {
            return Err(Lost::NotSent(NotSentWhy::BadRequest));
        }
        let departure = Departure::default();
        let body = GuardedBody::new(call.body, call.before_first_byte, departure.clone());
        let request = self
            .http
            .post(format!("{}/{}/messages", self.prefix, call.phone_number_id))
            .bearer_auth(call.token)
            .header(CONTENT_TYPE, "application/json")
            .body(reqwest::Body::wrap(body));
        let failure = match tokio::time::timeout(call.hard_limit, read_answer(request)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::Timeout,
        };
        Err(failure.with(departure.close()))
    }
}

/// Why there is no whole answer.
enum Failure {
    Timeout,
    TooLong,
    Http(reqwest::Error),
}

impl Failure {
    /// What follows from it, given where the body is.
    fn with(self, whereabouts: Whereabouts) -> Lost {
        match (whereabouts, self) {
            (Whereabouts::Refused, _) => Lost::NotSent(NotSentWhy::NotStarted),
            (Whereabouts::Kept, Self::Timeout) => Lost::NotSent(NotSentWhy::ConnectTimeout),
            (Whereabouts::Kept, Self::Http(error)) if error.is_builder() => {
                Lost::NotSent(NotSentWhy::BadRequest)
            }
            (Whereabouts::Kept, Self::Http(error)) if error.is_connect() && error.is_timeout() => {
                Lost::NotSent(NotSentWhy::ConnectTimeout)
            }
            (Whereabouts::Kept, Self::Http(error)) if error.is_connect() => {
                Lost::NotSent(NotSentWhy::Connect)
            }
            (Whereabouts::Kept, Self::Http(_) | Self::TooLong) => {
                Lost::NotSent(NotSentWhy::ConnectionLost)
            }
            (Whereabouts::Left, Self::Timeout) => Lost::Unknown(UnknownWhy::Timeout),
            (Whereabouts::Left, Self::TooLong) => Lost::Unknown(UnknownWhy::AnswerTooLong),
            (Whereabouts::Left, Self::Http(_)) => Lost::Unknown(UnknownWhy::ConnectionLost),
        }
    }
}

enum Lost {
    Unknown(UnknownWhy),
    NotSent(NotSentWhy),
}

impl Lost {
    fn into_result<T>(self) -> CallResult<T> {
        match self {
            Self::Unknown(why) => CallResult::Unknown(why),
            Self::NotSent(why) => CallResult::NotSent(why),
        }
    }
}

async fn read_answer(request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
    let mut response = request.send().await.map_err(Failure::Http)?;
    let http = response.status().as_u16();
    let seconds = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    let retry_after_ms = seconds.map(|seconds| seconds.min(RETRY_AFTER_MAX_S) * 1000);
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(Failure::Http)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Failure::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { http, body, retry_after_ms })
}

fn with_retry_after<T>(mut result: CallResult<T>, retry_after_ms: Option<u64>) -> CallResult<T> {
    if let CallResult::Refused(refusal) = &mut result {
        refusal.retry_after_ms = retry_after_ms;
    }
    result
}

/// Ids come from configuration and webhooks: nothing in them may reach another path or host.
fn is_path_segment(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !text.is_empty() && text.bytes().all(plain) && !text.bytes().all(|byte| byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_segments() {
        for good in ["v26.0", "200000000000202", "a_b-c"] {
            assert!(is_path_segment(good), "{good}");
        }
        for bad in ["", ".", "..", "1/2", "1?x", "1#x", "1%2f", "1 2", "é"] {
            assert!(!is_path_segment(bad), "{bad}");
        }
    }

    /// No unit test of this crate installs a provider, so this one sees a process without.
    #[test]
    fn without_a_crypto_provider_there_is_an_error_and_no_panic() {
        assert!(matches!(
            GraphClient::new(&GraphConfig::default()),
            Err(BuildError::NoCryptoProvider)
        ));
    }
}
