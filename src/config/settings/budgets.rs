//! The options of budgets against probing.
//!
//! The defaults are chosen by `scripts/measure/probing`: see `docs/probing.md`. Not here: how they are kept (see
//! `app::metering`).

use super::super::setting::{Kind, Setting, integer, setting};

pub(super) const BUDGETS: &[Setting] = &[
    setting(
        "budgets.enabled",
        "budgets-enabled",
        Kind::Flag,
        "true",
        "Count what bearers of tokens try to match, and refuse what is beyond a budget with 429. false: for measuring only.",
    ),
    setting(
        "budgets.client_requests_per_minute",
        "budgets-client-requests-per-minute",
        integer(1, 10_000_000),
        "1200",
        "Matches that one client may ask for in a minute; as many at once, which come back evenly within the minute.",
    ),
    setting(
        "budgets.client_failures_per_hour",
        "budgets-client-failures-per-hour",
        integer(1, 100_000_000),
        "7200",
        "Of these, matches without a Patient in the answer, in an hour.",
    ),
    setting(
        "budgets.organization_requests_per_minute",
        "budgets-organization-requests-per-minute",
        integer(1, 10_000_000),
        "6000",
        "Matches that all clients of one organisation may ask for in a minute.",
    ),
    setting(
        "budgets.organization_failures_per_hour",
        "budgets-organization-failures-per-hour",
        integer(1, 100_000_000),
        "36000",
        "Of these, matches without a Patient in the answer, in an hour.",
    ),
    setting(
        "budgets.subject_failures_max",
        "budgets-subject-failures-max",
        integer(1, 1_000_000),
        "10",
        "Values that one client may try in vain for one person: names with birth date, address or email, or a strong identifier. They come back evenly within subject_period_h.",
    ),
    setting(
        "budgets.subject_failures_all_max",
        "budgets-subject-failures-all-max",
        integer(1, 1_000_000),
        "30",
        "The same of all clients together.",
    ),
    setting(
        "budgets.subject_period_h",
        "budgets-subject-period-h",
        integer(1, 8_760),
        "168",
        "Hours within which the budget of a person that is spent is full again.",
    ),
    setting(
        "budgets.operator_factor",
        "budgets-operator-factor",
        integer(1, 1_000_000),
        "100",
        "How many times larger the budgets of clients are that the operator has added, in their own name.",
    ),
    setting(
        "budgets.sweep_subjects_per_minute",
        "budgets-sweep-subjects-per-minute",
        integer(1, 1000),
        "100",
        "Different persons that a client or an organisation may ask for in vain within a minute before an alarm is raised.",
    ),
];
