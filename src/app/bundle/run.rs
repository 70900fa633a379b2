//! A transaction while it is done, under the identity lock: FHIR R4 RESTful API, transaction processing rules.
//!
//! In their order: deletes; whom the others are aimed at, which may move a conditional create or update to an address other
//! than the one allotted; creates, updates, patches; those of them whose references ask by criteria, so that these find what
//! the others have written; reads. Not here: what is known outside of the lock (see `transaction`).

use std::collections::{HashMap, HashSet};

use crate::app::STORED_LIMITS;
use crate::app::conditional::{Criteria, find_match};
use crate::app::delete::delete;
use crate::app::error::AppError;
use crate::app::incoming::{Incoming, ResourceKind, admit};
use crate::app::keep::{Arrival, Expected, Kept, keep, keep_single, kept};
use crate::app::patch::Patched;
use crate::app::unit::Unit;
use crate::app::write::{Aim, Content, Desk, Target, Write, Written};
use crate::audit::AuditRecord;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::json::parse;
use crate::fhir::references::replace;

use super::answer::{Echo, EntryAnswer, Room};
use super::deadline::Deadline;
use super::links::{Conditional, find_patched, has_criteria};
use super::place::stop;
use super::transaction::{Draft, Linked, Plan, StepWork, address, allotted};

/// The transaction and how far it has come.
pub struct Run<'r> {
    desk: &'r Desk,
    plan: &'r Plan,
    echo: Echo,
    room: Room,
    deadline: Deadline,
    /// By step.
    answers: Vec<Option<EntryAnswer>>,
    /// Resources that are written; no two entries may have the same.
    targets: HashSet<(ResourceKind, String)>,
    /// From addresses that were allotted to those that criteria have found.
    moved: HashMap<String, String>,
    /// Conditional creates that do create.
    creates: Vec<(ResourceKind, &'r Criteria, usize)>,
    /// The criteria of everything that is created or updated by them.
    claimed: Vec<(ResourceKind, &'r Criteria)>,
    /// Conditional creates whose criteria are those of an earlier one: step and earlier step.
    repeated: Vec<(usize, usize)>,
}

/// A write that knows its target.
struct Aimed<'r> {
    step: usize,
    draft: &'r Draft,
    id: String,
    expected: Expected,
}

impl Aimed<'_> {
    fn is_patch(&self) -> bool {
        matches!(self.draft.write.content, Content::Patch(_))
    }

    /// Whether its references ask by criteria, or of a patch may.
    fn asks(&self, desk: &Desk) -> bool {
        if let Content::Patch(patch) = &self.draft.write.content {
            return parse(patch, &desk.door().limits).is_ok_and(|patch| has_criteria(&patch));
        }
        self.draft.linked.as_ref().is_some_and(|linked| !linked.conditional.is_empty())
    }
}

impl<'r> Run<'r> {
    #[must_use]
    pub fn new(desk: &'r Desk, plan: &'r Plan, echo: Echo) -> Self {
        Self {
            desk,
            plan,
            echo,
            room: Room::new(desk.config.limits.bundle_answer_bytes_max),
            deadline: Deadline::begin(desk),
            answers: plan.steps.iter().map(|_| None).collect(),
            targets: HashSet::new(),
            moved: HashMap::new(),
            creates: Vec::new(),
            claimed: Vec::new(),
            repeated: Vec::new(),
        }
    }

    /// Does everything; the answers are in the order of the entries.
    ///
    /// # Errors
    /// That of the entry that stops it.
    pub fn run(mut self, unit: &mut Unit<'_>, audit: &mut AuditRecord) -> Result<Vec<EntryAnswer>, AppError> {
        self.delete(unit, audit)?;
        let aimed = self.aim(unit)?;
        let (asking, others): (Vec<_>, Vec<_>) = aimed.iter().partition(|aimed| aimed.asks(self.desk));
        let (patches, stores): (Vec<_>, Vec<_>) = others.into_iter().partition(|aimed| aimed.is_patch());
        self.keep(unit, stores.into_iter(), &HashMap::new())?;
        patches.into_iter().try_for_each(|patch| self.patch(unit, patch))?;
        let (patches, stores): (Vec<_>, Vec<_>) = asking.into_iter().partition(|aimed| aimed.is_patch());
        let found = self.find_references(unit, &stores)?;
        self.keep(unit, stores.into_iter(), &found)?;
        patches.into_iter().try_for_each(|patch| self.patch(unit, patch))?;
        for (step, earlier) in std::mem::take(&mut self.repeated) {
            let Some(answer) = self.answers[earlier].clone() else { continue };
            let answer =
                self.room.take(EntryAnswer { status: 200, ..answer }).map_err(|error| self.stop(step, error))?;
            self.answers[step] = Some(answer);
        }
        let versions = self.answers.iter().flatten().filter_map(|answer| answer.version.as_ref());
        audit.detail.records.extend(versions.map(|version| format!("{}/{}", version.resource_type, version.id)));
        self.read(unit, audit)?;
        self.answers.into_iter().map(|answer| answer.ok_or_else(AppError::internal)).collect()
    }

    fn writes(&self) -> impl Iterator<Item = (usize, &'r Draft)> + use<'r> {
        self.plan.steps.iter().enumerate().filter_map(|(step, of)| match &of.work {
            StepWork::Write(draft) => Some((step, draft.as_ref())),
            StepWork::Read(_) => None,
        })
    }

    fn stop(&self, step: usize, error: AppError) -> AppError {
        stop(error, self.plan.steps[step].number)
    }

    fn answer_kept(&mut self, step: usize, kept: Kept) -> Result<(), AppError> {
        let answer = self.room.take(EntryAnswer::of_kept(kept, self.echo)).map_err(|error| self.stop(step, error))?;
        self.answers[step] = Some(answer);
        Ok(())
    }

    /// "If any resource identities overlap in steps 1-3, then the transaction SHALL fail."
    fn claim(&mut self, step: usize, kind: ResourceKind, id: &str) -> Result<(), AppError> {
        if self.targets.insert((kind, id.to_owned())) {
            return Ok(());
        }
        let text = "Another entry of the transaction writes the same resource.";
        Err(self.stop(step, AppError::invalid(vec![Issue::error(IssueCode::Duplicate, text).at("http")])))
    }

    /// Criteria that nothing fits are an identity too: two entries with the same ones would both create it.
    fn claim_criteria(&mut self, step: usize, write: &'r Write) -> Result<(), AppError> {
        let (Target::NewUnless(_, criteria) | Target::Fitting(criteria, _)) = &write.target else { return Ok(()) };
        if self.claimed.iter().any(|(kind, other)| *kind == write.kind && other.is_equal(criteria)) {
            let text = "Another entry of the transaction has the same criteria.";
            return Err(self.stop(step, AppError::invalid(vec![Issue::error(IssueCode::Duplicate, text).at("http")])));
        }
        self.claimed.push((write.kind, criteria));
        Ok(())
    }

    /// All are aimed before the first is done: what one deletes, the criteria of another would no longer find.
    fn delete(&mut self, unit: &mut Unit<'_>, audit: &mut AuditRecord) -> Result<(), AppError> {
        let mut aimed = Vec::new();
        for (step, draft) in self.writes().filter(|(_, draft)| matches!(draft.write.content, Content::Nothing)) {
            let kind = draft.write.kind;
            self.answers[step] = Some(EntryAnswer::of_write(Written::Deleted(None), self.echo));
            if let Aim::At(id, expected) = self.desk.aim(unit, &draft.write).map_err(|error| self.stop(step, error))? {
                self.claim(step, kind, &id)?;
                aimed.push((step, kind, id, expected));
            }
        }
        for (step, kind, id, expected) in aimed {
            delete(self.desk.keeper(), unit, kind, &id, expected).map_err(|error| self.stop(step, error))?;
            audit.detail.records.push(address(kind, &id));
        }
        Ok(())
    }

    /// Creates first, then updates and patches.
    fn aim(&mut self, unit: &mut Unit<'_>) -> Result<Vec<Aimed<'r>>, AppError> {
        let is_create = |draft: &Draft| matches!(draft.write.target, Target::New(_) | Target::NewUnless(..));
        let changes: Vec<_> =
            self.writes().filter(|(_, draft)| !matches!(draft.write.content, Content::Nothing)).collect();
        let (creates, others): (Vec<_>, Vec<_>) = changes.into_iter().partition(|(_, draft)| is_create(draft));
        let mut aimed = Vec::with_capacity(creates.len() + others.len());
        for (step, draft) in creates.into_iter().chain(others) {
            aimed.extend(self.aim_one(unit, step, draft)?);
        }
        Ok(aimed)
    }

    /// `None` when there is nothing to write.
    fn aim_one(&mut self, unit: &mut Unit<'_>, step: usize, draft: &'r Draft) -> Result<Option<Aimed<'r>>, AppError> {
        let kind = draft.write.kind;
        let before = allotted(&draft.write.target);
        if let Some((earlier, id)) = self.earlier_create(draft) {
            self.moved.insert(address(kind, before), address(kind, id));
            self.repeated.push((step, earlier));
            return Ok(None);
        }
        self.deadline.check(self.desk)?;
        let (id, expected) = match self.desk.aim(unit, &draft.write).map_err(|error| self.stop(step, error))? {
            Aim::At(id, expected) => (id, expected),
            Aim::There(found) => {
                self.moved.insert(address(kind, before), address(kind, &found.id));
                self.answer_kept(step, kept(kind, &found, false))?;
                return Ok(None);
            }
            Aim::Nowhere => return Err(AppError::internal()),
        };
        self.claim(step, kind, &id)?;
        self.claim_criteria(step, &draft.write)?;
        if before != id {
            self.moved.insert(address(kind, before), address(kind, &id));
        }
        if let Target::NewUnless(_, criteria) = &draft.write.target {
            self.creates.push((kind, criteria, step));
        }
        Ok(Some(Aimed { step, draft, id, expected }))
    }

    /// The step and id of a conditional create with the same criteria: it will have created what this one looks for.
    fn earlier_create(&self, draft: &Draft) -> Option<(usize, &'r str)> {
        let Target::NewUnless(_, criteria) = &draft.write.target else { return None };
        let same = |(kind, other, _): &&(ResourceKind, &Criteria, usize)| {
            *kind == draft.write.kind && other.is_equal(criteria)
        };
        let (_, _, step) = self.creates.iter().find(same)?;
        self.writes().find(|(other, _)| other == step).map(|(step, draft)| (step, allotted(&draft.write.target)))
    }

    fn keep<'a>(
        &mut self,
        unit: &mut Unit<'_>,
        aimed: impl Iterator<Item = &'a Aimed<'r>>,
        found: &HashMap<String, String>,
    ) -> Result<(), AppError>
    where
        'r: 'a,
    {
        let aimed: Vec<&Aimed<'_>> = aimed.collect();
        let mut arrivals = Vec::with_capacity(aimed.len());
        for Aimed { step, draft, id, expected } in &aimed {
            self.deadline.check(self.desk)?;
            let incoming = self.incoming(draft, found).map_err(|error| self.stop(*step, error))?;
            let constraint = self.desk.write_constraint(&draft.write);
            let checked = self.desk.check_content(unit, &constraint, &incoming);
            checked.map_err(|error| self.stop(*step, error))?;
            arrivals.push(Arrival { id: id.clone(), incoming, expected: *expected });
        }
        self.deadline.check(self.desk)?;
        let kept = keep(self.desk.keeper(), unit, &arrivals).map_err(|not_kept| match not_kept.arrival {
            Some(arrival) => self.stop(aimed[arrival].step, not_kept.error),
            None => not_kept.error,
        })?;
        for (aimed, kept) in aimed.iter().zip(kept) {
            self.answer_kept(aimed.step, kept)?;
        }
        Ok(())
    }

    /// The judged document, with the addresses that only the stored resources could tell.
    fn incoming(&self, draft: &Draft, found: &HashMap<String, String>) -> Result<Incoming, AppError> {
        let Content::Resource(incoming) = &draft.write.content else { return Err(AppError::internal()) };
        let Some(Linked { document, conditional }) = &draft.linked else { return Ok(incoming.as_ref().clone()) };
        if self.moved.is_empty() && conditional.is_empty() {
            return Ok(incoming.as_ref().clone());
        }
        let document = replaced(&replaced(document, &self.moved)?, found)?;
        admit(&self.desk.door(), Some(draft.write.kind), document.as_bytes())
    }

    fn patch(&mut self, unit: &mut Unit<'_>, aimed: &Aimed<'r>) -> Result<(), AppError> {
        self.deadline.check(self.desk)?;
        let Content::Patch(patch) = &aimed.draft.write.content else { return Err(AppError::internal()) };
        let kind = aimed.draft.write.kind;
        let settle = |unit: &mut Unit<'_>, patched| self.settle(unit, patched);
        let kept = self
            .desk
            .patched(unit, kind, aimed.id.clone(), aimed.expected, patch, settle)
            .and_then(|arrival| {
                let constraint = self.desk.write_constraint(&aimed.draft.write);
                self.desk.check_content(unit, &constraint, &arrival.incoming)?;
                keep_single(self.desk.keeper(), unit, arrival)
            })
            .map_err(|error| self.stop(aimed.step, error))?;
        self.answer_kept(aimed.step, kept)
    }

    /// What a patch has made, with addresses in place of the names and criteria that it has brought.
    fn settle(&self, unit: &mut Unit<'_>, patched: Patched) -> Result<String, AppError> {
        let Patched { before, document } = patched;
        let plan = self.plan;
        let value =
            parse(document.as_bytes(), &self.desk.door().limits).map_err(|issue| AppError::invalid(vec![issue]))?;
        let before = parse(before.as_bytes(), &STORED_LIMITS).map_err(|_| AppError::internal())?;
        let asked = find_patched(&plan.ctx, &self.desk.config, &plan.names, &before, &value)?;
        let mut found = HashMap::new();
        for asked in asked {
            self.deadline.check(self.desk)?;
            let one = asked.find(unit)?;
            found.insert(asked.written, one);
        }
        let named = if plan.names.concern(None, &value) {
            replaced(&plan.names.settle_patched(&document)?, &self.moved)?
        } else {
            document.clone()
        };
        replaced(&named, &found)
    }

    /// What the references by criteria refer to. "If there are no matches, or multiple matches, the transaction fails."
    fn find_references(&self, unit: &mut Unit<'_>, aimed: &[&Aimed<'_>]) -> Result<HashMap<String, String>, AppError> {
        let mut found = HashMap::new();
        for Aimed { step, draft, .. } in aimed {
            for asked in draft.linked.iter().flat_map(|linked| &linked.conditional) {
                if found.contains_key(&asked.written) {
                    continue;
                }
                self.deadline.check(self.desk)?;
                let one = asked.find(unit).map_err(|error| self.stop(*step, error))?;
                found.insert(asked.written.clone(), one);
            }
        }
        Ok(found)
    }

    fn read(&mut self, unit: &mut Unit<'_>, audit: &mut AuditRecord) -> Result<(), AppError> {
        for (step, of) in self.plan.steps.iter().enumerate() {
            if let StepWork::Read(reading) = &of.work {
                self.deadline.check(self.desk)?;
                let answer =
                    reading.read(&self.plan.ctx.caller, unit.conn, audit).and_then(|answer| self.room.take(answer));
                self.answers[step] = Some(answer.map_err(|error| self.stop(step, error))?);
            }
        }
        Ok(())
    }
}

impl Conditional {
    /// The address that it stands for.
    fn find(&self, unit: &mut Unit<'_>) -> Result<String, AppError> {
        let found = find_match(unit.conn, self.kind, &self.criteria)?;
        found.map(|one| address(self.kind, &one.id)).ok_or_else(|| self.criteria.no_match())
    }
}

fn replaced(document: &str, map: &HashMap<String, String>) -> Result<String, AppError> {
    if map.is_empty() { Ok(document.to_owned()) } else { replace(document, map).map_err(|_| AppError::internal()) }
}
