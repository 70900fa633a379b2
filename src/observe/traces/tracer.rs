//! The layer: from spans of `tracing` to spans of a trace.
//!
//! A span without a parent begins a trace if it is a request's and chosen: by its caller's `traceparent`, or by chance. What
//! hangs below a span that was not chosen is not kept either. Not here: sending (see `sender`).

use std::sync::mpsc::SyncSender;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::parent::{Parent, parse};
use super::{Kind, Outcome, Sources, Span, Value};

/// The span that a request is.
const REQUEST: &str = "request";
/// The caller's header: it says where a span belongs and is none of its attributes.
const TRACEPARENT: &str = "traceparent";
const METHOD: &str = "http.request.method";
const ROUTE: &str = "http.route";
const STATUS: &str = "http.response.status_code";
/// The attributes that leave; all of their values are of the server's making.
const ATTRIBUTES: [&str; 7] = [METHOD, ROUTE, STATUS, "request.id", "candidates", "identities", "records"];
/// Of one value.
const VALUE_BYTES_MAX: usize = 128;

/// Keeps spans and puts those that have ended into a queue.
#[derive(Debug)]
pub struct Tracer {
    queue: SyncSender<Span>,
    /// Trace ids whose last eight bytes are below it are chosen.
    chosen_below: u64,
    sources: Sources,
}

impl Tracer {
    pub(super) fn new(queue: SyncSender<Span>, sample_ratio: f64, sources: Sources) -> Self {
        // A share of all numbers of 64 bits; 1 is all of them.
        Self { queue, chosen_below: (sample_ratio * u64::MAX as f64) as u64, sources }
    }

    /// Whether this layer cares for a span or event at all.
    #[must_use]
    pub fn wants(metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target().starts_with("idi_match")
    }

    /// The place of a request in a trace, if it is traced.
    fn root(&self, traceparent: Option<Parent>) -> Option<Place> {
        let random = (self.sources.random)();
        let own = id_of(&random, 0);
        match traceparent {
            Some(parent) => {
                let place = Place { trace_id: parent.trace_id, span_id: own, parent_id: Some(parent.span_id) };
                parent.is_sampled.then_some(place)
            }
            None => {
                let (high, low) = (id_of(&random, 8), id_of(&random, 16));
                let mut trace_id = [0; 16];
                trace_id[..8].copy_from_slice(&high);
                trace_id[8..].copy_from_slice(&low);
                let is_chosen = self.chosen_below == u64::MAX || u64::from_be_bytes(low) < self.chosen_below;
                is_chosen.then_some(Place { trace_id, span_id: own, parent_id: None })
            }
        }
    }

    fn child(&self, of: &Place) -> Place {
        Place { trace_id: of.trace_id, span_id: id_of(&(self.sources.random)(), 0), parent_id: Some(of.span_id) }
    }
}

/// Eight bytes of random ones.
fn id_of(random: &[u8; 32], at: usize) -> [u8; 8] {
    std::array::from_fn(|byte| random[at + byte])
}

#[derive(Debug, Clone, Copy)]
struct Place {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    parent_id: Option<[u8; 8]>,
}

/// What is kept beside a span of `tracing`.
struct Begun {
    place: Place,
    start_us: i64,
    fields: Fields,
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Tracer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let place = match span.parent() {
            Some(parent) => parent.extensions().get::<Begun>().map(|begun| self.child(&begun.place)),
            None if span.name() == REQUEST => self.root(fields.parent.take()),
            None => None,
        };
        let Some(place) = place else { return };
        span.extensions_mut().insert(Begun { place, start_us: (self.sources.now_us)(), fields });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        if let Some(begun) = span.extensions_mut().get_mut::<Begun>() {
            values.record(&mut begun.fields);
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(&id) else { return };
        let begun: Option<Begun> = span.extensions_mut().remove();
        let Some(begun) = begun else { return };
        let ended = end(begun, span.name(), (self.sources.now_us)());
        if self.queue.try_send(ended).is_err() {
            metrics::counter!("idi_match_trace_spans_total", "outcome" => "dropped").increment(1);
        }
    }
}

fn end(begun: Begun, name: &str, end_us: i64) -> Span {
    let Begun { place, start_us, fields } = begun;
    let (kind, name) =
        if name == REQUEST { (Kind::Server, fields.request_name()) } else { (Kind::Internal, name.into()) };
    Span {
        trace_id: place.trace_id,
        span_id: place.span_id,
        parent_id: place.parent_id,
        name,
        kind,
        outcome: fields.outcome(),
        start_us,
        end_us: end_us.max(start_us),
        attributes: fields.known,
    }
}

/// The fields of a span that are known here.
#[derive(Debug, Default)]
struct Fields {
    known: Vec<(&'static str, Value)>,
    parent: Option<Parent>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        let Some(name) = ATTRIBUTES.into_iter().find(|name| *name == field.name()) else { return };
        self.known.retain(|(known, _)| *known != name);
        self.known.push((name, value));
    }

    fn put_text(&mut self, field: &Field, text: &str) {
        if field.name() == TRACEPARENT {
            self.parent = parse(text);
            return;
        }
        let end = text.floor_char_boundary(VALUE_BYTES_MAX);
        self.put(field, Value::Text(text[..end].to_owned()));
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.known.iter().find_map(|(known, value)| match value {
            Value::Text(text) if *known == name => Some(text.as_str()),
            _ => None,
        })
    }

    /// Method and route, once they are known.
    fn request_name(&self) -> String {
        let method = self.text(METHOD).unwrap_or(REQUEST);
        self.text(ROUTE).map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
    }

    fn outcome(&self) -> Outcome {
        let is_error = |(name, value): &(&str, Value)| *name == STATUS && matches!(value, Value::Number(500..));
        if self.known.iter().any(is_error) { Outcome::Error } else { Outcome::Unset }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put_text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Number(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Number(i64::try_from(value).unwrap_or(i64::MAX)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::channel;
    use super::*;
    use std::sync::atomic::{AtomicU8, Ordering};
    use std::sync::mpsc::Receiver;
    use tracing_subscriber::layer::SubscriberExt as _;

    fn random() -> [u8; 32] {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        [NEXT.fetch_add(1, Ordering::Relaxed); 32]
    }

    /// The spans that `work` leaves.
    fn spans(ratio: f64, queue_spans_max: usize, work: impl FnOnce()) -> Vec<Span> {
        let (tracer, ended) = channel(ratio, queue_spans_max, Sources { now_us: || 5, random });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(tracer), work);
        drained(&ended)
    }

    fn drained(ended: &Receiver<Span>) -> Vec<Span> {
        ended.try_iter().collect()
    }

    fn request(traceparent: &str) -> tracing::Span {
        let span = tracing::info_span!(
            "request",
            http.request.method = "GET",
            http.route = tracing::field::Empty,
            secret = "swordfish",
            traceparent
        );
        tracing::info_span!(parent: &span, "commit", records = 3_u64).in_scope(|| {});
        span.record("http.route", "/livez");
        span
    }

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_request_goes_on_with_its_callers_trace_and_its_parts_hang_below_it() {
        let found = spans(0.0, 9, || drop(request(PARENT)));
        let [commit, request] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((request.trace_id[0], request.parent_id.map(|id| id[7])), (0x4b, Some(0xb7)));
        assert_eq!((request.name.as_str(), request.kind), ("GET /livez", Kind::Server));
        assert_eq!((commit.trace_id, commit.parent_id), (request.trace_id, Some(request.span_id)));
        assert_eq!((commit.name.as_str(), commit.kind), ("commit", Kind::Internal));
        assert_eq!(commit.attributes, [("records", Value::Number(3))]);
        let names: Vec<&str> = request.attributes.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["http.request.method", "http.route"], "what is not in the list does not leave");
    }

    #[test]
    fn who_is_not_chosen_leaves_nothing_nor_does_what_is_no_request() {
        assert_eq!(spans(1.0, 9, || drop(request(&PARENT.replace("-01", "-00")))), []);
        assert_eq!(spans(0.0, 9, || drop(request(""))), []);
        assert_eq!(spans(1.0, 9, || tracing::info_span!("commit").in_scope(|| {})), []);
        assert_eq!(spans(1.0, 9, || drop(request("nonsense"))).len(), 2);
    }

    #[test]
    fn a_full_queue_drops_spans_and_keeps_nobody_waiting() {
        assert_eq!(spans(1.0, 1, || drop(request(PARENT))).len(), 1);
    }
}
