//! `user add|list|disable|reset`: accounts in the hands of an operator.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::database::Database;
use crate::people::{Folder, patient};
use crate::program::{Ended, command, run};

on_both_databases! {
    an_account_is_added_listed_disabled_and_reset_with_an_audit_row_each,
    what_cannot_be_an_account_is_refused_and_nothing_is_stored,
    an_account_is_linked_to_the_one_identity_that_its_attributes_lead_to,
}

const PASSWORD: &str = "zq-canary warm rain on tin roofs";

/// A run with something on standard input.
pub fn run_with(arguments: &[&str], input: &str) -> Ended {
    let mut child = command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    // Whoever refuses the arguments does not read.
    let _ = child.stdin.take().expect("standard input").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("ended");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ended { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

fn listed(url: &str) -> Vec<Value> {
    let lines = run(["user", "list", "--json", "--database-url", url]).with_code(0);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn add<'a>(login: &'a str, attributes: &'a str, url: &'a str) -> Vec<&'a str> {
    let verified = ["--level", "idial1.8", "--verified-on", "2026-02-03", "--json"];
    let mut arguments =
        vec!["user", "add", login, "--kind", "person", "--attributes", attributes, "--database-url", url];
    arguments.extend(verified);
    arguments
}

fn an_account_is_added_listed_disabled_and_reset_with_an_audit_row_each(database: &Database) {
    let (folder, url) = (Folder::new(), database.url());
    let attributes = folder.write("patient.json", patient("somebody", 3).to_string());
    let ended = run_with(&add("Marisol.Vega", &attributes, &url), &format!("{PASSWORD}\n"));
    assert!(ended.err.contains("no single, certain and verified identity"), "{}", ended.err);
    let made = ended.json(0);
    let uri = made["otpauth_uri"].as_str().unwrap();
    assert!(uri.starts_with("otpauth://totp/") && uri.contains(made["totp_secret"].as_str().unwrap()), "{uri}");
    let id = made["account_id"].as_str().unwrap().to_owned();
    assert!(id.len() == 36 && id.as_bytes()[14] == b'4', "a random UUID: {id}");
    let accounts = listed(&url);
    assert_eq!(
        (accounts.len(), &accounts[0]["account_id"], &accounts[0]["login"]),
        (1, &json!(id), &json!("marisol.vega"))
    );
    assert_eq!((&accounts[0]["level"], &accounts[0]["state"]), (&json!("IDIAL1.8"), &json!("active")));
    assert!(accounts[0].get("attributes").is_none() && !accounts[0].to_string().contains("otp"), "{}", accounts[0]);
    // Sealed, hashed, and in no audit row.
    let stored =
        database.texts("SELECT password_hash || ' ' || totp_secret || ' ' || attributes AS value FROM person_account");
    let audited = database.texts("SELECT caller || ' ' || detail AS value FROM audit WHERE action = 'manage-account'");
    let family = patient("somebody", 3)["name"][0]["family"].as_str().unwrap().to_owned();
    for text in stored.iter().chain(&audited) {
        for word in ["zq-canary", &family, made["totp_secret"].as_str().unwrap(), "marisol"] {
            assert!(!text.contains(word), "{word}");
        }
    }
    assert!(stored[0].starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", stored[0]);
    run(["user", "disable", "marisol.vega", "--database-url", &url]).with_code(0);
    run(["user", "disable", "marisol.vega", "--database-url", &url]).with_code(2);
    assert_eq!(listed(&url)[0]["state"], "disabled");
    let reset = ["user", "reset", "marisol.vega", "--totp", "--password", "--json", "--database-url", &url];
    let again = run_with(&reset, "another sentence of words\n").json(0);
    assert_eq!((&again["account_id"], &listed(&url)[0]["state"]), (&json!(id), &json!("active")));
    assert_ne!(again["totp_secret"], made["totp_secret"]);
    assert_eq!(database.number("SELECT COUNT(*) FROM audit WHERE action = 'manage-account'"), 3);
    let text = run(["user", "list", "--database-url", &url]).with_code(0);
    assert!(text.contains("marisol.vega") && text.contains("person  active"), "{text}");
}

fn what_cannot_be_an_account_is_refused_and_nothing_is_stored(database: &Database) {
    let (folder, url) = (Folder::new(), database.url());
    let good = folder.write("patient.json", patient("somebody", 3).to_string());
    let no_patient = folder.write("task.json", r#"{"resourceType":"Task"}"#);
    let no_name = folder.write("bare.json", r#"{"resourceType":"Patient"}"#);
    let no_json = folder.write("text.json", "Marisol Vega");
    for (login, attributes, password) in [
        ("marisol", &no_patient, PASSWORD),
        ("marisol", &no_name, PASSWORD),
        ("marisol", &no_json, PASSWORD),
        ("marisol vega", &good, PASSWORD),
        ("ab", &good, PASSWORD),
        ("marisol", &good, "too short"),
        ("marisol", &good, ""),
        ("marisol", &good, "marisolmarisolmarisol"),
        ("marisol", &good, &"long ".repeat(60)),
    ] {
        run_with(&add(login, attributes, &url), &format!("{password}\n")).with_code(2);
    }
    for (level, date) in [("gold", "2026-02-03"), ("idial1.8", "2026-02"), ("idial1.8", "2999-01-01")] {
        let arguments = [
            "user",
            "add",
            "marisol",
            "--kind",
            "person",
            "--attributes",
            &good,
            "--database-url",
            &url,
            "--level",
            level,
            "--verified-on",
            date,
        ];
        run_with(&arguments, &format!("{PASSWORD}\n")).with_code(2);
    }
    let mut unknown = add("marisol", &good, &url);
    unknown.extend(["--identity", "nobody"]);
    run_with(&unknown, PASSWORD).with_code(2);
    assert_eq!(listed(&url), Vec::<Value>::new());
    run_with(&add("marisol", &good, &url), PASSWORD).with_code(0);
    let taken = run_with(&add("MARISOL", &good, &url), PASSWORD);
    assert!(taken.err.contains("there is an account of this login"), "{}", taken.err);
    taken.with_code(2);
    assert_eq!(database.number("SELECT COUNT(*) FROM audit WHERE action = 'manage-account'"), 1);
}

fn an_account_is_linked_to_the_one_identity_that_its_attributes_lead_to(database: &Database) {
    let (folder, url) = (Folder::new(), database.url());
    let verified = |level: &str| {
        json!([{"url": "https://idi-match.example/StructureDefinition/identity-verification", "extension": [
            {"url": "level", "valueUri": format!("http://udap.org/code/id/{level}")},
            {"url": "date", "valueDate": "2026-02-03"}]}])
    };
    let mut known = patient("known", 3);
    known["extension"] = verified("idial1.8");
    let mut weak = patient("weak", 8);
    weak["extension"] = verified("idial1.4");
    let file = folder.write("people.ndjson", format!("{known}\n{weak}\n"));
    run(["load", &file, "--database-url", &url]).with_code(0);
    for (login, stored, is_found) in [("known.one", &known, true), ("weak.one", &weak, false)] {
        let mut attributes = stored.clone();
        attributes.as_object_mut().unwrap().remove("extension");
        let attributes = folder.write("attributes.json", attributes.to_string());
        let made = run_with(&add(login, &attributes, &url), PASSWORD).json(0);
        let sql = format!("SELECT identity_id AS value FROM record WHERE id = '{}'", stored["id"].as_str().unwrap());
        let identity = database.texts(&sql).remove(0);
        assert_eq!(made["identity_id"], if is_found { json!(identity) } else { Value::Null }, "{login}");
    }
}
