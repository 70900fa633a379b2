//! A PostgreSQL server for the tests: one for all test processes of a checkout, with a database per test.
//!
//! Why shared: `cargo nextest` runs each test in a process of its own, and a server takes seconds to make.
//! How: every process holds a shared lock (the lease) while it lives; the kernel gives it back however the process ends.
//! The first process that finds no server makes one, and with it a watchdog that stops and removes the server once
//! nobody has held the lease for a while. Data lies in a new directory under the system's temporary directory; locks and
//! the address lie in the build's (`target/tmp`). PostgreSQL refuses to run as root, so root runs it as `postgres`.
//!
//! `IDI_MATCH_TEST_POSTGRES=postgres://user:password@host:port/database` uses a server that is there already; the user
//! must be allowed to create databases.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};

/// The account that runs the server when the tests run as root.
const SERVER_USER: &str = "postgres";
const START_ATTEMPTS: u32 = 3;
const CLUSTER_PREFIX: &str = "idi-match-postgres-";

/// Stops the server after three looks, two seconds apart, that found no lease. It holds the lease alone meanwhile, so
/// that no test can begin to use the server that is going away. A second watchdog ends at once.
/// Arguments: lease, the watchdog's own lock, address file, cluster directory, and the command that stops the server.
const WATCHDOG: &str = r#"
lease=$1; own=$2; address=$3; cluster=$4; shift 4
exec 9<"$lease" 8>"$own"
flock -n -x 8 || exit 0
free=0
while [ "$free" -lt 3 ]; do
    sleep 2
    if flock -n -x 9; then
        free=$((free + 1))
        if [ "$free" -lt 3 ]; then flock -u 9; fi
    else
        free=0
    fi
done
"$@"
rm -rf "$cluster" "$address"
"#;

/// A database of its own for one test; it goes when this is dropped.
pub struct TestDatabase {
    server: &'static str,
    name: String,
}

impl TestDatabase {
    pub fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = server();
        let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        // A process of the same number may have left one behind on a server that is not ours.
        execute(server, &format!("DROP DATABASE IF EXISTS {name}")).expect("leftover database cannot be dropped");
        execute(server, &format!("CREATE DATABASE {name} TEMPLATE template0")).expect("database cannot be created");
        Self { server, name }
    }

    pub fn url(&self) -> String {
        with_database(self.server, &self.name)
    }

    /// Cuts all connections to the database, as a restarted server or a broken network would.
    pub fn cut_connections(&self) {
        let sql = format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
            self.name
        );
        execute(self.server, &sql).expect("connections cannot be cut");
    }

    /// Whether new connections to the database are let in.
    pub fn allow_connections(&self, allow: Allow) {
        let allowed = matches!(allow, Allow::Yes);
        execute(self.server, &format!("ALTER DATABASE {} ALLOW_CONNECTIONS {allowed}", self.name))
            .expect("database cannot be altered");
    }
}

#[derive(Debug, Clone, Copy)]
pub enum Allow {
    Yes,
    No,
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // The server goes too; a database that stays until then harms nobody.
        let _ = execute(self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

fn execute(url: &str, sql: &str) -> Result<(), String> {
    let mut connection = PgConnection::establish(url).map_err(|error| error.to_string())?;
    connection.batch_execute(sql).map_err(|error| error.to_string())
}

/// The URL with another database's name.
fn with_database(url: &str, name: &str) -> String {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let authority_start = place.find("://").map_or(0, |at| at + 3);
    let authority_end = place[authority_start..].find('/').map_or(place.len(), |at| authority_start + at);
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    format!("{}/{name}{query}", &place[..authority_end])
}

/// The URL of the server's own database.
fn server() -> &'static str {
    static SERVER: OnceLock<(String, Option<File>)> = OnceLock::new();
    let (url, _lease) = SERVER.get_or_init(|| match std::env::var("IDI_MATCH_TEST_POSTGRES") {
        Ok(url) if !url.is_empty() => (url, None),
        _ => {
            let (url, lease) = shared_server();
            (url, Some(lease))
        }
    });
    url
}

fn shared_server() -> (String, File) {
    let places = Places::of_this_build();
    let lease = open_lock(&places.lease);
    lease.lock_shared().expect("the lease cannot be locked");
    let starting = open_lock(&places.starting);
    starting.lock().expect("the start lock cannot be locked");
    let (url, cluster) = match read_address(&places) {
        Some((url, cluster)) if execute(&url, "SELECT 1").is_ok() => (url, cluster),
        stale => {
            if let Some((_, cluster)) = stale {
                // A server that was killed with its watchdog, by a restart of the machine for one.
                let _ = fs::remove_dir_all(cluster);
            }
            start_server(&places)
        }
    };
    if open_lock(&places.watchdog).try_lock().is_ok() {
        watch(&places, &cluster);
    }
    (url, lease)
}

/// The address and the directory of the server that was started last.
fn read_address(places: &Places) -> Option<(String, PathBuf)> {
    let text = fs::read_to_string(&places.address).ok()?;
    let (url, cluster) = text.split_once('\n')?;
    cluster.contains(CLUSTER_PREFIX).then(|| (url.to_owned(), PathBuf::from(cluster)))
}

/// Files that the test processes share.
struct Places {
    lease: PathBuf,
    starting: PathBuf,
    watchdog: PathBuf,
    address: PathBuf,
}

impl Places {
    fn of_this_build() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(folder).expect("the build's temporary directory cannot be made");
        Self {
            lease: folder.join("postgres.lease"),
            starting: folder.join("postgres.starting"),
            watchdog: folder.join("postgres.watchdog"),
            address: folder.join("postgres.address"),
        }
    }
}

fn open_lock(path: &Path) -> File {
    File::options().create(true).truncate(false).write(true).open(path).expect("a lock file cannot be opened")
}

/// Makes a server and writes its address.
fn start_server(places: &Places) -> (String, PathBuf) {
    let programs = programs();
    let cluster = tempfile::Builder::new().prefix(CLUSTER_PREFIX).tempdir().expect("no temporary directory").keep();
    let owner = ServerOwner::of_this_process();
    let password = random_hex();
    fs::write(cluster.join("password"), &password).expect("the password file cannot be written");
    owner.take(&cluster);
    let data = cluster.join("data");
    let initdb = owner
        .command(&programs.join("initdb"))
        .args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"])
        .arg(format!("--pwfile={}", cluster.join("password").display()))
        .arg("--pgdata")
        .arg(&data)
        .output();
    succeeded("initdb", initdb);
    let port = (0..START_ATTEMPTS).find_map(|_| try_port(&owner, &programs, &cluster)).unwrap_or_else(|| {
        let log = fs::read_to_string(cluster.join("log")).unwrap_or_default();
        panic!("PostgreSQL does not start:\n{log}")
    });
    let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres");
    write_private(&places.address, &format!("{url}\n{}", cluster.display()));
    (url, cluster)
}

/// Starts the server on a free port, which another process may take before the server does.
fn try_port(owner: &ServerOwner, programs: &Path, cluster: &Path) -> Option<u16> {
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("no free port").port();
    // fsync stays on: durability is one of the things under test.
    let options = format!(
        "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={} -c max_connections=200 \
         -c shared_buffers=128MB",
        cluster.display()
    );
    let status = owner
        .command(&programs.join("pg_ctl"))
        .args(["start", "--wait", "--silent", "--options", &options, "--log"])
        .arg(cluster.join("log"))
        .arg("--pgdata")
        .arg(cluster.join("data"))
        .status();
    status.is_ok_and(|status| status.success()).then_some(port)
}

/// Leaves the watchdog behind, in a session of its own so that it outlives this process.
fn watch(places: &Places, cluster: &Path) {
    let status = Command::new("setsid")
        .args(["--fork", "sh", "-c", WATCHDOG, "idi-match-postgres-watchdog"])
        .args([&places.lease, &places.watchdog, &places.address])
        .arg(cluster)
        .args(ServerOwner::of_this_process().stop_command(&programs().join("pg_ctl"), &cluster.join("data")))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "the watchdog cannot be started");
}

/// Who runs the server.
enum ServerOwner {
    Ourselves,
    Other(&'static str),
}

impl ServerOwner {
    /// PostgreSQL does not run as root.
    fn of_this_process() -> Self {
        let uid = fs::metadata("/proc/self").expect("/proc is not there").uid();
        if uid == 0 { Self::Other(SERVER_USER) } else { Self::Ourselves }
    }

    fn take(&self, path: &Path) {
        if let Self::Other(user) = self {
            succeeded("chown", Command::new("chown").arg("-R").arg(user).arg(path).output());
        }
    }

    /// A command of the owner that keeps none of our streams open.
    fn command(&self, program: &Path) -> Command {
        let mut command = match self {
            Self::Ourselves => Command::new(program),
            Self::Other(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--"]).arg(program);
                command
            }
        };
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// The command that stops the server at once, as words.
    fn stop_command(&self, pg_ctl: &Path, data: &Path) -> Vec<String> {
        let prefix = match self {
            Self::Ourselves => Vec::new(),
            Self::Other(user) => vec!["runuser", "-u", user, "--"],
        };
        let (pg_ctl, data) = (pg_ctl.display().to_string(), data.display().to_string());
        let words = [pg_ctl.as_str(), "stop", "--mode=immediate", "--pgdata", data.as_str()];
        prefix.into_iter().chain(words).map(str::to_owned).collect()
    }
}

/// The directory of PostgreSQL's programs, of the newest version that Debian has installed.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| Path::new(&format!("/usr/lib/postgresql/{version}/bin/initdb")).exists())
        .max();
    match newest {
        Some(version) => PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")),
        None => panic!(
            "PostgreSQL is not installed under /usr/lib/postgresql: run `make test`, which installs it, or set \
             IDI_MATCH_TEST_POSTGRES"
        ),
    }
}

fn succeeded(what: &str, output: std::io::Result<std::process::Output>) {
    let output = output.unwrap_or_else(|error| panic!("{what} cannot be run: {error}"));
    assert!(output.status.success(), "{what} failed: {}", String::from_utf8_lossy(&output.stderr));
}

fn random_hex() -> String {
    use std::io::Read as _;
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).expect("no randomness");
    format!("{:032x}", u128::from_ne_bytes(bytes))
}

/// Writes a file that its owner alone may read, whole or not at all.
fn write_private(path: &Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let new = path.with_extension("new");
    let mut file =
        File::options().create(true).truncate(true).write(true).mode(0o600).open(&new).expect("cannot write");
    file.write_all(text.as_bytes()).expect("cannot write");
    fs::rename(&new, path).expect("cannot rename");
}
