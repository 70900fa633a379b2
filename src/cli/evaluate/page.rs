//! The report of an evaluation as one HTML page: no script, nothing fetched, light and dark.
//!
//! Everything in it is in the JSON of the same run, but for the model, which `model show` prints, and the persons' data,
//! which stand in it only when they are asked for. Not here: the charts (see `chart`), the waterfalls (see
//! `http::render::waterfall`).

use std::fmt::Write as _;

use crate::http::render::waterfall::{escape, figure};
use crate::matching::comparison::Comparison;
use crate::matching::evaluation::{Accuracy, ErrorKind, Report, Share};
use crate::matching::model::Model;

use super::super::arguments::EvaluateArgs;
use super::worst::Shown;
use super::{Found, chart};

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>Evaluation of a matcher</title>
<style>
:root{--ink:#1d232b;--faint:#5b6470;--ground:#fff;--rule:#dfe3e8;--for:#17708f;--against:#b2431f;--against-line:#f0c3b3}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ee;--faint:#a3acb8;--ground:#14181d;--rule:#343b45;--for:#58b6d6;--against:#e0764f;--against-line:#5c2412}
.waterfall svg{filter:invert(.92) hue-rotate(180deg)}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:64rem;margin:0 auto;padding:1rem}
figure{margin:0 0 1rem}svg{width:100%;height:auto}.chart svg{font-size:12px;fill:var(--faint)}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:0 0 1.5rem}caption{text-align:left;font-weight:600;padding:.4rem 0}
th,td{padding:.25rem .6rem;border-bottom:1px solid var(--rule);text-align:right;font-variant-numeric:tabular-nums;vertical-align:top}
th:first-child,td:first-child,.words :is(td,th){text-align:left}tbody th{font-weight:400}
.note{color:var(--faint)}.grid{stroke:var(--rule)}.line{fill:none;stroke:var(--for);stroke-width:2}
.threshold{fill:var(--ground);stroke:var(--against);stroke-width:3}.best{fill:var(--for)}.mark{stroke:var(--against);stroke-width:2;stroke-dasharray:5 3}
.matches{fill:var(--for)}.others{fill:url(#histogram-hatched)}.others-ground{fill:var(--against)}.others-line{fill:var(--against-line)}
summary{cursor:pointer;padding:.3rem 0}
</style></head><body><main>
<h1>Evaluation of a matcher</h1>
"#;

/// The page.
pub(super) fn render(found: &Found, model: &Model, args: &EvaluateArgs) -> String {
    let report = &found.report;
    let mut page = String::with_capacity(256 * 1024);
    page.push_str(HEAD);
    summary(&mut page, report);
    let _ = write!(
        page,
        "<h2 id=\"curve\">Precision and recall</h2><figure class=\"chart\">{}</figure>",
        chart::curve(report)
    );
    let _ = write!(page, "<h2 id=\"scores\">Scores</h2><figure class=\"chart\">{}</figure>", chart::histogram(report));
    by_kind(&mut page, report);
    grades(&mut page, report);
    by_event(&mut page, report);
    by_subgroup(&mut page, report);
    worst(&mut page, &found.worst, args);
    weights(&mut page, model);
    page.push_str("</main></body></html>\n");
    page
}

/// A table; its cells are escaped here. The first cell of a row is its heading.
fn table<const N: usize>(page: &mut String, caption: &str, head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let _ = write!(page, "<div class=\"wide\"><table><caption>{}</caption><thead><tr>", escape(caption));
    for name in head {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escape(name));
    }
    page.push_str("</tr></thead><tbody>\n");
    for row in rows {
        page.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let cell = escape(cell);
            let _ =
                if at == 0 { write!(page, "<th scope=\"row\">{cell}</th>") } else { write!(page, "<td>{cell}</td>") };
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

fn note(page: &mut String, text: &str) {
    let _ = writeln!(page, "<p class=\"note\">{}</p>", escape(text));
}

fn summary(page: &mut String, report: &Report) {
    let counts = &report.counts;
    let _ = writeln!(
        page,
        "<p>{} queries: {} of stored people, {} of people not stored. {} have no result and count as not accepted.</p>",
        counts.queries, counts.stored, counts.absent, counts.without_result
    );
    note(
        page,
        "A query is accepted when the probability of its best identity reaches the threshold. It is right when every \
         record of that identity is the queried person's. Precision is over the accepted queries, recall over those whose \
         person is stored.",
    );
    let row = |name: &str, accuracy: &Accuracy| {
        let Accuracy { threshold, precision, recall, f1 } = accuracy;
        let f1 = f1.map_or_else(|| "-".to_owned(), |f1| format!("{f1:.4}"));
        let accepted = precision.of.to_string();
        [name.to_owned(), format!("{threshold:.4}"), with_interval(*precision), with_interval(*recall), f1, accepted]
    };
    table(
        page,
        "Accuracy, with intervals of 95 %",
        ["", "threshold", "precision", "recall", "F1", "accepted"],
        [row("at the threshold, not tuned", &report.at_threshold), row("at the best F1", &report.best)].into_iter(),
    );
    let _ = writeln!(page, "<p>The person is among the candidates: {}.</p>", with_interval(report.candidate_recall));
}

fn by_kind(page: &mut String, report: &Report) {
    page.push_str("<h2 id=\"kinds\">Kinds of queries, and false accepts</h2>");
    let rows = report.by_kind.iter().map(|line| {
        let counted = [line.queries, line.accepted, line.right, line.false_accepts].map(|count| count.to_string());
        let [queries, accepted, right, wrong] = counted;
        [line.kind.label().replace('_', " "), queries, accepted, right, wrong]
    });
    table(page, "By kind of query", ["kind", "queries", "accepted", "right", "false"], rows);
    let rows = report
        .false_accepts
        .iter()
        .map(|line| [line.kind.label().to_owned(), line.accepted.to_string(), line.certain.to_string()]);
    table(page, "Who was taken for the person", ["", "accepted at the threshold", "graded certain"], rows);
    note(
        page,
        "Of people who are not stored the truth says who is. Of two stored people their records are compared, when there \
         is a database: an address, phone, email or member number in common makes relatives, with the birth date twins.",
    );
}

fn grades(page: &mut String, report: &Report) {
    page.push_str("<h2 id=\"grades\">Grades</h2>");
    let rows = report
        .grades
        .iter()
        .map(|line| [line.grade.clone(), line.persons.count.to_string(), with_interval(line.persons)]);
    table(page, "Grade of the person, of the stored", ["grade", "persons", "share"], rows);
    let certain = report.certain_precision;
    let _ = writeln!(
        page,
        "<p>Of {} candidates graded certain {} are right: precision {}.</p>",
        certain.of,
        certain.count,
        with_interval(certain)
    );
}

fn by_event(page: &mut String, report: &Report) {
    page.push_str("<h2 id=\"errors\">Errors in the queries</h2>");
    let rows = report.by_event.iter().map(|line| {
        let queries = line.recall.of.to_string();
        [line.event.replace('_', " "), queries, with_interval(line.recall), with_interval(line.candidate_recall)]
    });
    table(page, "By error, of the stored persons", ["error", "queries", "recall", "among the candidates"], rows);
}

fn by_subgroup(page: &mut String, report: &Report) {
    page.push_str("<h2 id=\"subgroups\">Subgroups</h2>");
    if report.by_subgroup.is_empty() {
        return note(page, "Left out: results do not say what the queries say. Name the Patients with --patients.");
    }
    note(
        page,
        "By what the query says. Origin is a rule about the family name: the list of names that holds it. A name that was \
         misspelt may be in none.",
    );
    let rows = report.by_subgroup.iter().map(|line| {
        let name = format!("{}: {}", line.characteristic, line.group);
        let [precision, recall, candidates] = [line.precision, line.recall, line.candidate_recall].map(with_interval);
        [name, line.queries.to_string(), precision, recall, candidates]
    });
    table(
        page,
        "By subgroup, at the threshold",
        ["subgroup", "queries", "precision", "recall", "among the candidates"],
        rows,
    );
}

fn worst(page: &mut String, errors: &[Shown], args: &EvaluateArgs) {
    page.push_str("<h2 id=\"worst\">The worst errors</h2>");
    note(
        page,
        "False accepts of highest probability, then misses of lowest. A waterfall is of the accepted record, or of the \
         person's own. It shows comparison levels and weights.",
    );
    note(
        page,
        match (args.show_people, errors.iter().any(|error| error.explanation.is_some())) {
            (true, _) => "This page holds data of persons, because it was made with --show-people.",
            (false, true) => "Ids of queries and records are shown, but no person's data.",
            (false, false) => "No waterfalls: they need the Patients as queries, and the database.",
        },
    );
    for (at, shown) in errors.iter().enumerate() {
        one_error(page, at + 1, shown);
    }
}

fn one_error(page: &mut String, number: usize, shown: &Shown) {
    let error = &shown.error;
    let what = match error.error {
        ErrorKind::FalseAccept(kind) => format!("false accept ({})", kind.label()),
        ErrorKind::Miss => "miss".to_owned(),
    };
    let events = if error.events.is_empty() { "no error in it".to_owned() } else { error.events.join(", ") };
    let _ = write!(
        page,
        "<details{}><summary>{number}. {}: query {}, probability {:.6}; {}</summary>",
        if number == 1 { " open" } else { "" },
        escape(&what),
        escape(&error.query),
        error.probability,
        escape(&events.replace('_', " "))
    );
    if let Some([query, record]) = &shown.people {
        let rows = query
            .iter()
            .zip(record)
            .map(|((element, here), (_, there))| [(*element).to_owned(), here.clone(), there.clone()]);
        page.push_str("<div class=\"words\">");
        table(page, "What they say", ["element", "query", "record"], rows);
        page.push_str("</div>");
    }
    if let Some(explanation) = &shown.explanation {
        let _ = write!(page, "<div class=\"waterfall\">{}</div>", figure(explanation, &format!("-{number}")));
    }
    page.push_str("</details>\n");
}

fn weights(page: &mut String, model: &Model) {
    page.push_str("<h2 id=\"weights\">Weights of the model</h2>");
    note(
        page,
        "m is the probability of a level for records of one person, u for unrelated ones, and the weight log2(m/u). Of \
         equal names u is the frequency of the name. Results that were read from a file may come from another model.",
    );
    let levels = Comparison::ALL
        .into_iter()
        .flat_map(|comparison| comparison.levels().iter().map(move |level| (comparison, *level)));
    let rows = levels.map(|(comparison, level)| {
        let likelihood = model.likelihood(comparison, level);
        let [m, household, twin, u] = likelihood.all().map(|one| format!("{one:.3e}"));
        let name = format!("{}: {}", comparison.name(), level.name()).replace('_', " ");
        [name, m, household, twin, u, format!("{:+.2}", (likelihood.same / likelihood.unrelated).log2())]
    });
    let caption = format!("Model {}", model.version());
    table(page, &caption, ["level", "m", "household", "twin", "u", "weight"], rows);
}

/// A share with its 95 % interval (Wilson), which says how much a small group can tell.
fn with_interval(share: Share) -> String {
    const Z: f64 = 1.96;
    let Some(value) = share.value() else { return "-".to_owned() };
    let of = share.of as f64;
    let scale = 1.0 + Z * Z / of;
    let middle = (value + Z * Z / (2.0 * of)) / scale;
    let half = Z * (value * (1.0 - value) / of + Z * Z / (4.0 * of * of)).sqrt() / scale;
    format!("{value:.4} ({:.4} to {:.4})", (middle - half).max(0.0), (middle + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_wide_where_little_is_known() {
        for (count, of, text) in [
            (0, 0, "-"),
            (1, 1, "1.0000 (0.2065 to 1.0000)"),
            (5, 10, "0.5000 (0.2366 to 0.7634)"),
            (9990, 10_000, "0.9990 (0.9982 to 0.9995)"),
        ] {
            assert_eq!(with_interval(Share { count, of }), text);
        }
    }
}
