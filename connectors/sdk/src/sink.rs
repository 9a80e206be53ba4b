//! The sink contract.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Batch, Config, Error, Findings, Flat, Reports, Result, VersionRule, Versions};

/// Where a task runs and for whom.
#[derive(Debug, Clone, Default)]
pub struct TaskContext {
    /// The tenant
    pub tenant: String,
    /// The connector's name
    pub connector: String,
    /// The task's index, from 0
    pub task: u32,
    /// How many tasks the connector has
    pub tasks_total: u32,
    /// Bumped each time the task is placed
    pub generation: i64,
    /// The topics named by `topics`; empty with `topics.regex`
    pub topics: Vec<String>,
    /// The whole flat configuration, the framework's keys included
    pub config: Arc<Flat>,
    /// Of a sink: where the versions of writes come from (`millrace.versions`)
    pub versions: Versions,
    /// Where the task tells of itself
    pub reports: Reports,
}

/// What must stay in order, named after the *store's* identity (document id, primary key), which may come from the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderKeys {
    /// One hash per record of the batch: records with equal hashes are written in order, others at the same time
    PerRecord(Vec<u64>),
    /// No order at all: every record makes a store entry of its own
    Any,
    /// Everything of a partition in order
    Total,
}

/// Hashes anything into an order key.
pub fn hash_key(key: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// A record that could not be written, and why.
#[derive(Debug)]
pub struct RecordFailure {
    /// Index into the batch's records
    pub index: usize,
    /// Why; `BadRecord` means it never can be
    pub error: Error,
}

/// What became of a batch: every record not named in `failures` is durable in the store.
#[derive(Debug, Default)]
pub struct WriteReport {
    /// Records that were not written
    pub failures: Vec<RecordFailure>,
    /// Writes that the store refused because it holds a newer version: done, and counted
    pub superseded: u64,
}

impl WriteReport {
    /// Everything is durable.
    #[must_use]
    pub fn all_durable() -> Self {
        Self::default()
    }
}

/// A running sink task. Calls of [`SinkTask::write`] overlap (one per lane), but two batches that share an order key never
/// do, so order per key is the task's for free.
#[async_trait]
pub trait SinkTask: Send + Sync {
    /// Called after the transforms, once per batch, before it is split over lanes.
    fn order_keys(&self, batch: &Batch) -> OrderKeys {
        let _ = batch;
        OrderKeys::Total
    }

    /// Makes the batch durable, or says which records are not. Must be idempotent: the same batch may come again. `Err`
    /// means that nothing is known about any record of the batch.
    ///
    /// Within the batch a later record of the same order key must win. The future may be dropped at any await point
    /// (revocation), so it must leave nothing half done that a repetition does not mend.
    async fn write(&self, batch: &Batch) -> Result<WriteReport>;

    /// Whether a write ends at once, without waiting for anybody. Such a task gets small batches, written where they were
    /// decoded: they never leave the processor's cache, and what one thread has allocated no other one frees. It is not asked
    /// for order keys: each partition is written in order, and several at the same time.
    fn is_local(&self) -> bool {
        false
    }

    /// Called once, after the last write has ended.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// A kind of sink. `check` and `open` may be called many times and at the same time.
#[async_trait]
pub trait SinkConnector: Send + Sync + 'static {
    /// Ours, such as `mongodb-sink`
    const NAME: &'static str;
    /// Java class names which mean the same
    const ALIASES: &'static [&'static str];
    /// One sentence
    const DESCRIPTION: &'static str;
    /// The connector's own keys
    type Config: Config;
    /// The running task
    type Task: SinkTask + 'static;

    /// Whether versions by such a rule can guard its writes (`millrace.versions`), or why not, with what to do.
    /// [`VersionRule::Peer`] and [`VersionRule::None`] are not asked about.
    ///
    /// # Errors
    /// The reason for the user.
    fn versions(&self, config: &Self::Config, rule: &VersionRule) -> Result<(), String> {
        let _ = (config, rule);
        Err(format!("{} cannot guard its writes by versions; remove millrace.versions", Self::NAME))
    }

    /// Proves connection, credentials, privileges and target. `Err(BadConfig)` refuses the configuration; `Err(Transient)`
    /// means that the store could not be asked; findings may carry warnings.
    async fn check(&self, config: &Self::Config, context: &TaskContext) -> Result<Findings>;

    /// Opens a task. Must not wait for long when the store is away: connect lazily, or fail with `Transient`.
    async fn open(&self, config: Self::Config, context: TaskContext) -> Result<Self::Task>;
}
