//! Blocks whose lists are rows of a table: the numbers under which a record is stored, and which ranges of them a query
//! reads.
//!
//! What: a block key and a birth year make one number, so a block is a range and its part of one year a single number.
//! [`list`] reads blocks as `postings` does: one of more than [`BLOCK_MAX`] records is read by its components (birth
//! year, then initials), never dropped, and a query that cannot name the component says so. Not here: which keys there
//! are (see `blocking`), the reading itself.

use std::collections::HashMap;

use super::blocking::{BlockKey, Components, Reach, components, keys_within, stored_keys};
use super::entry::{Query, birth_parts};
use super::postings::Coverage;

/// Records of a block that are read as a whole.
const BLOCK_MAX: usize = 256;

/// Bits of the birth year in a stored key.
const YEAR_BITS: u32 = 12;
const YEAR_MAX: u64 = (1 << YEAR_BITS) - 1;

/// Stored keys from the one to the other, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRange {
    pub from: i64,
    pub to: i64,
}

impl KeyRange {
    fn block(key: BlockKey) -> Self {
        Self { from: stored_key(key, 0), to: stored_key(key, YEAR_MAX) }
    }

    /// The part of the block with this birth year; 0 is that of records without one.
    const fn of_year(self, year: u64) -> Self {
        let year = if year > YEAR_MAX { YEAR_MAX } else { year } as i64;
        Self { from: self.from | year, to: self.from | year }
    }
}

fn stored_key(key: BlockKey, year: u64) -> i64 {
    i64::from(key.rule) << (32 + YEAR_BITS) | i64::from(key.hash) << YEAR_BITS | year.min(YEAR_MAX) as i64
}

/// The numbers under which a record is stored, ascending.
#[must_use]
pub fn stored_numbers(record: &Query<'_>) -> Vec<i64> {
    let year = u64::from(birth_parts(record.birth_date).0);
    let mut numbers: Vec<i64> = stored_keys(record).into_iter().map(|key| stored_key(key, year)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// A record that was found, by its number in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    pub number: i64,
    /// Blocks that it shares with the query.
    blocks: u32,
    /// Blocks that it shares if an initial of it is one of the query's.
    blocks_of_initials: u32,
}

impl Listing {
    /// Blocks shared with a query of `asked` when the record has `stored`; 0 is no candidate.
    #[must_use]
    pub fn blocks(&self, asked: &Components, stored: &Components) -> u32 {
        let is_met = stored.initials.is_empty() || stored.initials.iter().any(|it| asked.initials.contains(it));
        self.blocks + if is_met { self.blocks_of_initials } else { 0 }
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

/// Finds the records that share a block with `query`. `read` gives, of each range, at most as many rows as it is told.
/// Of one part of a block no more than `part_max` are read; a larger one is cut, and said to be.
///
/// # Errors
/// Those of `read`.
pub fn list<E>(
    query: &Query<'_>,
    reach: Reach,
    part_max: usize,
    mut read: impl FnMut(&[KeyRange], usize) -> Result<Vec<RangeRow>, E>,
) -> Result<Listings, E> {
    let asked = components(query);
    let mut found: HashMap<i64, Listing> = HashMap::new();
    let blocks: Vec<KeyRange> = keys_within(query, reach).into_iter().map(KeyRange::block).collect();
    let large = take_small(&blocks, read(&blocks, BLOCK_MAX + 1)?, &mut found);
    let mut coverage = Coverage::Whole;
    if !large.is_empty() {
        let years = asked.birth_year.into_iter().chain([0]);
        let parts: Vec<KeyRange> =
            large.iter().flat_map(|block| years.clone().map(|year| block.of_year(year))).collect();
        let large = take_small(&parts, read(&parts, BLOCK_MAX + 1)?, &mut found);
        let is_large_part = !large.is_empty();
        let is_cut = is_large_part && take_large(&read(&large, part_max + 1)?, part_max, &mut found);
        let is_named = asked.birth_year.is_some() && !(is_large_part && asked.initials.is_empty());
        if is_cut || !is_named {
            coverage = Coverage::Cut;
        }
    }
    let mut found: Vec<Listing> = found.into_values().collect();
    found.sort_unstable_by_key(|listing| listing.number);
    Ok(Listings { found, coverage })
}

/// Takes the rows of ranges that are small enough; gives the other ranges.
fn take_small(ranges: &[KeyRange], rows: Vec<RangeRow>, found: &mut HashMap<i64, Listing>) -> Vec<KeyRange> {
    let mut counts = vec![0_usize; ranges.len()];
    for (at, _) in &rows {
        counts[*at] += 1;
    }
    for (_, number) in rows.into_iter().filter(|(at, _)| counts[*at] <= BLOCK_MAX) {
        listing(found, number).blocks += 1;
    }
    ranges.iter().zip(counts).filter(|(_, count)| *count > BLOCK_MAX).map(|(range, _)| *range).collect()
}

/// Takes the rows of parts that only records of the query's initials belong to; true when there are more.
fn take_large(rows: &[RangeRow], part_max: usize, found: &mut HashMap<i64, Listing>) -> bool {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    for (at, number) in rows {
        let count = counts.entry(*at).or_default();
        *count += 1;
        if *count <= part_max {
            listing(found, *number).blocks_of_initials += 1;
        }
    }
    counts.values().any(|count| *count > part_max)
}

fn listing(found: &mut HashMap<i64, Listing>, number: i64) -> &mut Listing {
    found.entry(number).or_insert(Listing { number, blocks: 0, blocks_of_initials: 0 })
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
        let name = if n % 41 == 0 {
            String::new()
        } else {
            format!(r#""name":[{{"family":"{family}","given":["{given}"]}}],"#)
        };
        let birth = if n % 37 == 0 {
            String::new()
        } else {
            let year = if n % 3 == 0 { 1950 + n % 40 } else { 1980 };
            format!(r#""birthDate":"{year}-{:02}-{:02}","#, 1 + n % 12, 1 + n % 28)
        };
        record(&format!(r#"{{{name}{birth}"gender":"female","telecom":[{{"system":"phone","value":"2125550142"}}]}}"#))
    }

    struct Table(Vec<(i64, i64)>);

    impl Table {
        fn read(&self, ranges: &[KeyRange], rows_max: usize) -> Result<Vec<RangeRow>, String> {
            let of = |(at, range): (usize, &KeyRange)| {
                let rows = self.0.iter().filter(|(key, _)| (range.from..=range.to).contains(key));
                rows.take(rows_max).map(|(_, number)| (at, *number)).collect::<Vec<_>>()
            };
            Ok(ranges.iter().enumerate().flat_map(of).collect())
        }
    }

    fn candidates(table: &Table, people: &[Record], query: &Record) -> (Vec<u32>, Coverage) {
        let dictionary = Dictionary::default();
        let asked = Query::new(query, &dictionary, model());
        let listings =
            list(&asked, Reach::Blocks, 100_000, |ranges, rows_max| table.read(ranges, rows_max)).expect("rows");
        let asked = components(&asked);
        let is_met = |listing: &&Listing| {
            let stored = Query::new(&people[listing.number as usize], &dictionary, model());
            listing.blocks(&asked, &components(&stored)) > 0
        };
        (listings.found.iter().filter(is_met).map(|listing| listing.number as u32).collect(), listings.coverage)
    }

    #[test]
    fn the_blocks_of_a_table_give_what_the_lists_in_memory_give() {
        let people: Vec<Record> = (0..1500).map(person).collect();
        let (dictionary, mut table, mut postings) = (Dictionary::default(), Table(Vec::new()), Postings::default());
        let of = |n: u32| Query::new(&people[n as usize], &dictionary, model());
        for n in 0..1500 {
            table.0.extend(stored_numbers(&of(n)).into_iter().map(|key| (key, i64::from(n))));
            for key in stored_keys(&of(n)) {
                postings.insert(key, n, &|other| components(&of(other)));
            }
        }
        let mut cut = 0;
        for n in 0..120 {
            let (query, mut found, mut coverage) = (of(n), Vec::new(), Coverage::Whole);
            for key in keys_within(&query, Reach::Blocks) {
                if postings.collect(key, &components(&query), &mut found) == Coverage::Cut {
                    coverage = Coverage::Cut;
                }
            }
            found.sort_unstable();
            found.dedup();
            assert_eq!(candidates(&table, &people, &people[n as usize]), (found, coverage), "{n}");
            cut += u32::from(coverage == Coverage::Cut);
        }
        assert!((4..40).contains(&cut), "some queries name no component: {cut}");
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
        let listings = list(&query, Reach::Blocks, 300, |ranges, rows_max| table.read(ranges, rows_max)).expect("rows");
        assert_eq!(listings.coverage, Coverage::Cut);
        let failed = list(&query, Reach::Blocks, 300, |_, _| Err("no database"));
        assert_eq!(failed, Err("no database"));
    }
}
