//! The facts of one record, and their two forms: a row of CSV and a FHIR R4 Patient.
//!
//! What: [`Fields`] holds text, empty where the fact is missing; both forms say the same. Why text: a generated record
//! is what somebody typed, and a typing error need not be a valid value of any type. Not here: how the facts come about.

use std::fmt::Write as _;

use serde::Serialize;

/// The facts of a record. Empty text is a missing fact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    pub family: String,
    pub given: String,
    pub middle: String,
    pub suffix: String,
    /// `male` or `female` (FHIR R4 `AdministrativeGender`).
    pub sex: String,
    /// `YYYY-MM-DD`.
    pub birth_date: String,
    pub line: String,
    pub city: String,
    /// Two letters.
    pub state: String,
    /// Five digits.
    pub zip: String,
    /// Ten digits.
    pub phone: String,
    pub email: String,
    pub ssn4: String,
    /// Medical record number, and the namespace of the facility that gave it.
    pub mrn: String,
    pub mrn_system: String,
    pub member_id: String,
}

/// The header of the flat files.
pub const CSV_HEADER: &str =
    "record_id,family,given,middle,suffix,sex,dob,line,city,state,zip,phone,email,ssn4,mrn,mrn_sys,member_id";

/// The namespace of member numbers: one payer insures everybody.
const MEMBER_SYSTEM: &str = "urn:oid:2.16.840.1.113883.19.6.1";
const HL7_IDENTIFIER_TYPES: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";
const IDENTITY_IDENTIFIER_TYPES: &str = "http://hl7.org/fhir/us/identity-matching/CodeSystem/Identity-Identifier-cs";
const PROFILE_L0: &str = "http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L0";

impl Fields {
    fn values(&self) -> [&str; 16] {
        [
            &self.family,
            &self.given,
            &self.middle,
            &self.suffix,
            &self.sex,
            &self.birth_date,
            &self.line,
            &self.city,
            &self.state,
            &self.zip,
            &self.phone,
            &self.email,
            &self.ssn4,
            &self.mrn,
            &self.mrn_system,
            &self.member_id,
        ]
    }

    /// How many facts are present.
    #[must_use]
    pub fn present(&self) -> usize {
        self.values().iter().filter(|value| !value.is_empty()).count()
    }

    /// One line under [`CSV_HEADER`], without the line end.
    #[must_use]
    pub fn to_csv_row(&self, record_id: &str) -> String {
        let mut row = String::with_capacity(200);
        push_csv(&mut row, record_id);
        for value in self.values() {
            row.push(',');
            push_csv(&mut row, value);
        }
        row
    }

    /// The Patient on one line.
    #[must_use]
    pub fn to_patient_json(&self, id: &str) -> String {
        self.patient(id, None)
    }

    /// The Patient of a match request on one line, claiming IDI-Patient-L0 (IG Patient Matching). The claim holds when
    /// [`Fields::request_weight`] reaches 9.
    #[must_use]
    pub fn to_request_patient_json(&self, id: &str) -> String {
        self.patient(id, Some(PROFILE_L0))
    }

    /// The input weight of the request by the guide's table, counted strictly (IG Patient Matching, input weight):
    /// these people have no passport, licence or Digital Identifier, and no photo.
    #[must_use]
    pub fn request_weight(&self) -> u32 {
        let all = |values: &[&String]| values.iter().all(|value| !value.is_empty());
        let address = all(&[&self.line]) && (all(&[&self.zip]) || all(&[&self.city, &self.state]));
        let identifier = all(&[&self.mrn, &self.mrn_system]) || all(&[&self.member_id]) || all(&[&self.ssn4]);
        let kinds =
            [address, identifier, all(&[&self.email]), all(&[&self.phone])].iter().filter(|held| **held).count();
        let contact = match kinds {
            0 => 0,
            1 => 4,
            _ => 5,
        };
        // Without a first name, the middle name stands first in the Patient.
        let name = if all(&[&self.family]) && !(self.given.is_empty() && self.middle.is_empty()) { 3 } else { 0 };
        let birth_date = if all(&[&self.birth_date]) { 2 } else { 0 };
        contact + name + birth_date
    }

    fn patient(&self, id: &str, profile: Option<&'static str>) -> String {
        let patient = Patient {
            resource_type: "Patient",
            id,
            meta: profile.map(|profile| Meta { profile: [profile] }),
            identifier: self.identifiers(),
            name: self.name().into_iter().collect(),
            telecom: self.telecom(),
            gender: present(&self.sex),
            birth_date: present(&self.birth_date),
            address: self.address().into_iter().collect(),
        };
        // Text written into memory: serialisation has no case that fails.
        serde_json::to_string(&patient).unwrap_or_default()
    }

    fn identifiers(&self) -> Vec<Identifier<'_>> {
        let typed = |system, code| Type { coding: [Coding { system, code }] };
        [
            (typed(HL7_IDENTIFIER_TYPES, "MR"), present(&self.mrn_system), &self.mrn),
            (typed(HL7_IDENTIFIER_TYPES, "MB"), Some(MEMBER_SYSTEM), &self.member_id),
            (typed(IDENTITY_IDENTIFIER_TYPES, "SSN4"), None, &self.ssn4),
        ]
        .into_iter()
        .filter(|(_, _, value)| !value.is_empty())
        .map(|(r#type, system, value)| Identifier { r#type, system, value })
        .collect()
    }

    fn name(&self) -> Option<Name<'_>> {
        let given: Vec<&str> = [&self.given, &self.middle].into_iter().filter_map(|part| present(part)).collect();
        let suffix = present(&self.suffix).into_iter().collect();
        (!self.family.is_empty() || !given.is_empty()).then(|| Name {
            r#use: "official",
            family: present(&self.family),
            given,
            suffix,
        })
    }

    fn telecom(&self) -> Vec<ContactPoint<'_>> {
        let phone = present(&self.phone).map(|digits| ContactPoint { system: "phone", value: Phone(digits).written() });
        let email = present(&self.email).map(|email| ContactPoint { system: "email", value: email.into() });
        phone.into_iter().chain(email).collect()
    }

    fn address(&self) -> Option<Address<'_>> {
        let address = Address {
            r#use: "home",
            line: present(&self.line).into_iter().collect(),
            city: present(&self.city),
            state: present(&self.state),
            postal_code: present(&self.zip),
        };
        let is_empty = address.line.is_empty() && [address.city, address.state, address.postal_code] == [None; 3];
        (!is_empty).then_some(address)
    }
}

fn present(value: &str) -> Option<&str> {
    (!value.is_empty()).then_some(value)
}

/// Appends a value, quoted where CSV needs it (RFC 4180).
fn push_csv(row: &mut String, value: &str) {
    if value.contains([',', '"', '\n', '\r']) {
        let _ = write!(row, "\"{}\"", value.replace('"', "\"\""));
    } else {
        row.push_str(value);
    }
}

struct Phone<'a>(&'a str);

impl<'a> Phone<'a> {
    /// `(212) 555-0100`, or the value as it is when it does not have ten digits.
    fn written(&self) -> std::borrow::Cow<'a, str> {
        match (self.0.get(..3), self.0.get(3..6), self.0.get(6..10)) {
            (Some(area), Some(exchange), Some(line)) if self.0.len() == 10 => {
                format!("({area}) {exchange}-{line}").into()
            }
            _ => self.0.into(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Patient<'a> {
    resource_type: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Meta>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    identifier: Vec<Identifier<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    name: Vec<Name<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    telecom: Vec<ContactPoint<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gender: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    birth_date: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    address: Vec<Address<'a>>,
}

#[derive(Serialize)]
struct Meta {
    profile: [&'static str; 1],
}

#[derive(Serialize)]
struct Identifier<'a> {
    r#type: Type,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    value: &'a str,
}

#[derive(Serialize)]
struct Type {
    coding: [Coding; 1],
}

#[derive(Serialize)]
struct Coding {
    system: &'static str,
    code: &'static str,
}

#[derive(Serialize)]
struct Name<'a> {
    r#use: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    given: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suffix: Vec<&'a str>,
}

#[derive(Serialize)]
struct ContactPoint<'a> {
    system: &'static str,
    value: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Address<'a> {
    r#use: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    line: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postal_code: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Fields {
        let text = |value: &str| value.to_owned();
        Fields {
            family: text("Muñoz"),
            given: text("Ana"),
            middle: text("L"),
            suffix: text("Jr"),
            sex: text("female"),
            birth_date: text("1980-02-03"),
            line: text("1 Main St"),
            city: text("Erie"),
            state: text("PA"),
            zip: text("16501"),
            phone: text("8142000000"),
            email: text("a@mail.example"),
            ssn4: text("1234"),
            mrn: text("0000000007"),
            mrn_system: text("urn:oid:2.16.840.1.113883.19.5.1"),
            member_id: text("W000000001"),
        }
    }

    #[test]
    fn patient_and_row_say_the_same() {
        let patient: serde_json::Value = serde_json::from_str(&full().to_patient_json("p1")).unwrap();
        for (pointer, value) in [
            ("/resourceType", "Patient"),
            ("/id", "p1"),
            ("/identifier/0/type/coding/0/code", "MR"),
            ("/identifier/0/system", "urn:oid:2.16.840.1.113883.19.5.1"),
            ("/identifier/1/type/coding/0/code", "MB"),
            ("/identifier/2/type/coding/0/code", "SSN4"),
            ("/identifier/2/value", "1234"),
            ("/name/0/family", "Muñoz"),
            ("/name/0/given/1", "L"),
            ("/name/0/suffix/0", "Jr"),
            ("/telecom/0/value", "(814) 200-0000"),
            ("/telecom/1/system", "email"),
            ("/birthDate", "1980-02-03"),
            ("/address/0/postalCode", "16501"),
        ] {
            assert_eq!(patient.pointer(pointer).and_then(|found| found.as_str()), Some(value), "{pointer}");
        }
        assert_eq!(
            full().to_csv_row("p1"),
            "p1,Muñoz,Ana,L,Jr,female,1980-02-03,1 Main St,Erie,PA,16501,8142000000,a@mail.example,1234,0000000007,\
             urn:oid:2.16.840.1.113883.19.5.1,W000000001"
        );
        assert_eq!(full().to_csv_row("p1").split(',').count(), CSV_HEADER.split(',').count());
    }

    #[test]
    fn missing_facts_leave_no_empty_element() {
        assert_eq!(Fields::default().to_patient_json("p1"), r#"{"resourceType":"Patient","id":"p1"}"#);
        let given_only = Fields { given: "Ana".to_owned(), ..Fields::default() };
        assert_eq!(
            given_only.to_patient_json("p1"),
            r#"{"resourceType":"Patient","id":"p1","name":[{"use":"official","given":["Ana"]}]}"#
        );
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let fields = Fields { line: "1 \"A\" St, rear".to_owned(), ..Fields::default() };
        assert_eq!(fields.to_csv_row("p1"), "p1,,,,,,,\"1 \"\"A\"\" St, rear\",,,,,,,,,");
    }

    #[test]
    fn request_weight_follows_the_guides_table() {
        type Change = fn(&mut Fields);
        let rows: [(&str, Change, u32); 9] = [
            ("everything", |_| {}, 10),
            ("no first name", |f| f.given.clear(), 10),
            ("no last name", |f| f.family.clear(), 7),
            ("no birth date", |f| f.birth_date.clear(), 8),
            (
                "identifier only",
                |f| {
                    f.line.clear();
                    f.email.clear();
                    f.phone.clear();
                },
                9,
            ),
            (
                "street without place",
                |f| {
                    f.zip.clear();
                    f.city.clear();
                    f.email.clear();
                    f.phone.clear();
                },
                9,
            ),
            (
                "city and state for the zip",
                |f| {
                    f.zip.clear();
                    f.email.clear();
                    f.phone.clear();
                },
                10,
            ),
            ("SSN4 needs no issuer", |f| *f = Fields { ssn4: "1".into(), ..Fields::default() }, 4),
            ("nothing", |f| *f = Fields::default(), 0),
        ];
        for (what, change, weight) in rows {
            let mut fields = full();
            change(&mut fields);
            assert_eq!(fields.request_weight(), weight, "{what}");
        }
    }

    #[test]
    fn a_request_claims_l0_and_a_record_claims_nothing() {
        assert!(full().to_request_patient_json("q1").contains(
            r#""meta":{"profile":["http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L0"]}"#
        ));
        assert!(!full().to_patient_json("q1").contains("meta"));
    }
}
