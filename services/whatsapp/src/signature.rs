//! `X-Hub-Signature-256`: HMAC-SHA256 with the app secret over the body exactly as received (fact
//! sheet 1.4).
//!
//! Meta signs its own escaping (`\u00f1`, `\/`), so a body that was parsed and written again does
//! not match: pass raw bytes. All live secrets (two while one is being rotated) are always tried,
//! at equal cost, and compared in constant time.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

const PREFIX: &[u8] = b"sha256=";
const DIGEST_BYTES: usize = 32;

/// Name of the header, in lower case.
pub const HEADER: &str = "x-hub-signature-256";

/// Why a request is not taken as Meta's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header is absent.
    #[error("the X-Hub-Signature-256 header is absent")]
    Missing,
    /// The header is not `sha256=` and 64 lower-case hexadecimal digits.
    #[error("the X-Hub-Signature-256 header is not sha256= and 64 lower-case hexadecimal digits")]
    Format,
    /// No live secret gives this signature.
    #[error("the signature matches no live secret")]
    Mismatch,
}

/// Why a verifier cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Without a secret nothing could be verified.
    #[error("no app secret is given")]
    None,
    /// Anyone can sign with an empty secret.
    #[error("an app secret is empty")]
    Empty,
}

/// The live secrets of one app, with their key schedules computed once.
#[derive(Clone)]
pub struct Verifier {
    keyed: Vec<Hmac<Sha256>>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} secrets)", self.keyed.len())
    }
}

impl Verifier {
    /// `secrets` in order of preference: the newest first.
    ///
    /// # Errors
    /// When there is none, or one is empty.
    pub fn new<S: AsRef<[u8]>>(secrets: &[S]) -> Result<Self, SecretError> {
        if secrets.is_empty() {
            return Err(SecretError::None);
        }
        let keyed = secrets
            .iter()
            .map(|secret| match secret.as_ref() {
                [] => Err(SecretError::Empty),
                bytes => Hmac::new_from_slice(bytes).map_err(|_| SecretError::Empty),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { keyed })
    }

    /// Verifies one request; the answer is the place of the matching secret (0 = the newest), so
    /// that an operator can see when the old one is no longer in use.
    ///
    /// # Errors
    /// See [`SignatureError`]; all of them mean "refuse".
    pub fn verify(&self, header: Option<&[u8]>, body: &[u8]) -> Result<usize, SignatureError> {
        let claimed = decode(header.ok_or(SignatureError::Missing)?)?;
        let matches: Vec<Choice> =
            self.keyed.iter().map(|keyed| digest(keyed, body).ct_eq(&claimed)).collect();
        let first = matches.into_iter().position(bool::from);
        first.ok_or(SignatureError::Mismatch)
    }

    /// The header's value for this body under the newest secret.
    pub fn sign(&self, body: &[u8]) -> String {
        let digest = self.keyed.first().map(|keyed| digest(keyed, body)).unwrap_or_default();
        format!("sha256={}", hex::encode(digest))
    }
}

fn digest(keyed: &Hmac<Sha256>, body: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut mac = keyed.clone();
    mac.update(body);
    mac.finalize().into_bytes().into()
}

fn decode(header: &[u8]) -> Result<[u8; DIGEST_BYTES], SignatureError> {
    let digits = header.strip_prefix(PREFIX).ok_or(SignatureError::Format)?;
    if digits.iter().any(u8::is_ascii_uppercase) {
        return Err(SignatureError::Format);
    }
    let mut digest = [0; DIGEST_BYTES];
    hex::decode_to_slice(digits, &mut digest).map_err(|_| SignatureError::Format)?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    const RFC4231_2: &str =
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    fn verifier(secrets: &[&str]) -> Verifier {
        Verifier::new(secrets).unwrap()
    }

    #[test]
    fn rfc_vector() {
        let body = b"what do ya want for nothing?";
        assert_eq!(verifier(&["Jefe"]).sign(body), RFC4231_2);
        assert_eq!(verifier(&["Jefe"]).verify(Some(RFC4231_2.as_bytes()), body), Ok(0));
    }

    #[test]
    fn both_live_secrets_pass_and_a_third_does_not() {
        let both = verifier(&["new", "old"]);
        for (secret, expected) in
            [("new", Ok(0)), ("old", Ok(1)), ("stolen", Err(SignatureError::Mismatch))]
        {
            let header = verifier(&[secret]).sign(b"{}");
            assert_eq!(both.verify(Some(header.as_bytes()), b"{}"), expected, "{secret}");
        }
    }

    #[test]
    fn one_changed_byte_is_a_mismatch() {
        let it = verifier(&["s"]);
        let header = it.sign(b"{\"a\":1}");
        assert_eq!(it.verify(Some(header.as_bytes()), b"{\"a\":2}"), Err(SignatureError::Mismatch));
        assert_eq!(
            it.verify(Some(header.as_bytes()), b"{\"a\":1} "),
            Err(SignatureError::Mismatch)
        );
    }

    #[test]
    fn format_is_strict() {
        let it = verifier(&["Jefe"]);
        let upper = RFC4231_2.replace("5bdc", "5BDC");
        let short = &RFC4231_2[..RFC4231_2.len() - 2];
        let long = format!("{RFC4231_2}00");
        let blank = format!(" {RFC4231_2}");
        let sha1 = RFC4231_2.replace("sha256=", "sha1=");
        for header in
            ["", "sha256=", &RFC4231_2[7..], &upper, short, &long, &blank, &sha1, "sha256=zz"]
        {
            assert_eq!(
                it.verify(Some(header.as_bytes()), b""),
                Err(SignatureError::Format),
                "{header}"
            );
        }
        assert_eq!(it.verify(Some(&[0xff; 71]), b""), Err(SignatureError::Format));
        assert_eq!(it.verify(None, b""), Err(SignatureError::Missing));
    }

    #[test]
    fn the_bytes_are_signed_not_their_meaning() {
        let it = verifier(&["s"]);
        let escaped = br#"{"t":"\u00f1 \ud83d\ude00","u":"https:\/\/x"}"#;
        let plain = "{\"t\":\"ñ 😀\",\"u\":\"https://x\"}".as_bytes();
        let same: (serde_json::Value, serde_json::Value) =
            (serde_json::from_slice(escaped).unwrap(), serde_json::from_slice(plain).unwrap());
        assert_eq!(same.0, same.1, "same meaning");
        let header = it.sign(escaped);
        assert_eq!(it.verify(Some(header.as_bytes()), escaped), Ok(0));
        assert_eq!(it.verify(Some(header.as_bytes()), plain), Err(SignatureError::Mismatch));
    }

    #[test]
    fn no_secret_and_empty_secret_are_refused() {
        assert_eq!(Verifier::new::<&str>(&[]).unwrap_err(), SecretError::None);
        assert_eq!(Verifier::new(&["a", ""]).unwrap_err(), SecretError::Empty);
        assert_eq!(format!("{:?}", verifier(&["hidden"])), "Verifier(1 secrets)");
    }
}
