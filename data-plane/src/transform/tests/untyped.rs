//! Records without schemas.

use super::*;

/// Class, options, value before, and after: JSON, or the beginning of an error.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, Result<&'a str, &'a str>);

fn check(cases: &[Case<'_>]) {
    for (class, options, before, expected) in cases {
        let outcome = run(&one(class, options), record(raw(before), raw(before)));
        match (outcome, expected) {
            (Ok(Some(after)), Ok(expected)) => {
                let changed = if class.ends_with("$Key") || *class == "ValueToKey" { &after.key } else { &after.value };
                assert_eq!(shown(changed), *expected, "{class} {options:?} {before}");
            }
            (Err(error), Err(part)) => assert!(error.contains(part), "{class} {options:?} {before}: {error}"),
            (outcome, _) => panic!("{class} {options:?} {before}: {outcome:?}"),
        }
    }
}

#[test]
fn fields_are_inserted() {
    let all: &[(&str, &str)] = &[
        ("topic.field", "t"),
        ("partition.field", "p!"),
        ("offset.field", "o?"),
        ("timestamp.field", "ts"),
        ("static.field", "a"),
        ("static.value", "x"),
    ];
    let inserted = r#"{"a":"x","b":{"c" : [1, 2]},"t":"orders","p":3,"o":42,"ts":1709211909007}"#;
    check(&[
        ("InsertField$Value", all, r#"{"a":1,"b":{"c" : [1, 2]}}"#, Ok(inserted)),
        ("InsertField$Key", &[("topic.field", "t")], "{}", Ok(r#"{"t":"orders"}"#)),
        ("InsertField$Value", all, "null", Ok("null")),
        ("InsertField$Value", all, "7", Err("Only Map objects supported in absence of schema for [field insertion]")),
    ]);
}

#[test]
fn fields_are_replaced() {
    let value = r#"{"a":1,"b":"2","c":null,"d":{"e":1.50}}"#;
    check(&[
        ("ReplaceField$Value", &[("exclude", "a,c")], value, Ok(r#"{"b":"2","d":{"e":1.50}}"#)),
        ("ReplaceField$Value", &[("include", "a,c"), ("exclude", "c")], value, Ok(r#"{"a":1}"#)),
        ("ReplaceField$Key", &[("renames", "a:x,zz:y")], value, Ok(r#"{"x":1,"b":"2","c":null,"d":{"e":1.50}}"#)),
        ("ReplaceField$Value", &[("renames", "a:b")], r#"{"a":1,"b":2}"#, Ok(r#"{"b":2}"#)),
        ("ReplaceField$Value", &[("renames", "a:b,b:a")], r#"{"a":1,"b":2}"#, Ok(r#"{"b":1,"a":2}"#)),
        ("ReplaceField$Value", &[], value, Ok(value)),
        ("ReplaceField$Value", &[("exclude", "a")], "null", Ok("null")),
        ("ReplaceField$Value", &[("exclude", "a")], "[1]", Err("[field replacement], found: a list")),
    ]);
}

#[test]
fn fields_are_cast() {
    let cast = |spec: &'static str, before: &'static str, after: Result<&'static str, &'static str>| {
        let before = format!(r#"{{"a":{before}}}"#);
        let after = after.map(|after| format!(r#"{{"a":{after}}}"#));
        let spec = format!("a:{spec}");
        check(&[("Cast$Value", &[("spec", &spec)], &before, after.as_deref().map_err(|error| *error))]);
    };
    for (spec, before, after) in [
        ("string", "1", Ok("\"1\"")),
        ("string", "1.0", Ok("\"1.0\"")),
        ("string", "1e10", Ok("\"1.0E10\"")),
        ("string", "true", Ok("\"true\"")),
        ("string", "123456789012345678901", Ok("\"123456789012345678901\"")),
        ("int8", "300", Ok("44")),
        ("int8", "\"127\"", Ok("127")),
        ("int8", "\"128\"", Err("field a: Value (128) was out of range")),
        ("int8", "\"x\"", Err("out of range")),
        ("INT16 ", "-2.9", Ok("-2")),
        ("int32", "3e9", Ok("2147483647")),
        ("int64", "true", Ok("1")),
        ("int64", "18446744073709551617", Ok("1")),
        ("float32", "0.1", Ok("0.1")),
        ("float32", "\"1e3\"", Ok("1000.0")),
        ("float64", "7", Ok("7.0")),
        ("float64", "false", Ok("0.0")),
        ("boolean", "0", Ok("false")),
        ("boolean", "0.5", Ok("false")),
        ("boolean", "2", Ok("true")),
        ("boolean", "\"TRUE\"", Ok("true")),
        ("boolean", "\"yes\"", Ok("false")),
        ("int8", "null", Ok("null")),
        ("string", "{}", Err("does not support casting from MAP")),
        ("string", "[]", Err("does not support casting from ARRAY")),
    ] {
        cast(spec, before, after);
    }
    check(&[
        ("Cast$Value", &[("spec", "zz:int8, b : string")], r#"{"b":1}"#, Ok(r#"{"b":"1","zz":null}"#)),
        ("Cast$Key", &[("spec", "string")], "12", Ok("\"12\"")),
        ("Cast$Key", &[("spec", "int32")], "\"12\"", Ok("12")),
        ("Cast$Value", &[("spec", "int32")], "null", Ok("null")),
        ("Cast$Value", &[("spec", "a:int32")], "1", Err("[cast types]")),
    ]);
}

#[test]
fn timestamps_are_converted() {
    let text: &[(&str, &str)] = &[("field", "a"), ("target.type", "string"), ("format", "yyyy-MM-dd")];
    let unix: &[(&str, &str)] = &[("field", "a"), ("target.type", "unix"), ("format", "yyyy-MM-dd")];
    check(&[
        ("TimestampConverter$Value", text, r#"{"a":86400000,"b":1}"#, Ok(r#"{"a":"1970-01-02","b":1}"#)),
        ("TimestampConverter$Value", text, r#"{"b":1}"#, Ok(r#"{"b":1,"a":null}"#)),
        ("TimestampConverter$Value", text, r#"{"a":null}"#, Ok(r#"{"a":null}"#)),
        ("TimestampConverter$Value", text, "null", Ok("null")),
        ("TimestampConverter$Value", text, r#"{"a":1.5}"#, Err("does not support a float objects as timestamps")),
        ("TimestampConverter$Value", text, "1", Err("[converting timestamp formats]")),
        ("TimestampConverter$Value", unix, r#"{"a":"1970-01-02"}"#, Ok(r#"{"a":86400000}"#)),
        ("TimestampConverter$Value", unix, r#"{"a":"soon"}"#, Err("value (soon) does not match pattern (yyyy-MM-dd)")),
        ("TimestampConverter$Key", &[("target.type", "unix"), ("unix.precision", "seconds")], "-1", Ok("-1")),
        ("TimestampConverter$Value", &[("target.type", "Date")], "86400001", Ok("1")),
        ("TimestampConverter$Value", &[("target.type", "Time")], "86400001", Ok("1")),
        (
            "TimestampConverter$Value",
            &[("target.type", "Timestamp"), ("unix.precision", "microseconds")],
            "1999",
            Ok("1"),
        ),
        ("TimestampConverter$Value", &[("target.type", "Timestamp")], "\"1970\"", Err("no option \"format\"")),
        (
            "TimestampConverter$Value",
            &[("target.type", "unix"), ("unix.precision", "nanoseconds")],
            "1000001",
            Ok("1000000"),
        ),
    ]);
}

#[test]
fn fields_are_masked() {
    let value = r#"{"a":1,"b":1.5,"c":"x","d":true,"e":{"f":1},"g":[1],"h":null}"#;
    check(&[
        (
            "MaskField$Value",
            &[("fields", "a,b,c,d,e,g,h,zz")],
            value,
            Ok(r#"{"a":0,"b":0.0,"c":"","d":false,"e":{},"g":[],"h":null,"zz":null}"#),
        ),
        (
            "MaskField$Value",
            &[("fields", "a,b,c"), ("replacement", "12.7")],
            r#"{"a":1,"b":1.5,"c":"x"}"#,
            Ok(r#"{"a":12,"b":12.7,"c":"12.7"}"#),
        ),
        ("MaskField$Value", &[("fields", "a"), ("replacement", "x")], value, Err("Unable to convert x")),
        ("MaskField$Value", &[("fields", "d"), ("replacement", "1")], value, Err("with custom replacement")),
        ("MaskField$Key", &[("fields", "c"), ("replacement", "***")], r#"{"c":"y"}"#, Ok(r#"{"c":"***"}"#)),
        ("MaskField$Value", &[("fields", "a")], "null", Err("[mask fields], found: null")),
    ]);
}

#[test]
fn shapes_change() {
    let nested = r#"{"a":{"b":{"c":1},"d":[{"e":2}],"f":null,"g":{}},"h":"i"}"#;
    check(&[
        ("ExtractField$Value", &[("field", "a")], r#"{"a": {"b":  2}}"#, Ok(r#"{"b":  2}"#)),
        ("ExtractField$Key", &[("field", "zz")], "{}", Ok("null")),
        ("ExtractField$Value", &[("field", "a.b")], r#"{"a.b":1}"#, Ok("1")),
        ("ExtractField$Value", &[("field", "a.b.c"), ("field.syntax.version", "V2")], nested, Ok("1")),
        ("ExtractField$Value", &[("field", "a.f.c"), ("field.syntax.version", "V2")], nested, Ok("null")),
        (
            "ExtractField$Value",
            &[("field", "h.c"), ("field.syntax.version", "V2")],
            nested,
            Err("[nested field access]"),
        ),
        ("ExtractField$Value", &[("field", "a")], "null", Ok("null")),
        ("HoistField$Value", &[("field", "x")], r#"{"a": 1}"#, Ok(r#"{"x":{"a": 1}}"#)),
        ("HoistField$Key", &[("field", "x")], "null", Ok(r#"{"x":null}"#)),
        ("Flatten$Value", &[], nested, Ok(r#"{"a.b.c":1,"a.d":[{"e":2}],"a.f":null,"h":"i"}"#)),
        ("Flatten$Key", &[("delimiter", "_")], r#"{"a":{"b":1}}"#, Ok(r#"{"a_b":1}"#)),
        ("Flatten$Value", &[], "null", Ok("null")),
        ("Flatten$Value", &[], "1", Err("[flattening]")),
        ("ValueToKey", &[("fields", "b,zz")], r#"{"a":1,"b":{"c": 1}}"#, Ok(r#"{"b":{"c": 1},"zz":null}"#)),
        ("ValueToKey", &[("fields", "b")], "null", Err("[copying fields from value to key], found: null")),
        ("SetSchemaMetadata$Value", &[("schema.name", "n")], "null", Ok("null")),
        (
            "SetSchemaMetadata$Value",
            &[("schema.name", "n")],
            "{}",
            Err("Schema required for [updating schema metadata]"),
        ),
    ]);
}

#[test]
fn a_key_from_the_value_leaves_the_value_as_it_came() {
    let before = record(Datum::Null, raw(r#"{"a" : 1}"#));
    let after = run(&one("ValueToKey", &[("fields", "a")]), before.clone()).unwrap().unwrap();
    assert_eq!(after.value, before.value);
}

fn headers(record: &Record) -> Vec<String> {
    record.headers.iter().map(|header| format!("{}={}", header.key, shown(&header.value))).collect()
}

#[test]
fn headers_come_and_go() {
    let value = r#"{"a":{"x": 1},"b":2}"#;
    let from = |operation| [("fields", "a,zz"), ("headers", "h,i"), ("operation", operation)];
    let after = run(&one("HeaderFrom$Value", &from("copy")), record(Datum::Null, raw(value))).unwrap().unwrap();
    assert_eq!(
        (headers(&after), shown(&after.value).as_str()),
        (vec![r#"h={"x": 1}"#.to_owned(), "i=null".to_owned()], value)
    );
    let after = run(&one("HeaderFrom$Value", &from("move")), record(Datum::Null, raw(value))).unwrap().unwrap();
    assert_eq!(shown(&after.value), r#"{"b":2}"#);
    let error = run(&one("HeaderFrom$Value", &from("move")), record(Datum::Null, Datum::Null)).unwrap_err();
    assert!(error.contains("[header move]"), "{error}");

    let twice = |name: &str| Header { key: text(name), value: Datum::Encoded(Bytes::from_static(b"v")) };
    let mut before = record(Datum::Null, raw("1"));
    before.headers = vec![twice("a"), twice("b"), twice("a")];
    let after = run(&one("DropHeaders", &[("headers", "a, zz")]), before.clone()).unwrap().unwrap();
    assert_eq!(after.headers, [twice("b")]);
    let after = run(&one("InsertHeader", &[("header", "a"), ("value.literal", "300")]), before).unwrap().unwrap();
    assert_eq!(after.headers.len(), 4);
    let expected = Datum::Decoded { schema: Some(plain(Type::Int16, false)), value: Value::Int(300) };
    assert_eq!(after.headers[3].value, expected);
}

#[test]
fn topics_are_renamed_and_the_origin_stays() {
    let routed = |all: &Flat, timestamp| {
        let mut before = record(Datum::Null, raw("1"));
        before.timestamp_ms = timestamp;
        run(all, before).map(|after| after.unwrap().renamed_topic.map(|topic| topic.to_string()))
    };
    let regex = one("RegexRouter", &[("regex", "(or)(.*)"), ("replacement", "$2.$1")]);
    assert_eq!(routed(&regex, None), Ok(Some("ders.or".to_owned())));
    let regex = one("RegexRouter", &[("regex", "x(.*)"), ("replacement", "$1")]);
    assert_eq!(routed(&regex, None), Ok(None));
    assert_eq!(routed(&one("TimestampRouter", &[]), Some(0)), Ok(Some("orders-19700101".to_owned())));
    let format = [("topic.format", "${timestamp}/${topic}/${topic}"), ("timestamp.format", "yyyy")];
    assert_eq!(routed(&one("TimestampRouter", &format), Some(0)), Ok(Some("1970/orders/orders".to_owned())));
    assert!(routed(&one("TimestampRouter", &[]), None).unwrap_err().contains("Timestamp missing on record"));
}

#[test]
fn tombstones_are_handled() {
    let handled = |behavior: &[(&str, &str)], value: Datum| {
        let mut all = one("Filter", behavior);
        all.insert("transforms.t.type".to_owned(), "io.confluent.connect.transforms.TombstoneHandler".to_owned());
        run(&all, record(Datum::Null, value)).map(|after| after.is_some()).map_err(|_| ())
    };
    for (behavior, outcome) in [
        (&[][..], Ok(false)),
        (&[("behavior", "drop_silent")], Ok(false)),
        (&[("behavior", "drop_warn")], Ok(false)),
        (&[("behavior", "ignore")], Ok(true)),
        (&[("behavior", "fail")], Err(())),
    ] {
        assert_eq!(handled(behavior, Datum::Null), outcome, "{behavior:?}");
        assert_eq!(handled(behavior, raw("0")), Ok(true), "{behavior:?}");
    }
}
