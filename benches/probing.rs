//! What budgets do to an attacker, and what they do to an honest client: a made-up population, a clock that is an argument.
//!
//! `cargo bench --bench probing -- [people N] [targets N] [targets_free N] [requests N] [hours N] [directory DIR]`. The
//! attacker knows names, sex and birth date of each target, has the directory of all addresses and phones that are stored,
//! and guesses them together with the last four digits of the social security number; a request that is refused counts
//! among the thousand. The honest client sends the queries of `synth`, one a second. Everything goes through the use case
//! that the server calls. Not here: HTTP and timing (see `scripts/measure/probing`).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and must stop")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use idi_match::app::App;
use idi_match::app::auth::asserted::Asserted;
use idi_match::app::auth::granted::Granted;
use idi_match::app::clock::Clock;
use idi_match::app::context::{Caller, Context};
use idi_match::app::error::ErrorKind;
use idi_match::app::load::{Line, Position};
use idi_match::app::match_patient::{MatchOperation, MatchRequest};
use idi_match::app::rules::built_in_text;
use idi_match::assurance::entity::EntityType;
use idi_match::assurance::facts::Consent;
use idi_match::assurance::level::{AuthenticationLevel, IdentityLevel};
use idi_match::auth::access_token::{Grant, Holder};
use idi_match::auth::scope::Scopes;
use idi_match::config::{Config, Source, Sources};
use idi_match::synth::{Difficulty, Fields, Item, Plan, Tables, generate};

const SOURCE: &str = "urn:made-up";
const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;
const BEGIN_US: i64 = 1_780_000_000 * SECOND_US;
const LOAD_LINES: usize = 1000;
/// Share of targets that an attacker may get at default budgets.
const RETURNED_MAX: f64 = 0.01;

static NOW_US: AtomicI64 = AtomicI64::new(BEGIN_US);

fn now_us() -> i64 {
    NOW_US.load(Ordering::SeqCst)
}

fn wait(us: i64) {
    NOW_US.fetch_add(us, Ordering::SeqCst);
}

fn main() {
    let plan = Arguments::read();
    let people = People::make(&plan);
    println!(
        "{} people, {} households in the directory, {} targets, {} requests a target",
        plan.people,
        people.directory.len(),
        plan.targets,
        plan.requests
    );
    let mut worst: f64 = 0.0;
    for regime in [Regime::Business, Regime::Consumer] {
        for (attack, budgets) in Attack::ALL.into_iter().flat_map(|attack| [(attack, "false"), (attack, "true")]) {
            let app = people.app(&plan, budgets);
            let returned = attack.run(&app, &people, &plan, regime, budgets == "true");
            if budgets == "true" && attack.is_judged() {
                worst = worst.max(returned);
            }
        }
    }
    honest(&people, &plan, Patience::Thrice);
    let throttled = honest(&people, &plan, Patience::Once);
    println!("at default budgets an attacker gets {:.2} % of the targets at most, the target is 1 %", worst * 100.0);
    println!("at default budgets {throttled} requests of the honest client are throttled, the target is none");
    assert!(worst <= RETURNED_MAX && throttled == 0, "beyond the target");
}

struct Arguments {
    people: usize,
    targets: usize,
    /// Targets of an attacker whom nothing stops: all requests are matched.
    targets_free: usize,
    requests: usize,
    hours: usize,
    directory: PathBuf,
}

impl Arguments {
    fn read() -> Self {
        let directory = std::env::temp_dir().join(format!("idi-match-probing-{}", std::process::id()));
        let mut read = Self { people: 50_000, targets: 1000, targets_free: 100, requests: 1000, hours: 8, directory };
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
            let number = || value.parse().unwrap();
            match name.as_str() {
                "people" => read.people = number(),
                "targets" => read.targets = number(),
                "targets_free" => read.targets_free = number(),
                "requests" => read.requests = number(),
                "hours" => read.hours = number(),
                _ => read.directory = PathBuf::from(value),
            }
        }
        read
    }
}

/// Who is stored, who is asked for, and where everybody lives.
struct People {
    stored: Vec<(String, Fields)>,
    queries: Vec<Fields>,
    /// One record of each household, in the order of chance.
    directory: Vec<Fields>,
}

impl People {
    fn make(plan: &Arguments) -> Self {
        let tables = Tables::parse(built_in_text("name-frequencies.json").unwrap()).unwrap();
        let (difficulty, queries) = (Difficulty::Normal, plan.hours * 3600);
        let plan = Plan { people: plan.people, queries, seed: 1, difficulty, absent_share: 0.25, duplicate_rate: 0.2 };
        let (mut stored, mut queries) = (Vec::new(), Vec::new());
        let mut keep = |item| -> Result<(), Infallible> {
            match item {
                Item::Stored { record_id, fields, .. } => stored.push((record_id, fields)),
                Item::Query { fields, .. } => queries.push(fields),
            }
            Ok(())
        };
        generate(&plan, &tables, &mut keep).unwrap();
        let whole = stored.iter().filter(|(_, one)| !one.line.is_empty() && !one.zip.is_empty());
        let homes: BTreeMap<(String, String), Fields> =
            whole.map(|(_, one)| ((one.line.clone(), one.zip.clone()), one.clone())).collect();
        let mut directory: Vec<(u64, Fields)> =
            homes.into_values().enumerate().map(|(at, one)| (chance(at), one)).collect();
        directory.sort_by_key(|(chance, _)| *chance);
        Self { stored, queries, directory: directory.into_iter().map(|(_, one)| one).collect() }
    }

    /// A server of its own with these people, all of them verified. They are loaded once, and their database is copied.
    fn app(&self, plan: &Arguments, budgets: &str) -> App {
        let (loaded, copied) = (plan.directory.join("loaded.sqlite"), plan.directory.join("people.sqlite"));
        std::fs::create_dir_all(&plan.directory).unwrap();
        NOW_US.store(BEGIN_US, Ordering::SeqCst);
        if !loaded.exists() {
            self.load(&open(&loaded, "false"));
        }
        for suffix in ["", "-wal", "-shm"] {
            std::fs::remove_file(plan.directory.join(format!("people.sqlite{suffix}"))).ok();
        }
        std::fs::copy(&loaded, &copied).unwrap();
        open(&copied, budgets)
    }

    fn load(&self, app: &App) {
        let ctx = Context::new(Caller::Open, app.clock);
        for (at, chunk) in self.stored.chunks(LOAD_LINES).enumerate() {
            let line = |(number, (id, fields)): (usize, &(String, Fields))| Line {
                number: (at * LOAD_LINES + number + 1) as u64,
                text: fields.to_patient_json(id).into_bytes(),
            };
            let lines: Vec<Line> = chunk.iter().enumerate().map(line).collect();
            let batch = app.admit_lines(&lines, Some(SOURCE));
            app.load_batch(&ctx, batch, Position::start("made-up".to_owned())).unwrap();
        }
    }
}

fn open(database: &Path, budgets: &str) -> App {
    let url = format!("sqlite:{}", database.display());
    let flags = [("server.database_url", url.as_str()), ("budgets.enabled", budgets)];
    let flags = flags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let mut config = Config::load(&Sources { flags, ..Sources::default() }).unwrap();
    let level = "IDIAL2".to_owned();
    config.sources.push(Source { uri: SOURCE.to_owned(), level, date: "2026-01-01".to_owned() });
    App::open(config, Clock { now_us, ..Clock::system() }, |_| ()).unwrap()
}

/// Chance that is the same every time (SplitMix64).
fn chance(at: usize) -> u64 {
    let mut z = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Under which workflow of the policy somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Regime {
    Business,
    Consumer,
}

impl Regime {
    const fn name(self) -> &'static str {
        match self {
            Self::Business => "business to business",
            Self::Consumer => "Consumer Match",
        }
    }

    /// A client, whose token asserts of its user whatever it asks for.
    fn caller(self, app: &App, client: usize, asked: &Value) -> Caller {
        let text = |text: &str| text.to_owned();
        let digests = |names: &[&str]| names.iter().map(|name| (text(name), text("digest"))).collect();
        let grant = Grant {
            client_id: format!("client-{client}"),
            community: Some(text("exchange")),
            organization_id: Some(format!("https://organization-{client}.example")),
            entity_type: Some(EntityType::CoveredEntity),
            purposes: vec![text("TREAT")],
            scopes: Scopes::parse("system/Patient.rs").unwrap(),
            identity_level: IdentityLevel::Idial2,
            authentication_level: AuthenticationLevel::Aal2,
            extensions: digests(&["hl7-b2b"]),
            token_id: text("token"),
            expires_us: i64::MAX,
            subject: None,
            patient: None,
            holder: Holder::Client,
        };
        let (grant, asserted) = match self {
            Self::Business => (grant, Asserted::default()),
            Self::Consumer => {
                let purposes = vec![text("PATRQT")];
                let grant = Grant { purposes, extensions: digests(&["hl7-b2b", "hl7-b2b-user"]), ..grant };
                let mut person = asked.clone();
                person["resourceType"] = json!("Person");
                person.as_object_mut().unwrap().remove("meta");
                (grant, Asserted { consent: Consent::Recorded, users: vec![person], ..Asserted::default() })
            }
        };
        Caller::Client(Arc::new(Granted::new(grant, asserted, Arc::clone(&app.rules.assurance))))
    }

    fn claim(self, patient: &str) -> String {
        match self {
            Self::Business => patient.to_owned(),
            Self::Consumer => patient.replace("IDI-Patient-L0", "IDI-Patient-L1"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Somebody(bool),
    Nobody,
    /// For so many seconds.
    Throttled(i64),
    Refused,
}

/// One request; `of` is the record that would be a hit.
fn ask(app: &App, regime: Regime, client: usize, patient: &str, of: &str) -> Told {
    let patient = regime.claim(patient);
    let asked: Value = serde_json::from_str(&patient).unwrap();
    let ctx = Context::new(regime.caller(app, client, &asked), app.clock);
    let body = format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"IDIPatient","resource":{patient}}}]}}"#);
    let request = MatchRequest { operation: MatchOperation::IdiMatch, body: body.as_bytes(), self_link: String::new() };
    match app.match_patient(&ctx, &request) {
        Ok(found) if found.answer.0.patients.is_empty() => Told::Nobody,
        Ok(found) => Told::Somebody(found.answer.0.patients.iter().any(|patient| patient.record_id == of)),
        Err(error) if error.kind == ErrorKind::Throttled => {
            Told::Throttled(error.rate.map_or(1, |rate| rate.retry_after_s()))
        }
        Err(_) => Told::Refused,
    }
}

/// How somebody guesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attack {
    /// One address, phone and SSN4 a request, as fast as the client's budget lets him.
    Fast,
    /// The same over thirty days.
    Patient,
    /// The same with three clients of three organisations.
    Colluding,
    /// As many values as a request may have.
    Stuffed,
    /// The names misspelt in another way each time, within what still agrees.
    Misspelling,
    /// The area is known: the directory is that of the target's zip code.
    Neighbour,
}

impl Attack {
    const ALL: [Self; 6] =
        [Self::Fast, Self::Patient, Self::Colluding, Self::Stuffed, Self::Misspelling, Self::Neighbour];

    const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Patient => "over thirty days",
            Self::Colluding => "three clients, thirty days",
            Self::Stuffed => "many values a request, thirty days",
            Self::Misspelling => "names misspelt, thirty days",
            Self::Neighbour => "zip code known, thirty days",
        }
    }

    /// Whether the attacker keeps to what the target is about: names and birth date are known and stay as they are.
    const fn is_judged(self) -> bool {
        !matches!(self, Self::Neighbour | Self::Misspelling)
    }

    /// Sends guess after guess about each target in turn; the share of targets that were returned.
    fn run(self, app: &App, people: &People, plan: &Arguments, regime: Regime, is_metered: bool) -> f64 {
        let began = Instant::now();
        let count = if is_metered { plan.targets } else { plan.targets_free };
        let known = |one: &&(String, Fields)| {
            !one.1.birth_date.is_empty() && !one.1.given.is_empty() && !one.1.family.is_empty()
        };
        let originals = people.stored.iter().filter(|(id, _)| !id.contains('d')).filter(known);
        let step = (plan.people / count).max(1);
        let targets: Vec<&(String, Fields)> = originals.step_by(step).take(count).collect();
        let pause_us = match self {
            Self::Fast => 0,
            _ => 30 * DAY_US / plan.requests as i64,
        };
        let (mut returned, mut answered, mut wrong) = (vec![false; targets.len()], 0_usize, 0_usize);
        // What is sent before a budget comes back is refused: it counts, and need not be sent to know it.
        let mut refused_until_us = vec![[0_i64; 3]; targets.len()];
        for number in 0..plan.requests {
            for (at, (id, target)) in targets.iter().enumerate() {
                if returned[at] {
                    continue;
                }
                wait(SECOND_US / 20);
                let client = if self == Self::Colluding { number % 3 } else { 0 };
                if now_us() < refused_until_us[at][client] && self != Self::Misspelling {
                    continue;
                }
                match ask(app, regime, client, &self.guess(people, target, number), id) {
                    Told::Somebody(is_target) => {
                        returned[at] = is_target;
                        wrong += usize::from(!is_target);
                        answered += 1;
                    }
                    Told::Nobody => answered += 1,
                    Told::Throttled(seconds) => {
                        refused_until_us[at][client] = now_us() + seconds * SECOND_US - SECOND_US;
                    }
                    Told::Refused => {}
                }
            }
            wait(pause_us);
        }
        let hits = returned.iter().filter(|hit| **hit).count();
        let share = hits as f64 / targets.len() as f64;
        println!(
            "{}, {}, budgets {}: {hits} of {} targets returned ({:.2} %), {answered} guesses answered, {wrong} with \
             somebody else; {:.0} s",
            regime.name(),
            self.name(),
            if is_metered { "on" } else { "off" },
            targets.len(),
            share * 100.0,
            began.elapsed().as_secs_f64()
        );
        share
    }

    fn guess(self, people: &People, target: &Fields, number: usize) -> String {
        let neighbours: Vec<&Fields>;
        let listed = |at: usize| &people.directory[at % people.directory.len()];
        let home = if self == Self::Neighbour {
            neighbours = people.directory.iter().filter(|one| one.zip == target.zip).collect();
            *neighbours.get(number % neighbours.len().max(1)).unwrap_or(&listed(number))
        } else {
            listed(number)
        };
        let mut guessed = Fields {
            family: target.family.clone(),
            given: target.given.clone(),
            sex: target.sex.clone(),
            birth_date: target.birth_date.clone(),
            ssn4: format!("{:04}", number % 10_000),
            ..at_home(home)
        };
        if self == Self::Misspelling {
            guessed.family = misspelt(&target.family, number);
            guessed.given = misspelt(&target.given, number / 26);
        }
        let patient = guessed.to_request_patient_json("q");
        if self == Self::Stuffed { stuffed(&patient, &listed, number) } else { patient }
    }
}

fn at_home(home: &Fields) -> Fields {
    Fields {
        line: home.line.clone(),
        city: home.city.clone(),
        state: home.state.clone(),
        zip: home.zip.clone(),
        phone: home.phone.clone(),
        ..Fields::default()
    }
}

/// A name of five letters or more with one of them replaced: it still agrees (IG Patient Matching, scoring table).
fn misspelt(name: &str, number: usize) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    if letters.len() >= 5 {
        let at = (chance(number) % letters.len() as u64) as usize;
        letters[at] = char::from(b'a' + (number % 26) as u8);
    }
    letters.into_iter().collect()
}

/// Eight addresses and phones, and as many SSN4 as identifiers are read.
fn stuffed<'d>(patient: &str, listed: &impl Fn(usize) -> &'d Fields, number: usize) -> String {
    let mut patient: Value = serde_json::from_str(patient).unwrap();
    let homes: Vec<Value> = (0..8)
        .map(|at| serde_json::from_str(&at_home(listed(number * 8 + at)).to_request_patient_json("q")).unwrap())
        .collect();
    patient["address"] = homes.iter().map(|home: &Value| home["address"][0].clone()).collect();
    patient["telecom"] =
        homes.iter().filter(|home| home["telecom"].is_array()).map(|home| home["telecom"][0].clone()).collect();
    let four = patient["identifier"][0].clone();
    let fours = (0..24).map(|at| {
        let mut one = four.clone();
        one["value"] = json!(format!("{:04}", (number * 24 + at) % 10_000));
        one
    });
    patient["identifier"] = fours.collect();
    patient.to_string()
}

/// Whether the honest client asks again where nobody was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Once,
    Thrice,
}

/// One query a second for hours; how many were throttled.
fn honest(people: &People, plan: &Arguments, patience: Patience) -> usize {
    let app = people.app(plan, "true");
    let (mut told, mut throttled) = ([0_usize; 3], 0);
    for query in &people.queries {
        let patient = query.to_request_patient_json("q");
        for _ in 0..if patience == Patience::Thrice { 3 } else { 1 } {
            wait(SECOND_US);
            match ask(&app, Regime::Business, 0, &patient, "") {
                Told::Somebody(_) => {
                    told[0] += 1;
                    break;
                }
                Told::Nobody => told[1] += 1,
                Told::Throttled(_) => throttled += 1,
                Told::Refused => {
                    told[2] += 1;
                    break;
                }
            }
        }
    }
    let again = if patience == Patience::Thrice { ", asked thrice where nobody is found" } else { "" };
    let [found, nobody, refused] = told;
    println!(
        "honest client, {} queries{again}: {found} found somebody, {nobody} nobody, {refused} refused for their weight, \
         {throttled} throttled",
        people.queries.len()
    );
    throttled
}
