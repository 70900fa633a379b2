//! `idi-match config`: checks the configuration and shows what is in force, without secrets.

use crate::config::document;

use super::arguments::ConfigCommandArgs;
use super::{CommandError, Ended, Environment, say};

pub fn run(args: &ConfigCommandArgs, environment: &Environment) -> Result<Ended, CommandError> {
    if args.markdown {
        say(document::markdown().trim_end())?;
        return Ok(Ended::Done);
    }
    let config = environment.config(&args.config)?;
    say(document::toml(&config).trim_end())?;
    Ok(Ended::Done)
}
