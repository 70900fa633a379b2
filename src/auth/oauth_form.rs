//! The form of a request to an OAuth endpoint: each parameter once, and the client's credentials (RFC 6749 §3.2, RFC 7523
//! §2.2, UDAP JWT-Based Client Authentication 5.1).
//!
//! UDAP and SMART clients use the same endpoints and are told apart by `udap=1`. Not here: the credentials' truth.

use super::client_assertion::{ASSERTION_TYPE, Method};
use super::error::{OAuthError, Reason, Refusal};

/// Parameters of one form at most.
const PARAMETERS_MAX: usize = 30;

/// By any of these a client says that it signs, or proves itself in a way that is not taken.
const PROOFS: [&str; 4] = ["client_assertion", "client_assertion_type", "client_secret", "udap"];

/// What the `Authorization` header of a request holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    Absent,
    Bearer(String),
    /// Something that is never taken: a password, for one.
    Other,
}

/// A form whose parameters are there once each.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a>(&'a [(String, String)]);

/// How a client says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'a> {
    pub method: Method,
    pub assertion: &'a str,
    pub client_id: Option<&'a str>,
}

/// Who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender<'a> {
    /// A client that signs.
    Signed(Credentials<'a>),
    /// A client that has no key and only says its id (RFC 6749 §3.2.1).
    Named(&'a str),
}

impl<'a> Form<'a> {
    /// # Errors
    /// `invalid_request` for a parameter that is there twice (RFC 6749 §3.2), too many, or control characters.
    pub fn of(pairs: &'a [(String, String)]) -> Result<Self, Refusal> {
        let text = "A parameter is there more than once, or there are too many.";
        let twice = |at: usize, name: &str| pairs[..at].iter().any(|(before, _)| before == name);
        if pairs.len() > PARAMETERS_MAX || pairs.iter().enumerate().any(|(at, (name, _))| twice(at, name)) {
            return Err(Refusal::new(OAuthError::InvalidRequest, text, Reason::DuplicateMember));
        }
        // RFC 6749, appendix A: no parameter has control characters; a database may not take them.
        if pairs.iter().any(|(_, value)| value.contains(char::is_control)) {
            let text = "A parameter has control characters.";
            return Err(Refusal::new(OAuthError::InvalidRequest, text, Reason::ParameterInvalid("control characters")));
        }
        Ok(Self(pairs))
    }

    /// A parameter; one without a value counts as left out (RFC 6749 §3.1).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn required(&self, name: &'static str) -> Result<&'a str, Refusal> {
        self.get(name).ok_or_else(|| {
            Refusal::new(OAuthError::InvalidRequest, "A parameter is missing.", Reason::ParameterMissing(name))
        })
    }

    /// Who sends the request; that a client without a key may have sent it is for the caller to judge.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn sender(&self, header: &Header) -> Result<Sender<'a>, Refusal> {
        match self.get("client_id") {
            Some(client_id) if !self.has_proof(header) => Ok(Sender::Named(client_id)),
            _ => self.credentials(header).map(Sender::Signed),
        }
    }

    /// Whether the request says nothing of who sends it.
    #[must_use]
    pub fn is_nameless(&self, header: &Header) -> bool {
        self.get("client_id").is_none() && !self.has_proof(header)
    }

    fn has_proof(&self, header: &Header) -> bool {
        *header != Header::Absent || PROOFS.iter().any(|name| self.get(name).is_some())
    }

    /// The credentials of a client; no other kind is taken beside them (FAST Security 5.2.2).
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn credentials(&self, header: &Header) -> Result<Credentials<'a>, Refusal> {
        let invalid = |name| {
            let text = "Clients authenticate with a signed assertion and nothing else.";
            Refusal::new(OAuthError::InvalidRequest, text, Reason::ParameterInvalid(name))
        };
        if *header != Header::Absent {
            return Err(invalid("Authorization"));
        }
        if self.get("client_secret").is_some() {
            return Err(invalid("client_secret"));
        }
        if self.required("client_assertion_type")? != ASSERTION_TYPE {
            return Err(invalid("client_assertion_type"));
        }
        let method = match self.get("udap") {
            None => Method::Smart,
            Some("1") => Method::Udap,
            Some(_) => return Err(invalid("udap")),
        };
        Ok(Credentials { method, assertion: self.required("client_assertion")?, client_id: self.get("client_id") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const GOOD: [(&str, &str); 3] =
        [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", "a.b.c"), ("udap", "1")];

    fn refused(list: &[(&str, &str)], header: &Header) -> Option<(OAuthError, Reason)> {
        let pairs = pairs(list);
        let read = Form::of(&pairs).and_then(|form| form.credentials(header));
        read.err().map(|refusal| (refusal.code, refusal.log))
    }

    #[test]
    fn line_27_one_assertion_and_no_other_credential_is_taken() {
        let request = |reason| Some((OAuthError::InvalidRequest, reason));
        let with = |more: (&'static str, &'static str)| [GOOD[0], GOOD[1], GOOD[2], more];
        let typo = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        assert_eq!(refused(&GOOD, &Header::Absent), None);
        assert_eq!(
            refused(&with(("client_secret", "x")), &Header::Absent),
            request(Reason::ParameterInvalid("client_secret"))
        );
        for header in [Header::Bearer("x".to_owned()), Header::Other] {
            assert_eq!(refused(&GOOD, &header), request(Reason::ParameterInvalid("Authorization")));
        }
        let wrong_type = [("client_assertion_type", typo), GOOD[1], GOOD[2]];
        assert_eq!(refused(&wrong_type, &Header::Absent), request(Reason::ParameterInvalid("client_assertion_type")));
        assert_eq!(refused(&GOOD[1..], &Header::Absent), request(Reason::ParameterMissing("client_assertion_type")));
        assert_eq!(
            refused(&[GOOD[0], GOOD[2]], &Header::Absent),
            request(Reason::ParameterMissing("client_assertion"))
        );
        let other_version = [GOOD[0], GOOD[1], ("udap", "2")];
        assert_eq!(refused(&other_version, &Header::Absent), request(Reason::ParameterInvalid("udap")));
        assert_eq!(refused(&with(("scope", "a")), &Header::Absent), None);
        let twice = [GOOD[0], GOOD[1], GOOD[2], ("scope", "a"), ("scope", "a")];
        assert_eq!(refused(&twice, &Header::Absent), request(Reason::DuplicateMember));
    }

    #[test]
    fn udap_tells_the_two_kinds_of_clients_apart() {
        for (list, method) in [(&GOOD[..], Method::Udap), (&GOOD[..2], Method::Smart)] {
            let pairs = pairs(list);
            let credentials = Form::of(&pairs).and_then(|form| form.credentials(&Header::Absent)).expect("read");
            assert_eq!((credentials.method, credentials.assertion, credentials.client_id), (method, "a.b.c", None));
        }
    }

    #[test]
    fn a_client_without_a_key_says_its_id_and_shows_nothing_else() {
        let sender = |list: &[(&str, &str)], header: &Header| {
            let pairs = pairs(list);
            Form::of(&pairs).and_then(|form| form.sender(header).map(|sender| matches!(sender, Sender::Named("c1"))))
        };
        assert_eq!(sender(&[("client_id", "c1")], &Header::Absent), Ok(true));
        assert_eq!(sender(&[GOOD[0], GOOD[1], ("client_id", "c1")], &Header::Absent), Ok(false));
        assert!(sender(&[("client_id", "c1"), ("client_secret", "x")], &Header::Absent).is_err());
        assert!(sender(&[("client_id", "c1")], &Header::Other).is_err());
        assert!(sender(&[("code", "x")], &Header::Absent).is_err());
    }

    #[test]
    fn a_request_is_nameless_where_nothing_in_it_is_of_a_client() {
        let nameless = |list: &[(&str, &str)], header: &Header| {
            let pairs = pairs(list);
            Form::of(&pairs).expect("a form").is_nameless(header)
        };
        assert!(nameless(&[("refresh_token", "x")], &Header::Absent));
        assert!(!nameless(&[("refresh_token", "x")], &Header::Other));
        for name in ["client_id", "client_assertion", "client_assertion_type", "client_secret", "udap"] {
            assert!(!nameless(&[(name, "1")], &Header::Absent), "{name}");
        }
    }

    #[test]
    fn a_parameter_without_a_value_counts_as_left_out() {
        let pairs = pairs(&[("scope", "")]);
        let form = Form::of(&pairs).expect("a form");
        assert_eq!(form.get("scope"), None);
        assert!(form.required("scope").is_err());
    }
}
