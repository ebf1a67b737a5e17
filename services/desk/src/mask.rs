//! `read_mask` of conversations: only the fields that were asked for.

use api::v1::{Conversation, GetConversationResponse};
use prost_types::FieldMask;

use crate::fault::Fault;

/// Takes a field away.
type Clear = fn(&mut Conversation);

/// Every field of a conversation.
const FIELDS: [(&str, Clear); 17] = [
    ("conversation_id", |it| it.conversation_id.clear()),
    ("phone_number_id", |it| it.phone_number_id.clear()),
    ("contact", |it| it.contact = None),
    ("floor", |it| it.floor = None),
    ("window_until_ms", |it| it.window_until_ms = 0),
    ("episode", |it| it.episode = None),
    ("assigned_agent_id", |it| it.assigned_agent_id.clear()),
    ("waiting_queue_id", |it| it.waiting_queue_id.clear()),
    ("waiting_since_ms", |it| it.waiting_since_ms = 0),
    ("last_message_ms", |it| it.last_message_ms = 0),
    ("position", |it| it.position = None),
    ("channel_id", |it| it.channel_id.clear()),
    ("billing_windows", |it| it.billing_windows.clear()),
    ("free_entry_until_ms", |it| it.free_entry_until_ms = 0),
    ("marketing_consent", |it| it.marketing_consent = None),
    ("vip", |it| it.vip = false),
    ("snoozed_until_ms", |it| it.snoozed_until_ms = 0),
];

/// What stands beside the conversation in the answer of `Get`.
const BESIDE: [&str; 2] = ["episodes", "notes"];

/// What was asked for; `None`: everything.
#[derive(Debug)]
pub(crate) struct Mask(Option<Vec<String>>);

impl Mask {
    /// The mask of `Get`.
    pub(crate) fn of_get(mask: Option<&FieldMask>) -> Result<Self, Fault> {
        Self::of(mask, &BESIDE)
    }

    /// The mask of `List`.
    pub(crate) fn of_list(mask: Option<&FieldMask>) -> Result<Self, Fault> {
        Self::of(mask, &[])
    }

    fn of(mask: Option<&FieldMask>, beside: &[&str]) -> Result<Self, Fault> {
        let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
        if paths.is_empty() || paths.iter().any(|path| path == "*") {
            return Ok(Self(None));
        }
        let known =
            |path: &str| FIELDS.iter().any(|(field, _)| *field == path) || beside.contains(&path);
        match paths.iter().find(|path| !known(path)) {
            Some(path) => {
                let fields = FIELDS.iter().map(|(field, _)| *field).chain(beside.iter().copied());
                let fields = fields.collect::<Vec<_>>().join(", ");
                Err(Fault::invalid(format!("read_mask: `{path}` is no field; use any of {fields}")))
            }
            None => Ok(Self(Some(paths.to_vec()))),
        }
    }

    fn wants(&self, field: &str) -> bool {
        self.0.as_ref().is_none_or(|paths| paths.iter().any(|path| path == field))
    }

    /// Leaves of a conversation what was asked for.
    pub(crate) fn leave(&self, conversation: &mut Conversation) {
        for (_, clear) in FIELDS.iter().filter(|(field, _)| !self.wants(field)) {
            clear(conversation);
        }
    }

    /// Leaves of the answer of `Get` what was asked for.
    pub(crate) fn leave_in_answer(&self, answer: &mut GetConversationResponse) {
        if let Some(conversation) = &mut answer.conversation {
            self.leave(conversation);
        }
        if !self.wants("episodes") {
            answer.episodes.clear();
        }
        if !self.wants("notes") {
            answer.notes.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    /// A field that is added to the contract is added here.
    #[test]
    fn every_field_of_a_conversation_can_be_asked_for() {
        let files = prost_types::FileDescriptorSet::decode(api::FILE_DESCRIPTOR_SET).unwrap();
        let messages = files.file.iter().flat_map(|file| &file.message_type);
        let conversation = messages.into_iter().find(|it| it.name() == "Conversation").unwrap();
        let mut fields: Vec<&str> = conversation.field.iter().map(|field| field.name()).collect();
        let mut known: Vec<&str> = FIELDS.iter().map(|(field, _)| *field).collect();
        fields.sort_unstable();
        known.sort_unstable();
        assert_eq!(known, fields);
    }

    #[test]
    fn an_unknown_path_is_named_and_parts_of_fields_are_none() {
        let mask = |path: &str| FieldMask { paths: vec!["vip".to_owned(), path.to_owned()] };
        for path in ["wip", "contact.phone", "", "episodes"] {
            let Err(Fault::Invalid(text)) = Mask::of_list(Some(&mask(path))) else {
                panic!("{path} passed")
            };
            assert!(text.starts_with(&format!("read_mask: `{path}`")), "{text}");
        }
        assert!(Mask::of_get(Some(&mask("episodes"))).is_ok());
    }
}
