//! What a question asks for, and the reading of its answers.

use jiff::{civil, tz::TimeZone};
use regex::Regex;

use super::{calendar, fold::narrow, model::Choices};
use crate::Millis;

/// Kind of a field.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Free text of so many characters.
    Text { chars_min: usize, chars_max: usize },
    /// A person's name.
    Name,
    /// An e-mail address.
    Email,
    /// A phone number; kept as digits.
    Phone,
    /// A number.
    Number { min: Option<f64>, max: Option<f64>, whole: bool },
    /// A day; kept as `2026-12-24`.
    Date { order: Order, days: Days, zone: TimeZone },
    /// One of several.
    Choice(Choices),
    /// A text of this shape, as a whole.
    Pattern(Regex),
}

/// How a date is read that begins with neither year nor words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    DayFirst,
    MonthFirst,
}

/// Which days are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Days {
    Any,
    /// Today or later.
    Future,
    /// Today or earlier.
    Past,
}

/// Longest value of any field, characters (an e-mail address has at most 254).
pub(super) const VALUE_CHARS_MAX: usize = 254;
const NAME_CHARS: std::ops::RangeInclusive<usize> = 2..=80;
/// Digits of an international number (E.164) or of a national one.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 6..=15;

impl Kind {
    /// Whether any words could be an answer, so that words must be nothing else to mean something else.
    pub(super) fn is_free(&self) -> bool {
        matches!(self, Self::Text { .. } | Self::Name | Self::Pattern(_))
    }

    /// The value an answer gives; `None`: it is none. Choices are read by the engine.
    pub(super) fn read(&self, text: &str, now_ms: Millis) -> Option<String> {
        let text = narrow(text);
        let text = text.trim();
        let value = match self {
            Self::Text { chars_min, chars_max } => {
                let chars = text.chars().count();
                (chars > 0 && (*chars_min..=*chars_max).contains(&chars)).then(|| text.to_owned())
            }
            Self::Name => name(text),
            Self::Email => email(text),
            Self::Phone => phone(text),
            Self::Number { min, max, whole } => number(text, *min, *max, *whole),
            Self::Date { order, days, zone } => {
                let today = calendar::local(zone, now_ms)?.date();
                let date = date(text, *order).filter(|date| match days {
                    Days::Any => true,
                    Days::Future => *date >= today,
                    Days::Past => *date <= today,
                });
                date.map(|date| date.to_string())
            }
            Self::Pattern(regex) => {
                let whole = regex.find(text).filter(|found| found.range() == (0..text.len()));
                whole.map(|found| found.as_str().to_owned())
            }
            Self::Choice(_) => None,
        };
        value.filter(|value| value.chars().count() <= VALUE_CHARS_MAX)
    }
}

fn name(text: &str) -> Option<String> {
    let plain = text.chars().all(|c| {
        !c.is_numeric() && !matches!(c, '@' | '/' | '\\' | '<' | '>' | '{' | '}' | '?' | '!' | '\n')
    });
    let letters = text.chars().any(char::is_alphabetic);
    (plain && letters && NAME_CHARS.contains(&text.chars().count())).then(|| text.to_owned())
}

/// The one word with an `@` in it.
fn email(text: &str) -> Option<String> {
    let is_around = |c: char| !c.is_ascii_alphanumeric() && !"@.+_-".contains(c);
    let mut words = text
        .split_whitespace()
        .map(|word| word.trim_matches(is_around))
        .filter(|w| w.contains('@'));
    let (word, None) = (words.next()?, words.next()) else { return None };
    let word = word.trim_end_matches('.');
    let (local, domain) = word.split_once('@')?;
    let local_ok = !local.is_empty()
        && local.len() <= 64
        && local.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c))
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..");
    let label_ok = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let top_ok = domain.rsplit_once('.').is_some_and(|(_, top)| top.chars().count() >= 2);
    (local_ok && top_ok && domain.split('.').all(label_ok))
        .then(|| format!("{local}@{}", domain.to_lowercase()))
}

fn phone(text: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_digit() || c.is_whitespace() || "+-().–/・".contains(c);
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.strip_prefix("00").unwrap_or(&digits);
    (text.chars().all(allowed) && PHONE_DIGITS.contains(&digits.len())).then(|| digits.to_owned())
}

/// `1200`, `1,200`, `1 200`, `12.5`, `12,5`.
fn number(text: &str, min: Option<f64>, max: Option<f64>, whole: bool) -> Option<String> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (sign, digits) = match plain.strip_prefix(['-', '−']) {
        Some(rest) => ("-", rest),
        None => ("", plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let is_thousands = |groups: &str| {
        let mut groups = groups.split(',');
        groups.next().is_some_and(|first| (1..=3).contains(&first.len()))
            && groups.all(|group| group.len() == 3)
    };
    let (before, after) = match digits.split_once('.') {
        Some((before, after)) => (before, after),
        None if !digits.contains(',') || is_thousands(digits) => (digits, ""),
        None => digits.split_once(',')?,
    };
    let before = if is_thousands(before) { before.replace(',', "") } else { before.to_owned() };
    let all_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if before.is_empty() || before.len() > 15 || !all_digits(&before) || !all_digits(after) {
        return None;
    }
    let after = after.trim_end_matches('0');
    let point = if after.is_empty() { "" } else { "." };
    let value = format!("{sign}{before}{point}{after}");
    let number: f64 = value.parse().ok()?;
    let fits = min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max);
    (fits && (after.is_empty() || !whole)).then_some(value)
}

/// `2026-12-24`, `2026年12月24日`, `24.12.2026`, `24/12/26`.
fn date(text: &str, order: Order) -> Option<civil::Date> {
    let text = text.trim_end_matches(['日', '일', '.']).trim();
    let parts: Vec<&str> = text
        .split(['-', '/', '.', '年', '月', '년', '월', ' '])
        .filter(|part| !part.is_empty())
        .collect();
    let &[a, b, c] = parts.as_slice() else { return None };
    let (year, month, day) = match (a.len(), order) {
        (4, _) => (a, b, c),
        (_, Order::DayFirst) => (c, b, a),
        (_, Order::MonthFirst) => (c, a, b),
    };
    let year: i16 = match year.len() {
        4 => year.parse().ok()?,
        2 => 2_000 + year.parse::<i16>().ok()?,
        _ => return None,
    };
    civil::Date::new(year, month.parse().ok()?, day.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2027-01-15 in Tokyo, still the 14th in London.
    const NOW_MS: Millis = 1_799_938_860_000;

    fn check(kind: &Kind, table: &[(&str, Option<&str>)]) {
        for (text, value) in table {
            assert_eq!(kind.read(text, NOW_MS).as_deref(), *value, "{text}");
        }
    }

    #[test]
    fn names_addresses_and_phones_are_read_as_people_write_them() {
        let name = [
            ("Ana María", Some("Ana María")),
            ("山田 太郎", Some("山田 太郎")),
            ("O'Neil-Smith", Some("O'Neil-Smith")),
        ];
        check(&Kind::Name, &name);
        check(&Kind::Name, &[("x", None), ("a@b.com", None), ("12345", None), ("why?", None)]);
        check(
            &Kind::Email,
            &[
                ("my address is Ana.B+x@Example.COM.", Some("Ana.B+x@example.com")),
                ("ａ＠ｂ．ｃｏｍ", Some("a@b.com")),
                ("<a@b.co>", Some("a@b.co")),
                ("a@b", None),
                ("a@@b.com", None),
                ("a..b@c.com", None),
                ("@b.com", None),
                ("a@b.com or c@d.com", None),
                ("none", None),
            ],
        );
        check(
            &Kind::Phone,
            &[
                ("+81 (90) 1234-5678", Some("819012345678")),
                ("００８１９０１２３４５６７８", Some("819012345678")),
                ("12345", None),
                ("call me", None),
                ("1234567890123456", None),
            ],
        );
    }

    #[test]
    fn numbers_are_read_and_held_to_their_range() {
        let kind = Kind::Number { min: Some(1.0), max: Some(5_000.0), whole: false };
        check(
            &kind,
            &[
                ("１２００", Some("1200")),
                ("1,200", Some("1200")),
                ("1 200.50", Some("1200.5")),
                ("12,5", Some("12.5")),
                ("٤٢", Some("42")),
                ("0", None),
                ("5001", None),
                ("-3", None),
                ("two", None),
                ("1.2.3", None),
                ("", None),
            ],
        );
        check(
            &Kind::Number { min: None, max: None, whole: true },
            &[("-3", Some("-3")), ("3.5", None)],
        );
    }

    #[test]
    fn dates_are_read_in_their_order_and_compared_with_the_zones_today() {
        let kind = |order, days, name: &str| Kind::Date {
            order,
            days,
            zone: calendar::zone(name).unwrap(),
        };
        let any = kind(Order::DayFirst, Days::Any, "UTC");
        check(
            &any,
            &[
                ("2026-12-24", Some("2026-12-24")),
                ("2026年12月24日", Some("2026-12-24")),
                ("24.12.2026", Some("2026-12-24")),
                ("24/12/26", Some("2026-12-24")),
                ("12/24/2026", None),
                ("30.02.2027", None),
                ("tomorrow", None),
                ("24.12.", None),
            ],
        );
        check(&kind(Order::MonthFirst, Days::Any, "UTC"), &[("12/24/2026", Some("2026-12-24"))]);
        check(
            &kind(Order::DayFirst, Days::Future, "Asia/Tokyo"),
            &[("2027-01-14", None), ("2027-01-15", Some("2027-01-15"))],
        );
        check(
            &kind(Order::DayFirst, Days::Future, "Europe/London"),
            &[("2027-01-14", Some("2027-01-14"))],
        );
        check(&kind(Order::DayFirst, Days::Past, "Europe/London"), &[("2027-01-15", None)]);
    }

    #[test]
    fn a_pattern_must_be_all_of_the_answer() {
        let kind = Kind::Pattern(Regex::new("[A-Z]{2}[0-9]{4}").unwrap());
        check(
            &kind,
            &[
                ("AB1234", Some("AB1234")),
                ("ＡＢ１２３４", Some("AB1234")),
                ("xAB1234", None),
                ("AB12345", None),
            ],
        );
    }
}
