//! Runs the binary, to its end or beside a test, without the environment of whoever runs the tests.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

pub const BINARY: &str = env!("CARGO_BIN_EXE_idi-match");
pub const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// How long something that must happen is waited for. No judgement of speed: a test that waits so long hangs.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// What a run left behind.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Standard output, of a run that must end with `code`.
    #[track_caller]
    pub fn with_code(self, code: i32) -> String {
        assert_eq!(self.code, code, "\n{}\n{}", self.out, self.err);
        self.out
    }

    /// The same, read as JSON.
    #[track_caller]
    pub fn json(self, code: i32) -> Value {
        let out = self.with_code(code);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error} in {out}"))
    }
}

/// The binary with a clean environment.
pub fn command() -> Command {
    clean(Command::new(BINARY))
}

/// Takes the environment of the test run away from a command.
pub fn clean(mut command: Command) -> Command {
    command.env_clear().stdin(Stdio::null());
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Runs the binary to its end.
pub fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    finish(command().args(arguments))
}

pub fn finish(command: &mut Command) -> Ended {
    let output = command.output().expect("the program cannot be run");
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
        err: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
    }
}

/// A file of the repository.
pub fn repository_file(path: &str) -> String {
    Path::new(REPOSITORY).join(path).display().to_string()
}

/// Waits until `look` finds something.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A process beside the test; it is killed when this is dropped.
pub struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

/// Which stream of a process is read line by line; the other is thrown away.
#[derive(Debug, Clone, Copy)]
pub enum Stream {
    Out,
    Err,
}

impl Running {
    pub fn start(mut command: Command, stream: Stream) -> Self {
        let (out, err) = match stream {
            Stream::Out => (Stdio::piped(), Stdio::null()),
            Stream::Err => (Stdio::null(), Stdio::piped()),
        };
        let mut child = command.stdout(out).stderr(err).spawn().expect("the program cannot be started");
        let (sender, lines) = mpsc::channel();
        match (child.stdout.take(), child.stderr.take()) {
            (Some(out), _) => send_lines(BufReader::new(out), sender),
            (None, Some(err)) => send_lines(BufReader::new(err), sender),
            (None, None) => {}
        }
        Self { child, lines }
    }

    /// The next line of the stream that is read.
    #[track_caller]
    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the program ended, or said nothing for a long time")
    }

    /// What nobody has read of it, after the program has ended.
    pub fn rest(&self) -> Vec<String> {
        self.lines.iter().collect()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("cannot be killed");
        self.child.wait().expect("cannot be waited for");
    }

    /// Asks to stop (SIGTERM) and waits for the end.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Sends a signal by its name, `TERM`.
    pub fn signal(&self, name: &str) {
        let arguments = ["-c", "kill -s \"$1\" \"$2\"", "sh", name, &self.child.id().to_string()];
        let sent = Command::new("sh").args(arguments).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot be sent {name}");
    }

    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the end of the program", || self.child.try_wait().expect("cannot be waited for"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send_lines(stream: impl BufRead + Send + 'static, sender: mpsc::Sender<String>) {
    thread::spawn(move || {
        for line in stream.lines().map_while(Result::ok) {
            // Reads on when nobody listens any more, so that the program never waits for its log.
            let _ = sender.send(line);
        }
    });
}

/// `serve --open` on a free port.
pub struct Server {
    pub running: Running,
    /// `127.0.0.1:PORT`
    pub address: String,
}

impl Server {
    pub fn start(database_url: &str, arguments: &[&str]) -> Self {
        Self::start_by(command(), database_url, arguments)
    }

    /// The same by a command that becomes the program when the arguments of `serve` are appended to it.
    pub fn start_by(mut command: Command, database_url: &str, arguments: &[&str]) -> Self {
        command.args(["serve", "--open"]);
        Self::start_as(command, database_url, arguments)
    }

    /// `serve` for whom it knows. It must know somebody.
    pub fn start_gated(mut command: Command, database_url: &str, arguments: &[&str]) -> Self {
        command.arg("serve");
        Self::start_as(command, database_url, arguments)
    }

    fn start_as(mut command: Command, database_url: &str, arguments: &[&str]) -> Self {
        command.args(["--listen", "127.0.0.1:0", "--log-format", "json"]);
        if !arguments.contains(&"--drain-ms") {
            command.args(["--drain-ms", "0"]);
        }
        command.args(["--database-url", database_url]).args(arguments);
        let running = Running::start(command, Stream::Err);
        let address = loop {
            let line: Value = serde_json::from_str(&running.line()).expect("a log line as JSON");
            let fields = &line["fields"];
            if fields["message"] == "ready" {
                break fields["address"].as_str().expect("the address").to_owned();
            }
        };
        Self { running, address }
    }

    /// Sends a Patient as a request to match; status and body.
    pub fn idi_match(&self, patient: &Value) -> (u16, Value) {
        let parameters = serde_json::json!({
            "resourceType": "Parameters",
            "parameter": [{"name": "IDIPatient", "resource": patient}],
        });
        self.ask("POST", "Patient/$idi-match", parameters.to_string())
    }

    /// A request to a path under the FHIR base; status and body.
    pub fn ask(&self, method: &str, path: &str, body: impl Into<String>) -> (u16, Value) {
        let url = format!("http://{}/fhir/{path}", self.address);
        let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
        let request =
            ureq::http::Request::builder().method(method).uri(url).header("content-type", "application/fhir+json");
        let mut response = agent.run(request.body(body.into()).expect("a request")).expect("an answer");
        let text = response.body_mut().read_to_string().expect("a body");
        (response.status().as_u16(), serde_json::from_str(&text).expect("JSON"))
    }
}

/// Ids of the Patients in a match answer, best first.
pub fn patient_ids(answer: &Value) -> Vec<String> {
    let bundle = if answer["resourceType"] == "Parameters" { &answer["parameter"][0]["resource"] } else { answer };
    let entries = bundle["entry"].as_array().expect("entries").iter();
    let patients = entries.map(|entry| &entry["resource"]).filter(|resource| resource["resourceType"] == "Patient");
    patients.map(|patient| patient["id"].as_str().expect("an id").to_owned()).collect()
}
