//! Versions in order, by page, by time.

use idi_match::store::constraint::SearchConstraint;
use idi_match::store::history::{HistoryPosition, HistoryQuery, HistoryScope, Period, list};
use idi_match::store::resource::{self, NewResource};
use idi_match::store::{Connection, Store};

use crate::database::{Database, patient, write};

on_both_databases! {
    versions_of_a_type_come_newest_first_and_those_of_one_time_in_one_order,
    a_page_goes_on_where_the_last_one_ended_whatever_is_written_between,
    versions_are_chosen_by_the_time_they_were_made_or_current,
    types_and_resources_do_not_mix,
}

fn query(scope: HistoryScope, count: u32) -> HistoryQuery {
    HistoryQuery {
        resource_type: "Patient".to_owned(),
        scope,
        since_us: None,
        at: None,
        constraint: SearchConstraint::NONE,
        after: None,
        count,
        bytes_max: 1 << 20,
    }
}

fn at(id: &str, version: i64, updated_us: i64) -> NewResource {
    NewResource { updated_us, ..patient(id, version, &format!("{id}{version}")) }
}

/// `a`: made at 10, changed at 30, deleted at 50. `b`: made at 10, changed at 40. `c`: made at 20.
fn fill(store: &Store) {
    write(store, |conn| resource::insert_many(conn, &[at("b", 1, 10), at("a", 1, 10)]));
    write(store, |conn| resource::insert_many(conn, &[at("c", 1, 20)]));
    write(store, |conn| resource::update(conn, &at("a", 2, 30), 1));
    write(store, |conn| resource::update(conn, &at("b", 2, 40), 1));
    write(store, |conn| resource::delete(conn, "Patient", "a", 2, 50));
}

fn names(connection: &mut Connection, query: &HistoryQuery) -> (Vec<String>, Option<HistoryPosition>) {
    let page = list(connection, query).unwrap();
    let name = |row: &idi_match::store::history::HistoryVersion| {
        assert_eq!(row.body, if row.deleted { String::new() } else { format!("{}{}", row.id, row.version) });
        format!("{}{}", row.id, row.version)
    };
    (page.versions.iter().map(name).collect(), page.next)
}

fn versions_of_a_type_come_newest_first_and_those_of_one_time_in_one_order(database: &Database) {
    let store = database.open();
    fill(&store);
    let connection = &mut store.connection().unwrap();
    let (all, next) = names(connection, &query(HistoryScope::Type, 10));
    assert_eq!((all, next), (["a3", "b2", "a2", "c1", "b1", "a1"].map(str::to_owned).to_vec(), None));
    let (none, next) = names(connection, &query(HistoryScope::Type, 0));
    assert_eq!((none, next), (Vec::new(), None));
}

fn a_page_goes_on_where_the_last_one_ended_whatever_is_written_between(database: &Database) {
    let store = database.open();
    fill(&store);
    for (scope, expected) in [
        (HistoryScope::Type, vec!["a3", "b2", "a2", "c1", "b1", "a1"]),
        (HistoryScope::Instance("a".to_owned()), vec!["a3", "a2", "a1"]),
    ] {
        for count in 1..4 {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = HistoryQuery { after, ..query(scope.clone(), count) };
                let (mut found, next) = names(&mut store.connection().unwrap(), &page);
                seen.append(&mut found);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "{scope:?} {count}");
        }
    }
    let connection = &mut store.connection().unwrap();
    let (first, after) = names(connection, &query(HistoryScope::Type, 3));
    assert_eq!(first, ["a3", "b2", "a2"]);
    // What was current and listed, or current and not yet listed, becomes an older version.
    write(&store, |conn| resource::update(conn, &at("c", 2, 60), 1));
    write(&store, |conn| resource::update(conn, &at("b", 3, 61), 2));
    let (rest, _) = names(connection, &HistoryQuery { after, ..query(HistoryScope::Type, 10) });
    assert_eq!(rest, ["c1", "b1", "a1"]);
}

fn versions_are_chosen_by_the_time_they_were_made_or_current(database: &Database) {
    let store = database.open();
    fill(&store);
    let connection = &mut store.connection().unwrap();
    for (since_us, period, expected) in [
        (Some(30), None, vec!["a3", "b2", "a2"]),
        (Some(31), None, vec!["a3", "b2"]),
        (Some(51), None, vec![]),
        (None, Some((0, 9)), vec![]),
        (None, Some((10, 10)), vec!["b1", "a1"]),
        (None, Some((25, 29)), vec!["c1", "b1", "a1"]),
        (None, Some((25, 30)), vec!["a2", "c1", "b1", "a1"]),
        (None, Some((35, 35)), vec!["a2", "c1", "b1"]),
        (None, Some((50, 50)), vec!["a3", "b2", "c1"]),
        (None, Some((60, 70)), vec!["b2", "c1"]),
        (Some(20), Some((35, 35)), vec!["a2", "c1"]),
    ] {
        let at = period.map(|(lo_us, hi_us)| Period { lo_us, hi_us });
        let asked = HistoryQuery { since_us, at, ..query(HistoryScope::Type, 10) };
        assert_eq!(names(connection, &asked).0, expected, "{since_us:?} {period:?}");
        let of_a = HistoryQuery { scope: HistoryScope::Instance("a".to_owned()), ..asked };
        let expected: Vec<&str> = expected.into_iter().filter(|name| name.starts_with('a')).collect();
        assert_eq!(names(connection, &of_a).0, expected, "{since_us:?} {period:?}");
    }
}

fn types_and_resources_do_not_mix(database: &Database) {
    let store = database.open();
    fill(&store);
    let organization = NewResource { resource_type: "Organization".to_owned(), ..at("a", 1, 15) };
    write(&store, |conn| resource::insert_many(conn, &[organization.clone(), at("ab", 1, 15)]));
    let connection = &mut store.connection().unwrap();
    assert_eq!(names(connection, &query(HistoryScope::Instance("a".to_owned()), 9)).0, ["a3", "a2", "a1"]);
    for scope in [HistoryScope::Type, HistoryScope::Instance("a".to_owned())] {
        let of_type = HistoryQuery { resource_type: "Organization".to_owned(), ..query(scope, 9) };
        assert_eq!(names(connection, &of_type).0, ["a1"]);
    }
    assert_eq!(names(connection, &query(HistoryScope::Instance("nobody".to_owned()), 9)).0, Vec::<String>::new());
}
