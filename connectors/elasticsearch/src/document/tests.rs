use std::sync::Arc;

use millrace_sdk::{ErrorKind, Schema, Text, Type};

use super::*;

fn json(text: &str) -> Datum {
    Datum::schemaless(Value::Json(Bytes::copy_from_slice(text.as_bytes())))
}

fn text(text: &str) -> Datum {
    Datum::schemaless(Value::Str(Text::from(text)))
}

fn line(datum: &Datum, schema_ignore: bool) -> Result<String> {
    let mut out = b"before\n".to_vec();
    write(datum, schema_ignore, &mut out)?;
    Ok(String::from_utf8(out).unwrap().strip_prefix("before\n").unwrap().to_owned())
}

#[test]
fn json_goes_as_it_came_but_on_one_line() {
    let odd = "{ \"n\" : 1.50e0,\r\n\t\"text\":\"a\\nb\\u00e9\" }";
    assert_eq!(line(&json(odd), true).unwrap(), "{ \"n\" : 1.50e0,  \t\"text\":\"a\\nb\\u00e9\" }");
    assert_eq!(line(&text("{\"a\":\n1}"), true).unwrap(), "{\"a\": 1}");
    assert_eq!(line(&json(r#""{\"a\":1}""#), true).unwrap(), r#"{"a":1}"#);
    assert_eq!(line(&Datum::Encoded(Bytes::from_static(b"{}")), true).unwrap(), "{}");
}

#[test]
fn nothing_can_inject_an_operation() {
    // A subtree that claims to be JSON and is not: the newline is a space all the same.
    let evil = Value::Map(vec![("a".into(), Value::Json(Bytes::from_static(b"1}\n{\"delete\":{\"_id\":\"x\"}}\n{")))]);
    assert!(!line(&Datum::schemaless(evil), true).unwrap().contains('\n'));
    let name = Value::Map(vec![("a\nb".into(), Value::Str("c\nd".into()))]);
    assert_eq!(line(&Datum::schemaless(name), true).unwrap(), r#"{"a\nb":"c\nd"}"#);
}

#[test]
fn only_objects_are_documents() {
    for datum in [json("[1]"), json("1"), json("\"words\""), text("words"), text("{broken"), Datum::Null] {
        assert_eq!(line(&datum, true).unwrap_err().kind(), ErrorKind::BadRecord, "{datum:?}");
    }
    assert!(line(&Datum::schemaless(Value::Int(1)), true).unwrap_err().to_string().contains("an integer"));
}

#[test]
fn decimals_are_numbers_unless_the_schema_is_ignored() {
    let decimal = |bytes: &'static [u8], scale| Value::Decimal(Decimal { unscaled: Box::from(bytes), scale });
    let value = Value::Map(vec![
        ("p".into(), decimal(&[0x04, 0xD2], 2)),
        ("l".into(), Value::List(vec![decimal(&[0xFF], 0), Value::Null])),
    ]);
    let datum = Datum::Decoded { schema: Some(Arc::new(Schema::of(Type::Struct))), value };
    let found: serde_json::Value = serde_json::from_str(&line(&datum, false).unwrap()).unwrap();
    assert_eq!(found, serde_json::json!({ "p": 12.34, "l": [-1.0, null] }));
    assert_eq!(line(&datum, true).unwrap(), r#"{"p":"BNI=","l":["/w==",null]}"#);
}

#[test]
fn texts_and_integers_are_ids() {
    let key = r#"{"sku":"A", "warehouse":1}"#;
    assert_eq!(id(&text(key)).unwrap(), key, "JSON text stays as it is");
    assert_eq!(id(&Datum::schemaless(Value::Int(-7))).unwrap(), "-7");
    assert_eq!(id(&json("\"a\\u0062\"")).unwrap(), "ab");
    assert_eq!(id(&text(&"x".repeat(512))).unwrap().len(), 512);
    for (key, said) in [
        (Datum::Null, "no key"),
        (text(""), "empty"),
        (text(&"é".repeat(257)), "514 bytes"),
        (json("{}"), "String converter"),
        (Datum::schemaless(Value::Bool(true)), "a boolean"),
        (Datum::Encoded(Bytes::from_static(b"k")), "bytes"),
    ] {
        let error = id(&key).unwrap_err();
        assert!(error.kind() == ErrorKind::BadRecord && error.to_string().contains(said), "{error}");
    }
}
