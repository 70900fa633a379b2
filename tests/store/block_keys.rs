//! Block keys: replaced, taken back, read by range.

use idi_match::matching::stored_blocks::KeyRange;
use idi_match::store::block_key::{self, BlockState, RecordKeys};
use idi_match::store::identity;

use crate::database::{Database, insert_person, write};

on_both_databases! {
    keys_are_replaced_and_taken_back,
    a_range_gives_as_many_rows_as_it_wants,
    records_are_found_by_number,
    the_state_is_one_row,
    identities_with_records_are_counted,
}

fn keys_of(number: i64, keys: &[i64]) -> RecordKeys {
    RecordKeys { number, record_id: format!("r{number}"), keys: keys.to_vec() }
}

fn range(from: i64, to: i64, rows_max: usize) -> KeyRange {
    KeyRange { from, to, rows_max }
}

fn keys_are_replaced_and_taken_back(database: &Database) {
    let store = database.open();
    let all = [range(i64::MIN, i64::MAX, 100)];
    write(&store, |connection| block_key::replace_many(connection, &[keys_of(1, &[5, 7]), keys_of(2, &[7])]));
    let connection = &mut store.connection().unwrap();
    assert_eq!(block_key::list_ranges(connection, &all), Ok(vec![(0, 1), (0, 1), (0, 2)]));
    write(&store, |connection| block_key::replace_many(connection, &[keys_of(1, &[7, 9]), keys_of(2, &[])]));
    let ranges = [range(5, 5, 9), range(7, 7, 9), range(9, 9, 9)];
    assert_eq!(block_key::list_ranges(connection, &ranges), Ok(vec![(1, 1), (2, 1)]));
    write(&store, block_key::clear);
    assert_eq!(block_key::list_ranges(connection, &all), Ok(Vec::new()));
}

fn a_range_gives_as_many_rows_as_it_wants(database: &Database) {
    let store = database.open();
    let records: Vec<RecordKeys> = (1..=20).map(|number| keys_of(number, &[number % 2, 100])).collect();
    write(&store, |connection| block_key::replace_many(connection, &records));
    let ranges = [range(0, 0, 3), range(0, 1, 12), range(100, 200, 100), range(300, 400, 1)];
    let found = block_key::list_ranges(&mut store.connection().unwrap(), &ranges).unwrap();
    let count = |place: usize| found.iter().filter(|(at, _)| *at == place).count();
    assert_eq!([count(0), count(1), count(2), count(3)], [3, 12, 20, 0]);
    assert_eq!(&found[..3], [(0, 2), (0, 4), (0, 6)]);
    assert_eq!(block_key::list_ranges(&mut store.connection().unwrap(), &[]), Ok(Vec::new()));
}

fn records_are_found_by_number(database: &Database) {
    let store = database.open();
    write(&store, |connection| {
        insert_person(connection, "a", "i1")?;
        insert_person(connection, "b", "i2")
    });
    let connection = &mut store.connection().unwrap();
    let mut numbers = block_key::list_numbers(connection, &["a", "b", "nobody"]).unwrap();
    numbers.sort();
    let [(a, of_a), (b, of_b)] = numbers.as_slice() else { panic!("two: {numbers:?}") };
    assert_eq!((a.as_str(), b.as_str()), ("a", "b"));
    let page = block_key::list_numbered_page(connection, "", 10).unwrap();
    assert_eq!(
        page.iter().map(|one| (one.number, one.record.id.as_str())).collect::<Vec<_>>(),
        [(*of_a, "a"), (*of_b, "b")]
    );
    assert_eq!(block_key::list_numbered_page(connection, "a", 10).unwrap().len(), 1);
    let keys = |number: i64, id: &str| RecordKeys { number, record_id: id.to_owned(), keys: vec![1] };
    write(&store, |connection| block_key::replace_many(connection, &[keys(*of_b, "b"), keys(77, "gone")]));
    let found = block_key::list_records(connection, &[*of_a, *of_b, 77]).unwrap();
    assert_eq!(found.iter().map(|one| one.record.id.as_str()).collect::<Vec<_>>(), ["b"]);
}

fn the_state_is_one_row(database: &Database) {
    let store = database.open();
    assert_eq!(block_key::find_state(&mut store.connection().unwrap()), Ok(None));
    for filled_to in [Some("a".to_owned()), None] {
        let state = BlockState { derivation: 2, seq: 9, filled_to };
        write(&store, |connection| block_key::put_state(connection, &state));
        assert_eq!(block_key::find_state(&mut store.connection().unwrap()), Ok(Some(state)));
    }
}

fn identities_with_records_are_counted(database: &Database) {
    let store = database.open();
    write(&store, |connection| {
        for (record, identity) in [("a", "i1"), ("b", "i2")] {
            insert_person(connection, record, identity)?;
        }
        identity::insert_many(connection, &[crate::database::identity_row("empty")])
    });
    assert_eq!(identity::count_populated(&mut store.connection().unwrap()), Ok(2));
}
