//! Evaluation: paths, operators and three-valued logic (FHIRPath N1, Operations and Boolean logic).
//!
//! Not here: the functions (see `function`).

use std::borrow::Cow;

use crate::fhir::json::Value;
use crate::fhir::moment;

use super::EvaluationError;
use super::ast::{Expr, Member, Operator};
use super::function;
use super::item::{Collection, DECIMAL_UNITS, Item, Scalar, items_equal};

pub type Evaluated<'v> = Result<Collection<'v>, EvaluationError>;

/// What stays the same or changes only per item during one evaluation.
#[derive(Debug, Clone)]
pub struct Scope<'v> {
    pub resource: &'v Value<'v>,
    pub context: Item<'v>,
    pub this: Item<'v>,
    pub index: usize,
}

pub fn evaluate<'v>(expr: &'v Expr, resource: &'v Value<'v>, context: Item<'v>) -> Evaluated<'v> {
    eval(expr, &Scope { resource, this: context.clone(), context, index: 0 })
}

pub fn eval<'v>(expr: &'v Expr, scope: &Scope<'v>) -> Evaluated<'v> {
    Ok(match expr {
        Expr::Empty => Collection::Empty,
        Expr::Bool(flag) => Item::Bool(*flag).into(),
        Expr::Integer(number) => Item::Integer(*number).into(),
        Expr::Decimal(units) => Item::Decimal(*units).into(),
        Expr::Text(text) => Item::Text(Cow::Borrowed(text)).into(),
        // `check` has made sure that the type is that of `$this`.
        Expr::This | Expr::Root(_) => scope.this.clone().into(),
        Expr::Index => integer(scope.index).into(),
        Expr::Resource => Item::element(scope.resource).into(),
        Expr::Context => scope.context.clone().into(),
        Expr::Member(base, member) => members(base, member, scope)?,
        Expr::Item(base, index) => item_at(eval(base, scope)?, &eval(index, scope)?)?,
        Expr::Call(base, function, arguments) => function::call(*function, base, arguments, scope)?,
        Expr::OfType(base, name) => only_resources(eval(base, scope)?, name),
        Expr::Is(base, name) => eval(base, scope)?.single()?.map(|item| is_resource(item, name)).into(),
        Expr::Negate(inner) => negate(&eval(inner, scope)?)?,
        Expr::Binary(operator, left, right) => binary(*operator, left, right, scope)?,
        Expr::Temporal(operator, left, right) => temporal(*operator, &eval(left, scope)?, &eval(right, scope)?)?.into(),
    })
}

pub fn integer(count: usize) -> Item<'static> {
    Item::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

fn is_resource(item: &Item<'_>, name: &str) -> bool {
    matches!(item, Item::Element { value: Some(value), .. } if value.text("resourceType") == Some(name))
}

fn only_resources<'v>(input: Collection<'v>, name: &str) -> Collection<'v> {
    input.into_iter().filter(|item| is_resource(item, name)).collect()
}

/// One step of a path. The step most often starts at `$this`, which then needs no copy.
fn members<'v>(base: &'v Expr, member: &'v Member, scope: &Scope<'v>) -> Evaluated<'v> {
    let mut found = Collection::Empty;
    if matches!(base, Expr::This) {
        step(&scope.this, member, &mut found);
    } else {
        for item in eval(base, scope)?.items() {
            step(item, member, &mut found);
        }
    }
    Ok(found)
}

fn step<'v>(item: &Item<'v>, member: &Member, found: &mut Collection<'v>) {
    let Item::Element { value, extensions } = item else { return };
    let holder = match value {
        Some(value @ Value::Object(_)) => value,
        // A primitive has no members but the id and extensions of its sibling.
        _ => match extensions {
            Some(sibling) => sibling,
            None => return,
        },
    };
    if member.choices.is_empty() {
        collect(holder, &member.name, &member.sibling, found);
    }
    for choice in &member.choices {
        collect(holder, &choice.name, &choice.sibling, found);
    }
}

fn collect<'v>(holder: &'v Value<'v>, name: &str, sibling: &str, found: &mut Collection<'v>) {
    match holder.get(name) {
        Some(value @ Value::Object(_)) => found.push(Item::element(value)),
        Some(Value::Array(items)) if matches!(items.first(), Some(Value::Object(_))) => {
            for value in items {
                found.push(Item::element(value));
            }
        }
        value => primitives(value, holder.get(sibling), found),
    }
}

/// Primitive elements: the value and the extensions stand in two members, matched by position (FHIR R4, JSON).
fn primitives<'v>(value: Option<&'v Value<'v>>, sibling: Option<&'v Value<'v>>, found: &mut Collection<'v>) {
    let mut push = |value: Option<&'v Value<'v>>, extensions: Option<&'v Value<'v>>| {
        let value = value.filter(|value| !matches!(value, Value::Null));
        let extensions = extensions.filter(|extensions| matches!(extensions, Value::Object(_)));
        if value.is_some() || extensions.is_some() {
            found.push(Item::Element { value, extensions });
        }
    };
    let elements = |value: Option<&'v Value<'v>>| match value {
        Some(Value::Array(items)) => Some(items.as_slice()),
        _ => None,
    };
    match (elements(value), elements(sibling)) {
        (None, None) => push(value, sibling),
        (values, siblings) => {
            let (values, siblings) = (values.unwrap_or_default(), siblings.unwrap_or_default());
            (0..values.len().max(siblings.len())).for_each(|at| push(values.get(at), siblings.get(at)));
        }
    }
}

fn item_at<'v>(input: Collection<'v>, index: &Collection<'v>) -> Evaluated<'v> {
    match index.single()?.map(Item::scalar) {
        None => Ok(Collection::Empty),
        Some(Some(Scalar::Integer(at))) => {
            Ok(usize::try_from(at).ok().and_then(|at| input.into_iter().nth(at)).map_or(Collection::Empty, Into::into))
        }
        Some(_) => Err(EvaluationError::new("an index is no integer")),
    }
}

fn negate<'v>(input: &Collection<'v>) -> Evaluated<'v> {
    match input.single()?.map(Item::scalar) {
        None => Ok(Collection::Empty),
        Some(Some(Scalar::Integer(number))) => {
            Ok(number.checked_neg().map_or(Collection::Empty, |n| Item::Integer(n).into()))
        }
        Some(Some(Scalar::Decimal(units))) => {
            Ok(units.checked_neg().map_or(Collection::Empty, |n| Item::Decimal(n).into()))
        }
        Some(_) => Err(EvaluationError::new("a sign stands before something that is no number")),
    }
}

fn binary<'v>(operator: Operator, left: &'v Expr, right: &'v Expr, scope: &Scope<'v>) -> Evaluated<'v> {
    if let Operator::And | Operator::Or | Operator::Xor | Operator::Implies = operator {
        return logic(operator, left, right, scope).map(Into::into);
    }
    let (left, right) = (eval(left, scope)?, eval(right, scope)?);
    match operator {
        Operator::Equal => Ok(equal(&left, &right).into()),
        Operator::NotEqual => Ok(equal(&left, &right).map(|equal| !equal).into()),
        operator if operator.is_order() => compare(operator, &left, &right).map(Into::into),
        Operator::In => member_of(&left, &right).map(Into::into),
        Operator::Contains => member_of(&right, &left).map(Into::into),
        Operator::Union => Ok(distinct(left.into_iter().chain(right))),
        Operator::Concatenate => concatenate(&left, &right),
        _ => arithmetic(operator, &left, &right),
    }
}

fn logic<'v>(
    operator: Operator,
    left: &'v Expr,
    right: &'v Expr,
    scope: &Scope<'v>,
) -> Result<Option<bool>, EvaluationError> {
    let left = eval(left, scope)?.condition()?;
    match (operator, left) {
        (Operator::And, Some(false)) => return Ok(Some(false)),
        (Operator::Or, Some(true)) | (Operator::Implies, Some(false)) => return Ok(Some(true)),
        _ => {}
    }
    let right = eval(right, scope)?.condition()?;
    Ok(match (operator, left, right) {
        (Operator::And, _, Some(false)) => Some(false),
        (Operator::Or | Operator::Implies, _, Some(true)) => Some(true),
        (_, None, _) | (_, _, None) => None,
        (Operator::Xor, Some(left), Some(right)) => Some(left != right),
        (Operator::And, ..) => Some(true),
        _ => Some(false),
    })
}

/// `=`: unknown when either side is empty.
fn equal(left: &Collection<'_>, right: &Collection<'_>) -> Option<bool> {
    let (left, right) = (left.items(), right.items());
    if left.is_empty() || right.is_empty() {
        return None;
    }
    Some(left.len() == right.len() && left.iter().zip(right).all(|(left, right)| items_equal(left, right)))
}

fn compare(operator: Operator, left: &Collection<'_>, right: &Collection<'_>) -> Result<Option<bool>, EvaluationError> {
    let (Some(left), Some(right)) = (left.single()?, right.single()?) else { return Ok(None) };
    if left.is_valueless() || right.is_valueless() {
        return Ok(None);
    }
    let ordering = match (left.scalar(), right.scalar()) {
        (Some(Scalar::Text(left)), Some(Scalar::Text(right))) => left.cmp(right),
        (Some(left), Some(right)) => match (left.as_units(), right.as_units()) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ => return Err(EvaluationError::new("two things that have no order are compared")),
        },
        _ => return Err(EvaluationError::new("two things that have no order are compared")),
    };
    Ok(Some(operator.admits(ordering)))
}

/// Dates and times; unknown where the less precise one may be before and after the other.
fn temporal(
    operator: Operator,
    left: &Collection<'_>,
    right: &Collection<'_>,
) -> Result<Option<bool>, EvaluationError> {
    let (Some(left), Some(right)) = (left.single()?, right.single()?) else { return Ok(None) };
    match (left.scalar(), right.scalar()) {
        (Some(Scalar::Text(left)), Some(Scalar::Text(right))) => {
            Ok(moment::order(left, right).map(|ordering| operator.admits(ordering)))
        }
        _ => Ok(None),
    }
}

fn member_of(item: &Collection<'_>, of: &Collection<'_>) -> Result<Option<bool>, EvaluationError> {
    Ok(item.single()?.map(|item| of.items().iter().any(|other| items_equal(item, other))))
}

/// Items without those equal to an earlier one.
pub fn distinct<'v>(items: impl Iterator<Item = Item<'v>>) -> Collection<'v> {
    let mut found = Collection::Empty;
    for item in items {
        if !found.items().iter().any(|other| items_equal(other, &item)) {
            found.push(item);
        }
    }
    found
}

/// `&`: an empty side is the empty string.
fn concatenate<'v>(left: &Collection<'v>, right: &Collection<'v>) -> Evaluated<'v> {
    let text = |side: &Collection<'v>| match side.single()?.map(Item::scalar) {
        None => Ok(String::new()),
        Some(Some(Scalar::Text(text))) => Ok(text.to_owned()),
        Some(_) => Err(EvaluationError::new("something that is no text is concatenated")),
    };
    Ok(Item::Text(Cow::Owned(text(left)? + &text(right)?)).into())
}

/// Results out of range are empty, as is a division by zero (FHIRPath N1, Math).
fn arithmetic<'v>(operator: Operator, left: &Collection<'v>, right: &Collection<'v>) -> Evaluated<'v> {
    let (Some(left), Some(right)) = (left.single()?, right.single()?) else { return Ok(Collection::Empty) };
    let no_number = EvaluationError::new("something that is no number is calculated with");
    let item = match (left.scalar(), right.scalar()) {
        (Some(Scalar::Integer(left)), Some(Scalar::Integer(right))) if operator != Operator::Divide => {
            whole(operator, left, right).map(Item::Integer)
        }
        (Some(Scalar::Text(left)), Some(Scalar::Text(right))) if operator == Operator::Add => {
            Some(Item::Text(Cow::Owned(format!("{left}{right}"))))
        }
        (Some(Scalar::Integer(_) | Scalar::Decimal(_)), Some(Scalar::Integer(_) | Scalar::Decimal(_))) => {
            let units = left.scalar().and_then(Scalar::as_units).zip(right.scalar().and_then(Scalar::as_units));
            units.and_then(|(left, right)| fractional(operator, left, right))
        }
        (None, _) if left.is_valueless() => None,
        (_, None) if right.is_valueless() => None,
        _ => return Err(no_number),
    };
    Ok(item.map_or(Collection::Empty, Into::into))
}

fn whole(operator: Operator, left: i64, right: i64) -> Option<i64> {
    match operator {
        Operator::Multiply => left.checked_mul(right),
        Operator::WholeDivide => left.checked_div(right),
        Operator::Modulo => left.checked_rem(right),
        Operator::Add => left.checked_add(right),
        _ => left.checked_sub(right),
    }
}

fn fractional(operator: Operator, left: i64, right: i64) -> Option<Item<'static>> {
    let (wide_left, wide_right, scale) = (i128::from(left), i128::from(right), i128::from(DECIMAL_UNITS));
    let units = match operator {
        Operator::Multiply => wide_left.checked_mul(wide_right)? / scale,
        Operator::Divide => (wide_left * scale).checked_div(wide_right)?,
        Operator::WholeDivide => return left.checked_div(right).map(Item::Integer),
        Operator::Modulo => wide_left.checked_rem(wide_right)?,
        Operator::Add => wide_left + wide_right,
        _ => wide_left - wide_right,
    };
    i64::try_from(units).ok().map(Item::Decimal)
}
