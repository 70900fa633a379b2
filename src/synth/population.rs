//! The population, record by record, and the queries about it.
//!
//! What: households are made one after the other and forgotten; of each person asked for, only the place is remembered,
//! and the household is made again for the query. So memory grows with the queries, by a few bytes each, and not with the
//! people. The stored people depend on the seed alone: a larger population starts with the smaller one, and neither
//! queries nor duplicates change anybody. Not here: files (see `output`).

use super::corruption::{Event, Subject, corrupted};
use super::fields::Fields;
use super::household::Household;
use super::names::Tables;
use super::person::{Role, put_foreign_mrn, stored_mrn};
use super::random::{Purpose, Reservoir, Rng};
use super::{Item, Plan, QueryKind};

/// Where a person is: household, place in it, and number in the population.
#[derive(Debug, Clone, Copy)]
struct Place {
    household: u64,
    member: usize,
    number: u64,
}

/// One query to be made.
#[derive(Debug, Clone, Copy)]
struct Asked {
    kind: QueryKind,
    place: Place,
}

/// Extra records of a person, at most.
const DUPLICATES_MAX: usize = 5;
/// A relative who cannot be made is replaced by a stranger after so many tries.
const TRIES_MAX: u64 = 20;
/// Households of strangers are numbered from here on, far behind those that are stored.
const STRANGERS_FROM: u64 = 1 << 48;

/// Makes every record, then every query, and hands each to the sink, in the order of their ids.
///
/// # Errors
/// The sink's error ends the generation and is returned.
pub fn generate<E>(plan: &Plan, tables: &Tables, sink: &mut dyn FnMut(Item) -> Result<(), E>) -> Result<(), E> {
    let generator = Generator { plan, tables };
    let asked = generator.records(sink)?;
    generator.queries(asked, sink)
}

struct Generator<'a> {
    plan: &'a Plan,
    tables: &'a Tables,
}

/// Samples of the people to ask for.
struct Samples {
    rng: Rng,
    present: Reservoir<Place>,
    relatives: Reservoir<Place>,
    twins: Reservoir<Place>,
}

impl Generator<'_> {
    fn records<E>(&self, sink: &mut dyn FnMut(Item) -> Result<(), E>) -> Result<Vec<Asked>, E> {
        let shares = self.plan.query_counts();
        let mut samples = Samples {
            rng: Rng::stream(self.plan.seed, Purpose::Sample, 0),
            present: Reservoir::new(shares.present),
            relatives: Reservoir::new(shares.relatives),
            twins: Reservoir::new(shares.twins),
        };
        let people = self.plan.people as u64;
        let mut number = 0;
        for index in 0_u64.. {
            if number >= people {
                break;
            }
            let household = Household::make(self.tables, self.plan.seed, index);
            for member in 0..household.people.len() {
                if number >= people {
                    break;
                }
                let place = Place { household: index, member, number };
                self.record(&household, place, sink)?;
                samples.offer(&household, place);
                number += 1;
            }
        }
        Ok(self.asked(samples))
    }

    /// The record of a person, and its duplicates.
    fn record<E>(
        &self,
        household: &Household<'_>,
        place: Place,
        sink: &mut dyn FnMut(Item) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(person) = household.people.get(place.member) else { return Ok(()) };
        let person_id = person_id(place.number);
        sink(Item::Stored {
            record_id: person_id.clone(),
            person_id: person_id.clone(),
            fields: person.recorded(place.number),
        })?;
        let mut rng = Rng::stream(self.plan.seed, Purpose::Duplicate, place.number);
        let continues = self.plan.duplicate_continues_per_mille();
        for copy in 1..=DUPLICATES_MAX {
            if !rng.chance(continues) {
                break;
            }
            let (fields, _) = self.corrupted(&mut rng, household, place);
            sink(Item::Stored { record_id: format!("{person_id}d{copy}"), person_id: person_id.clone(), fields })?;
        }
        Ok(())
    }

    /// Another record of somebody in the household.
    fn corrupted(&self, rng: &mut Rng, household: &Household<'_>, place: Place) -> (Fields, Vec<Event>) {
        let Some(person) = household.people.get(place.member) else { return Default::default() };
        let subject = Subject { tables: self.tables, person, household: &household.people };
        let (mut fields, events) = corrupted(rng, subject, self.plan.difficulty);
        if fields.mrn.is_empty() {
            fields.mrn = stored_mrn(place.number);
        }
        (fields, events)
    }

    /// The queries to make, in random order.
    fn asked(&self, samples: Samples) -> Vec<Asked> {
        let counts = self.plan.query_counts();
        let Samples { mut rng, present, relatives, twins } = samples;
        let mut asked = Vec::with_capacity(self.plan.queries);
        for (kind, reservoir, count) in [
            (QueryKind::Match, present, counts.present),
            (QueryKind::AbsentRelative, relatives, counts.relatives),
            (QueryKind::AbsentTwin, twins, counts.twins),
        ] {
            // More queries than people: everybody is asked for again, with other errors.
            let places = reservoir.into_kept();
            asked.extend(places.iter().cycle().take(count).map(|place| Asked { kind, place: *place }));
        }
        let nobody = Place { household: 0, member: 0, number: 0 };
        asked.resize(self.plan.queries, Asked { kind: QueryKind::AbsentRandom, place: nobody });
        rng.shuffle(&mut asked);
        asked
    }

    fn queries<E>(&self, asked: Vec<Asked>, sink: &mut dyn FnMut(Item) -> Result<(), E>) -> Result<(), E> {
        for (ordinal, asked) in (1_u64..).zip(asked) {
            let mut rng = Rng::stream(self.plan.seed, Purpose::Query, ordinal);
            let (kind, fields, events) = match asked.kind {
                QueryKind::Match => {
                    let household = Household::make(self.tables, self.plan.seed, asked.place.household);
                    let (fields, events) = self.corrupted(&mut rng, &household, asked.place);
                    (QueryKind::Match, fields, events)
                }
                kind => self.absent(&mut rng, kind, asked.place, ordinal),
            };
            let true_person_id = (kind == QueryKind::Match).then(|| person_id(asked.place.number));
            sink(Item::Query { query_id: format!("q{ordinal:07}"), true_person_id, kind, events, fields })?;
        }
        Ok(())
    }

    /// A query about somebody who is not stored.
    fn absent(&self, rng: &mut Rng, kind: QueryKind, place: Place, ordinal: u64) -> (QueryKind, Fields, Vec<Event>) {
        let number = if kind == QueryKind::AbsentRandom { STRANGERS_FROM + ordinal } else { place.household };
        let mut household = Household::make(self.tables, self.plan.seed, number);
        let person = (0..TRIES_MAX).find_map(|_| match kind {
            QueryKind::AbsentRelative => household.unstored_relative(rng, self.tables),
            QueryKind::AbsentTwin => household.unstored_twin(rng, self.tables, place.member),
            QueryKind::AbsentRandom | QueryKind::Match => household.people.first().cloned(),
        });
        let Some(person) = person else { return self.absent(rng, QueryKind::AbsentRandom, place, ordinal) };
        let subject = Subject { tables: self.tables, person: &person, household: &household.people };
        let (mut fields, events) = corrupted(rng, subject, self.plan.difficulty);
        if fields.mrn.is_empty() {
            // No stored person has this number.
            put_foreign_mrn(rng, &mut fields);
        }
        (kind, fields, events)
    }
}

impl Samples {
    fn offer(&mut self, household: &Household<'_>, place: Place) {
        let Some(person) = household.people.get(place.member) else { return };
        self.present.offer(&mut self.rng, place);
        if person.is_related() {
            self.relatives.offer(&mut self.rng, place);
        }
        if person.role == Role::Child {
            self.twins.offer(&mut self.rng, place);
        }
    }
}

fn person_id(number: u64) -> String {
    format!("p{number:09}")
}
