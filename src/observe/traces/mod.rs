//! Traces: what a request spent its time on, sent to an OpenTelemetry collector in the background.
//!
//! Spans are those of `tracing`; [`Tracer`] is a layer that keeps ids and times of them and, when one ends, puts it into a
//! bounded queue. A thread of its own takes batches from there and sends them (`sender`). Nobody waits for a collector: what
//! the queue has no room for is dropped and counted. Attributes are a closed list of names whose values the server makes,
//! so nothing of a person can be in a span. Only requests begin a trace; what else the server does has none.
//! Why not the OpenTelemetry libraries: they keep no count of what they drop and no closed list of attributes, read clock and
//! randomness by themselves, and bring fourteen crates, a second asynchronous executor and protobuf among them, for what is
//! four small files here. Not here: HTTP (an argument), which spans there are (see `http::middleware` and `app`).

mod encode;
mod parent;
pub mod sender;
mod tracer;

pub use tracer::Tracer;

use std::sync::mpsc::{Receiver, sync_channel};

/// What the layer needs of outside.
#[derive(Debug, Clone, Copy)]
pub struct Sources {
    /// Microseconds since 1970.
    pub now_us: fn() -> i64,
    /// Fresh random bytes, for ids.
    pub random: fn() -> [u8; 32],
}

/// A value that the server has made.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Number(i64),
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    parent_id: Option<[u8; 8]>,
    name: String,
    kind: Kind,
    outcome: Outcome,
    start_us: i64,
    end_us: i64,
    attributes: Vec<(&'static str, Value)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Internal,
    Server,
}

/// As far as the server itself is to blame (semantic conventions of OpenTelemetry for HTTP).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Unset,
    Error,
}

/// The layer, and the other end of its queue.
#[must_use]
pub fn channel(sample_ratio: f64, queue_spans_max: usize, sources: Sources) -> (Tracer, Receiver<Span>) {
    let (queue, ended) = sync_channel(queue_spans_max);
    (Tracer::new(queue, sample_ratio, sources), ended)
}
