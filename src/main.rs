//! idi-match.
fn main() {}
