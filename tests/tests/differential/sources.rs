//! File sources on both sides, compared by what they produce.

use std::time::Duration;

use futures::future::join_all;
use millrace_tests::kafka::{RawRecord, Tail, create_topics};
use millrace_tests::rest::Rest;
use millrace_tests::standalone::Standalone;
use millrace_tests::wait::eventually;
use millrace_tests::{server, unique};
use reqwest::StatusCode;
use serde_json::json;

use crate::case::{Case, Config};
use crate::compare::Mismatch;
use crate::matrix::sources::{self, FILES, RECORDS};
use crate::sinks::judge;
use crate::{chosen, registry, runs_all};

const LIMIT: Duration = Duration::from_secs(180);
const CLASS: &str = "org.apache.kafka.connect.file.FileStreamSourceConnector";

/// What became of a source.
#[derive(Debug, PartialEq)]
enum End {
    Refused,
    /// Failed, or all lines are through, with what was produced
    Ran {
        failed: bool,
        records: Vec<Produced>,
    },
}

impl End {
    /// What of it the other does not have.
    fn without(&self, other: &Self) -> String {
        match (self, other) {
            (Self::Ran { failed, records }, Self::Ran { records: others, .. }) => {
                let own: Vec<&Produced> = records.iter().filter(|record| !others.contains(record)).collect();
                format!("failed={failed} {own:?} of {}", records.len())
            }
            _ => format!("{self:?}"),
        }
    }
}

#[derive(Debug, PartialEq)]
struct Produced {
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

/// JSON by its value, everything else byte by byte: how JSON is spelt is each side's own.
fn shown(bytes: &[u8]) -> String {
    serde_json::from_slice::<serde_json::Value>(bytes)
        .map_or_else(|_| bytes.escape_ascii().to_string(), |json| format!("json {json}"))
}

impl Produced {
    async fn new(record: RawRecord, config: &Config) -> Self {
        let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| shown(&bytes));
        let value = match (record.value, config.get("value.converter.schema.registry.url")) {
            (Some(payload), Some(_)) => Some(registry::shown(&config["value.converter"], &payload).await),
            (value, _) => text(value),
        };
        Self {
            key: text(record.key),
            value,
            headers: record.headers.into_iter().map(|(name, value)| (name, text(value))).collect(),
        }
    }
}

/// One side.
struct Sources<'a> {
    label: &'static str,
    rest: Rest,
    folder: &'a std::path::Path,
    run: &'a str,
}

impl Sources<'_> {
    fn topic(&self, name: &str) -> String {
        format!("{name}.{}.{}", self.run, self.label)
    }

    async fn all(&self, jobs: &[(String, Config)]) -> Vec<End> {
        let mut ends = Vec::new();
        for jobs in jobs.chunks(30) {
            ends.extend(join_all(jobs.iter().map(|(name, config)| self.one(name, config))).await);
        }
        ends
    }

    async fn one(&self, name: &str, config: &Config) -> End {
        let topic = self.topic(name);
        let given = config;
        let mut config = registry::for_side(config, self.label == "connect");
        let file = config["file"].clone();
        config.insert("connector.class".to_owned(), CLASS.to_owned());
        config.insert("file".to_owned(), self.folder.join(&file).display().to_string());
        config.insert("topic".to_owned(), topic.clone());
        let records = config.remove(RECORDS).and_then(|text| text.parse().ok());
        let body = json!({"name": topic, "config": config}).to_string();
        let answer = eventually("a connector is accepted or refused", LIMIT, || async {
            let answer = self.rest.try_call("POST", "/connectors", Some(body.clone())).await?;
            if answer.status == StatusCode::CONFLICT { Err(answer.body.to_string()) } else { Ok(answer) }
        })
        .await;
        if answer.status != StatusCode::CREATED {
            return End::Refused;
        }
        let lines = FILES.iter().find(|(name, _)| *name == file).map_or(0, |(_, lines)| lines.len());
        let failed = self.ended(&topic, records.unwrap_or(lines)).await;
        let path = format!("/connectors/{topic}");
        eventually("a connector is deleted", LIMIT, || async {
            let answer = self.rest.try_call("DELETE", &path, None).await?;
            if answer.status == StatusCode::NO_CONTENT { Ok(()) } else { Err(answer.body.to_string()) }
        })
        .await;
        let records = join_all(read(topic).await.into_iter().map(|record| Produced::new(record, given))).await;
        End::Ran { failed, records }
    }

    /// Waits until every line is produced, or the task has failed, or the position says that the rest was left out.
    async fn ended(&self, topic: &str, lines: usize) -> bool {
        eventually(&format!("the end of {topic}"), LIMIT, || async {
            let status = self.rest.status(topic).await?;
            if status["tasks"].as_array().is_some_and(|tasks| tasks.iter().any(|task| task["state"] == "FAILED")) {
                return Ok(true);
            }
            let produced = read(topic.to_owned()).await.len();
            if produced >= lines { Ok(false) } else { Err(format!("{produced} of {lines} lines; {status}")) }
        })
        .await
    }
}

async fn read(topic: String) -> Vec<RawRecord> {
    tokio::task::spawn_blocking(move || {
        let tail = Tail::new(&topic);
        std::iter::from_fn(|| tail.next(Duration::from_millis(1500))).collect()
    })
    .await
    .expect("records")
}

fn jobs(cases: &[Case]) -> Vec<(String, Config)> {
    let plain = cases.iter().map(|case| (case.name.clone(), case.config.clone()));
    plain.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_produce_what_those_of_kafka_connect_produce() {
    let cases = chosen(sources::all());
    if cases.is_empty() {
        return;
    }
    let standalone = Standalone::start().await;
    for (name, lines) in FILES {
        std::fs::write(
            standalone.folder().join(name),
            lines.iter().map(|line| format!("{line}\n")).collect::<String>(),
        )
        .expect("a file");
    }
    let run = unique("run");
    let side = |label, rest| Sources { label, rest, folder: standalone.folder(), run: &run };
    let connect = side("connect", Rest::new(server("CONNECT_URL")));
    let millrace = side("millrace", standalone.rest());
    let jobs = jobs(&cases);
    let mut topics = Vec::new();
    for (name, _) in &jobs {
        topics.extend([connect.topic(name), millrace.topic(name)]);
    }
    let proofs: Vec<(usize, String, (String, Config))> = proofs(&cases);
    topics.extend(proofs.iter().map(|(_, _, (name, _))| millrace.topic(name)));
    create_topics(&topics).await;
    let (theirs, ours) = tokio::join!(connect.all(&jobs), millrace.all(&jobs));
    let mut found = Vec::new();
    for (case, (connect, millrace)) in cases.iter().zip(theirs.iter().zip(&ours)) {
        if connect != millrace {
            let (connect, millrace) = (connect.without(millrace), millrace.without(connect));
            found.push(Mismatch {
                case: case.name.clone(),
                sample: "",
                aspect: "produced".to_owned(),
                connect,
                millrace,
            });
        }
    }
    let without = millrace.all(&proofs.iter().map(|(_, _, job)| job.clone()).collect::<Vec<_>>()).await;
    let unproven = proofs
        .iter()
        .zip(&without)
        .filter(|((index, _, _), without)| ours[*index] == **without)
        .map(|((index, option, _), _)| format!("{} does not show that {option} is heeded", cases[*index].name));
    judge(found, unproven.collect(), false);
    println!("{} sources{}", cases.len(), if runs_all() { ", all" } else { "" });
}

fn proofs(cases: &[Case]) -> Vec<(usize, String, (String, Config))> {
    let of = |(index, case): (usize, &Case)| {
        let proofs = case.proofs.iter().enumerate();
        let named = proofs.map(|(number, proof)| {
            (index, proof.option.clone(), (format!("{}.without-{number}", case.name), proof.config.clone()))
        });
        named.collect::<Vec<_>>()
    };
    cases.iter().enumerate().flat_map(of).collect()
}
