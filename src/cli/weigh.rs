//! `idi-match weigh FILE`: the input weight of a Patient, with its parts and what would raise it. Needs no database.

use serde::Serialize;

use crate::app::rules::Rules;
use crate::fhir::json::{Limits, parse};
use crate::fhir::match_parameters::MatchParameters;
use crate::fhir::name_text;
use crate::profile::input_weight::{InputWeight, weigh};

use super::arguments::WeighArgs;
use super::{CommandError, Ended, Environment, progress, read_file, say};

#[derive(Serialize)]
struct Weighed<'w> {
    total: u32,
    parts: Vec<Part<'w>>,
    advice: Vec<&'w str>,
}

#[derive(Serialize)]
struct Part<'w> {
    code: &'w str,
    points: u32,
    text: &'w str,
    expressions: &'w [String],
}

pub fn run(args: &WeighArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let config = environment.config(&args.config)?;
    let rules = Rules::of(&config).map_err(|error| CommandError::Usage(error.to_string()))?;
    let bytes = read_file(&args.file)?;
    let lines = |issues: &[crate::fhir::issue::Issue]| {
        CommandError::Failed(issues.iter().map(progress::issue_line).collect::<Vec<_>>().join("\n"))
    };
    let document = parse(&bytes, &Limits::DEFAULT).map_err(|issue| lines(&[issue]))?;
    let parameters = MatchParameters::read(document).map_err(|issues: Vec<_>| lines(&issues))?;
    let (patient, _) = name_text::complete(parameters.patient);
    let weight = weigh(&patient, rules.profiles.weights());
    if args.json {
        let text =
            serde_json::to_string_pretty(&weighed(&weight)).map_err(|error| CommandError::Failed(error.to_string()))?;
        say(text)?;
    } else {
        print_table(&weight)?;
    }
    Ok(Ended::Done)
}

fn weighed(weight: &InputWeight) -> Weighed<'_> {
    let parts = weight.parts.iter().map(|part| Part {
        code: &part.code,
        points: part.points,
        text: &part.text,
        expressions: &part.expressions,
    });
    let advice = weight.advice.iter().map(|advice| advice.text.as_str());
    Weighed { total: weight.total, parts: parts.collect(), advice: advice.collect() }
}

fn print_table(weight: &InputWeight) -> Result<(), CommandError> {
    for part in &weight.parts {
        say(format_args!("{:>3}  {}", part.points, part.text))?;
    }
    say(format_args!("{:>3}  total", weight.total))?;
    for advice in &weight.advice {
        say(format_args!("     {}", advice.text))?;
    }
    Ok(())
}
