//! Records with schemas.

use super::*;
use millrace_sdk::Decimal;

fn value(value: i64) -> Value {
    Value::Int(value)
}

/// A default of 9 for an optional field.
fn defaulted() -> Arc<Schema> {
    Arc::new(Schema { optional: true, default: Some(value(9)), ..Schema::of(Type::Int32) })
}

fn order() -> Arc<Schema> {
    Arc::new(structure(&[("id", plain(Type::Int64, false)), ("name", plain(Type::String, true)), ("n", defaulted())]))
}

fn order_value(n: Value) -> Datum {
    typed(&order(), &[value(1), Value::Str(text("x")), n])
}

fn after(class: &str, options: &[(&str, &str)], before: Datum) -> Datum {
    let after = run(&one(class, options), record(before.clone(), before)).unwrap().unwrap();
    if class.ends_with("$Key") || class == "ValueToKey" { after.key } else { after.value }
}

fn error(class: &str, options: &[(&str, &str)], before: Datum) -> String {
    run(&one(class, options), record(before.clone(), before)).unwrap_err()
}

/// The outline of the schema and the value.
fn seen(datum: &Datum) -> (String, String) {
    (outline(schema(datum)), shown(datum))
}

fn pair(outline: &str, value: &str) -> (String, String) {
    (outline.to_owned(), value.to_owned())
}

#[test]
fn fields_are_inserted() {
    let options = [
        ("topic.field", "t!"),
        ("offset.field", "o"),
        ("timestamp.field", "ts"),
        ("static.field", "s"),
        ("static.value", "v"),
    ];
    let datum = after("InsertField$Value", &options, order_value(Value::Null));
    let outline = "id:Int64,name:String?,n:Int32?,t:String,o:Int64?,ts:Timestamp?,s:String?";
    assert_eq!(
        seen(&datum),
        pair(outline, r#"{"id":1,"name":"x","n":9,"t":"orders","o":42,"ts":1709211909007,"s":"v"}"#)
    );
    assert_eq!((schema(&datum).name.as_deref(), schema(&datum).version), (Some("Order"), Some(2)));
    let kept = [("partition.field", "p"), ("replace.null.with.default", "false")];
    let datum = after("InsertField$Key", &kept, order_value(Value::Null));
    assert_eq!(shown(&datum), r#"{"id":1,"name":"x","n":null,"p":3}"#);
    assert!(error("InsertField$Value", &[("topic.field", "id")], order_value(Value::Null)).contains("duplication id"));
    let text = Datum::Decoded { schema: Some(plain(Type::String, false)), value: Value::Str(text("x")) };
    let error = error("InsertField$Value", &[("topic.field", "t")], text);
    assert!(error.contains("Only Struct objects supported for [field insertion], found: a string"), "{error}");
}

#[test]
fn a_schema_is_made_once() {
    let mut chain = make_chain(&one("InsertField$Value", &[("topic.field", "t")]));
    let schema = order();
    let with = |n| typed(&schema, &[value(1), Value::Null, value(n)]);
    let mut all = batch(vec![record(Datum::Null, with(1)), record(Datum::Null, with(2))]);
    assert!(chain.apply(&mut all).is_empty());
    let schemas: Vec<_> =
        all.records.iter().map(|record| super::super::data::schema_of(&record.value).unwrap()).collect();
    assert!(Arc::ptr_eq(schemas[0], schemas[1]));
}

#[test]
fn fields_are_replaced() {
    let datum =
        after("ReplaceField$Value", &[("exclude", "name"), ("renames", "id:key,n:count")], order_value(Value::Null));
    assert_eq!(seen(&datum), pair("key:Int64,count:Int32?", r#"{"key":1,"count":9}"#));
    let datum = after(
        "ReplaceField$Value",
        &[("include", "n"), ("replace.null.with.default", "false")],
        order_value(Value::Null),
    );
    assert_eq!(seen(&datum), pair("n:Int32?", r#"{"n":null}"#));
    let error = error("ReplaceField$Value", &[("renames", "id:name")], order_value(Value::Null));
    assert!(error.contains("duplication name"), "{error}");
}

#[test]
fn fields_are_cast() {
    let datum = after("Cast$Value", &[("spec", "id:string,n:float64,zz:int8")], order_value(Value::Null));
    assert_eq!(seen(&datum), pair("id:String,name:String?,n:Float64?", r#"{"id":"1","name":"x","n":9.0}"#));
    assert_eq!(schema(&datum).fields[2].schema.default, Some(Value::Float(9.0)));
    let datum = after(
        "Cast$Key",
        &[("spec", "string")],
        Datum::Decoded { schema: Some(plain(Type::Int64, true)), value: value(5) },
    );
    assert_eq!((schema(&datum), shown(&datum)), (&*plain(Type::String, true), "\"5\"".to_owned()));
    let odd = Arc::new(structure(&[
        ("date", logical(Type::Int32, DATE, false)),
        ("ts", logical(Type::Int64, TIMESTAMP, false)),
        ("bytes", plain(Type::Bytes, false)),
        ("float", plain(Type::Float32, false)),
        ("dec", logical(Type::Bytes, super::super::data::DECIMAL, false)),
    ]));
    let values = [
        Value::Date(1),
        Value::Timestamp(86_400_001),
        Value::Bytes(Bytes::from_static(b"\x00\xff")),
        Value::Float(f64::from(0.1_f32)),
        Value::Decimal(Decimal { unscaled: Box::new([0xff]), scale: 1 }),
    ];
    let strings = after(
        "Cast$Value",
        &[("spec", "date:string,ts:string,bytes:string,float:string,dec:string")],
        typed(&odd, &values),
    );
    assert_eq!(
        shown(&strings),
        r#"{"date":"1970-01-02","ts":"1970-01-02T00:00:00.001Z","bytes":"AP8=","float":"0.1","dec":"-0.1"}"#
    );
    let numbers = after("Cast$Value", &[("spec", "date:int64,ts:int32,float:int8,dec:float64")], typed(&odd, &values));
    assert_eq!(shown(&numbers), r#"{"date":1,"ts":86400001,"bytes":"AP8=","float":0,"dec":-0.1}"#);
    assert!(error("Cast$Value", &[("spec", "bytes:int8")], typed(&odd, &values)).contains("Unexpected type"));
    assert!(error("Cast$Value", &[("spec", "string")], typed(&odd, &values)).contains("casting from STRUCT"));
}

#[test]
fn timestamps_are_converted() {
    let of =
        |schema: Arc<Schema>, v| typed(&Arc::new(structure(&[("ts", schema), ("n", defaulted())])), &[v, Value::Null]);
    let to = |target: &'static str| {
        [("field", "ts"), ("target.type", target), ("format", "yyyy-MM-dd HH:mm"), ("unix.precision", "seconds")]
    };
    for (target, schema, before, outline, expected) in [
        (
            "string",
            plain(Type::Int64, true),
            value(90_000),
            "ts:String?,n:Int32?",
            r#"{"ts":"1970-01-02 01:00","n":9}"#,
        ),
        (
            "unix",
            plain(Type::String, false),
            Value::Str(text("1970-01-02 01:00")),
            "ts:Int64,n:Int32?",
            r#"{"ts":90000,"n":9}"#,
        ),
        (
            "Date",
            logical(Type::Int64, TIMESTAMP, false),
            Value::Timestamp(-1),
            "ts:Date,n:Int32?",
            r#"{"ts":-1,"n":9}"#,
        ),
        (
            "Time",
            logical(Type::Int64, TIMESTAMP, false),
            Value::Timestamp(-1),
            "ts:Time,n:Int32?",
            r#"{"ts":86399999,"n":9}"#,
        ),
        (
            "Timestamp",
            logical(Type::Int32, DATE, true),
            Value::Date(2),
            "ts:Timestamp?,n:Int32?",
            r#"{"ts":172800000,"n":9}"#,
        ),
        ("Timestamp", logical(Type::Int32, DATE, true), Value::Null, "ts:Timestamp?,n:Int32?", r#"{"ts":null,"n":9}"#),
    ] {
        let datum = after("TimestampConverter$Value", &to(target), of(schema, before));
        assert_eq!(seen(&datum), pair(outline, expected), "{target}");
    }
    let error = error("TimestampConverter$Value", &to("unix"), of(plain(Type::Int32, true), Value::Null));
    assert!(error.contains("does not correspond to a known timestamp type"), "{error}");
    let whole = Datum::Decoded { schema: Some(plain(Type::Int64, true)), value: value(5) };
    let datum = after("TimestampConverter$Key", &[("target.type", "Timestamp")], whole);
    assert_eq!(
        datum,
        Datum::Decoded { schema: Some(logical(Type::Int64, TIMESTAMP, true)), value: Value::Timestamp(5) }
    );
    let absent = Datum::Decoded { schema: Some(order()), value: Value::Null };
    assert!(after("TimestampConverter$Value", &[("field", "id"), ("target.type", "Date")], absent).is_null());
}

#[test]
fn fields_are_masked() {
    let datum = after("MaskField$Value", &[("fields", "id,name")], order_value(Value::Null));
    assert_eq!((shown(&datum).as_str(), schema(&datum)), (r#"{"id":0,"name":"","n":9}"#, &*order()));
    let options = [("fields", "n,name"), ("replacement", "4294967297"), ("replace.null.with.default", "false")];
    let datum = after("MaskField$Value", &options, order_value(value(7)));
    assert_eq!(shown(&datum), r#"{"id":1,"name":"4294967297","n":1}"#);
    let outer = Arc::new(structure(&[("in", order())]));
    let Datum::Decoded { value: inner, .. } = order_value(Value::Null) else { panic!() };
    assert!(error("MaskField$Value", &[("fields", "in")], typed(&outer, &[inner])).contains("a struct"));
}

#[test]
fn shapes_change() {
    let outer = Arc::new(structure(&[
        ("in", Arc::new(Schema { optional: true, ..Schema::clone(&order()) })),
        ("list", Arc::new(Schema { element: Some(plain(Type::Int8, false)), ..Schema::of(Type::Array) })),
    ]));
    let Datum::Decoded { value: inner, .. } = order_value(Value::Null) else { panic!() };
    let full = typed(&outer, &[inner, Value::List(vec![value(1)])]);
    let absent = typed(&outer, &[Value::Null, Value::List(Vec::new())]);

    let flat = after("Flatten$Value", &[("delimiter", "_")], full.clone());
    let outline = "in_id:Int64?,in_name:String?,in_n:Int32?,list:Array";
    assert_eq!(seen(&flat), pair(outline, r#"{"in_id":1,"in_name":"x","in_n":9,"list":[1]}"#));
    let flat = after("Flatten$Value", &[("delimiter", "_")], absent.clone());
    assert_eq!(shown(&flat), r#"{"in_id":null,"in_name":null,"in_n":null,"list":[]}"#);
    let map = Arc::new(Schema { element: Some(plain(Type::Int8, false)), ..Schema::of(Type::Map) });
    let map = typed(&Arc::new(structure(&[("m", map)])), &[Value::Map(Vec::new())]);
    assert!(error("Flatten$Value", &[], map).contains("does not support MAP for record with schemas (for field m)"));

    let v2 = |field: &'static str| [("field", field), ("field.syntax.version", "V2")];
    let n = after("ExtractField$Value", &v2("in.n"), full.clone());
    assert_eq!((schema(&n), shown(&n)), (&*defaulted(), "9".to_owned()));
    assert!(after("ExtractField$Value", &v2("in.n"), absent).is_null());
    assert!(error("ExtractField$Value", &v2("in.zz"), full.clone()).contains("Unknown field: in.zz"));
    assert!(error("ExtractField$Value", &[("field", "in.n")], full.clone()).contains("Unknown field: in.n"));

    let hoisted = after("HoistField$Value", &[("field", "h")], order_value(Value::Null));
    assert_eq!(seen(&hoisted), pair("h:Order", r#"{"h":{"id":1,"name":"x","n":null}}"#));
    let key = after("ValueToKey", &[("fields", "n,id")], order_value(Value::Null));
    assert_eq!(seen(&key), pair("n:Int32?,id:Int64", r#"{"n":9,"id":1}"#));
    assert_eq!(schema(&key).name, None);
    assert!(error("ValueToKey", &[("fields", "zz")], full).contains("Field does not exist: zz"));

    let named =
        after("SetSchemaMetadata$Value", &[("schema.name", "New"), ("schema.version", "7")], order_value(Value::Null));
    assert_eq!((schema(&named).name.as_deref(), schema(&named).version), (Some("New"), Some(7)));
    assert_eq!(shown(&named), r#"{"id":1,"name":"x","n":9}"#);
    let named = after(
        "SetSchemaMetadata$Value",
        &[("schema.version", "7"), ("replace.null.with.default", "false")],
        order_value(Value::Null),
    );
    assert_eq!(
        (schema(&named).name.as_deref(), shown(&named).as_str()),
        (Some("Order"), r#"{"id":1,"name":"x","n":null}"#)
    );
}

#[test]
fn headers_take_fields_with_their_schemas() {
    let options = |operation| [("fields", "n"), ("headers", "h"), ("operation", operation)];
    let before = record(Datum::Null, order_value(Value::Null));
    let after = run(&one("HeaderFrom$Value", &options("move")), before.clone()).unwrap().unwrap();
    assert_eq!(seen(&after.value), pair("id:Int64,name:String?", r#"{"id":1,"name":"x"}"#));
    let header = Header { key: text("h"), value: Datum::Decoded { schema: Some(defaulted()), value: value(9) } };
    assert_eq!(after.headers, [header]);
    let after = run(&one("HeaderFrom$Value", &options("copy")), before.clone()).unwrap().unwrap();
    assert_eq!(after.value, before.value);
    let missing = [("fields", "zz"), ("headers", "h"), ("operation", "copy")];
    assert!(run(&one("HeaderFrom$Value", &missing), before).unwrap_err().contains("Unknown field: zz"));
}

#[test]
fn tombstones_with_a_schema_pass() {
    let tombstone = || Datum::Decoded { schema: Some(order()), value: Value::Null };
    for (class, options) in [
        ("InsertField$Value", &[("topic.field", "t")][..]),
        ("ReplaceField$Value", &[("exclude", "id")]),
        ("Cast$Value", &[("spec", "id:string")]),
        ("Flatten$Value", &[]),
        ("ExtractField$Value", &[("field", "id")]),
    ] {
        assert!(after(class, options, tombstone()).is_null(), "{class}");
    }
    for (class, options) in [
        ("MaskField$Value", &[("fields", "id")][..]),
        ("ValueToKey", &[("fields", "id")]),
        ("HeaderFrom$Value", &[("fields", "id"), ("headers", "h"), ("operation", "move")]),
    ] {
        assert!(error(class, options, tombstone()).contains("Only Struct objects supported"), "{class}");
    }
}
