//! Runs configurations on one side: posts a handful of connectors at a time, waits until each has told of its last record
//! or has failed, ends it, and collects what it left: captured lines and dead letters.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use millrace_tests::kafka::{RawRecord, Tail, committed};
use millrace_tests::rest::Rest;
use millrace_tests::wait::eventually;
use reqwest::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::case::Config;
use crate::registry::for_side;
use crate::sets::SetId;

const LIMIT: Duration = Duration::from_secs(90);

/// Connectors at the same time.
const AT_ONCE: usize = 30;

/// Where a set lies in Kafka.
pub(crate) struct Topic {
    pub(crate) name: String,
    /// Of the last record
    pub(crate) last: i64,
}

pub(crate) type Topics = BTreeMap<SetId, Topic>;

/// A configuration to run.
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) set: SetId,
    pub(crate) config: Config,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Outcome {
    /// The answer to a configuration that was not accepted
    pub(crate) refused: Option<String>,
    /// Whether the task failed
    pub(crate) failed: bool,
    /// Captured lines by offset
    pub(crate) lines: BTreeMap<i64, Value>,
    /// Dead letters by offset
    pub(crate) letters: BTreeMap<i64, RawRecord>,
}

/// The topic of letters that do not say whose they are.
pub(crate) fn plain(letters: &str) -> String {
    format!("{letters}-plain")
}

fn says_whose(job: &Job) -> bool {
    job.config.get(CONTEXT).is_none_or(|context| context != "false")
}

/// Kafka Connect, or Millrace.
pub(crate) struct Side {
    pub(crate) label: &'static str,
    pub(crate) rest: Rest,
    /// The class of the capture sink
    pub(crate) sink: &'static str,
    folder: PathBuf,
    letters: Letters,
    /// Of the one case whose letters do not say whose they are
    plain_letters: Letters,
    topics: Arc<Topics>,
}

/// The key by which letters are told to say whose they are, as all but one case have it.
const CONTEXT: &str = "errors.deadletterqueue.context.headers.enable";

/// The side's topic of dead letters, as far as it has been read.
struct Letters {
    topic: String,
    read: Arc<Mutex<Vec<RawRecord>>>,
    end: Arc<AtomicBool>,
}

impl Drop for Letters {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

impl Letters {
    fn follow(topic: String) -> Self {
        let letters = Self { topic, read: Arc::default(), end: Arc::default() };
        let (topic, read, end) = (letters.topic.clone(), Arc::clone(&letters.read), Arc::clone(&letters.end));
        std::thread::spawn(move || {
            let tail = Tail::new(&topic);
            while !end.load(Ordering::Relaxed) {
                if let Some(letter) = tail.next(Duration::from_millis(100)) {
                    read.lock().unwrap().push(letter);
                }
            }
        });
        letters
    }

    /// Those that do not say whose they are, by the offsets of the records with the same value.
    fn unnamed(&self, set: SetId) -> BTreeMap<i64, RawRecord> {
        let read = self.read.lock().unwrap();
        let samples = set.samples().samples;
        let offset = |letter: &RawRecord| samples.iter().position(|sample| sample.record.value == letter.value);
        read.iter().filter_map(|letter| Some((i64::try_from(offset(letter)?).ok()?, letter.clone()))).collect()
    }

    /// Those of one connector, by their records' offsets.
    fn of(&self, connector: &str) -> BTreeMap<i64, RawRecord> {
        let read = self.read.lock().unwrap();
        let mine = read
            .iter()
            .filter(|letter| header(letter, "__connect.errors.connector.name").as_deref() == Some(connector));
        let offset = |letter: &RawRecord| header(letter, "__connect.errors.offset").and_then(|text| text.parse().ok());
        mine.map(|letter| (offset(letter).unwrap_or(-1), letter.clone())).collect()
    }
}

/// The text of a record's header.
pub(crate) fn header(record: &RawRecord, name: &str) -> Option<String> {
    let (_, value) = record.headers.iter().find(|(key, _)| key == name)?;
    value.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

impl Side {
    pub(crate) fn new(
        label: &'static str,
        rest: Rest,
        sink: &'static str,
        folder: PathBuf,
        letters: String,
        topics: Arc<Topics>,
    ) -> Self {
        let plain_letters = Letters::follow(plain(&letters));
        Self { label, rest, sink, folder, letters: Letters::follow(letters), plain_letters, topics }
    }

    /// Runs all jobs; the outcomes are in their order.
    pub(crate) async fn run(&self, jobs: &[Job]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(jobs.len());
        for jobs in jobs.chunks(AT_ONCE) {
            outcomes.extend(self.batch(jobs).await);
        }
        outcomes
    }

    async fn batch(&self, jobs: &[Job]) -> Vec<Outcome> {
        let started: Vec<Running<'_>> = join_all(jobs.iter().map(|job| self.start(job))).await;
        eventually(&format!("the ends on {}", self.label), LIMIT, || async {
            let answer = self.rest.try_call("GET", "/connectors?expand=status", None).await?;
            let open: Vec<String> = started
                .iter()
                .filter(|running| !self.has_ended(running, &answer.body))
                .map(|running| running.name.clone())
                .collect();
            if open.is_empty() { Ok(()) } else { Err(open.join(" ")) }
        })
        .await;
        join_all(started.into_iter().map(|running| self.finish(running))).await
    }

    async fn start<'j>(&self, job: &'j Job) -> Running<'j> {
        let name = format!("{}.{}", job.name.replace('/', "."), self.label);
        let file = self.folder.join(&name);
        let mut config = for_side(&job.config, self.label == "connect");
        let mut put = |key: &str, value: &str| config.insert(key.to_owned(), value.to_owned());
        put("connector.class", self.sink);
        put("file", &file.display().to_string());
        put("topics", &self.topics[&job.set].name);
        if !job.config.contains_key("tasks.max") {
            put("tasks.max", "1");
        }
        put("offset.flush.interval.ms", "200"); // Kafka Connect takes its worker's
        if job.config.get("errors.tolerance").is_some_and(|tolerance| tolerance == "all") {
            let letters = if says_whose(job) { &self.letters } else { &self.plain_letters };
            put("errors.deadletterqueue.topic.name", &letters.topic);
            put("errors.deadletterqueue.topic.replication.factor", "1");
            put(CONTEXT, if says_whose(job) { "true" } else { "false" });
        }
        let body = json!({"name": name, "config": config});
        let answer = eventually("a connector is accepted or refused", LIMIT, || async {
            let answer = self.rest.try_call("POST", "/connectors", Some(body.to_string())).await?;
            // Kafka Connect refuses everything while it rebalances.
            if answer.status == StatusCode::CONFLICT { Err(answer.body.to_string()) } else { Ok(answer) }
        })
        .await;
        let refused = match answer.status {
            StatusCode::CREATED => None,
            StatusCode::BAD_REQUEST => Some(answer.body["message"].as_str().unwrap_or_default().to_owned()),
            other => panic!("{name} on {}: {other} {}", self.label, answer.body),
        };
        Running { job, name, file, refused }
    }

    /// Whether its last record has been told of, or it has failed, or was never there.
    fn has_ended(&self, running: &Running<'_>, statuses: &Value) -> bool {
        if running.refused.is_some() || has_failed(&statuses[&running.name]["status"]) {
            return true;
        }
        let last = self.topics[&running.job.set].last;
        running.lines().contains_key(&last) || self.letters.of(&running.name).contains_key(&last)
    }

    /// Ends a connector so that nothing of it is still under way, and collects what it left.
    async fn finish(&self, running: Running<'_>) -> Outcome {
        if let Some(message) = running.refused {
            return Outcome { refused: Some(message), ..Outcome::default() };
        }
        let path = format!("/connectors/{}", running.name);
        let status = self.rest.try_call("GET", &format!("{path}/status"), None).await.expect("a status");
        let failed = has_failed(&status.body);
        if !failed && self.label == "millrace" {
            // A dead letter does not wait for the writes of its batch.
            let topic = &self.topics[&running.job.set];
            eventually(&format!("{} has committed", running.name), LIMIT, || async {
                let found = committed(&format!("connect-{}", running.name), &topic.name).await;
                if found == [topic.last + 1] { Ok(()) } else { Err(format!("{found:?}")) }
            })
            .await;
        }
        eventually("a connector is deleted", LIMIT, || async {
            let answer = self.rest.try_call("DELETE", &path, None).await?;
            if answer.status == StatusCode::NO_CONTENT {
                Ok(())
            } else {
                Err(format!("{} {}", answer.status, answer.body))
            }
        })
        .await;
        if !failed {
            eventually(&format!("{} has closed its file", running.name), LIMIT, || async {
                let text = std::fs::read_to_string(&running.file).unwrap_or_default();
                if text.contains("\"closed\"") { Ok(()) } else { Err(text) }
            })
            .await;
        }
        let lines = running.lines();
        let letters = if says_whose(running.job) {
            self.letters.of(&running.name)
        } else {
            self.plain_letters.unnamed(running.job.set)
        };
        Outcome { refused: None, failed, lines, letters }
    }
}

struct Running<'j> {
    job: &'j Job,
    name: String,
    file: PathBuf,
    refused: Option<String>,
}

impl Running<'_> {
    /// What the sink has written so far.
    fn lines(&self) -> BTreeMap<i64, Value> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let parsed =
            complete.lines().map(|line| parse(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", self.name)));
        parsed.filter_map(|line| Some((line["origin"][2].as_i64()?, line))).collect()
    }
}

/// A captured line. Values nested too deep for a tree are kept as text.
fn parse(line: &str) -> serde_json::Result<Value> {
    type Fields<'a> = BTreeMap<String, &'a RawValue>;
    let value =
        |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or_else(|_| Value::String(raw.get().to_owned()));
    let fields: Fields<'_> = serde_json::from_str(line)?;
    let mut parsed = Map::new();
    for (name, raw) in fields {
        let field = if name == "key" || name == "value" {
            let parts: Fields<'_> = serde_json::from_str(raw.get())?;
            Value::Object(parts.into_iter().map(|(name, raw)| (name, value(raw))).collect())
        } else {
            value(raw)
        };
        parsed.insert(name, field);
    }
    Ok(Value::Object(parsed))
}

fn has_failed(status: &Value) -> bool {
    status["tasks"].as_array().is_some_and(|tasks| tasks.iter().any(|task| task["state"] == "FAILED"))
        || status["connector"]["state"] == "FAILED"
}
