//! The grade of a match: the first row of the guide's table that holds, capped by conflicts.
//!
//! Source: IG Patient Matching, "Match Quality" table, with the project's decisions on union of evidence and caps
//! (IG Patient Matching, match grades). The evidence is the union over the records of one identity. Not here: the match
//! probability (see `score`), how evidence is found (see `comparison`).
//!
//! A row of .80 is certain only from a probability on, and where nothing is contradicted ([`Contradiction`]); the same
//! is asked of a record that joins an identity by itself. What contradicts, and what does not:
//!
//! | attribute | contradicts when |
//! |---|---|
//! | whatever caps a grade | always ([`Conflict`]) |
//! | social security number | the last four digits differ, be it of a number or the digits alone |
//! | birth sex (us-core-birthsex) | both have it and they differ |
//! | middle name | two names that are neither equal, near nor short forms; an initial that is not the other's |
//! | passport, state id, Digital Identifier | another number of the same issuer, more than one edit away |
//! | gender | never: it is recorded wrongly, and it changes |
//! | phone, address, email | never: people move |
//! | medical record number | never: a facility gives a second one by mistake; the probability weighs it |
//! | member and subscriber number | never: plans are changed; family members differ in the row by their names |
//! | identifiers of different issuers, and of no known kind | never |

use serde::{Deserialize, Serialize};

use super::comparison::{Comparison, Evidence, Level, Pair};
use super::model::Model;
use super::score::Classes;

/// `http://hl7.org/fhir/StructureDefinition/match-grade`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatchGrade {
    Certain,
    Probable,
    Possible,
    CertainlyNot,
}

impl MatchGrade {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Probable => "probable",
            Self::Possible => "possible",
            Self::CertainlyNot => "certainly-not",
        }
    }
}

/// A row of the guide's table; names say what agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatchRow {
    MedicalRecordNumber,
    DigitalIdentifier,
    Licence,
    Passport,
    Member,
    BirthDateSubscriber,
    BirthDateSocialSecurity,
    Subscriber,
    BirthDateLineZip,
    BirthDateLineCity,
    BirthDateEmail,
    BirthDateSexSocialSecurity4,
    BirthDateSexPhone,
    BirthDateSexZip,
    BirthDateSexMiddle,
    BirthDatePhone,
    BirthDateSexMiddleInitial,
    BirthDateSex,
    BirthDate,
}

impl MatchRow {
    /// In the order of the table; the first that holds is the row.
    pub const ALL: [Self; 19] = [
        Self::MedicalRecordNumber,
        Self::DigitalIdentifier,
        Self::Licence,
        Self::Passport,
        Self::Member,
        Self::BirthDateSubscriber,
        Self::BirthDateSocialSecurity,
        Self::Subscriber,
        Self::BirthDateLineZip,
        Self::BirthDateLineCity,
        Self::BirthDateEmail,
        Self::BirthDateSexSocialSecurity4,
        Self::BirthDateSexPhone,
        Self::BirthDateSexZip,
        Self::BirthDateSexMiddle,
        Self::BirthDatePhone,
        Self::BirthDateSexMiddleInitial,
        Self::BirthDateSex,
        Self::BirthDate,
    ];

    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MedicalRecordNumber => "medical-record-number",
            Self::DigitalIdentifier => "digital-identifier",
            Self::Licence => "licence",
            Self::Passport => "passport",
            Self::Member => "member",
            Self::BirthDateSubscriber => "birth-date-subscriber",
            Self::BirthDateSocialSecurity => "birth-date-social-security",
            Self::Subscriber => "subscriber",
            Self::BirthDateLineZip => "birth-date-line-zip",
            Self::BirthDateLineCity => "birth-date-line-city",
            Self::BirthDateEmail => "birth-date-email",
            Self::BirthDateSexSocialSecurity4 => "birth-date-sex-social-security-4",
            Self::BirthDateSexPhone => "birth-date-sex-phone",
            Self::BirthDateSexZip => "birth-date-sex-zip",
            Self::BirthDateSexMiddle => "birth-date-sex-middle",
            Self::BirthDatePhone => "birth-date-phone",
            Self::BirthDateSexMiddleInitial => "birth-date-sex-middle-initial",
            Self::BirthDateSex => "birth-date-sex",
            Self::BirthDate => "birth-date",
        }
    }

    /// The score of the row.
    #[must_use]
    pub const fn score(self) -> f64 {
        match self {
            Self::MedicalRecordNumber
            | Self::DigitalIdentifier
            | Self::Licence
            | Self::Passport
            | Self::Member
            | Self::BirthDateSubscriber
            | Self::BirthDateSocialSecurity => 0.99,
            Self::Subscriber | Self::BirthDateLineZip | Self::BirthDateLineCity | Self::BirthDateEmail => 0.80,
            Self::BirthDateSexSocialSecurity4
            | Self::BirthDateSexPhone
            | Self::BirthDateSexZip
            | Self::BirthDateSexMiddle
            | Self::BirthDatePhone => 0.70,
            Self::BirthDateSexMiddleInitial | Self::BirthDateSex | Self::BirthDate => 0.60,
        }
    }
}

/// What caps a grade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conflict {
    BirthDate,
    GivenName,
    /// Names in use that are easily confused, on one birth date and surname, without a personal identifier.
    TwinNames,
    /// A short form and its formal name that are both names in use, under the same circumstances.
    ShortForm,
    Suffix,
    SocialSecurity,
    Medicare,
    Licence,
    /// A name with letters that imitate others: found, never certain.
    ImitatedLetters,
    /// The identity's records disagree on the birth date or the given name: one agrees with the request, another
    /// conflicts with it. Who of them is meant cannot be certain.
    MixedIdentity,
    /// What agrees may be a twin's or a relative's: their posterior is beyond `RELATIVES_MAX`.
    Relatives,
}

/// Whether an attribute that people keep compares as different; the list is in the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contradiction {
    Absent,
    Present,
}

impl Conflict {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BirthDate => "birth-date",
            Self::GivenName => "given-name",
            Self::TwinNames => "twin-names",
            Self::ShortForm => "short-form",
            Self::Suffix => "suffix",
            Self::SocialSecurity => "social-security",
            Self::Medicare => "medicare",
            Self::Licence => "licence",
            Self::ImitatedLetters => "imitated-letters",
            Self::MixedIdentity => "mixed-identity",
            Self::Relatives => "relatives",
        }
    }

    /// The score it leaves at most.
    #[must_use]
    pub const fn cap(self) -> f64 {
        match self {
            Self::BirthDate | Self::GivenName | Self::TwinNames | Self::Suffix | Self::SocialSecurity => 0.60,
            Self::ShortForm | Self::Medicare | Self::Licence | Self::ImitatedLetters | Self::MixedIdentity => 0.70,
            Self::Relatives => 0.80,
        }
    }
}

/// Posterior of a twin or relative from which on no row is certain: families SHALL be modelled (IG Patient Matching).
const RELATIVES_MAX: f64 = 0.05;

/// The graded match.
#[derive(Debug, Clone, PartialEq)]
pub struct Graded {
    pub score: f64,
    pub grade: MatchGrade,
    pub row: Option<MatchRow>,
    pub capped_by: Vec<Conflict>,
    pub contradiction: Contradiction,
}

/// The scores of the guide's table, and one for all that meets none of its rows.
const SCORES: [f64; 5] = [0.99, 0.80, 0.70, 0.60, 0.50];

/// `score` as the table alone has it, so that digits do not tell how near a guess was.
#[must_use]
pub fn score_of_table(score: f64) -> f64 {
    SCORES.into_iter().find(|step| score >= *step).unwrap_or(0.50)
}

/// Grades the pooled evidence of an identity.
#[must_use]
pub fn grade(pair: &Pair, classes: &Classes, model: &Model) -> Graded {
    let probability = classes.probability();
    let capped_by = conflicts(pair, classes);
    let contradiction = contradiction(pair, &capped_by);
    let row = MatchRow::ALL.into_iter().find(|row| holds(*row, pair));
    let Some(row) = row else {
        let is_possible = probability >= model.thresholds().possible;
        let grade = if is_possible { MatchGrade::Possible } else { MatchGrade::CertainlyNot };
        return Graded { score: 0.59 * probability, grade, row: None, capped_by, contradiction };
    };
    let score = capped_by.iter().fold(row.score(), |score, conflict| score.min(conflict.cap()));
    let grade = match () {
        () if score >= 0.99 => MatchGrade::Certain,
        () if score >= 0.80 && probability >= model.thresholds().certain && contradiction == Contradiction::Absent => {
            MatchGrade::Certain
        }
        () if score >= 0.70 => MatchGrade::Probable,
        () => MatchGrade::Possible,
    };
    Graded { score, grade, row: Some(row), capped_by, contradiction }
}

fn holds(row: MatchRow, pair: &Pair) -> bool {
    let has = |evidence| pair.evidence.has(evidence);
    let first = has(Evidence::FIRST) && !has_twin_names(pair);
    let names = first && has(Evidence::LAST);
    let birth_date = has(Evidence::BIRTH_DATE);
    let all = names && birth_date;
    let all_and_sex = all && has(Evidence::SEX);
    // Families share member and subscriber numbers: the given name must be equal or a short form.
    let member = names && has(Evidence::FIRST_OR_NICKNAME) && !pair.has_birth_date_conflict();
    match row {
        MatchRow::MedicalRecordNumber => has(Evidence::MEDICAL_RECORD) && is_known_person(pair, names),
        MatchRow::DigitalIdentifier => has(Evidence::DIGITAL) && is_known_person(pair, names),
        MatchRow::Licence => names && has(Evidence::LICENCE),
        MatchRow::Passport => names && has(Evidence::PASSPORT),
        MatchRow::Member => member && (has(Evidence::MEMBER) || has(Evidence::MEDICARE)),
        MatchRow::BirthDateSubscriber => member && birth_date && has(Evidence::SUBSCRIBER),
        MatchRow::BirthDateSocialSecurity => all && has(Evidence::SSN),
        MatchRow::Subscriber => member && has(Evidence::SUBSCRIBER),
        MatchRow::BirthDateLineZip => all && has(Evidence::LINE_AND_ZIP),
        MatchRow::BirthDateLineCity => all && has(Evidence::LINE_AND_PLACE),
        MatchRow::BirthDateEmail => all && has(Evidence::EMAIL),
        MatchRow::BirthDateSexSocialSecurity4 => all_and_sex && has(Evidence::SSN_LAST4),
        MatchRow::BirthDateSexPhone => all_and_sex && has(Evidence::PHONE),
        MatchRow::BirthDateSexZip => all_and_sex && has(Evidence::ZIP),
        MatchRow::BirthDateSexMiddle => all_and_sex && has(Evidence::MIDDLE),
        MatchRow::BirthDatePhone => all && has(Evidence::PHONE),
        MatchRow::BirthDateSexMiddleInitial => all_and_sex && has(Evidence::MIDDLE_INITIAL),
        MatchRow::BirthDateSex => all_and_sex,
        MatchRow::BirthDate => all,
    }
}

/// The responder's own number, or a Digital Identifier, with both names or the birth date; with the birth date alone
/// the given name must not conflict.
fn is_known_person(pair: &Pair, names: bool) -> bool {
    names || (pair.evidence.has(Evidence::BIRTH_DATE) && !pair.has_given_conflict() && !has_twin_names(pair))
}

/// Every conflict that the identity's records leave unresolved.
fn conflicts(pair: &Pair, classes: &Classes) -> Vec<Conflict> {
    let has = |evidence| pair.evidence.has(evidence);
    let held: [(bool, Conflict); 11] = [
        (pair.has_birth_date_conflict(), Conflict::BirthDate),
        (pair.has_given_conflict(), Conflict::GivenName),
        (has_twin_names(pair), Conflict::TwinNames),
        (is_short_form_in_use(pair), Conflict::ShortForm),
        (pair.level(Comparison::Suffix) == Level::Conflict, Conflict::Suffix),
        (
            pair.level(Comparison::SocialSecurity) == Level::Conflict && has(Evidence::SSN_CONFLICT),
            Conflict::SocialSecurity,
        ),
        (has(Evidence::MEDICARE_CONFLICT) && !has(Evidence::MEDICARE), Conflict::Medicare),
        (has(Evidence::LICENCE_CONFLICT) && !has(Evidence::LICENCE), Conflict::Licence),
        (has(Evidence::IMITATED), Conflict::ImitatedLetters),
        (is_mixed(pair), Conflict::MixedIdentity),
        (classes.relatives_probability() > RELATIVES_MAX, Conflict::Relatives),
    ];
    held.into_iter().filter(|(held, _)| *held).map(|(_, conflict)| conflict).collect()
}

/// A conflict that caps, or one of an attribute that people keep.
fn contradiction(pair: &Pair, capped_by: &[Conflict]) -> Contradiction {
    let has = |evidence| pair.evidence.has(evidence);
    let lasting = [Comparison::Middle, Comparison::SocialSecurity, Comparison::Identifier];
    let is_present = !capped_by.is_empty()
        || lasting.into_iter().any(|comparison| pair.level(comparison) == Level::Conflict)
        || pair.level(Comparison::SocialSecurity) == Level::LastFourClose
        || has(Evidence::BIRTH_SEX_CONFLICT)
        || has(Evidence::IDENTIFIER_CONFLICT);
    if is_present { Contradiction::Present } else { Contradiction::Absent }
}

/// A record of the identity agrees on the birth date, or on the given name, and another one conflicts.
fn is_mixed(pair: &Pair) -> bool {
    let has = |evidence| pair.evidence.has(evidence);
    has(Evidence::BIRTH_DATE.with(Evidence::BIRTH_DATE_CONFLICT))
        || has(Evidence::FIRST_OR_NICKNAME.with(Evidence::GIVEN_CONFLICT))
}

/// Names in use that are near each other, and two short forms of one name, are two children's, not one person's, when
/// birth date and surname agree and no personal identifier does; so is an initial where another record of the identity
/// has a sibling's name.
fn has_twin_names(pair: &Pair) -> bool {
    let has = |evidence| pair.evidence.has(evidence);
    let given = pair.level(Comparison::Given);
    if has(Evidence::SIBLING)
        && !matches!(given, Level::Exact | Level::Nickname | Level::Unrecognised | Level::Conflict)
    {
        return true;
    }
    let confusable = match given {
        Level::ShortForms => true,
        Level::Close => has(Evidence::BOTH_GIVEN_KNOWN) || has(Evidence::NEAR_IN_DOUBT),
        Level::Phonetic | Level::Confusable | Level::Similar => has(Evidence::BOTH_GIVEN_KNOWN),
        _ => false,
    };
    confusable && pair.may_be_siblings()
}

/// Julia and Julie: one name is the other's formal name, but both are given to children.
fn is_short_form_in_use(pair: &Pair) -> bool {
    pair.level(Comparison::Given) == Level::Nickname
        && pair.evidence.has(Evidence::SHORT_FORM_IN_USE)
        && pair.may_be_siblings()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::comparison::tests::pair;
    use crate::matching::model::tests::model;

    /// A Patient of the given parts: `given family date sex`, then `key=value` in the short forms below.
    fn patient(short: &str) -> String {
        let mut words = short.split_whitespace();
        let mut next = || words.next().unwrap_or("-").to_owned();
        let (given, family, date, sex) = (next(), next(), next(), next());
        let list = |given: &str| given.split('+').map(|g| format!("\"{g}\"")).collect::<Vec<_>>().join(",");
        let mut members = Vec::new();
        let mut name = Vec::new();
        if family != "-" {
            name.push(format!(r#""family":"{family}""#));
        }
        if given != "-" {
            name.push(format!(r#""given":[{}]"#, list(&given)));
        }
        let (mut identifiers, mut telecoms, mut address) = (Vec::new(), Vec::new(), Vec::new());
        for word in words {
            let (key, value) = word.split_once('=').expect("key=value");
            let value = value.replace('_', " ");
            match key {
                "suffix" => name.push(format!(r#""suffix":["{value}"]"#)),
                "phone" | "email" => telecoms.push(format!(r#"{{"system":"{key}","value":"{value}"}}"#)),
                "line" => address.push(format!(r#""line":["{value}"]"#)),
                "zip" => address.push(format!(r#""postalCode":"{value}""#)),
                "city" => address.push(format!(r#""city":"{value}","state":"NY""#)),
                "town" => address.push(format!(r#""city":"{value}""#)),
                "birthsex" => members.push(format!(
                    r#""extension":[{{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex","valueCode":"{value}"}}]"#
                )),
                "SSN" => identifiers.push(format!(r#"{{"system":"http://hl7.org/fhir/sid/us-ssn","value":"{value}"}}"#)),
                "MBI" => identifiers.push(format!(r#"{{"system":"http://hl7.org/fhir/sid/us-mbi","value":"{value}"}}"#)),
                "HL7" => identifiers.push(format!(
                    r#"{{"system":"http://hl7.org/fhir/us/identity-matching/ns/HL7PersonIdentifier","value":"{value}"}}"#
                )),
                code => {
                    let (system, value) = value.split_once(':').expect("system:value");
                    identifiers.push(format!(r#"{{"type":{{"coding":[{{"code":"{code}"}}]}},"system":"urn:{system}","value":"{value}"}}"#));
                }
            }
        }
        if !name.is_empty() {
            members.push(format!(r#""name":[{{{}}}]"#, name.join(",")));
        }
        if date != "-" {
            members.push(format!(r#""birthDate":"{date}""#));
        }
        if sex != "-" {
            members.push(format!(r#""gender":"{sex}""#));
        }
        if !telecoms.is_empty() {
            members.push(format!(r#""telecom":[{}]"#, telecoms.join(",")));
        }
        if !address.is_empty() {
            members.push(format!(r#""address":[{{{}}}]"#, address.join(",")));
        }
        if !identifiers.is_empty() {
            members.push(format!(r#""identifier":[{}]"#, identifiers.join(",")));
        }
        members.join(",")
    }

    fn graded(query: &str, stored: &str) -> Graded {
        grade(&pair(&patient(query), &patient(stored)), &Classes::unrelated_otherwise(0.5), model())
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "one table")]
    fn each_row_holds_on_its_evidence_and_not_without_it() {
        use MatchRow as R;
        let name = "Ann Ray - -";
        let date = "Ann Ray 1980-02-03 -";
        let all = "Ann Ray 1980-02-03 female";
        let nick = "Annie Ray - -";
        // Row; query that earns it; query that does not, against the same stored record.
        let table: &[(R, &str, &str, &str)] = &[
            (R::MedicalRecordNumber, "Ann Ray - - MR=a:77", "Ann Ray - - MR=b:77", "MR=a:77"),
            (R::MedicalRecordNumber, "- - 1980-02-03 - MR=a:77", "Joe - 1980-02-03 - MR=a:77", "MR=a:77"),
            (R::DigitalIdentifier, "Ann Ray - - HL7=d7", "Ann Lang - - HL7=d7", "HL7=d7"),
            (R::Licence, "Ann Ray - - DL=ny:5", "Ann Ray - - DL=nj:5", "DL=ny:5"),
            (R::Licence, "Ann Ray - - STID=ny:5", "- Ray 1980-02-03 - STID=ny:5", "STID=ny:5"),
            (R::Passport, "Ann Ray - - PPN=us:5", "- Ray - - PPN=us:5", "PPN=us:5"),
            (R::Member, "Ann Ray - - MB=p:5", "Ann Ray 1957-10-21 - MB=p:5", "MB=p:5"),
            (R::Member, "Ann Ray - - MBI=1EG4TE5MK73", "Joe Ray - - MBI=1EG4TE5MK73", "MBI=1EG4TE5MK73"),
            (R::BirthDateSubscriber, "Ann Ray 1980-02-03 - SN=p:5", "Ann Ray 1980-02-03 - SN=q:5", "SN=p:5"),
            (
                R::BirthDateSocialSecurity,
                "Ann Ray 1980-02-03 - SSN=219541234",
                "Ann Ray 1980-03-02 - SSN=219541234",
                "SSN=219541234",
            ),
            (R::Subscriber, "Ann Ray 1980-03-02 - SN=p:5", "Joe Ray - - SN=p:5", "SN=p:5"),
            (
                R::BirthDateLineZip,
                "Ann Ray 1980-02-03 - line=1_Oak_St zip=12180",
                "Ann Ray 1980-02-03 - line=1_Oak_St",
                "line=1_Oak_St zip=12180",
            ),
            (
                R::BirthDateLineCity,
                "Ann Ray 1980-02-03 - line=1_Oak_St city=Troy",
                "Ann Ray 1980-02-03 - city=Troy",
                "line=1_Oak_St city=Troy",
            ),
            (
                R::BirthDateEmail,
                "Ann Ray 1980-02-03 - email=a@b.org",
                "Ann Ray 1980-02-03 - email=c@b.org",
                "email=a@b.org",
            ),
            (
                R::BirthDateSexSocialSecurity4,
                "Ann Ray 1980-02-03 female SSN=1234",
                "Ann Ray 1980-02-03 female SSN=9876",
                "SSN=219541234",
            ),
            (
                R::BirthDateSexPhone,
                "Ann Ray 1980-02-03 female phone=2125550142",
                "Ann Ray 1980-02-03 - phone=2125550142",
                "phone=2125550142",
            ),
            (R::BirthDateSexZip, "Ann Ray 1980-02-03 female zip=12180", "Ann Ray 1980-02-03 - zip=12180", "zip=12180"),
            (R::BirthDateSexMiddle, "Ann+Eva Ray 1980-02-03 female", "Ann+E Ray 1980-02-03 female", ""),
            (
                R::BirthDatePhone,
                "Ann Ray 1980-02-03 male phone=2125550142",
                "Ann Ray 1980-03-02 - phone=2125550142",
                "phone=2125550142",
            ),
            (R::BirthDateSexMiddleInitial, "Ann+E Ray 1980-02-03 female", "Ann+K Ray 1980-02-03 female", ""),
            (R::BirthDateSex, all, date, ""),
            (R::BirthDate, date, name, ""),
        ];
        for (row, holding, failing, extra) in table {
            let stored = format!("Ann+Eva Ray 1980-02-03 female {extra}");
            let graded_row = graded(holding, &stored);
            assert_eq!(graded_row.row, Some(*row), "{holding}");
            assert!((graded_row.score - row.score()).abs() < 1e-9, "{holding} {graded_row:?}");
            assert_ne!(graded(failing, &stored).row, Some(*row), "{failing}");
        }
        assert_eq!(graded("Ann Ray - - MB=p:5", "Annie Ray 1980-02-03 female MB=p:5").row, Some(R::Member));
        assert_eq!(graded(nick, "Ann Ray - -").row, None);
    }

    #[test]
    fn first_and_last_agree_when_equal_short_form_or_one_edit_on_five_letters() {
        for (query, stored, agrees) in [
            ("Ann Ray 1980-02-03", "ANN RAY 1980-02-03", true),
            ("Peggy Ray 1980-02-03", "Margaret Ray 1980-02-03", true),
            ("Zorban Ray 1980-02-03", "Zorbam Ray 1980-02-03", true),
            ("Zorb Ray 1980-02-03", "Zorx Ray 1980-02-03", false),
            ("Ann Novack 1980-02-03", "Ann Novak 1980-02-03", true),
            ("Ann Ray 1980-02-03", "Ann Rey 1980-02-03", false),
            ("- Suharto 1980-02-03", "- Suharto 1980-02-03", true),
            ("- Suharto 1980-02-03", "Ann Suharto 1980-02-03", false),
        ] {
            assert_eq!(graded(query, stored).row.is_some(), agrees, "{query} {stored}");
        }
    }

    #[test]
    fn each_conflict_caps_and_its_near_miss_does_not() {
        let same = "MR=a:77";
        let table: &[(Conflict, &str, &str, &str)] = &[
            (
                Conflict::BirthDate,
                "Ann Ray 1957-10-21 female",
                "Ann Ray 1980-03-02 female",
                "Ann Ray 1980-02-03 female",
            ),
            (
                Conflict::BirthDate,
                "Ann Ray 1981-02-14 female",
                "Ann Ray 1980-02-13 female",
                "Ann Ray 1980-02-03 female",
            ),
            (Conflict::BirthDate, "Ann Ray 1980-07-19 female", "Ann Ray 1980 female", "Ann Ray 1980-02-03 female"),
            (Conflict::Suffix, "Al Ray - male suffix=Jr", "Al Ray - male", "Al Ray 1980-02-03 male suffix=Sr"),
            (
                Conflict::SocialSecurity,
                "Ann Ray - - SSN=300128888",
                "Ann Ray - - SSN=219541243",
                "Ann Ray 1980-02-03 - SSN=219541234",
            ),
            (Conflict::Medicare, "Ann Ray - - MBI=1EG4TE5MK73", "Ann Ray - -", "Ann Ray 1980-02-03 - MBI=9AA9AA9AA99"),
            (Conflict::Licence, "Ann Ray - - DL=ny:5551", "Ann Ray - - DL=nj:5551", "Ann Ray 1980-02-03 - DL=ny:87777"),
            (Conflict::ImitatedLetters, "Аnn Ray - -", "Ann Ray - -", "Ann Ray 1980-02-03 -"),
        ];
        for (conflict, capped, free, stored) in table {
            let stored = format!("{stored} {same}");
            let with = graded(&format!("{capped} {same}"), &stored);
            assert_eq!(with.capped_by, [*conflict], "{capped}");
            assert!(
                (with.score - conflict.cap()).abs() < 1e-9 && with.grade != MatchGrade::Certain,
                "{capped} {with:?}"
            );
            let without = graded(&format!("{free} {same}"), &stored);
            assert_eq!((without.capped_by.as_slice(), without.grade), (&[][..], MatchGrade::Certain), "{free}");
        }
    }

    #[test]
    fn a_different_given_name_caps_and_takes_the_row_of_the_birth_date_alone() {
        let stored = "Ann Ray 1980-02-03 female line=1_Oak_St zip=12180 MB=p:5 MR=a:7 email=a@b.org";
        let query = "Zoltan Ray 1980-02-03 - line=1_Oak_St zip=12180 MB=p:5 MR=a:7 email=a@b.org";
        let graded = graded(query, stored);
        assert_eq!((graded.row, graded.capped_by), (None, vec![Conflict::GivenName]));
    }

    #[test]
    fn twins_of_confusable_names_conflict_unless_a_personal_identifier_agrees() {
        let home = "line=1_Oak_St zip=12180 MB=p:5 phone=2125550142";
        let at = |given: &str, rest: &str| format!("{given} Ray 2015-02-03 male {home} {rest}");
        let twins = graded(&at("Jaden", ""), &at("Jayden", ""));
        assert_eq!(twins.capped_by, [Conflict::TwinNames]);
        assert!(twins.score <= 0.60 && twins.grade != MatchGrade::Certain, "{twins:?}");
        let one = graded(&at("Jaden", "MR=a:7"), &at("Jayden", "MR=a:7"));
        assert_eq!((one.row, one.capped_by), (Some(MatchRow::MedicalRecordNumber), vec![]));
        let typed = graded(&at("Jaydn", ""), &at("Jayden", ""));
        assert!(typed.capped_by.is_empty(), "a name nobody has is a typing error: {typed:?}");
    }

    #[test]
    fn two_short_forms_of_one_name_are_twins_names_unless_a_personal_identifier_agrees() {
        let home = "line=1_Oak_St zip=12180 MB=p:5 phone=2125550142 email=a@b.org";
        let at = |given: &str, rest: &str| format!("{given} Ray 2015-02-03 female {home} {rest}");
        for (one, other) in [("Nora", "Ella"), ("Sandra", "Alexa"), ("Maggie", "Rita"), ("Rita", "Daisy")] {
            for (query, stored) in [(one, other), (other, one)] {
                let twins = graded(&at(query, ""), &at(stored, ""));
                assert_eq!((twins.row, &*twins.capped_by), (None, &[Conflict::TwinNames][..]), "{query} {stored}");
                let same = graded(&at(query, "MR=a:7"), &at(stored, "MR=a:7"));
                assert_eq!((same.row, &*same.capped_by), (Some(MatchRow::MedicalRecordNumber), &[][..]), "{query}");
            }
        }
        let another_date = graded("Nora Ray 2015-03-02 - MB=p:5", "Ella Ray 2015-02-03 - MB=p:5");
        assert_eq!((another_date.row, &*another_date.capped_by), (Some(MatchRow::Member), &[][..]), "no twins");
    }

    #[test]
    fn a_short_form_and_its_formal_name_agree_and_are_not_certain_where_both_are_names_in_use() {
        let home = "line=1_Oak_St zip=12180 MB=p:5 phone=2125550142";
        let at = |given: &str, rest: &str| format!("{given} Ray 2015-02-03 female {home} {rest}");
        for (query, stored) in [("Julia", "Julie"), ("Margaret", "Peggy"), ("Ella", "Eleanor")] {
            let graded_alone = grade(
                &pair(&patient(&at(query, "")), &patient(&at(stored, ""))),
                &Classes::unrelated_otherwise(0.9999),
                model(),
            );
            assert_eq!(
                (graded_alone.row, &*graded_alone.capped_by),
                (Some(MatchRow::Member), &[Conflict::ShortForm][..])
            );
            assert_eq!(graded_alone.grade, MatchGrade::Probable, "{query} {stored}");
            let same = graded(&at(query, "MR=a:7"), &at(stored, "MR=a:7"));
            assert_eq!((same.grade, &*same.capped_by), (MatchGrade::Certain, &[][..]), "{query} {stored}");
        }
        let unused = graded(&at("Will", ""), &at("William", ""));
        assert_eq!((unused.grade, &*unused.capped_by), (MatchGrade::Certain, &[][..]), "nobody is named so");
    }

    #[test]
    fn near_names_that_begin_differently_or_of_another_script_are_twins_names_too() {
        let at = |given: &str, rest: &str| format!("{given} Ray 2015-02-03 female line=1_Oak_St zip=12180 {rest}");
        for (query, stored) in [("Sanjana", "Ranjana"), ("Марина", "Карина"), ("Алина", "Арина")]
        {
            let twins = graded(&at(query, ""), &at(stored, ""));
            assert_eq!((twins.row, &*twins.capped_by), (None, &[Conflict::TwinNames][..]), "{query} {stored}");
            let same = graded(&at(query, "MR=a:7"), &at(stored, "MR=a:7"));
            assert!(same.capped_by.is_empty() && same.row.is_some(), "{query} {stored} {same:?}");
        }
        assert!(graded(&at("Sanjana", ""), &at("Sanjama", "")).capped_by.is_empty(), "a typing error");
    }

    #[test]
    fn letters_are_counted_not_bytes_and_another_script_agrees_only_when_equal() {
        for (query, stored, agrees) in [
            ("小明 王 1980-02-03", "小明 王 1980-02-03", true),
            ("小明 王 1980-02-03", "小红 王 1980-02-03", false),
            ("小明 王 1980-02-03", "小明 李 1980-02-03", false),
            ("Иван Ray 1980-02-03", "Иван Ray 1980-02-03", true),
            ("Иван Ray 1980-02-03", "Иваш Ray 1980-02-03", false),
            ("Ann Иванов 1980-02-03", "Ann Иванон 1980-02-03", false),
            ("Añna Ray 1980-02-03", "Anna Ray 1980-02-03", true),
        ] {
            assert_eq!(graded(query, stored).row.is_some(), agrees, "{query} {stored}");
        }
    }

    #[test]
    fn what_is_left_beside_a_placeholder_is_no_single_legal_name() {
        let nothing = "- Suharto 1980-02-03";
        for given in ["Unknown", "Baby", "Newborn"] {
            let removed = format!("{given} Suharto 1980-02-03");
            for (query, stored) in [(removed.as_str(), nothing), (nothing, &removed), (&removed, &removed)] {
                assert_eq!(graded(query, stored).row, None, "{query} {stored}");
            }
        }
        assert_eq!(graded(nothing, nothing).row, Some(MatchRow::BirthDate));
    }

    #[test]
    fn an_identifier_without_system_proves_nothing() {
        let of = |code: &str, issuer: &str| {
            let name = r#""name":[{"family":"Ray","given":["Ann"]}],"birthDate":"1980-02-03""#;
            format!(r#"{name},"identifier":[{{"type":{{"coding":[{{"code":"{code}"}}]}},{issuer},"value":"77123"}}]"#)
        };
        for code in ["MR", "DL", "PPN", "MB", "SN", "STID", "MC"] {
            for issuer in [r#""assigner":{"display":"Ohio"}"#, r#""assigner":{"reference":"Organization/1"}"#] {
                let graded =
                    grade(&pair(&of(code, issuer), &of(code, issuer)), &Classes::unrelated_otherwise(0.5), model());
                assert_eq!(graded.row, Some(MatchRow::BirthDate), "{code} {issuer}");
            }
            let system = r#""system":"urn:a""#;
            let graded =
                grade(&pair(&of(code, system), &of(code, system)), &Classes::unrelated_otherwise(0.5), model());
            assert_ne!(graded.row, Some(MatchRow::BirthDate), "{code} {system}");
        }
    }

    #[test]
    fn a_row_of_80_is_certain_only_from_the_probability_on_and_without_conflict() {
        let model = model();
        let home = "Ann Ray 1980-02-03 female line=1_Oak_St zip=12180";
        let pair = pair(&patient(home), &patient(home));
        assert_eq!(grade(&pair, &Classes::unrelated_otherwise(0.991), model).grade, MatchGrade::Certain);
        assert_eq!(grade(&pair, &Classes::unrelated_otherwise(0.989), model).grade, MatchGrade::Probable);
        let mut conflicting = pair;
        conflicting.evidence.add(Evidence::IMITATED);
        assert_eq!(grade(&conflicting, &Classes::unrelated_otherwise(0.999), model).grade, MatchGrade::Probable);
    }

    #[test]
    fn a_line_and_city_are_an_address_only_with_the_same_state_on_both_sides() {
        let at = |address: &str| format!("Ann Ray 1980-02-03 - line=1_Oak_St {address}");
        for (query, stored, row) in [
            ("city=Troy", "city=Troy", MatchRow::BirthDateLineCity),
            ("town=Troy", "town=Troy", MatchRow::BirthDate),
            ("town=Troy", "city=Troy", MatchRow::BirthDate),
            ("city=Troy", "town=Troy", MatchRow::BirthDate),
            ("town=Troy zip=12180", "town=Troy zip=12180", MatchRow::BirthDateLineZip),
        ] {
            assert_eq!(graded(&at(query), &at(stored)).row, Some(row), "{query} {stored}");
        }
    }

    #[test]
    fn a_row_of_80_is_certain_unless_something_that_people_keep_differs() {
        let home = "line=1_Oak_St zip=12180";
        let at = |given: &str, sex: &str, rest: &str| patient(&format!("{given} Ray 1980-02-03 {sex} {home} {rest}"));
        let table: &[(&str, &str, Contradiction)] = &[
            ("SSN=219541234", "SSN4=s:9876", Contradiction::Present),
            ("SSN4=s:9876", "SSN4=s:1234", Contradiction::Present),
            ("SSN4=s:1243", "SSN4=s:1234", Contradiction::Present),
            ("SSN=219541234", "SSN4=s:1234", Contradiction::Absent),
            ("birthsex=M", "birthsex=F", Contradiction::Present),
            ("MBI=1EG4TE5MK73", "MBI=9AA9AA9AA99", Contradiction::Present),
            ("DL=ny:5551", "DL=ny:87777", Contradiction::Present),
            ("DL=ny:5551", "DL=nj:87777", Contradiction::Absent),
            ("PPN=us:C1234567 XX=a:7", "PPN=us:X7654321 XX=a:7", Contradiction::Present),
            ("HL7=D1234567", "HL7=X7654321", Contradiction::Present),
            ("phone=2125550142", "phone=6465559942", Contradiction::Absent),
            ("email=a@b.org", "email=zoltan@c.org", Contradiction::Absent),
            ("MR=a:77", "MR=b:1234", Contradiction::Absent),
            ("MR=a:77", "MR=a:1234", Contradiction::Absent),
            ("MB=p:77", "MB=p:1234", Contradiction::Absent),
        ];
        let mut judged: Vec<_> = table.iter().map(|(a, b, c)| (at("Ann", "-", a), at("Ann", "-", b), *c)).collect();
        for (query, stored, contradiction) in [
            (("Ann", "male"), ("Ann", "female"), Contradiction::Absent),
            (("Ann+Eva", "-"), ("Ann+Zoe", "-"), Contradiction::Present),
            (("Ann+E", "-"), ("Ann+Zoe", "-"), Contradiction::Present),
            (("Ann+E", "-"), ("Ann+Eva", "-"), Contradiction::Absent),
            (("Ann", "-"), ("Ann+Eva", "-"), Contradiction::Absent),
        ] {
            judged.push((at(query.0, query.1, ""), at(stored.0, stored.1, ""), contradiction));
        }
        for (query, stored, contradiction) in judged {
            let graded = grade(&pair(&query, &stored), &Classes::unrelated_otherwise(0.999), model());
            assert_eq!(graded.contradiction, contradiction, "{query} {stored}");
            let is_certain = graded.grade == MatchGrade::Certain;
            assert_eq!(is_certain, contradiction == Contradiction::Absent, "{query} {stored} {graded:?}");
        }
    }

    #[test]
    fn an_identity_whose_records_disagree_is_never_certain() {
        let stored = "Ann Ray 1980-02-03 - MR=a:77 line=1_Oak_St zip=12180";
        let query = pair(&patient(stored), &patient(stored));
        assert_eq!(grade(&query, &Classes::unrelated_otherwise(0.999), model()).grade, MatchGrade::Certain);
        for other in ["Ann Ray 1957-10-21 - ", "Zoltan Ray 1980-02-03 - MR=a:77"] {
            let mixed = grade(
                &query.join(&pair(&patient(stored), &patient(other))),
                &Classes::unrelated_otherwise(0.999),
                model(),
            );
            assert_eq!(
                (mixed.capped_by.as_slice(), mixed.grade),
                (&[Conflict::MixedIdentity][..], MatchGrade::Probable)
            );
            assert!((mixed.score - 0.70).abs() < 1e-9, "{mixed:?}");
        }
        for other in ["Annie Ray 1980-02-30 -", "Ann Ray 1980-03-02 -", "- Ray - -"] {
            let one = grade(
                &query.join(&pair(&patient(stored), &patient(other))),
                &Classes::unrelated_otherwise(0.999),
                model(),
            );
            assert_eq!((one.capped_by.as_slice(), one.grade), (&[][..], MatchGrade::Certain), "{other}");
        }
    }

    /// Every set of what a family shares, the birth date of a twin included, against a person who has all of it and an
    /// identifier of his own: whatever agrees, without the given name or that identifier it is not certain.
    #[test]
    fn nothing_that_families_share_is_certain_without_the_given_name_or_a_personal_identifier() {
        let shared = [
            "family",
            "date",
            "sex",
            "line=1_Oak_St",
            "zip=12180",
            "city=Troy",
            "phone=2125550142",
            "email=a@b.org",
            "MB=p:5",
            "SN=p:5",
        ];
        let stored = "Ann Ray 2015-02-03 female line=1_Oak_St zip=12180 city=Troy phone=2125550142 email=a@b.org MB=p:5 SN=p:5 MR=a:77";
        let mut certain = 0;
        for set in 0..1_u32 << shared.len() {
            let has = |at: usize| set & 1 << at != 0;
            let word = |at: usize, word: &'static str| if has(at) { word } else { "-" };
            let rest = (3..shared.len()).filter(|at| has(*at)).map(|at| shared[at]).collect::<Vec<_>>().join(" ");
            for given in ["-", "Zoltan", "Hanna", "A"] {
                let (family, date, sex) = (word(0, "Ray"), word(1, "2015-02-03"), word(2, "female"));
                let query = format!("{given} {family} {date} {sex} {rest}");
                let pair = pair(&patient(&query), &patient(stored));
                let of_model = grade(&pair, &Classes::of(&pair, model(), 1_000_000), model());
                let of_any_model = grade(&pair, &Classes::unrelated_otherwise(0.999_999), model());
                assert_ne!((of_model.grade, of_any_model.grade), (MatchGrade::Certain, MatchGrade::Certain), "{query}");
                assert_ne!(of_any_model.grade, MatchGrade::Certain, "{query}");
            }
            let own = graded(&format!("Ann {} {} - {rest}", word(0, "Ray"), word(1, "2015-02-03")), stored);
            certain += u32::from(own.grade == MatchGrade::Certain);
        }
        assert!(certain > 100, "with the given name some are: {certain}");
    }

    #[test]
    fn a_relative_s_posterior_beyond_a_twentieth_makes_no_row_certain() {
        let home = "Ray - male MB=p:5 line=1_Oak_St zip=12180";
        let namesakes = pair(&patient(&format!("Bob {home}")), &patient(&format!("Robert {home}")));
        let classes = Classes::of(&namesakes, model(), 100_000);
        assert!(classes.relatives_probability() > RELATIVES_MAX, "father and son");
        let capped = grade(&namesakes, &classes, model());
        assert_eq!(
            (capped.row, capped.grade, &*capped.capped_by),
            (Some(MatchRow::Member), MatchGrade::Probable, &[Conflict::Relatives][..])
        );
        assert!((capped.score - 0.80).abs() < 1e-9);
        for (relatives, grade_expected) in [(0.051, MatchGrade::Probable), (0.049, MatchGrade::Certain)] {
            assert_eq!(
                grade(&namesakes, &Classes::relatives_otherwise(1.0 - relatives), model()).grade,
                grade_expected
            );
        }
    }

    #[test]
    fn scores_of_the_table_have_no_digits_of_their_own() {
        for row in MatchRow::ALL {
            assert_eq!(score_of_table(row.score()), row.score(), "{row:?}");
        }
        for probability in [0.0, 0.1, 0.5, 0.847, 0.99, 1.0] {
            assert_eq!(score_of_table(0.59 * probability), 0.50, "{probability}");
        }
    }

    #[test]
    fn without_a_row_the_score_follows_the_probability() {
        let model = model();
        for (probability, grade_expected) in [(0.9, MatchGrade::Possible), (0.001, MatchGrade::CertainlyNot)] {
            let graded = grade(&Pair::EMPTY, &Classes::unrelated_otherwise(probability), model);
            assert!((graded.score - 0.59 * probability).abs() < 1e-12);
            assert_eq!((graded.grade, graded.row), (grade_expected, None));
        }
    }
}
