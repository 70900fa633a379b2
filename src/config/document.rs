//! `docs/configuration.md`, written from the one definition of the options, and the configuration in force as TOML.
//!
//! `idi-match config` prints both; a test compares the page with the file. Not here: reading a configuration.

use figment::value::Value;

use super::settings::{Kind, SETTINGS, Setting};
use super::{Config, Source};

/// The configuration in force, as a file that would set it; what may be secret is a comment.
#[must_use]
pub fn toml(config: &Config) -> String {
    let values = Value::serialize(config).unwrap_or_else(|_| Value::from(""));
    let mut text = String::new();
    let mut table = "";
    for setting in SETTINGS {
        let (of, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if of != table {
            table = of;
            text.push_str(&format!("{}[{table}]\n", if text.is_empty() { "" } else { "\n" }));
        }
        let mark = if setting.kind == Kind::Url { "# " } else { "" };
        text.push_str(&format!("{mark}{name} = {}\n", value_of(&values, setting)));
    }
    for Source { uri, level, date } in &config.sources {
        let [uri, level, date] = [uri, level, date].map(|text| quoted(text));
        text.push_str(&format!("\n[[sources]]\nuri = {uri}\nlevel = {level}\ndate = {date}\n"));
    }
    text
}

fn value_of(values: &Value, setting: &Setting) -> String {
    match values.find_ref(setting.key) {
        Some(Value::String(_, text)) => quoted(text),
        Some(Value::Bool(_, flag)) => flag.to_string(),
        Some(Value::Num(_, number)) => match (number.to_u128(), number.to_i128(), number.to_f64()) {
            (Some(number), ..) => number.to_string(),
            (None, Some(number), _) => number.to_string(),
            (None, None, number) => number.unwrap_or_default().to_string(),
        },
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
    for setting in SETTINGS {
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
}
