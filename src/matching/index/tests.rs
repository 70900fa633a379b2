//! Tests of the index: what it proposes, forgets, cuts and overlays, at any number of threads.

use super::*;
use crate::matching::model::tests::model;
use crate::matching::pool::IdentityMatch;
use crate::matching::record::tests::record;
use proptest::prelude::*;

fn person(n: usize) -> String {
    let families = ["Novak", "Ray", "Oduya", "Smith", "Lindqvist"];
    let givens = ["Ann", "Robert", "Bob", "Zorban", "Jayden", "Jaden", "Maria"];
    format!(
        r#"{{"name":[{{"family":"{}","given":["{}"]}}],"birthDate":"19{:02}-{:02}-{:02}","gender":"{}",
        "telecom":[{{"system":"phone","value":"212555{:04}"}}],"address":[{{"line":["{} Oak St"],"postalCode":"121{:02}"}}],
        "identifier":[{{"type":{{"coding":[{{"code":"MR"}}]}},"system":"urn:m","value":"M{n}"}}]}}"#,
        families[n % 5],
        givens[n % 7],
        40 + n % 50,
        1 + n % 12,
        1 + n % 28,
        if n.is_multiple_of(2) { "female" } else { "male" },
        2000 + n / 3,
        n / 4,
        n % 90,
    )
}

fn filled(people: std::ops::Range<usize>) -> Index {
    let mut index = Index::new(Arc::new(model().clone()));
    for n in people {
        add(&mut index, n, n / 2);
    }
    index
}

fn add(index: &mut Index, n: usize, identity: usize) {
    let (record_id, identity_id) = (format!("r{n}"), format!("i{identity}"));
    index.upsert(Member { record_id: &record_id, version: 1, identity_id: &identity_id }, &record(&person(n)));
}

#[test]
fn records_that_come_all_at_once_are_found_as_those_that_come_one_by_one() {
    let one_by_one = filled(0..3000);
    let mut at_once = Index::new(Arc::new(model().clone()));
    let people: Vec<(String, String, Record)> =
        (0..3000).map(|n| (format!("r{n}"), format!("i{}", n / 2), record(&person(n)))).collect();
    for page in people.chunks(700) {
        let records: Vec<(Member<'_>, &Record)> = page
            .iter()
            .map(|(record_id, identity_id, record)| (Member { record_id, version: 1, identity_id }, record))
            .collect();
        at_once.extend(&records);
    }
    for n in (0..3000).step_by(37) {
        let query = record(&person(n));
        assert_eq!(at_once.propose(&query, &ask()), one_by_one.propose(&query, &ask()), "{n}");
    }
}

fn ask() -> Ask {
    Ask { exclude_record: None, candidates_max: 1000, identities_max: 20, parallel_from: usize::MAX, ..Ask::default() }
}

fn ids(proposal: &Proposal) -> Vec<&str> {
    proposal.identities.iter().map(|identity| identity.identity_id.as_str()).collect()
}

#[test]
fn a_record_finds_its_identity_with_all_records_and_not_itself_when_excluded() {
    let index = filled(0..300);
    let proposal = index.propose(&record(&person(40)), &ask());
    let best = &proposal.identities[0];
    assert_eq!((best.identity_id.as_str(), best.records[0].record_id.as_str()), ("i20", "r40"));
    assert_eq!(best.records.len(), 2, "all records of the identity come along");
    assert!(best.posterior > 0.99 && proposal.candidates > 1 && !proposal.truncated);
    let without = index.propose(&record(&person(40)), &Ask { exclude_record: Some("r40".to_owned()), ..ask() });
    assert!(without.identities.iter().all(|identity| identity.records.iter().all(|r| r.record_id != "r40")));
}

#[test]
fn an_identity_read_from_the_store_is_judged_as_the_index_judges_it() {
    let index = filled(0..300);
    let query = record(&person(41));
    for proposed in index.propose(&query, &ask()).identities {
        let members: Vec<_> = proposed
            .records
            .iter()
            .map(|r| (r.record_id.clone(), record(&person(r.record_id[1..].parse().expect("a number")))))
            .collect();
        let members = members.iter().map(|(id, record)| (id.as_str(), 1, record));
        let evaluated =
            crate::matching::pool::evaluate(&query, &proposed.identity_id, members, index.model(), index.population());
        let waterfall = |found: &IdentityMatch| found.waterfall(index.model(), index.population());
        assert_eq!(waterfall(&evaluated), waterfall(&proposed));
        assert_eq!(
            (evaluated.score, evaluated.grade, &evaluated.records),
            (proposed.score, proposed.grade, &proposed.records)
        );
        assert_eq!(
            (evaluated.row, evaluated.capped_by, evaluated.attributes),
            (proposed.row, proposed.capped_by, proposed.attributes)
        );
    }
}

#[test]
fn replaced_and_removed_records_leave_nothing_behind() {
    let mut index = filled(0..100);
    let everyone = index.propose(&record(&person(7)), &ask());
    for round in 0..3 {
        for n in 0..100 {
            add(&mut index, n, n / 2 + round);
        }
        assert_eq!(index.len(), 100);
    }
    for n in 0..100 {
        add(&mut index, n, n / 2);
    }
    assert_eq!(index.propose(&record(&person(7)), &ask()), everyone);
    for n in 0..100 {
        index.remove(&format!("r{n}"));
        index.remove(&format!("r{n}"));
    }
    assert_eq!((index.len(), index.population()), (0, 0));
    assert!(index.propose(&record(&person(7)), &ask()).identities.is_empty());
}

#[test]
fn swept_slots_are_used_again() {
    let mut index = filled(0..10);
    for n in 0..12_000 {
        add(&mut index, n % 10, 3);
    }
    assert!(index.slots.len() < 4_000, "{}", index.slots.len());
    assert_eq!(index.propose(&record(&person(4)), &ask()).identities[0].records.len(), 10);
}

#[test]
fn an_index_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>(value: &T) -> &T {
        value
    }
    assert!(shared(&filled(0..1)).bytes() > 0);
}

#[test]
fn a_cut_is_announced_and_keeps_the_records_that_share_most_blocks() {
    let index = filled(0..400);
    let cut = index.propose(&record(&person(40)), &Ask { candidates_max: 2, ..ask() });
    assert!(cut.truncated && cut.candidates > 2);
    assert_eq!(cut.identities[0].identity_id, "i20");
    let few = index.propose(&record(&person(40)), &Ask { identities_max: 1, ..ask() });
    assert_eq!((few.identities.len(), few.truncated), (1, false));
}

#[test]
fn an_overlay_gives_what_the_index_will_give_after_the_commit() {
    let base = filled(0..200);
    let (mut overlay, mut after) = (Overlay::new(Arc::clone(base.model())), base.clone());
    for n in [10, 11, 250, 251, 40] {
        let (record_id, identity_id) = (format!("r{n}"), format!("i{}", n / 3));
        let member = Member { record_id: &record_id, version: 2, identity_id: &identity_id };
        overlay.upsert(Some(&base), member, &record(&person(n)));
        after.upsert(member, &record(&person(n)));
    }
    for id in ["r40", "r12"] {
        overlay.remove(Some(&base), id);
        after.remove(id);
    }
    for n in [10, 11, 12, 40, 250, 30] {
        let (a, b) =
            (overlay.propose(base.layer(), &record(&person(n)), &ask()), after.propose(&record(&person(n)), &ask()));
        assert_eq!(ids(&a), ids(&b), "{n}");
        for (a, b) in a.identities.iter().zip(&b.identities) {
            assert_eq!((a.score, a.grade, &a.row), (b.score, b.grade, &b.row));
            assert_eq!(
                a.records.iter().map(|r| (&r.record_id, r.version)).collect::<Vec<_>>(),
                b.records.iter().map(|r| (&r.record_id, r.version)).collect::<Vec<_>>()
            );
        }
    }
    overlay.clear();
    assert!(overlay.is_empty());
    assert_eq!(
        ids(&overlay.propose(base.layer(), &record(&person(10)), &ask())),
        ids(&base.propose(&record(&person(10)), &ask()))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn the_number_of_threads_changes_nothing(people in 50_usize..400, asked in 0_usize..400, identities_max in 1_usize..30) {
        let index = filled(0..people);
        let query = record(&person(asked));
        let inline = index.propose(&query, &Ask { identities_max, ..ask() });
        for threads in [1, 2, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            let parallel = pool.install(|| index.propose(&query, &Ask { identities_max, parallel_from: 1, ..ask() }));
            prop_assert_eq!(&parallel, &inline);
        }
    }
}
