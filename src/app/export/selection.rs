//! Which versions of the job's moment a part or a plan is about, a piece at a time.
//!
//! Not here: where parts begin and end (see `plan`).

use crate::app::STORED_LIMITS;
use crate::app::error::AppError;
use crate::fhir::compartment::is_of_a_patient;
use crate::fhir::json::parse;
use crate::store::as_of::{Standing, Stretch, list_bodies, look};
use crate::store::body::{self, Named};
use crate::store::constraint::SearchConstraint;
use crate::store::{Connection, StoreError, transaction};

use super::Content;
use super::request::Level;

/// Rows that one look without bodies goes over.
const LOOK_ROWS: u32 = 4_000;
/// Rows and bytes of bodies of one piece; it ends with the resource that passes the bytes.
const PIECE_ROWS: u32 = 256;
const PIECE_BYTES: i64 = 1 << 20;

/// What is selected of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    pub level: Level,
    pub content: Content,
    pub resource_type: String,
    pub at_us: i64,
    pub since_us: Option<i64>,
    pub constraint: SearchConstraint,
}

/// A resource that is selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub number: i64,
    pub id: String,
    /// Empty for a deletion, and where no body was asked for.
    pub body: String,
}

/// What a look has found, and the number up to which that is all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub items: Vec<Item>,
    pub reached: i64,
}

impl Selection {
    /// The next resources without their bodies, where none is needed to tell.
    ///
    /// # Errors
    /// What the store gives.
    pub fn count(&self, conn: &mut Connection, after: i64, last: i64) -> Result<Taken, AppError> {
        if self.is_by_content() {
            return self.read(conn, after, last);
        }
        let found = transaction::read_snapshot(conn, |conn| look(conn, &self.stretch(after, last), LOOK_ROWS))?;
        let wanted = found.standing.into_iter().filter(|standing| self.wants(standing));
        let items = wanted.map(|standing| Item { number: standing.number, id: standing.id, body: String::new() });
        Ok(Taken { items: items.collect(), reached: found.reached })
    }

    /// The next resources with their bodies, read from one snapshot.
    ///
    /// # Errors
    /// What the store gives.
    pub fn read(&self, conn: &mut Connection, after: i64, last: i64) -> Result<Taken, AppError> {
        let mut taken = transaction::read_snapshot(conn, |conn| self.read_piece(conn, after, last))?;
        if self.is_by_content() && self.content != Content::Deletions {
            taken.items.retain(|item| is_of_some_patient(&item.body));
        }
        Ok(taken)
    }

    fn read_piece(&self, conn: &mut Connection, after: i64, last: i64) -> Result<Taken, StoreError> {
        let found = look(conn, &self.stretch(after, last), PIECE_ROWS)?;
        let mut reached = found.reached;
        let mut bytes = 0;
        let mut wanted = Vec::new();
        for standing in found.standing.iter().filter(|standing| self.wants(standing)) {
            wanted.push(standing);
            bytes += standing.bytes;
            if bytes >= PIECE_BYTES {
                reached = standing.number;
                break;
            }
        }
        let bodies = match self.content {
            Content::Deletions => {
                self.retain_of_patients(conn, &mut wanted)?;
                vec![String::new(); wanted.len()]
            }
            Content::Resources | Content::Remarks => list_bodies(conn, &self.resource_type, &wanted)?,
        };
        let item =
            |(standing, body): (&Standing, String)| Item { number: standing.number, id: standing.id.clone(), body };
        Ok(Taken { items: wanted.into_iter().zip(bodies).map(item).collect(), reached })
    }

    /// Of what was deleted, the body before tells whether it was of a Patient; they are read one by one, for their lengths
    /// are not known.
    fn retain_of_patients(&self, conn: &mut Connection, deleted: &mut Vec<&Standing>) -> Result<(), StoreError> {
        if !self.is_by_content() {
            return Ok(());
        }
        let mut of_patients = Vec::with_capacity(deleted.len());
        for standing in deleted.drain(..) {
            let Standing { id, version, .. } = standing;
            let before = Named { resource_type: &self.resource_type, id, version: version - 1 };
            if body::list(conn, &[before])?.iter().any(|body| is_of_some_patient(body)) {
                of_patients.push(standing);
            }
        }
        *deleted = of_patients;
        Ok(())
    }

    fn stretch(&self, after_number: i64, last_number: i64) -> Stretch {
        Stretch {
            resource_type: self.resource_type.clone(),
            after_number,
            last_number,
            at_us: self.at_us,
            constraint: self.constraint.clone(),
        }
    }

    fn wants(&self, standing: &Standing) -> bool {
        standing.deleted == (self.content == Content::Deletions)
            && self.since_us.is_none_or(|since_us| standing.updated_us > since_us)
    }

    /// Whether only its content tells if a resource belongs to the export.
    fn is_by_content(&self) -> bool {
        self.level == Level::Patient && self.resource_type != "Patient"
    }
}

fn is_of_some_patient(body: &str) -> bool {
    parse(body.as_bytes(), &STORED_LIMITS).is_ok_and(|resource| is_of_a_patient(&resource))
}
