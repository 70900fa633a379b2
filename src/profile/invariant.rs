//! The invariants of base R4, as `profiles/r4-invariants.json` states them.
//!
//! What: expressions that belong to a type and are judged wherever it stands, on documents that have the base shape. Why
//! beside `shape`: what one element can be wrong about is found there (`ele-1`, `ext-1`, `dom-2`); these need several.
//! Not here: constraints of profiles (see `validate`).

use std::collections::HashMap;

use serde::Deserialize;

use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::json::Value;

use super::fhirpath::{Expression, Item};
use super::shape::visit::Visited;
use super::shape::{Kind, Shapes};
use super::{LoadError, ProfileFile};

/// More problems than this are counted, not listed.
const ISSUES_MAX: usize = 100;

/// Every resource but Bundle, Parameters and Binary is one.
const DOMAIN_RESOURCE: &str = "DomainResource";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "source")]
    _source: String,
    invariants: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    key: String,
    /// Types, or paths of elements that have children of their own.
    on: Vec<String>,
    human: String,
    expression: String,
    /// Why the expression is not the published one.
    #[serde(default, rename = "differs")]
    _differs: Option<String>,
}

/// By the name of a type.
#[derive(Debug)]
pub struct Invariants {
    of_type: HashMap<String, Vec<Invariant>>,
}

#[derive(Debug)]
struct Invariant {
    key: String,
    human: String,
    expression: Expression,
}

impl Invariants {
    /// Reads the table.
    ///
    /// # Errors
    /// The first row that cannot be enforced.
    pub fn read(file: &ProfileFile<'_>, shapes: &Shapes) -> Result<Self, LoadError> {
        let refuse = |element: &str, reason: String| LoadError {
            file: file.name.to_owned(),
            element: element.to_owned(),
            reason,
        };
        let rows: File = serde_json::from_str(file.text).map_err(|error| refuse("(document)", error.to_string()))?;
        let mut of_type: HashMap<String, Vec<Invariant>> = HashMap::new();
        for row in rows.invariants {
            for on in &row.on {
                let invariant = row.compile(on, shapes).map_err(|reason| refuse(&row.key, reason))?;
                of_type.entry(on.clone()).or_default().push(invariant);
            }
        }
        Ok(Self { of_type })
    }

    /// Every invariant that `resource`, which has the base shape, breaks.
    #[must_use]
    pub fn validate(&self, shapes: &Shapes, resource: &Value<'_>) -> Vec<Issue> {
        let (mut issues, mut unlisted) = (Vec::new(), 0_usize);
        shapes.visit(resource, &mut |visited| {
            for broken in self.list_broken(visited) {
                if issues.len() < ISSUES_MAX {
                    let text = format!("{}: {}", broken.key, broken.human);
                    issues.push(Issue::error(IssueCode::Invariant, text).at(visited.path));
                } else {
                    unlisted += 1;
                }
            }
        });
        if unlisted > 0 {
            let text = format!("{unlisted} more problems were found and are not listed.");
            issues.push(Issue::information(IssueCode::Informational, text));
        }
        issues
    }

    fn list_broken(&self, visited: &Visited<'_, '_>) -> Vec<&Invariant> {
        let own = self.of_type.get(visited.kind.name());
        let is_domain_resource = visited.kind.kind() == Kind::Resource && visited.value.get("contained").is_some();
        let of_all = self.of_type.get(DOMAIN_RESOURCE).filter(|_| is_domain_resource);
        let all = own.into_iter().chain(of_all).flatten();
        let (resource, value) = (visited.resource, visited.value);
        all.filter(|invariant| invariant.expression.holds(resource, Item::element(value)) != Ok(Some(true))).collect()
    }
}

impl Row {
    fn compile(&self, on: &str, shapes: &Shapes) -> Result<Invariant, String> {
        if shapes.find_type(on).is_none() {
            return Err(format!("{on} is no type of R4"));
        }
        let root = on.split('.').next().unwrap_or(on);
        // The resource around a datatype may be any that can contain others.
        let resource = if shapes.is_resource(root) { root } else { DOMAIN_RESOURCE };
        let expression = Expression::compile(&self.expression, shapes, resource, &[on.to_owned()])
            .map_err(|error| format!("{on}: {error}"))?;
        Ok(Invariant { key: self.key.clone(), human: self.human.clone(), expression })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::profile::tests::{changed, parsed, shipped};

    const FILE: &str = "r4-invariants.json";

    /// Key, a resource that meets it and one that breaks it and nothing else, and where.
    const TABLE: &[(&str, &str, &str, &str)] = &[
        (
            "org-1",
            r#"{"resourceType":"Organization","identifier":[{"value":"1"}]}"#,
            r#"{"resourceType":"Organization","active":true}"#,
            "Organization",
        ),
        (
            "org-2",
            r#"{"resourceType":"Organization","name":"a","address":[{"use":"work","city":"b"}]}"#,
            r#"{"resourceType":"Organization","name":"a","address":[{"use":"home","city":"b"}]}"#,
            "Organization",
        ),
        (
            "org-3",
            r#"{"resourceType":"Organization","name":"a","telecom":[{"system":"phone","use":"work","value":"1"}]}"#,
            r#"{"resourceType":"Organization","name":"a","telecom":[{"system":"phone","use":"home","value":"1"}]}"#,
            "Organization",
        ),
        (
            "pat-1",
            r#"{"resourceType":"Patient","contact":[{"gender":"male","organization":{"display":"a"}}]}"#,
            r#"{"resourceType":"Patient","contact":[{"name":{"text":"a"}},{"gender":"male"}]}"#,
            "Patient.contact[1]",
        ),
        (
            "per-1",
            r#"{"resourceType":"Patient","name":[{"period":{"start":"2020-01-15","end":"2020-01"}}]}"#,
            r#"{"resourceType":"Patient","name":[{"text":"a"},{"period":{"start":"2020-02","end":"2020-01-15"}}]}"#,
            "Patient.name[1].period",
        ),
        (
            "cpt-2",
            r#"{"resourceType":"Patient","telecom":[{"system":"phone","value":"1"},{"use":"home"}]}"#,
            r#"{"resourceType":"Patient","telecom":[{"value":"1"}]}"#,
            "Patient.telecom[0]",
        ),
        (
            "att-1",
            r#"{"resourceType":"Patient","photo":[{"contentType":"image/png","data":"aGk="},{"url":"http://x"}]}"#,
            r#"{"resourceType":"Patient","photo":[{"data":"aGk="}]}"#,
            "Patient.photo[0]",
        ),
        (
            "ref-1",
            r##"{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"a","partOf":{"reference":"#"}}],"managingOrganization":{"reference":"#o"},"generalPractitioner":[{"identifier":{"value":"1"}},{"reference":"Practitioner/1"}]}"##,
            r##"{"resourceType":"Patient","managingOrganization":{"reference":"#o"}}"##,
            "Patient.managingOrganization",
        ),
        (
            "dom-4",
            r##"{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"a","meta":{"source":"urn:a"}}],"managingOrganization":{"reference":"#o"}}"##,
            r##"{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"a","meta":{"versionId":"1"}}],"managingOrganization":{"reference":"#o"}}"##,
            "Patient",
        ),
        (
            "dom-5",
            r##"{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"a","meta":{"tag":[{"code":"a"}]}}],"managingOrganization":{"reference":"#o"}}"##,
            r##"{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"a","meta":{"security":[{"code":"a"}]}}],"managingOrganization":{"reference":"#o"}}"##,
            "Patient",
        ),
        (
            "inv-1",
            r#"{"resourceType":"Task","status":"draft","intent":"order","authoredOn":"2020-01-02","lastModified":"2020-01-02T10:00:00Z"}"#,
            r#"{"resourceType":"Task","status":"draft","intent":"order","authoredOn":"2020-01-02","lastModified":"2019"}"#,
            "Task",
        ),
        (
            "ppc-1",
            r#"{"resourceType":"Consent","status":"active","scope":{"text":"a"},"category":[{"text":"a"}],"policy":[{"uri":"urn:a"}]}"#,
            r#"{"resourceType":"Consent","status":"active","scope":{"text":"a"},"category":[{"text":"a"}]}"#,
            "Consent",
        ),
        (
            "sev-1",
            r#"{"resourceType":"AuditEvent","type":{"code":"a"},"recorded":"2020-01-01T00:00:00Z","agent":[{"requestor":true}],"source":{"observer":{"display":"a"}},"entity":[{"name":"a"}]}"#,
            r#"{"resourceType":"AuditEvent","type":{"code":"a"},"recorded":"2020-01-01T00:00:00Z","agent":[{"requestor":true}],"source":{"observer":{"display":"a"}},"entity":[{"name":"a","query":"aGk="}]}"#,
            "AuditEvent.entity[0]",
        ),
    ];

    /// The same for datatypes, as the value of an extension.
    const DATATYPES: &[(&str, &str, &str)] = &[
        ("qty-3", r#""valueQuantity":{"value":1,"unit":"a"}"#, r#""valueQuantity":{"value":1,"code":"kg"}"#),
        (
            "age-1",
            r#""valueAge":{"value":1,"code":"a","system":"http://unitsofmeasure.org"}"#,
            r#""valueAge":{"value":-1,"code":"a","system":"http://unitsofmeasure.org"}"#,
        ),
        (
            "cnt-3",
            r#""valueCount":{"value":3.0,"code":"1","system":"http://unitsofmeasure.org"}"#,
            r#""valueCount":{"value":3.5,"code":"1","system":"http://unitsofmeasure.org"}"#,
        ),
        (
            "dis-1",
            r#""valueDistance":{"value":3,"code":"m","system":"http://unitsofmeasure.org"}"#,
            r#""valueDistance":{"value":3,"code":"m","system":"urn:a"}"#,
        ),
        (
            "drt-1",
            r#""valueDuration":{"value":3,"code":"h","system":"http://unitsofmeasure.org"}"#,
            r#""valueDuration":{"code":"h","system":"http://unitsofmeasure.org"}"#,
        ),
        (
            "rat-1",
            r#""valueRatio":{"numerator":{"value":1},"denominator":{"value":2}}"#,
            r#""valueRatio":{"numerator":{"value":1}}"#,
        ),
        (
            "rng-2",
            r#""valueRange":{"low":{"value":1,"unit":"m"},"high":{"value":0.5,"unit":"km"}}"#,
            r#""valueRange":{"low":{"value":2,"system":"urn:a","code":"m"},"high":{"value":1,"system":"urn:a","code":"m"}}"#,
        ),
        ("sqty-1", r#""valueRange":{"low":{"value":2}}"#, r#""valueRange":{"low":{"value":2,"comparator":"<"}}"#),
        (
            "sqty-1",
            r#""valueSampledData":{"origin":{"value":2},"period":1,"dimensions":1}"#,
            r#""valueSampledData":{"origin":{"value":2,"comparator":"<"},"period":1,"dimensions":1}"#,
        ),
        (
            "exp-1",
            r#""valueExpression":{"language":"text/cql","reference":"urn:a"}"#,
            r#""valueExpression":{"language":"text/cql"}"#,
        ),
        (
            "drq-1",
            r#""valueDataRequirement":{"type":"Patient","codeFilter":[{"path":"a"}]}"#,
            r#""valueDataRequirement":{"type":"Patient","codeFilter":[{"path":"a","searchParam":"b"}]}"#,
        ),
        (
            "drq-2",
            r#""valueDataRequirement":{"type":"Patient","dateFilter":[{"searchParam":"a"}]}"#,
            r#""valueDataRequirement":{"type":"Patient","dateFilter":[{"valueDateTime":"2020"}]}"#,
        ),
        (
            "trd-1",
            r#""valueTriggerDefinition":{"type":"periodic","timingDate":"2020"}"#,
            r#""valueTriggerDefinition":{"type":"periodic","timingDate":"2020","data":[{"type":"Patient"}]}"#,
        ),
        (
            "trd-2",
            r#""valueTriggerDefinition":{"type":"data-added","data":[{"type":"Patient"}],"condition":{"language":"a","expression":"b"}}"#,
            r#""valueTriggerDefinition":{"type":"named-event","name":"a","condition":{"language":"a","expression":"b"}}"#,
        ),
        (
            "trd-3",
            r#""valueTriggerDefinition":{"type":"named-event","name":"a"}"#,
            r#""valueTriggerDefinition":{"type":"named-event"}"#,
        ),
        (
            "tim-1",
            r#""valueTiming":{"repeat":{"duration":1,"durationUnit":"h"}}"#,
            r#""valueTiming":{"repeat":{"duration":1}}"#,
        ),
        (
            "tim-2",
            r#""valueTiming":{"repeat":{"period":1,"periodUnit":"h"}}"#,
            r#""valueTiming":{"repeat":{"period":1}}"#,
        ),
        (
            "tim-4",
            r#""valueTiming":{"repeat":{"duration":0,"durationUnit":"h"}}"#,
            r#""valueTiming":{"repeat":{"duration":-1,"durationUnit":"h"}}"#,
        ),
        (
            "tim-5",
            r#""valueTiming":{"repeat":{"period":0,"periodUnit":"h"}}"#,
            r#""valueTiming":{"repeat":{"period":-1,"periodUnit":"h"}}"#,
        ),
        (
            "tim-6",
            r#""valueTiming":{"repeat":{"period":1,"periodMax":2,"periodUnit":"h"}}"#,
            r#""valueTiming":{"repeat":{"periodMax":2}}"#,
        ),
        (
            "tim-7",
            r#""valueTiming":{"repeat":{"duration":1,"durationMax":2,"durationUnit":"h"}}"#,
            r#""valueTiming":{"repeat":{"durationMax":2}}"#,
        ),
        ("tim-8", r#""valueTiming":{"repeat":{"count":1,"countMax":2}}"#, r#""valueTiming":{"repeat":{"countMax":2}}"#),
        (
            "tim-9",
            r#""valueTiming":{"repeat":{"offset":1,"when":["ACM","PCM"]}}"#,
            r#""valueTiming":{"repeat":{"offset":1,"when":["ACM","C"]}}"#,
        ),
        (
            "tim-10",
            r#""valueTiming":{"repeat":{"timeOfDay":["10:00:00"]}}"#,
            r#""valueTiming":{"repeat":{"timeOfDay":["10:00:00"],"when":["MORN"]}}"#,
        ),
    ];

    /// Key and place of what is broken.
    fn broken(resource: &str) -> Vec<(String, String)> {
        let issues = shipped().validate_base(&parsed(resource));
        let key = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
        issues.iter().map(|issue| (key(&issue.diagnostics), issue.expression.join(" "))).collect()
    }

    fn extended(value: &str) -> String {
        format!(r#"{{"resourceType":"Patient","_birthDate":{{"extension":[{{"url":"urn:x",{value}}}]}}}}"#)
    }

    #[test]
    fn every_invariant_is_met_by_one_example_and_broken_by_another() {
        let mut seen = BTreeSet::new();
        for (key, met, breaks, place) in TABLE {
            assert_eq!(broken(met), [], "{key} is met");
            assert_eq!(broken(breaks), [((*key).to_owned(), (*place).to_owned())]);
            seen.insert((*key).to_owned());
        }
        for (key, met, breaks) in DATATYPES {
            assert_eq!(broken(&extended(met)), [], "{key} is met");
            let found = broken(&extended(breaks));
            assert_eq!(found.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), [*key], "{breaks}");
            assert!(found[0].1.starts_with("Patient.birthDate.extension[0].value"), "{found:?}");
            seen.insert((*key).to_owned());
        }
        let all: BTreeSet<String> =
            shipped().invariants.of_type.values().flatten().map(|invariant| invariant.key.clone()).collect();
        assert_eq!(seen, all, "every row of the table has an example");
    }

    #[test]
    fn a_resource_within_another_is_judged_by_its_own_surroundings() {
        let patient = r##"{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"a"}],"managingOrganization":{"reference":"#o"}}"##;
        let alone = r##"{"resourceType":"Patient","managingOrganization":{"reference":"#o"}}"##;
        let parameters = |resource: &str| {
            format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"a","resource":{resource}}}]}}"#)
        };
        assert_eq!(broken(&parameters(patient)), []);
        let place = "Parameters.parameter[0].resource.managingOrganization";
        assert_eq!(broken(&parameters(alone)), [("ref-1".to_owned(), place.to_owned())]);
        let inner = r##"{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"a","endpoint":[{"reference":"#e"}]},{"resourceType":"Organization","id":"e","active":true}],"managingOrganization":{"reference":"#o"}}"##;
        assert_eq!(broken(inner), [("org-1".to_owned(), "Patient.contained[1]".to_owned())]);
    }

    #[test]
    fn problems_beyond_the_limit_are_counted() {
        let telecom = vec![r#"{"value":"1"}"#; 150].join(",");
        let found = broken(&format!(r#"{{"resourceType":"Patient","telecom":[{telecom}]}}"#));
        assert_eq!(found.len(), 101);
        assert_eq!(found[100].0, "50 more problems were found and are not listed.");
    }

    #[test]
    fn a_row_that_cannot_be_enforced_stops_the_start() {
        let table = [
            ("Patient.contact", "Patient.contacts", "pat-1"),
            ("name.exists() or", "nmae.exists() or", "pat-1"),
            (r#""key": "dom-4""#, r#""keys": "dom-4""#, "(document)"),
        ];
        for (from, to, element) in table {
            let error = changed(FILE, from, to).err().unwrap_or_else(|| panic!("{to} is accepted"));
            assert_eq!((error.file.as_str(), error.element.as_str()), (FILE, element), "{error}");
        }
    }
}
