//! The options of the gate: keys, certificates, and what is fetched from elsewhere.
//!
//! Not here: `[[communities]]`, which are tables of their own (see `config::communities`).

use super::super::setting::{Kind, Setting, integer, setting};

pub(super) const GATE: &[Setting] = &[
    setting(
        "auth.key_file",
        "auth-key-file",
        Kind::Text,
        "",
        "File of the keys that seal the server's secrets in the database: one a line, 32 bytes in hexadecimal or base64. The first seals, all open. Empty: a key in the database itself, which protects no backup of it.",
    ),
    setting(
        "auth.aia",
        "auth-aia",
        Kind::Flag,
        "false",
        "Fetch missing intermediate certificates from where a certificate says they are (authority information access).",
    ),
    setting(
        "auth.reload_s",
        "auth-reload-s",
        integer(1, 86_400),
        "10",
        "Seconds between looks at the times of certificate, key and CRL files. SIGHUP has them read at once.",
    ),
    setting(
        "auth.crl_refresh_s",
        "auth-crl-refresh-s",
        integer(10, 604_800),
        "3600",
        "Seconds after which a revocation list is fetched again, sooner where its nextUpdate is near.",
    ),
    setting(
        "auth.app_token_s",
        "auth-app-token-s",
        integer(60, 3600),
        "600",
        "Seconds that the access token of an app of a person lives.",
    ),
    setting(
        "auth.refresh_days",
        "auth-refresh-days",
        integer(1, 365),
        "90",
        "Days after a person's consent at which the refresh tokens of an app end (offline_access), however often they were used.",
    ),
    setting(
        "outbound.hosts",
        "outbound-hosts",
        Kind::Text,
        "",
        "Hosts that may be fetched from, separated by commas; *.example.org stands for all below. Empty: every public name.",
    ),
    setting(
        "outbound.ports",
        "outbound-ports",
        Kind::Text,
        "",
        "Ports that may be fetched from beside 80 (http) and 443 (https), separated by commas; a range is 9000-9100.",
    ),
    setting(
        "outbound.networks",
        "outbound-networks",
        Kind::Text,
        "",
        "Networks, separated by commas, that may be fetched from although they are not public, such as those of a certification authority in the house.",
    ),
    setting(
        "outbound.anchors",
        "outbound-anchors",
        Kind::Text,
        "",
        "PEM file of the authorities that https servers are verified by when something is fetched. Empty: those of the operating system.",
    ),
    setting(
        "outbound.timeout_ms",
        "outbound-timeout-ms",
        integer(100, 60_000),
        "5000",
        "Milliseconds for one fetch, from the look-up of the name to the last byte.",
    ),
    setting(
        "outbound.body_bytes_max",
        "outbound-body-bytes-max",
        integer(1024, 268_435_456),
        "16777216",
        "Bytes of a fetched revocation list at most; other answers have smaller limits of their own.",
    ),
];
