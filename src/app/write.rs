//! One write: what is asked, whom it is aimed at, and doing it in the open transaction.
//!
//! Create, update, patch and delete, aimed by id or by search, alone or as an entry of a Bundle, all are a [`Write`]: it
//! is judged outside of the lock as far as its own document allows, and aimed and done under it. So two equal conditional
//! writes at once see each other (FHIR R4 RESTful API, conditional create, update, patch and delete). Not here: reading
//! addresses and headers (see `create`, `update`, `patch`, `delete`), several writes together (see `transaction`).

use std::sync::Arc;

use crate::assurance::verdict::Missing;
use crate::audit::subject::FOUND;
use crate::audit::{Action, AuditRecord};
use crate::auth::scope::Interaction as Scope;
use crate::config::Config;
use crate::fhir::compartment::reference_of;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::search_parameter::TokenValue;
use crate::matching::index::Ask;
use crate::store::constraint::{Persons, SearchConstraint, list_members};
use crate::store::resource::{self, Resource};

use super::clock::Clock;
use super::conditional::{Criteria, find_match};
use super::context::{Caller, Context};
use super::delete::delete;
use super::error::{AppError, ErrorKind};
use super::incoming::{Door, Incoming, ResourceKind, admit, check_id};
use super::keep::{Arrival, Expected, Keeper, Kept, check_expected, keep_single, kept};
use super::patch::Patched;
use super::read::{is_seen, no_such};
use super::responder::check_not_responder;
use super::rules::Rules;
use super::unit::Unit;
use super::update::check_same_id;
use super::writer::{Done, Scope as Reach};
use super::{App, close, document_limits, panicked};

/// One change that is asked for.
#[derive(Debug, Clone)]
pub struct Write {
    pub kind: ResourceKind,
    pub target: Target,
    pub content: Content,
    /// What `If-Match` or `If-None-Match` says.
    pub expected: Expected,
}

/// A write whose address and conditions are read, and whose body is not.
#[derive(Debug, Clone)]
pub struct Order {
    pub kind: ResourceKind,
    pub target: Target,
    pub verb: Verb,
    pub expected: Expected,
}

/// What the body of an [`Order`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// A resource to be stored.
    Store,
    /// A JSON Patch.
    Patch,
    /// There is none.
    Delete,
}

/// Whom a write is aimed at.
#[derive(Debug, Clone)]
pub enum Target {
    /// A new one under this id.
    New(String),
    /// A new one under this id, unless there is one that fits: conditional create.
    NewUnless(String, Criteria),
    /// The one of this id.
    Id(String),
    /// The one that fits; for an update, a new one under this id when none does.
    Fitting(Criteria, String),
}

/// What is to become of the target.
#[derive(Debug, Clone)]
pub enum Content {
    Resource(Box<Incoming>),
    /// A JSON Patch (RFC 6902), as received.
    Patch(Vec<u8>),
    /// A delete.
    Nothing,
}

/// A target, when the stored resources have been asked.
#[derive(Debug, Clone)]
pub enum Aim {
    /// The resource of this id, of which this is expected.
    At(String, Expected),
    /// A conditional create found it: nothing is to be done.
    There(Resource),
    /// A conditional delete found nothing: nothing is to be done.
    Nowhere,
}

/// Whether a resource is there for who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Seen,
    NotSeen,
}

impl Write {
    /// Whether `id` is one that this server has made for it.
    fn is_new(&self, id: &str) -> bool {
        match &self.target {
            Target::New(new) | Target::NewUnless(new, _) | Target::Fitting(_, new) => new == id,
            Target::Id(_) => false,
        }
    }
}

/// What came of a write.
#[derive(Debug, Clone)]
pub enum Written {
    Kept(Kept),
    /// The id, when there was one to delete.
    Deleted(Option<String>),
}

impl Written {
    /// The id of the resource that was written or found.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Kept(kept) => Some(&kept.id),
            Self::Deleted(id) => id.as_deref(),
        }
    }

    /// What a write that deletes nothing has kept.
    ///
    /// # Errors
    /// `Internal` when it has kept nothing.
    pub fn into_kept(self) -> Result<Kept, AppError> {
        match self {
            Self::Kept(kept) => Ok(kept),
            Self::Deleted(_) => Err(AppError::internal()),
        }
    }
}

/// What the writing thread needs beside the transaction.
#[derive(Clone)]
pub struct Desk {
    pub rules: Arc<Rules>,
    pub config: Arc<Config>,
    pub clock: Clock,
    pub ask: Ask,
    /// Who writes, and may not learn by it what he may not read.
    pub caller: Caller,
}

impl Desk {
    /// See `App::door`.
    pub fn door(&self) -> Door<'_> {
        Door {
            rules: &self.rules,
            limits: document_limits(&self.config),
            sources: &self.config.sources,
            source: None,
            base_url: &self.config.server.base_url,
        }
    }

    pub fn keeper(&self) -> Keeper<'_> {
        Keeper { rules: &self.rules, clock: self.clock, ask: &self.ask, base_url: &self.config.server.base_url }
    }

    /// Aims and does one write; `settle` sees what a patch makes.
    ///
    /// # Errors
    /// `PreconditionFailed` when it cannot be aimed at one resource or something else is expected there.
    pub fn perform(
        &self,
        unit: &mut Unit<'_>,
        write: Write,
        settle: impl FnOnce(&mut Unit<'_>, Patched) -> Result<String, AppError>,
    ) -> Result<Written, AppError> {
        let constraint = self.write_constraint(&write);
        let (id, expected) = match self.aim(unit, &write)? {
            Aim::At(id, expected) => (id, expected),
            Aim::There(found) => return Ok(Written::Kept(kept(write.kind, &found, false))),
            Aim::Nowhere => return Ok(Written::Deleted(None)),
        };
        match write.content {
            Content::Nothing => {
                let found = delete(self.keeper(), unit, write.kind, &id, expected)?;
                Ok(Written::Deleted(Some(id).filter(|_| found)))
            }
            Content::Resource(incoming) => {
                self.check_content(unit, &constraint, &incoming)?;
                let arrival = Arrival { id, incoming: *incoming, expected };
                keep_single(self.keeper(), unit, arrival).map(Written::Kept)
            }
            Content::Patch(patch) => {
                let arrival = self.patched(unit, write.kind, id, expected, &patch, settle)?;
                self.check_content(unit, &constraint, &arrival.incoming)?;
                keep_single(self.keeper(), unit, arrival).map(Written::Kept)
            }
        }
    }

    /// Asks the stored resources whom `write` is aimed at.
    ///
    /// # Errors
    /// `PreconditionFailed` when several fit; `NotFound` when there is none to patch; `Conflict` for the responder.
    pub fn aim(&self, unit: &mut Unit<'_>, write: &Write) -> Result<Aim, AppError> {
        let constraint = self.write_constraint(write);
        if constraint.persons != Persons::Everybody && write.kind == ResourceKind::Patient {
            // Who is who would change with it.
            return Err(AppError::not_authorized(&[Missing::Patient]));
        }
        let aim = self.aim_at(unit, write, &constraint)?;
        match &aim {
            Aim::At(id, expected) if !write.is_new(id) => match Self::is_there(unit, write.kind, id, &constraint)? {
                There::Seen => Ok(aim),
                // What is not there for the caller, and what is not there at all, look alike: so neither is created.
                There::NotSeen => match &write.content {
                    Content::Nothing => check_expected(None, *expected).map(|()| Aim::Nowhere),
                    Content::Resource(_) | Content::Patch(_) => Err(no_such()),
                },
            },
            _ => Ok(aim),
        }
    }

    /// What is there for the caller of this write.
    pub fn write_constraint(&self, write: &Write) -> SearchConstraint {
        let scopes: &[Scope] = match (&write.content, &write.target) {
            (Content::Resource(_), Target::New(_) | Target::NewUnless(..)) => &[Scope::Create],
            (Content::Resource(_), _) => &[Scope::Create, Scope::Update],
            (Content::Patch(_), _) => &[Scope::Update],
            (Content::Nothing, _) => &[Scope::Delete],
        };
        self.caller.write_constraint(write.kind.name(), scopes)
    }

    fn is_there(
        unit: &mut Unit<'_>,
        kind: ResourceKind,
        id: &str,
        constraint: &SearchConstraint,
    ) -> Result<There, AppError> {
        if constraint.is_none() {
            return Ok(There::Seen);
        }
        let is_live = resource::find(unit.conn, kind.name(), id)?.is_some_and(|found| !found.deleted);
        let is_seen = is_live && is_seen(unit.conn, constraint, kind, id)?;
        Ok(if is_seen { There::Seen } else { There::NotSeen })
    }

    /// Whether what is to be kept is about nobody but those whom the caller may write about.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn check_content(
        &self,
        unit: &mut Unit<'_>,
        constraint: &SearchConstraint,
        incoming: &Incoming,
    ) -> Result<(), AppError> {
        let members = match &constraint.persons {
            Persons::Everybody => return Ok(()),
            Persons::OfIdentityOf(patient) => list_members(unit.conn, patient)?,
            Persons::Nobody => Vec::new(),
        };
        let parameter = reference_of(incoming.kind.name());
        let mut about = incoming.search.tokens.iter().filter(|token| Some(token.parameter) == parameter).peekable();
        let is_own = |token: &TokenValue| token.system == "Patient" && members.contains(&token.value);
        if about.peek().is_some() && about.all(is_own) {
            return Ok(());
        }
        Err(AppError::not_authorized(&[Missing::Patient]))
    }

    fn aim_at(&self, unit: &mut Unit<'_>, write: &Write, constraint: &SearchConstraint) -> Result<Aim, AppError> {
        Ok(match &write.target {
            Target::New(id) | Target::Id(id) => Aim::At(id.clone(), write.expected),
            Target::NewUnless(id, criteria) => match find_match(unit.conn, write.kind, criteria)? {
                Some(found) => Aim::There(found),
                None => Aim::At(id.clone(), Expected::Nothing),
            },
            Target::Fitting(criteria, new_id) => {
                let found = find_match(unit.conn, write.kind, criteria)?.map(|found| found.id);
                let is_found = found.is_some();
                let aim = aim_at_fitting(write, found, new_id)?;
                if let Aim::At(id, _) = &aim {
                    check_not_responder(&self.config, write.kind, id)?;
                    // Who is not told of everything creates under no id of their own (see `aim`).
                    if !is_found && constraint.is_none() {
                        check_free(unit, write.kind, id)?;
                    }
                }
                aim
            }
        })
    }
}

/// An update as create must not write over a resource that does not fit its criteria.
fn check_free(unit: &mut Unit<'_>, kind: ResourceKind, id: &str) -> Result<(), AppError> {
    match resource::find(unit.conn, kind.name(), id)? {
        Some(there) if !there.deleted => {
            let text = "The body carries the id of a resource that does not fit the criteria.";
            let issue = Issue::error(IssueCode::Conflict, text).at(format!("{}.id", kind.name()));
            Err(AppError::new(ErrorKind::Conflict, vec![issue]))
        }
        _ => Ok(()),
    }
}

/// FHIR R4 RESTful API, conditional update, patch and delete: what one match, or none, means.
fn aim_at_fitting(write: &Write, found: Option<String>, new_id: &str) -> Result<Aim, AppError> {
    let own_id = match &write.content {
        Content::Resource(incoming) => incoming.id.as_deref(),
        Content::Patch(_) | Content::Nothing => None,
    };
    match (&write.content, found, own_id) {
        (Content::Resource(incoming), Some(found), Some(own)) if found != own => {
            let text = "The body carries another id than the resource that fits.";
            let issue = Issue::error(IssueCode::Invalid, text).at(format!("{}.id", incoming.kind.name()));
            Err(AppError::invalid(vec![issue]))
        }
        (_, Some(found), _) => Ok(Aim::At(found, write.expected)),
        // An id in the body makes it an update as create.
        (Content::Resource(_), None, own) => {
            check_expected(None, write.expected)?;
            Ok(Aim::At(own.unwrap_or(new_id).to_owned(), Expected::Nothing))
        }
        (Content::Patch(_), None, _) => Err(AppError::not_found("No resource fits the criteria.")),
        (Content::Nothing, None, _) => check_expected(None, write.expected).map(|()| Aim::Nowhere),
    }
}

impl Desk {
    /// Judges the body of an order.
    ///
    /// # Errors
    /// `Invalid` or `TooLarge` for what is no resource of its type, or has another id than its address.
    pub fn judge(&self, order: Order, body: &[u8]) -> Result<Write, AppError> {
        let Order { kind, target, verb, expected } = order;
        let content = match verb {
            Verb::Store => Content::Resource(Box::new(admit(&self.door(), Some(kind), body)?)),
            Verb::Patch => Content::Patch(body.to_vec()),
            Verb::Delete => Content::Nothing,
        };
        if let (Target::Id(id), Content::Resource(incoming)) = (&target, &content) {
            check_same_id(incoming, id)?;
        }
        Ok(Write { kind, target, content, expected })
    }
}

impl App {
    pub(super) fn desk(&self, ctx: &Context) -> Desk {
        Desk {
            rules: Arc::clone(&self.rules),
            config: Arc::clone(&self.config),
            clock: self.clock,
            ask: self.ask(),
            caller: ctx.caller.clone(),
        }
    }

    /// Judges and does one write with its audit row, or audits why it was not admitted.
    pub(super) fn write(
        &self,
        ctx: &Context,
        action: Action,
        resource_type: &str,
        order: Result<Order, AppError>,
        body: &[u8],
    ) -> Result<Written, AppError> {
        let audit = write_audit(ctx, action, resource_type);
        let desk = self.desk(ctx);
        let write = match order.and_then(|order| desk.judge(order, body)) {
            Ok(write) => write,
            Err(error) => return Err(self.refuse_with(audit, error)),
        };
        let written = self.writer.submit(Reach::Identities, panicked(&audit), move |unit| {
            desk.perform_audited(unit, write, audit, |_, patched| Ok(patched.document))
        })?;
        let Written::Kept(kept) = written else { return Ok(written) };
        let body = kept.body.map(|body| ctx.caller.outgoing_written(kept.kind.name(), body)).transpose()?.flatten();
        Ok(Written::Kept(Kept { body, ..kept }))
    }
}

impl Desk {
    /// As [`Self::perform`], with the audit row.
    pub fn perform_audited(
        &self,
        unit: &mut Unit<'_>,
        write: Write,
        mut audit: AuditRecord,
        settle: impl FnOnce(&mut Unit<'_>, Patched) -> Result<String, AppError>,
    ) -> Done<Written> {
        let named = match &write.target {
            Target::Id(id) if check_id(id).is_ok() => Some(id.clone()),
            _ => None,
        };
        let result = self.perform(unit, write, settle);
        let written = result.as_ref().ok().and_then(Written::id).map(str::to_owned);
        audit.detail.records.extend(if result.is_ok() { written } else { named });
        close(&mut audit, result.as_ref().err(), (self.clock.now_us)());
        let is_found = matches!(&result, Ok(Written::Kept(kept)) if !kept.is_created);
        if is_found && audit.action == Action::Create {
            audit.detail.reasons.push(FOUND.to_owned());
        }
        Done { result, audit }
    }
}

/// The audit row of a write before it is done.
pub(super) fn write_audit(ctx: &Context, action: Action, resource_type: &str) -> AuditRecord {
    let mut audit = ctx.audit(action);
    audit.resource_type = ResourceKind::of(resource_type).map(|kind| kind.name().to_owned());
    audit
}
