//! What one option is: key, flag, kind, default, words.
//!
//! Not here: which options there are (see `settings`), the typed form (see `config`).

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Text,
    /// Text that may be a secret; shown as `***`.
    Url,
    Flag,
    Integer {
        min: u64,
        max: u64,
    },
    Probability,
    Choice(&'static [&'static str]),
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// TOML key: `table.name`.
    pub key: &'static str,
    /// Flag without dashes.
    pub flag: &'static str,
    pub kind: Kind,
    pub default: &'static str,
    pub help: &'static str,
}

impl Setting {
    /// The environment variable: `IDI_MATCH_SERVER_LISTEN` for `server.listen`.
    #[must_use]
    pub fn env(&self) -> String {
        format!("IDI_MATCH_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }
}

/// A row of the table.
pub(super) const fn setting(
    key: &'static str,
    flag: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, flag, kind, default, help }
}

/// A whole number within limits.
pub(super) const fn integer(min: u64, max: u64) -> Kind {
    Kind::Integer { min, max }
}
