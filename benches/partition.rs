//! How fast and how right is the partition of a whole store?
//!
//! Target, on 2 cores and 24 GiB: 980,000 records in 15 s or less, pair F1 .96 or more. `PARTITION_PEOPLE` names a folder
//! with `patients.ndjson` and `records.csv` (record, person), as `idi-match synth` writes them. Counted: pairs of records in
//! one cluster against pairs of one person. Not here: reading the store, applying the result.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench that cannot begin must stop, prints figures and is told by its environment where people are"
)]

use std::collections::HashMap;
use std::fs::read_to_string;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;

use idi_match::app::rules::Rules;
use idi_match::fhir::json::{Limits, parse};
use idi_match::identity::constraint::Constraints;
use idi_match::identity::engine::{Partition, repartition};
use idi_match::matching::index::{Index, Member, Space};
use idi_match::matching::record::Record;

fn main() {
    let rules = Rules::built_in().unwrap();
    let Ok(folder) = std::env::var("PARTITION_PEOPLE") else {
        println!("PARTITION_PEOPLE names no folder: nothing is measured");
        return;
    };
    let people = read_to_string(Path::new(&folder).join("patients.ndjson")).unwrap();
    let lines: Vec<&str> = people.lines().collect();
    let records: Vec<(String, Record)> = lines
        .par_iter()
        .map(|line| {
            let patient = parse(line.as_bytes(), &Limits::DEFAULT).unwrap();
            (patient.text("id").unwrap().to_owned(), Record::from_patient(&patient, &rules.normaliser))
        })
        .collect();
    let mut index = Index::new(Arc::clone(&rules.model));
    for (id, record) in &records {
        index.upsert(Member { record_id: id, version: 1, identity_id: id }, record);
    }
    drop(records);
    let truth = read_to_string(Path::new(&folder).join("records.csv")).unwrap();
    let person_of: HashMap<&str, &str> = truth.lines().skip(1).filter_map(|line| line.split_once(',')).collect();
    let space = index.space();
    let begun = Instant::now();
    let found = repartition(&space, &Constraints::default(), &rules.model, 2000, |_| ());
    let seconds = begun.elapsed().as_secs_f64();
    println!("{} records, {} edges, {} doubts, {seconds:.2} s", found.places.len(), found.edges, found.doubts.len());
    count(&space, &found, &person_of);
}

fn count(space: &Space<'_>, found: &Partition, person_of: &HashMap<&str, &str>) {
    let mut clusters: HashMap<u32, u64> = HashMap::new();
    let mut people: HashMap<&str, u64> = HashMap::new();
    let mut both: HashMap<(u32, &str), u64> = HashMap::new();
    for (place, cluster) in found.places.iter().zip(&found.clusters) {
        let id = space.record_id(*place).to_string();
        let person = person_of[id.as_str()];
        *clusters.entry(*cluster).or_default() += 1;
        *people.entry(person).or_default() += 1;
        *both.entry((*cluster, person)).or_default() += 1;
    }
    let pairs = |counts: Vec<u64>| counts.into_iter().map(|n| n * (n - 1) / 2).sum::<u64>() as f64;
    let (said, is, right) = (
        pairs(clusters.into_values().collect()),
        pairs(people.into_values().collect()),
        pairs(both.into_values().collect()),
    );
    let (precision, recall) = (right / said, right / is);
    let f1 = 2.0 * precision * recall / (precision + recall);
    println!("pairs: precision {precision:.4} recall {recall:.4} F1 {f1:.4}");
}
