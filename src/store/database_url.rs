//! The database URL: `sqlite:PATH`, or `postgres://…` as libpq understands it.
//!
//! A PostgreSQL URL can hold a password, so the type hides it from `Debug` and `Display`.
//! Not here: connecting (see `connection`).

use std::fmt;
use std::path::{Path, PathBuf};

use super::StoreError;

/// Which database, and where.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    Sqlite(PathBuf),
    Postgres(PostgresUrl),
}

/// A libpq connection URI.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl DatabaseUrl {
    /// Reads `sqlite:PATH`, `postgres://…` or `postgresql://…`.
    ///
    /// # Errors
    /// [`StoreError::BadUrl`] for another scheme, an empty path, or SQLite's in-memory database (a pool of connections
    /// would see as many databases).
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return parse_path(path.strip_prefix("//").unwrap_or(path)).map(Self::Sqlite);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            if text.contains('\0') {
                return Err(StoreError::BadUrl("it holds a zero byte"));
            }
            return Ok(Self::Postgres(PostgresUrl(text.to_owned())));
        }
        Err(StoreError::BadUrl("it must begin with sqlite: or postgres://"))
    }

    /// The URL of a SQLite file.
    #[must_use]
    pub fn sqlite(path: &Path) -> Self {
        Self::Sqlite(path.to_owned())
    }
}

fn parse_path(path: &str) -> Result<PathBuf, StoreError> {
    match path {
        "" => Err(StoreError::BadUrl("sqlite: needs a path")),
        _ if path.starts_with(":memory:") => Err(StoreError::BadUrl("an in-memory database cannot be shared")),
        _ if path.contains('\0') => Err(StoreError::BadUrl("it holds a zero byte")),
        _ => Ok(PathBuf::from(path)),
    }
}

impl PostgresUrl {
    /// The URI with `defaults` added as query parameters, except those that it sets itself.
    pub(super) fn with_defaults(&self, defaults: &[(&str, String)]) -> String {
        let mut uri = self.0.clone();
        for (name, value) in defaults {
            let query = self.0.split_once('?').map_or("", |(_, query)| query);
            if query.split('&').any(|pair| pair.split('=').next() == Some(name)) {
                continue;
            }
            uri.push(if uri.contains('?') { '&' } else { '?' });
            uri.push_str(name);
            uri.push('=');
            uri.push_str(value);
        }
        uri
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => write!(f, "{url}"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

impl fmt::Display for PostgresUrl {
    /// Scheme, user, host and database; no password and no query, which may hold one too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("postgres", ""));
        let (place, query) = rest.split_once(['?', '#']).unwrap_or((rest, ""));
        if query.contains('@') {
            // The `?` may belong to an unescaped password.
            return write!(f, "{scheme}://…");
        }
        // A password may hold an unescaped `@` or `/`: what follows the last `@` is the host.
        match place.rsplit_once('@') {
            Some((user, host)) => write!(f, "{scheme}://{}@{host}", user.split(':').next().unwrap_or_default()),
            None => write!(f, "{scheme}://{place}"),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_chooses_the_database() {
        for (text, shown) in [
            ("sqlite:people.db", "sqlite:people.db"),
            ("sqlite:/var/lib/people.db", "sqlite:/var/lib/people.db"),
            ("sqlite:///var/lib/people.db", "sqlite:/var/lib/people.db"),
            ("postgres://host/people", "postgres://host/people"),
            ("postgresql://host/people", "postgresql://host/people"),
        ] {
            assert_eq!(DatabaseUrl::parse(text).map(|url| url.to_string()), Ok(shown.to_owned()));
        }
        for text in ["", "sqlite:", "sqlite://", "sqlite::memory:", "mysql://host/people", "people.db"] {
            assert!(matches!(DatabaseUrl::parse(text), Err(StoreError::BadUrl(_))), "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for text in [
            "postgres://user:SECRET@host:5432/people",
            "postgres://user:SEC@RET@host:5432/people",
            "postgres://user:SECRET/x@host:5432/people?sslmode=require",
            "postgres://user@host:5432/people?password=SECRET",
            "postgres://user@host:5432/people?sslpassword=SECRET&sslmode=require",
        ] {
            let url = DatabaseUrl::parse(text).unwrap();
            for shown in [url.to_string(), format!("{url:?}")] {
                assert!(shown.contains("user@host:5432/people") && !shown.contains("SEC"), "{shown}");
            }
        }
        for text in ["postgres://user:SEC?RET@host/people", "postgres://host/people?password=SEC@RET"] {
            let shown = DatabaseUrl::parse(text).unwrap().to_string();
            assert_eq!(shown, "postgres://…", "nothing is certain here");
        }
    }

    #[test]
    fn a_parameter_of_the_url_wins_over_a_default() {
        let defaults = [("connect_timeout", "5".to_owned()), ("keepalives", "1".to_owned())];
        for (text, expected) in [
            ("postgres://host/db", "postgres://host/db?connect_timeout=5&keepalives=1"),
            ("postgres://host/db?connect_timeout=9", "postgres://host/db?connect_timeout=9&keepalives=1"),
            ("postgres://host/db?sslmode=require", "postgres://host/db?sslmode=require&connect_timeout=5&keepalives=1"),
        ] {
            assert_eq!(PostgresUrl(text.to_owned()).with_defaults(&defaults), expected);
        }
    }
}
