//! `idi-match load FILE.ndjson`: resources into the store, in batches, resumable.
//!
//! A file is known by its name, size and contents. Refused lines go to a rejects file, with number and reason, before
//! their batch is committed, and are cut back to the last commit when a load goes on.
//! Not here: what a batch does (`app::load`).

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};

use indicatif::ProgressBar;
use serde::Serialize;

use crate::app::App;
use crate::app::load::{Batch, Line, Position, Reject};
use crate::app::match_batch::LineIssue;

use super::arguments::LoadArgs;
use super::{CommandError, Ended, Environment, at, open, progress, say};

/// Bytes read from the file at a time.
const BUFFER_BYTES: usize = 1 << 20;
/// Times that a batch is tried again while the database is busy or away; about a minute together.
const TRIES_MAX: u32 = 12;

#[derive(Debug, Serialize)]
struct Summary {
    lines: u64,
    loaded: u64,
    rejected: u64,
    seconds: f64,
    resources_per_second: f64,
    /// Lines that an earlier run has loaded or refused.
    lines_before: u64,
    rejects_file: Option<String>,
}

pub fn run(args: &LoadArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let config = environment.config(&args.config)?;
    let batch_lines = config.limits.load_batch_lines;
    let line_bytes_max = config.limits.body_bytes_max;
    let app = open(config)?;
    let started_us = (app.clock.now_us)();
    let mut load = Load::begin(&app, args, line_bytes_max)?;
    load.run(batch_lines)?;
    app.analyze()?;
    app.stop();
    let seconds = seconds_since(&app, started_us);
    let summary = load.summary(seconds);
    print(&summary, args.json)?;
    Ok(if summary.rejected == 0 { Ended::Done } else { Ended::ProblemsFound })
}

#[allow(clippy::cast_precision_loss, reason = "a duration below 2^52 µs")]
fn seconds_since(app: &App, started_us: i64) -> f64 {
    (app.clock.now_us)().saturating_sub(started_us).max(1) as f64 / 1e6
}

/// Two threads: one reads and judges the next lines while the other one writes those before.
struct Load<'a> {
    app: &'a App,
    source: Option<&'a str>,
    reader: BufReader<File>,
    position: Position,
    /// Lines loaded before this run.
    resumed_loaded: u64,
    lines_before: u64,
    rejects: Rejects,
    line_bytes_max: usize,
    bar: ProgressBar,
}

impl<'a> Load<'a> {
    fn begin(app: &'a App, args: &'a LoadArgs, line_bytes_max: usize) -> Result<Self, CommandError> {
        let cannot = |error: std::io::Error| at(&args.file, error);
        let mut file = File::open(&args.file).map_err(cannot)?;
        let size = file.metadata().map_err(cannot)?.len();
        let key = fingerprint(&mut file, &args.file, size).map_err(cannot)?;
        let found = if args.restart { None } else { app.find_load_position(&key)? };
        let position = found.unwrap_or_else(|| Position::start(key));
        if position.lines > 0 {
            eprintln!("going on after line {} of an earlier run", position.lines);
        }
        let offset = position.bytes;
        file.seek(SeekFrom::Start(offset)).map_err(cannot)?;
        let path = args.rejects.clone().unwrap_or_else(|| args.file.with_extension("rejects.ndjson"));
        let rejects = Rejects::open(path, position.lines)?;
        let bar = progress::bytes_bar("loading", size);
        bar.set_position(offset);
        bar.reset_eta();
        let (resumed_loaded, lines_before) = (position.loaded, position.lines);
        let reader = BufReader::with_capacity(BUFFER_BYTES, file);
        Ok(Self {
            app,
            source: args.source.as_deref(),
            reader,
            position,
            resumed_loaded,
            lines_before,
            rejects,
            line_bytes_max,
            bar,
        })
    }

    fn run(&mut self, batch_lines: usize) -> Result<(), CommandError> {
        let Self { app, source, reader, position, rejects, line_bytes_max, bar, .. } = self;
        let source = Source {
            app,
            assumed: *source,
            reader,
            lines: position.lines,
            bytes: position.bytes,
            line_bytes_max: *line_bytes_max,
        };
        std::thread::scope(|scope| {
            let (judged, next) = sync_channel(1);
            scope.spawn(move || source.judge(batch_lines, &judged));
            for judged in next {
                write(app, position, rejects, &judged?)?;
                bar.set_position(position.bytes);
            }
            Ok::<(), CommandError>(())
        })?;
        self.bar.finish_and_clear();
        Ok(())
    }

    #[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
    fn summary(&self, seconds: f64) -> Summary {
        Summary {
            lines: self.position.lines,
            loaded: self.position.loaded,
            rejected: self.position.rejected,
            seconds,
            lines_before: self.lines_before,
            resources_per_second: (self.position.loaded - self.resumed_loaded) as f64 / seconds,
            rejects_file: (self.position.rejected > 0).then(|| self.rejects.path.display().to_string()),
        }
    }
}

fn print(summary: &Summary, json: bool) -> Result<(), CommandError> {
    if json {
        let text = serde_json::to_string(summary).map_err(|error| CommandError::Failed(error.to_string()))?;
        return say(text);
    }
    if summary.lines_before == summary.lines && summary.lines > 0 {
        return say(format_args!("nothing new: all {} lines were read by an earlier run", summary.lines));
    }
    say(format_args!(
        "{} lines: {} resources loaded, {} refused, in {:.1} s ({:.0}/s)",
        summary.lines, summary.loaded, summary.rejected, summary.seconds, summary.resources_per_second
    ))?;
    if let Some(file) = &summary.rejects_file {
        say(format_args!("refused lines: {file}"))?;
    }
    Ok(())
}

/// Lines as they are read from the file, and judged.
struct Source<'a> {
    app: &'a App,
    /// Of records that name no source.
    assumed: Option<&'a str>,
    reader: &'a mut BufReader<File>,
    lines: u64,
    bytes: u64,
    line_bytes_max: usize,
}

/// What was read at once, and where in the file it ends.
struct Judged {
    lines: Vec<Line>,
    batch: Batch,
    lines_until: u64,
    bytes_until: u64,
}

impl Source<'_> {
    /// Hands over what is judged until the file ends, reading it fails, or nobody takes it any more.
    fn judge(mut self, batch_lines: usize, judged: &SyncSender<Result<Judged, CommandError>>) {
        loop {
            let next = self.read_lines(batch_lines);
            let is_last = next.as_ref().map_or(true, Vec::is_empty);
            if !next.as_ref().is_ok_and(Vec::is_empty) && judged.send(next.map(|lines| self.admit(lines))).is_err() {
                break;
            }
            if is_last {
                break;
            }
        }
    }

    fn admit(&self, mut lines: Vec<Line>) -> Judged {
        lines.retain(|line| !line.text.trim_ascii().is_empty());
        let batch = self.app.admit_lines(&lines, self.assumed);
        Judged { lines, batch, lines_until: self.lines, bytes_until: self.bytes }
    }

    /// Reads the next lines; a line longer than the limit is kept as far as the limit, to be refused.
    fn read_lines(&mut self, count: usize) -> Result<Vec<Line>, CommandError> {
        let mut lines = Vec::with_capacity(count);
        while lines.len() < count {
            let (text, bytes) = read_line(&mut self.reader, self.line_bytes_max)?;
            if bytes == 0 {
                break;
            }
            self.lines += 1;
            self.bytes += bytes as u64;
            lines.push(Line { number: self.lines, text });
        }
        Ok(lines)
    }
}

fn write(app: &App, position: &mut Position, rejects: &mut Rejects, judged: &Judged) -> Result<(), CommandError> {
    let Judged { lines, batch, lines_until, bytes_until } = judged;
    (position.lines, position.bytes) = (*lines_until, *bytes_until);
    position.loaded += batch.len() as u64;
    position.rejected += batch.rejects.len() as u64;
    rejects.write(&batch.rejects, lines)?;
    let is_first = position.loaded == batch.len() as u64;
    app.load_batch_patiently(batch, position, TRIES_MAX)?;
    if is_first {
        // Until then the database plans for empty tables.
        app.analyze()?;
    }
    Ok(())
}

/// One line without its end, cut at `bytes_max` + 1; and how many bytes it took, 0 at the end of the file.
fn read_line(reader: &mut impl BufRead, bytes_max: usize) -> std::io::Result<(Vec<u8>, usize)> {
    let mut text = Vec::new();
    let mut taken = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok((text, taken));
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(buffer.len(), |end| end + 1);
        let content = &buffer[..end.unwrap_or(buffer.len())];
        let room = (bytes_max + 1).saturating_sub(text.len());
        text.extend_from_slice(&content[..content.len().min(room)]);
        reader.consume(length);
        taken += length;
        if end.is_some() {
            return Ok((text, taken));
        }
    }
}

/// Name, size and a hash of all contents: a corrected file is another load, even when nothing but one digit changed.
fn fingerprint(file: &mut File, path: &Path, size: u64) -> std::io::Result<String> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
    let mut hash = 0xcbf2_9ce4_8422_2325;
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        hash = fnv1a(hash, bytes);
        let length = bytes.len();
        reader.consume(length);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{name}|{size}|{hash:016x}"))
}

/// FNV-1a, 64 bits: tells files apart, protects nothing.
fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The file of refused lines.
struct Rejects {
    path: PathBuf,
    file: Option<File>,
}

#[derive(Debug, Serialize, serde::Deserialize)]
struct RejectNumber {
    line: u64,
}

/// What is written about a refused line, and the line itself (as far as the limit of a document), to be corrected.
#[derive(Debug, Serialize)]
struct RejectLine<'l> {
    line: u64,
    issues: Vec<LineIssue>,
    text: Cow<'l, str>,
}

impl Rejects {
    /// Keeps what an earlier run wrote about lines up to `lines` and drops the rest, which will come again.
    fn open(path: PathBuf, lines: u64) -> Result<Self, CommandError> {
        if let Ok(text) = std::fs::read(&path) {
            let is_done =
                |line: &&[u8]| serde_json::from_slice::<RejectNumber>(line).is_ok_and(|reject| reject.line <= lines);
            let kept: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(is_done).collect();
            let cut = if kept.is_empty() {
                std::fs::remove_file(&path)
            } else {
                std::fs::write(&path, [kept.join(&b'\n'), b"\n".to_vec()].concat())
            };
            cut.map_err(|error| at(&path, error))?;
        }
        Ok(Self { path, file: None })
    }

    /// Writes down which of `lines` were refused; on disk when it returns.
    fn write(&mut self, rejects: &[Reject], lines: &[Line]) -> Result<(), CommandError> {
        if rejects.is_empty() {
            return Ok(());
        }
        self.append(rejects, lines).map_err(|error| at(&self.path, error))
    }

    fn append(&mut self, rejects: &[Reject], lines: &[Line]) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(create_private(&self.path)?),
        };
        for reject in rejects {
            let line = lines.iter().find(|line| line.number == reject.line);
            let line = RejectLine {
                line: reject.line,
                issues: reject.issues.iter().map(LineIssue::from).collect(),
                text: line.map_or(Cow::Borrowed(""), |line| String::from_utf8_lossy(&line.text)),
            };
            writeln!(file, "{}", serde_json::to_string(&line)?)?;
        }
        file.sync_data()
    }
}

/// Opens a file to append to, readable by its owner alone: refused lines are people.
fn create_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_the_limit_and_counted_whole() {
        let mut reader = BufReader::with_capacity(4, &b"abc\nabcdefghij\n\nlast"[..]);
        let mut next = || read_line(&mut reader, 5).expect("read");
        assert_eq!(next(), (b"abc".to_vec(), 4));
        assert_eq!(next(), (b"abcdef".to_vec(), 11));
        assert_eq!(next(), (b"".to_vec(), 1));
        assert_eq!(next(), (b"last".to_vec(), 4));
        assert_eq!(next(), (b"".to_vec(), 0));
    }
}
