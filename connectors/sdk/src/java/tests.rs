use std::sync::Arc;

use crate::{Bytes, Decimal, Field};

use super::*;

fn printed(datum: &Datum) -> String {
    let mut out = String::new();
    print(datum, &mut out).unwrap();
    out
}

fn json(text: &'static str) -> Datum {
    Datum::schemaless(Value::Json(Bytes::from_static(text.as_bytes())))
}

#[test]
fn values_print_as_in_java() {
    let decimal = |unscaled: &'static [u8], scale| {
        Datum::schemaless(Value::Decimal(Decimal { unscaled: Box::from(unscaled), scale }))
    };
    let cases: Vec<(Datum, &str)> = vec![
        (Datum::Null, "null"),
        (Datum::Encoded(Bytes::from_static(b"raw")), "raw"),
        (Datum::schemaless(Value::Str("plain text".into())), "plain text"),
        (json(r#"{"a":1,"b":"x","c":[1,2.5,null,{"d":true}],"e":{}}"#), "{a=1, b=x, c=[1, 2.5, null, {d=true}], e={}}"),
        (json("\"x\""), "x"),
        (json(r#" {"a" : -0, "b":{"x":1,"x":{"y":[]}}, "\u0061":"\u00e9\n"} "#), "{a=é\n, b={x={y=[]}}}"),
        (json("[1e-4, 1e7, 0.001, 9999999.5, 100, 1e999]"), "[1.0E-4, 1.0E7, 0.001, 9999999.5, 100, 1e999]"),
        (json("12345678901234567890"), "12345678901234567890"),
        (Datum::schemaless(Value::Float(1.0)), "1.0"),
        (Datum::schemaless(Value::Float(-0.5)), "-0.5"),
        (Datum::schemaless(Value::Float(0.001)), "0.001"),
        (Datum::schemaless(Value::Float(0.000_12)), "1.2E-4"),
        (Datum::schemaless(Value::Float(1_234_567.0)), "1234567.0"),
        (Datum::schemaless(Value::Float(12_345_678.0)), "1.2345678E7"),
        (Datum::schemaless(Value::Float(1e21)), "1.0E21"),
        (Datum::schemaless(Value::Float(f64::NEG_INFINITY)), "-Infinity"),
        (decimal(&[0x04, 0xd2], 2), "12.34"),
        (decimal(&[0xff], 3), "-0.001"),
        (decimal(&[5], 8), "5E-8"),
        (decimal(&[12], -2), "1.2E+3"),
        (decimal(&[0], 0), "0"),
        (Datum::schemaless(Value::Timestamp(1_795_256_130_250)), "Sat Nov 21 10:15:30 UTC 2026"),
        (Datum::schemaless(Value::Date(-1)), "Wed Dec 31 00:00:00 UTC 1969"),
        (Datum::schemaless(Value::Date(59)), "Sun Mar 01 00:00:00 UTC 1970"),
    ];
    for (datum, expected) in cases {
        assert_eq!(printed(&datum), expected, "{datum:?}");
    }
}

#[test]
fn a_struct_leaves_out_null_fields() {
    let field = |name: &'static str, kind| Field { name: name.into(), schema: Arc::new(Schema::of(kind)) };
    let mut schema = Schema::of(Type::Struct);
    schema.fields = vec![field("a", Type::Int32), field("b", Type::String), field("c", Type::Float32)];
    let value = Value::Map(vec![
        ("c".into(), Value::Float(f64::from(0.1_f32))),
        ("a".into(), Value::Int(1)),
        ("b".into(), Value::Null),
    ]);
    assert_eq!(printed(&Datum::Decoded { schema: Some(Arc::new(schema)), value }), "Struct{a=1,c=0.1}");
}

#[test]
fn what_is_not_json_is_refused_and_leaves_nothing() {
    for text in ["{\"a\":[1,}", "{\"a\":1} 2", "\"\\ud800\"", &"[".repeat(200)] {
        let mut out = "before".to_owned();
        let datum = Datum::schemaless(Value::Json(Bytes::copy_from_slice(text.as_bytes())));
        assert!(print(&datum, &mut out).is_err(), "{text}");
        assert_eq!(out, "before", "{text}");
    }
}

#[test]
fn a_map_with_other_keys_than_text_prints_as_a_map() {
    let schema = Schema {
        key: Some(std::sync::Arc::new(Schema::of(Type::Float32))),
        element: Some(std::sync::Arc::new(Schema::of(Type::String))),
        ..Schema::of(Type::Map)
    };
    let pair = |key: f64, value: Value| Value::List(vec![Value::Float(key), value]);
    let value = Value::List(vec![pair(0.5, Value::Str("a".into())), pair(2.0, Value::Null)]);
    let datum = Datum::Decoded { schema: Some(std::sync::Arc::new(schema)), value };
    assert_eq!(printed(&datum), "{0.5=a, 2.0=null}");
}
