//! The `contacts` beside messages, echoes and statuses (fact sheet 2.1): who they name, and filling
//! gaps from them.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::identity::{Customer, phone_key};
use crate::json::Object;

/// The people named in one value. Entries may lack the number, the profile, or both ids. Indexed,
/// because a batch can hold thousands of messages and as many people.
#[derive(Debug, Default)]
pub(super) struct People {
    all: Vec<Customer>,
    by_bsuid: BTreeMap<String, usize>,
    by_phone: BTreeMap<String, usize>,
}

impl People {
    pub(super) fn of(value: &Object<'_>) -> Self {
        let entries = value.list("contacts").unwrap_or_default();
        let mut people = Self::default();
        for person in entries.into_iter().filter_map(person) {
            let place = people.all.len();
            if let Some(bsuid) = &person.bsuid {
                people.by_bsuid.entry(bsuid.clone()).or_insert(place);
            }
            if let Some(key) = person.phone.as_deref().and_then(phone_key) {
                people.by_phone.entry(key).or_insert(place);
            }
            people.all.push(person);
        }
        people
    }

    /// Fills what the webhook says elsewhere. `alone`: there is one item only, so that a single
    /// entry can only mean its customer, even where the item names nobody (the number is hidden and
    /// the id was left out).
    pub(super) fn complete(&self, customer: &mut Customer, alone: bool) {
        if let Some(known) = self.find(customer) {
            customer.fill_from(known);
        } else if let [only] = self.all.as_slice() {
            let nameless = !customer.is_known() && alone;
            let only_a_name = !only.is_known() && alone;
            if nameless || only_a_name {
                customer.fill_from(only);
            }
        }
    }

    fn find(&self, customer: &Customer) -> Option<&Customer> {
        let by_bsuid = customer.bsuid.as_ref().and_then(|bsuid| self.by_bsuid.get(bsuid));
        let by_phone = || self.by_phone.get(&customer.phone.as_deref().and_then(phone_key)?);
        let found = self.all.get(*by_bsuid.or_else(by_phone)?)?;
        found.is_same_as(customer).then_some(found)
    }
}

fn person(raw: &RawValue) -> Option<Customer> {
    let entry = Object::parse(raw)?;
    let phone = entry.text("wa_id");
    let mut person = Customer::from_wire(
        phone.as_deref(),
        entry.string("user_id"),
        entry.string("parent_user_id"),
    );
    if let Some(profile) = entry.object("profile") {
        person.profile_name = profile.string("name");
        person.username = profile.string("username");
    }
    if person.username.is_none() {
        person.username = entry.string("username");
    }
    Some(person)
}
