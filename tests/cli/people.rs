//! Made-up people, told apart by everything that is known of them, and the files they come in.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

const GIVEN: [&str; 20] = [
    "Amelia",
    "Bruno",
    "Cordelia",
    "Desmond",
    "Esther",
    "Fergus",
    "Guinevere",
    "Horatio",
    "Imogen",
    "Jasper",
    "Katrina",
    "Leopold",
    "Marguerite",
    "Nathaniel",
    "Octavia",
    "Percival",
    "Quentin",
    "Rosalind",
    "Sylvester",
    "Theodora",
];
const FAMILY: [&str; 20] = [
    "Abernathy",
    "Blackwood",
    "Castellano",
    "Dombrowski",
    "Eisenberg",
    "Fitzgerald",
    "Gutierrez",
    "Hollingsworth",
    "Ivanovich",
    "Jankowski",
    "Kowalczyk",
    "Lindqvist",
    "Montgomery",
    "Nakamura",
    "Oppenheimer",
    "Papadopoulos",
    "Quackenbush",
    "Rasmussen",
    "Steinmetz",
    "Thorvaldsen",
];
const CITIES: [(&str, &str, &str); 5] = [
    ("Albany", "NY", "122"),
    ("Boise", "ID", "837"),
    ("Columbus", "OH", "432"),
    ("Denver", "CO", "802"),
    ("Eugene", "OR", "974"),
];
const PROFILE: &str = "http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L0";

/// Person `number` (below 400) as record `id`.
pub fn patient(id: &str, number: usize) -> Value {
    assert!(number < GIVEN.len() * FAMILY.len(), "names would repeat");
    let (city, state, zip) = CITIES[number % CITIES.len()];
    json!({
        "resourceType": "Patient",
        "id": id,
        "identifier": [{
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
            "system": "urn:oid:2.16.840.1.113883.19.5",
            "value": format!("MR{:07}", 1_234_567 + number * 7919),
        }],
        "name": [{
            "use": "official",
            "family": FAMILY[number / GIVEN.len()],
            "given": [GIVEN[number % GIVEN.len()]],
        }],
        "telecom": [{"system": "phone", "value": format!("(312) {}-{}", 200 + number * 37 % 700, 1357 + number * 17)}],
        "gender": if number.is_multiple_of(2) { "female" } else { "male" },
        "birthDate": format!("{}-{:02}-{:02}", 1931 + number * 29 % 83, 2 + number * 5 % 11, 2 + number * 13 % 26),
        "address": [{
            "use": "home",
            "line": [format!("{} {} Street", 112 + number * 23, FAMILY[(number * 7 + 3) % FAMILY.len()])],
            "city": city,
            "state": state,
            "postalCode": format!("{zip}{:02}", 11 + number % 80),
        }],
    })
}

/// Person `number` as a query that claims IDI-Patient-L0.
pub fn request(number: usize) -> Value {
    let mut patient = patient(&format!("q{number}"), number);
    patient["meta"] = json!({"profile": [PROFILE]});
    patient
}

/// People as NDJSON, with ids that begin with `prefix`.
pub fn ndjson(prefix: &str, numbers: Range<usize>) -> String {
    numbers.fold(String::new(), |mut text, number| {
        writeln!(text, "{}", patient(&format!("{prefix}{number}"), number)).unwrap();
        text
    })
}

/// A directory for the files of one test.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file and gives its path as text.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        std::fs::write(self.file(name), contents).unwrap();
        self.text(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The lines of a file, each as JSON.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        self.read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
