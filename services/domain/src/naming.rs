//! How ids are made from what the outside calls things: the one place that every edge uses.
//!
//! Each id is a keyed hash of the natural identity, so that an id discloses no phone number, name or wamid, and
//! no configuration can fork a conversation (design.md 4.1). The labels are part of the stored format.

use crate::{BusinessId, EntityId, EntityKind, Hash16, MessageId};

/// The installation's keyed hash: 16 bytes of `parts` within a purpose; parts are told apart
/// (`["ab", "c"]` and `["a", "bc"]` differ). A closure over the chassis' sealer will do.
pub trait KeyedHash {
    /// The hash.
    fn hash16(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 16];
}

impl<F: Fn(&str, &[&[u8]]) -> [u8; 16]> KeyedHash for F {
    fn hash16(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 16] {
        self(purpose, parts)
    }
}

/// One identity of a customer, normalised. The greater ranks higher: a BSUID over a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdentityKey<'a> {
    /// E.164 digits without `+`.
    Phone(&'a str),
    /// Business-scoped user id, as the provider writes it.
    Bsuid(&'a str),
    /// E-mail address in lower case (channels).
    Email(&'a str),
    /// Id of a web page's visitor (channels).
    Visitor(&'a str),
    /// Any other id of a platform (channels).
    External(&'a str),
}

/// What stands for the `phone_number_id` of a channel account, wherever an id is made from one. A
/// `phone_number_id` has digits only, so the two never meet; names have neither `:` nor `/`.
#[must_use]
pub fn channel_account(business: &BusinessId, channel: &str) -> String {
    format!("channel:{business}/{channel}")
}

/// The conversation (or address) of one customer identity on one number.
#[must_use]
pub fn conversation_id(
    hash: &impl KeyedHash,
    phone_number_id: &str,
    who: IdentityKey<'_>,
) -> EntityId {
    let (kind, id): (&[u8], &str) = match who {
        IdentityKey::Phone(digits) => (b"phone", digits),
        IdentityKey::Bsuid(bsuid) => (b"bsuid", bsuid),
        IdentityKey::Email(email) => (b"email", email),
        IdentityKey::Visitor(visitor) => (b"visitor", visitor),
        IdentityKey::External(external) => (b"external", external),
    };
    let parts = [phone_number_id.as_bytes(), kind, id.as_bytes()];
    entity(EntityKind::Conversation, hash.hash16("entity conversation", &parts))
}

/// The digits that address a phone, with the spellings folded that WhatsApp mixes up: Brazil's ninth digit (not where the shorter
/// form is a landline), Mexico's `521`, Argentina's `549`. For addressing and comparison only, never to dial.
#[must_use]
pub fn phone_key(digits: &str) -> String {
    let place = match digits.as_bytes() {
        [b'5', b'5', _, _, b'9', first, ..]
            if digits.len() == 13 && !matches!(first, b'2'..=b'5') =>
        {
            4
        }
        [b'5', b'2', b'1', ..] | [b'5', b'4', b'9', ..] if digits.len() == 13 => 2,
        _ => return digits.to_owned(),
    };
    digits.char_indices().filter(|(index, _)| *index != place).map(|(_, digit)| digit).collect()
}

/// A workspace, as configured within its business.
#[must_use]
pub fn workspace_id(hash: &impl KeyedHash, business: &BusinessId, workspace: &str) -> EntityId {
    let parts = [business.0.as_bytes(), workspace.as_bytes()];
    entity(EntityKind::Workspace, hash.hash16("entity workspace", &parts))
}

/// A phone number.
#[must_use]
pub fn number_id(hash: &impl KeyedHash, phone_number_id: &str) -> EntityId {
    entity(EntityKind::Number, hash.hash16("entity number", &[phone_number_id.as_bytes()]))
}

/// A message of a thread, from the provider's id.
#[must_use]
pub fn message_id(hash: &impl KeyedHash, phone_number_id: &str, wamid: &str) -> MessageId {
    let parts = [phone_number_id.as_bytes(), wamid.as_bytes()];
    MessageId(Hash16(hash.hash16("message", &parts)))
}

/// The session of commands of one client: `actor` is the agent's id, or empty for the business's programs;
/// `client` is what the client drew for itself.
#[must_use]
pub fn command_client(
    hash: &impl KeyedHash,
    business: &BusinessId,
    actor: &str,
    client: &str,
) -> Hash16 {
    let parts = [business.0.as_bytes(), actor.as_bytes(), client.as_bytes()];
    Hash16(hash.hash16("command client", &parts))
}

/// Idempotency key of an input. `kind` tells apart what may name one thing twice (a message, its media, its
/// edit; a command); `parts` is the natural key within the kind.
#[must_use]
pub fn input_key(hash: &impl KeyedHash, kind: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut all = Vec::with_capacity(parts.len() + 1);
    all.push(kind.as_bytes());
    all.extend_from_slice(parts);
    hash.hash16("input key", &all)
}

fn entity(kind: EntityKind, hash: [u8; 16]) -> EntityId {
    EntityId { kind, hash: Hash16(hash) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A stand-in that keeps what it is given apart: FNV-1a over length-prefixed parts.
    fn fnv(purpose: &str, parts: &[&[u8]]) -> [u8; 16] {
        let mut hash = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
        for part in std::iter::once(&purpose.as_bytes()).chain(parts) {
            for byte in (part.len() as u64).to_be_bytes().iter().chain(*part) {
                hash = (hash ^ u128::from(*byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
            }
        }
        hash.to_be_bytes()
    }

    #[test]
    fn a_phone_and_a_bsuid_of_equal_text_are_two_addresses() {
        let phone = conversation_id(&fnv, "1", IdentityKey::Phone("5511"));
        let bsuid = conversation_id(&fnv, "1", IdentityKey::Bsuid("5511"));
        let elsewhere = conversation_id(&fnv, "2", IdentityKey::Phone("5511"));
        assert_eq!(BTreeSet::from([phone, bsuid, elsewhere]).len(), 3);
        assert_eq!(phone, conversation_id(&fnv, "1", IdentityKey::Phone("5511")));
    }

    #[test]
    fn a_channel_of_equal_name_is_another_account_in_another_business() {
        let account = |business: &str| channel_account(&business.into(), "web");
        let of = |account: &str| conversation_id(&fnv, account, IdentityKey::Visitor("v1"));
        let others = [
            conversation_id(&fnv, &account("shop"), IdentityKey::External("v1")),
            conversation_id(&fnv, &account("shop"), IdentityKey::Email("v1")),
            of(&account("bank")),
        ];
        assert!(!others.contains(&of(&account("shop"))));
        assert_eq!(of(&account("shop")), of(&account("shop")));
    }

    #[test]
    fn a_client_of_another_actor_or_business_is_another_client() {
        let of = |business: &str, actor| command_client(&fnv, &business.into(), actor, "c");
        let clients = [of("a", "x"), of("a", "y"), of("b", "x"), of("a", "")];
        assert_eq!(BTreeSet::from(clients).len(), clients.len());
    }

    #[test]
    fn keys_of_different_kinds_differ() {
        let wamid: &[u8] = b"wamid.1";
        assert_ne!(input_key(&fnv, "message", &[wamid]), input_key(&fnv, "media", &[wamid]));
    }

    #[test]
    fn a_bsuid_ranks_over_a_phone() {
        assert!(IdentityKey::Bsuid("A") > IdentityKey::Phone("Z"));
    }
}
