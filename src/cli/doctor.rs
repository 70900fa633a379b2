//! `idi-match doctor`: what an operator should know, each thing ok, a warning or an error, with what to do.
//!
//! Here is what the command line and the transport know: the sources of the configuration, address and TLS. Not here: the
//! rest (see `app::doctor`).

use serde_json::json;

use crate::app::clock::Clock;
use crate::app::doctor::{Finding, Severity, examine, validity};
use crate::auth::certificate::Certificate;
use crate::auth::server_name::is_for;
use crate::config::settings::SETTINGS;
use crate::config::{Config, Transport};
use crate::http::tls;

use super::arguments::DoctorArgs;
use super::serve::{check_open, check_transport};
use super::{CommandError, Ended, Environment, say};

/// Where logs are asked for by the service manager and the like: variables that are ours and no option.
const PREFIX: &str = "IDI_MATCH_";

pub fn run(args: &DoctorArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let findings = match environment.config(&args.config) {
        Ok(config) => all(&config, environment),
        Err(error) => {
            vec![Finding::error(
                "configuration",
                error.to_string(),
                "correct it: docs/configuration.md has all options",
            )]
        }
    };
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (warnings, errors) = (count(Severity::Warning), count(Severity::Error));
    if args.json {
        say(json!({"findings": findings, "warnings": warnings, "errors": errors}))?;
    } else {
        findings.iter().try_for_each(print)?;
        say(format_args!("{warnings} warnings, {errors} errors"))?;
    }
    Ok(match (errors, warnings) {
        (0, 0) => Ended::Done,
        (0, _) => Ended::ProblemsFound,
        _ => Ended::ErrorsFound,
    })
}

fn print(finding: &Finding) -> Result<(), CommandError> {
    let severity = match finding.severity {
        Severity::Ok => "ok",
        Severity::Warning => "WARNING",
        Severity::Error => "ERROR",
    };
    say(format_args!("{severity:8}{:14}{}", finding.area, finding.text))?;
    match &finding.advice {
        Some(advice) => say(format_args!("{:22}-> {advice}", "")),
        None => Ok(()),
    }
}

fn all(config: &Config, environment: &Environment) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("configuration", "every option that is given is known and within its limits")];
    findings.extend(unknown_variables(environment));
    findings.push(address(config));
    findings.extend(certificate(config));
    if let Err(CommandError::Usage(text) | CommandError::Failed(text)) = check_open(config) {
        findings.push(Finding::error("gate", text, "configure a community, or add a client"));
    }
    findings.extend(examine(config, Clock::system()));
    findings
}

/// A variable that looks like an option and is none was meant to be one.
fn unknown_variables(environment: &Environment) -> Vec<Finding> {
    let names = environment.variables.iter().map(|(name, _)| name);
    let unknown =
        names.filter(|name| name.starts_with(PREFIX) && !SETTINGS.iter().any(|setting| setting.env() == **name));
    let advice = "take it away, or spell it as docs/configuration.md does";
    unknown.map(|name| Finding::warning("configuration", format!("{name} sets no option"), advice)).collect()
}

/// Whether what is served is protected on its way.
fn address(config: &Config) -> Finding {
    let server = &config.server;
    if let Err(error) = check_transport(config) {
        return Finding::error("transport", error.to_string(), "a server does not start like this");
    }
    let how = match server.transport() {
        Transport::Tls => "https by this server",
        Transport::Proxied => "http, for the proxies of server.trusted_proxies",
        Transport::Plain => "http, for this machine alone",
    };
    Finding::ok("transport", format!("{}: {how}; callers ask for {}", server.listen, server.base_url))
}

/// The TLS certificate: how long it is valid, and for which host.
fn certificate(config: &Config) -> Vec<Finding> {
    if config.server.transport() != Transport::Tls {
        return Vec::new();
    }
    // What cannot be read at all was said of the transport.
    let Ok(der) = tls::leaf(&config.server) else { return Vec::new() };
    let host = host_of(&config.server.base_url);
    let name = if is_for(&der, host) {
        Finding::ok("transport", format!("server.tls_cert is for {host}"))
    } else {
        let text = format!("server.tls_cert is not for {host}, the host of server.base_url");
        Finding::error(
            "transport",
            text,
            "have a certificate issued with that name among its subject alternative names",
        )
    };
    let now_us = (Clock::system().now_us)();
    let validity = Certificate::parse(&der).ok().map(|leaf| validity("transport", "server.tls_cert", &leaf, now_us));
    [Some(name), validity].into_iter().flatten().collect()
}

/// The host of an absolute URL, without its port.
fn host_of(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    if authority.starts_with('[') {
        return authority.split_inclusive(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url_is_what_stands_before_its_port() {
        let table = [
            ("https://fhir.example.org/fhir", "fhir.example.org"),
            ("https://fhir.example.org:8443/fhir", "fhir.example.org"),
            ("http://127.0.0.1:8080/fhir", "127.0.0.1"),
            ("https://[2001:db8::1]:8443/fhir", "[2001:db8::1]"),
        ];
        for (url, expected) in table {
            assert_eq!(host_of(url), expected);
        }
    }
}
