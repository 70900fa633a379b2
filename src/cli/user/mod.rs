//! `idi-match user`: accounts of people who sign in, in the hands of the operator.
//!
//! Not here: what makes an account (see `app::people::manage`).

pub mod arguments;
mod password;

use crate::app::clock::Clock;
use crate::app::context::{Caller, Context};
use crate::app::people::login::Login;
use crate::app::people::manage::{self, AccountError, Authenticator, Codes, Listed, NewAccount, Reset};
use crate::assurance::level::IdentityLevel;
use crate::config::Config;
use crate::fhir::date::Date;

use super::{CommandError, Ended, Environment, open, read_file, say};
use arguments::{AddArgs, ResetArgs, UserCommands};

impl From<AccountError> for CommandError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Start(error) => error.into(),
            AccountError::Refused(text) => Self::Usage(text),
            AccountError::Store(_) | AccountError::Cryptography => Self::Failed(error.to_string()),
        }
    }
}

pub fn run(command: &UserCommands, environment: &Environment) -> Result<Ended, CommandError> {
    match command {
        UserCommands::Add(args) => add(args, &environment.config(&args.config)?)?,
        UserCommands::List { json, config } => {
            for account in manage::list(&environment.config(config)?)? {
                if *json { say(json_of(&account)?)? } else { say(line_of(&account))? }
            }
        }
        UserCommands::Disable { login, config } => {
            manage::disable(&environment.config(config)?, Clock::system(), &Login::typed(login))?;
        }
        UserCommands::Reset(args) => reset(args, &environment.config(&args.config)?)?,
    }
    Ok(Ended::Done)
}

fn add(args: &AddArgs, config: &Config) -> Result<(), CommandError> {
    let usage = |text: &str| CommandError::Usage(text.to_owned());
    let login = Login::new(&args.login).map_err(usage)?;
    let level = IdentityLevel::parse(&args.level).ok_or_else(|| usage("--level is one such as idial1.8"))?;
    let verified_on = Date::parse(&args.verified_on).filter(Date::is_full);
    let verified_on = verified_on.ok_or_else(|| usage("--verified-on is a day such as 2026-02-03"))?;
    let attributes = String::from_utf8(read_file(&args.attributes)?)
        .map_err(|_| CommandError::Usage(format!("{}: not UTF-8", args.attributes.display())))?;
    let mut new = NewAccount {
        login,
        kind: args.kind.into(),
        level,
        verified_on,
        verified_on_text: args.verified_on.clone(),
        attributes,
        identity_id: args.identity.clone(),
        password: password::read()?,
    };
    manage::check(config, Clock::system(), &new)?;
    if new.identity_id.is_none() {
        new.identity_id = find_identity(config, &new.attributes);
    }
    show(&manage::add(config, Clock::system(), &new)?, new.identity_id.as_deref(), args.json)
}

/// The identity that the attributes lead to; an account is made without one too.
fn find_identity(config: &Config, attributes: &str) -> Option<String> {
    let found = open(config.clone()).and_then(|app| {
        let found = app.find_own_identity(&Context::new(Caller::Open, app.clock), attributes);
        app.stop();
        Ok(found?)
    });
    match found {
        Ok(Some(identity_id)) => return Some(identity_id),
        Ok(None) => eprintln!("no single, certain and verified identity was found for these attributes"),
        Err(error) => eprintln!("no identity was looked for: {error}"),
    }
    None
}

fn reset(args: &ResetArgs, config: &Config) -> Result<(), CommandError> {
    let password = if args.password { Some(password::read()?) } else { None };
    let codes = if args.totp { Codes::Replace } else { Codes::Keep };
    let made = manage::reset(config, Clock::system(), &Login::typed(&args.login), &Reset { password, codes })?;
    made.map_or(Ok(()), |made| show(&made, None, args.json))
}

/// What the person needs, once.
fn show(made: &Authenticator, identity_id: Option<&str>, json: bool) -> Result<(), CommandError> {
    if json {
        let mut value = serde_json::to_value(made).map_err(|error| CommandError::Failed(error.to_string()))?;
        if let Some(identity_id) = identity_id {
            value["identity_id"] = identity_id.into();
        }
        return say(value);
    }
    say(format!("account   {}", made.account_id))?;
    if let Some(identity_id) = identity_id {
        say(format!("identity  {identity_id}"))?;
    }
    say(format!("secret    {}", made.totp_secret))?;
    say(format!("otpauth   {}", made.otpauth_uri))?;
    eprintln!("The secret is shown this once; whoever has it makes this person's codes.");
    Ok(())
}

fn json_of(account: &Listed) -> Result<String, CommandError> {
    serde_json::to_string(account).map_err(|error| CommandError::Failed(error.to_string()))
}

fn line_of(account: &Listed) -> String {
    let Listed { account_id, login, kind, state, level, verified_on, identity_id, .. } = account;
    let identity = identity_id.as_deref().map_or_else(String::new, |id| format!("  {id}"));
    format!("{account_id}  {kind}  {state}  {level} {verified_on}  {login}{identity}")
}
