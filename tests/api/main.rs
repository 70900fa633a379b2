//! The HTTP interface, from outside: a real server on a free port, spoken to over a socket, on both databases.
//!
//! What: every interaction, operation and error as a caller sees it. Not here: what single functions decide (beside
//! them), the store (`tests/store`), the command line (`tests/cli`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "this binary is a test"
)]

#[path = "../support/pki.rs"]
#[allow(dead_code, reason = "shared by several test binaries")]
mod pki;
#[path = "../support/postgres.rs"]
mod postgres;

/// Names the tests of a file; each gets a server of its own, once on SQLite and once on PostgreSQL.
macro_rules! on_both_databases {
    ($($test:ident,)+) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test(&crate::support::TestApp::start(crate::support::Database::sqlite(), &[]));
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                super::$test(&crate::support::TestApp::start(crate::support::Database::postgres(), &[]));
            })+
        }
    };
}

/// The same, of a guarded server.
macro_rules! on_both_databases_guarded {
    ($($test:ident,)+) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test(&crate::gated::Guarded::start(crate::support::Database::sqlite(), &[]));
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                super::$test(&crate::gated::Guarded::start(crate::support::Database::postgres(), &[]));
            })+
        }
    };
}

/// The same, of a server in two trust communities.
macro_rules! trusting_on_both_databases {
    ($($test:ident,)+) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test(&crate::trust::Trusting::start(crate::support::Database::sqlite()));
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                super::$test(&crate::trust::Trusting::start(crate::support::Database::postgres()));
            })+
        }
    };
}

mod account;
mod answer;
mod audit;
mod audit_chain;
mod audit_event;
mod base_match;
mod batch;
mod capability;
mod communities;
mod concurrency;
mod conditional;
mod cors;
mod create;
mod delete;
mod errors;
mod explain;
mod export;
mod gate;
mod gated;
mod golden;
mod health;
mod history;
mod hostile;
mod idi_match;
mod index_place;
mod instances;
mod key_sets;
mod launch;
mod match_bundle;
mod match_options;
mod merge;
mod meta;
mod oauth_attacks;
mod openapi;
mod own_records;
mod pages;
mod patch;
mod people;
mod prefer;
mod probing;
mod proxy;
mod read;
mod review_queue;
mod rule_book;
mod search;
mod several;
mod sign_in;
mod sign_in_throttle;
mod signed_in;
mod smart_backend;
mod smart_launch;
mod steward;
mod summary;
mod support;
mod transaction;
mod transport;
mod trust;
mod udap_apps;
mod udap_discovery;
mod udap_registration;
mod udap_token;
mod update;
mod validate;
mod who_looked;
