//! Runs every configuration on both sides and compares what is in the topics then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::future::join_all;
use millrace_tests::rest::Rest;
use millrace_tests::standalone::Standalone;
use millrace_tests::wait::eventually;
use millrace_tests::{server, stores, unique};
use mongodb::Database;
use mongodb::bson::{Document, doc};
use reqwest::StatusCode;
use serde_json::{Map, Value, json};

use crate::databases::{LAST, Set, WARM};
use crate::matrix::{CASES, Case, Start};
use crate::topics::{Arrived, Topics};

const LIMIT: Duration = Duration::from_secs(60);
/// How long one side is waited for when the other has ended.
const ALONE: Duration = Duration::from_secs(15);
/// Connectors at the same time, on each side.
const AT_ONCE: usize = 16;
/// Records of all topics are read by then.
const SETTLED: Duration = Duration::from_secs(4);
/// Cases whose tasks fail, on both sides; no others do.
const FAIL: [&str; 2] = ["misfit-default", "misfit-none"];
const DOCS: &str = include_str!("../../../docs/connectors/mongodb-source.md");

/// What all cases have in common.
struct Run {
    name: String,
    peer: Rest,
    ours: Rest,
    topics: Topics,
    client: mongodb::Client,
    /// A time before everything that happened
    began: u32,
}

/// How a side ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    Failed,
    /// It brings nothing, and does not fail
    Stuck,
}

/// What became of a configuration.
#[derive(Debug, PartialEq)]
struct Outcome {
    refused: Option<String>,
    end: End,
    /// By topic, in order
    records: BTreeMap<String, Vec<Arrived>>,
}

fn chosen() -> Vec<&'static Case> {
    let begins = std::env::var("DIFFERENTIAL_CASES").unwrap_or_default();
    let all = std::env::var("DIFFERENTIAL").is_ok_and(|which| which == "all") || !begins.is_empty();
    CASES.iter().filter(|case| (all || case.selected) && case.name.starts_with(&begins)).collect()
}

impl Run {
    /// What has happened before is read by many cases; what happens while a case runs needs a database of its own.
    fn database(&self, case: &Case) -> Database {
        let name = match case.start {
            Start::Time => format!("{}-{:?}", self.name, case.set),
            Start::Copy(_) | Start::Latest => format!("{}-{}", self.name, case.name),
        };
        self.client.database(&name.to_lowercase())
    }

    /// Where a side's topics of a case begin.
    fn prefix(&self, label: &str, case: &Case) -> String {
        format!("{}.{label}.{}.", self.name, case.name)
    }

    fn config(&self, label: &str, case: &Case) -> Value {
        let database = self.database(case).name().to_owned();
        let mut config = Map::new();
        let mut set = |key: &str, value: &str| drop(config.insert(key.to_owned(), json!(value)));
        set("connector.class", "com.mongodb.kafka.connect.MongoSourceConnector");
        set("tasks.max", "1");
        set("connection.uri", &server("MONGODB_URI"));
        set("database", &database);
        set("collection", "items");
        set("poll.await.time.ms", "300");
        set("key.converter", "org.apache.kafka.connect.storage.StringConverter");
        set("value.converter", "org.apache.kafka.connect.storage.StringConverter");
        // The topics of the two sides and of the cases are kept apart, whatever the case says about names.
        set("transforms", "apart");
        set("transforms.apart.type", "org.apache.kafka.connect.transforms.RegexRouter");
        set("transforms.apart.regex", "(.*)");
        set("transforms.apart.replacement", &format!("{}$1", self.prefix(label, case)));
        match case.start {
            Start::Time => {
                set("startup.mode", "timestamp");
                set("startup.mode.timestamp.start.at.operation.time", &self.began.to_string());
            }
            Start::Copy(_) => set("startup.mode", "copy_existing"),
            Start::Latest => {}
        }
        for (key, value) in case.keys {
            set(key, &value.replace("<db>", &database).replace("<default>", &default_schema()));
        }
        Value::Object(config)
    }

    async fn begin(&self, label: &str, rest: &Rest, case: &Case) -> Result<String, String> {
        let name = self.prefix(label, case).trim_end_matches('.').to_owned();
        let body = json!({ "name": name, "config": self.config(label, case) }).to_string();
        let answer = eventually("a connector is accepted or refused", LIMIT, || async {
            let answer = rest.try_call("POST", "/connectors", Some(body.clone())).await?;
            if answer.status == StatusCode::CONFLICT { Err(answer.body.to_string()) } else { Ok(answer) }
        })
        .await;
        if answer.status.is_success() { Ok(name) } else { Err(answer.body.to_string()) }
    }

    /// Waits until both have brought it, or cannot; a side alone is not waited for as long.
    async fn both(&self, case: &Case, done: impl Fn(&str) -> bool) -> [End; 2] {
        let begun = Instant::now();
        let mut one: Option<Instant> = None;
        loop {
            let mut ends = [End::Stuck; 2];
            for (end, (label, rest)) in ends.iter_mut().zip([("peer", &self.peer), ("ours", &self.ours)]) {
                let prefix = self.prefix(label, case);
                let status = rest.status(prefix.trim_end_matches('.')).await.unwrap_or_default();
                if status["tasks"].as_array().into_iter().flatten().any(|task| task["state"] == "FAILED") {
                    *end = End::Failed;
                } else if done(&prefix) {
                    *end = End::Done;
                }
            }
            if ends.iter().any(|end| *end != End::Stuck) {
                one.get_or_insert_with(Instant::now);
            }
            let over = begun.elapsed() > LIMIT || one.is_some_and(|one| one.elapsed() > ALONE);
            if over || !ends.contains(&End::Stuck) {
                return ends;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn outcome(&self, case: &Case) -> [Outcome; 2] {
        let database = self.database(case);
        let items = database.collection::<Document>("items");
        if let Start::Copy(_) = case.start {
            case.set.happen(&database).await;
        }
        let begun = futures::join!(self.begin("peer", &self.peer, case), self.begin("ours", &self.ours, case));
        let refused = [begun.0.clone().err(), begun.1.clone().err()];
        let mut ends = [End::Done; 2];
        if refused.iter().all(Option::is_none) {
            match case.start {
                Start::Time => {}
                Start::Copy(count) => {
                    let copied = |prefix: &str| self.topics.seen(prefix).values().map(Vec::len).sum::<usize>() >= count;
                    ends = self.both(case, copied).await;
                    items.insert_one(doc! { "_id": format!("{LAST}, afterwards"), "n": 2_i64 }).await.unwrap();
                }
                Start::Latest => {
                    let warm = async {
                        for n in 0.. {
                            items.insert_one(doc! { "_id": format!("{WARM} {n}"), "n": 1_i64 }).await.unwrap();
                            tokio::time::sleep(Duration::from_millis(500)).await;
                        }
                    };
                    let open = self.both(case, |prefix| self.topics.contains(prefix, WARM));
                    tokio::select! { () = warm => {}, found = open => ends = found }
                    case.set.happen(&database).await;
                }
            }
            let last = case.last.unwrap_or(if matches!(case.start, Start::Copy(_)) { "afterwards" } else { LAST });
            if ends == [End::Done; 2] {
                ends = self.both(case, |prefix| self.topics.contains(prefix, last)).await;
            }
        }
        let records = if ends.contains(&End::Failed) { Default::default() } else { self.settled(case).await };
        for (label, rest) in [("peer", &self.peer), ("ours", &self.ours)] {
            let name = self.prefix(label, case);
            rest.call("DELETE", &format!("/connectors/{}", name.trim_end_matches('.')), None).await;
        }
        let ([peer_refused, our_refused], [peer, ours]) = (refused, records);
        [
            Outcome { refused: peer_refused, end: ends[0], records: peer },
            Outcome { refused: our_refused, end: ends[1], records: ours },
        ]
    }

    /// The last record of one topic may be read before those of another: what is equal is taken at once, what is not a little later.
    async fn settled(&self, case: &Case) -> [BTreeMap<String, Vec<Arrived>>; 2] {
        let begun = Instant::now();
        loop {
            let records = ["peer", "ours"].map(|label| {
                let seen = self.topics.seen(&self.prefix(label, case));
                seen.into_iter()
                    .map(|(topic, all)| (topic, case.normal(all)))
                    .filter(|(_, all)| !all.is_empty())
                    .collect()
            });
            // What is meant to differ may be equal for a moment.
            let equal = case.intended.is_none() && records[0] == records[1];
            if equal || begun.elapsed() > SETTLED {
                return records;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Our default schema without the field that 2.x does not have.
fn default_schema() -> String {
    let text = include_str!("../../../connectors/mongodb/src/source/schema/change_stream.avsc");
    let mut schema: Value = serde_json::from_str(text).unwrap();
    schema["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "wallTime");
    schema.to_string()
}

fn shown(bytes: &Option<Vec<u8>>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => text.to_owned(),
            _ => bytes.escape_ascii().to_string(),
        },
    }
}

/// What differs, in words; None when nothing does.
fn difference(case: &Case, [peer, ours]: &[Outcome; 2]) -> Option<String> {
    let name = case.name;
    if peer.refused.is_some() || ours.refused.is_some() {
        let both = peer.refused.is_some() && ours.refused.is_some();
        return (!both)
            .then(|| format!("{name}: refused: Kafka Connect {:?}, Millrace {:?}", peer.refused, ours.refused));
    }
    if peer.end != ours.end {
        return Some(format!("{name}: Kafka Connect {:?}, Millrace {:?}", peer.end, ours.end));
    }
    if peer.end == End::Stuck {
        return Some(format!("{name}: neither has brought the last record, nor failed"));
    }
    let must_fail = FAIL.contains(&name);
    if must_fail != (peer.end == End::Failed) {
        return Some(format!("{name}: both {:?}", peer.end));
    }
    // What was produced before a failure depends on how events happen to be batched.
    if peer.end == End::Failed || peer.records == ours.records {
        return None;
    }
    let mut text = format!("{name}: {:?}", peer.end);
    let topics: BTreeSet<&String> = peer.records.keys().chain(ours.records.keys()).collect();
    for topic in topics {
        let of = |outcome: &Outcome| outcome.records.get(topic).cloned().unwrap_or_default();
        let (peer, ours) = (of(peer), of(ours));
        let both = [("only Kafka Connect", &peer, &ours), ("only Millrace     ", &ours, &peer)];
        for (label, these, those) in both {
            for record in these.iter().filter(|record| !those.contains(record)).take(3) {
                let (key, value) = (shown(&record.key), shown(&record.value));
                text.push_str(&format!("\n  {topic}, {label}: {key} = {value}"));
            }
        }
        if peer != ours {
            text.push_str(&format!("\n  {topic}: {} and {} records, or another order", peer.len(), ours.len()));
        }
    }
    Some(text)
}

async fn start(run: &str, millrace: &Standalone, cases: &[&Case]) -> Run {
    let client = stores::mongodb().await;
    let now = client.database("admin").run_command(doc! { "ping": 1 }).await.unwrap();
    let run = Run {
        name: run.to_owned(),
        peer: Rest::new(server("CONNECT_URL")),
        ours: millrace.rest(),
        topics: Topics::of(format!("{run}.")),
        client,
        began: now.get_timestamp("operationTime").unwrap().time,
    };
    for rest in [&run.peer, &run.ours] {
        eventually("the connector class is there", LIMIT, || async {
            let plugins = rest.try_call("GET", "/connector-plugins", None).await?.body.to_string();
            let there = ["MongoSourceConnector", "mongodb-source"].iter().any(|name| plugins.contains(name));
            if there { Ok(()) } else { Err(plugins) }
        })
        .await;
    }
    let happened: BTreeMap<Set, &Case> =
        cases.iter().filter(|case| case.start == Start::Time).map(|case| (case.set, *case)).collect();
    for (set, case) in happened {
        set.happen(&run.database(case)).await;
    }
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_produce_what_the_peer_produces() {
    let begun = Instant::now();
    let cases = chosen();
    let millrace = Standalone::start().await;
    let run = start(&unique("ds"), &millrace, &cases).await;
    let mut problems = Vec::new();
    for some in cases.chunks(AT_ONCE) {
        let found = join_all(some.iter().map(|case| async { difference(case, &run.outcome(case).await) })).await;
        for (case, found) in some.iter().zip(found) {
            match (case.intended, found) {
                (None, Some(difference)) => problems.push(difference),
                (Some(name), None) => problems.push(format!("{}: {name} no longer holds", case.name)),
                _ => {}
            }
        }
    }
    for case in &cases {
        run.database(case).drop().await.unwrap();
    }
    println!("{} configurations of {} compared in {:.1?}", cases.len(), CASES.len(), begun.elapsed());
    assert!(problems.is_empty(), "{} differ:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn the_matrix_is_wide_enough() {
    assert!(CASES.len() >= 60, "{}", CASES.len());
    let names: BTreeSet<&str> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), CASES.len(), "each case has a name of its own");
}

#[test]
fn what_is_meant_to_differ_is_documented() {
    let documented: BTreeSet<&str> =
        DOCS.lines().filter_map(|line| Some(line.strip_prefix("| `differs-")?.split_once('`')?.0)).collect();
    let known: BTreeSet<&str> = CASES.iter().filter_map(|case| case.intended?.strip_prefix("differs-")).collect();
    assert_eq!(documented, known);
}
