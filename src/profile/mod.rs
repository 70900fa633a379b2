//! What a resource must look like: base R4, the profiles of `profiles/`, and the input weight.
//!
//! What: [`Profiles::load`] reads every file once, at start, and refuses what it cannot enforce; `validate_base` and
//! `validate` then judge a document with the rules of those files and nothing else: changing a file changes what is
//! enforced. Why files: the guide is still moving and its rules are data. Not here: which requests need which
//! profile beyond the IDI rule (see [`idi`]), and HTTP.

pub mod artifact;
mod definition;
mod element;
pub mod fhirpath;
pub mod idi;
pub mod input_weight;
mod invariant;
pub mod primitive;
pub mod shape;
mod slicing;
mod terminology;
mod validate;

use std::collections::HashMap;
use std::fmt;

use serde_json::Value as Json;

use crate::fhir::issue::{Issue, IssueCode, any_error};
use crate::fhir::json::{self, Limits, Value};
use crate::fhir::path::printable;

use artifact::{ARTIFACT_TYPES, Artifact};
use definition::Definition;
use input_weight::InputWeights;
use invariant::Invariants;
use shape::Shapes;
use terminology::{Terminology, without_version};
use validate::Finding;

/// The guide's artifacts.
const GUIDE_CANONICAL_BASE: &str = "http://hl7.org/fhir/us/identity-matching";
/// The code system of `issue.details` that this project defines (`profiles/CodeSystem-match-outcome.json`).
pub const OUTCOME_SYSTEM: &str = "https://idi-match.example/CodeSystem/match-outcome";

/// One file of `profiles/`.
#[derive(Debug, Clone, Copy)]
pub struct ProfileFile<'a> {
    pub name: &'a str,
    pub text: &'a str,
}

/// Why the rules cannot be enforced: the start stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    pub file: String,
    pub element: String,
    pub reason: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "profiles/{}: {}: {}", self.file, self.element, self.reason)
    }
}

impl std::error::Error for LoadError {}

/// A file that holds a FHIR resource, read.
pub(crate) struct SourceFile<'a> {
    name: &'a str,
    text: &'a str,
    json: Json,
}

impl<'a> SourceFile<'a> {
    fn read(file: &ProfileFile<'a>) -> Result<Self, LoadError> {
        let refuse = |element: &str, reason: String| LoadError {
            file: file.name.to_owned(),
            element: element.to_owned(),
            reason,
        };
        // The bounded view refuses repeated names, which serde_json would hide.
        json::parse(file.text.as_bytes(), &Limits::DEFAULT).map_err(|issue| {
            refuse(issue.expression.first().map_or("(document)", String::as_str), issue.diagnostics)
        })?;
        let json = serde_json::from_str(file.text).map_err(|error| refuse("(document)", error.to_string()))?;
        Ok(Self { name: file.name, text: file.text, json })
    }

    fn is(&self, resource_type: &str) -> bool {
        self.text_member("resourceType") == Some(resource_type)
    }

    fn text_member(&self, name: &str) -> Option<&str> {
        self.json.get(name).and_then(Json::as_str)
    }

    fn required(&self, name: &str) -> Result<&str, LoadError> {
        self.text_member(name).ok_or_else(|| self.refuse(name, "missing"))
    }

    fn refuse(&self, element: &str, reason: impl Into<String>) -> LoadError {
        LoadError { file: self.name.to_owned(), element: element.to_owned(), reason: reason.into() }
    }
}

/// Every rule of `profiles/`, ready to be enforced.
#[derive(Debug)]
pub struct Profiles {
    shapes: Shapes,
    invariants: Invariants,
    definitions: HashMap<String, Definition>,
    terminology: Terminology,
    artifacts: Vec<Artifact>,
    weights: InputWeights,
}

/// The element tables of base R4.
const SHAPES_FILE: &str = "r4-elements.json";
/// The invariants of base R4.
const INVARIANTS_FILE: &str = "r4-invariants.json";
const WEIGHTS_FILE: &str = "input-weights.json";

impl Profiles {
    /// Reads `files`. Those that are no rules of a resource (the matching model, nicknames, a README) are left alone.
    ///
    /// # Errors
    /// The first file that cannot be enforced, with the element and the reason.
    pub fn load(files: &[ProfileFile<'_>]) -> Result<Self, LoadError> {
        let named = |name: &str| {
            let missing =
                || LoadError { file: name.to_owned(), element: "(file)".to_owned(), reason: "missing".to_owned() };
            files.iter().find(|file| file.name == name).ok_or_else(missing)
        };
        let shapes = load_shapes(named(SHAPES_FILE)?)?;
        let invariants = Invariants::read(named(INVARIANTS_FILE)?, &shapes)?;
        let weights = InputWeights::read(named(WEIGHTS_FILE)?)?;
        let sources = read_sources(files)?;
        let terminology = Terminology::load(&sources)?;
        let definitions = definition::load(&sources, &shapes, &terminology)?;
        let artifacts = list_artifacts(&sources)?;
        Ok(Self { shapes, invariants, definitions, terminology, artifacts, weights })
    }

    #[must_use]
    pub const fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    #[must_use]
    pub const fn weights(&self) -> &InputWeights {
        &self.weights
    }

    /// Judges `resource` by base R4: elements, types, cardinalities, formats, and then the invariants, which need them.
    #[must_use]
    pub fn validate_base(&self, resource: &Value<'_>) -> Vec<Issue> {
        let issues = self.shapes.validate(resource, &[]);
        if any_error(&issues) { issues } else { [issues, self.invariants.validate(&self.shapes, resource)].concat() }
    }

    /// Judges `resource` by the rules of one profile, named by its canonical URL with or without `|version`.
    #[must_use]
    pub fn validate(&self, resource: &Value<'_>, profile: &str) -> Vec<Issue> {
        self.findings(resource, profile).into_iter().map(|finding| finding.issue).collect()
    }

    /// As [`Self::validate`], with the invariant that each issue comes from.
    fn findings<'p>(&'p self, resource: &Value<'_>, profile: &str) -> Vec<Finding<'p>> {
        match self.find_definition(profile) {
            Some(definition) => validate::validate(self, definition, resource),
            None => {
                let issue = Issue::error(IssueCode::NotSupported, "The profile is not known to this server.");
                let root = resource.text("resourceType").map_or("Resource", printable);
                vec![Finding::plain(issue.at(format!("{root}.meta.profile")))]
            }
        }
    }

    #[must_use]
    pub fn is_known(&self, canonical: &str) -> bool {
        self.find_definition(canonical).is_some()
    }

    /// The version of a canonical is not compared: the files hold one version of each profile.
    fn find_definition(&self, canonical: &str) -> Option<&Definition> {
        self.definitions.get(without_version(canonical))
    }

    /// Canonical URLs of the profiles on a type of resource, in order.
    #[must_use]
    pub fn list_profiles_of(&self, resource_type: &str) -> Vec<String> {
        let of_type = self.definitions.iter().filter(|(_, definition)| definition.constrained_type == resource_type);
        let mut urls: Vec<String> = of_type.map(|(url, _)| url.clone()).collect();
        urls.sort();
        urls
    }

    #[must_use]
    pub fn find_artifact(&self, resource_type: &str, id: &str) -> Option<&Artifact> {
        self.list_artifacts(resource_type).find(|artifact| artifact.id == id)
    }

    pub fn list_artifacts(&self, resource_type: &str) -> impl Iterator<Item = &Artifact> {
        self.artifacts.iter().filter(move |artifact| artifact.resource_type == resource_type)
    }
}

fn load_shapes(file: &ProfileFile<'_>) -> Result<Shapes, LoadError> {
    let refuse = |reason| LoadError { file: file.name.to_owned(), element: "(tables)".to_owned(), reason };
    Shapes::parse(file.text).map_err(refuse)
}

fn read_sources<'a>(files: &[ProfileFile<'a>]) -> Result<Vec<SourceFile<'a>>, LoadError> {
    let is_ours = |file: &&ProfileFile<'_>| {
        let kind = file.name.strip_suffix(".json").and_then(|stem| stem.split_once('-'));
        kind.is_some_and(|(kind, _)| ARTIFACT_TYPES.contains(&kind))
    };
    let sources = files.iter().filter(is_ours).map(SourceFile::read).collect::<Result<Vec<_>, _>>()?;
    for source in &sources {
        let kind = source.required("resourceType")?;
        let expected = format!("{kind}-{}.json", source.required("id")?);
        if expected != source.name {
            return Err(source.refuse("id", format!("the file must be called {expected}")));
        }
    }
    Ok(sources)
}

fn list_artifacts(sources: &[SourceFile<'_>]) -> Result<Vec<Artifact>, LoadError> {
    let read = |source: &SourceFile<'_>| {
        Artifact::read(source.text, &source.json).ok_or_else(|| source.refuse("id", "missing"))
    };
    sources.iter().map(read).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::path::Path;

    use super::idi::{IdiProfile, ProfileRequirement, validate_idi_patient};
    use super::*;

    /// The files of `profiles/`, with a change to one of them: what is found must be there.
    pub(crate) fn changed(name: &str, from: &str, to: &str) -> Result<Profiles, LoadError> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
        let mut files: Vec<(String, String)> = fs::read_dir(directory)
            .expect("profiles/")
            .map(|entry| entry.expect("entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .map(|path| {
                let name = path.file_name().expect("name").to_string_lossy().into_owned();
                (name, fs::read_to_string(&path).expect("file"))
            })
            .collect();
        if !name.is_empty() {
            let file = files.iter_mut().find(|(known, _)| known == name).expect(name);
            assert!(file.1.contains(from), "{name} has no {from}");
            file.1 = file.1.replacen(from, to, 1);
        }
        let list: Vec<_> = files.iter().map(|(name, text)| ProfileFile { name, text }).collect();
        Profiles::load(&list)
    }

    pub(crate) fn shipped() -> &'static Profiles {
        static SHIPPED: std::sync::LazyLock<Profiles> =
            std::sync::LazyLock::new(|| changed("", "", "").unwrap_or_else(|error| panic!("{error}")));
        &SHIPPED
    }

    pub(crate) fn parsed(text: &str) -> Value<'_> {
        json::parse(text.as_bytes(), &Limits::DEFAULT).unwrap_or_else(|issue| panic!("{issue:?}: {text}"))
    }

    pub(crate) fn fixture(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/guide").join(name);
        fs::read_to_string(path).expect(name)
    }

    #[test]
    fn the_guides_examples_are_judged_as_the_guide_judges_them() {
        let table = [
            ("patient-base.json", IdiProfile::Base, true),
            ("patient-l0.json", IdiProfile::L0, true),
            ("patient-l1.json", IdiProfile::L1, true),
            ("patient-l2.json", IdiProfile::L2, true),
            ("patient-incomplete.json", IdiProfile::L1, false),
        ];
        for (name, claimed, accepted) in table {
            let text = fixture(name);
            let patient = parsed(&text);
            assert_eq!(shipped().validate_base(&patient), [], "{name}");
            let result = validate_idi_patient(shipped(), &patient, ProfileRequirement::Required);
            assert_eq!(
                (result.claimed, result.is_accepted()),
                (Some(claimed), accepted),
                "{name}: {:?}",
                result.issues
            );
        }
        let text = fixture("request-l1.json");
        let url = format!("{GUIDE_CANONICAL_BASE}/StructureDefinition/idi-match-input-parameters");
        assert_eq!(shipped().validate(&parsed(&text), &url), []);
    }

    const BASE_FILE: &str = "StructureDefinition-IDI-Patient.json";
    const IDI_2: &str = "family.exists() or given.exists()";
    /// Where a member may be put in an element of the base profile.
    const BIRTH_DATE: &str = r#""path": "Patient.birthDate","#;

    fn base(profiles: &Profiles, patient: &str) -> Vec<String> {
        let url = IdiProfile::Base.canonical();
        let issues = profiles.validate(&parsed(patient), &url);
        issues.iter().map(|issue| format!("{} {}", issue.code.code(), issue.expression.join(" "))).collect()
    }

    #[test]
    fn an_invariant_added_to_another_element_is_enforced() {
        let patient = r#"{"resourceType":"Patient","telecom":[{"system":"phone","value":"1"},{"system":"email"}]}"#;
        assert_eq!(base(shipped(), patient), [""; 0]);
        let from = r#""path": "Patient.telecom","#;
        let rule = r#""constraint":[{"key":"t-1","severity":"error","human":"A value is needed.","expression":"value.exists()"}],"#;
        let profiles = changed(BASE_FILE, from, &format!("{from}{rule}")).expect("loads");
        assert_eq!(base(&profiles, patient), ["invariant Patient.telecom[1]"]);
        let warning = rule.replace("error", "warning");
        let profiles = changed(BASE_FILE, from, &format!("{from}{warning}")).expect("loads");
        let issues = profiles.validate(&parsed(patient), &IdiProfile::Base.canonical());
        assert_eq!(issues.len(), 1);
        assert!(!issues[0].is_error());
    }

    #[test]
    fn a_changed_threshold_is_enforced() {
        let text = fixture("patient-l0.json");
        let patient = parsed(&text);
        let url = IdiProfile::L0.canonical();
        assert_eq!(shipped().validate(&patient, &url), []);
        let profiles = changed("StructureDefinition-IDI-Patient-L0.json", ">= 9\"", ">= 20\"").expect("loads");
        let issues = profiles.validate(&patient, &url);
        assert_eq!(issues.len(), 1);
        assert!(issues[0].is_error() && issues[0].diagnostics.starts_with("idi-L0: "), "{issues:?}");
    }

    #[test]
    fn a_changed_weight_is_enforced() {
        let text = fixture("patient-l0.json");
        let judge = |profiles: &Profiles| validate_idi_patient(profiles, &parsed(&text), ProfileRequirement::Required);
        assert_eq!((judge(shipped()).weight.total, judge(shipped()).is_accepted()), (14, true));
        let profiles = changed("input-weights.json", r#""pointsEach": 5"#, r#""pointsEach": 1"#).expect("loads");
        assert_eq!((judge(&profiles).weight.total, judge(&profiles).is_accepted()), (10, true));
        let profiles = changed("input-weights.json", r#""minimum": 9"#, r#""minimum": 15"#).expect("loads");
        assert_eq!((judge(&profiles).weight.total, judge(&profiles).is_accepted()), (14, false));
    }

    #[test]
    fn what_cannot_be_enforced_stops_the_start_with_file_element_and_reason() {
        let value_set = "ValueSet-Identity-Identifier-vs.json";
        let input = "StructureDefinition-idi-match-input-parameters.json";
        let put = |member: &str| format!("{BIRTH_DATE}{member},");
        let table: &[(&str, &str, &str, &str, &str)] = &[
            (BASE_FILE, IDI_2, "family.exist()", "Patient.name", "exist()"),
            (BASE_FILE, IDI_2, "famly.exists()", "Patient.name", "famly"),
            (BASE_FILE, BIRTH_DATE, &put(r#""maxLength":3"#), "Patient.birthDate", "maxLength"),
            (BASE_FILE, BIRTH_DATE, &put(r#""minValueDate":"1900-01-01""#), "Patient.birthDate", "minValueDate"),
            (BASE_FILE, BIRTH_DATE, &put(r#""isModifier":true"#), "Patient.birthDate", "isModifier"),
            (BASE_FILE, BIRTH_DATE, &put(r#""min":-1"#), "Patient.birthDate", "min"),
            (BASE_FILE, BIRTH_DATE, &put(r#""max":"many""#), "Patient.birthDate", "max"),
            (
                BASE_FILE,
                BIRTH_DATE,
                &put(r#""type":[{"code":"string"}]"#),
                "Patient.birthDate",
                "does not allow string",
            ),
            (BASE_FILE, BIRTH_DATE, r#""path": "Patient.birthdate","#, "Patient.birthDate", "not the path"),
            (BASE_FILE, r#""id": "Patient.birthDate","#, "", "Patient.birthDate", "no id"),
            (BASE_FILE, r#""id": "Patient.photo""#, r#""id": "Patient.gender""#, "Patient.gender", "not the path"),
            (BASE_FILE, "extensible", "strong", "Patient.identifier.type", "strength"),
            (
                BASE_FILE,
                "ValueSet/Identity-Identifier-vs",
                "ValueSet/none",
                "Patient.identifier.type",
                "not among the files",
            ),
            (BASE_FILE, r#""severity": "error""#, r#""severity": "fatal""#, "Patient", "severity"),
            (
                BASE_FILE,
                r#""derivation": "constraint""#,
                r#""derivation": "specialization""#,
                "derivation",
                "constraint",
            ),
            (BASE_FILE, "4.0.1", "5.0.0", "fhirVersion", "4.0.1"),
            (BASE_FILE, r#""kind""#, r#""contextInvariant":["x"],"kind""#, "contextInvariant", "not supported"),
            (BASE_FILE, "StructureDefinition/Patient", "StructureDefinition/None", "baseDefinition", "neither"),
            (BASE_FILE, r#""id": "IDI-Patient""#, r#""id": "other""#, "id", "must be called"),
            (BASE_FILE, r#""abstract""#, r#""kind""#, "StructureDefinition.kind", "same name"),
            (BASE_FILE, "{", "x{", "(document)", "not valid JSON"),
            (value_set, r#""system""#, r#""filter":[],"system""#, "ValueSet.compose.include.filter", "not supported"),
            (value_set, "v2-0203", "v2-9999", "ValueSet.compose.include.system", "not among the files"),
            (input, r#""type": "value""#, r#""type": "exists""#, "Parameters.parameter", "discriminator"),
            (input, r#""rules": "open""#, r#""rules": "openAtEnd""#, "Parameters.parameter", "rules"),
            (input, r#""fixedString": "count""#, r#""short": "count""#, "Parameters.parameter:count", "discriminator"),
            (
                input,
                "StructureDefinition/IDI-Patient-L0",
                "StructureDefinition/none",
                "Parameters.parameter:patient.resource",
                "not among",
            ),
            ("input-weights.json", r#""points": 3"#, r#""point": 3"#, "(document)", "point"),
            ("input-weights.json", "IDI-Patient-L0", "IDI-Patient-L7", "levels.profiles", "IDI-Patient-L7"),
        ];
        for (file, from, to, element, reason) in table {
            let error = changed(file, from, to).err().unwrap_or_else(|| panic!("{file}: {to} is accepted"));
            assert_eq!((error.file.as_str(), error.element.as_str()), (*file, *element), "{to}: {error}");
            assert!(error.reason.contains(reason), "{to}: {error}");
        }
    }

    #[test]
    fn a_missing_table_stops_the_start_and_foreign_files_do_not() {
        let error = Profiles::load(&[ProfileFile { name: "README.md", text: "no JSON" }]).expect_err("refused");
        assert_eq!((error.file.as_str(), error.reason.as_str()), ("r4-elements.json", "missing"));
        assert!(changed("nicknames.json", "{", "[").is_ok());
    }

    #[test]
    fn every_shipped_file_is_served_and_has_the_shape_of_base_r4() {
        let mut count = 0;
        for kind in ARTIFACT_TYPES {
            for artifact in shipped().list_artifacts(kind) {
                assert_eq!(shipped().validate_base(&parsed(&artifact.json)), [], "{kind}/{}", artifact.id);
                let is_named = artifact.url.is_some() || !artifact.unique_ids.is_empty();
                assert!(is_named, "{kind}/{}", artifact.id);
                count += 1;
            }
        }
        assert!(count >= 26, "{count}");
        let systems = shipped().find_artifact("NamingSystem", "HL7PersonIdentifier").expect("shipped");
        assert_eq!(systems.unique_ids, ["http://hl7.org/fhir/us/identity-matching/ns/HL7PersonIdentifier"]);
        assert!(shipped().find_artifact("ValueSet", "HL7PersonIdentifier").is_none());
    }

    #[test]
    fn a_person_who_makes_a_request_has_a_name() {
        let url = format!("{GUIDE_CANONICAL_BASE}/StructureDefinition/FASTIDUDAPPerson");
        assert!(
            shipped()
                .find_artifact("StructureDefinition", "FASTIDUDAPPerson")
                .is_some_and(|a| a.url == Some(url.clone()))
        );
        let name = r#""name":[{"text":"Ada Ng"}]"#;
        let typed = r#""type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]}"#;
        let table: &[(String, &[&str])] = &[
            (name.to_owned(), &[]),
            (r#""name":[{"family":"Ng"},{"given":["Ada"]}],"birthDate":"1980""#.to_owned(), &[]),
            (format!(r#"{name},"identifier":[{{{typed},"system":"urn:a","value":"1"}}]"#), &[]),
            (r#""birthDate":"1980""#.to_owned(), &["required Person"]),
            (r#""name":[{"use":"usual"}]"#.to_owned(), &["invariant Person.name[0]"]),
            (format!(r#"{name},"identifier":[{{"value":"1"}}]"#), &["required Person.identifier[0]"]),
            (format!(r#"{name},"identifier":[{{{typed}}}]"#), &["required Person.identifier[0]"]),
        ];
        for (members, expected) in table {
            let person = format!(r#"{{"resourceType":"Person",{members}}}"#);
            let issues = shipped().validate(&parsed(&person), &url);
            let found: Vec<_> =
                issues.iter().map(|i| format!("{} {}", i.code.code(), i.expression.join(" "))).collect();
            assert_eq!(found, *expected, "{members}");
        }
    }

    #[test]
    fn a_profile_is_known_with_and_without_a_version_and_an_unknown_one_is_an_issue() {
        let url = IdiProfile::L1.canonical();
        assert!(shipped().is_known(&url) && shipped().is_known(&format!("{url}|2.0.0")));
        assert!(!shipped().is_known("http://x"));
        let issues = shipped().validate(&parsed(r#"{"resourceType":"Patient"}"#), "http://x");
        assert_eq!(issues.iter().map(|issue| issue.code).collect::<Vec<_>>(), [IssueCode::NotSupported]);
    }
}
