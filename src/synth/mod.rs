//! A synthetic population with truth: households, records, and labelled queries, for trying and measuring.
//!
//! What: [`generate`] streams [`Item`]s: the stored records of people who live in families, share phones and insurance
//! numbers, have twins and namesakes, and then queries about them with errors, and about people who are not stored. Why own:
//! matching must be measured where the truth is known, and real people's data may not be used. The same [`Plan`] and
//! name frequencies give the same bytes on every machine: the seed is an argument, and chance is integer arithmetic.
//! Not here: writing to disk (see `cli`), judging a matcher (see `matching::evaluation`).

mod calendar;
mod corruption;
mod family_lists;
mod fields;
mod geography;
mod given_names;
mod household;
mod misspelling;
mod names;
mod origins;
pub mod output;
mod person;
mod population;
mod random;

pub use corruption::Event;
pub use family_lists::FamilyLists;
pub use fields::{CSV_HEADER, Fields};
pub use names::Tables;
pub use population::generate;

/// What to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Stored people.
    pub people: usize,
    pub queries: usize,
    pub seed: u64,
    /// Of the queries, and of duplicate records.
    pub difficulty: Difficulty,
    /// Share of the queries whose person is not stored, 0 to 1. Half of those are relatives of stored people, a tenth twins.
    pub absent_share: f64,
    /// Mean number of further records of a person, with errors; at most five each.
    pub duplicate_rate: f64,
}

/// How much is wrong with a query: means of 0.6, 1.7 and 3 errors, and facts left out to match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difficulty {
    Easy,
    Normal,
    Hard,
}

impl Difficulty {
    pub const ALL: [Self; 3] = [Self::Easy, Self::Normal, Self::Hard];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Normal => "normal",
            Self::Hard => "hard",
        }
    }
}

/// Whether the person of a query is stored, and if not, who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueryKind {
    Match,
    AbsentRandom,
    /// A relative is stored: partner, child, parent or namesake, at the same address.
    AbsentRelative,
    /// The twin is stored.
    AbsentTwin,
}

impl QueryKind {
    pub const ALL: [Self; 4] = [Self::Match, Self::AbsentRandom, Self::AbsentRelative, Self::AbsentTwin];

    /// The label in the truth file.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::AbsentRandom => "absent_random",
            Self::AbsentRelative => "absent_relative",
            Self::AbsentTwin => "absent_twin",
        }
    }
}

/// One generated record or query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Stored { record_id: String, person_id: String, fields: Fields },
    Query { query_id: String, true_person_id: Option<String>, kind: QueryKind, events: Vec<Event>, fields: Fields },
}

/// How many queries of each kind a plan asks for; the rest are about strangers.
struct QueryCounts {
    present: usize,
    relatives: usize,
    twins: usize,
}

impl Plan {
    fn query_counts(&self) -> QueryCounts {
        let absent = share_of(self.queries, self.absent_share);
        QueryCounts { present: self.queries - absent, relatives: absent / 2, twins: absent / 10 }
    }

    /// Chance of one more record, so that the mean number is the rate (a geometric distribution).
    fn duplicate_continues_per_mille(&self) -> u32 {
        let rate = if self.duplicate_rate > 0.0 { self.duplicate_rate } else { 0.0 };
        u32::try_from(share_of(1000, rate / (1.0 + rate))).unwrap_or_default()
    }
}

/// The share of a count, rounded; shares outside 0 to 1 are taken as the nearer end.
fn share_of(count: usize, share: f64) -> usize {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    let exact = (count as f64 * share).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, and NaN gives 0")]
    let rounded = exact as usize;
    rounded.min(count)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};
    use std::convert::Infallible;

    use super::household::{Household, Kind};
    use super::output::{Counts, File, Files};
    use super::person::Role;
    use super::*;

    pub(super) fn tables() -> Tables {
        Tables::parse(include_str!("../../profiles/name-frequencies.json")).unwrap()
    }

    fn plan(people: usize, queries: usize) -> Plan {
        let (difficulty, absent_share, duplicate_rate) = (Difficulty::Normal, 0.25, 0.0);
        Plan { people, queries, seed: 1, difficulty, absent_share, duplicate_rate }
    }

    fn items(plan: &Plan) -> Vec<Item> {
        let mut items = Vec::new();
        let done = generate(plan, &tables(), &mut |item| {
            items.push(item);
            Ok::<(), Infallible>(())
        });
        assert_eq!(done, Ok(()));
        items
    }

    fn files(plan: &Plan) -> (BTreeMap<File, Vec<u8>>, Counts) {
        struct Shared(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);
        impl std::io::Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.borrow_mut().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut written: BTreeMap<File, std::rc::Rc<std::cell::RefCell<Vec<u8>>>> = BTreeMap::new();
        let mut files = Files::create(|file| Ok(Shared(written.entry(file).or_default().clone()))).unwrap();
        generate(plan, &tables(), &mut |item| files.put(&item)).unwrap();
        let counts = files.finish(plan).unwrap();
        (written.into_iter().map(|(file, bytes)| (file, bytes.borrow().clone())).collect(), counts)
    }

    fn stored(items: &[Item]) -> Vec<&Fields> {
        items
            .iter()
            .filter_map(|item| if let Item::Stored { fields, .. } = item { Some(fields) } else { None })
            .collect()
    }

    #[test]
    fn the_same_plan_gives_the_same_bytes_and_another_seed_others() {
        let plan = Plan { duplicate_rate: 0.3, ..plan(300, 60) };
        let first = files(&plan);
        assert_eq!(first, files(&plan));
        let other = files(&Plan { seed: 2, ..plan });
        for file in File::ALL {
            assert!(!first.0[&file].is_empty() && first.0[&file] != other.0[&file], "{}", file.name());
        }
    }

    /// A change of these bytes is a change of every figure measured on them: say so where figures are kept.
    #[test]
    fn bytes_do_not_change_unnoticed() {
        let (files, _) = files(&Plan { duplicate_rate: 0.3, ..plan(300, 60) });
        let fnv = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
        };
        let sums: Vec<u64> =
            [File::PatientsNdjson, File::QueriesCsv, File::Truth].iter().map(|file| fnv(&files[file])).collect();
        assert_eq!(sums, [0x4417_469b_806e_2dd5, 0x8fb2_d67c_5542_deff, 0x545e_7e8a_84a2_c825]);
    }

    #[test]
    fn a_larger_population_starts_with_the_smaller_whatever_is_asked() {
        let small = items(&plan(200, 0));
        let large = items(&Plan { queries: 50, absent_share: 0.5, ..plan(900, 50) });
        assert_eq!(small[..], large[..small.len()]);
        let duplicated = items(&Plan { duplicate_rate: 0.5, ..plan(200, 0) });
        let originals: Vec<&Item> = duplicated
            .iter()
            .filter(|item| matches!(item, Item::Stored { record_id, person_id, .. } if record_id == person_id))
            .collect();
        assert_eq!(small.iter().collect::<Vec<_>>(), originals);
    }

    #[test]
    fn files_keep_their_contract() {
        let (files, counts) = files(&Plan { duplicate_rate: 0.4, ..plan(500, 100) });
        let lines = |file| std::str::from_utf8(&files[&file]).unwrap().lines().collect::<Vec<_>>();
        let records = lines(File::Records);
        assert_eq!(records[..2], ["record_id,person_id", "p000000000,p000000000"]);
        assert_eq!(records.len() as u64, counts.records + 1);
        assert_eq!((counts.people, counts.queries), (500, 100));
        assert_eq!(lines(File::PatientsNdjson).len() + 1, lines(File::PatientsCsv).len());
        assert_eq!(lines(File::PatientsCsv).len(), records.len());
        assert_eq!(lines(File::PatientsCsv)[0], CSV_HEADER);
        let truth = lines(File::Truth);
        assert_eq!((truth[0], truth.len()), ("query_id,true_person_id,kind,events,n_fields", 101));
        let ids: HashSet<&str> = records[1..].iter().map(|line| line.split(',').next().unwrap()).collect();
        for (number, line) in truth[1..].iter().enumerate() {
            let [query, person, kind, ..] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
            assert_eq!(query, format!("q{:07}", number + 1));
            assert_eq!(ids.contains(person), kind == "match", "{line}");
            assert_eq!(person.is_empty(), kind != "match", "{line}");
        }
        for (line, record) in lines(File::PatientsNdjson).iter().zip(&records[1..]) {
            let patient: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(patient["id"].as_str(), record.split(',').next());
        }
        let manifest: serde_json::Value = serde_json::from_slice(&files[&File::Manifest]).unwrap();
        assert_eq!(
            (&manifest["args"]["seed"], &manifest["counts"]["queries_by_kind"]["match"]),
            (&1.into(), &75.into())
        );
    }

    /// Shares of the stored records, against what the guide's examples and public statistics make plausible.
    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    fn stored_people_have_the_intended_statistics() {
        let items = items(&plan(30_000, 0));
        let people = stored(&items);
        let percent = |count: usize| count as f64 * 100.0 / people.len() as f64;
        let having =
            |fact: fn(&Fields) -> &String| percent(people.iter().filter(|fields| !fact(fields).is_empty()).count());
        let sharing = |fact: fn(&Fields) -> String| {
            let mut seen: HashMap<String, usize> = HashMap::new();
            people
                .iter()
                .map(|fields| fact(fields))
                .filter(|value| !value.is_empty())
                .for_each(|value| *seen.entry(value).or_default() += 1);
            percent(seen.values().filter(|count| **count > 1).sum())
        };
        let holds = |rule: fn(&Fields) -> bool| percent(people.iter().filter(|fields| rule(fields)).count());
        for (what, measured, low, high) in [
            ("middle name", having(|f| &f.middle), 68.0, 72.0),
            ("address", having(|f| &f.line), 95.4, 96.6),
            ("phone", having(|f| &f.phone), 89.0, 91.0),
            ("email", having(|f| &f.email), 45.0, 55.0),
            ("last four of the SSN", having(|f| &f.ssn4), 43.5, 46.5),
            ("member number", having(|f| &f.member_id), 78.0, 86.0),
            ("record number", having(|f| &f.mrn), 100.0, 100.0),
            ("shared phone", sharing(|f| f.phone.clone()), 22.0, 33.0),
            ("shared member number", sharing(|f| f.member_id.clone()), 28.0, 42.0),
            ("shared address", sharing(|f| format!("{}{}", f.line, f.zip)), 78.0, 90.0),
            ("shared record number", sharing(|f| f.mrn.clone()), 0.0, 0.0),
            ("placeholder birthday", holds(|f| f.birth_date.ends_with("-01-01")), 0.4, 1.2),
            ("diacritics", holds(|f| !f.family.is_ascii() || !f.given.is_ascii()), 2.0, 5.0),
            ("two surnames", holds(|f| f.family.contains(' ')), 1.5, 5.0),
            ("hyphenated surname", holds(|f| f.family.contains('-')), 2.0, 5.5),
            ("generational suffix", holds(|f| !f.suffix.is_empty()), 0.2, 1.0),
            ("female", holds(|f| f.sex == "female"), 48.0, 55.0),
            ("born since 2007", holds(|f| f.birth_date.as_str() >= "2007"), 16.0, 30.0),
            ("born before 1965", holds(|f| f.birth_date.as_str() < "1965"), 15.0, 32.0),
            ("commonest surname", holds(|f| f.family == "Smith"), 0.4, 1.2),
        ] {
            assert!((low..=high).contains(&measured), "{what}: {measured}");
        }
        let surnames: HashSet<&str> = people.iter().map(|fields| fields.family.as_str()).collect();
        assert!(surnames.len() > 8_500, "{}", surnames.len());
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    fn households_have_the_intended_statistics() {
        let tables = tables();
        let homes: Vec<Household<'_>> = (0..20_000).map(|number| Household::make(&tables, 9, number)).collect();
        let per_mille =
            |rule: &dyn Fn(&Household<'_>) -> bool| homes.iter().filter(|home| rule(home)).count() as f64 / 20.0;
        let children = || {
            homes.iter().flat_map(|home| &home.people).filter(|person| matches!(person.role, Role::Child | Role::Twin))
        };
        let twin_births = children().filter(|person| person.role == Role::Twin).count() as f64 / 2.0;
        let births = children().count() as f64 - twin_births;
        let people = homes.iter().map(|home| home.people.len()).sum::<usize>() as f64;
        for (what, measured, low, high) in [
            ("single", per_mille(&|home| home.kind == Kind::Single), 255.0, 285.0),
            ("roommates", per_mille(&|home| home.kind == Kind::Roommates), 72.0, 90.0),
            ("institutions", per_mille(&|home| home.kind == Kind::Institution), 4.5, 9.5),
            (
                "with children",
                per_mille(&|home| home.people.iter().any(|person| person.role == Role::Child)),
                330.0,
                400.0,
            ),
            ("with twins", per_mille(&|home| home.people.iter().any(|person| person.role == Role::Twin)), 14.0, 30.0),
            ("partner keeps another surname", per_mille(&|home| differs(home)), 130.0, 200.0),
            ("people per household", people / 20_000.0 * 100.0, 210.0, 290.0),
            ("twin births per thousand", twin_births / births * 1000.0, 24.0, 38.0),
        ] {
            assert!((low..=high).contains(&measured), "{what}: {measured}");
        }
        for home in &homes {
            for person in home.people.iter().filter(|person| matches!(person.role, Role::Child | Role::Twin)) {
                assert!((0..=40).contains(&person.birth.age()) && person.birth > home.people[0].birth.plus(17 * 365));
            }
            let twins: Vec<_> = home.people.iter().filter(|person| person.role == Role::Twin).collect();
            assert!(twins.len() % 2 == 0 && twins.chunks(2).all(|pair| pair[0].birth == pair[1].birth));
        }
    }

    fn differs(home: &Household<'_>) -> bool {
        home.people
            .iter()
            .any(|person| person.role == Role::Partner && person.facts.family != home.people[0].facts.family)
    }

    #[test]
    fn queries_are_of_the_intended_kinds_and_hold_what_they_claim() {
        let items = items(&plan(4_000, 2_000));
        let mut stored: HashMap<&str, &Fields> = HashMap::new();
        let mut homes: HashSet<(&str, &str)> = HashSet::new();
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut matches, mut errors, mut kin, mut at_home, mut requests) = (0, 0, 0, 0, 0);
        for item in &items {
            match item {
                Item::Stored { person_id, fields, .. } => {
                    stored.insert(person_id, fields);
                    homes.insert(home(fields));
                }
                Item::Query { true_person_id, kind, events, fields, .. } => {
                    *kinds.entry(kind.label()).or_default() += 1;
                    errors += events.len();
                    matches += usize::from(true_person_id.as_deref().is_some_and(|person| stored.contains_key(person)));
                    let is_kin = matches!(kind, QueryKind::AbsentRelative | QueryKind::AbsentTwin);
                    let stays = events
                        .iter()
                        .all(|event| !(Event::Moved..=Event::MovedSameZip).contains(event) && *event < Event::ZipTypo);
                    if is_kin && stays && !fields.line.is_empty() && !fields.zip.is_empty() {
                        kin += 1;
                        at_home += usize::from(homes.contains(&home(fields)));
                    }
                    requests += usize::from(fields.request_weight() >= 9);
                    assert!(
                        fields.mrn.len() == 10 && (true_person_id.is_some() || fields.mrn.as_str() >= "5000000000")
                    );
                }
            }
        }
        let expected = [("absent_random", 200), ("absent_relative", 250), ("absent_twin", 50), ("match", 1_500)];
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(matches, 1_500);
        assert!((3_200..=4_000).contains(&errors), "{errors}");
        // Some of their relatives are stored without the address.
        assert!(kin > 50 && at_home * 100 > kin * 90, "{at_home} of {kin}");
        assert!(requests > 1_850, "{requests}");
    }

    /// House number and postal code.
    fn home(fields: &Fields) -> (&str, &str) {
        (fields.line.split(' ').next().unwrap_or_default(), &fields.zip)
    }

    #[test]
    fn duplicates_follow_the_rate() {
        for (rate, low, high) in [(0.0, 0, 0), (0.4, 1_850, 2_150), (-1.0, 0, 0), (f64::NAN, 0, 0)] {
            let items = items(&Plan { duplicate_rate: rate, ..plan(5_000, 0) });
            let duplicates = stored(&items).len() - 5_000;
            assert!((low..=high).contains(&duplicates), "{rate}: {duplicates}");
        }
    }

    #[test]
    fn odd_plans_still_give_what_they_ask_for() {
        for (people, queries, absent_share) in
            [(0, 5, 0.0), (1, 5, 0.0), (3, 40, 1.0), (10, 0, 0.5), (5, 3, 7.0), (5, 3, f64::NAN)]
        {
            let items = items(&Plan { absent_share, ..plan(people, queries) });
            assert_eq!(items.len(), people + queries, "{people} {queries} {absent_share}");
        }
    }

    #[test]
    fn a_sink_that_fails_ends_the_generation() {
        let mut taken = 0;
        let done = generate(&plan(1_000, 10), &tables(), &mut |_| {
            taken += 1;
            if taken == 7 { Err("full") } else { Ok(()) }
        });
        assert_eq!((done, taken), (Err("full"), 7));
    }

    #[test]
    fn name_frequencies_that_do_not_fit_are_refused_without_repeating_them() {
        for (text, message) in [
            ("Smith", "name frequencies: line 1, column 1"),
            (r#"{"family":{},"male":{"A":1},"female":{"B":1}}"#, "name frequencies: no usable entry under \"family\""),
            (
                r#"{"family":{"C":1},"male":{"A":0},"female":{"B":1}}"#,
                "name frequencies: no usable entry under \"male\"",
            ),
            (
                r#"{"family":{"C":1},"male":{"A":1},"female":{"B":-1}}"#,
                "name frequencies: no usable entry under \"female\"",
            ),
        ] {
            assert_eq!(Tables::parse(text).unwrap_err(), message);
        }
    }

    #[test]
    fn surnames_have_a_long_tail() {
        let tables = tables();
        let mut rng = random::Rng::stream(1, random::Purpose::Household, 0);
        let drawn: HashSet<String> = (0..600_000).map(|_| tables.surname(&mut rng, None)).collect();
        assert!(drawn.len() > 100_000, "{}", drawn.len());
    }
}
