//! An external bot's turn: what it is told, and what it answers. The answer is checked as a whole; what is wrong is
//! named without what was said, because it is logged.

use std::collections::BTreeSet;

use domain::{
    MessageId, Millis, QueueId,
    content::{Content, ContentKind, Identity, Menu, MenuChoice},
    flow::{Answer, Field, HandOff, Outcome, Reply, VIP_PRIORITY},
};

use super::{
    content::detail,
    id::message_id,
    send::{Invalid, check_length, check_send, check_text, invalid},
    thread::{kind, ms},
};
use crate::v1::{self, bot_say::Content as Said, send_message, turn_response::Step};

/// Messages of one turn; a flow says as many at most.
pub const SAYS_MAX: usize = 8;
/// Their text together, bytes: all of it goes into one step.
pub const SAID_BYTES_MAX: usize = 16 * 1024;
const CODE_CHARS_MAX: usize = 64;
const BUTTONS_MAX: usize = 3;
const ROWS_MAX: usize = 10;
const CHOICE_ID_CHARS_MAX: usize = 200;
const OPENER_CHARS_MAX: usize = 20;
const DESCRIPTION_CHARS_MAX: usize = 72;

/// Who a customer is.
#[must_use]
pub fn contact(who: Identity) -> v1::Contact {
    v1::Contact {
        phone: who.phone.unwrap_or_default(),
        user_id: who.bsuid.unwrap_or_default(),
        name: who.name.unwrap_or_default(),
        username: who.username.unwrap_or_default(),
        email: who.email.unwrap_or_default(),
        visitor_id: who.visitor.unwrap_or_default(),
        external_id: who.external.unwrap_or_default(),
    }
}

/// A message of a customer as a bot is told. Content that cannot be read any more is empty.
#[must_use]
pub fn heard_message(
    id: MessageId,
    kind_of: &ContentKind,
    at_ms: Millis,
    content: Content,
) -> v1::HeardMessage {
    v1::HeardMessage {
        message_id: message_id(id),
        kind: kind(kind_of),
        text: content.text.unwrap_or_default(),
        choice_id: content.choice.unwrap_or_default(),
        detail: content.detail.map(detail),
        timestamp_ms: ms(at_ms),
        shortened: false,
    }
}

/// The whole answer of a bot of a workspace with these queues. A stream that ended without ending the turn waits.
///
/// # Errors
/// [`Invalid`]: nothing of it is to be carried out.
pub fn check_turn(steps: Vec<Step>, queues: &BTreeSet<QueueId>) -> Result<Answer, Invalid> {
    let (mut replies, mut bytes, mut outcome) = (Vec::new(), 0, Outcome::Wait);
    for step in steps {
        match step {
            Step::Say(say) => {
                let reply = check_say(say)?;
                bytes += size(&reply);
                replies.push(reply);
            }
            Step::HandOff(told) => outcome = Outcome::HandOff(hand_off(told, queues)),
            Step::Resolve(_) => outcome = Outcome::End,
        }
    }
    if replies.len() > SAYS_MAX {
        return invalid(format!("say: say at most {SAYS_MAX} messages in a turn"));
    }
    if bytes > SAID_BYTES_MAX {
        return invalid(format!("say: say at most {SAID_BYTES_MAX} bytes of text in a turn"));
    }
    if replies.is_empty() && outcome == Outcome::Wait {
        return invalid("say: say something before the turn waits for the customer");
    }
    Ok(Answer { replies, outcome })
}

fn check_say(say: v1::BotSay) -> Result<Reply, Invalid> {
    let content = match say.content {
        None => return invalid("say: set text, menu or media"),
        Some(Said::Menu(menu)) => return check_menu(menu).map(Reply::Menu),
        Some(Said::Text(text)) => send_message::Content::Text(text),
        Some(Said::Media(media)) => send_message::Content::Media(media),
    };
    let message = v1::SendMessage { content: Some(content), ..v1::SendMessage::default() };
    let checked = check_send(&message)?;
    let text = checked.content.text;
    Ok(match checked.content.media {
        Some(media) => Reply::Media { kind: checked.kind, media, caption: text },
        None => Reply::Text(text.unwrap_or_default()),
    })
}

/// Meta's limits on what is tapped (whatsapp.md 4.1).
fn check_menu(menu: v1::BotMenu) -> Result<Menu, Invalid> {
    let v1::BotMenu { text, opener, options } = menu;
    let is_list = !opener.is_empty();
    let (most, title_max, text_max) =
        if is_list { (ROWS_MAX, 24, 4_096) } else { (BUTTONS_MAX, 20, 1_024) };
    check_text("menu.text", &text, text_max)?;
    check_length("menu.opener", &opener, OPENER_CHARS_MAX)?;
    if !(1..=most).contains(&options.len()) {
        return invalid("menu.options: use one to three, or one to ten with an opener");
    }
    let mut choices: Vec<MenuChoice> = Vec::new();
    for option in options {
        let v1::ChannelMenuOption { id, title, description } = option;
        check_text("menu.options.id", &id, CHOICE_ID_CHARS_MAX)?;
        check_text("menu.options.title", &title, title_max)?;
        check_length("menu.options.description", &description, DESCRIPTION_CHARS_MAX)?;
        if !description.is_empty() && !is_list {
            return invalid("menu.options.description: buttons have none; set an opener");
        }
        if choices.iter().any(|known| known.id == id || known.title == title) {
            return invalid("menu.options: every id and every title may stand there once");
        }
        let description = Some(description).filter(|description| !description.is_empty());
        choices.push(MenuChoice { id, title, description });
    }
    Ok(Menu { body: text, opener: Some(opener).filter(|_| is_list), choices })
}

fn size(reply: &Reply) -> usize {
    match reply {
        Reply::Text(text) => text.len(),
        Reply::Media { caption, .. } => caption.as_ref().map_or(0, String::len),
        Reply::Menu(menu) => {
            let of = |choice: &MenuChoice| {
                let description = choice.description.as_ref().map_or(0, String::len);
                choice.id.len() + choice.title.len() + description
            };
            menu.body.len() + menu.choices.iter().map(of).sum::<usize>()
        }
    }
}

/// People are asked for in any case: what does not fit is left out.
fn hand_off(told: v1::BotHandOff, queues: &BTreeSet<QueueId>) -> HandOff {
    let is_code = told.reason.len() <= CODE_CHARS_MAX
        && told.reason.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    let (reason, words) =
        if is_code { (told.reason, None) } else { (String::new(), Some(told.reason)) };
    let words = words.map(|value| Field { name: "reason".to_owned(), value });
    let fields = told.fields.into_iter().map(|it| Field { name: it.name, value: it.value });
    let hand_off = HandOff {
        queue: Some(QueueId(told.queue_id)).filter(|queue| queues.contains(queue)),
        reason,
        fields: words.into_iter().chain(fields).collect(),
        priority: if told.vip { VIP_PRIORITY } else { 0 },
        vip: told.vip,
        ..HandOff::default()
    };
    hand_off.bounded()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(steps: Vec<Step>) -> Result<Answer, Invalid> {
        check_turn(steps, &BTreeSet::from(["sales".into()]))
    }

    fn say(content: Option<Said>) -> Step {
        Step::Say(v1::BotSay { content })
    }

    fn text(text: &str) -> Step {
        say(Some(Said::Text(text.to_owned())))
    }

    fn menu(change: impl Fn(&mut v1::BotMenu)) -> Step {
        let option = |n: usize| v1::ChannelMenuOption {
            id: format!("o{n}"),
            title: format!("Option {n}"),
            ..<_>::default()
        };
        let mut menu = v1::BotMenu {
            text: "Which?".into(),
            options: (0..3).map(option).collect(),
            ..<_>::default()
        };
        change(&mut menu);
        say(Some(Said::Menu(menu)))
    }

    fn hand_off(change: impl Fn(&mut v1::BotHandOff)) -> HandOff {
        let mut told = v1::BotHandOff { queue_id: "sales".into(), ..<_>::default() };
        change(&mut told);
        match check(vec![Step::HandOff(told)]).unwrap().outcome {
            Outcome::HandOff(told) => told,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_breaks_a_limit_is_refused_as_a_whole_and_named() {
        let link = v1::Media { kind: "image".into(), link: "http://x".into(), ..<_>::default() };
        let table = [
            (vec![], "say: say something"),
            (vec![say(None)], "say: set text"),
            (vec![text(" ")], "message.text:"),
            (vec![text("fine"), text(&"x".repeat(4_097))], "message.text:"),
            (vec![text("x"); 9], "say: say at most 8"),
            (vec![text(&"x".repeat(4_096)); 5], "say: say at most 16384 bytes"),
            (vec![say(Some(Said::Media(link)))], "media.link:"),
            (vec![menu(|m| m.text.clear())], "menu.text:"),
            (vec![menu(|m| m.text = "x".repeat(1_025))], "menu.text:"),
            (vec![menu(|m| m.options.clear())], "menu.options: use one"),
            (vec![menu(|m| m.options.extend(m.options.clone()))], "menu.options: use one"),
            (vec![menu(|m| m.opener = "x".repeat(21))], "menu.opener:"),
            (vec![menu(|m| m.options[1].id = "o0".into())], "menu.options: every id"),
            (vec![menu(|m| m.options[1].title = "Option 0".into())], "menu.options: every id"),
            (vec![menu(|m| m.options[1].title = "x".repeat(21))], "menu.options.title:"),
            (vec![menu(|m| m.options[1].id.clear())], "menu.options.id:"),
            (vec![menu(|m| m.options[1].description = "d".into())], "menu.options.description:"),
        ];
        for (steps, expected) in table {
            let Err(Invalid(told)) = check(steps) else { panic!("{expected} passed") };
            assert!(told.starts_with(expected), "{told}");
        }
    }

    #[test]
    fn what_fits_is_taken_as_it_is() {
        let list = menu(|m| {
            m.opener = "Choose".into();
            m.options[0].description = "first".into();
            m.options[1].title = "x".repeat(24);
        });
        let image = v1::Media { kind: "image".into(), media_id: "1".into(), ..<_>::default() };
        let image = say(Some(Said::Media(v1::Media { caption: "a cat".into(), ..image })));
        let answer = check(vec![text("hi"), list, image]).unwrap();
        let [Reply::Text(hi), Reply::Menu(list), Reply::Media { caption, .. }] =
            answer.replies.as_slice()
        else {
            panic!("{answer:?}")
        };
        assert_eq!((hi.as_str(), list.choices.len(), caption.as_deref()), ("hi", 3, Some("a cat")));
        assert_eq!(answer.outcome, Outcome::Wait);
        assert_eq!(check(vec![Step::Resolve(v1::BotResolve {})]).unwrap().outcome, Outcome::End);
    }

    #[test]
    fn a_hand_off_is_never_refused() {
        let plain = hand_off(|told| told.reason = "lost_card".into());
        assert_eq!((plain.queue, plain.reason.as_str()), (Some("sales".into()), "lost_card"));
        let vip = hand_off(|told| told.vip = true);
        assert_eq!((vip.priority, vip.vip), (100, true));
        for elsewhere in ["", "nowhere"] {
            assert_eq!(hand_off(|told| told.queue_id = elsewhere.into()).queue, None);
        }
        let field = |name: &str, value: &str| v1::CollectedField {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let wordy = hand_off(|told| {
            told.reason = "Ana wants her money back".into();
            told.fields = vec![field("order", "7")];
        });
        let fields: Vec<_> =
            wordy.fields.iter().map(|it| (it.name.as_str(), it.value.len())).collect();
        assert_eq!((wordy.reason.as_str(), fields), ("", vec![("reason", 24), ("order", 1)]));
        let many = hand_off(|told| {
            told.fields = (0..40).map(|n| field(&format!("f{n}"), &"x".repeat(20))).collect();
        });
        assert_eq!((many.fields.len(), many.fields[0].name.as_str()), (24, "f0"));
        let large =
            hand_off(|told| told.fields = vec![field("a", &"x".repeat(2_000)), field("b", "1")]);
        assert_eq!(large.fields, [Field { name: "b".into(), value: "1".into() }]);
    }
}
