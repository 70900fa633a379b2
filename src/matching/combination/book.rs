//! The rule-book as data: `profiles/cms-combinations.json`, read and checked.
//!
//! A combination's collision probability, the product of its fields' u with as many of them fuzzy as it allows, must not
//! be above the threshold; a file in which one is does not stop at a warning, it stops the start. So does a combination
//! that no block key would find. Not here: comparing people (see `agreement`), who is matched (see the module).

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use super::field::{Field, Fields};
use crate::matching::normalise::identifier::NumberType;

/// The rules in force.
#[derive(Debug, Clone)]
pub struct Book {
    pub version: String,
    pub(super) combinations: Vec<Combination>,
    pub(super) households: Vec<Household>,
    pub(super) fuzzy: Fuzzy,
    pub(super) itin_systems: HashSet<String>,
    pub(super) namespace_types: Vec<NamespaceType>,
    pub(super) namespace_systems: HashSet<String>,
    pub(super) institutions: Institutions,
    pub(super) placeholders: Placeholders,
    /// u of each field, exact and fuzzy, in the order of [`Field::ALL`].
    u: [FieldRule; Field::ALL.len()],
}

/// What must agree.
#[derive(Debug, Clone)]
pub(super) struct Combination {
    pub rule: String,
    /// Of a household, of which the individual fields then choose a member (Category 2).
    pub household: Option<usize>,
    /// All of them, the household's included.
    pub fields: Fields,
    pub starred: Fields,
    /// Fields that may be fuzzy at once; a birth date never counts.
    pub fuzzy_max: u32,
}

/// Fields that, all equal, show that two people live together, and no more.
#[derive(Debug, Clone)]
pub(super) struct Household {
    pub row: String,
    pub fields: Fields,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fuzzy {
    pub edits_max: usize,
    pub chars_min: usize,
    pub days_max: u32,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldRule {
    u: f64,
    u_fuzzy: Option<f64>,
}

/// An identifier type under which numbers name one record of one system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamespaceType {
    MedicalRecord,
    Number(NumberType),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Institutions {
    pub words: HashSet<String>,
    /// Street lines, normalised, with their zip: `12 oak st|12180`.
    pub lines: HashSet<String>,
}

/// Values that never compare; all as the normaliser writes them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Placeholders {
    pub first_names: HashSet<String>,
    pub last_names: HashSet<String>,
    pub names: HashSet<String>,
    pub birth_dates: HashSet<String>,
    pub phones: HashSet<String>,
    pub phone_exchanges: HashSet<String>,
    pub email_domains: HashSet<String>,
    pub last_4: HashSet<String>,
    pub zips: HashSet<String>,
    pub street_lines_without_unit: HashSet<String>,
    pub street_lines: HashSet<String>,
    pub insurance_ids: HashSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "source")]
    _source: String,
    version: String,
    threshold: f64,
    relative_tolerance: f64,
    fuzzy: Fuzzy,
    fields: BTreeMap<String, FieldRule>,
    itin_systems: HashSet<String>,
    namespace: NamespaceRow,
    institutions: Institutions,
    households: BTreeMap<String, Vec<String>>,
    combinations: Vec<CombinationRow>,
    placeholders: Placeholders,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamespaceRow {
    types: Vec<String>,
    systems: HashSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CombinationRow {
    rule: String,
    household: Option<String>,
    fields: Vec<String>,
    fuzzy_max: Option<u32>,
}

/// Block keys find whoever agrees on one of these, a birth date nearly equal included; see `matching::blocking`.
const BLOCKED: [Field; 8] = [
    Field::BirthDate,
    Field::Phone,
    Field::Email,
    Field::Mbi,
    Field::LegalId,
    Field::MemberId,
    Field::SubscriberId,
    Field::NamespaceId,
];

impl Book {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// Says what cannot be enforced, and in which combination.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
        check_limits(&file)?;
        let households = households(&file)?;
        let mut book = Self {
            u: field_rules(&file.fields)?,
            version: file.version,
            combinations: Vec::new(),
            households,
            fuzzy: file.fuzzy,
            itin_systems: lower_case(file.itin_systems),
            namespace_types: file.namespace.types.iter().map(|code| namespace_type(code)).collect::<Result<_, _>>()?,
            namespace_systems: lower_case(file.namespace.systems),
            institutions: file.institutions,
            placeholders: file.placeholders,
        };
        let limit = file.threshold * (1.0 + file.relative_tolerance);
        for row in &file.combinations {
            let combination = book.combination(row).map_err(|reason| format!("combination {}: {reason}", row.rule))?;
            if book.combinations.iter().any(|other| other.rule == combination.rule) {
                return Err(format!("combination {}: there are two of this name", row.rule));
            }
            let collision = book.worst_collision(&combination);
            if collision > limit {
                let threshold = file.threshold;
                return Err(format!(
                    "combination {}: its collision probability {collision:e} is above {threshold:e}",
                    row.rule
                ));
            }
            book.combinations.push(combination);
        }
        Ok(book)
    }

    /// The probability that two strangers agree so.
    pub(super) fn collision(&self, exact: Fields, fuzzy: Fields) -> f64 {
        let exact = exact.iter().map(|field| self.u[field as usize].u);
        let fuzzy = fuzzy.iter().map(|field| self.u[field as usize].u_fuzzy.unwrap_or(1.0));
        exact.chain(fuzzy).product()
    }

    /// With as many fields fuzzy as may be, those that cost most; a birth date beside them.
    fn worst_collision(&self, combination: &Combination) -> f64 {
        let ratio = |field: &Field| {
            let rule = self.u[*field as usize];
            rule.u_fuzzy.unwrap_or(rule.u) / rule.u
        };
        let is_dated = combination.starred.has(Field::BirthDate);
        let mut others: Vec<Field> = combination.starred.iter().filter(|field| *field != Field::BirthDate).collect();
        others.sort_by(|a, b| ratio(b).total_cmp(&ratio(a)));
        others.truncate(combination.fuzzy_max as usize);
        let fuzzy: Fields = others.into_iter().chain(is_dated.then_some(Field::BirthDate)).collect();
        self.collision(combination.fields.without(fuzzy), fuzzy)
    }

    fn combination(&self, row: &CombinationRow) -> Result<Combination, String> {
        let (individual, starred) = fields(&row.fields)?;
        let household = row.household.as_ref().map(|name| {
            let found = self.households.iter().position(|household| household.row == *name);
            found.ok_or_else(|| format!("there is no household row {name}"))
        });
        let household = household.transpose()?;
        let shared = household.map_or(Fields::EMPTY, |at| self.households[at].fields);
        if individual.is_empty() || individual.meets(shared) {
            return Err("it needs fields of its own, each once".to_owned());
        }
        let fields = individual.with(shared);
        let fuzzy_max = row.fuzzy_max.unwrap_or(1).min(starred.without(Fields::one(Field::BirthDate)).count());
        if let Some(field) = fields.iter().find(|field| self.u[*field as usize].u == 0.0) {
            return Err(format!("the field {} has no u", field.code()));
        }
        if let Some(field) = starred.iter().find(|field| self.u[*field as usize].u_fuzzy.is_none()) {
            return Err(format!("the field {} has no u_fuzzy", field.code()));
        }
        if !fields.meets(BLOCKED.into_iter().collect()) {
            return Err("no block key would find it: it needs a birth date, a phone, an email or a number".to_owned());
        }
        Ok(Combination { rule: row.rule.clone(), household, fields, starred, fuzzy_max })
    }
}

fn check_limits(file: &File) -> Result<(), String> {
    let is_probability = |value: f64| value > 0.0 && value <= 1.0;
    match () {
        () if !is_probability(file.threshold) => Err("threshold: must be above 0 and at most 1".to_owned()),
        () if !(0.0..=1e-3).contains(&file.relative_tolerance) => {
            Err("relative_tolerance: must be from 0 to 0.001".to_owned())
        }
        () if file.fuzzy.edits_max > 2 || file.fuzzy.chars_min == 0 || file.fuzzy.days_max > 1 => {
            Err("fuzzy: at most 2 edits, 1 character at least, 1 day at most".to_owned())
        }
        () if file.combinations.is_empty() => Err("combinations: there are none".to_owned()),
        () => Ok(()),
    }
}

fn field_rules(rules: &BTreeMap<String, FieldRule>) -> Result<[FieldRule; Field::ALL.len()], String> {
    let mut u = [FieldRule::default(); Field::ALL.len()];
    for (name, rule) in rules {
        let values = [Some(rule.u), rule.u_fuzzy];
        if values.into_iter().flatten().any(|value| !(value > 0.0 && value <= 1.0)) {
            return Err(format!("fields.{name}: u must be above 0 and at most 1"));
        }
        if rule.u_fuzzy.is_some_and(|fuzzy| fuzzy < rule.u) {
            return Err(format!("fields.{name}: u_fuzzy must not be below u"));
        }
        u[field(name)? as usize] = *rule;
    }
    Ok(u)
}

fn households(file: &File) -> Result<Vec<Household>, String> {
    let mut rows = Vec::with_capacity(file.households.len());
    for (row, names) in &file.households {
        let refuse = |reason: String| format!("household {row}: {reason}");
        let (fields, starred) = fields(names).map_err(refuse)?;
        if fields.is_empty() || !starred.is_empty() {
            return Err(refuse("it needs fields, none of them starred".to_owned()));
        }
        rows.push(Household { row: row.clone(), fields });
    }
    Ok(rows)
}

/// All fields of a list, and those with a star.
fn fields(names: &[String]) -> Result<(Fields, Fields), String> {
    let (mut all, mut starred) = (Fields::EMPTY, Fields::EMPTY);
    for name in names {
        let plain = name.strip_suffix('*');
        let field = field(plain.unwrap_or(name))?;
        if all.has(field) {
            return Err(format!("the field {} stands there twice", field.code()));
        }
        all.add(field);
        if plain.is_some() {
            if !field.may_be_fuzzy() {
                return Err(format!("the field {} is never fuzzy", field.code()));
            }
            starred.add(field);
        }
    }
    Ok((all, starred))
}

fn field(name: &str) -> Result<Field, String> {
    serde_json::from_value(name.into()).map_err(|_| format!("there is no field {name}"))
}

fn namespace_type(code: &str) -> Result<NamespaceType, String> {
    if code == "MR" {
        return Ok(NamespaceType::MedicalRecord);
    }
    let number = NumberType::of_code(code);
    number.map(NamespaceType::Number).ok_or_else(|| format!("namespace.types: {code} is not kept of an identifier"))
}

/// Systems are compared as the normaliser writes them.
fn lower_case(systems: HashSet<String>) -> HashSet<String> {
    systems.into_iter().map(|system| system.to_lowercase()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub const SHIPPED: &str = include_str!("../../../profiles/cms-combinations.json");

    pub fn shipped() -> Book {
        Book::parse(SHIPPED).expect("the shipped file is valid")
    }

    fn find<'b>(book: &'b Book, rule: &str) -> &'b Combination {
        book.combinations.iter().find(|combination| combination.rule == rule).expect(rule)
    }

    #[test]
    fn the_shipped_file_has_every_combination_within_the_threshold() {
        let book = shipped();
        assert_eq!((book.combinations.len(), book.households.len()), (39, 16));
        for (rule, exact, worst) in [
            ("01", 3e-13, 1.2e-12),
            ("03", 1e-14, 3e-14),
            ("05", 1e-12, 2e-12),
            ("08", 2e-12, 2e-12),
            ("10", 5e-13, 1e-12),
            ("11", 2e-12, 2e-12),
            ("22", 1e-15, 1e-15),
            ("C2-13", 2e-16, 3e-16),
            ("C2-39", 6e-13, 6e-13),
            ("C2-40", 1e-21, 1e-21),
        ] {
            let combination = find(&book, rule);
            let relative = |found: f64, expected: f64| (found / expected - 1.0).abs() < 1e-9;
            assert!(relative(book.collision(combination.fields, Fields::EMPTY), exact), "{rule}");
            assert!(relative(book.worst_collision(combination), worst), "{rule} {}", book.worst_collision(combination));
        }
        let hair_above = book.collision(find(&book, "11").fields, Fields::EMPTY);
        assert!((hair_above - 2e-12).abs() < 2e-21, "within the relative tolerance: {hair_above:e}");
    }

    #[test]
    fn a_file_that_cannot_be_enforced_is_refused_with_the_place() {
        let table = [
            (r#"{"u": 0.02, "u_fuzzy": 0.03}"#, r#"{"u": 0.2, "u_fuzzy": 0.3}"#, "combination 01: its collision"),
            (r#""threshold": 2e-12"#, r#""threshold": 1e-12"#, "combination 01: its collision probability"),
            (r#""threshold": 2e-12"#, r#""threshold": 0"#, "threshold"),
            (r#"["phone", "mbi"]"#, r#"["phone", "mbj"]"#, "combination 17: there is no field mbj"),
            (r#"["phone", "mbi"]"#, r#"["phone*", "mbi"]"#, "combination 17: the field phone is never fuzzy"),
            (r#"["phone", "mbi"]"#, r#"["phone", "phone"]"#, "combination 17: the field phone stands there twice"),
            (r#"["phone", "mbi"]"#, "[]", "combination 17: it needs fields of its own"),
            (r#"["phone", "mbi"]"#, r#"["phone"]"#, "combination 17: its collision probability"),
            (
                r#"["phone", "mbi"]"#,
                r#"["ssn_last_4", "itin_last_4", "street_line"]"#,
                "combination 17: no block key would find it",
            ),
            (r#""rule": "18""#, r#""rule": "17""#, "combination 17: there are two"),
            (r#""household": "H-01""#, r#""household": "H-99""#, "combination C2-13: there is no household row H-99"),
            (r#""H-10": ["phone", "email"]"#, r#""H-10": ["first_name*"]"#, "household H-10"),
            (r#""types": ["MR", "#, r#""types": ["PPN", "#, "namespace.types: PPN"),
            (r#""days_max": 1"#, r#""days_max": 7"#, "fuzzy"),
            (r#""zips""#, r#""zip5s""#, "unknown field"),
            (r#""mbi": {"u": 1e-6},"#, "", "combination 08: the field mbi has no u"),
            (
                r#"{"u": 3e-5, "u_fuzzy": 6e-5}"#,
                r#"{"u": 3e-5}"#,
                "combination 01: the field street-line has no u_fuzzy",
            ),
            (r#"{"u": 3e-5, "u_fuzzy": 6e-5}"#, r#"{"u": 3e-5, "u_fuzzy": 1e-5}"#, "fields.street_line"),
        ];
        for (from, to, expected) in table {
            assert!(SHIPPED.contains(from), "{from}");
            let refused = Book::parse(&SHIPPED.replacen(from, to, 1)).expect_err(to);
            assert!(refused.contains(expected), "{to}: {refused}");
        }
    }
}
