//! `idi-match key`: the keys that access tokens are signed with, listed and replaced.
//!
//! Not here: making keys (see `app::auth::keys`).

use clap::{Args, Subcommand};

use crate::app::auth::key_commands;
use crate::app::auth::keys::ListedKey;
use crate::app::clock::Clock;

use super::arguments::ConfigArgs;
use super::{CommandError, Ended, Environment, say};

#[derive(Debug, Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    pub command: KeyCommands,
}

#[derive(Debug, Subcommand)]
pub enum KeyCommands {
    /// List the keys and what each does: signing, verifying, ended.
    List {
        /// Print a line of JSON for each.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Let a new key sign, and print its id. Running servers follow within a minute, and tokens stay as they are.
    Rotate {
        #[command(flatten)]
        config: ConfigArgs,
    },
}

pub fn run(command: &KeyCommands, environment: &Environment) -> Result<Ended, CommandError> {
    match command {
        KeyCommands::List { json, config } => {
            for key in key_commands::list(&environment.config(config)?, Clock::system())? {
                if *json {
                    let line = serde_json::to_string(&key);
                    say(line.map_err(|error| CommandError::Failed(error.to_string()))?)?;
                } else {
                    say(line_of(&key))?;
                }
            }
        }
        KeyCommands::Rotate { config } => say(key_commands::rotate(&environment.config(config)?, Clock::system())?)?,
    }
    Ok(Ended::Done)
}

fn line_of(key: &ListedKey) -> String {
    let retired = key.retired.as_ref().map(|at| format!("  retired {at}")).unwrap_or_default();
    let ListedKey { kid, created, sealed_by, algorithm, .. } = key;
    format!("{kid}  {algorithm}  {}  {created}  sealed by {sealed_by}{retired}", key.state.code())
}
