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

/// Jaro-Winkler similarity, 0 to 1.
#[must_use]
pub fn jaro_winkler(a: &str, b: &str) -> f64 {
    if a.len() > BYTES_MAX || b.len() > BYTES_MAX {
        return if a == b { 1.0 } else { 0.0 };
    }
    // Which letters Jaro's greedy walk pairs can depend on where it begins: a pair of values has one similarity.
    let (a, b) = if a <= b { (a, b) } else { (b, a) };
    if !is_short_ascii(a) || !is_short_ascii(b) {
        return strsim::jaro_winkler(a, b);
    }
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let jaro = jaro(a, b);
    if jaro <= 0.7 {
        return jaro;
    }
    let prefix = a.iter().zip(b).take(4).take_while(|(x, y)| x == y).count();
    (1.0 - jaro).mul_add(0.1 * small(prefix), jaro)
}

/// The optimal string alignment distance (insert, delete, replace, swap neighbours) when it is at most `max`.
#[must_use]
pub fn osa_within(a: &str, b: &str, max: usize) -> Option<usize> {
    if a.len() > BYTES_MAX || b.len() > BYTES_MAX {
        return (a == b).then_some(0);
    }
    // A letter has at most four bytes.
    if a.len().abs_diff(b.len()) > max * 4 {
        return None;
    }
    if is_short_ascii(a) && is_short_ascii(b) {
        return osa::<_, { SHORT_BYTES_MAX + 1 }>(a.as_bytes(), b.as_bytes(), max);
    }
    let letters = |text: &str| text.chars().collect::<Vec<char>>();
    osa::<_, { BYTES_MAX + 1 }>(&letters(a), &letters(b), max)
}

fn is_short_ascii(text: &str) -> bool {
    text.len() <= SHORT_BYTES_MAX && text.is_ascii()
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
    if a.len().abs_diff(b.len()) > max {
        return None;
    }
    let (mut before, mut last, mut row) = ([FAR; N], [FAR; N], [FAR; N]);
    for (j, cell) in last.iter_mut().enumerate().take(b.len().min(max) + 1) {
        *cell = j as u16;
    }
    for i in 1..=a.len() {
        let (first, end) = (i.saturating_sub(max).max(1), (i + max).min(b.len()));
        row[first - 1] = if i <= max { i as u16 } else { FAR };
        let mut best = row[first - 1];
        for j in first..=end {
            let replace = last[j - 1] + u16::from(a[i - 1] != b[j - 1]);
            let mut cell = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cell = cell.min(before[j - 2] + 1);
            }
            row[j] = cell;
            best = best.min(cell);
        }
        if end < b.len() {
            row[end + 1] = FAR;
        }
        if usize::from(best) > max + 1 {
            return None;
        }
        (before, last, row) = (last, row, before);
    }
    Some(usize::from(last[b.len()])).filter(|distance| *distance <= max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_measures_agree_with_the_reference(a in "[a-d]{0,12}", b in "[a-d]{0,12}", c in "\\PC{0,8}", d in "[aä]{60,80}", e in "[aä]{60,80}") {
            for (x, y) in [(&a, &b), (&a, &c), (&c, &c), (&d, &e), (&d, &(d.replacen('ä', "a", 2)))] {
                prop_assert!((jaro_winkler(x, y) - strsim::jaro_winkler(x, y)).abs() < 1e-9, "{x:?} {y:?}");
                for max in 0..4 {
                    let expected = Some(strsim::osa_distance(x, y)).filter(|distance| *distance <= max);
                    prop_assert_eq!(osa_within(x, y, max), expected);
                }
            }
        }
    }

    #[test]
    fn texts_longer_than_any_normalised_value_are_alike_only_when_equal() {
        let long = |end: &str| "a".repeat(256) + end;
        assert_eq!((osa_within(&long("x"), &long("y"), 2), osa_within(&long("x"), &long("x"), 2)), (None, Some(0)));
        assert!(jaro_winkler(&long("x"), &long("y")) < 0.1 && jaro_winkler(&long("x"), &long("x")) > 0.9);
    }

    #[test]
    fn neighbouring_letters_swapped_are_one_edit() {
        assert_eq!(osa_within("michael", "micheal", 2), Some(1));
        assert_eq!(osa_within("smith", "smithson", 2), None);
    }
}
