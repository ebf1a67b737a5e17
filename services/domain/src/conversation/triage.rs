//! Reading a customer's answer to the bot's question. Pure text; who gets what is decided elsewhere.

use super::rules::BotRules;

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The option at this place of the list.
    Option(usize),
    /// A person is wanted.
    Human,
    /// Nothing that the question offered.
    Miss,
}

/// Reads `text`. An option comes before a wish for a person, because it says more.
pub(super) fn choose(bot: &BotRules, text: Option<&str>) -> Choice {
    let Some(text) = text else { return Choice::Miss };
    let said = words(text);
    let number = match said.as_slice() {
        [word] => word.parse::<usize>().ok(),
        _ => None,
    };
    if let Some(place) = number.and_then(|n| n.checked_sub(1))
        && place < bot.options.len()
    {
        return Choice::Option(place);
    }
    let titled = bot.options.iter().position(|o| !said.is_empty() && words(&o.title) == said);
    let chosen = titled.or_else(|| {
        bot.options.iter().position(|o| o.keywords.iter().any(|k| contains(text, &said, k)))
    });
    match chosen {
        Some(place) => Choice::Option(place),
        None if bot.human_keywords.iter().any(|k| contains(text, &said, k)) => Choice::Human,
        None => Choice::Miss,
    }
}

/// Lower-case words: runs of letters and digits, digits of common scripts as ASCII.
fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric() && !is_mark(c))
        .map(|word| word.chars().filter(|c| !is_selector(*c)).map(ascii_digit).collect::<String>())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Whether the keyword's words stand one after the other in the text. Scripts that do not put spaces between
/// words, and symbols, are looked for anywhere.
fn contains(text: &str, said: &[String], keyword: &str) -> bool {
    let wanted = words(keyword);
    if wanted.is_empty() || keyword.chars().any(is_unspaced) {
        let keyword = keyword.trim().to_lowercase();
        return !keyword.is_empty() && text.to_lowercase().contains(&keyword);
    }
    said.windows(wanted.len()).any(|window| window == wanted)
}

/// Combining marks that belong to the letter before them (vowel signs of Indic and Thai, accents, keycaps).
fn is_mark(c: char) -> bool {
    is_selector(c)
        || matches!(c, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{d7f}' | '\u{e31}'..='\u{e4e}')
        || matches!(c, '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}')
}

fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}' | '\u{20e3}' | '\u{200d}')
}

fn is_unspaced(c: char) -> bool {
    matches!(
        c,
        '\u{e00}'..='\u{eff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{2e80}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7af}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

/// Arabic-Indic, Persian, Devanagari, Bengali and full-width digits as ASCII.
fn ascii_digit(c: char) -> char {
    let zeros = [0x660, 0x6f0, 0x966, 0x9e6, 0xff10];
    let digit = zeros.iter().find_map(|zero| {
        let value = u32::from(c).checked_sub(*zero)?;
        char::from_digit(value, 10)
    });
    digit.unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{MenuOption, SealedText};

    fn bot() -> BotRules {
        let option = |title: &str, keywords: &[&str]| MenuOption {
            title: title.to_owned(),
            keywords: keywords.iter().map(|k| (*k).to_owned()).collect(),
            queue: title.into(),
        };
        BotRules {
            question: SealedText::default(),
            options: vec![
                option("Sales", &["buy", "price list"]),
                option("Billing & Payments", &["invoice", "Überweisung", "发票"]),
                option("الدعم", &["help me"]),
            ],
            human_keywords: vec!["agent".into(), "human".into(), "人".into(), "🙋".into()],
            handoff_text: None,
            fallback_text: SealedText::default(),
            misses_max: 1,
        }
    }

    #[test]
    fn answers_are_read_as_people_write_them() {
        let table = [
            ("1", Choice::Option(0)),
            (" 2. ", Choice::Option(1)),
            ("#2", Choice::Option(1)),
            ("２", Choice::Option(1)),
            ("٣", Choice::Option(2)),
            ("1️⃣", Choice::Option(0)),
            ("SALES", Choice::Option(0)),
            ("billing payments", Choice::Option(1)),
            ("الدعم", Choice::Option(2)),
            ("I want to BUY, please!", Choice::Option(0)),
            ("the Price  List?", Choice::Option(0)),
            ("wegen einer ÜBERWEISUNG", Choice::Option(1)),
            ("我要发票谢谢", Choice::Option(1)),
            ("help me", Choice::Option(2)),
            ("a human, now", Choice::Human),
            ("我要人工", Choice::Human),
            ("🙋🏽", Choice::Human),
            ("an agent about my invoice", Choice::Option(1)),
            ("4", Choice::Miss),
            ("0", Choice::Miss),
            ("I have 2 orders", Choice::Miss),
            ("buyer", Choice::Miss),
            ("list price", Choice::Miss),
            ("agentur", Choice::Miss),
            ("", Choice::Miss),
            ("!!!", Choice::Miss),
        ];
        for (text, choice) in table {
            assert_eq!(choose(&bot(), Some(text)), choice, "{text:?}");
        }
        assert_eq!(choose(&bot(), None), Choice::Miss);
    }

    #[test]
    fn empty_words_in_the_configuration_match_nothing() {
        let mut bot = bot();
        bot.human_keywords = vec![String::new(), "  ".into()];
        bot.options.push(MenuOption { title: "!".into(), keywords: vec![], queue: "q".into() });
        assert_eq!(choose(&bot, Some("...")), Choice::Miss);
        assert_eq!(choose(&bot, Some("hello there")), Choice::Miss);
    }
}
