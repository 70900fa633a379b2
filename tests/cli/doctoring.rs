//! `doctor` and `health`: what is well, what is not and what is said of it, with the certificates of a test community.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::database::Database;
use crate::https::{for_this_machine, pem};
use crate::people::{Folder, patient};
use crate::pki::{Authority, Kind, Leaf};
use crate::program::{Ended, Server, command, finish, run};

on_both_databases! {
    what_is_sound_is_found_sound_and_stays_as_it_is,
    each_flaw_of_a_community_is_named_with_what_to_do,
    keys_that_do_not_fit_what_they_sealed_are_errors,
    what_another_version_has_left_is_a_warning,
    rows_that_nobody_seals_and_old_backups_are_warnings,
    a_database_of_another_schema_is_told_apart_from_none,
}

const BASE: &str = "https://fhir.example.org/fhir";
const FIRST_KEY: &str = "0708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223242526";
const SECOND_KEY: &str = "1708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223242526";

/// A configuration that a server could start with.
pub struct Installation {
    pub folder: Folder,
    root: Authority,
    leaf: Leaf,
    database_url: String,
}

impl Installation {
    pub fn new(database_url: &str) -> Self {
        let root = Authority::root("Community", Kind::P256);
        let leaf = root.leaf(&[BASE], Kind::Rsa);
        let installation = Self { folder: Folder::new(), root, leaf, database_url: database_url.to_owned() };
        installation.write("ca.pem", pem(&installation.root.der));
        installation.write(
            "ca.crl",
            installation.root.crl_with(&[], |list| {
                list.this_update = OffsetDateTime::now_utc() - Duration::HOUR;
                list.next_update = OffsetDateTime::now_utc() + Duration::DAY;
            }),
        );
        installation.write("server.pem", pem(&installation.leaf.der));
        installation.secret("server.key", installation.leaf.key_pem());
        installation.secret("keys", FIRST_KEY);
        installation.configure("");
        installation
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        self.folder.write(name, text);
    }

    fn secret(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.folder.write(name, text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o400)).unwrap();
    }

    /// The configuration, with further lines for `[server]`.
    fn configure(&self, server: &str) {
        let file = |name: &str| self.folder.text(name);
        let (ca, crl, cert, key, keys) =
            (file("ca.pem"), file("ca.crl"), file("server.pem"), file("server.key"), file("keys"));
        let text = format!(
            "[server]\nbase_url = '{BASE}'\n{server}\n[auth]\nkey_file = '{keys}'\n\
             [[communities]]\nname = 'house'\nanchors = ['{ca}']\ncrls = ['{crl}']\nserver_cert = '{cert}'\n\
             server_key = '{key}'\npurposes = ['TREAT']\nscopes = ['system/Patient.rs']\n"
        );
        self.write("idi-match.toml", text);
    }

    fn doctor(&self, options: &[&str]) -> Ended {
        let file = self.folder.text("idi-match.toml");
        run(["doctor", "--config", &file, "--database-url", &self.database_url].iter().chain(options))
    }

    /// Findings that are not well: severity, area, text.
    #[track_caller]
    fn findings(&self, code: i32) -> Vec<(String, String, String)> {
        flaws(&self.doctor(&["--json"]).json(code))
    }

    /// Lets a server of these keys run on the database for a moment.
    fn serve_once(&self, patients: u32) {
        let keys = self.folder.text("keys");
        let mut server = Server::start(&self.database_url, &["--auth-key-file", &keys]);
        for number in 0..patients {
            let id = format!("p{number}");
            assert_eq!(server.ask("PUT", &format!("Patient/{id}"), patient(&id, number as usize).to_string()).0, 201);
        }
        assert!(server.running.stop().success());
    }
}

fn flaws(report: &Value) -> Vec<(String, String, String)> {
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] != "ok");
    findings
        .inspect(|finding| assert!(finding["advice"].is_string(), "what to do is missing: {finding}"))
        .map(|finding| (text(finding, "severity"), text(finding, "area"), text(finding, "text")))
        .collect()
}

/// The only flaw, of this severity and with these words.
#[track_caller]
fn check_one(found: &[(String, String, String)], severity: &str, words: &str) {
    let is_it = |(found, _, text): &&(String, String, String)| found == severity && text.contains(words);
    assert!(found.len() == 1 && found.iter().all(|one| is_it(&one)), "{severity} {words}: {found:#?}");
}

fn what_is_sound_is_found_sound_and_stays_as_it_is(database: &Database) {
    let installation = Installation::new(&database.url());
    installation.serve_once(2);
    let rows = || database.number("SELECT COUNT(*) FROM audit");
    let before = rows();
    let report = installation.doctor(&["--json"]).json(0);
    assert_eq!((&report["warnings"], &report["errors"], flaws(&report)), (&json!(0), &json!(0), vec![]), "{report:#}");
    let areas: Vec<&str> =
        report["findings"].as_array().unwrap().iter().map(|one| one["area"].as_str().unwrap()).collect();
    for area in ["configuration", "transport", "rules", "communities", "database", "keys", "audit", "backup", "index"] {
        assert!(areas.contains(&area), "{area} is missing in {areas:?}");
    }
    assert_eq!(areas.contains(&"clock"), matches!(database, Database::Postgres(_)), "{areas:?}");
    let text = installation.doctor(&[]).with_code(0);
    for words in [
        "1 signing keys are sealed and open with auth.key_file",
        "2 records",
        "it takes writes",
        "0 warnings, 0 errors",
    ] {
        assert!(text.contains(words), "{words} is missing in:\n{text}");
    }
    assert!(!text.contains(FIRST_KEY), "{text}");
    assert_eq!(rows(), before, "looking leaves nothing behind");
}

fn each_flaw_of_a_community_is_named_with_what_to_do(database: &Database) {
    let installation = Installation::new(&database.url());
    installation.serve_once(0);
    let now = OffsetDateTime::now_utc();
    let of_days = |days: i64| {
        let leaf = installation.root.leaf_with(&[BASE], &installation.leaf.key, |params| {
            params.not_after = now + Duration::days(days) + Duration::HOUR;
        });
        pem(&leaf.der)
    };
    let list = |from: i64, to: i64| {
        installation.root.crl_with(&[], |list| {
            (list.this_update, list.next_update) = (now + Duration::days(from), now + Duration::days(to));
        })
    };
    let other = Authority::root("Other", Kind::P256);
    let table: [(&str, Vec<u8>, &str, &str); 9] = [
        ("server.pem", of_days(-3).into(), "error", "the server's certificate expired on"),
        ("server.pem", of_days(29).into(), "warning", "the server's certificate expires in 29 days"),
        (
            "server.pem",
            pem(&installation.root.leaf(&["https://x.example/fhir"], Kind::Rsa).der).into(),
            "error",
            "server_key",
        ),
        ("server.key", Kind::Rsa.generate().serialize_pem().into(), "error", "is not the key of server_cert"),
        ("server.key", b"no key".to_vec(), "error", "server_key"),
        ("ca.crl", list(-30, -1), "error", "it is out of date"),
        ("ca.crl", list(-100, 2), "warning", "revocation list 0 was issued 100 days ago"),
        ("ca.crl", other.crl(&[]), "error", "signed by none of the anchors"),
        ("ca.pem", b"".to_vec(), "error", "anchors"),
    ];
    for (name, contents, severity, words) in table {
        let kept = std::fs::read(installation.folder.file(name)).unwrap();
        let put = |contents: &[u8]| {
            std::fs::remove_file(installation.folder.file(name)).unwrap();
            installation.secret(name, contents);
        };
        put(&contents);
        check_one(&installation.findings(if severity == "error" { 2 } else { 1 }), severity, words);
        put(&kept);
    }
    std::fs::set_permissions(installation.folder.file("keys"), std::fs::Permissions::from_mode(0o644)).unwrap();
    check_one(&installation.findings(1), "warning", "every user of this machine may read");
}

fn keys_that_do_not_fit_what_they_sealed_are_errors(database: &Database) {
    let installation = Installation::new(&database.url());
    installation.serve_once(1);
    std::fs::remove_file(installation.folder.file("keys")).unwrap();
    installation.secret("keys", SECOND_KEY);
    let found = installation.findings(2);
    let words = [
        "1 of 1 signing keys are sealed with a key that is not here",
        "the newest seal of the audit was made with a key that is not",
    ];
    assert_eq!(found.len(), words.len(), "{found:#?}");
    for (words, (severity, area, text)) in words.iter().zip(&found) {
        assert!(severity == "error" && area == "keys" && text.contains(words), "{found:#?}");
    }
    std::fs::remove_file(installation.folder.file("keys")).unwrap();
    installation.secret("keys", format!("{SECOND_KEY}\n{FIRST_KEY}\n"));
    let report = installation.doctor(&[]).with_code(0);
    assert!(report.contains("1 with one that is no longer the first"), "{report}");
}

fn what_another_version_has_left_is_a_warning(database: &Database) {
    let installation = Installation::new(&database.url());
    installation.serve_once(2);
    database.execute("UPDATE record SET normaliser = 1 WHERE id = 'p0'");
    check_one(&installation.findings(1), "warning", "1 records were normalised by another version");
    database.execute("UPDATE record SET normaliser = (SELECT normaliser FROM record WHERE id = 'p1')");
    database.execute("UPDATE record SET model_version = 'of old'");
    check_one(&installation.findings(1), "warning", "2 records were put into identities by another model");
    database.execute("UPDATE record SET model_version = 'of old' WHERE id = 'nobody'");
    let report = installation.doctor(&["--match-index", "database", "--json"]).json(1);
    let found = flaws(&report);
    assert!(found.iter().any(|(.., text)| text.contains("no block keys yet")), "{found:#?}");
}

fn rows_that_nobody_seals_and_old_backups_are_warnings(database: &Database) {
    let installation = Installation::new(&database.url());
    installation.serve_once(0);
    run(["backup", &installation.folder.text("backup"), "--database-url", &installation.database_url]).with_code(0);
    let text = installation.doctor(&[]).with_code(0);
    assert!(
        text.contains("1 rows are not sealed yet") && text.contains("the last one by `idi-match backup` is "),
        "{text}"
    );
    // As if the server had stopped long ago.
    database.execute("UPDATE audit SET at_us = at_us - 120000000 WHERE action = 'backup'");
    check_one(&installation.findings(1), "warning", "1 rows are not sealed yet, the first of them for 2 minutes");
    installation.serve_once(0);
    assert_eq!(installation.findings(0), vec![]);
    database.execute("UPDATE audit SET at_us = at_us - 864000000000 WHERE action = 'backup'");
    check_one(&installation.findings(1), "warning", "the last one by `idi-match backup` is 10 days old");
}

fn a_database_of_another_schema_is_told_apart_from_none(database: &Database) {
    let installation = Installation::new(&database.url());
    check_one(&installation.findings(1), "warning", "there is no database of idi-match");
    if let Some(path) = database.url().strip_prefix("sqlite:") {
        assert!(!std::path::Path::new(path).exists(), "looking makes no database");
    }
    database.write_released("0001_initial");
    check_one(&installation.findings(1), "warning", "the database schema is older than this program");
    installation.serve_once(0);
    database.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')");
    check_one(&installation.findings(2), "error", "the database schema is newer than this program (migration 9999)");
}

#[test]
fn a_database_that_does_not_answer_is_an_error_and_its_password_is_not_told() {
    let installation = Installation::new("postgres://user:hunter2@127.0.0.1:1/people");
    let ended = installation.doctor(&[]);
    assert!(ended.code == 2 && ended.out.contains("postgres://user@127.0.0.1:1/people"), "{}", ended.out);
    assert!(!ended.out.contains("hunter2") && !ended.err.contains("hunter2"), "{}{}", ended.out, ended.err);
    let folder = Folder::new();
    let damaged = folder.write("people.sqlite", "this was never a database, whatever its name says: ".repeat(99));
    let elsewhere = folder.text("missing/people.sqlite");
    for path in [damaged, elsewhere] {
        let installation = Installation::new(&format!("sqlite:{path}"));
        let found = installation.findings(2);
        assert!(found.iter().any(|(severity, area, _)| severity == "error" && area == "database"), "{found:#?}");
    }
}

#[test]
fn what_is_wrong_with_the_configuration_and_the_transport_is_said_without_values() {
    let database = Database::sqlite();
    let installation = Installation::new(&database.url());
    installation.serve_once(0);
    let file = installation.folder.text("idi-match.toml");
    let mut with = command();
    with.args(["doctor", "--config", &file, "--database-url", &database.url()]);
    with.env("IDI_MATCH_LIMITS_BODY_BYTES", "swordfish");
    let ended = finish(&mut with);
    assert!(ended.code == 1 && ended.out.contains("IDI_MATCH_LIMITS_BODY_BYTES sets no option"), "{}", ended.out);
    assert!(!ended.out.contains("swordfish"), "{}", ended.out);
    for (server, words) in [
        ("listne = '127.0.0.1:1'", "server.listne"),
        ("listen = '0.0.0.0:8080'", "plain http is served on a loopback address only"),
    ] {
        installation.configure(server);
        check_one(&installation.findings(2), "error", words);
    }
    let web = Authority::root("Web", Kind::P256);
    let leaf = for_this_machine(&web);
    installation.write("tls.pem", pem(&leaf.der));
    installation.secret("tls.key", leaf.key_pem());
    let (cert, key) = (installation.folder.text("tls.pem"), installation.folder.text("tls.key"));
    installation.configure(&format!("tls_cert = '{cert}'\ntls_key = '{key}'"));
    check_one(&installation.findings(2), "error", "server.tls_cert is not for fhir.example.org");
    installation.configure(&format!("tls_cert = '{cert}'\ntls_key = '{}'", installation.folder.text("server.key")));
    let found = installation.findings(2);
    assert!(found.iter().any(|(.., text)| text.contains("server.tls_key")), "{found:#?}");
}

#[test]
fn health_asks_the_server_of_the_configuration_by_http_and_https() {
    let health = |address: &str, options: &[&str]| run([&["health", "--listen", address], options].concat());
    let database = Database::sqlite();
    let mut server = Server::start(&database.url(), &[]);
    let address = server.address.clone();
    health(&address, &[]).with_code(0);
    health(&address, &["--ready"]).with_code(0);
    assert!(server.running.stop().success());
    let ended = health(&address, &[]);
    assert!(ended.code == 1 && !ended.err.is_empty(), "{}", ended.err);
    let web = Authority::root("Web", Kind::P256);
    let (leaf, other) = (for_this_machine(&web), for_this_machine(&web));
    let folder = Folder::new();
    let (cert, key) = (folder.write("tls.pem", pem(&leaf.der)), folder.write("tls.key", leaf.key_pem()));
    let (other, anchors) = (folder.write("other.pem", pem(&other.der)), folder.write("web.pem", pem(&web.der)));
    let tls = ["--tls-cert", &cert, "--tls-key", &key];
    for further in [&[][..], &["--tls-client-anchors", &anchors, "--tls-client-certificates", "required"]] {
        let database = Database::sqlite();
        let server = Server::start(&database.url(), &[&tls[..], further].concat());
        health(&server.address, &[&tls[..], further].concat()).with_code(0);
        let ended = health(&server.address, &["--tls-cert", &other, "--tls-key", &key]);
        assert!(ended.code == 1, "another certificate: {}", ended.err);
    }
}
