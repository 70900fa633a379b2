//! Two hundred marked values through every route, method and error of the real server, and through its crash: none of them
//! may be in its log at TRACE, its metrics, its audit, its refusals, or in what the database shows of its statements.
//!
//! Marks look like what they stand for (names, dates, phones, identifiers, tokens, passwords in URLs, …) and like nothing
//! that the server makes itself. Not here: what is stored because it was asked to be, and what reading it gives back.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::database::Database;
use crate::program::{PATIENCE, Server};

on_both_databases! {
    no_value_that_was_received_is_told_anywhere,
}

const MARKS: usize = 200;
const PROFILE: &str = "http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L0";

/// What a mark stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Family,
    Given,
    Date,
    Phone,
    Email,
    Identifier,
    Street,
    Token,
    Password,
    Word,
}

const KINDS: [Kind; 10] = [
    Kind::Family,
    Kind::Given,
    Kind::Date,
    Kind::Phone,
    Kind::Email,
    Kind::Identifier,
    Kind::Street,
    Kind::Token,
    Kind::Password,
    Kind::Word,
];

fn mark(kind: Kind, number: usize) -> String {
    match kind {
        Kind::Family => format!("Zquvfam{number:03}"),
        Kind::Given => format!("Zquvgiv{number:03}"),
        Kind::Date => format!("19{:02}-{:02}-{:02}", number / 2 % 80, number % 9 + 4, number % 17 + 11),
        Kind::Phone => format!("907555{:04}", 7000 + number),
        Kind::Email => format!("zquvmail{number:03}@post.example"),
        Kind::Identifier => format!("ZQUVID{number:03}X"),
        Kind::Street => format!("{number} Zquvstreet{number:03}"),
        Kind::Token => format!("zquvtoken{number:03}.payload.sign"),
        Kind::Password => format!("http://zquvuser:zquvpass{number:03}@zquvhost.example/fhir"),
        Kind::Word => format!("zquvword{number:03}"),
    }
}

/// Hands out each mark in turn.
struct Marks {
    of_kind: BTreeMap<Kind, Vec<String>>,
    next: AtomicUsize,
}

impl Marks {
    fn new() -> Self {
        let mut of_kind: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
        for number in 0..MARKS {
            let kind = KINDS[number % KINDS.len()];
            of_kind.entry(kind).or_default().push(mark(kind, number));
        }
        Self { of_kind, next: AtomicUsize::new(0) }
    }

    fn get(&self, kind: Kind) -> &str {
        let of_kind = &self.of_kind[&kind];
        &of_kind[self.next.fetch_add(1, Ordering::Relaxed) % of_kind.len()]
    }

    fn any(&self) -> &str {
        self.get(KINDS[self.next.load(Ordering::Relaxed) * 7 % KINDS.len()])
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        self.of_kind.values().flatten().map(String::as_str)
    }

    /// The marks that a text holds; of a password in a URL the password is enough.
    fn within(&self, text: &str) -> Vec<&str> {
        let text = text.to_ascii_lowercase();
        let told = |mark: &&str| {
            let mark = mark.to_ascii_lowercase();
            let part = mark.split_once("zquvuser:").map_or(mark.as_str(), |(_, rest)| &rest[..11]);
            text.contains(part)
        };
        self.all().filter(told).collect()
    }

    fn patient(&self) -> Value {
        json!({
            "resourceType": "Patient",
            "meta": {"profile": [PROFILE]},
            "identifier": [{
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
                "system": "urn:oid:2.16.840.1.113883.19.5",
                "value": self.get(Kind::Identifier),
            }],
            "name": [{"family": self.get(Kind::Family), "given": [self.get(Kind::Given)]}],
            "telecom": [
                {"system": "phone", "value": self.get(Kind::Phone)},
                {"system": "email", "value": self.get(Kind::Email)},
            ],
            "gender": "female",
            "birthDate": self.get(Kind::Date),
            "address": [{"line": [self.get(Kind::Street)], "city": self.get(Kind::Word), "postalCode": "43004"}],
        })
    }
}

struct Answer {
    status: u16,
    body: String,
}

/// One request on a connection of its own, as it stands here.
fn ask(address: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    let mut answer = Vec::new();
    if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_ok() {
        let _ = stream.read_to_end(&mut answer);
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Answer { status, body: text }
}

const JSON: (&str, &str) = ("Content-Type", "application/fhir+json");

/// Method and path of everything that is served, as the OpenAPI document has it.
fn served(address: &str) -> Vec<(String, String)> {
    let answer = ask(address, "GET", "/openapi.json", &[], b"");
    let document: Value = serde_json::from_str(answer.body.split_once("\r\n\r\n").unwrap().1).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &Value)| -> Vec<(String, String)> {
        methods.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())).collect()
    };
    paths.iter().flat_map(of_path).collect()
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Bodies that hold marks: whole, broken, of another shape.
fn bodies(marks: &Marks) -> Vec<Vec<u8>> {
    let patient = marks.patient();
    let with = |member: &str, value: Value| {
        let mut changed = marks.patient();
        changed[member] = value;
        changed
    };
    let parameters = |list: Value| json!({"resourceType": "Parameters", "parameter": list});
    let entry = |method: &str, url: String, resource: Value| json!({"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": method, "url": url}, "resource": resource}]});
    let values = vec![
        patient.clone(),
        with("gender", json!(marks.any())),
        with("birthDate", json!(format!("{}T99", marks.get(Kind::Date)))),
        with(marks.get(Kind::Word), json!(1)),
        with("name", json!(marks.get(Kind::Family))),
        with("active", json!(marks.get(Kind::Word))),
        with("id", json!(format!("{} {}", marks.get(Kind::Given), marks.get(Kind::Family)))),
        with("resourceType", json!(marks.get(Kind::Word))),
        with("link", json!([{"other": {"reference": marks.get(Kind::Password)}, "type": marks.get(Kind::Word)}])),
        with("managingOrganization", json!({"reference": format!("Organization/{}", marks.get(Kind::Street))})),
        with("meta", json!({"profile": [marks.get(Kind::Password)], "lastUpdated": marks.get(Kind::Date)})),
        with("contained", json!([{"resourceType": marks.get(Kind::Word)}])),
        parameters(json!([{"name": "IDIPatient", "resource": patient}])),
        parameters(json!([{"name": "resource", "resource": marks.patient()}, {"name": "count", "valueInteger": -1}])),
        parameters(json!([{"name": marks.get(Kind::Word), "valueString": marks.any()}])),
        parameters(json!([{"name": "identity", "valueString": marks.get(Kind::Street)}])),
        parameters(json!([
            {"name": "patient", "valueReference": {"reference": marks.get(Kind::Password)}},
            {"name": "reason", "valueString": marks.get(Kind::Word)},
        ])),
        parameters(json!([{"name": "patient", "resource": marks.patient()}, {"name": "record", "valueId": "nobody"}])),
        entry("POST", "Patient".to_owned(), marks.patient()),
        entry("GET", format!("Patient?family={}", marks.get(Kind::Family)), Value::Null),
        entry("PUT", format!("Patient?identifier={}&{}=1", marks.any(), marks.get(Kind::Word)), marks.patient()),
        entry("DELETE", marks.get(Kind::Password).to_owned(), Value::Null),
        entry(marks.get(Kind::Word), format!("Patient/{}", marks.get(Kind::Street)), Value::Null),
        json!([{"op": "replace", "path": format!("/{}", marks.get(Kind::Word)), "value": marks.any()}]),
        json!([{"op": marks.get(Kind::Word), "path": "/name/0/family", "value": marks.get(Kind::Family)}]),
        json!(marks.any()),
    ];
    let mut bodies: Vec<Vec<u8>> = values.iter().map(|value| value.to_string().into_bytes()).collect();
    let text = marks.patient().to_string();
    bodies.push(text.as_bytes()[..text.len() - 9].to_vec());
    bodies.push(format!("{{\"{0}\":1,\"{0}\":2}}", marks.get(Kind::Family)).into_bytes());
    bodies.push([marks.get(Kind::Given).as_bytes(), &[0xff, 0xfe]].concat());
    bodies.push(format!("family={}&{}={}", marks.get(Kind::Family), marks.get(Kind::Word), marks.any()).into_bytes());
    bodies
}

/// Header lines that hold marks.
fn headers(marks: &Marks) -> Vec<(&'static str, String)> {
    vec![
        ("Authorization", format!("Bearer {}", marks.get(Kind::Token))),
        ("Authorization", format!("Basic {}", marks.get(Kind::Token))),
        ("X-Request-Id", marks.get(Kind::Word).to_owned()),
        ("If-Match", format!("W/\"{}\"", marks.get(Kind::Word))),
        ("If-None-Match", marks.get(Kind::Word).to_owned()),
        ("If-Modified-Since", marks.get(Kind::Date).to_owned()),
        ("If-None-Exist", format!("identifier={}&{}=2", marks.get(Kind::Identifier), marks.get(Kind::Word))),
        ("Prefer", format!("return={}, handling={}", marks.get(Kind::Word), marks.get(Kind::Word))),
        ("Accept", format!("application/{}", marks.get(Kind::Word))),
        ("Cookie", format!("session={}", marks.get(Kind::Token))),
        ("User-Agent", marks.get(Kind::Given).to_owned()),
        ("Referer", marks.get(Kind::Password).to_owned()),
        ("X-Forwarded-For", marks.get(Kind::Word).to_owned()),
        ("Traceparent", marks.get(Kind::Word).to_owned()),
        ("Content-Encoding", marks.get(Kind::Word).to_owned()),
    ]
}

/// Search parameters with marks, known and unknown, with values of their kind and of another.
fn queries(marks: &Marks) -> Vec<String> {
    let pair = |name: &str, kind: Kind| format!("{name}={}", encoded(marks.get(kind)));
    vec![
        pair("family", Kind::Family),
        pair("name:contains", Kind::Given),
        pair("birthdate", Kind::Date),
        pair("birthdate", Kind::Word),
        pair("telecom", Kind::Phone),
        pair("email", Kind::Email),
        pair("identifier", Kind::Identifier),
        pair("identifier", Kind::Password),
        pair("address", Kind::Street),
        pair("organization", Kind::Password),
        pair("_id", Kind::Street),
        pair("_sort", Kind::Word),
        pair("_include", Kind::Word),
        pair("_page", Kind::Token),
        pair("_count", Kind::Word),
        pair("_format", Kind::Word),
        pair("_since", Kind::Date),
        pair("_elements", Kind::Word),
        pair("patient", Kind::Password),
        pair("identity", Kind::Street),
        pair("date", Kind::Word),
        pair("profile", Kind::Password),
        format!("{}={}", encoded(marks.get(Kind::Word)), encoded(marks.any())),
        format!("family:{}=x", marks.get(Kind::Word)),
        format!("{}&%zz={}", marks.get(Kind::Family), marks.get(Kind::Given)),
        format!("access_token={}", marks.get(Kind::Token)),
    ]
}

/// What is wrong with an answer: a refusal that tells what it was given.
#[derive(Default)]
struct Told(Vec<String>);

impl Told {
    fn check(&mut self, marks: &Marks, what: &str, answer: &Answer) {
        // What was stored or asked for may be in the answer to a request that was granted.
        if answer.status < 400 {
            return;
        }
        let within = marks.within(&answer.body);
        if !within.is_empty() {
            self.0.push(format!("{what} {}: {within:?} in {}", answer.status, answer.body));
        }
    }
}

/// Everything, once; gives how many requests were answered by which status.
fn storm(address: &str, marks: &Marks, told: &mut Told) -> BTreeMap<u16, usize> {
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    let mut send = |method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]| {
        let answer = ask(address, method, target, headers, body);
        *statuses.entry(answer.status).or_default() += 1;
        told.check(marks, &format!("{method} {target} {headers:?}"), &answer);
    };
    for (at, (method, path)) in served(address).into_iter().enumerate() {
        // Types differ in little: of most of them some of everything is sent.
        let is_whole = !path.contains("/fhir/") || path.contains("/Patient") || path == "/fhir" || path == "/fhir/";
        let is_sent = |number: usize| is_whole || (number + at).is_multiple_of(7);
        // Ids are not hidden: a place that asks for one gets what can be none.
        let id = encoded(&format!("{} {}", marks.get(Kind::Given), marks.get(Kind::Family)));
        let target = path
            .replace("{id}", &id)
            .replace("{version}", marks.get(Kind::Word))
            .replace("{job}", marks.get(Kind::Word))
            .replace("{file}", marks.get(Kind::Word));
        for (_, query) in queries(marks).into_iter().enumerate().filter(|(number, _)| is_sent(*number)) {
            send(&method, &format!("{target}?{query}"), &[JSON], b"");
        }
        for (_, (name, value)) in headers(marks).into_iter().enumerate().filter(|(number, _)| is_sent(*number)) {
            send(&method, &target, &[JSON, (name, &value)], marks.patient().to_string().as_bytes());
        }
        if method != "GET" && method != "HEAD" {
            for (_, body) in bodies(marks).into_iter().enumerate().filter(|(number, _)| is_sent(*number)) {
                let content_type = match (method.as_str(), path.ends_with("_search")) {
                    ("PATCH", _) => "application/json-patch+json",
                    (_, true) => "application/x-www-form-urlencoded",
                    _ => "application/fhir+json",
                };
                send(&method, &target, &[("Content-Type", content_type)], &body);
            }
        }
    }
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "ZQUVWORD009"] {
        send(method, &format!("/fhir/{}", marks.get(Kind::Word)), &[JSON], b"{}");
        send(method, &format!("/{}?{}", marks.get(Kind::Token), marks.get(Kind::Word)), &[], b"");
        send(method, &format!("/fhir/Patient/$zquvword{:03}", 9), &[JSON], b"{}");
    }
    // A record that is there: what stands against its changes, and against those of one that is gone.
    let known = |marks: &Marks| {
        let mut patient = marks.patient();
        patient["id"] = json!("known");
        patient.to_string().into_bytes()
    };
    for header in [JSON, ("If-Match", "W/\"9\""), ("If-None-Match", "*")] {
        for _ in 0..3 {
            send("PUT", "/fhir/Patient/known", &[JSON, header], &known(marks));
            send(
                "PATCH",
                "/fhir/Patient/known",
                &[("Content-Type", "application/json-patch+json"), header],
                &bodies(marks)[23],
            );
            send(
                "POST",
                "/fhir/Patient",
                &[JSON, ("If-None-Exist", &format!("family={}", marks.get(Kind::Family)))],
                &known(marks),
            );
        }
    }
    send("DELETE", "/fhir/Patient/known", &[], b"");
    send("GET", "/fhir/Patient/known", &[], b"");
    send("GET", &format!("/fhir/Patient?family={}", "x".repeat(70_000) + marks.get(Kind::Family)), &[], b"");
    send("POST", "/fhir/Patient", &[JSON], (marks.get(Kind::Family).to_owned() + &" ".repeat(1_200_000)).as_bytes());
    statuses
}

/// The server's own log, line by line, after it has ended.
fn check_log(marks: &Marks, when: &str, lines: &[String]) {
    assert!(lines.iter().any(|line| line.contains("\"DEBUG\"") || line.contains("\"TRACE\"")), "{when}: no fine log");
    let told: Vec<&String> = lines.iter().filter(|line| !marks.within(line).is_empty()).take(5).collect();
    assert!(told.is_empty(), "{when}: the log tells {told:#?}");
}

fn check_database(marks: &Marks, database: &Database) {
    let mut selects = vec![
        "SELECT request_id || ' ' || action || ' ' || caller || ' ' || COALESCE(resource_type, '') || ' ' || detail AS value FROM audit",
        "SELECT subject AS value FROM audit_subject",
    ];
    if matches!(database, Database::Postgres(_)) {
        selects.push("SELECT query AS value FROM pg_stat_activity WHERE query IS NOT NULL");
    }
    for select in selects {
        let told: Vec<String> =
            database.texts(select).into_iter().filter(|text| !marks.within(text).is_empty()).take(5).collect();
        assert!(told.is_empty(), "{select} tells {told:#?}");
    }
}

/// Makes every use of a table fail, and takes that back.
fn without_table(database: &Database, table: &str, work: impl FnOnce()) {
    database.execute(&format!("ALTER TABLE {table} RENAME TO {table}_away"));
    work();
    database.execute(&format!("ALTER TABLE {table}_away RENAME TO {table}"));
}

fn no_value_that_was_received_is_told_anywhere(database: &Database) {
    let marks = &Marks::new();
    assert_eq!(marks.all().collect::<std::collections::BTreeSet<_>>().len(), MARKS);
    let mut told = Told::default();
    let start = || Server::start(&database.url(), &["--log-filter", "trace", "--limits-database-timeout-ms", "2000"]);
    let mut server = start();
    let statuses = storm(&server.address, marks, &mut told);
    for status in [200, 201, 400, 404, 405, 406, 412, 415, 422] {
        assert!(statuses.contains_key(&status), "no request was answered by {status}: {statuses:?}");
    }
    let metrics = ask(&server.address, "GET", "/metrics", &[], b"");
    assert!(
        metrics.status == 200 && marks.within(&metrics.body).is_empty(),
        "the metrics tell {:?}",
        marks.within(&metrics.body)
    );
    // The database fails under every kind of request.
    for table in ["search_string", "record", "audit"] {
        without_table(database, table, || {
            let failing = [
                ask(&server.address, "POST", "/fhir/Patient", &[JSON], marks.patient().to_string().as_bytes()),
                ask(&server.address, "GET", &format!("/fhir/Patient?family={}", marks.get(Kind::Family)), &[], b""),
                ask(
                    &server.address,
                    "POST",
                    "/fhir/Patient/$idi-match",
                    &[JSON],
                    marks.patient().to_string().as_bytes(),
                ),
            ];
            assert!(failing.iter().any(|answer| answer.status >= 500), "{table} is not missed");
            failing.iter().for_each(|answer| told.check(marks, table, answer));
        });
    }
    server.running.kill();
    check_log(marks, "killed", &server.running.rest());
    // What was being written is found again.
    let mut server = start();
    for _ in 0..20 {
        let answer = ask(&server.address, "POST", "/fhir/Patient", &[JSON], marks.patient().to_string().as_bytes());
        told.check(marks, "after a crash", &answer);
    }
    assert!(server.running.stop().success());
    check_log(marks, "stopped", &server.running.rest());
    check_database(marks, database);
    assert!(
        told.0.is_empty(),
        "{} refusals tell what they were given, such as {:#?}",
        told.0.len(),
        &told.0[..told.0.len().min(5)]
    );
}
