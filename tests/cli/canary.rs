//! Two hundred marked values through every route, method and error of the real server, and through its crash: none of them
//! may be in its log at TRACE, its metrics, its traces, its audit, its refusals, or in what the database shows of its statements.
//!
//! Marks look like what they stand for (names, dates, phones, identifiers, tokens, passwords in URLs, …) and like nothing
//! that the server makes itself. Not here: what is stored because it was asked to be, and what reading it gives back; people who
//! sign in (see `canary_people`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::collector::{Answers, Collector};
use crate::database::Database;
use crate::program::{PATIENCE, Server};

on_both_databases! {
    no_value_that_was_received_is_told_anywhere,
}

const MARKS: usize = 200;
const SENDERS: usize = 8;
const NAME: &str = "zquvname";
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
    /// The name of a member or a parameter: a refusal says where it was wrong, and nothing else does.
    Name,
}

const KINDS: [Kind; 11] = [
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
    Kind::Name,
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
        Kind::Name => format!("{NAME}{number:03}"),
    }
}

/// What is looked for, in lower case.
pub struct Needles(Vec<String>);

impl Needles {
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        Self(values.into_iter().map(|value| value.to_ascii_lowercase()).collect())
    }

    /// Those that a text holds.
    pub fn within(&self, text: &str) -> Vec<&str> {
        let text = text.to_ascii_lowercase();
        self.0.iter().filter(|needle| text.contains(needle.as_str())).map(String::as_str).collect()
    }
}

/// Hands out each mark in turn.
struct Marks {
    /// Of a password in a URL the password alone.
    needles: Needles,
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
        let needle = |mark: &String| {
            let mark = mark.to_ascii_lowercase();
            mark.split_once("zquvuser:").map_or(mark.clone(), |(_, rest)| rest[.."zquvpass000".len()].to_owned())
        };
        let needles = Needles::new(of_kind.values().flatten().map(needle));
        Self { needles, of_kind, next: AtomicUsize::new(0) }
    }

    fn get(&self, kind: Kind) -> &str {
        let of_kind = &self.of_kind[&kind];
        &of_kind[self.next.fetch_add(1, Ordering::Relaxed) % of_kind.len()]
    }

    fn any(&self) -> &str {
        self.get(KINDS[self.next.load(Ordering::Relaxed) * 7 % KINDS.len()])
    }

    fn within(&self, text: &str) -> Vec<&str> {
        self.needles.within(text)
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

pub struct Answer {
    pub status: u16,
    /// Head and body, as they came.
    pub body: String,
}

/// One request on a connection of its own, as it stands here.
pub fn ask(address: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
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
        with(marks.get(Kind::Name), json!(1)),
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
        parameters(json!([{"name": marks.get(Kind::Name), "valueString": marks.any()}])),
        parameters(json!([{"name": "identity", "valueString": marks.get(Kind::Street)}])),
        parameters(json!([
            {"name": "patient", "valueReference": {"reference": marks.get(Kind::Password)}},
            {"name": "reason", "valueString": marks.get(Kind::Word)},
        ])),
        parameters(json!([{"name": "patient", "resource": marks.patient()}, {"name": "record", "valueId": "nobody"}])),
        entry("POST", "Patient".to_owned(), marks.patient()),
        entry("GET", format!("Patient?family={}", marks.get(Kind::Family)), Value::Null),
        entry("PUT", format!("Patient?identifier={}&{}=1", marks.any(), marks.get(Kind::Name)), marks.patient()),
        entry("DELETE", marks.get(Kind::Password).to_owned(), Value::Null),
        entry(marks.get(Kind::Word), format!("Patient/{}", marks.get(Kind::Street)), Value::Null),
        json!([{"op": "replace", "path": format!("/{}", marks.get(Kind::Name)), "value": marks.any()}]),
        json!([{"op": marks.get(Kind::Word), "path": "/name/0/family", "value": marks.get(Kind::Family)}]),
        json!(marks.any()),
    ];
    let mut bodies: Vec<Vec<u8>> = values.iter().map(|value| value.to_string().into_bytes()).collect();
    let text = marks.patient().to_string();
    bodies.push(text.as_bytes()[..text.len() - 9].to_vec());
    bodies.push(format!("{{\"{0}\":1,\"{0}\":2}}", marks.get(Kind::Name)).into_bytes());
    bodies.push([marks.get(Kind::Given).as_bytes(), &[0xff, 0xfe]].concat());
    bodies.push(format!("family={}&{}={}", marks.get(Kind::Family), marks.get(Kind::Name), marks.any()).into_bytes());
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
        ("If-None-Exist", format!("identifier={}&{}=2", marks.get(Kind::Identifier), marks.get(Kind::Name))),
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
        format!("{}={}", marks.get(Kind::Name), encoded(marks.any())),
        format!("family:{}=x", marks.get(Kind::Word)),
        format!("{}&%zz={}", marks.get(Kind::Name), marks.get(Kind::Given)),
        format!("access_token={}", marks.get(Kind::Token)),
    ]
}

/// An outcome without `expression`, which names members and parameters.
fn without_places(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let mut outcome: Value = serde_json::from_str(body).unwrap_or_default();
    for issue in outcome["issue"].as_array_mut().into_iter().flatten() {
        issue["expression"].take();
    }
    format!("{head} {outcome}")
}

/// Everything that is sent, and what came of it.
struct Storm<'s> {
    address: &'s str,
    marks: &'s Marks,
    statuses: Mutex<BTreeMap<u16, usize>>,
    /// Refusals that tell what they were given.
    told: Mutex<Vec<String>>,
}

impl<'s> Storm<'s> {
    fn new(address: &'s str, marks: &'s Marks) -> Self {
        Self { address, marks, statuses: Mutex::default(), told: Mutex::default() }
    }

    fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> u16 {
        let answer = ask(self.address, method, target, headers, body);
        *self.statuses.lock().unwrap().entry(answer.status).or_default() += 1;
        // What was stored or asked for may be in the answer to a request that was granted.
        if answer.status >= 400 {
            let mut within = self.marks.within(&answer.body);
            let is_at_its_place = within.is_empty() || self.marks.within(&without_places(&answer.body)).is_empty();
            within.retain(|mark| !(mark.starts_with(NAME) && is_at_its_place));
            if !within.is_empty() {
                let what = format!("{method} {target} {headers:?}: {within:?} in {}", answer.body);
                self.told.lock().unwrap().push(what);
            }
        }
        answer.status
    }

    /// One row of what is served; of most types some of everything, for they differ in little.
    fn row(&self, at: usize, method: &str, path: &str) {
        let marks = self.marks;
        let is_whole = !path.contains("/fhir/") || path.contains("/Patient") || path == "/fhir/";
        let is_sent = |number: &usize| is_whole || (number + at).is_multiple_of(7);
        // Ids are not hidden: a place that asks for one gets what can be none.
        let id = encoded(&format!("{} {}", marks.get(Kind::Given), marks.get(Kind::Family)));
        let target = ["{version}", "{job}", "{file}"]
            .iter()
            .fold(path.replace("{id}", &id), |target, place| target.replace(place, marks.get(Kind::Word)));
        for (_, query) in (0..).zip(queries(marks)).filter(|(number, _)| is_sent(number)) {
            self.send(method, &format!("{target}?{query}"), &[JSON], b"");
        }
        for (_, (name, value)) in (0..).zip(headers(marks)).filter(|(number, _)| is_sent(number)) {
            self.send(method, &target, &[JSON, (name, &value)], marks.patient().to_string().as_bytes());
        }
        let content_type = match method {
            "PATCH" => "application/json-patch+json",
            _ if path.ends_with("_search") => "application/x-www-form-urlencoded",
            _ => "application/fhir+json",
        };
        let is_read = matches!(method, "GET" | "HEAD");
        for (_, body) in (0..).zip(bodies(marks)).filter(|(number, _)| !is_read && is_sent(number)) {
            self.send(method, &target, &[("Content-Type", content_type)], &body);
        }
    }

    /// What no row serves, and what is too large.
    fn strays(&self) {
        let marks = self.marks;
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "ZQUVWORD009"] {
            self.send(method, &format!("/fhir/{}", marks.get(Kind::Word)), &[JSON], b"{}");
            self.send(method, &format!("/{}?{}", marks.get(Kind::Token), marks.get(Kind::Word)), &[], b"");
            self.send(method, "/fhir/Patient/$zquvword009", &[JSON], b"{}");
        }
        let long = "x".repeat(70_000) + marks.get(Kind::Family);
        self.send("GET", &format!("/fhir/Patient?family={long}"), &[], b"");
        let large = marks.get(Kind::Family).to_owned() + &" ".repeat(1_200_000);
        self.send("POST", "/fhir/Patient", &[JSON], large.as_bytes());
    }

    /// A record that is there: what stands against its changes, and against reading it when it is gone.
    fn known(&self) {
        let marks = self.marks;
        let patient = || {
            let mut patient = marks.patient();
            patient["id"] = json!("known");
            patient.to_string().into_bytes()
        };
        let patch = json!([{"op": "replace", "path": "/name/0/family", "value": marks.get(Kind::Family)}]).to_string();
        for header in [JSON, ("If-Match", "W/\"9\""), ("If-None-Match", "*")] {
            for _ in 0..3 {
                self.send("PUT", "/fhir/Patient/known", &[JSON, header], &patient());
                let patched = [("Content-Type", "application/json-patch+json"), header];
                self.send("PATCH", "/fhir/Patient/known", &patched, patch.as_bytes());
                let none = format!("family={}", marks.get(Kind::Family));
                self.send("POST", "/fhir/Patient", &[JSON, ("If-None-Exist", &none)], &patient());
            }
        }
        let light = json!({"resourceType": "Patient", "meta": {"profile": [PROFILE]}, "gender": "female",
            "name": [{"family": marks.get(Kind::Family)}], "birthDate": marks.get(Kind::Date)});
        self.send("POST", "/fhir/Patient/$idi-match", &[JSON], light.to_string().as_bytes());
        self.send("DELETE", "/fhir/Patient/known", &[], b"");
        self.send("GET", "/fhir/Patient/known", &[], b"");
    }

    /// What people type into the form, and the cookies that they bring.
    fn sign_in(&self) {
        let marks = self.marks;
        let token = |name: &str| format!("{name}={:A<43}", marks.get(Kind::Word));
        let cookies = format!("{}; {}", token("__Host-form"), token("__Host-session"));
        let page = ask(self.address, "GET", "/sign-in?request=form", &[("Cookie", &cookies)], b"");
        let csrf = page.body.split_once("name=\"csrf\" value=\"").unwrap().1.split('"').next().unwrap();
        let headers = [("Cookie", cookies.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        for (login, password) in
            [(Kind::Email, Kind::Password), (Kind::Password, Kind::Word), (Kind::Street, Kind::Given)]
        {
            let typed =
                [("csrf", csrf), ("login", marks.get(login)), ("password", marks.get(password)), ("code", marks.any())];
            let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(typed).finish();
            assert_eq!(self.send("POST", "/sign-in", &headers, form.as_bytes()), 403);
            let foreign = form.replace(csrf, marks.get(Kind::Word));
            assert_eq!(self.send("POST", "/sign-in", &headers, foreign.as_bytes()), 403);
        }
        self.send("POST", "/sign-out", &headers, format!("csrf={}", marks.get(Kind::Word)).as_bytes());
    }

    fn everything(&self) {
        let rows = served(self.address);
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..SENDERS {
                scope.spawn(|| {
                    while let Some((at, (method, path))) =
                        Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, rows.get(at)?)))
                    {
                        self.row(at, method, path);
                    }
                });
            }
        });
        self.strays();
        self.known();
        self.sign_in();
    }
}

/// The server's own log, line by line, after it has ended.
pub fn check_log(marks: &Needles, when: &str, lines: &[String]) {
    assert!(lines.iter().any(|line| line.contains("\"DEBUG\"") || line.contains("\"TRACE\"")), "{when}: no fine log");
    if marks.within(&lines.join("\n")).is_empty() {
        return;
    }
    let told: Vec<&String> = lines.iter().filter(|line| !marks.within(line).is_empty()).take(5).collect();
    panic!("{when}: the log tells {told:#?}");
}

pub fn check_database(marks: &Needles, database: &Database) {
    let mut selects = vec![
        "SELECT request_id || ' ' || action || ' ' || caller || ' ' || COALESCE(resource_type, '') || ' ' || detail AS value FROM audit",
        "SELECT subject AS value FROM audit_subject",
        "SELECT key AS value FROM sign_in_attempt",
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
pub fn without_table(database: &Database, table: &str, work: impl FnOnce()) {
    database.execute(&format!("ALTER TABLE {table} RENAME TO {table}_away"));
    work();
    database.execute(&format!("ALTER TABLE {table}_away RENAME TO {table}"));
}

fn no_value_that_was_received_is_told_anywhere(database: &Database) {
    let marks = &Marks::new();
    assert_eq!(marks.needles.0.iter().collect::<BTreeSet<_>>().len(), MARKS);
    let collector = Collector::start(Answers::Well);
    let options =
        ["--log-filter", "trace", "--limits-database-timeout-ms", "2000", "--otlp-endpoint", &collector.endpoint];
    let start = || Server::start(&database.url(), &options);
    let create =
        |storm: &Storm<'_>| storm.send("POST", "/fhir/Patient", &[JSON], marks.patient().to_string().as_bytes());
    let mut server = start();
    let address = server.address.clone();
    let storm = Storm::new(&address, marks);
    storm.everything();
    let statuses = storm.statuses.lock().unwrap().clone();
    for status in [200, 201, 400, 404, 405, 406, 410, 412, 413, 415, 422] {
        assert!(statuses.contains_key(&status), "no request was answered by {status}: {statuses:?}");
    }
    let metrics = ask(&address, "GET", "/metrics", &[], b"");
    assert_eq!((metrics.status, marks.within(&metrics.body)), (200, Vec::new()));
    // The database fails under every kind of request.
    for table in ["search_string", "record", "audit"] {
        without_table(database, table, || {
            let family = format!("/fhir/Patient?family={}", marks.get(Kind::Family));
            let patient = marks.patient().to_string();
            let failed = [
                create(&storm),
                storm.send("GET", &family, &[], b""),
                storm.send("POST", "/fhir/Patient/$idi-match", &[JSON], patient.as_bytes()),
            ];
            assert!(failed.iter().any(|status| *status >= 500), "{table} is not missed: {failed:?}");
        });
    }
    server.running.kill();
    check_log(&marks.needles, "killed", &server.running.rest());
    // What was being written is found again.
    let mut server = start();
    let again = Storm::new(&server.address, marks);
    (0..10).for_each(|_| assert_eq!(create(&again), 201));
    let told = [storm.told.into_inner().unwrap(), again.told.into_inner().unwrap()].concat();
    assert!(server.running.stop().success());
    check_log(&marks.needles, "stopped", &server.running.rest());
    check_database(&marks.needles, database);
    assert!(collector.spans().len() > 1000, "{} spans", collector.spans().len());
    assert_eq!(marks.within(&collector.text()), Vec::<&str>::new(), "traces tell what was received");
    assert!(
        told.is_empty(),
        "{} refusals tell what they were given, such as {:#?}",
        told.len(),
        &told[..told.len().min(5)]
    );
}
