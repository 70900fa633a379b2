#![doc = include_str!("ARCHITECTURE.md")]

pub mod app;
pub mod assurance;
pub mod audit;
pub mod auth;
pub mod budget;
pub mod cli;
pub mod config;
pub mod fhir;
pub mod http;
pub mod identity;
pub mod matching;
pub mod observe;
pub mod outbound;
pub mod profile;
pub mod store;
pub mod synth;
