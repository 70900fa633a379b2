//! What must hold for any input: one function for each fuzz target, called with whatever the fuzzer makes, and by an
//! ordinary test with the corpus.
//!
//! A law is more than the absence of a panic: what is accepted can be written, read and stored again with the same
//! meaning; what is refused says why and where, and repeats nothing. Not here: which inputs there are (`corpus/`).

#![allow(dead_code, reason = "each target uses one law")]

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use idi_match::app::error::{AppError, ErrorKind};
use idi_match::app::incoming::{Door, Incoming, ResourceKind, admit};
use idi_match::app::patch;
use idi_match::app::rules::Rules;
use idi_match::app::search::Handling;
use idi_match::app::search::condition::{Reader, conditions_of};
use idi_match::app::search::link::{link, pairs_of};
use idi_match::app::search::query::{PageSizes, read_query};
use idi_match::auth::certificate::Certificate;
use idi_match::auth::jws::{self, Algorithm, JwsError, PublicKey, Verified};
use idi_match::auth::scope::{Interaction, Level, Scopes, grant};
use idi_match::auth::software_statement::{
    AUTHORIZATION_CODE, CLIENT_CREDENTIALS, Demand, REFRESH_TOKEN, Redirects, SoftwareStatement, Wanted,
};
use idi_match::auth::trust::{ChainError, Crl, TrustStore, UnknownRevocation, validate};
use idi_match::fhir::disclosure::Disclosure;
use idi_match::fhir::document::{Layout, Node};
use idi_match::fhir::issue::{Issue, any_error};
use idi_match::fhir::json::{Limits, Value, parse};
use idi_match::fhir::match_parameters::MatchParameters;
use idi_match::fhir::splice::{Owned, splice};
use idi_match::fhir::{json_patch, name_text, us_core};
use idi_match::matching::record::Record;
use idi_match::profile::fhirpath::{Expression, Item};
use idi_match::profile::input_weight::weigh;

use serde_json::{Map, Value as Json};

const BASE_URL: &str = "http://here.example/fhir";

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::built_in().expect("the shipped rules are in order"));

fn door() -> Door<'static> {
    Door { rules: &RULES, limits: Limits::DEFAULT, sources: &[], source: None, base_url: BASE_URL }
}

/// Whoever is refused learns why, in so many words, and is not blamed for a fault of the server.
fn explained(error: &AppError) {
    assert!(!matches!(error.kind, ErrorKind::Internal | ErrorKind::Unavailable), "{error:?}");
    explains(&error.issues);
}

fn explains(issues: &[Issue]) {
    assert!(any_error(issues), "{issues:?}");
    assert!(issues.len() <= 250, "{} issues", issues.len());
    for issue in issues {
        assert!(!issue.diagnostics.is_empty() && issue.diagnostics.len() < 1_000, "{issue:?}");
        assert!(issue.expression.iter().all(|place| !place.is_empty() && place.is_ascii()), "{issue:?}");
    }
}

/// The same resource, be it written compactly, prettily, or with what the server puts into it.
fn survives(incoming: &Incoming) {
    let tree = Node::parse(&incoming.document).expect("what is admitted is JSON");
    let pretty = tree.write(Layout::Pretty);
    assert_eq!(Node::parse(&pretty).expect("what is written is JSON"), tree);
    let compact = tree.write(Layout::Compact);
    let owned = Owned { id: "fuzz", version: 7, last_updated: "2026-01-02T03:04:05.678901Z" };
    let stored = splice(&incoming.document, owned).expect("what is admitted can be stored");
    for document in [&pretty, &compact] {
        let again = admit(&door(), Some(incoming.kind), document.as_bytes());
        let again = again.unwrap_or_else(|error| panic!("{:?}: {document}", error.issues));
        assert_eq!(again.features, incoming.features, "{document}");
        assert_eq!(again.search, incoming.search, "{document}");
        assert_eq!(again.id, incoming.id, "{document}");
    }
    let again = admit(&door(), Some(incoming.kind), stored.as_bytes());
    let again = again.unwrap_or_else(|error| panic!("{:?}: {stored}", error.issues));
    assert_eq!((again.id.as_deref(), again.features), (Some("fuzz"), incoming.features.clone()), "{stored}");
    let twice = splice(&stored, owned).expect("what is stored can be stored");
    assert_eq!(twice, stored, "storing again changes nothing");
}

/// A body of `POST /fhir/Patient`.
pub fn patient(data: &[u8]) {
    match admit(&door(), Some(ResourceKind::Patient), data) {
        Err(error) => explained(&error),
        Ok(incoming) => {
            survives(&incoming);
            let features = incoming.features.as_ref().expect("a Patient has features");
            assert_eq!(Record::decode(&features.encode()).as_ref(), Ok(features));
            leaves(&incoming.document);
        }
    }
}

/// What leaves is a Patient again, and marked where something was left out.
fn leaves(document: &str) {
    let disclosure = Disclosure::full();
    let options = us_core::Rendering { base_url: BASE_URL, disclosure: &disclosure, links: &[] };
    let rendered = us_core::render_patient(document, &options).expect("what is admitted can be rendered");
    let limits =
        Limits { body_bytes_max: usize::MAX, depth_max: 120, values_max: usize::MAX, string_bytes_max: usize::MAX };
    let value = parse(rendered.as_bytes(), &limits).unwrap_or_else(|issue| panic!("{issue:?}: {rendered}"));
    assert_eq!(value.text("resourceType"), Some("Patient"));
}

/// A body of `$idi-match`.
pub fn parameters(data: &[u8]) {
    let value = match parse(data, &Limits::DEFAULT) {
        Err(issue) => return explains(&[issue]),
        Ok(value) => value,
    };
    let issues = RULES.profiles.validate_base(&value);
    if any_error(&issues) {
        return explains(&issues);
    }
    match MatchParameters::read(value) {
        Err(issues) => explains(&issues),
        Ok(asked) => {
            assert!(
                asked.location.starts_with("Parameters.parameter[") || asked.location == "Patient",
                "{}",
                asked.location
            );
            assert_eq!(asked.patient.text("resourceType"), Some("Patient"));
            assert!(asked.count != Some(0) && asked.warnings.len() <= 101);
            weighs(asked.patient);
        }
    }
}

/// The weight is the same each time and within its table; features can be kept.
fn weighs(patient: Value<'_>) {
    let (patient, _) = name_text::complete(patient);
    let weight = weigh(&patient, RULES.profiles.weights());
    assert_eq!(weight, weigh(&patient, RULES.profiles.weights()));
    assert!(weight.total <= 100, "{weight:?}");
    let record = Record::from_patient(&patient, &RULES.normaliser);
    assert_eq!(Record::decode(&record.encode()), Ok(record));
}

/// The query of a search: what follows the question mark.
pub fn search_query(data: &[u8]) {
    let query = String::from_utf8_lossy(data);
    let pairs = pairs_of(&query);
    let address = link("x", &pairs);
    assert!(address.is_ascii(), "{address}");
    assert_eq!(pairs_of(address.split_once('?').map_or("", |(_, query)| query)), pairs, "a link says what was asked");
    for kind in ResourceKind::ALL {
        let reader =
            Reader { resource_type: kind.name(), base_url: BASE_URL, now_us: 1_700_000_000_000_000, values_max: 50 };
        let lenient = read_query(&reader, &pairs, Handling::Lenient, SIZES);
        let strict = read_query(&reader, &pairs, Handling::Strict, SIZES);
        match (&lenient, &strict) {
            (Err(error), Ok(_)) => panic!("strict takes what lenient refuses: {:?}", error.issues),
            (Err(error), _) | (_, Err(error)) => explained(error),
            (Ok(lenient), Ok(strict)) => assert_eq!(lenient.understood, strict.understood),
        }
        if let Ok(asked) = lenient {
            let again = read_query(&reader, &asked.understood, Handling::Strict, SIZES);
            let again = again.unwrap_or_else(|error| panic!("what is understood is refused: {:?}", error.issues));
            assert_eq!(format!("{:?}", again.conditions), format!("{:?}", asked.conditions));
        }
        match conditions_of(&reader, &query) {
            Err(error) => explained(&error),
            Ok(conditions) => assert!(!conditions.is_empty()),
        }
    }
}

const SIZES: PageSizes = PageSizes { size: 20, size_max: 200 };

/// A resource on the first line, a JSON Patch after it.
pub fn json_patch(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (first, body) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let limits = json_patch::Limits { operations_max: 100, document: Limits::DEFAULT };
    let (Ok(document), Ok(_)) = (std::str::from_utf8(first), parse(first, &Limits::DEFAULT)) else {
        if let Err(issues) = json_patch::Patch::parse(body, &limits) {
            explains(&issues);
        }
        return;
    };
    let apply = |document: &str, patch: &[u8]| -> Result<String, AppError> {
        let patch = json_patch::Patch::parse(patch, &limits).map_err(AppError::invalid)?;
        patch::apply(document, &patch, &limits)
    };
    match apply(document, body) {
        Err(error) => explained(&error),
        Ok(patched) => {
            assert!(parse(patched.as_bytes(), &Limits::DEFAULT).is_ok(), "{patched}");
            let same = format!(r#"[{{"op":"test","path":"","value":{patched}}}]"#);
            assert_eq!(apply(&patched, same.as_bytes()).as_deref().ok(), Some(patched.as_str()), "{same}");
            let none = apply(&patched, b"[]");
            assert_eq!(none.as_deref().ok(), Some(patched.as_str()), "no operation changes nothing");
            assert_eq!(apply(document, body).ok(), Some(patched), "the same each time");
        }
    }
}

/// A line of a file that is loaded.
pub fn ndjson_line(data: &[u8]) {
    match admit(&door(), None, data) {
        Err(error) => explained(&error),
        Ok(incoming) => {
            survives(&incoming);
            let line = Node::parse(&incoming.document).expect("JSON").write(Layout::Compact);
            assert!(!line.contains(['\n', '\r']), "a resource is one line: {line}");
            let again = admit(&door(), None, line.as_bytes()).expect("a line that was written is loaded");
            assert_eq!((again.kind, again.id), (incoming.kind, incoming.id));
        }
    }
}

/// A file with FHIRPath in it: a StructureDefinition, or an expression on the first line and after it the Patient that it
/// is evaluated on.
pub fn fhirpath_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if text.starts_with('{') {
        return as_a_profile(&text);
    }
    let (source, document) = text.split_once('\n').unwrap_or((&text, PERSON));
    let expression = match Expression::compile(source, RULES.profiles.shapes(), "Patient", &["Patient".to_owned()]) {
        Err(reason) => return assert!(!reason.to_string().is_empty(), "{source}"),
        Ok(expression) => expression,
    };
    let document = if parse(document.as_bytes(), &Limits::DEFAULT).is_ok() { document } else { PERSON };
    let resource = parse(document.as_bytes(), &Limits::DEFAULT).expect("JSON");
    let evaluate = || match expression.evaluate(&resource, Item::element(&resource)) {
        Ok(found) => format!("{found:?}"),
        Err(error) => error.to_string(),
    };
    let found = evaluate();
    assert!(!found.is_empty());
    assert_eq!(found, evaluate(), "the same each time");
    if let Ok(Some(holds)) = expression.holds(&resource, Item::element(&resource)) {
        let negated = format!("({source}).not()");
        if let Ok(negated) = Expression::compile(&negated, RULES.profiles.shapes(), "Patient", &["Patient".to_owned()])
        {
            assert_eq!(negated.holds(&resource, Item::element(&resource)), Ok(Some(!holds)), "{source}");
        }
    }
}

const PERSON: &str =
    r#"{"resourceType":"Patient","active":true,"name":[{"family":"A","given":["B","C"]}],"birthDate":"1980-02-03"}"#;

/// The file instead of a shipped one: it is enforced, or refused with its name and a reason.
fn as_a_profile(text: &str) {
    let mut files = FILES.clone();
    for (name, shipped) in &mut files {
        if name == PROFILE {
            text.clone_into(shipped);
        }
    }
    match Rules::from_files(&files) {
        Err(refused) => assert!(!refused.file.is_empty() && !refused.reason.is_empty(), "{text}"),
        Ok(rules) => {
            let person = parse(PERSON.as_bytes(), &Limits::DEFAULT).expect("JSON");
            for profile in rules.profiles.list_profiles_of("Patient") {
                assert_eq!(rules.profiles.validate(&person, &profile), rules.profiles.validate(&person, &profile));
            }
        }
    }
}

const PROFILE: &str = "StructureDefinition-IDI-Patient.json";

/// The shipped files, by name.
static FILES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = [here.join("profiles"), here.join("../profiles")].into_iter().find(|folder| folder.is_dir());
    let entries = fs::read_dir(folder.expect("profiles/")).expect("profiles/");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let json = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    json.map(|path| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("a text"))
    })
    .collect()
});

/// A token, or the header of one.
pub fn token_header(data: &[u8]) {
    let whole = String::from_utf8_lossy(data);
    read_token(&whole);
    let part = URL_SAFE_NO_PAD.encode(data);
    let text = format!("{part}.e30.AAECAwQF");
    let Some(token) = read_token(&text) else { return };
    assert_eq!(token, jws::parse(&text).expect("the same each time").header);
    let header: serde_json::Value = serde_json::from_slice(data).expect("a header that is read is JSON");
    assert_eq!(header["alg"], token.alg.name());
    for name in ["crit", "jwk", "x5u", "cty", "enc"] {
        assert!(header.get(name).is_none(), "{text}");
    }
    let given = header.get("x5c").map_or(0, |list| list.as_array().map_or(usize::MAX, Vec::len));
    assert_eq!(given, token.x5c.len());
    for spelling in [format!("{part}=.e30.AAECAwQF"), format!("{part}.e30.AAECAwQF="), format!(" {text}")] {
        assert_eq!(jws::parse(&spelling).map(|_| ()), Err(JwsError::Malformed), "one spelling");
    }
    assert!(jws::parse(&text).expect("a token").verify(&ANCHOR_KEY).is_err(), "signed by nobody");
}

fn read_token(text: &str) -> Option<jws::Header> {
    let token = jws::parse(text).ok()?;
    assert!(text.len() <= jws::JWS_BYTES_MAX && token.header.x5c.len() <= jws::CERTIFICATES_MAX);
    assert!(Algorithm::ALL.contains(&token.header.alg));
    assert_eq!(text.matches('.').count(), 2);
    Some(token.header)
}

/// When the certificates of the corpus are judged: 2027-01-15.
const NOW_US: i64 = 1_800_000_000_000_000;

/// The name in every certificate that the corpus' authority has issued.
const ISSUED_URI: &str = "https://client.example/app";

const ANCHOR: &[u8] = include_bytes!("anchor.der");

const LEAF: &[u8] = include_bytes!("leaf.der");

static STORE: LazyLock<TrustStore> = LazyLock::new(|| TrustStore::new(&[ANCHOR.to_vec()], &[]).expect("an anchor"));

static ANCHOR_KEY: LazyLock<PublicKey> = LazyLock::new(|| {
    PublicKey::from_certificate(&Certificate::parse(ANCHOR).expect("a certificate")).expect("a strong key")
});

/// A certificate of an `x5c`, in DER.
pub fn certificate(data: &[u8]) {
    let x5c = [data.to_vec()];
    let store = STORE.clone().with_unknown_revocation(UnknownRevocation::Accept);
    let judged = validate(&x5c, &[], &store, NOW_US);
    assert_eq!(judged, validate(&x5c, &[], &store, NOW_US), "the same each time");
    let Ok(parsed) = Certificate::parse(data) else {
        return assert_eq!(judged, Err(ChainError::Malformed));
    };
    assert_eq!(parsed.der(), data);
    let addresses = parsed.issuer_urls().iter().chain(parsed.crl_urls());
    assert!(addresses.chain(parsed.uris()).all(|uri| uri.bytes().all(|byte| byte.is_ascii_graphic())));
    let longer = [data, &[0]].concat();
    assert!(Certificate::parse(&longer).is_err(), "nothing stands behind a certificate");
    if let Ok(chain) = judged {
        assert_eq!(chain.leaf.uris(), [ISSUED_URI], "accepted is what the anchor has signed");
        assert!(chain.leaf.may_sign() && !chain.leaf.is_authority());
        assert!(parsed.not_before_us() <= NOW_US && NOW_US <= parsed.not_after_us() + 999_999);
        assert_eq!(validate(&x5c, &[], &STORE, NOW_US), Err(ChainError::RevocationUnknown));
    }
}

/// A revocation list, in DER.
pub fn revocation_list(data: &[u8]) {
    let Ok(list) = Crl::parse(data) else { return };
    let list = Arc::new(list);
    assert_eq!(list.der(), data);
    let longer = [data, &[0]].concat();
    assert!(Crl::parse(&longer).is_err(), "nothing stands behind a list");
    let signed = STORE.has_signer_of(&list);
    for unknown in [UnknownRevocation::Refuse, UnknownRevocation::Accept] {
        let store = STORE.clone().with_crls(vec![Arc::clone(&list)]).with_unknown_revocation(unknown);
        match validate(&[LEAF.to_vec()], &[], &store, NOW_US) {
            Ok(_) => assert!(unknown == UnknownRevocation::Accept || signed, "a list that nobody signed clears nobody"),
            Err(ChainError::Revoked) => assert!(signed, "a list that nobody signed revokes nobody"),
            Err(error) => assert_eq!(error, ChainError::RevocationUnknown),
        }
    }
}

/// `{"alg":"ES256"}`
const HEADER: &str = "eyJhbGciOiJFUzI1NiJ9";

const REGISTRATION_ENDPOINT: &str = "https://here.example/oauth/register";

/// The claims of a software statement whose signature was verified.
pub fn software_statement(data: &[u8]) {
    let text = format!("{HEADER}.{}.AAECAwQF", URL_SAFE_NO_PAD.encode(data));
    let Ok(token) = jws::parse(&text) else { return };
    let read = |claims: &Map<String, Json>| {
        let verified = Verified { header: token.header.clone(), claims: claims.clone() };
        let uris = [ISSUED_URI.to_owned()];
        let grant_types = &[AUTHORIZATION_CODE, CLIENT_CREDENTIALS, REFRESH_TOKEN];
        let (audience, redirects) = (REGISTRATION_ENDPOINT, Redirects::Https);
        let demand = Demand { audience, uris: &uris, grant_types, redirects, now_us: NOW_US };
        SoftwareStatement::read(&verified, &demand)
    };
    let statement = match read(&token.claims) {
        Ok(statement) => statement,
        Err(refusal) => {
            let code = refusal.code.code();
            let codes = ["invalid_software_statement", "invalid_client_metadata", "invalid_redirect_uri"];
            return assert!(codes.contains(&code) && !refusal.description.is_empty(), "{refusal:?}");
        }
    };
    assert_eq!((statement.issuer.as_str(), &token.claims["sub"]), (ISSUED_URI, &Json::from(ISSUED_URI)));
    assert!(!statement.token_id.is_empty() && statement.usable_until_us > NOW_US, "{statement:?}");
    let Wanted::Registration(wanted) = &statement.wanted else {
        return assert_eq!(token.claims["grant_types"], Json::Array(Vec::new()), "only an empty list cancels");
    };
    let is_of_user = wanted.grant_types.iter().any(|grant| grant == AUTHORIZATION_CODE);
    assert_eq!(is_of_user, wanted.parameters.contains_key("redirect_uris"), "{wanted:?}");
    let mut again = wanted.parameters.clone();
    for name in ["iss", "sub", "aud", "exp", "iat", "jti"] {
        assert!(again.insert(name.to_owned(), token.claims[name].clone()).is_none(), "{name} is no parameter");
    }
    assert_eq!(read(&again).as_ref(), Ok(&statement), "what is kept means the same");
}

/// Scopes that are requested, registered and supported, a line each; a missing line is the one before.
pub fn scopes(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default();
    let second = lines.next().unwrap_or(first);
    let third = lines.next().unwrap_or(second);
    let (Ok(requested), Ok(registered), Ok(supported)) =
        (Scopes::parse(first), Scopes::parse(second), Scopes::parse(third))
    else {
        return;
    };
    let written = requested.to_string();
    assert!(written.len() <= first.len());
    assert_eq!(Scopes::parse(&written).as_ref(), Ok(&requested));
    let Ok(granted) = grant(&requested, &registered, &supported) else { return };
    assert_eq!(grant(&granted, &granted, &granted).as_ref(), Ok(&granted), "{granted}");
    assert_eq!(Scopes::parse(&granted.to_string()).as_ref(), Ok(&granted), "{granted}");
    for level in [Level::Patient, Level::User, Level::System] {
        for kind in ["Patient", "Person", "Observation"] {
            for interaction in Interaction::ALL {
                let held = [&requested, &registered, &supported].map(|list| list.allows(level, kind, interaction));
                let allowed = granted.allows(level, kind, interaction);
                assert_eq!(allowed, held == [true; 3], "{granted}: {level:?} {kind} {interaction:?}");
            }
        }
    }
}
