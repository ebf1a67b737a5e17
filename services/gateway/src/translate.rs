//! From webhook items to inputs of entities: who decides it, under which key, with what sealed.
//!
//! One-to-one messages, echoes and statuses go to the customer's address. Everything else is parked in the log of
//! its number until a part of the product reads it: nothing that was acknowledged is thrown away, and nothing
//! of it starts a bot.

mod change;
mod detail;
mod message;
mod parked;
mod preference;
mod status;

use std::collections::BTreeMap;

use bus::{Cause, Header, Input, Key, PartitionId};
use chassis::seal::Sealer;
use domain::{
    BusinessId, EntityId, Sealed,
    naming::{self, IdentityKey},
    persist::{self, PersistError},
};
use serde::Serialize;
use whatsapp::{
    identity::{Customer, phone_key},
    webhook::{Item, Kind},
};

use crate::{
    directory::{Directory, NumberEntry},
    metrics,
};

/// What a POST becomes.
#[derive(Debug, Default)]
pub(crate) struct Translation {
    /// Inputs by partition, in the order of the POST.
    pub(crate) by_partition: BTreeMap<PartitionId, Vec<Input>>,
    /// Messages that count against their number's rate, by number.
    pub(crate) inbound: BTreeMap<bus::EntityId, u32>,
    /// Conversations whose customers the phone spoke to, by number.
    pub(crate) echoes: BTreeMap<bus::EntityId, Vec<domain::Hash16>>,
    /// Something of it begins work. A status only ends what a send of ours began.
    pub(crate) begins_work: bool,
}

/// Translates the items that belong to numbers of `signers`.
///
/// # Errors
/// [`PersistError`] when an input has no encoded form.
pub(crate) fn translate(
    items: &[Item],
    signers: &[BusinessId],
    directory: &Directory,
    sealer: &Sealer,
    partitions: u16,
    now_ms: u64,
) -> Result<Translation, PersistError> {
    let mut translation = Translation::default();
    for item in items {
        let Some(number) = number_of(item, signers, directory) else {
            metrics::item(unknown(item));
            continue;
        };
        translation.begins_work |= !matches!(item.kind, Kind::Status(_));
        let mut target =
            Target { number: &number, sealer, partitions, now_ms, out: &mut translation };
        match &item.kind {
            Kind::Sample(_) => metrics::item("sample"),
            Kind::Inbound(inbound) => message::inbound(&mut target, inbound)?,
            Kind::Echo(echo) => message::echo(&mut target, echo)?,
            Kind::Status(status) => status::status(&mut target, status)?,
            Kind::Preference(wish) => preference::preference(&mut target, wish)?,
            Kind::UserIdUpdate(update) => change::user_id_update(&mut target, update)?,
            other => parked::park(&mut target, other, item.route.field)?,
        }
    }
    Ok(translation)
}

fn number_of(
    item: &Item,
    signers: &[BusinessId],
    directory: &Directory,
) -> Option<std::sync::Arc<NumberEntry>> {
    if let Some(id) = &item.route.phone_number_id {
        return directory.number(signers, id);
    }
    // About a partner relation the entry may be the partner's own (whatsapp.md 1.1).
    let client = match &item.kind {
        Kind::Account(update) => update.client_waba_id.as_deref(),
        _ => None,
    };
    let wabas = [client, item.route.waba_id.as_deref()];
    if wabas == [None, None] {
        // A declined history was shown without its envelope (whatsapp.md 3.4).
        return directory.only_number(signers);
    }
    wabas.into_iter().flatten().find_map(|waba| directory.number_of_waba(signers, waba))
}

/// Label of what names no number of the signer.
fn unknown(item: &Item) -> &'static str {
    match item.kind {
        Kind::Sample(_) => "sample",
        _ => "unknown_number",
    }
}

/// Where the inputs of one item go.
struct Target<'a> {
    number: &'a NumberEntry,
    sealer: &'a Sealer,
    partitions: u16,
    now_ms: u64,
    out: &'a mut Translation,
}

impl Target<'_> {
    fn hash(&self) -> impl naming::KeyedHash {
        |purpose: &str, parts: &[&[u8]]| self.sealer.hash16(purpose, parts)
    }

    fn seal<T: Serialize>(&self, value: &T) -> Result<Sealed, PersistError> {
        let plain = persist::encode(value)?;
        let sealed = self.sealer.seal(self.number.business.0.as_bytes(), &plain);
        Ok(Sealed { key_id: sealed.key_id, bytes: sealed.bytes })
    }

    /// Meta's time, or ours where the webhook gives none that can be read.
    fn time_ms(&self, timestamp_ms: Option<i64>) -> u64 {
        timestamp_ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(self.now_ms)
    }

    /// The address of a phone number, however it is spelled.
    fn phone_address(&self, phone: &str) -> Option<EntityId> {
        let key = phone_key(phone)?;
        let account = &self.number.phone_number_id;
        Some(naming::conversation_id(&self.hash(), account, IdentityKey::Phone(&key)))
    }

    /// The address of a user id.
    fn bsuid_address(&self, bsuid: &str) -> EntityId {
        let account = &self.number.phone_number_id;
        naming::conversation_id(&self.hash(), account, IdentityKey::Bsuid(bsuid))
    }

    fn message_id(&self, wamid: &str) -> domain::MessageId {
        naming::message_id(&self.hash(), &self.number.phone_number_id, wamid)
    }

    /// The customer's highest-ranked address, and the lower one when the webhook names both.
    fn addresses(&self, customer: &Customer) -> Option<(EntityId, Option<EntityId>)> {
        let phone = customer.phone.as_deref().and_then(|phone| self.phone_address(phone));
        match customer.bsuid.as_deref() {
            Some(bsuid) => Some((self.bsuid_address(bsuid), phone)),
            None => phone.map(|phone| (phone, None)),
        }
    }

    fn push<T: Serialize>(
        &mut self,
        kind: &str,
        key: &[&[u8]],
        target: EntityId,
        input: &T,
    ) -> Result<(), PersistError> {
        let mut parts: Vec<&[u8]> = vec![self.number.phone_number_id.as_bytes()];
        parts.extend_from_slice(key);
        let key = Key(naming::input_key(&self.hash(), kind, &parts));
        let target = bus::EntityId { kind: target.kind.code(), hash: target.hash.0 };
        let input = Input {
            header: Header {
                key,
                business: bus::BusinessId(self.number.business.0.clone()),
                cause: Cause::Webhook,
                trace: None,
                received_ms: self.now_ms,
            },
            target,
            body: persist::encode(input)?.into(),
            reply_to: None,
        };
        let partition = target.partition(self.partitions);
        self.out.by_partition.entry(partition).or_default().push(input);
        Ok(())
    }

    fn count_against_rate(&mut self) {
        *self.out.inbound.entry(self.number_id()).or_default() += 1;
    }

    /// The phone spoke to the customer of these addresses.
    fn phone_spoke(&mut self, addresses: impl IntoIterator<Item = EntityId>) {
        let spoken_to = self.out.echoes.entry(self.number_id()).or_default();
        spoken_to.extend(addresses.into_iter().map(|address| address.hash));
    }

    fn number_id(&self) -> bus::EntityId {
        let number = self.number.via.number;
        bus::EntityId { kind: number.kind.code(), hash: number.hash.0 }
    }
}

#[cfg(test)]
mod tests {
    use domain::naming;
    use whatsapp::identity::phone_key;

    /// Who is written to first must be who answers: both sides address a phone alike.
    #[test]
    fn a_phone_has_one_address_whoever_derives_it() {
        for digits in [
            "12125550123",
            "5511987654321",
            "551187654321",
            "5511932345678",
            "5215512345678",
            "525512345678",
            "5491122334455",
            "541122334455",
            "447700900456",
        ] {
            assert_eq!(phone_key(digits), Some(naming::phone_key(digits)), "{digits}");
        }
    }
}
