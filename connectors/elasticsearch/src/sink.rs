//! The sink connector's entry point.

use async_trait::async_trait;
use millrace_sdk::{Batch, Error, Findings, Result, SinkConnector, SinkTask, TaskContext, WriteReport};

use crate::config::SinkConfig;

/// The Elasticsearch sink connector.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sink;

/// A running task.
#[derive(Debug)]
pub struct Task {}

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

    async fn check(&self, _: &SinkConfig, _: &TaskContext) -> Result<Findings> {
        Ok(Findings::default())
    }

    async fn open(&self, _: SinkConfig, _: TaskContext) -> Result<Task> {
        Err(Error::internal("elasticsearch-sink is being written"))
    }
}

#[async_trait]
impl SinkTask for Task {
    async fn write(&self, _: &Batch) -> Result<WriteReport> {
        Err(Error::internal("elasticsearch-sink is being written"))
    }
}
