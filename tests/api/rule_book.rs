//! The CMS combinations as the deciding rule-book and as a note beside the guide's grade, per request and by
//! configuration.

use serde_json::{Value, json};

use crate::answer::{MatchBundle, coded, extension};
use crate::people::{claiming, identifier, name, option, parameters, telecom, with, with_id};
use crate::support::TestApp;

on_both_databases! {
    the_request_chooses_the_rule_book,
    the_configuration_chooses_where_the_request_does_not,
    one_identity_is_certain_several_are_not_and_none_is_none,
    conflicts_of_the_guide_stand_in_the_note_when_the_combinations_decide,
    nobody_is_missed_for_a_day_a_letter_and_a_sex,
    an_identity_agrees_by_all_of_its_records,
    the_audit_tells_outcome_and_combination,
}

fn person(id: &str, given: &str, family: &str) -> Value {
    with_id(
        &json!({
            "resourceType": "Patient",
            "name": name(given, family),
            "birthDate": "2015-03-31",
            "gender": "female",
            "telecom": [telecom("phone", "614-664-0199")],
            "address": [{"line": ["77 Beacon Hill Road"], "city": "Dayton", "state": "OH", "postalCode": "45402"}],
        }),
        id,
    )
}

fn ask(app: &TestApp, patient: &Value, options: &[Value]) -> MatchBundle {
    app.idi_match_with(&claiming(patient, "IDI-Patient"), options)
}

/// First name, birth date and phone: combination 11, and a row of the guide's table only with a family name.
fn first_name_birth_date_and_phone() -> Value {
    let mut asked = person("asked", "Marzanna", "");
    asked["name"] = json!([{"given": ["Marzanna"]}]);
    asked.as_object_mut().unwrap().remove("address");
    asked.as_object_mut().unwrap().remove("id");
    asked
}

fn part<'e>(entry: &'e Value, name: &str) -> Vec<&'e str> {
    let Some(note) = extension(entry, "cms-combination") else { return Vec::new() };
    let parts = note["extension"].as_array().unwrap().iter();
    parts.filter(|part| part["url"] == name).filter_map(|part| part["valueCode"].as_str()).collect()
}

fn the_request_chooses_the_rule_book(app: &TestApp) {
    app.store_patient(&person("p1", "Marzanna", "Oduya"));
    let asked = first_name_birth_date_and_phone();
    let cms = ask(app, &asked, &[option("ruleBook", "cms")]);
    assert_eq!(cms.ids(), ["p1"]);
    let entry = cms.entry("p1");
    assert_eq!((coded(entry, "match-grade"), entry["search"]["score"].as_f64()), (Some("certain"), Some(0.99)));
    assert_eq!((part(entry, "outcome"), part(entry, "verdict")), (vec!["match"], vec!["matched"]));
    assert_eq!((part(entry, "rule"), part(entry, "fuzzy")), (vec!["11"], vec![]));
    assert_eq!(part(entry, "exact"), ["first-name", "birth-date", "phone"]);
    let note = extension(entry, "cms-combination").unwrap()["extension"].as_array().unwrap();
    let collision = note.iter().find(|part| part["url"] == "collisionProbability").unwrap();
    assert_eq!(collision["valueDecimal"].as_f64(), Some(2e-12));

    let whole = person("asked", "Marzanna", "Oduya");
    let (idi, both) = (ask(app, &whole, &[]), ask(app, &whole, &[option("ruleBook", "both")]));
    assert_eq!((idi.ids(), both.ids()), (vec!["p1"], vec!["p1"]));
    let (plain, noted) = (idi.entry("p1"), both.entry("p1"));
    assert!(extension(plain, "cms-combination").is_none());
    assert_eq!(
        (part(noted, "rule"), part(noted, "idiGrade")),
        (vec!["01"], vec![coded(plain, "match-grade").unwrap()])
    );
    for list in ["match-grade", "matched-row"] {
        assert_eq!(coded(plain, list), coded(noted, list), "the guide decides");
    }
    let base = app.post(
        "/Patient/$match",
        parameters("resource", &claiming(&asked, "IDI-Patient"), &[option("ruleBook", "cms")]),
    );
    let base = base.send().expect(200).json();
    assert_eq!(part(&base["entry"][0], "rule"), ["11"]);
    let wrong = parameters("IDIPatient", &claiming(&asked, "IDI-Patient"), &[option("ruleBook", "ours")]);
    let refused = app.post("/Patient/$idi-match", wrong).send().expect(400).errors();
    assert_eq!(refused[0].1, ["Parameters.parameter[1]"]);
}

fn the_configuration_chooses_where_the_request_does_not(app: &TestApp) {
    app.store_patient(&person("p1", "Marzanna", "Oduya"));
    let asked = person("asked", "Marzanna", "Oduya");
    for (configured, chosen, rule) in
        [("cms", None, "01"), ("both", None, "01"), ("idi", Some("cms"), "01"), ("cms", Some("idi"), "")]
    {
        let beside = app.beside(&[("match.rule_book", configured)]);
        let options: Vec<Value> = chosen.map(|code| option("ruleBook", code)).into_iter().collect();
        let found = ask(&beside, &asked, &options);
        assert_eq!(found.ids(), ["p1"]);
        assert_eq!(part(found.entry("p1"), "rule").concat(), rule, "{configured} {chosen:?}");
        let by_guide = coded(found.entry("p1"), "matched-row").is_some();
        assert_eq!(by_guide, chosen.unwrap_or(configured) != "cms", "{configured} {chosen:?}");
    }
}

fn one_identity_is_certain_several_are_not_and_none_is_none(app: &TestApp) {
    let cms = option("ruleBook", "cms");
    let single = [cms.clone(), option("onlySingleMatch", true)];
    let asked = first_name_birth_date_and_phone();
    let nobody = ask(app, &asked, std::slice::from_ref(&cms));
    assert_eq!((nobody.total(), nobody.remark("not-found").is_some()), (0, true));
    let name_alone = json!({"resourceType": "Patient", "name": name("Marzanna", "Oduya"), "birthDate": "2015-03-31"});
    let little = ask(app, &name_alone, std::slice::from_ref(&cms));
    assert_eq!(little.total(), 0);
    assert!(little.issues().iter().any(|issue| issue["diagnostics"].as_str().unwrap().contains("lacks the fields")));

    app.store_patient(&person("p1", "Marzanna", "Oduya"));
    assert_eq!(ask(app, &asked, &single).ids(), ["p1"]);
    let other = with(&person("p2", "Marzanna", "Quackenbush"), "address", json!([]));
    app.store_patient(&without_empty(&other));
    crate::merge::separate(app, &["p1"], &["p2"]);
    let several = ask(app, &asked, std::slice::from_ref(&cms));
    assert_eq!(several.total(), 2);
    for entry in several.entries("match") {
        assert_eq!((coded(entry, "match-grade"), part(entry, "outcome")), (Some("probable"), vec!["ambiguous"]));
    }
    assert!(several.remark("multiple-matches").is_some());
    let neither = ask(app, &asked, &single);
    assert_eq!((neither.total(), neither.remark("multiple-matches").is_some()), (0, true));
    let certain = ask(app, &asked, &[cms, option("onlyCertainMatches", true)]);
    assert_eq!((certain.total(), certain.remark("multiple-matches").is_some()), (0, true));
}

fn without_empty(patient: &Value) -> Value {
    let mut kept = patient.clone();
    kept.as_object_mut().unwrap().retain(|_, value| !value.as_array().is_some_and(Vec::is_empty));
    kept
}

fn conflicts_of_the_guide_stand_in_the_note_when_the_combinations_decide(app: &TestApp) {
    app.store_patient(&person("p1", "Marzanna", "Oduya"));
    let sister = person("asked", "Zoltana", "Oduya");
    let found = ask(app, &sister, &[option("ruleBook", "cms")]);
    let entry = found.entry("p1");
    assert_eq!((part(entry, "rule"), coded(entry, "match-grade")), (vec!["30"], Some("certain")));
    assert_eq!(part(entry, "idiGrade"), ["possible"]);
    assert!(part(entry, "idiConflict").contains(&"given-name"), "{entry}");
    let suffixed = |id: &str, suffix: &str| {
        with(
            &person(id, "Marzanna", "Oduya"),
            "name",
            json!([{"family": "Oduya", "given": ["Marzanna"], "suffix": [suffix]}]),
        )
    };
    app.store_patient(&suffixed("p1", "Sr"));
    let junior = suffixed("asked", "Jr");
    assert_eq!(ask(app, &junior, &[option("ruleBook", "cms")]).total(), 0);
    let noted = ask(app, &junior, &[option("ruleBook", "both")]);
    let entry = noted.entry("p1");
    assert_eq!((part(entry, "verdict"), part(entry, "idiConflict")), (vec!["suffix-veto"], vec!["suffix"]));
}

fn nobody_is_missed_for_a_day_a_letter_and_a_sex(app: &TestApp) {
    let member = identifier("MB", "urn:payer", "M77123");
    let stored = with(&person("p1", "Marzanna", "Oduya"), "identifier", json!([member.clone()]));
    app.store_patient(&stored);
    let asked = json!({
        "resourceType": "Patient", "name": [{"family": "Oduja"}], "birthDate": "2015-04-01", "gender": "male", "identifier": [member],
    });
    let found = ask(app, &asked, &[option("ruleBook", "cms")]);
    assert_eq!(found.ids(), ["p1"]);
    let entry = found.entry("p1");
    assert_eq!((part(entry, "rule"), part(entry, "fuzzy")), (vec!["24"], vec!["last-name", "birth-date"]));

    let line = |line: &str| json!([{"line": [line], "postalCode": "45402"}]);
    let asked = json!({
        "resourceType": "Patient", "name": name("Marzanna", "Eduya"), "birthDate": "2015-04-01", "gender": "male",
        "address": line("77 Beacom Hill Road"),
    });
    let found = ask(app, &asked, &[option("ruleBook", "cms")]);
    assert_eq!(found.ids(), ["p1"], "no block key but the birth date's");
    assert_eq!(part(found.entry("p1"), "fuzzy"), ["last-name", "birth-date", "street-line"]);
    assert_eq!(ask(app, &with(&asked, "birthDate", json!("2015-04-02")), &[option("ruleBook", "cms")]).total(), 0);
}

fn an_identity_agrees_by_all_of_its_records(app: &TestApp) {
    let number = |id: &str| identifier("MR", "urn:hospital", id);
    let first = with(&person("p1", "Marzanna", "Oduya"), "identifier", json!([number("H77001")]));
    app.store_patient(&first);
    let married = json!([{"family": "Quackenbush", "given": ["Marzanna"]}, {"use": "old", "family": "Oduya", "given": ["Marzanna"]}]);
    let second = with(&with_id(&first, "p2"), "name", married);
    app.store_patient(&with(&second, "telecom", json!([telecom("email", "marzanna@oduya.org")])));
    let asked = json!({
        "resourceType": "Patient", "name": [{"given": ["Marzanna"]}],
        "telecom": [telecom("email", "marzanna@oduya.org"), telecom("phone", "614-664-0199")],
        "identifier": [identifier("DL", "urn:oid:2.16.840.1.113883.4.3.39", "XX77001")], "birthDate": "2015-03-31",
    });
    let found = ask(app, &asked, &[option("ruleBook", "cms")]);
    let mut ids = found.ids();
    ids.sort_unstable();
    assert_eq!(ids, ["p1", "p2"], "both records are one identity's");
    assert_eq!(part(found.entry("p1"), "outcome"), ["match"]);
}

fn the_audit_tells_outcome_and_combination(app: &TestApp) {
    app.store_patient(&person("p1", "Marzanna", "Oduya"));
    ask(app, &first_name_birth_date_and_phone(), &[option("ruleBook", "cms")]);
    let events = app.get("/AuditEvent?_sort=-date&_count=1").send().expect(200).text();
    assert!(events.contains(r#""type":"combination","valueString":"11""#), "{events}");
    assert!(events.contains(r#""type":"combination_outcome","valueString":"match""#), "{events}");
}
