//! Dead letters: listed, shown, replayed.

use api::{
    convert::ms,
    v1::{
        DeadLetter, GetDeadLetterRequest, GetDeadLetterResponse, ListDeadLettersRequest,
        ListDeadLettersResponse, ReplayDeadLetterRequest, ReplayDeadLetterResponse,
    },
};
use archive::model::{LetterId, LetterRow};
use bus::{Cause, Input};
use domain::{
    EntityKind, conversation::ConversationInput, number::NumberInput, persist,
    workspace::WorkspaceInput,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tonic::Status;

use super::page_size;
use crate::{fault::Fault, server::Shared};

pub(super) async fn list(
    shared: &Shared,
    request: &ListDeadLettersRequest,
) -> Result<ListDeadLettersResponse, Status> {
    let after = match request.page_token.as_str() {
        "" => None,
        token => Some(token.parse::<LetterId>().map_err(|()| {
            Fault::invalid("page_token: use the next_page_token of the page before")
        })?),
    };
    let limit = page_size(request.page_size);
    let found = shared.commands.archive.dead_letters(after, limit).await.map_err(Fault::from)?;
    let full = found.len() == limit;
    let next = found.last().filter(|_| full).map(|letter| letter.id.to_string());
    Ok(ListDeadLettersResponse {
        dead_letters: found.iter().map(dead_letter).collect(),
        next_page_token: next.unwrap_or_default(),
    })
}

pub(super) async fn get(
    shared: &Shared,
    request: &GetDeadLetterRequest,
) -> Result<GetDeadLetterResponse, Status> {
    let letter = find(shared, &request.dead_letter_id).await?;
    let mut body = body_json(&letter.input)
        .unwrap_or_else(|| json!({ "unreadable_bytes": letter.input.body.len() }));
    tidy(&mut body, &|key_id, bytes| {
        let opened = || shared.commands.archive.opened(&letter.business, key_id, bytes);
        match request.personal_content.then(opened) {
            None => json!({ "sealed_bytes": bytes.len() }),
            Some(plain) => plain
                .and_then(|plain| persist::decode::<Value>(&plain).ok())
                .unwrap_or_else(|| json!({ "sealed_bytes": bytes.len(), "key": "destroyed" })),
        }
    });
    let input_json = serde_json::to_string_pretty(&body)
        .map_err(|error| Status::internal(format!("the input has no JSON form: {error}")))?;
    Ok(GetDeadLetterResponse { dead_letter: Some(dead_letter(&letter)), input_json })
}

/// Appends the input again. Its key stays the same, so that an input which its sender has meanwhile repeated is
/// still decided once; what caused it is now the operator.
pub(super) async fn replay(
    shared: &Shared,
    request: &ReplayDeadLetterRequest,
) -> Result<ReplayDeadLetterResponse, Status> {
    let letter = find(shared, &request.dead_letter_id).await?;
    if matches!(letter.input.header.cause, Cause::Timer | Cause::CallResult) {
        return Err(Status::failed_precondition(
            "it is no input of an inbox: a timer is tried again by itself, a call's result is over",
        ));
    }
    if letter.replayed_ms > 0 && !request.again {
        return Err(Status::failed_precondition(
            "it was replayed already; set again (--again) to replay it once more",
        ));
    }
    let mut input = letter.input;
    // A step names letters of its own log only: one from before an import may lie in another partition's.
    let here = input.target.partition(shared.commands.asker.partitions()) == letter.id.partition;
    input.header.cause = match here {
        true => Cause::Replay { letter: letter.id.position },
        false => Cause::Command,
    };
    input.reply_to = None;
    let told = shared.commands.asker.tell(input).await;
    told.map_err(|error| Status::unavailable(format!("{error}: repeat")))?;
    Ok(ReplayDeadLetterResponse {})
}

async fn find(shared: &Shared, id: &str) -> Result<LetterRow, Status> {
    let id = id.parse::<LetterId>().map_err(|()| {
        Fault::invalid("dead_letter_id: use an id of ListDeadLetters, such as 3.1.4711.0")
    })?;
    let found = shared.commands.archive.dead_letter(id).await.map_err(Fault::from)?;
    found.ok_or_else(|| Status::not_found(format!("there is no dead letter {id}")))
}

fn dead_letter(letter: &LetterRow) -> DeadLetter {
    DeadLetter {
        dead_letter_id: letter.id.to_string(),
        business_id: letter.business.0.clone(),
        entity_kind: kind_name(letter.input.target.kind).to_owned(),
        cause: cause_name(&letter.input.header.cause).to_owned(),
        error: letter.error.clone(),
        timestamp_ms: ms(letter.at_ms),
        received_ms: ms(letter.input.header.received_ms),
        replayed_ms: ms(letter.replayed_ms),
    }
}

fn kind_name(code: u8) -> &'static str {
    match EntityKind::from_code(code) {
        Some(EntityKind::Conversation) => "conversation",
        Some(EntityKind::Workspace) => "workspace",
        Some(EntityKind::Number) => "number",
        None => "unknown",
    }
}

fn cause_name(cause: &Cause) -> &'static str {
    match cause {
        Cause::Webhook => "webhook",
        Cause::Command => "command",
        Cause::Channel { .. } => "channel",
        Cause::Timer => "timer",
        Cause::CallResult => "call_result",
        Cause::Replay { .. } => "replay",
    }
}

fn body_json(input: &Input) -> Option<Value> {
    fn json_of<T: DeserializeOwned + Serialize>(body: &[u8]) -> Option<Value> {
        serde_json::to_value(persist::decode::<T>(body).ok()?).ok()
    }
    match EntityKind::from_code(input.target.kind)? {
        EntityKind::Conversation => json_of::<ConversationInput>(&input.body),
        EntityKind::Workspace => json_of::<WorkspaceInput>(&input.body),
        EntityKind::Number => json_of::<NumberInput>(&input.body),
    }
}

/// Replaces what is sealed by what `open` makes of it, and hashes by their hexadecimal form.
fn tidy(value: &mut Value, open: &impl Fn(u32, &[u8]) -> Value) {
    if let Some((key_id, bytes)) = sealed_of(value) {
        *value = open(key_id, &bytes);
        return;
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|field| tidy(field, open)),
        Value::Array(values) => {
            if let Some(bytes) = bytes_of(values).filter(|bytes| bytes.len() >= 16) {
                *value = Value::String(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
            } else {
                values.iter_mut().for_each(|value| tidy(value, open));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn sealed_of(value: &Value) -> Option<(u32, Vec<u8>)> {
    let fields = value.as_object().filter(|fields| fields.len() == 2)?;
    let key_id = u32::try_from(fields.get("key_id")?.as_u64()?).ok()?;
    Some((key_id, bytes_of(fields.get("bytes")?.as_array()?)?))
}

fn bytes_of(values: &[Value]) -> Option<Vec<u8>> {
    values.iter().map(|value| u8::try_from(value.as_u64()?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use domain::Sealed;

    use super::*;

    #[test]
    fn sealed_content_stays_sealed_unless_it_is_asked_for() {
        let sealed = Sealed { key_id: 1, bytes: vec![7; 20] };
        let body = json!({ "a": [serde_json::to_value(&sealed).unwrap()], "h": vec![171; 16] });
        let mut closed = body;
        tidy(&mut closed, &|key_id, bytes| json!(format!("{key_id}:{}", bytes.len())));
        assert_eq!(closed, json!({ "a": ["1:20"], "h": "ab".repeat(16) }));
    }
}
