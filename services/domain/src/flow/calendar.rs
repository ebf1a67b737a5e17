//! Opening hours: a week, holidays and special days in a time zone. Whether it is open is asked of a given moment.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil, tz::TimeZone};

use crate::Millis;

/// Minutes of a day, from and until; an end before its beginning is on the next day.
pub(super) type Span = (u16, u16);

const DAY_MINUTES: u16 = 24 * 60;

#[derive(Clone, Debug)]
pub(super) struct Calendar {
    pub(super) zone: TimeZone,
    /// Monday first.
    pub(super) week: [Vec<Span>; 7],
    /// Closed: a date, or the same day of every year.
    pub(super) holidays: Vec<Holiday>,
    /// Hours of single days, in place of the week's and of holidays.
    pub(super) special: BTreeMap<civil::Date, Vec<Span>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holiday {
    Date(civil::Date),
    Yearly { month: i8, day: i8 },
}

impl Calendar {
    /// Whether it is open at `now_ms`.
    pub(super) fn is_open(&self, now_ms: Millis) -> bool {
        let Some(now) = local(&self.zone, now_ms) else { return false };
        let minute =
            u16::try_from(now.hour()).unwrap_or(0) * 60 + u16::try_from(now.minute()).unwrap_or(0);
        let today = self.spans(now.date());
        let open_today = today.iter().any(|(from, until)| match from < until {
            true => (*from..*until).contains(&minute),
            false => minute >= *from,
        });
        let yesterday = now.date().yesterday().map(|day| self.spans(day)).unwrap_or_default();
        open_today || yesterday.iter().any(|(from, until)| until <= from && minute < *until)
    }

    fn spans(&self, day: civil::Date) -> &[Span] {
        if let Some(spans) = self.special.get(&day) {
            return spans;
        }
        let closed = self.holidays.iter().any(|holiday| match holiday {
            Holiday::Date(date) => *date == day,
            Holiday::Yearly { month, day: of_month } => {
                (day.month(), day.day()) == (*month, *of_month)
            }
        });
        let weekday = usize::try_from(day.weekday().to_monday_zero_offset()).unwrap_or(0);
        match self.week.get(weekday) {
            Some(spans) if !closed => spans,
            _ => &[],
        }
    }
}

/// The local time of a moment.
pub(super) fn local(zone: &TimeZone, now_ms: Millis) -> Option<civil::DateTime> {
    let now = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?;
    Some(now.to_zoned(zone.clone()).datetime())
}

/// Reads an IANA name such as `Asia/Tokyo`.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

/// Reads `09:00-18:00`.
pub(super) fn span(text: &str) -> Option<Span> {
    let (from, until) = text.split_once(['-', '–'])?;
    let (from, until) = (minute(from)?, minute(until)?);
    (from < DAY_MINUTES && from != until && until > 0).then_some((from, until))
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let minute = hours.checked_mul(60)?.checked_add(minutes)?;
    (minutes < 60 && minute <= DAY_MINUTES).then_some(minute)
}

/// Reads `2026-12-31`.
pub(super) fn date(text: &str) -> Option<civil::Date> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    civil::Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// Reads `2026-12-31` or, for every year, `12-31`.
pub(super) fn holiday(text: &str) -> Option<Holiday> {
    if let Some(date) = date(text) {
        return Some(Holiday::Date(date));
    }
    let (month, day) = text.split_once('-')?;
    let (month, day) = (month.parse().ok()?, day.parse().ok()?);
    // A leap year has every day.
    civil::Date::new(2024, month, day).ok()?;
    Some(Holiday::Yearly { month, day })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn office(zone_name: &str) -> Calendar {
        let weekday = vec![span("09:00-12:00").unwrap(), span("13:00-18:00").unwrap()];
        let mut week: [Vec<Span>; 7] = std::array::from_fn(|_| weekday.clone());
        week[4] = vec![span("22:00-02:00").unwrap()];
        week[6] = vec![];
        Calendar {
            zone: zone(zone_name).unwrap(),
            week,
            holidays: vec![holiday("2027-01-11").unwrap(), holiday("01-01").unwrap()],
            special: BTreeMap::from([(
                date("2027-01-10").unwrap(),
                vec![span("10:00-11:00").unwrap()],
            )]),
        }
    }

    fn ms(text: &str) -> Millis {
        let moment: Timestamp = text.parse().unwrap();
        moment.as_millisecond().try_into().unwrap()
    }

    #[test]
    fn hours_follow_the_week_the_holidays_and_the_zone() {
        let table = [
            ("2027-01-04T09:00:00+09:00", true),
            ("2027-01-04T08:59:59+09:00", false),
            ("2027-01-04T12:00:00+09:00", false),
            ("2027-01-04T17:59:59+09:00", true),
            ("2027-01-04T18:00:00+09:00", false),
            ("2027-01-08T23:30:00+09:00", true),
            ("2027-01-09T01:59:00+09:00", true),
            ("2027-01-09T02:00:00+09:00", false),
            ("2027-01-10T10:30:00+09:00", true),
            ("2027-01-11T10:30:00+09:00", false),
            ("2027-01-01T10:30:00+09:00", false),
        ];
        for (at, open) in table {
            assert_eq!(office("Asia/Tokyo").is_open(ms(at)), open, "{at}");
        }
        // The same moment elsewhere, and on both sides of a change to summer time.
        assert!(!office("Europe/Berlin").is_open(ms("2027-01-04T09:00:00+09:00")));
        assert!(office("Europe/Berlin").is_open(ms("2027-03-27T08:30:00Z")));
        assert!(!office("Europe/Berlin").is_open(ms("2027-03-29T06:59:00Z")));
        assert!(office("Europe/Berlin").is_open(ms("2027-03-29T07:00:00Z")));
    }

    #[test]
    fn what_is_no_span_date_or_zone_is_refused() {
        for text in
            ["9-18", "25:00-26:00", "09:60-10:00", "09:00-09:00", "x", "09:00", "24:00-25:00"]
        {
            assert_eq!(span(text), None, "{text}");
        }
        assert_eq!(span("09:00-24:00"), Some((540, 1440)));
        assert!(
            date("2026-02-29").is_none()
                && holiday("13-01").is_none()
                && holiday("02-30").is_none()
        );
        assert_eq!(holiday("02-29"), Some(Holiday::Yearly { month: 2, day: 29 }));
        assert!(zone("Mars/Olympus").is_none() && zone("Asia/Tokyo").is_some());
    }
}
