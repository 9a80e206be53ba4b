//! The file sink on both sides: values as Java prints them. The order of a schemaless map's entries is Java's own, so lines are
//! compared by the characters they are made of. Where Java prints the address of bytes there is nothing to compare.

use std::path::Path;
use std::time::Duration;

use millrace_tests::kafka::{RawRecord, committed, create_topics, produce_raw};
use millrace_tests::rest::Rest;
use millrace_tests::standalone::Standalone;
use millrace_tests::wait::eventually;
use millrace_tests::{server, unique};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::case::{Options, config};
use crate::sets::SetId;

const LIMIT: Duration = Duration::from_secs(60);
const CLASS: &str = "org.apache.kafka.connect.file.FileStreamSinkConnector";
const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const STRING: &str = "org.apache.kafka.connect.storage.StringConverter";
const LONG: &str = "org.apache.kafka.connect.converters.LongConverter";
const EXCLUDE: (&str, &str) = ("transforms.t.type", "org.apache.kafka.connect.transforms.ReplaceField$Value");
const TOMBSTONES: (&str, &str) =
    ("predicates.p.type", "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone");

const CASES: &[(SetId, Options)] = &[
    (SetId::Plain, &[("value.converter", JSON), ("value.converter.schemas.enable", "false")]),
    (
        SetId::Typed,
        &[
            ("value.converter", JSON),
            ("transforms", "t"),
            EXCLUDE,
            ("transforms.t.exclude", "raw"),
            ("predicates", "p"),
            TOMBSTONES,
            ("transforms.t.predicate", "p"),
            ("transforms.t.negate", "true"),
        ],
    ),
    (SetId::Bytes, &[("value.converter", STRING)]),
    (SetId::Bytes, &[("value.converter", LONG)]),
    (SetId::Good, &[("value.converter", JSON), ("value.converter.schemas.enable", "false")]),
];

async fn create(rest: &Rest, name: &str, topic: &str, options: Options, file: &Path) {
    let mut config = config(options);
    for (key, value) in [("connector.class", CLASS), ("topics", topic), ("tasks.max", "1"), ("errors.tolerance", "all")]
    {
        config.insert(key.to_owned(), value.to_owned());
    }
    config.insert("key.converter".to_owned(), STRING.to_owned());
    config.insert("file".to_owned(), file.display().to_string());
    config.insert("offset.flush.interval.ms".to_owned(), "200".to_owned());
    let body: Value = json!({"name": name, "config": config});
    eventually("a connector is accepted", LIMIT, || async {
        let answer = rest.try_call("POST", "/connectors", Some(body.to_string())).await?;
        if answer.status == StatusCode::CREATED { Ok(()) } else { Err(answer.body.to_string()) }
    })
    .await;
}

/// The characters of a line in one order.
fn characters(line: &str) -> String {
    let mut characters: Vec<char> = line.chars().collect();
    characters.sort_unstable();
    characters.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn file_sinks_print_what_those_of_kafka_connect_print() {
    let standalone = Standalone::start().await;
    let sides = [("connect", Rest::new(server("CONNECT_URL"))), ("millrace", standalone.rest())];
    let run = unique("printed");
    let topics: Vec<String> = (0..CASES.len()).map(|number| format!("{run}-{number}")).collect();
    create_topics(&topics).await;
    let file = |label: &str, topic: &str| standalone.folder().join(format!("{topic}.{label}"));
    let mut ends = Vec::new();
    for ((set, options), topic) in CASES.iter().zip(&topics) {
        // A line end within a text would make two lines of it.
        let samples = set.samples().samples.into_iter().filter(|sample| sample.name != "unicode");
        let records: Vec<RawRecord> = samples.map(|sample| sample.record).collect();
        produce_raw(topic, &records);
        ends.push(i64::try_from(records.len()).unwrap());
        for (label, rest) in &sides {
            create(rest, &format!("{topic}.{label}"), topic, options, &file(label, topic)).await;
        }
    }
    let mut problems = Vec::new();
    let mut compared = 0;
    for (topic, end) in topics.iter().zip(ends) {
        for (label, rest) in &sides {
            let name = format!("{topic}.{label}");
            eventually(&format!("{name} has committed"), LIMIT, || async {
                let found = committed(&format!("connect-{name}"), topic).await;
                if found == [end] { Ok(()) } else { Err(format!("{found:?} of {end}")) }
            })
            .await;
            rest.call("DELETE", &format!("/connectors/{name}"), None).await;
        }
        let [theirs, ours] =
            ["connect", "millrace"].map(|label| std::fs::read_to_string(file(label, topic)).expect("a file"));
        let (theirs, ours): (Vec<&str>, Vec<&str>) = (theirs.lines().collect(), ours.lines().collect());
        if theirs.len() != ours.len() {
            problems.push(format!("{topic}: {} lines of Kafka Connect, {} of Millrace", theirs.len(), ours.len()));
        }
        for (theirs, ours) in theirs.iter().zip(&ours).filter(|(theirs, _)| !theirs.contains("[B@")) {
            compared += 1;
            if characters(theirs) != characters(ours) {
                problems.push(format!("{topic}\n      connect  {theirs}\n      millrace {ours}"));
            }
        }
    }
    println!("{compared} lines compared");
    assert!(compared > 80, "only {compared} lines");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
