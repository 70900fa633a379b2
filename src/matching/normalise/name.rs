//! `HumanName`: given and family in comparable form, suffix, parts of double surnames, particles, placeholders.
//!
//! A compound name is compared joined ("de la Cruz" equals "Delacruz") and by its parts ("García López" finds
//! "García"). Not here: nickname equivalence of two names (see `comparison`).

use serde::{Deserialize, Serialize};

use super::Normaliser;
use super::text::{Script, bounded, tokens};
use crate::fhir::json::Value;
use crate::fhir::name_text;

/// Given names after the first, and parts of a compound name, kept per name.
const PARTS_MAX: usize = 4;

/// Characters of a name or part; of a longer one the beginning and a hash are kept.
const NAME_CHARS_MAX: usize = 64;

const PARTICLES: &[&str] = &[
    "al", "ben", "bin", "bint", "da", "de", "del", "den", "der", "di", "do", "dos", "du", "e", "el", "ibn", "la",
    "las", "le", "los", "te", "ten", "ter", "van", "vande", "vander", "von", "y",
];
/// Written apart or joined to what follows: "Mc Donald", "O Brien", "St John".
const PREFIXES: &[&str] = &["mc", "mac", "o", "d", "st", "saint", "fitz"];
const TITLES: &[&str] = &["mr", "mrs", "ms", "miss", "dr", "rev", "sr", "sra", "mx", "prof"];
const DEGREES: &[&str] = &["md", "phd", "rn", "esq", "dds", "do", "jd", "cpa", "dvm", "np", "pa"];

/// A name in comparable form. Texts are lower-case letters and digits without spaces.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Name {
    pub given: Option<String>,
    /// The formal names that `given` is a short form of.
    pub formal: Vec<String>,
    /// The first word of a given name of several words.
    pub given_parts: Vec<String>,
    pub middle: Vec<String>,
    pub family: Option<String>,
    /// The words of a compound family name, without particles.
    pub family_parts: Vec<String>,
    pub suffix: Option<Suffix>,
    pub is_historic: bool,
    pub is_imitated: bool,
    pub completeness: Completeness,
}

/// Whether what was sent of given and family name is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Completeness {
    #[default]
    Complete,
    /// One was a placeholder, had no letters, or came with only why it is absent: the other is no single legal name.
    PartUnknown,
}

/// Generational suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Suffix {
    Senior,
    Junior,
    Second,
    Third,
    Fourth,
    Fifth,
}

impl Suffix {
    /// Whether both can be one person's: a junior is often written as the second.
    #[must_use]
    pub const fn agrees_with(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Senior, Self::Senior)
                | (Self::Junior | Self::Second, Self::Junior | Self::Second)
                | (Self::Third, Self::Third)
                | (Self::Fourth, Self::Fourth)
                | (Self::Fifth, Self::Fifth)
        )
    }

    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "sr" | "senior" => Self::Senior,
            "jr" | "junior" | "jnr" => Self::Junior,
            "ii" | "2nd" => Self::Second,
            "iii" | "3rd" => Self::Third,
            "iv" | "4th" => Self::Fourth,
            _ => return None,
        })
    }

    /// Of the element `suffix`: a lone V within a name is an initial.
    fn parse_element(word: &str) -> Option<Self> {
        Self::parse(word).or_else(|| matches!(word, "v" | "5th" | "fifth").then_some(Self::Fifth))
    }
}

/// Reads one `HumanName`; `None` when nothing comparable is left.
pub(in crate::matching) fn read(name: &Value<'_>, rules: &Normaliser) -> Option<Name> {
    let mut words = Words::default();
    words.family = words.take(name.text("family").unwrap_or_default());
    for (index, given) in name.list("given").iter().filter_map(Value::as_str).take(PARTS_MAX + 1).enumerate() {
        let read = words.take(given);
        if index == 0 { words.given = read } else { words.middle.extend(read) }
    }
    if words.family.is_empty() && words.given.is_empty() {
        words.read_text(name.text("text").unwrap_or_default());
    }
    for suffix in name.list("suffix").iter().filter_map(Value::as_str).take(PARTS_MAX) {
        let read = words.take(suffix);
        words.suffix = words.suffix.or_else(|| read.iter().find_map(|word| Suffix::parse_element(word)));
    }
    let is_historic = matches!(name.text("use"), Some("old" | "maiden" | "nickname"));
    let is_sent = |members: [&str; 2]| members.iter().any(|member| name.get(member).is_some());
    let is_left_out = (words.given.is_empty() && is_sent(["given", "_given"]))
        || (words.family.is_empty() && is_sent(["family", "_family"]));
    let read = words.finish(rules)?;
    let completeness = if is_left_out { Completeness::PartUnknown } else { read.completeness };
    Some(Name { is_historic, completeness, ..read })
}

#[derive(Default)]
struct Words {
    given: Vec<String>,
    middle: Vec<String>,
    family: Vec<String>,
    suffix: Option<Suffix>,
    is_imitated: bool,
}

impl Words {
    fn take(&mut self, text: &str) -> Vec<String> {
        let (words, script) = tokens(text);
        self.is_imitated |= script == Script::Imitated;
        words
    }

    /// `HumanName.text` alone.
    fn read_text(&mut self, text: &str) {
        let Some(parsed) = name_text::parse(text) else { return };
        self.family = self.take(parsed.family.as_deref().unwrap_or_default());
        let mut given = parsed.given.iter();
        self.given = given.next().map(|given| self.take(given)).unwrap_or_default();
        self.middle = given.flat_map(|given| self.take(given)).collect();
        let suffix = parsed.suffix.iter().flat_map(|suffix| self.take(suffix)).find_map(|word| Suffix::parse(&word));
        self.suffix = self.suffix.or(suffix);
    }

    fn finish(mut self, rules: &Normaliser) -> Option<Name> {
        let (mut given, mut family) = (std::mem::take(&mut self.given), std::mem::take(&mut self.family));
        self.strip_affixes(&mut given);
        self.strip_affixes(&mut family);
        let mut middle = std::mem::take(&mut self.middle);
        self.strip_affixes(&mut middle);
        middle.retain(|word| {
            let suffix = Suffix::parse(word);
            self.suffix = self.suffix.or(suffix);
            suffix.is_none()
        });
        let mut given_parts = Vec::new();
        if given.len() > 1 {
            given_parts.push(given[0].clone());
            middle.splice(0..0, given[1..].iter().cloned());
            given.retain(|word| word.chars().count() > 1 || word == &given_parts[0]);
            given_parts.retain(|_| given.len() > 1);
        }
        let family = join_prefixes(family);
        let family_parts = family_parts(&family);
        let name = Name {
            given: joined(&given),
            formal: Vec::new(),
            given_parts: bounded_parts(given_parts),
            middle: bounded_parts(middle),
            family: joined(&family),
            family_parts,
            suffix: self.suffix,
            is_historic: false,
            is_imitated: self.is_imitated,
            completeness: Completeness::Complete,
        };
        without_placeholders(name, rules)
    }

    /// Takes titles, degrees and generational suffixes off a name of several words.
    fn strip_affixes(&mut self, words: &mut Vec<String>) {
        while words.len() > 1 && TITLES.contains(&words[0].as_str()) {
            words.remove(0);
        }
        while words.len() > 1 {
            let last = &words[words.len() - 1];
            match Suffix::parse(last) {
                Some(suffix) => self.suffix = self.suffix.or(Some(suffix)),
                None if DEGREES.contains(&last.as_str()) && words.len() > 2 => {}
                None => break,
            }
            words.pop();
        }
    }
}

fn join_prefixes(words: Vec<String>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::with_capacity(words.len());
    let mut prefix = String::new();
    let count = words.len();
    for (index, word) in words.into_iter().enumerate() {
        if index + 1 < count && PREFIXES.contains(&word.as_str()) {
            prefix.push_str(if word == "saint" { "st" } else { &word });
        } else {
            joined.push(std::mem::take(&mut prefix) + &word);
        }
    }
    joined
}

fn family_parts(words: &[String]) -> Vec<String> {
    if words.len() < 2 {
        return Vec::new();
    }
    let is_part = |word: &&String| word.chars().count() > 1 && !PARTICLES.contains(&word.as_str());
    bounded_parts(words.iter().filter(is_part).cloned().collect())
}

fn bounded_parts(words: Vec<String>) -> Vec<String> {
    words.into_iter().take(PARTS_MAX).map(|word| bounded(word, NAME_CHARS_MAX)).collect()
}

fn joined(words: &[String]) -> Option<String> {
    let name = bounded(words.concat(), NAME_CHARS_MAX);
    (!name.is_empty()).then_some(name)
}

fn without_placeholders(mut name: Name, rules: &Normaliser) -> Option<Name> {
    let known = &rules.placeholders;
    let whole = format!("{} {}", name.given.as_deref().unwrap_or(""), name.family.as_deref().unwrap_or(""));
    let is_made_up = known.names.contains(&whole);
    let family = name.family.as_deref().unwrap_or("");
    // "Smithgirl": a newborn named after the surname.
    let is_of_family = |given: &str| {
        ["boy", "girl", "baby", "infant"]
            .iter()
            .any(|word| !family.is_empty() && given.strip_suffix(word) == Some(family))
    };
    let is_baby = |given: &str| {
        known.given.contains(given)
            || is_of_family(given)
            || given.starts_with("babyboy")
            || given.starts_with("babygirl")
            || given.starts_with("infantof")
    };
    if is_made_up || name.given.as_deref().is_some_and(is_baby) {
        name.completeness = Completeness::PartUnknown;
        name.given = None;
        name.given_parts.clear();
        name.middle.clear();
    }
    if is_made_up || name.family.as_deref().is_some_and(|family| known.family.contains(family)) {
        name.completeness = Completeness::PartUnknown;
        name.family = None;
        name.family_parts.clear();
    }
    name.middle.retain(|middle| !known.given.contains(middle));
    name.formal = name.given.as_deref().map(|given| rules.formal_names(given).to_vec()).unwrap_or_default();
    (name.given.is_some() || name.family.is_some()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Limits, parse};
    use crate::matching::normalise::tests::rules;
    use proptest::prelude::*;

    fn name(json: &str) -> Option<Name> {
        read(&parse(json.as_bytes(), &Limits::DEFAULT).expect("JSON"), &rules())
    }

    fn shown(json: &str) -> String {
        name(json).map_or_else(String::new, |name| {
            let parts =
                |parts: &[String]| if parts.is_empty() { String::new() } else { format!("[{}]", parts.join(" ")) };
            format!(
                "{}{} {} {}{} {}",
                name.given.unwrap_or_default(),
                parts(&name.given_parts),
                name.middle.join("+"),
                name.family.unwrap_or_default(),
                parts(&name.family_parts),
                name.suffix.map(|suffix| format!("{suffix:?}")).unwrap_or_default(),
            )
        })
    }

    #[test]
    fn names_come_apart_into_comparable_parts() {
        let table = [
            (r#"{"family":"O'Brien","given":["Mary","Q."]}"#, "mary q obrien "),
            (r#"{"family":"Smith Jr.","given":["John"]}"#, "john  smith Junior"),
            (r#"{"family":"Smith","given":["John","III"]}"#, "john  smith Third"),
            (r#"{"family":"Smith","given":["John"],"suffix":["Sr","MD"]}"#, "john  smith Senior"),
            (r#"{"family":"Smith","given":["John"],"suffix":["V"]}"#, "john  smith Fifth"),
            (r#"{"family":"Smith","given":["John","V"]}"#, "john v smith "),
            (r#"{"family":"de la Cruz","given":["Ana"]}"#, "ana  delacruz[cruz] "),
            (r#"{"family":"García-López","given":["José Luis"]}"#, "joseluis[jose] luis garcialopez[garcia lopez] "),
            (r#"{"family":"Mc Donald","given":["Ian"]}"#, "ian  mcdonald "),
            (r#"{"text":"Dr. Maria del Carmen Ruiz"}"#, "maria  delcarmenruiz[carmen ruiz] "),
            (r#"{"text":"Van der Berg, Jan Pieter"}"#, "jan pieter vanderberg[berg] "),
            (r#"{"text":"Jan van der Berg Jr"}"#, "jan  vanderberg[berg] Junior"),
            (r#"{"text":"Suharto"}"#, "  suharto "),
            (r#"{"family":"Jones","given":["Baby Boy"]}"#, "  jones "),
            (r#"{"family":"Doe","given":["John"]}"#, ""),
            (r#"{"family":"Unknown","given":["Test"]}"#, ""),
            (r#"{"family":"Do","given":["Linh"]}"#, "linh  do "),
            (r#"{"use":"usual"}"#, ""),
        ];
        for (json, expected) in table {
            assert_eq!(shown(json), expected, "{json}");
        }
    }

    #[test]
    fn a_short_form_carries_its_formal_names_and_an_old_name_says_so() {
        let name = name(r#"{"use":"old","family":"Ray","given":["Peggy"]}"#).expect("read");
        assert_eq!((name.formal, name.is_historic), (vec!["margaret".to_owned()], true));
    }

    #[test]
    fn a_name_of_which_a_part_is_not_known_says_so() {
        use Completeness::{Complete, PartUnknown};
        for (json, completeness) in [
            (r#"{"family":"Suharto"}"#, Complete),
            (r#"{"text":"Suharto"}"#, Complete),
            (r#"{"family":"Ray","given":["Ann"]}"#, Complete),
            (r#"{"family":"Ray","given":["Baby Girl A"]}"#, PartUnknown),
            (r#"{"family":"Ray","given":["Unknown"]}"#, PartUnknown),
            (r#"{"family":"Unknown","given":["Ann"]}"#, PartUnknown),
            (r#"{"family":"Ray","given":["?"]}"#, PartUnknown),
            (r#"{"family":"Ray","_given":[{"extension":[{"url":"urn:x"}]}]}"#, PartUnknown),
        ] {
            assert_eq!(name(json).expect("read").completeness, completeness, "{json}");
        }
    }

    #[test]
    fn names_of_any_length_are_bounded() {
        let word = "Zan".repeat(22_000);
        let many = "zan ".repeat(20_000);
        for text in [word, many] {
            let json = format!(r#"{{"family":"{text}","given":["{text}","{text}"],"suffix":["{text}"]}}"#);
            let name = name(&json).expect("read");
            let parts = [&name.given_parts, &name.middle, &name.family_parts];
            assert!(parts.iter().all(|parts| parts.len() <= PARTS_MAX));
            let texts = parts.into_iter().flatten().chain(&name.given).chain(&name.family);
            assert!(texts.map(|text| text.chars().count()).all(|count| count <= NAME_CHARS_MAX));
        }
    }

    #[test]
    fn suffixes_agree_within_a_generation_only() {
        assert!(Suffix::Junior.agrees_with(Suffix::Second));
        assert!(!Suffix::Junior.agrees_with(Suffix::Senior));
        assert!(!Suffix::Third.agrees_with(Suffix::Second));
    }

    proptest! {
        #[test]
        fn a_normalised_family_name_is_not_changed_again(family in "[A-Za-zÀ-ž' -]{1,24}", given in "[A-Za-zÀ-ž]{1,10}") {
            let json = |family: &str, given: &str| format!(r#"{{"family":"{family}","given":["{given}"]}}"#);
            if let Some(once) = name(&json(&family, &given)) {
                let again = name(&json(once.family.as_deref().unwrap_or("x"), once.given.as_deref().unwrap_or("x")));
                prop_assert_eq!(again.as_ref().and_then(|name| name.family.clone()), once.family.or(Some("x".to_owned())));
            }
        }
    }
}
