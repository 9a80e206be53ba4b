//! The file sink.

use millrace_sdk::{Batch, Error, Findings, Result, SinkConnector, SinkTask, TaskContext, WriteReport, async_trait};

use crate::SinkConfig;

/// Appends each record's value to a file.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sink;

/// The running task.
#[derive(Debug)]
pub struct FileSink;

#[async_trait]
impl SinkConnector for Sink {
    const NAME: &'static str = "file-sink";
    const ALIASES: &'static [&'static str] =
        &["org.apache.kafka.connect.file.FileStreamSinkConnector", "FileStreamSinkConnector", "FileStreamSink"];
    const DESCRIPTION: &'static str =
        "Appends each record's value as a line to a file, as Kafka Connect's FileStreamSink.";
    type Config = SinkConfig;
    type Task = FileSink;

    async fn check(&self, _: &SinkConfig, _: &TaskContext) -> Result<Findings> {
        Ok(Findings::default())
    }

    async fn open(&self, _: SinkConfig, _: TaskContext) -> Result<FileSink> {
        Err(Error::internal("the file sink is not built yet"))
    }
}

#[async_trait]
impl SinkTask for FileSink {
    async fn write(&self, _: &Batch) -> Result<WriteReport> {
        Err(Error::internal("the file sink is not built yet"))
    }
}
