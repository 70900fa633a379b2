//! The commands: parse arguments, call the application, print. One file a command.
//!
//! Results go to standard output, everything else to standard error. Not here: rules, HTTP handlers.

// What a command has to say beside its results is printed here, and nowhere else.
#![allow(clippy::print_stderr, reason = "the command line's output")]

pub mod arguments;
mod audit;
mod backup;
mod client;
mod config;
mod demo;
mod doctor;
mod evaluate;
mod explain;
mod health;
mod key;
mod load;
mod match_file;
mod model;
mod partition;
mod progress;
mod serve;
mod service_manager;
pub mod synth;
mod traces;
mod train;
mod user;
mod validate;
mod weigh;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::app::error::AppError;
use crate::app::rules::built_in_text;
use crate::app::{App, StartError};
use crate::config::{Config, ConfigError};
use crate::observe;
use crate::observe::traces::sender::Sender;

use arguments::{Arguments, Commands, ConfigArgs};

/// How a command ended; the exit codes are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// 0
    Done,
    /// 1
    ProblemsFound,
    /// 2: what `doctor` has found keeps a server from working.
    ErrorsFound,
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Exit code 3.
    #[error("{0}")]
    Failed(String),
    /// Whoever read the output wants no more, as in `| head`. Exit code 0.
    #[error("nobody reads the output any more")]
    NoReader,
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<StartError> for CommandError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Rules(_)
            | StartError::Url(_)
            | StartError::KeyFile(_)
            | StartError::Communities(_)
            | StartError::Outbound(_) => Self::Usage(error.to_string()),
            StartError::Store { .. }
            | StartError::Search(_)
            | StartError::Authorization(_)
            | StartError::Threads(_) => Self::Failed(error.to_string()),
        }
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::NoReader,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<AppError> for CommandError {
    fn from(error: AppError) -> Self {
        let lines: Vec<String> = error.issues.iter().map(progress::issue_line).collect();
        Self::Failed(lines.join("\n"))
    }
}

/// What every command gets beside its arguments.
pub struct Environment {
    pub variables: Vec<(String, String)>,
}

impl Environment {
    fn config(&self, args: &ConfigArgs) -> Result<Config, CommandError> {
        let config = Config::load(&args.sources(&self.variables))?;
        observe::logs::start(&config.log, None).map_err(CommandError::Usage)?;
        Ok(config)
    }

    /// The same for a command that serves: with traces, where a collector is named. They are sent until the sender is
    /// stopped.
    fn config_of_server(&self, args: &ConfigArgs) -> Result<(Config, Option<Sender>), CommandError> {
        let config = Config::load(&args.sources(&self.variables))?;
        let (tracer, traces) = traces::of(&config, self).unzip();
        observe::logs::start(&config.log, tracer).map_err(CommandError::Usage)?;
        Ok((config, traces.map(traces::Traces::start).transpose()?))
    }
}

/// Runs the command line; `arguments` begins with the program's name.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>, variables: Vec<(String, String)>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return if error.print().is_ok() { ExitCode::from(code) } else { ExitCode::from(2) };
        }
    };
    match dispatch(arguments.command, &Environment { variables }) {
        Ok(Ended::Done) | Err(CommandError::NoReader) => ExitCode::SUCCESS,
        Ok(Ended::ProblemsFound) => ExitCode::from(1),
        Ok(Ended::ErrorsFound) => ExitCode::from(2),
        Err(error) => {
            eprintln!("idi-match: {error}");
            ExitCode::from(if matches!(error, CommandError::Usage(_)) { 2 } else { 3 })
        }
    }
}

fn dispatch(command: Commands, environment: &Environment) -> Result<Ended, CommandError> {
    match command {
        Commands::Serve(args) => serve::run(&args, environment),
        Commands::Demo(args) => demo::run(&args, environment),
        Commands::Load(args) => load::run(&args, environment),
        Commands::Backup(args) => backup::run(&args, environment),
        Commands::Restore(args) => backup::restore(&args, environment),
        Commands::VerifyBackup(args) => backup::verify(&args, environment),
        Commands::Match(args) => match_file::run(&args, environment),
        Commands::Audit(args) => audit::run(&args, environment),
        Commands::Partition(args) => partition::run(&args, environment),
        Commands::Explain(args) => explain::run(&args, environment),
        Commands::Validate(args) => validate::run(&args, environment),
        Commands::Weigh(args) => weigh::run(&args, environment),
        Commands::Synth(args) => {
            let names = built_in_text("name-frequencies.json").unwrap_or_default();
            let counts = synth::run(&args, names).map_err(|error| CommandError::Failed(error.to_string()))?;
            eprintln!("{} records and {} queries written to {}", counts.records, counts.queries, args.out.display());
            Ok(Ended::Done)
        }
        Commands::Evaluate(args) => evaluate::run(&args, environment),
        Commands::Train(args) => train::run(&args, environment),
        Commands::Model(args) => model::run(&args, environment),
        Commands::Client(args) => client::run(&args.command, environment),
        Commands::Health(args) => health::run(&args, environment),
        Commands::Doctor(args) => doctor::run(&args, environment),
        Commands::User(args) => user::run(&args.command, environment),
        Commands::Key(args) => key::run(&args.command, environment),
        Commands::Config(args) => config::run(&args, environment),
        Commands::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "idi-match", &mut script);
            std::io::stdout().write_all(&script)?;
            Ok(Ended::Done)
        }
    }
}

/// Opens the application with a progress line on a terminal while the index is built.
fn open(config: Config) -> Result<App, CommandError> {
    let bar = progress::spinner("building the index");
    let app = App::open(config, crate::app::clock::Clock::system(), |records| bar.set_position(records as u64))?;
    bar.finish_and_clear();
    Ok(app)
}

/// Prints one line of a result.
fn say(line: impl Display) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// The bytes of a file, or a clear error.
fn read_file(path: &Path) -> Result<Vec<u8>, CommandError> {
    std::fs::read(path).map_err(|error| at(path, error))
}

/// What went wrong with a file.
fn at(path: &Path, error: impl Display) -> CommandError {
    CommandError::Failed(format!("{}: {error}", path.display()))
}
