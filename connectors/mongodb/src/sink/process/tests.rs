use mongodb::bson::{Bson, Document, doc};

use super::*;
use crate::sink::model::tests::{entry, one};

fn parsed(json: &str) -> Document {
    crate::bson::extended_value(json).unwrap().as_document().unwrap().clone()
}

#[test]
fn projections_follow_their_wildcards() {
    let whole = r#"{"a":1,"ab":2,"b":{"c":{"d":1,"e":2},"f":[{"c":1,"g":2},3]},"z":{"y":1}}"#;
    for (kind, list, expected) in [
        ("AllowList", "a", r#"{"a":1}"#),
        ("allowlist", "a*", r#"{"a":1,"ab":2}"#),
        ("whitelist", "*", r#"{"a":1,"ab":2,"b":{},"z":{}}"#),
        ("AllowList", "**", whole),
        ("AllowList", "b.c.d", r#"{"b":{"c":{"d":1}}}"#),
        ("AllowList", "b.**", r#"{"b":{"c":{"d":1,"e":2},"f":[{"c":1,"g":2},3]}}"#),
        ("AllowList", "b.*.c", r#"{"b":{"c":{},"f":[{"c":1},3]}}"#),
        ("AllowList", "b.c.**,*.f", r#"{"a":1,"ab":2,"b":{"c":{"d":1,"e":2},"f":[{},3]},"z":{}}"#),
        ("AllowList", "", "{}"),
        ("BlockList", "a, z", r#"{"ab":2,"b":{"c":{"d":1,"e":2},"f":[{"c":1,"g":2},3]}}"#),
        ("blacklist", "a*,z", r#"{"b":{"c":{"d":1,"e":2},"f":[{"c":1,"g":2},3]}}"#),
        ("BlockList", "b.c.d,b.f.c", r#"{"a":1,"ab":2,"b":{"c":{"e":2},"f":[{"g":2},3]},"z":{"y":1}}"#),
        ("BlockList", "*", r#"{"b":{"c":{"d":1,"e":2},"f":[{"c":1,"g":2},3]},"z":{"y":1}}"#),
        ("BlockList", "*.y", r#"{"b":{"c":{"d":1,"e":2},"f":[{"c":1,"g":2},3]},"z":{}}"#),
        ("BlockList", "b.*,z", r#"{"a":1,"ab":2,"b":{"c":{"d":1,"e":2}}}"#),
        ("BlockList", "b.**", r#"{"a":1,"ab":2,"b":{},"z":{"y":1}}"#),
        ("BlockList", "**", "{}"),
    ] {
        let mut document = parsed(whole);
        Projection::parse(kind, list).unwrap().apply(&mut document);
        assert_eq!(document, parsed(expected), "{kind} {list}");
    }
    assert_eq!(Projection::parse("none", "a"), None);
}

#[test]
fn fields_are_renamed_by_path_and_by_pattern() {
    let mapping = r#"[{"oldName":"value.a","newName":"b"},{"oldName":"value.c.d","newName":"e"},{"oldName":"value.x","newName":"y"}]"#;
    let mut document = parsed(r#"{"a":1,"b":2,"c":{"d":3},"x":4,"l":[{"d":5}]}"#);
    Renamer::by_mapping(mapping).unwrap().apply("value", &mut document);
    assert_eq!(document, parsed(r#"{"b":2,"c":{"e":3},"l":[{"d":5}],"y":4}"#), "a taken name stands");
    let patterns = r#"[{"regexp":"^value\\..*my.*$","pattern":"my(.)","replace":"$1_"},{"regexp":"value\\.o\\..*","pattern":"q","replace":"\\$"}]"#;
    let mut document = parsed(r#"{"amyb":1,"o":{"q":2,"r":3},"none":4}"#);
    Renamer::by_regexp(patterns).unwrap().apply("value", &mut document);
    assert_eq!(document, doc! { "o": { "r": 3, "$": 2 }, "none": 4, "ab_": 1 });
    assert!(!Renamer::by_mapping("[]").unwrap().is_active() && !Renamer::by_regexp("").unwrap().is_active());
    for wrong in ["{}", "[{\"oldName\":\"a\"}]", "x"] {
        assert!(Renamer::by_mapping(wrong).is_err(), "{wrong}");
    }
    for wrong in [r#"[{"regexp":"(","pattern":"a","replace":"b"}]"#, r#"[{"regexp":"a","pattern":"a","replace":"$"}]"#]
    {
        assert!(Renamer::by_regexp(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_chain_runs_in_order() {
    let keys = [
        ("document.id.strategy", "KafkaMetaDataStrategy"),
        ("post.processor.chain", "KafkaMetaAdder,NullFieldValueRemover,RenameByMapping,AllowListValueProjector"),
        ("value.projection.list", "_id,keep,o.**,topic-partition-offset,CREATE_TIME"),
        ("field.renamer.mapping", r#"[{"oldName":"value.old","newName":"keep"}]"#),
    ];
    let record =
        one(Some("no document, and nobody looks"), Some(r#"{"old":1,"drop":2,"o":{"n":null,"l":[null,{"m":null}]}}"#));
    let error = entry(&keys, &record).unwrap_err();
    assert!(error.to_string().contains("the key"), "renaming looks at the key: {error}");
    let record = one(None, Some(r#"{"old":1,"drop":2,"o":{"n":null,"l":[null,{"m":null}]}}"#));
    let found = entry(&keys, &record).unwrap().unwrap().1;
    let expected = doc! {
        "o": { "l": [Bson::Null, {}] }, "_id": "t#2#5", "topic-partition-offset": "t-2-5", "CREATE_TIME": 7_i64, "keep": 1_i64,
    };
    assert_eq!(found.get_document("u").unwrap(), &expected);
}

#[test]
fn times_are_read_by_the_pattern() {
    let default = crate::sink::config::tests::topic_settings(&[
        ("timeseries.timefield", "t"),
        ("timeseries.timefield.auto.convert", "true"),
    ]);
    let Some([_, Processor::ConvertTime(_, default)]) = default.chain.as_deref() else { panic!("{default:?}") };
    for (text, millis) in [
        ("2020-01-01", Some(1_577_836_800_000)),
        ("2020-01-01T10:00:00Z", Some(1_577_872_800_000)),
        ("2020-01-01 10:00:00.123", Some(1_577_872_800_123)),
        ("2020-01-01T10:00:00.123456+02", Some(1_577_865_600_123)),
        ("2020-01-01T10:00:00 [UTC]", None),
        ("2020-01-01T10:00:00Z[UTC]", Some(1_577_872_800_000)),
        ("2020-02-30", None),
        ("2020-01-01x", None),
        ("yesterday", None),
    ] {
        assert_eq!(default.millis(text), millis, "{text}");
    }
    for (pattern, text, millis) in [
        ("dd/MM/yyyy HH:mm", "31/12/1999 23:59", Some(946_684_740_000)),
        ("d MMM yy, h:mm a", "5 Nov 21, 1:05 PM", Some(1_636_117_500_000)),
        ("yyyyMMddHHmmssXX", "20200101100000-0130", Some(1_577_878_200_000)),
        ("'on' yyyy''MM''dd", "on 2020'01'01", Some(1_577_836_800_000)),
        ("MM/dd/yyyy", "13/01/2020", None),
    ] {
        assert_eq!(TimeFormat::parse(pattern, "").unwrap().millis(text), millis, "{pattern}: {text}");
    }
    for (pattern, language) in [("[yyyy", ""), ("yyyy]", ""), ("QQ", ""), ("'a", ""), ("yyyy", "de")] {
        assert!(TimeFormat::parse(pattern, language).is_err(), "{pattern}");
    }
    let mut document = doc! { "n": 5_i64, "f": 1.9, "s": "2020-01-01", "x": "none", "d": true };
    for field in ["n", "f", "s", "x", "d"] {
        default.convert(&mut document, field);
    }
    let at = |millis| Bson::DateTime(mongodb::bson::DateTime::from_millis(millis));
    assert_eq!(document, doc! { "n": at(5), "f": at(1), "s": at(1_577_836_800_000), "x": "none", "d": true });
}
