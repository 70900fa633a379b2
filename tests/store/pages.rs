//! Pages of large resources: each ends where its room does, and all together hold everything once.

use idi_match::fhir::search_parameter::{SearchValues, StringValue, TokenValue};
use idi_match::store::Store;
use idi_match::store::body::{Head, list_heads, load};
use idi_match::store::constraint::SearchConstraint;
use idi_match::store::history::{self, HistoryQuery, HistoryScope};
use idi_match::store::reference::{Sought, list_sources};
use idi_match::store::resource::{self, Direction, NewResource, SearchQuery, Sort, SortKey, Total};

use crate::database::{Database, patient, write};

on_both_databases! {
    a_page_of_a_search_ends_where_its_room_does,
    a_page_of_a_history_ends_where_its_room_does,
    heads_have_their_lengths_whether_a_body_came_along_or_not,
}

const FAMILY: i16 = 2;
const LINK: i16 = 20;
const BYTES_MAX: usize = 1_000;

/// Lengths in bytes, of letters of two bytes: some have room with others, some alone, some not at all.
const LENGTHS: [usize; 12] = [10, 998, 10, 400, 400, 400, 3_000, 10, 3_000, 3_000, 1_000, 2];

fn large(number: usize, version: i64) -> NewResource {
    let id = format!("p{number:02}");
    // Half of them are in the part of an order that has no values.
    let name = StringValue { parameter: FAMILY, value: format!("n{:02}", 50 - number), exact: "N".to_owned() };
    let link = TokenValue { parameter: LINK, system: "Patient".to_owned(), value: "p00".to_owned() };
    let strings = if number.is_multiple_of(2) { vec![name] } else { Vec::new() };
    let search = SearchValues { strings, tokens: vec![link], dates: Vec::new(), is_restricted: false };
    NewResource { search, ..patient(&id, version, &body(number, version)) }
}

fn body(number: usize, version: i64) -> String {
    let length = LENGTHS[(number + version as usize) % LENGTHS.len()];
    "é".repeat(length / 2)
}

fn fill(store: &Store) {
    let all: Vec<NewResource> = (0..LENGTHS.len()).map(|number| large(number, 1)).collect();
    write(store, |connection| resource::insert_many(connection, &all));
}

/// No page has more than its room, or more than one body.
fn check_room<'b>(bodies: impl Iterator<Item = &'b str>) {
    let lengths: Vec<usize> = bodies.map(str::len).collect();
    assert!(lengths.iter().sum::<usize>() <= BYTES_MAX || lengths.len() == 1, "{lengths:?}");
}

fn a_page_of_a_search_ends_where_its_room_does(database: &Database) {
    let store = database.open();
    fill(&store);
    let by = |by| vec![Sort { by, direction: Direction::Ascending }];
    let sorts = [vec![], by(SortKey::Id), by(SortKey::LastUpdated), by(SortKey::String(FAMILY))];
    for (sort, count) in sorts.into_iter().flat_map(|sort| [1, 3, 12, 100].map(|count| (sort.clone(), count))) {
        let first = SearchQuery {
            resource_type: "Patient".to_owned(),
            conditions: Vec::new(),
            constraint: SearchConstraint::NONE,
            sort,
            after: None,
            count,
            bytes_max: BYTES_MAX as i64,
            total: Total::Accurate,
        };
        let connection = &mut store.connection().unwrap();
        let mut page = resource::search(connection, &first).unwrap();
        assert_eq!(page.total, Some(12));
        let mut seen = Vec::new();
        loop {
            assert!((1..=count as usize).contains(&page.rows.len()));
            check_room(page.rows.iter().map(|row| row.body.as_str()));
            for row in &page.rows {
                let number = row.id[1..].parse().unwrap();
                assert_eq!(row.body, body(number, 1), "{}", row.id);
                seen.push(number);
            }
            let Some(next) = page.next else { break };
            page = resource::search(connection, &SearchQuery { after: Some(next), ..first.clone() }).unwrap();
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..12).collect::<Vec<usize>>(), "{:?} {count}", first.sort);
    }
}

fn a_page_of_a_history_ends_where_its_room_does(database: &Database) {
    let store = database.open();
    fill(&store);
    for version in 2..6 {
        write(&store, |connection| resource::update(connection, &large(1, version), version - 1));
        write(&store, |connection| resource::update(connection, &large(2, version), version - 1));
    }
    write(&store, |connection| resource::delete(connection, "Patient", "p02", 5, 6_000));
    for (scope, versions) in [(HistoryScope::Type, 21), (HistoryScope::Instance("p02".to_owned()), 6)] {
        for count in [1, 4, 100] {
            let mut query = HistoryQuery {
                resource_type: "Patient".to_owned(),
                scope: scope.clone(),
                since_us: None,
                at: None,
                constraint: SearchConstraint::NONE,
                after: None,
                count,
                bytes_max: BYTES_MAX as i64,
            };
            let mut seen = Vec::new();
            loop {
                let page = history::list(&mut store.connection().unwrap(), &query).unwrap();
                assert!((1..=count as usize).contains(&page.versions.len()));
                check_room(page.versions.iter().map(|row| row.body.as_str()));
                for row in page.versions {
                    let number = row.id[1..].parse().unwrap();
                    assert_eq!(row.body, if row.deleted { String::new() } else { body(number, row.version) });
                    seen.push((row.updated_us, row.id, row.version));
                }
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
            assert!(seen.is_sorted_by(|before, after| before > after), "{scope:?} {count}");
            assert_eq!(seen.len(), versions, "{scope:?} {count}");
        }
    }
}

fn heads_have_their_lengths_whether_a_body_came_along_or_not(database: &Database) {
    let store = database.open();
    fill(&store);
    let connection = &mut store.connection().unwrap();
    let ids: Vec<String> = (0..LENGTHS.len()).map(|number| format!("p{number:02}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let sought = Sought { source: "Patient", constraint: &SearchConstraint::NONE, resource_type: "Patient" };
    for bytes_max in [0, BYTES_MAX as i64, 12 * 400, i64::MAX] {
        let named = list_heads(connection, "Patient", &ids, bytes_max).unwrap();
        let referring = list_sources(connection, &[LINK], sought, &["p00"], 99, bytes_max).unwrap();
        for mut heads in [named, referring] {
            heads.sort_unstable_by(|a: &Head, b| b.id.cmp(&a.id));
            let lengths: Vec<i64> = heads.iter().map(|head| head.bytes).collect();
            let whole = load(connection, heads).unwrap();
            assert_eq!(whole.len(), LENGTHS.len());
            for ((row, bytes), number) in whole.iter().zip(lengths).zip((0..LENGTHS.len()).rev()) {
                assert_eq!((row.body.as_str(), bytes), (body(number, 1).as_str(), row.body.len() as i64), "{number}");
            }
        }
    }
}
