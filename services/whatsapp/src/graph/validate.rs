//! Meta's limits on what we send (fact sheet 4.1), in characters.

use std::collections::BTreeSet;

use super::contacts;
use super::request::{
    Button, Header, MediaSource, OutboundContent, OutboundMedia, OutboundMessage, Recipient,
    Section,
};
use super::template::{ButtonValue, HeaderParameter, Parameter, ParameterValue, Template};
use crate::identity::{is_bsuid, normalise_phone};
use crate::webhook::content::MediaKind;

/// The limit a message breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The number is not an international one.
    #[error("the recipient is not an international phone number")]
    Phone,
    /// The BSUID has not the shape of one.
    #[error("the recipient is not a business-scoped user id")]
    Bsuid,
    /// Something needed is blank.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// Something is too long.
    #[error("{what} has {length} characters, {limit} are allowed")]
    TooLong {
        /// What.
        what: &'static str,
        /// How long it is.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
    /// Too many or too few of something.
    #[error("{count} {what}, allowed are 1 to {limit}")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// Two of something that must differ.
    #[error("two {0} are the same")]
    Repeated(&'static str),
    /// Something this kind of message cannot have.
    #[error("{0}")]
    NotAllowed(&'static str),
}

const TEXT_MAX: usize = 4096;
const CAPTION_MAX: usize = 1024;
const OPAQUE_MAX: usize = 512;
const BUTTON_BODY_MAX: usize = 1024;
const HEADER_MAX: usize = 60;
const FOOTER_MAX: usize = 60;
const BUTTONS_MAX: usize = 3;
const BUTTON_TITLE_MAX: usize = 20;
const BUTTON_ID_MAX: usize = 256;
const LIST_BODY_MAX: usize = 4096;
const SECTIONS_MAX: usize = 10;
const ROWS_MAX: usize = 10;
const ROW_ID_MAX: usize = 200;
const ROW_TITLE_MAX: usize = 24;
const ROW_DESCRIPTION_MAX: usize = 72;
const SECTION_TITLE_MAX: usize = 24;
const LIST_BUTTON_MAX: usize = 20;
const TEMPLATE_NAME_MAX: usize = 512;
const PARAMETER_MAX: usize = 1024;

pub(super) fn message(message: &OutboundMessage) -> Result<(), Invalid> {
    match &message.to {
        Recipient::Phone(phone) => normalise_phone(phone).map(drop).ok_or(Invalid::Phone)?,
        Recipient::Bsuid(bsuid) => is_bsuid(bsuid).then_some(()).ok_or(Invalid::Bsuid)?,
    }
    if let Some(opaque) = &message.biz_opaque_callback_data {
        at_most("biz_opaque_callback_data", opaque, OPAQUE_MAX)?;
    }
    if let Some(wamid) = &message.reply_to {
        filled("the message replied to", wamid)?;
        match &message.content {
            OutboundContent::Reaction { .. } => {
                return Err(Invalid::NotAllowed("a reaction cannot be a reply"));
            }
            OutboundContent::Template(_) => {
                return Err(Invalid::NotAllowed("a template cannot be a reply"));
            }
            _ => {}
        }
    }
    content(&message.content)
}

fn content(content: &OutboundContent) -> Result<(), Invalid> {
    match content {
        OutboundContent::Text { body, .. } => within("the text", body, TEXT_MAX),
        OutboundContent::Media(file) => media(file),
        OutboundContent::Location { latitude, longitude, .. } => on_earth(*latitude, *longitude),
        OutboundContent::Reaction { message_id, emoji } => {
            filled("the message reacted to", message_id)?;
            emoji.as_ref().map_or(Ok(()), |emoji| filled("the emoji", emoji))
        }
        OutboundContent::Buttons { header, body, footer, buttons } => {
            within("the body", body, BUTTON_BODY_MAX)?;
            footer_within(footer.as_ref())?;
            match header {
                Some(Header::Text(text)) => within("the header", text, HEADER_MAX)?,
                Some(Header::Media(file)) => header_media(file)?,
                None => {}
            }
            reply_buttons(buttons)
        }
        OutboundContent::List { header, body, footer, button, sections } => {
            within("the body", body, LIST_BODY_MAX)?;
            footer_within(footer.as_ref())?;
            header.as_ref().map_or(Ok(()), |text| within("the header", text, HEADER_MAX))?;
            within("the list's button", button, LIST_BUTTON_MAX)?;
            list(sections)
        }
        OutboundContent::Contacts(cards) => contacts::check(cards),
        OutboundContent::Ask { header, body, footer, ask } => {
            within("the body", body, LIST_BODY_MAX)?;
            footer_within(footer.as_ref())?;
            match header {
                Some(Header::Text(text)) => within("the header", text, HEADER_MAX)?,
                Some(Header::Media(file)) => header_media(file)?,
                None => {}
            }
            ask.check(header.as_ref())
        }
        OutboundContent::Template(it) => template(it),
    }
}

fn on_earth(latitude: f64, longitude: f64) -> Result<(), Invalid> {
    let is_on_earth = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
    is_on_earth.then_some(()).ok_or(Invalid::NotAllowed("the place is not on earth"))
}

fn media(file: &OutboundMedia) -> Result<(), Invalid> {
    match &file.source {
        MediaSource::Id(id) => filled("the media id", id)?,
        MediaSource::Link(link) if link.starts_with("https://") || link.starts_with("http://") => {}
        MediaSource::Link(_) => {
            return Err(Invalid::NotAllowed("the media link is neither http nor https"));
        }
    }
    if let Some(caption) = &file.caption {
        if matches!(file.kind, MediaKind::Audio | MediaKind::Sticker) {
            return Err(Invalid::NotAllowed("audio and stickers have no caption"));
        }
        at_most("the caption", caption, CAPTION_MAX)?;
    }
    if file.filename.is_some() && file.kind != MediaKind::Document {
        return Err(Invalid::NotAllowed("only documents have a file name"));
    }
    if file.is_voice && file.kind != MediaKind::Audio {
        return Err(Invalid::NotAllowed("only audio can be a voice note"));
    }
    Ok(())
}

fn header_media(file: &OutboundMedia) -> Result<(), Invalid> {
    if matches!(file.kind, MediaKind::Audio | MediaKind::Sticker) {
        return Err(Invalid::NotAllowed("a header is text, image, video or document"));
    }
    if file.caption.is_some() {
        return Err(Invalid::NotAllowed("a header has no caption"));
    }
    media(file)
}

fn reply_buttons(buttons: &[Button]) -> Result<(), Invalid> {
    count("buttons", buttons.len(), BUTTONS_MAX)?;
    for button in buttons {
        within("a button's title", &button.title, BUTTON_TITLE_MAX)?;
        within("a button's id", &button.id, BUTTON_ID_MAX)?;
    }
    all_differ("button titles", buttons.iter().map(|button| button.title.as_str()))?;
    all_differ("button ids", buttons.iter().map(|button| button.id.as_str()))
}

fn list(sections: &[Section]) -> Result<(), Invalid> {
    count("sections", sections.len(), SECTIONS_MAX)?;
    let rows: Vec<_> = sections.iter().flat_map(|section| &section.rows).collect();
    count("rows", rows.len(), ROWS_MAX)?;
    for section in sections {
        count("rows of a section", section.rows.len(), ROWS_MAX)?;
        match &section.title {
            Some(title) => within("a section's title", title, SECTION_TITLE_MAX)?,
            None if sections.len() > 1 => return Err(Invalid::Empty("a section's title")),
            None => {}
        }
    }
    for row in &rows {
        within("a row's id", &row.id, ROW_ID_MAX)?;
        within("a row's title", &row.title, ROW_TITLE_MAX)?;
        if let Some(description) = &row.description {
            at_most("a row's description", description, ROW_DESCRIPTION_MAX)?;
        }
    }
    all_differ("row ids", rows.iter().map(|row| row.id.as_str()))
}

fn template(template: &Template) -> Result<(), Invalid> {
    within("the template's name", &template.name, TEMPLATE_NAME_MAX)?;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !template.name.bytes().all(is_plain) {
        return Err(Invalid::NotAllowed("a template's name has only a-z, 0-9 and _"));
    }
    filled("the template's language", &template.language)?;
    match &template.header {
        Some(HeaderParameter::Text(text)) => parameter(text)?,
        Some(HeaderParameter::Media(file)) => header_media(file)?,
        Some(HeaderParameter::Location { latitude, longitude, .. }) => {
            on_earth(*latitude, *longitude)?;
        }
        None => {}
    }
    template.body.iter().try_for_each(parameter)?;
    let names = template.body.iter().filter(|it| it.name.is_some()).count();
    if names != 0 && names != template.body.len() {
        return Err(Invalid::NotAllowed("parameters have all a name, or none has"));
    }
    let indexes: Vec<String> = template.buttons.iter().map(|it| it.index.to_string()).collect();
    all_differ("button indexes", indexes.iter().map(String::as_str))?;
    template.buttons.iter().try_for_each(|button| match &button.value {
        ButtonValue::QuickReply(text)
        | ButtonValue::UrlSuffix(text)
        | ButtonValue::CouponCode(text)
        | ButtonValue::FlowToken(text) => filled("a button's parameter", text),
    })
}

/// Meta takes no line breaks, tabs, nor runs of more than four spaces in a parameter.
fn parameter(parameter: &Parameter) -> Result<(), Invalid> {
    match &parameter.value {
        ParameterValue::Text(text) => {
            within("a template parameter", text, PARAMETER_MAX)?;
            if text.contains(['\n', '\r', '\t']) || text.contains("     ") {
                return Err(Invalid::NotAllowed(
                    "a template parameter has no line breaks, tabs or more than four spaces in a row",
                ));
            }
            Ok(())
        }
        ParameterValue::Currency { code, fallback, .. } => {
            filled("a template parameter", fallback)?;
            let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
            is_code.then_some(()).ok_or(Invalid::NotAllowed("a currency code has three letters"))
        }
        ParameterValue::DateTime(text) => filled("a template parameter", text),
    }
}

fn footer_within(footer: Option<&String>) -> Result<(), Invalid> {
    footer.map_or(Ok(()), |text| within("the footer", text, FOOTER_MAX))
}

pub(super) fn filled(what: &'static str, text: &str) -> Result<(), Invalid> {
    if text.trim().is_empty() { Err(Invalid::Empty(what)) } else { Ok(()) }
}

pub(super) fn at_most(what: &'static str, text: &str, limit: usize) -> Result<(), Invalid> {
    let length = text.chars().count();
    if length > limit { Err(Invalid::TooLong { what, length, limit }) } else { Ok(()) }
}

pub(super) fn within(what: &'static str, text: &str, limit: usize) -> Result<(), Invalid> {
    filled(what, text)?;
    at_most(what, text, limit)
}

pub(super) fn count(what: &'static str, count: usize, limit: usize) -> Result<(), Invalid> {
    if (1..=limit).contains(&count) { Ok(()) } else { Err(Invalid::Count { what, count, limit }) }
}

fn all_differ<'a>(what: &'static str, texts: impl Iterator<Item = &'a str>) -> Result<(), Invalid> {
    let mut seen = BTreeSet::new();
    for text in texts {
        if !seen.insert(text) {
            return Err(Invalid::Repeated(what));
        }
    }
    Ok(())
}
