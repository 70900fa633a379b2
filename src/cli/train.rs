//! `idi-match train --out MODEL.json`: a model fitted to the stored records, or the reasons why none is adopted.
//!
//! Not here: how it is fitted (see `matching::train`).

use std::path::Path;

use crate::app::context::{Caller, Context};
use crate::app::train::{Decisions, LabelledPair, TrainAsk};
use crate::matching::evaluation::parse_labels;
use crate::matching::index::SampleAsk;
use crate::matching::train::Label;

use super::arguments::TrainArgs;
use super::model::read_model;
use super::{CommandError, Ended, Environment, at, open, progress, read_file, say};

/// Records of one block with which one is paired.
const PARTNERS_MAX: usize = 20;

pub fn run(args: &TrainArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let config = environment.config(&args.config)?;
    let ask = TrainAsk {
        start: args.start.as_deref().map(read_model).transpose()?,
        sample: SampleAsk {
            seed: args.seed,
            records_max: args.records_max,
            partners_max: PARTNERS_MAX,
            random_pairs: args.random_pairs,
        },
        patients: args.patients.as_deref().map(lines).transpose()?.unwrap_or_default(),
        decisions: if args.steward_decisions { Decisions::Counted } else { Decisions::Ignored },
        labelled: args.labels.as_deref().map(labels).transpose()?.unwrap_or_default(),
    };
    let app = open(config)?;
    let ctx = Context::new(Caller::Open, app.clock);
    let bar = progress::spinner("pairing records");
    let trained = app.train(&ctx, &ask, |records| bar.inc(records as u64));
    bar.finish_and_clear();
    app.stop();
    let trained = trained?;
    if let Some(path) = &args.report {
        let report = serde_json::to_vec_pretty(&trained.report).map_err(|error| at(path, error))?;
        std::fs::write(path, report).map_err(|error| at(path, error))?;
    }
    say(&trained.report)?;
    if trained.report.refusals().next().is_some() {
        say("The model is not adopted.")?;
        return Ok(Ended::ProblemsFound);
    }
    std::fs::write(&args.out, trained.model.to_json()).map_err(|error| at(&args.out, error))?;
    say(format_args!("Model {} written to {}", trained.model.version(), args.out.display()))?;
    Ok(Ended::Done)
}

fn lines(path: &Path) -> Result<Vec<Vec<u8>>, CommandError> {
    let bytes = read_file(path)?;
    Ok(bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).map(<[u8]>::to_vec).collect())
}

fn labels(path: &Path) -> Result<Vec<LabelledPair>, CommandError> {
    let text = String::from_utf8(read_file(path)?).map_err(|_| at(path, "not UTF-8"))?;
    let rows = parse_labels(&text).map_err(|error| at(path, error))?;
    let pair = |(records, is_match): ([String; 2], _)| LabelledPair {
        records,
        label: if is_match { Label::Match } else { Label::NonMatch },
    };
    Ok(rows.into_iter().map(pair).collect())
}
