//! The running sink.

use millrace_sdk::{Batch, Error, Findings, Result, SinkConnector, SinkTask, TaskContext, WriteReport, async_trait};

use crate::SinkConfig;

/// Writes records into Cassandra tables.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sink;

/// The running task.
#[derive(Debug)]
pub struct CassandraSink;

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

    async fn check(&self, _: &SinkConfig, _: &TaskContext) -> Result<Findings> {
        Ok(Findings::default())
    }

    async fn open(&self, _: SinkConfig, _: TaskContext) -> Result<CassandraSink> {
        Err(Error::internal("the Cassandra sink is not built yet"))
    }
}

#[async_trait]
impl SinkTask for CassandraSink {
    async fn write(&self, _: &Batch) -> Result<WriteReport> {
        Err(Error::internal("the Cassandra sink is not built yet"))
    }
}
