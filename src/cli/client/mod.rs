//! `idi-match client`: clients in the hands of the operator (`add`, `list`, `disable`), and a client of UDAP with which any
//! server can be tried (`register`, `token`, `match`).
//!
//! Not here: what makes a client of this server (see `app::auth::clients`).

pub mod arguments;
mod discovery;
pub mod member;

use std::fmt::Display;
use std::io::Read as _;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::app::auth::authorize::{HTTP_REDIRECT, NO_PKCE};
use crate::app::auth::clients::{self, Addresses, Client, ClientError, ClientKeys, NewClient};
use crate::app::clock::Clock;
use crate::outbound::exchange::Reply;

use super::{CommandError, Ended, Environment, at, read_file, say};
use arguments::{AddArgs, B2bArgs, ClientCommands, MatchArgs, RegisterArgs, ServerArgs, TokenArgs};
use member::{Member, Registration, base_of, open_exchange};

/// Of a token that is read from a file.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

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
        ClientCommands::Add(args) => add(args, environment)?,
        ClientCommands::Compat { client_id, no_pkce, http_redirect, config } => {
            let words = [(*no_pkce, NO_PKCE), (*http_redirect, HTTP_REDIRECT)];
            let words: Vec<&str> = words.into_iter().filter_map(|(is_given, word)| is_given.then_some(word)).collect();
            clients::relax(&environment.config(config)?, Clock::system(), client_id, &words)?;
        }
        ClientCommands::List { json, config } => {
            for client in clients::list(&environment.config(config)?)? {
                if *json { say(json_of(&client)?)? } else { say(line_of(&client))? }
            }
        }
        ClientCommands::Disable { client_id, config } => {
            clients::disable(&environment.config(config)?, Clock::system(), client_id)?;
        }
        ClientCommands::Register(args) => register(args)?,
        ClientCommands::Token(args) => token(args)?,
        ClientCommands::Match(args) => say(idi_match(args)?)?,
    }
    Ok(Ended::Done)
}

fn add(args: &AddArgs, environment: &Environment) -> Result<(), CommandError> {
    let config = environment.config(&args.config)?;
    let keys = match (&args.jwks, &args.jwks_url) {
        (Some(file), _) => ClientKeys::Inline(String::from_utf8_lossy(&read_file(file)?).into_owned()),
        (None, Some(url)) => ClientKeys::Url(url.clone()),
        (None, None) => ClientKeys::None,
    };
    let addresses = Addresses {
        redirect_uris: args.redirect_uri.clone(),
        logout_uris: args.post_logout_redirect_uri.clone(),
        origins: args.cors_origin.clone(),
    };
    let new = NewClient { name: args.name.clone(), scope: args.scope.clone(), keys, addresses };
    let added = clients::add(&config, Clock::system(), &new)?;
    if args.json { say(json_of(&added)?) } else { say(&added.client_id) }
}

fn json_of(client: &impl Serialize) -> Result<String, CommandError> {
    serde_json::to_string(client).map_err(|error| CommandError::Failed(error.to_string()))
}

fn line_of(client: &Client) -> impl Display {
    let Client { client_id, kind, state, community, issuer, name, scope, created, .. } = client;
    let place = if issuer.is_empty() { String::new() } else { format!("  {community} {issuer}") };
    format!("{client_id}  {kind}  {state}  {created}  {name}  {scope}{place}")
}

fn register(args: &RegisterArgs) -> Result<(), CommandError> {
    let read = |file: &std::path::PathBuf| Ok(String::from_utf8_lossy(&read_file(file)?).trim().to_owned());
    let wanted = Registration {
        name: args.name.as_deref().unwrap_or_default(),
        contacts: &args.contact,
        scope: &args.scope,
        certifications: args.certification.iter().map(read).collect::<Result<_, CommandError>>()?,
    };
    let member = Member::open(&args.member, Clock::system())?;
    let reply = member.register((!args.cancel).then_some(&wanted))?;
    let body = accepted("registration", &reply)?;
    match (args.member.json, args.cancel) {
        (true, _) => say(reply.body.trim_end()),
        (false, true) => Ok(()),
        (false, false) => say(text_of(&body, "client_id")?),
    }
}

fn token(args: &TokenArgs) -> Result<(), CommandError> {
    let extensions = extensions(&args.b2b, args.extensions.as_deref())?;
    let member = Member::open(&args.member, Clock::system())?;
    let reply = member.token(&args.client_id, &extensions, args.scope.as_deref())?;
    let body = accepted("token", &reply)?;
    if args.member.json { say(reply.body.trim_end()) } else { say(text_of(&body, "access_token")?) }
}

/// `hl7-b2b` of the options, and what the file adds or replaces.
fn extensions(b2b: &B2bArgs, file: Option<&Path>) -> Result<Value, CommandError> {
    let mut extensions = Map::new();
    if let Some(organization_id) = &b2b.organization_id {
        let mut object = json!({"version": "1", "organization_id": organization_id, "purpose_of_use": b2b.purpose});
        let texts = [
            ("organization_name", &b2b.organization_name),
            ("subject_name", &b2b.subject_name),
            ("subject_id", &b2b.subject_id),
            ("subject_role", &b2b.subject_role),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                object[name] = json!(text);
            }
        }
        for (name, list) in [("consent_policy", &b2b.consent_policy), ("consent_reference", &b2b.consent_reference)] {
            if !list.is_empty() {
                object[name] = json!(list);
            }
        }
        extensions.insert("hl7-b2b".to_owned(), object);
    }
    if let Some(file) = file {
        let more: Map<String, Value> = serde_json::from_slice(&read_file(file)?).map_err(|error| at(file, error))?;
        extensions.extend(more);
    }
    Ok(Value::Object(extensions))
}

/// The JSON of an answer that says yes, or what the server says instead.
pub fn accepted(endpoint: &str, reply: &Reply) -> Result<Map<String, Value>, CommandError> {
    let body: Map<String, Value> = serde_json::from_str(&reply.body).unwrap_or_default();
    if matches!(reply.status, 200 | 201) {
        return Ok(body);
    }
    let word = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let said = [word("error"), word("error_description")].join(": ");
    Err(CommandError::Failed(format!(
        "the {endpoint} endpoint answers {}: {}",
        reply.status,
        said.trim_matches([':', ' '])
    )))
}

pub fn text_of(body: &Map<String, Value>, name: &str) -> Result<String, CommandError> {
    let text = body.get(name).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| CommandError::Failed(format!("the answer has no {name}")))
}

fn idi_match(args: &MatchArgs) -> Result<String, CommandError> {
    let received: Value =
        serde_json::from_slice(&read_file(&args.patient)?).map_err(|error| at(&args.patient, error))?;
    let request = match received["resourceType"].as_str() {
        Some("Parameters") => received,
        Some("Patient") => {
            json!({"resourceType": "Parameters", "parameter": [{"name": "IDIPatient", "resource": received}]})
        }
        _ => return Err(at(&args.patient, "neither a Patient nor Parameters")),
    };
    send_match(&args.server, &request.to_string(), read_token(&args.token_file)?.trim())
}

/// The answer to a request to match.
pub fn send_match(server: &ServerArgs, request: &str, token: &str) -> Result<String, CommandError> {
    let url = format!("{}/Patient/$idi-match", base_of(server));
    let authorization = format!("Bearer {token}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/fhir+json"),
        ("accept", "application/fhir+json"),
    ];
    let reply = open_exchange(server)?.post(&url, &headers, request.to_owned());
    let reply = reply.map_err(|error| CommandError::Failed(error.to_string()))?;
    match reply.status {
        200 => Ok(reply.body.trim_end().to_owned()),
        status => Err(CommandError::Failed(format!("$idi-match answers {status}: {}", reply.body.trim_end()))),
    }
}

fn read_token(file: &Path) -> Result<String, CommandError> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(TOKEN_BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(TOKEN_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| at(file, error))?;
    Ok(text)
}
