//! A database of its own for each test, and a look into it past the program: with SQL, as an operator would.

use std::path::PathBuf;

use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection, PgConnection, QueryResult, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};

use crate::postgres::TestDatabase;

pub enum Database {
    Sqlite(tempfile::TempDir),
    Postgres(TestDatabase),
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

#[derive(QueryableByName)]
struct Words {
    #[diesel(sql_type = Text)]
    value: String,
}

impl Database {
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub fn postgres() -> Self {
        Self::Postgres(TestDatabase::create())
    }

    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", path(folder).display()),
            Self::Postgres(database) => database.url(),
        }
    }

    /// A database that `migration` was the newest of: the dump of that release.
    pub fn write_released(&self, migration: &str) {
        let kind = match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        };
        let path = format!("{}/tests/fixtures/schema/{migration}/{kind}.sql", env!("CARGO_MANIFEST_DIR"));
        self.execute(&std::fs::read_to_string(path).unwrap());
    }

    /// Runs statements.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        match self {
            Self::Sqlite(folder) => {
                let mut connection = SqliteConnection::establish(path(folder).to_str().unwrap()).unwrap();
                connection.batch_execute("PRAGMA busy_timeout = 10000").unwrap();
                connection.batch_execute(sql).unwrap();
            }
            Self::Postgres(database) => {
                PgConnection::establish(&database.url()).unwrap().batch_execute(sql).unwrap();
            }
        }
    }

    /// The number that `sql` selects; none while the tables are not there yet.
    pub fn find_number(&self, sql: &str) -> Option<i64> {
        let sql = format!("SELECT CAST(({sql}) AS BIGINT) AS value");
        self.load(|connection| match connection {
            Either::Sqlite(connection) => sql_query(&sql).get_result::<Number>(connection),
            Either::Postgres(connection) => sql_query(&sql).get_result::<Number>(connection),
        })
        .map(|number| number.value)
    }

    #[track_caller]
    pub fn number(&self, sql: &str) -> i64 {
        self.find_number(sql).unwrap_or_else(|| panic!("no number: {sql}"))
    }

    /// The texts that `sql` selects as `value`.
    #[track_caller]
    pub fn texts(&self, sql: &str) -> Vec<String> {
        let words = self.load(|connection| match connection {
            Either::Sqlite(connection) => sql_query(sql).load::<Words>(connection),
            Either::Postgres(connection) => sql_query(sql).load::<Words>(connection),
        });
        words.unwrap_or_else(|| panic!("no texts: {sql}")).into_iter().map(|words| words.value).collect()
    }

    fn load<T>(&self, query: impl FnOnce(Either<'_>) -> QueryResult<T>) -> Option<T> {
        match self {
            Self::Sqlite(folder) => {
                let mut connection = SqliteConnection::establish(path(folder).to_str()?).ok()?;
                connection.batch_execute("PRAGMA busy_timeout = 10000").ok()?;
                query(Either::Sqlite(&mut connection)).ok()
            }
            Self::Postgres(database) => {
                let mut connection = PgConnection::establish(&database.url()).ok()?;
                query(Either::Postgres(&mut connection)).ok()
            }
        }
    }
}

enum Either<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

fn path(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("people.sqlite")
}
