//! The options of people who sign in: how long a session lasts, how often somebody may try.
//!
//! Not here: what passwords must be like, which is no choice (see `auth::password`).

use super::super::setting::{Setting, integer, setting};

pub(super) const PEOPLE: &[Setting] = &[
    setting(
        "people.session_minutes",
        "people-session-minutes",
        integer(1, 1440),
        "720",
        "Minutes after which a person has to sign in again in any case.",
    ),
    setting(
        "people.session_idle_minutes",
        "people-session-idle-minutes",
        integer(1, 60),
        "30",
        "Minutes without a request after which a session ends.",
    ),
    setting(
        "people.sign_in_failures_free",
        "people-sign-in-failures-free",
        integer(1, 20),
        "5",
        "Failed sign-ins of one login that no pause follows. Each further one is followed by a pause, twice as long each time.",
    ),
    setting(
        "people.sign_in_failures_max",
        "people-sign-in-failures-max",
        integer(2, 100),
        "100",
        "Failed sign-ins of one login in a row, after which only `user reset` opens it again.",
    ),
    setting(
        "people.address_failures_free",
        "people-address-failures-free",
        integer(1, 10_000),
        "50",
        "Failed sign-ins from one address (of IPv6: from one /64) that no pause follows. One is forgotten each minute.",
    ),
    setting("people.sign_in_pause_s", "people-sign-in-pause-s", integer(1, 3600), "15", "Seconds of the first pause."),
    setting(
        "people.sign_in_pause_s_max",
        "people-sign-in-pause-s-max",
        integer(1, 86_400),
        "900",
        "Seconds of a pause at most.",
    ),
    setting(
        "people.password_hashes_max",
        "people-password-hashes-max",
        integer(1, 256),
        "4",
        "Passwords that are compared at the same time; each takes 19 MiB. Four times as many wait, others are answered 503.",
    ),
];
