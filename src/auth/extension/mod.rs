//! The authorization extension objects of a token request: what a client asserts about whom it acts for.
//!
//! What: the member `extensions` of a client assertion (UDAP JWT-Based Authorization section 4; FAST Security 5.2.1), one
//! file for each object that is known; others are ignored. [`TokenContext`] is what a token remembers of them: it holds
//! demographics, so it stands in no token and is kept sealed. Not here: what a community allows (see `app::auth::token`),
//! what may be matched with it (see `assurance`).

pub mod cms_smart;
pub mod hl7_b2b;
pub mod hl7_b2b_user;
pub mod tefca_ias;

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::{OAuthError, Reason, Refusal};
use super::id_token::IdToken;
use super::members::{Kind, Members, is_uri};

use cms_smart::CmsSmart;
use hl7_b2b::Hl7B2b;
use hl7_b2b_user::Hl7B2bUser;
use tefca_ias::TefcaIas;

/// The names that are read, as they stand in metadata.
pub const SUPPORTED: [&str; 4] = [hl7_b2b::NAME, hl7_b2b_user::NAME, tefca_ias::NAME, cms_smart::NAME];

/// The objects of one request, checked each by itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Extensions {
    pub b2b: Option<Hl7B2b>,
    pub b2b_user: Option<Hl7B2bUser>,
    pub tefca_ias: Option<TefcaIas>,
    pub cms_smart: Option<CmsSmart>,
    /// SHA-256 of each object (base64url), by name.
    pub digests: BTreeMap<String, String>,
}

/// What was asserted when a token was issued: the objects in full and the identity token that came with them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TokenContext {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b2b: Option<Hl7B2b>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b2b_user: Option<Hl7B2bUser>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tefca_ias: Option<TefcaIas>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cms_smart: Option<CmsSmart>,
    /// The identity token of `tefca_ias` or `cms_smart`, verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token: Option<IdToken>,
}

impl Extensions {
    /// Reads the member `extensions`.
    ///
    /// # Errors
    /// `invalid_grant` for an object that does not follow its definition (UDAP JWT-Based Authorization section 6.4).
    pub fn read(claim: Option<&Value>) -> Result<Self, Refusal> {
        let Some(claim) = claim else { return Ok(Self::default()) };
        let objects = claim.as_object().ok_or_else(|| {
            let text = "The member extensions of the assertion is not an object.";
            Refusal::new(OAuthError::InvalidGrant, text, Reason::ClaimInvalid("extensions"))
        })?;
        Ok(Self {
            b2b: read_one(objects, hl7_b2b::NAME, Hl7B2b::read)?,
            b2b_user: read_one(objects, hl7_b2b_user::NAME, Hl7B2bUser::read)?,
            tefca_ias: read_one(objects, tefca_ias::NAME, TefcaIas::read)?,
            cms_smart: read_one(objects, cms_smart::NAME, CmsSmart::read)?,
            digests: digests(objects),
        })
    }

    /// The encoded identity token that came with them.
    ///
    /// # Errors
    /// `invalid_grant` where two objects bring different ones: of both persons one would be believed unseen.
    pub fn id_token(&self) -> Result<Option<&str>, Refusal> {
        let of_cms = self.cms_smart.as_ref().map(|cms| cms.id_token.as_str());
        let of_tefca = self.tefca_ias.as_ref().map(|tefca| tefca.id_token.as_str());
        match (of_cms, of_tefca) {
            (Some(one), Some(other)) if one != other => {
                let text = "The identity tokens of two authorization extension objects differ.";
                Err(Refusal::new(OAuthError::InvalidGrant, text, Reason::ExtensionInvalid(cms_smart::NAME)))
            }
            (one, other) => Ok(one.or(other)),
        }
    }

    /// Every policy of consent that one of them states.
    pub fn consent_policies(&self) -> impl Iterator<Item = &str> {
        let b2b = self.b2b.iter().flat_map(|b2b| b2b.consent_policy.iter());
        let user = self.b2b_user.iter().flat_map(|user| user.consent_policy.iter());
        let tefca = self.tefca_ias.iter().flat_map(|tefca| tefca.consent_policy.iter());
        b2b.chain(user).chain(tefca).map(String::as_str)
    }

    /// Every purpose that one of them names.
    pub fn purposes(&self) -> impl Iterator<Item = &str> {
        let b2b = self.b2b.iter().flat_map(|b2b| b2b.purpose_of_use.iter());
        let user = self.b2b_user.iter().flat_map(|user| user.purpose_of_use.iter());
        let cms = self.cms_smart.iter().map(|cms| &cms.purpose_of_use);
        b2b.chain(user).chain(cms).map(String::as_str)
    }

    /// What the token remembers. The encoded identity token is dropped: it was verified, and could be used elsewhere.
    #[must_use]
    pub fn into_context(self, id_token: Option<IdToken>) -> TokenContext {
        let without_token = |tefca: TefcaIas| TefcaIas { id_token: String::new(), ..tefca };
        TokenContext {
            b2b: self.b2b,
            b2b_user: self.b2b_user,
            tefca_ias: self.tefca_ias.map(without_token),
            cms_smart: self.cms_smart.map(|cms| CmsSmart { id_token: String::new(), ..cms }),
            id_token,
        }
    }
}

fn read_one<T>(
    objects: &Map<String, Value>,
    name: &'static str,
    read: impl Fn(&Members<'_>) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    let Some(value) = objects.get(name) else { return Ok(None) };
    let text = "An authorization extension object does not follow its definition.";
    read(&Members::of(value, Kind::Extension(name), OAuthError::InvalidGrant, text)?).map(Some)
}

fn digests(objects: &Map<String, Value>) -> BTreeMap<String, String> {
    let known = objects.iter().filter(|(name, _)| SUPPORTED.contains(&name.as_str()));
    known
        .map(|(name, value)| {
            let sum = digest(&SHA256, value.to_string().as_bytes());
            (name.clone(), URL_SAFE_NO_PAD.encode(sum))
        })
        .collect()
}

/// `version` is "1" in all of them.
fn check_version(members: &Members<'_>) -> Result<(), Refusal> {
    if members.text("version")? == "1" { Ok(()) } else { Err(members.invalid("version")) }
}

/// Policies are URIs; references to what the person has signed are absolute URLs of a Consent or DocumentReference, and
/// stand only beside a policy (FAST Security 5.2.1.1).
fn consent(members: &Members<'_>) -> Result<(Vec<String>, Vec<String>), Refusal> {
    let policies = members.optional_texts("consent_policy")?.unwrap_or_default();
    let references = members.optional_texts("consent_reference")?.unwrap_or_default();
    if !policies.iter().all(|policy| is_uri(policy)) {
        return Err(members.invalid("consent_policy"));
    }
    let has_policy = references.is_empty() || !policies.is_empty();
    if !has_policy || !references.iter().all(|reference| is_consent_url(reference)) {
        return Err(members.invalid("consent_reference"));
    }
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
    Ok((owned(policies), owned(references)))
}

fn is_consent_url(text: &str) -> bool {
    let is_absolute = text.starts_with("https://") || text.starts_with("http://");
    is_absolute && is_uri(text) && ["/Consent/", "/DocumentReference/"].iter().any(|kind| text.contains(kind))
}

fn owned(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// Reads one object that replaces members of a good one; `null` takes a member away.
    pub fn refused<T: std::fmt::Debug>(
        good: &Value,
        changes: &Value,
        name: &'static str,
        read: impl Fn(&Members<'_>) -> Result<T, Refusal>,
    ) -> Option<Reason> {
        let mut object = good.as_object().expect("an object").clone();
        for (member, value) in changes.as_object().expect("an object") {
            if value.is_null() {
                drop(object.remove(member));
            } else {
                drop(object.insert(member.clone(), value.clone()));
            }
        }
        let objects = Map::from_iter([(name.to_owned(), Value::Object(object))]);
        let refusal = read_one(&objects, name, read).err()?;
        assert_eq!(refusal.code, OAuthError::InvalidGrant, "{changes}");
        Some(refusal.log)
    }

    #[test]
    fn unknown_objects_are_ignored_and_known_ones_are_read_with_their_digest() {
        let b2b = json!({"version": "1", "organization_id": "https://org.example", "purpose_of_use": ["TREAT"]});
        let read = Extensions::read(Some(&json!({"hl7-b2b": b2b, "other": 5}))).expect("read");
        assert_eq!(read.b2b.as_ref().map(|b2b| b2b.organization_id.as_str()), Some("https://org.example"));
        assert_eq!(read.digests.keys().collect::<Vec<_>>(), ["hl7-b2b"]);
        assert_eq!(read.digests["hl7-b2b"].len(), 43, "a digest of 32 bytes");
        assert_eq!(read.purposes().collect::<Vec<_>>(), ["TREAT"]);
        assert_eq!(Extensions::read(None), Ok(Extensions::default()));
        for wrong in [json!([]), json!("x"), json!({"hl7-b2b": "x"}), json!({"hl7-b2b": {}})] {
            assert_eq!(Extensions::read(Some(&wrong)).expect_err("refused").code, OAuthError::InvalidGrant, "{wrong}");
        }
    }

    #[test]
    fn two_objects_bring_one_identity_token_or_are_refused() {
        let tefca = |token: &str| {
            json!({
                "version": "1", "id_token": token, "consent_policy": ["urn:oid:1.2"],
                "user_information": {"resourceType": "RelatedPerson"},
                "patient_information": {"resourceType": "Patient"},
            })
        };
        let cms = |token: &str| json!({"version": "1", "purpose_of_use": "PATRQT", "id_token": token});
        for (tefca, cms, expected) in [
            (Some(tefca("a.b.c")), None, Ok(Some("a.b.c"))),
            (None, Some(cms("a.b.c")), Ok(Some("a.b.c"))),
            (Some(tefca("a.b.c")), Some(cms("a.b.c")), Ok(Some("a.b.c"))),
            (Some(tefca("a.b.c")), Some(cms("a.b.d")), Err(Reason::ExtensionInvalid(cms_smart::NAME))),
            (None, None, Ok(None)),
        ] {
            let mut objects = json!({});
            for (name, object) in [("tefca_ias", tefca), ("cms_smart", cms)] {
                if let Some(object) = object {
                    objects[name] = object;
                }
            }
            let read = Extensions::read(Some(&objects)).expect("read");
            assert_eq!(read.id_token().map_err(|refusal| refusal.log), expected, "{objects}");
        }
    }

    #[test]
    fn a_context_survives_writing_and_forgets_the_encoded_identity_token() {
        let cms = json!({"version": "1", "purpose_of_use": "PATRQT", "id_token": "a.b.c"});
        let read = Extensions::read(Some(&json!({"cms_smart": cms}))).expect("read");
        assert_eq!(read.id_token(), Ok(Some("a.b.c")));
        let context = read.into_context(None);
        let text = serde_json::to_string(&context).expect("JSON");
        assert!(!text.contains("a.b.c"), "{text}");
        assert_eq!(serde_json::from_str::<TokenContext>(&text).expect("read"), context);
    }
}
