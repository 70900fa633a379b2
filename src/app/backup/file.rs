//! The file: header, rows, trailer, each a line of JSON; and the digest over all of it.
//!
//! Why text: a file that is read years later must explain itself. The first line names the format and its number, so
//! that a program that does not know it refuses it by name. The trailer is compared byte for byte with the one that the
//! rest of the file asks for, and nothing may follow it: a file is whole and unaltered, or it is refused.
//! Not here: what the rows say (see `check`).

use std::io::{BufRead, Read, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{BackupError, Counts, Summary};
use crate::store::backup::{Row, Table};

const FORMAT: &str = "idi-match backup";
/// Counts up when an older program could no longer read the file.
const FORMAT_NUMBER: u32 = 1;
/// The longest line that is read: a document of the largest size that can be configured, and its escapes.
const LINE_BYTES_MAX: u64 = 2 << 30;
/// The longest first line: what is no backup at all is not read as one.
const HEADER_BYTES_MAX: u64 = 64 << 10;
const TRAILER_START: &[u8] = b"{\"end\":";

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub format: String,
    pub number: u32,
    /// Version of the program.
    pub program: String,
    /// The newest migration of the store.
    pub schema: String,
    pub created: String,
    pub rows: Counts,
}

/// What of the first line must be understood to refuse the rest.
#[derive(Debug, Deserialize)]
struct Announcement {
    format: String,
    number: u32,
    program: String,
}

#[derive(Debug, Serialize)]
struct Trailer<'a> {
    end: End<'a>,
}

#[derive(Debug, Serialize)]
struct End<'a> {
    rows: &'a Counts,
    sha256: &'a str,
}

impl Header {
    #[must_use]
    pub fn new(schema: String, created: String, rows: Counts) -> Self {
        let program = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT.to_owned(), number: FORMAT_NUMBER, program, schema, created, rows }
    }

    fn summary(self, rows: Counts, bytes: u64, sha256: String) -> Summary {
        Summary { program: self.program, schema: self.schema, created: self.created, rows, bytes, sha256 }
    }
}

fn trailer(rows: &Counts, sha256: &str) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(&Trailer { end: End { rows, sha256 } })?;
    line.push(b'\n');
    Ok(line)
}

fn hex(digest: Sha256) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    digest.finalize().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Counts of no rows at all.
#[must_use]
pub fn no_rows() -> Counts {
    Table::ALL.into_iter().map(|table| (table, 0)).collect()
}

/// A row as its line.
///
/// # Errors
/// None that a row could bring about.
pub fn line_of(row: &Row) -> Result<Vec<u8>, BackupError> {
    let mut line = serde_json::to_vec(row).map_err(std::io::Error::from)?;
    line.push(b'\n');
    Ok(line)
}

/// Writes a file.
pub struct FileWriter<W> {
    out: W,
    header: Header,
    digest: Sha256,
    bytes: u64,
    rows: Counts,
}

impl<W: Write> FileWriter<W> {
    /// # Errors
    /// Those of `out`.
    pub fn begin(out: W, header: Header) -> Result<Self, BackupError> {
        let mut line = serde_json::to_vec(&header).map_err(std::io::Error::from)?;
        line.push(b'\n');
        let mut writer = Self { out, header, digest: Sha256::new(), bytes: 0, rows: no_rows() };
        writer.write(&line)?;
        Ok(writer)
    }

    fn write(&mut self, line: &[u8]) -> Result<(), BackupError> {
        self.digest.update(line);
        self.bytes += line.len() as u64;
        Ok(self.out.write_all(line)?)
    }

    /// # Errors
    /// Those of the file.
    pub fn row(&mut self, row: &Row) -> Result<(), BackupError> {
        *self.rows.entry(row.table()).or_default() += 1;
        self.write(&line_of(row)?)
    }

    /// # Errors
    /// `Refused` when the rows are not those that the header counts; those of the file.
    pub fn end(mut self) -> Result<Summary, BackupError> {
        if self.rows != self.header.rows {
            return Err(BackupError::Refused(format!(
                "the database contradicts itself: it holds rows that belong to nothing ({})",
                difference(&self.header.rows, &self.rows)
            )));
        }
        let sha256 = hex(self.digest);
        let line = trailer(&self.rows, &sha256).map_err(std::io::Error::from)?;
        self.out.write_all(&line)?;
        self.out.flush()?;
        Ok(self.header.summary(self.rows, self.bytes + line.len() as u64, sha256))
    }
}

/// Where two counts differ: `review: 2 and not 3`.
#[must_use]
pub fn difference(expected: &Counts, found: &Counts) -> String {
    let mut parts = Vec::new();
    for table in Table::ALL {
        let (expected, found) = (expected.get(&table).unwrap_or(&0), found.get(&table).unwrap_or(&0));
        if expected != found {
            parts.push(format!("{}: {found} and not {expected}", table.name()));
        }
    }
    parts.join(", ")
}

/// A line of the file and its number.
#[derive(Debug)]
pub struct Line {
    pub number: u64,
    pub text: Vec<u8>,
}

/// What is wrong with the file itself; reading cannot go on.
#[derive(Debug)]
pub struct Damage {
    pub line: u64,
    pub text: String,
}

/// Why reading stopped.
#[derive(Debug)]
pub enum ReadError {
    Damage(Damage),
    /// The file may be good, and this program cannot read it.
    Refused(String),
    Io(std::io::Error),
}

impl From<std::io::Error> for ReadError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a file, a batch of lines at a time.
pub struct FileReader<R> {
    reader: R,
    pub header: Header,
    digest: Sha256,
    bytes: u64,
    line: u64,
    rows: Counts,
    end: Option<String>,
}

impl<R: BufRead> FileReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When it is none that this program can read.
    pub fn begin(mut reader: R) -> Result<Self, ReadError> {
        let line = read_line(&mut reader, HEADER_BYTES_MAX)?;
        let known = |line: &[u8]| serde_json::from_slice::<Announcement>(line).ok().filter(|it| it.format == FORMAT);
        let Some(announcement) = known(&line) else {
            return Err(ReadError::Refused("this is no backup of idi-match".to_owned()));
        };
        if announcement.number > FORMAT_NUMBER {
            return Err(ReadError::Refused(format!(
                "a newer idi-match made this backup (format {}): use version {} or later",
                announcement.number, announcement.program
            )));
        }
        let header = serde_json::from_slice(&line).ok().filter(|_| line.ends_with(b"\n"));
        let header: Header = header.ok_or_else(|| damage(1, "the header is not complete"))?;
        let mut digest = Sha256::new();
        digest.update(&line);
        Ok(Self { reader, header, digest, bytes: line.len() as u64, line: 1, rows: no_rows(), end: None })
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next lines, up to `lines_max` or as many as hold `bytes_max`; none at the end.
    ///
    /// # Errors
    /// When the file is cut short or is not what was written.
    pub fn next_batch(&mut self, lines_max: usize, bytes_max: usize) -> Result<Vec<Line>, ReadError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while self.end.is_none() && batch.len() < lines_max && bytes < bytes_max {
            let text = read_line(&mut self.reader, LINE_BYTES_MAX)?;
            self.line += 1;
            if !text.ends_with(b"\n") {
                let what = if text.is_empty() { "the file is cut short" } else { "the file is cut short in a line" };
                return Err(damage(self.line, what));
            }
            self.bytes += text.len() as u64;
            if text.starts_with(TRAILER_START) {
                self.end(&text)?;
                break;
            }
            self.digest.update(&text);
            bytes += text.len();
            batch.push(Line { number: self.line, text });
        }
        Ok(batch)
    }

    /// Counts a row that was read, for the comparison with the trailer.
    pub fn count(&mut self, table: Table) {
        *self.rows.entry(table).or_default() += 1;
    }

    /// The trailer must be the one that the lines before it ask for; the counts follow in [`Self::finish`].
    fn end(&mut self, text: &[u8]) -> Result<(), ReadError> {
        let sha256 = hex(self.digest.clone());
        let expected = trailer(&self.header.rows, &sha256).map_err(std::io::Error::from)?;
        if text != expected {
            return Err(damage(self.line, "the digest or the counts of the trailer are not those of the file"));
        }
        if !self.reader.fill_buf()?.is_empty() {
            return Err(damage(self.line + 1, "something follows the trailer"));
        }
        self.end = Some(sha256);
        Ok(())
    }

    /// What the file holds, after its last line.
    ///
    /// # Errors
    /// When the counts are not those of the header and the trailer.
    pub fn finish(self) -> Result<Summary, ReadError> {
        let Some(sha256) = self.end else { return Err(damage(self.line, "the file was not read to its end")) };
        // An earlier program knew fewer tables.
        let difference = difference(&self.header.rows, &self.rows);
        if !difference.is_empty() {
            return Err(damage(self.line, &difference));
        }
        Ok(self.header.summary(self.rows, self.bytes, sha256))
    }
}

fn damage(line: u64, text: &str) -> ReadError {
    ReadError::Damage(Damage { line, text: text.to_owned() })
}

fn read_line(reader: &mut impl BufRead, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    let mut line = Vec::new();
    reader.take(bytes_max).read_until(b'\n', &mut line)?;
    Ok(line)
}
