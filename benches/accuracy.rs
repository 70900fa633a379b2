//! How well people are found, in process: a labelled population in an index, every query proposed, errors counted.
//!
//! `cargo bench --bench accuracy -- DIR [--model FILE] [--train DIR] [--blur SHARE] [--errors N]`, where DIR holds what
//! `synth` writes. One record is one identity, so that the matcher is judged and not the assignment. With `--train` the
//! model is first fitted to the people of another directory, from a start blurred by SHARE. With `--errors` the waterfalls of the most
//! confident wrong answers and of the least confident right ones are written to standard error. Not here: the same
//! through the database (see `scripts/measure/accuracy`).

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a bench prints, and must stop")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use idi_match::app::rules::{Rules, built_in_text};
use idi_match::fhir::json::{Limits, parse};
use idi_match::matching::evaluation::{
    Candidate, Evaluation, QueryResult, THRESHOLD, TruthRow, parse_records, parse_truth,
};
use idi_match::matching::index::{Ask, Index, Member, Proposal, SampleAsk};
use idi_match::matching::model::Model;
use idi_match::matching::record::Record;
use idi_match::matching::train::{Options, blurred, train};

struct Asked {
    id: String,
    proposal: Proposal,
    took: Duration,
}

fn main() {
    let Arguments { directory, model, train, blur, errors } = arguments();
    let mut rules = Rules::built_in().unwrap();
    if let Some(model) = model {
        let text = std::fs::read_to_string(model).unwrap();
        rules.model = Arc::new(Model::parse(&text, built_in_text("name-frequencies.json").unwrap()).unwrap());
    }
    if blur > 0.0 {
        rules.model = Arc::new(blurred(&rules.model, blur).unwrap());
    }
    if let Some(people) = train {
        rules.model = Arc::new(trained(&people, &rules));
    }
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    let started = Instant::now();
    let index = index(&read("patients.ndjson"), &rules);
    println!(
        "{} people in {:.1} s, {} B a person",
        index.len(),
        started.elapsed().as_secs_f64(),
        index.bytes() / index.len()
    );
    let asked = ask(&index, &read("queries.ndjson"), &rules);
    let (truth, persons) = (parse_truth(&read("truth.csv")).unwrap(), parse_records(&read("records.csv")).unwrap());
    let mut evaluation = Evaluation::new(&truth, &persons).unwrap();
    for one in &asked {
        evaluation.add(&result(one)).unwrap();
    }
    println!("{}", evaluation.report(THRESHOLD));
    timings(&asked);
    if errors > 0 {
        tell_errors(&asked, &truth, &index, errors);
    }
}

struct Arguments {
    directory: PathBuf,
    model: Option<PathBuf>,
    train: Option<PathBuf>,
    blur: f64,
    errors: usize,
}

fn arguments() -> Arguments {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let mut read = Arguments { directory: PathBuf::from("people"), model: None, train: None, blur: 0.0, errors: 0 };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap();
        match argument.as_str() {
            "--model" => read.model = Some(PathBuf::from(value())),
            "--train" => read.train = Some(PathBuf::from(value())),
            "--blur" => read.blur = value().parse().unwrap(),
            "--errors" => read.errors = value().parse().unwrap(),
            _ => read.directory = PathBuf::from(argument),
        }
    }
    read
}

fn trained(people: &Path, rules: &Rules) -> Model {
    let index = index(&std::fs::read_to_string(people.join("patients.ndjson")).unwrap(), rules);
    let started = Instant::now();
    let ask = SampleAsk { seed: 1, records_max: 200_000, partners_max: 20, random_pairs: 2_000_000 };
    let patterns = index.sample(&ask, |_| ());
    println!("{} pairs in {:.1} s", patterns.pairs(), started.elapsed().as_secs_f64());
    let trained = train(&rules.model, &patterns, &Options::of_population(index.population())).unwrap();
    println!("{}", trained.report);
    println!("{:.1} s", started.elapsed().as_secs_f64());
    std::fs::write(people.join("model.json"), trained.model.to_json()).unwrap();
    trained.model
}

fn record(line: &str, rules: &Rules) -> (String, Record) {
    let patient = parse(line.as_bytes(), &Limits::DEFAULT).unwrap();
    (patient.text("id").unwrap().to_owned(), Record::from_patient(&patient, &rules.normaliser))
}

fn index(patients: &str, rules: &Rules) -> Index {
    let lines: Vec<&str> = patients.lines().collect();
    let mut index = Index::new(Arc::clone(&rules.model));
    for chunk in lines.chunks(10_000) {
        let records: Vec<(String, Record)> = chunk.par_iter().map(|line| record(line, rules)).collect();
        for (id, record) in &records {
            index.upsert(Member { record_id: id, version: 1, identity_id: id }, record);
        }
    }
    index
}

fn ask(index: &Index, queries: &str, rules: &Rules) -> Vec<Asked> {
    let lines: Vec<&str> = queries.lines().collect();
    let one = |line: &&str| {
        let (id, query) = record(line, rules);
        let started = Instant::now();
        let proposal = index.propose(&query, &Ask { parallel_from: usize::MAX, ..Ask::default() });
        Asked { id, proposal, took: started.elapsed() }
    };
    lines.par_iter().map(one).collect()
}

/// As `match` writes it: the likeliest first.
fn result(asked: &Asked) -> QueryResult {
    let mut identities: Vec<_> = asked.proposal.identities.iter().collect();
    identities.sort_by(|a, b| b.posterior.total_cmp(&a.posterior));
    let candidates = identities.into_iter().map(|identity| Candidate {
        identity: identity.identity_id.clone(),
        records: identity.records.iter().map(|record| record.record_id.clone()).collect(),
        score: identity.score,
        grade: identity.grade.code().to_owned(),
        probability: identity.posterior,
    });
    QueryResult { query: asked.id.clone(), candidates: candidates.collect(), issues: vec![] }
}

fn timings(asked: &[Asked]) {
    let mut took: Vec<Duration> = asked.iter().map(|one| one.took).collect();
    let mut candidates: Vec<usize> = asked.iter().map(|one| one.proposal.candidates).collect();
    took.sort_unstable();
    candidates.sort_unstable();
    let at = |share: f64| ((asked.len() - 1) as f64 * share) as usize;
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        println!("{name}: {:?}, {} candidates", took[at(share)], candidates[at(share)]);
    }
}

fn tell_errors(asked: &[Asked], truth: &[TruthRow], index: &Index, count: usize) {
    let rows: std::collections::HashMap<&str, &TruthRow> =
        truth.iter().map(|row| (row.query_id.as_str(), row)).collect();
    let mut wrong = Vec::new();
    let mut missed = Vec::new();
    for one in asked {
        let row = rows[one.id.as_str()];
        let best = one.proposal.identities.iter().max_by(|a, b| a.posterior.total_cmp(&b.posterior));
        let person = row.true_person_id.as_deref();
        let own = one.proposal.identities.iter().find(|identity| Some(identity.identity_id.as_str()) == person);
        match best {
            Some(best) if Some(best.identity_id.as_str()) != person => {
                wrong.push((best.posterior, one, row, Some(best)));
            }
            _ => {}
        }
        if person.is_some() && own.is_none_or(|own| own.posterior < THRESHOLD) {
            missed.push((own.map_or(0.0, |own| own.posterior), one, row, own));
        }
    }
    wrong.sort_by(|a, b| b.0.total_cmp(&a.0));
    missed.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (name, list) in [("WRONG", wrong), ("MISSED", missed)] {
        for (posterior, one, row, identity) in list.iter().take(count) {
            eprintln!("{name} {} {posterior:.4} {:?} {}", one.id, row.kind, row.events.join(";"));
            let Some(identity) = identity else {
                eprintln!("   no candidate; {} candidates", one.proposal.candidates);
                continue;
            };
            let bars: Vec<String> = identity
                .waterfall(index.model(), index.population())
                .bars
                .iter()
                .filter(|bar| bar.level != "absent")
                .map(|bar| format!("{} {} {:.1}", bar.comparison, bar.level, bar.weight))
                .collect();
            eprintln!("   {} p {:.4}: {}", identity.identity_id, identity.probability, bars.join(", "));
        }
    }
}
