//! Error objects inside webhooks (fact sheet 2.4): `{code, title, message, error_data{details},
//! href}`, old form `{code, title, details}`.

use serde_json::value::RawValue;

use crate::json::Object;

/// One error object. Judge by `code` (see [`crate::errors`]); titles will go away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    /// The number Meta documents.
    pub code: Option<i64>,
    /// Short text.
    pub title: Option<String>,
    /// What exactly, in English.
    pub details: Option<String>,
}

pub(super) fn list(owner: &Object<'_>, key: &str) -> Vec<WireError> {
    owner.list(key).unwrap_or_default().into_iter().filter_map(read).collect()
}

fn read(raw: &RawValue) -> Option<WireError> {
    let error = Object::parse(raw)?;
    let details = error.object("error_data").and_then(|data| data.string("details"));
    Some(WireError {
        code: error.int("code"),
        title: error.string("title").or_else(|| error.string("message")),
        details: details.or_else(|| error.string("details")),
    })
}
