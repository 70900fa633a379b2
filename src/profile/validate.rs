//! Applies a profile to a resource (FHIR R4 Profiling).
//!
//! What: one walk over the rules of the profile, not over the document, so that the cost is that of the rules. An
//! invariant that cannot be evaluated counts as broken, and the issue says so. Not here: base R4 (see `shape`), reading
//! the rules (see `definition`), extensions that no rule names.
//!
//! | problem | issue code |
//! |---|---|
//! | too few | `required` |
//! | too many, wrong type, in no slice | `structure` |
//! | not the fixed value or pattern | `value` |
//! | not in the value set | `code-invalid` |
//! | invariant | `invariant` |

use super::Profiles;
use super::definition::{Binding, Child, Definition, Invariant, Rule, TypeRule};
use super::fhirpath::Item;
use super::slicing::Rest;
use super::terminology::ValueSet;
use crate::fhir::issue::{Issue, IssueCode, Severity};
use crate::fhir::json::Value;
use crate::fhir::path::Path;

/// A problem, and the invariant that found it.
#[derive(Debug)]
pub struct Finding<'p> {
    pub issue: Issue,
    pub invariant: Option<&'p str>,
}

impl Finding<'_> {
    #[must_use]
    pub const fn plain(issue: Issue) -> Self {
        Self { issue, invariant: None }
    }
}

/// More warnings or more errors than this are counted, not listed.
const ISSUES_MAX: usize = 100;

/// Profiles within profiles.
const NESTING_MAX: usize = 8;

/// One repetition of an element: a primitive may consist of extensions alone.
#[derive(Clone, Copy)]
struct Instance<'v> {
    value: Option<&'v Value<'v>>,
    extensions: Option<&'v Value<'v>>,
    type_name: &'v str,
    name: &'v str,
    /// Missing if the element does not repeat.
    index: Option<usize>,
}

/// Judges `resource` by `definition` and the profiles it derives from.
pub fn validate<'p>(profiles: &'p Profiles, definition: &'p Definition, resource: &Value<'_>) -> Vec<Finding<'p>> {
    let mut walk = Walk { profiles, findings: Vec::new(), unlisted: 0, nesting: 0 };
    walk.resource(definition, resource, &Path::root(&definition.constrained_type));
    if walk.unlisted > 0 {
        let text = format!("{} more problems are not listed.", walk.unlisted);
        walk.findings.push(Finding::plain(Issue::information(IssueCode::TooCostly, text)));
    }
    walk.findings
}

struct Walk<'p> {
    profiles: &'p Profiles,
    findings: Vec<Finding<'p>>,
    /// Problems beyond [`ISSUES_MAX`].
    unlisted: usize,
    nesting: usize,
}

impl<'p> Walk<'p> {
    /// The text is written only if there is room for it: a hostile document can have thousands of problems.
    fn report(&mut self, severity: Severity, code: IssueCode, path: &Path<'_>, text: impl FnOnce() -> String) {
        if self.has_room(severity) {
            self.findings.push(Finding::plain(Issue::new(severity, code, text()).at(path)));
        } else {
            self.unlisted += 1;
        }
    }

    /// Errors have their own share of the list: no number of warnings may hide one.
    fn has_room(&self, severity: Severity) -> bool {
        let errors = || self.findings.iter().filter(|listed| listed.issue.is_error()).count();
        self.findings.len() < ISSUES_MAX || (severity == Severity::Error && errors() < ISSUES_MAX)
    }

    fn resource(&mut self, definition: &'p Definition, resource: &Value<'_>, path: &Path<'_>) {
        let is_resource = self.profiles.shapes.is_resource(&definition.constrained_type);
        if is_resource && resource.text("resourceType") != Some(&definition.constrained_type) {
            return self.report(Severity::Error, IssueCode::Structure, path, || {
                format!("A resource of type {} is needed here.", definition.constrained_type)
            });
        }
        let mut next = Some(definition);
        while let Some(definition) = next {
            let instance = Instance {
                value: Some(resource),
                extensions: None,
                type_name: &definition.constrained_type,
                name: "",
                index: None,
            };
            self.instance(&definition.root, resource, instance, path);
            next = definition.base.as_ref().and_then(|base| self.profiles.definitions.get(base));
        }
    }

    /// Everything that `rule` says about one repetition, apart from how many there may be.
    fn instance(&mut self, rule: &'p Rule, resource: &Value<'_>, instance: Instance<'_>, path: &Path<'_>) {
        for invariant in &rule.invariants {
            self.invariant(invariant, resource, instance, path);
        }
        let Some(value) = instance.value else { return };
        if rule.required_value.as_ref().is_some_and(|required| !required.accepts(value)) {
            self.report(Severity::Error, IssueCode::Value, path, || {
                format!("{} does not have the value that the profile fixes.", rule.id)
            });
        }
        if let Some(binding) = &rule.binding {
            self.binding(rule, binding, value, path);
        }
        if !rule.types.is_empty() {
            self.types(rule, value, instance.type_name, path);
        }
        for child in &rule.children {
            self.child(child, resource, value, path);
        }
    }

    fn child(&mut self, child: &'p Child, resource: &Value<'_>, parent: &Value<'_>, path: &Path<'_>) {
        let instances = instances(child, parent);
        self.count(&child.rule, instances.len(), path);
        let mut per_slice = vec![0; child.rule.slices.len()];
        for instance in instances {
            let member = path.member(instance.name);
            let place = instance.index.map_or(member, |index| member.index(index));
            self.instance(&child.rule, resource, instance, &place);
            let Some(slicing) = &child.rule.slicing else { continue };
            match instance.value.and_then(|value| slicing.find_slice(value)) {
                Some(slice) => {
                    per_slice[slice] += 1;
                    self.instance(&child.rule.slices[slice].1, resource, instance, &place);
                }
                None if slicing.rest == Rest::Closed => {
                    self.report(Severity::Error, IssueCode::Structure, &place, || {
                        format!("{} belongs to none of the slices that the profile allows.", child.rule.id)
                    });
                }
                None => {}
            }
        }
        for ((_, slice), count) in child.rule.slices.iter().zip(per_slice) {
            self.count(slice, count, path);
        }
    }

    fn count(&mut self, rule: &Rule, count: usize, path: &Path<'_>) {
        if let Some(min) = rule.min.filter(|min| count < *min) {
            self.report(Severity::Error, IssueCode::Required, path, || {
                format!("{} is needed at least {min} time(s) here, and is there {count} time(s).", rule.id)
            });
        }
        if let Some(max) = rule.max.filter(|max| count > *max) {
            self.report(Severity::Error, IssueCode::Structure, path, || {
                format!("{} is allowed at most {max} time(s) here, and is there {count} time(s).", rule.id)
            });
        }
    }

    fn invariant(&mut self, invariant: &'p Invariant, resource: &Value<'_>, instance: Instance<'_>, path: &Path<'_>) {
        let context = Item::Element { value: instance.value, extensions: instance.extensions };
        let held = invariant.expression.holds(resource, context);
        if held == Ok(Some(true)) {
            return;
        }
        if !self.has_room(invariant.severity) {
            self.unlisted += 1;
            return;
        }
        let text = match held {
            Ok(_) => format!("{}: {}", invariant.key, invariant.human),
            Err(error) => {
                format!("{}: {} (The expression could not be evaluated: {error}.)", invariant.key, invariant.human)
            }
        };
        let issue = Issue::new(invariant.severity, IssueCode::Invariant, text).at(path);
        self.findings.push(Finding { issue, invariant: Some(&invariant.key) });
    }

    fn binding(&mut self, rule: &Rule, binding: &Binding, value: &Value<'_>, path: &Path<'_>) {
        let value_set = self.profiles.terminology.find_value_set(&binding.value_set);
        if value_set.is_none_or(|value_set| is_bound(value_set, value)) {
            return;
        }
        self.report(binding.severity, IssueCode::CodeInvalid, path, || {
            format!("{} has no code of the value set {}.", rule.id, binding.value_set)
        });
    }

    fn types(&mut self, rule: &'p Rule, value: &Value<'_>, type_name: &str, path: &Path<'_>) {
        let actual = value.text("resourceType").filter(|_| type_name == "Resource").unwrap_or(type_name);
        let Some(found) = rule.types.iter().find(|of| of.code == actual) else {
            let allowed: Vec<_> = rule.types.iter().map(|of| of.code.as_str()).collect();
            return self.report(Severity::Error, IssueCode::Structure, path, || {
                format!("{} must be of type {}.", rule.id, allowed.join(" or "))
            });
        };
        if found.profiles.is_empty() {
            return;
        }
        if self.nesting < NESTING_MAX {
            self.nesting += 1;
            self.profiles_of_type(found, value, path);
            self.nesting -= 1;
        } else {
            let text = || "Profiled resources are nested too deeply to be judged.".to_owned();
            self.report(Severity::Error, IssueCode::TooCostly, path, text);
        }
    }

    /// One of the profiles must hold. Those that the resource claims must hold, all of them: what is claimed is what is
    /// judged. If none holds, the problems with the first are reported.
    fn profiles_of_type(&mut self, of: &'p TypeRule, value: &Value<'_>, path: &Path<'_>) {
        let claims: Vec<_> = claims(value).collect();
        let claimed: Vec<_> = of.profiles.iter().filter(|profile| claims.contains(&profile.as_str())).collect();
        let (before, unlisted) = (self.findings.len(), self.unlisted);
        for profile in &claimed {
            self.profile(profile, value, path);
        }
        if !claimed.is_empty() {
            return;
        }
        let mut first: Option<Vec<Finding<'p>>> = None;
        for profile in &of.profiles {
            self.profile(profile, value, path);
            let found = self.findings.split_off(before);
            if !found.iter().any(|finding| finding.issue.is_error()) {
                self.findings.extend(found);
                return;
            }
            self.unlisted = unlisted;
            first.get_or_insert(found);
        }
        self.findings.extend(first.unwrap_or_default());
    }

    fn profile(&mut self, profile: &str, value: &Value<'_>, path: &Path<'_>) {
        if let Some(definition) = self.profiles.definitions.get(profile) {
            self.resource(definition, value, path);
        }
    }
}

/// `meta.profile` without versions.
pub fn claims<'v>(resource: &'v Value<'_>) -> impl Iterator<Item = &'v str> {
    let profiles = resource.get("meta").map(|meta| meta.list("profile")).unwrap_or_default();
    profiles.iter().filter_map(Value::as_str).map(super::terminology::without_version)
}

fn instances<'v>(child: &'v Child, parent: &'v Value<'v>) -> Vec<Instance<'v>> {
    let mut found = Vec::new();
    for member in &child.members {
        let (value, sibling) = (parent.get(&member.name), parent.get(&member.sibling));
        let mut push = |value: Option<&'v Value<'v>>, extensions: Option<&'v Value<'v>>, index| {
            let value = value.filter(|value| !matches!(value, Value::Null));
            let extensions = extensions.filter(|extensions| !matches!(extensions, Value::Null));
            if value.is_some() || extensions.is_some() {
                found.push(Instance { value, extensions, type_name: &member.type_name, name: &member.name, index });
            }
        };
        match (value, sibling) {
            (Some(Value::Array(_)), _) | (None, Some(Value::Array(_))) => {
                let (values, siblings) = (parent.list(&member.name), parent.list(&member.sibling));
                for at in 0..values.len().max(siblings.len()) {
                    push(values.get(at), siblings.get(at), Some(at));
                }
            }
            _ => push(value, sibling, None),
        }
    }
    found
}

/// A code, a Coding, or a CodeableConcept with at least one coding, of the value set.
fn is_bound(value_set: &ValueSet, value: &Value<'_>) -> bool {
    match value {
        Value::String(code) => value_set.contains(None, code),
        Value::Object(_) if value.get("code").is_some() => is_bound_coding(value_set, value),
        _ => value.list("coding").iter().any(|coding| is_bound_coding(value_set, coding)),
    }
}

fn is_bound_coding(value_set: &ValueSet, coding: &Value<'_>) -> bool {
    let code = coding.text("code");
    code.is_some_and(|code| coding.text("system").is_some_and(|system| value_set.contains(Some(system), code)))
}

#[cfg(test)]
mod tests {
    use crate::profile::tests::{changed, parsed, shipped};
    use crate::profile::{GUIDE_CANONICAL_BASE, Profiles};

    fn judge(profiles: &Profiles, name: &str, text: &str) -> Vec<String> {
        let url = format!("{GUIDE_CANONICAL_BASE}/StructureDefinition/{name}");
        let issues = profiles.validate(&parsed(text), &url);
        let shown = |issue: &crate::fhir::issue::Issue| {
            format!("{} {} {}", issue.severity.code(), issue.code.code(), issue.expression.join(","))
        };
        issues.iter().map(shown).collect()
    }

    const V2: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";

    #[test]
    fn element_rules_of_idi_patient_are_enforced_where_they_stand() {
        let typed = |system: &str, code: &str| {
            format!(r#"{{"value":"1","type":{{"coding":[{{"system":"{system}","code":"{code}"}}]}}}}"#)
        };
        let own = "http://hl7.org/fhir/us/identity-matching/CodeSystem/Identity-Identifier-cs";
        let patient = |members: &str| format!(r#"{{"resourceType":"Patient",{members}}}"#);
        let table: &[(String, &[&str])] = &[
            (format!(r#""identifier":[{}]"#, typed(V2, "MR")), &[]),
            (format!(r#""identifier":[{},{}]"#, typed(own, "STID"), typed(own, "SSN4")), &[]),
            (format!(r#""identifier":[{}]"#, typed(V2, "ZZZZ")), &["warning code-invalid Patient.identifier[0].type"]),
            (
                format!(r#""identifier":[{}]"#, typed("http://x", "MR")),
                &["warning code-invalid Patient.identifier[0].type"],
            ),
            (
                r#""identifier":[{"value":"1","type":{"text":"x"}}]"#.into(),
                &["warning code-invalid Patient.identifier[0].type"],
            ),
            (r#""identifier":[{"value":"1"}]"#.into(), &["error required Patient.identifier[0]"]),
            (
                format!(r#""identifier":[{},{{"system":"http://x"}}]"#, typed(V2, "MR")),
                &["error required Patient.identifier[1]", "error required Patient.identifier[1]"],
            ),
            (
                r#""birthDate":"1980","name":[{"given":["A"]},{"text":"A B"}]"#.into(),
                &["error invariant Patient.name[1]"],
            ),
            (r#""gender":"male""#.into(), &["error invariant Patient"]),
            (r#""name":[{"family":"A"}]"#.into(), &["error invariant Patient"]),
            (r#""name":[{"family":"A"},{"given":["B"]}]"#.into(), &[]),
            (r#""address":[{"line":["1"]},{"city":"B"}]"#.into(), &[]),
            (r#""address":[{"line":["1"],"postalCode":"1"}]"#.into(), &["error invariant Patient"]),
            (r#""telecom":[{"system":"phone"}]"#.into(), &[]),
        ];
        for (members, expected) in table {
            assert_eq!(judge(shipped(), "IDI-Patient", &patient(members)), *expected, "{members}");
        }
        assert_eq!(judge(shipped(), "IDI-Patient", r#"{"resourceType":"Person"}"#), ["error structure Patient"]);
    }

    #[test]
    fn the_parameters_of_a_request_are_told_apart_by_name() {
        let patient = r#"{"name":"IDIPatient","resource":{"resourceType":"Patient","birthDate":"1980-01-01"}}"#;
        let request = |parameters: &str| format!(r#"{{"resourceType":"Parameters","parameter":[{parameters}]}}"#);
        let claim = format!("{GUIDE_CANONICAL_BASE}/StructureDefinition/IDI-Patient-L1");
        let claiming =
            patient.replace(r#""birthDate""#, &format!(r#""meta":{{"profile":["{claim}|2.0.0"]}},"birthDate""#));
        let table: &[(String, &[&str])] = &[
            (patient.into(), &[]),
            (format!(r#"{patient},{{"name":"x","valueString":"y"}}"#), &[]),
            (format!(r#"{patient},{{"name":"count","valueInteger":3}}"#), &[]),
            (
                format!(r#"{patient},{{"name":"count","valueInteger":0}}"#),
                &["error invariant Parameters.parameter[1].valueInteger"],
            ),
            (
                format!(r#"{patient},{{"name":"count","valueString":"3"}}"#),
                &[
                    "error invariant Parameters.parameter[1].valueString",
                    "error structure Parameters.parameter[1].valueString",
                ],
            ),
            (format!(r#"{patient},{{"name":"onlySingleMatch"}}"#), &["error required Parameters.parameter[1]"]),
            (format!("{patient},{patient}"), &["error structure Parameters"]),
            (r#"{"name":"patient","valueString":"x"}"#.into(), &["error required Parameters"]),
            (patient.replace("birthDate", "deceasedDateTime"), &["error invariant Parameters.parameter[0].resource"]),
            (patient.replace("Patient\",\"b", "Person\",\"b"), &["error structure Parameters.parameter[0].resource"]),
            (claiming, &["error invariant Parameters.parameter[0].resource"]),
        ];
        for (parameters, expected) in table {
            assert_eq!(judge(shipped(), "idi-match-input-parameters", &request(parameters)), *expected, "{parameters}");
        }
    }

    const BUNDLE: &str = r#"{"resourceType":"Bundle","identifier":{"system":"urn:ietf:rfc:3986","value":"urn:uuid:1",
        "assigner":{"reference":"https://h/fhir/Organization/o"}},"type":"searchset","timestamp":"2026-01-01T00:00:00Z",
        "total":1,"link":[{"relation":"self","url":"https://h/fhir"}],"entry":[
        {"fullUrl":"https://h/fhir/Organization/o","resource":{"resourceType":"Organization"},"search":{"mode":"include"}},
        {"fullUrl":"https://h/fhir/Patient/p","resource":{"resourceType":"Patient"},"search":{"extension":[
          {"url":"http://hl7.org/fhir/StructureDefinition/match-grade","valueCode":"certain"},
          {"url":"https://idi-match.example/StructureDefinition/match-probability","valueDecimal":0.5},
          {"url":"https://idi-match.example/StructureDefinition/attribute-results","extension":[
            {"url":"family","valueCode":"exact"}]},
          {"url":"https://idi-match.example/StructureDefinition/stewardship","valueCode":"automatic"}],
          "mode":"match","score":0.99}}]}"#;

    #[test]
    fn the_answer_is_judged_by_the_kind_of_its_entries() {
        let table: &[(&str, &str, &[&str])] = &[
            ("", "", &[]),
            ("searchset", "collection", &["error value Bundle.type"]),
            (r#""total":1"#, r#""total":2"#, &["error invariant Bundle"]),
            (r#""fullUrl":"https:"#, r#""fullUrl":"urn:"#, &["error invariant Bundle"]),
            (
                r#""resourceType":"Organization""#,
                r#""resourceType":"Person""#,
                &["error structure Bundle.entry[0]", "error required Bundle"],
            ),
            ("include", "match", &["error value Bundle.entry[0].search.mode"]),
            (r#","score":0.99"#, "", &["error required Bundle.entry[1].search"]),
            (
                r#""valueDecimal":0.5"#,
                r#""valueString":"x""#,
                &["error structure Bundle.entry[1].search.extension[1].valueString"],
            ),
            (
                r#""valueCode":"exact""#,
                r#""valueCode":"same""#,
                &["error code-invalid Bundle.entry[1].search.extension[2].extension[0].valueCode"],
            ),
            ("hl7.org/fhir/StructureDefinition/match-grade", "x", &["error required Bundle.entry[1].search"]),
            (
                r#""assigner":{"reference":"https://h/fhir/Organization/o"}"#,
                r#""use":"temp""#,
                &["error required Bundle.identifier"],
            ),
        ];
        for (from, to, expected) in table {
            assert!(BUNDLE.contains(from), "{from}");
            assert_eq!(judge(shipped(), "idi-match-bundle", &BUNDLE.replacen(from, to, 1)), *expected, "{to}");
        }
        let parameters =
            format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"IDIMatchBundle","resource":{BUNDLE}}}]}}"#);
        assert_eq!(judge(shipped(), "idi-match-output-parameters", &parameters), [""; 0]);
        let wrong = parameters.replacen("searchset", "collection", 1);
        assert_eq!(
            judge(shipped(), "idi-match-output-parameters", &wrong),
            ["error value Parameters.parameter[0].resource.type"]
        );
    }

    #[test]
    fn many_problems_are_counted_and_warnings_hide_no_error() {
        let warned = r#"{"value":"1","type":{"text":"x"}}"#;
        let identifiers = vec![warned; 500].join(",");
        let patient =
            format!(r#"{{"resourceType":"Patient","identifier":[{identifiers}],"name":[{{"use":"usual"}}]}}"#);
        let found = judge(shipped(), "IDI-Patient", &patient);
        assert_eq!(found.len(), 102);
        assert_eq!(found[100..], ["error invariant Patient.name[0]", "information too-costly "]);
        let bare = vec!["{\"use\":\"usual\"}"; 500].join(",");
        let found = judge(shipped(), "IDI-Patient", &format!(r#"{{"resourceType":"Patient","identifier":[{bare}]}}"#));
        assert_eq!(found.len(), 101);
    }

    #[test]
    fn an_invariant_that_cannot_be_evaluated_counts_as_broken_and_says_so() {
        let file = "StructureDefinition-IDI-Patient.json";
        let profiles = changed(file, "identifier.exists() or telecom.exists()", "identifier.type.coding.code > 'A'")
            .expect("loads");
        let patient = format!(
            r#"{{"resourceType":"Patient","birthDate":"1980","identifier":[{{"value":"1","type":{{"coding":[
            {{"system":"{V2}","code":"DL"}},{{"system":"{V2}","code":"MR"}}]}}}}]}}"#
        );
        let issues =
            profiles.validate(&parsed(&patient), &format!("{GUIDE_CANONICAL_BASE}/StructureDefinition/IDI-Patient"));
        assert_eq!(issues.len(), 1);
        assert!(issues[0].is_error() && issues[0].diagnostics.contains("could not be evaluated"), "{issues:?}");
    }

    #[test]
    fn a_profile_that_derives_from_another_has_its_rules_too() {
        let from = "http://hl7.org/fhir/StructureDefinition/Patient";
        let to = format!("{GUIDE_CANONICAL_BASE}/StructureDefinition/IDI-Patient");
        let profiles = changed("StructureDefinition-IDI-Patient-L0.json", from, &to).expect("loads");
        let found = judge(&profiles, "IDI-Patient-L0", r#"{"resourceType":"Patient","gender":"male"}"#);
        assert_eq!(found, ["error invariant Patient", "error invariant Patient"]);
        let circle = changed("StructureDefinition-IDI-Patient.json", from, &to).expect_err("refused");
        assert!(circle.reason.contains("circle"), "{circle}");
    }
}
