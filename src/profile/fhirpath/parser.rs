//! Tokens to an expression tree, by precedence climbing (FHIRPath N1, grammar and operator precedence).
//!
//! What the subset lacks is refused here by name, so that a profile that cannot be enforced stops the start.

use super::UnsupportedExpression;
use super::ast::{Expr, Function, Member, Operator};
use super::lexer::{Token, tokens};

/// Nested brackets and operators; an expression of a profile has about ten.
const DEPTH_MAX: usize = 60;

/// Reads `source`.
pub fn parse(source: &str) -> Result<Expr, UnsupportedExpression> {
    let mut parser = Parser { tokens: tokens(source)?, next: 0, depth: 0 };
    let expr = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(expr),
        _ => Err(UnsupportedExpression::new("there is text after the end of the expression")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

/// Binding strength of a binary operator: larger binds tighter.
fn operator(token: &Token) -> Option<(Operator, u8)> {
    let text = match token {
        Token::Name(name) => name.as_str(),
        Token::Symbol(symbol) => symbol,
        _ => return None,
    };
    Some(match text {
        "implies" => (Operator::Implies, 1),
        "or" => (Operator::Or, 2),
        "xor" => (Operator::Xor, 2),
        "and" => (Operator::And, 3),
        "in" => (Operator::In, 4),
        "contains" => (Operator::Contains, 4),
        "=" => (Operator::Equal, 5),
        "!=" => (Operator::NotEqual, 5),
        "<=" => (Operator::LessOrEqual, 6),
        "<" => (Operator::Less, 6),
        ">" => (Operator::Greater, 6),
        ">=" => (Operator::GreaterOrEqual, 6),
        "|" => (Operator::Union, 7),
        "+" => (Operator::Add, 9),
        "-" => (Operator::Subtract, 9),
        "&" => (Operator::Concatenate, 9),
        "*" => (Operator::Multiply, 10),
        "/" => (Operator::Divide, 10),
        "div" => (Operator::WholeDivide, 10),
        "mod" => (Operator::Modulo, 10),
        _ => return None,
    })
}

/// `is` and `as` stand between the union and the sums.
const TYPE_STRENGTH: u8 = 8;
const SIGN_STRENGTH: u8 = 11;

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).unwrap_or(&Token::End)
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(s) if *s == symbol);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), UnsupportedExpression> {
        if self.eat(symbol) {
            return Ok(());
        }
        Err(UnsupportedExpression::new(format!("a '{symbol}' is missing")))
    }

    fn expression(&mut self, strength_min: u8) -> Result<Expr, UnsupportedExpression> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(UnsupportedExpression::new("the expression is nested too deeply"));
        }
        let mut left = self.signed()?;
        loop {
            if let Some((operator, strength)) = operator(self.peek()).filter(|(_, strength)| *strength >= strength_min)
            {
                self.next += 1;
                let right = self.expression(strength + 1)?;
                left = Expr::Binary(operator, Box::new(left), Box::new(right));
            } else if strength_min <= TYPE_STRENGTH && matches!(self.peek(), Token::Name(n) if n == "is" || n == "as") {
                left = self.type_operator(left)?;
            } else if matches!(self.peek(), Token::Symbol("~" | "!~")) {
                return Err(UnsupportedExpression::new("the equivalence operators ~ and !~ are not supported"));
            } else {
                self.depth -= 1;
                return Ok(left);
            }
        }
    }

    fn type_operator(&mut self, left: Expr) -> Result<Expr, UnsupportedExpression> {
        let is = matches!(self.advance(), Token::Name(name) if name == "is");
        let name = self.type_name()?;
        Ok(if is { Expr::Is(Box::new(left), name) } else { Expr::OfType(Box::new(left), name) })
    }

    fn type_name(&mut self) -> Result<String, UnsupportedExpression> {
        let mut name = self.identifier()?;
        if name == "FHIR" && self.eat(".") {
            name = self.identifier()?;
        }
        Ok(name)
    }

    fn identifier(&mut self) -> Result<String, UnsupportedExpression> {
        match self.advance() {
            Token::Name(name) | Token::Delimited(name) => Ok(name),
            _ => Err(UnsupportedExpression::new("a name is missing")),
        }
    }

    fn signed(&mut self) -> Result<Expr, UnsupportedExpression> {
        if self.eat("-") {
            return Ok(Expr::Negate(Box::new(self.expression(SIGN_STRENGTH)?)));
        }
        if self.eat("+") {
            return self.expression(SIGN_STRENGTH);
        }
        let term = self.term()?;
        self.steps(term)
    }

    fn term(&mut self) -> Result<Expr, UnsupportedExpression> {
        match self.advance() {
            Token::Symbol("(") => {
                let inner = self.expression(0)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Symbol("{") => self.expect("}").map(|()| Expr::Empty),
            Token::Text(text) => Ok(Expr::Text(text)),
            Token::Integer(number) => self.no_quantity(Expr::Integer(number)),
            Token::Decimal(units) => self.no_quantity(Expr::Decimal(units)),
            Token::Variable(name) => variable(&name),
            Token::Special(name) => special(&name),
            Token::Name(name) if name == "true" || name == "false" => Ok(Expr::Bool(name == "true")),
            Token::Name(name) => self.invocation(Expr::This, &name, Start::Yes),
            Token::Delimited(name) => Ok(Expr::Member(Box::new(Expr::This), Member::new(&name))),
            Token::End => Err(UnsupportedExpression::new("the expression ends too early")),
            Token::Symbol(symbol) => Err(UnsupportedExpression::new(format!("'{symbol}' does not belong here"))),
        }
    }

    /// `4 'kg'` and `3 days` are quantities.
    fn no_quantity(&self, number: Expr) -> Result<Expr, UnsupportedExpression> {
        let unit = match self.peek() {
            Token::Text(_) => true,
            token @ Token::Name(name) => operator(token).is_none() && !matches!(name.as_str(), "is" | "as"),
            _ => false,
        };
        if unit { Err(UnsupportedExpression::new("quantities are not supported")) } else { Ok(number) }
    }

    fn steps(&mut self, mut base: Expr) -> Result<Expr, UnsupportedExpression> {
        loop {
            if self.eat(".") {
                base = match self.advance() {
                    Token::Name(name) => self.invocation(base, &name, Start::No)?,
                    Token::Delimited(name) => Expr::Member(Box::new(base), Member::new(&name)),
                    Token::Special(name) => return Err(UnsupportedExpression::new(format!("${name} after a dot"))),
                    _ => return Err(UnsupportedExpression::new("a name is missing after a dot")),
                };
            } else if self.eat("[") {
                let index = self.expression(0)?;
                self.expect("]")?;
                base = Expr::Item(Box::new(base), Box::new(index));
            } else {
                return Ok(base);
            }
        }
    }

    fn invocation(&mut self, base: Expr, name: &str, start: Start) -> Result<Expr, UnsupportedExpression> {
        if self.eat("(") {
            return self.call(base, name);
        }
        if start == Start::Yes && name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return Ok(Expr::Root(name.to_owned()));
        }
        Ok(Expr::Member(Box::new(base), Member::new(name)))
    }

    fn call(&mut self, base: Expr, name: &str) -> Result<Expr, UnsupportedExpression> {
        if matches!(name, "ofType" | "as" | "is") {
            let type_name = self.type_name()?;
            self.expect(")")?;
            let base = Box::new(base);
            return Ok(if name == "is" { Expr::Is(base, type_name) } else { Expr::OfType(base, type_name) });
        }
        let known = Function::TABLE.iter().find(|(known, ..)| *known == name);
        let Some((_, function, least, most)) = known else {
            return Err(UnsupportedExpression::new(format!("the function {name}() is unknown or not supported")));
        };
        let arguments = self.arguments()?;
        if arguments.len() < *least || arguments.len() > *most {
            return Err(UnsupportedExpression::new(format!("the function {name}() has the wrong number of arguments")));
        }
        Ok(Expr::Call(Box::new(base), *function, arguments))
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, UnsupportedExpression> {
        let mut arguments = Vec::new();
        if self.eat(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            if self.eat(")") {
                return Ok(arguments);
            }
            self.expect(",")?;
        }
    }
}

/// Whether a name begins a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Yes,
    No,
}

fn variable(name: &str) -> Result<Expr, UnsupportedExpression> {
    match name {
        "resource" | "rootResource" => Ok(Expr::Resource),
        "context" => Ok(Expr::Context),
        _ => Err(UnsupportedExpression::new(format!("the variable %{name} is unknown or not supported"))),
    }
}

fn special(name: &str) -> Result<Expr, UnsupportedExpression> {
    match name {
        "this" => Ok(Expr::This),
        "index" => Ok(Expr::Index),
        _ => Err(UnsupportedExpression::new(format!("${name} is unknown or not supported"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_bind_as_the_grammar_says() {
        let table = [
            ("1 + 2 * 3", "1 + (2 * 3)"),
            ("a or b and c", "a or (b and c)"),
            ("a implies b or c", "a implies (b or c)"),
            ("a = b > c", "a = (b > c)"),
            ("1 - 2 - 3", "(1 - 2) - 3"),
            ("a | b = c", "(a | b) = c"),
            ("-a.b + 1", "(-(a.b)) + 1"),
            ("a.b is Patient and c", "(a.b is Patient) and c"),
            ("x in a | b", "x in (a | b)"),
        ];
        for (flat, bracketed) in table {
            assert_eq!(parse(flat), parse(bracketed), "{flat}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let table = [
            ("identifier.exist()", "exist()"),
            ("name.matches('a')", "matches()"),
            ("name.count(1)", "count()"),
            ("a ~ b", "equivalence"),
            ("4 'kg' > 3", "quantities"),
            ("3 days", "quantities"),
            ("%sct", "%sct"),
            ("$total", "$total"),
            ("a and", "ends too early"),
            ("(a", "')' is missing"),
            ("a b", "after the end"),
            ("a..b", "after a dot"),
            ("", "ends too early"),
        ];
        for (source, part) in table {
            let error = parse(source).expect_err(source);
            assert!(error.to_string().contains(part), "{source}: {error}");
        }
        let deep = "(".repeat(5000);
        assert!(parse(&deep).expect_err("refused").to_string().contains("deeply"));
    }
}
