//! Fitting the model to the records at hand: which levels people, relatives, twins and strangers really have.
//!
//! What: [`train`] takes pairs as [`Patterns`], sampled by block key (see `index::sample`) and at random, and gives either
//! a model or the reasons why none is adopted, with a [`Report`] of both. u comes from random pairs, weighted by how
//! surely they are unrelated; the other three classes from expectation maximisation with two starts, of which the better
//! counts: the model that is there, and a structured one: given name agrees and birth date is close, a match; a
//! household's field is shared and the given name differs, a relative; the birth date is the same too, a twin. Pairs of one blocking rule are one session with class sizes of its own, in which
//! the comparisons that the rule decides say nothing; a session of strangers is left out. Labelled pairs count in the class of their label. Why: levels
//! depend on who writes the records; a model fitted elsewhere has other errors. Not here: reading records, writing the
//! file (see `cli::train`), the numbers to begin with (see `model`).

mod em;
mod patterns;
mod validate;

use std::fmt;

use serde::Serialize;

pub use em::Beginning;
pub use patterns::{Label, Patterns, Session};

use super::model::{Class, Likelihoods, Model, ModelError};

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Rounds at most.
    pub iterations_max: usize,
    /// Trained when the mean log-likelihood of a pair gains less.
    pub gain_min: f64,
    /// Identities against which a random pair is weighed.
    pub population: usize,
}

impl Options {
    #[must_use]
    pub const fn of_population(population: usize) -> Self {
        Self { iterations_max: 200, gain_min: 1e-6, population }
    }
}

/// One round of expectation maximisation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Iteration {
    /// Mean natural logarithm of a pair's likelihood.
    pub log_likelihood: f64,
    /// Largest change of a logarithm to base 2 of a likelihood.
    pub change_bits: f64,
}

/// What one session held and how it was divided.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionLine {
    pub session: String,
    pub pairs: u64,
    /// In the order of [`Class::ALL`].
    pub classes: [f64; 4],
}

/// A condition of adopting a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    pub name: String,
    pub passed: bool,
    pub detail: String,
}

/// How the training went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The start of the two that led to this.
    pub beginning: Beginning,
    pub random_pairs: u64,
    pub sessions: Vec<SessionLine>,
    /// Sessions that say too little: nearly all of their pairs are strangers.
    pub left_out: Vec<String>,
    pub iterations: Vec<Iteration>,
    /// Pairs of each class, in the order of [`Class::ALL`].
    pub classes: [f64; 4],
    /// Classes of which there were too few pairs: their likelihoods are those of the start.
    pub kept_from_start: Vec<Class>,
    pub checks: Vec<Check>,
}

impl Report {
    /// Why the model is not adopted; none when it is.
    pub fn refusals(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.passed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<28}{:>12}{:>10}{:>11}{:>10}{:>11}",
            "session", "pairs", "match", "household", "twin", "unrelated"
        )?;
        for line in &self.sessions {
            let [same, household, twin, unrelated] = line.classes;
            writeln!(
                f,
                "{:<28}{:>12}{same:>10.4}{household:>11.4}{twin:>10.4}{unrelated:>11.4}",
                line.session, line.pairs
            )?;
        }
        if !self.left_out.is_empty() {
            writeln!(f, "mostly strangers, left out: {}", self.left_out.join(", "))?;
        }
        let beginning = match self.beginning {
            Beginning::Structured => "rules of thumb",
            Beginning::Model => "the model that was there",
        };
        writeln!(f, "begun with {beginning}")?;
        for (round, iteration) in (1..).zip(&self.iterations) {
            let (log_likelihood, change) = (iteration.log_likelihood, iteration.change_bits);
            writeln!(f, "round {round:>3}: log-likelihood {log_likelihood:>10.5}, largest change {change:.4} bits")?;
        }
        if !self.kept_from_start.is_empty() {
            writeln!(f, "too few pairs, kept from the start: {:?}", self.kept_from_start)?;
        }
        for check in &self.checks {
            writeln!(f, "{} {}: {}", if check.passed { "ok     " } else { "REFUSED" }, check.name, check.detail)?;
        }
        Ok(())
    }
}

/// A fitted model with its report; it is adopted when the report has no refusals.
#[derive(Debug, Clone)]
pub struct Trained {
    pub model: Model,
    pub report: Report,
}

/// Fits `start` to `patterns`, from each [`Beginning`]; gives what explains the pairs held out best.
///
/// # Errors
/// When the result is no model: a likelihood came out as none.
pub fn train(start: &Model, patterns: &Patterns, options: &Options) -> Result<Trained, ModelError> {
    let left_out = em::sessions_of_strangers(start, patterns);
    let patterns = patterns.of_sessions(|session| !left_out.contains(&session));
    let structured = train_from(Beginning::Structured, start, &patterns, options)?;
    let from_model = train_from(Beginning::Model, start, &patterns, options)?;
    let explained = |trained: &Trained| em::held_out(&trained.model, &patterns);
    let mut best = if explained(&from_model) > explained(&structured) { from_model } else { structured };
    best.report.left_out = left_out.into_iter().map(Session::name).collect();
    Ok(best)
}

fn train_from(
    beginning: Beginning,
    start: &Model,
    patterns: &Patterns,
    options: &Options,
) -> Result<Trained, ModelError> {
    let mut fit = em::Fit::begin(start, patterns, options.population, beginning);
    let mut iterations: Vec<Iteration> = Vec::new();
    let mut is_settled = false;
    while iterations.len() < options.iterations_max && !is_settled {
        let iteration = fit.step();
        let gain = iterations.last().map_or(f64::MAX, |last| (iteration.log_likelihood - last.log_likelihood).abs());
        is_settled = gain <= options.gain_min;
        iterations.push(iteration);
    }
    let model = fit.model(&source(start, patterns))?;
    let mut checks = vec![Check {
        name: "converged".to_owned(),
        passed: is_settled,
        detail: format!("{} rounds of at most {}", iterations.len(), options.iterations_max),
    }];
    checks.extend(validate::checks(start, &model, patterns, &fit));
    let report = Report {
        beginning,
        random_pairs: patterns.random_pairs(),
        sessions: fit.session_lines(patterns),
        left_out: Vec::new(),
        iterations,
        classes: fit.classes(),
        kept_from_start: fit.kept_from_start(),
        checks,
    };
    Ok(Trained { model, report })
}

fn source(start: &Model, patterns: &Patterns) -> String {
    let (pairs, random, labelled) = (patterns.pairs(), patterns.random_pairs(), patterns.labelled_pairs());
    format!(
        "Fitted from model {} to {pairs} pairs that share a block key, {random} random pairs and {labelled} labelled pairs.",
        start.version()
    )
}

/// The same model with every likelihood drawn towards those of the other classes by `share`: a start that knows little.
///
/// # Errors
/// When `share` leaves no probability.
pub fn blurred(model: &Model, share: f64) -> Result<Model, ModelError> {
    let mut table: Likelihoods = *model.likelihoods();
    for likelihood in table.iter_mut().flatten() {
        let mean = likelihood.all().iter().map(|p| p.ln()).sum::<f64>() / 4.0;
        let blur = |p: f64| mean.mul_add(share, p.ln() * (1.0 - share)).exp();
        likelihood.same = blur(likelihood.same);
        likelihood.household = blur(likelihood.household);
        likelihood.twin = blur(likelihood.twin);
        likelihood.unrelated = blur(likelihood.unrelated);
    }
    model.with_likelihoods(&table, "Blurred, to try how training goes from a start that knows little.")
}

#[cfg(test)]
mod tests;
