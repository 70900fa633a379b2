//! The form in which records are compared: a stored one as a few 32-bit words, a query with its values at hand.
//!
//! What: [`Entry`] is what the index keeps of a record; [`Query`] is the same of the record asked for, with ids where
//! the dictionary has the value. Not here: the comparison of the two (see `comparison`), block keys (see `blocking`).

use std::borrow::Cow;

pub use super::dictionary::UNKNOWN as UNKNOWN_ID;
use super::dictionary::{Dictionary, ID_BITS, NameForm, UNKNOWN, formal_names, hash};
use super::model::Model;
use super::normalise::identifier::{Identifier, Kind};
use super::normalise::name::{Completeness, Name, Suffix};
use super::record::{BirthDate, Record, Sex};

const ID_MASK: u32 = (1 << ID_BITS) - 1;

/// What a word of an entry holds. The order is that of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    Given,
    GivenPart,
    Middle,
    Family,
    FamilyPart,
    Phone,
    Email,
    /// Identifiers take a tag for each [`Kind`], in its order.
    Identifier,
}

const fn identifier_tag(kind: Kind) -> u8 {
    Tag::Identifier as u8 + kind as u8
}

const KINDS: [Kind; 11] = [
    Kind::MedicalRecord,
    Kind::Member,
    Kind::Subscriber,
    Kind::Medicare,
    Kind::Licence,
    Kind::StateId,
    Kind::Passport,
    Kind::Digital,
    Kind::Other,
    Kind::SocialSecurity,
    Kind::SocialSecurityLast4,
];

/// A stored record: birth date, facts, tagged ids in the order of tags, addresses of four words each.
#[derive(Debug, Clone)]
pub struct Entry {
    words: Box<[u32]>,
}

/// Facts of a record that fit in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    pub gender: Option<Sex>,
    pub birth_sex: Option<Sex>,
    pub suffix: Option<Suffix>,
    /// A name had letters that imitate others.
    pub is_imitated: bool,
    /// A part of a name is not known, so that a part alone is no single legal name.
    pub is_name_incomplete: bool,
}

/// Names of a kind, beside the first and last ones, that are compared; more would be tried in every combination.
const PARTS_MAX: usize = 8;

/// Ids of the parts of a stored address; [`UNKNOWN`] where absent.
#[derive(Debug, Clone, Copy)]
pub struct AddressIds {
    pub line: u32,
    pub unit: u32,
    pub place: u32,
    pub zip: u32,
}

impl Entry {
    /// Encodes `record`, adding its values to `dictionary`.
    pub fn new(record: &Record, dictionary: &mut Dictionary, model: &Model) -> Self {
        let mut words = vec![birth_word(record.birth_date), 0];
        let mut addresses = Vec::with_capacity(record.addresses.len() * 4);
        for address in &record.addresses {
            for part in [&address.line, &address.unit, &address.place, &address.zip] {
                addresses.push(part.as_ref().map_or(UNKNOWN, |text| dictionary.intern_text(text.as_bytes())));
            }
        }
        let tagged = words.len();
        let are_names_known = push_names(&mut words, record, dictionary, model);
        let facts = Facts::of(record);
        let facts = Facts { is_name_incomplete: facts.is_name_incomplete || !are_names_known, ..facts };
        words[1] = facts_word(facts, record.addresses.len());
        for (tag, list) in [(Tag::Phone, &record.phones), (Tag::Email, &record.emails)] {
            words.extend(list.iter().filter_map(|text| word(tag as u8, dictionary.intern_text(text.as_bytes()))));
        }
        for identifier in &record.identifiers {
            let text = identifier_text(identifier);
            words.extend(word(identifier_tag(identifier.kind), dictionary.intern_text(&text)));
        }
        words[tagged..].sort_by_key(|word| word >> ID_BITS);
        let mut written = tagged;
        for at in tagged..words.len() {
            if !words[tagged..written].contains(&words[at]) {
                words[written] = words[at];
                written += 1;
            }
        }
        words.truncate(written);
        words.extend(addresses);
        Self { words: words.into_boxed_slice() }
    }

    #[must_use]
    pub fn view(&self) -> View<'_> {
        let (facts, addresses) = read_facts(self.words[1]);
        let split = self.words.len() - addresses * 4;
        View { birth_date: self.words[0], facts, tagged: &self.words[2..split], addresses: &self.words[split..] }
    }

    /// Brings the entry into the processor's cache; see `index::propose`.
    #[must_use]
    pub const fn first_word(&self) -> u32 {
        self.words[0]
    }

    /// Memory held outside the entry itself (bytes).
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.words.len() * 4
    }
}

/// An entry, opened for reading.
#[derive(Debug, Clone, Copy)]
pub struct View<'e> {
    pub birth_date: u32,
    pub facts: Facts,
    tagged: &'e [u32],
    addresses: &'e [u32],
}

impl<'e> View<'e> {
    /// The ids under `tag`.
    pub fn ids(&self, tag: Tag) -> impl Iterator<Item = u32> + use<'e> {
        self.under(tag as u8)
    }

    /// The identifiers, in the order of kinds.
    pub fn identifiers(&self) -> impl Iterator<Item = (Kind, u32)> + use<'e> {
        let first = self.tagged.partition_point(|word| (word >> ID_BITS) < Tag::Identifier as u32);
        self.tagged[first..].iter().map(|word| {
            let kind = (word >> ID_BITS) - Tag::Identifier as u32;
            (KINDS[(kind as usize).min(KINDS.len() - 1)], word & ID_MASK)
        })
    }

    fn under(&self, tag: u8) -> impl Iterator<Item = u32> + use<'e> {
        let tag = u32::from(tag);
        let is_before = move |word: &&u32| (**word >> ID_BITS) < tag;
        let is_it = move |word: &&u32| (**word >> ID_BITS) == tag;
        self.tagged.iter().skip_while(is_before).take_while(is_it).map(|word| word & ID_MASK)
    }

    /// Brings the forms of names and the other texts into the processor's cache; see `index::propose`.
    #[must_use]
    pub fn touch(&self, dictionary: &Dictionary) -> u32 {
        let texts = self.tagged.iter().map(|word| {
            let (tag, id) = (word >> ID_BITS, word & ID_MASK);
            if tag < Tag::Phone as u32 { dictionary.touch_name(id) } else { dictionary.touch_text(id) }
        });
        let lines = self.addresses.chunks_exact(4).map(|ids| dictionary.touch_text(ids[0]));
        texts.chain(lines).fold(0, |read, byte| read ^ u32::from(byte))
    }

    /// Brings the letters of names into the processor's cache, after [`Self::touch`].
    #[must_use]
    pub fn touch_names(&self, dictionary: &Dictionary) -> u32 {
        let names = self.tagged.iter().take_while(|word| **word >> ID_BITS < Tag::Phone as u32);
        names.fold(0, |read, word| read ^ u32::from(dictionary.touch_letters(word & ID_MASK)))
    }

    pub fn addresses(&self) -> impl Iterator<Item = AddressIds> + use<'e> {
        self.addresses.chunks_exact(4).map(|ids| AddressIds { line: ids[0], unit: ids[1], place: ids[2], zip: ids[3] })
    }
}

impl Facts {
    fn of(record: &Record) -> Self {
        Self {
            gender: record.gender,
            birth_sex: record.birth_sex,
            suffix: record.names.iter().find_map(|name| name.suffix),
            is_imitated: record.names.iter().any(|name| name.is_imitated),
            is_name_incomplete: record.names.iter().any(|name| name.completeness == Completeness::PartUnknown),
        }
    }
}

/// A tagged id; `None` for a value that the dictionary did not take, which is as absent.
const fn word(tag: u8, id: u32) -> Option<u32> {
    if id < ID_MASK { Some((tag as u32) << ID_BITS | id) } else { None }
}

/// Whether the dictionary took every first and last name.
fn push_names(words: &mut Vec<u32>, record: &Record, dictionary: &mut Dictionary, model: &Model) -> bool {
    let mut all_known = true;
    for name in &record.names {
        let given = name.given.as_ref().map(|given| (Tag::Given, dictionary.intern_given(given, &name.formal, model)));
        let family = name.family.as_ref().map(|family| (Tag::Family, dictionary.intern_name(family, model)));
        for (tag, id) in given.into_iter().chain(family) {
            let word = word(tag as u8, id);
            all_known &= word.is_some();
            words.extend(word);
        }
    }
    for (tag, parts) in name_parts(record) {
        words.extend(parts.into_iter().filter_map(|part| word(tag as u8, dictionary.intern_name(part, model))));
    }
    all_known
}

/// The parts of names that are compared, each once.
fn name_parts(record: &Record) -> [(Tag, Vec<&str>); 3] {
    let parts = |of: fn(&Name) -> &[String]| {
        let mut parts: Vec<&str> = Vec::new();
        for part in record.names.iter().flat_map(of) {
            if parts.len() < PARTS_MAX && !parts.contains(&part.as_str()) {
                parts.push(part);
            }
        }
        parts
    };
    [
        (Tag::GivenPart, parts(|name| &name.given_parts)),
        (Tag::Middle, parts(|name| &name.middle)),
        (Tag::FamilyPart, parts(|name| &name.family_parts)),
    ]
}

fn facts_word(facts: Facts, addresses: usize) -> u32 {
    let sex = |sex: Option<Sex>| sex.map_or(0, |sex| sex as u32 + 1);
    let suffix = facts.suffix.map_or(0, |suffix| suffix as u32 + 1);
    let addresses = u32::try_from(addresses).unwrap_or(0);
    let flags = u32::from(facts.is_imitated) << 8 | u32::from(facts.is_name_incomplete) << 9;
    sex(facts.gender) | sex(facts.birth_sex) << 2 | suffix << 4 | flags | addresses << 16
}

const fn read_facts(word: u32) -> (Facts, usize) {
    let facts = Facts {
        gender: read_sex(word & 3),
        birth_sex: read_sex((word >> 2) & 3),
        suffix: match (word >> 4) & 15 {
            1 => Some(Suffix::Senior),
            2 => Some(Suffix::Junior),
            3 => Some(Suffix::Second),
            4 => Some(Suffix::Third),
            5 => Some(Suffix::Fourth),
            6 => Some(Suffix::Fifth),
            _ => None,
        },
        is_imitated: (word >> 8) & 1 == 1,
        is_name_incomplete: (word >> 9) & 1 == 1,
    };
    (facts, (word >> 16) as usize)
}

const fn read_sex(bits: u32) -> Option<Sex> {
    match bits {
        1 => Some(Sex::Female),
        2 => Some(Sex::Male),
        _ => None,
    }
}

/// Year, month and day in one word; 0 is absent.
#[must_use]
pub fn birth_word(date: Option<BirthDate>) -> u32 {
    date.map_or(0, |date| u32::from(date.year) << 9 | u32::from(date.month) << 5 | u32::from(date.day))
}

/// Year, month and day of a birth date word.
#[must_use]
pub const fn birth_parts(word: u32) -> (u32, u32, u32) {
    (word >> 9, (word >> 5) & 15, word & 31)
}

/// Value, a separator, issuer: one text for each distinct identifier.
fn identifier_text(identifier: &Identifier) -> Vec<u8> {
    let mut text = Vec::with_capacity(identifier.value.len() + 8);
    text.extend_from_slice(identifier.value.as_bytes());
    if !identifier.issuer.is_empty() {
        text.push(0);
        text.extend_from_slice(&hash(identifier.issuer.as_bytes()).to_le_bytes()[..6]);
    }
    text
}

/// Value and issuer of an identifier's text.
#[must_use]
pub fn split_identifier(text: &[u8]) -> (&[u8], &[u8]) {
    text.iter().position(|byte| *byte == 0).map_or((text, &[]), |at| text.split_at(at))
}

/// A name of the query.
#[derive(Debug, Clone)]
pub struct QueryName<'d> {
    pub id: u32,
    pub form: Cow<'d, NameForm>,
}

/// A text of the query.
#[derive(Debug, Clone)]
pub struct QueryText {
    pub id: u32,
    pub text: Vec<u8>,
    pub hash: u64,
}

/// An address of the query.
#[derive(Debug, Clone, Default)]
pub struct QueryAddress {
    pub line: Option<QueryText>,
    pub unit: Option<QueryText>,
    pub place: Option<QueryText>,
    pub zip: Option<QueryText>,
}

/// The record asked for, resolved against one dictionary.
#[derive(Debug, Clone)]
pub struct Query<'d> {
    pub birth_date: u32,
    pub facts: Facts,
    pub given: Vec<QueryName<'d>>,
    pub given_parts: Vec<QueryName<'d>>,
    pub middle: Vec<QueryName<'d>>,
    pub family: Vec<QueryName<'d>>,
    pub family_parts: Vec<QueryName<'d>>,
    pub addresses: Vec<QueryAddress>,
    pub phones: Vec<QueryText>,
    pub emails: Vec<QueryText>,
    pub identifiers: Vec<(Kind, QueryText)>,
}

impl<'d> Query<'d> {
    #[must_use]
    pub fn new(record: &Record, dictionary: &'d Dictionary, model: &Model) -> Self {
        let name = |text: &str| query_name(text, &[], dictionary, model);
        let [given_parts, middle, family_parts] =
            name_parts(record).map(|(_, parts)| parts.into_iter().map(name).collect::<Vec<_>>());
        let text = |text: &String| query_text(text.as_bytes(), dictionary);
        let part = |part: &Option<String>| part.as_ref().map(text);
        let names = &record.names;
        let address = |a: &super::normalise::address::Address| QueryAddress {
            line: part(&a.line),
            unit: part(&a.unit),
            place: part(&a.place),
            zip: part(&a.zip),
        };
        let given = names.iter().filter_map(|n| n.given.as_ref().map(|g| query_name(g, &n.formal, dictionary, model)));
        let identifiers = record.identifiers.iter();
        Self {
            birth_date: birth_word(record.birth_date),
            facts: Facts::of(record),
            given: distinct(given.collect()),
            given_parts,
            middle,
            family: distinct(names.iter().filter_map(|n| n.family.as_deref().map(name)).collect()),
            family_parts,
            addresses: record.addresses.iter().map(address).collect(),
            phones: record.phones.iter().map(text).collect(),
            emails: record.emails.iter().map(text).collect(),
            identifiers: identifiers.map(|i| (i.kind, query_text(&identifier_text(i), dictionary))).collect(),
        }
    }
}

impl<'d> Query<'d> {
    /// A stored record as a query, so that it can be asked about without its document.
    #[must_use]
    pub fn stored(view: &View<'_>, dictionary: &'d Dictionary) -> Self {
        let names = |tag: Tag| {
            view.ids(tag).map(|id| QueryName { id, form: Cow::Borrowed(dictionary.name(id)) }).collect::<Vec<_>>()
        };
        let text = |id: u32| {
            let text = dictionary.bytes_of(id);
            QueryText { id, text: text.to_vec(), hash: hash(text) }
        };
        let part = |id: u32| (id != UNKNOWN).then(|| text(id));
        let address = |ids: AddressIds| QueryAddress {
            line: part(ids.line),
            unit: part(ids.unit),
            place: part(ids.place),
            zip: part(ids.zip),
        };
        Self {
            birth_date: view.birth_date,
            facts: view.facts,
            given: names(Tag::Given),
            given_parts: names(Tag::GivenPart),
            middle: names(Tag::Middle),
            family: names(Tag::Family),
            family_parts: names(Tag::FamilyPart),
            addresses: view.addresses().map(address).collect(),
            phones: view.ids(Tag::Phone).map(text).collect(),
            emails: view.ids(Tag::Email).map(text).collect(),
            identifiers: view.identifiers().map(|(kind, id)| (kind, text(id))).collect(),
        }
    }

    /// The same query resolved against another dictionary.
    #[must_use]
    pub fn resolved(mut self, dictionary: &Dictionary) -> Self {
        let lists =
            [&mut self.given, &mut self.given_parts, &mut self.middle, &mut self.family, &mut self.family_parts];
        for name in lists.into_iter().flatten() {
            name.id = dictionary.find_name(&name.form.text).unwrap_or(UNKNOWN);
        }
        let address = |address: &mut QueryAddress| {
            let QueryAddress { line, unit, place, zip } = address;
            for text in [line, unit, place, zip].into_iter().flatten() {
                text.id = dictionary.find_text(&text.text).unwrap_or(UNKNOWN);
            }
        };
        self.addresses.iter_mut().for_each(address);
        let identifiers = self.identifiers.iter_mut().map(|(_, text)| text);
        for text in self.phones.iter_mut().chain(&mut self.emails).chain(identifiers) {
            text.id = dictionary.find_text(&text.text).unwrap_or(UNKNOWN);
        }
        self
    }
}

fn distinct(names: Vec<QueryName<'_>>) -> Vec<QueryName<'_>> {
    let mut kept: Vec<QueryName<'_>> = Vec::with_capacity(names.len());
    for name in names {
        if kept.iter().all(|other| other.form.hash != name.form.hash) {
            kept.push(name);
        }
    }
    kept
}

fn query_name<'d>(text: &str, formal: &[String], dictionary: &'d Dictionary, model: &Model) -> QueryName<'d> {
    let Some(id) = dictionary.find_name(text) else {
        return QueryName {
            id: UNKNOWN,
            form: Cow::Owned(NameForm { formal: formal_names(formal), ..NameForm::new(text, model) }),
        };
    };
    let form = dictionary.name(id);
    if formal.len() == form.formal.len() {
        return QueryName { id, form: Cow::Borrowed(form) };
    }
    QueryName { id, form: Cow::Owned(NameForm { formal: formal_names(formal), ..form.clone() }) }
}

fn query_text(text: &[u8], dictionary: &Dictionary) -> QueryText {
    QueryText { id: dictionary.find_text(text).unwrap_or(UNKNOWN), text: text.to_vec(), hash: hash(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::comparison::{Comparison, Evidence, Level, compare};
    use crate::matching::dictionary::tests::full;
    use crate::matching::model::tests::model;
    use crate::matching::record::tests::record;

    #[test]
    fn a_value_that_a_full_dictionary_did_not_take_equals_nothing() {
        let json = r#"{"name":[{"family":"Ray","given":["Ann","Eva"]}],"birthDate":"1980-02-03",
            "address":[{"line":["1 Oak St"],"postalCode":"12180"}],"telecom":[{"system":"phone","value":"2125550142"}],
            "identifier":[{"type":{"coding":[{"code":"MR"}]},"system":"urn:a","value":"7"}]}"#;
        let (record, mut dictionary) = (record(json), full());
        let entry = Entry::new(&record, &mut dictionary, model());
        assert_eq!(dictionary.refused(), 7);
        assert!(entry.view().facts.is_name_incomplete, "what is left is no single legal name");
        let pair = compare(&Query::new(&record, &dictionary, model()), &entry.view(), &dictionary);
        for comparison in Comparison::ALL.into_iter().filter(|comparison| *comparison != Comparison::BirthDate) {
            assert_eq!(pair.level(comparison), Level::Absent, "{comparison:?}");
        }
        assert!(pair.evidence.has(Evidence::BIRTH_DATE) && !pair.evidence.has(Evidence::FIRST));
    }

    #[test]
    fn facts_survive_their_word() {
        for is_name_incomplete in [false, true] {
            let facts = Facts {
                gender: Some(Sex::Male),
                birth_sex: Some(Sex::Female),
                suffix: Some(Suffix::Fourth),
                is_imitated: !is_name_incomplete,
                is_name_incomplete,
            };
            assert_eq!(read_facts(facts_word(facts, 8)), (facts, 8));
        }
    }
}
