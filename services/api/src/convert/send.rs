//! Messages to send, as clients write them: checked before anything is stored, within Meta's limits.

use domain::content::{Content, ContentKind, MediaReference};

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
}

/// Checks the content of a message.
///
/// # Errors
/// [`Invalid`].
pub fn check_send(message: &v1::SendMessage) -> Result<Outgoing, Invalid> {
    match &message.content {
        None => invalid("message: set text or media"),
        Some(send_message::Content::Text(text)) => {
            check_text("message.text", text, TEXT_CHARS_MAX)?;
            let content = Content { text: Some(text.clone()), ..Content::default() };
            Ok(Outgoing { kind: ContentKind::Text, content })
        }
        Some(send_message::Content::Media(media)) => check_media(media),
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
    match (media.media_id.is_empty(), media.link.is_empty()) {
        (true, true) => return invalid("media: set media_id or link"),
        (false, false) => return invalid("media: set media_id or link, not both"),
        (false, true) => {
            let plain = media.media_id.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !plain || media.media_id.len() > MEDIA_ID_CHARS_MAX {
                return invalid("media.media_id: use the id that Meta gave when it was uploaded");
            }
        }
        (true, false) => {
            let plain = media.link.chars().all(|c| !c.is_whitespace() && !c.is_control());
            if !media.link.starts_with("https://") || !plain {
                return invalid("media.link: use an https link");
            }
            check_length("media.link", &media.link, LINK_CHARS_MAX)?;
        }
    }
    if !media.caption.is_empty() && matches!(kind, ContentKind::Audio | ContentKind::Sticker) {
        return invalid("media.caption: audio and stickers have none; send a text after it");
    }
    check_length("media.caption", &media.caption, CAPTION_CHARS_MAX)?;
    if !media.filename.is_empty() && kind != ContentKind::Document {
        return invalid("media.filename: only documents have one; leave it empty");
    }
    check_length("media.filename", &media.filename, FILENAME_CHARS_MAX)?;
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let content = Content {
        text: some(&media.caption),
        media: Some(MediaReference {
            id: some(&media.media_id),
            link: some(&media.link),
            filename: some(&media.filename),
        }),
        ..Content::default()
    };
    Ok(Outgoing { kind, content })
}

fn check_text(field: &str, text: &str, chars_max: usize) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return invalid(format!("{field}: it is empty; write something"));
    }
    check_length(field, text, chars_max)
}

fn check_length(field: &str, text: &str, chars_max: usize) -> Result<(), Invalid> {
    let chars = text.chars().count();
    if chars > chars_max {
        return invalid(format!("{field}: it has {chars} characters; use at most {chars_max}"));
    }
    Ok(())
}

fn invalid<T>(text: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use send_message::Content::{Media, Text};

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
