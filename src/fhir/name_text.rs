//! A name given as text: which part is the family name and which are given names.
//!
//! What: [`parse`] splits one text; [`complete`] fills `family` and `given` into every `Patient.name` that has only
//! `text`, because the guide says that such a text SHALL be recognised (HL7 Identity Matching 2.0.0, Patient Matching).
//! Why on the document: the invariants, the weight and the matcher then all see the same name. Not here: folding case
//! and accents, nicknames (see `matching`). Two family names without a hyphen cannot be told from a middle name: the
//! last one counts.

use std::borrow::Cow;

use super::issue::{Issue, IssueCode};
use super::json::{Object, Value};
use super::path::Path;

/// A longer text is no name.
const TEXT_BYTES_MAX: usize = 256;
/// More words are no name.
const WORDS_MAX: usize = 12;

/// Names of one person that are completed; more are nobody's.
const NAMES_MAX: usize = 100;

/// Written before a name, compared in lower case without dots.
const PREFIXES: &[&str] = &[
    "capt",
    "captain",
    "col",
    "dr",
    "fr",
    "frau",
    "herr",
    "lt",
    "maj",
    "master",
    "miss",
    "mme",
    "mr",
    "mrs",
    "ms",
    "mx",
    "prof",
    "professor",
    "rabbi",
    "rev",
    "reverend",
    "sgt",
    "sir",
    "sra",
    "srta",
];

/// Written after a name. Those that are family names too (Ma, Do, Pa) are left out.
const SUFFIXES: &[&str] = &[
    "2nd", "3rd", "4th", "5th", "aprn", "arnp", "bsn", "cpa", "crna", "dc", "dds", "dmd", "dnp", "dpm", "dpt", "dvm",
    "esq", "esquire", "facp", "facs", "fnp", "ii", "iii", "iv", "jd", "jr", "junior", "lcsw", "lpn", "mba", "md",
    "mph", "msn", "msw", "np", "pa-c", "pharmd", "phd", "psyd", "rn", "rph", "senior", "sr", "vi", "vii", "viii",
];

/// Words that begin a family name of several words.
const PARTICLES: &[&str] = &[
    "'t", "abu", "af", "al", "ap", "av", "bin", "bint", "da", "das", "de", "degli", "dei", "del", "della", "delle",
    "den", "der", "des", "di", "dos", "du", "el", "het", "ibn", "la", "las", "le", "les", "lo", "los", "mc", "op",
    "saint", "san", "santa", "st", "te", "ten", "ter", "ul", "van", "vande", "vander", "vom", "von", "zu", "zum",
    "zur",
];

/// The parts of a name, as written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParsedName {
    pub prefix: Vec<String>,
    pub given: Vec<String>,
    pub family: Option<String>,
    pub suffix: Vec<String>,
}

/// Reads `Family, Given Middle` and `Given Middle Family`, with prefixes and suffixes; a single word is a single legal
/// name and becomes the family name. `None` when the text is no name: digits, symbols, several people.
#[must_use]
pub fn parse(text: &str) -> Option<ParsedName> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let text = text.replace([',', '،', '，'], ",").replace(" - ", "-").replace(['–', '‐', '‑'], "-");
    let mut segments: Vec<Vec<&str>> = text.split(',').map(words).filter(|words| !words.is_empty()).collect();
    let count: usize = segments.iter().map(Vec::len).sum();
    if count == 0 || count > WORDS_MAX || !segments.iter().flatten().all(|word| is_name_word(word)) {
        return None;
    }
    let mut name = ParsedName::default();
    take_titles_after_commas(&mut segments, &mut name);
    let mut segments = segments.into_iter();
    let first = strip_titles(&segments.next()?, &mut name);
    let rest: Vec<&str> = segments.flat_map(|segment| strip_titles(&segment, &mut name)).collect();
    let (given, family) = if rest.is_empty() { split(&first) } else { (rest.as_slice(), first.as_slice()) };
    name.given = given.iter().map(|word| (*word).to_owned()).collect();
    name.family = (!family.is_empty()).then(|| family.join(" "));
    (name.family.is_some()).then_some(name)
}

/// `patient` with family and given names where a name had only a text, and a warning for each such name; those beyond
/// the first hundred are left as they are.
#[must_use]
pub fn complete(mut patient: Value<'_>) -> (Value<'_>, Vec<Issue>) {
    let mut issues = Vec::new();
    if let Value::Object(members) = &mut patient
        && let Some(Value::Array(names)) = members.get_mut("name")
    {
        for (at, name) in names.iter_mut().enumerate() {
            if issues.len() == NAMES_MAX {
                break;
            }
            if let Value::Object(name) = name
                && let Some(parsed) = parse_only_text(name)
            {
                fill(name, parsed);
                issues.push(warning(at));
            }
        }
    }
    (patient, issues)
}

fn warning(at: usize) -> Issue {
    let text = "The name has only a text; family and given names were read from it.";
    Issue::warning(IssueCode::Informational, text).at(Path::root("Patient").member("name").index(at).member("text"))
}

/// The parsed text of a name that has no parts, not even parts that are known to be absent (`_family`).
fn parse_only_text(name: &Object<'_>) -> Option<ParsedName> {
    let has_parts = name.iter().any(|(member, _)| matches!(member, "family" | "given" | "_family" | "_given"));
    if has_parts { None } else { parse(name.get("text")?.as_str()?) }
}

fn fill(name: &mut Object<'_>, parsed: ParsedName) {
    if let Some(family) = parsed.family {
        name.insert("family", Value::String(Cow::Owned(family)));
    }
    for (member, words) in [("given", parsed.given), ("prefix", parsed.prefix), ("suffix", parsed.suffix)] {
        if !words.is_empty() && name.get(member).is_none() {
            let words = words.into_iter().map(|word| Value::String(Cow::Owned(word)));
            name.insert(member, Value::Array(words.collect()));
        }
    }
}

/// The words of a text without what stands in quotes or brackets (a nickname beside the name).
fn words(text: &str) -> Vec<&str> {
    let mut closing: Option<char> = None;
    text.split_whitespace()
        .filter(|word| {
            let opened = closing.or_else(|| word.chars().next().and_then(closing_of));
            closing = opened.filter(|end| !word.trim_end_matches('.').ends_with(*end) || word.chars().count() == 1);
            opened.is_none()
        })
        .map(|word| word.trim_matches([';', ':']))
        .filter(|word| !word.is_empty())
        .collect()
}

const fn closing_of(opening: char) -> Option<char> {
    match opening {
        '(' => Some(')'),
        '[' => Some(']'),
        '"' => Some('"'),
        '“' => Some('”'),
        _ => None,
    }
}

/// Letters, and what stands between them in names; digits only in an ordinal (`3rd`).
fn is_name_word(word: &str) -> bool {
    let allowed =
        |c: char| c.is_alphabetic() || is_mark(c) || matches!(c, '\'' | '’' | 'ʼ' | '`' | '-' | '.' | '·' | '‘');
    is_in(SUFFIXES, word) || (word.contains(char::is_alphabetic) && word.chars().all(allowed))
}

/// Combining marks of Latin, and the marks and joiners that Indic and Arabic letters are written with.
const fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{93c}' | '\u{94d}' | '\u{200c}' | '\u{200d}')
}

/// "Md" is short for a given name and "Vi" is one; the degree and the numeral are written in capitals.
fn is_suffix(word: &str) -> bool {
    is_in(SUFFIXES, word) && !matches!(word, "Md" | "Md." | "Vi")
}

fn is_prefix(word: &str) -> bool {
    is_in(PREFIXES, word)
}

/// "e", "y" and "do" only in lower case: in capitals the first two are initials and the third is a name.
fn is_particle(word: &str) -> bool {
    is_in(PARTICLES, word) || matches!(word, "e" | "y" | "do")
}

fn is_in(list: &[&str], word: &str) -> bool {
    let plain: String = word.chars().filter(|c| *c != '.').flat_map(char::to_lowercase).collect();
    list.contains(&plain.as_str())
}

/// Segments that hold only titles: `Smith, John, Jr.`, `John Smith, MD`.
fn take_titles_after_commas(segments: &mut Vec<Vec<&str>>, name: &mut ParsedName) {
    let mut first = true;
    segments.retain(|segment| {
        let keep = std::mem::take(&mut first);
        let found = match segment.as_slice() {
            _ if keep => return true,
            words if words.iter().all(|word| is_suffix(word)) => &mut name.suffix,
            words if words.iter().all(|word| is_prefix(word)) => &mut name.prefix,
            _ => return true,
        };
        found.extend(segment.iter().map(|word| (*word).to_owned()));
        false
    });
}

/// `words` without titles at their ends; one word always stays.
fn strip_titles<'w>(words: &[&'w str], name: &mut ParsedName) -> Vec<&'w str> {
    let (mut start, mut end) = (0, words.len());
    while start + 1 < end && is_prefix(words[start]) {
        start += 1;
    }
    while start + 1 < end && is_suffix(words[end - 1]) {
        end -= 1;
    }
    // A numeral after at least two names: "John Smith V", but not "Mary V".
    if end >= start + 3 && matches!(words[end - 1], "V" | "I") {
        end -= 1;
    }
    name.prefix.extend(words[..start].iter().map(|word| (*word).to_owned()));
    name.suffix.splice(0..0, words[end..].iter().map(|word| (*word).to_owned()));
    words[start..end].to_vec()
}

/// Given and family names of words in natural order. The first word is never a family name, unless it is alone.
fn split<'s, 'w>(words: &'s [&'w str]) -> (&'s [&'w str], &'s [&'w str]) {
    let Some(last) = words.len().checked_sub(1).filter(|last| *last > 0) else { return (&[], words) };
    let particle = (1..last).find(|at| is_particle(words[*at]));
    let family = match particle {
        // "y" and "e" join two family names.
        Some(at) if at > 1 && matches!(words[at], "y" | "e") => at - 1,
        Some(at) => at,
        None => last,
    };
    words.split_at(family)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Limits, parse as parse_json};

    /// Prefix, given, family and suffix with a bar between them.
    fn shown(text: &str) -> String {
        parse(text).map_or_else(
            || "-".to_owned(),
            |name| {
                let family = name.family.unwrap_or_default();
                [name.prefix.join(" "), name.given.join(" "), family, name.suffix.join(" ")].join("|")
            },
        )
    }

    #[test]
    fn names_are_split_into_their_parts() {
        let table = [
            ("John Smith", "|John|Smith|"),
            ("  John   Quincy\tAdams ", "|John Quincy|Adams|"),
            ("Smith, John", "|John|Smith|"),
            ("SMITH,JOHN Q", "|JOHN Q|SMITH|"),
            ("Smith, John, Quincy", "|John Quincy|Smith|"),
            ("Smith, John Q., Jr.", "|John Q.|Smith|Jr."),
            ("Smith Jr., John", "|John|Smith|Jr."),
            ("Smith, John Jr", "|John|Smith|Jr"),
            ("John Smith, MD, Ph.D.", "|John|Smith|MD Ph.D."),
            ("John Smith Jr., M.D.", "|John|Smith|Jr. M.D."),
            ("Dr. John Smith III", "Dr.|John|Smith|III"),
            ("Mr John Smith", "Mr|John|Smith|"),
            ("Mrs. Mary Ann Jones", "Mrs.|Mary Ann|Jones|"),
            ("Smith, Dr. John", "Dr.|John|Smith|"),
            ("Smith, John, Dr.", "Dr.|John|Smith|"),
            ("Dr Smith", "Dr||Smith|"),
            ("Henry Tudor 3rd", "|Henry|Tudor|3rd"),
            ("John Smith V", "|John|Smith|V"),
            ("Mary V", "|Mary|V|"),
            ("Lee, V", "|V|Lee|"),
            ("Ludwig van Beethoven", "|Ludwig|van Beethoven|"),
            ("Jan van der Berg", "|Jan|van der Berg|"),
            ("van der Berg, Jan Willem", "|Jan Willem|van der Berg|"),
            ("Maria de la Cruz", "|Maria|de la Cruz|"),
            ("Maria Elena de los Santos", "|Maria Elena|de los Santos|"),
            ("Ahmad bin Hassan", "|Ahmad|bin Hassan|"),
            ("Omar al-Rashid", "|Omar|al-Rashid|"),
            ("Omar Al Rashid", "|Omar|Al Rashid|"),
            ("Mary St. John", "|Mary|St. John|"),
            ("Van Nguyen", "|Van|Nguyen|"),
            ("Mary Van", "|Mary|Van|"),
            ("Jose Garcia y Vega", "|Jose|Garcia y Vega|"),
            ("Jose Garcia Y Vega", "|Jose Garcia Y|Vega|"),
            ("John E Smith", "|John E|Smith|"),
            ("Eça de Queiroz", "|Eça|de Queiroz|"),
            ("João do Carmo", "|João|do Carmo|"),
            ("Rahman, Md", "|Md|Rahman|"),
            ("Rahman, Md Abdul", "|Md Abdul|Rahman|"),
            ("Smith, MD", "||Smith|MD"),
            ("Thi Vi", "|Thi|Vi|"),
            ("Anna Smith-Jones", "|Anna|Smith-Jones|"),
            ("Anna Smith - Jones", "|Anna|Smith-Jones|"),
            ("Anna Smith–Jones", "|Anna|Smith-Jones|"),
            ("Sean O'Brien", "|Sean|O'Brien|"),
            ("Seán O’Brien", "|Seán|O’Brien|"),
            ("Robert \"Bob\" Smith", "|Robert|Smith|"),
            ("Robert (Bob Bobby) Smith", "|Robert|Smith|"),
            ("Smith, Robert (Bob)", "|Robert|Smith|"),
            ("Madonna", "||Madonna|"),
            ("Madonna,", "||Madonna|"),
            ("王小明", "||王小明|"),
            ("J. R. R. Tolkien", "|J. R. R.|Tolkien|"),
            ("Ma", "||Ma|"),
            ("Yo-Yo Ma", "|Yo-Yo|Ma|"),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_left_alone() {
        let long = "a ".repeat(13);
        let longer = "a".repeat(257);
        for text in [
            "",
            " ",
            ",",
            "12345",
            "John 12345",
            "***",
            "?",
            "John & Mary Smith",
            "a@b.example",
            "John/Smith",
            "()",
            "'-'",
            &long,
            &longer,
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn at_most_a_hundred_names_are_completed() {
        let names = vec![r#"{"text":"John Smith"}"#; 5_000].join(",");
        let json = format!(r#"{{"resourceType":"Patient","name":[{names}]}}"#);
        let (after, issues) = complete(parse_json(json.as_bytes(), &Limits::DEFAULT).expect("JSON"));
        let completed = after.list("name").iter().filter(|name| name.text("family").is_some()).count();
        assert_eq!((completed, issues.len()), (NAMES_MAX, NAMES_MAX));
        assert_eq!(after.list("name").len(), 5_000, "no name is lost");
    }

    #[test]
    fn names_with_only_a_text_are_completed_and_others_are_untouched() {
        let json = r#"{"resourceType":"Patient","name":[
            {"text":"Smith, John Q., Jr."},
            {"text":"Other Name","family":"Kept"},
            {"text":"Other Name","given":["Kept"]},
            {"text":"Other Name","_family":{"extension":[]}},
            {"text":"12345"},
            {"text":"Dr. Madonna","prefix":["Prof."]},
            {"use":"old"},
            "no object"]}"#;
        let before = parse_json(json.as_bytes(), &Limits::DEFAULT).expect("JSON");
        let (after, issues) = complete(before.clone());
        let names = after.list("name");
        assert_eq!(names[0].text("family"), Some("Smith"));
        assert_eq!(names[0].list("given").iter().filter_map(Value::as_str).collect::<Vec<_>>(), ["John", "Q."]);
        assert_eq!(names[0].list("suffix").iter().filter_map(Value::as_str).collect::<Vec<_>>(), ["Jr."]);
        assert_eq!(names[5].text("family"), Some("Madonna"));
        assert_eq!(names[5].list("prefix").iter().filter_map(Value::as_str).collect::<Vec<_>>(), ["Prof."]);
        for untouched in [1, 2, 3, 4, 6, 7] {
            assert_eq!(names[untouched], before.list("name")[untouched], "{untouched}");
        }
        let places: Vec<&str> = issues.iter().flat_map(|issue| &issue.expression).map(String::as_str).collect();
        assert_eq!(places, ["Patient.name[0].text", "Patient.name[5].text"]);
        assert!(issues.iter().all(|issue| !issue.is_error()));
    }

    #[test]
    fn a_document_without_such_names_is_returned_as_it_is() {
        for json in ["[]", "1", r#"{"name":{}}"#, r#"{"resourceType":"Patient","name":[{"family":"a","text":"b c"}]}"#]
        {
            let before = parse_json(json.as_bytes(), &Limits::DEFAULT).expect("JSON");
            assert_eq!(complete(before.clone()), (before, Vec::new()));
        }
    }
}
