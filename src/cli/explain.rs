//! `idi-match explain QUERY.json --record ID`: the waterfall of one stored record, as a table or JSON.

use crate::app::context::{Caller, Context};
use crate::app::explain::Explanation;

use super::arguments::ExplainArgs;
use super::{CommandError, Ended, Environment, open, read_file, say};

pub fn run(args: &ExplainArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let config = environment.config(&args.config)?;
    let body = read_file(&args.query)?;
    let app = open(config)?;
    let ctx = Context::new(Caller::Open, app.clock);
    let explained = app.explain(&ctx, &body, Some(&args.record));
    app.stop();
    let explanation = explained?.answer;
    if args.json {
        let text =
            serde_json::to_string_pretty(&explanation).map_err(|error| CommandError::Failed(error.to_string()))?;
        say(text)?;
    } else {
        print_table(&explanation)?;
    }
    Ok(Ended::Done)
}

fn print_table(explanation: &Explanation) -> Result<(), CommandError> {
    let waterfall = &explanation.waterfall;
    say(format_args!(
        "record {} of identity {} (model {})",
        explanation.record, explanation.identity, explanation.model
    ))?;
    say(format_args!("{:<28} {:<28} {:>12} {:>12} {:>8}", "comparison", "level", "m", "u", "weight"))?;
    say(format_args!("{:<28} {:<28} {:>12} {:>12} {:>8.2}", "prior", "", "", "", waterfall.prior))?;
    for bar in &waterfall.bars {
        say(format_args!(
            "{:<28} {:<28} {:>12.3e} {:>12.3e} {:>8.2}",
            bar.comparison, bar.level, bar.m, bar.u, bar.weight
        ))?;
    }
    say(format_args!("{:<28} {:<28} {:>12} {:>12} {:>8.2}", "total", "", "", "", waterfall.total))?;
    say(format_args!("probability {:.6}", explanation.probability))?;
    let row = explanation.row.map_or(String::new(), |row| format!(", row {row}"));
    let conflicts: Vec<&str> = explanation.capped_by.iter().map(|conflict| conflict.code()).collect();
    let capped = if conflicts.is_empty() { String::new() } else { format!(", capped by {}", conflicts.join(", ")) };
    say(format_args!("grade {} ({:.2}){row}{capped}", explanation.grade, explanation.score))?;
    for (attribute, result) in &explanation.attributes {
        say(format_args!("  {attribute:<24} {result}"))?;
    }
    Ok(())
}
