//! The file of keys: whether it can be read by us and by nobody else, and opens what is sealed in the database.
//!
//! Not here: sealing (see `auth::seal`).

use std::os::unix::fs::PermissionsExt as _;

use crate::app::audit_chain::keys_of;
use crate::app::auth::keys::count_opened;
use crate::app::auth::seal::{Keeper, KeyFileError, Sealer};
use crate::app::auth::secret_file;
use crate::audit::chain::SealKey;
use crate::config::Config;
use crate::store::{Connection, StoreError, audit_seal, signing_key};

use super::Finding;

const AREA: &str = "keys";

/// Files that hold keys, and who may read them.
pub(super) fn examine_file(config: &Config) -> Vec<Finding> {
    let files = config.communities.iter().map(|community| &community.server_key);
    let files = files.chain([&config.auth.key_file, &config.server.tls_key]).filter(|file| !file.is_empty());
    let mode = |file: &String| std::fs::metadata(file).map(|metadata| metadata.permissions().mode());
    let is_open = |file: &&String| mode(file).is_ok_and(|mode| mode & 0o007 != 0);
    let mut findings: Vec<Finding> = files
        .filter(is_open)
        .map(|file| {
            let text = format!("{file}: every user of this machine may read this file of keys");
            Finding::warning(
                AREA,
                text,
                "chmod 0400, owned by the server's user; if somebody has read it, replace the key",
            )
        })
        .collect();
    if config.auth.key_file.is_empty() && !config.server.open {
        let text = "no auth.key_file: secrets are sealed with a key that is in the database too";
        let advice =
            "make a file with 32 random bytes in hexadecimal, name it in auth.key_file and start the server again";
        findings.push(Finding::warning(AREA, text, advice));
    }
    findings
}

/// Whether the keys fit what is stored.
pub(super) fn examine_stored(config: &Config, connection: &mut Connection) -> Result<Vec<Finding>, StoreError> {
    let sealer = match Sealer::look(&config.auth.key_file, connection) {
        Ok(sealer) => sealer,
        Err(KeyFileError::Store(error)) => return Err(error),
        Err(KeyFileError::File(reason)) => {
            let text = format!("auth.key_file: {reason}");
            let advice = "correct the file: one key of 32 bytes a line, in hexadecimal or base64";
            return Ok(vec![Finding::error(AREA, text, advice)]);
        }
    };
    Ok([vec![sealed(&sealer, connection)?], seal_key(config, connection)?].concat())
}

fn sealed(sealer: &Sealer, connection: &mut Connection) -> Result<Finding, StoreError> {
    let rows = signing_key::list(connection)?;
    let (opened, outdated) = count_opened(&rows, sealer);
    let closed = rows.len() - opened;
    if closed > 0 {
        let text = format!("{closed} of {} signing keys are sealed with a key that is not here", rows.len());
        let advice =
            "put the former key back as a further line of auth.key_file; tokens of these keys are refused until then";
        return Ok(Finding::error(AREA, text, advice));
    }
    let by = match sealer.keeper() {
        Keeper::KeyFile => "auth.key_file",
        Keeper::Database => "the database's own key",
    };
    let note = if outdated > 0 { format!("; {outdated} with one that is no longer the first") } else { String::new() };
    Ok(Finding::ok(AREA, format!("{opened} signing keys are sealed and open with {by}{note}")))
}

/// Whether the newest seal of the audit was made with a key of the file.
fn seal_key(config: &Config, connection: &mut Connection) -> Result<Vec<Finding>, StoreError> {
    let file = &config.auth.key_file;
    let Some(seal) = audit_seal::find_last(connection)?.filter(|_| !file.is_empty()) else { return Ok(Vec::new()) };
    let ids: Vec<String> = secret_file::read(file)
        .map(|text| keys_of(text.as_bytes()).iter().map(SealKey::id).collect())
        .unwrap_or_default();
    let finding = match seal.key_id {
        Some(id) if ids.contains(&id) => {
            Finding::ok(AREA, "the newest seal of the audit was made with a key of the file")
        }
        Some(_) => Finding::error(
            AREA,
            "the newest seal of the audit was made with a key that is not in auth.key_file",
            "put the former key back as a further line, or find out who sealed; audit verify tells since when",
        ),
        None => Finding::warning(
            AREA,
            "the newest seal of the audit was made without a key",
            "start the server again with auth.key_file; seals from then on carry an HMAC",
        ),
    };
    Ok(vec![finding])
}
