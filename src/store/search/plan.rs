//! Which condition a search begins with: the one that holds for fewest, as far as that is quickly counted.
//!
//! The databases' own choice rests on statistics of columns, and one column holds the values of many parameters; SQLite
//! has fixed ones. Counting some rows of an index costs less than a wrong choice. Not here: the statements.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer};

use super::sql::Sql;
use super::{SearchCondition, SearchQuery, StringMatch, Token};
use crate::store::connection::Connection;
use crate::store::error::StoreError;

/// Rows of a condition that are counted. What holds for fewer is read and sorted; what holds for more is met soon by
/// walking through all resources in their order.
pub(super) const ROWS_COUNTED_MAX: i64 = 2_000;

/// How many the first condition holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    Few,
    /// As many as are counted, or more.
    Many,
}

/// A search as it is run.
pub(super) struct Plan<'a> {
    /// The condition that gives the numbers; `None` when all resources of the type do.
    pub first: Option<&'a SearchCondition>,
    /// What is looked up for each number.
    pub others: Vec<&'a SearchCondition>,
    pub amount: Amount,
}

impl<'a> Plan<'a> {
    /// The plan of a query; counts rows where there is a choice.
    pub(super) fn choose(connection: &mut Connection, query: &'a SearchQuery) -> Result<Self, StoreError> {
        let mut candidates: Vec<&SearchCondition> =
            query.conditions.iter().filter(|condition| condition.rank() < RANK_NEVER_FIRST).collect();
        candidates.sort_by_key(|condition| condition.rank());
        match candidates.as_slice() {
            [] => return Ok(Self::new(None, Amount::Many, query)),
            [first, ..] if first.rank() == RANK_ID => return Ok(Self::new(Some(first), Amount::Few, query)),
            [only] if only.is_one_token() && query.sort.is_empty() => {
                return Ok(Self::new(Some(only), Amount::Many, query));
            }
            _ => {}
        }
        let sizes = sizes(connection, &query.resource_type, &candidates)?;
        let smallest = candidates.iter().zip(sizes).min_by_key(|(_, size)| *size);
        let few = smallest.filter(|(_, size)| *size < ROWS_COUNTED_MAX).map(|(condition, _)| *condition);
        let few = few.or_else(|| candidates.iter().copied().find(|condition| condition.is_scan()));
        let amount = if few.is_some() { Amount::Few } else { Amount::Many };
        Ok(Self::new(few.or_else(|| candidates.first().copied()), amount, query))
    }

    pub(super) fn new(first: Option<&'a SearchCondition>, amount: Amount, query: &'a SearchQuery) -> Self {
        let is_other = |condition: &&SearchCondition| first.is_none_or(|first| !std::ptr::eq(first, *condition));
        let mut others: Vec<&SearchCondition> = query.conditions.iter().filter(is_other).collect();
        others.sort_by_key(|condition| condition.rank());
        Self { first, others, amount }
    }

    /// The condition whose rows lie in the order of their numbers, if that is the one to begin with.
    pub(super) fn ordered(&self) -> Option<&'a SearchCondition> {
        self.first.filter(|first| first.is_one_token())
    }
}

#[derive(QueryableByName)]
struct Size {
    #[diesel(sql_type = Integer)]
    place: i32,
    #[diesel(sql_type = BigInt)]
    size: i64,
}

/// For how many each condition holds, counted up to the limit.
fn sizes(
    connection: &mut Connection,
    resource_type: &str,
    conditions: &[&SearchCondition],
) -> Result<Vec<i64>, StoreError> {
    let mut sql = Sql::default();
    let mut sizes = vec![i64::MAX; conditions.len()];
    let counted: Vec<usize> = (0..conditions.len()).filter(|place| !conditions[*place].is_scan()).collect();
    if counted.is_empty() {
        return Ok(sizes);
    }
    sql.each(&counted, " UNION ALL ", |sql, place| {
        sql.push("SELECT CAST(")
            .push(&place.to_string())
            .push(" AS INTEGER) AS place, (SELECT count(*) FROM (SELECT 1 FROM (");
        sql.sets(resource_type, conditions[*place]);
        sql.push(") AS c LIMIT ").push(&ROWS_COUNTED_MAX.to_string()).push(") AS counted) AS size");
    });
    for Size { place, size } in sql.into_query().load::<Size>(connection)? {
        if let Some(known) = usize::try_from(place).ok().and_then(|place| sizes.get_mut(place)) {
            *known = size;
        }
    }
    Ok(sizes)
}

/// `_id` is always looked up.
const RANK_ID: u8 = 0;
/// From here on a condition cannot give the numbers: it says what is not there, or holds for nearly everything.
const RANK_NEVER_FIRST: u8 = 8;

impl SearchCondition {
    /// The likely order of how few it holds for.
    fn rank(&self) -> u8 {
        match self {
            Self::Id(_) => RANK_ID,
            Self::Tokens { values, .. } if values.iter().all(|token| matches!(token, Token::SystemValue { .. })) => 1,
            Self::Strings { how: StringMatch::Contains, .. } => 7,
            Self::Strings { .. } => 2,
            Self::Tokens { .. } => 3,
            Self::Dates { .. } => 4,
            Self::LastUpdated(_) => 5,
            Self::Missing { .. } | Self::Unrestricted => RANK_NEVER_FIRST,
        }
    }

    /// Whether all values of the parameter are read to find some.
    fn is_scan(&self) -> bool {
        matches!(self, Self::Strings { how: StringMatch::Contains, .. })
    }

    /// Whether it holds for one row of a resource at most, which lie in the order of their numbers.
    pub(super) fn is_one_token(&self) -> bool {
        let Self::Tokens { parameters, values } = self else { return false };
        matches!(
            (parameters.as_slice(), values.as_slice()),
            ([_], [Token::SystemValue { .. } | Token::ValueWithoutSystem(_)])
        )
    }
}
