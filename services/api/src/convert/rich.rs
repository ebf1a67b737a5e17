//! Interactive messages, cards, places and reactions, as clients write them.

use std::collections::BTreeSet;

use domain::content::{
    Action, Address, Button, ContactCard, Email, Flow, Header, HeaderFile, Interactive,
    MediaReference, Organisation, PersonName, Phone, Place, Row, Section, Url,
};

use super::send::{Invalid, check_length, check_media_reference, check_text, invalid, some};
use crate::v1::{self, interactive};

const NAME_CHARS_MAX: usize = 1000;
const CARDS_MAX: usize = 100;
const EMOJI_BYTES_MAX: usize = 64;

/// A place.
pub(super) fn place(field: &str, place: &v1::Place) -> Result<Place, Invalid> {
    let e7 = |name: &str, degrees: f64, limit: f64| {
        if degrees.is_finite() && degrees.abs() <= limit {
            #[expect(clippy::cast_possible_truncation, reason = "within 180e7, checked above")]
            return Ok((degrees * 1e7).round() as i32);
        }
        invalid(format!("{field}.{name}: use degrees from -{limit} to {limit}"))
    };
    check_length(&format!("{field}.name"), &place.name, NAME_CHARS_MAX)?;
    check_length(&format!("{field}.address"), &place.address, NAME_CHARS_MAX)?;
    Ok(Place {
        latitude_e7: e7("latitude", place.latitude, 90.0)?,
        longitude_e7: e7("longitude", place.longitude, 180.0)?,
        name: some(&place.name),
        address: some(&place.address),
    })
}

/// The emoji of a reaction; `None` takes an earlier one back.
pub(super) fn emoji(reaction: &v1::SendReaction) -> Result<Option<String>, Invalid> {
    if reaction.message_id.is_empty() {
        return invalid("reaction.message_id: set the message that is reacted to");
    }
    let emoji = reaction.emoji.trim();
    if emoji.len() > EMOJI_BYTES_MAX || emoji.chars().any(|c| c.is_ascii_alphanumeric()) {
        return invalid("reaction.emoji: use one emoji, or nothing to take a reaction back");
    }
    Ok(some(emoji))
}

/// Contact cards.
pub(super) fn cards(cards: &v1::ContactCards) -> Result<Vec<ContactCard>, Invalid> {
    if cards.cards.is_empty() || cards.cards.len() > CARDS_MAX {
        return invalid(format!("contacts.cards: use 1 to {CARDS_MAX}"));
    }
    cards.cards.iter().map(card).collect()
}

fn card(card: &v1::ContactCard) -> Result<ContactCard, Invalid> {
    check_text("contacts.formatted_name", &card.formatted_name, NAME_CHARS_MAX)?;
    let parts = [
        &card.first_name,
        &card.last_name,
        &card.middle_name,
        &card.name_prefix,
        &card.name_suffix,
    ];
    if parts.iter().all(|part| part.is_empty()) {
        return invalid(
            "contacts: set first_name, last_name or another part of the name beside formatted_name",
        );
    }
    for part in parts {
        check_length("contacts: a part of the name", part, NAME_CHARS_MAX)?;
    }
    for phone in &card.phones {
        check_text("contacts.phones.phone", &phone.phone, NAME_CHARS_MAX)?;
    }
    for entry in card.emails.iter().chain(&card.urls) {
        check_text("contacts: an e-mail or web address", &entry.value, NAME_CHARS_MAX)?;
    }
    let phones = card.phones.iter().map(|phone| Phone {
        phone: phone.phone.clone(),
        kind: some(&phone.kind),
        wa_id: some(&phone.wa_id),
    });
    let emails = card.emails.iter().map(|e| Email { email: e.value.clone(), kind: some(&e.kind) });
    let urls = card.urls.iter().map(|e| Url { url: e.value.clone(), kind: some(&e.kind) });
    let organisation = Organisation {
        company: some(&card.company),
        department: some(&card.department),
        title: some(&card.job_title),
    };
    Ok(ContactCard {
        name: PersonName {
            formatted: card.formatted_name.clone(),
            first: some(&card.first_name),
            last: some(&card.last_name),
            middle: some(&card.middle_name),
            prefix: some(&card.name_prefix),
            suffix: some(&card.name_suffix),
        },
        phones: phones.collect(),
        emails: emails.collect(),
        urls: urls.collect(),
        addresses: card.addresses.iter().map(address).collect(),
        organisation: (organisation != Organisation::default()).then_some(organisation),
        birthday: some(&card.birthday),
    })
}

fn address(address: &v1::CardAddress) -> Address {
    Address {
        street: some(&address.street),
        city: some(&address.city),
        state: some(&address.state),
        zip: some(&address.zip),
        country: some(&address.country),
        country_code: some(&address.country_code),
        kind: some(&address.kind),
    }
}

/// A file of a header.
pub(super) fn header_file(field: &str, media: &v1::Media) -> Result<HeaderFile, Invalid> {
    if !media.caption.is_empty() {
        return invalid(format!("{field}.caption: a header has none; leave it empty"));
    }
    let file: MediaReference = check_media_reference(field, media)?;
    match media.kind.as_str() {
        "image" => Ok(HeaderFile::Image(file)),
        "video" => Ok(HeaderFile::Video(file)),
        "document" => Ok(HeaderFile::Document(file)),
        _ => invalid(format!("{field}.kind: a header takes image, video or document")),
    }
}

/// An interactive message.
pub(super) fn interactive(message: &v1::Interactive) -> Result<Interactive, Invalid> {
    use interactive::Action as Wire;
    let Some(action) = &message.action else {
        return invalid("interactive.action: set buttons, list, cta_url, flow or a request");
    };
    let body_max = if matches!(action, Wire::Buttons(_)) { 1024 } else { 4096 };
    check_text("interactive.body", &message.body, body_max)?;
    check_length("interactive.footer", &message.footer, 60)?;
    let header = match &message.header {
        None => None,
        Some(_) if matches!(action, Wire::RequestLocation(_) | Wire::RequestContact(_)) => {
            return invalid("interactive.header: a request has none; leave it out");
        }
        Some(interactive::Header::HeaderText(text)) => {
            check_text("interactive.header_text", text, 60)?;
            Some(Header::Text(text.clone()))
        }
        Some(interactive::Header::HeaderMedia(_)) if matches!(action, Wire::List(_)) => {
            return invalid("interactive.header_media: a list takes header_text only");
        }
        Some(interactive::Header::HeaderMedia(media)) => {
            Some(Header::File(header_file("interactive.header_media", media)?))
        }
    };
    let action = match action {
        Wire::Buttons(it) => buttons(it)?,
        Wire::List(it) => list(it)?,
        Wire::CtaUrl(it) => {
            check_text("interactive.cta_url.display_text", &it.display_text, 20)?;
            check_link("interactive.cta_url.url", &it.url)?;
            Action::CtaUrl { display_text: it.display_text.clone(), url: it.url.clone() }
        }
        Wire::Flow(it) => Action::Flow(flow(it)?),
        Wire::RequestLocation(_) => Action::LocationRequest,
        Wire::RequestContact(_) => Action::ContactRequest,
    };
    Ok(Interactive { header, footer: some(&message.footer), action })
}

fn check_link(field: &str, url: &str) -> Result<(), Invalid> {
    let plain = url.chars().all(|c| !c.is_whitespace() && !c.is_control());
    if !(url.starts_with("https://") || url.starts_with("http://")) || !plain {
        return invalid(format!("{field}: use an http or https link"));
    }
    check_length(field, url, 2048)
}

fn buttons(buttons: &v1::ReplyButtons) -> Result<Action, Invalid> {
    if buttons.buttons.is_empty() || buttons.buttons.len() > 3 {
        return invalid("interactive.buttons: use 1 to 3; for more choices use a list");
    }
    for button in &buttons.buttons {
        check_text("interactive.buttons.id", &button.id, 256)?;
        check_text("interactive.buttons.title", &button.title, 20)?;
    }
    all_differ("interactive.buttons.title", buttons.buttons.iter().map(|it| &it.title))?;
    all_differ("interactive.buttons.id", buttons.buttons.iter().map(|it| &it.id))?;
    let buttons = buttons.buttons.iter();
    Ok(Action::Buttons(
        buttons.map(|it| Button { id: it.id.clone(), title: it.title.clone() }).collect(),
    ))
}

fn list(list: &v1::ChoiceList) -> Result<Action, Invalid> {
    check_text("interactive.list.button", &list.button, 20)?;
    let rows: usize = list.sections.iter().map(|section| section.rows.len()).sum();
    if list.sections.is_empty() || list.sections.len() > 10 || rows > 10 {
        return invalid("interactive.list.sections: use 1 to 10 sections with 10 rows in all");
    }
    for section in &list.sections {
        check_length("interactive.list.sections.title", &section.title, 24)?;
        if section.title.trim().is_empty() && list.sections.len() > 1 {
            return invalid("interactive.list.sections.title: required with several sections");
        }
        if section.rows.is_empty() {
            return invalid("interactive.list.sections.rows: a section needs a row");
        }
        for row in &section.rows {
            check_text("interactive.list.rows.id", &row.id, 200)?;
            check_text("interactive.list.rows.title", &row.title, 24)?;
            check_length("interactive.list.rows.description", &row.description, 72)?;
        }
    }
    let rows = list.sections.iter().flat_map(|section| &section.rows);
    all_differ("interactive.list.rows.id", rows.map(|row| &row.id))?;
    let sections = list.sections.iter().map(|section| Section {
        title: some(&section.title),
        rows: section.rows.iter().map(row).collect(),
    });
    Ok(Action::List { button: list.button.clone(), sections: sections.collect() })
}

fn row(row: &v1::ChoiceRow) -> Row {
    Row { id: row.id.clone(), title: row.title.clone(), description: some(&row.description) }
}

fn flow(flow: &v1::FlowForm) -> Result<Flow, Invalid> {
    if flow.flow_id.is_empty() == flow.flow_name.is_empty() {
        return invalid("interactive.flow: set flow_id or flow_name, one of them");
    }
    check_text("interactive.flow.cta", &flow.cta, 20)?;
    check_length("interactive.flow.token", &flow.token, 256)?;
    if !matches!(flow.action.as_str(), "" | "navigate" | "data_exchange") {
        return invalid("interactive.flow.action: use navigate or data_exchange");
    }
    let payload = &flow.action_payload_json;
    let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(payload);
    if !payload.is_empty() && is_object.is_err() {
        return invalid("interactive.flow.action_payload_json: use a JSON object");
    }
    Ok(Flow {
        id: some(&flow.flow_id),
        name: some(&flow.flow_name),
        cta: flow.cta.clone(),
        token: some(&flow.token),
        mode: flow.draft.then(|| "draft".to_owned()),
        action: some(&flow.action),
        action_payload_json: some(payload),
    })
}

fn all_differ<'a>(field: &str, texts: impl Iterator<Item = &'a String>) -> Result<(), Invalid> {
    let mut seen = BTreeSet::new();
    for text in texts {
        if !seen.insert(text) {
            return invalid(format!("{field}: two are the same; make them different"));
        }
    }
    Ok(())
}
