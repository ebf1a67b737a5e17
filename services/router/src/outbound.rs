//! From a message as the domain keeps it to a message of the Graph API.

use domain::content::{
    Action, ButtonValue as Button, ContactCard, Content, ContentKind, Header as DomainHeader,
    HeaderFile, HeaderParameter as DomainHeaderParameter, Interactive, MediaReference, Menu,
    Outgoing, Parameter as DomainParameter, ParameterValue as DomainValue, Place,
    Template as DomainTemplate,
};
use whatsapp::{
    graph::{
        OutboundContent, OutboundMedia,
        contacts::{Card, Entry},
        interactive::{Ask, Flow},
        request::{Button as ReplyButton, Header, MediaSource, Row, Section},
        template::{
            ButtonParameter, ButtonValue, HeaderParameter, Parameter, ParameterValue, Template,
        },
    },
    webhook::content::MediaKind,
};

/// Why a message cannot be sent: what was stored of it does not say what its kind needs.
type Incomplete = &'static str;

/// What a message says, and the wamid it answers.
pub(crate) fn outbound(
    kind: &ContentKind,
    content: Content,
) -> Result<(OutboundContent, Option<String>), Incomplete> {
    let Content { text, media, outgoing, target_wamid, menu: choices, .. } = content;
    let said = match (kind, outgoing) {
        (ContentKind::Text, more) => {
            let body = text.ok_or("the message has no text")?;
            let preview_url = more == Some(Outgoing::PreviewUrl);
            OutboundContent::Text { body, preview_url }
        }
        (_, Some(Outgoing::Reaction { emoji })) => {
            let message_id = target_wamid.ok_or("the message reacted to is not known")?;
            return Ok((OutboundContent::Reaction { message_id, emoji }, None));
        }
        (_, Some(Outgoing::Location(it))) => {
            let (latitude, longitude) = degrees(&it);
            OutboundContent::Location { latitude, longitude, name: it.name, address: it.address }
        }
        (_, Some(Outgoing::Contacts(cards))) => {
            OutboundContent::Contacts(cards.into_iter().map(card).collect())
        }
        (_, Some(Outgoing::Interactive(it))) => {
            interactive(it, text.ok_or("the message has no body")?)?
        }
        (_, Some(Outgoing::Template(it))) => OutboundContent::Template(template(it)?),
        (ContentKind::Interactive, _) => menu(choices.ok_or("the message has no choices")?),
        (kind, _) => OutboundContent::Media(file(kind, media, text)?),
    };
    Ok((said, target_wamid))
}

fn degrees(place: &Place) -> (f64, f64) {
    (f64::from(place.latitude_e7) / 1e7, f64::from(place.longitude_e7) / 1e7)
}

fn file(
    kind: &ContentKind,
    media: Option<MediaReference>,
    caption: Option<String>,
) -> Result<OutboundMedia, Incomplete> {
    let kind = match kind {
        ContentKind::Image => MediaKind::Image,
        ContentKind::Video => MediaKind::Video,
        ContentKind::Audio => MediaKind::Audio,
        ContentKind::Document => MediaKind::Document,
        ContentKind::Sticker => MediaKind::Sticker,
        _ => return Err("this kind of message cannot be sent"),
    };
    let media = media.ok_or("the message has no media")?;
    Ok(OutboundMedia { caption, ..medium(kind, media)? })
}

fn medium(kind: MediaKind, media: MediaReference) -> Result<OutboundMedia, Incomplete> {
    let source = match (media.id, media.link) {
        (Some(id), _) => MediaSource::Id(id),
        (None, Some(link)) => MediaSource::Link(link),
        (None, None) => return Err("the media has neither id nor link"),
    };
    Ok(OutboundMedia {
        kind,
        source,
        caption: None,
        filename: media.filename,
        is_voice: media.voice,
    })
}

fn header_file(file: HeaderFile) -> Result<OutboundMedia, Incomplete> {
    match file {
        HeaderFile::Image(media) => medium(MediaKind::Image, media),
        HeaderFile::Video(media) => medium(MediaKind::Video, media),
        HeaderFile::Document(media) => medium(MediaKind::Document, media),
    }
}

fn interactive(message: Interactive, body: String) -> Result<OutboundContent, Incomplete> {
    let Interactive { header, footer, action } = message;
    let header = match header {
        None => None,
        Some(DomainHeader::Text(text)) => Some(Header::Text(text)),
        Some(DomainHeader::File(file)) => Some(Header::Media(header_file(file)?)),
    };
    let ask = match action {
        Action::Buttons(buttons) => {
            let buttons =
                buttons.into_iter().map(|it| ReplyButton { id: it.id, title: it.title }).collect();
            return Ok(OutboundContent::Buttons { header, body, footer, buttons });
        }
        Action::List { button, sections } => {
            let header = match header {
                None => None,
                Some(Header::Text(text)) => Some(text),
                Some(Header::Media(_)) => return Err("a list has a text as header, or none"),
            };
            let sections = sections.into_iter().map(|section| Section {
                title: section.title,
                rows: section
                    .rows
                    .into_iter()
                    .map(|row| Row { id: row.id, title: row.title, description: row.description })
                    .collect(),
            });
            let sections = sections.collect();
            return Ok(OutboundContent::List { header, body, footer, button, sections });
        }
        Action::CtaUrl { display_text, url } => Ask::Link { display_text, url },
        Action::Flow(flow) => Ask::Flow(Flow {
            id: flow.id,
            name: flow.name,
            cta: flow.cta,
            token: flow.token,
            mode: flow.mode,
            action: flow.action,
            action_payload_json: flow.action_payload_json,
        }),
        Action::LocationRequest => Ask::Location,
        Action::ContactRequest => Ask::Contact,
    };
    Ok(OutboundContent::Ask { header, body, footer, ask })
}

fn menu(menu: Menu) -> OutboundContent {
    let Menu { body, opener, choices } = menu;
    let choices = choices.into_iter();
    match opener {
        None => OutboundContent::Buttons {
            header: None,
            body,
            footer: None,
            buttons: choices.map(|c| ReplyButton { id: c.id, title: c.title }).collect(),
        },
        Some(button) => {
            let rows =
                choices.map(|c| Row { id: c.id, title: c.title, description: c.description });
            let sections = vec![Section { title: None, rows: rows.collect() }];
            OutboundContent::List { header: None, body, footer: None, button, sections }
        }
    }
}

fn card(card: ContactCard) -> Card {
    let name = card.name;
    let phones = card.phones.into_iter().map(|it| {
        entry("phones", [("phone", Some(it.phone)), ("type", it.kind), ("wa_id", it.wa_id)])
    });
    let emails = card
        .emails
        .into_iter()
        .map(|it| entry("emails", [("email", Some(it.email)), ("type", it.kind)]));
    let urls =
        card.urls.into_iter().map(|it| entry("urls", [("url", Some(it.url)), ("type", it.kind)]));
    let addresses = card.addresses.into_iter().map(|it| {
        let fields = [
            ("street", it.street),
            ("city", it.city),
            ("state", it.state),
            ("zip", it.zip),
            ("country", it.country),
            ("country_code", it.country_code),
            ("type", it.kind),
        ];
        entry("addresses", fields)
    });
    let organisation = card.organisation.unwrap_or_default();
    Card {
        formatted_name: name.formatted,
        name_parts: given([
            ("first_name", name.first),
            ("last_name", name.last),
            ("middle_name", name.middle),
            ("prefix", name.prefix),
            ("suffix", name.suffix),
        ]),
        entries: phones.chain(emails).chain(urls).chain(addresses).collect(),
        organisation: given([
            ("company", organisation.company),
            ("department", organisation.department),
            ("title", organisation.title),
        ]),
        birthday: card.birthday,
    }
}

type Field = (&'static str, Option<String>);

fn entry(list: &'static str, fields: impl IntoIterator<Item = Field>) -> Entry {
    Entry { list, fields: given(fields) }
}

fn given(fields: impl IntoIterator<Item = Field>) -> Vec<(&'static str, String)> {
    fields.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

fn template(template: DomainTemplate) -> Result<Template, Incomplete> {
    let header = match template.header {
        None => None,
        Some(DomainHeaderParameter::Text(text)) => Some(HeaderParameter::Text(parameter(text))),
        Some(DomainHeaderParameter::File(file)) => Some(HeaderParameter::Media(header_file(file)?)),
        Some(DomainHeaderParameter::Location(place)) => {
            let (latitude, longitude) = degrees(&place);
            let Place { name, address, .. } = place;
            Some(HeaderParameter::Location { latitude, longitude, name, address })
        }
    };
    let buttons = template.buttons.into_iter().map(|button| ButtonParameter {
        index: button.index,
        value: match button.value {
            Button::QuickReply(text) => ButtonValue::QuickReply(text),
            Button::UrlSuffix(text) => ButtonValue::UrlSuffix(text),
            Button::CouponCode(text) => ButtonValue::CouponCode(text),
            Button::FlowToken(text) => ButtonValue::FlowToken(text),
        },
    });
    Ok(Template {
        name: template.name,
        language: template.language,
        header,
        body: template.body.into_iter().map(parameter).collect(),
        buttons: buttons.collect(),
    })
}

fn parameter(parameter: DomainParameter) -> Parameter {
    let value = match parameter.value {
        DomainValue::Text(text) => ParameterValue::Text(text),
        DomainValue::Currency { code, amount_1000, fallback } => {
            ParameterValue::Currency { code, amount_1000, fallback }
        }
        DomainValue::DateTime(text) => ParameterValue::DateTime(text),
    };
    Parameter { name: parameter.name, value }
}
