//! The one definition of every option: key, kind, default, limits, words.
//!
//! TOML keys, environment variables, flags, defaults, checks and `docs/configuration.md` all come from [`SETTINGS`].
//! Not here: the typed form (see `config`), lists of tables such as `[[sources]]`.

use crate::fhir::match_parameters::RuleBook;

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Text,
    /// Text that may be a secret; shown as `***`.
    Url,
    Flag,
    Integer {
        min: u64,
        max: u64,
    },
    Probability,
    Choice(&'static [&'static str]),
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// TOML key: `table.name`.
    pub key: &'static str,
    /// Flag without dashes.
    pub flag: &'static str,
    pub kind: Kind,
    pub default: &'static str,
    pub help: &'static str,
}

impl Setting {
    /// The environment variable: `IDI_MATCH_SERVER_LISTEN` for `server.listen`.
    #[must_use]
    pub fn env(&self) -> String {
        format!("IDI_MATCH_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }
}

const fn setting(
    key: &'static str,
    flag: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, flag, kind, default, help }
}

const fn integer(min: u64, max: u64) -> Kind {
    Kind::Integer { min, max }
}

/// Every option, in the order of the documentation.
pub const SETTINGS: &[Setting] = &[
    setting(
        "server.listen",
        "listen",
        Kind::Text,
        "127.0.0.1:8080",
        "Address and port to listen on. Port 0 takes a free one.",
    ),
    setting(
        "server.base_url",
        "base-url",
        Kind::Text,
        "",
        "Absolute URL of the FHIR base as callers see it, ending in /fhir. Empty: http://LISTEN/fhir.",
    ),
    setting(
        "server.database_url",
        "database-url",
        Kind::Url,
        "sqlite:idi-match.sqlite",
        "sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME. The scheme chooses the database.",
    ),
    setting(
        "server.open",
        "open",
        Kind::Flag,
        "false",
        "Serve every caller without authorization. Needed to serve at all until an authorization server exists; accepted on a loopback address only.",
    ),
    setting(
        "server.profiles_dir",
        "profiles-dir",
        Kind::Text,
        "",
        "Directory to read profiles, tables and the matching model from. Empty: those built into the binary.",
    ),
    setting("server.workers", "workers", integer(0, 1024), "0", "HTTP worker threads. 0: one a core."),
    setting(
        "organization.id",
        "organization-id",
        Kind::Text,
        "responder",
        "Id of the responding Organization in every match answer.",
    ),
    setting(
        "organization.name",
        "organization-name",
        Kind::Text,
        "Unnamed responder",
        "Name of the responding Organization.",
    ),
    setting(
        "organization.phone",
        "organization-phone",
        Kind::Text,
        "",
        "Contact phone of the responding Organization. Phone, email or url must be given to serve beyond loopback.",
    ),
    setting(
        "organization.email",
        "organization-email",
        Kind::Text,
        "",
        "Contact email of the responding Organization.",
    ),
    setting(
        "organization.url",
        "organization-url",
        Kind::Text,
        "",
        "Contact web address of the responding Organization. When no contact is given, the base URL stands in.",
    ),
    setting(
        "match.index",
        "match-index",
        Kind::Choice(&["memory", "database"]),
        "memory",
        "Where candidates are looked for. memory: a copy of all records in this process. database: block keys in the database; no copy, more time a request.",
    ),
    setting(
        "match.response",
        "match-response",
        Kind::Choice(&["auto", "parameters", "bundle"]),
        "auto",
        "Shape of the $idi-match answer. auto: Parameters to callers that sent IDIPatient, the bare Bundle to the others.",
    ),
    setting(
        "match.require_profile",
        "match-require-profile",
        Kind::Flag,
        "true",
        "Refuse requests whose Patient claims no IDI profile. false: IDI-Patient is assumed, with a warning.",
    ),
    setting(
        "match.rule_book",
        "match-rule-book",
        Kind::Choice(&RuleBook::CODES),
        "idi",
        "Rules that decide on a match where the request does not choose: idi, the guide's table and the matching model; cms, the CMS combinations; both, the guide's table, annotated with what the CMS combinations say.",
    ),
    setting(
        "match.golden_record",
        "match-golden-record",
        Kind::Flag,
        "false",
        "Add the golden record of each matched identity to the answers of $idi-match and $identity: one Patient made of its records, each value with its source.",
    ),
    setting(
        "match.probability_min",
        "match-probability-min",
        Kind::Probability,
        "0.5",
        "Identities without a row of the guide's table are returned from this match probability on.",
    ),
    setting("match.identities_max", "match-identities-max", integer(1, 100), "20", "Identities returned at most."),
    setting(
        "match.records_per_identity_max",
        "match-records-per-identity-max",
        integer(1, 1000),
        "50",
        "Records of one identity returned at most; what is left out is announced.",
    ),
    setting(
        "match.candidates_max",
        "match-candidates-max",
        integer(10, 1_000_000),
        "20000",
        "Candidate records scored for one query at most; a search cut short is announced.",
    ),
    setting(
        "match.parallel_from",
        "match-parallel-from",
        integer(1, 1_000_000),
        "8000",
        "Candidate records from which on one query is scored on several threads.",
    ),
    setting("match.threads", "match-threads", integer(0, 1024), "0", "Threads of the matching pool. 0: one a core."),
    setting(
        "match.model",
        "match-model",
        Kind::Text,
        "",
        "File of the matching model, as train writes it. Empty: match-model.json of profiles_dir.",
    ),
    setting(
        "limits.body_bytes_max",
        "limits-body-bytes-max",
        integer(1024, 1_073_741_824),
        "1048576",
        "Bytes of a request body at most.",
    ),
    setting(
        "limits.depth_max",
        "limits-depth-max",
        integer(8, 120),
        "32",
        "Nested arrays and objects in a document at most.",
    ),
    setting(
        "limits.values_max",
        "limits-values-max",
        integer(100, 10_000_000),
        "50000",
        "JSON values in a document at most.",
    ),
    setting(
        "limits.string_bytes_max",
        "limits-string-bytes-max",
        integer(256, 1_073_741_824),
        "1048576",
        "Bytes of one string at most.",
    ),
    setting(
        "limits.bundle_entries_max",
        "limits-bundle-entries-max",
        integer(1, 100_000),
        "1000",
        "Entries of a transaction or batch Bundle at most.",
    ),
    setting(
        "limits.bundle_answer_bytes_max",
        "limits-bundle-answer-bytes-max",
        integer(65_536, 1_073_741_824),
        "4194304",
        "Bytes of the resources in the answer to a transaction or batch at most.",
    ),
    setting(
        "limits.transaction_ms_max",
        "limits-transaction-ms-max",
        integer(10, 600_000),
        "4000",
        "Milliseconds that a transaction may keep other writes waiting; then it is refused.",
    ),
    setting(
        "limits.patch_operations_max",
        "limits-patch-operations-max",
        integer(1, 10_000),
        "200",
        "Operations of a JSON Patch at most.",
    ),
    setting(
        "limits.page_size",
        "limits-page-size",
        integer(1, 1000),
        "20",
        "Entries of a search page when _count is not given.",
    ),
    setting(
        "limits.page_size_max",
        "limits-page-size-max",
        integer(1, 10_000),
        "200",
        "Entries of a search page at most.",
    ),
    setting(
        "limits.page_bytes_max",
        "limits-page-bytes-max",
        integer(65_536, 1_073_741_824),
        "4194304",
        "Bytes of the resources on a page of a search or history, or of the records of a match, at most. A page that is full ends early and links to the next; one resource is always shown.",
    ),
    setting(
        "limits.search_values_max",
        "limits-search-values-max",
        integer(1, 400),
        "100",
        "Values of all parameters of a search together at most.",
    ),
    setting(
        "limits.search_total_max",
        "limits-search-total-max",
        integer(0, 1_000_000_000),
        "10000",
        "Matches that a search counts when _total does not ask for an accurate total; beyond it the total is left out.",
    ),
    setting(
        "limits.search_includes_max",
        "limits-search-includes-max",
        integer(0, 100_000),
        "1000",
        "Resources that come along with a page (_include, _revinclude) at most; what is left out is announced.",
    ),
    setting(
        "limits.http_connections_max",
        "limits-http-connections-max",
        integer(1, 100_000),
        "2048",
        "Open HTTP connections at most.",
    ),
    setting(
        "limits.requests_in_flight_max",
        "limits-requests-in-flight-max",
        integer(1, 100_000),
        "512",
        "Requests being answered at most; further ones get 503 with Retry-After.",
    ),
    setting(
        "limits.header_timeout_ms",
        "limits-header-timeout-ms",
        integer(100, 600_000),
        "5000",
        "Milliseconds within which a request's head must arrive.",
    ),
    setting(
        "limits.body_timeout_ms",
        "limits-body-timeout-ms",
        integer(100, 600_000),
        "15000",
        "Milliseconds within which a request's body must arrive.",
    ),
    setting(
        "limits.shutdown_timeout_ms",
        "limits-shutdown-timeout-ms",
        integer(0, 600_000),
        "10000",
        "Milliseconds that requests in flight have after a stop signal.",
    ),
    setting(
        "limits.database_connections_max",
        "limits-database-connections-max",
        integer(1, 1000),
        "8",
        "Open database connections for reading at most.",
    ),
    setting(
        "limits.database_timeout_ms",
        "limits-database-timeout-ms",
        integer(100, 600_000),
        "5000",
        "Milliseconds to wait for a connection, a lock or a statement of the database.",
    ),
    setting(
        "limits.write_queue_max",
        "limits-write-queue-max",
        integer(1, 1_000_000),
        "1024",
        "Writes waiting for the next commit at most; further ones get 503 with Retry-After.",
    ),
    setting(
        "limits.commit_batch_max",
        "limits-commit-batch-max",
        integer(1, 10_000),
        "256",
        "Writes that share one commit at most.",
    ),
    setting(
        "limits.audit_backlog_bytes_max",
        "limits-audit-backlog-bytes-max",
        integer(0, 1_073_741_824),
        "16777216",
        "Bytes of audit rows held in memory (and in the log) while the database has no room for them; then reads are refused like writes. 0: at once.",
    ),
    setting(
        "limits.load_batch_lines",
        "limits-load-batch-lines",
        integer(1, 10_000),
        "1000",
        "Lines that `load` writes in one transaction.",
    ),
    setting(
        "limits.index_poll_ms",
        "limits-index-poll-ms",
        integer(10, 60_000),
        "200",
        "Milliseconds between looks at the change log for writes of other processes.",
    ),
    setting(
        "limits.index_lag_ms_max",
        "limits-index-lag-ms-max",
        integer(100, 3_600_000),
        "5000",
        "Milliseconds for which the index may not have seen the change log; beyond them /readyz answers 503.",
    ),
    setting(
        "limits.export_jobs_max",
        "limits-export-jobs-max",
        integer(1, 100_000),
        "100",
        "Bulk exports kept at most, at work or complete; further ones get 429 until one expires or is deleted.",
    ),
    setting(
        "limits.export_expires_s",
        "limits-export-expires-s",
        integer(1, 2_592_000),
        "86400",
        "Seconds for which the files of a complete bulk export can be downloaded.",
    ),
    setting(
        "limits.export_part_resources_max",
        "limits-export-part-resources-max",
        integer(1, 10_000_000),
        "25000",
        "Resources in one file of a bulk export at most.",
    ),
    setting(
        "log.format",
        "log-format",
        Kind::Choice(&["text", "json"]),
        "text",
        "Form of log lines, on standard error.",
    ),
    setting(
        "log.filter",
        "log-filter",
        Kind::Text,
        "info,actix_http=off",
        "Level, or directives such as `info,idi_match=debug`. No level shows personal data. Bytes that are no HTTP are no error of the server: `actix_http=off`.",
    ),
];
