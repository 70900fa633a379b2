//! A page in the order of values, by walking through their index: of a parameter that most have, few rows are read.
//!
//! Of several values of a resource the least counts, or the greatest when descending; what has no value comes last, and
//! is walked through in a statement of its own. Not here: orders by columns of a resource (see `statement`).

use std::fmt::Write as _;

use super::plan::Plan;
use super::sql::Sql;
use super::{Direction, SearchQuery, Sort, SortKey, SortValue};

/// Which of the two parts of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    WithValue,
    WithoutValue,
}

/// The index that an order by values is read from.
pub(super) struct ValueKey {
    pub table: &'static str,
    pub column: &'static str,
    /// Tells rows of equal value apart.
    second: &'static str,
    pub parameter: i16,
    /// Only the whole of a text has an order, not the parts that it is found by.
    is_whole: &'static str,
    direction: Direction,
}

impl ValueKey {
    /// Of an order by values; `None` of one by columns.
    pub(super) fn of(sort: Sort) -> Option<Self> {
        let direction = sort.direction;
        let key = |table, column, second, parameter, is_whole| {
            Some(Self { table, column, second, parameter, is_whole, direction })
        };
        match (sort.by, direction) {
            (SortKey::String(parameter), _) => key("search_string", "value", "exact", parameter, ".exact <> ''"),
            (SortKey::Token(parameter), _) => key("search_token", "value", "system", parameter, ".number IS NOT NULL"),
            (SortKey::Date(parameter), Direction::Ascending) => {
                key("search_date", "lo_us", "hi_us", parameter, ".number IS NOT NULL")
            }
            (SortKey::Date(parameter), Direction::Descending) => {
                key("search_date", "hi_us", "lo_us", parameter, ".number IS NOT NULL")
            }
            (SortKey::Id | SortKey::LastUpdated, _) => None,
        }
    }

    /// The rows of the parameter, in an alias.
    pub(super) fn rows(&self, alias: &str) -> String {
        format!("{} AS {alias} WHERE {alias}.parameter = {} AND {alias}{}", self.table, self.parameter, self.is_whole)
    }
}

impl Sort {
    /// The key of what has no value: behind all that have one.
    pub(super) fn none(self) -> SortValue {
        match (self.by, self.direction) {
            (SortKey::Date(_) | SortKey::LastUpdated, Direction::Ascending) => SortValue::Number(i64::MAX),
            (SortKey::Date(_) | SortKey::LastUpdated, Direction::Descending) => SortValue::Number(-i64::MAX),
            (_, Direction::Ascending) => SortValue::Text("\u{10FFFF}".to_owned()),
            (_, Direction::Descending) => SortValue::Text(String::new()),
        }
    }
}

impl Sql {
    /// The page in the order of `key`, which is the first of the query's.
    pub(super) fn value_walked(&mut self, query: &SearchQuery, plan: &Plan<'_>, key: &ValueKey, part: Part) {
        let number = match part {
            Part::WithValue => "o.number",
            Part::WithoutValue => "c.number",
        };
        let _ = write!(self, "WITH keyed AS (SELECT {number} AS number, ");
        match part {
            Part::WithValue => {
                let _ = write!(self, "o.{} AS key0", key.column);
            }
            Part::WithoutValue => {
                self.none(query.sort[0]).push(" AS key0");
            }
        }
        for (place, sort) in query.sort.iter().enumerate().skip(1) {
            self.push(", ").sort_value(*sort, number);
            let _ = write!(self, " AS key{place}");
        }
        match part {
            Part::WithValue => self.first_values(query, key),
            Part::WithoutValue => {
                self.push(" FROM resource AS c WHERE c.resource_type = ").text(&query.resource_type);
                let _ = write!(
                    self,
                    " AND c.deleted = FALSE AND NOT EXISTS (SELECT 1 FROM {} AND v.number = c.number LIMIT 1 OFFSET 0)",
                    key.rows("v")
                );
            }
        }
        let tests: Vec<_> = plan.first.into_iter().chain(plan.others.iter().copied()).collect();
        self.tests(&query.resource_type, &tests, number).push("), ").page_of_keyed(query);
    }

    /// The rows of the parameter from the position on, of each resource the first in the order.
    fn first_values(&mut self, query: &SearchQuery, key: &ValueKey) {
        let ValueKey { column, second, direction, .. } = *key;
        let (before, after) = if direction == Direction::Ascending { ("<", ">") } else { (">", "<") };
        let _ = write!(self, " FROM {}", key.rows("o"));
        if let Some(position) = &query.after {
            let _ = write!(self, " AND o.{column} {after}= ");
            self.key(position, 0);
        }
        let _ = write!(
            self,
            " AND NOT EXISTS (SELECT 1 FROM {} AND w.number = o.number AND (w.{column} {before} o.{column} \
             OR (w.{column} = o.{column} AND w.{second} {before} o.{second})) LIMIT 1 OFFSET 0)",
            key.rows("w")
        );
    }
}
