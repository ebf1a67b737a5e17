//! The result of a call as an inbox input: how it travels when the shard that asked for it has gone.

use bus::{
    BusinessId, Cause, CodecError, EntityId, FORMAT_VERSION, Header, Input, check_version, decode,
    encode,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::host::{CallId, CallResult};

/// The result of one call, addressed to the entity that asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallReturn {
    /// Entity that asked.
    pub entity: EntityId,
    /// Its tenant.
    pub business: BusinessId,
    /// The call.
    pub call: CallId,
    /// What came of it.
    pub result: CallResult,
}

/// Body of an inbox input with [`Cause::CallResult`].
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    version: u16,
    call: CallId,
    result: CallResult,
}

impl CallReturn {
    /// The inbox input that carries it.
    ///
    /// # Errors
    /// When it has no encoded form.
    pub fn into_input(self, received_ms: u64) -> Result<Input, CodecError> {
        let body = encode_body(self.call, &self.result)?;
        Ok(Input {
            header: header(self.call, self.business, received_ms),
            target: self.entity,
            body,
            reply_to: None,
        })
    }
}

/// Header of the input and of the step that decides a call's result.
pub(crate) fn header(call: CallId, business: BusinessId, received_ms: u64) -> Header {
    Header { key: call, business, cause: Cause::CallResult, trace: None, received_ms }
}

/// Body of an inbox input that carries `result`.
///
/// # Errors
/// When it has no encoded form.
pub(crate) fn encode_body(call: CallId, result: &CallResult) -> Result<Bytes, CodecError> {
    encode(&Body { version: FORMAT_VERSION, call, result: result.clone() })
}

/// Reads the body of an inbox input with [`Cause::CallResult`].
///
/// # Errors
/// When the bytes are no call result or come from a newer build.
pub(crate) fn decode_body(bytes: &[u8]) -> Result<(CallId, CallResult), CodecError> {
    let body: Body = decode(bytes)?;
    check_version(body.version, FORMAT_VERSION)?;
    Ok((body.call, body.result))
}

#[cfg(test)]
mod tests {
    use bus::Key;

    use super::*;

    #[test]
    fn a_result_survives_the_inbox() {
        for result in [
            CallResult::Done(Bytes::from_static(b"wamid")),
            CallResult::NotStarted("fenced".to_owned()),
            CallResult::Unknown("10 s".to_owned()),
        ] {
            let entity = EntityId { kind: 3, hash: [7; 16] };
            let returned = CallReturn {
                entity,
                business: BusinessId("b".to_owned()),
                call: Key([1; 16]),
                result: result.clone(),
            };
            let input = returned.into_input(5).unwrap();
            assert_eq!((input.target, input.header.cause), (entity, Cause::CallResult));
            assert_eq!(decode_body(&input.body).unwrap(), (Key([1; 16]), result));
        }
    }
}
