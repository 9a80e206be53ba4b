use millrace_sdk::{Field, Text};

use super::*;

/// What Kafka Connect 4.3's SimpleHeaderConverter makes of a text: the type, the value (dates in milliseconds), and the text
/// that it writes for that value.
#[rustfmt::skip]
const CONNECT: &[(&str, &str, &str, &str)] = &[
    (r#""#, r#"STRING"#, r#"''"#, r#""#),
    (r#"null"#, r#"none"#, r#"null"#, r#"-"#),
    (r#"true"#, r#"BOOLEAN"#, r#"true"#, r#"true"#),
    (r#" true "#, r#"BOOLEAN"#, r#"true"#, r#"true"#),
    (r#"false"#, r#"BOOLEAN"#, r#"false"#, r#"false"#),
    (r#"true}"#, r#"STRING"#, r#"'true}'"#, r#"true}"#),
    (r#"TRUE"#, r#"STRING"#, r#"'TRUE'"#, r#"TRUE"#),
    (r#"0"#, r#"INT8"#, r#"0"#, r#"0"#),
    (r#"-1"#, r#"INT8"#, r#"-1"#, r#"-1"#),
    (r#"127"#, r#"INT8"#, r#"127"#, r#"127"#),
    (r#"128"#, r#"INT16"#, r#"128"#, r#"128"#),
    (r#"-129"#, r#"INT16"#, r#"-129"#, r#"-129"#),
    (r#"32768"#, r#"INT32"#, r#"32768"#, r#"32768"#),
    (r#"2147483648"#, r#"INT64"#, r#"2147483648"#, r#"2147483648"#),
    (r#"9223372036854775807"#, r#"INT64"#, r#"9223372036854775807"#, r#"9223372036854775807"#),
    (r#"9223372036854775808"#, r#"Decimal(0)"#, r#"9223372036854775808"#, r#"9223372036854775808"#),
    (r#"-9223372036854775809"#, r#"Decimal(0)"#, r#"-9223372036854775809"#, r#"-9223372036854775809"#),
    (r#"+5"#, r#"INT8"#, r#"5"#, r#"5"#),
    (r#"1.0"#, r#"INT8"#, r#"1"#, r#"1"#),
    (r#"1e3"#, r#"INT16"#, r#"1000"#, r#"1000"#),
    (r#"2.5"#, r#"FLOAT32"#, r#"2.5"#, r#"2.5"#),
    (r#"3.14159265358979"#, r#"FLOAT32"#, r#"3.1415927"#, r#"3.1415927"#),
    (r#"1e30"#, r#"FLOAT32"#, r#"1.0E30"#, r#"1.0E30"#),
    (r#"1e39"#, r#"FLOAT64"#, r#"1.0E39"#, r#"1.0E39"#),
    (r#"1e400"#, r#"Decimal(-400)"#, r#"1E+400"#, r#"1E+400"#),
    (r#"1e-400"#, r#"FLOAT32"#, r#"0.0"#, r#"0.0"#),
    (r#"1.5e-50"#, r#"FLOAT32"#, r#"0.0"#, r#"0.0"#),
    (r#"-0.0"#, r#"INT8"#, r#"0"#, r#"0"#),
    (r#"0x1F"#, r#"STRING"#, r#"'0x1F'"#, r#"0x1F"#),
    (r#"1_000"#, r#"STRING"#, r#"'1_000'"#, r#"1_000"#),
    (r#"12a"#, r#"STRING"#, r#"'12a'"#, r#"12a"#),
    (r#"--1"#, r#"STRING"#, r#"'--1'"#, r#"--1"#),
    (r#"+"#, r#"STRING"#, r#"'+'"#, r#"+"#),
    (r#"-"#, r#"STRING"#, r#"'-'"#, r#"-"#),
    (r#".5"#, r#"STRING"#, r#"'.5'"#, r#".5"#),
    (r#"+.5"#, r#"FLOAT32"#, r#"0.5"#, r#"0.5"#),
    (r#"5."#, r#"INT8"#, r#"5"#, r#"5"#),
    (r#"1:2"#, r#"INT8"#, r#"1"#, r#"1"#),
    (r#"123,456"#, r#"INT8"#, r#"123"#, r#"123"#),
    (r#"1 2"#, r#"STRING"#, r#"'1 2'"#, r#"1 2"#),
    (r#" 12 "#, r#"INT8"#, r#"12"#, r#"12"#),
    (r#"abc"#, r#"STRING"#, r#"'abc'"#, r#"abc"#),
    (r#"hello world"#, r#"STRING"#, r#"'hello world'"#, r#"hello world"#),
    (r#""quoted""#, r#"STRING"#, r#"'"quoted"'"#, r#""quoted""#),
    (r#"a:b"#, r#"STRING"#, r#"'a:b'"#, r#"a:b"#),
    (r#"[]"#, r#"ARRAY<none>"#, r#"[]"#, r#"[]"#),
    (r#"[1]"#, r#"ARRAY<INT8>"#, r#"[1]"#, r#"[1]"#),
    (r#"[1,2,300]"#, r#"ARRAY<INT16>"#, r#"[1, 2, 300]"#, r#"[1,2,300]"#),
    (r#"[1, 2.5]"#, r#"ARRAY<FLOAT32>"#, r#"[1.0, 2.5]"#, r#"[1.0,2.5]"#),
    (r#"[1.5, 1e39]"#, r#"ARRAY<FLOAT64>"#, r#"[1.5, 1.0E39]"#, r#"[1.5,1.0E39]"#),
    (r#"[1,"a"]"#, r#"ARRAY<none>"#, r#"[1, 'a']"#, r#"[1,"a"]"#),
    (r#"["a","b"]"#, r#"ARRAY<STRING>"#, r#"['a', 'b']"#, r#"["a","b"]"#),
    (r#"[null]"#, r#"ARRAY<none>"#, r#"[null]"#, r#"[null]"#),
    (r#"[1,null]"#, r#"STRING"#, r#"'[1,null]'"#, r#"[1,null]"#),
    (r#"[1,]"#, r#"ARRAY<INT8>"#, r#"[1]"#, r#"[1]"#),
    (r#"[,1]"#, r#"STRING"#, r#"'[,1]'"#, r#"[,1]"#),
    (r#"[1 2]"#, r#"STRING"#, r#"'[1 2]'"#, r#"[1 2]"#),
    (r#"[1"#, r#"STRING"#, r#"'[1'"#, r#"[1"#),
    (r#"[abc]"#, r#"STRING"#, r#"'[abc]'"#, r#"[abc]"#),
    (r#"[true,false]"#, r#"ARRAY<BOOLEAN>"#, r#"[true, false]"#, r#"[true,false]"#),
    (r#"[[1],[2,3]]"#, r#"ARRAY<ARRAY<INT8>>"#, r#"[[1], [2, 3]]"#, r#"[[1],[2,3]]"#),
    (r#"{}"#, r#"MAP<none,none>"#, r#"{}"#, r#"{}"#),
    (r#"{"a":1}"#, r#"MAP<STRING,INT8>"#, r#"{'a'=1}"#, r#"{"a":1}"#),
    (r#"{"a":1,"b":2000}"#, r#"MAP<STRING,INT16>"#, r#"{'a'=1, 'b'=2000}"#, r#"{"a":1,"b":2000}"#),
    (r#"{"a":1,"b":"x"}"#, r#"MAP<STRING,none>"#, r#"{'a'=1, 'b'='x'}"#, r#"{"a":1,"b":"x"}"#),
    (r#"{"a":null}"#, r#"MAP<STRING,none>"#, r#"{'a'=null}"#, r#"{"a":null}"#),
    (r#"{1:2}"#, r#"MAP<INT8,INT8>"#, r#"{1=2}"#, r#"{1:2}"#),
    (r#"{1:"x",200:"y"}"#, r#"MAP<INT16,STRING>"#, r#"{1='x', 200='y'}"#, r#"{1:"x",200:"y"}"#),
    (r#"{a:1}"#, r#"STRING"#, r#"'{a:1}'"#, r#"{a:1}"#),
    (r#"{"a":1"#, r#"STRING"#, r#"'{"a":1'"#, r#"{"a":1"#),
    (r#"{"a"}"#, r#"STRING"#, r#"'{"a"}'"#, r#"{"a"}"#),
    (r#"{"a":1 "b":2}"#, r#"MAP<STRING,INT8>"#, r#"{'a'=1, 'b'=2}"#, r#"{"a":1,"b":2}"#),
    (r#"{"a":{"b":[1]}}"#, r#"MAP<STRING,MAP<STRING,ARRAY<INT8>>>"#, r#"{'a'={'b'=[1]}}"#, r#"{"a":{"b":[1]}}"#),
    (r#"2019-08-23"#, r#"Date"#, r#"ms1566518400000"#, r#"2019-08-23"#),
    (r#"2019-13-45"#, r#"Date"#, r#"ms1581638400000"#, r#"2020-02-14"#),
    (r#"12-34-5678"#, r#"Date"#, r#"ms-61211462400000"#, r#"00:00:00.000Z"#),
    (r#"1234567890"#, r#"INT32"#, r#"1234567890"#, r#"1234567890"#),
    (r#"14:34:54.346Z"#, r#"Time"#, r#"ms52494346"#, r#"14:34:54.346Z"#),
    (r#"25:61:61.999Z"#, r#"Time"#, r#"ms93721999"#, r#"1970-01-02T02:02:01.999Z"#),
    (r#"2019-08-23T14:34:54.346Z"#, r#"Timestamp"#, r#"ms1566570894346"#, r#"2019-08-23T14:34:54.346Z"#),
    (r#"2019-08-23T14\:34\:54.346Z"#, r#"Timestamp"#, r#"ms1566570894346"#, r#"2019-08-23T14:34:54.346Z"#),
    (r#""2019-08-23T14:34:54.346Z""#, r#"STRING"#, r#"'"2019-08-23T14:34:54.346Z"'"#, r#""2019-08-23T14:34:54.346Z""#),
    (r#"["2019-08-23T14:34:54.346Z"]"#, r#"ARRAY<Timestamp>"#, r#"[ms1566570894346]"#, r#"[2019-08-23T14:34:54.346Z]"#),
    (r#"[2019-08-23]"#, r#"ARRAY<Date>"#, r#"[ms1566518400000]"#, r#"[2019-08-23]"#),
    (r#"["2019-08-23","2020-01-01"]"#, r#"ARRAY<Date>"#, r#"[ms1566518400000, ms1577836800000]"#, r#"[2019-08-23,2020-01-01]"#),
    (r#"2019-08-23x"#, r#"STRING"#, r#"'2019-08-23x'"#, r#"2019-08-23x"#),
    (r#"2019-08-23 10"#, r#"STRING"#, r#"'2019-08-23 10'"#, r#"2019-08-23 10"#),
    (r#"1969-12-31T23:59:59.999Z"#, r#"Timestamp"#, r#"ms-1"#, r#"23:59:59.999Z"#),
    (r#"["a\"b"]"#, r#"ARRAY<STRING>"#, r#"['a\"b']"#, r#"["a\\\"b"]"#),
    (r#"["a: :b"]"#, r#"ARRAY<STRING>"#, r#"['a::b']"#, r#"["a::b"]"#),
    (r#"["  "]"#, r#"ARRAY<STRING>"#, r#"['']"#, r#"[""]"#),
    (r#"   "#, r#"STRING"#, r#"'   '"#, r#"   "#),
    (r#" {x"#, r#"STRING"#, r#"' '"#, r#" "#),
    (r#"  [1]"#, r#"ARRAY<INT8>"#, r#"[1]"#, r#"[1]"#),
    (r#"héllo"#, r#"STRING"#, r#"'héllo'"#, r#"héllo"#),
    (r#"12:34:56"#, r#"INT8"#, r#"12"#, r#"12"#),
    (r#"[12345678901234567890]"#, r#"ARRAY<Decimal(0)>"#, r#"[12345678901234567890]"#, r#"[12345678901234567890]"#),
    (r#"[1,12345678901234567890]"#, r#"ARRAY<none>"#, r#"[1, 12345678901234567890]"#, r#"[1,12345678901234567890]"#),
    (r#"[1,2019-08-23]"#, r#"ARRAY<Date>"#, r#"[ms86400000, ms1566518400000]"#, r#"[1970-01-02,2019-08-23]"#),
    (r#"{"a":1,"a":2}"#, r#"MAP<STRING,INT8>"#, r#"{'a'=2}"#, r#"{"a":2}"#),
    (r#"a\:b"#, r#"STRING"#, r#"'a\:b'"#, r#"a\:b"#),
    (r#"nul"#, r#"STRING"#, r#"'nul'"#, r#"nul"#),
    (r#"null}"#, r#"STRING"#, r#"'null}'"#, r#"null}"#),
    (r#"[nullx]"#, r#"STRING"#, r#"'[nullx]'"#, r#"[nullx]"#),
    (r#"["a" ]"#, r#"ARRAY<STRING>"#, r#"['a']"#, r#"["a"]"#),
    (r#"[ "a"]"#, r#"ARRAY<STRING>"#, r#"['a']"#, r#"["a"]"#),
    (r#"99999999999999999999.5"#, r#"FLOAT32"#, r#"1.0E20"#, r#"1.0E20"#),
    (r#"0.1"#, r#"FLOAT32"#, r#"0.1"#, r#"0.1"#),
    (r#"16777217.5"#, r#"FLOAT32"#, r#"1.6777218E7"#, r#"1.6777218E7"#),
    (r#"1e5"#, r#"INT32"#, r#"100000"#, r#"100000"#),
    (r#"100000"#, r#"INT32"#, r#"100000"#, r#"100000"#),
    (r#"00012"#, r#"INT8"#, r#"12"#, r#"12"#),
    (r#"1E+2"#, r#"INT8"#, r#"100"#, r#"100"#),
    (r#"1.10"#, r#"FLOAT32"#, r#"1.1"#, r#"1.1"#),
    (r#"Infinity"#, r#"STRING"#, r#"'Infinity'"#, r#"Infinity"#),
    (r#"NaN"#, r#"STRING"#, r#"'NaN'"#, r#"NaN"#),
    (r#"{"k":true,"l":false}"#, r#"MAP<STRING,BOOLEAN>"#, r#"{'k'=true, 'l'=false}"#, r#"{"k":true,"l":false}"#),
    (r#"[{"a":1},{"b":2}]"#, r#"ARRAY<MAP<STRING,INT8>>"#, r#"[{'a'=1}, {'b'=2}]"#, r#"[{"a":1},{"b":2}]"#),
    (r#"[[1],["a"]]"#, r#"ARRAY<ARRAY<STRING>>"#, r#"[[1], ['a']]"#, r#"[[1],["a"]]"#),
    (r#"[-1, +2]"#, r#"ARRAY<INT8>"#, r#"[-1, 2]"#, r#"[-1,2]"#),
    (r#"2019-08-23T14:34:54.346+0000"#, r#"STRING"#, r#"'2019-08-23T14:34:54.346+0000'"#, r#"2019-08-23T14:34:54.346+0000"#),
    (r#"2019-02-29"#, r#"Date"#, r#"ms1551398400000"#, r#"2019-03-01"#),
    (r#"0001-01-01"#, r#"Date"#, r#"ms-62135769600000"#, r#"00:00:00.000Z"#),
    (r#"[1:2]"#, r#"STRING"#, r#"'[1:2]'"#, r#"[1:2]"#),
    (r#"{"a":1,}"#, r#"MAP<STRING,INT8>"#, r#"{'a'=1}"#, r#"{"a":1}"#),
    (r#"{,}"#, r#"STRING"#, r#"'{,}'"#, r#"{,}"#),
    (r#"[""]"#, r#"ARRAY<STRING>"#, r#"['']"#, r#"[""]"#),
    (r#"""#, r#"STRING"#, r#"'"'"#, r#"""#),
    (r#"["abc"#, r#"STRING"#, r#"'["abc'"#, r#"["abc"#),
    (r#"1969-12-31"#, r#"Date"#, r#"ms-86400000"#, r#"00:00:00.000Z"#),
];

fn converter() -> Box<dyn Converter> {
    SimpleHeaderConverter::make(&Flat::new()).unwrap()
}

fn schema_text(schema: Option<&Schema>) -> String {
    let Some(schema) = schema else { return "none".to_owned() };
    let part = |part: &Option<Arc<Schema>>| schema_text(part.as_deref());
    match (&schema.name, schema.kind) {
        (Some(name), _) => {
            let name = name.rsplit('.').next().unwrap_or_default();
            let scale = schema.parameters.first().map(|(_, scale)| format!("({scale})")).unwrap_or_default();
            format!("{name}{scale}")
        }
        (None, Type::Array) => format!("ARRAY<{}>", part(&schema.element)),
        (None, Type::Map) => format!("MAP<{},{}>", part(&schema.key), part(&schema.element)),
        (None, kind) => super::super::connect_name(kind).to_owned(),
    }
}

fn value_text(value: &Value, schema: Option<&Schema>) -> String {
    let element = schema.and_then(|schema| schema.element.as_deref());
    let is_map = schema.is_some_and(|schema| schema.kind == Type::Map);
    match value {
        Value::Str(text) => format!("'{text}'"),
        Value::Date(days) => format!("ms{}", i64::from(*days) * 86_400_000),
        Value::Time(millis) => format!("ms{millis}"),
        Value::Timestamp(millis) => format!("ms{millis}"),
        Value::List(items) if is_map => {
            let pairs = items.iter().map(|pair| match pair {
                Value::List(pair) => format!("{}={}", value_text(&pair[0], None), value_text(&pair[1], element)),
                _ => panic!("no pair"),
            });
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::List(items) => {
            format!("[{}]", items.iter().map(|item| value_text(item, element)).collect::<Vec<_>>().join(", "))
        }
        Value::Map(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("'{name}'={}", value_text(value, element)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        scalar => {
            let mut out = String::new();
            let schema = schema.cloned().map(Arc::new);
            millrace_sdk::java::print(&Datum::Decoded { schema, value: scalar.clone() }, &mut out).unwrap();
            out
        }
    }
}

#[test]
fn texts_are_read_and_written_as_connect_does() {
    let converter = converter();
    for (text, schema, value, back) in CONNECT {
        let datum = converter.decode("", &[Some(Bytes::copy_from_slice(text.as_bytes()))]).remove(0).unwrap();
        let encoded = converter.encode("", &[&datum]).remove(0).unwrap();
        if *schema == "none" {
            assert_eq!((datum, encoded), (Datum::Null, None), "{text}");
            continue;
        }
        let Datum::Decoded { schema: Some(found), value: found_value } = &datum else { panic!("{text}: {datum:?}") };
        assert_eq!(schema_text(Some(found)), *schema, "{text}");
        assert_eq!(value_text(found_value, Some(found)), *value, "{text}");
        assert_eq!(String::from_utf8_lossy(&encoded.unwrap()), *back, "{text}");
    }
}

#[test]
fn values_are_written_as_connect_writes_them() {
    let text = |text: &'static str| Value::Str(Text::from_static(text));
    let number = |text| Value::Decimal(millrace_sdk::Decimal::parse(text).unwrap());
    for (value, expected) in [
        (text("a"), "a"),
        (Value::Float(1e30), "1.0E30"),
        (Value::Float(1e7), "1.0E7"),
        (Value::Float(f64::NAN), "NaN"),
        (Value::Bytes(Bytes::from_static(&[1, 2, 3])), "AQID"),
        (Value::List(vec![Value::Bytes(Bytes::from_static(&[1]))]), "[\"AQ==\"]"),
        (Value::List(vec![text("a\"b\\c")]), "[\"a\\\"b\\\\c\"]"),
        (Value::Timestamp(0), "00:00:00.000Z"),
        (Value::Timestamp(86_400_000), "1970-01-02"),
        (Value::Timestamp(86_400_001), "1970-01-02T00:00:00.001Z"),
        (Value::Timestamp(-1), "23:59:59.999Z"),
        (number("1E+30"), "1E+30"),
        (number("0.0000001"), "1E-7"),
        (Value::Json(Bytes::from_static(b"{\"a\":[1,\"x\"]}")), "{\"a\":[1,\"x\"]}"),
    ] {
        let encoded = converter().encode("", &[&Datum::schemaless(value)]).remove(0).unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&encoded), expected);
    }
    let mut schema = Schema::of(Type::Struct);
    schema.fields = vec![Field { name: "f".into(), schema: Arc::new(Schema::of(Type::Float32)) }];
    let value = Value::Map(vec![("f".into(), Value::Float(f64::from(0.1_f32)))]);
    let datum = Datum::Decoded { schema: Some(Arc::new(schema)), value };
    assert_eq!(converter().encode("", &[&datum]).remove(0).unwrap().unwrap(), "{\"f\":0.1}");
}

#[test]
fn what_was_not_decoded_passes_and_what_cannot_be_read_stays_bytes() {
    let raw = Bytes::from_static(b"\xff\x00");
    assert_eq!(converter().encode("", &[&Datum::Encoded(raw.clone())]).remove(0).unwrap(), Some(raw));
    let deep = Bytes::from("[".repeat(100_000));
    let read = converter().decode("", &[Some(deep.clone())]).remove(0).unwrap();
    assert_eq!(read.value(), Value::Bytes(deep));
    assert_eq!(converter().decode("", &[None]).remove(0).unwrap(), Datum::Null);
}

proptest::proptest! {
    /// Whatever the text: reading ends, and what was read can be written.
    #[test]
    fn every_text_can_be_read_and_written_again(text in "[0-9a-z:,{}\\[\\]\"\\\\ .TZ+-]{0,40}") {
        let converter = converter();
        let first = converter.decode("", &[Some(Bytes::from(text))]).remove(0).unwrap();
        proptest::prop_assert!(converter.encode("", &[&first]).remove(0).is_ok());
    }

    #[test]
    fn numbers_and_booleans_survive(number in proptest::prelude::any::<i64>(), flag in proptest::prelude::any::<bool>()) {
        for value in [Value::Int(number), Value::Bool(flag)] {
            let text = converter().encode("", &[&Datum::schemaless(value.clone())]).remove(0).unwrap();
            proptest::prop_assert_eq!(converter().decode("", &[text]).remove(0).unwrap().value(), value);
        }
    }
}
