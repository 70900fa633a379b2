//! The IDI rule: what a Patient sent for matching must be (IG Patient Matching, profiles IDI-Patient, L0, L1, L2).
//!
//! What: every claimed profile is checked, the highest decides, and then the strict input weight must reach the minimum
//! of that level. Why beside the invariants: the guide's expressions are loose (a licence without its issuer counts),
//! its weight table is not. Not here: the table (see `input_weight`), the expressions (see `profiles/`), and what the
//! requester may do (assurance).

use super::input_weight::{InputWeight, weigh};
use super::validate::{Finding, claims};
use super::{GUIDE_CANONICAL_BASE, Profiles};
use crate::fhir::date::Date;
use crate::fhir::issue::{Issue, IssueCode, Severity, any_error};
use crate::fhir::json::Value;

/// The four profiles of a Patient sent for matching, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdiProfile {
    Base,
    L0,
    L1,
    L2,
}

impl IdiProfile {
    pub const ALL: [Self; 4] = [Self::Base, Self::L0, Self::L1, Self::L2];

    /// The name that ends the canonical URL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "IDI-Patient",
            Self::L0 => "IDI-Patient-L0",
            Self::L1 => "IDI-Patient-L1",
            Self::L2 => "IDI-Patient-L2",
        }
    }

    #[must_use]
    pub fn canonical(self) -> String {
        format!("{GUIDE_CANONICAL_BASE}/StructureDefinition/{}", self.name())
    }

    /// The profile of a canonical URL, with or without a version.
    #[must_use]
    pub fn from_canonical(canonical: &str) -> Option<Self> {
        let canonical = super::terminology::without_version(canonical);
        let name = canonical.strip_prefix(GUIDE_CANONICAL_BASE)?.strip_prefix("/StructureDefinition/")?;
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }
}

/// The IDI profiles that `meta.profile` names, lowest first, each once.
#[must_use]
pub fn claimed_profiles(patient: &Value<'_>) -> Vec<IdiProfile> {
    let mut claimed: Vec<_> = claims(patient).filter_map(IdiProfile::from_canonical).collect();
    claimed.sort_unstable();
    claimed.dedup();
    claimed
}

/// What happens to a Patient that claims no profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileRequirement {
    Required,
    AssumeIdiPatient,
}

/// The verdict on a Patient sent for matching.
#[derive(Debug, Clone)]
pub struct IdiValidation {
    /// The highest profile claimed (or assumed).
    pub claimed: Option<IdiProfile>,
    /// With an error among them, the request is refused (422), and they include the breakdown of the weight.
    pub issues: Vec<Issue>,
    pub weight: InputWeight,
}

impl IdiValidation {
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        !any_error(&self.issues)
    }
}

/// Judges `patient`, in whose names texts have been completed into family and given.
#[must_use]
pub fn validate_idi_patient(profiles: &Profiles, patient: &Value<'_>, policy: ProfileRequirement) -> IdiValidation {
    let weight = weigh(patient, profiles.weights());
    let mut issues = Vec::new();
    let mut claimed = claimed_profiles(patient);
    if claimed.is_empty() {
        issues.push(no_claim(policy));
        if policy == ProfileRequirement::AssumeIdiPatient {
            claimed.push(IdiProfile::Base);
        }
    }
    let mut counts_differently = false;
    for profile in &claimed {
        let is_enough = weight.total >= profiles.weights().minimum(*profile);
        for finding in check(profiles, patient, *profile) {
            counts_differently |= is_enough && is_short_of_points(&finding);
            // Several profiles have the same element rules.
            if !issues.contains(&finding.issue) {
                issues.push(finding.issue);
            }
        }
    }
    if counts_differently {
        issues.push(different_count(patient));
    }
    let highest = claimed.last().copied();
    let minimum = highest.map_or(0, |profile| profiles.weights().minimum(profile));
    if weight.total < minimum {
        let text = format!(
            "Match request not sufficiently specific: the input weight is {} and must be at least {minimum}.",
            weight.total
        );
        let issue = Issue::error(IssueCode::BusinessRule, text).at("Patient");
        issues.push(issue.coded(super::OUTCOME_SYSTEM, "weight-too-low"));
    }
    if any_error(&issues) {
        issues.extend(weight.issues());
    }
    IdiValidation { claimed: highest, issues, weight }
}

fn no_claim(policy: ProfileRequirement) -> Issue {
    let (severity, text) = match policy {
        ProfileRequirement::Required => {
            (Severity::Error, "The Patient must claim one of the IDI profiles in meta.profile, and claims none.")
        }
        ProfileRequirement::AssumeIdiPatient => {
            (Severity::Warning, "The Patient claims no IDI profile in meta.profile: IDI-Patient is assumed.")
        }
    };
    Issue::new(severity, IssueCode::Invariant, text)
        .at("Patient.meta.profile")
        .coded(super::OUTCOME_SYSTEM, "no-profile-claimed")
}

/// The invariant that a Digital Identifier with names and birth date may miss.
const WEIGHT_INVARIANT: &str = "idi-L1";
/// The invariants that add up points.
const WEIGHT_INVARIANTS: [&str; 2] = ["idi-L0", WEIGHT_INVARIANT];

fn check<'p>(profiles: &'p Profiles, patient: &Value<'_>, profile: IdiProfile) -> Vec<Finding<'p>> {
    let mut findings = profiles.findings(patient, &profile.canonical());
    let is_only_failure = findings
        .iter()
        .filter(|finding| finding.issue.is_error())
        .all(|finding| finding.invariant == Some(WEIGHT_INVARIANT));
    if profile >= IdiProfile::L1 && is_only_failure && has_digital_identifier(profiles, patient) {
        findings.iter_mut().filter(|finding| finding.issue.is_error()).for_each(accept_digital_identifier);
    }
    findings
}

/// The printed invariant gives 9 points to a Digital Identifier with first name, last name and birth date. The guide
/// says that this set makes further demographics unnecessary (IG Patient Matching, Digital Identifiers): it passes.
fn accept_digital_identifier(finding: &mut Finding<'_>) {
    let issue = &mut finding.issue;
    issue.severity = Severity::Warning;
    issue
        .diagnostics
        .push_str(" Accepted because a Digital Identifier, first name, last name and birth date are given.");
    *issue = issue.clone().coded(super::OUTCOME_SYSTEM, "digital-identifier-accepted");
}

/// Whether `finding` is that the expression of a profile counts fewer points than it demands.
fn is_short_of_points(finding: &Finding<'_>) -> bool {
    finding.issue.is_error() && finding.invariant.is_some_and(|key| WEIGHT_INVARIANTS.contains(&key))
}

/// Tells what the expression wants that the table does not, of what `patient` has.
fn different_count(patient: &Value<'_>) -> Issue {
    let addresses = patient.list("address");
    let at_home = addresses.iter().any(|address| address.text("use") == Some("home"));
    let mut text =
        "The weight table gives the Patient enough points, and the expression of the claimed profile, which \
                    counts differently, does not. "
            .to_owned();
    if !addresses.is_empty() && !at_home {
        text.push_str("An address counts there only when one has the use home: add it where it is true. ");
    }
    text.push_str(
        "A Digital Identifier counts there as 4, like any other identifier: a passport, driver's licence or state id \
         (type code PPN, DL or STID) adds 5, and so does a second one; a second of home address, email, phone, other \
         identifier with a type code and photo adds 1.",
    );
    let issue = Issue::information(IssueCode::Informational, text).at("Patient");
    issue.coded(super::OUTCOME_SYSTEM, "expression-counts-differently")
}

fn has_digital_identifier(profiles: &Profiles, patient: &Value<'_>) -> bool {
    let weights = profiles.weights();
    let identifier = patient.list("identifier").iter().any(|identifier| weights.is_digital_identifier(identifier));
    let name = patient.list("name").iter().any(|name| weights.is_first_and_last(name));
    identifier && name && patient.text("birthDate").and_then(Date::parse).is_some_and(|date| date.is_full())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::tests::{fixture, parsed, shipped};

    fn patient(claims: &[&str], members: &str) -> String {
        let claims: Vec<_> =
            claims.iter().map(|name| format!(r#""{GUIDE_CANONICAL_BASE}/StructureDefinition/{name}""#)).collect();
        format!(r#"{{"resourceType":"Patient","meta":{{"profile":[{}]}},{members}}}"#, claims.join(","))
    }

    fn judge(text: &str, policy: ProfileRequirement) -> IdiValidation {
        validate_idi_patient(shipped(), &parsed(text), policy)
    }

    fn details(result: &IdiValidation) -> Vec<&str> {
        result.issues.iter().filter_map(|issue| issue.details.as_ref()).map(|coding| coding.code.as_str()).collect()
    }

    const DIGITAL: &str = r#""identifier":[{"type":{"coding":[
        {"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"PN"}]},
        "system":"http://hl7.org/fhir/us/identity-matching/ns/HL7PersonIdentifier","value":"1"}],
        "name":[{"family":"Ng","given":["Ada"]}],"birthDate":"1980-01-31""#;

    #[test]
    fn every_claim_is_checked_and_the_highest_decides() {
        let table: &[(&[&str], Option<IdiProfile>, bool)] = &[
            (&["IDI-Patient"], Some(IdiProfile::Base), true),
            (&["IDI-Patient|2.0.0"], Some(IdiProfile::Base), true),
            (&["IDI-Patient-L0"], Some(IdiProfile::L0), true),
            (&["IDI-Patient-L1", "IDI-Patient"], Some(IdiProfile::L1), true),
            (&["IDI-Patient-L2", "IDI-Patient-L0|2.0.0"], Some(IdiProfile::L2), true),
            (&["IDI-Patient-L3"], None, false),
            (&[], None, false),
        ];
        for (claims, claimed, accepted) in table {
            let result = judge(&patient(claims, DIGITAL), ProfileRequirement::Required);
            assert_eq!(
                (result.claimed, result.is_accepted()),
                (*claimed, *accepted),
                "{claims:?}: {:?}",
                result.issues
            );
        }
    }

    #[test]
    fn a_patient_without_a_claim_is_refused_or_taken_for_an_idi_patient_with_a_warning() {
        let text = patient(&["http://other"], r#""birthDate":"1980""#);
        let refused = judge(&text, ProfileRequirement::Required);
        assert!(!refused.is_accepted() && refused.claimed.is_none());
        assert_eq!(refused.issues[0].expression, ["Patient.meta.profile"]);
        let assumed = judge(&text, ProfileRequirement::AssumeIdiPatient);
        assert_eq!((assumed.is_accepted(), assumed.claimed), (true, Some(IdiProfile::Base)));
        assert_eq!(details(&assumed), ["no-profile-claimed"]);
        let nothing = judge(&patient(&[], r#""gender":"male""#), ProfileRequirement::AssumeIdiPatient);
        assert!(!nothing.is_accepted());
    }

    #[test]
    fn a_digital_identifier_with_names_and_birth_date_passes_where_only_the_weight_invariant_fails() {
        let digital = judge(&patient(&["IDI-Patient-L1"], DIGITAL), ProfileRequirement::Required);
        assert_eq!((digital.is_accepted(), digital.weight.total), (true, 10));
        assert_eq!(details(&digital), ["digital-identifier-accepted"]);
        let spoilt = [
            DIGITAL.replace("HL7PersonIdentifier", "other"),
            DIGITAL.replace("1980-01-31", "1980-01"),
            DIGITAL.replace(r#","given":["Ada"]"#, ""),
            DIGITAL.replace(r#""birthDate""#, r#""telecom":[{"extension":[{"url":"u"}]}],"deceasedDateTime""#),
            DIGITAL.replace(r#""type""#, r#""x""#),
        ];
        for members in spoilt {
            let result = judge(&patient(&["IDI-Patient-L1"], &members), ProfileRequirement::Required);
            assert!(!result.is_accepted(), "{members}");
            assert!(!details(&result).contains(&"digital-identifier-accepted"), "{members}");
        }
    }

    #[test]
    fn where_the_table_gives_enough_and_the_expression_does_not_the_difference_is_explained() {
        let name = r#""name":[{"family":"Ng","given":["Ada"]}],"birthDate":"1980-01-31""#;
        let home = |of: &str| format!(r#"{name},"address":[{{{of}"line":["1 A"],"postalCode":"44100"}}]"#);
        let code = "expression-counts-differently";
        let table = [
            (patient(&["IDI-Patient-L0"], &home("")), false, true),
            (patient(&["IDI-Patient-L0"], &home(r#""use":"work","#)), false, true),
            (patient(&["IDI-Patient-L0"], &home(r#""use":"home","#)), true, false),
            (patient(&["IDI-Patient"], &home("")), true, false),
            (patient(&["IDI-Patient-L0"], name), false, false),
            (patient(&["IDI-Patient-L1"], &home("")), false, false),
            (patient(&["IDI-Patient-L1"], DIGITAL), true, false),
        ];
        for (text, accepted, explained) in table {
            let result = judge(&text, ProfileRequirement::Required);
            let found = details(&result).contains(&code);
            assert_eq!((result.is_accepted(), found), (accepted, explained), "{text} {:?}", result.issues);
        }
        let result = judge(&patient(&["IDI-Patient-L0"], &home("")), ProfileRequirement::Required);
        let is_it = |issue: &&Issue| issue.details.as_ref().is_some_and(|details| details.code == code);
        let issue = result.issues.iter().find(is_it).expect("explained");
        assert!(issue.severity == Severity::Information && issue.diagnostics.contains("use home"), "{issue:?}");
        let broken = result.issues.iter().find(|issue| issue.is_error()).expect("the invariant");
        assert!(broken.diagnostics.contains("only when one has the use home"), "{broken:?}");
    }

    #[test]
    fn a_low_weight_is_refused_with_its_breakdown_although_the_invariant_holds() {
        let text = fixture("patient-incomplete.json");
        let result = judge(&text, ProfileRequirement::Required);
        let errors: Vec<_> = result.issues.iter().filter(|issue| issue.is_error()).collect();
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].code, IssueCode::BusinessRule);
        assert!(errors[0].diagnostics.starts_with("Match request not sufficiently specific"));
        let expected = [
            "weight-too-low",
            "input-weight",
            "contact",
            "birth-date",
            "document-without-issuer",
            "raise-to-l0",
            "raise-to-l1",
        ];
        assert_eq!(details(&result), expected);
    }

    #[test]
    fn no_issue_repeats_a_received_value_and_every_detail_is_a_code_of_this_project() {
        let json: serde_json::Value =
            serde_json::from_str(&shipped().find_artifact("CodeSystem", "match-outcome").expect("shipped").json)
                .expect("json");
        let known: Vec<_> =
            json["concept"].as_array().expect("concepts").iter().filter_map(|c| c["code"].as_str()).collect();
        assert_eq!(json["url"], crate::profile::OUTCOME_SYSTEM);
        let text = fixture("patient-incomplete.json");
        for members in
            [text.as_str(), &patient(&["IDI-Patient-L1"], DIGITAL), &patient(&[], r#""name":[{"text":"Zed"}]"#)]
        {
            let result = judge(members, ProfileRequirement::Required);
            assert!(!result.issues.is_empty());
            assert!(details(&result).iter().all(|code| known.contains(code)), "{:?}", details(&result));
            for issue in result.issues.iter().chain(&result.weight.issues()) {
                for value in ["3902", "Case", "726-555", "1992", "Teapot", "NorthCarolina", "Zed", "Ada", "1980"] {
                    assert!(!issue.diagnostics.contains(value), "{}", issue.diagnostics);
                }
            }
        }
    }
}
