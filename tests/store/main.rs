//! The store, on both databases: every test of this suite runs on SQLite and on PostgreSQL and asks the same of both.
//!
//! Not here: what single functions decide without a database; that stands beside them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "this binary is a test"
)]

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

mod as_of;
mod audit_chain;
mod authorization;
mod block_keys;
mod budgets;
mod changes;
mod constraint;
mod database;
mod export_jobs;
mod failures;
mod history;
mod migrations;
mod pages;
mod people;
mod records;
mod resources;
mod search_plans;
mod searching;
mod stewards;
mod token_families;
mod transactions;
