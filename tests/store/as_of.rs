//! Earlier moments, read back a piece at a time.

use idi_match::store::as_of::{Look, Standing, Stretch, list_bodies, look};
use idi_match::store::body::{self, Named};
use idi_match::store::constraint::SearchConstraint;
use idi_match::store::resource::{self, NewResource};
use idi_match::store::{Connection, Store, StoreError};

use crate::database::{Database, patient, write};

on_both_databases! {
    every_moment_is_read_back_whole_in_pieces_of_any_size,
    a_stretch_has_its_type_and_its_numbers_only,
    a_version_that_is_missing_is_said_to_be,
}

fn at(id: &str, version: i64, updated_us: i64) -> NewResource {
    NewResource { updated_us, ..patient(id, version, &format!("{id}{version}")) }
}

/// Writes by and by, and says what stands after each time: what was deleted is marked.
fn fill(store: &Store) -> Vec<(i64, Vec<&'static str>)> {
    write(store, |conn| resource::insert_many(conn, &[at("a", 1, 10), at("b", 1, 10), at("c", 1, 10)]));
    write(store, |conn| resource::update(conn, &at("b", 2, 20), 1));
    write(store, |conn| resource::delete(conn, "Patient", "a", 1, 30));
    write(store, |conn| resource::insert_many(conn, &[at("d", 1, 40)]));
    write(store, |conn| resource::update(conn, &at("a", 3, 50), 2));
    write(store, |conn| resource::update(conn, &at("b", 3, 50), 2));
    write(store, |conn| resource::delete(conn, "Patient", "d", 1, 60));
    write(store, |conn| resource::delete(conn, "Patient", "c", 1, 70));
    vec![
        (9, vec![]),
        (10, vec!["a1", "b1", "c1"]),
        (19, vec!["a1", "b1", "c1"]),
        (20, vec!["a1", "b2", "c1"]),
        (30, vec!["-a2", "b2", "c1"]),
        (40, vec!["-a2", "b2", "c1", "d1"]),
        (50, vec!["a3", "b3", "c1", "d1"]),
        (60, vec!["a3", "b3", "c1", "-d2"]),
        (70, vec!["a3", "b3", "-c2", "-d2"]),
        (i64::MAX, vec!["a3", "b3", "-c2", "-d2"]),
    ]
}

fn stretch(at_us: i64, last_number: i64) -> Stretch {
    let constraint = SearchConstraint::NONE;
    Stretch { resource_type: "Patient".to_owned(), after_number: 0, last_number, at_us, constraint }
}

fn names(connection: &mut Connection, found: &Look) -> Vec<String> {
    let standing: Vec<&Standing> = found.standing.iter().collect();
    let bodies = list_bodies(connection, "Patient", &standing).unwrap();
    let name = |(standing, body): (&&Standing, String)| {
        assert_eq!(standing.bytes as usize, body.len());
        let mark = if standing.deleted { "-" } else { "" };
        let name = format!("{}{}", standing.id, standing.version);
        assert_eq!(body, if standing.deleted { "" } else { &name });
        format!("{mark}{name}")
    };
    standing.iter().zip(bodies).map(name).collect()
}

fn every_moment_is_read_back_whole_in_pieces_of_any_size(database: &Database) {
    let store = database.open();
    let moments = fill(&store);
    let connection = &mut store.connection().unwrap();
    let last = resource::last_number(connection).unwrap();
    for (at_us, expected) in moments {
        for rows_max in 1..6 {
            let (mut seen, mut whole) = (Vec::new(), stretch(at_us, last));
            while whole.after_number < last {
                let found = look(connection, &whole, rows_max).unwrap();
                assert!(found.reached > whole.after_number && found.standing.len() <= 2 * rows_max as usize);
                seen.extend(names(connection, &found));
                whole.after_number = found.reached;
            }
            assert_eq!(seen, expected, "at {at_us}, {rows_max} rows at a time");
        }
    }
}

fn a_stretch_has_its_type_and_its_numbers_only(database: &Database) {
    let store = database.open();
    assert_eq!(resource::last_number(&mut store.connection().unwrap()).unwrap(), 0);
    let organization = NewResource { resource_type: "Organization".to_owned(), ..at("x", 1, 5) };
    write(&store, |conn| resource::insert_many(conn, &[at("a", 1, 5), organization.clone(), at("b", 1, 5)]));
    let connection = &mut store.connection().unwrap();
    let all = look(connection, &stretch(9, i64::MAX), 10).unwrap();
    assert_eq!(names(connection, &all), ["a1", "b1"]);
    let (first, second) = (all.standing[0].number, all.standing[1].number);
    let ahead = look(connection, &stretch(9, first), 10).unwrap();
    assert_eq!((names(connection, &ahead), ahead.reached), (vec!["a1".to_owned()], first));
    let behind = look(connection, &Stretch { after_number: first, ..stretch(9, second) }, 10).unwrap();
    assert_eq!((names(connection, &behind), behind.reached), (vec!["b1".to_owned()], second));
}

fn a_version_that_is_missing_is_said_to_be(database: &Database) {
    let store = database.open();
    fill(&store);
    let connection = &mut store.connection().unwrap();
    let named = |id, version| Named { resource_type: "Patient", id, version };
    let (older, newest) = (named("a", 1), named("b", 3));
    assert_eq!(body::list(connection, &[newest, older, newest]).unwrap(), ["b3", "a1", "b3"]);
    assert_eq!(body::list(connection, &[]).unwrap(), Vec::<String>::new());
    for missing in [named("a", 9), named("nobody", 1), Named { resource_type: "Task", ..older }] {
        assert!(matches!(body::list(connection, &[older, missing]), Err(StoreError::Corrupt(_))));
    }
}
