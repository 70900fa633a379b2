//! The words of the OpenAPI document for the authorization server.
//!
//! Not here: the other rows (see `description`).

use super::description::{Answer, Body, Code, Described, row};

/// What is public, or why the server could not say it.
const PUBLIC: &[(u16, Answer)] =
    &[(200, Answer::Json), (400, Answer::Nothing), (500, Answer::Json), (503, Answer::Json)];
const FORM: &[(u16, Answer)] = &[(200, Answer::Json), (400, Answer::Json), (500, Answer::Json), (503, Answer::Json)];

const USER: &[(u16, Answer)] = &[
    (200, Answer::Json),
    (400, Answer::Nothing),
    (401, Answer::Json),
    (403, Answer::Json),
    (500, Answer::Json),
    (503, Answer::Json),
];

/// No community, or no UDAP at all, is no error.
const UDAP: &[(u16, Answer)] = &[
    (200, Answer::Json),
    (204, Answer::Nothing),
    (400, Answer::Nothing),
    (404, Answer::Nothing),
    (500, Answer::Json),
    (503, Answer::Json),
];

pub(super) const DESCRIBED: &[Described] = &[
    Described {
        parameters: &["community"],
        answers: UDAP,
        ..row("GET", "/fhir/.well-known/udap", Code::Always, "UDAP metadata of a trust community")
    },
    Described {
        parameters: &[],
        answers: PUBLIC,
        ..row("GET", "/fhir/.well-known/smart-configuration", Code::Always, "SMART configuration")
    },
    Described {
        parameters: &["community"],
        answers: UDAP,
        ..row("GET", "/.well-known/udap", Code::Always, "UDAP metadata of the issuer of identity tokens")
    },
    Described {
        parameters: &[],
        answers: PUBLIC,
        ..row("GET", "/.well-known/openid-configuration", Code::Always, "Metadata of the OpenID provider")
    },
    Described {
        parameters: &[],
        answers: PUBLIC,
        ..row("GET", "/oauth/jwks", Code::Always, "Public keys of access tokens and identity tokens")
    },
    Described {
        parameters: &[],
        answers: USER,
        ..row("GET", "/oauth/userinfo", Code::Always, "Who has signed in, told to the bearer of a token for it")
    },
    Described { parameters: &[], answers: USER, ..row("POST", "/oauth/userinfo", Code::Always, "The same") },
    Described {
        parameters: &[],
        body: Body::Json,
        answers: &[
            (200, Answer::Json),
            (201, Answer::Json),
            (400, Answer::Json),
            (500, Answer::Json),
            (503, Answer::Json),
        ],
        ..row("POST", "/oauth/register", Code::Always, "Register, modify or cancel a client by a signed statement")
    },
    Described {
        parameters: &[],
        body: Body::Form,
        answers: FORM,
        ..row("POST", "/oauth/token", Code::Always, "Get an access token")
    },
    Described {
        parameters: &[],
        body: Body::Form,
        answers: FORM,
        ..row("POST", "/oauth/revoke", Code::Always, "Take an access token back")
    },
    Described {
        parameters: &[],
        body: Body::Form,
        answers: &[
            (200, Answer::Json),
            (400, Answer::Json),
            (401, Answer::Json),
            (500, Answer::Json),
            (503, Answer::Json),
        ],
        ..row("POST", "/oauth/introspect", Code::Always, "Ask what an access token grants")
    },
];
