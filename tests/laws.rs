//! The laws of `fuzz/laws.rs`, kept for every input of the corpora: what the fuzzer found stays found, with a stable
//! compiler. Not here: new inputs (`make measure-fuzz`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "this binary is a test"
)]

use std::fs;
use std::path::Path;

#[path = "../fuzz/laws.rs"]
mod laws;

fn replay(target: &str, law: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(inputs.len() >= 5, "{}: hardly a corpus", folder.display());
    for input in inputs {
        // Shown when the law is broken.
        println!("{}", input.display());
        law(&fs::read(&input).unwrap());
    }
}

#[test]
fn patients_are_admitted_and_leave_as_they_came() {
    replay("patient", laws::patient);
}

#[test]
fn parameters_are_read_or_refused_with_their_place() {
    replay("parameters", laws::parameters);
}

#[test]
fn search_queries_mean_the_same_when_they_are_linked() {
    replay("search_query", laws::search_query);
}

#[test]
fn patches_give_the_same_document_each_time() {
    replay("json_patch", laws::json_patch);
}

#[test]
fn lines_are_loaded_as_they_were_exported() {
    replay("ndjson_line", laws::ndjson_line);
}

#[test]
fn expressions_are_enforced_or_refused_by_name() {
    replay("fhirpath_file", laws::fhirpath_file);
}

#[test]
fn headers_of_tokens_have_one_spelling_and_no_key_of_their_own() {
    replay("token_header", laws::token_header);
}

#[test]
fn certificates_are_accepted_as_they_were_signed() {
    replay("certificate", laws::certificate);
}

#[test]
fn revocation_lists_count_when_their_issuer_signed_them() {
    replay("revocation_list", laws::revocation_list);
}

#[test]
fn statements_of_software_mean_the_same_by_what_is_kept_of_them() {
    replay("software_statement", laws::software_statement);
}

#[test]
fn granted_scopes_are_those_that_all_sides_hold() {
    replay("scopes", laws::scopes);
}
