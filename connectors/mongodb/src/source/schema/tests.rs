#![allow(clippy::unwrap_used)] // a test fails by panicking

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, Bson, DateTime, Document, Timestamp, doc, serialize_to_vec, spec::BinarySubtype};

use super::super::config::{KEY_SCHEMA, VALUE_SCHEMA};
use super::*;

fn field(kind: &str, value: impl Into<Bson>) -> Result<Value> {
    let schema =
        avro(&format!(r#"{{"type": "record", "name": "r", "fields": [{{"name": "f", "type": {kind}}}]}}"#)).unwrap();
    let document = serialize_to_vec(&doc! { "f": value.into() }).unwrap();
    super::value(&schema, &document, Mode::Strict)?.field("f").map(|found| found.unwrap())
}

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

#[test]
fn values_are_made_to_fit_as_the_peer_does() {
    let oid = ObjectId::parse_str("507f1f77bcf86cd799439011").unwrap();
    let bytes = Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2] };
    for (kind, value, expected) in [
        (r#""long""#, Bson::Int32(5), Value::Int(5)),
        (r#""int""#, Bson::Int64(1 << 40 | 7), Value::Int(7)),
        (r#""int""#, Bson::Double(2.9), Value::Int(2)),
        (r#""double""#, Bson::Int64(3), Value::Float(3.0)),
        (r#""long""#, Bson::DateTime(DateTime::from_millis(77)), Value::Int(77)),
        (r#""long""#, Bson::Timestamp(Timestamp { time: 5, increment: 3 }), Value::Int(5000)),
        (r#""string""#, Bson::Int32(5), text("5")),
        (r#""string""#, Bson::ObjectId(oid), text(r#"{"$oid": "507f1f77bcf86cd799439011"}"#)),
        (r#""string""#, Bson::Document(doc! { "a": "b" }), text(r#"{"a": "b"}"#)),
        (r#""string""#, Bson::Array(vec![Bson::Int32(1)]), text("[1]")),
        (r#""bytes""#, Bson::String("ü".into()), Value::Bytes("ü".as_bytes().to_vec().into())),
        (r#""bytes""#, Bson::Binary(bytes), Value::Bytes(vec![1, 2].into())),
        (r#"["null", "string"]"#, Bson::Null, Value::Null),
        (r#"{"type": "array", "items": "long"}"#, Bson::Array(vec![Bson::Int32(1)]), Value::List(vec![Value::Int(1)])),
        (
            r#"{"type": "map", "values": "int"}"#,
            Bson::Document(doc! { "a": 1 }),
            Value::Map(vec![("a".into(), Value::Int(1))]),
        ),
    ] {
        assert_eq!(field(kind, value.clone()).unwrap(), expected, "{kind} of {value}");
    }
    for (kind, value, message) in [
        (r#""long""#, Bson::String("5".into()), "Schema type of int64 but value was of type: string"),
        (r#""boolean""#, Bson::Int32(1), "Schema type of boolean but value was of type: int32"),
        (r#""bytes""#, Bson::ObjectId(oid), "Schema type of bytes but value was of type: object_id"),
    ] {
        assert_eq!(field(kind, value).unwrap_err().to_string(), message);
    }
}

#[test]
fn the_peers_default_schemas_are_read() {
    for schema in [KEY_SCHEMA, VALUE_SCHEMA] {
        avro(schema).unwrap();
    }
    let schema = avro(VALUE_SCHEMA).unwrap();
    let event = doc! { "_id": { "_data": "82" }, "ns": { "db": "d" }, "updateDescription": { "removedFields": ["x"] } };
    let value = super::value(&schema, &serialize_to_vec(&event).unwrap(), Mode::Strict).unwrap();
    assert_eq!(value.path("_id").unwrap(), Some(text(r#"{"_data": "82"}"#)));
    assert_eq!(value.path("ns.coll").unwrap(), Some(Value::Null));
    assert_eq!(value.path("updateDescription.removedFields").unwrap(), Some(Value::List(vec![text("x")])));
}

#[test]
fn what_avro_has_and_the_peer_has_not_is_refused() {
    let record =
        |kind: &str| format!(r#"{{"type": "record", "name": "r", "fields": [{{"name": "f", "type": {kind}}}]}}"#);
    for (schema, message) in [
        (r#""string""#.to_owned(), "Only Record schemas are supported at the top-level."),
        (record(r#""null""#), "Field 'f' is invalid. Unsupported Avro schema type: 'NULL'."),
        (record(r#"["int", "string"]"#), "Field 'f' is invalid. Union Schemas are not supported"),
        (
            record(r#"{"type": "enum", "name": "e", "symbols": ["a"]}"#),
            "Field 'f' is invalid. Unsupported Avro schema type: 'ENUM'",
        ),
        (record(r#""r""#), "Field 'f' is invalid. The record r contains itself"),
        (record(r#""unknown""#), "Field 'f' is invalid. Invalid Avro schema. \"unknown\" is not a defined name."),
        ("{".to_owned(), "Invalid Avro schema."),
    ] {
        let error = avro(&schema).unwrap_err();
        assert!(error.starts_with(message), "{schema}: {error}");
    }
}

fn inferred(document: &Document) -> std::sync::Arc<Schema> {
    Inferrer::default().schema(&serialize_to_vec(document).unwrap()).unwrap()
}

#[test]
fn schemas_are_inferred_as_the_peer_infers_them() {
    let document = doc! {
        "z": 1, "_id": 1_i64, "a": { "_id": 1, "x": [{ "p": 1 }, { "q": "s", "p": Bson::Null }] }, "n": Bson::Null,
        "mixed": [1, "s"], "empty": [], "d": "1.50".parse::<mongodb::bson::Decimal128>().unwrap(), "t": DateTime::now(),
    };
    let schema = inferred(&document);
    assert_eq!((schema.name.as_deref(), schema.optional), (Some("default"), false));
    let names: Vec<&str> = schema.fields.iter().map(|field| &*field.name).collect();
    assert_eq!(names, ["_id", "a", "d", "empty", "mixed", "n", "t", "z"]);
    let of = |name: &str| &schema.fields.iter().find(|field| field.name == name).unwrap().schema;
    assert!(schema.fields.iter().all(|field| field.schema.optional));
    assert_eq!(of("n").kind, Type::String);
    assert_eq!(of("mixed").element.as_ref().unwrap().kind, Type::String);
    assert_eq!(of("empty").name.as_deref(), Some("empty"));
    assert_eq!(
        (of("d").name.as_deref(), &of("d").parameters[..]),
        (Some(DECIMAL), &[("scale".into(), "2".into())][..])
    );
    assert_eq!(of("t").name.as_deref(), Some(TIMESTAMP));
    let x = &of("a").fields[1].schema;
    assert_eq!((of("a").name.as_deref(), x.name.as_deref()), (Some("a"), Some("a_x")));
    let element = x.element.as_ref().unwrap();
    assert_eq!(element.fields.iter().map(|field| &*field.name).collect::<Vec<_>>(), ["p", "q"]);
    assert_eq!(element.fields[0].schema.kind, Type::Int32, "null tells nothing");
}

#[test]
fn a_field_without_a_name_has_no_schema() {
    for document in [doc! { "": 1 }, doc! { "a": { "": 1 } }, doc! { "a": [{ "": 1 }] }] {
        let error = Inferrer::default().schema(&serialize_to_vec(&document).unwrap()).unwrap_err();
        assert_eq!(error.kind(), millrace_sdk::ErrorKind::BadRecord, "{document}");
    }
}

#[test]
fn equal_documents_share_a_schema() {
    let mut inferrer = Inferrer::default();
    let one = inferrer.schema(&serialize_to_vec(&doc! { "a": 1 }).unwrap()).unwrap();
    for n in 0..100 {
        let _ = inferrer.schema(&serialize_to_vec(&doc! { format!("b{}", n % 5): 1 }).unwrap()).unwrap();
    }
    let again = inferrer.schema(&serialize_to_vec(&doc! { "a": 2 }).unwrap()).unwrap();
    assert!(Arc::ptr_eq(&one, &again));
}
