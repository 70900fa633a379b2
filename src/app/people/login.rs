//! Logins: what a person types to say who they are, in the one form in which they are compared.
//!
//! RFC 8265 section 3.3 (UsernameCaseMapped): one form of Unicode, small letters. What was typed into the field of a login is
//! often something else, such as a password: so it is kept nowhere but in accounts. Not here: passwords.

use unicode_normalization::UnicodeNormalization as _;

pub const CHARS_MAX: usize = 100;

/// A login in its one form.
#[derive(Clone, PartialEq, Eq)]
pub struct Login(String);

impl Login {
    /// Whatever was typed, in the form in which it is looked up; it need not be anybody's.
    #[must_use]
    pub fn typed(text: &str) -> Self {
        // PostgreSQL takes no zero byte, and no login has any such sign.
        let plain = text.trim().replace(char::is_control, "\u{fffd}");
        let lower = plain.nfkc().collect::<String>().to_lowercase();
        Self(lower.nfkc().collect())
    }

    /// A login for a new account.
    ///
    /// # Errors
    /// Why it cannot be one.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let login = Self::typed(text);
        let is_long = !(3..=CHARS_MAX).contains(&login.0.chars().count());
        let is_odd = |letter: char| letter.is_whitespace() || letter == '\u{fffd}' || "<>\"&:".contains(letter);
        if is_long || login.0.chars().any(is_odd) {
            return Err("a login has 3 to 100 letters, digits and signs, without spaces, <, >, \", & and :");
        }
        Ok(login)
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// It may be anything that somebody typed.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_has_one_form() {
        for text in ["Marisol.Vega", " marisol.vega ", "ＭＡＲＩＳＯＬ.vega"] {
            assert_eq!(Login::typed(text).expose(), "marisol.vega", "{text}");
        }
        for text in ["ab", "two words", "a:b:c", "<script>", "a\u{7}bc", &"x".repeat(101)] {
            assert!(Login::new(text).is_err(), "{text}");
        }
        assert_eq!(Login::new("Zoë@post.example").map(|login| login.0), Ok("zoë@post.example".to_owned()));
    }
}
