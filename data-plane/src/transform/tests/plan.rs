//! Changing the text of a map comes to the same as opening it.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

const NAMES: &[&str] = &["a", "b", "c", "ts", "long name", "é"];

const VALUES: &[&str] = &[
    "null",
    "true",
    "0",
    "-1.50",
    "1e3",
    "12345678901234567890123",
    "1700000000000",
    "\"\"",
    "\"12\"",
    "\"true\"",
    "\"q\\\"\\u00e9\\n\"",
    "\"2024-02-29\"",
    "[1, {\"a\": 2}]",
    "{\"b\": {\"c\" : null}}",
];

const TRANSFORMS: &[(&str, &[(&str, &str)])] = &[
    ("ReplaceField$Value", &[("exclude", "a,ts")]),
    ("ReplaceField$Value", &[("include", "b,c,é")]),
    ("ReplaceField$Value", &[("renames", "a:b")]),
    ("ReplaceField$Value", &[("renames", "a:\"new\",b:é,c:\"new\"")]),
    ("ReplaceField$Value", &[("renames", "b:a,a:b")]),
    ("InsertField$Value", &[("static.field", "b"), ("static.value", "f\"x")]),
    ("InsertField$Value", &[("topic.field", "t"), ("partition.field", "p"), ("offset.field", "a")]),
    ("InsertField$Value", &[("timestamp.field", "when")]),
    ("Cast$Value", &[("spec", "a:string,b:float64,c:boolean,zz:int8")]),
    ("Cast$Value", &[("spec", "a:int32,ts:string")]),
    ("TimestampConverter$Value", &[("field", "ts"), ("target.type", "Timestamp")]),
    ("TimestampConverter$Value", &[("field", "ts"), ("target.type", "string"), ("format", "yyyy-MM-dd")]),
    ("MaskField$Value", &[("fields", "a,b")]),
    ("MaskField$Value", &[("fields", "c,ts"), ("replacement", "7")]),
];

fn deep(value: Value) -> Value {
    match value.open().unwrap() {
        Value::List(items) => Value::List(items.into_iter().map(deep).collect()),
        Value::Map(fields) => Value::Map(fields.into_iter().map(|(name, value)| (name, deep(value))).collect()),
        other => other,
    }
}

fn chain_of(transforms: &[(&str, &[(&str, &str)])]) -> Chain {
    let aliases: Vec<String> = (0..transforms.len()).map(|number| format!("t{number}")).collect();
    let mut all = flat(&[("transforms", &aliases.join(","))]);
    for (alias, (class, options)) in aliases.iter().zip(transforms) {
        all.insert(format!("transforms.{alias}.type"), format!("{PACKAGE}{class}"));
        all.extend(options.iter().map(|(key, value)| (format!("transforms.{alias}.{key}"), (*value).to_owned())));
    }
    make_chain(&all)
}

/// The value by either way; None when the chain refuses it.
fn both(chain: &mut Chain, json: &str) -> (Option<Value>, Option<Value>) {
    let opened = record(Datum::Null, raw(json));
    let mut whole = batch(vec![opened]);
    chain.apply(&mut whole);
    let whole_way = whole.records.pop().map(|record| deep(record.value.value()));

    let bytes = Bytes::copy_from_slice(json.as_bytes());
    let (bare, origin) = (record(Datum::Null, Datum::Null), &whole.origin);
    // What stood in the buffer before stays.
    let mut out = b"before".to_vec();
    let edited = chain.edit(&bytes, &bare, origin, &mut out);
    assert!(out.starts_with(b"before"));
    let as_text = edited.map(|edited| match edited {
        Edited::Text(range) => json::parse_deep(&Bytes::copy_from_slice(&out[range])).unwrap(),
        Edited::Value(value) => deep(value),
    });
    (whole_way, as_text)
}

proptest! {
    #[test]
    fn a_map_changed_as_text_is_the_map_opened_and_changed(
        names in subsequence(NAMES, 0..=NAMES.len()).prop_shuffle(),
        values in prop::collection::vec(select(VALUES), NAMES.len()),
        spaces in any::<bool>(),
        transforms in prop::collection::vec(select(TRANSFORMS), 1..=4),
    ) {
        let space = if spaces { " " } else { "" };
        let members = names.iter().zip(&values).map(|(name, value)| format!("{space}\"{name}\"{space}:{space}{value}"));
        let json = format!("{space}{{{}{space}}}{space}", members.collect::<Vec<_>>().join(","));
        let mut chain = chain_of(&transforms);
        prop_assert_eq!(chain.edits(), Some(Side::Value));
        let (whole_way, as_text) = both(&mut chain, &json);
        prop_assert_eq!(as_text, whole_way, "{}", json);
    }
}

#[test]
fn only_so_many_layouts_have_a_plan_until_others_come() {
    let mut chain = chain_of(&[("Cast$Value", &[("spec", "a:string")])]);
    let mut has_plan = |number: usize| {
        let json = format!("{{\"a\":{number},\"m{number}\":null}}");
        match both(&mut chain, &json) {
            (Some(whole), Some(text)) => {
                assert_eq!(text, whole, "{json}");
                true
            }
            (_, text) => text.is_some(),
        }
    };
    for _ in 0..2 {
        let known = (0..100).filter(|number| has_plan(*number)).count();
        assert_eq!(known, 64);
    }
    // What comes often and has no plan gets one in the end.
    assert!((0..5000).any(|_| has_plan(99)));
    assert!(has_plan(98) && has_plan(0));
}

#[test]
fn what_is_not_simple_goes_the_whole_way() {
    let mut chain = chain_of(&TRANSFORMS[..1]);
    for json in
        ["", "null", "[1]", "{\"b\":1", "{\"b\":1}x", "{\"b\":1,\"b\":2}", "{\"\\u0062\":1}", "{\"b\":\"\\ud800\"}"]
    {
        let mut out = Vec::new();
        let bare = record(Datum::Null, Datum::Null);
        let origin = TopicPartition { topic: "orders".into(), partition: 3 };
        let edited = chain.edit(&Bytes::copy_from_slice(json.as_bytes()), &bare, &origin, &mut out);
        assert!(edited.is_none() && out.is_empty(), "{json}");
    }
}

#[test]
fn what_is_not_touched_is_copied_as_it_stands() {
    let mut chain = chain_of(&TRANSFORMS[..1]);
    let json = "{ \"a\":1, \"b\" : 1.50 ,\"c\":  [ 1.0e2 ],\"ts\":2, \"d\":\"\\u0041\" }";
    let (bare, mut out) = (record(Datum::Null, Datum::Null), Vec::new());
    let origin = TopicPartition { topic: "orders".into(), partition: 3 };
    chain.edit(&Bytes::from_static(json.as_bytes()), &bare, &origin, &mut out).unwrap();
    assert_eq!(std::str::from_utf8(&out).unwrap(), "{\"b\" : 1.50 ,\"c\":  [ 1.0e2 ],\"d\":\"\\u0041\"}");
}

#[test]
fn other_transforms_and_conditions_need_opened_maps() {
    let edits = |flat: &Flat| make_chain(flat).edits();
    assert_eq!(edits(&one("ReplaceField$Key", &[("exclude", "a")])), Some(Side::Key));
    assert_eq!(edits(&one("Cast$Value", &[("spec", "string")])), None);
    assert_eq!(edits(&one("Flatten$Value", &[])), None);
    let mut conditional = one("ReplaceField$Value", &[("exclude", "a"), ("predicate", "p")]);
    conditional.extend(flat(&[
        ("predicates", "p"),
        ("predicates.p.type", "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone"),
    ]));
    assert_eq!(edits(&conditional), None);
}
