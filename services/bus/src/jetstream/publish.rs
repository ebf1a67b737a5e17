//! One publish and its acknowledgement, and reads that the stream's leader answers.

use async_nats::{
    Client, HeaderMap, Request,
    client::RequestErrorKind,
    datetime::DateTime,
    jetstream::{
        Context,
        message::StreamMessage,
        publish::PublishAck,
        response::Response,
        stream::{LastRawMessageErrorKind, RawMessageErrorKind},
    },
};
use bytes::Bytes;
use tokio::time::timeout;

use super::{
    ANSWER_WITHIN,
    codes::{Meaning, meaning},
};
use crate::BusError;

const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
const EXPECTED_LAST: &str = "Nats-Expected-Last-Subject-Sequence";

/// Why a publish was not acknowledged.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The subject's last sequence is not the expected one; nothing was stored.
    Conflict,
    /// Nothing was stored: no room.
    Full(String),
    /// Nothing was stored: larger than the servers take.
    TooLarge,
    /// It may or may not be stored.
    Unknown(String),
}

impl Refusal {
    /// For requests that may simply be asked again.
    pub(super) fn unavailable(self) -> BusError {
        BusError::Unavailable(match self {
            Self::Conflict => "the subject changes too fast".to_owned(),
            Self::TooLarge => "larger than the servers take: raise max_payload".to_owned(),
            Self::Full(why) | Self::Unknown(why) => why,
        })
    }
}

/// Publishes and waits for the acknowledgement; answers the stream sequence.
pub(super) async fn publish(
    client: &Client,
    stream: &str,
    subject: String,
    expected_last: Option<u64>,
    payload: Bytes,
) -> Result<u64, Refusal> {
    let mut headers = HeaderMap::new();
    headers.insert(EXPECTED_STREAM, stream);
    if let Some(expected_last) = expected_last {
        headers.insert(EXPECTED_LAST, expected_last.to_string());
    }
    let request = Request::new().headers(headers).payload(payload);
    // Also bounds the wait for room in the client while it is not connected.
    let answer = timeout(ANSWER_WITHIN, client.send_request(subject, request))
        .await
        .map_err(|_| Refusal::Unknown("no acknowledgement in time".to_owned()))?
        .map_err(|error| match error.kind() {
            // The client itself refuses what the server it has met would not take.
            RequestErrorKind::MaxPayloadExceeded => Refusal::TooLarge,
            _ => Refusal::Unknown(error.to_string()),
        })?;
    match serde_json::from_slice::<Response<PublishAck>>(&answer.payload) {
        Ok(Response::Ok(ack)) => Ok(ack.sequence),
        Ok(Response::Err { error }) => Err(match meaning(error.error_code(), &error.to_string()) {
            Meaning::Conflict => Refusal::Conflict,
            Meaning::Full => Refusal::Full(error.to_string()),
            Meaning::TooLarge => Refusal::TooLarge,
            Meaning::Retry => Refusal::Unknown(error.to_string()),
        }),
        Err(error) => {
            Err(Refusal::Unknown(format!("the acknowledgement is not understood: {error}")))
        }
    }
}

/// A failure that is worth asking again.
pub(super) fn unavailable(why: impl ToString) -> BusError {
    BusError::Unavailable(why.to_string())
}

/// A date of the servers, in milliseconds of the wall clock; `None` before 1970.
pub(super) fn wall_ms(date: DateTime) -> Option<u64> {
    u64::try_from(date.unix_timestamp_nanos() / 1_000_000).ok()
}

/// The last message of a subject, from the stream's leader.
pub(super) async fn last_of(
    context: &Context,
    stream: &str,
    subject: &str,
) -> Result<Option<StreamMessage>, BusError> {
    let stream = context.get_stream_no_info(stream).await.map_err(unavailable)?;
    let asked = timeout(ANSWER_WITHIN, stream.get_last_raw_message_by_subject(subject)).await;
    match asked.map_err(unavailable)? {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(unavailable(error)),
    }
}

/// Removes the messages of a subject up to and with sequence `through`, which must not be 0: a purge up to
/// sequence 1 has no limit for the servers and would remove the whole subject.
pub(super) async fn purge(
    context: &Context,
    stream: &str,
    subject: &str,
    through: u64,
) -> Result<u64, BusError> {
    if through == 0 {
        return Ok(0);
    }
    let stream = context.get_stream_no_info(stream).await.map_err(unavailable)?;
    let purge = stream.purge().filter(subject).sequence(through + 1);
    let purged = timeout(ANSWER_WITHIN, purge).await.map_err(unavailable)?;
    purged.map(|purged| purged.purged).map_err(unavailable)
}

/// The first message from sequence `from` on whose subject matches, from the stream's leader.
pub(super) async fn next_of(
    context: &Context,
    stream: &str,
    subjects: &str,
    from: u64,
) -> Result<Option<StreamMessage>, BusError> {
    let stream = context.get_stream_no_info(stream).await.map_err(unavailable)?;
    let request = stream.raw_message_builder().sequence(from).next_by_subject(subjects);
    match timeout(ANSWER_WITHIN, request.send()).await.map_err(unavailable)? {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(unavailable(error)),
    }
}
