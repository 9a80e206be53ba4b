use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::{Datum, Decimal, ErrorKind, Field, Flat, Result, Schema, Text, Type, Value};

use super::super::registry::{Read as _, Write as _, alone};
use super::*;

fn flat(pairs: &[(&str, &str)]) -> Flat {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn avro(settings: &[(&str, &str)]) -> Avro {
    Avro::make(&flat(settings)).unwrap()
}

fn fetched(schema: &str) -> Fetched {
    alone::<Avro>(schema.to_owned())
}

fn read(avro: &Avro, schema: &str, payload: &[u8]) -> Result<Datum> {
    avro.reader(&fetched(schema), None)?.read(&Bytes::copy_from_slice(payload))
}

fn schema_of(avro: &Avro, schema: &str) -> Arc<Schema> {
    // Whatever the payload is, the schema is the same; of a record with an array it takes little.
    connect::schema(&parse(&fetched(schema)).unwrap(), avro.options, Some(3)).unwrap().unwrap()
}

fn text(text: &str) -> Value {
    Value::Str(Text::from(text))
}

fn map(fields: &[(&str, Value)]) -> Value {
    Value::Map(fields.iter().map(|(name, value)| (Text::from(*name), value.clone())).collect())
}

/// Writes data as their own schema says and reads them back.
fn round_trip(avro: &Avro, schema: Option<&Arc<Schema>>, value: &Value) -> Result<Datum> {
    let target = alone::<Avro>(avro.describe(schema.map(AsRef::as_ref))?);
    let mut out = Vec::new();
    avro.writer(schema, &target)?.write(value, &mut out)?;
    avro.reader(&target, None)?.read(&out.into())
}

const ORDER: &str = r#"{"type":"record","name":"Order","namespace":"shop","doc":"an order","fields":[
  {"name":"id","type":"long"},
  {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},
  {"name":"day","type":{"type":"int","logicalType":"date"}},
  {"name":"time","type":{"type":"int","logicalType":"time-millis"}},
  {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
  {"name":"micros","type":{"type":"long","logicalType":"timestamp-micros"}},
  {"name":"note","type":["null","string"],"default":null},
  {"name":"state","type":{"type":"enum","name":"State","symbols":["OPEN","DONE"]}},
  {"name":"hash","type":{"type":"fixed","name":"Hash","size":2}},
  {"name":"tags","type":{"type":"array","items":"string"}},
  {"name":"sizes","type":{"type":"map","values":"int"}},
  {"name":"any","type":["null","int","string","State"]},
  {"name":"small","type":{"type":"int","connect.type":"int8"}},
  {"name":"ratio","type":"float"},
  {"name":"flag","type":"boolean","default":true}]}"#;

fn order_bytes() -> Vec<u8> {
    let mut bytes = vec![0x54, 0x04, 0x00, 0xde, 0x02, 0x02, 0x02, 0x02];
    bytes.extend_from_slice(&[0x02, 0x06, b'h', b'e', b'y', 0x02, 0xab, 0xcd]);
    // A block with its length in bytes: one item of two bytes
    bytes.extend_from_slice(&[0x01, 0x04, 0x02, b'a', 0x00]);
    bytes.extend_from_slice(&[0x02, 0x02, b'k', 0x08, 0x00]);
    bytes.extend_from_slice(&[0x04, 0x02, b'x', 0x01, 0x00, 0x00, 0xc0, 0x3f, 0x01]);
    bytes
}

#[test]
fn a_record_becomes_typed_values() {
    let Datum::Decoded { schema: Some(schema), value: Value::Map(fields) } =
        read(&avro(&[]), ORDER, &order_bytes()).unwrap()
    else {
        panic!("no struct")
    };
    assert_eq!((schema.kind, schema.name.as_deref(), schema.fields.len()), (Type::Struct, Some("shop.Order"), 15));
    let expected = [
        ("id", Value::Int(42)),
        ("price", Value::Decimal(Decimal { unscaled: Box::new([0, 0xde]), scale: 2 })),
        ("day", Value::Date(1)),
        ("time", Value::Time(1)),
        ("at", Value::Timestamp(1)),
        ("micros", Value::Int(1)),
        ("note", text("hey")),
        ("state", text("DONE")),
        ("hash", Value::Bytes(Bytes::from_static(&[0xab, 0xcd]))),
        ("tags", Value::List(vec![text("a")])),
        ("sizes", map(&[("k", Value::Int(4))])),
        ("any", map(&[("int", Value::Null), ("string", text("x")), ("State", Value::Null)])),
        ("small", Value::Int(-1)),
        ("ratio", Value::Float(1.5)),
        ("flag", Value::Bool(true)),
    ];
    for ((name, value), (expected_name, expected)) in fields.iter().zip(&expected) {
        assert_eq!((&**name, value), (*expected_name, expected));
    }
}

#[test]
fn schemas_become_connects() {
    let schema = schema_of(&avro(&[]), ORDER);
    assert_eq!(schema.version, Some(3));
    let parameter = |schema: &Schema, name: &str| {
        schema.parameters.iter().find(|(one, _)| one == name).map(|(_, value)| value.to_string())
    };
    let field = |name: &str| Arc::clone(&schema.fields.iter().find(|field| field.name == name).unwrap().schema);
    assert_eq!(parameter(&schema, "io.confluent.connect.avro.record.doc").as_deref(), Some("an order"));
    assert_eq!(parameter(&field("price"), "scale").as_deref(), Some("2"));
    assert_eq!(parameter(&field("price"), "connect.decimal.precision").as_deref(), Some("10"));
    assert_eq!(
        (field("day").name.as_deref(), field("day").version),
        (Some("org.apache.kafka.connect.data.Date"), Some(1))
    );
    assert_eq!((field("note").kind, field("note").optional, field("note").default.clone()), (Type::String, true, None));
    assert_eq!(parameter(&field("state"), "io.confluent.connect.avro.Enum.OPEN").as_deref(), Some("OPEN"));
    assert_eq!(field("state").name.as_deref(), Some("shop.State"));
    assert_eq!(parameter(&field("hash"), "connect.fixed.size").as_deref(), Some("2"));
    assert_eq!((field("any").name.as_deref(), field("any").optional), (Some("io.confluent.connect.avro.Union"), true));
    assert_eq!(field("small").kind, Type::Int8);
    assert_eq!(field("flag").default, Some(Value::Bool(true)));
    assert_eq!(parameter(&field("flag"), "io.confluent.connect.avro.field.default").as_deref(), Some("true"));

    let enhanced = schema_of(&avro(&[("enhanced.avro.schema.support", "true")]), ORDER);
    assert!(enhanced.fields[11].schema.fields.iter().any(|field| field.name == "shop.State"));
    let generalized = schema_of(&avro(&[("generalized.sum.type.support", "true")]), ORDER);
    let union = &generalized.fields[11].schema;
    assert_eq!(parameter(union, "org.apache.kafka.connect.data.Union").as_deref(), Some("connect_union_0"));
    assert_eq!(&*union.fields[0].name, "connect_union_field_1");
    assert_eq!(
        parameter(&generalized.fields[7].schema, "org.apache.kafka.connect.data.Enum.DONE").as_deref(),
        Some("1")
    );
    let bare = schema_of(&avro(&[("connect.meta.data", "false")]), ORDER);
    assert_eq!(bare.parameters, []);
    let singleton = r#"{"type":"record","name":"R","fields":[{"name":"a","type":["int"]}]}"#;
    assert_eq!(schema_of(&avro(&[]), singleton).fields[0].schema.kind, Type::Int32);
    let kept = schema_of(&avro(&[("flatten.singleton.unions", "false")]), singleton);
    assert_eq!(kept.fields[0].schema.kind, Type::Struct);
    let discarding = schema_of(
        &avro(&[("discard.type.doc.default", "true")]),
        r#"{"type":"record","name":"R","doc":"d","fields":[{"name":"a","type":"int","doc":"e","default":1}]}"#,
    );
    assert_eq!((discarding.doc.as_deref(), discarding.fields[0].schema.doc.as_deref()), (Some("d"), Some("e")));
    assert!(discarding.fields[0].schema.parameters.is_empty());
}

#[test]
fn what_is_malformed_is_refused() {
    let avro = avro(&[]);
    let record = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
    for (schema, payload, part) in [
        (record, &[][..], "ends too early"),
        (record, &[0xff, 0xff, 0xff, 0xff, 0x7f], "does not fit 32 bits"),
        ("\"long\"", &[0xff; 12], "more than 64 bits"),
        ("\"string\"", &[0x01], "a length below zero"),
        ("\"string\"", &[0x0a, b'a'], "ends too early"),
        (r#"["null","int"]"#, &[0x04], "no branch 2"),
        (r#"["null","int"]"#, &[0x01], "no branch -1"),
        (r#"{"type":"enum","name":"E","symbols":["A"]}"#, &[0x02], "no symbol 1"),
        (r#"{"type":"array","items":"int"}"#, &[0xfe, 0xff, 0xff, 0xff, 0x0f], "longer than the payload"),
        (r#"{"type":"array","items":"int"}"#, &[0xff; 9], "ends too early"),
        (r#"{"type":"int","logicalType":"time-millis"}"#, &[0x01], "a time must be"),
        (r#"{"type":"int","connect.type":"int8"}"#, &[0x80, 0x04], "does not fit INT8"),
        ("\"null\"", &[], "Standalone null"),
        (r#"{"type":"record","name":"R"}"#, &[], "without \"fields\""),
        (r#"{"type":"what"}"#, &[], "is not defined"),
        ("{", &[], "not JSON"),
        (r#"[{"type":"fixed","name":"a.F","size":1},{"type":"fixed","name":"b.F","size":1}]"#, &[], "Multiple union"),
    ] {
        let error = read(&avro, schema, payload).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRecord);
        assert!(error.chain().contains(part), "{schema}: {}", error.chain());
    }
    // Text that is no UTF-8 is read as Java reads it, and what follows a value is passed over.
    assert_eq!(read(&avro, "\"string\"", &[0x02, 0xff]).unwrap().value(), text("\u{fffd}"));
    assert_eq!(read(&avro, "\"int\"", &[0x02, 0x00]).unwrap().value(), Value::Int(1));
    // Bytes at the top have no length.
    assert_eq!(read(&avro, "\"bytes\"", &[1, 2]).unwrap().value(), Value::Bytes(Bytes::from_static(&[1, 2])));
    let singly = read(&avro, r#"[ "bytes" ]"#, &[0, 2, 1]).unwrap().value();
    assert_eq!(singly, Value::Bytes(Bytes::from_static(&[1])));
}

const TREE: &str = r#"{"type":"record","name":"Tree","fields":[{"name":"value","type":"int"},
    {"name":"left","type":["null","Tree"],"default":null},{"name":"more","type":{"type":"array","items":"Tree"}}]}"#;

#[test]
fn a_recursive_record_is_read_and_written() {
    let avro = avro(&[]);
    let datum = read(&avro, TREE, &[2, 2, 4, 0, 0, 2, 6, 0, 0, 0]).unwrap();
    let leaf = |n| map(&[("value", Value::Int(n)), ("left", Value::Null), ("more", Value::List(vec![]))]);
    let tree = map(&[("value", Value::Int(1)), ("left", leaf(2)), ("more", Value::List(vec![leaf(3)]))]);
    assert_eq!(datum.value(), tree);
    let Datum::Decoded { schema: Some(schema), value } = datum else { panic!("no schema") };
    assert!(schema.fields[1].schema.is_recursive() && schema.fields[1].schema.optional);
    assert_eq!(round_trip(&avro, Some(&schema), &value).unwrap().value(), tree);
    // Deep, but not deeper than later steps can take
    let mut deep = [2, 2].repeat(200);
    deep.extend_from_slice(&[2, 0, 0]);
    deep.extend_from_slice(&[0; 200]);
    assert!(read(&avro, TREE, &deep).unwrap_err().chain().contains("deeper than 128"));
}

fn field(name: &str, schema: Schema) -> Field {
    Field { name: name.into(), schema: Arc::new(schema) }
}

fn named(kind: Type, name: &str) -> Schema {
    Schema { name: Some(name.into()), ..Schema::of(kind) }
}

fn optional(schema: Schema) -> Schema {
    Schema { optional: true, ..schema }
}

#[test]
fn connects_schemas_become_the_text_that_java_registers() {
    let mut date = named(Type::Int32, "org.apache.kafka.connect.data.Date");
    date.version = Some(1);
    let mut decimal = named(Type::Bytes, "org.apache.kafka.connect.data.Decimal");
    decimal.version = Some(1);
    decimal.parameters = vec![("scale".into(), "2".into())];
    let mut address = named(Type::Struct, "shop.Address");
    address.fields = vec![field("city", Schema::of(Type::String))];
    let mut limit = optional(Schema::of(Type::Int32));
    limit.default = Some(Value::Int(7));
    let map_of = |key: Schema, value: Schema| Schema {
        key: Some(Arc::new(key)),
        element: Some(Arc::new(value)),
        ..Schema::of(Type::Map)
    };
    let mut order = named(Type::Struct, "shop.Order");
    order.version = Some(2);
    order.doc = Some("an order".into());
    order.fields = vec![
        field("small", Schema::of(Type::Int8)),
        field("day", date),
        field("price", decimal),
        field("note", optional(Schema::of(Type::String))),
        field("limit", limit),
        field("home", address.clone()),
        field("work", optional(address)),
        field("sizes", map_of(Schema::of(Type::String), Schema::of(Type::Int64))),
        field("by_number", map_of(Schema::of(Type::Int32), Schema::of(Type::String))),
    ];
    let text = avro(&[]).describe(Some(&order)).unwrap();
    let expected = concat!(
        r#"{"type":"record","name":"Order","namespace":"shop","fields":["#,
        r#"{"name":"small","type":{"type":"int","connect.type":"int8"}},"#,
        r#"{"name":"day","type":{"type":"int","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Date","logicalType":"date"}},"#,
        r#"{"name":"price","type":{"type":"bytes","scale":2,"precision":64,"connect.version":1,"connect.parameters":{"scale":"2"},"#,
        r#""connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}},"#,
        r#"{"name":"note","type":["null","string"],"default":null},"#,
        r#"{"name":"limit","type":[{"type":"int","connect.default":7},"null"],"default":7},"#,
        r#"{"name":"home","type":{"type":"record","name":"Address","fields":[{"name":"city","type":"string"}],"connect.name":"shop.Address"}},"#,
        r#"{"name":"work","type":["null","Address"],"default":null},"#,
        r#"{"name":"sizes","type":{"type":"map","values":"long"}},"#,
        r#"{"name":"by_number","type":{"type":"array","items":{"type":"record","name":"MapEntry","namespace":"io.confluent.connect.avro","#,
        r#""fields":[{"name":"key","type":"int"},{"name":"value","type":"string"}]}}}],"#,
        r#""connect.doc":"an order","connect.version":2,"connect.name":"shop.Order"}"#
    );
    assert_eq!(text, expected);
    let bare = avro(&[("connect.meta.data", "false")]).describe(Some(&order)).unwrap();
    assert!(!bare.contains("\"connect."), "{bare}");
}

#[test]
fn names_are_made_fit_when_asked() {
    for (name, expected) in
        [("a-b", "a_b"), ("1st", "x1st"), ("a.b", "a_b"), ("ä b", "_C3_A4_b"), ("fine_1", "fine_1"), ("a$", "a_24")]
    {
        assert_eq!(names::scrubbed(name, true), expected);
        assert_eq!(names::scrubbed(name, false), name);
    }
    let mut schema = named(Type::Struct, "my-app.an-order");
    schema.fields = vec![field("a-b", Schema::of(Type::Int32))];
    let scrubbing = avro(&[("scrub.invalid.names", "true")]);
    let schema = Arc::new(schema);
    let back = round_trip(&scrubbing, Some(&schema), &map(&[("a-b", Value::Int(3))])).unwrap();
    assert_eq!(back.value(), map(&[("a_b", Value::Int(3))]));
}

#[test]
fn data_without_a_schema_are_anything() {
    let value = Value::Json(Bytes::from_static(br#"{"a":[1,"x",null,true,1.5],"b":{"c":null}}"#));
    let back = round_trip(&avro(&[]), None, &value).unwrap();
    let list = Value::List(vec![Value::Int(1), text("x"), Value::Null, Value::Bool(true), Value::Float(1.5)]);
    assert_eq!(back, Datum::schemaless(map(&[("a", list), ("b", map(&[("c", Value::Null)]))])));
}

#[test]
fn data_are_written_with_another_version_of_their_schema() {
    let avro = avro(&[]);
    let mut schema = named(Type::Struct, "R");
    schema.fields = vec![field("a", Schema::of(Type::Int32)), field("gone", Schema::of(Type::String))];
    let schema = Arc::new(schema);
    let target = fetched(
        r#"{"type":"record","name":"R","fields":[{"name":"new","type":["null","string"],"default":null},{"name":"a","type":"long"},
            {"name":"more","type":"int","default":9}]}"#,
    );
    let value = map(&[("a", Value::Int(5)), ("gone", text("x"))]);
    let mut out = Vec::new();
    avro.writer(Some(&schema), &target).unwrap().write(&value, &mut out).unwrap();
    assert_eq!(out, [0, 10, 18]);
    let strict = fetched(r#"{"type":"record","name":"R","fields":[{"name":"b","type":"int"}]}"#);
    let error = avro.writer(Some(&schema), &strict).unwrap().write(&value, &mut out).unwrap_err();
    assert!(error.chain().contains("the field b cannot be written: Found null value"), "{}", error.chain());
    // Data without a schema find their place by name, too.
    let json = Value::Json(Bytes::from_static(br#"{"a":5}"#));
    let mut out = Vec::new();
    avro.writer(None, &target).unwrap().write(&json, &mut out).unwrap();
    assert_eq!(out, [0, 10, 18]);
}

#[test]
fn data_are_read_as_another_version_of_their_schema() {
    let avro = avro(&[]);
    let written =
        fetched(r#"{"type":"record","name":"R","fields":[{"name":"gone","type":"string"},{"name":"a","type":"int"}]}"#);
    let wanted = fetched(
        r#"{"type":"record","name":"R","fields":[{"name":"new","type":["null","string"],"default":null},{"name":"a","type":"long"},
            {"name":"more","type":"int","default":9}]}"#,
    );
    let reader = avro.reader_as(&written, &wanted, Some(2)).unwrap();
    let datum = reader.read(&Bytes::from_static(&[2, b'x', 10])).unwrap();
    assert_eq!(datum.value(), map(&[("new", Value::Null), ("a", Value::Int(5)), ("more", Value::Int(9))]));
    let Datum::Decoded { schema: Some(schema), .. } = datum else { panic!("no schema") };
    assert_eq!((schema.version, schema.fields[1].schema.kind), (Some(2), Type::Int64));
    // What no default stands in for
    let strict = fetched(r#"{"type":"record","name":"R","fields":[{"name":"b","type":"int"}]}"#);
    let error = avro.reader_as(&written, &strict, None).unwrap().read(&Bytes::from_static(&[0, 10])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRecord);
    assert!(error.chain().contains('b'), "{}", error.chain());
}

#[test]
fn defaults_stand_for_nulls_unless_told_otherwise() {
    let mut limit = optional(Schema::of(Type::Int32));
    limit.default = Some(Value::Int(7));
    let mut schema = named(Type::Struct, "R");
    schema.fields = vec![field("limit", limit)];
    let schema = Arc::new(schema);
    let null = map(&[("limit", Value::Null)]);
    assert_eq!(round_trip(&avro(&[]), Some(&schema), &null).unwrap().value(), map(&[("limit", Value::Int(7))]));
    let ignoring = avro(&[("ignore.default.for.nullables", "true")]);
    assert_eq!(round_trip(&ignoring, Some(&schema), &null).unwrap().value(), null);
}

#[test]
fn two_types_of_one_name_are_refused() {
    let inner = |kind| Schema { fields: vec![field("x", Schema::of(kind))], ..named(Type::Struct, "Inner") };
    let mut schema = named(Type::Struct, "R");
    schema.fields = vec![field("a", inner(Type::Int32)), field("b", inner(Type::String))];
    assert!(avro(&[]).describe(Some(&schema)).unwrap_err().to_string().contains("Can't redefine: Inner"));
}

mod properties;
