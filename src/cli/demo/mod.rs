//! `idi-match demo`: a made-up population on a throw-away database, served on loopback, and requests to paste.
//!
//! The gate is shut as it is anywhere else: the demo makes a test community and prints how its members come in (`exchange`).
//! `--open` leaves it open. Not here: the population (see `synth`), serving (see `serve`).

mod configuration;
mod exchange;
mod test_pki;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::app::App;
use crate::app::clock::Clock;
use crate::app::context::{Caller, Context};
use crate::app::load::{Line, Position};
use crate::app::rules::built_in_text;
use crate::observe;
use crate::synth::{Difficulty, Item, Plan, QueryKind, Tables, generate};

use super::arguments::DemoArgs;
use super::{CommandError, Ended, Environment, progress, serve};
use test_pki::TestPki;

/// Queries made to choose the printed one from.
const QUERIES: usize = 50;
/// Lines loaded in one transaction.
const BATCH_LINES: usize = 500;

pub fn run(args: &DemoArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let place = Place::new(args.data.as_deref())?;
    let listener = serve::listen(configuration::address(args))?;
    let address = listener.local_addr()?;
    let pki = if args.open { None } else { Some(test_pki(&place, &configuration::base_url(address))?) };
    let gate = pki.as_ref().map(|pki| pki.file("idi-match.toml"));
    let config = configuration::load(environment, &place.directory, address, gate.as_deref())?;
    observe::logs::start(&config.log, None).map_err(CommandError::Usage)?;
    serve::check_open(&config)?;
    let tables =
        Tables::parse(built_in_text("name-frequencies.json").unwrap_or_default()).map_err(CommandError::Failed)?;
    let (people, patients) = population(args, &tables);
    let key = format!("demo|{}|{}", args.people, args.seed);
    let ready = |app: &App| match &pki {
        Some(pki) => exchange::print_gated(app, pki, &patients),
        None => exchange::print_open(app, &patients),
    };
    serve::serve(config, listener, |app| load(app, &key, &people), ready)
}

/// Makes the test community of a gated demo, and its configuration.
fn test_pki(place: &Place, base_url: &str) -> Result<TestPki, CommandError> {
    let now_us = (Clock::system().now_us)();
    let directory = std::path::absolute(place.directory.join("test-pki"))?;
    let pki = TestPki::create(directory, base_url, now_us)?;
    // What a database holds stays sealed with the key that it was begun with.
    if !place.directory.join(configuration::DATABASE).exists() {
        pki.write(configuration::SEALING_KEYS, format!("{}\n", STANDARD.encode((Clock::system().secret)())))?;
    }
    pki.write("idi-match.toml", configuration::text(&pki, now_us))?;
    Ok(pki)
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
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
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
        app.load_batch(
            &Context::new(Caller::Open, app.clock),
            app.admit_lines(batch, Some(configuration::SOURCE)),
            position,
        )?;
        bar.set_position(end);
    }
    bar.finish_and_clear();
    Ok(())
}
