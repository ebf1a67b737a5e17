//! Where a customer is in a flow.

use serde::{Deserialize, Serialize};

use super::Field;

/// What all collected values may take together, bytes: with the names of flow and node a state stays within 2 KiB.
const VALUES_BYTES_MAX: usize = 1_400;
/// Values a state holds.
pub(super) const FIELDS_MAX: usize = 24;

/// Where a customer is in a flow and what was collected. Persisted sealed; at most 2 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The flow.
    pub flow: String,
    /// Its version when the customer last was in it.
    pub version: String,
    /// The node that waits for the customer; none before the start and after the end.
    pub node: Option<String>,
    /// Language the customer chose; kept when the flow ends.
    pub language: Option<String>,
    /// Answers in a row that the node could not use.
    pub misses: u32,
    /// Rises with every menu shown, so that a tap tells which one it answers.
    pub shown: u32,
    /// The last choice taken by a tap.
    pub tapped: Option<String>,
    /// What was collected or set, in that order.
    pub fields: Vec<Field>,
}

impl State {
    /// For a new dialogue: only the language stays.
    #[must_use]
    pub fn afresh(self) -> Self {
        Self { language: self.language, shown: self.shown, ..Self::default() }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.name == name).map(|field| field.value.as_str())
    }

    /// Keeps a value; `false` where it does not fit.
    pub(super) fn put(&mut self, name: &str, value: &str) -> bool {
        let others = self.fields.iter().filter(|field| field.name != name);
        let (count, bytes) = others.fold((0, 0), |(count, bytes), field| {
            (count + 1, bytes + field.name.len() + field.value.len() + 16)
        });
        if count >= FIELDS_MAX || bytes + name.len() + value.len() + 16 > VALUES_BYTES_MAX {
            return false;
        }
        match self.fields.iter_mut().find(|field| field.name == name) {
            Some(field) => value.clone_into(&mut field.value),
            None => self.fields.push(Field { name: name.to_owned(), value: value.to_owned() }),
        }
        true
    }
}
