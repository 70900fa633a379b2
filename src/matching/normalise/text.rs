//! Folding of text: NFKC, case, diacritics, invisible characters; tokens; letters that imitate Latin ones.
//!
//! Why: two systems write the same name with different code points. A word that mixes Latin with imitating letters of
//! another script is read as Latin, and flagged: a spoofed name may find, never prove. Not here: what a token means.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::fhir::fold::is_invisible;
use crate::matching::dictionary::wide_hash;

/// Text read longer than this is cut: no name or address line needs more (characters).
const TEXT_CHARS_MAX: usize = 256;

/// What folding saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    Plain,
    /// Latin letters and look-alikes of another script stood in one word.
    Imitated,
}

/// Lower-case words of letters and digits; apostrophes and full stops vanish, everything else separates.
#[must_use]
pub fn tokens(text: &str) -> (Vec<String>, Script) {
    let folded = fold(text);
    let mut script = Script::Plain;
    let mut words = Vec::new();
    let mut word = String::new();
    for c in folded.chars().chain(std::iter::once(' ')) {
        if c.is_alphanumeric() {
            word.push(c);
        } else if !is_joiner(c) && !word.is_empty() {
            let (clean, seen) = latin(std::mem::take(&mut word));
            if seen == Script::Imitated {
                script = seen;
            }
            words.push(clean);
        }
    }
    (words, script)
}

/// NFKC, lower case, no diacritics, no invisible characters, cut at 256 characters. Applying it twice changes nothing.
#[must_use]
pub fn fold(text: &str) -> String {
    fold_within(text, TEXT_CHARS_MAX)
}

/// The same of the whole text, for values of which every character counts.
#[must_use]
pub fn fold_whole(text: &str) -> String {
    fold_within(text, usize::MAX)
}

/// A text of at most `chars_max` characters: of a longer one the beginning and a 128-bit hash of the whole, so that two
/// long texts are equal only when all of them is.
#[must_use]
pub fn bounded(text: String, chars_max: usize) -> String {
    const HASH_CHARS: usize = 32;
    if text.len() <= chars_max || text.chars().count() <= chars_max {
        return text;
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(HASH_CHARS)).collect();
    format!("{kept}{:032x}", wide_hash(text.as_bytes()))
}

fn fold_within(text: &str, chars_max: usize) -> String {
    if text.is_ascii() {
        return text.chars().take(chars_max).map(|c| c.to_ascii_lowercase()).collect();
    }
    let mut folded = fold_once(text, chars_max);
    // A compatibility form may lower-case into another one; two more rounds settle every assigned character.
    for _ in 0..2 {
        let again = fold_once(&folded, chars_max);
        if again == folded {
            break;
        }
        folded = again;
    }
    folded
}

fn fold_once(text: &str, chars_max: usize) -> String {
    let lower: String =
        text.nfkc().take(chars_max).filter(|c| !is_invisible(*c)).flat_map(char::to_lowercase).collect();
    let mut folded = String::with_capacity(lower.len());
    for c in lower.nfkd().filter(|c| !is_combining_mark(*c) && !is_invisible(*c)).take(chars_max) {
        match special(c) {
            Some(letters) => folded.push_str(letters),
            None => folded.push(c),
        }
    }
    folded
}

const fn is_joiner(c: char) -> bool {
    matches!(c, '\'' | '.' | '`' | '´' | '‘' | '’' | 'ʻ' | 'ʼ' | 'ʹ' | '′' | '·')
}

const fn special(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ı' => "i",
        'ħ' => "h",
        'ŧ' => "t",
        _ => return None,
    })
}

/// Reads look-alikes in a word that also has Latin letters as the Latin letters they imitate.
fn latin(word: String) -> (String, Script) {
    if word.is_ascii() || !word.chars().any(|c| c.is_ascii_alphabetic()) || !word.chars().any(|c| imitates(c).is_some())
    {
        return (word, Script::Plain);
    }
    (word.chars().map(|c| imitates(c).unwrap_or(c)).collect(), Script::Imitated)
}

/// The Latin letter that a Cyrillic or Greek one looks like, in lower or upper case (Unicode TR 39 idea).
const fn imitates(c: char) -> Option<char> {
    Some(match c {
        'а' | 'α' => 'a',
        'в' | 'β' => 'b',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' | 'ε' | 'є' => 'e',
        'һ' | 'н' | 'η' => 'h',
        'і' | 'ι' => 'i',
        'ј' => 'j',
        'к' | 'κ' => 'k',
        'ӏ' => 'l',
        'м' | 'μ' => 'm',
        'ո' => 'n',
        'о' | 'ο' | 'օ' => 'o',
        'р' | 'ρ' => 'p',
        'ԛ' => 'q',
        'ѕ' => 's',
        'т' | 'τ' => 't',
        'υ' => 'u',
        'ν' => 'v',
        'ѡ' | 'ω' | 'ԝ' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'γ' => 'y',
        'ζ' => 'z',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_folded_and_separated() {
        let table: &[(&str, &[&str], Script)] = &[
            ("José  MÜLLER", &["jose", "muller"], Script::Plain),
            ("O'Brien-St. John", &["obrien", "st", "john"], Script::Plain),
            ("D’Angelo", &["dangelo"], Script::Plain),
            ("Straße Łódź", &["strasse", "lodz"], Script::Plain),
            ("Ｆｕｌｌ ﬁsh", &["full", "fish"], Script::Plain),
            ("Ma\u{200b}ry\u{202e} Ann", &["mary", "ann"], Script::Plain),
            ("Mаry", &["mary"], Script::Imitated),
            ("Мария", &["мария"], Script::Plain),
            ("--- ", &[], Script::Plain),
        ];
        for (text, expected, script) in table {
            let (words, seen) = tokens(text);
            assert_eq!(
                (words.iter().map(String::as_str).collect::<Vec<_>>(), seen),
                (expected.to_vec(), *script),
                "{text}"
            );
        }
    }

    #[test]
    fn long_texts_are_bounded_and_stay_different() {
        let long = |end: &str| "ä".repeat(300) + end;
        let (a, b) = (bounded(long("a"), 64), bounded(long("b"), 64));
        assert_eq!((a.chars().count(), b.chars().count()), (64, 64));
        assert_ne!(a, b);
        assert_eq!(bounded(a.clone(), 64), a, "twice");
        assert_eq!(bounded("ä".repeat(64), 64), "ä".repeat(64));
        assert_eq!((fold(&long("")).chars().count(), fold_whole(&long("x")).chars().count()), (256, 301));
    }

    proptest! {
        #[test]
        fn folding_and_tokens_change_nothing_the_second_time(text in "\\PC{0,40}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once.clone());
            let words = tokens(&text).0.join(" ");
            prop_assert_eq!(tokens(&words).0.join(" "), words);
        }
    }
}
