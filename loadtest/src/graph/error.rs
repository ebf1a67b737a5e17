//! Graph error objects (whatsapp.md 4.3).

use serde_json::{Value, json};

/// An error as the send endpoint answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GraphError {
    pub(crate) status: u16,
    pub(crate) code: u32,
    pub(crate) details: String,
}

impl GraphError {
    pub(crate) fn new(code: u32, details: impl Into<String>) -> Self {
        Self { status: http_status(code), code, details: details.into() }
    }

    pub(crate) fn title(&self) -> &'static str {
        title(self.code)
    }

    /// The body of the HTTP answer.
    pub(crate) fn body(&self, trace: u64) -> Value {
        let mut error = json!({
            "message": format!("(#{}) {}", self.code, self.title()),
            "type": "OAuthException",
            "code": self.code,
            "fbtrace_id": format!("Asim{trace:016}"),
        });
        if let Some(error) = error.as_object_mut() {
            if self.code == 190 {
                error.insert("error_subcode".to_owned(), json!(463));
            } else {
                let data = json!({"messaging_product": "whatsapp", "details": self.details});
                error.insert("error_data".to_owned(), data);
            }
        }
        json!({ "error": error })
    }

    /// The entry of `statuses[].errors`.
    pub(crate) fn in_status(&self) -> Value {
        let title = self.title();
        json!({"code": self.code, "title": title, "message": title, "error_data": {"details": self.details}})
    }
}

fn http_status(code: u32) -> u16 {
    match code {
        190 => 401,
        131_005 => 403,
        132_001 => 404,
        131_000 | 131_016 => 500,
        2 => 503,
        _ => 400,
    }
}

fn title(code: u32) -> &'static str {
    match code {
        2 => "API Service",
        100 => "Invalid parameter",
        190 => "Error validating access token: Session has expired.",
        130_429 => "Rate limit hit",
        131_000 => "Something went wrong",
        131_008 => "Required parameter is missing",
        131_009 => "Parameter value is not valid",
        131_026 => "Message undeliverable",
        131_047 => "Re-engagement message",
        131_056 => "(Business Account, Consumer Account) pair rate limit hit",
        132_001 => "Template name does not exist in the translation",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_metas_shape() {
        let body =
            GraphError::new(130_429, "Cloud API message throughput has been reached.").body(1);
        assert_eq!(body["error"]["message"], "(#130429) Rate limit hit");
        assert_eq!(body["error"]["code"], 130_429);
        assert_eq!(body["error"]["error_data"]["messaging_product"], "whatsapp");
        let expired = GraphError::new(190, "");
        assert_eq!(
            (expired.status, expired.body(1)["error"]["error_subcode"].clone()),
            (401, json!(463))
        );
    }
}
