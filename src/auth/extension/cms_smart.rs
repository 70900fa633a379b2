//! `cms_smart`: a person's own request through CMS Aligned Networks: one purpose and an identity token.
//!
//! Not here: whether the identity token is genuine (see `id_token`).

use serde::{Deserialize, Serialize};

use super::super::error::Refusal;
use super::super::members::Members;
use super::check_version;

pub const NAME: &str = "cms_smart";

/// The one purpose that the object has.
const PURPOSE: &str = "PATRQT";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CmsSmart {
    pub purpose_of_use: String,
    /// Empty in what a token remembers.
    pub id_token: String,
}

impl CmsSmart {
    /// # Errors
    /// `invalid_grant` for what does not follow the definition.
    pub fn read(members: &Members<'_>) -> Result<Self, Refusal> {
        check_version(members)?;
        let purpose = members.text("purpose_of_use")?;
        if purpose.rsplit('#').next() != Some(PURPOSE) {
            return Err(members.invalid("purpose_of_use"));
        }
        let id_token = members.get("id_token").ok_or_else(|| members.missing("id_token"))?;
        let id_token = id_token.as_str().filter(|text| !text.is_empty()).ok_or_else(|| members.invalid("id_token"))?;
        Ok(Self { purpose_of_use: purpose.to_owned(), id_token: id_token.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::error::Reason;
    use super::super::tests::refused;
    use super::*;

    #[test]
    fn line_53_the_object_follows_its_definition() {
        let good = json!({"version": "1", "purpose_of_use": "PATRQT", "id_token": "a.b.c"});
        let table = [
            (json!({}), true),
            (json!({"purpose_of_use": "urn:oid:2.16.840.1.113883.5.8#PATRQT"}), true),
            (json!({"version": "2"}), false),
            (json!({"purpose_of_use": null}), false),
            (json!({"purpose_of_use": "TREAT"}), false),
            (json!({"purpose_of_use": ["PATRQT"]}), false),
            (json!({"id_token": null}), false),
            (json!({"id_token": ""}), false),
        ];
        for (changes, is_good) in table {
            let expected = (!is_good).then_some(Reason::ExtensionInvalid(NAME));
            assert_eq!(refused(&good, &changes, NAME, CmsSmart::read), expected, "{changes}");
        }
    }
}
