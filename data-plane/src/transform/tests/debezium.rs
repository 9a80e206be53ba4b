//! Debezium's transforms against what Debezium 3.6.1 itself made of the same records (`captured.json`: its classes were run
//! on these inputs), and what is ours: the older options and events without schemas.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::*;
use crate::convert::{Converter, Role, converter};

const NEW_STATE: &str = "io.debezium.transforms.ExtractNewRecordState";
const NEW_DOCUMENT: &str = "io.debezium.connector.mongodb.transforms.ExtractNewDocumentState";
const ROUTER: &str = "io.debezium.transforms.ByLogicalTableRouter";

fn json_converter() -> Box<dyn Converter> {
    let settings = flat(&[
        ("value.converter", "json"),
        ("value.converter.schemas.enable", "true"),
        ("value.converter.replace.null.with.default", "false"),
    ]);
    converter(Role::Value, &settings, &Flat::new()).unwrap()
}

/// Reads and writes the data of the capture.
struct Capture {
    converter: Box<dyn Converter>,
    schemas: HashMap<String, Json>,
}

impl Capture {
    fn read(&self, data: &Json) -> Datum {
        if data.is_null() {
            return Datum::Null;
        }
        let schema = &self.schemas[data["schema"].as_str().unwrap()];
        let envelope = serde_json::json!({ "schema": schema, "payload": data["payload"] });
        self.converter.decode("t", &[Some(Bytes::from(envelope.to_string()))]).remove(0).unwrap()
    }

    /// As the capture has it: an outline of the schema, and the value.
    fn written(&self, datum: &Datum) -> Json {
        let (outline, payload) = match datum {
            Datum::Decoded { schema: Some(schema), .. } => {
                let bytes = self.converter.encode("t", &[datum]).remove(0).unwrap().unwrap();
                (outline(schema), serde_json::from_slice::<Json>(&bytes).unwrap()["payload"].clone())
            }
            other => ("none".to_owned(), serde_json::from_str(&shown(other)).unwrap()),
        };
        serde_json::json!({ "schema": outline, "payload": payload })
    }
}

fn outline(schema: &Schema) -> String {
    let mut out = String::new();
    if let Some(name) = &schema.name {
        out = schema.version.map_or_else(|| format!("{name} "), |version| format!("{name}#{version} "));
    }
    let inner = |schema: &Option<Arc<Schema>>| outline(schema.as_ref().unwrap());
    match schema.kind {
        Type::Struct => {
            let fields = schema.fields.iter().map(|field| format!("{}:{}", field.name, outline(&field.schema)));
            out.push_str(&format!("{{{}}}", fields.collect::<Vec<_>>().join(",")));
        }
        Type::Array => out.push_str(&format!("[{}]", inner(&schema.element))),
        kind => out.push_str(&format!("{kind:?}").to_lowercase()),
    }
    if schema.optional {
        out.push('?');
    }
    if let Some(default) = &schema.default {
        let text = shown(&Datum::schemaless(default.clone()));
        out.push_str(&format!("={}", text.trim_matches('"')));
    }
    out
}

#[test]
fn captured_records_come_out_as_from_debezium() {
    let file: Json = serde_json::from_str(include_str!("../debezium/captured.json")).unwrap();
    let schemas = file["schemas"].as_object().unwrap().clone().into_iter().collect();
    let capture = Capture { converter: json_converter(), schemas };
    let mut wrong = Vec::new();
    for (number, case) in file["cases"].as_array().unwrap().iter().enumerate() {
        let options = case["options"].as_object().unwrap();
        let options: Vec<(&str, &str)> =
            options.iter().map(|(key, value)| (key.as_str(), value.as_str().unwrap())).collect();
        let class = case["type"].as_str().unwrap();
        let mut input = record(capture.read(&case["key"]), capture.read(&case["value"]));
        input.renamed_topic = Some(case["topic"].as_str().unwrap().into());
        for header in case["headers"].as_array().unwrap() {
            let value = capture.read(&header[1]);
            input.headers.push(Header { key: text(header[0].as_str().unwrap()), value });
        }
        let seen = match run(&of(class, &options), input) {
            Err(error) => serde_json::json!({ "error": error }),
            Ok(None) => serde_json::json!({ "dropped": true }),
            Ok(Some(record)) => {
                let headers =
                    record.headers.iter().map(|one| serde_json::json!([&*one.key, capture.written(&one.value)]));
                serde_json::json!({ "out": {
                    "topic": record.renamed_topic.as_deref(),
                    "key": capture.written(&record.key),
                    "value": capture.written(&record.value),
                    "headers": headers.collect::<Vec<_>>(),
                }})
            }
        };
        let equal = if case["error"].is_null() {
            seen["out"] == case["out"] && seen["dropped"] == case["dropped"]
        } else {
            !seen["error"].is_null()
        };
        if !equal {
            let expected = [&case["out"], &case["dropped"], &case["error"]].map(Json::to_string).join(" ");
            wrong.push(format!("{number}: {class} {options:?}\n  {expected}\n  {seen}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// An event without a schema.
fn event(op: &str, before: &str, after: &str) -> Datum {
    raw(&format!(r#"{{"op":"{op}","before":{before},"after":{after},"source":{{"ts_ms":5,"table":"t"}}}}"#))
}

#[test]
fn the_older_options_have_their_meaning() {
    for (options, delete, tombstone) in [
        (&[("delete.handling.mode", "drop")][..], None, false),
        (&[("delete.handling.mode", "none")], Some("null"), false),
        (&[("delete.handling.mode", "rewrite")], Some(r#"{"id":1,"__deleted":"true"}"#), false),
        (&[("drop.tombstones", "false")], None, true),
        (&[("drop.tombstones", "true"), ("delete.handling.mode", "none")], Some("null"), false),
    ] {
        let mut all = options.to_vec();
        all.push(("schemaless.envelope", "unwrap"));
        let flat = of(NEW_STATE, &all);
        let deleted = run(&flat, record(raw("1"), event("d", r#"{"id":1}"#, "null"))).unwrap();
        assert_eq!(deleted.map(|record| shown(&record.value)).as_deref(), delete, "{options:?}");
        assert_eq!(run(&flat, record(raw("1"), Datum::Null)).unwrap().is_some(), tombstone, "{options:?}");
    }
}

#[test]
fn events_without_schemas_pass_or_are_unwrapped() {
    let created = || record(raw("1"), event("c", "null", r#"{"id":1,"topic":"x"}"#));
    let passed = run(&of(NEW_STATE, &[]), created()).unwrap().unwrap();
    assert_eq!(passed.value, created().value);
    for (options, expected, topic) in [
        (&[][..], r#"{"id":1,"topic":"x"}"#, None),
        (
            &[("add.fields", "op,source.ts_ms,table,nothing"), ("delete.tombstone.handling.mode", "rewrite")],
            r#"{"id":1,"topic":"x","__deleted":"false","__op":"c","__source_ts_ms":5,"__table":"t"}"#,
            None,
        ),
        (&[("route.by.field", "topic")], r#"{"id":1,"topic":"x"}"#, Some("x")),
    ] {
        let mut all = options.to_vec();
        all.push(("schemaless.envelope", "unwrap"));
        let unwrapped = run(&of(NEW_STATE, &all), created()).unwrap().unwrap();
        assert_eq!((shown(&unwrapped.value).as_str(), unwrapped.renamed_topic.as_deref()), (expected, topic));
    }
    let unwrap = ("schemaless.envelope", "unwrap");
    let with_header = run(&of(NEW_STATE, &[unwrap, ("add.headers", "op,nothing")]), created()).unwrap().unwrap();
    assert_eq!(with_header.headers, [Header { key: text("__op"), value: Datum::schemaless(Value::Str(text("c"))) }]);
    let mut dropping = created();
    dropping.headers.push(Header { key: text("h"), value: raw(r#"["topic"]"#) });
    let dropped = run(&of(NEW_STATE, &[unwrap, ("drop.fields.header.name", "h")]), dropping).unwrap().unwrap();
    assert_eq!(shown(&dropped.value), r#"{"id":1}"#);
    // A map that is no event stays.
    let plain = || record(Datum::Null, raw(r#"{"after":{"id":1}}"#));
    assert_eq!(run(&of(NEW_STATE, &[unwrap]), plain()).unwrap().unwrap().value, plain().value);
}

#[test]
fn documents_without_schemas_pass_or_are_unwrapped() {
    let document = r#""{\"_id\":{\"$oid\":\"65f0\"},\"n\":{\"$numberLong\":\"7\"},\"tags\":[1,\"x\"]}""#;
    let created = || record(raw(r#"{"id":"{\"$oid\":\"65f0\"}"}"#), event("c", "null", document));
    assert_eq!(run(&of(NEW_DOCUMENT, &[]), created()).unwrap().unwrap().value, created().value);
    let unwrap = ("schemaless.envelope", "unwrap");
    let options = [unwrap, ("array.encoding", "document"), ("add.fields", "op")];
    let unwrapped = run(&of(NEW_DOCUMENT, &options), created()).unwrap().unwrap();
    assert_eq!(shown(&unwrapped.key), r#"{"id":"65f0"}"#);
    assert_eq!(shown(&unwrapped.value), r#"{"_id":"65f0","n":7,"tags":{"_0":1,"_1":"x"},"__op":"c"}"#);
    for (options, delete) in [
        (&[unwrap][..], Some("null")),
        (&[unwrap, ("delete.handling.mode", "drop")], None),
        (&[unwrap, ("delete.handling.mode", "rewrite")], Some(r#"{"__deleted":true}"#)),
    ] {
        let deleted = record(raw(r#"{"id":"1"}"#), event("d", "null", "null"));
        let seen = run(&of(NEW_DOCUMENT, options), deleted).unwrap().map(|record| shown(&record.value));
        assert_eq!(seen.as_deref(), delete, "{options:?}");
    }
    let kept =
        run(&of(NEW_DOCUMENT, &[unwrap, ("drop.tombstones", "false")]), record(raw(r#"{"id":"1"}"#), Datum::Null));
    assert_eq!(shown(&kept.unwrap().unwrap().key), r#"{"id":1}"#);
}

/// What Debezium refuses and we do not: null beside other elements, and documents in lists that differ within.
#[test]
fn elements_of_lists_are_merged() {
    let schema = |items: &str| {
        let document = format!(r#""{{\"_id\":1,\"l\":{}}}""#, items.replace('"', "\\\""));
        let key = Arc::new(Schema { name: Some(text("s.Key")), ..structure(&[("id", plain(Type::String, false))]) });
        let value = Arc::new(Schema {
            name: Some(text("s.Envelope")),
            ..structure(&[("after", plain(Type::String, true)), ("op", plain(Type::String, false))])
        });
        let text_of = |json: &str| raw(json).value().open().unwrap();
        let record = record(typed(&key, &[text_of("\"1\"")]), typed(&value, &[text_of(&document), text_of("\"c\"")]));
        run(&of(NEW_DOCUMENT, &[]), record).map(|record| outline(super::schema(&record.unwrap().value)))
    };
    for (items, expected) in [
        ("[null,1]", "[int32?]?"),
        ("[1,null]", "[int32?]?"),
        ("[null]", "[string?]?"),
        (r#"[{"a":{"x":1}},{"a":{"y":"z"}}]"#, "[s.l {a:s.l.a {x:int32?,y:string?}?}?]?"),
        ("[[1],[2,3]]", "[[int32?]?]?"),
        ("[[[1]]]", "[[[int32?]?]?]?"),
    ] {
        assert_eq!(schema(items).unwrap(), format!("s {{_id:int32?,l:{expected}}}"), "{items}");
    }
    for items in ["[1,\"x\"]", "[{\"a\":1},2]", "[{\"a\":1},{\"a\":\"x\"}]"] {
        let error = schema(items).unwrap_err();
        assert!(error.contains("array elements with different types") && error.contains("array.encoding"), "{error}");
    }
    assert!(schema(r#"{"$minKey":1}"#).unwrap_err().contains("s.l is a MinKey"));
}

#[test]
fn keys_without_schemas_get_the_table_too() {
    let options = [("topic.regex", "o(.*)"), ("topic.replacement", "$1")];
    let routed = run(&of(ROUTER, &options), record(raw(r#"{"id":1}"#), raw("{}"))).unwrap().unwrap();
    assert_eq!(shown(&routed.key), r#"{"id":1,"__dbz__physicalTableIdentifier":"orders"}"#);
    assert_eq!(routed.renamed_topic.as_deref(), Some("rders"));
    assert!(run(&of(ROUTER, &options), record(raw("1"), raw("{}"))).unwrap_err().contains("Updating schema"));
}

/// The schema's name follows the new topic, also where two topics share the schema of their keys.
#[test]
fn topics_with_one_key_schema_get_names_of_their_own() {
    let key = Arc::new(structure(&[("id", plain(Type::Int32, false))]));
    let mut chain = make_chain(&of(ROUTER, &[("topic.regex", "(.)-.*"), ("topic.replacement", "$1")]));
    for (topic, name) in [("a-1", "a.Key"), ("b-1", "b.Key"), ("a-2", "a.Key"), ("x", "Order")] {
        let mut one = record(typed(&key, &[Value::Int(1)]), Datum::Null);
        one.renamed_topic = Some(topic.into());
        let mut all = batch(vec![one]);
        assert!(chain.apply(&mut all).is_empty());
        assert_eq!(super::schema(&all.records[0].key).name.as_deref(), Some(name));
    }
}

#[test]
fn mistakes_are_named_with_their_key() {
    for (class, options, key, part) in [
        (NEW_STATE, &[("add.fields", "a:b:c")][..], "add.fields", "unexpected field name: a:b:c"),
        (NEW_DOCUMENT, &[("add.headers", "op,:x")], "add.headers", "unexpected field name: :x"),
        (NEW_STATE, &[("delete.tombstone.handling.mode", "no")], "delete.tombstone.handling.mode", "no"),
        (
            NEW_STATE,
            &[("delete.tombstone.handling.mode", "drop"), ("drop.tombstones", "true")],
            "drop.tombstones",
            "replaces it",
        ),
        (NEW_DOCUMENT, &[("array.encoding", "list")], "array.encoding", "list"),
        (ROUTER, &[("topic.replacement", "x")], "topic.regex", "Missing required"),
        (ROUTER, &[("topic.regex", "("), ("topic.replacement", "x")], "topic.regex", "Invalid regex"),
        (ROUTER, &[("topic.regex", "a"), ("topic.replacement", "$1")], "topic.replacement", "group"),
        (
            ROUTER,
            &[("topic.regex", "a"), ("topic.replacement", "b"), ("key.field.regex", "a")],
            "key.field.replacement",
            "must be non-empty",
        ),
    ] {
        let findings = findings(&of(class, options));
        let long = format!("transforms.t.{key}");
        let problem = findings.errors.iter().find(|problem| problem.key == long);
        let problem = problem.unwrap_or_else(|| panic!("{class} {options:?}: {:?}", findings.errors));
        assert!(problem.message.contains(part), "{}", problem.message);
    }
}
