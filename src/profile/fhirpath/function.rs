//! The functions of the subset (FHIRPath N1, Functions; `extension` and `hasValue` from FHIR R4, FHIRPath).
//!
//! Not here: paths and operators (see `evaluate`).

use std::borrow::Cow;

use super::EvaluationError;
use super::ast::{Expr, Function};
use super::evaluate::{Evaluated, Scope, distinct, eval, integer};
use super::item::{Collection, DECIMAL_UNITS, Item, Scalar, items_equal};

pub fn call<'v>(function: Function, base: &'v Expr, arguments: &'v [Expr], scope: &Scope<'v>) -> Evaluated<'v> {
    let input = eval(base, scope)?;
    match (function, arguments) {
        (Function::Iif, _) => iif(arguments, scope),
        (function, [criteria, ..]) if function.is_per_item() => per_item(function, input, criteria, scope),
        (function, [other]) if is_set(function) => Ok(set(function, input, eval(other, scope)?)),
        (Function::Skip | Function::Take, [count]) => subset(function, input, &eval(count, scope)?),
        (Function::Extension, [url]) => extension(&input, &eval(url, scope)?),
        (function, []) if !function.is_of_text() => plain(function, input),
        _ => text(function, &input, arguments, scope),
    }
}

const fn is_set(function: Function) -> bool {
    matches!(function, Function::Combine | Function::Union | Function::Intersect | Function::Exclude)
}

/// Only the branch taken is evaluated.
fn iif<'v>(arguments: &'v [Expr], scope: &Scope<'v>) -> Evaluated<'v> {
    let [criterion, then, otherwise @ ..] = arguments else { return Ok(Collection::Empty) };
    if eval(criterion, scope)?.condition()? == Some(true) {
        return eval(then, scope);
    }
    otherwise.first().map_or(Ok(Collection::Empty), |otherwise| eval(otherwise, scope))
}

fn per_item<'v>(function: Function, input: Collection<'v>, criteria: &'v Expr, scope: &Scope<'v>) -> Evaluated<'v> {
    let mut inner = scope.clone();
    let mut found = Collection::Empty;
    let mut holding = 0;
    let count = input.count();
    for (index, item) in input.into_iter().enumerate() {
        inner.index = index;
        inner.this = item.clone();
        let result = eval(criteria, &inner)?;
        if function == Function::Select {
            result.into_iter().for_each(|item| found.push(item));
        } else if result.condition()? == Some(true) {
            holding += 1;
            if function == Function::Where {
                found.push(item);
            }
        }
    }
    Ok(match function {
        Function::All => (holding == count).into(),
        Function::Exists => (holding > 0).into(),
        _ => found,
    })
}

fn set<'v>(function: Function, input: Collection<'v>, other: Collection<'v>) -> Collection<'v> {
    let in_other = |item: &Item<'v>, other: &Collection<'v>| other.items().iter().any(|o| items_equal(item, o));
    match function {
        Function::Combine => input.into_iter().chain(other).collect(),
        Function::Union => distinct(input.into_iter().chain(other)),
        Function::Intersect => distinct(input.into_iter().filter(|item| in_other(item, &other))),
        _ => input.into_iter().filter(|item| !in_other(item, &other)).collect(),
    }
}

fn subset<'v>(function: Function, input: Collection<'v>, count: &Collection<'v>) -> Evaluated<'v> {
    let Some(Some(Scalar::Integer(count))) = count.single()?.map(Item::scalar) else {
        return Err(EvaluationError::new("a number of items is no integer"));
    };
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    let items = input.into_iter();
    Ok(if function == Function::Skip { items.skip(count).collect() } else { items.take(count).collect() })
}

fn extension<'v>(input: &Collection<'v>, url: &Collection<'v>) -> Evaluated<'v> {
    let Some(Some(Scalar::Text(url))) = url.single()?.map(Item::scalar) else { return Ok(Collection::Empty) };
    let mut found = Collection::Empty;
    for item in input.items() {
        let Item::Element { value, extensions } = item else { continue };
        for holder in [value, extensions].into_iter().flatten() {
            let matching = holder.list("extension").iter().filter(|extension| extension.text("url") == Some(url));
            matching.for_each(|extension| found.push(Item::element(extension)));
        }
    }
    Ok(found)
}

/// The functions that take neither an argument nor a text.
fn plain(function: Function, input: Collection<'_>) -> Evaluated<'_> {
    Ok(match function {
        Function::Empty => input.is_empty().into(),
        Function::Exists => (!input.is_empty()).into(),
        Function::Count => integer(input.count()).into(),
        Function::Not => input.condition()?.map(|flag| !flag).into(),
        Function::HasValue => (input.single()?.and_then(Item::scalar).is_some()).into(),
        Function::AllTrue => every(&input)?.iter().all(|flag| *flag).into(),
        Function::AnyTrue => every(&input)?.contains(&true).into(),
        Function::IsDistinct => (input.count() == distinct(input.clone().into_iter()).count()).into(),
        Function::Distinct => distinct(input.into_iter()),
        Function::Single => input.single()?.cloned().map_or(Collection::Empty, Into::into),
        Function::First => input.into_iter().next().map_or(Collection::Empty, Into::into),
        Function::Last => input.into_iter().last().map_or(Collection::Empty, Into::into),
        Function::Tail => input.into_iter().skip(1).collect(),
        Function::ToInteger => {
            input.single()?.and_then(Item::scalar).and_then(to_integer).map_or(Collection::Empty, Into::into)
        }
        Function::ToText => input.single()?.and_then(Item::scalar).map(to_text).map_or(Collection::Empty, Into::into),
        // `call` sends no other function here.
        _ => Collection::Empty,
    })
}

fn every(input: &Collection<'_>) -> Result<Vec<bool>, EvaluationError> {
    let flag = |item: &Item<'_>| match item.scalar() {
        Some(Scalar::Bool(flag)) => Ok(flag),
        _ => Err(EvaluationError::new("something that is no boolean is taken for one")),
    };
    input.items().iter().map(flag).collect()
}

fn to_integer(scalar: Scalar<'_>) -> Option<Item<'static>> {
    match scalar {
        Scalar::Bool(flag) => Some(Item::Integer(i64::from(flag))),
        Scalar::Integer(number) => Some(Item::Integer(number)),
        Scalar::Decimal(_) => None,
        // FHIRPath integers have 32 bits.
        Scalar::Text(text) => text.parse::<i32>().ok().map(|number| Item::Integer(i64::from(number))),
    }
}

fn to_text(scalar: Scalar<'_>) -> Item<'static> {
    Item::Text(Cow::Owned(match scalar {
        Scalar::Bool(flag) => flag.to_string(),
        Scalar::Integer(number) => number.to_string(),
        Scalar::Text(text) => text.to_owned(),
        Scalar::Decimal(units) => {
            let (whole, part) = (
                units.unsigned_abs() / DECIMAL_UNITS.unsigned_abs(),
                units.unsigned_abs() % DECIMAL_UNITS.unsigned_abs(),
            );
            let sign = if units < 0 { "-" } else { "" };
            let part = format!("{part:08}");
            let part = part.trim_end_matches('0');
            format!("{sign}{whole}.{}", if part.is_empty() { "0" } else { part })
        }
    }))
}

fn text<'v>(function: Function, input: &Collection<'v>, arguments: &'v [Expr], scope: &Scope<'v>) -> Evaluated<'v> {
    let Some(text) = single_text(input)? else { return Ok(Collection::Empty) };
    let argument = match arguments.first() {
        Some(argument) => Some(eval(argument, scope)?),
        None => None,
    };
    let own = |text: String| Collection::One(Item::Text(Cow::Owned(text)));
    match (function, argument) {
        (Function::Length, _) => Ok(integer(text.chars().count()).into()),
        (Function::Lower, _) => Ok(own(text.to_lowercase())),
        (Function::Upper, _) => Ok(own(text.to_uppercase())),
        (Function::Trim, _) => Ok(own(text.trim().to_owned())),
        (Function::Substring, Some(start)) => {
            let length = arguments.get(1).map(|length| eval(length, scope)).transpose()?;
            Ok(substring(text, single_integer(&start)?, length.as_ref().map(single_integer).transpose()?.flatten())
                .map_or(Collection::Empty, own))
        }
        (function, Some(argument)) => {
            let Some(part) = single_text(&argument)? else { return Ok(Collection::Empty) };
            Ok(match function {
                Function::StartsWith => text.starts_with(part).into(),
                Function::EndsWith => text.ends_with(part).into(),
                Function::Contains => text.contains(part).into(),
                Function::IndexOf => index_of(text, part).into(),
                _ => Collection::Empty,
            })
        }
        _ => Ok(Collection::Empty),
    }
}

fn single_text<'c>(input: &'c Collection<'_>) -> Result<Option<&'c str>, EvaluationError> {
    match input.single()? {
        None => Ok(None),
        Some(item) if item.is_valueless() => Ok(None),
        Some(item) => match item.scalar() {
            Some(Scalar::Text(text)) => Ok(Some(text)),
            _ => Err(EvaluationError::new("a text is needed and something else is given")),
        },
    }
}

fn single_integer(input: &Collection<'_>) -> Result<Option<i64>, EvaluationError> {
    match input.single()?.map(Item::scalar) {
        None => Ok(None),
        Some(Some(Scalar::Integer(number))) => Ok(Some(number)),
        Some(_) => Err(EvaluationError::new("an integer is needed and something else is given")),
    }
}

/// Positions count characters, not bytes.
fn index_of(text: &str, part: &str) -> Item<'static> {
    text.find(part).map_or(Item::Integer(-1), |at| integer(text[..at].chars().count()))
}

fn substring(text: &str, start: Option<i64>, length: Option<i64>) -> Option<String> {
    let start = usize::try_from(start?).ok().filter(|start| *start < text.chars().count())?;
    let length = length.map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(0));
    Some(text.chars().skip(start).take(length).collect())
}
