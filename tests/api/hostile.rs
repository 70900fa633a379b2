//! What nobody should send: one table, against the real program on either database. Each row is answered with the status,
//! the issue code and the place that the table says; none is a fault of the server, none leaves memory behind, and the
//! server answers as before when all of them have been sent, twice.
//!
//! Rows are bytes on a connection of their own, so that no client repairs them on the way. How long each row takes is
//! printed (`make measure-hostile`) and never judged here. Not here: what clients with good manners send (the other
//! files), random input (`fuzz/`).

#![allow(clippy::too_many_lines, reason = "tables")]
#![allow(clippy::print_stdout, reason = "`make measure-hostile` shows what it measures")]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::answer::{attribute, coded};
use crate::people::{name, stranger, with, with_id};
use crate::support::{Database, PATIENCE, TestApp};

mod addresses;
mod documents;
mod transport;
mod writes;

#[test]
fn whatever_is_sent_is_answered_and_hurts_nobody_on_sqlite() {
    check(&Database::sqlite());
}

#[test]
fn whatever_is_sent_is_answered_and_hurts_nobody_on_postgres() {
    check(&Database::postgres());
}

on_both_databases! {
    letters_written_or_imitated_in_another_way_are_compared_as_designed,
}

/// A person is stored under one family name and asked for, by match and by search, under another way of writing it: how
/// the family name agrees, how certain the answer is, and whether a search finds it. A letter that imitates a Latin one
/// may find, and never make certain.
fn letters_written_or_imitated_in_another_way_are_compared_as_designed(app: &TestApp) {
    let wide: String = "Anderson".chars().map(|c| char::from_u32(c as u32 + 0xfee0).unwrap()).collect();
    let table = [
        ("composed and decomposed", "Bj\u{f6}rklund", "Bjo\u{308}rklund", "exact", "certain", true),
        ("full width", "Anderson", &wide, "exact", "certain", true),
        ("no width between", "Anderson", "An\u{200b}der\u{200d}son\u{feff}", "exact", "certain", true),
        ("directions of writing", "Anderson", "\u{202e}Anderson\u{202c}", "exact", "certain", true),
        ("a Cyrillic letter among Latin ones", "Anderson", "\u{410}nderson", "exact", "probable", false),
        (
            "Cyrillic letters",
            "Anderson",
            "\u{410}\u{43d}\u{434}\u{435}\u{440}\u{441}\u{43e}\u{43d}",
            "conflict",
            "possible",
            false,
        ),
    ];
    let person = stranger(5);
    for (what, stored, asked, family, grade, is_searched) in table {
        app.store_patient(&with(&with_id(&person, "twin"), "name", name("Rosalind", stored)));
        let found = app.idi_match(&with(&person, "name", name("Rosalind", asked)));
        let entry = found.entry("twin");
        assert_eq!((attribute(entry, "family"), coded(entry, "match-grade")), (Some(family), Some(grade)), "{what}");
        let searched = app.get(&format!("/Patient?family={}", escaped(asked))).send().expect(200).match_bundle();
        assert_eq!(searched.ids() == ["twin"], is_searched, "{what}");
    }
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        write!(out, "%{byte:02X}").unwrap();
        out
    })
}

/// What is sent, and what comes back: status, and of an OperationOutcome the first issue's code and place.
pub struct Row {
    class: &'static str,
    what: String,
    bytes: Vec<u8>,
    status: &'static [u16],
    code: &'static str,
    place: &'static str,
}

impl Row {
    /// An answer that is an OperationOutcome.
    fn refused(what: impl Into<String>, bytes: Vec<u8>, status: &'static [u16], code: &'static str) -> Self {
        Self { class: "", what: what.into(), bytes, status, code, place: "" }
    }

    /// An answer that is none: what was sent is as good as anything, or it is no HTTP.
    fn plain(what: impl Into<String>, bytes: Vec<u8>, status: &'static [u16]) -> Self {
        Self::refused(what, bytes, status, "")
    }

    /// The address that it writes to.
    fn kept(&self) -> Option<String> {
        let line = self.bytes.strip_prefix(b"PUT ")?;
        Some(line.split(|byte| *byte == b' ').map(String::from_utf8_lossy).next()?.into_owned())
    }

    /// The place begins so.
    fn at(self, place: &'static str) -> Self {
        Self { place, ..self }
    }
}

/// A request without a body.
fn ask(method: &str, target: &str) -> Vec<u8> {
    ask_with(method, target, "")
}

/// The same with header lines of its own, each ending in CRLF.
fn ask_with(method: &str, target: &str, headers: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nHost: hostile.test\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

fn get(target: &str) -> Vec<u8> {
    ask("GET", target)
}

/// A request with a FHIR JSON body.
fn send(method: &str, target: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    send_with(method, target, "Content-Type: application/fhir+json\r\n", body)
}

fn send_with(method: &str, target: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let headers = format!("{headers}Content-Length: {}\r\n", body.len());
    [&ask_with(method, target, &headers), body].concat()
}

fn rows() -> Vec<Row> {
    let classes: [(&str, Vec<Row>); 15] = [
        ("no JSON", documents::no_json()),
        ("no FHIR", documents::no_fhir()),
        ("dates", documents::dates()),
        ("text", documents::text()),
        ("parameters", documents::parameters()),
        ("profiles", documents::profiles()),
        ("paths", addresses::paths()),
        ("ids and versions", addresses::ids()),
        ("searches", addresses::searches()),
        ("bundles", writes::bundles()),
        ("patches", writes::patches()),
        ("conditions", writes::conditions()),
        ("headers", transport::headers()),
        ("no HTTP", transport::no_http()),
        ("large", documents::large()),
    ];
    let of_class = |(class, rows): (&'static str, Vec<Row>)| rows.into_iter().map(move |row| Row { class, ..row });
    classes.into_iter().flat_map(of_class).collect()
}

fn check(database: &Database) {
    let rows = rows();
    assert!(rows.len() >= 100, "{} rows", rows.len());
    let server = Server::start(&database.url());
    let mut findings = String::new();
    let mut figures = Vec::new();
    // The first rounds fill what the server keeps for everybody, its caches and the heaps of its threads. Which heap grows
    // when is chance, so that a round may still leave some MiB; what is lost for good is lost in every round.
    let mut after_kib: Vec<i64> = Vec::new();
    let grown_kib = |after_kib: &[i64]| after_kib[after_kib.len() - 1] - after_kib[after_kib.len() - 2];
    while after_kib.len() < ROUNDS_MAX && (after_kib.len() < ROUNDS_MIN || grown_kib(&after_kib) > STAYS_KIB_MAX) {
        for row in &rows {
            let (resting_kib, start) = (server.rest_kib(), Instant::now());
            let answer = server.exchange(&row.bytes);
            figures.push((row.class, row.what.as_str(), start.elapsed(), server.memory_kib("VmHWM") - resting_kib));
            if let Err(finding) = judge(row, &answer) {
                writeln!(findings, "{} · {}: {finding}", row.class, row.what).unwrap();
            }
        }
        // Else a search of the next round would be answered with all that is large.
        rows.iter().filter(|row| row.class == "large").filter_map(Row::kept).for_each(|address| {
            assert_eq!(server.exchange(&ask("DELETE", &address)).status, 204, "{address}");
        });
        after_kib.push(server.memory_kib("VmRSS"));
    }
    for (class, what, _, peak_kib) in &figures {
        if *peak_kib > GROWTH_KIB_MAX {
            writeln!(findings, "{class} · {what}: {} MiB of memory", peak_kib >> 10).unwrap();
        }
    }
    println!("{}", report(rows.len(), figures, &after_kib));
    assert!(findings.is_empty(), "\n{findings}");
    assert!(grown_kib(&after_kib) <= STAYS_KIB_MAX, "memory after each round, KiB: {after_kib:?}");
    server.still_answers();
}

const ROUNDS_MIN: usize = 3;
const ROUNDS_MAX: usize = 8;

/// What no row may take at its peak.
const GROWTH_KIB_MAX: i64 = 32 << 10;

/// What a whole round may leave behind.
const STAYS_KIB_MAX: i64 = 8 << 10;

fn judge(row: &Row, answer: &Reply) -> Result<(), String> {
    let said = || format!("{} {}", answer.status, answer.body.chars().take(600).collect::<String>());
    if !row.status.contains(&answer.status) {
        return Err(format!("not {:?} but {}", row.status, said()));
    }
    if row.code.is_empty() {
        return Ok(());
    }
    let outcome: Value = serde_json::from_str(&answer.body).map_err(|_| format!("no JSON: {}", said()))?;
    let issue = &outcome["issue"][0];
    let place = issue["expression"][0].as_str().unwrap_or_default();
    let is_right = outcome["resourceType"] == "OperationOutcome" && (row.code == "*" || issue["code"] == row.code);
    let is_there = match row.place {
        "" => place.is_empty(),
        "*" => true,
        start => place.starts_with(start),
    };
    if is_right && is_there { Ok(()) } else { Err(format!("not {} at {:?} but {}", row.code, row.place, said())) }
}

/// The slowest rows, and the largest.
fn report(rows: usize, mut figures: Vec<(&str, &str, Duration, i64)>, after_kib: &[i64]) -> String {
    figures.sort_by_key(|(_, _, took, _)| *took);
    let median = figures[figures.len() / 2].2;
    let mut text = format!("{rows} rows; median {median:?}; KiB after each round {after_kib:?}; the slowest:");
    for (class, what, took, _) in figures.iter().rev().take(6) {
        write!(text, "\n  {took:>12.3?}  {class} · {what}").unwrap();
    }
    figures.sort_by_key(|(_, _, _, peak_kib)| *peak_kib);
    text.push_str("\nthe largest:");
    for (class, what, _, peak_kib) in figures.iter().rev().take(6) {
        write!(text, "\n  {:>8.1} MiB  {class} · {what}", *peak_kib as f64 / 1024.0).unwrap();
    }
    text
}

struct Reply {
    /// 0 when the connection was closed without an answer.
    status: u16,
    body: String,
}

/// The program itself, in a process whose memory is its own.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(database_url: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_idi-match"))
            .env_clear()
            .args(["serve", "--open", "--listen", "127.0.0.1:0", "--log-format", "json", "--workers", "2"])
            .args(["--database-url", database_url])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = log.find_map(|line| {
            let line: Value = serde_json::from_str(&line).unwrap();
            (line["fields"]["message"] == "ready").then(|| line["fields"]["address"].as_str().unwrap().to_owned())
        });
        // The log is read to its end, so that the program never waits for it; a panic would be told there.
        thread::spawn(move || log.for_each(|line| assert!(!line.contains("panicked"), "{line}")));
        Self { child, address: address.expect("the server starts") }
    }

    /// Sends bytes and reads the answer, at the same time: much of what is sent is answered before its end.
    fn exchange(&self, bytes: &[u8]) -> Reply {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = &stream;
                // What the server does not want to read cannot be written.
                let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
            });
            // A reset comes after whatever was answered before.
            let _ = (&stream).read_to_end(&mut answer);
        });
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Reply { status, body: body.to_owned() }
    }

    fn memory_kib(&self, name: &str) -> i64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim_end_matches("kB").trim().parse().unwrap()
    }

    /// The memory of now, from which on the peak is counted again.
    fn rest_kib(&self) -> i64 {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
        self.memory_kib("VmRSS")
    }

    fn still_answers(&self) {
        let patient = r#"{"resourceType":"Patient","id":"afterwards","name":[{"family":"Lindqvist"}]}"#;
        assert_eq!(self.exchange(&send("PUT", "/fhir/Patient/afterwards", patient)).status, 201);
        assert_eq!(self.exchange(&get("/fhir/Patient/afterwards")).status, 200);
        assert_eq!(self.exchange(&get("/readyz")).status, 200);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
