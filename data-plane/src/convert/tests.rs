use ::bytes::Bytes;
use millrace_sdk::{Decimal, Field, Schema, Text, Type, Value};

use super::*;

fn flat(pairs: &[(&str, &str)]) -> Flat {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn make(class: &str, settings: &[(&str, &str)]) -> Box<dyn Converter> {
    let mut config = flat(&[("value.converter", class)]);
    config.extend(settings.iter().map(|(key, value)| (format!("value.converter.{key}"), (*value).to_owned())));
    converter(Role::Value, &config, &Flat::new()).unwrap()
}

fn decode(converter: &dyn Converter, text: &str) -> Result<Datum> {
    converter.decode("", &[Some(Bytes::copy_from_slice(text.as_bytes()))]).remove(0)
}

fn encode(converter: &dyn Converter, datum: &Datum) -> String {
    String::from_utf8(converter.encode("", &[datum]).remove(0).unwrap().unwrap().to_vec()).unwrap()
}

fn json() -> Box<dyn Converter> {
    make("json", &[("schemas.enable", "false")])
}

#[test]
fn names_and_defaults_are_connects() {
    for class in ["json", "JsonConverter", "org.apache.kafka.connect.json.JsonConverter"] {
        assert_eq!(make(class, &[]).class(), "org.apache.kafka.connect.json.JsonConverter");
    }
    let message = check_class(Role::Header, "io.confluent.connect.avro.AvroConverter").unwrap_err();
    assert!(message.contains("json, string, bytes"), "{message}");
    // Ours without a word, the tenant's, and the connector's over the tenant's.
    let none = Flat::new();
    assert_eq!(converter(Role::Key, &none, &none).unwrap().class(), text::CLASS);
    assert!(matches!(
        decode(&*converter(Role::Value, &none, &none).unwrap(), "{\"a\":1}"),
        Ok(Datum::Decoded { schema: None, .. })
    ));
    let tenant = flat(&[("key.converter", "bytes")]);
    assert_eq!(converter(Role::Key, &none, &tenant).unwrap().class(), bytes::CLASS);
    assert_eq!(converter(Role::Key, &flat(&[("key.converter", "string")]), &tenant).unwrap().class(), text::CLASS);
    // As in Connect, schemas are on when the converter is named without a word about them.
    assert!(decode(&*make("json", &[]), "{\"a\":1}").unwrap_err().to_string().contains("schemas.enable=false"));
}

#[test]
fn no_payload_is_null_for_every_converter() {
    for class in ["json", "string", "bytes", "boolean", "short", "integer", "long", "float", "double"] {
        let converter = make(class, &[]);
        let decoded = converter.decode("", &[None]).remove(0).unwrap();
        assert!(decoded.is_null(), "{class}: {decoded:?}");
        // As in Connect, what has one schema has it for nothing, too.
        assert_eq!(matches!(decoded, Datum::Decoded { schema: Some(_), .. }), class != "json", "{class}: {decoded:?}");
        assert_eq!(converter.encode("", &[&Datum::Null]).remove(0).unwrap(), None, "{class}");
    }
}

#[test]
fn schemaless_json_is_checked_and_left_as_it_is() {
    let json = json();
    for text in ["{\"a\" : 1.10,\"b\":[1,2]}", "[1]", "\"x\"", "17", "true"] {
        let Datum::Decoded { schema: None, value: Value::Json(bytes) } = decode(&*json, text).unwrap() else {
            panic!("{text}")
        };
        assert_eq!(bytes, text.as_bytes());
        assert_eq!(encode(&*json, &decode(&*json, text).unwrap()), text);
    }
    assert!(decode(&*json, "null").unwrap().is_null());
    assert!(decode(&*json, "").unwrap().is_null());
    for text in ["{", "{\"a\":}", "nope", "{} {}", "\u{0}"] {
        assert_eq!(decode(&*json, text).unwrap_err().kind(), millrace_sdk::ErrorKind::BadRecord, "{text}");
    }
    assert!(json.decode("", &[Some(Bytes::from_static(b"\"\xff\""))]).remove(0).is_err());
}

const ENVELOPE: &str = r#"{"schema":{"type":"struct","optional":false,"name":"order","version":2,"fields":[
  {"field":"id","type":"int64","optional":false},
  {"field":"price","type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}},
  {"field":"day","type":"int32","optional":false,"name":"org.apache.kafka.connect.data.Date","version":1},
  {"field":"at","type":"int64","optional":false,"name":"org.apache.kafka.connect.data.Timestamp","version":1},
  {"field":"raw","type":"bytes","optional":false},
  {"field":"ratio","type":"float","optional":false},
  {"field":"note","type":"string","optional":true},
  {"field":"size","type":"int16","optional":false,"default":7},
  {"field":"tags","type":"array","items":{"type":"string","optional":false},"optional":false},
  {"field":"more","type":"map","keys":{"type":"string","optional":false},"values":{"type":"int32","optional":false},"optional":false}]},
 "payload":{"id":9007199254740993,"price":"AN4=","day":19000,"at":1700000000123,"raw":"AQID","ratio":1,"tags":["a","b"],"more":{"x":1}}}"#;

#[test]
fn an_envelope_becomes_typed_values() {
    let json = make("json", &[]);
    let Datum::Decoded { schema: Some(schema), value: Value::Map(fields) } = decode(&*json, ENVELOPE).unwrap() else {
        panic!("no struct")
    };
    assert_eq!((schema.kind, schema.name.as_deref(), schema.version), (Type::Struct, Some("order"), Some(2)));
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).unwrap().1.clone();
    assert_eq!(field("id"), Value::Int(9_007_199_254_740_993));
    assert_eq!(field("price"), Value::Decimal(Decimal { unscaled: Box::new([0, 0xde]), scale: 2 }));
    assert_eq!(field("day"), Value::Date(19000));
    assert_eq!(field("at"), Value::Timestamp(1_700_000_000_123));
    assert_eq!(field("raw"), Value::Bytes(Bytes::from_static(&[1, 2, 3])));
    assert_eq!(field("ratio"), Value::Float(1.0));
    assert_eq!(field("note"), Value::Null);
    assert_eq!(field("size"), Value::Int(7));
    assert_eq!(field("tags"), Value::List(vec![text_value("a"), text_value("b")]));
    assert_eq!(field("more"), Value::Map(vec![(Text::from_static("x"), Value::Int(1))]));
    // The same schema is parsed once, and what was decoded encodes to what decodes to the same.
    let first = decode(&*json, ENVELOPE).unwrap();
    let Datum::Decoded { schema: Some(again), .. } = &first else { panic!("no schema") };
    assert!(Arc::ptr_eq(&schema, again));
    let text = encode(&*json, &first);
    let fresh = make("json", &[]);
    assert_eq!(decode(&*fresh, &text).unwrap(), first);
    let numeric = make("json", &[("decimal.format", "NUMERIC")]);
    assert!(encode(&*numeric, &first).contains("\"price\":2.22"));
    assert_eq!(decode(&*numeric, &encode(&*numeric, &first)).unwrap(), first);
}

use std::sync::Arc;

fn text_value(text: &'static str) -> Value {
    Value::Str(Text::from_static(text))
}

#[test]
fn what_does_not_fit_its_schema_is_named() {
    let json = make("json", &[]);
    for (schema, payload, part) in [
        (r#"{"type":"int8","optional":false}"#, "300", "300 does not fit INT8"),
        (r#"{"type":"int32","optional":false}"#, "\"x\"", "it is INT32 by the schema, but a string was found"),
        (r#"{"type":"int32","optional":false}"#, "1.5", "1.5 does not fit INT32"),
        (r#"{"type":"int64","optional":false}"#, "9223372036854775808", "does not fit INT64"),
        (r#"{"type":"string","optional":false}"#, "null", "Invalid null value for required STRING field"),
        (r#"{"type":"bytes","optional":false}"#, "\"?\"", "base64"),
        (
            r#"{"type":"struct","optional":false,"fields":[{"field":"a","type":"string","optional":false}]}"#,
            "{}",
            "payload.a does not fit its schema",
        ),
        (r#"{"type":"uuid"}"#, "1", "unknown type \"uuid\""),
        (r#"{"type":"array"}"#, "[]", "needs \"items\""),
        ("7", "1", "must be a JSON object"),
    ] {
        let error = decode(&*json, &format!("{{\"schema\":{schema},\"payload\":{payload}}}")).unwrap_err();
        assert!(error.chain().contains(part), "{schema} {payload}: {}", error.chain());
    }
    for text in ["{}", "[]", "{\"schema\":null,\"payload\":1,\"x\":1}", "{\"payload\":1}", ""] {
        assert!(
            decode(&*json, text).unwrap_err().to_string().contains("requires \"schema\" and \"payload\""),
            "{text}"
        );
    }
    assert_eq!(decode(&*json, "{\"schema\":null,\"payload\":null}").unwrap(), Datum::schemaless(Value::Null));
}

#[test]
fn text_is_text_and_everything_else_is_json() {
    let text = make("string", &[]);
    let Datum::Decoded { schema: Some(schema), value } = decode(&*text, "héllo").unwrap() else { panic!("no schema") };
    assert_eq!((schema.kind, schema.optional, value), (Type::String, true, text_value("héllo")));
    let broken = text.decode("", &[Some(Bytes::from_static(b"a\xffb"))]).remove(0).unwrap();
    assert_eq!(broken.value(), text_value("a\u{fffd}b"));
    for (value, expected) in [(text_value("x"), "x"), (Value::Int(7), "7"), (Value::Bool(true), "true")] {
        assert_eq!(encode(&*text, &Datum::schemaless(value)), expected);
    }
    assert_eq!(
        encode(&*text, &Datum::schemaless(Value::Json(Bytes::from_static(b"{\"a\":[1,null]}")))),
        "{a=[1, null]}"
    );
    let unknown = flat(&[("key.converter", "string"), ("key.converter.converter.encoding", "EBCDIC")]);
    let Err(error) = converter(Role::Key, &unknown, &Flat::new()) else { panic!("taken") };
    assert!(error.to_string().contains("Unsupported encoding EBCDIC"), "{error}");
}

#[test]
fn bytes_take_bytes_only() {
    let bytes = make("bytes", &[]);
    let datum = bytes.decode("", &[Some(Bytes::from_static(b"\x00\xff"))]).remove(0).unwrap();
    assert_eq!(bytes.encode("", &[&datum]).remove(0).unwrap().unwrap(), Bytes::from_static(b"\x00\xff"));
    assert!(bytes.encode("", &[&Datum::schemaless(Value::Int(1))]).remove(0).is_err());
}

#[test]
fn a_struct_of_a_source_is_written_as_connect_writes_it() {
    let mut schema = Schema::of(Type::Struct);
    schema.fields = vec![Field { name: Text::from_static("a"), schema: Arc::new(Schema::of(Type::Int32)) }];
    let value = Value::Map(vec![(Text::from_static("a"), Value::Int(1))]);
    let datum = Datum::Decoded { schema: Some(Arc::new(schema)), value };
    assert_eq!(
        encode(&*make("json", &[]), &datum),
        r#"{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"a"}],"optional":false},"payload":{"a":1}}"#
    );
    assert_eq!(encode(&*json(), &datum), r#"{"a":1}"#);
}

mod captured;
mod properties;

#[test]
fn envelopes_that_begin_alike_are_read_as_if_each_came_alone() {
    let start = r#"{"schema":{"type":"struct","optional":false,"fields":[{"field":"a","type":"int32","optional":false},
        {"field":"b","type":"string","optional":true}]},"payload":"#;
    let tails = [
        r#"{"a":1,"b":"x"}}"#,
        r#"{"a":2,"b":null}}"#,
        r#" {"b":"\u00e9\n","a":3} } "#,
        r#"{"\u0061":4,"c":[1,{"d":2}]}}"#,
        r#"{"a":5,"a":6}}"#,
        r#"{"a":7},"more":1}"#,
        r#"{"a":8}"#,
        r#"{"a":9}}}"#,
        r#"{"a":"text"}}"#,
        r#"{"b":"a is missing"}}"#,
        r#"{"a":1,}}"#,
        r#"null}"#,
        r#"{"a":10,"b":"last"}}"#,
    ];
    let together = make("json", &[]);
    let mut good = 0;
    for tail in tails {
        let text = format!("{start}{tail}");
        let (alone, found) = (decode(&*make("json", &[]), &text), decode(&*together, &text));
        good += usize::from(found.is_ok());
        assert_eq!(found.map_err(|error| error.chain()), alone.map_err(|error| error.chain()), "{tail}");
    }
    assert_eq!(good, 6);
    let Ok(Datum::Decoded { value, .. }) = decode(&*together, &format!("{start}{}", tails[3])) else { panic!() };
    assert_eq!(value, Value::Map(vec![("a".into(), Value::Int(4)), ("b".into(), Value::Null)]));
}

#[test]
fn a_value_that_is_opened_at_once_is_what_it_is_otherwise() {
    let mut opening = json();
    opening.open_at_once();
    for text in [
        "{\"a\":1,\"b\":{\"c\":[]},\"d\":1e999}",
        " [1,\"x\"] ",
        "\"x\"",
        "null",
        "",
        "12",
        "{\"a\":",
        "{} {}",
        "\u{feff}{}",
    ] {
        let opened = |datum: Datum| datum.value().open();
        let (one, other) = (decode(&*opening, text), decode(&*json(), text));
        assert_eq!(
            one.and_then(opened).map_err(|error| error.chain()),
            other.and_then(opened).map_err(|error| error.chain()),
            "{text}"
        );
    }
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(decode(&*opening, &deep(128)).is_ok() && decode(&*opening, &deep(129)).is_err());
}
