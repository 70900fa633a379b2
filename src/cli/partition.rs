//! `idi-match partition`: what the model would join, split and ask about every stored record; with `--apply`, doing it.
//!
//! One line of JSON for each difference and each doubtful pair, and a summary. A model of one's own is tried with
//! `--model FILE`. Not here: the clustering (see `identity::engine`).

use std::fs::File;
use std::io::{BufWriter, Write};

use serde::Serialize;

use crate::app::App;
use crate::app::clock::Clock;
use crate::app::context::{Caller, Context};
use crate::app::partition::{Change, Doubtful, Proposed};

use super::arguments::PartitionArgs;
use super::{CommandError, Ended, Environment, at, progress, read_file, say};

#[derive(Serialize)]
struct Summary<'p> {
    #[serde(flatten)]
    proposed: &'p Proposed,
    joins: usize,
    splits: usize,
    regroups: usize,
    reviews: usize,
    applied: bool,
}

#[derive(Serialize)]
struct ReviewLine<'d> {
    change: &'static str,
    #[serde(flatten)]
    doubt: &'d Doubtful,
}

pub fn run(args: &PartitionArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let config = environment.config(&args.config)?;
    let model = args.model.as_deref().map(read_file).transpose()?;
    let model = model.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let bar = progress::spinner("records in the index");
    let app = App::open_with(config, Clock::system(), model.as_deref(), |records| bar.set_position(records as u64))?;
    bar.finish_and_clear();
    let ctx = Context::new(Caller::Open, app.clock);
    let bar = progress::rows_bar("comparing");
    bar.set_length(app.indexed_records() as u64);
    let proposed = app.propose_partition(&ctx, |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    if let Some(path) = &args.out {
        let file = File::create(path).map_err(|error| at(path, error))?;
        write_lines(&mut BufWriter::new(file), &proposed)?;
    }
    if args.apply {
        let bar = progress::rows_bar("applying");
        bar.set_length((proposed.differences.len() + proposed.doubts.len()) as u64);
        app.apply_partition(&ctx, &proposed, |done| bar.set_position(done as u64))?;
        bar.finish_and_clear();
    }
    app.stop();
    print(&summary(&proposed, args), args)?;
    Ok(Ended::Done)
}

fn write_lines(out: &mut impl Write, proposed: &Proposed) -> Result<(), CommandError> {
    for difference in &proposed.differences {
        serde_json::to_writer(&mut *out, difference).map_err(std::io::Error::from)?;
        out.write_all(b"\n")?;
    }
    for doubt in &proposed.doubts {
        serde_json::to_writer(&mut *out, &ReviewLine { change: "review", doubt }).map_err(std::io::Error::from)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

fn summary<'p>(proposed: &'p Proposed, args: &PartitionArgs) -> Summary<'p> {
    Summary {
        proposed,
        joins: proposed.count(Change::Join),
        splits: proposed.count(Change::Split),
        regroups: proposed.count(Change::Regroup),
        reviews: proposed.doubts.len(),
        applied: args.apply,
    }
}

fn print(summary: &Summary<'_>, args: &PartitionArgs) -> Result<(), CommandError> {
    if args.json {
        let text = serde_json::to_string(summary).map_err(|error| CommandError::Failed(error.to_string()))?;
        return say(text);
    }
    let Summary { proposed, joins, splits, regroups, reviews, applied } = summary;
    let verb = if *applied { "applied" } else { "would change" };
    say(format_args!(
        "model {}: {} records, {} identities, {} by the partition",
        proposed.model, proposed.records, proposed.identities_before, proposed.identities_after
    ))?;
    say(format_args!("{verb}: {joins} joins, {splits} splits, {regroups} regroupings, {reviews} pairs to review"))
}
