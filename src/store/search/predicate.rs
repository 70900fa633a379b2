//! One condition as SQL: the rows of an index for which it holds, of all resources or of a given one.
//!
//! Numbers of parameters are written into the text, for they are this program's own. Not here: which condition comes
//! first (see `plan`).

use super::key::{name_key, token_key};
use super::sql::Sql;
use super::{DatePrefix, DateTest, SearchCondition, StringMatch, Token};
use crate::fhir::fold::fold;

impl Sql {
    /// The numbers for which one condition holds, one set for each alternative: each reads its own piece of an index.
    pub(super) fn sets(&mut self, resource_type: &str, condition: &SearchCondition) -> &mut Self {
        let alternatives = condition.alternatives();
        if alternatives.is_empty() {
            self.push("SELECT number FROM resource WHERE FALSE");
        }
        self.each(&alternatives, " UNION ALL ", |sql, alternative| sql.rows(resource_type, alternative, None))
    }

    /// That each condition holds for the resource that `number` names, looked up there. The limit keeps PostgreSQL from
    /// reading all rows of a condition instead: its estimates are of columns alone, the plan's are of the condition.
    pub(super) fn tests(&mut self, resource_type: &str, conditions: &[&SearchCondition], number: &str) -> &mut Self {
        for condition in conditions {
            let is_missing =
                matches!(condition, SearchCondition::Missing { is_missing: true, .. } | SearchCondition::Unrestricted);
            self.push(if is_missing { " AND NOT EXISTS (" } else { " AND EXISTS (" });
            self.rows(resource_type, condition, Some(number));
            self.push(" LIMIT 1 OFFSET 0)");
        }
        self
    }

    fn rows(&mut self, resource_type: &str, condition: &SearchCondition, number: Option<&str>) {
        let (table, parameters) = match condition {
            SearchCondition::Id(_) | SearchCondition::LastUpdated(_) => ("resource", None),
            SearchCondition::Strings { parameters, .. } => ("search_string", Some(parameters)),
            SearchCondition::Tokens { parameters, .. } => ("search_token", Some(parameters)),
            SearchCondition::Dates { parameters, .. } => ("search_date", Some(parameters)),
            SearchCondition::Missing { parameters, .. } => return self.any_row(parameters, number),
            // Never what a search begins with, so there always is a number.
            SearchCondition::Unrestricted => {
                self.restricted_now(number.unwrap_or("0"));
                return;
            }
        };
        self.push("SELECT v.number AS number FROM ").push(table).push(" AS v WHERE ");
        if let Some(number) = number {
            self.push("v.number = ").push(number).push(" AND ");
        }
        match parameters {
            Some(parameters) => self.parameters(parameters),
            None => self.push("v.resource_type = ").text(resource_type).push(" AND v.deleted = FALSE"),
        };
        self.push(" AND ").any_of(condition);
    }

    /// A row of any kind under one of the parameters.
    fn any_row(&mut self, parameters: &[i16], number: Option<&str>) {
        self.push("SELECT number FROM (");
        self.each(&["search_string", "search_token", "search_date"], " UNION ALL ", |sql, table| {
            sql.push("SELECT v.number AS number FROM ").push(table).push(" AS v WHERE ").parameters(parameters);
            if let Some(number) = number {
                sql.push(" AND v.number = ").push(number);
            }
        })
        .push(") AS a");
    }

    fn parameters(&mut self, parameters: &[i16]) -> &mut Self {
        match parameters {
            [] => self.push("FALSE"),
            [one] => self.push("v.parameter = ").push(&one.to_string()),
            _ => {
                self.push("v.parameter IN (");
                self.each(parameters, ", ", |sql, parameter| {
                    sql.push(&parameter.to_string());
                })
                .push(")")
            }
        }
    }

    fn any_of(&mut self, condition: &SearchCondition) {
        self.push("(");
        let is_empty = match condition {
            SearchCondition::Id(ids) => self
                .each(ids, " OR ", |sql, id| {
                    sql.push("v.id = ").text(id);
                })
                .is_nothing(ids),
            SearchCondition::LastUpdated(tests) => {
                self.each(tests, " OR ", |sql, test| sql.date(*test, "v.updated_us", "v.updated_us")).is_nothing(tests)
            }
            SearchCondition::Strings { how, values, .. } => {
                self.each(values, " OR ", |sql, value| sql.string(*how, value)).is_nothing(values)
            }
            SearchCondition::Tokens { values, .. } => self.each(values, " OR ", Self::token).is_nothing(values),
            SearchCondition::Dates { tests, .. } => {
                self.each(tests, " OR ", |sql, test| sql.date(*test, "v.lo_us", "v.hi_us")).is_nothing(tests)
            }
            SearchCondition::Missing { .. } | SearchCondition::Unrestricted => true,
        };
        self.push(if is_empty { "FALSE)" } else { ")" });
    }

    #[allow(clippy::unused_self, reason = "ends a chain")]
    fn is_nothing<T>(&self, alternatives: &[T]) -> bool {
        alternatives.is_empty()
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
                self.push("(v.value = ").text(&name_key(&fold(value)));
                self.push(" AND v.exact = ").text(&name_key(value)).push(")");
            }
            StringMatch::Contains => {
                let escaped = |c: char| if matches!(c, '%' | '_' | '~') { vec!['~', c] } else { vec![c] };
                let pattern: String = name_key(value).chars().flat_map(escaped).collect();
                self.push("v.value LIKE ").text(&format!("%{pattern}%")).push(" ESCAPE '~'");
            }
        }
    }

    /// FHIR R4 Search, Prefixes: the range of the resource against the range of the test. The start of a range lies
    /// before its end: a second comparison bounds the part of an index that is read.
    fn date(&mut self, test: DateTest, lo: &str, hi: &str) {
        let DateTest { prefix, lo_us, hi_us } = test;
        let (before, after) = (format!("{lo} < "), format!("{hi} > "));
        match prefix {
            DatePrefix::Gt => self.push(&after).number(hi_us),
            DatePrefix::Lt => self.push(&before).number(lo_us),
            DatePrefix::Sa => self.push(lo).push(" > ").number(hi_us),
            DatePrefix::Eb => self.push(hi).push(" < ").number(lo_us),
            DatePrefix::Eq => {
                self.push("(").push(lo).push(" >= ").number(lo_us).push(" AND ").push(lo).push(" <= ").number(hi_us);
                self.push(" AND ").push(hi).push(" <= ").number(hi_us).push(")")
            }
            DatePrefix::Ge => {
                self.push("(").push(hi).push(" >= ").number(lo_us).push(" AND (").push(&after).number(hi_us);
                self.push(" OR ").push(lo).push(" >= ").number(lo_us).push("))")
            }
            DatePrefix::Le => {
                self.push("(").push(lo).push(" <= ").number(hi_us).push(" AND (").push(&before).number(lo_us);
                self.push(" OR ").push(hi).push(" <= ").number(hi_us).push("))")
            }
            DatePrefix::Ne => {
                self.push("(").push(&before).number(lo_us).push(" OR ").push(&after).number(hi_us).push(")")
            }
            DatePrefix::Ap => {
                self.push("(").push(lo).push(" <= ").number(hi_us).push(" AND ").push(hi).push(" >= ").number(lo_us);
                self.push(")")
            }
        };
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
}

impl SearchCondition {
    /// One condition for each value.
    fn alternatives(&self) -> Vec<Self> {
        match self {
            Self::Id(ids) => ids.iter().map(|id| Self::Id(vec![id.clone()])).collect(),
            Self::LastUpdated(tests) => tests.iter().map(|test| Self::LastUpdated(vec![*test])).collect(),
            Self::Strings { parameters, how, values } => {
                let of = |value: &String| Self::Strings {
                    parameters: parameters.clone(),
                    how: *how,
                    values: vec![value.clone()],
                };
                values.iter().map(of).collect()
            }
            Self::Tokens { parameters, values } => {
                let of = |value: &Token| Self::Tokens { parameters: parameters.clone(), values: vec![value.clone()] };
                values.iter().map(of).collect()
            }
            Self::Dates { parameters, tests } => {
                let of = |test: &DateTest| Self::Dates { parameters: parameters.clone(), tests: vec![*test] };
                tests.iter().map(of).collect()
            }
            Self::Missing { .. } | Self::Unrestricted => vec![self.clone()],
        }
    }
}
