#![allow(clippy::unwrap_used)] // a test fails by panicking

use super::*;

/// What MongoDB's Java driver 5.6.2 prints: BSON in hex, then strict, extended, the peer's simplified, relaxed.
const GOLDEN: &str = include_str!("golden.tsv");

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn every_type_is_printed_as_the_java_driver_does() {
    let mut compared = 0;
    for line in GOLDEN.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let bytes = unhex(fields[0]);
        for (mode, expected) in [
            (Mode::Strict, fields[1]),
            (Mode::Extended, fields[2]),
            (Mode::Simplified, fields[3]),
            (Mode::Relaxed, fields[4]),
        ] {
            let mut out = Vec::new();
            document(mode, &bytes, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{mode:?} of {}", fields[0]);
            compared += 1;
        }
    }
    assert!(compared > 400, "{compared}");
}

#[test]
fn what_is_cut_or_torn_is_an_error_and_no_panic() {
    for line in GOLDEN.lines() {
        let bytes = unhex(line.split('\t').next().unwrap());
        for end in 0..bytes.len() {
            let mut out = Vec::new();
            assert!(document(Mode::Extended, &bytes[..end], &mut out).is_err());
        }
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut torn = bytes.clone();
                torn[at] = value;
                let mut out = Vec::new();
                let _ = document(Mode::Strict, &torn, &mut out);
            }
        }
    }
}

#[test]
fn nesting_has_an_end() {
    let mut nested = vec![5, 0, 0, 0, 0];
    for _ in 0..MAX_DEPTH + 2 {
        let length = i32::try_from(nested.len() + 8).unwrap();
        let mut outer = length.to_le_bytes().to_vec();
        outer.extend([kind::DOCUMENT, b'a', 0]);
        outer.extend(&nested);
        outer.push(0);
        nested = outer;
    }
    assert!(document(Mode::Strict, &nested, &mut Vec::new()).is_err());
}
