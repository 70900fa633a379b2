//! Precision and recall over many thresholds, and how probabilities are spread over right and wrong answers.
//!
//! Both stand on a scale of log odds in bits, because nearly all probabilities are close to 0 or to 1. Not here: what is
//! right (see the parent module), drawing.

use serde::Serialize;

use super::report::Accuracy;

/// The scale of the curve and of the histogram. Below and above, the outermost step takes all.
const BITS_MIN: i32 = -20;
const BITS_MAX: i32 = 40;
/// Thresholds of the curve in one bit.
const POINTS_A_BIT: i32 = 4;
/// Width of one bin of the histogram.
const BIN_BITS: usize = 2;
/// Bins of the histogram.
const BINS: usize = (BITS_MAX - BITS_MIN) as usize / BIN_BITS;

/// How many best answers have log odds in one stretch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HistogramBin {
    /// From these log odds on, in bits; the first bin takes all below.
    pub from_bits: f64,
    /// Up to these, exclusive; the last bin takes all above.
    pub to_bits: f64,
    /// The best identity is the person, and nobody else.
    pub matches: u64,
    pub non_matches: u64,
}

/// One point a threshold, rising; thresholds between which nothing changes are left out.
pub(super) fn curve(accuracy: impl Fn(f64) -> Accuracy) -> Vec<Accuracy> {
    let mut points: Vec<Accuracy> = Vec::new();
    for step in BITS_MIN * POINTS_A_BIT..=BITS_MAX * POINTS_A_BIT {
        let point = accuracy(probability_of(f64::from(step) / f64::from(POINTS_A_BIT)));
        if point.precision.of == 0 {
            break;
        }
        if points.last().is_none_or(|last| last.precision != point.precision) {
            points.push(point);
        }
    }
    points
}

/// Counts answers, each a probability and whether it is right.
pub(super) fn histogram(answers: impl Iterator<Item = (f64, bool)>) -> Vec<HistogramBin> {
    let edge = |bin: usize| f64::from(BITS_MIN) + (bin * BIN_BITS) as f64;
    let empty = |bin| HistogramBin { from_bits: edge(bin), to_bits: edge(bin + 1), matches: 0, non_matches: 0 };
    let mut bins: Vec<HistogramBin> = (0..BINS).map(empty).collect();
    for (probability, is_right) in answers.filter(|(probability, _)| !probability.is_nan()) {
        let at = bins.iter().rposition(|bin| bits_of(probability) >= bin.from_bits).unwrap_or(0);
        let bin = &mut bins[at];
        let counted = if is_right { &mut bin.matches } else { &mut bin.non_matches };
        *counted += 1;
    }
    bins
}

fn probability_of(bits: f64) -> f64 {
    1.0 / (1.0 + (-bits).exp2())
}

/// Log odds; a probability of 1 has infinite ones.
#[must_use]
pub fn bits_of(probability: f64) -> f64 {
    (probability / (1.0 - probability)).log2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_in_one_bin_and_the_outermost_take_the_rest() {
        let answers =
            [(0.0, false), (1e-9, false), (0.5, true), (0.5, false), (0.95, true), (1.0, true), (f64::NAN, true)];
        let bins = histogram(answers.into_iter());
        let filled: Vec<_> = bins
            .iter()
            .filter(|bin| bin.matches + bin.non_matches > 0)
            .map(|bin| (bin.from_bits, bin.matches, bin.non_matches))
            .collect();
        assert_eq!(filled, [(-20.0, 0, 2), (0.0, 1, 1), (4.0, 1, 0), (38.0, 1, 0)]);
        assert_eq!(bins.len(), BINS);
        assert!(bins.windows(2).all(|pair| pair[0].to_bits.total_cmp(&pair[1].from_bits).is_eq()));
    }

    #[test]
    fn the_curve_keeps_a_point_where_something_changes() {
        let answers = [(0.5, false), (0.9, true), (0.99, true)];
        let at = |threshold: f64| {
            let accepted = answers.iter().filter(|(probability, _)| *probability >= threshold);
            Accuracy::new(
                threshold,
                accepted.clone().filter(|(_, right)| *right).count() as u64,
                accepted.count() as u64,
                4,
            )
        };
        let points: Vec<_> = curve(at).iter().map(|point| (point.precision.count, point.precision.of)).collect();
        assert_eq!(points, [(2, 3), (2, 2), (1, 1)]);
        assert!(curve(|threshold| Accuracy::new(threshold, 0, 0, 4)).is_empty());
    }

    #[test]
    fn log_odds_and_probability_are_inverse() {
        for bits in [-20.0, -1.5, 0.0, 4.25, 40.0] {
            assert!((bits_of(probability_of(bits)) - bits).abs() < 1e-3, "{bits}");
        }
    }
}
