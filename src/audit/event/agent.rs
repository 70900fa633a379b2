//! Who takes part in an event: the client, this server, the client's user and organisation (BALP, agents; and its pattern
//! for OAuth access tokens). And why: purposes of use.
//!
//! Not here: what the event is about.

use serde::Serialize;

use super::pattern::{Flow, Pattern};
use super::{DICOM, Detail, Identifier, Observer, Row};

const BALP_AGENT_SYSTEM: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes";
const ASSURANCE_LEVEL: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/ihe-assuranceLevel";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const PROVENANCE_PARTICIPANT: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
/// The same by its OID, as tokens name it (HL7 UDAP Security, hl7-b2b `purpose_of_use`).
const ACT_REASON_OID: &str = "urn:oid:2.16.840.1.113883.5.8";
/// TEFCA's exchange purposes.
const EXCHANGE_PURPOSE_OID: &str = "urn:oid:2.16.840.1.113883.3.7204.1.5.2.1";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Agent {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extension: Vec<Extension>,
    r#type: Concept,
    who: Who,
    requestor: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<Network>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    purpose_of_use: Vec<Concept>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Extension {
    url: &'static str,
    value_codeable_concept: Concept,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Concept {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    coding: Vec<OwnCoding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

#[derive(Debug, Serialize)]
struct OwnCoding {
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<String>,
    code: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Who {
    Reference(String),
    Identifier(Identifier),
}

#[derive(Debug, Serialize)]
struct Network {
    address: String,
    /// FHIR `network-type`: 2 is an IP address, 5 a URI.
    r#type: &'static str,
}

pub(super) fn agents(row: &Row<'_>, pattern: &Pattern, detail: &Detail, observer: &Observer<'_>) -> Vec<Agent> {
    let user = detail.text("user");
    let (of_client, of_server) = roles(pattern.flow);
    let client = Agent {
        // Without a user the levels are those of whom the client asks for.
        extension: if user.is_none() { levels(detail) } else { Vec::new() },
        r#type: concept(&[of_client]),
        who: by_id(detail.text("client_id").unwrap_or(row.caller)),
        requestor: user.is_none(),
        network: detail.text("client_address").map(|address| Network { address: address.to_owned(), r#type: "2" }),
        purpose_of_use: Vec::new(),
    };
    let server = Agent {
        extension: Vec::new(),
        r#type: concept(&[of_server]),
        who: Who::Reference(observer.reference.to_owned()),
        requestor: false,
        network: Some(Network { address: observer.base_url.to_owned(), r#type: "5" }),
        purpose_of_use: Vec::new(),
    };
    let user = user.map(|user| Agent {
        extension: levels(detail),
        r#type: concept(&[user_role(pattern.flow), (BALP_AGENT_SYSTEM, "UserOauthAgent")]),
        who: by_id(user),
        requestor: true,
        network: None,
        purpose_of_use: detail.texts("purposes").map(purpose).collect(),
    });
    let organization = detail.text("organization_id").map(|id| Agent {
        extension: Vec::new(),
        r#type: concept(&[(BALP_AGENT_SYSTEM, "UserOrganization")]),
        who: by_id(id),
        requestor: false,
        network: None,
        purpose_of_use: Vec::new(),
    });
    [client, server].into_iter().chain(user).chain(organization).collect()
}

type Role = (&'static str, &'static str);

/// Of client and server.
const fn roles(flow: Flow) -> (Role, Role) {
    const SOURCE: Role = (DICOM, "110153");
    const DESTINATION: Role = (DICOM, "110152");
    match flow {
        Flow::Out => (DESTINATION, SOURCE),
        Flow::In => (SOURCE, DESTINATION),
        Flow::Deletion => ((DICOM, "110150"), (PROVENANCE_PARTICIPANT, "custodian")),
    }
}

/// Whoever gets data is their recipient, whoever brings them their author.
const fn user_role(flow: Flow) -> Role {
    match flow {
        Flow::Out => (PARTICIPATION, "IRCP"),
        Flow::In | Flow::Deletion => (PARTICIPATION, "AUT"),
    }
}

fn levels(detail: &Detail) -> Vec<Extension> {
    let named = ["identity_level", "authentication_level"].into_iter().filter_map(|name| detail.text(name));
    named
        .map(|level| Extension {
            url: ASSURANCE_LEVEL,
            value_codeable_concept: Concept {
                coding: vec![OwnCoding { system: None, code: level.to_owned() }],
                text: None,
            },
        })
        .collect()
}

fn by_id(id: &str) -> Who {
    Who::Identifier(Identifier { value: id.to_owned() })
}

fn concept(roles: &[Role]) -> Concept {
    let coding = |(system, code): &Role| OwnCoding { system: Some((*system).to_owned()), code: (*code).to_owned() };
    Concept { coding: roles.iter().map(coding).collect(), text: None }
}

/// `system#code`, `system|code`, or a code whose system its form tells; anything else is text.
pub(super) fn purpose(text: &str) -> Concept {
    let (system, code) = match text.rsplit_once(['#', '|']) {
        Some((ACT_REASON_OID, code)) => (ACT_REASON, code),
        Some((system, code)) => (system, code),
        None if text.starts_with("T-") => (EXCHANGE_PURPOSE_OID, text),
        None if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase()) => (ACT_REASON, text),
        None => return Concept { coding: Vec::new(), text: Some(text.to_owned()) },
    };
    Concept { coding: vec![OwnCoding { system: Some(system.to_owned()), code: code.to_owned() }], text: None }
}
