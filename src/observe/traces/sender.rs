//! The thread that sends spans to a collector: batches, tried again for a while, and given up in the end.
//!
//! What the specification of OTLP/HTTP calls retryable is tried again with growing pauses; meanwhile the queue fills, and
//! what it has no room for is dropped and counted. Not here: HTTP itself, which is an argument.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::Span;
use super::encode::request;

/// Spans of one request at most.
const BATCH_SPANS_MAX: usize = 512;
/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_millis(500);
/// Pauses between tries.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
/// How soon a pause notices that the server stops.
const LOOK: Duration = Duration::from_millis(100);
/// How long the end of a server waits for the last batch.
const LAST: Duration = Duration::from_secs(2);

/// Posts a body and gives the status, or words about why there is none.
pub type Post = Box<dyn Fn(String) -> Result<u16, String> + Send>;

/// The running thread.
pub struct Sender {
    is_stopping: Arc<AtomicBool>,
    has_ended: Receiver<()>,
}

impl Sender {
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(ended: Receiver<Span>, post: Post) -> std::io::Result<Self> {
        let is_stopping = Arc::new(AtomicBool::new(false));
        let (end, has_ended) = sync_channel::<()>(0);
        let worker = Worker { ended, post, is_stopping: Arc::clone(&is_stopping), is_delivering: true };
        std::thread::Builder::new().name("otlp".into()).spawn(move || {
            worker.run();
            drop(end);
        })?;
        Ok(Self { is_stopping, has_ended })
    }

    /// Lets it send what is there, for a short time.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        // The thread gives no message: its end is that of the channel.
        let _ = self.has_ended.recv_timeout(LAST);
    }
}

struct Worker {
    ended: Receiver<Span>,
    post: Post,
    is_stopping: Arc<AtomicBool>,
    is_delivering: bool,
}

impl Worker {
    fn run(mut self) {
        loop {
            let is_last = self.is_stopping.load(Ordering::Relaxed);
            let batch = self.gather();
            if !batch.is_empty() {
                self.deliver(&batch);
            } else if is_last {
                return;
            }
        }
    }

    /// What has ended, after a while in which more may end.
    fn gather(&self) -> Vec<Span> {
        let mut batch = match self.ended.recv_timeout(LOOK) {
            Ok(first) => vec![first],
            Err(RecvTimeoutError::Timeout) => return Vec::new(),
            Err(RecvTimeoutError::Disconnected) => {
                self.is_stopping.store(true, Ordering::Relaxed);
                return Vec::new();
            }
        };
        self.pause(GATHER);
        batch.extend(self.ended.try_iter().take(BATCH_SPANS_MAX - 1));
        batch
    }

    fn deliver(&mut self, batch: &[Span]) {
        let body = request(batch);
        let mut pauses = PAUSES.iter();
        let outcome = loop {
            match (self.post)(body.clone()) {
                Ok(200..=299) => break Ok(()),
                Ok(status) if !is_retryable(status) => break Err(format!("it answers {status}")),
                other => {
                    let reason = other.map_or_else(|reason| reason, |status| format!("it answers {status}"));
                    match pauses.next() {
                        Some(pause) if !self.is_stopping.load(Ordering::Relaxed) => {
                            self.tell(Err(&reason));
                            self.pause(*pause);
                        }
                        _ => break Err(reason),
                    }
                }
            }
        };
        self.tell(match &outcome {
            Ok(()) => Ok(()),
            Err(reason) => Err(reason),
        });
        let outcome = if outcome.is_ok() { "sent" } else { "failed" };
        metrics::counter!("idi_match_trace_spans_total", "outcome" => outcome).increment(batch.len() as u64);
    }

    /// Says in the log when it turns from good to bad, or back.
    fn tell(&mut self, outcome: Result<(), &str>) {
        match (outcome, self.is_delivering) {
            (Err(reason), true) => tracing::warn!(reason, "traces cannot be delivered for now"),
            (Ok(()), false) => tracing::info!("traces are delivered again"),
            _ => {}
        }
        self.is_delivering = outcome.is_ok();
    }

    fn pause(&self, pause: Duration) {
        let mut left = pause;
        while !left.is_zero() && !self.is_stopping.load(Ordering::Relaxed) {
            let part = left.min(LOOK);
            std::thread::sleep(part);
            left -= part;
        }
    }
}

/// OTLP/HTTP, "Failures".
const fn is_retryable(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}
