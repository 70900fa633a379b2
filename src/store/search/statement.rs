//! The one statement of a search, written from its conditions, order and position.
//!
//! Not here: what conditions mean to a caller (see the module above).

use std::fmt::Write as _;

use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::{BigInt, SmallInt, Text};

use super::key::{name_key, token_key};
use super::{
    DatePrefix, DateTest, Direction, Position, SORTS_MAX, SearchCondition, SearchQuery, Sort, SortKey, SortValue,
    StringMatch, Token, Total,
};
use crate::store::connection::MultiBackend;

/// A value that takes the place of `$n`.
enum Bind {
    Text(String),
    Parameter(i16),
    Number(i64),
}

/// A statement in the making. Both databases read `$1`, `$2`, … when each number is used once and in order.
#[derive(Default)]
pub(super) struct Sql {
    text: String,
    binds: Vec<Bind>,
}

impl Sql {
    fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    fn bind(&mut self, bind: Bind) -> &mut Self {
        self.binds.push(bind);
        // Writing to a String cannot fail.
        let _ = write!(self.text, "${}", self.binds.len());
        self
    }

    fn text(&mut self, value: &str) -> &mut Self {
        self.bind(Bind::Text(value.to_owned()))
    }

    fn number(&mut self, value: i64) -> &mut Self {
        self.bind(Bind::Number(value))
    }

    /// Pushes each item between `opening` and `closing`, with `between` in the gaps.
    fn each<T>(&mut self, items: &[T], between: &str, mut push: impl FnMut(&mut Self, &T)) -> &mut Self {
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                self.push(between);
            }
            push(self, item);
        }
        self
    }

    pub(super) fn page(&mut self, query: &SearchQuery) {
        let sort = &query.sort[..query.sort.len().min(SORTS_MAX)];
        self.push("WITH hit AS (");
        self.hits(&query.resource_type, &query.conditions);
        self.push("), keyed AS (SELECT hit.number AS number");
        for (place, key) in sort.iter().enumerate() {
            self.push(", ").sort_value(*key);
            let _ = write!(self.text, " AS key{place}");
        }
        self.push(" FROM hit), page AS (SELECT * FROM keyed");
        if let Some(after) = &query.after {
            self.push(" WHERE ").after(sort, after);
        }
        self.order_by(sort, "").push(" LIMIT ");
        // One more than asked for tells whether there is a next page.
        self.number(if query.count == 0 { 0 } else { i64::from(query.count) + 1 });
        self.push(") SELECT t.total, page.number, r.id, r.version, r.updated_us, r.body");
        for place in 0..SORTS_MAX {
            let (text, number) = match sort.get(place).map(|sort| sort.by.is_text()) {
                Some(true) => (format!("page.key{place}"), "CAST(NULL AS BIGINT)".to_owned()),
                Some(false) => ("CAST(NULL AS TEXT)".to_owned(), format!("page.key{place}")),
                None => ("CAST(NULL AS TEXT)".to_owned(), "CAST(NULL AS BIGINT)".to_owned()),
            };
            let _ = write!(self.text, ", {text} AS text{place}, {number} AS number{place}");
        }
        self.push(" FROM (SELECT ");
        match query.total {
            Total::Accurate => self.push("(SELECT count(*) FROM hit)"),
            Total::UpTo(rows_max) => {
                self.push("(SELECT count(*) FROM (SELECT 1 FROM hit LIMIT ").number(rows_max + 1).push(") AS counted)")
            }
            Total::None => self.push("CAST(NULL AS BIGINT)"),
        };
        self.push(" AS total) AS t LEFT JOIN page ON TRUE LEFT JOIN resource AS r ON r.number = page.number");
        self.order_by(sort, "page.");
    }

    fn order_by(&mut self, sort: &[Sort], table: &str) -> &mut Self {
        self.push(" ORDER BY ");
        for (place, key) in sort.iter().enumerate() {
            let direction = if key.direction == Direction::Ascending { "ASC" } else { "DESC" };
            let _ = write!(self.text, "{table}key{place} {direction}, ");
        }
        self.push(table).push("number")
    }

    /// Keys are never NULL, so that both databases order alike.
    fn sort_value(&mut self, sort: Sort) {
        let least = if sort.direction == Direction::Ascending { "min" } else { "max" };
        let of_resource = |column: &str| format!("(SELECT {column} FROM resource AS s WHERE s.number = hit.number)");
        let mut of_values = |table: &str, column: &str, parameter: i16, none: &str| {
            let _ = write!(self.text, "coalesce((SELECT {least}({column}) FROM {table} AS s WHERE s.parameter = ");
            self.bind(Bind::Parameter(parameter));
            // Only the whole of a text has an order, not the parts that it is found by.
            let whole = if table == "search_string" { " AND s.exact <> ''" } else { "" };
            let _ = write!(self.text, " AND s.number = hit.number{whole}), {none})");
        };
        match sort.by {
            SortKey::String(parameter) => of_values("search_string", "value", parameter, "''"),
            SortKey::Token(parameter) => of_values("search_token", "value", parameter, "''"),
            SortKey::Date(parameter) => {
                let column = if sort.direction == Direction::Ascending { "lo_us" } else { "hi_us" };
                of_values("search_date", column, parameter, "CAST(-9223372036854775807 AS BIGINT)");
            }
            SortKey::Id => {
                self.push(&of_resource("id"));
            }
            SortKey::LastUpdated => {
                self.push(&of_resource("updated_us"));
            }
        }
    }

    /// What comes after a position: greater in one key and equal in those before it.
    fn after(&mut self, sort: &[Sort], after: &Position) {
        self.push("(");
        for (place, key) in sort.iter().enumerate() {
            let sign = if key.direction == Direction::Ascending { ">" } else { "<" };
            self.equal_keys(after, place);
            let _ = write!(self.text, "key{place} {sign} ");
            self.key(after, place).push(" OR ");
        }
        self.equal_keys(after, sort.len());
        self.push("number > ").number(after.number).push(")");
    }

    fn equal_keys(&mut self, after: &Position, count: usize) {
        for place in 0..count {
            let _ = write!(self.text, "key{place} = ");
            self.key(after, place).push(" AND ");
        }
    }

    fn key(&mut self, after: &Position, place: usize) -> &mut Self {
        match after.keys.get(place) {
            Some(SortValue::Text(text)) => self.text(text),
            Some(SortValue::Number(number)) => self.number(*number),
            None => self.push("NULL"),
        }
    }

    /// The numbers of what all conditions hold for.
    fn hits(&mut self, resource_type: &str, conditions: &[SearchCondition]) {
        let mut ordered: Vec<&SearchCondition> = conditions.iter().collect();
        ordered.sort_by_key(|condition| condition.rank());
        let Some((first, others)) = ordered.split_first().filter(|(first, _)| first.rank() < RANK_NEVER_FIRST) else {
            self.push("SELECT number FROM resource AS r WHERE resource_type = ").text(resource_type);
            self.push(" AND deleted = FALSE");
            self.tests(resource_type, &ordered, "r.number");
            return;
        };
        self.push("SELECT DISTINCT c.number AS number FROM (");
        self.sets(resource_type, first);
        self.push(") AS c WHERE TRUE");
        self.tests(resource_type, others, "c.number");
    }

    fn tests(&mut self, resource_type: &str, conditions: &[&SearchCondition], number: &str) {
        for condition in conditions {
            let is_missing = matches!(condition, SearchCondition::Missing { is_missing: true, .. });
            self.push(if is_missing { " AND NOT EXISTS (" } else { " AND EXISTS (" });
            self.rows(resource_type, condition, Some(number));
            self.push(")");
        }
    }

    /// The numbers for which one condition holds, one set for each alternative: each reads its own piece of an index.
    fn sets(&mut self, resource_type: &str, condition: &SearchCondition) {
        let alternatives = condition.alternatives();
        if alternatives.is_empty() {
            self.push("SELECT number FROM resource WHERE FALSE");
        }
        self.each(&alternatives, " UNION ALL ", |sql, alternative| {
            sql.rows(resource_type, alternative, None);
        });
    }

    /// The rows of one condition, of one resource when `number` names it.
    fn rows(&mut self, resource_type: &str, condition: &SearchCondition, number: Option<&str>) {
        let table = match condition {
            SearchCondition::Id(_) | SearchCondition::LastUpdated(_) => "resource",
            SearchCondition::Strings { .. } => "search_string",
            SearchCondition::Tokens { .. } => "search_token",
            SearchCondition::Dates { .. } => "search_date",
            SearchCondition::Missing { parameters, .. } => return self.any_row(parameters, number),
        };
        self.push("SELECT v.number AS number FROM ").push(table).push(" AS v WHERE ");
        if let Some(number) = number {
            self.push("v.number = ").push(number).push(" AND ");
        }
        match condition {
            SearchCondition::Id(_) | SearchCondition::LastUpdated(_) => {
                self.push("v.resource_type = ").text(resource_type).push(" AND v.deleted = FALSE AND ");
            }
            SearchCondition::Strings { parameters, .. }
            | SearchCondition::Tokens { parameters, .. }
            | SearchCondition::Dates { parameters, .. } => {
                self.parameters(parameters).push(" AND ");
            }
            SearchCondition::Missing { .. } => {}
        }
        self.any_of(condition);
    }

    /// A row of any kind under one of the parameters.
    fn any_row(&mut self, parameters: &[i16], number: Option<&str>) {
        self.each(&["search_string", "search_token", "search_date"], " UNION ALL ", |sql, table| {
            sql.push("SELECT v.number AS number FROM ").push(table).push(" AS v WHERE ");
            sql.parameters(parameters);
            if let Some(number) = number {
                sql.push(" AND v.number = ").push(number);
            }
        });
    }

    fn parameters(&mut self, parameters: &[i16]) -> &mut Self {
        match parameters {
            [] => self.push("FALSE"),
            [one] => self.push("v.parameter = ").bind(Bind::Parameter(*one)),
            _ => {
                self.push("v.parameter IN (");
                self.each(parameters, ", ", |sql, parameter| {
                    sql.bind(Bind::Parameter(*parameter));
                })
                .push(")")
            }
        }
    }

    fn any_of(&mut self, condition: &SearchCondition) {
        self.push("(");
        let start = self.text.len();
        match condition {
            SearchCondition::Id(ids) => {
                self.each(ids, " OR ", |sql, id| {
                    sql.push("v.id = ").text(id);
                });
            }
            SearchCondition::LastUpdated(tests) => {
                self.each(tests, " OR ", |sql, test| sql.date(*test, "v.updated_us", "v.updated_us"));
            }
            SearchCondition::Strings { how, values, .. } => {
                self.each(values, " OR ", |sql, value| sql.string(*how, value));
            }
            SearchCondition::Tokens { values, .. } => {
                self.each(values, " OR ", Self::token);
            }
            SearchCondition::Dates { tests, .. } => {
                self.each(tests, " OR ", |sql, test| sql.date(*test, "v.lo_us", "v.hi_us"));
            }
            SearchCondition::Missing { .. } => {}
        }
        if self.text.len() == start {
            self.push("FALSE");
        }
        self.push(")");
    }

    /// Bytes order as code points do, so what begins with a text lies between it and it with the last code point.
    fn string(&mut self, how: StringMatch, value: &str) {
        match how {
            StringMatch::StartsWith => {
                let lo = name_key(value);
                let hi = format!("{lo}\u{10FFFF}");
                self.push("(v.value >= ").text(&lo).push(" AND v.value < ").text(&hi).push(")");
            }
            StringMatch::Exact => {
                let folded = name_key(&crate::fhir::fold::fold(value)).into_owned();
                self.push("(v.value = ").text(&folded).push(" AND v.exact = ").text(&name_key(value)).push(")");
            }
            StringMatch::Contains => {
                let pattern: String = name_key(value)
                    .chars()
                    .flat_map(|c| if matches!(c, '%' | '_' | '~') { vec!['~', c] } else { vec![c] })
                    .collect();
                self.push("v.value LIKE ").text(&format!("%{pattern}%")).push(" ESCAPE '~'");
            }
        }
    }

    /// FHIR R4 Search, Prefixes: the range of the resource against the range of the test.
    fn date(&mut self, test: DateTest, lo: &str, hi: &str) {
        let DateTest { prefix, lo_us, hi_us } = test;
        let mut compare = |left: &str, sign: &str, right: i64| {
            self.push(left).push(sign).number(right);
        };
        match prefix {
            DatePrefix::Gt => compare(hi, " > ", hi_us),
            DatePrefix::Lt => compare(lo, " < ", lo_us),
            DatePrefix::Ge => compare(hi, " >= ", lo_us),
            DatePrefix::Le => compare(lo, " <= ", hi_us),
            DatePrefix::Sa => compare(lo, " > ", hi_us),
            DatePrefix::Eb => compare(hi, " < ", lo_us),
            DatePrefix::Eq => {
                self.push("(").push(lo).push(" >= ").number(lo_us);
                // The start of a range lies within it too: that bounds the part of the index that is read.
                self.push(" AND ").push(lo).push(" <= ").number(hi_us);
                self.push(" AND ").push(hi).push(" <= ").number(hi_us).push(")");
            }
            DatePrefix::Ne => {
                self.push("(").push(lo).push(" < ").number(lo_us);
                self.push(" OR ").push(hi).push(" > ").number(hi_us).push(")");
            }
            DatePrefix::Ap => {
                self.push("(").push(lo).push(" <= ").number(hi_us);
                self.push(" AND ").push(hi).push(" >= ").number(lo_us).push(")");
            }
        }
    }

    fn token(&mut self, token: &Token) {
        let (value, system) = match token {
            Token::Value(value) => (Some(value.as_str()), None),
            Token::SystemValue { system, value } => (Some(value.as_str()), Some(system.as_str())),
            Token::ValueWithoutSystem(value) => (Some(value.as_str()), Some("")),
            Token::System(system) => (None, Some(system.as_str())),
        };
        self.push("(TRUE");
        for (column, wanted) in [("v.value", value), ("v.system", system)] {
            let Some(wanted) = wanted else { continue };
            self.push(" AND ").push(column).push(" = ").text(&token_key(wanted));
        }
        self.push(")");
    }

    pub(super) fn into_query(self) -> BoxedSqlQuery<'static, MultiBackend, SqlQuery> {
        self.binds.into_iter().fold(diesel::sql_query(self.text).into_boxed(), |query, bind| match bind {
            Bind::Text(value) => query.bind::<Text, _>(value),
            Bind::Parameter(value) => query.bind::<SmallInt, _>(value),
            Bind::Number(value) => query.bind::<BigInt, _>(value),
        })
    }
}

/// From here on a condition cannot give the first set: it says what is not there.
const RANK_NEVER_FIRST: u8 = 9;

impl SearchCondition {
    /// The likely order of how few it holds for.
    fn rank(&self) -> u8 {
        match self {
            Self::Id(_) => 0,
            Self::Tokens { values, .. } if values.iter().all(|token| matches!(token, Token::SystemValue { .. })) => 1,
            Self::Tokens { .. } => 3,
            Self::Strings { how: StringMatch::Contains, .. } => 6,
            Self::Strings { .. } => 2,
            Self::Dates { tests, .. } if tests.iter().all(|test| test.prefix == DatePrefix::Eq) => 4,
            Self::LastUpdated(_) => 5,
            Self::Dates { .. } => 7,
            Self::Missing { is_missing: false, .. } => 8,
            Self::Missing { is_missing: true, .. } => RANK_NEVER_FIRST,
        }
    }

    /// One condition for each value and parameter.
    fn alternatives(&self) -> Vec<Self> {
        match self {
            Self::Id(ids) => ids.iter().map(|id| Self::Id(vec![id.clone()])).collect(),
            Self::LastUpdated(tests) => tests.iter().map(|test| Self::LastUpdated(vec![*test])).collect(),
            Self::Strings { parameters, how, values } => pairs(parameters, values)
                .map(|(parameter, value)| Self::Strings { parameters: vec![parameter], how: *how, values: vec![value] })
                .collect(),
            Self::Tokens { parameters, values } => pairs(parameters, values)
                .map(|(parameter, value)| Self::Tokens { parameters: vec![parameter], values: vec![value] })
                .collect(),
            Self::Dates { parameters, tests } => pairs(parameters, tests)
                .map(|(parameter, test)| Self::Dates { parameters: vec![parameter], tests: vec![test] })
                .collect(),
            Self::Missing { .. } => vec![self.clone()],
        }
    }
}

fn pairs<'a, T: Clone>(parameters: &'a [i16], values: &'a [T]) -> impl Iterator<Item = (i16, T)> + 'a {
    parameters.iter().flat_map(move |parameter| values.iter().map(|value| (*parameter, value.clone())))
}

#[cfg(test)]
mod tests {
    use super::super::SearchConstraint;
    use super::*;

    #[test]
    fn placeholders_are_numbered_in_order_and_each_has_its_value() {
        let query = SearchQuery {
            resource_type: "Patient".to_owned(),
            conditions: vec![
                SearchCondition::Tokens {
                    parameters: vec![1, 2],
                    values: vec![Token::System("urn:a".to_owned()), Token::Value("1".to_owned())],
                },
                SearchCondition::Dates {
                    parameters: vec![4],
                    tests: vec![DateTest { prefix: DatePrefix::Eq, lo_us: 1, hi_us: 2 }],
                },
                SearchCondition::Id(Vec::new()),
            ],
            constraint: SearchConstraint::None,
            sort: vec![Sort { by: SortKey::String(2), direction: Direction::Descending }],
            after: Some(Position { keys: vec![SortValue::Text("a".to_owned())], number: 7 }),
            count: 10,
            total: Total::Accurate,
        };
        let mut sql = Sql::default();
        sql.page(&query);
        let numbers: Vec<usize> = sql
            .text
            .split('$')
            .skip(1)
            .filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
            .collect();
        assert_eq!(numbers, (1..=sql.binds.len()).collect::<Vec<_>>());
    }
}
