//! The words of the OpenAPI document for the pages of people.
//!
//! Not here: the other rows (see `description`).

use super::description::{Answer, Body, Code, Described, row};

const HTML: Answer = Answer::Text("text/html");

const PAGE: &[(u16, Answer)] =
    &[(200, HTML), (303, HTML), (400, HTML), (403, HTML), (500, HTML), (503, HTML), (507, HTML)];
const ANSWERED: &[(u16, Answer)] = &[
    (200, HTML),
    (303, HTML),
    (400, HTML),
    (403, HTML),
    (408, HTML),
    (413, HTML),
    (415, HTML),
    (500, HTML),
    (503, HTML),
    (507, HTML),
];

pub(super) const DESCRIBED: &[Described] = &[
    Described {
        parameters: &[],
        answers: PAGE,
        ..row("GET", "/oauth/authorize", Code::Always, "An app asks for a person's permission (RFC 6749 §3.1)")
    },
    Described {
        parameters: &[],
        body: Body::Form,
        answers: ANSWERED,
        ..row("POST", "/oauth/authorize", Code::Always, "The same, as a form")
    },
    Described {
        parameters: &[],
        answers: PAGE,
        ..row(
            "GET",
            "/oauth/authorize/continue",
            Code::Always,
            "The question to the person, or what comes before or after it",
        )
    },
    Described {
        parameters: &[],
        body: Body::Form,
        answers: ANSWERED,
        ..row("POST", "/oauth/authorize/continue", Code::Always, "The person's answer")
    },
    Described {
        parameters: &[],
        answers: PAGE,
        ..row(
            "GET",
            "/oauth/logout",
            Code::Always,
            "An app asks to sign somebody out (OpenID Connect RP-Initiated Logout)",
        )
    },
    Described {
        parameters: &[],
        body: Body::Form,
        answers: ANSWERED,
        ..row("POST", "/oauth/logout", Code::Always, "The same, as a form")
    },
    Described {
        parameters: &[],
        answers: &[(200, HTML), (303, HTML), (400, Answer::Nothing), (500, HTML), (503, HTML)],
        ..row("GET", "/sign-in", Code::Always, "The form to sign in; whoever is signed in is led to their account")
    },
    Described {
        parameters: &[],
        body: Body::Form,
        answers: &[
            (303, HTML),
            (400, HTML),
            (403, HTML),
            (408, HTML),
            (413, HTML),
            (415, HTML),
            (422, HTML),
            (429, HTML),
            (500, HTML),
            (503, HTML),
            (507, HTML),
        ],
        ..row("POST", "/sign-in", Code::Always, "Sign in with login, password and one-time code")
    },
    Described {
        parameters: &[],
        body: Body::Form,
        answers: &[
            (303, HTML),
            (400, HTML),
            (403, HTML),
            (408, HTML),
            (413, HTML),
            (415, HTML),
            (500, HTML),
            (503, HTML),
            (507, HTML),
        ],
        ..row("POST", "/sign-out", Code::Always, "Sign out")
    },
    Described {
        parameters: &[],
        answers: PAGE,
        ..row("GET", "/account", Code::Always, "Who is signed in, and the apps that they have allowed something")
    },
    Described {
        parameters: &[],
        body: Body::Form,
        answers: ANSWERED,
        ..row("POST", "/account", Code::Always, "Take back what an app was allowed, or all apps")
    },
    Described {
        parameters: &[],
        answers: &[(200, Answer::Text("text/css")), (400, Answer::Nothing)],
        ..row("GET", "/web/style.css", Code::Always, "The look of the pages")
    },
];
