//! Searches over a hundred thousand people read indexes, whichever way they begin.

use std::slice;

use diesel::connection::SimpleConnection as _;
use idi_match::store::Store;
use idi_match::store::constraint::SearchConstraint;
use idi_match::store::resource::{
    self, DatePrefix, DateTest, Direction, Position, SearchCondition, SearchQuery, Sort, SortKey, SortValue,
    StringMatch, Token, Total,
};

use crate::database::Database;

on_both_databases! {
    searches_read_indexes_and_never_whole_tables,
    orders_over_many_hold_everybody_once,
}

const PEOPLE: i64 = 100_000;
const IDENTIFIER: i16 = 1;
const FAMILY: i16 = 2;
const GIVEN: i16 = 3;
const BIRTH_DATE: i16 = 4;
const GENDER: i16 = 17;
const ORGANIZATION: i16 = 21;
const DAY_US: i64 = 86_400_000_000;

/// The same statements on both databases: people with an identifier each, and names, days and organizations that some
/// share, among a few resources of another type.
fn populate(store: &Store) {
    let numbers = format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {PEOPLE})");
    let insert = |into: &str, select: &str| format!("INSERT INTO {into} {numbers} SELECT {select} FROM n;");
    let strings = "search_string (number, parameter, value, exact)";
    let tokens = "search_token (number, parameter, system, value)";
    let resources = "resource (number, resource_type, id, version, updated_us, deleted, search_version, body)";
    let statements = [
        insert(resources, "i, 'Patient', 'p' || i, 1, i * 1000, FALSE, 99, '{}'"),
        format!(
            "{} WHERE i <= 100;",
            insert(resources, "-i, 'Organization', 'o' || i, 1, i, FALSE, 99, '{}'").trim_end_matches(';')
        ),
        insert(strings, &format!("i, {FAMILY}, 'family' || (i % 20000), 'x'")),
        insert(strings, &format!("i, {GIVEN}, 'given' || (i % 50), 'x'")),
        insert(tokens, &format!("i, {IDENTIFIER}, 'urn:mrn', 'm' || i")),
        insert(tokens, &format!("i, {GENDER}, 'urn:g', CASE WHEN i % 2 = 0 THEN 'male' ELSE 'female' END")),
        insert(tokens, &format!("i, {ORGANIZATION}, 'Organization', 'o' || (i % 1000)")),
        insert(
            "search_date (number, parameter, lo_us, hi_us)",
            &format!("i, {BIRTH_DATE}, (i % 30000) * {DAY_US}, (i % 30000) * {DAY_US} + {DAY_US} - 1"),
        ),
    ];
    let mut connection = store.writer_connection().unwrap();
    connection.batch_execute(&format!("BEGIN; {} COMMIT", statements.concat())).unwrap();
    store.analyze().unwrap();
}

fn query(conditions: &[SearchCondition]) -> SearchQuery {
    SearchQuery {
        resource_type: "Patient".to_owned(),
        conditions: conditions.to_vec(),
        constraint: SearchConstraint::NONE,
        sort: Vec::new(),
        after: None,
        count: 20,
        bytes_max: 1 << 20,
        total: Total::UpTo(1_000),
    }
}

fn token(parameter: i16, system: &str, value: &str) -> SearchCondition {
    let token = Token::SystemValue { system: system.to_owned(), value: value.to_owned() };
    SearchCondition::Tokens { parameters: vec![parameter], values: vec![token] }
}

fn string(parameter: i16, how: StringMatch, value: &str) -> SearchCondition {
    SearchCondition::Strings { parameters: vec![parameter], how, values: vec![value.to_owned()] }
}

fn born(prefix: DatePrefix, day: i64) -> SearchCondition {
    let test = DateTest { prefix, lo_us: day * DAY_US, hi_us: (day + 1) * DAY_US - 1 };
    SearchCondition::Dates { parameters: vec![BIRTH_DATE], tests: vec![test] }
}

fn sorted(by: SortKey, direction: Direction, conditions: &[SearchCondition]) -> SearchQuery {
    SearchQuery { sort: vec![Sort { by, direction }], ..query(conditions) }
}

/// What is searched for, and how many there are.
fn searches() -> Vec<(&'static str, SearchQuery, i64)> {
    let male = token(GENDER, "urn:g", "male");
    let one = token(IDENTIFIER, "urn:mrn", "m777");
    let any_system =
        SearchCondition::Tokens { parameters: vec![IDENTIFIER], values: vec![Token::Value("m778".to_owned())] };
    let family = string(FAMILY, StringMatch::StartsWith, "family777");
    let names = SearchCondition::Strings {
        parameters: vec![FAMILY, GIVEN],
        how: StringMatch::StartsWith,
        values: vec!["family777".to_owned()],
    };
    let missing = |is_missing| SearchCondition::Missing { parameters: vec![BIRTH_DATE], is_missing };
    let late = Position { keys: Vec::new(), number: 90_000 };
    let late_in_time = Position { keys: vec![SortValue::Number(90_000_000)], number: 90_000 };
    let mut by_gender_and_name = sorted(SortKey::Token(GENDER), Direction::Ascending, &[]);
    by_gender_and_name.sort.push(Sort { by: SortKey::String(FAMILY), direction: Direction::Ascending });
    vec![
        ("everybody", query(&[]), -1),
        ("everybody, a late page", SearchQuery { after: Some(late.clone()), ..query(&[]) }, -1),
        ("an identifier", query(slice::from_ref(&one)), 1),
        ("an identifier of any system", query(&[any_system]), 1),
        ("an identifier and half of all", query(&[male.clone(), one]), 0),
        ("half of all", query(slice::from_ref(&male)), -1),
        ("half of all, a late page", SearchQuery { after: Some(late), ..query(slice::from_ref(&male)) }, -1),
        ("a reference", query(&[token(ORGANIZATION, "Organization", "o7")]), 100),
        ("names", query(slice::from_ref(&family)), 55),
        ("names of two parameters", query(&[names]), 55),
        ("a whole name", query(&[string(FAMILY, StringMatch::Exact, "x")]), 0),
        ("names and half of all", query(&[male.clone(), family.clone()]), 25),
        ("names that most have", query(&[string(GIVEN, StringMatch::StartsWith, "given"), male.clone()]), -1),
        ("a day", query(&[born(DatePrefix::Eq, 777)]), 4),
        ("before a day", query(&[born(DatePrefix::Lt, 2)]), 7),
        ("after a day", query(&[born(DatePrefix::Gt, 29_997)]), 6),
        ("from a day on", query(&[born(DatePrefix::Ge, 29_998)]), 6),
        ("after a day that most are born after", query(&[born(DatePrefix::Gt, 10)]), -1),
        ("parts of names", query(&[string(FAMILY, StringMatch::Contains, "ly1999")]), 55),
        ("without a day", query(&[missing(true), family.clone()]), 0),
        ("with a day", query(&[missing(false), family.clone()]), 55),
        ("by time", sorted(SortKey::LastUpdated, Direction::Descending, &[]), -1),
        (
            "by time, a late page",
            SearchQuery {
                after: Some(late_in_time),
                ..sorted(SortKey::LastUpdated, Direction::Ascending, slice::from_ref(&male))
            },
            -1,
        ),
        ("by id", sorted(SortKey::Id, Direction::Ascending, slice::from_ref(&male)), -1),
        ("names in order", sorted(SortKey::String(FAMILY), Direction::Ascending, slice::from_ref(&family)), 55),
        ("everybody by name", sorted(SortKey::String(FAMILY), Direction::Ascending, &[]), -1),
        ("half of all by day, the last first", sorted(SortKey::Date(BIRTH_DATE), Direction::Descending, &[male]), -1),
        ("everybody by gender and name", by_gender_and_name, -1),
        ("names by day", sorted(SortKey::Date(BIRTH_DATE), Direction::Descending, &[family]), 55),
    ]
}

fn searches_read_indexes_and_never_whole_tables(database: &Database) {
    let store = database.open();
    populate(&store);
    let mut connection = store.connection().unwrap();
    for (what, query, total) in searches() {
        let plan = resource::explain_search(&mut connection, &query).unwrap();
        for line in &plan {
            let is_scan = line.contains("Seq Scan on")
                || ["SCAN v", "SCAN c", "SCAN r", "SCAN s", "SCAN resource", "SCAN search"].iter().any(|scan| {
                    line.trim_start().starts_with(scan) && !line.contains("USING COVERING INDEX resource_live")
                });
            let may_scan = what == "parts of names" && line.contains("on search_string");
            assert!(may_scan || !is_scan, "{what}: {}", plan.join("\n"));
        }
        let page = resource::search(&mut connection, &query).unwrap();
        let found = (query.after.is_none() && total >= 0).then_some(total);
        if found.is_some() {
            assert_eq!(page.total, found, "{what}");
        }
        assert_eq!(page.rows.len() as i64, if total < 0 { 20 } else { total.min(20) }, "{what}");
    }
}

/// More people than are sorted for one page: they are walked through in each order.
fn orders_over_many_hold_everybody_once(database: &Database) {
    let store = database.open();
    populate(&store);
    let nameless = format!("DELETE FROM search_string WHERE parameter = {FAMILY} AND number % 400 = 0");
    store.writer_connection().unwrap().batch_execute(&nameless).unwrap();
    let conditions = [string(GIVEN, StringMatch::StartsWith, "given0"), token(GENDER, "urn:g", "male")];
    let expected: Vec<i64> = (1..=PEOPLE).filter(|number| number % 50 == 0).collect();
    // Whoever has no name comes last.
    let family = |number: i64| match number % 400 {
        0 => (true, String::new()),
        _ => (false, format!("family{}", number % 20_000)),
    };
    let key = |by, direction| Sort { by, direction };
    let by_name = key(SortKey::String(FAMILY), Direction::Ascending);
    let by_time = key(SortKey::LastUpdated, Direction::Descending);
    let mut by_name_and_time = expected.clone();
    by_name_and_time.sort_by_key(|number| (family(*number), -number));
    let mut by_name_backwards = expected.clone();
    by_name_backwards.sort_by_key(|number| (family(*number).0, std::cmp::Reverse(family(*number).1), *number));
    let orders = [
        (vec![], expected.clone()),
        (vec![by_time], expected.iter().rev().copied().collect()),
        (vec![by_name, by_time], by_name_and_time),
        (vec![key(SortKey::String(FAMILY), Direction::Descending)], by_name_backwards),
    ];
    let mut connection = store.connection().unwrap();
    for (sort, expected) in orders {
        let mut found = Vec::new();
        let first = SearchQuery { sort: sort.clone(), count: 300, total: Total::Accurate, ..query(&conditions) };
        let mut page = resource::search(&mut connection, &first).unwrap();
        assert_eq!(page.total, Some(2_000));
        loop {
            found.extend(page.rows.iter().map(|row| row.number));
            let Some(next) = page.next else { break };
            page = resource::search(&mut connection, &SearchQuery { after: Some(next), ..first.clone() }).unwrap();
            assert!(found.len() <= 2_000, "{sort:?}: the pages have no end");
        }
        assert!(found == expected, "{sort:?}");
    }
}
