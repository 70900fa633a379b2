//! What came of a steward's operation, as Parameters (`profiles/OperationDefinition-merge.json` and its like).
//!
//! `$merge` answers as FHIR R5 Patient-merge does: input, outcome, result. Every operation tells the decision, where each
//! record was and is, and which identities have become part of another. Not here: what is decided.

use fhir_types::resources::{Parameters, ParametersParameter};
use fhir_types::write_parameters;

use super::parameters::{parts, reference, resource, text};
use super::responder::Responder;
use super::{RenderError, list, outcome};
use crate::app::settle::Placement;
use crate::app::steward::request::{Operation, Ruled};
use crate::app::writer::Ending;
use crate::fhir::issue::{Issue, IssueCode};

/// The answer as a Parameters resource. The outcome has the id of the request.
///
/// # Errors
/// When a part of it cannot be written.
pub fn render(responder: &Responder, ruled: &Ruled, request_id: &str) -> Result<Vec<u8>, RenderError> {
    let said = said(ruled);
    let issues: Vec<Issue> = [said].into_iter().chain(ruled.warnings.iter().cloned()).collect();
    let outcome = outcome::write(&issues, request_id)?;
    let mut parameters = Vec::new();
    let mut bodies = Vec::new();
    if ruled.operation == Operation::Merge {
        parameters.push(resource("input")?);
        bodies.push(Some(ruled.input.as_str()));
    }
    parameters.push(resource("outcome")?);
    bodies.push(Some(outcome.as_str()));
    if let (Operation::Merge, Some(survivor)) = (ruled.operation, &ruled.decided.survivor) {
        parameters.push(resource("result")?);
        bodies.push(Some(survivor.as_str()));
    }
    // A decision that was not made has no id.
    if ruled.ending == Ending::Keep || ruled.operation == Operation::Revoke {
        parameters.push(text("decision", &ruled.decided.decision_id)?);
    }
    for placement in &ruled.decided.placements {
        parameters.push(placed(responder, placement)?);
    }
    for (identity, survivor) in &ruled.decided.ended {
        parameters.push(parts("ended", vec![text("identity", identity)?, text("survivor", survivor)?])?);
    }
    bodies.resize(parameters.len(), None);
    let parameters = Parameters::builder().parameter(list(parameters)).build()?;
    Ok(write_parameters(parameters, &bodies)?.into_bytes())
}

fn said(ruled: &Ruled) -> Issue {
    let moved = ruled.decided.placements.iter().filter(|one| one.from != one.to).count();
    let text = match ruled.ending {
        Ending::Keep => format!("Done. Records that are in another identity now: {moved}."),
        Ending::Undo => format!("A preview: nothing has changed. Records that would be in another identity: {moved}."),
    };
    Issue::information(IssueCode::Informational, text)
}

fn placed(responder: &Responder, placement: &Placement) -> Result<ParametersParameter, RenderError> {
    let inside = vec![
        reference("patient", responder, &placement.record_id)?,
        text("from-identity", &placement.from)?,
        text("to-identity", &placement.to)?,
    ];
    parts("placement", inside)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::responder::tests::responder;
    use super::*;
    use crate::app::steward::Decided;

    fn ruled(operation: Operation, ending: Ending) -> Ruled {
        let placement = |record: &str, from: &str| Placement {
            record_id: record.to_owned(),
            from: from.to_owned(),
            to: "i1".to_owned(),
        };
        Ruled {
            operation,
            ending,
            decided: Decided {
                decision_id: "d1".to_owned(),
                placements: vec![placement("p1", "i1"), placement("p2", "i2")],
                ended: vec![("i2".to_owned(), "i1".to_owned())],
                survivor: Some(r#"{"resourceType":"Patient", "id":"p1","multipleBirthInteger":2}"#.to_owned()),
            },
            warnings: vec![Issue::warning(IssueCode::NotSupported, "w")],
            input: r#"{"resourceType":"Parameters","parameter":[{"name":"reason","valueString":"so"}]}"#.to_owned(),
        }
    }

    fn rendered(ruled: &Ruled) -> Value {
        let bytes = render(&responder(), ruled, "r1").expect("rendered");
        fhir_types::parse(&bytes).expect("FHIR");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    fn names(parameters: &Value) -> Vec<&str> {
        let list = parameters["parameter"].as_array().expect("a list");
        list.iter().filter_map(|parameter| parameter["name"].as_str()).collect()
    }

    #[test]
    fn a_merge_tells_input_outcome_result_and_what_moved() {
        let answer = rendered(&ruled(Operation::Merge, Ending::Keep));
        assert_eq!(names(&answer), ["input", "outcome", "result", "decision", "placement", "placement", "ended"]);
        assert_eq!(answer["parameter"][0]["resource"]["parameter"][0]["valueString"], "so");
        assert_eq!(answer["parameter"][1]["resource"]["issue"][1]["severity"], "warning");
        assert_eq!(answer["parameter"][2]["resource"]["id"], "p1");
        let part = &answer["parameter"][5]["part"];
        assert_eq!(part[0]["valueReference"]["reference"], "https://match.example.org/fhir/Patient/p2");
        assert_eq!((&part[1]["valueString"], &part[2]["valueString"]), (&json!("i2"), &json!("i1")));
    }

    #[test]
    fn a_preview_has_no_decision_and_other_operations_no_input() {
        assert_eq!(names(&rendered(&ruled(Operation::Split, Ending::Undo)))[..2], ["outcome", "placement"]);
        assert_eq!(names(&rendered(&ruled(Operation::Link, Ending::Keep)))[..2], ["outcome", "decision"]);
    }
}
