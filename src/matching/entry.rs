//! The form in which records are compared: a stored one as a few 32-bit words, a query with its values at hand.
//!
//! What: [`Entry`] is what the index keeps of a record; [`Query`] is the same of the record asked for, with ids where
//! the dictionary has the value. Not here: the comparison of the two (see `comparison`), block keys (see `blocking`).

use std::borrow::Cow;

pub use super::dictionary::UNKNOWN as UNKNOWN_ID;
use super::dictionary::{Dictionary, NameForm, UNKNOWN, hash, hashes};
use super::model::Model;
use super::normalise::identifier::{Identifier, Kind};
use super::normalise::name::Suffix;
use super::record::{BirthDate, Record, Sex};

const ID_BITS: u32 = 27;
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
}

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
        words[1] = facts_word(Facts::of(record), record.addresses.len());
        let tagged = words.len();
        push_names(&mut words, record, dictionary, model);
        for (tag, list) in [(Tag::Phone, &record.phones), (Tag::Email, &record.emails)] {
            words.extend(list.iter().map(|text| word(tag as u8, dictionary.intern_text(text.as_bytes()))));
        }
        for identifier in &record.identifiers {
            let text = identifier_text(identifier);
            words.push(word(identifier_tag(identifier.kind), dictionary.intern_text(&text)));
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
        }
    }
}

const fn word(tag: u8, id: u32) -> u32 {
    (tag as u32) << ID_BITS | (id & ID_MASK)
}

fn push_names(words: &mut Vec<u32>, record: &Record, dictionary: &mut Dictionary, model: &Model) {
    for name in &record.names {
        if let Some(given) = &name.given {
            words.push(word(Tag::Given as u8, dictionary.intern_given(given, &name.formal, model)));
        }
        if let Some(family) = &name.family {
            words.push(word(Tag::Family as u8, dictionary.intern_name(family, model)));
        }
        for (tag, parts) in
            [(Tag::GivenPart, &name.given_parts), (Tag::Middle, &name.middle), (Tag::FamilyPart, &name.family_parts)]
        {
            words.extend(parts.iter().map(|part| word(tag as u8, dictionary.intern_name(part, model))));
        }
    }
}

fn facts_word(facts: Facts, addresses: usize) -> u32 {
    let sex = |sex: Option<Sex>| sex.map_or(0, |sex| sex as u32 + 1);
    let suffix = facts.suffix.map_or(0, |suffix| suffix as u32 + 1);
    let addresses = u32::try_from(addresses).unwrap_or(0);
    sex(facts.gender) | sex(facts.birth_sex) << 2 | suffix << 4 | u32::from(facts.is_imitated) << 8 | addresses << 16
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
            _ => None,
        },
        is_imitated: (word >> 8) & 1 == 1,
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
        let name = |text: &String| query_name(text, &[], dictionary, model);
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
            given_parts: distinct(names.iter().flat_map(|n| n.given_parts.iter().map(name)).collect()),
            middle: distinct(names.iter().flat_map(|n| n.middle.iter().map(name)).collect()),
            family: distinct(names.iter().filter_map(|n| n.family.as_ref().map(name)).collect()),
            family_parts: distinct(names.iter().flat_map(|n| n.family_parts.iter().map(name)).collect()),
            addresses: record.addresses.iter().map(address).collect(),
            phones: record.phones.iter().map(text).collect(),
            emails: record.emails.iter().map(text).collect(),
            identifiers: identifiers.map(|i| (i.kind, query_text(&identifier_text(i), dictionary))).collect(),
        }
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
            form: Cow::Owned(NameForm { formal: hashes(formal), ..NameForm::new(text, model) }),
        };
    };
    let form = dictionary.name(id);
    if formal.len() == form.formal.len() {
        return QueryName { id, form: Cow::Borrowed(form) };
    }
    QueryName { id, form: Cow::Owned(NameForm { formal: hashes(formal), ..form.clone() }) }
}

fn query_text(text: &[u8], dictionary: &Dictionary) -> QueryText {
    QueryText { id: dictionary.find_text(text).unwrap_or(UNKNOWN), text: text.to_vec(), hash: hash(text) }
}
