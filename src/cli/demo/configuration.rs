//! The configuration of the demo: a loopback server in one community, or an open one.
//!
//! The file that it writes is a configuration as any other, to look at and to begin with. Not here: the keys (see
//! `test_pki`).

use std::net::SocketAddr;
use std::path::Path;

use crate::app::clock::instant;
use crate::config::{Config, Sources};

use super::super::arguments::DemoArgs;
use super::super::{CommandError, Environment};
use super::test_pki::{APP, CLINIC, TestPki};

/// Where the people of the demo come from, who count as verified.
pub const SOURCE: &str = "urn:idi-match:demo:people";
/// The community, as it is asked for.
pub const COMMUNITY: &str = "urn:idi-match:demo:community";

/// The database, in the demo's directory.
pub const DATABASE: &str = "idi-match.sqlite";
/// What the server's own keys are sealed with, beside the test keys.
pub const SEALING_KEYS: &str = "sealing.keys";

/// Reads the configuration for a server at `address`; `file` is the gate's, where there is one.
pub fn load(
    environment: &Environment,
    directory: &Path,
    address: SocketAddr,
    gate: Option<&Path>,
) -> Result<Config, CommandError> {
    let flags = [
        ("server.listen", address.to_string()),
        ("server.base_url", base_url(address)),
        ("server.database_url", format!("sqlite:{}", directory.join(DATABASE).display())),
        ("server.open", gate.is_none().to_string()),
        ("organization.name", "idi-match demo".to_owned()),
        ("log.filter", "warn".to_owned()),
    ];
    let flags = flags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let file = gate.map(Path::to_path_buf);
    Ok(Config::load(&Sources { file, environment: environment.variables.clone(), flags })?)
}

pub fn address(args: &DemoArgs) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], args.port))
}

pub fn base_url(address: SocketAddr) -> String {
    format!("http://{address}/fhir")
}

/// A community of the test authority: whoever is not named is an app that nobody has looked at closely.
pub fn text(pki: &TestPki, now_us: i64) -> String {
    let file = |name: &str| toml_text(&pki.file(name).display().to_string());
    let today = &instant(now_us)[..10];
    let sealing =
        if pki.file(SEALING_KEYS).exists() { format!("key_file = {}", file(SEALING_KEYS)) } else { String::new() };
    format!(
        r#"# A community for trying: its keys are made for this machine and this week, and protect nothing.
[auth]
{sealing}

[[sources]]
uri = "{SOURCE}"
level = "IDIAL1.8"
date = "{today}"

[[communities]]
name = "demo-test"
uri = "{COMMUNITY}"
anchors = [{anchor}]
crls = [{crl}]
server_cert = {certificate}
server_key = {key}
purposes = ["TREAT", "PATRQT"]
scopes = ["system/Patient.rs"]
identity_assurance = "IDIAL1.5"
authentication_assurance = "AAL1"
entity_type = "individual-access"

[[communities.members]]
uri = "{clinic}"
entity_type = "covered-entity"
identity_assurance = "IDIAL1.8"
authentication_assurance = "AAL2"

[[communities.members]]
uri = "{app}"
identity_assurance = "IDIAL1.8"
authentication_assurance = "AAL2"
"#,
        anchor = file("test-ca.pem"),
        crl = file("test-ca.crl"),
        certificate = file("server.pem"),
        key = file("server.key"),
        clinic = CLINIC.uri,
        app = APP.uri,
    )
}

/// A basic string of TOML.
fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}
