//! What came back, and the questions that tests ask of it.

use serde_json::Value;
use ureq::http::HeaderMap;

/// An answer, read to its end.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// Itself, if it has this status.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} is no JSON: {}", self.status, self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The issues of an OperationOutcome, which the answer must be.
    pub fn issues(&self) -> Vec<Value> {
        let outcome = self.json();
        assert_eq!(outcome["resourceType"], "OperationOutcome", "{outcome}");
        outcome["issue"].as_array().unwrap().clone()
    }

    /// `(code, expressions)` of the issues that are errors.
    pub fn errors(&self) -> Vec<(String, Vec<String>)> {
        let errors = self.issues().into_iter().filter(|issue| matches!(text(issue, "severity"), "error" | "fatal"));
        errors.map(|issue| (text(&issue, "code").to_owned(), texts(&issue["expression"]))).collect()
    }

    /// The Bundle that answers a match, be it bare or within Parameters.
    pub fn match_bundle(&self) -> MatchBundle {
        let body = self.json();
        let bundle = match body["resourceType"].as_str() {
            Some("Parameters") => body["parameter"][0]["resource"].clone(),
            _ => body,
        };
        assert_eq!(bundle["resourceType"], "Bundle", "{bundle}");
        MatchBundle(bundle)
    }
}

/// A searchset, of a match or of a search.
pub struct MatchBundle(pub Value);

impl MatchBundle {
    pub fn entries(&self, mode: &str) -> Vec<&Value> {
        let all = self.0["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(|entry| entry["search"]["mode"] == mode).collect()
    }

    /// The ids of what was found, in order.
    pub fn ids(&self) -> Vec<&str> {
        self.entries("match").into_iter().map(|entry| text(&entry["resource"], "id")).collect()
    }

    pub fn total(&self) -> u64 {
        self.0["total"].as_u64().unwrap()
    }

    pub fn issues(&self) -> Vec<&Value> {
        let outcomes = self.entries("outcome").into_iter();
        outcomes.flat_map(|entry| entry["resource"]["issue"].as_array().unwrap()).collect()
    }

    /// The remark with this code of the issue or of its details.
    pub fn remark(&self, code: &str) -> Option<&Value> {
        self.issues().into_iter().find(|issue| issue["code"] == code || issue["details"]["coding"][0]["code"] == code)
    }

    pub fn link(&self, relation: &str) -> Option<&str> {
        let links = self.0["link"].as_array().unwrap();
        links.iter().find(|link| link["relation"] == relation).and_then(|link| link["url"].as_str())
    }

    /// The entry with the resource of this id.
    pub fn entry(&self, id: &str) -> &Value {
        let found = self.entries("match").into_iter().find(|entry| entry["resource"]["id"] == id);
        found.unwrap_or_else(|| panic!("{id} is not found: {}", self.0))
    }
}

/// The code of a search extension, by the last part of its URL.
pub fn coded<'e>(entry: &'e Value, name: &str) -> Option<&'e str> {
    extension(entry, name)?["valueCode"].as_str()
}

pub fn extension<'e>(entry: &'e Value, name: &str) -> Option<&'e Value> {
    let all = entry["search"]["extension"].as_array()?;
    all.iter().find(|extension| text(extension, "url").ends_with(&format!("/{name}")))
}

/// Result of one attribute, such as `exact`.
pub fn attribute<'e>(entry: &'e Value, name: &str) -> Option<&'e str> {
    let results = extension(entry, "attribute-results")?["extension"].as_array()?;
    results.iter().find(|result| result["url"] == name)?["valueCode"].as_str()
}

pub fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_default()
}

pub fn texts(list: &Value) -> Vec<String> {
    list.as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}
