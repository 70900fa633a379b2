//! Rows as events, member by member.

use serde_json::{Value as Json, json};

use super::*;

const OBSERVER: Observer<'_> = Observer { reference: "Organization/responder", base_url: "http://h/fhir" };
const RECORDED: &str = "2026-01-02T03:04:05.000006Z";

fn row<'r>(action: &'r str, outcome: &'r str, resource_type: Option<&'r str>, detail: &'r str) -> Row<'r> {
    Row { seq: 7, at_us: 1, request_id: "r-1", action, outcome, caller: "open", resource_type, detail }
}

fn event(row: &Row<'_>) -> Json {
    let text = render(row, RECORDED, &OBSERVER, Shown::All).expect("JSON");
    fhir_types::parse(text.as_bytes()).expect("FHIR");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_refused_search_becomes_an_event() {
    let detail = r#"{"status":200,"reasons":["value"],"client_address":"192.0.2.7","query":"Patient?family","records":["p1","Organization/o1"],"duration_us":5}"#;
    let detail_of = |name: &str, value: &str| json!({"type": name, "valueString": value});
    let expected = json!({
        "resourceType": "AuditEvent",
        "id": "7",
        "meta": {"versionId": "1", "lastUpdated": RECORDED},
        "type": {"system": TYPE_SYSTEM, "code": "rest"},
        "subtype": [{"system": INTERACTION_SYSTEM, "code": "search-type"}],
        "action": "E",
        "recorded": RECORDED,
        "outcome": "4",
        "outcomeDesc": "value",
        "agent": [
            {
                "type": {"coding": [{"system": DICOM, "code": "110153"}]},
                "who": {"identifier": {"value": "open"}},
                "requestor": true,
                "network": {"address": "192.0.2.7", "type": "2"},
            },
            {
                "type": {"coding": [{"system": DICOM, "code": "110152"}]},
                "who": {"reference": "Organization/responder"},
                "requestor": false,
                "network": {"address": "http://h/fhir", "type": "5"},
            },
        ],
        "source": {
            "observer": {"reference": "Organization/responder"},
            "type": [{"system": SOURCE_SYSTEM, "code": "4"}],
        },
        "entity": [
            {"what": {"identifier": {"value": "r-1"}}, "type": {"system": BALP_ENTITY_SYSTEM, "code": "XrequestId"}},
            {
                "type": {"system": ENTITY_SYSTEM, "code": "2"},
                "role": {"system": ROLE_SYSTEM, "code": "24"},
                "query": "UGF0aWVudD9mYW1pbHk=",
            },
            {
                "what": {"reference": "Patient/p1"},
                "type": {"system": ENTITY_SYSTEM, "code": "1"},
                "role": {"system": ROLE_SYSTEM, "code": "1"},
            },
            {
                "what": {"reference": "Organization/o1"},
                "type": {"system": ENTITY_SYSTEM, "code": "4"},
                "role": {"system": ROLE_SYSTEM, "code": "4"},
            },
            {
                "type": {"system": ENTITY_SYSTEM, "code": "4"},
                "description": "What else is known of the request",
                "detail": [
                    detail_of("action", "search"),
                    detail_of("type", "Patient"),
                    detail_of("client_address", "192.0.2.7"),
                    detail_of("duration_us", "5"),
                    detail_of("query", "Patient?family"),
                    detail_of("reasons", "value"),
                    detail_of("status", "200"),
                ]
            },
        ]
    });
    assert_eq!(event(&row("search", "refused", Some("Patient"), detail)), expected);
}

#[test]
fn a_read_with_a_token_names_client_user_organisation_purpose_and_levels() {
    let detail = r#"{"status":200,"client_id":"c1","client_address":"192.0.2.7","organization_id":"https://o.example","purposes":["urn:oid:2.16.840.1.113883.5.8#TREAT","T-IAS","as agreed"],"user":"u1","identity_level":"http://udap.org/code/id/idial1.8","authentication_level":"http://udap.org/code/auth/aal2","records":["p1"]}"#;
    let event = event(&row("read", "success", Some("Patient"), detail));
    assert!(event["meta"]["profile"][0].as_str().is_some_and(|url| url.ends_with("IHE.BasicAudit.PatientRead")));
    let agents = event["agent"].as_array().expect("agents");
    let who = |at: usize| agents[at]["who"]["identifier"]["value"].as_str().unwrap_or_default();
    let kind = |at: usize, coding: usize| agents[at]["type"]["coding"][coding]["code"].as_str().unwrap_or_default();
    assert_eq!((kind(0, 0), who(0), &agents[0]["requestor"]), ("110152", "c1", &json!(false)));
    assert_eq!((kind(1, 0), agents.len()), ("110153", 4));
    assert_eq!((kind(2, 0), kind(2, 1), who(2)), ("IRCP", "UserOauthAgent", "u1"));
    assert_eq!((kind(3, 0), who(3)), ("UserOrganization", "https://o.example"));
    let levels: Vec<&Json> =
        agents[2]["extension"].as_array().expect("levels").iter().map(|one| &one["valueCodeableConcept"]).collect();
    assert_eq!(levels[0]["coding"][0]["code"], "http://udap.org/code/id/idial1.8");
    assert_eq!(levels[1]["coding"][0]["code"], "http://udap.org/code/auth/aal2");
    let purposes = json!([
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}]},
        {"coding": [{"system": "urn:oid:2.16.840.1.113883.3.7204.1.5.2.1", "code": "T-IAS"}]},
        {"text": "as agreed"},
    ]);
    assert_eq!((&event["purposeOfEvent"], &agents[2]["purposeOfUse"]), (&purposes, &purposes));
    // BALP PatientRead has the record twice: as the person, and as what was read.
    let of_record: Vec<&Json> = event["entity"]
        .as_array()
        .expect("entities")
        .iter()
        .filter(|entity| entity["what"]["reference"] == "Patient/p1")
        .map(|entity| &entity["role"]["code"])
        .collect();
    assert_eq!(of_record, [&json!("1"), &json!("4")]);
}

#[test]
fn every_action_is_an_event_of_its_kind() {
    for (action, system, code, subtypes, letter) in [
        ("read", TYPE_SYSTEM, "rest", vec!["read"], "R"),
        ("create", TYPE_SYSTEM, "rest", vec!["create"], "C"),
        ("delete", TYPE_SYSTEM, "rest", vec!["delete"], "D"),
        ("match", TYPE_SYSTEM, "rest", vec!["operation", "match"], "E"),
        ("merge", TYPE_SYSTEM, "rest", vec!["operation", "merge"], "E"),
        ("load", DICOM, "110107", vec!["load"], "C"),
        ("backup", DICOM, "110106", vec!["backup"], "R"),
        ("train", DICOM, "110100", vec!["train"], "E"),
    ] {
        let event = event(&row(action, "success", None, "{}"));
        assert_eq!((&event["type"]["system"], &event["type"]["code"]), (&json!(system), &json!(code)), "{action}");
        let of_event: Vec<&str> =
            event["subtype"].as_array().expect("a list").iter().filter_map(|one| one["code"].as_str()).collect();
        assert_eq!((of_event, &event["action"]), (subtypes, &json!(letter)), "{action}");
    }
}

#[test]
fn an_event_shown_to_one_person_names_nobody_else() {
    let row = row("match", "success", Some("Patient"), r#"{"records":["mine","other"]}"#);
    let mine = BTreeSet::from(["Patient/mine".to_owned()]);
    let text = render(&row, RECORDED, &OBSERVER, Shown::Only(&mine)).expect("JSON");
    assert!(text.contains("Patient/mine") && !text.contains("other") && text.contains("SUBSETTED"), "{text}");
}
