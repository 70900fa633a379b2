//! Forms: what a browser sends of a page, read within limits and once.
//!
//! A field that is there twice, or that is no text, makes the whole form unreadable: nobody's browser sends such. Not here:
//! what fields mean.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::web::{BytesMut, Payload};
use futures_util::StreamExt as _;
use zeroize::Zeroizing;

use super::Desk;

/// A form of any page here is far smaller.
pub const BYTES_MAX: usize = 64 * 1024;
const FORM: &str = "application/x-www-form-urlencoded";
/// What stands where bytes were no text.
const NO_TEXT: char = '\u{fffd}';

/// The fields of a form.
pub struct Form(Vec<(String, Zeroizing<String>)>);

/// Why a form cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormError {
    MediaType,
    TooLarge,
    TooSlow,
    Malformed,
}

impl FormError {
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::MediaType => 415,
            Self::TooLarge => 413,
            Self::TooSlow => 408,
            Self::Malformed => 400,
        }
    }
}

impl Form {
    /// Reads the form of a request.
    ///
    /// # Errors
    /// Why it is none.
    pub async fn read(request: &HttpRequest, payload: Payload, desk: &Desk) -> Result<Self, FormError> {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let media_type = header(CONTENT_TYPE).and_then(|value| value.split(';').next());
        let is_form = media_type.is_some_and(|value| value.trim().eq_ignore_ascii_case(FORM));
        if !is_form || request.headers().contains_key(CONTENT_ENCODING) {
            return Err(FormError::MediaType);
        }
        let deadline = Duration::from_millis(desk.app.config.limits.body_timeout_ms);
        let read = tokio::time::timeout(deadline, read_all(payload)).await;
        Self::parse(&read.map_err(|_| FormError::TooSlow)??)
    }

    fn parse(bytes: &[u8]) -> Result<Self, FormError> {
        let mut fields: Vec<(String, Zeroizing<String>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            let is_there = fields.iter().any(|(known, _)| *known == name);
            if is_there || name.contains(NO_TEXT) || value.contains(NO_TEXT) {
                return Err(FormError::Malformed);
            }
            fields.push((name.into_owned(), Zeroizing::new(value.into_owned())));
        }
        Ok(Self(fields))
    }

    /// All fields.
    #[must_use]
    pub fn pairs(&self) -> Vec<(String, String)> {
        self.0.iter().map(|(name, value)| (name.clone(), value.to_string())).collect()
    }

    /// A field; empty when it is not there.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }
}

async fn read_all(mut payload: Payload) -> Result<Zeroizing<Vec<u8>>, FormError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| FormError::Malformed)?;
        if body.len() + chunk.len() > BYTES_MAX {
            return Err(FormError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Zeroizing::new(body.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_each_field_once_and_as_text() {
        let Ok(form) = Form::parse(b"login=a%40b&password=two+words&empty=") else { panic!("not read") };
        assert_eq!(["login", "password", "empty", "none"].map(|name| form.get(name)), ["a@b", "two words", "", ""]);
        for bytes in [&b"a=1&a=2"[..], b"a=%ff", b"a=\xff", b"%ff=1"] {
            assert_eq!(Form::parse(bytes).err(), Some(FormError::Malformed), "{bytes:?}");
        }
    }
}
