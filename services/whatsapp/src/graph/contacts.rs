//! Contact cards to send (fact sheet 4.1).

use serde_json::{Value, json};

use super::request::put;
use super::validate::{Invalid, at_most, count, filled, within};

const CARDS_MAX: usize = 100;
const NAME_MAX: usize = 1024;

/// A contact card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Card {
    /// The name as it is shown.
    pub formatted_name: String,
    /// Further parts of the name by Meta's key (`first_name`, …); at least one.
    pub name_parts: Vec<(&'static str, String)>,
    /// Phones, e-mail, web and postal addresses.
    pub entries: Vec<Entry>,
    /// Company, department and title by Meta's key.
    pub organisation: Vec<(&'static str, String)>,
    /// `YYYY-MM-DD`.
    pub birthday: Option<String>,
}

/// One entry of a card: its list, and its fields by Meta's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `phones`, `emails`, `urls` or `addresses`.
    pub list: &'static str,
    /// Fields by Meta's key.
    pub fields: Vec<(&'static str, String)>,
}

pub(super) fn check(cards: &[Card]) -> Result<(), Invalid> {
    count("contact cards", cards.len(), CARDS_MAX)?;
    for card in cards {
        within("the formatted name", &card.formatted_name, NAME_MAX)?;
        if card.name_parts.is_empty() {
            return Err(Invalid::Empty("every part of the name but the formatted one"));
        }
        for (_, part) in &card.name_parts {
            within("a part of the name", part, NAME_MAX)?;
        }
        for (_, text) in card.entries.iter().flat_map(|entry| &entry.fields) {
            filled("an entry of a card", text)?;
            at_most("an entry of a card", text, NAME_MAX)?;
        }
    }
    Ok(())
}

pub(super) fn to_json(cards: &[Card]) -> Value {
    cards.iter().map(card).collect()
}

fn card(card: &Card) -> Value {
    let mut name = json!({ "formatted_name": card.formatted_name });
    for (key, part) in &card.name_parts {
        put(&mut name, key, Some(part.as_str()));
    }
    let mut json = json!({ "name": name });
    for list in ["phones", "emails", "urls", "addresses"] {
        let entries: Vec<Value> = card
            .entries
            .iter()
            .filter(|entry| entry.list == list)
            .map(|e| object(&e.fields))
            .collect();
        put(&mut json, list, (!entries.is_empty()).then_some(entries));
    }
    put(&mut json, "org", (!card.organisation.is_empty()).then(|| object(&card.organisation)));
    put(&mut json, "birthday", card.birthday.as_deref());
    json
}

fn object(fields: &[(&'static str, String)]) -> Value {
    let mut object = json!({});
    for (key, value) in fields {
        put(&mut object, key, Some(value.as_str()));
    }
    object
}
