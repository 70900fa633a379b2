//! `idi-match audit verify` and `audit export DIRECTORY`.
//!
//! An export appears under its name when it is whole; until then it is `DIRECTORY.partial`. It is readable by its owner
//! alone. Not here: the chain (see `app::audit_chain`).

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::app::audit_chain::export::{Outputs, Period, Summary, export};
use crate::app::audit_chain::verify::{Report, verify};
use crate::app::audit_chain::{ChainError, keys_of};
use crate::app::clock::{Clock, instant};
use crate::audit::chain::{Flaw, SealKey};
use crate::audit::walk::{Anchor, Break};
use crate::config::Config;
use crate::fhir::moment::range_us;

use super::arguments::{AuditArgs, AuditCommands};
use super::{CommandError, Ended, Environment, at, progress, read_file, say};

impl From<ChainError> for CommandError {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::Start(error) => error.into(),
            ChainError::Io(error) => error.into(),
            ChainError::Store(_) | ChainError::Event(_) => Self::Failed(error.to_string()),
        }
    }
}

pub fn run(args: &AuditArgs, environment: &Environment) -> Result<Ended, CommandError> {
    match &args.command {
        AuditCommands::Verify { key_file, anchor, json, config } => {
            let config = environment.config(config)?;
            let own = (!config.auth.key_file.is_empty()).then(|| PathBuf::from(&config.auth.key_file));
            let mut keys = Vec::new();
            for path in key_file.iter().chain(&own) {
                keys.append(&mut keys_of(&read_file(path)?));
            }
            let anchors = anchor.iter().map(|text| read_anchor(text)).collect::<Result<Vec<_>, _>>()?;
            check(&config, (keys, anchors), *json)
        }
        AuditCommands::Export { directory, since, until, json, config } => {
            let period = Period {
                from_us: since.as_deref().map_or(Ok(i64::MIN), |text| read_time("--since", text))?,
                before_us: until.as_deref().map_or(Ok(i64::MAX), |text| read_time("--until", text))?,
            };
            write(&environment.config(config)?, directory, period, *json)
        }
    }
}

fn read_anchor(text: &str) -> Result<Anchor, CommandError> {
    let parts = text.split_once(':').and_then(|(number, digest)| Some((number.parse().ok()?, digest)));
    let (number, digest) = parts.ok_or_else(|| CommandError::Usage("--anchor is NUMBER:DIGEST".to_owned()))?;
    Ok(Anchor { number, digest: digest.to_ascii_lowercase() })
}

/// The beginning of a date or time.
fn read_time(name: &str, text: &str) -> Result<i64, CommandError> {
    let range = range_us(text);
    range.map(|(first, _)| first).ok_or_else(|| CommandError::Usage(format!("{name} is a date or a time of FHIR")))
}

fn check(config: &Config, with: (Vec<SealKey>, Vec<Anchor>), json: bool) -> Result<Ended, CommandError> {
    let bar = progress::spinner("audit rows");
    let report = verify(config, Clock::system(), with, |rows| bar.set_position(rows.unsigned_abs()))?;
    bar.finish_and_clear();
    if json {
        say(serde_json::to_string(&report).map_err(|error| CommandError::Failed(error.to_string()))?)?;
    } else {
        print(&report)?;
    }
    Ok(if report.broken.is_none() { Ended::Done } else { Ended::ProblemsFound })
}

fn print(report: &Report) -> Result<(), CommandError> {
    if let Some(Break { flaw, seal, first_seq, last_seq }) = &report.broken {
        say(format_args!("broken at seal {seal} (audit rows {first_seq} to {last_seq}): {}", said(*flaw)))?;
    }
    if let Some(whole) = &report.whole {
        let (seals, rows, keyed) = (whole.seals, whole.rows, whole.keyed);
        say(format_args!("whole: {rows} rows in {seals} seals, {keyed} of them with a key that was given"))?;
        if seals > 0 {
            say(format_args!("newest seal: {seals}:{} of {}", whole.digest, instant(whole.last_sealed_us)))?;
        }
        if whole.late > 0 {
            say(format_args!("{} rows were committed late and wait for the next seal", whole.late))?;
        }
    }
    let since = report.unsealed.since_us.map(|us| format!(" since {}", instant(us))).unwrap_or_default();
    say(format_args!("not sealed yet: {} rows{since}", report.unsealed.rows))
}

const fn said(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::RowsChanged => "rows were changed",
        Flaw::RowsRemoved => "rows were removed",
        Flaw::RowsInserted => "rows were inserted",
        Flaw::SealChanged => "the seal, or the one before it, was changed",
        Flaw::SealsMissing => "seals before it were removed",
        Flaw::UnknownKey => "it was made with a key that was not given",
        Flaw::WithoutKey => "it was made without the key",
        Flaw::AnchorMissed => "it is not the seal that was written down",
    }
}

fn write(config: &Config, directory: &Path, period: Period, json: bool) -> Result<Ended, CommandError> {
    if directory.exists() {
        return Err(at(directory, "is there already; an export replaces nothing"));
    }
    let name = directory.file_name().ok_or_else(|| CommandError::Usage("DIRECTORY must have a name".to_owned()))?;
    let mut partial_name = name.to_owned();
    partial_name.push(".partial");
    let partial = directory.with_file_name(partial_name);
    make_directory(&partial).map_err(|error| at(&partial, error))?;
    let written = write_files(config, &partial, period);
    if written.is_err() && std::fs::remove_dir_all(&partial).is_err() {
        eprintln!("{} could not be removed", partial.display());
    }
    let summary = written?;
    std::fs::rename(&partial, directory).map_err(|error| at(directory, error))?;
    if json {
        say(serde_json::to_string(&summary).map_err(|error| CommandError::Failed(error.to_string()))?)?;
    } else {
        let Summary { rows, seals, unsealed } = summary;
        say(format_args!("{rows} rows and {seals} seals written; {unsealed} rows are not sealed yet"))?;
    }
    Ok(Ended::Done)
}

fn write_files(config: &Config, directory: &Path, period: Period) -> Result<Summary, CommandError> {
    let create = |name: &str| create(&directory.join(name));
    let (mut events, mut rows, mut seals) = (create("events.ndjson")?, create("rows.ndjson")?, create("seals.ndjson")?);
    let mut out = Outputs { events: &mut events, rows: &mut rows, seals: &mut seals };
    let summary = export(config, Clock::system(), period, &mut out)?;
    for mut file in [events, rows, seals] {
        file.flush()?;
        file.get_ref().sync_all()?;
    }
    Ok(summary)
}

fn make_directory(path: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn create(path: &Path) -> Result<BufWriter<File>, CommandError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(BufWriter::new).map_err(|error| at(path, error))
}
