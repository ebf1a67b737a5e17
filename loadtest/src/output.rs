//! The only module that writes to the terminal: one JSON line per fact on stdout, complaints on stderr.

use std::io::Write as _;

use serde::Serialize;

pub(crate) fn line<T: Serialize>(value: &T) {
    match serde_json::to_string(value) {
        Ok(line) => text(&line),
        Err(error) => complain(&format!("unprintable value: {error}")),
    }
}

/// A line for a person. Who closed the pipe (`| head`) has read enough.
pub(crate) fn text(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

#[expect(clippy::print_stderr, reason = "complaints of a command-line program")]
pub(crate) fn complain(text: &str) {
    eprintln!("loadtest: {text}");
}
