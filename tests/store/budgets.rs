//! Budgets: what is taken is taken once, however many take at once, and rows that say nothing go.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use idi_match::budget::bucket::Limit;
use idi_match::budget::key::BudgetKey;
use idi_match::budget::ledger::{Charge, Demand};
use idi_match::store::budget::{self, Wanted};
use idi_match::store::transaction;

use crate::database::{Database, write};

on_both_databases! {
    what_is_taken_stays_taken,
    a_look_at_a_bucket_leaves_no_row,
    rows_of_full_buckets_go_and_no_others,
    writers_with_the_same_buckets_never_take_more_than_there_is,
    no_row_tells_what_it_counts,
}

const HOUR_US: i64 = 3_600_000_000;
const NOW_US: i64 = 1_700_000_000_000_000;

fn key(number: u8) -> BudgetKey {
    BudgetKey([number; 16])
}

fn taking(keys: impl IntoIterator<Item = u8>) -> Wanted {
    Wanted { taken: keys.into_iter().map(key).collect(), seen: BTreeSet::new() }
}

fn charges(keys: &[u8], limit: Limit) -> Vec<Charge> {
    keys.iter().map(|number| Charge { key: key(*number), limit }).collect()
}

/// Charges these keys in one transaction.
fn charge(database: &Database, keys: &[u8], limit: Limit, now_us: i64) -> bool {
    write(&database.open(), |connection| {
        let mut ledger = budget::open(connection, &taking(keys.iter().copied()))?;
        let is_charged = ledger.charge(&charges(keys, limit), 1, now_us).is_ok();
        budget::close(connection, &ledger, now_us).map(|()| is_charged)
    })
}

fn what_is_taken_stays_taken(database: &Database) {
    let limit = Limit::new(2, HOUR_US);
    assert!(charge(database, &[1, 2], limit, NOW_US));
    assert!(charge(database, &[1], limit, NOW_US));
    assert!(!charge(database, &[2, 1], limit, NOW_US + 1), "one of both is empty");
    assert!(charge(database, &[2], limit, NOW_US + 1), "nothing was taken from the other");
    assert!(charge(database, &[1, 2], limit, NOW_US + HOUR_US), "it comes back");
}

fn a_look_at_a_bucket_leaves_no_row(database: &Database) {
    let seen = Wanted { taken: BTreeSet::new(), seen: [key(1), key(2)].into() };
    let limit = Limit::new(1, HOUR_US);
    assert!(charge(database, &[2], limit, NOW_US));
    write(&database.open(), |connection| {
        let ledger = budget::open(connection, &seen)?;
        assert!(ledger.check(&charges(&[1], limit), 1, NOW_US).is_ok());
        assert!(ledger.check(&charges(&[1, 2], limit), 1, NOW_US).is_err());
        budget::close(connection, &ledger, NOW_US)?;
        assert_eq!(budget::count(connection), Ok(1));
        Ok(())
    });
}

fn rows_of_full_buckets_go_and_no_others(database: &Database) {
    let limit = Limit::new(10, HOUR_US);
    for number in 0..20 {
        assert!(charge(database, &[number], limit, NOW_US + i64::from(number)));
    }
    // A token of an hour's ten comes back in six minutes: by now the first twenty are full again.
    let later_us = NOW_US + HOUR_US / 10 + 20;
    for number in 100..110 {
        assert!(charge(database, &[number], limit, later_us));
    }
    let left = write(&database.open(), budget::count);
    assert_eq!(left, 10);
}

fn writers_with_the_same_buckets_never_take_more_than_there_is(database: &Database) {
    const WRITERS: u8 = 4;
    const ROUNDS: u8 = 40;
    let limit = Limit::new(60, 100_000 * HOUR_US);
    let begin = Barrier::new(usize::from(WRITERS));
    let taken: Vec<u32> = thread::scope(|scope| {
        let write_rounds = |writer: u8| {
            let begin = &begin;
            move || {
                let store = database.open();
                let mut connection = store.writer_connection().unwrap();
                begin.wait();
                let mut taken = 0;
                for round in 0..ROUNDS {
                    // Others in another order, new ones among them, and rows that are removed meanwhile.
                    let keys: Vec<u8> = (0..6)
                        .map(|at| (at * 7 + round * writer) % 11)
                        .chain([7, 20 + round * WRITERS + writer])
                        .collect();
                    transaction::begin_write(&mut connection).unwrap();
                    let mut ledger = budget::open(&mut connection, &taking(keys)).unwrap();
                    let demand = Demand { key: key(7), limit, take: 1 };
                    taken += ledger.lease(&demand, NOW_US).tokens;
                    let other = Demand { key: key(20 + round * WRITERS + writer), limit: Limit::new(1, 1), take: 1 };
                    ledger.lease(&other, NOW_US - 10);
                    budget::close(&mut connection, &ledger, NOW_US).unwrap();
                    transaction::commit(&mut connection).unwrap();
                }
                taken
            }
        };
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(write_rounds(writer))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(taken.iter().sum::<u32>(), 60, "{taken:?}");
}

fn no_row_tells_what_it_counts(database: &Database) {
    use idi_match::budget::key::Keyed;
    let keyed = Keyed::new(&[3; 32]);
    let named = keyed.key(&[b"subject", b"client-of-a-hospital", b"Fairweather"]);
    write(&database.open(), |connection| {
        let wanted = Wanted { taken: [named].into(), seen: BTreeSet::new() };
        let mut ledger = budget::open(connection, &wanted)?;
        assert!(ledger.charge(&[Charge { key: named, limit: Limit::new(1, HOUR_US) }], 1, NOW_US).is_ok());
        budget::close(connection, &ledger, NOW_US)
    });
    let stored = write(&database.open(), |connection| {
        budget::open(connection, &Wanted { taken: BTreeSet::new(), seen: [named].into() })
    });
    assert!(stored.check(&[Charge { key: named, limit: Limit::new(1, HOUR_US) }], 1, NOW_US).is_err());
    assert!(!named.0.windows(4).any(|bytes| b"client-of-a-hospital Fairweather".windows(4).any(|word| word == bytes)));
}
