//! FHIR `date`: a year, a month or a day, and nothing else.
//!
//! Not here: `dateTime` and `instant` formats (see `profile::primitive`), clocks.

use std::fmt;

/// A date of the precision it was given with. Always a real calendar date, year 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: Option<u8>,
    day: Option<u8>,
}

impl Date {
    /// Reads `YYYY`, `YYYY-MM` or `YYYY-MM-DD` (FHIR R4 datatypes, `date`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let digits = |range: std::ops::Range<usize>| {
            bytes
                .get(range)?
                .iter()
                .try_fold(0_u16, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u16::from(b - b'0')))
        };
        let part = |start: usize| {
            if bytes.get(start - 1) != Some(&b'-') {
                return None;
            }
            digits(start..start + 2).and_then(|value| u8::try_from(value).ok())
        };
        let year = digits(0..4).filter(|year| *year > 0)?;
        let (month, day) = match bytes.len() {
            4 => (None, None),
            7 => (Some(part(5)?), None),
            10 => (Some(part(5)?), Some(part(8)?)),
            _ => return None,
        };
        let month_ok = month.is_none_or(|month| (1..=12).contains(&month));
        let day_ok = day.is_none_or(|day| day >= 1 && day <= days_in(year, month.unwrap_or(1)));
        (month_ok && day_ok).then_some(Self { year, month, day })
    }

    #[must_use]
    pub const fn year(&self) -> u16 {
        self.year
    }

    #[must_use]
    pub const fn month(&self) -> Option<u8> {
        self.month
    }

    #[must_use]
    pub const fn day(&self) -> Option<u8> {
        self.day
    }

    /// Whether year, month and day are all known.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.day.is_some()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        self.month.map_or(Ok(()), |month| write!(f, "-{month:02}"))?;
        self.day.map_or(Ok(()), |day| write!(f, "-{day:02}"))
    }
}

/// Days of `month` in `year` of the Gregorian calendar.
#[must_use]
pub const fn days_in(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_dates_of_three_precisions_are_read() {
        for text in ["1980", "1980-02", "1980-02-29", "2000-02-29", "0001-01-01", "9999-12-31"] {
            assert_eq!(Date::parse(text).map(|date| date.to_string()).as_deref(), Some(text));
        }
        for text in [
            "",
            "198",
            "0000",
            "1980-2-1",
            "1981-02-29",
            "1900-02-29",
            "1980-13-01",
            "1980-00-10",
            "1980-01-00",
            "1980-01-32",
            "1980/01/01",
            "1980-01-01T00:00:00Z",
            "１９８０",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }
}
