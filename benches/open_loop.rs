//! An open-loop generator: requests leave when the clock says, whatever became of those before.
//!
//! usage: `open_loop ADDRESS REQUESTS PHASES [CONNECTIONS [TOKEN_FILE]]`, PHASES such as `1000:30,9000:20,1000:30`
//! (requests a second : seconds). REQUESTS has lines of METHOD, path and body, with tabs between them, asked in turn.
//! Latency counts from the moment at which a request was due, so a server that is slow is not asked more gently. Beside
//! them `/livez` is asked every 20 ms. Writes one line of JSON for each phase and each second of it, on standard output.
//! Made for one core of a machine with 2 cores and 24 GiB; it has no target of its own. `scripts/measure/overload`,
//! `drain` and `rolling` say what is asked of the server.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and must stop")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{Error, ErrorKind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

const HEAD_BYTES_MAX: usize = 64 * 1024;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const PROBE_PAUSE: Duration = Duration::from_millis(20);

/// What became of one request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Good,
    /// 429 or 503, with Retry-After.
    Refused,
    /// Any other answer.
    Other,
    /// No connection could be made.
    Unconnected,
    /// A connection ended without an answer before anything of it had come.
    Reset,
    Late,
}

struct Sample {
    phase: usize,
    second: usize,
    end: End,
    latency: Duration,
}

struct Shared {
    due: RefCell<VecDeque<(Instant, usize, usize)>>,
    wake: Notify,
    samples: RefCell<Vec<Sample>>,
    lives: RefCell<Vec<Option<Duration>>>,
    lag_max: RefCell<Duration>,
}

struct Phase {
    rate: f64,
    seconds: f64,
}

fn main() {
    // Cargo asks every bench with `--bench`; without an address there is nothing to do.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [address, requests, phases, more @ ..] = arguments.as_slice() else { return };
    let phases: Vec<Phase> = phases.split(',').map(phase).collect();
    let connections = more.first().map_or(1500, |text| text.parse().unwrap());
    let token = more.get(1).map(|path| std::fs::read_to_string(path).unwrap().trim().to_owned());
    let requests = read_requests(requests, address, token.as_deref());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, run(address.clone(), requests, phases, connections));
}

fn phase(text: &str) -> Phase {
    let (rate, seconds) = text.split_once(':').unwrap();
    Phase { rate: rate.parse().unwrap(), seconds: seconds.parse().unwrap() }
}

fn read_requests(path: &str, address: &str, token: Option<&str>) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(path).unwrap();
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let requests = text.lines().map(|line| {
        let mut parts = line.splitn(3, '\t');
        let (method, path, body) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or(""));
        let length = body.len();
        let kind = "Content-Type: application/fhir+json\r\n";
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{kind}{authorization}Content-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    });
    requests.collect()
}

async fn run(address: String, requests: Vec<Vec<u8>>, phases: Vec<Phase>, connections: usize) {
    let requests = Rc::new(requests);
    let shared = Rc::new(Shared {
        due: RefCell::default(),
        wake: Notify::new(),
        samples: RefCell::default(),
        lives: RefCell::default(),
        lag_max: RefCell::default(),
    });
    for _ in 0..connections {
        tokio::task::spawn_local(work(address.clone(), Rc::clone(&requests), Rc::clone(&shared)));
    }
    let probe = tokio::task::spawn_local(probe(address, Rc::clone(&shared)));
    for (at, phase) in phases.iter().enumerate() {
        shared.lives.borrow_mut().clear();
        *shared.lag_max.borrow_mut() = Duration::ZERO;
        send(&shared, at, phase).await;
        drained(&shared, at, phase).await;
        report(&shared, at, phase);
    }
    probe.abort();
}

/// Puts requests on the list when they are due.
async fn send(shared: &Shared, at: usize, phase: &Phase) {
    let began = Instant::now();
    let mut sent = 0_u32;
    loop {
        let elapsed = began.elapsed();
        if elapsed.as_secs_f64() >= phase.seconds {
            return;
        }
        let mut fresh = 0;
        while f64::from(sent) < elapsed.as_secs_f64() * phase.rate {
            let due = began + Duration::from_secs_f64(f64::from(sent) / phase.rate);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a run")]
            let second = (f64::from(sent) / phase.rate) as usize;
            shared.due.borrow_mut().push_back((due, at, second));
            sent += 1;
            fresh += 1;
        }
        for _ in 0..fresh {
            shared.wake.notify_one();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits for the last answers of a phase, for a while.
async fn drained(shared: &Shared, at: usize, phase: &Phase) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "requests of a run")]
    let expected = (phase.rate * phase.seconds) as usize;
    let began = Instant::now();
    // The next phase begins at once where requests still come: only the last one is waited for.
    while began.elapsed() < Duration::from_millis(200) {
        let done = shared.samples.borrow().iter().filter(|sample| sample.phase == at).count();
        if done >= expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn work(address: String, requests: Rc<Vec<Vec<u8>>>, shared: Rc<Shared>) {
    let mut stream: Option<TcpStream> = None;
    let mut next = 0_usize;
    loop {
        let taken = shared.due.borrow_mut().pop_front();
        let Some((due, phase, second)) = taken else {
            shared.wake.notified().await;
            continue;
        };
        next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(shared.samples.borrow().len() | 1);
        let lag = due.elapsed();
        if lag > *shared.lag_max.borrow() {
            *shared.lag_max.borrow_mut() = lag;
        }
        let request = &requests[(next >> 16) % requests.len()];
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, ask(&address, &mut stream, request)).await;
        let end = answer.unwrap_or(End::Late);
        shared.samples.borrow_mut().push(Sample { phase, second, end, latency: due.elapsed() });
    }
}

async fn ask(address: &str, stream: &mut Option<TcpStream>, request: &[u8]) -> End {
    let mut used = match stream.take() {
        Some(used) => used,
        None => match TcpStream::connect(address).await {
            Ok(fresh) => fresh,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return End::Unconnected,
            Err(_) => return End::Reset,
        },
    };
    let _ = used.set_nodelay(true);
    match exchange(&mut used, request).await {
        Ok((end, keep)) => {
            *stream = keep.then_some(used);
            end
        }
        Err(_) => End::Reset,
    }
}

/// Sends and reads one answer; whether the connection stays open.
async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Result<(End, bool), Error> {
    stream.write_all(request).await?;
    let mut buffer = Vec::with_capacity(4096);
    let (head_end, length) = loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0_usize);
            break (end + 4, length);
        }
        if buffer.len() > HEAD_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).to_ascii_lowercase();
    while buffer.len() < head_end + length {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let end = match head.get(9..12) {
        Some("200" | "201" | "204") => End::Good,
        Some("429" | "503") if header(&head, "retry-after").is_some() => End::Refused,
        _ => End::Other,
    };
    Ok((end, header(&head, "connection") != Some("close")))
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

async fn probe(address: String, shared: Rc<Shared>) {
    let request = format!("GET /livez HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes();
    let mut stream = None;
    loop {
        let began = Instant::now();
        let end = tokio::time::timeout(ANSWER_TIMEOUT, ask(&address, &mut stream, &request)).await.unwrap_or(End::Late);
        shared.lives.borrow_mut().push((end == End::Good).then(|| began.elapsed()));
        tokio::time::sleep(PROBE_PAUSE).await;
    }
}

fn report(shared: &Shared, at: usize, phase: &Phase) {
    let samples = shared.samples.borrow();
    let of_phase: Vec<&Sample> = samples.iter().filter(|sample| sample.phase == at).collect();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a run")]
    for second in 0..phase.seconds.ceil() as usize {
        let of_second: Vec<&Sample> = of_phase.iter().copied().filter(|sample| sample.second == second).collect();
        println!("{{\"phase\":{at},\"second\":{second},{}}}", figures(&of_second, 1.0));
    }
    let mut lives: Vec<Duration> = shared.lives.borrow().iter().flatten().copied().collect();
    let lost = shared.lives.borrow().len() - lives.len();
    lives.sort_unstable();
    println!(
        "{{\"phase\":{at},\"rate\":{},\"seconds\":{},{},\"livez_p99_ms\":{:.1},\"livez_max_ms\":{:.1},\"livez_lost\":{lost},\"generator_lag_max_ms\":{:.1}}}",
        phase.rate,
        phase.seconds,
        figures(&of_phase, phase.seconds),
        at_share(&lives, 0.99),
        at_share(&lives, 1.0),
        shared.lag_max.borrow().as_secs_f64() * 1e3,
    );
}

#[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
fn figures(samples: &[&Sample], seconds: f64) -> String {
    let count = |end: End| samples.iter().filter(|sample| sample.end == end).count();
    let latencies = |end: End| {
        let mut of_end: Vec<Duration> =
            samples.iter().filter(|sample| sample.end == end).map(|sample| sample.latency).collect();
        of_end.sort_unstable();
        of_end
    };
    let (good, refused) = (latencies(End::Good), latencies(End::Refused));
    format!(
        "\"answered\":{},\"good\":{},\"good_per_second\":{:.0},\"refused\":{},\"other\":{},\"unconnected\":{},\"reset\":{},\"late\":{},\
         \"good_p50_ms\":{:.1},\"good_p99_ms\":{:.1},\"refused_p50_ms\":{:.1},\"refused_p99_ms\":{:.1},\"refused_max_ms\":{:.1}",
        samples.len(),
        good.len(),
        good.len() as f64 / seconds,
        refused.len(),
        count(End::Other),
        count(End::Unconnected),
        count(End::Reset),
        count(End::Late),
        at_share(&good, 0.5),
        at_share(&good, 0.99),
        at_share(&refused, 0.5),
        at_share(&refused, 0.99),
        at_share(&refused, 1.0),
    )
}

/// Milliseconds at a share of sorted durations; 0 without any.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts below 2^52"
)]
fn at_share(sorted: &[Duration], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    sorted[((last as f64 * share).round() as usize).min(last)].as_secs_f64() * 1e3
}
