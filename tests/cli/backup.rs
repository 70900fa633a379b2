//! `backup`, `restore`, `verify-backup`: what comes back is what was there, on either database, and nothing less.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::database::Database;
use crate::migrating::{check_people, found, send};
use crate::people::{Folder, ndjson, patient};
use crate::program::{Ended, Running, Server, Stream, command, repository_file, run, wait_for};

on_both_databases! {
    everything_comes_back_on_either_database,
    a_restored_database_goes_on_where_it_was,
    every_table_is_in_a_backup_or_left_out_for_a_reason,
    a_backup_under_load_is_of_one_moment,
    a_restore_that_is_killed_leaves_nothing_and_starts_again,
    a_database_that_is_not_empty_is_left_alone,
    a_backup_of_an_earlier_format_is_restored,
    a_damaged_backup_restores_nothing,
}

const FIRST: &str = "0001_initial";

fn on(database: &Database, arguments: &[&str]) -> Ended {
    run(arguments.iter().chain(&["--database-url", &database.url()]))
}

fn other_kind(database: &Database) -> Database {
    match database {
        Database::Sqlite(_) => Database::postgres(),
        Database::Postgres(_) => Database::sqlite(),
    }
}

fn same_kind(database: &Database) -> Database {
    match database {
        Database::Sqlite(_) => Database::sqlite(),
        Database::Postgres(_) => Database::postgres(),
    }
}

/// The first release's people, in the newest schema.
fn write_people(database: &Database) {
    database.write_released(FIRST);
    let mut server = Server::start(&database.url(), &[]);
    assert!(server.running.stop().success());
}

/// The rows of a backup without the audit of backups, which each backup adds to.
fn rows(backup: &str) -> Vec<String> {
    let lines: Vec<&str> = backup.lines().collect();
    let rows = lines[1..lines.len() - 1].iter().filter(|line| !line.contains(r#""action":"backup""#));
    rows.map(|line| (*line).to_owned()).collect()
}

/// What is searched by, and some of the rest past the program.
fn contents(database: &Database) -> Vec<String> {
    [
        "SELECT 'string ' || parameter || ' ' || value || ' ' || number || ' ' || exact AS value FROM search_string",
        "SELECT 'token ' || parameter || ' ' || value || ' ' || system || ' ' || number AS value FROM search_token",
        "SELECT 'date ' || parameter || ' ' || lo_us || ' ' || hi_us || ' ' || number AS value FROM search_date",
        "SELECT 'resource ' || number || ' ' || resource_type || ' ' || id || ' ' || version || ' ' || updated_us || \
         ' ' || search_version || ' ' || body AS value FROM resource",
        "SELECT 'older ' || resource_type || ' ' || id || ' ' || version || ' ' || updated_us || body AS value \
         FROM resource_history",
        "SELECT 'record ' || id || ' ' || identity_id || ' ' || coalesce(replaced_by, '') AS value FROM record",
        "SELECT 'review ' || record_id || ' ' || identity_id || ' ' || created_us AS value FROM review",
        "SELECT 'change ' || seq || ' ' || record_id AS value FROM change",
        "SELECT 'audit ' || seq || ' ' || request_id || ' ' || detail AS value FROM audit WHERE action <> 'backup'",
        "SELECT 'load ' || key || ' ' || lines || ' ' || loaded AS value FROM load_progress",
    ]
    .into_iter()
    .flat_map(|sql| {
        let mut texts = database.texts(sql);
        assert!(!texts.is_empty(), "nothing to compare: {sql}");
        texts.sort();
        texts
    })
    .collect()
}

fn everything_comes_back_on_either_database(database: &Database) {
    let folder = Folder::new();
    write_people(database);
    let (second, third) = (other_kind(database), same_kind(database));
    let mut backups = Vec::new();
    for (number, (from, to)) in [(database, &second), (&second, &third)].into_iter().enumerate() {
        let file = folder.text(&format!("backup-{number}"));
        let written = on(from, &["backup", &file, "--json"]).json(0);
        assert_eq!(run(["verify-backup", &file, "--json"]).json(0)["summary"], written);
        let restored = on(to, &["restore", &file, "--json"]).json(0);
        assert_eq!((&restored["summary"], &restored["problems_total"]), (&written, &json!(0)));
        assert_eq!(contents(from), contents(to));
        backups.push(folder.read(&format!("backup-{number}")));
    }
    assert_eq!(rows(&backups[0]), rows(&backups[1]));
    let server = Server::start(&third.url(), &[]);
    check_people(&server);
}

fn a_restored_database_goes_on_where_it_was(database: &Database) {
    let folder = Folder::new();
    let (source, file) = (other_kind(database), folder.text("backup"));
    write_people(&source);
    on(&source, &["backup", &file]).with_code(0);
    on(database, &["restore", &file]).with_code(0);
    let audited = database.number("SELECT MAX(seq) FROM audit");
    let number = database.number("SELECT MAX(number) FROM resource");
    let changed = database.number("SELECT MAX(seq) FROM change");
    let server = Server::start(&database.url(), &[]);
    assert_eq!(send(&server.address, "PUT", "Patient/new", Some(&patient("new", 7))).0, 201);
    assert_eq!(
        send(&server.address, "PUT", "Patient/person-1", Some(&patient("person-1", 8))).1["meta"]["versionId"],
        "4"
    );
    assert_eq!(found(&server, "Patient?family=abernathy").len(), 4);
    assert_eq!(database.number("SELECT number FROM resource WHERE id = 'new'"), number + 1);
    assert_eq!(database.number("SELECT MIN(seq) FROM change WHERE record_id = 'new'"), changed + 1);
    assert!(database.number("SELECT MAX(seq) FROM audit") > audited);
    drop(server);
    let again = folder.text("again");
    on(database, &["backup", &again]).with_code(0);
    run(["verify-backup", &again]).with_code(0);
}

/// Made again from the rest, or of this server alone.
const LEFT_OUT: [(&str, &str); 21] = [
    ("search_string", "made from the documents"),
    ("search_token", "made from the documents"),
    ("search_date", "made from the documents"),
    ("audit_subject", "made from the audit rows"),
    ("secret", "a server makes its own"),
    ("replay", "of the next minutes"),
    ("budget", "behind a secret that does not leave"),
    ("access_token", "no token comes back that was revoked"),
    ("authorization_code", "of the next minute"),
    ("token_family", "no token comes back that was revoked"),
    ("refresh_token", "no token comes back that was revoked"),
    ("consent", "asked for again"),
    ("restricted_version", "made from the documents"),
    ("session", "nobody is signed in to a restored store"),
    ("sign_in_attempt", "counted under a key that does not leave"),
    ("export_job", "work in progress"),
    ("export_part", "work in progress"),
    ("block_key", "made from the records"),
    ("block_record", "made from the records"),
    ("block_state", "made from the records"),
    ("__diesel_schema_migrations", "of the database itself"),
];

fn every_table_is_in_a_backup_or_left_out_for_a_reason(database: &Database) {
    let folder = Folder::new();
    write_people(database);
    let canary = "zq-canary-of-a-secret";
    let value = match database {
        Database::Sqlite(_) => format!("CAST('{canary}' AS BLOB)"),
        Database::Postgres(_) => format!("'{canary}'::bytea"),
    };
    database.execute(&format!("INSERT INTO secret (name, value, created_us) VALUES ('canary', {value}, 1)"));
    // What a steward leaves behind.
    database.execute(
        "INSERT INTO steward_decision (id, kind, reason, decided_by, decided_us, detail) \
         VALUES ('d1', 'unlink', 'two people', 'open', 1, '{}'); \
         INSERT INTO record_constraint (record_a, record_b, kind, decision_id, created_us) \
         VALUES ('person-0', 'person-1', 'cannot-link', 'd1', 1); \
         INSERT INTO identity_history (seq, record_id, identity_id, model_version, assigned_us, decision_id, until_us) \
         VALUES (1, 'person-0', 'i1', '1', 1, 'd1', 2); \
         INSERT INTO merged_identity (id, survivor_id, merged_us) VALUES ('i1', 'i2', 2); \
         INSERT INTO client (client_id, kind, state, community, issuer, name, grant_types, scope, registration, \
         certifications, created_us, updated_us) \
         VALUES ('c1', 'udap', 'active', 'a', 'urn:x:y', 'A', 'client_credentials', 's', '{}', '[]', 1, 1); \
         INSERT INTO signing_key (kid, sealed_by, private_key, created_us) VALUES ('k1', 'key-file', 'AAAA', 1); \
         INSERT INTO person_account (account_id, login, kind, state, password_hash, totp_secret, totp_step, level, \
         verified_on, attributes, created_us, updated_us) \
         VALUES ('a1', 'marisol', 'person', 'active', 'h', 'AAAA', 1, 'IDIAL1.8', '2026-01-02', 'AAAA', 1, 1)",
    );
    let tables = match database {
        Database::Sqlite(_) => {
            "SELECT name AS value FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        }
        Database::Postgres(_) => {
            "SELECT CAST(table_name AS TEXT) AS value FROM information_schema.tables WHERE table_schema = 'public'"
        }
    };
    let summary = on(database, &["backup", &folder.text("backup"), "--json"]).json(0);
    for table in database.texts(tables) {
        let is_left_out = LEFT_OUT.iter().any(|(name, _)| *name == table);
        assert_ne!(summary["rows"][&table].is_u64(), is_left_out, "{table}: in a backup, or left out");
        if !is_left_out {
            let rows = database.number(&format!("SELECT COUNT(*) FROM {table}"));
            assert_eq!(summary["rows"][&table], rows, "{table}");
            assert!(rows > 0, "{table} is not tried here");
        }
    }
    let text = folder.read("backup");
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, canary);
    for secret in [canary, encoded.trim_end_matches('='), "canary"] {
        assert!(!text.contains(secret), "the secret is in the backup");
    }
}

const PAIRS: usize = 190;
const BACKUPS_MAX: usize = 100;

/// `load` commits two lines at a time: both or none.
fn a_backup_under_load_is_of_one_moment(database: &Database) {
    let folder = Folder::new();
    let file = folder.write("pairs.ndjson", ndjson("pair-", 0..2 * PAIRS));
    let server = Server::start(&database.url(), &[]);
    let mut load = command();
    load.args(["load", &file, "--limits-load-batch-lines", "2", "--database-url", &database.url()]);
    let mut load = Running::start(load, Stream::Err);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (address, is_done) = (&server.address, &is_done);
            scope.spawn(move || {
                for turn in 0.. {
                    let id = format!("writer-{writer}-{}", turn % 5);
                    let (status, body) =
                        send(address, "PUT", &format!("Patient/{id}"), Some(&patient(&id, 390 - turn % 3)));
                    assert!(status < 300 || status == 503, "{status} {body}");
                    if is_done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        let done = Done(&is_done);
        let mut sizes: Vec<usize> = Vec::new();
        // The writers may keep the load waiting.
        while sizes.len() < 5 || (sizes.first() == sizes.last() && sizes.len() < BACKUPS_MAX) {
            let name = format!("backup-{}", sizes.len());
            let backup = folder.text(&name);
            on(database, &["backup", &backup]).with_code(0);
            run(["verify-backup", &backup]).with_code(0);
            sizes.push(check_pairs(&folder.read(&name)));
        }
        drop(done);
        assert!(load.wait().success());
        assert!(sizes[0] < 2 * PAIRS, "the backups came after the load");
        assert!(sizes.is_sorted() && sizes.first() < sizes.last(), "{sizes:?}");
    });
}

/// Ends the writers, whatever becomes of the test.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Both of a pair are there or none; the progress of the load counts them. Gives their number.
fn check_pairs(backup: &str) -> usize {
    let rows: Vec<Value> = backup.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<usize> =
        rows.iter().filter_map(|row| row["resource"]["id"].as_str()?.strip_prefix("pair-")?.parse().ok()).collect();
    assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>(), "in the order of the file, without a gap");
    assert!(numbers.len().is_multiple_of(2), "half a transaction: {}", numbers.len());
    let lines = rows.iter().find_map(|row| row["load_progress"]["lines"].as_u64()).unwrap_or(0);
    assert_eq!(lines, numbers.len() as u64, "the progress is of the same moment");
    numbers.len()
}

fn a_restore_that_is_killed_leaves_nothing_and_starts_again(database: &Database) {
    let folder = Folder::new();
    let (source, file) = (Database::sqlite(), folder.text("backup"));
    let people = folder.write("people.ndjson", ndjson("p", 0..400));
    on(&source, &["load", &people]).with_code(0);
    on(&source, &["backup", &file]).with_code(0);
    for kill in 0..6 {
        let mut command = command();
        command.args(["restore", &file, "--database-url", &database.url()]);
        let mut running = Running::start(command, Stream::Err);
        std::thread::sleep(Duration::from_millis(30 + 60 * kill));
        running.kill();
        let resources = database.find_number("SELECT COUNT(*) FROM resource").unwrap_or(0);
        if resources > 0 {
            break;
        }
    }
    let is_restored = database.find_number("SELECT COUNT(*) FROM resource").unwrap_or(0) > 0;
    if !is_restored {
        on(database, &["restore", &file]).with_code(0);
    }
    assert_eq!(contents_of_people(&source), contents_of_people(database), "all or nothing");
}

fn contents_of_people(database: &Database) -> Vec<String> {
    ["resource", "record", "identity", "change", "search_string", "audit"]
        .iter()
        .map(|table| {
            let and = if *table == "audit" { " WHERE action <> 'backup'" } else { "" };
            format!("{table} {}", database.number(&format!("SELECT COUNT(*) FROM {table}{and}")))
        })
        .collect()
}

fn a_database_that_is_not_empty_is_left_alone(database: &Database) {
    let folder = Folder::new();
    let (source, file) = (Database::sqlite(), folder.text("backup"));
    let people = folder.write("people.ndjson", ndjson("p", 0..3));
    on(&source, &["load", &people]).with_code(0);
    on(&source, &["backup", &file]).with_code(0);
    let one = folder.write("one.ndjson", ndjson("q", 7..8));
    on(database, &["load", &one]).with_code(0);
    let ended = on(database, &["restore", &file]);
    assert_eq!(ended.code, 3);
    assert!(ended.err.contains("not empty"), "{}", ended.err);
    assert_eq!(database.texts("SELECT id AS value FROM resource"), ["q7"]);
}

/// Of the first release's people; never written again.
fn a_backup_of_an_earlier_format_is_restored(database: &Database) {
    let file = repository_file("tests/fixtures/backup/format-1");
    let report = on(database, &["restore", &file, "--json"]);
    // 1: what a later version finds wrong with the shape of a document does not keep it from coming back.
    assert!(report.code <= 1, "{}", report.err);
    check_people(&Server::start(&database.url(), &[]));
    assert_eq!(database.number("SELECT COUNT(*) FROM review"), 2);
}

fn a_damaged_backup_restores_nothing(database: &Database) {
    let folder = Folder::new();
    drop(folder_source(&folder));
    let good = folder.read("backup").into_bytes();
    // A digit of a version's number, and the last row: the digest is all that tells.
    let at = good.windows(11).position(|bytes| bytes == b"\"version\":1").unwrap() + 10;
    let mut altered = good.clone();
    altered[at] = b'7';
    let last_row = good[..good.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for (name, bytes) in [("altered", &altered[..]), ("cut", &good[..last_row]), ("half", &good[..good.len() / 2])] {
        let ended = on(database, &["restore", &folder.write(name, bytes)]);
        assert_eq!(ended.code, 3, "{name}: {}", ended.err);
        assert_eq!(database.number("SELECT COUNT(*) FROM resource"), 0, "{name}");
        assert_eq!(database.number("SELECT COUNT(*) FROM audit"), 0, "{name}");
    }
    on(database, &["restore", &folder.text("backup")]).with_code(0);
}

/// A source whose backup lies in the folder.
fn folder_source(folder: &Folder) -> Database {
    let source = Database::sqlite();
    write_people(&source);
    on(&source, &["backup", &folder.text("backup")]).with_code(0);
    source
}

#[test]
fn a_file_that_was_altered_anywhere_is_refused() {
    let folder = Folder::new();
    drop(folder_source(&folder));
    let good = folder.read("backup").into_bytes();
    let step = good.len() / 60;
    let positions = (0..good.len()).step_by(step).chain([1, good.len() - 2, good.len() - 1, good.len() - 40]);
    for position in positions {
        let mut bytes = good.clone();
        bytes[position] ^= 1;
        let ended = run(["verify-backup", &folder.write("altered", &bytes)]);
        assert!(matches!(ended.code, 1 | 3), "byte {position}: {} {}", ended.code, ended.out);
    }
    for (what, bytes) in [
        ("a byte more", [&good[..], b"x"].concat()),
        ("a line more", [&good[..], b"\n"].concat()),
        ("twice", [&good[..], &good[..]].concat()),
        ("nothing", Vec::new()),
    ] {
        let ended = run(["verify-backup", &folder.write("altered", &bytes)]);
        assert!(matches!(ended.code, 1 | 3), "{what}: {} {}", ended.code, ended.out);
    }
    run(["verify-backup", &folder.text("backup")]).with_code(0);
}

#[test]
fn a_file_that_was_cut_short_is_refused() {
    let folder = Folder::new();
    drop(folder_source(&folder));
    let good = folder.read("backup").into_bytes();
    let ends: Vec<usize> = good.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    let at_lines = ends[..ends.len() - 1].iter().step_by(9).copied();
    for length in at_lines.chain([1, 100, good.len() / 2, good.len() - 1, ends[ends.len() - 2]]) {
        let ended = run(["verify-backup", &folder.write("cut", &good[..length])]);
        assert!(matches!(ended.code, 1 | 3), "{length} bytes: {} {}", ended.code, ended.out);
        assert!(!ended.out.contains("good"), "{}", ended.out);
    }
}

#[test]
fn a_backup_is_private_whole_and_replaces_nothing() {
    let folder = Folder::new();
    let source = folder_source(&folder);
    assert_eq!(folder.file("backup").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!folder.file("backup.partial").exists());
    let before = folder.read("backup");
    let again = on(&source, &["backup", &folder.text("backup")]);
    assert_eq!(again.code, 3);
    assert!(again.err.contains("is there already"), "{}", again.err);
    assert_eq!(folder.read("backup"), before);
    // What a backup that was cut off has left behind.
    folder.write("next.partial", "x".repeat(before.len() * 2));
    on(&source, &["backup", &folder.text("next")]).with_code(0);
    run(["verify-backup", &folder.text("next")]).with_code(0);
    assert!(!folder.file("next.partial").exists());
    let nowhere = on(&source, &["backup", &folder.text("missing/backup")]);
    assert_eq!(nowhere.code, 3);
    assert!(nowhere.err.contains("missing/backup"), "{}", nowhere.err);
}

#[test]
fn a_backup_that_cannot_be_written_fails() {
    let folder = Folder::new();
    let source = folder_source(&folder);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut backup = command();
    let status =
        backup.args(["backup", "-", "--database-url", &source.url()]).stdout(full).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(3));
}

#[test]
fn a_backup_goes_through_pipes() {
    let folder = Folder::new();
    let (source, target) = (folder_source(&folder), Database::sqlite());
    let mut backup = command();
    let out = backup.args(["backup", "-", "--database-url", &source.url()]).output().unwrap();
    assert!(out.status.success() && String::from_utf8_lossy(&out.stderr).contains("SHA-256"));
    let mut restore = command();
    restore.args(["restore", "-", "--database-url", &target.url()]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut restoring = restore.spawn().unwrap();
    restoring.stdin.take().unwrap().write_all(&out.stdout).unwrap();
    assert!(wait_for("the restore", || restoring.try_wait().unwrap()).success());
    assert_eq!(contents(&source), contents(&target));
}

#[test]
fn what_is_no_backup_of_this_format_is_named() {
    let folder = Folder::new();
    drop(folder_source(&folder));
    let good = folder.read("backup");
    let target = Database::sqlite();
    for (text, word) in [
        ("this is a text\n".to_owned(), "no backup of idi-match"),
        (good.replacen(r#""number":1"#, r#""number":2"#, 1), "a newer idi-match made this backup (format 2)"),
    ] {
        let file = folder.write("other", text);
        for command in ["verify-backup", "restore"] {
            let ended = on(&target, &[command, &file]);
            assert_eq!(ended.code, 3);
            assert!(ended.err.contains(word), "{}", ended.err);
        }
    }
    let schema = good.replacen(r#""schema":"0"#, r#""schema":"9"#, 1);
    let ended = on(&target, &["restore", &folder.write("other", schema)]);
    assert!(ended.code == 3 && ended.err.contains("newer schema"), "{}", ended.err);
    assert_eq!(target.find_number("SELECT COUNT(*) FROM resource"), None, "no database was made");
    let missing = on(&target, &["restore", &folder.text("missing")]);
    assert!(missing.code == 3 && missing.err.contains("missing"), "{}", missing.err);
}
