//! The grammar of `idi-match user`.
//!
//! A password is never an argument: arguments are in the lists of processes and in the histories of shells. Not here: what the
//! commands do.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::app::people::account::AccountKind;

use super::super::arguments::ConfigArgs;

#[derive(Debug, Args)]
pub struct UserArgs {
    #[command(subcommand)]
    pub command: UserCommands,
}

/// Who signs in.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kind {
    Person,
    Workforce,
}

impl From<Kind> for AccountKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Person => Self::Person,
            Kind::Workforce => Self::Workforce,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum UserCommands {
    /// Add an account; its password is read from standard input, or asked for. Prints once what an authenticator needs.
    Add(AddArgs),
    /// List all accounts, without what was verified of their persons.
    List {
        /// Print a line of JSON for each.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Disable an account: its sessions end at once, and nobody signs in with it.
    Disable {
        login: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Give an account another password or other codes. Its sessions end, pauses too, and it is active again.
    Reset(ResetArgs),
}

#[derive(Debug, Args)]
pub struct AddArgs {
    pub login: String,
    #[arg(long, value_enum)]
    pub kind: Kind,
    /// A Patient with what was verified of the person, and nothing else.
    #[arg(long, value_name = "FILE")]
    pub attributes: PathBuf,
    /// How thoroughly the person was proofed: idial1.8
    #[arg(long)]
    pub level: String,
    /// When: 2026-02-03
    #[arg(long, value_name = "DATE")]
    pub verified_on: String,
    /// Whose account it is. Without it, the identity is looked for by what was verified.
    #[arg(long, value_name = "ID")]
    pub identity: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command")]
pub struct ResetArgs {
    pub login: String,
    /// Another password, which is read from standard input, or asked for.
    #[arg(long)]
    pub password: bool,
    /// Other one-time codes; prints once what an authenticator needs.
    #[arg(long)]
    pub totp: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}
