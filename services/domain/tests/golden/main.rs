//! Golden files keep old logs readable: what values were written as, and that they are still written and read so.
//!
//! A change that makes this fail is a new version or a new variant with files of its own, never a new file in the place of an
//! old one. `TANDEM_GOLDEN_WRITE=1` writes files that do not exist yet.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conversation;
mod number;
mod routing;

use std::{fmt::Debug, path::PathBuf};

use domain::persist;
use serde::{Serialize, de::DeserializeOwned};

/// Holds `value` to the file `tests/golden/{name}.v1.hex`; writes it where it is missing and `TANDEM_GOLDEN_WRITE` is set.
fn golden<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: &T) {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.v1.hex"));
    let bytes = persist::encode(value).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    if !path.exists() && std::env::var_os("TANDEM_GOLDEN_WRITE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &hex).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert_eq!(hex, stored.trim(), "{name} is written differently now");
    let stored: Vec<u8> = (0..stored.trim().len() / 2)
        .map(|at| u8::from_str_radix(stored.get(2 * at..2 * at + 2).unwrap(), 16).unwrap())
        .collect();
    assert_eq!(persist::decode::<T>(&stored).as_ref(), Ok(value));
}
