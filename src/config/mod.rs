//! Configuration: defaults, then a TOML file, then the environment, then flags; checked once, then only read.
//!
//! Every option is defined in [`settings::SETTINGS`]; the structs here are its typed form. The environment is an
//! argument ([`Sources::environment`]), read in `main` only. Not here: what options mean to the parts they configure.

pub mod communities;
pub mod document;
pub mod id_token_issuers;
pub mod list;
pub mod otlp;
pub mod setting;
pub mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;

use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Profile};
use serde::{Deserialize, Serialize, Serializer};

use crate::fhir::match_parameters::RuleBook;

use communities::Community;
use id_token_issuers::IdTokenIssuer;
use list::{HostPattern, List, Network, Ports};
use otlp::Otlp;
use setting::{Kind, Setting};
use settings::SETTINGS;

/// The whole configuration, checked.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub server: Server,
    pub organization: Organization,
    #[serde(rename = "match")]
    pub matching: Match,
    pub limits: Limits,
    pub log: Log,
    pub auth: Auth,
    pub outbound: Outbound,
    pub otlp: Otlp,
    pub people: People,
    pub budgets: Budgets,
    /// `[[sources]]`: verification assumed for records that carry none themselves.
    #[serde(default)]
    pub sources: Vec<Source>,
    #[serde(default)]
    pub communities: Vec<Community>,
    /// Whose identity tokens are believed.
    #[serde(default)]
    pub id_token_issuers: Vec<IdTokenIssuer>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub listen: SocketAddr,
    pub base_url: String,
    pub database_url: SecretUrl,
    pub open: bool,
    pub profiles_dir: String,
    pub workers: usize,
    pub drain_ms: u64,
    pub tls_cert: String,
    pub tls_key: String,
    pub tls_client_anchors: String,
    pub tls_client_certificates: ClientCertificates,
    pub trusted_proxies: List<Network>,
    pub metrics_networks: List<Network>,
}

/// Whether a TLS connection needs a certificate of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    Optional,
    Required,
}

/// How connections are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// This server speaks TLS itself.
    Tls,
    /// Proxies that are named do it.
    Proxied,
    /// Nobody does; for a loopback address only.
    Plain,
}

impl Server {
    #[must_use]
    pub fn transport(&self) -> Transport {
        match (self.tls_cert.is_empty(), self.trusted_proxies.0.is_empty()) {
            (false, _) => Transport::Tls,
            (true, false) => Transport::Proxied,
            (true, true) => Transport::Plain,
        }
    }

    /// The FHIR base at `address`, for callers on this machine.
    #[must_use]
    pub fn base_url_at(&self, address: SocketAddr) -> String {
        let scheme = if self.transport() == Transport::Tls { "https" } else { "http" };
        format!("{scheme}://{address}/fhir")
    }
}

/// Keys and certificates.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub key_file: String,
    pub aia: bool,
    pub reload_s: u64,
    pub crl_refresh_s: u64,
    pub app_token_s: u64,
    pub refresh_days: u64,
}

/// People who sign in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    pub session_minutes: u32,
    pub session_idle_minutes: u32,
    /// Of one login.
    pub sign_in_failures_free: u32,
    pub sign_in_failures_max: u32,
    /// Of one address.
    pub address_failures_free: u32,
    pub sign_in_pause_s: u32,
    pub sign_in_pause_s_max: u32,
    pub password_hashes_max: usize,
}

/// What may be fetched from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Outbound {
    pub hosts: List<HostPattern>,
    pub ports: List<Ports>,
    pub networks: List<Network>,
    pub anchors: String,
    pub timeout_ms: u64,
    pub body_bytes_max: usize,
}

/// How often clients may match, and how often in vain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    pub enabled: bool,
    pub client_requests_per_minute: u32,
    pub client_failures_per_hour: u32,
    pub organization_requests_per_minute: u32,
    pub organization_failures_per_hour: u32,
    /// Of one client about one person.
    pub subject_failures_max: u32,
    /// Of all clients about one person.
    pub subject_failures_all_max: u32,
    pub subject_period_h: u32,
    /// For clients that the operator has added.
    pub operator_factor: u32,
    pub sweep_subjects_per_minute: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    pub id: String,
    pub name: String,
    pub phone: String,
    pub email: String,
    pub url: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Response {
    Auto,
    Parameters,
    Bundle,
}

/// Where candidates are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexPlace {
    Memory,
    Database,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    pub index: IndexPlace,
    pub response: Response,
    pub require_profile: bool,
    pub rule_book: RuleBook,
    pub golden_record: bool,
    pub probability_min: f64,
    pub identities_max: usize,
    pub records_per_identity_max: usize,
    pub candidates_max: usize,
    pub parallel_from: usize,
    pub threads: usize,
    pub model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub body_bytes_max: usize,
    pub depth_max: usize,
    pub values_max: usize,
    pub string_bytes_max: usize,
    /// Entries of a transaction or batch.
    pub bundle_entries_max: usize,
    pub bundle_answer_bytes_max: usize,
    pub transaction_ms_max: u64,
    pub patch_operations_max: usize,
    pub page_size: u32,
    pub page_size_max: u32,
    pub search_values_max: usize,
    pub search_total_max: u32,
    pub search_includes_max: usize,
    pub page_bytes_max: usize,
    pub http_connections_max: usize,
    pub requests_in_flight_max: usize,
    pub request_threads_max: usize,
    pub queue_timeout_ms: u64,
    pub header_timeout_ms: u64,
    pub body_timeout_ms: u64,
    pub shutdown_timeout_ms: u64,
    pub database_connections_max: u32,
    pub database_timeout_ms: u64,
    pub write_queue_max: usize,
    pub commit_batch_max: usize,
    pub audit_backlog_bytes_max: usize,
    pub load_batch_lines: usize,
    pub index_poll_ms: u64,
    pub index_lag_ms_max: u64,
    pub export_jobs_max: u32,
    pub export_expires_s: u64,
    pub export_part_resources_max: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    pub filter: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// Verification assumed for the records of one source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Equal to the record's `meta.source`, or to `load --source`.
    pub uri: String,
    /// Identity assurance level, such as `IDIAL1.5`.
    pub level: String,
    /// Full date of the verification.
    pub date: String,
}

/// A database URL; its password is shown nowhere.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretUrl(String);

impl SecretUrl {
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretUrl(***)")
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// Where values come from, weakest first.
#[derive(Debug, Default, Clone)]
pub struct Sources {
    pub file: Option<PathBuf>,
    /// Name and value pairs of the process environment.
    pub environment: Vec<(String, String)>,
    /// Key (`server.listen`) and value pairs from flags.
    pub flags: Vec<(String, String)>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{name}: {reason}")]
    Value { name: String, reason: String },
    #[error("{0}")]
    File(String),
}

impl Config {
    /// Reads and checks all sources.
    ///
    /// # Errors
    /// On a file that cannot be read, an unknown key, a value of the wrong kind or beyond its limits.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::from(defaults()?, Profile::Default));
        if let Some(file) = &sources.file {
            if !file.is_file() {
                return Err(ConfigError::File(format!("{}: no such file", file.display())));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        for setting in SETTINGS.iter() {
            let name = setting.env();
            if let Some((_, text)) = sources.environment.iter().find(|(key, _)| *key == name) {
                figment = figment.merge(layer(setting, &name, text)?);
            }
        }
        for (key, text) in &sources.flags {
            if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) {
                figment = figment.merge(layer(setting, &format!("--{}", setting.flag), text)?);
            }
        }
        let mut config: Self = figment.extract().map_err(|error| ConfigError::File(plain(&error, sources)))?;
        check_ranges(&figment)?;
        config.complete();
        config.check()?;
        Ok(config)
    }

    /// The defaults alone.
    ///
    /// # Errors
    /// Never for the shipped defaults; a test proves it.
    pub fn defaults() -> Result<Self, ConfigError> {
        Self::load(&Sources::default())
    }

    fn complete(&mut self) {
        if self.server.base_url.is_empty() {
            self.server.base_url = self.server.base_url_at(self.server.listen);
        }
        while self.server.base_url.ends_with('/') {
            self.server.base_url.pop();
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |name: &str, reason: &str| Err(ConfigError::Value { name: name.into(), reason: reason.into() });
        if !(0.0..=1.0).contains(&self.matching.probability_min) {
            return refuse("match.probability_min", "must be a probability from 0 to 1");
        }
        if !self.server.base_url.starts_with("http://") && !self.server.base_url.starts_with("https://") {
            return refuse("server.base_url", "must be an absolute http or https URL");
        }
        let id = &self.organization.id;
        let is_id = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        if !(1..=64).contains(&id.len()) || !id.bytes().all(is_id) {
            return refuse("organization.id", "must have 1 to 64 letters, digits, hyphens and dots");
        }
        if !self.server.base_url.ends_with("/fhir") {
            return refuse("server.base_url", "must end in /fhir");
        }
        if self.limits.page_size > self.limits.page_size_max {
            return refuse("limits.page_size", "must not be above limits.page_size_max");
        }
        if self.server.tls_cert.is_empty() != self.server.tls_key.is_empty() {
            return refuse("server.tls_key", "must be given together with server.tls_cert");
        }
        if self.server.tls_cert.is_empty() && !self.server.tls_client_anchors.is_empty() {
            return refuse("server.tls_client_anchors", "needs server.tls_cert");
        }
        let is_https = self.server.base_url.starts_with("https://");
        if self.server.transport() == Transport::Tls && !is_https {
            return refuse("server.base_url", "must be an https URL where server.tls_cert is given");
        }
        if !self.server.listen.ip().is_loopback() && !is_https {
            let reason = "must be an https URL beyond loopback: give server.tls_cert, or what callers of the proxy see";
            return refuse("server.base_url", reason);
        }
        self.otlp.check()?;
        communities::check(&self.communities)?;
        id_token_issuers::check(&self.id_token_issuers)?;
        for source in &self.sources {
            if crate::fhir::date::Date::parse(&source.date).is_none_or(|date| !date.is_full()) {
                return refuse("sources.date", "must be a full date (YYYY-MM-DD)");
            }
            if !source.level.starts_with("IDIAL") && source.level != "IAL2" {
                return refuse("sources.level", "must be an identity assurance level such as IDIAL1.5");
            }
        }
        Ok(())
    }
}

/// A file's numbers have no limits of their own; flags and environment were checked when they were read.
fn check_ranges(figment: &Figment) -> Result<(), ConfigError> {
    for setting in SETTINGS.iter() {
        let Kind::Integer { min, max } = setting.kind else { continue };
        let value = figment
            .find_value(setting.key)
            .ok()
            .and_then(|value| value.to_u128().or_else(|| value.to_i128().and_then(|value| u128::try_from(value).ok())));
        if value.is_none_or(|value| value < u128::from(min) || value > u128::from(max)) {
            let reason = format!("must be a whole number from {min} to {max}");
            return Err(ConfigError::Value { name: setting.key.to_owned(), reason });
        }
    }
    Ok(())
}

fn defaults() -> Result<Dict, ConfigError> {
    let mut all = Dict::new();
    for setting in SETTINGS.iter() {
        let (table, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        let table = all.entry(table.to_owned()).or_insert_with(|| Value::from(Dict::new()));
        if let Value::Dict(_, members) = table {
            members.insert(name.to_owned(), parse(setting, setting.key, setting.default)?);
        }
    }
    Ok(all)
}

fn layer(setting: &Setting, name: &str, text: &str) -> Result<Serialized<Value>, ConfigError> {
    Ok(Serialized::default(setting.key, parse(setting, name, text)?))
}

fn parse(setting: &Setting, name: &str, text: &str) -> Result<Value, ConfigError> {
    let refuse = |reason: String| ConfigError::Value { name: name.to_owned(), reason };
    match setting.kind {
        Kind::Text | Kind::Url => Ok(Value::from(text)),
        Kind::Flag => match text {
            "true" | "1" | "yes" | "on" => Ok(Value::from(true)),
            "false" | "0" | "no" | "off" => Ok(Value::from(false)),
            _ => Err(refuse("must be true or false".into())),
        },
        Kind::Integer { min, max } => {
            let value = text.parse::<u64>().ok().filter(|value| (min..=max).contains(value));
            value.map(Value::from).ok_or_else(|| refuse(format!("must be a whole number from {min} to {max}")))
        }
        Kind::Probability => {
            let value = text.parse::<f64>().ok().filter(|value| (0.0..=1.0).contains(value));
            value.map(Value::from).ok_or_else(|| refuse("must be a probability from 0 to 1".into()))
        }
        Kind::Choice(choices) => {
            let known = choices.contains(&text);
            if known { Ok(Value::from(text)) } else { Err(refuse(format!("must be one of: {}", choices.join(", ")))) }
        }
    }
}

/// figment's words without the value it found, which may be a password.
fn plain(error: &figment::Error, sources: &Sources) -> String {
    let file = || sources.file.as_ref().map_or_else(String::new, |file| file.display().to_string());
    let key = if error.path.is_empty() { file() } else { error.path.join(".") };
    match &error.kind {
        figment::error::Kind::UnknownField(field, _) => {
            let mut path: Vec<&str> = error.path.iter().map(String::as_str).collect();
            if path.last() != Some(&field.as_str()) {
                path.push(field);
            }
            format!("unknown option {}", path.join("."))
        }
        figment::error::Kind::MissingField(field) => format!("missing option {field}"),
        figment::error::Kind::InvalidType(_, expected) | figment::error::Kind::InvalidValue(_, expected) => {
            format!("{key}: expected {expected}")
        }
        figment::error::Kind::UnknownVariant(_, known) => format!("{key}: must be one of: {}", known.join(", ")),
        _ => format!("{key}: cannot be read; is the file valid TOML, and the value of the right kind?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: Option<&str>, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let pairs = |list: &[(&str, &str)]| list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let directory = tempfile::tempdir().expect("directory");
        let path = file.map(|text| {
            let path = directory.path().join("idi-match.toml");
            std::fs::write(&path, text).expect("written");
            path
        });
        Config::load(&Sources { file: path, environment: pairs(environment), flags: pairs(flags) })
    }

    #[test]
    fn defaults_are_valid_and_loopback() {
        let config = Config::defaults().expect("valid");
        assert!(config.server.listen.ip().is_loopback());
        assert!(!config.server.open);
        assert!(config.matching.require_profile);
        assert_eq!(config.server.base_url, "http://127.0.0.1:8080/fhir");
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let file = "[limits]\npage_size = 7\ndepth_max = 20\nvalues_max = 200\n[[sources]]\nuri = 'urn:x'\nlevel = 'IDIAL1.5'\ndate = '2026-01-02'\n";
        let config = load(
            Some(file),
            &[("IDI_MATCH_LIMITS_DEPTH_MAX", "21"), ("IDI_MATCH_LIMITS_VALUES_MAX", "201")],
            &[("limits.values_max", "202")],
        )
        .expect("valid");
        assert_eq!((config.limits.page_size, config.limits.depth_max, config.limits.values_max), (7, 21, 202));
        assert_eq!(config.sources[0].level, "IDIAL1.5");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name_and_without_its_value() {
        type Pairs = &'static [(&'static str, &'static str)];
        let table: &[(Option<&str>, Pairs, Pairs, &str)] = &[
            (Some("[server]\nlisten_on = 'x'"), &[], &[], "server.listen_on"),
            (Some("[server]\nlisten = 'secret'"), &[], &[], "server.listen"),
            (Some("[limits]\ndepth_max = 9000"), &[], &[], "limits.depth_max"),
            (Some("[[sources]]\nuri='a'\nlevel='gold'\ndate='2026-01-01'"), &[], &[], "sources.level"),
            (Some("not toml"), &[], &[], "TOML"),
            (None, &[("IDI_MATCH_SERVER_WORKERS", "secret")], &[], "IDI_MATCH_SERVER_WORKERS"),
            (None, &[], &[("match.response", "secret")], "--match-response"),
            (None, &[], &[("match.probability_min", "2")], "--match-probability-min"),
            (None, &[], &[("server.base_url", "ftp://x")], "server.base_url"),
            (None, &[], &[("server.base_url", "http://x/other")], "server.base_url"),
            (None, &[], &[("organization.id", "a_b")], "organization.id"),
        ];
        for (file, environment, flags, expected) in table {
            let error = load(*file, environment, flags).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_database_url_is_hidden_in_debug() {
        let config = load(None, &[], &[("server.database_url", "postgres://u:hunter2@h/d")]).expect("valid");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
