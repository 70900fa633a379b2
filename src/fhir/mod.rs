//! FHIR in and out of bytes: the bounded JSON view, issues with a location, dates and splicing.
//!
//! What: a received document is parsed once into a [`json::Value`] that borrows from it; everything that judges or
//! reads content works on that view and reports problems as [`issue::Issue`] data. The document itself is kept as
//! received. Why: typed FHIR libraries drop what they do not know, and a dropped element is a lost fact.
//! Not here: profiles (see `profile`), building answers (see `http` and the `fhir-types` crate), any IO.

pub mod canonical;
pub mod compartment;
pub mod date;
pub mod disclosure;
pub mod document;
pub mod fold;
pub mod issue;
pub mod json;
pub mod json_patch;
pub mod label;
pub mod match_parameters;
pub mod moment;
pub mod name_text;
pub mod operation_parameters;
pub mod path;
pub mod redact;
pub mod references;
pub mod search_parameter;
pub mod splice;
pub mod us_core;
