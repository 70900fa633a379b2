//! Everything that `profiles/` decides, read once at start: profiles, tables, normaliser, matching model.
//!
//! Not here: finding the files (the built-in ones are embedded here, others are read by the command line).

use std::path::Path;
use std::sync::Arc;

use include_dir::{Dir, include_dir};

use crate::assurance::policy::Policy;
use crate::config::Config;
use crate::matching::combination::Book;
use crate::matching::model::Model;
use crate::matching::normalise::Normaliser;
use crate::profile::{ProfileFile, Profiles};

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/profiles");

/// The rules in force.
pub struct Rules {
    pub profiles: Profiles,
    pub normaliser: Normaliser,
    pub model: Arc<Model>,
    /// The CMS combinations.
    pub combinations: Book,
    /// Who may do what on which assurance.
    pub assurance: Arc<Policy>,
}

/// A file that cannot be used; it stops the start.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct RulesError {
    pub file: String,
    pub reason: String,
}

impl Rules {
    /// The files built into the binary.
    ///
    /// # Errors
    /// When one of them cannot be enforced; a test proves that none is.
    pub fn built_in() -> Result<Self, RulesError> {
        let files: Vec<(String, String)> = BUILT_IN.files().filter_map(embedded).collect();
        Self::from_files(&files)
    }

    /// The `*.json` files of a directory.
    ///
    /// # Errors
    /// When a file cannot be read or enforced.
    pub fn from_directory(directory: &Path) -> Result<Self, RulesError> {
        let refuse = |file: &Path, reason: String| RulesError { file: file.display().to_string(), reason };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(|error| refuse(directory, error.to_string()))? {
            let path = entry.map_err(|error| refuse(directory, error.to_string()))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let text = std::fs::read_to_string(&path).map_err(|error| refuse(&path, error.to_string()))?;
                files.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text));
            }
        }
        files.sort();
        Self::from_files(&files)
    }

    /// As configured: the directory when one is named, else what is built in; the model of its own file, if one is named.
    ///
    /// # Errors
    /// When a file cannot be read or enforced.
    pub fn of(config: &Config) -> Result<Self, RulesError> {
        let directory = &config.server.profiles_dir;
        let rules = if directory.is_empty() { Self::built_in()? } else { Self::from_directory(Path::new(directory))? };
        let model = &config.matching.model;
        if model.is_empty() {
            return Ok(rules);
        }
        let read = std::fs::read_to_string(model);
        let text = read.map_err(|error| RulesError { file: model.clone(), reason: error.to_string() })?;
        rules.with_model(&text, model)
    }

    /// The same with the text of another model; `file` is what an error names.
    ///
    /// # Errors
    /// When the model cannot be used.
    pub fn with_model(self, text: &str, file: &str) -> Result<Self, RulesError> {
        let refuse = |reason: String| RulesError { file: file.to_owned(), reason };
        let model = self.model.of_same_names(text).map_err(|error| refuse(error.to_string()))?;
        Ok(Self { model: Arc::new(model), ..self })
    }

    /// From names and texts.
    ///
    /// # Errors
    /// When a file is missing or cannot be enforced.
    pub fn from_files(files: &[(String, String)]) -> Result<Self, RulesError> {
        let list: Vec<ProfileFile<'_>> = files.iter().map(|(name, text)| ProfileFile { name, text }).collect();
        let profiles = Profiles::load(&list).map_err(|error| RulesError {
            file: error.file.clone(),
            reason: format!("{}: {}", error.element, error.reason),
        })?;
        let text = |name: &str| {
            let found = files.iter().find(|(file, _)| file == name).map(|(_, text)| text.as_str());
            found.ok_or_else(|| RulesError { file: name.to_owned(), reason: "the file is missing".to_owned() })
        };
        let wrap = |file: &str, reason: String| RulesError { file: file.to_owned(), reason };
        let normaliser = Normaliser::parse(text("nicknames.json")?, text("placeholders.json")?)
            .map_err(|reason| wrap("nicknames.json or placeholders.json", reason))?;
        let model = Model::parse(text("match-model.json")?, text("name-frequencies.json")?)
            .map_err(|error| wrap("match-model.json", error.to_string()))?;
        let combinations =
            Book::parse(text("cms-combinations.json")?).map_err(|reason| wrap("cms-combinations.json", reason))?;
        let assurance =
            Policy::parse(text("assurance-policy.json")?).map_err(|reason| wrap("assurance-policy.json", reason))?;
        Ok(Self { profiles, normaliser, model: Arc::new(model), combinations, assurance: Arc::new(assurance) })
    }
}

fn embedded(file: &include_dir::File<'_>) -> Option<(String, String)> {
    let name = file.path().file_name()?.to_string_lossy().into_owned();
    name.ends_with(".json").then(|| file.contents_utf8().map(|text| (name, text.to_owned()))).flatten()
}

/// The built-in text of a file of `profiles/`.
#[must_use]
pub fn built_in_text(name: &str) -> Option<&'static str> {
    BUILT_IN.get_file(name).and_then(include_dir::File::contents_utf8)
}
