//! Families of tokens, codes, refresh tokens and consents.

use idi_match::store::access_token::{self, NewAccessToken};
use idi_match::store::consent::{self, ConsentRow};
use idi_match::store::token_family::{self, CodeRow, FamilyRow, RefreshRow, Used};

use crate::database::{Database, write};

on_both_databases! {
    a_code_and_a_refresh_token_are_used_once,
    with_its_family_a_token_falls,
    an_account_ends_all_its_families,
    what_expired_long_ago_is_removed,
    the_last_agreement_counts,
    what_was_agreed_to_ends_with_what_came_of_it,
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
