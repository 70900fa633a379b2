//! The audit record: who asked what, about which records, with which outcome.
//!
//! What: one [`AuditRecord`] per request, written in the same transaction as what the request changed, and its compact
//! JSON detail. Why: FHIR R4 AuditEvent and the accounting of disclosures ask which records left, to whom, and on what
//! ground. It holds ids, codes and numbers, and never a person's data: no names, dates, identifiers or bodies.
//! Beside it: the row as FHIR has it (`event`), what a row is about (`subject`), the seals over rows (`chain`, `walk`).
//! Not here: storing it (see `store::audit`) and clocks (`at_us` and `duration_us` are given).

pub mod chain;
pub mod event;
pub mod subject;
pub mod walk;

use serde::{Deserialize, Serialize};

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Read,
    History,
    Search,
    Create,
    Update,
    Patch,
    Delete,
    Match,
    Validate,
    Load,
    Explain,
    /// A transaction as a whole, or a Bundle that was refused before its entries were looked at.
    Bundle,
    Export,
    /// A copy of everything was made.
    Backup,
    /// What stewards decide.
    Merge,
    Unmerge,
    Link,
    Unlink,
    Split,
    Decide,
    /// A decision was taken back.
    Revoke,
    /// What there is to decide was read, or what was decided.
    ReviewQueue,
    /// Who was shown a person's records was asked.
    WhoLooked,
    /// The audit was checked, or a part of it was written out.
    AuditExport,
    /// Every record was assigned anew.
    Partition,
    /// A matching model was fitted to what is stored.
    Train,
    /// What the authorization server says of itself.
    Discover,
    RegisterClient,
    IssueToken,
    /// By its client, or by the person who had allowed what it gives.
    RevokeToken,
    IntrospectToken,
    /// An app asked for a person's permission, the person has answered, or has looked at what they have allowed.
    Authorize,
    /// An app asked who has signed in.
    UserInfo,
    /// An app asked to sign somebody out.
    EndSession,
    /// An operator added or disabled a client.
    ManageClient,
    /// A person signed in, or tried to.
    SignIn,
    SignOut,
    /// An operator added, disabled or reset an account.
    ManageAccount,
    /// The server saw somebody go through a list of people.
    Alarm,
    /// An operator let a new key sign.
    ManageKeys,
}

impl Action {
    /// The code that is stored.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::History => "history",
            Self::Search => "search",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Match => "match",
            Self::Validate => "validate",
            Self::Load => "load",
            Self::Explain => "explain",
            Self::Bundle => "bundle",
            Self::Export => "export",
            Self::Backup => "backup",
            Self::Merge => "merge",
            Self::Unmerge => "unmerge",
            Self::Link => "link",
            Self::Unlink => "unlink",
            Self::Split => "split",
            Self::Decide => "decide",
            Self::Revoke => "revoke",
            Self::ReviewQueue => "review-queue",
            Self::WhoLooked => "who-looked",
            Self::AuditExport => "audit-export",
            Self::Partition => "partition",
            Self::Train => "train",
            Self::Discover => "discover",
            Self::RegisterClient => "register-client",
            Self::IssueToken => "issue-token",
            Self::RevokeToken => "revoke-token",
            Self::IntrospectToken => "introspect-token",
            Self::Authorize => "authorize",
            Self::UserInfo => "user-info",
            Self::EndSession => "end-session",
            Self::ManageClient => "manage-client",
            Self::SignIn => "sign-in",
            Self::SignOut => "sign-out",
            Self::ManageAccount => "manage-account",
            Self::Alarm => "alarm",
            Self::ManageKeys => "manage-keys",
        }
    }
}

/// How the request ended; the finer reason is [`Detail::status`] and [`Detail::reasons`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Done as asked; an empty answer is a success too.
    Success,
    /// The request was understood and not granted: a rule, a policy or its content stood against it.
    Refused,
    /// The server could not do what it should have done.
    Error,
}

impl Outcome {
    /// The code that is stored.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
            Self::Error => "error",
        }
    }

    /// The outcome that an HTTP status stands for.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            0..=399 => Self::Success,
            400..=499 => Self::Refused,
            _ => Self::Error,
        }
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// When the request arrived, microseconds since 1970.
    pub at_us: i64,
    /// The id that the answer carries too. The server's own: a caller's text could hold anything.
    pub request_id: String,
    pub action: Action,
    pub outcome: Outcome,
    /// Who asked: a label of the caller, such as a client id or `open`.
    pub caller: String,
    pub resource_type: Option<String>,
    pub detail: Detail,
}

/// A row as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'r> {
    pub seq: i64,
    pub at_us: i64,
    pub request_id: &'r str,
    pub action: &'r str,
    pub outcome: &'r str,
    pub caller: &'r str,
    pub resource_type: Option<&'r str>,
    /// JSON, as [`Detail::to_json`] has written it.
    pub detail: &'r str,
}

impl Row<'_> {
    /// The row as one line of JSON, which is what seals are made over: an array of its columns, without spaces.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { seq, at_us, request_id, action, outcome, caller, resource_type, detail } = self;
        // Numbers and texts: nothing could fail.
        serde_json::to_string(&(seq, at_us, request_id, action, outcome, caller, resource_type, detail))
            .unwrap_or_default()
    }
}

/// What else is known of the request. Absent and empty members are left out of the text.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Detail {
    /// The HTTP status of the answer, or the status that it would have had.
    pub status: u16,
    /// Codes of the reasons, for example `weight-too-low` or `ambiguous`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// The client that has shown a token; the caller's label otherwise says who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The id that the caller has given the request, which the answer and the log carry in place of the row's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Where the request came from: an IP address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_address: Option<String>,
    /// The trust community under which the client is registered; none for a client that the operator has added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub community: Option<String>,
    /// The organisation that the client asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// On what that rests, of a token that was asked for: `bound` to the client, or only `stated` by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_basis: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_type: Option<String>,
    /// Why it asks: codes of purposes of use, `system#code` or a code by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub purposes: Vec<String>,
    /// The policies that the person has agreed to and what documents it, as stated with the token request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub consent_policy: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub consent_reference: Vec<String>,
    /// The user of the client: the digest of the statement about them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Levels of assurance that the token carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_level: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication_level: Option<String>,
    /// The id of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What was searched by: names of parameters, without their values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Ids of the resources that were returned or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<String>,
    /// Ids of the identities that were returned or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<String>,
    /// The workflows of the policy that applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workflows: Vec<String>,
    /// What the policy decided: `permit`, `refuse` or `withhold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Codes of what was missing, be it told to the caller or not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The IDI profile that was claimed and recognised, as its short name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The strict input weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// The best grade that was returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grade: Option<String>,
    /// The outcome of the CMS combinations, where they were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combination_outcome: Option<String>,
    /// The combination that holds for the best identity returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combination: Option<String>,
    /// The budget that was spent, or of which an alarm tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
    /// How many candidates were scored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version: Option<String>,
    /// The bulk export that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The steward's decision that was made or taken back; the decision says why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// How many resources left, where they are too many to be named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Of those: the numbers between which they are, the first one left out, and the moment that they are of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stretch: Option<Stretch>,
    pub duration_us: u64,
}

/// A stretch of the resources of a type, as of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    pub after_number: i64,
    pub last_number: i64,
    pub as_of_us: i64,
}

impl Detail {
    /// The detail as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists of them: there is no map key and no foreign type that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detail_leaves_out_what_is_absent() {
        let least = Detail { status: 404, duration_us: 7, ..Detail::default() };
        assert_eq!(least.to_json(), r#"{"status":404,"duration_us":7}"#);
    }

    #[test]
    fn the_detail_names_ids_and_codes() {
        let full = Detail {
            status: 200,
            reasons: vec!["ambiguous".to_owned()],
            client_id: Some("c1".to_owned()),
            correlation_id: None,
            client_address: Some("127.0.0.1".to_owned()),
            community: Some("exchange".to_owned()),
            organization_id: Some("https://o".to_owned()),
            organization_basis: Some("bound".to_owned()),
            entity_type: Some("covered-entity".to_owned()),
            purposes: vec!["TREAT".to_owned()],
            consent_policy: vec!["urn:oid:1.2".to_owned()],
            consent_reference: vec!["https://o/Consent/1".to_owned()],
            user: Some("digest".to_owned()),
            identity_level: Some("IDIAL1.8".to_owned()),
            authentication_level: Some("AAL2".to_owned()),
            token: Some("t1".to_owned()),
            query: Some("Patient?family".to_owned()),
            records: vec!["p1".to_owned(), "p\"2".to_owned()],
            identities: vec!["i1".to_owned()],
            workflows: vec!["business".to_owned()],
            verdict: Some("refuse".to_owned()),
            missing: vec!["weight".to_owned()],
            profile: Some("IDI-Patient-L0".to_owned()),
            weight: Some(9),
            grade: Some("certain".to_owned()),
            combination_outcome: Some("match".to_owned()),
            combination: Some("C2-34".to_owned()),
            budget: Some("subject-failures".to_owned()),
            candidates: Some(36),
            model_version: Some("m1".to_owned()),
            job: Some("j1".to_owned()),
            decision: Some("d1".to_owned()),
            count: Some(25_000),
            stretch: Some(Stretch { after_number: 0, last_number: 9, as_of_us: 7 }),
            duration_us: 120,
        };
        assert_eq!(
            full.to_json(),
            r#"{"status":200,"reasons":["ambiguous"],"client_id":"c1","client_address":"127.0.0.1","community":"exchange","organization_id":"https://o","organization_basis":"bound","entity_type":"covered-entity","purposes":["TREAT"],"consent_policy":["urn:oid:1.2"],"consent_reference":["https://o/Consent/1"],"user":"digest","identity_level":"IDIAL1.8","authentication_level":"AAL2","token":"t1","query":"Patient?family","records":["p1","p\"2"],"identities":["i1"],"workflows":["business"],"verdict":"refuse","missing":["weight"],"profile":"IDI-Patient-L0","weight":9,"grade":"certain","combination_outcome":"match","combination":"C2-34","budget":"subject-failures","candidates":36,"model_version":"m1","job":"j1","decision":"d1","count":25000,"stretch":{"after_number":0,"last_number":9,"as_of_us":7},"duration_us":120}"#
        );
    }

    #[test]
    fn a_status_stands_for_an_outcome() {
        for (status, outcome) in [
            (200, Outcome::Success),
            (304, Outcome::Success),
            (400, Outcome::Refused),
            (422, Outcome::Refused),
            (500, Outcome::Error),
            (503, Outcome::Error),
        ] {
            assert_eq!(Outcome::of_status(status), outcome, "{status}");
        }
    }
}
