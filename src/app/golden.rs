//! The golden record of an identity, as it may leave: made of the stored Patients for one answer, and kept nowhere.
//!
//! What: values and their sources come from `identity::golden`; here the Patients are read, what may not leave is dropped
//! as from any Patient, and each value that is left names its source. A record is as recent as what it says: the versions
//! that only put or take the links of a merge change nothing about that, so a merge that is taken back restores the
//! golden record too. Not here: which value survives (see `identity::golden`).

use crate::fhir::canonical::{GOLDEN_RECORD, GOLDEN_SOURCE, RECORD_KIND};
use crate::fhir::disclosure::Disclosure;
use crate::fhir::document::{Layout, Member, Node};
use crate::fhir::splice::{Owned, splice};
use crate::fhir::us_core::{LinkKind, PatientLink, Rendering, render_patient};
use crate::identity::golden::{Element, GoldenRecord, Source};
use crate::store::body::{fitting, list_heads, load};
use crate::store::record::RecordRow;
use crate::store::resource::{self, Resource};
use crate::store::{Connection, StoreError};

use super::error::AppError;
use super::links::put_decided;

/// What the ids of golden records begin with; the id of the identity follows.
pub const PREFIX: &str = "golden-";
/// Versions looked back over for the last one that says something else.
const LOOK_BACK_MAX: i64 = 20;

/// The golden record of one identity, before it is rendered.
#[derive(Debug, Clone)]
pub struct Golden {
    pub identity_id: String,
    pub record: GoldenRecord,
    /// The ids of the records that it is made of.
    pub records: Vec<String>,
    /// Of the stored Patients of the identity.
    pub bytes: i64,
    /// When the latest of them was written, or came to the identity.
    pub as_of_us: i64,
}

/// Makes the golden record of the identity of `rows` from those Patients that `may_show` lets out; `None` where its Patients
/// have more than `bytes_max` bytes.
///
/// # Errors
/// Those of the database.
pub fn make(
    conn: &mut Connection,
    rows: &[&RecordRow],
    bytes_max: i64,
    may_show: impl Fn(&RecordRow, &str) -> bool,
) -> Result<Option<Golden>, StoreError> {
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let heads = list_heads(conn, "Patient", &ids, bytes_max)?;
    if fitting(heads.iter().map(|head| head.bytes), bytes_max) < heads.len() {
        return Ok(None);
    }
    let bytes = heads.iter().map(|head| head.bytes).sum();
    let row_of = |id: &str| rows.iter().find(|row| row.id == id);
    let is_shown =
        |stored: &Resource| !stored.deleted && row_of(&stored.id).is_some_and(|row| may_show(row, &stored.body));
    let stored: Vec<Resource> = load(conn, heads)?.into_iter().filter(is_shown).collect();
    let mut sources = Vec::with_capacity(stored.len());
    for patient in &stored {
        let Some(row) = row_of(&patient.id) else { continue };
        sources.push(Source {
            record_id: &patient.id,
            body: &patient.body,
            updated_us: said_since_us(conn, patient)?,
            verification_level: row.verification_level.as_deref(),
            replaced_by: row.replaced_by.as_deref(),
        });
    }
    let written = stored.iter().map(|patient| patient.updated_us);
    let records: Vec<String> = stored.iter().map(|patient| patient.id.clone()).collect();
    let assigned = rows.iter().filter(|row| records.contains(&row.id)).map(|row| row.assigned_us);
    let as_of_us = written.chain(assigned).max().unwrap_or(0);
    let identity_id = rows.first().map(|row| row.identity_id.clone()).unwrap_or_default();
    let record = GoldenRecord::of(&sources);
    drop(sources);
    Ok(Some(Golden { identity_id, record, records, bytes, as_of_us }))
}

/// Since when a Patient says what it says, links of merges aside.
fn said_since_us(conn: &mut Connection, stored: &Resource) -> Result<i64, StoreError> {
    let said = bare(&stored.body);
    let mut since_us = stored.updated_us;
    for version in ((stored.version - LOOK_BACK_MAX).max(1)..stored.version).rev() {
        let older = resource::find_version(conn, "Patient", &stored.id, version)?;
        match older.filter(|older| !older.deleted && bare(&older.body) == said) {
            Some(older) => since_us = older.updated_us,
            None => break,
        }
    }
    Ok(since_us)
}

/// The document without the server's own values and links; `None` where it is no JSON.
fn bare(body: &str) -> Option<String> {
    let unlinked = put_decided(body, &[]).ok()?;
    splice(unlinked.as_deref().unwrap_or(body), Owned { id: "", version: 0, last_updated: "" }).ok()
}

/// Whether `id` is that of a golden record: no record may be stored under it.
#[must_use]
pub fn is_reserved(id: &str) -> bool {
    id.strip_prefix(PREFIX).is_some_and(|identity| uuid::Uuid::try_parse(identity).is_ok())
}

impl Golden {
    /// The id under which it is shown.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{PREFIX}{}", self.identity_id)
    }

    /// The golden record as it may leave, linked to `records`, each value with its source.
    ///
    /// # Errors
    /// `Internal` when a stored value cannot be read.
    pub fn render(&self, base_url: &str, disclosure: &Disclosure, records: &[&str]) -> Result<String, AppError> {
        let links: Vec<PatientLink<'_>> =
            records.iter().map(|record_id| PatientLink { kind: LinkKind::SeeAlso, record_id }).collect();
        let whole = self.record.to_patient(&self.id());
        let rendered = render_patient(&whole, &Rendering { base_url, disclosure, links: &links });
        let rendered = rendered.map_err(|_| AppError::internal())?;
        let mut patient = Node::parse(&rendered).map_err(|_| AppError::internal())?;
        let sources: Vec<Node<'_>> = self.sources(&patient).map(|(at, id)| source(base_url, &at, id)).collect();
        append(&mut patient, "extension", sources);
        let kind = vec![text("system", RECORD_KIND), text("code", GOLDEN_RECORD)];
        if let Some(meta) = patient.get_mut("meta") {
            append(meta, "tag", vec![Node::Object(kind)]);
        }
        Ok(patient.write(Layout::Compact))
    }

    /// Where each value stands that has left, and the record that it comes from.
    fn sources<'g>(&'g self, patient: &Node<'_>) -> impl Iterator<Item = (String, &'g str)> {
        let of = |element: &'g Element| {
            let name = element.name.as_str();
            let values = &element.values;
            let found: Vec<(String, &str)> = match patient.get(name) {
                None => Vec::new(),
                Some(Node::Array(items)) => {
                    // A value that was completed stands where it stood.
                    let is_whole = items.len() == values.len();
                    let from = |at: usize, item: &Node<'_>| {
                        let is_here = |(value, _): &&(String, String)| is_same(value, item);
                        let known = values.iter().find(is_here);
                        known.or_else(|| values.get(at).filter(|_| is_whole)).map(|(_, record)| record.as_str())
                    };
                    let place = |(at, item)| Some((format!("Patient.{name}[{at}]"), from(at, item)?));
                    items.iter().enumerate().filter_map(place).collect()
                }
                Some(_) => values.iter().map(|(_, record)| (format!("Patient.{name}"), record.as_str())).collect(),
            };
            found
        };
        self.record.elements.iter().flat_map(of).collect::<Vec<_>>().into_iter()
    }
}

fn is_same(value: &str, item: &Node<'_>) -> bool {
    Node::parse(value).is_ok_and(|value| value == *item)
}

fn text(name: &'static str, value: &str) -> Member<'static> {
    Member { name: name.into(), value: Node::string(value) }
}

fn source(base_url: &str, element: &str, record_id: &str) -> Node<'static> {
    let reference = Node::Object(vec![text("reference", &format!("{base_url}/Patient/{record_id}"))]);
    let reference = Member { name: "valueReference".into(), value: reference };
    let parts = vec![
        Node::Object(vec![text("url", "element"), text("valueString", element)]),
        Node::Object(vec![text("url", "record"), reference]),
    ];
    Node::Object(vec![text("url", GOLDEN_SOURCE), Member { name: "extension".into(), value: Node::Array(parts) }])
}

/// Adds items to a list of an object.
fn append<'n>(object: &mut Node<'n>, name: &'static str, items: Vec<Node<'n>>) {
    match object.get_mut(name) {
        Some(Node::Array(list)) => list.extend(items),
        _ if items.is_empty() => {}
        _ => drop(object.insert(name, Node::Array(items))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(sources: &[Source<'_>]) -> Golden {
        Golden {
            identity_id: "i1".to_owned(),
            record: GoldenRecord::of(sources),
            records: Vec::new(),
            bytes: 0,
            as_of_us: 0,
        }
    }

    fn of<'s>(record_id: &'s str, body: &'s str) -> Source<'s> {
        Source { record_id, body, updated_us: 0, verification_level: None, replaced_by: None }
    }

    #[test]
    fn the_ids_of_golden_records_are_not_for_records() {
        assert!(is_reserved("golden-0198c5f0-0000-7000-8000-000000000001"));
        assert!(!is_reserved("golden-retriever") && !is_reserved("0198c5f0-0000-7000-8000-000000000001"));
    }

    #[test]
    fn each_value_that_leaves_names_its_source_and_the_whole_says_what_it_is() {
        let ssn = r#"{"system":"http://hl7.org/fhir/sid/us-ssn","value":"219-09-9999"}"#;
        let kept = r#"{"system":"urn:mrn","value":"7"}"#;
        let a = format!(r#"{{"identifier":[{ssn},{kept}],"name":[{{"text":"Ada Roe"}}],"birthDate":"1980-02-03"}}"#);
        let b = r#"{"gender":"female","telecom":[{"system":"phone","value":"1"}]}"#;
        let golden = golden(&[of("a", &a), of("b", b)]);
        let body = golden.render("http://h/fhir", &Disclosure::full(), &["a", "b"]).expect("rendered");
        assert!(!body.contains("219-09-9999"), "what may not leave does not");
        let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(json["id"], "golden-i1");
        let told: Vec<(&str, &str)> = json["extension"]
            .as_array()
            .expect("sources")
            .iter()
            .map(|one| {
                let part = |at: usize| &one["extension"][at];
                (
                    part(0)["valueString"].as_str().unwrap_or(""),
                    part(1)["valueReference"]["reference"].as_str().unwrap_or(""),
                )
            })
            .collect();
        let here = |element, id: &'static str| {
            (element, if id == "a" { "http://h/fhir/Patient/a" } else { "http://h/fhir/Patient/b" })
        };
        assert_eq!(
            told,
            [
                here("Patient.birthDate", "a"),
                here("Patient.gender", "b"),
                here("Patient.identifier[0]", "a"),
                here("Patient.name[0]", "a"),
                here("Patient.telecom[0]", "b"),
            ]
        );
        let tags: Vec<&str> =
            json["meta"]["tag"].as_array().expect("tags").iter().filter_map(|tag| tag["code"].as_str()).collect();
        assert_eq!(tags, ["SUBSETTED", "golden-record"]);
        assert_eq!(json["link"].as_array().map(Vec::len), Some(2));
    }
}
