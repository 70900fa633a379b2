//! A person's own records: `patient/` scopes with a Patient in context give what is of that patient's identity, and tell
//! nothing of anybody else.

use idi_match::assurance::level::{AuthenticationLevel, IdentityLevel};
use idi_match::auth::access_token::{Grant, Holder};
use serde_json::{Value, json};

use crate::answer::{Answer, MatchBundle, text};
use crate::gated::{Bearer, Guarded};
use crate::merge::{named, patient};
use crate::people::{organization, parameters, stranger, with, with_id, without};

on_both_databases_guarded! {
    a_person_reads_their_own_records_and_others_are_not_there,
    a_search_of_a_person_finds_counts_and_brings_along_nobody_else,
    a_person_matches_exports_decides_and_audits_nothing,
    a_person_writes_what_is_about_them_where_the_scope_says_so_and_nobody_else,
    criteria_of_a_person_find_nobody_else,
    the_identity_of_now_decides_whose_records_they_are,
    without_a_patient_in_context_or_its_levels_there_is_nothing,
    a_restricted_record_is_hidden_from_its_person_too,
    an_older_version_is_there_for_whom_it_was_about,
    somebody_of_the_workforce_is_no_system_of_the_operator,
    a_link_to_a_further_page_is_of_the_person_who_searched,
}

/// Whoever has signed in as the person of `p1`, in an app that has these scopes.
fn person(scopes: &str) -> Bearer {
    let operator = Bearer::operator(scopes);
    let grant = Grant {
        identity_level: IdentityLevel::Idial1_8,
        authentication_level: AuthenticationLevel::Aal2,
        subject: Some("account-one".to_owned()),
        patient: Some("p1".to_owned()),
        holder: Holder::Person,
        ..operator.grant
    };
    Bearer { grant, ..operator }
}

fn related(id: &str, patient: &str) -> Value {
    json!({"resourceType": "RelatedPerson", "id": id, "patient": {"reference": format!("Patient/{patient}")},
        "name": [{"family": "Helper", "given": [id]}]})
}

fn provenance(id: &str, patient: &str) -> Value {
    json!({"resourceType": "Provenance", "id": id, "target": [{"reference": format!("Patient/{patient}")}],
        "recorded": "2026-01-02T03:04:05Z", "agent": [{"who": {"display": "Somebody"}}]})
}

/// `p1` and `p2` are one person, `q1` is another; both have somebody, and something recorded about them.
fn fill(server: &Guarded) {
    let (own, other) = (without(&stranger(1), "meta"), without(&stranger(2), "meta"));
    for id in ["p1", "p2"] {
        server.store(&with(&with_id(&own, id), "managingOrganization", json!({"reference": "Organization/o1"})));
    }
    server.store(&organization("o1"));
    server.store(&with_id(&other, "q1"));
    for (id, patient) in [("r1", "p1"), ("r2", "p2"), ("r3", "q1")] {
        server.store(&related(id, patient));
    }
    server.store(&provenance("v1", "p2"));
    server.store(&provenance("v3", "q1"));
    server.store(&json!({"resourceType": "Task", "id": "t1", "status": "draft", "intent": "order",
        "for": {"reference": "Patient/p1"}}));
}

/// Status, errors with their places, version.
type Told = (u16, Vec<(String, Vec<String>)>, Option<String>);

/// An answer but for the ids that every answer has of its own.
fn told(answer: &Answer) -> Told {
    let errors = if answer.body.is_empty() { Vec::new() } else { answer.errors() };
    (answer.status, errors, answer.header("etag").map(str::to_owned))
}

fn ids(bundle: &Value, mode: &str) -> Vec<String> {
    let bundle = MatchBundle(bundle.clone());
    let mut ids: Vec<String> =
        bundle.entries(mode).iter().map(|entry| text(&entry["resource"], "id").to_owned()).collect();
    ids.sort_unstable();
    ids
}

fn a_person_reads_their_own_records_and_others_are_not_there(server: &Guarded) {
    fill(server);
    let bearer = person("patient/*.rs");
    let by = |method: &str, path: &str| server.by(&bearer, method, path).send();
    for path in ["/Patient/p1", "/Patient/p2", "/RelatedPerson/r1", "/RelatedPerson/r2", "/Provenance/v1"] {
        for rest in ["", "/_history/1", "/_history", "/$meta", "/_history/1/$meta"] {
            by("GET", &format!("{path}{rest}")).expect(200);
        }
    }
    by("GET", "/Organization/o1").expect(200);
    for (hidden, absent) in [
        ("/Patient/q1", "/Patient/nobody"),
        ("/RelatedPerson/r3", "/RelatedPerson/nobody"),
        ("/Provenance/v3", "/Provenance/nobody"),
        ("/Task/t1", "/Task/nobody"),
    ] {
        for (method, rest) in [
            ("GET", ""),
            ("HEAD", ""),
            ("GET", "/_history/1"),
            ("GET", "/_history"),
            ("GET", "/$meta"),
            ("GET", "/_history/1/$meta"),
            ("POST", "/$validate?mode=delete"),
        ] {
            let found = by(method, &format!("{hidden}{rest}"));
            assert_eq!(found.status, 404, "{method} {hidden}{rest}");
            assert_eq!(told(&found), told(&by(method, &format!("{absent}{rest}"))), "{hidden}{rest}");
        }
        let entries: Vec<Value> = [hidden, absent, "/Patient/p2"]
            .iter()
            .map(|path| json!({"request": {"method": "GET", "url": &path[1..], "ifNoneMatch": "*"}}))
            .collect();
        let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": entries});
        let answered = server.by(&bearer, "POST", "").body(batch).send().expect(200).json();
        let status = |number: usize| text(&answered["entry"][number]["response"], "status")[..3].to_owned();
        assert_eq!([status(0), status(1), status(2)], ["404", "404", "304"], "{answered}");
    }
    // What was deleted is gone for nobody of whom it cannot be said any more.
    server.as_operator("DELETE", "/Patient/q1").send().expect(204);
    assert_eq!(told(&by("GET", "/Patient/q1")), told(&by("GET", "/Patient/nobody")));
    by("GET", "/Patient/q1/_history").expect(404);
}

fn a_search_of_a_person_finds_counts_and_brings_along_nobody_else(server: &Guarded) {
    fill(server);
    // A link to somebody else leads nowhere.
    let linked = with(&related("r1", "p1"), "patient", json!({"reference": "Patient/p1"}));
    server.store(&linked);
    let bearer = person("patient/*.rs");
    let get = |path: &str| server.by(&bearer, "GET", path).send().expect(200).json();
    let family = text(&stranger(2)["name"][0], "family").to_owned();
    for (path, found, total) in [
        ("/Patient".to_owned(), vec!["p1", "p2"], 2),
        ("/Patient?_total=accurate&_sort=-family".to_owned(), vec!["p1", "p2"], 2),
        ("/Patient?_id=q1".to_owned(), vec![], 0),
        ("/Patient?_id=q1,p2".to_owned(), vec!["p2"], 1),
        (format!("/Patient?family={family}"), vec![], 0),
        (format!("/Patient?family:missing=false&name={family}"), vec![], 0),
        ("/Patient?organization=Organization/o1".to_owned(), vec!["p1", "p2"], 2),
        ("/RelatedPerson".to_owned(), vec!["r1", "r2"], 2),
        ("/RelatedPerson?patient=q1".to_owned(), vec![], 0),
        ("/Provenance?target=Patient/q1,Patient/p2".to_owned(), vec!["v1"], 1),
        ("/Task".to_owned(), vec![], 0),
        ("/Person".to_owned(), vec![], 0),
    ] {
        let page = get(&path);
        assert_eq!(
            (ids(&page, "match"), &page["total"]),
            (found.iter().map(|id| (*id).to_owned()).collect(), &json!(total)),
            "{path}"
        );
    }
    for (path, total) in [("/Patient?_summary=count", 2), ("/RelatedPerson?_summary=count&patient=q1,p1", 1)] {
        assert_eq!(get(path)["total"], json!(total), "{path}");
    }
    let first = get("/Patient?_count=1&_total=accurate");
    assert_eq!((ids(&first, "match").len(), &first["total"]), (1, &json!(2)));
    let next = MatchBundle(first).link("next").expect("another page").to_owned();
    let second = server.by(&bearer, "GET", &next).send().expect(200).json();
    assert_eq!((ids(&second, "match").len(), MatchBundle(second).link("next")), (1, None));
    for (path, along) in [
        ("/Patient?_id=p1&_include=Patient:organization", vec!["o1"]),
        ("/Patient?_revinclude=RelatedPerson:patient", vec!["r1", "r2"]),
        ("/Organization?_id=o1&_revinclude=Patient:organization", vec!["p1", "p2"]),
        (
            "/Organization?_id=o1&_revinclude=Patient:organization&_revinclude:iterate=RelatedPerson:patient",
            vec!["p1", "p2", "r1", "r2"],
        ),
        ("/Patient?_revinclude=Provenance:target&_revinclude=Task:subject", vec!["v1"]),
    ] {
        assert_eq!(ids(&get(path), "include"), along, "{path}");
    }
    let mut versions: Vec<String> = Vec::new();
    for entry in get("/Patient/_history")["entry"].as_array().unwrap() {
        versions.push(text(&entry["resource"], "id").to_owned());
    }
    versions.sort_unstable();
    assert_eq!(versions, ["p1", "p2"]);
    assert_eq!(get("/RelatedPerson/_history")["entry"].as_array().map(Vec::len), Some(2));
    assert_eq!(get("/RelatedPerson/_history?_count=1")["entry"].as_array().map(Vec::len), Some(1), "no short page");
    for kind in ["batch", "transaction"] {
        let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": [
            {"request": {"method": "GET", "url": "Patient?_id=p1,q1&_revinclude=RelatedPerson:patient"}},
        ]});
        let answered = server.by(&bearer, "POST", "").body(bundle).send().expect(200).json();
        let found = &answered["entry"][0]["resource"];
        assert_eq!((ids(found, "match"), ids(found, "include")), (vec!["p1".to_owned()], vec!["r1".to_owned()]));
    }
}

fn a_person_matches_exports_decides_and_audits_nothing(server: &Guarded) {
    fill(server);
    let bearer = person("patient/*.cruds patient/AuditEvent.rs patient/Stewardship.rus user/*.cruds");
    let asked = parameters("patient", &with_id(&stranger(1), "p1"), &[]);
    for path in ["/Patient/$idi-match", "/Patient/$match", "/Patient/$explain-match"] {
        server.by(&bearer, "POST", path).body(&asked).send().expect(403);
    }
    for (method, path) in [
        ("GET", "/$export"),
        ("GET", "/Patient/$export"),
        ("GET", "/Patient/$review-queue"),
        ("GET", "/Patient/p1/$identity"),
        ("GET", "/Patient/p1/$who-looked"),
        ("GET", "/AuditEvent"),
        ("GET", "/AuditEvent/1"),
        ("POST", "/Patient/$merge"),
    ] {
        let answer = server.by(&bearer, method, path).header("Prefer", "respond-async").body("{}").send();
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
    }
}

fn a_person_writes_what_is_about_them_where_the_scope_says_so_and_nobody_else(server: &Guarded) {
    fill(server);
    let bearer = person("patient/*.cruds");
    let by = |method: &str, path: &str, body: &Value| server.by(&bearer, method, path).body(body).send();
    let changed = with(&related("r1", "p1"), "birthDate", json!("1970-01-01"));
    by("PUT", "/RelatedPerson/r1", &changed).expect(200);
    let made = by("POST", "/RelatedPerson", &without(&related("x", "p2"), "id")).expect(201);
    assert!(made.text().contains("Patient/p2"));
    // What would be about somebody else is refused, and what is there is not told from what is not.
    for body in [related("r1", "q1"), related("r1", "nobody"), without(&related("r1", "p1"), "patient")] {
        let answer = by("PUT", "/RelatedPerson/r1", &body);
        assert!(matches!(answer.status, 400 | 403), "{}", answer.text());
    }
    by("POST", "/RelatedPerson", &without(&related("x", "q1"), "id")).expect(403);
    let both = json!({"resourceType": "Provenance", "target": [{"reference": "Patient/p1"}, {"reference": "Patient/q1"}],
        "recorded": "2026-01-02T03:04:05Z", "agent": [{"who": {"display": "Somebody"}}]});
    by("POST", "/Provenance", &both).expect(403);
    by(
        "POST",
        "/Task",
        &json!({"resourceType": "Task", "status": "draft", "intent": "order",
        "for": {"reference": "Patient/p1"}}),
    )
    .expect(403);
    let patch = json!([{"op": "add", "path": "/birthDate", "value": "1970-01-01"}]);
    let patched = |path: &str| {
        let request = server.by(&bearer, "PATCH", path).header("Content-Type", "application/json-patch+json");
        request.body(patch.to_string().as_str()).send()
    };
    patched("/RelatedPerson/r2").expect(200);
    assert_eq!(told(&patched("/RelatedPerson/r3")), told(&patched("/RelatedPerson/nobody")));
    let moved = json!([{"op": "replace", "path": "/patient/reference", "value": "Patient/q1"}]);
    let request =
        server.by(&bearer, "PATCH", "/RelatedPerson/r2").header("Content-Type", "application/json-patch+json");
    request.body(moved.to_string().as_str()).send().expect(403);
    let hidden = by("PUT", "/RelatedPerson/r3", &related("r3", "p1")).expect(404);
    assert_eq!(told(&hidden), told(&by("PUT", "/RelatedPerson/r9", &related("r9", "p1"))));
    for etag in [None, Some("W/\"1\"")] {
        let delete = |path: &str| {
            let request = server.by(&bearer, "DELETE", path);
            match etag {
                Some(etag) => request.header("If-Match", etag),
                None => request,
            }
            .send()
        };
        assert_eq!(told(&delete("/RelatedPerson/r3")), told(&delete("/RelatedPerson/nobody")), "{etag:?}");
    }
    server.as_operator("GET", "/RelatedPerson/r3").send().expect(200);
    by("DELETE", "/RelatedPerson/r2", &json!({})).expect(204);
    server.as_operator("GET", "/RelatedPerson/r2").send().expect(410);
    // Who somebody is, is not theirs to write: it would make another identity theirs.
    let own = with_id(&without(&stranger(1), "meta"), "p1");
    by("PUT", "/Patient/p1", &own).expect(403);
    by("POST", "/Patient", &without(&own, "id")).expect(403);
    by("DELETE", "/Patient/p1", &json!({})).expect(403);
    patched("/Patient/p1").expect(403);
    assert_eq!(told(&patched("/Patient/q1")), told(&patched("/Patient/nobody")));
    // In a Bundle the same.
    for (method, url, body, status) in [
        ("PUT", "RelatedPerson/r3", related("r3", "p1"), 400),
        ("PUT", "RelatedPerson/r1", related("r1", "q1"), 403),
        ("POST", "RelatedPerson", related("x", "q1"), 403),
        ("PUT", "Patient/p1", own.clone(), 403),
    ] {
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            {"resource": body, "request": {"method": method, "url": url}},
        ]});
        let answer = server.by(&bearer, "POST", "").body(bundle).send();
        assert_eq!(answer.status, status, "{method} {url}: {}", answer.text());
    }
    // And without the letters nothing at all.
    let reader = person("patient/*.rs");
    server.by(&reader, "PUT", "/RelatedPerson/r1").body(&changed).send().expect(403);
    server.by(&reader, "DELETE", "/RelatedPerson/r1").send().expect(403);
}

fn criteria_of_a_person_find_nobody_else(server: &Guarded) {
    fill(server);
    let bearer = person("patient/*.cruds");
    let new = |given: &str| {
        let mut related = without(&related("x", "p1"), "id");
        related["name"][0]["given"] = json!([given]);
        related
    };
    // Of the other person's somebody it is not told that there is one: the same as of nobody.
    let create = |criteria: &str, given: &str| {
        server.by(&bearer, "POST", "/RelatedPerson").header("If-None-Exist", criteria).body(new(given)).send()
    };
    assert_eq!(create("patient=Patient/q1", "One").status, 201);
    assert_eq!(create("patient=Patient/p2", "Two").status, 200);
    let delete = |criteria: &str| server.by(&bearer, "DELETE", &format!("/RelatedPerson?{criteria}")).send();
    assert_eq!(told(&delete("patient=q1")), told(&delete("patient=nobody")));
    server.as_operator("GET", "/RelatedPerson/r3").send().expect(200);
    let update = |id: &str| {
        let path = "/RelatedPerson?patient=nobody";
        server.by(&bearer, "PUT", path).body(related(id, "p1")).send()
    };
    assert_eq!(told(&update("r3")), told(&update("r9")), "an id that is taken looks like one that is free");
    let reference = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": {"resourceType": "RelatedPerson", "patient": {"reference": "Patient?_id=q1"}},
            "request": {"method": "POST", "url": "RelatedPerson"}},
    ]});
    server.by(&bearer, "POST", "").body(reference).send().expect(412);
}

fn the_identity_of_now_decides_whose_records_they_are(server: &Guarded) {
    fill(server);
    let bearer = person("patient/*.rs");
    let token = format!("Bearer {}", server.issuer.issue(&bearer));
    let status = |path: &str| server.app.request("GET", path).header("Authorization", &token).send().status;
    let reason = json!({"name": "reason", "valueString": "They came together."});
    let steward = |operation: &str, list: &[Value]| {
        let mut list = list.to_vec();
        list.push(reason.clone());
        let body = json!({"resourceType": "Parameters", "parameter": list});
        let done = server.as_operator("POST", &format!("/Patient/${operation}")).body(body).send().expect(200).json();
        text(named(&done, "decision")[0], "valueString").to_owned()
    };
    let pair = |other: &str| [patient("patient", "p1"), patient("other-patient", other)];
    let seen = || ["/Patient/p2", "/Patient/q1", "/RelatedPerson/r2", "/RelatedPerson/r3"].map(status);
    assert_eq!(seen(), [200, 404, 200, 404]);
    let linked = steward("link", &pair("q1"));
    assert_eq!(seen(), [200, 200, 200, 200], "merged after the token was issued");
    steward("revoke", &[json!({"name": "decision", "valueId": linked})]);
    assert_eq!(seen(), [200, 404, 200, 404], "and split again");
    steward("unlink", &pair("p2"));
    assert_eq!(seen(), [404, 404, 404, 404]);
    assert_eq!(status("/Patient/p1"), 200);
    server.as_operator("DELETE", "/Patient/p1").send().expect(204);
    assert_eq!([status("/Patient/p1"), status("/Patient/p2"), status("/RelatedPerson/r1")], [404; 3]);
}

fn without_a_patient_in_context_or_its_levels_there_is_nothing(server: &Guarded) {
    fill(server);
    let whole = person("patient/*.rs");
    let bearer = |change: fn(&mut Grant)| {
        let mut bearer = whole.clone();
        change(&mut bearer.grant);
        bearer
    };
    let refused = [
        bearer(|grant| grant.patient = None),
        bearer(|grant| grant.identity_level = IdentityLevel::Idial1_6),
        bearer(|grant| grant.authentication_level = AuthenticationLevel::Aal1),
    ];
    for bearer in &refused {
        for path in ["/Patient/p1", "/Patient", "/RelatedPerson?patient=p1", "/Patient/_history"] {
            server.by(bearer, "GET", path).send().expect(403);
        }
    }
    let unknown = bearer(|grant| grant.patient = Some("nobody".to_owned()));
    server.by(&unknown, "GET", "/Patient/p1").send().expect(404);
    assert_eq!(server.by(&unknown, "GET", "/Patient").send().expect(200).json()["total"], json!(0));
}

fn a_restricted_record_is_hidden_from_its_person_too(server: &Guarded) {
    fill(server);
    let label =
        json!({"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]});
    server.store(&with(&related("r2", "p2"), "meta", label));
    let bearer = person("patient/*.cruds");
    let by = |method: &str, path: &str, body: Value| server.by(&bearer, method, path).body(body).send();
    let page = by("GET", "/RelatedPerson", json!("")).json();
    assert_eq!((ids(&page, "match"), &page["total"]), (vec!["r1".to_owned()], &json!(1)));
    assert_eq!(
        server.by(&bearer, "GET", "/RelatedPerson/_history").send().json()["entry"].as_array().map(Vec::len),
        Some(1)
    );
    for (method, body) in [("GET", json!("")), ("DELETE", json!(""))] {
        let (hidden, absent) = (by(method, "/RelatedPerson/r2", body.clone()), by(method, "/RelatedPerson/r9", body));
        assert_eq!(told(&hidden), told(&absent), "{method}");
    }
    let put = |id: &str| by("PUT", &format!("/RelatedPerson/{id}"), related(id, "p1"));
    assert_eq!(told(&put("r2")), told(&put("r9")));
    let patched = |id: &str| {
        let request = server.by(&bearer, "PATCH", &format!("/RelatedPerson/{id}"));
        let patch = r#"[{"op":"add","path":"/birthDate","value":"1970-01-01"}]"#;
        request.header("Content-Type", "application/json-patch+json").body(patch).send()
    };
    assert_eq!(told(&patched("r2")), told(&patched("r9")));
    server.as_operator("GET", "/RelatedPerson/r2").send().expect(200);
    let along = server.by(&bearer, "GET", "/Patient?_revinclude=RelatedPerson:patient").send().json();
    assert_eq!(ids(&along, "include"), ["r1"]);
}

fn an_older_version_is_there_for_whom_it_was_about(server: &Guarded) {
    fill(server);
    server.store(&related("r3", "p1"));
    let bearer = person("patient/*.rs");
    let by = |path: &str| server.by(&bearer, "GET", path).send();
    by("/RelatedPerson/r3").expect(200);
    by("/RelatedPerson/r3/_history/2").expect(200);
    by("/RelatedPerson/r3/_history/1").expect(404);
    let versions = by("/RelatedPerson/r3/_history").expect(200).json();
    assert_eq!(versions["entry"].as_array().map(Vec::len), Some(1), "{versions}");
    server.store(&related("r1", "q1"));
    by("/RelatedPerson/r1/_history/1").expect(404);
}

fn somebody_of_the_workforce_is_no_system_of_the_operator(server: &Guarded) {
    fill(server);
    let label =
        json!({"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]});
    server.store(&with(&with_id(&without(&stranger(2), "meta"), "q1"), "meta", label));
    let operator = Bearer::operator("user/*.rs");
    let grant = Grant {
        identity_level: IdentityLevel::Idial1_8,
        authentication_level: AuthenticationLevel::Aal2,
        subject: Some("account-clerk".to_owned()),
        holder: Holder::Workforce,
        ..operator.grant
    };
    let clerk = Bearer { grant, ..operator };
    let by = |path: &str| server.by(&clerk, "GET", path).send();
    by("/Patient/p1").expect(200);
    for rest in ["", "/_history", "/_history/2", "/$meta"] {
        let (hidden, absent) = (by(&format!("/Patient/q1{rest}")), by(&format!("/Patient/nobody{rest}")));
        assert_eq!(told(&hidden), told(&absent), "{rest}");
    }
    let page = by("/Patient").expect(200).json();
    assert_eq!((ids(&page, "match"), &page["total"]), (vec!["p1".to_owned(), "p2".to_owned()], &json!(2)));
    let asked = parameters("patient", &without(&stranger(1), "id"), &[]);
    let found = server.by(&clerk, "POST", "/Patient/$match").body(asked).send().expect(200).json();
    let scores: Vec<f64> =
        found["entry"].as_array().unwrap().iter().filter_map(|one| one["search"]["score"].as_f64()).collect();
    assert!(!scores.is_empty() && scores.iter().all(|score| [0.99, 0.8, 0.7, 0.6, 0.5].contains(score)), "{scores:?}");
    server.as_operator("GET", "/Patient/q1").send().expect(200);
}

fn a_link_to_a_further_page_is_of_the_person_who_searched(server: &Guarded) {
    fill(server);
    let own = person("patient/*.rs");
    let other = |change: fn(&mut Grant)| {
        let mut bearer = own.clone();
        change(&mut bearer.grant);
        bearer
    };
    let page = server.by(&own, "GET", "/Patient?_count=1").send().expect(200).json();
    let next = MatchBundle(page).link("next").expect("another page").to_owned();
    for bearer in [
        other(|grant| grant.subject = Some("account-two".to_owned())),
        other(|grant| grant.patient = Some("p2".to_owned())),
        other(|grant| grant.patient = Some("q1".to_owned())),
    ] {
        server.by(&bearer, "GET", &next).send().expect(400);
    }
    server.by(&own, "GET", &next).send().expect(200);
}
