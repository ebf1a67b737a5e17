//! A template to send (fact sheet 4.1, 6): its name, language and parameters.

use serde_json::{Value, json};

use super::request::{OutboundMedia, put};

/// A template with its parameters. Whether it exists, is approved and fits, only Meta knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// `[a-z0-9_]`, at most 512.
    pub name: String,
    /// `en_US`, …
    pub language: String,
    /// Parameter of the header.
    pub header: Option<HeaderParameter>,
    /// Parameters of the body, in order.
    pub body: Vec<TextParameter>,
    /// Parameters of the buttons.
    pub buttons: Vec<ButtonParameter>,
}

/// A text parameter, by position or by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextParameter {
    /// Its name, in templates with names.
    pub name: Option<String>,
    /// What stands there.
    pub text: String,
}

/// What a header takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderParameter {
    /// Text.
    Text(TextParameter),
    /// Image, video or document.
    Media(OutboundMedia),
}

/// What a button takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ButtonParameter {
    /// From 0.
    pub index: u8,
    /// Which kind of button.
    pub value: ButtonValue,
}

/// What a button takes, by its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ButtonValue {
    /// Comes back when it is pressed.
    QuickReply(String),
    /// The end of the address.
    UrlSuffix(String),
    /// The code to copy.
    CouponCode(String),
}

impl Template {
    pub(super) fn to_json(&self) -> Value {
        let mut components = Vec::new();
        if let Some(header) = &self.header {
            let parameter = match header {
                HeaderParameter::Text(text) => text.to_json(),
                HeaderParameter::Media(media) => {
                    let kind = media.kind.as_wire();
                    json!({ "type": kind, kind: media.to_json() })
                }
            };
            components.push(json!({ "type": "header", "parameters": [parameter] }));
        }
        if !self.body.is_empty() {
            let parameters: Vec<_> = self.body.iter().map(TextParameter::to_json).collect();
            components.push(json!({ "type": "body", "parameters": parameters }));
        }
        components.extend(self.buttons.iter().map(ButtonParameter::to_json));
        let mut template = json!({ "name": self.name, "language": { "code": self.language } });
        put(&mut template, "components", (!components.is_empty()).then_some(components));
        template
    }
}

impl TextParameter {
    fn to_json(&self) -> Value {
        let mut parameter = json!({ "type": "text", "text": self.text });
        put(&mut parameter, "parameter_name", self.name.as_deref());
        parameter
    }
}

impl ButtonParameter {
    fn to_json(&self) -> Value {
        let (kind, parameter) = match &self.value {
            ButtonValue::QuickReply(payload) => {
                ("quick_reply", json!({ "type": "payload", "payload": payload }))
            }
            ButtonValue::UrlSuffix(text) => ("url", json!({ "type": "text", "text": text })),
            ButtonValue::CouponCode(code) => {
                ("copy_code", json!({ "type": "coupon_code", "coupon_code": code }))
            }
        };
        json!({ "type": "button", "sub_type": kind, "index": self.index.to_string(), "parameters": [parameter] })
    }
}
