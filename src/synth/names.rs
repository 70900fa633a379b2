//! Drawing names: census frequencies, a long tail of composed surnames, and names by origin.
//!
//! What: [`Tables`] holds every list the generator draws from, parsed once. Why a composed tail: the census lists stop
//! where most distinct surnames begin, and frequency-sensitive matching must meet rare names. Not here: the lists (see
//! `origins` and `given_names`, and `profiles/name-frequencies.json` for the census), who carries a name (see `household`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::geography::Geography;
use super::given_names::{RECENT_FEMALE, RECENT_MALE, SHORT_FORMS};
use super::origins::{FamilyRule, GivenRule, ORIGINS, Origin};
use super::random::{Rng, Weighted};

/// Everything the generator draws from.
#[derive(Debug)]
pub struct Tables {
    families: Weighted<String>,
    male: Weighted<String>,
    female: Weighted<String>,
    recent_male: Weighted<String>,
    recent_female: Weighted<String>,
    origins: Weighted<Option<OriginNames>>,
    short_forms: BTreeMap<&'static str, Vec<&'static str>>,
    pub(super) geography: Geography,
}

/// The census list: `profiles/name-frequencies.json`. Only the proportions count.
#[derive(Deserialize)]
struct CensusNames {
    family: BTreeMap<String, f64>,
    male: BTreeMap<String, f64>,
    female: BTreeMap<String, f64>,
}

/// The names of one origin, ready to draw from.
#[derive(Debug)]
pub(super) struct OriginNames {
    pub(super) origin: &'static Origin,
    families: Weighted<String>,
    male: Weighted<String>,
    female: Weighted<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sex {
    Male,
    Female,
}

impl Sex {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Male => "male",
            Self::Female => "female",
        }
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Male => Self::Female,
            Self::Female => Self::Male,
        }
    }
}

/// Share of people whose surname is on the census list, per mille (1990: its first 3,000 surnames cover 57 %).
const LISTED_PER_MILLE: u32 = 570;
/// Households of none of the origins of `origins`, against the weights there.
const GENERAL_WEIGHT: u64 = 760;
/// First birth year of the fashionable names, and how many of those born since carry one, per mille.
const RECENT_SINCE: i32 = 1996;
const RECENT_PER_MILLE: u32 = 520;

impl Tables {
    /// Reads the census frequencies and prepares every other list.
    ///
    /// # Errors
    /// When the text is not JSON with `family`, `male` and `female`, or one of them names nobody.
    pub fn parse(name_frequencies: &str) -> Result<Self, String> {
        let census: CensusNames = serde_json::from_str(name_frequencies)
            .map_err(|error| format!("name frequencies: line {}, column {}", error.line(), error.column()))?;
        let listed = |names: BTreeMap<String, f64>, what: &str| {
            census_table(names).ok_or_else(|| format!("name frequencies: no usable entry under \"{what}\""))
        };
        let internal = || "name lists of the generator are empty".to_owned();
        Ok(Self {
            families: listed(census.family, "family")?,
            male: listed(census.male, "male")?,
            female: listed(census.female, "female")?,
            recent_male: ranked(RECENT_MALE, 12).ok_or_else(internal)?,
            recent_female: ranked(RECENT_FEMALE, 12).ok_or_else(internal)?,
            origins: origin_table().ok_or_else(internal)?,
            short_forms: short_forms(),
            geography: Geography::new().ok_or_else(internal)?,
        })
    }

    /// The origin of a household; nothing for the general population.
    pub(super) fn origin(&self, rng: &mut Rng) -> Option<&OriginNames> {
        self.origins.draw(rng).as_ref()
    }

    /// A surname of the origin, with its diacritics.
    pub(super) fn surname(&self, rng: &mut Rng, origin: Option<&OriginNames>) -> String {
        if let Some(names) = origin {
            return names.families.draw(rng).clone();
        }
        let surname = self.general_surname(rng);
        if rng.chance(20) { format!("{surname}-{}", self.families.draw(rng)) } else { surname }
    }

    fn general_surname(&self, rng: &mut Rng) -> String {
        if rng.chance(LISTED_PER_MILLE) { self.families.draw(rng).clone() } else { composed_surname(rng) }
    }

    pub(super) fn given(&self, rng: &mut Rng, origin: Option<&OriginNames>, sex: Sex, birth_year: i32) -> String {
        // Children born here are often given names of the country.
        let own = if birth_year >= RECENT_SINCE { 400 } else { 750 };
        if let Some(names) = origin
            && rng.chance(own)
        {
            return names.given(rng, sex);
        }
        let is_recent = birth_year >= RECENT_SINCE && rng.chance(RECENT_PER_MILLE);
        let table = match (sex, is_recent) {
            (Sex::Male, true) => &self.recent_male,
            (Sex::Female, true) => &self.recent_female,
            (Sex::Male, false) => &self.male,
            (Sex::Female, false) => &self.female,
        };
        table.draw(rng).clone()
    }

    /// Other forms of a given name: short ones of a full name, full ones of a short name.
    pub(super) fn other_forms(&self, given: &str) -> &[&'static str] {
        self.short_forms.get(given).map_or(&[], Vec::as_slice)
    }
}

impl OriginNames {
    fn given(&self, rng: &mut Rng, sex: Sex) -> String {
        let table = match sex {
            Sex::Male => &self.male,
            Sex::Female => &self.female,
        };
        let first = table.draw(rng);
        if self.origin.given_rule == GivenRule::Listed {
            return first.clone();
        }
        let second = table.draw(rng);
        match rng.below(10) {
            0..=1 => first.clone(),
            2..=6 => format!("{first}{}", second.to_lowercase()),
            7..=8 => format!("{first} {second}"),
            _ => format!("{first}-{second}"),
        }
    }

    /// The form a woman carries in a household that distinguishes.
    pub(super) fn feminine(&self, surname: &str) -> String {
        let ending = [("ski", "ska"), ("ský", "ská"), ("ov", "ova"), ("ev", "eva"), ("in", "ina")];
        let changed = ending.iter().find_map(|(from, to)| surname.strip_suffix(from).map(|stem| format!("{stem}{to}")));
        match changed {
            Some(changed) if self.origin.family_rule == FamilyRule::Gendered => changed,
            _ => surname.to_owned(),
        }
    }
}

fn census_table(names: BTreeMap<String, f64>) -> Option<Weighted<String>> {
    // Weights in thousandths of the list's unit; a cast of a finite positive number saturates.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "frequencies are small and not negative"
    )]
    let weight = |frequency: f64| (frequency * 1000.0).round().clamp(0.0, 1e12) as u64;
    Weighted::new(names.into_iter().map(|(name, frequency)| (written(&name), weight(frequency))))
}

/// Values by rank, with weights that fall off as `1 / (rank + flatness)`.
fn ranked(names: &str, flatness: u64) -> Option<Weighted<String>> {
    let names = names.split_whitespace().map(|name| name.replace('_', " "));
    Weighted::new(names.zip(1_u64..).map(|(name, rank)| (name, 1_000_000 / (rank + flatness))))
}

fn origin_table() -> Option<Weighted<Option<OriginNames>>> {
    let mut origins = vec![(None, GENERAL_WEIGHT)];
    for origin in ORIGINS {
        // Two or three surnames of half a nation against a list that thins out slowly.
        let flatness = if origin.family_rule == FamilyRule::Kept { 1 } else { 6 };
        let names = OriginNames {
            origin,
            families: ranked(origin.families, flatness)?,
            male: ranked(origin.male, 10)?,
            female: ranked(origin.female, 10)?,
        };
        origins.push((Some(names), origin.weight));
    }
    Weighted::new(origins)
}

fn short_forms() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut forms: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for group in SHORT_FORMS {
        let mut names = group.split(' ');
        let Some(full) = names.next() else { continue };
        for short in names {
            forms.entry(full).or_default().push(short);
            forms.entry(short).or_default().push(full);
        }
    }
    forms
}

/// A name of the census list as people write it: `MCDONALD` is `McDonald`, `OBRIEN` is `O'Brien`.
fn written(name: &str) -> String {
    const IRISH: &[&str] = &[
        "OBRIEN",
        "OCONNELL",
        "OCONNOR",
        "ODONNELL",
        "OHARA",
        "OKEEFE",
        "OLEARY",
        "OMALLEY",
        "ONEAL",
        "ONEIL",
        "ONEILL",
        "OREILLY",
        "OROURKE",
        "OSULLIVAN",
        "OTOOLE",
    ];
    if IRISH.contains(&name) {
        return format!("O'{}", capitalised(&name[1..]));
    }
    match name.strip_prefix("MC") {
        Some(rest) if rest.len() > 2 && rest.is_ascii() => format!("Mc{}", capitalised(rest)),
        _ => capitalised(name),
    }
}

pub(super) fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    first + &letters.as_str().to_lowercase()
}

const ONSETS: &[&str] = &[
    "B", "M", "S", "H", "K", "R", "L", "W", "D", "C", "P", "G", "T", "F", "N", "Br", "Sch", "St", "Gr", "V", "J", "Kr",
    "", "Sh", "Tr", "Fr", "Z", "Cr", "Dr", "Ch", "Bl", "Cl", "Pr", "Th", "Wh", "Y", "Sw", "Kl",
];
const NUCLEI: &[&str] = &["a", "e", "o", "i", "u", "ei", "au", "ie", "oo", "ea"];
const CODAS: &[&str] = &[
    "l", "n", "r", "m", "ck", "s", "ll", "tt", "rt", "nd", "rs", "ss", "b", "d", "v", "z", "lm", "rb", "st", "pp",
    "nn", "lb", "rk", "mp",
];
const ENDINGS: &[&str] = &[
    "er", "man", "ey", "son", "ton", "ing", "ski", "el", "ford", "ley", "ham", "mann", "berg", "ers", "well", "ell",
    "wood", "worth", "field", "stein", "sen", "ini", "o", "etti", "ett", "ard", "ins", "more", "by", "land", "ick",
    "off", "bach", "meyer", "hart", "hoff", "ano", "one", "elli", "aro", "ovich", "enko", "uk", "ak", "ek", "wicz",
    "quist", "strom", "gren", "dahl", "lund", "ault", "ier", "eau", "ette", "ez", "ado", "eira", "es", "opoulos",
    "akis", "idis", "ian", "oglu", "ura", "moto", "yama", "saki", "shaw", "wick", "combe", "burn", "gate", "stead",
    "low", "ridge", "kin", "ling", "ow",
];

/// A surname of the long tail: millions are possible, some of them hundreds of times as frequent as others.
fn composed_surname(rng: &mut Rng) -> String {
    let mut name = syllable(rng, ONSETS);
    if rng.chance(180) {
        name.push_str(&syllable(rng, &ONSETS[..ONSETS.len() / 2]).to_lowercase());
    }
    name.push_str(ENDINGS[rng.index_skewed(ENDINGS.len())]);
    capitalised(&name)
}

fn syllable(rng: &mut Rng, onsets: &[&str]) -> String {
    let onset = onsets[rng.index_skewed(onsets.len())];
    [onset, NUCLEI[rng.index_skewed(NUCLEI.len())], CODAS[rng.index_skewed(CODAS.len())]].concat()
}
