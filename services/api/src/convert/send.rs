//! Messages to send, as clients write them: checked before anything is stored, within Meta's limits.

use domain::content::{Content, ContentKind, MediaReference, Outgoing as More};

use super::{rich, template};
use crate::v1::{self, send_message};

/// Longest text of a message, characters (Meta: text messages).
pub const TEXT_CHARS_MAX: usize = 4096;
/// Longest caption of a medium, characters (Meta: image, video and document messages).
const CAPTION_CHARS_MAX: usize = 1024;
/// Longest note, characters: a note travels as one input.
pub const NOTE_CHARS_MAX: usize = 16_384;
const FILENAME_CHARS_MAX: usize = 240;
const LINK_CHARS_MAX: usize = 2048;
const MEDIA_ID_CHARS_MAX: usize = 128;

/// Which field is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub String);

/// What is to be sent; `target_wamid` is for the caller to fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Kind of content.
    pub kind: ContentKind,
    /// Content.
    pub content: Content,
    /// It is a marketing template.
    pub marketing: bool,
}

/// Checks the content of a message.
///
/// # Errors
/// [`Invalid`].
pub fn check_send(message: &v1::SendMessage) -> Result<Outgoing, Invalid> {
    use send_message::Content as Wire;
    let Some(wire) = &message.content else {
        return invalid(
            "message: set text, media, location, contacts, reaction, interactive or template",
        );
    };
    if message.preview_url && !matches!(wire, Wire::Text(_)) {
        return invalid("message.preview_url: only texts have one; leave it out");
    }
    if !message.reply_to_message_id.is_empty()
        && matches!(wire, Wire::Reaction(_) | Wire::Template(_))
    {
        return invalid(
            "reply_to_message_id: reactions and templates answer no message; leave it empty",
        );
    }
    let (kind, text, more) = match wire {
        Wire::Text(text) => {
            check_text("message.text", text, TEXT_CHARS_MAX)?;
            let preview = message.preview_url.then_some(More::PreviewUrl);
            (ContentKind::Text, some(text), preview)
        }
        Wire::Media(media) => return check_media(media),
        Wire::Location(it) => {
            let place = rich::place("location", it)?;
            (ContentKind::Location, place.name.clone(), Some(More::Location(place)))
        }
        Wire::Contacts(it) => {
            let cards = rich::cards(it)?;
            let names: Vec<&str> = cards.iter().map(|card| card.name.formatted.as_str()).collect();
            (ContentKind::Contacts, Some(names.join(", ")), Some(More::Contacts(cards)))
        }
        Wire::Reaction(it) => {
            let emoji = rich::emoji(it)?;
            (ContentKind::Reaction, emoji.clone(), Some(More::Reaction { emoji }))
        }
        Wire::Interactive(it) => {
            let interactive = rich::interactive(it)?;
            (ContentKind::Interactive, some(&it.body), Some(More::Interactive(interactive)))
        }
        Wire::Template(it) => {
            let template = template::check(it)?;
            (ContentKind::Template, some(&it.name), Some(More::Template(template)))
        }
    };
    let content = Content { text, outgoing: more, ..Content::default() };
    Ok(Outgoing { kind, content, marketing: is_marketing(wire) })
}

fn is_marketing(wire: &send_message::Content) -> bool {
    match wire {
        send_message::Content::Template(it) => it.category() == v1::TemplateCategory::Marketing,
        _ => false,
    }
}

/// message_id of the message that a reaction is for or that is answered; empty for none.
#[must_use]
pub fn target_of(message: &v1::SendMessage) -> &str {
    match &message.content {
        Some(send_message::Content::Reaction(reaction)) => &reaction.message_id,
        _ => &message.reply_to_message_id,
    }
}

/// Checks the text of a note.
///
/// # Errors
/// [`Invalid`].
pub fn check_note(text: &str) -> Result<(), Invalid> {
    check_text("note.text", text, NOTE_CHARS_MAX)
}

fn check_media(media: &v1::Media) -> Result<Outgoing, Invalid> {
    let kind = match media.kind.as_str() {
        "image" => ContentKind::Image,
        "video" => ContentKind::Video,
        "audio" => ContentKind::Audio,
        "document" => ContentKind::Document,
        "sticker" => ContentKind::Sticker,
        _ => return invalid("media.kind: use image, video, audio, document or sticker"),
    };
    if media.voice && kind != ContentKind::Audio {
        return invalid("media.voice: only audio can be a voice note; leave it out");
    }
    if !media.caption.is_empty() && matches!(kind, ContentKind::Audio | ContentKind::Sticker) {
        return invalid("media.caption: audio and stickers have none; send a text after it");
    }
    check_length("media.caption", &media.caption, CAPTION_CHARS_MAX)?;
    if !media.filename.is_empty() && kind != ContentKind::Document {
        return invalid("media.filename: only documents have one; leave it empty");
    }
    let content = Content {
        text: some(&media.caption),
        media: Some(check_media_reference("media", media)?),
        ..Content::default()
    };
    Ok(Outgoing { kind, content, marketing: false })
}

/// Where a file is.
pub(super) fn check_media_reference(
    field: &str,
    media: &v1::Media,
) -> Result<MediaReference, Invalid> {
    match (media.media_id.is_empty(), media.link.is_empty()) {
        (true, true) => return invalid(format!("{field}: set media_id or link")),
        (false, false) => return invalid(format!("{field}: set media_id or link, not both")),
        (false, true) => {
            let plain = media.media_id.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !plain || media.media_id.len() > MEDIA_ID_CHARS_MAX {
                return invalid(format!(
                    "{field}.media_id: use the id that Meta gave when it was uploaded"
                ));
            }
        }
        (true, false) => {
            let plain = media.link.chars().all(|c| !c.is_whitespace() && !c.is_control());
            if !media.link.starts_with("https://") || !plain {
                return invalid(format!("{field}.link: use an https link"));
            }
            check_length(&format!("{field}.link"), &media.link, LINK_CHARS_MAX)?;
        }
    }
    check_length(&format!("{field}.filename"), &media.filename, FILENAME_CHARS_MAX)?;
    Ok(MediaReference {
        id: some(&media.media_id),
        link: some(&media.link),
        filename: some(&media.filename),
        voice: media.voice,
    })
}

/// A field that was set.
pub(super) fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

pub(super) fn check_text(field: &str, text: &str, chars_max: usize) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return invalid(format!("{field}: it is empty; write something"));
    }
    check_length(field, text, chars_max)
}

pub(super) fn check_length(field: &str, text: &str, chars_max: usize) -> Result<(), Invalid> {
    let chars = text.chars().count();
    if chars > chars_max {
        return invalid(format!("{field}: it has {chars} characters; use at most {chars_max}"));
    }
    Ok(())
}

pub(super) fn invalid<T>(text: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use send_message::Content::{Contacts, Interactive, Location, Media, Template, Text};

    fn check(content: Option<send_message::Content>) -> Result<Outgoing, Invalid> {
        check_send(&v1::SendMessage { content, ..v1::SendMessage::default() })
    }

    fn media(change: impl Fn(&mut v1::Media)) -> Result<Outgoing, Invalid> {
        let mut media = v1::Media {
            kind: "image".to_owned(),
            link: "https://example.com/cat.jpg".to_owned(),
            ..v1::Media::default()
        };
        change(&mut media);
        check(Some(Media(media)))
    }

    #[test]
    fn what_meta_would_refuse_is_refused_with_the_field_and_advice() {
        let long = "é".repeat(TEXT_CHARS_MAX + 1);
        let table = [
            (check(None), "message:"),
            (check(Some(Text(" \n".to_owned()))), "message.text:"),
            (check(Some(Text(long.clone()))), "message.text:"),
            (media(|m| m.kind = "gif".to_owned()), "media.kind:"),
            (media(|m| m.link.clear()), "media:"),
            (media(|m| m.media_id = "1".to_owned()), "media:"),
            (media(|m| m.link = "http://example.com/x".to_owned()), "media.link:"),
            (media(|m| m.link = "https://a b".to_owned()), "media.link:"),
            (media(|m| m.filename = "cat.jpg".to_owned()), "media.filename:"),
            (media(|m| m.caption.clone_from(&long)), "media.caption:"),
            (
                media(|m| {
                    m.kind = "audio".to_owned();
                    m.caption = "listen".to_owned();
                }),
                "media.caption:",
            ),
            (
                media(|m| {
                    m.link.clear();
                    m.media_id = "../1".to_owned();
                }),
                "media.media_id:",
            ),
        ];
        for (result, field) in table {
            let Err(Invalid(text)) = result else { panic!("{field} passed: {result:?}") };
            assert!(text.starts_with(field), "{text}");
        }
    }

    fn buttons(titles: &[&str]) -> v1::Interactive {
        let buttons = titles
            .iter()
            .map(|title| v1::ReplyButton { id: (*title).to_owned(), title: (*title).to_owned() });
        let action =
            v1::interactive::Action::Buttons(v1::ReplyButtons { buttons: buttons.collect() });
        v1::Interactive { body: "Well?".to_owned(), action: Some(action), ..<_>::default() }
    }

    fn list(rows: usize, title: &str) -> v1::Interactive {
        let rows = (0..rows).map(|n| v1::ChoiceRow {
            id: n.to_string(),
            title: title.to_owned(),
            ..<_>::default()
        });
        let sections = vec![v1::ChoiceSection { rows: rows.collect(), ..<_>::default() }];
        let list = v1::ChoiceList { button: "Choose".to_owned(), sections };
        let action = Some(v1::interactive::Action::List(list));
        v1::Interactive { body: "Well?".to_owned(), action, ..<_>::default() }
    }

    fn template(texts: &[(&str, &str)]) -> v1::Template {
        let body = texts.iter().map(|(name, text)| v1::TemplateParameter {
            name: (*name).to_owned(),
            value: Some(v1::template_parameter::Value::Text((*text).to_owned())),
        });
        v1::Template {
            name: "order_ready".to_owned(),
            language: "en_US".to_owned(),
            body: body.collect(),
            ..<_>::default()
        }
    }

    #[test]
    fn rich_messages_within_the_limits_are_taken() {
        let interactive = |it| check(Some(Interactive(it)));
        assert_eq!(interactive(buttons(&["a", "b", "c"])).unwrap().kind, ContentKind::Interactive);
        assert_eq!(
            interactive(list(10, "Row")).unwrap().content.text.as_deref(),
            Some("Well?"),
            "the body is what is read first"
        );
        let filled = check(Some(Template(template(&[("", "4711")])))).unwrap();
        assert_eq!(filled.kind, ContentKind::Template);
        let place = v1::Place { latitude: -33.856_784, longitude: 151.215_3, ..<_>::default() };
        let More::Location(place) = check(Some(Location(place))).unwrap().content.outgoing.unwrap()
        else {
            panic!("a place")
        };
        assert_eq!((place.latitude_e7, place.longitude_e7), (-338_567_840, 1_512_153_000));
    }

    #[test]
    fn rich_messages_beyond_the_limits_are_refused_with_the_field() {
        let interactive = |it| check(Some(Interactive(it)));
        let mut footed = buttons(&["a"]);
        footed.footer = "f".repeat(61);
        let mut headed = list(1, "Row");
        let media =
            v1::Media { kind: "image".to_owned(), media_id: "1".to_owned(), ..<_>::default() };
        headed.header = Some(v1::interactive::Header::HeaderMedia(media));
        let card = v1::ContactCard { formatted_name: "Ana".to_owned(), ..<_>::default() };
        let nowhere = v1::Place { latitude: 90.1, ..<_>::default() };
        let unreal = v1::Place { longitude: f64::NAN, ..<_>::default() };
        let mut shouting = template(&[]);
        shouting.name = "Order".to_owned();
        let table = [
            (interactive(v1::Interactive::default()), "interactive.action:"),
            (interactive(buttons(&[])), "interactive.buttons:"),
            (interactive(buttons(&["a", "b", "c", "d"])), "interactive.buttons:"),
            (interactive(buttons(&["a", "a"])), "interactive.buttons.title:"),
            (interactive(buttons(&["a title longer than twenty"])), "interactive.buttons.title:"),
            (interactive(footed), "interactive.footer:"),
            (interactive(list(11, "Row")), "interactive.list.sections:"),
            (interactive(list(0, "Row")), "interactive.list.sections.rows:"),
            (
                interactive(list(1, "a title longer than 24 characters")),
                "interactive.list.rows.title:",
            ),
            (interactive(headed), "interactive.header_media:"),
            (check(Some(Contacts(v1::ContactCards { cards: vec![card] }))), "contacts:"),
            (check(Some(Contacts(v1::ContactCards::default()))), "contacts.cards:"),
            (check(Some(Location(nowhere))), "location.latitude:"),
            (check(Some(Location(unreal))), "location.longitude:"),
            (check(Some(Template(shouting))), "template.name:"),
            (check(Some(Template(template(&[("", "a\nb")])))), "template.body.text:"),
            (check(Some(Template(template(&[("", "a"), ("n", "b")])))), "template.body.name:"),
        ];
        for (result, field) in table {
            let Err(Invalid(text)) = result else { panic!("{field} passed: {result:?}") };
            assert!(text.starts_with(field), "{text}");
        }
    }

    #[test]
    fn reactions_and_templates_answer_nothing_and_only_texts_have_previews() {
        let reply = |content| {
            check_send(&v1::SendMessage {
                content: Some(content),
                reply_to_message_id: "x".to_owned(),
                ..v1::SendMessage::default()
            })
        };
        assert!(reply(Template(template(&[]))).is_err());
        assert!(reply(Text("yes".to_owned())).is_ok());
        let reaction = v1::SendReaction { message_id: "m".to_owned(), emoji: "👍".to_owned() };
        assert!(reply(send_message::Content::Reaction(reaction.clone())).is_err());
        let removal = v1::SendReaction { emoji: String::new(), ..reaction };
        let removal = check(Some(send_message::Content::Reaction(removal))).unwrap();
        assert_eq!(removal.content.outgoing, Some(More::Reaction { emoji: None }));
        let preview = v1::SendMessage {
            content: Some(Template(template(&[]))),
            preview_url: true,
            ..v1::SendMessage::default()
        };
        assert!(check_send(&preview).is_err());
    }

    #[test]
    fn what_is_right_is_taken_as_it_is() {
        let text = check(Some(Text("é".repeat(TEXT_CHARS_MAX)))).unwrap();
        assert_eq!(text.kind, ContentKind::Text);
        let image = media(|m| m.caption = "a cat".to_owned()).unwrap();
        assert_eq!(
            (image.kind, image.content.text.as_deref()),
            (ContentKind::Image, Some("a cat"))
        );
        let reference = image.content.media.unwrap();
        assert_eq!((reference.id, reference.filename), (None, None));
        assert_eq!(reference.link.as_deref(), Some("https://example.com/cat.jpg"));
    }
}
