//! Texts as they are indexed and looked for: bounded, and without the character that PostgreSQL cannot hold.
//!
//! Not here: folding of case and accents (see `fhir::fold`).

use std::borrow::Cow;

/// Longer search texts are cut: an index entry has a limit on PostgreSQL.
const KEY_BYTES_MAX: usize = 400;

/// A name as it is indexed and looked for: its beginning, without the character that PostgreSQL cannot hold.
pub(in crate::store) fn name_key(text: &str) -> Cow<'_, str> {
    let text = without_nul(text);
    if text.len() <= KEY_BYTES_MAX {
        return text;
    }
    Cow::Owned(text[..text.floor_char_boundary(KEY_BYTES_MAX)].to_owned())
}

/// A token part as it is indexed and looked for. A long one keeps its beginning and a hash of the whole, so that two
/// of them are equal only when the whole is.
pub(in crate::store) fn token_key(text: &str) -> Cow<'_, str> {
    let text = without_nul(text);
    if text.len() <= KEY_BYTES_MAX {
        return text;
    }
    let start = &text[..text.floor_char_boundary(KEY_BYTES_MAX - 33)];
    Cow::Owned(format!("{start}#{:032x}", fnv1a(text.as_bytes())))
}

fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "")) } else { Cow::Borrowed(text) }
}

/// The 128-bit FNV-1a hash: stable over versions and machines, which the standard library's is not.
fn fnv1a(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_keys_stay_as_they_are() {
        for text in ["", "smith", "http://hl7.org/fhir/sid/us-mbi", "müller"] {
            assert_eq!(name_key(text), text);
            assert_eq!(token_key(text), text);
        }
        assert_eq!(name_key("a\0b"), "ab");
        assert_eq!(token_key("a\0b"), "ab");
    }

    #[test]
    fn long_keys_are_bounded_and_long_tokens_stay_different() {
        let (one, other) = (format!("{}1", "é".repeat(900)), format!("{}2", "é".repeat(900)));
        assert!(token_key(&one).len() <= KEY_BYTES_MAX && name_key(&one).len() <= KEY_BYTES_MAX);
        assert_ne!(token_key(&one), token_key(&other));
        assert_eq!(name_key(&one), name_key(&other));
        assert!(one.starts_with(&*name_key(&one)));
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv1a(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }
}
