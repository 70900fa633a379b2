//! `ContactPoint`: phones as digits with the United States as default country, e-mail addresses in lower case.

use super::Normaliser;
use super::repeats_one;
use super::text::fold;
use crate::fhir::json::Value;

/// A phone number or an e-mail address in comparable form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Telecom {
    Phone(String),
    Email(String),
}

/// Reads one `ContactPoint`; `None` when it is neither, or a placeholder.
pub(in crate::matching) fn read(telecom: &Value<'_>, rules: &Normaliser) -> Option<Telecom> {
    let value = telecom.text("value")?;
    let is_email = match telecom.text("system") {
        Some("email") => true,
        Some("phone" | "sms") => false,
        Some("other") | None => value.contains('@'),
        Some(_) => return None,
    };
    if is_email { email(value, rules).map(Telecom::Email) } else { phone(value, rules).map(Telecom::Phone) }
}

/// Ten digits for a number of the North American plan, `+` and digits for any other (ITU-T E.164).
#[must_use]
pub fn phone(text: &str, rules: &Normaliser) -> Option<String> {
    let folded = fold(text);
    let folded = folded.trim().trim_start_matches("tel:").trim_start();
    let number = folded.split(['x', 'e', ';', '#']).next().unwrap_or_default();
    let digits: String = number.chars().filter(char::is_ascii_digit).take(16).collect();
    let is_international = number.starts_with('+');
    let number = match (digits.len(), digits.as_bytes().first()) {
        (11, Some(b'1')) => digits[1..].to_owned(),
        (10, _) if !is_international => digits,
        (8..=15, _) if is_international => format!("+{digits}"),
        _ => return None,
    };
    let is_made_up =
        rules.placeholders.phones.contains(&number) || repeats_one(&number) || number.starts_with(['0', '1']);
    (!is_made_up).then_some(number)
}

/// RFC 5321, 4.5.3.1.3 allows no longer address.
const EMAIL_BYTES_MAX: usize = 254;

/// The address in lower case, without `mailto:`.
#[must_use]
pub fn email(text: &str, rules: &Normaliser) -> Option<String> {
    if text.trim().len() > EMAIL_BYTES_MAX {
        return None;
    }
    let folded = fold(text);
    let address = folded.trim().trim_start_matches("mailto:");
    let (local, domain) = address.split_once('@')?;
    let is_written_well = address.len() <= EMAIL_BYTES_MAX
        && !local.is_empty()
        && domain.contains('.')
        && !address.contains([' ', ',', '<']);
    let known = &rules.placeholders;
    let is_made_up = known.emails.contains(address) || known.email_locals.contains(local);
    (is_written_well && !is_made_up).then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::normalise::tests::rules;

    #[test]
    fn phones_are_read_as_digits() {
        let table = [
            ("(212) 555-0142", Some("2125550142")),
            ("+1 212.555.0142 x33", Some("2125550142")),
            ("tel:+1-212-555-0142", Some("2125550142")),
            ("12125550142", Some("2125550142")),
            ("+44 20 7946 0958", Some("+442079460958")),
            ("555-555-5555", None),
            ("000-000-0000", None),
            ("555-0142", None),
            ("call me", None),
        ];
        for (text, expected) in table {
            let read = phone(text, &rules());
            assert_eq!(read.as_deref(), expected, "{text}");
            if let Some(number) = read {
                assert_eq!(phone(&number, &rules()), Some(number), "twice");
            }
        }
    }

    #[test]
    fn emails_are_read_in_lower_case() {
        let table = [
            (" Mary.Ray@Example.ORG", Some("mary.ray@example.org")),
            ("mailto:a.b@c.de", Some("a.b@c.de")),
            ("noemail@hospital.org", None),
            ("none@none.com", None),
            ("mary at example.org", None),
            ("@example.org", None),
            (&format!("{}@example.org", "a".repeat(64 * 1024)), None),
        ];
        for (text, expected) in table {
            assert_eq!(email(text, &rules()).as_deref(), expected, "{text}");
        }
    }
}
