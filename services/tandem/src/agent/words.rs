//! Words for what the desk tells, the same in lines and on the screen. What people wrote is made harmless here: a message cannot
//! steer the terminal.

use api::v1::{AuthorKind, Contact, Delivery, Floor, Message, Note, floor::Holder};

/// Text of others without what a terminal would obey; line breaks stay.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// As [`harmless`], on one line.
pub(super) fn one_line(text: &str) -> String {
    harmless(&text.replace('\n', " / "))
}

/// Who wrote it; an agent by its id.
pub(super) fn who(message: &Message) -> &str {
    let Some(author) = &message.author else { return "?" };
    match author.kind() {
        AuthorKind::Customer => "customer",
        AuthorKind::Bot => "bot",
        AuthorKind::Agent => author.agent_id.as_str(),
        AuthorKind::Api => "program",
        AuthorKind::Phone | AuthorKind::PhoneAutomatic => "phone",
        AuthorKind::Unspecified => "?",
    }
}

/// What it says as it stands now; its kind where there are no words.
pub(super) fn said(message: &Message) -> String {
    if message.revoked_ms > 0 {
        return "(deleted by its author)".to_owned();
    }
    let text =
        if message.text.is_empty() { format!("({})", message.kind) } else { message.text.clone() };
    if message.edited_ms > 0 { format!("{text} (edited)") } else { text }
}

/// Who and what, on one line.
pub(super) fn message_line(message: &Message) -> String {
    format!("{} | {}", who(message), one_line(&said(message)))
}

/// A note of a colleague, below a thread.
pub(super) fn note_line(note: &Note) -> String {
    format!("    note of {} | {}", note.agent_id, one_line(&note.text))
}

/// A delivery state in a word.
pub(super) fn delivery_word(delivery: Delivery) -> String {
    delivery.as_str_name().trim_start_matches("DELIVERY_").to_lowercase()
}

/// What became of a message and, where it went wrong, what to do; none for a customer's.
pub(super) fn fate(message: &Message) -> Option<String> {
    let told = one_line(&message.error_text);
    match message.delivery() {
        Delivery::Unspecified => None,
        Delivery::Pending => Some("sending".to_owned()),
        Delivery::Failed if told.is_empty() => Some(format!(
            "failed (code {}): reach the customer another way, or say it again later",
            message.error_code
        )),
        Delivery::Failed => Some(format!("failed: {told}")),
        Delivery::Unknown => {
            Some("nobody knows whether it was sent: ask before you say it again".to_owned())
        }
        other => Some(delivery_word(other)),
    }
}

/// Who may speak.
pub(super) fn floor_word(floor: Option<&Floor>, agent: &str) -> String {
    match floor.and_then(|floor| floor.holder.as_ref()) {
        Some(Holder::Bot(_)) => "bot".to_owned(),
        Some(Holder::Phone(_)) => "phone".to_owned(),
        Some(Holder::Desk(desk)) if desk.agent_id == agent => "you".to_owned(),
        Some(Holder::Desk(desk)) => desk.agent_id.clone(),
        _ => "nobody".to_owned(),
    }
}

/// Who the customer is.
pub(super) fn contact_name(contact: Option<&Contact>) -> String {
    let Some(contact) = contact else { return "somebody".to_owned() };
    let ids = [&contact.user_id, &contact.email, &contact.visitor_id, &contact.external_id];
    let name = match (contact.name.as_str(), contact.phone.as_str()) {
        ("", "") => ids.into_iter().find(|id| !id.is_empty()).cloned().unwrap_or_default(),
        (name, "") => name.to_owned(),
        ("", phone) => format!("+{phone}"),
        (name, phone) => format!("{name} (+{phone})"),
    };
    one_line(&name)
}

/// A time span in its largest unit.
pub(super) fn span(ms: i64) -> String {
    match ms.max(0) / 1000 {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}
