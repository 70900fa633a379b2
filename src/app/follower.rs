//! The thread that looks at the change log for writes of other processes, several times a second, and how far behind it
//! is.
//!
//! The lag is the time since the index was last known to hold every committed change: it grows while the database is away,
//! too. Not here: what following does (see `candidates`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::store::Store;

use super::candidates::{Candidates, Followed};
use super::error::AppError;
use super::writer::{Scope, Writer};

/// What the thread works with.
#[derive(Clone)]
pub struct Workplace {
    pub store: Store,
    pub candidates: Arc<Candidates>,
    pub writer: Arc<Writer>,
    pub pause: Duration,
}

pub struct Follower {
    thread: Mutex<Option<JoinHandle<()>>>,
    is_stopping: Arc<AtomicBool>,
    complete_at: Arc<Mutex<Instant>>,
}

impl Follower {
    /// Starts the thread; the index is complete at this moment.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(place: Workplace) -> std::io::Result<Self> {
        let (is_stopping, complete_at) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Instant::now())));
        let (stopping, complete) = (Arc::clone(&is_stopping), Arc::clone(&complete_at));
        let thread = std::thread::Builder::new().name("index".into()).spawn(move || {
            let mut was_following = true;
            while !stopping.load(Ordering::Relaxed) {
                std::thread::park_timeout(place.pause);
                let asked = Instant::now();
                let is_following = matches!(catch_unwind(AssertUnwindSafe(|| follow(&place))), Ok(Ok(())));
                if is_following {
                    *complete.lock().unwrap_or_else(PoisonError::into_inner) = asked;
                }
                if is_following != was_following {
                    if is_following {
                        tracing::info!("the index follows again");
                    } else {
                        tracing::warn!("the index cannot follow");
                    }
                }
                was_following = is_following;
            }
        })?;
        Ok(Self { thread: Mutex::new(Some(thread)), is_stopping, complete_at })
    }

    /// How long ago the index was known to hold every committed change.
    #[must_use]
    pub fn lag(&self) -> Duration {
        self.complete_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        thread.thread().unpark();
        if thread.join().is_err() {
            tracing::error!("following the change log ended with a panic");
        }
    }
}

fn follow(place: &Workplace) -> Result<(), AppError> {
    let followed = place.candidates.look(&mut *place.store.connection()?)?;
    match followed {
        Followed::All => Ok(()),
        // An instance with an index of its own has written: the writer follows before it does anything.
        Followed::Lacks(_) => place.writer.upkeep(Scope::Identities, |_| Ok(())),
    }
}
