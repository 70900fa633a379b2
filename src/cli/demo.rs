//! `idi-match demo`: a made-up population on a throw-away database, served on loopback, and a request to paste.
//!
//! Not here: the population (see `synth`), serving (see `serve`).

use std::path::{Path, PathBuf};

use crate::app::App;
use crate::app::context::{Caller, Context};
use crate::app::load::{Line, Position};
use crate::app::match_patient::{MatchOperation, MatchRequest};
use crate::app::rules::built_in_text;
use crate::config::{Config, Sources};
use crate::observe;
use crate::synth::{Difficulty, Item, Plan, QueryKind, Tables, generate};

use super::arguments::DemoArgs;
use super::{CommandError, Ended, Environment, progress, say, serve};

/// Queries made to choose the printed one from.
const QUERIES: usize = 50;
/// Lines loaded in one transaction.
const BATCH_LINES: usize = 500;
/// The probability that the printed request finds somebody is high; this is how often it is tried.
const MATCH_TRIES_MAX: usize = 50;

pub fn run(args: &DemoArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let place = Place::new(args.data.as_deref())?;
    let config = config(args, environment, &place)?;
    observe::logs::start(&config.log).map_err(CommandError::Usage)?;
    serve::check_open(&config)?;
    let tables =
        Tables::parse(built_in_text("name-frequencies.json").unwrap_or_default()).map_err(CommandError::Failed)?;
    let (people, requests) = population(args, &tables);
    let key = format!("demo|{}|{}", args.people, args.seed);
    serve::serve(config, |app| load(app, &key, &people), |app| print_request(app, &requests))
}

/// Where the demo's database is; a throw-away directory is removed in the end.
struct Place {
    directory: PathBuf,
    is_throw_away: bool,
}

impl Place {
    fn new(data: Option<&Path>) -> Result<Self, CommandError> {
        let throw_away = || std::env::temp_dir().join(format!("idi-match-demo-{}", std::process::id()));
        let directory = data.map_or_else(throw_away, Path::to_path_buf);
        std::fs::create_dir_all(&directory)?;
        Ok(Self { directory, is_throw_away: data.is_none() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_throw_away && std::fs::remove_dir_all(&self.directory).is_err() {
            eprintln!("{} could not be removed", self.directory.display());
        }
    }
}

fn config(args: &DemoArgs, environment: &Environment, place: &Place) -> Result<Config, CommandError> {
    let database = format!("sqlite:{}", place.directory.join("idi-match.sqlite").display());
    let listen = format!("127.0.0.1:{}", args.port);
    let flags = [
        ("server.listen", listen.as_str()),
        ("server.database_url", &database),
        ("server.open", "true"),
        ("organization.name", "idi-match demo"),
        ("log.filter", "warn"),
    ];
    let flags = flags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Ok(Config::load(&Sources { file: None, environment: environment.variables.clone(), flags })?)
}

/// The people as lines to load, and Patients that ask for some of them.
fn population(args: &DemoArgs, tables: &Tables) -> (Vec<Line>, Vec<String>) {
    let people = usize::try_from(args.people).unwrap_or(usize::MAX);
    let plan = Plan {
        people,
        queries: QUERIES.min(people),
        seed: args.seed,
        difficulty: Difficulty::Easy,
        absent_share: 0.0,
        duplicate_rate: 0.0,
    };
    let (mut lines, mut requests) = (Vec::with_capacity(people), Vec::new());
    let mut sink = |item| -> Result<(), std::convert::Infallible> {
        match item {
            Item::Stored { record_id, fields, .. } => {
                let text = fields.to_patient_json(&record_id).into_bytes();
                lines.push(Line { number: lines.len() as u64 + 1, text });
            }
            Item::Query { query_id, kind: QueryKind::Match, fields, .. } if fields.request_weight() >= 9 => {
                requests.push(fields.to_request_patient_json(&query_id));
            }
            Item::Query { .. } => {}
        }
        Ok(())
    };
    let Ok(()) = generate(&plan, tables, &mut sink);
    (lines, requests)
}

/// Loads what an earlier demo in the same directory has not loaded.
fn load(app: &App, key: &str, lines: &[Line]) -> Result<(), CommandError> {
    let done = app.find_load_position(key)?.map_or(0, |position| position.lines);
    let bar = progress::spinner("people");
    for (number, batch) in lines.chunks(BATCH_LINES).enumerate() {
        let end = (number * BATCH_LINES + batch.len()) as u64;
        if end <= done {
            continue;
        }
        let position = Position { lines: end, loaded: end, ..Position::start(key.to_owned()) };
        app.load_batch(&Context::new(Caller::Open, app.clock), app.admit_lines(batch, None), position)?;
        bar.set_position(end);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Prints a command that finds somebody: it was tried before it is printed.
fn print_request(app: &App, requests: &[String]) -> Result<(), CommandError> {
    let finds = |request: &&String| {
        let ctx = Context::new(Caller::Open, app.clock);
        let asked =
            MatchRequest { operation: MatchOperation::IdiMatch, body: request.as_bytes(), self_link: String::new() };
        app.match_patient(&ctx, &asked)
            .is_ok_and(|(answer, _)| answer.patients.iter().any(|patient| patient.score >= 0.8))
    };
    let found = requests.iter().take(MATCH_TRIES_MAX).map(|patient| wrap(patient)).find(|request| finds(&request));
    let request = found.ok_or_else(|| CommandError::Failed("the demo's own request finds nobody".to_owned()))?;
    let url = format!("{}/Patient/$idi-match", app.config.server.base_url);
    let quoted = request.replace('\'', r"'\''");
    say(format_args!("{} people are stored. Paste this to find one of them:", app.indexed_records()))?;
    say(format_args!("\ncurl -s '{url}' -H 'Content-Type: application/fhir+json' -d '{quoted}'\n"))?;
    say("Stop with Ctrl-C.")
}

fn wrap(patient: &str) -> String {
    format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"IDIPatient","resource":{patient}}}]}}"#)
}
