//! Folding text for search: FHIR string parameters ignore case, accents and combining marks (FHIR R4 Search, string).
//!
//! Not here: the matcher's normalisation, which knows names and places (see `matching::normalise`).

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// `text` without case, accents and outer blanks; inner blanks become one space.
#[must_use]
pub fn fold(text: &str) -> String {
    let plain: String = text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_and_blanks_do_not_count() {
        for (given, folded) in [("Muñoz", "munoz"), ("  VAN   der\tBerg ", "van der berg"), ("ﬁ", "fi"), ("", "")] {
            assert_eq!(fold(given), folded);
            assert_eq!(fold(&fold(given)), folded, "folding twice changes nothing");
        }
    }
}
