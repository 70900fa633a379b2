//! The files of `deploy/`: what they name exists, and what exists is named, so that they do not rot beside the program.
//!
//! Their own syntax is checked by their own tools (`make check-deploy`).

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::database::Database;
use crate::doctoring::Installation;
use crate::people::patient;
use crate::program::{REPOSITORY, Server, repository_file, run};

fn read(path: &str) -> String {
    std::fs::read_to_string(repository_file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below `deploy/`.
fn deploy_files() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), found);
            } else {
                found.push((entry.path().display().to_string(), std::fs::read_to_string(entry.path()).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(REPOSITORY).join("deploy"), &mut found);
    assert!(found.len() > 10, "{}", found.len());
    found
}

/// Words of a text that begin with `start`, as far as `is_part` goes.
fn words(text: &str, start: &str, is_part: fn(char) -> bool) -> BTreeSet<String> {
    let ends = |rest: &str| rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    text.match_indices(start).map(|(at, _)| text[at..at + ends(&text[at..])].to_owned()).collect()
}

/// Names of metrics in a text; those of the parts of a histogram count as the histogram.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let names = words(text, "idi_match_", |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let whole = |name: &String| {
        let part = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        part.unwrap_or(name).to_owned()
    };
    names.iter().map(whole).collect()
}

/// Names of the metrics that a running server has.
fn exposed() -> BTreeSet<String> {
    let database = Database::sqlite();
    let installation = Installation::new(&database.url());
    let file = installation.folder.text("idi-match.toml");
    let server = Server::start(&database.url(), &["--config", &file]);
    assert_eq!(server.ask("PUT", "Patient/a", patient("a", 1).to_string()).0, 201);
    let mut answer = ureq::get(format!("http://{}/metrics", server.address)).call().unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn dashboard_alerts_and_the_page_name_metrics_that_a_server_has_and_the_page_names_all() {
    let exposed = exposed();
    let page = read("docs/operations.md");
    let texts = [
        ("dashboard", read("deploy/grafana/idi-match.json")),
        ("alerts", read("deploy/prometheus/alerts.yaml")),
        ("tests of alerts", read("deploy/prometheus/alerts.test.yaml")),
        ("page", page.replace("idi_match_db", "")),
    ];
    for (what, text) in &texts {
        let named = metrics_in(text);
        assert!(named.len() > 4, "{what}: {named:?}");
        let unknown: Vec<_> = named.difference(&exposed).collect();
        assert!(unknown.is_empty(), "{what} names what no server has: {unknown:?}");
    }
    let untold: Vec<_> = exposed.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(untold.is_empty(), "docs/operations.md does not say what these mean: {untold:?}");
}

#[test]
fn each_alert_has_its_paragraph_of_what_to_do() {
    let (rules, page) = (read("deploy/prometheus/alerts.yaml"), read("docs/operations.md"));
    let names: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 9, "{names:?}");
    for name in &names {
        assert!(page.contains(&format!("| `{name}` |")), "{name} is missing in docs/operations.md");
    }
    for name in words(&page, "IdiMatch", |c| c.is_ascii_alphabetic()) {
        assert!(names.contains(&name.as_str()), "docs/operations.md tells of {name}, which is no alert");
    }
}

#[test]
fn the_dashboard_is_one_that_can_be_imported() {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/idi-match.json")).unwrap();
    for name in ["uid", "title", "schemaVersion", "templating", "time"] {
        assert!(!dashboard[name].is_null(), "{name}");
    }
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    for panel in panels {
        let place = &panel["gridPos"];
        assert!(place["x"].as_i64().unwrap() + place["w"].as_i64().unwrap() <= 24, "{panel}");
        let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
        assert!(panel["type"] == "row" || !targets.is_empty(), "{panel}");
        for target in targets {
            assert!(target["expr"].as_str().is_some_and(|expr| !metrics_in(expr).is_empty()), "{target}");
            assert_eq!(target["datasource"]["uid"], "${datasource}", "the variable, and no data source of ours");
        }
    }
}

/// The literal block of `config:` in the chart's values.
fn chart_configuration() -> String {
    let values = read("deploy/helm/idi-match/values.yaml");
    let (_, block) = values.split_once("\nconfig: |\n").expect("config");
    let lines = block.lines().take_while(|line| line.is_empty() || line.starts_with("  "));
    lines.flat_map(|line| [line.strip_prefix("  ").unwrap_or_default(), "\n"]).collect()
}

#[test]
fn configurations_are_accepted_and_variables_are_options() {
    let folder = crate::people::Folder::new();
    let chart = folder.write("chart.toml", chart_configuration());
    for file in [repository_file("deploy/idi-match.toml"), chart] {
        let shown = run(["config", "--config", &file]).with_code(0);
        assert!(shown.contains("[[communities]]") && shown.contains("tls_cert = \"/"), "{shown}");
    }
    let options = read("docs/configuration.md");
    let mut seen = 0;
    for (path, text) in deploy_files() {
        for name in words(&text, "IDI_MATCH_", |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') {
            assert!(options.contains(&format!("`{name}`")), "{path}: {name} is no option");
            seen += 1;
        }
    }
    assert!(seen > 2, "{seen}");
}

/// The number behind `key` in a text.
#[track_caller]
fn number(text: &str, key: &str) -> u64 {
    let (_, rest) = text.split_once(key).unwrap_or_else(|| panic!("{key} is missing"));
    let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|error| panic!("{key}: {error}"))
}

#[test]
fn whoever_stops_a_server_waits_longer_than_it_needs() {
    let shutdown_s = number(&run(["config"]).with_code(0), "shutdown_timeout_ms =") / 1000;
    assert!(number(&read("deploy/systemd/idi-match.service"), "\nTimeoutStopSec=") > shutdown_s);
    let values = read("deploy/helm/idi-match/values.yaml");
    let chart_s = number(&chart_configuration(), "shutdown_timeout_ms =") / 1000;
    let grace_s = number(&values, "\nterminationGracePeriodSeconds:");
    assert!(grace_s > number(&values, "\npreStopSeconds:") + chart_s.max(shutdown_s));
}

#[test]
fn the_container_is_built_by_the_compiler_of_the_package_and_runs_commands_that_exist() {
    let file = read("deploy/container/Containerfile");
    let rust = format!("rust:{}-", env!("CARGO_PKG_RUST_VERSION"));
    assert!(file.contains(&rust), "{rust} is missing");
    assert!(
        file.lines().any(|line| line == "USER 65532:65532"),
        "a user by number, so that it is known not to be root"
    );
    for command in ["health", "serve"] {
        assert!(file.contains(&format!("\"{command}\", \"--config\"")), "{command}");
        run([command, "--config", "missing.toml"]).with_code(2);
    }
    let version = format!("appVersion: \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(read("deploy/helm/idi-match/Chart.yaml").contains(&version), "{version}");
}

#[test]
fn readiness_is_told_to_whom_the_environment_names() {
    let (folder, database) = (crate::people::Folder::new(), Database::sqlite());
    let path = folder.file("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let mut command = crate::program::command();
    command.env("NOTIFY_SOCKET", &path);
    let server = Server::start_by(command, &database.url(), &[]);
    let mut message = [0; 64];
    socket.set_read_timeout(Some(crate::program::PATIENCE)).unwrap();
    let length = socket.recv(&mut message).unwrap();
    assert_eq!(&message[..length], b"READY=1");
    drop(server);
}
