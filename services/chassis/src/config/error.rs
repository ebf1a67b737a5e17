//! What is wrong with a configuration, said to the person who writes it.

use std::fmt;
use std::path::PathBuf;

use figment::error::{Actual, Kind};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named on the command line cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Everything found wrong, at least one.
    #[error("the configuration is not usable:{}", lines(.0))]
    Invalid(Vec<Problem>),
}

impl ConfigError {
    /// The problems found, none if the file could not be read.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Unreadable { .. } => &[],
            Self::Invalid(problems) => problems,
        }
    }
}

/// One thing to correct. Never holds the value of a setting that may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the key, as in `business[0].number[1].mode`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what to do.
    pub advice: String,
}

impl Problem {
    pub(super) fn new(key: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { key: key.into(), advice: advice.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            return f.write_str(&self.advice);
        }
        write!(f, "{}: {}", self.key, self.advice)
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("\n  {p}")).collect()
}

/// A problem of TOML's grammar, by line and column: the parser's own text quotes the line, and with
/// it perhaps a secret.
pub(super) fn from_toml(error: &toml::de::Error, text: &str) -> Problem {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    Problem::new("", format!("line {line}, column {column}: {}", error.message()))
}

/// Problems found while reading values into the structs.
pub(super) fn from_figment(errors: figment::Error) -> Vec<Problem> {
    errors.into_iter().map(|error| problem_of(&error)).collect()
}

fn problem_of(error: &figment::Error) -> Problem {
    let mut path = error.path.clone();
    let advice = match &error.kind {
        Kind::UnknownField(name, known) => {
            if path.last() != Some(name) {
                path.push(name.clone());
            }
            format!("unknown key; known here: {}", known.join(", "))
        }
        Kind::MissingField(name) => {
            path.push(name.to_string());
            "is missing; set it".to_owned()
        }
        Kind::DuplicateField(name) => {
            path.push((*name).to_owned());
            "is given twice; keep one".to_owned()
        }
        Kind::InvalidType(found, expected) => {
            format!("is {}, but must be {expected}", type_of(found))
        }
        Kind::InvalidValue(found, expected) => {
            format!("is {} out of range; it must be {expected}", type_of(found))
        }
        Kind::UnknownVariant(name, known) => {
            format!("`{name}` is not possible; choose one of {}", known.join(", "))
        }
        Kind::InvalidLength(found, expected) => {
            format!("has {found} elements, but must have {expected}")
        }
        other => other.to_string(),
    };
    let source = match &error.metadata {
        Some(metadata) if metadata.name.starts_with("environment") => {
            format!(" ({})", metadata.name)
        }
        _ => String::new(),
    };
    Problem::new(join(&path), format!("{advice}{source}"))
}

/// The type without the value: the value may be a secret in the wrong place.
fn type_of(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(_) => "true or false",
        Actual::Unsigned(_) | Actual::Signed(_) => "a whole number (write \"…\" for a text)",
        Actual::Float(_) => "a number (write \"…\" for a text)",
        Actual::Char(_) | Actual::Str(_) => "a text",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "of another type",
    }
}

fn join(path: &[String]) -> String {
    let mut key = String::new();
    for segment in path {
        if segment.chars().all(|c| c.is_ascii_digit()) {
            key.push_str(&format!("[{segment}]"));
        } else {
            if !key.is_empty() {
                key.push('.');
            }
            key.push_str(segment);
        }
    }
    key
}
