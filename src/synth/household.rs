//! Households: who lives together, and what they share.
//!
//! What: single people, couples, families with children and twins, three generations, roommates and institutions, each
//! made from the seed and its number alone, so that a household can be made again at any time. Why: people who share
//! surname, address, phone or birth date are what a matcher confuses. Also here: relatives who are *not* stored, for
//! queries that must find nobody. Not here: which household is stored (see `population`).

use super::calendar::{AS_OF, Day, years};
use super::geography;
use super::given_names::{TWINS_FEMALE, TWINS_MALE};
use super::names::{OriginNames, Sex, Tables};
use super::origins::{FamilyRule, Spelling};
use super::person::{Draft, Home, Person, Role, birth_at_age, member_number};
use super::random::{Purpose, Rng, draw};

/// The people of one address.
#[derive(Debug)]
pub(super) struct Household<'t> {
    pub(super) people: Vec<Person>,
    pub(super) kind: Kind,
    home: Home<'t>,
    names: FamilyNames,
    /// The insurance number the family shares.
    subscriber: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Single,
    Couple,
    Family,
    SingleParent,
    Generations,
    Roommates,
    Institution,
}

/// Frequency of the kinds among households, per mille.
const KINDS: &[(Kind, u32)] = &[
    (Kind::Single, 270),
    (Kind::Couple, 255),
    (Kind::Family, 275),
    (Kind::SingleParent, 80),
    (Kind::Generations, 32),
    (Kind::Roommates, 81),
    (Kind::Institution, 7),
];
/// Ages of heads of households without children at home.
const HEAD_AGES: &[((i32, i32), u32)] =
    &[((19, 29), 12), ((30, 44), 19), ((45, 59), 25), ((60, 74), 29), ((75, 96), 15)];
const PARENT_AGES: &[((i32, i32), u32)] = &[((21, 29), 14), ((30, 44), 52), ((45, 58), 34)];
const CHILDREN: &[(i32, u32)] = &[(1, 36), (2, 37), (3, 17), (4, 7), (5, 3)];
/// Births that bring two children (United States vital statistics: about 31 of 1,000), same sex, and alike in name.
const TWIN_BIRTHS: u32 = 31;
const TWINS_SAME_SEX: u32 = 660;
const TWINS_ALIKE: u32 = 350;
/// Eldest sons named after the father.
const NAMESAKES: u32 = 35;
const FAMILY_INSURED: u32 = 750;
const PERSON_INSURED: u32 = 600;
const SPACING_DAYS: i32 = 300;

/// How the family of this household is named.
#[derive(Debug, Clone)]
struct FamilyNames {
    /// The surname of the father's line.
    paternal: String,
    custom: Custom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Custom {
    One,
    /// Two surnames, joined by a space or a hyphen.
    Two(char),
    Feminine,
}

impl<'t> Household<'t> {
    pub(super) fn make(tables: &'t Tables, seed: u64, number: u64) -> Self {
        let rng = &mut Rng::stream(seed, Purpose::Household, number);
        let kind = draw(rng, KINDS, Kind::Single);
        let mut household = Self::empty(rng, tables, kind);
        match kind {
            Kind::Single => household.add_single(rng, tables),
            Kind::Roommates | Kind::Institution => household.add_unrelated(rng, tables),
            Kind::Couple => household.add_couple(rng, tables, HEAD_AGES),
            Kind::SingleParent => household.add_lone_parent(rng, tables),
            Kind::Family | Kind::Generations => household.add_couple(rng, tables, PARENT_AGES),
        }
        if matches!(kind, Kind::Family | Kind::Generations | Kind::SingleParent) {
            household.add_children(rng, tables);
        }
        if kind == Kind::Generations {
            household.add_parent(rng, tables);
        }
        for index in 0..household.people.len() {
            household.insure(rng, index);
        }
        household
    }

    fn empty(rng: &mut Rng, tables: &'t Tables, kind: Kind) -> Self {
        let origin = tables.origin(rng);
        let address = tables.geography.address(rng);
        let home =
            Home { origin, spelling: spelling(rng, origin), phone: geography::phone(rng, address.area_code), address };
        let paternal = home.spelling.write(&tables.surname(rng, origin));
        let names = FamilyNames { paternal, custom: custom(rng, origin) };
        let is_family = !matches!(kind, Kind::Single | Kind::Roommates | Kind::Institution);
        let subscriber = (is_family && rng.chance(FAMILY_INSURED)).then(|| member_number(rng));
        Self { people: Vec::new(), kind, home, names, subscriber }
    }

    fn person(&self, rng: &mut Rng, tables: &Tables, role: Role, sex: Sex, birth: Day, family: String) -> Person {
        Person::new(rng, tables, &self.home, Draft { sex, birth, role, family, given: None })
    }

    fn add_single(&mut self, rng: &mut Rng, tables: &Tables) {
        let sex = if rng.chance(470) { Sex::Male } else { Sex::Female };
        let (low, high) = draw(rng, HEAD_AGES, (30, 44));
        let birth = birth_at_age(rng, low, high);
        let family = self.family_at_birth(rng, tables, sex);
        self.people.push(self.person(rng, tables, Role::Head, sex, birth, family));
    }

    fn add_unrelated(&mut self, rng: &mut Rng, tables: &'t Tables) {
        // A home for the elderly, a hall of students, or friends sharing a flat.
        let (count, low, high) = match self.kind {
            Kind::Institution if rng.chance(700) => (rng.between(8, 60), 62, 98),
            Kind::Institution => (rng.between(8, 60), 18, 22),
            _ => (rng.between(2, 4), 18, 40),
        };
        for _ in 0..count {
            let sex = if rng.chance(470) { Sex::Male } else { Sex::Female };
            let birth = birth_at_age(rng, low, high);
            self.home.origin = tables.origin(rng);
            self.home.spelling = spelling(rng, self.home.origin);
            let family = self.home.spelling.write(&tables.surname(rng, self.home.origin));
            self.people.push(self.person(rng, tables, Role::Unrelated, sex, birth, family));
        }
    }

    fn add_couple(&mut self, rng: &mut Rng, tables: &Tables, ages: &[((i32, i32), u32)]) {
        let (low, high) = draw(rng, ages, (30, 44));
        let birth = birth_at_age(rng, low, high);
        let head_sex = if rng.chance(980) { Sex::Male } else { Sex::Female };
        let family = self.family_at_birth(rng, tables, head_sex);
        let head = self.person(rng, tables, Role::Head, head_sex, birth, family);
        let partner_sex = if rng.chance(970) { head_sex.other() } else { head_sex };
        let partner = self.partner(rng, tables, &head, partner_sex);
        self.people.extend([head, partner]);
    }

    fn add_lone_parent(&mut self, rng: &mut Rng, tables: &Tables) {
        let (low, high) = draw(rng, PARENT_AGES, (30, 44));
        let birth = birth_at_age(rng, low, high);
        let sex = if rng.chance(800) { Sex::Female } else { Sex::Male };
        let family = self.family_at_birth(rng, tables, sex);
        self.people.push(self.person(rng, tables, Role::Head, sex, birth, family));
    }

    /// A partner of about the same age, under a surname of choice.
    fn partner(&self, rng: &mut Rng, tables: &Tables, head: &Person, sex: Sex) -> Person {
        // The mean of three draws: mostly close, on average two years younger.
        let shift = (0..3).map(|_| rng.between(-3_000, 4_400)).sum::<i32>() / 3;
        let youngest = AS_OF.plus(-years(19));
        let birth = head.birth.plus(shift).min(youngest).max(AS_OF.plus(-years(100)));
        let maiden = self.own_surname(rng, tables);
        let family = self.married(rng, head, sex, &maiden);
        let mut partner = self.person(rng, tables, Role::Partner, sex, birth, family);
        if partner.facts.family != maiden {
            partner.maiden = maiden;
        }
        partner
    }

    /// The surname carried after marriage: the partner's, one's own, or both.
    fn married(&self, rng: &mut Rng, head: &Person, sex: Sex, maiden: &str) -> String {
        let rule = self.home.origin.map_or(FamilyRule::Shared, |names| names.origin.family_rule);
        let keeps = match (rule, self.names.custom) {
            (FamilyRule::Kept, _) => 850,
            (_, Custom::Two(_)) => 750,
            _ => 180,
        };
        if sex == Sex::Male || rng.chance(keeps) {
            return maiden.to_owned();
        }
        if !maiden.contains(['-', ' ']) && !head.facts.family.contains(['-', ' ']) && rng.chance(60) {
            return format!("{maiden}-{}", head.facts.family);
        }
        self.in_form_of(sex, &head.facts.family)
    }

    /// Surname of somebody born into the household's line.
    fn family_at_birth(&self, rng: &mut Rng, tables: &Tables, sex: Sex) -> String {
        match self.names.custom {
            Custom::Two(joiner) => format!("{}{joiner}{}", self.names.paternal, self.own_surname_part(rng, tables)),
            _ => self.in_form_of(sex, &self.names.paternal),
        }
    }

    /// A surname from outside the household's line.
    fn own_surname(&self, rng: &mut Rng, tables: &Tables) -> String {
        let first = self.own_surname_part(rng, tables);
        match self.names.custom {
            Custom::Two(joiner) => format!("{first}{joiner}{}", self.own_surname_part(rng, tables)),
            _ => first,
        }
    }

    fn own_surname_part(&self, rng: &mut Rng, tables: &Tables) -> String {
        self.home.spelling.write(&tables.surname(rng, self.home.origin))
    }

    fn in_form_of(&self, sex: Sex, family: &str) -> String {
        match (self.names.custom, sex, self.home.origin) {
            (Custom::Feminine, Sex::Female, Some(names)) => self.home.spelling.write(&names.feminine(family)),
            _ => family.to_owned(),
        }
    }

    /// Surname of a child: the head's line, and the other parent's where two are carried.
    fn child_family(&self, rng: &mut Rng, tables: &Tables, sex: Sex) -> String {
        let Custom::Two(joiner) = self.names.custom else { return self.in_form_of(sex, &self.names.paternal) };
        let maternal = self.people.iter().find(|person| person.role == Role::Partner).map(|partner| {
            let own = if partner.maiden.is_empty() { &partner.facts.family } else { &partner.maiden };
            first_surname(own, joiner)
        });
        let maternal = maternal.unwrap_or_else(|| self.own_surname_part(rng, tables));
        format!("{}{joiner}{maternal}", self.names.paternal)
    }

    fn add_children(&mut self, rng: &mut Rng, tables: &Tables) {
        let mut has_son = false;
        for birth in self.births(rng) {
            let sex = if rng.chance(512) { Sex::Male } else { Sex::Female };
            let family = self.child_family(rng, tables, sex);
            let mut child = self.person(rng, tables, Role::Child, sex, birth, family);
            if sex == Sex::Male && !has_son {
                has_son = true;
                self.name_after_father(rng, &mut child);
            }
            if rng.chance(TWIN_BIRTHS) && child.facts.suffix.is_empty() {
                child.role = Role::Twin;
                let twin = self.twin(rng, tables, &mut child);
                self.people.push(twin);
            }
            self.people.push(child);
        }
    }

    /// Birth dates of the children at home, eldest first.
    fn births(&self, rng: &mut Rng) -> Vec<Day> {
        let Some(bearer) = self.people.iter().rev().find(|person| person.sex == Sex::Female).or(self.people.first())
        else {
            return Vec::new();
        };
        let younger_parent = self.people.iter().map(|person| person.birth).max().unwrap_or(bearer.birth);
        let (youngest, oldest) = ((bearer.birth.age() - 42).max(0), (younger_parent.age() - 19).min(24));
        let mut births: Vec<Day> =
            (0..draw(rng, CHILDREN, 1)).map(|_| birth_at_age(rng, youngest, oldest.max(youngest))).collect();
        births.sort_unstable();
        let earliest = younger_parent.plus(years(18));
        let mut last: Option<Day> = None;
        births.retain_mut(|birth| {
            *birth = last.map_or(*birth, |last| (*birth).max(last.plus(SPACING_DAYS))).max(earliest);
            last = Some(*birth);
            *birth < AS_OF
        });
        births
    }

    fn name_after_father(&mut self, rng: &mut Rng, child: &mut Person) {
        let Some(father) = self.people.iter_mut().find(|person| person.role == Role::Head && person.sex == Sex::Male)
        else {
            return;
        };
        if !rng.chance(NAMESAKES) {
            return;
        }
        child.rename(rng, &father.facts.given);
        child.facts.middle.clone_from(&father.facts.middle);
        if father.facts.suffix.is_empty() && rng.chance(120) {
            "III".clone_into(&mut child.facts.suffix);
            "Jr".clone_into(&mut father.facts.suffix);
        } else {
            "Jr".clone_into(&mut child.facts.suffix);
            if rng.chance(500) {
                "Sr".clone_into(&mut father.facts.suffix);
            }
        }
    }

    /// A twin of the child. Both may be renamed alike.
    fn twin(&self, rng: &mut Rng, tables: &Tables, child: &mut Person) -> Person {
        let (twin, alike) = self.twin_draft(rng, tables, child);
        if let Some(alike) = alike {
            child.rename(rng, alike);
        }
        twin
    }

    /// The twin, and the given name of the other when the two are to be alike.
    fn twin_draft(&self, rng: &mut Rng, tables: &Tables, child: &Person) -> (Person, Option<&'static str>) {
        let sex = if rng.chance(TWINS_SAME_SEX) { child.sex } else { child.sex.other() };
        let pairs = if child.sex == Sex::Male { TWINS_MALE } else { TWINS_FEMALE };
        let alike = (sex == child.sex && rng.chance(TWINS_ALIKE)).then(|| draw_pair(rng, pairs));
        let family = match self.names.custom {
            Custom::Feminine => self.child_family(rng, tables, sex),
            _ => child.facts.family.clone(),
        };
        let given = alike.map(|(_, second)| second.to_owned());
        let draft = Draft { sex, birth: child.birth, role: Role::Twin, family, given };
        (Person::new(rng, tables, &self.home, draft), alike.map(|(first, _)| first))
    }

    fn add_parent(&mut self, rng: &mut Rng, tables: &Tables) {
        if let Some(parent) = self.parent(rng, tables) {
            self.people.push(parent);
        }
    }

    fn parent(&self, rng: &mut Rng, tables: &Tables) -> Option<Person> {
        let head = self.people.first()?;
        let sex = if rng.chance(300) { Sex::Male } else { Sex::Female };
        let birth = head.birth.plus(-rng.between(years(20), years(38))).max(AS_OF.plus(-years(101)));
        let family = self.in_form_of(sex, &self.names.paternal);
        Some(self.person(rng, tables, Role::Parent, sex, birth, family))
    }

    fn insure(&mut self, rng: &mut Rng, index: usize) {
        let number = match &self.subscriber {
            // Plans give the family one number, some with a counter.
            Some(shared) if rng.chance(700) => shared.clone(),
            Some(shared) => format!("{shared}{index:02}"),
            None if rng.chance(PERSON_INSURED) => member_number(rng),
            None => return,
        };
        if let Some(person) = self.people.get_mut(index) {
            person.facts.member_id = number;
        }
    }

    /// A relative of the household who is not stored: child, partner, parent or namesake. Nobody when it has no family.
    pub(super) fn unstored_relative(&mut self, rng: &mut Rng, tables: &Tables) -> Option<Person> {
        let head = self.people.first().filter(|head| head.is_related())?.clone();
        let has_partner = self.people.iter().any(|person| person.role == Role::Partner);
        let relative = match rng.below(10) {
            0..=3 if !has_partner => self.partner(rng, tables, &head, head.sex.other()),
            4..=5 if head.birth.age() < 70 => self.parent(rng, tables)?,
            _ if head.birth.age() >= 20 => self.another_child(rng, tables, &head),
            _ => self.partner(rng, tables, &head, head.sex.other()),
        };
        Some(self.joined(rng, relative))
    }

    /// A twin, not stored, of a stored child. Nobody when that person is no child of the household.
    pub(super) fn unstored_twin(&mut self, rng: &mut Rng, tables: &Tables, index: usize) -> Option<Person> {
        let child = self.people.get(index).filter(|person| person.role == Role::Child)?;
        let (mut twin, _) = self.twin_draft(rng, tables, child);
        // The stored child keeps its name, so a name alike is one that goes with it.
        if twin.sex == child.sex
            && rng.chance(TWINS_ALIKE)
            && let Some(alike) = self.name_alike(rng, tables, child)
        {
            twin.rename(rng, &alike);
        }
        (twin.facts.given != child.facts.given).then(|| self.joined(rng, twin))
    }

    /// The name that parents of twins pair with this child's, or one with the same first letter.
    fn name_alike(&self, rng: &mut Rng, tables: &Tables, child: &Person) -> Option<String> {
        const DRAWS_MAX: usize = 40;
        let given = &child.facts.given;
        let initial = given.chars().next();
        paired_name(given).map(str::to_owned).or_else(|| {
            (0..DRAWS_MAX)
                .map(|_| self.home.spelling.write(&tables.given(rng, self.home.origin, child.sex, child.birth.year())))
                .find(|name| name != given && name.chars().next() == initial)
        })
    }

    fn another_child(&self, rng: &mut Rng, tables: &Tables, head: &Person) -> Person {
        let sex = if rng.chance(512) { Sex::Male } else { Sex::Female };
        let birth = head.birth.plus(rng.between(years(19), years(40))).min(AS_OF.plus(-1));
        let family = self.child_family(rng, tables, sex);
        let mut child = self.person(rng, tables, Role::Child, sex, birth, family);
        if sex == Sex::Male && head.sex == Sex::Male && head.facts.suffix.is_empty() && rng.chance(NAMESAKES) {
            child.rename(rng, &head.facts.given);
            child.facts.middle.clone_from(&head.facts.middle);
            "Jr".clone_into(&mut child.facts.suffix);
        }
        child
    }

    /// The person with an insurance number as if a member of the household.
    fn joined(&mut self, rng: &mut Rng, person: Person) -> Person {
        self.people.push(person);
        self.insure(rng, self.people.len() - 1);
        self.people.remove(self.people.len() - 1)
    }
}

fn spelling(rng: &mut Rng, origin: Option<&OriginNames>) -> Spelling {
    let kept = origin.map_or(0, |names| names.origin.diacritics);
    if rng.chance(kept) {
        Spelling::Diacritics
    } else if rng.chance(500) {
        Spelling::SpelledOut
    } else {
        Spelling::Plain
    }
}

fn custom(rng: &mut Rng, origin: Option<&OriginNames>) -> Custom {
    match origin.map(|names| names.origin.family_rule) {
        Some(FamilyRule::Double) if rng.chance(450) => Custom::Two(if rng.chance(750) { ' ' } else { '-' }),
        Some(FamilyRule::Gendered) if rng.chance(300) => Custom::Feminine,
        _ => Custom::One,
    }
}

/// The first of two joined surnames; `De la Cruz` is one.
fn first_surname(family: &str, joiner: char) -> String {
    const PARTICLES: &[&str] = &["De", "Del", "la", "los"];
    let mut first = String::new();
    for part in family.split(joiner) {
        first.push_str(part);
        if !PARTICLES.contains(&part) {
            break;
        }
        first.push(joiner);
    }
    first
}

fn draw_pair(rng: &mut Rng, pairs: &[(&'static str, &'static str)]) -> (&'static str, &'static str) {
    let (first, second) = pairs.get(rng.index(pairs.len())).copied().unwrap_or(("Jaden", "Jayden"));
    if rng.chance(500) { (first, second) } else { (second, first) }
}

/// The name that parents of twins pair with this one.
fn paired_name(given: &str) -> Option<&'static str> {
    TWINS_MALE.iter().chain(TWINS_FEMALE).find_map(|(first, second)| match given {
        _ if given == *first => Some(*second),
        _ if given == *second => Some(*first),
        _ => None,
    })
}
