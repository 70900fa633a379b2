//! Ids of records and identities in 24 bytes: UUIDs as numbers, short texts in place, anything else on the heap.

use std::fmt;

const INLINE_BYTES_MAX: usize = 22;

/// A text id, kept small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompactId {
    /// A UUID in its canonical lower-case form.
    Uuid([u8; 16]),
    Inline {
        len: u8,
        bytes: [u8; INLINE_BYTES_MAX],
    },
    Heap(Box<str>),
}

impl CompactId {
    #[must_use]
    pub fn new(text: &str) -> Self {
        if let Some(uuid) = parse_uuid(text) {
            return Self::Uuid(uuid);
        }
        match u8::try_from(text.len()) {
            Ok(len) if text.len() <= INLINE_BYTES_MAX => {
                let mut bytes = [0; INLINE_BYTES_MAX];
                bytes[..text.len()].copy_from_slice(text.as_bytes());
                Self::Inline { len, bytes }
            }
            _ => Self::Heap(text.into()),
        }
    }

    /// A stable hash; equal ids have equal hashes.
    #[must_use]
    pub fn hash(&self) -> u64 {
        match self {
            Self::Uuid(bytes) => super::dictionary::hash(bytes),
            Self::Inline { len, bytes } => super::dictionary::hash(&bytes[..usize::from(*len)]),
            Self::Heap(text) => super::dictionary::hash(text.as_bytes()),
        }
    }

    /// Memory held outside the value itself (bytes).
    #[must_use]
    pub const fn bytes(&self) -> usize {
        if let Self::Heap(text) = self { text.len() } else { 0 }
    }
}

impl fmt::Display for CompactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(bytes) => {
                for (at, byte) in bytes.iter().enumerate() {
                    if matches!(at, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
            Self::Inline { len, bytes } => {
                f.write_str(std::str::from_utf8(&bytes[..usize::from(*len)]).unwrap_or_default())
            }
            Self::Heap(text) => f.write_str(text),
        }
    }
}

/// The 16 bytes of a UUID written in its canonical lower-case form, so that writing them gives the same text.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let text = text.as_bytes();
    if text.len() != 36 || [8, 13, 18, 23].iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let mut digits =
        text.iter().enumerate().filter(|(at, _)| ![8, 13, 18, 23].contains(at)).map(|(_, digit)| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        });
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        *byte = digits.next()?? << 4 | digits.next()??;
    }
    Some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_reads_as_it_was_written() {
        assert!(size_of::<CompactId>() <= 24);
        for text in [
            "",
            "p000000001",
            "0123456789012345678901",
            "01234567890123456789012",
            "0a1b2c3d-0000-4000-8000-00aa11bb22cc",
            "0A1B2C3D-0000-4000-8000-00AA11BB22CC",
            "0a1b2c3d-0000-4000-8000-00aa11bb22cg",
            "é",
        ] {
            assert_eq!(CompactId::new(text).to_string(), text);
            assert_eq!(CompactId::new(text), CompactId::new(text));
        }
        assert!(matches!(CompactId::new("0a1b2c3d-0000-4000-8000-00aa11bb22cc"), CompactId::Uuid(_)));
    }
}
