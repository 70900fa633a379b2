//! A running server with a database of its own, and how a test speaks to it.
//!
//! The server is the one that `serve` runs, started on a free port in a thread; dropping it stops it gracefully.
//! Not here: what answers look like (see `answer`), who is sent (see `people`).

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use idi_match::app::App;
use idi_match::app::audit_chain::verify::{Report, verify};
use idi_match::app::auth::gate::Tokens;
use idi_match::app::clock::Clock;
use idi_match::audit::chain::SealKey;
use idi_match::config::{Config, Sources};
use idi_match::http::server;
use idi_match::observe;
use idi_match::store::{
    Connection, DatabaseUrl, PooledConnection, Store, StoreError, StoreOptions, audit, transaction,
};
use serde_json::Value;
use ureq::{Agent, http};

use crate::answer::{Answer, MatchBundle};
use crate::people::parameters;
use crate::postgres::TestDatabase;

/// Longer than anything here takes; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_mins(1);

pub enum Database {
    Sqlite(tempfile::TempDir),
    Postgres(TestDatabase),
}

impl Database {
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub fn postgres() -> Self {
        Self::Postgres(TestDatabase::create())
    }

    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("people.db").display()),
            Self::Postgres(database) => database.url(),
        }
    }
}

/// A server that answers.
pub struct TestApp {
    /// `http://127.0.0.1:PORT/fhir`
    pub base: String,
    store: Store,
    pub app: Arc<App>,
    /// None while it stops: its idle connections would keep the server waiting.
    agent: Option<Agent>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
    /// Last, for it outlives all that use it.
    pub database: Arc<Database>,
}

impl TestApp {
    /// Starts a server with options `key = value` of the configuration beside those that every test has.
    pub fn start(database: Database, options: &[(&str, &str)]) -> Self {
        Self::start_on(Arc::new(database), options)
    }

    /// Another instance on the same database.
    pub fn beside(&self, options: &[(&str, &str)]) -> Self {
        Self::start_on(Arc::clone(&self.database), options)
    }

    /// A server that lets in bearers of these tokens and nobody else.
    pub fn start_guarded(database: Database, tokens: Tokens, options: &[(&str, &str)]) -> Self {
        let options: Vec<(&str, &str)> =
            [("server.open", "false")].into_iter().chain(options.iter().copied()).collect();
        Self::start_with(Arc::new(database), |_| None, &options, |app| app.guarded_by(tokens))
    }

    /// Another guarded instance on the same database.
    pub fn beside_guarded(&self, tokens: Tokens, options: &[(&str, &str)]) -> Self {
        let options: Vec<(&str, &str)> =
            [("server.open", "false")].into_iter().chain(options.iter().copied()).collect();
        Self::start_with(Arc::clone(&self.database), |_| None, &options, |app| app.guarded_by(tokens))
    }

    /// A server with a file of the configuration, which is made when its base is known.
    pub fn start_configured(database: Database, file: impl FnOnce(&str) -> PathBuf, options: &[(&str, &str)]) -> Self {
        Self::start_with(Arc::new(database), |base| Some(file(base)), options, |app| app)
    }

    /// Another instance on the same database, with a file of the configuration.
    pub fn beside_configured(&self, file: PathBuf, options: &[(&str, &str)]) -> Self {
        Self::start_with(Arc::clone(&self.database), |_| Some(file), options, |app| app)
    }

    fn start_on(database: Arc<Database>, options: &[(&str, &str)]) -> Self {
        Self::start_with(database, |_| None, options, |app| app)
    }

    fn start_with(
        database: Arc<Database>,
        file: impl FnOnce(&str) -> Option<PathBuf>,
        options: &[(&str, &str)],
        gate: impl FnOnce(App) -> App,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let base = format!("http://{address}/fhir");
        let url = database.url();
        let common = [
            ("server.listen", address.as_str()),
            ("server.base_url", &base),
            ("server.database_url", &url),
            ("server.open", "true"),
            ("server.workers", "2"),
            ("limits.database_connections_max", "4"),
            ("organization.name", "Example Health"),
            ("organization.phone", "+1-555-0100"),
        ];
        let flags = common.iter().chain(options).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = Config::load(&Sources { file: file(&base), flags, ..Sources::default() }).unwrap();
        let app = Arc::new(gate(App::open(config, Clock::system(), |_| ()).unwrap()));
        let options = StoreOptions { connections_max: 1, ..StoreOptions::default() };
        let store = Store::open(&DatabaseUrl::parse(&url).unwrap(), &options).unwrap();
        let (handle, thread) = serve(Arc::clone(&app), listener);
        Self { base, database, store, app, agent: Some(agent()), handle, thread: Some(thread) }
    }

    pub fn config(&self) -> &Config {
        &self.app.config
    }

    /// An address outside the FHIR base: `/livez`.
    pub fn at_root(&self, path: &str) -> String {
        format!("{}{path}", self.base.strip_suffix("/fhir").unwrap())
    }

    pub fn get(&self, path: &str) -> Request<'_> {
        self.request("GET", path)
    }

    pub fn delete(&self, path: &str) -> Request<'_> {
        self.request("DELETE", path)
    }

    pub fn post(&self, path: &str, body: impl Into<Content>) -> Request<'_> {
        self.request("POST", path).body(body)
    }

    pub fn put(&self, path: &str, body: impl Into<Content>) -> Request<'_> {
        self.request("PUT", path).body(body)
    }

    /// `path` begins at the FHIR base, unless it is a whole URL.
    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        let url = if path.starts_with("http://") { path.to_owned() } else { format!("{}{path}", self.base) };
        let agent = self.agent.as_ref().unwrap();
        Request { agent, method: method.to_owned(), url, headers: Vec::new(), body: None }
    }

    /// Stores a Patient under its own id.
    pub fn store_patient(&self, patient: &Value) {
        let path = format!("/Patient/{}", patient["id"].as_str().unwrap());
        let answer = self.put(&path, patient).send();
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    }

    /// The bundle of `$idi-match` for `patient`, which must be accepted.
    pub fn idi_match(&self, patient: &Value) -> MatchBundle {
        self.idi_match_with(patient, &[])
    }

    /// The same with further parameters.
    pub fn idi_match_with(&self, patient: &Value, options: &[Value]) -> MatchBundle {
        self.post("/Patient/$idi-match", parameters("IDIPatient", patient, options)).send().expect(200).match_bundle()
    }

    /// Asks until the answer holds, which must happen before patience ends.
    pub fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < PATIENCE, "{what} does not happen");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// A connection to the database that the server does not know of.
    pub fn connection(&self) -> PooledConnection {
        self.store.connection().unwrap()
    }

    /// A connection that writes and that the server does not know of.
    pub fn writer(&self) -> Connection {
        self.store.writer_connection().unwrap()
    }

    /// Changes the database behind the server's back.
    pub fn write(&self, work: impl FnOnce(&mut Connection) -> Result<(), StoreError>) {
        let connection = &mut self.store.writer_connection().unwrap();
        transaction::begin_write(connection).unwrap();
        work(connection).unwrap();
        transaction::commit(connection).unwrap();
    }

    /// What checking the chain of the audit finds at this moment.
    pub fn verify_audit(&self) -> Report {
        self.verify_audit_with(Vec::new())
    }

    pub fn verify_audit_with(&self, keys: Vec<SealKey>) -> Report {
        verify(&self.app.config, Clock::system(), (keys, Vec::new()), |_| ()).unwrap()
    }

    /// Goes on sealing with this key.
    pub fn seal_with(&self, key: &SealKey) {
        self.app.seal_audit_with(Some(key.clone())).unwrap();
    }

    pub fn audit_rows(&self) -> i64 {
        audit::count(&mut self.connection()).unwrap()
    }

    /// Sends bytes as they are, on a connection of its own, and reads what comes until the server closes it.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        read_to_end(&mut stream)
    }

    pub fn connect(&self) -> TcpStream {
        let authority = self.base.strip_prefix("http://").unwrap().strip_suffix("/fhir").unwrap();
        let stream = TcpStream::connect(authority).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Tells the server to stop when the requests in flight are answered, and does not wait for it.
    pub fn begin_stop(&self) {
        drop(self.handle.stop(true));
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.agent.take());
        self.begin_stop();
        let ended = self.thread.take().map(JoinHandle::join);
        self.app.stop();
        if !thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the server ended with a panic");
        }
    }
}

pub fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // What was sent and not read is thrown away with the connection.
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => {}
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn serve(app: Arc<App>, listener: TcpListener) -> (ServerHandle, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let metrics = observe::metrics::start().unwrap();
            let server = server::start(app, listener, metrics).unwrap();
            sender.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    (receiver.recv().unwrap(), thread)
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_redirects(0)
        .timeout_global(Some(PATIENCE))
        .max_idle_connections(200)
        .max_idle_connections_per_host(200)
        .build()
        .new_agent()
}

/// A body in whatever form a test has it.
pub struct Content(Vec<u8>);

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<&String> for Content {
    fn from(text: &String) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&Value> for Content {
    fn from(value: &Value) -> Self {
        Self(value.to_string().into_bytes())
    }
}

impl From<Value> for Content {
    fn from(value: Value) -> Self {
        Self::from(&value)
    }
}

/// A request that is being made.
#[derive(Debug)]
pub struct Request<'a> {
    agent: &'a Agent,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Content>) -> Self {
        self.body = Some(body.into().0);
        self
    }

    /// A body without a `Content-Type` of the test's own is FHIR JSON.
    pub fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.url);
        self.try_send().unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// The same, where the connection may be lost.
    pub fn try_send(self) -> Result<Answer, ureq::Error> {
        let mut request = http::Request::builder().method(self.method.as_str()).uri(&self.url);
        let is_typed = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if self.body.is_some() && !is_typed {
            request = request.header("content-type", "application/fhir+json");
        }
        for (name, value) in &self.headers {
            request = request.header(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let mut response = match self.body {
            Some(body) => self.agent.run(request.body(body)?)?,
            None => self.agent.run(request.body(())?)?,
        };
        let body = response.body_mut().with_config().limit(u64::MAX).read_to_vec()?;
        Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), body })
    }
}
