//! Texts as JSON.

use super::marks::{self, BLOCK};

/// Bytes that are copied at once, whatever is in them: a shorter run is written over from its end on.
const PIECE: usize = 16;

/// Appends a text as JSON.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    let (blocks, rest) = text.as_bytes().as_chunks::<BLOCK>();
    out.reserve(text.len() + text.len() / 4 + 2);
    out.push(b'"');
    for block in blocks {
        match marks::of_block(block) {
            0 => out.extend_from_slice(block),
            marks => write_block(block, marks, out),
        }
    }
    write_short(rest, out);
    out.push(b'"');
}

/// For what is less than a block: texts of some ten bytes take half the time that padding them to a block would.
fn write_short(bytes: &[u8], out: &mut Vec<u8>) {
    let mut start = 0;
    loop {
        let end = plain_until(bytes, start);
        out.extend_from_slice(&bytes[start..end]);
        let Some(special) = bytes.get(end) else { break };
        match letter(*special) {
            Some(letter) => out.extend_from_slice(&[b'\\', letter]),
            None => write_control(*special, out),
        }
        start = end + 1;
    }
}

/// As [`write_short`], for texts that are escaped every few bytes, such as JSON in a text: most of the time goes into the runs
/// between, so each is copied in pieces of one size.
fn write_block(block: &[u8; BLOCK], mut marks: u64, out: &mut Vec<u8>) {
    let mut source = [0; BLOCK + PIECE];
    source[..BLOCK].copy_from_slice(block);
    let mut written = [0; 2 * BLOCK + PIECE];
    let (mut from, mut to) = (0, 0);
    loop {
        let end = if marks == 0 { BLOCK } else { marks.trailing_zeros() as usize };
        while from < end {
            let piece = (written[to..].first_chunk_mut::<PIECE>(), source[from..].first_chunk::<PIECE>());
            if let (Some(to), Some(from)) = piece {
                *to = *from;
            }
            let copied = PIECE.min(end - from);
            (from, to) = (from + copied, to + copied);
        }
        if marks == 0 {
            break;
        }
        match letter(block[end]) {
            Some(letter) => {
                (written[to], written[to + 1]) = (b'\\', letter);
                to += 2;
            }
            None => {
                out.extend_from_slice(&written[..to]);
                write_control(block[end], out);
                to = 0;
            }
        }
        from = end + 1;
        marks &= marks - 1;
    }
    out.extend_from_slice(&written[..to]);
}

/// What stands behind the backslash for a byte that has a short escape.
#[inline]
fn letter(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        0x08 => Some(b'b'),
        0x0c => Some(b'f'),
        _ => None,
    }
}

fn write_control(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
}

/// The first byte from `at` on that ends a run of plain text: a quote, a backslash, a control character, or the end.
#[inline]
fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // Eight at a time: of each byte, the highest bit says whether it is one of them. Only bytes after a hit can be
    // marked wrongly, so the first mark is right.
    while let Some(Ok(eight)) = bytes.get(at..at + 8).map(<[u8; 8]>::try_from) {
        let word = u64::from_le_bytes(eight);
        let below_space = word.wrapping_sub(ONES * 0x20) & !word;
        let is = |byte: u8| {
            let differs = word ^ (ONES * u64::from(byte));
            differs.wrapping_sub(ONES) & !differs
        };
        let marks = (below_space | is(b'"') | is(b'\\')) & HIGHS;
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_are_escaped_as_serde_json_does(
            pieces in prop::collection::vec(
                prop_oneof![2 => Just("\"".to_owned()), 1 => any::<char>().prop_map(String::from), 1 => "[ -~]{1,90}", 1 => "[\\x00-\\x1f\\\\]{1,9}"],
                0..90,
            ),
        ) {
            let text = pieces.concat();
            let mut written = b"before".to_vec();
            write_text(&text, &mut written);
            prop_assert_eq!(&written[..6], b"before");
            prop_assert_eq!(String::from_utf8_lossy(&written[6..]), serde_json::to_string(&text).unwrap());
        }
    }
}
