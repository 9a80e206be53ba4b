//! The limit that MongoDB's sink and source are measured against: nothing but the driver.
//!
//! ```text
//! limit_mongodb --uri mongodb://… --namespace bench.orders --what insert --records 200000 [--at 1760000000.1] [--lanes 4]
//! ```
//!
//! `insert` and `upsert` write the documents of the namespace, read beforehand, into a collection of their own, which is dropped
//! again: commands that are made beforehand, too, as many on their way at a time as a sink's task has lanes. `copy` reads the
//! namespace by one cursor, `stream` its changes since a time; documents are counted and dropped. Built as an example of
//! `millrace-connector-mongodb`.

mod measure;

use std::process::ExitCode;
use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _};
use mongodb::bson::{Document, RawDocument, RawDocumentBuf, Timestamp, doc, rawdoc};
use mongodb::raw_batch_cursor::RawBatchCursor;
use mongodb::{Client, Database};

/// Documents per command and per answer: a batch of a worker.
const BATCH: usize = 2000;
/// Of the benchmark's topics.
const PARTITIONS: usize = 4;
const COLLECTION: &str = "limit";

struct Options {
    uri: String,
    database: String,
    collection: String,
    what: String,
    records: u64,
    at: Timestamp,
    lanes: usize,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        uri: "mongodb://127.0.0.1:27017/?replicaSet=rs0".to_owned(),
        database: String::new(),
        collection: String::new(),
        what: String::new(),
        records: 200_000,
        at: Timestamp { time: 0, increment: 0 },
        lanes: 4,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let wrong = || format!("{word}: {value} is not what is expected");
        match word.as_str() {
            "--uri" => options.uri = value,
            "--what" => options.what = value,
            "--records" => options.records = value.parse().map_err(|_| wrong())?,
            "--lanes" => options.lanes = value.parse().map_err(|_| wrong())?,
            "--namespace" => {
                let (database, collection) = value.split_once('.').ok_or_else(wrong)?;
                (options.database, options.collection) = (database.to_owned(), collection.to_owned());
            }
            "--at" => {
                let (time, increment) = value.split_once('.').ok_or_else(wrong)?;
                let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
                options.at = Timestamp { time: number(time)?, increment: number(increment)? };
            }
            _ => return Err(format!("unknown option {word}")),
        }
    }
    if options.collection.is_empty() { Err("--namespace is missing".to_owned()) } else { Ok(options) }
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The documents of one answer.
fn answered(reply: &RawDocument) -> Result<Vec<&RawDocument>, String> {
    let cursor = reply.get_document("cursor").map_err(told)?;
    let batch = cursor.get_array("nextBatch").or_else(|_| cursor.get_array("firstBatch")).map_err(told)?;
    batch.into_iter().map(|value| value.map_err(told)?.as_document().ok_or("no document".to_owned())).collect()
}

async fn found(database: &Database, command: Document) -> Result<RawBatchCursor, String> {
    let options = mongodb::options::RunCursorCommandOptions::builder().batch_size(u32::try_from(BATCH).ok()).build();
    database.run_cursor_command(command).with_options(options).batch().await.map_err(told)
}

fn find(options: &Options) -> Document {
    let batch = i64::try_from(BATCH).unwrap_or(i64::MAX);
    doc! { "find": &options.collection, "limit": i64::try_from(options.records).unwrap_or(0), "batchSize": batch }
}

fn changes(options: &Options) -> Document {
    let stage = doc! { "$changeStream": { "startAtOperationTime": options.at } };
    let inserts = doc! { "$match": { "operationType": "insert" } };
    let batch = i64::try_from(BATCH).unwrap_or(i64::MAX);
    doc! { "aggregate": &options.collection, "pipeline": [stage, inserts], "cursor": { "batchSize": batch } }
}

async fn reading(options: &Options, database: &Database, command: Document) -> Result<(), String> {
    let cpu = measure::cpu_seconds()?;
    let (mut seen, mut bytes, mut first) = (0, 0, None);
    let mut cursor = found(database, command).await?;
    while seen < options.records {
        let Some(batch) = cursor.next().await else { return Err(format!("the cursor ended after {seen} records")) };
        let batch = batch.map_err(told)?;
        first.get_or_insert_with(Instant::now);
        let documents = answered(batch.as_raw_document())?;
        seen += documents.len() as u64;
        bytes += documents.iter().map(|document| document.as_bytes().len()).sum::<usize>();
    }
    measure::print(seen, bytes, first, cpu).map(drop)
}

/// The commands that write all documents of the namespace, in the order of a topic with as many partitions as the benchmark's:
/// neighbours go to different partitions, whose batches come in turn. Ids then do not only grow, which the server's index tells.
async fn commands(options: &Options, database: &Database) -> Result<Vec<RawDocumentBuf>, String> {
    let mut cursor = found(database, find(options)).await?;
    let mut partitions: [Vec<RawDocumentBuf>; PARTITIONS] = Default::default();
    let mut number = 0;
    while let Some(batch) = cursor.next().await {
        let batch = batch.map_err(told)?;
        for document in answered(batch.as_raw_document())? {
            partitions[number % PARTITIONS].push(document.to_owned());
            number += 1;
        }
    }
    let longest = partitions.iter().map(Vec::len).max().unwrap_or(0);
    let mut commands = Vec::new();
    for start in (0..longest).step_by(BATCH) {
        for partition in &partitions {
            let end = partition.len().min(start + BATCH);
            if let Some(documents) = partition.get(start..end).filter(|documents| !documents.is_empty()) {
                commands.push(command(options, documents)?);
            }
        }
    }
    Ok(commands)
}

/// The command that writes documents.
fn command(options: &Options, documents: &[RawDocumentBuf]) -> Result<RawDocumentBuf, String> {
    if options.what == "insert" {
        let documents = array(documents.iter().cloned());
        return Ok(rawdoc! { "insert": COLLECTION, "ordered": false, "documents": documents });
    }
    // The ids that the sink makes: an index grows faster at its end, where the server's own ids go.
    let update = |document: &RawDocumentBuf| {
        let order = document.get("order_id").map_err(told)?.ok_or("a document without order_id")?;
        let replacement = rest(document)?;
        Ok::<_, String>(rawdoc! { "q": { "_id": { "order_id": order } }, "u": replacement, "upsert": true })
    };
    let updates: Vec<RawDocumentBuf> = documents.iter().map(update).collect::<Result<_, _>>()?;
    Ok(rawdoc! { "update": COLLECTION, "ordered": false, "updates": array(updates.into_iter()) })
}

/// A document without its id.
fn rest(document: &RawDocument) -> Result<RawDocumentBuf, String> {
    let mut rest = RawDocumentBuf::new();
    for element in document.iter() {
        let (name, value) = element.map_err(told)?;
        if name != "_id" {
            rest.append(name, value);
        }
    }
    Ok(rest)
}

fn array(documents: impl Iterator<Item = RawDocumentBuf>) -> mongodb::bson::RawArrayBuf {
    documents.collect()
}

async fn writing(options: &Options, database: &Database) -> Result<(), String> {
    let collection = database.collection::<Document>(COLLECTION);
    collection.drop().await.map_err(told)?;
    let commands = commands(options, database).await?;
    let bytes = commands.iter().map(|command| command.as_bytes().len()).sum();
    let (cpu, first) = (measure::cpu_seconds()?, Instant::now());
    let written: Vec<u64> = futures::stream::iter(commands)
        .map(|command| async {
            let reply = database.run_raw_command(command).await.map_err(told)?;
            if reply.contains_key("writeErrors") {
                return Err(format!("refused: {reply}"));
            }
            reply.get_i32("n").map_err(told).map(|number| u64::try_from(number).unwrap_or(0))
        })
        .buffer_unordered(options.lanes)
        .try_collect()
        .await?;
    measure::print(written.iter().sum(), bytes, Some(first), cpu)?;
    collection.drop().await.map_err(told)
}

async fn measured() -> Result<(), String> {
    let options = options()?;
    let client = Client::with_uri_str(&options.uri).await.map_err(told)?;
    let database = client.database(&options.database);
    match options.what.as_str() {
        "insert" | "upsert" => writing(&options, &database).await,
        "copy" => reading(&options, &database, find(&options)).await,
        "stream" => reading(&options, &database, changes(&options)).await,
        other => Err(format!("--what {other} is none of insert, upsert, copy, stream")),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match measured().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("limit_mongodb: {message}");
            ExitCode::FAILURE
        }
    }
}
