//! Expressions.

use std::time::{Duration, Instant};

use millrace_sdk::Decimal;

use super::super::data::DECIMAL;
use super::*;

const ORDER: &str = r#"{"zip":"00100","id":7,"price":2.5,"n":4,"name":"Ada","tags":["a","b"],"address":{"street":"x","city":"Rome"},
    "big":123456789012345678901,"none":null}"#;

fn millrace(options: &[(&str, &str)]) -> Flat {
    of("millrace", options)
}

fn on(options: &[(&str, &str)], value: Datum) -> Result<Option<Record>, String> {
    let mut one = record(raw(r#"{"k":1}"#), value);
    one.headers = vec![
        Header { key: text("a"), value: raw("\"1\"") },
        Header { key: text("b"), value: raw("\"x\"") },
        Header { key: text("b"), value: raw("\"y\"") },
    ];
    run(&millrace(options), one)
}

/// The value after it, as JSON.
fn value_after(options: &[(&str, &str)], value: &str) -> String {
    shown(&on(options, raw(value)).unwrap_or_else(|error| panic!("{options:?}: {error}")).unwrap().value)
}

#[test]
fn conditions_filter() {
    for (filter, kept) in [
        ("value.n == 4", true),
        ("value.n > 4", false),
        ("value.name.starts_with(\"A\") && value.tags.contains(\"b\")", true),
        ("value.address.city == \"Rome\"", true),
        ("value.nothing == ()", true),
        ("value?.address?.nothing?.more ?? true", true),
        ("\"id\" in value", true),
        ("value.contains(\"nothing\")", false),
        ("value.keys().len() == 9 && value.len() == 9", true),
        ("key.k == 1", true),
        ("headers.b == \"y\"", true),
        ("topic == \"orders\" && partition == 3 && offset == 42 && timestamp == 1709211909007", true),
        ("matches(value.zip, \"^0+1\")", true),
        ("value.big > 1.0", true),
        ("drop()", false),
    ] {
        assert_eq!(on(&[("filter", filter)], raw(ORDER)).unwrap().is_some(), kept, "{filter}");
    }
    let tombstone = on(&[("filter", "value != () && value.n == 4")], Datum::Null).unwrap();
    assert!(tombstone.is_none());
    let error = on(&[("filter", "value.n")], raw(ORDER)).unwrap_err();
    assert!(error.contains("transforms.t.filter: neither true nor false but i64 (orders-3@42)"), "{error}");
}

#[test]
fn fields_are_set_and_dropped() {
    let small = r#"{"b":{"y":1,"x":2},"a":1.50}"#;
    for (options, expected) in [
        (&[("set.c", "value.b.y + value.b.x")][..], r#"{"b":{"y":1,"x":2},"a":1.50,"c":3}"#),
        (&[("set.b.x", "5")], r#"{"b":{"y":1,"x":5},"a":1.5}"#),
        (&[("set.b.w", "\"new\"")], r#"{"b":{"y":1,"x":2,"w":"new"},"a":1.5}"#),
        (&[("set.n.m.o", "true")], r#"{"b":{"y":1,"x":2},"a":1.5,"n":{"m":{"o":true}}}"#),
        (&[("set.`n.m`", "()")], r#"{"b":{"y":1,"x":2},"a":1.5,"n.m":null}"#),
        (&[("set.a", "value.b"), ("set.b", "value.a")], r#"{"b":1.5,"a":{"x":2,"y":1}}"#),
        (&[("drop", "a,b.y,nothing,a.b")], r#"{"b":{"x":2}}"#),
        (&[("set.c", "1"), ("drop", "c,b")], r#"{"a":1.5}"#),
        (&[("value", "#{ z: value.a, y: [1, 'c', \"s\", 2.5, ()] }")], r#"{"y":[1,"c","s",2.5,null],"z":1.5}"#),
        (&[("value", "#{ z: 1 }"), ("set.a", "value.a")], r#"{"z":1,"a":1.5}"#),
        (&[("value", "\"text\"")], "\"text\""),
        (&[("value", "key")], r#"{"k":1}"#),
        (&[("set.j", "json(value.b)"), ("drop", "a,b")], r#"{"j":"{\"x\":2,\"y\":1}"}"#),
        (&[("set.a", "parse_json(\"[1, {\\\"q\\\": null}]\")"), ("drop", "b")], r#"{"a":[1,{"q":null}]}"#),
        (&[("set.a", "format_time(timestamp, \"yyyy-MM-dd\")"), ("drop", "b")], r#"{"a":"2024-02-29"}"#),
        (&[("set.a", "parse_time(\"1970-01-02\", \"yyyy-MM-dd\")"), ("drop", "b")], r#"{"a":86400000}"#),
        (&[("set.a", "replace_all(\"a-b-c\", \"-(.)\", \"$1\")"), ("drop", "b")], r#"{"a":"abc"}"#),
    ] {
        let seen = value_after(options, small);
        let same = |one: &str| one.replace("1.50", "1.5");
        assert_eq!(same(&seen), same(expected), "{options:?}");
    }
    // What is only looked at stays what it was, to the byte.
    let untouched = on(&[("filter", "value.b.y == 1")], raw(small)).unwrap().unwrap();
    assert_eq!(untouched.value, raw(small));
    let seen = value_after(&[("set.n", "value.n + 1")], ORDER);
    assert!(seen.contains(r#""big":123456789012345678901,"none":null"#) && seen.contains(r#""n":5"#), "{seen}");
    let nested = value_after(&[("set.a.more", "1")], r#"{"a":{"z":123456789012345678901,"y":1.0}}"#);
    assert_eq!(nested, r#"{"a":{"z":123456789012345678901,"y":1.0,"more":1}}"#);
}

#[test]
fn tombstones_stay_tombstones() {
    let after = on(&[("set.a", "1"), ("drop", "b"), ("header.h", "\"x\"")], Datum::Null).unwrap().unwrap();
    assert!(after.value.is_null());
    assert_eq!(after.headers.len(), 4);
    let made = on(&[("value", "#{ a: 1 }")], Datum::Null).unwrap().unwrap();
    assert_eq!(shown(&made.value), r#"{"a":1}"#);
    assert!(on(&[("value", "()")], raw("1")).unwrap().unwrap().value.is_null());
}

#[test]
fn topics_keys_and_headers_are_set() {
    let after = on(
        &[
            ("topic", "`${topic}.${value.address.city.to_lower()}`"),
            ("key", "value.id"),
            ("header.b", "value.n"),
            ("header.a", "()"),
            ("header.new", "value.tags"),
        ],
        raw(ORDER),
    );
    let after = after.unwrap().unwrap();
    assert_eq!((after.renamed_topic.as_deref(), shown(&after.key).as_str()), (Some("orders.rome"), "7"));
    let headers: Vec<_> = after.headers.iter().map(|header| (&*header.key, shown(&header.value))).collect();
    assert_eq!(headers, [("b", "4".to_owned()), ("new", r#"["a","b"]"#.to_owned())]);
    assert_eq!(after.value, raw(ORDER));
    assert_eq!(on(&[("topic", "()")], raw(ORDER)).unwrap().unwrap().renamed_topic, None);
    for (topic, part) in [("\"\"", "an empty text names no topic"), ("1", "a topic is a text")] {
        let error = on(&[("topic", topic)], raw(ORDER)).unwrap_err();
        assert!(error.contains("transforms.t.topic: ") && error.contains(part), "{error}");
    }
}

#[test]
fn scripts_change_the_record() {
    let script = "
        if value == () { drop(); }
        value.tags = value.tags.filter(|tag| tag != \"a\");
        value.address.city = value.address.city.to_upper();
        value.remove(\"none\");
        fn twice(n) { n * 2 }
        value.n = twice(value.n);
        key = #{ id: value.id };
        headers.remove(\"a\");
        headers.c = true;
        topic = topic + \"-x\";
        timestamp += 1;
    ";
    let after = on(&[("script", script), ("set.after", "value.n")], raw(ORDER)).unwrap().unwrap();
    let expected = r#"{"zip":"00100","id":7,"price":2.5,"n":8,"name":"Ada","tags":["b"],"address":{"street":"x","city":"ROME"},"big":123456789012345678901,"after":8}"#;
    assert_eq!(shown(&after.value), expected);
    assert_eq!(shown(&after.key), r#"{"id":7}"#);
    assert_eq!((after.renamed_topic.as_deref(), after.timestamp_ms), (Some("orders-x"), Some(1_709_211_909_008)));
    let headers: Vec<_> = after.headers.iter().map(|header| (&*header.key, shown(&header.value))).collect();
    assert_eq!(headers, [("b", "\"x\"".to_owned()), ("b", "\"y\"".to_owned()), ("c", "true".to_owned())]);
    assert!(on(&[("script", script)], Datum::Null).unwrap().is_none());
    let thrown = on(&[("script", "throw `no ${value.name} here`")], raw(ORDER)).unwrap_err();
    assert!(thrown.contains("transforms.t.script: ") && thrown.contains("no Ada here"), "{thrown}");
    assert!(thrown.contains("orders-3@42"), "{thrown}");
    let other = on(&[("script", "value = key")], raw(ORDER)).unwrap().unwrap();
    assert_eq!(shown(&other.value), r#"{"k":1}"#);
    let error = on(&[("script", "value.f = || 1;")], raw(ORDER)).unwrap_err();
    assert!(error.contains("has no place in a record"), "{error}");
}

#[test]
fn schemas_follow_the_values() {
    let amount = Arc::new(Schema {
        parameters: vec![(text("scale"), text("2"))],
        ..Schema::clone(&logical(Type::Bytes, DECIMAL, true))
    });
    let inner = Arc::new(structure(&[("a", plain(Type::String, true)), ("b", plain(Type::Int8, true))]));
    let schema = Arc::new(structure(&[
        ("id", plain(Type::Int32, false)),
        ("name", plain(Type::String, true)),
        ("at", logical(Type::Int64, TIMESTAMP, true)),
        ("amount", Arc::clone(&amount)),
        ("inner", inner),
    ]));
    let decimal = Value::Decimal(Decimal::parse("1.50").unwrap());
    let deep = Value::Map(vec![(text("a"), Value::Str(text("x"))), (text("b"), Value::Int(1))]);
    let datum =
        typed(&schema, &[Value::Int(1), Value::Str(text("Ada")), Value::Timestamp(1000), decimal.clone(), deep]);
    let after = |options: &[(&str, &str)]| {
        let after = on(options, datum.clone()).unwrap_or_else(|error| panic!("{options:?}: {error}"));
        after.unwrap().value
    };
    let same = "id:Int32,name:String?,at:Timestamp?,amount:Decimal?,inner:Order";
    for (options, expected) in [
        (&[("set.id", "value.id + 1")][..], same.to_owned()),
        (&[("set.at", "value.at + 1")], same.to_owned()),
        (&[("set.amount", "value.amount * 2")], same.to_owned()),
        (&[("set.name", "()")], same.to_owned()),
        (&[("set.inner.b", "7")], same.to_owned()),
        (&[("set.id", "3000000000")], same.replace("id:Int32", "id:Int64?")),
        (&[("set.id", "()")], same.replace("id:Int32", "id:String?")),
        (&[("set.id", "\"x\"")], same.replace("id:Int32", "id:String?")),
        (&[("set.amount", "1.005")], same.replace("amount:Decimal?", "amount:Float64?")),
        (&[("set.new", "[1, 2.5]")], format!("{same},new:Array?")),
        (&[("set.new", "#{ a: true }")], format!("{same},new:Struct?")),
        (&[("drop", "name")], same.replace("name:String?,", "")),
    ] {
        let datum = after(options);
        assert_eq!(outline(super::schema(&datum)), expected, "{options:?}");
        assert_eq!(super::schema(&datum).name.as_deref(), Some("Order"));
    }
    let fields = |datum: &Datum| match datum.value() {
        Value::Map(fields) => fields,
        other => panic!("{other:?}"),
    };
    let moved = after(&[("set.at", "value.at + 1"), ("set.amount", "value.amount * 2")]);
    assert_eq!(fields(&moved)[2].1, Value::Timestamp(1001));
    assert_eq!(fields(&moved)[3].1, Value::Decimal(Decimal::parse("3.00").unwrap()));
    let nested = after(&[("drop", "inner.b"), ("set.inner.c", "1.5")]);
    assert_eq!(outline(&super::schema(&nested).fields[4].schema), "a:String?,c:Float64?");
    assert_eq!(fields(&nested)[3].1, decimal);
    let list = after(&[("set.new", "[1, 2.5]")]);
    assert_eq!(fields(&list)[5].1, Value::List(vec![Value::Float(1.0), Value::Float(2.5)]));
    let error = on(&[("set.new", "[1, \"x\"]")], datum.clone()).unwrap_err();
    assert!(error.contains("a list with elements of different types has no schema"), "{error}");
}

#[test]
fn records_of_a_like_schema_share_one() {
    let schema = Arc::new(structure(&[("id", plain(Type::Int32, false))]));
    let datum = typed(&schema, &[Value::Int(1)]);
    // A key where there was none gets a schema like the value.
    let keyed = run(&millrace(&[("key", "value.id")]), record(Datum::Null, datum.clone())).unwrap().unwrap();
    assert_eq!(*super::schema(&keyed.key), *plain(Type::Int64, true));
    let mut chain = make_chain(&millrace(&[("set.new", "1")]));
    let mut all = batch(vec![record(Datum::Null, datum.clone()), record(Datum::Null, datum)]);
    assert!(chain.apply(&mut all).is_empty());
    let schemas: Vec<_> =
        all.records.iter().map(|record| super::super::data::schema_of(&record.value).unwrap()).collect();
    assert!(Arc::ptr_eq(schemas[0], schemas[1]));
}

#[test]
fn endless_loops_and_memory_bombs_are_stopped() {
    let start = Instant::now();
    for (script, part) in [
        ("loop {}", "max.operations=100000"),
        ("fn f() { f() } f()", "calls functions more than 8 deep"),
        ("let f = |f| f.call(f); f.call(f)", "stopped at a limit"),
        ("let s = \"x\"; loop { s += s; }", "max.bytes=1048576"),
        ("let s = \"\"; s.pad(1000000000, \"x\"); s", "stopped at a limit"),
        ("let a = []; loop { a.push(1); }", "10000 elements"),
        ("let a = []; a.pad(1000000000, 1); a", "stopped at a limit"),
        ("let a = [1]; loop { a = [a, a]; }", "stopped at a limit"),
        ("let a = blob(1000000000); a", "stopped at a limit"),
        ("let m = #{}; let i = 0; loop { m[`${i}`] = 1; i += 1; }", "stopped at a limit"),
        ("value.s = \"x\"; loop { value.s += value.s; }", "stopped at a limit"),
        ("let i = 0; loop { value[`${i}`] = \"y\"; i += 1; }", "stopped at a limit"),
        ("let i = 0; loop { let s = \"\"; s.pad(100000, \"x\"); value[`${i}`] = s; i += 1; }", "stopped at a limit"),
        ("let n = 0; for i in 0..1000000000 { n += i; }", "stopped at a limit"),
    ] {
        let error = on(&[("script", script)], raw(ORDER)).expect_err(script);
        assert!(error.contains("transforms.t.script: ") && error.contains(part), "{script}: {error}");
    }
    // An expression may not loop at all; a function within one is bounded like a script.
    let looping = [("set.a", "value.tags.map(|t| { let x = 0; while true { x += 1 } x })")];
    assert!(!findings(&millrace(&looping)).errors.is_empty() || on(&looping, raw(ORDER)).is_err());
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    // Whoever needs more says so.
    let counting = "let i = 0; while i < 40000 { i += 1; } value.i = i;";
    assert!(on(&[("script", counting)], raw(ORDER)).is_err());
    assert!(on(&[("script", counting), ("max.operations", "10000000")], raw(ORDER)).is_ok());
    let long = "let s = \"\"; s.pad(2000000, \"x\"); value.s = s;";
    assert!(on(&[("script", long), ("max.bytes", "4000000")], raw(ORDER)).is_ok());
}

#[test]
fn nothing_outside_the_record_is_in_reach() {
    for script in ["sleep(1)", "timestamp()", "eval(\"1\")", "import \"x\" as y;", "print(x)", "exit()"] {
        let compiled = findings(&millrace(&[("script", script)])).errors;
        assert!(!compiled.is_empty() || on(&[("script", script)], raw(ORDER)).is_err(), "{script}");
    }
}

#[test]
fn mistakes_are_named_with_their_key() {
    for (options, key, part) in [
        (&[][..], "type", "Nothing to do"),
        (&[("filter", "value.")], "filter", "Invalid value value. for configuration transforms.t.filter"),
        (&[("filter", "let x = 1")], "filter", "Invalid value"),
        (&[("set.a", "valeu.x")], "set.a", "valeu"),
        (&[("script", "if {")], "script", "position"),
        (&[("set.`a", "1")], "set.`a", "not a path"),
        (&[("drop", "a..b")], "drop", "not a path"),
        (&[("max.operations", "many")], "max.operations", "many"),
    ] {
        let findings = findings(&millrace(options));
        let long = format!("transforms.t.{key}");
        let problem = findings.errors.iter().find(|problem| problem.key == long);
        let problem = problem.unwrap_or_else(|| panic!("{options:?}: {:?}", findings.errors));
        assert!(problem.message.contains(part), "{}", problem.message);
    }
    let unknown = findings(&millrace(&[("filter", "true"), ("filtre", "true")]));
    assert!(unknown.warnings.iter().any(|warning| warning.key == "transforms.t.filtre"), "{:?}", unknown.warnings);
}

#[test]
fn a_value_that_is_no_map_has_no_fields() {
    assert_eq!(value_after(&[("value", "value + 1")], "41"), "42");
    let error = on(&[("set.a", "1")], raw("41")).unwrap_err();
    assert!(error.contains("transforms.t.set.a: the value is no map but i64 (orders-3@42)"), "{error}");
    let error = on(&[("set.id.a", "1")], raw(ORDER)).unwrap_err();
    assert!(error.contains("id is no map but i64"), "{error}");
}

/// A source's records have no offset yet, and errors name their topic.
#[test]
fn sources_have_expressions_too() {
    let source = |value: Datum| SourceRecord {
        topic: "t".to_owned(),
        partition: None,
        key: Datum::Null,
        value,
        headers: Vec::new(),
        timestamp_ms: None,
    };
    let mut chain = make_chain(&millrace(&[("set.o", "offset == () && partition == () && timestamp == ()")]));
    let outcome = chain.apply_source(vec![source(raw("{}")), source(raw("1"))]);
    assert_eq!(shown(&outcome.records[0].value), r#"{"o":true}"#);
    assert!(outcome.rejected[0].1.error.to_string().contains("(a record for t)"));
}
