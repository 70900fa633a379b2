//! FHIR patch: what a JSON Patch makes of a stored resource (FHIR R4 RESTful API, patch).
//!
//! The outcome is then judged and kept as an update would be. Not here: the operations themselves (see
//! `fhir::json_patch`).

use crate::audit::Action;
use crate::fhir::document::{Layout, Node};
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::json_patch::{Limits, Patch};
use crate::fhir::redact::keeps_back;
use crate::store::resource;

use super::App;
use super::context::{Caller, Context};
use super::error::{AppError, ErrorKind};
use super::incoming::{ResourceKind, admit};
use super::keep::{Arrival, Expected, Kept, check_expected};
use super::unit::Unit;
use super::update::{Address, Condition};
use super::write::{Desk, Verb};

impl App {
    /// Patches the stored version, under the lock: no other write comes between reading and writing it.
    ///
    /// # Errors
    /// `NotFound` or `Gone` when there is nothing to patch, `PreconditionFailed` when `If-Match` does not hold or several
    /// resources fit; what the patch or the resource that it makes is refused for.
    pub fn patch(
        &self,
        ctx: &Context,
        resource_type: &str,
        address: Address<'_>,
        condition: Condition<'_>,
        body: &[u8],
    ) -> Result<Kept, AppError> {
        let order = self.order(ctx, Verb::Patch, resource_type, address, condition);
        self.write(ctx, Action::Patch, resource_type, order, body)?.into_kept()
    }
}

/// A document and what a patch has made of it.
pub struct Patched {
    pub before: String,
    pub document: String,
}

impl Desk {
    /// What a patch makes of the stored version; `settle` gives the document that is judged.
    ///
    /// # Errors
    /// As [`App::patch`].
    pub fn patched(
        &self,
        unit: &mut Unit<'_>,
        kind: ResourceKind,
        id: String,
        expected: Expected,
        patch: &[u8],
        settle: impl FnOnce(&mut Unit<'_>, Patched) -> Result<String, AppError>,
    ) -> Result<Arrival, AppError> {
        let current = resource::find(unit.conn, kind.name(), &id)?;
        let current = current.ok_or_else(|| AppError::not_found("There is no such resource."))?;
        if current.deleted {
            return Err(AppError::gone());
        }
        check_expected(Some(&current), expected)?;
        let door = self.door();
        let limits = Limits { operations_max: self.config.limits.patch_operations_max, document: door.limits };
        let patch = Patch::parse(patch, &limits).map_err(AppError::invalid)?;
        self.check_looked_at(kind, &current.body, &patch)?;
        let (document, version) = (apply(&current.body, &patch, &limits)?, current.version);
        let document = settle(unit, Patched { before: current.body, document }).map_err(of_result)?;
        let incoming = admit(&door, Some(kind), document.as_bytes()).map_err(of_result)?;
        Ok(Arrival { id, incoming, expected: Expected::Version(version) })
    }

    /// Whether a test holds tells the value; a value that is moved or copied is read at its new place. Both are for whoever
    /// may read the value where it stands.
    fn check_looked_at(&self, kind: ResourceKind, current: &str, patch: &Patch<'_>) -> Result<(), AppError> {
        if matches!(self.caller, Caller::Open) {
            return Ok(());
        }
        let (may_read, disclosure) = (self.caller.may_read(kind.name()), self.caller.disclosure());
        for (number, member) in patch.looked_at() {
            if !may_read || keeps_back(current, &disclosure, member).map_err(|_| AppError::internal())? {
                let text = "The caller may not read what this operation compares, moves or copies.";
                let issue = Issue::error(IssueCode::Forbidden, text).at(format!("[{number}]"));
                return Err(AppError::new(ErrorKind::Forbidden, vec![issue]));
            }
        }
        Ok(())
    }
}

/// The patch itself is in order; what it makes is not (RFC 5789 §2.2).
fn of_result(error: AppError) -> AppError {
    match error.kind {
        ErrorKind::Invalid | ErrorKind::TooLarge => AppError::unprocessable(error.issues),
        _ => error,
    }
}

/// The document that `patch` makes of `current`.
///
/// # Errors
/// `Unprocessable` where the patch does not fit the resource.
pub fn apply(current: &str, patch: &Patch<'_>, limits: &Limits) -> Result<String, AppError> {
    let before = Node::parse(current).map_err(|_| AppError::internal())?;
    let mut after = patch.apply(before.clone(), limits).map_err(|issue| AppError::unprocessable(vec![issue]))?;
    check_same(&before, &after)?;
    if after != before && !patch.touches("text") {
        settle_narrative(&mut after)?;
    }
    Ok(after.write(Layout::Compact))
}

/// A patch makes a version of the same resource.
fn check_same(before: &Node<'_>, after: &Node<'_>) -> Result<(), AppError> {
    let resource_type = before.text("resourceType").unwrap_or_default();
    for member in ["resourceType", "id"] {
        if before.text(member) != after.text(member) {
            let text = "A patch cannot change the type or the id of a resource.";
            let place = if member == "id" { format!("{resource_type}.id") } else { member.to_owned() };
            return Err(AppError::unprocessable(vec![Issue::error(IssueCode::BusinessRule, text).at(place)]));
        }
    }
    Ok(())
}

/// A narrative must not go on saying what the data no longer say (FHIR R4 RESTful API, patch). One made from the data is
/// dropped, to be made again; one that says more is for the caller to write.
fn settle_narrative(resource: &mut Node<'_>) -> Result<(), AppError> {
    let status = resource.get("text").map(|text| text.text("status").unwrap_or_default().into_owned());
    match status.as_deref() {
        None | Some("empty") => {}
        Some("generated" | "extensions") => drop(resource.remove("text")),
        Some(_) => {
            let text = "The narrative says more than the data; a patch of the data must patch the narrative too.";
            let place = format!("{}.text", resource.text("resourceType").unwrap_or_default());
            return Err(AppError::unprocessable(vec![Issue::error(IssueCode::BusinessRule, text).at(place)]));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::error::ErrorKind;
    use crate::fhir::json;

    const LIMITS: Limits = Limits { operations_max: 10, document: json::Limits::DEFAULT };

    fn patched(current: &str, patch: &str) -> Result<String, AppError> {
        apply(current, &Patch::parse(patch.as_bytes(), &LIMITS).map_err(AppError::invalid)?, &LIMITS)
    }

    #[test]
    fn a_patch_changes_the_data_and_nothing_the_server_owns() {
        let narrative = |status: &str| {
            format!(
                r#"{{"resourceType":"Patient","id":"p","text":{{"status":"{status}","div":"x"}},"multipleBirthInteger":1}}"#
            )
        };
        let (generated, additional) = (narrative("generated"), narrative("additional"));
        let (empty, bare) = (narrative("empty"), r#"{"resourceType":"Patient","id":"p"}"#);
        let remove = r#"[{"op":"remove","path":"/multipleBirthInteger"}]"#;
        let both =
            r#"[{"op":"remove","path":"/multipleBirthInteger"},{"op":"replace","path":"/text/div","value":"y"}]"#;
        let test = r#"[{"op":"test","path":"/multipleBirthInteger","value":1}]"#;
        let refused = |place: &str| Err((ErrorKind::Unprocessable, vec![place.to_owned()]));
        let table = [
            (generated.as_str(), remove, Ok(bare.to_owned())),
            (&generated, test, Ok(generated.clone())),
            (&empty, remove, Ok(empty.replace(r#","multipleBirthInteger":1"#, ""))),
            (&additional, remove, refused("Patient.text")),
            (&additional, both, Ok(additional.replace(r#","multipleBirthInteger":1"#, "").replace(r#""x""#, r#""y""#))),
            (bare, r#"[{"op":"replace","path":"/id","value":"q"}]"#, refused("Patient.id")),
            (bare, r#"[{"op":"remove","path":"/id"}]"#, refused("Patient.id")),
            (bare, r#"[{"op":"replace","path":"/resourceType","value":"Person"}]"#, refused("resourceType")),
            (bare, r#"[{"op":"replace","path":"","value":[]}]"#, refused("resourceType")),
            (bare, r#"[{"op":"remove","path":"/active"}]"#, refused("[0]")),
            (bare, r#"[{"op":"add","path":"/active"}]"#, Err((ErrorKind::Invalid, vec!["[0].value".to_owned()]))),
            (bare, "{}", Err((ErrorKind::Invalid, vec![]))),
        ];
        for (current, patch, expected) in table {
            let found = patched(current, patch);
            let found = found.map_err(|error| (error.kind, error.issues[0].expression.clone()));
            assert_eq!(found, expected, "{current} {patch}");
        }
        let many = format!("[{}]", [r#"{"op":"remove","path":"/a"}"#; 11].join(","));
        assert_eq!(patched(bare, &many).map_err(|error| error.kind), Err(ErrorKind::TooLarge));
    }
}
