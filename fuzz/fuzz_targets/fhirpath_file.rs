//! See `laws::fhirpath_file`.

#![no_main]

#[path = "../laws.rs"]
mod laws;

libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::fhirpath_file(data));
