//! HTTP: the route table, extractors, and the rendering of answers. No rules.
//!
//! A handler extracts, calls one function of `app` and renders. Not here: what is allowed, what matches.

mod admission;
mod auth;
pub mod cors;
mod drain;
pub mod error;
mod extract;
mod fhir;
mod guard;
mod health;
mod middleware;
mod negotiate;
mod openapi;
mod pages;
mod prefer;
mod present;
pub mod rate_limit;
pub mod render;
mod route;
pub mod server;
pub mod tls;
mod transport;

/// The media type of every FHIR answer.
pub const FHIR_JSON: &str = "application/fhir+json; charset=utf-8";

/// The media type of the files of a bulk export.
pub const FHIR_NDJSON: &str = "application/fhir+ndjson";
