//! The microseconds that a FHIR `date`, `dateTime` or `instant` of any precision may mean (FHIR R4 Search, date).
//!
//! A year means all of its microseconds, a second the million in it. What has no zone is read as UTC.
//! Not here: prefixes of a search (see `store::search`), which formats an element may have (see `profile::primitive`).

use super::date::{Date, days_in};

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;
const HOUR_US: i64 = 60 * MINUTE_US;
const DAY_US: i64 = 24 * HOUR_US;

/// First and last microsecond since 1970, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    pub lo_us: i64,
    pub hi_us: i64,
}

impl TimeRange {
    /// Reads a date or a time; hours and minutes come together, seconds and their fraction may be missing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Some((date, time)) = text.split_once('T') else { return Date::parse(text).map(Self::of) };
        let day = Date::parse(date).filter(Date::is_full)?;
        let zone = time.find(['Z', '+', '-']).unwrap_or(time.len());
        let (clock, zone) = time.split_at(zone);
        let (within_us, width_us) = parse_clock(clock)?;
        let lo_us = Self::of(day).lo_us + within_us - offset_us(zone)?;
        Some(Self { lo_us, hi_us: lo_us + width_us - 1 })
    }

    /// All of a year, a month or a day.
    #[must_use]
    pub fn of(date: Date) -> Self {
        let month = date.month();
        let last_month = month.unwrap_or(12);
        let last_day = date.day().unwrap_or_else(|| days_in(date.year(), last_month));
        let first = day_number(date.year(), month.unwrap_or(1), date.day().unwrap_or(1));
        let last = day_number(date.year(), last_month, last_day);
        Self { lo_us: first * DAY_US, hi_us: (last + 1) * DAY_US - 1 }
    }

    /// From the start of one to the end of another; a missing end is open (FHIR R4 Search, Period).
    #[must_use]
    pub fn between(start: Option<Self>, end: Option<Self>) -> Option<Self> {
        if start.is_none() && end.is_none() {
            return None;
        }
        let (lo_us, hi_us) = (start.map_or(i64::MIN, |start| start.lo_us), end.map_or(i64::MAX, |end| end.hi_us));
        Some(Self { lo_us, hi_us: hi_us.max(lo_us) })
    }
}

/// Days since 1 January 1970 of the Gregorian calendar.
fn day_number(year: u16, month: u8, day: u8) -> i64 {
    let years = i64::from(year) - 1;
    let leap_days = years / 4 - years / 100 + years / 400;
    let months: i64 = (1..month).map(|month| i64::from(days_in(year, month))).sum();
    const FIRST: i64 = 1969 * 365 + 1969 / 4 - 1969 / 100 + 1969 / 400;
    years * 365 + leap_days + months + i64::from(day) - 1 - FIRST
}

/// Microseconds into the day, and how many of them the text may mean: `hh:mm`, `hh:mm:ss` or `hh:mm:ss.f…`.
fn parse_clock(text: &str) -> Option<(i64, i64)> {
    let (text, fraction) = match text.split_once('.') {
        Some((text, fraction)) if text.len() == 8 => (text, Some(fraction)),
        Some(_) => return None,
        None => (text, None),
    };
    let mut parts = text.split(':');
    let hour = two_digits(parts.next()?, 23)?;
    let minute = two_digits(parts.next()?, 59)?;
    let minute_us = hour * HOUR_US + minute * MINUTE_US;
    let Some(second) = parts.next() else { return Some((minute_us, MINUTE_US)) };
    // FHIR allows the leap second.
    let second_us = minute_us + two_digits(second, 60)? * SECOND_US;
    if parts.next().is_some() {
        return None;
    }
    let Some(fraction) = fraction else { return Some((second_us, SECOND_US)) };
    let (fraction_us, width_us) = parse_fraction(fraction)?;
    Some((second_us + fraction_us, width_us))
}

/// Digits beyond the sixth do not count.
fn parse_fraction(text: &str) -> Option<(i64, i64)> {
    if text.is_empty() || text.len() > 20 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut width_us = SECOND_US;
    let mut fraction_us = 0;
    for digit in text.bytes().take(6) {
        width_us /= 10;
        fraction_us += i64::from(digit - b'0') * width_us;
    }
    Some((fraction_us, width_us))
}

fn two_digits(text: &str, max: i64) -> Option<i64> {
    let plain = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|number| plain && *number <= max)
}

/// `Z`, `+hh:mm`, `-hh:mm` or nothing.
fn offset_us(zone: &str) -> Option<i64> {
    let (sign, text) = match zone.split_at_checked(1) {
        None | Some(("Z", "")) => return Some(0),
        Some(("+", text)) => (1, text),
        Some(("-", text)) => (-1, text),
        Some(_) => return None,
    };
    let (hours, minutes) = text.split_once(':')?;
    Some(sign * (two_digits(hours, 14)? * HOUR_US + two_digits(minutes, 59)? * MINUTE_US))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_any_precision_is_a_range() {
        let day = |days: i64| (days * DAY_US, (days + 1) * DAY_US - 1);
        let seconds = |lo: i64, width_us: i64| (lo * SECOND_US, lo * SECOND_US + width_us - 1);
        for (text, expected) in [
            ("1970", (0, 365 * DAY_US - 1)),
            ("1970-02", (31 * DAY_US, 59 * DAY_US - 1)),
            ("1970-01-02", day(1)),
            ("1969-12-31", day(-1)),
            ("2000-03-01", day(11017)),
            ("1600-01-01", day(-135_140)),
            ("0001-01-01", day(-719_162)),
            ("9999-12-31", day(2_932_896)),
            ("2024-02-29", day(19_782)),
            ("1970-01-01T00:01", seconds(60, MINUTE_US)),
            ("1970-01-01T00:01Z", seconds(60, MINUTE_US)),
            ("1970-01-01T00:00:01Z", seconds(1, SECOND_US)),
            ("1970-01-01T02:00:01+02:00", seconds(1, SECOND_US)),
            ("1969-12-31T19:00:01-05:00", seconds(1, SECOND_US)),
            ("1970-01-01T00:00:01.5Z", (1_500_000, 1_599_999)),
            ("1970-01-01T00:00:01.123456789Z", (1_123_456, 1_123_456)),
            ("1970-01-01T00:00:60Z", seconds(60, SECOND_US)),
        ] {
            let range = TimeRange::parse(text).map(|range| (range.lo_us, range.hi_us));
            assert_eq!(range, Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "T",
            "1970-01T00:00",
            "1970-01-01T",
            "1970-01-01T00",
            "1970-01-01T24:00",
            "1970-01-01T00:60",
            "1970-01-01T00:00:61",
            "1970-01-01T00:00.5",
            "1970-01-01T00:00:00.",
            "1970-01-01T00:00:00:00",
            "1970-01-01T00:00:00Zx",
            "1970-01-01T00:00:00+1",
            "1970-01-01T00:00:00 02:00",
            "1970-01-01T+0:+0",
            "1970-01-01t00:00:00Z",
        ] {
            assert_eq!(TimeRange::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_period_without_an_end_is_open() {
        let [start, end] = ["1970-01-02", "1970-01-03"].map(TimeRange::parse);
        let range = |start, end| TimeRange::between(start, end).map(|range| (range.lo_us, range.hi_us));
        assert_eq!(range(start, end), Some((DAY_US, 3 * DAY_US - 1)));
        assert_eq!(range(start, None), Some((DAY_US, i64::MAX)));
        assert_eq!(range(None, end), Some((i64::MIN, 3 * DAY_US - 1)));
        assert_eq!(range(None, None), None);
    }
}
