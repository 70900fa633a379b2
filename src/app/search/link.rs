//! Addresses of searches, and the pairs that they hold (`application/x-www-form-urlencoded`).
//!
//! Not here: what the pairs mean.

/// The address of a search.
#[must_use]
pub fn link(base: &str, pairs: &[(String, String)]) -> String {
    let mut link = base.to_owned();
    for (number, (name, value)) in pairs.iter().enumerate() {
        link.push(if number == 0 { '?' } else { '&' });
        link.push_str(&encode(name));
        link.push('=');
        link.push_str(&encode(value));
    }
    link
}

/// The pairs of a query or a form, decoded; what is no UTF-8 has replacement characters.
#[must_use]
pub fn pairs_of(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// Percent-encoding of all but the unreserved characters (RFC 3986 §2.3).
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_read_again() {
        let pairs = [("identifier", "urn:x|a b+ü&=%"), ("_count", "9")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let link = link("http://h/fhir/Patient", &pairs);
        assert_eq!(link, "http://h/fhir/Patient?identifier=urn%3Ax%7Ca%20b%2B%C3%BC%26%3D%25&_count=9");
        assert_eq!(pairs_of(link.split_once('?').expect("a query").1), pairs);
    }

    #[test]
    fn forms_are_decoded_and_nothing_is_lost() {
        let of = |query: &str| -> Vec<String> {
            pairs_of(query).into_iter().map(|(name, value)| format!("{name}={value}")).collect()
        };
        assert_eq!(of("a=b+c&&d&=e&%zz=%4&f=%ff"), ["a=b c", "d=", "=e", "%zz=%4", "f=\u{fffd}"]);
        assert_eq!(of(""), Vec::<String>::new());
    }
}
