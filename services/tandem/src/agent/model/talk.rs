//! A conversation as the agent sees it, with its thread.

use api::v1::{Delivery, DeliveryChanged, Message, Note, Offer, WrapUp};

/// A conversation, numbered by its place for as long as the desk runs.
#[derive(Clone, Debug, Default)]
pub(in crate::agent) struct Talk {
    pub(in crate::agent) id: String,
    pub(in crate::agent) offer: Option<Offer>,
    pub(in crate::agent) assigned: bool,
    pub(in crate::agent) wrap_up: Option<WrapUp>,
    pub(in crate::agent) name: String,
    /// Who may speak.
    pub(in crate::agent) floor: String,
    /// The customer service window is open until then; 0 when it never was.
    pub(in crate::agent) window_until_ms: i64,
    /// In thread order.
    pub(in crate::agent) thread: Vec<Message>,
    /// Of colleagues and one's own.
    pub(in crate::agent) notes: Vec<Note>,
    /// What came while another conversation was looked at.
    pub(in crate::agent) unread: usize,
    /// An answer that was begun, or refused.
    pub(in crate::agent) draft: String,
    /// The offer that was told, with its history.
    pub(super) told_offer: String,
}

impl Talk {
    /// Whether the agent has anything to do with it now.
    pub(in crate::agent) fn is_at_hand(&self) -> bool {
        self.assigned || self.offer.is_some() || self.wrap_up.is_some()
    }

    /// Puts a message into its place. Answers whether it is new.
    pub(super) fn put(&mut self, mut message: Message) -> bool {
        let known = self.thread.iter().position(|one| same(one, &message));
        let new = known.is_none();
        if let Some(known) = known.map(|n| self.thread.remove(n)) {
            keep_newer(&mut message, known);
        }
        let place = |one: &Message| (one.timestamp_ms, one.wamid.clone());
        let at = self.thread.partition_point(|one| place(one) <= place(&message));
        self.thread.insert(at, message);
        new
    }

    /// A send or its status moved.
    pub(super) fn delivered(&mut self, changed: &DeliveryChanged) {
        let of = Message {
            message_id: changed.message_id.clone(),
            opaque_id: changed.opaque_id.clone(),
            ..Message::default()
        };
        let Some(message) = self.thread.iter_mut().find(|one| same(one, &of)) else { return };
        message.delivery = changed.delivery;
        if message.message_id.is_empty() {
            message.message_id.clone_from(&changed.message_id);
        }
        if changed.delivery() == Delivery::Failed && !changed.error_text.is_empty() {
            message.error_code = changed.error_code;
            message.error_text.clone_from(&changed.error_text);
        }
    }
}

/// A send has no message id before WhatsApp took it, and what came in has no id of ours.
fn same(one: &Message, other: &Message) -> bool {
    let equal = |a: &str, b: &str| !a.is_empty() && a == b;
    equal(&one.message_id, &other.message_id) || equal(&one.opaque_id, &other.opaque_id)
}

/// What is read may be behind what was told.
fn keep_newer(message: &mut Message, known: Message) {
    if progress(known.delivery()) > progress(message.delivery()) {
        message.delivery = known.delivery;
    }
    for (field, known) in [
        (&mut message.message_id, known.message_id),
        (&mut message.opaque_id, known.opaque_id),
        (&mut message.error_text, known.error_text),
    ] {
        if field.is_empty() {
            *field = known;
        }
    }
    message.error_code = message.error_code.max(known.error_code);
}

/// How far a delivery is. An unknown outcome may still turn out well.
fn progress(delivery: Delivery) -> i32 {
    match delivery {
        Delivery::Unspecified => 0,
        Delivery::Pending => 1,
        Delivery::Unknown => 2,
        other => other as i32 + 1,
    }
}
