//! The value sets of `profiles/`, expanded when they are read.
//!
//! What: code systems with their concepts, and value sets composed of whole systems, listed codes and other value sets.
//! Not here: filters, exclusions and external terminology servers; a value set that needs them is refused.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::{LoadError, SourceFile};

/// The codes of every value set that was read.
#[derive(Debug, Default)]
pub struct Terminology {
    value_sets: HashMap<String, ValueSet>,
}

/// An expanded value set.
#[derive(Debug, Default)]
pub struct ValueSet {
    /// Codes by system.
    systems: HashMap<String, HashSet<String>>,
}

impl ValueSet {
    /// Whether the code belongs to it. A code element has no system: any will do.
    #[must_use]
    pub fn contains(&self, system: Option<&str>, code: &str) -> bool {
        match system {
            Some(system) => self.systems.get(system).is_some_and(|codes| codes.contains(code)),
            None => self.systems.values().any(|codes| codes.contains(code)),
        }
    }

    fn add(&mut self, system: &str, codes: impl IntoIterator<Item = String>) {
        self.systems.entry(system.to_owned()).or_default().extend(codes);
    }
}

impl Terminology {
    /// Reads the CodeSystem and ValueSet files among `files`.
    ///
    /// # Errors
    /// A value set with a part that this server cannot expand.
    pub(super) fn load(files: &[SourceFile<'_>]) -> Result<Self, LoadError> {
        let mut systems = HashMap::new();
        for file in files.iter().filter(|file| file.is("CodeSystem")) {
            let url = file.required("url")?;
            let mut codes = HashSet::new();
            collect_concepts(file, file.json.get("concept"), &mut codes)?;
            systems.insert(url, codes);
        }
        let sources: Vec<_> = files.iter().filter(|file| file.is("ValueSet")).collect();
        let mut terminology = Self::default();
        for file in &sources {
            let url = file.required("url")?;
            let mut value_set = ValueSet::default();
            Expansion { systems: &systems, sources: &sources }.expand(file, &mut value_set, 0)?;
            if terminology.value_sets.insert(url.to_owned(), value_set).is_some() {
                return Err(file.refuse("url", "another file has the same url"));
            }
        }
        Ok(terminology)
    }

    /// The value set of a canonical URL, with or without a version.
    #[must_use]
    pub fn find_value_set(&self, canonical: &str) -> Option<&ValueSet> {
        self.value_sets.get(without_version(canonical))
    }
}

/// A canonical reference without its `|version`.
#[must_use]
pub fn without_version(canonical: &str) -> &str {
    canonical.split_once('|').map_or(canonical, |(url, _)| url)
}

fn collect_concepts(
    file: &SourceFile<'_>,
    concepts: Option<&Json>,
    codes: &mut HashSet<String>,
) -> Result<(), LoadError> {
    for concept in concepts.and_then(Json::as_array).into_iter().flatten() {
        let code = concept.get("code").and_then(Json::as_str);
        let code = code.ok_or_else(|| file.refuse("CodeSystem.concept", "a concept has no code"))?;
        codes.insert(code.to_owned());
        collect_concepts(file, concept.get("concept"), codes)?;
    }
    Ok(())
}

/// Value sets within value sets.
const NESTING_MAX: usize = 8;

struct Expansion<'e, 'f> {
    systems: &'e HashMap<&'f str, HashSet<String>>,
    sources: &'e [&'f SourceFile<'f>],
}

impl Expansion<'_, '_> {
    fn expand(&self, file: &SourceFile<'_>, into: &mut ValueSet, nesting: usize) -> Result<(), LoadError> {
        if nesting > NESTING_MAX {
            return Err(file.refuse("ValueSet.compose.include.valueSet", "value sets include each other too deeply"));
        }
        let compose = file.json.get("compose").and_then(Json::as_object);
        let compose = compose.ok_or_else(|| file.refuse("ValueSet.compose", "missing: the codes are not listed"))?;
        if let Some(key) = compose.keys().find(|key| !matches!(key.as_str(), "include" | "inactive" | "lockedDate")) {
            return Err(file.refuse(&format!("ValueSet.compose.{key}"), "not supported"));
        }
        let includes = compose.get("include").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        includes.iter().try_for_each(|include| self.include(file, include, into, nesting))
    }

    fn include(
        &self,
        file: &SourceFile<'_>,
        include: &Json,
        into: &mut ValueSet,
        nesting: usize,
    ) -> Result<(), LoadError> {
        let keys = include.as_object().into_iter().flat_map(serde_json::Map::keys);
        for key in keys {
            if !matches!(key.as_str(), "system" | "version" | "concept" | "valueSet") {
                return Err(file.refuse(&format!("ValueSet.compose.include.{key}"), "not supported"));
            }
        }
        let others = include.get("valueSet").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let Some(system) = include.get("system").and_then(Json::as_str) else {
            return others.iter().try_for_each(|url| self.include_value_set(file, url, into, nesting));
        };
        if !others.is_empty() {
            let reason = "a system and a value set together (their intersection) are not supported";
            return Err(file.refuse("ValueSet.compose.include", reason));
        }
        match include.get("concept").and_then(Json::as_array) {
            Some(concepts) => {
                let codes = concepts.iter().filter_map(|concept| concept.get("code")?.as_str().map(str::to_owned));
                into.add(system, codes);
            }
            None => {
                let codes = self.systems.get(system).ok_or_else(|| {
                    file.refuse(
                        "ValueSet.compose.include.system",
                        format!("the code system {system} is not among the files"),
                    )
                })?;
                into.add(system, codes.iter().cloned());
            }
        }
        Ok(())
    }

    fn include_value_set(
        &self,
        file: &SourceFile<'_>,
        url: &Json,
        into: &mut ValueSet,
        nesting: usize,
    ) -> Result<(), LoadError> {
        let url = without_version(url.as_str().unwrap_or_default());
        let source = self.sources.iter().find(|source| source.text_member("url") == Some(url));
        let source = source.ok_or_else(|| {
            file.refuse("ValueSet.compose.include.valueSet", format!("the value set {url} is not among the files"))
        })?;
        self.expand(source, into, nesting + 1)
    }
}
