//! The file source.

use millrace_sdk::{
    Error, Findings, Flat, Positions, Result, SourceBatch, SourceConnector, SourceTask, TaskContext, async_trait,
};

use crate::SourceConfig;

/// Reads a file line by line.
#[derive(Debug, Default, Clone, Copy)]
pub struct Source;

/// The running task.
#[derive(Debug)]
pub struct FileSource;

#[async_trait]
impl SourceConnector for Source {
    const NAME: &'static str = "file-source";
    const ALIASES: &'static [&'static str] =
        &["org.apache.kafka.connect.file.FileStreamSourceConnector", "FileStreamSourceConnector", "FileStreamSource"];
    const DESCRIPTION: &'static str = "Reads a file line by line and follows it, as Kafka Connect's FileStreamSource.";
    type Config = SourceConfig;
    type Task = FileSource;

    async fn check(&self, _: &SourceConfig, _: &TaskContext) -> Result<Findings> {
        Ok(Findings::default())
    }

    async fn plan(&self, _: &SourceConfig, _: u32) -> Result<Vec<Flat>> {
        Ok(vec![Flat::new()])
    }

    async fn open(&self, _: SourceConfig, _: TaskContext, _: Positions) -> Result<FileSource> {
        Err(Error::internal("the file source is not built yet"))
    }
}

#[async_trait]
impl SourceTask for FileSource {
    async fn poll(&mut self) -> Result<SourceBatch> {
        Err(Error::internal("the file source is not built yet"))
    }
}
