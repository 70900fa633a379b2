//! Levels of birth dates.

use super::{Comparison, Evidence, Level, Pair};
use crate::matching::entry::birth_parts;

/// Years between a parent and a child at least.
pub const GENERATION_YEARS: u32 = 15;

pub fn compare(query: u32, stored: u32, pair: &mut Pair) {
    let level = level(query, stored);
    pair.set(Comparison::BirthDate, level);
    if matches!(level, Level::Exact | Level::FirstOfJanuary) {
        pair.evidence.add(Evidence::BIRTH_DATE);
    }
    let years = (birth_parts(query).0, birth_parts(stored).0);
    if query != 0 && stored != 0 && years.0.abs_diff(years.1) >= GENERATION_YEARS {
        pair.evidence.add(Evidence::GENERATION_APART);
    }
}

fn level(query: u32, stored: u32) -> Level {
    if query == 0 || stored == 0 {
        return Level::Absent;
    }
    let (a, b) = (birth_parts(query), birth_parts(stored));
    if a.2 == 0 || b.2 == 0 {
        return partial(a, b);
    }
    if a == b {
        return if (a.1, a.2) == (1, 1) { Level::FirstOfJanuary } else { Level::Exact };
    }
    let same_year = a.0 == b.0;
    let is_new_year = |date: (u32, u32, u32)| (date.1, date.2) == (1, 1);
    let digits = differing_digits(a, b);
    match () {
        () if same_year && (a.1, a.2) == (b.2, b.1) => Level::Swapped,
        () if same_year && (is_new_year(a) || is_new_year(b)) => Level::Placeholder,
        () if digits == 1 => Level::Close,
        () if (a.1, a.2) == (b.1, b.2) => Level::MonthDay,
        () if same_year && digits == 2 => Level::SameYear,
        () if digits == 2 => Level::TwoDigits,
        () if same_year => Level::SameYear,
        () => conflict(a.0, b.0),
    }
}

const fn conflict(a: u32, b: u32) -> Level {
    if a.abs_diff(b) < GENERATION_YEARS { Level::Conflict } else { Level::Generation }
}

/// One date has no day, or neither month nor day.
const fn partial(a: (u32, u32, u32), b: (u32, u32, u32)) -> Level {
    if a.0 != b.0 {
        conflict(a.0, b.0)
    } else if a.1 == 0 || b.1 == 0 {
        Level::Partial
    } else if a.1 == b.1 {
        Level::YearMonth
    } else {
        Level::SameYear
    }
}

fn differing_digits(a: (u32, u32, u32), b: (u32, u32, u32)) -> usize {
    let (mut a, mut b) = (a.0 * 10_000 + a.1 * 100 + a.2, b.0 * 10_000 + b.1 * 100 + b.2);
    let mut differing = 0;
    while a != b {
        differing += usize::from(a % 10 != b % 10);
        (a, b) = (a / 10, b / 10);
    }
    differing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::comparison::tests::pair;

    #[test]
    fn birth_dates_are_compared_by_level() {
        for (a, b, level) in [
            ("1980-02-03", "1980-02-03", Level::Exact),
            ("1980-01-01", "1980-01-01", Level::FirstOfJanuary),
            ("1980-02-03", "1980-03-02", Level::Swapped),
            ("1980-02-03", "1980-02-13", Level::Close),
            ("1980-02-03", "1990-02-03", Level::Close),
            ("1980-02-03", "1980-01-01", Level::Placeholder),
            ("1999-02-03", "2000-02-03", Level::MonthDay),
            ("1980-02-03", "1981-02-04", Level::TwoDigits),
            ("1980-02-03", "1980-11-26", Level::SameYear),
            ("1980-02-03", "1966-11-26", Level::Conflict),
            ("1980-02-03", "1965-11-26", Level::Generation),
            ("1980-02", "1980-02-03", Level::YearMonth),
            ("1980", "1980-02-03", Level::Partial),
            ("1980-03", "1980-02-03", Level::SameYear),
            ("1981", "1980-02-03", Level::Conflict),
            ("1900-01-01", "1980-02-03", Level::Absent),
        ] {
            for (query, stored) in [(a, b), (b, a)] {
                let pair = pair(&format!(r#""birthDate":"{query}""#), &format!(r#""birthDate":"{stored}""#));
                assert_eq!(pair.level(Comparison::BirthDate), level, "{query} {stored}");
            }
        }
    }
}
