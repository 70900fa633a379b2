//! The only place that asks the machine for the time or for randomness; everything else is given them.

use std::time::{SystemTime, UNIX_EPOCH};

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Generate as _, Key};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Time and fresh identifiers, as an argument; tests pass their own.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Microseconds since 1970 (UTC).
    pub now_us: fn() -> i64,
    /// A fresh UUID, version 7, lower case: ids that begin with the time keep what is written together on one page.
    pub uuid: fn() -> String,
    /// A fresh key.
    pub secret: fn() -> [u8; 32],
}

impl Clock {
    #[must_use]
    pub const fn system() -> Self {
        Self { now_us, uuid, secret }
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place")]
fn now_us() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
}

#[allow(clippy::disallowed_methods, reason = "the one place")]
fn uuid() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn secret() -> [u8; 32] {
    Key::<XChaCha20Poly1305>::generate().into()
}

const INSTANT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// A FHIR `instant` of `us` microseconds since 1970.
#[must_use]
pub fn instant(us: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(us) * 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(INSTANT).unwrap_or_default()
}

/// An HTTP date (RFC 9110 §5.6.7) of `us` microseconds since 1970.
#[must_use]
pub fn http_date(us: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(us) * 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    time.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_fhir_and_http_want_them() {
        assert_eq!(instant(1_767_323_045_000_006), "2026-01-02T03:04:05.000006Z");
        assert_eq!(http_date(1_767_323_045_000_006), "Fri, 02 Jan 2026 03:04:05 GMT");
    }
}
