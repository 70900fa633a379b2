//! What is withheld is withheld by the statements themselves.

use diesel::connection::SimpleConnection;
use idi_match::fhir::label::is_restricted_document;
use idi_match::fhir::search_parameter::{SearchValues, TokenValue};
use idi_match::store::as_of::{Stretch, look};
use idi_match::store::constraint::{Labels, Persons, SearchConstraint, list_members, retain_seen};
use idi_match::store::history::{HistoryQuery, HistoryScope, list};
use idi_match::store::resource::{
    self, Direction, NewResource, SearchCondition, SearchQuery, Sort, SortKey, Total, search,
};
use idi_match::store::{Connection, Store, identity, record};

use crate::database::{Database, identity_row, patient, record_of, write};

on_both_databases! {
    a_search_counts_and_pages_what_is_there_for_the_caller_alone,
    histories_and_moments_hold_no_version_that_is_or_was_restricted,
    a_person_has_the_records_of_one_identity_and_what_is_about_them,
    the_labels_of_what_is_stored_already_are_found_by_the_migration,
}

const RESTRICTED: &str = r#"{"meta":{"security":[{"code":"N"},{"code":"R"}]}}"#;
const ESCAPED: &str = r#"{"meta":{"securit\u0079":[{"code":"V"}]}}"#;
const PLAIN: &str = r#"{"meta":{"tag":[{"code":"R"}],"security":[{"code":"N"}]}}"#;
/// `RelatedPerson.patient`.
const PATIENT: i16 = 82;

fn unrestricted() -> SearchConstraint {
    SearchConstraint { labels: Labels::Unrestricted, persons: Persons::Everybody }
}

fn own(patient: &str) -> SearchConstraint {
    SearchConstraint { labels: Labels::All, persons: Persons::OfIdentityOf(patient.to_owned()) }
}

fn labelled(id: &str, version: i64, body: &str) -> NewResource {
    let is_restricted = is_restricted_document(body);
    NewResource { search: SearchValues { is_restricted, ..SearchValues::default() }, ..patient(id, version, body) }
}

/// `b` is restricted, `c` was, `d` has become so, `e` is plain, `f` was deleted while it was.
fn fill(store: &Store) {
    let first = [("a", PLAIN), ("b", RESTRICTED), ("c", ESCAPED), ("d", PLAIN), ("e", PLAIN), ("f", RESTRICTED)];
    let first: Vec<NewResource> = first.iter().map(|(id, body)| labelled(id, 1, body)).collect();
    write(store, |connection| resource::insert_many(connection, &first));
    write(store, |connection| resource::update(connection, &labelled("c", 2, PLAIN), 1));
    write(store, |connection| resource::update(connection, &labelled("d", 2, RESTRICTED), 1));
    write(store, |connection| resource::delete(connection, "Patient", "f", 1, 9_000));
}

fn query(constraint: &SearchConstraint, resource_type: &str, sort: Vec<Sort>, count: u32) -> SearchQuery {
    SearchQuery {
        resource_type: resource_type.to_owned(),
        conditions: Vec::new(),
        constraint: constraint.clone(),
        sort,
        after: None,
        count,
        bytes_max: 1 << 20,
        total: Total::Accurate,
    }
}

fn found(connection: &mut Connection, query: &SearchQuery) -> (Vec<String>, Option<i64>, bool) {
    let page = search(connection, query).unwrap();
    (page.rows.into_iter().map(|row| row.id).collect(), page.total, page.next.is_some())
}

fn a_search_counts_and_pages_what_is_there_for_the_caller_alone(database: &Database) {
    let store = database.open();
    fill(&store);
    let connection = &mut store.connection().unwrap();
    let sorts = [
        vec![],
        vec![Sort { by: SortKey::Id, direction: Direction::Ascending }],
        vec![Sort { by: SortKey::String(2), direction: Direction::Ascending }],
    ];
    for sort in sorts {
        let all = query(&unrestricted(), "Patient", sort.clone(), 9);
        assert_eq!(found(connection, &all), (["a", "c", "e"].map(str::to_owned).to_vec(), Some(3), false), "{sort:?}");
        let first = query(&unrestricted(), "Patient", sort.clone(), 2);
        assert_eq!(found(connection, &first), (["a", "c"].map(str::to_owned).to_vec(), Some(3), true), "{sort:?}");
        let none = SearchConstraint { persons: Persons::Nobody, ..unrestricted() };
        assert_eq!(found(connection, &query(&none, "Patient", sort, 9)), (Vec::new(), Some(0), false));
    }
    let by_id = SearchQuery {
        conditions: vec![SearchCondition::Id(vec!["b".to_owned(), "c".to_owned()])],
        ..query(&unrestricted(), "Patient", Vec::new(), 1)
    };
    assert_eq!(found(connection, &by_id), (vec!["c".to_owned()], Some(1), false), "no next page for what is hidden");
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let seen = retain_seen(connection, &unrestricted(), "Patient", ids(&["f", "e", "d", "b", "a"])).unwrap();
    assert_eq!(seen, ids(&["e", "a"]));
}

fn histories_and_moments_hold_no_version_that_is_or_was_restricted(database: &Database) {
    let store = database.open();
    fill(&store);
    let connection = &mut store.connection().unwrap();
    let versions = |connection: &mut Connection, scope, count| {
        let query = HistoryQuery {
            resource_type: "Patient".to_owned(),
            scope,
            since_us: None,
            at: None,
            constraint: unrestricted(),
            after: None,
            count,
            bytes_max: 1 << 20,
        };
        let page = list(connection, &query).unwrap();
        let mut names: Vec<String> =
            page.versions.iter().map(|version| format!("{}{}", version.id, version.version)).collect();
        names.sort_unstable();
        (names, page.next.is_some())
    };
    let all = versions(connection, HistoryScope::Type, 9);
    assert_eq!(all, (["a1", "c2", "e1"].map(str::to_owned).to_vec(), false));
    assert_eq!(versions(connection, HistoryScope::Type, 2).0.len(), 2, "no short page");
    for (id, expected) in [("b", vec![]), ("c", vec!["c2"]), ("d", vec![]), ("f", vec![])] {
        let scope = HistoryScope::Instance(id.to_owned());
        assert_eq!(versions(connection, scope, 9), (expected.into_iter().map(str::to_owned).collect(), false), "{id}");
    }
    let last_number = resource::last_number(connection).unwrap();
    for (at_us, expected) in [(1_500, vec!["a1", "e1"]), (9_999, vec!["a1", "c2", "e1"])] {
        let constraint = unrestricted();
        let moment = Stretch { resource_type: "Patient".to_owned(), after_number: 0, last_number, at_us, constraint };
        let standing = look(connection, &moment, 100).unwrap().standing;
        let names: Vec<String> = standing.iter().map(|one| format!("{}{}", one.id, one.version)).collect();
        assert_eq!(names, expected, "{at_us}");
        let of_a_person = Stretch { constraint: own("a"), ..moment };
        assert_eq!(look(connection, &of_a_person, 100).unwrap().standing, []);
    }
}

fn a_person_has_the_records_of_one_identity_and_what_is_about_them(database: &Database) {
    let store = database.open();
    let related = |id: &str, patient_id: &str| {
        let token = TokenValue { parameter: PATIENT, system: "Patient".to_owned(), value: patient_id.to_owned() };
        NewResource {
            resource_type: "RelatedPerson".to_owned(),
            search: SearchValues { tokens: vec![token], ..SearchValues::default() },
            ..patient(id, 1, "{}")
        }
    };
    write(&store, |connection| {
        resource::insert_many(connection, &["a", "b", "c"].map(|id| patient(id, 1, "{}")))?;
        resource::insert_many(connection, &[related("r1", "b"), related("r2", "c"), related("r3", "nobody")])?;
        identity::insert_many(connection, &[identity_row("i1"), identity_row("i2")])?;
        record::upsert_many(connection, &[record_of("a", "i1"), record_of("b", "i1"), record_of("c", "i2")])
    });
    let connection = &mut store.connection().unwrap();
    assert_eq!(list_members(connection, "a").unwrap(), ["a", "b"]);
    assert_eq!(list_members(connection, "nobody").unwrap(), Vec::<String>::new());
    for (patient, resource_type, expected) in [
        ("a", "Patient", vec!["a", "b"]),
        ("c", "Patient", vec!["c"]),
        ("nobody", "Patient", vec![]),
        ("a", "RelatedPerson", vec!["r1"]),
        ("c", "RelatedPerson", vec!["r2"]),
        ("nobody", "RelatedPerson", vec![]),
        ("a", "Organization", vec![]),
    ] {
        let total = i64::try_from(expected.len()).unwrap();
        let ids: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        let query = query(&own(patient), resource_type, Vec::new(), 9);
        assert_eq!(found(connection, &query), (ids.clone(), Some(total), false), "{patient} {resource_type}");
        let all = ["a", "b", "c", "r1", "r2", "r3"].map(str::to_owned).to_vec();
        assert_eq!(retain_seen(connection, &own(patient), resource_type, all).unwrap(), ids);
    }
    write(&store, |connection| record::upsert_many(connection, &[record_of("b", "i2")]));
    let connection = &mut store.connection().unwrap();
    let own_now = query(&own("a"), "RelatedPerson", Vec::new(), 9);
    assert_eq!(found(connection, &own_now).0, Vec::<String>::new(), "the identity of now decides");
}

fn the_labels_of_what_is_stored_already_are_found_by_the_migration(database: &Database) {
    let migration = match database {
        Database::Sqlite(_) => include_str!("../../migrations/sqlite/0012_token_grant/up.sql"),
        Database::Postgres(_) => include_str!("../../migrations/postgres/0012_token_grant/up.sql"),
    };
    let statements = migration.split(";\n").map(|part| part[part.find("INSERT").unwrap_or(part.len())..].to_owned());
    let filling: Vec<String> = statements.filter(|part| part.starts_with("INSERT INTO restricted_version")).collect();
    assert_eq!(filling.len(), 2);
    let store = database.open();
    fill(&store);
    let constraint = unrestricted();
    let all = query(&constraint, "Patient", Vec::new(), 9);
    let before = found(&mut store.connection().unwrap(), &all);
    let mut connection = store.writer_connection().unwrap();
    connection.batch_execute("DELETE FROM restricted_version").unwrap();
    assert_eq!(found(&mut connection, &all).0.len(), 5);
    filling.iter().for_each(|statement| connection.batch_execute(statement).unwrap());
    assert_eq!(found(&mut connection, &all), before);
    let ids = ["a", "c", "f"].map(str::to_owned).to_vec();
    assert_eq!(retain_seen(&mut connection, &constraint, "Patient", ids).unwrap(), ["a", "c"]);
}
