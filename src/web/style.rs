//! The one stylesheet of all pages, as part of the program.
//!
//! Its address in pages carries a stamp of its content, so it may be kept and is never that of another version. Not here: HTML.

use std::fmt::Write as _;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("style.css");

static STAMP: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::digest(STYLE.as_bytes());
    digest.iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
});

/// What the content is known by.
#[must_use]
pub fn stamp() -> &'static str {
    &STAMP
}

pub async fn get() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=86400"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .content_type("text/css; charset=utf-8")
        .body(STYLE)
}
