//! A statement in the making: text and the values of its places.
//!
//! Not here: what is said with it (see `predicate`, `statement`).

use std::fmt::Write as _;

use diesel::backend::Backend;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Text};

use crate::store::connection::MultiBackend;

/// A value that takes the place of `$n`.
enum Bind {
    Text(String),
    Number(i64),
}

/// Both databases read `$1`, `$2`, … when each number is used once and in order.
#[derive(Default)]
pub(in crate::store) struct Sql {
    text: String,
    binds: Vec<Bind>,
}

impl Sql {
    pub(in crate::store) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(in crate::store) fn text(&mut self, value: &str) -> &mut Self {
        self.bind(Bind::Text(value.to_owned()))
    }

    pub(in crate::store) fn number(&mut self, value: i64) -> &mut Self {
        self.bind(Bind::Number(value))
    }

    fn bind(&mut self, bind: Bind) -> &mut Self {
        self.binds.push(bind);
        // Writing to a String cannot fail.
        let _ = write!(self.text, "${}", self.binds.len());
        self
    }

    /// Pushes each item, with `between` in the gaps.
    pub(in crate::store) fn each<T>(
        &mut self,
        items: &[T],
        between: &str,
        mut push: impl FnMut(&mut Self, &T),
    ) -> &mut Self {
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                self.push(between);
            }
            push(self, item);
        }
        self
    }

    pub(in crate::store) fn into_query(self) -> BoxedSqlQuery<'static, MultiBackend, SqlQuery> {
        self.into_query_of()
    }

    /// The same for one of the databases alone.
    pub(in crate::store) fn into_query_of<B>(self) -> BoxedSqlQuery<'static, B, SqlQuery>
    where
        B: Backend + HasSqlType<Text> + HasSqlType<BigInt>,
        String: ToSql<Text, B>,
        i64: ToSql<BigInt, B>,
    {
        self.binds.into_iter().fold(diesel::sql_query(self.text).into_boxed(), |query, bind| match bind {
            Bind::Text(value) => query.bind::<Text, _>(value),
            Bind::Number(value) => query.bind::<BigInt, _>(value),
        })
    }

    /// With words before it.
    pub(in crate::store) fn explained(mut self, words: &str) -> Self {
        self.text.insert_str(0, words);
        self
    }

    /// How many places and values there are.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (Vec<usize>, usize) {
        let number = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
        (self.text.split('$').skip(1).filter_map(number).collect(), self.binds.len())
    }
}
