//! `onlySingleMatch`, `onlyCertainMatches`, `count` and the configured limits (IG Patient Matching, parameters).

use serde_json::{Value, json};

use crate::answer::coded;
use crate::merge::separate;
use crate::people::{address, claiming, licence, name, option, stranger, telecom, with, with_id, without};
use crate::support::TestApp;

on_both_databases! {
    a_single_match_is_returned_only_when_nobody_else_is_close,
    certain_matches_need_names_that_are_near,
    a_count_is_of_identities_and_brings_all_records_of_each,
    the_limits_of_the_configuration_are_announced_when_they_cut,
}

/// Two people whom only their licences tell apart.
fn doubles() -> [Value; 2] {
    let base = json!({
        "resourceType": "Patient",
        "name": name("Marguerite", "Lindqvist"),
        "birthDate": "1974-08-22",
        "gender": "female",
        "telecom": [telecom("phone", "614-555-0199")],
        "address": address("77 Beacon Hill Road", "Dayton", "45402"),
    });
    ["AB123456", "ZX987654"].map(|value| with_id(&with(&base, "identifier", json!([licence(value)])), value))
}

fn a_single_match_is_returned_only_when_nobody_else_is_close(app: &TestApp) {
    let single = [option("onlySingleMatch", true)];
    let alone = stranger(3);
    app.store_patient(&alone);
    for double in doubles() {
        app.store_patient(&double);
    }
    separate(app, &["AB123456"], &["ZX987654"]);
    assert_eq!(app.idi_match_with(&alone, &single).ids(), ["stranger-0003"]);
    let [first, _] = doubles();
    let whose = claiming(&without(&first, "identifier"), "IDI-Patient-L0");
    let both = app.idi_match_with(&whose, &[option("onlySingleMatch", false)]);
    assert_eq!(both.total(), 2);
    let neither = app.idi_match_with(&whose, &single);
    assert_eq!(neither.total(), 0);
    assert_eq!(neither.remark("multiple-matches").unwrap()["severity"], "information");
    let nobody = app.idi_match_with(&stranger(9), &single);
    assert_eq!(nobody.total(), 0);
    assert!(nobody.remark("multiple-matches").is_none() && nobody.remark("not-found").is_some());
}

fn certain_matches_need_names_that_are_near(app: &TestApp) {
    let certain = [option("onlyCertainMatches", true)];
    let stored = stranger(1);
    app.store_patient(&stored);
    let renamed = |given: &str, family: &str| with(&stored, "name", name(given, family));
    let named = |list: Value| with(&stored, "name", list);
    // Who asks, and whether the record is returned with and without the option.
    let table = [
        ("the same names", stored.clone(), 1, 1),
        ("one letter off", renamed("Bruno", "Dragomyr"), 1, 1),
        ("no first name", named(json!([{"family": "Dragomir"}])), 0, 1),
        ("no last name", named(json!([{"given": ["Bruno"]}])), 0, 1),
        ("no name", without(&stored, "name"), 0, 1),
        ("another last name", renamed("Bruno", "Quackenbush"), 0, 1),
    ];
    for (what, asked, with_option, without_option) in table {
        assert_eq!(app.idi_match(&asked).total(), without_option, "{what}");
        let found = app.idi_match_with(&asked, &certain);
        assert_eq!(found.total(), with_option, "{what}");
        assert!(found.entries("match").iter().all(|entry| coded(entry, "match-grade") == Some("certain")), "{what}");
        assert_eq!(found.remark("not-found").is_some(), with_option == 0, "{what}");
    }
}

fn a_count_is_of_identities_and_brings_all_records_of_each(app: &TestApp) {
    for double in doubles() {
        app.store_patient(&double);
        app.store_patient(&with_id(&double, &format!("{}-copy", double["id"].as_str().unwrap())));
    }
    separate(app, &["AB123456", "AB123456-copy"], &["ZX987654", "ZX987654-copy"]);
    let [first, _] = doubles();
    let asked = claiming(&first, "IDI-Patient-L0");
    assert_eq!(app.idi_match(&asked).total(), 4);
    for (count, total) in [(1, 2), (2, 4), (3, 4), (1000, 4)] {
        let found = app.idi_match_with(&asked, &[option("count", count)]);
        assert_eq!(found.total(), total, "{count}");
        assert_eq!(found.ids()[..2], ["AB123456", "AB123456-copy"], "the best first, its records together");
    }
}

fn the_limits_of_the_configuration_are_announced_when_they_cut(app: &TestApp) {
    for number in 0..4 {
        app.store_patient(&with_id(&stranger(1), &format!("p{number}")));
    }
    for double in doubles() {
        app.store_patient(&double);
    }
    separate(app, &["AB123456"], &["ZX987654"]);
    let whose = claiming(&without(&doubles()[0], "identifier"), "IDI-Patient-L0");
    let (few_records, few_people) =
        (app.beside(&[("match.records_per_identity_max", "3")]), app.beside(&[("match.identities_max", "1")]));
    let table = [
        (app, &stranger(1), 4, false),
        (&few_records, &stranger(1), 3, true),
        (app, &whose, 2, false),
        (&few_people, &whose, 1, true),
        (&few_people, &stranger(1), 4, false),
    ];
    for (number, (app, asked, total, is_cut)) in table.into_iter().enumerate() {
        let found = app.idi_match(asked);
        assert_eq!(found.total(), total, "{number}");
        assert_eq!(
            found.remark("incomplete").map(|issue| &issue["severity"]),
            is_cut.then_some(&json!("warning")),
            "{number}"
        );
    }
}
