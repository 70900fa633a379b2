//! The use cases: one file each. The only room that joins the core with the store.
//!
//! Every function takes a [`Context`] (who asks, when, under which request id) and answers only after its audit row is
//! committed. HTTP and the command line call the same functions. Not here: wire formats.

pub mod answer;
pub mod artifact;
mod asked;
pub mod assured_match;
pub mod audit_backlog;
pub mod audit_chain;
pub mod audit_event;
pub mod auth;
pub mod backup;
pub mod bundle;
pub mod candidates;
pub mod capability;
pub mod clock;
pub mod compose;
pub mod conditional;
mod constraint_copy;
pub mod context;
pub mod create;
pub mod delete;
pub mod doctor;
pub mod error;
pub mod explain;
pub mod export;
pub mod follower;
pub mod golden;
pub mod history;
pub mod incoming;
pub mod keep;
pub mod links;
pub mod live_index;
pub mod load;
pub mod match_batch;
pub mod match_patient;
pub mod meta;
pub mod metering;
pub mod operator;
pub mod partition;
pub mod patch;
pub mod people;
pub mod read;
pub mod refresh;
pub mod responder;
pub mod rule_book;
pub mod rules;
pub mod search;
pub mod select;
pub mod settle;
mod start;
pub mod steward;
pub mod stored_index;
pub mod train;
pub mod unit;
pub mod update;
pub mod validate;
pub mod verification;
pub mod who_looked;
pub mod write;
pub mod writer;

use std::sync::Arc;
use std::time::Duration;

use crate::assurance::verdict::Verdict;
use crate::audit::chain::SealKey;
use crate::audit::{Action, AuditRecord, Outcome};
use crate::config::Config;
use crate::fhir::json;
use crate::matching::index::{Ask, Reach};
use crate::outbound::fetch::Client;
use crate::outbound::lookup::Lookup;
use crate::store::{DatabaseUrl, PooledConnection, Store, StoreError, StoreOptions};

use auth::AuthorizationServer;
use auth::communities::Communities;
use auth::gate::{Gate, Tokens};
use auth::seal::{Keeper, Sealer};
use auth::secret_file;
use candidates::Candidates;
use clock::Clock;
use context::Context;
use error::{AppError, ErrorKind};
use follower::Follower;
use incoming::Door;
use metering::Meter;
use people::People;
use rules::Rules;
use search::page_token::PageKey;
use start::{open_index, start_pool};
use writer::Writer;

/// One running instance: configuration, rules, store, index and writer.
pub struct App {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub rules: Arc<Rules>,
    store: Store,
    candidates: Arc<Candidates>,
    follower: Follower,
    writer: Arc<Writer>,
    planner: export::worker::Planner,
    audit_sealer: audit_chain::sealer::Sealer,
    page_key: PageKey,
    meter: Meter,
    gate: Gate,
    sealer: Sealer,
    communities: Communities,
    authorization: AuthorizationServer,
    people: People,
    started_us: i64,
}

/// Why an instance cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Rules(#[from] rules::RulesError),
    #[error("server.database_url: {0}")]
    Url(StoreError),
    /// `place` is the database's URL without its secrets.
    #[error("{place}: {error}")]
    Store { place: String, error: StoreError },
    #[error("search values of an older version cannot be made again: {0:?}")]
    Search(error::ErrorKind),
    #[error("{0}")]
    KeyFile(#[from] auth::seal::KeyFileError),
    #[error("{0}")]
    Communities(#[from] auth::material::MaterialError),
    #[error("{0}")]
    Outbound(String),
    #[error("authorization server: {0}")]
    Authorization(#[from] auth::AuthorizationError),
    #[error("threads: {0}")]
    Threads(#[from] std::io::Error),
}

impl App {
    /// Opens the store, builds the index and starts the writer.
    ///
    /// # Errors
    /// When a file of `profiles/` cannot be enforced or the database cannot be used.
    pub fn open(config: Config, clock: Clock, progress: impl FnMut(usize)) -> Result<Self, StartError> {
        Self::open_with(config, clock, None, progress)
    }

    /// The same with the text of another model file.
    ///
    /// # Errors
    /// As [`Self::open`], and when the model cannot be used.
    pub fn open_with(
        config: Config,
        clock: Clock,
        model: Option<&str>,
        progress: impl FnMut(usize),
    ) -> Result<Self, StartError> {
        let mut rules = Rules::of(&config)?;
        if let Some(model) = model {
            rules = rules.with_model(model, "model")?;
        }
        let rules = Arc::new(rules);
        let gate = if config.server.open { Gate::Open } else { Gate::guarded(Arc::clone(&rules.assurance)) };
        let config = Arc::new(config);
        let client = Client::open(&config.outbound, Lookup::system()).map_err(StartError::Outbound)?;
        let communities = Communities::open(Arc::clone(&config), clock, client)?;
        let url = DatabaseUrl::parse(config.server.database_url.expose()).map_err(StartError::Url)?;
        let cannot = |error| StartError::Store { place: url.to_string(), error };
        let store = Store::open(&url, &store_options(&config)).map_err(cannot)?;
        start_pool(config.matching.threads);
        let (candidates, old) = open_index(&config, &store, &rules, progress).map_err(cannot)?;
        let candidates = Arc::new(candidates);
        let writer = Arc::new(Writer::start(
            store.clone(),
            Arc::clone(&candidates),
            clock,
            writer::Limits {
                queue_max: config.limits.write_queue_max,
                batch_max: config.limits.commit_batch_max,
                backlog_bytes_max: config.limits.audit_backlog_bytes_max,
            },
        )?);
        let page_key =
            store.writer_connection().and_then(|mut conn| search::page_key(&mut conn, clock)).map_err(cannot)?;
        let meter = store.writer_connection().and_then(|mut conn| Meter::open(&mut conn, clock)).map_err(cannot)?;
        let sealer = Sealer::open(&config.auth.key_file, &mut store.writer_connection().map_err(cannot)?, clock)?;
        let authorization = AuthorizationServer::open(&config, &store, &sealer, clock)?;
        let people = People::open(&config, &store, &sealer, clock).map_err(cannot)?;
        let follower = Follower::start(follower::Workplace {
            store: store.clone(),
            candidates: Arc::clone(&candidates),
            writer: Arc::clone(&writer),
            pause: Duration::from_millis(config.limits.index_poll_ms),
        })?;
        let app = Self {
            config,
            clock,
            rules,
            store,
            candidates,
            follower,
            writer,
            planner: Default::default(),
            audit_sealer: Default::default(),
            page_key,
            meter,
            gate,
            sealer,
            communities,
            authorization,
            people,
            started_us: (clock.now_us)(),
        };
        app.refresh_search_values().map_err(|error| StartError::Search(error.kind))?;
        match app.refresh_features(&old) {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "features made again for this version of the normaliser"),
            Err(error) => tracing::warn!(%error, "features of an older normaliser stay for now"),
        }
        Ok(app)
    }

    /// The same, where bearers of another issuer's tokens are let in and nobody else: no command does this.
    #[must_use]
    pub fn guarded_by(mut self, tokens: Tokens) -> Self {
        self.gate = Gate::guarded_by(tokens, Arc::clone(&self.rules.assurance));
        self
    }

    /// Who is let in.
    #[must_use]
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Plans bulk exports on a thread of this instance: those that it takes on, and those that others have left.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn plan_exports_in_background(&self) -> std::io::Result<()> {
        let limits = &self.config.limits;
        self.planner.start(export::worker::Workplace {
            store: self.store.clone(),
            writer: Arc::clone(&self.writer),
            clock: self.clock,
            part_resources_max: limits.export_part_resources_max,
            expires_us: export::seconds_us(limits.export_expires_s),
        })
    }

    /// Looks after files and revocation lists of the communities on a thread of this instance.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn keep_trust_in_background(&self) -> std::io::Result<()> {
        if self.sealer.keeper() == Keeper::Database && !self.config.server.open {
            tracing::warn!("no auth.key_file: secrets are sealed with a key that is in the database too");
        }
        self.communities.start()
    }

    /// The trust communities.
    #[must_use]
    pub fn communities(&self) -> &Communities {
        &self.communities
    }

    /// What seals secrets at rest.
    #[must_use]
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Seals audit rows on a thread of this instance, with HMACs when there is a file of keys. Called again it goes on with
    /// the file's key of then.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn seal_audit_in_background(&self) -> std::io::Result<()> {
        let file = &self.config.auth.key_file;
        let text = if file.is_empty() { Ok(String::new()) } else { secret_file::read(file) };
        let keys = audit_chain::keys_of(text.map_err(std::io::Error::other)?.as_bytes());
        self.seal_audit_with(keys.into_iter().next())
    }

    /// The same with a key of the caller's choice.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn seal_audit_with(&self, key: Option<SealKey>) -> std::io::Result<()> {
        self.audit_sealer.start(audit_chain::sealer::Workplace {
            store: self.store.clone(),
            writer: Arc::clone(&self.writer),
            clock: self.clock,
            key,
        })
    }

    /// What received documents are judged by; `source` stands in for a missing `meta.source`.
    fn door<'a>(&'a self, source: Option<&'a str>) -> Door<'a> {
        Door {
            rules: &self.rules,
            limits: self.document_limits(),
            sources: &self.config.sources,
            source,
            base_url: &self.config.server.base_url,
        }
    }

    /// Lets the database take stock of what it holds, after much was loaded.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub fn analyze(&self) -> Result<(), AppError> {
        Ok(self.store.analyze()?)
    }

    /// Finishes the writes that wait and ends the threads: none may be within a database client when the process ends.
    pub fn stop(&self) {
        self.communities.stop();
        self.planner.stop();
        self.audit_sealer.stop();
        self.writer.stop();
        self.follower.stop();
    }

    /// The limits of received documents.
    #[must_use]
    pub fn document_limits(&self) -> json::Limits {
        document_limits(&self.config)
    }

    /// Whether the database answers and the index is near enough to what it holds.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub fn check_ready(&self) -> Result<Readiness, AppError> {
        let lag = self.follower.lag();
        if lag > Duration::from_millis(self.config.limits.index_lag_ms_max) {
            return Ok(Readiness::Behind(lag));
        }
        let mut conn = self.connection()?;
        crate::store::change::last_seq(&mut conn)?;
        Ok(Readiness::Ready { records: self.candidates.records(), lag })
    }

    /// Sets the gauges that tell of the index: what they say is of the moment they are asked for.
    pub fn publish_index(&self) {
        let figures = self.candidates.figures();
        metrics::gauge!("idi_match_index_records").set(figures.records as f64);
        metrics::gauge!("idi_match_index_identities").set(figures.identities as f64);
        metrics::gauge!("idi_match_index_bytes").set(figures.bytes as f64);
        metrics::gauge!("idi_match_index_values_refused").set(figures.values_refused as f64);
        metrics::gauge!("idi_match_index_lag_changes").set(figures.lag_changes as f64);
        metrics::gauge!("idi_match_index_lag_seconds").set(self.follower.lag().as_secs_f64());
    }

    /// Records in the index.
    #[must_use]
    pub fn indexed_records(&self) -> usize {
        self.candidates.records()
    }

    fn connection(&self) -> Result<PooledConnection, AppError> {
        Ok(self.store.connection()?)
    }

    /// Runs a use case that writes nothing but its audit row.
    fn answer<T>(
        &self,
        ctx: &Context,
        action: Action,
        work: impl FnOnce(&mut AuditRecord) -> Result<T, AppError>,
    ) -> Result<T, AppError> {
        let mut audit = ctx.audit(action);
        let result = work(&mut audit);
        close(&mut audit, result.as_ref().err(), (self.clock.now_us)());
        self.writer.audit(audit)?;
        result
    }

    /// Audits a request that was refused before any use case was reached.
    #[must_use]
    pub fn refuse(&self, ctx: &Context, action: Action, error: AppError) -> AppError {
        self.refuse_with(ctx.audit(action), error)
    }

    fn refuse_with(&self, mut audit: AuditRecord, error: AppError) -> AppError {
        close(&mut audit, Some(&error), (self.clock.now_us)());
        self.writer.audit(audit).err().unwrap_or(error)
    }

    /// How candidates for a query or an arriving record are looked for. More identities are asked for than are returned:
    /// a second one that is close must be seen even where one is returned at most, and one left out must be announced.
    fn ask(&self) -> Ask {
        let matching = &self.config.matching;
        Ask {
            exclude_record: None,
            candidates_max: matching.candidates_max,
            identities_max: matching.identities_max.max(IDENTITIES_SEEN_MIN) + 1,
            parallel_from: matching.parallel_from,
            reach: Reach::Blocks,
        }
    }
}

/// Whether requests can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    Ready {
        records: usize,
        lag: Duration,
    },
    /// The index may lack what was committed this long ago.
    Behind(Duration),
}

/// The limits of the store.
fn store_options(config: &Config) -> StoreOptions {
    let timeout_ms = config.limits.database_timeout_ms;
    StoreOptions {
        connections_max: config.limits.database_connections_max,
        acquire_timeout_ms: timeout_ms,
        busy_timeout_ms: timeout_ms,
        statement_timeout_ms: timeout_ms,
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Identities weighed against each other, whatever the configuration returns of them.
const IDENTITIES_SEEN_MIN: usize = 10;

/// Stored documents were within the limits of their day.
const STORED_LIMITS: json::Limits =
    json::Limits { body_bytes_max: usize::MAX, depth_max: 120, values_max: usize::MAX, string_bytes_max: usize::MAX };

fn document_limits(config: &Config) -> json::Limits {
    let limits = &config.limits;
    json::Limits {
        body_bytes_max: limits.body_bytes_max,
        depth_max: limits.depth_max,
        values_max: limits.values_max,
        string_bytes_max: limits.string_bytes_max,
    }
}

/// The audit row of a write, should it panic.
fn panicked(audit: &AuditRecord) -> AuditRecord {
    let mut record = audit.clone();
    close(&mut record, Some(&AppError::internal()), audit.at_us);
    record
}

/// Fills in how a request ended.
fn close(audit: &mut AuditRecord, error: Option<&AppError>, now_us: i64) {
    audit.detail.duration_us = u64::try_from(now_us.saturating_sub(audit.at_us)).unwrap_or(0);
    audit.detail.status = error.map_or(200, |error| error.kind.status());
    audit.outcome = Outcome::of_status(audit.detail.status);
    if let Some(error) = error {
        audit.detail.reasons = error.issues.iter().map(|issue| issue.code.code().to_owned()).collect();
        audit.detail.reasons.dedup();
        if let Some(rate) = &error.rate {
            audit.detail.budget = rate.spent_name().map(str::to_owned);
        }
        if error.kind == ErrorKind::NotFound {
            // What is not there has no id here: it would be the caller's text.
            audit.detail.records.clear();
            audit.detail.decision = None;
        }
        let missing = error.missing();
        if !missing.is_empty() {
            audit.detail.verdict = Some(Verdict::REFUSE.to_owned());
            audit.detail.missing = missing;
        }
    }
}
