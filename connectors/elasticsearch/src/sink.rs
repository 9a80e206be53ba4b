//! The sink: `check` proves connection and privileges, `write` brings a batch to the cluster.
//!
//! Order per document: the operations of a batch are grouped by document, and no request holds two of one group. A group
//! whose operations replace or delete the whole document is written from its newest record backwards, which nearly always
//! means only the newest; an earlier one is written only when the newer can never be. Groups of updates are written oldest
//! first, one per round. With external versions a repetition changes nothing.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use millrace_sdk::{
    Batch, Error, ErrorKind, Findings, OrderKeys, RecordFailure, Result, SinkConnector, SinkTask, TaskContext,
    VersionRule, Versions, WriteReport, hash_key,
};

use crate::bulk::{self, Operation};
use crate::client::Client;
use crate::config::{OnMalformed, SinkConfig};
use crate::error::Outcome;

/// How long a check waits for an answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// The Elasticsearch sink connector.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sink;

/// A running task.
#[derive(Debug)]
pub struct Task {
    config: SinkConfig,
    versions: Versions,
    client: Client,
}

#[async_trait]
impl SinkConnector for Sink {
    const NAME: &'static str = "elasticsearch-sink";
    const ALIASES: &'static [&'static str] = &[
        "io.confluent.connect.elasticsearch.ElasticsearchSinkConnector",
        "ElasticsearchSinkConnector",
        "ElasticsearchSink",
    ];
    const DESCRIPTION: &'static str =
        "Writes records into Elasticsearch indices by the bulk API: one document per record or per key.";
    type Config = SinkConfig;
    type Task = Task;

    fn versions(&self, config: &SinkConfig, _: &VersionRule) -> Result<(), String> {
        config.refuses_versions()
    }

    async fn check(&self, config: &SinkConfig, context: &TaskContext) -> Result<Findings> {
        let client = Client::new(config, Some(CHECK_TIMEOUT))?;
        let mut indices: Vec<String> = context.topics.iter().map(|topic| config.index(topic)).collect();
        if !config.index_name.is_empty() {
            indices.push(config.index_name.clone());
        }
        indices.sort();
        indices.dedup();
        client.check(&indices).await?;
        Ok(Findings::default())
    }

    async fn open(&self, config: SinkConfig, context: TaskContext) -> Result<Task> {
        let client = Client::new(&config, None)?;
        Ok(Task { config, versions: context.versions, client })
    }
}

#[async_trait]
impl SinkTask for Task {
    fn order_keys(&self, batch: &Batch) -> OrderKeys {
        if batch.records.iter().all(|record| self.config.ignores_key(batch.topic(record))) {
            return OrderKeys::Any;
        }
        // A record without a usable id fails by itself; it may go with any lane.
        let key = |record| bulk::id(&self.config, batch, record).map_or(0, hash_key);
        OrderKeys::PerRecord(batch.records.iter().map(key).collect())
    }

    async fn write(&self, batch: &Batch) -> Result<WriteReport> {
        let mut report = WriteReport::default();
        let prepared = Prepared::new(self, batch, &mut report);
        if !prepared.operations.is_empty() {
            for index in &prepared.indices {
                self.client.ensure_index(index).await?;
            }
        }
        let mut groups = prepared.groups();
        while !groups.is_empty() {
            self.round(batch, &prepared, &mut groups, &mut report).await?;
        }
        report.failures.sort_by_key(|failure| failure.index);
        Ok(report)
    }
}

/// A batch's operations.
struct Prepared {
    buffer: Vec<u8>,
    indices: Vec<String>,
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
        let mut prepared =
            Self { buffer: Vec::new(), indices: Vec::new(), operations: Vec::with_capacity(batch.records.len()) };
        let mut by_topic: HashMap<&str, usize> = HashMap::new();
        for (position, record) in batch.records.iter().enumerate() {
            let topic = batch.topic(record);
            let index = *by_topic.entry(topic).or_insert_with(|| {
                let name = task.config.index(topic);
                prepared.indices.iter().position(|known| *known == name).unwrap_or_else(|| {
                    prepared.indices.push(name);
                    prepared.indices.len() - 1
                })
            });
            let name = &prepared.indices[index];
            match bulk::encode(&mut prepared.buffer, (&task.config, &task.versions), (index, name), batch, position) {
                Ok(Some(operation)) => prepared.operations.push(operation),
                Ok(None) => {}
                Err(error) if task.config.drop_invalid => {
                    tracing::warn!(error = %error.chain(), "record dropped (drop.invalid.message)");
                }
                Err(error) => report.failures.push(RecordFailure { index: position, error }),
            }
        }
        prepared.operations.sort_by(|a, b| (a.index, &a.id, a.record).cmp(&(b.index, &b.id, b.record)));
        prepared
    }

    fn groups(&self) -> Vec<Group> {
        let mut from = 0;
        self.operations
            .chunk_by(|a, b| a.index == b.index && a.id == b.id)
            .map(|chunk| {
                // By version: the newest need not be the last.
                let in_order = chunk.is_sorted_by_key(|operation| operation.version);
                let newest_first = in_order && chunk.iter().all(|operation| operation.whole);
                let group = Group { from, to: from + chunk.len(), newest_first };
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
        let next: Vec<usize> = groups.iter().map(Group::next).collect();
        let operations: Vec<&Operation> = next.iter().map(|at| &prepared.operations[*at]).collect();
        let outcomes = self.run(prepared, &operations).await?;
        let mut outcomes: HashMap<usize, Outcome> =
            outcomes.into_iter().map(|(position, outcome)| (next[position], outcome)).collect();
        let mut failures = Vec::new();
        let mut superseded = 0;
        groups.retain_mut(|group| {
            let at = group.next();
            match outcomes.remove(&at).unwrap_or(Outcome::Done) {
                Outcome::Failed(error) if error.kind() != ErrorKind::BadRecord => {
                    // The whole group comes again, in order: nothing of it may be overtaken by a retry.
                    for other in (group.from..group.to).filter(|other| *other != at) {
                        failures.push((other, Error::new(error.kind(), "waits for another record of its document")));
                    }
                    failures.push((at, error));
                    return false;
                }
                Outcome::Failed(error) => {
                    self.refused(batch, prepared.operations[at].record, &error).then(|| failures.push((at, error)));
                    if group.newest_first {
                        group.to -= 1;
                    } else {
                        group.from += 1;
                    }
                }
                outcome => {
                    superseded += u64::from(matches!(outcome, Outcome::Superseded));
                    if group.newest_first {
                        return false;
                    }
                    group.from += 1;
                }
            }
            group.from < group.to
        });
        report.superseded += superseded;
        report.failures.extend(failures.into_iter().map(|(at, error)| {
            let index = prepared.operations[at].record;
            RecordFailure { index, error: bulk::at(batch, &batch.records[index], error) }
        }));
        Ok(())
    }

    /// Whether a refused document is to be reported (`behavior.on.malformed.documents`).
    fn refused(&self, batch: &Batch, record: usize, error: &Error) -> bool {
        match self.config.on_malformed {
            OnMalformed::Fail => true,
            OnMalformed::Ignore => false,
            OnMalformed::Warn => {
                let record = batch.coordinates(&batch.records[record]);
                tracing::warn!(%record, %error, "record dropped (behavior.on.malformed.documents)");
                false
            }
        }
    }

    /// Runs operations, each for another document. The answer holds what did not simply succeed. A request refused as a
    /// whole for what it holds is halved until the operation is found.
    async fn run(&self, prepared: &Prepared, operations: &[&Operation]) -> Result<Vec<(usize, Outcome)>> {
        let mut todo = Vec::new();
        let mut from = 0;
        while from < operations.len() {
            let to = bulk::chunk_end(operations, from, &self.config);
            todo.push((from, to));
            from = to;
        }
        let mut answered = Vec::new();
        while let Some((from, to)) = todo.pop() {
            let chunk = &operations[from..to];
            match self.client.bulk(bulk::body(&prepared.buffer, chunk)).await {
                Ok(reply) => {
                    for (position, outcome) in reply.outcomes(chunk)?.into_iter().enumerate() {
                        if let Outcome::Failed(error) = outcome {
                            let error = self.judge(prepared, chunk[position], error)?;
                            answered.push((from + position, Outcome::Failed(error)));
                        } else {
                            answered.push((from + position, outcome));
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::BadRecord && to - from == 1 => {
                    answered.push((from, Outcome::Failed(error)));
                }
                Err(error) if error.kind() == ErrorKind::BadRecord => {
                    let middle = from.midpoint(to);
                    todo.extend([(from, middle), (middle, to)]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(answered)
    }

    /// An item's error; one that only another configuration mends stops the whole batch.
    fn judge(&self, prepared: &Prepared, operation: &Operation, error: Error) -> Result<Error> {
        match error.kind() {
            ErrorKind::BadConfig => return Err(error),
            // Perhaps the index is gone: look again before the next try.
            ErrorKind::Transient { .. } => self.client.forget_index(&prepared.indices[operation.index]),
            _ => {}
        }
        Ok(error)
    }
}
