//! Times as microseconds since 1970: what a FHIR `date`, `dateTime` or `instant` may mean, as a first and a last one.
//!
//! Not here: formats of elements (see `profile::primitive`), clocks.

use std::cmp::Ordering;

use super::date::{Date, days_in};

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;

/// The first and the last microsecond that `text` may mean: `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, or a time of minutes,
/// seconds or fractions with or without a time zone; without one it is UTC (FHIR R4 Search, date).
#[must_use]
pub fn range_us(text: &str) -> Option<(i64, i64)> {
    if !text.is_ascii() {
        return None;
    }
    let Some((date, time)) = text.split_once('T') else { return Date::parse(text).map(range_of_date) };
    let date = Date::parse(date).filter(Date::is_full)?;
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone_at);
    let (time_us, precision_us) = time_of_day_us(time)?;
    let lo_us = range_of_date(date).0 + time_us - offset_us(zone)?;
    Some((lo_us, lo_us + precision_us - 1))
}

/// How two dates or times follow each other; `None` where one is less precise and may be either, and for what is none.
///
/// A date has no zone: beside a time it may be the day of any (FHIRPath N1, Comparison; FHIR R4 datatypes, `dateTime`).
#[must_use]
pub fn order(left: &str, right: &str) -> Option<Ordering> {
    let (mut left_us, mut right_us) = (range_us(left)?, range_us(right)?);
    match (left.contains('T'), right.contains('T')) {
        // Fractions of seconds are no precision of their own.
        (true, true) => return Some(left_us.0.cmp(&right_us.0)),
        (false, true) => left_us = anywhere(left_us),
        (true, false) => right_us = anywhere(right_us),
        (false, false) => {}
    }
    match (left_us, right_us) {
        (left, right) if left.1 < right.0 => Some(Ordering::Less),
        (left, right) if left.0 > right.1 => Some(Ordering::Greater),
        (left, right) if left == right => Some(Ordering::Equal),
        _ => None,
    }
}

/// A day of UTC as a day of any zone: the first begins 14 hours earlier, the last ends 12 hours later.
const fn anywhere((lo_us, hi_us): (i64, i64)) -> (i64, i64) {
    (lo_us - 14 * 3600 * SECOND_US, hi_us + 12 * 3600 * SECOND_US)
}

/// The microsecond that an `instant` names: date, seconds and a time zone (FHIR R4 datatypes, `instant`).
#[must_use]
pub fn instant_us(text: &str) -> Option<i64> {
    let (_, time) = text.split_once('T')?;
    let is_whole = time.matches(':').count() >= 2 && time.contains(['Z', '+', '-']);
    range_us(text).filter(|_| is_whole).map(|(lo_us, _)| lo_us)
}

fn range_of_date(date: Date) -> (i64, i64) {
    let last_month = date.month().unwrap_or(12);
    let last_day = date.day().unwrap_or_else(|| days_in(date.year(), last_month));
    let first = day_number(date.year(), date.month().unwrap_or(1), date.day().unwrap_or(1));
    let last = day_number(date.year(), last_month, last_day);
    (first * DAY_US, (last + 1) * DAY_US - 1)
}

/// Days since 1970-01-01 of the Gregorian calendar, with years that begin in March so that leap days come last.
fn day_number(year: u16, month: u8, day: u8) -> i64 {
    let (year, month, day) = (i64::from(year), i64::from(month), i64::from(day));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let century = year.div_euclid(400);
    let of_century = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    century * 146_097 + of_century * 365 + of_century / 4 - of_century / 100 + day_of_year - 719_468
}

/// `hh:mm`, `hh:mm:ss` or `hh:mm:ss.f…`: the microsecond of the day, and how many microseconds it may mean.
fn time_of_day_us(text: &str) -> Option<(i64, i64)> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let parts: Option<Vec<i64>> = whole.split(':').map(two_digits).collect();
    let (seconds, precision_us) = match parts?.as_slice() {
        [h @ 0..24, m @ 0..60] if fraction.is_none() => (h * 3600 + m * 60, 60 * SECOND_US),
        // A leap second counts as the first of the next minute.
        [h @ 0..24, m @ 0..60, s @ 0..=60] => (h * 3600 + m * 60 + s, SECOND_US),
        _ => return None,
    };
    let Some(fraction) = fraction else { return Some((seconds * SECOND_US, precision_us)) };
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.get(..6).unwrap_or(fraction);
    let unit = 10_i64.pow(6 - digits.len() as u32);
    Some((seconds * SECOND_US + digits.parse::<i64>().ok()? * unit, unit))
}

fn two_digits(text: &str) -> Option<i64> {
    (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// `Z`, nothing, or an offset of at most 14 hours.
fn offset_us(zone: &str) -> Option<i64> {
    let (sign, clock) = match zone.split_at_checked(1) {
        None => return Some(0),
        Some(("Z", "")) => return Some(0),
        Some(("+", clock)) => (1, clock),
        Some(("-", clock)) => (-1, clock),
        Some(_) => return None,
    };
    let (hours, minutes) = clock.split_once(':')?;
    let minutes = two_digits(hours)? * 60 + two_digits(minutes).filter(|minutes| *minutes < 60)?;
    (minutes <= 14 * 60).then_some(sign * minutes * 60 * SECOND_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-02T03:04:05Z.
    const MOMENT_US: i64 = 1_767_323_045_000_000;

    #[test]
    fn a_time_means_as_much_as_its_precision() {
        let day = MOMENT_US - (3 * 3600 + 4 * 60 + 5) * SECOND_US;
        for (text, lo, length) in [
            ("2026-01-02", day, DAY_US),
            ("2026-01", day - DAY_US, 31 * DAY_US),
            ("2026", day - DAY_US, 365 * DAY_US),
            ("2024", day - DAY_US - 731 * DAY_US, 366 * DAY_US),
            ("1970", 0, 365 * DAY_US),
            ("1969-12-31", -DAY_US, DAY_US),
            ("2026-01-02T03:04", MOMENT_US - 5 * SECOND_US, 60 * SECOND_US),
            ("2026-01-02T03:04:05", MOMENT_US, SECOND_US),
            ("2026-01-02T03:04:05Z", MOMENT_US, SECOND_US),
            ("2026-01-02T04:34:05+01:30", MOMENT_US, SECOND_US),
            ("2026-01-01T22:04:05.25-05:00", MOMENT_US + 250_000, 10_000),
            ("2026-01-02T03:04:05.000001Z", MOMENT_US + 1, 1),
            ("2026-01-02T03:04:05.000001999Z", MOMENT_US + 1, 1),
        ] {
            assert_eq!(range_us(text), Some((lo, lo + length - 1)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "T",
            "2026-01-02T",
            "2026-01T03:04:05Z",
            "2026-02-30T03:04:05Z",
            "2026-01-02T24:00:00Z",
            "2026-01-02T03:60:00Z",
            "2026-01-02T03:04:61Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04.5Z",
            "2026-01-02T03:04:05ZZ",
            "2026-01-02T03:04:05+1:00",
            "2026-01-02T03:04:05+15:00",
            "2026-01-02T03:04:05+01:60",
            "2026-01-02t03:04:05Z",
            "2026-01-02T0３:04:05Z",
            "now",
        ] {
            assert_eq!(range_us(text), None, "{text}");
        }
    }

    #[test]
    fn an_instant_has_seconds_and_a_time_zone() {
        assert_eq!(instant_us("2026-01-02T03:04:05Z"), Some(MOMENT_US));
        assert_eq!(instant_us("2026-01-02T03:04:05.000006+00:00"), Some(MOMENT_US + 6));
        for text in ["2026-01-02", "2026-01-02T03:04Z", "2026-01-02T03:04:05", "2026"] {
            assert_eq!(instant_us(text), None, "{text}");
        }
    }
}
