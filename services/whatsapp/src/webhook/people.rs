//! The `contacts` beside messages, echoes and statuses (fact sheet 2.1): who they name, and filling gaps from them.

use serde_json::value::RawValue;

use crate::identity::Customer;
use crate::json::Object;

/// The people named in one value. Entries may lack the number, the profile, or both ids.
#[derive(Debug, Default)]
pub(super) struct People(Vec<Customer>);

impl People {
    pub(super) fn of(value: &Object<'_>) -> Self {
        let entries = value.list("contacts").unwrap_or_default();
        Self(entries.into_iter().filter_map(person).collect())
    }

    /// Fills what the webhook says elsewhere. `alone`: there is one item only, so that a single entry can only mean
    /// its customer, even where the item names nobody (the number is hidden and the id was left out).
    pub(super) fn complete(&self, customer: &mut Customer, alone: bool) {
        if let Some(known) = self.0.iter().find(|person| person.is_same_as(customer)) {
            customer.fill_from(known);
        } else if let [only] = self.0.as_slice() {
            let nameless = !customer.is_known() && alone;
            let only_a_name = !only.is_known() && alone;
            if nameless || only_a_name {
                customer.fill_from(only);
            }
        }
    }
}

fn person(raw: &RawValue) -> Option<Customer> {
    let entry = Object::parse(raw)?;
    let phone = entry.text("wa_id");
    let mut person =
        Customer::from_wire(phone.as_deref(), entry.string("user_id"), entry.string("parent_user_id"));
    if let Some(profile) = entry.object("profile") {
        person.profile_name = profile.string("name");
        person.username = profile.string("username");
    }
    if person.username.is_none() {
        person.username = entry.string("username");
    }
    Some(person)
}
