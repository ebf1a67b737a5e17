//! Reading what people write: case, accents and width folded, words told apart, phrases found.
//!
//! Folding is NFKC with full case folding; accents are taken off Latin, Greek and Cyrillic letters only. Marks of
//! other scripts are letters there (Japanese dakuten, vowel signs of Indic scripts and Thai, Arabic and Hebrew
//! points) and stay. Scripts that put no spaces between words are searched anywhere in the text.

use unicode_normalization::UnicodeNormalization as _;

/// Zeros of the decimal digits people type: Arabic, Persian, Indic scripts, Thai, Lao, Tibetan, Burmese, Khmer.
const ZEROS: [u32; 17] = [
    0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0xed0,
    0xf20, 0x1040, 0x17e0, 0x1810,
];

/// A text as it is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    folded: String,
    words: Vec<String>,
}

impl Said {
    pub(super) fn new(text: &str) -> Self {
        let folded = fold(text);
        let words = words(&folded);
        Self { folded, words }
    }

    /// The number, when the text is nothing else (`2`, `#2`, ` 2. `, `２`, `٣`).
    pub(super) fn number(&self) -> Option<usize> {
        match self.words.as_slice() {
            [word] => word.parse().ok(),
            _ => None,
        }
    }

    /// Whether both say the same words.
    pub(super) fn is(&self, title: &str) -> bool {
        !self.words.is_empty() && self.words == words(&fold(title))
    }
}

/// Words that are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phrase {
    folded: String,
    words: Vec<String>,
    anywhere: bool,
}

impl Phrase {
    /// `None` for a text that holds neither words nor symbols: it would be found nowhere, or everywhere.
    pub(super) fn new(text: &str) -> Option<Self> {
        let folded = fold(text).trim().to_owned();
        let words = words(&folded);
        let anywhere = words.is_empty() || folded.chars().any(is_unspaced);
        let punctuation = folded.chars().all(|c| c.is_ascii_punctuation() || c.is_whitespace());
        (!folded.is_empty() && !punctuation).then_some(Self { folded, words, anywhere })
    }

    /// Whether its words stand one after the other in what was said.
    pub(super) fn is_in(&self, said: &Said) -> bool {
        if self.anywhere {
            return said.folded.contains(&self.folded);
        }
        said.words.windows(self.words.len()).any(|window| window == self.words)
    }

    /// Whether nothing else was said.
    pub(super) fn is_all_of(&self, said: &Said) -> bool {
        if self.words.is_empty() {
            said.folded.trim() == self.folded
        } else {
            self.words == said.words
        }
    }

    /// The phrase as it is compared, to tell two of the same.
    pub(super) fn folded(&self) -> &str {
        &self.folded
    }
}

/// Folds case, width and compatibility forms everywhere, accents on Latin, Greek and Cyrillic letters.
pub(super) fn fold(text: &str) -> String {
    let mut on_letter = false;
    let plain = text.nfkd().filter(|c| !is_selector(*c)).flat_map(case_folded).filter_map(|c| {
        if is_accent(c) {
            return (!on_letter).then_some(c);
        }
        on_letter = is_accented_script(c);
        Some(ascii_digit(c))
    });
    let plain: String = plain.collect();
    plain.nfc().collect()
}

/// Width and compatibility forms as usual characters, digits as ASCII; case and accents stay.
pub(super) fn narrow(text: &str) -> String {
    text.nfkc().filter(|c| !is_selector(*c)).map(ascii_digit).collect()
}

/// Upper, then lower: `ß` as `ss`, both small sigmas as one. Letters without decomposition by their usual spelling.
fn case_folded(c: char) -> impl Iterator<Item = char> {
    let mut spelled = String::new();
    for c in c.to_uppercase().flat_map(char::to_lowercase) {
        match c {
            'ø' => spelled.push('o'),
            'ł' => spelled.push('l'),
            'đ' | 'ð' => spelled.push('d'),
            'æ' => spelled.push_str("ae"),
            'œ' => spelled.push_str("oe"),
            'þ' => spelled.push_str("th"),
            'ı' => spelled.push('i'),
            _ => spelled.push(c),
        }
    }
    spelled.chars().collect::<Vec<_>>().into_iter()
}

/// Runs of letters and digits with their marks. Where a script without spaces begins or ends, so does a word.
fn words(folded: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut unspaced = false;
    for c in folded.chars() {
        let belongs = c.is_alphanumeric() || is_mark(c);
        let changes = belongs && !is_mark(c) && is_unspaced(c) != unspaced;
        if (!belongs || changes) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if belongs {
            if !is_mark(c) {
                unspaced = is_unspaced(c);
            }
            word.push(c);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}')
}

fn is_accented_script(c: char) -> bool {
    c.is_alphabetic()
        && matches!(c, 'A'..='z' | '\u{c0}'..='\u{24f}' | '\u{370}'..='\u{52f}' | '\u{1e00}'..='\u{1fff}')
}

/// Marks that belong to the letter before them.
fn is_mark(c: char) -> bool {
    is_accent(c)
        || matches!(c, '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{591}'..='\u{5c7}')
        || matches!(c, '\u{900}'..='\u{dff}' if !c.is_alphanumeric() && c != '\u{964}' && c != '\u{965}')
        || matches!(c, '\u{e31}'..='\u{e4e}' | '\u{eb1}'..='\u{ecd}' | '\u{3099}' | '\u{309a}')
        || matches!(c, '\u{102b}'..='\u{103e}' | '\u{17b4}'..='\u{17d3}')
}

/// Variation selectors, the keycap's frame, joiners of emoji.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}' | '\u{20e3}' | '\u{200b}' | '\u{200d}' | '\u{feff}')
}

/// Thai, Lao, Burmese, Khmer, Chinese, Japanese; Korean, whose particles stand on the word.
fn is_unspaced(c: char) -> bool {
    matches!(
        c,
        '\u{e01}'..='\u{e4e}'
            | '\u{e81}'..='\u{ecd}'
            | '\u{1000}'..='\u{103f}'
            | '\u{1780}'..='\u{17df}'
            | '\u{2e80}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7af}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

fn ascii_digit(c: char) -> char {
    let code = u32::from(c);
    let digit = ZEROS.iter().find_map(|zero| char::from_digit(code.checked_sub(*zero)?, 10));
    digit.unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_makes_the_same_of_what_people_mean_as_the_same() {
        let same = [
            ("ÜBERWEISUNG", "uberweisung"),
            ("Straße", "STRASSE"),
            ("résumé", "RESUME"),
            ("re\u{301}sume\u{301}", "resume"),
            ("ΟΔΟΣ", "οδός"),
            ("ЁЛКА", "елка"),
            ("ＡＢＣ　１２", "abc 12"),
            ("ｶﾞｽ", "ガス"),
            ("が", "か\u{3099}"),
            ("１", "1"),
            ("٣", "3"),
            ("1️⃣", "1"),
            ("İstanbul", "istanbul"),
            ("Đà Nẵng", "da nang"),
            ("Łódź", "lodz"),
            ("ﬁne", "fine"),
            ("각", "\u{1100}\u{1161}\u{11a8}"),
        ];
        for (one, other) in same {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
    }

    /// Marks that are letters are not accents.
    #[test]
    fn folding_keeps_apart_what_other_scripts_keep_apart() {
        let different = [
            ("が", "か"),
            ("ぱ", "は"),
            ("ガ", "カ"),
            ("कि", "क"),
            ("की", "कि"),
            ("ไม่", "ไม"),
            ("مُ", "م"),
            ("שׁ", "ש"),
        ];
        for (one, other) in different {
            assert_ne!(fold(one), fold(other), "{one} {other}");
        }
    }

    #[test]
    fn a_naive_removal_of_all_marks_would_confuse_them() {
        let naive = |text: &str| -> String {
            text.nfkd().filter(|c| !unicode_normalization::char::is_combining_mark(*c)).collect()
        };
        assert_eq!(naive("が"), naive("か"));
        assert_eq!(naive("की"), naive("क"));
    }

    #[test]
    fn phrases_are_found_as_words_and_anywhere_where_no_spaces_are_written() {
        let table = [
            ("price list", "the Price  List?", true),
            ("price list", "list price", false),
            ("buy", "I want to BUY, please!", true),
            ("buy", "buyer", false),
            ("发票", "我要发票谢谢", true),
            ("予約", "明日の予約を変更したい", true),
            ("email", "emailを変更したい", true),
            ("คืนเงิน", "ขอคืนเงินหน่อย", true),
            ("환불", "환불해주세요", true),
            ("Überweisung", "wegen einer uberweisung", true),
            ("🙋", "🙋🏽", true),
            ("agent", "agentur", false),
            ("مساعدة", "أريد مساعدة", true),
            ("مدد", "मदद", false),
            ("मदद", "मुझे मदद चाहिए", true),
        ];
        for (phrase, text, found) in table {
            assert_eq!(
                Phrase::new(phrase).unwrap().is_in(&Said::new(text)),
                found,
                "{phrase} {text}"
            );
        }
    }

    #[test]
    fn empty_phrases_are_none() {
        for text in ["", "  ", "!", "...", "\u{200b}"] {
            assert_eq!(Phrase::new(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_number_is_read_where_nothing_else_is_said() {
        for (text, number) in [
            ("2", Some(2)),
            (" 2. ", Some(2)),
            ("#2", Some(2)),
            ("２", Some(2)),
            ("٢", Some(2)),
            ("2️⃣", Some(2)),
            ("I have 2", None),
            ("", None),
        ] {
            assert_eq!(Said::new(text).number(), number, "{text}");
        }
    }
}
