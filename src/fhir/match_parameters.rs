//! The input of `$idi-match` and `$match`: a Parameters resource, or the Patient itself.
//!
//! IG Patient Matching, operation IDI-match; FHIR R4 Patient-match. Accepted names for the Patient: `IDIPatient`,
//! `patient` (older clients) and `resource` (base operation). Not here: judging the Patient.

use serde::{Deserialize, Serialize};

use super::issue::{Issue, IssueCode};
use super::json::{Object, Value};

/// How the Patient came; the shape of the answer follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatientParameter {
    IdiPatient,
    Patient,
    Resource,
    /// A Patient as the body, without Parameters.
    Body,
}

impl PatientParameter {
    /// The names on the wire.
    pub const NAMES: [(&'static str, Self); 3] =
        [("IDIPatient", Self::IdiPatient), ("patient", Self::Patient), ("resource", Self::Resource)];

    fn of(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, parameter)| *parameter)
    }
}

/// Which rules decide on a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleBook {
    /// The guide's table and the matching model.
    #[default]
    Idi,
    /// The CMS combinations.
    Cms,
    /// The guide's table decides; beside each grade stands what the CMS combinations say.
    Both,
}

impl RuleBook {
    /// The codes of the parameter `ruleBook` and of the option `match.rule_book`.
    pub const CODES: [&'static str; 3] = ["idi", "cms", "both"];

    fn of(code: &str) -> Option<Self> {
        let at = Self::CODES.iter().position(|known| *known == code)?;
        [Self::Idi, Self::Cms, Self::Both].get(at).copied()
    }
}

/// What a caller asks for.
#[derive(Debug, Clone)]
pub struct MatchParameters<'d> {
    pub patient: Value<'d>,
    pub given_as: PatientParameter,
    /// FHIRPath of the Patient in the request.
    pub location: String,
    pub only_single_match: bool,
    pub only_certain_matches: bool,
    /// At most this many identities (`$idi-match`) or Patient entries (`$match`).
    pub count: Option<usize>,
    /// This project's own parameter; `None` leaves it to the caller's registration and the configuration.
    pub rule_book: Option<RuleBook>,
    /// Warnings that belong in the answer.
    pub warnings: Vec<Issue>,
}

impl<'d> MatchParameters<'d> {
    /// Reads a document that already has the base shape of its resource type.
    ///
    /// # Errors
    /// Every parameter that is missing, given twice or of the wrong type.
    pub fn read(document: Value<'d>) -> Result<Self, Vec<Issue>> {
        match document.text("resourceType") {
            Some("Patient") => Ok(Self::of(document, PatientParameter::Body, "Patient".to_owned())),
            Some("Parameters") => Reader::default().read(&document),
            _ => Err(vec![
                Issue::error(IssueCode::Invalid, "The body must be a Parameters resource or a Patient.").at("$this"),
            ]),
        }
    }

    const fn of(patient: Value<'d>, given_as: PatientParameter, location: String) -> Self {
        Self {
            patient,
            given_as,
            location,
            only_single_match: false,
            only_certain_matches: false,
            count: None,
            rule_book: None,
            warnings: Vec::new(),
        }
    }
}

/// Problems listed of one request at most, and as many warnings; then one more says that there are others.
const LISTED_MAX: usize = 100;

#[derive(Default)]
struct Reader<'d> {
    patient: Option<(Value<'d>, PatientParameter, String)>,
    only_single_match: Option<bool>,
    only_certain_matches: Option<bool>,
    count: Option<usize>,
    rule_book: Option<RuleBook>,
    issues: Vec<Issue>,
    warnings: Vec<Issue>,
}

impl<'d> Reader<'d> {
    fn read(mut self, document: &Value<'d>) -> Result<MatchParameters<'d>, Vec<Issue>> {
        for (index, parameter) in document.list("parameter").iter().enumerate() {
            if let Some(parameter) = parameter.as_object() {
                self.take(parameter, &format!("Parameters.parameter[{index}]"));
            }
        }
        if self.patient.is_none() && self.issues.is_empty() {
            let text = "The parameter IDIPatient with the Patient to match is missing.";
            self.issues.push(Issue::error(IssueCode::Required, text).at("Parameters.parameter"));
        }
        match self.patient {
            Some((patient, given_as, location)) if self.issues.is_empty() => Ok(MatchParameters {
                only_single_match: self.only_single_match.unwrap_or(false),
                only_certain_matches: self.only_certain_matches.unwrap_or(false),
                count: self.count,
                rule_book: self.rule_book,
                warnings: self.warnings,
                ..MatchParameters::of(patient, given_as, location)
            }),
            _ => Err(self.issues),
        }
    }

    fn take(&mut self, parameter: &Object<'d>, location: &str) {
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
        match name {
            "onlySingleMatch" => {
                let value = self.boolean(parameter, location);
                let slot = std::mem::take(&mut self.only_single_match);
                self.only_single_match = self.once(slot, value, location);
            }
            "onlyCertainMatches" => {
                let value = self.boolean(parameter, location);
                let slot = std::mem::take(&mut self.only_certain_matches);
                self.only_certain_matches = self.once(slot, value, location);
            }
            "count" => {
                let value = self.positive(parameter, location);
                let slot = std::mem::take(&mut self.count);
                self.count = self.once(slot, value, location);
            }
            "ruleBook" => {
                let value = self.rule_book_code(parameter, location);
                let slot = self.rule_book.take();
                self.rule_book = self.once(slot, value, location);
            }
            _ => match PatientParameter::of(name) {
                Some(given_as) => self.take_patient(parameter, given_as, location),
                None => {
                    let text = "This parameter is not known and was ignored.";
                    list(&mut self.warnings, Issue::warning(IssueCode::NotSupported, text).at(location));
                }
            },
        }
    }

    fn refuse(&mut self, text: &str, location: &str) {
        list(&mut self.issues, Issue::error(IssueCode::Invalid, text).at(location));
    }

    fn take_patient(&mut self, parameter: &Object<'d>, given_as: PatientParameter, location: &str) {
        let patient = parameter.get("resource").filter(|resource| resource.text("resourceType") == Some("Patient"));
        let Some(patient) = patient else {
            let text = "The parameter must hold a Patient in its member resource.";
            self.refuse(text, location);
            return;
        };
        let value = Some((patient.clone(), given_as, format!("{location}.resource")));
        let slot = self.patient.take();
        self.patient = self.once(slot, value, location);
    }

    fn once<T>(&mut self, slot: Option<T>, value: Option<T>, location: &str) -> Option<T> {
        if slot.is_some() && value.is_some() {
            self.refuse("This parameter is given more than once.", location);
        }
        slot.or(value)
    }

    fn boolean(&mut self, parameter: &Object<'d>, location: &str) -> Option<bool> {
        let value = parameter.get("valueBoolean").and_then(Value::as_bool);
        if value.is_none() {
            self.refuse("The parameter must have a valueBoolean.", location);
        }
        value
    }

    fn rule_book_code(&mut self, parameter: &Object<'d>, location: &str) -> Option<RuleBook> {
        let value = parameter.get("valueCode").and_then(Value::as_str).and_then(RuleBook::of);
        if value.is_none() {
            self.refuse("The parameter must have a valueCode: idi, cms or both.", location);
        }
        value
    }

    fn positive(&mut self, parameter: &Object<'d>, location: &str) -> Option<usize> {
        let value = ["valueInteger", "valuePositiveInt", "valueUnsignedInt"]
            .iter()
            .find_map(|name| parameter.get(name))
            .and_then(Value::as_i64)
            .and_then(|value| usize::try_from(value).ok())
            .filter(|value| *value >= 1);
        if value.is_none() {
            let text = "The parameter must have a valueInteger of at least 1.";
            self.refuse(text, location);
        }
        value
    }
}

/// A request may have as many parameters as a document may have values; an answer says no more than can be read.
pub(super) fn list(issues: &mut Vec<Issue>, issue: Issue) {
    match issues.len() {
        0..LISTED_MAX => issues.push(issue),
        LISTED_MAX => {
            let text = "There are further problems with the parameters, not listed here.";
            issues.push(Issue::new(issue.severity, issue.code, text).at("Parameters.parameter"));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::{Limits, parse};
    use super::*;

    fn read(body: &str) -> Result<MatchParameters<'_>, Vec<Issue>> {
        MatchParameters::read(parse(body.as_bytes(), &Limits::DEFAULT).expect("JSON"))
    }

    fn parameters(inner: &str) -> String {
        format!(r#"{{"resourceType":"Parameters","parameter":[{inner}]}}"#)
    }

    const PATIENT: &str = r#"{"name":"IDIPatient","resource":{"resourceType":"Patient","id":"a"}}"#;

    #[test]
    fn problems_and_warnings_are_listed_up_to_a_limit() {
        let many = |one: &str| parameters(&format!("{PATIENT},{}", vec![one; 500].join(",")));
        let again = many(PATIENT);
        let refused = read(&again).expect_err("refused");
        assert_eq!(refused.len(), LISTED_MAX + 1);
        assert_eq!(refused[LISTED_MAX].expression, ["Parameters.parameter"]);
        let unknown = many(r#"{"name":"shoe","valueInteger":44}"#);
        let warned = read(&unknown).expect("readable");
        assert_eq!(warned.warnings.len(), LISTED_MAX + 1);
    }

    #[test]
    fn the_patient_is_read_under_three_names_or_as_the_body() {
        for (name, expected) in PatientParameter::NAMES {
            let body = parameters(&PATIENT.replace("IDIPatient", name));
            let read = read(&body).expect("readable");
            assert_eq!((read.given_as, read.location.as_str()), (expected, "Parameters.parameter[0].resource"));
        }
        assert_eq!(read(r#"{"resourceType":"Patient"}"#).expect("readable").given_as, PatientParameter::Body);
    }

    #[test]
    fn the_options_are_read_and_unknown_ones_are_warned_of() {
        let body = parameters(&format!(
            r#"{PATIENT},{{"name":"onlySingleMatch","valueBoolean":true}},{{"name":"onlyCertainMatches","valueBoolean":false}},{{"name":"count","valueInteger":3}},{{"name":"mode","valueCode":"x"}}"#
        ));
        let read = read(&body).expect("readable");
        assert!(read.only_single_match && !read.only_certain_matches);
        assert_eq!(read.count, Some(3));
        assert_eq!(read.warnings[0].expression, ["Parameters.parameter[4]"]);
        assert_eq!(read.rule_book, None);
        for (code, expected) in RuleBook::CODES.into_iter().zip([RuleBook::Idi, RuleBook::Cms, RuleBook::Both]) {
            let body = parameters(&format!(r#"{PATIENT},{{"name":"ruleBook","valueCode":"{code}"}}"#));
            assert_eq!(self::read(&body).expect("readable").rule_book, Some(expected), "{code}");
        }
    }

    #[test]
    fn missing_doubled_and_mistyped_parameters_are_refused_with_their_place() {
        let table = [
            (String::new(), IssueCode::Required, "Parameters.parameter"),
            (format!("{PATIENT},{PATIENT}"), IssueCode::Invalid, "Parameters.parameter[1]"),
            (
                format!("{PATIENT},{}", PATIENT.replace("IDIPatient", "resource")),
                IssueCode::Invalid,
                "Parameters.parameter[1]",
            ),
            (
                r#"{"name":"IDIPatient","resource":{"resourceType":"Person"}}"#.into(),
                IssueCode::Invalid,
                "Parameters.parameter[0]",
            ),
            (r#"{"name":"IDIPatient","valueString":"x"}"#.into(), IssueCode::Invalid, "Parameters.parameter[0]"),
            (
                format!(r#"{PATIENT},{{"name":"onlySingleMatch","valueString":"true"}}"#),
                IssueCode::Invalid,
                "Parameters.parameter[1]",
            ),
            (
                format!(r#"{PATIENT},{{"name":"count","valueInteger":0}}"#),
                IssueCode::Invalid,
                "Parameters.parameter[1]",
            ),
            (
                format!(r#"{PATIENT},{{"name":"count","valueInteger":1}},{{"name":"count","valueInteger":1}}"#),
                IssueCode::Invalid,
                "Parameters.parameter[2]",
            ),
            (
                format!(r#"{PATIENT},{{"name":"count","valueDecimal":1.5}}"#),
                IssueCode::Invalid,
                "Parameters.parameter[1]",
            ),
            (
                format!(r#"{PATIENT},{{"name":"ruleBook","valueCode":"ours"}}"#),
                IssueCode::Invalid,
                "Parameters.parameter[1]",
            ),
            (
                format!(r#"{PATIENT},{{"name":"ruleBook","valueString":"cms"}}"#),
                IssueCode::Invalid,
                "Parameters.parameter[1]",
            ),
        ];
        for (inner, code, location) in table {
            let issues = read(&parameters(&inner)).expect_err("refused");
            assert_eq!((issues[0].code, issues[0].expression[0].as_str()), (code, location), "{inner}");
        }
        assert!(read(r#"{"resourceType":"Person"}"#).is_err());
    }
}
