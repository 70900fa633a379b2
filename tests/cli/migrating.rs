//! Databases of released versions: migrated to the newest schema, also after being killed in the middle, and used; and
//! databases of later versions, which are left alone.

use std::time::Duration;

use serde_json::{Value, json};

use crate::database::Database;
use crate::people::{Folder, ndjson, patient};
use crate::program::{Running, Server, Stream, command, patient_ids, run};

on_both_databases! {
    a_database_of_the_first_release_is_migrated_and_answers,
    a_start_that_is_killed_while_it_migrates_is_made_good_by_the_next,
    every_command_refuses_a_newer_schema_and_changes_nothing,
    a_backup_neither_migrates_nor_creates_a_database,
}

const FIRST: &str = "0001_initial";

pub fn send(address: &str, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
    let url = format!("http://{address}/fhir/{path}");
    let mut response = match (method, body) {
        ("PUT", Some(body)) => agent.put(&url).header("content-type", "application/fhir+json").send(body.to_string()),
        ("DELETE", None) => agent.delete(&url).call(),
        _ => agent.get(&url).call(),
    }
    .expect("an answer");
    let text = response.body_mut().read_to_string().expect("a body");
    (response.status().as_u16(), serde_json::from_str(&text).unwrap_or_default())
}

pub fn found(server: &Server, search: &str) -> Vec<String> {
    let (status, bundle) = send(&server.address, "GET", search, None);
    assert_eq!(status, 200, "{search}: {bundle}");
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let matches = entries.iter().filter(|entry| entry["search"]["mode"] == "match");
    let mut ids: Vec<String> = matches.map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

/// What was written by the first release is read, searched, matched and changed by this one.
pub fn check_people(server: &Server) {
    for (search, expected) in [
        ("Patient?family=abernathy", vec!["person-0", "person-0-clinic"]),
        ("Patient?family=nakamura", vec!["rich"]),
        ("Patient?family=m%C3%BCller", vec!["loaded-4", "person-4"]),
        ("Patient?given=jose", vec!["rich"]),
        ("Patient?identifier=urn:example:card%7Ccard-3", vec!["rich"]),
        ("Patient?identifier=bare", vec!["rich"]),
        ("Patient?birthdate=1974", vec!["loaded-4", "person-4"]),
        ("Patient?family=fitzgerald", vec![]),
    ] {
        assert_eq!(found(server, search), expected, "{search}");
    }
    for (path, status, version) in [
        ("Patient/person-1", 200, "3"),
        ("Patient/person-1/_history/1", 200, "1"),
        ("Patient/person-2/_history/1", 200, "1"),
        ("Patient/person-2/_history/2", 410, ""),
        ("Patient/person-2", 200, "3"),
        ("Patient/person-5", 410, ""),
        ("Organization/closed", 410, ""),
        ("Organization/clinic", 200, "2"),
    ] {
        let (found, body) = send(&server.address, "GET", path, None);
        assert_eq!((found, body["meta"]["versionId"].as_str().unwrap_or_default()), (status, version), "{path}");
    }
    let (_, history) = send(&server.address, "GET", "Patient/person-2/_history", None);
    let methods: Vec<&str> =
        history["entry"].as_array().unwrap().iter().filter_map(|entry| entry["request"]["method"].as_str()).collect();
    assert_eq!(methods, ["PUT", "DELETE", "PUT"], "{history}");
    let (_, rich) = send(&server.address, "GET", "Patient/rich", None);
    assert_eq!(rich["extension"][0]["valueDecimal"].to_string(), "1.8");
    let query = json!({
        "resourceType": "Patient",
        "meta": {"profile": ["http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L0"]},
        "identifier": [{
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
            "system": "https://clinic.example/records",
            "value": "MR1234568",
        }],
        "name": [{"family": "Abernathy", "given": ["Amelia"]}],
        "birthDate": "1931-02-03",
        "address": [{"line": ["112 Dombrowski Street"], "city": "Albany", "state": "NY", "postalCode": "12211"}],
    });
    let (status, answer) = server.idi_match(&query);
    assert_eq!(status, 200, "{answer}");
    let mut ids = patient_ids(&answer);
    ids.sort();
    assert_eq!(ids, ["person-0", "person-0-clinic"], "one person, two records");
}

/// As the release was configured: else the responder gets another version.
const RESPONDER: [&str; 4] =
    ["--base-url", "https://idi-match.example/fhir", "--organization-name", "Example responder"];

fn a_database_of_the_first_release_is_migrated_and_answers(database: &Database) {
    database.write_released(FIRST);
    let history = "SELECT COUNT(*) FROM resource_history";
    let (records, older) = (database.number("SELECT COUNT(*) FROM record"), database.number(history));
    for _ in 0..2 {
        let mut server = Server::start(&database.url(), &RESPONDER);
        check_people(&server);
        assert!(server.running.stop().success());
    }
    assert_eq!(database.number("SELECT COUNT(*) FROM record"), records);
    assert_eq!(database.number("SELECT COUNT(*) FROM review"), 2);
    assert_eq!(database.number("SELECT COUNT(*) FROM load_progress WHERE loaded = 2 AND rejected = 1"), 1);
    assert_eq!(database.number(history), older, "nothing was written again");
    let server = Server::start(&database.url(), &RESPONDER);
    let mut changed = patient("person-4", 4);
    assert_eq!(send(&server.address, "PUT", "Patient/person-4", Some(&changed)).1["meta"]["versionId"], "2");
    changed["id"] = json!("person-6");
    assert_eq!(send(&server.address, "PUT", "Patient/person-6", Some(&changed)).0, 201);
    assert_eq!(send(&server.address, "DELETE", "Patient/rich", None).0, 204);
    assert!(found(&server, "Patient?family=nakamura").is_empty());
    assert_eq!(found(&server, "Patient?family=abernathy").len(), 4);
}

/// Enough people for a migration to take a while.
const MANY: usize = 2000;
const KILLS: u64 = 8;

fn a_start_that_is_killed_while_it_migrates_is_made_good_by_the_next(database: &Database) {
    database.write_released(FIRST);
    database.execute(&many_people());
    let resources = database.number("SELECT COUNT(*) FROM resource");
    for kill in 0..KILLS {
        let mut command = command();
        command.args(["serve", "--open", "--listen", "127.0.0.1:0", "--database-url", &database.url()]);
        let mut running = Running::start(command, Stream::Err);
        std::thread::sleep(Duration::from_millis(10 + 40 * kill));
        running.kill();
        assert_eq!(database.number("SELECT COUNT(*) FROM resource"), resources, "kill {kill}");
        let migrations = database.number("SELECT COUNT(*) FROM __diesel_schema_migrations");
        let numbered = database.find_number("SELECT COUNT(DISTINCT number) FROM resource");
        assert_eq!(numbered, (migrations > 1).then_some(resources), "kill {kill}: a migration is whole or not there");
    }
    let server = Server::start(&database.url(), &[]);
    check_people(&server);
    assert_eq!(found(&server, "Patient?identifier=many-1999"), ["many-1999"]);
    assert_eq!(database.number("SELECT COUNT(*) FROM resource WHERE search_version = 0"), 0);
    let unfound = "SELECT COUNT(*) FROM resource WHERE deleted = FALSE AND resource_type = 'Patient' \
        AND id <> 'namesake' AND number NOT IN (SELECT number FROM search_token)";
    assert_eq!(database.number(unfound), 0);
}

/// Patients as the first release stored them, that only an identifier tells apart.
fn many_people() -> String {
    let mut sql = String::new();
    for number in 0..MANY {
        let body = json!({
            "resourceType": "Patient",
            "id": format!("many-{number}"),
            "meta": {"versionId": "1", "lastUpdated": "2026-01-02T03:04:05.000006Z"},
            "identifier": [{"value": format!("many-{number}")}],
        });
        let values = format!("('Patient', 'many-{number}', 1, 1767323045000006, FALSE, '{body}', 'many-{number}')");
        sql.push_str("INSERT INTO resource (resource_type, id, version, updated_us, deleted, body, identifier_value) ");
        sql.push_str(&format!("VALUES {values};"));
    }
    format!("BEGIN;{sql}COMMIT;")
}

/// A migration of a later version.
const NEWER: &str = "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')";

const TRUTH: &str = "query_id,true_person_id,kind,events,n_fields\n";
const RECORDS: &str = "record_id,person_id\n";

fn every_command_refuses_a_newer_schema_and_changes_nothing(database: &Database) {
    let folder = Folder::new();
    let (other, people) = (Database::sqlite(), folder.write("people.ndjson", ndjson("p", 0..2)));
    let (query, saved) = (folder.write("query.json", patient("q", 0).to_string()), folder.text("saved"));
    run(["load", &people, "--database-url", &other.url()]).with_code(0);
    run(["backup", &saved, "--database-url", &other.url()]).with_code(0);
    database.write_released(FIRST);
    run(["match", &people, "--out", &folder.text("before"), "--database-url", &database.url()]).with_code(0);
    database.execute(NEWER);
    let audited = database.number("SELECT COUNT(*) FROM audit");
    let (truth, records) = (folder.write("t.csv", TRUTH), folder.write("r.csv", RECORDS));
    let (out, backup) = (folder.text("out"), folder.text("backup"));
    for arguments in [
        &["serve", "--open", "--listen", "127.0.0.1:0"][..],
        &["load", &people],
        &["match", &people, "--out", &out],
        &["explain", &query, "--record", "person-0"],
        &["evaluate", "--queries", &people, "--truth", &truth, "--records", &records],
        &["backup", &backup],
        &["restore", &saved],
    ] {
        let ended = run(arguments.iter().chain(&["--database-url", &database.url()]));
        assert_eq!(ended.code, 3, "{arguments:?}: {}{}", ended.out, ended.err);
        for word in ["newer than this program", "9999", "use the version of idi-match"] {
            assert!(ended.err.contains(word), "{arguments:?}: {word} is missing in {}", ended.err);
        }
    }
    assert_eq!(database.number("SELECT COUNT(*) FROM audit"), audited);
    assert!(!folder.file("backup").exists() && !folder.file("backup.partial").exists());
}

fn a_backup_neither_migrates_nor_creates_a_database(database: &Database) {
    let folder = Folder::new();
    let backup = folder.text("backup");
    let ended = run(["backup", &backup, "--database-url", &database.url()]);
    assert_eq!(ended.code, 3);
    assert!(ended.err.contains("no database of idi-match"), "{}", ended.err);
    assert_eq!(database.find_number("SELECT COUNT(*) FROM __diesel_schema_migrations"), None);
    database.write_released(FIRST);
    let ended = run(["backup", &backup, "--database-url", &database.url()]);
    assert_eq!(ended.code, 3);
    assert!(ended.err.contains("older than this program"), "{}", ended.err);
    assert_eq!(database.number("SELECT COUNT(*) FROM __diesel_schema_migrations"), 1);
    assert!(!folder.file("backup").exists() && !folder.file("backup.partial").exists());
}
