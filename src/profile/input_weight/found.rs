//! What of the table's elements a Patient has, and where.
//!
//! Not here: what an element is (see `rules`) and the sum (see the parent).

use crate::fhir::date::Date;
use crate::fhir::json::Value;

use super::rules::{IdentifierKind, InputWeights, has_text};

/// Places listed in a remark.
const REMARKS_MAX: usize = 10;

/// Positions in the lists of the Patient.
#[derive(Debug, Default)]
pub struct Found {
    pub documents: Vec<usize>,
    pub without_issuer: Vec<usize>,
    pub not_counted: Vec<usize>,
    pub contacts: ContactKinds,
    pub name: Option<usize>,
    pub has_birth_date: bool,
}

/// The first of each kind; a second of the same kind earns nothing.
#[derive(Debug, Default)]
pub struct ContactKinds {
    address: Option<usize>,
    email: Option<usize>,
    phone: Option<usize>,
    identifier: Option<usize>,
    photo: Option<usize>,
}

impl ContactKinds {
    fn all(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let kinds = [
            ("address", self.address),
            ("telecom", self.email),
            ("telecom", self.phone),
            ("identifier", self.identifier),
            ("photo", self.photo),
        ];
        kinds.into_iter().filter_map(|(element, at)| Some((element, at?)))
    }

    pub fn count(&self) -> usize {
        self.all().count()
    }

    pub fn places(&self) -> Vec<String> {
        self.all().map(|(element, at)| format!("Patient.{element}[{at}]")).collect()
    }
}

impl Found {
    pub fn collect(patient: &Value<'_>, weights: &InputWeights) -> Self {
        let mut found = Self::default();
        let identifiers = patient.list("identifier");
        for (at, identifier) in identifiers.iter().enumerate() {
            match weights.identifier_kind(identifier) {
                // Enough is enough; and the same document twice is one document.
                IdentifierKind::Document if found.document_points(weights) == weights.documents.points_max => {}
                IdentifierKind::Document
                    if !found.documents.iter().any(|other| same(&identifiers[*other], identifier)) =>
                {
                    found.documents.push(at);
                }
                IdentifierKind::WithoutIssuer if found.without_issuer.len() < REMARKS_MAX => {
                    found.without_issuer.push(at);
                }
                IdentifierKind::NotCounted if found.not_counted.len() < REMARKS_MAX => found.not_counted.push(at),
                IdentifierKind::Other if found.contacts.identifier.is_none() => found.contacts.identifier = Some(at),
                _ => {}
            }
        }
        let position = |list: &str, counts: &dyn Fn(&Value<'_>) -> bool| patient.list(list).iter().position(counts);
        let telecom = |system: &str| {
            position("telecom", &|telecom| telecom.text("system") == Some(system) && has_text(telecom, "value"))
        };
        found.contacts.address = position("address", &|address| weights.is_full_address(address));
        found.contacts.email = telecom("email");
        found.contacts.phone = telecom("phone");
        found.contacts.photo = position("photo", &|photo| has_text(photo, "data") || has_text(photo, "url"));
        found.name = position("name", &|name| weights.is_first_and_last(name));
        found.has_birth_date = patient.text("birthDate").and_then(Date::parse).is_some_and(|date| date.is_full());
        found
    }

    pub fn document_points(&self, weights: &InputWeights) -> u32 {
        let count = u32::try_from(self.documents.len()).unwrap_or(u32::MAX);
        count.saturating_mul(weights.documents.points_each).min(weights.documents.points_max)
    }

    pub fn contact_points(&self, weights: &InputWeights) -> u32 {
        match self.contacts.count() {
            0 => 0,
            1 => weights.contacts.points_one,
            _ => weights.contacts.points_more,
        }
    }
}

fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    a.text("value") == b.text("value") && a.text("system") == b.text("system")
}
