//! A template to send (fact sheet 4.1, 6): its name, language and parameters.

use serde_json::{Value, json};

use super::request::{OutboundMedia, put};

/// A template with its parameters. Whether it exists, is approved and fits, only Meta knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// `[a-z0-9_]`, at most 512.
    pub name: String,
    /// `en_US`, …
    pub language: String,
    /// Parameter of the header.
    pub header: Option<HeaderParameter>,
    /// Parameters of the body, in order.
    pub body: Vec<Parameter>,
    /// Parameters of the buttons.
    pub buttons: Vec<ButtonParameter>,
}

/// A parameter, by position or by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, in templates with names.
    pub name: Option<String>,
    /// What stands there.
    pub value: ParameterValue,
}

/// What stands in the place of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterValue {
    /// Text.
    Text(String),
    /// Money.
    Currency {
        /// ISO 4217.
        code: String,
        /// Thousandths.
        amount_1000: i64,
        /// Shown where it cannot be localised.
        fallback: String,
    },
    /// A date, as it is shown.
    DateTime(String),
}

/// What a header takes.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderParameter {
    /// Text.
    Text(Parameter),
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// Its name.
        name: Option<String>,
        /// Its address.
        address: Option<String>,
    },
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
    /// The token of a form.
    FlowToken(String),
}

impl Template {
    pub(super) fn to_json(&self) -> Value {
        let mut components = Vec::new();
        if let Some(header) = &self.header {
            let parameter = match header {
                HeaderParameter::Text(text) => text.to_json(),
                HeaderParameter::Location { latitude, longitude, name, address } => {
                    let mut place = json!({ "latitude": latitude, "longitude": longitude });
                    put(&mut place, "name", name.as_deref());
                    put(&mut place, "address", address.as_deref());
                    json!({ "type": "location", "location": place })
                }
                HeaderParameter::Media(media) => {
                    let kind = media.kind.as_wire();
                    json!({ "type": kind, kind: media.to_json() })
                }
            };
            components.push(json!({ "type": "header", "parameters": [parameter] }));
        }
        if !self.body.is_empty() {
            let parameters: Vec<_> = self.body.iter().map(Parameter::to_json).collect();
            components.push(json!({ "type": "body", "parameters": parameters }));
        }
        components.extend(self.buttons.iter().map(ButtonParameter::to_json));
        let mut template = json!({ "name": self.name, "language": { "code": self.language } });
        put(&mut template, "components", (!components.is_empty()).then_some(components));
        template
    }
}

impl Parameter {
    fn to_json(&self) -> Value {
        let mut parameter = match &self.value {
            ParameterValue::Text(text) => json!({ "type": "text", "text": text }),
            ParameterValue::Currency { code, amount_1000, fallback } => json!({
                "type": "currency",
                "currency": { "fallback_value": fallback, "code": code, "amount_1000": amount_1000 },
            }),
            ParameterValue::DateTime(text) => {
                json!({ "type": "date_time", "date_time": { "fallback_value": text } })
            }
        };
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
            ButtonValue::FlowToken(token) => {
                ("flow", json!({ "type": "action", "action": { "flow_token": token } }))
            }
        };
        json!({ "type": "button", "sub_type": kind, "index": self.index.to_string(), "parameters": [parameter] })
    }
}
