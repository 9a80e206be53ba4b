//! JSON without schemas.

use super::{Sample, both, sample, value, with_headers};

const FULL: &str = r#"{"id":7,"name":"Ada","price":12.5,"active":true,"ts":1700000000123,"day":"2023-11-14 22:13:20",
    "text":"42","tags":["a","b"],"nested":{"city":"Basel","zip":4001,"geo":{"lat":47.5}},"nothing":null,"big":9223372036854775807}"#;

/// Headers that some of the records have: repeated names, and no value.
const HEADERS: &[(&str, Option<&[u8]>)] = &[("a", Some(b"1")), ("b", Some(b"text")), ("a", Some(b"2.5")), ("c", None)];

pub(crate) fn plain() -> Vec<Sample> {
    vec![
        with_headers(both("full", FULL.as_bytes()), HEADERS),
        both(
            "unicode",
            r#"{"id":8,"name":"Zoë 😀 漢字","text":"\u00e9\n\"\\\/\u0000\ud83d\ude00","ключ":"v","nested":{"city":"Zürich"}}"#
                .as_bytes(),
        ),
        both("sparse", br#"{"id":-1}"#),
        with_headers(both("empty", b"{}"), HEADERS),
        both(
            "limits",
            br#"{"id":-9223372036854775808,"price":-0.5,"ts":-1,"text":"-17","big":-1,"active":false,"name":""}"#,
        ),
        both(
            "floats",
            br#"{"id":1.5,"price":1e300,"ts":1.7e12,"text":"1.5e3","big":3.4028235e38,"active":0,"name":"NaN"}"#,
        ),
        both(
            "wrong",
            br#"{"id":"x","name":{"first":"A"},"ts":"soon","nested":7,"price":"cheap","active":"yes","day":5,"text":[],"tags":{}}"#,
        ),
        both(
            "numeric-text",
            br#"{"id":"300","name":"true","ts":"1700000000123","price":"0x10","active":"TRUE","text":" 5","big":"+9","day":"2024-02-29 23:59:59"}"#,
        ),
        both("repeated", br#"{"id":1,"name":"once","id":2,"name":"twice"}"#),
        both("deep", br#"{"id":1,"nested":{"geo":{"a":{"b":{"c":[{"d":null}]}}},"list":[[1,2],[]],"empty":{}}}"#),
        both(
            "nulls",
            br#"{"id":null,"name":null,"price":null,"active":null,"ts":null,"day":null,"text":null,"tags":null,"nested":null}"#,
        ),
        both("dotted", br#"{"nested.city":"flat","nested":{"city":"deep","a.b":1},"a.b":{"c":1},"id":3}"#),
        both("json-null", b"null"),
        both("integer", b"5"),
        both("float", b"1.5"),
        both("text", br#""text""#),
        both("time-text", br#""2023-11-14 22:13:20""#),
        both("millis", b"1700000000123"),
        both("true", b"true"),
        both("list", br#"[1,"a",null,{"id":1}]"#),
        sample("no-key", None, Some(FULL.as_bytes())),
        with_headers(sample("tombstone", Some(FULL.as_bytes()), None), HEADERS),
        sample("nothing", None, None),
        both("no-bytes", b""),
    ]
}

/// Numbers, texts, and what a lenient reader might take for JSON.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn syntax() -> Vec<Sample> {
    let deep = |levels: usize| [vec![b'['; levels], vec![b']'; levels]].concat();
    let mut samples = vec![
        value("int64-max", b"9223372036854775807"),
        value("int64-min", b"-9223372036854775808"),
        value("beyond-int64", b"9223372036854775808"),
        value("uint64-max", b"18446744073709551615"),
        value("thirty-digits", b"123456789012345678901234567890"),
        value("member-beyond-int64", br#"{"n":18446744073709551615,"m":[-9223372036854775809]}"#),
        value("minus-zero", b"-0.0"),
        value("minus-zero-integer", b"-0"),
        value("member-minus-zero", br#"{"n":-0.0,"m":-0}"#),
        value("double-max", b"1.7976931348623157e308"),
        value("beyond-double", b"1e400"),
        value("member-beyond-double", br#"{"n":-1e400}"#),
        value("double-min", b"4.9e-324"),
        value("below-double", b"1e-400"),
        value("long-fraction", b"0.1234567890123456789012345678901234567890"),
        value("exponent-integer", b"1e3"),
        value("exponent-capital", b"1E+3"),
        value("fraction-zero", b"100.0"),
        value("leading-zeros", b"007"),
        value("plus", b"+1"),
        value("dot-first", b".5"),
        value("dot-last", b"5."),
        value("nan", b"NaN"),
        value("infinity", b"Infinity"),
        value("hexadecimal", b"0x10"),
        value("escapes", br#""\u0041\ud83d\ude00\b\f\n\r\t\"\\\/""#),
        value("lone-surrogate", br#""\ud800""#),
        value("lone-surrogate-key", br#"{"\udc00":1}"#),
        value("zero-character", br#""a\u0000b""#),
        value("control-character", b"\"a\x01b\""),
        value("tabulator", b"\"a\tb\""),
        value("delete-character", b"\"\x7f\""),
        value("non-characters", "\"\u{ffff}\u{fdd0}\u{10ffff}\"".as_bytes()),
        value("invalid-utf8", b"\"\xff\""),
        value("overlong-utf8", b"\"\xc0\x80\""),
        value("surrogate-utf8", b"\"\xed\xa0\x80\""),
        value("cut-utf8", b"\"\xc3"),
        value("latin1", b"\"\xe9\""),
        value("byte-order-mark", b"\xef\xbb\xbf{\"a\":1}"),
        value("utf16", b"\xff\xfe{\0}\0"),
        value("utf16-no-mark", b"\0{\0}"),
        value("blank", b"   "),
        value("line-end", b"\n"),
        value("around", b" \t\r\n{ \"a\" : 1 }\n "),
        value("no-break-space", "\u{a0}1".as_bytes()),
        value("two-values", b"{} {}"),
        value("trailing-text", b"{\"a\":1}x"),
        value("trailing-comma", br#"{"a":1,}"#),
        value("trailing-comma-list", b"[1,]"),
        value("comment", b"{/* c */}"),
        value("single-quotes", b"{'a':1}"),
        value("bare-name", b"{a:1}"),
        value("capital-true", b"True"),
        value("cut", br#"{"a":"#),
        value("closed-twice", b"}"),
        value("wrong-bracket", b"[1}"),
        value("bad-escape", br#""\x41""#),
        value("short-escape", br#""\u12""#),
        value("repeated-names", br#"{"a":1,"b":2,"a":{"c":3}}"#),
        value("repeated-escaped-names", br#"{"a":1,"\u0061":2}"#),
        value("empty-name", br#"{"":1}"#),
        value("levels-100", &deep(100)),
        value("levels-128", &deep(128)),
        value("levels-129", &deep(129)),
        value("levels-999", &deep(999)),
        value("levels-1001", &deep(1001)),
    ];
    samples.push(value("long-text", format!("\"{}\"", "é".repeat(70_000)).as_bytes()));
    samples.push(value("long-number", format!("1{}", "0".repeat(900)).as_bytes()));
    samples.push(value("very-long-number", format!("1{}", "0".repeat(1100)).as_bytes()));
    samples
}
