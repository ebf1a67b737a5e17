//! Signatures over real bodies, escaped as Meta escapes them.

use whatsapp::signature::{SignatureError, Verifier};

use crate::payloads::{posts_of, webhook_names};

/// Non-ASCII characters as lower-case `\uXXXX`, `/` as `\/`.
pub(crate) fn as_meta_escapes(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '/' => escaped.push_str("\\/"),
            ascii if ascii.is_ascii() => escaped.push(ascii),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    escaped
}

#[test]
fn escaping_is_metas() {
    assert_eq!(as_meta_escapes("\"ñ 😀 a/b\""), "\"\\u00f1 \\ud83d\\ude00 a\\/b\"");
}

#[test]
fn the_raw_bytes_are_verified_and_a_rewritten_body_fails() {
    let verifier = Verifier::new(&["synthetic-app-secret"]).unwrap();
    let mut rewritten_differs = 0;
    for name in webhook_names() {
        for post in posts_of(&name) {
            let raw = as_meta_escapes(&post);
            let header = verifier.sign(raw.as_bytes());
            assert_eq!(verifier.verify(Some(header.as_bytes()), raw.as_bytes()), Ok(0), "{name}");
            let rewritten = serde_json::from_str::<serde_json::Value>(&raw).unwrap().to_string();
            if rewritten != raw {
                rewritten_differs += 1;
                let verified = verifier.verify(Some(header.as_bytes()), rewritten.as_bytes());
                assert_eq!(verified, Err(SignatureError::Mismatch), "{name}");
            }
        }
    }
    assert!(rewritten_differs > 10);
}

#[test]
fn known_vector_of_an_escaped_body() {
    // Computed with another implementation: printf '%s' BODY | openssl dgst -sha256 -hmac
    // app-secret
    let body = r#"{"t":"\u00f1 \ud83d\ude00","u":"https:\/\/x"}"#;
    let verifier = Verifier::new(&["app-secret"]).unwrap();
    assert_eq!(
        verifier.sign(body.as_bytes()),
        "sha256=201d152859513fe40ed73aa0665d2eaee9f6bd2c9146700f9e85ceb83fc03059"
    );
}
