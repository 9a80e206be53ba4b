use std::sync::Arc;

use millrace_sdk::{Bytes, Decimal, Field, Header, TopicPartition};

use super::*;

fn written(value: &Value, schema: Option<&Schema>) -> String {
    let mut out = Vec::new();
    write(value, schema, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn every_kind_of_value_has_a_form_of_its_own() {
    let map = Schema {
        key: Some(Arc::new(Schema::of(Type::Int32))),
        element: Some(Arc::new(Schema::of(Type::String))),
        ..Schema::of(Type::Map)
    };
    let pairs = Value::List(vec![Value::List(vec![Value::Int(1), Value::Str("a".into())])]);
    let cases: &[(Value, Option<&Schema>, &str)] = &[
        (Value::Null, None, "null"),
        (Value::Int(i64::MIN), None, "-9223372036854775808"),
        (Value::Float(-0.0), None, r#"{"float":"8000000000000000"}"#),
        (Value::Float(f64::NAN), None, r#"{"float":"7ff8000000000000"}"#),
        (Value::Bytes(Bytes::from_static(&[0, 255])), None, r#"{"bytes":"00ff"}"#),
        (Value::Decimal(Decimal { unscaled: Box::new([0x83]), scale: 2 }), None, r#"{"decimal":"-125e-2"}"#),
        (Value::Date(1), None, r#"{"date":"86400000"}"#),
        (pairs.clone(), Some(&map), r#"{"map":[[1,"a"]]}"#),
        (pairs, None, r#"[[1,"a"]]"#),
        (
            Value::Json(Bytes::from_static(br#"{"a":[18446744073709551615,1]}"#)),
            None,
            r#"{"map":[["a",[{"number":"18446744073709551615"},1]]]}"#,
        ),
    ];
    for (value, schema, expected) in cases {
        assert_eq!(written(value, *schema), *expected, "{value:?}");
    }
}

#[tokio::test]
async fn a_line_has_everything_and_the_last_one_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out").display().to_string();
    let task = CaptureSink { output: Output::open(path.clone()).unwrap() };
    let field = Field { name: "a".into(), schema: Arc::new(Schema::of(Type::Int8)) };
    let schema = Arc::new(Schema { fields: vec![field], ..Schema::of(Type::Struct) });
    let value = Datum::Decoded { schema: Some(schema), value: Value::Map(vec![("a".into(), Value::Int(1))]) };
    let record = Record {
        offset: 7,
        timestamp_ms: Some(5),
        timestamp_kind: TimestampKind::CreateTime,
        renamed_topic: Some("new".into()),
        key: Datum::Null,
        value,
        headers: vec![Header { key: "h".into(), value: Datum::schemaless(Value::Bool(true)) }],
    };
    let origin = TopicPartition { topic: "old".into(), partition: 2 };
    task.write(&Batch { origin, records: vec![record] }).await.unwrap();
    task.close().await.unwrap();
    let expected = r#"{"topic":"new","origin":["old",2,7],"timestamp":5,"timestampType":"CreateTime","key":{"schema":null,"value":null},"value":{"schema":{"type":"STRUCT","optional":false,"fields":[["a",{"type":"INT8","optional":false}]]},"value":{"struct":[["a",1]]}},"headers":[["h",{"schema":null,"value":true}]]}
{"closed":true}
"#;
    assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
}
