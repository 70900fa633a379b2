//! The communities in force: trust, the server's certificates and keys, revocation lists that are never waited for.
//!
//! [`Communities::current`] is what a request works with from its beginning to its end; it is replaced as a whole when a file
//! changes or a list arrives. Files that cannot be used leave what was before. Lists are fetched in the background, each
//! URL on a thread of its own, so a host that does not answer delays nobody; when a list is out of date, whoever needs it is
//! refused (fail closed). Only the first certificate that names an unknown URL waits for it, once and for a short time. Not
//! here: rules about chains (`auth::trust`), bookkeeping of lists (`revocation`), contents of files (`material`).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use crate::app::clock::Clock;
use crate::auth::certificate::Certificate;
use crate::auth::community::Community;
use crate::auth::signing::Signer;
use crate::auth::trust::{Chain, ChainError, Crl, TrustStore, UnknownRevocation, missing_issuer, validate};
use crate::config::Config;
use crate::outbound::fetch::Client;

use super::issuers::Issuers;
use super::material::{self, Material, MaterialError};
use super::revocation::{Due, ListSigner, Lists, Unusable};
use super::stamp::Stamp;

/// Lists fetched at a time at most.
const FETCHES_MAX: usize = 8;
/// How long the first certificate with a new distribution point waits for the list.
const FIRST_WAIT: Duration = Duration::from_millis(1500);
/// Certificates fetched for one chain at most.
const ISSUERS_MAX: usize = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// One community of a moment.
#[derive(Debug, Clone)]
pub struct LiveCommunity {
    pub community: Community,
    pub trust: TrustStore,
    /// The server's certificate in this community and its intermediates, as DER, leaf first.
    pub server_chain: Vec<Vec<u8>>,
    pub server_certificate: Certificate,
    pub signer: Arc<Signer>,
}

/// All communities of a moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub communities: Vec<LiveCommunity>,
}

impl Snapshot {
    /// The one that speaks where none is named.
    #[must_use]
    pub fn default_community(&self) -> Option<&LiveCommunity> {
        let mut communities = self.communities.iter();
        communities.find(|live| live.community.is_default).or_else(|| self.communities.first())
    }

    /// The one with this URI, byte for byte.
    #[must_use]
    pub fn find_by_uri(&self, uri: &str) -> Option<&LiveCommunity> {
        self.communities.iter().find(|live| live.community.uri.as_deref() == Some(uri))
    }

    #[must_use]
    pub fn find(&self, name: &str) -> Option<&LiveCommunity> {
        self.communities.iter().find(|live| live.community.name == name)
    }
}

/// A chain that a community vouches for.
#[derive(Debug)]
pub struct Trusted {
    pub chain: Chain,
    snapshot: Arc<Snapshot>,
    at: usize,
}

impl Trusted {
    #[must_use]
    pub fn community(&self) -> &LiveCommunity {
        &self.snapshot.communities[self.at]
    }
}

/// The communities of a running instance.
#[derive(Debug)]
pub struct Communities {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Inner {
    config: Arc<Config>,
    clock: Clock,
    client: Client,
    current: RwLock<Arc<Snapshot>>,
    files: Mutex<Files>,
    lists: Mutex<Lists>,
    /// Told whenever a fetch has ended.
    fetched: Condvar,
    issuers: Issuers,
    background: OnceLock<Thread>,
    is_stopping: AtomicBool,
    is_reload_asked: AtomicBool,
}

#[derive(Debug)]
struct Files {
    stamp: Stamp,
    materials: Vec<Material>,
}

impl Communities {
    /// Reads all files; nothing is fetched yet.
    ///
    /// # Errors
    /// The first option whose files cannot be used.
    pub fn open(config: Arc<Config>, clock: Clock, client: Client) -> Result<Self, MaterialError> {
        let stamp = stamp(&config);
        let materials = read(&config)?;
        let inner = Inner {
            config,
            clock,
            client,
            current: RwLock::default(),
            files: Mutex::new(Files { stamp, materials }),
            lists: Mutex::default(),
            fetched: Condvar::new(),
            issuers: Issuers::default(),
            background: OnceLock::new(),
            is_stopping: AtomicBool::new(false),
            is_reload_asked: AtomicBool::new(false),
        };
        inner.want_lists();
        inner.publish();
        Ok(Self { inner: Arc::new(inner), thread: Mutex::default() })
    }

    /// The communities of this moment.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        self.inner.current()
    }

    /// The client for everything that is fetched.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// Starts to look at files and to fetch lists; without communities there is nothing to do.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(&self) -> std::io::Result<()> {
        let mut thread = lock(&self.thread);
        if thread.is_some() || self.inner.config.communities.is_empty() {
            return Ok(());
        }
        let inner = Arc::clone(&self.inner);
        let started = std::thread::Builder::new().name("trust".into()).spawn(move || inner.run())?;
        let _ = self.inner.background.set(started.thread().clone());
        *thread = Some(started);
        Ok(())
    }

    /// Has all files read again, whether they have changed or not.
    pub fn reload(&self) {
        self.inner.is_reload_asked.store(true, Ordering::Relaxed);
        self.inner.wake();
    }

    /// Ends the thread. Fetches that are on their way end by themselves.
    pub fn stop(&self) {
        self.inner.is_stopping.store(true, Ordering::Relaxed);
        self.inner.wake();
        let thread = lock(&self.thread).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("looking after trust ended with a panic");
        }
    }

    /// The community that vouches for a chain: that of the anchor it leads to.
    ///
    /// # Errors
    /// Where none does, what stood in the way of the one that came nearest.
    pub fn judge(&self, x5c: &[Vec<u8>]) -> Result<Trusted, ChainError> {
        let count = self.current().communities.len();
        let mut nearest = ChainError::Untrusted;
        for at in 0..count {
            match self.inner.judge(at, x5c) {
                Ok(trusted) => return Ok(trusted),
                // Any other reason was found behind an anchor of that community, or holds for all of them.
                Err(ChainError::Untrusted) => {}
                Err(error) => nearest = error,
            }
        }
        Err(nearest)
    }

    /// Whether this community vouches for a chain.
    ///
    /// # Errors
    /// What stands in the way; `Untrusted` where there is no such community.
    pub fn judge_in(&self, name: &str, x5c: &[Vec<u8>]) -> Result<Trusted, ChainError> {
        let at = self.current().communities.iter().position(|live| live.community.name == name);
        self.inner.judge(at.ok_or(ChainError::Untrusted)?, x5c)
    }

    /// Sets the gauges that tell of lists and certificates: what they say is of the moment they are asked for.
    pub fn publish_figures(&self) {
        let now_us = (self.inner.clock.now_us)();
        for live in &self.current().communities {
            let community = live.community.name.clone();
            let seconds = |us: i64| us as f64 / 1e6;
            let (urls, failing) = lock(&self.inner.lists).counts(&community);
            let gauge =
                |name: &'static str, value: f64| metrics::gauge!(name, "community" => community.clone()).set(value);
            gauge("idi_match_crl_urls", urls as f64);
            gauge("idi_match_crl_urls_failing", failing as f64);
            let crls = live.trust.crls();
            if let Some(oldest_us) = crls.iter().map(|crl| crl.this_update_us()).min() {
                gauge("idi_match_crl_age_seconds", seconds(now_us - oldest_us));
            }
            if let Some(first_us) = crls.iter().map(|crl| crl.next_update_us()).min() {
                gauge("idi_match_crl_left_seconds", seconds(first_us - now_us));
            }
            gauge(
                "idi_match_server_certificate_left_seconds",
                seconds(live.server_certificate.not_after_us() - now_us),
            );
        }
    }
}

impl Drop for Communities {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inner {
    fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn wake(&self) {
        if let Some(thread) = self.background.get() {
            thread.unpark();
        }
    }

    fn run(self: &Arc<Self>) {
        let every = Duration::from_secs(self.config.auth.reload_s);
        let mut looked = Instant::now();
        while !self.is_stopping.load(Ordering::Relaxed) {
            let is_asked = self.is_reload_asked.swap(false, Ordering::Relaxed);
            if is_asked || looked.elapsed() >= every {
                looked = Instant::now();
                self.read_again(is_asked);
            }
            let due = lock(&self.lists).take_due((self.clock.now_us)(), FETCHES_MAX);
            for due in due {
                self.fetch_beside(due);
            }
            std::thread::park_timeout(PAUSE);
        }
    }

    /// Reads the files where they have changed, or `is_asked`.
    fn read_again(&self, is_asked: bool) {
        let now = stamp(&self.config);
        if !is_asked && now == lock(&self.files).stamp {
            return;
        }
        match read(&self.config) {
            Ok(materials) => {
                *lock(&self.files) = Files { stamp: now, materials };
                self.want_lists();
                self.publish();
                tracing::info!("certificates, keys and lists of the communities were read again");
            }
            Err(error) => {
                lock(&self.files).stamp = now;
                tracing::error!(%error, "a community cannot be read again; what was read before stays in force");
            }
        }
    }

    fn want_lists(&self) {
        let files = lock(&self.files);
        let mut lists = lock(&self.lists);
        lists.keep_only(&files.materials.iter().map(|material| material.community.name.clone()).collect());
        for material in &files.materials {
            for url in &material.crl_urls {
                lists.want_configured(&material.community.name, url);
            }
        }
    }

    /// Puts together what is in force from now on.
    fn publish(&self) {
        let files = lock(&self.files);
        let lists = lock(&self.lists);
        let live = |material: &Material| {
            let mut crls = lists.of(&material.community.name);
            crls.extend(material.crls.iter().cloned());
            LiveCommunity {
                community: material.community.clone(),
                trust: material.trust.clone().with_crls(crls),
                server_chain: material.server_chain.clone(),
                server_certificate: material.server_certificate.clone(),
                signer: Arc::clone(&material.signer),
            }
        };
        let snapshot = Snapshot { communities: files.materials.iter().map(live).collect() };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    fn fetch_beside(self: &Arc<Self>, due: Due) {
        let inner = Arc::clone(self);
        let url = due.url.clone();
        let started = std::thread::Builder::new().name("crl".into()).spawn(move || inner.fetch(&due));
        if started.is_err() {
            lock(&self.lists).failed(&url, (self.clock.now_us)());
        }
    }

    fn fetch(&self, due: &Due) {
        let fetched = self.client.revocation_lists(&due.url);
        let now_us = (self.clock.now_us)();
        let refresh_us = i64::try_from(self.config.auth.crl_refresh_s).unwrap_or(i64::MAX / 1_000_000) * 1_000_000;
        let url = self.shown(&due.url);
        let outcome = match fetched {
            Err(error) => {
                lock(&self.lists).failed(&due.url, now_us);
                tracing::warn!(url, %error, "a revocation list cannot be fetched");
                "failed"
            }
            Ok(ders) => match self.signed(&ders, due) {
                Ok(lists) => match lock(&self.lists).keep(&due.url, lists, now_us, refresh_us) {
                    Ok(()) => "fetched",
                    Err(error) => unusable(&url, error),
                },
                Err(error) => {
                    lock(&self.lists).failed(&due.url, now_us);
                    unusable(&url, error)
                }
            },
        };
        metrics::counter!("idi_match_crl_fetches_total", "outcome" => outcome).increment(1);
        self.publish();
        self.fetched.notify_all();
    }

    /// A URL for the log: one of the configuration, and of its certificates; what callers bring is not repeated.
    fn shown(&self, url: &str) -> String {
        let is_own = lock(&self.files).materials.iter().any(|material| material.crl_urls.contains(url));
        if is_own { url.to_owned() } else { "in a certificate of a caller".to_owned() }
    }

    /// The lists that were fetched, each signed by somebody of a community that wants it.
    fn signed(&self, ders: &[Vec<u8>], due: &Due) -> Result<Vec<Arc<Crl>>, Unusable> {
        let snapshot = self.current();
        let wanting = snapshot.communities.iter().filter(|live| due.communities.contains(&live.community.name));
        let stores: Vec<&TrustStore> = wanting.map(|live| &live.trust).collect();
        // Files may have been read again since somebody was seen below an anchor.
        let is_anchor = |sha256| stores.iter().any(|store| store.anchors().iter().any(|own| own.sha256() == sha256));
        let below = due.signers.iter().filter(|signer| is_anchor(signer.anchor_sha256));
        let learnt: Vec<TrustStore> =
            below.filter_map(|signer| TrustStore::new(std::slice::from_ref(&signer.der), &[]).ok()).collect();
        let mut lists = Vec::new();
        for der in ders {
            let crl = Crl::parse(der).map_err(|_| Unusable::Form)?;
            if !stores.iter().copied().chain(&learnt).any(|store| store.has_signer_of(&crl)) {
                return Err(Unusable::Signature);
            }
            lists.push(Arc::new(crl));
        }
        Ok(lists)
    }

    /// Judges a chain by one community, fetching what is allowed and missing.
    fn judge(&self, at: usize, x5c: &[Vec<u8>]) -> Result<Trusted, ChainError> {
        let mut extra = Vec::new();
        let mut judged = self.validate(at, x5c, &extra);
        while matches!(judged, Err(ChainError::Untrusted)) && extra.len() < ISSUERS_MAX {
            let more = self.missing(at, x5c, &extra);
            if more.is_empty() {
                break;
            }
            extra.extend(more);
            extra.truncate(ISSUERS_MAX);
            judged = self.validate(at, x5c, &extra);
        }
        if matches!(judged, Err(ChainError::RevocationUnknown)) && self.learn(at, x5c, &extra) {
            judged = self.validate(at, x5c, &extra);
        }
        judged
    }

    fn validate(&self, at: usize, x5c: &[Vec<u8>], extra: &[Vec<u8>]) -> Result<Trusted, ChainError> {
        let snapshot = self.current();
        let live = snapshot.communities.get(at).ok_or(ChainError::Untrusted)?;
        let chain = validate(x5c, extra, &live.trust, (self.clock.now_us)())?;
        Ok(Trusted { chain, snapshot, at })
    }

    /// The issuer at which the way to an anchor ends, where it may be fetched and can be.
    fn missing(&self, at: usize, x5c: &[Vec<u8>], extra: &[Vec<u8>]) -> Vec<Vec<u8>> {
        if !self.config.auth.aia {
            return Vec::new();
        }
        let snapshot = self.current();
        let last = snapshot.communities.get(at).and_then(|live| missing_issuer(x5c, extra, &live.trust));
        let Some(last) = last else { return Vec::new() };
        let now_us = (self.clock.now_us)();
        let found = last.issuer_urls().iter().map(|url| self.issuers.find(url, &self.client, now_us));
        let is_new = |der: &Vec<u8>| !x5c.contains(der) && !extra.contains(der);
        let issues = |der: &Vec<u8>| Certificate::parse(der).is_ok_and(|found| found.subject() == last.issuer());
        found.flatten().find(|der| is_new(der) && issues(der)).into_iter().collect()
    }

    /// Has the lists of a chain's distribution points fetched from now on, and waits for those that were never tried.
    /// Whether it is worth judging again.
    fn learn(&self, at: usize, x5c: &[Vec<u8>], extra: &[Vec<u8>]) -> bool {
        let snapshot = self.current();
        let Some(live) = snapshot.communities.get(at) else { return false };
        // That revocation is unknown was perhaps said before all signatures were looked at. What was brought is believed
        // nothing: only certificates on a way that holds but for lists say where lists are, and who signs them.
        let trust = live.trust.clone().with_crls(Vec::new()).with_unknown_revocation(UnknownRevocation::Accept);
        let Ok(chain) = validate(x5c, extra, &trust, (self.clock.now_us)()) else { return false };
        let way = || std::iter::once(&chain.leaf).chain(&chain.issuers);
        let urls: BTreeSet<String> = way().flat_map(|certificate| certificate.crl_urls().to_vec()).collect();
        let urls: Vec<String> = urls.into_iter().collect();
        let signer =
            |issuer: &Certificate| ListSigner { der: issuer.der().to_vec(), anchor_sha256: chain.anchor_sha256 };
        let signers: Vec<ListSigner> = chain.issuers.iter().map(signer).collect();
        let mut lists = lock(&self.lists);
        for url in &urls {
            lists.learn(&live.community.name, url, &signers);
        }
        if urls.is_empty() || lists.are_tried(&urls) {
            return false;
        }
        self.wake();
        let waiting = |lists: &mut Lists| !lists.are_tried(&urls);
        drop(self.fetched.wait_timeout_while(lists, FIRST_WAIT, waiting));
        true
    }
}

fn unusable(url: &str, error: Unusable) -> &'static str {
    tracing::warn!(url, %error, "a revocation list that was fetched is not used");
    "unusable"
}

fn read(config: &Config) -> Result<Vec<Material>, MaterialError> {
    let communities = config.communities.iter().enumerate();
    let base_url = &config.server.base_url;
    let materials = communities.map(|(at, community)| material::read(at, community, base_url));
    let materials = materials.collect::<Result<Vec<_>, _>>()?;
    material::check_anchors(&materials)?;
    Ok(materials)
}

fn stamp(config: &Config) -> Stamp {
    Stamp::of(config.communities.iter().flat_map(material::files))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
