//! Customers whose number or user id changed: told to the old address, which finds the new one.

use domain::{
    EntityId, MessageId,
    content::Identity,
    conversation::{Change, ChangeKind, ConversationInput},
    persist::PersistError,
};
use whatsapp::webhook::{
    content::{Content, SystemKind, SystemNotice},
    events::UserIdUpdate,
    message::Message,
};

use super::{Target, parked};

/// The new number that a notice tells.
pub(super) fn new_phone(message: &Message) -> Option<&str> {
    notice_of(message)?.new_phone.as_deref()
}

fn notice_of(message: &Message) -> Option<&SystemNotice> {
    match &message.content {
        Content::System(notice) => Some(notice),
        _ => None,
    }
}

/// What a system message in the chat says of addresses.
pub(super) fn notice(target: &mut Target<'_>, message: &Message) -> Result<(), PersistError> {
    let Some(notice) = notice_of(message) else { return Ok(()) };
    let changes_address =
        matches!(notice.kind, SystemKind::UserChangedNumber | SystemKind::UserChangedUserId);
    if !changes_address {
        return Ok(());
    }
    let customer = &message.customer;
    let at_ms = target.time_ms(message.timestamp_ms);
    let changed_at = (at_ms, target.message_id(&message.wamid));
    let who = Identity {
        phone: notice.new_phone.clone().or_else(|| customer.phone.clone()),
        bsuid: notice.new_bsuid.clone().or_else(|| customer.bsuid.clone()),
        name: customer.profile_name.clone(),
        username: customer.username.clone(),
        ..Identity::default()
    };
    let wamid = message.wamid.as_bytes();
    if let (Some(old), Some(new)) = (&customer.bsuid, &notice.new_bsuid) {
        let (old, new) = (target.bsuid_address(old), target.bsuid_address(new));
        tell(target, ChangeKind::UserId, (old, new), changed_at, &who, &[wamid, b"user id"])?;
    }
    let phones = (customer.phone.as_deref(), notice.new_phone.as_deref());
    if let (Some(old), Some(new)) = phones
        && let (Some(old), Some(new)) = (target.phone_address(old), target.phone_address(new))
    {
        tell(target, ChangeKind::Number, (old, new), changed_at, &who, &[wamid, b"number"])?;
    }
    Ok(())
}

/// Field `user_id_update`: kept as it came too.
pub(super) fn user_id_update(
    target: &mut Target<'_>,
    update: &UserIdUpdate,
) -> Result<(), PersistError> {
    parked::park_raw(target, "user_id_update", update.raw.as_str())?;
    let Some(previous) = &update.previous_bsuid else { return Ok(()) };
    let current = &update.current_bsuid;
    let at_ms = target.time_ms(update.timestamp_ms);
    let name = format!("user id {previous} is {current} since {at_ms}");
    let changed_at = (at_ms, target.message_id(&name));
    let who = Identity {
        phone: update.phone.clone(),
        bsuid: Some(current.clone()),
        ..Identity::default()
    };
    let ids = (target.bsuid_address(previous), target.bsuid_address(current));
    let key = [previous.as_bytes(), current.as_bytes(), &at_ms.to_be_bytes()];
    tell(target, ChangeKind::UserId, ids, changed_at, &who, &key)
}

fn tell(
    target: &mut Target<'_>,
    kind: ChangeKind,
    (old, new): (EntityId, EntityId),
    changed_at: (u64, MessageId),
    who: &Identity,
    key: &[&[u8]],
) -> Result<(), PersistError> {
    if old == new {
        return Ok(());
    }
    let (via, who) = (target.number.via, target.seal(who)?);
    let change = Change { via, kind, other: new, changed_at, who };
    target.push("change", key, old, &ConversationInput::Changed(change))
}
