//! What the engine alone costs against population: one query on one thread, in process, over an index of made-up people.
//!
//! Targets, on 2 cores and 24 GiB: p50 at most 50 µs and p99 at most 300 µs at 1 M people; p50 at most 200 µs and p99 at
//! most 1.5 ms at 10 M; at most 200 bytes of index a person. Queries are of `synth`, difficulty normal, each asked once,
//! a quarter of them about people who are not stored. Every query is normalised before the clock runs. Populations are
//! arguments: `cargo bench --bench engine -- 10000 100000 1000000`; 10 M needs 8 GiB. A line of JSON each goes to the file
//! that IDI_MATCH_BENCH_OUT names. Not here: HTTP, the store (see `scripts/measure/scale`).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench that cannot begin must stop"
)]

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use idi_match::app::rules::{Rules, built_in_text};
use idi_match::fhir::json::{Limits, parse};
use idi_match::fhir::name_text;
use idi_match::matching::index::{Ask, Index, Member};
use idi_match::matching::record::Record;
use idi_match::synth::{Difficulty, Fields, Item, Plan, Tables, generate};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const QUERIES: usize = 20_000;
const DEFAULT_PEOPLE: [usize; 2] = [10_000, 100_000];

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::built_in().unwrap());

fn main() {
    let asked: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let populations = if asked.is_empty() { DEFAULT_PEOPLE.to_vec() } else { asked };
    for people in populations {
        let figures = measure(people);
        println!("{}", figures.told());
        if let Some(path) = std::env::var_os("IDI_MATCH_BENCH_OUT") {
            let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
            writeln!(file, "{}", figures.json()).unwrap();
        }
    }
}

struct Figures {
    people: usize,
    build_seconds: f64,
    bytes: usize,
    parts: String,
    /// Microseconds of each query, ascending.
    times: Vec<f64>,
    /// Candidates of each query, ascending.
    candidates: Vec<usize>,
}

impl Figures {
    fn told(&self) -> String {
        format!(
            "{} people: built in {:.1} s, {:.0} bytes a person ({}); p50 {:.1} µs, p90 {:.1} µs, p99 {:.1} µs, mean {:.1} µs; \
             candidates p50 {}, p99 {}",
            self.people,
            self.build_seconds,
            self.bytes_a_person(),
            self.parts,
            at(&self.times, 0.5),
            at(&self.times, 0.9),
            at(&self.times, 0.99),
            self.mean(),
            at(&self.candidates, 0.5),
            at(&self.candidates, 0.99),
        )
    }

    fn json(&self) -> String {
        format!(
            r#"{{"what":"engine","people":{},"build_seconds":{:.2},"bytes_a_person":{:.1},"p50_us":{:.1},"p99_us":{:.1},"mean_us":{:.1},"candidates_p50":{},"candidates_p99":{}}}"#,
            self.people,
            self.build_seconds,
            self.bytes_a_person(),
            at(&self.times, 0.5),
            at(&self.times, 0.99),
            self.mean(),
            at(&self.candidates, 0.5),
            at(&self.candidates, 0.99),
        )
    }

    fn bytes_a_person(&self) -> f64 {
        self.bytes as f64 / self.people as f64
    }

    fn mean(&self) -> f64 {
        self.times.iter().sum::<f64>() / self.times.len() as f64
    }
}

fn at<T: Copy>(sorted: &[T], share: f64) -> T {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn record(fields: &Fields, id: &str) -> Record {
    let text = fields.to_patient_json(id);
    let (patient, _) = name_text::complete(parse(text.as_bytes(), &Limits::DEFAULT).unwrap());
    Record::from_patient(&patient, &RULES.normaliser)
}

fn measure(people: usize) -> Figures {
    let tables = Tables::parse(built_in_text("name-frequencies.json").unwrap()).unwrap();
    let difficulty = Difficulty::Normal;
    let plan = Plan { people, queries: QUERIES, seed: 3, difficulty, absent_share: 0.25, duplicate_rate: 0.0 };
    let mut index = Index::new(Arc::clone(&RULES.model));
    let (mut queries, mut build_seconds) = (Vec::with_capacity(QUERIES), 0.0);
    let mut take = |item| -> Result<(), Infallible> {
        match item {
            Item::Stored { record_id, person_id, fields } => {
                let features = record(&fields, &record_id);
                let began = Instant::now();
                index.upsert(Member { record_id: &record_id, version: 1, identity_id: &person_id }, &features);
                build_seconds += began.elapsed().as_secs_f64();
            }
            Item::Query { query_id, fields, .. } => queries.push(record(&fields, &query_id)),
        }
        Ok(())
    };
    let Ok(()) = generate(&plan, &tables, &mut take);
    let began = Instant::now();
    index.settle();
    build_seconds += began.elapsed().as_secs_f64();
    let (times, candidates) = ask_all(&index, &queries);
    let parts: Vec<String> = index
        .bytes_by_part()
        .iter()
        .map(|(part, bytes)| format!("{part} {:.0}", *bytes as f64 / people as f64))
        .collect();
    Figures { people, build_seconds, bytes: index.bytes(), parts: parts.join(", "), times, candidates }
}

fn ask_all(index: &Index, queries: &[Record]) -> (Vec<f64>, Vec<usize>) {
    let ask = Ask {
        exclude_record: None,
        candidates_max: 20_000,
        identities_max: 21,
        parallel_from: usize::MAX,
        ..Ask::default()
    };
    let (mut times, mut candidates) = (Vec::with_capacity(queries.len()), Vec::with_capacity(queries.len()));
    for query in queries {
        let began = Instant::now();
        let proposal = std::hint::black_box(index.propose(query, &ask));
        times.push(began.elapsed().as_secs_f64() * 1e6);
        candidates.push(proposal.candidates);
    }
    times.sort_by(f64::total_cmp);
    candidates.sort_unstable();
    (times, candidates)
}
