//! Redirect URIs: which may be registered, whether the one of a request is registered, and the address with an answer in it.
//!
//! A code goes wherever a redirect URI says, so it is compared byte for byte (RFC 9700 §2.1, §4.1). Native apps have two more
//! kinds (RFC 8252): a loopback address, of which the port may be any, and a scheme of their own. Not here: who registers.

use form_urlencoded::Serializer;

/// Of one address.
const URI_BYTES_MAX: usize = 1024;

/// What kind of address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Https,
    /// `http` on this machine of the person (RFC 8252 §7.3).
    Loopback,
    /// A scheme in the reverse notation of a name that the app's makers own (RFC 8252 §7.1).
    PrivateUse,
    /// `http` elsewhere: whoever is on the way reads the code.
    Http,
}

/// The kind of an address; `None` for what cannot be one: a fragment, a wildcard, a name and password, spaces.
#[must_use]
pub fn kind_of(uri: &str) -> Option<Kind> {
    let is_plain = uri.len() <= URI_BYTES_MAX
        && uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"#*\\\"<>^`{|}".contains(&byte));
    let (scheme, rest) = uri.split_once(':').filter(|_| is_plain)?;
    match scheme {
        "https" | "http" => {
            let host = host_of(rest)?;
            let is_loopback = matches!(host, "127.0.0.1" | "[::1]");
            Some(match scheme {
                "https" => Kind::Https,
                _ if is_loopback => Kind::Loopback,
                _ => Kind::Http,
            })
        }
        _ => {
            let mut letters = scheme.bytes();
            let is_scheme = letters.next().is_some_and(|first| first.is_ascii_lowercase())
                && letters.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
            (is_scheme && scheme.contains('.') && !rest.is_empty()).then_some(Kind::PrivateUse)
        }
    }
}

/// The authority behind `http:` or `https:`.
fn authority_of(rest: &str) -> Option<&str> {
    let authority = rest.strip_prefix("//")?.split(['/', '?']).next()?;
    (!authority.is_empty() && !authority.contains('@')).then_some(authority)
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn host_of(rest: &str) -> Option<&str> {
    let (host, port) = split_port(authority_of(rest)?);
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    (!host.is_empty() && is_port).then_some(host)
}

/// The host that a person is shown; the whole scheme of an address of an app's own.
#[must_use]
pub fn shown_host(uri: &str) -> &str {
    let Some((scheme, rest)) = uri.split_once(':') else { return "" };
    match scheme {
        "https" | "http" => authority_of(rest).unwrap_or(""),
        _ => scheme,
    }
}

/// Whether a request may name `asked` where `registered` is registered: the same bytes, and of a loopback address the port
/// may differ, which the system gives out as the app starts (RFC 8252 §7.3).
#[must_use]
pub fn is_same(registered: &str, asked: &str) -> bool {
    registered == asked
        || (kind_of(registered) == Some(Kind::Loopback)
            && kind_of(asked) == Some(Kind::Loopback)
            && without_port(registered) == without_port(asked))
}

fn without_port(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http:")?;
    let authority = authority_of(rest)?;
    Some((split_port(authority).0, &rest[2 + authority.len()..]))
}

/// Where the page from which a person is sent there may send (`form-action`): browsers ask that of every address that a
/// form leads to, and an app may pass its own answer on to another host of its own, so the scheme is named.
#[must_use]
pub fn form_action(uri: &str) -> Vec<String> {
    match uri.split_once(':') {
        Some(("http", _)) => vec!["http:".to_owned(), "https:".to_owned()],
        Some((scheme, _)) => vec![format!("{scheme}:")],
        None => Vec::new(),
    }
}

/// The address with the parameters of an answer (RFC 6749 §4.1.2); what is in its query stays.
#[must_use]
pub fn with_answer(uri: &str, parameters: &[(&str, &str)]) -> String {
    let mut answer = Serializer::new(String::new());
    answer.extend_pairs(parameters);
    let joint = match uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{uri}{joint}{}", answer.finish())
}

/// Whether a text is an origin as browsers write it (RFC 6454 §6.2): of https, or of this machine.
#[must_use]
pub fn is_origin(text: &str) -> bool {
    let is_bare = text.split_once("://").is_some_and(|(_, authority)| !authority.contains(['/', '?']));
    is_bare && text == text.to_ascii_lowercase() && matches!(kind_of(text), Some(Kind::Https | Kind::Loopback))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_15_an_address_is_https_or_of_a_native_app() {
        let table = [
            ("https://app.example/cb", Some(Kind::Https)),
            ("https://app.example:8443/cb?a=b", Some(Kind::Https)),
            ("https://app.example", Some(Kind::Https)),
            ("http://127.0.0.1/cb", Some(Kind::Loopback)),
            ("http://[::1]:5000/cb", Some(Kind::Loopback)),
            ("http://localhost:3000/cb", Some(Kind::Http)),
            ("http://127.0.0.1.app.example/cb", Some(Kind::Http)),
            ("com.example.app:/cb", Some(Kind::PrivateUse)),
            ("example:/cb", None),
            ("javascript:alert(1)", None),
            ("data:text/html,x", None),
            ("https://app.example/cb#", None),
            ("https://*.app.example/cb", None),
            ("https://user@app.example/cb", None),
            ("https://app.example\\@other.example/cb", None),
            ("https:///cb", None),
            ("https://app.example:0/cb", None),
            ("https://app.example:x/cb", None),
            ("https://app.example/c b", None),
            ("//app.example/cb", None),
            ("", None),
        ];
        for (uri, expected) in table {
            assert_eq!(kind_of(uri), expected, "{uri}");
        }
    }

    #[test]
    fn an_address_is_compared_byte_for_byte_but_for_the_port_of_a_loopback() {
        let table = [
            ("https://app.example/cb", "https://app.example/cb", true),
            ("https://app.example/cb", "https://app.example/cb/", false),
            ("https://app.example/cb", "https://app.example/CB", false),
            ("https://app.example/cb", "https://app.example:443/cb", false),
            ("https://app.example/cb", "https://app.example/cb?x=1", false),
            ("https://app.example/cb", "https://app.example/cb%2f", false),
            ("https://app.example/", "https://app.example", false),
            ("https://app.example/cb", "https://evil.example/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", true),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb", true),
            ("http://127.0.0.1/cb", "http://127.0.0.1:2/other", false),
            ("http://127.0.0.1/cb", "http://[::1]:2/cb", false),
            ("http://127.0.0.1/cb", "https://127.0.0.1:2/cb", false),
            ("http://[::1]/cb", "http://[::1]:9/cb", true),
            ("com.example.app:/cb", "com.example.app:/cb", true),
            ("com.example.app:/cb", "com.example.app:/cb2", false),
        ];
        for (registered, asked, expected) in table {
            assert_eq!(is_same(registered, asked), expected, "{registered} {asked}");
        }
    }

    #[test]
    fn an_answer_joins_the_query_that_is_there_and_is_escaped() {
        let answer = [("code", "a b&c"), ("iss", "https://server.example")];
        let escaped = "code=a+b%26c&iss=https%3A%2F%2Fserver.example";
        for (uri, joint) in
            [("https://app.example/cb", "?"), ("https://app.example/cb?x=1", "&"), ("com.example.app:/cb?", "")]
        {
            assert_eq!(with_answer(uri, &answer), format!("{uri}{joint}{escaped}"));
        }
    }

    #[test]
    fn a_person_is_shown_the_host_and_forms_may_lead_to_its_scheme() {
        assert_eq!(shown_host("https://app.example:8443/cb?x"), "app.example:8443");
        assert_eq!(shown_host("com.example.app:/cb"), "com.example.app");
        assert_eq!(form_action("https://app.example/cb"), ["https:"]);
        assert_eq!(form_action("com.example.app:/cb"), ["com.example.app:"]);
    }

    #[test]
    fn an_origin_has_no_path() {
        for (text, expected) in [
            ("https://app.example", true),
            ("https://app.example:8443", true),
            ("http://127.0.0.1:3000", true),
            ("http://app.example", false),
            ("https://app.example/", false),
            ("https://App.example", false),
            ("null", false),
            ("*", false),
        ] {
            assert_eq!(is_origin(text), expected, "{text}");
        }
    }
}
