//! From how many candidates on is one query worth several threads?
//!
//! Sets the default of `match.parallel_from`: the size at which the pool is clearly faster than the calling thread, on
//! 2 cores and 24 GiB. Compared as a ratio, pool to inline, at the same size. The people share every name and birth
//! date, so that all of them are candidates. Not here: the latency of ordinary queries (see `scripts/measure/http`).

#![allow(clippy::unwrap_used, reason = "a bench that cannot begin must stop")]

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use divan::{Bencher, black_box};

use idi_match::app::rules::Rules;
use idi_match::fhir::json::{Limits, parse};
use idi_match::matching::index::{Ask, Index, Member};
use idi_match::matching::record::Record;

const SIZES: [usize; 6] = [500, 1000, 2000, 4000, 8000, 16_000];

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::built_in().unwrap());
static INDEXES: LazyLock<HashMap<usize, Index>> =
    LazyLock::new(|| SIZES.into_iter().map(|size| (size, namesakes(size))).collect());

fn main() {
    LazyLock::force(&INDEXES);
    divan::main();
}

fn record(number: usize) -> Record {
    let text = format!(
        r#"{{"resourceType":"Patient","name":[{{"family":"Garcia","given":["Maria"]}}],"birthDate":"1980-02-03","gender":"female",
        "telecom":[{{"system":"phone","value":"(212) 2{:02}-{:04}"}}],
        "address":[{{"line":["{number} Oak St"],"city":"Troy","state":"NY","postalCode":"{:05}"}}]}}"#,
        number % 80 + 10,
        number % 10_000,
        10_000 + number % 80_000,
    );
    Record::from_patient(&parse(text.as_bytes(), &Limits::DEFAULT).unwrap(), &RULES.normaliser)
}

fn namesakes(size: usize) -> Index {
    let mut index = Index::new(Arc::clone(&RULES.model));
    for number in 0..size {
        let id = format!("p{number}");
        index.upsert(Member { record_id: &id, version: 1, identity_id: &id }, &record(number));
    }
    index
}

fn propose(bencher: Bencher<'_, '_>, size: usize, parallel_from: usize) {
    let (index, query) = (&INDEXES[&size], record(size / 2));
    let ask =
        Ask { exclude_record: None, candidates_max: usize::MAX, identities_max: 20, parallel_from, ..Ask::default() };
    assert_eq!(index.propose(&query, &ask).candidates, size, "every namesake is a candidate");
    bencher.bench(|| black_box(index.propose(&query, &ask)));
}

#[divan::bench(args = SIZES)]
fn inline(bencher: Bencher<'_, '_>, size: usize) {
    propose(bencher, size, usize::MAX);
}

#[divan::bench(args = SIZES)]
fn pool(bencher: Bencher<'_, '_>, size: usize) {
    propose(bencher, size, 1);
}
