//! Folding text for search: FHIR string parameters ignore case, accents and combining marks (FHIR R4 Search, string).
//!
//! Not here: the matcher's normalisation, which knows names and places (see `matching::normalise`).

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// `text` without case, accents, invisible characters and outer blanks; inner blanks become one space.
#[must_use]
pub fn fold(text: &str) -> String {
    let visible = text.nfkd().filter(|c| !is_combining_mark(*c) && !is_invisible(*c));
    let plain: String = visible.flat_map(char::to_lowercase).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Bidirectional controls, zero-width characters, soft hyphen, variation selectors, and controls that are no blanks.
#[must_use]
pub const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{0}'..='\u{8}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{9f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_and_blanks_do_not_count() {
        for (given, folded) in [
            ("Muñoz", "munoz"),
            ("  VAN   der\tBerg ", "van der berg"),
            ("ﬁ", "fi"),
            ("An\u{200b}na\u{202c}", "anna"),
            ("", ""),
        ] {
            assert_eq!(fold(given), folded);
            assert_eq!(fold(&fold(given)), folded, "folding twice changes nothing");
        }
    }
}
