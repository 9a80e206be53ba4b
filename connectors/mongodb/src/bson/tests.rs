use bytes::Bytes;
use std::sync::Arc;

use millrace_sdk::{Field, Text};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc, oid::ObjectId};

use super::*;

fn json(text: &str) -> Datum {
    Datum::schemaless(Value::Json(Bytes::copy_from_slice(text.as_bytes())))
}

fn text(text: &str) -> Datum {
    Datum::schemaless(Value::Str(Text::from(text)))
}

fn id() -> Vec<u8> {
    let mut writer = Writer::default();
    let at = writer.known("_id");
    writer.text(at, "x");
    writer.into_bytes()
}

fn written(datum: &Datum, id: Option<&[u8]>) -> Result<Document> {
    let mut writer = Writer::default();
    writer.document(datum, id)?;
    let raw = RawDocumentBuf::from_bytes(writer.into_bytes()).unwrap();
    Ok(Document::try_from(raw.as_ref()).unwrap())
}

#[test]
fn decoded_json_has_long_integers_and_doubles() {
    let found =
        written(&json(r#" {"a":1,"b":-2.5,"c":[true,null,{"d":"é\n"}],"e":{},"f":[],"g":1e3} "#), None).unwrap();
    let expected = doc! {
        "a": 1_i64, "b": -2.5, "c": [true, Bson::Null, { "d": "é\n" }], "e": {}, "f": [], "g": 1000.0,
    };
    assert_eq!(found, expected);
}

#[test]
fn integers_keep_their_digits() {
    let found =
        written(&json(r#"{"a":9223372036854775807,"b":18446744073709551615,"c":-9223372036854775808}"#), None).unwrap();
    assert_eq!(found.get("a"), Some(&Bson::Int64(i64::MAX)));
    assert_eq!(found.get("b"), Some(&Bson::Decimal128("18446744073709551615".parse().unwrap())));
    assert_eq!(found.get("c"), Some(&Bson::Int64(i64::MIN)));
}

#[test]
fn texts_are_extended_json() {
    let found = written(
        &text(
            r#"{"a":1,"b":2147483648,"o":{"$oid":"65535b3a0000000000000001"},"d":{"$date":"2023-11-14T22:13:20Z"},
               "e":{"$date":{"$numberLong":"5"}},"l":{"$numberLong":"7"},"m":{"$numberDecimal":"1.50"},"n":{"x":{"y":1}}}"#,
        ),
        None,
    )
    .unwrap();
    assert_eq!(found.get("a"), Some(&Bson::Int32(1)));
    assert_eq!(found.get("b"), Some(&Bson::Int64(2_147_483_648)));
    assert_eq!(found.get("o"), Some(&Bson::ObjectId(ObjectId::parse_str("65535b3a0000000000000001").unwrap())));
    assert_eq!(found.get_datetime("d").unwrap().timestamp_millis(), 1_700_000_000_000);
    assert_eq!(found.get_datetime("e").unwrap().timestamp_millis(), 5);
    assert_eq!(found.get("l"), Some(&Bson::Int64(7)));
    assert_eq!(found.get("m"), Some(&Bson::Decimal128("1.50".parse().unwrap())));
    assert_eq!(found.get("n"), Some(&Bson::Document(doc! { "x": { "y": 1_i32 } })));
    // A JSON text inside a JSON text is one too; in decoded JSON, `$oid` is just a name.
    assert_eq!(written(&json(r#""{\"a\":1}""#), None).unwrap(), doc! { "a": 1_i32 });
    assert_eq!(written(&json(r#"{"o":{"$oid":"x"}}"#), None).unwrap(), doc! { "o": { "$oid": "x" } });
}

#[test]
fn the_last_of_repeated_names_wins_in_the_place_of_the_first() {
    let found = written(&json(r#"{"a":1,"b":"two","a":"longer than before","b":{"c":1,"c":2},"d":4}"#), None).unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "b", "d"]);
    assert_eq!(found, doc! { "a": "longer than before", "b": { "c": 2_i64 }, "d": 4_i64 });
}

#[test]
fn repeated_names_are_found_among_many() {
    let mut members: Vec<String> = (0..500).map(|n| format!(r#""k{n}":{n}"#)).collect();
    members.extend((0..500).step_by(7).map(|n| format!(r#""k{n}":"again {n}""#)));
    let found = written(&json(&format!("{{{}}}", members.join(","))), None).unwrap();
    assert_eq!(found.len(), 500);
    for (position, (name, value)) in found.iter().enumerate() {
        assert_eq!(*name, format!("k{position}"));
        let again = position % 7 == 0;
        assert_eq!(value.as_str().is_some(), again, "{name}: {value}");
    }
}

#[test]
fn an_added_id_comes_first_and_alone() {
    let id = id();
    assert_eq!(
        written(&json(r#"{"a":1,"_id":5,"b":{"_id":6}}"#), Some(&id)).unwrap(),
        doc! { "_id": "x", "a": 1_i64, "b": { "_id": 6_i64 } }
    );
    let tree = Value::Map(vec![("_id".into(), Value::Int(5)), ("a".into(), Value::Json(Bytes::from_static(b"[1]")))]);
    assert_eq!(written(&Datum::schemaless(tree), Some(&id)).unwrap(), doc! { "_id": "x", "a": [1_i64] });
    let raw = RawDocumentBuf::try_from(&doc! { "a": 1_i32, "_id": 5_i32, "b": [1_i32, "z"] }).unwrap();
    let bytes = Datum::schemaless(Value::Bytes(Bytes::copy_from_slice(raw.as_bytes())));
    assert_eq!(written(&bytes, Some(&id)).unwrap(), doc! { "_id": "x", "a": 1_i32, "b": [1_i32, "z"] });
    assert_eq!(written(&bytes, None).unwrap(), doc! { "a": 1_i32, "_id": 5_i32, "b": [1_i32, "z"] });
}

#[test]
fn what_is_no_document_is_a_bad_record() {
    for (datum, said) in [
        (json("[1]"), "a JSON object"),
        (json("7"), "a JSON object"),
        (text("plain words"), "document"),
        (text(r#"{"a":1} trailing"#), "trailing"),
        (text(r#"{"a":{"$binary":{"base64":"?","subType":"00"}}}"#), "$binary"),
        (json(r#"{"a":1e999}"#), "out of range"),
        (json("{\"a\\u0000b\":1}"), "NUL"),
        (Datum::Null, "null"),
        (Datum::schemaless(Value::Int(1)), "an integer"),
        (Datum::schemaless(Value::Bytes(Bytes::from_static(b"\x05\0\0"))), "not a BSON document"),
    ] {
        let error = written(&datum, None).unwrap_err();
        assert_eq!(error.kind(), millrace_sdk::ErrorKind::BadRecord);
        assert!(error.chain().contains(said), "{datum:?}: {}", error.chain());
    }
    let deep = format!("{}1{}", r#"{"a":"#.repeat(2000), "}".repeat(2000));
    assert!(written(&text(&deep), None).is_err(), "nesting is bounded");
}

#[test]
fn a_document_may_have_16_mib_and_not_a_byte_more() {
    // Length, type, name, NUL, text length, text, NUL, NUL.
    let room = MAX_DOCUMENT_BYTES - 4 - 1 - 2 - 4 - 1 - 1;
    assert!(written(&json(&format!(r#"{{"a":"{}"}}"#, "x".repeat(room))), None).is_ok());
    let error = written(&json(&format!(r#"{{"a":"{}"}}"#, "x".repeat(room + 1))), None).unwrap_err();
    assert!(error.to_string().contains("16777217"), "{error}");
}

#[test]
fn schemas_decide_widths_and_logical_types() {
    let field = |name: &str, kind| Field { name: name.into(), schema: Arc::new(Schema::of(kind)) };
    let mut schema = Schema::of(Type::Struct);
    schema.fields = vec![field("small", Type::Int32), field("big", Type::Int64), field("list", Type::Array)];
    let mut list = Schema::of(Type::Array);
    list.element = Some(Arc::new(Schema::of(Type::Int16)));
    schema.fields[2].schema = Arc::new(list);
    let decimal = |bytes: &'static [u8], scale| Value::Decimal(Decimal { unscaled: Box::from(bytes), scale });
    let value = Value::Map(vec![
        ("list".into(), Value::List(vec![Value::Int(3)])),
        ("small".into(), Value::Int(1)),
        ("big".into(), Value::Int(2)),
        ("date".into(), Value::Date(1)),
        ("time".into(), Value::Time(5)),
        ("stamp".into(), Value::Timestamp(-6)),
        ("price".into(), decimal(&[0x04, 0xD2], 2)),
        ("debt".into(), decimal(&[0xFF, 0xFF, 0x85], 1)),
        ("bytes".into(), Value::Bytes(Bytes::from_static(b"ab"))),
    ]);
    let found = written(&Datum::Decoded { schema: Some(Arc::new(schema)), value }, None).unwrap();
    assert_eq!(found.get("small"), Some(&Bson::Int32(1)));
    assert_eq!(found.get("big"), Some(&Bson::Int64(2)));
    assert_eq!(found.get("list"), Some(&Bson::Array(vec![Bson::Int32(3)])));
    assert_eq!(found.get_datetime("date").unwrap().timestamp_millis(), 86_400_000);
    assert_eq!(found.get_datetime("time").unwrap().timestamp_millis(), 5);
    assert_eq!(found.get_datetime("stamp").unwrap().timestamp_millis(), -6);
    assert_eq!(found.get("price").unwrap().to_string(), "12.34");
    assert_eq!(found.get("debt").unwrap().to_string(), "-12.3");
    assert_eq!(found.get_binary_generic("bytes").unwrap(), b"ab");
    let wide = Value::Map(vec![("d".into(), decimal(&[0x7F; 16], 0))]);
    assert!(written(&Datum::schemaless(wide), None).unwrap_err().to_string().contains("34 digits"));
}

#[test]
fn a_field_is_found_wherever_it_is() {
    let raw = RawDocumentBuf::try_from(&doc! { "a": "skip", "_id": 5_i64 }).unwrap();
    for datum in [
        json(r#"{"a":{"_id":1},"_id":5}"#),
        json(r#"{"\u005fid":5}"#),
        Datum::schemaless(Value::Map(vec![("_id".into(), Value::Int(5))])),
        Datum::Encoded(Bytes::copy_from_slice(raw.as_bytes())),
    ] {
        assert_eq!(id_of(&datum).unwrap().unwrap(), b"\x12_id\0\x05\0\0\0\0\0\0\0", "{datum:?}");
    }
    assert_eq!(id_of(&json(r#"{"a":{"_id":1}}"#)).unwrap(), None);
    assert_eq!(id_of(&json(r#"{"a":1}"#)).unwrap(), None);
}

#[test]
fn a_part_of_json_ends_the_walk_only_when_no_name_comes_again() {
    let names = Names::new(vec!["a/".to_owned(), "b".to_owned()]);
    for (text, expected) in [
        (r#"{"a/":1,"x":{"a/":7},"b":"z","y":[]}"#, doc! { "a/": 1_i64, "b": "z" }),
        (r#"{"a/":1,"b":2,"a/":3}"#, doc! { "a/": 3_i64, "b": 2_i64 }),
        (r#"{"a/":1,"b":2,"\u0061/":3}"#, doc! { "a/": 3_i64, "b": 2_i64 }),
        (r#"{"a/":1,"b":2,"a\/":3}"#, doc! { "a/": 3_i64, "b": 2_i64 }),
        (r#"{"a/":1,"b":2,"x":"\n"}"#, doc! { "a/": 1_i64, "b": 2_i64 }),
        (r#"{"b":2}"#, doc! { "b": 2_i64 }),
    ] {
        let mut writer = Writer::default();
        let open = writer.begin();
        let at = writer.known("_id");
        assert!(writer.scalars_of(at, &json(text), &names).unwrap(), "{text}");
        writer.end(open);
        assert_eq!(Document::from_reader(&*writer.into_bytes()).unwrap(), doc! { "_id": expected }, "{text}");
    }
}

#[test]
fn what_a_map_becomes_does_not_depend_on_the_one_before() {
    let texts = [
        r#"{}"#,
        r#"{"a":1,"b":{"a":2},"_id":3}"#,
        r#"{"a":1,"b":{"c":2},"_id":3,"c":[{"a":null}]}"#,
        r#" { "a" : "x" , "b" : true } "#,
        r#"{"a":1}"#,
        r#"{"a":1,"c":2,"b":3}"#,
        r#"{"b":1,"a":2}"#,
        r#"{"a":1,"b":2,"a":3,"b":4}"#,
        r#"{"a":1,"\u0062":2,"b":3}"#,
        r#"{"a\"":1,"b":2}"#,
        r#"{"aa":1,"a":2}"#,
        r#"{"a":1,"b":}"#,
        r#"{"a":1,"b" 2}"#,
        r#"{"a":1,"b":2,}"#,
        r#"{"a":1,"b":2"#,
        r#"{"a"":1}"#,
        r#"[1]"#,
    ];
    let id = b"\x10_id\0\x07\0\0\0".as_slice();
    let document = |writer: &mut Writer, text: &str, id: Option<&[u8]>| {
        writer.truncate(0);
        let outcome = writer.document(&json(text), id);
        outcome.map(|()| writer.slice(0..writer.len()).to_vec()).map_err(|error| error.chain())
    };
    for (first, second) in texts.iter().flat_map(|a| texts.iter().map(move |b| (a, b))) {
        // The names are those of the second map.
        for ids in [[None; 4], [None, None, Some(id), None], [Some(id), Some(id), None, Some(id)]] {
            let mut writer = Writer::default();
            for (text, id) in [first, first, second, first].into_iter().zip(ids) {
                let alone = document(&mut Writer::default(), text, id);
                assert_eq!(document(&mut writer, text, id), alone, "{first} {second}");
            }
        }
    }
}
