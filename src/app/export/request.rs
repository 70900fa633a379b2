//! What a kick-off asks for: parameters of the query or of a Parameters resource (Bulk Data Access IG 2.0, kick-off).
//!
//! A parameter that is not supported is refused; under `handling=lenient` it is passed over and said so, in the answer
//! and in a file of the manifest. Not here: the limits of jobs.

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::app::error::{AppError, ErrorKind};
use crate::app::incoming::ResourceKind;
use crate::app::search::Handling;
use crate::fhir::compartment::PATIENT_COMPARTMENT;
use crate::fhir::issue::{Issue, IssueCode, any_error};
use crate::fhir::json::{Value, parse};
use crate::fhir::moment::instant_us;
use crate::fhir::path::printable;

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Everything that is stored.
    System,
    /// All Patients, and what is in their compartments.
    Patient,
}

impl Level {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Patient => "patient",
        }
    }

    pub(super) fn of(code: &str) -> Self {
        if code == Self::Patient.code() { Self::Patient } else { Self::System }
    }

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::System => "/$export",
            Self::Patient => "/Patient/$export",
        }
    }

    pub(super) const fn resource_type(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Patient => Some("Patient"),
        }
    }

    /// The types that can be exported; AuditEvents are made from the audit and are read there.
    fn types(self) -> impl Iterator<Item = &'static str> {
        let all = ResourceKind::ALL.into_iter().map(ResourceKind::name);
        all.filter(move |name| self == Self::System || PATIENT_COMPARTMENT.contains(name))
    }
}

/// Parameters that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    pub types: Vec<&'static str>,
    /// Only what changed after this time.
    pub since_us: Option<i64>,
    /// The parameters that were understood, for the manifest.
    pub understood: Vec<(String, String)>,
    /// What was passed over.
    pub remarks: Vec<Issue>,
}

/// The names of the one format (Bulk Data Access IG 2.0, `_outputFormat`).
const FORMATS: [&str; 3] = ["application/fhir+ndjson", "application/ndjson", "ndjson"];
/// Parameters of the guide that are not supported here.
const KNOWN: [&str; 4] = ["_elements", "_typeFilter", "includeAssociatedData", "patient"];
/// Parameters of one kick-off at most.
const PARAMETERS_MAX: usize = 20;

impl ExportRequest {
    /// Reads the pairs of a query.
    ///
    /// # Errors
    /// `Invalid` for values that cannot be read, and, unless handling is lenient, for what is not supported.
    pub fn read(level: Level, pairs: &[(String, String)], handling: Handling) -> Result<Self, AppError> {
        let mut reader = Reader { level, handling, types: None, since_us: None, remarks: Vec::new() };
        if pairs.len() > PARAMETERS_MAX {
            let issue = Issue::error(IssueCode::TooCostly, "The export has too many parameters.").at("http");
            return Err(AppError::new(ErrorKind::Invalid, vec![issue]));
        }
        let mut understood = Vec::new();
        for (name, value) in pairs {
            if reader.take(name, value)? {
                understood.push((name.clone(), value.clone()));
            }
        }
        let types = reader.types.unwrap_or_else(|| level.types().collect());
        Ok(Self { types, since_us: reader.since_us, understood, remarks: reader.remarks })
    }
}

struct Reader {
    level: Level,
    handling: Handling,
    types: Option<Vec<&'static str>>,
    since_us: Option<i64>,
    remarks: Vec<Issue>,
}

impl Reader {
    /// Takes one parameter; false when it says nothing for the manifest.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, AppError> {
        // A `+` that was not percent-encoded arrives as a space.
        let plus = value.trim().replace(' ', "+");
        match name {
            "_format" | "_pretty" => return Ok(false),
            "_outputFormat" if FORMATS.contains(&plus.as_str()) => {}
            "_outputFormat" => return Err(refuse(IssueCode::NotSupported, name, "Files are written as NDJSON only.")),
            "_since" if self.since_us.is_some() => {
                return Err(refuse(IssueCode::Invalid, name, "The parameter is given more than once."));
            }
            "_since" => {
                let text = "The value must be an instant: YYYY-MM-DDThh:mm:ss with a time zone.";
                let since_us = instant_us(&plus).ok_or_else(|| refuse(IssueCode::Value, name, text))?;
                self.since_us = Some(since_us);
            }
            "_type" => self.take_types(value)?,
            _ => {
                let text = if KNOWN.contains(&name) {
                    "This parameter of the export is not supported."
                } else {
                    "This parameter of the export is not known."
                };
                self.pass_over(name, text)?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn take_types(&mut self, value: &str) -> Result<(), AppError> {
        self.types.get_or_insert_default();
        for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match (self.level.types().find(|known| *known == name), &mut self.types) {
                (Some(known), Some(types)) if !types.contains(&known) => types.push(known),
                (Some(_), _) => {}
                (None, _) => self.pass_over("_type", "A type of _type cannot be exported here.")?,
            }
        }
        Ok(())
    }

    fn pass_over(&mut self, name: &str, text: &str) -> Result<(), AppError> {
        if self.handling == Handling::Strict {
            return Err(refuse(IssueCode::NotSupported, name, text));
        }
        let remark = Issue::warning(IssueCode::NotSupported, format!("{text} It was passed over."));
        let remark = remark.at(place(name));
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
        Ok(())
    }
}

fn place(name: &str) -> String {
    format!("http.{}", printable(name))
}

fn refuse(code: IssueCode, name: &str, text: &str) -> AppError {
    AppError::new(ErrorKind::Invalid, vec![Issue::error(code, text).at(place(name))])
}

impl App {
    /// The parameters of a Parameters resource as pairs of name and text; an empty body has none.
    ///
    /// # Errors
    /// `Invalid` for what is no Parameters resource, or for a parameter that is no text where the guide wants one.
    pub fn read_export_parameters(&self, body: &[u8]) -> Result<Vec<(String, String)>, AppError> {
        if body.trim_ascii().is_empty() {
            return Ok(Vec::new());
        }
        let document = parse(body, &self.document_limits()).map_err(|issue| AppError::invalid(vec![issue]))?;
        if document.text("resourceType") != Some("Parameters") {
            let issue = Issue::error(IssueCode::Invalid, "The body must be a Parameters resource.").at("resourceType");
            return Err(AppError::invalid(vec![issue]));
        }
        let issues = self.rules.profiles.validate_base(&document);
        if any_error(&issues) {
            return Err(AppError::invalid(issues));
        }
        document.list("parameter").iter().enumerate().map(|(index, parameter)| pair(index, parameter)).collect()
    }
}

fn pair(index: usize, parameter: &Value<'_>) -> Result<(String, String), AppError> {
    let name = parameter.text("name").unwrap_or_default();
    let texts = ["valueString", "valueInstant", "valueCode", "valueUri"];
    let text = texts.iter().find_map(|member| parameter.text(member));
    let is_read = matches!(name, "_type" | "_since" | "_outputFormat");
    match text {
        None if is_read => {
            let place = format!("Parameters.parameter[{index}]");
            let issue = Issue::error(IssueCode::Invalid, "The parameter must be a string or an instant.").at(place);
            Err(AppError::invalid(vec![issue]))
        }
        // What is not supported is told by its name; its value is of no interest.
        text => Ok((name.to_owned(), text.unwrap_or_default().to_owned())),
    }
}

/// A remark as it is kept with the job.
#[derive(Serialize, Deserialize)]
struct Remark {
    text: String,
    place: Vec<String>,
}

pub(super) fn remarks_to_text(remarks: &[Issue]) -> String {
    let remark = |issue: &Issue| Remark { text: issue.diagnostics.clone(), place: issue.expression.clone() };
    let remarks: Vec<Remark> = remarks.iter().map(remark).collect();
    // Texts and lists of them: there is nothing that could fail.
    serde_json::to_string(&remarks).unwrap_or_default()
}

pub(super) fn remarks_from_text(text: &str) -> Vec<Issue> {
    let remarks: Vec<Remark> = serde_json::from_str(text).unwrap_or_default();
    let issue =
        |remark: Remark| Issue { expression: remark.place, ..Issue::warning(IssueCode::NotSupported, remark.text) };
    remarks.into_iter().map(issue).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(level: Level, list: &[(&str, &str)], handling: Handling) -> Result<ExportRequest, AppError> {
        let pairs: Vec<_> = list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ExportRequest::read(level, &pairs, handling)
    }

    #[test]
    fn without_parameters_everything_of_the_level_is_exported() {
        let system = read(Level::System, &[], Handling::Strict).expect("read");
        assert_eq!(system.types, ResourceKind::ALL.map(ResourceKind::name));
        let patient = read(Level::Patient, &[], Handling::Strict).expect("read");
        assert_eq!(patient.types, PATIENT_COMPARTMENT);
        assert_eq!((patient.since_us, patient.remarks), (None, Vec::new()));
    }

    #[test]
    fn types_are_listed_or_repeated_and_each_counts_once() {
        for pairs in
            [&[("_type", "Patient, Organization,Patient")][..], &[("_type", "Patient"), ("_type", "Organization")]]
        {
            let request = read(Level::System, pairs, Handling::Strict).expect("read");
            assert_eq!(request.types, ["Patient", "Organization"]);
            assert_eq!(request.understood.len(), pairs.len());
        }
    }

    #[test]
    fn the_one_format_has_several_names() {
        for format in ["application/fhir+ndjson", "application/fhir ndjson", "application/ndjson", "ndjson"] {
            assert!(read(Level::System, &[("_outputFormat", format)], Handling::Strict).is_ok(), "{format}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_under_any_handling() {
        for (name, value) in [
            ("_since", "2026-01-02"),
            ("_since", "then"),
            ("_outputFormat", "application/fhir+xml"),
            ("_outputFormat", "csv"),
        ] {
            for handling in [Handling::Strict, Handling::Lenient] {
                let error = read(Level::System, &[(name, value)], handling).expect_err(name);
                assert_eq!(error.issues[0].expression, [format!("http.{name}")]);
            }
        }
        let since = "2026-01-02T03:04:05Z";
        assert!(read(Level::System, &[("_since", since), ("_since", since)], Handling::Lenient).is_err());
    }

    #[test]
    fn what_is_not_supported_is_refused_or_passed_over_and_said_so() {
        for (level, name, value) in [
            (Level::System, "_type", "Observation"),
            (Level::System, "_type", "AuditEvent"),
            (Level::Patient, "_type", "Organization"),
            (Level::Patient, "_type", "Task"),
            (Level::System, "_elements", "Patient.name"),
            (Level::System, "_typeFilter", "Patient?active=true"),
            (Level::Patient, "patient", ""),
            (Level::System, "includeAssociatedData", "LatestProvenanceResources"),
            (Level::System, "zanzibar", "Zanzibar"),
        ] {
            let error = read(level, &[(name, value)], Handling::Strict).expect_err(name);
            assert_eq!(error.issues[0].code, IssueCode::NotSupported, "{name}");
            assert!(!error.issues[0].diagnostics.contains("anzibar"));
            let lenient = read(level, &[(name, value), ("_type", "Patient")], Handling::Lenient).expect(name);
            assert_eq!(lenient.types, ["Patient"], "{name} {value}");
            assert_eq!(lenient.remarks.len(), 1);
            assert_eq!(remarks_from_text(&remarks_to_text(&lenient.remarks)), lenient.remarks);
        }
        let nothing = read(Level::System, &[("_type", "Observation")], Handling::Lenient).expect("read");
        assert_eq!(nothing.types, Vec::<&str>::new());
    }
}
