//! `idi-match evaluate`: precision, recall and candidate recall against the truth, by kind, corruption and subgroup.
//!
//! The queries are result lines of `match`, or Patients, which are matched first. Files are read in batches, and of a
//! result only what counts is kept. Counting stands in `matching::evaluation`. Not here: the worst errors one by one (see
//! `worst`), the page (see `page`).

mod chart;
mod page;
mod worst;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::app::App;
use crate::app::context::{Caller, Context};
use crate::app::match_batch::{self, MatchLine};
use crate::app::rules::Rules;
use crate::fhir::json::{Limits, parse};
use crate::matching::evaluation::{
    Candidate, Evaluation, QueryResult, Report, Subgroups, THRESHOLD, parse_records, parse_result, parse_truth,
};
use crate::matching::model::Model;
use crate::synth::FamilyLists;

use super::arguments::EvaluateArgs;
use super::{CommandError, Ended, Environment, at, open, progress, read_file, say};

/// Lines read at a time.
const BATCH_LINES: usize = 2000;

/// The report with the worst errors, as it is printed and drawn.
#[derive(Serialize)]
struct Found {
    #[serde(flatten)]
    report: Report,
    worst: Vec<worst::Shown>,
}

pub fn run(args: &EvaluateArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let truth = parse_truth(&read_text(&args.truth)?).map_err(|error| at(&args.truth, error))?;
    let persons = parse_records(&read_text(&args.records)?).map_err(|error| at(&args.records, error))?;
    let mut evaluation = Evaluation::new(&truth, &persons).map_err(|error| at(&args.truth, error))?;
    let config = environment.config(&args.config)?;
    let (app, model) = if is_of_patients(&args.queries)? {
        let app = open(config)?;
        let model = Arc::clone(&app.rules.model);
        (Some(app), model)
    } else {
        (None, Rules::of(&config).map_err(|error| CommandError::Usage(error.to_string()))?.model)
    };
    add_queries(args, app.as_ref(), &mut evaluation)?;
    let worst = match app {
        Some(app) => {
            worst::relate(&app, &mut evaluation)?;
            let worst = worst::explained(&app, args, &evaluation, &persons)?;
            app.stop();
            worst
        }
        None => evaluation.worst(THRESHOLD).into_iter().map(worst::Shown::unexplained).collect(),
    };
    tell(args, &Found { report: evaluation.report(THRESHOLD), worst }, &model)
}

fn tell(args: &EvaluateArgs, found: &Found, model: &Model) -> Result<Ended, CommandError> {
    if let Some(path) = &args.html {
        std::fs::write(path, page::render(found, model, args)).map_err(|error| at(path, error))?;
    }
    if args.json {
        say(serde_json::to_string_pretty(found).map_err(|error| at(&args.queries, error))?)?;
    } else {
        say(&found.report)?;
    }
    Ok(Ended::Done)
}

fn read_text(path: &Path) -> Result<String, CommandError> {
    String::from_utf8(read_file(path)?).map_err(|_| at(path, "not UTF-8"))
}

/// The first line that is not empty decides.
fn is_of_patients(path: &Path) -> Result<bool, CommandError> {
    let mut is_patients = false;
    for_each_batch(path, |lines| {
        is_patients = lines.first().is_some_and(|(_, line)| line.windows(14).any(|part| part == b"\"resourceType\""));
        Ok(Next::Stop)
    })?;
    Ok(is_patients)
}

/// Counts every query; with an `app` they are Patients, which are matched first.
fn add_queries(args: &EvaluateArgs, app: Option<&App>, evaluation: &mut Evaluation<'_>) -> Result<(), CommandError> {
    let lists = FamilyLists::new();
    let refuse = |error: &dyn std::fmt::Display| at(&args.queries, error);
    let bar = progress::spinner("queries");
    for_each_batch(&args.queries, |lines| {
        match app {
            None => {
                for (number, line) in lines {
                    let result = parse_result(*number, line).map_err(|error| refuse(&error))?;
                    evaluation.add(&result).map_err(|error| refuse(&error))?;
                }
            }
            Some(app) => {
                let patients: Vec<Vec<u8>> = lines.iter().map(|(_, line)| line.clone()).collect();
                for found in app.match_lines(&Context::new(Caller::Open, app.clock), &patients, 0.0)? {
                    evaluation.add(&result(found)).map_err(|error| refuse(&error))?;
                }
                put_into_subgroups(lines, &lists, evaluation);
            }
        }
        bar.inc(lines.len() as u64);
        Ok(Next::GoOn)
    })?;
    bar.finish_and_clear();
    match (&args.patients, app) {
        (Some(path), None) => for_each_batch(path, |lines| {
            put_into_subgroups(lines, &lists, evaluation);
            Ok(Next::GoOn)
        }),
        _ => Ok(()),
    }
}

fn put_into_subgroups(lines: &[(usize, Vec<u8>)], lists: &FamilyLists, evaluation: &mut Evaluation<'_>) {
    for patient in lines.iter().filter_map(|(_, line)| parse(line, &Limits::DEFAULT).ok()) {
        let groups = Subgroups::of(&patient, |family| lists.origin_of(family));
        evaluation.put_into(patient.text("id").unwrap_or_default(), groups);
    }
}

fn result(line: MatchLine) -> QueryResult {
    let candidate = |match_batch::Candidate { identity, records, score, grade, probability }| Candidate {
        identity,
        records,
        score,
        grade: grade.to_owned(),
        probability,
    };
    QueryResult {
        query: line.query.unwrap_or_default(),
        candidates: line.candidates.into_iter().map(candidate).collect(),
        issues: Vec::new(),
    }
}

/// Whether the rest of a file is wanted.
enum Next {
    GoOn,
    Stop,
}

/// Reads a file in batches of lines with their numbers, from 1; empty lines are skipped.
fn for_each_batch(
    path: &Path,
    mut take: impl FnMut(&[(usize, Vec<u8>)]) -> Result<Next, CommandError>,
) -> Result<(), CommandError> {
    let file = File::open(path).map_err(|error| at(path, error))?;
    let mut lines = (1..).zip(BufReader::with_capacity(1 << 20, file).split(b'\n'));
    loop {
        let mut batch = Vec::new();
        for (number, line) in lines.by_ref() {
            let line = line.map_err(|error| at(path, error))?;
            if !line.trim_ascii().is_empty() {
                batch.push((number, line));
            }
            if batch.len() == BATCH_LINES {
                break;
            }
        }
        if batch.is_empty() || matches!(take(&batch)?, Next::Stop) {
            return Ok(());
        }
    }
}
