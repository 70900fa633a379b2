//! Families of tokens, codes, refresh tokens and consents.

use std::thread;
use std::time::Duration;

use idi_match::store::access_token::{self, NewAccessToken};
use idi_match::store::client;
use idi_match::store::consent::{self, ConsentRow, Held};
use idi_match::store::token_family::{self, CodeRow, FamilyRow, RefreshRow, Used};
use idi_match::store::transaction;

use crate::database::{Database, write};

on_both_databases! {
    a_code_and_a_refresh_token_are_used_once,
    with_its_family_a_token_falls,
    an_account_ends_all_its_families,
    what_expired_long_ago_is_removed,
    the_last_agreement_counts,
    what_was_agreed_to_ends_with_what_came_of_it,
    what_stands_of_an_account_is_listed_the_newest_first,
    of_one_client_everything_ends_and_of_others_nothing,
    an_agreement_is_held_while_it_is_the_one_that_was_read,
    taking_back_waits_for_an_app_that_is_being_let_in_and_ends_its_code,
}

fn family(id: &str, account_id: &str, expires_us: i64) -> FamilyRow {
    FamilyRow {
        family_id: id.to_owned(),
        client_id: "c1".to_owned(),
        account_id: account_id.to_owned(),
        content: b"sealed".to_vec(),
        created_us: 1,
        expires_us,
        revoked_us: None,
    }
}

fn code(digest: &str, expires_us: i64) -> CodeRow {
    CodeRow {
        code: digest.to_owned(),
        client_id: "c1".to_owned(),
        account_id: "a1".to_owned(),
        family_id: "f1".to_owned(),
        content: b"sealed".to_vec(),
        expires_us,
        used_us: None,
    }
}

fn refresh(digest: &str, family_id: &str, expires_us: i64) -> RefreshRow {
    RefreshRow { token: digest.to_owned(), family_id: family_id.to_owned(), issued_us: 1, expires_us, used_us: None }
}

fn a_code_and_a_refresh_token_are_used_once(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    token_family::insert_code(connection, &code("k1", 100)).unwrap();
    assert!(token_family::insert_code(connection, &code("k1", 100)).is_err(), "it is there");
    assert_eq!(token_family::find_code(connection, "k1"), Ok(Some(code("k1", 100))));
    assert_eq!(token_family::use_code(connection, "k1", 7), Ok(Used::Now));
    assert_eq!(token_family::use_code(connection, "k1", 8), Ok(Used::Before));
    assert_eq!(token_family::find_code(connection, "k1").unwrap().unwrap().used_us, Some(7), "it stays, to be noticed");
    assert_eq!(token_family::use_code(connection, "k2", 8), Ok(Used::Before), "one that is not there");
    token_family::insert(connection, &family("f1", "a1", 100)).unwrap();
    token_family::insert_refresh(connection, &refresh("r1", "f1", 100)).unwrap();
    let found = token_family::find_refresh(connection, "r1").unwrap().unwrap();
    assert_eq!(found, (refresh("r1", "f1", 100), family("f1", "a1", 100)));
    assert_eq!(token_family::use_refresh(connection, "r1", 7), Ok(Used::Now));
    assert_eq!(token_family::use_refresh(connection, "r1", 8), Ok(Used::Before));
    assert_eq!(token_family::find_refresh(connection, "r2"), Ok(None));
}

fn with_its_family_a_token_falls(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    token_family::insert(connection, &family("f1", "a1", 100)).unwrap();
    let row = |token_id, family_id| NewAccessToken {
        token_id,
        client_id: "c1",
        issued_us: 1,
        expires_us: 100,
        context: None,
        grant_sha256: "0f",
        family_id,
    };
    for (token_id, family_id) in [("t1", Some("f1")), ("t2", None), ("t3", Some("gone"))] {
        access_token::insert(connection, &row(token_id, family_id)).unwrap();
    }
    let is_revoked = |connection: &mut _, id: &str| access_token::find(connection, id).unwrap().unwrap().is_revoked();
    assert!(!is_revoked(connection, "t1") && !is_revoked(connection, "t2"));
    assert!(is_revoked(connection, "t3"), "a token of a family that nobody knows");
    for at_us in [5, 9] {
        token_family::revoke(connection, "f1", at_us).unwrap();
        assert_eq!(token_family::find(connection, "f1").unwrap().unwrap().revoked_us, Some(5), "the first time counts");
    }
    assert!(is_revoked(connection, "t1") && !is_revoked(connection, "t2"));
}

fn an_account_ends_all_its_families(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    for (id, account_id) in [("f1", "a1"), ("f2", "a1"), ("f3", "a2")] {
        token_family::insert(connection, &family(id, account_id, 100)).unwrap();
    }
    token_family::revoke(connection, "f1", 5).unwrap();
    let other = CodeRow { account_id: "a2".to_owned(), ..code("k3", 100) };
    for row in [code("k1", 100), code("k2", 100), other.clone()] {
        token_family::insert_code(connection, &row).unwrap();
    }
    token_family::use_code(connection, "k2", 3).unwrap();
    assert_eq!(token_family::revoke_of_account(connection, "a1", 6), Ok(1));
    let revoked = |connection: &mut _, id: &str| token_family::find(connection, id).unwrap().unwrap().revoked_us;
    assert_eq!(["f1", "f2", "f3"].map(|id| revoked(connection, id)), [Some(5), Some(6), None]);
    assert_eq!(
        ["k1", "k2", "k3"].map(|code| token_family::find_code(connection, code).unwrap()),
        [None, None, Some(other)]
    );
    assert_eq!(token_family::use_code(connection, "k1", 7), Ok(Used::Before), "a redemption that has read it before");
}

fn what_expired_long_ago_is_removed(database: &Database) {
    let store = database.open();
    write(&store, |connection| {
        for at_us in [10, 20, 30] {
            token_family::insert(connection, &family(&format!("f{at_us}"), "a1", at_us))?;
            token_family::insert_code(connection, &code(&format!("k{at_us}"), at_us))?;
            token_family::insert_refresh(connection, &refresh(&format!("r{at_us}"), "f30", at_us))?;
        }
        assert_eq!(token_family::delete_expired(connection, 30, 1)?, 3, "so many of each kind at a time");
        assert_eq!(token_family::delete_expired(connection, 30, 10)?, 3);
        assert_eq!(token_family::delete_expired(connection, 30, 10)?, 0, "what ends at the moment stays");
        assert!(
            token_family::find(connection, "f30")?.is_some()
                && token_family::find_refresh(connection, "r30")?.is_some()
        );
        Ok(())
    });
}

fn the_last_agreement_counts(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    let row = |scope: &str, granted_us| ConsentRow {
        account_id: "a1".to_owned(),
        client_id: "c1".to_owned(),
        scope: scope.to_owned(),
        granted_us,
    };
    for (scope, at_us) in [("openid", 1), ("openid profile", 2), ("profile", 3)] {
        consent::put(connection, &row(scope, at_us)).unwrap();
        assert_eq!(consent::find(connection, "a1", "c1"), Ok(Some(row(scope, at_us))));
    }
    assert_eq!(consent::find(connection, "a1", "c2"), Ok(None));
    consent::delete(connection, "a1", "c1").unwrap();
    assert_eq!(consent::find(connection, "a1", "c1"), Ok(None));
}

fn what_was_agreed_to_ends_with_what_came_of_it(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    let row = |account_id: &str, client_id: &str| ConsentRow {
        account_id: account_id.to_owned(),
        client_id: client_id.to_owned(),
        scope: "openid".to_owned(),
        granted_us: 1,
    };
    let all = [("a1", "c1"), ("a1", "c2"), ("a2", "c1")];
    let there = |connection: &mut _| {
        all.map(|(account_id, client_id)| consent::find(connection, account_id, client_id).unwrap().is_some())
    };
    for (account_id, client_id) in all {
        consent::put(connection, &row(account_id, client_id)).unwrap();
    }
    token_family::insert(connection, &family("f1", "a1", 100)).unwrap();
    token_family::revoke(connection, "f1", 5).unwrap();
    assert_eq!(there(connection), [false, true, true]);
    consent::put(connection, &row("a1", "c1")).unwrap();
    token_family::revoke(connection, "f1", 6).unwrap();
    assert_eq!(
        there(connection),
        [true, true, true],
        "what ended before has nothing to do with what was agreed to since"
    );
    token_family::revoke_of_account(connection, "a1", 7).unwrap();
    assert_eq!(there(connection), [false, false, true]);
}

fn agreement(account_id: &str, client_id: &str, granted_us: i64) -> ConsentRow {
    ConsentRow {
        account_id: account_id.to_owned(),
        client_id: client_id.to_owned(),
        scope: "openid".to_owned(),
        granted_us,
    }
}

fn what_stands_of_an_account_is_listed_the_newest_first(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    for (id, account_id, created_us, expires_us) in
        [("f1", "a1", 1, 100), ("f2", "a1", 3, 100), ("f3", "a1", 2, 50), ("f4", "a2", 9, 100), ("f5", "a1", 5, 100)]
    {
        let row = FamilyRow { created_us, ..family(id, account_id, expires_us) };
        token_family::insert(connection, &row).unwrap();
    }
    token_family::revoke(connection, "f5", 6).unwrap();
    let mut ids = |now_us, families_max| -> Vec<String> {
        let rows = token_family::list_standing(connection, "a1", now_us, families_max).unwrap();
        rows.into_iter().map(|row| row.family_id).collect()
    };
    assert_eq!(ids(49, 10), ["f2", "f3", "f1"]);
    assert_eq!(ids(50, 10), ["f2", "f1"], "what ends at the moment is over");
    assert_eq!(ids(50, 1), ["f2"]);
    assert_eq!(token_family::list_standing(connection, "a3", 1, 10), Ok(Vec::new()));
    for row in [agreement("a1", "c1", 5), agreement("a1", "c2", 7), agreement("a2", "c1", 9)] {
        consent::put(connection, &row).unwrap();
    }
    let newest = [agreement("a1", "c2", 7), agreement("a1", "c1", 5)];
    assert_eq!(consent::list_of_account(connection, "a1", 10).as_deref(), Ok(&newest[..]));
    assert_eq!(consent::list_of_account(connection, "a1", 1).as_deref(), Ok(&newest[..1]));
    assert_eq!(client::list_of(connection, &["c1", "c2"]), Ok(Vec::new()), "nobody has added them");
    assert_eq!(client::list_of(connection, &[]), Ok(Vec::new()));
}

fn of_one_client_everything_ends_and_of_others_nothing(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    let all = [("f1", "a1", "c1"), ("f2", "a1", "c1"), ("f3", "a1", "c2"), ("f4", "a2", "c1")];
    for (number, (id, account_id, client_id)) in (0..).zip(all) {
        let client_id = client_id.to_owned();
        let of_client = FamilyRow { client_id: client_id.clone(), ..family(id, account_id, 100) };
        token_family::insert(connection, &of_client).unwrap();
        let account_id = account_id.to_owned();
        let row = CodeRow { account_id, client_id, ..code(&format!("k{number}"), 100) };
        token_family::insert_code(connection, &row).unwrap();
        consent::put(connection, &agreement(&row.account_id, &row.client_id, 1)).unwrap();
    }
    token_family::revoke(connection, "f1", 5).unwrap();
    consent::put(connection, &agreement("a1", "c1", 6)).unwrap();
    assert_eq!(token_family::revoke_of_client(connection, "a1", "c1", 7), Ok(4), "a family, an agreement, two codes");
    let revoked = all.map(|(id, ..)| token_family::find(connection, id).unwrap().unwrap().revoked_us);
    assert_eq!(revoked, [Some(5), Some(7), None, None]);
    let codes =
        [0, 1, 2, 3].map(|number| token_family::find_code(connection, &format!("k{number}")).unwrap().is_some());
    assert_eq!(codes, [false, false, true, true]);
    let agreed = [("a1", "c1"), ("a1", "c2"), ("a2", "c1")]
        .map(|(account_id, client_id)| consent::find(connection, account_id, client_id).unwrap().is_some());
    assert_eq!(agreed, [false, true, true]);
    assert_eq!(token_family::revoke_of_client(connection, "a1", "c1", 8), Ok(0), "there is nothing any more");
}

fn an_agreement_is_held_while_it_is_the_one_that_was_read(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    consent::put(connection, &agreement("a1", "c1", 5)).unwrap();
    assert_eq!(consent::hold(connection, "a1", "c1", 5), Ok(Held::Still));
    assert_eq!(consent::find(connection, "a1", "c1"), Ok(Some(agreement("a1", "c1", 5))));
    assert_eq!(consent::hold(connection, "a1", "c1", 4), Ok(Held::Gone));
    assert_eq!(consent::hold(connection, "a2", "c1", 5), Ok(Held::Gone));
    consent::delete(connection, "a1", "c1").unwrap();
    assert_eq!(consent::hold(connection, "a1", "c1", 5), Ok(Held::Gone));
}

fn taking_back_waits_for_an_app_that_is_being_let_in_and_ends_its_code(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    consent::put(connection, &agreement("a1", "c1", 5)).unwrap();
    transaction::begin_write(connection).unwrap();
    assert_eq!(consent::hold(connection, "a1", "c1", 5), Ok(Held::Still));
    thread::scope(|scope| {
        let ended = scope.spawn(|| {
            let other = &mut store.writer_connection().unwrap();
            transaction::begin_write(other).unwrap();
            let ended = token_family::revoke_of_client(other, "a1", "c1", 7).unwrap();
            transaction::commit(other).unwrap();
            ended
        });
        // Long enough for it to wait, and right however long it takes.
        thread::sleep(Duration::from_millis(200));
        token_family::insert_code(connection, &code("k1", 100)).unwrap();
        transaction::commit(connection).unwrap();
        assert_eq!(ended.join().unwrap(), 2, "the agreement and the code that came of it");
    });
    assert_eq!(token_family::find_code(connection, "k1"), Ok(None));
    assert_eq!(consent::find(connection, "a1", "c1"), Ok(None));
}
