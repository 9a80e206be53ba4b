//! The running sink: order keys and write times where a partition passes in order, then bounded concurrent writes, rows of
//! one partition key together.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use millrace_sdk::{
    Batch, Error, ErrorKind, Findings, OrderKeys, Problem, Record, RecordFailure, Result, SinkConnector, SinkTask,
    TaskContext, VersionRule, Versions, WriteReport, async_trait, hash_key,
};
use scylla::client::session::Session;
use scylla::statement::batch::{Batch as CqlBatch, BatchType};
use tokio::sync::Semaphore;

use crate::config::{IgnoreErrors, SinkConfig};
use crate::plan::Plan;
use crate::row::{Cell, Change, Parts, Row};
use crate::tables::{self, TableSettings};
use crate::write_time::WriteTimes;
use crate::{error, session};

/// Writes records into Cassandra tables.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sink;

/// The running task.
pub struct CassandraSink {
    session: Session,
    /// By topic; None for topics without tables of their own
    plans: HashMap<Option<String>, Vec<Plan>>,
    versions: Versions,
    times: Mutex<WriteTimes>,
    /// The last time that was given out without versions
    last_micros: AtomicI64,
    permits: Semaphore,
    max_concurrent: usize,
    max_batch: usize,
    ignore_errors: IgnoreErrors,
}

impl fmt::Debug for CassandraSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CassandraSink").field("topics", &self.plans.keys()).finish_non_exhaustive()
    }
}

#[async_trait]
impl SinkConnector for Sink {
    const NAME: &'static str = "cassandra-sink";
    const ALIASES: &'static [&'static str] = &[
        "com.datastax.oss.kafka.sink.CassandraSinkConnector",
        "com.datastax.kafkaconnector.DseSinkConnector",
        "CassandraSinkConnector",
        "CassandraSink",
    ];
    const DESCRIPTION: &'static str =
        "Writes records into Apache Cassandra tables through mappings, with the DataStax connector's keys.";
    type Config = SinkConfig;
    type Task = CassandraSink;

    fn versions(&self, _: &SinkConfig, rule: &VersionRule) -> Result<(), String> {
        match rule {
            VersionRule::Offset => {
                Err("an offset is no write time: it would lose to every cell written by the clock. Use \
                                        timestamp (the default here), field:<path> or header:<name>"
                    .to_owned())
            }
            _ => Ok(()),
        }
    }

    async fn check(&self, config: &SinkConfig, context: &TaskContext) -> Result<Findings> {
        let tables = resolve(config, context)?;
        let session = session::connect(config, &tables).await?;
        let mut findings = Findings::default();
        for table in tables {
            let key = table.key.clone();
            match Plan::prepare(&session, table).await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::BadConfig => {
                    findings.errors.push(Problem::new(key, error.chain()));
                }
                Err(error) => return Err(error),
            }
        }
        if config.mapping.is_none() && config.table_name_format.is_some() {
            findings.warnings.push(Problem::new(
                "table.name.format",
                "the tables named in the topic.….mapping keys win over table.name.format",
            ));
        }
        Ok(findings)
    }

    async fn open(&self, config: SinkConfig, context: TaskContext) -> Result<CassandraSink> {
        let tables = resolve(&config, &context)?;
        let session = session::connect(&config, &tables).await?;
        let mut plans: HashMap<Option<String>, Vec<Plan>> = HashMap::new();
        for table in tables {
            let topic = table.topic.clone();
            plans.entry(topic).or_default().push(Plan::prepare(&session, table).await?);
        }
        let max_concurrent = usize::try_from(config.max_concurrent_requests).unwrap_or(500);
        Ok(CassandraSink {
            session,
            plans,
            versions: context.versions,
            times: Mutex::default(),
            last_micros: AtomicI64::default(),
            permits: Semaphore::new(max_concurrent),
            max_concurrent,
            max_batch: usize::try_from(config.max_batch).unwrap_or(32),
            ignore_errors: config.ignore_errors,
        })
    }
}

fn resolve(config: &SinkConfig, context: &TaskContext) -> Result<Vec<TableSettings>> {
    let mut topics = tables::topics(&context.config);
    if topics.is_empty() {
        topics.clone_from(&context.topics);
    }
    tables::resolve(config, &topics).map_err(|problems| Error::bad_config(millrace_sdk::config::join(&problems)))
}

/// Rows of one partition key of one table, with the indices of their records.
struct Request<'a> {
    plan: &'a Plan,
    rows: Vec<(usize, Change)>,
}

#[async_trait]
impl SinkTask for CassandraSink {
    fn order_keys(&self, batch: &Batch) -> OrderKeys {
        if self.by_timestamp() {
            self.times().assign(batch, now_ms());
        }
        let mut keys = Vec::with_capacity(batch.records.len());
        for record in &batch.records {
            match self.plans_of(batch.topic(record)) {
                [] => keys.push(hash_key(record.offset)), // will be refused
                [plan] => {
                    let key = plan.layout.order_key(&mut Parts::new(record));
                    keys.push(key.unwrap_or_else(|| hash_key(record.offset)));
                }
                _ => return OrderKeys::Total, // rows of several tables, several identities
            }
        }
        OrderKeys::PerRecord(keys)
    }

    async fn write(&self, batch: &Batch) -> Result<WriteReport> {
        let (requests, mut failures) = self.requests(batch);
        let mut waiting = requests.into_iter();
        let mut running = FuturesUnordered::new();
        loop {
            running.extend(waiting.by_ref().take(self.max_concurrent - running.len()).map(|one| self.send(one)));
            let Some(failed) = running.next().await else { break };
            for (index, error) in failed {
                failures.entry(index).or_insert(error);
            }
        }
        failures.retain(|_, error| !self.is_ignored(error));
        let open = |index: &usize| failures.get(index).is_some_and(|e| matches!(e.kind(), ErrorKind::Transient { .. }));
        let settled = (0..batch.records.len()).filter(|index| !open(index)).map(|index| batch.records[index].offset);
        self.times().done(batch, settled);
        let mut failures: Vec<RecordFailure> =
            failures.into_iter().map(|(index, error)| RecordFailure { index, error }).collect();
        failures.sort_by_key(|failure| failure.index);
        Ok(WriteReport { failures, superseded: 0 })
    }
}

impl CassandraSink {
    fn times(&self) -> MutexGuard<'_, WriteTimes> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether write times follow from timestamps and offsets.
    fn by_timestamp(&self) -> bool {
        matches!(self.versions.rule, VersionRule::Peer | VersionRule::Timestamp)
    }

    /// A time after all others: the last to arrive wins.
    fn next_micros(&self) -> i64 {
        let now = now_ms().saturating_mul(1000);
        let next = |last: i64| now.max(last + 1);
        let before = self.last_micros.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        next(before.unwrap_or_default())
    }

    /// A record's write time for a table.
    fn micros(&self, times: &WriteTimes, batch: &Batch, record: &Record, plan: &Plan, now_ms: i64) -> Result<i64> {
        match self.versions.rule {
            VersionRule::Peer | VersionRule::Timestamp => Ok(times.of(batch, record, now_ms)),
            VersionRule::None => Ok(self.next_micros()),
            _ => {
                let version = self.versions.of(record)?.unwrap_or_default();
                Ok(plan.layout.settings.timestamp_unit.to_micros(version))
            }
        }
    }

    fn plans_of(&self, topic: &str) -> &[Plan] {
        self.plans.get(&Some(topic.to_owned())).or_else(|| self.plans.get(&None)).map_or(&[], Vec::as_slice)
    }

    fn is_ignored(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::BadRecord && self.ignore_errors != IgnoreErrors::None
    }

    /// Turns records into requests, and says of which it cannot.
    fn requests(&self, batch: &Batch) -> (Vec<Request<'_>>, HashMap<usize, Error>) {
        let (mut requests, mut failures) = (Vec::new(), HashMap::new());
        let mut open: HashMap<(*const Plan, u64), usize> = HashMap::new();
        let now = now_ms();
        let times = self.times();
        for (index, record) in batch.records.iter().enumerate() {
            let topic = batch.topic(record);
            let plans = self.plans_of(topic);
            if plans.is_empty() {
                failures.insert(index, Error::bad_record(format!("topic {topic} has no mapping to a table")));
            }
            let mut parts = Parts::new(record);
            for plan in plans {
                let micros = self.micros(&times, batch, record, plan, now);
                let row = |micros| plan.layout.row(record, &mut parts, micros, plan.delete.is_some());
                match micros.and_then(row) {
                    Ok(row) => self.add(&mut requests, &mut open, plan, index, row),
                    Err(error) => {
                        failures.entry(index).or_insert(error);
                    }
                }
            }
        }
        (requests, failures)
    }

    fn add<'a>(
        &self,
        requests: &mut Vec<Request<'a>>,
        open: &mut HashMap<(*const Plan, u64), usize>,
        plan: &'a Plan,
        index: usize,
        row: Row,
    ) {
        let slot = match open.entry((std::ptr::from_ref(plan), row.partition)) {
            Entry::Occupied(entry) if requests[*entry.get()].rows.len() < self.max_batch => *entry.get(),
            Entry::Occupied(mut entry) => {
                entry.insert(requests.len());
                requests.push(Request { plan, rows: Vec::new() });
                *entry.get()
            }
            Entry::Vacant(entry) => {
                requests.push(Request { plan, rows: Vec::new() });
                *entry.insert(requests.len() - 1)
            }
        };
        requests[slot].rows.push((index, row.change));
    }

    /// Sends rows of one partition. A batch that is refused is sent again row by row, so that a bad row costs only itself.
    async fn send(&self, request: Request<'_>) -> Vec<(usize, Error)> {
        let Ok(_permit) = self.permits.acquire().await else { return Vec::new() };
        if request.rows.len() > 1 {
            match self.send_together(&request).await {
                Ok(()) => return Vec::new(),
                Err(error) if matches!(error.kind(), ErrorKind::Transient { .. }) => {
                    let message = error.chain();
                    let again = |index| (index, Error::new(error.kind(), message.clone()));
                    return request.rows.iter().map(|(index, _)| again(*index)).collect();
                }
                Err(_) => {}
            }
        }
        let mut failures = Vec::new();
        for (index, change) in &request.rows {
            if let Err(error) = self.send_alone(request.plan, change).await {
                failures.push((*index, error));
            }
        }
        failures
    }

    async fn send_alone(&self, plan: &Plan, change: &Change) -> Result<()> {
        let Some((statement, cells)) = statement(plan, change) else { return Ok(()) };
        let answer = self.session.execute_unpaged(statement, cells).await;
        answer.map(|_| ()).map_err(|cause| error::of_write(&doing(plan, change), cause))
    }

    async fn send_together(&self, request: &Request<'_>) -> Result<()> {
        let mut together = CqlBatch::new(BatchType::Unlogged);
        together.set_consistency(request.plan.layout.settings.consistency);
        together.set_is_idempotent(request.plan.layout.now.is_empty());
        let mut values: Vec<&Vec<Cell>> = Vec::with_capacity(request.rows.len());
        for (_, change) in &request.rows {
            if let Some((statement, cells)) = statement(request.plan, change) {
                together.append_statement(statement.clone());
                values.push(cells);
            }
        }
        let answer = self.session.batch(&together, values).await;
        let doing = || format!("cannot write {} rows to {}", request.rows.len(), request.plan.layout.name());
        answer.map(|_| ()).map_err(|cause| error::of_write(&doing(), cause))
    }
}

/// A delete is only made where there is a statement for it.
fn statement<'a>(
    plan: &'a Plan,
    change: &'a Change,
) -> Option<(&'a scylla::statement::prepared::PreparedStatement, &'a Vec<Cell>)> {
    match change {
        Change::Insert(cells) => Some((&plan.insert, cells)),
        Change::Delete(cells) => plan.delete.as_ref().map(|delete| (delete, cells)),
    }
}

fn doing(plan: &Plan, change: &Change) -> String {
    match change {
        Change::Insert(_) => format!("cannot insert into {}", plan.layout.name()),
        Change::Delete(_) => format!("cannot delete from {}", plan.layout.name()),
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
