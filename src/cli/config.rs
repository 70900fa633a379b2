//! `idi-match config`: checks the configuration and shows what is in force, without secrets.

use crate::config::document;

use super::arguments::ConfigCommandArgs;
use super::{CommandError, Ended, Environment};

pub fn run(args: &ConfigCommandArgs, environment: &Environment) -> Result<Ended, CommandError> {
    if args.markdown {
        print!("{}", document::markdown());
        return Ok(Ended::Done);
    }
    let config = environment.config(&args.config)?;
    println!("{config:#?}");
    Ok(Ended::Done)
}
