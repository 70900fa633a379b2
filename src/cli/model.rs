//! `idi-match model show`, `model diff` and the exchange with Splink.
//!
//! A model is named by its file; without one it is the model in force. Not here: fitting one (see `train`), the
//! settings themselves (see `matching::splink`).

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use crate::app::rules::{Rules, built_in_text};
use crate::fhir::json::{Limits, parse};
use crate::fhir::name_text;
use crate::matching::comparison::{Comparison, Level};
use crate::matching::model::{Likelihood, Model};
use crate::matching::record::Record;
use crate::matching::splink::{self, Engine};

use super::arguments::{ModelArgs, ModelCommands, SplinkEngine};
use super::{CommandError, Ended, Environment, at, read_file, say};

pub fn run(args: &ModelArgs, environment: &Environment) -> Result<Ended, CommandError> {
    match &args.command {
        ModelCommands::Show { file, json, config } => {
            let model = match file {
                Some(file) => read_model(file)?,
                None => {
                    let rules = Rules::of(&environment.config(config)?);
                    Model::clone(&rules.map_err(|error| CommandError::Usage(error.to_string()))?.model)
                }
            };
            if *json {
                say(model.to_json())?;
            } else {
                show(&model)?;
            }
            Ok(Ended::Done)
        }
        ModelCommands::Diff { one, other } => diff(&read_model(one)?, &read_model(other)?),
        ModelCommands::ExportSplink { file, out, engine, population } => {
            let engine = match engine {
                SplinkEngine::Duckdb => Engine::DuckDb,
                SplinkEngine::Spark => Engine::Spark,
            };
            let settings = splink::settings(&model_or_built_in(file.as_deref())?, engine, *population);
            write(out, &format!("{settings:#}\n"))
        }
        ModelCommands::ImportSplink { settings, start, out } => {
            let written = serde_json::from_slice(&read_file(settings)?).map_err(|error| at(settings, error))?;
            let start = model_or_built_in(start.as_deref())?;
            let (model, levels) = splink::imported(&start, &written).map_err(|error| at(settings, error))?;
            write(out, &model.to_json())?;
            eprintln!("{levels} levels taken over into model {}", model.version());
            Ok(Ended::Done)
        }
        ModelCommands::PrepareRecords { patients, out } => prepare_records(patients, out),
    }
}

fn model_or_built_in(path: Option<&Path>) -> Result<Model, CommandError> {
    match path {
        Some(path) => read_model(path),
        None => Ok(Model::clone(&built_in()?.model)),
    }
}

fn built_in() -> Result<Rules, CommandError> {
    Rules::built_in().map_err(|error| CommandError::Failed(error.to_string()))
}

fn write(path: &Path, text: &str) -> Result<Ended, CommandError> {
    if path.to_str() == Some("-") {
        say(text)?;
    } else {
        std::fs::write(path, text).map_err(|error| at(path, error))?;
    }
    Ok(Ended::Done)
}

fn prepare_records(patients: &Path, out: &Path) -> Result<Ended, CommandError> {
    let rules = built_in()?;
    let file = File::open(patients).map_err(|error| at(patients, error))?;
    let mut out: Box<dyn Write> = match out.to_str() {
        Some("-") => Box::new(std::io::stdout().lock()),
        _ => Box::new(BufWriter::new(File::create(out).map_err(|error| at(out, error))?)),
    };
    writeln!(out, "unique_id,{}", splink::COLUMNS.join(","))?;
    for (number, line) in (1..).zip(BufReader::new(file).split(b'\n')) {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let refuse = || at(patients, format_args!("line {number} is no Patient"));
        let patient = parse(&line, &Limits::DEFAULT).map_err(|_| refuse())?;
        let id = patient.text("id").ok_or_else(refuse)?.to_owned();
        let (patient, _) = name_text::complete(patient);
        let row = splink::prepared(&Record::from_patient(&patient, &rules.normaliser), &rules.model);
        let row: Vec<String> = std::iter::once(id).chain(row).map(|value| quoted(&value)).collect();
        writeln!(out, "{}", row.join(","))?;
    }
    out.flush()?;
    Ok(Ended::Done)
}

/// A value of CSV (RFC 4180).
fn quoted(value: &str) -> String {
    if value.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

/// The model in a file, over the name frequencies that are built in.
pub fn read_model(path: &Path) -> Result<Model, CommandError> {
    let text = String::from_utf8(read_file(path)?).map_err(|_| at(path, "not UTF-8"))?;
    let names = built_in_text("name-frequencies.json").unwrap_or_default();
    Model::parse(&text, names).map_err(|error| at(path, error))
}

/// Match weight in bits.
fn weight(likelihood: &Likelihood) -> f64 {
    (likelihood.same / likelihood.unrelated).log2()
}

fn levels() -> impl Iterator<Item = (Comparison, Level)> {
    Comparison::ALL.into_iter().flat_map(|comparison| comparison.levels().iter().map(move |level| (comparison, *level)))
}

fn show(model: &Model) -> Result<(), CommandError> {
    say(format_args!("model {}", model.version()))?;
    let (relatives, namesakes) = (model.relatives_per_person(), model.namesakes());
    say(format_args!(
        "relatives of a person: {} of the household, {} twins; namesakes sharing a middle name: {}, of one generation: {}",
        relatives.household, relatives.twin, namesakes.sharing_middle, namesakes.of_one_generation
    ))?;
    let header = ["comparison", "level", "m", "household", "twin", "u", "weight"];
    let [comparison, level, m, household, twin, u, bits] = header;
    say(format_args!("{comparison:<16}{level:<18}{m:>11}{household:>11}{twin:>11}{u:>11}{bits:>9}"))?;
    for (comparison, level) in levels() {
        let likelihood = model.likelihood(comparison, level);
        let [m, household, twin, u] = likelihood.all().map(number);
        let (comparison, level, bits) = (comparison.name(), level.name(), weight(likelihood));
        say(format_args!("{comparison:<16}{level:<18}{m:>11}{household:>11}{twin:>11}{u:>11}{bits:>9.2}"))?;
    }
    say("u of equal names is the frequency of the name; weights are log2(m/u), without what relatives share.")
}

fn number(probability: f64) -> String {
    if probability < 0.001 { format!("{probability:.2e}") } else { format!("{probability:.4}") }
}

/// Weights that differ by more than a hundredth of a bit.
fn diff(one: &Model, other: &Model) -> Result<Ended, CommandError> {
    const SAME_BITS: f64 = 0.01;
    say(format_args!("{} -> {}", one.version(), other.version()))?;
    let mut differing = 0;
    for (comparison, level) in levels() {
        let (a, b) = (one.likelihood(comparison, level), other.likelihood(comparison, level));
        let change = weight(b) - weight(a);
        let moved = a.all().into_iter().zip(b.all()).any(|(a, b)| (a / b).log2().abs() > SAME_BITS);
        if moved {
            differing += 1;
            let (comparison, level) = (comparison.name(), level.name());
            let (m, u) =
                ([a.same, b.same].map(number).join(" -> "), [a.unrelated, b.unrelated].map(number).join(" -> "));
            say(format_args!(
                "{comparison:<16}{level:<18} m {m:<24} u {u:<24} weight {:>7.2} -> {:>7.2} ({change:+.2})",
                weight(a),
                weight(b)
            ))?;
        }
    }
    say(format_args!("{differing} levels differ"))?;
    Ok(if differing == 0 { Ended::Done } else { Ended::ProblemsFound })
}
