//! What probing meets: budgets that are shared and lasting, answers that look alike, scores without digits, an alarm.
//!
//! Not here: arithmetic (see `budget`), the store (see `tests/store`), an attacker of many days (see `scripts/measure`).

use idi_match::store::audit;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::gate::{asked, last_detail, person, recently, user_of, verified};
use crate::gated::{Bearer, Guarded};
use crate::people::{SSN, address, claiming, identifier, name, parameters, stranger, telecom, with, without};
use crate::support::Database;

/// Names the tests of this file; each gets a guarded server with these options, on either database.
macro_rules! on_both_databases_with {
    ($($test:ident: $options:expr,)+) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test(&crate::gated::Guarded::start(crate::support::Database::sqlite(), $options));
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                super::$test(&crate::gated::Guarded::start(crate::support::Database::postgres(), $options));
            })+
        }
    };
}

on_both_databases_with! {
    whoever_guesses_about_one_person_is_stopped: &[
        ("budgets.subject_failures_max", "3"), ("budgets.subject_failures_all_max", "5"),
    ],
    who_finds_somebody_is_not_charged: &[("budgets.subject_failures_max", "2")],
    a_request_with_many_values_is_many_guesses: &[("budgets.subject_failures_max", "6")],
    guesses_at_once_are_counted_like_others: &[("budgets.subject_failures_max", "3")],
    an_instance_beside_and_one_after_a_restart_know_what_was_spent: &[("budgets.client_failures_per_hour", "6")],
    a_crash_forfeits_the_lease: &[("budgets.client_failures_per_hour", "32")],
    an_organization_has_one_budget_for_all_its_clients: &[("budgets.organization_failures_per_hour", "4")],
    answers_tell_what_is_left: &[],
    a_sweep_raises_an_alarm: &[("budgets.sweep_subjects_per_minute", "5")],
    below_the_minimum_weight_nothing_is_looked_for: &[],
    nobody_looks_alike_to_an_app_byte_by_byte: &[
        ("budgets.subject_failures_max", "1000"), ("budgets.subject_failures_all_max", "1000"),
    ],
    scores_have_no_digits_for_whom_the_operator_has_not_added: &[],
    a_social_security_number_is_confirmed_whole_and_guesses_are_charged: &[("budgets.subject_failures_max", "3")],
    more_values_than_a_budget_has_are_refused_before_anything_is_looked_for: &[("budgets.subject_failures_max", "3")],
    numbers_beside_a_name_are_counted_whatever_else_is_made_up: &[("budgets.subject_failures_max", "1")],
    several_identifiers_cost_several_failures_of_the_client: &[("budgets.client_failures_per_hour", "6")],
    a_representative_is_counted_on_the_user_too: &[("budgets.subject_failures_max", "2")],
}

/// An open server counts nobody.
#[test]
fn whoever_is_at_the_machine_is_not_counted() {
    let options = [("budgets.client_requests_per_minute", "1"), ("budgets.subject_failures_max", "1")];
    let app = crate::support::TestApp::start(Database::sqlite(), &options);
    for _ in 0..5 {
        let answer = app.post("/Patient/$idi-match", asked(&stranger(1), "IDI-Patient-L0")).send().expect(200);
        assert_eq!(answer.header("ratelimit"), None);
    }
}

fn client(id: &str) -> Bearer {
    let mut bearer = Bearer::treatment();
    id.clone_into(&mut bearer.grant.client_id);
    bearer
}

/// The victim with other values of what is guessed.
fn guess(victim: &Value, number: usize) -> Value {
    let mut guessed = without(victim, "identifier");
    guessed["telecom"] = json!([telecom("phone", &format!("614-555-{number:04}"))]);
    guessed["address"] = address(&format!("{} Elm Street", 10 + number), "Columbus", "43004");
    asked(&guessed, "IDI-Patient-L0")
}

fn nobody(answer: Answer) {
    assert!(answer.expect(200).match_bundle().ids().is_empty());
}

/// The refusal, of this budget.
fn refused(answer: Answer, budget: &str) -> Answer {
    let answer = answer.expect(429);
    assert_eq!(answer.errors()[0].0, "throttled");
    let retry_after: i64 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!(retry_after >= 1);
    let expected = format!("\"{budget}\";r=0;t={retry_after}");
    assert_eq!(answer.header("ratelimit"), Some(expected.as_str()));
    assert!(answer.header("ratelimit-policy").unwrap().starts_with(&format!("\"{budget}\";q=")));
    answer
}

fn whoever_guesses_about_one_person_is_stopped(server: &Guarded) {
    let victim = stranger(1);
    server.store(&verified(&victim, "victim", "idial1.5", &recently()));
    let (first, second) = (client("first"), client("second"));
    (0..3).for_each(|number| nobody(server.idi_match(&first, guess(&victim, number))));
    // Now the right one, also under a short form, with a slip, and beside a decoy.
    let right = without(&victim, "identifier");
    let decoys = json!([{"family": "Decoy", "given": ["Xenia"]}, victim["name"][0]]);
    let slip = json!([{"family": "Dragomirr", "given": ["Bruno"]}]);
    for asked_for in [right.clone(), with(&right, "name", decoys), with(&right, "name", slip)] {
        refused(server.idi_match(&first, asked(&asked_for, "IDI-Patient-L0")), "subject-failures");
        let detail = last_detail(server);
        assert_eq!((&detail["status"], &detail["budget"]), (&json!(429), &json!("subject-failures")));
        assert_eq!((&detail["records"], &detail["identities"]), (&Value::Null, &Value::Null));
    }
    (10..12).for_each(|number| nobody(server.idi_match(&second, guess(&victim, number))));
    refused(server.idi_match(&second, guess(&victim, 13)), "subject-failures");
    nobody(server.idi_match(&first, guess(&stranger(2), 1)));
    let base = server.by(&second, "POST", "/Patient/$match").body(claiming(&right, "IDI-Patient-L0")).send();
    refused(base, "subject-failures");
}

fn who_finds_somebody_is_not_charged(server: &Guarded) {
    let patient = stranger(1);
    server.store(&verified(&patient, "known", "idial1.5", &recently()));
    let bearer = client("first");
    nobody(server.idi_match(&bearer, guess(&patient, 1)));
    for _ in 0..8 {
        let found = server.idi_match(&bearer, asked(&patient, "IDI-Patient-L0")).expect(200).match_bundle();
        assert_eq!(found.ids(), ["known"]);
    }
    nobody(server.idi_match(&bearer, guess(&patient, 2)));
    refused(server.idi_match(&bearer, guess(&patient, 3)), "subject-failures");
}

fn a_request_with_many_values_is_many_guesses(server: &Guarded) {
    let mut stuffed = without(&stranger(1), "identifier");
    let phones: Vec<Value> = (0..5).map(|at| telecom("phone", &format!("614-555-02{at:02}"))).collect();
    stuffed["telecom"] = json!(phones);
    let bearer = client("first");
    nobody(server.idi_match(&bearer, asked(&stuffed, "IDI-Patient-L0")));
    nobody(server.idi_match(&bearer, guess(&stranger(1), 1)));
    refused(server.idi_match(&bearer, guess(&stranger(1), 2)), "subject-failures");
}

fn guesses_at_once_are_counted_like_others(server: &Guarded) {
    let other = server.beside(&[("budgets.subject_failures_max", "3")]);
    let (victim, bearer) = (stranger(1), client("first"));
    let tried: Vec<u16> = std::thread::scope(|scope| {
        let ask = |number: usize| {
            let (server, bearer, victim) = (if number.is_multiple_of(2) { server } else { &other }, &bearer, &victim);
            scope.spawn(move || server.idi_match(bearer, guess(victim, number)).status)
        };
        let asked: Vec<_> = (0..16).map(ask).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(tried.iter().filter(|status| **status == 200).count(), 3, "{tried:?}");
    assert!(tried.iter().all(|status| matches!(status, 200 | 429)), "{tried:?}");
}

/// Asks for different people in vain until a budget is spent; how many there were.
fn spend(server: &Guarded, bearer: &Bearer, from: usize) -> usize {
    (from..from + 100).take_while(|number| server.idi_match(bearer, guess(&stranger(*number), 1)).status == 200).count()
}

fn an_instance_beside_and_one_after_a_restart_know_what_was_spent(server: &Guarded) {
    let options = [("budgets.client_failures_per_hour", "6")];
    let (bearer, other) = (client("first"), server.beside(&options));
    nobody(server.idi_match(&bearer, guess(&stranger(1), 1)));
    nobody(other.idi_match(&bearer, guess(&stranger(2), 1)));
    nobody(server.idi_match(&bearer, guess(&stranger(3), 1)));
    drop(other);
    let restarted = server.beside(&options);
    assert_eq!(spend(&restarted, &bearer, 10), 3, "of six");
    refused(server.idi_match(&bearer, guess(&stranger(4), 1)), "client-failures");
    refused(restarted.idi_match(&bearer, guess(&stranger(5), 1)), "client-failures");
}

fn a_crash_forfeits_the_lease(server: &Guarded) {
    let options = [("budgets.client_failures_per_hour", "32")];
    let patient = stranger(1);
    server.store(&verified(&patient, "known", "idial1.5", &recently()));
    let (bearer, crashing) = (client("first"), server.beside(&options));
    // Whoever is found is no failure: the token stays in the lease, and nothing gives it back.
    let found = crashing.idi_match(&bearer, asked(&patient, "IDI-Patient-L0")).expect(200).match_bundle();
    assert_eq!(found.ids(), ["known"]);
    drop(crashing);
    assert_eq!(spend(server, &bearer, 10), 32 - 1);
}

fn an_organization_has_one_budget_for_all_its_clients(server: &Guarded) {
    nobody(server.idi_match(&client("first"), guess(&stranger(1), 1)));
    assert_eq!(spend(server, &client("second"), 10), 3, "of four");
    refused(server.idi_match(&client("third"), guess(&stranger(2), 1)), "organization-failures");
    let mut elsewhere = client("fourth");
    elsewhere.grant.organization_id = Some("https://elsewhere.example".to_owned());
    nobody(server.idi_match(&elsewhere, guess(&stranger(3), 1)));
}

fn answers_tell_what_is_left(server: &Guarded) {
    let answer = server.idi_match(&client("first"), guess(&stranger(1), 1)).expect(200);
    let policy = r#""client-requests";q=1200;w=60, "client-failures";q=7200;w=3600"#;
    assert_eq!(answer.header("ratelimit-policy"), Some(policy));
    assert_eq!(answer.header("ratelimit"), Some(r#""client-requests";r=1199, "client-failures";r=7199"#));
    let operator = server.idi_match(&Bearer::operator("system/Patient.rs"), guess(&stranger(1), 1)).expect(200);
    assert!(operator.header("ratelimit-policy").unwrap().contains("q=120000;"), "the operator's own have more");
    server.store(&stranger(2));
    let explained = server
        .by(&Bearer::operator("system/Patient.rs"), "POST", "/Patient/$explain-match")
        .body(parameters("IDIPatient", &stranger(2), &[option_record("stranger-0002")]))
        .send();
    assert!(explained.expect(200).header("ratelimit").unwrap().contains("client-requests"));
    let read = server.as_operator("GET", "/Patient/stranger-0002").send().expect(200);
    assert_eq!(read.header("ratelimit"), None, "reading is not counted");
}

fn option_record(id: &str) -> Value {
    json!({"name": "record", "valueId": id})
}

fn a_sweep_raises_an_alarm(server: &Guarded) {
    let alarms = || {
        let rows = audit::list_after(&mut server.app.connection(), 0, 10_000).unwrap();
        rows.into_iter().filter(|row| row.action == "alarm").collect::<Vec<_>>()
    };
    let bearer = client("sweeper");
    for _ in 0..3 {
        (0..3).for_each(|number| nobody(server.idi_match(&bearer, guess(&stranger(number), 1))));
    }
    (3..5).for_each(|number| nobody(server.idi_match(&bearer, guess(&stranger(number), 1))));
    assert!(alarms().is_empty(), "the same people again are no sweep");
    nobody(server.idi_match(&bearer, guess(&stranger(5), 1)));
    let raised = alarms();
    assert_eq!(raised.len(), 2, "of the client and of its organisation");
    let detail: Value = serde_json::from_str(&raised[0].detail).unwrap();
    assert_eq!((raised[0].caller.as_str(), &detail["reasons"]), ("sweeper", &json!(["sweep"])));
    assert_eq!(detail["budget"], "client-failures");
    let metrics = server.app.get(&server.app.at_root("/metrics")).send().expect(200).text();
    assert!(metrics.contains(r#"idi_match_alarms_total{alarm="sweep",budget="client-failures"}"#), "{metrics}");
    let event = server.as_operator("GET", "/AuditEvent?subtype=alarm").send().expect(200).json();
    assert_eq!(event["total"], 2, "{event}");
    nobody(server.idi_match(&bearer, guess(&stranger(6), 1)));
    assert_eq!(alarms().len(), 2, "once a minute");
}

/// What was sent, without what is fresh in every answer: its id and its time.
fn timeless(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let body = answer.text();
    let mut words: Vec<String> = Vec::new();
    if let Some(id) = answer.header("x-request-id") {
        words.push(id.to_owned());
    }
    let json = answer.json();
    let bundle = if json["resourceType"] == "Parameters" { &json["parameter"][0]["resource"] } else { &json };
    words.extend(bundle["identifier"]["value"].as_str().map(|value| value.trim_start_matches("urn:uuid:").to_owned()));
    words.extend(bundle["timestamp"].as_str().map(str::to_owned));
    let body = words.iter().fold(body, |body, word| body.replace(word, "#"));
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id" | "content-length"))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    // What is left of budgets is less after each request.
    let of_budgets = headers.iter_mut().filter(|(name, _)| name == "ratelimit");
    of_budgets.for_each(|(_, value)| value.retain(|letter| !letter.is_ascii_digit()));
    (answer.status, headers, body)
}

fn searches(server: &Guarded) -> f64 {
    let metrics = server.app.get(&server.app.at_root("/metrics")).send().expect(200).text();
    let line = metrics.lines().find(|line| line.starts_with("idi_match_candidate_searches_total"));
    line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

fn below_the_minimum_weight_nothing_is_looked_for(server: &Guarded) {
    let light = |number: usize| without(&without(&stranger(number), "identifier"), "telecom");
    for number in 0..40 {
        server.store(&verified(&stranger(number), &format!("p{number}"), "idial1.8", &recently()));
    }
    let before = searches(server);
    for number in 0..40 {
        for (bearer, profile, lacking) in [
            (client("first"), "IDI-Patient-L0", without(&light(number), "address")),
            (Bearer::personal(&user_of(&person())), "IDI-Patient-L1", light(number)),
            (client("first"), "IDI-Patient", light(number)),
        ] {
            let absent = with(&lacking, "name", name("Absent", "Nobody"));
            let pair = [lacking, absent].map(|patient| server.idi_match(&bearer, asked(&patient, profile)));
            assert!(matches!(pair[0].status, 403 | 422), "{}", pair[0].text());
            assert_eq!(timeless(&pair[0]), timeless(&pair[1]));
            assert_eq!(pair[0].header("ratelimit"), None, "it costs nothing");
        }
    }
    assert_eq!(searches(server), before, "no index was asked");
    server.idi_match(&client("first"), asked(&stranger(1), "IDI-Patient-L0")).expect(200);
    assert!(searches(server) > before);
}

fn nobody_looks_alike_to_an_app_byte_by_byte(server: &Guarded) {
    let person = person();
    let bearer = Bearer::personal(&user_of(&person));
    let base = verified(&person, "me", "idial1.8", &recently());
    let label =
        json!({"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]});
    for (operation, given_as) in [("$idi-match", "IDIPatient"), ("$idi-match", "patient"), ("$match", "resource")] {
        let path = format!("/Patient/{operation}");
        let asked = parameters(given_as, &claiming(&person, "IDI-Patient-L1"), &[]);
        let ask = || server.by(&bearer, "POST", &path).body(&asked).send().expect(200);
        let unknown = ask();
        assert!(unknown.match_bundle().ids().is_empty());
        for (reason, stored) in [
            ("restricted", vec![with(&base, "meta", label.clone())]),
            ("deceased", vec![with(&base, "deceasedBoolean", json!(true))]),
            ("stored-level", vec![verified(&person, "me", "idial1.4", &recently())]),
            ("confidence", doubles(&base)),
        ] {
            stored.iter().for_each(|patient| server.store(patient));
            if stored.len() > 1 {
                separate(server, "me", "double");
            }
            let withheld = ask();
            let detail = last_detail(server);
            assert_eq!(detail["verdict"], "withhold", "{reason}: {detail}");
            assert_eq!(timeless(&withheld), timeless(&unknown), "{reason} by {operation}");
            stored.iter().for_each(|patient| {
                let id = patient["id"].as_str().unwrap();
                server.as_operator("DELETE", &format!("/Patient/{id}")).send().expect(204);
            });
        }
    }
}

/// Two people whom nothing that is asked for tells apart.
fn doubles(base: &Value) -> Vec<Value> {
    let bare = without(base, "identifier");
    vec![bare.clone(), with(&bare, "id", json!("double"))]
}

/// A steward says that they are two people.
fn separate(server: &Guarded, one: &str, other: &str) {
    let reference =
        |name: &str, id: &str| json!({"name": name, "valueReference": {"reference": format!("Patient/{id}")}});
    let why = json!({"name": "reason", "valueString": "two people"});
    let list = [reference("patient", one), reference("other-patient", other), why];
    let body = json!({"resourceType": "Parameters", "parameter": list});
    server.as_operator("POST", "/Patient/$unlink").body(body).send().expect(200);
}

fn scores_have_no_digits_for_whom_the_operator_has_not_added(server: &Guarded) {
    let patient = stranger(1);
    server.store(&verified(&patient, "known", "idial1.5", &recently()));
    let extensions = |bearer: &Bearer| {
        let found = server.idi_match(bearer, asked(&patient, "IDI-Patient-L0")).expect(200).match_bundle();
        let search = found.entries("match")[0]["search"].clone();
        let urls: Vec<String> =
            search["extension"].as_array().unwrap().iter().map(|one| one["url"].as_str().unwrap().to_owned()).collect();
        let attributes = search["extension"].to_string();
        (search["score"].clone(), urls.iter().any(|url| url.ends_with("match-probability")), attributes)
    };
    let (score, has_probability, attributes) = extensions(&client("first"));
    assert!([json!(0.99), json!(0.8)].contains(&score), "{score}");
    assert!(!has_probability && !attributes.contains("social_security"), "{attributes}");
    let (_, has_probability, attributes) = extensions(&Bearer::operator("system/Patient.rs"));
    assert!(has_probability && attributes.contains("social_security"), "{attributes}");
    let explain = parameters("IDIPatient", &patient, &[option_record("known")]);
    server.by(&client("first"), "POST", "/Patient/$explain-match").body(&explain).send().expect(403);
    server
        .by(&Bearer::operator("system/Patient.rs"), "POST", "/Patient/$explain-match")
        .body(&explain)
        .send()
        .expect(200);
}

/// The victim with these social security numbers; four digits are the last ones.
fn numbered(victim: &Value, numbers: &[&str]) -> Value {
    let of = |number: &&str| identifier(if number.len() == 4 { "SSN4" } else { "SS" }, SSN, number);
    with(victim, "identifier", numbers.iter().map(of).collect())
}

fn a_social_security_number_is_confirmed_whole_and_guesses_are_charged(server: &Guarded) {
    let victim = stranger(1);
    server.store(&verified(&numbered(&victim, &["219541234"]), "victim", "idial1.5", &recently()));
    let (right, guesser) = (client("right"), client("guesser"));
    let told = |bearer: &Bearer, numbers: &[&str]| {
        let answer = server.idi_match(bearer, asked(&numbered(&victim, numbers), "IDI-Patient-L0"));
        (answer.status == 200).then(|| {
            let found = answer.match_bundle();
            found.entries("match").first().map_or(Value::Null, |entry| entry["search"].clone())
        })
    };
    // Who knows the number is not charged, and neither is who sends several: none of those counts.
    for _ in 0..5 {
        assert_eq!(told(&right, &["219541234", "1234"]).unwrap()["score"], 0.99);
        assert_eq!(told(&right, &["1234", "300541234", "219541234"]), told(&right, &["9876", "1234"]));
    }
    assert_ne!(told(&right, &["9876", "1234"]), Some(Value::Null), "somebody is returned");
    // A wrong prefix, beside the right end too; one digit from the right one.
    let far = told(&guesser, &["300129876"]).expect("a guess");
    assert_eq!(told(&guesser, &["300121234", "1234"]).expect("a guess"), far);
    assert_eq!(told(&guesser, &["219541235"]).expect("a guess"), far);
    for number in ["219541234", "300129876"] {
        assert_eq!(told(&guesser, &[number]), None, "spent");
        assert_eq!(last_detail(server)["budget"], "subject-failures");
    }
}

fn more_values_than_a_budget_has_are_refused_before_anything_is_looked_for(server: &Guarded) {
    let (victim, bearer) = (stranger(1), client("first"));
    server.store(&verified(&victim, "victim", "idial1.5", &recently()));
    let phones = |count: usize| (0..count).map(|at| telecom("phone", &format!("614-555-02{at:02}"))).collect::<Value>();
    let guess = |count: usize| {
        let stuffed =
            with(&with(&without(&victim, "identifier"), "telecom", phones(count)), "gender", json!("unknown"));
        server.idi_match(
            &bearer,
            asked(&with(&stuffed, "address", address("9 Elm Street", "Troy", "43999")), "IDI-Patient-L0"),
        )
    };
    let before = searches(server);
    for _ in 0..3 {
        assert_eq!(guess(4).expect(422).errors()[0].0, "too-costly");
    }
    assert_eq!(searches(server), before, "no index was asked");
    nobody(guess(3));
    refused(guess(1), "subject-failures");
}

/// A name with numbers of a clinic, and a passport, a phone and a birth date that are made up anew each time.
fn numbers_of_a_name(number: usize, numbers: &[String]) -> Value {
    let mut list: Vec<Value> = numbers.iter().map(|one| identifier("MR", "urn:clinic", one)).collect();
    let country = [b'A' + u8::try_from(number % 26).unwrap(), b'B', b'C'].map(char::from);
    let system = format!("http://hl7.org/fhir/sid/passport-{}", String::from_iter(country));
    list.push(identifier("PPN", &system, &format!("P{:07}", 7 * number)));
    let guessed = json!({
        "resourceType": "Patient", "identifier": list, "name": name("Bruno", "Dragomir"),
        "telecom": [telecom("phone", &format!("614-555-{number:04}"))],
    });
    let birth_date = format!("{}-{:02}-09", 1930 + number % 60, 1 + number / 60);
    asked(
        &if number.is_multiple_of(2) { guessed } else { with(&guessed, "birthDate", json!(birth_date)) },
        "IDI-Patient-L0",
    )
}

fn numbers_beside_a_name_are_counted_whatever_else_is_made_up(server: &Guarded) {
    let known = with(&stranger(1), "identifier", json!([identifier("MR", "urn:clinic", "GH7700123")]));
    server.store(&verified(&with(&known, "name", name("Bruno", "Dragomir")), "known", "idial1.5", &recently()));
    let bearer = client("first");
    let guess = |number: usize, value: &str| server.idi_match(&bearer, numbers_of_a_name(number, &[value.to_owned()]));
    let found = server.idi_match(&client("other"), numbers_of_a_name(200, &["GH7700123".to_owned()])).expect(200);
    assert_eq!(found.match_bundle().ids(), ["known"], "that is what is guessed");
    // A hundred times as many as about one person.
    (0..100).for_each(|number| nobody(guess(number, &format!("GH88{number:05}"))));
    refused(guess(100, "GH7700123"), "subject-failures");
    let found = server.idi_match(&client("other"), numbers_of_a_name(202, &["GH7700123".to_owned()])).expect(200);
    assert_eq!(found.match_bundle().ids(), ["known"], "others are not refused for it");
}

fn several_identifiers_cost_several_failures_of_the_client(server: &Guarded) {
    let bearer = client("first");
    let numbers = |from: usize| (from..from + 4).map(|at| format!("GH88{at:05}")).collect::<Vec<_>>();
    let first = server.idi_match(&bearer, numbers_of_a_name(1, &numbers(0))).expect(200);
    assert!(first.header("ratelimit").unwrap().ends_with("\"client-failures\";r=2"), "{:?}", first.header("ratelimit"));
    refused(server.idi_match(&bearer, numbers_of_a_name(2, &numbers(4))), "client-failures");
    let left = server.idi_match(&bearer, numbers_of_a_name(3, &numbers(8)[..2])).expect(200);
    assert!(left.header("ratelimit").unwrap().ends_with("r=0"), "what was refused took nothing");
}

fn a_representative_is_counted_on_the_user_too(server: &Guarded) {
    // The user is looked for as well, so whoever guesses about the user is counted.
    let user = person();
    for number in 0..3 {
        let mut guessed = user.clone();
        guessed["telecom"] = json!([telecom("phone", &format!("614-555-03{number:02}"))]);
        let bearer = Bearer::personal(&user_of(&guessed));
        let answer = server.idi_match(&bearer, asked(&stranger(20 + number), "IDI-Patient-L1"));
        if number < 2 { nobody(answer) } else { drop(refused(answer, "subject-failures")) }
    }
}
