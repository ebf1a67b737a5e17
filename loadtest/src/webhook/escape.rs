//! JSON as Meta writes it: non-ASCII as lowercase `\uXXXX`, `/` as `\/`. The signature covers exactly these bytes.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

#[derive(Debug)]
struct Meta(CompactFormatter);

impl Formatter for Meta {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut units = [0_u16; 2];
        for letter in fragment.chars() {
            match letter {
                '/' => writer.write_all(b"\\/")?,
                plain if plain.is_ascii() => {
                    writer.write_all(plain.encode_utf8(&mut [0; 4]).as_bytes())?
                }
                other => {
                    for unit in other.encode_utf16(&mut units) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The bytes Meta would send for `value`.
pub(crate) fn meta_bytes(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1_024);
    let mut serializer = Serializer::with_formatter(&mut bytes, Meta(CompactFormatter));
    // Writing a Value into memory cannot fail: its keys are strings and a Vec takes every byte.
    if let Err(error) = value.serialize(&mut serializer) {
        crate::output::complain(&format!("webhook not serialised: {error}"));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn escapes_as_meta_does_and_stays_the_same_value() {
        let value = json!({"text": {"body": "ñ😀 a/b \"q\" \n"}});
        let bytes = meta_bytes(&value);
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert_eq!(text, r#"{"text":{"body":"\u00f1\ud83d\ude00 a\/b \"q\" \n"}}"#);
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), value);
    }
}
