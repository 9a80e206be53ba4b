//! The sink connector's entry point.

use async_trait::async_trait;
use millrace_sdk::{Batch, Error, Findings, Result, SinkConnector, SinkTask, TaskContext, WriteReport};

use crate::config::SinkConfig;

/// The MongoDB sink connector.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sink;

/// A running task.
#[derive(Debug)]
pub struct Task {}

#[async_trait]
impl SinkConnector for Sink {
    const NAME: &'static str = "mongodb-sink";
    const ALIASES: &'static [&'static str] =
        &["com.mongodb.kafka.connect.MongoSinkConnector", "MongoSinkConnector", "MongoSink"];
    const DESCRIPTION: &'static str =
        "Writes records into MongoDB collections: inserts, upserts and deletes, one document per record.";
    type Config = SinkConfig;
    type Task = Task;

    async fn check(&self, _: &SinkConfig, _: &TaskContext) -> Result<Findings> {
        Ok(Findings::default())
    }

    async fn open(&self, _: SinkConfig, _: TaskContext) -> Result<Task> {
        Err(Error::internal("mongodb-sink is being written"))
    }
}

#[async_trait]
impl SinkTask for Task {
    async fn write(&self, _: &Batch) -> Result<WriteReport> {
        Err(Error::internal("mongodb-sink is being written"))
    }
}
