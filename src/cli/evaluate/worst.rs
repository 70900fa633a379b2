//! The worst errors of an evaluation with their waterfalls, and who was taken for whom.
//!
//! Both need the stored records, so a database. A waterfall names levels and weights; persons' data is read only when it
//! is asked for. Not here: which errors are the worst (see `matching::evaluation`), drawing (see `page`).

use std::collections::HashMap;

use serde::Serialize;

use crate::app::App;
use crate::app::context::{Caller, Context};
use crate::app::error::ErrorKind;
use crate::app::explain::Explanation;
use crate::app::read::Version;
use crate::fhir::json::{Limits, Value, parse};
use crate::matching::evaluation::{Evaluation, FalseKind, Persons, THRESHOLD, WorstError};

use super::super::CommandError;
use super::super::arguments::EvaluateArgs;
use super::{Next, for_each_batch};

/// False accepts of which both records are compared; more stay "not compared".
const COMPARED_MAX: usize = 2000;

/// One of the worst errors.
#[derive(Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    pub(super) error: WorstError,
    /// Of the accepted record, or of the person's own when nobody was accepted: the likeliest of an identity.
    pub(super) explanation: Option<Explanation>,
    /// What the query and the record say, when it was asked for; never in the JSON.
    #[serde(skip)]
    pub(super) people: Option<[Vec<(&'static str, String)>; 2]>,
}

impl Shown {
    pub(super) const fn unexplained(error: WorstError) -> Self {
        Self { error, explanation: None, people: None }
    }
}

/// Compares the stored records of persons with those that were accepted in their place.
pub(super) fn relate(app: &App, evaluation: &mut Evaluation<'_>) -> Result<(), CommandError> {
    for (query, own, others) in evaluation.uncompared(THRESHOLD).into_iter().take(COMPARED_MAX) {
        let (Some(own), Some(other)) = (evaluation.persons().records_of(&own).first().copied(), others.first()) else {
            continue;
        };
        let body = stored(app, own)?;
        if let Some(found) = explain(app, body.as_bytes(), other)? {
            evaluation.relate(&query, FalseKind::of_records(&found.waterfall));
        }
    }
    Ok(())
}

/// The worst errors, each explained.
pub(super) fn explained(
    app: &App,
    args: &EvaluateArgs,
    evaluation: &Evaluation<'_>,
    persons: &Persons,
) -> Result<Vec<Shown>, CommandError> {
    let errors = evaluation.worst(THRESHOLD);
    let queries = find_queries(args, &errors)?;
    let shown = |error: WorstError| {
        let Some(query) = queries.get(&error.query) else { return Ok(Shown::unexplained(error)) };
        let own = error.true_person.as_deref().map(|person| persons.records_of(person)).unwrap_or_default();
        let records: Vec<&str> =
            if error.records.is_empty() { own } else { error.records.iter().map(String::as_str).collect() };
        let explanation = likeliest(app, query, &records)?;
        let people = match &explanation {
            Some(found) if args.show_people => Some([facts(query), facts(stored(app, &found.record)?.as_bytes())]),
            _ => None,
        };
        Ok(Shown { error, explanation, people })
    };
    errors.into_iter().map(shown).collect()
}

/// The lines of the queries that went wrong.
fn find_queries(args: &EvaluateArgs, errors: &[WorstError]) -> Result<HashMap<String, Vec<u8>>, CommandError> {
    let mut found = HashMap::new();
    for_each_batch(&args.queries, |lines| {
        for (_, line) in lines {
            let Ok(patient) = parse(line, &Limits::DEFAULT) else { continue };
            let id = patient.text("id").unwrap_or_default();
            if errors.iter().any(|error| error.query == id) {
                found.insert(id.to_owned(), line.clone());
            }
        }
        Ok(Next::GoOn)
    })?;
    Ok(found)
}

/// The explanation of the record that is likeliest the query's person. A query that is no valid Patient has none.
fn likeliest(app: &App, query: &[u8], records: &[&str]) -> Result<Option<Explanation>, CommandError> {
    const RECORDS_EXPLAINED_MAX: usize = 8;
    let mut best: Option<Explanation> = None;
    for record in records.iter().take(RECORDS_EXPLAINED_MAX) {
        let Some(found) = explain(app, query, record)? else { continue };
        if best.as_ref().is_none_or(|best| found.waterfall.total > best.waterfall.total) {
            best = Some(found);
        }
    }
    Ok(best)
}

/// The explanation of one record; none for a query that is no valid Patient.
fn explain(app: &App, query: &[u8], record: &str) -> Result<Option<Explanation>, CommandError> {
    match app.explain(&context(app), query, Some(record)) {
        Ok(found) => Ok(Some(found.answer)),
        Err(error) if error.kind == ErrorKind::Invalid => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn stored(app: &App, record: &str) -> Result<String, CommandError> {
    Ok(app.read(&context(app), "Patient", record, Version::Current)?.body)
}

fn context(app: &App) -> Context {
    Context::new(Caller::Open, app.clock)
}

/// What a Patient says, in words, by element.
fn facts(patient: &[u8]) -> Vec<(&'static str, String)> {
    const SHOWN: [&str; 6] = ["name", "birthDate", "gender", "address", "telecom", "identifier"];
    let Ok(patient) = parse(patient, &Limits::DEFAULT) else { return Vec::new() };
    SHOWN
        .into_iter()
        .map(|element| {
            let mut texts = Vec::new();
            if let Some(value) = patient.get(element) {
                collect(value, &mut texts);
            }
            (element, texts.join(" "))
        })
        .collect()
}

/// The texts of a value, without what says of which kind it is.
fn collect(value: &Value<'_>, texts: &mut Vec<String>) {
    const KINDS: [&str; 6] = ["use", "type", "system", "assigner", "extension", "period"];
    match value {
        Value::Object(members) => {
            members.iter().filter(|(name, _)| !KINDS.contains(name)).for_each(|(_, value)| collect(value, texts));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        other => texts.extend(other.as_str().map(str::to_owned)),
    }
}
