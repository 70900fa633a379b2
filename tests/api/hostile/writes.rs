//! Bundles, patches, conditions and exports that ask for too much or for nonsense.

use super::{Row, ask_with, get, send, send_with};

const BASE: &str = "/fhir";

fn bundle(kind: &str, entries: &str) -> Vec<u8> {
    send("POST", BASE, format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entries}]}}"#))
}

fn entry(method: &str, url: &str, resource: &str) -> String {
    let resource = if resource.is_empty() { String::new() } else { format!(r#""resource":{resource},"#) };
    format!(r#"{{{resource}"request":{{"method":"{method}","url":"{url}"}}}}"#)
}

const PERSON: &str = r#"{"resourceType":"Patient","active":true}"#;

pub fn bundles() -> Vec<Row> {
    let refused = |what: &str, entries: &str, code, place| {
        Row::refused(what, bundle("transaction", entries), &[400], code).at(place)
    };
    let one = |what: &str, method: &str, url: &str, resource: &str, code, place| {
        refused(what, &entry(method, url, resource), code, place)
    };
    let batch = |what: &str, method: &str, url: &str, resource: &str| {
        Row::plain(what, bundle("batch", &entry(method, url, resource)), &[200])
    };
    let linked = |id: &str| {
        format!(r#"{{"resourceType":"Patient","link":[{{"other":{{"reference":"{id}"}},"type":"seealso"}}]}}"#)
    };
    let twice = format!(
        r#"{{"fullUrl":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",{}"#,
        &entry("POST", "Patient", PERSON)[1..]
    );
    vec![
        Row::refused("no type", send("POST", BASE, r#"{"resourceType":"Bundle"}"#), &[400], "required")
            .at("Bundle.type"),
        Row::refused("a type that is not done", bundle("searchset", ""), &[400], "invalid").at("Bundle.type"),
        Row::refused("a Patient", send("POST", BASE, PERSON), &[400], "invalid").at("resourceType"),
        Row::refused("a hundred thousand entries", bundle("batch", &vec!["{}"; 100_000].join(",")), &[413], "too-long")
            .at("Bundle.entry"),
        Row::refused(
            "ten thousand entries",
            bundle("batch", &vec![r#"{"request":{"method":"GET","url":"x"}}"#; 10_000].join(",")),
            &[413],
            "too-long",
        )
        .at("Bundle.entry"),
        Row::refused(
            "a thousand bundles in each other",
            send("POST", BASE, r#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":"#.repeat(1_000)),
            &[400],
            "structure",
        )
        .at("Bundle.entry"),
        refused(
            "an entry without a request",
            r#"{"resource":{"resourceType":"Patient","active":true}}"#,
            "required",
            "Bundle.entry[0]",
        ),
        refused("a full URL twice", &format!("{twice},{twice}"), "duplicate", "Bundle.entry[1].fullUrl"),
        one("a method of its own", "BREW", "Patient", "", "code-invalid", "Bundle.entry[0].request.method"),
        one("up", "GET", "../../etc/passwd", "", "*", "Bundle.entry[0]"),
        one("another server", "GET", "http://169.254.169.254/latest/meta-data", "", "*", "Bundle.entry[0]"),
        one("a zero", "GET", "Patient/a%00b", "", "*", "Bundle.entry[0]"),
        one("a line end", "GET", "Patient/a\\r\\nb", "", "*", "Bundle.entry[0]"),
        one("an operation", "POST", "Patient/$match", PERSON, "*", "Bundle.entry[0]"),
        one("a bundle in a bundle", "POST", "", r#"{"resourceType":"Bundle","type":"batch"}"#, "*", "Bundle.entry[0]"),
        one("nothing to create", "POST", "Patient", "", "required", "Bundle.entry[0]"),
        one("another type than the address says", "POST", "Organization", PERSON, "*", "Bundle.entry[0]"),
        one("an id that is not there", "PUT", "Patient/x", PERSON, "*", "Bundle.entry[0]"),
        one(
            "a reference to nobody",
            "POST",
            "Patient",
            &linked("urn:uuid:11111111-1111-4111-8111-111111111111"),
            "*",
            "Bundle.entry[0]",
        ),
        Row::refused(
            "a condition that nobody fits",
            bundle("transaction", &entry("POST", "Patient", &linked("Patient?identifier=urn:no|nobody"))),
            &[412],
            "conflict",
        )
        .at("Bundle.entry[0].resource.link[0].other"),
        one(
            "a patch that is none",
            "PATCH",
            "Patient/x",
            r#"{"resourceType":"Binary","contentType":"application/json-patch+json","data":"!!!!"}"#,
            "*",
            "Bundle.entry[0]",
        ),
        refused(
            "one resource twice",
            &[entry("DELETE", "Patient/x", ""), entry("DELETE", "Patient/x", "")].join(","),
            "duplicate",
            "*",
        ),
        batch("up, in a batch", "GET", "../../etc/passwd", ""),
        batch("an operation, in a batch", "GET", "Patient/$export", ""),
        batch("ten thousand values, in a batch", "GET", &format!("Patient?_id={}", vec!["x"; 10_000].join(",")), ""),
        Row::plain(
            "a thousand searches",
            bundle("batch", &vec![entry("GET", "Patient?_count=0&family=x", ""); 400].join(",")),
            &[200],
        ),
    ]
}

/// A patch of a Patient that is there (see `documents::text`).
fn patch(what: &str, body: &str, status: &'static [u16], code: &'static str) -> Row {
    let request = send_with("PATCH", "/fhir/Patient/text-0", "Content-Type: application/json-patch+json\r\n", body);
    Row::refused(what, request, status, code).at("*")
}

pub fn patches() -> Vec<Row> {
    let doubling = vec![r#"{"op":"copy","from":"/name","path":"/name/-"}"#; 60].join(",");
    let adding = vec![r#"{"op":"add","path":"/name/0","value":{"family":"x"}}"#; 20_000].join(",");
    let deep = format!(r#"[{{"op":"add","path":"{}","value":1}}]"#, "/a".repeat(100_000));
    let value = |value: &str| format!(r#"[{{"op":"add","path":"/x","value":{value}}}]"#);
    vec![
        patch("nothing", "", &[400], "structure"),
        patch("an object", "{}", &[400], "structure"),
        patch("a resource", PERSON, &[400], "structure"),
        patch("operations that are none", "[1,null,[]]", &[400], "structure"),
        patch("an op that is none", r#"[{"op":"fly","path":"/active"}]"#, &[400], "value"),
        patch("no path", r#"[{"op":"remove"}]"#, &[400], "required"),
        patch("a path that is none", r#"[{"op":"remove","path":"active"}]"#, &[400], "value"),
        patch("an escape that is none", r#"[{"op":"remove","path":"/~2"}]"#, &[400], "value"),
        patch("into itself", r#"[{"op":"move","from":"/name","path":"/name/0"}]"#, &[400], "value"),
        patch("a prototype", r#"[{"op":"add","path":"/__proto__/x","value":1}]"#, &[422], "*"),
        patch("another id", r#"[{"op":"replace","path":"/id","value":"x"}]"#, &[422], "business-rule"),
        patch("another type", r#"[{"op":"replace","path":"/resourceType","value":"Person"}]"#, &[422], "business-rule"),
        patch("no resource any more", r#"[{"op":"replace","path":"","value":[]}]"#, &[422], "*"),
        patch("what is not there", r#"[{"op":"remove","path":"/nothing"}]"#, &[422], "processing"),
        patch("an index with a zero", r#"[{"op":"remove","path":"/name/00"}]"#, &[422], "processing"),
        patch(
            "an index beyond 64 bits",
            r#"[{"op":"remove","path":"/name/99999999999999999999"}]"#,
            &[422],
            "processing",
        ),
        patch("a value that is no FHIR", &value("1e400"), &[400], "structure"),
        patch("a member that is unknown", &value("1"), &[422], "structure"),
        patch("a date that is none", r#"[{"op":"add","path":"/birthDate","value":"1980-02-30"}]"#, &[422], "value"),
        patch("a name that doubles sixty times", &format!("[{doubling}]"), &[413, 422], "*"),
        patch("twenty thousand operations", &format!("[{adding}]"), &[413], "too-long"),
        patch("a path of a hundred thousand steps", &deep, &[400, 422], "*"),
        patch(
            "a value a thousand levels deep",
            &value(&format!("{}{}", "[".repeat(1_000), "]".repeat(1_000))),
            &[400],
            "structure",
        ),
        Row::refused(
            "XML",
            send_with("PATCH", "/fhir/Patient/text-0", "Content-Type: application/xml-patch+xml\r\n", "<diff/>"),
            &[415],
            "not-supported",
        )
        .at("http.content-type"),
        Row::refused(
            "of nobody",
            send_with("PATCH", "/fhir/Patient/nobody", "Content-Type: application/json-patch+json\r\n", "[]"),
            &[404],
            "not-found",
        ),
    ]
}

pub fn conditions() -> Vec<Row> {
    let none_exists = |what: &str, condition: &str, code, place| {
        let headers = format!("Content-Type: application/fhir+json\r\nIf-None-Exist: {condition}\r\n");
        Row::refused(what, send_with("POST", "/fhir/Patient", &headers, PERSON), &[400], code).at(place)
    };
    vec![
        none_exists("an empty condition", "", "*", "http"),
        none_exists("a condition without a value", "identifier=", "value", "http"),
        none_exists("a condition that nobody knows", "shoe=44", "not-supported", "http"),
        none_exists(
            "a condition of ten thousand values",
            &format!("_id={}", vec!["x"; 10_000].join(",")),
            "too-costly",
            "http",
        ),
        none_exists("a condition with a zero", "family=%00", "value", "http"),
        Row::refused("deletion of everybody", ask_with("DELETE", "/fhir/Patient?", ""), &[400, 405, 412], "*").at("*"),
        Row::refused(
            "deletion of everybody by a word",
            ask_with("DELETE", "/fhir/Patient?_id:missing=false", ""),
            &[400, 412],
            "*",
        )
        .at("*"),
        Row::refused("an update of several", send("PUT", "/fhir/Patient?_lastUpdated=gt2000", PERSON), &[412], "*")
            .at("*"),
        Row::refused(
            "a search by body that is no form",
            send_with("POST", "/fhir/Patient/_search", "Content-Type: application/json\r\n", "{}"),
            &[415],
            "not-supported",
        )
        .at("http.content-type"),
        Row::refused(
            "a search by body of ten thousand values",
            send_with(
                "POST",
                "/fhir/Patient/_search",
                "Content-Type: application/x-www-form-urlencoded\r\n",
                format!("_id={}", vec!["x"; 10_000].join(",")),
            ),
            &[400],
            "too-costly",
        )
        .at("http"),
        Row::plain(
            "an unknown wish",
            send_with(
                "PUT",
                "/fhir/Patient/text-1",
                "Content-Type: application/fhir+json\r\nPrefer: return=everything, handling=;;;, \u{1}\r\n",
                r#"{"resourceType":"Patient","id":"text-1","active":true}"#,
            ),
            &[200, 201, 400],
        ),
        Row::refused(
            "an export of what is not stored",
            ask_with("GET", "/fhir/$export?_type=Passwd", "Prefer: respond-async, handling=strict\r\n"),
            &[400],
            "*",
        )
        .at("http._type"),
        Row::refused(
            "an export since nonsense",
            ask_with("GET", "/fhir/$export?_since=yesterday", "Prefer: respond-async\r\n"),
            &[400],
            "value",
        )
        .at("http._since"),
        Row::refused("an export job of nobody", get("/fhir/$export/nobody"), &[404], "not-found"),
        Row::refused(
            "a file of nobody's export",
            get("/fhir/$export/nobody/..%2f..%2fetc%2fpasswd"),
            &[404],
            "not-found",
        ),
        Row::refused("history with a count that is none", get("/fhir/Patient/_history?_count=-1"), &[400], "value")
            .at("http._count"),
        Row::refused("history since nonsense", get("/fhir/Patient/_history?_since=yesterday"), &[400], "value")
            .at("http._since"),
    ]
}
