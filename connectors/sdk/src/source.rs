//! The source contract.

use async_trait::async_trait;
use serde_json::{Map, Value as Json};

use crate::{Config, Datum, Findings, Flat, Header, Result, TaskContext};

/// How far a source partition has been read, in Connect's own shape: both halves are flat JSON objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// What is read, such as `{"filename": "/var/log/x"}`
    pub partition: Map<String, Json>,
    /// How far, such as `{"position": 4711}`
    pub offset: Map<String, Json>,
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

/// What one poll brought.
#[derive(Debug, Clone, Default)]
pub struct SourceBatch {
    /// In order
    pub records: Vec<SourceRecord>,
    /// Reached once all records of this batch and all batches before it are acknowledged by Kafka
    pub positions: Vec<Position>,
}

/// A running source task.
#[async_trait]
pub trait SourceTask: Send {
    /// The next records; waits for some. Cancel-safe: a dropped poll loses nothing, since positions move only with the
    /// batches that are returned.
    async fn poll(&mut self) -> Result<SourceBatch>;

    /// Positions that are stored now; for sources that may discard what lies before.
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

    /// As [`crate::SinkConnector::check`].
    async fn check(&self, config: &Self::Config, context: &TaskContext) -> Result<Findings>;

    /// Splits the work over at most `max_tasks` tasks (at least 1): the keys that each adds to the configuration.
    async fn plan(&self, config: &Self::Config, max_tasks: u32) -> Result<Vec<Flat>>;

    /// Opens a task at the stored positions. `config` is parsed from the connector's keys with the task's own on top.
    async fn open(&self, config: Self::Config, context: TaskContext, positions: Positions) -> Result<Self::Task>;
}
