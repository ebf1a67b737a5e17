//! Words every flow knows: asking for a person, and languages of calling codes.

/// Words by which customers ask for a person. A flow adds its own.
pub(super) const HUMAN: [&str; 34] = [
    "agent",
    "human",
    "person",
    "operator",
    "representative",
    "real person",
    "agente",
    "humano",
    "persona",
    "atendente",
    "pessoa",
    "mensch",
    "mitarbeiter",
    "mitarbeiterin",
    "humain",
    "conseiller",
    "conseillère",
    "operatore",
    "medewerker",
    "человек",
    "оператор",
    "temsilci",
    "insan",
    "موظف",
    "שיחה עם נציג",
    "एजेंट",
    "इंसान",
    "人工",
    "真人",
    "客服",
    "オペレーター",
    "担当者",
    "人と話",
    "상담원",
];

/// Calling codes with the language most people write there; longest code first where one begins with another.
/// A flow uses an entry only where it speaks that language, and may name others in `[phone_languages]`.
const CALLING_CODES: [(&str, &str); 66] = [
    ("1", "en"),
    ("20", "ar"),
    ("212", "ar"),
    ("213", "ar"),
    ("216", "ar"),
    ("218", "ar"),
    ("27", "en"),
    ("30", "el"),
    ("31", "nl"),
    ("32", "nl"),
    ("33", "fr"),
    ("34", "es"),
    ("351", "pt"),
    ("353", "en"),
    ("358", "fi"),
    ("36", "hu"),
    ("380", "uk"),
    ("39", "it"),
    ("40", "ro"),
    ("41", "de"),
    ("420", "cs"),
    ("43", "de"),
    ("44", "en"),
    ("45", "da"),
    ("46", "sv"),
    ("47", "no"),
    ("48", "pl"),
    ("49", "de"),
    ("51", "es"),
    ("52", "es"),
    ("53", "es"),
    ("54", "es"),
    ("55", "pt"),
    ("56", "es"),
    ("57", "es"),
    ("58", "es"),
    ("591", "es"),
    ("593", "es"),
    ("595", "es"),
    ("598", "es"),
    ("60", "ms"),
    ("61", "en"),
    ("62", "id"),
    ("63", "en"),
    ("64", "en"),
    ("65", "en"),
    ("66", "th"),
    ("7", "ru"),
    ("81", "ja"),
    ("82", "ko"),
    ("84", "vi"),
    ("852", "zh"),
    ("853", "zh"),
    ("86", "zh"),
    ("886", "zh"),
    ("90", "tr"),
    ("91", "en"),
    ("92", "ur"),
    ("94", "si"),
    ("961", "ar"),
    ("962", "ar"),
    ("965", "ar"),
    ("966", "ar"),
    ("971", "ar"),
    ("972", "he"),
    ("98", "fa"),
];

/// The language of a phone number's calling code.
pub(super) fn language_of(phone: &str) -> Option<&'static str> {
    let fits = CALLING_CODES.iter().filter(|(code, _)| phone.starts_with(code));
    fits.max_by_key(|(code, _)| code.len()).map(|(_, language)| *language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_calling_code_decides() {
        for (phone, language) in [
            ("819012345678", Some("ja")),
            ("15550100", Some("en")),
            ("351912345678", Some("pt")),
            ("34912345678", Some("es")),
            ("999", None),
            ("", None),
        ] {
            assert_eq!(language_of(phone), language, "{phone}");
        }
    }
}
