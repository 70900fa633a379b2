//! The two charts of the report as SVG: precision over recall, and how the scores are spread.
//!
//! Colours come from the page's style, so that both are readable on light and on dark ground; series differ in pattern
//! too, and every chart says in words what it shows. Not here: the page around them.

use std::fmt::Write as _;

use crate::http::render::waterfall::escape;
use crate::matching::evaluation::{Accuracy, HistogramBin, Report, bits_of};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 840.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 325.0;
/// Baseline of the legend.
const LEGEND_Y: f64 = 18.0;
const LEGEND_WIDTH: f64 = 210.0;
/// How far below the marks the curve is drawn, as a multiple of what they lack of 1.
const SHOWN_BELOW: f64 = 4.0;
/// Steps that gridlines may have.
const STEPS: [f64; 8] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];
const GRIDLINES_MAX: f64 = 8.0;

/// A stretch of a share up to 1, with its gridlines.
#[derive(Debug, Clone, Copy)]
struct Axis {
    least: f64,
    step: f64,
}

impl Axis {
    /// From a little below the least value, so that the curve fills the chart.
    fn down_to(least: f64) -> Self {
        let span = (1.0 - least).max(0.005);
        let step = STEPS.into_iter().find(|step| span / step <= GRIDLINES_MAX).unwrap_or(0.2);
        Self { least: ((least / step).floor() * step).max(0.0), step }
    }

    /// Where a value stands, from 0 to 1.
    fn place(self, value: f64) -> f64 {
        ((value - self.least) / (1.0 - self.least)).clamp(0.0, 1.0)
    }

    fn ticks(self) -> impl Iterator<Item = f64> {
        let count = ((1.0 - self.least) / self.step).round() as i32;
        (0..=count).map(move |at| f64::from(at).mul_add(self.step, self.least))
    }
}

/// Precision over recall, with the threshold and the best F1 marked.
pub(super) fn curve(report: &Report) -> String {
    let points: Vec<(f64, f64)> = report.curve.iter().filter_map(place_of).collect();
    let marked = [("threshold", &report.at_threshold), ("best", &report.best)];
    // What lies far below the marks is cut off: the interesting part is near 1.
    let least = |pick: fn((f64, f64)) -> f64| {
        let marks = marked.iter().filter_map(|(_, accuracy)| place_of(accuracy)).map(pick).fold(1.0, f64::min);
        (1.0 - SHOWN_BELOW * (1.0 - marks)).max(0.0)
    };
    let (x, y) = (Axis::down_to(least(|place| place.0)), Axis::down_to(least(|place| place.1)));
    let at = |(recall, precision): (f64, f64)| {
        (x.place(recall).mul_add(RIGHT - LEFT, LEFT), (1.0 - y.place(precision)).mul_add(BOTTOM - TOP, TOP))
    };
    let mut out = open("curve", "Precision over recall", &described(report));
    for tick in x.ticks() {
        let (place, _) = at((tick, 1.0));
        grid_line(&mut out, (place, TOP), (place, BOTTOM));
        label(&mut out, (place, BOTTOM + 18.0), "middle", &format!("{tick:.3}"));
    }
    for tick in y.ticks() {
        let (_, place) = at((1.0, tick));
        grid_line(&mut out, (LEFT, place), (RIGHT, place));
        label(&mut out, (LEFT - 8.0, place + 4.0), "end", &format!("{tick:.3}"));
    }
    label(
        &mut out,
        (f64::midpoint(LEFT, RIGHT), BOTTOM + 42.0),
        "middle",
        "recall (rises to the right); precision (rises upwards)",
    );
    let inside = points.iter().filter(|(recall, precision)| *recall >= x.least && *precision >= y.least);
    let line: Vec<String> = inside.map(|point| at(*point)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = write!(out, r#"<polyline class="line" points="{}"/>"#, line.join(" "));
    for (class, accuracy) in marked {
        let Some(point) = place_of(accuracy) else { continue };
        let (x, y) = at(point);
        let _ = write!(out, r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="6"/>"#);
    }
    legend(&mut out, &[("threshold", "the threshold, not tuned"), ("best", "the best F1")]);
    out.push_str("</svg>");
    out
}

fn place_of(accuracy: &Accuracy) -> Option<(f64, f64)> {
    Some((accuracy.recall.value()?, accuracy.precision.value()?))
}

fn described(report: &Report) -> String {
    let said = |accuracy: &Accuracy| {
        format!("precision {}, recall {} at {:.4}", accuracy.precision, accuracy.recall, accuracy.threshold)
    };
    format!("At the threshold: {}. Best F1: {}.", said(&report.at_threshold), said(&report.best))
}

/// Right and other best answers by their log odds, on a logarithmic scale of counts.
pub(super) fn histogram(report: &Report) -> String {
    let bins = &report.histogram;
    let most = bins.iter().map(|bin| bin.matches.max(bin.non_matches)).max().unwrap_or(0).max(1);
    let top = (most as f64 + 1.0).log10().ceil().max(1.0);
    let height = |count: u64| (count as f64 + 1.0).log10() / top * (BOTTOM - TOP);
    let slot = (RIGHT - LEFT) / bins.len().max(1) as f64;
    let mut out = open("histogram", "Best answers by score", &told(bins));
    for exponent in 0..=top as i32 {
        let count = 10_u64.pow(exponent.unsigned_abs());
        let y = BOTTOM - height(count);
        grid_line(&mut out, (LEFT, y), (RIGHT, y));
        label(&mut out, (LEFT - 8.0, y + 4.0), "end", &count.to_string());
    }
    for (at, bin) in bins.iter().enumerate() {
        let left = (at as f64).mul_add(slot, LEFT);
        for (class, count, x) in [("matches", bin.matches, left + 1.0), ("others", bin.non_matches, left + slot / 2.0)]
        {
            let (tall, width) = (height(count), slot / 2.0 - 1.0);
            let y = BOTTOM - tall;
            let _ = write!(
                out,
                r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{tall:.1}"><title>{count}</title></rect>"#
            );
        }
        if at % 3 == 0 {
            label(&mut out, (left, BOTTOM + 18.0), "middle", &format!("{:.0}", bin.from_bits));
        }
    }
    if let Some(first) = bins.first() {
        let bits = bits_of(report.at_threshold.threshold);
        let x = (bits - first.from_bits) / (first.to_bits - first.from_bits) * slot + LEFT;
        let _ = write!(out, r#"<line class="mark" x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{BOTTOM}"/>"#);
    }
    label(
        &mut out,
        (f64::midpoint(LEFT, RIGHT), BOTTOM + 42.0),
        "middle",
        "log odds of the best answer, in bits; counts on a logarithmic scale",
    );
    legend(&mut out, &[("matches", "the person"), ("others", "somebody else"), ("mark", "threshold")]);
    out.push_str("</svg>");
    out
}

fn told(bins: &[HistogramBin]) -> String {
    let (matches, others) =
        bins.iter().fold((0, 0), |(matches, others), bin| (matches + bin.matches, others + bin.non_matches));
    format!("{matches} best answers are the person, {others} are not; the table of the page has the sums.")
}

fn open(id: &str, title: &str, description: &str) -> String {
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{id}-title {id}-text" viewBox="0 0 {WIDTH} {HEIGHT}"><title id="{id}-title">{}</title><desc id="{id}-text">{}</desc><defs><pattern id="{id}-hatched" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" class="others-ground"/><rect width="2" height="6" class="others-line"/></pattern></defs>"#,
        escape(title),
        escape(description)
    )
}

fn grid_line(out: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = write!(out, r#"<line class="grid" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#);
}

fn label(out: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let _ = write!(out, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#, escape(text));
}

fn legend(out: &mut String, entries: &[(&str, &str)]) {
    for (at, (class, text)) in entries.iter().enumerate() {
        let (x, y) = ((at as f64).mul_add(LEGEND_WIDTH, LEFT + 8.0), LEGEND_Y);
        let _ = match *class {
            "threshold" | "best" => write!(out, r#"<circle class="{class}" cx="{x}" cy="{}" r="6"/>"#, y - 4.0),
            "mark" => write!(out, r#"<line class="mark" x1="{x}" y1="{}" x2="{x}" y2="{}"/>"#, y - 11.0, y + 3.0),
            _ => write!(out, r#"<rect class="{class}" x="{}" y="{}" width="13" height="12"/>"#, x - 6.0, y - 10.0),
        };
        label(out, (x + 14.0, y), "start", text);
    }
}
