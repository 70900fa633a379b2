//! Whose account it is: the one identity among the stored ones that what was verified of a person leads to.
//!
//! Asked when an operator makes an account, so that the account can be found from the identity and the other way round. It is
//! no permission: when somebody signs in and lets an application have their records, the Consumer Match is made again, on
//! what is stored then. Not here: that match (see `assured_match`).

use serde_json::{Value, json};

use crate::app::App;
use crate::app::assured_match::{day, verified};
use crate::app::context::Context;
use crate::app::error::{AppError, ErrorKind};
use crate::app::match_patient::{MatchOperation, MatchRequest};
use crate::assurance::facts::Age;
use crate::assurance::level::IdentityLevel;
use crate::profile::idi::IdiProfile;
use crate::store::record;

impl App {
    /// The identity of a person by what was verified of them: one that is certain and alone, and of which some record was
    /// verified well enough for a Consumer Match and not too long ago.
    ///
    /// # Errors
    /// Those of the database. Attributes that are too few for such a match find nobody.
    pub fn find_own_identity(&self, ctx: &Context, attributes: &str) -> Result<Option<String>, AppError> {
        let Ok(patient) = serde_json::from_str::<Value>(attributes) else { return Ok(None) };
        let body = request_of(patient).to_string();
        let request =
            MatchRequest { operation: MatchOperation::IdiMatch, body: body.as_bytes(), self_link: String::new() };
        let answer = match self.match_patient(ctx, &request) {
            Ok(metered) => metered.answer.0,
            Err(error) if matches!(error.kind, ErrorKind::Unprocessable | ErrorKind::Invalid) => return Ok(None),
            Err(error) => return Err(error),
        };
        let ids: Vec<&str> = answer.patients.iter().map(|patient| patient.record_id.as_str()).collect();
        let rows = record::find_many(&mut *self.connection()?, &ids)?;
        let today = day(ctx.now_us).ok_or_else(AppError::internal)?;
        let is_verified = |row: &&record::RecordRow| {
            let verified = verified(&self.rules.assurance, row, today);
            verified.level >= IdentityLevel::Idial1_5 && verified.age == Age::Current
        };
        Ok(rows.iter().find(is_verified).map(|row| row.identity_id.clone()))
    }
}

/// As a Consumer Match asks: with the weight of the guide's second level, for one certain identity.
fn request_of(mut patient: Value) -> Value {
    if let Some(members) = patient.as_object_mut() {
        members.remove("id");
        members.insert("meta".to_owned(), json!({ "profile": [IdiProfile::L1.canonical()] }));
    }
    json!({
        "resourceType": "Parameters",
        "parameter": [
            {"name": "IDIPatient", "resource": patient},
            {"name": "onlySingleMatch", "valueBoolean": true},
            {"name": "onlyCertainMatches", "valueBoolean": true},
        ],
    })
}
