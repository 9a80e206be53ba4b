//! Where lines end, as Java's: `\n`, `\r\n`, or `\r` alone.

use std::ops::Range;

/// The first `limit` complete lines of `buffer` without their ends, and how many bytes they take with them. An incomplete
/// line stays; so does one that ends in a `\r` with nothing after it, since a `\n` may follow.
pub(crate) fn split(buffer: &[u8], limit: usize) -> (Vec<Range<usize>>, usize) {
    let (mut lines, mut start) = (Vec::new(), 0);
    for at in memchr::memchr2_iter(b'\n', b'\r', buffer) {
        if at < start {
            continue; // the second byte of an end
        }
        if lines.len() == limit {
            break;
        }
        let end = match (buffer[at], buffer.get(at + 1)) {
            (b'\r', None) => break,
            (b'\r', Some(b'\n')) => at + 2,
            _ => at + 1,
        };
        lines.push(start..at);
        start = end;
    }
    (lines, start)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn lines_end_as_in_java() {
        let cases: &[(&str, &[&str], usize)] = &[
            ("", &[], 0),
            ("a", &[], 0),
            ("a\nb", &["a"], 2),
            ("a\r\nb\r\n", &["a", "b"], 6),
            ("a\rb\n", &["a", "b"], 4),
            ("a\r", &[], 0),
            ("\n\n", &["", ""], 2),
            ("ä\nö", &["ä"], 3),
        ];
        for (text, expected, taken) in cases {
            let (ranges, bytes) = split(text.as_bytes(), 10);
            let lines: Vec<&str> = ranges.into_iter().map(|range| &text[range]).collect();
            assert_eq!((lines.as_slice(), bytes), (*expected, *taken), "{text:?}");
        }
        assert_eq!(split(b"a\nb\nc\n", 2), (vec![0..1, 2..3], 4));
    }
}
