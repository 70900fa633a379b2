//! The levels of each comparison as SQL conditions over the prepared columns of two records.
//!
//! Conditions are tried in their order, which is that of `comparison`; a level may come twice. Where a comparison looks
//! at another one's level, it repeats what it needs of it. Not here: what a level weighs.

use super::Engine;
use crate::matching::comparison::Comparison;

/// Rules under which pairs are compared, as in `blocking`; exchanged names and dates are left out.
pub const BLOCKING_RULES: [&str; 14] = [
    "l.birth_date = r.birth_date AND l.gender = r.gender",
    "l.phone = r.phone",
    "l.email = r.email",
    "l.member = r.member",
    "l.subscriber = r.subscriber",
    "l.medical_record = r.medical_record",
    "l.ssn = r.ssn AND l.birth_year = r.birth_year",
    "l.licence = r.licence",
    "l.family = r.family AND substr(l.given, 1, 1) = substr(r.given, 1, 1)",
    "l.family_sound = r.family_sound AND substr(l.given, 1, 1) = substr(r.given, 1, 1) AND l.birth_year = r.birth_year",
    "l.family = r.family AND l.zip = r.zip",
    "l.family_sound = r.family_sound AND l.birth_month = r.birth_month AND l.birth_day = r.birth_day",
    "l.given_sound = r.given_sound AND l.birth_month = r.birth_month AND l.birth_day = r.birth_day",
    "l.line = r.line",
];

/// How a comparison finds its level: absent where `null` holds, else that of the first condition that does.
pub struct Levels {
    pub null: String,
    pub ordered: Vec<(String, &'static str)>,
    pub otherwise: &'static str,
}

impl Levels {
    fn new(null: impl Into<String>, ordered: Vec<(String, &'static str)>, otherwise: &'static str) -> Self {
        Self { null: null.into(), ordered, otherwise }
    }

    /// The name of the level as one expression.
    fn expression(&self) -> String {
        let when = |(condition, level): &(String, &str)| format!("WHEN {condition} THEN '{level}'");
        let whens: Vec<String> = self.ordered.iter().map(when).collect();
        format!("(CASE WHEN {} THEN NULL {} ELSE '{}' END)", self.null, whens.join(" "), self.otherwise)
    }

    /// That the level is none of those that come before `level`.
    fn none_before(&self, level: &str) -> String {
        let before = self.ordered.iter().take_while(|(_, name)| *name != level);
        let conditions: Vec<String> = before.map(|(condition, _)| format!("coalesce({condition}, false)")).collect();
        format!("(NOT ({} OR {}))", self.null, conditions.join(" OR "))
    }
}

/// How two records get the level of a comparison.
pub fn levels(engine: Engine, comparison: Comparison) -> Levels {
    match comparison {
        Comparison::Given => given(engine),
        Comparison::Family => family(engine),
        Comparison::Middle => middle(engine),
        Comparison::Suffix => Levels::new(
            "suffix_l IS NULL OR suffix_r IS NULL",
            vec![("suffix_l = suffix_r".to_owned(), "exact")],
            "conflict",
        ),
        Comparison::BirthDate => birth_date(),
        Comparison::Sex => sex(engine),
        Comparison::Address => address(engine),
        Comparison::Phone => Levels::new(
            "phone_l IS NULL OR phone_r IS NULL",
            vec![("phone_l = phone_r".to_owned(), "exact"), (format!("{} <= 1", edits("phone_l", "phone_r")), "close")],
            "conflict",
        ),
        Comparison::Email => email(engine),
        Comparison::SocialSecurity => social_security(),
        Comparison::Member => numbers(engine, &["member", "subscriber"], &[], Shared::ByFamilies),
        Comparison::MedicalRecord => numbers(engine, &["medical_record"], &[], Shared::ByNobody),
        Comparison::Identifier => {
            // Two numbers of no known kind that differ may be two accounts of one person.
            let kinds = ["medicare", "licence", "state_id", "passport", "digital"];
            numbers(engine, &kinds, &["other"], Shared::ByNobody)
        }
    }
}

fn jaro_winkler(engine: Engine, a: &str, b: &str) -> String {
    match engine {
        Engine::DuckDb => format!("jaro_winkler_similarity({a}, {b})"),
        Engine::Spark => format!("jaro_winkler({a}, {b})"),
    }
}

fn edits(a: &str, b: &str) -> String {
    format!("damerau_levenshtein({a}, {b})")
}

/// A text is one of a list.
fn contains(engine: Engine, list: &str, text: &str) -> String {
    match engine {
        Engine::DuckDb => format!("coalesce(list_contains(string_split({list}, '|'), {text}), false)"),
        Engine::Spark => format!("coalesce(array_contains(split({list}, '[|]'), {text}), false)"),
    }
}

/// Two lists share a text.
fn overlap(engine: Engine, a: &str, b: &str) -> String {
    match engine {
        Engine::DuckDb => format!("coalesce(list_has_any(string_split({a}, '|'), string_split({b}, '|')), false)"),
        Engine::Spark => format!("coalesce(arrays_overlap(split({a}, '[|]'), split({b}, '[|]')), false)"),
    }
}

/// One edit apart in four letters or more, two in seven or more.
fn near(a: &str, b: &str) -> String {
    let (edits, longer) = (edits(a, b), format!("greatest(length({a}), length({b}))"));
    format!("(({edits} <= 1 AND {longer} >= 4) OR ({edits} = 2 AND {longer} >= 7))")
}

fn short_form(engine: Engine, one: &str, other: &str) -> String {
    format!(
        "({} OR {})",
        contains(engine, &format!("given_formal_{one}"), &format!("given_{other}")),
        contains(engine, &format!("given_formal_{other}"), &format!("given_{one}"))
    )
}

const GIVEN_NULL: &str = "given_l IS NULL OR given_r IS NULL";

/// The level of given names, exchanged ones aside.
fn given_straight(engine: Engine) -> Levels {
    let nickname = short_form(engine, "l", "r");
    let short_forms = overlap(engine, "given_formal_l", "given_formal_r");
    let has_initial = "(length(given_l) = 1 OR length(given_r) = 1)";
    let same_initial = "substr(given_l, 1, 1) = substr(given_r, 1, 1)";
    let near = near("given_l", "given_r");
    let similarity = jaro_winkler(engine, "given_l", "given_r");
    let known = "(given_known_l = '1' AND given_known_r = '1')";
    let sounds = "given_code_l = given_code_r";
    let initial = format!("(NOT {short_forms} AND {has_initial} AND {same_initial})");
    let close = format!("(NOT {short_forms} AND NOT {has_initial} AND {near} AND NOT {known})");
    let phonetic = format!(
        "(NOT {short_forms} AND NOT {has_initial} AND {sounds} AND (({near} AND {known}) OR (NOT {near} AND {similarity} >= 0.7)))"
    );
    let part = "(coalesce(given_l = given_part_r, false) OR coalesce(given_part_l = given_r, false))";
    let middle = "((coalesce(given_l = middle_r, false) AND length(given_l) > 1) OR (coalesce(middle_l = given_r, false) AND length(given_r) > 1))";
    Levels::new(
        GIVEN_NULL,
        vec![
            ("given_l = given_r".to_owned(), "exact"),
            (nickname, "nickname"),
            (initial, "initial"),
            (close, "close"),
            (phonetic, "phonetic"),
            (part.to_owned(), "nickname"),
            (middle.to_owned(), "middle"),
            (format!("({short_forms} OR coalesce(given_part_l = given_part_r, false))"), "short_forms"),
            (format!("(NOT {has_initial} AND {near})"), "confusable"),
            (has_initial.to_owned(), "conflict"),
            (format!("({similarity} >= 0.8 AND {known})"), "similar"),
            (format!("({similarity} >= 0.8)"), "distorted"),
            (known.to_owned(), "conflict"),
        ],
        "unrecognised",
    )
}

/// The level of family names, exchanged ones aside.
fn family_straight(engine: Engine) -> Levels {
    let part = format!(
        "({} OR {} OR {})",
        contains(engine, "family_parts_r", "family_l"),
        contains(engine, "family_parts_l", "family_r"),
        overlap(engine, "family_parts_l", "family_parts_r")
    );
    let similarity = jaro_winkler(engine, "family_l", "family_r");
    let female = "(coalesce(birth_sex_l, gender_l) = 'F' OR coalesce(birth_sex_r, gender_r) = 'F')";
    let near = near("family_l", "family_r");
    Levels::new(
        "family_l IS NULL OR family_r IS NULL",
        vec![
            ("family_l = family_r".to_owned(), "exact"),
            (part, "part"),
            (format!("({similarity} >= 0.94 OR ({similarity} >= 0.7 AND {near}))"), "close"),
            (format!("({similarity} >= 0.7 AND family_code_l = family_code_r)"), "phonetic"),
            (format!("({similarity} >= 0.85)"), "similar"),
            (female.to_owned(), "changed"),
        ],
        "conflict",
    )
}

/// Given and family name agree, nearly or wholly, across.
fn across(engine: Engine) -> String {
    let agree = |a: &str, b: &str| {
        let similarity = jaro_winkler(engine, a, b);
        format!("coalesce({a} = {b} OR {} OR (length({a}) >= 4 AND {similarity} >= 0.9), false)", near(a, b))
    };
    format!("{} AND {}", agree("given_l", "family_r"), agree("family_l", "given_r"))
}

fn given(engine: Engine) -> Levels {
    let mut levels = given_straight(engine);
    let family_differs = family_straight(engine).none_before("similar");
    let swapped = format!("({family_differs} AND {})", across(engine));
    // Names that only have something in common straight are exchanged where they agree across.
    let after = levels.ordered.iter().position(|(_, level)| *level == "confusable").map_or(0, |at| at + 1);
    levels.ordered.insert(after, (swapped, "swapped"));
    levels
}

fn family(engine: Engine) -> Levels {
    let mut levels = family_straight(engine);
    let given_differs = given_straight(engine).none_before("conflict");
    let swapped = format!("({given_differs} AND {})", across(engine));
    let after = levels.ordered.iter().position(|(_, level)| *level == "phonetic").map_or(0, |at| at + 1);
    levels.ordered.insert(after, (swapped, "swapped"));
    levels
}

fn middle(engine: Engine) -> Levels {
    let given = given_straight(engine).expression();
    let has_initial = "(length(middle_l) = 1 OR length(middle_r) = 1)";
    Levels::new(
        format!("middle_l IS NULL OR middle_r IS NULL OR coalesce({given} = 'middle', false)"),
        vec![
            (format!("({has_initial} AND substr(middle_l, 1, 1) = substr(middle_r, 1, 1))"), "initial"),
            (has_initial.to_owned(), "conflict"),
            ("middle_l = middle_r".to_owned(), "exact"),
            (near("middle_l", "middle_r"), "close"),
        ],
        "conflict",
    )
}

fn birth_date() -> Levels {
    let digits: Vec<String> = (1..=8)
        .map(|at| format!("CASE WHEN substr(birth_date_l, {at}, 1) = substr(birth_date_r, {at}, 1) THEN 0 ELSE 1 END"))
        .collect();
    let digits = format!("({})", digits.join(" + "));
    let partial = "(birth_day_l = '0' OR birth_day_r = '0')";
    let same_year = "birth_year_l = birth_year_r";
    let new_year = "(birth_date_l LIKE '%0101' OR birth_date_r LIKE '%0101')";
    let near = "abs(CAST(birth_year_l AS INT) - CAST(birth_year_r AS INT)) < 15";
    Levels::new(
        "birth_year_l IS NULL OR birth_year_r IS NULL",
        vec![
            (format!("({partial} AND {same_year} AND (birth_month_l = '0' OR birth_month_r = '0'))"), "partial"),
            (format!("({partial} AND {same_year} AND birth_month_l = birth_month_r)"), "year_month"),
            (format!("({partial} AND {same_year})"), "same_year"),
            (format!("({partial} AND {near})"), "conflict"),
            (partial.to_owned(), "generation"),
            ("(birth_date_l = birth_date_r AND birth_date_l LIKE '%0101')".to_owned(), "first_of_january"),
            ("birth_date_l = birth_date_r".to_owned(), "exact"),
            (format!("({same_year} AND birth_month_l = birth_day_r AND birth_day_l = birth_month_r)"), "swapped"),
            (format!("({same_year} AND {new_year})"), "placeholder"),
            (format!("{digits} = 1"), "close"),
            ("(birth_month_l = birth_month_r AND birth_day_l = birth_day_r)".to_owned(), "month_day"),
            (same_year.to_owned(), "same_year"),
            (format!("{digits} = 2"), "two_digits"),
            (near.to_owned(), "conflict"),
        ],
        "generation",
    )
}

fn sex(engine: Engine) -> Levels {
    // Birth sex where both have it, else gender where both have it.
    let both = "(birth_sex_l IS NOT NULL AND birth_sex_r IS NOT NULL)";
    let agree = format!("(CASE WHEN {both} THEN birth_sex_l = birth_sex_r ELSE gender_l = gender_r END)");
    let names = format!(
        "coalesce({} IN ('exact', 'swapped', 'nickname', 'close', 'phonetic', 'middle'), false)",
        given(engine).expression()
    );
    Levels::new(
        format!("{agree} IS NULL"),
        vec![(format!("({agree} AND {names})"), "same_given"), (agree.clone(), "exact"), (names, "other_given")],
        "conflict",
    )
}

fn address(engine: Engine) -> Levels {
    let same = |part: &str| format!("coalesce({part}_l = {part}_r, false)");
    let differ = |part: &str| format!("coalesce({part}_l <> {part}_r, false)");
    let (line, zip, place) = (same("line"), same("zip"), same("place"));
    let near = format!("({zip} OR {place})");
    let streets = jaro_winkler(engine, "coalesce(line_street_l, '')", "coalesce(line_street_r, '')");
    let close = format!(
        "((line_number_l = line_number_r AND ({streets} >= 0.9 OR {} <= 2)) OR (line_street_l = line_street_r AND length(line_street_l) >= 3 AND {} <= 1))",
        edits("coalesce(line_street_l, '')", "coalesce(line_street_r, '')"),
        edits("line_number_l", "line_number_r")
    );
    let lines = differ("line");
    let compared = [&line, &zip, &place, &lines, &differ("zip"), &differ("place")];
    let compared = compared.map(String::as_str).join(" OR ");
    Levels::new(
        format!("NOT ({compared})"),
        vec![
            (format!("({line} AND NOT {near})"), "line"),
            (format!("({line} AND {})", differ("unit")), "unit"),
            (line, "exact"),
            (format!("({near} AND {lines} AND coalesce({close}, false))"), "close"),
            (format!("({zip} AND {lines})"), "zip"),
            (zip, "zip_only"),
            (format!("({place} AND {lines})"), "place"),
            (place, "place_only"),
        ],
        "conflict",
    )
}

fn email(engine: Engine) -> Levels {
    let local = |side: &str| match engine {
        Engine::DuckDb => format!("split_part(email_{side}, '@', 1)"),
        Engine::Spark => format!("substring_index(email_{side}, '@', 1)"),
    };
    let same_local = format!("(length({0}) >= 5 AND {0} = {1})", local("l"), local("r"));
    Levels::new(
        "email_l IS NULL OR email_r IS NULL",
        vec![
            ("email_l = email_r".to_owned(), "exact"),
            (format!("({same_local} OR {} <= 1)", edits("email_l", "email_r")), "close"),
        ],
        "conflict",
    )
}

fn social_security() -> Levels {
    let last = |side: &str| format!("substr(ssn_{side}, length(ssn_{side}) - 3, 4)");
    let whole = "(length(ssn_l) = 9 AND length(ssn_r) = 9)";
    let (l, r) = (last("l"), last("r"));
    Levels::new(
        "ssn_l IS NULL OR ssn_r IS NULL",
        vec![
            (format!("({whole} AND ssn_l = ssn_r)"), "exact"),
            (format!("({whole} AND {} <= 1)", edits("ssn_l", "ssn_r")), "close"),
            (whole.to_owned(), "conflict"),
            (format!("{l} = {r}"), "last_four"),
            (format!("{} <= 1", edits(&l, &r)), "last_four_close"),
        ],
        "conflict",
    )
}

/// Who shares a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shared {
    ByNobody,
    /// Families, with personal endings.
    ByFamilies,
}

/// Value and issuer of a column, where it is not absent.
fn parted(engine: Engine, column: &str) -> (String, String) {
    let at = match engine {
        Engine::DuckDb => format!("strpos({column}, '@')"),
        Engine::Spark => format!("instr({column}, '@')"),
    };
    (format!("substr({column}, 1, {at} - 1)"), format!("substr({column}, {at}, length({column}))"))
}

/// Numbers of several kinds, each compared with its own; the best of all.
fn numbers(engine: Engine, kinds: &[&str], agreeing: &[&str], shared: Shared) -> Levels {
    let any = |kinds: &mut dyn Iterator<Item = &&str>, of: &dyn Fn(&str) -> String| {
        let conditions: Vec<String> = kinds.map(|kind| format!("coalesce({}, false)", of(kind))).collect();
        format!("({})", conditions.join(" OR "))
    };
    let sides = |kind: &str| (parted(engine, &format!("{kind}_l")), parted(engine, &format!("{kind}_r")));
    let exact = |kind: &str| format!("{kind}_l = {kind}_r");
    let same_issuer = |kind: &str| {
        let ((_, a), (_, b)) = sides(kind);
        format!("{a} = {b}")
    };
    let close = |kind: &str| {
        let ((a, _), (b, _)) = sides(kind);
        format!("({} AND length({a}) >= 6 AND {} <= 1)", same_issuer(kind), edits(&a, &b))
    };
    let part = |kind: &str| {
        let ((a, _), (b, _)) = sides(kind);
        let base = format!("(greatest(length({a}), length({b})) - 2)");
        format!(
            "({} AND {base} >= 6 AND length({a}) >= {base} AND length({b}) >= {base} AND substr({a}, 1, {base}) = substr({b}, 1, {base}))",
            same_issuer(kind)
        )
    };
    let mut ordered = vec![(any(&mut kinds.iter().chain(agreeing), &exact), "exact")];
    if shared == Shared::ByFamilies {
        ordered.push((any(&mut kinds.iter(), &part), "part"));
    }
    ordered.push((any(&mut kinds.iter().chain(agreeing), &close), "close"));
    let issuers = any(&mut kinds.iter(), &same_issuer);
    let compared: Vec<&str> =
        ordered.iter().map(|(condition, _)| condition.as_str()).chain([issuers.as_str()]).collect();
    Levels::new(format!("NOT ({})", compared.join(" OR ")), ordered, "conflict")
}
