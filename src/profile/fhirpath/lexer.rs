//! FHIRPath text to tokens (FHIRPath N1, Lexical Elements).
//!
//! Not here: dates, times and quantities. The profiles use none; an expression with one is refused when it is read.

use super::UnsupportedExpression;
use super::item::DECIMAL_UNITS;

#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// An identifier or a keyword.
    Name(String),
    /// An identifier between backticks: never a keyword.
    Delimited(String),
    Text(String),
    Integer(i64),
    /// In steps of 10⁻⁸, as all decimals here.
    Decimal(i64),
    /// `%resource`
    Variable(String),
    /// `$this`
    Special(String),
    Symbol(&'static str),
    End,
}

const SYMBOLS: &[&str] =
    &["<=", ">=", "!=", "!~", "(", ")", "[", "]", "{", "}", ".", ",", "+", "-", "*", "/", "&", "|", "<", ">", "=", "~"];

/// Splits `source` into tokens, the last of which is [`Token::End`].
pub fn tokens(source: &str) -> Result<Vec<Token>, UnsupportedExpression> {
    let mut lexer = Lexer { rest: source };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        let end = token == Token::End;
        tokens.push(token);
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'s> {
    rest: &'s str,
}

impl<'s> Lexer<'s> {
    fn next(&mut self) -> Result<Token, UnsupportedExpression> {
        self.skip_blank()?;
        let Some(first) = self.rest.chars().next() else { return Ok(Token::End) };
        match first {
            '\'' => self.quoted('\'').map(Token::Text),
            '`' => self.quoted('`').map(Token::Delimited),
            '0'..='9' => self.number(),
            '%' => self.prefixed().map(Token::Variable),
            '$' => self.prefixed().map(Token::Special),
            '@' => Err(UnsupportedExpression::new("date and time literals (@) are not supported")),
            c if c.is_ascii_alphabetic() || c == '_' => Ok(Token::Name(self.word().to_owned())),
            _ => self.symbol(),
        }
    }

    fn skip_blank(&mut self) -> Result<(), UnsupportedExpression> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with("//") {
                self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                let end = comment.find("*/").ok_or_else(|| UnsupportedExpression::new("a comment has no end"))?;
                self.rest = &comment[end + 2..];
            } else {
                return Ok(());
            }
        }
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'s str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn word(&mut self) -> &'s str {
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    fn prefixed(&mut self) -> Result<String, UnsupportedExpression> {
        self.rest = &self.rest[1..];
        let name = self.word();
        if name.is_empty() {
            return Err(UnsupportedExpression::new("% and $ need a plain name after them"));
        }
        Ok(name.to_owned())
    }

    fn symbol(&mut self) -> Result<Token, UnsupportedExpression> {
        let found = SYMBOLS.iter().find(|symbol| self.rest.starts_with(**symbol));
        let symbol = found.ok_or_else(|| UnsupportedExpression::new("a character does not belong to FHIRPath"))?;
        self.rest = &self.rest[symbol.len()..];
        Ok(Token::Symbol(symbol))
    }

    fn number(&mut self) -> Result<Token, UnsupportedExpression> {
        let too_large = || UnsupportedExpression::new("a number is too large or has more than eight decimals");
        let whole = self.take_while(|c| c.is_ascii_digit()).parse::<i64>().map_err(|_| too_large())?;
        let fraction = self.rest.strip_prefix('.').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let Some(fraction) = fraction else {
            return Ok(Token::Integer(whole));
        };
        self.rest = fraction;
        let digits = self.take_while(|c| c.is_ascii_digit());
        if digits.len() > 8 {
            return Err(too_large());
        }
        let part = format!("{digits:0<8}").parse::<i64>().map_err(|_| too_large())?;
        let scaled = whole.checked_mul(DECIMAL_UNITS).and_then(|units| units.checked_add(part));
        scaled.map(Token::Decimal).ok_or_else(too_large)
    }

    fn quoted(&mut self, quote: char) -> Result<String, UnsupportedExpression> {
        let mut text = String::new();
        let mut chars = self.rest[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.rest = &self.rest[1 + at + 1..];
                return Ok(text);
            }
            if c == '\\' {
                let escaped = chars.next().map(|(_, c)| c).and_then(|c| escape(c, &mut chars));
                text.push(escaped.ok_or_else(|| UnsupportedExpression::new("a string has an unknown escape"))?);
            } else {
                text.push(c);
            }
        }
        Err(UnsupportedExpression::new("a string has no end"))
    }
}

fn escape(c: char, rest: &mut std::str::CharIndices<'_>) -> Option<char> {
    match c {
        '\'' | '"' | '`' | '\\' | '/' => Some(c),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'u' => {
            let digits: String = rest.by_ref().take(4).map(|(_, c)| c).collect();
            u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4).and_then(char::from_u32)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_tokens() {
        let found = tokens("a.b('it\\'s \\u00e9') >= 1.50 // end\n and /* x */ `div` $this %resource").expect("valid");
        let name = |text: &str| Token::Name(text.to_owned());
        let expected = [
            name("a"),
            Token::Symbol("."),
            name("b"),
            Token::Symbol("("),
            Token::Text("it's é".to_owned()),
            Token::Symbol(")"),
            Token::Symbol(">="),
            Token::Decimal(150_000_000),
            name("and"),
            Token::Delimited("div".to_owned()),
            Token::Special("this".to_owned()),
            Token::Variable("resource".to_owned()),
            Token::End,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_the_subset_lacks_is_refused() {
        for source in ["@2020-01-01", "'open", "'\\q'", "'\\u12'", "a # b", "/* open", "99999999999999999999", "%"] {
            assert!(tokens(source).is_err(), "{source}");
        }
    }
}
