//! Accounts of people, their sessions, and what is counted of signing in.

use std::thread;

use idi_match::store::person_account::{self, ACTIVE, DISABLED, PERSON, PersonAccountRow, StepTaken};
use idi_match::store::session::{self, SessionRow};
use idi_match::store::sign_in_attempt::{self, AttemptRow, Forgotten};
use idi_match::store::{StoreError, transaction};

use crate::database::{Database, write};

on_both_databases! {
    a_login_is_of_one_account,
    accounts_are_listed_by_page,
    of_many_that_use_a_code_at_once_one_does,
    a_code_is_not_used_for_an_account_that_has_changed,
    a_session_is_of_an_active_account_and_ends_with_it,
    sessions_end_and_are_removed_in_time_and_no_others,
    counts_under_the_lock_lose_nothing,
    counts_are_forgotten_by_what_they_led_to,
}

fn account(id: &str, login: &str) -> PersonAccountRow {
    let text = |text: &str| text.to_owned();
    PersonAccountRow {
        account_id: text(id),
        login: text(login),
        kind: text(PERSON),
        state: text(ACTIVE),
        password_hash: text("a hash"),
        totp_secret: text("AAAA"),
        totp_step: 10,
        level: text("IDIAL1.8"),
        verified_on: text("2026-01-02"),
        attributes: text("AAAA"),
        identity_id: Some(text("i1")),
        created_us: 5,
        updated_us: 5,
    }
}

fn session_of(token: &str, account_id: &str, expires_us: i64) -> SessionRow {
    let text = |text: &str| text.to_owned();
    SessionRow {
        token_sha256: text(token),
        account_id: text(account_id),
        identity_level: text("IDIAL1.8"),
        authentication_level: text("AAL2"),
        methods: text("pwd otp"),
        signed_in_us: 5,
        seen_us: 5,
        expires_us,
    }
}

fn a_login_is_of_one_account(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    person_account::insert(connection, &account("a1", "marisol")).unwrap();
    for other in [account("a1", "other"), account("a2", "marisol")] {
        assert!(matches!(person_account::insert(connection, &other), Err(StoreError::Conflict(_))));
    }
    let disabled = PersonAccountRow { state: DISABLED.to_owned(), identity_id: None, ..account("a1", "marisol") };
    person_account::update(connection, &disabled).unwrap();
    assert_eq!(person_account::find(connection, "a1"), Ok(Some(disabled.clone())));
    assert_eq!(person_account::find_by_login(connection, "marisol"), Ok(Some(disabled.clone())));
    assert_eq!(person_account::find_by_login(connection, "nobody"), Ok(None));
    assert!(!format!("{disabled:?}").contains("marisol"), "an account is not shown by its login");
}

fn accounts_are_listed_by_page(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    for number in 0..5 {
        person_account::insert(connection, &account(&format!("a{number}"), &format!("login-{number}"))).unwrap();
    }
    let ids = |rows: Vec<PersonAccountRow>| rows.into_iter().map(|row| row.account_id).collect::<Vec<_>>();
    assert_eq!(ids(person_account::list_after(connection, "", 2).unwrap()), ["a0", "a1"]);
    assert_eq!(ids(person_account::list_after(connection, "a3", 2).unwrap()), ["a4"]);
}

fn of_many_that_use_a_code_at_once_one_does(database: &Database) {
    let store = database.open();
    write(&store, |connection| person_account::insert(connection, &account("a1", "marisol")));
    let take = || write(&store, |connection| person_account::take_step(connection, &account("a1", "marisol"), 11));
    let taken: Vec<StepTaken> = thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(take)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(taken.iter().filter(|taken| **taken == StepTaken::Now).count(), 1, "{taken:?}");
    let connection = &mut store.writer_connection().unwrap();
    let row = account("a1", "marisol");
    assert_eq!(person_account::take_step(connection, &row, 10), Ok(StepTaken::Never), "an earlier one");
    assert_eq!(person_account::take_step(connection, &row, 12), Ok(StepTaken::Now), "a later one");
}

fn a_code_is_not_used_for_an_account_that_has_changed(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    let read = account("a1", "marisol");
    person_account::insert(connection, &read).unwrap();
    let changes: [fn(&mut PersonAccountRow); 3] = [
        |row| DISABLED.clone_into(&mut row.state),
        |row| "another hash".clone_into(&mut row.password_hash),
        |row| "BBBB".clone_into(&mut row.totp_secret),
    ];
    for change in changes {
        let mut changed = read.clone();
        change(&mut changed);
        person_account::update(connection, &changed).unwrap();
        assert_eq!(person_account::take_step(connection, &read, 11), Ok(StepTaken::Never));
    }
    person_account::update(connection, &read).unwrap();
    assert_eq!(person_account::take_step(connection, &read, 11), Ok(StepTaken::Now));
}

fn a_session_is_of_an_active_account_and_ends_with_it(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    person_account::insert(connection, &account("a1", "marisol")).unwrap();
    for token in ["t1", "t2"] {
        session::insert(connection, &session_of(token, "a1", 100)).unwrap();
    }
    session::insert(connection, &session_of("t3", "nobody", 100)).unwrap();
    assert_eq!(session::find(connection, "t1"), Ok(Some(session_of("t1", "a1", 100))));
    assert_eq!(session::find(connection, "t3"), Ok(None), "of no account");
    session::touch(connection, "t1", 50).unwrap();
    session::touch(connection, "t1", 40).unwrap();
    assert_eq!(session::find(connection, "t1").unwrap().map(|row| row.seen_us), Some(50));
    let disabled = PersonAccountRow { state: DISABLED.to_owned(), ..account("a1", "marisol") };
    person_account::update(connection, &disabled).unwrap();
    assert_eq!(session::find(connection, "t1"), Ok(None), "of a disabled account");
    assert_eq!(session::delete_of_account(connection, "a1"), Ok(2));
    assert_eq!(session::count(connection), Ok(1));
}

fn sessions_end_and_are_removed_in_time_and_no_others(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    for (token, expires_us) in [("t1", 10), ("t2", 20), ("t3", 30)] {
        session::insert(connection, &session_of(token, "a1", expires_us)).unwrap();
    }
    assert_eq!(session::delete_expired(connection, 20), Ok(2));
    assert_eq!(session::delete(connection, "t3"), Ok(1));
    assert_eq!(session::delete(connection, "t3"), Ok(0));
}

fn counts_under_the_lock_lose_nothing(database: &Database) {
    const THREADS: i64 = 6;
    let store = database.open();
    let count = || {
        write(&store, |connection| {
            transaction::lock_people(connection)?;
            let failures = sign_in_attempt::find(connection, "login/k")?.map_or(0, |row| row.failures) + 1;
            let key = "login/k".to_owned();
            sign_in_attempt::put(connection, &AttemptRow { key, failures, last_us: failures, next_us: failures })
        });
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(count);
        }
    });
    let connection = &mut store.writer_connection().unwrap();
    assert_eq!(sign_in_attempt::find(connection, "login/k").unwrap().map(|row| row.failures), Some(THREADS));
    sign_in_attempt::delete(connection, "login/k").unwrap();
    assert_eq!(sign_in_attempt::find(connection, "login/k"), Ok(None));
}

fn counts_are_forgotten_by_what_they_led_to(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    for (key, failures, last_us, next_us) in [
        ("few, long ago", 2, 10, 10),
        ("few, lately", 2, 90, 90),
        ("paused, long ago", 6, 10, 20),
        ("paused, not so long ago", 6, 60, 80),
        ("closed", 100, 10, 20),
    ] {
        let row = AttemptRow { key: key.to_owned(), failures, last_us, next_us };
        sign_in_attempt::put(connection, &row).unwrap();
    }
    let which = Forgotten { idle_before_us: 80, paused_before_us: 50, failures_max: 100 };
    assert_eq!(sign_in_attempt::delete_forgotten(connection, which), Ok(2));
    for (key, stays) in
        [("few, lately", true), ("paused, not so long ago", true), ("closed", true), ("few, long ago", false)]
    {
        assert_eq!(sign_in_attempt::find(connection, key).unwrap().is_some(), stays, "{key}");
    }
    assert_eq!(sign_in_attempt::count(connection), Ok(3));
}
