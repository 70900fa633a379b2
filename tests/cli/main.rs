//! The program as its users run it: the real binary, its files, its output and its exit codes, on both databases where
//! one takes part.
//!
//! Not here: what single functions decide (beside them), the store (`tests/store`), the whole of the HTTP interface.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "this binary is a test"
)]

#[allow(dead_code, reason = "other test binaries use the rest")]
#[path = "../support/pki.rs"]
mod pki;
#[allow(dead_code, reason = "other test binaries use the rest")]
#[path = "../support/postgres.rs"]
mod postgres;

/// Names the tests of a file, each run on both databases.
macro_rules! on_both_databases {
    ($($test:ident,)+) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test(&crate::database::Database::sqlite());
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                super::$test(&crate::database::Database::postgres());
            })+
        }
    };
}

mod auditing;
mod backup;
mod canary;
mod canary_people;
mod checking;
mod clients;
mod collector;
mod configuration;
mod database;
mod demonstration;
mod deploying;
mod doctoring;
mod evaluating;
mod examples;
mod explaining;
mod exporting;
mod failures;
mod full_disk;
mod https;
mod identities;
mod loading;
mod matching;
mod measures;
mod migrating;
mod partitioning;
mod people;
mod program;
mod resuming;
mod serving;
mod stopping;
mod synthesis;
mod tracing;
mod training;
mod udap_client;
mod users;
