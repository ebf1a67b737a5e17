//! What customers wish about marketing (whatsapp.md 8).

use domain::{
    conversation::{ConversationInput, Preference},
    persist::PersistError,
};
use whatsapp::webhook::events::{Preference as WirePreference, PreferenceValue};

use super::{Target, message, parked};

/// To the customer's address, and kept as it came: a sign-up has an id that nothing else holds.
pub(super) fn preference(
    target: &mut Target<'_>,
    wish: &WirePreference,
) -> Result<(), PersistError> {
    parked::park_raw(target, "user_preferences", wish.raw.as_str())?;
    let allowed = match wish.value {
        PreferenceValue::Stop => false,
        PreferenceValue::Resume | PreferenceValue::Signup => true,
        PreferenceValue::Unknown(_) => return Ok(()),
    };
    let about = wish.category.as_deref().unwrap_or("marketing_messages");
    let Some((address, paired)) = target.addresses(&wish.customer) else { return Ok(()) };
    if about != "marketing_messages" {
        return Ok(());
    }
    let at_ms = target.time_ms(wish.timestamp_ms);
    let input = ConversationInput::Preference(Preference {
        via: target.number.via,
        allowed,
        at_ms,
        paired,
        who: target.seal(&message::identity(&wish.customer))?,
    });
    let key = [&address.hash.0[..], &[u8::from(allowed)], &at_ms.to_be_bytes()];
    target.push("user_preferences", &key, address, &input)
}
