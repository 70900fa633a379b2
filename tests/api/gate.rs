//! The guarded server: tokens, scopes, and what the policy makes of matches, reads, searches and writes.

use idi_match::app::auth::clients::{self, ClientKeys, NewClient};
use idi_match::app::clock::Clock;
use idi_match::assurance::entity::EntityType;
use idi_match::assurance::facts::Consent;
use idi_match::assurance::level::{AuthenticationLevel, IdentityLevel};
use idi_match::auth::access_token::{Grant, claims_of};
use idi_match::auth::scope::Scopes;
use idi_match::auth::signing::Signer;
use idi_match::store::audit;
use serde_json::{Value, json};

use crate::answer::{Answer, MatchBundle, text};
use crate::gated::{AUDIENCE, Bearer, EVERYTHING, Guarded, ISSUER, Issuer, now_us};
use crate::people::{
    SSN, claiming, example, identifier, name, organization, parameters, stranger, telecom, with, without,
};
use crate::support::{Database, TestApp};

on_both_databases_guarded! {
    without_a_token_that_is_in_force_there_is_no_answer,
    what_the_server_says_of_itself_needs_no_token,
    every_route_wants_its_scope,
    a_match_for_treatment_is_certain_and_one,
    what_a_match_for_treatment_lacks_is_named,
    a_person_gets_one_verified_identity_or_nobody,
    what_a_personal_request_lacks_is_named,
    a_twin_who_adds_what_was_not_verified_gets_nobody,
    a_representative_needs_a_relationship_on_record,
    stored_reasons_for_nobody_look_alike,
    entries_of_a_bundle_are_judged_one_by_one,
    criteria_tell_nothing_to_whom_may_not_search,
    social_security_numbers_leave_by_no_way,
    only_what_may_be_searched_comes_along,
    an_export_needs_the_scope_of_every_type,
    stewardship_and_the_audit_have_scopes_of_their_own,
    audit_rows_say_who_asked_for_what_and_what_was_decided,
    what_is_restricted_is_there_for_the_operator_alone,
    the_label_of_now_hides_old_versions_and_tells_nothing_of_them,
    one_restricted_resource_takes_no_page_with_it,
    the_scope_to_update_reads_nothing,
    a_patch_tests_nothing_that_is_kept_back,
}

#[test]
fn golden_records_are_made_of_what_may_be_shown_on_sqlite() {
    golden_records_are_made_of_what_may_be_shown(Database::sqlite());
}

#[test]
fn golden_records_are_made_of_what_may_be_shown_on_postgres() {
    golden_records_are_made_of_what_may_be_shown(Database::postgres());
}

#[test]
fn a_token_of_this_server_opens_the_gate_until_its_client_is_disabled_on_sqlite() {
    own_token_opens_the_gate(Database::sqlite());
}

#[test]
fn a_token_of_this_server_opens_the_gate_until_its_client_is_disabled_on_postgres() {
    own_token_opens_the_gate(Database::postgres());
}

/// The whole way: a client that the operator adds, its assertion, the token endpoint, and the guard.
fn own_token_opens_the_gate(database: Database) {
    let app = TestApp::start(database, &[("server.open", "false")]);
    app.get("/Patient/p1").send().expect(401);
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let signer = Signer::from_der(key.serialized_der()).unwrap().with_kid("k1");
    let new = NewClient {
        addresses: Default::default(),
        name: "Records".to_owned(),
        scope: "system/Patient.cruds".to_owned(),
        keys: ClientKeys::Inline(json!({"keys": [signer.public_jwk()]}).to_string()),
    };
    let client = clients::add(app.config(), Clock::system(), &new).unwrap();
    let endpoint = app.at_root("/oauth/token");
    let now_s = now_us() / 1_000_000;
    let claims = json!({"iss": client.client_id, "sub": client.client_id, "aud": endpoint, "iat": now_s,
        "exp": now_s + 200, "jti": "assertion-one"});
    let assertion = signer.sign("JWT", None, claims.as_object().unwrap()).unwrap();
    let form = format!(
        "grant_type=client_credentials&scope=system%2FPatient.crus&client_assertion={assertion}&\
         client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
    );
    let issued =
        app.request("POST", &endpoint).header("Content-Type", "application/x-www-form-urlencoded").body(form.as_str());
    let issued = issued.send().expect(200).json();
    let token = format!("Bearer {}", text(&issued, "access_token"));
    let by = |method: &str, path: &str| app.request(method, path).header("Authorization", &token);
    by("PUT", "/Patient/p1").body(somebody_with_id("p1")).send().expect(201);
    for _ in 0..3 {
        by("GET", "/Patient/p1").send().expect(200);
    }
    assert_eq!(missing(&by("DELETE", "/Patient/p1").send().expect(403)), ["scope"]);
    let matched = by("POST", "/Patient/$idi-match").body(asked(&somebody(), "IDI-Patient")).send().expect(200);
    assert_eq!(matched.match_bundle().ids(), ["p1"]);
    clients::disable(app.config(), Clock::system(), &client.client_id).unwrap();
    by("GET", "/Patient/p1").send().expect(401);
}

fn challenge(answer: &Answer) -> &str {
    answer.header("www-authenticate").expect("a challenge")
}

/// The codes of what was missing.
fn missing(answer: &Answer) -> Vec<String> {
    let issues = answer.issues();
    let codings = issues.iter().map(|issue| &issue["details"]["coding"][0]);
    let of_gate = codings.filter(|coding| coding["system"] == "https://idi-match.example/CodeSystem/assurance-outcome");
    of_gate.map(|coding| text(coding, "code").to_owned()).collect()
}

pub fn last_detail(server: &Guarded) -> Value {
    let rows = audit::list_after(&mut server.app.connection(), 0, 10_000).unwrap();
    serde_json::from_str(&rows.last().unwrap().detail).unwrap()
}

/// A stored person who was verified so on that day.
pub fn verified(patient: &Value, id: &str, level: &str, date: &str) -> Value {
    let mut patient = without(patient, "meta");
    patient["id"] = json!(id);
    patient["extension"] = json!([{
        "url": "https://idi-match.example/StructureDefinition/identity-verification",
        "extension": [
            {"url": "level", "valueUri": format!("http://udap.org/code/id/{level}")},
            {"url": "date", "valueDate": date},
        ],
    }]);
    patient
}

/// A day so many days ago.
fn days_ago(days: i64) -> String {
    idi_match::app::clock::instant(now_us() - days * 86_400_000_000)[..10].to_owned()
}

pub fn recently() -> String {
    days_ago(100)
}

/// The person as an app says it.
pub fn user_of(patient: &Value) -> Value {
    let mut person = without(&without(patient, "meta"), "id");
    person["resourceType"] = json!("Person");
    person
}

fn without_a_token_that_is_in_force_there_is_no_answer(server: &Guarded) {
    let none = server.app.get("/Patient/p1").send().expect(401);
    assert_eq!(challenge(&none), "Bearer realm=\"fhir\"");
    assert_eq!(none.errors(), [("login".to_owned(), vec!["http.authorization".to_owned()])]);
    let operator = Bearer::operator(EVERYTHING);
    let good = server.issuer.issue(&operator);
    let claims = |issuer: &str, audience: &str, expires_us: i64| {
        let grant = Grant { token_id: "other".to_owned(), expires_us, ..operator.grant.clone() };
        claims_of(&grant, issuer, audience, now_us() - 60_000_000)
    };
    let signed = |typ: &str, claims| server.issuer.signer.sign(typ, None, &claims).unwrap();
    let later = now_us() + 200_000_000;
    let revoked = server.issuer.issue(&operator);
    server.issuer.revoke(&server.issuer.last_token_id());
    server.app.get("/Patient/p1").header("Authorization", "Bearer ").send().expect(401);
    let bad = [
        "nonsense".to_owned(),
        good[..good.len() - 4].to_owned(),
        Issuer::new().signer.sign("at+jwt", None, &claims(ISSUER, AUDIENCE, later)).unwrap(),
        signed("JWT", claims(ISSUER, AUDIENCE, later)),
        signed("at+jwt", claims("https://other.example", AUDIENCE, later)),
        signed("at+jwt", claims(ISSUER, "https://other.example", later)),
        signed("at+jwt", claims(ISSUER, AUDIENCE, now_us() - 1_000_000)),
        revoked,
    ];
    for token in bad {
        let answer =
            server.app.get("/Patient/p1").header("Authorization", &format!("Bearer {token}")).send().expect(401);
        assert_eq!(challenge(&answer), "Bearer realm=\"fhir\", error=\"invalid_token\"", "{token}");
        assert_eq!(missing(&answer), ["invalid-token"]);
    }
    let bearer = format!("Bearer {good}");
    let twice = server.app.get("/Patient/p1").header("Authorization", &bearer).header("Authorization", &bearer);
    twice.send().expect(401);
    server.app.get("/Patient/p1").header("Authorization", &format!("Basic {good}")).send().expect(401);
    server.app.get(&format!("/Patient/p1?access_token={good}")).send().expect(401);
    server.app.get("/Patient/p1").header("Authorization", &format!("bearer {good}")).send().expect(404);
    let short =
        Bearer { grant: Grant { expires_us: now_us() + 1_500_000, ..operator.grant.clone() }, ..operator.clone() };
    let short = format!("Bearer {}", server.issuer.issue(&short));
    let lives = || server.app.get("/Patient/p1").header("Authorization", &short).send().status;
    assert!(matches!(lives(), 404 | 401));
    server.app.wait_until("the end of a token that is remembered", |_| lives() == 401);
    let ending = server.issuer.issue(&operator);
    let id = server.issuer.last_token_id();
    let ending = format!("Bearer {ending}");
    server.app.get("/Patient/p1").header("Authorization", &ending).send().expect(404);
    server.issuer.revoke(&id);
    server.app.get("/Patient/p1").header("Authorization", &ending).send().expect(401);
}

fn what_the_server_says_of_itself_needs_no_token(server: &Guarded) {
    let statement = server.app.get("/metadata").send().expect(200).json();
    assert!(statement["rest"][0]["security"].to_string().contains("Bearer"), "{}", statement["rest"][0]["security"]);
    server.app.get("/StructureDefinition/IDI-Patient").send().expect(200);
    server.app.get("/ValueSet").send().expect(200);
    server.app.get("/metadata").header("Authorization", "Bearer nonsense").send().expect(200);
    for path in ["/livez", "/readyz"] {
        server.app.get(&server.app.at_root(path)).send().expect(200);
    }
    server.app.get("/nothing/is/at/this").send().expect(404);
}

/// Each row of the table, by HTTP: without a token, with every scope but the one that is needed, and with that one alone.
fn every_route_wants_its_scope(server: &Guarded) {
    let table = include_str!("../fixtures/access.tsv");
    for line in table.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let [method, path, kind, scope] = cells[..] else { panic!("{line}") };
        if !matches!(kind, "" | "Patient" | "Organization" | "AuditEvent" | "ValueSet" | "Observation") {
            continue;
        }
        if !path.is_empty() && !path.starts_with("/{") && !path.contains('$') && path != "/" && path != "/metadata" {
            continue;
        }
        let filled = path.replace("{type}", kind).replace("{id}", "nobody").replace("{version}", "1");
        let filled = filled.replace("{job}", "nothing").replace("{file}", "Patient-1.ndjson");
        let send = |token: Option<&Bearer>| {
            let request = match token {
                Some(bearer) => server.by(bearer, method, &filled),
                None => server.app.request(method, &filled),
            };
            let request = if method == "GET" { request } else { request.body("{}") };
            request.send()
        };
        let open = |answer: &Answer| !matches!(answer.status, 401 | 403);
        assert_eq!(send(None).status == 401, scope != "-", "{line}");
        let mut words = scope.split(' ');
        let (letters, Some(of)) = (words.next().unwrap(), words.next()) else {
            let some = send(Some(&Bearer::operator("system/Task.r")));
            assert!(open(&some) || path.contains("export"), "{line}: {}", some.text());
            continue;
        };
        let enough = send(Some(&Bearer::operator(&format!("system/{of}.{letters}"))));
        assert!(open(&enough), "{line}: {}", enough.text());
        let others: String = "cruds".chars().filter(|letter| !letters.contains(*letter)).collect();
        for scopes in [format!("system/{of}.{others}"), format!("patient/{of}.cruds"), "system/Task.cruds".to_owned()] {
            if path.ends_with("match") && scopes.starts_with("patient") {
                continue;
            }
            if of == "Organization" && scopes.starts_with("patient") && matches!(letters, "r" | "s") {
                continue;
            }
            let refused = send(Some(&Bearer::operator(&scopes)));
            assert_eq!(refused.status, 403, "{line} with {scopes}: {}", refused.text());
            assert!(challenge(&refused).starts_with("Bearer realm=\"fhir\", error=\"insufficient_scope\""));
        }
    }
}

/// Somebody as stored, and as L0 asks for: the licence differs from everybody else's.
fn somebody() -> Value {
    stranger(1)
}

pub fn asked(patient: &Value, profile: &str) -> Value {
    parameters("IDIPatient", &claiming(patient, profile), &[])
}

fn a_match_for_treatment_is_certain_and_one(server: &Guarded) {
    let patient = somebody();
    server.store(&verified(&patient, "known", "idial1.5", &recently()));
    let found = server.idi_match(&Bearer::treatment(), asked(&patient, "IDI-Patient-L0")).expect(200).match_bundle();
    assert_eq!(found.ids(), ["known"]);
    assert!(found.remark("incomplete").is_none(), "verified");
    // Only probable: names, birth date and phone.
    let less = without(&without(&patient, "identifier"), "address");
    let less = server.idi_match(&Bearer::treatment(), asked(&less, "IDI-Patient-L0")).expect(200).match_bundle();
    assert_eq!((less.ids().len(), less.remark("not-found").is_some()), (0, true), "onlyCertainMatches is applied");
    let operator = Bearer::operator("system/Patient.rs");
    let graded = without(&without(&patient, "identifier"), "address");
    let graded = server.idi_match(&operator, asked(&graded, "IDI-Patient")).expect(200).match_bundle();
    assert_eq!(graded.ids(), ["known"], "a lookup of one's own is graded");
    let base =
        server.by(&Bearer::treatment(), "POST", "/Patient/$match").body(claiming(&patient, "IDI-Patient-L0")).send();
    assert_eq!(base.expect(200).match_bundle().ids(), ["known"]);
    server.store(&verified(&patient, "known", "idial1.5", &days_ago(3 * 366 + 1)));
    let old = server.idi_match(&Bearer::treatment(), asked(&patient, "IDI-Patient-L0")).expect(200).match_bundle();
    assert_eq!((old.ids(), old.remark("incomplete").is_some()), (vec!["known"], true), "returned with a warning");
}

fn what_a_match_for_treatment_lacks_is_named(server: &Guarded) {
    let change = |change: fn(&mut Grant)| {
        let mut bearer = Bearer::treatment();
        change(&mut bearer.grant);
        bearer
    };
    let table: [(Bearer, &str, &[&str]); 9] = [
        (change(|grant| grant.entity_type = Some(EntityType::Other)), "IDI-Patient-L0", &["entity-type"]),
        (change(|grant| grant.entity_type = None), "IDI-Patient-L0", &["entity-type"]),
        (change(|grant| grant.extensions.clear()), "IDI-Patient-L0", &["statement"]),
        (change(|grant| grant.identity_level = IdentityLevel::Idial1_4), "IDI-Patient-L0", &["identity-level"]),
        (change(|grant| grant.purposes.clear()), "IDI-Patient-L0", &["purpose"]),
        (change(|grant| grant.purposes.push("HMARKT".to_owned())), "IDI-Patient-L0", &["purpose"]),
        (change(|grant| grant.purposes = vec!["PUBHLTH".to_owned()]), "IDI-Patient-L0", &["agreement"]),
        (change(|grant| grant.scopes = Scopes::parse("patient/Patient.rs").unwrap()), "IDI-Patient-L0", &["account"]),
        (Bearer::treatment(), "IDI-Patient", &["identity-level", "profile"]),
    ];
    for (bearer, profile, expected) in table {
        let answer = server.idi_match(&bearer, asked(&somebody(), profile)).expect(403);
        assert_eq!(missing(&answer).iter().filter(|code| expected.contains(&code.as_str())).count(), expected.len());
        assert!(answer.text().contains("Match request not authorized"), "{}", answer.text());
        assert_eq!(last_detail(server)["verdict"], "refuse");
    }
}

/// The person of a Consumer Match: licence, address, phone, names and birth date.
pub fn person() -> Value {
    let mut person = stranger(4);
    person["telecom"] = json!([telecom("phone", "614-555-0148"), telecom("email", "eleanor@mail.example.com")]);
    person
}

fn a_person_gets_one_verified_identity_or_nobody(server: &Guarded) {
    let person = person();
    let bearer = Bearer::personal(&user_of(&person));
    let ask = || server.idi_match(&bearer, asked(&person, "IDI-Patient-L1")).expect(200);
    assert!(ask().match_bundle().ids().is_empty(), "nobody is stored");
    let stored =
        with(&verified(&person, "me", "idial1.8", &recently()), "photo", json!([{"url": "https://photo.example"}]));
    server.store(&stored);
    let found = ask().match_bundle();
    assert_eq!(found.ids(), ["me"]);
    let me = &found.entry("me")["resource"];
    assert!(me.get("photo").is_none() && me.get("extension").is_none(), "{me}");
    assert_eq!(last_detail(server)["verdict"], "permit");
    // What nobody has verified is no part of the answer.
    server.store(&with(&without(&stored, "extension"), "id", json!("unverified")));
    assert_eq!(ask().match_bundle().ids(), ["me"]);
    assert!(ask().text().contains("\"me\"") && !ask().text().contains("unverified"));
}

fn what_a_personal_request_lacks_is_named(server: &Guarded) {
    let person = person();
    server.store(&verified(&person, "me", "idial1.8", &recently()));
    let good = Bearer::personal(&user_of(&person));
    let change = |change: fn(&mut Bearer)| {
        let mut bearer = good.clone();
        change(&mut bearer);
        bearer
    };
    let table: [(Bearer, &str); 7] = [
        (change(|bearer| bearer.grant.identity_level = IdentityLevel::Idial1_5), "identity-level"),
        (change(|bearer| bearer.grant.authentication_level = AuthenticationLevel::Aal1), "authentication-level"),
        (change(|bearer| bearer.asserted.consent = Consent::Missing), "consent"),
        (change(|bearer| bearer.asserted.users.clear()), "user"),
        (change(|bearer| drop(bearer.grant.extensions.remove("hl7-b2b-user"))), "statement"),
        (change(|bearer| drop(bearer.grant.extensions.remove("hl7-b2b"))), "statement"),
        (change(|bearer| bearer.asserted.patients = vec![user_of(&stranger(7))]), "patient"),
    ];
    for (bearer, expected) in table {
        let answer = server.idi_match(&bearer, asked(&person, "IDI-Patient-L1")).expect(403);
        assert_eq!(missing(&answer), [expected]);
        assert!(!answer.text().contains("Gwendolyn") && !answer.text().contains("614-555"), "{}", answer.text());
    }
    let signed_in_again = change(|bearer| bearer.grant.authentication_level = AuthenticationLevel::Aal1);
    let answer = server.idi_match(&signed_in_again, asked(&person, "IDI-Patient-L1")).expect(403);
    assert!(challenge(&answer).contains("insufficient_user_authentication"), "{}", challenge(&answer));
    let weak = server.idi_match(&good, asked(&person, "IDI-Patient-L0")).expect(403);
    assert_eq!(missing(&weak), ["identity-level", "profile"]);
    // Nothing but a match is for a person.
    for (method, path) in
        [("GET", "/Patient/me"), ("GET", "/Patient?family=Abernathy"), ("GET", "/Patient/me/_history")]
    {
        let answer = server.by(&good, method, path).send().expect(403);
        assert_eq!(missing(&answer), ["interaction"], "{path}");
    }
}

/// Two persons with one birth date, address and telephone; one of them is verified and asks for the other.
fn a_twin_who_adds_what_was_not_verified_gets_nobody(server: &Guarded) {
    let own = without(&person(), "identifier");
    let number = identifier("MR", "urn:oid:2.999.1", "MRN777");
    let other =
        with(&with(&own, "name", name("Sidney", text(&own["name"][0], "family"))), "identifier", json!([number]));
    server.store(&verified(&other, "twin", "idial1.8", &recently()));
    let user = user_of(&own);
    let both = json!([own["name"][0], other["name"][0]]);
    let mixed = with(&with(&own, "name", both.clone()), "identifier", other["identifier"].clone());
    let refused = |bearer: &Bearer, patient: &Value| {
        let answer = server.idi_match(bearer, asked(patient, "IDI-Patient-L1")).expect(403);
        assert_eq!(missing(&answer), ["attribute"], "{patient}");
        assert!(!answer.text().contains("MRN777") && !answer.text().contains("Sidney"), "{}", answer.text());
        assert_eq!(last_detail(server)["verdict"], "refuse");
    };
    let mut bearer = Bearer::personal(&user);
    bearer.asserted.stated_consent.policies = vec!["urn:oid:2.999.7".to_owned()];
    refused(&bearer, &mixed);
    assert_eq!(last_detail(server)["consent_policy"], json!(["urn:oid:2.999.7"]), "the authorization is recorded");
    refused(&bearer, &with(&own, "name", both.clone()));
    refused(&bearer, &with(&own, "identifier", other["identifier"].clone()));
    // An app that says both names of its user does not outweigh the identity token; nor what it says of the patient.
    let mut claimed = Bearer::personal(&with(&user, "name", both));
    claimed.asserted.users.push(user.clone());
    refused(&claimed, &mixed);
    let mut named = Bearer::personal(&user_of(&mixed));
    named.asserted.patients = vec![with(&user, "resourceType", json!("Patient"))];
    refused(&named, &mixed);
    // And as somebody else's representative, there has to be a relationship.
    let none = server.idi_match(&bearer, asked(&other, "IDI-Patient-L1")).expect(200).match_bundle();
    assert!(none.ids().is_empty());
    let of_other = Bearer::personal(&user_of(&other));
    let found = server.idi_match(&of_other, asked(&other, "IDI-Patient-L1")).expect(200).match_bundle();
    assert_eq!(found.ids(), ["twin"], "the twin is there, for the twin");
}

fn a_representative_needs_a_relationship_on_record(server: &Guarded) {
    let (patient, mut guardian) = (person(), stranger(9));
    guardian["telecom"] = json!([telecom("phone", "614-555-0191"), telecom("email", "guardian@mail.example.com")]);
    server.store(&verified(&patient, "ward", "idial1.8", &recently()));
    let bearer = Bearer::personal(&user_of(&guardian));
    let ask = || server.idi_match(&bearer, asked(&patient, "IDI-Patient-L1")).expect(200).match_bundle();
    let nobody = |reasons: &[&str]| {
        let found = ask();
        assert_eq!((found.ids().len(), found.remark("not-found").is_some()), (0, true));
        assert_eq!(last_detail(server)["missing"], json!(reasons));
    };
    nobody(&["user-not-found", "representation"]);
    server.store(&verified(&guardian, "guardian", "idial1.8", &recently()));
    nobody(&["representation"]);
    let mut related = user_of(&guardian);
    related["resourceType"] = json!("RelatedPerson");
    related["id"] = json!("as-guardian");
    related["patient"] = json!({"reference": "Patient/ward"});
    let code = |code: &str| json!([{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": code}]}]);
    server.store(&with(&related, "relationship", code("FRND")));
    nobody(&["representation"]);
    server.store(&with(&related, "relationship", code("GUARD")));
    assert_eq!(ask().ids(), ["ward"]);
    // Somebody else who is related does not make this user one.
    let other = with(&with(&related, "relationship", code("GUARD")), "name", name("Katya", "Kowalczyk"));
    server.store(&other);
    nobody(&["representation"]);
    let mut weak = Bearer::personal(&user_of(&without(&guardian, "address")));
    weak.asserted.users = vec![without(&weak.asserted.users[0], "telecom")];
    let refused = server.idi_match(&weak, asked(&patient, "IDI-Patient-L1")).expect(403);
    assert_eq!(missing(&refused), ["user"]);
}

fn stored_reasons_for_nobody_look_alike(server: &Guarded) {
    let person = person();
    let bearer = Bearer::personal(&user_of(&person));
    let ask = || {
        let answer = server.idi_match(&bearer, asked(&person, "IDI-Patient-L1")).expect(200).match_bundle();
        let mut bundle = answer.0.clone();
        bundle["entry"].as_array_mut().unwrap().retain(|entry| entry["search"]["mode"] == "outcome");
        for entry in bundle["entry"].as_array_mut().unwrap() {
            entry["fullUrl"] = json!("");
            entry["resource"]["id"] = json!("");
            entry["resource"]["issue"].as_array_mut().unwrap().iter_mut().for_each(|issue| issue["id"] = json!(""));
        }
        (answer.ids().len(), json!([bundle["entry"], bundle["total"]]).to_string())
    };
    let unknown = ask();
    assert_eq!(unknown.0, 0);
    let base = |level: &str, date: &str| verified(&person, "me", level, date);
    let table = [
        (base("idial1.4", &recently()), "stored-level"),
        (base("idial1.8", &days_ago(3 * 366 + 1)), "stored-expired"),
        (without(&base("idial1.8", &recently()), "extension"), "stored-level"),
        (with(&base("idial1.8", &recently()), "deceasedBoolean", json!(true)), "deceased"),
        (
            with(
                &base("idial1.8", &recently()),
                "meta",
                json!({"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}),
            ),
            "restricted",
        ),
    ];
    for (stored, reason) in table {
        server.store(&stored);
        let found = ask();
        assert_eq!(found, unknown, "{reason}");
        let detail = last_detail(server);
        assert_eq!((&detail["verdict"], &detail["missing"]), (&json!("withhold"), &json!([reason])));
    }
}

fn entries_of_a_bundle_are_judged_one_by_one(server: &Guarded) {
    server.store(&somebody_with_id("p1"));
    let entry = |method: &str, url: &str| json!({"request": {"method": method, "url": url}});
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [
        entry("GET", "Patient/p1"), entry("GET", "Patient?family=Ivanovich"), entry("GET", "Organization?name=x"),
        entry("DELETE", "Patient/p1"), entry("GET", "Patient/p1/_history/1"),
        {"resource": organization("o9"), "request": {"method": "POST", "url": "Organization"}},
    ]});
    let reader = Bearer::operator("system/Patient.r");
    let answered = server.by(&reader, "POST", "").body(&batch).send().expect(200).json();
    let statuses: Vec<&str> =
        answered["entry"].as_array().unwrap().iter().map(|entry| &text(&entry["response"], "status")[..3]).collect();
    assert_eq!(statuses, ["200", "403", "403", "403", "200", "403"]);
    let transaction = with(&batch, "type", json!("transaction"));
    server.by(&reader, "POST", "").body(&transaction).send().expect(403);
    server.as_operator("GET", "/Patient/p1").send().expect(200);
}

fn somebody_with_id(id: &str) -> Value {
    with(&without(&somebody(), "meta"), "id", json!(id))
}

fn criteria_tell_nothing_to_whom_may_not_search(server: &Guarded) {
    server.store(&somebody_with_id("p1"));
    let writer = Bearer::operator("system/Patient.cud system/Person.cruds");
    let criteria = "identifier=urn:oid:2.16.840.1.113883.4.3.39|SG200006";
    let create =
        server.by(&writer, "POST", "/Patient").header("If-None-Exist", criteria).body(somebody_with_id("x")).send();
    assert_eq!(missing(&create.expect(403)), ["scope"]);
    for method in ["PUT", "DELETE"] {
        let request = server.by(&writer, method, &format!("/Patient?{criteria}"));
        let request = if method == "PUT" { request.body(somebody_with_id("x")) } else { request };
        request.send().expect(403);
    }
    let referring = json!({"resourceType": "Bundle", "type": "transaction", "entry": [{
        "resource": {"resourceType": "Person", "link": [{"target": {"reference": format!("Patient?{criteria}")}}]},
        "request": {"method": "POST", "url": "Person"},
    }]});
    server.by(&writer, "POST", "").body(referring).send().expect(403);
    server.by(&writer, "POST", "/Patient").body(somebody_with_id("x")).send().expect(201);
    // Whoever matches for treatment finds nobody by criteria either.
    let treatment = Bearer {
        grant: Grant { scopes: Scopes::parse("system/*.cruds").unwrap(), ..Bearer::treatment().grant },
        ..Bearer::treatment()
    };
    for (method, path) in
        [("GET", "/Patient?family=Dragomir"), ("POST", "/Patient"), ("GET", "/Patient/_history"), ("GET", "/$export")]
    {
        let request = server.by(&treatment, method, path);
        let request = if method == "POST" { request.body(somebody_with_id("x")) } else { request };
        let refused = request.header("Prefer", "respond-async").send().expect(403);
        assert_eq!(missing(&refused), ["interaction"], "{path}");
    }
    server.by(&treatment, "GET", "/Patient/p1").send().expect(200);
}

fn social_security_numbers_leave_by_no_way(server: &Guarded) {
    const NUMBER: &str = "219-45-6789";
    let ssn = json!([{"system": SSN, "value": NUMBER}, {"system": "urn:mrn", "value": "7"}]);
    let patient = with(&somebody_with_id("p1"), "identifier", ssn.clone());
    server.store(&patient);
    server.store(&with(&example("Person", "person"), "identifier", ssn));
    let operation = json!([{"op": "add", "path": "/active", "value": true}]);
    let patched = server
        .as_operator("PATCH", "/Patient/p1")
        .header("Content-Type", "application/json-patch+json")
        .body(operation);
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "GET", "url": "Patient/p1"}}, {"request": {"method": "GET", "url": "Patient"}},
    ]});
    let unless = server.as_operator("POST", "/Patient").header("If-None-Exist", "_id=p1").body(somebody_with_id("x"));
    let answers = [
        patched.send().expect(200),
        unless.send().expect(200),
        server.as_operator("GET", "/Patient/p1").send().expect(200),
        server.as_operator("GET", "/Patient/p1/_history/1").send().expect(200),
        server.as_operator("GET", "/Patient/p1/_history").send().expect(200),
        server.as_operator("GET", "/Patient").send().expect(200),
        server.as_operator("GET", "/Person?_include=Person:link").send().expect(200),
        server.as_operator("POST", "").body(batch).send().expect(200),
    ];
    for answer in answers {
        assert!(!answer.text().contains(NUMBER), "{}", answer.text());
        assert!(answer.text().contains("\"7\""), "{}", answer.text());
    }
    let read = server.as_operator("GET", "/Patient/p1").send().expect(200).json();
    assert_eq!(read["meta"]["tag"][0]["code"], "SUBSETTED");
    server.as_operator("PUT", "/Patient/p1").body(&read).send().expect(422);
}

fn only_what_may_be_searched_comes_along(server: &Guarded) {
    server.store(&organization("o1"));
    server.store(&with(&somebody_with_id("p1"), "managingOrganization", json!({"reference": "Organization/o1"})));
    let ids = |scopes: &str, path: &str| {
        let answer = server.by(&Bearer::operator(scopes), "GET", path).send().expect(200).json();
        let bundle = MatchBundle(answer);
        let along: Vec<String> =
            bundle.entries("include").iter().map(|one| text(&one["resource"], "id").to_owned()).collect();
        (along, bundle.remark("incomplete").is_some())
    };
    let both = "system/Patient.rs system/Organization.rs";
    let all = "system/*.rs";
    for path in ["/Patient?_include=Patient:organization", "/Patient?_include=Patient:*"] {
        assert_eq!(ids(all, path), (vec!["o1".to_owned()], false), "{path}");
        assert_eq!(ids(both, path), (vec!["o1".to_owned()], true), "{path}");
        assert_eq!(ids("system/Patient.rs", path), (Vec::new(), true), "{path}");
    }
    let reverse = "/Organization?_id=o1&_revinclude=Patient:organization";
    assert_eq!(ids(both, reverse), (vec!["p1".to_owned()], true));
    assert_eq!(ids("system/Organization.rs", reverse), (Vec::new(), true));
}

fn an_export_needs_the_scope_of_every_type(server: &Guarded) {
    let begin = |scopes: &str, path: &str| {
        server.by(&Bearer::operator(scopes), "GET", path).header("Prefer", "respond-async").send()
    };
    assert_eq!(missing(&begin("system/Patient.rs", "/$export").expect(403)), ["scope"]);
    begin("system/*.rs", "/$export").expect(202);
    let job = begin("system/Patient.rs", "/$export?_type=Patient").expect(202);
    let job = job.header("content-location").unwrap().to_owned();
    let status = |scopes: &str| server.by(&Bearer::operator(scopes), "GET", &job).send().status;
    assert_eq!(status("system/Person.rs"), 403, "another token of the same client");
    assert!(matches!(status("system/Patient.rs"), 200 | 202));
    server.by(&Bearer::treatment(), "GET", &job).send().expect(404);
}

fn stewardship_and_the_audit_have_scopes_of_their_own(server: &Guarded) {
    let everything = Bearer::operator("system/*.cruds");
    server.by(&everything, "GET", "/AuditEvent").send().expect(403);
    server.by(&everything, "GET", "/Patient/$review-queue").send().expect(403);
    server.by(&everything, "POST", "/Patient/$link").body("{}").send().expect(403);
    server.by(&Bearer::operator("system/AuditEvent.rs"), "GET", "/AuditEvent").send().expect(200);
    server.by(&Bearer::operator("system/Stewardship.rs"), "GET", "/Patient/$review-queue").send().expect(200);
    server.by(&Bearer::operator("system/Stewardship.rs"), "POST", "/Patient/$link").body("{}").send().expect(403);
    server.by(&Bearer::operator("system/Stewardship.u"), "POST", "/Patient/$link").body("{}").send().expect(400);
    let scopes = Scopes::parse("system/AuditEvent.rs system/Stewardship.rus").unwrap();
    let member = Bearer { grant: Grant { scopes, ..Bearer::treatment().grant }, ..Bearer::treatment() };
    for path in ["/AuditEvent", "/Patient/$review-queue"] {
        assert_eq!(missing(&server.by(&member, "GET", path).send().expect(403)), ["interaction"], "{path}");
    }
}

fn audit_rows_say_who_asked_for_what_and_what_was_decided(server: &Guarded) {
    let person = person();
    server.store(&verified(&person, "me", "idial1.8", &recently()));
    let bearer = Bearer::personal(&user_of(&person));
    server.idi_match(&bearer, asked(&person, "IDI-Patient-L1")).expect(200);
    let detail = last_detail(server);
    let expected = [
        ("client_id", json!("client-of-an-app")),
        ("community", json!("exchange")),
        ("organization_id", json!("https://hospital.example")),
        ("entity_type", json!("individual-access")),
        ("purposes", json!(["PATRQT"])),
        ("identity_level", json!("http://udap.org/code/id/idial1.8")),
        ("authentication_level", json!("http://udap.org/code/auth/aal2")),
        ("workflows", json!(["consumer"])),
        ("verdict", json!("permit")),
        ("records", json!(["me"])),
    ];
    for (member, value) in expected {
        assert_eq!(detail[member], value, "{member}: {detail}");
    }
    assert!(detail["user"].as_str().is_some_and(|digest| digest.len() == 43), "{detail}");
    server.by(&bearer, "GET", "/Patient/me").send().expect(403);
    let detail = last_detail(server);
    assert_eq!((&detail["verdict"], &detail["missing"]), (&json!("refuse"), &json!(["interaction"])));
    assert_eq!(detail["client_id"], "client-of-an-app");
    let before = server.app.audit_rows();
    server.app.get("/Patient/me").send().expect(401);
    assert_eq!(server.app.audit_rows(), before + 1);
    let rows = audit::list_after(&mut server.app.connection(), before, 10).unwrap();
    assert_eq!((rows.len(), rows[0].caller.as_str()), (1, "anonymous"));
}

fn what_is_restricted_is_there_for_the_operator_alone(server: &Guarded) {
    let label =
        json!({"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}]});
    server.store(&with(&somebody_with_id("p1"), "meta", label));
    server.as_operator("GET", "/Patient/p1").send().expect(200);
    let asked = |method: &str, path: &str| server.by(&Bearer::treatment(), method, path);
    for path in ["/Patient/p1", "/Patient/p1/_history/1", "/Patient/p1/_history"] {
        asked("GET", path).send().expect(404);
    }
    let found = server.idi_match(&Bearer::treatment(), crate::gate::asked(&somebody(), "IDI-Patient-L0")).expect(200);
    assert!(found.match_bundle().ids().is_empty());
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "GET", "url": "Patient/p1"}}, {"request": {"method": "GET", "url": "Patient/nobody"}},
    ]});
    let answered = asked("POST", "").body(batch).send().expect(200).json();
    for entry in answered["entry"].as_array().unwrap() {
        assert_eq!(&text(&entry["response"], "status")[..3], "404");
    }
}

fn restricted(resource: &Value) -> Value {
    let label =
        json!({"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]});
    with(resource, "meta", label)
}

/// An answer but for the ids that every answer has of its own.
fn told(answer: &Answer) -> (u16, Vec<(String, Vec<String>)>, bool) {
    (answer.status, answer.errors(), answer.header("etag").is_some())
}

fn the_label_of_now_hides_old_versions_and_tells_nothing_of_them(server: &Guarded) {
    server.store(&somebody_with_id("p1"));
    server.store(&restricted(&somebody_with_id("p1")));
    let asked = |method: &str, path: &str| server.by(&Bearer::treatment(), method, path).send();
    let hidden = || {
        for (method, rest) in [
            ("GET", ""),
            ("HEAD", ""),
            ("GET", "/_history/1"),
            ("HEAD", "/_history/1"),
            ("GET", "/_history/2"),
            ("GET", "/_history"),
            ("POST", "/$validate?mode=delete"),
            ("POST", "/$validate?mode=profile&profile=IDI-Patient"),
        ] {
            let found = asked(method, &format!("/Patient/p1{rest}"));
            assert_eq!(found.status, 404, "{method} {rest}: {}", found.text());
            if method != "HEAD" {
                assert_eq!(told(&found), told(&asked(method, &format!("/Patient/nobody{rest}"))), "{rest}");
            }
        }
        let conditional = server.by(&Bearer::treatment(), "GET", "/Patient/p1/_history/1").header("If-None-Match", "*");
        conditional.send().expect(404);
        for (method, none_match) in [("GET", None), ("HEAD", None), ("GET", Some("*")), ("HEAD", Some("W/\"1\""))] {
            for url in ["Patient/p1", "Patient/p1/_history/1", "Patient/p1/_history/2"] {
                let mut request = json!({"method": method, "url": url});
                if let Some(etags) = none_match {
                    request["ifNoneMatch"] = json!(etags);
                }
                let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [{"request": request}]});
                let answered = server.by(&Bearer::treatment(), "POST", "").body(batch).send().expect(200).json();
                let response = &answered["entry"][0]["response"];
                assert_eq!(&text(response, "status")[..3], "404", "{method} {url}: {answered}");
                assert!(response.get("etag").is_none(), "{answered}");
            }
        }
    };
    hidden();
    server.as_operator("GET", "/Patient/p1/_history/1").send().expect(200);
    server.as_operator("DELETE", "/Patient/p1").send().expect(204);
    server.as_operator("GET", "/Patient/p1").send().expect(410);
    hidden();
    // What was never labelled is gone for everybody, and what is labelled no more is there; its labelled version is not.
    server.store(&somebody_with_id("p2"));
    server.as_operator("DELETE", "/Patient/p2").send().expect(204);
    asked("GET", "/Patient/p2").expect(410);
    server.store(&restricted(&somebody_with_id("p3")));
    server.store(&somebody_with_id("p3"));
    asked("GET", "/Patient/p3").expect(200);
    asked("GET", "/Patient/p3/_history/1").expect(404);
    let versions = asked("GET", "/Patient/p3/_history").expect(200).json();
    assert_eq!(versions["entry"].as_array().map(Vec::len), Some(1), "{versions}");
}

fn golden_records_are_made_of_what_may_be_shown(database: Database) {
    let server = Guarded::start(database, &[("match.golden_record", "true")]);
    let mail = |address: &str| json!([telecom("email", address)]);
    let patient = without(&stranger(5), "meta");
    server.store(&with(&patient, "id", json!("x1")));
    let second = with(&with(&patient, "id", json!("x2")), "telecom", mail("kept@mail.example.com"));
    server.store(&restricted(&second));
    let identity = server.as_operator("GET", "/Patient/x1/$identity").send().expect(200);
    let identity_text = identity.text();
    let (_, behind) = identity_text.split_once("\"id\":\"golden-").expect("a golden record");
    let id = format!("golden-{}", behind.split('"').next().unwrap());
    assert!(identity.text().contains("kept@mail.example.com"), "{}", identity.text());
    let path = format!("/Patient/{id}");
    let whole = server.as_operator("GET", &path).send().expect(200);
    assert!(whole.text().contains("kept@mail.example.com") && whole.text().contains("Patient/x2"), "{}", whole.text());
    let read = server.by(&Bearer::treatment(), "GET", &path).send().expect(200);
    let found = server.idi_match(&Bearer::treatment(), asked(&patient, "IDI-Patient-L0")).expect(200);
    assert_eq!(found.match_bundle().ids(), ["x1", id.as_str()]);
    for answer in [read, found] {
        assert!(answer.text().contains("Patient/x1"), "{}", answer.text());
        assert!(!answer.text().contains("kept@mail") && !answer.text().contains("x2"), "{}", answer.text());
    }
    server.store(&restricted(&with(&patient, "id", json!("x1"))));
    server.by(&Bearer::treatment(), "GET", &path).send().expect(404);
    let nobody = server.idi_match(&Bearer::treatment(), asked(&patient, "IDI-Patient-L0")).expect(200);
    assert!(nobody.match_bundle().ids().is_empty() && !nobody.text().contains("golden-"), "{}", nobody.text());
}

fn one_restricted_resource_takes_no_page_with_it(server: &Guarded) {
    server.store(&organization("o1"));
    server.store(&restricted(&with(&organization("o2"), "partOf", json!({"reference": "Organization/o3"}))));
    server.store(&organization("o3"));
    let ids = |bundle: &Value| {
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        let found = entries.iter().filter(|one| one["search"]["mode"] != "outcome");
        let mut ids: Vec<String> = found.map(|one| text(&one["resource"], "id").to_owned()).collect();
        ids.sort_unstable();
        ids
    };
    let get = |path: &str| server.by(&Bearer::treatment(), "GET", path).send().expect(200).json();
    let page = get("/Organization?_id=o1,o2,o3");
    assert_eq!((ids(&page), &page["total"]), (vec!["o1".to_owned(), "o3".to_owned()], &json!(2)));
    let none = get("/Organization?_id=o2&_include=Organization:partof");
    assert_eq!((ids(&none).len(), &none["total"]), (0, &json!(0)), "nothing comes along with it either");
    for (path, total) in [("/Organization?_id=o2&_summary=count", 0), ("/Organization?_count=1&_total=accurate", 3)] {
        assert_eq!(get(path)["total"], json!(total), "what is hidden is not counted: {path}");
    }
    let first = get("/Organization?_id=o1,o2,o3&_count=2");
    assert_eq!((ids(&first), &first["total"]), (vec!["o1".to_owned(), "o3".to_owned()], &json!(2)), "no short page");
    assert_eq!(MatchBundle(first).link("next"), None, "and no next one for what is hidden");
    assert_eq!(ids(&get("/Organization/_history?_count=2")).len(), 2);
    assert_eq!(ids(&get("/Organization/_history")), ["o1", "o3", "responder"]);
    for kind in ["transaction", "batch"] {
        let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": [
            {"request": {"method": "GET", "url": "Organization?_id=o1,o2"}},
        ]});
        let answered = server.by(&Bearer::treatment(), "POST", "").body(bundle).send().expect(200).json();
        assert_eq!(ids(&answered["entry"][0]["resource"]), ["o1"], "{answered}");
    }
    let whole = server.as_operator("GET", "/Organization?_id=o1,o2,o3").send().expect(200).json();
    assert_eq!((ids(&whole).len(), &whole["total"]), (3, &json!(3)));
}

fn patched(server: &Guarded, scopes: &str, operations: Value) -> Answer {
    let request = server.by(&Bearer::operator(scopes), "PATCH", "/Patient/p1");
    let request =
        request.header("Content-Type", "application/json-patch+json").header("Prefer", "return=representation");
    request.body(operations).send()
}

fn the_scope_to_update_reads_nothing(server: &Guarded) {
    server.store(&somebody_with_id("p1"));
    let activate = || json!([{"op": "add", "path": "/active", "value": true}]);
    let answer = patched(server, "system/Patient.u", activate()).expect(200);
    assert_eq!((answer.text().as_str(), answer.header("preference-applied")), ("", Some("return=minimal")));
    let bundle = |kind: &str| {
        json!({"resourceType": "Bundle", "type": kind, "entry": [{
            "resource": somebody_with_id("p1"),
            "request": {"method": "PUT", "url": "Patient/p1"},
        }]})
    };
    for kind in ["batch", "transaction"] {
        for (scopes, is_sent) in [("system/Patient.cu", false), ("system/Patient.cru", true)] {
            let request = server.by(&Bearer::operator(scopes), "POST", "").header("Prefer", "return=representation");
            let answered = request.body(bundle(kind)).send().expect(200).json();
            assert_eq!(answered["entry"][0]["response"]["status"].as_str().map(|status| &status[..3]), Some("200"));
            assert_eq!(answered["entry"][0].get("resource").is_some(), is_sent, "{scopes}: {answered}");
        }
    }
    let both = patched(server, "system/Patient.ru", activate()).expect(200);
    assert!(both.text().contains("birthDate"), "{}", both.text());
    let put = server.by(&Bearer::operator("system/Patient.cu"), "PUT", "/Patient/p1").body(somebody_with_id("p1"));
    assert_eq!(put.send().expect(200).text(), "");
}

fn a_patch_tests_nothing_that_is_kept_back(server: &Guarded) {
    const NUMBER: &str = "219-45-6789";
    let ssn = json!([{"system": SSN, "value": NUMBER}, {"system": "urn:mrn", "value": "7"}]);
    server.store(&with(&somebody_with_id("p1"), "identifier", ssn));
    let birth_date = somebody()["birthDate"].clone();
    let test = |scopes: &str, path: &str, value: &Value| {
        patched(server, scopes, json!([{"op": "test", "path": path, "value": value}])).status
    };
    assert_eq!(test("system/Patient.ru", "/birthDate", &birth_date), 200);
    assert_eq!(test("system/Patient.ru", "/birthDate", &json!("1900-01-01")), 422);
    assert_eq!(test("system/Patient.ru", "/meta/versionId", &json!("1")), 200);
    for value in [birth_date, json!("1900-01-01")] {
        assert_eq!(test("system/Patient.u", "/birthDate", &value), 403, "without the scope to read");
    }
    for value in [NUMBER, "219-45-6780"] {
        assert_eq!(test("system/Patient.ru", "/identifier/0/value", &json!(value)), 403);
    }
    for op in ["copy", "move"] {
        let brought = json!([{"op": op, "from": "/identifier/0/value", "path": "/name/0/text"}]);
        let refused = patched(server, "system/Patient.ru", brought).expect(403);
        assert!(!refused.text().contains(NUMBER), "{}", refused.text());
    }
}
