//! A stored Patient as it leaves in an answer: US Core Patient 6.1, within a [`Disclosure`].
//!
//! What: elements that US Core demands are filled, identifiers that may not leave are dropped, links are the server's own;
//! everything else stays byte for byte. A Patient that lost or gained something is tagged `SUBSETTED`, and whoever sends
//! such a one back is refused ([`is_subsetted`]), so that an answer never overwrites what is stored. Not here: what is
//! stored (that stays as received), which links there are.
//!
//! | US Core Patient 6.1 | what becomes of the stored Patient |
//! |---|---|
//! | `identifier` 1..*, with system and value | others are dropped; none left: the server's own id |
//! | `name` 1..*, us-core-6 | a text is read into family and given; otherwise the reason is unknown |
//! | `telecom` with system and value | others are dropped |
//! | `gender` 1..1 | `unknown` |

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Error;
use serde_json::value::RawValue;

use super::canonical::{
    DATA_ABSENT_REASON, IDENTITY_VERIFICATION, OBSERVATION_VALUE, RECORD_ID_PATH, SUBSETTED, US_CORE_PATIENT,
};
use super::disclosure::{Disclosure, Identifier};
use super::json::Value;
use super::name_text;
use super::splice::members;

/// What the URLs of the guide's profiles begin with: they promise elements that a redacted Patient may have lost.
const GUIDE_PROFILES: &str = "http://hl7.org/fhir/us/identity-matching/";

/// How a Patient is rendered.
#[derive(Debug, Clone, Copy)]
pub struct Rendering<'a> {
    /// The URL this server is reached under, without a slash at the end.
    pub base_url: &'a str,
    pub disclosure: &'a Disclosure,
    /// Become `Patient.link`; stored links never leave.
    pub links: &'a [PatientLink<'a>],
}

/// A link to another record of the same person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatientLink<'a> {
    pub kind: LinkKind,
    pub record_id: &'a str,
}

/// The part of FHIR `link-type` that this server writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    SeeAlso,
    ReplacedBy,
    Replaces,
}

impl LinkKind {
    /// The code of `http://hl7.org/fhir/link-type`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::SeeAlso => "seealso",
            Self::ReplacedBy => "replaced-by",
            Self::Replaces => "replaces",
        }
    }
}

/// The stored Patient `body` as it may leave.
///
/// # Errors
/// When `body`, or an element that has to be looked into, is not the JSON of a Patient.
pub fn render_patient(body: &str, options: &Rendering<'_>) -> Result<String, Error> {
    let stored = members(body)?;
    let mut draft = Draft::new(stored, options.disclosure);
    draft.edit_identifiers(options.base_url)?;
    draft.edit_contained()?;
    draft.edit_extensions()?;
    draft.edit_names()?;
    draft.edit_telecoms()?;
    draft.edit_gender();
    draft.edit_links(options);
    draft.edit_narrative();
    draft.write(body.len() + 512)
}

/// Whether `patient` came from an answer that lacked or added something: it must not replace what is stored.
#[must_use]
pub fn is_subsetted(patient: &Value<'_>) -> bool {
    let tags = patient.get("meta").map_or(&[][..], |meta| meta.list("tag"));
    tags.iter().any(|tag| {
        tag.text("code") == Some(SUBSETTED) && tag.text("system").is_none_or(|system| system == OBSERVATION_VALUE)
    })
}

/// The stored members that may leave, and what becomes of some of them.
struct Draft<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// New text of a member; `None` when it does not leave.
    edits: Vec<(&'static str, Option<String>)>,
    /// Something was kept back that the narrative may tell.
    withheld: Withheld,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Withheld {
    Nothing,
    Something,
}

impl<'a> Draft<'a> {
    fn new(mut members: Vec<(Cow<'a, str>, &'a RawValue)>, disclosure: &Disclosure) -> Self {
        let stored = members.len();
        members.retain(|(name, _)| disclosure.allows(name));
        let withheld = if members.len() < stored { Withheld::Something } else { Withheld::Nothing };
        Self { members, edits: Vec::new(), withheld }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.members.iter().find(|(key, _)| key == name).map(|(_, raw)| raw.get())
    }

    /// US Core Patient: `identifier` 1..*, `identifier.system` and `identifier.value` 1..1. Without any, the server's own
    /// id identifies.
    fn edit_identifiers(&mut self, base_url: &str) -> Result<(), Error> {
        let stored = self.get("identifier").unwrap_or("[]");
        let heads: Vec<Identifier<'_>> = serde_json::from_str(stored)?;
        let leaves =
            |head: &Identifier<'_>| is_given(head.system.as_ref()) && is_given(head.value.as_ref()) && !head.is_ssn();
        if heads.iter().any(Identifier::is_ssn) {
            self.withheld = Withheld::Something;
        }
        if heads.iter().any(leaves) {
            if !heads.iter().all(leaves) {
                self.edits.push(("identifier", Some(retain(stored, |i| heads.get(i).is_some_and(leaves))?)));
            }
            return Ok(());
        }
        // Each server has a system of its own: equal ids of two servers are no agreement.
        let system = format!("{base_url}/{RECORD_ID_PATH}");
        let own = self.get("id").map(|id| format!("[{{\"system\":\"{system}\",\"value\":{id}}}]"));
        self.edits.push(("identifier", own));
        Ok(())
    }

    /// A contained resource may carry a social security number as well.
    fn edit_contained(&mut self) -> Result<(), Error> {
        let Some(stored) = self.get("contained") else { return Ok(()) };
        let mut edited = false;
        let mut items = Vec::new();
        for raw in serde_json::from_str::<Vec<&RawValue>>(stored)? {
            let item = without_ssn(raw.get())?;
            edited |= matches!(item, Cow::Owned(_));
            items.push(item);
        }
        if edited {
            self.withheld = Withheld::Something;
            self.edits.push(("contained", Some(format!("[{}]", items.join(",")))));
        }
        Ok(())
    }

    /// How this server verified the identity is its own affair.
    fn edit_extensions(&mut self) -> Result<(), Error> {
        let Some(stored) = self.get("extension") else { return Ok(()) };
        if let Some(left) = without_verification(stored)? {
            self.withheld = Withheld::Something;
            self.edits.push(("extension", Some(left).filter(|left| left != "[]")));
        }
        Ok(())
    }

    /// US Core Patient: `telecom.system` and `telecom.value` 1..1.
    fn edit_telecoms(&mut self) -> Result<(), Error> {
        let Some(stored) = self.get("telecom") else { return Ok(()) };
        let heads: Vec<ContactPoint<'_>> = serde_json::from_str(stored)?;
        let leaves = |head: &ContactPoint<'_>| is_given(head.system.as_ref()) && is_given(head.value.as_ref());
        if !heads.iter().all(leaves) {
            let left = retain(stored, |i| heads.get(i).is_some_and(leaves))?;
            self.edits.push(("telecom", Some(left).filter(|left| left != "[]")));
        }
        Ok(())
    }

    /// US Core Patient: `name` 1..*, and us-core-6: a name has family or given, or says why not.
    fn edit_names(&mut self) -> Result<(), Error> {
        let stored = self.get("name").unwrap_or("[]");
        let heads: Vec<Name<'_>> = serde_json::from_str(stored)?;
        if heads.is_empty() {
            self.edits.push(("name", Some(format!("[{{\"extension\":[{}]}}]", absent_reason()))));
        } else if heads.iter().any(Name::lacks_reason) {
            let raws: Vec<&RawValue> = serde_json::from_str(stored)?;
            let names: Result<Vec<Cow<'_, str>>, Error> = heads
                .iter()
                .zip(&raws)
                .map(|(head, raw)| {
                    if head.lacks_reason() { completed(head, raw.get()).map(Cow::Owned) } else { Ok(raw.get().into()) }
                })
                .collect();
            self.edits.push(("name", Some(format!("[{}]", names?.join(",")))));
        }
        Ok(())
    }

    /// US Core Patient: `gender` 1..1.
    fn edit_gender(&mut self) {
        if self.get("gender").is_none() {
            self.edits.push(("gender", Some("\"unknown\"".to_owned())));
        }
    }

    fn edit_links(&mut self, options: &Rendering<'_>) {
        let link = |link: &PatientLink<'_>| {
            let reference = quoted(&format!("{}/Patient/{}", options.base_url, link.record_id));
            format!("{{\"other\":{{\"reference\":{reference}}},\"type\":\"{}\"}}", link.kind.code())
        };
        let links: Vec<String> = options.links.iter().map(link).collect();
        let text = Some(format!("[{}]", links.join(","))).filter(|_| !links.is_empty());
        if text.as_deref() != self.get("link") {
            self.edits.push(("link", text));
        }
    }

    /// The narrative was made from the whole record: it leaves only if nothing was withheld.
    fn edit_narrative(&mut self) {
        if self.withheld == Withheld::Something && self.get("text").is_some() {
            self.edits.push(("text", None));
        }
    }

    fn write(self, capacity: usize) -> Result<String, Error> {
        let subsetted = self.withheld == Withheld::Something || !self.edits.is_empty();
        let meta = render_meta(self.get("meta").unwrap_or("{}"), subsetted)?;
        let mut out = ObjectWriter::with_capacity(capacity);
        for (name, raw) in &self.members {
            let edit = self.edits.iter().find(|(edited, _)| edited == name);
            match edit {
                _ if name == "meta" => out.member("meta", &meta),
                Some((_, Some(text))) => out.member(name, text),
                Some((_, None)) => {}
                None => out.member(name, raw.get()),
            }
        }
        if self.get("meta").is_none() {
            out.member("meta", &meta);
        }
        for (name, text) in &self.edits {
            if let (Some(text), None) = (text, self.get(name)) {
                out.member(name, text);
            }
        }
        Ok(out.finish())
    }
}

fn is_given(text: Option<&Cow<'_, str>>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}

/// As much of a `ContactPoint` as US Core demands.
#[derive(Deserialize)]
struct ContactPoint<'a> {
    #[serde(borrow)]
    system: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
}

/// As much of a `HumanName` as us-core-6 asks about.
#[derive(Deserialize)]
struct Name<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    family: Option<IgnoredAny>,
    given: Option<IgnoredAny>,
    #[serde(rename = "_family")]
    family_extension: Option<IgnoredAny>,
    #[serde(rename = "_given")]
    given_extension: Option<IgnoredAny>,
    #[serde(default)]
    extension: Vec<ExtensionUrl>,
}

impl Name<'_> {
    fn lacks_reason(&self) -> bool {
        let parts = [&self.family, &self.given, &self.family_extension, &self.given_extension];
        parts.iter().all(|part| part.is_none())
            && !self.extension.iter().any(|extension| extension.url == DATA_ABSENT_REASON)
    }
}

#[derive(Deserialize)]
struct ExtensionUrl {
    #[serde(default)]
    url: String,
}

fn absent_reason() -> String {
    format!("{{\"url\":\"{DATA_ABSENT_REASON}\",\"valueCode\":\"unknown\"}}")
}

/// The name `raw` with the parts that its text gives, or else with the reason why they are missing.
fn completed(head: &Name<'_>, raw: &str) -> Result<String, Error> {
    let Some(parsed) = head.text.as_deref().and_then(name_text::parse) else { return with_reason(raw) };
    let mut out = ObjectWriter::with_capacity(raw.len() + 128);
    let parts = members(raw)?;
    for (name, value) in &parts {
        out.member(name, value.get());
    }
    if let Some(family) = &parsed.family {
        out.member("family", &quoted(family));
    }
    for (name, words) in [("given", &parsed.given), ("prefix", &parsed.prefix), ("suffix", &parsed.suffix)] {
        if !words.is_empty() && parts.iter().all(|(member, _)| member != name) {
            out.member(name, &serde_json::Value::from(words.clone()).to_string());
        }
    }
    Ok(out.finish())
}

/// The name `raw` with the reason for its missing parts.
fn with_reason(raw: &str) -> Result<String, Error> {
    let mut out = ObjectWriter::with_capacity(raw.len() + 128);
    let parts = members(raw)?;
    let extensions = parts.iter().find(|(name, _)| name == "extension").map_or("[]", |(_, list)| list.get());
    out.member("extension", &with_item(extensions, &absent_reason()));
    for (name, value) in parts.iter().filter(|(name, _)| name != "extension") {
        out.member(name, value.get());
    }
    Ok(out.finish())
}

/// The contained resource `raw`; owned when identifiers had to go.
fn without_ssn(raw: &str) -> Result<Cow<'_, str>, Error> {
    let parts = members(raw)?;
    let Some((_, stored)) = parts.iter().find(|(name, value)| name == "identifier" && value.get().starts_with('['))
    else {
        return Ok(Cow::Borrowed(raw));
    };
    let heads: Vec<Identifier<'_>> = serde_json::from_str(stored.get())?;
    if !heads.iter().any(Identifier::is_ssn) {
        return Ok(Cow::Borrowed(raw));
    }
    let left = retain(stored.get(), |i| heads.get(i).is_some_and(|head| !head.is_ssn()))?;
    let mut out = ObjectWriter::with_capacity(raw.len());
    for (name, value) in &parts {
        match name.as_ref() {
            "identifier" if left == "[]" => {}
            "identifier" => out.member(name, &left),
            "text" => {}
            _ => out.member(name, value.get()),
        }
    }
    Ok(Cow::Owned(out.finish()))
}

/// The list of extensions without the verification of the identity; `None` when it holds none.
fn without_verification(list: &str) -> Result<Option<String>, Error> {
    let heads: Vec<ExtensionUrl> = serde_json::from_str(list)?;
    if heads.iter().all(|head| head.url != IDENTITY_VERIFICATION) {
        return Ok(None);
    }
    retain(list, |i| heads.get(i).is_some_and(|head| head.url != IDENTITY_VERIFICATION)).map(Some)
}

/// As much of a Meta as decides what it lacks.
#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default)]
    profile: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    tag: Vec<Tag<'a>>,
    #[serde(default)]
    extension: Vec<ExtensionUrl>,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow)]
    system: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
}

/// `stored` meta with the US Core profile, and tagged, without claims of the guide's profiles, when the Patient is
/// `subsetted`. The profile alone is no reason for the tag: sent back, it would harm nothing.
fn render_meta(stored: &str, subsetted: bool) -> Result<String, Error> {
    let head: Meta<'_> = serde_json::from_str(stored)?;
    let verified = head.extension.iter().any(|extension| extension.url == IDENTITY_VERIFICATION);
    let tagged =
        |tag: &Tag<'_>| tag.code.as_deref() == Some(SUBSETTED) && tag.system.as_deref() == Some(OBSERVATION_VALUE);
    let subsetted = subsetted || verified;
    let tag = subsetted && !head.tag.iter().any(tagged);
    let is_void = |profile: &str| subsetted && profile.starts_with(GUIDE_PROFILES);
    let keeps = |at: usize| head.profile.get(at).is_some_and(|profile| !is_void(profile));
    let voids = head.profile.iter().any(|profile| is_void(profile));
    let profile = !head.profile.iter().any(|profile| profile.split('|').next() == Some(US_CORE_PATIENT));
    let mut profiles = profile.then(|| quoted(US_CORE_PATIENT));
    let mut tags = tag.then(|| format!("{{\"system\":\"{OBSERVATION_VALUE}\",\"code\":\"{SUBSETTED}\"}}"));
    let mut out = ObjectWriter::with_capacity(stored.len() + 256);
    for (name, raw) in members(stored)? {
        let mut text = Cow::Borrowed(raw.get());
        if voids && name == "profile" {
            text = Cow::Owned(retain(raw.get(), keeps)?);
        }
        let added = match name.as_ref() {
            // Extensions of profiles go by position, and that is no longer theirs.
            "_profile" if voids => continue,
            "profile" => profiles.take(),
            "tag" => tags.take(),
            _ => None,
        };
        match added {
            Some(item) => out.member(&name, &with_item(&text, &item)),
            None if verified && name == "extension" => {
                let left = without_verification(raw.get())?.filter(|left| left != "[]");
                if let Some(left) = left {
                    out.member("extension", &left);
                }
            }
            None => out.member(&name, &text),
        }
    }
    for (name, item) in [("profile", profiles), ("tag", tags)] {
        if let Some(item) = item {
            out.member(name, &format!("[{item}]"));
        }
    }
    Ok(out.finish())
}

/// The elements of the JSON array `list` whose index `keeps`, as written.
fn retain(list: &str, keeps: impl Fn(usize) -> bool) -> Result<String, Error> {
    let raws: Vec<&RawValue> = serde_json::from_str(list)?;
    let kept: Vec<&str> = raws.iter().enumerate().filter(|(i, _)| keeps(*i)).map(|(_, raw)| raw.get()).collect();
    Ok(format!("[{}]", kept.join(",")))
}

/// The JSON array `list` with `item` at its end.
fn with_item(list: &str, item: &str) -> String {
    let list = list.trim_end();
    let open = list.strip_suffix(']').unwrap_or(list).trim_end();
    let comma = if open.ends_with('[') { "" } else { "," };
    format!("{open}{comma}{item}]")
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Writes a JSON object member by member, values as given.
struct ObjectWriter {
    out: String,
}

impl ObjectWriter {
    fn with_capacity(bytes: usize) -> Self {
        let mut out = String::with_capacity(bytes);
        out.push('{');
        Self { out }
    }

    fn member(&mut self, name: &str, value: &str) {
        if self.out.len() > 1 {
            self.out.push(',');
        }
        if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.out.push('"');
            self.out.push_str(name);
            self.out.push('"');
        } else {
            self.out.push_str(&quoted(name));
        }
        self.out.push(':');
        self.out.push_str(value);
    }

    fn finish(mut self) -> String {
        self.out.push('}');
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Limits, parse};

    const BASE: &str = "https://match.example.org/fhir";
    const PROFILE: &str = r#""profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]"#;
    const TAG: &str =
        r#""tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]"#;
    const ID: &str = r#"[{"system":"https://match.example.org/fhir/NamingSystem/record-id","value":"p1"}]"#;
    const WHY: &str = r#"{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}"#;
    const REST: &str = r#""name":[{"family":"Doe"}],"gender":"female""#;

    fn render(body: &str, disclosure: &Disclosure, links: &[PatientLink<'_>]) -> String {
        render_patient(body, &Rendering { base_url: BASE, disclosure, links }).expect("a Patient")
    }

    /// A stored Patient: fixed head, `members` after it.
    fn stored(members: &str) -> String {
        format!(r#"{{"resourceType":"Patient","id":"p1","meta":{{"versionId":"1"}},{members}}}"#)
    }

    fn tagged(members: &str) -> String {
        format!(r#"{{"resourceType":"Patient","id":"p1","meta":{{"versionId":"1",{PROFILE},{TAG}}},{members}}}"#)
    }

    #[test]
    fn a_complete_patient_gains_only_the_profile() {
        let rest = format!(
            r#""identifier":[{{"system":"http://x","value":"1", "n": 1.00}}],{REST},"birthDate":"1980","x":[1.50,"\u00e9"]"#
        );
        let expected = format!(r#"{{"resourceType":"Patient","id":"p1","meta":{{"versionId":"1",{PROFILE}}},{rest}}}"#);
        assert_eq!(render(&stored(&rest), &Disclosure::full(), &[]), expected);
        assert_eq!(render(&expected, &Disclosure::full(), &[]), expected, "rendering twice changes nothing");
    }

    #[test]
    fn identifiers_without_system_and_social_security_numbers_never_leave() {
        let (mrn, other) = (r#"{"system":"http://x","value":"1"}"#, r#"{"system":"http://y","value":"2","z": 1.0}"#);
        let table = [
            (format!(r#"[{mrn},{{"value":"9"}},{other}]"#), format!("[{mrn},{other}]")),
            (format!(r#"[{mrn},{{"system":"","value":"9"}}]"#), format!("[{mrn}]")),
            (format!(r#"[{{"system":"http://y"}},{mrn},{{"system":"http://y","value":""}}]"#), format!("[{mrn}]")),
            (r#"[{"system":"http://y"}]"#.to_owned(), ID.to_owned()),
            (format!(r#"[{{"system":"http://hl7.org/fhir/sid/us-ssn","value":"9"}},{mrn}]"#), format!("[{mrn}]")),
            (
                format!(r#"[{mrn},{{"system":"http://z","type":{{"coding":[{{"code":"SS"}}]}},"value":"9"}}]"#),
                format!("[{mrn}]"),
            ),
            (
                format!(r#"[{mrn},{{"system":"http://z","type":{{"coding":[{{"code":"SSN4"}}]}},"value":"9"}}]"#),
                format!("[{mrn}]"),
            ),
            (r#"[{"value":"9"}]"#.to_owned(), ID.to_owned()),
            (r#"[{"system":"http://hl7.org/fhir/sid/us-ssn","value":"9"}]"#.to_owned(), ID.to_owned()),
        ];
        for (given, expected) in table {
            let text = render(&stored(&format!(r#""identifier":{given},{REST}"#)), &Disclosure::full(), &[]);
            assert_eq!(text, tagged(&format!(r#""identifier":{expected},{REST}"#)), "{given}");
        }
        let none = render(&stored(REST), &Disclosure::full(), &[]);
        assert_eq!(none, tagged(&format!(r#"{REST},"identifier":{ID}"#)));
    }

    #[test]
    fn elements_that_us_core_demands_are_filled() {
        let identifier = r#""identifier":[{"system":"http://x","value":"1"}]"#;
        let table = [
            (r#""name":[{"family":"Doe"}]"#.to_owned(), r#""name":[{"family":"Doe"}],"gender":"unknown""#.to_owned()),
            (r#""gender":"male""#.to_owned(), format!(r#""gender":"male","name":[{{"extension":[{WHY}]}}]"#)),
            (
                r#""gender":"male","name":[{"given":["A"]},{"use":"old"},{"text":"A1 & B","extension":[{"url":"u"}]}]"#
                    .to_owned(),
                format!(
                    r#""gender":"male","name":[{{"given":["A"]}},{{"extension":[{WHY}],"use":"old"}},{{"extension":[{{"url":"u"}},{WHY}],"text":"A1 & B"}}]"#
                ),
            ),
        ];
        for (given, expected) in table {
            let text = render(&stored(&format!("{identifier},{given}")), &Disclosure::full(), &[]);
            assert_eq!(text, tagged(&format!("{identifier},{expected}")), "{given}");
        }
        let extended = format!(
            r#"{identifier},"gender":"male","name":[{{"_family":{{"extension":[{WHY}]}}}},{{"extension":[{WHY}]}}]"#
        );
        assert!(!render(&stored(&extended), &Disclosure::full(), &[]).contains("SUBSETTED"), "already said why");
    }

    #[test]
    fn a_name_that_is_only_a_text_gains_the_parts_that_the_text_gives() {
        let named = |name: &str| {
            stored(&format!(r#""identifier":[{{"system":"http://x","value":"1"}}],"gender":"male","name":[{name}]"#))
        };
        let table = [
            (r#"{"text":"Ada Mary Ng"}"#, r#"{"text":"Ada Mary Ng","family":"Ng","given":["Ada","Mary"]}"#),
            (
                r#"{"use":"old","text":"Dr. Ng, Ada","prefix":["Prof"]}"#,
                r#"{"use":"old","text":"Dr. Ng, Ada","prefix":["Prof"],"family":"Ng","given":["Ada"]}"#,
            ),
            (r#"{"text":"\u004eg"}"#, r#"{"text":"\u004eg","family":"Ng"}"#),
        ];
        for (given, expected) in table {
            let text = render(&named(given), &Disclosure::full(), &[]);
            assert!(text.ends_with(&format!(r#""name":[{expected}]}}"#)), "{text}");
            assert!(text.contains("SUBSETTED"), "{text}");
        }
    }

    #[test]
    fn contact_points_without_system_or_value_do_not_leave() {
        let (phone, rest) = (
            r#"{"system":"phone","value":"1", "rank":1}"#,
            format!(r#""identifier":[{{"system":"http://x","value":"1"}}],{REST}"#),
        );
        for (given, expected) in [
            (
                format!(r#"{{"value":"2"}},{phone},{{"system":"email"}},{{"system":"fax","value":""}}"#),
                format!(r#","telecom":[{phone}]"#),
            ),
            (r#"{"value":"2"}"#.to_owned(), String::new()),
        ] {
            let text = render(&stored(&format!(r#"{rest},"telecom":[{given}]"#)), &Disclosure::full(), &[]);
            assert_eq!(text, tagged(&format!("{rest}{expected}")), "{given}");
        }
        let whole = render(&stored(&format!(r#"{rest},"telecom":[{phone}]"#)), &Disclosure::full(), &[]);
        assert!(whole.contains(phone) && !whole.contains("SUBSETTED"), "{whole}");
    }

    #[test]
    fn a_redacted_patient_claims_no_profile_of_the_guide() {
        let guide = "http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L1";
        let claiming = |rest: &str| {
            format!(
                r#"{{"resourceType":"Patient","id":"p1","meta":{{"profile":["{guide}|2.0.0","http://p","{guide}"],"_profile":[null,{{"id":"a"}},null]}},{rest}}}"#
            )
        };
        let whole = format!(r#""identifier":[{{"system":"http://x","value":"1"}}],{REST}"#);
        let kept = render(&claiming(&whole), &Disclosure::full(), &[]);
        assert!(kept.contains(guide) && kept.contains("_profile"), "nothing was lost: {kept}");
        let redacted = render(&claiming(&whole), &Disclosure::only(["name"]), &[]);
        let core = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient";
        assert!(redacted.contains(&format!(r#""meta":{{"profile":["http://p","{core}"],{TAG}}}"#)), "{redacted}");
        let only = claiming(&whole).replace(r#""http://p","#, "").replace(r#"{"id":"a"},"#, "");
        let redacted = render(&only, &Disclosure::only(["name"]), &[]);
        assert!(redacted.contains(&format!(r#""meta":{{"profile":["{core}"],{TAG}}}"#)), "{redacted}");
    }

    #[test]
    fn links_are_the_servers_own() {
        let rest = format!(r#""identifier":[{{"system":"http://x","value":"1"}}],{REST}"#);
        let given = format!(r#"{rest},"link":[{{"other":{{"reference":"Patient/elsewhere"}},"type":"refer"}}]"#);
        let links = [
            PatientLink { kind: LinkKind::SeeAlso, record_id: "p2" },
            PatientLink { kind: LinkKind::Replaces, record_id: "p3" },
        ];
        let written = format!(
            r#"{rest},"link":[{{"other":{{"reference":"{BASE}/Patient/p2"}},"type":"seealso"}},{{"other":{{"reference":"{BASE}/Patient/p3"}},"type":"replaces"}}]"#
        );
        assert_eq!(render(&stored(&given), &Disclosure::full(), &links), tagged(&written));
        assert_eq!(render(&stored(&given), &Disclosure::full(), &[]), tagged(&rest));
        assert!(
            !render(&stored(&written), &Disclosure::full(), &links).contains("SUBSETTED"),
            "the links were stored so"
        );
        assert_eq!(LinkKind::ReplacedBy.code(), "replaced-by");
    }

    #[test]
    fn what_is_withheld_takes_the_narrative_with_it() {
        let (ssn, mrn) =
            (r#"{"system":"http://hl7.org/fhir/sid/us-ssn","value":"9"}"#, r#"{"system":"http://x","value":"1"}"#);
        let verified =
            r#"{"url":"https://idi-match.example/StructureDefinition/identity-verification","valueCode":"IAL2"}"#;
        let text = r#""text":{"status":"generated","div":"<div>9</div>"}"#;
        let plain = format!(r#""identifier":[{mrn}],{REST}"#);
        let table = [
            (format!(r#"{text},"identifier":[{ssn},{mrn}],{REST}"#), plain.clone()),
            (format!(r#"{text},"extension":[{verified}],{plain}"#), plain.clone()),
            (
                format!(r#""extension":[{{"url":"u"}},{verified}],{plain}"#),
                format!(r#""extension":[{{"url":"u"}}],{plain}"#),
            ),
            (
                format!(
                    r#"{text},"contained":[{{"resourceType":"Patient",{text},"identifier":[{ssn}]}},{{"id":"o", "n":1.0}}],{plain}"#
                ),
                format!(r#""contained":[{{"resourceType":"Patient"}},{{"id":"o", "n":1.0}}],{plain}"#),
            ),
        ];
        for (given, expected) in table {
            assert_eq!(render(&stored(&given), &Disclosure::full(), &[]), tagged(&expected), "{given}");
        }
        let kept = format!(r#"{text},"identifier":[{mrn},{{"value":"2"}}],{REST}"#);
        assert!(
            render(&stored(&kept), &Disclosure::full(), &[]).contains("<div>"),
            "an identifier without system is no secret"
        );
    }

    #[test]
    fn only_disclosed_elements_leave() {
        let rest = format!(
            r#""identifier":[{{"system":"http://x","value":"1"}}],{REST},"birthDate":"1980","_birthDate":{{"id":"a"}},"photo":[{{"data":"AA=="}}]"#
        );
        let text = render(&stored(&rest), &Disclosure::only(["birthDate"]), &[]);
        let added = format!(r#""identifier":{ID},"name":[{{"extension":[{WHY}]}}],"gender":"unknown""#);
        assert_eq!(text, tagged(&format!(r#""birthDate":"1980","_birthDate":{{"id":"a"}},{added}"#)));
    }

    #[test]
    fn meta_keeps_what_it_had() {
        let rest = format!(r#""identifier":[{{"value":"1"}}],{REST}"#);
        let rendered = format!(r#""identifier":{ID},{REST}"#);
        let verified = r#"{"url":"https://idi-match.example/StructureDefinition/identity-verification"}"#;
        let subsetted = TAG.trim_start_matches(r#""tag":["#).trim_end_matches(']');
        let table = [
            (String::new(), format!("{PROFILE},{TAG}")),
            (
                r#""tag":[ {"code":"t"} ],"profile":["p"],"x": 1.0"#.to_owned(),
                format!(
                    r#""tag":[ {{"code":"t"}},{subsetted}],"profile":["p","http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"],"x":1.0"#
                ),
            ),
            (format!("{TAG},{PROFILE}"), format!("{TAG},{PROFILE}")),
            (format!(r#""extension":[{verified}]"#), format!("{PROFILE},{TAG}")),
        ];
        for (given, expected) in table {
            let body = format!(r#"{{"resourceType":"Patient","id":"p1","meta":{{{given}}},{rest}}}"#);
            let expected = format!(r#"{{"resourceType":"Patient","id":"p1","meta":{{{expected}}},{rendered}}}"#);
            assert_eq!(render(&body, &Disclosure::full(), &[]), expected, "{given}");
        }
        let bare = render(r#"{"resourceType":"Patient","id":"p1"}"#, &Disclosure::full(), &[]);
        assert!(bare.contains(&format!(r#""meta":{{{PROFILE},{TAG}}}"#)), "{bare}");
    }

    #[test]
    fn a_subsetted_patient_is_recognised() {
        let tag = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
        let table = [
            (tagged(REST), true),
            (stored(REST), false),
            (r#"{"meta":{"tag":[{"code":"SUBSETTED"}]}}"#.to_owned(), true),
            (r#"{"meta":{"tag":[{"code":"x"},{"system":"http://other","code":"SUBSETTED"}]}}"#.to_owned(), false),
            (format!(r#"{{"meta":{{"tag":[{{"system":"{tag}","code":"REDACTED"}}]}}}}"#), false),
            ("[]".to_owned(), false),
        ];
        for (text, expected) in table {
            assert_eq!(is_subsetted(&parse(text.as_bytes(), &Limits::DEFAULT).expect("JSON")), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_patient_is_an_error() {
        let disclosure = Disclosure::full();
        for body in ["", "[]", r#"{"identifier":3}"#, r#"{"name":[3]}"#, r#"{"meta":[]}"#, r#"{"extension":{}}"#] {
            let rendering = Rendering { base_url: BASE, disclosure: &disclosure, links: &[] };
            assert!(render_patient(body, &rendering).is_err(), "{body}");
        }
    }
}
