//! Reading one part. Without a pipeline it is a plain find along the index of `_id`, and the position is the last `_id`
//! read. With one it is an aggregation that makes events of documents as the peer does, and the position is the part.

use std::time::Duration;

use futures::StreamExt as _;
use millrace_sdk::{Error, ErrorKind, Result, SourceBatch};
use mongodb::bson::{Bson, Document, Timestamp, doc};
use mongodb::options::RunCursorCommandOptions;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};

use super::super::output::{Event, Output, begin, end, push, wrapped_id};
use super::super::raw::{self, Raw, kind, malformed};
use super::super::schema::Inferrer;
use super::parts::Part;
use super::{Shared, ended};
use crate::error::classify;

/// How often a part is opened again before the framework backs off.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);
/// InvalidOptions: the cluster has not come to the time that was asked for.
const TIME_TO_COME: i32 = 72;

/// Reads a part to its end.
pub(super) async fn part(shared: &Shared, mut part: Part) -> Result<()> {
    let settings = &shared.settings;
    let with_pipeline = !part.plain || !settings.pipeline.is_empty() || !settings.copying.pipeline.is_empty();
    let mut output = Output::new(settings);
    let mut inferrer = Inferrer::default();
    let mut tries = 0;
    loop {
        let read = if with_pipeline {
            aggregate(shared, &part, &mut output, &mut inferrer).await
        } else {
            find(shared, &mut part, &mut output, &mut inferrer, &mut tries).await
        };
        match read {
            Ok(()) => break,
            Err(error) if matches!(error.kind(), ErrorKind::Transient { .. }) && tries < TRIES => {
                tries += 1;
                tracing::warn!(part = part.name(), error = error.chain(), "reading a part is tried again");
                tokio::time::sleep(PAUSE * tries).await;
            }
            Err(error) => return Err(error),
        }
    }
    part.done = true;
    let positions = vec![part.position(&shared.partition, &shared.epoch)?];
    shared.out.send(Ok(SourceBatch { positions, ..SourceBatch::default() })).await.map_err(|_| ended())
}

/// Opens a cursor that sees everything that was written before the token, whichever member answers.
async fn open(shared: &Shared, part: &Part, mut command: Document) -> Result<RawBatchCursor> {
    let mut after = shared.after;
    loop {
        let mut concern = doc! { "level": "majority" };
        if let Some(after) = after {
            concern.insert("afterClusterTime", after);
        }
        command.insert("readConcern", concern);
        let mut options = RunCursorCommandOptions::default();
        options.selection_criteria = shared.client.selection_criteria().cloned();
        options.batch_size = Some(batch_size(shared));
        let database = shared.client.database(&part.database);
        match database.run_cursor_command(command.clone()).with_options(options).batch().await {
            Ok(cursor) => return Ok(cursor),
            // A token that no event has is of the time after the last one, which nothing has been written at yet.
            Err(error) if super::super::stream::code(&error) == Some(TIME_TO_COME) && after == shared.after => {
                let before = |time: Timestamp| Timestamp { increment: time.increment.saturating_sub(1), ..time };
                after = after.map(before);
            }
            Err(error) => return Err(failed(error, part)),
        }
    }
}

fn batch_size(shared: &Shared) -> u32 {
    u32::try_from(shared.settings.poll_max.min(shared.settings.copying.queue)).unwrap_or(1000)
}

fn failed(error: mongodb::error::Error, part: &Part) -> Error {
    let code = super::super::stream::code(&error);
    let error = classify(error, &format!("cannot read {}", part.full()));
    match code {
        // The cursor is gone: the part is opened again.
        Some(43 | 237 | 175) => Error::transient(error.to_string()),
        _ => error,
    }
}

/// The documents of an answer.
fn documents(batch: &RawBatch) -> Result<Vec<&[u8]>> {
    let cursor = raw::field(batch.as_raw_document().as_bytes(), "cursor")?.and_then(Raw::document);
    let mut found = Vec::new();
    for element in raw::elements(cursor.ok_or_else(malformed)?)? {
        let (name, value) = element?;
        if matches!(name, b"firstBatch" | b"nextBatch") && value.kind == kind::ARRAY {
            for document in raw::elements(value.bytes)? {
                found.push(document?.1.document().ok_or_else(malformed)?);
            }
        }
    }
    Ok(found)
}

async fn find(
    shared: &Shared,
    part: &mut Part,
    output: &mut Output,
    inferrer: &mut Inferrer,
    tries: &mut u32,
) -> Result<()> {
    let mut command =
        doc! { "find": &part.collection, "hint": { "_id": 1 }, "batchSize": i64::from(batch_size(shared)) };
    // Bounds of the index are of any type, which $gte and $lt are not.
    if let Some(from) = part.at.as_ref().or(part.from.as_ref()) {
        command.insert("min", doc! { "_id": from.clone() });
    }
    if let Some(to) = &part.to {
        command.insert("max", doc! { "_id": to.clone() });
    }
    let mut cursor = open(shared, part, command).await?;
    while let Some(batch) = cursor.next().await {
        let batch = batch.map_err(|error| failed(error, part))?;
        *tries = 0;
        let documents = documents(&batch)?;
        let Some(last) = documents.last() else { continue };
        let mut events = Events::of(part, output.needs_events())?;
        let mut made = output.batch(inferrer, batch.as_raw_document().as_bytes().len());
        for document in &documents {
            made.add(&events.make(document)?)?;
        }
        let id = raw::field(last, "_id")?.ok_or_else(malformed)?;
        part.at = Some(value(id)?);
        let made = made.finish();
        let positions = vec![part.position(&shared.partition, &shared.epoch)?];
        send(
            shared,
            SourceBatch { records: made.records, failures: made.failures, positions, ..SourceBatch::default() },
            documents.len(),
        )
        .await?;
    }
    Ok(())
}

/// A value out of a document.
fn value(id: Raw<'_>) -> Result<Bson> {
    let document = wrapped_id(id);
    let mut document: Document = mongodb::bson::deserialize_from_slice(&document)
        .map_err(|error| Error::bad_record("an _id cannot be read").because(error))?;
    document.remove("_id").ok_or_else(malformed)
}

/// Makes events of a part's documents, as the peer does with a pipeline on the server; one at a time lies here.
struct Events<'p> {
    part: &'p Part,
    namespace: Vec<u8>,
    key: Vec<u8>,
    event: Vec<u8>,
    /// Whether there is more to them than document and key
    whole: bool,
}

impl<'p> Events<'p> {
    fn of(part: &'p Part, whole: bool) -> Result<Self> {
        let namespace = mongodb::bson::serialize_to_vec(&doc! { "db": &part.database, "coll": &part.collection })
            .map_err(|error| Error::internal("a namespace cannot be written").because(error))?;
        Ok(Self { part, namespace, key: Vec::new(), event: Vec::new(), whole })
    }

    fn make<'a>(&'a mut self, document: &'a [u8]) -> Result<Event<'a>> {
        let id = raw::field(document, "_id")?.unwrap_or(Raw { kind: kind::NULL, bytes: &[] });
        self.key.clear();
        let open = begin(&mut self.key);
        push(&mut self.key, "_id", id);
        end(&mut self.key, open);
        if !self.whole {
            return Ok(Event {
                whole: &[],
                id: None,
                document_key: Some(&self.key),
                full_document: Some(Raw { kind: kind::DOCUMENT, bytes: document }),
                database: &self.part.database,
                collection: &self.part.collection,
            });
        }
        let event = &mut self.event;
        event.clear();
        let open = begin(event);
        push(event, "_id", Raw { kind: kind::DOCUMENT, bytes: &[] });
        let token = begin(event);
        push(event, "_id", id);
        push(event, "copyingData", Raw { kind: kind::BOOLEAN, bytes: &[1] });
        end(event, token);
        push(event, "operationType", Raw { kind: kind::STRING, bytes: b"\x07\0\0\0insert\0" });
        push(event, "documentKey", Raw { kind: kind::DOCUMENT, bytes: &self.key });
        push(event, "fullDocument", Raw { kind: kind::DOCUMENT, bytes: document });
        push(event, "ns", Raw { kind: kind::DOCUMENT, bytes: &self.namespace });
        end(event, open);
        Event::parse(event)
    }
}

async fn send(shared: &Shared, batch: SourceBatch, documents: usize) -> Result<()> {
    let documents = u32::try_from(documents.min(shared.settings.copying.queue)).unwrap_or(u32::MAX);
    // Held only while it waits for its turn: what is queued is what was read and not handed on.
    let _room = shared.queue.acquire_many(documents).await.map_err(|_| ended())?;
    shared.out.send(Ok(batch)).await.map_err(|_| ended())
}

/// The peer's pipeline, with its namespace under another name at the end, which is put right in place.
async fn aggregate(shared: &Shared, part: &Part, output: &mut Output, inferrer: &mut Inferrer) -> Result<()> {
    let settings = &shared.settings;
    let mut pipeline = Vec::new();
    let bound = |operator: &str, id: &Option<Bson>| {
        id.as_ref().map(|id| doc! { operator: ["$_id", { "$literal": id.clone() }] })
    };
    let bounds: Vec<Document> = [bound("$gte", &part.from), bound("$lt", &part.to)].into_iter().flatten().collect();
    if !bounds.is_empty() {
        pipeline.push(doc! { "$match": { "$expr": { "$and": bounds } } });
    }
    pipeline.extend(settings.copying.pipeline.iter().cloned());
    pipeline.push(doc! { "$replaceRoot": { "newRoot": {
        "_id": { "_id": "$_id", "copyingData": true },
        "operationType": "insert",
        "ns": { "db": { "$literal": &part.database }, "coll": { "$literal": &part.collection } },
        "documentKey": { "_id": "$_id" },
        "fullDocument": "$$ROOT",
    } } });
    pipeline.extend(settings.pipeline.iter().cloned());
    pipeline.push(doc! { "$addFields": { NAMESPACE: "$ns" } });
    pipeline.push(doc! { "$project": { "ns": 0 } });
    let command = doc! {
        "aggregate": &part.collection,
        "pipeline": pipeline,
        "cursor": { "batchSize": i64::from(batch_size(shared)) },
        "allowDiskUse": settings.copying.allow_disk_use,
    };
    let mut cursor = open(shared, part, command).await?;
    while let Some(batch) = cursor.next().await {
        let batch = batch.map_err(|error| failed(error, part))?;
        let documents = documents(&batch)?;
        let mut made = output.batch(inferrer, batch.as_raw_document().as_bytes().len());
        for document in &documents {
            let mut document = document.to_vec();
            rename(&mut document)?;
            made.add(&Event::parse(&document)?)?;
        }
        let made = made.finish();
        let batch = SourceBatch { records: made.records, failures: made.failures, ..SourceBatch::default() };
        send(shared, batch, documents.len()).await?;
    }
    Ok(())
}

/// As long as `ns`, so that it can be renamed in place.
const NAMESPACE: &str = "__";

fn rename(document: &mut [u8]) -> Result<()> {
    let mut at = 4;
    let mut found = None;
    for element in raw::elements(document)? {
        let (name, value) = element?;
        if name == NAMESPACE.as_bytes() {
            found = Some(at + 1);
        }
        at += 1 + name.len() + 1 + value.bytes.len();
    }
    if let Some(at) = found {
        document[at..at + 2].copy_from_slice(b"ns");
    }
    Ok(())
}
