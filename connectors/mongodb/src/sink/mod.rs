//! The sink: `check` proves connection and privileges, `write` brings a batch to the server.
//!
//! Order per document: the operations of a batch are grouped by document, and no command holds two of one group. A group
//! of replacements and deletions is written from its newest record backwards, which nearly always means only the newest;
//! an earlier one is written only when the newer can never be. Other groups are written oldest first, one per round.

mod command;
pub(crate) mod config;
mod id;
mod model;
mod settings;

use std::collections::HashMap;

use async_trait::async_trait;
use millrace_sdk::{
    Batch, Error, ErrorKind, Findings, OrderKeys, RecordFailure, Result, SinkConnector, SinkTask, TaskContext,
    WriteReport, hash_key,
};
use mongodb::bson::{Document, RawBson, RawDocumentBuf, doc, oid::ObjectId};
use mongodb::{Client, Namespace};

use crate::bson::Writer;
use crate::client::{CHECK_TIMEOUT, SELECTION_TIMEOUT, shut_down};
use crate::error::{WriteError, classify, classify_write, timed_out};
use command::Commands;
pub use config::SinkConfig;
use id::Ids;
use model::{Operation, Verb};
use settings::Settings;

/// The MongoDB sink connector.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sink;

/// A running task.
#[derive(Debug)]
pub struct Task {
    settings: Settings,
    ids: Ids,
    commands: Commands,
}

#[async_trait]
impl SinkConnector for Sink {
    const NAME: &'static str = "mongodb-sink";
    const ALIASES: &'static [&'static str] =
        &["com.mongodb.kafka.connect.MongoSinkConnector", "MongoSinkConnector", "MongoSink"];
    const DESCRIPTION: &'static str =
        "Writes records into MongoDB collections: inserts, upserts and deletes, one document per record.";
    type Config = SinkConfig;
    type Task = Task;

    async fn check(&self, config: &SinkConfig, context: &TaskContext) -> Result<Findings> {
        let settings = settings(config)?;
        let (client, _) = config.connection.client(CHECK_TIMEOUT).await?;
        let checked = match tokio::time::timeout(2 * CHECK_TIMEOUT, try_out(&client, &settings, context)).await {
            Ok(checked) => checked,
            Err(_) => Err(timed_out("cannot reach MongoDB", 2 * CHECK_TIMEOUT)),
        };
        shut_down(&client).await;
        checked.map(|()| Findings::default())
    }

    async fn open(&self, config: SinkConfig, context: TaskContext) -> Result<Task> {
        let settings = settings(&config)?;
        let (client, options) = config.connection.client(SELECTION_TIMEOUT).await?;
        let commands = Commands::new(client, options.write_concern.as_ref())?;
        Ok(Task { settings, ids: Ids::of(&context), commands })
    }
}

fn settings(config: &SinkConfig) -> Result<Settings> {
    Settings::resolve(config).map_err(|problems| {
        Error::bad_config(format!("invalid configuration: {}", millrace_sdk::config::join(&problems)))
    })
}

/// Connection and credentials by a ping, privileges by an update and a delete that match nothing.
async fn try_out(client: &Client, settings: &Settings, context: &TaskContext) -> Result<()> {
    let admin = client.database("admin");
    admin.run_command(doc! { "ping": 1 }).await.map_err(|error| classify(error, "cannot reach MongoDB"))?;
    for (database, collection) in settings.namespaces(&context.topics) {
        let doing = format!("cannot write to {database}.{collection}");
        let nothing = doc! { "_id": ObjectId::new() };
        let update = doc! {
            "update": collection, "updates": [{ "q": nothing, "u": { "$set": { "checked": true } }, "upsert": false }],
        };
        client.database(&database).run_command(update).await.map_err(|error| classify(error, &doing))?;
    }
    Ok(())
}

#[async_trait]
impl SinkTask for Task {
    fn order_keys(&self, batch: &Batch) -> OrderKeys {
        let free = |topic: &str| {
            let settings = self.settings.of(topic);
            settings.id.is_per_record() && settings.overwrite_existing_id
        };
        let per_record = |topic: &str| self.settings.of(topic).id.is_per_record();
        if batch.records.iter().all(|record| free(batch.topic(record)))
            || (batch.records.iter().all(|record| per_record(batch.topic(record)))
                && id::values_have_no_id(&batch.records))
        {
            return OrderKeys::Any;
        }
        let key = |record: &millrace_sdk::Record| {
            let settings = self.settings.of(batch.topic(record));
            // A record without a usable id fails by itself; it may go with any lane.
            self.ids.choose(settings, batch, record).map_or(0, |chosen| hash_key(chosen.id()))
        };
        OrderKeys::PerRecord(batch.records.iter().map(key).collect())
    }

    async fn write(&self, batch: &Batch) -> Result<WriteReport> {
        let mut report = WriteReport::default();
        let prepared = Prepared::new(self, batch, &mut report);
        let mut groups = prepared.groups();
        while !groups.is_empty() {
            self.round(batch, &prepared, &mut groups, &mut report).await?;
        }
        report.failures.sort_by_key(|failure| failure.index);
        Ok(report)
    }

    async fn close(&self) -> Result<()> {
        shut_down(self.commands.client()).await;
        Ok(())
    }
}

/// A batch's operations.
struct Prepared {
    writer: Writer,
    namespaces: Vec<(Namespace, usize)>,
    /// Sorted by document, then by record.
    operations: Vec<Operation>,
}

/// Operations of one document that are still to be done: a range of [`Prepared::operations`].
#[derive(Debug, Clone, Copy)]
struct Group {
    from: usize,
    to: usize,
    newest_first: bool,
}

impl Group {
    fn next(&self) -> usize {
        if self.newest_first { self.to - 1 } else { self.from }
    }
}

impl Prepared {
    fn new(task: &Task, batch: &Batch, report: &mut WriteReport) -> Self {
        let mut writer = Writer::default();
        let mut namespaces: Vec<(Namespace, usize)> = Vec::new();
        let mut by_topic: HashMap<&str, usize> = HashMap::new();
        let mut operations = Vec::with_capacity(batch.records.len());
        for (index, record) in batch.records.iter().enumerate() {
            let topic = batch.topic(record);
            let settings = task.settings.of(topic);
            let namespace = *by_topic.entry(topic).or_insert_with(|| {
                let namespace = settings.namespace(topic);
                let known = namespaces.iter().position(|(other, _)| *other == namespace);
                known.unwrap_or_else(|| {
                    namespaces.push((namespace, settings.max_batch));
                    namespaces.len() - 1
                })
            });
            match model::encode(&mut writer, (settings, namespace), task.ids, batch, index) {
                Ok(Some(operation)) => operations.push(operation),
                Ok(None) => {}
                Err(error) => report.failures.push(RecordFailure { index, error }),
            }
        }
        let mut prepared = Self { writer, namespaces, operations };
        let writer = &prepared.writer;
        let document = |one: &Operation| (one.namespace, writer.slice(one.id.clone()));
        prepared.operations.sort_by(|a, b| document(a).cmp(&document(b)).then_with(|| a.record.cmp(&b.record)));
        prepared
    }

    fn groups(&self) -> Vec<Group> {
        let same = |a: &Operation, b: &Operation| {
            a.namespace == b.namespace && self.writer.slice(a.id.clone()) == self.writer.slice(b.id.clone())
        };
        let mut from = 0;
        self.operations
            .chunk_by(same)
            .map(|chunk| {
                let group =
                    Group { from, to: from + chunk.len(), newest_first: chunk.iter().all(|operation| operation.whole) };
                from = group.to;
                group
            })
            .collect()
    }
}

impl Task {
    /// Writes the next operation of every group, and leaves the groups that need another round.
    async fn round(
        &self,
        batch: &Batch,
        prepared: &Prepared,
        groups: &mut Vec<Group>,
        report: &mut WriteReport,
    ) -> Result<()> {
        let mut failed: HashMap<usize, Error> = HashMap::new();
        for (index, (namespace, max_batch)) in prepared.namespaces.iter().enumerate() {
            // Deletions first: they may make room in a unique index.
            for verb in [Verb::Delete, Verb::Update, Verb::Insert] {
                let wanted = |at: &usize| {
                    let operation = &prepared.operations[*at];
                    operation.namespace == index && operation.verb == verb
                };
                let next: Vec<usize> = groups.iter().map(Group::next).filter(wanted).collect();
                let operations: Vec<&Operation> = next.iter().map(|at| &prepared.operations[*at]).collect();
                let errors = self.run(namespace, &prepared.writer, &operations, *max_batch).await?;
                failed.extend(errors.into_iter().map(|(position, error)| (next[position], error)));
            }
        }
        let mut fail = |at: usize, error: Error| {
            let index = prepared.operations[at].record;
            report.failures.push(RecordFailure { index, error: model::at(batch, &batch.records[index], error) });
        };
        groups.retain_mut(|group| {
            let at = group.next();
            match failed.remove(&at) {
                None if group.newest_first => return false,
                None => group.from += 1,
                // The whole group comes again, in order: nothing of it may be overtaken by a retry.
                Some(error) if error.kind() != ErrorKind::BadRecord => {
                    for other in (group.from..group.to).filter(|other| *other != at) {
                        fail(other, Error::new(error.kind(), "waits for another record of the same document"));
                    }
                    fail(at, error);
                    return false;
                }
                Some(error) => {
                    fail(at, error);
                    if group.newest_first {
                        group.to -= 1;
                    } else {
                        group.from += 1;
                    }
                }
            }
            group.from < group.to
        });
        Ok(())
    }

    /// Runs operations of one verb; a command refused as a whole for a document's sake is halved until that one is found.
    async fn run(
        &self,
        namespace: &Namespace,
        writer: &Writer,
        operations: &[&Operation],
        max_batch: usize,
    ) -> Result<Vec<(usize, Error)>> {
        let mut failed = Vec::new();
        let mut todo = vec![(0, operations.len())];
        while let Some((from, to)) = todo.pop() {
            match self.commands.run(namespace, writer, &operations[from..to], max_batch).await {
                Ok(errors) => {
                    for error in errors {
                        let at = from + error.index;
                        if let Some(error) = self.judge(namespace, writer, operations[at], &error).await? {
                            failed.push((at, error));
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::BadRecord && to - from == 1 => failed.push((from, error)),
                Err(error) if error.kind() == ErrorKind::BadRecord => {
                    let middle = from.midpoint(to);
                    todo.extend([(from, middle), (middle, to)]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(failed)
    }

    /// What a refused operation means. An insert whose document is there already was done by an earlier attempt.
    async fn judge(
        &self,
        namespace: &Namespace,
        writer: &Writer,
        operation: &Operation,
        error: &WriteError,
    ) -> Result<Option<Error>> {
        let error_is = classify_write(error, operation.verb == Verb::Update);
        if error_is.kind() == ErrorKind::BadConfig {
            return Err(error_is);
        }
        if operation.verb != Verb::Insert || !error.is_duplicate_id() {
            return Ok(Some(error_is));
        }
        if operation.per_record {
            return Ok(None);
        }
        let malformed =
            |error: mongodb::bson::error::Error| Error::internal("a document came out malformed").because(error);
        let ours = RawDocumentBuf::from_bytes(writer.slice(operation.entry.clone()).to_vec()).map_err(malformed)?;
        let filter = RawDocumentBuf::from_bytes(model::by_id(writer.slice(operation.id.clone()))).map_err(malformed)?;
        let collection = self.commands.client().database(&namespace.db).collection::<RawDocumentBuf>(&namespace.coll);
        let found = collection
            .find_one(Document::try_from(filter.as_ref()).map_err(malformed)?)
            .await
            .map_err(|error| classify(error, "cannot read the document that is there already"))?;
        let same = found.is_some_and(|found| without_id(&found).eq(without_id(&ours)));
        Ok((!same).then_some(error_is))
    }
}

fn without_id(document: &RawDocumentBuf) -> impl Iterator<Item = (String, RawBson)> {
    document
        .iter()
        .filter_map(std::result::Result::ok)
        .filter(|(name, _)| name.as_str() != "_id")
        .map(|(name, value)| (name.as_str().to_owned(), RawBson::from(value)))
}
