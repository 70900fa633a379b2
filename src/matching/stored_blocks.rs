//! Blocks whose lists are rows of a table: the numbers under which a record is stored, and which ranges of them a query
//! reads.
//!
//! What: a block key and a birth year make one number, so a block is a range and its part of one year a single number. A
//! record of a block that is split by given name is stored a second time under the key of that part. [`list`] reads blocks
//! as `postings` does: a large one is read by its components, never dropped, and a query that cannot name the component
//! says so. Not here: which keys and components there are (see `blocking`, `component`), the reading itself.

use std::collections::HashMap;

use super::blocking::{BlockKey, Reach, keys_within, stored_keys};
use super::component::{BLOCK_MAX, Components, components, is_split_by_given};
use super::entry::{Query, birth_parts};
use super::postings::{Coverage, MISSING};

/// Bits of the birth year in a stored key.
const YEAR_BITS: u32 = 12;
const YEAR_MAX: u64 = (1 << YEAR_BITS) - 1;
/// Rules take the bits below this one; it marks the key of a part.
const PART: u8 = 1 << 4;

/// Stored keys from the one to the other, both included, and how many rows of them are wanted at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRange {
    pub from: i64,
    pub to: i64,
    pub rows_max: usize,
}

fn stored_key(rule: u8, hash: u32, year: u64) -> i64 {
    i64::from(rule) << (32 + YEAR_BITS) | i64::from(hash) << YEAR_BITS | year.min(YEAR_MAX) as i64
}

/// The numbers under which a record is stored, ascending.
#[must_use]
pub fn stored_numbers(record: &Query<'_>) -> Vec<i64> {
    let (components, year) = (components(record), u64::from(birth_parts(record.birth_date).0));
    let mut numbers = Vec::with_capacity(32);
    for key in stored_keys(record) {
        numbers.push(stored_key(key.rule, key.hash, year));
        if is_split_by_given(key.rule) {
            let names = or_missing(components.at(key.rule, 0));
            let parts = names.into_iter().map(|name| stored_key(key.rule | PART, key.refined(name).hash, year));
            numbers.extend(parts);
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// The values of a component; a record that lacks it is where every query looks.
fn or_missing(values: Vec<u64>) -> Vec<u64> {
    if values.is_empty() { vec![MISSING] } else { values }
}

/// A record that was found, by its number in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    pub number: i64,
    /// A bit for each blocking rule under which it meets the query.
    rules: u32,
    /// The same, if an initial of it is one of the query's.
    rules_of_initials: u32,
}

impl Listing {
    /// The blocking rules under which the record, which has `stored`, meets a query of `asked`, a bit each; 0 is no candidate.
    #[must_use]
    pub fn rules(&self, asked: &Components, stored: &Components) -> u32 {
        self.rules | if asked.meet_by_initials(stored) { self.rules_of_initials } else { 0 }
    }
}

/// What the blocks of a query hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listings {
    /// Each record once, by number.
    pub found: Vec<Listing>,
    pub coverage: Coverage,
}

/// What is in a range: its place in the list of ranges, and the record's number.
pub type RangeRow = (usize, i64);

/// Finds the records that share a block with `query`. `read` gives the rows of ranges. Of one part of a block no more
/// than `part_max` are taken; a larger one is cut, and said to be.
///
/// # Errors
/// Those of `read`.
pub fn list<E>(
    query: &Query<'_>,
    reach: Reach,
    part_max: usize,
    mut read: impl FnMut(&[KeyRange]) -> Result<Vec<RangeRow>, E>,
) -> Result<Listings, E> {
    let asked = components(query);
    let mut search = Search { found: HashMap::new(), coverage: Coverage::Whole };
    let mut parts: Vec<Part> = keys_within(query, reach).into_iter().map(Part::block).collect();
    for _ in 0..2 {
        let ranges: Vec<KeyRange> = parts.iter().map(|part| part.range(BLOCK_MAX)).collect();
        let large = search.take_small(&parts, &ranges, &read(&ranges)?);
        parts = large.iter().flat_map(|part| search.split(part, &asked)).collect();
        if parts.is_empty() {
            break;
        }
    }
    if !parts.is_empty() {
        let ranges: Vec<KeyRange> = parts.iter().map(|part| part.range(part_max)).collect();
        search.take_large(&parts, &read(&ranges)?, part_max);
    }
    let mut found: Vec<Listing> = search.found.into_values().collect();
    found.sort_unstable_by_key(|listing| listing.number);
    Ok(Listings { found, coverage: search.coverage })
}

/// A block, or a part of one.
#[derive(Debug, Clone, Copy)]
struct Part {
    key: BlockKey,
    /// Of a part that has a key of its own, its mark.
    mark: u8,
    /// The one year of it.
    year: Option<u64>,
    depth: usize,
    /// Only records of the query's initials belong to it.
    is_of_initials: bool,
}

impl Part {
    const fn block(key: BlockKey) -> Self {
        Self { key, mark: 0, year: None, depth: 0, is_of_initials: false }
    }

    /// One row more is asked for than is taken: it tells that there are more.
    fn range(&self, rows: usize) -> KeyRange {
        let (first, last) = self.year.map_or((0, YEAR_MAX), |year| (year, year));
        let stored = |year| stored_key(self.key.rule | self.mark, self.key.hash, year);
        KeyRange { from: stored(first), to: stored(last), rows_max: rows.saturating_add(1) }
    }

    /// The part of a component's value.
    fn of(&self, value: u64) -> Self {
        let depth = self.depth + 1;
        if is_split_by_given(self.key.rule) && self.depth == 0 {
            Self { key: self.key.refined(value), mark: PART, depth, ..*self }
        } else {
            Self { year: Some(value), depth, ..*self }
        }
    }
}

struct Search {
    found: HashMap<i64, Listing>,
    coverage: Coverage,
}

impl Search {
    /// Takes the rows of parts that are small enough; gives the other parts.
    fn take_small(&mut self, parts: &[Part], ranges: &[KeyRange], rows: &[RangeRow]) -> Vec<Part> {
        let mut counts = vec![0_usize; parts.len()];
        for (at, _) in rows {
            counts[*at] += 1;
        }
        let is_small = |at: usize| counts[at] < ranges[at].rows_max;
        for (at, number) in rows.iter().filter(|(at, _)| is_small(*at)) {
            self.take(&parts[*at], *number);
        }
        parts.iter().enumerate().filter(|(at, _)| !is_small(*at)).map(|(_, part)| *part).collect()
    }

    /// Takes the rows of parts that are divided no further.
    fn take_large(&mut self, parts: &[Part], rows: &[RangeRow], part_max: usize) {
        let mut counts = vec![0_usize; parts.len()];
        for (at, number) in rows {
            counts[*at] += 1;
            if counts[*at] <= part_max {
                self.take(&parts[*at], *number);
            } else {
                self.coverage = Coverage::Cut;
            }
        }
    }

    fn take(&mut self, part: &Part, number: i64) {
        let listing = self.found.entry(number).or_insert(Listing { number, rules: 0, rules_of_initials: 0 });
        let rules = if part.is_of_initials { &mut listing.rules_of_initials } else { &mut listing.rules };
        *rules |= 1 << part.key.rule;
    }

    /// The parts of a large block in which the query looks.
    fn split(&mut self, part: &Part, asked: &Components) -> Vec<Part> {
        let values = asked.at(part.key.rule, part.depth);
        if values.is_empty() {
            self.coverage = Coverage::Cut;
        }
        if part.depth > 0 && !is_split_by_given(part.key.rule) {
            return vec![Part { is_of_initials: true, depth: part.depth + 1, ..*part }];
        }
        values.into_iter().chain([MISSING]).map(|value| part.of(value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::dictionary::Dictionary;
    use crate::matching::model::tests::model;
    use crate::matching::postings::Postings;
    use crate::matching::record::Record;
    use crate::matching::record::tests::record;

    /// People who share a phone: more than a block takes, most of one year, some without a date or a name.
    fn person(n: usize) -> Record {
        let (given, family) = (["Ann", "Bob", "Carla", "Dmitri", "Robert"][n % 5], ["Novak", "Ray", "Oduya"][n % 3]);
        let name = if n.is_multiple_of(41) {
            String::new()
        } else {
            format!(r#""name":[{{"family":"{family}","given":["{given}"]}}],"#)
        };
        let birth = if n.is_multiple_of(37) {
            String::new()
        } else {
            let year = if n.is_multiple_of(3) { 1950 + n % 40 } else { 1980 };
            format!(r#""birthDate":"{year}-{:02}-{:02}","#, 1 + n % 12, 1 + n % 28)
        };
        record(&format!(r#"{{{name}{birth}"gender":"female","telecom":[{{"system":"phone","value":"2125550142"}}]}}"#))
    }

    struct Table(Vec<(i64, i64)>);

    impl Table {
        fn read(&self, ranges: &[KeyRange]) -> Vec<RangeRow> {
            let of = |(at, range): (usize, &KeyRange)| {
                let rows = self.0.iter().filter(|(key, _)| (range.from..=range.to).contains(key));
                rows.take(range.rows_max).map(|(_, number)| (at, *number)).collect::<Vec<_>>()
            };
            ranges.iter().enumerate().flat_map(of).collect()
        }
    }

    fn candidates(table: &Table, people: &[Record], query: &Record) -> (Vec<u32>, Coverage) {
        let dictionary = Dictionary::default();
        let asked = Query::new(query, &dictionary, model());
        let listings = list(&asked, Reach::Blocks, 100_000, |ranges| Ok::<_, &str>(table.read(ranges))).expect("rows");
        let asked = components(&asked);
        let is_met = |listing: &&Listing| {
            let stored = Query::new(&people[listing.number as usize], &dictionary, model());
            listing.rules(&asked, &components(&stored)) != 0
        };
        (listings.found.iter().filter(is_met).map(|listing| listing.number as u32).collect(), listings.coverage)
    }

    /// Asks for each query at both places; how many searches were cut.
    fn asked_at_both(people: &[Record], queries: &[Record]) -> u32 {
        let (dictionary, mut table, mut postings) = (Dictionary::default(), Table(Vec::new()), Postings::default());
        let of = |n: u32| Query::new(&people[n as usize], &dictionary, model());
        for n in 0..u32::try_from(people.len()).expect("few") {
            table.0.extend(stored_numbers(&of(n)).into_iter().map(|key| (key, i64::from(n))));
            for key in stored_keys(&of(n)) {
                postings.insert(key, n, &|other| components(&of(other)));
            }
        }
        let mut cut = 0;
        for (n, asked) in queries.iter().enumerate() {
            let query = Query::new(asked, &dictionary, model());
            let (met, coverage) = postings.collect(&keys_within(&query, Reach::Blocks), &components(&query), |_| 1);
            let found: Vec<u32> = met.iter().map(|met| met.entry).collect();
            assert_eq!(candidates(&table, people, asked), (found, coverage), "{n}");
            cut += u32::from(coverage == Coverage::Cut);
        }
        cut
    }

    #[test]
    fn the_blocks_of_a_table_give_what_the_lists_in_memory_give() {
        let people: Vec<Record> = (0..1500).map(person).collect();
        let cut = asked_at_both(&people, &people[..120]);
        assert!((4..40).contains(&cut), "some queries name no component: {cut}");
    }

    /// A short form is kept under its own name and the formal one: it counts once where a block is measured.
    #[test]
    fn a_block_is_as_large_as_it_has_records_however_many_names_they_have() {
        let bob = |n: usize, birth: &str| {
            let family = if n.is_multiple_of(7) { "Ray" } else { "Novak" };
            record(&format!(r#"{{"name":[{{"family":"{family}","given":["Bob"]}}]{birth},"gender":"male"}}"#))
        };
        let born = |n: usize| format!(r#","birthDate":"{}-{:02}-{:02}""#, 1930 + n % 80, 1 + n % 12, 1 + n % 28);
        let people: Vec<Record> = (0..250).map(|n| bob(n, &born(n))).collect();
        let others = ["Barbara", "Robert", "Bill", "Bob"]
            .map(|given| record(&format!(r#"{{"name":[{{"family":"Novak","given":["{given}"]}}],"gender":"male"}}"#)));
        assert_eq!(asked_at_both(&people, &others), 0);
    }

    #[test]
    fn a_given_name_is_found_in_a_large_block_of_its_family_name_whatever_the_birth_date() {
        let dictionary = Dictionary::default();
        let person = |given: &str, birth: &str| {
            record(&format!(r#"{{"name":[{{"family":"Smith","given":["{given}"]}}]{birth},"gender":"female"}}"#))
        };
        let born = |year: usize| format!(r#","birthDate":"{year}-{:02}-{:02}""#, 1 + year % 12, 1 + year % 28);
        // Many of one initial, so that parts of the block are large whichever of them a name is in.
        let names: Vec<String> = (0..400)
            .map(|n| {
                format!(
                    "J{}{}n",
                    ["a", "o", "u", "e"][n % 4],
                    "abcdefghijklmnopqrst".chars().nth(n / 4 % 20).expect("a letter")
                )
            })
            .collect();
        let mut people: Vec<Record> = (0..8000).map(|n| person(&names[n % 400], &born(1920 + n % 90))).collect();
        people.push(person("Joyce", &born(1957)));
        let rows = people.iter().enumerate().flat_map(|(n, record)| {
            stored_numbers(&Query::new(record, &dictionary, model())).into_iter().map(move |key| (key, n as i64))
        });
        let table = Table(rows.collect());
        for birth in [born(1975), String::new()] {
            let (found, _) = candidates(&table, &people, &person("Joyce", &birth));
            assert!(found.contains(&8000), "{birth}");
        }
    }

    #[test]
    fn a_part_that_is_too_large_is_cut_and_said_to_be() {
        let people: Vec<Record> = (0..1500).map(person).collect();
        let dictionary = Dictionary::default();
        let rows = people.iter().enumerate().flat_map(|(n, record)| {
            stored_numbers(&Query::new(record, &dictionary, model())).into_iter().map(move |key| (key, n as i64))
        });
        let table = Table(rows.collect());
        let query = Query::new(&people[1], &dictionary, model());
        let listings = list(&query, Reach::Blocks, 300, |ranges| Ok::<_, &str>(table.read(ranges))).expect("rows");
        assert_eq!(listings.coverage, Coverage::Cut);
        let failed = list(&query, Reach::Blocks, 300, |_| Err("no database"));
        assert_eq!(failed, Err("no database"));
    }
}
