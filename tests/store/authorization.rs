//! Clients, used ids, access tokens and signing keys.

use std::thread;

use idi_match::store::access_token::{self, NewAccessToken};
use idi_match::store::client::{self, ACTIVE, CANCELLED, ClientRow, DISABLED, Inserted, UDAP};
use idi_match::store::replay::{self, Taken};
use idi_match::store::signing_key::{self, SigningKeyRow};
use idi_match::store::transaction;

use crate::database::{Database, write};

on_both_databases! {
    one_client_has_a_community_and_uri_until_it_is_cancelled,
    a_client_that_has_no_place_undoes_nothing,
    clients_are_listed_by_page,
    an_id_is_taken_once_until_it_expires,
    of_many_that_take_an_id_at_once_one_does,
    expired_ids_and_tokens_are_removed_oldest_first_and_no_others,
    a_token_stands_until_it_is_revoked_and_says_how_its_client_stands,
    keys_are_listed_newest_first_and_go_when_they_were_retired_long_ago,
}

fn client(id: &str, community: &str, issuer: &str) -> ClientRow {
    let text = |text: &str| text.to_owned();
    ClientRow {
        client_id: text(id),
        kind: text(UDAP),
        state: text(ACTIVE),
        community: text(community),
        issuer: text(issuer),
        name: text("Example"),
        grant_types: text("client_credentials"),
        scope: text("system/Patient.rs"),
        registration: text("{}"),
        certifications: text("[]"),
        certificate: Some(text("AAAA")),
        anchor_sha256: None,
        jwks: None,
        jwks_url: None,
        created_us: 5,
        updated_us: 5,
        auth_method: text("private_key_jwt"),
        redirect_uris: text("[]"),
        logout_uris: text("[]"),
        origins: text("[]"),
        compatibility: String::new(),
    }
}

fn one_client_has_a_community_and_uri_until_it_is_cancelled(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    assert_eq!(client::insert(connection, &client("c1", "a", "u")), Ok(Inserted::Done));
    assert_eq!(client::insert(connection, &client("c1", "b", "v")), Ok(Inserted::Taken), "the id");
    assert_eq!(client::insert(connection, &client("c2", "a", "u")), Ok(Inserted::Taken), "community and URI");
    assert_eq!(client::insert(connection, &client("c2", "b", "u")), Ok(Inserted::Done));
    assert_eq!(client::find_registration(connection, "a", "u"), Ok(Some(client("c1", "a", "u"))));
    let disabled = ClientRow { state: DISABLED.to_owned(), certificate: None, ..client("c1", "a", "u") };
    client::update(connection, &disabled).unwrap();
    assert_eq!(client::find_registration(connection, "a", "u"), Ok(Some(disabled.clone())));
    assert_eq!(
        client::insert(connection, &client("c3", "a", "u")),
        Ok(Inserted::Taken),
        "a disabled one has its place"
    );
    let cancelled = ClientRow { state: CANCELLED.to_owned(), ..disabled };
    client::update(connection, &cancelled).unwrap();
    assert_eq!(client::find_registration(connection, "a", "u"), Ok(None));
    assert_eq!(client::insert(connection, &client("c3", "a", "u")), Ok(Inserted::Done));
    assert_eq!(client::find(connection, "c1"), Ok(Some(cancelled)), "it stays");
    for id in ["s1", "s2"] {
        let smart = ClientRow { kind: client::SMART.to_owned(), ..client(id, "", "") };
        assert_eq!(client::insert(connection, &smart), Ok(Inserted::Done), "{id}");
    }
}

fn a_client_that_has_no_place_undoes_nothing(database: &Database) {
    let store = database.open();
    write(&store, |connection| client::insert(connection, &client("c1", "a", "u")).map(|_| ()));
    write(&store, |connection| {
        replay::take(connection, "i", "t", 10, 5)?;
        assert_eq!(client::insert(connection, &client("c2", "a", "u"))?, Inserted::Taken);
        client::find_registration(connection, "a", "u").map(|_| ())
    });
    assert_eq!(replay::count(&mut store.connection().unwrap()), Ok(1));
}

fn clients_are_listed_by_page(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    for id in ["c2", "c1", "c3"] {
        client::insert(connection, &client(id, "a", id)).unwrap();
    }
    let ids = |after, count| -> Vec<String> {
        let mut connection = store.connection().unwrap();
        client::list_after(&mut connection, after, count).unwrap().into_iter().map(|row| row.client_id).collect()
    };
    assert_eq!((ids("", 2), ids("c2", 2)), (vec!["c1".to_owned(), "c2".to_owned()], vec!["c3".to_owned()]));
}

fn an_id_is_taken_once_until_it_expires(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    let table = [
        ("i", "t", 100, 10, Taken::Now),
        ("i", "t", 200, 11, Taken::Before),
        ("i", "u", 100, 11, Taken::Now),
        ("j", "t", 100, 11, Taken::Now),
        ("I", "t", 100, 11, Taken::Now),
        ("i", "t", 300, 99, Taken::Before),
        // Free from the moment on at which it expires, and taken anew until the new moment.
        ("i", "t", 300, 100, Taken::Now),
        ("i", "t", 400, 299, Taken::Before),
    ];
    for (at, (issuer, id, expires_us, now_us, expected)) in table.into_iter().enumerate() {
        assert_eq!(replay::take(connection, issuer, id, expires_us, now_us), Ok(expected), "step {at}");
    }
}

fn of_many_that_take_an_id_at_once_one_does(database: &Database) {
    let store = database.open();
    let taken = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let store = &store;
                scope.spawn(move || {
                    let connection = &mut store.writer_connection().unwrap();
                    let take = |at: usize| {
                        transaction::begin_write(connection).unwrap();
                        let taken = replay::take(connection, "i", &format!("t{at}"), 100, 10).unwrap();
                        transaction::commit(connection).unwrap();
                        taken == Taken::Now
                    };
                    (0..20).map(take).filter(|taken| *taken).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    assert_eq!(taken, 20);
}

fn expired_ids_and_tokens_are_removed_oldest_first_and_no_others(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    for (id, expires_us) in [("a", 10), ("b", 20), ("c", 20), ("d", 30), ("e", 40)] {
        replay::take(connection, "i", id, expires_us, 1).unwrap();
        access_token::insert(connection, &token(id, expires_us)).unwrap();
    }
    assert_eq!(replay::delete_expired(connection, 30, 2), Ok(1), "b and c expire together and wait for the next time");
    assert_eq!(replay::delete_expired(connection, 30, 10), Ok(3));
    assert_eq!(replay::count(connection), Ok(1));
    assert_eq!(access_token::delete_expired(connection, 30, 10), Ok(4));
    assert_eq!(access_token::count(connection), Ok(1));
    assert_eq!(access_token::delete_expired(connection, 39, 10), Ok(0));
}

fn token(id: &str, expires_us: i64) -> NewAccessToken<'_> {
    let context = Some(&b"sealed"[..]);
    let (grant_sha256, family_id) = ("0f", None);
    NewAccessToken { token_id: id, client_id: "c1", issued_us: 1, expires_us, context, grant_sha256, family_id }
}

fn a_token_stands_until_it_is_revoked_and_says_how_its_client_stands(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    access_token::insert(connection, &token("t1", 100)).unwrap();
    let standing = access_token::find(connection, "t1").unwrap().unwrap();
    assert_eq!((standing.client_state, standing.context.as_deref()), (None, Some(&b"sealed"[..])));
    assert_eq!(standing.grant_sha256.as_deref(), Some("0f"));
    client::insert(connection, &client("c1", "a", "u")).unwrap();
    let standing = access_token::find(connection, "t1").unwrap().unwrap();
    assert_eq!((standing.client_state.as_deref(), standing.revoked_us), (Some(ACTIVE), None));
    access_token::revoke(connection, "t1", "c2", 7).unwrap();
    assert_eq!(access_token::find(connection, "t1").unwrap().unwrap().revoked_us, None, "it is not theirs");
    for at_us in [8, 9] {
        access_token::revoke(connection, "t1", "c1", at_us).unwrap();
        let standing = access_token::find(connection, "t1").unwrap().unwrap();
        assert_eq!((standing.revoked_us, standing.context), (Some(8), None), "and what was asserted is forgotten");
    }
    assert_eq!(access_token::find(connection, "t2"), Ok(None));
}

fn keys_are_listed_newest_first_and_go_when_they_were_retired_long_ago(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    for (kid, created_us) in [("a", 1), ("b", 3), ("c", 2)] {
        let row = SigningKeyRow {
            kid: kid.to_owned(),
            sealed_by: "database".to_owned(),
            private_key: "AAAA".to_owned(),
            created_us,
            retired_us: None,
            algorithm: "ES256".to_owned(),
        };
        signing_key::insert(connection, &row).unwrap();
        assert!(!format!("{row:?}").contains("AAAA"));
    }
    let keys = |connection: &mut _| -> Vec<(String, Option<i64>)> {
        signing_key::list(connection).unwrap().into_iter().map(|row| (row.kid, row.retired_us)).collect()
    };
    signing_key::retire_others(connection, "ES256", "b", 10).unwrap();
    signing_key::retire_others(connection, "ES256", "b", 20).unwrap();
    let expected = [("b", None), ("c", Some(10)), ("a", Some(10))].map(|(kid, at)| (kid.to_owned(), at));
    assert_eq!(keys(connection), expected);
    assert_eq!(signing_key::delete_retired_before(connection, 10), Ok(0));
    assert_eq!(signing_key::delete_retired_before(connection, 11), Ok(2));
    assert_eq!(keys(connection), expected[..1]);
}
