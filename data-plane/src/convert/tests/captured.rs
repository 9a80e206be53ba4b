//! Tables of what Kafka Connect 4.3's converters do, captured by running them.

use super::*;

/// Hexadecimal digits as bytes.
fn bytes_of(hex: &str) -> Bytes {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Encoding, bytes, the UTF-16 units of the text.
#[rustfmt::skip]
const TEXTS: &[(&str, &str, &str)] = &[
    ("UTF-8", "eda080", "fffd"),
    ("UTF-8", "61ff62", "0061 fffd 0062"),
    ("UTF-8", "e08080", "fffd fffd fffd"),
    ("UTF-8", "f09f98", "fffd"),
    ("UTF-8", "e282", "fffd"),
    ("UTF-8", "f4908080", "fffd fffd fffd fffd"),
    ("UTF-8", "c080", "fffd fffd"),
    ("UTF-8", "feff0061", "fffd fffd 0000 0061"),
    ("UTF-8", "fffe6100", "fffd fffd 0061 0000"),
    ("UTF-8", "006162", "0000 0061 0062"),
    ("UTF-8", "d8000061", "fffd 0000 0000 0061"),
    ("UTF-8", "e9", "fffd"),
    ("UTF-8", "d83dde000041", "fffd 003d fffd 0000 0000 0041"),
    ("UTF-8", "d83d", "fffd 003d"),
    ("US-ASCII", "eda080", "fffd fffd fffd"),
    ("US-ASCII", "61ff62", "0061 fffd 0062"),
    ("US-ASCII", "e08080", "fffd fffd fffd"),
    ("US-ASCII", "f09f98", "fffd fffd fffd"),
    ("US-ASCII", "e282", "fffd fffd"),
    ("US-ASCII", "f4908080", "fffd fffd fffd fffd"),
    ("US-ASCII", "c080", "fffd fffd"),
    ("US-ASCII", "feff0061", "fffd fffd 0000 0061"),
    ("US-ASCII", "fffe6100", "fffd fffd 0061 0000"),
    ("US-ASCII", "006162", "0000 0061 0062"),
    ("US-ASCII", "d8000061", "fffd 0000 0000 0061"),
    ("US-ASCII", "e9", "fffd"),
    ("US-ASCII", "d83dde000041", "fffd 003d fffd 0000 0000 0041"),
    ("US-ASCII", "d83d", "fffd 003d"),
    ("ISO-8859-1", "eda080", "00ed 00a0 0080"),
    ("ISO-8859-1", "61ff62", "0061 00ff 0062"),
    ("ISO-8859-1", "e08080", "00e0 0080 0080"),
    ("ISO-8859-1", "f09f98", "00f0 009f 0098"),
    ("ISO-8859-1", "e282", "00e2 0082"),
    ("ISO-8859-1", "f4908080", "00f4 0090 0080 0080"),
    ("ISO-8859-1", "c080", "00c0 0080"),
    ("ISO-8859-1", "feff0061", "00fe 00ff 0000 0061"),
    ("ISO-8859-1", "fffe6100", "00ff 00fe 0061 0000"),
    ("ISO-8859-1", "006162", "0000 0061 0062"),
    ("ISO-8859-1", "d8000061", "00d8 0000 0000 0061"),
    ("ISO-8859-1", "e9", "00e9"),
    ("ISO-8859-1", "d83dde000041", "00d8 003d 00de 0000 0000 0041"),
    ("ISO-8859-1", "d83d", "00d8 003d"),
    ("UTF-16", "eda080", "eda0 fffd"),
    ("UTF-16", "61ff62", "61ff fffd"),
    ("UTF-16", "e08080", "e080 fffd"),
    ("UTF-16", "f09f98", "f09f fffd"),
    ("UTF-16", "e282", "e282"),
    ("UTF-16", "f4908080", "f490 8080"),
    ("UTF-16", "c080", "c080"),
    ("UTF-16", "feff0061", "0061"),
    ("UTF-16", "fffe6100", "0061"),
    ("UTF-16", "006162", "0061 fffd"),
    ("UTF-16", "d8000061", "fffd"),
    ("UTF-16", "e9", "fffd"),
    ("UTF-16", "d83dde000041", "d83d de00 0041"),
    ("UTF-16", "d83d", "fffd"),
    ("UTF-16BE", "eda080", "eda0 fffd"),
    ("UTF-16BE", "61ff62", "61ff fffd"),
    ("UTF-16BE", "e08080", "e080 fffd"),
    ("UTF-16BE", "f09f98", "f09f fffd"),
    ("UTF-16BE", "e282", "e282"),
    ("UTF-16BE", "f4908080", "f490 8080"),
    ("UTF-16BE", "c080", "c080"),
    ("UTF-16BE", "feff0061", "feff 0061"),
    ("UTF-16BE", "fffe6100", "fffe 6100"),
    ("UTF-16BE", "006162", "0061 fffd"),
    ("UTF-16BE", "d8000061", "fffd"),
    ("UTF-16BE", "e9", "fffd"),
    ("UTF-16BE", "d83dde000041", "d83d de00 0041"),
    ("UTF-16BE", "d83d", "fffd"),
    ("UTF-16LE", "eda080", "a0ed fffd"),
    ("UTF-16LE", "61ff62", "ff61 fffd"),
    ("UTF-16LE", "e08080", "80e0 fffd"),
    ("UTF-16LE", "f09f98", "9ff0 fffd"),
    ("UTF-16LE", "e282", "82e2"),
    ("UTF-16LE", "f4908080", "90f4 8080"),
    ("UTF-16LE", "c080", "80c0"),
    ("UTF-16LE", "feff0061", "fffe 6100"),
    ("UTF-16LE", "fffe6100", "feff 0061"),
    ("UTF-16LE", "006162", "6100 fffd"),
    ("UTF-16LE", "d8000061", "00d8 6100"),
    ("UTF-16LE", "e9", "fffd"),
    ("UTF-16LE", "d83dde000041", "3dd8 00de 4100"),
    ("UTF-16LE", "d83d", "3dd8"),
];

#[test]
fn text_is_decoded_in_every_character_set_as_in_java() {
    for (encoding, bytes, expected) in TEXTS {
        let text = make("string", &[("converter.encoding", encoding)]);
        let Value::Str(found) = text.decode("", &[Some(bytes_of(bytes))]).remove(0).unwrap().value() else {
            panic!("no text")
        };
        let units: Vec<String> = found.encode_utf16().map(|unit| format!("{unit:04x}")).collect();
        assert_eq!(units.join(" "), *expected, "{encoding} {bytes}");
    }
    for (encoding, expected) in [
        ("UTF-8", "61c3a9e282acf09f9880"),
        ("US-ASCII", "613f3f3f"),
        ("ISO-8859-1", "61e93f3f"),
        ("UTF-16", "feff006100e920acd83dde00"),
        ("UTF-16BE", "006100e920acd83dde00"),
        ("UTF-16LE", "6100e900ac203dd800de"),
    ] {
        let text = make("string", &[("converter.encoding", encoding)]);
        let datum = Datum::schemaless(text_value("a\u{e9}\u{20ac}\u{1f600}"));
        assert_eq!(hex(&text.encode("", &[&datum]).remove(0).unwrap().unwrap()), expected, "{encoding}");
    }
}

/// Converter, bytes, and the value as Java prints it, or the error's end.
#[rustfmt::skip]
const NUMBERS: &[(&str, &str, Result<&str, &str>)] = &[
    ("BooleanConverter", "", Err("must be 1")),
    ("BooleanConverter", "00", Ok("false")),
    ("BooleanConverter", "01", Ok("true")),
    ("BooleanConverter", "02", Err("found 2")),
    ("BooleanConverter", "0001", Err("must be 1")),
    ("BooleanConverter", "fffe", Err("must be 1")),
    ("BooleanConverter", "00000001", Err("must be 1")),
    ("BooleanConverter", "3f800000", Err("must be 1")),
    ("BooleanConverter", "0000000000000001", Err("must be 1")),
    ("BooleanConverter", "ffffffffffffffff", Err("must be 1")),
    ("BooleanConverter", "3ff0000000000000", Err("must be 1")),
    ("ShortConverter", "", Err("must be 2")),
    ("ShortConverter", "00", Err("must be 2")),
    ("ShortConverter", "01", Err("must be 2")),
    ("ShortConverter", "02", Err("must be 2")),
    ("ShortConverter", "0001", Ok("1")),
    ("ShortConverter", "fffe", Ok("-2")),
    ("ShortConverter", "00000001", Err("must be 2")),
    ("ShortConverter", "3f800000", Err("must be 2")),
    ("ShortConverter", "0000000000000001", Err("must be 2")),
    ("ShortConverter", "ffffffffffffffff", Err("must be 2")),
    ("ShortConverter", "3ff0000000000000", Err("must be 2")),
    ("IntegerConverter", "", Err("must be 4")),
    ("IntegerConverter", "00", Err("must be 4")),
    ("IntegerConverter", "01", Err("must be 4")),
    ("IntegerConverter", "02", Err("must be 4")),
    ("IntegerConverter", "0001", Err("must be 4")),
    ("IntegerConverter", "fffe", Err("must be 4")),
    ("IntegerConverter", "00000001", Ok("1")),
    ("IntegerConverter", "3f800000", Ok("1065353216")),
    ("IntegerConverter", "0000000000000001", Err("must be 4")),
    ("IntegerConverter", "ffffffffffffffff", Err("must be 4")),
    ("IntegerConverter", "3ff0000000000000", Err("must be 4")),
    ("LongConverter", "", Err("must be 8")),
    ("LongConverter", "00", Err("must be 8")),
    ("LongConverter", "01", Err("must be 8")),
    ("LongConverter", "02", Err("must be 8")),
    ("LongConverter", "0001", Err("must be 8")),
    ("LongConverter", "fffe", Err("must be 8")),
    ("LongConverter", "00000001", Err("must be 8")),
    ("LongConverter", "3f800000", Err("must be 8")),
    ("LongConverter", "0000000000000001", Ok("1")),
    ("LongConverter", "ffffffffffffffff", Ok("-1")),
    ("LongConverter", "3ff0000000000000", Ok("4607182418800017408")),
    ("FloatConverter", "", Err("must be 4")),
    ("FloatConverter", "00", Err("must be 4")),
    ("FloatConverter", "01", Err("must be 4")),
    ("FloatConverter", "02", Err("must be 4")),
    ("FloatConverter", "0001", Err("must be 4")),
    ("FloatConverter", "fffe", Err("must be 4")),
    ("FloatConverter", "00000001", Ok("1.4E-45")),
    ("FloatConverter", "3f800000", Ok("1.0")),
    ("FloatConverter", "0000000000000001", Err("must be 4")),
    ("FloatConverter", "ffffffffffffffff", Err("must be 4")),
    ("FloatConverter", "3ff0000000000000", Err("must be 4")),
    ("DoubleConverter", "", Err("must be 8")),
    ("DoubleConverter", "00", Err("must be 8")),
    ("DoubleConverter", "01", Err("must be 8")),
    ("DoubleConverter", "02", Err("must be 8")),
    ("DoubleConverter", "0001", Err("must be 8")),
    ("DoubleConverter", "fffe", Err("must be 8")),
    ("DoubleConverter", "00000001", Err("must be 8")),
    ("DoubleConverter", "3f800000", Err("must be 8")),
    ("DoubleConverter", "0000000000000001", Ok("4.9E-324")),
    ("DoubleConverter", "ffffffffffffffff", Ok("NaN")),
    ("DoubleConverter", "3ff0000000000000", Ok("1.0")),
];

#[test]
fn numbers_have_connects_wire_formats() {
    for (class, bytes, expected) in NUMBERS {
        let converter = make(class, &[]);
        let found = converter.decode("", &[Some(bytes_of(bytes))]).remove(0);
        match expected {
            Ok(text) => {
                let datum = found.unwrap();
                let mut printed = String::new();
                millrace_sdk::java::print(&datum, &mut printed).unwrap();
                assert_eq!(printed, *text, "{class} {bytes}");
                assert_eq!(hex(&converter.encode("", &[&datum]).remove(0).unwrap().unwrap()), *bytes, "{class}");
            }
            Err(part) => {
                let error = found.unwrap_err();
                assert_eq!(error.kind(), millrace_sdk::ErrorKind::BadRecord);
                assert!(error.to_string().contains(part), "{class} {bytes}: {error}");
            }
        }
    }
}

#[test]
fn numbers_take_their_own_width_only() {
    let typed = |kind, value| Datum::Decoded { schema: Some(Arc::new(Schema::of(kind))), value };
    for (class, datum, taken) in [
        ("ShortConverter", typed(Type::Int32, Value::Int(1)), false),
        ("IntegerConverter", typed(Type::Int32, Value::Int(1)), true),
        ("IntegerConverter", typed(Type::Int64, Value::Int(1)), false),
        ("IntegerConverter", typed(Type::String, text_value("x")), false),
        ("IntegerConverter", Datum::schemaless(Value::Int(1 << 40)), false),
        ("LongConverter", Datum::schemaless(Value::Int(1 << 40)), true),
        ("LongConverter", typed(Type::Int32, Value::Int(1)), false),
        ("FloatConverter", typed(Type::Float32, Value::Float(1.0)), true),
        ("DoubleConverter", typed(Type::Float32, Value::Float(1.0)), false),
        ("DoubleConverter", Datum::schemaless(Value::Float(1.0)), true),
        ("BooleanConverter", Datum::schemaless(Value::Int(1)), false),
        ("BooleanConverter", Datum::schemaless(Value::Bool(true)), true),
        ("LongConverter", Datum::schemaless(Value::Json(Bytes::from_static(b"17"))), true),
    ] {
        let encoded = make(class, &[]).encode("", &[&datum]).remove(0);
        assert_eq!(encoded.is_ok(), taken, "{class} {datum:?}: {encoded:?}");
    }
}

/// `decimal.format`, `replace.null.with.default`, schema, payload, and what encodes again with the same settings (None: an
/// error in decoding or encoding). Where Connect silently changes a value the record is refused here: not in this table.
#[rustfmt::skip]
const ENVELOPES: &[(&str, &str, &str, &str, Option<&str>)] = &[
    ("BASE64", "true", r#"{"type":"int32"}"#, r#"1.0"#, Some(r#"1"#)),
    ("BASE64", "true", r#"{"type":"float"}"#, r#"0.1"#, Some(r#"0.1"#)),
    ("BASE64", "true", r#"{"type":"bytes"}"#, r#""AQID""#, Some(r#""AQID""#)),
    ("BASE64", "true", r#"{"type":"int32","default":7}"#, r#"null"#, Some(r#"7"#)),
    ("BASE64", "true", r#"{"type":"int32","optional":true,"default":7}"#, r#"null"#, Some(r#"7"#)),
    ("BASE64", "true", r#"{"type":"int32","optional":true}"#, r#"null"#, Some(r#"null"#)),
    ("BASE64", "true", r#"{"type":"int32","optional":false}"#, r#"null"#, None),
    ("BASE64", "true", r#"{"type":"int64"}"#, r#"9223372036854775807"#, Some(r#"9223372036854775807"#)),
    ("BASE64", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#, r#"2.5"#, None),
    ("BASE64", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#, r#"2.50"#, Some(r#""APo=""#)),
    ("BASE64", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#, r#""AN4=""#, Some(r#""AN4=""#)),
    ("BASE64", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#, r#"123456789012345678901234567890123456789012345678901234567890.12"#, Some(r#""B67HtelZe95RFND8JbLFwo0nATpe6JCgOhQ=""#)),
    ("BASE64", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#, r#"1e2"#, None),
    ("BASE64", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"-3"}}"#, r#""AQ==""#, Some(r#""AQ==""#)),
    ("BASE64", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"30"}}"#, r#""AQ==""#, Some(r#""AQ==""#)),
    ("BASE64", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#, r#""""#, None),
    ("BASE64", "true", r#"{"type":"int32","name":"org.apache.kafka.connect.data.Date","version":1}"#, r#"2147483648"#, None),
    ("BASE64", "true", r#"{"type":"int32","name":"org.apache.kafka.connect.data.Time","version":1}"#, r#"86400000"#, Some(r#"86400000"#)),
    ("BASE64", "true", r#"{"type":"int32","name":"org.apache.kafka.connect.data.Time","version":1}"#, r#"-1"#, None),
    ("BASE64", "true", r#"{"type":"int32","name":"org.apache.kafka.connect.data.Time","version":1}"#, r#"1.0"#, None),
    ("BASE64", "true", r#"{"type":"map","keys":{"type":"int32"},"values":{"type":"string"}}"#, r#"[[1,"a"]]"#, Some(r#"[[1,"a"]]"#)),
    ("BASE64", "true", r#"{"type":"map","keys":{"type":"int32"},"values":{"type":"string"}}"#, r#"{"a":"b"}"#, None),
    ("BASE64", "true", r#"{"type":"map","keys":{"type":"string"},"values":{"type":"string"}}"#, r#"[["a","b"]]"#, None),
    ("BASE64", "true", r#"{"type":"float"}"#, r#"1e30"#, Some(r#"1.0E30"#)),
    ("BASE64", "true", r#"{"type":"double"}"#, r#"1e30"#, Some(r#"1.0E30"#)),
    ("BASE64", "true", r#"{"type":"double"}"#, r#"100"#, Some(r#"100.0"#)),
    ("BASE64", "true", r#"{"type":"double"}"#, r#"0.1"#, Some(r#"0.1"#)),
    ("BASE64", "true", r#"{"type":"double"}"#, r#"1e-7"#, Some(r#"1.0E-7"#)),
    ("BASE64", "false", r#"{"type":"int32","default":7}"#, r#"null"#, None),
    ("BASE64", "false", r#"{"type":"int32","optional":true,"default":7}"#, r#"null"#, Some(r#"null"#)),
    ("NUMERIC", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#, r#"2.5"#, Some(r#"2.5"#)),
    ("NUMERIC", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#, r#"2.50"#, Some(r#"2.50"#)),
    ("NUMERIC", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#, r#""AN4=""#, Some(r#"2.22"#)),
    ("NUMERIC", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#, r#"123456789012345678901234567890123456789012345678901234567890.12"#, Some(r#"123456789012345678901234567890123456789012345678901234567890.12"#)),
    ("NUMERIC", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#, r#"1e2"#, Some(r#"1E+2"#)),
    ("NUMERIC", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"-3"}}"#, r#""AQ==""#, Some(r#"1E+3"#)),
    ("NUMERIC", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"30"}}"#, r#""AQ==""#, Some(r#"1E-30"#)),
    ("NUMERIC", "true", r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#, r#""""#, None),
];

#[test]
fn envelopes_are_read_and_written_as_connect_does() {
    for (format, replace, schema, payload, expected) in ENVELOPES {
        let settings = [("decimal.format", *format), ("replace.null.with.default", *replace)];
        let envelope = format!("{{\"schema\":{schema},\"payload\":{payload}}}");
        let plain = make("json", &[settings[0], settings[1], ("schemas.enable", "false")]);
        let found = decode(&*make("json", &settings), &envelope)
            .and_then(|datum| plain.encode("", &[&datum]).remove(0))
            .map(|bytes| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()));
        match expected {
            None => assert!(found.is_err(), "{schema} {payload}: {found:?}"),
            Some(text) => {
                let found = found.unwrap().unwrap();
                let same = found == *text
                    || matches!((found.parse::<f64>(), text.parse::<f64>()), (Ok(a), Ok(b)) if a.to_bits() == b.to_bits());
                assert!(same, "{schema} {payload}: {found} is not {text}");
            }
        }
    }
}
