//! Interactive messages with one action: a link, a form, a request (fact sheet 4.1).

use serde_json::{Value, json};

use super::request::{Header, put};
use super::validate::{Invalid, at_most, filled, within};

const BUTTON_MAX: usize = 20;
const URL_MAX: usize = 2048;
const TOKEN_MAX: usize = 256;

/// What the customer is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Open a link.
    Link {
        /// Title of the button: at most 20 characters.
        display_text: String,
        /// http or https.
        url: String,
    },
    /// Fill in a form; the answer is an `nfm_reply`.
    Flow(Flow),
    /// Send the location.
    Location,
    /// Show the phone number.
    Contact,
}

/// A form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flow {
    /// By id, or
    pub id: Option<String>,
    /// by name.
    pub name: Option<String>,
    /// Title of the button: at most 20 characters.
    pub cta: String,
    /// Comes back with the answer.
    pub token: Option<String>,
    /// `draft` or `published`.
    pub mode: Option<String>,
    /// `navigate` or `data_exchange`.
    pub action: Option<String>,
    /// First screen and data: a JSON object.
    pub action_payload_json: Option<String>,
}

impl Ask {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Link { .. } => "cta_url",
            Self::Flow(_) => "flow",
            Self::Location => "location_request_message",
            Self::Contact => "request_contact_info",
        }
    }

    pub(super) fn check(&self, header: Option<&Header>) -> Result<(), Invalid> {
        match self {
            Self::Link { display_text, url } => {
                within("the button's title", display_text, BUTTON_MAX)?;
                at_most("the link", url, URL_MAX)?;
                if !url.starts_with("https://") && !url.starts_with("http://") {
                    return Err(Invalid::NotAllowed("the link is neither http nor https"));
                }
            }
            Self::Flow(flow) => flow.check()?,
            Self::Location | Self::Contact => {
                if header.is_some() {
                    return Err(Invalid::NotAllowed("a request has no header"));
                }
            }
        }
        Ok(())
    }

    pub(super) fn action(&self) -> Value {
        match self {
            Self::Link { display_text, url } => json!({
                "name": "cta_url",
                "parameters": { "display_text": display_text, "url": url },
            }),
            Self::Flow(flow) => json!({ "name": "flow", "parameters": flow.parameters() }),
            Self::Location => json!({ "name": "send_location" }),
            Self::Contact => json!({ "name": "request_contact_info" }),
        }
    }
}

impl Flow {
    fn check(&self) -> Result<(), Invalid> {
        within("the form's button", &self.cta, BUTTON_MAX)?;
        match (&self.id, &self.name) {
            (Some(id), None) => filled("the form's id", id)?,
            (None, Some(name)) => filled("the form's name", name)?,
            _ => return Err(Invalid::NotAllowed("a form is named by id or by name, one of them")),
        }
        if let Some(token) = &self.token {
            at_most("the form's token", token, TOKEN_MAX)?;
        }
        if self.action_payload_json.is_some() && self.payload().is_none() {
            return Err(Invalid::NotAllowed("the form's payload is no JSON object"));
        }
        Ok(())
    }

    fn payload(&self) -> Option<Value> {
        let payload: Value = serde_json::from_str(self.action_payload_json.as_deref()?).ok()?;
        payload.is_object().then_some(payload)
    }

    fn parameters(&self) -> Value {
        let mut parameters = json!({ "flow_message_version": "3", "flow_cta": self.cta });
        put(&mut parameters, "flow_id", self.id.as_deref());
        put(&mut parameters, "flow_name", self.name.as_deref());
        put(&mut parameters, "flow_token", self.token.as_deref());
        put(&mut parameters, "mode", self.mode.as_deref());
        put(&mut parameters, "flow_action", self.action.as_deref());
        put(&mut parameters, "flow_action_payload", self.payload());
        parameters
    }
}
