//! A Rust file as the checks read it: code without comments and string contents, and without its tests.
//!
//! What: a lexer just large enough to tell code from comments, strings and character literals, and to find the items
//! under `#[cfg(test)]`. Blanked bytes become spaces, so every offset and line number stays that of the file. Why not a
//! parser: the checks ask about names and lengths only, and a dependency would cost more than these lines.
//! Not here: the checks.

use std::ops::Range;

/// One `.rs` file.
#[derive(Debug, Clone)]
pub struct Source {
    /// From the repository root, with `/`.
    pub path: String,
    pub text: String,
    /// `text` with comments and the contents of strings blanked.
    pub code: String,
    /// `code` with test items blanked as well: what is compiled into the product.
    pub shipped: String,
    /// String literals of the shipped code.
    pub literals: Vec<Literal>,
    test_lines: usize,
}

#[derive(Debug, Clone)]
pub struct Literal {
    pub line: usize,
    pub text: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let (code, contents) = blank_comments_and_strings(text);
        let tests = test_items(&code);
        let mut shipped = code.clone().into_bytes();
        for range in &tests {
            blank(&mut shipped, range.clone());
        }
        let literals = contents
            .into_iter()
            .filter(|content| !tests.iter().any(|test| test.contains(&content.start)))
            .map(|content| Literal { line: line_of(text, content.start), text: text[content].to_owned() })
            .collect();
        let test_lines = tests.iter().map(|range| text[range.clone()].lines().count()).sum();
        Self { path: path.to_owned(), text: text.to_owned(), code, shipped: utf8(shipped), literals, test_lines }
    }

    /// The same file, known to be compiled for tests only.
    pub fn into_test(self) -> Self {
        let test_lines = self.text.lines().count();
        Self { shipped: " ".repeat(self.text.len()), literals: Vec::new(), test_lines, ..self }
    }

    pub fn shipped_lines(&self) -> usize {
        self.text.lines().count() - self.test_lines
    }

    pub fn at(&self, offset: usize) -> String {
        format!("{}:{}", self.path, line_of(&self.text, offset))
    }
}

/// A word or a mark of code; `::` is one mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    pub text: &'a str,
    pub offset: usize,
}

pub fn tokens(code: &str) -> Vec<Token<'_>> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let end = match bytes[start] {
            byte if byte.is_ascii_whitespace() => start + 1,
            byte if is_word(byte) => end_while(bytes, start, is_word),
            b':' if bytes.get(start + 1) == Some(&b':') => start + 2,
            _ => start + 1,
        };
        if !bytes[start].is_ascii_whitespace() {
            found.push(Token { text: &code[start..end], offset: start });
        }
        start = end;
    }
    found
}

/// The offset behind the bracket that closes the one at `open`; the end of the code when none does.
pub fn end_of_group(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return offset + 1;
        }
    }
    code.len()
}

/// The first `{` or `;` at or behind `start` that stands in no bracket.
pub fn body_or_semicolon(code: &str, start: usize) -> Option<usize> {
    let mut offset = start;
    while let Some(byte) = code.as_bytes().get(offset) {
        match byte {
            b'{' | b';' => return Some(offset),
            b'(' | b'[' => offset = end_of_group(code, offset),
            _ => offset += 1,
        }
    }
    None
}

pub fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset].split(|byte| *byte == b'\n').count()
}

pub const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn end_while(bytes: &[u8], start: usize, holds: fn(u8) -> bool) -> usize {
    bytes[start..].iter().position(|byte| !holds(*byte)).map_or(bytes.len(), |length| start + length)
}

fn blank_comments_and_strings(text: &str) -> (String, Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut contents = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if let Some(end) = end_of_comment(bytes, at) {
            blank(&mut code, at..end);
            at = end;
        } else if let Some((content, end)) = string_at(bytes, at) {
            blank(&mut code, content.clone());
            contents.push(content);
            at = end;
        } else if let Some(end) = end_of_char(text, at) {
            blank(&mut code, at + 1..end - 1);
            at = end;
        } else if is_word(bytes[at]) {
            at = end_while(bytes, at, is_word);
        } else {
            at += 1;
        }
    }
    (utf8(code), contents)
}

fn end_of_comment(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes[at..].starts_with(b"//") {
        return Some(end_while(bytes, at, |byte| byte != b'\n'));
    }
    if !bytes[at..].starts_with(b"/*") {
        return None;
    }
    let (mut depth, mut end) = (1_usize, at + 2);
    while depth > 0 && end < bytes.len() {
        let step = match &bytes[end..] {
            [b'/', b'*', ..] => (1, 2),
            [b'*', b'/', ..] => (-1, 2),
            _ => (0, 1),
        };
        depth = depth.saturating_add_signed(step.0);
        end += step.1;
    }
    Some(end)
}

/// The contents and the end of the string literal that starts at `at`, be it plain, byte, C or raw.
fn string_at(bytes: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    let prefix = bytes[at..].iter().take(2).take_while(|byte| matches!(byte, b'b' | b'c' | b'r')).count();
    let hashes = bytes[at + prefix..].iter().take_while(|byte| **byte == b'#').count();
    let start = at + prefix + hashes + 1;
    let raw = bytes[at..at + prefix].contains(&b'r');
    if bytes.get(start - 1) != Some(&b'"') || (hashes > 0 && !raw) {
        return None;
    }
    let mut end = start;
    while end < bytes.len() {
        match bytes[end] {
            b'\\' if !raw => end += 1,
            b'"' if bytes[end + 1..].iter().take(hashes).filter(|byte| **byte == b'#').count() == hashes => {
                return Some((start..end, end + 1 + hashes));
            }
            _ => {}
        }
        end += 1;
    }
    Some((start..bytes.len(), bytes.len()))
}

/// The end of the character literal at `at`; `None` for a lifetime and for everything else.
fn end_of_char(text: &str, at: usize) -> Option<usize> {
    let inner = text.get(at..)?.strip_prefix('\'')?;
    if let Some(escape) = inner.strip_prefix('\\') {
        let close = escape.char_indices().skip(1).find(|(_, letter)| *letter == '\'')?.0;
        return Some(at + 2 + close + 1);
    }
    let letter = inner.chars().next()?;
    inner[letter.len_utf8()..].starts_with('\'').then(|| at + 2 + letter.len_utf8())
}

/// The items compiled for tests only, attribute included.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for (start, _) in code.match_indices("#[") {
        let end = end_of_group(code, start + 1);
        if items.last().is_some_and(|item| item.contains(&start)) || !is_test_attribute(&code[start + 2..end - 1]) {
            continue;
        }
        items.push(start..end_of_item(code, end));
    }
    items
}

fn is_test_attribute(attribute: &str) -> bool {
    let compact: String = attribute.split_whitespace().collect();
    compact == "test" || compact == "cfg(test)" || compact.starts_with("cfg(all(test,")
}

fn end_of_item(code: &str, attributes_end: usize) -> usize {
    let mut start = attributes_end;
    while let Some(next) = code[start..].trim_start().strip_prefix('#') {
        start = end_of_group(code, code.len() - next.len());
    }
    match body_or_semicolon(code, start) {
        Some(at) if code.as_bytes()[at] == b'{' => end_of_group(code, at),
        Some(at) => at + 1,
        None => code.len(),
    }
}

fn blank(bytes: &mut [u8], range: Range<usize>) {
    for byte in bytes[range].iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("blanking replaces whole characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_characters_are_no_code() {
        let table = [
            ("a // unwrap()\nb", "a            \nb"),
            ("a/*/**/*/b", "a        b"),
            (r#"f("a\"b", 1)"#, r#"f("    ", 1)"#),
            (r##"f(r#"a"b"#)"##, r##"f(r#"   "#)"##),
            (r"f('{', '\'', 'é', b'}')", r"f(' ', '  ', '  ', b' ')"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("number\"text\"", "number\"    \""),
        ];
        for (given, expected) in table {
            assert_eq!(Source::new("x.rs", given).code, expected, "{given}");
        }
    }

    #[test]
    fn test_items_are_not_shipped() {
        let text = "fn a() {}\n#[cfg(test)]\n#[path = \"x\"]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let source = Source::new("x.rs", text);
        assert!(source.shipped.contains("fn a") && source.shipped.contains("fn c"));
        assert!(!source.shipped.contains("fn b") && source.code.contains("fn b"));
        assert_eq!(source.shipped_lines(), 2);
        assert!(!Source::new("x.rs", "#[test]\nfn t() { x }\n").shipped.contains('x'));
        assert!(Source::new("x.rs", "#[cfg(feature)]\nfn t() { x }\n").shipped.contains('x'));
        assert_eq!(Source::new("x.rs", "#[cfg(test)]\nmod tests;\nfn a() {}").shipped.trim(), "fn a() {}");
    }

    #[test]
    fn literals_keep_their_line_and_leave_tests_out() {
        let source = Source::new("x.rs", "\nlet a = \"one\";\n#[test]\nfn t() { \"two\" }\n");
        assert_eq!(source.literals.len(), 1);
        assert_eq!((source.literals[0].line, source.literals[0].text.as_str()), (2, "one"));
    }
}
