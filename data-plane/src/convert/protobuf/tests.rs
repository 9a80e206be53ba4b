use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::{Datum, Decimal, ErrorKind, Field, Flat, Result, Schema, Text, Type, Value};

use super::super::registry::{Read as _, Write as _, alone};
use super::*;

fn protobuf(settings: &[(&str, &str)]) -> Protobuf {
    let flat: Flat = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Protobuf::make(&flat).unwrap()
}

fn fetched(schema: &str) -> Fetched {
    alone::<Protobuf>(schema.to_owned())
}

fn read(protobuf: &Protobuf, schema: &str, payload: &[u8]) -> Result<Datum> {
    protobuf.reader(&fetched(schema), Some(4))?.read(&Bytes::copy_from_slice(payload))
}

fn text(text: &str) -> Value {
    Value::Str(Text::from(text))
}

fn map(fields: &[(&str, Value)]) -> Value {
    Value::Map(fields.iter().map(|(name, value)| (Text::from(*name), value.clone())).collect())
}

const EVENT: &str = r#"syntax = "proto3";
package shop;

import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/type/date.proto";
import "confluent/meta.proto";
import "confluent/type/decimal.proto";

message Other { int32 x = 1; }

message Event {
  int64 id = 1;
  uint32 size = 2;
  State state = 3;
  repeated string tags = 4;
  map<string, int32> counts = 5;
  oneof how {
    string by_mail = 6;
    Other other = 7;
  }
  google.protobuf.Timestamp at = 8;
  confluent.type.Decimal price = 9 [(confluent.field_meta) = { params: [{ key: "scale", value: "2" }] }];
  google.type.Date day = 10;
  optional int32 maybe = 11;
  Event parent = 12;
  google.protobuf.StringValue note = 13;
  map<int32, string> names = 14;
  bytes raw = 15;

  enum State { NONE = 0; OPEN = 1; }
  message Inner { bool flag = 1; }
}
"#;

/// The place of `Event`, then its fields.
fn payload() -> Vec<u8> {
    [
        &[2, 2][..],
        &[0x08, 42],                                    // id
        &[0x10, 0xff, 0xff, 0xff, 0xff, 0x0f],          // size: the largest uint32
        &[0x18, 1],                                     // state
        &[0x22, 1, b'a', 0x22, 1, b'b'],                // tags
        &[0x2a, 5, 0x0a, 1, b'k', 0x10, 7],             // counts
        &[0x3a, 2, 0x08, 9],                            // other.x
        &[0x42, 6, 0x08, 1, 0x10, 0x80, 0x89, 0x7a],    // at: 1 s and 2 000 000 ns
        &[0x4a, 6, 0x0a, 2, 0, 0xde, 0x18, 2],          // price
        &[0x52, 7, 0x08, 0xb2, 0x0f, 0x10, 1, 0x18, 2], // day: 1970-01-02
        &[0x62, 2, 0x08, 1],                            // parent.id
        &[0x6a, 3, 0x0a, 1, b'n'],                      // note
        &[0x72, 5, 0x08, 3, 0x12, 1, b'z'],             // names
    ]
    .concat()
}

#[test]
fn a_message_becomes_typed_values() {
    let Datum::Decoded { schema: Some(schema), value: Value::Map(fields) } =
        read(&protobuf(&[]), EVENT, &payload()).unwrap()
    else {
        panic!("no struct")
    };
    assert_eq!((schema.name.as_deref(), schema.version), (Some("Event"), Some(4)));
    let field = |name: &str| fields.iter().find(|(one, _)| one == name).map(|(_, value)| value.clone());
    // The fields of oneofs come first, as in Java.
    assert_eq!(&*schema.fields[0].name, "how_0");
    assert_eq!(field("how_0"), Some(map(&[("by_mail", Value::Null), ("other", map(&[("x", Value::Int(9))]))])));
    assert_eq!(field("id"), Some(Value::Int(42)));
    assert_eq!(field("size"), Some(Value::Int(4_294_967_295)));
    assert_eq!(field("state"), Some(text("OPEN")));
    assert_eq!(field("tags"), Some(Value::List(vec![text("a"), text("b")])));
    assert_eq!(field("counts"), Some(map(&[("k", Value::Int(7))])));
    assert_eq!(field("at"), Some(Value::Timestamp(1002)));
    assert_eq!(field("price"), Some(Value::Decimal(Decimal { unscaled: Box::new([0, 0xde]), scale: 2 })));
    assert_eq!(field("day"), Some(Value::Date(1)));
    assert_eq!(field("maybe"), Some(Value::Null));
    assert_eq!(field("note"), Some(map(&[("value", text("n"))])));
    assert_eq!(field("names"), Some(Value::List(vec![Value::List(vec![Value::Int(3), text("z")])])));
    assert_eq!(field("raw"), Some(Value::Bytes(Bytes::new())));
    let Some(Value::Map(parent)) = field("parent") else { panic!("no parent") };
    assert_eq!(parent.iter().find(|(name, _)| name == "id").unwrap().1, Value::Int(1));
    let of = |name: &str| &schema.fields.iter().find(|field| field.name == name).unwrap().schema;
    let parameter_of = |name: &str, parameter_name: &str| parameter(of(name), parameter_name).map(str::to_owned);
    assert_eq!(parameter_of("size", TYPE).as_deref(), Some("uint32"));
    assert_eq!(parameter_of("size", TAG).as_deref(), Some("2"));
    assert_eq!(parameter_of("state", "io.confluent.connect.protobuf.Enum.OPEN").as_deref(), Some("1"));
    assert_eq!(parameter_of("price", "scale").as_deref(), Some("2"));
    assert!(of("parent").is_recursive() && of("counts").optional);
}

#[test]
fn settings_change_what_messages_become() {
    let value = |settings: &[(&str, &str)], name: &str| {
        let Datum::Decoded { schema: Some(schema), value: Value::Map(fields) } =
            read(&protobuf(settings), EVENT, &payload()).unwrap()
        else {
            panic!("no struct")
        };
        let schema = schema.fields.iter().find(|field| field.name == name).map(|field| (*field.schema).clone());
        (schema, fields.into_iter().find(|(one, _)| one == name).map(|(_, value)| value))
    };
    assert_eq!(value(&[("int.for.enums", "true")], "state").1, Some(Value::Int(1)));
    assert_eq!(value(&[("wrapper.for.nullables", "true")], "note").1, Some(text("n")));
    assert!(!value(&[("wrapper.for.nullables", "true")], "id").0.unwrap().optional);
    assert!(value(&[("generate.index.for.unions", "false")], "how").1.is_some());
    assert_eq!(value(&[("flatten.unions", "true")], "other").1, Some(map(&[("x", Value::Int(9))])));
    let optional = value(&[("optional.for.nullables", "true")], "maybe").0.unwrap();
    assert!(optional.optional && !value(&[("optional.for.nullables", "true")], "id").0.unwrap().optional);
    let enhanced = value(&[("enhanced.protobuf.schema.support", "true")], "state").0.unwrap();
    assert_eq!(enhanced.name.as_deref(), Some("shop.Event.State"));
    let generalized = value(&[("generalized.sum.type.support", "true")], "how_0").0.unwrap();
    assert_eq!(parameter(&generalized, GENERALIZED_UNION), Some("how"));
    let generated = read(&protobuf(&[("generate.struct.for.nulls", "true")]), EVENT, &[2, 2]).unwrap().value();
    assert!(matches!(generated.field("note").unwrap(), Some(Value::Map(_))));
    assert_eq!(read(&protobuf(&[]), EVENT, &[2, 2]).unwrap().value().field("note").unwrap(), Some(Value::Null));
    let proto2 = r#"syntax = "proto2"; message M { optional int32 a = 1; }"#;
    assert_eq!(read(&protobuf(&[]), proto2, &[0]).unwrap().value(), map(&[("a", Value::Null)]));
    let plain = protobuf(&[("optional.for.proto2", "false")]);
    assert_eq!(read(&plain, proto2, &[0]).unwrap().value(), map(&[("a", Value::Int(0))]));
}

#[test]
fn messages_are_found_by_their_place() {
    let schema = r#"syntax = "proto3"; message A { map<string, int32> m = 1; message B { int32 x = 1; message C { int32 y = 1; } } }
        message D { int32 z = 1; }"#;
    let protobuf = protobuf(&[]);
    for (payload, field) in [
        (&[0, 0x0a][..], None),
        (&[2, 0][..], Some("m")),
        (&[4, 0, 0, 8, 1], Some("x")),
        (&[6, 0, 0, 0, 8, 1], Some("y")),
        (&[2, 2, 8, 1], Some("z")),
    ] {
        match (read(&protobuf, schema, payload), field) {
            (Ok(datum), Some(field)) => assert!(datum.value().field(field).unwrap().is_some(), "{payload:?}"),
            (Err(_), None) => {}
            (other, _) => panic!("{payload:?}: {other:?}"),
        }
    }
    for payload in [&[][..], &[1], &[2, 6], &[0xff; 12], &[2, 2, 0xff], &[4, 2, 2]] {
        let error = read(&protobuf, schema, payload).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRecord, "{payload:?}");
    }
    let mut out = Vec::new();
    descriptors::write_place(&[0], &mut out);
    descriptors::write_place(&[1, 70], &mut out);
    assert_eq!(out, [0, 4, 2, 0x8c, 1]);
}

fn field(name: &str, schema: Schema) -> Field {
    Field { name: name.into(), schema: Arc::new(schema) }
}

fn named(kind: Type, name: &str) -> Schema {
    Schema { name: Some(name.into()), ..Schema::of(kind) }
}

fn round_trip(protobuf: &Protobuf, schema: &Arc<Schema>, value: &Value) -> Result<Datum> {
    let target = alone::<Protobuf>(protobuf.describe(Some(schema))?);
    let mut out = Vec::new();
    protobuf.writer(Some(schema), &target)?.write(value, &mut out)?;
    protobuf.reader(&target, None)?.read(&out.into())
}

fn order() -> (Arc<Schema>, Value) {
    let mut decimal = named(Type::Bytes, "org.apache.kafka.connect.data.Decimal");
    decimal.parameters = vec![("scale".into(), "2".into())];
    let mut address = named(Type::Struct, "shop.Address");
    address.fields = vec![field("city", Schema::of(Type::String))];
    let list = |element: Schema| Schema { element: Some(Arc::new(element)), ..Schema::of(Type::Array) };
    let map_of = |key: Schema, value: Schema| Schema {
        key: Some(Arc::new(key)),
        element: Some(Arc::new(value)),
        ..named(Type::Map, "sizes")
    };
    let mut order = named(Type::Struct, "shop.Order");
    order.fields = vec![
        field("small", Schema::of(Type::Int8)),
        field("day", named(Type::Int32, "org.apache.kafka.connect.data.Date")),
        field("time", named(Type::Int32, "org.apache.kafka.connect.data.Time")),
        field("at", named(Type::Int64, "org.apache.kafka.connect.data.Timestamp")),
        field("price", decimal),
        field("note", Schema { optional: true, ..Schema::of(Type::String) }),
        field("home", address),
        field("tags", list(Schema::of(Type::String))),
        field("sizes", map_of(Schema::of(Type::String), Schema::of(Type::Int64))),
        field("ratio", Schema::of(Type::Float32)),
        field("flag", Schema::of(Type::Boolean)),
        field("raw", Schema::of(Type::Bytes)),
    ];
    let value = map(&[
        ("small", Value::Int(-3)),
        ("day", Value::Date(19_000)),
        ("time", Value::Time(3_723_004)),
        ("at", Value::Timestamp(-1)),
        ("price", Value::Decimal(Decimal { unscaled: Box::new([0, 0xde]), scale: 2 })),
        ("note", text("hey")),
        ("home", map(&[("city", text("Ulm"))])),
        ("tags", Value::List(vec![text("a"), text("b")])),
        ("sizes", map(&[("k", Value::Int(4))])),
        ("ratio", Value::Float(1.5)),
        ("flag", Value::Bool(true)),
        ("raw", Value::Bytes(Bytes::from_static(&[1, 2]))),
    ]);
    (Arc::new(order), value)
}

#[test]
fn structs_become_messages_and_back() {
    let (schema, value) = order();
    for settings in [&[][..], &[("wrapper.for.nullables", "true")], &[("optional.for.nullables", "true")]] {
        assert_eq!(round_trip(&protobuf(settings), &schema, &value).unwrap().value(), value, "{settings:?}");
    }
    let described = protobuf(&[]).describe(Some(&schema)).unwrap();
    for part in [
        "package shop;",
        "import \"google/type/date.proto\";",
        "int32 small = 1 [(confluent.field_meta)",
        "map<string, int64> sizes = 9;",
        "repeated string tags = 8;",
        "message Address {",
        "params: [{ key: \"scale\", value: \"2\" }]",
    ] {
        assert!(described.contains(part), "{part} is missing in {described}");
    }
    // What was decoded is written as it came.
    let protobuf = protobuf(&[]);
    let Datum::Decoded { schema: Some(decoded), value } = read(&protobuf, EVENT, &payload()).unwrap() else { panic!() };
    let back = round_trip(&protobuf, &decoded, &value).unwrap().value();
    for name in ["id", "size", "state", "tags", "counts", "how_0", "at", "price", "day", "names"] {
        assert_eq!(back.field(name).unwrap(), value.field(name).unwrap(), "{name}");
    }
}

#[test]
fn values_alone_are_wrapped() {
    for (kind, value, place) in [
        (Type::Int32, Value::Int(-7), 4),
        (Type::Int64, Value::Int(7), 2),
        (Type::String, text("x"), 7),
        (Type::Boolean, Value::Bool(true), 6),
        (Type::Float64, Value::Float(0.5), 0),
        (Type::Float32, Value::Float(0.5), 1),
        (Type::Bytes, Value::Bytes(Bytes::from_static(&[9])), 8),
    ] {
        let schema = Arc::new(Schema::of(kind));
        let back = round_trip(&protobuf(&[]), &schema, &value).unwrap();
        assert_eq!(back.value(), value);
        let wrapped = round_trip(&protobuf(&[("wrapper.for.raw.primitives", "false")]), &schema, &value).unwrap();
        assert_eq!(wrapped.value(), map(&[("value", value)]), "{place}");
    }
    let list = Schema { element: Some(Arc::new(Schema::of(Type::Int32))), ..Schema::of(Type::Array) };
    assert!(protobuf(&[]).describe(Some(&list)).unwrap_err().to_string().contains("Unsupported root schema"));
    assert!(protobuf(&[]).describe(None).unwrap_err().to_string().contains("needs data with a schema"));
}

#[test]
fn what_does_not_fit_is_named() {
    let (schema, _) = order();
    let protobuf = protobuf(&[]);
    let error = round_trip(&protobuf, &schema, &map(&[("day", text("x"))])).unwrap_err().chain();
    assert!(error.contains("the field day cannot be written"), "{error}");
    assert!(read(&protobuf, "message {", &[0]).unwrap_err().chain().contains("cannot be parsed"));
}

proptest::proptest! {
    #[test]
    fn no_payload_makes_the_reader_panic(payload in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64)) {
        let protobuf = protobuf(&[]);
        let reader = protobuf.reader(&fetched(EVENT), None).unwrap();
        let _ = reader.read(&payload.into());
    }
}
