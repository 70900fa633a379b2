//! Scopes: the grammar of SMART App Launch 2.2 (both versions), what is granted, and what a grant allows.
//!
//! What: [`Scopes::parse`] reads a `scope` parameter, [`grant`] cuts a request down to what is registered and supported,
//! [`Scopes::allows`] asks a grant. Why: FAST Security 7.3 wants silent down-scoping, wildcards only where they are listed,
//! and the answer in the version that was asked in. A scope that is not understood, or holds a query constraint that
//! nobody enforces, never allows anything. Not here: which scope an operation needs (see `app`).

use std::fmt;

use super::error::{OAuthError, Reason, Refusal};

/// Of a whole `scope` parameter.
pub const SCOPE_BYTES_MAX: usize = 4096;

/// Scopes in one parameter.
pub const SCOPES_MAX: usize = 50;

/// On whose behalf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    Patient,
    User,
    System,
}

impl Level {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::User => "user",
            Self::System => "system",
        }
    }

    fn parse(code: &str) -> Option<Self> {
        [Self::Patient, Self::User, Self::System].into_iter().find(|level| level.code() == code)
    }
}

/// What a permission is for (SMART App Launch 2.2, "Scopes for requesting FHIR Resources"). Reading versions and the
/// history of an instance is `Read`; the history of a type is `Search`; a patch is `Update`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interaction {
    Create,
    Read,
    Update,
    Delete,
    Search,
}

impl Interaction {
    /// In the order in which version 2 writes them.
    pub const ALL: [Self; 5] = [Self::Create, Self::Read, Self::Update, Self::Delete, Self::Search];

    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Create => 'c',
            Self::Read => 'r',
            Self::Update => 'u',
            Self::Delete => 'd',
            Self::Search => 's',
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Create => 1,
            Self::Read => 1 << 1,
            Self::Update => 1 << 2,
            Self::Delete => 1 << 3,
            Self::Search => 1 << 4,
        }
    }
}

/// A scope that is a name and nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plain {
    OpenId,
    FhirUser,
    Profile,
    OfflineAccess,
    Udap,
    LaunchPatient,
}

impl Plain {
    const ALL: [Self; 6] =
        [Self::OpenId, Self::FhirUser, Self::Profile, Self::OfflineAccess, Self::Udap, Self::LaunchPatient];

    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::OpenId => "openid",
            Self::FhirUser => "fhirUser",
            Self::Profile => "profile",
            Self::OfflineAccess => "offline_access",
            Self::Udap => "udap",
            Self::LaunchPatient => "launch/patient",
        }
    }

    fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plain| plain.code() == code)
    }
}

/// A set of interactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Permissions(u8);

impl Permissions {
    const READ: Self = Self(Interaction::Read.bit() | Interaction::Search.bit());
    const WRITE: Self = Self(Interaction::Create.bit() | Interaction::Update.bit() | Interaction::Delete.bit());
    const ALL: Self = Self(Self::READ.0 | Self::WRITE.0);

    const fn and(self, other: Self) -> Option<Self> {
        let both = self.0 & other.0;
        if both == 0 { None } else { Some(Self(both)) }
    }

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn holds(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Version 1's words, where one says exactly this.
    fn word(self) -> Option<&'static str> {
        [(Self::READ, "read"), (Self::WRITE, "write"), (Self::ALL, "*")]
            .into_iter()
            .find_map(|(permissions, word)| (permissions == self).then_some(word))
    }

    fn of_word(word: &str) -> Option<Self> {
        [Self::READ, Self::WRITE, Self::ALL].into_iter().find(|permissions| permissions.word() == Some(word))
    }

    /// Version 2's letters, each at most once and in their order.
    fn of_letters(letters: &str) -> Option<Self> {
        let mut rest = letters;
        let mut bits = 0;
        for interaction in Interaction::ALL {
            if let Some(after) = rest.strip_prefix(interaction.letter()) {
                bits |= interaction.bit();
                rest = after;
            }
        }
        (rest.is_empty() && bits != 0).then_some(Self(bits))
    }
}

/// Which version of the grammar a scope was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notation {
    V1,
    V2,
}

/// `system/Patient.rs?name=value`
#[derive(Debug, Clone, PartialEq, Eq)]
struct ResourceScope {
    level: Level,
    /// `None`: every type, written `*`.
    kind: Option<String>,
    permissions: Permissions,
    notation: Notation,
    /// Behind the `?`, as written.
    constraint: Option<String>,
}

/// Types that a wildcard never means: what stewards decide, and the audit. Whoever grants them, registers them or asks for them
/// names them.
const NAMED_ONLY: [&str; 2] = ["Stewardship", "AuditEvent"];

/// Letters of a resource type's name; FHIR's longest has 33.
const TYPE_BYTES_MAX: usize = 64;

impl ResourceScope {
    fn parse(text: &str) -> Option<Self> {
        let (scope, constraint) = match text.split_once('?') {
            Some((scope, constraint)) => (scope, Some(constraint.to_owned())),
            None => (text, None),
        };
        let (level, rest) = scope.split_once('/')?;
        let (kind, permissions) = rest.split_once('.')?;
        let (permissions, notation) = match Permissions::of_word(permissions) {
            Some(permissions) => (permissions, Notation::V1),
            None => (Permissions::of_letters(permissions)?, Notation::V2),
        };
        // Constraints came with version 2.
        let written = constraint.as_deref().is_none_or(|text| notation == Notation::V2 && !text.is_empty());
        let kind = if kind == "*" { None } else { Some(type_name(kind)?.to_owned()) };
        written.then_some(Self { level: Level::parse(level)?, kind, permissions, notation, constraint })
    }

    /// What both scopes allow, written in the version of this one.
    fn and(&self, other: &Self) -> Option<Self> {
        if self.level != other.level || self.constraint != other.constraint {
            return None;
        }
        let kind = match (&self.kind, &other.kind) {
            (None, Some(kind)) | (Some(kind), None) if NAMED_ONLY.contains(&kind.as_str()) => return None,
            (None, kind) | (kind, None) => kind,
            (Some(one), Some(two)) => (one == two).then_some(&self.kind)?,
        };
        let permissions = self.permissions.and(other.permissions)?;
        Some(Self { kind: kind.clone(), permissions, constraint: self.constraint.clone(), ..*self })
    }

    const fn is_wildcard(&self) -> bool {
        self.kind.is_none()
    }

    fn is_named_only(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| NAMED_ONLY.contains(&kind))
    }

    /// Whether this one allows all that the other does, so that the other need not be said.
    fn covers(&self, other: &Self) -> bool {
        self.level == other.level
            && self.constraint == other.constraint
            && (self.kind == other.kind || (self.is_wildcard() && !other.is_named_only()))
            && self.permissions.holds(other.permissions)
    }
}

fn type_name(text: &str) -> Option<&str> {
    let named = text.starts_with(|first: char| first.is_ascii_uppercase());
    (named && text.len() <= TYPE_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(text)
}

impl fmt::Display for ResourceScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.", self.level.code(), self.kind.as_deref().unwrap_or("*"))?;
        match self.permissions.word().filter(|_| self.notation == Notation::V1) {
            Some(word) => f.write_str(word)?,
            None => {
                let held = Interaction::ALL.into_iter().filter(|one| self.permissions.holds(Permissions(one.bit())));
                f.write_str(&held.map(Interaction::letter).collect::<String>())?;
            }
        }
        self.constraint.as_ref().map_or(Ok(()), |constraint| write!(f, "?{constraint}"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    Plain(Plain),
    Resource(ResourceScope),
    /// A well-formed token that means nothing here.
    Unknown(String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(plain) => f.write_str(plain.code()),
            Self::Resource(scope) => scope.fmt(f),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}

/// Why a `scope` parameter cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    #[error("scope is empty")]
    Empty,
    #[error("scope has more than {SCOPE_BYTES_MAX} bytes or {SCOPES_MAX} scopes")]
    TooLong,
    #[error("scope holds what RFC 6749 section 3.3 does not allow")]
    Syntax,
}

impl From<ScopeError> for Refusal {
    fn from(error: ScopeError) -> Self {
        let log = if error == ScopeError::TooLong { Reason::TooLong } else { Reason::ParameterInvalid("scope") };
        Self::new(OAuthError::InvalidScope, "The scope is not well-formed.", log)
    }
}

/// A list of scopes, each once, in the order in which they were written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes {
    scopes: Vec<Scope>,
}

impl Scopes {
    /// Reads `scope-token *( SP scope-token )` (RFC 6749 section 3.3).
    ///
    /// # Errors
    /// Where the text is no such list, or beyond the limits. A token that is no scope here is kept, and means nothing.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text.is_empty() {
            return Err(ScopeError::Empty);
        }
        if text.len() > SCOPE_BYTES_MAX || text.split(' ').count() > SCOPES_MAX {
            return Err(ScopeError::TooLong);
        }
        let mut scopes = Self::default();
        for token in text.split(' ') {
            if token.is_empty() || !token.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
                return Err(ScopeError::Syntax);
            }
            scopes.add(scope_of(token));
        }
        Ok(scopes)
    }

    /// Reads a list of a configuration; each entry is one scope that has a meaning here.
    ///
    /// # Errors
    /// The first entry that is none.
    pub fn from_list<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut scopes = Self::default();
        for entry in entries {
            match scope_of(entry) {
                Scope::Unknown(_) => return Err(entry),
                scope => scopes.add(scope),
            }
        }
        Ok(scopes)
    }

    fn add(&mut self, scope: Scope) {
        if !self.scopes.contains(&scope) {
            self.scopes.push(scope);
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    /// Each scope as it is written.
    pub fn iter(&self) -> impl Iterator<Item = String> {
        self.scopes.iter().map(ToString::to_string)
    }

    /// Whether a resource of this type may be worked on. A scope with a query constraint says less than its letters, and
    /// nothing here reads the constraint, so it allows nothing.
    #[must_use]
    pub fn allows(&self, level: Level, kind: &str, interaction: Interaction) -> bool {
        self.resources().any(|scope| {
            scope.level == level
                && scope.constraint.is_none()
                && scope.kind.as_deref().is_none_or(|name| name == kind)
                && scope.permissions.holds(Permissions(interaction.bit()))
        })
    }

    #[must_use]
    pub fn holds(&self, plain: Plain) -> bool {
        self.scopes.contains(&Scope::Plain(plain))
    }

    /// Whether there is a scope for data.
    #[must_use]
    pub fn has_resources(&self) -> bool {
        self.resources().next().is_some()
    }

    /// Whether there is a scope for data on this one's behalf.
    #[must_use]
    pub fn has_level(&self, level: Level) -> bool {
        self.resources().any(|scope| scope.level == level)
    }

    /// Without one of the plain scopes.
    #[must_use]
    pub fn without(&self, plain: Plain) -> Self {
        let stays = |scope: &&Scope| **scope != Scope::Plain(plain);
        Self { scopes: self.scopes.iter().filter(stays).cloned().collect() }
    }

    /// Whether every scope is among those of the other, as it is written.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.scopes.iter().all(|scope| other.scopes.contains(scope))
    }

    /// The scopes for data: the type (none for every type) and the letters of what may be done, in the order of version 2.
    pub fn permissions(&self) -> impl Iterator<Item = (Level, Option<&str>, String)> {
        self.resources().map(|scope| {
            let held = Interaction::ALL.into_iter().filter(|one| scope.permissions.holds(Permissions(one.bit())));
            (scope.level, scope.kind.as_deref(), held.map(Interaction::letter).collect())
        })
    }

    /// Without the resource scopes of other levels: `system/` is for `client_credentials`, `user/` and `patient/` for a
    /// grant with a person behind it (FAST Security 7.3).
    #[must_use]
    pub fn at_levels(&self, levels: &[Level]) -> Self {
        let stays = |scope: &&Scope| match scope {
            Scope::Resource(resource) => levels.contains(&resource.level),
            Scope::Plain(_) | Scope::Unknown(_) => true,
        };
        Self { scopes: self.scopes.iter().filter(stays).cloned().collect() }
    }

    fn resources(&self) -> impl Iterator<Item = &ResourceScope> {
        self.scopes.iter().filter_map(|scope| if let Scope::Resource(scope) = scope { Some(scope) } else { None })
    }
}

fn scope_of(token: &str) -> Scope {
    let plain = Plain::parse(token).map(Scope::Plain);
    let scope = plain.or_else(|| ResourceScope::parse(token).map(Scope::Resource));
    scope.unwrap_or_else(|| Scope::Unknown(token.to_owned()))
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.scopes.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            scope.fmt(f)?;
        }
        Ok(())
    }
}

/// Cuts a request down to what the client registered and the server supports (FAST Security 7.3).
///
/// # Errors
/// `invalid_scope` for a wildcard that the server does not list, or where nothing is left; nowhere else.
pub fn grant(requested: &Scopes, registered: &Scopes, supported: &Scopes) -> Result<Scopes, Refusal> {
    let unlisted = |wanted: &ResourceScope| {
        wanted.is_wildcard()
            && !supported.resources().any(|listed| listed.is_wildcard() && wanted.and(listed).is_some())
    };
    if requested.resources().any(unlisted) {
        let text = "A wildcard scope is not supported here.";
        return Err(Refusal::new(OAuthError::InvalidScope, text, Reason::WildcardNotSupported));
    }
    let mut granted = Scopes::default();
    for scope in &requested.scopes {
        match scope {
            Scope::Plain(plain) if registered.holds(*plain) && supported.holds(*plain) => granted.add(scope.clone()),
            Scope::Plain(_) | Scope::Unknown(_) => {}
            Scope::Resource(wanted) => {
                for part in parts_of(wanted, registered, supported) {
                    granted.add(Scope::Resource(part));
                }
            }
        }
    }
    if granted.is_empty() {
        let text = "None of the scopes is available to this client.";
        return Err(Refusal::new(OAuthError::InvalidScope, text, Reason::NoScopeLeft));
    }
    Ok(granted)
}

/// What of one requested scope both lists allow: one scope for each type, without those that another of them covers.
fn parts_of(wanted: &ResourceScope, registered: &Scopes, supported: &Scopes) -> Vec<ResourceScope> {
    let mut parts: Vec<ResourceScope> = Vec::new();
    for listed in supported.resources().filter_map(|listed| wanted.and(listed)) {
        for part in registered.resources().filter_map(|known| listed.and(known)) {
            match parts.iter_mut().find(|known| known.kind == part.kind) {
                Some(known) => known.permissions = known.permissions.or(part.permissions),
                None => parts.push(part),
            }
        }
    }
    let wildcard = parts.iter().find(|part| part.is_wildcard()).cloned();
    parts.retain(|part| part.is_wildcard() || wildcard.as_ref().is_none_or(|wildcard| !wildcard.covers(part)));
    for part in parts.iter_mut().filter(|part| part.permissions.word().is_none()) {
        part.notation = Notation::V2;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> Scopes {
        Scopes::parse(text).expect(text)
    }

    #[test]
    fn scopes_with_a_meaning_are_written_as_they_were_read() {
        let table = [
            "system/Patient.rs",
            "system/Patient.cruds",
            "system/*.rs",
            "patient/Observation.r",
            "user/Patient.cud",
            "system/Patient.read",
            "system/Patient.write",
            "user/*.*",
            "patient/Patient.rs?status=active",
            "openid",
            "fhirUser",
            "offline_access",
            "udap",
            "launch/patient",
        ];
        for text in table {
            let read = scopes(text);
            assert!(!matches!(read.scopes.as_slice(), [Scope::Unknown(_)]), "{text} is known");
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn a_wildcard_gives_neither_stewardship_nor_the_audit() {
        let wildcard = "system/*.cruds";
        let named = "system/Stewardship.u system/AuditEvent.rs";
        let all = format!("{wildcard} {named}");
        for (wanted, registered, supported, granted) in [
            (named, wildcard, wildcard, None),
            (named, wildcard, all.as_str(), None),
            (named, all.as_str(), wildcard, None),
            (wildcard, named, named, None),
            (wildcard, all.as_str(), all.as_str(), Some(wildcard)),
            (named, all.as_str(), all.as_str(), Some(named)),
            (all.as_str(), all.as_str(), all.as_str(), Some(all.as_str())),
        ] {
            let found = grant(&scopes(wanted), &scopes(registered), &scopes(supported)).ok();
            assert_eq!(found.map(|found| found.to_string()).as_deref(), granted, "{wanted} of {registered}");
        }
    }

    #[test]
    fn what_is_no_scope_means_nothing() {
        let table = [
            "system/Patient.sr",
            "system/Patient.rr",
            "system/Patient.",
            "system/Patient",
            "system/.rs",
            "system/patient.rs",
            "System/Patient.rs",
            "system/Patient.RS",
            "system/Patient.rsx",
            "system/Patient.read?a=b",
            "system/Patient.rs?",
            "system/Patient.reads",
            "system//Patient.rs",
            "system/**.rs",
            "system/Pat*.rs",
            "practitioner/Patient.rs",
            "/Patient.rs",
            "Openid",
            "offline",
            "launch/encounter",
            "system/Patient.rs.rs",
        ];
        for text in table {
            let read = scopes(text);
            assert!(matches!(read.scopes.as_slice(), [Scope::Unknown(_)]), "{text}");
            for level in [Level::Patient, Level::User, Level::System] {
                for interaction in Interaction::ALL {
                    assert!(!read.allows(level, "Patient", interaction), "{text}");
                }
            }
            assert!(Scopes::from_list([text]).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_that_rfc_6749_does_not_allow_is_refused() {
        let long = "a ".repeat(SCOPES_MAX) + "a";
        let wide = "a".repeat(SCOPE_BYTES_MAX + 1);
        let table = [
            ("", ScopeError::Empty),
            (" ", ScopeError::Syntax),
            (" openid", ScopeError::Syntax),
            ("openid ", ScopeError::Syntax),
            ("openid  udap", ScopeError::Syntax),
            ("openid\tudap", ScopeError::Syntax),
            ("openid\nudap", ScopeError::Syntax),
            ("open\"id", ScopeError::Syntax),
            ("open\\id", ScopeError::Syntax),
            ("openid\u{0}", ScopeError::Syntax),
            ("öpenid", ScopeError::Syntax),
            (long.as_str(), ScopeError::TooLong),
            (wide.as_str(), ScopeError::TooLong),
        ];
        for (text, expected) in table {
            assert_eq!(Scopes::parse(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn each_letter_allows_its_interaction_and_no_other() {
        for (at, interaction) in Interaction::ALL.into_iter().enumerate() {
            let held = scopes(&format!("system/Patient.{}", interaction.letter()));
            for (other, asked) in Interaction::ALL.into_iter().enumerate() {
                assert_eq!(held.allows(Level::System, "Patient", asked), at == other, "{held} {asked:?}");
                assert!(!held.allows(Level::User, "Patient", asked), "{held} {asked:?}");
                assert!(!held.allows(Level::System, "Person", asked), "{held} {asked:?}");
            }
        }
    }

    #[test]
    fn words_of_version_1_stand_for_letters() {
        let table = [("read", "rs"), ("write", "cud"), ("*", "cruds")];
        for (word, letters) in table {
            let held = scopes(&format!("user/*.{word}"));
            for interaction in Interaction::ALL {
                let expected = letters.contains(interaction.letter());
                assert_eq!(held.allows(Level::User, "Encounter", interaction), expected, "{word} {interaction:?}");
            }
        }
    }

    #[test]
    fn a_constrained_scope_allows_nothing_here() {
        let held = scopes("system/Patient.rs?active=true");
        assert!(!held.allows(Level::System, "Patient", Interaction::Read));
    }

    #[test]
    fn a_request_is_cut_down_silently() {
        let table = [
            // requested, registered, supported, granted
            ("system/Patient.rs", "system/Patient.rs", "system/Patient.rs", "system/Patient.rs"),
            ("system/Patient.cruds", "system/Patient.cruds", "system/Patient.rs", "system/Patient.rs"),
            ("system/Patient.cruds", "system/Patient.r", "system/Patient.rs", "system/Patient.r"),
            ("system/Patient.read", "system/Patient.rs", "system/*.rs", "system/Patient.read"),
            ("system/Patient.read", "system/Patient.read", "system/Patient.r", "system/Patient.r"),
            ("system/Patient.*", "system/Patient.cruds", "system/Patient.rs", "system/Patient.read"),
            ("system/Patient.rs", "system/Patient.read", "system/*.read", "system/Patient.rs"),
            ("system/*.rs", "system/*.rs", "system/*.rs", "system/*.rs"),
            ("system/*.cruds", "system/*.cruds", "system/*.rs", "system/*.rs"),
            ("system/*.rs", "system/Patient.rs", "system/*.rs", "system/Patient.rs"),
            ("system/*.rs", "system/Patient.rs system/Person.r", "system/*.rs", "system/Patient.rs system/Person.r"),
            ("system/Patient.rs", "system/*.rs", "system/Patient.r system/Patient.s", "system/Patient.rs"),
            ("system/Patient.rs", "system/*.rs", "system/*.r system/Patient.rs", "system/Patient.rs"),
            ("system/Patient.rs system/Patient.rs", "system/*.rs", "system/*.rs", "system/Patient.rs"),
            ("system/Patient.rs nonsense", "system/*.rs nonsense", "system/*.rs nonsense", "system/Patient.rs"),
            ("system/Patient.rs system/Patient.sr", "system/*.rs", "system/*.rs", "system/Patient.rs"),
            ("user/Patient.rs system/Patient.rs", "system/*.rs", "system/*.rs", "system/Patient.rs"),
            ("openid udap system/Patient.r", "openid system/*.r", "openid udap system/*.r", "openid system/Patient.r"),
            ("udap", "udap", "udap", "udap"),
            (
                "system/Patient.rs system/Patient.rs?a=b",
                "system/Patient.rs system/Patient.rs?a=b",
                "system/Patient.rs",
                "system/Patient.rs",
            ),
        ];
        for (requested, registered, supported, expected) in table {
            let granted = grant(&scopes(requested), &scopes(registered), &scopes(supported));
            let granted = granted.map(|granted| granted.to_string());
            assert_eq!(granted.as_deref().ok(), Some(expected), "{requested} | {registered} | {supported}");
        }
    }

    #[test]
    fn a_request_is_refused_only_for_an_unlisted_wildcard_or_when_nothing_is_left() {
        let table = [
            ("system/*.rs", "system/*.rs", "system/Patient.rs", Reason::WildcardNotSupported),
            ("system/*.rs system/Patient.rs", "system/*.rs", "system/Patient.rs", Reason::WildcardNotSupported),
            ("user/*.rs system/Patient.rs", "system/*.rs", "system/*.rs", Reason::WildcardNotSupported),
            ("system/*.c", "system/*.cruds", "system/*.rs", Reason::WildcardNotSupported),
            ("system/*.rs?a=b", "system/*.rs", "system/*.rs", Reason::WildcardNotSupported),
            ("system/Patient.c", "system/*.rs", "system/*.rs", Reason::NoScopeLeft),
            ("system/Patient.rs?a=b", "system/*.rs", "system/*.rs", Reason::NoScopeLeft),
            ("system/Person.rs", "system/Patient.rs", "system/*.rs", Reason::NoScopeLeft),
            ("user/Patient.rs", "system/Patient.rs", "system/*.rs", Reason::NoScopeLeft),
            ("nonsense", "nonsense", "nonsense", Reason::NoScopeLeft),
            ("udap", "openid", "udap openid", Reason::NoScopeLeft),
        ];
        for (requested, registered, supported, expected) in table {
            let refused = grant(&scopes(requested), &scopes(registered), &scopes(supported)).expect_err(requested);
            assert_eq!((refused.code, refused.log), (OAuthError::InvalidScope, expected), "{requested}");
        }
    }

    #[test]
    fn whatever_is_granted_was_requested_registered_and_supported() {
        let texts = [
            "system/Patient.rs",
            "system/*.cruds",
            "system/Patient.read system/Person.write",
            "user/Patient.* system/Patient.c",
            "system/*.r user/*.s",
            "patient/Patient.cruds",
        ];
        let lists = texts.map(scopes);
        for requested in &lists {
            for registered in &lists {
                for supported in &lists {
                    let Ok(granted) = grant(requested, registered, supported) else { continue };
                    for level in [Level::Patient, Level::User, Level::System] {
                        for kind in ["Patient", "Person", "Encounter"] {
                            for one in Interaction::ALL {
                                let all = [requested, registered, supported].map(|list| list.allows(level, kind, one));
                                let expected = all == [true; 3];
                                assert_eq!(granted.allows(level, kind, one), expected, "{granted} {kind} {one:?}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_level_that_does_not_fit_the_grant_is_left_out() {
        let asked = scopes("openid system/Patient.rs user/Patient.rs patient/Patient.rs");
        assert_eq!(asked.at_levels(&[Level::System]).to_string(), "openid system/Patient.rs");
        assert_eq!(
            asked.at_levels(&[Level::User, Level::Patient]).to_string(),
            "openid user/Patient.rs patient/Patient.rs"
        );
    }
}
