//! `idi-match match FILE.ndjson --out OUT.ndjson`: one Patient a line in, one line back, best candidate first.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};

use crate::app::context::{Caller, Context};

use super::arguments::MatchArgs;
use super::{CommandError, Ended, Environment, at, open, progress};

/// Lines matched at a time.
const BATCH_LINES: usize = 2000;

pub fn run(args: &MatchArgs, environment: &Environment) -> Result<Ended, CommandError> {
    if !(0.0..=1.0).contains(&args.min_probability) {
        return Err(CommandError::Usage("--min-probability must be from 0 to 1".to_owned()));
    }
    let config = environment.config(&args.config)?;
    let cannot = |error: std::io::Error| at(&args.file, error);
    let file = File::open(&args.file).map_err(cannot)?;
    let bar = progress::bytes_bar("matching", file.metadata().map_err(cannot)?.len());
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let app = open(config)?;
    let mut out: Box<dyn Write> = match args.out.to_str() {
        Some("-") => Box::new(std::io::stdout().lock()),
        _ => Box::new(BufWriter::new(File::create(&args.out).map_err(|error| at(&args.out, error))?)),
    };
    let (mut has_problems, mut matched) = (false, 0_usize);
    loop {
        let lines = read_batch(&mut reader, &bar)?;
        if lines.is_empty() {
            break;
        }
        let ctx = Context::new(Caller::Open, app.clock);
        for line in app.match_lines(&ctx, &lines, args.min_probability)? {
            has_problems |= line.issues.iter().any(|issue| issue.severity == "error" || issue.severity == "fatal");
            serde_json::to_writer(&mut out, &line).map_err(std::io::Error::from)?;
            out.write_all(b"\n")?;
            matched += 1;
        }
    }
    out.flush()?;
    bar.finish_and_clear();
    app.stop();
    eprintln!("{matched} Patients matched");
    Ok(if has_problems { Ended::ProblemsFound } else { Ended::Done })
}

fn read_batch(reader: &mut impl BufRead, bar: &indicatif::ProgressBar) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut lines = Vec::with_capacity(BATCH_LINES);
    while lines.len() < BATCH_LINES {
        let mut line = Vec::new();
        let bytes = reader.read_until(b'\n', &mut line)?;
        if bytes == 0 {
            break;
        }
        bar.inc(bytes as u64);
        if !line.trim_ascii().is_empty() {
            lines.push(line);
        }
    }
    Ok(lines)
}
