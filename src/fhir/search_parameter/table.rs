//! The table: FHIR R4's search parameters of the types that are served.
//!
//! Each row has the expression of the specification (FHIR R4, search parameters of the resource) as paths and forms.
//! Values that several parameters share are stored under one of them; the others include it. Left out are parameters
//! whose targets are of no use here. Not here: how a form becomes values (see `extract`).

use super::Form::{
    Boolean, Code, CodeableConcept, Coding, Contact, Date, Deceased, Identifier, Period, Phonetic, Reference,
    ReferenceTo, Text,
};
use super::{Form, SearchKind, SearchParameter, Source};

/// Each type with its parameters.
pub(super) const TABLES: &[(&str, &[SearchParameter])] = &[
    ("Patient", PATIENT),
    ("Organization", ORGANIZATION),
    ("RelatedPerson", RELATED_PERSON),
    ("Person", PERSON),
    ("Consent", CONSENT),
    ("Provenance", PROVENANCE),
    ("Task", TASK),
    ("AuditEvent", AUDIT_EVENT),
];

const PATIENT: &[SearchParameter] = &of(
    "Patient",
    [
        token(1, "identifier", &[at("identifier", Identifier)]),
        string(2, "family", &[at("name.family", Text)]),
        string(3, "given", &[at("name.given", Text)]),
        date(4, "birthdate", &[at("birthDate", Date)]),
        string(5, "name", NAME_REST).with(&[2, 3]),
        string(6, "phonetic", NAME_SOUND),
        token(7, "active", &[at("active", Boolean)]),
        string(8, "address", ADDRESS_REST).with(&[9, 10, 11, 12]),
        string(9, "address-city", ADDRESS_CITY),
        string(10, "address-country", ADDRESS_COUNTRY),
        string(11, "address-postalcode", ADDRESS_POSTAL_CODE),
        string(12, "address-state", ADDRESS_STATE),
        token(13, "address-use", ADDRESS_USE),
        date(14, "death-date", &[at("deceasedDateTime", Date)]),
        token(15, "deceased", &[at("", Deceased)]),
        token(16, "email", EMAIL),
        token(17, "gender", GENDER),
        reference(
            18,
            "general-practitioner",
            &["Organization", "Practitioner", "PractitionerRole"],
            &[at("generalPractitioner", Reference)],
        ),
        token(19, "language", &[at("communication.language", CodeableConcept)]),
        reference(20, "link", &["Patient", "RelatedPerson"], &[at("link.other", Reference)]),
        reference(21, "organization", &["Organization"], &[at("managingOrganization", Reference)]),
        token(22, "phone", PHONE),
        token(23, "telecom", TELECOM_REST).with(&[16, 22]),
    ],
);

const ORGANIZATION: &[SearchParameter] = &of(
    "Organization",
    [
        token(40, "identifier", &[at("identifier", Identifier)]),
        token(41, "active", &[at("active", Boolean)]),
        string(42, "address", ADDRESS_REST).with(&[43, 44, 45, 46]),
        string(43, "address-city", ADDRESS_CITY),
        string(44, "address-country", ADDRESS_COUNTRY),
        string(45, "address-postalcode", ADDRESS_POSTAL_CODE),
        string(46, "address-state", ADDRESS_STATE),
        token(47, "address-use", ADDRESS_USE),
        reference(48, "endpoint", &["Endpoint"], &[at("endpoint", Reference)]),
        string(49, "name", &[at("name", Text), at("alias", Text)]),
        reference(50, "partof", &["Organization"], &[at("partOf", Reference)]),
        string(51, "phonetic", &[at("name", Phonetic)]),
        token(52, "type", &[at("type", CodeableConcept)]),
    ],
);

const RELATED_PERSON: &[SearchParameter] = &of(
    "RelatedPerson",
    [
        token(70, "identifier", &[at("identifier", Identifier)]),
        token(71, "active", &[at("active", Boolean)]),
        string(72, "address", ADDRESS_REST).with(&[73, 74, 75, 76]),
        string(73, "address-city", ADDRESS_CITY),
        string(74, "address-country", ADDRESS_COUNTRY),
        string(75, "address-postalcode", ADDRESS_POSTAL_CODE),
        string(76, "address-state", ADDRESS_STATE),
        token(77, "address-use", ADDRESS_USE),
        date(78, "birthdate", &[at("birthDate", Date)]),
        token(79, "email", EMAIL),
        token(80, "gender", GENDER),
        string(81, "name", NAME_WHOLE),
        reference(82, "patient", &["Patient"], &[at("patient", Reference)]),
        token(83, "phone", PHONE),
        string(84, "phonetic", NAME_SOUND),
        token(85, "relationship", &[at("relationship", CodeableConcept)]),
        token(86, "telecom", TELECOM_REST).with(&[79, 83]),
    ],
);

const PERSON: &[SearchParameter] = &of(
    "Person",
    [
        token(100, "identifier", &[at("identifier", Identifier)]),
        string(101, "address", ADDRESS_REST).with(&[102, 103, 104, 105]),
        string(102, "address-city", ADDRESS_CITY),
        string(103, "address-country", ADDRESS_COUNTRY),
        string(104, "address-postalcode", ADDRESS_POSTAL_CODE),
        string(105, "address-state", ADDRESS_STATE),
        token(106, "address-use", ADDRESS_USE),
        date(107, "birthdate", &[at("birthDate", Date)]),
        token(108, "email", EMAIL),
        token(109, "gender", GENDER),
        reference(
            110,
            "link",
            &["Patient", "Person", "Practitioner", "RelatedPerson"],
            &[at("link.target", Reference)],
        ),
        string(111, "name", NAME_WHOLE),
        reference(112, "organization", &["Organization"], &[at("managingOrganization", Reference)]),
        reference(113, "patient", &["Patient"], &[at("link.target", ReferenceTo("Patient"))]),
        token(114, "phone", PHONE),
        string(115, "phonetic", NAME_SOUND),
        reference(116, "practitioner", &["Practitioner"], &[at("link.target", ReferenceTo("Practitioner"))]),
        reference(117, "relatedperson", &["RelatedPerson"], &[at("link.target", ReferenceTo("RelatedPerson"))]),
        token(118, "telecom", TELECOM_REST).with(&[108, 114]),
    ],
);

const CONSENT: &[SearchParameter] = &of(
    "Consent",
    [
        token(140, "identifier", &[at("identifier", Identifier)]),
        token(141, "action", &[at("provision.action", CodeableConcept)]),
        reference(142, "actor", ACTORS, &[at("provision.actor.reference", Reference)]),
        token(143, "category", &[at("category", CodeableConcept)]),
        reference(144, "consentor", ACTORS, &[at("performer", Reference)]),
        date(145, "date", &[at("dateTime", Date)]),
        reference(146, "organization", &["Organization"], &[at("organization", Reference)]),
        reference(147, "patient", &["Patient"], &[at("patient", Reference)]),
        date(148, "period", &[at("provision.period", Period)]),
        token(149, "purpose", &[at("provision.purpose", Coding)]),
        token(150, "scope", &[at("scope", CodeableConcept)]),
        token(151, "security-label", &[at("provision.securityLabel", Coding)]),
        reference(
            152,
            "source-reference",
            &["Consent", "Contract", "DocumentReference", "QuestionnaireResponse"],
            &[at("sourceReference", Reference)],
        ),
        token(153, "status", &[at("status", Code("http://hl7.org/fhir/consent-state-codes"))]),
        reference(154, "data", ANY, &[at("provision.data.reference", Reference)]),
    ],
);

const PROVENANCE: &[SearchParameter] = &of(
    "Provenance",
    [
        reference(170, "target", ANY, &[at("target", Reference)]),
        reference(171, "agent", ACTORS, &[at("agent.who", Reference)]),
        token(172, "agent-role", &[at("agent.role", CodeableConcept)]),
        token(173, "agent-type", &[at("agent.type", CodeableConcept)]),
        reference(174, "entity", ANY, &[at("entity.what", Reference)]),
        reference(175, "location", &["Location"], &[at("location", Reference)]),
        reference(176, "patient", &["Patient"], &[at("target", ReferenceTo("Patient"))]),
        date(177, "recorded", &[at("recorded", Date)]),
        token(178, "signature-type", &[at("signature.type", Coding)]),
        date(179, "when", &[at("occurredDateTime", Date), at("occurredPeriod", Period)]),
    ],
);

const TASK: &[SearchParameter] = &of(
    "Task",
    [
        token(200, "identifier", &[at("identifier", Identifier)]),
        date(201, "authored-on", &[at("authoredOn", Date)]),
        reference(202, "based-on", ANY, &[at("basedOn", Reference)]),
        token(203, "business-status", &[at("businessStatus", CodeableConcept)]),
        token(204, "code", &[at("code", CodeableConcept)]),
        reference(205, "encounter", &["Encounter"], &[at("encounter", Reference)]),
        reference(206, "focus", ANY, &[at("focus", Reference)]),
        token(207, "group-identifier", &[at("groupIdentifier", Identifier)]),
        token(208, "intent", &[at("intent", Code("http://hl7.org/fhir/task-intent"))]),
        date(209, "modified", &[at("lastModified", Date)]),
        reference(210, "owner", ACTORS, &[at("owner", Reference)]),
        reference(211, "part-of", &["Task"], &[at("partOf", Reference)]),
        reference(212, "patient", &["Patient"], &[at("for", ReferenceTo("Patient"))]),
        token(213, "performer", &[at("performerType", CodeableConcept)]),
        date(214, "period", &[at("executionPeriod", Period)]),
        token(215, "priority", &[at("priority", Code("http://hl7.org/fhir/request-priority"))]),
        reference(216, "requester", ACTORS, &[at("requester", Reference)]),
        token(217, "status", &[at("status", Code("http://hl7.org/fhir/task-status"))]),
        reference(218, "subject", ANY, &[at("for", Reference)]),
    ],
);

/// AuditEvents are made from audit rows, which have columns of their own: nothing is extracted, only read in a search.
const AUDIT_EVENT: &[SearchParameter] = &of(
    "AuditEvent",
    [
        token(240, "action", &[at("action", Code("http://hl7.org/fhir/audit-event-action"))]),
        date(241, "date", &[at("recorded", Date)]),
        token(242, "outcome", &[at("outcome", Code("http://hl7.org/fhir/audit-event-outcome"))]),
        token(243, "subtype", &[at("subtype", Coding)]),
        reference(244, "entity", ANY, &[at("entity.what", Reference)]),
        reference(245, "patient", &["Patient"], &[at("entity.what", ReferenceTo("Patient"))]),
    ],
);

/// Whoever may act in a Consent, a Provenance or a Task.
const ACTORS: &[&str] = &[
    "CareTeam",
    "Device",
    "Group",
    "HealthcareService",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "RelatedPerson",
];
/// FHIR allows a reference to anything here; these are served, and so can be included.
const ANY: &[&str] = &["Consent", "Organization", "Patient", "Person", "Provenance", "RelatedPerson", "Task"];

const NAME_REST: &[Source] = &[at("name.text", Text), at("name.prefix", Text), at("name.suffix", Text)];
const NAME_WHOLE: &[Source] = &[
    at("name.family", Text),
    at("name.given", Text),
    at("name.text", Text),
    at("name.prefix", Text),
    at("name.suffix", Text),
];
const NAME_SOUND: &[Source] = &[at("name.family", Phonetic), at("name.given", Phonetic), at("name.text", Phonetic)];
const ADDRESS_REST: &[Source] = &[at("address.line", Text), at("address.district", Text), at("address.text", Text)];
const ADDRESS_CITY: &[Source] = &[at("address.city", Text)];
const ADDRESS_COUNTRY: &[Source] = &[at("address.country", Text)];
const ADDRESS_POSTAL_CODE: &[Source] = &[at("address.postalCode", Text)];
const ADDRESS_STATE: &[Source] = &[at("address.state", Text)];
const ADDRESS_USE: &[Source] = &[at("address.use", Code("http://hl7.org/fhir/address-use"))];
const GENDER: &[Source] = &[at("gender", Code("http://hl7.org/fhir/administrative-gender"))];
const EMAIL: &[Source] = &[at("telecom", Contact(&["email"]))];
/// FHIR R4 finds by `phone` what has the system `phone`.
const PHONE: &[Source] = &[at("telecom", Contact(&["phone"]))];
const TELECOM_REST: &[Source] = &[at("telecom", Contact(&[]))];

const fn at(path: &'static str, form: Form) -> Source {
    Source { path, form }
}

const fn row(number: i16, name: &'static str, kind: SearchKind, sources: &'static [Source]) -> SearchParameter {
    SearchParameter { number, resource_type: "", name, kind, includes: &[], targets: &[], sources }
}

const fn string(number: i16, name: &'static str, sources: &'static [Source]) -> SearchParameter {
    row(number, name, SearchKind::String, sources)
}

const fn token(number: i16, name: &'static str, sources: &'static [Source]) -> SearchParameter {
    row(number, name, SearchKind::Token, sources)
}

const fn date(number: i16, name: &'static str, sources: &'static [Source]) -> SearchParameter {
    row(number, name, SearchKind::Date, sources)
}

const fn reference(
    number: i16,
    name: &'static str,
    targets: &'static [&'static str],
    sources: &'static [Source],
) -> SearchParameter {
    SearchParameter { targets, ..row(number, name, SearchKind::Reference, sources) }
}

impl SearchParameter {
    const fn with(self, includes: &'static [i16]) -> Self {
        Self { includes, ..self }
    }
}

/// The rows of one type.
const fn of<const N: usize>(resource_type: &'static str, mut rows: [SearchParameter; N]) -> [SearchParameter; N] {
    let mut index = 0;
    while index < N {
        rows[index].resource_type = resource_type;
        index += 1;
    }
    rows
}
