//! What a person types to prove who they are: held for as long as it is compared, shown nowhere, wiped afterwards.
//!
//! Not here: what a secret must be like (see `password`, `totp`).

use zeroize::Zeroizing;

/// A password or a one-time code as it was received.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(***)")
    }
}
