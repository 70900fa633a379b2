//! Similarity of two short strings: Jaro-Winkler and the optimal string alignment distance.
//!
//! What: the two measures the comparisons need, without allocation for ASCII of up to 64 bytes, which nearly every
//! normalised value is. Why: scoring compares thousands of values per millisecond. Jaro-Winkler of anything else falls
//! back to strsim, which is also the reference in the tests. Both measures take time with the product of the lengths:
//! longer texts than any normalised value are alike only when equal. Not here: what a similarity means (see
//! `comparison`).

const SHORT_BYTES_MAX: usize = 64;
/// Longer texts are not compared.
const BYTES_MAX: usize = 256;
/// What sums of a few fractions may be off.
const ROUNDING: f64 = 1e-9;

/// Jaro-Winkler similarity (0 to 1) of two texts in UTF-8, where it is at least `min`.
#[must_use]
pub fn jaro_winkler_from(a: &[u8], b: &[u8], min: f64) -> Option<f64> {
    let reached = |similarity: f64| Some(similarity).filter(|similarity| *similarity >= min);
    if a == b || a.len() > BYTES_MAX || b.len() > BYTES_MAX {
        return reached(if a == b { 1.0 } else { 0.0 });
    }
    // Which letters Jaro's greedy walk pairs can depend on where it begins: a pair of values has one similarity.
    let (a, b) = if a <= b { (a, b) } else { (b, a) };
    if !is_short_ascii(a) || !is_short_ascii(b) {
        return reached(strsim::jaro_winkler(text(a), text(b)));
    }
    let prefix = a.iter().zip(b).take(4).take_while(|(x, y)| x == y).count();
    let with_prefix = |jaro: f64| if jaro <= 0.7 { jaro } else { (1.0 - jaro).mul_add(0.1 * small(prefix), jaro) };
    if with_prefix(jaro_at_most(a, b)) < min - ROUNDING {
        return None;
    }
    reached(with_prefix(jaro(a, b)))
}

/// The optimal string alignment distance (insert, delete, replace, swap neighbours) of two texts in UTF-8 when it is at
/// most `max`.
#[must_use]
pub fn osa_within(a: &[u8], b: &[u8], max: usize) -> Option<usize> {
    if a == b {
        return Some(0);
    }
    // A letter has at most four bytes.
    if a.len() > BYTES_MAX || b.len() > BYTES_MAX || a.len().abs_diff(b.len()) > max * 4 {
        return None;
    }
    if is_short_ascii(a) && is_short_ascii(b) {
        // An edit takes away one kind of letter at most, and brings another.
        let differing = (kinds_of(a) ^ kinds_of(b)).count_ones() as usize;
        return if differing > max * 2 { None } else { osa::<_, { SHORT_BYTES_MAX + 1 }>(a, b, max) };
    }
    let letters = |bytes: &[u8]| text(bytes).chars().collect::<Vec<char>>();
    osa::<_, { BYTES_MAX + 1 }>(&letters(a), &letters(b), max)
}

/// Texts come from normalised values, which are UTF-8.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn is_short_ascii(text: &[u8]) -> bool {
    text.len() <= SHORT_BYTES_MAX && text.is_ascii()
}

/// A bit for each kind of letter in `text`; some kinds share one.
fn kinds_of(text: &[u8]) -> u64 {
    text.iter().fold(0, |kinds, byte| kinds | 1 << (byte & 63))
}

/// What Jaro's similarity is at most: every letter that occurs in the other text is paired with one, in order.
fn jaro_at_most(a: &[u8], b: &[u8]) -> f64 {
    let (kinds_a, kinds_b) = (kinds_of(a), kinds_of(b));
    let shared = |text: &[u8], kinds: u64| text.iter().filter(|byte| kinds & 1 << (**byte & 63) != 0).count();
    let matches = small(shared(a, kinds_b).min(shared(b, kinds_a)));
    (matches / small(a.len().max(1)) + matches / small(b.len().max(1)) + 1.0) / 3.0
}

#[allow(clippy::cast_precision_loss, reason = "at most 64")]
const fn small(count: usize) -> f64 {
    count as f64
}

fn jaro(a: &[u8], b: &[u8]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return if a.len() == b.len() { 1.0 } else { 0.0 };
    }
    let reach = (a.len().max(b.len()) / 2).saturating_sub(1);
    let (mut taken_a, mut taken_b) = (0_u64, 0_u64);
    for (i, byte) in a.iter().enumerate() {
        let window = i.saturating_sub(reach)..(i + reach + 1).min(b.len());
        if let Some(j) = window.into_iter().find(|j| taken_b & (1 << j) == 0 && b[*j] == *byte) {
            taken_a |= 1 << i;
            taken_b |= 1 << j;
        }
    }
    let matches = taken_a.count_ones();
    if matches == 0 {
        return 0.0;
    }
    let matches = f64::from(matches);
    let moved = f64::from(out_of_order(a, b, taken_a, taken_b) / 2);
    (matches / small(a.len()) + matches / small(b.len()) + (matches - moved) / matches) / 3.0
}

fn out_of_order(a: &[u8], b: &[u8], mut taken_a: u64, mut taken_b: u64) -> u32 {
    let mut differing = 0;
    while taken_a != 0 {
        let (i, j) = (taken_a.trailing_zeros() as usize, taken_b.trailing_zeros() as usize);
        differing += u32::from(a[i] != b[j]);
        taken_a &= taken_a - 1;
        taken_b &= taken_b - 1;
    }
    differing
}

/// Only cells at most `max` from the diagonal can be part of a distance of at most `max`; `N` is a cell more than the
/// longer text has letters.
#[allow(clippy::cast_possible_truncation, reason = "lengths are at most 256")]
fn osa<T: PartialEq, const N: usize>(a: &[T], b: &[T], max: usize) -> Option<usize> {
    const FAR: u16 = u16::MAX / 2;
    let (a, b) = without_common_ends(a, b);
    if a.len().abs_diff(b.len()) > max {
        return None;
    }
    if a.is_empty() || b.is_empty() {
        return Some(a.len().max(b.len()));
    }
    // The last three rows, each in the place of the one before the last two.
    let mut rows = [[FAR; N]; 3];
    for (j, cell) in rows[0].iter_mut().enumerate().take(b.len().min(max) + 1) {
        *cell = j as u16;
    }
    for i in 1..=a.len() {
        let (before, last, row) = ((i + 1) % 3, (i + 2) % 3, i % 3);
        let (first, end) = (i.saturating_sub(max).max(1), (i + max).min(b.len()));
        rows[row][first - 1] = if i <= max { i as u16 } else { FAR };
        let mut best = rows[row][first - 1];
        for j in first..=end {
            let replace = rows[last][j - 1] + u16::from(a[i - 1] != b[j - 1]);
            let mut cell = replace.min(rows[last][j] + 1).min(rows[row][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cell = cell.min(rows[before][j - 2] + 1);
            }
            rows[row][j] = cell;
            best = best.min(cell);
        }
        if end < b.len() {
            rows[row][end + 1] = FAR;
        }
        if usize::from(best) > max + 1 {
            return None;
        }
    }
    Some(usize::from(rows[a.len() % 3][b.len()])).filter(|distance| *distance <= max)
}

/// What is left of both without the beginning and the end that they share: the distance is that of the rest.
fn without_common_ends<'t, T: PartialEq>(a: &'t [T], b: &'t [T]) -> (&'t [T], &'t [T]) {
    let same = |(x, y): &(&T, &T)| x == y;
    let start = a.iter().zip(b).take_while(same).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
    (&a[..a.len() - end], &b[..b.len() - end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_measures_agree_with_the_reference(a in "[a-d]{0,12}", b in "[a-d]{0,12}", c in "\\PC{0,8}", d in "[aä]{60,80}", e in "[aä]{60,80}") {
            for (x, y) in [(&a, &b), (&a, &c), (&c, &c), (&d, &e), (&d, &(d.replacen('ä', "a", 2)))] {
                let (x, y) = (x.as_str(), y.as_str());
                let expected = strsim::jaro_winkler(x.min(y), x.max(y));
                for min in [0.0, 0.5, 0.7, 0.8, 0.9, 0.94, expected] {
                    let similarity = jaro_winkler_from(x.as_bytes(), y.as_bytes(), min);
                    let is_reached = expected >= min;
                    prop_assert!((expected - min).abs() < 1e-9 || similarity.is_some() == is_reached, "{x:?} {y:?} {min}");
                    prop_assert!(similarity.is_none_or(|similarity| (similarity - expected).abs() < 1e-9), "{x:?} {y:?}");
                }
                for max in 0..4 {
                    let expected = Some(strsim::osa_distance(x, y)).filter(|distance| *distance <= max);
                    prop_assert_eq!(osa_within(x.as_bytes(), y.as_bytes(), max), expected);
                }
            }
        }
    }

    #[test]
    fn texts_longer_than_any_normalised_value_are_alike_only_when_equal() {
        let long = |end: &str| "a".repeat(256) + end;
        let (x, y) = (long("x").into_bytes(), long("y").into_bytes());
        assert_eq!((osa_within(&x, &y, 2), osa_within(&x, &x, 2)), (None, Some(0)));
        assert_eq!((jaro_winkler_from(&x, &y, 0.1), jaro_winkler_from(&x, &x, 0.9)), (None, Some(1.0)));
    }

    #[test]
    fn neighbouring_letters_swapped_are_one_edit() {
        assert_eq!(osa_within(b"michael", b"micheal", 2), Some(1));
        assert_eq!(osa_within(b"smith", b"smithson", 2), None);
    }
}
