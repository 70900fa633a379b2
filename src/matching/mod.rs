//! The matcher: what of a person can be compared, how likely two records are one person's, and which stored
//! identities a query may mean.
//!
//! A query's way: [`record`] (normalised by [`normalise`]) → [`blocking`] keys → [`index`] candidates → [`comparison`]
//! levels → [`pool`] over an identity's records → [`score`] and [`grade`]. All numbers that decide are in
//! `profiles/match-model.json`, read by [`model`]. Beside it [`combination`] judges the same records by a second,
//! deterministic rule-book. Pure: no IO, no clock, no randomness; the same input gives the same
//! result at any number of threads.

pub mod blocking;
pub mod combination;
pub mod compact_id;
pub mod comparison;
pub mod component;
pub mod dictionary;
pub mod entry;
pub mod evaluation;
pub mod grade;
pub mod index;
pub mod judgement;
pub mod model;
pub mod normalise;
pub mod pool;
pub mod postings;
pub mod record;
pub mod score;
pub mod similarity;
pub mod splink;
pub mod stored_blocks;
pub mod train;
