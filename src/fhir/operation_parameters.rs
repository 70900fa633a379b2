//! The input of an operation, read by a table of its parameters (FHIR R4 Parameters, OperationDefinition).
//!
//! What: every parameter that is missing, given twice or of the wrong type is an error with its place; one that is not
//! known is a warning. Not here: what the parameters mean, the input of a match (see `match_parameters`).

use super::issue::{Issue, IssueCode};
use super::json::{Object, Value};
use super::match_parameters::list;

/// One parameter of an operation.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    pub name: &'static str,
    pub kind: Kind,
    pub occurs: Occurs,
}

/// What a parameter holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A Patient of this server: a `valueReference`, or its id as `valueId`.
    Patient,
    /// `valueId`, or the same as a `valueString`.
    Id,
    /// `valueIdentifier` with a system and a value.
    Identifier,
    Boolean,
    /// `valueCode`, one of these.
    Code(&'static [&'static str]),
    /// `valueString`
    Text,
    /// `valueInteger` of at least 1.
    Positive,
    /// Parts of this name, each a Patient of this server.
    Patients(&'static str),
    /// A parameter of the standard that this server does not take, and why.
    Refused(&'static str),
}

/// How often a parameter may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurs {
    Once,
    AtMostOnce,
    Often,
}

/// What a parameter was given as.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Given {
    Text(String),
    Boolean(bool),
    Number(u32),
    Identifier(Identifier),
    List(Vec<String>),
}

/// A business identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    pub system: String,
    pub value: String,
}

/// The input of an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationParameters {
    given: Vec<(&'static str, Given)>,
    /// Warnings that belong in the answer.
    pub warnings: Vec<Issue>,
}

impl OperationParameters {
    /// Reads a document that already has the base shape of its resource type. `base_url` tells references to this server.
    ///
    /// # Errors
    /// Every parameter that is missing, given too often or of the wrong type.
    pub fn read(document: &Value<'_>, definitions: &[Definition], base_url: &str) -> Result<Self, Vec<Issue>> {
        if document.text("resourceType") != Some("Parameters") {
            return Err(vec![Issue::error(IssueCode::Invalid, "The body must be a Parameters resource.").at("$this")]);
        }
        let mut reader = Reader { base_url, read: Self::default(), issues: Vec::new() };
        for (index, parameter) in document.list("parameter").iter().enumerate() {
            if let Some(parameter) = parameter.as_object() {
                reader.take(parameter, definitions, &format!("Parameters.parameter[{index}]"));
            }
        }
        for missing in definitions.iter().filter(|known| known.occurs == Occurs::Once) {
            if reader.issues.is_empty() && reader.read.find(missing.name).is_none() {
                let text = format!("The parameter {} is missing.", missing.name);
                reader.issues.push(Issue::error(IssueCode::Required, text).at("Parameters.parameter"));
            }
        }
        if reader.issues.is_empty() { Ok(reader.read) } else { Err(reader.issues) }
    }

    fn find(&self, name: &str) -> Option<&Given> {
        self.all(name).next()
    }

    fn all<'p>(&'p self, name: &str) -> impl Iterator<Item = &'p Given> {
        self.given.iter().filter(move |(known, _)| *known == name).map(|(_, given)| given)
    }

    /// The id, code or text of a parameter.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.find(name) {
            Some(Given::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether a parameter says true.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        self.find(name) == Some(&Given::Boolean(true))
    }

    #[must_use]
    pub fn number(&self, name: &str) -> Option<u32> {
        match self.find(name) {
            Some(Given::Number(number)) => Some(*number),
            _ => None,
        }
    }

    #[must_use]
    pub fn identifiers(&self, name: &str) -> Vec<Identifier> {
        let identifier = |given: &Given| match given {
            Given::Identifier(identifier) => Some(identifier.clone()),
            _ => None,
        };
        self.all(name).filter_map(identifier).collect()
    }

    /// The lists of a parameter that has parts.
    #[must_use]
    pub fn lists(&self, name: &str) -> Vec<Vec<String>> {
        let list = |given: &Given| match given {
            Given::List(ids) => Some(ids.clone()),
            _ => None,
        };
        self.all(name).filter_map(list).collect()
    }
}

struct Reader<'b> {
    base_url: &'b str,
    read: OperationParameters,
    issues: Vec<Issue>,
}

impl Reader<'_> {
    fn take(&mut self, parameter: &Object<'_>, definitions: &[Definition], location: &str) {
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
        let Some(known) = definitions.iter().find(|known| known.name == name) else {
            let text = "This parameter is not known and was ignored.";
            list(&mut self.read.warnings, Issue::warning(IssueCode::NotSupported, text).at(location));
            return;
        };
        if let Kind::Refused(why) = known.kind {
            list(&mut self.issues, Issue::error(IssueCode::NotSupported, why).at(location));
            return;
        }
        let Some(given) = self.given(parameter, known.kind, location) else {
            let text = expected(known.kind);
            list(&mut self.issues, Issue::error(IssueCode::Invalid, text).at(location));
            return;
        };
        if known.occurs != Occurs::Often && self.read.find(known.name).is_some() {
            let text = "This parameter is given more than once.";
            list(&mut self.issues, Issue::error(IssueCode::Invalid, text).at(location));
            return;
        }
        self.read.given.push((known.name, given));
    }

    fn given(&mut self, parameter: &Object<'_>, kind: Kind, location: &str) -> Option<Given> {
        let text = |name: &str| parameter.get(name).and_then(Value::as_str).map(str::to_owned);
        match kind {
            Kind::Patient => self.patient(parameter).map(Given::Text),
            Kind::Id => text("valueId").or_else(|| text("valueString")).map(Given::Text),
            Kind::Identifier => {
                let identifier = parameter.get("valueIdentifier")?;
                let part = |name: &str| identifier.text(name).filter(|part| !part.is_empty()).map(str::to_owned);
                Some(Given::Identifier(Identifier { system: part("system")?, value: part("value")? }))
            }
            Kind::Boolean => parameter.get("valueBoolean").and_then(Value::as_bool).map(Given::Boolean),
            Kind::Code(codes) => text("valueCode").filter(|code| codes.contains(&code.as_str())).map(Given::Text),
            Kind::Text => text("valueString").map(Given::Text),
            Kind::Positive => {
                let names = ["valueInteger", "valuePositiveInt", "valueUnsignedInt"];
                let value = names.iter().find_map(|name| parameter.get(name)).and_then(Value::as_i64)?;
                u32::try_from(value).ok().filter(|value| *value >= 1).map(Given::Number)
            }
            Kind::Patients(part) => self.patients(parameter, part, location),
            Kind::Refused(_) => None,
        }
    }

    fn patient(&self, parameter: &Object<'_>) -> Option<String> {
        let referred = parameter.get("valueReference").and_then(|reference| reference.text("reference"));
        let referred = referred.and_then(|reference| local_patient(reference, self.base_url));
        referred.or_else(|| parameter.get("valueId").and_then(Value::as_str)).map(str::to_owned)
    }

    fn patients(&mut self, parameter: &Object<'_>, part: &'static str, location: &str) -> Option<Given> {
        let mut ids = Vec::new();
        let Some(Value::Array(parts)) = parameter.get("part") else { return None };
        for (index, inside) in parts.iter().enumerate() {
            let Some(inside) = inside.as_object() else { continue };
            if inside.get("name").and_then(Value::as_str) == Some(part) {
                ids.push(self.patient(inside)?);
            } else {
                let text = "This parameter is not known and was ignored.";
                let issue = Issue::warning(IssueCode::NotSupported, text).at(format!("{location}.part[{index}]"));
                list(&mut self.read.warnings, issue);
            }
        }
        (!ids.is_empty()).then_some(Given::List(ids))
    }
}

fn expected(kind: Kind) -> String {
    match kind {
        Kind::Patient => "The parameter must have a valueReference to a Patient of this server, or its valueId.".into(),
        Kind::Id => "The parameter must have a valueId.".into(),
        Kind::Identifier => "The parameter must have a valueIdentifier with a system and a value.".into(),
        Kind::Boolean => "The parameter must have a valueBoolean.".into(),
        Kind::Code(codes) => format!("The parameter must have a valueCode: {}.", codes.join(", ")),
        Kind::Text => "The parameter must have a valueString.".into(),
        Kind::Positive => "The parameter must have a valueInteger of at least 1.".into(),
        Kind::Patients(part) => {
            format!("The parameter must have parts {part}, each with a valueReference to a Patient of this server.")
        }
        Kind::Refused(why) => why.into(),
    }
}

/// The id in `Patient/ID`, relative or of the server at `base_url`.
#[must_use]
pub fn local_patient<'r>(reference: &'r str, base_url: &str) -> Option<&'r str> {
    let relative = reference.strip_prefix(base_url).map_or(reference, |rest| rest.trim_start_matches('/'));
    let id = relative.strip_prefix("Patient/")?;
    id.split('/').next().filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::json::{Limits, parse};
    use super::*;

    const fn known(name: &'static str, kind: Kind, occurs: Occurs) -> Definition {
        Definition { name, kind, occurs }
    }

    const TABLE: &[Definition] = &[
        known("patient", Kind::Patient, Occurs::Once),
        known("identity", Kind::Id, Occurs::AtMostOnce),
        known("known-as", Kind::Identifier, Occurs::Often),
        known("preview", Kind::Boolean, Occurs::AtMostOnce),
        known("verdict", Kind::Code(&["same", "different"]), Occurs::AtMostOnce),
        known("reason", Kind::Text, Occurs::AtMostOnce),
        known("count", Kind::Positive, Occurs::AtMostOnce),
        known("group", Kind::Patients("patient"), Occurs::Often),
        known("result", Kind::Refused("It is not taken."), Occurs::AtMostOnce),
    ];

    fn read(inner: &str) -> Result<OperationParameters, Vec<Issue>> {
        let body = format!(r#"{{"resourceType":"Parameters","parameter":[{inner}]}}"#);
        OperationParameters::read(&parse(body.as_bytes(), &Limits::DEFAULT).expect("JSON"), TABLE, "http://h/fhir")
    }

    const PATIENT: &str = r#"{"name":"patient","valueReference":{"reference":"Patient/p1"}}"#;

    #[test]
    fn each_kind_is_read_and_what_is_not_known_is_warned_of() {
        let read = read(&format!(
            r#"{PATIENT},{{"name":"identity","valueString":"i1"}},
            {{"name":"known-as","valueIdentifier":{{"system":"s","value":"1"}}}},
            {{"name":"known-as","valueIdentifier":{{"system":"s","value":"2"}}}},
            {{"name":"preview","valueBoolean":true}},{{"name":"verdict","valueCode":"same"}},
            {{"name":"reason","valueString":"so"}},{{"name":"count","valueInteger":7}},
            {{"name":"group","part":[{{"name":"patient","valueId":"a"}},{{"name":"patient","valueId":"b"}}]}},
            {{"name":"group","part":[{{"name":"patient","valueId":"c"}},{{"name":"shoe","valueId":"d"}}]}},
            {{"name":"shoe","valueInteger":44}}"#
        ))
        .expect("readable");
        assert_eq!((read.text("patient"), read.text("identity")), (Some("p1"), Some("i1")));
        assert_eq!(read.identifiers("known-as").iter().map(|one| one.value.as_str()).collect::<Vec<_>>(), ["1", "2"]);
        assert!(read.is_true("preview"));
        assert_eq!(
            (read.text("verdict"), read.text("reason"), read.number("count")),
            (Some("same"), Some("so"), Some(7))
        );
        assert_eq!(read.lists("group"), [vec!["a", "b"], vec!["c"]]);
        let places: Vec<&str> = read.warnings.iter().map(|issue| issue.expression[0].as_str()).collect();
        assert_eq!(places, ["Parameters.parameter[9].part[1]", "Parameters.parameter[10]"]);
    }

    #[test]
    fn what_is_missing_doubled_mistyped_or_not_taken_is_refused_with_its_place() {
        let table = [
            (String::new(), IssueCode::Required, "Parameters.parameter"),
            (format!("{PATIENT},{PATIENT}"), IssueCode::Invalid, "Parameters.parameter[1]"),
            (PATIENT.replace("Patient/p1", "Person/p1"), IssueCode::Invalid, "Parameters.parameter[0]"),
            (PATIENT.replace("Patient/p1", "http://x/fhir/Patient/p1"), IssueCode::Invalid, "Parameters.parameter[0]"),
            (format!(r#"{PATIENT},{{"name":"identity"}}"#), IssueCode::Invalid, "Parameters.parameter[1]"),
            (
                format!(r#"{PATIENT},{{"name":"known-as","valueIdentifier":{{"value":"1"}}}}"#),
                IssueCode::Invalid,
                "Parameters.parameter[1]",
            ),
            (
                format!(r#"{PATIENT},{{"name":"preview","valueString":"true"}}"#),
                IssueCode::Invalid,
                "Parameters.parameter[1]",
            ),
            (
                format!(r#"{PATIENT},{{"name":"verdict","valueCode":"perhaps"}}"#),
                IssueCode::Invalid,
                "Parameters.parameter[1]",
            ),
            (
                format!(r#"{PATIENT},{{"name":"reason","valueCode":"x"}}"#),
                IssueCode::Invalid,
                "Parameters.parameter[1]",
            ),
            (
                format!(r#"{PATIENT},{{"name":"count","valueInteger":0}}"#),
                IssueCode::Invalid,
                "Parameters.parameter[1]",
            ),
            (
                format!(r#"{PATIENT},{{"name":"group","part":[{{"name":"patient"}}]}}"#),
                IssueCode::Invalid,
                "Parameters.parameter[1]",
            ),
            (format!(r#"{PATIENT},{{"name":"group"}}"#), IssueCode::Invalid, "Parameters.parameter[1]"),
            (
                format!(r#"{PATIENT},{{"name":"result","resource":{{}}}}"#),
                IssueCode::NotSupported,
                "Parameters.parameter[1]",
            ),
        ];
        for (inner, code, place) in table {
            let issues = read(&inner).expect_err("refused");
            assert_eq!((issues[0].code, issues[0].expression[0].as_str()), (code, place), "{inner}");
        }
        let patient = parse(br#"{"resourceType":"Patient"}"#, &Limits::DEFAULT).expect("JSON");
        assert!(OperationParameters::read(&patient, TABLE, "").is_err());
    }
}
