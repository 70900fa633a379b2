//! A statement of PostgreSQL that is parsed and planned once a connection, and its values.
//!
//! Why: diesel never keeps what is given to it as text (`sql_query`); parsing and planning a write then costs more than
//! its rows. A text is constant here, so the number of statements that a connection keeps is bounded by this program.
//! Not here: the statements (see `postgres`).

use diesel::connection::Connection as _;
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Double, Integer, Nullable, SmallInt, Text, Untyped};

/// The value of a place: one, or one a row.
pub(super) enum Bind<'a> {
    BigInt(i64),
    Bool(bool),
    Integer(i32),
    Text(&'a str),
    BigInts(Vec<i64>),
    Binaries(Vec<&'a [u8]>),
    Bools(Vec<bool>),
    Doubles(Vec<f64>),
    Integers(Vec<i32>),
    MaybeDoubles(Vec<Option<f64>>),
    MaybeTexts(Vec<Option<&'a str>>),
    SmallInts(Vec<i16>),
    Texts(Vec<&'a str>),
}

impl Bind<'_> {
    fn push<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        match self {
            Self::BigInt(value) => out.push_bind_param::<BigInt, _>(value),
            Self::Bool(value) => out.push_bind_param::<Bool, _>(value),
            Self::Integer(value) => out.push_bind_param::<Integer, _>(value),
            Self::Text(value) => out.push_bind_param::<Text, _>(*value),
            Self::BigInts(values) => out.push_bind_param::<Array<BigInt>, _>(values),
            Self::Binaries(values) => out.push_bind_param::<Array<Binary>, _>(values),
            Self::Bools(values) => out.push_bind_param::<Array<Bool>, _>(values),
            Self::Doubles(values) => out.push_bind_param::<Array<Double>, _>(values),
            Self::Integers(values) => out.push_bind_param::<Array<Integer>, _>(values),
            Self::MaybeDoubles(values) => out.push_bind_param::<Array<Nullable<Double>>, _>(values),
            Self::MaybeTexts(values) => out.push_bind_param::<Array<Nullable<Text>>, _>(values),
            Self::SmallInts(values) => out.push_bind_param::<Array<SmallInt>, _>(values),
            Self::Texts(values) => out.push_bind_param::<Array<Text>, _>(values),
        }
    }
}

/// A constant text with a `?` for each of its values, in order.
pub(super) struct Prepared<'a> {
    text: &'static str,
    binds: Vec<Bind<'a>>,
}

impl<'a> Prepared<'a> {
    pub(super) const fn new(text: &'static str, binds: Vec<Bind<'a>>) -> Self {
        Self { text, binds }
    }

    /// Runs it; how many rows it wrote.
    pub(super) fn execute(self, connection: &mut PgConnection) -> QueryResult<usize> {
        connection.execute_returning_count(&self)
    }
}

impl QueryFragment<Pg> for Prepared<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut binds = self.binds.iter();
        for (place, piece) in self.text.split('?').enumerate() {
            if place > 0
                && let Some(bind) = binds.next()
            {
                bind.push(&mut out)?;
            }
            out.push_sql(piece);
        }
        Ok(())
    }
}

impl QueryId for Prepared<'_> {
    type QueryId = ();

    /// Known by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Prepared<'_> {
    type SqlType = Untyped;
}

impl RunQueryDsl<PgConnection> for Prepared<'_> {}

#[cfg(test)]
mod tests {
    use diesel::debug_query;

    use super::*;

    #[test]
    fn every_place_gets_its_value_in_order() {
        let prepared = Prepared::new(
            "SELECT ?, UNNEST(?) LIMIT ?",
            vec![Bind::Text("a"), Bind::BigInts(vec![1, 2]), Bind::Integer(3)],
        );
        let shown = debug_query::<Pg, _>(&prepared).to_string();
        assert_eq!(shown, r#"SELECT $1, UNNEST($2) LIMIT $3 -- binds: ["a", [1, 2], 3]"#);
    }
}
