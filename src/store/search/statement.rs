//! The statements of a search: its page, and how many there are.
//!
//! Not here: where the numbers come from (see `plan`), single conditions (see `predicate`).

use std::fmt::Write as _;

use crate::store::body::columns;

use super::plan::{Amount, Plan};
use super::sql::Sql;
use super::value_walk::{Part, ValueKey};
use super::{Direction, Position, SORTS_MAX, SearchQuery, Sort, SortKey, SortValue};

/// A page of a search, with one row more if there is a next page.
///
/// An order by values over many has two parts; any other is one, whatever `part` says.
pub(super) fn page(query: &SearchQuery, plan: &Plan<'_>, part: Part) -> Sql {
    let sort = &query.sort[..query.sort.len().min(SORTS_MAX)];
    let mut sql = Sql::default();
    match (walked_by(sort), value_key(query, plan)) {
        (Some(by), _) if plan.amount == Amount::Many => sql.walked(query, plan, &by),
        (_, Some(key)) => sql.value_walked(query, plan, &key, part),
        _ => sql.sorted(query, plan, sort),
    }
    let rows = usize::try_from(query.count).unwrap_or(usize::MAX);
    sql.push(" SELECT page.number, r.id, r.version, r.updated_us, ").push(&columns("r", query.bytes_max, rows));
    for place in 0..SORTS_MAX {
        let (text, number) = match sort.get(place).map(|sort| sort.by.is_text()) {
            Some(true) => (format!("page.key{place}"), "CAST(NULL AS BIGINT)".to_owned()),
            Some(false) => ("CAST(NULL AS TEXT)".to_owned(), format!("page.key{place}")),
            None => ("CAST(NULL AS TEXT)".to_owned(), "CAST(NULL AS BIGINT)".to_owned()),
        };
        let _ = write!(sql, ", {text} AS text{place}, {number} AS number{place}");
    }
    // A left join begins with the page.
    sql.push(" FROM page LEFT JOIN resource AS r ON r.number = page.number").order_by(sort, "page.");
    sql
}

/// How many there are, up to a limit.
pub(super) fn count(query: &SearchQuery, plan: &Plan<'_>, rows_max: Option<i64>) -> Sql {
    let mut sql = Sql::default();
    sql.push("SELECT count(*) AS total FROM (").hits(query, plan);
    if let Some(rows_max) = rows_max {
        sql.push(" LIMIT ").number(rows_max);
    }
    sql.push(") AS hit");
    sql
}

/// The index of values that a search walks through.
pub(super) fn value_key(query: &SearchQuery, plan: &Plan<'_>) -> Option<ValueKey> {
    query.sort.first().copied().filter(|_| plan.amount == Amount::Many).and_then(ValueKey::of)
}

/// What an order without further sorting is by.
enum Walk {
    Number,
    Column(&'static str, Direction),
}

fn walked_by(sort: &[Sort]) -> Option<Walk> {
    match sort {
        [] => Some(Walk::Number),
        [Sort { by: SortKey::LastUpdated, direction }] => Some(Walk::Column("updated_us", *direction)),
        [Sort { by: SortKey::Id, direction }] => Some(Walk::Column("id", *direction)),
        _ => None,
    }
}

impl std::fmt::Write for Sql {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push(text);
        Ok(())
    }
}

impl Sql {
    /// The page by walking in order, as far as it takes.
    fn walked(&mut self, query: &SearchQuery, plan: &Plan<'_>, by: &Walk) {
        self.push("WITH page AS (SELECT c.number AS number");
        if let Walk::Column(column, _) = by {
            self.push(", c.").push(column).push(" AS key0");
        }
        let mut tests = plan.others.clone();
        match (by, plan.ordered()) {
            (Walk::Number, Some(token)) => {
                self.push(" FROM (").sets(&query.resource_type, token).push(") AS c WHERE TRUE");
            }
            _ => {
                self.push(" FROM resource AS c WHERE c.resource_type = ").text(&query.resource_type);
                self.push(" AND c.deleted = FALSE");
                tests.extend(plan.first);
            }
        }
        if let Some(after) = &query.after {
            self.push(" AND ").walked_after(by, after);
        }
        self.tests(&query.resource_type, &tests, "c.number").push(" ORDER BY ");
        if let Walk::Column(column, direction) = by {
            let _ = write!(self, "c.{column} {}, ", direction.sql());
        }
        self.push("c.number LIMIT ").number(i64::from(query.count) + 1).push(")");
    }

    /// What comes after a position; the first comparison lets the index begin there.
    fn walked_after(&mut self, by: &Walk, after: &Position) {
        if let Walk::Column(column, direction) = by {
            let sign = if *direction == Direction::Ascending { ">" } else { "<" };
            let _ = write!(self, "c.{column} {sign}= ");
            self.key(after, 0);
            let _ = write!(self, " AND (c.{column} {sign} ");
            self.key(after, 0).push(" OR c.number > ").number(after.number).push(")");
        } else {
            self.push("c.number > ").number(after.number);
        }
    }

    /// The page by sorting all that is found.
    fn sorted(&mut self, query: &SearchQuery, plan: &Plan<'_>, sort: &[Sort]) {
        self.push("WITH hit AS (").hits(query, plan).push("), keyed AS (SELECT hit.number AS number");
        for (place, key) in sort.iter().enumerate() {
            self.push(", ").sort_value(*key, "hit.number");
            let _ = write!(self, " AS key{place}");
        }
        self.push(" FROM hit), ").page_of_keyed(query);
    }

    /// Of what has its keys, the page behind the position.
    pub(super) fn page_of_keyed(&mut self, query: &SearchQuery) {
        self.push("page AS (SELECT * FROM keyed");
        if let Some(after) = &query.after {
            self.push(" WHERE ").after(&query.sort, after);
        }
        self.order_by(&query.sort, "").push(" LIMIT ").number(i64::from(query.count) + 1).push(")");
    }

    /// The numbers of what all conditions hold for.
    fn hits(&mut self, query: &SearchQuery, plan: &Plan<'_>) -> &mut Self {
        let Some(first) = plan.first else {
            self.push("SELECT c.number AS number FROM resource AS c WHERE c.resource_type = ");
            self.text(&query.resource_type).push(" AND c.deleted = FALSE");
            return self.tests(&query.resource_type, &plan.others, "c.number");
        };
        // What has several rows is found once.
        self.push(if first.is_one_token() { "SELECT" } else { "SELECT DISTINCT" });
        self.push(" c.number AS number FROM (").sets(&query.resource_type, first).push(") AS c WHERE TRUE");
        self.tests(&query.resource_type, &plan.others, "c.number")
    }

    fn order_by(&mut self, sort: &[Sort], table: &str) -> &mut Self {
        self.push(" ORDER BY ");
        for (place, key) in sort.iter().enumerate() {
            let _ = write!(self, "{table}key{place} {}, ", key.direction.sql());
        }
        self.push(table).push("number")
    }

    /// Keys are never NULL, so that both databases order alike.
    pub(super) fn sort_value(&mut self, sort: Sort, number: &str) {
        let Some(key) = ValueKey::of(sort) else {
            let column = if sort.by == SortKey::Id { "id" } else { "updated_us" };
            let _ = write!(self, "(SELECT {column} FROM resource AS s WHERE s.number = {number})");
            return;
        };
        let least = if sort.direction == Direction::Ascending { "min" } else { "max" };
        let rows = key.rows("s");
        let _ = write!(self, "coalesce((SELECT {least}(s.{}) FROM {rows} AND s.number = {number}), ", key.column);
        self.none(sort).push(")");
    }

    /// The key of what has no value. The type is said, for PostgreSQL must know it before the value.
    pub(super) fn none(&mut self, sort: Sort) -> &mut Self {
        match sort.none() {
            SortValue::Text(text) => self.push("CAST(").text(&text).push(" AS TEXT)"),
            SortValue::Number(number) => self.push("CAST(").number(number).push(" AS BIGINT)"),
        }
    }

    /// What comes after a position: greater in one key and equal in those before it.
    fn after(&mut self, sort: &[Sort], after: &Position) {
        self.push("(");
        for (place, key) in sort.iter().enumerate() {
            let sign = if key.direction == Direction::Ascending { ">" } else { "<" };
            self.equal_keys(after, place);
            let _ = write!(self, "key{place} {sign} ");
            self.key(after, place).push(" OR ");
        }
        self.equal_keys(after, sort.len());
        self.push("number > ").number(after.number).push(")");
    }

    fn equal_keys(&mut self, after: &Position, count: usize) {
        for place in 0..count {
            let _ = write!(self, "key{place} = ");
            self.key(after, place).push(" AND ");
        }
    }

    pub(super) fn key(&mut self, after: &Position, place: usize) -> &mut Self {
        match after.keys.get(place) {
            Some(SortValue::Text(text)) => self.text(text),
            Some(SortValue::Number(number)) => self.number(*number),
            None => self.push("NULL"),
        }
    }
}

impl Direction {
    const fn sql(self) -> &'static str {
        match self {
            Self::Ascending => "ASC",
            Self::Descending => "DESC",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DatePrefix, DateTest, SearchCondition, Token, Total};
    use super::*;
    use crate::store::constraint::SearchConstraint;

    #[test]
    fn placeholders_are_numbered_in_order_and_each_has_its_value() {
        let mut query = SearchQuery {
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
            constraint: SearchConstraint::NONE,
            sort: vec![Sort { by: SortKey::String(2), direction: Direction::Descending }],
            after: Some(Position { keys: vec![SortValue::Text("a".to_owned())], number: 7 }),
            count: 10,
            bytes_max: 1_000,
            total: Total::Accurate,
        };
        for by in [SortKey::String(2), SortKey::Id, SortKey::LastUpdated] {
            query.sort[0].by = by;
            for (first, amount) in [
                (query.conditions.first(), Amount::Few),
                (query.conditions.first(), Amount::Many),
                (None, Amount::Many),
            ] {
                let plan = Plan::new(first, amount, &query);
                let [with, without] = [Part::WithValue, Part::WithoutValue].map(|part| page(&query, &plan, part));
                for sql in [with, without, count(&query, &plan, Some(3))] {
                    let (numbers, binds) = sql.counts();
                    assert_eq!(numbers, (1..=binds).collect::<Vec<_>>());
                }
            }
        }
    }
}
