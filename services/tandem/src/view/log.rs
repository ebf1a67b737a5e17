//! What the product's log says beyond the ordinary: its warnings and errors, as they are written.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
};

use serde_json::Value;

use super::state::Level;

/// More than this in one look is skipped to its end: the view is no archive.
const LOOK_BYTES_MAX: u64 = 256 * 1024;

/// Follows a log file.
#[derive(Debug)]
pub(super) struct LogTail {
    path: PathBuf,
    read: u64,
}

impl LogTail {
    /// From the beginning of the file.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, read: 0 }
    }

    /// Whole lines that came since the last look. A file that cannot be read has none.
    pub(super) fn news(&mut self) -> Vec<(Level, String)> {
        let Ok(mut file) = File::open(&self.path) else { return Vec::new() };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        self.read = self.read.max(length.saturating_sub(LOOK_BYTES_MAX));
        let mut bytes = Vec::new();
        if file.seek(SeekFrom::Start(self.read)).is_err() || file.read_to_end(&mut bytes).is_err() {
            return Vec::new();
        }
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        bytes.truncate(end + 1);
        self.read += u64::try_from(bytes.len()).unwrap_or(0);
        String::from_utf8_lossy(&bytes).lines().filter_map(notable).collect()
    }
}

/// A warning or an error in words; a line that is no JSON is told as it is.
fn notable(line: &str) -> Option<(Level, String)> {
    let Ok(value) = serde_json::from_str::<Value>(line) else {
        return (!line.trim().is_empty()).then(|| (Level::Warn, line.to_owned()));
    };
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let level = match text("level") {
        "ERROR" => Level::Error,
        "WARN" => Level::Warn,
        _ => return None,
    };
    let error = text("error");
    let message = text("message");
    Some((level, if error.is_empty() { message.to_owned() } else { format!("{message}: {error}") }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn warnings_and_errors_are_told_once_and_only_whole_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("product.log");
        let mut tail = LogTail::new(path.clone());
        assert!(tail.news().is_empty(), "no file yet");
        let mut file = File::create(&path).unwrap();
        let write = |file: &mut File, text: &str| file.write_all(text.as_bytes()).unwrap();
        write(&mut file, "{\"level\":\"INFO\",\"message\":\"ready\"}\n");
        write(
            &mut file,
            "{\"level\":\"WARN\",\"message\":\"slow\",\"error\":\"disk\"}\n{\"level\":\"ERR",
        );
        assert_eq!(tail.news(), [(Level::Warn, "slow: disk".to_owned())]);
        write(&mut file, "OR\",\"message\":\"broken\"}\nplain words\n");
        let news = [(Level::Error, "broken".to_owned()), (Level::Warn, "plain words".to_owned())];
        assert_eq!(tail.news(), news);
        assert!(tail.news().is_empty());
    }
}
