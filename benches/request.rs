//! What one request costs before and after the store: reading, judging, weighing, normalising, writing the answer.
//!
//! Target: validation and weighing of a request together at most 30 µs (median), measured on 2 cores and 24 GiB. Two
//! requests: the guide's own example, and one as `synth` makes them. Not here: proposing and scoring candidates, the
//! store, HTTP (see `scripts/measure`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot begin must stop")]

use std::sync::LazyLock;

use divan::{Bencher, black_box};

use idi_match::app::answer::{AnswerShape, MatchAnswer, PatientEntry};
use idi_match::app::rules::{Rules, built_in_text};
use idi_match::fhir::disclosure::Disclosure;
use idi_match::fhir::json::{Limits, Value, parse};
use idi_match::fhir::match_parameters::MatchParameters;
use idi_match::fhir::name_text;
use idi_match::fhir::us_core::{Rendering, render_patient};
use idi_match::http::render::match_bundle;
use idi_match::http::render::responder::{Contact, OrganizationSummary, Responder};
use idi_match::matching::combination::combine;
use idi_match::matching::record::Record;
use idi_match::profile::idi::{ProfileRequirement, validate_idi_patient};
use idi_match::profile::input_weight::weigh;
use idi_match::synth::{Difficulty, Item, Plan, Tables, generate};

const GUIDE: &str = include_str!("../fixtures/guide/request-l1.json");
const BASE_URL: &str = "http://127.0.0.1:8080/fhir";

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::built_in().unwrap());
static SYNTH: LazyLock<String> = LazyLock::new(synthetic_request);

fn main() {
    LazyLock::force(&RULES);
    LazyLock::force(&SYNTH);
    divan::main();
}

/// The requests that every bench runs on.
#[derive(Debug, Clone, Copy)]
enum Request {
    Guide,
    Synth,
}

const REQUESTS: [Request; 2] = [Request::Guide, Request::Synth];

impl Request {
    fn text(self) -> &'static str {
        match self {
            Self::Guide => GUIDE,
            Self::Synth => &SYNTH,
        }
    }

    fn document(self) -> Value<'static> {
        parse(self.text().as_bytes(), &Limits::DEFAULT).unwrap()
    }

    fn patient(self) -> Value<'static> {
        name_text::complete(MatchParameters::read(self.document()).unwrap().patient).0
    }
}

/// The first query of a made-up population that weighs enough for IDI-Patient-L0.
fn synthetic_request() -> String {
    let tables = Tables::parse(built_in_text("name-frequencies.json").unwrap()).unwrap();
    let difficulty = Difficulty::Normal;
    let plan = Plan { people: 100, queries: 100, seed: 1, difficulty, absent_share: 0.0, duplicate_rate: 0.0 };
    let mut patient = None;
    let mut keep = |item| -> Result<(), std::convert::Infallible> {
        if let Item::Query { query_id, fields, .. } = item
            && patient.is_none()
            && fields.request_weight() >= 9
        {
            patient = Some(fields.to_request_patient_json(&query_id));
        }
        Ok(())
    };
    let Ok(()) = generate(&plan, &tables, &mut keep);
    let patient = patient.unwrap();
    format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"IDIPatient","resource":{patient}}}]}}"#)
}

#[divan::bench(args = REQUESTS)]
fn a_parse(bencher: Bencher<'_, '_>, request: Request) {
    let text = request.text().as_bytes();
    bencher.counter(divan::counter::BytesCount::of_slice(text)).bench(|| parse(black_box(text), &Limits::DEFAULT));
}

#[divan::bench(args = REQUESTS)]
fn b_validate_base(bencher: Bencher<'_, '_>, request: Request) {
    let document = request.document();
    bencher.bench(|| RULES.profiles.validate_base(black_box(&document)));
}

#[divan::bench(args = REQUESTS)]
fn c_validate_profile_and_weigh(bencher: Bencher<'_, '_>, request: Request) {
    let patient = request.patient();
    let judged = validate_idi_patient(&RULES.profiles, &patient, ProfileRequirement::Required);
    assert!(judged.is_accepted(), "{:?}", judged.issues);
    bencher.bench(|| validate_idi_patient(&RULES.profiles, black_box(&patient), ProfileRequirement::Required));
}

#[divan::bench(args = REQUESTS)]
fn d_weigh_alone(bencher: Bencher<'_, '_>, request: Request) {
    let patient = request.patient();
    bencher.bench(|| weigh(black_box(&patient), RULES.profiles.weights()));
}

/// The one with the target: base shape, profile, invariants and weight of a request that is parsed already.
#[divan::bench(args = REQUESTS)]
fn e_validate_and_weigh_at_most_30_us(bencher: Bencher<'_, '_>, request: Request) {
    let (document, patient) = (request.document(), request.patient());
    bencher.bench(|| {
        let issues = RULES.profiles.validate_base(black_box(&document));
        (issues, validate_idi_patient(&RULES.profiles, black_box(&patient), ProfileRequirement::Required))
    });
}

#[divan::bench(args = REQUESTS)]
fn f_normalise(bencher: Bencher<'_, '_>, request: Request) {
    let patient = request.patient();
    bencher.bench(|| Record::from_patient(black_box(&patient), &RULES.normaliser));
}

/// From the bytes of the request to the features that are looked up.
#[divan::bench(args = REQUESTS)]
fn g_all_before_the_index(bencher: Bencher<'_, '_>, request: Request) {
    let text = request.text().as_bytes();
    bencher.bench(|| {
        let document = parse(black_box(text), &Limits::DEFAULT).unwrap();
        let issues = RULES.profiles.validate_base(&document);
        let (patient, _) = name_text::complete(MatchParameters::read(document).unwrap().patient);
        let judged = validate_idi_patient(&RULES.profiles, &patient, ProfileRequirement::Required);
        (issues.len(), judged.weight.total, Record::from_patient(&patient, &RULES.normaliser))
    });
}

/// An answer with so many Patients, each rendered from its stored document.
#[divan::bench(args = [1, 5])]
fn h_render_answer(bencher: Bencher<'_, '_>, patients: usize) {
    let contacts = vec![Contact::Phone("+1-555-0100".to_owned())];
    let organization = OrganizationSummary { id: "responder".to_owned(), name: "Responder".to_owned(), contacts };
    let responder = Responder::new(BASE_URL, &organization).unwrap();
    let stored = include_str!("../fixtures/guide/patient-l1.json");
    bencher.bench(|| {
        let patients = (0..patients).map(|_| entry(black_box(stored))).collect();
        let answer = MatchAnswer {
            bundle_uuid: "11111111-2222-4333-8444-555555555555".to_owned(),
            timestamp: "2026-01-02T03:04:05.000006Z".to_owned(),
            self_link: format!("{BASE_URL}/Patient/$idi-match"),
            patients,
            outcomes: Vec::new(),
        };
        match_bundle::render(&responder, &answer, AnswerShape::Parameters).unwrap()
    });
}

fn entry(stored: &str) -> PatientEntry {
    let disclosure = Disclosure::full();
    PatientEntry {
        record_id: "ExamplePatientL1".to_owned(),
        body: render_patient(stored, &Rendering { base_url: BASE_URL, disclosure: &disclosure, links: &[] }).unwrap(),
        score: 0.99,
        grade: "certain".into(),
        row: None,
        probability: Some(0.999),
        attributes: Vec::new(),
        stewardship: "unconfirmed".into(),
        combination: None,
    }
}

/// What the CMS combinations cost beside the guide's table: so many identities of two records each, as read from the
/// store for the request.
#[divan::bench(args = [1, 5, 20])]
fn i_combine_within_microseconds(bencher: Bencher<'_, '_>, identities: usize) {
    let query = Record::from_patient(&Request::Guide.patient(), &RULES.normaliser);
    let stored = parse(include_bytes!("../fixtures/guide/patient-l1.json"), &Limits::DEFAULT).unwrap();
    let record = Record::from_patient(&stored, &RULES.normaliser);
    let records: Vec<Vec<&Record>> = vec![vec![&record, &query]; identities];
    let today = 20_000;
    bencher.bench(|| combine(&RULES.combinations, black_box(&query), black_box(&records), today));
}
