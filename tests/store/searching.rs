//! Search: conditions, totals, pages.

use idi_match::fhir::search_parameter::{DateValue, SearchValues, StringValue, TokenValue};
use idi_match::store::Store;
use idi_match::store::constraint::SearchConstraint;
use idi_match::store::resource::{
    self, DatePrefix, DateTest, NewResource, SearchCondition, SearchPage, SearchQuery, StringMatch, Token, Total,
};

use crate::database::{Database, in_transaction, patient, write};

on_both_databases! {
    each_condition_finds_what_it_means,
    an_update_replaces_and_a_deletion_removes_what_is_found,
    what_stays_the_same_in_an_update_is_found_on,
    pages_are_complete_and_without_repetition,
    pages_stay_without_repetition_while_others_write,
    long_and_strange_texts_are_indexed_and_found,
    what_is_found_comes_in_the_order_of_creation,
}

// Parameters of a made-up table; the store knows only their numbers.
const FAMILY: i16 = 1;
const GIVEN: i16 = 2;
const BIRTH: i16 = 3;
const IDENTIFIER: i16 = 4;

/// Days are given as `YYYYMMDD`: they order as microseconds do.
fn person(id: &str, families: &[&str], givens: &[&str], birth: Option<(i64, i64)>, tokens: &[&str]) -> NewResource {
    let string = |parameter, text: &str| StringValue { parameter, value: text.to_owned(), exact: text.to_owned() };
    let token = |token: &&str| {
        let (system, value) = token.split_once('|').unwrap_or(("", token));
        TokenValue { parameter: IDENTIFIER, system: system.to_owned(), value: value.to_owned() }
    };
    let families = families.iter().map(|text| string(FAMILY, text));
    NewResource {
        search: SearchValues {
            strings: families.chain(givens.iter().map(|text| string(GIVEN, text))).collect(),
            tokens: tokens.iter().map(token).collect(),
            dates: birth.map(|(lo_us, hi_us)| DateValue { parameter: BIRTH, lo_us, hi_us }).into_iter().collect(),
            is_restricted: false,
        },
        ..patient(id, 1, &format!("body of {id}"))
    }
}

fn people() -> Vec<NewResource> {
    vec![
        person("p1", &["smith"], &["ann", "mary"], Some((19800203, 19800203)), &["urn:mrn|1", "urn:ssn|9", "7"]),
        person("p2", &["smithers", "jones"], &["mary"], Some((19800101, 19801231)), &["urn:mrn|2"]),
        person("p3", &["jones"], &["anna"], Some((19810501, 19810531)), &["urn:other|1", "urn:mrn|3"]),
        person("p4", &["müller"], &[], None, &["7", "urn:mrn|7"]),
        person("p5", &[], &["ann"], Some((19800203, 19800203)), &[]),
    ]
}

fn query(conditions: Vec<SearchCondition>) -> SearchQuery {
    SearchQuery {
        resource_type: "Patient".to_owned(),
        conditions,
        constraint: SearchConstraint::NONE,
        sort: Vec::new(),
        after: None,
        count: 100,
        bytes_max: 1 << 20,
        total: Total::Accurate,
    }
}

fn search(store: &Store, query: &SearchQuery) -> SearchPage {
    resource::search(&mut store.connection().unwrap(), query).unwrap()
}

fn ids(page: &SearchPage) -> Vec<&str> {
    page.rows.iter().map(|row| row.id.as_str()).collect()
}

fn strings(parameter: i16, names: &[&str]) -> SearchCondition {
    let values = names.iter().map(|name| (*name).to_owned()).collect();
    SearchCondition::Strings { parameters: vec![parameter], how: StringMatch::StartsWith, values }
}

fn family(name: &str) -> SearchCondition {
    strings(FAMILY, &[name])
}

fn given(name: &str) -> SearchCondition {
    strings(GIVEN, &[name])
}

fn births(days: &[(i64, i64)]) -> SearchCondition {
    let test = |(lo_us, hi_us): &(i64, i64)| DateTest { prefix: DatePrefix::Eq, lo_us: *lo_us, hi_us: *hi_us };
    SearchCondition::Dates { parameters: vec![BIRTH], tests: days.iter().map(test).collect() }
}

fn birth(lo: i64, hi: i64) -> SearchCondition {
    births(&[(lo, hi)])
}

fn tokens(tokens: &[Token]) -> SearchCondition {
    SearchCondition::Tokens { parameters: vec![IDENTIFIER], values: tokens.to_vec() }
}

fn value(value: &str) -> Token {
    Token::Value(value.to_owned())
}

fn system_value(system: &str, value: &str) -> Token {
    Token::SystemValue { system: system.to_owned(), value: value.to_owned() }
}

fn each_condition_finds_what_it_means(database: &Database) {
    let store = database.open();
    write(&store, |connection| resource::insert_many(connection, &people()));
    let id = |ids: &[&str]| SearchCondition::Id(ids.iter().map(|id| (*id).to_owned()).collect());
    let table: Vec<(Vec<SearchCondition>, &[&str])> = vec![
        (vec![], &["p1", "p2", "p3", "p4", "p5"]),
        (vec![id(&["p2"])], &["p2"]),
        (vec![id(&["p4", "p2", "missing", "p2"])], &["p2", "p4"]),
        (vec![id(&[])], &[]),
        (vec![family("smith")], &["p1", "p2"]),
        (vec![family("smithe")], &["p2"]),
        (vec![family("jones")], &["p2", "p3"]),
        (vec![family("mü")], &["p4"]),
        (vec![family("Smith")], &[]),
        (vec![strings(FAMILY, &["smithe", "mü"])], &["p2", "p4"]),
        (vec![given("ann")], &["p1", "p3", "p5"]),
        (vec![given("mary")], &["p1", "p2"]),
        (vec![given("ann"), given("mary")], &["p1"]),
        (vec![family("jones"), given("anna")], &["p3"]),
        (vec![family("jones"), given("ann"), birth(19800101, 19801231)], &[]),
        (vec![birth(19800203, 19800203)], &["p1", "p5"]),
        (vec![birth(19800201, 19800229)], &["p1", "p5"]),
        (vec![birth(19800101, 19801231)], &["p1", "p2", "p5"]),
        (vec![birth(19810501, 19810530)], &[]),
        (vec![births(&[(19810101, 19811231), (19800203, 19800203)])], &["p1", "p3", "p5"]),
        (vec![tokens(&[value("1")])], &["p1", "p3"]),
        (vec![tokens(&[value("7")])], &["p1", "p4"]),
        (vec![tokens(&[system_value("urn:mrn", "1")])], &["p1"]),
        (vec![tokens(&[system_value("urn:mrn", "3")])], &["p3"]),
        (vec![tokens(&[system_value("urn:mrn", "9")])], &[]),
        (vec![tokens(&[Token::ValueWithoutSystem("7".to_owned())])], &["p1", "p4"]),
        (vec![tokens(&[Token::ValueWithoutSystem("1".to_owned())])], &[]),
        (vec![tokens(&[Token::System("urn:mrn".to_owned())])], &["p1", "p2", "p3", "p4"]),
        (vec![tokens(&[Token::System("urn:ssn".to_owned())])], &["p1"]),
        (vec![tokens(&[value("2"), system_value("urn:ssn", "9")])], &["p1", "p2"]),
        (vec![tokens(&[value("7")]), tokens(&[system_value("urn:mrn", "7")])], &["p4"]),
        (vec![tokens(&[value("' OR 1=1 --")])], &[]),
    ];
    for (conditions, expected) in table {
        let page = search(&store, &query(conditions.clone()));
        assert_eq!(ids(&page), expected, "{conditions:?}");
        assert_eq!(page.total, Some(i64::try_from(expected.len()).unwrap()), "{conditions:?}");
        assert_eq!(page.next, None, "{conditions:?}");
        for row in &page.rows {
            assert_eq!(
                (row.body.as_str(), row.version, row.deleted),
                (format!("body of {}", row.id).as_str(), 1, false)
            );
        }
    }
    assert_eq!(
        search(&store, &SearchQuery { resource_type: "Organization".to_owned(), ..query(vec![]) }).total,
        Some(0)
    );
}

fn an_update_replaces_and_a_deletion_removes_what_is_found(database: &Database) {
    let store = database.open();
    write(&store, |connection| resource::insert_many(connection, &people()));
    let changed = NewResource { version: 2, ..person("p1", &["brown"], &["sue"], None, &["urn:mrn|8"]) };
    write(&store, |connection| resource::update(connection, &changed, 1));
    write(&store, |connection| resource::delete(connection, "Patient", "p2", 1, 9));
    let table: Vec<(SearchCondition, &[&str])> = vec![
        (family("smith"), &[]),
        (family("brown"), &["p1"]),
        (family("jones"), &["p3"]),
        (given("mary"), &[]),
        (birth(19800101, 19801231), &["p5"]),
        (tokens(&[system_value("urn:ssn", "9")]), &[]),
        (tokens(&[Token::System("urn:mrn".to_owned())]), &["p1", "p3", "p4"]),
        (SearchCondition::Id(vec!["p2".to_owned()]), &[]),
    ];
    for (condition, expected) in table {
        assert_eq!(ids(&search(&store, &query(vec![condition.clone()]))), expected, "{condition:?}");
    }
    let all = search(&store, &query(vec![]));
    assert_eq!((ids(&all), all.total), (vec!["p1", "p3", "p4", "p5"], Some(4)));
}

fn what_stays_the_same_in_an_update_is_found_on(database: &Database) {
    let store = database.open();
    write(&store, |connection| resource::insert_many(connection, &people()));
    let birth_date = Some((19800203, 19800203));
    let mixed = person("p1", &["brown", "smith"], &["mary"], birth_date, &["urn:ssn|9", "7", "urn:new|5"]);
    let mixed = NewResource { version: 2, ..mixed };
    write(&store, |connection| resource::update(connection, &mixed, 1));
    let table: Vec<(SearchCondition, &[&str])> = vec![
        (family("smith"), &["p1", "p2"]),
        (family("brown"), &["p1"]),
        (given("ann"), &["p3", "p5"]),
        (given("mary"), &["p1", "p2"]),
        (birth(19800203, 19800203), &["p1", "p5"]),
        (tokens(&[system_value("urn:mrn", "1")]), &[]),
        (tokens(&[system_value("urn:ssn", "9")]), &["p1"]),
        (tokens(&[value("7")]), &["p1", "p4"]),
        (tokens(&[system_value("urn:new", "5")]), &["p1"]),
    ];
    for (condition, expected) in table {
        assert_eq!(ids(&search(&store, &query(vec![condition.clone()]))), expected, "{condition:?}");
    }
}

/// Follows the pages to the end.
fn follow(store: &Store, first: &SearchQuery, mut between: impl FnMut(usize)) -> Vec<SearchPage> {
    let mut pages = vec![search(store, first)];
    while let Some(next) = pages.last().unwrap().next.clone() {
        between(pages.len());
        pages.push(search(store, &SearchQuery { after: Some(next), ..first.clone() }));
        assert!(pages.len() < 1_000, "the pages have no end");
    }
    pages
}

fn pages_are_complete_and_without_repetition(database: &Database) {
    let store = database.open();
    let batch: Vec<_> = (0..100).map(|n| person(&format!("p{n:02}"), &["smith"], &[], None, &[])).collect();
    write(&store, |connection| resource::insert_many(connection, &batch));
    write(&store, |connection| resource::delete(connection, "Patient", "p50", 1, 9));
    let expected: Vec<String> = (0..100).filter(|n| *n != 50).map(|n| format!("p{n:02}")).collect();
    for conditions in [vec![], vec![family("smi")]] {
        for count in [1, 7, 33, 98, 99, 100] {
            let first = SearchQuery { count, ..query(conditions.clone()) };
            let pages = follow(&store, &first, |_| ());
            let found: Vec<&str> = pages.iter().flat_map(ids).collect();
            assert_eq!(found, expected, "{count} {conditions:?}");
            assert!(pages.iter().all(|page| page.total == Some(99)), "{count} {conditions:?}");
            assert_eq!(pages.len(), 99_usize.div_ceil(count as usize), "no empty page follows the last");
        }
        let total_only = search(&store, &SearchQuery { count: 0, ..query(conditions) });
        assert_eq!((total_only.total, total_only.rows.len(), total_only.next), (Some(99), 0, None));
    }
}

fn pages_stay_without_repetition_while_others_write(database: &Database) {
    let store = database.open();
    let batch: Vec<_> = (0..60).map(|n| person(&format!("p{n:02}"), &["smith"], &[], None, &[])).collect();
    write(&store, |connection| resource::insert_many(connection, &batch));
    let mut connection = store.writer_connection().unwrap();
    let pages = follow(&store, &SearchQuery { count: 7, ..query(vec![family("smith")]) }, |page| {
        in_transaction(&mut connection, |connection| {
            let new = [
                person(&format!("a{page}"), &["smith"], &[], None, &[]),
                person(&format!("z{page}"), &["smith"], &[], None, &[]),
            ];
            resource::insert_many(connection, &new)?;
            resource::delete(connection, "Patient", &format!("p{:02}", page - 1), 1, 9)
        })
        .unwrap();
    });
    let found: Vec<&str> = pages.iter().flat_map(ids).collect();
    let mut each = found.clone();
    each.sort_unstable();
    each.dedup();
    assert_eq!(found.len(), each.len(), "none twice");
    for n in 0..60 {
        assert!(found.contains(&format!("p{n:02}").as_str()), "p{n:02} was there all the time that its page was read");
    }
}

fn long_and_strange_texts_are_indexed_and_found(database: &Database) {
    let store = database.open();
    let long = "long name ".repeat(2_000);
    let (one, other) = (format!("{long}1"), format!("{long}2"));
    let strange = "a\0b%_'\"\\\u{10FFFE}";
    let batch = [
        person("p1", &[&long, &long], &[&long], None, &[&format!("{one}|{one}"), &format!("{one}|{other}")]),
        person("p2", &[strange], &[], None, &[strange]),
    ];
    write(&store, |connection| resource::insert_many(connection, &batch));
    let table: Vec<(SearchCondition, &[&str])> = vec![
        (family("long name"), &["p1"]),
        (family(&long), &["p1"]),
        (tokens(&[value(&one)]), &["p1"]),
        (tokens(&[system_value(&one, &other)]), &["p1"]),
        (tokens(&[system_value(&other, &one)]), &[]),
        (tokens(&[value(strange)]), &["p2"]),
        (family(strange), &["p2"]),
        (family("a%"), &[]),
        (family("ab_"), &[]),
    ];
    for (condition, expected) in table {
        assert_eq!(ids(&search(&store, &query(vec![condition]))), expected);
    }
}

fn what_is_found_comes_in_the_order_of_creation(database: &Database) {
    let store = database.open();
    let created = ["b", "a.1", "B", "a-1", "a", "10", "9"];
    let batch: Vec<_> = created.iter().map(|id| patient(id, 1, "{}")).collect();
    write(&store, |connection| resource::insert_many(connection, &batch));
    assert_eq!(ids(&search(&store, &query(vec![]))), created);
}
