//! `idi-match client add|list|disable`: clients in the hands of the operator.
//!
//! Not here: what makes a client (see `app::auth::clients`).

use std::fmt::Display;

use serde::Serialize;

use crate::app::auth::clients::{self, Client, ClientError, ClientKeys, NewClient};
use crate::app::clock::Clock;

use super::arguments::ClientCommands;
use super::{CommandError, Ended, Environment, read_file, say};

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Start(error) => error.into(),
            ClientError::Refused(text) => Self::Usage(text),
            ClientError::Store(_) => Self::Failed(error.to_string()),
        }
    }
}

pub fn run(command: &ClientCommands, environment: &Environment) -> Result<Ended, CommandError> {
    match command {
        ClientCommands::Add { name, scope, jwks, jwks_url, json, config } => {
            let config = environment.config(config)?;
            let keys = match (jwks, jwks_url) {
                (Some(file), _) => ClientKeys::Inline(String::from_utf8_lossy(&read_file(file)?).into_owned()),
                (None, Some(url)) => ClientKeys::Url(url.clone()),
                (None, None) => return Err(CommandError::Usage("a client needs --jwks or --jwks-url".to_owned())),
            };
            let new = NewClient { name: name.clone(), scope: scope.clone(), keys };
            let added = clients::add(&config, Clock::system(), &new)?;
            if *json { say(json_of(&added)?)? } else { say(&added.client_id)? }
        }
        ClientCommands::List { json, config } => {
            for client in clients::list(&environment.config(config)?)? {
                if *json { say(json_of(&client)?)? } else { say(line_of(&client))? }
            }
        }
        ClientCommands::Disable { client_id, config } => {
            clients::disable(&environment.config(config)?, Clock::system(), client_id)?;
        }
    }
    Ok(Ended::Done)
}

fn json_of(client: &impl Serialize) -> Result<String, CommandError> {
    serde_json::to_string(client).map_err(|error| CommandError::Failed(error.to_string()))
}

fn line_of(client: &Client) -> impl Display {
    let Client { client_id, kind, state, community, issuer, name, scope, created, .. } = client;
    let place = if issuer.is_empty() { String::new() } else { format!("  {community} {issuer}") };
    format!("{client_id}  {kind}  {state}  {created}  {name}  {scope}{place}")
}
