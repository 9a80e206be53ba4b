//! The null sink: takes every record and keeps none. What it costs is what everything before a store costs.

use std::sync::atomic::{AtomicU64, Ordering};

use millrace_sdk::{
    Batch, Findings, OrderKeys, Result, SinkConnector, SinkTask, TaskContext, WriteReport, async_trait,
};

use crate::SinkConfig;

/// Drops records.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sink;

/// The running task.
#[derive(Debug, Default)]
pub struct NullSink {
    records: AtomicU64,
}

impl NullSink {
    /// How many records it was given.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl SinkConnector for Sink {
    const NAME: &'static str = "null-sink";
    const ALIASES: &'static [&'static str] = &[];
    const DESCRIPTION: &'static str = "Takes every record and keeps none: for measuring, and for trying converters.";
    type Config = SinkConfig;
    type Task = NullSink;

    async fn check(&self, _: &SinkConfig, _: &TaskContext) -> Result<Findings> {
        Ok(Findings::default())
    }

    async fn open(&self, _: SinkConfig, _: TaskContext) -> Result<NullSink> {
        Ok(NullSink::default())
    }
}

#[async_trait]
impl SinkTask for NullSink {
    fn order_keys(&self, _: &Batch) -> OrderKeys {
        // Nothing is won by writing nothing at several places at the same time.
        OrderKeys::Total
    }

    fn is_local(&self) -> bool {
        true
    }

    async fn write(&self, batch: &Batch) -> Result<WriteReport> {
        self.records.fetch_add(batch.records.len() as u64, Ordering::Relaxed);
        Ok(WriteReport::all_durable())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use millrace_sdk::{Datum, Flat, Record, TimestampKind, TopicPartition};

    use super::*;

    #[tokio::test]
    async fn records_are_counted_and_dropped() {
        let context = TaskContext {
            tenant: "default".to_owned(),
            connector: "null".to_owned(),
            task: 0,
            tasks_total: 1,
            generation: 1,
            topics: Vec::new(),
            config: Arc::new(Flat::new()),
            ..TaskContext::default()
        };
        let task = Sink.open(SinkConfig {}, context).await.unwrap();
        let record = Record {
            offset: 0,
            timestamp_ms: None,
            timestamp_kind: TimestampKind::None,
            renamed_topic: None,
            key: Datum::Null,
            value: Datum::Null,
            headers: Vec::new(),
        };
        let origin = TopicPartition { topic: "t".into(), partition: 0 };
        let batch = Batch { origin, records: vec![record.clone(), record] };
        assert!(task.write(&batch).await.unwrap().failures.is_empty());
        assert_eq!(task.order_keys(&batch), OrderKeys::Total);
        assert_eq!(task.records(), 2);
    }
}
