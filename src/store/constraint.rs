//! What policy adds to whatever looks among resources: what the caller may not be told of is not there.
//!
//! Two bounds, each by itself: labels (a version that is restricted has a row in `restricted_version`), and persons (a
//! caller who speaks for one patient has what is of that patient's identity, as its records are now, and what is in their
//! compartment). Both are part of the statements, so that totals, sizes of pages and counts tell nothing either. Not here:
//! which bounds a caller has (see `app::context`), and what a document says of itself (see `fhir::label`).

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::connection::Connection;
use super::error::StoreError;
use super::schema::{record, restricted_version};
use super::search::{SearchCondition, Sql, Token};
use crate::fhir::compartment::reference_of;

/// What is there for a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchConstraint {
    pub labels: Labels,
    pub persons: Persons,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    All,
    /// Nothing that is restricted now; and no version that was when it was current.
    Unrestricted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Persons {
    Everybody,
    /// Those of the identity that this Patient is of now.
    OfIdentityOf(String),
    Nobody,
}

/// Records of one identity that are looked among at most; SQLite joins no more statements than 500.
const MEMBERS_MAX: i64 = 400;

impl SearchConstraint {
    /// Nothing is withheld.
    pub const NONE: Self = Self { labels: Labels::All, persons: Persons::Everybody };

    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

impl Labels {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Unrestricted => "unrestricted",
        }
    }

    /// What is not known is the narrower one.
    #[must_use]
    pub fn of(code: &str) -> Self {
        if code == Self::All.code() { Self::All } else { Self::Unrestricted }
    }
}

impl Persons {
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Everybody => "everybody",
            Self::OfIdentityOf(_) => "identity",
            Self::Nobody => "nobody",
        }
    }
}

/// The records of the identity that a Patient is of now, ordered by id; none where it is no record.
///
/// # Errors
/// Those of the database.
pub fn list_members(connection: &mut Connection, patient_id: &str) -> Result<Vec<String>, StoreError> {
    let identity: Option<String> =
        record::table.find(patient_id).select(record::identity_id).first(connection).optional()?;
    let Some(identity) = identity else { return Ok(Vec::new()) };
    Ok(record::table
        .filter(record::identity_id.eq(identity))
        .order(record::id)
        .limit(MEMBERS_MAX)
        .select(record::id)
        .load(connection)?)
}

/// Of these current resources and tombstones those that are there for the caller.
///
/// # Errors
/// Those of the database.
pub fn retain_seen(
    connection: &mut Connection,
    constraint: &SearchConstraint,
    resource_type: &str,
    ids: Vec<String>,
) -> Result<Vec<String>, StoreError> {
    if constraint.is_none() || ids.is_empty() {
        return Ok(ids);
    }
    let mut sql = Sql::default();
    sql.push("SELECT n.id AS id FROM resource AS n WHERE n.resource_type = ").text(resource_type);
    sql.push(" AND n.id IN (")
        .each(&ids, ", ", |sql, id| {
            sql.text(id);
        })
        .push(")");
    sql.seen(constraint, resource_type, "n.number");
    let seen: HashSet<String> = sql.into_query().load::<Id>(connection)?.into_iter().map(|row| row.id).collect();
    Ok(ids.into_iter().filter(|id| seen.contains(id)).collect())
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = Text)]
    id: String,
}

/// Ids and versions of the type that are restricted, of these resources.
pub(super) fn list_restricted(
    connection: &mut Connection,
    resource_type: &str,
    ids: &[&str],
) -> Result<HashSet<(String, i64)>, StoreError> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let mut sql = Sql::default();
    sql.push("SELECT l.id AS id, l.version AS version FROM restricted_version AS l WHERE l.resource_type = ");
    sql.text(resource_type).push(" AND l.id IN (");
    sql.each(ids, ", ", |sql, id| {
        sql.text(id);
    });
    sql.push(")");
    let rows: Vec<Version> = sql.into_query().load(connection)?;
    Ok(rows.into_iter().map(|row| (row.id, row.version)).collect())
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = BigInt)]
    version: i64,
}

/// Notes that versions are restricted, in the transaction that writes them.
pub(super) fn insert_restricted<'a>(
    connection: &mut Connection,
    versions: impl IntoIterator<Item = (&'a str, &'a str, i64)>,
) -> Result<(), StoreError> {
    for (resource_type, id, version) in versions {
        diesel::insert_into(restricted_version::table)
            .values((
                restricted_version::resource_type.eq(resource_type),
                restricted_version::id.eq(id),
                restricted_version::version.eq(version),
            ))
            .execute(connection)?;
    }
    Ok(())
}

impl SearchConstraint {
    /// What a search begins with besides what was asked: where it is one person's, few are looked at.
    pub(super) fn conditions(
        &self,
        connection: &mut Connection,
        resource_type: &str,
    ) -> Result<Vec<SearchCondition>, StoreError> {
        let labels = (self.labels == Labels::Unrestricted).then_some(SearchCondition::Unrestricted);
        let persons = match &self.persons {
            Persons::Everybody => None,
            Persons::Nobody => Some(SearchCondition::Id(Vec::new())),
            Persons::OfIdentityOf(patient_id) => {
                let members = list_members(connection, patient_id)?;
                Some(match reference_of(resource_type) {
                    _ if resource_type == "Patient" => SearchCondition::Id(members),
                    None => SearchCondition::Id(Vec::new()),
                    Some(parameter) => SearchCondition::Tokens {
                        parameters: vec![parameter],
                        values: members.into_iter().map(patient).collect(),
                    },
                })
            }
        };
        Ok(labels.into_iter().chain(persons).collect())
    }
}

/// A reference to a Patient, as it is indexed.
fn patient(id: String) -> Token {
    Token::SystemValue { system: "Patient".to_owned(), value: id }
}

impl Sql {
    /// ` AND …`: that the resource of this number, which may be a tombstone, is there for the caller.
    pub(super) fn seen(&mut self, constraint: &SearchConstraint, resource_type: &str, number: &str) -> &mut Self {
        if constraint.labels == Labels::Unrestricted {
            self.push(" AND NOT EXISTS (").restricted_now(number).push(")");
        }
        match &constraint.persons {
            Persons::Everybody => self,
            Persons::Nobody => self.push(" AND FALSE"),
            Persons::OfIdentityOf(patient_id) => self.of_identity(patient_id, resource_type, number),
        }
    }

    /// A row where the resource of this number is restricted as it is now; what was deleted, as it was before.
    pub(super) fn restricted_now(&mut self, number: &str) -> &mut Self {
        self.push(
            "SELECT 1 FROM resource AS now JOIN restricted_version AS l ON l.resource_type = now.resource_type \
             AND l.id = now.id AND l.version = now.version - (CASE WHEN now.deleted THEN 1 ELSE 0 END) \
             WHERE now.number = ",
        )
        .push(number)
    }

    fn of_identity(&mut self, patient_id: &str, resource_type: &str, number: &str) -> &mut Self {
        if resource_type == "Patient" {
            self.push(" AND EXISTS (SELECT 1 FROM resource AS own WHERE own.number = ").push(number);
            return self.push(" AND own.id IN (").members(patient_id).push("))");
        }
        let Some(parameter) = reference_of(resource_type) else { return self.push(" AND FALSE") };
        self.push(" AND EXISTS (SELECT 1 FROM search_token AS own WHERE own.number = ").push(number);
        self.push(" AND own.parameter = ").push(&parameter.to_string());
        self.push(" AND own.system = 'Patient' AND own.value IN (").members(patient_id).push("))")
    }

    fn members(&mut self, patient_id: &str) -> &mut Self {
        self.push(
            "SELECT m.id FROM record AS m WHERE m.identity_id = (SELECT o.identity_id FROM record AS o WHERE o.id = ",
        );
        self.text(patient_id).push(")")
    }
}
