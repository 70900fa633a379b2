//! A review as a Task, a decision as a Provenance (FHIR R4).
//!
//! Neither is stored as a resource: a Task stands for a question that waits, a Provenance for a decision; their ids
//! are stable, and `fullUrl` is a `urn:uuid`, for there is nothing to be read under an address. Not here: lists of them
//! (see `search_bundle`).

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::responder::Responder;
use super::search_bundle::Listed;
use crate::app::steward::page::Explained;
use crate::app::steward::queue::{Decision, ReviewKind};
use crate::fhir::canonical::{ATTRIBUTE_RESULTS, DECISION_KIND, IDENTITY_PATH, REVIEW_DETAIL, REVIEW_KIND, REVOCATION};

/// Records of the other identity that a Task names.
const MEMBERS_MAX: usize = 20;

/// The Task that asks: does the record of `focus` belong with that of `for`? `authored` is a FHIR instant.
#[must_use]
pub fn task(responder: &Responder, one: &Explained, authored: &str) -> Listed {
    let review = &one.item;
    let id = task_id(&review.record_id, &review.identity_id);
    let (code, question) = match review.kind {
        ReviewKind::DoubtfulPair => ("doubtful-pair", "Does the record belong to the other identity?"),
        ReviewKind::MixedIdentity => ("mixed-identity", "Does the record belong to its identity?"),
    };
    let reference = |id: &String| json!({"reference": responder.url_of("Patient", id)});
    let mut task = json!({
        "resourceType": "Task",
        "id": id,
        "status": if review.deferred.is_some() { "on-hold" } else { "requested" },
        "intent": "proposal",
        "code": {"coding": [{"system": REVIEW_KIND, "code": code}]},
        "description": question,
        "focus": reference(&review.record_id),
        "authoredOn": authored,
        "input": inputs(responder, one),
    });
    if let Some(member) = one.members.first() {
        task["for"] = reference(member);
    }
    if let Some(reason) = &review.deferred {
        task["statusReason"] = json!({"text": reason});
    }
    if let Some(found) = one.found.as_ref().filter(|found| !found.attributes.is_empty()) {
        let results = found.attributes.iter();
        let results: Vec<Json> =
            results.map(|(attribute, result)| json!({"url": attribute.name(), "valueCode": result.code()})).collect();
        task["extension"] = json!([{"url": ATTRIBUTE_RESULTS, "extension": results}]);
    }
    Listed { full_url: format!("urn:uuid:{id}"), body: task.to_string() }
}

/// What the decision needs (`identity`), and what speaks for it and against it.
fn inputs(responder: &Responder, one: &Explained) -> Vec<Json> {
    let input = |code: &str, member: &str, value: Json| json!({"type": {"coding": [{"system": REVIEW_DETAIL, "code": code}]}, member: value});
    let review = &one.item;
    let mut inputs = vec![
        input("identity", "valueId", json!(review.identity_id)),
        input("own-identity", "valueId", json!(review.own_identity_id)),
        input("probability", "valueDecimal", json!((review.probability * 1e6).round() / 1e6)),
        input("model-version", "valueString", json!(review.model_version)),
    ];
    let members = one.members.iter().take(MEMBERS_MAX);
    inputs.extend(
        members.map(|id| input("member", "valueReference", json!({"reference": responder.url_of("Patient", id)}))),
    );
    if let Some(found) = &one.found {
        inputs.push(input("grade", "valueCode", json!(found.grade.code())));
        inputs.extend(found.row.map(|row| input("row", "valueCode", json!(row.code()))));
        inputs.extend(found.capped_by.iter().map(|conflict| input("conflict", "valueCode", json!(conflict.code()))));
    }
    inputs
}

/// The decision with who, when, why, about which records, and whether it still stands. `at` gives FHIR instants.
#[must_use]
pub fn provenance(responder: &Responder, decision: &Decision, at: fn(i64) -> String) -> Listed {
    let targets: Vec<Json> =
        decision.before.iter().map(|(record, _)| json!({"reference": responder.url_of("Patient", record)})).collect();
    let system = format!("{}/{IDENTITY_PATH}", responder.base_url());
    let mut identities: Vec<&str> = decision.before.iter().map(|(_, identity)| identity.as_str()).collect();
    identities.sort_unstable();
    identities.dedup();
    let sources =
        identities.iter().map(|id| json!({"role": "source", "what": {"identifier": {"system": system, "value": id}}}));
    let mut provenance = json!({
        "resourceType": "Provenance",
        "id": decision.id,
        "target": targets,
        "recorded": at(decision.decided_us),
        "reason": [{"text": decision.reason}],
        "activity": {"coding": [{"system": DECISION_KIND, "code": decision.kind}]},
        "agent": [{"who": {"display": decision.decided_by}}],
        "entity": sources.collect::<Vec<_>>(),
    });
    if let Some(revoked) = &decision.revoked {
        let parts = json!([
            {"url": "at", "valueInstant": at(revoked.at_us)},
            {"url": "by", "valueString": revoked.by},
            {"url": "reason", "valueString": revoked.reason},
        ]);
        provenance["extension"] = json!([{"url": REVOCATION, "extension": parts}]);
    }
    Listed { full_url: format!("urn:uuid:{}", decision.id), body: provenance.to_string() }
}

/// The same for the same record and identity, wherever and whenever it is asked: a name-based UUID (RFC 9562 §5.8).
fn task_id(record_id: &str, identity_id: &str) -> String {
    let digest = Sha256::digest(format!("review\n{record_id}\n{identity_id}"));
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, digit)| *byte = digit);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::super::responder::tests::responder;
    use super::*;
    use crate::app::steward::queue::{ReviewItem, Revoked};
    use crate::app::steward::{Asked, Verdict};

    fn explained(deferred: Option<&str>, kind: ReviewKind) -> Explained {
        let item = ReviewItem {
            kind,
            record_id: "p1".to_owned(),
            identity_id: "0198c5f0-0000-7000-8000-000000000001".to_owned(),
            own_identity_id: "i2".to_owned(),
            probability: 0.912_345_678,
            model_version: "1".to_owned(),
            created_us: 0,
            deferred: deferred.map(str::to_owned),
        };
        Explained { item, members: vec!["p2".to_owned()], found: None }
    }

    fn written(listed: &Listed) -> Json {
        serde_json::from_str(&listed.body).expect("JSON")
    }

    #[test]
    fn a_review_is_a_task_with_its_question_and_evidence() {
        let one = explained(None, ReviewKind::DoubtfulPair);
        let task = task(&responder(), &one, "2026-01-02T03:04:05Z");
        let json = written(&task);
        assert_eq!(task.full_url, format!("urn:uuid:{}", json["id"].as_str().expect("an id")));
        assert_eq!(
            (&json["status"], &json["code"]["coding"][0]["code"]),
            (&json!("requested"), &json!("doubtful-pair"))
        );
        assert_eq!(json["focus"]["reference"], "https://match.example.org/fhir/Patient/p1");
        assert_eq!(json["for"]["reference"], "https://match.example.org/fhir/Patient/p2");
        assert_eq!(json["input"][2]["valueDecimal"], 0.912_346);
        let again = super::task(&responder(), &one, "2026-01-02T03:04:05Z");
        assert_eq!(task, again);
        assert_ne!(task_id("p1", "i1"), task_id("p1", "i2"));
    }

    #[test]
    fn a_deferred_review_says_why() {
        let json = written(&task(&responder(), &explained(Some("later"), ReviewKind::MixedIdentity), "2026"));
        assert_eq!((&json["status"], &json["statusReason"]["text"]), (&json!("on-hold"), &json!("later")));
        assert_eq!(json["code"]["coding"][0]["code"], "mixed-identity");
    }

    #[test]
    fn a_decision_says_who_when_why_and_whether_it_stands() {
        let asked = Asked::Review { record: "p1".to_owned(), identity: "i1".to_owned(), verdict: Verdict::Same };
        let stands = Decision {
            id: "0198c5f0-0000-7000-8000-000000000002".to_owned(),
            kind: "same".to_owned(),
            reason: "so".to_owned(),
            decided_by: "open".to_owned(),
            decided_us: 0,
            revoked: None,
            asked,
            before: vec![("p1".to_owned(), "i2".to_owned()), ("p2".to_owned(), "i1".to_owned())],
        };
        let at = |us: i64| format!("t{us}");
        let json = written(&provenance(&responder(), &stands, at));
        assert_eq!((&json["recorded"], &json["reason"][0]["text"]), (&json!("t0"), &json!("so")));
        assert_eq!(json["target"].as_array().map(Vec::len), Some(2));
        assert_eq!(json["entity"][1]["what"]["identifier"]["value"], "i2");
        assert_eq!(json["extension"], Json::Null);
        let revoked = Some(Revoked { by: "open".to_owned(), at_us: 7, reason: "no".to_owned() });
        let json = written(&provenance(&responder(), &Decision { revoked, ..stands }, at));
        assert_eq!(json["extension"][0]["extension"][0], json!({"url": "at", "valueInstant": "t7"}));
        assert_eq!(json["extension"][0]["extension"][2]["valueString"], "no");
    }
}
