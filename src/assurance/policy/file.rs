//! The form of `profiles/assurance-policy.json`: every member known, every code one of ours, or the file is refused.
//!
//! Not here: how careful a policy must be at least (see `floor`).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Needs, Own, Policy, Returns, Served, Subject, Workflow};
use crate::assurance::entity::EntityType;
use crate::assurance::facts::{Consent, Interaction, Profile, Statement};
use crate::assurance::level::{AuthenticationLevel, IdentityLevel};
use crate::assurance::verdict::{Elements, Identities, StoredTerms, Unverified};

/// Workflows of one policy at most.
const WORKFLOWS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "source")]
    _source: String,
    version: String,
    asserted: BTreeMap<String, String>,
    verification_years_max: u16,
    representatives: BTreeSet<String>,
    own: Option<OwnText>,
    workflows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnText {
    #[serde(rename = "text")]
    _text: String,
    interactions: Vec<String>,
    identity: String,
    authentication: String,
    elements: Option<BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(rename = "text")]
    _text: String,
    purposes: BTreeSet<String>,
    statements: Vec<String>,
    served: ServedText,
    interactions: Vec<String>,
    needs: NeedsText,
    returns: ReturnsText,
    #[serde(default)]
    relaxed: BTreeMap<String, ReturnsText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ServedText {
    Everybody,
    Operator,
    Communities(BTreeSet<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NeedsText {
    entities: Vec<String>,
    statements: Vec<Vec<String>>,
    consent: Switch,
    profile: String,
    weight: u32,
    identity: Option<String>,
    authentication: Option<String>,
    subject: SubjectText,
}

/// A switch with words, for a flag says nothing where it stands.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Switch {
    NotNeeded,
    Recorded,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum SubjectText {
    Anybody,
    User,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReturnsText {
    identities: IdentitiesText,
    identities_max: Option<usize>,
    stored_level: String,
    unverified: UnverifiedText,
    /// Absent: every element.
    elements: Option<BTreeSet<String>>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum IdentitiesText {
    Graded,
    Certain,
    HighConfidence,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum UnverifiedText {
    Warn,
    Withhold,
}

/// Reads a policy.
///
/// # Errors
/// What is not known, with its place.
pub fn read(text: &str) -> Result<Policy, String> {
    let mut file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if file.workflows.len() > WORKFLOWS_MAX {
        return Err(format!("workflows: more than {WORKFLOWS_MAX}"));
    }
    let mut asserted = BTreeMap::new();
    for (profile, level) in &file.asserted {
        asserted.insert(self::profile(profile, "asserted")?, identity(level, "asserted")?);
    }
    let mut workflows: Vec<Workflow> = Vec::new();
    for row in std::mem::take(&mut file.workflows) {
        let workflow = workflow(row)?;
        if workflows.iter().any(|known| known.name == workflow.name) {
            return Err(format!("workflows: {} is there twice", workflow.name));
        }
        workflows.push(workflow);
    }
    let own = file.own.take().map(own).transpose()?;
    let File { version, verification_years_max, representatives, .. } = file;
    Ok(Policy { version, asserted, verification_years_max, representatives, own, workflows })
}

fn own(own: OwnText) -> Result<Own, String> {
    let interactions = own.interactions.iter().map(|code| interaction(code, "own.interactions"));
    let unknown = || "own.authentication: unknown level".to_owned();
    Ok(Own {
        interactions: interactions.collect::<Result<_, _>>()?,
        identity: identity(&own.identity, "own.identity")?,
        authentication: AuthenticationLevel::parse(&own.authentication).ok_or_else(unknown)?,
        elements: own.elements.map_or(Elements::All, Elements::Only),
    })
}

fn workflow(row: Row) -> Result<Workflow, String> {
    let place = |member: &str| format!("workflows.{}.{member}", row.name);
    let mut relaxed = Vec::new();
    for (community, returns) in row.relaxed {
        relaxed.push((community, self::returns(returns, &place("relaxed"))?));
    }
    Ok(Workflow {
        statements: statements(&row.statements, &place("statements"))?.into_iter().collect(),
        served: match row.served {
            ServedText::Everybody => Served::Everybody,
            ServedText::Operator => Served::Operator,
            ServedText::Communities(names) => Served::Communities(names),
        },
        interactions: row
            .interactions
            .iter()
            .map(|code| interaction(code, &place("interactions")))
            .collect::<Result<_, _>>()?,
        needs: needs(&row.needs, &place("needs"))?,
        returns: returns(row.returns, &place("returns"))?,
        relaxed,
        purposes: row.purposes,
        name: row.name,
    })
}

fn needs(text: &NeedsText, place: &str) -> Result<Needs, String> {
    let entity = |code: &String| EntityType::parse(code).ok_or_else(|| format!("{place}.entities: {code} is none"));
    let groups = text.statements.iter().map(|group| statements(group, place));
    let authentication = |text: &String| {
        AuthenticationLevel::parse(text).ok_or_else(|| format!("{place}.authentication: {text} is no level"))
    };
    Ok(Needs {
        entities: text.entities.iter().map(entity).collect::<Result<_, _>>()?,
        statements: groups.collect::<Result<_, _>>()?,
        consent: match text.consent {
            Switch::NotNeeded => Consent::Missing,
            Switch::Recorded => Consent::Recorded,
        },
        profile: profile(&text.profile, place)?,
        weight: text.weight,
        identity: text.identity.as_ref().map(|level| identity(level, place)).transpose()?,
        authentication: text.authentication.as_ref().map(authentication).transpose()?,
        subject: match text.subject {
            SubjectText::Anybody => Subject::Anybody,
            SubjectText::User => Subject::User,
        },
    })
}

fn returns(text: ReturnsText, place: &str) -> Result<Returns, String> {
    Ok(Returns {
        identities: match text.identities {
            IdentitiesText::Graded => Identities::Graded,
            IdentitiesText::Certain => Identities::Certain,
            IdentitiesText::HighConfidence => Identities::HighConfidence,
        },
        identities_max: text.identities_max,
        stored: StoredTerms {
            level: identity(&text.stored_level, place)?,
            unverified: match text.unverified {
                UnverifiedText::Warn => Unverified::Warn,
                UnverifiedText::Withhold => Unverified::Withhold,
            },
        },
        elements: text.elements.map_or(Elements::All, Elements::Only),
    })
}

fn statements(codes: &[String], place: &str) -> Result<Vec<Statement>, String> {
    let known = |code: &String| Statement::ALL.into_iter().find(|statement| statement.code() == code);
    codes.iter().map(|code| known(code).ok_or_else(|| format!("{place}: {code} is no extension known here"))).collect()
}

fn interaction(code: &str, place: &str) -> Result<Interaction, String> {
    let known = Interaction::ALL.into_iter().find(|interaction| interaction.code() == code);
    known.ok_or_else(|| format!("{place}: {code} is no interaction"))
}

fn profile(code: &str, place: &str) -> Result<Profile, String> {
    let known = Profile::ALL.into_iter().find(|profile| profile.code() == code);
    known.ok_or_else(|| format!("{place}: {code} is no profile"))
}

fn identity(text: &str, place: &str) -> Result<IdentityLevel, String> {
    IdentityLevel::parse(text).ok_or_else(|| format!("{place}: {text} is no level"))
}
