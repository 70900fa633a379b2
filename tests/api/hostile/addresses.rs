//! Addresses that climb, hide or never end, and searches that ask for too much.

use super::{Row, ask, ask_with, get, send};

/// There is nothing there, or it is no address; never a file, never another resource.
fn nothing(what: &str, target: &str) -> Row {
    Row::refused(what, get(target), &[404], "not-found")
}

fn no_id(what: &str, id: &str) -> Row {
    Row::refused(what, get(&format!("/fhir/Patient/{id}")), &[400], "value").at("Resource.id")
}

pub fn paths() -> Vec<Row> {
    vec![
        nothing("up", "/fhir/../etc/passwd"),
        nothing("up, encoded", "/fhir/%2e%2e/etc/passwd"),
        nothing("up, encoded twice", "/fhir/%252e%252e/%252e%252e/etc/passwd"),
        nothing("up with a backslash", "/fhir/..%5c..%5cetc%5cpasswd"),
        nothing("two slashes", "//fhir//Patient//x"),
        nothing("a slash at the end", "/fhir/Patient/x/"),
        nothing("no base", "/Patient/x"),
        nothing("the base in capitals", "/FHIR/metadata"),
        nothing("a type in small letters", "/fhir/patient/x"),
        nothing("a type that is none", "/fhir/Passwd/x"),
        nothing("a type of zero bytes", "/fhir/%00/x"),
        nothing("a type with a line end", "/fhir/Patient%0d%0aX:%20y/x"),
        nothing("a thousand steps", &format!("/fhir{}", "/a".repeat(1_000))),
        nothing("a session", "/fhir/Patient;jsessionid=1/x"),
        nothing("an address of another server", "http://hostile.test/fhirx/Patient"),
        nothing("files", "/.git/config"),
        nothing("a program", "/cgi-bin/sh?-c+id"),
        nothing("an operation that is none", "/fhir/Patient/x/$everything/y"),
        no_id("up, as an id", "%2e%2e%2f%2e%2e%2fetc%2fpasswd"),
        no_id("a slash within", "a%2fb"),
        no_id("a zero", "%00"),
        no_id("a zero at the end", "x%00"),
        no_id("a line end", "x%0d%0aSet-Cookie:%20a=b"),
        no_id("an overlong slash", "%c0%af"),
        no_id("bytes that are no text", "%ff%fe"),
        no_id("a percent sign", "%"),
        no_id("half an escape", "%4"),
        no_id("an escape that is none", "%zz"),
        nothing("an operation of the type that is none", "/fhir/Patient/$nothing"),
    ]
}

pub fn ids() -> Vec<Row> {
    let version = |what: &str, version: &str| {
        Row::refused(what, get(&format!("/fhir/Patient/nobody/_history/{version}")), &[404], "not-found")
    };
    let put = |what: &str, id: &str, body: &str, code, place| {
        Row::refused(what, send("PUT", &format!("/fhir/Patient/{id}"), body), &[400], code).at(place)
    };
    vec![
        no_id("an id of 65 letters", &"x".repeat(65)),
        no_id("an id of sixty thousand letters", &"x".repeat(60_000)),
        no_id("an id with a space", "a%20b"),
        no_id("an id with an underscore", "a_b"),
        no_id("an id of another alphabet", "%D0%90"),
        no_id("an emoji", "%F0%9F%98%80"),
        no_id("a quote", "x'%20OR%20'1'='1"),
        version("version 0", "0"),
        version("a version below zero", "-1"),
        version("a version of 64 bits and more", "99999999999999999999"),
        version("a version with a fraction", "1.0"),
        version("a version with a plus", "+1"),
        version("a version of another script", "%D9%A1"),
        version("a version of zero bytes", "%00"),
        put("an id beside another", "a", r#"{"resourceType":"Patient","id":"b"}"#, "invalid", "Patient.id"),
        put("no id inside", "a", r#"{"resourceType":"Patient"}"#, "invalid", "Patient.id"),
        put("an id that is none", "a_b", r#"{"resourceType":"Patient","id":"a_b"}"#, "value", "Resource.id"),
        Row::refused("deletion of what is no id", ask("DELETE", "/fhir/Patient/%00"), &[400], "value")
            .at("Resource.id"),
        Row::refused("deletion of a type", ask("DELETE", "/fhir/Patient"), &[400], "required").at("http"),
        Row::refused("a long method", ask(&"X".repeat(1_000), "/fhir/Patient"), &[405], "not-supported")
            .at("http.method"),
        Row::refused("TRACE", ask("TRACE", "/fhir/Patient"), &[405], "not-supported").at("http.method"),
        Row::refused(
            "an update of a profile",
            send("PUT", "/fhir/StructureDefinition/IDI-Patient", "{}"),
            &[405],
            "not-supported",
        )
        .at("http.method"),
    ]
}

pub fn searches() -> Vec<Row> {
    let refused = |what: &str, query: &str, code, place| {
        Row::refused(what, get(&format!("/fhir/Patient?{query}")), &[400], code).at(place)
    };
    let found = |what: &str, query: &str| Row::plain(what, get(&format!("/fhir/Patient?{query}")), &[200]);
    let many = |name: &str, count: usize| format!("{name}={}", vec!["x"; count].join(","));
    vec![
        refused("a count that is none", "_count=x", "value", "http._count"),
        refused("a count below zero", "_count=-1", "value", "http._count"),
        refused("a count with an exponent", "_count=1e3", "value", "http._count"),
        found("a count beyond 64 bits", "_count=99999999999999999999"),
        refused("an empty count", "_count=", "value", "http._count"),
        refused("a zero", "family=a%00b", "value", "http.family"),
        refused("a line end", "family=a%0d%0ab", "value", "http.family"),
        refused("no value", "family=", "value", "http.family"),
        refused("commas alone", &format!("family={}", ",".repeat(60)), "value", "http.family"),
        refused("a date that is none", "birthdate=1980-13", "value", "http.birthdate"),
        refused("a prefix alone", "birthdate=ge", "value", "http.birthdate"),
        refused("a statement as a date", "birthdate=1980'%20OR%201=1--", "value", "http.birthdate"),
        refused("a modifier that is none", "family:sounds-like=x", "not-supported", "http.family"),
        refused("two thousand values", &many("family", 2_000), "too-costly", "http.family"),
        refused("ten thousand values", &many("_id", 10_000), "too-costly", "http"),
        refused("ten thousand parameters", &vec!["family=x"; 6_000].join("&"), "too-costly", "http"),
        Row::refused("another format", get("/fhir/Patient?_format=xml"), &[406], "not-supported").at("http.accept"),
        found("a count of everything", "_count=4294967295"),
        found("quotes", "family=x'%20OR%20'1'='1"),
        found("wildcards", "family=%25%25%25"),
        found("bars", "identifier=|||"),
        found("an unknown parameter", "shoe=44"),
        found("names that are none", "%00=x&%ff=y&=z&&&=x&"),
        found("escapes that are none", "given=%zz%4"),
        found("bytes that are no text", "given=%ff%fe"),
        refused("a page of somebody else", "_page=AaIBLpbcU-UU3GOpyUk4nBhZ2UtdjAx", "value", "http._page"),
        Row::refused(
            "an unknown parameter, strictly",
            ask_with("GET", "/fhir/Patient?shoe=44", "Prefer: handling=strict\r\n"),
            &[400],
            "not-supported",
        )
        .at("http.shoe"),
        Row::refused("a type that is not stored", get("/fhir/Observation?code=x"), &[404], "not-found"),
    ]
}
