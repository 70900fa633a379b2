//! Traces: what a collector is sent, and that nobody waits for one.

use serde_json::Value;

use crate::collector::{Answers, Collector};
use crate::database::Database;
use crate::doctoring::Installation;
use crate::people::patient;
use crate::program::{Running, Server, Stream, command, wait_for};

on_both_databases! {
    a_match_is_a_trace_of_its_parts_below_the_span_of_its_caller,
    a_collector_that_does_not_answer_costs_spans_and_nothing_else,
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const MATCH: &str = "POST /fhir/Patient/$idi-match";

fn attribute<'v>(span: &'v Value, name: &str) -> &'v Value {
    let found = span["attributes"].as_array().unwrap().iter().find(|attribute| attribute["key"] == name);
    found.map_or(&Value::Null, |attribute| &attribute["value"])
}

/// Asks for somebody with headers of its own; the status.
fn ask(server: &Server, traceparent: &str) -> u16 {
    let mut query = patient("q", 1);
    query["meta"] =
        serde_json::json!({"profile": ["http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient"]});
    let url = format!("http://{}/fhir/Patient/$idi-match", server.address);
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
    let request = agent.post(url).header("content-type", "application/fhir+json").header("traceparent", traceparent);
    let parameters = serde_json::json!({
        "resourceType": "Parameters", "parameter": [{"name": "IDIPatient", "resource": query}],
    });
    request.send(parameters.to_string()).unwrap().status().as_u16()
}

fn spans_by_outcome(server: &Server, outcome: &str) -> u64 {
    let text =
        ureq::get(format!("http://{}/metrics", server.address)).call().unwrap().body_mut().read_to_string().unwrap();
    let name = format!("idi_match_trace_spans_total{{outcome=\"{outcome}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or_else(|| panic!("{name}"))
}

fn a_match_is_a_trace_of_its_parts_below_the_span_of_its_caller(database: &Database) {
    let collector = Collector::start(Answers::Well);
    let server = Server::start(&database.url(), &["--otlp-endpoint", &collector.endpoint]);
    assert_eq!(server.ask("PUT", "Patient/a", patient("a", 1).to_string()).0, 201);
    assert_eq!(ask(&server, &format!("00-{TRACE}-00f067aa0ba902b7-01")), 200);
    let spans = collector.trace(TRACE, MATCH);
    let request = spans.iter().find(|span| span["name"] == MATCH).unwrap();
    assert_eq!((&request["parentSpanId"], &request["kind"]), (&"00f067aa0ba902b7".into(), &2.into()));
    assert_eq!(attribute(request, "http.response.status_code")["intValue"], "200");
    assert_eq!(attribute(request, "http.route")["stringValue"], "/fhir/Patient/$idi-match");
    assert_eq!(attribute(request, "request.id")["stringValue"].as_str().map(str::len), Some(36));
    let time = |span: &Value, name: &str| span[name].as_str().unwrap().parse::<i64>().unwrap();
    for name in ["validate", "normalise", "candidates", "records", "grade", "commit"] {
        let span = spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("{name}: {spans:#?}"));
        assert_eq!((&span["parentSpanId"], &span["kind"]), (&request["spanId"], &1.into()), "{name}");
        assert!(time(span, "startTimeUnixNano") >= time(request, "startTimeUnixNano"), "{name}");
        assert!(time(span, "endTimeUnixNano") <= time(request, "endTimeUnixNano"), "{name}");
    }
    let candidates = spans.iter().find(|span| span["name"] == "candidates").unwrap();
    assert_eq!(attribute(candidates, "candidates")["intValue"], "1");
    // A trace that its caller does not keep is not kept here.
    let other = TRACE.replace('4', "5");
    assert_eq!(ask(&server, &format!("00-{other}-00f067aa0ba902b7-00")), 200);
    assert_eq!(ask(&server, "no traceparent"), 200);
    wait_for("a trace of its own", || {
        let spans = collector.spans();
        spans.iter().any(|span| span["name"] == MATCH && span["parentSpanId"].is_null()).then_some(())
    });
    assert!(collector.spans().iter().all(|span| span["traceId"] != other.as_str()));
    let names: Vec<String> = collector.spans().iter().map(|span| span["name"].to_string()).collect();
    assert!(names.iter().any(|name| name.contains("PUT /fhir/{type}/{id}")), "patterns, and no ids: {names:?}");
}

fn a_collector_that_does_not_answer_costs_spans_and_nothing_else(database: &Database) {
    let collector = Collector::start(Answers::Never);
    let options = ["--otlp-endpoint", &collector.endpoint, "--otlp-queue-spans-max", "5"];
    let mut server = Server::start(&database.url(), &options);
    for _ in 0..30 {
        assert_eq!(ask(&server, ""), 200);
    }
    assert!(spans_by_outcome(&server, "dropped") > 100);
    assert_eq!(spans_by_outcome(&server, "sent"), 0);
    assert!(server.running.stop().success(), "nor does the end wait for it");
}

#[test]
fn a_collector_is_tried_again_when_it_is_busy_and_given_up_when_it_refuses() {
    for (status, outcome) in [(503, "sent"), (400, "failed")] {
        let (database, collector) = (Database::sqlite(), Collector::start(Answers::First(status)));
        let server = Server::start(&database.url(), &["--otlp-endpoint", &collector.endpoint]);
        assert_eq!(ask(&server, ""), 200);
        wait_for(outcome, || (spans_by_outcome(&server, outcome) > 0).then_some(()));
        let has_arrived = collector.spans().iter().any(|span| span["name"] == MATCH);
        assert_eq!(has_arrived, status == 503, "{status}");
    }
}

#[test]
fn the_gate_is_a_part_of_its_request_and_the_environment_names_the_collector() {
    let (database, collector) = (Database::sqlite(), Collector::start(Answers::Well));
    let installation = Installation::new(&database.url());
    let mut serve = command();
    serve.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint);
    let file = installation.folder.text("idi-match.toml");
    serve.args(["serve", "--config", &file, "--listen", "127.0.0.1:0", "--log-format", "json", "--database-url"]);
    serve.arg(database.url());
    let running = Running::start(serve, Stream::Err);
    let address = loop {
        let line: Value = serde_json::from_str(&running.line()).unwrap();
        if line["fields"]["message"] == "ready" {
            break line["fields"]["address"].as_str().unwrap().to_owned();
        }
    };
    let server = Server { running, address };
    assert_eq!(ask(&server, &format!("00-{TRACE}-00f067aa0ba902b7-01")), 401);
    let spans = collector.trace(TRACE, MATCH);
    let names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"gate") && names.contains(&"commit"), "{names:?}");
}
