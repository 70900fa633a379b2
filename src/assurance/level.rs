//! The levels of assurance, in their order, and every form in which they are written.
//!
//! What: [`IdentityLevel`] (Identity Matching guide: IDIAL; NIST SP 800-63A: IAL) and [`AuthenticationLevel`] (NIST SP
//! 800-63B: AAL). Both are ordered: higher is more. Why: UDAP Tiered OAuth, the guide and identity providers write the
//! same level in different ways, and a level that is not understood must be no level. Not here: what a level allows.

use std::fmt;

/// How thoroughly an identity was proofed. IAL2 counts as IDIAL2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum IdentityLevel {
    #[default]
    Idial1,
    Idial1_2,
    Idial1_4,
    Idial1_5,
    Idial1_6,
    Idial1_8,
    Idial2,
}

/// How strongly a user signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum AuthenticationLevel {
    #[default]
    Aal1,
    Aal2,
    Aal3,
}

/// Where the Identity Matching guide writes levels of identity, and where UDAP Tiered OAuth does.
const IDENTITY_PREFIXES: [&str; 2] = ["http://udap.org/code/id/", "http://udap.org/"];

const AUTHENTICATION_PREFIXES: [&str; 2] = ["http://udap.org/code/auth/", "http://udap.org/"];

impl IdentityLevel {
    pub const ALL: [Self; 7] =
        [Self::Idial1, Self::Idial1_2, Self::Idial1_4, Self::Idial1_5, Self::Idial1_6, Self::Idial1_8, Self::Idial2];

    /// Reads a level as it stands in an `acr`, a StructureDefinition's extension or a configuration: the guide's URI,
    /// UDAP's URI, or a bare name in any case. IAL3 is more than the guide knows, so it counts as IDIAL2.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match name_of(text, &IDENTITY_PREFIXES)?.as_str() {
            "idial1" | "idial1.0" | "ial1" | "1" => Self::Idial1,
            "idial1.2" => Self::Idial1_2,
            "idial1.4" => Self::Idial1_4,
            "idial1.5" => Self::Idial1_5,
            "idial1.6" => Self::Idial1_6,
            "idial1.8" => Self::Idial1_8,
            "idial2" | "idial2.0" | "ial2" | "ial3" | "2" | "3" => Self::Idial2,
            _ => return None,
        })
    }

    /// The form of the Identity Matching guide, as it stands in an `acr`.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Idial1 => "http://udap.org/code/id/idial1",
            Self::Idial1_2 => "http://udap.org/code/id/idial1.2",
            Self::Idial1_4 => "http://udap.org/code/id/idial1.4",
            Self::Idial1_5 => "http://udap.org/code/id/idial1.5",
            Self::Idial1_6 => "http://udap.org/code/id/idial1.6",
            Self::Idial1_8 => "http://udap.org/code/id/idial1.8",
            Self::Idial2 => "http://udap.org/code/id/ial2",
        }
    }

    /// The name as people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idial1 => "IDIAL1",
            Self::Idial1_2 => "IDIAL1.2",
            Self::Idial1_4 => "IDIAL1.4",
            Self::Idial1_5 => "IDIAL1.5",
            Self::Idial1_6 => "IDIAL1.6",
            Self::Idial1_8 => "IDIAL1.8",
            Self::Idial2 => "IDIAL2",
        }
    }
}

impl AuthenticationLevel {
    pub const ALL: [Self; 3] = [Self::Aal1, Self::Aal2, Self::Aal3];

    /// Reads a level as it stands in an `amr` or a configuration.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match name_of(text, &AUTHENTICATION_PREFIXES)?.as_str() {
            "aal1" | "1" => Self::Aal1,
            "aal2" | "2" => Self::Aal2,
            "aal3" | "3" => Self::Aal3,
            _ => return None,
        })
    }

    /// The highest level among the values of an `amr`, which may hold methods too (`pwd`, `otp`): those are no level.
    #[must_use]
    pub fn highest<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        values.into_iter().filter_map(Self::parse).max()
    }

    /// The form of the Identity Matching guide, as it stands in an `amr`.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Aal1 => "http://udap.org/code/auth/aal1",
            Self::Aal2 => "http://udap.org/code/auth/aal2",
            Self::Aal3 => "http://udap.org/code/auth/aal3",
        }
    }

    /// The name as people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aal1 => "AAL1",
            Self::Aal2 => "AAL2",
            Self::Aal3 => "AAL3",
        }
    }
}

impl fmt::Display for IdentityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for AuthenticationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The level's own name in lower case. URIs are compared as written (RFC 3986 6.2.1), so a name behind a prefix keeps its
/// case, and what has another prefix is no level. A bare digit is a level only where nothing stands before it.
fn name_of(text: &str, prefixes: &[&str]) -> Option<String> {
    for prefix in prefixes {
        if let Some(name) = text.strip_prefix(prefix) {
            let named = name.starts_with(|first: char| first.is_ascii_lowercase());
            return (named && !name.contains('/')).then(|| name.to_owned());
        }
    }
    (!text.contains([':', '/'])).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wire_form_of_an_identity_level_is_read() {
        let table = [
            ("http://udap.org/code/id/idial1.5", Some(IdentityLevel::Idial1_5)),
            ("http://udap.org/code/id/idial1.8", Some(IdentityLevel::Idial1_8)),
            ("http://udap.org/code/id/idial2", Some(IdentityLevel::Idial2)),
            ("http://udap.org/code/id/ial2", Some(IdentityLevel::Idial2)),
            ("http://udap.org/ial2", Some(IdentityLevel::Idial2)),
            ("http://udap.org/ial1", Some(IdentityLevel::Idial1)),
            ("IAL2", Some(IdentityLevel::Idial2)),
            ("ial3", Some(IdentityLevel::Idial2)),
            ("2", Some(IdentityLevel::Idial2)),
            ("IDIAL1.2", Some(IdentityLevel::Idial1_2)),
            ("idial1.6", Some(IdentityLevel::Idial1_6)),
            ("http://udap.org/code/id/IDIAL1.8", None),
            ("HTTP://udap.org/code/id/idial1.8", None),
            ("https://udap.org/code/id/idial1.8", None),
            ("http://udap.org/code/id/idial1.8/", None),
            ("http://udap.org/code/auth/aal2", None),
            ("http://udap.org/2", None),
            ("http://example.org/ial2", None),
            ("idial1.7", None),
            ("idial1.80", None),
            (" ial2", None),
            ("aal2", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(IdentityLevel::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn every_wire_form_of_an_authentication_level_is_read() {
        let table = [
            ("http://udap.org/code/auth/aal2", Some(AuthenticationLevel::Aal2)),
            ("http://udap.org/aal3", Some(AuthenticationLevel::Aal3)),
            ("AAL1", Some(AuthenticationLevel::Aal1)),
            ("2", Some(AuthenticationLevel::Aal2)),
            ("http://udap.org/code/auth/AAL2", None),
            ("http://udap.org/code/id/ial2", None),
            ("pwd", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(AuthenticationLevel::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn levels_are_ordered_and_written_so_that_they_are_read_again() {
        assert!(IdentityLevel::ALL.is_sorted_by(|low, high| low < high));
        assert!(AuthenticationLevel::ALL.is_sorted_by(|low, high| low < high));
        for level in IdentityLevel::ALL {
            assert_eq!(IdentityLevel::parse(level.uri()), Some(level));
            assert_eq!(IdentityLevel::parse(level.name()), Some(level));
        }
        for level in AuthenticationLevel::ALL {
            assert_eq!(AuthenticationLevel::parse(level.uri()), Some(level));
            assert_eq!(AuthenticationLevel::parse(level.name()), Some(level));
        }
    }

    #[test]
    fn the_highest_level_among_methods_counts() {
        let amr = ["pwd", "http://udap.org/code/auth/aal1", "otp", "AAL2"];
        assert_eq!(AuthenticationLevel::highest(amr), Some(AuthenticationLevel::Aal2));
        assert_eq!(AuthenticationLevel::highest(["pwd", "mfa"]), None);
        assert_eq!(AuthenticationLevel::highest([]), None);
    }
}
