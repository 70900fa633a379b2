//! Guessing: how often a login or an address may fail, at once, at several instances, and after a restart.

use std::collections::BTreeMap;
use std::thread;

use idi_match::app::people::manage::Codes;
use idi_match::store::sign_in_attempt;
use serde_json::json;

use crate::signed_in::{Browser, PASSWORD, Person, SESSION, detail, rows_of};
use crate::support::{Database, TestApp};

/// Starts a server with these options on each database.
macro_rules! guessing_on_both_databases {
    ($($test:ident($options:expr),)+) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test(&super::TestApp::start(super::Database::sqlite(), $options), $options);
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                super::$test(&super::TestApp::start(super::Database::postgres(), $options), $options);
            })+
        }
    };
}

type Options = [(&'static str, &'static str)];

guessing_on_both_databases! {
    guesses_at_once_at_two_instances_stay_within_the_limit(
        &[("people.sign_in_failures_free", "3"), ("people.sign_in_pause_s", "600")]
    ),
    an_address_has_a_limit_of_its_own(
        &[("people.address_failures_free", "4"), ("people.sign_in_pause_s", "600")]
    ),
    a_success_takes_its_attempt_back(
        &[("people.sign_in_failures_free", "2"), ("people.address_failures_free", "2"), ("people.sign_in_pause_s", "600")]
    ),
    a_login_with_too_many_failures_is_opened_by_the_operator_alone(
        &[("people.sign_in_failures_max", "2"), ("people.sign_in_pause_s", "1"), ("people.sign_in_pause_s_max", "1")]
    ),
}

const LOGIN: &str = "marisol.vega";

/// Many guesses at once; how many answers of each status there were.
fn guess(apps: &[&TestApp], login: &str, guesses: usize) -> BTreeMap<u16, usize> {
    let statuses: Vec<u16> = thread::scope(|scope| {
        let threads: Vec<_> = (0..guesses)
            .map(|number| {
                let app = apps[number % apps.len()];
                scope.spawn(move || Browser::new(app).sign_in(login, "a wrong guess", "000000").status)
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut counted = BTreeMap::new();
    statuses.into_iter().for_each(|status| *counted.entry(status).or_default() += 1);
    counted
}

fn guesses_at_once_at_two_instances_stay_within_the_limit(app: &TestApp, options: &Options) {
    let person = Person::add(app, LOGIN);
    let other = app.beside(options);
    let expected = BTreeMap::from([(403, 3), (429, 7)]);
    // Of somebody who is known and of somebody who is not.
    assert_eq!(guess(&[app, &other], LOGIN, 10), expected);
    assert_eq!(guess(&[app, &other], "nobody.here", 10), expected);
    let mut browser = Browser::new(&other);
    let answer = browser.sign_in_as(&person, 0).expect(429);
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((500..=600).contains(&seconds), "{seconds}");
    assert!(answer.text().contains("Please wait") && browser.cookie(SESSION).is_none());
    let row = rows_of(app, "sign-in").pop().unwrap();
    assert_eq!((detail(&row)["reasons"].clone(), detail(&row)["status"].clone()), (json!(["throttled"]), json!(429)));
    assert_eq!(rows_of(app, "sign-in").len(), 21, "a row for each");
    drop(other);
    // After a restart too.
    Browser::new(&app.beside(options)).sign_in_as(&person, 0).expect(429);
}

fn an_address_has_a_limit_of_its_own(app: &TestApp, _: &Options) {
    let person = Person::add(app, LOGIN);
    for number in 0..4 {
        Browser::new(app).sign_in(&format!("nobody-{number}"), "a wrong guess", "000000").expect(403);
    }
    Browser::new(app).sign_in("nobody-9", "a wrong guess", "000000").expect(429);
    Browser::new(app).sign_in_as(&person, 0).expect(429);
}

fn a_success_takes_its_attempt_back(app: &TestApp, _: &Options) {
    let person = Person::add(app, LOGIN);
    let kept = || sign_in_attempt::count(&mut app.connection()).unwrap();
    Browser::new(app).sign_in(LOGIN, "a wrong guess", "000000").expect(403);
    assert_eq!(kept(), 2, "of the login and of the address");
    Browser::new(app).sign_in_as(&person, 0).expect(303);
    assert_eq!(kept(), 1, "of the address, where one has failed");
    Browser::new(app).sign_in_as(&person, 1).expect(303);
    Browser::new(app).sign_in(LOGIN, "a wrong guess", "000000").expect(403);
    Browser::new(app).sign_in(LOGIN, "a wrong guess", "000000").expect(429);
}

fn a_login_with_too_many_failures_is_opened_by_the_operator_alone(app: &TestApp, _: &Options) {
    let mut person = Person::add(app, LOGIN);
    assert_eq!(guess(&[app], LOGIN, 4), BTreeMap::from([(403, 2), (429, 2)]));
    thread::sleep(std::time::Duration::from_millis(1_100));
    Browser::new(app).sign_in_as(&person, 0).expect(429);
    person.reset(app, None, Codes::Keep);
    Browser::new(app).sign_in(LOGIN, PASSWORD, &person.code(0)).expect(303);
}
