//! What is wrong with a flow file, said with its place to the person who writes it.

use std::{fmt, ops::Range};

/// One thing to correct.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.text)
    }
}

/// Everything found wrong with one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// One line per problem: `file:line:column: what to do`.
    #[must_use]
    pub fn told(&self, file: &str) -> String {
        self.0.iter().map(|problem| format!("{file}:{problem}")).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told("flow"))
    }
}

impl std::error::Error for Problems {}

/// Collects problems by their place in the text.
#[derive(Debug)]
pub(super) struct Finder<'t> {
    text: &'t str,
    found: Vec<Problem>,
}

impl<'t> Finder<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: Vec::new() }
    }

    /// A problem at byte `at`.
    pub(super) fn add(&mut self, at: usize, text: impl Into<String>) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        self.found.push(Problem { line, column, text: text.into() });
    }

    pub(super) fn add_span(&mut self, span: Option<Range<usize>>, text: impl Into<String>) {
        self.add(span.map_or(0, |span| span.start), text);
    }

    /// In the order of the file, each once.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.found.sort();
        self.found.dedup();
        self.found
    }
}
