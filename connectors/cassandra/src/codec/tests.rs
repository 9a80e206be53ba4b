use std::sync::Arc;

use millrace_sdk::{Bytes, Decimal};
use scylla::cluster::metadata::UserDefinedType;

use super::*;

fn native(native: NativeType) -> ColumnType<'static> {
    ColumnType::Native(native)
}

fn collection(typ: CollectionType<'static>) -> ColumnType<'static> {
    ColumnType::Collection { frozen: false, typ }
}

fn json(text: &'static str) -> Value {
    Value::Json(Bytes::from_static(text.as_bytes()))
}

fn text(text: &'static str) -> Value {
    Value::Str(text.into())
}

fn ok(value: &Value, typ: &ColumnType<'_>) -> CqlValue {
    encode(value, typ).unwrap_or_else(|e| panic!("{value:?} into {}: {e}", name(typ))).expect("not null")
}

#[test]
fn values_fit_their_columns() {
    use NativeType as N;
    let cases: Vec<(Value, N, CqlValue)> = vec![
        (json("\"x\""), N::Text, CqlValue::Text("x".into())),
        (json(r#"{"a": 1}"#), N::Text, CqlValue::Text(r#"{"a": 1}"#.into())),
        (json("17"), N::Text, CqlValue::Text("17".into())),
        (Value::Timestamp(1_795_256_130_250), N::Text, CqlValue::Text("2026-11-21T10:15:30.250Z".into())),
        (json("17"), N::Int, CqlValue::Int(17)),
        (text("17"), N::Int, CqlValue::Int(17)),
        (json("17.0"), N::Int, CqlValue::Int(17)),
        (json("1e3"), N::SmallInt, CqlValue::SmallInt(1000)),
        (json("-128"), N::TinyInt, CqlValue::TinyInt(-128)),
        (json("9223372036854775807"), N::BigInt, CqlValue::BigInt(i64::MAX)),
        (Value::Timestamp(5), N::BigInt, CqlValue::BigInt(5)),
        (json("2.5"), N::Double, CqlValue::Double(2.5)),
        (json("3"), N::Float, CqlValue::Float(3.0)),
        (text("NaN"), N::Text, CqlValue::Text("NaN".into())),
        (json("true"), N::Boolean, CqlValue::Boolean(true)),
        (text("False"), N::Boolean, CqlValue::Boolean(false)),
        (text("127.0.0.1"), N::Inet, CqlValue::Inet("127.0.0.1".parse().unwrap())),
        (text("AQL/"), N::Blob, CqlValue::Blob(vec![1, 2, 255])),
        (text("0x0102ff"), N::Blob, CqlValue::Blob(vec![1, 2, 255])),
        (Value::Bytes(Bytes::from_static(&[7])), N::Blob, CqlValue::Blob(vec![7])),
        (
            json("123456789012345678901234567890"),
            N::Varint,
            CqlValue::Varint(CqlVarint::from_signed_bytes_be(vec![
                0x01, 0x8e, 0xe9, 0x0f, 0xf6, 0xc3, 0x73, 0xe0, 0xee, 0x4e, 0x3f, 0x0a, 0xd2,
            ])),
        ),
        (
            json("-12.50"),
            N::Decimal,
            // A float in JSON has no trailing zeros once it is read.
            CqlValue::Decimal(CqlDecimal::from_signed_be_bytes_and_exponent(vec![0x83], 1)),
        ),
        (
            Value::Decimal(Decimal { unscaled: Box::new([0x04, 0xe2]), scale: 2 }),
            N::Decimal,
            CqlValue::Decimal(CqlDecimal::from_signed_be_bytes_and_exponent(vec![0x04, 0xe2], 2)),
        ),
        (
            text("550e8400-e29b-41d4-a716-446655440000"),
            N::Uuid,
            CqlValue::Uuid("550e8400-e29b-41d4-a716-446655440000".parse().unwrap()),
        ),
        (text("2026-11-21"), N::Date, CqlValue::Date(CqlDate((1 << 31) + 20_778))),
        (Value::Date(0), N::Date, CqlValue::Date(CqlDate(1 << 31))),
        (text("10:15:30.25"), N::Time, CqlValue::Time(CqlTime(36_930_250_000_000))),
        (Value::Time(1), N::Time, CqlValue::Time(CqlTime(1_000_000))),
    ];
    for (value, typ, expected) in cases {
        assert_eq!(ok(&value, &native(typ)), expected, "{value:?}");
    }
}

#[test]
fn timestamps_have_many_spellings() {
    let cases = [
        ("2026-11-21T10:15:30.250Z", 1_795_256_130_250),
        ("2026-11-21T10:15:30.250999999Z", 1_795_256_130_250),
        ("2026-11-21 10:15:30", 1_795_256_130_000),
        ("2026-11-21T10:15Z", 1_795_256_100_000),
        ("2026-11-21T12:15:30+02:00", 1_795_256_130_000),
        ("2026-11-21T05:15:30-0500", 1_795_256_130_000),
        ("2026-11-21", 1_795_219_200_000),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("1795256130250", 1_795_256_130_250),
    ];
    for (spelling, millis) in cases {
        let value = ok(&Value::Str(spelling.into()), &native(NativeType::Timestamp));
        assert_eq!(value, CqlValue::Timestamp(CqlTimestamp(millis)), "{spelling}");
    }
    for wrong in ["2026-13-01", "2023-02-29", "2026-11-21T25:00Z", "2026-11-21T10:15:30.Z", "yesterday", "2026-1-2", ""]
    {
        assert!(encode(&Value::Str(wrong.into()), &native(NativeType::Timestamp)).is_err(), "{wrong}");
    }
}

#[test]
fn what_does_not_fit_is_refused_without_its_content() {
    use NativeType as N;
    let cases: Vec<(Value, N, &str)> = vec![
        (json("\"secret\""), N::Int, "has type int, which a string is not"),
        (json("2147483648"), N::Int, "has type int, and the value (an integer) is out of its range"),
        (json("99999999999999999999"), N::BigInt, "has type bigint, and the value (a number) is out of its range"),
        (json("1.5"), N::Int, "has type int, which a float is not"),
        (json("[1]"), N::Int, "has type int, which a list is not"),
        (json("1e300"), N::Float, "has type float, and the value (a float) is out of its range"),
        (json("1.5"), N::Varint, "has type varint, which a float is not"),
        (text("ä"), N::Ascii, "other characters"),
        (text("nope"), N::Uuid, "the text is no UUID"),
        (text("550e8400-e29b-41d4-a716-446655440000"), N::Timeuuid, "not of version 1"),
        (text("!"), N::Blob, "neither base64"),
        (text("0xf"), N::Blob, "neither base64"),
        (text("localhost"), N::Inet, "no IP address"),
        (json("86400000"), N::Time, "out of its range"),
        (json("\"soon\""), N::Timestamp, "neither ISO 8601"),
        (Value::Bytes(Bytes::from_static(&[0xff])), N::Text, "not UTF-8"),
    ];
    for (value, typ, message) in cases {
        let error = encode(&value, &native(typ)).unwrap_err();
        assert!(error.contains(message), "{value:?}: {error}");
        assert!(!error.contains("secret"));
    }
}

#[test]
fn null_is_null_and_nested_null_is_refused() {
    let list = collection(CollectionType::List(Box::new(native(NativeType::Int))));
    assert_eq!(encode(&json("null"), &list), Ok(None));
    assert_eq!(encode(&Value::Null, &native(NativeType::Text)), Ok(None));
    assert!(encode(&json("[1, null]"), &list).unwrap_err().contains("cannot hold null"));
}

#[test]
fn collections_nest() {
    let int = || Box::new(native(NativeType::Int));
    let list = collection(CollectionType::List(int()));
    assert_eq!(ok(&json("[1,2]"), &list), CqlValue::List(vec![CqlValue::Int(1), CqlValue::Int(2)]));
    assert_eq!(ok(&text("[3]"), &list), CqlValue::List(vec![CqlValue::Int(3)]), "a text may hold the JSON");
    let map = collection(CollectionType::Map(int(), Box::new(list.clone())));
    let expected = CqlValue::Map(vec![(CqlValue::Int(7), CqlValue::List(vec![CqlValue::Int(1)]))]);
    assert_eq!(ok(&json(r#"{"7":[1]}"#), &map), expected);
    let set = collection(CollectionType::Set(Box::new(native(NativeType::Text))));
    assert_eq!(ok(&json(r#"["a"]"#), &set), CqlValue::Set(vec![CqlValue::Text("a".into())]));
    assert!(encode(&json("7"), &set).unwrap_err().contains("has type set<text>, which an integer is not"));
}

#[test]
fn user_types_tuples_and_vectors() {
    let definition = UserDefinedType {
        name: "address".into(),
        keyspace: "ks".into(),
        field_types: vec![("city".into(), native(NativeType::Text)), ("zip".into(), native(NativeType::Int))],
    };
    let udt = ColumnType::UserDefinedType { frozen: true, definition: Arc::new(definition) };
    let expected = CqlValue::UserDefinedType {
        keyspace: "ks".into(),
        name: "address".into(),
        fields: vec![("city".into(), Some(CqlValue::Text("Ulm".into()))), ("zip".into(), None)],
    };
    assert_eq!(ok(&json(r#"{"city":"Ulm"}"#), &udt), expected);
    assert!(encode(&json(r#"{"town":"Ulm"}"#), &udt).unwrap_err().contains("no field town"));
    assert!(encode(&json(r#"{"zip":"x"}"#), &udt).unwrap_err().contains("field zip has type int"));
    let tuple = ColumnType::Tuple(vec![native(NativeType::Int), native(NativeType::Text)]);
    assert_eq!(ok(&json("[1,null]"), &tuple), CqlValue::Tuple(vec![Some(CqlValue::Int(1)), None]));
    let vector = ColumnType::Vector { typ: Box::new(native(NativeType::Float)), dimensions: 2 };
    assert_eq!(ok(&json("[1,2.5]"), &vector), CqlValue::Vector(vec![CqlValue::Float(1.0), CqlValue::Float(2.5)]));
    assert!(encode(&json("[1]"), &vector).unwrap_err().contains("1 elements"));
}

#[test]
fn decimals_of_any_size() {
    let cases: &[(&str, &[u8], i32)] = &[
        ("0", &[0], 0),
        ("-1", &[0xff], 0),
        ("128", &[0x00, 0x80], 0),
        ("-128", &[0x80], 0),
        ("0.001", &[1], 3),
        ("1.20", &[120], 2),
        ("12e2", &[12], -2),
        ("1.5E-3", &[15], 4),
    ];
    for (text, unscaled, scale) in cases {
        assert_eq!(number::parse(text), Some((unscaled.to_vec(), *scale)), "{text}");
    }
    for wrong in ["", "-", "1.2.3", "0x1", "1e", "e5", "1 2"] {
        assert_eq!(number::parse(wrong), None, "{wrong}");
    }
    let shown = |unscaled: &'static [u8], scale| {
        number::decimal_text(&Decimal { unscaled: Box::from(unscaled), scale }).unwrap()
    };
    assert_eq!(shown(&[0x04, 0xd2], 2), "12.34");
    assert_eq!(shown(&[0xff], 3), "-0.001");
    assert_eq!(shown(&[0], 0), "0");
    assert_eq!(shown(&[12], -2), "1200");
    assert_eq!(shown(&[0], -2), "0");
    assert_eq!(shown(&[0], 2), "0.00");
    assert_eq!(shown(&[0x80], 0), "-128");
}

/// Both parts of a decimal come from outside: nothing may take long, or much room, for a large one.
#[test]
fn huge_exponents_cost_nothing() {
    let decimal = |unscaled: &[u8], scale| Decimal { unscaled: Box::from(unscaled), scale };
    assert_eq!(number::decimal_text(&decimal(&[1], i32::MIN)).unwrap(), "1E+2147483648");
    assert_eq!(number::decimal_text(&decimal(&[0xff], i32::MAX)).unwrap(), "-1E-2147483647");
    assert_eq!(number::decimal_text(&decimal(&[0x7f; 5000], 0)), None);
    for zero in [Value::Decimal(decimal(&[0], i32::MIN)), Value::Str("0e2147483647".into())] {
        assert_eq!(number::integer(&zero).ok(), Some(0));
    }
    assert!(number::integer(&Value::Decimal(decimal(&[1], i32::MIN))).is_err());
    assert_eq!(number::parse(&"1".repeat(5000)), None);
}
