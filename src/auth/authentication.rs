//! How somebody was authenticated: the one result that every way of signing in has.
//!
//! What: [`Authentication`], from which ID tokens, consent and the policy take what they know of a person who is present.
//! Why one type: a password with a one-time code, a passkey or another provider differ only in how they come by it. Not
//! here: the ways themselves (see `app::people`), what a level allows (see `assurance`).

use crate::assurance::level::{AuthenticationLevel, IdentityLevel};

/// What was used to sign in, in the words of RFC 8176.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthenticationMethod {
    Password,
    OneTimeCode,
}

impl AuthenticationMethod {
    const ALL: [Self; 2] = [Self::Password, Self::OneTimeCode];

    /// The method of a registered value.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.code() == code)
    }

    /// The registered value for an `amr`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Password => "pwd",
            Self::OneTimeCode => "otp",
        }
    }
}

/// Somebody who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentication {
    /// The account: a random id, never a name.
    pub subject: String,
    /// How thoroughly the person was proofed.
    pub idial: IdentityLevel,
    pub aal: AuthenticationLevel,
    pub methods: Vec<AuthenticationMethod>,
    /// When, in microseconds since 1970.
    pub time_us: i64,
}

impl Authentication {
    /// The `amr` of a token (OpenID Connect Core 2; Identity Matching guide): the level first, then the methods, and `mfa`
    /// where there were several.
    #[must_use]
    pub fn amr(&self) -> Vec<&'static str> {
        let several = (self.methods.len() > 1).then_some("mfa");
        let methods = self.methods.iter().map(|method| method.code());
        std::iter::once(self.aal.uri()).chain(methods).chain(several).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_methods_of_a_token_name_the_level_first_and_several_factors_last() {
        use AuthenticationMethod::{OneTimeCode, Password};
        let table: [(&[AuthenticationMethod], &[&str]); 2] =
            [(&[Password], &["pwd"]), (&[Password, OneTimeCode], &["pwd", "otp", "mfa"])];
        for (methods, expected) in table {
            let authentication = Authentication {
                subject: "f3b0".into(),
                idial: IdentityLevel::Idial1_8,
                aal: AuthenticationLevel::Aal2,
                methods: methods.to_vec(),
                time_us: 0,
            };
            assert_eq!(authentication.amr()[0], "http://udap.org/code/auth/aal2");
            assert_eq!(&authentication.amr()[1..], expected);
            assert!(methods.iter().all(|method| AuthenticationMethod::parse(method.code()) == Some(*method)));
        }
    }
}
