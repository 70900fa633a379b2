//! The frame of every page, and the headers with which it leaves.
//!
//! No script may run, nothing is loaded from elsewhere, nobody frames a page, keeps it or learns its address from a link. A
//! form is sent to this server only, unless a page names another origin: browsers hold redirects that follow a form to the
//! same rule. Texts are escaped by [`escape`]; whoever writes HTML uses it for everything that is not this program's own.
//! Not here: what pages say.

use std::borrow::Cow;
use std::fmt::Write as _;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, LOCATION, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};

use crate::app::clock::instant;

use super::{Desk, style};

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A page that is being made.
pub struct Page {
    title: String,
    body: String,
    status: u16,
    retry_after_s: Option<u64>,
    form_origins: Vec<String>,
}

/// A page with this title; `body` is HTML.
#[must_use]
pub fn page(title: &str, body: String) -> Page {
    Page { title: title.to_owned(), body, status: 200, retry_after_s: None, form_origins: Vec::new() }
}

impl Page {
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// Lets the answer to a form of this page lead to another origin, such as `https://app.example.org`. What is no plain
    /// origin is left out.
    #[must_use]
    pub fn form_may_lead_to(mut self, origin: &str) -> Self {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/[]+".contains(&byte);
        if !origin.is_empty() && origin.bytes().all(is_plain) {
            self.form_origins.push(origin.to_owned());
        }
        self
    }

    #[must_use]
    pub fn respond(self, desk: &Desk) -> HttpResponse {
        let html = self.html(desk);
        let mut response =
            HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        let form_action = self.form_origins.iter().fold(String::new(), |list, origin| list + " " + origin);
        let policy = format!(
            "default-src 'none'; style-src 'self'; form-action 'self'{form_action}; base-uri 'none'; frame-ancestors 'none'"
        );
        response
            .insert_header((CONTENT_SECURITY_POLICY, policy))
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((REFERRER_POLICY, "no-referrer"))
            .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((X_FRAME_OPTIONS, "DENY"))
            .insert_header((CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"))
            .content_type("text/html; charset=utf-8")
            .body(html)
    }

    fn html(&self, desk: &Desk) -> String {
        let (title, organization) = (escape(&self.title), escape(&desk.app.config.organization.name));
        let (root, stamp) = (escape(&desk.root), style::stamp());
        let mut html = String::with_capacity(self.body.len() + 1024);
        let _ = write!(
            html,
            "<!DOCTYPE html>\n\
             <html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\">\
             <title>{title} – {organization}</title>\
             <link rel=\"stylesheet\" href=\"{root}/web/style.css?v={stamp}\"></head><body>\
             <a class=\"skip\" href=\"#main\">Skip to the content</a>\
             <header><p>{organization}</p></header>\
             <main id=\"main\" tabindex=\"-1\">\n{}</main></body></html>\n",
            self.body
        );
        html
    }
}

/// Leads on to an address of this server, below [`Desk::root`]; with GET, whatever the request was (RFC 9110 §15.4.4).
#[must_use]
pub fn see_other(desk: &Desk, path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, format!("{}{path}", desk.root)))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .finish()
}

/// Text as it stands in HTML, within elements and within attributes in double quotation marks.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    Cow::Owned(escaped)
}

/// A time as people read it, to the minute; of UTC.
#[must_use]
pub fn minute(us: i64) -> String {
    instant(us).chars().take(16).collect::<String>().replace('T', " ")
}

/// The box at the head of a form that was not accepted; each problem leads to its field.
#[must_use]
pub fn error_summary(title: &str, problems: &[(&str, &str)]) -> String {
    let mut html = format!(
        "<div class=\"problem\" role=\"alert\" aria-labelledby=\"problem\"><h2 id=\"problem\">{}</h2><ul>",
        escape(title)
    );
    for (field, text) in problems {
        let _ = write!(html, "<li><a href=\"#{}\">{}</a></li>", escape(field), escape(text));
    }
    html.push_str("</ul></div>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_taken_for_html() {
        assert_eq!(escape("<a href=\"x\" id='y'>&</a>"), "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;&lt;/a&gt;");
        assert!(matches!(escape("plain"), Cow::Borrowed("plain")));
    }

    #[test]
    fn only_a_plain_origin_gets_into_the_policy() {
        for (origin, expected) in [
            ("https://app.example.org", vec!["https://app.example.org".to_owned()]),
            ("https://app.example.org; script-src *", Vec::new()),
            ("'unsafe-inline'", Vec::new()),
            ("", Vec::new()),
        ] {
            assert_eq!(page("t", String::new()).form_may_lead_to(origin).form_origins, expected, "{origin}");
        }
    }
}
