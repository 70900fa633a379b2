//! The answer to `$idi-match` and to base `$match`: a searchset Bundle.
//!
//! What: the shape of `idi-match-bundle` (IG Patient Matching, response): the responder's Organization, the Patients best
//! first, then outcomes; nobody found is said in words. Not here: who is returned and in which order, and what of each
//! Patient leaves.

use fhir_types::codes::{BundleType, SearchEntryMode};
use fhir_types::resources::{Bundle, BundleEntry, BundleEntrySearch, BundleLink, Parameters, ParametersParameter};
use fhir_types::types::{Extension, ExtensionValue, Identifier, Meta};
use fhir_types::{write_bundle, write_parameters};

use super::responder::Responder;
use super::{RenderError, instant, list, outcome};
use crate::app::answer::{AnswerShape, CombinationNote, MatchAnswer, PatientEntry, no_match_found};
use crate::fhir::canonical::{
    ATTRIBUTE_RESULTS, CMS_COMBINATION, IDI_MATCH_BUNDLE, MATCH_GRADE, MATCH_PROBABILITY, MATCHED_ROW, STEWARDSHIP,
};
use crate::fhir::issue::{Issue, IssueCode};

/// The answer to either operation, in the shape that is asked for.
///
/// # Errors
/// When the timestamp is no instant.
pub fn render(responder: &Responder, answer: &MatchAnswer, shape: AnswerShape) -> Result<Vec<u8>, RenderError> {
    match shape {
        AnswerShape::BaseBundle => render_base(responder, answer),
        AnswerShape::Bundle => Ok(idi_bundle(responder, answer)?.into_bytes()),
        AnswerShape::Parameters => in_parameters(&idi_bundle(responder, answer)?),
    }
}

/// The answer to `$idi-match` (IG Patient Matching, idi-match-bundle).
fn idi_bundle(responder: &Responder, answer: &MatchAnswer) -> Result<String, RenderError> {
    let outcomes = outcome_texts(answer)?;
    let mut entries = vec![include_entry(responder)?];
    let mut bodies = vec![Some(responder.body())];
    for patient in &answer.patients {
        entries.push(patient_entry(responder, patient, own_extensions(patient)?)?);
        bodies.push(Some(patient.body.as_str()));
    }
    for (id, text) in &outcomes {
        entries.push(entry(responder.url_of("OperationOutcome", id), search(SearchEntryMode::Outcome)?)?);
        bodies.push(Some(text.as_str()));
    }
    let mut bundle = shell(answer, entries)?;
    bundle.meta = Some(Meta::builder().profile(list([IDI_MATCH_BUNDLE.to_owned()])).build()?);
    bundle.identifier = Some(
        Identifier::builder()
            .system("urn:ietf:rfc:3986".to_owned())
            .value(format!("urn:uuid:{}", answer.bundle_uuid))
            .assigner(responder.reference()?)
            .build()?,
    );
    Ok(write_bundle(bundle, &bodies)?)
}

/// The answer to base `$match`: Patients only, each with a score (FHIR R4 Patient, operation match).
fn render_base(responder: &Responder, answer: &MatchAnswer) -> Result<Vec<u8>, RenderError> {
    let entries: Result<Vec<BundleEntry>, RenderError> =
        answer.patients.iter().map(|patient| patient_entry(responder, patient, base_extensions(patient)?)).collect();
    let bodies: Vec<Option<&str>> = answer.patients.iter().map(|patient| Some(patient.body.as_str())).collect();
    Ok(write_bundle(shell(answer, entries?)?, &bodies)?.into_bytes())
}

/// What both answers have. `total` counts matches only (FHIR R4 Bundle.total).
fn shell(answer: &MatchAnswer, entries: Vec<BundleEntry>) -> Result<Bundle, RenderError> {
    let link = BundleLink::builder().relation("self".to_owned()).url(answer.self_link.clone()).build()?;
    let bundle = Bundle::builder()
        .r#type(BundleType::Searchset)
        .timestamp(instant("Bundle.timestamp", &answer.timestamp)?)
        .total(u32::try_from(answer.patients.len()).unwrap_or(u32::MAX))
        .link(list([link]))
        .entry(list(entries))
        .build()?;
    Ok(bundle)
}

fn in_parameters(bundle: &str) -> Result<Vec<u8>, RenderError> {
    let parameter = ParametersParameter::builder().name("IDIMatchBundle".to_owned()).build()?;
    let parameters = Parameters::builder().parameter(list([parameter])).build()?;
    Ok(write_parameters(parameters, &[Some(bundle)])?.into_bytes())
}

fn include_entry(responder: &Responder) -> Result<BundleEntry, RenderError> {
    entry(responder.full_url().to_owned(), search(SearchEntryMode::Include)?)
}

fn patient_entry(
    responder: &Responder,
    patient: &PatientEntry,
    extensions: Vec<Extension>,
) -> Result<BundleEntry, RenderError> {
    let mut found = search(SearchEntryMode::Match)?;
    found.extension = extensions;
    found.score = Some(rounded(patient.score, 4));
    entry(responder.url_of("Patient", &patient.record_id), found)
}

fn entry(full_url: String, search: BundleEntrySearch) -> Result<BundleEntry, RenderError> {
    Ok(BundleEntry::builder().full_url(full_url).search(search).build()?)
}

fn search(mode: SearchEntryMode) -> Result<BundleEntrySearch, RenderError> {
    Ok(BundleEntrySearch::builder().mode(mode).build()?)
}

/// Ids and texts of the outcomes. Without a Patient an answer says "No Match Found", unless it says "not only one".
fn outcome_texts(answer: &MatchAnswer) -> Result<Vec<(String, String)>, RenderError> {
    let none = [vec![no_match_found()]];
    let said = |issue: &Issue| matches!(issue.code, IssueCode::NotFound | IssueCode::MultipleMatches);
    let silent = answer.patients.is_empty() && !answer.outcomes.iter().flatten().any(said);
    let added = if silent { &none[..] } else { &[] };
    let outcomes = added.iter().chain(&answer.outcomes).filter(|issues| !issues.is_empty());
    outcomes
        .enumerate()
        .map(|(n, issues)| {
            let id = format!("{}-{}", answer.bundle_uuid, n + 1);
            outcome::write(issues, &id).map(|text| (id, text))
        })
        .collect()
}

fn base_extensions(patient: &PatientEntry) -> Result<Vec<Extension>, RenderError> {
    let mut extensions = vec![grade(patient)?];
    extensions.extend(patient.combination.as_ref().map(combination).transpose()?);
    Ok(extensions)
}

fn own_extensions(patient: &PatientEntry) -> Result<Vec<Extension>, RenderError> {
    let mut extensions = vec![grade(patient)?];
    if let Some(row) = &patient.row {
        extensions.push(coded(MATCHED_ROW, row)?);
    }
    if let Some(probability) = patient.probability {
        extensions.push(extension(MATCH_PROBABILITY, ExtensionValue::Decimal(rounded(probability, 6)))?);
    }
    if !patient.attributes.is_empty() {
        let results: Result<Vec<Extension>, RenderError> =
            patient.attributes.iter().map(|(attribute, result)| coded(attribute, result)).collect();
        extensions.push(Extension::builder().url(ATTRIBUTE_RESULTS.to_owned()).extension(results?).build()?);
    }
    extensions.push(coded(STEWARDSHIP, &patient.stewardship)?);
    extensions.extend(patient.combination.as_ref().map(combination).transpose()?);
    Ok(extensions)
}

/// What the CMS combinations say, in the order of the extension's definition.
fn combination(note: &CombinationNote) -> Result<Extension, RenderError> {
    let mut parts = vec![coded("outcome", note.outcome)?, coded("verdict", note.verdict)?];
    if let Some(rule) = &note.rule {
        parts.push(coded("rule", rule)?);
    }
    if let Some(collision) = note.collision {
        parts.push(extension("collisionProbability", ExtensionValue::Decimal(significant(collision)))?);
    }
    for (part, codes) in [("exact", &note.exact), ("fuzzy", &note.fuzzy)] {
        for code in codes {
            parts.push(coded(part, code)?);
        }
    }
    parts.push(coded("idiGrade", note.idi_grade)?);
    for conflict in &note.idi_conflicts {
        parts.push(coded("idiConflict", conflict)?);
    }
    Ok(Extension::builder().url(CMS_COMBINATION.to_owned()).extension(parts).build()?)
}

fn grade(patient: &PatientEntry) -> Result<Extension, RenderError> {
    coded(MATCH_GRADE, &patient.grade)
}

fn coded(url: &str, code: &str) -> Result<Extension, RenderError> {
    extension(url, ExtensionValue::Code(code.to_owned()))
}

fn extension(url: &str, value: ExtensionValue) -> Result<Extension, RenderError> {
    Ok(Extension::builder().url(url.to_owned()).value(value).build()?)
}

/// `value` to three significant digits: products of decimals are a hair beside the decimal that is meant.
fn significant(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// `value` within 0 and 1, with at most `places` decimal places.
fn rounded(value: f64, places: i32) -> f64 {
    if !value.is_finite() {
        return 0.0;
    }
    let scale = 10_f64.powi(places);
    (value.clamp(0.0, 1.0) * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use fhir_types::{Resource, parse};
    use serde_json::{Value, json};

    use super::super::responder::tests::responder;
    use super::*;
    use crate::app::answer::ambiguous;

    const BASE: &str = "https://match.example.org/fhir";
    const UUID: &str = "0b1d3c7e-6f53-4e0e-9d52-1f2a3b4c5d6e";

    fn patient(id: &str, score: f64) -> PatientEntry {
        PatientEntry {
            record_id: id.to_owned(),
            body: format!(r#"{{"resourceType":"Patient", "id":"{id}","multipleBirthInteger":2,"x":1.50}}"#),
            score,
            grade: "certain".into(),
            row: Some("name-and-licence".into()),
            probability: Some(0.999_987_654),
            attributes: vec![("family".into(), "exact".into()), ("birthDate".into(), "close".into())],
            stewardship: "unconfirmed".into(),
            combination: None,
        }
    }

    fn answer(patients: Vec<PatientEntry>, outcomes: Vec<Vec<Issue>>) -> MatchAnswer {
        MatchAnswer {
            bundle_uuid: UUID.to_owned(),
            timestamp: "2026-01-02T03:04:05.000006Z".to_owned(),
            self_link: format!("{BASE}/Patient/$idi-match"),
            patients,
            outcomes,
        }
    }

    fn full() -> MatchAnswer {
        let weight = Issue::information(IssueCode::Informational, "Input weight 15");
        answer(
            vec![patient("p1", 0.99), patient("p2", 0.8)],
            vec![vec![weight], vec![Issue::warning(IssueCode::Incomplete, "w")]],
        )
    }

    fn bundle(answer: &MatchAnswer) -> Value {
        let bytes = render(&responder(), answer, AnswerShape::Bundle).expect("rendered");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    fn entries(bundle: &Value, mode: &str) -> Vec<Value> {
        let all = bundle["entry"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|entry| entry["search"]["mode"] == mode).collect()
    }

    #[test]
    fn a_whole_answer_looks_so() {
        let one = answer(vec![patient("p1", 0.99)], vec![]);
        let bytes = render(&responder(), &one, AnswerShape::Parameters).expect("rendered");
        let expected = concat!(
            r#"{"resourceType":"Parameters","parameter":[{"name":"IDIMatchBundle","resource":"#,
            r#"{"resourceType":"Bundle","#,
            r#""meta":{"profile":["http://hl7.org/fhir/us/identity-matching/StructureDefinition/idi-match-bundle"]},"#,
            r#""identifier":{"system":"urn:ietf:rfc:3986","value":"urn:uuid:0b1d3c7e-6f53-4e0e-9d52-1f2a3b4c5d6e","#,
            r#""assigner":{"reference":"https://match.example.org/fhir/Organization/responder","display":"Example Health"}},"#,
            r#""type":"searchset","timestamp":"2026-01-02T03:04:05.000006Z","total":1,"#,
            r#""link":[{"relation":"self","url":"https://match.example.org/fhir/Patient/$idi-match"}],"entry":["#,
            r#"{"fullUrl":"https://match.example.org/fhir/Organization/responder","search":{"mode":"include"},"resource":"#,
            r#"{"resourceType":"Organization","id":"responder","#,
            r#""meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-organization"]},"#,
            r#""active":true,"name":"Example Health","telecom":[{"system":"phone","value":"+1-555-0100"}]}},"#,
            r#"{"fullUrl":"https://match.example.org/fhir/Patient/p1","search":{"extension":["#,
            r#"{"url":"http://hl7.org/fhir/StructureDefinition/match-grade","valueCode":"certain"},"#,
            r#"{"url":"https://idi-match.example/StructureDefinition/matched-row","valueCode":"name-and-licence"},"#,
            r#"{"url":"https://idi-match.example/StructureDefinition/match-probability","valueDecimal":0.999988},"#,
            r#"{"extension":[{"url":"family","valueCode":"exact"},{"url":"birthDate","valueCode":"close"}],"#,
            r#""url":"https://idi-match.example/StructureDefinition/attribute-results"},"#,
            r#"{"url":"https://idi-match.example/StructureDefinition/stewardship","valueCode":"unconfirmed"}],"#,
            r#""mode":"match","score":0.99},"resource":"#,
            r#"{"resourceType":"Patient", "id":"p1","multipleBirthInteger":2,"x":1.50}}]}}]}"#,
        );
        assert_eq!(String::from_utf8(bytes).expect("UTF-8"), expected);
    }

    #[test]
    fn a_caller_of_the_old_shape_gets_the_bundle_itself() {
        let bare = render(&responder(), &full(), AnswerShape::Bundle).expect("rendered");
        let wrapped = render(&responder(), &full(), AnswerShape::Parameters).expect("rendered");
        let wrapped: Value = serde_json::from_slice(&wrapped).expect("JSON");
        assert_eq!(wrapped["parameter"][0]["resource"], serde_json::from_slice::<Value>(&bare).expect("JSON"));
        assert_eq!(wrapped["parameter"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn the_bundle_is_identified_timed_counted_and_linked() {
        let bundle = bundle(&full());
        assert_eq!(bundle["type"], "searchset");
        assert_eq!(bundle["identifier"]["system"], "urn:ietf:rfc:3986");
        assert_eq!(bundle["identifier"]["value"], format!("urn:uuid:{UUID}"));
        let assigner = json!({"reference": format!("{BASE}/Organization/responder"), "display": "Example Health"});
        assert_eq!(bundle["identifier"]["assigner"], assigner);
        assert_eq!(bundle["timestamp"], "2026-01-02T03:04:05.000006Z");
        assert_eq!(bundle["total"], 2, "Patients only");
        assert_eq!(bundle["link"], json!([{"relation": "self", "url": format!("{BASE}/Patient/$idi-match")}]));
    }

    #[test]
    fn there_is_exactly_one_organization_and_it_can_be_reached() {
        for answer in [full(), answer(vec![], vec![])] {
            let included = entries(&bundle(&answer), "include");
            assert_eq!(included.len(), 1);
            assert_eq!(included[0]["resource"]["resourceType"], "Organization");
            assert!(!included[0]["resource"]["telecom"][0]["value"].is_null());
            assert_eq!(included[0]["resource"]["active"], true);
        }
    }

    #[test]
    fn every_full_url_is_an_address_of_this_server_that_ends_in_the_id() {
        let with_nobody = answer(vec![], vec![vec![Issue::warning(IssueCode::Value, "w")]]);
        for answer in [full(), with_nobody] {
            let bundle = bundle(&answer);
            let all = bundle["entry"].as_array().expect("entries");
            assert_eq!(all.len(), if answer.patients.is_empty() { 3 } else { 5 });
            let mut urls: Vec<&str> = all.iter().filter_map(|entry| entry["fullUrl"].as_str()).collect();
            for entry in all {
                let (kind, id) = (&entry["resource"]["resourceType"], &entry["resource"]["id"]);
                let expected = format!("{BASE}/{}/{}", kind.as_str().expect("type"), id.as_str().expect("id"));
                assert_eq!(entry["fullUrl"], expected);
                assert!(id.as_str().is_some_and(|id| id.len() <= 64));
            }
            urls.sort_unstable();
            urls.dedup();
            assert_eq!(urls.len(), all.len(), "each its own");
        }
    }

    #[test]
    fn patients_keep_their_order_score_grade_and_bytes() {
        let rendered = render(&responder(), &full(), AnswerShape::Bundle).expect("rendered");
        let text = String::from_utf8(rendered).expect("UTF-8");
        assert!(full().patients.iter().all(|patient| text.contains(&format!("\"resource\":{}}}", patient.body))));
        let matches = entries(&bundle(&full()), "match");
        assert_eq!(matches.iter().map(|entry| &entry["resource"]["id"]).collect::<Vec<_>>(), ["p1", "p2"]);
        assert_eq!(matches.iter().map(|entry| &entry["search"]["score"]).collect::<Vec<_>>(), [0.99, 0.8]);
        let extensions = &matches[0]["search"]["extension"];
        assert_eq!(
            extensions[0],
            json!({"url": "http://hl7.org/fhir/StructureDefinition/match-grade", "valueCode": "certain"})
        );
    }

    #[test]
    fn a_match_without_row_and_attributes_says_the_rest() {
        let weak = PatientEntry { row: None, attributes: vec![], ..patient("p1", 0.3) };
        let matches = entries(&bundle(&answer(vec![weak], vec![])), "match");
        let extensions = matches[0]["search"]["extension"].as_array().expect("extensions");
        let urls: Vec<&str> = extensions.iter().filter_map(|extension| extension["url"].as_str()).collect();
        assert_eq!(urls, [MATCH_GRADE, MATCH_PROBABILITY, STEWARDSHIP]);
    }

    #[test]
    fn what_the_combinations_say_stands_beside_the_grade_in_both_answers() {
        let note = CombinationNote {
            outcome: "match",
            verdict: "matched",
            rule: Some("05".to_owned()),
            collision: Some(0.02 * 1e-4 * 1e-6),
            exact: vec!["first-name", "birth-date"],
            fuzzy: vec!["last-name"],
            idi_grade: "possible",
            idi_conflicts: vec!["suffix"],
        };
        let noted = PatientEntry { combination: Some(note), ..patient("p1", 0.99) };
        let part = |url: &str, value: &str| json!({"url": url, "valueCode": value});
        let expected = json!({
            "extension": [
                part("outcome", "match"),
                part("verdict", "matched"),
                part("rule", "05"),
                {"url": "collisionProbability", "valueDecimal": 2e-12},
                part("exact", "first-name"),
                part("exact", "birth-date"),
                part("fuzzy", "last-name"),
                part("idiGrade", "possible"),
                part("idiConflict", "suffix"),
            ],
            "url": CMS_COMBINATION,
        });
        let answer = answer(vec![noted], vec![]);
        for shape in [AnswerShape::Bundle, AnswerShape::BaseBundle] {
            let bytes = render(&responder(), &answer, shape).expect("rendered");
            let bundle: Value = serde_json::from_slice(&bytes).expect("JSON");
            let matched = entries(&bundle, "match");
            assert_eq!(matched[0]["search"]["extension"].as_array().and_then(|list| list.last()), Some(&expected));
        }
    }

    #[test]
    fn a_score_is_a_decimal_of_at_most_four_places() {
        let table = [
            (0.99, "0.99"),
            (0.59 * 0.731_234_5, "0.4314"),
            (0.1 + 0.2, "0.3"),
            (1.0, "1.0"),
            (1.5, "1.0"),
            (-0.5, "0.0"),
            (f64::NAN, "0.0"),
        ];
        for (score, expected) in table {
            let bytes = render_base(&responder(), &answer(vec![patient("p1", score)], vec![])).expect("rendered");
            let text = String::from_utf8(bytes).expect("UTF-8");
            assert!(text.contains(&format!("\"score\":{expected}}}")), "{score}: {text}");
        }
    }

    #[test]
    fn nobody_found_is_said_in_words() {
        let bundle = bundle(&answer(vec![], vec![]));
        assert_eq!(bundle["total"], 0);
        assert!(entries(&bundle, "match").is_empty());
        let outcomes = entries(&bundle, "outcome");
        assert_eq!(outcomes.len(), 1);
        assert_eq!(outcomes[0]["resource"]["resourceType"], "OperationOutcome");
        let issue = &outcomes[0]["resource"]["issue"][0];
        assert_eq!((&issue["severity"], &issue["code"]), (&json!("information"), &json!("not-found")));
        assert_eq!(
            (&issue["details"]["text"], &issue["diagnostics"]),
            (&json!("No Match Found"), &json!("No Match Found"))
        );
    }

    #[test]
    fn each_group_of_remarks_is_an_outcome_and_an_empty_one_is_none() {
        let warning = || vec![Issue::warning(IssueCode::Incomplete, "The search was cut short")];
        let table = [
            (full(), vec!["informational", "incomplete"]),
            (answer(vec![patient("p1", 0.99)], vec![vec![], warning()]), vec!["incomplete"]),
            (answer(vec![patient("p1", 0.99)], vec![]), vec![]),
            (answer(vec![], vec![warning()]), vec!["not-found", "incomplete"]),
            (answer(vec![], vec![vec![no_match_found()], warning()]), vec!["not-found", "incomplete"]),
            (answer(vec![], vec![vec![ambiguous()]]), vec!["multiple-matches"]),
        ];
        for (answer, expected) in table {
            let outcomes = entries(&bundle(&answer), "outcome");
            let codes: Vec<&str> =
                outcomes.iter().filter_map(|entry| entry["resource"]["issue"][0]["code"].as_str()).collect();
            assert_eq!(codes, expected);
        }
    }

    #[test]
    fn base_match_answers_patients_only() {
        let bytes = render_base(&responder(), &full()).expect("rendered");
        let bundle: Value = serde_json::from_slice(&bytes).expect("JSON");
        let entries = bundle["entry"].as_array().expect("entries");
        assert_eq!(
            (&bundle["resourceType"], &bundle["type"], &bundle["total"]),
            (&json!("Bundle"), &json!("searchset"), &json!(2))
        );
        assert_eq!(entries.len(), 2);
        for (entry, score) in entries.iter().zip([0.99, 0.8]) {
            assert_eq!(entry["resource"]["resourceType"], "Patient");
            let grade = json!([{"url": MATCH_GRADE, "valueCode": "certain"}]);
            assert_eq!(entry["search"], json!({"mode": "match", "score": score, "extension": grade}));
        }
        let nobody = render_base(&responder(), &answer(vec![], vec![])).expect("rendered");
        let nobody: Value = serde_json::from_slice(&nobody).expect("JSON");
        assert_eq!((&nobody["total"], &nobody["entry"]), (&json!(0), &Value::Null), "FHIR JSON has no empty lists");
    }

    #[test]
    fn every_answer_can_be_read_back() {
        for shape in [AnswerShape::Parameters, AnswerShape::Bundle] {
            for answer in [full(), answer(vec![], vec![])] {
                let parsed = parse(&render(&responder(), &answer, shape).expect("rendered")).expect("FHIR");
                let bundle = match parsed {
                    Resource::Bundle(bundle) => bundle,
                    Resource::Parameters(parameters) => {
                        match parameters.parameter[0].clone().and_then(|item| item.resource) {
                            Some(Resource::Bundle(bundle)) => bundle,
                            other => panic!("{other:?}"),
                        }
                    }
                    other => panic!("{other:?}"),
                };
                assert_eq!(bundle.total, Some(u32::try_from(answer.patients.len()).expect("few")));
                assert!(bundle.entry.iter().flatten().all(|entry| entry.resource.is_some()));
            }
        }
    }

    #[test]
    fn a_timestamp_that_is_no_instant_is_an_error() {
        let wrong = MatchAnswer { timestamp: "2026-01-02".to_owned(), ..full() };
        assert!(matches!(render(&responder(), &wrong, AnswerShape::Bundle), Err(RenderError::Instant(_))));
        assert!(matches!(render_base(&responder(), &wrong), Err(RenderError::Instant(_))));
    }
}
