//! The chain of seals over audit rows: what a seal is made of, how it is made, and how a chain is walked.
//!
//! A seal covers the rows that were added since the one before, and that one's digest, so nothing before a known seal can
//! change unseen. Rows are never touched. Numbers of rows are given before their transactions are committed, so a row may
//! appear behind a seal that has passed its number: each seal says which numbers it has missed, and a later one covers
//! the rows that came late. With a key, each digest has an HMAC too. The texts that are hashed are part of the format
//! (`docs/audit.md`). Not here: reading rows, time, keeping seals.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Row;

/// The `previous` of the first seal.
pub const NO_DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// How long a missed number is expected: no transaction that writes audit rows can be open for so long.
pub const LATE_US_MAX: i64 = 600_000_000;

/// One link of the chain. The names are those of backups and exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    pub number: i64,
    /// Of the seal before.
    pub previous: String,
    pub first_seq: i64,
    pub last_seq: i64,
    pub row_count: i64,
    pub missing: Numbers,
    pub late: Numbers,
    pub rows_sha256: String,
    pub sealed_us: i64,
    pub digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// What a seal is made for: where the chain ends, and what has come since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    pub number: i64,
    pub digest: String,
    pub last_seq: i64,
}

impl Tail {
    /// Of a chain without a seal.
    #[must_use]
    pub fn none() -> Self {
        Self { number: 0, digest: NO_DIGEST.to_owned(), last_seq: 0 }
    }

    #[must_use]
    pub fn of(seal: &Seal) -> Self {
        Self { number: seal.number, digest: seal.digest.clone(), last_seq: seal.last_seq }
    }
}

impl Seal {
    /// The next seal: `late` rows first, then `rows`, each in order. `None` when there is nothing to seal.
    #[must_use]
    pub fn next(tail: &Tail, late: &[Row<'_>], rows: &[Row<'_>], now_us: i64, key: Option<&SealKey>) -> Option<Self> {
        if late.is_empty() && rows.is_empty() {
            return None;
        }
        let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
        let last_seq = seqs.last().copied().unwrap_or(tail.last_seq);
        let mut digest = RowsDigest::default();
        late.iter().chain(rows).for_each(|row| digest.add(row));
        let mut seal = Self {
            number: tail.number + 1,
            previous: tail.digest.clone(),
            first_seq: tail.last_seq + 1,
            last_seq,
            row_count: digest.rows,
            missing: Numbers::missing(tail.last_seq + 1, &seqs),
            late: Numbers::of(&late.iter().map(|row| row.seq).collect::<Vec<_>>()),
            rows_sha256: digest.finish(),
            sealed_us: now_us,
            digest: String::new(),
            key_id: key.map(SealKey::id),
            mac: None,
        };
        seal.digest = seal.own_digest();
        seal.mac = key.map(|key| key.mac(&seal.digest));
        Some(seal)
    }

    /// SHA-256 of the lines that a seal says.
    pub(super) fn own_digest(&self) -> String {
        let lines = [
            "idi-match audit seal 1",
            &self.number.to_string(),
            &self.previous,
            &self.first_seq.to_string(),
            &self.last_seq.to_string(),
            &self.row_count.to_string(),
            &self.missing.to_string(),
            &self.late.to_string(),
            &self.rows_sha256,
            &self.sealed_us.to_string(),
            self.key_id.as_deref().unwrap_or_default(),
        ];
        sha256(lines.iter().flat_map(|line| [line.as_bytes(), b"\n"]))
    }
}

/// Numbers in ascending order, as ranges: `7,9-12`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Numbers(Vec<(i64, i64)>);

impl Numbers {
    /// Of ascending numbers.
    #[must_use]
    pub fn of(numbers: &[i64]) -> Self {
        let mut ranges: Vec<(i64, i64)> = Vec::new();
        for number in numbers {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == *number => *last = *number,
                _ => ranges.push((*number, *number)),
            }
        }
        Self(ranges)
    }

    /// What ascending numbers leave out from `first` to their last.
    #[must_use]
    pub fn missing(first: i64, numbers: &[i64]) -> Self {
        let (mut ranges, mut next) = (Vec::new(), first);
        for number in numbers {
            if *number > next {
                ranges.push((next, *number - 1));
            }
            next = *number + 1;
        }
        Self(ranges)
    }

    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut ranges = Vec::new();
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.parse().map_err(|_| NO_NUMBERS)?, last.parse().map_err(|_| NO_NUMBERS)?);
            let follows = ranges.last().is_none_or(|(_, before): &(i64, i64)| *before < first);
            if first > last || !follows {
                return Err(NO_NUMBERS);
            }
            ranges.push((first, last));
        }
        Ok(Self(ranges))
    }

    #[must_use]
    pub fn contains(&self, number: i64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after.checked_sub(1).is_some_and(|at| number <= self.0[at].1)
    }

    #[must_use]
    pub fn ranges(&self) -> &[(i64, i64)] {
        &self.0
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each number; ask it only of what lists rows.
    pub fn each(&self) -> impl Iterator<Item = i64> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// How many numbers there are.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }
}

const NO_NUMBERS: &str = "not a list of ascending numbers";

impl std::fmt::Display for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (first, last)) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            if first == last { write!(f, "{first}")? } else { write!(f, "{first}-{last}")? }
        }
        Ok(())
    }
}

impl TryFrom<String> for Numbers {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Numbers> for String {
    fn from(numbers: Numbers) -> Self {
        numbers.to_string()
    }
}

/// The key of the HMACs: derived from a secret, so that the secret can have other uses.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

impl SealKey {
    /// From the bytes of a secret.
    #[must_use]
    pub fn derive(secret: &[u8]) -> Self {
        Self(hmac(secret, b"idi-match audit seal key 1"))
    }

    /// What the key is called in seals; it tells nothing of the key.
    #[must_use]
    pub fn id(&self) -> String {
        hex(&hmac(&self.0, b"idi-match audit seal key id 1")[..8])
    }

    fn mac(&self, digest: &str) -> String {
        hex(&hmac(&self.0, digest.as_bytes()))
    }
}

/// Shows nothing.
impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(***)")
    }
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
    let tag = sign(&Key::new(HMAC_SHA256, key), message);
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(tag.as_ref()).for_each(|(byte, of_tag)| *byte = *of_tag);
    bytes
}

fn sha256<'t>(parts: impl IntoIterator<Item = &'t [u8]>) -> String {
    let mut digest = Sha256::new();
    parts.into_iter().for_each(|part| digest.update(part));
    hex(&digest.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 of the lines of rows.
#[derive(Default)]
pub(super) struct RowsDigest {
    pub(super) rows: i64,
    digest: Sha256,
}

impl RowsDigest {
    pub(super) fn add(&mut self, row: &Row<'_>) {
        self.rows += 1;
        self.digest.update(row.line());
        self.digest.update(b"\n");
    }

    pub(super) fn finish(self) -> String {
        hex(&self.digest.finalize())
    }
}

impl Seal {
    /// What of this seal is not what it should be behind `tail`; its rows apart.
    pub(super) fn judge(&self, tail: &Tail) -> Result<(), Flaw> {
        if self.number != tail.number + 1 {
            return Err(Flaw::SealsMissing);
        }
        if self.previous != tail.digest || self.first_seq != tail.last_seq + 1 || self.digest != self.own_digest() {
            return Err(Flaw::SealChanged);
        }
        let is_within = |(first, last): &(i64, i64)| *first >= self.first_seq && *last <= self.last_seq;
        let is_before = |(_, last): &(i64, i64)| *last < self.first_seq;
        let is_whole = self.last_seq >= tail.last_seq
            && self.missing.ranges().iter().all(is_within)
            && self.late.ranges().iter().all(is_before);
        if is_whole { Ok(()) } else { Err(Flaw::SealChanged) }
    }

    /// Whether the HMAC is one of these keys'.
    pub(super) fn judge_mac(&self, keys: &[SealKey]) -> Keyed {
        let (Some(key_id), Some(mac)) = (&self.key_id, &self.mac) else {
            return if self.key_id.is_none() && self.mac.is_none() { Keyed::Without } else { Keyed::Wrong };
        };
        let Some(key) = keys.iter().find(|key| key.id() == *key_id) else { return Keyed::Unknown };
        if key.mac(&self.digest) == *mac { Keyed::Good } else { Keyed::Wrong }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyed {
    Without,
    /// By a key that is not given.
    Unknown,
    Good,
    Wrong,
}

/// What is wrong at a place of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// As many rows as were sealed, and not the same.
    RowsChanged,
    /// Fewer rows than were sealed.
    RowsRemoved,
    /// Rows that no seal covers, where seals have passed.
    RowsInserted,
    /// A seal is not as it was written, or the one before it is not.
    SealChanged,
    /// Seals are missing before this one.
    SealsMissing,
    /// Of a key that was not given.
    UnknownKey,
    /// Without HMAC, behind one that has it, or though a key was given.
    WithoutKey,
    /// The seal that was written down elsewhere is another one, or is not there.
    AnchorMissed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_ranges_and_read_again() {
        for (numbers, text) in [(&[][..], ""), (&[7], "7"), (&[7, 8], "7-8"), (&[1, 2, 3, 5, 9, 10], "1-3,5,9-10")] {
            let ranges = Numbers::of(numbers);
            assert_eq!(ranges.to_string(), text);
            assert_eq!(Numbers::parse(text), Ok(ranges.clone()));
            assert_eq!(ranges.each().collect::<Vec<_>>(), numbers);
            assert_eq!(ranges.count(), numbers.len() as i64);
            assert!((0..12).all(|number| ranges.contains(number) == numbers.contains(&number)), "{text}");
        }
        for text in [",", "a", "3-1", "5,4", "1-3,3", "-1", "1,", "1--2"] {
            assert!(Numbers::parse(text).is_err(), "{text}");
        }
        assert_eq!(Numbers::missing(3, &[5, 6, 9]).to_string(), "3-4,7-8");
        assert!(Numbers::missing(3, &[3, 4]).is_empty());
    }

    #[test]
    fn what_is_hashed_is_part_of_the_format() {
        let row = Row {
            seq: 3,
            at_us: 4,
            request_id: "r\"1",
            action: "read",
            outcome: "success",
            caller: "open",
            resource_type: None,
            detail: r#"{"status":200,"records":["ü"]}"#,
        };
        let line = r#"[3,4,"r\"1","read","success","open",null,"{\"status\":200,\"records\":[\"ü\"]}"]"#;
        assert_eq!(row.line(), line);
        let key = SealKey::derive(b"a secret");
        let seal = Seal::next(&Tail::none(), &[], &[row], 5, Some(&key)).expect("a seal");
        assert_eq!(seal.rows_sha256, sha256([line.as_bytes(), b"\n"]));
        let text =
            format!("idi-match audit seal 1\n1\n{NO_DIGEST}\n1\n3\n1\n1-2\n\n{}\n5\n{}\n", seal.rows_sha256, key.id());
        assert_eq!(seal.digest, sha256([text.as_bytes()]));
        assert_eq!((seal.missing.to_string().as_str(), seal.key_id), ("1-2", Some(key.id())));
        assert!(!format!("{key:?}").contains(&key.id()) && key.id() != SealKey::derive(b"another").id());
        assert_eq!(Seal::next(&Tail::none(), &[], &[], 5, None), None);
    }
}
