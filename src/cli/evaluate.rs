//! `idi-match evaluate`: precision, recall and candidate recall against the truth, by kind and by corruption.
//!
//! The queries are result lines of `match`, or Patients, which are matched first. Counting stands in
//! `matching::evaluation`.

use std::path::Path;

use crate::app::context::{Caller, Context};
use crate::matching::evaluation::{Evaluation, THRESHOLD, parse_records, parse_results, parse_truth};

use super::arguments::EvaluateArgs;
use super::{CommandError, Ended, Environment, at, open, read_file, say};

/// Patients matched at a time.
const BATCH_LINES: usize = 2000;

pub fn run(args: &EvaluateArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let truth = parse_truth(&read_text(&args.truth)?).map_err(|error| at(&args.truth, error))?;
    let persons = parse_records(&read_text(&args.records)?).map_err(|error| at(&args.records, error))?;
    let mut evaluation = Evaluation::new(&truth, &persons).map_err(|error| at(&args.truth, error))?;
    let queries = read_text(&args.queries)?;
    let is_patients = queries.lines().next().is_some_and(|line| line.contains("\"resourceType\""));
    let results = if is_patients { match_first(args, environment, &queries)? } else { queries };
    for result in parse_results(&results) {
        let (_, result) = result.map_err(|error| at(&args.queries, error))?;
        evaluation.add(&result).map_err(|error| at(&args.queries, error))?;
    }
    let report = evaluation.report(THRESHOLD);
    if args.json {
        say(serde_json::to_string_pretty(&report).map_err(|error| at(&args.queries, error))?)?;
    } else {
        say(report)?;
    }
    Ok(Ended::Done)
}

fn read_text(path: &Path) -> Result<String, CommandError> {
    String::from_utf8(read_file(path)?).map_err(|_| at(path, "not UTF-8"))
}

fn match_first(args: &EvaluateArgs, environment: &Environment, patients: &str) -> Result<String, CommandError> {
    let app = open(environment.config(&args.config)?)?;
    let lines: Vec<Vec<u8>> = patients.lines().map(|line| line.as_bytes().to_vec()).collect();
    let mut results = String::new();
    for batch in lines.chunks(BATCH_LINES) {
        let ctx = Context::new(Caller::Open, app.clock);
        for line in app.match_lines(&ctx, batch, 0.0)? {
            results.push_str(&serde_json::to_string(&line).map_err(|error| at(&args.queries, error))?);
            results.push('\n');
        }
    }
    app.stop();
    Ok(results)
}
