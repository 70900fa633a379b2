//! The grammar of `idi-match client`.
//!
//! Not here: what the commands do.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::super::arguments::ConfigArgs;

#[derive(Debug, Args)]
pub struct ClientArgs {
    #[command(subcommand)]
    pub command: ClientCommands,
}

#[derive(Debug, Subcommand)]
pub enum ClientCommands {
    /// Add a client with its public keys (SMART backend services), or an app of people, and print its id.
    Add(AddArgs),
    /// Let a client of a test suite leave out what the rules ask for; without options they hold again.
    Compat {
        client_id: String,
        /// It may leave out the code challenge (PKCE).
        #[arg(long)]
        no_pkce: bool,
        /// It may register redirect URIs of http.
        #[arg(long)]
        http_redirect: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// List all clients, those that registered themselves too.
    List {
        /// Print a line of JSON for each.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Disable a client: its tokens end at once, and it cannot register itself again.
    Disable {
        client_id: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Register at a server by UDAP, any server, and print the client's id there.
    Register(RegisterArgs),
    /// Ask a server for an access token by UDAP (client credentials), and print it.
    Token(TokenArgs),
    /// Send a Patient to a server's $idi-match, and print the answer.
    Match(MatchArgs),
}

/// A client to add.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The name that people see.
    #[arg(long)]
    pub name: String,
    /// What it may ask for, separated by spaces: system/Patient.rs, or of an app: launch/patient patient/Patient.rs
    #[arg(long)]
    pub scope: String,
    /// A JWK set with its public keys.
    #[arg(long, required_unless_present_any = ["jwks_url", "public"], conflicts_with_all = ["jwks_url", "public"])]
    pub jwks: Option<PathBuf>,
    /// The https address where it publishes its JWK set.
    #[arg(long, conflicts_with = "public")]
    pub jwks_url: Option<String>,
    /// It cannot keep a key: an app in a browser or on a phone.
    #[arg(long, requires = "redirect_uri")]
    pub public: bool,
    /// Where codes of people may be sent; makes it an app of people.
    #[arg(long, value_name = "URI")]
    pub redirect_uri: Vec<String>,
    /// Where somebody who has signed out may be sent.
    #[arg(long, value_name = "URI", requires = "redirect_uri")]
    pub post_logout_redirect_uri: Vec<String>,
    /// Whose scripts may read answers: https://app.example.org
    #[arg(long, value_name = "ORIGIN", requires = "redirect_uri")]
    pub cors_origin: Vec<String>,
    /// Print the client as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Where requests go, and how they are protected.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// The server's FHIR base: https://fhir.example.org/fhir
    pub base_url: String,
    /// Authorities of the https server, PEM or DER. Default: those of the operating system.
    #[arg(long, value_name = "FILE")]
    pub tls_anchors: Option<PathBuf>,
    /// Allow plain http to other machines: whoever is on the way reads tokens and people.
    #[arg(long)]
    pub insecure_http: bool,
}

/// Who asks, in which community.
#[derive(Debug, Args)]
pub struct MemberArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// The client's certificate and its intermediates, PEM or DER; several files are one chain.
    #[arg(long = "cert", value_name = "FILE", required = true)]
    pub certificates: Vec<PathBuf>,
    /// Its private key in PEM: RSA, P-256 or P-384.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Anchors of the community, PEM or DER: whom the server's metadata must be signed under.
    #[arg(long, value_name = "FILE", required = true)]
    pub anchors: Vec<PathBuf>,
    /// Intermediate certificates of the community that the server may leave out, PEM or DER.
    #[arg(long, value_name = "FILE")]
    pub intermediates: Vec<PathBuf>,
    /// Revocation lists of the community, PEM or DER. Without any, revocation of the server's certificate is not checked.
    #[arg(long, value_name = "FILE")]
    pub crls: Vec<PathBuf>,
    /// The URI of the community, where the server is in several.
    #[arg(long, value_name = "URI")]
    pub community: Option<String>,
    /// The client's URI, where its certificate has several.
    #[arg(long, value_name = "URI")]
    pub uri: Option<String>,
    /// Print the whole answer of the server, JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RegisterArgs {
    #[command(flatten)]
    pub member: MemberArgs,
    /// The name that the client is shown by.
    #[arg(long, required_unless_present = "cancel")]
    pub name: Option<String>,
    /// Who looks after it: mailto:ops@example.org
    #[arg(long, value_name = "URI", required_unless_present = "cancel")]
    pub contact: Vec<String>,
    /// What it will ask for, separated by spaces.
    #[arg(long, default_value = "system/Patient.rs")]
    pub scope: String,
    /// A file with a signed certification, as some communities want.
    #[arg(long, value_name = "FILE")]
    pub certification: Vec<PathBuf>,
    /// Cancel the registration.
    #[arg(long)]
    pub cancel: bool,
}

#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(flatten)]
    pub member: MemberArgs,
    /// The id that the registration gave.
    #[arg(long)]
    pub client_id: String,
    /// What is asked for, separated by spaces. Default: what was registered.
    #[arg(long)]
    pub scope: Option<String>,
    #[command(flatten)]
    pub b2b: B2bArgs,
    /// A JSON object with further extensions, such as hl7-b2b-user; one that is named hl7-b2b takes the options' place.
    #[arg(long, value_name = "FILE")]
    pub extensions: Option<PathBuf>,
}

/// The extension `hl7-b2b` (FAST Security 5.2.1.1).
#[derive(Debug, Args)]
pub struct B2bArgs {
    /// The organisation that asks, a URI.
    #[arg(long, value_name = "URI", required_unless_present = "extensions")]
    pub organization_id: Option<String>,
    #[arg(long)]
    pub organization_name: Option<String>,
    /// What for: urn:oid:2.16.840.1.113883.5.8#TREAT
    #[arg(long, value_name = "CODE", required_unless_present = "extensions")]
    pub purpose: Vec<String>,
    /// Who acts for the organisation.
    #[arg(long)]
    pub subject_name: Option<String>,
    #[arg(long)]
    pub subject_id: Option<String>,
    #[arg(long)]
    pub subject_role: Option<String>,
    /// The policy under which the person has agreed.
    #[arg(long, value_name = "URI")]
    pub consent_policy: Vec<String>,
    /// Where that agreement is kept.
    #[arg(long, value_name = "URL")]
    pub consent_reference: Vec<String>,
}

#[derive(Debug, Args)]
pub struct MatchArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// A Patient, or the whole Parameters of a request.
    pub patient: PathBuf,
    /// The access token, as `client token` prints it; - reads it from standard input.
    #[arg(long, value_name = "FILE")]
    pub token_file: PathBuf,
}
