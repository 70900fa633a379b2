//! Cross-origin requests of browser apps (SMART App Launch 2.2, "CORS"; the Fetch standard).
//!
//! What this server says of itself may be read by everybody's scripts. Tokens and data may be read by scripts of origins that a
//! client is registered with, and by no others; pages for people by none. No cookie ever goes along. A preflight asks whether
//! a request may be sent: it is answered here, without a token, and nothing of it reaches a use case, so it has no audit row.
//! Not here: which origins are registered (see `app::auth::origins`).

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN, VARY,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};

use super::extract::{AppData, run};

const ANYBODY: HeaderValue = HeaderValue::from_static("*");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
const HEADERS: HeaderValue =
    HeaderValue::from_static("Accept, Authorization, Content-Type, If-Match, If-None-Exist, Prefer, X-Request-Id");
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Content-Location, ETag, Last-Modified, Location, Retry-After, WWW-Authenticate, X-Request-Id",
);
const KEPT_S: HeaderValue = HeaderValue::from_static("600");

/// Whose scripts may read the answer of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readers {
    Anybody,
    /// Of registered origins.
    Registered,
    Nobody,
}

fn readers_of(path: &str) -> Readers {
    const PUBLIC: [&str; 6] = [
        "/.well-known/openid-configuration",
        "/.well-known/udap",
        "/fhir/.well-known/smart-configuration",
        "/fhir/.well-known/udap",
        "/fhir/metadata",
        "/oauth/jwks",
    ];
    const REGISTERED: [&str; 3] = ["/oauth/token", "/oauth/userinfo", "/oauth/revoke"];
    if PUBLIC.contains(&path) {
        Readers::Anybody
    } else if REGISTERED.contains(&path) || path == "/fhir" || path.starts_with("/fhir/") {
        Readers::Registered
    } else {
        Readers::Nobody
    }
}

/// Wraps every route.
///
/// # Errors
/// What the routes give.
pub async fn cross_origin<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let readers = readers_of(request.path());
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let allowed = allowed(&request, readers).await;
    let mut response = if is_preflight && readers != Readers::Nobody && request.headers().contains_key(ORIGIN) {
        request.into_response(HttpResponse::NoContent().finish())
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let headers = response.headers_mut();
    if readers == Readers::Registered {
        // Others get another answer, and caches must know.
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    if let Some(origin) = allowed {
        allow(headers, origin, is_preflight);
    }
    Ok(response)
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue, is_preflight: bool) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if is_preflight {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, KEPT_S);
    } else {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// What the answer says of the origin of a request; nothing where it may not be read.
async fn allowed(request: &ServiceRequest, readers: Readers) -> Option<HeaderValue> {
    let mut origins = request.headers().get_all(ORIGIN);
    let (origin, None) = (origins.next()?.clone(), origins.next()) else { return None };
    match readers {
        Readers::Nobody => None,
        Readers::Anybody => Some(ANYBODY),
        Readers::Registered => {
            let app = request.app_data::<AppData>()?.clone();
            let text = origin.to_str().ok()?.to_owned();
            let known = run(&app, move |app| app.is_registered_origin(&text, (app.clock.now_us)())).await;
            known.unwrap_or(false).then_some(origin)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_for_people_are_read_by_no_script_of_others() {
        for (path, expected) in [
            ("/fhir/metadata", Readers::Anybody),
            ("/fhir/.well-known/smart-configuration", Readers::Anybody),
            ("/.well-known/openid-configuration", Readers::Anybody),
            ("/oauth/jwks", Readers::Anybody),
            ("/fhir/Patient/p1", Readers::Registered),
            ("/fhir", Readers::Registered),
            ("/fhirx", Readers::Nobody),
            ("/oauth/token", Readers::Registered),
            ("/oauth/authorize", Readers::Nobody),
            ("/oauth/authorize/continue", Readers::Nobody),
            ("/oauth/introspect", Readers::Nobody),
            ("/oauth/register", Readers::Nobody),
            ("/sign-in", Readers::Nobody),
            ("/metrics", Readers::Nobody),
        ] {
            assert_eq!(readers_of(path), expected, "{path}");
        }
    }
}
