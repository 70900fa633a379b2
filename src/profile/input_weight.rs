//! The input weight: how specific a Patient sent for matching is (IG Patient Matching, weighted elements).
//!
//! What: the guide's table, computed strictly and element by element, with what earned points and what would raise the
//! total. Points, codes, limits and words come from `profiles/input-weights.json`. Why beside the invariants: they are
//! deliberately loose, and the decision is taken with this. Not here: the decision (see `idi`), and values of matching
//! such as placeholders, which never change the weight.

mod advice;
mod found;
mod rules;

pub use rules::InputWeights;

use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::json::Value;

use super::OUTCOME_SYSTEM;
use found::Found;

/// The weight of one Patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputWeight {
    pub total: u32,
    /// Those with points, then what was sent and earned none for a reason worth knowing.
    pub parts: Vec<WeightPart>,
    pub advice: Vec<Advice>,
}

/// A row of the table that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightPart {
    /// A code of this project's code system `match-outcome`.
    pub code: String,
    pub points: u32,
    pub text: String,
    /// Where the elements stand that earned the points.
    pub expressions: Vec<String>,
}

/// What would raise the weight to the minimum of a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// `L0` or `L1`.
    pub level: String,
    pub text: String,
    pub code: String,
}

impl InputWeight {
    /// The breakdown as information for the sender: total, parts, advice. It depends on the request alone.
    #[must_use]
    pub fn issues(&self) -> Vec<Issue> {
        let information =
            |text: String, code: &str| Issue::information(IssueCode::Informational, text).coded(OUTCOME_SYSTEM, code);
        let total =
            information(format!("The input weight of the Patient is {}.", self.total), "input-weight").at("Patient");
        let parts = self.parts.iter().map(|part| {
            let issue = information(format!("{} points: {}", part.points, part.text), &part.code);
            part.expressions.iter().fold(issue, Issue::at)
        });
        let advice = self.advice.iter().map(|advice| information(advice.text.clone(), &advice.code));
        std::iter::once(total).chain(parts).chain(advice).collect()
    }
}

/// Weighs `patient`, in whose names texts have been completed into family and given.
#[must_use]
pub fn weigh(patient: &Value<'_>, weights: &InputWeights) -> InputWeight {
    let found = Found::collect(patient, weights);
    let mut parts = Vec::new();
    let mut earn = |row: &rules::Row, points: u32, expressions: Vec<String>| {
        let text = row.text.clone();
        parts.push(WeightPart { code: row.code.clone(), points, text, expressions });
    };
    if !found.documents.is_empty() {
        earn(&weights.documents.row, found.document_points(weights), identifiers(&found.documents));
    }
    if found.contacts.count() > 0 {
        earn(&weights.contacts.row, found.contact_points(weights), found.contacts.places());
    }
    if let Some(at) = found.name {
        earn(&weights.name.row, weights.name.points, vec![format!("Patient.name[{at}]")]);
    }
    if found.has_birth_date {
        earn(&weights.birth_date.row, weights.birth_date.points, vec!["Patient.birthDate".to_owned()]);
    }
    for (row, places) in [(&weights.without_issuer, &found.without_issuer), (&weights.not_counted, &found.not_counted)]
    {
        if !places.is_empty() {
            earn(row, 0, identifiers(places));
        }
    }
    let total = parts.iter().map(|part| part.points).sum();
    let advice = advice::advise(total, &found, weights);
    InputWeight { total, parts, advice }
}

fn identifiers(places: &[usize]) -> Vec<String> {
    places.iter().map(|at| format!("Patient.identifier[{at}]")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::tests::{fixture, parsed, shipped};

    fn weight(members: &str) -> InputWeight {
        weigh(&parsed(&format!(r#"{{"resourceType":"Patient",{members}}}"#)), shipped().weights())
    }

    fn identifier(codes: &[&str], rest: &str) -> String {
        let codings: Vec<_> = codes.iter().map(|code| format!(r#"{{"system":"http://t","code":"{code}"}}"#)).collect();
        format!(r#"{{"type":{{"coding":[{}]}}{rest}}}"#, codings.join(","))
    }

    #[test]
    fn the_guides_examples_have_their_weights() {
        let table = [
            ("patient-base.json", 15),
            ("patient-l0.json", 14),
            ("patient-l1.json", 15),
            ("patient-l2.json", 20),
            ("patient-incomplete.json", 6),
        ];
        for (name, total) in table {
            let text = fixture(name);
            assert_eq!(weigh(&parsed(&text), shipped().weights()).total, total, "{name}");
        }
    }

    #[test]
    fn identifiers_earn_what_the_table_says() {
        let valued = |rest: &str| format!(r#","value":"A12"{rest}"#);
        let display = valued(r#","assigner":{"display":"Ohio"}"#);
        let system = |system: &str| valued(&format!(r#","system":"{system}""#));
        let digits = |value: &str, rest: &str| format!(r#","value":"{value}"{rest}"#);
        let person = "http://hl7.org/fhir/us/identity-matching/ns/HL7PersonIdentifier";
        let table = [
            (identifier(&["DL"], &display), 5),
            (identifier(&["STID"], &display), 5),
            (identifier(&["PPN"], &valued(r#","assigner":{"reference":"Organization/1"}"#)), 5),
            (identifier(&["DL"], &valued(r#","assigner":{"identifier":{"value":"1"}}"#)), 0),
            (identifier(&["DL"], &valued(r#","assigner":{"display":" "}"#)), 0),
            (identifier(&["DL"], r#","assigner":{"display":"Ohio"}"#), 0),
            (identifier(&["DL"], r#","value":" ","assigner":{"display":"Ohio"}"#), 0),
            (identifier(&["DL"], &system("http://terminology.hl7.org/NamingSystem/NorthCarolinaDLN")), 0),
            (identifier(&["PPN"], &system("http://hl7.org/fhir/sid/passport-USA")), 5),
            (identifier(&["PPN"], &system("http://hl7.org/fhir/sid/passport-")), 0),
            (identifier(&["PPN"], &system("http://hl7.org/fhir/sid/passport-US")), 0),
            (identifier(&["PPN"], &system("http://hl7.org/fhir/sid/passport-USA/x")), 0),
            (identifier(&["DL"], &system("urn:oid:2.16.840.1.113883.4.3.39")), 5),
            (identifier(&["DL"], &system("urn:oid:2.16.840.1.113883.4.3.")), 0),
            (identifier(&["DL"], &system("urn:oid:2.16.840.1.113883.4.3.39.1")), 0),
            (identifier(&["DL"], &system("urn:oid:2.16.840.1.113883.4.30")), 0),
            (identifier(&["DL"], &valued("")).replace("http://t", "urn:oid:2.16.840.1.113883.4.3.39"), 5),
            (identifier(&["PPN"], &valued("")).replace("http://t", "http://hl7.org/fhir/sid/passport-FRA"), 5),
            (identifier(&["MR", "DL"], &display), 5),
            (identifier(&["PN"], &system(person)), 5),
            (format!(r#"{{"system":"{person}","value":"1"}}"#), 5),
            (format!(r#"{{"system":"{person}"}}"#), 0),
            (identifier(&["DL"], &system(person)), 5),
            (identifier(&["MR"], &display), 4),
            (identifier(&["MR"], &system("http://h")), 4),
            (identifier(&["MR"], &valued("")), 0),
            (identifier(&["MB"], &display), 4),
            (identifier(&["MB"], &valued("")), 0),
            (r#"{"system":"http://h","value":"1"}"#.to_owned(), 0),
            (r#"{"type":{"text":"MRN"},"system":"http://h","value":"1"}"#.to_owned(), 0),
            (identifier(&["SN"], &display), 0),
            (identifier(&["SS"], &display), 0),
            (identifier(&["MR", "SS"], &display), 0),
            (identifier(&["MR"], &system("http://hl7.org/fhir/sid/us-ssn")), 0),
            (identifier(&["SSN4"], &digits("1234", "")), 4),
            (identifier(&["SSN4"], &digits("***-**-1234", "")), 4),
            (identifier(&["SSN4"], &digits("1234", r#","system":"http://hl7.org/fhir/sid/us-ssn""#)), 4),
            (identifier(&["SSN4"], ""), 0),
            (identifier(&["SSN4"], &digits("51234", "")), 0),
            (identifier(&["SSN4"], &digits("987-65-4321", "")), 0),
            (identifier(&["SS"], &digits("51234", r#","system":"http://hl7.org/fhir/sid/us-ssn""#)), 0),
        ];
        for (identifier, total) in table {
            assert_eq!(weight(&format!(r#""identifier":[{identifier}]"#)).total, total, "{identifier}");
        }
    }

    #[test]
    fn documents_earn_ten_at_most_and_one_document_counts_once() {
        let licence =
            |value: &str| identifier(&["DL"], &format!(r#","value":"{value}","assigner":{{"display":"Ohio"}}"#));
        let list = |items: &[String]| weight(&format!(r#""identifier":[{}]"#, items.join(","))).total;
        assert_eq!(list(&[licence("1"), licence("2")]), 10);
        assert_eq!(list(&[licence("1"), licence("2"), licence("3")]), 10);
        assert_eq!(list(&[licence("1"), licence("1")]), 5);
    }

    #[test]
    fn other_elements_earn_what_the_table_says() {
        let table = [
            (r#""address":[{"line":["1 A"],"postalCode":"1"}]"#, 4),
            (r#""address":[{"line":["1 A"],"city":"B","state":"C"}]"#, 4),
            (r#""address":[{"line":["1 A"],"city":"B"}]"#, 0),
            (r#""address":[{"line":["1 A"],"state":"C"}]"#, 0),
            (r#""address":[{"line":["1 A"]},{"postalCode":"1"}]"#, 0),
            (r#""address":[{"line":[" "],"postalCode":"1"}]"#, 0),
            (r#""address":[{"city":"B","state":"C","postalCode":"1"}]"#, 0),
            (r#""address":[{"use":"old","line":["1 A"],"postalCode":"1"}]"#, 0),
            (r#""address":[{"use":"billing","line":["1 A"],"postalCode":"1"}]"#, 0),
            (r#""address":[{"use":"work","line":["1 A"],"postalCode":"1"}]"#, 4),
            (r#""address":[{"line":["1 A"],"postalCode":"1"},{"line":["2 B"],"postalCode":"2"}]"#, 4),
            (r#""telecom":[{"system":"email","value":"a@b"}]"#, 4),
            (r#""telecom":[{"system":"email"},{"value":"a@b"}]"#, 0),
            (r#""telecom":[{"system":"phone","value":"1"},{"system":"phone","value":"2"}]"#, 4),
            (r#""telecom":[{"system":"phone","value":"1"},{"system":"email","value":"a@b"}]"#, 5),
            (r#""telecom":[{"system":"fax","value":"1"}]"#, 0),
            (
                r#""telecom":[{"system":"phone","value":"1"}],"photo":[{"url":"u"}],"address":[{"line":["1"],"postalCode":"1"}]"#,
                5,
            ),
            (r#""photo":[{"data":"AA=="}]"#, 4),
            (r#""photo":[{"contentType":"image/png"}]"#, 0),
            (r#""name":[{"family":"Ng","given":["Ada"]}]"#, 3),
            (r#""name":[{"family":"Ng"},{"given":["Ada"]}]"#, 0),
            (r#""name":[{"family":"Ng"}]"#, 0),
            (r#""name":[{"use":"old","family":"Ng","given":["Ada"]}]"#, 0),
            (r#""name":[{"use":"nickname","family":"Ng","given":["Ada"]}]"#, 0),
            (r#""name":[{"use":"maiden","family":"Ng","given":["Ada"]}]"#, 3),
            (r#""name":[{"family":"Ng","given":[" "]}]"#, 0),
            (r#""name":[{"text":"Ada Ng"}]"#, 0),
            (r#""birthDate":"1980-01-31""#, 2),
            (r#""birthDate":"1980-01""#, 0),
            (r#""birthDate":"1980""#, 0),
            (r#""gender":"female""#, 0),
        ];
        for (members, total) in table {
            assert_eq!(weight(members).total, total, "{members}");
        }
    }

    #[test]
    fn parts_add_up_to_the_total_and_say_where_they_stand() {
        let text = fixture("patient-l2.json");
        let weight = weigh(&parsed(&text), shipped().weights());
        let parts: Vec<_> =
            weight.parts.iter().map(|part| (part.code.as_str(), part.points, part.expressions.join(" "))).collect();
        let expected = [
            ("identity-document", 10, "Patient.identifier[0] Patient.identifier[1]".to_owned()),
            ("contact", 5, "Patient.address[0] Patient.telecom[0]".to_owned()),
            ("first-and-last-name", 3, "Patient.name[0]".to_owned()),
            ("birth-date", 2, "Patient.birthDate".to_owned()),
        ];
        assert_eq!(parts, expected);
        assert_eq!(weight.advice, []);
        assert_eq!(weight.issues().len(), 5);
    }

    #[test]
    fn advice_names_the_additions_that_suffice() {
        let of = |members: &str| -> Vec<(String, String)> {
            weight(members).advice.into_iter().map(|advice| (advice.level, advice.text)).collect()
        };
        let name_and_date = r#""name":[{"family":"Ng","given":["Ada"]}],"birthDate":"1980-01-31""#;
        let [l0, l1] = &of(name_and_date)[..] else { panic!("two levels") };
        assert!(l0.0 == "L0" && l0.1.contains("4 more than is given. Any one of these is enough: "), "{l0:?}");
        assert!(l0.1.contains("(+5)") && l0.1.contains("(+4)"), "{l0:?}");
        assert!(l1.0 == "L1" && l1.1.contains("(+5)") && !l1.1.contains("(+4)"), "{l1:?}");
        let [l0, _] = &of(r#""birthDate":"1980-01-31""#)[..] else { panic!("two levels") };
        assert!(
            l0.1.contains("These together are enough: ") && l0.1.contains("(+5)") && l0.1.contains("(+4)"),
            "{l0:?}"
        );
        let nine = format!(r#"{name_and_date},"telecom":[{{"system":"phone","value":"1"}}]"#);
        let [l1] = &of(&nine)[..] else { panic!("one level") };
        assert!(l1.1.contains("1 more than is given") && l1.1.contains("(+1)") && l1.1.contains("(+5)"), "{l1:?}");
    }
}
