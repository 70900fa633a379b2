//! What an expression works on: items, and collections of them (FHIRPath N1, Navigation Model).
//!
//! An element borrows from the document. Collections of none or one item, which are nearly all, cost no allocation.
//! Decimals are fixed-point in steps of 10⁻⁸, as FHIRPath asks, so that `0.1 + 0.2 = 0.3` holds.

use std::borrow::Cow;

use crate::fhir::json::{Number, Value};

use super::EvaluationError;

/// Steps of a decimal per one.
pub const DECIMAL_UNITS: i64 = 100_000_000;

/// One member of a collection.
#[derive(Debug, Clone)]
pub enum Item<'v> {
    /// An element of the document. A primitive may have extensions in its `_` sibling, and then may lack a value.
    Element {
        value: Option<&'v Value<'v>>,
        extensions: Option<&'v Value<'v>>,
    },
    Bool(bool),
    Integer(i64),
    Decimal(i64),
    Text(Cow<'v, str>),
}

/// The value of an item that is a FHIRPath system type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'i> {
    Bool(bool),
    Integer(i64),
    Decimal(i64),
    Text(&'i str),
}

impl<'v> Item<'v> {
    #[must_use]
    pub const fn element(value: &'v Value<'v>) -> Self {
        Self::Element { value: Some(value), extensions: None }
    }

    /// The primitive value, if the item has one.
    #[must_use]
    pub fn scalar(&self) -> Option<Scalar<'_>> {
        match self {
            Self::Element { value, .. } => value.and_then(scalar_of),
            Self::Bool(flag) => Some(Scalar::Bool(*flag)),
            Self::Integer(number) => Some(Scalar::Integer(*number)),
            Self::Decimal(units) => Some(Scalar::Decimal(*units)),
            Self::Text(text) => Some(Scalar::Text(text)),
        }
    }

    /// Whether it is an element without a value of its own: only extensions.
    #[must_use]
    pub const fn is_valueless(&self) -> bool {
        matches!(self, Self::Element { value: None, .. })
    }
}

fn scalar_of<'v>(value: &'v Value<'v>) -> Option<Scalar<'v>> {
    match value {
        Value::Bool(flag) => Some(Scalar::Bool(*flag)),
        Value::Number(Number::Integer(number)) => Some(Scalar::Integer(*number)),
        Value::Number(Number::Decimal(number)) => decimal_units(*number).map(Scalar::Decimal),
        Value::String(text) => Some(Scalar::Text(text)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "bounded before the cast")]
fn decimal_units(number: f64) -> Option<i64> {
    let units = (number * DECIMAL_UNITS as f64).round();
    (units.abs() < 9e18).then_some(units as i64)
}

impl Scalar<'_> {
    /// Both numbers in decimal units; `None` if one is no number or leaves the range.
    #[must_use]
    pub fn as_units(self) -> Option<i64> {
        match self {
            Self::Integer(number) => number.checked_mul(DECIMAL_UNITS),
            Self::Decimal(units) => Some(units),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }
}

/// An ordered collection of items.
#[derive(Debug, Clone, Default)]
pub enum Collection<'v> {
    #[default]
    Empty,
    One(Item<'v>),
    Many(Vec<Item<'v>>),
}

impl<'v> Collection<'v> {
    pub fn push(&mut self, item: Item<'v>) {
        *self = match std::mem::take(self) {
            Self::Empty => Self::One(item),
            Self::One(first) => Self::Many(vec![first, item]),
            Self::Many(mut items) => {
                items.push(item);
                Self::Many(items)
            }
        };
    }

    #[must_use]
    pub fn items(&self) -> &[Item<'v>] {
        match self {
            Self::Empty => &[],
            Self::One(item) => std::slice::from_ref(item),
            Self::Many(items) => items,
        }
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.items().len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items().is_empty()
    }

    /// The only item, `None` of an empty collection.
    ///
    /// # Errors
    /// More than one item where one is needed (FHIRPath N1, Singleton Evaluation of Collections).
    pub fn single(&self) -> Result<Option<&Item<'v>>, EvaluationError> {
        match self.items() {
            [] => Ok(None),
            [item] => Ok(Some(item)),
            _ => Err(EvaluationError("a single value is needed and there are several")),
        }
    }

    /// The collection as a condition: empty is unknown, and a single item that is no boolean counts as true.
    ///
    /// # Errors
    /// More than one item.
    pub fn condition(&self) -> Result<Option<bool>, EvaluationError> {
        let Some(item) = self.single()? else { return Ok(None) };
        Ok(match item.scalar() {
            Some(Scalar::Bool(flag)) => Some(flag),
            Some(_) => Some(true),
            None => (!item.is_valueless()).then_some(true),
        })
    }
}

impl<'v> From<Item<'v>> for Collection<'v> {
    fn from(item: Item<'v>) -> Self {
        Self::One(item)
    }
}

impl From<bool> for Collection<'_> {
    fn from(flag: bool) -> Self {
        Self::One(Item::Bool(flag))
    }
}

impl From<Option<bool>> for Collection<'_> {
    fn from(flag: Option<bool>) -> Self {
        flag.map_or(Self::Empty, Self::from)
    }
}

impl<'v> FromIterator<Item<'v>> for Collection<'v> {
    fn from_iter<I: IntoIterator<Item = Item<'v>>>(items: I) -> Self {
        let mut collection = Self::Empty;
        for item in items {
            collection.push(item);
        }
        collection
    }
}

impl<'v> IntoIterator for Collection<'v> {
    type Item = Item<'v>;
    type IntoIter = std::iter::Chain<std::option::IntoIter<Item<'v>>, std::vec::IntoIter<Item<'v>>>;

    fn into_iter(self) -> Self::IntoIter {
        match self {
            Self::Empty => None.into_iter().chain(Vec::new()),
            Self::One(item) => Some(item).into_iter().chain(Vec::new()),
            Self::Many(items) => None.into_iter().chain(items),
        }
    }
}

/// FHIRPath `=` of two items.
#[must_use]
pub fn items_equal(a: &Item<'_>, b: &Item<'_>) -> bool {
    if let (Some(a), Some(b)) = (a.scalar(), b.scalar()) {
        return match (a, b) {
            (Scalar::Integer(_), Scalar::Decimal(_)) | (Scalar::Decimal(_), Scalar::Integer(_)) => {
                a.as_units().is_some() && a.as_units() == b.as_units()
            }
            _ => a == b,
        };
    }
    match (a, b) {
        (Item::Element { value: Some(a), .. }, Item::Element { value: Some(b), .. }) => values_equal(a, b),
        (Item::Element { value: None, extensions: a }, Item::Element { value: None, extensions: b }) => a == b,
        _ => false,
    }
}

/// Deep equality; the order of members does not matter, that of elements does.
fn values_equal(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| values_equal(a, b)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| values_equal(a, b)),
        _ => a == b,
    }
}
