//! Who a customer is, as WhatsApp names people: phone digits, business-scoped user id (BSUID), or
//! both (fact sheet 0.1, 2.1, 8).

/// Fewest digits an international number has.
const PHONE_DIGITS_MIN: usize = 7;
/// Most digits an international number has (E.164).
const PHONE_DIGITS_MAX: usize = 15;
/// Longest opaque id kept; Meta's own are below 160.
pub(crate) const ID_BYTES_MAX: usize = 1024;
/// Most characters after the country of a BSUID.
const BSUID_TAIL_MAX: usize = 128;

/// One customer as a webhook names them. At least one of `phone` and `bsuid` is set in everything
/// the parser hands out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Customer {
    /// International number, digits only, as Meta sent it. Compare with [`phone_key`].
    pub phone: Option<String>,
    /// Business-scoped user id, scoped to one portfolio.
    pub bsuid: Option<String>,
    /// The same person across linked portfolios.
    pub parent_bsuid: Option<String>,
    /// The name the person chose.
    pub profile_name: Option<String>,
    /// The WhatsApp username, where the person has one.
    pub username: Option<String>,
}

impl Customer {
    /// Is there anything to recognise the customer by?
    pub fn is_known(&self) -> bool {
        self.phone.is_some() || self.bsuid.is_some()
    }

    /// From the value of a phone key (`from`, `to`, `wa_id`, `recipient_id`) and of the BSUID keys
    /// beside it. Empty counts as absent, and a BSUID found in the phone's place is taken as what
    /// it is.
    pub(crate) fn from_wire(
        phone: Option<&str>,
        user_id: Option<String>,
        parent: Option<String>,
    ) -> Self {
        let mut bsuid = user_id.and_then(opaque_id);
        if bsuid.is_none() {
            bsuid = phone.filter(|text| is_bsuid(text.trim())).map(|text| text.trim().to_owned());
        }
        Self {
            phone: phone.and_then(normalise_phone),
            bsuid,
            parent_bsuid: parent.and_then(opaque_id),
            profile_name: None,
            username: None,
        }
    }

    /// Are these surely the same person? Two BSUIDs decide; else the phones do.
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (&self.bsuid, &other.bsuid) {
            (Some(mine), Some(theirs)) => mine == theirs,
            _ => match (&self.phone, &other.phone) {
                (Some(mine), Some(theirs)) => phone_key(mine) == phone_key(theirs),
                _ => false,
            },
        }
    }

    /// Takes over what is missing here.
    pub(crate) fn fill_from(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.phone, &other.phone),
            (&mut self.bsuid, &other.bsuid),
            (&mut self.parent_bsuid, &other.parent_bsuid),
            (&mut self.profile_name, &other.profile_name),
            (&mut self.username, &other.username),
        ] {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        }
    }
}

/// An id kept as it is: not blank, not longer than anything Meta sends.
pub(crate) fn opaque_id(text: String) -> Option<String> {
    (!text.trim().is_empty() && text.len() <= ID_BYTES_MAX).then_some(text)
}

/// Digits of an international number: `+`, blanks, dashes, dots, slashes, parentheses and invisible
/// direction marks go, a leading `00` too. `None` when anything else is in it, when it starts with
/// `0`, or when it is not 7 to 15 digits long.
pub fn normalise_phone(text: &str) -> Option<String> {
    let mut digits = String::with_capacity(PHONE_DIGITS_MAX);
    for letter in text.chars() {
        match letter {
            '0'..='9' if digits.len() < PHONE_DIGITS_MAX + 2 => digits.push(letter),
            '+' | '-' | '(' | ')' | '.' | '/' => {}
            '\u{2010}'..='\u{2015}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {}
            blank if blank.is_whitespace() => {}
            _ => return None,
        }
    }
    if let Some(without_prefix) = digits.strip_prefix("00") {
        digits = without_prefix.to_owned();
    }
    let sensible =
        (PHONE_DIGITS_MIN..=PHONE_DIGITS_MAX).contains(&digits.len()) && !digits.starts_with('0');
    sensible.then_some(digits)
}

/// What to compare two numbers by: the digits, with the spellings folded that WhatsApp itself mixes
/// up:
/// - Brazil's ninth digit (`55 11 9 8765-4321` and `55 11 8765-4321`), except where the shorter
///   form is a landline (it starts with 2 to 5), which is another line;
/// - Mexico's `521` for `52`; Argentina's `549` for `54`.
///
/// Never dial a key: it is for comparison only. `None` where [`normalise_phone`] gives `None`.
pub fn phone_key(text: &str) -> Option<String> {
    let digits = normalise_phone(text)?;
    let folded = match digits.as_bytes() {
        [b'5', b'5', _, _, b'9', first, ..]
            if digits.len() == 13 && !matches!(first, b'2'..=b'5') =>
        {
            without(&digits, 4)
        }
        [b'5', b'2', b'1', ..] | [b'5', b'4', b'9', ..] if digits.len() == 13 => {
            without(&digits, 2)
        }
        _ => return Some(digits),
    };
    Some(folded)
}

fn without(digits: &str, place: usize) -> String {
    digits.char_indices().filter(|(index, _)| *index != place).map(|(_, digit)| digit).collect()
}

/// Has it the shape of a BSUID (`US.13491208655302741918`) or of its parent form (`US.ENT.…`)?
pub fn is_bsuid(text: &str) -> bool {
    let Some((country, tail)) = text.split_once('.') else { return false };
    let tail = tail.strip_prefix("ENT.").unwrap_or(tail);
    country.len() == 2
        && country.bytes().all(|letter| letter.is_ascii_uppercase())
        && (1..=BSUID_TAIL_MAX).contains(&tail.len())
        && tail.bytes().all(|letter| letter.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_become_digits() {
        for (text, expected) in [
            ("12125550123", Some("12125550123")),
            ("+1 (212) 555-0123", Some("12125550123")),
            ("+1\u{a0}212\u{2011}555\u{2011}0123\u{200e}", Some("12125550123")),
            ("0044 7700 900456", Some("447700900456")),
            ("", None),
            ("   ", None),
            ("12345", None),
            ("1234567890123456", None),
            ("0123456789", None),
            ("US.13491208655302741918", None),
            ("12125550123x9", None),
            ("١٢٣٤٥٦٧٨٩", None),
        ] {
            assert_eq!(normalise_phone(text).as_deref(), expected, "{text}");
        }
        assert_eq!(normalise_phone(&"1".repeat(1_000_000)), None);
    }

    #[test]
    fn keys_fold_what_whatsapp_mixes_up() {
        for (one, other) in [
            ("5511987654321", "551187654321"),
            ("+55 (11) 90000-0123", "551100000123"),
            ("5215512345678", "525512345678"),
            ("5491122334455", "541122334455"),
        ] {
            assert_eq!(phone_key(one), phone_key(other), "{one} {other}");
        }
        for (one, other) in [
            ("5511932345678", "551132345678"),
            ("5511987654321", "5521987654321"),
            ("12125550123", "12125550124"),
        ] {
            assert_ne!(phone_key(one), phone_key(other), "{one} {other}");
        }
        assert_eq!(phone_key("not a number"), None);
    }

    #[test]
    fn bsuid_shape() {
        let longest = format!("BR.{}", "a".repeat(128));
        for good in ["US.13491208655302741918", "US.ENT.4416027781930055218", "GB.a1", &longest] {
            assert!(is_bsuid(good), "{good}");
        }
        let too_long = format!("BR.{}", "a".repeat(129));
        for bad in [
            "",
            "US",
            "US.",
            "us.1",
            "USA.1",
            "U1.1",
            "US.ENT.",
            "US.1-2",
            "US.1.2",
            "12125550123",
            &too_long,
        ] {
            assert!(!is_bsuid(bad), "{bad}");
        }
    }

    #[test]
    fn bsuid_in_the_place_of_a_phone() {
        let it = Customer::from_wire(Some("US.7043115920486377215"), None, None);
        assert_eq!(
            (it.phone.as_deref(), it.bsuid.as_deref()),
            (None, Some("US.7043115920486377215"))
        );
        let it = Customer::from_wire(Some(""), Some(String::new()), None);
        assert!(!it.is_known());
    }
}
