//! Static checks of a read expression against the element tables, when a profile is loaded.
//!
//! What: every path must lead somewhere in base R4, because FHIRPath takes a misspelt name for an empty collection and
//! the rule would be silently wrong; choice elements are resolved to the members they can have; dates and times have an
//! order among themselves and are compared with nothing else. Not here: evaluating.

use super::UnsupportedExpression;
use super::ast::{Choice, Expr, Function, Member, Operator};
use crate::profile::definition::choice_member;
use crate::profile::shape::{Kind, Shapes, Type};

/// The type of values that are no elements of a document.
const SYSTEM: &str = "System";

type Types = Vec<String>;
type Checked = Result<Types, UnsupportedExpression>;

/// Checks `root`, evaluated on elements of the types `context` within a resource of the type `resource`.
pub fn check(
    root: &mut Expr,
    shapes: &Shapes,
    resource: &str,
    context: &[String],
) -> Result<(), UnsupportedExpression> {
    let is_resource = |found: &Type| matches!(found.kind(), Kind::Resource | Kind::AnyResource);
    let resource = if shapes.find_type(resource).is_some_and(is_resource) { resource } else { "Resource" };
    let checker = Checker { shapes, resource: vec![resource.to_owned()], context: context.to_vec() };
    checker.check(root, context).map(|_| ())
}

struct Checker<'c> {
    shapes: &'c Shapes,
    resource: Types,
    context: Types,
}

fn system() -> Types {
    vec![SYSTEM.to_owned()]
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, UnsupportedExpression> {
    Err(UnsupportedExpression::new(reason))
}

impl Checker<'_> {
    /// The types that `expr` may have, evaluated where `$this` has the types `this`.
    fn check(&self, expr: &mut Expr, this: &[String]) -> Checked {
        match expr {
            Expr::Empty => Ok(Types::new()),
            Expr::Bool(_) | Expr::Integer(_) | Expr::Decimal(_) | Expr::Text(_) | Expr::Index => Ok(system()),
            Expr::This => Ok(this.to_vec()),
            Expr::Resource => Ok(self.resource.clone()),
            Expr::Context => Ok(self.context.clone()),
            Expr::Root(name) => {
                if !this.contains(name) {
                    return refuse(format!("a path begins with the type {name}, which is not the type it starts from"));
                }
                *expr = Expr::This;
                Ok(this.to_vec())
            }
            Expr::Member(base, member) => {
                let base = self.check(base, this)?;
                self.member(&base, member)
            }
            Expr::Item(base, index) => {
                self.check(index, this)?;
                self.check(base, this)
            }
            Expr::Call(base, function, arguments) => self.call(base, *function, arguments, this),
            Expr::OfType(..) => self.of_type(expr, this),
            Expr::Is(base, name) => {
                self.check(base, this)?;
                if self.shapes.is_resource(name) {
                    return Ok(system());
                }
                refuse(format!("'is {name}' is supported for types of resources only"))
            }
            Expr::Negate(inner) => self.check(inner, this).map(|_| system()),
            Expr::Binary(operator, left, right) => {
                let operator = *operator;
                let found = (self.check(left, this)?, self.check(right, this)?);
                if operator.is_order() && are_moments(&found.0) && are_moments(&found.1) {
                    let take = |side: &mut Box<Expr>| std::mem::replace(side, Box::new(Expr::Empty));
                    *expr = Expr::Temporal(operator, take(left), take(right));
                    return Ok(system());
                }
                binary(operator, found)
            }
            // Made here, of what was checked already.
            Expr::Temporal(..) => Ok(system()),
        }
    }

    fn member(&self, base: &[String], member: &mut Member) -> Checked {
        let mut types = Types::new();
        let mut known = base.is_empty();
        for name in base {
            let Some(of) = self.shapes.find_type(name) else { continue };
            let Some((_, info)) = self.shapes.elements(of).find(|(element, _)| *element == member.name) else {
                continue;
            };
            known = true;
            if self.shapes.resolve(&format!("{name}.{}[x]", member.name)).is_some() {
                member.choices.extend(info.types.iter().map(|type_name| choice(&member.name, type_name)));
            }
            types.extend(
                info.types
                    .iter()
                    .filter(|found| !types.iter().any(|t| t == *found))
                    .map(|t| (*t).to_owned())
                    .collect::<Vec<_>>(),
            );
        }
        if known {
            return Ok(types);
        }
        let hint =
            if base.iter().any(|name| name == "Resource") { " (narrow the resource with ofType() first)" } else { "" };
        refuse(format!("{} has no element {}{hint}", base.join(" or "), member.name))
    }

    /// `ofType(T)` of a choice takes one of its members; of resources it filters.
    fn of_type(&self, expr: &mut Expr, this: &[String]) -> Checked {
        let Expr::OfType(base, name) = expr else { return Ok(Types::new()) };
        let types = self.check(base, this)?;
        let narrowed = vec![name.clone()];
        if let Expr::Member(_, member) = base.as_mut()
            && !member.choices.is_empty()
        {
            let wanted = choice(&member.name, name);
            member.choices.retain(|known| *known == wanted);
            if member.choices.is_empty() {
                return refuse(format!("{} is never of type {name}", member.name));
            }
            *expr = std::mem::replace(base.as_mut(), Expr::Empty);
            return Ok(narrowed);
        }
        if self.shapes.is_resource(name) && types.iter().any(|known| known == "Resource" || known == name) {
            return Ok(narrowed);
        }
        if types == narrowed {
            *expr = std::mem::replace(base.as_mut(), Expr::Empty);
            return Ok(narrowed);
        }
        refuse(format!("ofType({name}) is supported right after a choice element or for resources only"))
    }

    fn call(&self, base: &mut Expr, function: Function, arguments: &mut [Expr], this: &[String]) -> Checked {
        let input = self.check(base, this)?;
        let inner = if function.is_per_item() { &input } else { this };
        let results =
            arguments.iter_mut().map(|argument| self.check(argument, inner)).collect::<Result<Vec<_>, _>>()?;
        let joined = |results: &[Types]| results.concat();
        match function {
            Function::Where
            | Function::First
            | Function::Last
            | Function::Tail
            | Function::Single
            | Function::Skip
            | Function::Take
            | Function::Distinct
            | Function::Intersect
            | Function::Exclude => Ok(input),
            Function::Union | Function::Combine => Ok([input, joined(&results)].concat()),
            Function::Select => Ok(joined(&results)),
            Function::Iif => Ok(results.get(1..).map(joined).unwrap_or_default()),
            Function::Extension => Ok(vec!["Extension".to_owned()]),
            function if function.is_of_text() && input.iter().any(|name| is_temporal(name)) => {
                refuse("dates and times are no text")
            }
            _ => Ok(system()),
        }
    }
}

fn binary(operator: Operator, (mut left, right): (Types, Types)) -> Checked {
    match operator {
        Operator::And | Operator::Or | Operator::Xor | Operator::Implies => Ok(system()),
        Operator::Union => {
            left.extend(right);
            Ok(left)
        }
        _ if left.iter().chain(&right).any(|name| is_temporal(name)) => {
            refuse("dates and times have an order among themselves and no other comparison")
        }
        _ => Ok(system()),
    }
}

/// Whether every type names a point in time: a time of the day does not.
fn are_moments(types: &[String]) -> bool {
    !types.is_empty() && types.iter().all(|name| is_temporal(name) && name != "time")
}

fn is_temporal(type_name: &str) -> bool {
    matches!(type_name, "date" | "dateTime" | "instant" | "time")
}

fn choice(stem: &str, type_name: &str) -> Choice {
    let name = choice_member(stem, type_name);
    Choice { sibling: format!("_{name}"), name }
}
