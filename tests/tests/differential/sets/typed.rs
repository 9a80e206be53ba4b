//! JSON with schemas.

use super::{Sample, both, sample, value, with_headers};

const ORDER: &str = r#"{"type":"struct","name":"shop.Order","version":3,"doc":"An order","optional":false,"fields":[
    {"field":"id","type":"int64","optional":false,"doc":"Its number"},
    {"field":"name","type":"string","optional":true},
    {"field":"price","type":"double","optional":true,"default":9.5},
    {"field":"active","type":"boolean","optional":true},
    {"field":"ts","type":"int64","name":"org.apache.kafka.connect.data.Timestamp","version":1,"optional":true},
    {"field":"date","type":"int32","name":"org.apache.kafka.connect.data.Date","version":1,"optional":true},
    {"field":"time","type":"int32","name":"org.apache.kafka.connect.data.Time","version":1,"optional":true},
    {"field":"unix","type":"int64","optional":true,"default":86400000},
    {"field":"day","type":"string","optional":true},
    {"field":"text","type":"string","optional":true,"default":"5"},
    {"field":"amount","type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"},"optional":true},
    {"field":"raw","type":"bytes","optional":true},
    {"field":"tags","type":"array","items":{"type":"string","optional":true},"optional":true},
    {"field":"attrs","type":"map","keys":{"type":"string","optional":false},"values":{"type":"int32","optional":true},"optional":true},
    {"field":"counts","type":"map","keys":{"type":"int32","optional":false},"values":{"type":"string","optional":true},"optional":true},
    {"field":"tiny","type":"int8","optional":true},
    {"field":"small","type":"int16","optional":true,"default":300},
    {"field":"num","type":"int32","optional":true,"name":"shop.Count","version":7,"parameters":{"unit":"piece"}},
    {"field":"ratio","type":"float","optional":true},
    {"field":"nested","type":"struct","name":"shop.Place","optional":true,"fields":[
        {"field":"city","type":"string","optional":true},
        {"field":"zip","type":"int32","optional":true,"default":1000},
        {"field":"geo","type":"struct","optional":true,"fields":[{"field":"lat","type":"double","optional":true}]}]}]}"#;

const FULL: &str = r#"{"id":7,"name":"Ada","price":12.5,"active":true,"ts":1700000000123,"date":19675,"time":80000123,"unix":1700000000123,
    "day":"2023-11-14 22:13:20","text":"42","amount":"BNI=","raw":"AP8=","tags":["a",null,"b"],"attrs":{"x":1,"y":null},
    "counts":[[1,"one"],[2,null]],"tiny":-128,"small":32767,"num":-2147483648,"ratio":0.1,
    "nested":{"city":"Basel","zip":4001,"geo":{"lat":47.5}}}"#;

const NULLS: &str = r#"{"id":1,"name":null,"price":null,"active":null,"ts":null,"date":null,"time":null,"unix":null,"day":null,"text":null,
    "amount":null,"raw":null,"tags":null,"attrs":null,"counts":null,"tiny":null,"small":null,"num":null,"ratio":null,
    "nested":{"city":null,"zip":null,"geo":null}}"#;

const LIMITS: &str = r#"{"id":-9223372036854775808,"name":"","price":-0.5,"active":false,"ts":-1,"date":-1,"time":0,"unix":-1,"day":"",
    "text":"-17","amount":"/w==","raw":"","tags":[],"attrs":{},"counts":[],"tiny":127,"small":-1,"num":0,"ratio":3.4028235e38,
    "nested":{"city":"Zürich 😀","zip":-1,"geo":{"lat":-0.25}}}"#;

const HEADERS: &[(&str, Option<&[u8]>)] = &[("a", Some(b"1")), ("b", Some(b"text")), ("a", Some(b"2.5")), ("c", None)];

pub(super) fn envelope(schema: &str, payload: &str) -> Vec<u8> {
    format!("{{\"schema\":{schema},\"payload\":{payload}}}").into_bytes()
}

fn of(name: &'static str, schema: &str, payload: &str) -> Sample {
    both(name, &envelope(schema, payload))
}

fn scalar(kind: &str) -> String {
    format!(r#"{{"type":"{kind}","optional":true,"name":"shop.Scalar","version":2,"doc":"one"}}"#)
}

fn logical(kind: &str, name: &str, more: &str) -> String {
    format!(r#"{{"type":"{kind}","optional":true,"name":"org.apache.kafka.connect.data.{name}","version":1{more}}}"#)
}

const SCALE: &str = r#","parameters":{"scale":"2"}"#;

pub(crate) fn typed() -> Vec<Sample> {
    let newer = ORDER.replace("\"version\":3", "\"version\":4").replace(
        "{\"field\":\"name\"",
        "{\"field\":\"first\",\"type\":\"string\",\"optional\":true,\"default\":\"new\"},{\"field\":\"name\"",
    );
    let optional = ORDER.replace("\"doc\":\"An order\",\"optional\":false", "\"optional\":true");
    vec![
        with_headers(of("full", ORDER, FULL), HEADERS),
        of("nulls", ORDER, NULLS),
        of("absent", ORDER, r#"{"id":2}"#),
        with_headers(of("limits", ORDER, LIMITS), HEADERS),
        of("newer", &newer, FULL),
        of("optional", &optional, FULL),
        of("optional-null", &optional, "null"),
        of("more-fields", ORDER, r#"{"id":3,"unknown":1,"name":"x"}"#),
        of("text", &scalar("string"), r#""42""#),
        of("time-text", &scalar("string"), r#""2023-11-14 22:13:20""#),
        of("null-text", &scalar("string"), "null"),
        of("int8", &scalar("int8"), "-5"),
        of("int32", &scalar("int32"), "70000"),
        of("int64", &scalar("int64"), "1700000000123"),
        of("float", &scalar("float"), "1.5"),
        of("double", &scalar("double"), "1e10"),
        of("boolean", &scalar("boolean"), "true"),
        of("bytes", &scalar("bytes"), r#""AP8=""#),
        of("timestamp", &logical("int64", "Timestamp", ""), "1700000000123"),
        of("date", &logical("int32", "Date", ""), "19675"),
        of("time", &logical("int32", "Time", ""), "80000123"),
        of("decimal", &logical("bytes", "Decimal", SCALE), r#""BNI=""#),
        of("list", r#"{"type":"array","items":{"type":"int32"}}"#, "[1,2]"),
        of("map", r#"{"type":"map","keys":{"type":"string"},"values":{"type":"int64"}}"#, r#"{"id":1}"#),
        of("schemaless", "null", r#"{"id":7,"name":"Ada","nested":{"city":"Basel"}}"#),
        of("schemaless-null", "null", "null"),
        sample("no-key", None, Some(&envelope(ORDER, FULL))),
        with_headers(sample("tombstone", Some(&envelope(ORDER, FULL)), None), HEADERS),
        sample("nothing", None, None),
    ]
}

/// A value of a type, by name; those below that do not fit are named after what is wrong.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn fits() -> Vec<Sample> {
    let plain = |kind: &str| format!(r#"{{"type":"{kind}","optional":false}}"#);
    let optional = |kind: &str| format!(r#"{{"type":"{kind}","optional":true}}"#);
    let with = |kind: &str, more: &str| format!(r#"{{"type":"{kind}","optional":true,{more}}}"#);
    let one = |name, schema: String, payload: &str| value(name, &envelope(&schema, payload));
    let decimal = || logical("bytes", "Decimal", SCALE);
    let list = r#""items":{"type":"int32"}"#;
    let map = r#""keys":{"type":"string"},"values":{"type":"int32"}"#;
    let pairs = r#""keys":{"type":"int32"},"values":{"type":"int32"}"#;
    let fields =
        r#""fields":[{"field":"a","type":"int32","optional":false},{"field":"b","type":"int32","optional":true}]"#;
    vec![
        one("int8", plain("int8"), "127"),
        one("int8-beyond", plain("int8"), "300"),
        one("int16-beyond", plain("int16"), "40000"),
        one("int32-beyond", plain("int32"), "2147483648"),
        one("int64-beyond", plain("int64"), "9223372036854775808"),
        one("int32-whole-fraction", plain("int32"), "1.0"),
        one("int32-exponent", plain("int32"), "1e3"),
        one("int32-fraction", plain("int32"), "1.5"),
        one("int32-text", plain("int32"), r#""1""#),
        one("int32-boolean", plain("int32"), "true"),
        one("float", plain("float"), "0.1"),
        one("float-integer", plain("float"), "16777217"),
        one("float-beyond", plain("float"), "1e39"),
        one("double-integer", plain("double"), "9007199254740993"),
        one("double-minus-zero", plain("double"), "-0.0"),
        one("double-beyond", plain("double"), "1e400"),
        one("double-nan", plain("double"), r#""NaN""#),
        one("double-text", plain("double"), r#""x""#),
        one("boolean-number", plain("boolean"), "1"),
        one("boolean-text", plain("boolean"), r#""true""#),
        one("text-number", plain("string"), "7"),
        one("text-map", plain("string"), "{}"),
        one("bytes", plain("bytes"), r#""AP8=""#),
        one("bytes-unpadded", plain("bytes"), r#""AP8""#),
        one("bytes-wrong", plain("bytes"), r#""*""#),
        one("bytes-number", plain("bytes"), "7"),
        one("required-null", plain("int32"), "null"),
        one("optional-null", optional("int32"), "null"),
        one("default-null", with("int32", r#""default":5"#), "null"),
        one("required-default-null", r#"{"type":"int32","optional":false,"default":5}"#.to_owned(), "null"),
        one("list", with("array", list), "[1,2]"),
        one("list-null", with("array", list), "[1,null]"),
        one("list-map", with("array", list), "{}"),
        one("map", with("map", map), r#"{"a":1}"#),
        one("map-list", with("map", map), r#"[["a",1]]"#),
        one("pairs", with("map", pairs), "[[1,2],[1,3]]"),
        one("pairs-three", with("map", pairs), "[[1,2,3]]"),
        one("pairs-map", with("map", pairs), r#"{"1":2}"#),
        one("struct", with("struct", fields), r#"{"b":2,"a":1}"#),
        one("struct-required-absent", with("struct", fields), r#"{"b":2}"#),
        one("struct-list", with("struct", fields), "[]"),
        one("struct-repeated", with("struct", fields), r#"{"a":1,"a":2}"#),
        one("struct-no-fields", with("struct", r#""fields":[]"#), "{}"),
        one("decimal", decimal(), r#""BNI=""#),
        one("decimal-number", decimal(), "12.34"),
        one("decimal-other-scale", decimal(), "12.345"),
        one("decimal-exponent", decimal(), "1e3"),
        one("decimal-zeros", decimal(), "1.200"),
        one("decimal-empty", decimal(), r#""""#),
        one("decimal-wrong", decimal(), r#""*""#),
        one("decimal-boolean", decimal(), "true"),
        one("decimal-no-scale", logical("bytes", "Decimal", ""), r#""BNI=""#),
        one("decimal-big", decimal(), r#""AP////////////////////8=""#),
        one("date", logical("int32", "Date", ""), "-1"),
        one("date-text", logical("int32", "Date", ""), r#""2023-11-14""#),
        one("date-long", logical("int32", "Date", ""), "99999999999"),
        one("time", logical("int32", "Time", ""), "86399999"),
        one("time-beyond", logical("int32", "Time", ""), "86400000"),
        one("time-negative", logical("int32", "Time", ""), "-1"),
        one("timestamp", logical("int64", "Timestamp", ""), "-62135596800001"),
        one("timestamp-fraction", logical("int64", "Timestamp", ""), "1.5"),
        one("timestamp-as-int32", logical("int32", "Timestamp", ""), "5"),
        one("struct-default", with("struct", &format!(r#"{fields},"default":{{"a":1,"b":2}}"#)), "null"),
        one("nested-default", with("struct", r#""fields":[{"field":"a","type":"int32","default":5}]"#), "{}"),
        one("decimal-default", logical("bytes", "Decimal", &format!(r#"{SCALE},"default":"BNI=""#)), "null"),
    ]
}

/// Envelopes that are none.
pub(crate) fn envelopes() -> Vec<Sample> {
    let schema = |name, schema: &str| value(name, &envelope(schema, "1"));
    vec![
        value("null", b"null"),
        value("scalar", b"5"),
        value("list", b"[]"),
        value("empty", b"{}"),
        value("plain", br#"{"id":1}"#),
        value("no-payload", br#"{"schema":{"type":"int32"}}"#),
        value("no-schema", br#"{"payload":1}"#),
        value("third", br#"{"schema":{"type":"int32"},"payload":1,"more":2}"#),
        value("other-order", br#"{"payload":1,"schema":{"type":"int32"}}"#),
        value("repeated", br#"{"schema":{"type":"string"},"schema":{"type":"int32"},"payload":1}"#),
        value("no-bytes", b""),
        schema("schema-null", "null"),
        schema("schema-text", r#""int32""#),
        schema("schema-list", "[]"),
        schema("schema-empty", "{}"),
        schema("type-unknown", r#"{"type":"int128"}"#),
        schema("type-capital", r#"{"type":"INT32"}"#),
        schema("type-number", r#"{"type":1}"#),
        schema("type-null", r#"{"type":null}"#),
        schema("optional-text", r#"{"type":"int32","optional":"true"}"#),
        schema("optional-number", r#"{"type":"int32","optional":1}"#),
        schema("version-text", r#"{"type":"int32","version":"1"}"#),
        schema("version-fraction", r#"{"type":"int32","version":1.5}"#),
        schema("version-big", r#"{"type":"int32","version":4294967297}"#),
        schema("name-number", r#"{"type":"int32","name":5}"#),
        schema("doc-number", r#"{"type":"int32","doc":5}"#),
        schema("parameters-text", r#"{"type":"int32","parameters":"x"}"#),
        schema("parameter-number", r#"{"type":"int32","parameters":{"a":1}}"#),
        schema("parameters-empty", r#"{"type":"int32","parameters":{}}"#),
        schema("unknown-key", r#"{"type":"int32","colour":"red"}"#),
        schema("default-wrong", r#"{"type":"int32","default":"x"}"#),
        schema("default-null", r#"{"type":"int32","default":null}"#),
        schema("array-no-items", r#"{"type":"array"}"#),
        schema("map-no-keys", r#"{"type":"map","values":{"type":"int32"}}"#),
        schema("struct-no-fields", r#"{"type":"struct"}"#),
        schema("field-no-name", r#"{"type":"struct","fields":[{"type":"int32"}]}"#),
        schema(
            "field-repeated",
            r#"{"type":"struct","fields":[{"field":"a","type":"int32"},{"field":"a","type":"int32"}]}"#,
        ),
        schema("field-no-map", r#"{"type":"struct","fields":[1]}"#),
    ]
}

/// Headers as `JsonConverter` reads them.
pub(crate) fn headers() -> Vec<Sample> {
    let one = |name, bytes: &[u8]| with_headers(value(name, b"{}"), &[("h", Some(bytes))]);
    vec![
        one("text", &envelope(r#"{"type":"string"}"#, r#""x""#)),
        one("struct", &envelope(ORDER, FULL)),
        one("nulls", &envelope(ORDER, NULLS)),
        one("schemaless", br#"{"schema":null,"payload":{"a":1}}"#),
        one("plain", br#"{"a":1}"#),
        one("broken", b"{"),
        one("none", b""),
        with_headers(value("nothing", b"{}"), &[("h", None)]),
    ]
}
