//! An OpenTelemetry collector of a few lines: takes OTLP/HTTP with JSON and keeps what it was sent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::program::wait_for;

/// How it answers.
#[derive(Debug, Clone, Copy)]
pub enum Answers {
    /// 200 to everything.
    Well,
    /// This status to the first request, then 200.
    First(u16),
    /// Takes connections and says nothing.
    Never,
}

pub struct Collector {
    pub endpoint: String,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    pub fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let collector = Self { endpoint, bodies: Arc::default() };
        let bodies = Arc::clone(&collector.bodies);
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                match answers {
                    Answers::Never => held.push(stream),
                    Answers::First(status) if number == 0 => drop(take(stream, status)),
                    Answers::Well | Answers::First(_) => bodies.lock().unwrap().extend(take(stream, 200)),
                }
            }
        });
        collector
    }

    /// Everything that it was sent, as it came.
    pub fn text(&self) -> String {
        self.bodies.lock().unwrap().join("\n")
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<Value> {
        let bodies = self.bodies.lock().unwrap().clone();
        let read = |body: &String| -> Vec<Value> {
            let request: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {body}"));
            let resource = &request["resourceSpans"][0];
            assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "idi-match");
            resource["scopeSpans"][0]["spans"].as_array().unwrap().clone()
        };
        bodies.iter().flat_map(read).collect()
    }

    /// All spans of the trace with this id, once the one of this name is there, which ends last.
    pub fn trace(&self, trace_id: &str, last: &str) -> Vec<Value> {
        wait_for(last, || {
            let spans: Vec<Value> = self.spans().into_iter().filter(|span| span["traceId"] == trace_id).collect();
            spans.iter().any(|span| span["name"] == last).then_some(spans)
        })
    }
}

/// One request of a connection, which is then closed; nothing where it is not what OTLP/HTTP asks for.
fn take(stream: TcpStream, status: u16) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length, mut is_json) = (String::new(), 0, false);
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        is_json |= line == "content-type: application/json";
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    write!(reader.get_mut(), "HTTP/1.1 {status} x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}").ok()?;
    (is_json && first.starts_with("POST /v1/traces ")).then(|| String::from_utf8(body).ok()).flatten()
}
