//! Communities: whether their files can be used, how long certificates and revocation lists are good for.
//!
//! Lists at configured addresses are fetched, as a server does when it starts. Not here: the rules of chains (see
//! `auth::trust`).

use std::sync::Arc;

use crate::app::auth::material::{self, Material};
use crate::auth::certificate::Certificate;
use crate::auth::trust::{ChainError, Crl, UnknownRevocation, validate};
use crate::config::Config;
use crate::config::communities::Revocation;
use crate::outbound::fetch::Client;
use crate::outbound::lookup::Lookup;

use super::{Finding, Severity, day, span, validity};

const AREA: &str = "communities";

pub(super) fn examine(config: &Config, now_us: i64) -> Vec<Finding> {
    if config.communities.is_empty() {
        return vec![Finding::ok(AREA, "none is configured")];
    }
    let client = match Client::open(&config.outbound, Lookup::system()) {
        Ok(client) => client,
        Err(reason) => return vec![Finding::error("outbound", reason, "correct [outbound] in the configuration")],
    };
    let (mut findings, mut materials) = (Vec::new(), Vec::new());
    for (at, configured) in config.communities.iter().enumerate() {
        match material::read(at, configured, &config.server.base_url) {
            Ok(material) => {
                findings.extend(certificates(&material, now_us));
                findings.extend(revocation(&material, configured.unknown_revocation, &client, now_us));
                materials.push(material);
            }
            Err(error) => {
                let advice = "correct the file or the configuration: a server does not start with it";
                findings.push(Finding::error(AREA, error.to_string(), advice));
            }
        }
    }
    if let Err(error) = material::check_anchors(&materials) {
        findings.push(Finding::error(AREA, error.to_string(), "give each anchor to one community"));
    }
    findings
}

/// Every certificate of the configuration; those that are well are one line.
fn certificates(material: &Material, now_us: i64) -> Vec<Finding> {
    let name = &material.community.name;
    let mut findings =
        vec![validity(AREA, &format!("{name}: the server's certificate"), &material.server_certificate, now_us)];
    let own: Vec<Certificate> =
        material.server_chain.iter().skip(1).filter_map(|der| Certificate::parse(der).ok()).collect();
    let trust = &material.trust;
    let kinds: [(&str, &[Certificate]); 3] =
        [("intermediate of server_cert", &own), ("anchor", trust.anchors()), ("intermediate", trust.intermediates())];
    let mut well = 0;
    for (kind, list) in kinds {
        for (at, certificate) in list.iter().enumerate() {
            let finding = validity(AREA, &format!("{name}: {kind} {at}"), certificate, now_us);
            if finding.severity == Severity::Ok {
                well += 1;
            } else {
                findings.push(finding);
            }
        }
    }
    findings
        .push(Finding::ok(AREA, format!("{name}: {well} certificates of authorities are valid for 30 days and more")));
    findings
}

fn revocation(material: &Material, unknown: Revocation, client: &Client, now_us: i64) -> Vec<Finding> {
    let name = &material.community.name;
    let mut findings = Vec::new();
    let mut lists: Vec<Arc<Crl>> = material.crls.clone();
    for url in &material.crl_urls {
        match fetch(material, url, client) {
            Ok(fetched) => lists.extend(fetched),
            Err(reason) => {
                let advice = "check the address, outbound.hosts, outbound.networks and the way there; whoever needs the list \
                              is refused";
                findings.push(Finding::warning(AREA, format!("{name}: {url}: {reason}"), advice));
            }
        }
    }
    lists.sort_by_key(|list| std::cmp::Reverse(list.this_update_us()));
    let is_newest = |at: usize| !lists[..at].iter().any(|newer| newer.has_scope_of(&lists[at]));
    let newest: Vec<&Arc<Crl>> = (0..lists.len()).filter(|at| is_newest(*at)).map(|at| &lists[at]).collect();
    findings.extend(newest.iter().enumerate().map(|(at, list)| age(name, at, list, now_us)));
    if newest.is_empty() {
        let what = match unknown {
            Revocation::Refuse => "members need one, from a distribution point in their certificates",
            Revocation::Accept => "unknown_revocation = 'accept' lets members in without",
        };
        findings.push(Finding::ok(AREA, format!("{name}: no revocation list is configured; {what}")));
    }
    findings.extend(chain(material, lists.clone(), now_us));
    findings
}

fn fetch(material: &Material, url: &str, client: &Client) -> Result<Vec<Arc<Crl>>, String> {
    let ders = client.revocation_lists(url).map_err(|error| error.to_string())?;
    let read = |der: &Vec<u8>| {
        let list = Crl::parse(der).map_err(|error| error.to_string())?;
        let is_signed = material.trust.has_signer_of(&list);
        if is_signed { Ok(Arc::new(list)) } else { Err("no anchor or intermediate has signed the list".to_owned()) }
    };
    ders.iter().map(read).collect()
}

fn age(name: &str, at: usize, list: &Crl, now_us: i64) -> Finding {
    let (issued_us, next_us) = (list.this_update_us(), list.next_update_us());
    let text = format!(
        "{name}: revocation list {at} was issued {} ago, the next one is due on {}; {} certificates are on it",
        span((now_us - issued_us).max(0)),
        day(next_us),
        list.revoked()
    );
    let renew = "fetch the issuer's newest list into the file of crls, or name its address in crl_urls";
    if now_us > next_us {
        let text = format!("{text}: it is out of date and everybody whom it speaks for is refused");
        return Finding::error(AREA, text, renew);
    }
    let is_late = next_us - now_us < (next_us - issued_us) / 10;
    if is_late { Finding::warning(AREA, text, renew) } else { Finding::ok(AREA, text) }
}

/// Whether others can follow the server's own certificate to an anchor, as far as can be seen from here.
fn chain(material: &Material, lists: Vec<Arc<Crl>>, now_us: i64) -> Option<Finding> {
    let name = &material.community.name;
    let trust = material.trust.clone().with_crls(lists).with_unknown_revocation(UnknownRevocation::Accept);
    let reason = match validate(&material.server_chain, &[], &trust, now_us) {
        Ok(_) => return Some(Finding::ok(AREA, format!("{name}: the server's certificate leads to an anchor"))),
        // Said of the certificate and the list themselves.
        Err(ChainError::Expired | ChainError::NotYetValid | ChainError::RevocationUnknown) => return None,
        Err(error) => error.reason().code(),
    };
    let text = format!("{name}: the server's certificate leads to no anchor of the community ({reason})");
    Some(Finding::error(AREA, text, "put the intermediates of the issuer behind the certificate in server_cert"))
}
