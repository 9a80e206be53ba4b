//! The file sink: each record's value, as Java prints it, is a line. At least once: a batch that comes again is written again.

use millrace_sdk::{
    Batch, Findings, RecordFailure, Result, SinkConnector, SinkTask, TaskContext, WriteReport, async_trait, java,
};

use crate::SinkConfig;
use crate::output::Output;

/// Appends each record's value to a file.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sink;

/// The running task.
#[derive(Debug)]
pub struct FileSink {
    output: Output,
}

#[async_trait]
impl SinkConnector for Sink {
    const NAME: &'static str = "file-sink";
    const ALIASES: &'static [&'static str] =
        &["org.apache.kafka.connect.file.FileStreamSinkConnector", "FileStreamSinkConnector", "FileStreamSink"];
    const DESCRIPTION: &'static str =
        "Appends each record's value as a line to a file, as Kafka Connect's FileStreamSink.";
    type Config = SinkConfig;
    type Task = FileSink;

    async fn check(&self, config: &SinkConfig, _: &TaskContext) -> Result<Findings> {
        Ok(Output::check(&config.file))
    }

    async fn open(&self, config: SinkConfig, _: TaskContext) -> Result<FileSink> {
        Ok(FileSink { output: Output::open(config.file)? })
    }
}

#[async_trait]
impl SinkTask for FileSink {
    async fn write(&self, batch: &Batch) -> Result<WriteReport> {
        let mut report = WriteReport::all_durable();
        let mut text = String::from_utf8(self.output.buffer()).unwrap_or_default();
        for (index, record) in batch.records.iter().enumerate() {
            let before = text.len();
            match java::print(&record.value, &mut text) {
                Ok(()) => text.push('\n'),
                Err(error) => {
                    text.truncate(before);
                    report.failures.push(RecordFailure { index, error });
                }
            }
        }
        self.output.append(text.into_bytes()).await?;
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use millrace_sdk::{Bytes, Datum, Flat, Record, TimestampKind, TopicPartition, Value};

    use super::*;

    fn context() -> TaskContext {
        TaskContext {
            tenant: "default".to_owned(),
            connector: "file".to_owned(),
            task: 0,
            tasks_total: 1,
            generation: 1,
            topics: Vec::new(),
            config: Arc::new(Flat::new()),
            ..TaskContext::default()
        }
    }

    fn batch(values: Vec<Datum>) -> Batch {
        let record = |(offset, value): (usize, Datum)| Record {
            offset: i64::try_from(offset).unwrap(),
            timestamp_ms: None,
            timestamp_kind: TimestampKind::None,
            renamed_topic: None,
            key: Datum::Null,
            value,
            headers: Vec::new(),
        };
        let records = values.into_iter().enumerate().map(record).collect();
        Batch { origin: TopicPartition { topic: "t".into(), partition: 0 }, records }
    }

    #[tokio::test]
    async fn values_are_appended_and_a_bad_one_costs_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.txt");
        std::fs::write(&path, "before\n").unwrap();
        let config = SinkConfig { file: path.display().to_string() };
        let task = Sink.open(config, context()).await.unwrap();
        let json = |text: &'static str| Datum::schemaless(Value::Json(Bytes::from_static(text.as_bytes())));
        let report = task.write(&batch(vec![json("{\"a\":1}"), json("{broken"), Datum::Null])).await.unwrap();
        assert_eq!(report.failures.iter().map(|failure| failure.index).collect::<Vec<_>>(), [1]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\n{a=1}\nnull\n");
    }

    #[tokio::test]
    async fn a_missing_folder_is_the_configurations_fault() {
        let config = SinkConfig { file: "/nonexistent/folder/out.txt".to_owned() };
        let error = Sink.open(config.clone(), context()).await.unwrap_err();
        assert_eq!(error.kind().name(), "bad-config");
        let findings = Sink.check(&config, &context()).await.unwrap();
        assert!(findings.errors[0].message.contains("does not exist"));
    }
}
