//! Levels of identifiers: social security number, member and subscriber numbers, medical record numbers, and the rest.
//!
//! Values are compared under the same issuer only; a value alone is no identifier (IG Patient Matching, match grades).

use super::{Comparison, Evidence, Level, Pair};
use crate::matching::dictionary::Dictionary;
use crate::matching::entry::{Query, QueryText, View, split_identifier};
use crate::matching::normalise::identifier::Kind;
use crate::matching::similarity::osa_within;

/// Characters a value must have before one edit is called a typing error.
const CLOSE_CHARS_MIN: usize = 6;

pub fn compare(query: &Query<'_>, view: &View<'_>, dictionary: &Dictionary, pair: &mut Pair) {
    for (kind, value) in &query.identifiers {
        for (stored_kind, id) in view.identifiers() {
            let Some(comparison) = comparison(*kind, stored_kind) else { continue };
            let level = if comparison == Comparison::SocialSecurity {
                social_security(value, dictionary.bytes_of(id), &mut pair.evidence)
            } else {
                level(*kind, value, id, dictionary)
            };
            note(*kind, level, &mut pair.evidence);
            pair.set(comparison, level.min(pair.level(comparison)));
        }
    }
}

/// The comparison in which two kinds meet.
fn comparison(query: Kind, stored: Kind) -> Option<Comparison> {
    let is_social = |kind| matches!(kind, Kind::SocialSecurity | Kind::SocialSecurityLast4);
    if is_social(query) && is_social(stored) {
        return Some(Comparison::SocialSecurity);
    }
    (query == stored).then_some(match query {
        Kind::MedicalRecord => Comparison::MedicalRecord,
        Kind::Member | Kind::Subscriber => Comparison::Member,
        _ => Comparison::Identifier,
    })
}

fn level(kind: Kind, query: &QueryText, stored: u32, dictionary: &Dictionary) -> Level {
    if query.id == stored {
        return Level::Exact;
    }
    let (a, issuer_a) = split_identifier(&query.text);
    let (b, issuer_b) = split_identifier(dictionary.bytes_of(stored));
    if issuer_a != issuer_b {
        return Level::Absent;
    }
    let is_member = matches!(kind, Kind::Member | Kind::Subscriber);
    match () {
        () if is_member && shares_base(a, b) => Level::Part,
        () if a.len() >= CLOSE_CHARS_MIN && within_one_edit(a, b) => Level::Close,
        // What "other" numbers count is not known: two of them may be two accounts of one person.
        () if kind == Kind::Other => Level::Absent,
        () => Level::Conflict,
    }
}

/// A family's number with personal endings: all but the last two characters agree.
fn shares_base(a: &[u8], b: &[u8]) -> bool {
    let base = a.len().max(b.len()).saturating_sub(2);
    base >= CLOSE_CHARS_MIN && a.len() >= base && b.len() >= base && a[..base] == b[..base]
}

fn within_one_edit(a: &[u8], b: &[u8]) -> bool {
    osa_within(a, b, 1).is_some()
}

/// Nine digits against nine, or the last four of both.
fn social_security(query: &QueryText, stored: &[u8], evidence: &mut Evidence) -> Level {
    let query = query.text.as_slice();
    let last4 = |number: &[u8]| -> [u8; 4] { number.last_chunk().copied().unwrap_or_default() };
    let same_last4 = last4(query) == last4(stored);
    if same_last4 {
        evidence.add(Evidence::SSN_LAST4);
    }
    if query.len() != 9 || stored.len() != 9 {
        return match () {
            () if same_last4 => Level::LastFour,
            () if within_one_edit(&last4(query), &last4(stored)) => Level::LastFourClose,
            () => Level::Conflict,
        };
    }
    if query == stored {
        return Level::Exact;
    }
    if within_one_edit(query, stored) {
        return Level::Close;
    }
    evidence.add(Evidence::SSN_CONFLICT);
    Level::Conflict
}

fn note(kind: Kind, level: Level, evidence: &mut Evidence) {
    let agreed = match kind {
        Kind::MedicalRecord => Evidence::MEDICAL_RECORD,
        Kind::Member => Evidence::MEMBER,
        Kind::Subscriber => Evidence::SUBSCRIBER,
        Kind::Medicare => Evidence::MEDICARE,
        Kind::Licence | Kind::StateId => Evidence::LICENCE,
        Kind::Passport => Evidence::PASSPORT,
        Kind::Digital => Evidence::DIGITAL,
        Kind::SocialSecurity => Evidence::SSN,
        Kind::Other | Kind::SocialSecurityLast4 => return,
    };
    match (level, kind) {
        (Level::Exact, _) => evidence.add(agreed),
        (Level::Conflict | Level::Close, Kind::Medicare) => evidence.add(Evidence::MEDICARE_CONFLICT),
        (Level::Conflict | Level::Close, Kind::Licence) => evidence.add(Evidence::LICENCE_CONFLICT),
        (Level::Conflict, Kind::StateId | Kind::Passport | Kind::Digital) => {
            evidence.add(Evidence::IDENTIFIER_CONFLICT);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::comparison::tests::pair;

    fn identifier((code, system, value): (&str, &str, &str)) -> String {
        format!(r#""identifier":[{{"type":{{"coding":[{{"code":"{code}"}}]}},"system":"{system}","value":"{value}"}}]"#)
    }

    #[test]
    fn identifiers_are_compared_by_level_under_the_same_issuer() {
        let ssn = "http://hl7.org/fhir/sid/us-ssn";
        for (a, b, comparison, level) in [
            (("MR", "urn:a", "0077123"), ("MR", "urn:a", "007-7123"), Comparison::MedicalRecord, Level::Exact),
            (("MR", "urn:a", "0077123"), ("MR", "urn:b", "0077123"), Comparison::MedicalRecord, Level::Absent),
            (("MR", "urn:a", "0077123"), ("MR", "urn:a", "0077132"), Comparison::MedicalRecord, Level::Close),
            (("MR", "urn:a", "0077123"), ("MR", "urn:a", "9912"), Comparison::MedicalRecord, Level::Conflict),
            (("MB", "urn:a", "W12345678"), ("MB", "urn:a", "W1234567801"), Comparison::Member, Level::Part),
            (("MB", "urn:a", "W12345678"), ("SN", "urn:a", "W12345678"), Comparison::Member, Level::Absent),
            (("SS", ssn, "219-54-1234"), ("SS", ssn, "219541234"), Comparison::SocialSecurity, Level::Exact),
            (("SS", ssn, "219-54-1234"), ("SS", ssn, "219541243"), Comparison::SocialSecurity, Level::Close),
            (("SS", ssn, "219-54-1234"), ("SS", ssn, "300121234"), Comparison::SocialSecurity, Level::Conflict),
            (("SS", ssn, "219-54-1234"), ("SSN4", "", "1234"), Comparison::SocialSecurity, Level::LastFour),
            (("SSN4", "", "1243"), ("SSN4", "", "1234"), Comparison::SocialSecurity, Level::LastFourClose),
            (("SSN4", "", "9876"), ("SSN4", "", "1234"), Comparison::SocialSecurity, Level::Conflict),
            (("DL", "urn:a", "D1234567"), ("DL", "urn:a", "D1234567"), Comparison::Identifier, Level::Exact),
            (("DL", "urn:a", "D1234567"), ("DL", "urn:a", "X7654321"), Comparison::Identifier, Level::Conflict),
            (("XX", "urn:a", "D1234567"), ("XX", "urn:a", "X7654321"), Comparison::Identifier, Level::Absent),
        ] {
            assert_eq!(pair(&identifier(a), &identifier(b)).level(comparison), level, "{a:?} {b:?}");
        }
    }
}
