//! A password for an account: typed twice and not shown, or one line of standard input.
//!
//! Not here: what it must be like (see `auth::password`).

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use console::Term;
use zeroize::Zeroizing;

use crate::auth::secret::Secret;

use super::super::CommandError;

/// Longer than any password.
const LINE_BYTES_MAX: u64 = 4096;

pub fn read() -> Result<Secret, CommandError> {
    if std::io::stdin().is_terminal() { ask() } else { line() }
}

fn ask() -> Result<Secret, CommandError> {
    let typed = |question: &str| {
        eprint!("{question}: ");
        Term::stderr().read_secure_line().map(Zeroizing::new)
    };
    let (first, again) = (typed("Password")?, typed("Password again")?);
    if *first != *again {
        return Err(CommandError::Usage("the two passwords differ".to_owned()));
    }
    Ok(Secret::new(first.to_string()))
}

fn line() -> Result<Secret, CommandError> {
    let mut bytes = Zeroizing::new(Vec::new());
    std::io::stdin().lock().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| CommandError::Usage("the password is not UTF-8".to_owned()))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(Secret::new(text.strip_suffix('\r').unwrap_or(text).to_owned()))
}
