//! Headers that lie or never end, and what is no HTTP at all.

use super::{Row, ask_with, get, send_with};

const BODY: &str = r#"{"resourceType":"Patient","active":true}"#;

fn create(headers: &str) -> Vec<u8> {
    send_with("POST", "/fhir/Patient", headers, BODY)
}

pub fn headers() -> Vec<Row> {
    let read = |headers: &str| ask_with("GET", "/fhir/metadata", headers);
    let encoded = |coding: &str| {
        let headers = format!("Content-Type: application/fhir+json\r\nContent-Encoding: {coding}\r\n");
        // A hundred megabytes of zeros, were anybody to unpack it.
        let bomb = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".as_slice(), &vec![0xec; 100_000]].concat();
        let request = send_with("POST", "/fhir/Patient", &headers, bomb);
        Row::refused(format!("packed by {coding}"), request, &[415], "not-supported").at("http.content-type")
    };
    let typed = |what: &str, kind: &str| {
        let row = Row::refused(what, create(&format!("Content-Type: {kind}\r\n")), &[415], "not-supported");
        row.at("http.content-type")
    };
    let wish = |what: &str, accept: String| {
        Row::refused(what, read(&format!("Accept: {accept}\r\n")), &[406], "not-supported").at("http.accept")
    };
    let mut rows: Vec<Row> =
        ["gzip", "br", "zstd", "deflate", "x-gzip", "gzip, gzip, gzip", "identity, gzip", "nonsense"]
            .into_iter()
            .map(encoded)
            .collect();
    rows.extend([
        typed("a form", "application/x-www-form-urlencoded"),
        typed("parts", "multipart/form-data; boundary=x"),
        typed("XML", "application/fhir+xml"),
        typed("another alphabet", "application/fhir+json; charset=utf-16"),
        typed("a type of sixty thousand letters", &"x".repeat(60_000)),
        typed("another type", "application/json-patch+json"),
        wish("XML alone", "application/fhir+xml".to_owned()),
        wish("ten thousand formats", vec!["a/b"; 10_000].join(",")),
        Row::plain(
            "a length that is too short",
            send_with("POST", "/fhir/Patient", "", BODY).iter().copied().chain(*b"GET / HTTP/1.1\r\n\r\n").collect(),
            &[201],
        ),
        Row::refused(
            "a length of a hundred gigabytes",
            ask_with("POST", "/fhir/Patient", "Content-Length: 100000000000\r\n"),
            &[413],
            "too-long",
        )
        .at("http.body"),
        Row::refused(
            "a body that ends early",
            [&ask_with("POST", "/fhir/Patient", "Content-Length: 1000\r\n"), BODY.as_bytes()].concat(),
            &[400],
            "structure",
        )
        .at("http.body"),
        Row::refused(
            "a version that is none",
            send_with(
                "PUT",
                "/fhir/Patient/nobody",
                "If-Match: W/\"x\r\n",
                r#"{"resourceType":"Patient","id":"nobody"}"#,
            ),
            &[400, 412],
            "*",
        )
        .at("*"),
        Row::refused(
            "two versions",
            send_with(
                "PUT",
                "/fhir/Patient/nobody",
                "If-Match: W/\"1\"\r\nIf-Match: W/\"2\"\r\n",
                r#"{"resourceType":"Patient","id":"nobody"}"#,
            ),
            &[400, 412],
            "*",
        )
        .at("*"),
        Row::plain(
            "a request id of sixty thousand letters",
            read(&format!("X-Request-Id: {}\r\n", "x".repeat(60_000))),
            &[200],
        ),
        Row::plain("ninety headers", read(&"X-A: b\r\n".repeat(90)), &[200]),
        Row::plain(
            "bytes that are no text",
            [b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: \xff\xfe\r\n\r\n".as_slice()]
                .concat(),
            &[200],
        ),
        Row::plain(
            "wishes of sixty thousand letters",
            read(&format!("Prefer: {}\r\n", "handling=".repeat(7_000))),
            &[200],
        ),
        Row::plain("a range", read("Range: bytes=0-,1-,2-,3-\r\n"), &[200]),
        Row::plain("another host", read("X-Forwarded-Host: hostile.test\r\nForwarded: host=hostile.test\r\n"), &[200]),
        Row::plain(
            "another method by header",
            ask_with("GET", "/fhir/Patient", "X-HTTP-Method-Override: DELETE\r\n"),
            &[200],
        ),
    ]);
    rows
}

pub fn no_http() -> Vec<Row> {
    /// Closed, or told so without a word about what was sent.
    const CLOSED: &[u16] = &[0, 400, 408, 413, 414, 431];
    let raw = |what: &str, bytes: &[u8]| Row::plain(what, bytes.to_vec(), CLOSED);
    let post = |headers: &str, body: &str| {
        format!("POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n{body}").into_bytes()
    };
    vec![
        raw("nothing", b""),
        raw("zeros", &[0; 100_000]),
        raw("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        raw("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n"),
        raw("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        raw("another version", b"GET / HTTP/9.9\r\n\r\n"),
        raw("no version", b"GET /\r\n\r\n"),
        raw("a zero in the address", b"GET /fhir/\0 HTTP/1.1\r\nHost: x\r\n\r\n"),
        raw("a space in the address", b"GET /fhir/a b HTTP/1.1\r\nHost: x\r\n\r\n"),
        raw("an address of two hundred thousand letters", &get(&format!("/fhir/{}", "x".repeat(200_000)))),
        raw(
            "a header of two hundred thousand letters",
            &ask_with("GET", "/fhir/metadata", &format!("X-A: {}\r\n", "x".repeat(200_000))),
        ),
        raw("a thousand headers", &ask_with("GET", "/fhir/metadata", &"X-A: b\r\n".repeat(1_000))),
        raw("a header without a colon", &ask_with("GET", "/fhir/metadata", "nonsense\r\n")),
        raw("a header with a zero", &ask_with("GET", "/fhir/metadata", "X-A: a\0b\r\n")),
        raw("a space before the colon", &ask_with("GET", "/fhir/metadata", "X-A : b\r\n")),
        raw("two lengths", &post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}x")),
        raw("a length that is none", &post("Content-Length: many\r\n", "{}")),
        raw("a length below zero", &post("Content-Length: -1\r\n", "{}")),
        raw("a length beyond 64 bits", &post("Content-Length: 99999999999999999999999\r\n", "{}")),
        raw("a length and chunks", &post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        raw("a chunk that is none", &post("Transfer-Encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n")),
        raw("a chunk beyond 64 bits", &post("Transfer-Encoding: chunked\r\n", "ffffffffffffffffff\r\n{}")),
        raw("chunks that do not end", &post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n")),
        raw("another transfer coding", &post("Transfer-Encoding: gzip\r\n", "{}")),
    ]
}
