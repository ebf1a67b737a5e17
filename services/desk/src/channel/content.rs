//! What platforms write, checked, and back.

use api::v1::{
    self, ChannelCustomer, DeliverRequest, OutgoingResponse, channel_customer::Identity as Named,
    deliver_request::Content as Written,
};
use domain::{
    content::{Content, ContentKind, Identity, MediaReference, Menu},
    naming::IdentityKey,
};

use crate::{command::raw_json, fault::Fault};

/// Longest text of a customer, characters.
const TEXT_CHARS_MAX: usize = 16_384;
/// Longest identity, name, id and title, bytes.
const NAME_BYTES_MAX: usize = 256;
/// Longest link, bytes.
const LINK_BYTES_MAX: usize = 2048;
/// Digits of a phone number (E.164).
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 6..=15;

/// A customer as checked.
pub(super) struct Who {
    pub(super) identity: Identity,
}

impl Who {
    /// The one identity it was named by.
    pub(super) fn key(&self) -> IdentityKey<'_> {
        let Identity { phone, email, visitor, external, .. } = &self.identity;
        match (phone, email, visitor) {
            (Some(phone), ..) => IdentityKey::Phone(phone),
            (_, Some(email), _) => IdentityKey::Email(email),
            (_, _, Some(visitor)) => IdentityKey::Visitor(visitor),
            _ => IdentityKey::External(external.as_deref().unwrap_or_default()),
        }
    }
}

pub(super) fn identity(customer: Option<&ChannelCustomer>) -> Result<Who, Fault> {
    let missing =
        || Fault::invalid("customer.identity: set visitor_id, email, phone or external_id");
    let customer = customer.ok_or_else(missing)?;
    bounded("customer.name", &customer.name)?;
    let name = Some(customer.name.clone()).filter(|name| !name.trim().is_empty());
    let mut identity = Identity { name, ..Identity::default() };
    match customer.identity.as_ref().ok_or_else(missing)? {
        Named::VisitorId(id) => identity.visitor = Some(named("customer.visitor_id", id)?),
        Named::ExternalId(id) => identity.external = Some(named("customer.external_id", id)?),
        Named::Email(email) => {
            let email = named("customer.email", email)?.to_lowercase();
            let whole = email.split_once('@').is_some_and(|(user, host)| {
                !user.is_empty() && !host.is_empty() && !email.contains(char::is_whitespace)
            });
            if !whole {
                return Err(Fault::invalid("customer.email: write it as name@host"));
            }
            identity.email = Some(email);
        }
        Named::Phone(phone) => {
            let digits = phone.strip_prefix('+').unwrap_or(phone);
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            if !plain || !PHONE_DIGITS.contains(&digits.len()) {
                return Err(Fault::invalid(
                    "customer.phone: write country code and number, digits only (E.164)",
                ));
            }
            identity.phone = Some(digits.to_owned());
        }
    }
    Ok(Who { identity })
}

fn named(field: &str, value: &str) -> Result<String, Fault> {
    let value = value.trim();
    if value.is_empty() {
        return Err(Fault::invalid(format!("{field}: it is empty; give the customer's")));
    }
    bounded(field, value)?;
    Ok(value.to_owned())
}

fn bounded(field: &str, value: &str) -> Result<(), Fault> {
    if value.len() > NAME_BYTES_MAX {
        return Err(Fault::invalid(format!("{field}: use at most {NAME_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Kind and content of a customer's message.
pub(super) fn inbound(request: &DeliverRequest) -> Result<(ContentKind, Content), Fault> {
    let (kind, mut content) = match request.content.as_ref() {
        None => return Err(Fault::invalid("content: set text, media or choice")),
        Some(Written::Text(text)) => {
            check_text("text", text, true)?;
            let content = Content { text: Some(text.clone()), ..Content::default() };
            (ContentKind::Text, content)
        }
        Some(Written::Media(media)) => of_media(media)?,
        Some(Written::Choice(choice)) => of_choice(choice)?,
    };
    content.wamid = Some(request.message_id.clone());
    content.target_wamid = Some(request.reply_to.clone()).filter(|target| !target.is_empty());
    Ok((kind, content))
}

fn check_text(field: &str, text: &str, needed: bool) -> Result<(), Fault> {
    if needed && text.trim().is_empty() {
        return Err(Fault::invalid(format!("{field}: it is empty; deliver what was written")));
    }
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(Fault::invalid(format!("{field}: use at most {TEXT_CHARS_MAX} characters")));
    }
    Ok(())
}

fn of_media(media: &v1::Media) -> Result<(ContentKind, Content), Fault> {
    let kind = match media.kind.as_str() {
        "image" => ContentKind::Image,
        "video" => ContentKind::Video,
        "audio" => ContentKind::Audio,
        "document" => ContentKind::Document,
        "sticker" => ContentKind::Sticker,
        _ => {
            let text = "media.kind: use image, video, audio, document or sticker";
            return Err(Fault::invalid(text));
        }
    };
    if !media.media_id.is_empty() {
        return Err(Fault::invalid("media.media_id: give a link; a channel has no media ids"));
    }
    if !media.link.starts_with("https://") || media.link.len() > LINK_BYTES_MAX {
        return Err(Fault::invalid(format!(
            "media.link: use an https link of at most {LINK_BYTES_MAX} bytes"
        )));
    }
    check_text("media.caption", &media.caption, false)?;
    bounded("media.filename", &media.filename)?;
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let reference = MediaReference {
        link: some(&media.link),
        filename: some(&media.filename),
        voice: media.voice,
        ..MediaReference::default()
    };
    let mut content =
        Content { text: some(&media.caption), media: Some(reference), ..Content::default() };
    content.raw_json = raw_json(&content, &media.kind);
    Ok((kind, content))
}

/// A tapped choice.
fn of_choice(choice: &v1::ChannelChoice) -> Result<(ContentKind, Content), Fault> {
    let id = named("choice.id", &choice.id)?;
    let title = named("choice.title", &choice.title)?;
    let content = Content { text: Some(title), choice: Some(id), ..Content::default() };
    Ok((ContentKind::Interactive, content))
}

/// The customer as the platform named them.
pub(super) fn customer(identity: Identity) -> ChannelCustomer {
    let Identity { phone, email, visitor, external, name, .. } = identity;
    let named = phone
        .map(Named::Phone)
        .or_else(|| email.map(Named::Email))
        .or_else(|| visitor.map(Named::VisitorId))
        .or_else(|| external.map(Named::ExternalId));
    ChannelCustomer { identity: named, name: name.unwrap_or_default() }
}

/// Fills in what is to be sent.
pub(super) fn outbound(reply: &mut OutgoingResponse, content: Content) {
    reply.text = content.text.clone().unwrap_or_default();
    reply.menu = content.menu.map(menu);
    reply.media = content.media.map(|media| v1::Media {
        kind: reply.kind.clone(),
        media_id: media.id.unwrap_or_default(),
        link: media.link.unwrap_or_default(),
        caption: content.text.unwrap_or_default(),
        filename: media.filename.unwrap_or_default(),
        voice: media.voice,
    });
}

fn menu(menu: Menu) -> v1::ChannelMenu {
    let options = menu.choices.into_iter().map(|choice| v1::ChannelMenuOption {
        id: choice.id,
        title: choice.title,
        description: choice.description.unwrap_or_default(),
    });
    v1::ChannelMenu { opener: menu.opener.unwrap_or_default(), options: options.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(identity: Option<Named>) -> Result<Who, Fault> {
        super::identity(Some(&ChannelCustomer { identity, name: "Ana".to_owned() }))
    }

    #[test]
    fn identities_are_normalised_or_refused_with_the_field() {
        let email = who(Some(Named::Email(" Ana@Example.COM ".to_owned()))).unwrap();
        assert_eq!(email.key(), IdentityKey::Email("ana@example.com"));
        let phone = who(Some(Named::Phone("+5511999".to_owned()))).unwrap();
        assert_eq!(phone.key(), IdentityKey::Phone("5511999"));
        assert_eq!(
            customer(phone.identity).identity,
            Some(Named::Phone("5511999".to_owned())),
            "the platform gets it back"
        );
        let refused = [
            (None, "customer.identity:"),
            (Some(Named::VisitorId("  ".to_owned())), "customer.visitor_id:"),
            (Some(Named::ExternalId("x".repeat(257))), "customer.external_id:"),
            (Some(Named::Email("ana".to_owned())), "customer.email:"),
            (Some(Named::Email("ana@".to_owned())), "customer.email:"),
            (Some(Named::Phone("55 11".to_owned())), "customer.phone:"),
        ];
        for (identity, field) in refused {
            let Err(Fault::Invalid(text)) = who(identity) else { panic!("{field} passed") };
            assert!(text.starts_with(field), "{text}");
        }
    }

    #[test]
    fn content_is_checked() {
        let of = |content| inbound(&DeliverRequest { content, ..DeliverRequest::default() });
        let media = |kind: &str, id: &str, link: &str| {
            Some(Written::Media(v1::Media {
                kind: kind.to_owned(),
                media_id: id.to_owned(),
                link: link.to_owned(),
                ..v1::Media::default()
            }))
        };
        let refused = [
            (None, "content:"),
            (Some(Written::Text(" ".to_owned())), "text:"),
            (Some(Written::Text("x".repeat(TEXT_CHARS_MAX + 1))), "text:"),
            (media("gif", "", "https://x/y"), "media.kind:"),
            (media("image", "7", ""), "media.media_id:"),
            (media("image", "", "http://x/y"), "media.link:"),
            (Some(Written::Choice(v1::ChannelChoice::default())), "choice.id:"),
        ];
        for (content, field) in refused {
            let Err(Fault::Invalid(text)) = of(content) else { panic!("{field} passed") };
            assert!(text.starts_with(field), "{text}");
        }
        let (kind, content) = of(media("image", "", "https://x/y")).unwrap();
        assert_eq!(kind, ContentKind::Image);
        assert!(content.raw_json.unwrap().contains("https://x/y"));
    }
}
