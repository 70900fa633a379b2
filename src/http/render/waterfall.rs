//! An explanation as a picture: the waterfall of match weights as SVG, alone or in an HTML page with the same numbers.
//!
//! Self-contained: no script, nothing fetched, every text escaped. Prior, one bar for each comparison and the total stand
//! below each other; a bar begins where the one above it ended. What speaks against the match is hatched as well as
//! coloured and every weight has its sign, so nothing depends on telling colours apart; title, description and the table
//! of the page say the same to a screen reader. Not here: the numbers (see `matching::score`), Parameters (see
//! `explanation`).

use std::fmt::Write as _;

use crate::app::explain::Explanation;
use crate::matching::score::probability;

/// The media type of [`svg`].
pub const SVG: &str = "image/svg+xml";
/// The media type of [`html`].
pub const HTML: &str = "text/html; charset=utf-8";

const WIDTH: f64 = 980.0;
const MARGIN: f64 = 28.0;
const LEVEL_X: f64 = 178.0;
const PLOT_LEFT: f64 = 350.0;
const PLOT_RIGHT: f64 = 780.0;
const WEIGHT_X: f64 = 868.0;
const TOTAL_X: f64 = WIDTH - MARGIN;
const ROWS_TOP: f64 = 158.0;
const ROW_HEIGHT: f64 = 29.0;
const BAR_HEIGHT: f64 = 17.0;
const FOOTER_HEIGHT: f64 = 100.0;
/// Gridlines in the plot, about.
const TICKS_MAX: f64 = 6.0;
/// Beyond this weight all probabilities look alike.
const TOLD_APART_BITS: f64 = 15.0;

const INK: &str = "#1d232b";
const FAINT: &str = "#5b6470";
const GRID: &str = "#dfe3e8";
const BASE: &str = "#8d96a3";
const TOTAL: &str = "#39424e";
const FOR: &str = "#17708f";
const AGAINST: &str = "#b2431f";

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Explanation of a match</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;color:#1d232b;background:#fff;max-width:64rem;margin:0 auto;padding:1rem}
figure{margin:0 0 1rem}svg{width:100%;height:auto}
table{border-collapse:collapse;width:100%;margin:0 0 1.5rem}caption{text-align:left;font-weight:600;padding:.4rem 0}
th,td{padding:.25rem .6rem;border-bottom:1px solid #dfe3e8;text-align:left}
.n{text-align:right;font-variant-numeric:tabular-nums}tbody tr:last-child{font-weight:600}.plain tbody tr:last-child{font-weight:400}
</style></head><body><main>
"#;

/// One line of the chart.
#[derive(Debug, Clone, Copy)]
struct Row<'e> {
    name: &'e str,
    level: &'e str,
    kind: RowKind,
    from: f64,
    to: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowKind {
    Prior,
    For,
    Against,
    /// One side has nothing to compare.
    Absent,
    Total,
}

impl RowKind {
    fn fill(self, mark: &str) -> String {
        match self {
            Self::Prior => BASE.to_owned(),
            Self::For => FOR.to_owned(),
            Self::Against => format!("url(#against{mark})"),
            Self::Absent => "none".to_owned(),
            Self::Total => TOTAL.to_owned(),
        }
    }

    const fn ink(self) -> &'static str {
        match self {
            Self::For => FOR,
            Self::Against => AGAINST,
            Self::Absent => FAINT,
            Self::Prior | Self::Total => INK,
        }
    }
}

/// Bits to places on the page.
#[derive(Debug, Clone, Copy)]
struct Scale {
    least: f64,
    most: f64,
    step: f64,
}

impl Scale {
    fn of(rows: &[Row<'_>]) -> Self {
        let ends = rows.iter().flat_map(|row| [row.from, row.to]);
        let (least, most) = ends.fold((0.0_f64, 0.0_f64), |(least, most), end| (least.min(end), most.max(end)));
        let step = step((most - least) / TICKS_MAX);
        Self { least: (least / step).floor() * step, most: ((most / step).ceil() * step).max(step), step }
    }

    fn x(self, bits: f64) -> f64 {
        PLOT_LEFT + (bits - self.least) / (self.most - self.least) * (PLOT_RIGHT - PLOT_LEFT)
    }

    fn ticks(self) -> impl Iterator<Item = f64> {
        let count = ((self.most - self.least) / self.step).round() as i32;
        (0..=count).map(move |at| f64::from(at).mul_add(self.step, self.least))
    }
}

/// The least of 1, 2, 5, 10, 20, … that is not below `least`.
fn step(least: f64) -> f64 {
    let mut decade = 1.0;
    while decade * 10.0 < least {
        decade *= 10.0;
    }
    [1.0, 2.0, 5.0].into_iter().map(|factor| factor * decade).find(|step| *step >= least).unwrap_or(decade * 10.0)
}

/// The picture.
#[must_use]
pub fn svg(explanation: &Explanation) -> Vec<u8> {
    picture(explanation, "").into_bytes()
}

/// The picture as one of several in a page: `mark` makes its element ids its own.
#[must_use]
pub fn figure(explanation: &Explanation, mark: &str) -> String {
    format!("<figure>{}</figure>", picture(explanation, &escape(mark)))
}

/// The picture in a page, with its numbers as tables.
#[must_use]
pub fn html(explanation: &Explanation) -> Vec<u8> {
    let mut page = String::with_capacity(32 * 1024);
    page.push_str(HEAD);
    let _ = writeln!(page, "<figure>{}</figure>", picture(explanation, ""));
    weights_table(&mut page, explanation);
    attributes_table(&mut page, explanation);
    page.push_str("</main></body></html>\n");
    page.into_bytes()
}

fn rows(explanation: &Explanation) -> Vec<Row<'_>> {
    let waterfall = &explanation.waterfall;
    let mut rows = Vec::with_capacity(waterfall.bars.len() + 2);
    rows.push(Row { name: "prior", level: "", kind: RowKind::Prior, from: 0.0, to: waterfall.prior });
    let mut from = waterfall.prior;
    for bar in &waterfall.bars {
        let kind = match bar.level {
            "absent" => RowKind::Absent,
            _ if bar.weight < 0.0 => RowKind::Against,
            _ => RowKind::For,
        };
        rows.push(Row { name: bar.comparison, level: bar.level, kind, from, to: from + bar.weight });
        from += bar.weight;
    }
    rows.push(Row { name: "total", level: "", kind: RowKind::Total, from: 0.0, to: waterfall.total });
    rows
}

fn picture(explanation: &Explanation, mark: &str) -> String {
    let rows = rows(explanation);
    let scale = Scale::of(&rows);
    let rows_end = (rows.len() as f64).mul_add(ROW_HEIGHT, ROWS_TOP);
    let height = rows_end + FOOTER_HEIGHT;
    let mut out = String::with_capacity(24 * 1024);
    let _ = write!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title{mark} description{mark}" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="system-ui,'DejaVu Sans',sans-serif" font-size="13" fill="{INK}">"#
    );
    describe(&mut out, explanation, mark);
    let _ = write!(
        out,
        r##"<defs><pattern id="against{mark}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" fill="{AGAINST}"/><rect width="2" height="6" fill="#f0c3b3"/></pattern></defs><rect width="{WIDTH}" height="{height}" fill="#ffffff"/>"##,
    );
    heading(&mut out, explanation);
    grid(&mut out, scale, rows_end);
    for (at, row) in rows.iter().enumerate() {
        bar(&mut out, scale, row, mark, (at as f64).mul_add(ROW_HEIGHT, ROWS_TOP));
    }
    legend(&mut out, mark, rows_end + 58.0);
    out.push_str("</svg>");
    out
}

/// What a screen reader says of the picture.
fn describe(out: &mut String, explanation: &Explanation, mark: &str) {
    let _ = write!(
        out,
        r#"<title id="title{mark}">Explanation of the match with record {}</title><desc id="description{mark}">Waterfall of match weights in bits. Prior {}. "#,
        escape(&explanation.record),
        signed(explanation.waterfall.prior)
    );
    for bar in explanation.waterfall.bars.iter().filter(|bar| bar.level != "absent") {
        let _ = write!(out, "{}: {}, {}. ", words(bar.comparison), words(bar.level), signed(bar.weight));
    }
    let _ = write!(
        out,
        "Total {}, a match probability of {}; grade {}.</desc>",
        signed(explanation.waterfall.total),
        escape(&percent(explanation.probability)),
        escape(explanation.grade)
    );
}

fn heading(out: &mut String, explanation: &Explanation) {
    let verdict = format!(
        "Grade {} · score {:.2} · match probability {}",
        explanation.grade,
        explanation.score,
        percent(explanation.probability)
    );
    let row = explanation.row.map_or("no row of the table holds".to_owned(), |row| format!("row {row}"));
    let conflicts: Vec<&str> = explanation.capped_by.iter().map(|conflict| conflict.code()).collect();
    let capped = if conflicts.is_empty() { String::new() } else { format!(", capped by {}", conflicts.join(", ")) };
    let origin = format!("identity {} · model {}", explanation.identity, explanation.model);
    let lines = [
        (38.0, 20, INK, 600, format!("Why record {} has its score", explanation.record)),
        (63.0, 15, INK, 400, verdict),
        (84.0, 13, INK, 400, format!("{}{capped}", capitalised(&row))),
        (104.0, 12, FAINT, 400, capitalised(&origin)),
    ];
    for (y, size, ink, weight, line) in lines {
        let _ = write!(
            out,
            r#"<text x="{MARGIN}" y="{y}" font-size="{size}" font-weight="{weight}" fill="{ink}">{}</text>"#,
            escape(&line)
        );
    }
    let columns = [
        (MARGIN, "start", "Comparison"),
        (LEVEL_X, "start", "Level"),
        (WEIGHT_X, "end", "Weight"),
        (TOTAL_X, "end", "Total"),
    ];
    for (x, anchor, name) in columns {
        label(out, x, ROWS_TOP - 10.0, anchor, FAINT, name);
    }
}

/// Gridlines with bits below and the probability they stand for above.
fn grid(out: &mut String, scale: Scale, rows_end: f64) {
    for tick in scale.ticks() {
        let (x, ink) = (scale.x(tick), if tick.abs() < 1e-9 { FAINT } else { GRID });
        let _ = write!(
            out,
            r#"<line x1="{x:.1}" y1="{:.1}" x2="{x:.1}" y2="{rows_end:.1}" stroke="{ink}"/>"#,
            ROWS_TOP - 4.0
        );
        if tick.abs() <= TOLD_APART_BITS {
            label(out, x, ROWS_TOP - 10.0, "middle", FAINT, &percent(probability(tick.exp2())));
        }
        label(out, x, rows_end + 16.0, "middle", FAINT, &whole(tick));
    }
    let middle = f64::midpoint(PLOT_LEFT, PLOT_RIGHT);
    label(out, middle, ROWS_TOP - 27.0, "middle", FAINT, "match probability");
    label(
        out,
        middle,
        rows_end + 33.0,
        "middle",
        FAINT,
        "match weight in bits: one more doubles the odds, one less halves them",
    );
}

fn bar(out: &mut String, scale: Scale, row: &Row<'_>, mark: &str, top: f64) {
    let (from, to, base) = (scale.x(row.from), scale.x(row.to), top + 19.0);
    let weight = if row.kind == RowKind::Total { 600 } else { 400 };
    let name = capitalised(&words(row.name));
    let _ = write!(out, r#"<text x="{MARGIN}" y="{base:.1}" font-weight="{weight}">{}</text>"#, escape(&name));
    let level = if row.kind == RowKind::Absent { "not compared".to_owned() } else { words(row.level) };
    let _ = write!(out, r#"<text x="{LEVEL_X}" y="{base:.1}" fill="{FAINT}">{}</text>"#, escape(&level));
    if row.kind == RowKind::Absent {
        let middle = top + ROW_HEIGHT / 2.0;
        let _ = write!(out, r#"<circle cx="{to:.1}" cy="{middle:.1}" r="3.5" fill="none" stroke="{FAINT}"/>"#);
    } else {
        let (left, width) = (from.min(to), (from - to).abs().max(1.5));
        let (y, fill) = (top + (ROW_HEIGHT - BAR_HEIGHT) / 2.0, row.kind.fill(mark));
        let _ = write!(
            out,
            r#"<rect x="{left:.1}" y="{y:.1}" width="{width:.1}" height="{BAR_HEIGHT}" rx="1.5" fill="{fill}"/>"#
        );
    }
    if row.kind != RowKind::Total {
        let (end, start) = (top + f64::midpoint(ROW_HEIGHT, BAR_HEIGHT), top + ROW_HEIGHT * 1.5 - BAR_HEIGHT / 2.0);
        let _ = write!(
            out,
            r#"<line x1="{to:.1}" y1="{end:.1}" x2="{to:.1}" y2="{start:.1}" stroke="{FAINT}" stroke-dasharray="2 2"/>"#
        );
    }
    let shown = if row.kind == RowKind::Total { String::new() } else { signed(row.to - row.from) };
    number(out, WEIGHT_X, base, row.kind.ink(), &shown);
    number(out, TOTAL_X, base, INK, &signed(row.to));
}

fn legend(out: &mut String, mark: &str, top: f64) {
    let entries = [
        (MARGIN, RowKind::For, "speaks for the match (+)"),
        (MARGIN + 210.0, RowKind::Against, "speaks against it (\u{2212})"),
        (MARGIN + 390.0, RowKind::Prior, "prior: odds before any comparison"),
        (MARGIN + 655.0, RowKind::Total, "total: prior and all weights"),
    ];
    for (x, kind, text) in entries {
        let _ = write!(
            out,
            r#"<rect x="{x}" y="{:.1}" width="14" height="12" rx="1.5" fill="{}"/>"#,
            top - 10.0,
            kind.fill(mark)
        );
        label(out, x + 21.0, top, "start", INK, text);
    }
    let below = top + 22.0;
    let (cx, cy) = (MARGIN + 7.0, below - 4.0);
    let _ = write!(out, r#"<circle cx="{cx}" cy="{cy}" r="3.5" fill="none" stroke="{FAINT}"/>"#);
    label(out, MARGIN + 21.0, below, "start", INK, "not compared: one side has nothing, which is no evidence");
}

fn label(out: &mut String, x: f64, y: f64, anchor: &str, ink: &str, text: &str) {
    let _ = write!(
        out,
        r#"<text x="{x:.1}" y="{y:.1}" font-size="12" text-anchor="{anchor}" fill="{ink}">{}</text>"#,
        escape(text)
    );
}

fn number(out: &mut String, x: f64, y: f64, ink: &str, text: &str) {
    let _ = write!(
        out,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="end" fill="{ink}" style="font-variant-numeric:tabular-nums">{}</text>"#,
        escape(text)
    );
}

fn weights_table(page: &mut String, explanation: &Explanation) {
    page.push_str(
        "<table><caption>Match weights in bits</caption><thead><tr><th scope=\"col\">Comparison</th><th scope=\"col\">Level</th>\
         <th scope=\"col\" class=\"n\">m</th><th scope=\"col\" class=\"n\">u</th><th scope=\"col\" class=\"n\">Weight</th>\
         <th scope=\"col\" class=\"n\">Total</th></tr></thead><tbody>\n",
    );
    let waterfall = &explanation.waterfall;
    let row = |page: &mut String, cells: [String; 6]| {
        let [name, level, m, u, weight, total] = cells.map(|cell| escape(&cell));
        let _ = writeln!(
            page,
            r#"<tr><th scope="row">{name}</th><td>{level}</td><td class="n">{m}</td><td class="n">{u}</td><td class="n">{weight}</td><td class="n">{total}</td></tr>"#
        );
    };
    let none = String::new;
    let prior = signed(waterfall.prior);
    row(page, ["Prior".to_owned(), none(), none(), none(), prior.clone(), prior]);
    let mut total = waterfall.prior;
    for bar in &waterfall.bars {
        total += bar.weight;
        let (m, u) = (likelihood(bar.m), likelihood(bar.u));
        let level = if bar.level == "absent" { "not compared".to_owned() } else { words(bar.level) };
        row(page, [capitalised(&words(bar.comparison)), level, m, u, signed(bar.weight), signed(total)]);
    }
    row(page, ["Total".to_owned(), none(), none(), none(), none(), signed(waterfall.total)]);
    page.push_str("</tbody></table>\n");
}

fn attributes_table(page: &mut String, explanation: &Explanation) {
    page.push_str(
        "<table class=\"plain\"><caption>Attributes</caption><thead><tr><th scope=\"col\">Attribute</th>\
         <th scope=\"col\">Result</th></tr></thead><tbody>\n",
    );
    for (attribute, result) in &explanation.attributes {
        let (attribute, result) = (escape(&capitalised(&words(attribute))), escape(&words(result)));
        let _ = writeln!(page, r#"<tr><th scope="row">{attribute}</th><td>{result}</td></tr>"#);
    }
    page.push_str("</tbody></table>\n");
}

/// For XML and HTML, in text and in attributes; what XML cannot hold is replaced.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

/// `social_security` and `birth-date` as words.
fn words(name: &str) -> String {
    name.replace(['_', '-'], " ")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn likelihood(likelihood: f64) -> String {
    if likelihood < 0.001 { format!("{likelihood:.2e}") } else { format!("{likelihood:.4}") }
}

/// Bits with two decimals and a sign, which zero has not.
fn signed(bits: f64) -> String {
    let hundredths = (bits * 100.0).round();
    let sign = if hundredths > 0.0 {
        "+"
    } else if hundredths < 0.0 {
        "\u{2212}"
    } else {
        ""
    };
    format!("{sign}{:.2}", hundredths.abs() / 100.0)
}

fn whole(bits: f64) -> String {
    let sign = if bits < -0.5 { "\u{2212}" } else { "" };
    format!("{sign}{:.0}", bits.abs())
}

/// With as many decimals as keep it from looking certain or impossible, up to four.
fn percent(probability: f64) -> String {
    let doubt = probability.min(1.0 - probability) * 100.0;
    let decimals = [10.0, 1.0, 0.1, 0.01].into_iter().position(|bound| doubt >= bound).unwrap_or(4);
    match probability {
        p if p < 0.000_001 => "< 0.0001 %".to_owned(),
        p if p > 0.999_999 => "> 99.9999 %".to_owned(),
        p => format!("{:.decimals$} %", p * 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::explanation::tests::explanation;
    use super::*;

    #[test]
    fn several_pictures_of_a_page_share_no_id() {
        let page = format!("{}{}", figure(&explanation(), "-1"), figure(&explanation(), "-2"));
        for id in ["title-1", "title-2", "description-1", "description-2", "against-1", "against-2"] {
            assert_eq!(page.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
        }
        assert!(page.contains("url(#against-2)") && !page.contains("url(#against)"), "{page}");
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).expect("UTF-8")
    }

    /// The numbers in an attribute of every element of a kind.
    fn attributes(svg: &str, element: &str, name: &str) -> Vec<f64> {
        let (opening, attribute) = (format!("<{element} "), format!(" {name}=\""));
        let elements =
            svg.split(&opening).skip(1).map(|rest| format!(" {}", rest.split('>').next().unwrap_or_default()));
        elements.filter_map(|inside| inside.split(&attribute).nth(1)?.split('"').next()?.parse().ok()).collect()
    }

    #[test]
    fn a_bar_begins_where_the_one_above_it_ended_and_the_total_begins_at_zero() {
        let explanation = explanation();
        let rows = rows(&explanation);
        assert_eq!(rows.len(), explanation.waterfall.bars.len() + 2);
        for pair in rows.windows(2).take(rows.len() - 2) {
            assert!((pair[0].to - pair[1].from).abs() < 1e-12, "{pair:?}");
        }
        let (total, last) = (rows[rows.len() - 1], rows[rows.len() - 2]);
        assert!((total.to - last.to).abs() < 1e-9 && total.from == 0.0);
        let kinds: Vec<RowKind> = rows.iter().map(|row| row.kind).collect();
        let expected = [
            RowKind::Prior,
            RowKind::For,
            RowKind::For,
            RowKind::Absent,
            RowKind::For,
            RowKind::For,
            RowKind::Against,
            RowKind::Against,
            RowKind::Total,
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn everything_stays_within_the_picture_however_large_the_weights() {
        let mut explanation = explanation();
        for factor in [0.001, 1.0, 7.0, 1000.0] {
            for bar in &mut explanation.waterfall.bars {
                bar.weight *= factor;
            }
            let svg = text(svg(&explanation));
            let lefts = attributes(&svg, "rect", "x");
            let widths = attributes(&svg, "rect", "width");
            assert!(lefts.iter().chain(&attributes(&svg, "line", "x1")).all(|x| (0.0..=WIDTH).contains(x)), "{factor}");
            assert!(widths.iter().all(|width| (0.0..=WIDTH).contains(width)), "{factor}");
            let ticks = attributes(&svg, "line", "x1").len();
            assert!(ticks < 30, "{factor}: {ticks}");
        }
    }

    #[test]
    fn weights_have_their_sign_and_no_probability_looks_certain() {
        let table = [(1.234, "+1.23"), (-1.235_1, "\u{2212}1.24"), (0.0, "0.00"), (-0.001, "0.00")];
        for (bits, expected) in table {
            assert_eq!(signed(bits), expected);
        }
        let table = [
            (0.5, "50 %"),
            (0.95, "95.0 %"),
            (0.991_2, "99.12 %"),
            (0.999_9, "99.9900 %"),
            (0.999_999_9, "> 99.9999 %"),
            (1.0, "> 99.9999 %"),
            (0.000_02, "0.0020 %"),
            (0.0, "< 0.0001 %"),
        ];
        for (probability, expected) in table {
            assert_eq!(percent(probability), expected, "{probability}");
        }
        for (least, expected) in [(0.2, 1.0), (1.0, 1.0), (1.1, 2.0), (4.0, 5.0), (6.0, 10.0), (70.0, 100.0)] {
            assert!((step(least) - expected).abs() < 1e-9, "{least}");
        }
    }

    #[test]
    fn the_pictures_hold_what_the_explanation_says_and_nothing_active() {
        let explanation = explanation();
        for page in [text(svg(&explanation)), text(html(&explanation))] {
            for part in
                ["Birth date", "first of january", "not compared", "capped by social-security", "speaks against"]
            {
                assert!(page.contains(part), "{part} is missing");
            }
            assert_eq!(page.matches("<title id=").count(), 1);
            assert!(page.contains(&signed(explanation.waterfall.total)));
            let fetched = page.replace("http://www.w3.org/2000/svg", "");
            for refused in ["<script", "href", "http", "src=", "@import", "foreignObject", "onload", "onclick"] {
                assert!(!fetched.contains(refused), "{refused}");
            }
        }
    }

    #[test]
    fn no_text_can_become_markup() {
        let hostile = "\"'><script>&\u{0}\u{1b}";
        let explanation = Explanation {
            record: hostile.to_owned(),
            identity: hostile.to_owned(),
            model: hostile.to_owned(),
            ..explanation()
        };
        for page in [text(svg(&explanation)), text(html(&explanation))] {
            assert!(!page.contains("<script") && !page.contains('\u{0}') && !page.contains('\u{1b}'));
            assert!(page.contains("&quot;&#39;&gt;&lt;script&gt;&amp;\u{fffd}\u{fffd}"));
        }
    }
}
