//! The source contract.

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Map, Value as Json};

use crate::{Config, Datum, Error, Findings, Flat, Header, Result, TaskContext};

/// How far a source partition has been read, in Connect's own shape: both halves are flat JSON objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// What is read, such as `{"filename": "/var/log/x"}`
    pub partition: Map<String, Json>,
    /// How far, such as `{"position": 4711}`; empty = nothing is stored of it any more
    pub offset: Map<String, Json>,
}

impl Position {
    /// What a source partition is forgotten with.
    #[must_use]
    pub fn forgotten(partition: Map<String, Json>) -> Self {
        Self { partition, offset: Map::new() }
    }
}

/// The stored positions of a connector, as the offsets topic holds them.
#[derive(Debug, Clone, Default)]
pub struct Positions(pub Vec<Position>);

impl Positions {
    /// The stored offset of a source partition.
    #[must_use]
    pub fn get(&self, partition: &Map<String, Json>) -> Option<&Map<String, Json>> {
        self.0.iter().find(|p| &p.partition == partition).map(|p| &p.offset)
    }
}

/// A record on its way into Kafka.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRecord {
    /// The topic
    pub topic: String,
    /// A fixed partition; None leaves it to the partitioner
    pub partition: Option<i32>,
    /// The key
    pub key: Datum,
    /// The value
    pub value: Datum,
    /// The headers
    pub headers: Vec<Header>,
    /// Milliseconds since the epoch; None = when it is produced
    pub timestamp_ms: Option<i64>,
}

/// Something that was read and can never become a record: too large, torn, of no known form. `errors.tolerance` decides; with
/// a dead-letter topic, what there is of it is kept there.
#[derive(Debug)]
pub struct SourceFailure {
    /// Where in the source, for logs and headers, such as `orders.lines at {"_id": 1}`
    pub at: String,
    /// The topic that it would have gone to; empty when that is not known
    pub topic: String,
    /// Its key, as far as there is one
    pub key: Option<Bytes>,
    /// What is left of it
    pub value: Option<Bytes>,
    /// Why; `BadRecord`, or the task ends with it whatever the user tolerates
    pub error: Error,
}

/// What a batch means for the transaction of a task that runs exactly once. Without exactly once, and unless the user asks for
/// `transaction.boundary=connector`, it means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Boundary {
    /// Belongs to the open transaction, which goes on
    #[default]
    None,
    /// The last of its transaction
    Commit,
    /// The transaction, with this batch, is to leave no record; its positions are stored all the same
    Abort,
}

/// What one poll brought. A batch without records moves positions, as a heartbeat does.
#[derive(Debug, Default)]
pub struct SourceBatch {
    /// In order
    pub records: Vec<SourceRecord>,
    /// Reached once all records of this batch and all batches before it are acknowledged by Kafka. Their newest are stored
    /// with every commit; in a batch a later one of the same source partition replaces an earlier one.
    pub positions: Vec<Position>,
    /// What could not become a record
    pub failures: Vec<SourceFailure>,
    /// The end of a transaction
    pub boundary: Boundary,
}

/// Whether a source can run exactly once: a task opened at stored positions returns what follows them and nothing else, in
/// whatever life it stored them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExactlyOnce {
    /// It can
    Supported,
    /// It cannot, and why
    Unsupported(&'static str),
}

/// A running source task.
#[async_trait]
pub trait SourceTask: Send {
    /// The next records; waits for some. Cancel-safe: a dropped poll loses nothing, since positions move only with the
    /// batches that are returned.
    async fn poll(&mut self) -> Result<SourceBatch>;

    /// Positions that are stored now, all of them in Kafka; for sources that may discard what lies before.
    async fn committed(&mut self, positions: &[Position]) -> Result<()> {
        let _ = positions;
        Ok(())
    }

    /// Called once at the end.
    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A kind of source.
#[async_trait]
pub trait SourceConnector: Send + Sync + 'static {
    /// Ours, such as `file-source`
    const NAME: &'static str;
    /// Java class names which mean the same
    const ALIASES: &'static [&'static str];
    /// One sentence
    const DESCRIPTION: &'static str;
    /// The connector's own keys
    type Config: Config;
    /// The running task
    type Task: SourceTask + 'static;

    /// Whether it can run exactly once with this configuration (`exactly.once.support`).
    fn exactly_once(&self, config: &Self::Config) -> ExactlyOnce {
        let _ = config;
        ExactlyOnce::Unsupported("the connector does not say that its positions are exact")
    }

    /// Whether its batches say where transactions end (`transaction.boundary=connector`, see [`Boundary`]).
    fn defines_boundaries(&self, config: &Self::Config) -> bool {
        let _ = config;
        false
    }

    /// As [`crate::SinkConnector::check`].
    async fn check(&self, config: &Self::Config, context: &TaskContext) -> Result<Findings>;

    /// Splits the work over at most `max_tasks` tasks (at least 1): the keys that each adds to the configuration.
    async fn plan(&self, config: &Self::Config, max_tasks: u32) -> Result<Vec<Flat>>;

    /// Opens a task at the stored positions. `config` is parsed from the connector's keys with the task's own on top.
    async fn open(&self, config: Self::Config, context: TaskContext, positions: Positions) -> Result<Self::Task>;
}
