//! The rules of identities on small populations: who joins whom, and who is for a person to decide.

use std::sync::Arc;

use super::component::{Found, Reach, around, solve};
use super::constraint::{Constraint, Constraints, Kind};
use super::engine::{COMPONENT_RECORDS_MAX, repartition};
use super::partition::{Edge, Problem, partition};
use crate::matching::index::{Index, Member};
use crate::matching::model::tests::model;
use crate::matching::record::tests::record;

const HOME: &str = r#""address":[{"line":["12 Oak St"],"city":"Troy","state":"NY","postalCode":"12180"}],
    "telecom":[{"system":"phone","value":"2125550142"}],
    "identifier":[{"type":{"coding":[{"code":"MB"}]},"system":"urn:p","value":"W12345678"}]"#;

const MOVED: &str = r#""address":[{"line":["9 Elm Rd"],"city":"Utica","state":"NY","postalCode":"13501"}],
    "telecom":[{"system":"phone","value":"2125550142"}]"#;

fn patient(name: &str, birth_date: &str, rest: &str) -> String {
    let (given, family) = name.split_once('/').or_else(|| name.split_once(' ')).expect("two names");
    format!(r#"{{"name":[{{"family":"{family}","given":["{given}"]}}],"birthDate":"{birth_date}",{rest}}}"#)
}

/// What becomes of `arriving` beside those that are stored, and beside which.
fn assigned(stored: &[(&str, String)], arriving: &str) -> (&'static str, String) {
    clustered(stored, arriving, &[])
}

fn clustered(stored: &[(&str, String)], arriving: &str, constraints: &[Constraint]) -> (&'static str, String) {
    let mut index = Index::new(Arc::new(model().clone()));
    for (id, json) in stored.iter().map(|(id, json)| (*id, json.as_str())).chain([("new", arriving)]) {
        index.upsert(Member { record_id: id, version: 1, identity_id: id }, &record(json));
    }
    let mut all = Constraints::default();
    constraints.iter().for_each(|one| all.insert(one));
    let space = index.space();
    let found = repartition(&space, &all, model(), 2000, |_| ());
    let id = |number: u32| space.record_id(found.places[number as usize]).to_string();
    let own = found.places.iter().position(|place| space.record_id(*place).to_string() == "new").expect("there");
    let with = (0..found.places.len()).find(|at| *at != own && found.clusters[*at] == found.clusters[own]);
    let is_own = |number: u32| number as usize == own;
    let doubt = found.doubts.iter().find(|doubt| is_own(doubt.a) || is_own(doubt.b));
    match (with, doubt) {
        (Some(with), _) => ("join", id(u32::try_from(with).expect("few"))),
        (None, Some(doubt)) => ("review", id(if is_own(doubt.a) { doubt.b } else { doubt.a })),
        (None, None) => ("new", String::new()),
    }
}

fn outcome<'a>(assignment: &'a (&'static str, String)) -> (&'static str, &'a str) {
    (assignment.0, &assignment.1)
}

#[test]
fn of_two_that_cannot_be_one_the_same_record_is_neither() {
    let robert = patient("Robert Oduya", "1980-02-13", HOME);
    let two = [("a", robert.clone()), ("b", robert.clone())];
    assert_eq!(outcome(&assigned(&two, &robert)).0, "join", "all three are one");
    let apart = clustered(&two, &robert, &[Constraint::new("a", "b", Kind::CannotLink)]);
    assert_eq!(outcome(&apart).0, "review", "which of the two is for a person to decide: {apart:?}");
    let linked = [Constraint::new("a", "b", Kind::CannotLink), Constraint::new("b", "new", Kind::MustLink)];
    assert_eq!(outcome(&clustered(&two, &robert, &linked)), ("join", "b"));
    let nearly = assigned(&two, &patient("Robert Oduya", "1980-02-14", r#""gender":"male""#));
    assert_ne!(outcome(&nearly).0, "join", "{nearly:?}");
}

#[test]
fn what_stewards_say_holds_whatever_the_evidence() {
    let robert = patient("Robert Oduya", "1980-02-13", HOME);
    let zoltan = patient("Zoltan Novak", "1975-06-30", r#""gender":"male""#);
    let stored = [("a", robert.clone())];
    let cannot = [Constraint::new("a", "new", Kind::CannotLink)];
    assert_eq!(clustered(&stored, &robert, &cannot).0, "review");
    let must = [Constraint::new("a", "new", Kind::MustLink)];
    assert_eq!(outcome(&clustered(&stored, &zoltan, &must)), ("join", "a"));
    let through = [Constraint::new("a", "gone", Kind::MustLink), Constraint::new("gone", "new", Kind::MustLink)];
    assert_eq!(outcome(&clustered(&stored, &zoltan, &through)), ("join", "a"), "a record that is not stored links");
}

#[test]
fn an_updated_record_stays_unless_it_contradicts() {
    let before = patient("Marzanna Oduya", "1980-02-13", HOME);
    let elsewhere = r#""address":[{"line":["9 Elm Rd"],"city":"Utica","state":"NY","postalCode":"13501"}]"#;
    let continued = [Constraint::new("a", "new", Kind::Continued)];
    let stored = [("a", before)];
    let moved = patient("Marzanna Oduya", "1980-02-13", elsewhere);
    assert_eq!(assigned(&stored, &moved).0, "review");
    assert_eq!(outcome(&clustered(&stored, &moved, &continued)), ("join", "a"));
    let other = patient("Zoltan Oduya", "1980-02-13", elsewhere);
    assert_ne!(clustered(&stored, &other, &continued).0, "join");
}

#[test]
fn a_record_joins_its_person_and_never_a_relative() {
    let robert = patient("Robert Oduya", "1980-02-13", HOME);
    let table = [
        ("the same again", patient("Robert Oduya", "1980-02-13", HOME), ("join", "a")),
        ("a short form nobody is named", patient("Rob Oduya", "1980-02-13", HOME), ("join", "a")),
        ("a short form in use", patient("Bob Oduya", "1980-02-13", HOME), ("join", "a")),
        ("a stranger", patient("Zoltan Novak", "1975-06-30", r#""gender":"male""#), ("new", "")),
        ("his son of the same name", patient("Robert Oduya", "2006-09-21", HOME), ("new", "")),
        ("his wife", patient("Marzanna Oduya", "1981-11-05", HOME), ("new", "")),
        ("a typing error and a move", patient("Robrt Oduya", "1980-02-13", MOVED), ("join", "a")),
        (
            "a typing error and nothing else",
            patient("Robrt Oduya", "1980-02-13", r#""gender":"male""#),
            ("review", "a"),
        ),
    ];
    for (what, arriving, expected) in table {
        assert_eq!(outcome(&assigned(&[("a", robert.clone())], &arriving)), expected, "{what}");
    }
}

#[test]
fn strangers_who_share_a_name_or_a_birth_date_or_an_address_are_never_joined() {
    let contacts = |city: &str, zip: &str, phone: &str, email: &str| {
        format!(
            r#""gender":"female","address":[{{"line":["{zip} Elm Rd"],"city":"{city}","state":"NY","postalCode":"{zip}"}}],
            "telecom":[{{"system":"phone","value":"{phone}"}},{{"system":"email","value":"{email}"}}]"#
        )
    };
    let here = contacts("Troy", "12180", "2125550142", "one@a.org");
    let there = contacts("Utica", "13501", "3155550177", "two@b.org");
    let same_email = contacts("Utica", "13501", "3155550177", "one@a.org");
    let table = [
        ("name and birth date alone", ("Marzanna Oduya", "1980-02-13"), ("Marzanna Oduya", "1980-02-13"), &there),
        ("another surname", ("Marzanna Oduya", "1980-02-13"), ("Marzanna Novak", "1980-02-13"), &there),
        ("month and day exchanged", ("Marzanna Oduya", "1980-02-11"), ("Marzanna Oduya", "1980-11-02"), &there),
        ("one email address", ("Marzanna Oduya", "1974-12-12"), ("Marzanna Novak", "1974-11-10"), &same_email),
        ("one email address, a digit", ("Marzanna Oduya", "1974-12-12"), ("Marzanna Novak", "1974-12-10"), &same_email),
    ];
    for (what, (name, date), (other, other_date), contacts) in table {
        let assignment = assigned(&[("a", patient(name, date, &here))], &patient(other, other_date, contacts));
        assert_ne!(outcome(&assignment).0, "join", "{what} {assignment:?}");
    }
    let likely = patient("Marzanna Oduya", "1980-02-13", &there);
    let likely = assigned(&[("a", patient("Marzanna Oduya", "1980-02-13", &here))], &likely);
    assert_eq!(outcome(&likely), ("review", "a"), "a person decides on the likely one: {likely:?}");
}

#[test]
fn what_people_keep_and_what_differs_stands_against_a_join() {
    let robert = |rest: &str| patient("Robert Oduya", "1980-02-13", &format!(r#"{rest}{HOME}"#));
    let (eva, zoe) = (r#""name":[{"family":"Oduya","given":["Robert","Earl"]}]"#, "Zeno");
    let middle = |given: &str| format!(r#"{{{},"birthDate":"1980-02-13",{HOME}}}"#, eva.replace("Earl", given));
    assert_eq!(outcome(&assigned(&[("a", middle("Earl"))], &middle("E"))).0, "join");
    assert_eq!(outcome(&assigned(&[("a", middle("Earl"))], &middle(zoe))).0, "join", "nobody names two sons alike");
    let sex = |code: &str| {
        let url = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex";
        robert(&format!(r#""extension":[{{"url":"{url}","valueCode":"{code}"}}],"#))
    };
    assert_eq!(outcome(&assigned(&[("a", sex("M"))], &sex("M"))).0, "join");
    assert_eq!(outcome(&assigned(&[("a", sex("M"))], &sex("F"))).0, "review");
    let gender = |code: &str| robert(&format!(r#""gender":"{code}","#));
    assert_eq!(outcome(&assigned(&[("a", gender("male"))], &gender("female"))).0, "join");
}

#[test]
fn a_namesake_of_the_household_is_not_joined_by_what_households_share() {
    let shared = r#""gender":"male","address":[{"line":["12 Oak St"],"city":"Troy","state":"NY","postalCode":"12180"}],
        "telecom":[{"system":"phone","value":"2125550142"}]"#;
    let father = patient("Robert Oduya", "1960-02-13", shared);
    let son = assigned(&[("a", father)], &patient("Robert Oduya", "1990-02-13", shared));
    assert_ne!(outcome(&son).0, "join", "{son:?}");
}

#[test]
fn twins_stay_apart_and_the_doubtful_one_is_reviewed() {
    let jaden = patient("Jaden Oduya", "2015-02-13", HOME);
    for twin in ["Jayden Oduya", "Zoltan Oduya", "J Oduya"] {
        let assignment = assigned(&[("a", jaden.clone())], &patient(twin, "2015-02-13", HOME));
        assert_ne!(outcome(&assignment).0, "join", "{twin} {assignment:?}");
    }
    for (one, other) in [
        ("Nora", "Ella"),
        ("Sandra", "Alexa"),
        ("Maggie", "Daisy"),
        ("Sanjana", "Ranjana"),
        ("Jose Luis", "Jose Carlos"),
        ("Алина", "Арина"),
    ] {
        let twin = |given: &str| patient(&format!("{given}/Oduya"), "2015-02-13", HOME);
        for (stored, arriving) in [(one, other), (other, one)] {
            let assignment = assigned(&[("a", twin(stored))], &twin(arriving));
            assert_ne!(outcome(&assignment).0, "join", "{stored} {arriving} {assignment:?}");
        }
    }
}

/// The clusters of a made-up population, by record ids, loaded in this order and clustered on so many threads.
fn clusters(people: &[(String, crate::matching::record::Record)], threads: usize) -> Vec<Vec<String>> {
    let mut index = Index::new(Arc::new(model().clone()));
    for (id, record) in people {
        index.upsert(Member { record_id: id, version: 1, identity_id: id }, record);
    }
    let space = index.space();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let found = pool.install(|| repartition(&space, &Constraints::default(), model(), 2000, |_| ()));
    let mut clusters: std::collections::BTreeMap<u32, Vec<String>> = std::collections::BTreeMap::new();
    for (place, cluster) in found.places.iter().zip(&found.clusters) {
        clusters.entry(*cluster).or_default().push(space.record_id(*place).to_string());
    }
    let mut clusters: Vec<Vec<String>> = clusters.into_values().collect();
    clusters.iter_mut().for_each(|cluster| cluster.sort_unstable());
    clusters.sort_unstable();
    clusters
}

/// Families of twins, namesakes and movers, each person several times and never written the same.
fn population(seed: u64) -> Vec<(String, crate::matching::record::Record)> {
    const GIVEN: [&str; 6] = ["Robert", "Marzanna", "Zoltan", "Quentin", "Ludmila", "Philippa"];
    let mut random = seed;
    let mut below = |limit: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % limit
    };
    let mut people = Vec::new();
    for number in 0..220_u64 {
        let (family, child) = (below(24), below(3));
        let mut given = GIVEN[((family + child) % 6) as usize].to_owned();
        if below(5) == 0 {
            given.remove(2);
        }
        let home = if below(4) == 0 { family + 40 } else { family };
        let birth = if family % 2 == 0 {
            format!("19{}-04-13", 70 + family)
        } else {
            format!("19{}-0{}-13", 60 + family + 9 * child, 2 + child)
        };
        let json = format!(
            r#"{{"name":[{{"family":"Oduya{}","given":["{given}"]}}],"birthDate":"{birth}",
            "address":[{{"line":["{} Oak St"],"city":"Troy","state":"NY","postalCode":"{}"}}],
            "telecom":[{{"system":"phone","value":"21255{:05}"}}]}}"#,
            (b'a' + family as u8) as char,
            home + 3,
            12_000 + home,
            10_000 + 7 * (home + 50 * below(2)),
        );
        people.push((format!("r{number:03}"), record(&json)));
    }
    people
}

#[test]
fn the_partition_depends_neither_on_the_order_of_arrival_nor_on_threads() {
    for seed in 1..=3 {
        let people = population(seed);
        let expected = clusters(&people, 1);
        let joined = expected.iter().filter(|cluster| cluster.len() > 1).count();
        assert!(joined > 20 && expected.len() > 30, "{joined} of {}: nothing to tell apart", expected.len());
        assert_eq!(clusters(&people, 4), expected, "threads");
        let reversed: Vec<_> = people.iter().rev().cloned().collect();
        assert_eq!(clusters(&reversed, 2), expected, "order");
        let mut mixed = people.clone();
        mixed.sort_by_key(|(id, _)| crate::matching::dictionary::hash(format!("{seed}{id}").as_bytes()));
        assert_eq!(clusters(&mixed, 3), expected, "order");
    }
}

fn index_of<'a>(people: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Index {
    let mut index = Index::new(Arc::new(model().clone()));
    for (id, identity_id, json) in people {
        index.upsert(Member { record_id: id, version: 1, identity_id }, &record(json));
    }
    index
}

#[test]
fn an_edge_that_only_one_of_its_records_finds_is_kept_wherever_the_search_starts() {
    const CANDIDATES_MAX: usize = 2;
    let mut index = Index::new(Arc::new(model().clone()));
    for (id, record) in &population(1) {
        index.upsert(Member { record_id: id, version: 1, identity_id: id }, record);
    }
    let space = index.space();
    let mut seen = std::collections::BTreeSet::new();
    for place in space.places() {
        space.each_neighbour(
            place,
            CANDIDATES_MAX,
            |_| true,
            |other, pair| {
                let judged =
                    crate::matching::judgement::Judgement::of(pair, model(), super::assign::DECISION_POPULATION);
                if super::assign::joins(&judged) {
                    seen.insert((place, other));
                }
            },
        );
    }
    let one_sided: Vec<_> = seen.iter().filter(|(a, b)| !seen.contains(&(*b, *a))).collect();
    assert!(one_sided.len() > 3, "nothing to tell: {}", one_sided.len());
    let reach = Reach::with(CANDIDATES_MAX);
    for (finder, other) in one_sided {
        for start in [[finder, other], [other, finder]] {
            let start = start.map(|place| space.record_id(*place).to_string());
            let (found, _) = around(&space, &Constraints::default(), model(), reach, &start);
            assert!(found.edges.iter().any(|(a, b, _)| (*a, *b) == (0, 1)), "{start:?}");
        }
    }
    let pairs: std::collections::BTreeSet<_> = seen.iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
    let all = repartition(&space, &Constraints::default(), model(), CANDIDATES_MAX, |_| ());
    assert_eq!(all.edges, pairs.len(), "each pair once");
}

#[test]
fn records_that_were_not_followed_stay_with_their_identity_and_apart_from_others() {
    let robert = patient("Robert Oduya", "1980-02-13", HOME);
    let zoltan = patient("Zoltan Novak", "1975-06-30", r#""gender":"male""#);
    let people = [
        ("a1", "a", &robert),
        ("a2", "a", &robert),
        ("a3", "a", &zoltan),
        ("b1", "b", &robert),
        ("new", "new", &robert),
    ];
    let index = index_of(people.iter().map(|(id, identity, json)| (*id, *identity, json.as_str())));
    let space = index.space();
    let clustered = |reach: Reach, constraints: &Constraints| {
        let (found, _) = around(&space, constraints, model(), reach, &["new".to_owned(), "a3".to_owned()]);
        let clusters = solve(&space, constraints, model(), &found);
        let cluster = |id: &str| clusters[found.nodes.iter().position(|node| node.id == id).expect("found")];
        (found.followed, ["new", "a1", "a2", "a3", "b1"].map(cluster))
    };
    let none = Constraints::default();
    let (followed, [new, a1, a2, a3, b1]) = clustered(Reach::with(2000), &none);
    assert_eq!((followed, new, a1, a2), (5, b1, b1, b1));
    assert_ne!(a3, a1, "of what was followed the evidence counts");
    let only_new = Reach { records_max: 1, ..Reach::with(2000) };
    let (followed, [new, a1, a2, a3, b1]) = clustered(only_new, &none);
    assert_eq!((followed, a1), (1, a2));
    assert_ne!(a1, b1, "identities that were not followed do not become one");
    assert!(a3 != b1 && (new == a1 || new == b1), "{new} {a1} {a3} {b1}");
    let mut apart = Constraints::default();
    apart.insert(&Constraint::new("new", "a1", Kind::CannotLink));
    let (_, [new, a1, ..]) = clustered(only_new, &apart);
    assert_ne!(new, a1);
}

#[test]
fn however_many_records_hang_together_only_so_many_are_followed_and_compared() {
    let robert = patient("Robert Oduya", "1980-02-13", HOME);
    let ids: Vec<String> = (0..60).map(|number| format!("r{number:02}")).collect();
    let index = index_of(ids.iter().map(|id| (id.as_str(), "one", robert.as_str())));
    let (space, none) = (index.space(), Constraints::default());
    let found = |reach: Reach| around(&space, &none, model(), reach, &ids[..1]).0;
    let reach = Reach::with(2000);
    let whole = found(reach);
    assert_eq!((whole.followed, whole.nodes.len(), whole.edges.len(), whole.is_whole()), (60, 60, 60 * 59 / 2, true));
    let few_pairs = found(Reach { pairs_max: 100, ..reach });
    assert_eq!((few_pairs.followed, few_pairs.nodes.len(), few_pairs.is_whole()), (2, 60, false));
    let few_nodes = found(Reach { nodes_max: 10, ..reach });
    assert_eq!((few_nodes.followed, few_nodes.nodes.len(), few_nodes.overfull.len()), (10, 10, 1));
    let cut = Found { edges: few_pairs.edges.clone(), ..few_pairs };
    assert!(solve(&space, &none, model(), &cut).iter().all(|cluster| *cluster == 0), "all stay in their identity");
}

#[test]
fn no_two_records_are_compared_twice_however_their_clusters_grow() {
    const RECORDS: u32 = 80;
    let people = population(2);
    let mut index = Index::new(Arc::new(model().clone()));
    for (id, record) in people.iter().take(RECORDS as usize) {
        index.upsert(Member { record_id: id, version: 1, identity_id: id }, record);
    }
    let space = index.space();
    let places = space.places();
    let pairs = || (0..RECORDS).flat_map(|a| (a + 1..RECORDS).map(move |b| (a, b)));
    let edges = pairs().map(|(a, b)| Edge { a, b, odds: f64::from((a * 7 + b * 13) % 50) }).collect();
    let apart = (0..RECORDS - 9).step_by(9).map(|a| (a, a + 5)).collect();
    let problem = Problem { records: RECORDS, edges, apart, ..Problem::default() };
    let asked = std::cell::RefCell::new(std::collections::BTreeMap::<(u32, u32), u32>::new());
    let clusters = partition(&problem, model(), |a, b| {
        *asked.borrow_mut().entry((a.min(b), a.max(b))).or_default() += 1;
        space.compare(places[a as usize], places[b as usize])
    });
    let joined = (0..RECORDS).filter(|record| clusters[*record as usize] != *record).count();
    assert!(joined > 3, "clusters must grow: {joined}");
    let twice = asked.borrow().values().filter(|times| **times > 1).count();
    assert_eq!(twice, 0, "of {}", asked.borrow().len());
}

#[test]
fn more_records_than_are_clustered_stay_where_they_are_and_are_asked_about() {
    let robert = patient("Robert Oduya", "1980-02-13", HOME);
    let chain = |links: usize| -> Vec<Constraint> {
        let id = |number: usize| if number == 0 { "a".to_owned() } else { format!("gone-{number:05}") };
        (0..links).map(|number| Constraint::new(&id(number), &id(number + 1), Kind::MustLink)).collect()
    };
    let stored = [("a", robert.clone())];
    assert_eq!(outcome(&clustered(&stored, &robert, &chain(10))), ("join", "a"));
    assert_eq!(outcome(&clustered(&stored, &robert, &chain(COMPONENT_RECORDS_MAX))), ("review", "a"));
}

#[test]
fn a_long_chain_of_links_does_not_overflow_the_stack() {
    const LINKS: usize = 30_000;
    let robert = patient("Robert Oduya", "1980-02-13", HOME);
    let index = index_of([("r00000", "a", robert.as_str())]);
    let mut constraints = Constraints::default();
    for number in 0..LINKS {
        let link = Constraint::new(&format!("r{number:05}"), &format!("r{:05}", number + 1), Kind::MustLink);
        constraints.insert(&link);
    }
    let (found, _) = around(&index.space(), &constraints, model(), Reach::with(2000), &["r00000".to_owned()]);
    assert_eq!(found.nodes.len(), LINKS + 1);
}
