//! Random operations on records and identities against the laws that must hold whatever happens.
//!
//! Laws: every record is in exactly one identity and no identity is without records; records that stewards linked are
//! together, those that they separated are apart; a merge that is taken back leaves everything as it was; a decision is
//! refused when, and only when, others stand against it; what was assigned record by record is what the partition of
//! everything gives. `MODEL_OPERATIONS`, `MODEL_SEED`, `MODEL_INSTANCES` and `MODEL_DATABASE=postgres` change the run
//! (`make measure-model`). Not here: whom the matcher joins (see `identity`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "this binary is a test, and told by its environment how long to run"
)]

use std::collections::{BTreeMap, BTreeSet};

use idi_match::app::App;
use idi_match::app::clock::Clock;
use idi_match::app::context::{Caller, Context};
use idi_match::app::error::{AppError, ErrorKind};
use idi_match::app::golden;
use idi_match::app::load::{Line, Position};
use idi_match::app::rules::built_in_text;
use idi_match::app::steward::{Asked, Verdict};
use idi_match::app::update::{Address, Condition};
use idi_match::config::{Config, Sources};
use idi_match::store::record::{self, RecordRow};
use idi_match::store::{DatabaseUrl, Store, StoreOptions, identity, resource, review};

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/postgres.rs"]
mod postgres;

const RECORDS: usize = 70;
const PEOPLE: usize = 36;

#[test]
fn identities_keep_their_laws_whatever_happens() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let operations = number("MODEL_OPERATIONS", 20_000);
    let mut world = World::new(number("MODEL_SEED", 1), number("MODEL_INSTANCES", 1));
    for done in 0..operations {
        world.step();
        world.check();
        if done % 500 == 499 {
            world.check_partition();
        }
        if done % 10_000 == 9_999 {
            println!("{} operations: {:?}", done + 1, world.counts);
        }
    }
    world.check_partition();
    println!("{operations} operations: {:?}", world.counts);
    for needed in ["merge", "unmerge", "link", "unlink", "split", "review", "revoke", "refused", "restart", "rescored"]
    {
        assert!(operations < 5_000 || world.counts.contains_key(needed), "{needed} never happened");
    }
}

/// Where a record is, and what has replaced it.
type State = BTreeMap<String, (String, Option<String>)>;

/// A decision in force: groups that are together, and pairs of records that are apart.
struct Ruling {
    id: String,
    together: Vec<BTreeSet<String>>,
    apart: Vec<(String, String)>,
    /// The record that was merged away.
    source: Option<String>,
}

struct World {
    apps: Vec<App>,
    store: Store,
    url: String,
    model: usize,
    random: u64,
    state: State,
    rulings: Vec<Ruling>,
    counts: BTreeMap<&'static str, u64>,
    _folder: tempfile::TempDir,
    _database: Option<postgres::TestDatabase>,
}

/// The shipped model, and one that joins more.
fn models() -> [Option<String>; 2] {
    let shipped = built_in_text("match-model.json").unwrap();
    let bolder = shipped.replacen(r#""version": "1""#, r#""version": "bolder""#, 1);
    let bolder = bolder.replacen(r#""join": 0.99"#, r#""join": 0.9"#, 1);
    assert_ne!(shipped, bolder);
    [None, Some(bolder)]
}

fn open(url: &str, model: usize) -> App {
    let flags = [
        ("server.database_url", url),
        ("server.open", "true"),
        ("server.base_url", "http://127.0.0.1/fhir"),
        ("organization.name", "Example Health"),
        ("organization.phone", "+1-555-0100"),
    ];
    let flags = flags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let config = Config::load(&Sources { flags, ..Sources::default() }).unwrap();
    App::open_with(config, Clock::system(), models()[model].as_deref(), |_| ()).unwrap()
}

impl World {
    fn new(seed: u64, instances: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let on_postgres = std::env::var("MODEL_DATABASE").is_ok_and(|name| name == "postgres");
        let database = on_postgres.then(postgres::TestDatabase::create);
        let sqlite = format!("sqlite:{}", folder.path().join("people.db").display());
        let url = database.as_ref().map_or(sqlite, postgres::TestDatabase::url);
        let apps: Vec<App> = (0..instances).map(|_| open(&url, 0)).collect();
        let store = Store::open(&DatabaseUrl::parse(&url).unwrap(), &StoreOptions::default()).unwrap();
        let (state, rulings, counts) = (State::new(), Vec::new(), BTreeMap::new());
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self { apps, store, url, model: 0, random, state, rulings, counts, _folder: folder, _database: database }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as usize % limit.max(1)
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn app(&mut self) -> &App {
        let at = self.below(self.apps.len());
        &self.apps[at]
    }

    fn any_record(&mut self) -> Option<String> {
        let at = self.below(self.state.len());
        self.state.keys().nth(at).cloned()
    }

    /// Reads where every record is.
    fn read(&self) -> State {
        let mut state = State::new();
        let mut after: Option<String> = None;
        let conn = &mut self.store.connection().unwrap();
        loop {
            let rows: Vec<RecordRow> = record::list_page(conn, after.as_deref(), 500).unwrap();
            let Some(last) = rows.last() else { return state };
            after = Some(last.id.clone());
            state.extend(rows.into_iter().map(|row| (row.id, (row.identity_id, row.replaced_by))));
        }
    }

    fn step(&mut self) {
        match self.below(100) {
            0..=39 => self.put(),
            40..=49 => self.delete(),
            50..=54 => self.load(),
            55..=60 => self.merge(),
            61..=65 => self.link(),
            66..=71 => self.unlink(),
            72..=76 => self.split(),
            77..=83 => self.answer(),
            84..=98 => self.revoke(),
            _ => match self.below(40) {
                0 => self.rescore(),
                1..=3 => self.restart(),
                _ => self.load(),
            },
        }
        self.state = self.read();
    }

    fn put(&mut self) {
        let id = format!("r{:02}", self.below(RECORDS));
        let body = self.patient(&id);
        let condition = Condition::default();
        self.app().update(&ctx(), "Patient", Address::Id(&id), condition, body.as_bytes()).unwrap();
        self.count("put");
    }

    fn delete(&mut self) {
        let Some(id) = self.any_record() else { return };
        self.app().delete(&ctx(), "Patient", Address::Id(&id), Condition::default()).unwrap();
        self.count("delete");
    }

    /// Several records in one transaction, some of them twice.
    fn load(&mut self) {
        let lines: Vec<Line> = (1..=2 + self.below(6) as u64)
            .map(|number| {
                let id = format!("r{:02}", self.below(RECORDS));
                Line { number, text: self.patient(&id).into_bytes() }
            })
            .collect();
        let app = self.app();
        let batch = app.admit_lines(&lines, None);
        assert_eq!(batch.rejects.len(), 0);
        app.load_batch(&ctx(), batch, Position::start("model".to_owned())).unwrap();
        self.count("load");
    }

    /// What is shown of every record and identity: the documents with their links, and the golden records.
    fn shown(&self) -> BTreeMap<String, serde_json::Value> {
        let conn = &mut self.store.connection().unwrap();
        let ids: Vec<&str> = self.state.keys().map(String::as_str).collect();
        let rows: Vec<RecordRow> = record::find_many(conn, &ids).unwrap();
        let mut shown = BTreeMap::new();
        for id in ids {
            let stored = resource::find(conn, "Patient", id).unwrap().unwrap();
            let mut document: serde_json::Value = serde_json::from_str(&stored.body).unwrap();
            // Versions and times go on.
            document.as_object_mut().unwrap().remove("meta");
            shown.insert(id.to_owned(), document);
        }
        for identity in self.state.values().map(|(identity, _)| identity).collect::<BTreeSet<&String>>() {
            let rows: Vec<&RecordRow> = rows.iter().filter(|row| row.identity_id == *identity).collect();
            let golden = golden::make(conn, &rows, i64::MAX, |_, _| true).unwrap().unwrap();
            shown.insert(golden.id(), serde_json::from_str(&golden.record.to_patient(&golden.id())).unwrap());
        }
        shown
    }

    fn merge(&mut self) {
        let (Some(source), Some(target)) = (self.any_record(), self.any_record()) else { return };
        let (before, shown) = (self.state.clone(), self.shown());
        let is_replaced = |id: &String| before[id].1.is_some();
        let stands = source == target || is_replaced(&source) || is_replaced(&target);
        let group = self.identities_of(&[&source, &target]);
        let asked = Asked::Merge { source: source.clone(), target: target.clone() };
        let ruling =
            Ruling { id: String::new(), together: vec![group], apart: Vec::new(), source: Some(source.clone()) };
        if !self.rule("merge", &asked, ruling, stands) {
            return;
        }
        self.state = self.read();
        assert_eq!(self.state[&source].0, before[&target].0, "the target's identity survives");
        assert_eq!(self.state[&source].1.as_deref(), Some(target.as_str()));
        if self.below(2) == 0 {
            self.app().unmerge(&ctx(), &source, "not one person after all").unwrap();
            self.rulings.pop();
            self.count("unmerge");
            self.state = self.read();
            assert_eq!(self.state, before, "as if the merge had never been");
            assert_eq!(self.shown(), shown, "links and golden records too");
        }
    }

    fn link(&mut self) {
        let (Some(a), Some(b)) = (self.any_record(), self.any_record()) else { return };
        let group = self.identities_of(&[&a, &b]);
        let ruling = Ruling { id: String::new(), together: vec![group], apart: Vec::new(), source: None };
        let stands = a == b;
        self.rule("link", &Asked::Link { a, b }, ruling, stands);
    }

    fn unlink(&mut self) {
        let Some(a) = self.any_record() else { return };
        // Mostly one of its own identity: others are apart anyway.
        let own: Vec<String> = self.identities_of(&[&a]).into_iter().collect();
        let b = if self.below(4) > 0 { own[self.below(own.len())].clone() } else { self.any_record().unwrap() };
        let (apart, stands) = (vec![(a.clone(), b.clone())], a == b);
        let ruling = Ruling { id: String::new(), together: Vec::new(), apart, source: None };
        self.rule("unlink", &Asked::Unlink { a, b }, ruling, stands);
    }

    fn split(&mut self) {
        let Some(a) = self.any_record() else { return };
        let members: Vec<String> = self.identities_of(&[&a]).into_iter().collect();
        let identity = self.state[&a].0.clone();
        let (mut group, mut rest) = (BTreeSet::from([a.clone()]), BTreeSet::new());
        for member in members.into_iter().filter(|member| *member != a) {
            if self.below(2) == 0 {
                group.insert(member)
            } else {
                rest.insert(member)
            };
        }
        if rest.is_empty() {
            return;
        }
        let groups = vec![group.iter().cloned().collect()];
        let apart = group.iter().flat_map(|a| rest.iter().map(|b| (a.clone(), b.clone()))).collect();
        let ruling = Ruling { id: String::new(), together: vec![group.clone(), rest.clone()], apart, source: None };
        if self.rule("split", &Asked::Split { identity: identity.clone(), groups }, ruling, false) {
            let state = self.read();
            for part in [&group, &rest] {
                let ids: BTreeSet<&String> = part.iter().map(|id| &state[id].0).collect();
                assert_eq!(ids.len(), 1, "a group is one identity");
            }
        }
    }

    fn answer(&mut self) {
        let waiting = review::list(&mut self.store.connection().unwrap(), None, 50).unwrap();
        if waiting.is_empty() {
            return;
        }
        let at = self.below(waiting.len());
        let (record, identity) = (waiting[at].record_id.clone(), waiting[at].identity_id.clone());
        let members: BTreeSet<String> =
            self.state.iter().filter(|(_, (of, _))| *of == identity).map(|(id, _)| id.clone()).collect();
        let verdict = [Verdict::Same, Verdict::Different, Verdict::Different, Verdict::Defer][self.below(4)];
        let others: Vec<&String> = members.iter().filter(|member| **member != record).collect();
        let mut ruling = Ruling { id: String::new(), together: Vec::new(), apart: Vec::new(), source: None };
        match verdict {
            Verdict::Same => ruling.together.push(self.identities_of(&[&record, others[0]])),
            Verdict::Different => ruling.apart = others.iter().map(|b| (record.clone(), (*b).clone())).collect(),
            Verdict::Defer => {}
        }
        self.rule("review", &Asked::Review { record, identity, verdict }, ruling, false);
    }

    fn revoke(&mut self) {
        if self.rulings.is_empty() {
            return;
        }
        let at = self.below(self.rulings.len());
        let ruling = self.rulings.remove(at);
        self.app().revoke(&ctx(), &ruling.id, "decided too soon").unwrap();
        self.count("revoke");
        let again = self.app().revoke(&ctx(), &ruling.id, "twice").unwrap_err();
        assert_eq!(again.kind, ErrorKind::Conflict);
        if let Some(source) = ruling.source.filter(|source| self.state.contains_key(source)) {
            assert_eq!(self.read()[&source].1, None, "replaced no more");
        }
    }

    fn restart(&mut self) {
        let at = self.below(self.apps.len());
        self.apps[at].stop();
        self.apps[at] = open(&self.url, self.model);
        self.count("restart");
    }

    fn rescore(&mut self) {
        self.model = 1 - self.model;
        self.apps.iter().for_each(App::stop);
        for at in 0..self.apps.len() {
            self.apps[at] = open(&self.url, self.model);
        }
        let proposed = self.apps[0].propose_partition(&ctx(), |_| ()).unwrap();
        self.apps[0].apply_partition(&ctx(), &proposed, |_| ()).unwrap();
        self.count("rescored");
    }

    /// Makes a decision; whether it was made. `stands` says that something other than constraints is against it.
    fn rule(&mut self, what: &'static str, asked: &Asked, ruling: Ruling, stands: bool) -> bool {
        let stands = stands || !self.can_hold(&ruling);
        match self.app().decide(&ctx(), asked.clone(), "as the papers say") {
            Ok(decided) => {
                assert!(!stands, "{asked:?} should have been refused");
                self.count(what);
                self.rulings.push(Ruling { id: decided.decision_id, ..ruling });
                true
            }
            Err(AppError { kind: ErrorKind::Conflict | ErrorKind::Unprocessable, .. }) => {
                assert!(stands, "{asked:?} was refused without a reason");
                self.count("refused");
                false
            }
            Err(error) => panic!("{asked:?}: {error:?}"),
        }
    }

    /// The records that share an identity with one of `ids`.
    fn identities_of(&self, ids: &[&String]) -> BTreeSet<String> {
        let identities: BTreeSet<&String> = ids.iter().map(|id| &self.state[*id].0).collect();
        self.state.iter().filter(|(_, (of, _))| identities.contains(of)).map(|(id, _)| id.clone()).collect()
    }

    /// Everything that must be together, transitively.
    fn linked<'r>(rulings: impl Iterator<Item = &'r Ruling>) -> Vec<BTreeSet<String>> {
        let mut groups: Vec<BTreeSet<String>> = Vec::new();
        for group in rulings.flat_map(|ruling| &ruling.together) {
            let (met, apart): (Vec<_>, Vec<_>) = groups.into_iter().partition(|other| !other.is_disjoint(group));
            groups = apart;
            groups.push(met.into_iter().flatten().chain(group.iter().cloned()).collect());
        }
        groups
    }

    fn can_hold(&self, added: &Ruling) -> bool {
        let groups = Self::linked(self.rulings.iter().chain([added]));
        let mut apart = self.rulings.iter().chain([added]).flat_map(|ruling| &ruling.apart);
        apart.all(|(a, b)| a != b && !groups.iter().any(|group| group.contains(a) && group.contains(b)))
    }

    fn check(&mut self) {
        let state = &self.state;
        for group in Self::linked(self.rulings.iter()) {
            let identities: BTreeSet<&String> = group.iter().filter_map(|id| state.get(id)).map(|(of, _)| of).collect();
            assert!(identities.len() <= 1, "must-link of {group:?}");
        }
        for (a, b) in self.rulings.iter().flat_map(|ruling| &ruling.apart) {
            if let (Some(a), Some(b)) = (state.get(a), state.get(b)) {
                assert_ne!(a.0, b.0, "cannot-link");
            }
        }
        let used: BTreeSet<&String> = state.values().map(|(of, _)| of).collect();
        let conn = &mut self.store.connection().unwrap();
        assert_eq!(identity::count(conn), Ok(used.len() as i64), "an identity without records");
    }

    /// What was assigned record by record is the partition of everything.
    fn check_partition(&mut self) {
        let app = self.app();
        // Another instance may have written last.
        app.delete(&ctx(), "Patient", Address::Id("none"), Condition::default()).unwrap();
        let proposed = app.propose_partition(&ctx(), |_| ()).unwrap();
        assert_eq!(proposed.differences, Vec::new());
    }

    /// A person as some source may write them: families share surname, home and phone; every third pair are twins.
    fn patient(&mut self, id: &str) -> String {
        const GIVEN: [&str; 12] = [
            "Robert",
            "Marzanna",
            "Zoltan",
            "Quentin",
            "Ludmila",
            "Ignatius",
            "Philippa",
            "Bartholomew",
            "Guinevere",
            "Thaddeus",
            "Rosalind",
            "Cornelius",
        ];
        let person = self.below(PEOPLE);
        let family = person / 2;
        let (mut given, surname) = (GIVEN[person % 12].to_owned(), format!("Oduya{}", (b'a' + family as u8) as char));
        let is_twin = family.is_multiple_of(3);
        let year = if is_twin { 1980 + family } else { 1970 + family + 9 * (person % 2) };
        let month = if is_twin { 4 } else { 2 + person % 9 };
        let (mut date, mut home, mut phone) = (format!("{year}-{month:02}-13"), family, family);
        let (mut number, mut surname) =
            (format!(r#"{{"type":{{"coding":[{{"code":"SSN4"}}]}},"value":"{}"}}"#, 1000 + person * 37), surname);
        match self.below(8) {
            0 => drop(given.remove(2)),
            1 => (home, phone) = (family + 50, family + 50),
            2 => phone = family + 80,
            3 => given.truncate(1),
            4 => date = String::new(),
            5 => surname = format!("Novak{person}"),
            6 => number = String::new(),
            _ => {}
        }
        let date = if date.is_empty() { String::new() } else { format!(r#""birthDate":"{date}","#) };
        let numbers = if number.is_empty() { String::new() } else { format!(r#""identifier":[{number}],"#) };
        format!(
            r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"{surname}","given":["{given}"]}}],{date}{numbers}
            "address":[{{"line":["{} Oak St"],"city":"Troy","state":"NY","postalCode":"{}"}}],
            "telecom":[{{"system":"phone","value":"21255{:05}"}}]}}"#,
            home + 3,
            12_000 + home,
            10_000 + phone * 7
        )
    }
}

fn ctx() -> Context {
    Context::new(Caller::Open, Clock::system())
}
