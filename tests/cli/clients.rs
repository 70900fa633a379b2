//! `client add|list|disable`: the clients that an operator looks after.

use idi_match::auth::signing::{Signer, generate};
use serde_json::{Value, json};

use crate::database::Database;
use crate::people::Folder;
use crate::program::run;

on_both_databases! {
    a_client_is_added_listed_and_disabled_with_an_audit_row_each,
    what_cannot_be_a_client_is_refused_and_nothing_is_stored,
    a_new_key_signs_when_the_operator_says_so,
}

fn key_set(kid: &str) -> Value {
    let signer = Signer::from_der(generate().unwrap().der()).unwrap().with_kid(kid);
    json!({"keys": [signer.public_jwk()]})
}

fn listed(url: &str) -> Vec<Value> {
    let lines = run(["client", "list", "--json", "--database-url", url]).with_code(0);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn a_client_is_added_listed_and_disabled_with_an_audit_row_each(database: &Database) {
    let (folder, url) = (Folder::new(), database.url());
    let keys = folder.write("keys.json", key_set("k1").to_string());
    let scope = "system/Patient.rs system/Organization.read";
    let add = ["client", "add", "--name", "Nightly job", "--scope", scope, "--jwks", &keys, "--database-url", &url];
    let id = run(add).with_code(0).trim().to_owned();
    let by_url = ["--name", "Other", "--scope", scope, "--jwks-url", "https://other.example/jwks", "--json"];
    let added = run(["client", "add", "--database-url", &url].into_iter().chain(by_url)).json(0);
    assert_eq!((&added["kind"], &added["state"]), (&json!("smart"), &json!("active")));
    let clients = listed(&url);
    assert_eq!((clients.len(), &clients[0]["client_id"], &clients[0]["name"]), (2, &json!(id), &json!("Nightly job")));
    run(["client", "disable", &id, "--database-url", &url]).with_code(0);
    assert_eq!((&listed(&url)[0]["state"], &listed(&url)[1]["state"]), (&json!("disabled"), &json!("active")));
    run(["client", "disable", &id, "--database-url", &url]).with_code(2);
    let text = run(["client", "list", "--database-url", &url]).with_code(0);
    assert!(text.contains("Nightly job") && text.contains("disabled"), "{text}");
    assert_eq!(database.number("SELECT COUNT(*) FROM audit WHERE action = 'manage-client'"), 3);
}

fn what_cannot_be_a_client_is_refused_and_nothing_is_stored(database: &Database) {
    let (folder, url) = (Folder::new(), database.url());
    let good = folder.write("keys.json", key_set("k1").to_string());
    let no_set = folder.write("none.json", "{}");
    let scope = "system/Patient.rs";
    for (scope, jwks) in [("user/Patient.rs", &good), ("everything", &good), (scope, &no_set)] {
        let add = ["client", "add", "--name", "A", "--scope", scope, "--jwks", jwks, "--database-url", &url];
        run(add).with_code(2);
    }
    let plain = ["--jwks-url", "http://a.example/jwks"];
    let both = ["--jwks-url", "https://a.example/jwks", "--jwks", &good];
    for keys in [&[][..], &plain, &both] {
        let add = ["client", "add", "--name", "A", "--scope", scope, "--database-url", &url];
        run(add.into_iter().chain(keys.iter().copied())).with_code(2);
    }
    assert_eq!(listed(&url), Vec::<Value>::new());
    assert_eq!(database.number("SELECT COUNT(*) FROM audit WHERE action = 'manage-client'"), 0);
}

fn a_new_key_signs_when_the_operator_says_so(database: &Database) {
    let url = database.url();
    let rotate = || run(["key", "rotate", "--database-url", &url]).with_code(0).trim().to_owned();
    let (first, second) = (rotate(), rotate());
    let lines = run(["key", "list", "--json", "--database-url", &url]).with_code(0);
    let keys: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = keys.iter().map(|key| (key["kid"].clone(), key["state"].clone())).collect();
    assert_eq!(told, [(json!(second), json!("signing")), (json!(first), json!("verifying"))]);
    let text = run(["key", "list", "--database-url", &url]).with_code(0);
    assert!(text.contains("sealed by database  retired 20"), "{text}");
    assert_eq!(database.number("SELECT COUNT(*) FROM audit WHERE action = 'manage-keys'"), 2);
}
