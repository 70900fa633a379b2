//! What is known about records beside their evidence: constraints of stewards, links that records declare, and the
//! places that updated records had.
//!
//! Constraints name records by id, so they outlive versions, re-matching and even the records: what a deleted record was
//! linked with stays linked. Not here: storing them (see `store::steward`), clustering under them (see `partition`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// How two records are bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A steward says: one person.
    MustLink,
    /// A steward says: two people.
    CannotLink,
    /// They were together before one of them was updated.
    Continued,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::MustLink, Self::CannotLink, Self::Continued];

    /// The code that is stored.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MustLink => "must-link",
            Self::CannotLink => "cannot-link",
            Self::Continued => "continued",
        }
    }

    /// The kind of a code.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// Two records and what binds them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Constraint {
    pub a: String,
    pub b: String,
    pub kind: Kind,
}

impl Constraint {
    /// The smaller id first, so that a pair has one form.
    #[must_use]
    pub fn new(a: &str, b: &str, kind: Kind) -> Self {
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        Self { a: a.to_owned(), b: b.to_owned(), kind }
    }
}

/// All of them, by record.
#[derive(Debug, Clone, Default)]
pub struct Constraints {
    by_record: HashMap<String, Vec<(String, Kind)>>,
    /// The record that has replaced a record.
    survivors: HashMap<String, String>,
    replaced: HashMap<String, Vec<String>>,
}

impl Constraints {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_record.is_empty() && self.survivors.is_empty()
    }

    /// Whether no record says that another has replaced it.
    #[must_use]
    pub fn is_declaring_nothing(&self) -> bool {
        self.survivors.is_empty()
    }

    /// What a record is bound to.
    #[must_use]
    pub fn of(&self, record_id: &str) -> &[(String, Kind)] {
        self.by_record.get(record_id).map_or(&[], Vec::as_slice)
    }

    /// The record that has replaced this one.
    #[must_use]
    pub fn survivor(&self, record_id: &str) -> Option<&str> {
        self.survivors.get(record_id).map(String::as_str)
    }

    /// Records that a record is linked with by its own declaration or another's.
    pub fn declared<'c>(&'c self, record_id: &str) -> impl Iterator<Item = &'c str> + use<'c> {
        let replaced = self.replaced.get(record_id).into_iter().flatten();
        self.survivors.get(record_id).into_iter().chain(replaced).map(String::as_str)
    }

    /// Every record that has or had a link, and those it is bound to.
    pub fn records(&self) -> impl Iterator<Item = &str> {
        self.by_record.keys().chain(self.survivors.keys()).chain(self.survivors.values()).map(String::as_str)
    }

    /// Adds a constraint.
    pub fn insert(&mut self, constraint: &Constraint) {
        for (one, other) in [(&constraint.a, &constraint.b), (&constraint.b, &constraint.a)] {
            let list = self.by_record.entry(one.clone()).or_default();
            if !list.iter().any(|(there, kind)| there == other && *kind == constraint.kind) {
                list.push((other.clone(), constraint.kind));
            }
        }
    }

    /// Replaces everything that binds `record_id`; of `all` only what names it is taken.
    pub fn replace(&mut self, record_id: &str, all: &[Constraint]) {
        for (other, _) in self.by_record.remove(record_id).unwrap_or_default() {
            let Some(list) = self.by_record.get_mut(&other) else { continue };
            list.retain(|(there, _)| there != record_id);
            if list.is_empty() {
                self.by_record.remove(&other);
            }
        }
        all.iter().filter(|one| one.a == record_id || one.b == record_id).for_each(|one| self.insert(one));
    }

    /// What the record declares now: the one that has replaced it.
    pub fn declare(&mut self, record_id: &str, survivor: Option<&str>) {
        if self.survivors.get(record_id).map(String::as_str) == survivor {
            return;
        }
        if let Some(before) = self.survivors.remove(record_id)
            && let Some(list) = self.replaced.get_mut(&before)
        {
            list.retain(|there| there != record_id);
            if list.is_empty() {
                self.replaced.remove(&before);
            }
        }
        if let Some(survivor) = survivor {
            self.survivors.insert(record_id.to_owned(), survivor.to_owned());
            self.replaced.entry(survivor.to_owned()).or_default().push(record_id.to_owned());
        }
    }

    /// Everything that must be one person with `record_id`, itself included, whether it is stored or not.
    #[must_use]
    pub fn must_group(&self, record_id: &str) -> BTreeSet<String> {
        let mut group = BTreeSet::from([record_id.to_owned()]);
        let mut waiting = vec![record_id.to_owned()];
        while let Some(id) = waiting.pop() {
            for (other, _) in self.of(&id).iter().filter(|(_, kind)| *kind == Kind::MustLink) {
                if group.insert(other.clone()) {
                    waiting.push(other.clone());
                }
            }
        }
        group
    }

    /// Records of which stewards say that they are not the person of `record_id`, by this record or by one that must be
    /// one person with it.
    #[must_use]
    pub fn kept_apart(&self, record_id: &str) -> BTreeSet<String> {
        let group = if self.of(record_id).is_empty() { BTreeSet::new() } else { self.must_group(record_id) };
        let links = group.iter().flat_map(|id| self.of(id)).filter(|(_, kind)| *kind == Kind::CannotLink);
        links.map(|(other, _)| other.clone()).collect()
    }

    /// Whether stewards say that two records are two people's, directly or by records that must be one person with them.
    #[must_use]
    pub fn are_apart(&self, a: &str, b: &str) -> bool {
        if self.of(a).is_empty() || self.of(b).is_empty() {
            return false;
        }
        self.cannot_between(&self.must_group(a), &self.must_group(b)).is_some()
    }

    /// A cannot-link between two groups, if there is one.
    fn cannot_between(&self, a: &BTreeSet<String>, b: &BTreeSet<String>) -> Option<Constraint> {
        a.iter().find_map(|one| {
            let mut links = self.of(one).iter().filter(|(_, kind)| *kind == Kind::CannotLink);
            links.find(|(other, _)| b.contains(other)).map(|(other, kind)| Constraint::new(one, other, *kind))
        })
    }

    /// Whether `added` can hold beside what holds already, each after the ones before it.
    ///
    /// # Errors
    /// The first one that cannot, and what stands against it.
    pub fn check(&self, added: &[Constraint]) -> Result<(), Contradicting> {
        let mut all = self.clone_around(added);
        for constraint in added {
            let (a, b) = (all.must_group(&constraint.a), all.must_group(&constraint.b));
            let against = match constraint.kind {
                Kind::MustLink => all.cannot_between(&a, &b),
                Kind::CannotLink => {
                    a.contains(&constraint.b).then(|| Constraint { kind: Kind::MustLink, ..constraint.clone() })
                }
                Kind::Continued => None,
            };
            if let Some(against) = against {
                return Err(Contradicting { asked: constraint.clone(), against });
            }
            all.insert(constraint);
        }
        Ok(())
    }

    /// The constraints that `added` can meet: those of the groups that it names.
    fn clone_around(&self, added: &[Constraint]) -> Self {
        let mut around = Self::default();
        let named: BTreeSet<&String> = added.iter().flat_map(|one| [&one.a, &one.b]).collect();
        for record in named.into_iter().flat_map(|id| self.must_group(id)).collect::<HashSet<_>>() {
            for (other, kind) in self.of(&record) {
                around.insert(&Constraint::new(&record, other, *kind));
            }
        }
        around
    }

    /// All constraints, each once.
    #[must_use]
    pub fn all(&self) -> BTreeMap<(String, String), Vec<Kind>> {
        let mut all: BTreeMap<(String, String), Vec<Kind>> = BTreeMap::new();
        for (one, links) in &self.by_record {
            for (other, kind) in links.iter().filter(|(other, _)| one < other) {
                all.entry((one.clone(), other.clone())).or_default().push(*kind);
            }
        }
        all
    }
}

/// Two constraints that cannot both hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradicting {
    pub asked: Constraint,
    /// What holds: a cannot-link, or records that must be one person.
    pub against: Constraint,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn must(a: &str, b: &str) -> Constraint {
        Constraint::new(a, b, Kind::MustLink)
    }

    fn cannot(a: &str, b: &str) -> Constraint {
        Constraint::new(a, b, Kind::CannotLink)
    }

    fn constraints(list: &[Constraint]) -> Constraints {
        let mut constraints = Constraints::default();
        list.iter().for_each(|one| constraints.insert(one));
        constraints
    }

    #[test]
    fn what_contradicts_through_any_number_of_links_is_refused() {
        let known = constraints(&[must("a", "b"), must("b", "c"), cannot("c", "d"), must("d", "e")]);
        let table = [
            (vec![must("a", "e")], Some(cannot("c", "d"))),
            (vec![cannot("a", "c")], Some(must("a", "c"))),
            (vec![must("a", "f")], None),
            (vec![must("a", "f"), must("f", "e")], Some(cannot("c", "d"))),
            (vec![cannot("a", "e"), cannot("a", "f")], None),
            (vec![cannot("f", "g"), must("f", "g")], Some(cannot("f", "g"))),
            (vec![cannot("f", "f")], Some(must("f", "f"))),
        ];
        for (added, against) in table {
            assert_eq!(known.check(&added).err().map(|found| found.against), against, "{added:?}");
        }
    }

    #[test]
    fn records_are_apart_through_those_that_must_be_one_person_with_them() {
        let known = constraints(&[must("a", "b"), cannot("a", "c"), must("c", "d"), must("e", "f")]);
        let table = [("a", "c", true), ("b", "d", true), ("d", "b", true), ("a", "b", false), ("b", "e", false)];
        for (a, b, expected) in table {
            assert_eq!(known.are_apart(a, b), expected, "{a} {b}");
        }
        assert_eq!(known.kept_apart("b"), BTreeSet::from(["c".to_owned()]));
        assert_eq!(known.kept_apart("x"), BTreeSet::new());
    }

    #[test]
    fn what_binds_a_record_is_replaced_as_a_whole() {
        let mut known = constraints(&[must("a", "b"), cannot("b", "c")]);
        known.replace("b", &[must("b", "d"), must("x", "y")]);
        assert_eq!((known.of("a"), known.of("c"), known.of("x")), (&[][..], &[][..], &[][..]));
        assert_eq!(known.all().into_keys().collect::<Vec<_>>(), [("b".to_owned(), "d".to_owned())]);
        known.declare("a", Some("s"));
        known.declare("a", Some("t"));
        assert_eq!((known.declared("s").count(), known.declared("t").collect::<Vec<_>>()), (0, vec!["a"]));
        known.declare("a", None);
        known.replace("b", &[]);
        assert!(known.is_empty());
    }
}
