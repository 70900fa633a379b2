//! The command line's grammar. Configuration flags come from the one definition in `config::settings`.
//!
//! Not here: what the commands do (one file each).

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Parser, Subcommand};

use crate::config::Sources;
use crate::config::setting::{Kind, Setting};
use crate::config::settings::SETTINGS;

use super::client::arguments::ClientArgs;
use super::key::KeyArgs;
use super::synth::SynthArgs;
use super::user::arguments::UserArgs;

/// FHIR server for Interoperable Digital Identity and Patient Matching ($idi-match).
#[derive(Debug, Parser)]
#[command(name = "idi-match", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done; 1 done, and problems were found; 2 wrong usage or configuration; 3 could not be done."
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Commands,
}

#[derive(Debug, Subcommand)]
pub enum Commands {
    /// Serve FHIR over HTTP.
    Serve(ServeArgs),
    /// Serve a made-up population on a throw-away database and print requests to paste.
    Demo(DemoArgs),
    /// Load resources from an NDJSON file.
    Load(LoadArgs),
    /// Write everything that the database holds into one file, also while a server writes.
    Backup(BackupArgs),
    /// Bring a backup back into an empty database, of either kind.
    Restore(RestoreArgs),
    /// Check that a backup is whole, unaltered and consistent.
    VerifyBackup(VerifyBackupArgs),
    /// Check that the audit is as it was written, or write it out.
    Audit(AuditArgs),
    /// Say what the model would join, split and ask about all stored records, or do it.
    Partition(PartitionArgs),
    /// Match every Patient of an NDJSON file against the database.
    Match(MatchArgs),
    /// Show how a stored record is scored for a query.
    Explain(ExplainArgs),
    /// Check a resource against its base definition and its profiles.
    Validate(ValidateArgs),
    /// Show the input weight of a Patient.
    Weigh(WeighArgs),
    /// Write a made-up population with labelled queries.
    Synth(SynthArgs),
    /// Count precision and recall of match results against the truth.
    Evaluate(EvaluateArgs),
    /// Fit the matching model to the stored records.
    Train(TrainArgs),
    /// Show and compare matching models, and exchange them with Splink.
    Model(ModelArgs),
    /// Add, list and disable clients; or be one: register at any UDAP server, get a token, match.
    Client(Box<ClientArgs>),
    /// Ask the server of this configuration on this machine whether it lives; exit code 1 when it does not.
    Health(HealthArgs),
    /// Look at configuration, certificates, keys and database; exit code 1 for warnings, 2 for errors.
    Doctor(DoctorArgs),
    /// Look after the accounts of people who sign in.
    User(Box<UserArgs>),
    /// List the keys that access tokens are signed with, or let a new one sign.
    Key(KeyArgs),
    /// Show the configuration in force.
    Config(ConfigCommandArgs),
    /// Write a completion script for a shell.
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print the findings as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Ask whether it is ready for requests (/readyz) and not only whether it lives (/livez).
    #[arg(long)]
    pub ready: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// People in the population.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub people: u32,
    /// The same seed makes the same people.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Keep the database in this directory instead of a throw-away one.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Let every caller of this machine in, without tokens.
    #[arg(long)]
    pub open: bool,
}

#[derive(Debug, Args)]
pub struct LoadArgs {
    /// One resource a line.
    pub file: PathBuf,
    /// Source of records that name none in `meta.source`; see `[[sources]]`.
    #[arg(long)]
    pub source: Option<String>,
    /// Where refused lines go, with number and reason. Default: beside FILE, ending in .rejects.ndjson.
    #[arg(long)]
    pub rejects: Option<PathBuf>,
    /// Start at the first line even when an earlier run got further.
    #[arg(long)]
    pub restart: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write; it must not be there. `-`: standard output.
    pub file: PathBuf,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// A backup. `-`: standard input.
    pub file: PathBuf,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct VerifyBackupArgs {
    /// A backup. `-`: standard input.
    pub file: PathBuf,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    pub command: AuditCommands,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommands {
    /// Walk the chain of seals; exit code 1 when it is broken, with the first place.
    Verify {
        /// A file with the secret that seals are made with. Several: one after another was used.
        #[arg(long)]
        key_file: Vec<PathBuf>,
        /// A seal that was written down elsewhere, as NUMBER:DIGEST; the chain must hold it.
        #[arg(long)]
        anchor: Vec<String>,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Write AuditEvents, rows and seals of a time into a new directory, for somebody who checks them elsewhere.
    Export {
        /// The directory to make.
        directory: PathBuf,
        /// Only what was recorded from this date or time on.
        #[arg(long)]
        since: Option<String>,
        /// Only what was recorded before this date or time.
        #[arg(long)]
        until: Option<String>,
        /// Print the summary as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Debug, Args)]
pub struct PartitionArgs {
    /// Change identities; without it nothing is changed. A run that was cut off is run again.
    #[arg(long)]
    pub apply: bool,
    /// The model to score with, in place of the configured one.
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Where each change goes, a line of JSON.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct MatchArgs {
    /// One Patient a line.
    pub file: PathBuf,
    /// Where the results go, one line for each Patient. `-`: standard output.
    #[arg(long)]
    pub out: PathBuf,
    /// Candidates below this probability are left out.
    #[arg(long, default_value_t = 0.0)]
    pub min_probability: f64,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A Patient, or Parameters with one.
    pub query: PathBuf,
    /// Id of the stored record.
    #[arg(long)]
    pub record: String,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// A resource as JSON.
    pub file: PathBuf,
    /// Check against this profile instead of those that the resource claims.
    #[arg(long)]
    pub profile: Vec<String>,
    /// Print an OperationOutcome instead of lines.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct WeighArgs {
    /// A Patient, or Parameters with one.
    pub file: PathBuf,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Results, as `match` writes them; or Patients to match first (then a database is needed).
    #[arg(long)]
    pub queries: PathBuf,
    /// truth.csv: query id, person id, kind, events.
    #[arg(long)]
    pub truth: PathBuf,
    /// records.csv: record id, person id.
    #[arg(long)]
    pub records: PathBuf,
    /// The Patients that results are of, one a line, to count by subgroup. Patients to match are taken themselves.
    #[arg(long)]
    pub patients: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Also write the report as one HTML page that needs nothing else. It has the waterfalls of the worst errors when the
    /// queries are Patients: comparison levels and weights, and the ids of records, but no person's data.
    #[arg(long)]
    pub html: Option<PathBuf>,
    /// Show in that page the data of the persons of the worst errors as well. For made-up people, or who may see them.
    #[arg(long, requires = "html")]
    pub show_people: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct TrainArgs {
    /// The file to write, when the model is adopted.
    #[arg(long)]
    pub out: PathBuf,
    /// The model to begin with instead of the one in force.
    #[arg(long)]
    pub start: Option<PathBuf>,
    /// Patients that are not stored, one a line, to be paired with those that are: the requests of a day.
    #[arg(long)]
    pub patients: Option<PathBuf>,
    /// Pairs of stored records that a person judged, as CSV: record_id,record_id,match (true or false).
    #[arg(long)]
    pub labels: Option<PathBuf>,
    /// Count what stewards have linked and held apart as labelled pairs.
    #[arg(long)]
    pub steward_decisions: bool,
    /// Also write the report, as JSON.
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// The same seed draws the same pairs.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Stored records that are paired with those of their blocks; more are drawn from at random.
    #[arg(long, default_value_t = 200_000)]
    pub records_max: usize,
    /// Pairs of records at random, for u.
    #[arg(long, default_value_t = 2_000_000)]
    pub random_pairs: usize,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct ModelArgs {
    #[command(subcommand)]
    pub command: ModelCommands,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SplinkEngine {
    Duckdb,
    Spark,
}

#[derive(Debug, Subcommand)]
pub enum ModelCommands {
    /// Show probabilities and weights of every comparison level.
    Show {
        /// A model file. Default: the model in force.
        file: Option<PathBuf>,
        /// Print the file instead of a table.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Show what differs between two model files; exit code 1 when something does.
    Diff { one: PathBuf, other: PathBuf },
    /// Write a model as settings of Splink 4.
    ExportSplink {
        /// A model file. Default: the one built in.
        file: Option<PathBuf>,
        /// The file to write. `-`: standard output.
        #[arg(long)]
        out: PathBuf,
        /// The engine that is to run it.
        #[arg(long, value_enum, default_value_t = SplinkEngine::Duckdb)]
        engine: SplinkEngine,
        /// People in the population, for the prior.
        #[arg(long, default_value_t = 1_000_000)]
        population: usize,
    },
    /// Take m and u that Splink has trained over into a model, and write it.
    ImportSplink {
        /// Settings as Splink saves them.
        settings: PathBuf,
        /// The model whose other numbers are kept. Default: the one built in.
        #[arg(long)]
        start: Option<PathBuf>,
        #[arg(long)]
        out: PathBuf,
    },
    /// Write Patients as the normalised columns that the Splink settings read (CSV).
    PrepareRecords {
        /// One Patient a line.
        patients: PathBuf,
        /// The file to write. `-`: standard output.
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct ConfigCommandArgs {
    /// Print the page of all options, as in docs/configuration.md.
    #[arg(long)]
    pub markdown: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// `--config FILE` and one flag for every option.
#[derive(Debug, Clone, Default)]
pub struct ConfigArgs {
    file: Option<PathBuf>,
    flags: Vec<(String, String)>,
}

impl ConfigArgs {
    /// The sources of the configuration.
    #[must_use]
    pub fn sources(&self, environment: &[(String, String)]) -> Sources {
        Sources { file: self.file.clone(), environment: environment.to_vec(), flags: self.flags.clone() }
    }
}

fn argument(setting: &'static Setting) -> Arg {
    let help = match setting.default {
        "" => setting.help.to_owned(),
        default => format!("{} [default: {default}]", setting.help),
    };
    let arg = Arg::new(setting.key).long(setting.flag).help(help).help_heading("Configuration").num_args(1);
    match setting.kind {
        Kind::Flag => arg.num_args(0..=1).default_missing_value("true").require_equals(true).value_name("BOOL"),
        Kind::Choice(choices) => arg.value_parser(PossibleValuesParser::new(choices.iter().copied())),
        Kind::Text => arg.value_name("TEXT"),
        Kind::Url => arg.value_name("URL"),
        Kind::Integer { .. } => arg.value_name("N"),
        Kind::Probability => arg.value_name("P"),
    }
}

impl Args for ConfigArgs {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config-file")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("TOML file; flags and environment win over it")
            .help_heading("Configuration");
        SETTINGS.iter().fold(command.arg(file), |command, setting| command.arg(argument(setting)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ConfigArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.file = matches.get_one::<PathBuf>("config-file").cloned();
        self.flags = SETTINGS
            .iter()
            .filter_map(|setting| {
                matches.get_one::<String>(setting.key).map(|value| (setting.key.to_owned(), value.clone()))
            })
            .collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_option_is_a_flag() {
        let parsed = Arguments::try_parse_from([
            "idi-match",
            "serve",
            "--open",
            "--listen",
            "127.0.0.1:0",
            "--match-response=bundle",
        ]);
        let Ok(Arguments { command: Commands::Serve(args) }) = parsed else { panic!("not parsed: {parsed:?}") };
        let flags: Vec<(&str, &str)> = args.config.flags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(flags, [("server.listen", "127.0.0.1:0"), ("server.open", "true"), ("match.response", "bundle")]);
    }
}
