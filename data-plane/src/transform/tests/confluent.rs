//! Confluent's transforms, as their documentation has them.

use super::*;

const CONFLUENT: &str = "io.confluent.connect.transforms.";

fn confluent(class: &str, options: &[(&str, &str)]) -> Flat {
    of(&format!("{CONFLUENT}{class}"), options)
}

/// A struct `{n: 1, s: "x", inner: {a: "deep"}, at: timestamp}`, and the same without a schema.
fn both() -> [Datum; 2] {
    let inner = Arc::new(structure(&[("a", plain(Type::String, true))]));
    let schema = Arc::new(structure(&[
        ("n", plain(Type::Int32, false)),
        ("s", plain(Type::String, true)),
        ("inner", inner),
        ("none", plain(Type::String, true)),
        ("at", logical(Type::Int64, TIMESTAMP, true)),
    ]));
    let deep = Value::Map(vec![(text("a"), Value::Str(text("deep")))]);
    let values = [Value::Int(1), Value::Str(text("x")), deep, Value::Null, Value::Timestamp(86_400_000)];
    [typed(&schema, &values), raw(r#"{"n":1,"s":"x","inner":{"a":"deep"},"none":null,"at":86400000}"#)]
}

#[test]
fn a_filter_keeps_and_drops() {
    // condition, type, missing, what becomes of the record: kept, dropped or refused
    for (condition, filter_type, missing, expected) in [
        ("$[?(@.n == 1)]", "include", "fail", Ok(true)),
        ("$[?(@.n == 2)]", "include", "fail", Ok(false)),
        ("$[?(@.n == 1)]", "exclude", "fail", Ok(false)),
        ("$[?(@.n == 2)]", "exclude", "fail", Ok(true)),
        ("$.inner[?(@.a == 'deep' || @.a == 'other')]", "include", "fail", Ok(true)),
        ("$.inner[?(@.a == 'other')]", "include", "fail", Ok(false)),
        ("$[?(@.nothing == 2)]", "include", "fail", Err(())),
        ("$[?(@.nothing == 2)]", "include", "include", Ok(true)),
        ("$[?(@.nothing == 2)]", "include", "exclude", Ok(false)),
        ("$[?(@.nothing == 2)]", "exclude", "exclude", Ok(false)),
        ("$[?(@.none == 'x')]", "include", "include", Ok(true)),
        ("$[?(@.none == null)]", "include", "fail", Ok(true)),
        ("$[?(@.n == 1 || @.nothing == 2)]", "include", "fail", Ok(true)),
    ] {
        let options =
            [("filter.condition", condition), ("filter.type", filter_type), ("missing.or.null.behavior", missing)];
        for datum in both() {
            for (class, record) in [
                ("Filter$Value", record(Datum::Null, datum.clone())),
                ("Filter$Key", record(datum.clone(), Datum::Null)),
            ] {
                let outcome = run(&confluent(class, &options), record).map(|kept| kept.is_some()).map_err(|_| ());
                assert_eq!(outcome, expected, "{class} {condition} {filter_type} {missing}");
            }
        }
    }
    let options = [("filter.condition", "$[?(@.n == 1)]"), ("filter.type", "include")];
    let error = run(&confluent("Filter$Value", &options), record(Datum::Null, Datum::Null)).unwrap_err();
    assert!(error.contains("$[?(@.n == 1)]") && error.contains("missing.or.null.behavior"), "{error}");
}

#[test]
fn topics_are_extracted() {
    for (class, options, expected) in [
        ("ExtractTopic$Value", &[("field", "s")][..], Ok("x")),
        ("ExtractTopic$Key", &[("field", "s")], Ok("x")),
        ("ExtractTopic$Value", &[("field", "inner.a")], Err("the field inner.a of the value is missing")),
        ("ExtractTopic$Value", &[("field", "$['inner']['a']"), ("field.format", "JSON_PATH")], Ok("deep")),
        ("ExtractTopic$Value", &[("field", "$['inner']['b']"), ("field.format", "JSON_PATH")], Err("missing or null")),
        ("ExtractTopic$Value", &[("field", "none")], Err("missing or null")),
        ("ExtractTopic$Value", &[("field", "none"), ("skip.missing.or.null", "true")], Ok("orders")),
        ("ExtractTopic$Value", &[("field", "nothing"), ("skip.missing.or.null", "true")], Ok("orders")),
        ("ExtractTopic$Value", &[("field", "n")], Err("must be a text to name the topic, found: an integer")),
        ("ExtractTopic$Value", &[], Err("the value must be a text")),
    ] {
        for datum in both() {
            let outcome = run(&confluent(class, options), record(datum.clone(), datum));
            match (outcome, expected) {
                (Ok(Some(record)), Ok(topic)) => {
                    assert_eq!(record.renamed_topic.as_deref().unwrap_or("orders"), topic, "{class} {options:?}");
                }
                (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
                (outcome, _) => panic!("{class} {options:?}: {outcome:?}"),
            }
        }
    }
    let whole = run(&confluent("ExtractTopic$Key", &[]), record(raw("\"k\""), Datum::Null)).unwrap().unwrap();
    assert_eq!(whole.renamed_topic.as_deref(), Some("k"));
    assert!(
        run(&confluent("ExtractTopic$Key", &[]), record(raw("\"\""), Datum::Null))
            .unwrap_err()
            .contains("an empty one")
    );
}

#[test]
fn topics_come_from_headers() {
    let header = |value: &str| Header { key: text("h"), value: Datum::schemaless(Value::Str(text(value))) };
    let mut with = record(Datum::Null, Datum::Null);
    with.headers = vec![header("first"), header("last")];
    let options = [("field", "h")];
    let routed = run(&confluent("ExtractTopic$Header", &options), with).unwrap().unwrap();
    assert_eq!(routed.renamed_topic.as_deref(), Some("last"));
    let without = record(Datum::Null, Datum::Null);
    let error = run(&confluent("ExtractTopic$Header", &options), without.clone()).unwrap_err();
    assert!(error.contains("the header h is missing"), "{error}");
    let skipping = [("field", "h"), ("skip.missing.or.null", "true")];
    assert_eq!(run(&confluent("ExtractTopic$Header", &skipping), without).unwrap().unwrap().renamed_topic, None);
}

#[test]
fn keys_and_values_are_dropped() {
    let [datum, plain] = both();
    let strict = schema(&datum).clone();
    let loose = Datum::Decoded { schema: Some(Arc::new(Schema { optional: true, ..strict })), value: datum.value() };
    for (behavior, before, expected) in [
        ("nullify", &datum, Ok(None)),
        ("retain", &datum, Ok(Some(false))),
        ("force_optional", &datum, Ok(Some(true))),
        ("force_optional", &loose, Ok(Some(true))),
        ("validate", &loose, Ok(Some(true))),
        ("validate", &datum, Err(())),
        ("nullify", &plain, Ok(None)),
        ("validate", &plain, Ok(None)),
    ] {
        let options = [("schema.behavior", behavior)];
        let outcome = run(&confluent("Drop$Value", &options), record(plain.clone(), before.clone()));
        let seen = outcome.map_err(|_| ()).map(|record| {
            let record = record.unwrap();
            assert!(record.value.is_null() && !record.key.is_null());
            super::super::data::schema_of(&record.value).map(|schema| schema.optional)
        });
        assert_eq!(seen, expected, "{behavior}");
    }
    let keyless = run(&confluent("Drop$Key", &[]), record(datum, plain)).unwrap().unwrap();
    assert_eq!((keyless.key, keyless.value.is_null()), (Datum::Null, false));
}

#[test]
fn topics_have_the_time_of_the_message() {
    let keys = ("message.timestamp.keys", "nothing,none,at,s");
    for (options, value, expected) in [
        (&[keys][..], None, Ok("orders-19700102")),
        (&[keys, ("topic.format", "${timestamp}.${topic}")], None, Ok("19700102.orders")),
        (&[keys, ("topic.timestamp.format", "yyyy-MM")], None, Ok("orders-1970-01")),
        (&[("message.timestamp.keys", "n")], None, Ok("orders-19700101")),
        (&[("message.timestamp.keys", "nothing")], None, Err("none of message.timestamp.keys nothing")),
        (&[("message.timestamp.keys", "inner")], None, Err("holds no time but a map")),
        (&[("message.timestamp.keys", "s")], None, Err("does not hold milliseconds")),
        (&[("message.timestamp.keys", "t")], Some(r#"{"t":"86400000"}"#), Ok("orders-19700102")),
        (
            &[("message.timestamp.keys", "t"), ("message.timestamp.format", "yyyy-MM-dd")],
            Some(r#"{"t":"2019-08-06"}"#),
            Ok("orders-20190806"),
        ),
        (
            &[("message.timestamp.keys", "t"), ("message.timestamp.format", "yyyy-MM-dd")],
            Some(r#"{"t":"yesterday"}"#),
            Err("not of message.timestamp.format yyyy-MM-dd"),
        ),
    ] {
        for datum in value.map_or_else(|| both().to_vec(), |value| vec![raw(value)]) {
            let outcome = run(&confluent("MessageTimestampRouter", options), record(Datum::Null, datum));
            match (outcome, expected) {
                (Ok(Some(record)), Ok(topic)) => {
                    assert_eq!(record.renamed_topic.as_deref(), Some(topic), "{options:?}")
                }
                (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
                (outcome, _) => panic!("{options:?}: {outcome:?}"),
            }
        }
    }
}

#[test]
fn tombstones_are_handled() {
    for (behavior, expected) in
        [("drop_silent", Ok(false)), ("drop_warn", Ok(false)), ("ignore", Ok(true)), ("fail", Err(()))]
    {
        let options = confluent("TombstoneHandler", &[("behavior", behavior)]);
        let outcome = run(&options, record(Datum::Null, Datum::Null)).map(|kept| kept.is_some()).map_err(|_| ());
        assert_eq!(outcome, expected, "{behavior}");
        assert!(run(&options, record(Datum::Null, raw("1"))).unwrap().is_some());
    }
}

#[test]
fn confluents_names_of_kafkas_transforms_work() {
    let [_, plain] = both();
    let flat = run(&confluent("Flatten$Value", &[("delimiter", "_")]), record(Datum::Null, plain.clone()));
    assert!(shown(&flat.unwrap().unwrap().value).contains(r#""inner_a":"deep""#));
    let replaced = run(&confluent("ReplaceField$Key", &[("include", "n")]), record(plain, Datum::Null));
    assert_eq!(shown(&replaced.unwrap().unwrap().key), r#"{"n":1}"#);
}

#[test]
fn mistakes_are_named_with_their_key() {
    for (class, options, key, part) in [
        ("Filter$Value", &[("filter.type", "include")][..], "filter.condition", "Missing required"),
        ("Filter$Value", &[("filter.condition", "$.a")], "filter.type", "Missing required"),
        ("Filter$Value", &[("filter.condition", "a"), ("filter.type", "include")], "filter.condition", "expected at"),
        ("Filter$Value", &[("filter.condition", "$.a"), ("filter.type", "keep")], "filter.type", "keep"),
        ("ExtractTopic$Header", &[], "field", "non-empty"),
        ("ExtractTopic$Header", &[("field", "h"), ("field.format", "JSON_PATH")], "field.format", "no fields"),
        ("ExtractTopic$Value", &[("field", "$["), ("field.format", "JSON_PATH")], "field", "an index"),
        ("Drop$Value", &[("schema.behavior", "keep")], "schema.behavior", "keep"),
        ("MessageTimestampRouter", &[], "message.timestamp.keys", "Missing required"),
        ("MessageTimestampRouter", &[("message.timestamp.keys", "")], "message.timestamp.keys", "mpty"),
        (
            "MessageTimestampRouter",
            &[("message.timestamp.keys", "a"), ("topic.timestamp.format", "YYYY")],
            "topic.timestamp.format",
            "'Y' is not available",
        ),
        (
            "MessageTimestampRouter",
            &[("message.timestamp.keys", "a"), ("message.timestamp.format", "Q")],
            "message.timestamp.format",
            "'Q'",
        ),
    ] {
        let findings = findings(&confluent(class, options));
        let long = format!("transforms.t.{key}");
        let problem = findings.errors.iter().find(|problem| problem.key == long);
        let problem = problem.unwrap_or_else(|| panic!("{class} {options:?}: {:?}", findings.errors));
        assert!(problem.message.contains(part) && problem.message.contains(&long), "{}", problem.message);
    }
}
