//! What must hold for any input: one function for each fuzz target, called with whatever the fuzzer makes, and by an
//! ordinary test with the corpus.
//!
//! A law is more than the absence of a panic: what is accepted can be written, read and stored again with the same
//! meaning; what is refused says why and where, and repeats nothing. Not here: which inputs there are (`corpus/`).

#![allow(dead_code, reason = "each target uses one law")]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use idi_match::app::error::{AppError, ErrorKind};
use idi_match::app::incoming::{Door, Incoming, ResourceKind, admit};
use idi_match::app::patch;
use idi_match::app::rules::Rules;
use idi_match::app::search::Handling;
use idi_match::app::search::condition::{Reader, conditions_of};
use idi_match::app::search::link::{link, pairs_of};
use idi_match::app::search::query::{PageSizes, read_query};
use idi_match::fhir::disclosure::Disclosure;
use idi_match::fhir::document::{Layout, Node};
use idi_match::fhir::issue::{Issue, any_error};
use idi_match::fhir::json::{Limits, Value, parse};
use idi_match::fhir::match_parameters::MatchParameters;
use idi_match::fhir::splice::{Owned, splice};
use idi_match::fhir::{json_patch, name_text, us_core};
use idi_match::matching::record::Record;
use idi_match::profile::fhirpath::{Expression, Item};
use idi_match::profile::input_weight::weigh;

const BASE_URL: &str = "http://here.example/fhir";

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::built_in().expect("the shipped rules are in order"));

fn door() -> Door<'static> {
    Door { rules: &RULES, limits: Limits::DEFAULT, sources: &[], source: None, base_url: BASE_URL }
}

/// Whoever is refused learns why, in so many words, and is not blamed for a fault of the server.
fn explained(error: &AppError) {
    assert!(!matches!(error.kind, ErrorKind::Internal | ErrorKind::Unavailable), "{error:?}");
    explains(&error.issues);
}

fn explains(issues: &[Issue]) {
    assert!(any_error(issues), "{issues:?}");
    assert!(issues.len() <= 250, "{} issues", issues.len());
    for issue in issues {
        assert!(!issue.diagnostics.is_empty() && issue.diagnostics.len() < 1_000, "{issue:?}");
        assert!(issue.expression.iter().all(|place| !place.is_empty() && place.is_ascii()), "{issue:?}");
    }
}

/// The same resource, be it written compactly, prettily, or with what the server puts into it.
fn survives(incoming: &Incoming) {
    let tree = Node::parse(&incoming.document).expect("what is admitted is JSON");
    let pretty = tree.write(Layout::Pretty);
    assert_eq!(Node::parse(&pretty).expect("what is written is JSON"), tree);
    let compact = tree.write(Layout::Compact);
    let owned = Owned { id: "fuzz", version: 7, last_updated: "2026-01-02T03:04:05.678901Z" };
    let stored = splice(&incoming.document, owned).expect("what is admitted can be stored");
    for document in [&pretty, &compact] {
        let again = admit(&door(), Some(incoming.kind), document.as_bytes());
        let again = again.unwrap_or_else(|error| panic!("{:?}: {document}", error.issues));
        assert_eq!(again.features, incoming.features, "{document}");
        assert_eq!(again.search, incoming.search, "{document}");
        assert_eq!(again.id, incoming.id, "{document}");
    }
    let again = admit(&door(), Some(incoming.kind), stored.as_bytes());
    let again = again.unwrap_or_else(|error| panic!("{:?}: {stored}", error.issues));
    assert_eq!((again.id.as_deref(), again.features), (Some("fuzz"), incoming.features.clone()), "{stored}");
    let twice = splice(&stored, owned).expect("what is stored can be stored");
    assert_eq!(twice, stored, "storing again changes nothing");
}

/// A body of `POST /fhir/Patient`.
pub fn patient(data: &[u8]) {
    match admit(&door(), Some(ResourceKind::Patient), data) {
        Err(error) => explained(&error),
        Ok(incoming) => {
            survives(&incoming);
            let features = incoming.features.as_ref().expect("a Patient has features");
            assert_eq!(Record::decode(&features.encode()).as_ref(), Ok(features));
            leaves(&incoming.document);
        }
    }
}

/// What leaves is a Patient again, and marked where something was left out.
fn leaves(document: &str) {
    let disclosure = Disclosure::full();
    let options = us_core::Rendering { base_url: BASE_URL, disclosure: &disclosure, links: &[] };
    let rendered = us_core::render_patient(document, &options).expect("what is admitted can be rendered");
    let limits =
        Limits { body_bytes_max: usize::MAX, depth_max: 120, values_max: usize::MAX, string_bytes_max: usize::MAX };
    let value = parse(rendered.as_bytes(), &limits).unwrap_or_else(|issue| panic!("{issue:?}: {rendered}"));
    assert_eq!(value.text("resourceType"), Some("Patient"));
}

/// A body of `$idi-match`.
pub fn parameters(data: &[u8]) {
    let value = match parse(data, &Limits::DEFAULT) {
        Err(issue) => return explains(&[issue]),
        Ok(value) => value,
    };
    let issues = RULES.profiles.validate_base(&value);
    if any_error(&issues) {
        return explains(&issues);
    }
    match MatchParameters::read(value) {
        Err(issues) => explains(&issues),
        Ok(asked) => {
            assert!(
                asked.location.starts_with("Parameters.parameter[") || asked.location == "Patient",
                "{}",
                asked.location
            );
            assert_eq!(asked.patient.text("resourceType"), Some("Patient"));
            assert!(asked.count != Some(0) && asked.warnings.len() <= 101);
            weighs(asked.patient);
        }
    }
}

/// The weight is the same each time and within its table; features can be kept.
fn weighs(patient: Value<'_>) {
    let (patient, _) = name_text::complete(patient);
    let weight = weigh(&patient, RULES.profiles.weights());
    assert_eq!(weight, weigh(&patient, RULES.profiles.weights()));
    assert!(weight.total <= 100, "{weight:?}");
    let record = Record::from_patient(&patient, &RULES.normaliser);
    assert_eq!(Record::decode(&record.encode()), Ok(record));
}

/// The query of a search: what follows the question mark.
pub fn search_query(data: &[u8]) {
    let query = String::from_utf8_lossy(data);
    let pairs = pairs_of(&query);
    let address = link("x", &pairs);
    assert!(address.is_ascii(), "{address}");
    assert_eq!(pairs_of(address.split_once('?').map_or("", |(_, query)| query)), pairs, "a link says what was asked");
    for kind in ResourceKind::ALL {
        let reader =
            Reader { resource_type: kind.name(), base_url: BASE_URL, now_us: 1_700_000_000_000_000, values_max: 50 };
        let lenient = read_query(&reader, &pairs, Handling::Lenient, SIZES);
        let strict = read_query(&reader, &pairs, Handling::Strict, SIZES);
        match (&lenient, &strict) {
            (Err(error), Ok(_)) => panic!("strict takes what lenient refuses: {:?}", error.issues),
            (Err(error), _) | (_, Err(error)) => explained(error),
            (Ok(lenient), Ok(strict)) => assert_eq!(lenient.understood, strict.understood),
        }
        if let Ok(asked) = lenient {
            let again = read_query(&reader, &asked.understood, Handling::Strict, SIZES);
            let again = again.unwrap_or_else(|error| panic!("what is understood is refused: {:?}", error.issues));
            assert_eq!(format!("{:?}", again.conditions), format!("{:?}", asked.conditions));
        }
        match conditions_of(&reader, &query) {
            Err(error) => explained(&error),
            Ok(conditions) => assert!(!conditions.is_empty()),
        }
    }
}

const SIZES: PageSizes = PageSizes { size: 20, size_max: 200 };

/// A resource on the first line, a JSON Patch after it.
pub fn json_patch(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (first, body) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let limits = json_patch::Limits { operations_max: 100, document: Limits::DEFAULT };
    let (Ok(document), Ok(_)) = (std::str::from_utf8(first), parse(first, &Limits::DEFAULT)) else {
        if let Err(issues) = json_patch::Patch::parse(body, &limits) {
            explains(&issues);
        }
        return;
    };
    match patch::apply(document, body, &limits) {
        Err(error) => explained(&error),
        Ok(patched) => {
            assert!(parse(patched.as_bytes(), &Limits::DEFAULT).is_ok(), "{patched}");
            let same = format!(r#"[{{"op":"test","path":"","value":{patched}}}]"#);
            assert_eq!(
                patch::apply(&patched, same.as_bytes(), &limits).as_deref().ok(),
                Some(patched.as_str()),
                "{same}"
            );
            let none = patch::apply(&patched, b"[]", &limits);
            assert_eq!(none.as_deref().ok(), Some(patched.as_str()), "no operation changes nothing");
            assert_eq!(patch::apply(document, body, &limits).ok(), Some(patched), "the same each time");
        }
    }
}

/// A line of a file that is loaded.
pub fn ndjson_line(data: &[u8]) {
    match admit(&door(), None, data) {
        Err(error) => explained(&error),
        Ok(incoming) => {
            survives(&incoming);
            let line = Node::parse(&incoming.document).expect("JSON").write(Layout::Compact);
            assert!(!line.contains(['\n', '\r']), "a resource is one line: {line}");
            let again = admit(&door(), None, line.as_bytes()).expect("a line that was written is loaded");
            assert_eq!((again.kind, again.id), (incoming.kind, incoming.id));
        }
    }
}

/// A file with FHIRPath in it: a StructureDefinition, or an expression on the first line and after it the Patient that it
/// is evaluated on.
pub fn fhirpath_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if text.starts_with('{') {
        return as_a_profile(&text);
    }
    let (source, document) = text.split_once('\n').unwrap_or((&text, PERSON));
    let expression = match Expression::compile(source, RULES.profiles.shapes(), "Patient", &["Patient".to_owned()]) {
        Err(reason) => return assert!(!reason.to_string().is_empty(), "{source}"),
        Ok(expression) => expression,
    };
    let document = if parse(document.as_bytes(), &Limits::DEFAULT).is_ok() { document } else { PERSON };
    let resource = parse(document.as_bytes(), &Limits::DEFAULT).expect("JSON");
    let evaluate = || match expression.evaluate(&resource, Item::element(&resource)) {
        Ok(found) => format!("{found:?}"),
        Err(error) => error.to_string(),
    };
    let found = evaluate();
    assert!(!found.is_empty());
    assert_eq!(found, evaluate(), "the same each time");
    if let Ok(Some(holds)) = expression.holds(&resource, Item::element(&resource)) {
        let negated = format!("({source}).not()");
        if let Ok(negated) = Expression::compile(&negated, RULES.profiles.shapes(), "Patient", &["Patient".to_owned()])
        {
            assert_eq!(negated.holds(&resource, Item::element(&resource)), Ok(Some(!holds)), "{source}");
        }
    }
}

const PERSON: &str =
    r#"{"resourceType":"Patient","active":true,"name":[{"family":"A","given":["B","C"]}],"birthDate":"1980-02-03"}"#;

/// The file instead of a shipped one: it is enforced, or refused with its name and a reason.
fn as_a_profile(text: &str) {
    let mut files = FILES.clone();
    for (name, shipped) in &mut files {
        if name == PROFILE {
            text.clone_into(shipped);
        }
    }
    match Rules::from_files(&files) {
        Err(refused) => assert!(!refused.file.is_empty() && !refused.reason.is_empty(), "{text}"),
        Ok(rules) => {
            let person = parse(PERSON.as_bytes(), &Limits::DEFAULT).expect("JSON");
            for profile in rules.profiles.list_profiles_of("Patient") {
                assert_eq!(rules.profiles.validate(&person, &profile), rules.profiles.validate(&person, &profile));
            }
        }
    }
}

const PROFILE: &str = "StructureDefinition-IDI-Patient.json";

/// The shipped files, by name.
static FILES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = [here.join("profiles"), here.join("../profiles")].into_iter().find(|folder| folder.is_dir());
    let entries = fs::read_dir(folder.expect("profiles/")).expect("profiles/");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let json = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    json.map(|path| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("a text"))
    })
    .collect()
});
