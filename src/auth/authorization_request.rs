//! The request by which an app sends a person here (RFC 6749 §4.1.1, SMART App Launch 2.2, FAST Security 4.1 and 7.2, OpenID
//! Connect Core 3.1.2.1).
//!
//! What: [`redirect_uri`] says where the answer goes; before that is known an error is told to the person and nobody is sent
//! anywhere (RFC 6749 §4.1.2.1). Then [`AuthorizationRequest::read`] judges the rest, whose errors go back to the app.
//! `login_hint` is not read at all: it names somebody. Not here: who the client is, who the person is.

use serde::{Deserialize, Serialize};

use super::error::{OAuthError, Reason, Refusal};
use super::pkce::{self, S256};
use super::redirect_uri::is_same;
use super::scope::{Plain, Scopes};

const STATE_BYTES_MAX: usize = 1024;
const NONCE_BYTES_MAX: usize = 512;
const PARAMETERS_MAX: usize = 30;

/// What the client's registration says about its requests.
#[derive(Debug, Clone)]
pub struct Terms<'a> {
    pub redirect_uris: &'a [String],
    pub address: Address,
    pub proof: Proof,
    pub audience: Audience,
    /// The FHIR base.
    pub base: &'a str,
}

/// Whether the redirect URI may be left out where one is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// SMART App Launch 2.2.
    Named,
    /// FAST Security 4.1.
    NamedAmongSeveral,
}

/// Whether a code challenge may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    Needed,
    /// By the operator's switch, for a test suite that has none.
    Optional,
}

/// Whether `aud` may be left out where data are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// SMART App Launch 2.2.
    Needed,
    /// UDAP knows no such parameter.
    Optional,
}

/// Whether the person may be shown something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prompt {
    /// What is needed is asked.
    Needed,
    /// Nothing may be shown.
    None,
    /// The person signs in anew.
    Login,
}

/// A request that follows the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    pub client_id: String,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// Whether the request has named it: then the token request must too (RFC 6749 §4.1.3).
    pub is_uri_named: bool,
    pub scope: String,
    pub state: String,
    pub code_challenge: Option<String>,
    pub nonce: Option<String>,
    pub prompt: Prompt,
    pub max_age_s: Option<i64>,
    pub started_us: i64,
}

const UNPROVEN: &str = "The request does not come from an app that is known here, or not as it was registered.";
const TEXT: &str = "The authorization request is not as it must be.";

/// The value of a parameter that may be there once; one without a value counts as left out.
fn once<'p>(pairs: &'p [(String, String)], name: &'static str) -> Result<Option<&'p str>, Refusal> {
    let mut values = pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Refusal::new(OAuthError::InvalidRequest, TEXT, Reason::DuplicateMember)),
        (value, None) => Ok(value.filter(|value| !value.is_empty())),
    }
}

/// Which client a request names.
///
/// # Errors
/// For the person, not for the app.
pub fn client_id(pairs: &[(String, String)]) -> Result<&str, Refusal> {
    once(pairs, "client_id")?.ok_or(Refusal::new(
        OAuthError::InvalidRequest,
        UNPROVEN,
        Reason::ParameterMissing("client_id"),
    ))
}

/// Where the answer to a request goes, and whether the request says so.
///
/// # Errors
/// For the person, not for the app: it is not proven to be the app.
pub fn redirect_uri(pairs: &[(String, String)], terms: &Terms<'_>) -> Result<(String, bool), Refusal> {
    let refuse = |reason| Refusal::new(OAuthError::InvalidRequest, UNPROVEN, reason);
    match (once(pairs, "redirect_uri")?, terms.redirect_uris) {
        (Some(asked), registered) if registered.iter().any(|one| is_same(one, asked)) => Ok((asked.to_owned(), true)),
        (Some(_), _) => Err(refuse(Reason::ParameterInvalid("redirect_uri"))),
        (None, [one]) if terms.address == Address::NamedAmongSeveral => Ok((one.clone(), false)),
        (None, _) => Err(refuse(Reason::ParameterMissing("redirect_uri"))),
    }
}

/// The state to give back with an error; none where the request has no proper one.
#[must_use]
pub fn state(pairs: &[(String, String)]) -> Option<&str> {
    once(pairs, "state").ok().flatten().filter(|state| is_text(state, STATE_BYTES_MAX))
}

/// RFC 6749 appendix A.5: visible letters and spaces.
fn is_text(text: &str, bytes_max: usize) -> bool {
    text.len() <= bytes_max && text.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
}

impl AuthorizationRequest {
    /// Judges a request whose client and redirect URI are proven.
    ///
    /// # Errors
    /// For the app: `invalid_request`, `unsupported_response_type`, `invalid_scope`.
    pub fn read(
        pairs: &[(String, String)],
        terms: &Terms<'_>,
        (redirect_uri, is_uri_named): (String, bool),
        started_us: i64,
    ) -> Result<Self, Refusal> {
        let refuse = |reason| Refusal::new(OAuthError::InvalidRequest, TEXT, reason);
        let twice = |at: usize, name: &str| pairs[..at].iter().any(|(before, _)| before == name);
        if pairs.len() > PARAMETERS_MAX || pairs.iter().enumerate().any(|(at, (name, _))| twice(at, name)) {
            return Err(refuse(Reason::DuplicateMember));
        }
        for name in ["request", "request_uri"] {
            if once(pairs, name)?.is_some() {
                return Err(refuse(Reason::ParameterInvalid(name)));
            }
        }
        let required = |name| once(pairs, name)?.ok_or_else(|| refuse(Reason::ParameterMissing(name)));
        if required("response_type")? != "code" {
            let reason = Reason::ParameterInvalid("response_type");
            return Err(Refusal::new(OAuthError::UnsupportedResponseType, TEXT, reason));
        }
        if once(pairs, "response_mode")?.is_some_and(|mode| mode != "query") {
            return Err(refuse(Reason::ParameterInvalid("response_mode")));
        }
        // FAST Security 7.2, SMART App Launch 2.2: against forged answers (RFC 9700 §4.7).
        let state = required("state")?;
        let scope = required("scope")?;
        let scopes = Scopes::parse(scope)?;
        check_audience(once(pairs, "aud")?, terms, &scopes)?;
        let nonce = once(pairs, "nonce")?;
        for (name, text, bytes_max) in [("state", Some(state), STATE_BYTES_MAX), ("nonce", nonce, NONCE_BYTES_MAX)] {
            if text.is_some_and(|text| !is_text(text, bytes_max)) {
                return Err(refuse(Reason::ParameterInvalid(name)));
            }
        }
        Ok(Self {
            client_id: client_id(pairs)?.to_owned(),
            redirect_uri,
            is_uri_named,
            scope: scope.to_owned(),
            state: state.to_owned(),
            code_challenge: challenge(pairs, terms.proof)?.map(str::to_owned),
            nonce: nonce.map(str::to_owned),
            prompt: prompt(once(pairs, "prompt")?)?,
            max_age_s: max_age(once(pairs, "max_age")?)?,
            started_us,
        })
    }

    /// Whether somebody who has signed in at `signed_in_us` has to do it again (OpenID Connect Core 3.1.2.1).
    #[must_use]
    pub fn wants_sign_in(&self, signed_in_us: i64, now_us: i64) -> bool {
        let is_old = |age_s: i64| now_us.saturating_sub(signed_in_us) > age_s.saturating_mul(1_000_000);
        let is_before = signed_in_us < self.started_us;
        // Who has signed in for this very request is as fresh as can be, whatever `max_age` says.
        is_before && (self.prompt == Prompt::Login || self.max_age_s.is_some_and(is_old))
    }
}

/// A token must not be of use elsewhere than the app believes (SMART App Launch 2.2).
fn check_audience(aud: Option<&str>, terms: &Terms<'_>, scopes: &Scopes) -> Result<(), Refusal> {
    let asks_for_data = scopes.has_resources() || scopes.holds(Plain::LaunchPatient);
    let reason = match aud {
        Some(aud) if aud == terms.base || aud.strip_suffix('/') == Some(terms.base) => return Ok(()),
        Some(_) => Reason::ParameterInvalid("aud"),
        None if terms.audience == Audience::Needed && asks_for_data => Reason::ParameterMissing("aud"),
        None => return Ok(()),
    };
    Err(Refusal::new(OAuthError::InvalidRequest, TEXT, reason))
}

fn challenge(pairs: &[(String, String)], proof: Proof) -> Result<Option<&str>, Refusal> {
    let refuse = |reason| Err(Refusal::new(OAuthError::InvalidRequest, TEXT, reason));
    match (once(pairs, "code_challenge")?, once(pairs, "code_challenge_method")?) {
        (Some(challenge), Some(S256)) if pkce::is_challenge(challenge) => Ok(Some(challenge)),
        (Some(_), Some(S256)) => refuse(Reason::ParameterInvalid("code_challenge")),
        (Some(_), None) => refuse(Reason::ParameterMissing("code_challenge_method")),
        (_, Some(_)) => refuse(Reason::ParameterInvalid("code_challenge_method")),
        (None, None) if proof == Proof::Optional => Ok(None),
        (None, None) => refuse(Reason::ParameterMissing("code_challenge")),
    }
}

/// The person is always asked for consent, so `consent` says nothing new; and whoever wants another account signs in anew.
fn prompt(text: Option<&str>) -> Result<Prompt, Refusal> {
    let words: Vec<&str> = text.unwrap_or_default().split(' ').filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        ["none"] => Ok(Prompt::None),
        words if words.contains(&"none") => {
            Err(Refusal::new(OAuthError::InvalidRequest, TEXT, Reason::ParameterInvalid("prompt")))
        }
        words if words.contains(&"login") || words.contains(&"select_account") => Ok(Prompt::Login),
        _ => Ok(Prompt::Needed),
    }
}

fn max_age(text: Option<&str>) -> Result<Option<i64>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let seconds = text.parse::<u32>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let invalid = || Refusal::new(OAuthError::InvalidRequest, TEXT, Reason::ParameterInvalid("max_age"));
    seconds.map(|seconds| Some(i64::from(seconds))).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://server.example/fhir";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const GOOD: [(&str, &str); 8] = [
        ("response_type", "code"),
        ("client_id", "c1"),
        ("redirect_uri", "https://app.example/cb"),
        ("scope", "launch/patient patient/Patient.rs"),
        ("state", "s1"),
        ("aud", BASE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];

    /// The good request with some parameters replaced; an empty value leaves one out.
    fn pairs(changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut pairs: Vec<(String, String)> =
            GOOD.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for (name, value) in changes {
            pairs.retain(|(known, _)| known != name);
            pairs.push(((*name).to_owned(), (*value).to_owned()));
        }
        pairs
    }

    fn terms(redirect_uris: &[String]) -> Terms<'_> {
        let (address, proof, audience) = (Address::Named, Proof::Needed, Audience::Needed);
        Terms { redirect_uris, address, proof, audience, base: BASE }
    }

    fn read(changes: &[(&str, &str)]) -> Result<AuthorizationRequest, (OAuthError, Reason)> {
        let uris = ["https://app.example/cb".to_owned()];
        let pairs = pairs(changes);
        AuthorizationRequest::read(&pairs, &terms(&uris), (uris[0].clone(), true), 5)
            .map_err(|refusal| (refusal.code, refusal.log))
    }

    #[test]
    fn line_24_what_a_request_needs_is_missed() {
        let request = |reason| Some((OAuthError::InvalidRequest, reason));
        let missing = |name| request(Reason::ParameterMissing(name));
        let invalid = |name| request(Reason::ParameterInvalid(name));
        let long = "x".repeat(1025);
        let long_state: &[(&str, &str)] = &[("state", long.as_str())];
        let table: Vec<(&[(&str, &str)], _)> = vec![
            (&[], None),
            (&[("response_type", "")], missing("response_type")),
            (
                &[("response_type", "token")],
                Some((OAuthError::UnsupportedResponseType, Reason::ParameterInvalid("response_type"))),
            ),
            (&[("response_mode", "fragment")], invalid("response_mode")),
            (&[("response_mode", "query")], None),
            (&[("state", "")], missing("state")),
            (long_state, invalid("state")),
            (&[("state", "a\nb")], invalid("state")),
            (&[("scope", "")], missing("scope")),
            (&[("aud", "")], missing("aud")),
            (&[("aud", "https://evil.example/fhir")], invalid("aud")),
            (&[("aud", "https://server.example/fhir/")], None),
            (&[("aud", ""), ("scope", "openid")], None),
            (&[("code_challenge", ""), ("code_challenge_method", "")], missing("code_challenge")),
            (&[("code_challenge_method", "plain")], invalid("code_challenge_method")),
            (&[("code_challenge_method", "")], missing("code_challenge_method")),
            (&[("code_challenge", "short")], invalid("code_challenge")),
            (&[("request", "a.b.c")], invalid("request")),
            (&[("request_uri", "https://app.example/r")], invalid("request_uri")),
            (&[("prompt", "none login")], invalid("prompt")),
            (&[("max_age", "-1")], invalid("max_age")),
            (&[("max_age", "+1")], invalid("max_age")),
            (&[("login_hint", "robin@mail.example")], None),
        ];
        for (changes, expected) in table {
            assert_eq!(read(changes).err(), expected, "{changes:?}");
        }
    }

    #[test]
    fn a_parameter_that_is_there_twice_is_refused() {
        let uris = ["https://app.example/cb".to_owned()];
        for name in ["state", "scope", "code_challenge", "unknown"] {
            let mut twice = pairs(&[("unknown", "x")]);
            twice.push((name.to_owned(), "y".to_owned()));
            let refused = AuthorizationRequest::read(&twice, &terms(&uris), (uris[0].clone(), true), 5);
            assert_eq!(refused.err().map(|refusal| refusal.log), Some(Reason::DuplicateMember), "{name}");
            let of_address = redirect_uri(&twice, &terms(&uris)).is_ok();
            assert!(of_address, "{name}: the address is proven, so the error goes there");
        }
        for name in ["client_id", "redirect_uri"] {
            let mut twice = pairs(&[]);
            twice.push((name.to_owned(), "https://evil.example/cb".to_owned()));
            let refused = client_id(&twice).map(drop).and_then(|()| redirect_uri(&twice, &terms(&uris)).map(drop));
            assert!(refused.is_err(), "{name}: nobody is sent anywhere");
        }
    }

    #[test]
    fn line_24_the_address_may_be_left_out_by_a_udap_client_with_one_alone() {
        let one = ["https://app.example/cb".to_owned()];
        let two = ["https://app.example/cb".to_owned(), "https://app.example/other".to_owned()];
        let named = |uris: &[String], address, asked| {
            let pairs = pairs(&[("redirect_uri", asked)]);
            redirect_uri(&pairs, &Terms { address, ..terms(uris) }).ok()
        };
        assert_eq!(named(&one, Address::Named, ""), None);
        assert_eq!(named(&one, Address::NamedAmongSeveral, ""), Some((one[0].clone(), false)));
        assert_eq!(named(&two, Address::NamedAmongSeveral, ""), None);
        assert_eq!(named(&[], Address::NamedAmongSeveral, ""), None);
        assert_eq!(named(&two, Address::Named, &two[1]), Some((two[1].clone(), true)));
        assert_eq!(named(&one, Address::Named, &two[1]), None);
    }

    #[test]
    fn a_person_signs_in_anew_where_the_app_wants_it_and_once_is_enough() {
        let wants = |changes: &[(&str, &str)], signed_in_us, now_us| {
            let request = AuthorizationRequest { started_us: 100_000_000, ..read(changes).expect("read") };
            request.wants_sign_in(signed_in_us, now_us)
        };
        assert!(!wants(&[], 1, 200_000_000));
        assert!(wants(&[("prompt", "login")], 99_000_000, 101_000_000));
        assert!(!wants(&[("prompt", "login")], 100_500_000, 101_000_000));
        assert!(wants(&[("max_age", "10")], 80_000_000, 101_000_000));
        assert!(!wants(&[("max_age", "30")], 80_000_000, 101_000_000));
        assert!(wants(&[("max_age", "0")], 99_999_999, 101_000_000));
        assert!(!wants(&[("max_age", "0")], 100_500_000, 101_000_000));
    }

    #[test]
    fn the_operators_switch_lets_a_test_suite_leave_the_challenge_out() {
        let uris = ["https://app.example/cb".to_owned()];
        let pairs = pairs(&[("code_challenge", ""), ("code_challenge_method", "")]);
        let lenient = Terms { proof: Proof::Optional, ..terms(&uris) };
        let request = AuthorizationRequest::read(&pairs, &lenient, (uris[0].clone(), true), 5).expect("read");
        assert_eq!(request.code_challenge, None);
    }
}
