use millrace_sdk::{Text, TimestampKind, TopicPartition};

use super::*;

fn config(more: &[(&str, &str)]) -> SinkConfig {
    let mut flat: millrace_sdk::Flat = [("connection.url".to_owned(), "http://h:9200".to_owned())].into();
    flat.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let def = millrace_sdk::config::definition::<SinkConfig>();
    millrace_sdk::config::parse(&def, &flat).unwrap()
}

fn one(key: &str, value: Option<&str>) -> Batch {
    let text = |text: &str| Datum::schemaless(Value::Str(Text::from(text)));
    let record = Record {
        offset: 42,
        timestamp_ms: None,
        timestamp_kind: TimestampKind::None,
        renamed_topic: None,
        key: if key.is_empty() { Datum::Null } else { text(key) },
        value: value
            .map_or(Datum::Null, |json| Datum::schemaless(Value::Json(Bytes::copy_from_slice(json.as_bytes())))),
        headers: Vec::new(),
    };
    Batch { origin: TopicPartition { topic: "t".into(), partition: 3 }, records: vec![record] }
}

fn lines(config: &SinkConfig, batch: &Batch) -> Result<Option<String>> {
    versioned_lines(config, "", batch)
}

fn versioned_lines(config: &SinkConfig, rule: &str, batch: &Batch) -> Result<Option<String>> {
    let versions = &Versions { rule: VersionRule::parse(rule).unwrap(), epoch: 100 };
    let mut out = Vec::new();
    let operation = encode(&mut out, (config, versions), (0, "idx"), batch, 0)?;
    assert_eq!(operation.is_none(), out.is_empty());
    Ok(operation.map(|_| String::from_utf8(out).unwrap()))
}

#[test]
fn each_setting_has_its_lines() {
    let index = r#"{"index":{"_index":"idx","_id":"k\"1","version":42,"version_type":"external"}}"#;
    for (more, batch, expected) in [
        (&[][..], one("k\"1", Some("{\"a\":1}")), format!("{index}\n{{\"a\":1}}\n")),
        (
            &[("key.ignore", "true")],
            one("k", Some("{}")),
            "{\"index\":{\"_index\":\"idx\",\"_id\":\"t+3+42\"}}\n{}\n".to_owned(),
        ),
        (
            &[("topic.key.ignore", "s,t")],
            one("", Some("{}")),
            "{\"index\":{\"_index\":\"idx\",\"_id\":\"t+3+42\"}}\n{}\n".to_owned(),
        ),
        (
            &[("write.method", "upsert")],
            one("k", Some("{}")),
            "{\"update\":{\"_index\":\"idx\",\"_id\":\"k\",\"retry_on_conflict\":5}}\n{\"doc_as_upsert\":true,\"doc\":{}}\n".to_owned(),
        ),
        (
            &[("behavior.on.null.values", "delete")],
            one("k", None),
            "{\"delete\":{\"_index\":\"idx\",\"_id\":\"k\",\"version\":42,\"version_type\":\"external\"}}\n".to_owned(),
        ),
    ] {
        assert_eq!(lines(&config(more), &batch).unwrap().unwrap(), expected, "{more:?}");
    }
}

#[test]
fn the_rule_of_versions_is_the_peers_or_the_users() {
    let mut batch = one("k", Some("{\"v\":7}"));
    batch.records[0].timestamp_ms = Some(1000);
    for (rule, expected) in [
        ("", ",\"version\":42,\"version_type\":\"external\""),
        ("none", ""),
        ("offset", ",\"version\":142,\"version_type\":\"external\""),
        ("timestamp", ",\"version\":1000,\"version_type\":\"external_gte\""),
        ("field:v", ",\"version\":7,\"version_type\":\"external_gte\""),
    ] {
        let lines = versioned_lines(&config(&[]), rule, &batch).unwrap().unwrap();
        assert_eq!(
            lines.lines().next().unwrap(),
            format!("{{\"index\":{{\"_index\":\"idx\",\"_id\":\"k\"{expected}}}}}")
        );
    }
    assert!(versioned_lines(&config(&[]), "header:v", &batch).is_err());
    for more in [("key.ignore", "true"), ("write.method", "upsert"), ("external.version.header", "v")] {
        assert!(config(&[more]).refuses_versions().is_err(), "{more:?}");
    }
    assert!(config(&[]).refuses_versions().is_ok());
}

#[test]
fn null_values_are_what_the_setting_says() {
    let error = lines(&config(&[]), &one("k", None)).unwrap_err();
    assert!(
        error.to_string().starts_with("t-3@42: ") && error.to_string().contains("behavior.on.null.values"),
        "{error}"
    );
    assert_eq!(lines(&config(&[("behavior.on.null.values", "ignore")]), &one("k", None)).unwrap(), None);
    let delete = [("behavior.on.null.values", "delete")];
    assert_eq!(lines(&config(&delete), &one("", None)).unwrap(), None);
    assert_eq!(lines(&config(&[delete[0], ("key.ignore", "true")]), &one("k", None)).unwrap(), None);
}

#[test]
fn a_header_may_hold_the_version() {
    let config = config(&[("external.version.header", "v")]);
    for (header, version) in [
        (Datum::schemaless(Value::Str("7".into())), Some(7)),
        (Datum::schemaless(Value::Int(8)), Some(8)),
        (Datum::Encoded(Bytes::from_static(b" 9 ")), Some(9)),
        (Datum::schemaless(Value::Str("new".into())), None),
        (Datum::schemaless(Value::Int(-1)), None),
    ] {
        let mut batch = one("k", Some("{}"));
        batch.records[0].headers = vec![Header { key: "v".into(), value: header }];
        match (lines(&config, &batch), version) {
            (Ok(Some(lines)), Some(version)) => assert!(lines.contains(&format!("\"version\":{version},"))),
            (Err(error), None) => assert!(error.to_string().contains("external.version.header")),
            (found, _) => panic!("{found:?}"),
        }
    }
    assert!(lines(&config, &one("k", Some("{}"))).is_err());
}

#[test]
fn requests_are_cut_by_records_and_bytes() {
    let operation = Operation { record: 0, index: 0, id: String::new(), whole: true, version: Some(1), lines: 0..100 };
    let all = vec![&operation; 10];
    assert_eq!(chunk_end(&all, 0, &config(&[("batch.size", "4")])), 4);
    assert_eq!(chunk_end(&all, 8, &config(&[("batch.size", "4")])), 10);
    assert_eq!(chunk_end(&all, 0, &config(&[("bulk.size.bytes", "250")])), 2);
    assert_eq!(chunk_end(&all, 0, &config(&[("bulk.size.bytes", "1")])), 1, "one always goes");
    assert_eq!(chunk_end(&all, 0, &config(&[("bulk.size.bytes", "-1")])), 10);
}

#[test]
fn an_answer_to_something_else_is_no_answer() {
    let operation = Operation { record: 0, index: 0, id: String::new(), whole: true, version: Some(1), lines: 0..1 };
    let reply: Reply = serde_json::from_str(r#"{"errors":false}"#).unwrap();
    assert!(reply.outcomes(&[&operation]).unwrap().is_empty());
    let reply: Reply = serde_json::from_str(r#"{"errors":true,"items":[]}"#).unwrap();
    assert!(reply.outcomes(&[&operation]).is_err());
}

#[test]
fn an_answer_with_half_characters_is_an_answer() {
    for (json, expected) in [
        (r"a\ud800b", r"a\ufffdb"),
        (r"\udc00\ud83d", r"\ufffd\ufffd"),
        (r"\ud83d\ude00\ud83dx", r"\ud83d\ude00\ufffdx"),
        (r"\ud83d\u0041\\ud800", r"\ufffd\u0041\\ud800"),
        (r"\n\é\", r"\n\é\"),
    ] {
        assert_eq!(without_half_characters(json), expected);
    }
    let body = r#"{"errors":true,"items":[{"index":{"status":400,"error":{"type":"x","reason":"cut: '\ud83d'"}}}]}"#;
    assert!(serde_json::from_str::<Reply>(body).is_err());
    assert!(Reply::parse(body).unwrap().errors);
    assert!(Reply::parse("<html>").is_err());
}
