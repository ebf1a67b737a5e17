//! Templates, as clients write them. Whether one exists and fits its parameters, only WhatsApp knows.

use std::collections::BTreeSet;

use domain::content::{
    ButtonParameter, ButtonValue, HeaderParameter, Parameter, ParameterValue, Template,
};

use super::{
    rich,
    send::{Invalid, check_length, check_text, invalid, some},
};
use crate::v1::{self, template, template_button, template_parameter};

const NAME_CHARS_MAX: usize = 512;
const LANGUAGE_CHARS_MAX: usize = 16;
const PARAMETER_CHARS_MAX: usize = 1024;
const BUTTONS_MAX: usize = 10;

/// Checks a template.
pub(super) fn check(template: &v1::Template) -> Result<Template, Invalid> {
    check_text("template.name", &template.name, NAME_CHARS_MAX)?;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !template.name.bytes().all(is_plain) {
        return invalid("template.name: use a-z, 0-9 and _ only");
    }
    check_text("template.language", &template.language, LANGUAGE_CHARS_MAX)?;
    let header = match &template.header {
        None => None,
        Some(template::Header::HeaderText(text)) => {
            Some(HeaderParameter::Text(parameter("template.header_text", text)?))
        }
        Some(template::Header::HeaderMedia(media)) => {
            Some(HeaderParameter::File(rich::header_file("template.header_media", media)?))
        }
        Some(template::Header::HeaderPlace(place)) => {
            Some(HeaderParameter::Location(rich::place("template.header_place", place)?))
        }
    };
    let named = template.body.iter().filter(|it| !it.name.is_empty()).count();
    if named != 0 && named != template.body.len() {
        return invalid("template.body.name: name all parameters, or none");
    }
    let body =
        template.body.iter().map(|it| parameter("template.body", it)).collect::<Result<_, _>>();
    if template.buttons.len() > BUTTONS_MAX {
        return invalid(format!("template.buttons: use at most {BUTTONS_MAX}"));
    }
    let buttons = template.buttons.iter().map(button).collect::<Result<Vec<_>, _>>()?;
    let indexes: BTreeSet<u8> = buttons.iter().map(|button| button.index).collect();
    if indexes.len() != buttons.len() {
        return invalid("template.buttons.index: two are the same; use each place once");
    }
    Ok(Template {
        name: template.name.clone(),
        language: template.language.clone(),
        header,
        body: body?,
        buttons,
    })
}

fn parameter(field: &str, parameter: &v1::TemplateParameter) -> Result<Parameter, Invalid> {
    use template_parameter::Value as Wire;
    let value = match &parameter.value {
        None => return invalid(format!("{field}: set text, currency or date_time")),
        Some(Wire::Text(text)) => {
            check_text(&format!("{field}.text"), text, PARAMETER_CHARS_MAX)?;
            if text.contains(['\n', '\r', '\t']) || text.contains("     ") {
                return invalid(format!(
                    "{field}.text: use no line breaks, tabs or more than four spaces in a row"
                ));
            }
            ParameterValue::Text(text.clone())
        }
        Some(Wire::Currency(money)) => {
            if money.code.len() != 3 || !money.code.bytes().all(|byte| byte.is_ascii_uppercase()) {
                return invalid(format!(
                    "{field}.currency.code: use the three letters of ISO 4217"
                ));
            }
            check_text(
                &format!("{field}.currency.fallback"),
                &money.fallback,
                PARAMETER_CHARS_MAX,
            )?;
            ParameterValue::Currency {
                code: money.code.clone(),
                amount_1000: money.amount_1000,
                fallback: money.fallback.clone(),
            }
        }
        Some(Wire::DateTime(text)) => {
            check_text(&format!("{field}.date_time"), text, PARAMETER_CHARS_MAX)?;
            ParameterValue::DateTime(text.clone())
        }
    };
    check_length(&format!("{field}.name"), &parameter.name, PARAMETER_CHARS_MAX)?;
    Ok(Parameter { name: some(&parameter.name), value })
}

fn button(button: &v1::TemplateButton) -> Result<ButtonParameter, Invalid> {
    use template_button::Value as Wire;
    let index = u8::try_from(button.index).ok().filter(|it| usize::from(*it) < BUTTONS_MAX);
    let Some(index) = index else {
        return invalid(format!("template.buttons.index: count from 0, below {BUTTONS_MAX}"));
    };
    let (text, value) = match &button.value {
        None => {
            return invalid(
                "template.buttons: set quick_reply, url_suffix, coupon_code or flow_token",
            );
        }
        Some(Wire::QuickReply(text)) => (text, ButtonValue::QuickReply(text.clone())),
        Some(Wire::UrlSuffix(text)) => (text, ButtonValue::UrlSuffix(text.clone())),
        Some(Wire::CouponCode(text)) => (text, ButtonValue::CouponCode(text.clone())),
        Some(Wire::FlowToken(text)) => (text, ButtonValue::FlowToken(text.clone())),
    };
    check_text("template.buttons.value", text, PARAMETER_CHARS_MAX)?;
    Ok(ButtonParameter { index, value })
}
