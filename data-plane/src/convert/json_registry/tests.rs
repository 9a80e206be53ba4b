use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::{Datum, Decimal, Field, Flat, Result, Schema, Text, Type, Value};

use super::super::registry::alone;
use super::*;

fn converter(settings: &[(&str, &str)]) -> JsonRegistry {
    let flat: Flat = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    JsonRegistry::make(&flat).unwrap()
}

fn fetched(schema: &str) -> Fetched {
    let other = ("other.json".to_owned(), r#"{"$defs":{"Name":{"type":"string"}}}"#.to_owned());
    Fetched { references: vec![other], ..alone::<JsonRegistry>(schema.to_owned()) }
}

fn read(converter: &JsonRegistry, schema: &str, payload: &str) -> Result<Datum> {
    converter.reader(&fetched(schema), Some(2))?.read(&Bytes::copy_from_slice(payload.as_bytes()))
}

fn text(text: &str) -> Value {
    Value::Str(Text::from(text))
}

fn map(fields: &[(&str, Value)]) -> Value {
    Value::Map(fields.iter().map(|(name, value)| (Text::from(*name), value.clone())).collect())
}

const ORDER: &str = r##"{"type":"object","title":"Order","description":"an order","required":["id"],"properties":{
  "id":{"type":"integer","connect.index":1},
  "ratio":{"type":"number","connect.index":0},
  "small":{"type":"integer","connect.type":"int8","connect.index":2},
  "at":{"type":"integer","title":"org.apache.kafka.connect.data.Timestamp","connect.version":1,"connect.type":"int64","connect.index":3},
  "price":{"type":"string","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2"},"connect.index":4},
  "note":{"oneOf":[{"type":"null"},{"type":"string"}],"connect.index":5},
  "any":{"oneOf":[{"type":"integer"},{"type":"string"},{"type":"object","properties":{"a":{"type":"integer"}}},{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}}}],"connect.index":6},
  "state":{"type":"string","enum":["OPEN","DONE"],"connect.index":7},
  "tags":{"type":"array","items":{"$ref":"#/definitions/Tag"},"connect.index":8},
  "sizes":{"type":"object","connect.type":"map","additionalProperties":{"type":"integer"},"connect.index":9},
  "names":{"type":"array","connect.type":"map","items":{"type":"object","properties":{"key":{"type":"integer"},"value":{"$ref":"other.json#/$defs/Name"}}},"connect.index":10},
  "child":{"$ref":"#","connect.index":11},
  "limit":{"type":"integer","default":7,"connect.index":12}},
  "definitions":{"Tag":{"type":"string"}}}"##;

#[test]
fn an_object_becomes_typed_values() {
    let payload = r#"{"id":42,"ratio":1,"small":-1,"at":5,"price":"AN4=","note":null,"any":{"a":1,"b":"x"},"state":"OPEN",
        "tags":["a"],"sizes":{"k":1},"names":[{"key":3,"value":"z"}],"child":{"id":1},"unknown":true}"#;
    let Datum::Decoded { schema: Some(schema), value: Value::Map(fields) } =
        read(&converter(&[]), ORDER, payload).unwrap()
    else {
        panic!("no struct")
    };
    assert_eq!(
        (schema.name.as_deref(), schema.version, schema.doc.as_deref()),
        (Some("Order"), Some(2), Some("an order"))
    );
    let branch = |n: usize| format!("io.confluent.connect.json.OneOf.field.{n}");
    let any = map(&[
        (&branch(0), Value::Null),
        (&branch(1), Value::Null),
        (&branch(2), Value::Null),
        (&branch(3), map(&[("a", Value::Int(1)), ("b", text("x"))])),
    ]);
    let expected = [
        ("ratio", Value::Float(1.0)),
        ("id", Value::Int(42)),
        ("small", Value::Int(-1)),
        ("at", Value::Timestamp(5)),
        ("price", Value::Decimal(Decimal { unscaled: Box::new([0, 0xde]), scale: 2 })),
        ("note", Value::Null),
        ("any", any),
        ("state", text("OPEN")),
        ("tags", Value::List(vec![text("a")])),
        ("sizes", map(&[("k", Value::Int(1))])),
        ("names", Value::List(vec![Value::List(vec![Value::Int(3), text("z")])])),
        ("child", Value::Json(Bytes::from_static(br#"{"id":1}"#))),
        ("limit", Value::Int(7)),
    ];
    for ((name, value), (expected_name, expected)) in fields.iter().zip(&expected) {
        assert_eq!((&**name, value), (*expected_name, expected));
    }
    assert_eq!(fields.len(), expected.len());
    let kind = |name: &str| schema.fields.iter().find(|field| field.name == name).unwrap().schema.kind;
    assert_eq!((kind("id"), kind("ratio"), kind("small")), (Type::Int64, Type::Float64, Type::Int8));
    // Absent fields are null, even if they are required in Connect's sense: JSON Schema has no such thing for a field.
    assert_eq!(read(&converter(&[]), ORDER, "{}").unwrap().value().field("id").unwrap(), Some(Value::Null));
}

#[test]
fn settings_change_what_schemas_become() {
    let schema = |settings: &[(&str, &str)]| {
        let converter = converter(settings);
        converter.reader(&fetched(ORDER), None).unwrap().schema
    };
    let nonrequired = schema(&[("use.optional.for.nonrequired", "true")]);
    assert!(nonrequired.fields[0].schema.optional && !nonrequired.fields[1].schema.optional);
    assert!(!schema(&[]).fields[0].schema.optional);
    let generalized = schema(&[("generalized.sum.type.support", "true")]);
    assert_eq!(&*generalized.fields[6].schema.fields[1].name, "connect_union_field_1");
    assert_eq!(parameter(&generalized.fields[7].schema, "org.apache.kafka.connect.data.Enum.DONE"), Some("1"));
    let single = r#"{"oneOf":[{"type":"integer"}]}"#;
    assert_eq!(converter(&[]).reader(&fetched(single), None).unwrap().schema.kind, Type::Int64);
    let kept = converter(&[("flatten.singleton.unions", "false")]).reader(&fetched(single), None).unwrap();
    assert_eq!(kept.schema.kind, Type::Struct);
}

#[test]
fn schemas_of_all_drafts_are_read() {
    let converter = converter(&[]);
    for (schema, payload, expected) in [
        (r#"{"type":["null","integer"]}"#, "3", Value::Int(3)),
        (r#"{"type":["integer","null"]}"#, "3", Value::Int(3)),
        (r#"{"const":"x"}"#, "\"x\"", text("x")),
        (r#"{"enum":["a","b"]}"#, "\"a\"", text("a")),
        (
            r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","$ref":"#/$defs/N","$defs":{"N":{"type":"number"}}}"##,
            "1",
            Value::Float(1.0),
        ),
        (
            r##"{"type":"object","properties":{"a":{"$ref":"#n"}},"$defs":{"x":{"$anchor":"n","type":"boolean"}}}"##,
            "{\"a\":true}",
            map(&[("a", Value::Bool(true))]),
        ),
        (
            r##"{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}}},{"$ref":"#/$defs/B"}],"$defs":{"B":{"properties":{"b":{"type":"string"}}}}}"##,
            "{\"b\":\"x\",\"a\":1}",
            map(&[("a", Value::Int(1)), ("b", text("x"))]),
        ),
        ("{}", "{\"a\":[1]}", Value::Json(Bytes::from_static(b"{\"a\":[1]}"))),
        ("true", "1", Value::Json(Bytes::from_static(b"1"))),
    ] {
        assert_eq!(read(&converter, schema, payload).unwrap().value(), expected, "{schema}");
    }
    for (schema, payload, part) in [
        (r#"{"type":"integer"}"#, "\"x\"", "a string was found"),
        (r#"{"type":"integer"}"#, "{", "not JSON"),
        (r#"{"type":"array"}"#, "[]", "did not specify the items"),
        (r#"{"type":"what"}"#, "1", "unknown type"),
        (r##"{"$ref":"#/a","a":{"$ref":"#/a"}}"##, "1", "round in circles"),
        (r#"{"$ref":"missing.json"}"#, "1", "which the registry does not name"),
        ("{", "1", "no JSON"),
    ] {
        let error = read(&converter, schema, payload).unwrap_err().chain();
        assert!(error.contains(part), "{schema}: {error}");
    }
    assert_eq!(read(&converter, r#"{"type":"integer"}"#, "null").unwrap(), Datum::Null);
}

fn field(name: &str, schema: Schema) -> Field {
    Field { name: name.into(), schema: Arc::new(schema) }
}

fn optional(schema: Schema) -> Schema {
    Schema { optional: true, ..schema }
}

#[test]
fn structs_are_written_and_read_back() {
    let mut decimal = Schema::of(Type::Bytes);
    decimal.name = Some("org.apache.kafka.connect.data.Decimal".into());
    decimal.parameters = vec![("scale".into(), "2".into())];
    let map_of = |key: Schema, value: Schema| Schema {
        key: Some(Arc::new(key)),
        element: Some(Arc::new(value)),
        ..Schema::of(Type::Map)
    };
    let mut order = Schema::of(Type::Struct);
    order.name = Some("shop.Order".into());
    order.version = Some(3);
    order.fields = vec![
        field("small", Schema::of(Type::Int16)),
        field("price", decimal),
        field("note", optional(Schema::of(Type::String))),
        field("sizes", map_of(Schema::of(Type::String), Schema::of(Type::Int64))),
        field("names", map_of(Schema::of(Type::Int32), Schema::of(Type::String))),
        field("ratio", Schema::of(Type::Float32)),
    ];
    let value = map(&[
        ("small", Value::Int(-3)),
        ("price", Value::Decimal(Decimal { unscaled: Box::new([0, 0xde]), scale: 2 })),
        ("note", Value::Null),
        ("sizes", map(&[("k", Value::Int(4))])),
        ("names", Value::List(vec![Value::List(vec![Value::Int(3), text("z")])])),
        ("ratio", Value::Float(1.5)),
    ]);
    let schema = Arc::new(order);
    for settings in [&[][..], &[("decimal.format", "NUMERIC")], &[("object.additional.properties", "false")]] {
        let converter = converter(settings);
        let target = alone::<JsonRegistry>(converter.describe(Some(&schema)).unwrap());
        let mut out = Vec::new();
        converter.writer(Some(&schema), &target).unwrap().write(&value, &mut out).unwrap();
        let written = String::from_utf8(out.clone()).unwrap();
        let expected =
            r#"{"small":-3,"price":"AN4=","note":null,"sizes":{"k":4},"names":[{"key":3,"value":"z"}],"ratio":1.5}"#;
        assert_eq!(written.replace("2.22", "\"AN4=\""), expected);
        let Datum::Decoded { schema: Some(found), value: back } =
            converter.reader(&target, None).unwrap().read(&out.into()).unwrap()
        else {
            panic!("no struct")
        };
        assert_eq!((&back, &found), (&value, &schema));
    }
    assert!(
        converter(&[("object.additional.properties", "false")])
            .describe(Some(&schema))
            .unwrap()
            .contains("\"additionalProperties\":false")
    );
    // A null that has no place is left out, and data without a schema are written as they are.
    let converter = converter(&[]);
    let mut out = Vec::new();
    values::write(Some(&schema), &map(&[("note", text("x"))]), converter.options, &mut out).unwrap();
    assert_eq!(out, br#"{"note":"x"}"#);
    let mut out = Vec::new();
    values::write(None, &Value::Json(Bytes::from_static(b"{\"a\":1.10}")), converter.options, &mut out).unwrap();
    assert_eq!(out, b"{\"a\":1.10}");
}

proptest::proptest! {
    #[test]
    fn no_payload_and_no_schema_make_the_reader_panic(
        payload in r#"[\{\}\[\]",:a-z0-9. ]{0,40}"#, schema in r##"[\{\}\[\]",:#$a-z0-9/ ]{0,40}"##
    ) {
        let _ = read(&converter(&[]), ORDER, &payload);
        let _ = read(&converter(&[]), &schema, "1");
    }
}
