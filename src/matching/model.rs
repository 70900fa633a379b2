//! The model: how likely each comparison level is in each class of pairs, name frequencies, priors and thresholds.
//!
//! What: `profiles/match-model.json` and `profiles/name-frequencies.json`, frozen under one version. Why four classes:
//! relatives share surname, address, phone and member number, twins the birth date too; against "unrelated" alone those
//! agreements would be multiplied as if independent. Not here: how levels are found (see `comparison`), or combined
//! (see `score`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::comparison::{Comparison, Level};

/// How likely a level is in each class of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Likelihood {
    /// m: both records are one person's.
    #[serde(rename = "match")]
    pub same: f64,
    pub household: f64,
    pub twin: f64,
    /// u: no relation.
    pub unrelated: f64,
}

impl Likelihood {
    /// What says nothing.
    pub const NONE: Self = Self { same: 1.0, household: 1.0, twin: 1.0, unrelated: 1.0 };

    /// In the order of [`Class::ALL`].
    #[must_use]
    pub const fn all(&self) -> [f64; 4] {
        [self.same, self.household, self.twin, self.unrelated]
    }
}

/// What a pair of records is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    Match,
    Household,
    Twin,
    Unrelated,
}

impl Class {
    pub const ALL: [Self; 4] = [Self::Match, Self::Household, Self::Twin, Self::Unrelated];
}

/// The likelihoods of every level of every comparison.
pub type Likelihoods = [[Likelihood; Level::COUNT]; Comparison::COUNT];

/// The model, read and checked.
#[derive(Debug, Clone)]
pub struct Model {
    file: ModelFile,
    likelihoods: Likelihoods,
    family: HashMap<String, f64>,
    given: HashMap<String, f64>,
    recent_given: HashSet<String>,
    floors: Floors,
}

/// Relatives of a person that are stored, on average, for each stored person.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relatives {
    pub household: f64,
    pub twin: f64,
}

/// Relatives of one household who have the same given name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namesakes {
    /// The share whose middle name is the same too (father and son).
    pub sharing_middle: f64,
    /// The share who are not a generation apart.
    pub of_one_generation: f64,
}

/// Where probabilities become decisions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// A score of .80 is certain from this match probability on (IG Patient Matching, grades).
    pub certain: f64,
    /// A second identity with this posterior is close.
    pub close: f64,
    /// An arriving record joins an identity from this posterior on.
    pub join: f64,
    /// From this posterior on, and below `join`, a person decides.
    pub review: f64,
    /// An identity for which no row of the guide holds is possible from this match probability on.
    pub possible: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Floors {
    family: f64,
    given: f64,
    recent_given: f64,
}

/// Why a model file is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelError(String);

impl ModelError {
    pub(super) const fn new(reason: String) -> Self {
        Self(reason)
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ModelError {}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    version: String,
    source: String,
    /// SHA-256 of the table of name frequencies, so that they are frozen with the version.
    name_frequencies: String,
    relatives_per_person: Relatives,
    namesakes: Namesakes,
    thresholds: Thresholds,
    frequency_floors: Floors,
    recent_given_names: RecentNames,
    comparisons: BTreeMap<String, ComparisonFile>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecentNames {
    source: String,
    names: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ComparisonFile {
    source: String,
    levels: BTreeMap<String, Likelihood>,
}

#[derive(Deserialize)]
struct FrequencyFile {
    family: HashMap<String, f64>,
    male: HashMap<String, f64>,
    female: HashMap<String, f64>,
}

impl Model {
    /// Reads `profiles/match-model.json` and `profiles/name-frequencies.json`.
    ///
    /// # Errors
    /// Says which file is wrong and why: a level no comparison has, a level missing, a number that is no probability.
    pub fn parse(model: &str, name_frequencies: &str) -> Result<Self, ModelError> {
        let file: ModelFile = serde_json::from_str(model).map_err(|e| ModelError(format!("match-model.json: {e}")))?;
        let names: FrequencyFile =
            serde_json::from_str(name_frequencies).map_err(|e| ModelError(format!("name-frequencies.json: {e}")))?;
        check(&file)?;
        let digest = hex(&Sha256::digest(name_frequencies));
        if digest != file.name_frequencies {
            let reason =
                format!("the model was made with other name frequencies; those given have the digest {digest}");
            return Err(ModelError(format!("match-model.json: {reason}")));
        }
        Ok(Self {
            likelihoods: likelihoods(&file.comparisons)?,
            family: shares(names.family, 1.0),
            given: given_shares(names.male, names.female),
            recent_given: file.recent_given_names.names.iter().map(|name| name.to_lowercase()).collect(),
            floors: file.frequency_floors,
            file,
        })
    }

    /// Another model file over the same name frequencies.
    ///
    /// # Errors
    /// As [`Model::parse`].
    pub fn of_same_names(&self, model: &str) -> Result<Self, ModelError> {
        let file: ModelFile = serde_json::from_str(model).map_err(|e| ModelError(e.to_string()))?;
        check(&file)?;
        if file.name_frequencies != self.file.name_frequencies {
            return Err(ModelError("the model was made with other name frequencies".to_owned()));
        }
        Ok(Self {
            likelihoods: likelihoods(&file.comparisons)?,
            recent_given: file.recent_given_names.names.iter().map(|name| name.to_lowercase()).collect(),
            floors: file.frequency_floors,
            file,
            ..self.clone()
        })
    }

    /// This model with other likelihoods; its version follows from its content.
    ///
    /// # Errors
    /// When one of them is no probability.
    pub fn with_likelihoods(&self, table: &Likelihoods, source: &str) -> Result<Self, ModelError> {
        let mut file = self.file.clone();
        source.clone_into(&mut file.source);
        for comparison in Comparison::ALL {
            let Some(entry) = file.comparisons.get_mut(comparison.name()) else { continue };
            for level in comparison.levels() {
                entry.levels.insert(level.name().to_owned(), table[comparison as usize][*level as usize]);
            }
        }
        let base = self.version().split('+').next().unwrap_or_default().to_owned();
        file.version.clear();
        let digest = hex(&Sha256::digest(written(&file)));
        file.version = format!("{base}+{}", &digest[..12]);
        Ok(Self { likelihoods: likelihoods(&file.comparisons)?, file, ..self.clone() })
    }

    /// Other likelihoods under the same version, for a model that is still being fitted.
    pub(super) const fn replace_likelihoods(&mut self, table: &Likelihoods) {
        self.likelihoods = *table;
    }

    /// The file that this model is read from.
    #[must_use]
    pub fn to_json(&self) -> String {
        written(&self.file)
    }

    #[must_use]
    pub fn version(&self) -> &str {
        &self.file.version
    }

    #[must_use]
    pub const fn likelihoods(&self) -> &Likelihoods {
        &self.likelihoods
    }

    #[must_use]
    pub const fn thresholds(&self) -> &Thresholds {
        &self.file.thresholds
    }

    #[must_use]
    pub const fn relatives_per_person(&self) -> &Relatives {
        &self.file.relatives_per_person
    }

    #[must_use]
    pub const fn namesakes(&self) -> &Namesakes {
        &self.file.namesakes
    }

    #[must_use]
    pub const fn likelihood(&self, comparison: Comparison, level: Level) -> &Likelihood {
        &self.likelihoods[comparison as usize][level as usize]
    }

    /// The share of people who have this family name.
    #[must_use]
    pub fn family_frequency(&self, name: &str) -> f64 {
        self.family.get(name).copied().unwrap_or(0.0).max(self.floors.family)
    }

    /// The share of people who have this given name.
    #[must_use]
    pub fn given_frequency(&self, name: &str) -> f64 {
        // The tables are of 1990: a name that became frequent later would look rare, and so prove too much.
        let floor = if self.recent_given.contains(name) { self.floors.recent_given } else { 0.0 };
        self.given.get(name).copied().unwrap_or(self.floors.given).max(floor)
    }

    /// Whether this is a given name in use, and so hardly a typing error of another.
    #[must_use]
    pub fn is_known_given(&self, name: &str) -> bool {
        self.given.contains_key(name) || self.recent_given.contains(name)
    }
}

fn written(file: &ModelFile) -> String {
    // Only a map whose keys are no texts cannot be written, and there is none.
    serde_json::to_string_pretty(file).unwrap_or_default()
}

fn hex(digest: &[u8]) -> String {
    let halves = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.filter_map(|half| char::from_digit(u32::from(half), 16)).collect()
}

fn check(file: &ModelFile) -> Result<(), ModelError> {
    let t = &file.thresholds;
    let probabilities = [
        file.namesakes.sharing_middle,
        file.namesakes.of_one_generation,
        t.certain,
        t.close,
        t.join,
        t.review,
        t.possible,
        file.frequency_floors.family,
        file.frequency_floors.given,
        file.frequency_floors.recent_given,
    ];
    let in_order = t.review <= t.join && t.possible <= t.certain;
    if file.version.is_empty() || !in_order || probabilities.iter().any(|p| !(*p > 0.0 && *p < 1.0)) {
        return Err(ModelError("match-model.json: version, thresholds or frequency floors are wrong".to_owned()));
    }
    let r = &file.relatives_per_person;
    if !(r.household > 0.0 && r.twin > 0.0 && r.household < 100.0 && r.twin < 1.0) {
        return Err(ModelError("match-model.json: relatives_per_person is wrong".to_owned()));
    }
    Ok(())
}

fn likelihoods(comparisons: &BTreeMap<String, ComparisonFile>) -> Result<Likelihoods, ModelError> {
    let mut table = [[Likelihood::NONE; Level::COUNT]; Comparison::COUNT];
    for comparison in Comparison::ALL {
        let name = comparison.name();
        let file = comparisons.get(name).ok_or_else(|| ModelError(format!("match-model.json: {name} is missing")))?;
        let levels = comparison.levels();
        if let Some(unknown) = file.levels.keys().find(|key| levels.iter().all(|level| level.name() != *key)) {
            return Err(ModelError(format!("match-model.json: {name} has no level {unknown}")));
        }
        for level in levels {
            let likelihood = file.levels.get(level.name()).copied();
            let likelihood = likelihood.filter(|l| l.all().iter().all(|p| *p > 0.0 && *p <= 1.0));
            table[comparison as usize][*level as usize] = likelihood
                .ok_or_else(|| ModelError(format!("match-model.json: {name}.{} is missing or wrong", level.name())))?;
        }
    }
    if comparisons.len() > Comparison::COUNT {
        return Err(ModelError("match-model.json: a comparison that does not exist".to_owned()));
    }
    Ok(table)
}

/// Shares of the population from counts per 100,000, under lower-case names.
fn shares(names: HashMap<String, f64>, weight: f64) -> HashMap<String, f64> {
    names.into_iter().map(|(name, count)| (name.to_lowercase(), count * weight / 100_000.0)).collect()
}

fn given_shares(male: HashMap<String, f64>, female: HashMap<String, f64>) -> HashMap<String, f64> {
    let mut given = shares(male, 0.5);
    for (name, share) in shares(female, 0.5) {
        *given.entry(name).or_default() += share;
    }
    given
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::OnceLock;

    pub const MODEL: &str = include_str!("../../profiles/match-model.json");
    pub const NAMES: &str = include_str!("../../profiles/name-frequencies.json");

    pub fn model() -> &'static Model {
        static SHIPPED: OnceLock<Model> = OnceLock::new();
        SHIPPED.get_or_init(|| Model::parse(MODEL, NAMES).expect("shipped files are valid"))
    }

    #[test]
    fn shipped_levels_of_a_comparison_are_at_most_certain_in_every_class() {
        let model = model();
        for comparison in Comparison::ALL {
            for class in 0..4 {
                // Sex has two levels for each of two situations; the swapped family name is decided with the given name.
                let levels = comparison.levels().iter().filter(|level| {
                    !matches!(level, Level::SameGiven | Level::OtherGiven | Level::ZipOnly | Level::PlaceOnly)
                        && (comparison, **level) != (Comparison::Family, Level::Swapped)
                        && (comparison, **level) != (Comparison::Family, Level::Changed)
                });
                let sum: f64 = levels.map(|level| model.likelihood(comparison, *level).all()[class]).sum();
                assert!(sum <= 1.02, "{} class {class}: {sum}", comparison.name());
            }
        }
    }

    #[test]
    fn frequencies_are_shares_and_unknown_names_have_the_floor() {
        let model = model();
        assert!((model.family_frequency("smith") - 0.01006).abs() < 1e-9);
        assert!(model.family_frequency("zzyzx") > 0.0 && model.family_frequency("zzyzx") < 1e-4);
        assert!(model.given_frequency("james") > 0.01);
        assert!(model.given_frequency("sophia") > model.given_frequency("zzyzx"), "rare in 1990, frequent since");
        assert!(model.is_known_given("jayden") && model.is_known_given("mary") && !model.is_known_given("jaydn"));
    }

    #[test]
    fn a_model_with_other_likelihoods_has_a_version_of_its_content_and_is_read_back() {
        let shipped = model();
        let mut table = *shipped.likelihoods();
        table[Comparison::Phone as usize][Level::Exact as usize].same = 0.5;
        let other = shipped.with_likelihoods(&table, "a test").expect("valid");
        let again = shipped.with_likelihoods(&table, "a test").expect("valid");
        assert!(other.version().starts_with(&format!("{}+", shipped.version())) && other.version() == again.version());
        assert_ne!(shipped.with_likelihoods(&table, "another").expect("valid").version(), other.version());
        let read = Model::parse(&other.to_json(), NAMES).expect("valid");
        assert_eq!((read.version(), read.likelihoods()), (other.version(), &table));
        assert!(read.with_likelihoods(&table, "x").expect("valid").version().matches('+').count() == 1);
        table[0][0].same = 2.0;
        assert!(shipped.with_likelihoods(&table, "a test").is_err());
    }

    #[test]
    fn name_frequencies_are_frozen_with_the_version() {
        let error = Model::parse(MODEL, &NAMES.replace("SMITH", "SMYTHE")).expect_err("refused");
        assert!(error.to_string().contains("other name frequencies"), "{error}");
    }

    #[test]
    fn a_model_that_cannot_be_used_is_refused_with_the_reason() {
        for (from, to, reason) in [
            ("\"nickname\":", "\"nick\":", "given has no level nick"),
            ("\"birth_date\":", "\"birthday\":", "birth_date is missing"),
            ("\"match\": 0.985", "\"match\": 1.985", "missing or wrong"),
            ("\"join\": 0", "\"join\": 7", "thresholds"),
        ] {
            assert!(MODEL.contains(from), "{from}");
            let error = Model::parse(&MODEL.replace(from, to), NAMES).expect_err("refused");
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
