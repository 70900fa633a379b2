//! What can be granted to an app for a person: what was asked for, of that what is registered and supported, of that what the
//! kind of account has.
//!
//! SMART App Launch 2.2: `patient/` is a person's own data, `user/` whatever the user may see; here the former is of people,
//! the latter of the workforce. Values in, decision out. Not here: asking the person.

use crate::app::App;
use crate::app::people::account::AccountKind;
use crate::auth::error::Refusal;
use crate::auth::metadata::SCOPES;
use crate::auth::scope::{self, Level, Plain, Scopes};
use crate::auth::software_statement::REFRESH_TOKEN;
use crate::store::client::{ClientRow, UDAP};

use super::super::metadata::scopes_of;

impl App {
    /// The scopes that are supported for a client: those of its community, or of this server.
    pub(in crate::app::auth) fn supported_for(&self, client: &ClientRow) -> Scopes {
        if client.kind != UDAP {
            return Scopes::from_list(SCOPES).unwrap_or_default();
        }
        let snapshot = self.communities.current();
        snapshot.find(&client.community).map(scopes_of).unwrap_or_default()
    }
}

/// What could be granted whoever signs in.
///
/// # Errors
/// `invalid_scope` where that is nothing.
pub fn of_anybody(requested: &str, client: &ClientRow, supported: &Scopes) -> Result<Scopes, Refusal> {
    let requested = Scopes::parse(requested)?.at_levels(&[Level::Patient, Level::User]);
    let granted = scope::grant(&requested, &Scopes::parse(&client.scope)?, supported)?;
    let may_refresh = client.grant_types.split(' ').any(|registered| registered == REFRESH_TOKEN);
    let granted = if may_refresh { granted } else { granted.without(Plain::OfflineAccess) };
    // Both say who somebody is, which nobody is told without `openid` (OpenID Connect Core 5.4, SMART App Launch 2.2).
    Ok(if granted.holds(Plain::OpenId) { granted } else { granted.without(Plain::FhirUser).without(Plain::Profile) })
}

/// What of that is for this kind of account.
///
/// # Errors
/// `invalid_scope` where nothing is left.
pub fn of_account(
    requested: &str,
    client: &ClientRow,
    supported: &Scopes,
    kind: AccountKind,
) -> Result<Scopes, Refusal> {
    let granted = of_anybody(requested, client, supported)?;
    let granted = match kind {
        AccountKind::Person => granted.at_levels(&[Level::Patient]),
        AccountKind::Workforce => {
            granted.at_levels(&[Level::User]).without(Plain::LaunchPatient).without(Plain::FhirUser)
        }
    };
    if granted.is_empty() { scope::grant(&granted, &granted, &granted) } else { Ok(granted) }
}

/// Whether a grant needs a patient in context (SMART App Launch 2.2, standalone launch).
#[must_use]
pub fn needs_patient(scopes: &Scopes) -> bool {
    scopes.has_level(Level::Patient) || scopes.holds(Plain::LaunchPatient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::auth::grant::client_credentials::tests::client;

    #[test]
    fn scopes_are_for_the_kind_of_account_and_the_registration() {
        use AccountKind::{Person, Workforce};
        let all = "openid fhirUser profile launch/patient offline_access patient/Patient.rs user/Patient.rs system/Patient.rs";
        let table = [
            (all, Person, Some("openid fhirUser profile launch/patient patient/Patient.rs")),
            (all, Workforce, Some("openid profile user/Patient.rs")),
            ("patient/Patient.rs", Workforce, None),
            ("user/Patient.rs", Person, None),
            ("system/Patient.rs", Person, None),
            ("fhirUser patient/Patient.rs", Person, Some("patient/Patient.rs")),
            ("patient/Patient.cruds", Person, Some("patient/Patient.rs")),
            ("patient/Observation.rs", Person, None),
        ];
        let client = client(all);
        let supported = Scopes::from_list(SCOPES).expect("scopes");
        for (requested, kind, expected) in table {
            let granted = of_account(requested, &client, &supported, kind).ok().map(|scopes| scopes.to_string());
            assert_eq!(granted.as_deref(), expected, "{requested} {kind:?}");
        }
        let refreshing = ClientRow { grant_types: "authorization_code refresh_token".to_owned(), ..client };
        let granted = of_anybody("offline_access patient/Patient.rs", &refreshing, &supported).expect("granted");
        assert_eq!(granted.to_string(), "offline_access patient/Patient.rs");
    }

    #[test]
    fn whatever_is_of_a_patient_needs_one() {
        for (scopes, expected) in [
            ("patient/Patient.rs", true),
            ("launch/patient", true),
            ("openid fhirUser", false),
            ("user/Patient.rs", false),
        ] {
            assert_eq!(needs_patient(&Scopes::parse(scopes).expect("scopes")), expected, "{scopes}");
        }
    }
}
