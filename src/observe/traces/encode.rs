//! Spans as OTLP wants them in JSON (OTLP 1.x, "JSON Protobuf Encoding"; trace.proto).
//!
//! Ids are hexadecimal there, times are nanoseconds as text, and names are written in camel case. Not here: sending.

use serde_json::{Value as Json, json};

use super::{Kind, Outcome, Span, Value};

/// SPAN_KIND_INTERNAL and SPAN_KIND_SERVER.
const fn kind(kind: Kind) -> u8 {
    match kind {
        Kind::Internal => 1,
        Kind::Server => 2,
    }
}

/// One request to export these spans.
pub(super) fn request(spans: &[Span]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let spans: Vec<Json> = spans.iter().map(span).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": [text("service.name", "idi-match"), text("service.version", version)]},
        "scopeSpans": [{"scope": {"name": "idi-match", "version": version}, "spans": spans}],
    }]})
    .to_string()
}

fn span(span: &Span) -> Json {
    let attributes: Vec<Json> = span.attributes.iter().map(|(name, value)| attribute(name, value)).collect();
    let mut object = json!({
        "traceId": hexadecimal(&span.trace_id),
        "spanId": hexadecimal(&span.span_id),
        // Sampled.
        "flags": 1,
        "name": span.name,
        "kind": kind(span.kind),
        "startTimeUnixNano": nanoseconds(span.start_us),
        "endTimeUnixNano": nanoseconds(span.end_us),
        "attributes": attributes,
        "status": match span.outcome {
            Outcome::Unset => json!({}),
            Outcome::Error => json!({"code": 2}),
        },
    });
    if let (Some(parent_id), Some(members)) = (&span.parent_id, object.as_object_mut()) {
        members.insert("parentSpanId".to_owned(), hexadecimal(parent_id).into());
    }
    object
}

fn attribute(name: &str, value: &Value) -> Json {
    match value {
        Value::Text(value) => text(name, value),
        // 64 bits are text in this encoding.
        Value::Number(value) => json!({"key": name, "value": {"intValue": value.to_string()}}),
    }
}

fn text(name: &str, value: &str) -> Json {
    json!({"key": name, "value": {"stringValue": value}})
}

fn nanoseconds(us: i64) -> String {
    us.saturating_mul(1000).to_string()
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_as_the_specification_has_it() {
        let span = Span {
            trace_id: [0xab; 16],
            span_id: [1; 8],
            parent_id: Some([2; 8]),
            name: "GET /livez".to_owned(),
            kind: Kind::Server,
            outcome: Outcome::Error,
            start_us: 5,
            end_us: 7,
            attributes: vec![("http.route", Value::Text("/livez".to_owned())), ("n", Value::Number(503))],
        };
        let sent: Json = serde_json::from_str(&request(&[span])).expect("JSON");
        let spans = &sent["resourceSpans"][0]["scopeSpans"][0]["spans"];
        let expected = json!([{
            "traceId": "abababababababababababababababab", "spanId": "0101010101010101",
            "parentSpanId": "0202020202020202", "flags": 1, "name": "GET /livez", "kind": 2,
            "startTimeUnixNano": "5000", "endTimeUnixNano": "7000", "status": {"code": 2},
            "attributes": [
                {"key": "http.route", "value": {"stringValue": "/livez"}},
                {"key": "n", "value": {"intValue": "503"}},
            ],
        }]);
        assert_eq!(*spans, expected);
    }
}
