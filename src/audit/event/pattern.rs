//! Which pattern of IHE's Basic Audit Log Patterns (BALP 1.1) an action follows: its codes, the roles of its agents, and the
//! profile, where all that the profile asks for is known.
//!
//! A profile is of a success, with one subject at most; the address of the client must be known. What of the guide cannot
//! be met is said in `docs/audit.md`: a query holds the names of its parameters, never their values. Not here: writing
//! the resource.

/// What kind of event it is, and with which FHIR action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    pub kind: Kind,
    /// FHIR `audit-event-action`.
    pub action: &'static str,
    pub flow: Flow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of this FHIR interaction.
    Rest(&'static str),
    /// Of this code of DICOM, part 16, CID 400.
    Dicom(&'static str),
}

/// Which way data go; it decides which agent is their source (DICOM roles 110153 and 110152).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// From the server: BALP Read, an export.
    Out,
    /// From the client: BALP Create, Update and Query, whose parameters go this way.
    In,
    /// BALP Delete has roles of its own.
    Deletion,
}

const IMPORT: &str = "110107";
const EXPORT: &str = "110106";
const ACTIVITY: &str = "110100";
const AUTHENTICATION: &str = "110114";
const ALERT: &str = "110113";

const fn rest(interaction: &'static str, action: &'static str, flow: Flow) -> Pattern {
    Pattern { kind: Kind::Rest(interaction), action, flow }
}

const fn dicom(code: &'static str, action: &'static str, flow: Flow) -> Pattern {
    Pattern { kind: Kind::Dicom(code), action, flow }
}

/// Stored actions; every other one is an operation, which is executed.
const PATTERNS: [(&str, Pattern); 27] = [
    ("read", rest("read", "R", Flow::Out)),
    ("history", rest("history", "R", Flow::Out)),
    ("search", rest("search-type", "E", Flow::In)),
    ("create", rest("create", "C", Flow::In)),
    ("update", rest("update", "U", Flow::In)),
    ("patch", rest("patch", "U", Flow::In)),
    ("delete", rest("delete", "D", Flow::Deletion)),
    ("bundle", rest("transaction", "E", Flow::In)),
    ("load", dicom(IMPORT, "C", Flow::In)),
    ("backup", dicom(EXPORT, "R", Flow::Out)),
    ("audit-export", dicom(EXPORT, "R", Flow::Out)),
    ("partition", dicom(ACTIVITY, "E", Flow::In)),
    ("train", dicom(ACTIVITY, "E", Flow::In)),
    // What the authorization server does is no FHIR interaction.
    ("issue-token", dicom(AUTHENTICATION, "E", Flow::In)),
    ("revoke-token", dicom(AUTHENTICATION, "E", Flow::In)),
    ("introspect-token", dicom(AUTHENTICATION, "E", Flow::In)),
    ("authorize", dicom(AUTHENTICATION, "E", Flow::In)),
    ("user-info", dicom(AUTHENTICATION, "R", Flow::Out)),
    ("end-session", dicom(AUTHENTICATION, "E", Flow::In)),
    ("register-client", dicom(ACTIVITY, "C", Flow::In)),
    ("manage-client", dicom(ACTIVITY, "U", Flow::In)),
    // DICOM has alerts of its own.
    ("alarm", dicom(ALERT, "E", Flow::In)),
    ("discover", dicom(ACTIVITY, "R", Flow::Out)),
    ("sign-in", dicom(AUTHENTICATION, "E", Flow::In)),
    ("sign-out", dicom(AUTHENTICATION, "E", Flow::In)),
    ("manage-account", dicom(ACTIVITY, "U", Flow::In)),
    ("manage-keys", dicom(ACTIVITY, "U", Flow::In)),
];

pub const OPERATION: &str = "operation";
const EXECUTED: Pattern = rest(OPERATION, "E", Flow::In);

impl Pattern {
    /// Of a stored action.
    #[must_use]
    pub fn of(action: &str) -> Self {
        PATTERNS.iter().find(|(stored, _)| *stored == action).map_or(EXECUTED, |(_, pattern)| *pattern)
    }
}

/// Which stored actions a set of FHIR codes stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// These.
    In(Vec<&'static str>),
    /// All but these.
    NotIn(Vec<&'static str>),
}

/// The stored actions whose pattern fits, operations among them or not.
#[must_use]
pub fn stored(fits: impl Fn(&Pattern) -> bool) -> Stored {
    let of = |wanted: bool| {
        let those = PATTERNS.iter().filter(|(_, pattern)| fits(pattern) == wanted);
        those.map(|(stored, _)| *stored).collect()
    };
    if fits(&EXECUTED) { Stored::NotIn(of(false)) } else { Stored::In(of(true)) }
}

/// What decides about a profile.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'r> {
    pub action: &'r str,
    /// A success, from an address that is known.
    pub is_complete: bool,
    pub has_query: bool,
    /// `Type/id` of each record.
    pub records: &'r [String],
}

macro_rules! balp {
    ($name:literal) => {
        concat!("https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.", $name)
    };
}

/// The profile whose every constraint the event meets.
#[must_use]
pub fn profile(shape: &Shape<'_>) -> Option<&'static str> {
    if !shape.is_complete {
        return None;
    }
    let patients = shape.records.iter().filter(|record| record.starts_with("Patient/")).count();
    if matches!(shape.action, "search" | "match") {
        let profile = if patients == 1 { balp!("PatientQuery") } else { balp!("Query") };
        return shape.has_query.then_some(profile);
    }
    let [record] = shape.records else { return None };
    // Of other types it is not known here whether they are about a Patient.
    let is_of_nobody = record.starts_with("Organization/");
    match (shape.action, patients) {
        ("read", 1) => Some(balp!("PatientRead")),
        ("create", 1) => Some(balp!("PatientCreate")),
        ("update" | "patch", 1) => Some(balp!("PatientUpdate")),
        ("delete", 1) => Some(balp!("PatientDelete")),
        _ if !is_of_nobody => None,
        ("read", _) => Some(balp!("Read")),
        ("create", _) => Some(balp!("Create")),
        ("update" | "patch", _) => Some(balp!("Update")),
        ("delete", _) => Some(balp!("Delete")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_claimed_where_all_it_asks_for_is_known() {
        let shape = |action, records| Shape { action, is_complete: true, has_query: true, records };
        let lists: Vec<Vec<String>> =
            [&[][..], &["Patient/a"], &["Organization/o"], &["Task/t"], &["Patient/a", "Patient/b"]]
                .iter()
                .map(|list| list.iter().map(|one| (*one).to_owned()).collect())
                .collect();
        for (action, expected) in [
            ("read", [None, Some("PatientRead"), Some("Read"), None, None]),
            ("create", [None, Some("PatientCreate"), Some("Create"), None, None]),
            ("patch", [None, Some("PatientUpdate"), Some("Update"), None, None]),
            ("delete", [None, Some("PatientDelete"), Some("Delete"), None, None]),
            ("search", [Some("Query"), Some("PatientQuery"), Some("Query"), Some("Query"), Some("Query")]),
            ("match", [Some("Query"), Some("PatientQuery"), Some("Query"), Some("Query"), Some("Query")]),
            ("history", [None; 5]),
            ("merge", [None; 5]),
        ] {
            for (records, expected) in lists.iter().zip(expected) {
                let found = profile(&shape(action, records)).map(|url| url.rsplit('.').next().unwrap_or_default());
                assert_eq!(found, expected, "{action} {records:?}");
            }
        }
        let one = &lists[1];
        for other in
            [Shape { is_complete: false, ..shape("read", one) }, Shape { has_query: false, ..shape("search", one) }]
        {
            assert_eq!(profile(&other), None, "{other:?}");
        }
    }

    #[test]
    fn codes_of_fhir_become_stored_actions() {
        for (letters, expected) in [
            ("CD", Stored::In(vec!["create", "delete", "load", "register-client"])),
            (
                "ER",
                Stored::NotIn(vec![
                    "create",
                    "update",
                    "patch",
                    "delete",
                    "load",
                    "register-client",
                    "manage-client",
                    "manage-account",
                    "manage-keys",
                ]),
            ),
            ("", Stored::In(Vec::new())),
        ] {
            assert_eq!(stored(|pattern| letters.contains(pattern.action)), expected, "{letters}");
        }
    }
}
