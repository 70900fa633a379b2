//! `idi-match backup FILE`, `restore FILE`, `verify-backup FILE`; `-` is standard output or input.
//!
//! A backup appears under its name when it is whole and on disk, readable by its owner alone, and never in the place of
//! another file. Until then it is `FILE.partial`. Not here: what the file holds (see `app::backup`).

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use serde::Serialize;

use crate::app::backup::{self, BackupError, Counts, Progress, Report, Summary};
use crate::app::clock::Clock;

use super::arguments::{BackupArgs, RestoreArgs, VerifyBackupArgs};
use super::{CommandError, Ended, Environment, at, progress, say};

const BUFFER_BYTES: usize = 1 << 20;

impl From<BackupError> for CommandError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Start(error) => error.into(),
            BackupError::Io(error) => error.into(),
            BackupError::Store(_) | BackupError::Refused(_) => Self::Failed(error.to_string()),
        }
    }
}

pub fn run(args: &BackupArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let config = environment.config(&args.config)?;
    let bar = progress::rows_bar("backing up");
    let written = |out: &mut dyn Write| backup::write(&config, Clock::system(), out, |step| show(&bar, step));
    if is_standard(&args.file) {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, std::io::stdout().lock());
        let summary = written(&mut out)?;
        out.flush()?;
        bar.finish_and_clear();
        // Standard output is the backup.
        eprintln!("{}", text_of(&summary, args.json)?);
        return Ok(Ended::Done);
    }
    let mut file = PartialFile::create(&args.file)?;
    let summary = written(&mut file.out)?;
    file.finish()?;
    bar.finish_and_clear();
    say(text_of(&summary, args.json)?)?;
    Ok(Ended::Done)
}

pub fn verify(args: &VerifyBackupArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let config = environment.config(&args.config)?;
    let (input, bar) = open(&args.file, "verifying")?;
    let report = backup::verify(&config, input, |step| show(&bar, step))?;
    bar.finish_and_clear();
    if args.json {
        say(json(&report)?)?;
    } else {
        print_problems(&report);
        match &report.summary {
            Some(summary) if report.problems_total == 0 => say(format_args!("good: {}", text_of(summary, false)?))?,
            Some(summary) => {
                say(format_args!("{} problems found: {}", report.problems_total, text_of(summary, false)?))?;
            }
            None => say("this backup is damaged: it cannot be restored")?,
        }
    }
    Ok(if report.problems_total == 0 { Ended::Done } else { Ended::ProblemsFound })
}

pub fn restore(args: &RestoreArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let config = environment.config(&args.config)?;
    let (input, bar) = open(&args.file, "restoring")?;
    let mut comparing = None;
    let report = backup::restore(&config, input, |step| match step {
        Progress::Compared { .. } => show(comparing.get_or_insert_with(|| progress::rows_bar("comparing")), step),
        _ => show(&bar, step),
    })?;
    bar.finish_and_clear();
    if let Some(bar) = comparing {
        bar.finish_and_clear();
    }
    if args.json {
        say(json(&report)?)?;
    } else {
        print_problems(&report);
        if let Some(summary) = &report.summary {
            say(format_args!("restored: {}", text_of(summary, false)?))?;
        }
    }
    Ok(if report.problems_total == 0 { Ended::Done } else { Ended::ProblemsFound })
}

fn show(bar: &ProgressBar, step: Progress) {
    match step {
        Progress::Written { rows, of } | Progress::Compared { rows, of } => {
            bar.set_length(of);
            bar.set_position(rows);
        }
        Progress::Read { bytes } => bar.set_position(bytes),
    }
}

fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The file to read, with a bar of its size; or standard input, of which no size is known.
fn open(path: &Path, what: &'static str) -> Result<(Box<dyn BufRead>, ProgressBar), CommandError> {
    if is_standard(path) {
        return Ok((Box::new(std::io::stdin().lock()), progress::bytes_bar(what, 0)));
    }
    let file = File::open(path).map_err(|error| at(path, error))?;
    let bar = progress::bytes_bar(what, file.metadata().map_err(|error| at(path, error))?.len());
    Ok((Box::new(BufReader::with_capacity(BUFFER_BYTES, file)), bar))
}

fn json(value: &impl Serialize) -> Result<String, CommandError> {
    serde_json::to_string(value).map_err(|error| CommandError::Failed(error.to_string()))
}

fn text_of(summary: &Summary, is_json: bool) -> Result<String, CommandError> {
    if is_json {
        return json(summary);
    }
    let Summary { program, schema, created, bytes, sha256, rows } = summary;
    let rows = rows_text(rows);
    Ok(format!("{rows}; {bytes} bytes of {created}, schema {schema}, idi-match {program}, SHA-256 {sha256}"))
}

fn rows_text(rows: &Counts) -> String {
    let parts: Vec<String> =
        rows.iter().filter(|(_, rows)| **rows > 0).map(|(table, rows)| format!("{rows} {}", table.name())).collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

fn print_problems(report: &Report) {
    for problem in &report.problems {
        eprintln!("line {}: {}", problem.line, problem.text);
    }
    let untold = report.problems_total - report.problems.len() as u64;
    if untold > 0 {
        eprintln!("and {untold} more");
    }
}

/// A file that gets its name when it is whole; until then it is locked and removed when this is dropped.
struct PartialFile {
    path: PathBuf,
    partial: PathBuf,
    out: BufWriter<File>,
    is_finished: bool,
}

impl PartialFile {
    fn create(path: &Path) -> Result<Self, CommandError> {
        refuse_existing(path)?;
        let name = path.file_name().ok_or_else(|| CommandError::Usage("FILE must name a file".to_owned()))?;
        let mut partial_name = name.to_owned();
        partial_name.push(".partial");
        let partial = path.with_file_name(partial_name);
        let mut options = OpenOptions::new();
        // What a backup that was cut off has left behind is written over, and what another one is writing is not.
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&partial).map_err(|error| at(&partial, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(at(&partial, "another backup is being written there")),
            Err(TryLockError::Error(error)) => return Err(at(&partial, error)),
        }
        file.set_len(0).map_err(|error| at(&partial, error))?;
        let out = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Self { path: path.to_owned(), partial, out, is_finished: false })
    }

    /// Puts the file on disk and gives it its name.
    fn finish(mut self) -> Result<(), CommandError> {
        let cannot = |error: std::io::Error| at(&self.partial, error);
        self.out.flush().map_err(cannot)?;
        self.out.get_ref().sync_all().map_err(cannot)?;
        refuse_existing(&self.path)?;
        std::fs::rename(&self.partial, &self.path).map_err(|error| at(&self.path, error))?;
        self.is_finished = true;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        // The name is on disk when its folder is.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| at(folder, error))
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.is_finished && std::fs::remove_file(&self.partial).is_err() {
            eprintln!("{} could not be removed", self.partial.display());
        }
    }
}

fn refuse_existing(path: &Path) -> Result<(), CommandError> {
    if path.exists() { Err(at(path, "is there already; a backup replaces no file")) } else { Ok(()) }
}
