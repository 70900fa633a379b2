//! A record in the columns that the SQL of `sql` reads: normalised values, the first of each kind.
//!
//! Lists (formal names, parts of a family name) are joined by `|`. What is absent is empty. Not here: writing files.

use crate::matching::dictionary::Dictionary;
use crate::matching::entry::{Query, QueryName, birth_parts};
use crate::matching::model::Model;
use crate::matching::normalise::identifier::Kind;
use crate::matching::normalise::name::Suffix;
use crate::matching::record::{Record, Sex};

/// The columns, in the order of [`prepared`].
pub const COLUMNS: [&str; 38] = [
    "given",
    "given_formal",
    "given_sound",
    "given_code",
    "given_known",
    "given_part",
    "middle",
    "family",
    "family_sound",
    "family_code",
    "family_parts",
    "suffix",
    "birth_date",
    "birth_year",
    "birth_month",
    "birth_day",
    "gender",
    "birth_sex",
    "line",
    "line_number",
    "line_street",
    "unit",
    "place",
    "zip",
    "phone",
    "email",
    "ssn",
    "member",
    "subscriber",
    "medical_record",
    "medicare",
    "licence",
    "state_id",
    "passport",
    "digital",
    "other",
    "given_frequency",
    "family_frequency",
];

/// The values of `record` in the order of [`COLUMNS`].
#[must_use]
pub fn prepared(record: &Record, model: &Model) -> Vec<String> {
    let dictionary = Dictionary::default();
    let query = Query::new(record, &dictionary, model);
    let mut row = names(record, &query);
    row.extend(dates_and_sex(record, &query));
    row.extend(contacts(record));
    row.extend(identifiers(record));
    let frequency = |name: Option<&QueryName<'_>>, of: fn(&QueryName<'_>) -> f32| {
        name.map_or_else(String::new, |name| format!("{:e}", of(name)))
    };
    row.push(frequency(query.given.first(), |name| name.form.given_frequency));
    row.push(frequency(query.family.first(), |name| name.form.family_frequency));
    row
}

fn names(record: &Record, query: &Query<'_>) -> Vec<String> {
    let name = record.names.first();
    let (given, family) = (query.given.first(), query.family.first());
    let text = |name: Option<&QueryName<'_>>| name.map_or_else(String::new, |name| name.form.text.to_string());
    let code = |name: Option<&QueryName<'_>>, of: fn(&QueryName<'_>) -> u32| {
        name.map_or_else(String::new, |name| format!("{:08x}", of(name)))
    };
    let suffix = |suffix: Suffix| match suffix {
        Suffix::Senior => "1",
        // A junior is often written as the second.
        Suffix::Junior | Suffix::Second => "2",
        Suffix::Third => "3",
        Suffix::Fourth => "4",
        Suffix::Fifth => "5",
    };
    vec![
        text(given),
        name.map(|name| name.formal.join("|")).unwrap_or_default(),
        code(given, |name| name.form.soundex),
        code(given, |name| name.form.metaphone),
        given.map_or_else(String::new, |name| u8::from(name.form.is_known_given).to_string()),
        text(query.given_parts.first()),
        text(query.middle.first()),
        text(family),
        code(family, |name| name.form.soundex),
        code(family, |name| name.form.metaphone),
        query.family_parts.iter().map(|part| &*part.form.text).collect::<Vec<_>>().join("|"),
        query.facts.suffix.map_or_else(String::new, |found| suffix(found).to_owned()),
    ]
}

fn dates_and_sex(record: &Record, query: &Query<'_>) -> Vec<String> {
    let (year, month, day) = birth_parts(query.birth_date);
    let part = |part: u32| if year == 0 { String::new() } else { part.to_string() };
    let date = if day == 0 { String::new() } else { format!("{year:04}{month:02}{day:02}") };
    let sex = |sex: Option<Sex>| match sex {
        Some(Sex::Female) => "F".to_owned(),
        Some(Sex::Male) => "M".to_owned(),
        None => String::new(),
    };
    vec![date, part(year), part(month), part(day), sex(record.gender), sex(record.birth_sex)]
}

fn contacts(record: &Record) -> Vec<String> {
    let address = record.addresses.first().cloned().unwrap_or_default();
    let line = address.line.unwrap_or_default();
    let (number, street) = line.split_once(' ').unwrap_or((&line, ""));
    vec![
        line.clone(),
        number.to_owned(),
        street.to_owned(),
        address.unit.unwrap_or_default(),
        address.place.unwrap_or_default(),
        address.zip.unwrap_or_default(),
        record.phones.first().cloned().unwrap_or_default(),
        record.emails.first().cloned().unwrap_or_default(),
    ]
}

/// `VALUE@issuer` of each kind; social security numbers have no issuer.
fn identifiers(record: &Record) -> Vec<String> {
    let of = |kinds: &[Kind]| record.identifiers.iter().find(|identifier| kinds.contains(&identifier.kind));
    let issued = |kind: Kind| {
        of(&[kind]).map_or_else(String::new, |identifier| format!("{}@{}", identifier.value, identifier.issuer))
    };
    let social = of(&[Kind::SocialSecurity]).or_else(|| of(&[Kind::SocialSecurityLast4]));
    let kinds = [
        Kind::Member,
        Kind::Subscriber,
        Kind::MedicalRecord,
        Kind::Medicare,
        Kind::Licence,
        Kind::StateId,
        Kind::Passport,
        Kind::Digital,
        Kind::Other,
    ];
    let social = social.map_or_else(String::new, |identifier| identifier.value.clone());
    std::iter::once(social).chain(kinds.map(issued)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::model::tests::model;
    use crate::matching::record::tests::record;

    #[test]
    fn a_record_is_written_in_its_columns() {
        let record = record(
            r#"{"name":[{"family":"García López","given":["Bob","Lee"],"suffix":["Jr"]}],"birthDate":"1980-02-03","gender":"male",
            "address":[{"line":["12 Oak Street Apt 4"],"city":"Troy","state":"NY","postalCode":"12180"}],
            "telecom":[{"system":"phone","value":"212-555-0142"}],
            "identifier":[{"type":{"coding":[{"code":"MR"}]},"system":"urn:m","value":"M-77"},{"type":{"coding":[{"code":"SSN4"}]},"value":"1234"}]}"#,
        );
        let row = prepared(&record, model());
        assert_eq!(row.len(), COLUMNS.len());
        let value = |column: &str| row[COLUMNS.iter().position(|known| *known == column).expect("a column")].as_str();
        for (column, expected) in [
            ("given", "bob"),
            ("given_formal", "robert|roberto"),
            ("middle", "lee"),
            ("family", "garcialopez"),
            ("family_parts", "garcia|lopez"),
            ("suffix", "2"),
            ("birth_date", "19800203"),
            ("birth_month", "2"),
            ("gender", "M"),
            ("birth_sex", ""),
            ("line_street", "oak st"),
            ("unit", "4"),
            ("place", "troy, ny"),
            ("phone", "2125550142"),
            ("ssn", "1234"),
            ("medical_record", "M77@urn:m"),
            ("member", ""),
        ] {
            assert_eq!(value(column), expected, "{column}");
        }
        assert!(value("given_frequency").parse::<f64>().is_ok_and(|frequency| frequency > 0.0));
    }
}
