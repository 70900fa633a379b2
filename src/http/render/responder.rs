//! Who answers: the Organization of every match answer, written once at the start, and the URLs of this server.
//!
//! Not here: reading the configuration.

use fhir_types::codes::ContactPointSystem;
use fhir_types::resources::Organization;
use fhir_types::types::{ContactPoint, Meta, Reference};
use fhir_types::write_organization;

use super::{RenderError, list};
use crate::fhir::canonical::US_CORE_ORGANIZATION;

/// What the configuration says about the responding organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationSummary {
    pub id: String,
    pub name: String,
    pub contacts: Vec<Contact>,
}

/// A way to reach the organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contact {
    Phone(String),
    Email(String),
    Url(String),
}

/// The responder, ready to be put into answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responder {
    base_url: String,
    full_url: String,
    name: String,
    body: String,
}

impl Responder {
    /// The responder of a server reached under `base_url`.
    ///
    /// # Errors
    /// When `base_url` is not absolute, or the organization has no contact (IG Patient Matching: at least one).
    pub fn new(base_url: &str, organization: &OrganizationSummary) -> Result<Self, RenderError> {
        let base_url = base_url.trim_end_matches('/').to_owned();
        if !(base_url.starts_with("http://") || base_url.starts_with("https://")) {
            return Err(RenderError::BaseUrl);
        }
        if organization.contacts.is_empty() {
            return Err(RenderError::NoContact);
        }
        let full_url = format!("{base_url}/Organization/{}", organization.id);
        Ok(Self { base_url, full_url, name: organization.name.clone(), body: render(organization)? })
    }

    /// The URL this server is reached under, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The absolute URL of the Organization.
    #[must_use]
    pub fn full_url(&self) -> &str {
        &self.full_url
    }

    /// The Organization as JSON.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The absolute URL of a resource of this server.
    #[must_use]
    pub fn url_of(&self, resource_type: &str, id: &str) -> String {
        format!("{}/{resource_type}/{id}", self.base_url)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn reference(&self) -> Result<Reference, RenderError> {
        Ok(Reference::builder().reference(self.full_url.clone()).display(self.name.clone()).build()?)
    }
}

/// US Core Organization 6.1: `active` and `name` 1..1.
fn render(organization: &OrganizationSummary) -> Result<String, RenderError> {
    let contacts: Result<Vec<ContactPoint>, RenderError> = organization.contacts.iter().map(contact_point).collect();
    let typed = Organization::builder()
        .id(organization.id.clone())
        .meta(Meta::builder().profile(list([US_CORE_ORGANIZATION.to_owned()])).build()?)
        .active(true)
        .name(organization.name.clone())
        .telecom(list(contacts?))
        .build()?;
    Ok(write_organization(&typed)?)
}

fn contact_point(contact: &Contact) -> Result<ContactPoint, RenderError> {
    let (system, value) = match contact {
        Contact::Phone(value) => (ContactPointSystem::Phone, value),
        Contact::Email(value) => (ContactPointSystem::Email, value),
        Contact::Url(value) => (ContactPointSystem::Url, value),
    };
    Ok(ContactPoint::builder().system(system).value(value.clone()).build()?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn responder() -> Responder {
        let contacts = vec![Contact::Phone("+1-555-0100".to_owned())];
        let organization =
            OrganizationSummary { id: "responder".to_owned(), name: "Example Health".to_owned(), contacts };
        Responder::new("https://match.example.org/fhir/", &organization).expect("a responder")
    }

    #[test]
    fn the_organization_is_written_once_in_us_core_shape() {
        let responder = responder();
        assert_eq!(
            responder.body(),
            r#"{"resourceType":"Organization","id":"responder","meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-organization"]},"active":true,"name":"Example Health","telecom":[{"system":"phone","value":"+1-555-0100"}]}"#
        );
        assert_eq!(responder.full_url(), "https://match.example.org/fhir/Organization/responder");
        assert_eq!(responder.url_of("Patient", "a"), "https://match.example.org/fhir/Patient/a");
    }

    #[test]
    fn a_responder_without_contact_or_absolute_url_is_refused() {
        let organization = |contacts| OrganizationSummary { id: "r".to_owned(), name: "n".to_owned(), contacts };
        let email = || vec![Contact::Email("a@example.org".to_owned()), Contact::Url("https://example.org".to_owned())];
        assert!(matches!(Responder::new("https://x", &organization(vec![])), Err(RenderError::NoContact)));
        for url in ["", "/fhir", "urn:uuid:1", "ftp://x"] {
            assert!(matches!(Responder::new(url, &organization(email())), Err(RenderError::BaseUrl)), "{url}");
        }
        assert!(Responder::new("http://localhost:8080/fhir", &organization(email())).is_ok());
    }
}
