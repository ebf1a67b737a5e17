//! The only module that writes to the terminal: one JSON line per fact on stdout, complaints on stderr.

use serde::Serialize;

#[expect(
    clippy::print_stdout,
    reason = "stdout is this program's interface to the one who started it"
)]
pub(crate) fn line<T: Serialize>(value: &T) {
    match serde_json::to_string(value) {
        Ok(text) => println!("{text}"),
        Err(error) => complain(&format!("unprintable value: {error}")),
    }
}

/// A line for a person.
#[expect(clippy::print_stdout, reason = "a command's result, for the one who typed it")]
pub(crate) fn text(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "complaints of a command-line program")]
pub(crate) fn complain(text: &str) {
    eprintln!("loadtest: {text}");
}
