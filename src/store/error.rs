//! What can go wrong in the store, and what a caller may do about it.
//!
//! | error | meaning | HTTP |
//! |---|---|---|
//! | [`StoreError::Unavailable`] | connection lost, timeout, pool exhausted, busy: the same call may succeed later | 503 |
//! | [`StoreError::Conflict`] | what was to be written exists already, or changed meanwhile | 409 / 412 |
//! | [`StoreError::Full`] | no space left for the database | 507 |
//! | [`StoreError::NewerSchema`] | the database was migrated by a newer version of this program | start refused |
//! | [`StoreError::BadUrl`] | the database URL is not understood | start refused |
//! | [`StoreError::Corrupt`] | the database holds what this program cannot have written | 500 |
//! | [`StoreError::Other`] | anything else | 500 |
//!
//! Texts name tables, constraints and causes, and never a value: a value may be personal data.
//! After any error inside a transaction the caller rolls back to its savepoint or ends the transaction: PostgreSQL
//! refuses further statements, SQLite may have done part of a batch.

use diesel::result::{ConnectionError, DatabaseErrorInformation, DatabaseErrorKind, Error};

/// Why the database did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("the connection was lost")]
    Lost,
    #[error("a statement took too long")]
    Timeout,
    #[error("another writer holds the lock")]
    Busy,
    #[error("no free connection: {0}")]
    Pool(String),
    #[error("the transaction was cancelled in favour of another")]
    Serialization,
    #[error("the block keys are those of another version of this program")]
    BlockKeys,
}

/// The store's one error; the table is in the module documentation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the database is not available: {0}")]
    Unavailable(Unavailable),
    #[error("conflict with what is stored ({0})")]
    Conflict(String),
    #[error(
        "the database schema is newer than this program (migration {0}): use the version of idi-match that migrated it, \
         or a later one; this one has changed nothing"
    )]
    NewerSchema(String),
    #[error(
        "the database schema is older than this program (migration {0} is missing): use the version of idi-match that \
         serves it, or let `serve` of this version migrate it first"
    )]
    OlderSchema(String),
    #[error("there is no database of idi-match")]
    NoDatabase,
    #[error("the database has no space left")]
    Full,
    #[error("the database is corrupt: {0}")]
    Corrupt(String),
    #[error("the database URL is not understood: {0}")]
    BadUrl(&'static str),
    #[error("database error: {0}")]
    Other(String),
}

impl StoreError {
    /// Whether the same call may succeed when it is repeated.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// The error for a row that was expected in one version and is not there in that version.
    pub(super) fn version_changed() -> Self {
        Self::Conflict("version".to_owned())
    }

    /// The error that a message of the database stands for.
    pub(super) fn of_message(message: &str) -> Self {
        if let Some((_, error)) = MESSAGES.iter().find(|(text, _)| message.contains(text)) {
            return error.clone();
        }
        if let Some(text) = DAMAGE.iter().find(|text| message.contains(*text)) {
            return Self::Corrupt((*text).to_owned());
        }
        if NAMES_ONLY.iter().any(|start| message.starts_with(start)) {
            return Self::Other(first_line(message));
        }
        Self::Other("unexpected error of the database".to_owned())
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::DatabaseError(kind, information) => classify(kind, information.as_ref()),
            Error::BrokenTransactionManager | Error::RollbackErrorOnCommit { .. } => {
                Self::Unavailable(Unavailable::Lost)
            }
            Error::DeserializationError(_) => Self::Corrupt("a column holds an unexpected type".to_owned()),
            Error::SerializationError(_) => Self::Other("a value cannot be written".to_owned()),
            Error::InvalidCString(_) => Self::Other("a text holds a zero byte".to_owned()),
            Error::NotFound => Self::Other("a row that must exist is missing".to_owned()),
            Error::AlreadyInTransaction => Self::Other("a transaction is open already".to_owned()),
            Error::NotInTransaction => Self::Other("no transaction is open".to_owned()),
            _ => Self::Other("the query cannot be built".to_owned()),
        }
    }
}

impl From<ConnectionError> for StoreError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::BadConnection(message) => Self::Unavailable(Unavailable::Connect(connect_cause(&message))),
            ConnectionError::CouldntSetupConfiguration(error) => error.into(),
            ConnectionError::InvalidConnectionUrl(_) => Self::BadUrl("the driver refuses it"),
            _ => Self::Unavailable(Unavailable::Connect("the driver refuses it".to_owned())),
        }
    }
}

fn classify(kind: DatabaseErrorKind, information: &dyn DatabaseErrorInformation) -> StoreError {
    match kind {
        DatabaseErrorKind::UniqueViolation => StoreError::Conflict(place(information)),
        DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
            StoreError::Unavailable(Unavailable::Lost)
        }
        DatabaseErrorKind::SerializationFailure => StoreError::Unavailable(Unavailable::Serialization),
        DatabaseErrorKind::ForeignKeyViolation => {
            StoreError::Other(format!("foreign key violated ({})", place(information)))
        }
        DatabaseErrorKind::NotNullViolation | DatabaseErrorKind::CheckViolation => {
            StoreError::Other(format!("constraint violated ({})", place(information)))
        }
        DatabaseErrorKind::ReadOnlyTransaction => {
            StoreError::Other("a write on a connection that only reads".to_owned())
        }
        _ => StoreError::of_message(information.message()),
    }
}

/// The driver keeps neither SQLite's result code nor PostgreSQL's SQLSTATE of these, only the message. SQLite's
/// messages are constants; PostgreSQL's are those of an English server: of another one they become `Other`.
const MESSAGES: [(&str, StoreError); 20] = [
    ("database is locked", StoreError::Unavailable(Unavailable::Busy)),
    ("database table is locked", StoreError::Unavailable(Unavailable::Busy)),
    ("database schema has changed", StoreError::Unavailable(Unavailable::Busy)),
    ("interrupted", StoreError::Unavailable(Unavailable::Timeout)),
    ("database or disk is full", StoreError::Full),
    ("No space left on device", StoreError::Full),
    ("could not extend file", StoreError::Full),
    ("Disk quota exceeded", StoreError::Full),
    ("canceling statement due to lock timeout", StoreError::Unavailable(Unavailable::Busy)),
    ("canceling statement due to statement timeout", StoreError::Unavailable(Unavailable::Timeout)),
    ("canceling statement due to user request", StoreError::Unavailable(Unavailable::Timeout)),
    ("canceling statement due to conflict with recovery", StoreError::Unavailable(Unavailable::Serialization)),
    ("deadlock detected", StoreError::Unavailable(Unavailable::Serialization)),
    ("terminating connection", StoreError::Unavailable(Unavailable::Lost)),
    ("server closed the connection", StoreError::Unavailable(Unavailable::Lost)),
    ("SSL connection has been closed", StoreError::Unavailable(Unavailable::Lost)),
    ("could not receive data from server", StoreError::Unavailable(Unavailable::Lost)),
    ("the database system is", StoreError::Unavailable(Unavailable::Lost)),
    ("too many clients already", StoreError::Unavailable(Unavailable::Busy)),
    ("remaining connection slots are reserved", StoreError::Unavailable(Unavailable::Busy)),
];

/// Messages about damage; SQLite's constants and the beginnings of PostgreSQL's.
const DAMAGE: [&str; 6] = [
    "database disk image is malformed",
    "file is not a database",
    "disk I/O error",
    "invalid page in block",
    "could not read block",
    "missing chunk number",
];

/// Beginnings of messages that name objects of the schema and never a value, and so may be repeated.
const NAMES_ONLY: [&str; 9] = [
    "permission denied",
    "must be owner",
    "relation ",
    "column ",
    "no such table",
    "no such column",
    "attempt to write a readonly database",
    "unable to open database file",
    "current transaction is aborted",
];

/// Table or constraint of a violation. SQLite says it only in its message: `UNIQUE constraint failed: table.column`.
fn place(information: &dyn DatabaseErrorInformation) -> String {
    let of_sqlite =
        || information.message().strip_prefix("UNIQUE constraint failed: ").and_then(|rest| rest.split('.').next());
    information.table_name().or_else(of_sqlite).unwrap_or("unknown table").to_owned()
}

/// What a connection error may say: host, port and the server's reason, but no part of the URL, which can hold a password.
fn connect_cause(message: &str) -> String {
    const STARTS: [&str; 4] =
        ["connection to server", "could not translate host name", "could not connect", "unable to open database file"];
    if STARTS.iter().any(|start| message.starts_with(start)) {
        first_line(message)
    } else {
        "the connection string or the server is not as expected".to_owned()
    }
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database_error(kind: DatabaseErrorKind, message: &str) -> StoreError {
        Error::DatabaseError(kind, Box::new(message.to_owned())).into()
    }

    #[test]
    fn messages_are_classified() {
        for (message, expected) in [
            ("database is locked", StoreError::Unavailable(Unavailable::Busy)),
            ("database or disk is full", StoreError::Full),
            ("could not extend file \"base/1/2\": No space left on device", StoreError::Full),
            ("canceling statement due to statement timeout", StoreError::Unavailable(Unavailable::Timeout)),
            ("terminating connection due to administrator command", StoreError::Unavailable(Unavailable::Lost)),
            ("database disk image is malformed", StoreError::Corrupt("database disk image is malformed".to_owned())),
            ("permission denied for table audit", StoreError::Other("permission denied for table audit".to_owned())),
        ] {
            assert_eq!(database_error(DatabaseErrorKind::Unknown, message), expected);
        }
    }

    #[test]
    fn only_what_may_succeed_later_is_transient() {
        for (error, transient) in [
            (StoreError::Unavailable(Unavailable::Lost), true),
            (StoreError::Unavailable(Unavailable::Pool(String::new())), true),
            (StoreError::Conflict(String::new()), false),
            (StoreError::Full, false),
            (StoreError::Other(String::new()), false),
        ] {
            assert_eq!(error.is_transient(), transient, "{error}");
        }
    }

    #[test]
    fn no_text_repeats_a_value_or_a_password() {
        let texts = [
            database_error(DatabaseErrorKind::Unknown, "invalid input syntax for type integer: \"SECRET\"").to_string(),
            database_error(DatabaseErrorKind::UniqueViolation, "UNIQUE constraint failed: record.id SECRET")
                .to_string(),
            StoreError::from(ConnectionError::BadConnection("invalid percent-encoded token: \"SECRET\"".to_owned()))
                .to_string(),
        ];
        for text in texts {
            assert!(!text.contains("SECRET"), "{text}");
        }
    }

    #[test]
    fn a_unique_violation_names_the_table() {
        let error = database_error(DatabaseErrorKind::UniqueViolation, "UNIQUE constraint failed: record.id");
        assert_eq!(error, StoreError::Conflict("record".to_owned()));
    }
}
