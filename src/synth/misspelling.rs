//! Single slips of the hand, the ear and the eye: wrong keys, names written by sound, letters read as others.
//!
//! Not here: which field slips and how often (see `corruption`).

use std::cmp::Ordering;

use super::origins::TRANSLITERATIONS;
use super::random::Rng;

const KEY_ROWS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// Spellings that sound alike, either way.
const SOUNDS_ALIKE: &[(&str, &str)] = &[
    ("ph", "f"),
    ("ck", "k"),
    ("c", "k"),
    ("y", "i"),
    ("ie", "y"),
    ("ei", "ie"),
    ("ss", "s"),
    ("ll", "l"),
    ("tt", "t"),
    ("nn", "n"),
    ("z", "s"),
    ("ea", "ee"),
    ("ou", "u"),
    ("gh", "g"),
    ("sch", "sh"),
    ("th", "t"),
    ("sen", "son"),
    ("er", "or"),
    ("x", "cks"),
    ("qu", "kw"),
    ("w", "v"),
    ("ey", "y"),
    ("a", "e"),
    ("j", "g"),
    ("mc", "mac"),
    ("rr", "r"),
    ("ai", "ay"),
    ("mm", "m"),
    ("b", "v"),
];

/// Characters a scanner takes for others, either way.
const LOOKS_ALIKE: &[(&str, &str)] = &[
    ("o", "0"),
    ("i", "1"),
    ("l", "1"),
    ("s", "5"),
    ("b", "8"),
    ("rn", "m"),
    ("vv", "w"),
    ("g", "6"),
    ("cl", "d"),
    ("z", "2"),
    ("nn", "m"),
    ("u", "v"),
    ("e", "c"),
];

/// The text with one typing error: wrong key, letter lost, letter doubled or added, or two letters exchanged.
pub(super) fn mistyped(rng: &mut Rng, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    if letters.len() < 2 {
        return text.to_owned();
    }
    // First letters are seen and corrected more often.
    let mut at = rng.index(letters.len());
    if at == 0 && rng.chance(600) {
        at = 1 + rng.index(letters.len() - 1);
    }
    match rng.below(100) {
        0..=27 => letters[at] = neighbour(rng, letters[at]),
        28..=47 if letters.len() > 2 => drop(letters.remove(at)),
        48..=57 => letters.insert(at, letters[at].to_ascii_lowercase()),
        58..=67 => {
            let near = neighbour(rng, letters[at]);
            letters.insert(at + 1, near.to_ascii_lowercase());
        }
        _ => {
            let first = at.min(letters.len() - 2);
            exchange(&mut letters, first);
        }
    }
    letters.into_iter().collect()
}

/// Exchanges two letters; a capital stays in its place.
fn exchange(letters: &mut [char], first: usize) {
    let is_capital = letters[first].is_uppercase();
    letters.swap(first, first + 1);
    if is_capital {
        letters[first].make_ascii_uppercase();
        letters[first + 1].make_ascii_lowercase();
    }
}

/// A key next to this one, in the same case.
fn neighbour(rng: &mut Rng, letter: char) -> char {
    let lower = letter.to_ascii_lowercase();
    let place = KEY_ROWS.iter().enumerate().find_map(|(row, keys)| keys.find(lower).map(|column| (row, column)));
    let Some((row, column)) = place else { return 'e' };
    let mut near: Vec<char> = Vec::with_capacity(6);
    for (other_row, keys) in KEY_ROWS.iter().enumerate().filter(|(other, _)| other.abs_diff(row) <= 1) {
        // Each row of a keyboard stands half a key to the right of the row above.
        let reach = match other_row.cmp(&row) {
            Ordering::Less => column..=column + 1,
            Ordering::Equal => column.saturating_sub(1)..=column + 1,
            Ordering::Greater => column.saturating_sub(1)..=column,
        };
        near.extend(reach.filter_map(|at| keys[at.min(keys.len())..].chars().next()).filter(|key| *key != lower));
    }
    let drawn = near.get(rng.index(near.len())).copied().unwrap_or('e');
    if letter.is_uppercase() { drawn.to_ascii_uppercase() } else { drawn }
}

/// The text written by sound.
pub(super) fn misheard(rng: &mut Rng, text: &str) -> String {
    replaced(rng, text, SOUNDS_ALIKE)
}

/// The text as a scanner reads it.
pub(super) fn misread(rng: &mut Rng, text: &str) -> String {
    replaced(rng, text, LOOKS_ALIKE)
}

/// One of the replacements that apply, at one of its places; a typing error when none applies.
fn replaced(rng: &mut Rng, text: &str, pairs: &[(&str, &str)]) -> String {
    let lower = text.to_lowercase();
    // Places are byte offsets of the lower-case text; they fit the text itself only while both have the same length.
    if lower.len() != text.len() {
        return mistyped(rng, text);
    }
    let both = pairs.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]);
    let places: Vec<(usize, &str, &str)> =
        both.flat_map(|(from, to)| lower.match_indices(from).map(move |(at, _)| (at, from, to))).collect();
    let Some((at, from, to)) = places.get(rng.index(places.len())) else { return mistyped(rng, text) };
    let Some((head, tail)) = text.get(..*at).zip(text.get(at + from.len()..)) else { return mistyped(rng, text) };
    let to = if *at == 0 { super::names::capitalised(to) } else { (*to).to_owned() };
    format!("{head}{to}{tail}")
}

/// Another spelling of a name from another script; the text itself when none is known.
pub(super) fn transliterated(rng: &mut Rng, text: &str) -> String {
    let written = |name: &str| name.replace('_', " ");
    let group = TRANSLITERATIONS.iter().find(|group| group.split(' ').any(|name| written(name) == text));
    let others: Vec<String> =
        group.into_iter().flat_map(|group| group.split(' ')).map(written).filter(|name| name != text).collect();
    others.get(rng.index(others.len())).cloned().unwrap_or_else(|| text.to_owned())
}

/// The text with another digit at one of these places.
pub(super) fn garbled_digit(rng: &mut Rng, text: &str, places: &[usize]) -> String {
    let at = places.get(rng.index(places.len())).copied().unwrap_or_default();
    let shift = 1 + u8::try_from(rng.below(9)).unwrap_or_default();
    let garble = |(place, letter): (usize, char)| match letter.to_digit(10) {
        Some(digit) if place == at => char::from(b'0' + (u8::try_from(digit).unwrap_or_default() + shift) % 10),
        _ => letter,
    };
    text.chars().enumerate().map(garble).collect()
}

#[cfg(test)]
mod tests {
    use super::super::random::Purpose;
    use super::*;

    #[test]
    fn a_typing_error_is_one_edit() {
        let mut rng = Rng::stream(1, Purpose::Query, 1);
        for text in ["Katherine", "Smith", "Li", "Muñoz", "O'Brien", "De la Cruz"] {
            for _ in 0..300 {
                let wrong = mistyped(&mut rng, text);
                let length = wrong.chars().count().abs_diff(text.chars().count());
                assert!(length <= 1, "{text} {wrong}");
            }
        }
        assert_eq!(mistyped(&mut rng, "A"), "A");
        assert_eq!(mistyped(&mut rng, ""), "");
    }

    #[test]
    fn neighbours_are_keys_beside_the_key() {
        let mut rng = Rng::stream(1, Purpose::Query, 2);
        for (key, near) in [('q', "wa"), ('S', "ADWEZX"), ('m', "njk"), ('p', "ol")] {
            for _ in 0..60 {
                assert!(near.contains(neighbour(&mut rng, key)), "{key}");
            }
        }
    }

    #[test]
    fn names_are_rewritten_by_sound_by_sight_and_by_script() {
        let mut rng = Rng::stream(1, Purpose::Query, 3);
        let heard: Vec<String> = (0..200).map(|_| misheard(&mut rng, "Philip")).collect();
        assert!(heard.contains(&"Filip".to_owned()) && heard.contains(&"Phylip".to_owned()), "{heard:?}");
        let seen: Vec<String> = (0..200).map(|_| misread(&mut rng, "Arnold")).collect();
        assert!(seen.contains(&"Amold".to_owned()) && seen.contains(&"Arno1d".to_owned()), "{seen:?}");
        assert_ne!(transliterated(&mut rng, "Mohammed"), "Mohammed");
        assert_eq!(transliterated(&mut rng, "Smith"), "Smith");
    }

    #[test]
    fn a_garbled_digit_changes_one_place() {
        let mut rng = Rng::stream(1, Purpose::Query, 4);
        for _ in 0..100 {
            let wrong = garbled_digit(&mut rng, "12345", &[1, 3]);
            let changed: Vec<usize> =
                wrong.chars().zip("12345".chars()).enumerate().filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect();
            assert!(changed == [1] || changed == [3], "{wrong}");
        }
    }
}
