//! The first exchange with the demo: what an app developer pastes, all of it tried before it is printed.
//!
//! Gated, the demo is a client of itself, by the same commands that it prints: it registers, gets a token and finds
//! somebody, for treatment by the clinic and for a person by their app. Not here: the commands (see `cli::client`).

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::app::App;
use crate::app::clock::Clock;
use crate::app::context::{Caller, Context};
use crate::app::match_patient::{MatchOperation, MatchRequest};

use super::super::client::arguments::{MemberArgs, ServerArgs};
use super::super::client::member::{Member, Registration};
use super::super::client::{accepted, send_match, text_of};
use super::super::{CommandError, say};
use super::test_pki::{APP, CLINIC, Client, TestPki};

/// The probability that a request finds somebody is high; this is how often it is tried.
const MATCH_TRIES_MAX: usize = 50;
const TREATMENT: &str = "urn:oid:2.16.840.1.113883.5.8#TREAT";
const PATIENT_REQUEST: &str = "urn:oid:2.16.840.1.113883.5.8#PATRQT";
const PROFILE_L1: &str = "http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L1";
const SCOPE: &str = "system/Patient.rs";

/// A command that finds somebody at an open server.
pub fn print_open(app: &App, patients: &[String]) -> Result<(), CommandError> {
    let finds = |request: &&String| {
        let ctx = Context::new(Caller::Open, app.clock);
        let asked =
            MatchRequest { operation: MatchOperation::IdiMatch, body: request.as_bytes(), self_link: String::new() };
        app.match_patient(&ctx, &asked)
            .is_ok_and(|found| found.answer.0.patients.iter().any(|patient| patient.score >= 0.8))
    };
    let found = patients.iter().take(MATCH_TRIES_MAX).map(|patient| wrap(patient)).find(|request| finds(&request));
    let request = found.ok_or_else(nobody)?;
    say(format_args!("{} people are stored. Paste this to find one of them:", app.indexed_records()))?;
    say(format_args!("\n{}\n", curl(&app.config.server.base_url, None, &request)))?;
    say("Stop with Ctrl-C.")
}

/// The commands of the first exchange with a gated server.
pub fn print_gated(app: &App, pki: &TestPki, patients: &[String]) -> Result<(), CommandError> {
    let base = app.config.server.base_url.as_str();
    let clinic = Visitor::register(base, pki, &CLINIC, "Demo clinic")?;
    let token = clinic.token(&json!({ "hl7-b2b": clinic.b2b(TREATMENT) }))?;
    let requests = patients.iter().map(|patient| wrap(patient));
    let found = requests.take(MATCH_TRIES_MAX).find(|request| clinic.finds(request, &token));
    let request = found.ok_or_else(nobody)?;
    pki.write("treatment.json", &request)?;
    let personal = write_personal(base, pki, patients)?;
    let program = program()?;
    say(format_args!(
        "{} people are stored. The server lets in the members of a test community, whose keys are in\n{}\nand protect \
         nothing. Paste this to register a clinic, to get a token for treatment, and to find somebody:",
        app.indexed_records(),
        pki.directory().display()
    ))?;
    let registering = "--name 'Demo clinic' --contact mailto:demo@clinic.example";
    let asking = format!("--organization-id {} --purpose {TREATMENT}", CLINIC.uri);
    say(format_args!("\ncd {}", quoted(&pki.directory().display().to_string())))?;
    for line in commands(&program, base, &CLINIC, registering, &asking, "treatment") {
        say(line)?;
    }
    say("\nOr with a token that holds for an hour, from wherever you are:")?;
    say(format_args!("\n{}\n", curl(base, Some(&token), &request)))?;
    if personal == Personal::Written {
        say("And as an app that asks for the person who has signed in to it (hl7-b2b-user):\n")?;
        let registering = "--name 'Demo app' --contact mailto:demo@app.example";
        for line in commands(&program, base, &APP, registering, "--extensions personal-extensions.json", "personal") {
            say(line)?;
        }
        say("")?;
    }
    say("docs/clients.md has the same in curl, Python and TypeScript.")?;
    say("Stop with Ctrl-C.")
}

fn nobody() -> CommandError {
    CommandError::Failed("the demo's own request finds nobody".to_owned())
}

fn wrap(patient: &str) -> String {
    format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"IDIPatient","resource":{patient}}}]}}"#)
}

fn curl(base: &str, token: Option<&str>, request: &str) -> String {
    let bearer = token.map(|token| format!(" -H 'Authorization: Bearer {token}'")).unwrap_or_default();
    let url = format!("{base}/Patient/$idi-match");
    format!("curl -s '{url}'{bearer} -H 'Content-Type: application/fhir+json' -d {}", quoted(request))
}

/// The path of this program, for the shell.
fn program() -> Result<String, CommandError> {
    Ok(quoted(&std::env::current_exe()?.display().to_string()))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Three commands, in the directory of the keys.
fn commands(program: &str, base: &str, client: &Client, registering: &str, asking: &str, request: &str) -> [String; 3] {
    let name = client.name;
    let member = format!("{base} --cert {name}.pem --key {name}.key --anchors test-ca.pem --crls test-ca.crl");
    [
        format!("id=$({program} client register {member} {registering})"),
        format!("{program} client token {member} --client-id \"$id\" {asking} > {name}.token"),
        format!("{program} client match {base} {request}.json --token-file {name}.token"),
    ]
}

/// A client of the demo that is registered.
struct Visitor {
    member: Member,
    server: ServerArgs,
    uri: &'static str,
    id: String,
}

impl Visitor {
    fn register(base: &str, pki: &TestPki, client: &Client, name: &str) -> Result<Self, CommandError> {
        let member = Member::open(&member_args(base, pki, client), Clock::system())?;
        let contacts = [format!("mailto:demo@{}.example", client.name)];
        let wanted = Registration { name, contacts: &contacts, scope: SCOPE, certifications: Vec::new() };
        let id = text_of(&accepted("registration", &member.register(Some(&wanted))?)?, "client_id")?;
        Ok(Self { member, server: server_args(base), uri: client.uri, id })
    }

    fn b2b(&self, purpose: &str) -> Value {
        json!({"version": "1", "organization_id": self.uri, "purpose_of_use": [purpose]})
    }

    fn token(&self, extensions: &Value) -> Result<String, CommandError> {
        text_of(&accepted("token", &self.member.token(&self.id, extensions, None)?)?, "access_token")
    }

    fn finds(&self, request: &str, token: &str) -> bool {
        let answer = send_match(&self.server, request, token).ok();
        let answer: Option<Value> = answer.and_then(|answer| serde_json::from_str(&answer).ok());
        answer.is_some_and(|answer| {
            let entries = answer["parameter"][0]["resource"]["entry"].as_array();
            entries.into_iter().flatten().any(|entry| entry["resource"]["resourceType"] == "Patient")
        })
    }
}

fn server_args(base: &str) -> ServerArgs {
    ServerArgs { base_url: base.to_owned(), tls_anchors: None, insecure_http: false }
}

fn member_args(base: &str, pki: &TestPki, client: &Client) -> MemberArgs {
    let file = |ending: &str| -> PathBuf { pki.file(&format!("{}.{ending}", client.name)) };
    MemberArgs {
        server: server_args(base),
        certificates: vec![file("pem")],
        key: file("key"),
        anchors: vec![pki.file("test-ca.pem")],
        intermediates: Vec::new(),
        crls: vec![pki.file("test-ca.crl")],
        community: None,
        uri: None,
        json: false,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Personal {
    Written,
    /// Nobody of so few people says enough of themselves.
    Nobody,
}

/// Writes a request of a person for themselves that finds them, and the extensions of its token.
fn write_personal(base: &str, pki: &TestPki, patients: &[String]) -> Result<Personal, CommandError> {
    let app = Visitor::register(base, pki, &APP, "Demo app")?;
    for patient in patients.iter().take(MATCH_TRIES_MAX) {
        let Some((claimed, user)) = serde_json::from_str(patient).ok().and_then(personal_of) else { continue };
        let mut b2b = app.b2b(PATIENT_REQUEST);
        b2b["consent_policy"] = json!(["https://app.example/terms"]);
        let user = json!({"version": "1", "purpose_of_use": [PATIENT_REQUEST], "user_person": user});
        let extensions = json!({"hl7-b2b": b2b, "hl7-b2b-user": user});
        let request = wrap(&claimed.to_string());
        if app.token(&extensions).is_ok_and(|token| app.finds(&request, &token)) {
            pki.write("personal.json", request)?;
            pki.write("personal-extensions.json", extensions.to_string())?;
            return Ok(Personal::Written);
        }
    }
    Ok(Personal::Nobody)
}

/// The request of a person for themselves, and the person. It claims the guide's next profile, whether or not that holds, and
/// says nothing that the app does not say of the person: no number of a record or of an insurance.
fn personal_of(mut patient: Value) -> Option<(Value, Value)> {
    patient.as_object_mut()?.remove("identifier");
    patient["meta"]["profile"] = json!([PROFILE_L1]);
    let user = user_of(&patient)?;
    Some((patient, user))
}

/// The person of a request as FASTIDUDAPPerson wants them; `None` where something is missing.
fn user_of(patient: &Value) -> Option<Value> {
    let telecom = patient["telecom"].as_array()?;
    let has = |system: &str| telecom.iter().any(|contact| contact["system"] == *system);
    let is_addressed = ["city", "state", "postalCode"].iter().all(|part| patient["address"][0][*part].is_string());
    let is_complete = has("phone")
        && has("email")
        && is_addressed
        && patient["address"][0]["line"][0].is_string()
        && patient["name"][0]["family"].is_string()
        && patient["name"][0]["given"][0].is_string()
        && patient["birthDate"].is_string();
    is_complete.then(|| {
        json!({
            "resourceType": "Person",
            "name": patient["name"],
            "telecom": telecom,
            "birthDate": patient["birthDate"],
            "address": patient["address"],
        })
    })
}
