//! `docs/configuration.md`, written from the one definition of the options, and the configuration in force as TOML.
//!
//! `idi-match config` prints both; a test compares the page with the file. Not here: reading a configuration.

use figment::value::Value;

use super::Config;
use super::communities::{authentication_levels, entity_types, identity_levels};
use super::setting::{Kind, Setting};
use super::settings::SETTINGS;

/// The configuration in force, as a file that would set it; what may be secret is a comment.
#[must_use]
pub fn toml(config: &Config) -> String {
    let values = Value::serialize(config).unwrap_or_else(|_| Value::from(""));
    let mut text = String::new();
    let mut table = "";
    for setting in SETTINGS.iter() {
        let (of, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if of != table {
            table = of;
            text.push_str(&format!("{}[{table}]\n", if text.is_empty() { "" } else { "\n" }));
        }
        let mark = if setting.kind == Kind::Url { "# " } else { "" };
        text.push_str(&format!("{mark}{name} = {}\n", value_of(&values, setting)));
    }
    push_tables(&mut text, "sources", values.find_ref("sources"));
    push_tables(&mut text, "communities", values.find_ref("communities"));
    push_tables(&mut text, "id_token_issuers", values.find_ref("id_token_issuers"));
    text
}

/// An array of tables; what its tables hold of further ones comes after them.
fn push_tables(text: &mut String, name: &str, tables: Option<&Value>) {
    let Some(Value::Array(_, tables)) = tables else { return };
    for table in tables.iter().filter_map(Value::as_dict) {
        text.push_str(&format!("\n[[{name}]]\n"));
        let (inner, own): (Vec<_>, Vec<_>) = table.iter().partition(|(_, value)| holds_tables(value));
        for (key, value) in own.into_iter().filter(|(_, value)| !matches!(value, Value::Empty(..))) {
            text.push_str(&format!("{key} = {}\n", written(value)));
        }
        for (key, value) in inner {
            push_tables(text, &format!("{name}.{key}"), Some(value));
        }
    }
}

fn holds_tables(value: &Value) -> bool {
    matches!(value, Value::Array(_, items) if items.first().is_some_and(|item| matches!(item, Value::Dict(..))))
}

fn value_of(values: &Value, setting: &Setting) -> String {
    values.find_ref(setting.key).map_or_else(|| quoted(""), written)
}

fn written(value: &Value) -> String {
    match value {
        Value::String(_, text) => quoted(text),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, number) => match (number.to_u128(), number.to_i128(), number.to_f64()) {
            (Some(number), ..) => number.to_string(),
            (None, Some(number), _) => number.to_string(),
            (None, None, number) => number.unwrap_or_default().to_string(),
        },
        Value::Array(_, items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        _ => quoted(""),
    }
}

/// A basic string of TOML, which is written as JSON writes it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The page, as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(HEAD);
    let mut table = "";
    for setting in SETTINGS.iter() {
        let (of, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if of != table {
            table = of;
            page.push_str(&format!("\n## [{table}]\n\n| key | flag | environment | takes | default | meaning |\n|---|---|---|---|---|---|\n"));
        }
        let default = if setting.default.is_empty() { "(empty)".to_owned() } else { format!("`{}`", setting.default) };
        page.push_str(&format!(
            "| `{name}` | `--{}` | `{}` | {} | {default} | {} |\n",
            setting.flag,
            setting.env(),
            takes(setting.kind),
            setting.help
        ));
    }
    page.push_str(TAIL);
    page.push_str(&communities());
    page
}

/// The tables of communities and their members.
fn communities() -> String {
    let mut page = String::from(COMMUNITIES_HEAD);
    let choices = |list: &[&str]| list.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ");
    let (identity, authentication) = (choices(&identity_levels()), choices(&authentication_levels()));
    let entities = choices(&entity_types());
    let mut row = |key: &str, takes: &str, default: &str, meaning: &str| {
        page.push_str(&format!("| `{key}` | {takes} | {default} | {meaning} |\n"));
    };
    row("name", "small letters, digits, hyphens", "", "Name in logs, metrics and the audit.");
    row("uri", "URI", "(none)", "What callers name the community by in `?community=`. Compared byte for byte.");
    row(
        "default",
        "true or false",
        "`false`",
        "Whose certificate signs metadata where no community is named. Of several communities, exactly one.",
    );
    row("validator", "`core`, `tefca`", "`core`", "Further rules of registrations and tokens.");
    row(
        "anchors",
        "list of PEM files",
        "",
        "Certificates that every chain must end in. No two communities have one in common.",
    );
    row("intermediates", "list of PEM files", "`[]`", "Certificates that a caller may leave out of `x5c`.");
    row("crls", "list of files", "`[]`", "Revocation lists, DER or PEM.");
    row(
        "crl_urls",
        "list of URLs",
        "`[]`",
        "Where revocation lists are fetched from in the background, beside the distribution points in the certificates.",
    );
    row(
        "server_cert",
        "PEM file",
        "",
        "The server's own certificate in this community, with its intermediates: an RSA key, and the base URL among its subject alternative names.",
    );
    row("server_key", "PEM file", "", "The key of `server_cert`.");
    row("purposes", "list", "", "Purposes of use that members may assert. `[]`: none.");
    row("scopes", "list", "", "Scopes that members may be granted; one `system/` scope at least.");
    row("identity_assurance", &identity, "`IDIAL1`", "The highest identity level that members are trusted to assert.");
    row("authentication_assurance", &authentication, "`AAL1`", "The same of how strongly their users sign in.");
    row("entity_type", &entities, "`other`", "What members are.");
    row(
        "unknown_revocation",
        "`refuse`, `accept`",
        "`refuse`",
        "What becomes of a certificate whose issuer no list is known of. `accept` is for communities that publish none; a list that is known must still be current.",
    );
    row(
        "certifiers",
        "list of URIs",
        "`[]`",
        "Who may certify clients, by the URI in the certificate. `[]`: every member but the client itself.",
    );
    row(
        "consent_required",
        "list of URIs",
        "`[]`",
        "Policies of consent of which the `consent_policy` of a token request must state one; without it the request is refused with them. `[]`: none is asked for.",
    );
    row("consent_form", "https URL", "(none)", "Where a person can give that consent; told with the refusal.");
    page.push_str(MEMBERS);
    page.push_str(ID_TOKEN_ISSUERS);
    page
}

fn takes(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Url => "URL (shown nowhere)".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Integer { min, max } => format!("{min} to {max}"),
        Kind::Probability => "0 to 1".to_owned(),
        Kind::Choice(choices) => choices.join(", "),
    }
}

const HEAD: &str = "# Configuration

<!-- Written by `idi-match config --markdown` from the one definition in src/config/settings.rs; a test compares them. -->

Every option can be set in a TOML file (`--config FILE`), in the environment and by a flag. Flags win over the
environment, the environment over the file, the file over the defaults. An unknown key or a value beyond its limits
stops the start and is named; its value is not shown. Sizes and times carry their unit in the name.
";

const TAIL: &str = "
## [[sources]]

Only in the file; one table for each source of records.

| key | takes | meaning |
|---|---|---|
| `uri` | text | Equal to the record's `meta.source`, or to `load --source URI`. |
| `level` | `IDIAL1` to `IDIAL2`, `IAL2` | Identity assurance level assumed for records of this source that carry no verification themselves. |
| `date` | `YYYY-MM-DD` | Date of that verification. |

A record without its own verification and without a configured source counts as `IDIAL1`.
";

const COMMUNITIES_HEAD: &str = "
## [[communities]]

Only in the file; one table for each trust community. A registration belongs to the community whose anchor its certificate
chain ends in. Names of files are taken from the working directory. Files are read again when they change and on SIGHUP;
contents that cannot be used leave what was read before in force, and the log says so.

| key | takes | default | meaning |
|---|---|---|---|
";

const MEMBERS: &str = "
A revocation list whose `nextUpdate` has passed counts for nothing, so that whoever needs it is refused until a newer one is
there. Lists are fetched in the background and tried again; nobody waits for a host that does not answer.

## [[communities.members]]

Members of the community above for whom other limits hold. `uri` is the URI in the member's certificate; `entity_type`,
`identity_assurance` and `authentication_assurance` replace the community's where they are given. `organization_ids` lists the
`organization_id` values (URIs) that its `hl7-b2b` may state; where it is left out, the `home_community_id` of the accepted
certifications binds the client, and without either the value is taken as stated, which the audit says (`organization_basis`).
";

const ID_TOKEN_ISSUERS: &str = "
## [[id_token_issuers]]

Only in the file; one table for each provider whose identity tokens are believed (`tefca_ias`, `cms_smart`). `issuer` is the
token's `iss`, byte for byte. Its keys are a JWK set: the file `jwks`, or fetched from `jwks_url`. `audiences` lists what `aud`
may name beside the organisation that asks, its client's URI and this server's base URL. `identity_assurance` and
`authentication_assurance` are what its tokens count for where they carry no `acr` and `amr`, and the most that they count
for. A token of any other issuer is refused.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_the_one_written_from_the_definition() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        let page = std::fs::read_to_string(path).expect("docs/configuration.md");
        assert_eq!(page, markdown(), "write it again: idi-match config --markdown > docs/configuration.md");
    }

    #[test]
    fn every_option_is_shown_with_its_default() {
        let shown = toml(&Config::defaults().expect("valid"));
        for setting in SETTINGS.iter().filter(|setting| !setting.default.is_empty() && setting.kind != Kind::Url) {
            let name = setting.key.split_once('.').expect("a table").1;
            let values = [format!("\n{name} = {}\n", setting.default), format!("\n{name} = \"{}\"\n", setting.default)];
            assert!(values.iter().any(|line| shown.contains(line)), "{name} is missing in:\n{shown}");
        }
    }

    #[test]
    fn what_is_shown_sets_the_same_again() {
        let directory = tempfile::tempdir().expect("directory");
        let load = |text: &str| {
            let file = directory.path().join("idi-match.toml");
            std::fs::write(&file, text).expect("written");
            let sources = super::super::Sources { file: Some(file), ..Default::default() };
            Config::load(&sources).expect("valid")
        };
        let config = load(
            "[server]\nlisten = '192.0.2.1:443'\nbase_url = 'https://fhir.example.org/fhir'\ntrusted_proxies = '10.0.0.0/8,::1'\n\
             [outbound]\nhosts = '*.Example.org, ca'\nports = '8443,9000-9100'\n\
             [[sources]]\nuri = 'urn:a'\nlevel = 'IDIAL1.5'\ndate = '2026-01-02'\n\
             [[communities]]\nname = 'a'\nanchors = ['a.pem', \"b\\\"c.pem\"]\nserver_cert = 'd'\nserver_key = 'e'\n\
             purposes = []\nscopes = ['system/*.rs']\ndefault = true\nunknown_revocation = 'accept'\n\
             [[communities.members]]\nuri = 'urn:x:1'\n[[communities.members]]\nuri = 'urn:x:2'\nentity_type = 'other'\n\
             [[communities]]\nname = 'b'\nanchors = ['a']\nserver_cert = 'd'\nserver_key = 'e'\npurposes = ['TREAT']\n\
             scopes = ['system/Patient.r']\nvalidator = 'tefca'\n",
        );
        assert_eq!(load(&toml(&config)), config);
    }
}
