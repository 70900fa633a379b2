//! Days and calendar dates of the generated people, counted from 1970-01-01.
//!
//! Why own: ages are differences of days, and the generator knows no clock. Not here: FHIR's partial dates.

/// The population is as of this day (2025-01-01), whenever it is generated.
pub(super) const AS_OF: Day = Day(20_089);

/// Days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(pub(super) i32);

/// Days in four years: the calendar repeats after them between 1901 and 2099.
const FOUR_YEARS_DAYS: i32 = 1461;
const MONTH_DAYS: [i32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// How many days this many years are, on average.
pub(super) const fn years(count: i32) -> i32 {
    count * FOUR_YEARS_DAYS / 4
}

const fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i32, month: i32) -> i32 {
    let index = usize::try_from(month - 1).unwrap_or(usize::MAX);
    MONTH_DAYS.get(index).map_or(0, |days| days + i32::from(month == 2 && is_leap(year)))
}

impl Day {
    pub(super) const fn plus(self, days: i32) -> Self {
        Self(self.0 + days)
    }

    /// Whole years lived on [`AS_OF`].
    pub(super) const fn age(self) -> i32 {
        (AS_OF.0 - self.0) * 4 / FOUR_YEARS_DAYS
    }

    pub(super) fn year(self) -> i32 {
        self.parts().0
    }

    /// Year, month, day.
    pub(super) fn parts(self) -> (i32, i32, i32) {
        let mut year = 1970;
        let mut rest = self.0;
        while rest < 0 {
            year -= 1;
            rest += 365 + i32::from(is_leap(year));
        }
        while rest >= 365 + i32::from(is_leap(year)) {
            rest -= 365 + i32::from(is_leap(year));
            year += 1;
        }
        let mut month = 1;
        while rest >= days_in_month(year, month) {
            rest -= days_in_month(year, month);
            month += 1;
        }
        (year, month, rest + 1)
    }

    pub(super) fn to_text(self) -> String {
        let (year, month, day) = self.parts();
        to_text(year, month, day)
    }
}

pub(super) fn to_text(year: i32, month: i32, day: i32) -> String {
    format!("{year:04}-{month:02}-{day:02}")
}

/// Reads `YYYY-MM-DD` when it is a day people of this population can be born on.
pub(super) fn parse(text: &str) -> Option<(i32, i32, i32)> {
    let mut parts = text.split('-').map(|part| part.parse::<i32>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let exists = (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
    (exists && (1900..2025).contains(&year)).then_some((year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_calendar_dates() {
        for (day, text) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (-1, "1969-12-31"),
            (-25_567, "1900-01-01"),
            (-25_508, "1900-03-01"),
            (11_016, "2000-02-29"),
            (AS_OF.0, "2025-01-01"),
            (AS_OF.0 - 1, "2024-12-31"),
        ] {
            assert_eq!(Day(day).to_text(), text);
        }
    }

    #[test]
    fn impossible_days_are_not_read() {
        assert_eq!(parse("2000-02-29"), Some((2000, 2, 29)));
        for text in
            ["1999-02-29", "1999-13-01", "1999-00-01", "1999-04-31", "1899-12-31", "2025-01-01", "", "1999", "x-y-z"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn ages_count_whole_years() {
        for (birth, age) in [(AS_OF.0, 0), (AS_OF.0 - 364, 0), (AS_OF.0 - 366, 1), (AS_OF.0 - years(40) - 1, 40)] {
            assert_eq!(Day(birth).age(), age);
        }
    }
}
