//! `audit verify` and `audit export`: what was changed past the program is found, and an outsider can check what leaves.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::database::Database;
use crate::migrating::send;
use crate::people::{Folder, patient};
use crate::program::{Ended, REPOSITORY, Server, clean, finish, run, wait_for};

on_both_databases! {
    a_whole_chain_is_told_from_every_change_of_it,
    what_is_removed_from_the_end_is_seen_by_an_anchor,
    an_export_is_checked_without_this_program,
    an_export_has_the_rows_of_a_time_and_replaces_nothing,
    a_restored_audit_is_the_same_chain,
}

fn on(database: &Database, arguments: &[&str]) -> Ended {
    run(arguments.iter().chain(&["--database-url", &database.url()]))
}

fn verify(database: &Database, arguments: &[&str], code: i32) -> Value {
    on(database, &[&["audit", "verify", "--json"], arguments].concat()).json(code)
}

const UNSEALED: &str = "SELECT COUNT(*) FROM audit WHERE seq > (SELECT COALESCE(MAX(last_seq), 0) FROM audit_seal)";

/// Some requests in several seals.
fn write_audit(database: &Database) {
    let server = Server::start(&database.url(), &[]);
    for number in 0..3 {
        let id = format!("p{number}");
        assert_eq!(send(&server.address, "PUT", &format!("Patient/{id}"), Some(&patient(&id, number))).0, 201);
        assert_eq!(send(&server.address, "GET", &format!("Patient/{id}"), None).0, 200);
        assert_eq!(send(&server.address, "GET", "Patient/nobody", None).0, 404);
        wait_for("that all is sealed", || (database.find_number(UNSEALED)? == 0).then_some(()));
    }
    let mut server = server;
    assert!(server.running.stop().success());
}

/// A change, what takes it back, and the flaw that is found.
fn changes(database: &Database) -> Vec<(&'static str, String, String, &'static str)> {
    let overriding = match database {
        Database::Sqlite(_) => "",
        Database::Postgres(_) => "OVERRIDING SYSTEM VALUE",
    };
    let put_back = format!("INSERT INTO audit {overriding} SELECT * FROM kept; DROP TABLE kept");
    let set = |column: &str, to: &str, back: &str| {
        let sql = |value: &str| format!("UPDATE audit SET {column} = {value} WHERE seq = 4");
        (sql(to), sql(back))
    };
    let (caller, caller_back) = set("caller", "'nobody'", "'open'");
    let (time, time_back) = set("at_us", "at_us + 1", "at_us - 1");
    let (detail, detail_back) = set("detail", "detail || ' '", "TRIM(detail)");
    let (kind, kind_back) = set("resource_type", "NULL", "'Patient'");
    let of_seal = |column: &str, to: &str, back: &str| {
        let sql = |value: &str| format!("UPDATE audit_seal SET {column} = {value} WHERE number = 2");
        (sql(to), sql(back))
    };
    let (count, count_back) = of_seal("row_count", "row_count + 1", "row_count - 1");
    let (sealed, sealed_back) = of_seal("sealed_us", "sealed_us + 1", "sealed_us - 1");
    let (late, late_back) = of_seal("late", "'1'", "''");
    vec![
        ("another caller", caller, caller_back, "rows-changed"),
        ("another time", time, time_back, "rows-changed"),
        ("a space in the detail", detail, detail_back, "rows-changed"),
        ("without its type", kind, kind_back, "rows-changed"),
        (
            "a row less",
            "CREATE TABLE kept AS SELECT * FROM audit WHERE seq = 4; DELETE FROM audit WHERE seq = 4".to_owned(),
            put_back,
            "rows-removed",
        ),
        ("another count", count, count_back, "seal-changed"),
        ("another time of sealing", sealed, sealed_back, "seal-changed"),
        ("a row twice", late, late_back, "seal-changed"),
        (
            "a seal less",
            "CREATE TABLE kept AS SELECT * FROM audit_seal WHERE number = 1; DELETE FROM audit_seal WHERE number = 1"
                .to_owned(),
            "INSERT INTO audit_seal SELECT * FROM kept; DROP TABLE kept".to_owned(),
            "seals-missing",
        ),
    ]
}

fn a_whole_chain_is_told_from_every_change_of_it(database: &Database) {
    write_audit(database);
    let whole = verify(database, &[], 0);
    assert_eq!(whole["whole"]["rows"], database.number("SELECT COUNT(*) FROM audit"));
    assert!(whole["whole"]["seals"].as_i64().unwrap() >= 3, "{whole}");
    for (what, change, back, flaw) in changes(database) {
        database.execute(&change);
        let found = verify(database, &[], 1);
        assert_eq!((&found["broken"]["flaw"], &found["whole"]), (&json!(flaw), &Value::Null), "{what}");
        let said = on(database, &["audit", "verify"]).with_code(1);
        assert!(said.contains(&format!("broken at seal {}", found["broken"]["seal"])), "{what}: {said}");
        database.execute(&back);
        assert_eq!(verify(database, &[], 0)["whole"], whole["whole"], "{what} was taken back");
    }
    let said = on(database, &["audit", "verify"]).with_code(0);
    assert!(said.contains("whole: ") && said.contains("not sealed yet: 0 rows"), "{said}");
    let folder = Folder::new();
    let key = folder.write("key", "a secret\n");
    assert_eq!(verify(database, &["--key-file", &key], 1)["broken"]["flaw"], "without-key");
    on(database, &["audit", "verify", "--anchor", "x"]).with_code(2);
}

fn what_is_removed_from_the_end_is_seen_by_an_anchor(database: &Database) {
    write_audit(database);
    let whole = verify(database, &[], 0)["whole"].clone();
    let anchor = format!("{}:{}", whole["seals"], whole["digest"].as_str().unwrap());
    verify(database, &["--anchor", &anchor], 0);
    database.execute(
        "DELETE FROM audit WHERE seq > (SELECT MAX(last_seq) FROM audit_seal WHERE number < (SELECT MAX(number) FROM audit_seal))",
    );
    database.execute("DELETE FROM audit_seal WHERE number = (SELECT MAX(number) FROM audit_seal)");
    assert_eq!(verify(database, &[], 0)["unsealed"]["rows"], 0, "the chain by itself does not tell");
    assert_eq!(verify(database, &["--anchor", &anchor], 1)["broken"]["flaw"], "anchor-missed");
}

fn lines(folder: &Path, name: &str) -> Vec<String> {
    std::fs::read_to_string(folder.join(name)).unwrap().lines().map(str::to_owned).collect()
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn an_export_is_checked_without_this_program(database: &Database) {
    write_audit(database);
    let folder = Folder::new();
    let directory = folder.text("audit");
    let summary = on(database, &["audit", "export", &directory, "--json"]).json(0);
    let directory = folder.file("audit");
    let (rows, events) = (lines(&directory, "rows.ndjson"), lines(&directory, "events.ndjson"));
    assert_eq!((rows.len(), events.len()), (summary["rows"].as_u64().unwrap() as usize, rows.len()));
    let mut rest = rows.iter();
    let mut previous = "0".repeat(64);
    for line in lines(&directory, "seals.ndjson") {
        let seal: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(seal["previous"], previous, "{seal}");
        let count = seal["row_count"].as_u64().unwrap() as usize;
        let hashed = rest.by_ref().take(count).fold(String::new(), |text, row| text + row + "\n");
        assert_eq!(seal["rows_sha256"], sha256(&hashed), "{seal}");
        seal["digest"].as_str().unwrap().clone_into(&mut previous);
    }
    assert_eq!(rest.count() as u64, summary["unsealed"].as_u64().unwrap());
    for (row, event) in rows.iter().zip(&events) {
        let (row, event): (Value, Value) = (serde_json::from_str(row).unwrap(), serde_json::from_str(event).unwrap());
        assert_eq!((&event["resourceType"], event["id"].as_str()), (&json!("AuditEvent"), Some(&*row[0].to_string())));
    }
    let exports = "SELECT COUNT(*) FROM audit WHERE action = 'audit-export'";
    assert_eq!(database.number(exports), 1, "an export is audited itself");
    check_by_the_script_of_the_page(&folder);
}

/// The script of docs/audit.md, which shares no code with this program.
fn check_by_the_script_of_the_page(folder: &Folder) {
    let page = std::fs::read_to_string(Path::new(REPOSITORY).join("docs/audit.md")).unwrap();
    let script = page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the script");
    let script = folder.write("verify.py", script);
    let check = || finish(clean(Command::new("python3")).args([&script, &folder.text("audit")]));
    let good = check();
    assert!(good.code == 0 && good.out.starts_with("whole"), "{good:?}");
    let rows = folder.file("audit").join("rows.ndjson");
    let text = std::fs::read_to_string(&rows).unwrap();
    std::fs::write(&rows, text.replacen("\"open\"", "\"mine\"", 1)).unwrap();
    let bad = check();
    assert!(bad.code == 1 && bad.out.contains("seal 1"), "{bad:?}");
}

fn an_export_has_the_rows_of_a_time_and_replaces_nothing(database: &Database) {
    write_audit(database);
    let folder = Folder::new();
    let export = |name: &str, arguments: &[&str]| {
        let directory = folder.text(name);
        on(database, &[&["audit", "export", &directory, "--json"], arguments].concat())
    };
    let nothing = export("past", &["--until", "2020"]).json(0);
    assert_eq!((&nothing["rows"], &nothing["seals"]), (&json!(0), &json!(0)));
    let all = export("all", &["--since", "2020-01-01"]).json(0);
    assert!(all["rows"].as_i64().unwrap() >= 9 && all["seals"].as_i64().unwrap() >= 3, "{all}");
    let taken = export("all", &[]);
    assert!(taken.code == 3 && taken.err.contains("replaces nothing"), "{taken:?}");
    export("never", &["--since", "yesterday"]).with_code(2);
    assert!(!folder.file("never").exists() && !folder.file("never.partial").exists());
}

fn a_restored_audit_is_the_same_chain(database: &Database) {
    write_audit(database);
    let folder = Folder::new();
    let file = folder.text("people.backup");
    let whole = verify(database, &[], 0)["whole"].clone();
    on(database, &["backup", &file]).with_code(0);
    let other = match database {
        Database::Sqlite(_) => Database::postgres(),
        Database::Postgres(_) => Database::sqlite(),
    };
    on(&other, &["restore", &file]).with_code(0);
    assert_eq!(verify(&other, &[], 0)["whole"], whole);
    // It goes on where it was, and what rows are about is known.
    let mut server = Server::start(&other.url(), &[]);
    let found = send(&server.address, "GET", "Patient/p1/$who-looked", None).1;
    assert_eq!(found["total"], 2, "one read, and the backup: {found}");
    wait_for("that all is sealed", || (other.find_number(UNSEALED)? == 0).then_some(()));
    assert!(server.running.stop().success());
    let after = verify(&other, &[], 0);
    assert!(after["whole"]["seals"].as_i64() > whole["seals"].as_i64(), "{after}");
}
