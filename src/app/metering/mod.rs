//! Who may try how much: one call before a match is looked for, one with its audit row.
//!
//! A bearer of a token is counted on four budgets, requests and failures of the client and of its organisation, which this
//! instance holds leases on; a match without a Patient in the answer is charged to the persons whom it probes as well,
//! in the commit of its audit row and before its answer, and where that budget is spent the answer is withheld, whatever
//! it was. So no more is told than the budgets allow, however many ask at once and wherever. Whoever is at the machine
//! (`--open`, the command line) is not counted. Not here: the arithmetic (see `budget`), the headers (see `http`).

mod alarm;
mod limits;
pub mod rate_limit;
mod shares;
mod spent;

use crate::audit::{AuditRecord, Outcome};
use crate::budget::bucket::Limit;
use crate::budget::key::{BudgetKey, Keyed};
use crate::budget::ledger::{Charge, Spent};
use crate::budget::subject::{Breadth, guesses, subjects};
use crate::fhir::issue::{Issue, IssueCode};
use crate::matching::record::Record;
use crate::store::budget::Wanted;
use crate::store::{Connection, StoreError, secret};

use super::App;
use super::clock::Clock;
use super::context::{Caller, Context};
use super::error::{AppError, ErrorKind};
use super::writer::{Done, Scope, Work};
use alarm::Sweeps;
use limits::{Budget, Limits};
use rate_limit::RateLimit;
use shares::{Share, Shares};
use spent::SpentSubjects;

/// The key in the table `secret`.
const STORED_KEY: &str = "budget";

/// What this instance knows of budgets.
pub struct Meter {
    keyed: Keyed,
    shares: Shares,
    spent: SpentSubjects,
    sweeps: Sweeps,
}

/// A request that was let in.
pub(super) struct Attempt {
    shares: Vec<Share>,
    /// Of the persons whom it probes.
    charges: Vec<Charge>,
    price: u32,
    /// The person, among those whom a sweep goes through.
    subject: Option<BudgetKey>,
    began_us: i64,
    is_in_vain: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Somebody is returned.
    Found,
    /// Nobody is, or somebody beside a number that was tried in vain.
    Failed,
    /// Nothing was told.
    Broken,
}

/// An answer, and what is left of the budgets of whoever was counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Metered<T> {
    pub answer: T,
    pub rate: Option<RateLimit>,
}

impl Meter {
    /// With the secret that all instances of a database share. `connection` must be one that writes.
    ///
    /// # Errors
    /// Those of the database.
    pub fn open(connection: &mut Connection, clock: Clock) -> Result<Self, StoreError> {
        let secret = secret::get_or_insert(connection, STORED_KEY, (clock.secret)(), (clock.now_us)())?;
        let keyed = Keyed::new(&secret);
        Ok(Self { keyed, shares: Shares::default(), spent: SpentSubjects::default(), sweeps: Sweeps::default() })
    }

    /// The buckets of everybody whom these records describe: of this client, and of all. Of names alone there is the client's
    /// only, so that nobody can spend what others have about everybody of a name.
    fn charges(&self, limits: &Limits, client: &str, records: &[&Record]) -> Vec<Charge> {
        let mut charges: Vec<Charge> = Vec::new();
        for subject in records.iter().flat_map(|record| subjects(record)) {
            let parts = subject.parts();
            let buckets: &[(&str, Limit)] = match subject.breadth {
                Breadth::Person => &[(client, limits.subject), ("", limits.subject_all)],
                Breadth::Namesakes => &[(client, limits.namesakes)],
            };
            for (whose, limit) in buckets {
                let parts: Vec<&[u8]> =
                    [b"subject".as_slice(), whose.as_bytes()].into_iter().chain(parts.iter().copied()).collect();
                let charge = Charge { key: self.keyed.key(&parts), limit: *limit };
                if !charges.contains(&charge) {
                    charges.push(charge);
                }
            }
        }
        charges
    }
}

impl App {
    /// Lets a match begin that describes the persons of `records`; `None` for whoever is not counted.
    ///
    /// # Errors
    /// `Throttled` where a budget is spent; `Unprocessable` for more guesses than a full one allows; `Overloaded` or
    /// `Unavailable` when leases cannot be had.
    pub(super) fn admit(&self, ctx: &Context, records: &[&Record]) -> Result<Option<Attempt>, AppError> {
        let Caller::Client(granted) = &ctx.caller else { return Ok(None) };
        if !self.config.budgets.enabled {
            return Ok(None);
        }
        let now_us = (self.clock.now_us)();
        let limits = Limits::of(&self.config.budgets, granted);
        let charges = self.meter.charges(&limits, &granted.grant.client_id, records);
        if let Some(spent) = self.meter.spent.find(&charges, now_us) {
            return Err(throttled(Budget::Subject, &spent));
        }
        let subject = charges.get(1).or(charges.first()).map(|charge| charge.key);
        let shares = self.meter.shares.of(&limits.holders(&self.meter.keyed, granted));
        let price = records.iter().map(|record| guesses(record)).max().unwrap_or(1);
        refuse_more_than_a_bucket(&charges, price)?;
        self.spend_price(&shares, price, now_us)?;
        Ok(Some(Attempt { shares, charges, price, subject, began_us: now_us, is_in_vain: false }))
    }

    /// A request is one, and as many failures as it has guesses, until it is known how it ends.
    fn spend_price(&self, shares: &[Share], price: u32, now_us: i64) -> Result<(), AppError> {
        self.spend(&shares.iter().collect::<Vec<_>>(), now_us)?;
        let failures: Vec<&Share> = shares.iter().filter(|share| share.budget.is_of_failures()).collect();
        for spent in 1..price {
            if let Err(refused) = self.spend(&failures, now_us) {
                put_back(&failures, spent, now_us);
                return Err(refused);
            }
        }
        Ok(())
    }

    /// Writes the audit row of a match, and what it costs.
    ///
    /// # Errors
    /// `Throttled` where the budget of a person is spent: then the answer is not given. Those of the writer.
    pub(super) fn settle_attempt(
        &self,
        ctx: &Context,
        attempt: Option<Attempt>,
        audit: AuditRecord,
        ended: Ended,
    ) -> Result<Option<RateLimit>, AppError> {
        let Some(attempt) = attempt else { return self.writer.audit(audit).map(|()| None) };
        if ended == Ended::Broken {
            attempt.put_back();
            return self.writer.audit(audit).map(|()| None);
        }
        let ended = if attempt.is_in_vain { Ended::Failed } else { ended };
        if let Some(spent) = self.charge(&attempt, audit, ended)? {
            self.meter.spent.remember(&spent, (self.clock.now_us)());
            return Err(throttled(Budget::Subject, &spent));
        }
        match ended {
            Ended::Found => attempt.put_back(),
            Ended::Failed | Ended::Broken => self.watch(ctx, &attempt)?,
        }
        Ok(Some(RateLimit::of(&attempt.shares)))
    }

    /// One commit of the audit row and of the price; the bucket that has not enough, if any has not.
    fn charge(&self, attempt: &Attempt, audit: AuditRecord, ended: Ended) -> Result<Option<Spent>, AppError> {
        if attempt.charges.is_empty() {
            return self.writer.audit(audit).map(|()| None);
        }
        let keys = attempt.charges.iter().map(|charge| charge.key).collect();
        let wanted = match ended {
            Ended::Failed => Wanted { taken: keys, ..Wanted::default() },
            Ended::Found | Ended::Broken => Wanted { seen: keys, ..Wanted::default() },
        };
        let (charges, price, withheld) = (attempt.charges.clone(), attempt.price, withheld(&audit));
        let work = Work::audited(withheld.clone(), move |unit| {
            let judged = match ended {
                Ended::Failed => unit.ledger.charge(&charges, price, unit.now_us),
                Ended::Found | Ended::Broken => unit.ledger.check(&charges, price, unit.now_us),
            };
            match judged {
                Ok(()) => Done { result: Ok(None), audit },
                Err(spent) => Done { result: Ok(Some(spent)), audit: withheld },
            }
        });
        self.writer.submit_one(Scope::Audit, work.with_budgets(wanted))
    }

    /// Runs a use case of a caller who is counted, without persons whom it probes.
    pub(super) fn answer_metered<T>(
        &self,
        ctx: &Context,
        mut audit: AuditRecord,
        work: impl FnOnce(&mut AuditRecord) -> Result<T, AppError>,
    ) -> Result<Metered<T>, AppError> {
        let mut attempt = None;
        let result = self.admit(ctx, &[]).and_then(|admitted| {
            attempt = admitted;
            work(&mut audit)
        });
        let ended = if result.is_ok() { Ended::Found } else { Ended::Broken };
        super::close(&mut audit, result.as_ref().err(), (self.clock.now_us)());
        let rate = self.settle_attempt(ctx, attempt, audit, ended)?;
        result.map(|answer| Metered { answer, rate })
    }
}

impl Attempt {
    /// The answer tells that a number which never leaves is another: it costs as if nobody were returned.
    pub(super) const fn try_in_vain(&mut self) {
        self.is_in_vain = true;
    }

    /// The failures that were reserved were none.
    fn put_back(&self) {
        let failures: Vec<&Share> = self.shares.iter().filter(|share| share.budget.is_of_failures()).collect();
        put_back(&failures, self.price, self.began_us);
    }
}

/// A price that no full bucket has would be paid by emptying one: guesses beyond it would be free.
fn refuse_more_than_a_bucket(charges: &[Charge], price: u32) -> Result<(), AppError> {
    let tokens_max = charges.iter().map(|charge| charge.limit.tokens_max()).min();
    if tokens_max.is_none_or(|tokens_max| price <= tokens_max) {
        return Ok(());
    }
    let text = "These are more values of one kind than may be tried about one person at once.";
    Err(AppError::unprocessable(vec![Issue::error(IssueCode::TooCostly, text).at("Patient")]))
}

fn put_back(shares: &[&Share], tokens: u32, spent_us: i64) {
    shares.iter().for_each(|share| share.unspend(tokens, spent_us));
}

/// The audit row of an answer that is not given.
fn withheld(audit: &AuditRecord) -> AuditRecord {
    let mut row = audit.clone();
    row.outcome = Outcome::Refused;
    let detail = &mut row.detail;
    detail.status = ErrorKind::Throttled.status();
    detail.reasons = vec![rate_limit::REASON.to_owned()];
    detail.budget = Some(Budget::Subject.code().to_owned());
    detail.grade = None;
    detail.combination = None;
    detail.combination_outcome = None;
    detail.records.clear();
    detail.identities.clear();
    row
}

fn throttled(budget: Budget, spent: &Spent) -> AppError {
    metrics::counter!("idi_match_budget_refusals_total", "budget" => budget.code()).increment(1);
    AppError::throttled(RateLimit::spent(budget, spent.charge.limit, spent.wait_us))
}
