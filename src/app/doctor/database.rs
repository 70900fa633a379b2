//! The database: whether it is there, of this program's schema, durable, writable; what other versions have left in it; the
//! audit's tail and the age of the last backup.
//!
//! Not here: the queries (see `store::inspection`).

use crate::app::clock::Clock;
use crate::app::rules::Rules;
use crate::app::store_options;
use crate::app::stored_index::DERIVATION;
use crate::config::{Config, IndexPlace};
use crate::matching::record::NORMALISER_VERSION;
use crate::store::inspection::{self, Files};
use crate::store::{Connection, DatabaseUrl, Store, StoreError, audit, audit_seal, block_key, change};

use super::{DAY_US, Finding, SECOND_US, keys, mebibytes, span};

const AREA: &str = "database";
/// Below it nothing is committed for much longer.
const FREE_BYTES_MIN: u64 = 256 << 20;
const FREE_BYTES_LOW: u64 = 2 << 30;
/// Four times what a checkpoint leaves.
const LOG_BYTES_HIGH: u64 = 512 << 20;
/// Clocks that differ more make times of tokens and of rows doubtful.
const SKEW_WARNING_US: i64 = SECOND_US;
const SKEW_ERROR_US: i64 = 60 * SECOND_US;
/// Rows are sealed within a second or so while a server runs.
const UNSEALED_US_MAX: i64 = 60 * SECOND_US;
const BACKUP_AGE_US_MAX: i64 = 7 * DAY_US;
/// Changes that the stored block keys may lack: whoever writes next brings them.
const BLOCK_LAG_MAX: i64 = 10_000;

pub(super) fn examine(config: &Config, rules: Option<&Rules>, clock: Clock) -> Vec<Finding> {
    let url = match DatabaseUrl::parse(config.server.database_url.expose()) {
        Ok(url) => url,
        Err(error) => return vec![Finding::error(AREA, format!("server.database_url: {error}"), "correct it")],
    };
    let mut findings = files(&url);
    match Store::open_as_it_is(&url, &store_options(config)) {
        Ok(store) => findings.extend(contents(&store, config, rules, clock)),
        Err(error) => findings.push(unusable(&url, &error)),
    }
    findings
}

fn unusable(url: &DatabaseUrl, error: &StoreError) -> Finding {
    let text = format!("{url}: {error}");
    match error {
        StoreError::NoDatabase => {
            Finding::warning(AREA, text, "serve makes one at its first start; or restore a backup")
        }
        StoreError::OlderSchema(_) => {
            Finding::warning(AREA, text, "write a backup, then start this version: it migrates at its start")
        }
        StoreError::NewerSchema(_) => {
            Finding::error(AREA, text, "install the version that has migrated it, or a later one")
        }
        StoreError::Unavailable(_) => {
            Finding::error(AREA, text, "check that it runs and can be reached, and user, password and TLS of the URL")
        }
        _ => Finding::error(AREA, text, "see the log of the database; restore the last backup where it is damaged"),
    }
}

/// Space and files of SQLite.
fn files(url: &DatabaseUrl) -> Vec<Finding> {
    let Files { database_bytes, log_bytes, free_bytes } = match inspection::files(url) {
        Ok(Some(files)) => files,
        Ok(None) => return Vec::new(),
        Err(error) => {
            let advice = "make the folder, owned by the server's user";
            return vec![Finding::error(AREA, format!("{url}: {error}"), advice)];
        }
    };
    let room = format!("{} are free beside a database of {}", mebibytes(free_bytes), mebibytes(database_bytes));
    let more = "make room: on a full disk writes are refused";
    let space = match free_bytes {
        free if free < FREE_BYTES_MIN => Finding::error(AREA, room, more),
        free if free < FREE_BYTES_LOW.max(database_bytes / 10) => Finding::warning(AREA, room, more),
        _ => Finding::ok(AREA, room),
    };
    let log = format!("the write-ahead log has {}", mebibytes(log_bytes));
    let log = if log_bytes > LOG_BYTES_HIGH {
        let advice = "something reads for very long (a backup, another program): it grows until that ends";
        Finding::warning(AREA, log, advice)
    } else {
        Finding::ok(AREA, log)
    };
    vec![space, log]
}

fn contents(store: &Store, config: &Config, rules: Option<&Rules>, clock: Clock) -> Vec<Finding> {
    let mut connection = match store.backup_connection() {
        Ok(connection) => connection,
        Err(error) => return vec![unusable(store.url(), &error)],
    };
    let conn = &mut connection;
    let parts = [
        Ok(vec![Finding::ok(AREA, format!("{} is there, its schema is {}", store.url(), Store::schema()))]),
        running(conn, clock),
        writable(store),
        keys::examine_stored(config, conn),
        audited(conn, (clock.now_us)()),
        versions(conn, config, rules),
    ];
    let failed = |error: StoreError| vec![unusable(store.url(), &error)];
    parts.into_iter().flat_map(|part| part.unwrap_or_else(failed)).collect()
}

/// Product, durability and clock.
fn running(conn: &mut Connection, clock: Clock) -> Result<Vec<Finding>, StoreError> {
    let before_us = (clock.now_us)();
    let condition = inspection::condition(conn)?;
    let after_us = (clock.now_us)();
    let shown: Vec<String> =
        condition.durability.iter().map(|setting| format!("{} = {}", setting.name, setting.value)).collect();
    let text = format!("{}: {}", condition.product, shown.join(", "));
    let durability = if condition.durability.iter().all(inspection::Setting::is_safe) {
        Finding::ok(AREA, text)
    } else {
        let advice = "what was acknowledged may be lost in a crash: let the server of the database use its safe defaults; a \
                      SQLite file belongs on a local file system";
        Finding::error(AREA, text, advice)
    };
    let own = condition.clock_us.map(|database_us| skew(database_us, before_us, after_us));
    let newest_us = audit::list_newest_after(conn, 0, 1)?.first().map(|row| row.at_us);
    let ahead = newest_us.filter(|newest_us| *newest_us > after_us + SKEW_WARNING_US).map(|newest_us| {
        let text = format!("the newest audit row is {} ahead of this machine's clock", span(newest_us - after_us));
        Finding::warning("clock", text, "set the clocks of all instances by NTP")
    });
    Ok([Some(durability), own, ahead].into_iter().flatten().collect())
}

/// The database's clock between two looks at ours.
fn skew(database_us: i64, before_us: i64, after_us: i64) -> Finding {
    let off_us = (before_us - database_us).max(database_us - after_us).max(0);
    let text = format!("this machine's clock and the database's differ by {} ms", off_us / 1000);
    let advice = "set both clocks by NTP: times of tokens, certificates and rows depend on them";
    match off_us {
        off if off > SKEW_ERROR_US => Finding::error("clock", text, advice),
        off if off > SKEW_WARNING_US => Finding::warning("clock", text, advice),
        _ => Finding::ok("clock", text),
    }
}

fn writable(store: &Store) -> Result<Vec<Finding>, StoreError> {
    let is_writable = inspection::is_writable(&mut store.writer_connection()?)?;
    Ok(vec![if is_writable {
        Finding::ok(AREA, "it takes writes")
    } else {
        let advice = "name the primary in server.database_url, and give its user the right to write to all tables";
        Finding::error(AREA, "it can be read, not written", advice)
    }])
}

/// What of the audit is not sealed, and when the last backup was made.
fn audited(conn: &mut Connection, now_us: i64) -> Result<Vec<Finding>, StoreError> {
    let sealed_seq = audit_seal::find_last(conn)?.map_or(0, |seal| seal.last_seq);
    let (rows, since_us) = audit::count_after(conn, sealed_seq)?;
    let waiting_us = since_us.map_or(0, |since_us| now_us - since_us);
    let text = format!("{rows} rows are not sealed yet, the first of them for {}", span(waiting_us.max(0)));
    let tail = if waiting_us > UNSEALED_US_MAX {
        let advice = "a running server seals within a second: start one, or look in its log for why it cannot";
        Finding::warning("audit", text, advice)
    } else {
        Finding::ok("audit", text)
    };
    let backup = match inspection::last_backup_us(conn, sealed_seq)? {
        None => Finding::ok("backup", "the audit knows of none by `idi-match backup`"),
        Some(at_us) => {
            let text = format!("the last one by `idi-match backup` is {} old", span((now_us - at_us).max(0)));
            if now_us - at_us > BACKUP_AGE_US_MAX {
                Finding::warning("backup", text, "write one, and see why the one that was planned was not written")
            } else {
                Finding::ok("backup", text)
            }
        }
    };
    Ok(vec![tail, backup])
}

/// What another version of the program or of the model has left.
fn versions(conn: &mut Connection, config: &Config, rules: Option<&Rules>) -> Result<Vec<Finding>, StoreError> {
    let Some(rules) = rules else { return Ok(Vec::new()) };
    let tally = inspection::tally(conn, NORMALISER_VERSION, rules.model.version())?;
    let mut findings = vec![Finding::ok("index", format!("{} records", tally.records))];
    if tally.of_other_normaliser > 0 {
        let text = format!("{} records were normalised by another version", tally.of_other_normaliser);
        let advice = "start this version: it makes them again; instances of several versions should not run for long";
        findings.push(Finding::warning("index", text, advice));
    }
    if tally.of_other_model > 0 {
        let text = format!("{} records were put into identities by another model", tally.of_other_model);
        let advice = "idi-match partition says what this model would change, partition --apply does it";
        findings.push(Finding::warning("index", text, advice));
    }
    if config.matching.index == IndexPlace::Database {
        findings.push(block_keys(conn)?);
    }
    Ok(findings)
}

/// How far the stored block keys are behind the change log.
fn block_keys(conn: &mut Connection) -> Result<Finding, StoreError> {
    let last = change::last_seq(conn)?;
    let again = "start this version: it fills them at its start";
    Ok(match block_key::find_state(conn)? {
        None => Finding::warning("index", "the database has no block keys yet", again),
        Some(state) if state.derivation != DERIVATION => {
            Finding::warning("index", "the block keys are those of another version", again)
        }
        Some(state) if state.filled_to.is_some() => {
            Finding::warning("index", "filling the block keys was cut off", again)
        }
        Some(state) => {
            let lag = last.saturating_sub(state.seq);
            let text = format!("the block keys lack {lag} changes of {last}");
            if lag > BLOCK_LAG_MAX { Finding::warning("index", text, again) } else { Finding::ok("index", text) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Severity;

    #[test]
    fn clocks_are_compared_within_the_time_that_asking_took() {
        let second = SECOND_US;
        let table = [
            (10 * second, 10 * second, 12 * second, Severity::Ok),
            (12 * second, 10 * second, 12 * second, Severity::Ok),
            (13 * second, 10 * second, 12 * second, Severity::Ok),
            (14 * second, 10 * second, 12 * second, Severity::Warning),
            (8 * second, 10 * second, 12 * second, Severity::Warning),
            (80 * second, 10 * second, 12 * second, Severity::Error),
        ];
        for (database_us, before_us, after_us, expected) in table {
            let finding = skew(database_us, before_us, after_us);
            assert_eq!(finding.severity, expected, "{database_us} {}", finding.text);
        }
    }
}
