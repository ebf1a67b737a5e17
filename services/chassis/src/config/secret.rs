//! A value that is used and never shown.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A secret setting: written literally, or as `file:/path` (the file's text without the white space
/// around it), or as `env:NAME`. The value is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret {
    source: Source,
    value: Zeroizing<String>,
}

#[derive(Clone)]
enum Source {
    Literal,
    File(String),
    Env(String),
}

impl Secret {
    /// A secret given as it is.
    #[must_use]
    pub fn literal(value: impl Into<String>) -> Self {
        Self { source: Source::Literal, value: Zeroizing::new(value.into()) }
    }

    /// A secret from its written form; a `file:` or `env:` one has no value until resolved.
    fn from_written(written: String) -> Self {
        let source = if let Some(path) = written.strip_prefix("file:") {
            Source::File(path.to_owned())
        } else if let Some(name) = written.strip_prefix("env:") {
            Source::Env(name.to_owned())
        } else {
            return Self::literal(written);
        };
        Self { source, value: Zeroizing::default() }
    }

    pub(super) fn in_file(path: &std::path::Path) -> Self {
        Self::from_written(format!("file:{}", path.display()))
    }

    /// The value. Do not log it, do not put it in an error.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// Fetches the value from where it is; the error says what to do, and holds nothing secret.
    pub(super) fn resolve(
        &mut self,
        variable: impl FnOnce(&str) -> Option<String>,
    ) -> Result<(), String> {
        let value = match &self.source {
            Source::Literal => None,
            Source::File(path) => match std::fs::read_to_string(path).map(Zeroizing::new) {
                Ok(text) => Some(Zeroizing::new(text.trim().to_owned())),
                Err(e) => {
                    return Err(format!("cannot read the file {path} ({e}); create it, readable"));
                }
            },
            Source::Env(name) => match variable(name) {
                Some(value) => Some(Zeroizing::new(value)),
                None => return Err(format!("set the environment variable {name}")),
            },
        };
        if let Some(value) = value {
            self.value = value;
        }
        if self.value.is_empty() {
            return Err(match &self.source {
                Source::Literal => "give a value, or file:/path, or env:NAME".to_owned(),
                Source::File(path) => format!("the file {path} is empty; write the secret into it"),
                Source::Env(name) => format!("the environment variable {name} is empty; set it"),
            });
        }
        Ok(())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.source {
            Source::Literal => serializer.serialize_str("[redacted]"),
            Source::File(path) => serializer.collect_str(&format_args!("file:{path}")),
            Source::Env(name) => serializer.collect_str(&format_args!("env:{name}")),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from_written)
    }
}
