//! What the TEFCA community asks for beyond FAST Security (Facilitated FHIR SOP 2.0, Exchange Purposes SOP 5.1).
//!
//! A client's URI ends in its exchange purpose; each token has that one purpose; an individual's own request carries
//! `tefca_ias`. Not here: the certification (see `certification`), which purposes a community allows.

use super::error::{OAuthError, Reason, Refusal};
use super::extension::{Extensions, tefca_ias};

/// The exchange purposes.
const PURPOSES: [&str; 17] = [
    "T-TREAT",
    "T-TRTMNT",
    "T-PYMNT",
    "T-HCO",
    "T-HCO-CC",
    "T-HCO-HED",
    "T-HCO-QAI",
    "T-HCO-POP",
    "T-HCO-PTSAFETY",
    "T-HCO-PERF",
    "T-PH",
    "T-PH-ECR",
    "T-PH-ELR",
    "T-IAS",
    "T-GOVDTRM",
    "T-GOVDTRM-SSD",
    "T-GOVDTRM-ACP",
];
const INDIVIDUAL_ACCESS: &str = "T-IAS";
const PURPOSE_SYSTEM: &str = "urn:oid:2.16.840.1.113883.3.7204.1.5.2.1";

/// The exchange purpose in a client's URI.
fn purpose_of(issuer: &str) -> Option<&str> {
    let (_, purpose) = issuer.split_once('#')?;
    PURPOSES.into_iter().find(|known| *known == purpose)
}

/// Refuses the registration of a client whose URI names no exchange purpose.
///
/// # Errors
/// `invalid_software_statement`.
pub fn check_registration(issuer: &str) -> Result<(), Refusal> {
    let text = "The URI of the client does not end in an exchange purpose.";
    let refusal = Refusal::new(OAuthError::InvalidSoftwareStatement, text, Reason::PurposeNotAllowed);
    purpose_of(issuer).map(|_| ()).ok_or(refusal)
}

/// Refuses a token request that does not name the exchange purpose of the client's URI and no other, or that is an
/// individual's own without saying who that is.
///
/// # Errors
/// `invalid_grant`.
pub fn check_request(issuer: &str, extensions: &Extensions) -> Result<(), Refusal> {
    let refuse = |text, reason| Err(Refusal::new(OAuthError::InvalidGrant, text, reason));
    let purposes = extensions.b2b.as_ref().map_or(&[][..], |b2b| b2b.purpose_of_use.as_slice());
    let [asked] = purposes else {
        return refuse("TEFCA requests have one purpose of use.", Reason::PurposeNotAllowed);
    };
    let code = asked.split_once('#').filter(|(system, _)| *system == PURPOSE_SYSTEM).map(|(_, code)| code);
    if code.is_none() || code != purpose_of(issuer) {
        return refuse("The purpose of use is not that of the client's URI.", Reason::PurposeNotAllowed);
    }
    if code == Some(INDIVIDUAL_ACCESS) && extensions.tefca_ias.is_none() {
        return refuse("Individual access needs tefca_ias.", Reason::ExtensionMissing(tefca_ias::NAME));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn line_51_the_uri_of_a_client_ends_in_its_purpose() {
        for (issuer, is_good) in [
            ("https://app.example/x#T-IAS", true),
            ("https://app.example/x#T-TREAT", true),
            ("https://app.example/x", false),
            ("https://app.example/x#TREAT", false),
            ("https://app.example/x#T-ias", false),
            ("https://app.example/x#", false),
        ] {
            let refusal = check_registration(issuer).err().map(|refusal| refusal.code);
            assert_eq!(refusal, (!is_good).then_some(OAuthError::InvalidSoftwareStatement), "{issuer}");
        }
    }

    #[test]
    fn line_51_a_request_has_the_one_purpose_of_its_client() {
        let purpose = |code: &str| format!("{PURPOSE_SYSTEM}#{code}");
        let (treat, ias) = (purpose("T-TREAT"), purpose("T-IAS"));
        let table = [
            ("https://a.example#T-TREAT", json!([treat]), None),
            ("https://a.example#T-TREAT", json!([treat, ias]), Some(Reason::PurposeNotAllowed)),
            ("https://a.example#T-TREAT", json!([ias]), Some(Reason::PurposeNotAllowed)),
            ("https://a.example#T-TREAT", json!(["T-TREAT"]), Some(Reason::PurposeNotAllowed)),
            ("https://a.example", json!([treat]), Some(Reason::PurposeNotAllowed)),
            ("https://a.example#T-IAS", json!([ias]), Some(Reason::ExtensionMissing("tefca_ias"))),
        ];
        for (issuer, purposes, expected) in table {
            let b2b = json!({"version": "1", "organization_id": "urn:oid:1.2", "purpose_of_use": purposes});
            let extensions = Extensions::read(Some(&json!({"hl7-b2b": b2b}))).expect("read");
            let refusal = check_request(issuer, &extensions).err();
            assert_eq!(refusal.as_ref().map(|refusal| refusal.log), expected, "{issuer} {b2b}");
            assert!(refusal.is_none_or(|refusal| refusal.code == OAuthError::InvalidGrant));
        }
    }
}
