//! The `traceparent` of a caller (W3C Trace Context, section 3.2).
//!
//! Not here: `tracestate`, which nobody behind this server needs.

/// Whose trace a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parent {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub is_sampled: bool,
}

/// Reads the header; what is not of the form begins a trace anew, as the specification wants.
pub(super) fn parse(text: &str) -> Option<Parent> {
    let mut parts = text.split('-');
    let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let [version] = bytes::<1>(version)?;
    // A later version may have more; version 0 has not, and 255 is none.
    if version == 0xff || (version == 0 && parts.next().is_some()) {
        return None;
    }
    let (trace_id, span_id, [flags]) = (bytes::<16>(trace_id)?, bytes::<8>(span_id)?, bytes::<1>(flags)?);
    let is_zero = |id: &[u8]| id.iter().all(|byte| *byte == 0);
    let is_valid = !is_zero(&trace_id) && !is_zero(&span_id);
    is_valid.then_some(Parent { trace_id, span_id, is_sampled: flags & 1 == 1 })
}

/// Two small hexadecimal digits a byte.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |letter: u8| match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().as_chunks::<2>();
    let read = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    let all: Option<Vec<u8>> = pairs.0.iter().map(read).collect();
    if pairs.1.is_empty() { all?.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_parent_is_read_in_its_one_form() {
        let sampled = parse(&format!("00-{TRACE}-00f067aa0ba902b7-01")).expect("valid");
        assert_eq!((sampled.trace_id[0], sampled.span_id[7], sampled.is_sampled), (0x4b, 0xb7, true));
        assert!(!parse(&format!("00-{TRACE}-00f067aa0ba902b7-00")).expect("valid").is_sampled);
        assert!(parse(&format!("cc-{TRACE}-00f067aa0ba902b7-01-what-comes-later")).is_some());
        let table = [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}a-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-00f067aa0ba902b7-é"),
        ];
        for text in table {
            assert_eq!(parse(&text), None, "{text}");
        }
    }
}
