//! `idi-match validate FILE`: what is wrong with a resource. Needs no database.

use crate::app::rules::Rules;
use crate::app::validate::judge;
use crate::fhir::issue::{Issue, any_error};
use crate::fhir::json::{Limits, parse};
use crate::http::render::outcome;

use super::arguments::ValidateArgs;
use super::{CommandError, Ended, Environment, progress, read_file, say};

pub fn run(args: &ValidateArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let config = environment.config(&args.config)?;
    let rules = Rules::of(&config).map_err(|error| CommandError::Usage(error.to_string()))?;
    let bytes = read_file(&args.file)?;
    let issues = match parse(&bytes, &Limits::DEFAULT) {
        Ok(resource) => judge(&rules, resource, &args.profile),
        Err(issue) => vec![issue],
    };
    if args.json {
        say(String::from_utf8_lossy(&outcome::render(&issues, "validate")))?;
    } else {
        print_lines(&issues)?;
    }
    Ok(if any_error(&issues) { Ended::ProblemsFound } else { Ended::Done })
}

fn print_lines(issues: &[Issue]) -> Result<(), CommandError> {
    for issue in issues {
        say(progress::issue_line(issue))?;
    }
    let verdict = if any_error(issues) { "not valid" } else { "valid" };
    say(verdict)
}
