//! Reading JSON one level at a time, so that a broken leaf never spoils the level above it.
//!
//! An `Object` holds the untouched text of each of its members. A member is looked at only when
//! asked for, and whatever it is (wrong type, number too large, half a surrogate pair, a thousand
//! levels deep) costs that member alone.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The exact JSON text of one object or value, as it came. It may hold personal data: `Debug` shows
/// its length only.
#[derive(Clone, PartialEq, Eq)]
pub struct RawJson(Box<str>);

impl RawJson {
    pub(crate) fn of(raw: &RawValue) -> Self {
        Self(raw.get().into())
    }

    /// The text; valid JSON, no surrounding blanks.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never true for what the parser made: the shortest JSON value has one byte.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text as a tree; `None` where it nests deeper than serde_json reads or holds half a
    /// surrogate pair.
    pub fn to_value(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&self.0).ok()
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawJson({} bytes)", self.0.len())
    }
}

/// A string in which half a surrogate pair (`"\ud83d"`, an emoji cut in two) became U+FFFD instead
/// of an error.
struct LossyText<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for LossyText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(String::from_utf8_lossy(bytes))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        deserializer.deserialize_bytes(TextVisitor).map(LossyText)
    }
}

/// One JSON object, one level deep. Of a repeated key the last one counts; `null` counts as absent.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((LossyText(key), raw)) = map.next_entry()? {
                    members.push((key, raw));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(ObjectVisitor).map(|members| Self { members })
    }
}

/// What was found where a list was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotAList;

impl<'a> Object<'a> {
    /// `None` unless the value is an object.
    pub(crate) fn parse(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }

    /// The whole text must be one JSON object.
    pub(crate) fn parse_text(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.members.iter().map(|(key, raw)| (key.as_ref(), *raw))
    }

    pub(crate) fn raw(&self, key: &str) -> Option<&'a RawValue> {
        let (_, raw) = self.members.iter().rev().find(|(name, _)| name == key)?;
        (raw.get() != "null").then_some(*raw)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.raw(key).is_some()
    }

    pub(crate) fn kept(&self, key: &str) -> Option<RawJson> {
        self.raw(key).map(RawJson::of)
    }

    pub(crate) fn object(&self, key: &str) -> Option<Self> {
        Self::parse(self.raw(key)?)
    }

    /// A list; one object where a list belongs counts as a list of one, absence as an empty list.
    pub(crate) fn list(&self, key: &str) -> Result<Vec<&'a RawValue>, NotAList> {
        match self.raw(key) {
            None => Ok(Vec::new()),
            Some(raw) => elements(raw),
        }
    }

    /// A string, or a number as its text; may be empty.
    pub(crate) fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        text_of(self.raw(key)?)
    }

    /// Like [`Object::text`], but blank counts as absent.
    pub(crate) fn string(&self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.trim().is_empty()).map(Cow::into_owned)
    }

    /// A whole number, given as a number or as a string.
    pub(crate) fn int(&self, key: &str) -> Option<i64> {
        int_of(&self.text(key)?)
    }

    /// A number, given as a number or as a string; finite.
    pub(crate) fn float(&self, key: &str) -> Option<f64> {
        let number: f64 = self.text(key)?.trim().parse().ok()?;
        number.is_finite().then_some(number)
    }

    /// `true`, `false`, or those words as a string.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.raw(key)?.get() {
            "true" | "\"true\"" => Some(true),
            "false" | "\"false\"" => Some(false),
            _ => None,
        }
    }

    /// A moment in epoch milliseconds: string or number, seconds or milliseconds. See
    /// [`timestamp_ms`].
    pub(crate) fn timestamp_ms(&self, key: &str) -> Option<i64> {
        timestamp_ms(self.int(key)?)
    }
}

/// The elements of a list; an object counts as a list of one.
pub(crate) fn elements(raw: &RawValue) -> Result<Vec<&RawValue>, NotAList> {
    match raw.get().as_bytes().first() {
        Some(b'[') => serde_json::from_str(raw.get()).map_err(|_| NotAList),
        Some(b'{') => Ok(vec![raw]),
        _ => Err(NotAList),
    }
}

/// A string value, or a number as its text.
pub(crate) fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    match text.as_bytes().first()? {
        b'"' => {
            let inner = text.get(1..text.len().checked_sub(1)?)?;
            if !inner.contains('\\') {
                return Some(Cow::Borrowed(inner));
            }
            serde_json::from_str::<LossyText<'_>>(text).ok().map(|LossyText(decoded)| decoded)
        }
        b'-' | b'0'..=b'9' => Some(Cow::Borrowed(text)),
        _ => None,
    }
}

fn int_of(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    // Written as 1.795176e9 or "1795176000.0": whole numbers a double holds exactly, nothing
    // beyond.
    let number: f64 = text.parse().ok()?;
    (number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
}

/// Above this a timestamp is in milliseconds already (as seconds it would be the year 33658).
const FIRST_MILLISECOND_VALUE: i64 = 1_000_000_000_000;
/// Above this it is neither.
const LAST_MILLISECOND_VALUE: i64 = 100_000_000_000_000;

/// Epoch seconds or epoch milliseconds to milliseconds; `None` for what is neither (zero, negative,
/// absurd).
pub(crate) fn timestamp_ms(value: i64) -> Option<i64> {
    match value {
        1..FIRST_MILLISECOND_VALUE => Some(value * 1000),
        FIRST_MILLISECOND_VALUE..=LAST_MILLISECOND_VALUE => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object<'_> {
        Object::parse_text(text).unwrap()
    }

    #[test]
    fn strings_are_read_leniently() {
        let it = object(
            r#"{"a":"x","b":12,"c":null,"d":"","e":"\ud83d","f":"\ud83d\ude00","g":true,"\u0068":"key"}"#,
        );
        assert_eq!(it.text("a").unwrap(), "x");
        assert_eq!(it.text("b").unwrap(), "12");
        assert!(it.text("c").is_none() && !it.has("c"));
        assert_eq!(it.text("d").unwrap(), "");
        assert!(it.string("d").is_none());
        assert!(
            it.text("e").unwrap().contains('\u{fffd}'),
            "half an emoji is replaced, not refused"
        );
        assert_eq!(it.text("f").unwrap(), "\u{1f600}");
        assert!(it.text("g").is_none());
        assert_eq!(it.text("h").unwrap(), "key", "escaped keys are keys");
    }

    #[test]
    fn last_of_a_repeated_key_counts() {
        assert_eq!(object(r#"{"a":1,"a":2}"#).int("a"), Some(2));
    }

    #[test]
    fn numbers_and_flags() {
        let it = object(
            r#"{"a":"7","b":7.0,"c":"7.5e3","d":1e999,"e":"x","f":"true","g":false,"h":99999999999999999999}"#,
        );
        assert_eq!(it.int("a"), Some(7));
        assert_eq!(it.int("b"), Some(7));
        assert_eq!(it.int("c"), Some(7500));
        assert_eq!((it.int("d"), it.float("d")), (None, None));
        assert_eq!(it.int("e"), None);
        assert_eq!(it.int("h"), None);
        assert_eq!((it.flag("f"), it.flag("g"), it.flag("a")), (Some(true), Some(false), None));
    }

    #[test]
    fn timestamps_in_seconds_and_milliseconds() {
        let it = object(
            r#"{"a":"1795176000","b":1795176000,"c":1795176000123,"d":0,"e":"-5","f":"soon","g":1e18}"#,
        );
        assert_eq!(it.timestamp_ms("a"), Some(1_795_176_000_000));
        assert_eq!(it.timestamp_ms("b"), Some(1_795_176_000_000));
        assert_eq!(it.timestamp_ms("c"), Some(1_795_176_000_123));
        for key in ["d", "e", "f", "g", "absent"] {
            assert_eq!(it.timestamp_ms(key), None, "{key}");
        }
    }

    #[test]
    fn a_deep_member_costs_itself_only() {
        let deep = format!(r#"{{"deep":{}{},"a":"x"}}"#, "[".repeat(50_000), "]".repeat(50_000));
        let it = object(&deep);
        assert_eq!(it.text("a").unwrap(), "x");
        assert_eq!(it.kept("deep").unwrap().to_value(), None);
    }

    #[test]
    fn one_object_is_a_list_of_one() {
        let it = object(r#"{"a":{"x":1},"b":[1,2],"c":"no"}"#);
        assert_eq!(it.list("a").unwrap().len(), 1);
        assert_eq!(it.list("b").unwrap().len(), 2);
        assert_eq!(it.list("c").unwrap_err(), NotAList);
        assert!(it.list("absent").unwrap().is_empty());
    }
}
