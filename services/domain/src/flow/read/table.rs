//! Walking a parsed TOML table: every value with its place, every key used or told.

use std::{collections::BTreeSet, ops::RangeInclusive};

use toml::{Spanned, de::DeTable, de::DeValue};

use crate::flow::problem::Finder;

/// A value with its byte in the file.
#[derive(Clone, Debug)]
pub(in crate::flow) struct At<T> {
    pub(in crate::flow) at: usize,
    pub(in crate::flow) value: T,
}

pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// A table whose keys are taken one by one; what remains is unknown.
pub(super) struct Tab<'t> {
    table: &'t DeTable<'t>,
    pub(super) at: usize,
    /// What it is, for people.
    what: String,
    known: BTreeSet<&'static str>,
}

impl<'t> Tab<'t> {
    pub(super) fn new(table: &'t DeTable<'t>, at: usize, what: impl Into<String>) -> Self {
        Self { table, at, what: what.into(), known: BTreeSet::new() }
    }

    /// The table that a value is.
    pub(super) fn of(value: &'t Value<'t>, what: &str, found: &mut Finder<'_>) -> Option<Self> {
        let at = value.span().start;
        match value.get_ref().as_table() {
            Some(table) => Some(Self::new(table, at, what)),
            None => {
                found.add(at, format!("{what} must be a table: write `{{ … }}` or a [section]"));
                None
            }
        }
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<&'t Value<'t>> {
        self.known.insert(key);
        self.table.get(key)
    }

    /// A value that must be there.
    pub(super) fn need(
        &mut self,
        key: &'static str,
        found: &mut Finder<'_>,
    ) -> Option<&'t Value<'t>> {
        let value = self.take(key);
        if value.is_none() {
            found.add(self.at, format!("{} has no `{key}`; add it", self.what));
        }
        value
    }

    pub(super) fn text(&mut self, key: &'static str, found: &mut Finder<'_>) -> Option<At<String>> {
        text(self.take(key)?, key, found)
    }

    pub(super) fn need_text(
        &mut self,
        key: &'static str,
        found: &mut Finder<'_>,
    ) -> Option<At<String>> {
        text(self.need(key, found)?, key, found)
    }

    pub(super) fn texts(&mut self, key: &'static str, found: &mut Finder<'_>) -> Vec<At<String>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            found.add(
                value.span().start,
                format!("`{key}` must be a list of texts: [\"…\", \"…\"]"),
            );
            return Vec::new();
        };
        array.iter().filter_map(|value| text(value, key, found)).collect()
    }

    pub(super) fn tables(&mut self, key: &'static str, found: &mut Finder<'_>) -> Vec<Tab<'t>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            found.add(value.span().start, format!("`{key}` must be a list of tables: [[…{key}]]"));
            return Vec::new();
        };
        let what = format!("{} of {}", key, self.what);
        array.iter().filter_map(|value| Tab::of(value, &what, found)).collect()
    }

    pub(super) fn flag(&mut self, key: &'static str, found: &mut Finder<'_>) -> Option<bool> {
        let value = self.take(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            found.add(value.span().start, format!("`{key}` must be true or false"));
        }
        flag
    }

    pub(super) fn whole(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
        found: &mut Finder<'_>,
    ) -> Option<i64> {
        let value = self.take(key)?;
        let number = number(value);
        #[expect(clippy::cast_possible_truncation, reason = "within the range, which is compared")]
        let whole = number.filter(|n| n.fract() == 0.0).map(|n| n as i64);
        let fits = whole.filter(|whole| range.contains(whole));
        if fits.is_none() {
            let (low, high) = (range.start(), range.end());
            found.add(
                value.span().start,
                format!("`{key}` must be a whole number from {low} to {high}"),
            );
        }
        fits
    }

    pub(super) fn decimal(&mut self, key: &'static str, found: &mut Finder<'_>) -> Option<f64> {
        let value = self.take(key)?;
        let decimal = number(value);
        if decimal.is_none() {
            found.add(value.span().start, format!("`{key}` must be a number"));
        }
        decimal
    }

    /// The keys as they are, for tables whose keys are names of the author.
    pub(super) fn entries(
        &self,
    ) -> impl Iterator<Item = (&'t str, usize, &'t Value<'t>)> + use<'t> {
        self.table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span().start, value))
    }

    /// Tells of every key that nothing asked for.
    pub(super) fn finish(self, found: &mut Finder<'_>) {
        for (key, at, _) in self.entries() {
            if !self.known.contains(key) {
                let known: Vec<&str> = self.known.iter().copied().collect();
                found.add(
                    at,
                    format!("{} has no key `{key}`; known here: {}", self.what, known.join(", ")),
                );
            }
        }
    }
}

pub(super) fn text(value: &Value<'_>, key: &str, found: &mut Finder<'_>) -> Option<At<String>> {
    let at = value.span().start;
    match value.get_ref().as_str() {
        Some(text) => Some(At { at, value: text.to_owned() }),
        None => {
            found.add(at, format!("`{key}` must be a text: \"…\""));
            None
        }
    }
}

fn number(value: &Value<'_>) -> Option<f64> {
    let value = value.get_ref();
    if let Some(integer) = value.as_integer() {
        #[expect(clippy::cast_precision_loss, reason = "limits of people's answers are small")]
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok()? as f64;
        return Some(number);
    }
    value.as_float()?.as_str().parse().ok()
}
