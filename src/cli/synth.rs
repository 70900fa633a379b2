//! `idi-match synth`: writes a synthetic population with labelled queries to a directory.
//!
//! Not here: what is generated and how it is written down (see `synth`).

use std::fs;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use crate::synth::output::{Counts, File, Files};
use crate::synth::{Difficulty, Plan, Tables, generate};

/// Write a synthetic population and labelled queries: the same arguments give the same files on every machine.
#[derive(Debug, Clone, clap::Args)]
pub struct SynthArgs {
    /// People stored
    #[arg(long, default_value_t = 10_000)]
    pub people: usize,
    /// Queries about them and about people who are not stored
    #[arg(long, default_value_t = 1_000)]
    pub queries: usize,
    /// Another seed gives other people
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How much is wrong with the queries: easy, normal or hard
    #[arg(long, default_value = "normal", value_parser = parse_difficulty)]
    pub difficulty: Difficulty,
    /// Directory for the files; created when missing
    #[arg(long)]
    pub out: PathBuf,
    /// Share of the queries whose person is not stored; half of those are relatives of stored people, a tenth twins
    #[arg(long, default_value_t = 0.25, value_parser = parse_share)]
    pub absent: f64,
    /// Mean number of further records of each person, with errors (at most five each)
    #[arg(long, default_value_t = 0.0, value_parser = parse_rate)]
    pub dup_rate: f64,
}

/// What stops the command.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    #[error("{0}")]
    Names(String),
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Writes the files, and says what they hold. `name_frequencies` is the text of `profiles/name-frequencies.json`.
///
/// # Errors
/// When the name frequencies cannot be read or a file cannot be written.
pub fn run(args: &SynthArgs, name_frequencies: &str) -> Result<Counts, SynthError> {
    let tables = Tables::parse(name_frequencies).map_err(SynthError::Names)?;
    write_files(&plan(args), &tables, &args.out).map_err(|source| SynthError::Write { path: args.out.clone(), source })
}

fn plan(args: &SynthArgs) -> Plan {
    Plan {
        people: args.people,
        queries: args.queries,
        seed: args.seed,
        difficulty: args.difficulty,
        absent_share: args.absent,
        duplicate_rate: args.dup_rate,
    }
}

fn write_files(plan: &Plan, tables: &Tables, directory: &Path) -> io::Result<Counts> {
    fs::create_dir_all(directory)?;
    let mut files = Files::create(|file: File| fs::File::create(directory.join(file.name())).map(BufWriter::new))?;
    generate(plan, tables, &mut |item| files.put(&item))?;
    files.finish(plan)
}

fn parse_difficulty(text: &str) -> Result<Difficulty, String> {
    let known = Difficulty::ALL.into_iter().find(|difficulty| difficulty.label() == text);
    known.ok_or_else(|| "one of easy, normal, hard".to_owned())
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a number from 0 to 1".to_owned())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.0..=5.0).contains(rate));
    rate.ok_or_else(|| "a number from 0 to 5".to_owned())
}
